"""JSON bodies as the service reads them: comments and trailing commas are fine (RFC 8259 allows neither)."""

import json
import re
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from starlette.requests import Request

from dicom_emulator.blocking import run_blocking

LARGEST = 30_000_000  # bytes
# A value takes up to fifty times as much memory as the two bytes that it can be written in.
MOST_VALUES = 500_000
DEEPEST = 128  # levels of arrays and objects; no body that is understood has more than 64
# What has no end reaches to the end of the text, so that no text takes long, however it is made.
STRING = r'"(?:[^"\\]++|\\.)*+"?'
COMMENT = re.compile(STRING + r"|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
TRAILING_COMMA = re.compile(STRING + r"|,(?=\s*+[\]}])", re.DOTALL)
BEGINNINGS = (b",", b"[", b"{", b'""', b"//", b"/*")  # of values; of what else the patterns above find
HALF_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Malformed(ValueError):
    """The body is no JSON."""


class BodyTooLarge(ValueError):
    """The body has more than LARGEST bytes."""


async def read_json(request: Request, exact: bool = False) -> Any:
    """The body's value, as `parse_json` gives it. Raises Malformed, BodyTooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise BodyTooLarge
    return await run_blocking(parse_json, bytes(body), exact)


def parse_json(body: bytes, exact: bool = False) -> Any:
    """The value of a JSON text. `exact`: fractions are Decimal, and no object may have a member twice.

    >>> parse_json(b'{"a": [1, 2,], /* no */ "b": "// yes",}')
    {'a': [1, 2], 'b': '// yes'}
    >>> parse_json(b"[2.50]", exact=True)
    [Decimal('2.50')]
    """
    if sum(map(body.count, BEGINNINGS)) > MOST_VALUES:
        raise Malformed(f"it has more than {MOST_VALUES} values")
    options: dict[str, Any] = {"parse_float": Decimal, "object_pairs_hook": members} if exact else {}
    load = partial(json.loads, parse_constant=refuse_constant, **options)
    try:
        text = body.decode("utf-8-sig")
        try:
            value = load(text)
        except ValueError:
            value = load(strict(text))
        check_depth(value)
    except (ValueError, InvalidOperation, RecursionError) as error:  # InvalidOperation: 1e99999999999999999999
        raise Malformed(str(error)) from None
    if HALF_OF_A_PAIR.search(text) and LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False, default=str)):
        raise Malformed("half of a surrogate pair is no character")
    return value


def strict(text: str) -> str:
    """The text without comments and trailing commas."""
    for left_out in (COMMENT, TRAILING_COMMA):
        text = left_out.sub(lambda match: match[0] if match[0][0] == '"' else "", text)
    return text


def check_depth(value: Any) -> None:
    """Raises ValueError. What is deeper would be a matter of Python's own limit, which is another one in each version."""
    level, depth = [value], 0
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same member twice")
    return found
