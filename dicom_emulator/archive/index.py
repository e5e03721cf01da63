"""SQLite: one writer at a time, a reading connection for each thread (WAL mode)."""

import itertools
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

from dicom_emulator.archive.query import fuzzy_match
from dicom_emulator.archive.texts import Texts

SCHEMA_VERSION = 5  # what schema.sql describes; migrations/N.sql leads from version N to N + 1
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
WAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
COLUMNS = """
SELECT tables.name, columns.name FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table'
"""
MAPPED = 256 * 1024 * 1024  # bytes of the database that are read in place, not page by page through a cache
FEW_STEPS = 20_000  # of SQLite's machine, in which it finds and sorts some hundred rows: a millisecond
# What is watched for changes. Not a new instance: it comes with its study's row written anew (see insertion.py), and a
# trigger would make a hundred of them take half a millisecond longer. Metadata come and go with their instance.
WATCHED = {
    "study": ["UPDATE", "DELETE"],
    "series": ["INSERT", "UPDATE", "DELETE"],
    "instance": ["UPDATE", "DELETE"],
    "metadata": ["UPDATE"],
}
log = logging.getLogger("dicom_emulator")


class WrongSchema(RuntimeError):
    """The database was written by a newer edition of the emulator."""


class Damaged(RuntimeError):
    """The database cannot be read, or it is not as the emulator has left it."""


class TooLong(Exception):
    """A statement took too many steps of SQLite's machine."""


class Moment:
    """A read transaction for the time of a `with` block."""

    def __init__(self, reader: sqlite3.Connection):
        self._reader = reader

    def __enter__(self) -> sqlite3.Connection:
        self._reader.execute("BEGIN")
        return self._reader

    def __exit__(self, *_: object) -> None:
        self._reader.execute("ROLLBACK")


class Index:
    """The database of one archive. durable: what is committed survives a power failure, too."""

    def __init__(self, path: Path, durable: bool = False):
        """Raises WrongSchema, sqlite3.Error; then the database is as it was."""
        self._path = path
        self._synchronous = "FULL" if durable else "NORMAL"
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self.texts = Texts()
        self._changed: set[int] = set()  # studies, by the transaction that is going on
        try:
            self._writer = self._connect()
            bring_up_to_date(self._writer)
            watch_studies(self._writer, self._changed)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=30)
        self._connections.append(connection)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA mmap_size = {MAPPED}")
        connection.create_function("fuzzy_match", 2, fuzzy_match, deterministic=True)
        return connection

    @property
    def edition(self) -> int:
        """Another number after each change; an odd one while it becomes visible."""
        return self.texts.edition

    @property
    def reader(self) -> sqlite3.Connection:
        """This thread's connection for reading."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
        return self._local.connection

    def one_moment(self) -> "Moment":
        """This thread's connection for reading, on which all reads see the same state."""
        return Moment(self.reader)

    @contextmanager
    def briefly(self) -> Iterator[sqlite3.Connection]:
        """As `one_moment`, for somebody who cannot wait. Raises TooLong."""
        thousands = itertools.count()  # of steps; SQLite counts those of earlier runs of a statement, too
        with Moment(self.reader) as reader:
            reader.set_progress_handler(lambda: next(thousands) >= FEW_STEPS / 1000, 1000)
            try:
                yield reader
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                    raise TooLong from None
                raise
            finally:
                reader.set_progress_handler(None, 0)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The writing connection inside a transaction: committed at the end, or rolled back on an exception."""
        with self._writing:
            self._changed.clear()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                with self.texts.changing(self._changed):
                    self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """The writing connection outside of a transaction, while nobody else writes; for what may change anything."""
        with self._writing, self.texts.changing():
            yield self._writer

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def watch_studies(writer: sqlite3.Connection, changed: set[int]) -> None:
    """Have SQLite put the keys of studies into `changed` when anything is written that a row of a search may show."""
    writer.create_function("note_changed", 1, changed.add)
    for table, events in WATCHED.items():
        for event in events:
            note = f"SELECT note_changed({'NEW' if event == 'INSERT' else 'OLD'}.study_key)"
            if table == "metadata":
                note = "SELECT note_changed(study_key) FROM instance WHERE watermark = NEW.watermark"
            writer.execute(f"CREATE TEMP TRIGGER {table}_{event} AFTER {event} ON main.{table} BEGIN {note}; END")


def examine(path: Path) -> bool:
    """Whether there is an index at `path`; False also for one that nothing was written into yet. Changes nothing.

    Raises WrongSchema, Damaged, sqlite3.Error.
    """
    if not path.exists() or not path.stat().st_size:  # SQLite would delete the log of an empty one
        return False
    refuse_damaged_log(path)
    # Read only: what else closes a database may write into it.
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with damage_told(path), closing(sqlite3.connect(uri, uri=True)) as connection:
        version, columns = version_of(connection), set(connection.execute(COLUMNS))
    refuse_newer(version, str(path))
    if version == 0 and columns:
        raise Damaged(f"{path} is not the emulator's database; choose another --data-dir")
    if version == SCHEMA_VERSION and (missing := expected_columns() - columns):
        raise damaged(path, f"it lacks {', '.join(sorted({f'{table}.{column}' for table, column in missing}))}")
    return version > 0


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Inside the block, what SQLite finds wrong with the database becomes Damaged."""
    try:
        yield
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF not in DAMAGE:
            raise
        raise damaged(path, str(error)) from None


def damaged(path: Path, why: str) -> Damaged:
    return Damaged(
        f"{path} is damaged ({why}). Nothing was changed. Put a copy of the folder in its place, or choose an empty "
        f"--data-dir and have the files that are here stored again: --seed {path.with_name('instances')}"
    )


def refuse_damaged_log(path: Path) -> None:
    """SQLite passes over a write-ahead log that it cannot read, and with it over what was committed last."""
    log = path.with_name(f"{path.name}-wal")
    if not log.exists():
        return
    with log.open("rb") as file:
        start = file.read(4)
    if start.strip(b"\0") and start not in WAL_MAGIC:  # zeros are what a power failure may leave
        raise damaged(path, f"{log.name} cannot be read")


def expected_columns() -> set[tuple[str, str]]:
    """The tables and columns of the schema."""
    with closing(sqlite3.connect(":memory:")) as pattern:
        pattern.executescript(script("schema.sql"))
        return set(pattern.execute(COLUMNS))


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the schema; 0 where nothing was written yet."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version


def refuse_newer(version: int, name: str) -> None:
    if version > SCHEMA_VERSION:
        raise WrongSchema(
            f"{name} was written by a newer edition of the emulator (version {version}, this one knows up to "
            f"{SCHEMA_VERSION}); use that edition"
        )


def script(name: str) -> str:
    return files("dicom_emulator.archive").joinpath(name).read_text("utf-8")


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Give a new database its tables, and one of an earlier edition those of today: all at once or not at all."""
    found = version_of(connection)
    if found == SCHEMA_VERSION:
        return
    earlier = [f"migrations/{version}.sql" for version in range(found, SCHEMA_VERSION)]
    scripts = "".join(map(script, earlier if found else ["schema.sql"]))
    (checked,) = connection.execute("PRAGMA foreign_keys").fetchone()
    connection.execute("PRAGMA foreign_keys = OFF")  # a table that is made anew is dropped in between
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {scripts} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute(f"PRAGMA foreign_keys = {checked}")
    if found:
        log.info("the index was brought from version %s to %s", found, SCHEMA_VERSION)
