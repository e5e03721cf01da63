"""Searching work items (conformance statement, UPS-RS; PS3.18 §11.9)."""

from typing import Any

import pytest
import requests
from pydicom.datadict import tag_for_keyword

from tests.emulator.conftest import Service
from tests.emulator.work import (
    CODE,
    MAY_BE_EMPTY,
    NEED_A_VALUE,
    PERFORMER,
    REQUEST,
    VERSIONS,
    Worklist,
    is_unreadable,
    value,
    workitem,
    worklist,
)

# Path, the same path in hexadecimal digits, and a value.
TEN = [
    ("PatientName", "00100010", "Doe^Jane"),
    ("PatientID", "00100020", "P1"),
    ("ReferencedRequestSequence.AccessionNumber", "0040A370.00080050", "A1"),
    ("ReferencedRequestSequence.RequestedProcedureID", "0040A370.00401001", "R1"),
    ("ScheduledProcedureStepStartDateTime", "00404005", "20300102030405"),
    ("ScheduledStationNameCodeSequence.CodeValue", "00404025.00080100", "NAME"),
    ("ScheduledStationClassCodeSequence.CodeValue", "00404026.00080100", "CLASS"),
    ("ScheduledStationGeographicLocationCodeSequence.CodeValue", "00404027.00080100", "PLACE"),
    ("ProcedureStepState", "00741000", "IN PROGRESS"),
    ("StudyInstanceUID", "0020000D", "1.2.900"),
]
FULL = {
    "PatientName": "Doe^Jane",
    "PatientID": "P1",
    "StudyInstanceUID": "1.2.900",
    "ReferencedRequestSequence": [REQUEST],
    "ScheduledStationNameCodeSequence": [CODE | {"CodeValue": "NAME"}],
    "ScheduledStationClassCodeSequence": [CODE | {"CodeValue": "CLASS"}],
    "ScheduledStationGeographicLocationCodeSequence": [CODE | {"CodeValue": "PLACE"}],
}
START = "ScheduledProcedureStepStartDateTime"


def ask(service: Service, query: str) -> requests.Response:
    return worklist(service).send("GET", f"?{query}")


class TestAttributes:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(("path", "digits", "wanted"), TEN)
    def test_each_of_ten_finds_what_has_the_value(
        self, service: Service, version: str, path: str, digits: str, wanted: str
    ) -> None:
        work = worklist(service, version)
        work.create(workitem(ScheduledProcedureStepStartDateTime="2031"))
        uid = work.in_state("IN PROGRESS", **FULL)
        for name in (path, digits, digits.lower()):
            assert work.found(f"{name}={wanted}") == [uid], name
            assert work.found(f"{name}=2029") == []

    def test_keywords_and_digits_may_stand_in_one_path(self, service: Service) -> None:
        work = worklist(service)
        uid = work.create(workitem(**FULL))
        assert work.found("0040A370.AccessionNumber=A1") == [uid]
        assert work.found("ReferencedRequestSequence.00080050=A1") == [uid]

    @pytest.mark.parametrize(
        "name",
        [
            "Modality", "PatientBirthDate", "AccessionNumber", "CodeValue", "ScheduledStationNameCodeSequence",
            "ReferencedRequestSequence.StudyInstanceUID", "ScheduledStationNameCodeSequence.CodeMeaning",
            "ScheduledWorkitemCodeSequence.CodeValue", "PatientName.PatientID", "00080060", "00111001",
            "ReferencedRequestSequence.RequestedProcedureCodeSequence.CodeValue", "TransactionUID",
            "ReferencedRequestSequence.ReferencedRequestSequence.AccessionNumber",
        ],
    )  # fmt: skip
    def test_others_cannot_be_searched(self, service: Service, name: str) -> None:
        response = ask(service, f"{name}=1")
        assert is_unreadable(response, f"Invalid query: AttributeId {name} is not queryable")

    @pytest.mark.parametrize(
        "name",
        ["patientname", "Nothing", "0010", "0010,0010", "ReferencedRequestSequence.", ".PatientID", "a.b", "00100010x"],
    )
    def test_what_is_no_attribute_is_unknown(self, service: Service, name: str) -> None:
        response = ask(service, f"{name}=1")
        assert is_unreadable(response, f"Invalid query: unknown query parameter '{name}'.")

    @pytest.mark.parametrize(
        "query",
        [
            "PatientID=1&PatientID=2",
            "PatientID=1&00100020=1",
            "ReferencedRequestSequence.AccessionNumber=1&0040A370.00080050=1",
            "0040A370.00080050=1&0040a370.00080050=1",
        ],
    )
    def test_an_attribute_may_be_given_once(self, service: Service, query: str) -> None:
        assert is_unreadable(ask(service, query), "Invalid query: ")

    @pytest.mark.parametrize("blank", ["", "%20", "%20%20"])
    @pytest.mark.parametrize("name", ["PatientID", START, "ReferencedRequestSequence.AccessionNumber"])
    def test_a_value_is_needed(self, service: Service, name: str, blank: str) -> None:
        assert is_unreadable(ask(service, f"{name}={blank}"), f"Invalid query: attribute {name} has no value.")

    def test_several_attributes_must_all_match(self, service: Service) -> None:
        work = worklist(service)
        uid = work.create(workitem(**FULL))
        both = "ScheduledStationNameCodeSequence.CodeValue=NAME&ScheduledStationClassCodeSequence.CodeValue="
        assert work.found(both + "CLASS") == [uid]
        assert work.found(both + "OTHER") == []
        assert work.found("PatientID=P1&PatientName=Nobody") == []

    def test_any_item_of_a_sequence_will_do_and_the_row_comes_once(self, service: Service) -> None:
        work = worklist(service)
        items = [CODE | {"CodeValue": code} for code in ("X1", "X2", "X1")]
        uid = work.create(workitem(ScheduledStationNameCodeSequence=items))
        for code in ("X1", "X2"):
            assert work.found(f"ScheduledStationNameCodeSequence.CodeValue={code}") == [uid]

    def test_what_is_not_there_is_not_found(self, service: Service) -> None:
        work = worklist(service)
        work.create()
        assert work.search("PatientID=P1") == [] and work.found("PatientName=P1&fuzzymatching=true") == []


class TestMatching:
    @pytest.mark.parametrize(
        ("stored", "query"),
        [
            ({"PatientID": "Abc"}, "PatientID=aBC"),
            ({"PatientID": "Abc  "}, "PatientID=Abc"),
            ({"PatientID": "Abc"}, "PatientID=Abc%20"),
            ({"PatientName": "Müller^José"}, "PatientName=MULLER^jose"),
            ({"ScheduledStationNameCodeSequence": [CODE]}, "ScheduledStationNameCodeSequence.CodeValue=c1"),
            ({}, "ProcedureStepState=scheduled"),
        ],
    )
    def test_case_padding_and_accents_of_names_do_not_matter(
        self, service: Service, stored: dict[str, Any], query: str
    ) -> None:
        work = worklist(service)
        uid = work.create(workitem(**stored))
        assert work.found(query) == [uid]

    @pytest.mark.parametrize(
        "query", ["PatientID=P*", "PatientID=P", "PatientID=?1", "PatientName=Doe", "PatientID=José"]
    )
    def test_there_are_no_wildcards_and_no_parts(self, service: Service, query: str) -> None:
        work = worklist(service)
        work.create(workitem(PatientID="P1", PatientName="Doe^Jane"))
        work.create(workitem(PatientID="Jose"))
        assert work.found(query) == []

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [("doe", 1), ("ja", 1), ("jane an", 1), ("doe^jane", 1), ("doe ann", 0), ("ane", 0), ("jane doe", 0)],
    )
    def test_fuzzy_matching_takes_the_beginnings_of_words(self, service: Service, wanted: str, found: int) -> None:
        work = worklist(service)
        work.create(workitem(PatientName="Doe^Jane Ann"))
        assert len(work.found(f"PatientName={wanted}&fuzzymatching=true")) == found
        assert work.found(f"PatientName={wanted}&fuzzymatching=false") == []

    def test_fuzzy_matching_is_for_names(self, service: Service) -> None:
        work = worklist(service)
        work.create(workitem(PatientID="Abc", PatientName="Doe"))
        assert work.found("PatientID=Ab&fuzzymatching=true") == []
        assert len(work.found("PatientID=abc&PatientName=d&FuzzyMatching=TRUE")) == 1

    def test_a_quotation_mark_in_a_fuzzy_value_is_400(self, service: Service) -> None:
        assert is_unreadable(ask(service, 'PatientName="d&fuzzymatching=true'), "Invalid query: a quotation mark")
        assert ask(service, 'PatientName="d').status_code == 204


class TestMoments:
    STORED = ["20300102", "20300102030405", "20300102030405.5", "20300102040000+0100", "2031"]

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ("20300102", [0]),
            ("20300102000000", [0]),
            ("2030010203040500", None),
            ("20300102030405", [1]),
            ("20300102030405.0", [1]),
            ("20300102030405.500000", [2]),
            ("2030010204", [3]),
            ("20310101", [4]),
            ("2030", []),
            ("20300102030405-", [1, 2, 3, 4]),
            ("-20300102030405", [0, 1]),
            ("-20300102030405.5", [0, 1, 2]),
            ("2030-2031", [0, 1, 2, 3, 4]),
            ("20300102-20300102", [0]),
            ("20300102-20300103", [0, 1, 2, 3]),
            ("20300102030405-2030010204", [1, 2, 3]),
            ("2032-", []),
            ("-2029", []),
        ],
    )
    def test_a_moment_or_a_range_with_both_ends(self, service: Service, wanted: str, found: list[int] | None) -> None:
        work = worklist(service)
        if found is None:
            assert is_unreadable(ask(service, f"{START}={wanted}"), "Invalid query: specified date time")
            return
        uids = [work.create(workitem(ScheduledProcedureStepStartDateTime=moment)) for moment in self.STORED]
        assert work.found(f"{START}={wanted}") == [uids[number] for number in reversed(found)]

    @pytest.mark.parametrize(
        "wanted",
        ["tomorrow", "203", "20300231", "203013", "2030010225", "-", "20300102%2B0100", "20300102+0100", "2030-01-02",
         "2030-2031-2032", "20300102-20300101", "2031-2030", "2030-x", "x-2030", "20300102030405.1234567"],
    )  # fmt: skip
    def test_anything_else_is_400(self, service: Service, wanted: str) -> None:
        assert is_unreadable(ask(service, f"{START}={wanted}"), "Invalid query: ")


class TestPaging:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_newest_first_and_page_by_page(self, service: Service, version: str) -> None:
        work = worklist(service, version)
        uids = [work.create() for _ in range(5)][::-1]
        work.update(uids[3], ProcedureStepLabel="Knee")
        assert work.found() == uids
        pages = [work.found(f"limit=2&offset={offset}") for offset in (0, 2, 4, 6)]
        assert pages == [uids[:2], uids[2:4], uids[4:], []]

    def test_a_page_has_100_unless_the_client_says_otherwise_and_200_at_the_most(self, service: Service) -> None:
        work = worklist(service)
        for _ in range(201):
            work.create()
        assert [len(work.found(query)) for query in ("", "limit=200", "LIMIT=200&Offset=200")] == [100, 200, 1]

    @pytest.mark.parametrize("limit", ["0", "201", "-1", "500"])
    def test_a_limit_out_of_range_is_400(self, service: Service, limit: str) -> None:
        text = "The query parameter 'Limit' is invalid. The field Limit must be between 1 and 200."
        response = ask(service, f"PatientName=Foo&limit={limit}")
        assert is_unreadable(response) and response.text == text

    @pytest.mark.parametrize("query", ["limit=ten", "offset=-1", "offset=x", "fuzzymatching=maybe", "limit="])
    def test_parameters_of_another_kind_are_400(self, service: Service, query: str) -> None:
        assert is_unreadable(ask(service, query))

    def test_nothing_found_is_204(self, service: Service) -> None:
        assert ask(service, "").status_code == 204
        worklist(service).create()
        assert ask(service, "offset=1").status_code == 204


class TestWhatIsReturned:
    MORE = {"MedicalAlerts": "None", "PregnancyStatus": 4, "SpecialNeeds": "None", "SpecificCharacterSet": "ISO_IR 192",
            "ScheduledHumanPerformersSequence": None} | FULL  # fmt: skip
    BEYOND = {"PatientAge": "030Y", "Occupation": "Cook"}
    ALWAYS = {
        *NEED_A_VALUE, *MAY_BE_EMPTY, *MORE, "SOPClassUID", "SOPInstanceUID", "WorklistLabel", "ProcedureStepState",
    } - {"CommentsOnTheScheduledProcedureStep", "UnifiedProcedureStepPerformedProcedureSequence"}  # fmt: skip

    def row(self, service: Service, query: str) -> dict[str, Any]:
        work = worklist(service)
        work.in_state("IN PROGRESS", **self.MORE, **self.BEYOND)
        [row] = work.search(query)
        return row

    def tags(self, *keywords: str) -> set[str]:
        return {f"{tag_for_keyword(keyword):08X}" for keyword in keywords}

    @pytest.mark.parametrize("query", ["", "PatientID=P1", "ReferencedRequestSequence.AccessionNumber=A1"])
    def test_the_default_attributes(self, service: Service, query: str) -> None:
        row = self.row(service, query)
        assert set(row) == self.tags(*self.ALWAYS) and list(row) == sorted(row)
        assert row["0040A370"]["Value"][0]["00080050"] == {"vr": "SH", "Value": ["A1"]}
        assert row["00404021"] == {"vr": "SQ"}, "what has no value is there as well"

    @pytest.mark.parametrize(
        "query",
        ["includefield=PatientAge,Occupation", "includefield=00101010&IncludeField=Occupation,PatientID"],
    )
    def test_more_can_be_asked_for(self, service: Service, query: str) -> None:
        assert set(self.row(service, query)) == self.tags(*self.ALWAYS, *self.BEYOND)

    @pytest.mark.parametrize("query", ["includefield=all", "includefield=ALL&PatientID=P1"])
    def test_all_is_everything_but_the_transaction_uid(self, service: Service, query: str) -> None:
        row = self.row(service, query)
        assert row == worklist(service).retrieve(value(row, "SOPInstanceUID"))
        assert "00081195" not in row and self.tags(*self.BEYOND) < set(row)

    @pytest.mark.parametrize("field", ["TransactionUID", "00081195"])
    def test_the_transaction_uid_cannot_be_asked_for(self, service: Service, field: str) -> None:
        row = self.row(service, f"includefield={field}")
        assert set(row) == self.tags(*self.ALWAYS) and PERFORMER not in str(row)

    @pytest.mark.parametrize(
        "fields",
        [
            "nothing", "patientage", "0010,1010", "ReferencedRequestSequence.AccessionNumber", "0040A370.00080050",
            "all,PatientAge", "PatientAge,all", "all&includefield=PatientAge", "PatientAge,nothing", "",
        ],
    )  # fmt: skip
    def test_a_field_below_the_top_or_unknown_or_beside_all_is_400(self, service: Service, fields: str) -> None:
        assert is_unreadable(ask(service, f"includefield={fields}"), "Invalid query: ")


class TestAccept:
    REQUESTS = [("GET", ""), ("GET", "/1.2.3"), ("POST", "?1.2.4")]

    def send(self, service: Service, method: str, path: str, accept: str | None) -> requests.Response:
        work = worklist(service)
        work.create(uid="1.2.3")
        return work.send(method, path, [workitem()] if method == "POST" else None, accept)

    @pytest.mark.parametrize(("method", "path"), REQUESTS)
    @pytest.mark.parametrize("accept", [None, "", "application/dicom", "application/xml", "text/plain", "nonsense"])
    def test_searching_reading_and_creating_need_json_to_be_acceptable(
        self, service: Service, method: str, path: str, accept: str | None
    ) -> None:
        response = self.send(service, method, path, accept)
        assert (response.status_code, response.content) == (406, b"")
        assert worklist(service).found() == ["1.2.3"]

    @pytest.mark.parametrize(("method", "path"), REQUESTS)
    @pytest.mark.parametrize(
        "accept", ["*/*", "application/*", "application/json", "image/png, application/dicom+json"]
    )
    def test_these_will_do(self, service: Service, method: str, path: str, accept: str) -> None:
        assert self.send(service, method, path, accept).status_code == (201 if method == "POST" else 200)


def test_a_search_stays_in_its_version_and_sees_those_of_others(service: Service) -> None:
    """The versions are doors to the same work items."""
    uid = worklist(service, "v1").create()
    assert Worklist(service.owner, service.v2).found() == [uid]
