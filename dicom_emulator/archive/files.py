"""The files of the archive. Their names are made here and never come from a request."""

import os
import shutil
import sqlite3
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable
from errno import EACCES
from itertools import count
from pathlib import Path

from dicom_emulator.archive.index import Damaged

TOGETHER = 100  # files
GRACE = 60.0  # seconds that a deleted file stays for the readers who are in the middle of it


class DataDirInUse(RuntimeError):
    """Another emulator works in this folder."""


class Files:
    """`incoming/` holds what is arriving, or made and on its way to a client; `instances/` what is stored.

    durable: what is placed survives a power failure, once the method has returned.
    """

    def __init__(self, data_dir: Path, durable: bool = False):
        """Raises DataDirInUse, Damaged, OSError, sqlite3.Error."""
        self._durable = durable
        self.incoming = data_dir / "incoming"
        self.instances = data_dir / "instances"
        self._trash: deque[tuple[float, str]] = deque()
        self._sorting = threading.Lock()
        self._numbers = count()
        data_dir.mkdir(parents=True, exist_ok=True)
        refuse_unwritable(data_dir)
        self._lock = lock(data_dir)
        for folder in (self.incoming, self.instances):
            folder.mkdir(exist_ok=True)

    def new_incoming(self) -> Path:
        """The path of a file that does not exist yet, for bytes that are arriving or leaving."""
        return self.incoming / uuid.uuid4().hex

    def place(self, arrived: Path | bytes) -> str:
        """Put an arrived file, or one that is still in memory, among the stored ones; returns its name there."""
        name = self.new_name()
        target = self.path(name)
        try:
            put(arrived, target)
        except FileNotFoundError:
            target.parent.mkdir(exist_ok=True)
            put(arrived, target)
        if self._durable:
            sync(target)
            self.sync_folders(name)
        return name

    def sync_folders(self, name: str) -> None:
        """Have the name of a stored file on the disk. Its folder may be new."""
        sync_folder(self.path(name).parent)
        sync_folder(self.instances)

    def new_name(self) -> str:
        """The name of a stored file that does not exist yet. Files that come together lie in one folder, see path():
        a new folder costs more than a file in one that is there.
        """
        folder = next(self._numbers) // TOGETHER % 256
        return f"{folder:02x}{uuid.uuid4().hex[2:]}.dcm"

    def adopt(self, source: Path, name: str) -> None:
        """Have a file that never changes among the stored ones, too."""
        self.path(name).parent.mkdir(exist_ok=True)
        link(source, self.path(name))
        if self._durable:
            sync(self.path(name))
            self.sync_folders(name)

    def path(self, name: str) -> Path:
        """Where the stored file `name` is."""
        return self.instances / f"{name[:2]}/{name}"

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
        self.clear_incoming()
        for folder in self.instances.iterdir():
            for name in os.listdir(folder):
                if name not in kept:
                    (folder / name).unlink()

    def clear_incoming(self) -> None:
        """Remove what nobody waits for any more."""
        for path in self.incoming.iterdir():
            path.unlink(missing_ok=True)

    def close(self) -> None:
        while self._trash:
            self.remove(self._trash.popleft()[1])
        self._lock.close()


def put(arrived: Path | bytes, target: Path) -> None:
    """Have an arrived file at `target`, wholly or not at all."""
    if isinstance(arrived, Path):
        os.replace(arrived, target)
        return
    try:
        with target.open("xb") as file:
            file.write(arrived)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def link(source: Path, target: Path) -> None:
    """Another name for a file that never changes; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except (OSError, NotImplementedError):
        shutil.copyfile(source, target)


def sync(path: Path) -> None:
    """Have the bytes of a file on the disk, and not only on their way there."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names of a folder's files on the disk. On Windows a folder cannot be opened for that."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_unwritable(data_dir: Path) -> None:
    """SQLite opens a file that it may not write for reading, and takes no lock. Raises PermissionError."""
    for path in (data_dir, *data_dir.iterdir()):
        if not os.access(path, os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), str(path))


def lock(data_dir: Path) -> sqlite3.Connection:
    """Hold the folder for this process, as long as the connection is open. SQLite's locks work on every system."""
    path = data_dir / "lock.db"
    connection = sqlite3.connect(path, timeout=0, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        connection.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise DataDirInUse(
                f"the folder {data_dir} is in use by another emulator; stop that one, or choose another --data-dir"
            ) from None
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise Damaged(f"{path} is damaged. Nothing is in it: delete it, and start again") from None
        raise
    return connection
