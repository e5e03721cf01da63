"""POST /studies/$bulkUpdate: other values in all instances of some studies (conformance statement, bulk update)."""

import json
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.api.operations import accepted
from dicom_emulator.api.parameters import json_body, lower_names
from dicom_emulator.api.transaction import Call, Transaction, malformed_uid
from dicom_emulator.archive import bulk_update, operations
from dicom_emulator.archive.bulk_update import Changes
from dicom_emulator.archive.operations import Operation
from dicom_emulator.blocking import run_blocking
from dicom_emulator.dicom.attributes import parse_hex_tag, tag_text, tags_of, vr_of
from dicom_emulator.dicom.dicom_json import PN_GROUPS, name_text
from dicom_emulator.dicom.elements import TEXT, Element
from dicom_emulator.dicom.validation import full_fault, is_uid
from dicom_emulator.errors import BadRequest, Conflict, InvalidParameter
from dicom_emulator.versions import Version
from dicom_emulator.wire.responses import DicomJson

MOST = 50  # studies in one request
UPDATABLE = tags_of(
    "PatientName PatientID OtherPatientIDs TypeOfPatientID OtherPatientNames PatientBirthName"
    " PatientMotherBirthName MedicalRecordLocator PatientAge Occupation"
    " ConfidentialityConstraintOnPatientDataDescription PatientBirthDate PatientBirthTime PatientSex"
    " QualityControlSubject PatientSize PatientWeight PatientAddress MilitaryRank BranchOfService"
    " CountryOfResidence RegionOfResidence PatientTelephoneNumbers EthnicGroup PatientReligiousPreference"
    " PatientComments ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization PatientSpeciesDescription"
    " PatientBreedDescription BreedRegistrationNumber IssuerOfPatientID AccessionNumber ReferringPhysicianName"
    " StudyDescription"
)
NOT_UPDATABLE = "Updating the tag is not supported"


@dataclass(frozen=True)
class UpdateRequest:
    studies: list[str]
    changes: dict[str, Any]  # DICOM JSON


async def bind(request: Request, version: Version) -> UpdateRequest:
    """What the body asks for. Raises BadRequest, UnsupportedMediaType."""
    body = await json_body(request, InvalidParameter)
    if not isinstance(body, dict):
        raise InvalidParameter("$", "The JSON value is not an object.")
    properties = lower_names(body)
    studies, changes = properties.get("studyinstanceuids"), properties.get("changedataset")
    if studies is not None and not (isinstance(studies, list) and all(isinstance(uid, str) for uid in studies)):
        raise InvalidParameter("$.studyInstanceUids", "The JSON value is not an array of strings.")
    if changes is not None and not isinstance(changes, dict):
        raise InvalidParameter("$.changeDataset", "The JSON value is not a DICOM JSON object.")
    if not studies:
        raise BadRequest("The required field 'StudyInstanceUids' is missing or empty.")
    if not changes:
        raise BadRequest("The required field 'ChangeDataset' is missing or empty.")
    return UpdateRequest(studies, changes)


class NotUpdated(Exception):
    """Attributes that cannot be changed like this: the comment for each."""

    def __init__(self, comments: list[str]):
        super().__init__(comments)
        self.comments = comments


async def start(call: Call) -> Response:
    asked: UpdateRequest = call.parameters
    if len(asked.studies) > MOST:
        raise BadRequest(f"StudyInstanceUids count exceeded maximum length '{MOST}'")
    for uid in asked.studies:
        if not is_uid(uid):
            raise malformed_uid("StudyInstanceUid")
    try:
        changes = read_changes(asked.changes)
    except NotUpdated as error:
        items = [{"00000902": {"vr": "LO", "Value": [comment]}} for comment in error.comments]
        return DicomJson(json.dumps({"00741048": {"vr": "SQ", "Value": items}}), 400)
    studies = list(dict.fromkeys(uid.rstrip(" ") for uid in asked.studies))
    return accepted(call, await run_blocking(add, call, studies, changes), location=False)


def add(call: Call, studies: list[str], changes: Changes) -> Operation:
    with call.archive.index.transaction() as transaction:
        for active in operations.unfinished(transaction, "update"):
            raise Conflict(f"There is already an active update operation with ID '{active.id}'.")
        return bulk_update.start(transaction, call.partition.key, studies, changes)


def read_changes(data_set: dict[str, Any]) -> Changes:
    """VR and text of each attribute in a DICOM JSON object. Raises NotUpdated."""
    changes: Changes = {}
    comments = []
    for key, element in data_set.items():
        tag = parse_hex_tag(key)
        if tag is None or tag not in UPDATABLE:
            comments.append(f"DICOM100: {tag_text(tag) if tag is not None else key} - {NOT_UPDATABLE}")
            continue
        vr = vr_of(tag)
        text, fault = read_element(tag, vr, element)
        if fault:
            comments.append(f"DICOM100: {tag_text(tag)} - {fault}")
        changes[tag] = (vr, text)
    if comments:
        raise NotUpdated(comments)
    return changes


def read_element(tag: int, vr: str, element: Any) -> tuple[str, str | None]:
    """The text of an attribute in DICOM JSON, and what is wrong with it."""
    if not isinstance(element, dict) or element.get("vr", vr) != vr:
        return "", f"The attribute is no DICOM JSON with VR '{vr}'."
    if unknown := sorted(element.keys() - {"vr", "Value"}):
        return "", f"The attribute has the member '{unknown[0]}', where only 'vr' and 'Value' are expected."
    values = element.get("Value", [])
    if not isinstance(values, list):
        return "", "The Value is no array."
    texts = [text_of(vr, value) for value in values]
    if any(text is None for text in texts):
        return "", f"A value does not validate VR {vr}: it has another JSON type."
    text = "\\".join(text or "" for text in texts)
    encoding = "utf8" if vr in TEXT else "latin-1"
    value = text.encode(encoding, "replace")
    if "\0" in text:
        return "", f'Content "{text}" does not validate VR {vr}: value contains invalid character'
    if len(value) > 0xFFFE:
        return "", f"The value does not validate VR {vr}: it is too long."
    return text, full_fault(Element(tag, vr, value, 0, len(value), True), (encoding,))


def text_of(vr: str, value: Any) -> str | None:
    """A value of DICOM JSON as DICOM writes it; None where it has no business there."""
    if value is None:
        return ""
    if vr == "PN":
        if not isinstance(value, dict):
            return None
        known = value.keys() <= set(PN_GROUPS) and all(isinstance(group, str) for group in value.values())
        return name_text(value) if known else None
    if vr in {"DS", "IS"} and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


BULK_UPDATE = Transaction(start, action="write", bind=bind, consumes=("application/json",))
