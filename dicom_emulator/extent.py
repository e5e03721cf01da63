"""Parts of files: what the archive knows of a frame, and what a response sends."""

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator

CHUNK = 1024 * 1024


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

    def read(self) -> bytes:
        """All of the bytes at once."""
        return b"".join(self.chunks())


Piece = bytes | Extent


def blocks_of(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """The bytes of all pieces, one after another. What fits into one block together is put together."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        for block in [piece] if isinstance(piece, bytes) else piece.chunks():
            if held and size + len(block) > CHUNK:
                yield b"".join(held)
                held, size = [], 0
            held.append(block)
            size += len(block)
    yield b"".join(held)


def length_of(pieces: Iterable[Piece]) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in pieces)
