"""What is written to standard error, for people or for programs."""

import json
import logging
import sqlite3
import traceback
import warnings
from datetime import datetime, timezone
from functools import lru_cache
from time import localtime, strftime
from typing import Any


class Discreet(logging.Formatter):
    """Of an error only where it happened and its kind: its words may hold an attribute of a patient.

    Those that the system or the database chose do not, and say what is wrong with the disk.
    """

    def formatException(self, info: Any) -> str:
        error: BaseException | None = info[1]
        found = []
        while error is not None:
            words = f": {error}" if isinstance(error, OSError | sqlite3.Error) else ""
            found.append("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__ + words)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\ncaused by\n".join(found)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return time_of_day(int(record.created))


@lru_cache(maxsize=1)  # a second may have thousands of lines
def time_of_day(second: int) -> str:
    return strftime("%H:%M:%S", localtime(second))


class JsonLines(Discreet):
    """An object a line: time, level and message; of a request also method, path, status, milliseconds and sizes."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname, "message": record.getMessage()}
        line |= getattr(record, "request", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Lines(logging.StreamHandler):
    """Writes records to standard error. One that `is_followed` by another waits for it: to write costs more than to
    format.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "is_followed", False):
            self._waiting.append(super().format(record))
        else:
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        waiting, self._waiting = self._waiting, []
        return self.terminator.join([*waiting, super().format(record)])


FORMATS = {
    "text": Discreet("%(asctime)s %(levelname)s %(message)s"),
    "json": JsonLines(),
}


def set_up_log(format: str) -> None:
    """Write the log of this process in one of the `FORMATS`."""
    handler = Lines()
    handler.setFormatter(FORMATS[format])
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("dicom_emulator").setLevel(logging.INFO)
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # faulty files are the clients' business
    warnings.filterwarnings("ignore", category=UserWarning)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
