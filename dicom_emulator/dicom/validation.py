"""What is checked before a file is stored: strictly in v1, leniently in v2 (conformance statement, Store)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from pydicom.uid import ImplicitVRLittleEndian

from dicom_emulator.dicom.attributes import (
    CORE,
    IDENTIFIERS,
    MODALITIES_IN_STUDY,
    PATIENT_ID,
    SOP_CLASS_UID,
    STUDY_INSTANCE_UID,
    name_of,
    tag_text,
)
from dicom_emulator.dicom.elements import WIDTHS, Element, Fault, texts
from dicom_emulator.dicom.part10 import Part10

UID = re.compile(r"[0-9.]{0,63}[0-9]")
BAD_UID = (
    "DICOM Identifier is invalid. Value length should not exceed the maximum length of 64 characters. "
    "Value should contain characters in '0'-'9' and '.'. Each component must start with non-zero number."
)
OTHER_STUDY = "The StudyInstanceUid in the payload does not match the specified StudyInstanceUid."
REQUIRED = (SOP_CLASS_UID, *IDENTIFIERS, PATIENT_ID)
MISSING = {tag: f"The required tag '{tag_text(tag)}' is missing." for tag in REQUIRED}

DAY = re.compile(r"[0-9]{8}")
INTEGER = re.compile(r" *[+-]?[0-9]{1,11} *")
CONTROL = re.compile(r"[\x00-\x1a\x1c-\x1f\x7f]")  # ESC switches character sets and is no fault
TIME_PATTERN = r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?"
TIME = re.compile(TIME_PATTERN)
DATE_TIME = re.compile(rf"\d{{4}}((0[1-9]|1[0-2])((0[1-9]|[12]\d|3[01])({TIME_PATTERN})?)?)?([+-]\d{{4}})?")


class Broken(NamedTuple):
    """A rule that a value breaks: in the words of an indexing error, and in those of a store response."""

    short: str
    text: str


TOO_LONG, WRONG_LENGTH = "Value length exceeds maximum length.", "Value length is not expected."
INVALID_CHARACTER = Broken("Value contains invalid character.", "Value contains invalid character.")
NO_TAGS: Mapping[int, str] = {}
CORE_VRS = {tag: attribute.vr for tag, attribute in CORE.items()}


@dataclass
class Verdict:
    """What was found. Messages by tag, the first for each."""

    failures: dict[int, str] = field(default_factory=dict)  # the instance is refused
    warnings: dict[int, str] = field(default_factory=dict)  # it is stored, and these are told
    dropped: set[int] = field(default_factory=set)  # left out of the saved metadata and the index
    implicit_vr: bool = False
    several_values: bool = False  # an indexed attribute has more than one value


def validate(file: Part10, study: str | None, strict: bool, extended: Mapping[int, str] = NO_TAGS) -> Verdict:
    """Check a file that is to be stored in `study` (None: in whichever it names).

    extended: the VRs of the extended query tags, by tag.
    """
    vrs = CORE_VRS | extended if extended else CORE_VRS
    verdict = Verdict(implicit_vr=file.transfer_syntax == ImplicitVRLittleEndian)
    check_required(file, strict, verdict)
    if study is not None and same_uid(file.text(STUDY_INSTANCE_UID)) != same_uid(study):
        verdict.failures.setdefault(STUDY_INSTANCE_UID, OTHER_STUDY)
    if strict:
        check_core(file, {MODALITIES_IN_STUDY: "CS"} | vrs, verdict)
    else:
        check_all(file, vrs, verdict)
    verdict.several_values = any(file.count(tag) > 1 for tag in vrs)
    return verdict


def same_uid(uid: str) -> str:
    """A UID as it is compared: without the padding that some writers add."""
    return uid.rstrip(" \0")


def is_uid(text: str) -> bool:
    """Whether a UID is well formed: 1 to 64 digits and dots, a digit at the end; spaces after it are forgiven."""
    return bool(UID.fullmatch(text.rstrip(" ")))


def check_required(file: Part10, strict: bool, verdict: Verdict) -> None:
    for tag, missing in MISSING.items():
        values = file.texts(tag)
        value = values[0] if values else ""
        if tag == PATIENT_ID and not strict and tag in file.elements and not value.strip(" \0"):
            verdict.warnings[tag] = missing
            verdict.dropped.add(tag)
        elif not value.strip(" ") or (strict and len(values) > 1):
            verdict.failures[tag] = missing
        elif strict and tag == SOP_CLASS_UID:
            continue  # not in the index, so v1 does not mind what it says
        elif message := minimum_fault(file.elements[tag], value if strict else value.rstrip("\0"), expected_vr(tag)):
            verdict.failures[tag] = message


def expected_vr(tag: int) -> str:
    return CORE[tag].vr if tag in CORE else "UI"


def check_core(file: Part10, vrs: Mapping[int, str], verdict: Verdict) -> None:
    """v1: every indexed attribute that has a value obeys the minimum rules."""
    for tag, vr in vrs.items():
        element = file.elements.get(tag)
        if element is None or tag in REQUIRED:
            continue
        value = file.text(tag)
        if message := (minimum_fault(element, value, vr) if value else wrong_vr(element, vr)):
            verdict.failures.setdefault(tag, message)


def check_all(file: Part10, vrs: Mapping[int, str], verdict: Verdict) -> None:
    """v2: an attribute that breaks the rules of its VR is told in a warning and, at the top level, dropped."""
    for tag, element in file.elements.items():
        faults = faults_of(element, file.encodings) if element.faults is None else element.faults
        if tag in vrs and (message := wrong_vr(element, vrs[tag])):
            faults = (*(fault for fault in faults if fault.in_item), Fault(tag, message))
        for fault in faults:
            take_fault(fault, verdict)


def take_fault(fault: Fault, verdict: Verdict) -> None:
    tag = fault.tag
    if tag in verdict.failures:
        return
    verdict.warnings.setdefault(tag, fault.message)
    if not fault.in_item and tag not in IDENTIFIERS and tag != SOP_CLASS_UID:
        verdict.dropped.add(tag)


def faults_of(element: Element, encodings: tuple[str, ...]) -> tuple[Fault, ...]:
    """What breaks the rules of its VR: attributes in the items of a sequence, then the element itself."""
    if element.faults is None:
        found = [
            fault._replace(in_item=True)
            for item in element.items or []
            for attribute in item.elements.values()
            for fault in faults_of(attribute, item.encodings)
        ]
        if message := full_fault(element, encodings):
            found.append(Fault(element.tag, message))
        element.faults = tuple(found)
    return element.faults


# The minimum rules: what the index needs.


def wrong_vr(element: Element, expected: str) -> str | None:
    if element.vr == expected:
        return None
    return f"{prefix(element, expected)}The attribute has VR '{element.vr}' where '{expected}' is expected."


def prefix(element: Element, vr: str) -> str:
    return f"Dicom element '{name_of(element.tag)}' failed validation for VR '{vr}': "


def minimum_fault(element: Element, value: str, vr: str) -> str | None:
    """What is wrong with the first value of an indexed attribute, or None."""
    if message := wrong_vr(element, vr):
        return message
    if vr in WIDTHS:
        return prefix(element, vr) + WRONG_LENGTH if len(element.value or b"") % WIDTHS[vr] else None
    broken = minimum_rule(vr, value)
    return prefix(element, vr) + broken.text if broken else None


def minimum_rule(vr: str, value: str) -> Broken | None:
    """The minimum rule of a VR that `value` breaks, or None."""
    return MINIMUM_RULES[vr](value) if vr in MINIMUM_RULES else None


def longest(limit: int) -> Callable[[str], Broken | None]:
    def rule(value: str) -> Broken | None:
        if len(value) > limit:
            return Broken(TOO_LONG, f"Value exceeds maximum length of {limit} characters.")
        return INVALID_CHARACTER if CONTROL.search(value) else None

    return rule


def minimum_as(value: str) -> Broken | None:
    return None if len(value) == 4 else Broken(WRONG_LENGTH, "Value is not 4 characters long.")


def minimum_pn(value: str) -> Broken | None:
    groups = value.split("=")
    if len(groups) > 3:
        return Broken("Value contains more than 3 groups.", "Person name has more than 3 component groups.")
    if any(len(group) > 64 for group in groups):
        message = "A component group of the person name exceeds maximum length of 64 characters."
        return Broken("One or more group of person name exceeds maxium length of 64.", message)
    if any(group.count("^") > 4 for group in groups):
        message = "A component group of the person name has more than 5 components."
        return Broken("Value contains more than 5 components.", message)
    return INVALID_CHARACTER if CONTROL.search(value) else None


def parsed_as(kind: str, is_valid: Callable[[str], object]) -> Callable[[str], Broken | None]:
    message = f"Value cannot be parsed as a valid {kind}."
    return lambda value: None if is_valid(value) else Broken(message, message)


def is_date_time(value: str) -> bool:
    """Whether the text is YYYY[MM[DD[HH[MM[SS[.F]]]]]] on a day of the calendar, with or without an offset from UTC.

    >>> is_date_time("202402291330+0100"), is_date_time("2023"), is_date_time("20230229")
    (True, True, False)
    """
    day = re.split("[+-]", value)[0].rstrip(" ")[:8]
    return bool(DATE_TIME.fullmatch(value.rstrip(" "))) and is_date(day + "00010101"[len(day) :])


def is_time(value: str) -> bool:
    """Whether the text is HH[MM[SS[.F]]]."""
    return bool(TIME.fullmatch(value.rstrip(" ")))


def is_date(value: str) -> bool:
    """Whether the text is a day of the calendar as yyyyMMdd.

    >>> is_date("20240229"), is_date("20230229"), is_date("2024")
    (True, False, False)
    """
    if not DAY.fullmatch(value):
        return False
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


MINIMUM_RULES: dict[str, Callable[[str], Broken | None]] = {
    "AE": longest(16),
    "AS": minimum_as,
    "CS": longest(16),
    "DA": parsed_as("date", is_date),
    "DT": parsed_as("DateTime", is_date_time),
    "IS": parsed_as("integer", lambda value: full_is(value) is None),
    "LO": longest(64),
    "PN": minimum_pn,
    "SH": longest(16),
    "TM": parsed_as("time", is_time),
    "UI": lambda value: None if is_uid(value) else Broken("DICOM Identifier is invalid.", BAD_UID),
}


# The full rules: the value representations of PS3.5 §6.2, as fo-dicom holds them.


def full_fault(element: Element, encodings: tuple[str, ...]) -> str | None:
    """What is wrong with an attribute by the rules of its VR, or None. NULs at the end are forgiven."""
    vr, value = element.vr, element.value
    if not value or vr not in FULL_RULES:
        return None
    if vr == "AE" and not value.strip(b" "):
        return f'Content "{value.decode()}" does not validate VR AE: value may not consist only of spaces'
    for text in texts(element, encodings):
        if text.rstrip("\0") and (reason := FULL_RULES[vr](text.rstrip("\0"))):
            return f'Content "{text}" does not validate VR {vr}: {reason}'
    return None


def too_long(value: str, limit: int) -> str | None:
    return f"value exceeds maximum length of {limit} characters" if len(value) > limit else None


def matches(pattern: str, reason: str, limit: int | None = None) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)

    def rule(value: str) -> str | None:
        return (too_long(value, limit) if limit else None) or (None if compiled.fullmatch(value) else reason)

    return rule


def text_of(limit: int, one_line: bool) -> Callable[[str], str | None]:
    forbidden = CONTROL if one_line else re.compile("\0")
    return lambda value: (
        too_long(value, limit) or ("value contains invalid character" if forbidden.search(value) else None)
    )


def full_da(value: str) -> str | None:
    for day in value.rstrip(" ").split("-"):
        if day and not DAY.fullmatch(day):
            return "one of the date values does not match the pattern YYYYMMDD"
        if day and (int(day[4:6]) > 12 or int(day[6:]) > 31):
            return "one of the date values has a month or a day that does not exist"
    return None if value.count("-") <= 1 else "a date range has two dates at the most"


def full_is(value: str) -> str | None:
    if not INTEGER.fullmatch(value):
        return "value is not an integer string"
    return None if -(2**31) <= int(value) < 2**31 else "value does not fit into 32 bits"


def full_pn(value: str) -> str | None:
    broken = minimum_pn(value)
    return broken.text[0].lower() + broken.text[1:].rstrip(".") if broken else None


def full_ui(padded: str) -> str | None:
    value = padded.rstrip(" ")
    if reason := too_long(value, 64):
        return reason
    if not re.fullmatch(r"[0-9.]+", value):
        return "value contains characters other than digits and dots"
    parts = value.split(".")
    if "" in parts:
        return "value has an empty component"
    return "a component starts with zero" if any(len(part) > 1 and part[0] == "0" for part in parts) else None


FULL_RULES: dict[str, Callable[[str], str | None]] = {
    "AE": text_of(16, one_line=True),
    "AS": matches(r"[0-9]{3}[DWMY]", "value does not have the pattern 000D, 000W, 000M or 000Y"),
    "CS": matches(
        r"[A-Z0-9_ ]*",
        "value contains invalid character. Only upper case letters, digits, space and underscore are allowed",
        16,
    ),
    "DA": full_da,
    "DS": matches(r" *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([Ee][+-]?[0-9]+)? *", "value is not a decimal string", 16),
    "DT": matches(rf"{DATE_TIME.pattern} *", "value does not match the pattern YYYYMMDDHHMMSS.FFFFFF&ZZXX"),
    "IS": full_is,
    "LO": text_of(64, one_line=True),
    "LT": text_of(10240, one_line=False),
    "PN": full_pn,
    "SH": text_of(16, one_line=True),
    "ST": text_of(1024, one_line=False),
    "TM": matches(rf"({TIME_PATTERN})?(-({TIME_PATTERN})?)? *", "value does not match the pattern HHMMSS.FFFFFF"),
    "UI": full_ui,
}
