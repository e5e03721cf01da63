"""/_emulator/faults: trouble on demand, so that a client's way of dealing with it can be tested."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_emulator.control.body import read_object
from dicom_emulator.control.origin import is_control, refuse_foreign_pages
from dicom_emulator.errors import BadRequest
from dicom_emulator.wire.head import read_into
from dicom_emulator.wire.responses import ServiceJson

SLOW_PIECES = 20  # a second, in which a slow body is sent


@dataclass
class Fault:
    """A rule: which requests go wrong, and how.

    method, path: which requests; "*" and "?" in the path stand for any characters.
    nth, count: from which matching request on, and how many of them; 0 for all that follow.
    status: answer this, with a sentence as text, instead of doing what was asked.
    delay: seconds to wait first.
    cut_after: bytes of the response's body after which the connection breaks.
    bytes_per_second: how fast the body is sent.
    expired_token: treat the request as if its token had expired.
    """

    method: str = "*"
    path: str = "*"
    nth: int = 1
    count: int = 1
    status: int | None = None
    delay: float = 0
    cut_after: int | None = None
    bytes_per_second: int | None = None
    expired_token: bool = False
    seen: int = field(default=0, init=False)  # matching requests so far

    def takes(self, method: str, path: str) -> bool:
        """Whether this request, which counts as seen, goes wrong."""
        if self.method not in {"*", method} or not fnmatchcase(path, self.path):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.count == 0 or self.seen < self.nth + self.count)


EXAMPLE = '{"path": "/v2/studies*", "status": 503}'
TYPES: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "path": (str,),
    "nth": (int,),
    "count": (int,),
    "status": (int,),
    "delay": (int, float),
    "cut_after": (int,),
    "bytes_per_second": (int,),
    "expired_token": (bool,),
}


def read_fault(given: dict[str, Any]) -> Fault:
    """The rule that a JSON object says. Raises BadRequest."""
    for name, value in given.items():
        if name not in TYPES:
            raise BadRequest(f"A fault has no '{name}'; it has: {', '.join(TYPES)}.")
        if not isinstance(value, TYPES[name]) or (isinstance(value, bool) and TYPES[name] != (bool,)):
            raise BadRequest(f"The '{name}' of a fault is {' or '.join(kind.__name__ for kind in TYPES[name])}.")
    fault = Fault(**given)
    if fault.nth < 1 or fault.count < 0 or not 0 <= fault.delay <= 3600 or (fault.cut_after or 0) < 0:
        raise BadRequest("nth counts from 1, count from 0, delay from 0 to 3600 seconds, cut_after from 0.")
    if fault.status is not None and not 200 <= fault.status <= 599:
        raise BadRequest("The status of a fault is 200 to 599.")
    if fault.bytes_per_second is not None and fault.bytes_per_second < 1:
        raise BadRequest("bytes_per_second is 1 or more.")
    return fault


def fault_for(faults: list[Fault], scope: Scope) -> Fault | None:
    """The first rule that takes a request; it counts as seen by those before it.

    Control is never touched, nor what its page looks up: it would use up the fault that somebody set for a client.
    """
    if not faults or is_control(scope):
        return None
    return next((each for each in faults if each.takes(scope["method"], scope["path"])), None)


async def go_wrong(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """What `app` does, or what the rule says in its place."""
    scope["extensions"] = {}  # a body that is to be cut or slowed has to pass through here, also that of a file
    await asyncio.sleep(fault.delay)
    if fault.status is not None:
        app = PlainTextResponse("The emulator was told to answer this.", fault.status)
    if fault.expired_token:
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
        read_into(scope)
    await app(scope, receive, troubled(send, fault))


def troubled(send: Send, fault: Fault) -> Callable[[Message], Awaitable[None]]:
    """`send`, slower, or silent after some bytes: then the server closes the connection."""
    left = fault.cut_after

    async def send_troubled(message: Message) -> None:
        nonlocal left
        if message["type"] != "http.response.body" or (left is None and fault.bytes_per_second is None):
            await send(message)
            return
        body = message.get("body", b"")
        if left is not None:
            if left < len(body) or (left == 0 and not message.get("more_body")):
                body, message = body[:left], message | {"more_body": True}
            left -= len(body)
        await send_slowly(send, message | {"body": body}, fault.bytes_per_second)

    return send_troubled


async def send_slowly(send: Send, message: Message, bytes_per_second: int | None) -> None:
    body = message["body"]
    if bytes_per_second is not None:
        step = max(1, bytes_per_second // SLOW_PIECES)
        while len(body) > step:
            await send({"type": "http.response.body", "body": body[:step], "more_body": True})
            body = body[step:]
            await asyncio.sleep(step / bytes_per_second)
    await send(message | {"body": body})


async def list_faults(request: Request) -> Response:
    """The rules, with how many requests each has seen."""
    refuse_foreign_pages(request)
    return ServiceJson(json.dumps([asdict(fault) for fault in request.app.state.faults]))


async def add_fault(request: Request) -> Response:
    refuse_foreign_pages(request)
    request.app.state.faults.append(read_fault(await read_object(request, EXAMPLE)))
    return Response(status_code=201)


async def clear_faults(request: Request) -> Response:
    refuse_foreign_pages(request)
    request.app.state.faults.clear()
    return Response(status_code=204)
