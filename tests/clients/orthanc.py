"""Orthanc, as Debian packages it, started for the tests: a DICOMweb server of other people."""

import functools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

# Debian puts the program where only root's PATH looks, and plugins where Orthanc looks only when told.
PROGRAM = shutil.which("Orthanc", path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
VERSION = "1.10"  # of Debian 12; others differ in other ways
PACKAGES = "orthanc orthanc-dicomweb"
MISSING = f"there is no Orthanc {VERSION}. On Debian 12: sudo apt-get install {PACKAGES}"
PATIENCE = 60  # seconds for the start, and for the end


@functools.cache
def is_there() -> bool:
    if PROGRAM is None or not PLUGIN.exists():
        return False
    answer = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout
    return f"Orthanc {VERSION}." in answer


@contextmanager
def running(folder: Path, root: str = "/dicom-web") -> Iterator[str]:
    """The DICOMweb address of an Orthanc that keeps everything in `folder` and stops with the `with` block.

    `root` is the path of that address.
    """
    if PROGRAM is None or not is_there():
        raise FileNotFoundError(MISSING)
    port = free_port()
    settings = {
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "DefaultEncoding": "Utf8",  # else names in other scripts get lost in search results
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": f"{root}/"},
    }
    configuration, log = folder / "orthanc.json", folder / "orthanc.log"
    configuration.write_text(json.dumps(settings))
    with log.open("wb") as output:
        process = subprocess.Popen([PROGRAM, configuration], stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}{root}"
        wait_for(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    client = requests.Session()
    client.trust_env = False
    while True:
        try:
            client.get(f"{url}/studies", timeout=PATIENCE)
            return
        except requests.ConnectionError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Orthanc did not start:\n{log.read_text(errors='replace')}") from None
            time.sleep(0.05)
