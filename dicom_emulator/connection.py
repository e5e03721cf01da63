"""uvicorn's HTTP protocol, with bounds on what comes before the application sees a request, and answers in few writes.

uvicorn waits for the head of a request without end, and keeps whatever comes: a header, a trailer, or requests that are
sent without waiting for answers. It copies each piece of a body, and writes the head of an answer apart.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Any, Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from dicom_emulator.direct_socket import DirectSocket, offers_sendfile
from dicom_emulator.limits import HEAD_SECONDS
from dicom_emulator.wire.responses import ZERO_COPY

LARGEST_HEAD = 64 * 1024  # bytes; smaller ones are judged by limits.Limits, whose refusals say more
MOST_PIPELINED = 100  # requests that wait for the answers to those before them
SMALL = 16 * 1024  # bytes; to copy so many costs less than to write them apart
BODILESS = {204, 304}  # statuses of answers without a body
CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # none is allowed in a header (RFC 9110 §5.5)


class Connection(HttpToolsProtocol):
    """Hangs up on a client whose request line and headers do not end in time, or are too large.

    It counts the bytes that bring a request no further, be they of a header, a trailer or a chunk's extension.
    """

    _deadline: asyncio.TimerHandle | None = None
    _idle_since: float | None = None  # the loop's time of the last answer; None: something has come since
    _watch: asyncio.TimerHandle | None = None  # over idleness
    _answered: RequestResponseCycle | None = None  # the request that is answered now; uvicorn's `cycle` is the last one
    _in_head = False
    _barren = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._extensions = {ZERO_COPY: {}} if offers_sendfile(transport) else {}
        self.head_begins()

    def connection_lost(self, exc: Exception | None) -> None:
        self.head_ends()
        if self._watch:
            self._watch.cancel()
        super().connection_lost(exc)
        if self._answered and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def head_begins(self) -> None:
        if self._deadline is None:
            message = f"The head of the request has not come within {HEAD_SECONDS:g} seconds."
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.refuse, HTTPStatus.REQUEST_TIMEOUT, message)

    def head_ends(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _unset_keepalive_if_required(self) -> None:  # uvicorn calls it when something comes
        self._idle_since = None

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for it. One timer does for all answers: few are the last one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if not self._watch:
            self._watch = self.loop.call_later(self.timeout_keep_alive, self.hang_up_if_idle)

    def hang_up_if_idle(self) -> None:
        self._watch = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._watch = self.loop.call_later(left, self.hang_up_if_idle)
        else:
            self.transport.close()

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
        self.scope["extensions"] = self._extensions
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.head_ends()
        self._barren = 0
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, Answer(cycle, app))

    def on_body(self, body: bytes) -> None:
        self._barren = 0
        if not self.cycle.body:
            self.cycle.body = Waiting()  # type: ignore[assignment]
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._barren = 0
        super().on_message_complete()


class Waiting:
    """What has come of a body and nobody has asked for yet: in place of uvicorn's bytearray, which copies it."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0

    def __iadd__(self, chunk: bytes) -> Self:
        self.chunks.append(chunk)
        self.size += len(chunk)
        return self

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return b"".join(self.chunks)  # the chunk itself where there is one, as mostly


class Answer:
    """Runs the application for one request, and sends its answer (RFC 9112 §6): each message in one write, the first
    one with the head.

    When it has sent a part of a file past the transport, what follows goes the same way.
    """

    def __init__(self, cycle: RequestResponseCycle, app: ASGIApp):
        self.cycle, self.app = cycle, app
        self.start: Message | None = None  # goes with the first bytes of the body
        self.left: int | None = None  # bytes of the body that are still to come; None: they come in chunks
        self.direct: DirectSocket | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, self.send)
        finally:
            if self.direct:
                self.direct.close()

    async def send(self, message: Message) -> None:
        cycle = self.cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        begins = not (self.start or cycle.response_started)
        if begins != (message["type"] == "http.response.start"):
            raise RuntimeError(f"an answer does not {'begin' if begins else 'go on'} with {message['type']}")
        if begins:
            self.start = message
        elif cycle.response_complete:
            return
        elif self.direct or (message["type"] == ZERO_COPY and cycle.scope["method"] != "HEAD"):
            await self.send_directly(message)
        else:
            self.write(message.get("body", b""), message.get("more_body", False))

    def write(self, body: bytes | memoryview, more: bool) -> None:
        """Send a piece of the body, before the first one the head. Raises RuntimeError where the length is not kept."""
        if self.cycle.scope["method"] == "HEAD":
            body = b""
        before, after = self.framing(len(body), more)
        if len(body) > SMALL:
            self.cycle.transport.writelines([before, body, after])
        else:
            self.cycle.transport.write(b"".join([before, body, after]))
        if not more:
            self.end()

    async def send_directly(self, message: Message) -> None:
        """The same past the transport, also for a part of a file."""
        body, more = message.get("body", b""), message.get("more_body", False)
        size = message.get("count", len(body))
        before, after = self.framing(size, more)
        try:
            self.direct = self.direct or await self.past_transport()
            if message["type"] == ZERO_COPY:
                await self.direct.send(before, True)
                await self.direct.send_file(message["file"].fileno(), message["offset"], size)
                await self.direct.send(after, more)
            else:
                await self.direct.send(b"".join([before, body, after]), more)
        except ConnectionError:
            self.cycle.disconnected = True  # which the transport would tell too late, or the next request
            self.cycle.transport.abort()
        else:
            if not more:
                self.end()

    async def past_transport(self) -> DirectSocket:
        """The socket, when all that was written before has left the transport. Raises ConnectionError."""
        transport = self.cycle.transport
        if not transport.is_closing() and transport.get_write_buffer_size():
            low, high = transport.get_write_buffer_limits()
            transport.set_write_buffer_limits(0)  # so that writing is paused until nothing is left
            await self.cycle.flow.drain()
            if not transport.is_closing():
                transport.set_write_buffer_limits(high, low)
        if transport.is_closing():
            raise ConnectionResetError("the client has left")
        return DirectSocket(transport)

    def framing(self, size: int, more: bool) -> tuple[bytes, bytes]:
        """What goes before and after so many bytes of the body."""
        before, after = self.head() if self.start else b"", b""
        if self.left is None:
            if size:
                before, after = b"%s%x\r\n" % (before, size), b"\r\n"
            if not more:
                after += b"0\r\n\r\n"
        elif size > self.left:
            raise RuntimeError(f"the answer has {size - self.left} bytes more than its Content-Length")
        else:
            self.left -= size
        return before, after

    def head(self) -> bytes:
        """The status line and the headers, which are sent now. Raises RuntimeError where something would end a line."""
        cycle, start = self.cycle, self.start
        assert start
        status, headers = start["status"], [*cycle.default_headers, *start["headers"]]
        given = dict(headers)
        if cycle.scope["method"] == "HEAD":
            self.left = 0
        elif b"content-length" in given:
            self.left = int(given[b"content-length"])
        elif status in BODILESS:
            self.left = 0
        else:
            headers.append((b"transfer-encoding", b"chunked"))
        if b"connection" in given:
            cycle.keep_alive = cycle.keep_alive and given[b"connection"].lower() != b"close"
        elif not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        lines = [b"%s: %s" % header for header in headers]
        if CONTROLS.search(b"".join(lines)):
            raise RuntimeError(f"a header of {headers} has a control character")
        self.start, cycle.response_started, cycle.waiting_for_100_continue = None, True, False
        return b"\r\n".join([STATUS_LINE[status][:-2], *lines, b"\r\n"])

    def end(self) -> None:
        cycle = self.cycle
        if self.left:
            raise RuntimeError(f"the answer lacks {self.left} bytes of its Content-Length")
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
