"""A data set as DICOM JSON, the way the service saves it beside each file (PS3.18 annex F)."""

import json
import math
import re
import struct
from decimal import Decimal, InvalidOperation
from typing import Callable, Collection, Iterator, Mapping

from dicom_emulator.dicom.elements import BINARY, DataSet, Element, texts

FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
NUMBERS = {(vr, order == "<"): struct.Struct(order + code) for vr, code in FORMATS.items() for order in "<>"}
FLOATS = frozenset({"FL", "FD"})
PLAIN_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,16})?")  # a JSON number as it stands
quoted = json.JSONEncoder(ensure_ascii=False).encode
LARGEST_DECIMAL = 28  # digits, as .NET's decimal has them
PN_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def to_json(data_set: DataSet, without: Collection[int] = ()) -> str:
    """The data set as a JSON object: no binary values at any depth, no group lengths, none of the tags in `without`."""
    encodings = data_set.encodings
    members = [
        f'"{tag:08X}":{element_json(element, encodings)}'
        for tag, element in sorted(data_set.elements.items())
        if element.vr not in BINARY and tag & 0xFFFF and tag not in without
    ]
    return "{" + ",".join(members) + "}"


def element_json(element: Element, encodings: tuple[str, ...]) -> str:
    values = values_json(element, encodings)
    return f'{{"vr":"{element.vr}","Value":[{",".join(values)}]}}' if values else f'{{"vr":"{element.vr}"}}'


def values_json(element: Element, encodings: tuple[str, ...]) -> list[str]:
    """Each value as JSON text."""
    vr = element.vr
    if vr == "SQ":
        return [to_json(item) for item in element.items or []]
    if vr in FLOATS:
        return [float_json(shortest(number) if vr == "FL" else number) for number in numbers(element)]
    if vr in FORMATS:
        return [str(number) for number in numbers(element)]
    if vr == "AT":
        return [f'"{group:04X}{number:04X}"' for group, number in tags(element)]
    write = WRITERS.get(vr, text_json)
    return [write(text) for text in texts(element, encodings)]


def numbers(element: Element) -> Iterator[int | float]:
    value = element.value or b""
    format = NUMBERS[element.vr, element.little_endian]
    usable = len(value) - len(value) % format.size
    return (number for (number,) in format.iter_unpack(value[:usable]))


def tags(element: Element) -> Iterator[tuple[int, int]]:
    value = element.value or b""
    return struct.iter_unpack("<HH" if element.little_endian else ">HH", value[: len(value) - len(value) % 4])


def shortest(number: float) -> float:
    """The double with the fewest digits that is this 32-bit number: 0.1, not 0.10000000149011612."""
    if not math.isfinite(number):
        return number
    return next(
        short
        for digits in range(6, 18)
        if struct.pack("f", short := float(f"{number:.{digits}g}")) == struct.pack("f", number)
    )


def float_json(number: float) -> str:
    if math.isfinite(number):
        return repr(number)
    return '"NaN"' if math.isnan(number) else '"Infinity"' if number > 0 else '"-Infinity"'


def text_json(text: str) -> str:
    return quoted(text) if text else "null"


def name_groups(text: str) -> dict[str, str]:
    """The component groups of a person name by their names in DICOM JSON, without those that are empty.

    >>> name_groups("Doe^Jane==jane")
    {'Alphabetic': 'Doe^Jane', 'Phonetic': 'jane'}
    """
    return {name: group for name, group in zip(PN_GROUPS, text.split("="), strict=False) if group}


def name_text(groups: Mapping[str, str]) -> str:
    """The component groups as one text again."""
    return "=".join(groups.get(name, "") for name in PN_GROUPS).rstrip("=")


def person_name_json(text: str) -> str:
    groups = name_groups(text)
    return quoted(groups) if groups else "null"


def integer_json(text: str) -> str:
    try:
        number = int(text)
    except ValueError:
        return text_json(text)
    return str(number) if -(2**31) <= number < 2**31 else text_json(text)


def decimal_json(text: str) -> str:
    """A decimal string as a JSON number that keeps its scale, or as text where it is none.

    >>> decimal_json("1.50"), decimal_json("+.5"), decimal_json("1e99"), decimal_json("wide")
    ('1.50', '0.5', '"1e99"', '"wide"')
    """
    if PLAIN_DECIMAL.fullmatch(text):
        return text
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return text_json(text)
    exponent = number.as_tuple().exponent
    if not number.is_finite() or not isinstance(exponent, int) or exponent < -LARGEST_DECIMAL:
        return text_json(text)
    return format(number, "f") if number.adjusted() <= LARGEST_DECIMAL else text_json(text)


WRITERS: dict[str, Callable[[str], str]] = {"PN": person_name_json, "IS": integer_json, "DS": decimal_json}
