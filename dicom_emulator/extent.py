"""Parts of files: what the archive knows of a frame, and what a response sends."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from itertools import groupby
from pathlib import Path
from typing import Self, TypeGuard

CHUNK = 640 * 1024  # bytes read, and sent, at a time: a CT image, and no more than the processor keeps in its cache
LARGE = 64 * 1024  # bytes of a file that are worth a call of their own, which sends them without reading them
LOT = 2 * 1024 * 1024  # bytes that are sent so at a time; an answer that has no more is sooner read than sent so
LARGEST_IN_MEMORY = 4 * 1024 * 1024  # bytes that wait in memory for a client to take them; more wait in a file
KNOWN = 8  # buffers that are kept for answers to come
OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)
NO_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)  # only Linux can tell whether a disk would be waited for


@dataclass(frozen=True)
class Extent:
    """`length` bytes of a file, from `offset` on."""

    path: Path
    offset: int
    length: int

    def __len__(self) -> int:
        return self.length

    def read(self) -> bytes:
        """All of the bytes at once. Raises OSError, also when the file ends early."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.length)
        refuse_missing(self, len(content))
        return content


@dataclass(frozen=True)
class Spooled(Extent):
    """Bytes that were put into a file of their own, which goes when the answer that sends them is over."""


Piece = bytes | bytearray | memoryview | Extent


def spool(pieces: Sequence[Piece], path: Path) -> list[Piece]:
    """The same pieces, all bytes among them written to a new file; if there is no room for it, as they are."""
    spooled: list[Piece] = []
    try:
        with path.open("wb") as file:
            for piece in pieces:
                if isinstance(piece, Extent):
                    spooled.append(piece)
                else:
                    spooled.append(Spooled(path, file.tell(), len(piece)))
                    file.write(piece)
    except OSError:
        path.unlink(missing_ok=True)
        return list(pieces)
    return spooled


def refuse_missing(extent: Extent, found: int) -> None:
    """Raises OSError if fewer bytes are `found` than the extent has."""
    if found < extent.length:
        raise OSError(f"{extent.path.name} ends {extent.length - found} bytes early")


def batches_of(pieces: Iterable[Piece], size: int = CHUNK) -> Iterator[list[Piece]]:
    """The same pieces, cut so that each batch has `size` bytes, and the last one the rest; at least one batch."""
    batch: list[Piece] = []
    room = size
    for piece in pieces:
        while len(piece) > room:
            batch.append(cut(piece, 0, room))
            piece = cut(piece, room, len(piece))
            yield batch
            batch, room = [], size
        batch.append(piece)
        room -= len(piece)
    yield batch


def lots_of(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """The same pieces: each large part of a file alone, cut into lots of LOT bytes, and together what is between."""
    for in_file, group in groupby(pieces, is_in_file):
        if in_file:
            for piece in group:
                yield from batches_of([piece], LOT)
        else:
            yield list(group)


def is_in_file(piece: Piece) -> TypeGuard[Extent]:
    """Whether it is a part of a file that is large enough to be sent without being read."""
    return isinstance(piece, Extent) and piece.length >= LARGE


def cut(piece: Piece, start: int, end: int) -> Piece:
    """The bytes from `start` to `end` of a piece, without a copy."""
    if isinstance(piece, Extent):
        return Extent(piece.path, piece.offset + start, end - start)
    return memoryview(piece)[start:end]


def length_of(pieces: Iterable[Piece]) -> int:
    return sum(map(len, pieces))


class Reader:
    """Reads pieces into memory. Keeps the file open that it read last, since the next piece may lie in it, too."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file, self._path = -1, None

    def read(self, pieces: Iterable[Piece], target: bytearray) -> None:
        """Read all bytes of the pieces, one after another. Raises OSError, also when a file ends early."""
        self._fill(pieces, target, read_at)

    def read_at_hand(self, pieces: Iterable[Piece], target: bytearray) -> bool:
        """Do so if the system has them all in memory, so that no disk is waited for; else return False."""
        if NO_WAIT is None:
            return False
        try:
            self._fill(pieces, target, read_cached)
        except OSError:
            return False
        return True

    def opened_at_hand(self, extent: Extent) -> FileIO | None:
        """The file, if the system seems to have these bytes of it in memory: the first and the last one, it has."""
        ends = [cut(extent, 0, 1), cut(extent, extent.length - 1, extent.length)]
        return FileIO(self._file, closefd=False) if self.read_at_hand(ends, bytearray(2)) else None

    def _fill(self, pieces: Iterable[Piece], target: bytearray, read: Callable[[int, int, memoryview], int]) -> None:
        position = 0
        with memoryview(target) as whole:
            for piece in pieces:
                end = position + len(piece)
                if isinstance(piece, Extent):
                    with whole[position:end] as part:
                        refuse_missing(piece, read(self._opened(piece.path), piece.offset, part))
                else:
                    whole[position:end] = piece
                position = end

    def _opened(self, path: Path) -> int:
        if self._path is not path:
            self.close()
            self._file, self._path = os.open(path, OPEN_FLAGS), path
        return self._file


def read_at(file: int, offset: int, target: memoryview) -> int:
    """Read until `target` is full or the file ends; returns how many bytes."""
    found = 0
    while found < len(target) and (count := preadv(file, [target[found:]], offset + found)):
        found += count
    return found


def read_cached(file: int, offset: int, target: memoryview) -> int:
    """Read what the system has in memory. Raises OSError if that is nothing."""
    return os.preadv(file, [target], offset, NO_WAIT or 0)


def seek_and_read(file: int, buffers: Sequence[memoryview], offset: int) -> int:
    """What os.preadv does, for Windows."""
    with FileIO(file, closefd=False) as source:
        source.seek(offset)
        return source.readinto(buffers[0])


# Moves nobody's place in the file, should its number be another's by now: a thread cannot be told to stop.
preadv: Callable[[int, Sequence[memoryview], int], int] = getattr(os, "preadv", seek_and_read)


class Buffers:
    """Memory of CHUNK bytes each that is used again: fresh memory costs more than the bytes that are read into it."""

    def __init__(self) -> None:
        self._known: deque[bytearray] = deque(maxlen=KNOWN)

    def take(self) -> bytearray:
        """A buffer of which nobody holds a view any more."""
        viewed = []
        try:
            while buffer := self._known.pop():
                if not is_viewed(buffer):
                    return buffer
                viewed.append(buffer)
        except IndexError:
            pass
        finally:
            self._known.extendleft(viewed)
        return bytearray(CHUNK)

    def give_back(self, buffer: bytearray) -> None:
        """Have a buffer used again; not before the last view of it is gone."""
        self._known.append(buffer)


def is_viewed(buffer: bytearray) -> bool:
    """Whether somebody holds a view of it: only then its length cannot be changed."""
    try:
        buffer.append(buffer.pop())
    except BufferError:
        return True
    return False
