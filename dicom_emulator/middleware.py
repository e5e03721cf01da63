"""What happens around every request: headers on every response, the screening of query strings."""

import asyncio
import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_emulator import versions

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-src 'self';",
}
SECURITY = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
PATIENCE = 30.0  # seconds


class CommonHeaders:
    """Security headers on every response that has none itself, the supported versions on those of versioned routes."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = dict(message["headers"])
                headers = [*message["headers"], *(pair for pair in SECURITY if pair[0] not in given)]
                if "version" in scope.get("path_params", {}):
                    supported = scope.get("dicom_emulator.versions", versions.SUPPORTED)
                    headers.append((b"api-supported-versions", supported.encode()))
                message = message | {"headers": headers}
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class ReadBeforeRefusing:
    """Reads the rest of a request's body before an error is sent.

    A server that answers and hangs up while the client is still sending makes the client see a broken connection
    instead of the answer. After PATIENCE seconds that is so all the same: a body may be without end.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in {"POST", "PUT", "PATCH"}:
            await self.app(scope, receive, send)
            return
        started = complete = False

        async def receive_and_note() -> Message:
            nonlocal started, complete
            message = await receive()
            started = True
            complete = complete or not message.get("more_body", False)
            return message

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                waits = any(name == b"expect" for name, _ in scope["headers"]) and not started
                try:
                    async with asyncio.timeout(PATIENCE):
                        while not complete and not waits:
                            await receive_and_note()
                except TimeoutError:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self.app(scope, receive_and_note, send_after_body)


class QueryScreening:
    """Refuses every query string with a "<" in it, before anything else is looked at, as the service does."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and re.search(rb"<|%3c", scope["query_string"], re.IGNORECASE):
            refusal = PlainTextResponse("The query string included invalid characters.", 400)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)
