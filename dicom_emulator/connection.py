"""uvicorn's HTTP protocol, with bounds on what comes before the application sees a request, and answers in few writes.

uvicorn waits for the head of a request without end, and keeps whatever comes: a header, a trailer, or requests that are
sent without waiting for answers. It writes the head of an answer apart from the body, and copies each chunk of a body.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from dicom_emulator.limits import HEAD_SECONDS

LARGEST_HEAD = 64 * 1024  # bytes; smaller ones are judged by limits.Limits, whose refusals say more
MOST_PIPELINED = 100  # requests that wait for the answers to those before them
SMALL = 16 * 1024  # bytes; to copy so many costs less than to write them apart


class Connection(HttpToolsProtocol):
    """Hangs up on a client whose request line and headers do not end in time, or are too large.

    It counts the bytes that bring a request no further, be they of a header, a trailer or a chunk's extension.
    """

    _deadline: asyncio.TimerHandle | None = None
    _in_head = False
    _barren = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.head_begins()

    def connection_lost(self, exc: Exception | None) -> None:
        self.head_ends()
        super().connection_lost(exc)

    def head_begins(self) -> None:
        if self._deadline is None:
            message = f"The head of the request has not come within {HEAD_SECONDS:g} seconds."
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.refuse, HTTPStatus.REQUEST_TIMEOUT, message)

    def head_ends(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer and hang up. What was asked before in full is answered first, and this is not."""
        if self.cycle is None or self.cycle.response_complete:
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            self.transport.write(f"{head}Content-Length: {len(message)}\r\nConnection: close\r\n\r\n{message}".encode())
        elif not self.cycle.more_body:
            self.cycle.keep_alive = False
            return
        self.transport.close()

    def refuse_head(self) -> None:
        message = f"The head has more than {LARGEST_HEAD} bytes."
        self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)

    def send_400_response(self, msg: str) -> None:
        self.refuse(HTTPStatus.BAD_REQUEST, msg)

    def data_received(self, data: bytes) -> None:
        self._barren += len(data)
        super().data_received(data)
        if self._in_head:
            self.head_begins()
        if self._barren > LARGEST_HEAD and not self.transport.is_closing():
            self.refuse_head()

    def on_message_begin(self) -> None:
        if len(self.pipeline) > MOST_PIPELINED:
            raise ValueError("too many requests in a row")  # which the parser makes a fault of the request
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.head_ends()
        self._barren = 0
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, Answer(cycle, app))

    def on_body(self, body: bytes) -> None:
        self._barren = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._barren = 0
        super().on_message_complete()


class Answer:
    """Runs the application for one request, and writes each message of its answer at once: the first with the head.

    Stands in for the connection's transport while uvicorn makes bytes of a message.
    """

    def __init__(self, cycle: RequestResponseCycle, app: ASGIApp):
        self.cycle, self.app = cycle, app
        self.transport = cycle.transport
        self.start: Message | None = None  # goes with the first bytes of the body
        self.held: list[bytes | memoryview] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, self.send)

    async def send(self, message: Message) -> None:
        cycle = self.cycle
        if message["type"] == "http.response.start" and not (self.start or cycle.response_started):
            self.start = message
            return
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        cycle.transport = self  # type: ignore[assignment]
        try:  # nothing in here waits
            if self.start:
                start, self.start = self.start, None
                await cycle.send(start)
            if cycle.chunked_encoding and len(message.get("body", b"")) > SMALL and not cycle.disconnected:
                self.held += (b"%x\r\n" % len(message["body"]), message["body"], b"\r\n")
                message = message | {"body": b""}
            if message.get("body") or not message.get("more_body"):
                await cycle.send(message)
        finally:
            cycle.transport = self.transport
            self.flush()

    def write(self, data: bytes | memoryview) -> None:
        if data:
            self.held.append(data)

    def flush(self) -> None:
        held, self.held = self.held, []
        if sum(map(len, held)) > SMALL:
            self.transport.writelines(held)
        elif held:  # uvloop raises RuntimeError even for nothing, once the client is gone
            self.transport.write(b"".join(held))

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def close(self) -> None:
        self.flush()
        self.transport.close()
