"""What is told of an exchange: a request, its reply, and of both what is worth reading."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import requests
from pydicom.uid import UID

from helpers.auth import without_tokens
from helpers.exchange.data_sets import DataSet, DataSets, data_set_of, data_sets_of, is_data_set
from helpers.exchange.masks import as_text, header_value, stable, stable_json
from helpers.exchange.words import at_most, meaning_of, size_of, status_line, time_of
from helpers.multipart import (
    MultipartError,
    MultipartRelatedStream,
    OutgoingPart,
    WrongBoundary,
    boundary_of,
    split_parts,
)
from helpers.multipart import Part as WholePart

PARTS = 6  # listed of a multipart body
TEXT_LINES = 24  # listed of any text
DUMPED = 32  # bytes that are written out
IN_A_ROW = 8  # of them

# Whoever compares outputs sets it to "hidden": a time is another one on each run (run.py, learner_environment).
TIMES = "DICOM_LESSON_TIMES"

# What every client sends without being asked, and what is told in another way.
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

Header = tuple[str, str]  # name, value


@dataclass
class Note:
    """In place of a body: why there is nothing to show."""

    text: str


@dataclass
class Text:
    lines: Sequence[str]
    more: str


@dataclass
class Bytes:
    """How some bytes begin, readable if it can be, and how many there are; `dump` has the first as hex and text."""

    begin: str
    size: str
    dump: list[str] = field(default_factory=list)
    remark: str = ""


@dataclass
class Part:
    headers: list[Header]
    content: Bytes
    syntax: str = ""  # the transfer syntax by its name


@dataclass
class Parts:
    """A multipart body. `trouble` says why it is not a whole one."""

    parts: Sequence[Part]
    more: str
    trouble: str = ""


Body = Note | Text | Bytes | Parts | DataSet | DataSets


@dataclass
class Message:
    headers: list[Header]
    body: Body | None


@dataclass
class Exchange:
    """One request with its reply, nothing in it that must not be seen. `waited` is empty where times are hidden."""

    method: str
    address: str
    status: str
    meaning: str
    request: Message
    reply: Message
    waited: str = ""


def exchange_of(response: requests.Response, body: bool, attributes: int) -> Exchange:
    request, code = response.request, response.status_code
    return Exchange(
        method=request.method or "",
        address=stable(request.url or ""),
        status=status_line(code, response.reason),
        meaning=meaning_of(code),
        request=Message(request_headers(request), request_body(request, attributes)),
        reply=Message(
            reply_headers(response), reply_body(response, attributes) if body else Note("(the body is not shown)")
        ),
        waited=waited_for(response),
    )


def waited_for(response: requests.Response) -> str:
    """How long the reply took to begin."""
    seconds = response.elapsed.total_seconds()
    return "" if os.environ.get(TIMES) == "hidden" or not seconds else time_of(seconds)


def request_headers(request: requests.PreparedRequest) -> list[Header]:
    """The headers of the request that say something, by name."""
    shown = [name for name in request.headers if name.lower() not in QUIET_REQUEST_HEADERS]
    return [(name, header_value(name, request.headers[name])) for name in sorted(shown)]


def reply_headers(response: requests.Response) -> list[Header]:
    return [(name, header_value(name, response.headers[name])) for name in REPLY_HEADERS if name in response.headers]


# ------------------------------------------------------------------------------------------------------------- bodies


def request_body(request: requests.PreparedRequest, attributes: int) -> Body | None:
    body = request.body
    content_type = as_text(request.headers.get("Content-Type", ""))
    if body is None:
        return None
    if isinstance(body, MultipartRelatedStream):
        return Parts(*at_most([streamed(part) for part in body.parts], PARTS, "part"))
    if isinstance(body, (bytes, str)):
        return body_of(body.encode() if isinstance(body, str) else body, content_type, attributes)
    return Note("(the body was sent as a stream and is not kept)")


def reply_body(response: requests.Response, attributes: int) -> Body:
    # requests keeps False here until the body has been read; reading it now would take it from the caller.
    if response._content is False:
        gone = response._content_consumed
        return Note("(the body was read as a stream and is not kept)" if gone else "(the body has not been read yet)")
    return body_of(response.content, response.headers.get("Content-Type", ""), attributes)


def body_of(body: bytes, content_type: str, attributes: int) -> Body:
    """A body of either direction, by its media type."""
    media_type = content_type.partition(";")[0].strip().lower()
    if not body:
        return Note("(no body)")
    if media_type.startswith("multipart/"):
        return parts_in(body, content_type)
    if media_type.endswith("json"):
        return json_of(body, attributes)
    if media_type.startswith("text/") or media_type.endswith("xml"):
        return Text(*at_most(stable(body.decode("utf-8", "replace")).splitlines(), TEXT_LINES, "line"))
    return bytes_of(body)


def json_of(body: bytes, attributes: int) -> Body:
    try:
        value = json.loads(body)
    except ValueError:
        return bytes_of(body, remark="(not JSON, though its type says so)")
    if is_data_set(value):
        return data_set_of(value, attributes)
    if isinstance(value, list) and value and all(is_data_set(item) for item in value):
        return data_sets_of(value, attributes)
    text = json.dumps(value, indent=2, ensure_ascii=False) if value else json.dumps(value)
    return Text(*at_most(stable_json(text).splitlines(), TEXT_LINES, "line"))


def parts_in(body: bytes, content_type: str) -> Parts:
    found, trouble = [], ""
    try:
        for part in split_parts([body], boundary_of(content_type)):
            found.append(part_of(part))
    except MultipartError as problem:
        # Neither the first bytes nor the names of boundaries are shown: they are others on each run.
        why = "its boundary is not the one of the Content-Type" if isinstance(problem, WrongBoundary) else problem
        trouble = f"(not a whole multipart body, {size_of(len(body))}: {stable(str(why))})"
    return Parts(*at_most(found, PARTS, "part"), trouble)


def part_of(part: WholePart) -> Part:
    headers = [(name, header_value(name, value)) for name, value in part.headers.items()]
    return Part(headers, bytes_of(part.content), syntax_in(part.content_type))


def streamed(part: OutgoingPart) -> Part:
    return Part([("Content-Type", part.content_type)], Bytes("", f"{size_of(part.size)}, read while it was sent"))


def syntax_in(content_type: str) -> str:
    """The name of the transfer syntax that a Content-Type has as a parameter.

    >>> syntax_in("application/dicom; transfer-syntax=1.2.840.10008.1.2.1"), syntax_in("image/jpeg")
    ('Explicit VR Little Endian', '')
    """
    uid = re.search(r"transfer-syntax=\"?(1\.2\.840\.10008\.[\d.]+)", content_type)
    return UID(uid[1]).name if uid and UID(uid[1]).name != uid[1] else ""


def bytes_of(content: bytes, remark: str = "") -> Bytes:
    """How the bytes begin.

    >>> bytes_of(bytes(128) + b"DICM" + bytes(2000)).begin
    '128 zero bytes, DICM, …'
    >>> bytes_of(b"\\xc3\\xc3\\xc3\\xff")
    Bytes(begin='c3 c3 c3 ff', size='4 bytes', dump=['0000  c3 c3 c3 ff              ....'], remark='')
    """
    if not content:
        return Bytes("", "no bytes", remark=remark)
    if content[128:132] == b"DICM":
        preamble = "128 zero bytes" if not any(content[:128]) else "a preamble of 128 bytes"
        begin, start = f"{preamble}, DICM, …", 128
    else:
        begin, start = f"{content[:8].hex(' ')}{' …' if len(content) > 8 else ''}", 0
    return Bytes(begin, size_of(len(content)), dump(content, start), remark)


def dump(content: bytes, start: int) -> list[str]:
    """The first bytes from `start` on: position, hex, text; nothing if there is something in them to hide."""
    seen = content[start : start + 1000].decode("latin-1")
    if without_tokens(seen) != seen or stable(seen[:DUMPED]) != seen[:DUMPED]:
        return []
    rows = range(start, min(start + DUMPED, len(content)), IN_A_ROW)
    return [dump_row(position, content[position : position + IN_A_ROW]) for position in rows]


def dump_row(position: int, piece: bytes) -> str:
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
    return f"{position:04x}  {piece.hex(' '):{3 * IN_A_ROW - 1}}  {text}"
