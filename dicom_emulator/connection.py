"""uvicorn's HTTP protocol, with bounds on what comes before the application sees a request.

uvicorn waits for the head of a request without end, and keeps whatever comes: a header, a trailer, or requests that are
sent without waiting for answers.
"""

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dicom_emulator.limits import HEAD_SECONDS

LARGEST_HEAD = 64 * 1024  # bytes; smaller ones are judged by limits.Limits, whose refusals say more
MOST_PIPELINED = 100  # requests that wait for the answers to those before them


class Connection(HttpToolsProtocol):
    """Hangs up on a client whose request line and headers do not end in time, or are too large.

    It counts the bytes that bring a request no further, be they of a header, a trailer or a chunk's extension.
    """

    _deadline: asyncio.TimerHandle | None = None
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
        if self._barren > LARGEST_HEAD and not self.transport.is_closing():
            self.refuse_head()

    def on_message_begin(self) -> None:
        if len(self.pipeline) > MOST_PIPELINED:
            raise ValueError("too many requests in a row")  # which the parser makes a fault of the request
        super().on_message_begin()
        self.head_begins()

    def on_headers_complete(self) -> None:
        self.head_ends()
        self._barren = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._barren = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._barren = 0
        super().on_message_complete()
