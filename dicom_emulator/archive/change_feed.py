"""What happened to which instance, and what has become of it since (conformance statement, change feed)."""

import json
import re
import sqlite3
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

TICKS = 10_000_000  # in a second
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
PARTITION = "Microsoft.Default"

# The state of an event: whether its instance is still there, and whether in the version that the event speaks of.
SELECT = """
SELECT feed.*, instance.watermark AS current_watermark, metadata.json AS metadata
FROM change_feed AS feed
LEFT JOIN study ON study.StudyInstanceUID = feed.StudyInstanceUID
LEFT JOIN series ON series.study_key = study.study_key AND series.SeriesInstanceUID = feed.SeriesInstanceUID
LEFT JOIN instance ON instance.series_key = series.series_key AND instance.SOPInstanceUID = feed.SOPInstanceUID
LEFT JOIN metadata ON metadata.watermark = instance.watermark AND :metadata
"""


@dataclass(frozen=True)
class Window:
    """Which events to list: by sequence number (after, up to and with), or by time [start, end) in ticks."""

    after: int = 0
    up_to: int = 2**63 - 1
    start: int = -(2**63)
    end: int = 2**63 - 1
    limit: int = -1
    offset: int = 0
    by_time: bool = False  # in the order of the clock, instead of the sequence


def now() -> int:
    """The time in ticks of 100 ns since 1970."""
    return time.time_ns() // 100


def record(transaction: sqlite3.Connection, action: str, identifiers: tuple[str, str, str], watermark: int) -> None:
    """Add an event to the feed, inside the transaction that makes it true."""
    transaction.execute(
        "INSERT INTO change_feed (ticks, action, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, watermark)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (now(), action, *identifiers, watermark),
    )


def events(reader: sqlite3.Connection, window: Window, metadata: bool) -> list[str]:
    """The events of a window as JSON objects, oldest first."""
    rows = reader.execute(
        SELECT + "WHERE feed.sequence > :after AND feed.sequence <= :up_to"
        " AND feed.ticks >= :start AND feed.ticks < :end"
        f" ORDER BY {'feed.ticks, ' if window.by_time else ''}feed.sequence LIMIT :limit OFFSET :offset",
        {**vars(window), "metadata": metadata},
    )
    return [event_json(row) for row in rows]


def latest(reader: sqlite3.Connection, by_time: bool, metadata: bool) -> str | None:
    """The newest event as a JSON object; None when nothing ever happened."""
    order = "feed.ticks DESC, feed.sequence DESC" if by_time else "feed.sequence DESC"
    row = reader.execute(SELECT + f"ORDER BY {order} LIMIT 1", {"metadata": metadata}).fetchone()
    return event_json(row) if row else None


def event_json(row: sqlite3.Row) -> str:
    event: dict[str, Any] = {
        "sequence": row["sequence"],
        "studyInstanceUid": row["StudyInstanceUID"],
        "seriesInstanceUid": row["SeriesInstanceUID"],
        "sopInstanceUid": row["SOPInstanceUID"],
        "action": row["action"],
        "timestamp": format_ticks(row["ticks"]),
        "state": state(row["watermark"], row["current_watermark"]),
        "partitionName": PARTITION,
    }
    text = json.dumps(event)
    return text if row["metadata"] is None else f'{text[:-1]}, "metadata": {row["metadata"]}}}'


def state(watermark: int, current: int | None) -> str:
    if current is None:
        return "Deleted"
    return "Current" if watermark == current else "Replaced"


def format_ticks(ticks: int) -> str:
    """
    >>> format_ticks(17_000_000_001_234_560)
    '2023-11-14T22:13:20.123456+00:00'
    """
    moment = EPOCH + timedelta(seconds=ticks // TICKS)
    fraction = f".{ticks % TICKS:07d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}+00:00"


class NoTimeZone(ValueError):
    """The time does not say where it is."""


def parse_time(text: str) -> int:
    """An ISO 8601 moment in ticks. Raises ValueError, or NoTimeZone.

    >>> parse_time("2023-11-14T23:13:20.1234567+01:00") - parse_time("2023-11-14T22:13:20Z")
    1234567
    """
    fraction = re.search(r"[.,](\d{1,7})\d*", text)
    moment = datetime.fromisoformat(re.sub(r"[.,]\d+", "", text))
    if moment.tzinfo is None:
        raise NoTimeZone(text)
    seconds = (moment - EPOCH) // timedelta(seconds=1)
    return seconds * TICKS + (int(fraction[1].ljust(7, "0")) if fraction else 0)
