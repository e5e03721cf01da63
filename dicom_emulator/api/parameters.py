"""Query parameters, read as ASP.NET's model binding reads them: names in any case, refusals worded its way."""

import re
from collections.abc import Collection
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from dicom_emulator.errors import InvalidField, InvalidParameter, TooLarge, UnsupportedMediaType
from dicom_emulator.wire.json_body import LARGEST, BodyTooLarge, Malformed, read_json


def whole_number(text: str, bits: int) -> int | None:
    """The number that `text` writes in decimal digits, or None where it does not, or needs more bits.

    >>> whole_number(" 12 ", bits=32), whole_number("1_2", bits=32), whole_number("99999999999", bits=32)
    (12, None, None)
    """
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", text):
        return None
    number = int(text)
    return number if -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else None


async def json_body(
    request: Request, invalid: type[InvalidField | InvalidParameter] = InvalidField, exact: bool = False
) -> Any:
    """The value of a JSON body; `exact` as in `parse_json`. Raises UnsupportedMediaType, `invalid`, TooLarge."""
    if "content-type" not in request.headers:
        raise UnsupportedMediaType
    try:
        return await read_json(request, exact)
    except Malformed as error:
        raise invalid("$", f"The JSON value could not be read: {error}.") from None
    except BodyTooLarge:
        raise TooLarge(LARGEST) from None


def lower_names(properties: dict[str, Any]) -> dict[str, Any]:
    """A JSON object whose names the service reads in any case."""
    return {name.lower(): value for name, value in properties.items()}


class Parameters:
    """The pairs of the query string, with names looked up in any case."""

    def __init__(self, request: Request):
        self.pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        self._names = [name.lower() for name, _ in self.pairs]

    def values(self, name: str) -> list[str]:
        name = name.lower()
        if name not in self._names:
            return []
        return [value for each, (_, value) in zip(self._names, self.pairs, strict=True) if each == name]

    def others(self, names: Collection[str]) -> list[tuple[str, str]]:
        """The pairs whose name is none of these, which are in lower case."""
        return [(name, value) for name, value in self.pairs if name.lower() not in names]

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds. Raises InvalidParameter."""
        if not (given := self.values(name)):
            return default
        text = given[0]
        number = whole_number(text, bits=64)
        if number is None:
            raise InvalidParameter(name, f"The value '{escape(text)}' is not valid for {name}.")
        if not low <= number <= high:
            raise InvalidParameter(name, f"The field {name} must be between {low} and {high}.")
        return number

    def flag(self, name: str, default: bool) -> bool:
        """true or false, in any case. Raises InvalidParameter."""
        if not (given := self.values(name)):
            return default
        text = given[0]
        if text.lower() not in {"true", "false"}:
            raise InvalidParameter(name, f"The value '{escape(text)}' is not valid for {name}.")
        return text.lower() == "true"
