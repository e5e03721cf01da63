"""Codecs in processes of their own: native code that a damaged image may crash, and that holds Python's lock meanwhile.

A process is started at the first conversion and takes one after another. It ends when the emulator does, or when an
image would take it too long or too much memory: some say that they are a million times larger than their bytes.
"""

import asyncio
import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

P = ParamSpec("P")
T = TypeVar("T")
PROCESSES = 2
LONGEST = 60  # seconds for a conversion
MOST_MEMORY = 4 * 1024**3  # bytes that a process may ask for, on systems that can hold it to that
PACKAGE = Path(__file__).parents[1]


class CodecCrashed(RuntimeError):
    """The process ended in the middle of a conversion."""


class CodecProcesses:
    """A few processes that convert images; each belongs to a thread that waits for it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(PROCESSES, "codec")
        self._own = threading.local()
        self._processes: list[subprocess.Popen[bytes]] = []

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function`, which must be importable, in one of the processes.

        Raises what it raises, or CodecCrashed.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, function, args, kwargs)

    def _call(self, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        process = getattr(self._own, "process", None) or self._start()
        assert process.stdin and process.stdout
        watchdog = threading.Timer(LONGEST, process.kill)
        watchdog.start()
        try:
            pickle.dump((function, args, kwargs), process.stdin)
            process.stdin.flush()
            succeeded, result = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            stop(process)
            self._own.process = None
            raise CodecCrashed(f"exit code {process.returncode}") from None
        finally:
            watchdog.cancel()
        if not succeeded:
            raise result
        return result

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
        self._own.process = subprocess.Popen(
            [sys.executable, "-m", "dicom_emulator.codec_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # codecs grumble about every faulty image
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the emulator, which finishes what is in flight
        )
        self._processes.append(self._own.process)
        return self._own.process

    def close(self) -> None:
        self._threads.shutdown()
        for process in self._processes:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def work() -> None:
    """Answer calls on standard input until it ends."""
    limit_memory()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a codec prints shall not get among the answers
    while True:
        try:
            function, args, kwargs = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = True, function(*args, **kwargs)
        except Exception as error:  # for the caller to deal with
            answer = False, error
        pickle.dump(answer, answers)
        answers.flush()


def limit_memory() -> None:
    if resource:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        with contextlib.suppress(ValueError, OSError):  # macOS has the limit, and takes none
            resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, most))


if __name__ == "__main__":
    work()
