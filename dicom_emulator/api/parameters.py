"""Query parameters, read as ASP.NET's model binding reads them: names in any case, refusals worded its way."""

import re
from html import escape
from typing import Any, Iterable

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
    """The query string's pairs, with names looked up in any case."""

    def __init__(self, pairs: Iterable[tuple[str, str]]):
        self.pairs = list(pairs)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key.lower() == name.lower()]

    def others(self, *names: str) -> list[tuple[str, str]]:
        """The pairs whose name is none of these."""
        known = {name.lower() for name in names}
        return [(key, value) for key, value in self.pairs if key.lower() not in known]

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds. Raises InvalidParameter."""
        text = next(iter(self.values(name)), None)
        if text is None:
            return default
        number = whole_number(text, bits=64)
        if number is None:
            raise InvalidParameter(name, f"The value '{escape(text)}' is not valid for {name}.")
        if not low <= number <= high:
            raise InvalidParameter(name, f"The field {name} must be between {low} and {high}.")
        return number

    def flag(self, name: str, default: bool) -> bool:
        """true or false, in any case. Raises InvalidParameter."""
        text = next(iter(self.values(name)), None)
        if text is None:
            return default
        if text.lower() not in {"true", "false"}:
            raise InvalidParameter(name, f"The value '{escape(text)}' is not valid for {name}.")
        return text.lower() == "true"
