"""The one way from the event loop to work that blocks: files, SQLite, pydicom."""

import asyncio
from typing import Callable, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def run_blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a worker thread and wait for it without holding up other requests."""
    return await asyncio.to_thread(function, *args, **kwargs)
