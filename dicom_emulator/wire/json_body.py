"""JSON bodies as the service reads them: comments and trailing commas are fine (RFC 8259 allows neither)."""

import json
import re
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


async def read_json(request: Request) -> Any:
    """The body's value. Raises Malformed, BodyTooLarge."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise BodyTooLarge
    return parse_json(body)


def parse_json(body: bytes) -> Any:
    """
    >>> parse_json(b'{"a": [1, 2,], /* no */ "b": "// yes",}')
    {'a': [1, 2], 'b': '// yes'}
    """
    try:
        text = body.decode("utf-8-sig")
        for left_out in (COMMENT, TRAILING_COMMA):
            text = left_out.sub(lambda match: match[1] or "", text)
        value = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None
    if LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise Malformed("half of a surrogate pair is no character")
    return value


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
