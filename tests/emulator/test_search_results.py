"""QIDO-RS: what a row holds, where its values come from, and the order of rows (conformance statement, Search)."""

from typing import Any

import pytest
from pydicom import Dataset
from pydicom.datadict import DicomDictionary, tag_for_keyword

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, with_raw_value
from tests.emulator.test_search import JSON, LEVELS, ask, resources, rows

V1 = {
    "study": "SpecificCharacterSet StudyDate StudyTime AccessionNumber InstanceAvailability ReferringPhysicianName "
             "TimezoneOffsetFromUTC PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyID",
    "series": "SpecificCharacterSet Modality TimezoneOffsetFromUTC SeriesDescription SeriesInstanceUID "
              "PerformedProcedureStepStartDate PerformedProcedureStepStartTime RequestAttributesSequence",
    "instance": "SpecificCharacterSet SOPClassUID SOPInstanceUID InstanceAvailability TimezoneOffsetFromUTC "
                "InstanceNumber Rows Columns BitsAllocated NumberOfFrames",
}  # fmt: skip
V2 = {
    "study": "StudyInstanceUID StudyDate StudyDescription AccessionNumber ReferringPhysicianName PatientName PatientID "
             "PatientBirthDate",
    "series": "SeriesInstanceUID Modality PerformedProcedureStepStartDate ManufacturerModelName",
    "instance": "SOPInstanceUID",
}  # fmt: skip
ALL = {
    "study": V1["study"] + " StudyDescription AnatomicRegionsInStudyCodeSequence ProcedureCodeSequence "
             "NameOfPhysiciansReadingStudy AdmittingDiagnosesDescription ReferencedStudySequence PatientAge "
             "PatientSize PatientWeight Occupation AdditionalPatientHistory",
    "series": V1["series"] + " SeriesNumber Laterality SeriesDate SeriesTime",
    "instance": V1["instance"],
}  # fmt: skip
COMPUTED = {"ModalitiesInStudy": "00080061", "NumberOfStudyRelatedInstances": "00201208",
            "NumberOfSeriesRelatedInstances": "00201209", "NumberOfStudyRelatedSeries": "00201206"}  # fmt: skip
UIDS = {"StudyInstanceUID": "1.2.111", "SeriesInstanceUID": "1.2.222", "SOPInstanceUID": "1.2.333"}

both = pytest.mark.parametrize("version", ["v1", "v2"])


def complete(**attributes: Any) -> bytes:
    """An instance with a value for every attribute that a search may return, and some more."""
    code = Dataset()
    code.CodeValue = "T-1"
    values = UIDS | {
        "StudyDate": "20200922", "StudyTime": "120000", "AccessionNumber": "A1", "InstanceAvailability": "ONLINE",
        "ReferringPhysicianName": "Ref^Rita", "TimezoneOffsetFromUTC": "+0100", "PatientBirthDate": "19700102",
        "PatientSex": "F", "StudyID": "7", "SeriesDescription": "Axial", "PerformedProcedureStepStartDate": "20200923",
        "PerformedProcedureStepStartTime": "120500", "RequestAttributesSequence": [code], "InstanceNumber": "1",
        "Rows": 2, "Columns": 2, "BitsAllocated": 8, "NumberOfFrames": 1, "StudyDescription": "Head",
        "ManufacturerModelName": "Model 7", "AnatomicRegionsInStudyCodeSequence": [code],
        "ProcedureCodeSequence": [code], "NameOfPhysiciansReadingStudy": "Read^Rob",
        "AdmittingDiagnosesDescription": "None", "ReferencedStudySequence": [code], "PatientAge": "050Y",
        "PatientSize": "1.7", "PatientWeight": "70", "Occupation": "Tester", "AdditionalPatientHistory": "None",
        "SeriesNumber": "2", "Laterality": "L", "SeriesDate": "20200922", "SeriesTime": "120100",
        "ImageComments": "Never returned by default", "Manufacturer": "Neither",
    }  # fmt: skip
    return instance(**values | attributes)


def tags(keywords: str) -> set[str]:
    return {f"{tag_for_keyword(keyword):08X}" for keyword in keywords.split()}


def expected(attributes: dict[str, str], resource: str) -> set[str]:
    """The tags of a row: the sets of the levels that the path leaves open, and the UIDs that it fixes."""
    path_uids = " ".join(["StudyInstanceUID", "SeriesInstanceUID"][: resource.count("{")])
    return tags(" ".join(attributes[level] for level in LEVELS[resource]) + " " + path_uids)


class TestAttributes:
    @pytest.mark.parametrize(("version", "attributes"), [("v1", V1), ("v1.0-prerelease", V1), ("v2", V2)])
    @resources
    def test_the_default_set(self, service: Service, version: str, attributes: dict[str, str], resource: str) -> None:
        service.store(complete())
        [row] = rows(ask(service, version, resource))
        assert set(row) == expected(attributes, resource)

    @both
    @resources
    def test_all_is_not_all_but_a_longer_set_and_the_same_in_both_versions(
        self, service: Service, version: str, resource: str
    ) -> None:
        service.store(complete())
        [row] = rows(ask(service, version, resource, "includefield=all"))
        assert set(row) == expected(ALL, resource)

    @pytest.mark.parametrize(("version", "attributes"), [("v1", V1), ("v2", V2)])
    @resources
    def test_a_named_attribute_comes_on_top_of_the_default_set(
        self, service: Service, version: str, attributes: dict[str, str], resource: str
    ) -> None:
        service.store(complete())
        [row] = rows(ask(service, version, resource, "includefield=ImageComments,ManufacturerModelName"))
        assert set(row) == expected(attributes, resource) | {"00204000", "00081090"}

    @both
    @resources
    def test_an_attribute_that_the_file_lacks_is_absent(self, service: Service, version: str, resource: str) -> None:
        service.store(instance(**UIDS, leave_out=("Modality",)))
        [row] = rows(ask(service, version, resource, "includefield=StudyTime,RetrieveURL"))
        assert not {"00080030", "00080060", "00081190", "00080020"} & set(row)

    @both
    @resources
    def test_no_retrieve_url_is_made_up(self, service: Service, version: str, resource: str) -> None:
        service.store(complete())
        for query in ("", "includefield=all", "includefield=RetrieveURL"):
            [row] = rows(ask(service, version, resource, query))
            assert "00081190" not in row

    @both
    def test_values_of_a_row_are_written_as_in_metadata(self, service: Service, version: str) -> None:
        service.store(complete(PatientName="Müller^Zoë"))
        [row] = rows(ask(service, version, "instances", "includefield=SeriesNumber,RequestAttributesSequence"))
        assert row["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Zoë"}]}
        assert row["00200011"] == {"vr": "IS", "Value": [2]}
        assert row["00400275"] == {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["T-1"]}}]}

    @pytest.mark.parametrize("more", [0, 860], ids=["a few", "as many as a query string holds"])
    def test_what_is_named_is_as_in_metadata(self, service: Service, more: int) -> None:
        language = Dataset()
        language.SOPInstanceUID, language.PatientName = "1.2.444", 'O"Neil^Éloïse'
        service.store(complete(LanguageCodeSequence=[language], ImageComments="", WindowCenter=["1.50", "1e-5"]))
        [metadata] = service.owner.get(f"{service.v2}/studies/1.2.111/metadata", headers=JSON).json()
        named = ["00080006", "00204000", "00281050", "00181041"]
        absent = [f"{tag:08X}" for tag in DicomDictionary if f"{tag:08X}" not in metadata]
        query = f"includefield={','.join(named + absent[:more])}"
        [row] = rows(ask(service, "v2", "studies/{study}/series/{series}/instances", query))
        assert row == {tag: metadata[tag] for tag in sorted({*named, *tags(" ".join(UIDS))} & metadata.keys())}
        assert set(named) - row.keys() == {"00181041"}

    def test_names_of_an_index_row_keep_their_groups(self, service: Service) -> None:
        name = "Yamada^Tarou=山田^太郎"
        service.store(instance(PatientName=name, ReferringPhysicianName=name))
        [row] = rows(ask(service, "v2", "studies"))
        written = {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]}
        assert row["00100010"] == row["00080090"] == written

    def test_an_index_row_is_json_whatever_the_values_hold(self, service: Service) -> None:
        text, name = 'the "Süd" ward 日', 'O"Neil^Éloïse'
        service.store(instance(StudyDescription=text, PatientName=name))
        [row] = rows(ask(service, "v2", "studies"))
        assert (row["00081030"]["Value"], row["00100010"]["Value"]) == ([text], [{"Alphabetic": name}])

    @both
    @resources
    def test_binary_attributes_are_never_returned(self, service: Service, version: str, resource: str) -> None:
        service.store(complete(EncapsulatedDocument=b"text"))
        [row] = rows(ask(service, version, resource, "includefield=EncapsulatedDocument"))
        assert "00420011" not in row


class TestComputedAttributes:
    """ModalitiesInStudy and the numbers of instances, only when they are asked for."""

    @pytest.fixture(autouse=True)
    def study(self, service: Service) -> None:
        """Two instances of a CT series, one of an MR series, all of one study."""
        first = {"StudyInstanceUID": "1.2.111", "SeriesInstanceUID": "1.2.222", "Modality": "CT"}
        service.store(instance(**first | {"SOPInstanceUID": "1.2.333"}), instance(**first))
        service.store(instance(StudyInstanceUID="1.2.111", Modality="MR"))

    def computed(self, service: Service, version: str, resource: str, more: str = "") -> dict[str, Any]:
        query = "includefield=" + ",".join([*COMPUTED, *more.split()])
        if resource != "studies":
            query += "&SOPInstanceUID=1.2.333" if resource.endswith("instances") else "&Modality=CT"
        [row] = rows(ask(service, version, resource, query))
        found = {keyword: row.get(tag) for keyword, tag in COMPUTED.items() if tag in row}
        if "ModalitiesInStudy" in found:
            found["ModalitiesInStudy"]["Value"].sort()
        return found

    MODALITIES = {"ModalitiesInStudy": {"vr": "CS", "Value": ["CT", "MR"]}}
    IN_STUDY = {"NumberOfStudyRelatedInstances": {"vr": "IS", "Value": [3]}}
    IN_SERIES = {"NumberOfSeriesRelatedInstances": {"vr": "IS", "Value": [2]}}

    @both
    @resources
    def test_they_are_absent_by_default(self, service: Service, version: str, resource: str) -> None:
        for query in ("", "includefield=all"):
            for row in rows(ask(service, version, resource, query)):
                assert not set(COMPUTED.values()) & set(row)

    @both
    def test_study_rows_have_those_of_the_study(self, service: Service, version: str) -> None:
        for more in ("", "StudyTime"):
            assert self.computed(service, version, "studies", more) == self.MODALITIES | self.IN_STUDY

    @both
    def test_series_rows_have_those_of_the_series(self, service: Service, version: str) -> None:
        for more in ("", "SeriesNumber"):
            assert self.computed(service, version, "studies/{study}/series", more) == self.IN_SERIES

    def test_series_rows_of_all_studies_have_those_of_the_study_only_if_nothing_else_is_needed(
        self, service: Service
    ) -> None:
        """In v2 without attributes from outside the index; v1 always needs such."""
        counts = "NumberOfStudyRelatedInstances,NumberOfSeriesRelatedInstances"
        query = f"includefield=ModalitiesInStudy,{counts}&Modality=CT"
        [row] = rows(ask(service, "v2", "series", query))
        assert sorted(row["00080061"]["Value"]) == ["CT", "MR"]
        assert (row["00201208"]["Value"], row["00201209"]["Value"]) == ([3], [2])
        for version, more in (("v2", ",StudyTime"), ("v1", "")):
            [row] = rows(ask(service, version, "series", query.replace("&", more + "&")))
            assert row["00201209"]["Value"] == [2] and not {"00080061", "00201208"} & set(row)

    @both
    @pytest.mark.parametrize("resource", [resource for resource in LEVELS if resource.endswith("instances")])
    def test_instance_rows_have_none(self, service: Service, version: str, resource: str) -> None:
        assert self.computed(service, version, resource) == {}

    @both
    def test_they_follow_a_delete(self, service: Service, version: str) -> None:
        url = f"{service.v2}/studies/1.2.111/series/1.2.222"
        assert service.owner.delete(f"{url}/instances/1.2.333").status_code == 204
        query = "includefield=ModalitiesInStudy,NumberOfStudyRelatedInstances"
        [row] = rows(ask(service, version, "studies", query))
        assert row["00201208"]["Value"] == [2]
        assert service.owner.delete(url).status_code == 204
        [row] = rows(ask(service, version, "studies", query))
        assert (row["00080061"]["Value"], row["00201208"]["Value"]) == (["MR"], [1])


class TestSourceOfValues:
    """From the index: the latest value that is not empty. From the metadata: the newest instance, as it is."""

    OLD = {"AccessionNumber": "A1", "PatientBirthDate": "19700102", "StudyDescription": "Old",
           "PatientName": "Old^Olga", "ManufacturerModelName": "Old"}  # fmt: skip
    NEW = {"PatientBirthDate": "", "StudyDescription": "New", "PatientName": "New^Nina", "StudyDate": ""}

    @pytest.fixture(autouse=True)
    def study(self, service: Service) -> None:
        """A study whose second instance lacks some attributes, empties others and changes the rest."""
        parents = {"StudyInstanceUID": "1.2.111", "SeriesInstanceUID": "1.2.222"}
        service.store(instance(**parents, **self.OLD))
        service.store(instance(**parents, **self.NEW))

    @pytest.mark.parametrize("resource", ["studies", "series"])
    def test_v2_answers_from_the_index(self, service: Service, resource: str) -> None:
        [row] = rows(ask(service, "v2", resource))
        assert row["00080050"]["Value"] == ["A1"]
        assert row["00100030"]["Value"] == ["19700102"]
        assert row["00081030"]["Value"] == ["New"]
        assert row["00100010"]["Value"] == [{"Alphabetic": "New^Nina"}]
        assert not {"00080020", "00080090"} & set(row), "never had a value"

    def test_v2_answers_from_the_index_for_the_series_of_a_study(self, service: Service) -> None:
        [row] = rows(ask(service, "v2", "studies/{study}/series"))
        assert row["00081090"]["Value"] == ["Old"] and row["00080060"]["Value"] == ["OT"]

    @pytest.mark.parametrize(
        ("version", "query"),
        [("v1", "includefield=StudyDescription"), ("v2", "includefield=StudyTime"), ("v2", "includefield=all"),
         ("v1", "includefield=all")],
    )  # fmt: skip
    @pytest.mark.parametrize("resource", ["studies", "series"])
    def test_anything_else_comes_from_the_newest_instance(
        self, service: Service, version: str, query: str, resource: str
    ) -> None:
        [row] = rows(ask(service, version, resource, query))
        assert "00080050" not in row
        assert row["00100030"] == {"vr": "DA"} and row["00080020"] == {"vr": "DA"}
        assert row["00081030"]["Value"] == ["New"]
        assert row["00100010"]["Value"] == [{"Alphabetic": "New^Nina"}]

    @both
    @pytest.mark.parametrize("resource", ["instances", "studies/{study}/instances"])
    def test_instance_rows_show_each_file(self, service: Service, version: str, resource: str) -> None:
        query = "includefield=PatientName,AccessionNumber"
        new, old = rows(ask(service, version, resource, query))
        assert [row["00100010"]["Value"][0]["Alphabetic"] for row in (new, old)] == ["New^Nina", "Old^Olga"]
        assert old["00080050"]["Value"] == ["A1"] and "00080050" not in new

    @both
    def test_a_filter_uses_the_index_whatever_the_row_shows(self, service: Service, version: str) -> None:
        assert len(rows(ask(service, version, "studies", "AccessionNumber=A1"))) == 1
        assert len(rows(ask(service, version, "studies", "PatientName=New^Nina"))) == 1
        assert rows(ask(service, version, "studies", "PatientName=Old^Olga")) == []

    @both
    def test_an_empty_patient_id_never_overwrites(self, service: Service, version: str) -> None:
        assert service.store(instance(StudyInstanceUID="1.2.111", PatientID="")).status_code == 202
        assert len(rows(ask(service, version, "studies", "PatientID=P1"))) == 1


@both
def test_what_v2_dropped_at_the_store_is_neither_found_nor_shown(service: Service, version: str) -> None:
    file = with_raw_value(instance(StudyDate="20200922"), 0x00080020, b"20201301")
    assert service.store(file, version="v2").status_code == 202
    for query in ("", "includefield=StudyDate", "includefield=StudyTime,StudyDate"):
        for resource in ("studies", "instances"):
            [row] = rows(ask(service, version, resource, query))
            assert "00080020" not in row
    assert rows(ask(service, version, "studies", "StudyDate=20200101-20301231")) == []


class TestAnswers:
    @both
    @resources
    def test_rows_come_as_an_array_of_dicom_json(self, service: Service, version: str, resource: str) -> None:
        service.store(instance(**UIDS))
        response = ask(service, version, resource)
        assert response.status_code == 200 and isinstance(response.json(), list)
        assert response.headers["Content-Type"] == "application/dicom+json; charset=utf-8"

    @both
    @resources
    def test_nothing_found_is_204_without_body(self, service: Service, version: str, resource: str) -> None:
        service.store(instance())
        response = ask(service, version, resource, "" if "{" in resource else "PatientID=nobody&limit=5")
        assert (response.status_code, response.content) == (204, b"")

    @both
    def test_a_deleted_study_is_not_found_any_more(self, service: Service, version: str) -> None:
        service.store(instance(**UIDS))
        service.owner.delete(f"{service.v2}/studies/1.2.111")
        assert [ask(service, version, resource).status_code for resource in LEVELS] == [204] * len(LEVELS)

    @both
    def test_no_total_links_or_warnings(self, service: Service, version: str) -> None:
        service.store(*(instance() for _ in range(3)))
        headers = {name.lower() for name in ask(service, version, "studies", "limit=1").headers}
        assert not headers & {"warning", "link", "x-total-count", "erroneous-dicom-attributes"}

    @both
    @pytest.mark.parametrize(
        "resource", ["instances", "studies/{study}/instances", "studies/{study}/series/{series}/instances"]
    )
    def test_instances_come_newest_first(self, service: Service, version: str, resource: str) -> None:
        parents = {"StudyInstanceUID": "1.2.111", "SeriesInstanceUID": "1.2.222"}
        sops = ["1.2.9", "1.2.1", "1.2.5"]
        for sop in sops:
            service.store(instance(SOPInstanceUID=sop, **parents))
        assert [row["00080018"]["Value"][0] for row in rows(ask(service, version, resource))] == sops[::-1]

    @pytest.mark.parametrize(("resource", "tag"), [("studies", "0020000D"), ("series", "0020000E")])
    def test_studies_and_series_come_in_the_order_of_their_creation_newest_first(
        self, service: Service, resource: str, tag: str
    ) -> None:
        """As v1 answers; rows from the index, as in v2, are not promised in any order."""
        for number in ("9", "1", "5", "1"):
            service.store(instance(StudyInstanceUID=f"1.2.{number}", SeriesInstanceUID=f"1.2.{number}"))
        found = [row[tag]["Value"][0] for row in rows(ask(service, "v1", resource))]
        assert found == ["1.2.5", "1.2.1", "1.2.9"]
