"""The servers that are measured, each a process of its own in a folder of its own: start, address, sign-in, costs."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ORTHANC = shutil.which("Orthanc", path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin")
ORTHANC_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
PATIENCE = 60  # seconds for a start, and for an end
TICKS = os.sysconf("SC_CLK_TCK")
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NotHere(Exception):
    """A server that is not installed, and how it would be."""


class Server:
    """A running server: where its DICOMweb root is, how one signs in, what it has cost so far."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, root: str):
        self.name, self.process, self.port, self.root = name, process, port, root
        self.address = ("127.0.0.1", port)

    def sign_in(self) -> dict[str, str]:
        """The headers that a client has to send."""
        return {"Host": f"127.0.0.1:{self.port}"}

    def cpu_seconds(self) -> float:
        """What the process and its children have taken of the processors."""
        total = 0
        for pid in tree(self.process.pid):
            fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))  # user, system, and the same of children that have ended
        return total / TICKS

    def forget_peak(self) -> None:
        """From here on, peak_memory counts anew."""
        for pid in tree(self.process.pid):
            (Path("/proc") / str(pid) / "clear_refs").write_text("5")

    def peak_memory(self) -> int:
        """Bytes that were in memory at most since forget_peak, of the process and its children."""
        return sum(memory(pid, "VmHWM") for pid in tree(self.process.pid))

    def memory(self) -> int:
        return sum(memory(pid, "VmRSS") for pid in tree(self.process.pid))


class Emulator(Server):
    def sign_in(self) -> dict[str, str]:
        """A token of the client's own, from where azure-identity gets it."""
        where = f"http://127.0.0.1:{self.port}/_emulator/identity/token"
        request = urllib.request.Request(
            f"{where}?api-version=2019-08-01&resource=https://dicom.healthcareapis.azure.com",
            headers={"X-IDENTITY-HEADER": "owner"},
        )
        with NO_PROXY.open(request, timeout=PATIENCE) as answer:
            token = json.load(answer)["access_token"]
        return super().sign_in() | {"Authorization": f"Bearer {token}"}


def tree(pid: int) -> list[int]:
    """The process and all its children."""
    found = [pid]
    for task in (Path("/proc") / str(pid) / "task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found


def memory(pid: int, field: str) -> int:
    status = (Path("/proc") / str(pid) / "status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


# ------------------------------------------------------------------------------------------------------- starting


def python_of(root: Path) -> str:
    """The interpreter of a clone's environment, or this one."""
    own = root / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def emulator_command(root: Path, folder: Path) -> list[str]:
    return [python_of(root), "-m", "dicom_emulator", "--port", "0", "--data-dir", str(folder / "archive")]


@contextmanager
def emulator(name: str, folder: Path, root: Path = ROOT) -> Iterator[Server]:
    """The emulator as people start it: signed in, validating, with everything on."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DICOM_EMULATOR_")}
    with started(emulator_command(root, folder), folder, cwd=root, env=clean) as process:
        port = port_in(first_line(process, folder))
        yield Emulator(name, process, port, "/v2")


@contextmanager
def bare(name: str, folder: Path, root: Path = ROOT) -> Iterator[Server]:
    command = [python_of(root), str(Path(__file__).parent / "bare.py"), str(folder / "stored")]
    with started(command, folder) as process:
        yield Server(name, process, port_in(first_line(process, folder)), "")


@contextmanager
def orthanc(name: str, folder: Path) -> Iterator[Server]:
    """Orthanc, tuned: nothing is hashed, compressed or waited for until it is on the disk."""
    if ORTHANC is None or not ORTHANC_PLUGIN.exists():
        raise NotHere("Orthanc is not installed. On Debian: sudo apt-get install orthanc orthanc-dicomweb")
    port = free_port()
    settings = {
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "DefaultEncoding": "Utf8",
        "SyncStorageArea": False,
        "StoreMD5ForAttachments": False,
        "StorageCompression": False,
        "HttpCompressionEnabled": False,
        "OverwriteInstances": False,
        "SaveJobs": False,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "MaximumStorageCacheSize": 512,
        "Plugins": [str(ORTHANC_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with started([ORTHANC, str(folder / "orthanc.json")], folder) as process:
        wait_for(port, "/dicom-web/studies?limit=1", process, folder)
        yield Server(name, process, port, "/dicom-web")


@contextmanager
def tiny_pacs(name: str, folder: Path) -> Iterator[Server]:
    """tiny-pacs with files on disk and the largest body that it takes."""
    try:
        version("tiny-pacs-dicomweb")
    except PackageNotFoundError:
        raise NotHere(
            f"tiny-pacs is not installed: {Path(sys.executable).name} -m pip install -r benchmarks/requirements.txt"
        ) from None
    port = free_port()
    settings = {
        "ae": {"ae_title": ["BENCHMARK"], "port": free_port(), "dump_ds": False},
        "log": {"root": {"level": "WARNING", "handlers": ["console"]}},
        "components": {
            "Database": {"on": True, "driver": "sqlite", "db_name": str(folder / "index.db"), "mode": "rwc"},
            "Devices": {"on": True},
            "PACS": {"on": True},
            "InMemoryStorage": {"on": False},
            "FileStorage": {"on": True, "storage_dir": str(folder / "files")},
            "HttpServer": {"on": True, "host": "127.0.0.1", "port": port},
            "DICOMWeb": {"on": True, "prefix": "/dicomweb", "auth": "none", "max_part_size": 1 << 30},
        },
    }
    (folder / "files").mkdir()
    (folder / "config.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "tiny_pacs", "run", "-c", str(folder / "config.json")]
    with started(command, folder) as process:
        wait_for(port, "/dicomweb/studies?limit=1", process, folder)
        yield Server(name, process, port, "/dicomweb")


class Kind(NamedTuple):
    start: Callable[..., Any]
    version: Callable[[], str]


def orthanc_version() -> str:
    said = subprocess.run([ORTHANC or "Orthanc", "--version"], capture_output=True, text=True).stdout
    plugin = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "orthanc-dicomweb"], capture_output=True, text=True
    ).stdout
    return f"{said.split()[1] if said else '?'} with its DICOMweb plugin {plugin.partition('+')[0] or '?'}"


KINDS = {
    "emulator": Kind(emulator, lambda: f"uvicorn {version('uvicorn')}"),
    "Orthanc": Kind(orthanc, orthanc_version),
    "tiny-pacs": Kind(tiny_pacs, lambda: f"{version('tiny-pacs')} with tiny-pacs-dicomweb {version('tiny-pacs-dicomweb')}"),
    "bare ASGI": Kind(bare, lambda: f"uvicorn {version('uvicorn')}"),
}


@contextmanager
def started(command: list[str], folder: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": log}
        if "emulator" not in " ".join(command) and "bare.py" not in " ".join(command):
            pipes["stdout"] = log
        process = subprocess.Popen(command, **pipes, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def first_line(process: subprocess.Popen[bytes], folder: Path) -> str:
    assert process.stdout
    line = process.stdout.readline().decode()
    if not line:
        raise RuntimeError(f"a server did not start:\n{(folder / 'log').read_text(errors='replace')}")
    return line


def port_in(line: str) -> int:
    return int(line.rpartition(":")[2])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port: int, path: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with NO_PROXY.open(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE):
                return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > end:
                log = (folder / "log").read_text(errors="replace")
                raise RuntimeError(f"a server did not start ({error}):\n{log}") from None
            time.sleep(0.02)


__all__ = ["ExitStack"]
