"""Searching by extended query tags: levels, VRs, ranges, and what is indexed when (conformance statement, Search)."""

import struct
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from pydicom.uid import ImplicitVRLittleEndian

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path, raw_instance, uids
from tests.emulator.operations import add_tags, post_tags, set_query_status, succeeded, tag
from tests.emulator.storing import (
    DICOM_JSON,
    PLAIN_TEXT,
    VERSIONS,
    comments,
    failed,
    failure_reasons,
    metadata,
    own_emulator,
    search,
    stored,
    warning_reason,
)

ALL_VERSIONS = ["v1.0-prerelease", *VERSIONS]
AGE = "00101010"
LEVELS = ["study", "series", "instance"]
# VR: keyword, the value in the file, queries that find it, queries that do not.
EXACT: dict[str, tuple[str, Any, list[str], list[str]]] = {
    "AE": ("StationAETitle", "SCANNER_1", ["SCANNER_1", "scanner_1", "SCANNER_1 "], ["SCANNER", "SCANNER_*"]),
    "AS": ("PatientAge", "030Y", ["030Y", "030y"], ["30Y", "031Y"]),
    "CS": ("BodyPartExamined", "HEAD", ["HEAD", "head"], ["HEA", "HEADS", "HEA?"]),
    "DA": ("SeriesDate", "20240229", ["20240229"], ["20240228"]),
    "DT": ("AcquisitionDateTime", "20240229123015.5", ["20240229123015.5", "20240229123015.500000"], ["20240229"]),
    "FD": ("ReferencePixelPhysicalValueX", 0.1, ["0.1", "0.10", "1e-1", ".1"], ["0.2", "-0.1"]),
    "FL": ("ExaminedBodyThickness", 1.5, ["1.5", "1.50", "15e-1", "+1.5"], ["1", "-1.5"]),
    "IS": ("InstanceNumber", "3", ["3", "03", "0003", "+3"], ["30", "-3"]),
    "LO": ("SeriesDescription", "Größe 1", ["Größe 1", "größe 1", "Größe 1 "], ["Grosse 1", "Größe"]),
    "PN": ("OperatorsName", "Müller^Jörg", ["Müller^Jörg", "muller^jorg", "MÜLLER^JÖRG"], ["Müller", "Jörg^Müller"]),
    "SH": ("StationName", "Room 7", ["Room 7", "ROOM 7"], ["Room"]),
    "SL": ("ReferencePixelX0", -70000, ["-70000", "-070000"], ["70000"]),
    "SS": ("TIDOffset", -7, ["-7"], ["7"]),
    "TM": ("SeriesTime", "1230", ["1230", "123000", "123000.000000"], ["12", "123001"]),
    "UI": ("FrameOfReferenceUID", "1.2.3.4", ["1.2.3.4"], ["1.2.3", "1.2.3.40"]),
    "UL": ("SimpleFrameList", 4000000000, ["4000000000"], ["4000000001"]),
    "US": ("Rows", 512, ["512", "0512"], ["51", "5120"]),
}


def ask(service: Service, level: str = "instances", version: str = "v2", **query: str) -> requests.Response:
    return service.owner.get(f"{service.url}/{version}/{level}", params=query, headers={"Accept": DICOM_JSON})


def refused(response: requests.Response) -> str:
    assert response.status_code == 400, response.text
    assert response.headers["Content-Type"] == PLAIN_TEXT
    return response.text


def found(service: Service, below: str = "instances", version: str = "v2", **query: str) -> set[str]:
    """The SOP instance UIDs, or those of the lowest level that the rows have."""
    rows = search(service, below, version, **query)
    return {next(row[key]["Value"][0] for key in ("00080018", "0020000E", "0020000D") if key in row) for row in rows}


def sop(file: bytes) -> str:
    return uids(file)[2]


class TestValues:
    @pytest.mark.parametrize("vr", EXACT)
    @pytest.mark.parametrize("stored_first", [True, False], ids=["reindexed", "indexed at store"])
    @pytest.mark.parametrize("version", VERSIONS)
    def test_equality(self, service: Service, version: str, stored_first: bool, vr: str) -> None:
        keyword, value, hits, misses = EXACT[vr]
        file, other = instance(**{keyword: value}), instance()
        if stored_first:
            service.store(file, other, version=version)
        add_tags(service, tag(keyword, VR=vr), version=version)
        if not stored_first:
            service.store(file, other, version=version)
        for query in hits:
            assert found(service, version=version, **{keyword: query}) == {sop(file)}, query
        for query in misses:
            assert found(service, version=version, **{keyword: query}) == set(), query

    @pytest.mark.parametrize(
        ("keyword", "stored", "hits", "misses"),
        [
            ("SeriesDate", "20240229", ["20240228-20240301", "20240229-", "-20240229", "20240229-20240229"], []),
            ("SeriesDate", "20240229", [], ["20240301-", "-20240228", "20230101-20231231"]),
            ("AcquisitionDateTime", "20240229123015", ["2024-2025", "202402-202403", "2024-", "-2025"], ["2025-"]),
            ("AcquisitionDateTime", "20240229123015", ["20240229-20240301", "2024022912-2024022913"], ["-20240229"]),
            ("AcquisitionDateTime", "20240229123015", ["202402291230-202402291231"], ["2024022913-", "-2024022912"]),
            ("AcquisitionDateTime", "20240229123015.25", ["20240229123015.2-20240229123015.3"], ["-20240229123015"]),
            ("AcquisitionDateTime", "20240229123015.25", ["20240229123015.250000-20240229123015.25"], []),
            ("AcquisitionDateTime", "2024", ["2024", "202401", "20240101000000", "2023-2025"], ["20240102-"]),
            ("SeriesTime", "123015", ["12-13", "1230-1231", "12-", "-13", "123015-123015"], ["13-", "-12", "-1230"]),
            ("SeriesTime", "123015.25", ["123015.2-123015.3", "123015.25-", "-123015.250000"], ["123015.3-"]),
            ("SeriesTime", "12", ["12", "1200", "11-12", "12-13"], ["1201-", "-1159"]),
        ],
    )
    @pytest.mark.parametrize("version", VERSIONS)
    def test_ranges_have_both_ends_or_one(
        self, service: Service, version: str, keyword: str, stored: str, hits: list[str], misses: list[str]
    ) -> None:
        file = instance(**{keyword: stored})
        service.store(file, instance(), version=version)
        add_tags(service, tag(keyword))
        for query in hits:
            assert found(service, version=version, **{keyword: query}) == {sop(file)}, query
        for query in misses:
            assert found(service, version=version, **{keyword: query}) == set(), query

    def test_a_date_time_is_compared_by_its_local_time(self, service: Service) -> None:
        file = instance(AcquisitionDateTime="20240229123015+0900")
        service.store(file)
        add_tags(service, tag("AcquisitionDateTime"))
        assert found(service, AcquisitionDateTime="20240229123015") == {sop(file)}
        assert found(service, AcquisitionDateTime="20240229033015") == set()

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [("SeriesDate", value) for value in ["2024", "20240230", "-", "20240301-20240229", "2024-02-29", "today"]]
        + [("SeriesDate", "20240101-20240102-20240103"), ("SeriesDate", "20240101-x"), ("SeriesDate", "٢٠٢٤٠١٠١")]
        + [
            ("AcquisitionDateTime", value)
            for value in ["20240229123015+0100", "2024+0100", "20240229+0100-", "-20240229+0100", "-", "2025-2024", "x"]
            + ["2024-2025-0500", "20240229-20240301-0500", "-20240301-0500", "2024--2025"]
        ]
        + [("AcquisitionDateTime", value) for value in ["202413", "20240230", "2024022925", "20240229123015.1234567"]]
        + [("SeriesTime", value) for value in ["1", "25", "1260", "-", "13-12", "12:30", "120000.1234567", "noon"]]
        + [("InstanceNumber", value) for value in ["x", "1.5", "1e3", "0x10", "1-2", "٣", "9" * 30, "--1", "1_000"]]
        + [
            (keyword, value)
            for keyword in ("Rows", "TIDOffset", "SimpleFrameList", "ReferencePixelX0")
            for value in ("x", "1.5", "", "1,2", "9" * 400)
        ]
        + [
            (keyword, value)
            for keyword in ("ExaminedBodyThickness", "ReferencePixelPhysicalValueX")
            for value in ("x", "1,5", "1.5.5", "e", "0x1p3", "1e")
        ],
    )
    @pytest.mark.parametrize("version", VERSIONS)
    def test_what_cannot_be_read_is_400(self, service: Service, version: str, keyword: str, value: str) -> None:
        add_tags(service, tag(keyword))
        assert refused(ask(service, version=version, **{keyword: value}))

    @pytest.mark.parametrize("value", ["1e400", "-1e400", "1e-400", "0" * 5000 + "1"])
    def test_huge_decimals_find_nothing(self, service: Service, value: str) -> None:
        service.store(instance(ReferencePixelPhysicalValueX=7.5))
        add_tags(service, tag("ReferencePixelPhysicalValueX"))
        assert ask(service, ReferencePixelPhysicalValueX=value).status_code in {204, 400}

    @pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("stored_first", [True, False], ids=["reindexed", "indexed at store"])
    def test_a_number_that_is_none_harms_nothing(
        self, service: Service, stored_first: bool, version: str, number: float
    ) -> None:
        keywords = ("ExaminedBodyThickness", "ReferencePixelPhysicalValueX")
        file = instance(**dict.fromkeys(keywords, number))
        if stored_first:
            service.store(file, version=version)
        add_tags(service, *map(tag, keywords))
        if not stored_first:
            assert service.store(file, version=version).status_code == 200
        assert len(search(service, "instances", ExaminedBodyThickness="1.5")) == 0
        assert found(service) == {sop(file)}

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "nan", "inf"])
    def test_a_query_for_what_is_no_number_is_no_5xx(self, service: Service, value: str) -> None:
        add_tags(service, tag("ReferencePixelPhysicalValueX"))
        assert ask(service, ReferencePixelPhysicalValueX=value).status_code in {204, 400}

    def test_fuzzy_matching_is_for_names(self, service: Service) -> None:
        file = instance(OperatorsName="Smith^Jane Ann", StationName="Room 7")
        service.store(file)
        add_tags(service, tag("OperatorsName"), tag("StationName"))
        for query in ("smi", "Jane", "jane an", "smith jane"):
            assert found(service, OperatorsName=query, fuzzymatching="true") == {sop(file)}
            assert found(service, OperatorsName=query) == set()
        for query in ("smith ann", "ane"):
            assert found(service, OperatorsName=query, fuzzymatching="true") == set()
        assert found(service, StationName="Roo", fuzzymatching="true") == set()
        assert found(service, StationName="Room 7", fuzzymatching="true") == {sop(file)}
        assert refused(ask(service, OperatorsName='"Jane"', fuzzymatching="true"))

    @pytest.mark.parametrize("vr", ["AE", "CS", "LO", "SH", "PN"])
    def test_trailing_blanks_and_in_v2_nuls_do_not_count(self, service: Service, vr: str) -> None:
        keyword = EXACT[vr][0]
        add_tags(service, tag(keyword))
        file = raw_instance({keyword: b"WARD\0\0"})
        assert service.store(file).status_code == 200
        for query in ("WARD", "WARD  ", "WARD\0"):
            assert found(service, **{keyword: query}) == {sop(file)}

    def test_names_are_matched_by_all_groups(self, service: Service) -> None:
        file = instance(OperatorsName="Yamada^Tarou=山田^太郎=やまだ^たろう")
        service.store(file)
        add_tags(service, tag("OperatorsName"))
        assert found(service, OperatorsName="Yamada^Tarou=山田^太郎=やまだ^たろう") == {sop(file)}
        assert found(service, OperatorsName="山田", fuzzymatching="true") == {sop(file)}

    def test_several_attributes_all_have_to_match(self, service: Service) -> None:
        file = instance(PatientAge="030Y", InstanceNumber=1, PatientID="P1")
        service.store(
            file, instance(PatientAge="030Y", InstanceNumber=2), instance(PatientAge="031Y", InstanceNumber=1)
        )
        add_tags(service, tag("PatientAge", "Study"), tag("InstanceNumber"))
        assert found(service, PatientAge="030Y", InstanceNumber="1") == {sop(file)}
        assert found(service, PatientAge="030Y", InstanceNumber="1", PatientID="P1") == {sop(file)}
        assert found(service, PatientAge="030Y", InstanceNumber="1", PatientID="P2") == set()

    def test_a_tag_by_hex_digits(self, service: Service) -> None:
        file = instance(PatientAge="030Y")
        service.store(file)
        add_tags(service, tag("PatientAge"), tag("0040A13A"))
        assert found(service, **{AGE: "030Y"}) == {sop(file)}
        assert found(service, **{"0040a13a": "2024"}) == set()
        assert "different ID formats" in refused(ask(service, **{AGE: "030Y", "PatientAge": "030Y"}))

    @pytest.mark.parametrize("value", ["", "  "])
    def test_a_value_must_be_given(self, service: Service, value: str) -> None:
        add_tags(service, tag("PatientAge"))
        refused(ask(service, PatientAge=value))


class TestSeveralValues:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("stored_first", [True, False], ids=["reindexed", "indexed at store"])
    def test_the_first_value_is_indexed(self, service: Service, stored_first: bool, version: str) -> None:
        file = instance(ImageType=["DERIVED", "SECONDARY"], SimpleFrameList=[7, 8])
        if stored_first:
            service.store(file, version=version)
        add_tags(service, tag("ImageType"), tag("SimpleFrameList"))
        if not stored_first:
            service.store(file, version=version)
        assert found(service, ImageType="DERIVED") == found(service, SimpleFrameList="7") == {sop(file)}
        assert found(service, ImageType="SECONDARY") == found(service, SimpleFrameList="8") == set()
        assert found(service, ImageType="DERIVED\\SECONDARY") == set()

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_header_of_the_store_response_warns(self, service: Service, version: str) -> None:
        before = service.store(instance(ImageType=["DERIVED", "SECONDARY"]), version=version)
        assert "Warning" not in before.headers
        add_tags(service, tag("ImageType"))
        response = service.store(instance(ImageType=["DERIVED", "SECONDARY"]), version=version)
        host = urlsplit(service.url).hostname
        assert response.status_code == 200
        assert response.headers["Warning"] == (
            f'299 {host}: "One or more indexed Dicom tag(s) have multiple values, only first value is indexed."'
        )
        assert "Warning" not in service.store(instance(ImageType="DERIVED"), version=version).headers


class TestLevels:
    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize("version", VERSIONS)
    def test_which_searches_know_a_tag_of_a_level(self, service: Service, version: str, level: str) -> None:
        file = instance(PatientAge="030Y")
        service.store(file, instance(PatientAge="031Y"))
        add_tags(service, tag("PatientAge", level))
        study, series, _ = uids(file)
        searchable = {
            "studies": {"study"},
            "series": {"study", "series"},
            "instances": {"study", "series", "instance"},
            f"studies/{study}/series": {"series"},
            f"studies/{study}/instances": {"series", "instance"},
            f"studies/{study}/series/{series}/instances": {"instance"},
        }
        for below, levels in searchable.items():
            response = ask(service, below, version, PatientAge="030Y")
            if level in levels:
                assert (response.status_code, len(response.json())) == (200, 1), below
                assert ask(service, below, version, PatientAge="032Y").status_code == 204
            else:
                assert refused(response).startswith("Invalid query: AttributeId PatientAge is not queryable."), below

    @pytest.mark.parametrize("stored_first", [True, False], ids=["reindexed", "indexed at store"])
    @pytest.mark.parametrize(("level", "below"), [("study", "studies"), ("series", "series")])
    def test_the_instance_that_was_stored_last_speaks_for_its_study_and_series(
        self, service: Service, level: str, below: str, stored_first: bool
    ) -> None:
        study, series = {"StudyInstanceUID": "2.25.1"}, {"SeriesInstanceUID": "2.25.2"}
        files = [instance(**study, **series, PatientAge=age) for age in ("030Y", "031Y", "029Y")]
        without = instance(**study, **series)
        if stored_first:
            for file in (*files, without):
                service.store(file)
        add_tags(service, tag("PatientAge", level))
        if not stored_first:
            for file in (*files, without):
                service.store(file)
        assert len(found(service, below, PatientAge="029Y")) == 1
        assert found(service, below, PatientAge="030Y") == found(service, below, PatientAge="031Y") == set()
        assert len(found(service, "instances", PatientAge="029Y")) == 4, "all instances of it match"

    def test_an_instance_that_is_stored_after_the_reindex_wins(self, service: Service) -> None:
        study = {"StudyInstanceUID": "2.25.1"}
        service.store(instance(**study, PatientAge="030Y"))
        add_tags(service, tag("PatientAge", "Study"))
        service.store(instance(**study, PatientAge="031Y"))
        assert found(service, "studies", PatientAge="030Y") == set()
        assert found(service, "studies", PatientAge="031Y") == {"2.25.1"}

    def test_an_empty_value_changes_nothing(self, service: Service) -> None:
        study = {"StudyInstanceUID": "2.25.1"}
        add_tags(service, tag("PatientAge", "Study"))
        service.store(instance(**study, PatientAge="030Y"))
        service.store(instance(**study, PatientAge=""))
        assert found(service, "studies", PatientAge="030Y") == {"2.25.1"}

    def test_series_have_values_of_their_own(self, service: Service) -> None:
        study = {"StudyInstanceUID": "2.25.1"}
        first = instance(**study, SeriesInstanceUID="2.25.2", SeriesNumber=1)
        second = instance(**study, SeriesInstanceUID="2.25.3", SeriesNumber=2)
        service.store(first, second)
        add_tags(service, tag("SeriesNumber", "Series"))
        assert found(service, "series", SeriesNumber="1") == {"2.25.2"}
        assert found(service, "studies/2.25.1/series", SeriesNumber="2") == {"2.25.3"}
        assert found(service, "instances", SeriesNumber="2") == {sop(second)}

    def test_instances_have_values_of_their_own(self, service: Service) -> None:
        parents = {"StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.2"}
        files = [instance(**parents, InstanceNumber=number) for number in (1, 2, 3)]
        service.store(*files)
        add_tags(service, tag("InstanceNumber"))
        assert found(service, "studies/2.25.1/series/2.25.2/instances", InstanceNumber="2") == {sop(files[1])}

    def test_deleted_instances_are_not_found(self, service: Service) -> None:
        files = [instance(PatientAge="030Y") for _ in range(3)]
        service.store(*files)
        add_tags(service, tag("PatientAge", "Study"), tag("InstanceNumber"))
        service.owner.delete(f"{service.v2}/{path(files[0])}")
        service.owner.delete(f"{service.v2}/{path(files[1], 'study')}")
        assert found(service, PatientAge="030Y") == {sop(files[2])}
        service.store(files[0])
        assert found(service, PatientAge="030Y") == {sop(files[0]), sop(files[2])}

    @pytest.mark.parametrize("level", LEVELS)
    def test_a_replaced_instance_has_its_new_value(self, service: Service, level: str) -> None:
        known = {"StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.2", "SOPInstanceUID": "2.25.3"}
        service.store(instance(**known, PatientAge="030Y"))
        add_tags(service, tag("PatientAge", level))
        headers = {"Content-Type": "application/dicom", "Accept": DICOM_JSON}
        replaced = service.owner.put(
            f"{service.v2}/studies", data=instance(**known, PatientAge="031Y"), headers=headers
        )
        assert replaced.status_code == 200
        assert found(service, PatientAge="031Y") == {"2.25.3"}
        assert found(service, PatientAge="030Y") == set()


class TestPrivateTags:
    def private(self, creator: str = "ACME", value: int = 7, **more: Any) -> bytes:
        return raw_instance(
            {"00090010": ("LO", creator.encode()), "00091001": ("SS", struct.pack("<h", value)), **more}
        )

    @pytest.mark.parametrize("stored_first", [True, False], ids=["reindexed", "indexed at store"])
    @pytest.mark.parametrize("version", VERSIONS)
    def test_by_hex_digits_and_creator(self, service: Service, version: str, stored_first: bool) -> None:
        file, other = self.private(), self.private("Other Inc")
        if stored_first:
            service.store(file, other, version=version)
        add_tags(service, tag("00091001", VR="SS", PrivateCreator="ACME"))
        if not stored_first:
            assert service.store(file, other, version=version).status_code == 200
        assert found(service, version=version, **{"00091001": "7"}) == {sop(file)}
        assert found(service, version=version, **{"00091001": "8"}) == set()

    @pytest.mark.parametrize("level", LEVELS)
    def test_on_all_levels(self, service: Service, level: str) -> None:
        service.store(self.private(value=7), self.private(value=8))
        add_tags(service, tag("00091001", level, VR="SS", PrivateCreator="ACME"))
        below = {"study": "studies", "series": "series", "instance": "instances"}[level]
        assert len(found(service, below, **{"00091001": "7"})) == 1

    def test_a_private_identification_code(self, service: Service) -> None:
        file = self.private()
        service.store(file, self.private("Other Inc"), instance())
        add_tags(service, tag("00090010", VR="LO"))
        assert found(service, **{"00090010": "ACME"}) == {sop(file)}

    def test_a_creator_in_another_block_is_another_tag(self, service: Service) -> None:
        service.store(raw_instance({"00090011": ("LO", b"ACME"), "00091101": ("SS", struct.pack("<h", 7))}))
        add_tags(service, tag("00091001", VR="SS", PrivateCreator="ACME"))
        assert found(service, **{"00091001": "7"}) == set()

    def test_it_can_be_included(self, service: Service) -> None:
        service.store(self.private())
        add_tags(service, tag("00091001", VR="SS", PrivateCreator="ACME"))
        (row,) = search(service, "instances", includefield="00091001")
        assert row["00091001"] == {"vr": "SS", "Value": [7]}

    def test_an_implicit_file_does_not_say_its_private_vrs(self, service: Service) -> None:
        file = raw_instance({"00090010": ("LO", b"ACME"), "00091001": ("SS", b"\7\0")}, ImplicitVRLittleEndian)
        service.store(file)
        add_tags(service, tag("00091001", VR="SS", PrivateCreator="ACME"))
        assert found(service, **{"00091001": "7"}) == set()
        assert found(service) == {sop(file)}


class TestLifeCycle:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_before_it_is_added_it_is_not_queryable(self, service: Service, version: str) -> None:
        text = refused(ask(service, version=version, PatientAge="030Y"))
        assert text.startswith("Invalid query: AttributeId PatientAge is not queryable.")

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_while_it_is_being_indexed_it_is_not_queryable(self, slow: Service, version: str) -> None:
        assert post_tags(slow, tag("PatientAge")).status_code == 202
        for key in ("PatientAge", AGE):
            text = refused(ask(slow, version=version, **{key: "030Y"}))
            assert text.startswith(f"Invalid query: AttributeId {key} is not queryable.")

    @pytest.mark.parametrize("version", VERSIONS)
    def test_new_files_are_checked_while_it_is_being_indexed(self, slow: Service, version: str) -> None:
        assert post_tags(slow, tag("PatientAge")).status_code == 202
        response = slow.store(raw_instance({"PatientAge": b"very old"}), version=version)
        assert response.status_code == (409 if version == "v1" else 202)

    def test_new_files_are_indexed_while_it_is_being_indexed(self) -> None:
        with own_emulator(operation_time=1) as service:
            before, between = instance(PatientAge="030Y"), instance(PatientAge="030Y")
            service.store(before)
            response = post_tags(service, tag("PatientAge"))
            service.store(between)
            succeeded(service.owner, response)
            assert found(service, PatientAge="030Y") == {sop(before), sop(between)}

    def test_a_file_that_comes_during_the_reindex_speaks_for_its_study(self) -> None:
        with own_emulator(operation_time=1) as service:
            study = {"StudyInstanceUID": "2.25.1"}
            service.store(instance(**study, PatientAge="030Y"))
            response = post_tags(service, tag("PatientAge", "Study"))
            service.store(instance(**study, PatientAge="031Y"))
            succeeded(service.owner, response)
            assert found(service, "studies", PatientAge="031Y") == {"2.25.1"}
            assert found(service, "studies", PatientAge="030Y") == set()

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("key", ["PatientAge", AGE])
    def test_a_disabled_tag_is_400(self, service: Service, version: str, key: str) -> None:
        service.store(instance(PatientAge="030Y"))
        add_tags(service, tag("PatientAge"))
        set_query_status(service, AGE, "Disabled")
        assert refused(ask(service, version=version, **{key: "030Y"})) == (
            f"Query is disabled on specified attribute '{key}'."
        )
        set_query_status(service, AGE, "Enabled")
        assert len(found(service, PatientAge="030Y")) == 1

    def test_files_are_indexed_while_queries_are_disabled(self, service: Service) -> None:
        add_tags(service, tag("PatientAge"))
        set_query_status(service, AGE, "Disabled")
        file = instance(PatientAge="030Y")
        service.store(file)
        set_query_status(service, AGE, "Enabled")
        assert found(service, PatientAge="030Y") == {sop(file)}

    def test_a_reindex_of_many(self, service: Service) -> None:
        files = [instance(PatientAge=f"{number:03}Y") for number in range(250)]
        service.store(*files)
        add_tags(service, tag("PatientAge"))
        for number in (0, 99, 100, 101, 200, 249):
            assert found(service, PatientAge=f"{number:03}Y") == {sop(files[number])}


class TestAnswers:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_values_are_there_when_asked_for(self, service: Service, version: str) -> None:
        service.store(instance(SeriesNumber=3, PatientID="P1"))
        add_tags(service, tag("SeriesNumber", "Series"))
        for query in ({}, {"PatientID": "P1"}):
            assert "00200011" not in search(service, "series", version, **query)[0]
        for query in ({"includefield": "SeriesNumber"}, {"SeriesNumber": "3"}):
            assert search(service, "series", version, **query)[0]["00200011"] == {"vr": "IS", "Value": [3]}

    def test_a_filter_shows_the_value_of_the_newest_file(self, service: Service) -> None:
        study = {"StudyInstanceUID": "2.25.1"}
        add_tags(service, tag("PatientAge", "Study"))
        service.store(instance(**study, PatientAge="030Y"))
        service.store(instance(**study))
        (row,) = search(service, "studies", PatientAge="030Y")
        assert AGE not in row, "the newest file has none"
        service.store(instance(**study, PatientAge="031Y"))
        (row,) = search(service, "studies", PatientAge="031Y")
        assert row[AGE]["Value"] == ["031Y"]

    def test_pages_and_order_are_as_for_any_search(self, service: Service) -> None:
        files = [instance(PatientAge="030Y") for _ in range(4)]
        for file in files:
            service.store(file)
        add_tags(service, tag("PatientAge"))
        everything = [row["00080018"]["Value"][0] for row in search(service, "instances", PatientAge="030Y")]
        assert everything == [sop(file) for file in reversed(files)]
        page = search(service, "instances", PatientAge="030Y", limit="2", offset="1")
        assert [row["00080018"]["Value"][0] for row in page] == everything[1:3]
        assert ask(service, PatientAge="030Y", offset="4").status_code == 204


INVALID: dict[str, tuple[str, bytes]] = {
    "AE": ("StationAETitle", b"A" * 18),
    "AS": ("PatientAge", b"very old"),
    "CS": ("BodyPartExamined", b"A" * 18),
    "DA": ("SeriesDate", b"20240230x"),
    "DT": ("AcquisitionDateTime", b"yesterday"),
    "IS": ("InstanceNumber", b"one"),
    "LO": ("SeriesDescription", b"A" * 66),
    "PN": ("OperatorsName", b"A=B=C=D"),
    "SH": ("StationName", b"A" * 18),
    "TM": ("SeriesTime", b"noon"),
    "UI": ("FrameOfReferenceUID", b"abc"),
}
WRONG_VR: dict[str, tuple[str, tuple[str, bytes]]] = {
    "PatientAge as LO": ("PatientAge", ("LO", b"030Y")),
    "Rows as SS": ("Rows", ("SS", b"\0\2")),
    "InstanceNumber as LO": ("InstanceNumber", ("LO", b"3")),
}


class TestStore:
    """What the store says of a value that cannot be indexed (conformance statement, Store)."""

    @pytest.mark.parametrize(("keyword", "value"), [*INVALID.values(), *WRONG_VR.values()], ids=[*INVALID, *WRONG_VR])
    @pytest.mark.parametrize("level", ["Study", "Instance"])
    def test_v1_refuses_the_file(self, service: Service, level: str, keyword: str, value: Any) -> None:
        file = raw_instance({keyword: value})
        assert service.store(raw_instance({keyword: value}), version="v1").status_code == 200, "before the tag is there"
        add_tags(service, tag(keyword, level))
        response = service.store(file, version="v1")
        assert (response.status_code, failure_reasons(response)) == (409, [43264])
        assert "00081199" not in response.json()
        (comment,) = comments(failed(response)[0])
        assert comment.startswith("DICOM100: (") and keyword in comment
        assert sop(file) not in found(service)

    @pytest.mark.parametrize(("keyword", "value"), [*INVALID.values(), *WRONG_VR.values()], ids=[*INVALID, *WRONG_VR])
    def test_v2_warns_and_leaves_it_out_of_metadata_and_index(self, service: Service, keyword: str, value: Any) -> None:
        add_tags(service, tag(keyword))
        response = service.store(raw_instance({keyword: value}))
        assert response.status_code == 202
        (item,) = stored(response)
        assert warning_reason(item) == 1
        assert len(comments(item)) == 1
        key = comments(item)[0][len("DICOM100: (") :].split(")")[0].replace(",", "").upper()
        assert key not in metadata(service, item)
        assert len(found(service)) == 1

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("keyword", [keyword for keyword, _ in INVALID.values()])
    def test_an_empty_or_absent_value_is_fine(self, service: Service, keyword: str, version: str) -> None:
        add_tags(service, tag(keyword))
        for file in (raw_instance({keyword: b""}), raw_instance()):
            assert service.store(file, version=version).status_code == 200

    @pytest.mark.parametrize("vr", EXACT)
    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_good_value_is_fine(self, service: Service, version: str, vr: str) -> None:
        keyword, value, *_ = EXACT[vr]
        add_tags(service, tag(keyword))
        assert service.store(instance(**{keyword: value}), version=version).status_code == 200

    def test_v1_does_not_forgive_a_trailing_nul_and_v2_does(self, service: Service) -> None:
        add_tags(service, tag("StationName"))
        assert service.store(raw_instance({"StationName": b"WARD\0\0"}), version="v1").status_code == 409
        assert service.store(raw_instance({"StationName": b"WARD\0\0"}), version="v2").status_code == 200

    @pytest.mark.parametrize("version", VERSIONS)
    def test_after_the_tag_is_deleted_all_is_as_before(self, service: Service, version: str) -> None:
        add_tags(service, tag("PatientAge"))
        service.owner.delete(f"{service.v2}/extendedquerytags/PatientAge")
        response = service.store(raw_instance({"PatientAge": ("LO", b"030Y")}), version="v1")
        assert response.status_code == 200

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [("SimpleFrameList", b"\1\2"), ("ExaminedBodyThickness", b"\1\2"), ("ReferencePixelX0", b"\1\2"),
         ("ReferencePixelPhysicalValueX", b"\1\2\3\4")],
    )  # fmt: skip
    def test_v1_refuses_numbers_of_another_width(self, service: Service, keyword: str, value: bytes) -> None:
        add_tags(service, tag(keyword))
        response = service.store(raw_instance({keyword: value}), version="v1")
        assert (response.status_code, failure_reasons(response)) == (409, [43264])

    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize("version", VERSIONS)
    def test_one_refused_file_does_not_spoil_the_others(self, service: Service, version: str, level: str) -> None:
        add_tags(service, tag("PatientAge", level))
        good = instance(PatientAge="030Y")
        response = service.store(raw_instance({"PatientAge": b"very old"}), good, version=version)
        assert response.status_code == 202
        assert found(service, PatientAge="030Y") == {sop(good)}

    def test_a_private_tag_of_another_creator_is_not_checked(self, service: Service) -> None:
        add_tags(service, tag("00091001", VR="SS", PrivateCreator="ACME"))
        other = raw_instance({"00090010": ("LO", b"Other Inc"), "00091001": ("LO", b"seven")})
        mine = raw_instance({"00090010": ("LO", b"ACME"), "00091001": ("LO", b"seven")})
        assert service.store(other, version="v1").status_code == 200
        assert service.store(mine, version="v1").status_code == 409
