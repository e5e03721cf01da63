"""Work items: kept whole as DICOM JSON, with the values that a search compares (conformance statement, UPS-RS)."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dicom_emulator.archive.extended_query_tags import value_key
from dicom_emulator.archive.index import Index
from dicom_emulator.archive.query import Comparable
from dicom_emulator.dicom.attributes import hex_tag
from dicom_emulator.dicom.json_data_set import DataSet, load, text, write
from dicom_emulator.dicom.workitem import shown
from dicom_emulator.dicom.workitem_search import SEARCHABLE, searchable_values


class WorkitemExists(Exception):
    """There is a work item of this UID already."""


class NoWorkitem(Exception):
    """There is no work item of this UID."""


@dataclass(frozen=True)
class WorkitemCondition:
    """A filter on one searchable attribute: equality, or a range where `low` or `high` is given.

    The values are as they are compared: see `extended_query_tags.value_key`.
    """

    path: tuple[str, ...]
    value: Comparable = ""
    low: Comparable | None = None
    high: Comparable | None = None
    fuzzy: bool = False


@dataclass(frozen=True)
class WorkitemQuery:
    """Which work items of a partition to look for. `attributes`: those that a row shall carry; None for all."""

    partition: int
    conditions: tuple[WorkitemCondition, ...] = ()
    attributes: frozenset[int] | None = None
    limit: int = 100
    offset: int = 0


def add(index: Index, partition: int, item: DataSet) -> None:
    """Keep a new work item. Raises WorkitemExists."""
    with index.transaction() as transaction:
        cursor = transaction.execute(
            "INSERT OR IGNORE INTO workitem (partition_key, SOPInstanceUID, json) VALUES (?, ?, ?)",
            (partition, text(item, "SOPInstanceUID"), write(item)),
        )
        if not cursor.rowcount:
            raise WorkitemExists
        assert cursor.lastrowid is not None
        insert_values(transaction, cursor.lastrowid, item)


def find(reader: sqlite3.Connection, partition: int, uid: str) -> DataSet | None:
    row = row_of(reader, partition, uid)
    return load(row["json"]) if row else None


def change(index: Index, partition: int, uid: str, edit: Callable[[DataSet], DataSet]) -> None:
    """Put what `edit` makes of a work item in its place; nobody else changes it meanwhile.

    Raises NoWorkitem, and what `edit` raises; then nothing is changed.
    """
    with index.transaction() as transaction:
        row = row_of(transaction, partition, uid)
        if row is None:
            raise NoWorkitem
        item = edit(load(row["json"]))
        transaction.execute("UPDATE workitem SET json = ? WHERE workitem_key = ?", (write(item), row["workitem_key"]))
        transaction.execute("DELETE FROM workitem_value WHERE workitem_key = ?", [row["workitem_key"]])
        insert_values(transaction, row["workitem_key"], item)


def row_of(connection: sqlite3.Connection, partition: int, uid: str) -> sqlite3.Row | None:
    return connection.execute(
        "SELECT workitem_key, json FROM workitem WHERE partition_key = ? AND SOPInstanceUID = ?", (partition, uid)
    ).fetchone()


def insert_values(transaction: sqlite3.Connection, key: int, item: DataSet) -> None:
    transaction.executemany(
        "INSERT INTO workitem_value VALUES (?, ?, ?)",
        [
            (key, ".".join(path), value_key(vr, value))
            for path, vr in SEARCHABLE.items()
            for value in searchable_values(item, path)
        ],
    )


def search(reader: sqlite3.Connection, query: WorkitemQuery) -> list[str]:
    """The work items that match, newest first, as DICOM JSON objects."""
    parts = [("partition_key = ?", [query.partition]), *map(condition_sql, query.conditions)]
    rows = reader.execute(
        f"SELECT json FROM workitem WHERE {' AND '.join(text for text, _ in parts)}"
        " ORDER BY workitem_key DESC LIMIT ? OFFSET ?",
        [*(value for _, values in parts for value in values), query.limit, query.offset],
    )
    return [write(answered(load(row["json"]), query.attributes)) for row in rows]


def condition_sql(condition: WorkitemCondition) -> tuple[str, list[Any]]:
    tests = [("fuzzy_match(value_key, ?)" if condition.fuzzy else "value_key = ?", condition.value)]
    if condition.low or condition.high:
        bounds = [("value_key >= ?", condition.low), ("value_key <= ?", condition.high)]
        tests = [(test, bound) for test, bound in bounds if bound]
    return (
        "workitem_key IN (SELECT workitem_key FROM workitem_value"
        f" WHERE path = ? AND {' AND '.join(test for test, _ in tests)})",
        [".".join(condition.path), *(value for _, value in tests)],
    )


def answered(item: DataSet, attributes: frozenset[int] | None) -> DataSet:
    """What a row shows of a work item."""
    if attributes is None:
        return shown(item)
    wanted = set(map(hex_tag, attributes))
    return {key: attribute for key, attribute in shown(item).items() if key in wanted}
