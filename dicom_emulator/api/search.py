"""QIDO-RS: six paths to studies, series and instances (PS3.18 §10.6; conformance statement, Search)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR, tag_for_keyword
from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.api.parameters import Parameters
from dicom_emulator.api.transaction import Call, Transaction
from dicom_emulator.archive import Archive
from dicom_emulator.archive.extended_query_tags import ExtendedQueryTag, value_key
from dicom_emulator.archive.index import TooLong
from dicom_emulator.archive.query import Condition, Query
from dicom_emulator.blocking import look_up, run_blocking
from dicom_emulator.dicom.attributes import IDENTIFIERS, SEARCHABLE, Attribute, parse_hex_tag, tags_of
from dicom_emulator.dicom.validation import is_date, is_date_time, is_time
from dicom_emulator.errors import BadRequest
from dicom_emulator.versions import Version
from dicom_emulator.wire.responses import DicomJson

# Which attributes a row of each level carries unless the client asks for more.
LONG = {
    "study": tags_of(
        "SpecificCharacterSet StudyDate StudyTime AccessionNumber InstanceAvailability ReferringPhysicianName"
        " TimezoneOffsetFromUTC PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyID"
    ),
    "series": tags_of(
        "SpecificCharacterSet Modality TimezoneOffsetFromUTC SeriesDescription SeriesInstanceUID"
        " PerformedProcedureStepStartDate PerformedProcedureStepStartTime RequestAttributesSequence"
    ),
    "instance": tags_of(
        "SpecificCharacterSet SOPClassUID SOPInstanceUID InstanceAvailability TimezoneOffsetFromUTC InstanceNumber"
        " Rows Columns BitsAllocated NumberOfFrames"
    ),
}
SHORT = {
    "study": tags_of(
        "StudyInstanceUID StudyDate StudyDescription AccessionNumber ReferringPhysicianName PatientName PatientID"
        " PatientBirthDate"
    ),
    "series": tags_of("SeriesInstanceUID Modality PerformedProcedureStepStartDate ManufacturerModelName"),
    "instance": tags_of("SOPInstanceUID"),
}
ALL = {
    "study": LONG["study"]
    | tags_of(
        "StudyDescription AnatomicRegionsInStudyCodeSequence ProcedureCodeSequence NameOfPhysiciansReadingStudy"
        " AdmittingDiagnosesDescription ReferencedStudySequence PatientAge PatientSize PatientWeight Occupation"
        " AdditionalPatientHistory"
    ),
    "series": LONG["series"] | tags_of("SeriesNumber Laterality SeriesDate SeriesTime"),
    "instance": LONG["instance"],
}

WHOLE, DECIMAL = re.compile(r"[+-]?[0-9]{1,12}"), re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([Ee][+-]?[0-9]+)?")
NUMBERS = {"FD": DECIMAL, "FL": DECIMAL, "IS": WHOLE, "SL": WHOLE, "SS": WHOLE, "UL": WHOLE, "US": WHOLE}

PAGING_AND_MORE = {"limit", "offset", "fuzzymatching", "includefield"}  # what names no attribute


class SearchParameters(NamedTuple):
    """The query string: paging, what to include, and the attributes to match, in the order given."""

    limit: int
    offset: int
    fuzzy: bool
    include: tuple[str, ...]
    matches: tuple[tuple[str, str], ...]


def bind(request: Request, version: Version) -> SearchParameters:
    parameters = Parameters(request)
    matches = parameters.others(PAGING_AND_MORE)
    names = [name for name, _ in matches]
    for name in names if len(set(names)) < len(names) else ():
        if names.count(name) > 1:
            raise BadRequest(f"Invalid query: duplicate query parameter '{name}'. Each attribute may be given once.")
    include = [field.strip() for value in parameters.values("includefield") for field in value.split(",")]
    return SearchParameters(
        limit=parameters.number("Limit", 100, 1, 200),
        offset=parameters.number("Offset", 0, 0, 2**31 - 1),
        fuzzy=parameters.flag("FuzzyMatching", False),
        include=tuple(include),
        matches=tuple(matches),
    )


def search_for(level: str, *answered: str) -> Transaction:
    """The search whose rows are studies, series or instances; `answered`: the levels that the path leaves open."""

    async def handler(call: Call) -> Response:
        extended = call.archive.extended_query_tags()
        query = build_query(call, level, answered, call.identifiers(), extended)
        rows = await search(call.archive, query)
        if extended != call.archive.extended_query_tags():  # the rows may have been found by others
            return await handler(call)
        response = DicomJson(f"[{','.join(rows)}]") if rows else Response(status_code=204)
        if extended and (erroneous := keys_with_errors(call.parameters, extended)):
            response.headers["erroneous-dicom-attributes"] = ",".join(erroneous)
        return response

    return Transaction(handler, action="read", bind=bind, answers_dicom_json=True)


async def search(archive: Archive, query: Query) -> list[str]:
    """The rows that match. What is found at once is found without the detour of a thread."""
    if query.names_its_rows:
        return await look_up(archive.search, query)
    if query.is_light:
        try:
            return await look_up(archive.search, query, briefly=True)
        except TooLong:
            pass
    return await run_blocking(archive.search, query)


def keys_with_errors(parameters: SearchParameters, extended: list[ExtendedQueryTag]) -> list[str]:
    """The filters, as the client wrote them, whose tag some instances could not be indexed by."""
    with_errors = {tag.tag for tag in extended if tag.has_errors}
    return [key for key, _ in parameters.matches if parse_attribute(key) in with_errors]


def build_query(
    call: Call,
    level: str,
    answered: tuple[str, ...],
    identifiers: tuple[str, ...],
    extended: list[ExtendedQueryTag],
) -> Query:
    parameters: SearchParameters = call.parameters
    tags = {tag.tag: tag for tag in extended}
    conditions = [condition(key, value, answered, parameters.fuzzy, tags) for key, value in parameters.matches]
    filtered = tuple(each.attribute.tag for each in conditions)
    if len(set(filtered)) < len(filtered):
        raise BadRequest("Invalid query: the same attribute is specified more than once, with different ID formats.")
    named = filtered + IDENTIFIERS[: len(identifiers)]
    study, series, *_ = (*identifiers, None, None)
    return Query(
        level,
        call.partition.key,
        study,
        series,
        tuple(conditions),
        answer_attributes(parameters.include, answered, call.version.short_search_results, named),
        parameters.limit,
        parameters.offset,
    )


@lru_cache(maxsize=1024)  # a client asks with few different ones
def parse_attribute(key: str) -> int | None:
    """The tag that a keyword or eight hex digits name; None where neither fits."""
    tag = parse_hex_tag(key)
    return tag_for_keyword(key) if tag is None and key else tag


def condition(
    key: str, value: str, answered: tuple[str, ...], fuzzy: bool, extended: Mapping[int, ExtendedQueryTag]
) -> Condition:
    """The filter that a query parameter stands for. Raises BadRequest."""
    if "." in key:
        raise BadRequest(f"Invalid query: matching inside sequences is not supported, as in '{key}'.")
    tag = parse_attribute(key)
    if tag is None:
        raise BadRequest(
            f"Invalid query: unknown query parameter '{key}'. If the parameter is an attribute keyword, "
            "check the casing as they are case-sensitive."
        )
    added = extended.get(tag)
    attribute = added.attribute if added and added.status == "ready" else SEARCHABLE.get(tag)
    if attribute is None or attribute.level not in answered:
        raise BadRequest(
            f"Invalid query: AttributeId {key} is not queryable. "
            "If the parameter is an attribute keyword, check the casing as they are case-sensitive."
        )
    if not value.strip():
        raise BadRequest(f"Invalid query: attribute {key} has no value.")
    if added and added.query_status == "disabled":
        raise BadRequest(f"Query is disabled on specified attribute '{key}'.")
    tag_key = added.key if added else None
    if attribute.vr in MOMENTS:
        return moment_condition(attribute, key, value.strip(), tag_key)
    if attribute.vr == "PN" and fuzzy:
        if '"' in value:
            raise BadRequest(f"Invalid query: a quotation mark is not allowed in the value of {key}.")
        return Condition(attribute, value_key("PN", value), fuzzy=True, tag_key=tag_key)
    if attribute.vr in NUMBERS and not NUMBERS[attribute.vr].fullmatch(value.strip()):
        raise BadRequest(f"Invalid query: '{value}' is no number that attribute {key} could have.")
    return Condition(attribute, value_key(attribute.vr, value), tag_key=tag_key)


@dataclass(frozen=True)
class Moment:
    """Dates, or times, or both in one: how a query gives them."""

    name: str
    pattern: str
    is_valid: Callable[[str], bool]


# An offset from UTC ends a DT where a range has its second date, so it is not taken.
MOMENTS = {
    "DA": Moment("date", "yyyyMMdd", is_date),
    "DT": Moment("date time", "yyyyMMddHHmmss.FFFFFF, shorter ones too,", is_date_time),
    "TM": Moment("time", "HHmmss.FFFFFF, shorter ones too,", is_time),
}


def moment_condition(attribute: Attribute, key: str, text: str, tag_key: int | None) -> Condition:
    moment = MOMENTS[attribute.vr]
    low, dash, high = text.partition("-")
    if any(end and not moment.is_valid(end) for end in (low, high)) or not (low or high) or "+" in text or "-" in high:
        raise BadRequest(
            f"Invalid query: specified {moment.name} '{text}' is invalid for attribute {key}. It is given as "
            f"{moment.pattern} and a range as two of them with '-' between, of which one may be left out."
        )
    keys = [value_key(attribute.vr, end) if end else None for end in (low, high)]
    if not dash:
        return Condition(attribute, keys[0] or "", tag_key=tag_key)
    if keys[0] and keys[1] and keys[0] > keys[1]:
        raise BadRequest(f"Invalid query: the range '{text}' of attribute {key} ends before it starts.")
    return Condition(attribute, low=keys[0], high=keys[1], is_range=True, tag_key=tag_key)


@lru_cache(maxsize=256)  # a client asks with few different ones
def answer_attributes(
    include: tuple[str, ...], answered: tuple[str, ...], short: bool, named: tuple[int, ...]
) -> frozenset[int]:
    """The attributes of each row: those that the request names, and the defaults with what includefield adds, or the
    set "all". Raises BadRequest.
    """
    sets = SHORT if short else LONG
    added = frozenset[int]()
    if any(field.lower() == "all" for field in include):
        if len(include) > 1:
            raise BadRequest("Invalid query: includefield=all cannot be combined with other fields.")
        sets = ALL
    else:
        added = frozenset(map(included_attribute, include))
    return added.union(named, *(sets[level] for level in answered))


def included_attribute(field: str) -> int:
    tag = parse_attribute(field)
    known = tag is not None and (tag >> 16 & 1 or in_dictionary(tag))
    if not known:
        raise BadRequest(f"Invalid query: includefield '{field}' is not a known attribute keyword or tag.")
    assert tag is not None
    return tag


def in_dictionary(tag: int) -> bool:
    try:
        return bool(dictionary_VR(tag))
    except KeyError:
        return False


STUDIES = search_for("study", "study")
SERIES = search_for("series", "study", "series")
INSTANCES = search_for("instance", "study", "series", "instance")
SERIES_OF_STUDY = search_for("series", "series")
INSTANCES_OF_STUDY = search_for("instance", "series", "instance")
INSTANCES_OF_SERIES = search_for("instance", "instance")
