"""The one way from the event loop to work that blocks: files, SQLite, pydicom.

A thread costs 50 to 100 µs for the way there and back, and more while the loop is busy. Looking a few rows up by a
unique index takes less, and no writer holds a reader up (SQLite's WAL mode), so the loop does that itself; it begins a
search that may be short, and leaves it to a thread when it is not (`archive.index.TooLong`); and it sends what of a
file the system has in memory (`extent.Reader.read_at_hand`).
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def run_blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a worker thread and wait for it without holding up other requests."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def look_up(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function`, which reads a few rows by an index and nothing else, without the detour of a thread."""
    return function(*args, **kwargs)
