"""Threads that send requests side by side: a session each, a pause that can be broken off, one progress bar."""

import copy
import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import requests
from tqdm.std import tqdm  # plain text: tqdm.auto wants a widget package, and warns where there is none

from helpers.retry import LONGEST_RETRY_AFTER, seconds_to_wait

TIMEOUT = (10, 300)  # seconds to connect, and between two pieces of an answer
TIMES = "DICOM_LESSON_TIMES"  # "hidden" where outputs are compared: a bar is another one on each run (run.py)
TICK = 0.2  # seconds between two looks at the bar


def how_often(attempts: int) -> str:
    return "once" if attempts == 1 else f"{attempts} times"


class Stopped(Exception):
    """Somebody pressed Ctrl-C, or another worker met an error that ends everything."""


class Workers:
    """Runs jobs in up to `concurrency` threads, waits between attempts, shows progress from the calling thread.

    An error in a job, and Ctrl-C in the calling thread, stops all others at their next step; then it is raised.
    """

    def __init__(self, client: requests.Session, concurrency: int, attempts: int, first_wait: float) -> None:
        if concurrency < 1 or attempts < 1:
            raise ValueError("concurrency and attempts count from 1")
        self.client = client
        self.concurrency, self.attempts, self.first_wait = concurrency, attempts, first_wait
        self.requests = 0  # sent so far
        self.repeats = 0  # of them, those sent again
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self._own = threading.local()

    @property
    def session(self) -> requests.Session:
        """This thread's own session, like the client in everything: sign-in, headers, guard, proxies, connections.

        requests does not promise that threads can share one, because of its cookies.
        """
        if not hasattr(self._own, "session"):
            twin = copy.copy(self.client)
            vars(twin).update(vars(self.client))
            twin.cookies = self.client.cookies.copy()
            self._own.session = twin
        return self._own.session

    def count_request(self) -> None:
        if self.stop.is_set():
            raise Stopped
        with self.lock:
            self.requests += 1

    def wait_before_next(self, attempt: int, retry_after: str | None = None) -> bool:
        """Wait after failed attempt number `attempt`. False when there should be no other. Raises Stopped."""
        seconds = seconds_to_wait(attempt, retry_after, self.first_wait)
        if attempt >= self.attempts or seconds > LONGEST_RETRY_AFTER:
            return False
        if self.stop.wait(seconds):
            raise Stopped
        with self.lock:
            self.repeats += 1
        return True

    def run(
        self, job: Callable[[Any], None], items: Iterable[Any], look: Callable[[tqdm], None], bar: dict[str, Any]
    ) -> None:
        """`job(item)` for each item; `look` brings the bar up to date, `bar` holds the bar's options."""
        executor = ThreadPoolExecutor(self.concurrency, thread_name_prefix="transfer")
        with tqdm(file=sys.stdout, leave=True, miniters=0, mininterval=0, **bar) as shown:
            try:
                waiting: set[Future[None]] = {executor.submit(self._guarded, job, item) for item in items}
                while waiting:
                    done, waiting = wait(waiting, timeout=TICK)
                    look(shown)
                    shown.refresh()
                    for future in done:
                        future.result()
            except BaseException:
                self.stop.set()
                raise
            finally:
                executor.shutdown(cancel_futures=True)

    def _guarded(self, job: Callable[[Any], None], item: Any) -> None:
        try:
            job(item)
        except Stopped:
            return
        except BaseException:
            self.stop.set()
            raise


def bar_options(progress: bool, total: int | None, what: str) -> dict[str, Any]:
    """Options of a tqdm bar that counts bytes; none is drawn where outputs are compared."""
    hidden = not progress or os.environ.get(TIMES) == "hidden"
    return {"disable": hidden, "total": total, "desc": what, "unit": "B", "unit_scale": True, "dynamic_ncols": False}
