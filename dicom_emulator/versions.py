"""What the API versions do differently, in one table that the rest consults."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

SUPPORTED = "1.0-prerelease, 1, 2"
SPELLING = re.compile(r"v(?P<number>\d+(\.\d+)?(-[a-z][a-z0-9]*)?)", re.IGNORECASE)


@dataclass(frozen=True)
class Version:
    """The behaviour behind one number in the URL."""

    strict_validation: bool  # STOW: a bad searchable attribute rejects the instance, instead of a warning
    warned_status: int  # STOW: all stored, at least one with a warning
    lists_failed_attributes: bool  # STOW: successful items carry FailedAttributesSequence
    short_search_results: bool  # QIDO: the short default set of attributes
    feed_by_time: bool  # change feed: a time window and rows to skip, instead of sequence numbers
    feed_default_limit: int
    feed_max_limit: int
    succeeded: str  # operations: the word for success


V1 = Version(
    strict_validation=True,
    warned_status=200,
    lists_failed_attributes=False,
    short_search_results=False,
    feed_by_time=False,
    feed_default_limit=10,
    feed_max_limit=100,
    succeeded="completed",
)
V2 = Version(
    strict_validation=False,
    warned_status=202,
    lists_failed_attributes=True,
    short_search_results=True,
    feed_by_time=True,
    feed_default_limit=100,
    feed_max_limit=200,
    succeeded="succeeded",
)
VERSIONS = {"1": V1, "1.0": V1, "1-prerelease": V1, "1.0-prerelease": V1, "2": V2, "2.0": V2}


def supported(offered: Collection[str]) -> str:
    """The versions among `offered`, as the header lists them.

    >>> supported({"1", "1.0", "2"})
    '1, 2'
    """
    return ", ".join(number for number in SUPPORTED.split(", ") if number in offered)


@lru_cache  # clients write few different ones
def number_of(segment: str) -> str | None:
    """The number in a path's first segment, or None where it does not look like a version.

    >>> number_of("v1.0-prerelease"), number_of("V2"), number_of("vx")
    ('1.0-prerelease', '2', None)
    """
    match = SPELLING.fullmatch(segment)
    return match["number"].lower() if match else None
