"""Parts of files: what the archive knows of a frame, and what a response sends."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator

CHUNK = 1024 * 1024  # bytes that are read, and sent, at a time
SMALL = 64 * 1024  # bytes up to which pieces are put together


@dataclass(frozen=True)
class Extent:
    """`length` bytes of a file, from `offset` on."""

    path: Path
    offset: int
    length: int

    def chunks(self) -> Iterator[bytes]:
        """The bytes, at most CHUNK at a time. Raises OSError when the file ends early."""
        left = self.length
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            while left and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk
        if left:
            raise OSError(f"{self.path.name} ends {left} bytes early")

    def cached(self) -> bytearray | None:
        """All of the bytes if the system has them in memory, so that no disk is waited for; only Linux can tell."""
        if not hasattr(os, "RWF_NOWAIT"):
            return None
        content = bytearray(self.length)
        with self.path.open("rb", buffering=0) as file:
            try:
                found = os.preadv(file.fileno(), [content], self.offset, os.RWF_NOWAIT)
            except OSError:
                return None
        return content if found == self.length else None

    def read(self) -> bytes:
        """All of the bytes at once."""
        return b"".join(self.chunks())


Piece = bytes | Extent
Block = bytes | bytearray


def at_hand(pieces: Iterable[Piece]) -> list[Block] | None:
    """All bytes of the pieces where they are few and in memory, so that no disk is waited for; else None."""
    if length_of(pieces) > CHUNK:
        return None
    blocks = [piece if isinstance(piece, bytes) else piece.cached() for piece in pieces]
    return None if None in blocks else list(small_together(blocks))


def batches_of(pieces: Iterable[Piece]) -> Iterator[list[Block]]:
    """The bytes of all pieces, one after another, about CHUNK of them at a time. Raises OSError as chunks() does."""
    batch: list[Block] = []
    size = 0
    for block in small_together(chunks_of(pieces)):
        batch.append(block)
        size += len(block)
        if size >= CHUNK:
            yield batch
            batch, size = [], 0
    yield batch


def chunks_of(pieces: Iterable[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from piece.chunks()


def small_together(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same bytes, with small blocks put together: each costs a message, and a large one would cost a copy."""
    held: list[Block] = []
    size = 0
    for block in blocks:
        if held and size + len(block) > SMALL:
            yield held[0] if len(held) == 1 else b"".join(held)
            held, size = [], 0
        held.append(block)
        size += len(block)
    yield held[0] if len(held) == 1 else b"".join(held)


def length_of(pieces: Iterable[Piece]) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in pieces)
