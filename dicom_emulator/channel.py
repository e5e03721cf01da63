"""What passes between server and application for one request: how long is waited for the client, which headers every
answer has, and what the request log learns of both.
"""

import asyncio

from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from dicom_emulator.control.request_log import Exchange, RequestLog
from dicom_emulator.wire.head import head_of

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-src 'self';",
}
SECURITY = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
WITH_BODY = {"POST", "PUT", "PATCH"}
SILENT_SECONDS = 120.0  # that may pass between two pieces of a body
PATIENCE = 30.0  # seconds for the rest of a body that is not wanted


class Channel:
    """The `receive` and `send` that the application gets for one request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, log: RequestLog):
        self._scope, self._receive, self._send, self._log = scope, receive, send, log
        self.exchange = scope["dicom_emulator.exchange"] = Exchange(scope)
        self.silent = False  # nothing of the body has come for too long
        self._asked = self._complete = False  # somebody has waited for the body, and has all of it

    async def receive(self) -> Message:
        """The next piece of the body. A client that falls silent in the middle of it counts as one that has left."""
        if self.silent:
            return {"type": "http.disconnect"}
        if self._complete:  # what comes now is that the client has left, and nothing else
            return await self._receive()
        self._asked = True
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                message = await self._receive()
        except TimeoutError:
            self.silent = self._complete = True
            return {"type": "http.disconnect"}
        self._complete = not message.get("more_body", False)
        self.exchange.request_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= 400 and not self._complete and self._scope["method"] in WITH_BODY:
                await self._read_before_refusing(message)
            message["headers"] = self._complemented(message["headers"])
            self._log.answered(self.exchange, self._scope, message)
        else:
            self.exchange.response_bytes += message.get("count", len(message.get("body", b"")))  # count: of a file
        await self._send(message)

    async def _read_before_refusing(self, message: Message) -> None:
        """Read the rest of the body before an error is sent.

        A server that answers and hangs up while the client is still sending makes the client see a broken connection
        instead of the answer. After PATIENCE seconds that is so all the same: a body may be without end.
        """
        if not self._asked and b"expect" in head_of(self._scope).names:
            return  # the client waits for a word before it sends anything
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._complete:
                    await self.receive()
        except TimeoutError:
            message["headers"] = [*message["headers"], (b"connection", b"close")]

    def _complemented(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """With the security headers that it does not have itself, on versioned paths with the supported versions."""
        given = {name for name, _ in headers}
        headers = [*headers, *[pair for pair in SECURITY if pair[0] not in given]]
        if supported := self._scope.get("dicom_emulator.versions"):
            headers.append((b"api-supported-versions", supported))
        return headers

    async def refuse(self, status: int, message: str) -> None:
        """Answer and hang up, unless an answer has begun."""
        if self.exchange.status is None:
            await PlainTextResponse(message, status, {"Connection": "close"})(self._scope, self.receive, self.send)

    async def client_has_left(self) -> None:
        """Nobody is there to be answered, or somebody who sleeps."""
        if self.silent:
            await self.refuse(408, f"Nothing of the body has come for {SILENT_SECONDS:g} seconds.")

    def close(self) -> None:
        """The application is done, or has failed."""
        self._log.done(self.exchange)
