"""The files of the archive. Their names are made here and never come from a request."""

import os
import shutil
import sqlite3
import threading
import time
import uuid
from collections import deque
from pathlib import Path
from typing import Iterable

GRACE = 60.0  # seconds that a deleted file stays for the readers who are in the middle of it


class DataDirInUse(RuntimeError):
    """Another emulator works in this folder."""


class Files:
    """`incoming/` holds what is arriving, `instances/` what is stored."""

    def __init__(self, data_dir: Path):
        self.incoming = data_dir / "incoming"
        self.instances = data_dir / "instances"
        self._trash: deque[tuple[float, str]] = deque()
        self._sorting = threading.Lock()
        data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = lock(data_dir)
        for folder in (self.incoming, self.instances):
            folder.mkdir(exist_ok=True)

    def new_incoming(self) -> Path:
        """The path of a file that does not exist yet, for bytes that are arriving."""
        return self.incoming / uuid.uuid4().hex

    def place(self, incoming: Path) -> str:
        """Move an arrived file among the stored ones; returns its name there."""
        name = f"{incoming.name}.dcm"
        (self.instances / name[:2]).mkdir(exist_ok=True)
        incoming.replace(self.path(name))
        return name

    def new_name(self) -> str:
        """The name of a stored file that does not exist yet."""
        return f"{uuid.uuid4().hex}.dcm"

    def adopt(self, source: Path, name: str) -> None:
        """Have a file that never changes among the stored ones, too."""
        self.path(name).parent.mkdir(exist_ok=True)
        link(source, self.path(name))

    def path(self, name: str) -> Path:
        """Where the stored file `name` is."""
        return self.instances / name[:2] / name

    def discard(self, names: Iterable[str]) -> None:
        """Remove stored files, not at once but soon."""
        with self._sorting:
            self._trash.extend((time.monotonic(), name) for name in names)
            while self._trash and self._trash[0][0] < time.monotonic() - GRACE:
                self.remove(self._trash.popleft()[1])

    def remove(self, name: str) -> None:
        try:
            self.path(name).unlink(missing_ok=True)
        except PermissionError:
            pass  # Windows: somebody reads it; sweep() takes it at the next start

    def sweep(self, kept: set[str]) -> None:
        """Remove what a crash left behind: everything incoming, and stored files that the index does not know."""
        for path in self.incoming.iterdir():
            path.unlink()
        for path in self.instances.glob("*/*"):
            if path.name not in kept:
                path.unlink()

    def close(self) -> None:
        while self._trash:
            self.remove(self._trash.popleft()[1])
        self._lock.close()


def link(source: Path, target: Path) -> None:
    """Another name for a file that never changes; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except (OSError, NotImplementedError):
        shutil.copyfile(source, target)


def lock(data_dir: Path) -> sqlite3.Connection:
    """Hold the folder for this process, as long as the connection is open. SQLite's locks work on every system."""
    connection = sqlite3.connect(data_dir / "lock.db", timeout=0, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        connection.close()
        raise DataDirInUse(f"the folder {data_dir} is in use by another emulator; choose another --data-dir") from None
    return connection
