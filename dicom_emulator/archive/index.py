"""SQLite: one writer at a time, a reading connection for each thread (WAL mode)."""

import sqlite3
import threading
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Iterator

from dicom_emulator.archive.query import fuzzy_match

SCHEMA_VERSION = 2


class WrongSchema(RuntimeError):
    """The folder holds an archive of another edition of the emulator."""


class Index:
    """The database of one archive."""

    def __init__(self, path: Path):
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self._writer = self._connect()
        self._create()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=30)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.create_function("fuzzy_match", 2, fuzzy_match, deterministic=True)
        self._connections.append(connection)
        return connection

    def _create(self) -> None:
        (found,) = self._writer.execute("PRAGMA user_version").fetchone()
        if found == 0:
            schema = files("dicom_emulator.archive").joinpath("schema.sql").read_text("utf-8")
            self._writer.executescript(f"BEGIN; {schema}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif found != SCHEMA_VERSION:
            raise WrongSchema(
                f"{self._path} was written by another edition of the emulator (schema {found}, this one has "
                f"{SCHEMA_VERSION}); start with an empty --data-dir"
            )

    @property
    def reader(self) -> sqlite3.Connection:
        """This thread's connection for reading."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
        return self._local.connection

    @contextmanager
    def one_moment(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection for reading, on which all reads see the same state."""
        reader = self.reader
        reader.execute("BEGIN")
        try:
            yield reader
        finally:
            reader.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The writing connection inside a transaction: committed at the end, or rolled back on an exception."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """The writing connection outside of a transaction, while nobody else writes."""
        with self._writing:
            yield self._writer

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
