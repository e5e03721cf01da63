"""benchmarks/server.py: it measures what it says, and nobody wins by errors."""

import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NUMBER = r"[\d,]+(\.\d+)?"


@pytest.fixture(scope="module")
def server() -> ModuleType:
    """benchmarks/server.py as a module, found as Python finds it when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import server as module

        yield module


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_quick_run_has_a_number_in_each_cell() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/server.py", "--quick", "--rows=stow-small,wado-image", "--servers=emulator,bare"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [cells(line) for line in done.stdout.splitlines() if line.startswith(("| stow-small", "| wado-image"))]
    speeds, costs = rows[:2], rows[2:]
    assert [row[0].partition(":")[0] for row in speeds] == [row[0] for row in costs] == ["stow-small", "wado-image"]
    for _, unit, emulator, bare, to_peer, goal, to_bound, bound in speeds:
        assert unit in {"instances/s", "requests/s"}
        assert re.fullmatch(NUMBER, emulator) and re.fullmatch(NUMBER, bare)
        assert to_peer == "–" and re.fullmatch(f"≥ {NUMBER}", goal)  # nobody took part who could be ahead
        assert re.fullmatch(NUMBER + r"( \*\*missed\*\*)?", to_bound) and bound == "≤ 2.5"
    for cell in (cell for row in costs for cell in row[1:]):
        assert re.fullmatch(rf"{NUMBER} ms, [1-9]\d* MiB", cell), cell


def test_rows_are_chosen_by_name_or_by_how_names_begin(server: ModuleType) -> None:
    assert [row.name for row in server.parse(["--rows=frame"]).rows] == ["frame"]
    assert [row.name for row in server.parse(["--rows=metadata,qido-d"]).rows] == [
        "metadata-first", "metadata-again", "qido-dates",
    ]  # fmt: skip
    with pytest.raises(SystemExit):
        server.parse(["--rows=nothing"])


def test_who_is_not_installed_is_left_out_and_it_says_so(
    server: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.servers, "ORTHANC", None)
    monkeypatch.setattr(server.servers, "installed", lambda package: "")
    with ExitStack() as stack:
        running, notes = server.start_servers(server.parse(["--servers=Orthanc,tiny"]), tmp_path, stack)
    assert running == [] and [note.partition(",")[0] for note in notes] == [
        "- Orthanc is left out",
        "- tiny-pacs is left out",
    ]


class OneAnswer:
    """A server that sends the same bytes to everybody, one by one, and hangs up."""

    name, root = "one answer", ""

    def __init__(self, answer: bytes):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if connection.recv(10_000):
                    for place in range(len(self.answer)):
                        connection.send(self.answer[place : place + 1])

    def sign_in(self) -> dict[str, str]:
        return {}


FRAMINGS = {
    "a length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
    "until the end": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello",
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_client_counts_the_bytes_of_the_body_alone(server: ModuleType, framing: str) -> None:
    there = OneAnswer(FRAMINGS[framing])
    connection = server.Connection(there.address)
    assert connection.exchange(b"GET / HTTP/1.1\r\n\r\n", keep=True) == server.Answer(200, 5, b"hello")


@pytest.mark.parametrize("status, length", [(200, 6), (500, 5)])
@pytest.mark.parametrize("clients", [1, 2])
def test_an_answer_of_another_status_or_length_than_the_first_counts_for_nothing(
    server: ModuleType, status: int, length: int, clients: int
) -> None:
    there, request = OneAnswer(FRAMINGS["a length"]), server.Exchange("GET", "/", "*/*")
    with pytest.raises(server.WrongAnswer, match="status 200 with 5 bytes, where the first answer had"):
        server.turn(there, lambda: iter([request]), clients, 0.0, server.Answer(status, length))
    assert server.turn(there, lambda: iter([request]), clients, 0.0, server.Answer(200, 5)).requests == clients


def test_a_ratio_needs_right_answers_to_the_end(server: ModuleType) -> None:
    def cell(*rates: float, trouble: str = "") -> object:
        return server.Cell([server.Turn(1, 1 / rate) for rate in rates], trouble=trouble)

    emulator, slow, quick = cell(10, 30, 20), cell(1, 1, 1), cell(5, 5, 5)
    best = server.fastest_peer({"emulator": emulator, "slow": slow, "quick": quick, "bare ASGI": cell(90, 90, 90)})
    assert str(best) == "4.00 (2.00–6.00)"
    broken = cell(100, 100, trouble="wrong: status 500")
    assert str(server.fastest_peer({"emulator": emulator, "slow": slow, "broken": broken})) == "20.0 (10.0–30.0)"
    assert server.fastest_peer({"emulator": broken, "slow": slow}) is None
