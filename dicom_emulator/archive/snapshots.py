"""Snapshots: everything that the archive holds, kept under a name, to go back to."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from dicom_emulator.archive.files import Files, link
from dicom_emulator.archive.index import Index, bring_up_to_date, refuse_newer, version_of

NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
DESCRIPTION = "snapshot.json"  # written last: a folder without it is no snapshot


class UnknownSnapshot(LookupError):
    """No snapshot has this name."""


@dataclass(frozen=True)
class Snapshot:
    """What is told of a snapshot. created: ISO 8601, in UTC; instances: how many it holds."""

    name: str
    created: str
    instances: int


class Snapshots:
    """All methods block. Each snapshot is a folder of its own: a copy of the index, and links to the stored files.

    The folders are named here and not by a request, so any name goes on any file system.
    """

    def __init__(self, data_dir: Path, index: Index, files: Files):
        """Removes what a crash has left half done."""
        self._folder = data_dir / "snapshots"
        self._index = index
        self._files = files
        complete = set(self._complete().values())
        for path in self._folder.glob("*"):
            if path not in complete:
                remove(path)

    def all(self) -> list[Snapshot]:
        """Oldest first."""
        return list(self._complete())

    def save(self, name: str) -> Snapshot:
        """Keep what is there now as `name`, instead of what had that name before."""
        with self._index.alone() as writer:
            folder = self._folder / f"{1 + max(map(number, self._folder.glob('*')), default=0)}"
            earlier = [path for snapshot, path in self._complete().items() if snapshot.name == name]
            try:
                snapshot = self._write(folder, name, writer)
            except BaseException:
                remove(folder)
                raise
            for path in earlier:
                remove(path)
        return snapshot

    def restore(self, name: str) -> None:
        """Put what was kept as `name` in the place of everything. Readers see the one or the other, nothing between.

        Files get new names, so that nobody's file is taken away who deletes or reads meanwhile; and watermarks that
        were given out since are not given out again, so that no two versions share an ETag. The secret of the tokens
        stays. Raises UnknownSnapshot, WrongSchema.
        """
        with self._index.alone() as writer, closing(sqlite3.connect("")) as copy:
            folder = self._find(name)
            with closing(sqlite3.connect(folder / "index.db")) as kept:
                kept.backup(copy)
            refuse_newer(version_of(copy), f"The snapshot '{name}'")
            bring_up_to_date(copy)
            fresh = {file: self._files.new_name() for file in file_names(copy)}
            replaced = file_names(writer)
            try:
                for old, new in fresh.items():
                    self._files.adopt(folder / "instances" / old, new)
                rename_files(copy, fresh)
                carry_over(writer, copy)
                copy.backup(writer)
            except BaseException:
                for new in fresh.values():
                    self._files.remove(new)
                raise
        self._files.discard(replaced)

    def forget(self, name: str) -> None:
        """Raises UnknownSnapshot."""
        with self._index.alone():
            remove(self._find(name))

    def _find(self, name: str) -> Path:
        for snapshot, path in self._complete().items():
            if snapshot.name == name:
                return path
        raise UnknownSnapshot(name)

    def _complete(self) -> dict[Snapshot, Path]:
        """The snapshots and their folders, oldest first; of one that was being replaced, the newer."""
        found: dict[str, tuple[Snapshot, Path]] = {}
        for path in sorted(self._folder.glob("*"), key=number):
            try:
                snapshot = Snapshot(**json.loads((path / DESCRIPTION).read_text("utf-8")))
            except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
                continue  # unfinished, forgotten a moment ago, or damaged
            found.pop(snapshot.name, None)
            found[snapshot.name] = snapshot, path
        return dict(found.values())

    def _write(self, folder: Path, name: str, writer: sqlite3.Connection) -> Snapshot:
        (folder / "instances").mkdir(parents=True)
        with closing(sqlite3.connect(folder / "index.db")) as copy:
            writer.backup(copy)
        for file in file_names(writer):
            link(self._files.path(file), folder / "instances" / file)
        (instances,) = writer.execute("SELECT COUNT(*) FROM instance").fetchone()
        snapshot = Snapshot(name, datetime.now(timezone.utc).isoformat(), instances)
        unfinished = folder / "unfinished"
        unfinished.write_text(json.dumps(asdict(snapshot)), "utf-8")
        unfinished.replace(folder / DESCRIPTION)
        return snapshot


def number(folder: Path) -> int:
    """Folders are numbered in the order of their making."""
    return int(folder.name) if folder.name.isdecimal() else 0


def tables_with_files(connection: sqlite3.Connection) -> list[str]:
    """The tables with a column "file", which holds a name that Files has made."""
    rows = connection.execute(
        "SELECT tables.name FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns"
        " WHERE tables.type = 'table' AND columns.name = 'file'"
    )
    return [name for (name,) in rows]


def file_names(connection: sqlite3.Connection) -> set[str]:
    """The names of all stored files that the database speaks of."""
    tables = tables_with_files(connection)
    return {name for table in tables for (name,) in connection.execute(f"SELECT file FROM {table}") if name}


def rename_files(connection: sqlite3.Connection, fresh: dict[str, str]) -> None:
    connection.create_function("fresh_name", 1, fresh.get, deterministic=True)
    for table in tables_with_files(connection):
        connection.execute(f"UPDATE {table} SET file = fresh_name(file) WHERE file IS NOT NULL")
    connection.commit()


def carry_over(live: sqlite3.Connection, copy: sqlite3.Connection) -> None:
    """What does not go back in time: the secret that signs tokens, and the last watermark."""
    copy.execute("DELETE FROM secret")
    copy.executemany("INSERT INTO secret VALUES (?)", [tuple(row) for row in live.execute("SELECT * FROM secret")])
    watermark = max(last_watermark(live), last_watermark(copy))
    copy.execute("DELETE FROM sqlite_sequence WHERE name = 'instance'")
    copy.execute("INSERT INTO sqlite_sequence VALUES ('instance', ?)", [watermark])
    copy.commit()


def last_watermark(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'instance'").fetchone()
    return row[0] if row else 0


def remove(path: Path) -> None:
    """The description goes first: half of a snapshot is none."""
    if path.is_dir():
        (path / DESCRIPTION).unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
