"""Work items: creating and reading them (conformance statement, UPS-RS; PS3.18 §11.4 and §11.5)."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from tests.emulator.conftest import Service
from tests.emulator.storing import own_emulator
from tests.emulator.work import (
    CODE,
    DICOM_JSON,
    MAY_BE_EMPTY,
    NEED_A_VALUE,
    PLAIN_TEXT,
    QUOTED,
    REQUEST,
    VERSIONS,
    Worklist,
    data_set,
    is_refused,
    is_unreadable,
    new_uid,
    value,
    without,
    workitem,
    worklist,
)

REFERENCE = {"ReferencedSOPClassUID": "1.2", "ReferencedSOPInstanceUID": "1.3"}
INSTANCES = {"TypeOfInstances": "DICOM", "ReferencedSOPSequence": [REFERENCE]}
PARAMETER = {"ValueType": "TEXT", "ConceptNameCodeSequence": [CODE]}
PERSON = {"HumanPerformerCodeSequence": [CODE], "HumanPerformerName": "A^B", "HumanPerformerOrganization": "O"}
OTHER_ID = {"PatientID": "P2", "IssuerOfPatientID": None, "IssuerOfPatientIDQualifiersSequence": []}
NOT_FOUND = "The workitem instance is not found."
BAD_UID = "Dicom element 'WorkitemInstanceUid' failed validation for VR 'UI': DICOM Identifier is invalid."


def name(keyword: str) -> str:
    (tag,) = data_set(**{keyword: None})
    return f"({tag[:4]},{tag[4:]})".lower()


def create(service: Service, item: Any = None, query: str | None = None) -> requests.Response:
    query = f"?{new_uid()}" if query is None else query
    return worklist(service).send("POST", query, [workitem() if item is None else item])


def create_with(service: Service, **more: Any) -> requests.Response:
    return create(service, workitem(**more))


class TestUid:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_it_is_the_bare_query_key(self, service: Service, version: str) -> None:
        work = worklist(service, version)
        response = work.send("POST", "?1.2.3", [workitem()])
        assert (response.status_code, response.content) == (201, b"")
        url = f"{service.url}/{version}/workitems/1.2.3"
        assert response.headers["Location"] == response.headers["Content-Location"] == url
        assert value(service.owner.get(url, headers={"Accept": DICOM_JSON}).json(), "SOPInstanceUID") == "1.2.3"

    @pytest.mark.parametrize("query", ["?1.2.3=", "?1.2.3=yes", "?1.2.3&a=b", "?1.2.3%20", "?1.2.3=1.2.4&1.2.5"])
    def test_the_name_of_the_first_parameter_counts_and_nothing_else(self, service: Service, query: str) -> None:
        response = create(service, query=query)
        assert response.status_code == 201 and response.headers["Location"].endswith("/workitems/1.2.3")

    @pytest.mark.parametrize("query", ["", "?", "?%20", "?=1.2.4"])
    def test_without_it_the_one_in_the_body_counts(self, service: Service, query: str) -> None:
        response = create(service, workitem(SOPInstanceUID="1.2.3"), query)
        assert response.status_code == 201 and response.headers["Location"].endswith("/workitems/1.2.3")

    def test_without_any_it_is_a_required_tag_that_is_missing(self, service: Service) -> None:
        response = create(service, query="")
        assert is_refused(response, "The required tag '(0008,0018)' is missing.")

    @pytest.mark.parametrize("own", ["1.2.3", "1.2.3 ", None])
    def test_both_may_be_given_where_they_are_the_same(self, service: Service, own: str | None) -> None:
        assert create(service, workitem(SOPInstanceUID=own), "?1.2.3").status_code == 201
        assert value(worklist(service).retrieve("1.2.3"), "SOPInstanceUID") == "1.2.3"

    def test_two_different_ones_are_400(self, service: Service) -> None:
        response = create(service, workitem(SOPInstanceUID="1.2.4"), "?1.2.3")
        assert is_refused(response, "The SOPInstanceUID of the workitem does not match the UID of the request.")

    @pytest.mark.parametrize("query", ["?uid=1.2.3", "?workitem=1.2.3", "?1.2.x", "?1.2.", "?" + "1" * 65])
    def test_a_key_that_is_no_uid_is_400(self, service: Service, query: str) -> None:
        assert is_unreadable(create(service, query=query), BAD_UID)

    def test_no_uid_in_the_body_is_400(self, service: Service) -> None:
        assert is_unreadable(create(service, workitem(SOPInstanceUID="one"), ""), BAD_UID)

    def test_one_that_is_there_is_409_and_stays_as_it_is(self, service: Service) -> None:
        create(service, workitem(PatientID="P1"), "?1.2.3")
        response = create(service, workitem(PatientID="P2"), "?1.2.3%20")
        text = "The workitem instance already exists. Try creating using a different UID."
        assert is_refused(response, text, 409)
        assert value(worklist(service).retrieve("1.2.3"), "PatientID") == "P1"
        assert worklist(service).found("PatientID=P2") == []


class TestSetByTheService:
    def test_it_sets_class_label_state_and_time(self, service: Service) -> None:
        given = {"SOPClassUID": "1.2", "WorklistLabel": "mine", "ProcedureStepState": "COMPLETED"}
        work = worklist(service)
        item = work.retrieve(work.create(workitem(**given, ScheduledProcedureStepModificationDateTime="2001")))
        assert value(item, "SOPClassUID") == "1.2.840.10008.5.1.4.34.6.1"
        assert value(item, "WorklistLabel") == "worklist"
        assert value(item, "ProcedureStepState") == "SCHEDULED"
        written = datetime.strptime(value(item, "ScheduledProcedureStepModificationDateTime"), "%Y%m%d%H%M%S.%f")
        assert abs(datetime.now(timezone.utc) - written.replace(tzinfo=timezone.utc)) < timedelta(minutes=10)


class TestRequired:
    @pytest.mark.parametrize("keyword", ["TransactionUID", *NEED_A_VALUE, *MAY_BE_EMPTY])
    def test_an_attribute_that_is_left_out_is_missing(self, service: Service, keyword: str) -> None:
        response = create(service, without(workitem(), keyword))
        assert is_refused(response, f"The required tag '{name(keyword)}' is missing.")

    @pytest.mark.parametrize(
        "keyword", [*NEED_A_VALUE, "PatientID", "StudyInstanceUID", "ReplacedProcedureStepSequence"]
    )
    def test_some_need_a_value(self, service: Service, keyword: str) -> None:
        response = create_with(service, **{keyword: None})
        assert is_refused(response, f"The value for tag '{name(keyword)}' is missing.")

    @pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID", "ReplacedProcedureStepSequence"])
    def test_some_depend_on_others_and_may_be_left_out(self, service: Service, keyword: str) -> None:
        assert create(service, without(workitem(), keyword)).status_code == 201

    @pytest.mark.parametrize("blank", [" ", "  ", "\t"])
    def test_blanks_are_no_value(self, service: Service, blank: str) -> None:
        response = create_with(service, ProcedureStepLabel=blank)
        assert is_refused(response, "The attribute with tag '(0074,1204)' must not be empty.")

    @pytest.mark.parametrize("empty", ["", None])
    def test_an_empty_text_and_null_are_no_value(self, service: Service, empty: str | None) -> None:
        item = workitem() | {"00741204": {"vr": "LO", "Value": [empty]}}
        assert is_refused(create(service, item), "The value for tag '(0074,1204)' is missing.")

    def test_a_transaction_uid_must_be_empty(self, service: Service) -> None:
        response = create_with(service, TransactionUID="1.2.3")
        assert is_refused(response, "The attribute with tag '(0008,1195)' must be empty.")

    @pytest.mark.parametrize(
        "keyword", ["PatientAge", "ReasonForVisit", "Occupation", "InstitutionName", "AdmittingDate"]
    )
    def test_an_optional_attribute_may_be_left_out_but_not_be_empty(self, service: Service, keyword: str) -> None:
        assert create(service).status_code == 201
        response = create_with(service, **{keyword: None})
        assert is_refused(response, f"The value for tag '{name(keyword)}' is missing.")

    def test_an_optional_attribute_may_not_be_blank(self, service: Service) -> None:
        response = create_with(service, ReasonForVisit=" ")
        assert is_refused(response, "The attribute with tag '(0032,1066)' must not be empty.")

    @pytest.mark.parametrize("keyword", ["MedicalAlerts", "PregnancyStatus", "SpecialNeeds", "SpecificCharacterSet"])
    def test_some_may_be_left_out_or_empty(self, service: Service, keyword: str) -> None:
        assert create_with(service, **{keyword: None}).status_code == 201


class TestItems:
    CODED = ["ScheduledStationNameCodeSequence", "ScheduledStationClassCodeSequence", "ScheduledWorkitemCodeSequence",
             "ScheduledStationGeographicLocationCodeSequence", "AdmittingDiagnosesCodeSequence"]  # fmt: skip

    @pytest.mark.parametrize("keyword", CODED)
    def test_a_code_needs_a_meaning_and_nothing_else(self, service: Service, keyword: str) -> None:
        assert create_with(service, **{keyword: [{"CodeMeaning": "One"}]}).status_code == 201
        response = create_with(service, **{keyword: [CODE, {"CodeValue": "C1"}]})
        assert is_refused(response, "The required tag '(0008,0104)' is missing.")

    def test_an_item_without_attributes_is_an_item(self, service: Service) -> None:
        item = workitem() | {"00404018": {"vr": "SQ", "Value": [{}]}}
        assert is_refused(create(service, item), "The required tag '(0008,0104)' is missing.")

    @pytest.mark.parametrize("keyword", list(REQUEST))
    def test_a_referenced_request_has_these(self, service: Service, keyword: str) -> None:
        assert create_with(service, ReferencedRequestSequence=[REQUEST]).status_code == 201
        request = {other: given for other, given in REQUEST.items() if other != keyword}
        response = create_with(service, ReferencedRequestSequence=[request])
        assert is_refused(response, f"The required tag '{name(keyword)}' is missing.")

    @pytest.mark.parametrize("keyword", [keyword for keyword in REQUEST if keyword != "StudyInstanceUID"])
    def test_all_of_a_referenced_request_but_the_study_may_be_empty(self, service: Service, keyword: str) -> None:
        assert create_with(service, ReferencedRequestSequence=[REQUEST | {keyword: None}]).status_code == 201

    def test_the_study_of_a_referenced_request_needs_a_value(self, service: Service) -> None:
        response = create_with(service, ReferencedRequestSequence=[REQUEST | {"StudyInstanceUID": None}])
        assert is_refused(response, "The value for tag '(0020,000d)' is missing.")

    def test_a_code_inside_a_referenced_request_needs_a_meaning(self, service: Service) -> None:
        request = REQUEST | {"RequestedProcedureCodeSequence": [{"CodeValue": "C1"}]}
        response = create_with(service, ReferencedRequestSequence=[request])
        assert is_refused(response, "The required tag '(0008,0104)' is missing.")

    @pytest.mark.parametrize(
        ("sequence", "keyword", "given"),
        [
            ("ProcedureStepProgressInformationSequence", "ProcedureStepProgress", 50),
            ("ProcedureStepProgressInformationSequence", "ProcedureStepProgressDescription", "half"),
            ("ProcedureStepProgressInformationSequence", "ProcedureStepCancellationDateTime", "2030"),
            ("ProcedureStepProgressInformationSequence", "ReasonForCancellation", "none"),
            ("ProcedureStepProgressInformationSequence", "ProcedureStepCommunicationsURISequence", []),
            ("ProcedureStepProgressInformationSequence", "ProcedureStepProgressParametersSequence", []),
            ("ProcedureStepProgressInformationSequence", "ProcedureStepDiscontinuationReasonCodeSequence", []),
            ("UnifiedProcedureStepPerformedProcedureSequence", "ActualHumanPerformersSequence", []),
            ("UnifiedProcedureStepPerformedProcedureSequence", "PerformedStationNameCodeSequence", []),
            ("UnifiedProcedureStepPerformedProcedureSequence", "PerformedProcedureStepStartDateTime", "2030"),
            ("UnifiedProcedureStepPerformedProcedureSequence", "PerformedProcedureStepEndDateTime", None),
            ("UnifiedProcedureStepPerformedProcedureSequence", "PerformedWorkitemCodeSequence", []),
            ("UnifiedProcedureStepPerformedProcedureSequence", "OutputInformationSequence", []),
        ],
    )
    def test_a_new_work_item_has_no_progress_and_nothing_performed(
        self, service: Service, sequence: str, keyword: str, given: Any
    ) -> None:
        response = create_with(service, **{sequence: [{keyword: given}]})
        assert is_refused(response, f"The attribute with tag '{name(keyword)}' cannot be present.")

    @pytest.mark.parametrize(
        ("sequence", "item", "missing"),
        [
            ("InputInformationSequence", INSTANCES, "TypeOfInstances"),
            ("InputInformationSequence", INSTANCES, "ReferencedSOPSequence"),
            ("ScheduledProcessingParametersSequence", PARAMETER, "ValueType"),
            ("ReplacedProcedureStepSequence", REFERENCE, "ReferencedSOPInstanceUID"),
            ("ScheduledHumanPerformersSequence", PERSON, "HumanPerformerName"),
            ("OtherPatientIDsSequence", OTHER_ID, "PatientID"),
        ],
    )
    def test_items_have_what_the_standard_asks_for(
        self, service: Service, sequence: str, item: dict[str, Any], missing: str
    ) -> None:
        assert create_with(service, **{sequence: [item]}).status_code == 201
        left = {keyword: given for keyword, given in item.items() if keyword != missing}
        response = create_with(service, **{sequence: [left]})
        assert is_refused(response, f"The required tag '{name(missing)}' is missing.")

    def test_instances_are_asked_for_in_the_items_only(self, service: Service) -> None:
        assert create_with(service).status_code == 201
        assert create_with(service, **INSTANCES).status_code == 201


class TestSearchableValues:
    @pytest.mark.parametrize(
        "attributes",
        [
            {"PatientID": "P" * 65},
            {"PatientName": "a^b^c^d^e^f"},
            {"StudyInstanceUID": "one"},
            {"ScheduledProcedureStepStartDateTime": "tomorrow"},
            {"ScheduledProcedureStepStartDateTime": "20300231"},
            {"ScheduledStationNameCodeSequence": [CODE | {"CodeValue": "C" * 17}]},
            {"ReferencedRequestSequence": [REQUEST | {"AccessionNumber": "A" * 17}]},
        ],
    )
    def test_what_can_be_searched_must_have_a_value_of_its_vr(
        self, service: Service, attributes: dict[str, Any]
    ) -> None:
        response = create_with(service, **attributes)
        assert response.status_code == 400
        assert response.json().startswith("Dicom element '") and "failed validation for VR" in response.json()

    def test_what_can_be_searched_must_have_its_vr(self, service: Service) -> None:
        item = workitem() | {"00100020": {"vr": "SH", "Value": ["P1"]}}
        text = "Dicom element 'PatientID' failed validation for VR 'LO': "
        assert is_refused(create(service, item), text + "The attribute has VR 'SH' where 'LO' is expected.")

    def test_others_are_kept_as_they_are(self, service: Service) -> None:
        work = worklist(service)
        item = work.retrieve(work.create(workitem(PatientSex="unknown", PatientAge="very old")))
        assert (value(item, "PatientSex"), value(item, "PatientAge")) == ("unknown", "very old")


class TestRetrieve:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_it_is_one_object_and_holds_what_was_sent(self, service: Service, version: str) -> None:
        work = worklist(service, version)
        sent = workitem(PatientName="Doe^Jane", ScheduledStationNameCodeSequence=[CODE], PatientWeight=70.5)
        response = work.send("GET", f"/{work.create(sent)}")
        assert response.status_code == 200 and response.headers["Content-Type"] == QUOTED
        item = response.json()
        assert {tag: item[tag] for tag in sent if tag != "00081195"} == without(sent, "TransactionUID")
        assert list(item) == sorted(item)

    @pytest.mark.parametrize("state", ["SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"])
    def test_it_never_shows_the_transaction_uid(self, service: Service, state: str) -> None:
        work = worklist(service)
        assert "00081195" not in work.retrieve(work.in_state(state))

    def test_one_that_is_not_there_is_404(self, service: Service) -> None:
        assert is_refused(worklist(service).send("GET", "/1.2.3"), NOT_FOUND, 404)

    @pytest.mark.parametrize("uid", ["one", "1.2.", "1" * 65])
    def test_what_is_no_uid_is_400(self, service: Service, uid: str) -> None:
        assert is_unreadable(worklist(service).send("GET", f"/{uid}"), BAD_UID)

    def test_padding_and_the_case_of_the_path_do_not_matter(self, service: Service) -> None:
        worklist(service).create(uid="1.2.3")
        response = service.owner.get(f"{service.url}/V2/WorkItems/1.2.3%20/", headers={"Accept": DICOM_JSON})
        assert value(response.json(), "SOPInstanceUID") == "1.2.3"

    def test_values_are_those_of_dicom_json(self, service: Service) -> None:
        """Numbers written as text become numbers, decimals keep their scale, tags have upper-case digits."""
        work = worklist(service)
        body = b"""{"0010102A": {"vr": "DS", "Value": ["1.50", 2.500, "wide"]},
            "00200013": {"vr": "IS", "Value": ["7"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Ideographic": "", "Phonetic": "C"}]},
            "0018602c": {"vr": "FD", "Value": [1, "NaN"]}, "00090010": {"vr": "LO", "Value": ["x", null]},
            "00091001": {"vr": "OB", "InlineBinary": "AAEC"}, "00091002": {"vr": "UN", "BulkDataURI": "http://x/"},
            "00101000": {"vr": "LO", "Value": []}, "00090000": {"vr": "UL", "Value": [4]}}"""
        rest = workitem(SOPInstanceUID="1.2.3")
        rest.pop("00100010")
        whole = b"[" + body[:-1] + b", " + json.dumps(rest).encode()[1:] + b"]"
        assert work.send("POST", "", whole).status_code == 201
        text = work.send("GET", "/1.2.3").text
        for expected in (
            '"0010102A":{"vr":"DS","Value":[1.50,2.500,"wide"]}',
            '"00200013":{"vr":"IS","Value":[7]}',
            '"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B","Phonetic":"C"}]}',
            '"0018602C":{"vr":"FD","Value":[1.0,"NaN"]}',
            '"00090010":{"vr":"LO","Value":["x",null]}',
            '"00091001":{"vr":"OB","InlineBinary":"AAEC"}',
            '"00091002":{"vr":"UN","BulkDataURI":"http://x/"}',
            '"00101000":{"vr":"LO"}',
        ):
            assert expected in text
        assert "00090000" not in text, "group lengths are left out"


@pytest.fixture(scope="module")
def divided() -> Iterator[Service]:
    """An emulator with partitions."""
    with own_emulator(partitions=True) as service:
        yield service


class TestPartitions:
    def test_creating_makes_the_partition_and_the_url_names_it(self, divided: Service) -> None:
        work = Worklist(divided.owner, f"{divided.v2}/partitions/new")
        response = work.send("POST", "?1.2.3", [workitem()])
        assert response.status_code == 201
        assert response.headers["Location"] == f"{divided.v2}/partitions/new/workitems/1.2.3"
        assert work.update("1.2.3").headers["Content-Location"] == response.headers["Location"]
        names = [each["partitionName"] for each in divided.owner.get(f"{divided.v2}/partitions").json()]
        assert "new" in names

    def test_the_same_uid_is_another_work_item_in_another_partition(self, divided: Service) -> None:
        a, b = (Worklist(divided.owner, f"{divided.v2}/partitions/{name}") for name in "ab")
        a.create(workitem(PatientID="PA"), "1.2.3")
        b.create(workitem(PatientID="PB"), "1.2.3")
        b.change("1.2.3", "IN PROGRESS")
        assert (value(a.retrieve("1.2.3"), "PatientID"), a.state("1.2.3")) == ("PA", "SCHEDULED")
        assert (value(b.retrieve("1.2.3"), "PatientID"), b.state("1.2.3")) == ("PB", "IN PROGRESS")
        assert (a.found("PatientID=PB"), b.found("PatientID=PB")) == ([], ["1.2.3"])

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", ""), ("GET", "/1.2"), ("POST", "/1.2"), ("PUT", "/1.2/state"), ("POST", "/1.2/cancelrequest")],
    )
    def test_nothing_else_makes_a_partition(self, divided: Service, method: str, path: str) -> None:
        work = Worklist(divided.owner, f"{divided.v2}/partitions/nowhere")
        response = work.send(method, path, None if method == "GET" else [{}])
        assert (response.status_code, response.text) == (400, "Specified PartitionName does not exist.")

    def test_without_the_feature_the_path_is_400(self, service: Service) -> None:
        response = Worklist(service.owner, f"{service.v2}/partitions/a").send("POST", "?1.2.3", [workitem()])
        assert (response.status_code, response.text) == (400, "Data partitions feature is disabled.")


class TestKept:
    def test_a_reset_forgets_them(self, service: Service) -> None:
        work = worklist(service)
        work.create(uid="1.2.3")
        assert service.nobody.post(f"{service.url}/_emulator/reset").status_code == 204
        assert is_refused(work.send("GET", "/1.2.3"), NOT_FOUND, 404)
        assert work.search() == []
        assert work.create(uid="1.2.3") == "1.2.3"

    def test_they_outlive_a_restart(self, tmp_path: Any) -> None:
        with own_emulator(data_dir=tmp_path) as service:
            uid = worklist(service).in_state("IN PROGRESS", PatientID="P1")
        with own_emulator(data_dir=tmp_path) as service:
            work = worklist(service)
            assert work.found("PatientID=P1") == [uid]
            assert work.change(uid, "IN PROGRESS", "1.2.4").json().endswith("C301.")

    def test_they_are_no_instances(self, service: Service) -> None:
        worklist(service).create(workitem(StudyInstanceUID="1.2.900"))
        assert service.owner.get(f"{service.v2}/studies", headers={"Accept": DICOM_JSON}).status_code == 204
        assert service.owner.get(f"{service.v2}/changefeed").json() == []


class TestRoles:
    REQUESTS = [("POST", "?1.2"), ("POST", "/1.2"), ("PUT", "/1.2/state"), ("POST", "/1.2/cancelrequest")]

    @pytest.mark.parametrize(("method", "path"), REQUESTS)
    def test_a_reader_may_not_write(self, service: Service, method: str, path: str) -> None:
        response = Worklist(service.reader, service.v2).send(method, path, [workitem()])
        assert (response.status_code, response.text) == (403, "Authorization failed.")
        assert response.headers["Content-Type"] == PLAIN_TEXT

    def test_a_reader_may_read_and_search(self, service: Service) -> None:
        uid = worklist(service).create()
        work = Worklist(service.reader, service.v2)
        assert value(work.retrieve(uid), "SOPInstanceUID") == uid and work.found() == [uid]

    @pytest.mark.parametrize(("method", "path"), [*REQUESTS, ("GET", ""), ("GET", "/1.2")])
    def test_nobody_may_do_anything_without_a_token(self, service: Service, method: str, path: str) -> None:
        body = None if method == "GET" else [workitem()]
        assert Worklist(service.nobody, service.v2).send(method, path, body).status_code == 401
