"""Work items: claiming, ending, updating and cancelling them (conformance statement, UPS-RS; PS3.4 §CC.1)."""

import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from pydicom.datadict import tag_for_keyword

from tests.emulator.conftest import Service
from tests.emulator.work import (
    CODE,
    DISCONTINUED,
    NEED_A_VALUE,
    PERFORMED,
    PERFORMER,
    PLAIN_TEXT,
    QUOTED,
    SOMEBODY_ELSE,
    VERSIONS,
    data_set,
    is_refused,
    is_unreadable,
    value,
    workitem,
    worklist,
)

STATES = ["IN PROGRESS", "COMPLETED", "CANCELED"]
NOT_FOUND = "The workitem instance is not found."
PROGRESS_SEQUENCE = "ProcedureStepProgressInformationSequence"
PERFORMED_SEQUENCE = "UnifiedProcedureStepPerformedProcedureSequence"
INVALID_TRANSACTION = "Invalid TransactionUID for the specified Workitem Instance UID."
NOT_CLAIMED = "The target URI did not reference a claimed Workitem."
INCONSISTENT = "The submitted request is inconsistent with the current state of the Workitem."
ALREADY_CANCELED = "The UPS is already in the requested state of CANCELED."


def name(keyword: str) -> str:
    tag = f"{tag_for_keyword(keyword):08x}"
    return f"({tag[:4]},{tag[4:]})"


def cannot(state: str, code: str) -> str:
    return f"The workitem instance can not transition to '{state}' state: {code}."


def warning(response: requests.Response, message: str) -> bool:
    """The message in a header, with the host that said it."""
    return response.headers["Warning"] == f'299 {urlsplit(response.url).hostname}: "{message}"'


def says(response: requests.Response, message: str, status: int = 400) -> bool:
    """The message as a JSON string, and in a header."""
    return is_refused(response, message, status) and warning(response, message)


class TestChangeState:
    TABLE = [
        ("SCHEDULED", "COMPLETED", PERFORMER, "C301"),
        ("SCHEDULED", "CANCELED", PERFORMER, "C301"),
        ("IN PROGRESS", "IN PROGRESS", PERFORMER, "C302"),
        ("IN PROGRESS", "IN PROGRESS", SOMEBODY_ELSE, "C301"),
        ("IN PROGRESS", "COMPLETED", SOMEBODY_ELSE, "C301"),
        ("IN PROGRESS", "CANCELED", SOMEBODY_ELSE, "C301"),
        ("COMPLETED", "IN PROGRESS", PERFORMER, "C300"),
        ("COMPLETED", "CANCELED", PERFORMER, "C300"),
        ("CANCELED", "IN PROGRESS", PERFORMER, "C300"),
        ("CANCELED", "COMPLETED", PERFORMER, "C300"),
        *((final, requested, SOMEBODY_ELSE, "C301") for final in STATES[1:] for requested in STATES),
    ]

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(("ending", "items"), [("COMPLETED", PERFORMED), ("CANCELED", DISCONTINUED)])
    def test_from_scheduled_to_the_end(self, service: Service, version: str, ending: str, items: Any) -> None:
        work = worklist(service, version)
        uid = work.create()
        assert work.change(uid, "IN PROGRESS").status_code == 200
        assert work.state(uid) == "IN PROGRESS"
        work.update(uid, PERFORMER, **{PERFORMED_SEQUENCE if ending == "COMPLETED" else PROGRESS_SEQUENCE: [items]})
        response = work.change(uid, ending)
        assert (response.status_code, response.json(), "Warning" in response.headers) == (200, "", False)
        assert work.state(uid) == ending

    @pytest.mark.parametrize(("state", "requested", "transaction", "code"), TABLE)
    def test_every_other_way_is_400_with_a_code(
        self, service: Service, state: str, requested: str, transaction: str, code: str
    ) -> None:
        work = worklist(service)
        uid = work.in_state(state)
        assert says(work.change(uid, requested, transaction), cannot(requested, code))
        assert work.state(uid) == state

    @pytest.mark.parametrize(("state", "code"), [("COMPLETED", "B306"), ("CANCELED", "B304")])
    def test_ending_it_again_the_same_way_is_200_with_a_warning(self, service: Service, state: str, code: str) -> None:
        work = worklist(service)
        text = f"The workitem instance is already in the final state '{state}'. {code}."
        assert says(work.change(work.in_state(state), state), text, 200)

    @pytest.mark.parametrize(("requested", "code"), [("IN PROGRESS", "C300"), ("COMPLETED", "C301"), ("CANCELED", "C301")])  # fmt: skip  # noqa: E501
    def test_one_that_was_cancelled_on_request_never_had_an_owner(
        self, service: Service, requested: str, code: str
    ) -> None:
        work = worklist(service)
        uid = work.create()
        work.cancel(uid)
        assert says(work.change(uid, requested), cannot(requested, code))

    def test_one_that_is_not_there_is_404(self, service: Service) -> None:
        assert says(worklist(service).change("1.2.3", "IN PROGRESS"), NOT_FOUND, 404)

    def test_what_is_no_uid_is_400(self, service: Service) -> None:
        response = worklist(service).change("one", "IN PROGRESS")
        assert is_unreadable(response, "Dicom element 'WorkitemInstanceUid' failed validation for VR 'UI': ")

    @pytest.mark.parametrize("state", ["SCHEDULED", "DONE", "INPROGRESS", "CANCELLED"])
    def test_another_state_is_400(self, service: Service, state: str) -> None:
        work = worklist(service)
        uid = work.create()
        assert says(
            work.change(uid, state),
            "The attribute ProcedureStepState must be one of IN PROGRESS, COMPLETED, CANCELED.",
        )
        assert work.state(uid) == "SCHEDULED"

    @pytest.mark.parametrize("state", ["in progress", "In Progress", "IN PROGRESS "])
    def test_a_state_may_have_any_case_and_padding(self, service: Service, state: str) -> None:
        work = worklist(service)
        uid = work.create()
        assert work.change(uid, state).status_code == 200
        assert work.state(uid) == "IN PROGRESS"

    @pytest.mark.parametrize("keyword", ["TransactionUID", "ProcedureStepState"])
    @pytest.mark.parametrize(
        ("given", "text"),
        [
            ({}, "The required tag '{}' is missing."),
            (None, "The value for tag '{}' is missing."),
            (" ", "The attribute with tag '{}' must not be empty."),
        ],
    )
    def test_the_body_needs_both_with_a_value(self, service: Service, keyword: str, given: Any, text: str) -> None:
        work = worklist(service)
        attributes = {"TransactionUID": PERFORMER, "ProcedureStepState": "IN PROGRESS", keyword: given}
        if given == {}:
            del attributes[keyword]
        response = work.send("PUT", f"/{work.create()}/state", [data_set(**attributes)])
        assert says(response, text.format(name(keyword)))

    def test_a_bad_body_is_told_before_the_work_item_is_looked_for(self, service: Service) -> None:
        assert says(worklist(service).send("PUT", "/1.2.3/state", [{}]), "The required tag '(0008,1195)' is missing.")

    def test_nothing_else_of_the_body_is_kept(self, service: Service) -> None:
        work = worklist(service)
        uid = work.create(workitem(PatientID="P1"))
        body = data_set(TransactionUID=PERFORMER, ProcedureStepState="IN PROGRESS", PatientID="P2")
        assert work.send("PUT", f"/{uid}/state", [body]).status_code == 200
        assert value(work.retrieve(uid), "PatientID") == "P1"

    def test_the_first_to_claim_it_has_it(self, service: Service) -> None:
        work = worklist(service)
        uid = work.create()
        answers = at_once(lambda number: work.change(uid, "IN PROGRESS", f"1.2.77.{number}"))
        assert sorted(response.status_code for response in answers) == [200] + [400] * 7
        assert {response.text for response in answers if response.status_code == 400} == {
            f'"{cannot("IN PROGRESS", "C301")}"'
        }


def at_once(request: Any, times: int = 8) -> list[Any]:
    """What `request(number)` returns for each number, all of them sent at the same time."""
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(request(n))) for n in range(1, times + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class TestFinalState:
    @pytest.mark.parametrize(
        ("state", "sequence"), [("COMPLETED", PERFORMED_SEQUENCE), ("CANCELED", PROGRESS_SEQUENCE)]
    )
    def test_a_work_item_must_tell_how_it_ended(self, service: Service, state: str, sequence: str) -> None:
        work = worklist(service)
        uid = work.in_state("IN PROGRESS")
        assert says(work.change(uid, state), f"The value for tag '{name(sequence)}' is missing.")
        assert work.state(uid) == "IN PROGRESS"

    @pytest.mark.parametrize(
        ("state", "sequence", "item", "missing"),
        [
            *(("COMPLETED", PERFORMED_SEQUENCE, PERFORMED, keyword) for keyword in PERFORMED),
            *(("CANCELED", PROGRESS_SEQUENCE, DISCONTINUED, keyword) for keyword in DISCONTINUED),
        ],
    )
    def test_every_item_must_have_these(
        self, service: Service, state: str, sequence: str, item: dict[str, Any], missing: str
    ) -> None:
        work = worklist(service)
        uid = work.in_state("IN PROGRESS")
        lacking = {keyword: given for keyword, given in item.items() if keyword != missing}
        if missing == "OutputInformationSequence":
            lacking[missing] = []
        assert work.update(uid, PERFORMER, **{sequence: [item, lacking]}).status_code == 200
        reason = "value for" if missing == "OutputInformationSequence" else "required"
        assert says(work.change(uid, state), f"The {reason} tag '{name(missing)}' is missing.")
        assert work.update(uid, PERFORMER, **{sequence: [item, item]}).status_code == 200
        assert work.change(uid, state).status_code == 200

    def test_completing_does_not_ask_for_a_cancellation_nor_the_other_way_round(self, service: Service) -> None:
        work = worklist(service)
        completed, cancelled = (work.retrieve(work.in_state(state)) for state in STATES[1:])
        assert value(completed, PROGRESS_SEQUENCE) is None and value(cancelled, PERFORMED_SEQUENCE) is None


class TestUpdate:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(("state", "transaction"), [("SCHEDULED", ""), ("IN PROGRESS", PERFORMER)])
    def test_attributes_that_are_given_replace_those_that_are_there(
        self, service: Service, version: str, state: str, transaction: str
    ) -> None:
        work = worklist(service, version)
        more = {"ScheduledStationNameCodeSequence": [CODE, CODE], "PatientAge": "030Y"}
        uid = work.in_state(state, **more)
        before = work.retrieve(uid)
        other = {"CodeValue": "C2", "CodeMeaning": "Two"}
        response = work.update(
            uid, transaction, ProcedureStepLabel="Knee", ScheduledStationNameCodeSequence=[other], Occupation="Cook"
        )
        assert (response.status_code, response.json(), "Warning" in response.headers) == (200, "", False)
        assert response.headers["Content-Location"] == f"{work.url}/workitems/{uid}"
        after = work.retrieve(uid)
        changed = data_set(
            ProcedureStepLabel="Knee", ScheduledStationNameCodeSequence=[other], Occupation="Cook",
            ScheduledProcedureStepModificationDateTime=value(after, "ScheduledProcedureStepModificationDateTime"),
        )  # fmt: skip
        assert after == before | changed
        assert value(after, "ScheduledProcedureStepModificationDateTime") > value(
            before, "ScheduledProcedureStepModificationDateTime"
        )

    @pytest.mark.parametrize(
        ("state", "transaction", "status", "message"),
        [
            ("SCHEDULED", PERFORMER, 400, INVALID_TRANSACTION),
            ("SCHEDULED", "nonsense", 400, INVALID_TRANSACTION),
            ("IN PROGRESS", "", 400, NOT_CLAIMED),
            ("IN PROGRESS", SOMEBODY_ELSE, 400, NOT_CLAIMED),
            *(("COMPLETED", uid, 400, f"{INCONSISTENT} The UPS is already COMPLETED.") for uid in ("", PERFORMER)),
            *(("CANCELED", uid, 409, f"{INCONSISTENT} {ALREADY_CANCELED}") for uid in ("", PERFORMER)),
        ],
    )
    def test_only_the_owner_may_and_only_before_the_end(
        self, service: Service, state: str, transaction: str, status: int, message: str
    ) -> None:
        work = worklist(service)
        uid = work.in_state(state)
        before = work.retrieve(uid)
        response = work.update(uid, transaction, ProcedureStepLabel="Knee")
        assert says(response, message, status) and "Content-Location" not in response.headers
        assert work.retrieve(uid) == before

    @pytest.mark.parametrize("query", [f"?{PERFORMER}=", f"?{PERFORMER}=yes", f"?{PERFORMER}%20", f"?{PERFORMER}&a=b"])
    def test_the_name_of_the_first_parameter_is_the_transaction(self, service: Service, query: str) -> None:
        work = worklist(service)
        uid = work.in_state("IN PROGRESS")
        assert work.send("POST", f"/{uid}{query}", [data_set(ProcedureStepLabel="Knee")]).status_code == 200

    def test_one_that_is_not_there_is_400(self, service: Service) -> None:
        assert says(worklist(service).update("1.2.3", ProcedureStepLabel="Knee"), NOT_FOUND)

    def test_what_is_no_uid_is_400(self, service: Service) -> None:
        response = worklist(service).update("one")
        assert is_unreadable(response, "Dicom element 'WorkitemInstanceUid' failed validation for VR 'UI': ")

    @pytest.mark.parametrize(
        "keyword",
        [
            "SOPClassUID", "SOPInstanceUID", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
            "AdmissionID", "IssuerOfAdmissionIDSequence", "AdmittingDiagnosesDescription",
            "AdmittingDiagnosesCodeSequence", "ReferencedRequestSequence", "IssuerOfPatientID",
            "IssuerOfPatientIDQualifiersSequence", "ReplacedProcedureStepSequence", "ProcedureStepState",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("state", ["SCHEDULED", "IN PROGRESS"])
    def test_some_attributes_cannot_be_updated(self, service: Service, state: str, keyword: str) -> None:
        work = worklist(service)
        transaction = "" if state == "SCHEDULED" else PERFORMER
        response = work.update(work.in_state(state), transaction, **{keyword: None})
        assert says(response, f"The attribute with tag '{name(keyword)}' cannot be present.")

    @pytest.mark.parametrize("keyword", [*NEED_A_VALUE, "ScheduledWorkitemCodeSequence", "Occupation"])
    def test_what_needs_a_value_keeps_one(self, service: Service, keyword: str) -> None:
        work = worklist(service)
        response = work.update(work.create(), **{keyword: None})
        assert says(response, f"The value for tag '{name(keyword)}' is missing.")

    @pytest.mark.parametrize("keyword", ["ScheduledStationNameCodeSequence", "InputInformationSequence", "StudyInstanceUID"])  # fmt: skip  # noqa: E501
    def test_what_may_be_empty_can_be_emptied(self, service: Service, keyword: str) -> None:
        work = worklist(service)
        uid = work.create(workitem(StudyInstanceUID="1.2.900"))
        assert work.update(uid, **{keyword: None}).status_code == 200
        assert value(work.retrieve(uid), keyword) is None

    @pytest.mark.parametrize(
        ("sequence", "item", "text"),
        [
            (PERFORMED_SEQUENCE, {}, f"The required tag '{name('OutputInformationSequence')}' is missing."),
            (PROGRESS_SEQUENCE, {"ProcedureStepProgress": None}, "The value for tag '(0074,1004)' is missing."),
            (
                PROGRESS_SEQUENCE,
                {"ProcedureStepCommunicationsURISequence": [{"ContactDisplayName": "Jane"}]},
                "The required tag '(0074,100a)' is missing.",
            ),
            ("ScheduledWorkitemCodeSequence", {"CodeValue": "C1"}, "The required tag '(0008,0104)' is missing."),
        ],
    )
    def test_items_have_what_the_standard_asks_for(
        self, service: Service, sequence: str, item: dict[str, Any], text: str
    ) -> None:
        work = worklist(service)
        assert says(work.update(work.create(), **{sequence: [item]}), text)

    def test_a_start_that_is_no_moment_is_400(self, service: Service) -> None:
        work = worklist(service)
        response = work.update(work.create(), ScheduledProcedureStepStartDateTime="soon")
        text = "Dicom element 'ScheduledProcedureStepStartDateTime' failed validation for VR 'DT': "
        assert says(response, text + "Value cannot be parsed as a valid DateTime.")

    @pytest.mark.parametrize("uid", [SOMEBODY_ELSE, None])
    def test_a_transaction_uid_in_the_body_changes_no_owner(self, service: Service, uid: str | None) -> None:
        work = worklist(service)
        item = work.in_state("IN PROGRESS")
        assert work.update(item, PERFORMER, TransactionUID=uid).status_code == 200
        assert says(work.update(item, SOMEBODY_ELSE, ProcedureStepLabel="Knee"), NOT_CLAIMED)
        assert work.update(item, PERFORMER, ProcedureStepLabel="Knee").status_code == 200

    def test_what_is_updated_is_what_a_search_finds(self, service: Service) -> None:
        work = worklist(service)
        uid = work.create(workitem(StudyInstanceUID="1.2.900", ScheduledStationNameCodeSequence=[CODE]))
        work.update(uid, StudyInstanceUID="1.2.901", ScheduledStationNameCodeSequence=None)
        assert work.found("StudyInstanceUID=1.2.901") == [uid]
        assert work.found("StudyInstanceUID=1.2.900") == []
        assert work.found("ScheduledStationNameCodeSequence.CodeValue=C1") == []

    def test_no_update_gets_lost(self, service: Service) -> None:
        work = worklist(service)
        uid = work.create()
        attributes = ["Occupation", "PatientAddress", "MilitaryRank", "Allergies", "EthnicGroup", "VisitComments",
                      "PatientState", "ReasonForVisit"]  # fmt: skip
        answers = at_once(lambda number: work.update(uid, **{attributes[number - 1]: str(number)}))
        assert [response.status_code for response in answers] == [200] * 8
        item = work.retrieve(uid)
        assert [value(item, keyword) for keyword in attributes] == list("12345678")


class TestCancel:
    BODY = {"ReasonForCancellation": "Not needed", "ContactURI": "tel:1", "ContactDisplayName": "Jane"}

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_scheduled_one_is_cancelled_at_once(self, service: Service, version: str) -> None:
        work = worklist(service, version)
        uid = work.create()
        response = work.cancel(uid, **self.BODY)
        assert is_refused(response, "The workitem instance has been cancelled.", 202)
        assert "Warning" not in response.headers
        assert work.state(uid) == "CANCELED" and work.found("ProcedureStepState=CANCELED") == [uid]

    def test_the_progress_tells_why_and_whom_to_ask(self, service: Service) -> None:
        work = worklist(service)
        uid = work.create()
        work.cancel(uid, **self.BODY)
        progress = value(work.retrieve(uid), PROGRESS_SEQUENCE)
        assert value(progress, "ReasonForCancellation") == "Not needed"
        assert value(progress, "ProcedureStepCancellationDateTime") > "20240101"
        reason = value(progress, "ProcedureStepDiscontinuationReasonCodeSequence")
        assert value(reason, "ReasonForCancellation") == "Not needed"
        contact = value(progress, "ProcedureStepCommunicationsURISequence")
        assert (value(contact, "ContactURI"), value(contact, "ContactDisplayName")) == ("tel:1", "Jane")

    def test_nothing_of_it_has_to_be_given_and_nothing_else_is_taken(self, service: Service) -> None:
        work = worklist(service)
        uid = work.create(workitem(PatientID="P1"))
        assert work.cancel(uid, PatientID="P2").status_code == 202
        item = work.retrieve(uid)
        assert value(item, "PatientID") == "P1"
        assert value(value(item, PROGRESS_SEQUENCE), "ReasonForCancellation") is None

    @pytest.mark.parametrize(("state", "code"), [("IN PROGRESS", "C312"), ("COMPLETED", "C311")])
    def test_a_claimed_or_completed_one_is_400(self, service: Service, state: str, code: str) -> None:
        work = worklist(service)
        uid = work.in_state(state)
        response = work.cancel(uid, **self.BODY)
        assert is_refused(response, cannot("CANCELED", code)) and "Warning" not in response.headers
        assert work.state(uid) == state

    @pytest.mark.parametrize("by", ["request", "owner"])
    def test_one_that_is_cancelled_already_is_409_with_a_warning(self, service: Service, by: str) -> None:
        work = worklist(service)
        uid = work.in_state("CANCELED" if by == "owner" else "SCHEDULED")
        if by == "request":
            work.cancel(uid, **self.BODY)
        before = work.retrieve(uid)
        assert says(work.cancel(uid, ReasonForCancellation="Again"), ALREADY_CANCELED, 409)
        assert work.retrieve(uid) == before

    def test_one_that_is_not_there_is_404(self, service: Service) -> None:
        assert is_refused(worklist(service).cancel("1.2.3"), NOT_FOUND, 404)

    def test_what_is_no_uid_is_400(self, service: Service) -> None:
        response = worklist(service).cancel("one")
        assert is_unreadable(response, "Dicom element 'WorkitemInstanceUid' failed validation for VR 'UI': ")

    def test_one_of_many_requests_cancels_it(self, service: Service) -> None:
        work = worklist(service)
        uid = work.create()
        answers = at_once(lambda number: work.cancel(uid, ReasonForCancellation=str(number)))
        assert sorted(response.status_code for response in answers) == [202] + [409] * 7


class TestFormOfSentences:
    """Update and change of state write JSON strings or plain text, as Accept prefers; others always JSON."""

    ACCEPTED = [
        ("application/dicom+json", QUOTED),
        ("application/dicom+json; charset=utf-8", QUOTED),
        ("application/json", "application/json; charset=utf-8"),
        ("application/*", "application/json; charset=utf-8"),
        ("text/plain", PLAIN_TEXT),
        ("text/*", PLAIN_TEXT),
        ("*/*", PLAIN_TEXT),
        (None, PLAIN_TEXT),
        ("image/png", PLAIN_TEXT),
        ("no media type", PLAIN_TEXT),
        ("*/*, application/json", PLAIN_TEXT),
        ("*/*;q=0.1, application/dicom+json;q=0.5", QUOTED),
        ("application/json;q=0", PLAIN_TEXT),
        ("image/png, application/json", "application/json; charset=utf-8"),
    ]

    @pytest.mark.parametrize(("accept", "content_type"), ACCEPTED)
    def test_a_failure(self, service: Service, accept: str | None, content_type: str) -> None:
        work = worklist(service)
        uid = work.create()
        update = work.send("POST", f"/{uid}?1.2", [data_set(ProcedureStepLabel="Knee")], accept)
        change = work.change(uid, "COMPLETED", accept=accept)
        for response, message in ((update, INVALID_TRANSACTION), (change, cannot("COMPLETED", "C301"))):
            assert (response.status_code, response.headers["Content-Type"]) == (400, content_type)
            assert response.text == (message if content_type == PLAIN_TEXT else f'"{message}"')
            assert warning(response, message)

    @pytest.mark.parametrize(("accept", "content_type"), ACCEPTED)
    def test_success_is_an_empty_text(self, service: Service, accept: str | None, content_type: str) -> None:
        work = worklist(service)
        uid = work.create()
        update = work.send("POST", f"/{uid}", [data_set(ProcedureStepLabel="Knee")], accept)
        change = work.change(uid, "IN PROGRESS", accept=accept)
        for response in (update, change):
            assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
            assert response.text == ("" if content_type == PLAIN_TEXT else '""')
            assert "Warning" not in response.headers

    @pytest.mark.parametrize("accept", [None, "*/*", "text/plain", "image/png"])
    def test_cancelling_always_answers_with_json(self, service: Service, accept: str | None) -> None:
        work = worklist(service)
        path = f"/{work.create()}/cancelrequest"
        assert is_refused(work.send("POST", path, [{}], accept), "The workitem instance has been cancelled.", 202)
        assert is_refused(work.send("POST", path, [{}], accept), ALREADY_CANCELED, 409)
        assert is_refused(work.send("POST", "/1.2.3/cancelrequest", [{}], accept), NOT_FOUND, 404)

    def test_creating_and_reading_always_answer_with_json(self, service: Service) -> None:
        work = worklist(service)
        assert is_refused(work.send("POST", "", [workitem()], "*/*"), "The required tag '(0008,0018)' is missing.")
        assert is_refused(work.send("GET", "/1.2.3", accept="*/*"), NOT_FOUND, 404)
