"""Attributes by keyword or tag, and those that the service indexes (conformance statement, searchable attributes)."""

import re
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword


@dataclass(frozen=True)
class Attribute:
    """An attribute of the index: where it is in the file, and which row of the index it belongs to."""

    keyword: str
    tag: int
    vr: str
    level: str  # "study", "series" or "instance"


def hex_tag(tag: int) -> str:
    """A tag as DICOM JSON writes it.

    >>> hex_tag(0x0020000D)
    '0020000D'
    """
    return f"{tag:08X}"


def parse_hex_tag(text: str) -> int | None:
    """The tag that eight hex digits write, None where they are none.

    >>> parse_hex_tag("0020000d") == 0x0020000D, parse_hex_tag("+020000d")
    (True, None)
    """
    return int(text, 16) if re.fullmatch("[0-9A-Fa-f]{8}", text) else None


def tag_text(tag: int) -> str:
    """A tag as the service's comments write it.

    >>> tag_text(0x0020000D)
    '(0020,000d)'
    """
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def name_of(tag: int) -> str:
    """The keyword, or the hex digits where the dictionary has none."""
    return keyword_for_tag(tag) or hex_tag(tag)


def vr_of(tag: int, signed: bool = False) -> str:
    """The VR in the dictionary; UN for what is not in it. Where it names several: OW, or US, or SS if `signed`.

    >>> vr_of(0x00100010), vr_of(0x7FE00010), vr_of(0x00280106), vr_of(0x00280106, signed=True), vr_of(0x00091001)
    ('PN', 'OW', 'US', 'SS', 'UN')

    A private creator is always LO (PS3.5 §7.8.1).

    >>> vr_of(0x00090010)
    'LO'
    """
    if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF:
        return "LO"
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return "UN"
    if " or " not in vr:
        return vr
    if "OW" in vr:
        return "OW"
    return "SS" if signed else "US"


def tag_of(keyword: str) -> int:
    """The tag of a keyword that the dictionary has."""
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


def tags_of(keywords: str) -> frozenset[int]:
    """The tags of keywords that stand with spaces between."""
    return frozenset(map(tag_of, keywords.split()))


def core(level: str, *keywords: str) -> list[Attribute]:
    return [Attribute(keyword, tag_of(keyword), dictionary_VR(tag_of(keyword)), level) for keyword in keywords]


CORE = {
    attribute.tag: attribute
    for attribute in [
        *core("study", "StudyInstanceUID", "PatientName", "PatientID", "PatientBirthDate", "AccessionNumber"),
        *core("study", "ReferringPhysicianName", "StudyDate", "StudyDescription"),
        *core("series", "SeriesInstanceUID", "Modality", "PerformedProcedureStepStartDate", "ManufacturerModelName"),
        *core("instance", "SOPInstanceUID"),
    ]
}
MODALITIES_IN_STUDY = tag_of("ModalitiesInStudy")
SEARCHABLE = CORE | {MODALITIES_IN_STUDY: Attribute("ModalitiesInStudy", MODALITIES_IN_STUDY, "CS", "study")}
SOP_CLASS_UID = tag_of("SOPClassUID")
STUDY_INSTANCE_UID = tag_of("StudyInstanceUID")
SERIES_INSTANCE_UID = tag_of("SeriesInstanceUID")
SOP_INSTANCE_UID = tag_of("SOPInstanceUID")
PATIENT_ID = tag_of("PatientID")
IDENTIFIERS = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)
