"""What is taken as the head of a request, and how long a client may take over it: the limits of Kestrel, the original's
server.

A body has limits of its own, each where it is read; how long is waited for it says channel.py.
"""

import re

from starlette.responses import PlainTextResponse
from starlette.types import Scope

from dicom_emulator.channel import SECURITY_HEADERS
from dicom_emulator.errors import BadRequest
from dicom_emulator.wire.head import head_of

LONGEST_TARGET = 8 * 1024  # bytes of path and query string
MOST_HEADERS = 100
LARGEST_HEADERS = 32 * 1024  # bytes of all headers together
HEAD_SECONDS = 30.0  # in which the head of a request has to be there
OPEN_FILES = 4096
INVALID = re.compile(rb"<|%3c", re.IGNORECASE)  # in a query string


def refuse_head(scope: Scope) -> PlainTextResponse | None:
    """The refusal of a request line or headers beyond the limits."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_TARGET:
        return refusal_of(414, f"The path and the query string have more than {LONGEST_TARGET} bytes.")
    head = head_of(scope)
    if head.count > MOST_HEADERS:
        return refusal_of(431, f"The request has more than {MOST_HEADERS} headers.")
    if head.size > LARGEST_HEADERS:
        return refusal_of(431, f"The headers have more than {LARGEST_HEADERS} bytes.")
    return None


def check_query_string(scope: Scope) -> None:
    """The service takes no "<" in it, whatever is asked for. Raises BadRequest."""
    if INVALID.search(scope["query_string"]):
        raise BadRequest("The query string included invalid characters.")


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
