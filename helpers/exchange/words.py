"""Numbers and codes in words."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import TypeVar

Thing = TypeVar("Thing")

# The status in a few words, from the side of who asked. What a server adds stands in its reply.
MEANINGS = {
    200: "done",
    201: "done: something new was made",
    202: "accepted, and there is something to read: a warning, a part that failed, or work that goes on",
    204: "done, and there is nothing to send",
    206: "a piece of it, as you asked",
    301: "it has moved: Location says where",
    302: "it is elsewhere: Location says where",
    303: "the answer is elsewhere: Location says where",
    304: "not changed: what you have is still good",
    307: "it is elsewhere: Location says where",
    308: "it has moved: Location says where",
    400: "the server does not understand the request: correct it, then send it again",
    401: "the server does not know who you are: sign in",
    403: "the server knows you, and you may not do this",
    404: "it is not there",
    405: "this address does not take this method: Allow lists those it takes",
    406: "not offered in a form that your Accept allows",
    408: "the request did not arrive in time",
    409: "it clashes with what is there, or nothing of it could be used",
    410: "it was there once, and is gone for good",
    411: "the server wants to know the length of the body first",
    412: "it is no longer as your request expected it to be",
    413: "too large",
    414: "the address is too long",
    415: "the server does not take a body of this Content-Type",
    416: "there is no such piece of it",
    424: "something that the server depends on cannot be reached",
    429: "too many requests: wait, then try again",
    500: "something went wrong inside the server",
    501: "the server does not have this",
    502: "a server on the way got no good answer",
    503: "not now: wait, then try again",
    504: "a server on the way got no answer in time",
}
CLASSES = {1: "wait for the rest", 2: "done", 3: "look elsewhere", 4: "the request is at fault", 5: "the server failed"}

# The codes of the service (conformance statement, store), after PS3.18 Table I.2-2 and PS3.7 Annex C.
FAILURE_REASONS = {
    272: "the server could not process it",
    273: "the stored file was not found",
    288: "a required attribute is missing",
    289: "a required attribute has no value",
    43264: "the data set is not valid, or belongs to another study",
    43265: "belongs to another study",
    45070: "already stored",
    45071: "is being stored by another request at this moment",
}
WARNING_REASONS = {
    1: "stored, but some attributes are not valid",
    45063: "stored, but the data set does not match its SOP class",
}
REASONS = {"00081197": FAILURE_REASONS, "00081196": WARNING_REASONS}


def status_line(code: int, reason: str | None) -> str:
    """The status with its name, which HTTP/2 and some servers leave out.

    >>> status_line(404, None), status_line(299, "")
    ('404 Not Found', '299')
    """
    if not reason and code in {known.value for known in HTTPStatus}:
        reason = HTTPStatus(code).phrase
    if code == 413:
        reason = "Content Too Large"  # RFC 9110; a server on Python before 3.13 still sends the older name
    return f"{code} {reason or ''}".strip()


def meaning_of(code: int) -> str:
    """What a status means, in a few words.

    >>> meaning_of(404), meaning_of(418)
    ('it is not there', 'the request is at fault')
    """
    return MEANINGS.get(code) or CLASSES.get(code // 100, "")


def at_most(things: Sequence[Thing], limit: int, what: str) -> tuple[Sequence[Thing], str]:
    """The first `limit` of `things`, and how many more of `what` there are: empty words if there are none."""
    more = len(things) - limit
    return things[:limit], f"… and {counted(more, f'more {what}')}" if more > 0 else ""


def counted(number: int, what: str) -> str:
    """A number of things in words.

    >>> counted(0, "item"), counted(1, "item"), counted(2, "item")
    ('no items', '1 item', '2 items')
    """
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def size_of(number: int) -> str:
    """A number of bytes in words (1 kB is 1000 bytes).

    >>> size_of(1), size_of(999), size_of(1234), size_of(2_894_022), size_of(1_700_000_000)
    ('1 byte', '999 bytes', '1.2 kB', '2.9 MB', '1.7 GB')
    """
    if number < 1000:
        return counted(number, "byte")
    for unit, bytes_in_it in (("GB", 1e9), ("MB", 1e6)):
        if number >= bytes_in_it:
            return f"{number / bytes_in_it:.1f} {unit}"
    return f"{number / 1e3:.1f} kB"


def time_of(seconds: float) -> str:
    """A time that somebody waited, in words.

    >>> time_of(0.0123), time_of(2.34)
    ('12 ms', '2.3 s')
    """
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
