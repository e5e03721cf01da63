"""Partitions: separate sets of studies in one archive (conformance statement, data partitions)."""

import re
import sqlite3
from dataclasses import dataclass

from dicom_emulator.archive.ticks import now

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Partition:
    """A set of studies; the same UIDs may exist in several. `ticks`: when it was made."""

    key: int
    name: str
    ticks: int = 0


DEFAULT = Partition(1, "Microsoft.Default")


def partitions(reader: sqlite3.Connection) -> list[Partition]:
    """All partitions, oldest first."""
    return [Partition(*row) for row in reader.execute("SELECT * FROM partition ORDER BY partition_key")]


def find(reader: sqlite3.Connection, name: str) -> Partition | None:
    row = reader.execute("SELECT * FROM partition WHERE name = ?", [name]).fetchone()
    return Partition(*row) if row else None


def make(transaction: sqlite3.Connection, name: str) -> Partition:
    """The partition of this name, made if it is not there yet."""
    transaction.execute("INSERT OR IGNORE INTO partition (name, ticks) VALUES (?, ?)", (name, now()))
    partition = find(transaction, name)
    assert partition
    return partition
