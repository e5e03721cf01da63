"""Operations: long work that is remembered until it is done (conformance statement, operations)."""

import json
import sqlite3
import uuid
from dataclasses import dataclass
from typing import Any

from dicom_emulator.archive.ticks import now

UNFINISHED = "status IN ('notStarted', 'running')"


@dataclass
class Operation:
    """One operation. `input` says what is to be done, `progress` what is done; times are ticks."""

    id: str
    type: str
    status: str
    created: int
    updated: int
    percent: int
    input: dict[str, Any]
    progress: dict[str, Any]

    @property
    def finished(self) -> bool:
        return self.status not in {"notStarted", "running"}


def from_row(row: sqlite3.Row) -> Operation:
    return Operation(**{**dict(row), "input": json.loads(row["input"]), "progress": json.loads(row["progress"])})


def add(transaction: sqlite3.Connection, type: str, **input: Any) -> Operation:
    """A new operation that has not started yet."""
    operation = Operation(uuid.uuid4().hex, type, "notStarted", now(), now(), 0, input, {})
    transaction.execute(
        "INSERT INTO operation VALUES (:id, :type, :status, :created, :updated, :percent, :input, :progress)",
        {**vars(operation), "input": json.dumps(input), "progress": "{}"},
    )
    return operation


def find(reader: sqlite3.Connection, id: str) -> Operation | None:
    row = reader.execute("SELECT * FROM operation WHERE id = ?", [id]).fetchone()
    return from_row(row) if row else None


def unfinished(reader: sqlite3.Connection, type: str = "%") -> list[Operation]:
    """The operations that have still to be done, oldest first; all, or those of one type."""
    rows = reader.execute(f"SELECT * FROM operation WHERE {UNFINISHED} AND type LIKE ? ORDER BY created", [type])
    return [from_row(row) for row in rows]


def note(transaction: sqlite3.Connection, operation: Operation, percent: float, status: str = "running") -> None:
    """Remember how far an operation is, inside the transaction that brought it there."""
    operation.percent, operation.status, operation.updated = int(percent), status, now()
    transaction.execute(
        "UPDATE operation SET status = :status, updated = :updated, percent = :percent, progress = :progress"
        " WHERE id = :id",
        {**vars(operation), "progress": json.dumps(operation.progress), "input": None},
    )
