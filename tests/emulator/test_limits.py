"""How much of a request the emulator takes: heads, parts, JSON, bodies. Never a 5xx, never memory without a bound."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy
import pytest
import requests
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

import dicom_emulator
from benchmarks.load import ROOT, Emulator
from benchmarks.load import emulator as start_emulator
from dicom_emulator.wire import json_body
from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, path, split_multipart
from tests.emulator.pictures import compress
from tests.emulator.sockets import answer
from tests.emulator.storing import DICOM_JSON, post, stored

SOON = 60
HEALTH = "GET /health/check HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = (
    "POST /v2/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
    "Accept: application/dicom+json\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture(scope="module")
def server() -> Iterator[dicom_emulator.RunningServer]:
    with dicom_emulator.running(sign_in=False) as found:
        yield found


def connect(url: str, sent: str | bytes = b"") -> socket.socket:
    client = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=SOON)
    client.sendall(sent.encode() if isinstance(sent, str) else sent)
    return client


def asked(server: dicom_emulator.RunningServer, head: str) -> bytes:
    with connect(server.url, head + "\r\n") as client:
        return answer(client)


def alone(headers: list[str]) -> str:
    return HEALTH + "".join(f"{each}\r\n" for each in headers) + "Connection: close\r\n"


class TestHead:
    def test_the_longest_path_and_query(self, server: dicom_emulator.RunningServer) -> None:
        def of_length(length: int) -> str:
            target = "/v2/studies?PatientID="
            rest = "Host: localhost\r\nAccept: application/dicom+json\r\nConnection: close\r\n"
            return f"GET {target.ljust(length + 1, 'x')} HTTP/1.1\r\n{rest}"  # one more for the "?"

        assert asked(server, of_length(8192)).startswith(b"HTTP/1.1 204 ")
        refused = asked(server, of_length(8193))
        assert refused.startswith(b"HTTP/1.1 414 ") and refused.endswith(
            b"The path and the query string have more than 8192 bytes."
        )

    def test_the_most_headers(self, server: dicom_emulator.RunningServer) -> None:
        assert asked(server, alone([f"X-{n}: y" for n in range(98)])).startswith(b"HTTP/1.1 200 ")
        refused = asked(server, alone([f"X-{n}: y" for n in range(99)]))
        assert refused.startswith(b"HTTP/1.1 431 ") and refused.endswith(b"The request has more than 100 headers.")

    def test_the_largest_headers(self, server: dicom_emulator.RunningServer) -> None:
        others = len("HostlocalhostConnectioncloseX-Long")
        assert asked(server, alone(["X-Long: " + "y" * (32768 - others)])).startswith(b"HTTP/1.1 200 ")
        refused = asked(server, alone(["X-Long: " + "y" * (32769 - others)]))
        assert refused.startswith(b"HTTP/1.1 431 ") and refused.endswith(b"The headers have more than 32768 bytes.")

    def test_a_refusal_is_like_every_answer(self, server: dicom_emulator.RunningServer) -> None:
        head, _, _ = asked(server, alone(["X: y"] * 200)).lower().partition(b"\r\n\r\n")
        assert b"\r\nx-content-type-options: nosniff" in head and b"\r\nconnection: close" in head

    @pytest.mark.parametrize(
        ("beginning", "piece"),
        [
            (HEALTH + "X: ", b"a" * 100_000),
            (HEALTH, b"X: y\r\n" * 20_000),
            ("GET /", b"a" * 100_000),
            ("", b"a" * 100_000),
            (CHUNKED + "0\r\n", b"X: y\r\n" * 20_000),
            (CHUNKED + "1;", b"a" * 100_000),
        ],
        ids=["a header", "headers", "a path", "a method", "trailers", "an extension of a chunk"],
    )
    def test_what_has_no_end_is_not_taken(
        self, server: dicom_emulator.RunningServer, beginning: str, piece: bytes
    ) -> None:
        with connect(server.url, beginning) as client:
            with pytest.raises(ConnectionError):  # far more than the sockets hold
                for _ in range(640):
                    client.sendall(piece)
            reply = answer(client)
        assert not reply or reply[9:12] in {b"400", b"431"}
        assert requests.get(f"{server.url}/health/check", timeout=SOON).status_code == 200

    def test_a_head_a_little_too_large_in_pieces_is_told_so(self, server: dicom_emulator.RunningServer) -> None:
        with connect(server.url, HEALTH + "X: ") as client:
            client.sendall(b"a" * 65_536)
            reply = answer(client)
        assert reply.startswith(b"HTTP/1.1 431 ") and reply.endswith(b"The head has more than 65536 bytes.")

    def test_some_requests_may_come_in_a_row(self, server: dicom_emulator.RunningServer) -> None:
        with connect(server.url, (HEALTH + "\r\n") * 99 + alone([]) + "\r\n") as client:
            assert answer(client).count(b"HTTP/1.1 200 ") == 100


@pytest.fixture(scope="module")
def child() -> Iterator[Emulator]:
    """An emulator in a process of its own."""
    with start_emulator("--no-auth", every=0.02) as found:
        requests.get(f"{found.url}/health/check", timeout=SOON)
        yield found


def highest(child: Emulator, since: int) -> int:
    """The most memory that it had since the measurement of that number, and now."""
    return max([size for _, size in child.memory[since:]] + [child.process.memory_info().rss])


class TestMemory:
    @pytest.mark.parametrize(
        ("beginning", "piece"),
        [
            (HEALTH + "X: ", b"a" * 1_000_000),
            (HEALTH, b"X: y\r\n" * 200_000),
            (CHUNKED + "0\r\n", b"X: y\r\n" * 200_000),
        ],
        ids=["a header", "headers", "trailers"],
    )
    def test_what_has_no_end_costs_little(self, child: Emulator, beginning: str, piece: bytes) -> None:
        before, since = child.process.memory_info().rss, len(child.memory)
        with connect(child.url, beginning) as client:
            client.settimeout(2)
            with contextlib.suppress(ConnectionError, TimeoutError):
                for _ in range(64):
                    client.sendall(piece)
        assert requests.get(f"{child.url}/health/check", timeout=SOON).status_code == 200
        assert highest(child, since) - before < 20_000_000

    def test_requests_in_a_row_without_end_cost_little(self, child: Emulator) -> None:
        before, since = child.process.memory_info().rss, len(child.memory)
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                client = stack.enter_context(connect(child.url))
                client.settimeout(1)
                with contextlib.suppress(ConnectionError, TimeoutError):
                    client.sendall(b"GET / HTTP/1.1\r\n\r\n" * 50_000)
            assert requests.get(f"{child.url}/health/check", timeout=SOON).status_code == 200
        assert highest(child, since) - before < 20_000_000

    @pytest.mark.parametrize(
        "body",
        [
            b"[" + b"[]," * 9_900_000 + b"0]",
            b"[" + b"/**/" * 7_000_000 + b"0]",
            b'""' * 14_900_000,
            b'["' + "😀".encode() * 7_000_000 + b'"]',
            b"[" * 29_000_000,
        ],
        ids=["arrays", "comments", "strings", "a long text", "levels"],
    )
    def test_json_costs_at_most_ten_times_its_size(self, child: Emulator, body: bytes) -> None:
        before, since = child.process.memory_info().rss, len(child.memory)
        headers = {"Content-Type": "application/json"}
        response = requests.post(f"{child.url}/v2/extendedquerytags", body, headers=headers, timeout=SOON)
        assert response.status_code == 400
        assert highest(child, since) - before < 300_000_000


def test_memory_of_pieces_that_have_gone_by_is_used_again() -> None:
    """A page that comes from the system anew costs more than what is copied into it."""
    with start_emulator("--no-auth") as fresh:

        def store(times: int) -> None:
            for _ in range(times):
                body, content_type = multipart(*[instance(pixels=numpy.zeros((500, 1000), "u1")) for _ in range(10)])
                headers = {"Content-Type": content_type, "Accept": DICOM_JSON}
                assert requests.post(f"{fresh.url}/v2/studies", body, headers=headers, timeout=SOON).status_code == 200

        def faults() -> int:
            fields = Path(f"/proc/{fresh.process.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[7])  # minflt: proc_pid_stat(5)

        store(5)
        before = faults()
        store(10)
        assert faults() - before < 10 * 200, "5 MB are 1200 pages"


def test_more_connections_than_files_may_be_open_at_the_start() -> None:
    """Many systems begin with 1024 files or fewer, and allow far more."""
    command = [sys.executable, "-m", "dicom_emulator", "--port", "0", "--no-auth"]
    child = subprocess.Popen(
        ["sh", "-c", 'ulimit -S -n 100; exec "$@"', "sh", *command], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert child.stdout
        url = child.stdout.readline().split()[-1]
        clients = [connect(url) for _ in range(150)]
        body, content_type = multipart(instance())
        headers = {"Content-Type": content_type, "Accept": DICOM_JSON}
        assert requests.post(f"{url}/v2/studies", body, headers=headers, timeout=SOON).status_code == 200
        for client in clients:
            client.close()
    finally:
        child.terminate()
        child.communicate(timeout=SOON)


class TestParts:
    def test_the_most_parts(
        self, service: Service, emulator: dicom_emulator.RunningServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dicom_emulator.wire.multipart.MOST_PARTS", 5)
        assert len(stored(service.store(*(instance() for _ in range(5))))) == 5
        response = service.store(*(instance() for _ in range(6)))
        assert (response.status_code, response.text) == (
            400, "The multipart body is invalid. There are more than 5 parts.",
        )  # fmt: skip
        assert not list(emulator.state.service.archive.files.incoming.iterdir())

    @pytest.mark.parametrize(
        "headers",
        ["X: y\r\n" * 16, "X: " + "y" * 16_384 + "\r\n", "x" * 20_000 + ": y\r\n"],
        ids=["17 headers", "a long header", "a long name"],
    )
    def test_headers_of_a_part(self, service: Service, headers: str) -> None:
        part = f"--b\r\nContent-Type: application/dicom\r\n{headers}\r\n".encode() + instance() + b"\r\n--b--\r\n"
        response = post(service, part, "multipart/related; boundary=b")
        assert response.status_code == 400 and response.text.startswith("The multipart body is invalid.")

    def test_the_request_log_lists_some_of_many_parts(
        self, service: Service, emulator: dicom_emulator.RunningServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dicom_emulator.control.request_log.LISTED_PARTS", 3)
        service.store(*(instance() for _ in range(5)))
        assert len(emulator.control.requests()[-1]["parts"]) == 3


JSON_BODIES = [
    ("POST", "/v2/extendedquerytags", "application/json"),
    ("PATCH", "/v2/extendedquerytags/PatientAge", "application/json"),
    ("POST", "/v2/studies/$bulkUpdate", "application/json"),
    ("POST", "/v2/export", "application/json"),
    ("POST", "/v2/workitems?1.2.3", DICOM_JSON),
    ("POST", "/v2/workitems/1.2.3", DICOM_JSON),
    ("PUT", "/v2/workitems/1.2.3/state", DICOM_JSON),
    ("POST", "/v2/workitems/1.2.3/cancelrequest", DICOM_JSON),
]
CONTROL_BODIES = [
    ("POST", "/_emulator/seed", "application/json"),
    ("POST", "/_emulator/faults", "application/json"),
    ("POST", "/_emulator/snapshots", "application/json"),
    ("PUT", "/_emulator/operations", "application/json"),
]


def send(service: Service, to: tuple[str, str, str], body: Any) -> requests.Response:
    method, below, content_type = to
    headers = {"Content-Type": content_type, "Accept": DICOM_JSON}
    return service.owner.request(method, f"{service.url}{below}", data=body, headers=headers, timeout=SOON)


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


class TestJson:
    @pytest.mark.parametrize("to", JSON_BODIES, ids=lambda to: " ".join(to[:2]))
    def test_a_body_in_chunks_that_is_too_large_is_413(self, service: Service, to: tuple[str, str, str]) -> None:
        response = send(service, to, (b" " * 1_000_000 for _ in range(31)))
        assert response.status_code == 413
        assert response.text == "The request exceeded the allowed limit of 30000000 bytes."

    @pytest.mark.parametrize("levels", [129, 900, 990, 5000, 100_000])
    @pytest.mark.parametrize("to", JSON_BODIES, ids=lambda to: " ".join(to[:2]))
    def test_levels(self, service: Service, to: tuple[str, str, str], levels: int) -> None:
        response = send(service, to, nested(levels))
        assert response.status_code == 400 and "The JSON value could not be read: " in response.text

    @pytest.mark.parametrize("body", [nested(128), b'{"Path":' * 128 + b"0" + b"}" * 128], ids=["arrays", "objects"])
    @pytest.mark.parametrize("to", JSON_BODIES + CONTROL_BODIES, ids=lambda to: " ".join(to[:2]))
    def test_the_most_levels_are_looked_at(self, service: Service, to: tuple[str, str, str], body: bytes) -> None:
        response = send(service, to, body)
        assert response.status_code == 400 and "could not be read: it is nested" not in response.text

    @pytest.mark.parametrize("body", [nested(129), nested(100_000), b"[" + b"0," * 500_001 + b"0]", b" " * 30_000_001])
    @pytest.mark.parametrize("to", CONTROL_BODIES, ids=lambda to: " ".join(to[:2]))
    def test_control_has_the_same_limits(self, service: Service, to: tuple[str, str, str], body: bytes) -> None:
        response = send(service, to, body)
        assert response.status_code == 400 and response.text.startswith("The body is a JSON object")

    @pytest.mark.parametrize("to", JSON_BODIES, ids=lambda to: " ".join(to[:2]))
    def test_the_most_values(self, service: Service, to: tuple[str, str, str]) -> None:
        assert "it has more than" not in send(service, to, b"[" + b"0," * 499_999 + b"0]").text
        response = send(service, to, b"[" + b"0," * 500_000 + b"0]")
        assert response.status_code == 400 and "it has more than 500000 values" in response.text

    def test_reading_a_large_body_holds_nobody_up(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        reading, others_are_served = threading.Event(), threading.Event()
        parse = json_body.parse_json

        def patient(*arguments: Any) -> Any:
            reading.set()
            assert others_are_served.wait(SOON)
            return parse(*arguments)

        monkeypatch.setattr(json_body, "parse_json", patient)
        answers: list[requests.Response] = []
        thread = threading.Thread(target=lambda: answers.append(send(service, JSON_BODIES[0], b"[]")))
        thread.start()
        assert reading.wait(SOON)
        assert service.nobody.get(f"{service.url}/health/check", timeout=5).status_code == 200
        others_are_served.set()
        thread.join(SOON)
        assert answers[0].status_code == 400

    def test_a_number_of_any_size(self, service: Service) -> None:
        response = send(service, JSON_BODIES[4], b'[{"00000000": 1e' + b"9" * 30 + b"}]")
        assert response.status_code == 400

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            (r'["\ud83d\ude00"]', ["😀"]),
            (r'[/* "\ud83d" */ "//", "/*", ",]",]', ["//", "/*", ",]"]),
            (r'["\"//", // x' + "\n1, {},]", ['"//', 1, {}]),
        ],
    )
    def test_what_is_read_is_what_was_written(self, text: str, value: Any) -> None:
        assert json_body.parse_json(text.encode()) == value


class TestLyingLengths:
    @pytest.mark.parametrize("declared", ["-1", "1e3", "99999999999999999999999", "0x10", "5, 6", "", "+5", "1_0"])
    def test_a_length_that_is_none(self, server: dicom_emulator.RunningServer, declared: str) -> None:
        head = f"POST /v2/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\nContent-Length: {declared}\r\n"
        reply = asked(server, head + "Connection: close\r\nAccept: application/dicom+json\r\n")
        assert not reply or reply[9:12] < b"500"
        assert requests.get(f"{server.url}/health/check", timeout=SOON).status_code == 200

    def test_less_is_declared_than_comes(self, server: dicom_emulator.RunningServer) -> None:
        file = instance()
        head = f"Host: localhost\r\nContent-Type: application/dicom\r\nAccept: application/dicom+json\r\nContent-Length: {len(file)}"
        with connect(
            server.url, f"POST /v2/studies HTTP/1.1\r\n{head}\r\n\r\n".encode() + file + b"\0 more \0"
        ) as client:
            reply = answer(client)
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert requests.get(f"{server.url}/v2/{path(file)}/metadata", headers={"Accept": DICOM_JSON}, timeout=SOON).ok

    def test_both_a_length_and_chunks(self, server: dicom_emulator.RunningServer) -> None:
        with connect(server.url, CHUNKED[:-2] + "Content-Length: 5\r\nConnection: close\r\n\r\n0\r\n\r\n") as client:
            assert answer(client)[9:12] in {b"400", b"409"}


class TestLongPaths:
    def test_thousands_of_frames(self, service: Service) -> None:
        file = instance(pixels=numpy.arange(64, dtype="u1").reshape(1, 8, 8))
        service.store(file)
        numbers = ",".join(["1"] * 3900)
        accept = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
        response = service.owner.get(f"{service.v2}/{path(file)}/frames/{numbers}", headers=accept)
        assert [body for _, body in split_multipart(response)] == [bytes(range(64))] * 3900

    def test_a_frame_is_converted_once_however_often_it_is_named(
        self, service: Service, emulator: dicom_emulator.RunningServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pixels = numpy.arange(128, dtype="u1").reshape(2, 8, 8)
        file = compress(instance(pixels=pixels), RLELossless)
        service.store(file)
        codecs, converted = emulator.state.service.codecs, []
        run = codecs.run

        async def noting(function: Any, *arguments: Any) -> Any:
            converted.append(arguments[2])
            return await run(function, *arguments)

        monkeypatch.setattr(codecs, "run", noting)
        accept = {
            "Accept": f'multipart/related; type="application/octet-stream"; transfer-syntax={ExplicitVRLittleEndian}'
        }
        response = service.owner.get(f"{service.v2}/{path(file)}/frames/2,1,2,2", headers=accept)
        assert [body for _, body in split_multipart(response)] == [pixels[n].tobytes() for n in (1, 0, 1, 1)]
        assert converted == [[2, 1]]

    @pytest.mark.parametrize(
        "query",
        [
            "&".join(f"{n:08x}=1" for n in range(700)),
            "&".join(["PatientID=1"] * 650),
            "&" * 8000,
            "includefield=" + ",".join(["PatientID"] * 800),
            "PatientName=" + "*" * 8000,
            "fuzzymatching=true&PatientName=" + "%20".join("ab" for _ in range(1500)),
        ],
        ids=["parameters", "the same parameter", "nothing", "fields", "wildcards", "words"],
    )
    def test_a_long_query_is_answered(self, service: Service, query: str) -> None:
        service.store(instance(PatientName="ab^cd"))
        response = service.owner.get(f"{service.v2}/studies?{query}", headers={"Accept": DICOM_JSON}, timeout=SOON)
        assert response.status_code in {200, 204, 400}
        assert response.status_code != 200 or json.loads(response.content)
