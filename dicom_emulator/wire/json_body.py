"""JSON bodies as the service reads them: comments and trailing commas are fine (RFC 8259 allows neither)."""

import json
import re
from decimal import Decimal
from typing import Any

from starlette.requests import Request

LARGEST = 30_000_000  # bytes
# What has no end reaches to the end of the text, so that no text takes long, however it is made.
STRING = r'("(?:[^"\\]|\\.)*+"?)'
COMMENT = re.compile(STRING + r"|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
TRAILING_COMMA = re.compile(STRING + r"|,(?=\s*+[\]}])", re.DOTALL)
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Malformed(ValueError):
    """The body is no JSON."""


class BodyTooLarge(ValueError):
    """The body has more than LARGEST bytes."""


async def read_json(request: Request, exact: bool = False) -> Any:
    """The body's value, as `parse_json` gives it. Raises Malformed, BodyTooLarge."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise BodyTooLarge
    return parse_json(body, exact)


def parse_json(body: bytes, exact: bool = False) -> Any:
    """The value of a JSON text. `exact`: fractions are Decimal, and no object may have a member twice.

    >>> parse_json(b'{"a": [1, 2,], /* no */ "b": "// yes",}')
    {'a': [1, 2], 'b': '// yes'}
    >>> parse_json(b"[2.50]", exact=True)
    [Decimal('2.50')]
    """
    options: dict[str, Any] = {"parse_float": Decimal, "object_pairs_hook": members} if exact else {}
    try:
        text = body.decode("utf-8-sig")
        for left_out in (COMMENT, TRAILING_COMMA):
            text = left_out.sub(lambda match: match[1] or "", text)
        value = json.loads(text, parse_constant=refuse_constant, **options)
        written = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None
    if LONE_SURROGATE.search(written):
        raise Malformed("half of a surrogate pair is no character")
    return value


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same member twice")
    return found
