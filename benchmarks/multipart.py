"""Multipart bodies: the helpers beside the tutorial's way and dicomweb-client, in time and memory.

Five tasks: encode files for an upload, decode a reply that is in memory, POST files, GET parts into arrays, GET parts
into files. Four ways: `helpers`; `tutorial` (urllib3.encode_multipart_formdata, requests_toolbelt.MultipartDecoder);
`dicomweb-client`; `copy`, the bound, where each byte is moved once and nothing is looked at. POST and GET go through
loopback to a process that only takes or gives bytes. Received files are written to /dev/shm.

Each measurement is a process of its own that does the task once, after it has done it with a tiny body, and whose
result is compared with the files. The ways take turns, each turn beginning with another one. A ratio is the median over
all turns; a time is the best one. Memory is how far the peak rises above the start of the task, less what the caller
keeps.
"""

import argparse
import multiprocessing
import os
import platform
import random
import socket
import statistics
import sys
import tempfile
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import requests
from dicomweb_client import DICOMwebClient
from requests_toolbelt import MultipartDecoder
from urllib3.filepost import RequestField, encode_multipart_formdata

from benchmarks.side_by_side.results import show
from helpers.multipart import BLOCK, MultipartRelatedStream, iter_parts, parts_of
from helpers.session import LargeBlocks

IN_MEMORY = "/dev/shm"  # where received files go, so that no disk has a say; those to send are in the page cache
BOUNDARY = "benchmark-0f3cf5c0-70e0-41ef-baef"
CONTENT_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
MEGABYTE = 1_000_000
PACKAGES = ("requests", "urllib3", "python-multipart", "requests-toolbelt", "dicomweb-client")


@dataclass(frozen=True)
class Size:
    """A body of `count` files of `size` bytes, measured in `turns` turns."""

    count: int
    size: int
    turns: int

    def __str__(self) -> str:
        return f"{self.count} × {self.size / MEGABYTE:g} MB"

    @property
    def total(self) -> int:
        return self.count * self.size


SIZES = [Size(3, 2_900_000, 15), Size(500, 500_000, 5), Size(1, 500_000_000, 3)]
QUICK = [Size(3, 290_000, 1), Size(50, 5_000, 1), Size(1, 2_000_000, 1)]
TINY = Size(3, 1_000, 1)  # what each process does first: imports, connections and the like are not measured


@dataclass(frozen=True)
class Case:
    """What a task works on: the files to send, which are also what is received, and where the peer listens."""

    size: Size
    files: list[Path]
    target: Path  # a folder for what is received
    url: str
    session: requests.Session
    client: DICOMwebClient
    reply: requests.Response | None = None  # of the task `decode`: one that has been read

    @property
    def resource(self) -> str:
        return f"{self.url}/{self.size.count}x{self.size.size}"

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)


# ------------------------------------------------------------------------------------------------ encode: files -> body

Pieces = Iterable[bytes | memoryview]


def encode_helpers(case: Case) -> Pieces:
    return MultipartRelatedStream(case.files, BOUNDARY)


def encode_tutorial(case: Case) -> Pieces:
    fields = []
    for path in case.files:
        field = RequestField(name=path.name, data=path.read_bytes(), filename="dicomfile")
        field.make_multipart(content_type="application/dicom")
        fields.append(field)
    return [encode_multipart_formdata(fields, BOUNDARY)[0]]


def encode_dicomweb_client(case: Case) -> Pieces:
    return [DICOMwebClient._encode_multipart_message([path.read_bytes() for path in case.files], CONTENT_TYPE)]


def encode_copy(case: Case) -> Pieces:
    buffer = memoryview(bytearray(BLOCK))
    for path in case.files:
        with path.open("rb", buffering=0) as file:
            while size := file.readinto(buffer):
                yield buffer[:size]


def consume(pieces: Pieces) -> None:
    """What a socket does with a body, without the socket."""
    for piece in pieces:
        len(piece)


# --------------------------------------------------------------------------------------- decode: body in memory -> parts


def decode_helpers(case: Case) -> list[Any]:
    return [part.view for part in parts_of(case.reply)]


def decode_tutorial(case: Case) -> list[Any]:
    return [part.content for part in MultipartDecoder.from_response(case.reply).parts]


def decode_dicomweb_client(case: Case) -> list[Any]:
    return list(case.client._decode_multipart_message(case.reply, stream=False))


def decode_copy(case: Case) -> None:
    buffer, body = memoryview(bytearray(BLOCK)), memoryview(case.reply.content)
    for start in range(0, len(body), BLOCK):
        piece = body[start : start + BLOCK]
        buffer[: len(piece)] = piece


# ------------------------------------------------------------------------------------------------ post: files -> socket


def post_helpers(case: Case) -> bytes:
    body = MultipartRelatedStream(case.files, BOUNDARY)
    return case.session.post(case.resource, data=body, headers={"Content-Type": body.content_type}).content


def post_tutorial(case: Case) -> bytes:
    (body,) = encode_tutorial(case)
    return case.session.post(case.resource, data=body, headers={"Content-Type": CONTENT_TYPE}).content


def post_dicomweb_client(case: Case) -> bytes:
    # The public store_instances() takes data sets, and would write them first.
    contents = [path.read_bytes() for path in case.files]
    content = case.client._encode_multipart_message(contents, CONTENT_TYPE)
    return case.client._http_post(case.resource, content, {"Content-Type": CONTENT_TYPE}).content


def post_copy(case: Case) -> None:
    with socket.create_connection(case.address) as peer:
        peer.sendall(f"POST / HTTP/1.1\r\nContent-Length: {case.size.total}\r\n\r\n".encode())
        for piece in encode_copy(case):
            peer.sendall(piece)
        peer.recv(BLOCK)


# --------------------------------------------------------------------------------------- get: socket -> arrays, or files


def get_arrays_helpers(case: Case) -> list[Any]:
    with case.session.get(case.resource, stream=True) as response:
        return [numpy.frombuffer(part.view, "uint8") for part in iter_parts(response)]


def get_arrays_tutorial(case: Case) -> list[Any]:
    parts = MultipartDecoder.from_response(case.session.get(case.resource)).parts
    return [numpy.frombuffer(part.content, "uint8") for part in parts]


def get_arrays_dicomweb_client(case: Case) -> list[Any]:
    return [numpy.frombuffer(content, "uint8") for content in case.client.iter_bulkdata(case.resource)]


def get_arrays_copy(case: Case) -> list[Any]:
    with socket.create_connection(case.address) as peer:
        left = start_get(peer, case)
        array = numpy.empty(left, "uint8")
        view = memoryview(array)
        while left:
            left -= peer.recv_into(view[-left:])
    return [array]


def get_files_helpers(case: Case) -> None:
    with case.session.get(case.resource, stream=True) as response:
        for number, part in enumerate(iter_parts(response)):
            part.save(case.target / str(number))


def get_files_tutorial(case: Case) -> None:
    for number, part in enumerate(MultipartDecoder.from_response(case.session.get(case.resource)).parts):
        (case.target / str(number)).write_bytes(part.content)


def get_files_dicomweb_client(case: Case) -> None:
    for number, content in enumerate(case.client.iter_bulkdata(case.resource)):
        (case.target / str(number)).write_bytes(content)


def get_files_copy(case: Case) -> None:
    buffer = memoryview(bytearray(BLOCK))
    with socket.create_connection(case.address) as peer, (case.target / "0").open("wb", buffering=0) as file:
        left = start_get(peer, case)
        while left:
            size = peer.recv_into(buffer)
            file.write(buffer[:size])
            left -= size


def start_get(peer: socket.socket, case: Case) -> int:
    """Send the request and read the head of the reply; return how long its body is."""
    peer.sendall(f"GET {case.resource.removeprefix(case.url)} HTTP/1.1\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += peer.recv(1)
    return content_length(head)


# ------------------------------------------------------------------------------------------------------------- the table


@dataclass(frozen=True)
class Task:
    title: str
    ways: dict[str, Callable[[Case], Any]]
    goals: dict[str, float]  # way -> how many times as long it should take
    memory: Callable[[Size], float]  # the most bytes beyond what is kept that the helpers should need


def in_ways(helpers: Any, tutorial: Any, dicomweb_client: Any, copy: Any) -> dict[str, Callable[[Case], Any]]:
    return {"helpers": helpers, "tutorial": tutorial, "dicomweb-client": dicomweb_client, "copy": copy}


TASKS = {
    "encode": Task(
        "encode files for an upload",
        in_ways(encode_helpers, encode_tutorial, encode_dicomweb_client, encode_copy),
        {"tutorial": 10, "dicomweb-client": 10},
        lambda size: max(0.02 * size.total, MEGABYTE),
    ),
    "decode": Task(
        "decode a body in memory",
        in_ways(decode_helpers, decode_tutorial, decode_dicomweb_client, decode_copy),
        {"tutorial": 7, "dicomweb-client": 5},
        lambda size: MEGABYTE,
    ),
    "post": Task(
        "POST files",
        in_ways(post_helpers, post_tutorial, post_dicomweb_client, post_copy),
        {"tutorial": 3, "dicomweb-client": 3},
        lambda size: 8 * MEGABYTE,
    ),
    "get-arrays": Task(
        "GET into arrays",
        in_ways(get_arrays_helpers, get_arrays_tutorial, get_arrays_dicomweb_client, get_arrays_copy),
        {"tutorial": 2.5, "dicomweb-client": 1.3},
        lambda size: max(0.1 * size.total, 8 * MEGABYTE),
    ),
    "get-files": Task(
        "GET into files",
        in_ways(get_files_helpers, get_files_tutorial, get_files_dicomweb_client, get_files_copy),
        {"tutorial": 2.5, "dicomweb-client": 1.3},
        lambda size: 8 * MEGABYTE,
    ),
}


@dataclass(frozen=True)
class Measurement:
    seconds: float
    memory: int  # bytes
    right: bool  # whether every byte is as it should be


Table = dict[tuple[str, Size, str], list[Measurement]]


# ------------------------------------------------------------------------------------------------------ one measurement


def measure(task: str, way: str, size: Size, folder: Path, url: str) -> Measurement:
    """Do a task once, in a process of its own."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=lambda: there.send(in_process(task, way, size, folder, url)))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        raise SystemExit(f"{TASKS[task].title}, {size}, {way}: it failed, and the lines above say why") from None
    finally:
        process.join()


def in_process(task: str, way: str, size: Size, folder: Path, url: str) -> Measurement:
    do = TASKS[task].ways[way]
    session, client = requests.Session(), DICOMwebClient(url)
    session.trust_env = client._session.trust_env = False
    if way == "helpers":
        session.mount("http://", LargeBlocks())
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if os.path.isdir(IN_MEMORY) else folder) as target:
        tiny, case = (Case(each, files_of(each, folder), Path(target), url, session, client) for each in (TINY, size))
        if task == "decode":
            tiny, case = (replace(each, reply=reply_of(each.files)) for each in (tiny, case))
        right = is_right(task, way, tiny, do(tiny))
        reset_peak()
        before, start = peak_memory(), time.perf_counter()
        result = do(case)
        if task == "encode":
            consume(result)
        seconds = time.perf_counter() - start
        memory = peak_memory() - before - (size.total if task == "get-arrays" else 0)
        if task not in ("encode", "post"):
            right = right and is_right(task, way, case, result)
        return Measurement(seconds, max(memory, 0), right)


def is_right(task: str, way: str, case: Case, result: Any) -> bool:
    """Whether the result holds the files, byte for byte."""
    if task == "encode":
        result = b"".join(map(bytes, result))
    if way == "copy":
        return task != "get-arrays" or zlib.crc32(result[0]) == zlib.crc32(b"".join(body_of(case.files)))
    if task in ("encode", "post"):
        contents = [part.content for part in MultipartDecoder(result, CONTENT_TYPE).parts]
    elif task == "get-files":
        contents = ((case.target / str(number)).read_bytes() for number in range(case.size.count))
    else:
        contents = result
    return [zlib.crc32(each) for each in contents] == [zlib.crc32(path.read_bytes()) for path in case.files]


def reply_of(files: list[Path]) -> requests.Response:
    """A reply that holds the files and has been read."""
    reply = requests.Response()
    reply.status_code, reply.headers["Content-Type"] = 200, CONTENT_TYPE
    reply._content, reply._content_consumed = b"".join(body_of(files)), True
    return reply


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


# ----------------------------------------------------------------------------------------------- the files, and the peer


def files_of(size: Size, folder: Path) -> list[Path]:
    return [folder / f"{size.count}x{size.size}-{number}" for number in range(size.count)]


def make_files(size: Size, folder: Path) -> None:
    """Random bytes, which no two files have at the same place."""
    block = random.Random(size.count).randbytes(MEGABYTE + 1)
    for number, path in enumerate(files_of(size, folder)):
        with path.open("wb") as file:
            file.write(number.to_bytes(4, "big")[: size.size])
            while left := size.size - file.tell():
                file.write(block[:left])


def body_of(files: list[Path]) -> Iterator[bytes]:
    for path in files:
        yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        yield path.read_bytes()
        yield b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


class Peer:
    """The other end of POST and GET: takes bodies and forgets them, gives a body that it has in memory.

    A POST of a small body is answered with that body, so that it can be looked at.
    """

    def __init__(self, sizes: list[Size], folder: Path) -> None:
        self.sizes, self.folder = sizes, folder
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.buffer = bytearray(MEGABYTE)
        self.process = multiprocessing.get_context("fork").Process(target=self.serve, daemon=True)

    def serve(self) -> None:
        self.bodies = {
            f"/{size.count}x{size.size}": b"".join(body_of(files_of(size, self.folder))) for size in self.sizes
        }
        while True:
            connection, _ = self.listener.accept()
            with connection, suppress(ConnectionError):
                while head := self.read_head(connection):
                    self.answer(connection, head)

    def read_head(self, connection: socket.socket) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := connection.recv(1)):
                return b""
            head += byte
        return head

    def answer(self, connection: socket.socket, head: bytes) -> None:
        method, path, _ = head.decode().split(" ", 2)
        body = self.bodies[path] if method == "GET" else self.take(connection, head)
        reply = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(reply.encode())
        connection.sendall(body)

    def take(self, connection: socket.socket, head: bytes) -> bytes:
        """The body of a request, if it is small."""
        if b"chunked" in head.lower():
            tail = b""
            while tail != b"0\r\n\r\n":
                size = connection.recv_into(self.buffer)
                tail = (tail + self.buffer[max(0, size - 5) : size])[-5:]
            return b""
        left = length = content_length(head)
        while left:
            left -= connection.recv_into(memoryview(self.buffer)[-left:] if left < len(self.buffer) else self.buffer)
        return bytes(self.buffer[-length:]) if length < 10 * TINY.total else b""


def content_length(head: bytes) -> int:
    (line,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(line.partition(b":")[2])


# --------------------------------------------------------------------------------------------------------------- all of it


def run(tasks: list[str], sizes: list[Size], folder: Path) -> Table:
    """Measure each task in each way and size, the ways in turn."""
    table: Table = defaultdict(list)
    fork = multiprocessing.get_context("fork")
    for size in [TINY, *sizes]:
        maker = fork.Process(target=make_files, args=(size, folder))
        maker.start()
        maker.join()
    peer = Peer([TINY, *sizes], folder)
    peer.process.start()
    try:
        for size in sizes:
            for turn in range(size.turns):
                for task in tasks:
                    say(f"{size}, turn {turn + 1} of {size.turns}: {TASKS[task].title}")
                    ways = list(TASKS[task].ways)
                    first = turn % len(ways)  # another one each turn: what a way leaves behind helps or harms the next
                    for way in ways[first:] + ways[:first]:
                        table[task, size, way].append(measure(task, way, size, folder, peer.url))
    finally:
        peer.process.terminate()
        peer.process.join()
    return table


def say(text: str) -> None:
    if sys.stderr.isatty():
        print("\r" + text.ljust(70), end="\r", file=sys.stderr, flush=True)


def ratio(table: Table, task: str, size: Size, way: str) -> float:
    """How many times as long a way takes as the helpers: the median over all turns."""
    pairs = zip(table[task, size, way], table[task, size, "helpers"], strict=True)
    return statistics.median(other.seconds / ours.seconds for other, ours in pairs)


def written(table: Table) -> str:
    """The table in Markdown."""
    lines = [
        "| Task | Body | helpers | Rate | tutorial | dicomweb-client | copy bound | Memory: helpers | tutorial | dicomweb-client |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for task, size in dict.fromkeys((task, size) for task, size, _ in table):
        best = min(each.seconds for each in table[task, size, "helpers"])
        cells = [TASKS[task].title, str(size), f"{best * 1000:,.1f} ms", f"{size.total / best / 1e9:.2f} GB/s"]
        cells += [with_goal(ratio(table, task, size, way), goal) for way, goal in TASKS[task].goals.items()]
        cells.append(f"{ratio(table, task, size, 'copy'):.2f}×")
        memory = {way: max(each.memory for each in table[task, size, way]) for way in TASKS[task].ways}
        most = TASKS[task].memory(size)
        cells.append(
            f"{in_megabytes(memory['helpers'])} ({'≤' if memory['helpers'] <= most else 'NOT ≤'} {in_megabytes(most)})"
        )
        cells += [in_megabytes(memory[way]) for way in TASKS[task].goals]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_goal(reached: float, goal: float) -> str:
    return f"{reached:.1f}× ({'≥' if reached >= goal else 'NOT ≥'} {goal:g})"


def in_megabytes(size: float) -> str:
    return f"{size / MEGABYTE:,.1f} MB"


def machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}; {packages}"


def document(table: Table) -> str:
    """The table with what is needed to read it."""
    return f"""\
# Multipart bodies: the helpers beside the tutorial's way and dicomweb-client

`python3 run.py bench multipart --save` wrote this. `--help` says what is measured, and how.

- {machine()}
- `tutorial`, `dicomweb-client`, `copy bound`: how many times as long they take as the helpers, and the goal.
- Memory: the highest peak, less what the caller keeps.

{written(table)}
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="run.py bench multipart", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small bodies, one turn: does it run at all?")
    parser.add_argument("--task", action="append", choices=TASKS, help="measure this task; may be repeated")
    parser.add_argument(
        "--body", action="append", type=int, choices=(1, 2, 3), help="1: few files, 2: many, 3: one big"
    )
    parser.add_argument("--turns", type=int, help="how often each way has its turn")
    parser.add_argument("--folder", type=Path, help="where the files to send lie, 760 MB (default: a temporary one)")
    parser.add_argument(
        "--save",
        metavar="NAME",
        nargs="?",
        const="multipart",
        help="write benchmarks/results/NAME.md (multipart.md) too",
    )
    options = parser.parse_args(arguments)
    if sys.platform != "linux":
        parser.error("peak memory is read from /proc, which only Linux has")
    sizes = [(QUICK if options.quick else SIZES)[number - 1] for number in options.body or (1, 2, 3)]
    if options.turns:
        sizes = [replace(size, turns=options.turns) for size in sizes]
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=options.folder) as folder:
        table = run(options.task or list(TASKS), sizes, Path(folder))
    text = document(table)
    show(text, options.save)
    wrong = {key for key, measurements in table.items() for each in measurements if not each.right}
    for task, size, way in sorted(wrong, key=str):
        print(f"WRONG BYTES: {TASKS[task].title}, {size}, {way}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
