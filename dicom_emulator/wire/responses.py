"""Bodies as they go out: JSON, nothing at all, and files sent piece by piece."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dicom_emulator.blocking import run_blocking
from dicom_emulator.extent import (
    CHUNK,
    LOT,
    Buffers,
    Extent,
    Piece,
    Reader,
    Spooled,
    batches_of,
    is_in_file,
    length_of,
    lots_of,
    refuse_missing,
)

DICOM_JSON = "application/dicom+json; charset=utf-8"
SERVICE_JSON = "application/json; charset=utf-8"
ZERO_COPY = "http.response.zerocopysend"  # ASGI's extension of this name
BUFFERS = Buffers()


@dataclass(frozen=True)
class Body:
    """One thing to send, alone or as a part: its media type with parameters, and its bytes."""

    content_type: str
    pieces: tuple[Piece, ...]


class DicomJson(Response):
    """DICOM JSON that is written already (PS3.18 annex F)."""

    media_type = DICOM_JSON


class ServiceJson(Response):
    """The service's own JSON, written already."""

    media_type = SERVICE_JSON


class StreamedResponse(Response):
    """Sends bytes and pieces of files one after another, until the client is gone.

    It holds the bytes that it reads, at most CHUNK, and as many that the client has yet to take. Of more than LOT those
    in large files are left for the server to send (ASGI's extension "zerocopysend"), if it can, and the system has them
    in memory. Raises OSError before anything is sent when one of the files cannot be read.
    """

    def __init__(self, pieces: Iterable[Piece], content_type: str, length: int | None = None):
        self.status_code = 200
        self.background = None
        self.pieces = list(pieces)
        self.raw_headers = [(b"content-type", content_type.encode("latin-1"))]
        if length is not None:
            self.raw_headers.append((b"content-length", str(length).encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        total = left = length_of(self.pieces)
        if total > CHUNK:
            await check(self.pieces)
        sends_files = total > LOT and ZERO_COPY in scope.get("extensions", ())
        gone, at_once = None, 0
        with Reader() as reader:
            try:
                async for size, message in messages(self.pieces, reader, sends_files):
                    if left == total:
                        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    left, at_once = left - size, at_once + size
                    await send(message | {"more_body": left > 0})
                    if left and at_once >= CHUNK:
                        gone = gone or asyncio.create_task(disconnected(receive))
                        await asyncio.sleep(0)  # it is others' turn, also if this client takes all at once
                        at_once = 0
                        if gone.done():
                            return
            finally:
                if gone:
                    gone.cancel()
                for path in {piece.path for piece in self.pieces if isinstance(piece, Spooled)}:
                    reader.close()  # Windows removes no file that is open
                    path.unlink(missing_ok=True)


async def messages(pieces: list[Piece], reader: Reader, sends_files: bool) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """What tells the server to send the pieces, and how many bytes each: of use until the next is asked for."""
    for lot in lots_of(pieces) if sends_files else [pieces]:
        if sends_files and is_in_file(lot[0]) and (file := reader.opened_at_hand(lot[0])):
            yield lot[0].length, {"type": ZERO_COPY, "file": file, "offset": lot[0].offset, "count": lot[0].length}
            continue
        for batch in batches_of(lot):
            buffer, size = BUFFERS.take(), length_of(batch)
            if not reader.read_at_hand(batch, buffer):
                await run_blocking(reader.read, batch, buffer)
            yield size, {"type": "http.response.body", "body": memoryview(buffer)[:size]}
            BUFFERS.give_back(buffer)


async def check(pieces: Sequence[Piece]) -> None:
    """Raises OSError when one of the files cannot be read, or ends early."""
    extents = [piece for piece in pieces if isinstance(piece, Extent)]
    if any(extent.path is not extents[0].path for extent in extents):
        await run_blocking(refuse_unreadable, extents)
    else:
        refuse_unreadable(extents)


def refuse_unreadable(extents: Iterable[Extent]) -> None:
    for _, group in groupby(extents, lambda extent: id(extent.path)):  # frames of an image lie in one file
        last = max(group, key=lambda extent: extent.offset + extent.length)
        if not os.access(last.path, os.R_OK):
            last.path.open("rb").close()  # for the error
        refuse_missing(last, last.path.stat().st_size - last.offset)


async def disconnected(receive: Receive) -> None:
    """Wait until the client has left: sending to somebody who is gone raises nothing, and takes no time."""
    while (await receive())["type"] != "http.disconnect":
        pass


def single(body: Body) -> StreamedResponse:
    """A response that is one body, with its length."""
    return StreamedResponse(body.pieces, body.content_type, length_of(body.pieces))


def multipart(bodies: Iterable[Body]) -> StreamedResponse:
    """A multipart/related response as the service writes it: no `type` parameter, parts with a type and no more."""
    boundary = str(uuid.uuid4())
    return StreamedResponse(frame(bodies, boundary), f"multipart/related; boundary={boundary}")


def frame(bodies: Iterable[Body], boundary: str) -> Iterator[Piece]:
    between = ""
    for body in bodies:
        yield f"{between}--{boundary}\r\nContent-Type: {body.content_type}\r\n\r\n".encode("latin-1")
        yield from body.pieces
        between = "\r\n"
    yield f"{between}--{boundary}--\r\n".encode()
