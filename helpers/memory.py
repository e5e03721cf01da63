"""Memory for large pieces of a body that arrives, in pages of 2 MB where Linux gives them.

Fresh memory is handed out page by page, and with pages of 4 kB that takes longer than to copy the bytes into it.
"""

import io
import mmap
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

SHARED = 8 * 1024 * 1024  # bytes; pages that several pieces share
LARGEST_SHARING = SHARED // 8  # bytes; so at most an eighth of the pages stays empty at their end
SMALLEST_SHARING = 256 * 1024  # bytes; a smaller piece is not worth the pages that it would keep
ARE_THERE = hasattr(mmap, "MADV_HUGEPAGE")


class Pages:
    """Holds the pieces of one body.

    Pieces of middle size that follow each other share pages, which are free again when none of them is kept. So one
    that is kept alone keeps up to 8 MB.
    """

    def __init__(self) -> None:
        self._free = memoryview(b"")

    def hold(self, views: Iterator[memoryview]) -> bytes | memoryview:
        """What the views hold, in one piece that cannot be changed."""
        some, size = [], 0
        for view in views:
            some.append(view)
            size += len(view)
            if ARE_THERE and size > LARGEST_SHARING:
                return in_own_pages(chain(some, views))
        if not ARE_THERE or size < SMALLEST_SHARING:
            return in_bytes(some)
        return self._beside_others(some, size)

    def _beside_others(self, views: list[memoryview], size: int) -> memoryview:
        if size > len(self._free):
            self._free = memoryview(fresh(SHARED))
        piece, self._free = self._free[:size], self._free[size:]
        filled = 0
        for view in views:
            piece[filled : filled + len(view)] = view
            filled += len(view)
        return piece.toreadonly()


def in_own_pages(views: Iterator[memoryview]) -> memoryview:
    """Pages that grow with what they hold: what has not been written to needs no memory."""
    pages = fresh(SHARED)
    for view in views:
        if pages.tell() + len(view) > len(pages):
            pages.resize(2 * len(pages) + len(view))
        pages.write(view)
    pages.resize(pages.tell())
    return memoryview(pages).toreadonly()


def in_bytes(views: Iterator[memoryview] | list[memoryview]) -> bytes:
    whole = io.BytesIO()  # grows in place, and gives away what it holds: at no time is there a second copy
    whole.writelines(views)
    return whole.getvalue()


def fresh(size: int) -> mmap.mmap:
    """Memory of this process alone. Raises MemoryError when there is none."""
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as problem:
        raise MemoryError(f"no memory for {size} bytes: {problem}") from problem
    with suppress(OSError):  # a system that has no such pages
        pages.madvise(mmap.MADV_HUGEPAGE)
    return pages
