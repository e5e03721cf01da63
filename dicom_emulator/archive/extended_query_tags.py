"""Attributes that a user has added to the index (conformance statement, extended query tags)."""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_emulator.archive import operations
from dicom_emulator.archive.operations import Operation
from dicom_emulator.archive.query import fold
from dicom_emulator.archive.ticks import now
from dicom_emulator.dicom.attributes import Attribute, hex_tag
from dicom_emulator.dicom.json_data_set import text_of
from dicom_emulator.dicom.validation import minimum_rule

if TYPE_CHECKING:
    from dicom_emulator.archive import Archive

MOST = 128
NUMBERS = frozenset({"FD", "FL", "IS", "SL", "SS", "UL", "US"})
VRS = NUMBERS | {"AE", "AS", "CS", "DA", "DT", "LO", "PN", "SH", "TM", "UI"}
WRONG_VR = "The extended query tag VR is not expected."
OWNERS = {"study": "study_key", "series": "series_key", "instance": "watermark"}
BATCH = 100  # instances that are indexed in one transaction


class AlreadyAdded(Exception):
    """One of the tags is in the index already."""


class TooMany(Exception):
    """There would be more tags than the service takes."""


class Busy(Exception):
    """An operation is at work on the tags; `operation` is its id."""

    def __init__(self, operation: str):
        super().__init__(operation)
        self.operation = operation


@dataclass(frozen=True)
class NewTag:
    """A tag to add. `level` is "study", "series" or "instance"."""

    tag: int
    vr: str
    level: str
    private_creator: str | None = None


@dataclass(frozen=True)
class ExtendedQueryTag(NewTag):
    """A tag of the index, and what has become of it."""

    key: int = 0
    status: str = ""  # "adding", "ready"
    query_status: str = ""  # "enabled", "disabled"
    operation: str = ""
    has_errors: bool = False

    @property
    def attribute(self) -> Attribute:
        return Attribute(hex_tag(self.tag), self.tag, self.vr, self.level)


@dataclass(frozen=True)
class IndexingError:
    """A value that could not be indexed."""

    partition: str
    study: str
    series: str
    instance: str
    ticks: int
    message: str


def from_row(row: sqlite3.Row) -> ExtendedQueryTag:
    return ExtendedQueryTag(
        int(row["path"], 16),
        row["vr"],
        row["level"],
        row["private_creator"],
        row["tag_key"],
        row["status"],
        row["query_status"],
        row["operation"],
        bool(row["has_errors"]),
    )


# Errors are not counted here: each search and each stored instance looks for the tags, and one may have many errors.
SELECT = """
SELECT *, EXISTS (SELECT 1 FROM extended_error AS error WHERE error.tag_key = tag.tag_key) AS has_errors
FROM extended_query_tag AS tag
"""
# Picked before anything is joined to them: what is passed over costs next to nothing then.
ERRORS = """
SELECT partition.name, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, error.ticks, message
FROM (SELECT * FROM extended_error WHERE tag_key = ? ORDER BY watermark LIMIT ? OFFSET ?) AS error
JOIN instance USING (watermark) JOIN series USING (series_key) JOIN study ON study.study_key = instance.study_key
JOIN partition USING (partition_key) ORDER BY error.watermark
"""


def extended_query_tags(reader: sqlite3.Connection, limit: int = -1, offset: int = 0) -> list[ExtendedQueryTag]:
    """The tags in the order in which they were added."""
    return [from_row(row) for row in reader.execute(f"{SELECT} ORDER BY tag_key LIMIT ? OFFSET ?", (limit, offset))]


def find(reader: sqlite3.Connection, tag: int) -> ExtendedQueryTag | None:
    row = reader.execute(f"{SELECT} WHERE path = ?", [hex_tag(tag)]).fetchone()
    return from_row(row) if row else None


def errors(reader: sqlite3.Connection, tag: ExtendedQueryTag, limit: int, offset: int) -> list[IndexingError]:
    """What went wrong when the stored instances were indexed, oldest instance first."""
    return [IndexingError(*row) for row in reader.execute(ERRORS, (tag.key, limit, offset))]


def count_errors(reader: sqlite3.Connection, tag: ExtendedQueryTag) -> int:
    (count,) = reader.execute("SELECT COUNT(*) FROM extended_error WHERE tag_key = ?", [tag.key]).fetchone()
    return count


def add(transaction: sqlite3.Connection, tags: Iterable[NewTag]) -> Operation:
    """Add tags, and the operation that will index what is stored. Raises Busy, AlreadyAdded, TooMany."""
    for operation in operations.unfinished(transaction, "reindex"):
        raise Busy(operation.id)
    tags = list(tags)
    (present,) = transaction.execute("SELECT COUNT(*) FROM extended_query_tag").fetchone()
    if any(find(transaction, tag.tag) for tag in tags):
        raise AlreadyAdded
    if present + len(tags) > MOST:
        raise TooMany
    (last,) = transaction.execute("SELECT COALESCE(MAX(watermark), 0) FROM instance").fetchone()
    operation = operations.add(transaction, "reindex", tags=[hex_tag(tag.tag) for tag in tags], last=last)
    for tag in tags:
        transaction.execute(
            "INSERT INTO extended_query_tag (path, vr, private_creator, level, status, query_status, operation)"
            " VALUES (?, ?, ?, ?, 'adding', 'enabled', ?)",
            (hex_tag(tag.tag), tag.vr, tag.private_creator, tag.level, operation.id),
        )
    return operation


def set_query_status(transaction: sqlite3.Connection, tag: ExtendedQueryTag, query_status: str) -> None:
    transaction.execute("UPDATE extended_query_tag SET query_status = ? WHERE tag_key = ?", (query_status, tag.key))


def delete(transaction: sqlite3.Connection, tag: ExtendedQueryTag) -> None:
    """Forget a tag with all its values and errors. Raises Busy while it is being indexed."""
    operation = operations.find(transaction, tag.operation)
    if tag.status == "adding" and operation and not operation.finished:
        raise Busy(tag.operation)
    transaction.execute("DELETE FROM extended_query_tag WHERE tag_key = ?", [tag.key])


def value_key(vr: str, value: Any) -> str | int | float:
    """A value as it is compared. Numbers are; dates and times become texts of equal length."""
    if vr in NUMBERS:
        return int(value) if vr == "IS" else float(value) if isinstance(value, str) else value
    if vr in {"DT", "TM"}:
        return moment_key(vr, value)
    return fold(text_of(value), vr)


def moment_key(vr: str, text: str) -> str:
    """A date and time, or a time, filled up with its earliest moment; the offset from UTC is not looked at.

    >>> moment_key("DT", "202003+0100"), moment_key("TM", "1230")
    ('20200301000000.000000', '123000.000000')
    """
    earliest = "00010101000000.000000" if vr == "DT" else "000000.000000"
    given = re.split("[+-]", text.strip(" \0"))[0]
    return given + earliest[len(given) :]


def creator_tag(tag: int) -> int:
    """Where the creator of a private tag is named (PS3.5 §7.8.1)."""
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF


def first_value(tag: NewTag, metadata: dict[str, Any]) -> tuple[str, Any] | None:
    """The VR and the first value of a tag in the saved metadata, or None where it has none."""
    if tag.private_creator is not None:
        creator = metadata.get(hex_tag(creator_tag(tag.tag)), {}).get("Value", [None])[0]
        if creator != tag.private_creator:
            return None
    element = metadata.get(hex_tag(tag.tag), {})
    value = next(iter(element.get("Value", [])), None)
    return None if value is None else (element["vr"], value)


def index_instance(
    transaction: sqlite3.Connection, tags: Iterable[ExtendedQueryTag], row: sqlite3.Row
) -> Iterator[tuple[ExtendedQueryTag, str]]:
    """Index the saved metadata of an instance; `row` has its keys and `json`. Yields the tags that fail, and why.

    The value of the latest instance is that of its series and study.
    """
    metadata = json.loads(row["json"])
    for tag in tags:
        found = first_value(tag, metadata)
        if found is None:
            continue
        vr, value = found
        if value == "NaN" and tag.vr in NUMBERS:
            continue  # equal to nothing, so nobody can search for it
        if fault := index_fault(tag, vr, value):
            yield tag, fault
            continue
        owner = OWNERS[tag.level]
        transaction.execute(
            f"INSERT INTO extended_value (tag_key, {owner}, value_key, source) VALUES (?, ?, ?, ?)"
            f" ON CONFLICT (tag_key, {owner}) DO UPDATE SET value_key = excluded.value_key, source = excluded.source"
            " WHERE excluded.source >= extended_value.source",
            (tag.key, row[owner], value_key(tag.vr, value), row["watermark"]),
        )


def index_fault(tag: NewTag, vr: str, value: Any) -> str | None:
    """Why a value cannot be indexed, or None. NULs at its end are forgiven."""
    if vr != tag.vr:
        return WRONG_VR
    broken = minimum_rule(vr, text_of(value).rstrip("\0"))
    return broken.short if broken else None


def index_stored(transaction: sqlite3.Connection, watermark: int) -> None:
    """Index an instance that was just stored or changed."""
    if tags := extended_query_tags(transaction):
        row = transaction.execute(f"{INSTANCES} WHERE instance.watermark = ?", [watermark]).fetchone()
        for _ in index_instance(transaction, tags, row):
            pass  # the file was stored with a warning of it


INSTANCES = "SELECT watermark, series_key, study_key, json FROM instance JOIN metadata USING (watermark)"


def reindex(archive: "Archive", operation: Operation) -> Iterator[None]:
    """The job that indexes what was stored before the tags were added, BATCH instances at a step."""
    last = operation.input["last"]
    while True:
        with archive.index.transaction() as transaction:
            tags = [tag for path in operation.input["tags"] if (tag := find(transaction, int(path, 16)))]
            after = operation.progress.get("after", 0)
            rows = transaction.execute(
                f"{INSTANCES} WHERE instance.watermark > ? AND instance.watermark <= ?"
                " ORDER BY instance.watermark LIMIT ?",
                (after, last, BATCH),
            ).fetchall()
            for row in rows:
                for tag, message in index_instance(transaction, tags, row):
                    transaction.execute(
                        "INSERT OR REPLACE INTO extended_error VALUES (?, ?, ?, ?)",
                        (tag.key, row["watermark"], now(), message),
                    )
            if not rows:
                complete(transaction, operation)
                return
            operation.progress["after"] = rows[-1]["watermark"]
            operations.note(transaction, operation, min(99, 100 * rows[-1]["watermark"] / max(last, 1)))
        yield


def complete(transaction: sqlite3.Connection, operation: Operation) -> None:
    """The tags of the operation may be searched for, unless there were errors: then their owner decides."""
    transaction.execute(
        "UPDATE extended_query_tag SET status = 'ready', query_status = IIF(EXISTS (SELECT 1 FROM extended_error"
        " WHERE extended_error.tag_key = extended_query_tag.tag_key), 'disabled', 'enabled') WHERE operation = ?",
        [operation.id],
    )
    operations.note(transaction, operation, 100, "succeeded")
