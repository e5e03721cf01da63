"""QIDO-RS: when a filter matches (conformance statement, Search, matching; PS3.4 §C.2.2.2)."""

from typing import Any

import pytest

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, with_raw_value
from tests.emulator.test_search import ask, is_refused, rows

both = pytest.mark.parametrize("version", ["v1", "v2"])


def finds(service: Service, version: str, resource: str = "studies", **query: str) -> bool:
    found = rows(ask(service, version, resource, query))
    assert len(found) <= 1
    return bool(found)


class TestExact:
    @both
    @pytest.mark.parametrize(
        ("keyword", "stored", "asked", "found"),
        [
            ("PatientID", "Id-1", "Id-1", True),
            ("PatientID", "Id-1", "iD-1", True),
            ("PatientID", "Id-1", "Id", False),
            ("PatientID", "Id-1", "Id-11", False),
            ("PatientID", "Id-1", "Id-1  ", True),
            ("PatientID", "Id-1", " Id-1", False),
            ("AccessionNumber", "Acc 1 ", "acc 1", True),
            ("StudyDescription", "Größe", "GRÖßE", True),
            ("StudyDescription", "Größe", "Grosse", False),
            ("StudyDescription", "Élan", "Elan", False),
            ("PatientID", "Nº é", "Nº e", False),
            ("PatientName", "Test^Tess", "TEST^tess", True),
            ("PatientName", "Test^Tess", "Test", False),
            ("PatientName", "Test^Tess", "Test^Tess ", True),
            ("PatientName", "Müller^Zoë", "muller^zoe", True),
            ("PatientName", "Muller^Zoe", "MÜLLER^ZOË", True),
            ("PatientName", "Yamada^Tarou=山田^太郎", "yamada^tarou=山田^太郎", True),
            ("PatientName", "Yamada^Tarou=山田^太郎", "yamada^tarou", False),
            ("ReferringPhysicianName", "Doctor Doc", "doctor doc", True),
            ("ReferringPhysicianName", "Dóctor Doc", "doctor doc", True),
        ],
    )
    def test_letter_case_and_trailing_spaces_are_ignored_and_accents_in_names(
        self, service: Service, version: str, keyword: str, stored: str, asked: str, found: bool
    ) -> None:
        service.store(instance(**{keyword: stored}))
        assert finds(service, version, **{keyword: asked}) == found

    @both
    @pytest.mark.parametrize(
        ("keyword", "value"),
        [
            ("PatientName", "Te*"),
            ("PatientName", "*"),
            ("PatientName", "Test^Tes?"),
            ("PatientID", "P?"),
            ("PatientID", "%"),
            ("PatientID", "P_"),
            ("PatientID", "[P]1"),
            ("StudyInstanceUID", "1.2.111,1.2.112"),
            ("StudyInstanceUID", "1.2.111\\1.2.112"),
            ("StudyInstanceUID", "1.2.*"),
            ("AccessionNumber", "A1-A9"),
            ("PatientID", "' OR 1=1 --"),
        ],
    )
    def test_wildcards_lists_and_ranges_are_taken_literally(
        self, service: Service, version: str, keyword: str, value: str
    ) -> None:
        service.store(instance(StudyInstanceUID="1.2.111", AccessionNumber="A1"))
        service.store(instance(StudyInstanceUID="1.2.112", AccessionNumber="A9"))
        assert not finds(service, version, **{keyword: value})

    @both
    def test_a_literal_asterisk_finds_an_asterisk(self, service: Service, version: str) -> None:
        service.store(instance(PatientID="P*"), instance(PatientID="P1"))
        assert finds(service, version, PatientID="P*")

    @pytest.mark.parametrize("version", ["v1", "v2"])
    @pytest.mark.parametrize("asked", ["Jones", "Jones\0", "Jones\0\0", "jones "])
    def test_trailing_nulls_are_ignored_on_both_sides(self, service: Service, version: str, asked: str) -> None:
        """v2 takes such values in; the search works for both versions."""
        file = with_raw_value(instance(PatientID="Jones"), 0x00100020, b"Jones\0")
        assert service.store(file, version="v2").status_code == 200
        assert finds(service, version, PatientID=asked)

    @both
    def test_of_several_values_the_first_is_searched(self, service: Service, version: str) -> None:
        service.store(instance(Modality=["CT", "MR"]), version=version)
        assert finds(service, version, "series", Modality="CT")
        assert not finds(service, version, "series", Modality="MR")

    @both
    def test_several_filters_must_all_match(self, service: Service, version: str) -> None:
        service.store(instance(PatientID="P1", StudyDate="20200101"), instance(PatientID="P1", StudyDate="20210101"))
        service.store(instance(PatientID="P2", StudyDate="20200101"))
        assert finds(service, version, PatientID="P1", StudyDate="20200101")
        assert not finds(service, version, PatientID="P2", StudyDate="20210101")
        assert finds(service, version, "instances", PatientID="P2", Modality="OT")
        assert not finds(service, version, "instances", PatientID="P2", Modality="CT")


class TestDates:
    @both
    @pytest.mark.parametrize("keyword", ["StudyDate", "PatientBirthDate", "PerformedProcedureStepStartDate"])
    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ("20200922", True),
            ("20200921", False),
            ("20200922-20200922", True),
            ("20200101-20201231", True),
            ("20200922-20201231", True),
            ("20200101-20200922", True),
            ("20200923-20201231", False),
            ("20200101-20200921", False),
            ("20200922-", True),
            ("20200923-", False),
            ("-20200922", True),
            ("-20200921", False),
        ],
    )
    def test_a_date_or_an_inclusive_range(
        self, service: Service, version: str, keyword: str, asked: str, found: bool
    ) -> None:
        service.store(instance(**{keyword: "20200922"}), instance())
        assert finds(service, version, "series", **{keyword: asked}) == found

    @both
    @pytest.mark.parametrize("keyword", ["StudyDate", "PatientBirthDate", "PerformedProcedureStepStartDate"])
    @pytest.mark.parametrize(
        "asked",
        ["2020-09-22", "20201301", "20200230", "202009", "2020", "today", "-", "20201231-20200101", "20200101-2020",
         "20200101-20200102-20200103", "2020.09.22", "20200101-x"],
    )  # fmt: skip
    def test_anything_else_is_400(self, service: Service, version: str, keyword: str, asked: str) -> None:
        assert is_refused(ask(service, version, "series", {keyword: asked}))

    @both
    @pytest.mark.parametrize("resource", ["studies", "series", "instances"])
    def test_ranges_work_at_every_level(self, service: Service, version: str, resource: str) -> None:
        service.store(instance(StudyDate="20200922"), instance(StudyDate="20190101"))
        assert finds(service, version, resource, StudyDate="20200101-")


class TestFuzzy:
    """Words of the query are prefixes of consecutive words of the name; words are cut at `^`, `=` and space."""

    @both
    @pytest.mark.parametrize("keyword", ["PatientName", "ReferringPhysicianName"])
    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ("smi", True),
            ("Smith", True),
            ("Jane", True),
            ("an", True),
            ("jane an", True),
            ("smith jane", True),
            ("smith^jane", True),
            ("smi^jan", True),
            ("smith jane ann", True),
            ("smith ann", False),
            ("jane smith", False),
            ("ane", False),
            ("mith", False),
            ("smithx", False),
            ("smith jane ann x", False),
            ("smi*", False),
        ],
    )
    def test_names(self, service: Service, version: str, keyword: str, asked: str, found: bool) -> None:
        service.store(instance(**{keyword: "Smith^Jane Ann"}), instance(**{keyword: "Miller^Max"}))
        assert finds(service, version, fuzzymatching="true", **{keyword: asked}) == found

    @both
    @pytest.mark.parametrize(("asked", "found"), [("山田", True), ("太", True), ("tarou 山田", True), ("田", False)])
    def test_other_component_groups_count_as_words(
        self, service: Service, version: str, asked: str, found: bool
    ) -> None:
        service.store(instance(PatientName="Yamada^Tarou=山田^太郎"))
        assert finds(service, version, fuzzymatching="true", PatientName=asked) == found

    @both
    def test_other_attributes_of_the_request_stay_exact(self, service: Service, version: str) -> None:
        service.store(instance(PatientID="P12", PatientName="Smith^Jane"))
        assert finds(service, version, fuzzymatching="true", PatientName="smi", PatientID="P12")
        assert not finds(service, version, fuzzymatching="true", PatientName="smi", PatientID="P1")

    @both
    @pytest.mark.parametrize("resource", ["studies", "series", "instances"])
    def test_it_works_at_every_level(self, service: Service, version: str, resource: str) -> None:
        service.store(instance(PatientName="Smith^Jane"), instance(PatientName="Miller^Max"))
        assert finds(service, version, resource, fuzzymatching="true", PatientName="jan")

    @both
    def test_a_quotation_mark_is_400(self, service: Service, version: str) -> None:
        assert is_refused(ask(service, version, "studies", {"fuzzymatching": "true", "PatientName": 'smi"th'}))
        assert ask(service, version, "studies", {"PatientName": 'smi"th'}).status_code == 204

    @both
    def test_a_value_without_a_word_finds_nothing(self, service: Service, version: str) -> None:
        service.store(instance(PatientName="Smith^Jane"))
        assert not finds(service, version, fuzzymatching="true", PatientName="^=^")

    @both
    def test_an_exact_search_finds_no_prefix(self, service: Service, version: str) -> None:
        service.store(instance(PatientName="Smith^Jane"))
        assert not finds(service, version, PatientName="Smith")


class TestModalitiesInStudy:
    @pytest.fixture
    def study(self, service: Service) -> dict[str, Any]:
        """One study with a CT and an MR series, another with an OT series."""
        uids = {"StudyInstanceUID": "1.2.111"}
        service.store(instance(Modality="CT", **uids), instance(Modality="MR", **uids), instance(Modality="OT"))
        return uids

    @both
    @pytest.mark.parametrize(("modality", "found"), [("CT", True), ("MR", True), ("mr", True), ("US", False)])
    def test_one_series_with_the_modality_is_enough(
        self, service: Service, study: dict[str, Any], version: str, modality: str, found: bool
    ) -> None:
        assert finds(service, version, ModalitiesInStudy=modality) == found

    @both
    def test_it_is_returned_with_all_modalities_when_it_is_a_filter(
        self, service: Service, study: dict[str, Any], version: str
    ) -> None:
        [row] = rows(ask(service, version, "studies", {"ModalitiesInStudy": "CT"}))
        assert row["00080061"]["vr"] == "CS" and sorted(row["00080061"]["Value"]) == ["CT", "MR"]

    @both
    @pytest.mark.parametrize("resource", ["series", "instances"])
    def test_it_selects_series_and_instances_of_such_studies(
        self, service: Service, study: dict[str, Any], version: str, resource: str
    ) -> None:
        found = rows(ask(service, version, resource, {"ModalitiesInStudy": "CT"}))
        assert sorted(row["00080060"]["Value"][0] for row in found) == ["CT", "MR"]
