"""Work items for the tests, and the requests that move them through their life (PS3.18 §11)."""

from dataclasses import dataclass
from itertools import count
from typing import Any

import requests
from pydicom.datadict import dictionary_VR, tag_for_keyword

from tests.emulator.conftest import Service

DICOM_JSON = "application/dicom+json"
PLAIN_TEXT = "text/plain; charset=utf-8"
QUOTED = "application/dicom+json; charset=utf-8"
PERFORMER, SOMEBODY_ELSE = "1.2.77", "1.2.88"  # transaction UIDs
VERSIONS = ["v1", "v2", "v1.0-prerelease"]

MAY_BE_EMPTY = [
    "ScheduledProcessingParametersSequence", "ScheduledStationNameCodeSequence", "ScheduledStationClassCodeSequence",
    "ScheduledStationGeographicLocationCodeSequence", "ScheduledWorkitemCodeSequence",
    "CommentsOnTheScheduledProcedureStep", "InputInformationSequence", "PatientName", "OtherPatientIDsSequence",
    "PatientBirthDate", "PatientSex", "AdmissionID", "IssuerOfAdmissionIDSequence", "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence", "ReferencedRequestSequence", "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence", "ProcedureStepProgressInformationSequence",
    "UnifiedProcedureStepPerformedProcedureSequence",
]  # fmt: skip
NEED_A_VALUE = {
    "ScheduledProcedureStepPriority": "MEDIUM",
    "ProcedureStepLabel": "Chest",
    "ScheduledProcedureStepStartDateTime": "20300102030405",
    "InputReadinessState": "READY",
}
CODE = {"CodeValue": "C1", "CodingSchemeDesignator": "99TEST", "CodeMeaning": "One"}
REQUEST = {
    "StudyInstanceUID": "1.2.900",
    "AccessionNumber": "A1",
    "IssuerOfAccessionNumberSequence": [],
    "OrderPlacerIdentifierSequence": [],
    "OrderFillerIdentifierSequence": [],
    "RequestedProcedureID": "R1",
    "RequestedProcedureDescription": None,
    "RequestedProcedureCodeSequence": [],
}
PERFORMED = {
    "PerformedStationNameCodeSequence": [CODE],
    "PerformedProcedureStepStartDateTime": "20300102040000",
    "PerformedProcedureStepEndDateTime": "20300102050000",
    "PerformedWorkitemCodeSequence": [CODE],
    "OutputInformationSequence": [{"TypeOfInstances": "DICOM", "StudyInstanceUID": "1.2.900"}],
}
DISCONTINUED = {
    "ProcedureStepCancellationDateTime": "20300102040000",
    "ProcedureStepDiscontinuationReasonCodeSequence": [CODE],
}
numbers = count(1)


def data_set(**attributes: Any) -> dict[str, Any]:
    """DICOM JSON from keywords: None for no value, a list of dicts for the items of a sequence."""
    return {f"{tag_for_keyword(keyword):08X}": element(keyword, value) for keyword, value in attributes.items()}


def element(keyword: str, value: Any) -> dict[str, Any]:
    vr = dictionary_VR(keyword)
    if vr == "SQ":
        value = [data_set(**item) for item in value or []]
    elif value is not None and not isinstance(value, list):
        value = [{"Alphabetic": value}] if vr == "PN" else [value]
    return {"vr": vr, "Value": value} if value else {"vr": vr}


def workitem(**more: Any) -> dict[str, Any]:
    """What a client sends to create a work item: all that is required, and `more`."""
    return data_set(**{"TransactionUID": None} | dict.fromkeys(MAY_BE_EMPTY) | NEED_A_VALUE | more)


def without(item: dict[str, Any], *keywords: str) -> dict[str, Any]:
    left_out = {f"{tag_for_keyword(keyword):08X}" for keyword in keywords}
    return {tag: attribute for tag, attribute in item.items() if tag not in left_out}


def value(item: dict[str, Any], keyword: str) -> Any:
    """The first value of an attribute, None where it has none; KeyError where it is not there."""
    return next(iter(item[f"{tag_for_keyword(keyword):08X}"].get("Value", [])), None)


def new_uid() -> str:
    return f"1.2.3.{next(numbers)}"


@dataclass
class Worklist:
    """The work items of one address: a version, or a partition of it."""

    client: requests.Session
    url: str

    def send(
        self, method: str, path: str, body: Any = None, accept: str | None = DICOM_JSON, **headers: str | None
    ) -> requests.Response:
        """`body`: bytes as they are, or what becomes JSON. A header that is None is not sent."""
        names = {"Accept": accept, "Content-Type": None if body is None else DICOM_JSON}
        names |= {name.replace("_", "-").title(): text for name, text in headers.items()}
        given = {name: text for name, text in names.items() if text is not None}
        as_it_is = body is None or isinstance(body, bytes)
        request = requests.Request(method, f"{self.url}/workitems{path}", given)
        request.data, request.json = (body, None) if as_it_is else (None, body)
        return self.client.send(self.client.prepare_request(request))

    def create(self, item: Any = None, uid: str | None = None) -> str:
        """A work item that is there, SCHEDULED; returns its UID."""
        uid = uid or new_uid()
        response = self.send("POST", f"?{uid}", [workitem() if item is None else item])
        assert response.status_code == 201, response.text
        return uid

    def retrieve(self, uid: str) -> dict[str, Any]:
        response = self.send("GET", f"/{uid}")
        assert response.status_code == 200, response.text
        return response.json()

    def update(self, uid: str, transaction: str = "", **attributes: Any) -> requests.Response:
        query = f"?{transaction}" if transaction else ""
        return self.send("POST", f"/{uid}{query}", [data_set(**attributes)])

    def change(
        self, uid: str, state: str, transaction: str = PERFORMER, accept: str | None = DICOM_JSON
    ) -> requests.Response:
        body = [data_set(TransactionUID=transaction, ProcedureStepState=state)]
        return self.send("PUT", f"/{uid}/state", body, accept)

    def cancel(self, uid: str, **attributes: Any) -> requests.Response:
        return self.send("POST", f"/{uid}/cancelrequest", [data_set(**attributes)])

    def in_state(self, state: str, **more: Any) -> str:
        """A work item in a state; from IN PROGRESS on, it is PERFORMER's. Returns its UID."""
        uid = self.create(workitem(**more))
        if state == "SCHEDULED":
            return uid
        assert self.change(uid, "IN PROGRESS").status_code == 200
        if state == "COMPLETED":
            self.update(uid, PERFORMER, UnifiedProcedureStepPerformedProcedureSequence=[PERFORMED])
        if state == "CANCELED":
            self.update(uid, PERFORMER, ProcedureStepProgressInformationSequence=[DISCONTINUED])
        if state != "IN PROGRESS":
            response = self.change(uid, state)
            assert response.status_code == 200, response.text
        return uid

    def state(self, uid: str) -> str:
        return value(self.retrieve(uid), "ProcedureStepState")

    def search(self, query: str = "") -> list[dict[str, Any]]:
        """The rows of a search, none for 204."""
        response = self.send("GET", f"?{query}")
        if response.status_code == 204:
            assert response.content == b""
            return []
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == QUOTED and response.json()
        return response.json()

    def found(self, query: str = "") -> list[str]:
        """The UIDs of the rows."""
        return [value(row, "SOPInstanceUID") for row in self.search(query)]


def worklist(service: Service, version: str = "v2") -> Worklist:
    return Worklist(service.owner, f"{service.url}/{version}")


def is_refused(response: requests.Response, message: str, status: int = 400) -> bool:
    """Refused with a JSON string."""
    assert response.status_code == status, (response.status_code, response.text)
    assert response.headers["Content-Type"] == QUOTED
    assert response.json() == message
    return True


def is_unreadable(response: requests.Response, start: str = "The query parameter '") -> bool:
    """Refused with plain text, as what never came to be looked at."""
    assert response.status_code == 400, (response.status_code, response.text)
    assert response.headers["Content-Type"] == PLAIN_TEXT
    return response.text.startswith(start)
