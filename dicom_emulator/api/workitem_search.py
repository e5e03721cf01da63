"""UPS-RS: searching work items (PS3.18 §11.9; conformance statement, UPS-RS)."""

from starlette.responses import Response

from dicom_emulator.api.search import SearchParameters, bind, included_attribute, moment_condition, parse_attribute
from dicom_emulator.api.transaction import Call, Transaction
from dicom_emulator.archive.extended_query_tags import value_key
from dicom_emulator.archive.workitems import WorkitemCondition, WorkitemQuery, search
from dicom_emulator.blocking import run_blocking
from dicom_emulator.dicom.attributes import Attribute, name_of, tag_of, tags_of
from dicom_emulator.dicom.workitem_search import SEARCHABLE
from dicom_emulator.errors import BadRequest
from dicom_emulator.wire.responses import DicomJson

DEFAULT = tags_of(
    "SpecificCharacterSet SOPClassUID SOPInstanceUID ScheduledProcedureStepPriority ProcedureStepLabel WorklistLabel"
    " ScheduledProcessingParametersSequence ScheduledStationNameCodeSequence ScheduledStationClassCodeSequence"
    " ScheduledStationGeographicLocationCodeSequence ScheduledHumanPerformersSequence ScheduledWorkitemCodeSequence"
    " ScheduledProcedureStepStartDateTime InputReadinessState InputInformationSequence StudyInstanceUID PatientName"
    " PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence OtherPatientIDsSequence PatientBirthDate"
    " PatientSex AdmissionID IssuerOfAdmissionIDSequence AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence"
    " ReferencedRequestSequence MedicalAlerts PregnancyStatus SpecialNeeds ProcedureStepState"
    " ProcedureStepProgressInformationSequence"
)


async def search_workitems(call: Call) -> Response:
    query = build_query(call)
    rows = await run_blocking(lambda: search(call.archive.index.reader, query))
    return DicomJson(f"[{','.join(rows)}]") if rows else Response(status_code=204)


def build_query(call: Call) -> WorkitemQuery:
    parameters: SearchParameters = call.parameters
    conditions = tuple(condition(key, value, parameters.fuzzy) for key, value in parameters.matches)
    paths = [each.path for each in conditions]
    if len(set(paths)) < len(paths):
        raise BadRequest("Invalid query: the same attribute is specified more than once, with different ID formats.")
    attributes = answer_attributes(parameters.include)
    return WorkitemQuery(call.partition.key, conditions, attributes, parameters.limit, parameters.offset)


def path_of(key: str) -> tuple[str, ...]:
    """The keywords that a query parameter names: of an attribute, or of a sequence and an attribute in its items."""
    parts = [parse_attribute(part) for part in key.split(".")]
    if None in parts:
        raise BadRequest(
            f"Invalid query: unknown query parameter '{key}'. If the parameter is an attribute keyword, "
            "check the casing as they are case-sensitive."
        )
    return tuple(name_of(tag) for tag in parts if tag is not None)


def condition(key: str, value: str, fuzzy: bool) -> WorkitemCondition:
    """The filter that a query parameter stands for. Raises BadRequest."""
    path = path_of(key)
    if path not in SEARCHABLE:
        raise BadRequest(f"Invalid query: AttributeId {key} is not queryable for work items.")
    if not value.strip():
        raise BadRequest(f"Invalid query: attribute {key} has no value.")
    vr = SEARCHABLE[path]
    if vr == "DT":
        moment = moment_condition(Attribute(path[0], tag_of(path[0]), vr, "workitem"), key, value.strip(), None)
        return WorkitemCondition(path, moment.value, moment.low, moment.high)
    if vr == "PN" and fuzzy and '"' in value:
        raise BadRequest(f"Invalid query: a quotation mark is not allowed in the value of {key}.")
    return WorkitemCondition(path, value_key(vr, value), fuzzy=vr == "PN" and fuzzy)


def answer_attributes(include: tuple[str, ...]) -> frozenset[int] | None:
    """The attributes of each row; None for all. Raises BadRequest."""
    if any(field.lower() == "all" for field in include):
        if len(include) > 1:
            raise BadRequest("Invalid query: includefield=all cannot be combined with other fields.")
        return None
    return DEFAULT.union(map(included_attribute, include))  # what was matched is among the defaults


SEARCH = Transaction(search_workitems, action="read", bind=bind, answers_dicom_json=True)
