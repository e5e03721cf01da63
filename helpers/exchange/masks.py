"""What is not to be seen: tokens, and what differs from run to run."""

import re

from helpers.auth import without_tokens


def short(uid: str) -> str:
    """A long UID by its last six digits; the short ones that the standard defines stay as they are.

    >>> short("1.2.826.0.1.3680043.8.498.13230779778012324449356534479549187420")
    '…187420'
    >>> short("1.2.840.10008.1.2.1")
    '1.2.840.10008.1.2.1'
    """
    return uid if len(uid) <= 24 or uid.startswith("1.2.840.10008.") else f"…{uid[-6:]}"


def stable(text: str) -> str:
    """`text` without tokens and without what differs from run to run: this machine's address, long UIDs, random ids.

    >>> stable("409 Client Error: Conflict for url: http://127.0.0.1:34113/v2/studies")
    '409 Client Error: Conflict for url: /v2/studies'
    >>> stable("http://127.0.0.1:34113/v2/operations/31b140a163e9440b8a31b8e3628a5881")
    '/v2/operations/…'
    """
    text = without_tokens(text)
    text = re.sub(r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?=/)", "", text)
    text = re.sub(r"(?:https?://)?(?:127\.0\.0\.1|localhost|\[::1\]):\d+", "this machine", text)
    text = re.sub(r"\d+(?:\.\d+){4,}", lambda uid: short(uid[0]), text)
    return re.sub(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b", "…", text)


def stable_json(text: str) -> str:
    """JSON text with times masked as well."""
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]*(?:Z|[+-]\d\d:\d\d)?", "…", stable(text))


def as_text(value: str | bytes) -> str:
    """A header's value; requests takes bytes as well as text."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def header_value(name: str, value: str | bytes) -> str:
    """A header's value as it is shown: no secret, no boundary, no ETag."""
    value = as_text(value)
    match name.lower():
        case "authorization" | "proxy-authorization":
            return f"{value.partition(' ')[0]} …"
        case "cookie" | "etag" | "if-none-match" | "if-match":
            return "…"
    return stable(re.sub(r'boundary=("[^"]*"|[^;\s]*)', "boundary=…", value))
