"""show_exchange: a request and its reply as they went over the wire, short enough to read.

The same exchange prints the same text on every run and on every server of this machine: what changes from run to run
(port, boundary, ETag, times) and what must not be seen (tokens) is shown as `…`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any

import requests
from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID

from helpers.auth import without_tokens
from helpers.errors import HelperError
from helpers.multipart import (
    MultipartError,
    MultipartRelatedStream,
    OutgoingPart,
    WrongBoundary,
    boundary_of,
    split_parts,
)

PARTS = 6  # listed of a multipart body
DATA_SETS = 4  # listed of a DICOM JSON array
ITEMS = 6  # listed of a sequence
TEXT_LINES = 24  # listed of any other text

# What every client sends without being asked, and what the lines below tell in another way.
QUIET_REQUEST_HEADERS = {"user-agent", "accept-encoding", "connection", "content-length", "host"}
# A server adds many headers of its own; these belong to DICOMweb and to the rules of HTTP that the lessons teach.
REPLY_HEADERS = (
    "Content-Type",
    "Content-Location",
    "Location",
    "ETag",
    "WWW-Authenticate",
    "Warning",
    "Retry-After",
    "Allow",
    "erroneous-dicom-attributes",
)

FAILURE_REASONS = {
    272: "the server could not process it",
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


def show_exchange(response: requests.Response, body: bool = True, attributes: int = 10) -> None:
    """Print the request, an arrow to the status, and the reply: `>` is what we sent, `<` is what came back.

    `body=False` leaves the reply's body out; `attributes` says how many of a data set are listed. A reply that is
    still to be read as a stream stays unread. Requests that were answered on the way (a 401 before the token was
    renewed, a redirect) come first.

    >>> show_exchange(example_refusal)
    GET /v2/studies/…187420 → 406 Not Acceptable
    > Accept: image/gif
    > Authorization: Bearer …
    < Content-Type: text/plain; charset=utf-8
    < The request headers are not acceptable
    """
    for earlier in response.history:
        print("\n".join(exchange_lines(earlier, body, attributes)), end="\n\n")
    print("\n".join(exchange_lines(response, body, attributes)))


def exchange_lines(response: requests.Response, body: bool, attributes: int) -> list[str]:
    request = response.request
    lines = [f"{request.method} {stable(request.url or '')} → {status(response)}"]
    lines += [f"> {line}" for line in request_headers(request)]
    lines += [f"> {line}" for line in request_body(request, attributes)]
    lines += [f"< {line}" for line in reply_headers(response)]
    lines += [f"< {line}" for line in (reply_body(response, attributes) if body else ["(the body is not shown)"])]
    return lines


def status(response: requests.Response) -> str:
    reason = response.reason
    if not reason and response.status_code in {known.value for known in HTTPStatus}:
        reason = HTTPStatus(response.status_code).phrase
    return f"{response.status_code} {reason or ''}".strip()


# -------------------------------------------------------------------------------------------- what is not to be seen


def short(uid: str) -> str:
    """A long UID by its last six digits; the short ones that the standard defines stay as they are.

    >>> short("1.2.826.0.1.3680043.8.498.13230779778012324449356534479549187420")
    '…187420'
    >>> short("1.2.840.10008.1.2.1")
    '1.2.840.10008.1.2.1'
    """
    return uid if len(uid) <= 24 or uid.startswith("1.2.840.10008.") else f"…{uid[-6:]}"


def stable(text: str) -> str:
    """`text` without tokens and without what differs from run to run: the address of this machine, long UIDs.

    >>> stable("409 Client Error: Conflict for url: http://127.0.0.1:34113/v2/studies")
    '409 Client Error: Conflict for url: /v2/studies'
    """
    text = without_tokens(text)
    text = re.sub(r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?=/)", "", text)
    text = re.sub(r"(?:https?://)?(?:127\.0\.0\.1|localhost|\[::1\]):\d+", "this machine", text)
    return re.sub(r"\d+(?:\.\d+){4,}", lambda uid: short(uid[0]), text)


def stable_json(text: str) -> str:
    """JSON text with times and random identifiers masked as well."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]*(?:Z|[+-]\d\d:\d\d)?", "…", stable(text))
    return re.sub(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b", "…", text)


# ------------------------------------------------------------------------------------------------------------ headers


def request_headers(request: requests.PreparedRequest) -> list[str]:
    """The headers of the request that say something, by name."""
    shown = {name: value for name, value in request.headers.items() if name.lower() not in QUIET_REQUEST_HEADERS}
    return [f"{name}: {header_value(name, value)}" for name, value in sorted(shown.items())]


def reply_headers(response: requests.Response) -> list[str]:
    shown = {name: response.headers[name] for name in REPLY_HEADERS if name in response.headers}
    return [f"{name}: {header_value(name, value)}" for name, value in shown.items()]


def as_text(value: str | bytes) -> str:
    """A header's value; requests takes bytes as well as text."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def header_value(name: str, value: str | bytes) -> str:
    value = as_text(value)
    match name.lower():
        case "authorization" | "proxy-authorization":
            return f"{value.partition(' ')[0]} …"
        case "cookie" | "etag" | "if-none-match" | "if-match":
            return "…"
    return stable(re.sub(r'boundary=("[^"]*"|[^;\s]*)', "boundary=…", value))


# ------------------------------------------------------------------------------------------------------------- bodies


def request_body(request: requests.PreparedRequest, attributes: int) -> list[str]:
    body = request.body
    content_type = as_text(request.headers.get("Content-Type", ""))
    if body is None:
        return []
    if isinstance(body, MultipartRelatedStream):
        return part_lines([streamed_part_line(part) for part in body.parts])
    if isinstance(body, (bytes, str)):
        return body_lines(body.encode() if isinstance(body, str) else body, content_type, attributes)
    return ["(the body was sent as a stream and is not kept)"]


def reply_body(response: requests.Response, attributes: int) -> list[str]:
    # requests keeps False here until the body has been read; reading it now would take it from the caller.
    if response._content is False:
        gone = response._content_consumed
        return ["(the body was read as a stream and is not kept)" if gone else "(the body has not been read yet)"]
    return body_lines(response.content, response.headers.get("Content-Type", ""), attributes)


def body_lines(body: bytes, content_type: str, attributes: int) -> list[str]:
    """A body of either direction, by its media type."""
    media_type = content_type.partition(";")[0].strip().lower()
    if not body:
        return ["(no body)"]
    if media_type.startswith("multipart/"):
        return multipart_lines(body, content_type)
    if media_type.endswith("json"):
        return json_lines(body, attributes)
    if media_type.startswith("text/") or media_type.endswith("xml"):
        return at_most(stable(body.decode("utf-8", "replace")).splitlines(), TEXT_LINES, "line")
    return [bytes_line(body)]


def multipart_lines(body: bytes, content_type: str) -> list[str]:
    lines = []
    try:
        for part in split_parts([body], boundary_of(content_type)):
            headers = [f"{name}: {header_value(name, value)}" for name, value in part.headers.items()]
            lines.append(part_line(*headers, bytes_line(part.content)))
    except MultipartError as problem:
        whole = at_most(lines, PARTS, "part")
        # Neither the first bytes nor the names of boundaries are shown: they are others on each run.
        why = "its boundary is not the one of the Content-Type" if isinstance(problem, WrongBoundary) else problem
        return [*whole, f"(not a whole multipart body, {size_of(len(body))}: {stable(str(why))})"]
    return part_lines(lines)


def part_lines(lines: list[str]) -> list[str]:
    return [*at_most(lines, PARTS, "part"), "--…--"]


def part_line(*facts: str) -> str:
    return " | ".join(["--…", *facts])


def streamed_part_line(part: OutgoingPart) -> str:
    return part_line(f"Content-Type: {part.content_type}", f"({size_of(part.size)}, read while it was sent)")


def at_most(lines: list[str], limit: int, what: str) -> list[str]:
    """The first `limit` of `lines`, and how many more of `what` there are."""
    return lines if len(lines) <= limit else [*lines[:limit], f"… and {counted(len(lines) - limit, f'more {what}')}"]


def bytes_line(content: bytes) -> str:
    """The beginning of some bytes, readable if it can be, and how many there are.

    >>> bytes_line(bytes(128) + b"DICM" + bytes(2000))
    '128 zero bytes, DICM, … (2.1 kB)'
    >>> bytes_line(b"\\xc3\\xc3\\xc3\\xff")
    'c3 c3 c3 ff (4 bytes)'
    """
    if not content:
        return "(no bytes)"
    if content[128:132] == b"DICM":
        preamble = "128 zero bytes" if not any(content[:128]) else "a preamble of 128 bytes"
        return f"{preamble}, DICM, … ({size_of(len(content))})"
    return f"{content[:8].hex(' ')}{' …' if len(content) > 8 else ''} ({size_of(len(content))})"


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


# --------------------------------------------------------------------------------------------------------- DICOM JSON


def json_lines(body: bytes, attributes: int) -> list[str]:
    try:
        value = json.loads(body)
    except ValueError:
        return [f"(not JSON, though its type says so) {bytes_line(body)}"]
    if is_data_set(value):
        return at_most_attributes(value, attributes)
    if isinstance(value, list) and value and all(is_data_set(item) for item in value):
        return [f"JSON array of {counted(len(value), 'data set')}", *data_sets_lines(value, attributes)]
    text = json.dumps(value, indent=2, ensure_ascii=False) if value else json.dumps(value)
    return at_most(stable_json(text).splitlines(), TEXT_LINES, "line")


def is_data_set(value: Any) -> bool:
    """Whether a JSON value is a DICOM JSON object (PS3.18 Annex F): tags as keys, `vr` in each value."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(re.fullmatch("[0-9A-Fa-f]{8}", tag) and isinstance(element, dict) for tag, element in value.items())
    )


def data_sets_lines(data_sets: Sequence[Mapping[str, Any]], attributes: int) -> Iterator[str]:
    """The first data set, and of the others what is different there."""
    first = data_sets[0]
    yield from numbered(1, at_most_attributes(first, attributes))
    for number, data_set in enumerate(data_sets[1:DATA_SETS], start=2):
        same = [tag for tag in data_set if data_set[tag] == first.get(tag)]
        lines = at_most_attributes({tag: data_set[tag] for tag in data_set if tag not in same}, attributes)
        lines += [f"{label(tag)}: (not there)" for tag in first if tag not in data_set]
        if same:
            lines.append(f"… and {counted(len(same), 'attribute')} as in 1" if lines else "the same as 1")
        yield from numbered(number, lines)
    if len(data_sets) > DATA_SETS:
        yield f"… and {counted(len(data_sets) - DATA_SETS, 'more data set')}"


def numbered(number: int, lines: list[str]) -> list[str]:
    """`lines` as item `number`: the number before the first line, the rest below it."""
    return [f"{f'{number}:' if index == 0 else '':3}{line}" for index, line in enumerate(lines or ["(empty)"])]


def at_most_attributes(data_set: Mapping[str, Any], limit: int) -> list[str]:
    tags = sorted(data_set)
    lines = [line for tag in tags[:limit] for line in attribute_lines(tag, data_set[tag])]
    return lines if len(tags) <= limit else [*lines, f"… and {counted(len(tags) - limit, 'more attribute')}"]


def attribute_lines(tag: str, element: Mapping[str, Any]) -> list[str]:
    """One attribute of a data set; the items of a sequence below it, further in."""
    values = element.get("Value", [])
    if element.get("vr") != "SQ":
        text = "\\".join(readable(tag, value) for value in values)
        return [f"{label(tag)}: {text or '(empty)'}"]
    lines = [f"{label(tag)}: {counted(len(values), 'item')}"]
    for number, item in enumerate(values[:ITEMS], start=1):
        lines += [f"  {line}" for line in numbered(number, at_most_attributes(item, len(item)))]
    return lines if len(values) <= ITEMS else [*lines, f"  … and {counted(len(values) - ITEMS, 'more item')}"]


def label(tag: str) -> str:
    """The tag with its keyword, when the standard has one for it.

    >>> label("00100020"), label("00091001")
    ('00100020 PatientID', '00091001')
    """
    return f"{tag} {keyword_for_tag(tag)}".strip()


def readable(tag: str, value: Any) -> str:
    """One value: names as text, UIDs of the standard with their name, reason codes with their meaning."""
    if isinstance(value, dict):
        return "=".join(value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")
    if isinstance(value, str):
        name = UID(value).name if value.startswith("1.2.840.10008.") else value
        return stable(value) if name == value else f"{value} = {name}"
    meaning = REASONS.get(tag, {}).get(value)
    return f"{value} = {meaning}" if meaning else json.dumps(value)


# ------------------------------------------------------------------------------------------- errors that are the point


class NothingRaised(HelperError, AssertionError):
    """A cell that should have failed went through."""


class expect:
    """`with expect(SomeError) as caught:` for a cell in which the error is the point; fails if nothing is raised.

    Afterwards `caught.value` is the error, and `caught.message` its text without what differs from run to run.

    >>> with expect(requests.HTTPError) as caught:
    ...     example_refusal.raise_for_status()
    >>> print(caught.message)
    406 Client Error: Not Acceptable for url: /v2/studies/…187420
    """

    def __init__(self, *errors: type[BaseException]) -> None:
        self.errors = errors
        self.value: BaseException | None = None

    @property
    def message(self) -> str:
        return stable(str(self.value))

    def __enter__(self) -> "expect":
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            names = " or ".join(error.__name__ for error in self.errors)
            raise NothingRaised(
                f"these lines should have failed with {names}, but nothing was raised. "
                "Look at the exchange above: has the server said yes to what it should refuse?"
            )
        self.value = error
        return isinstance(error, self.errors)
