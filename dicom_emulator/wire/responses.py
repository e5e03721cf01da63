"""Bodies as they go out: JSON, nothing at all, and files sent piece by piece."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Iterable, Iterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dicom_emulator.blocking import run_blocking
from dicom_emulator.extent import Block, Piece, at_hand, batches_of, length_of

DICOM_JSON = "application/dicom+json; charset=utf-8"
SERVICE_JSON = "application/json; charset=utf-8"


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
    """Sends bytes and pieces of files one after another, holding one batch at a time, until the client is gone.

    Raises OSError before anything is sent when one of the files cannot be read.
    """

    def __init__(self, pieces: Iterable[Piece], content_type: str, length: int | None = None):
        self.status_code = 200
        self.background = None
        self.pieces = list(pieces)
        self.init_headers({"content-type": content_type} | ({} if length is None else {"content-length": str(length)}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        batches = batches_of(self.pieces)
        batch = at_hand(self.pieces) or await run_blocking(self.first, batches)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = length_of(self.pieces)
        gone = None
        try:
            while True:
                for block in batch:
                    left -= len(block)
                    await send({"type": "http.response.body", "body": block, "more_body": left > 0})
                if not left:
                    return
                gone = gone or asyncio.create_task(disconnected(receive))
                if gone.done():
                    return
                batch = await run_blocking(next, batches)
        finally:
            if gone:
                gone.cancel()

    def first(self, batches: Iterator[list[Block]]) -> list[Block]:
        """The first bytes, if all files are there."""
        for path in {piece.path for piece in self.pieces if not isinstance(piece, bytes)}:
            path.open("rb").close()
        return next(batches)


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
