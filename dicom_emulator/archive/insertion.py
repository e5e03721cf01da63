"""Instances on their way into the index, many in one transaction."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from dicom_emulator.archive import change_feed
from dicom_emulator.archive.change_feed import Event
from dicom_emulator.archive.extended_query_tags import extended_query_tags, index_stored
from dicom_emulator.archive.index import Index
from dicom_emulator.archive.ingest import AlreadyExists, NewInstance
from dicom_emulator.archive.query import fold
from dicom_emulator.dicom.attributes import CORE, Attribute

ABOVE = {"study": "partition_key", "series": "study_key"}
UIDS = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID"}
INDEXED = {
    level: [attribute for attribute in CORE.values() if attribute.level == level and attribute.vr != "UI"]
    for level in ("study", "series")
}


def upsert_sql(level: str, attributes: list[Attribute]) -> str:
    """Make the study's or series' row. What the instance says overwrites the row; what it leaves out stays."""
    identity = [ABOVE[level], UIDS[level]]
    names = [name for attribute in attributes for name in (attribute.keyword, f"{attribute.keyword}_key")]
    updates = ", ".join(f"{name} = COALESCE(excluded.{name}, {level}.{name})" for name in names)
    return (
        f"INSERT INTO {level} ({', '.join(identity + names)}) VALUES ({', '.join('?' * len(identity + names))})"
        f" ON CONFLICT ({', '.join(identity)}) DO UPDATE SET {updates} RETURNING {level}_key"
    )


UPSERT = {level: upsert_sql(level, attributes) for level, attributes in INDEXED.items()}
INSERT_INSTANCE = (
    "INSERT INTO instance (watermark, study_key, series_key, SOPInstanceUID, file, size, transfer_syntax, frames)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
Named = tuple[str, NewInstance]  # the name of a file, and what is in it


def insert(
    index: Index, batch: Sequence[Named], partition: int, replace: bool
) -> tuple[list[Exception | None], list[str]]:
    """Index the instances whose files have these names, each wholly or not at all, in one transaction.

    Returns for each why it cannot be: AlreadyExists, sqlite3.Error; and the names of the files that are not needed any
    more. Raises sqlite3.Error where nothing can be done.

    Many rows at once cost half of what they cost one by one, and less without a point to go back to. So where one is
    at fault, all begin anew.
    """
    try:
        with index.transaction() as transaction:
            insertion = Insertion(transaction, partition, replace)
            insertion.insert(batch)
        return [None] * len(batch), insertion.replaced
    except (AlreadyExists, sqlite3.Error) as error:
        if len(batch) == 1:
            return [error], []
    with index.transaction() as transaction:
        insertion = Insertion(transaction, partition, replace)
        faults = insertion.insert_some(batch)
    return faults, insertion.replaced


class Insertion:
    """Puts instances into the index, inside a transaction.

    replaced: the names of the files that are not needed any more once the transaction is committed.
    """

    def __init__(self, transaction: sqlite3.Connection, partition: int, replace: bool):
        self.replaced: list[str] = []
        self._transaction, self._partition, self._replace = transaction, partition, replace
        self._has_extended_query_tags = bool(extended_query_tags(transaction))
        self._last: dict[str, tuple[list[Any], int]] = {}  # by level: what was written last, and the row's key

    def insert_some(self, batch: Sequence[Named]) -> list[Exception | None]:
        """Index what can be: where one is at fault, each half of the batch is tried, until that one is alone."""
        self._transaction.execute("SAVEPOINT batch")
        try:
            self.insert(batch)
        except (AlreadyExists, sqlite3.Error) as error:
            if not self._transaction.in_transaction:
                raise
            self._transaction.execute("ROLLBACK TO batch")
            self._transaction.execute("RELEASE batch")
            self._last.clear()
            if len(batch) == 1:
                return [error]
            middle = len(batch) // 2
            return self.insert_some(batch[:middle]) + self.insert_some(batch[middle:])
        self._transaction.execute("RELEASE batch")
        return [None] * len(batch)

    def insert(self, batch: Sequence[Named]) -> None:
        """Index all. Raises AlreadyExists, sqlite3.Error."""
        events, instances, metadata, replaced = [], [], [], []
        for watermark, (name, new) in enumerate(batch, self._last_watermark() + 1):
            study, series, instance = new.identifiers
            study_key = self._upsert("study", self._partition, study, new)
            series_key = self._upsert("series", study_key, series, new)
            before = self._take_out(series_key, instance) if self._replace else []
            replaced += before
            row = (watermark, study_key, series_key, instance, name, new.size, new.transfer_syntax, new.frames)
            instances.append(row)
            metadata.append((watermark, new.metadata))
            action = "Update" if before else "Create"
            events.append(Event(action, self._partition, new.identifiers, watermark))
        try:
            self._transaction.executemany(INSERT_INSTANCE, instances)
        except sqlite3.IntegrityError:
            raise AlreadyExists from None
        self._transaction.executemany("INSERT INTO metadata VALUES (?, ?)", metadata)
        if self._has_extended_query_tags:
            for event in events:
                index_stored(self._transaction, event.watermark)
        change_feed.record(self._transaction, *events)
        self.replaced += replaced

    def _last_watermark(self) -> int:
        """Of all that were ever given."""
        row = self._transaction.execute("SELECT seq FROM sqlite_sequence WHERE name = 'instance'").fetchone()
        return row["seq"] if row else 0

    def _upsert(self, level: str, above: int, uid: str, new: NewInstance) -> int:
        """The key of the row. One that was just written with the same values is not written again."""
        values = [above, uid, *(new.attributes[attribute.tag] for attribute in INDEXED[level])]
        if level not in self._last or self._last[level][0] != values:
            row = [above, uid]
            for attribute in INDEXED[level]:
                value = new.attributes[attribute.tag]
                row += [value, None if value is None else fold(value, attribute.vr)]
            (key,) = self._transaction.execute(UPSERT[level], row).fetchone()
            self._last[level] = (values, key)
        return self._last[level][1]

    def _take_out(self, series_key: int, instance: str) -> list[str]:
        """Make room for another version of an instance. Returns the names of its files, the original one's too."""
        row = self._transaction.execute(
            "SELECT watermark, instance.file, original.file AS original FROM instance LEFT JOIN original"
            " USING (watermark) WHERE series_key = ? AND SOPInstanceUID = ?",
            (series_key, instance),
        ).fetchone()
        if row is None:
            return []
        self._transaction.execute("DELETE FROM instance WHERE watermark = ?", [row["watermark"]])
        return [name for name in (row["file"], row["original"]) if name]
