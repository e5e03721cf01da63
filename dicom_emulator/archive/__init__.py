"""What is kept: files on disk, and an index, the metadata and the change feed in SQLite."""

import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicom_emulator.archive import change_feed, extended_query_tags
from dicom_emulator.archive.change_feed import Event
from dicom_emulator.archive.extended_query_tags import ExtendedQueryTag
from dicom_emulator.archive.files import DataDirInUse, Files
from dicom_emulator.archive.index import Damaged, Index, WrongSchema, damage_told, examine
from dicom_emulator.archive.ingest import NewInstance
from dicom_emulator.archive.insertion import insert
from dicom_emulator.archive.query import Query, search, search_at_once
from dicom_emulator.archive.snapshots import Snapshots, file_names
from dicom_emulator.dicom import frames
from dicom_emulator.dicom.part10 import Source

__all__ = ["Archive", "Damaged", "DataDirInUse", "NotAnArchive", "StoredInstance", "WrongSchema"]

WHERE = """
JOIN series USING (series_key) JOIN study ON study.study_key = instance.study_key
LEFT JOIN original ON original.watermark = instance.watermark
WHERE study.partition_key = ? AND study.StudyInstanceUID = ?
"""
FROM = f"FROM instance {WHERE}"
FROM_METADATA = f"FROM instance JOIN metadata USING (watermark) {WHERE}"
CURRENT = "instance.watermark, instance.file, instance.size"
ORIGINAL = (
    "COALESCE(original_watermark, instance.watermark) AS watermark, COALESCE(original.file, instance.file) AS file,"
    + " COALESCE(original.size, instance.size) AS size"
)
CURRENT_METADATA = "instance.watermark, CAST(metadata.json AS BLOB) AS json"
ORIGINAL_METADATA = (
    "COALESCE(original_watermark, instance.watermark) AS watermark,"
    + " CAST(COALESCE(original.json, metadata.json) AS BLOB) AS json"
)
NEW = {"lock.db", "index.db", "index.db-wal", "index.db-shm"}  # may be there before anything is stored
KEPT = {"secret", "partition"}  # tables that a reset does not empty
WHERE_LEVEL = ("", "AND series.SeriesInstanceUID = ? ", "AND instance.SOPInstanceUID = ? ")
Identifiers = tuple[str, str, str]  # study, series, instance; without padding


class NotAnArchive(RuntimeError):
    """The folder holds files that no emulator has put there."""


@dataclass(frozen=True)
class StoredInstance:
    """An instance that was found: where its bytes are, and in which transfer syntax."""

    watermark: int
    identifiers: tuple[str, str, str]
    path: Path
    size: int
    transfer_syntax: str
    frame_map: str | None  # as dicom.frames.to_text() wrote it

    @property
    def frames(self) -> frames.FrameMap | None:
        """Where each frame lies in the file; None where there are none to be had."""
        return frames.from_text(self.frame_map)


class Archive:
    """All methods block. `partition` is a partition's key; identifiers are study, series and instance UIDs without
    padding, as many as are known.
    """

    def __init__(self, data_dir: Path, durable: bool = False):
        """Raises NotAnArchive, DataDirInUse, Damaged, WrongSchema, OSError, sqlite3.Error; then nothing is lost.

        durable: what is acknowledged survives a power failure, too.
        """
        database = data_dir / "index.db"
        if not examine(database):
            refuse_foreign_folder(data_dir)
        with ExitStack() as opened, damage_told(database):
            self.files = opened.enter_context(closing(Files(data_dir, durable)))
            self.index = opened.enter_context(closing(Index(database, durable)))
            self.snapshots = Snapshots(data_dir, self.index, self.files)
            self.files.sweep(file_names(self.index.reader))
            opened.pop_all()
        self._creating: set[tuple[int, str, str, str]] = set()
        self._creating_lock = threading.Lock()
        self._tags: tuple[int, list[ExtendedQueryTag]] = (-1, [])  # as of that edition of the index

    @contextmanager
    def creating(self, partition: int, instances: set[Identifiers]) -> Iterator[set[Identifiers]]:
        """Claim instances while they are being stored; yields them without those that another request is storing."""
        with self._creating_lock:
            claimed = {identifiers for identifiers in instances if (partition, *identifiers) not in self._creating}
            claims = {(partition, *identifiers) for identifiers in claimed}
            self._creating |= claims
        try:
            yield claimed
        finally:
            with self._creating_lock:
                self._creating -= claims

    def add(
        self, arrived: Sequence[tuple[Source, NewInstance]], partition: int, replace: bool = False
    ) -> list[Exception | None]:
        """Put the files into place and commit their index rows, metadata and events at once.

        Returns for each what went wrong, None where it is stored: AlreadyExists, unless told to `replace`; OSError,
        sqlite3.Error. Then its file is gone.
        """
        faults: list[Exception | None] = [None] * len(arrived)
        names = [""] * len(arrived)
        for number, (source, _) in enumerate(arrived):
            try:
                names[number] = self.files.place(source)
            except OSError as error:
                faults[number] = error
        placed = [number for number, name in enumerate(names) if name]
        replaced: list[str] = []
        try:
            batch = [(names[number], arrived[number][1]) for number in placed]
            found, replaced = insert(self.index, batch, partition, replace)
            for number, fault in zip(placed, found, strict=True):
                faults[number] = fault
        except sqlite3.Error as error:
            faults = [fault or error for fault in faults]
        except BaseException:
            self._remove(names)
            raise
        self._remove(name for name, fault in zip(names, faults, strict=True) if fault)
        self.files.discard(replaced)
        return faults

    def _remove(self, names: Iterable[str]) -> None:
        for name in filter(None, names):
            self.files.remove(name)

    def instances(self, partition: int, *identifiers: str, original: bool = False) -> list[StoredInstance]:
        """The instances of a study, a series, or the one instance, oldest first; [] when there are none.

        original: in the version before the first bulk update.
        """
        rows = self.index.reader.execute(
            f"SELECT {ORIGINAL if original else CURRENT}, SOPInstanceUID, transfer_syntax, frames, StudyInstanceUID,"
            f" SeriesInstanceUID {FROM} {''.join(WHERE_LEVEL[: len(identifiers)])} ORDER BY instance.watermark",
            (partition, *identifiers),
        )
        return [self._stored(row) for row in rows]

    def _stored(self, row: sqlite3.Row) -> StoredInstance:
        return StoredInstance(
            row["watermark"],
            (row["StudyInstanceUID"], row["SeriesInstanceUID"], row["SOPInstanceUID"]),
            self.files.path(row["file"]),
            row["size"],
            row["transfer_syntax"],
            row["frames"],
        )

    def metadata(self, partition: int, *identifiers: str, original: bool = False) -> tuple[list[int], list[bytes]]:
        """The watermarks of the instances, oldest first, and their metadata as JSON objects in UTF-8.

        original: of the version before the first bulk update.
        """
        rows = self.index.reader.execute(
            f"SELECT {ORIGINAL_METADATA if original else CURRENT_METADATA} {FROM_METADATA}"
            f" {''.join(WHERE_LEVEL[: len(identifiers)])} ORDER BY instance.watermark",
            (partition, *identifiers),
        ).fetchall()
        return [row["watermark"] for row in rows], [row["json"] for row in rows]

    def extended_query_tags(self) -> list[ExtendedQueryTag]:
        """The tags that are added, read where something has changed since they were read last."""
        edition = self.index.edition  # first: what is committed meanwhile makes another one
        if edition % 2 or self._tags[0] != edition:
            self._tags = edition, extended_query_tags.extended_query_tags(self.index.reader)
        return self._tags[1]

    def search(self, query: Query, briefly: bool = False) -> list[str]:
        """The rows that match, newest first, as DICOM JSON objects; `briefly`: raises TooLong."""
        texts = self.index.texts
        if query.one_statement:
            return search_at_once(self.index.reader, query, texts)
        if (rows := texts.again(query, query.kind)) is not None:
            return rows
        with self.index.briefly() if briefly else self.index.one_moment() as reader:
            return search(reader, query, texts)

    def delete(self, partition: int, *identifiers: str) -> int:
        """Delete a study, a series or an instance. Returns how many instances went; 0 when it was not there."""
        with self.index.transaction() as transaction:
            rows = transaction.execute(
                "SELECT instance.watermark, instance.file, original.file AS original, study.study_key,"
                " series.series_key, partition_key, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID"
                f" {FROM} {''.join(WHERE_LEVEL[: len(identifiers)])} ORDER BY instance.watermark",
                (partition, *identifiers),
            ).fetchall()
            for row in rows:
                remove(transaction, row)
        self.files.discard(files_of(rows))
        return len(rows)

    def reset(self) -> None:
        """Forget everything, as if the archive were new. The secret of the tokens stays."""
        with self.index.transaction() as transaction:
            names = file_names(transaction)
            transaction.execute("PRAGMA defer_foreign_keys = ON")
            tables = transaction.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                if table not in KEPT:
                    transaction.execute(f"DELETE FROM {table}")
            transaction.execute("DELETE FROM partition WHERE partition_key > 1")
        self.files.discard(names)

    def token_secret(self) -> bytes:
        """The key that signs tokens; made once, so that tokens outlive a restart on the same folder."""
        with self.index.transaction() as transaction:
            row = transaction.execute("SELECT token_secret FROM secret").fetchone()
            secret = row["token_secret"] if row else secrets.token_bytes(32)
            if not row:
                transaction.execute("INSERT INTO secret VALUES (?)", [secret])
        return secret

    def close(self) -> None:
        self.index.close()
        self.files.clear_incoming()  # a server that is told to end at once leaves what was arriving
        self.files.close()


def refuse_foreign_folder(data_dir: Path) -> None:
    """The emulator sweeps its folder at the start, so it must never be given somebody's documents, nor stored files
    without their index.
    """
    if any(path.is_file() and path.name not in NEW for path in data_dir.rglob("*")):
        raise NotAnArchive(
            f"the folder {data_dir} holds files, and no index of the emulator's that knows them; choose another "
            f"--data-dir. With --seed {data_dir} it begins with what DICOM files are there"
        )


def files_of(rows: list[sqlite3.Row]) -> list[str]:
    """The names of the current files, and of those of the original versions."""
    return [name for row in rows for name in (row["file"], row["original"]) if name]


def remove(transaction: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Take an instance out, and its series and study with it when it was their last."""
    transaction.execute("DELETE FROM instance WHERE watermark = ?", [row["watermark"]])
    for level in ("series", "study"):
        key = f"{level}_key"
        below = "instance" if level == "series" else "series"
        transaction.execute(
            f"DELETE FROM {level} WHERE {key} = ? AND NOT EXISTS (SELECT 1 FROM {below} WHERE {key} = ?)",
            [row[key], row[key]],
        )
    identifiers = (row["StudyInstanceUID"], row["SeriesInstanceUID"], row["SOPInstanceUID"])
    change_feed.record(transaction, Event("Delete", row["partition_key"], identifiers, row["watermark"]))
