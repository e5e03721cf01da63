"""/_emulator/requests: the last exchanges, for people who wonder what their client really sends."""

import json
import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_emulator.control.origin import refuse_foreign_pages
from dicom_emulator.wire.responses import ServiceJson

KEPT = 200  # exchanges
SECRET = {"authorization", "proxy-authorization", "cookie"}
Exchanges = deque[dict[str, Any]]


def new_exchanges() -> Exchanges:
    return deque(maxlen=KEPT)


class RecordExchanges:
    """Notes method, path, headers, sizes, status and time of every request but those to /_emulator."""

    def __init__(self, app: ASGIApp, exchanges: Exchanges):
        self.app, self.exchanges = app, exchanges

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_emulator/"):
            await self.app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        exchange = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "method": scope["method"],
            "path": scope["path"] + (f"?{query}" if query else ""),
            "requestHeaders": readable(scope["headers"]),
            "requestBytes": 0,
            "status": None,
            "responseHeaders": {},
            "responseBytes": 0,
            "milliseconds": 0.0,
            "parts": [],
        }
        started = time.perf_counter()

        async def receive_and_count() -> Message:
            message = await receive()
            exchange["requestBytes"] += len(message.get("body", b""))
            return message

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange["status"] = message["status"]
                exchange["responseHeaders"] = readable(message["headers"])
                exchange["parts"] = scope.get("dicom_emulator.parts", [])
                # Before it is sent: a client that has its answer finds it here, and a reset after that removes it.
                self.exchanges.append(exchange)
            exchange["responseBytes"] += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive_and_count, send_and_count)
        finally:
            exchange["milliseconds"] = round(1000 * (time.perf_counter() - started), 1)
            if exchange["status"] is None:
                self.exchanges.append(exchange)


def readable(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers as text, without what signs somebody in."""
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    return {name: f"{value.split(' ')[0]} …" if name in SECRET else value for name, value in found.items()}


async def list_exchanges(request: Request) -> Response:
    """The exchanges, oldest first."""
    refuse_foreign_pages(request)
    return ServiceJson(json.dumps(list(request.app.state.exchanges)))


async def clear_exchanges(request: Request) -> Response:
    refuse_foreign_pages(request)
    request.app.state.exchanges.clear()
    return Response(status_code=204)
