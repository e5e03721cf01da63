"""Clients that take less time than any server: requests made beforehand, answers counted and thrown away."""

import multiprocessing
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

BUFFER = 1 << 20  # bytes; one buffer for a connection, used again for each answer
TIMEOUT = 300  # seconds without a byte
# What is only counted need not be copied, which would take the client longer than it takes a server to send it.
UNREAD = socket.MSG_TRUNC if sys.platform == "linux" else 0

Body = bytes | bytearray | memoryview


class WrongAnswer(Exception):
    """A server that answers otherwise than it did at first; what it says in its time counts for nothing."""


@dataclass(frozen=True)
class Exchange:
    """A request as it goes over the wire, without what a server wants of its own: host, sign-in, root."""

    method: str
    path: str
    accept: str
    body: Body = b""
    content_type: str = ""

    def head(self, root: str, headers: dict[str, str]) -> bytes:
        """The head for a server whose DICOMweb root is the path `root` and that wants `headers`."""
        lines = [f"{self.method} {root}{self.path} HTTP/1.1", f"Accept: {self.accept}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self.body:
            lines += [f"Content-Type: {self.content_type}", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True)
class Answer:
    status: int
    length: int  # bytes of the body, without the framing of chunks
    body: bytes = b""  # only if it was asked for


class Connection:
    """One connection that stays open, and the little of HTTP/1.1 that answers of servers need."""

    def __init__(self, address: tuple[str, int]):
        self.address = address
        self.buffer = bytearray(BUFFER)
        self.view = memoryview(self.buffer)
        self.connect()

    def connect(self) -> None:
        self.socket = socket.create_connection(self.address, TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.start = self.end = 0  # where in the buffer lies what has arrived and was not looked at

    def close(self) -> None:
        self.socket.close()

    def exchange(self, head: bytes, body: Body = b"", keep: bool = False) -> Answer:
        """Send a request and read the whole answer; its body is kept only with `keep`."""
        self.socket.sendall(head)
        if body:
            self.socket.sendall(body)
        kept = bytearray() if keep else None
        fields = self.line(b"\r\n\r\n").lower()
        status = int(fields[9:12])
        closes = b"\r\nconnection: close" in fields
        if status in (204, 304):
            length = 0
        elif b"\r\ntransfer-encoding: chunked" in fields:
            length = self.chunks(kept)
        elif b"\r\ncontent-length:" in fields:
            length = int(fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
            self.skip(length, kept)
        else:  # Orthanc's answers in parts: whether they are whole, only their number of bytes tells
            length, closes = self.rest(kept), True
        if closes:
            self.close()
            self.connect()
        return Answer(status, length, bytes(kept or b""))

    def chunks(self, kept: bytearray | None) -> int:
        length = 0
        while size := int(self.line(b"\r\n").partition(b";")[0], 16):
            self.skip(size, kept)
            self.line(b"\r\n")
            length += size
        while self.line(b"\r\n"):  # trailers
            pass
        return length

    def line(self, end: bytes) -> bytes:
        """What arrives before `end`."""
        while (found := self.buffer.find(end, self.start, self.end)) < 0:
            if self.start:
                left = bytes(self.view[self.start : self.end])
                self.buffer[: len(left)] = left
                self.start, self.end = 0, len(left)
            self.end += self.receive(self.view[self.end :])
        text = bytes(self.view[self.start : found])
        self.start = found + len(end)
        return text

    def skip(self, length: int, kept: bytearray | None) -> None:
        """Read `length` bytes over."""
        while True:
            taken = min(length, self.end - self.start)
            if kept is not None:
                kept += self.view[self.start : self.start + taken]
            self.start += taken
            length -= taken
            if kept is None:
                while length:
                    length -= self.receive(self.view[:length], UNREAD)
            if not length:
                return
            self.start, self.end = 0, self.receive(self.view)

    def rest(self, kept: bytearray | None) -> int:
        """Read over all that comes until the server hangs up."""
        length = 0
        while True:
            if kept is not None:
                kept += self.view[self.start : self.end]
            length += self.end - self.start
            self.start, self.end = 0, self.socket.recv_into(self.view, 0, 0 if kept is not None else UNREAD)
            if not self.end:
                return length

    def receive(self, place: memoryview, flags: int = 0) -> int:
        number = self.socket.recv_into(place, 0, flags)
        if not number:
            raise WrongAnswer("the server hung up")
        return number


@dataclass(frozen=True)
class Turn:
    """What the clients of one turn got done."""

    requests: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


Work = Callable[[], Iterable[Exchange]]  # gives the requests of one client, as many as anybody may want


def ask(server: Any, exchanges: Iterable[Exchange], seconds: float, expected: Answer) -> Turn:
    """One client: request after request, at least one, until `seconds` are over. Only the exchanges count as time."""
    connection = Connection(server.address)
    headers = server.sign_in()
    requests, busy = 0, 0.0
    for exchange in exchanges:
        head = exchange.head(server.root, headers)
        begin = time.perf_counter()
        answer = connection.exchange(head, exchange.body)
        busy += time.perf_counter() - begin
        requests += 1
        if (answer.status, answer.length) != (expected.status, expected.length):
            raise WrongAnswer(
                f"status {answer.status} with {answer.length} bytes, "
                f"where the first answer had {expected.status} and {expected.length}"
            )
        if busy >= seconds:
            break
    connection.close()
    return Turn(requests, busy)


def turn(server: Any, work: Work, clients: int, seconds: float, expected: Answer) -> Turn:
    """`clients` at a time, each in a process of its own, for `seconds`."""
    # Forked, so that a body of 200 MB need not travel to its client.
    forked = multiprocessing.get_context("fork")
    ready = forked.Barrier(clients)
    pipes, processes = [], []
    for _ in range(clients):
        receiver, sender = forked.Pipe(duplex=False)
        process = forked.Process(target=client, args=(sender, ready, server, work, seconds, expected))
        process.start()
        sender.close()
        pipes.append(receiver)
        processes.append(process)
    try:
        results = [pipe.recv() for pipe in pipes]
    except EOFError:
        raise WrongAnswer("a client died") from None
    finally:
        for process in processes:
            process.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    seconds_of_all = sum(result.seconds for result in results) / clients
    return Turn(sum(result.requests for result in results), seconds_of_all)


def client(pipe: Any, ready: Any, server: Any, work: Work, seconds: float, expected: Answer) -> None:
    try:
        exchanges = started(iter(work()))
        ready.wait()
        pipe.send(ask(server, exchanges, seconds, expected))
    except (WrongAnswer, OSError, ValueError, threading.BrokenBarrierError) as error:
        ready.abort()
        pipe.send(WrongAnswer(f"{error}"))


def started(exchanges: Iterator[Exchange]) -> Iterator[Exchange]:
    """The same, with the first one made already."""
    first = next(exchanges)

    def all_of_them() -> Iterator[Exchange]:
        yield first
        yield from exchanges

    return all_of_them()
