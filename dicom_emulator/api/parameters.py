"""Query parameters, read as ASP.NET's model binding reads them: names in any case, refusals worded its way."""

from html import escape
from typing import Iterable

from dicom_emulator.errors import InvalidParameter


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
        try:
            number = int(text) if text.strip("+- 0123456789") == "" else None
        except ValueError:
            number = None
        if number is None or not -(2**63) <= number < 2**63:
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
