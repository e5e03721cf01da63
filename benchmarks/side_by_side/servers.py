"""The servers that are measured, each a process in a folder of its own: start, address, sign-in, what it costs."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# Debian puts the program where only root's PATH looks, and plugins where Orthanc looks only when told.
ORTHANC = shutil.which("Orthanc", path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin")
ORTHANC_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
PATIENCE = 60  # seconds for a start, and for an end
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NotHere(Exception):
    """A server that is not installed. The text says how it would be."""


class Server:
    """A running server: where its DICOMweb root is, how clients sign in, what it has cost so far."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, root: str = ""):
        self.name, self.process, self.port, self.root = name, process, port, root
        self.address = ("127.0.0.1", port)

    def sign_in(self) -> dict[str, str]:
        """The headers that a client has to send."""
        return {"Host": f"127.0.0.1:{self.port}"}

    def cpu_seconds(self) -> float:
        """What the process and its children have had of the processors; counted in ticks of 10 ms."""
        ticks = 0
        for pid in tree(self.process.pid):
            fields = proc(pid, "stat").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # its own in user and system mode, and its ended children's
        return ticks / os.sysconf("SC_CLK_TCK")

    def forget_peak(self) -> None:
        """From here on, peak_memory() counts anew."""
        for pid in tree(self.process.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_memory(self) -> int:
        """The most bytes in memory since forget_peak(), of the process and its children."""
        return sum(memory(pid, "VmHWM") for pid in tree(self.process.pid))

    def memory(self) -> int:
        """The bytes in memory now, of the process and its children."""
        return sum(memory(pid, "VmRSS") for pid in tree(self.process.pid))

    def own_memory(self) -> int:
        """Those of them that are no mapped files."""
        return sum(memory(pid, "RssAnon") for pid in tree(self.process.pid))


class SignedIn(Server):
    """The emulator: each client gets a token from where azure-identity would."""

    def sign_in(self) -> dict[str, str]:
        resource = "https://dicom.healthcareapis.azure.com"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/_emulator/identity/token?resource={resource}",
            headers={"X-IDENTITY-HEADER": "owner"},
        )
        with NO_PROXY.open(request, timeout=PATIENCE) as answer:
            token = json.load(answer)["access_token"]
        return super().sign_in() | {"Authorization": f"Bearer {token}"}


def proc(pid: int, name: str) -> str:
    """What Linux says of a process; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def tree(pid: int) -> list[int]:
    """The process and all its children."""
    children = [int(child) for thread in Path(f"/proc/{pid}/task").glob("*") for child in
                proc(pid, f"task/{thread.name}/children").split()]  # fmt: skip
    return [pid, *(one for child in children for one in tree(child))]


def memory(pid: int, field: str) -> int:
    """VmHWM, VmRSS, RssAnon … of a process, in bytes."""
    found = re.search(rf"^{field}:\s+(\d+) kB", proc(pid, "status"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


# ------------------------------------------------------------------------------------------------- the four of them


@contextmanager
def emulator(name: str, folder: Path, root: Path) -> Iterator[Server]:
    """The emulator of the clone `root`, as people start it: with everything on."""
    command = [python_of(root), "-m", "dicom_emulator", "--port", "0", "--data-dir", str(folder / "archive")]
    with started(command, folder, root) as process:
        yield SignedIn(name, process, port_that_it_names(process, folder), "/v2")


@contextmanager
def bare(name: str, folder: Path, root: Path) -> Iterator[Server]:
    """The bare application, in the same environment as the emulator, so that both have the same uvicorn."""
    command = [python_of(root), str(Path(__file__).parent / "bare.py"), str(folder / "stored")]
    with started(command, folder, root) as process:
        yield Server(name, process, port_that_it_names(process, folder))


@contextmanager
def orthanc(name: str, folder: Path, root: Path) -> Iterator[Server]:
    """Orthanc, tuned: nothing is hashed, compressed or waited for until it is on the disk; files stay in a cache."""
    if ORTHANC is None or not ORTHANC_PLUGIN.exists():
        raise NotHere("On Debian: sudo apt-get install orthanc orthanc-dicomweb")
    port = free_port()
    settings = {
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "StorageDirectory": str(folder / "files"),
        "IndexDirectory": str(folder / "files"),
        "DefaultEncoding": "Utf8",
        "SyncStorageArea": False,
        "StoreMD5ForAttachments": False,
        "StorageCompression": False,
        "HttpCompressionEnabled": False,
        "OverwriteInstances": True,
        "SaveJobs": False,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "MaximumStorageCacheSize": 512,  # MB
        "Plugins": [str(ORTHANC_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings))
    with started([ORTHANC, str(configuration)], folder, root) as process:
        wait_for(f"http://127.0.0.1:{port}/dicom-web/studies?limit=1", process, folder)
        yield Server(name, process, port, "/dicom-web")


@contextmanager
def tiny_pacs(name: str, folder: Path, root: Path) -> Iterator[Server]:
    """tiny-pacs with files and index on the disk and no limit to a body that matters here."""
    if not installed("tiny-pacs-dicomweb"):
        raise NotHere("Into this environment: pip install -r benchmarks/requirements.txt")
    port = free_port()
    settings = {
        "ae": {"port": free_port(), "dump_ds": False},
        "log": {"root": {"level": "WARNING", "handlers": ["console"]}},
        "components": {
            "Database": {"on": True, "driver": "sqlite", "db_name": str(folder / "index.db"), "mode": "rwc"},
            "Devices": {"on": True},
            "PACS": {"on": True},
            "InMemoryStorage": {"on": False},
            "FileStorage": {"on": True, "storage_dir": str(folder / "files")},
            "HttpServer": {"on": True, "host": "127.0.0.1", "port": port},
            "DICOMWeb": {"on": True, "prefix": "/dicomweb", "max_part_size": 1 << 30},
        },
    }
    (folder / "files").mkdir()
    configuration = folder / "config.json"
    configuration.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "tiny_pacs", "run", "-c", str(configuration)]
    with started(command, folder, root) as process:
        wait_for(f"http://127.0.0.1:{port}/dicomweb/studies?limit=1", process, folder)
        yield Server(name, process, port, "/dicomweb")


class Kind(NamedTuple):
    """How a server is started, given its name, a folder and the emulator's clone, and which version it is."""

    start: Callable[[str, Path, Path], AbstractContextManager[Server]]
    version: Callable[[Path], str]


EMULATOR, BARE = "emulator", "bare ASGI"
KINDS = {
    EMULATOR: Kind(emulator, lambda root: f"commit {commit(root)}"),
    "Orthanc": Kind(orthanc, lambda root: f"{orthanc_version()}, tuned: no fsync, no MD5, a cache of 512 MB"),
    "tiny-pacs": Kind(
        tiny_pacs, lambda root: f"{installed('tiny-pacs')}, with tiny-pacs-dicomweb {installed('tiny-pacs-dicomweb')}"
    ),
    BARE: Kind(bare, lambda root: "stores what is posted, sends the bytes that the emulator sends; the bound"),
}


def installed(package: str) -> str:
    """The version of a package; "" where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def commit(root: Path) -> str:
    return said(["git", "-C", str(root), "describe", "--always", "--dirty"]).strip() or "unknown"


def orthanc_version() -> str:
    program = re.search(r"[\d.]{3,}", said([str(ORTHANC), "--version"]))
    plugin = said(["dpkg-query", "-W", "-f", "${Version}", "orthanc-dicomweb"])
    return f"{program[0] if program else 'unknown'}, with its DICOMweb plugin {plugin or 'of unknown version'}"


def said(command: list[str]) -> str:
    """What a program prints; nothing, if there is no such program."""
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout
    except FileNotFoundError:
        return ""


# --------------------------------------------------------------------------------------------------------- starting


def python_of(root: Path) -> str:
    """The interpreter of a clone's own environment; this one, where the clone has none."""
    own = root / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


@contextmanager
def started(command: list[str], folder: Path, working_directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose output goes to a file, and which ends with the `with` block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DICOM_EMULATOR_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=working_directory, env=environment
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def attempts(process: subprocess.Popen[bytes], folder: Path) -> Iterator[None]:
    """Again and again, until the process has ended or time is over: an error that shows its log."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        yield
        time.sleep(0.01)
    raise RuntimeError(f"a server did not start:\n{(folder / 'log').read_text(errors='replace')}")


def port_that_it_names(process: subprocess.Popen[bytes], folder: Path) -> int:
    for _ in attempts(process, folder):
        if found := re.search(r"ready at http://127\.0\.0\.1:(\d+)\n", (folder / "log").read_text(errors="replace")):
            return int(found[1])
    raise AssertionError("attempts() ends with an error")


def wait_for(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in attempts(process, folder):
        try:
            NO_PROXY.open(url, timeout=PATIENCE).close()
            return
        except OSError:
            continue


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
