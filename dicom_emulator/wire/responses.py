"""Bodies as they go out: JSON, nothing at all, and files sent piece by piece."""

import asyncio
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, Sequence, cast

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from dicom_emulator.blocking import run_blocking
from dicom_emulator.extent import (
    CHUNK,
    Buffers,
    Extent,
    Piece,
    Reader,
    Spooled,
    batches_of,
    batches_with_files_apart,
    is_in_file,
    length_of,
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

    It holds the bytes that it reads, at most CHUNK, and as many that the client has yet to take; of a large file in the
    system's memory not even these, where the server sends it (ASGI's extension "zerocopysend"). Raises OSError before
    anything is sent when one of the files cannot be read.
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
        sends_files = total > CHUNK and ZERO_COPY in scope.get("extensions", ())
        gone = None
        with Reader() as reader:
            try:
                for batch in batches_with_files_apart(self.pieces) if sends_files else batches_of(self.pieces):
                    message = (sends_files and file_message(reader, batch)) or await read_message(reader, batch)
                    if left == total:
                        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    left -= length_of(batch)
                    await send(message | {"more_body": left > 0})
                    if "body" in message:
                        BUFFERS.give_back(message["body"].obj)
                    if left:
                        gone = gone or asyncio.create_task(disconnected(receive))
                        await asyncio.sleep(0)  # it is others' turn, also if this client takes all at once
                        if gone.done():
                            return
            finally:
                if gone:
                    gone.cancel()
                for path in {piece.path for piece in self.pieces if isinstance(piece, Spooled)}:
                    reader.close()  # Windows removes no file that is open
                    path.unlink(missing_ok=True)


def file_message(reader: Reader, batch: list[Piece]) -> Message | None:
    """What tells the server to send a part of a file, if that is all that the batch has, and no disk is waited for."""
    if not (len(batch) == 1 and is_in_file(batch[0])):
        return None
    extent = cast(Extent, batch[0])
    file = reader.opened_at_hand(extent)
    return file and {"type": ZERO_COPY, "file": file, "offset": extent.offset, "count": extent.length}


async def read_message(reader: Reader, batch: list[Piece]) -> Message:
    """The bytes of a batch, in a buffer of which the message has a view."""
    buffer = BUFFERS.take()
    if not reader.read_at_hand(batch, buffer):
        await run_blocking(reader.read, batch, buffer)
    return {"type": "http.response.body", "body": memoryview(buffer)[: length_of(batch)]}


async def check(pieces: Sequence[Piece]) -> None:
    """Raises OSError when one of several files cannot be read; of a single one that is seen when it is read."""
    paths = [piece.path for piece in pieces if isinstance(piece, Extent)]
    if any(path is not paths[0] for path in paths):
        await run_blocking(open_unreadable, paths)


def open_unreadable(paths: Iterable[Path]) -> None:
    """Opens what cannot be read, for the error."""
    for path in paths:
        if not os.access(path, os.R_OK):
            path.open("rb").close()


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
