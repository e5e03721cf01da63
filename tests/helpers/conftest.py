"""A scripted web server, a credential that gives numbered tokens, and an environment that tests may change."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from azure.core.credentials import AccessToken

from helpers import service

FAR_FUTURE = 4_000_000_000  # epoch seconds


@dataclass
class Reply:
    """What the scripted server answers. A `body` of pieces is sent chunked; `cut` closes before the last chunk."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    cut: bool = False


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedServer(ThreadingHTTPServer):
    """Answers with `replies` in their order, the last one again and again, and keeps what it `received`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply] = [Reply()]
        self.received: list[Received] = []
        self.on_request: Callable[[Received], None] = lambda request: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client may hang up early: tests look at what it received, not at this side."""

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def answer(self) -> None:
        received = Received(self.command, self.path, dict(self.headers.items()), self.read_body())
        self.server.received.append(received)
        self.server.on_request(received)
        reply = self.server.next_reply()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if isinstance(reply.body, bytes):
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in reply.body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if reply.cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[ScriptedServer]:
    """A second server, at another port: nobody that the token is meant for."""
    with serving() as server:
        yield server


class NumberedTokens:
    """Gives token-1, token-2, … and stays at `last`; each lives for `seconds`."""

    def __init__(self, expires_on: float = FAR_FUTURE, last: int = 1000) -> None:
        self.expires_on = expires_on
        self.last = last
        self.asked = 0
        self.scopes: tuple[str, ...] = ()

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        self.scopes = scopes
        self.asked = min(self.asked + 1, self.last)
        return AccessToken(f"token-{self.asked}", int(self.expires_on))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment with no sign-in, no proxy and no named service; what a test or start_lesson sets is undone."""
    before = dict(os.environ)
    names = ("DICOM_SERVICE_URL", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_TOKEN_CREDENTIALS", "AZURE_CLIENT_ID")
    for name in (*names, "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(service, "_identity_before", None)
    yield monkeypatch
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def netrc(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Somebody has a password for every host of this machine, as for a registry of packages."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login anna password secret\nmachine localhost login anna password secret\n")
    file.chmod(0o600)
    environment.setenv("NETRC", str(file))
