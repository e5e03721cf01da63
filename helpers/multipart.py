"""multipart/related both ways: the body of a STOW-RS request, the parts of a WADO-RS reply.

A body of this type is a row of parts. Each part begins with a line `--boundary`, has headers of its own, an empty line
and its bytes; a line `--boundary--` ends the row. RFC 2387 defines it, PS3.18 §8.6.1.2 says how DICOMweb uses it.
"""

import io
import logging
import mmap
import os
import re
import secrets
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import requests
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from requests.exceptions import ChunkedEncodingError, ConnectionError, ContentDecodingError, StreamConsumedError
from requests.structures import CaseInsensitiveDict

from helpers.errors import HelperError

DICOM = "application/dicom"
EXPLICIT_VR_LITTLE_ENDIAN = b"1.2.840.10008.1.2.1"
CHUNK = 64 * 1024  # bytes; no piece that iter_content() gives is bigger
BLOCK = 256 * 1024  # bytes read, sent or written at a time: fewer calls, and it still fits the processor's cache
LARGE_BLOCK = 2 * 1024 * 1024  # bytes; in a long reply the saved calls outweigh what the fresh memory costs
FRESH = 128 * 1024  # bytes; for so many the C library asks the system for pages
LARGEST_AT_ONCE = 4 * 1024 * 1024  # bytes; beyond that nothing is gained by asking once
LONGEST_PREAMBLE = 16 * 1024  # bytes; text before the first boundary is allowed, though nobody sends much

File = bytes | str | os.PathLike[str] | BinaryIO
Fields = Mapping[str, tuple[str, File, str]] | Iterable[File]

# python_multipart warns about each malformed body; the errors below say it better.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())


class MultipartError(HelperError, ValueError):
    """The parent of all that can be wrong with a multipart body."""


class NotMultipart(MultipartError):
    """The body is of another type."""


class MissingBoundary(MultipartError):
    """The Content-Type does not say where one part ends and the next begins."""


class WrongBoundary(MultipartError):
    """The boundary of the Content-Type is not the one in the body."""


class TruncatedBody(MultipartError):
    """The body stops before its closing line."""


class MalformedBody(MultipartError):
    """The body breaks a rule of RFC 2046."""


class PartPassedBy(MultipartError):
    """A part was asked for its bytes after they had gone by."""


# ---------------------------------------------------------------------------------------------------- making a body


def encode_multipart_related(fields: Fields, boundary: str | None = None) -> tuple[bytes, str]:
    r"""Make a multipart/related body in memory; return it with its Content-Type.

    `fields` is what the tutorial passes, a mapping of any name to (file name, bytes, content type), or a sequence of
    files: bytes, paths or files opened for reading binary. DICOMweb has no use for names, so none is sent.
    `boundary` is chosen at random unless given. For big files use MultipartRelatedStream.

    Raises MultipartError when a boundary is given that occurs in the data or is not allowed by RFC 2046 §5.1.1.

    >>> body, content_type = encode_multipart_related({"file": ("a.dcm", b"DICM", "application/dicom")}, "XX")
    >>> content_type
    'multipart/related; type="application/dicom"; boundary=XX'
    >>> body
    b'--XX\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--XX--\r\n'
    >>> encode_multipart_related([b"DICM"], "XX")[0] == body
    True
    """
    stream = MultipartRelatedStream(fields, boundary)
    body = stream.read()
    if boundary and body.count(b"--" + boundary.encode()) != len(stream.parts) + 1:
        raise MultipartError(f"the boundary {stream.boundary!r} also occurs inside the data: choose another")
    return body, stream.content_type


@dataclass(frozen=True)
class OutgoingPart:
    """One part of a body to be sent: `size` bytes from `source`, which for an open file begin at `start`."""

    content_type: str
    source: bytes | Path | BinaryIO
    size: int
    start: int = 0

    def pieces(self) -> Iterator[bytes | memoryview]:
        """The bytes, a block at a time. Raises MultipartError when the file is no longer as long as it was."""
        if isinstance(self.source, bytes):
            yield from slices(memoryview(self.source), BLOCK)
        elif isinstance(self.source, Path):
            with self.source.open("rb", buffering=0) as file:
                yield from self._pieces_of(file)
        else:
            self.source.seek(self.start)
            yield from self._pieces_of(self.source)

    def _pieces_of(self, file: BinaryIO | io.FileIO) -> Iterator[bytes]:
        left = self.size
        while piece := file.read(min(BLOCK, left)):
            left -= len(piece)
            yield piece
        if left or file.read(1):
            raise MultipartError("a file changed its length while it was being sent: send the request again")


def slices(view: memoryview, size: int) -> Iterator[memoryview]:
    """`view` in pieces of at most `size` bytes, of which none is copied."""
    return (view[start : start + size] for start in range(0, len(view), size))


class MultipartRelatedStream(io.RawIOBase):
    """A multipart/related body that reads its files while it is sent, one block at a time.

    Use it as `data=` of a requests call: its length is known beforehand, so that Content-Length is sent, and it can be
    put back to its start, so that BearerAuth can repeat the request. `fields` as for encode_multipart_related;
    `parts` lists what will be sent. It can be read like a file, or iterated over: that gives the pieces as they are.

    >>> stream = MultipartRelatedStream([b"one", b"two"])
    >>> len(stream) == len(stream.read())
    True
    """

    def __init__(self, fields: Fields, boundary: str | None = None) -> None:
        # 128 random bits: that they occur in the data by chance is less likely than a broken disk.
        self.boundary = boundary or secrets.token_hex(16)
        if not re.fullmatch(r"[\w'()+,./:=?-]{1,70}", self.boundary, re.ASCII):
            raise MultipartError("a boundary is 1 to 70 letters, digits or signs out of '()+_,-./:=? (RFC 2046 §5.1.1)")
        self.parts = outgoing_parts(fields)
        self._length = sum(len(self._head(part)) + part.size + 2 for part in self.parts) + len(self._end())
        self._pieces = self._all_pieces()
        self._rest = memoryview(b"")  # of a piece of which only the beginning was read
        self._position = 0

    @property
    def content_type(self) -> str:
        """The Content-Type to send, with the type of the first part."""
        media_type = self.parts[0].content_type.partition(";")[0].strip() if self.parts else DICOM
        boundary = self.boundary if re.fullmatch(r"[\w.+-]+", self.boundary) else f'"{self.boundary}"'
        return f'multipart/related; type="{media_type}"; boundary={boundary}'

    def _head(self, part: OutgoingPart) -> bytes:
        return f"--{self.boundary}\r\nContent-Type: {part.content_type}\r\n\r\n".encode()

    def _end(self) -> bytes:
        return f"--{self.boundary}--\r\n".encode()

    def _all_pieces(self) -> Iterator[bytes | memoryview]:
        for part in self.parts:
            yield self._head(part)
            yield from part.pieces()
            yield b"\r\n"
        yield self._end()

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go back to the start, or stay: a network body needs no other move."""
        if (offset, whence) == (0, io.SEEK_SET):
            self._pieces, self._rest, self._position = self._all_pieces(), memoryview(b""), 0
        elif (offset, whence) not in ((0, io.SEEK_CUR), (self._position, io.SEEK_SET)):
            raise io.UnsupportedOperation("this body can be read from its start only")
        return self._position

    def __iter__(self) -> Iterator[bytes | memoryview]:
        return self

    def __next__(self) -> bytes | memoryview:
        piece = self._rest or next(self._pieces)
        self._rest = memoryview(b"")
        self._position += len(piece)
        return piece

    def read(self, size: int | None = -1) -> bytes:
        return b"".join(self if size is None or size < 0 else self._at_most(size))

    def readinto(self, buffer: Any) -> int:
        filled = 0
        for piece in self._at_most(len(buffer)):
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def _at_most(self, size: int) -> Iterator[bytes | memoryview]:
        while size and (piece := next(self, None)):
            if len(piece) > size:
                piece, self._rest = memoryview(piece)[:size], memoryview(piece)[size:]
                self._position -= len(self._rest)
            size -= len(piece)
            yield piece


def outgoing_parts(fields: Fields) -> list[OutgoingPart]:
    """`fields` of encode_multipart_related as the parts to send."""
    if isinstance(fields, (bytes, str, os.PathLike)):
        raise MultipartError("one file goes in as a list of one: encode_multipart_related([file])")
    if not isinstance(fields, Mapping):
        return [outgoing_part(file) for file in fields]
    try:
        return [outgoing_part(file, content_type) for _, file, content_type in fields.values()]
    except ValueError as problem:
        raise MultipartError("each value of `fields` is (file name, bytes, content type)") from problem


def outgoing_part(file: File, content_type: str = DICOM) -> OutgoingPart:
    if isinstance(file, bytes):
        return OutgoingPart(content_type, file, len(file))
    if isinstance(file, (str, os.PathLike)):
        path = Path(file)
        return OutgoingPart(content_type, path, path.stat().st_size)
    start = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(start)
    return OutgoingPart(content_type, file, end - start, start)


# --------------------------------------------------------------------------------------------------- reading a body


class Part:
    """One part of a multipart body: its headers, and its bytes, which are read when they are asked for.

    Ask before the next part is taken, in one of three ways: `content` holds them all, `save(target)` writes them to a
    file, `iter_content()` gives them piece by piece. Bytes that nobody asked for are read and dropped. `view` is
    `content` in less time, for who can use a memoryview: numpy.frombuffer(part.view, "uint8").
    """

    def __init__(self, headers: CaseInsensitiveDict[str], events: Iterator[Any], in_memory: bool = False) -> None:
        self.headers = headers
        self._events = events
        self._in_memory = in_memory
        self._kept: bytes | memoryview | None = None
        self._state = "unread"

    def __repr__(self) -> str:
        return f"Part({self.content_type or 'without a type'})"

    @property
    def content_type(self) -> str:
        """The part's Content-Type, empty when it has none."""
        return self.headers.get("Content-Type", "")

    @property
    def transfer_syntax(self) -> str:
        """How the pixels of the part are coded: the parameter of its Content-Type, or what holds without one.

        The default is Explicit VR Little Endian (PS3.18 §8.7.3.5.2).
        """
        parameters = parse_options_header(self.content_type)[1]
        return parameters.get(b"transfer-syntax", EXPLICIT_VR_LITTLE_ENDIAN).decode("latin-1")

    @property
    def view(self) -> memoryview:
        """All bytes of the part, kept. Of a body that is in memory they are not copied: they keep it there."""
        if self._kept is None:
            self._kept = in_one(self._views(), self._in_memory)
        return memoryview(self._kept)

    @property
    def content(self) -> bytes:
        """All bytes of the part, kept."""
        if not isinstance(self._kept, bytes):
            self._kept = in_bytes(self._views() if self._kept is None else [self._kept])
        return self._kept

    def iter_content(self) -> Iterator[bytes]:
        """The bytes in pieces of at most 64 kB, as they arrive, not kept."""
        return map(bytes, self._views(CHUNK))

    def _views(self, size: int = sys.maxsize) -> Iterator[memoryview]:
        if self._state != "unread":
            raise PartPassedBy(
                "the bytes of this part have gone by. Read them before you take the next part, "
                "or use parts_of(response), which keeps all parts in memory."
            )
        self._state = "being read"
        return self._arriving(size)

    def _arriving(self, size: int) -> Iterator[memoryview]:
        for event in self._events:
            if event is None:
                self._state = "read"
                return
            for view in slices(event, size):
                yield view
                if self._state == "passed by":
                    raise PartPassedBy("the next part was taken before this one was read: read one after the other")

    def save(self, target: str | os.PathLike[str] | BinaryIO) -> int:
        """Write the bytes to a path or an open binary file, piece by piece; return how many there were.

        A file at a path is removed again when the body turns out to be truncated.
        """
        views = self._views()
        if not isinstance(target, (str, os.PathLike)):
            return sum(target.write(view) for view in views)
        try:
            with open(target, "wb") as file:
                return sum(file.write(view) for view in views)
        except MultipartError:
            os.unlink(target)
            raise

    def pass_by(self) -> None:
        """Read and drop what nobody asked for."""
        if self._state != "read":
            while next(self._events, None) is not None:
                pass
            self._state = "passed by"


def in_one(views: Iterator[memoryview], in_memory: bool) -> bytes | memoryview:
    """What the views hold, in one piece. A single one of a body in memory stays as it is.

    Of a body that arrives it is copied, too: else a small part would keep the block that it came in.
    """
    if in_memory:
        first, second = next(views, memoryview(b"")), next(views, None)
        return first if second is None else in_bytes(chain([first, second], views))
    some, size = [], 0
    for view in views:
        some.append(view)
        size += len(view)
        if size > LARGEST_AT_ONCE:
            return in_bytes(chain(some, views))
    return in_bytes(some) if size < FRESH else in_fresh_pages(some, size)


def in_fresh_pages(views: list[memoryview], size: int) -> bytes | memoryview:
    """A copy in memory that Linux hands out as a whole: page by page would take longer than to copy."""
    if not hasattr(mmap, "MAP_POPULATE"):
        return in_bytes(views)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    try:
        pages = mmap.mmap(-1, size, flags)
    except OSError:  # a process has a limited number of them
        return in_bytes(views)
    for view in views:
        pages.write(view)
    return memoryview(pages).toreadonly()


def in_bytes(views: Iterable[memoryview]) -> bytes:
    whole = io.BytesIO()  # grows in place, and gives away what it holds: at no time is there a second copy
    whole.writelines(views)
    return whole.getvalue()


def iter_parts(response: requests.Response) -> Iterator[Part]:
    """The parts of a multipart reply, one after another, while it arrives.

    With `client.get(url, stream=True)` nothing is held in memory but what you keep. Works as well for a response that
    has been read already.

    Raises NotMultipart, MissingBoundary at once; WrongBoundary, TruncatedBody, MalformedBody when the body shows it.

    >>> for part in iter_parts(example_reply):
    ...     print(part.content_type, len(part.content))
    application/dicom 4
    application/dicom 3
    """
    boundary = boundary_of_reply(response)
    if response._content is not False:  # requests keeps False here until the body has been read
        return split_parts([response.content or b""], boundary, in_memory=True)
    return split_parts(arriving(response), boundary)


def parts_of(response: requests.Response) -> list[Part]:
    """All parts of a multipart reply with their bytes, in a list. Errors as in iter_parts.

    >>> [part.content for part in parts_of(example_reply)]
    [b'DICM', b'two']
    """
    parts = []
    for part in iter_parts(response):
        part.view  # keeps it
        parts.append(part)
    return parts


def boundary_of_reply(response: requests.Response) -> str:
    """The boundary that the reply's Content-Type names; NotMultipart or MissingBoundary if there is none."""
    content_type = response.headers.get("Content-Type", "")
    media_type = content_type.partition(";")[0].strip()
    if not media_type.lower().startswith("multipart/"):
        came = f"{response.status_code} {response.reason}, {media_type or 'without a content type'}"
        if response.status_code >= 400:
            raise NotMultipart(f"the reply has no parts: it is {came}. The request failed: look at response.text.")
        if not media_type:
            raise NotMultipart(f"the reply has no parts: it is {came}.")
        raise NotMultipart(
            f"the reply has no parts: it is {came}. Its bytes are in response.content. For parts, send the header "
            'Accept: multipart/related; type="application/dicom"; transfer-syntax=* '
            '(for frames: type="application/octet-stream").'
        )
    return boundary_of(content_type)


def boundary_of(content_type: str) -> str:
    """The boundary parameter of a multipart Content-Type, quoted or not.

    >>> boundary_of('multipart/related; type="application/dicom"; boundary="A;B"')
    'A;B'
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"").decode("latin-1").rstrip()
    if not boundary:
        raise MissingBoundary(
            f"the Content-Type `{content_type}` has no boundary, so nobody can tell where a part begins. "
            'The sender has to name it: multipart/related; type="application/dicom"; boundary=…'
        )
    return boundary


def split_parts(body: Iterable[bytes], boundary: str, in_memory: bool = False) -> Iterator[Part]:
    """The parts of a multipart body that arrives in pieces of any size (RFC 2046 §5.1).

    `in_memory` says that the pieces stay in memory anyway: then a part may be a view of one.
    """
    events = parser_events(iter(body), boundary)
    for headers in events:
        part = Part(headers, events, in_memory)
        yield part
        part.pass_by()


def parser_events(body: Iterator[bytes], boundary: str) -> Iterator[CaseInsensitiveDict[str] | memoryview | None]:
    """What python_multipart's callbacks tell, as a row: the headers of a part, views of its bytes, None at its end.

    Nothing is copied: the parser looks for the boundary, and a view says where in a piece of `body` the bytes are.
    """
    events: deque[CaseInsensitiveDict[str] | memoryview | None] = deque()
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    name, value = bytearray(), bytearray()
    finished = False

    def on_part_begin() -> None:
        nonlocal headers
        headers = CaseInsensitiveDict()

    def on_header_end() -> None:
        headers[name.decode("latin-1")] = value.decode("latin-1").strip()
        name.clear()
        value.clear()

    def on_end() -> None:
        nonlocal finished
        finished = True

    parser = make_parser(
        boundary,
        on_part_begin=on_part_begin,
        on_header_field=lambda data, start, end: name.extend(data[start:end]),
        on_header_value=lambda data, start, end: value.extend(data[start:end]),
        on_header_end=on_header_end,
        on_headers_finished=lambda: events.append(headers),
        on_part_data=lambda data, start, end: events.append(memoryview(data)[start:end]),
        on_part_end=lambda: events.append(None),
        on_end=on_end,
    )
    whole_parts, problem = 0, None
    for chunk in from_first_boundary(body, boundary):
        try:
            parser.write(chunk)
        except FormParserError as error:
            problem = error
        while events:  # what came whole before the fault, too
            event = events.popleft()
            whole_parts += event is None
            yield event
        if problem:
            raise MalformedBody(f"part {whole_parts + 1} of the body breaks RFC 2046: {problem}") from problem
    if not finished:
        raise truncated(f"after {whole_parts} whole part{'' if whole_parts == 1 else 's'}")


def make_parser(boundary: str, **callbacks: Any) -> MultipartParser:
    try:
        return MultipartParser(boundary, callbacks, max_header_count=100, max_header_size=16 * 1024)
    except FormParserError as problem:
        raise MissingBoundary(f"the boundary of the Content-Type cannot be used: {problem}") from problem


def from_first_boundary(body: Iterator[bytes], boundary: str) -> Iterator[bytes]:
    """`body` without what stands before the first boundary: it may be there, and python_multipart refuses it."""
    delimiter = b"--" + boundary.encode("latin-1")
    first_line = re.compile(rb"(?:\A|\r\n)" + re.escape(delimiter) + rb"(?:[ \t]*(?=\r\n)|(?=--))")
    beginning = b""
    for chunk in body:
        beginning += chunk
        if found := first_line.search(beginning, 0, LONGEST_PREAMBLE):
            # A body that begins with its boundary, as nearly all do, is not copied.
            yield beginning if found.end() == len(delimiter) else delimiter + beginning[found.end() :]
            yield from body
            return
        if len(beginning) >= LONGEST_PREAMBLE:
            beginning = beginning[:LONGEST_PREAMBLE]
            break
    if re.search(re.escape(delimiter) + rb"[ \t]*\n", beginning):
        raise MalformedBody("the lines of the body end with LF alone; multipart wants CR LF (RFC 2046 §5.1.1)")
    if delimiter.startswith(beginning) or re.search(re.escape(delimiter) + rb"(?:-|[ \t]*\r?)\Z", beginning):
        raise truncated("before its first part")
    raise WrongBoundary(
        f"the Content-Type names the boundary `{boundary}`, but no line of the body is `--{boundary}`. "
        f"The body begins with {beginning[:40]!r}: header and body were not made together."
    )


def truncated(where: str) -> TruncatedBody:
    return TruncatedBody(
        f"the body stops {where}, before its closing line. The connection was cut or the sender gave up: "
        "do not trust the last part, send the request again."
    )


def arriving(response: requests.Response) -> Iterator[bytes]:
    """The body of a response, in blocks, which are larger the longer it is. A cut connection ends it."""
    length = getattr(response.raw, "length_remaining", None) or 0  # unknown if the reply is chunked
    try:
        yield from response.iter_content(min(max(BLOCK, length // 16), LARGE_BLOCK))
    except (ChunkedEncodingError, ConnectionError):
        return  # the parser finds out that the closing line is missing, and says after which part
    except ContentDecodingError as problem:
        raise MalformedBody(f"the body cannot be unpacked: {problem}") from problem
    except StreamConsumedError as problem:
        raise PartPassedBy("this reply was read as a stream before: send the request again") from problem
