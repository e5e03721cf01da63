"""DICOM JSON (PS3.18 Annex F) as what is told of it: attributes with tag, keyword and value, items below items."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID

from helpers.exchange.masks import stable
from helpers.exchange.words import REASONS, at_most, counted

DATA_SETS = 4  # listed of an array
ITEMS = 6  # listed of a sequence


@dataclass
class Attribute:
    """One line of a data set. `vr` is the type of its value; a sequence has `items`, and `more` for those left out."""

    tag: str
    value: str
    vr: str = ""
    items: list["DataSet"] = field(default_factory=list)
    more: str = ""

    @property
    def keyword(self) -> str:
        """The attribute's name, when the standard has one for it."""
        return keyword_for_tag(self.tag)


@dataclass
class DataSet:
    """The attributes that are listed, in the order of their tags, and `more` for those left out.

    Of the second data set and the later ones only what differs from the first: `absent` is there and not here,
    `same` says how much is equal.
    """

    attributes: list[Attribute]
    more: str = ""
    absent: list[Attribute] = field(default_factory=list)
    same: str = ""


@dataclass
class DataSets:
    heading: str
    data_sets: list[DataSet]
    more: str


def is_data_set(value: Any) -> bool:
    """Whether a JSON value is a DICOM JSON object: tags as keys, `vr` in each value."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(re.fullmatch("[0-9A-Fa-f]{8}", tag) and isinstance(element, dict) for tag, element in value.items())
    )


def data_sets_of(values: Sequence[Mapping[str, Any]], attributes: int) -> DataSets:
    """The first data set, and of the others what is different there."""
    shown, more = at_most(values, DATA_SETS, "data set")
    later = [what_differs(data_set, values[0], attributes) for data_set in shown[1:]]
    heading = f"JSON array of {counted(len(values), 'data set')}"
    return DataSets(heading, [data_set_of(values[0], attributes), *later], more)


def what_differs(data_set: Mapping[str, Any], first: Mapping[str, Any], attributes: int) -> DataSet:
    differing = {tag: element for tag, element in data_set.items() if element != first.get(tag)}
    told = data_set_of(differing, attributes)
    told.absent = [Attribute(tag, "(not there)") for tag in first if tag not in data_set]
    if same := len(data_set) - len(differing):
        nothing_else = not (differing or told.absent)
        told.same = "the same as 1" if nothing_else else f"… and {counted(same, 'attribute')} as in 1"
    return told


def data_set_of(data_set: Mapping[str, Any], limit: int) -> DataSet:
    tags, more = at_most(sorted(data_set), limit, "attribute")
    return DataSet([attribute_of(tag, data_set[tag]) for tag in tags], more)


def attribute_of(tag: str, element: Mapping[str, Any]) -> Attribute:
    values, vr = element.get("Value", []), str(element.get("vr", ""))
    if vr != "SQ":
        return Attribute(tag, "\\".join(readable(tag, value) for value in values) or "(empty)", vr)
    items, more = at_most(values, ITEMS, "item")
    return Attribute(tag, counted(len(values), "item"), vr, [data_set_of(item, len(item)) for item in items], more)


def readable(tag: str, value: Any) -> str:
    """One value: names as text, UIDs of the standard with their name, reason codes with their meaning."""
    if isinstance(value, dict):
        return "=".join(value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")
    if isinstance(value, str):
        return stable(value) if named(value) == value else named(value)
    meaning = REASONS.get(tag, {}).get(value)
    return f"{value} = {meaning}" if meaning else json.dumps(value)


def named(uid: str) -> str:
    """A UID of the standard with its name.

    >>> named("1.2.840.10008.1.2.1"), named("1.2.3")
    ('1.2.840.10008.1.2.1 = Explicit VR Little Endian', '1.2.3')
    """
    name = UID(uid).name if uid.startswith("1.2.840.10008.") else uid
    return uid if name == uid else f"{uid} = {name}"
