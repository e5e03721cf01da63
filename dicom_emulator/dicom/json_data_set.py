"""DICOM JSON that a client sent, checked, and written again (PS3.18 annex F)."""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pydicom.datadict import dictionary_VR

from dicom_emulator.dicom.attributes import hex_tag, name_of, parse_hex_tag, tag_of
from dicom_emulator.dicom.dicom_json import PN_GROUPS, decimal_json, integer_json, name_text
from dicom_emulator.dicom.elements import BINARY

DataSet = dict[str, dict[str, Any]]  # attributes by their eight hex digits, as in the JSON

DEEPEST = 64  # levels of JSON, as .NET reads them
LIMITS = {"US": (0, 2**16), "SS": (-(2**15), 2**15), "UL": (0, 2**32), "SL": (-(2**31), 2**31)}
LIMITS |= {"UV": (0, 2**64), "SV": (-(2**63), 2**63), "IS": (-(2**31), 2**31)}
TEXT = {"AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
FLOATS = {"FL", "FD"}
BEYOND_FLOATS = Decimal("1.8e308")
NOT_FINITE = {"NaN", "Infinity", "-Infinity"}
VRS = TEXT | BINARY | FLOATS | LIMITS.keys() | {"AT", "DS", "PN", "SQ"}


class Malformed(ValueError):
    """The JSON is no DICOM JSON; `path` says where."""

    def __init__(self, path: str, detail: str):
        super().__init__(detail)
        self.path = path


def read(value: Any) -> list[DataSet]:
    """The data sets of a body: an array of at least one object. Raises Malformed."""
    if not isinstance(value, list):
        raise Malformed("$", "The body must be an array of DICOM data sets.")
    if not value:
        raise Malformed("$", "The body must have at least one DICOM data set.")
    return [read_data_set(item, f"$[{number}]", 2) for number, item in enumerate(value)]


def read_data_set(value: Any, path: str, depth: int) -> DataSet:
    if not isinstance(value, dict):
        raise Malformed(path, "A DICOM data set must be an object.")
    if depth > DEEPEST:
        raise Malformed(path, f"The data set is nested deeper than {DEEPEST} levels.")
    found: DataSet = {}
    for key, attribute in value.items():
        tag = parse_hex_tag(key)
        if tag is None:
            raise Malformed(path, "The name of an attribute must be a tag of eight hexadecimal digits.")
        if hex_tag(tag) in found:
            raise Malformed(path, f"The attribute {name_of(tag)} is there twice.")
        if tag & 0xFFFF:
            found[hex_tag(tag)] = read_attribute(tag, attribute, f"{path}.{key}", depth + 1)
    return dict(sorted(found.items()))


def read_attribute(tag: int, attribute: Any, path: str, depth: int) -> dict[str, Any]:
    vr = attribute.get("vr") if isinstance(attribute, dict) else None
    if not isinstance(vr, str) or vr not in VRS:
        raise Malformed(path, "An attribute must be an object with a value representation in 'vr'.")
    if (vr == "SQ") != is_sequence(tag, vr):
        raise Malformed(path, f"The attribute {name_of(tag)} cannot have the value representation '{vr}'.")
    given = [name for name in ("Value", "InlineBinary", "BulkDataURI") if name in attribute]
    if len(given) > 1:
        raise Malformed(path, f"An attribute cannot have both {given[0]} and {given[1]}.")
    if given and given[0] != "Value":
        return {"vr": vr, given[0]: read_bulk(given[0], attribute[given[0]], path)}
    values = attribute.get("Value")
    if values is not None and not isinstance(values, list):
        raise Malformed(path, "'Value' must be an array.")
    read_values = [read_value(vr, value, f"{path}.Value[{n}]", depth + 2) for n, value in enumerate(values or [])]
    return {"vr": vr, "Value": read_values} if read_values else {"vr": vr}


def is_sequence(tag: int, vr: str) -> bool:
    """What the dictionary says; an attribute that it does not have is what it claims to be."""
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return vr == "SQ"


def read_bulk(member: str, value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise Malformed(path, f"'{member}' must be a string.")
    if member == "InlineBinary":
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise Malformed(path, "'InlineBinary' must be base64.") from None
    return value


def read_value(vr: str, value: Any, path: str, depth: int) -> Any:
    if vr == "SQ":
        return read_data_set({} if value is None else value, path, depth)
    if value is None:
        return None
    if vr == "PN":
        return read_name(value, path)
    if vr == "IS" and isinstance(value, str):
        return json.loads(integer_json(value))
    if vr == "DS" and isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        return json.loads(decimal_json(str(value)), parse_float=Decimal)
    if fits(vr, value):
        return float(value) if vr in FLOATS and not isinstance(value, str) else value
    raise Malformed(path, f"The value does not fit the value representation '{vr}'.")


def fits(vr: str, value: Any) -> bool:
    if vr in LIMITS:
        if vr in {"SV", "UV"} and isinstance(value, str):
            return bool(re.fullmatch(r"-?[0-9]{1,20}", value))
        low, high = LIMITS[vr]
        return isinstance(value, int) and not isinstance(value, bool) and low <= value < high
    if vr in FLOATS:
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return -BEYOND_FLOATS < value < BEYOND_FLOATS and math.isfinite(float(value))
        return isinstance(value, str) and value in NOT_FINITE
    if vr == "AT":
        return isinstance(value, str) and parse_hex_tag(value) is not None
    return vr in TEXT and isinstance(value, str)


def read_name(value: Any, path: str) -> dict[str, str] | None:
    if not isinstance(value, dict) or not all(isinstance(group, str) for group in value.values()):
        raise Malformed(path, "A person name must be an object of strings.")
    return {group: value[group] for group in PN_GROUPS if value.get(group)} or None


def write(data_set: DataSet) -> str:
    """The data set as a JSON object; decimal strings keep their scale."""
    return json_text(data_set)


def json_text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{json_text(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def load(text: str) -> DataSet:
    """A data set that `write` wrote."""
    return json.loads(text, parse_float=Decimal)


# Reading one attribute of a data set, by keyword.


def key_of(keyword: str) -> str:
    return hex_tag(tag_of(keyword))


def values(data_set: DataSet, keyword: str) -> list[Any]:
    """The values of an attribute; [] where it has none, or is not there."""
    return data_set.get(key_of(keyword), {}).get("Value", [])


def items(data_set: DataSet, keyword: str) -> Iterator[DataSet]:
    """The items of a sequence."""
    yield from values(data_set, keyword)


def text_of(value: Any) -> str:
    """A value as text; the groups of a person name joined by "=".

    >>> text_of({"Alphabetic": "Doe^Jane", "Phonetic": "jane"}), text_of(None)
    ('Doe^Jane==jane', '')
    """
    if isinstance(value, dict):
        return name_text(value)
    return "" if value is None else str(value)


def text(data_set: DataSet, keyword: str) -> str:
    """The first value of an attribute as text; "" where there is none."""
    return next((text_of(value) for value in values(data_set, keyword)), "")
