"""Operations at work: threads that do what was accepted, and go on with it after a restart."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from dicom_emulator.archive import Archive
from dicom_emulator.archive.operations import Operation, note, unfinished
from dicom_emulator.archive.ticks import TICKS, now

# A job does an operation step by step and yields after each. A step commits what it did together with how far that
# brought the operation, so that a job which is started again goes on where the last step ended.
Job = Callable[[Archive, Operation], Iterator[None]]
THREADS = 4
log = logging.getLogger("dicom_emulator")


class Operations:
    """The operations of one emulator. `least_time`: seconds that each takes at the least."""

    def __init__(self, archive: Archive, jobs: Mapping[str, Job], least_time: float):
        self.least_time = least_time
        self._archive, self._jobs = archive, jobs
        self._threads = ThreadPoolExecutor(THREADS, "operation")
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._at_work: dict[str, Future[None]] = {}
        self.resume()

    def resume(self) -> None:
        """Go on with all that is unfinished."""
        self._stopping.clear()
        for operation in unfinished(self._archive.index.reader):
            self.begin(operation)

    def begin(self, operation: Operation) -> None:
        """Do an operation that was added to the archive."""
        with self._lock:
            if operation.id not in self._at_work and not self._stopping.is_set():  # else resume() will
                self._at_work[operation.id] = self._threads.submit(self._work, operation)

    def stop(self) -> None:
        """Stop after the step at hand; what is unfinished stays so."""
        self._stopping.set()
        with self._lock:
            at_work = list(self._at_work.values())
        for each in at_work:
            each.cancel()
        wait(at_work)
        with self._lock:
            self._at_work.clear()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Nothing is at work inside the `with` block: the archive may be emptied or exchanged."""
        self.stop()
        try:
            yield
        finally:
            self.resume()

    def close(self) -> None:
        self.stop()
        self._threads.shutdown()

    def _work(self, operation: Operation) -> None:
        try:
            if self._wait(operation):
                for _ in self._jobs[operation.type](self._archive, operation):
                    if self._stopping.is_set():
                        return
        except (OSError, sqlite3.Error) as error:
            log.error("operation %s (%s) failed: %s", operation.id, operation.type, error)
            self._fail(operation)
        except Exception:
            log.exception("operation %s (%s) failed", operation.id, operation.type)
            self._fail(operation)
        finally:
            if not self._stopping.is_set():
                with self._lock:
                    self._at_work.pop(operation.id, None)

    def _fail(self, operation: Operation) -> None:
        """Note that it failed: on a full disk, as soon as there is room."""
        while not self._stopping.is_set():
            try:
                with self._archive.index.transaction() as transaction:
                    note(transaction, operation, operation.percent, "failed")
                return
            except sqlite3.Error:
                self._stopping.wait(1)

    def _wait(self, operation: Operation) -> bool:
        """Let the least time pass. Returns whether to go on."""
        with self._archive.index.transaction() as transaction:
            note(transaction, operation, operation.percent)
        left = self.least_time - (now() - operation.created) / TICKS
        return not self._stopping.wait(max(left, 0))
