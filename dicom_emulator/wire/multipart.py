"""multipart/related request bodies, written to files while they arrive (RFC 2387, PS3.18 §8.6)."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MAX_BOUNDARY_LENGTH, MultipartParser

LONGEST_PREAMBLE = 64 * 1024
MOST_PARTS = 100_000
SMALL = 64 * 1024  # bytes of a part that is written at once
MOST_IN_MEMORY = 4 * 1024 * 1024  # bytes of small parts that are kept


class Malformed(ValueError):
    """The body is not the multipart message that its header announced."""


class PartTooLarge(ValueError):
    """A part has more bytes than allowed."""


class WrongPartType(ValueError):
    """A part has another media type than the one that is taken; the argument is that type."""


class SpooledPart:
    """The body of a part: `size` bytes in the file `path`, or in `content` where there is no such file.

    A small one waits in memory, so that its file is made once, where it is to stay, and not for what is refused.

    new_file: gives the path of a file that does not exist yet.
    max_size: in bytes.
    """

    def __init__(self, new_file: Callable[[], Path], max_size: int):
        self.size = 0
        self.path: Path | None = None
        self.content = b""
        self._new_file, self._max_size = new_file, max_size
        self._beginning: list[bytes] = []  # until it turns out to be more than small
        self._file: BinaryIO | None = None

    @property
    def source(self) -> Path | bytes:
        return self.path or self.content

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes. Raises PartTooLarge."""
        self.size += len(data)
        if self.size > self._max_size:
            raise PartTooLarge
        if self._file is None and self.size <= SMALL:
            self._beginning.append(bytes(data))
        else:
            (self._file or self._open()).write(data)

    def end(self, in_memory: bool) -> None:
        """All is there. in_memory: whether a small part may stay where it is."""
        if in_memory and self._file is None:
            self.content = b"".join(self._beginning)
            self._beginning = []
        elif self._file is None:
            self._open()
        self.close()

    def close(self) -> None:
        """Close the file that is being written, if any. It stays."""
        if self._file:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        self.path = self._new_file()
        self._file = self.path.open("xb")
        self._file.writelines(self._beginning)
        self._beginning = []
        return self._file


class PartSpooler:
    """Takes a body piece by piece and leaves each part's body in a file of its own, or in memory where it is small.

    boundary: from the Content-Type header.
    part_type: the only media type a part may have.
    root_type: the header's `type` parameter; if it equals part_type, the first part may come without a type.
    new_file: gives the path of a file that does not exist yet.
    max_part_size: in bytes.
    """

    def __init__(self, boundary: str, part_type: str, root_type: str, new_file: Callable[[], Path], max_part_size: int):
        if not 0 < len(boundary) <= MAX_BOUNDARY_LENGTH:
            raise Malformed(f"a boundary has 1 to {MAX_BOUNDARY_LENGTH} characters")
        self.parts: list[SpooledPart] = []
        self._delimiter = b"--" + boundary.encode("latin-1", "replace")
        self._part_type, self._root_type = part_type.lower(), root_type.lower()
        self._new_file, self._max_part_size = new_file, max_part_size
        self._head = b""  # what came before the first delimiter was found
        self._parser: MultipartParser | None = None
        self._header_name = self._header_value = b""
        self._content_type: bytes | None = None
        self._in_memory = 0
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body. Raises Malformed, PartTooLarge, WrongPartType."""
        if self._parser is None and not self._ended:
            data = self._find_first_delimiter(data)
        if self._parser is not None and data:
            try:
                self._parser.write(data)
            except FormParserError as error:
                raise Malformed(str(error)) from None

    def finish(self) -> list[SpooledPart]:
        """The parts, once the body has ended; none for a body without parts. Raises Malformed when it ended early."""
        if not self._ended and self._head.strip(b"\r\n"):
            raise Malformed("Unexpected end of the multipart body: the closing boundary is missing.")
        return self.parts

    def _find_first_delimiter(self, data: bytes) -> bytes:
        """Skip the preamble, which python-multipart does not do; return what the parser shall see."""
        self._head += data
        start = (b"\r\n" + self._head).find(b"\r\n" + self._delimiter)
        if start < 0:
            if len(self._head) > LONGEST_PREAMBLE:
                raise Malformed("The boundary of the Content-Type header does not occur in the body.")
            return b""
        message = self._head[start:]
        # Two ways to write a message without parts; the second is .NET's.
        close = self._delimiter + b"--"
        without_parts = (close, self._delimiter + b"\r\n\r\n" + close)
        if message.startswith(without_parts):
            self._ended = True
        elif len(message) >= max(map(len, without_parts)):
            self._start_parser()
            return self._delimiter + message[len(self._delimiter) :].lstrip(b" \t")  # RFC 2046 allows blanks there
        return b""

    def _start_parser(self) -> None:
        self._parser = MultipartParser(
            self._delimiter[2:],
            {
                "on_part_begin": self._begin_part,
                "on_header_begin": self._begin_header,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open_part,
                "on_part_data": self._write_part,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
            max_header_count=16,
            max_header_size=16 * 1024,
        )

    def _begin_part(self) -> None:
        self._content_type = None

    def _begin_header(self) -> None:
        self._header_name = self._header_value = b""

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-type":
            self._content_type = self._header_value.strip()

    def _open_part(self) -> None:
        if self._content_type is None:
            given = self._root_type if not self.parts else ""
        else:
            given = self._content_type.decode("latin-1")
        if given.lower() != self._part_type:
            raise WrongPartType(given)
        if len(self.parts) == MOST_PARTS:
            raise Malformed(f"There are more than {MOST_PARTS} parts.")
        self.parts.append(SpooledPart(self._new_file, self._max_part_size))

    def _write_part(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].write(memoryview(data)[start:end])

    def _end_part(self) -> None:
        part = self.parts[-1]
        part.end(in_memory=self._in_memory + part.size <= MOST_IN_MEMORY)
        self._in_memory += len(part.content)

    def _end(self) -> None:
        self._ended = True
