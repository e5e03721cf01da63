"""What happened to which instance, and what has become of it since (conformance statement, change feed)."""

import itertools
import sqlite3
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted
from typing import NamedTuple

from dicom_emulator.archive.ticks import format_ticks, now

# The state of an event: whether its instance is still there, and whether in the version that the event speaks of.
# {events} are picked before anything is joined to them.
SELECT = """
SELECT feed.*, partition.name AS partition_name, instance.watermark AS current_watermark, metadata.json AS metadata
FROM (SELECT * FROM change_feed {events}) AS feed JOIN partition USING (partition_key)
LEFT JOIN study ON study.partition_key = feed.partition_key AND study.StudyInstanceUID = feed.StudyInstanceUID
LEFT JOIN series ON series.study_key = study.study_key AND series.SeriesInstanceUID = feed.SeriesInstanceUID
LEFT JOIN instance ON instance.series_key = series.series_key AND instance.SOPInstanceUID = feed.SOPInstanceUID
LEFT JOIN metadata ON metadata.watermark = instance.watermark AND :metadata
ORDER BY sequence
"""
# A page is found by its numbers, however many events lie before it or behind: numbers have no gaps, and moments never
# go back. A sum beyond 64 bits is a float to SQLite, and greater than any number.
PAGE = """
WHERE sequence > MAX(:after, :offset + (
    SELECT sequence - 1 FROM change_feed WHERE ticks >= :start ORDER BY ticks, sequence LIMIT 1
))
AND sequence <= MIN(:up_to, (
    SELECT sequence FROM change_feed WHERE ticks < :end ORDER BY ticks DESC, sequence DESC LIMIT 1
))
ORDER BY sequence LIMIT :limit
"""
LATEST = "ORDER BY sequence DESC LIMIT 1"


@dataclass(frozen=True)
class Window:
    """Which events to list: by sequence number (after, up to and with), or by time [start, end) in ticks.

    limit: -1 for all; offset: how many are passed over.
    """

    after: int = 0
    up_to: int = 2**63 - 1
    start: int = -(2**63)
    end: int = 2**63 - 1
    limit: int = -1
    offset: int = 0


class Event(NamedTuple):
    """What happened to an instance, in the version of this watermark."""

    action: str  # Create, Update, Delete
    partition: int
    identifiers: tuple[str, str, str]  # study, series, instance; without padding
    watermark: int


def record(transaction: sqlite3.Connection, *events: Event) -> None:
    """Add events to the feed, inside the transaction that makes them true.

    Each gets a moment of its own after all others, even if the clock was put back: who asks for what follows the last
    moment that he was told misses nothing.
    """
    (earliest,) = transaction.execute("SELECT COALESCE(MAX(ticks) + 1, 0) FROM change_feed").fetchone()
    moments = itertools.count(max(now(), earliest))
    transaction.executemany(
        "INSERT INTO change_feed"
        " (ticks, action, partition_key, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, watermark)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(next(moments), event.action, event.partition, *event.identifiers, event.watermark) for event in events],
    )


def events(reader: sqlite3.Connection, window: Window, metadata: bool) -> list[str]:
    """The events of a window as JSON objects, oldest first."""
    rows = reader.execute(SELECT.format(events=PAGE), {**vars(window), "metadata": metadata})
    return [event_json(row) for row in rows]


def latest(reader: sqlite3.Connection, metadata: bool) -> str | None:
    """The newest event as a JSON object; None when nothing ever happened."""
    row = reader.execute(SELECT.format(events=LATEST), {"metadata": metadata}).fetchone()
    return event_json(row) if row else None


def event_json(row: sqlite3.Row) -> str:
    text = (
        f'{{"sequence": {row["sequence"]}, "studyInstanceUid": {quoted(row["StudyInstanceUID"])}'
        f', "seriesInstanceUid": {quoted(row["SeriesInstanceUID"])}, "sopInstanceUid": {quoted(row["SOPInstanceUID"])}'
        f', "action": "{row["action"]}", "timestamp": "{format_ticks(row["ticks"])}"'
        f', "state": "{state(row["watermark"], row["current_watermark"])}"'
        f', "partitionName": {quoted(row["partition_name"])}'
    )
    return f"{text}}}" if row["metadata"] is None else f'{text}, "metadata": {row["metadata"]}}}'


def state(watermark: int, current: int | None) -> str:
    if current is None:
        return "Deleted"
    return "Current" if watermark == current else "Replaced"
