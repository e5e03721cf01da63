"""Parts of files: what the archive knows of a frame, and what a response sends."""

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

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
        with self.path.open("rb") as file:
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


def length_of(pieces: tuple[Piece, ...]) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in pieces)
