"""How answers get to the client: whole, in order, in few writes; on every event loop, with and without TLS."""

import asyncio
import contextlib
import http.client
import importlib
import io
import itertools
import logging
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from dicom_emulator import extent
from dicom_emulator.connection import SMALL, Answer, Connection
from dicom_emulator.direct_socket import DirectSocket
from dicom_emulator.extent import CHUNK, LOT, Extent, Piece, Reader
from dicom_emulator.tls import make_certificates
from dicom_emulator.wire.responses import StreamedResponse
from tests.emulator.conftest import SOON, wait_for
from tests.emulator.sockets import answer

LENGTHS = [0, 1, SMALL - 1, SMALL, SMALL + 1, CHUNK - 1, CHUNK, CHUNK + 1, LOT, LOT + 1, 5 * CHUNK + 17]
LARGE = 12_000_000  # bytes, much more than sockets hold
LOOPS = ["asyncio"] if os.name == "nt" else ["asyncio", "uvloop"]


@dataclass
class Site:
    """A server with the emulator's connections: /length/7 and /chunks/7 are the first seven bytes of a file,
    /echo/0 is what is sent, /unheeding/0 goes on for half a second, whoever is there.
    """

    file: Path
    port: int
    trust: ssl.SSLContext | None
    content: bytes
    done: list[str] = field(default_factory=list)  # paths whose answers are over

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=SOON)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        return self.trust.wrap_socket(client, server_hostname="127.0.0.1") if self.trust else client

    def http(self) -> http.client.HTTPConnection:
        if self.trust:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=SOON, context=self.trust)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SOON)


@contextlib.contextmanager
def served(folder: Path, loop: str, tls: bool) -> Iterator[Site]:
    content = b"".join(number.to_bytes(4) for number in range(LARGE // 4))
    file = folder / "file"
    file.write_bytes(content)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        _, framing, number = Request(scope).url.path.split("/")
        if framing == "echo":
            await Response(await Request(scope, receive).body())(scope, receive, send)
            return
        if framing == "unheeding":
            await send(start())
            for _ in range(50):
                await send({"type": "http.response.body", "body": b"more", "more_body": True})
                await asyncio.sleep(0.01)
            site.done.append(scope["path"])
            return
        length = int(number)
        cuts = sorted({0, min(10, length), length // 2, length})
        pieces: list[Piece] = [Extent(file, first, end - first) for first, end in itertools.pairwise(cuts)]
        pieces[:1] = [content[: cuts[1]]] if length else []
        response = StreamedResponse(pieces, "a/b", length if framing == "length" else None)
        try:
            await response(scope, receive, send)
        finally:
            site.done.append(scope["path"])

    certificates = make_certificates(folder, "127.0.0.1") if tls else None
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=Connection, loop=loop, lifespan="off", ws="none", log_config=None, access_log=False,
        ssl_certfile=certificates and certificates.server_file,
    )  # fmt: skip
    trust = ssl.create_default_context(cafile=certificates.ca_file) if certificates else None
    site = Site(file, listener.getsockname()[1], trust, content)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield site
    finally:
        server.should_exit = server.force_exit = True
        thread.join(SOON)
        listener.close()


@pytest.fixture(scope="module", params=[(loop, tls) for loop in LOOPS for tls in (False, True)], ids=str)
def everywhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), *request.param) as found:
        yield found


@pytest.fixture(params=["at hand", "by turns", "in a thread"])
def site(request: pytest.FixtureRequest, everywhere: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """What the system has in memory is sent, or read in the event loop; anything else is read in a thread."""
    if request.param == "in a thread":
        monkeypatch.setattr(extent, "NO_WAIT", None)
    elif request.param == "by turns":
        read, turns = Reader.read_at_hand, itertools.count()
        monkeypatch.setattr(Reader, "read_at_hand", lambda *args: next(turns) % 3 != 2 and read(*args))
    everywhere.done.clear()
    return everywhere


framings = pytest.mark.parametrize("framing", ["length", "chunks"])


def request(path: str, method: str = "GET", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode()


@framings
def test_bodies_of_any_length_arrive_on_one_connection(site: Site, framing: str) -> None:
    with contextlib.closing(site.http()) as client:
        for length in LENGTHS:
            client.request("GET", f"/{framing}/{length}")
            assert client.getresponse().read() == site.content[:length]
        assert client.sock, "it is kept open"


def bodies(received: bytes) -> list[bytes]:
    """The bodies of answers that came one after another. Fails where one is not whole."""
    found, stream = [], io.BytesIO(received)
    while stream.readline().startswith(b"HTTP/1.1 200 "):
        head = http.client.parse_headers(stream)
        if head["Content-Length"]:
            body = exactly(stream, int(head["Content-Length"]))
        else:
            body = b""
            while size := int(stream.readline(), 16):
                body += exactly(stream, size)
                assert stream.readline() == b"\r\n"
            assert stream.readline() == b"\r\n"
        found.append(body)
    assert stream.tell() == len(received)
    return found


def exactly(stream: io.BytesIO, length: int) -> bytes:
    body = stream.read(length)
    assert len(body) == length
    return body


CLOSE = "Connection: close\r\n"


def test_requests_in_a_row_are_answered_in_order(site: Site) -> None:
    paths = [f"/{framing}/{length}" for length in LENGTHS for framing in ("chunks", "length")]
    with site.connect() as client:
        client.sendall(b"".join(map(request, paths)) + request("/chunks/10", more=CLOSE))
        expected = [site.content[: int(path.split("/")[2])] for path in paths]
        assert bodies(answer(client)) == [*expected, site.content[:10]]


def test_who_asks_whether_to_go_on_is_told_at_once(everywhere: Site) -> None:
    with everywhere.connect() as client:
        client.sendall(request("/echo/0", "POST", f"Content-Length: 3\r\nExpect: 100-continue\r\n{CLOSE}"))
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert bodies(answer(client)) == [b"abc"]


@framings
def test_slow_and_fast_readers_get_the_right_bytes(site: Site, framing: str) -> None:
    """Memory is used again for others while a slow reader has yet to take what lies in it."""

    def read(pause: float) -> bytes:
        with site.connect(receive_buffer=64 * 1024) as client:
            client.sendall(request(f"/{framing}/{8 * CHUNK}", more=CLOSE))
            received = bytearray()
            while piece := client.recv(200_000):
                if len(received) // CHUNK < (len(received) + len(piece)) // CHUNK:
                    time.sleep(pause)
                received += piece
        return bytes(received)

    with ThreadPoolExecutor(8) as readers:
        for received in readers.map(read, [0.03, 0.02, 0.01] + 5 * [0]):
            assert bodies(received) == [site.content[: 8 * CHUNK]]


@framings
def test_who_takes_a_byte_at_a_time_holds_up_nobody(site: Site, framing: str) -> None:
    with site.connect(receive_buffer=64 * 1024) as client:
        client.sendall(request(f"/{framing}/{LARGE}", more=CLOSE))
        received = client.recv(1)
        time.sleep(0.1)
        received += client.recv(1)
        with site.connect() as other:
            other.sendall(request("/length/10", more=CLOSE))
            assert bodies(answer(other)) == [site.content[:10]]
        assert bodies(received + answer(client)) == [site.content]


@framings
@pytest.mark.parametrize("how", ["says goodbye", "resets"])
@pytest.mark.parametrize("asked", [1, 2], ids=["after one request", "after two in a row"])
def test_a_client_that_leaves_is_noticed(
    site: Site, framing: str, how: str, asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Also while nothing is read of what it sends, since an answer is still to be sent before the next."""
    with site.connect(receive_buffer=64 * 1024) as client:
        client.sendall(asked * request(f"/{framing}/{LARGE}"))
        assert client.recv(100_000)
        time.sleep(0.1)
        assert not site.done
        if how == "resets":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert wait_for(lambda: bool(site.done))
    assert not caplog.records


def test_to_send_to_who_is_gone_is_no_error(everywhere: Site, caplog: pytest.LogCaptureFixture) -> None:
    everywhere.done.clear()
    with everywhere.connect() as client:
        client.sendall(request("/unheeding/0"))
        assert client.recv(1)
    assert wait_for(lambda: bool(everywhere.done))
    assert not caplog.records


@framings
def test_what_is_cut_short_never_looks_whole(site: Site, framing: str, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.closing(site.http()) as client:
        try:
            client.connect()
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            client.request("GET", f"/{framing}/{LARGE}")
            response = client.getresponse()
            beginning = response.read(1000)
            os.truncate(site.file, LARGE - 1000)
            with pytest.raises((http.client.IncompleteRead, ConnectionError, ssl.SSLError)):
                beginning += response.read()
        finally:
            site.file.write_bytes(site.content)
    assert beginning == site.content[:1000]
    assert "file ends " in caplog.text


@framings
@pytest.mark.parametrize("length", [CHUNK - 1, CHUNK + 1, LARGE])
def test_a_file_that_is_short_from_the_beginning_is_an_error(site: Site, framing: str, length: int) -> None:
    os.truncate(site.file, length - 1)
    try:
        with site.connect() as client:
            client.sendall(request(f"/{framing}/{length}"))
            assert answer(client).startswith(b"HTTP/1.1 500 ")
    finally:
        site.file.write_bytes(site.content)


@framings
def test_head_has_no_body(site: Site, framing: str) -> None:
    with contextlib.closing(site.http()) as client:
        for length in (0, 10, CHUNK + 1, LOT + 1):
            client.request("HEAD", f"/{framing}/{length}")
            response = client.getresponse()
            assert response.status == 200 and response.read() == b""
            assert response.headers["Content-Length"] == (str(length) if framing == "length" else None)
        client.request("GET", f"/{framing}/10")
        assert client.getresponse().read() == site.content[:10]


def test_others_have_their_turn_while_a_client_takes_all_at_once(site: Site) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def send(message: Message) -> None:
        pass

    async def receive() -> Message:
        return await asyncio.Future()

    async def both() -> None:
        counting = asyncio.create_task(count())
        await StreamedResponse([Extent(site.file, 0, LARGE)], "a/b")({}, receive, send)
        counting.cancel()

    asyncio.run(both())
    assert turns >= LARGE // CHUNK


class TestDirectly:
    """By the system, from file to socket."""

    @pytest.fixture(autouse=True)
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """How many bytes each call of the system sent."""
        sent = []
        sendfile = os.sendfile

        def noted(*args: int) -> int:
            sent.append(sendfile(*args))
            return sent[-1]

        monkeypatch.setattr(os, "sendfile", noted)
        return sent

    @framings
    def test_large_files_are_sent_so_where_nothing_is_encrypted(
        self, everywhere: Site, framing: str, sent: list[int]
    ) -> None:
        with everywhere.connect() as client:
            client.sendall(request(f"/{framing}/{LARGE}", more=CLOSE))
            assert bodies(answer(client)) == [everywhere.content]
        assert sum(sent) == (0 if everywhere.trust else LARGE - 10)

    def test_what_a_disk_would_be_waited_for_is_read_in_a_thread(
        self, everywhere: Site, sent: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Reader, "read_at_hand", lambda *args: False)
        with everywhere.connect() as client:
            client.sendall(request(f"/length/{LARGE}", more=CLOSE))
            assert bodies(answer(client)) == [everywhere.content]
        assert not sent

    def test_nothing_stays_open(self, everywhere: Site) -> None:
        def ask_and_leave() -> None:
            everywhere.done.clear()
            with everywhere.connect(receive_buffer=64 * 1024) as client:
                client.sendall(request(f"/chunks/{LARGE}"))
                assert client.recv(1000)
            assert wait_for(lambda: bool(everywhere.done))

        ask_and_leave()
        before = len(os.listdir("/dev/fd"))
        for _ in range(5):
            ask_and_leave()
        assert wait_for(lambda: len(os.listdir("/dev/fd")) <= before)


class TestDirectSocket:
    @pytest.fixture(params=LOOPS)
    def loop(self, request: pytest.FixtureRequest) -> Any:
        return importlib.import_module(request.param).new_event_loop

    @staticmethod
    def run(loop: Any, use: Callable[[DirectSocket, socket.socket], Coroutine[Any, Any, None]]) -> None:
        """Hand a socket past its transport to `use`, and the client's end of it."""

        async def connected() -> None:
            mine, clients = socket.socketpair()
            with mine, clients:
                transport = mock.Mock()
                transport.get_extra_info.return_value = mine
                direct = DirectSocket(transport)
                try:
                    async with asyncio.timeout(SOON):
                        await use(direct, clients)
                finally:
                    direct.close()

        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(connected())

    @staticmethod
    def past_transport(loop: Any, use: Callable[[socket.socket, asyncio.Task[DirectSocket], Any], Any]) -> None:
        """Hand to `use` a client, what waits for its socket past a transport with much to write, and the transport."""

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                self.flow = FlowControl(transport)
                self.pause_writing, self.resume_writing = self.flow.pause_writing, self.flow.resume_writing

            def connection_lost(self, error: Exception | None) -> None:
                self.flow.resume_writing()

        async def connected(client: socket.socket, mine: socket.socket) -> None:
            transport, protocol = await asyncio.get_running_loop().connect_accepted_socket(Protocol, mine)
            transport.write(bytes(2_000_000))
            cycle = mock.Mock(transport=transport, flow=protocol.flow)
            await use(client, asyncio.create_task(Answer(cycle, mock.Mock()).past_transport()), transport)
            transport.close()

        client, mine = socket.socketpair()
        with client, mine, asyncio.Runner(loop_factory=loop) as runner:
            runner.run(asyncio.wait_for(connected(client, mine), SOON))

    def test_what_the_transport_has_still_to_write_goes_before(self, loop: Any) -> None:
        async def use(client: socket.socket, waiting: asyncio.Task[DirectSocket], transport: Any) -> None:
            limits = transport.get_write_buffer_limits()
            client.setblocking(False)
            while not waiting.done():
                assert await asyncio.get_running_loop().sock_recv(client, 20_000)
            (await waiting).close()
            assert transport.get_write_buffer_size() == 0 and transport.get_write_buffer_limits() == limits

        self.past_transport(loop, use)

    @pytest.mark.parametrize("pause", [0, 0.05])
    def test_who_leaves_before_is_noticed(self, loop: Any, pause: float) -> None:
        async def use(client: socket.socket, waiting: asyncio.Task[DirectSocket], transport: Any) -> None:
            await asyncio.sleep(pause)
            transport.abort()
            with pytest.raises(ConnectionError):
                await waiting

        self.past_transport(loop, use)

    def test_a_file_that_ends_early_is_an_error(self, loop: Any, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"abc")

        async def use(direct: DirectSocket, client: socket.socket) -> None:
            with (tmp_path / "file").open("rb") as file:
                await direct.send_file(file.fileno(), 0, 4)

        with pytest.raises(OSError, match="ends 1 bytes early"):
            self.run(loop, use)

    @pytest.mark.parametrize("how", ["close", "will send no more"])
    def test_who_leaves_while_it_waits_is_noticed(self, loop: Any, how: str) -> None:
        async def use(direct: DirectSocket, client: socket.socket) -> None:
            leave = client.close if how == "close" else lambda: client.shutdown(socket.SHUT_WR)
            asyncio.get_running_loop().call_later(0.05, leave)
            await direct.send(bytes(LARGE), more=False)

        with pytest.raises(ConnectionError):
            self.run(loop, use)

    def test_it_waits_as_often_as_it_must(self, loop: Any) -> None:
        content, received = bytes(range(256)) * 10_000, bytearray()

        async def use(direct: DirectSocket, client: socket.socket) -> None:
            client.setblocking(False)
            sending = asyncio.create_task(direct.send(content, more=False))
            while len(received) < len(content):
                received.extend(await asyncio.get_running_loop().sock_recv(client, 50_000))
            await sending

        self.run(loop, use)
        assert received == content


class Transport:
    """Notes what is written, and takes all of it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed_after: int | None = None

    def write(self, data: bytes) -> None:
        if data:
            self.writes.append(bytes(data))

    def writelines(self, data: list[bytes]) -> None:
        self.parts = list(data)
        self.writes.append(b"".join(data))

    def is_closing(self) -> bool:
        return self.closed_after is not None

    def close(self) -> None:
        self.closed_after = len(self.writes)


def run(app: Any, keep_alive: bool = True, method: str = "GET") -> Transport:
    """What `app` makes the connection write for one request."""

    async def once() -> Transport:
        transport = Transport()
        scope = {"type": "http", "method": method, "http_version": "1.1", "headers": []}
        cycle = RequestResponseCycle(
            scope, transport, FlowControl(transport), logging.getLogger(), logging.getLogger(), False, [],
            asyncio.Event(), False, keep_alive, lambda: None,
        )  # fmt: skip
        await cycle.run_asgi(Answer(cycle, app))
        return transport

    return asyncio.run(once())


class TestWrites:
    @pytest.mark.parametrize("headers", [{}, {"content-length": "3"}], ids=["chunks", "length"])
    @pytest.mark.parametrize("keep_alive", [True, False])
    def test_a_small_answer_is_one(self, headers: dict[str, str], keep_alive: bool) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(start(**headers))
            await send({"type": "http.response.body", "body": b"abc"})

        transport = run(app, keep_alive)
        assert bodies(transport.writes[0]) == [b"abc"] and len(transport.writes) == 1
        assert transport.closed_after == (None if keep_alive else 1)

    def test_a_large_body_goes_with_the_head_and_is_not_copied(self) -> None:
        content = bytearray(SMALL + 1)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(start())
            await send({"type": "http.response.body", "body": memoryview(content)})

        transport = run(app)
        assert len(transport.writes) == 1 and bodies(transport.writes[0]) == [content]
        assert any(isinstance(part, memoryview) and part.obj is content for part in transport.parts)

    def test_nothing_is_held_back_after_the_head(self) -> None:
        """A body that comes slowly, as with a fault, goes out as it comes."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(start())
            for more in (True, True, False):
                await send({"type": "http.response.body", "body": b"x", "more_body": more})

        first, *others = run(app).writes
        assert first.endswith(b"\r\n\r\n1\r\nx\r\n") and others == [b"1\r\nx\r\n", b"1\r\nx\r\n0\r\n\r\n"]

    def test_what_fails_before_the_body_is_a_clean_500(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(start())
            raise RuntimeError("no body")

        transport = run(app)
        assert b"".join(transport.writes).startswith(b"HTTP/1.1 500 ") and transport.is_closing()

    def test_what_fails_in_the_body_is_cut_off(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(start())
            await send({"type": "http.response.body", "body": b"abc", "more_body": True})
            raise RuntimeError("no more body")

        transport = run(app)
        assert b"".join(transport.writes).endswith(b"\r\n\r\n3\r\nabc\r\n") and transport.is_closing()


class TestFraming:
    """What the head of an answer says of the body (RFC 9112 §6), and that it is kept."""

    @pytest.mark.parametrize("status", [204, 304])
    def test_there_is_no_body_to_announce(self, status: int) -> None:
        (written,) = run(answers(b"", status=status)).writes
        assert b"transfer-encoding" not in written and written.endswith(b"\r\n\r\n")

    @pytest.mark.parametrize("headers", [{}, {"content-length": "3"}], ids=["chunks", "length"])
    def test_head_has_the_same_headers_and_no_body(self, headers: dict[str, str]) -> None:
        (written,) = run(answers(b"abc", **headers), method="HEAD").writes
        assert written.endswith(b"\r\n\r\n") and (b"content-length: 3\r\n" in written) == bool(headers)

    def test_a_body_that_is_too_long_is_not_sent(self) -> None:
        transport = run(answers(b"abcd", content_length="3"))
        assert b"abc" not in b"".join(transport.writes) and transport.is_closing()

    def test_a_body_that_is_too_short_ends_the_connection(self) -> None:
        transport = run(answers(b"ab", content_length="3"))
        assert b"".join(transport.writes).endswith(b"\r\n\r\nab") and transport.is_closing()

    @pytest.mark.parametrize("character", ["\r", "\n", "\0", "\x7f"])
    def test_no_header_ends_before_its_end(self, character: str) -> None:
        written = b"".join(run(answers(b"abc", x=f"one{character}x-forged: two")).writes)
        assert b"forged" not in written and written.startswith(b"HTTP/1.1 500 ")

    @pytest.mark.parametrize("value", ["close", "Close"])
    def test_an_answer_can_end_the_connection(self, value: str) -> None:
        transport = run(answers(b"abc", connection=value))
        assert transport.is_closing() and b"".join(transport.writes).lower().count(b"connection: close") == 1

    def test_the_client_is_told_that_the_connection_ends(self) -> None:
        assert b"\r\nconnection: close\r\n" in run(answers(b"abc"), keep_alive=False).writes[0]

    def test_a_status_without_a_name_keeps_its_blank(self) -> None:
        assert run(answers(b"", status=599)).writes[0].startswith(b"HTTP/1.1 599 \r\n")

    @pytest.mark.parametrize("types", [["body"], ["start", "start"], ["start", "body", "start"]], ids=" ".join)
    def test_messages_in_another_order_are_refused(self, types: list[str]) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for each in types:
                await send(start() if each == "start" else {"type": "http.response.body", "more_body": True})

        assert run(app).is_closing()


def answers(body: bytes, status: int = 200, **headers: str) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(**headers) | {"status": status})
        await send({"type": "http.response.body", "body": body})

    return app


def start(**headers: str) -> Message:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": given}
