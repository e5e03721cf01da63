"""Clients that dawdle, fall silent or vanish: others are served, and nothing of them stays behind."""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import numpy
import pytest
import requests

import dicom_emulator
from benchmarks.load import Emulator, emulator
from dicom_emulator import channel, connection
from tests.emulator.conftest import SOON, session, wait_for
from tests.emulator.dicom_files import instance, multipart, path
from tests.emulator.sockets import answer

EACH = 40  # slow clients of each kind: more than there are worker threads (at most 32)
JSON = {"Accept": "application/dicom+json"}
AS_STORED = {"Accept": "application/dicom; transfer-syntax=*"}
TYPE = 'Content-Type: multipart/related; type="application/dicom"; boundary=b'
HEAD = f"POST /v2/studies HTTP/1.1\r\nHost: localhost\r\nAccept: application/dicom+json\r\n{TYPE}\r\n".encode()
UPLOAD = HEAD + b"Content-Length: 3000000\r\n\r\n--b\r\nContent-Type: application/dicom\r\n\r\n"
CHECK = b"GET /health/check HTTP/1.1\r\nHost: localhost\r\n\r\n"
IDLE = 0.8  # seconds, for the tests of idle connections: half of it is what a busy machine may lose
LARGE = 24_000_000  # bytes, much more than sockets hold


@pytest.fixture(scope="module")
def server() -> Iterator[Emulator]:
    with emulator("--no-auth") as found:
        yield found


@pytest.fixture(scope="module")
def idle(server: Emulator) -> int:
    """What the emulator holds while nobody asks for anything."""
    return held(server)


@pytest.fixture
def large(server: Emulator) -> Iterator[str]:
    """The path of an instance that is too large for the sockets between server and client."""
    file = large_instance()
    store(server, file)
    yield f"/v2/{path(file)}"
    session().delete(f"{server.url}/v2/{path(file)}", timeout=SOON)


def large_instance() -> bytes:
    return instance(pixels=numpy.zeros((LARGE // 4000, 4000), "u1"))


def store(server: Emulator, *files: bytes) -> None:
    body, content_type = multipart(*files)
    headers = JSON | {"Content-Type": content_type}
    assert session().post(f"{server.url}/v2/studies", body, headers=headers, timeout=SOON).status_code == 200


def download(target: str) -> bytes:
    headers = "Host: localhost\r\nAccept: application/dicom; transfer-syntax=*\r\nConnection: close"
    return f"GET {target} HTTP/1.1\r\n{headers}\r\n\r\n".encode()


def connect(url: str, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=SOON)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    client.sendall(sent)
    return client


def incoming(server: Emulator) -> list[Path]:
    """The files in which something is arriving."""
    return list((server.data_dir / "incoming").iterdir())


def held(server: Emulator) -> int:
    """Connections and files of the archive that the emulator has open; not those of its database."""
    files = [file for file in server.process.open_files() if not Path(file.path).name.startswith("index.db")]
    connections = [each for each in server.process.net_connections("tcp") if each.status == "ESTABLISHED"]
    return len(files) + len(connections)


@contextlib.contextmanager
def a_byte_a_second(senders: list[socket.socket], readers: list[socket.socket]) -> Iterator[None]:
    """Each of `senders` sends a byte a second, each of `readers` takes one."""
    ended = threading.Event()

    def dawdle() -> None:
        while not ended.wait(1):
            for client in senders:
                client.sendall(b"x")
            for client in readers:
                assert len(client.recv(1)) == 1

    thread = threading.Thread(target=dawdle)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_slow_clients_hold_nobody_up(server: Emulator, idle: int, large: str) -> None:
    with contextlib.ExitStack() as stack:

        def clients(sent: bytes) -> list[socket.socket]:
            return [stack.enter_context(connect(server.url, sent)) for _ in range(EACH)]

        slow_heads, slow_bodies, slow_readers = clients(HEAD + b"X-Slow: "), clients(UPLOAD), clients(download(large))
        with a_byte_a_second(slow_heads + slow_bodies, slow_readers):
            assert wait_for(lambda: held(server) >= idle + 3 * EACH)
            for _ in range(5):
                work(server)
            time.sleep(2.5)
            work(server)
        assert all(client.recv(1) for client in slow_readers)  # they were served all the while
    assert wait_for(lambda: held(server) <= idle and not incoming(server))
    assert server.process.num_threads() <= 40


def work(server: Emulator) -> None:
    """Store, retrieve, search and delete, each of which must be done soon."""
    client = session()
    file = instance(PatientID="QUICK")
    store(server, file)
    url = f"{server.url}/v2/{path(file)}"
    assert client.get(url, headers=AS_STORED, timeout=SOON).content == file
    rows = client.get(f"{server.url}/v2/studies?PatientID=QUICK", headers=JSON, timeout=SOON).json()
    assert len(rows) == 1
    assert client.delete(url, timeout=SOON).status_code == 204


@pytest.mark.parametrize("how", ["says goodbye", "resets"])
@pytest.mark.parametrize("where", ["before its head ends", "in its body", "in one file", "in the answer"])
def test_who_vanishes_leaves_nothing_behind(server: Emulator, idle: int, large: str, where: str, how: str) -> None:
    one_file = b"POST /v2/studies HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/dicom\r\n"
    sent = {
        "before its head ends": HEAD,
        "in its body": UPLOAD + bytes(2_000_000),
        "in one file": one_file + b"Content-Length: 3000000\r\n\r\n" + bytes(2_000_000),
        "in the answer": download(large),
    }[where]
    logged = server.log.stat().st_size
    clients = [connect(server.url, sent) for _ in range(10)]
    if where == "in the answer":
        assert all(client.recv(10) == b"HTTP/1.1 2" for client in clients)
    elif where != "before its head ends":
        assert wait_for(lambda: len(incoming(server)) == 10)
    assert wait_for(lambda: held(server) >= idle + 10)
    for client in clients:
        if how == "resets":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert wait_for(lambda: held(server) <= idle and not incoming(server))
    work(server)
    aborted = 10 if where in {"in its body", "in one file"} else 0
    assert wait_for(lambda: server.log.read_bytes()[logged:].count(b"POST /v2/studies aborted") >= aborted)
    lines = server.log.read_bytes()[logged:].decode()
    assert "Traceback" not in lines and " 500 " not in lines


def test_slow_readers_of_a_large_answer_cost_little_memory(server: Emulator, large: str) -> None:
    """Without a word from the clients' side, each answer would be read into memory: 40 times 24 MB."""
    work(server)
    before = server.process.memory_info().rss
    clients = [connect(server.url, download(large)) for _ in range(EACH)]
    for client in clients:
        for _ in range(50):
            assert client.recv(10_000)
    time.sleep(0.5)
    grown = server.process.memory_info().rss - before
    for client in clients:
        client.close()
    assert grown < EACH * 4_000_000


@dataclass
class Made:
    """Something large that is made for each client who asks."""

    target: str
    accept: str
    clients: int = EACH


@pytest.fixture(params=["converted file", "converted frames", "picture", "metadata"])
def made(request: pytest.FixtureRequest, server: Emulator) -> Iterator[Made]:
    pixels = numpy.random.default_rng(1).integers(0, 256, (3000, 4000), "uint8")
    transfer_syntax = {"converted file": "1.2.840.10008.1.2.2", "converted frames": "1.2.840.10008.1.2.1.99"}
    attributes = {"TextValue": "x" * pixels.size} if request.param == "metadata" else {"pixels": pixels}
    file = instance(transfer_syntax.get(request.param, "1.2.840.10008.1.2.1"), **attributes)
    store(server, file)
    url = f"/v2/{path(file)}"
    yield {
        "converted file": Made(url, "application/dicom"),
        "converted frames": Made(f"{url}/frames/1", 'multipart/related; type="application/octet-stream"'),
        "picture": Made(f"{url}/rendered", "image/png", clients=4),  # takes longer than all others
        "metadata": Made(f"{url}/metadata", "application/dicom+json"),
    }[request.param]
    session().delete(f"{server.url}{url}", timeout=SOON)


def test_slow_readers_of_what_is_made_for_them_cost_little_memory(server: Emulator, idle: int, made: Made) -> None:
    """It waits in a file, which goes with them."""
    sent = download(made.target).replace(b"application/dicom; transfer-syntax=*", made.accept.encode())
    whole = answer(connect(server.url, sent))
    assert whole.startswith(b"HTTP/1.1 200 ") and len(whole) > 11_000_000
    before = server.process.memory_info().rss
    clients = [connect(server.url, sent) for _ in range(made.clients)]
    for client in clients:
        client.settimeout(4 * SOON)
        assert client.recv(10) == whole[:10]
    assert len(incoming(server)) == made.clients
    grown = server.process.memory_info().rss - before
    assert len(answer(clients[0])) == len(whole) - 10
    for client in clients:
        client.close()
    assert wait_for(lambda: held(server) <= idle and not incoming(server))
    assert grown < EACH * 4_000_000 + 10 * len(whole)  # the latter for threads that made it, and keep the memory


def test_a_large_upload_costs_little_memory(server: Emulator) -> None:
    work(server)
    before = server.process.memory_info().rss
    clients = [connect(server.url, UPLOAD.replace(b"3000000", b"30000000")) for _ in range(8)]
    for client in clients:
        for _ in range(29):
            client.sendall(bytes(1_000_000))
    grown = server.process.memory_info().rss - before
    for client in clients:
        client.close()
    assert wait_for(lambda: not incoming(server))
    assert grown < 8 * 4_000_000


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[dicom_emulator.RunningServer]:
    """An emulator with little patience."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(channel, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(channel, "PATIENCE", 0.3)
    with dicom_emulator.running(sign_in=False) as found:
        yield found


@pytest.mark.parametrize("sent", [b"", b"GET", HEAD, HEAD + b"X-Endless: "], ids=["nothing", "a word", "half", "more"])
def test_a_head_has_to_come_in_time(short: dicom_emulator.RunningServer, sent: bytes) -> None:
    assert answer(connect(short.url, sent)).startswith(b"HTTP/1.1 408 ")


def test_a_head_has_to_come_in_time_after_another_request_too(short: dicom_emulator.RunningServer) -> None:
    with connect(short.url, b"GET /health/check HTTP/1.1\r\nHost: localhost\r\n\r\n") as client:
        first = http.client.HTTPResponse(client)
        first.begin()
        assert first.status == 200 and first.read()
        client.sendall(b"GET /health/ch")
        assert answer(client).startswith(b"HTTP/1.1 408 ")


def test_who_falls_silent_in_a_body_is_told_so(short: dicom_emulator.RunningServer) -> None:
    reply = answer(connect(short.url, UPLOAD + bytes(10)))
    assert reply.startswith(b"HTTP/1.1 408 ") and b"Nothing of the body has come for 0.3 seconds." in reply
    incoming = short.state.service.archive.files.incoming
    assert wait_for(lambda: not list(incoming.iterdir()))


def test_who_pauses_and_goes_on_is_served(short: dicom_emulator.RunningServer) -> None:
    file = instance()
    body, content_type = multipart(file)

    def hesitating() -> Iterator[bytes]:
        for start in range(0, len(body), 200):
            time.sleep(0.1)
            yield body[start : start + 200]

    headers = JSON | {"Content-Type": content_type}
    assert requests.post(f"{short.url}/v2/studies", hesitating(), headers=headers, timeout=SOON).status_code == 200


def test_a_long_answer_is_no_silence_of_the_client(short: dicom_emulator.RunningServer) -> None:
    file = large_instance()
    body, content_type = multipart(file)
    headers = JSON | {"Content-Type": content_type}
    assert requests.post(f"{short.url}/v2/studies", body, headers=headers, timeout=SOON).status_code == 200
    with connect(short.url, download(f"/v2/{path(file)}")) as client:
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.8)
        assert len(answer(client)) > LARGE


def test_a_refused_body_without_end_is_not_read_for_ever(short: dicom_emulator.RunningServer) -> None:
    head = b"POST /v2/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    reply, until = b"", time.monotonic() + SOON
    with connect(short.url, head) as client:
        client.settimeout(0.01)
        while not reply and time.monotonic() < until:  # never silent
            with contextlib.suppress(ConnectionError):
                client.sendall(b"3e8\r\n" + bytes(1000) + b"\r\n")
            with contextlib.suppress(TimeoutError):
                reply = client.recv(65536)
    assert reply.startswith(b"HTTP/1.1 415 ") and b"\r\nconnection: close\r\n" in reply.lower()


class TestIdle:
    """A connection that nothing comes on is closed some time after the last answer, and not before."""

    @pytest.fixture
    def hasty(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[dicom_emulator.RunningServer]:
        made = connection.Connection.connection_made

        def connection_made(self: connection.Connection, transport: Any) -> None:
            made(self, transport)
            self.timeout_keep_alive = IDLE  # type: ignore[assignment]  # seconds

        monkeypatch.setattr(connection.Connection, "connection_made", connection_made)
        with dicom_emulator.running(sign_in=False) as found:
            yield found

    def test_it_is_closed_in_time(self, hasty: dicom_emulator.RunningServer) -> None:
        with connect(hasty.url) as client:
            ask(client)
            started = time.monotonic()
            assert answer(client) == b""
            assert IDLE * 0.9 < time.monotonic() - started < SOON

    def test_each_request_begins_it_anew(self, hasty: dicom_emulator.RunningServer) -> None:
        with connect(hasty.url) as client:
            for _ in range(5):
                ask(client)
                asked = time.monotonic()
                time.sleep(IDLE * 0.5)
            assert answer(client) == b""
            assert IDLE * 0.9 < time.monotonic() - asked < SOON

    def test_a_request_of_which_a_part_has_come_is_waited_for(
        self, hasty: dicom_emulator.RunningServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        with connect(hasty.url) as client:
            ask(client)
            client.sendall(CHECK[:10])
            time.sleep(IDLE * 2.5)
            ask(client, CHECK[10:])
            time.sleep(IDLE * 0.5)
            ask(client)
            assert answer(client) == b""
        assert not caplog.records

    def test_a_long_answer_is_not_cut_off(self, hasty: dicom_emulator.RunningServer) -> None:
        with connect(hasty.url) as client:
            ask(client)
            with mock.patch("dicom_emulator.control.home.counts", side_effect=lambda *_: time.sleep(IDLE * 2.5) or {}):
                ask(client, CHECK.replace(b"health/check", b"_emulator/summary"))
            assert answer(client) == b""

    def test_requests_in_a_row_are_all_answered_first(self, hasty: dicom_emulator.RunningServer) -> None:
        with connect(hasty.url, CHECK * 20) as client:
            assert answer(client).count(b"HTTP/1.1 200 ") == 20

    def test_who_has_left_is_forgotten_at_once(self, hasty: dicom_emulator.RunningServer) -> None:
        with mock.patch.object(connection.Connection, "hang_up_if_idle", autospec=True) as hang_up:
            with connect(hasty.url) as client:
                ask(client)
            time.sleep(IDLE * 2)
        assert not hang_up.called


def ask(client: socket.socket, sent: bytes = CHECK) -> None:
    """Send a request, or the rest of one, and read its answer."""
    client.sendall(sent)
    reply = http.client.HTTPResponse(client)
    reply.begin()
    assert reply.status == 200 and reply.read()


def test_slow_clients_do_not_keep_the_emulator_from_ending(tmp_path: Path) -> None:
    """One that has sent nothing, or only the beginning of a request, is not waited for."""
    with emulator("--no-auth") as server:
        clients = [connect(server.url, sent) for sent in (b"", b"GET /v2", HEAD)]
        began = time.monotonic()
    assert time.monotonic() - began < SOON
    assert all(answer(client) == b"" for client in clients)
