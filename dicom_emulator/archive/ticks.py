"""Moments in ticks, as the service counts them: 100 ns since 1970."""

import re
import time
from datetime import datetime, timedelta, timezone

TICKS = 10_000_000  # in a second
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def now() -> int:
    """The time in ticks of 100 ns since 1970."""
    return time.time_ns() // 100


def format_ticks(ticks: int) -> str:
    """
    >>> format_ticks(17_000_000_001_234_560)
    '2023-11-14T22:13:20.123456+00:00'
    """
    moment = (EPOCH + timedelta(seconds=ticks // TICKS)).isoformat().removesuffix("+00:00")
    fraction = f".{ticks % TICKS:07d}".rstrip("0").rstrip(".")
    return f"{moment}{fraction}+00:00"


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
