"""Every request as a line in the log; and /_emulator/requests, the last exchanges, for people who wonder what their
client really sends."""

import json
import logging
import re
import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_emulator.control.origin import is_control, is_from_home_page, refuse_foreign_pages
from dicom_emulator.wire.responses import ServiceJson

KEPT = 200  # exchanges
LISTED_PARTS = 1000  # of each
SIGN_IN = {"authorization", "proxy-authorization"}
# What looks like a token, or is called so in a query string: some clients put it where it does not belong.
TOKEN = re.compile(r"(?<=token=)[^&\s]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*", re.IGNORECASE)
LOGGED = ("method", "status", "milliseconds", "requestBytes", "responseBytes")
Exchanges = deque[dict[str, Any]]
log = logging.getLogger("dicom_emulator")


def new_exchanges() -> Exchanges:
    return deque(maxlen=KEPT)


class RequestLog:
    """Notes method, path, headers, sizes, status and time of every request.

    All of it goes into the list of exchanges, but for requests to /_emulator and of its page. The line in the log has
    no headers and no query string, which may hold a patient's name.
    """

    def __init__(self, app: ASGIApp, exchanges: Exchanges):
        self.app, self.exchanges = app, exchanges

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_listed = not is_control(scope)
        query = scope["query_string"].decode("latin-1")
        exchange = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "method": scope["method"],
            "path": TOKEN.sub("…", scope["path"] + (f"?{query}" if query else "")),
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
                exchange["parts"] = scope.get("dicom_emulator.parts", [])[:LISTED_PARTS]
                # Before it is sent: a client that has its answer finds it here, and a reset after that removes it.
                if is_listed:
                    self.exchanges.append(exchange)
            exchange["responseBytes"] += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive_and_count, send_and_count)
        finally:
            exchange["milliseconds"] = round(1000 * (time.perf_counter() - started), 1)
            if exchange["status"] is None and is_listed:
                self.exchanges.append(exchange)
            if not is_from_home_page(scope):  # it asks every second
                write_line(scope["raw_path"].decode("latin-1"), exchange)


def write_line(path: str, exchange: dict[str, Any]) -> None:
    """`path` is as the client sent it, so that no line break in it makes two lines of one."""
    logged = {"path": path} | {name: exchange[name] for name in LOGGED}
    text = "%(method)s %(path)s %(outcome)s %(milliseconds).0f ms"
    log.info(text, logged | {"outcome": logged["status"] or "aborted"}, extra={"request": logged})


def readable(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers as text, without what signs somebody in."""
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    return {name: without_secrets(name, value) for name, value in found.items()}


def without_secrets(name: str, value: str) -> str:
    """The value of a header; of one that signs somebody in, no more than the scheme.

    >>> without_secrets("authorization", "Bearer abc"), without_secrets("authorization", "abc")
    ('Bearer …', '…')
    >>> without_secrets("cookie", "session=abc"), without_secrets("referer", "http://localhost/lab?token=abc")
    ('…', 'http://localhost/lab?token=…')
    """
    if name in SIGN_IN:
        scheme, blank, _ = value.partition(" ")
        return f"{scheme} …" if blank and scheme.isalpha() else "…"
    return "…" if name == "cookie" else TOKEN.sub("…", value)


async def list_exchanges(request: Request) -> Response:
    """The exchanges, oldest first."""
    refuse_foreign_pages(request)
    return ServiceJson(json.dumps(list(request.app.state.exchanges)))


async def clear_exchanges(request: Request) -> Response:
    refuse_foreign_pages(request)
    request.app.state.exchanges.clear()
    return Response(status_code=204)
