"""When to send a request again, and how long to wait before."""

import random
import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import requests
from requests.exceptions import ChunkedEncodingError

# The server could not do it now: too busy, too slow, a gateway lost it. 500 belongs here since the service's own text
# says "please retry". All other 4xx stay as they are however often one asks.
WORTH_REPEATING = {408, 429, 500, 502, 503, 504}
BROKEN_CONNECTION = (requests.ConnectionError, requests.Timeout, ChunkedEncodingError)

LONGEST_WAIT = 30.0  # seconds, of our own
LONGEST_RETRY_AFTER = 300.0  # seconds that we wait when the server asks for it; beyond that, a person should know


def seconds_to_wait(
    attempt: int, retry_after: str | None = None, first_wait: float = 0.5, chance: Callable[[], float] = random.random
) -> float:
    """How long to wait after failed attempt number `attempt`, which counts from 1.

    Doubles with each attempt, up to LONGEST_WAIT; a random part of it is left out, so that clients which failed
    together do not come back together. What the server asks for in Retry-After is never undercut.

    >>> [seconds_to_wait(attempt, chance=lambda: 1.0) for attempt in (1, 2, 3, 9)]
    [0.5, 1.0, 2.0, 30.0]
    >>> seconds_to_wait(2, chance=lambda: 0.0)
    0.5
    >>> seconds_to_wait(1, retry_after="7", chance=lambda: 0.0)
    7.0
    """
    wait = min(LONGEST_WAIT, first_wait * 2 ** (attempt - 1))
    asked = seconds_in(retry_after)
    return wait * (0.5 + 0.5 * chance()) if asked is None else asked + wait * chance()


def seconds_in(retry_after: str | None) -> float | None:
    """The value of a Retry-After header, seconds or a date (RFC 9110 §10.2.3); None where there is none.

    >>> seconds_in("120"), seconds_in("Wed, 21 Oct 2015 07:28:00 GMT"), seconds_in("soon"), seconds_in(None)
    (120.0, 0.0, None, None)
    """
    text = (retry_after or "").strip()
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
