"""Every request as a line in the log; and /_emulator/requests, the last exchanges, for people who wonder what their
client really sends."""

import asyncio
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
from starlette.types import Message, Scope

from dicom_emulator.control.origin import is_from_home_page, is_to_control, refuse_foreign_pages
from dicom_emulator.wire.responses import ServiceJson

KEPT = 200  # exchanges
LISTED_PARTS = 1000  # of each
SIGN_IN = {"authorization", "proxy-authorization"}
# What looks like a token, or is called so in a query string: some clients put it where it does not belong.
TOKEN = re.compile(r"(?<=token=)[^&\s]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*", re.IGNORECASE)
Headers = Iterable[tuple[bytes, bytes]]
log = logging.getLogger("dicom_emulator")


class Exchange:
    """A request and its answer, as far as it is known. It is made readable when somebody asks: few ever do."""

    __slots__ = (
        "time", "started", "method", "path", "raw_path", "query", "request_headers", "request_bytes",
        "status", "response_headers", "response_bytes", "milliseconds", "parts", "is_listed", "is_from_home_page",
    )  # fmt: skip

    def __init__(self, scope: Scope):
        self.time, self.started = time.time(), time.perf_counter()
        self.method, self.path, self.raw_path = scope["method"], scope["path"], scope["raw_path"]
        self.query, self.request_headers = scope["query_string"], scope["headers"]
        self.status: int | None = None
        self.response_headers: Headers = []
        self.request_bytes = self.response_bytes = 0
        self.milliseconds = 0.0
        self.parts: list[Any] = []
        self.is_from_home_page = is_from_home_page(scope)
        self.is_listed = not self.is_from_home_page and not is_to_control(self.path)

    def readable(self) -> dict[str, Any]:
        query = self.query.decode("latin-1")
        return {
            "time": datetime.fromtimestamp(self.time, timezone.utc).isoformat(timespec="milliseconds"),
            "method": self.method,
            "path": TOKEN.sub("…", self.path + (f"?{query}" if query else "")),
            "requestHeaders": readable(self.request_headers),
            "requestBytes": self.request_bytes,
            "status": self.status,
            "responseHeaders": readable(self.response_headers),
            "responseBytes": self.response_bytes,
            "milliseconds": self.milliseconds,
            "parts": self.parts,
        }


class RequestLog:
    """Notes method, path, headers, sizes, status and time of every request.

    All of it goes into the list of exchanges, but for requests to /_emulator and of its page. The line in the log has
    no headers and no query string, which may hold a patient's name.
    """

    def __init__(self) -> None:
        self.exchanges = deque[Exchange](maxlen=KEPT)
        self._ended: list[Exchange] = []  # those without a line yet

    def answered(self, exchange: Exchange, scope: Scope, start: Message) -> None:
        """The answer begins."""
        exchange.status, exchange.response_headers = start["status"], start["headers"]
        exchange.parts = scope.get("dicom_emulator.parts", [])[:LISTED_PARTS]
        # Before it is sent: a client that has its answer finds it here, and a reset after that removes it.
        if exchange.is_listed:
            self.exchanges.append(exchange)

    def done(self, exchange: Exchange) -> None:
        """All was sent, or it was given up."""
        exchange.milliseconds = round(1000 * (time.perf_counter() - exchange.started), 1)
        if exchange.status is None and exchange.is_listed:
            self.exchanges.append(exchange)
        if not exchange.is_from_home_page and log.isEnabledFor(logging.INFO):  # it asks every second
            if not self._ended:
                asyncio.get_running_loop().call_soon(self.write_lines)  # after the answer: its client is waiting
            self._ended.append(exchange)

    def write_lines(self) -> None:
        ended, self._ended = self._ended, []
        for exchange in ended:
            log.handle(Line(exchange, is_followed=exchange is not ended[-1]))


class Line(logging.LogRecord):
    """What is logged of a request: its path as the client sent it, so that no line break in it makes two lines of one.

    Made without what `logging` finds out anew for each record, which took a twentieth of the time of a short request.
    """

    SAME = vars(logging.LogRecord(log.name, logging.INFO, __file__, 0, "", None, None))

    def __init__(self, exchange: Exchange, is_followed: bool = False):
        vars(self).update(self.SAME)
        self.is_followed = is_followed
        self.created = exchange.time + exchange.milliseconds / 1000
        self.msecs = self.created % 1 * 1000
        self.relativeCreated += (self.created - self.SAME["created"]) * 1000
        path, outcome = exchange.raw_path.decode("latin-1"), exchange.status or "aborted"
        self.msg = f"{exchange.method} {path} {outcome} {exchange.milliseconds:.0f} ms"
        self.request = {
            "path": path,
            "method": exchange.method,
            "status": exchange.status,
            "milliseconds": exchange.milliseconds,
            "requestBytes": exchange.request_bytes,
            "responseBytes": exchange.response_bytes,
        }


def readable(headers: Headers) -> dict[str, str]:
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
    return ServiceJson(json.dumps([each.readable() for each in list(request.app.state.exchanges)]))


async def clear_exchanges(request: Request) -> Response:
    refuse_foreign_pages(request)
    request.app.state.exchanges.clear()
    return Response(status_code=204)
