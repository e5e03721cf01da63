"""A data set as DICOM JSON, the way the service saves it beside each file (PS3.18 annex F)."""

import json
import math
import re
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from dicom_emulator.dicom.elements import BINARY, DataSet, Element, texts

FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
PLAIN_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,16})?")  # a JSON number as it stands
quoted = json.JSONEncoder(ensure_ascii=False).encode
LARGEST_DECIMAL = 28  # digits, as .NET's decimal has them
PN_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def to_json(data_set: DataSet, without: Collection[int] = ()) -> str:
    """The data set as a JSON object: no binary values at any depth, no group lengths, none of the tags in `without`."""
    encodings = data_set.encodings
    members = [
        element.json or member_json(element, encodings)
        for tag, element in sorted(data_set.elements.items())
        if tag not in without
    ]
    return "{" + ",".join(filter(None, members)) + "}"


def member_json(element: Element, encodings: tuple[str, ...]) -> str:
    """The element as a member of a JSON object; "" where it has no place there."""
    tag = element.tag
    if element.vr in BINARY or not tag & 0xFFFF:
        return ""
    element.json = f'"{tag:08X}":{element_json(element, encodings)}'
    return element.json


def element_json(element: Element, encodings: tuple[str, ...]) -> str:
    if element.vr == "SQ":
        return attribute_json("SQ", [to_json(item) for item in element.items or []])
    vr, value = element.vr, element.value or b""
    if vr in FORMATS:
        write = NUMBER_WRITERS.get(vr, str)
        numbers = unpacked(FORMATS[vr], value, element.little_endian)
        return attribute_json(vr, [write(number) for (number,) in numbers])
    if vr == "AT":
        tags = unpacked("HH", value, element.little_endian)
        return attribute_json(vr, [f'"{group:04X}{number:04X}"' for group, number in tags])
    write = WRITERS.get(vr, text_json)
    return attribute_json(vr, [write(text) for text in texts(element, encodings)])


def attribute_json(vr: str, values: list[str]) -> str:
    return f'{{"vr":"{vr}","Value":[{",".join(values)}]}}' if values else f'{{"vr":"{vr}"}}'


def unpacked(format: str, value: bytes, little_endian: bool) -> Iterator[tuple[Any, ...]]:
    """The numbers that the value is made of; what is left over at its end is passed over."""
    one = struct.Struct(("<" if little_endian else ">") + format)
    return one.iter_unpack(value[: len(value) - len(value) % one.size])


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


NUMBER_WRITERS: dict[str, Callable[[Any], str]] = {"FL": lambda number: float_json(shortest(number)), "FD": float_json}
WRITERS: dict[str, Callable[[str], str]] = {"PN": person_name_json, "IS": integer_json, "DS": decimal_json}
