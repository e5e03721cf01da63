"""How much of a request is taken, and how long a client may take over it: the limits of Kestrel, the original's server.

A body has limits of its own, each where it is read.
"""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_emulator.middleware import SECURITY_HEADERS

LONGEST_TARGET = 8 * 1024  # bytes of path and query string
MOST_HEADERS = 100
LARGEST_HEADERS = 32 * 1024  # bytes of all headers together
HEAD_SECONDS = 30.0  # in which the head of a request has to be there
SILENT_SECONDS = 120.0  # that may pass between two pieces of a body
OPEN_FILES = 4096


class Limits:
    """Refuses a head that is too large, and hangs up on clients that fall silent in the middle of a body."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = refuse_head(scope)
        if refusal:
            await refusal(scope, receive, send)
            return
        complete = silent = started = False

        async def receive_in_time() -> Message:
            nonlocal complete, silent
            if silent:
                return {"type": "http.disconnect"}
            if complete:  # what comes now is that the client has left, and nothing else
                return await receive()
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    message = await receive()
            except TimeoutError:
                silent = True
                return {"type": "http.disconnect"}
            complete = not message.get("more_body", False)
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive_in_time, send_and_note)
        except ClientDisconnect:  # nobody is there to be answered, or somebody who sleeps
            if silent and not started:
                answer = refusal_of(408, f"Nothing of the body has come for {SILENT_SECONDS:g} seconds.")
                await answer(scope, receive, send)


def refuse_head(scope: Scope) -> PlainTextResponse | None:
    """The refusal of a request line or headers beyond the limits."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_TARGET:
        return refusal_of(414, f"The path and the query string have more than {LONGEST_TARGET} bytes.")
    if len(scope["headers"]) > MOST_HEADERS:
        return refusal_of(431, f"The request has more than {MOST_HEADERS} headers.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEADERS:
        return refusal_of(431, f"The headers have more than {LARGEST_HEADERS} bytes.")
    return None


def refusal_of(status: int, message: str) -> PlainTextResponse:
    """An answer after which the connection is closed: what may follow of the request is not read."""
    return PlainTextResponse(message, status, SECURITY_HEADERS | {"Connection": "close"})


def allow_many_open_files() -> None:
    """A connection is an open file, an upload two; some systems begin with 256 of them, and allow far more."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
