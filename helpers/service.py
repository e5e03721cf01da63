"""Which DICOM service the lessons talk to: the one that DICOM_SERVICE_URL names, or an emulator of the kernel's own."""

import atexit
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.identity import DefaultAzureCredential

from helpers.auth import EMULATOR_TOKEN_PATH, is_this_machine
from helpers.errors import HelperError
from helpers.lab import emulators

REPOSITORY = Path(__file__).resolve().parent.parent
START_TIMEOUT = 60  # seconds for the emulator, on a machine that is busy with a whole class
NOT_PROXIED = ("127.0.0.1", "localhost", "::1")
NAMES_OF_THIS_MACHINE = "DICOM_EMULATOR_ALLOWED_HOST"
IDENTITY = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_TOKEN_CREDENTIALS")


class WrongAddress(HelperError):
    """DICOM_SERVICE_URL holds something that is no service's address."""


class EmulatorDidNotStart(HelperError):
    """The emulator of the kernel ended, or was silent, before it was ready."""


def choose_service() -> str:
    """The service's address without a slash at its end; starts the kernel's own emulator if none is named.

    Raises WrongAddress, EmulatorDidNotStart.
    """
    named = os.environ.get("DICOM_SERVICE_URL", "").strip().strip("\"'").rstrip("/")
    if not named:
        return own_emulator()
    sign_in_as_before()
    address = urlsplit(named)
    if address.scheme not in ("http", "https") or not address.hostname or re.search(r"/v\d[^/]*$", address.path):
        raise WrongAddress(
            f"DICOM_SERVICE_URL is `{named}`. It should be the service URL of the portal with https:// before and no "
            "version after it, such as https://….dicom.azurehealthcareapis.com; without it, the emulator is used."
        )
    if is_this_machine(named):
        reach_this_machine_directly()
    return named


def server_name(url: str) -> str:
    """The server in words; for this machine without the port, which is another one on each run."""
    if not is_this_machine(url):
        return urlsplit(url).hostname or url
    return "emulator on this machine" if signs_in_at_emulator() else "service on this machine"


def signs_in_at_emulator() -> bool:
    """Whether azure-identity asks an emulator for tokens: the kernel's own, or one that somebody started."""
    return os.environ.get("IDENTITY_ENDPOINT", "").endswith(EMULATOR_TOKEN_PATH)


def reach_this_machine_directly() -> None:
    """Keep requests and azure-identity from handing calls to this machine to a proxy elsewhere."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host.strip() for host in os.environ.get(name, "").split(",") if host.strip()]
        os.environ[name] = ",".join([*hosts, *(host for host in NOT_PROXIED if host not in hosts)])


class EmulatorCredential:
    """DefaultAzureCredential, asked for a token of a named role of the emulator: `owner` or `reader`."""

    def __init__(self, role: str) -> None:
        self.role = role
        self._credential = DefaultAzureCredential()

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        # azure-identity reads the role from the environment at the moment it asks.
        with environment({"IDENTITY_HEADER": self.role}):
            return self._credential.get_token(*scopes, **options)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that are set for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        set_environment(before)


def set_environment(values: Mapping[str, str | None]) -> None:
    """Set environment variables; None removes one."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


# ------------------------------------------------------------------------------------------ the kernel's own emulator

# One emulator for the whole kernel, and how the learner was signed in before it took over.
_emulator: "EmulatorProcess | None" = None
_identity_before: dict[str, str | None] | None = None


def own_emulator() -> str:
    """The address of this kernel's emulator, which is started when it is needed first; sets how to sign in to it."""
    global _emulator, _identity_before
    if _emulator is None or not _emulator.is_running():
        _emulator = EmulatorProcess()
        atexit.register(_emulator.stop)
        noted = emulators.note(urlsplit(_emulator.url).port, _emulator.process.pid)
        atexit.register(noted.unlink, missing_ok=True)
    if _identity_before is None:
        _identity_before = {name: os.environ.get(name) for name in IDENTITY}
    endpoint = _emulator.url + EMULATOR_TOKEN_PATH
    set_environment(dict(zip(IDENTITY, (endpoint, "owner", "ManagedIdentityCredential"))))
    reach_this_machine_directly()
    return _emulator.url


def sign_in_as_before() -> None:
    """Undo what own_emulator set: the learner has named another service since."""
    global _identity_before
    set_environment(_identity_before or {})
    _identity_before = None


class EmulatorProcess:
    """An emulator in a process of its own, which ends when this one does.

    It ends when its standard input closes, and the operating system closes that even when this process is killed. It
    is in a session of its own, since Jupyter's interrupt button signals the kernel's whole process group.

    `options` are those of the command line, such as "--max-file-size", "5000". A lesson that needs a service with
    another limit starts a second one; `url` says where it answers, `stop()` ends it. Raises EmulatorDidNotStart.
    """

    def __init__(self, *options: str) -> None:
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dicom_emulator", "--port", "0", "--until-stdin-closes", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            cwd=REPOSITORY,
            # settings of some other emulator, such as a data folder, are not meant for this one
            env={
                name: value
                for name, value in os.environ.items()
                if not name.startswith("DICOM_EMULATOR_") or name == NAMES_OF_THIS_MACHINE
            },
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same for Windows
        )
        self.url = self._address()
        reach_this_machine_directly()

    def _address(self) -> str:
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read_output, args=[lines], daemon=True).start()
        try:
            line = lines.get(timeout=START_TIMEOUT)
        except queue.Empty:
            line = f"(not ready after {START_TIMEOUT} seconds)"
        ready = re.search(r"ready at (http://\S+)", line)
        if not ready:
            self.stop()
            raise EmulatorDidNotStart(f"the emulator did not start. Its last words:\n{self._last_words() or line}")
        return ready[1]

    def _read_output(self, lines: "queue.Queue[str]") -> None:
        """Hand on the first line; read the rest too, since a full pipe would stop the emulator."""
        assert self.process.stdout
        lines.put(self.process.stdout.readline().decode(errors="replace"))
        for _ in self.process.stdout:
            pass

    def _last_words(self) -> str:
        self.log.seek(0)
        return "\n".join(self.log.read().decode(errors="replace").splitlines()[-8:])

    def is_running(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
