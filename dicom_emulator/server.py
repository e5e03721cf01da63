"""Running the emulator: in the foreground for the command line, in a thread for a script."""

import contextlib
import logging
import os
import shlex
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from starlette.datastructures import State

from dicom_emulator.app import Emulator
from dicom_emulator.archive import Archive
from dicom_emulator.archive.bulk_update import update
from dicom_emulator.archive.export import export
from dicom_emulator.archive.extended_query_tags import reindex
from dicom_emulator.codec_process import CodecProcesses
from dicom_emulator.connection import Connection
from dicom_emulator.control import identity
from dicom_emulator.control.client import Control
from dicom_emulator.control.reset import start_anew
from dicom_emulator.control.seed import seed
from dicom_emulator.limits import allow_many_open_files
from dicom_emulator.operations import Operations
from dicom_emulator.settings import Settings
from dicom_emulator.tls import make_certificates
from dicom_emulator.wire.auth import ROLES, TokenIssuer

JOBS = {"reindex": reindex, "update": update, "export": export}
GRACEFUL_SHUTDOWN = 60  # seconds that requests in flight may take at the end
LARGEST_BLOCK = 4 * 1024 * 1024  # bytes; twice as much of what is freed is kept
OPEN = (
    "--host %s lets in every machine that reaches this one: it can read, change and delete what is stored, sign in as "
    "owner, and use all of /_emulator/. Stay in a network that you trust, with made-up data; or leave --host out, and "
    "only this machine is served"
)
log = logging.getLogger("dicom_emulator")


class AddressInUse(RuntimeError):
    """Somebody else listens there."""


class AccessToken(NamedTuple):
    """What azure.core's credentials return: the token and when it expires, in seconds since 1970."""

    token: str
    expires_on: int


@dataclass(frozen=True)
class Credential:
    """Signs in as one person, without HTTP; fits wherever an azure-identity credential does."""

    tokens: TokenIssuer
    person: str

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A fresh token. `scopes` and `options` are there for azure-identity's sake."""
        return AccessToken(*vars(self.tokens.issue(self.person)).values())


@dataclass(frozen=True)
class RunningServer:
    """An emulator that answers at `url`; `credential` and `environment` sign in to it as the owner."""

    url: str
    state: State  # of the application
    ca_file: Path | None = None  # with TLS: the certificate authority that clients have to trust

    @property
    def credential(self) -> Credential:
        return self.credential_for("owner")

    def credential_for(self, person: str) -> Credential:
        """Signs in as "owner" or "reader"."""
        if person not in ROLES:
            raise ValueError(f"nobody is called {person!r} here; there are: {', '.join(ROLES)}")
        return Credential(self.state.service.tokens, person)

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.url, self.ca_file)

    @property
    def export_dir(self) -> Path:
        """The folder that holds a folder for each container to which something was exported."""
        return self.state.service.export_dir

    @property
    def control(self) -> Control:
        """Seeds, snapshots, faults and the request log of this emulator."""
        return Control(self.url, self.ca_file)

    def reset(self) -> None:
        """An empty archive, no faults, an empty request log: what POST /_emulator/reset does."""
        start_anew(self.state)


def environment(url: str, ca_file: Path | None = None) -> dict[str, str]:
    """The variables with which a program finds the emulator at `url`, and azure-identity signs in to it.

    With `ca_file`, requests, curl and whoever asks OpenSSL trust that authority, and no other.
    """
    no_proxy = ",".join(filter(None, ["127.0.0.1,localhost", os.environ.get("NO_PROXY", "")]))
    trusting = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE") if ca_file else ()
    return {
        "DICOM_SERVICE_URL": url,
        "IDENTITY_ENDPOINT": url + identity.PATH,
        "IDENTITY_HEADER": "owner",
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    } | dict.fromkeys(trusting, str(ca_file))


class Server(uvicorn.Server):
    """uvicorn with a signal that it is ready, and with exit code 0 when it is told to stop."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]):
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.stop)
        yield

    def stop(self, *_: Any) -> None:
        """Finish what is in flight, then end; a second time: end now."""
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(settings: Settings) -> socket.socket:
    """A bound socket, so that the address is known, or refused, before anything else starts."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio switches Nagle's algorithm off, which would delay answers by 40 ms, only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise AddressInUse(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; "
            "choose another with --port, or --port 0 for any free one"
        ) from None
    return listener


class Ready(NamedTuple):
    """What is known once requests are served."""

    url: str
    ca_file: Path | None
    server: Server


@contextlib.contextmanager
def prepared(settings: Settings, on_ready: Callable[[Ready], None]) -> Iterator[tuple[Server, socket.socket]]:
    """A server that is ready to run, with its archive open and its socket bound."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(listen(settings)))
        if not ip_address(listener.getsockname()[0]).is_loopback:
            log.warning(OPEN, settings.host)
        data_dir = settings.data_dir
        if data_dir is None:
            temporary = tempfile.TemporaryDirectory(prefix="dicom-emulator-", ignore_cleanup_errors=True)
            data_dir = Path(stack.enter_context(temporary))
        archive = stack.enter_context(contextlib.closing(Archive(data_dir, settings.durable)))
        certificates = make_certificates(data_dir, settings.host) if settings.tls else None
        if settings.seed:
            log.info("%s files of %s are stored", seed(archive, settings.seed).stored, settings.seed)
        codecs = stack.enter_context(contextlib.closing(CodecProcesses()))
        export_dir = (settings.export_dir or data_dir / "exports").absolute()
        operations = stack.enter_context(contextlib.closing(Operations(archive, JOBS, settings.operation_time)))
        config = uvicorn.Config(
            Emulator(settings, archive, codecs, operations, export_dir),
            http=Connection,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the application reads them
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN,
            ssl_certfile=certificates and certificates.server_file,
        )
        server = Server(config, on_ready=lambda: on_ready(ready))
        url = address(settings, *listener.getsockname()[:2])
        ready = Ready(url, certificates and certificates.ca_file, server)
        yield server, listener


def address(settings: Settings, host: str, port: int) -> str:
    """The URL that leads to an emulator which listens there."""
    scheme = "https" if settings.tls else "http"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def run(settings: Settings) -> None:
    """Run in the foreground until told to stop; says on stdout when it is ready."""

    def tell(ready: Ready) -> None:
        print(f"DICOM service emulator ready at {ready.url}", flush=True)
        if ready.ca_file:
            print(f"export REQUESTS_CA_BUNDLE={shlex.quote(str(ready.ca_file))}", flush=True)
        if settings.until_stdin_closes:
            threading.Thread(target=wait_for_end_of_stdin, args=[ready.server], daemon=True).start()

    allow_many_open_files()
    keep_freed_memory()
    with prepared(settings, tell) as (server, listener):
        server.run(sockets=[listener])


def keep_freed_memory() -> None:
    """Have the C library keep some megabytes of what is freed, for the pieces of bodies that come next.

    Otherwise it gives each large piece back to the system, and a page that comes from there anew costs more than what
    is copied into it. glibc goes by the largest block that was ever freed; other libraries take no notice.
    """
    bytes(LARGEST_BLOCK)


def wait_for_end_of_stdin(server: Server) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    server.should_exit = True


@contextlib.contextmanager
def running(**settings: Any) -> Iterator[RunningServer]:
    """An emulator in a thread of this process, for as long as the `with` block lasts.

    Takes the fields of `Settings`; the port is any free one unless given.

    >>> with running() as server:
    ...     server.url.startswith("http://127.0.0.1:")
    True
    """
    settings = {"port": 0} | settings
    for name in ("data_dir", "seed", "export_dir"):
        if settings.get(name) is not None:
            settings[name] = Path(settings[name])
    started = threading.Event()
    known: list[Ready] = []

    def tell(ready: Ready) -> None:
        known.append(ready)
        started.set()

    with prepared(Settings(**settings), tell) as (server, listener):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not started.wait(0.05):
            if not thread.is_alive():
                raise RuntimeError("the emulator did not start; its log says why")
        try:
            yield RunningServer(known[0].url, server.config.app.state, known[0].ca_file)
        finally:
            server.should_exit = True
            thread.join(GRACEFUL_SHUTDOWN)
