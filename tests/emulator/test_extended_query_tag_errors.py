"""What a re-index could not index: error rows, disabled queries (conformance statement, extended query tags)."""

import re
from datetime import datetime
from typing import Any

import pytest
import requests

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path, raw_instance, uids
from tests.emulator.operations import (
    JSON_TYPE,
    add_tags,
    get_tag,
    set_query_status,
    tag,
    tag_errors,
)
from tests.emulator.storing import DICOM_JSON, VERSIONS, own_emulator, search

ALL_VERSIONS = ["v1.0-prerelease", *VERSIONS]
AGE = "00101010"
HEADER = "erroneous-dicom-attributes"
NO_DATE = "Value cannot be parsed as a valid date."
TOO_LONG, WRONG_LENGTH = "Value length exceeds maximum length.", "Value length is not expected."
INVALID_CHARACTER, WRONG_VR = "Value contains invalid character.", "The extended query tag VR is not expected."
# What v1 stores as long as nobody has added the tag, and what the re-index says of it; None: some sentence.
FAULTS: list[tuple[str, Any, str | None]] = [
    ("StationAETitle", b"A" * 18, TOO_LONG),
    ("PatientAge", b"30 years", WRONG_LENGTH),
    ("PatientAge", b"3Y", WRONG_LENGTH),
    ("BodyPartExamined", b"A" * 18, TOO_LONG),
    ("StationName", b"A" * 18, TOO_LONG),
    ("SeriesDescription", b"A" * 66, TOO_LONG),
    ("SeriesDescription", b"A\tB", INVALID_CHARACTER),
    ("SeriesDescription", b"A\0B ", INVALID_CHARACTER),
    ("SeriesDate", b"20240230", NO_DATE),
    ("SeriesDate", b"2024.02.29", NO_DATE),
    ("SeriesDate", b"20240101-", NO_DATE),
    ("OperatorsName", b"A\0B ", INVALID_CHARACTER),
    ("OperatorsName", b"A^B^C^D^E^F", None),
    ("OperatorsName", b"A" * 66, None),
    ("AcquisitionDateTime", b"yesterday", None),
    ("SeriesTime", b"noon", None),
    ("InstanceNumber", b"one", None),
    ("InstanceNumber", b"99999999999", None),
    ("FrameOfReferenceUID", b"abc", None),
    ("PatientAge", ("LO", b"030Y"), WRONG_VR),
    ("Rows", ("SS", b"\0\2"), WRONG_VR),
    ("InstanceNumber", ("LO", b"3"), WRONG_VR),
]

PASS_IN_V2 = {b"20240230", b"20240101-"}  # the rules of v2 look at the pattern of a date, or of a range


def store_bad(service: Service, number: int = 1, **more: Any) -> list[bytes]:
    """Files whose PatientAge cannot be indexed."""
    files = [raw_instance({"PatientAge": b"30 years"} | more) for _ in range(number)]
    assert service.store(*files, version="v1").status_code == 200
    return files


def ask(service: Service, below: str = "instances", version: str = "v2", **query: str) -> requests.Response:
    return service.owner.get(f"{service.url}/{version}/{below}", params=query, headers={"Accept": DICOM_JSON})


class TestReindex:
    @pytest.mark.parametrize(("keyword", "value", "message"), FAULTS)
    @pytest.mark.parametrize("level", ["Study", "Instance"])
    def test_a_value_that_cannot_be_indexed(
        self, service: Service, level: str, keyword: str, value: Any, message: str | None
    ) -> None:
        assert service.store(raw_instance({keyword: value}), version="v1").status_code == 200
        operation = add_tags(service, tag(keyword, level))
        assert operation["status"] == "succeeded", "errors of values are no failure of the operation"
        entry = get_tag(service, keyword)
        assert (entry["status"], entry["queryStatus"], entry["errors"]["count"]) == ("ready", "disabled", 1)
        (error,) = tag_errors(service, keyword)
        assert error["errorMessage"] == message or (message is None and error["errorMessage"].endswith("."))

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_an_error_has_these_properties(self, service: Service, version: str) -> None:
        (file,) = store_bad(service)
        before = datetime.now().astimezone()
        add_tags(service, tag("PatientAge"))
        response = service.owner.get(f"{service.url}/{version}/extendedquerytags/{AGE}/errors")
        assert response.status_code == 200
        assert response.headers["Content-Type"] == JSON_TYPE
        (error,) = response.json()
        created = error.pop("createdTime")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?\+00:00", created)
        assert before <= datetime.fromisoformat(created) <= datetime.now().astimezone()
        study, series, sop = uids(file)
        assert error == {
            "studyInstanceUid": study,
            "seriesInstanceUid": series,
            "sopInstanceUid": sop,
            "errorMessage": WRONG_LENGTH,
            "partitionName": "Microsoft.Default",
        }

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_the_entry_counts_them_and_says_where_they_are(self, service: Service, version: str) -> None:
        store_bad(service, 3)
        service.store(instance(PatientAge="030Y"))
        add_tags(service, tag("PatientAge", "Study"))
        base = f"{service.url}/{version}/extendedquerytags"
        entry = service.owner.get(f"{base}/{AGE}").json()
        assert entry == {
            "path": AGE,
            "vr": "AS",
            "level": "study",
            "status": "ready",
            "queryStatus": "disabled",
            "errors": {"count": 3, "href": f"{base}/{AGE}/errors"},
        }
        assert service.owner.get(base).json() == [entry]
        assert len(service.owner.get(entry["errors"]["href"]).json()) == 3

    def test_without_errors_there_are_none(self, service: Service) -> None:
        service.store(instance(PatientAge="030Y"), instance(), instance(PatientAge=""))
        add_tags(service, tag("PatientAge"))
        assert "errors" not in get_tag(service, AGE)
        assert tag_errors(service, AGE) == []

    @pytest.mark.parametrize("keyword", ["PatientAge", AGE])
    def test_they_are_found_by_keyword_and_hex(self, service: Service, keyword: str) -> None:
        store_bad(service)
        add_tags(service, tag("PatientAge"))
        assert len(tag_errors(service, keyword)) == 1

    def test_pages(self, service: Service) -> None:
        store_bad(service, 5)
        add_tags(service, tag("PatientAge"))
        everything = [error["sopInstanceUid"] for error in tag_errors(service, AGE)]
        assert len(set(everything)) == 5

        def page(**query: int) -> list[str]:
            return [error["sopInstanceUid"] for error in tag_errors(service, AGE, **query)]

        assert page(limit=2) == everything[:2]
        assert page(limit=2, offset=2) == everything[2:4]
        assert page(offset=4) == everything[4:]
        assert page(offset=5) == []

    def test_a_page_has_100_unless_asked_otherwise(self, service: Service) -> None:
        store_bad(service, 101)
        add_tags(service, tag("PatientAge"))
        assert len(tag_errors(service, AGE)) == 100
        assert len(tag_errors(service, AGE, limit=200)) == 101

    def test_each_tag_has_its_own(self, service: Service) -> None:
        store_bad(service, SeriesDate=b"20240230")
        store_bad(service)
        add_tags(service, tag("PatientAge"), tag("SeriesDate"), tag("Rows"))
        entries = [get_tag(service, name) for name in ("PatientAge", "SeriesDate", "Rows")]
        assert [entry.get("errors", {}).get("count") for entry in entries] == [2, 1, None]
        assert [entry["queryStatus"] for entry in entries] == ["disabled", "disabled", "enabled"]
        assert [len(tag_errors(service, name)) for name in ("PatientAge", "SeriesDate", "Rows")] == [2, 1, 0]

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [(keyword, value) for keyword, value, message in FAULTS if message != WRONG_VR and value not in PASS_IN_V2],
    )
    def test_what_v2_dropped_at_store_is_missing_and_no_error(
        self, service: Service, keyword: str, value: bytes
    ) -> None:
        assert service.store(raw_instance({keyword: value}), version="v2").status_code == 202
        add_tags(service, tag(keyword))
        assert "errors" not in get_tag(service, keyword)
        assert get_tag(service, keyword)["queryStatus"] == "enabled"
        assert ask(service).json()

    def test_a_file_that_v1_refuses_or_v2_warns_of_makes_no_error(self, service: Service) -> None:
        add_tags(service, tag("PatientAge"))
        for version in VERSIONS:
            service.store(raw_instance({"PatientAge": b"30 years"}), version=version)
        assert "errors" not in get_tag(service, AGE) and tag_errors(service, AGE) == []
        assert get_tag(service, AGE)["queryStatus"] == "enabled"


class TestAfterwards:
    def test_others_are_indexed_all_the_same(self, service: Service) -> None:
        good = instance(PatientAge="030Y")
        service.store(good)
        store_bad(service)
        later = instance(PatientAge="030Y")
        add_tags(service, tag("PatientAge"))
        service.store(later)
        set_query_status(service, AGE, "Enabled")
        rows = search(service, "instances", PatientAge="030Y")
        assert {row["00080018"]["Value"][0] for row in rows} == {uids(good)[2], uids(later)[2]}

    @pytest.mark.parametrize("level", ["Study", "Series", "Instance"])
    def test_deleting_an_instance_takes_its_errors_along(self, service: Service, level: str) -> None:
        files = store_bad(service, 3)
        add_tags(service, tag("PatientAge", level))
        service.owner.delete(f"{service.v2}/{path(files[0])}")
        assert get_tag(service, AGE)["errors"]["count"] == 2
        service.owner.delete(f"{service.v2}/{path(files[1], 'study')}")
        errors = tag_errors(service, AGE)
        assert [error["sopInstanceUid"] for error in errors] == [uids(files[2])[2]]
        service.owner.delete(f"{service.v2}/{path(files[2], 'series')}")
        assert tag_errors(service, AGE) == []
        assert "errors" not in get_tag(service, AGE)

    def test_a_replaced_instance_has_no_error_any_more(self, service: Service) -> None:
        (file,) = store_bad(service)
        add_tags(service, tag("PatientAge"))
        study, series, sop = uids(file)
        better = instance(StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=sop, PatientAge="030Y")
        headers = {"Content-Type": "application/dicom", "Accept": DICOM_JSON}
        assert service.owner.put(f"{service.v2}/studies", data=better, headers=headers).status_code == 200
        assert tag_errors(service, AGE) == []

    def test_a_tag_that_comes_back_starts_anew(self, service: Service) -> None:
        (file,) = store_bad(service)
        add_tags(service, tag("PatientAge"))
        service.owner.delete(f"{service.v2}/extendedquerytags/{AGE}")
        service.owner.delete(f"{service.v2}/{path(file)}")
        add_tags(service, tag("PatientAge"))
        assert "errors" not in get_tag(service, AGE)
        assert get_tag(service, AGE)["queryStatus"] == "enabled"

    def test_a_tag_that_comes_back_finds_the_same_errors(self, service: Service) -> None:
        store_bad(service)
        for _ in range(2):
            add_tags(service, tag("PatientAge"))
            assert get_tag(service, AGE)["errors"]["count"] == 1
            service.owner.delete(f"{service.v2}/extendedquerytags/{AGE}")

    def test_partitions_are_named(self) -> None:
        with own_emulator(partitions=True) as service:
            file = raw_instance({"PatientAge": b"30 years"})
            assert service.store(file, version="v1", partition="/partitions/clinic-a").status_code == 200
            add_tags(service, tag("PatientAge"))
            assert [error["partitionName"] for error in tag_errors(service, AGE)] == ["clinic-a"]


class TestSearch:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("key", ["PatientAge", AGE])
    def test_it_is_400_until_it_is_enabled(self, service: Service, version: str, key: str) -> None:
        store_bad(service)
        add_tags(service, tag("PatientAge"))
        response = ask(service, version=version, **{key: "030Y"})
        assert response.status_code == 400
        assert response.text == f"Query is disabled on specified attribute '{key}'."
        set_query_status(service, AGE, "Enabled")
        assert get_tag(service, AGE)["errors"]["count"] == 1, "the errors stay"
        assert ask(service, version=version, **{key: "030Y"}).status_code == 204

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("key", ["PatientAge", AGE])
    def test_then_a_header_names_the_filter_as_it_was_written(self, service: Service, version: str, key: str) -> None:
        store_bad(service)
        service.store(instance(PatientAge="030Y"))
        add_tags(service, tag("PatientAge", "Study"))
        set_query_status(service, AGE, "Enabled")
        for below in ("studies", "series", "instances"):
            hit, miss = (ask(service, below, version, **{key: age}) for age in ("030Y", "031Y"))
            assert (hit.status_code, hit.headers[HEADER]) == (200, key)
            assert (miss.status_code, miss.headers[HEADER]) == (204, key)

    def test_hex_digits_are_named_as_written(self, service: Service) -> None:
        service.store(raw_instance({"0040A13A": ("DT", b"yesterday")}), version="v1")
        add_tags(service, tag("0040A13A"))
        set_query_status(service, "0040A13A", "Enabled")
        assert ask(service, **{"0040a13a": "2024"}).headers[HEADER] == "0040a13a"

    def test_several_are_separated_by_commas(self, service: Service) -> None:
        store_bad(service, SeriesDate=b"20240230")
        add_tags(service, tag("PatientAge"), tag("SeriesDate"), tag("Rows"))
        for name in (AGE, "SeriesDate"):
            set_query_status(service, name, "Enabled")
        response = ask(service, SeriesDate="20240101", Rows="5", PatientID="P1", **{AGE: "030Y"})
        assert [name.strip() for name in response.headers[HEADER].split(",")] == ["SeriesDate", AGE]

    def test_searches_without_it_have_no_header(self, service: Service) -> None:
        store_bad(service)
        add_tags(service, tag("PatientAge"), tag("Rows"))
        set_query_status(service, AGE, "Enabled")
        for query in ({}, {"Rows": "5"}, {"PatientID": "P1"}, {"includefield": "PatientAge"}):
            assert HEADER not in ask(service, **query).headers

    def test_a_tag_without_errors_has_no_header(self, service: Service) -> None:
        service.store(instance(PatientAge="030Y"))
        add_tags(service, tag("PatientAge"))
        assert HEADER not in ask(service, PatientAge="030Y").headers

    def test_the_header_goes_with_the_last_error(self, service: Service) -> None:
        (file,) = store_bad(service)
        add_tags(service, tag("PatientAge"))
        set_query_status(service, AGE, "Enabled")
        assert HEADER in ask(service, PatientAge="030Y").headers
        service.owner.delete(f"{service.v2}/{path(file)}")
        assert HEADER not in ask(service, PatientAge="030Y").headers
