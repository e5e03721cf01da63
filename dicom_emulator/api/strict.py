"""--strict: what the service forgives and the standard does not. Each refusal names the paragraph."""

import re

from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from starlette.requests import Request

from dicom_emulator.dicom.part10 import NotDicom, Source, opened, read_file_identity
from dicom_emulator.errors import BadRequest
from dicom_emulator.wire.accept import Unreadable, parse_media_ranges

UNQUOTED = re.compile(r'=\s*[^\s";,=]*/')  # a "/" in a parameter's value that has no quotation marks
PARAMETERS = {"limit", "offset", "fuzzymatching", "includefield"}
NOT_FOR_THE_WEB = {ImplicitVRLittleEndian, ExplicitVRBigEndian}


class Violation(BadRequest):
    """A request that the standard does not allow."""

    def __init__(self, message: str, paragraph: str):
        super().__init__(f"{message} ({paragraph}; --strict)")


def check_request(request: Request) -> None:
    """Raises Violation."""
    for name in ("accept", "content-type"):
        for header in request.headers.getlist(name):
            check_media_types(name.title(), header)
    check_path(request)
    check_query(request)


def check_media_types(name: str, header: str) -> None:
    if UNQUOTED.search(header):
        raise Violation(f"A parameter of {name} has a '/' and no quotation marks.", "RFC 9110 §5.6.6")
    try:
        ranges = parse_media_ranges(header)
    except Unreadable:
        return  # refused without being strict, too
    for media in ranges:
        if media.type == "multipart/related" and not media.parameters.get("type"):
            raise Violation(f"{name} says multipart/related without a type.", "PS3.18 §8.7.3.5.1")
    if name == "Accept" and {media.type for media in ranges} == {"application/json"}:
        raise Violation("DICOM JSON is asked for with application/dicom+json.", "PS3.18 §8.7.3")


def check_path(request: Request) -> None:
    path = request.url.path
    if path.endswith("/"):
        raise Violation("The path ends with a slash.", "PS3.18 §8.2")
    named = {str(value) for value in request.path_params.values()}
    for segment in path.split("/"):
        if segment != segment.lower() and segment not in named and not segment.startswith("$"):
            raise Violation(f"The path has '{segment}' in capitals.", "RFC 3986 §6.2.2.1")
    for name in ("study", "series", "instance", "workitem"):
        uid = request.path_params.get(name, "")
        if uid != uid.strip():
            raise Violation(f"The {name} UID has blanks around it.", "PS3.5 §9.1")
        if any(len(part) > 1 and part.startswith("0") for part in uid.split(".")):
            raise Violation(f"A component of the {name} UID begins with zero.", "PS3.5 §9.1")


def check_query(request: Request) -> None:
    for key, value in request.query_params.multi_items():
        if key.lower() in PARAMETERS and key not in PARAMETERS:
            raise Violation(f"The parameter '{key}' is written '{key.lower()}'.", "PS3.18 §8.3.4")
        if key == "fuzzymatching" and value.lower() in {"true", "false"} and value != value.lower():
            raise Violation("The value of fuzzymatching is written true or false.", "PS3.18 §8.3.4.2")


def part_without_type() -> Violation:
    return Violation("A part of the body has no Content-Type.", "PS3.18 §8.6.1.2")


def check_file(source: Source) -> None:
    """A file that is to be stored. Raises Violation."""
    with opened(source) as file:
        if file.read(132)[128:] != b"DICM":
            raise Violation("A file has no preamble with DICM after it.", "PS3.10 §7.1")
    try:
        transfer_syntax, named, own = read_file_identity(source)
    except NotDicom:
        return  # one failed instance, without being strict, too
    if transfer_syntax in NOT_FOR_THE_WEB:
        raise Violation(f"The transfer syntax {transfer_syntax} is not for web services.", "PS3.18 §8.7.3")
    if named != own:
        raise Violation("MediaStorageSOPInstanceUID is not the SOPInstanceUID of the data set.", "PS3.10 §7.1")
