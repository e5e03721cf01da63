"""QIDO-RS: the six resources, their parameters, and what is refused (conformance statement, Search; PS3.18 §10.6)."""

from typing import Any

import pytest

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, uids

JSON = {"Accept": "application/dicom+json"}
UIDS_OF_THE_PATH = {"{study}": "0020000D", "{series}": "0020000E"}
LEVELS = {
    "studies": ("study",),
    "series": ("study", "series"),
    "instances": ("study", "series", "instance"),
    "studies/{study}/series": ("series",),
    "studies/{study}/instances": ("series", "instance"),
    "studies/{study}/series/{series}/instances": ("instance",),
}
# keyword, tag, level, value in FILE
CORE = [
    ("StudyInstanceUID", "0020000D", "study", "1.2.111"),
    ("PatientName", "00100010", "study", "Test^Tess"),
    ("PatientID", "00100020", "study", "P1"),
    ("PatientBirthDate", "00100030", "study", "19700102"),
    ("AccessionNumber", "00080050", "study", "A1"),
    ("ReferringPhysicianName", "00080090", "study", "Ref^Rita"),
    ("StudyDate", "00080020", "study", "20200922"),
    ("StudyDescription", "00081030", "study", "Head"),
    ("ModalitiesInStudy", "00080061", "study", "CT"),
    ("SeriesInstanceUID", "0020000E", "series", "1.2.222"),
    ("Modality", "00080060", "series", "CT"),
    ("PerformedProcedureStepStartDate", "00400244", "series", "20200923"),
    ("ManufacturerModelName", "00081090", "series", "Model 7"),
    ("SOPInstanceUID", "00080018", "instance", "1.2.333"),
]
FILE = {keyword: value for keyword, _, _, value in CORE if keyword != "ModalitiesInStudy"}
NOT_SEARCHABLE = ["StudyTime", "StudyID", "PatientSex", "SeriesNumber", "InstanceNumber", "SOPClassUID",
                  "BodyPartExamined", "00080030", "NumberOfStudyRelatedInstances", "00111001"]  # fmt: skip

both = pytest.mark.parametrize("version", ["v1", "v2"])
resources = pytest.mark.parametrize("resource", list(LEVELS))


def ask(service: Service, version: str, resource: str, query: dict[str, Any] | str = "") -> Any:
    target = resource.format(study="1.2.111", series="1.2.222")
    return service.owner.get(f"{service.url}/{version}/{target}", params=query, headers=JSON)


def rows(response: Any) -> list[dict[str, Any]]:
    """The rows of an answer: none for 204."""
    if response.status_code == 204:
        assert response.content == b""
        return []
    assert response.status_code == 200, response.text
    assert response.json(), "nothing found is 204, not an empty array"
    return response.json()


def is_refused(response: Any, text: str = "") -> bool:
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8", response.content
    return response.status_code == 400 and response.text.startswith(text) and response.text != ""


class TestResources:
    @both
    @resources
    def test_one_row_for_each_study_series_or_instance(self, service: Service, version: str, resource: str) -> None:
        """Two studies; in the first, two series; in the first of these, two instances."""
        service.store(
            instance(**FILE),
            instance(**FILE | {"SOPInstanceUID": "1.2.334"}),
            instance(**FILE | {"SOPInstanceUID": "1.2.335", "SeriesInstanceUID": "1.2.223"}),
            instance(SOPInstanceUID="1.2.336", SeriesInstanceUID="1.2.224", StudyInstanceUID="1.2.112"),
        )
        expected = {
            "studies": ("0020000D", {"1.2.111", "1.2.112"}),
            "series": ("0020000E", {"1.2.222", "1.2.223", "1.2.224"}),
            "instances": ("00080018", {"1.2.333", "1.2.334", "1.2.335", "1.2.336"}),
            "studies/{study}/series": ("0020000E", {"1.2.222", "1.2.223"}),
            "studies/{study}/instances": ("00080018", {"1.2.333", "1.2.334", "1.2.335"}),
            "studies/{study}/series/{series}/instances": ("00080018", {"1.2.333", "1.2.334"}),
        }
        tag, values = expected[resource]
        found = rows(ask(service, version, resource))
        assert len(found) == len(values) and {row[tag]["Value"][0] for row in found} == values
        for name, uid_tag in UIDS_OF_THE_PATH.items():
            if name in resource:
                assert {row[uid_tag]["Value"][0] for row in found} == {"1.2.111" if name == "{study}" else "1.2.222"}

    @both
    @resources
    @pytest.mark.parametrize(("keyword", "tag", "level", "value"), CORE)
    def test_an_attribute_of_the_levels_on_offer_finds_and_is_returned(
        self, service: Service, version: str, resource: str, keyword: str, tag: str, level: str, value: str
    ) -> None:
        service.store(instance(**FILE), instance(PatientID="P2", Modality="MR", PatientName="Else^Elsa"))
        for key in (keyword, tag):
            response = ask(service, version, resource, {key: value})
            if level in LEVELS[resource]:
                [row] = rows(response)
                if keyword != "ModalitiesInStudy":  # which is computed for some levels only
                    found = row[tag]["Value"][0]
                    assert (found["Alphabetic"] if row[tag]["vr"] == "PN" else found) == value
            elif keyword.endswith("InstanceUID"):
                assert is_refused(response), "fixed by the path, or of a level above it"
            else:
                assert is_refused(response, f"Invalid query: AttributeId {key} is not queryable.")

    @both
    @pytest.mark.parametrize(
        ("resource", "keyword"),
        [("studies/{study}/series", "StudyInstanceUID"), ("studies/{study}/instances", "StudyInstanceUID"),
         ("studies/{study}/series/{series}/instances", "StudyInstanceUID"),
         ("studies/{study}/series/{series}/instances", "SeriesInstanceUID")],
    )  # fmt: skip
    def test_a_uid_of_the_path_may_not_be_given_again(
        self, service: Service, version: str, resource: str, keyword: str
    ) -> None:
        service.store(instance(**FILE))
        assert is_refused(ask(service, version, resource, {keyword: FILE[keyword]}))

    @both
    @pytest.mark.parametrize("resource", [resource for resource in LEVELS if "{" in resource])
    def test_an_unknown_parent_is_204(self, service: Service, version: str, resource: str) -> None:
        response = ask(service, version, resource)
        assert (response.status_code, response.content) == (204, b"")

    @both
    def test_a_series_under_another_study_is_204(self, service: Service, version: str) -> None:
        one, two = instance(), instance()
        service.store(one, two)
        resource = f"studies/{uids(one)[0]}/series/{uids(two)[1]}/instances"
        assert ask(service, version, resource).status_code == 204


class TestAttributeNames:
    @both
    @pytest.mark.parametrize("key", ["0020000d", "0020000D"])
    def test_hex_digits_may_have_any_case(self, service: Service, version: str, key: str) -> None:
        service.store(instance(**FILE))
        assert len(rows(ask(service, version, "studies", {key: "1.2.111"}))) == 1

    @both
    @resources
    @pytest.mark.parametrize(
        "key", ["patientname", "PATIENTNAME", "PatientNam", "0010,0010", "(0010,0010)", "0010001", "001000100", "foo",
                "0010001G", "x00100010"]
    )  # fmt: skip
    def test_what_is_no_attribute_is_400(self, service: Service, version: str, resource: str, key: str) -> None:
        assert is_refused(
            ask(service, version, resource, {key: "x"}), f"Invalid query: unknown query parameter '{key}'."
        )

    @both
    @resources
    @pytest.mark.parametrize("key", NOT_SEARCHABLE)
    def test_an_attribute_that_is_not_searchable_is_400(
        self, service: Service, version: str, resource: str, key: str
    ) -> None:
        assert is_refused(
            ask(service, version, resource, {key: "1"}), f"Invalid query: AttributeId {key} is not queryable."
        )

    @both
    @pytest.mark.parametrize(
        "query",
        [
            "PatientID=1&PatientID=2",
            "PatientID=1&PatientID=1",
            "00100020=1&00100020=2",
            "PatientID=1&00100020=1",
            "00100010=1&PatientName=1",
            "PatientID=",
            "PatientID=%20",
            "PatientID=%20%20&PatientName=x",
            "StudyDate=",
            "00400275.00400009=1",
            "RequestAttributesSequence.ScheduledProcedureStepID=1",
        ],
    )
    def test_these_filters_are_400(self, service: Service, version: str, query: str) -> None:
        assert is_refused(ask(service, version, "instances", query))


class TestPaging:
    @both
    @resources
    @pytest.mark.parametrize("limit", ["0", "201", "-1"])
    def test_a_limit_out_of_range_is_400(self, service: Service, version: str, resource: str, limit: str) -> None:
        response = ask(service, version, resource, {"limit": limit})
        assert is_refused(response)
        assert response.text == "The query parameter 'Limit' is invalid. The field Limit must be between 1 and 200."

    @both
    @pytest.mark.parametrize("limit", ["many", "1.5", "99999999999", "1e2"])
    def test_a_limit_that_is_no_number_is_400(self, service: Service, version: str, limit: str) -> None:
        response = ask(service, version, "studies", {"limit": limit})
        assert is_refused(response, "The query parameter 'Limit' is invalid. ")

    @both
    @resources
    @pytest.mark.parametrize("offset", ["-1", "some", "1.5"])
    def test_a_bad_offset_is_400(self, service: Service, version: str, resource: str, offset: str) -> None:
        assert is_refused(
            ask(service, version, resource, {"offset": offset}), "The query parameter 'Offset' is invalid. "
        )

    def test_the_default_is_100_and_the_most_is_200(self, service: Service) -> None:
        service.store(*(instance(StudyInstanceUID="1.2.111", SeriesInstanceUID="1.2.222") for _ in range(201)))
        for version in ("v1", "v2"):
            assert len(rows(ask(service, version, "instances"))) == 100
            assert len(rows(ask(service, version, "instances", "limit=200"))) == 200
            assert len(rows(ask(service, version, "instances", "limit=200&offset=200"))) == 1

    @both
    @resources
    def test_pages_together_hold_every_row_once(self, service: Service, version: str, resource: str) -> None:
        names = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
        fixed = {name: FILE[name] for name in names if resource.count("{") > names.index(name)}
        service.store(*(instance(**fixed) for _ in range(5)))
        pages = [rows(ask(service, version, resource, {"limit": 2, "offset": offset})) for offset in (0, 2, 4, 6)]
        assert [len(page) for page in pages] == [2, 2, 1, 0]
        keys = [tuple(row.get(tag, {}).get("Value", [""])[0] for tag in ("0020000D", "0020000E", "00080018"))
                for page in pages for row in page]  # fmt: skip
        assert len(set(keys)) == 5

    @both
    def test_an_offset_beyond_the_end_is_204(self, service: Service, version: str) -> None:
        service.store(instance())
        assert ask(service, version, "studies", "offset=1").status_code == 204
        assert ask(service, version, "studies", "offset=0").status_code == 200

    @both
    def test_the_names_of_parameters_may_have_any_case(self, service: Service, version: str) -> None:
        service.store(instance(StudyID="7"), instance())
        query = "LIMIT=1&OffSet=1&IncludeField=StudyID&FuzzyMatching=TRUE&PatientName=te"
        [row] = rows(ask(service, version, "studies", query))
        assert row["00200010"]["Value"] == ["7"], "the older of the two"


class TestFuzzyMatchingParameter:
    @both
    @pytest.mark.parametrize(("value", "found"), [("true", 1), ("True", 1), ("TRUE", 1), ("false", 0), ("False", 0)])
    def test_it_is_true_or_false(self, service: Service, version: str, value: str, found: int) -> None:
        service.store(instance())
        query = {"PatientName": "tes", "fuzzymatching": value}
        assert len(rows(ask(service, version, "studies", query))) == found

    @both
    @resources
    @pytest.mark.parametrize("value", ["maybe", "1", "yes"])
    def test_anything_else_is_400(self, service: Service, version: str, resource: str, value: str) -> None:
        response = ask(service, version, resource, {"fuzzymatching": value})
        assert is_refused(response, "The query parameter '") and "fuzzymatching" in response.text.lower()


class TestIncludeFieldParameter:
    ATTRIBUTES = {"StudyTime": "120000", "PatientSex": "F", "ImageComments": "A drawing"}
    TAGS = ("00080030", "00100040", "00204000")

    @both
    @pytest.mark.parametrize(
        "query",
        [
            "includefield=StudyTime&includefield=PatientSex&includefield=ImageComments",
            "includefield=StudyTime,PatientSex,ImageComments",
            "includefield=00080030,00100040&includefield=00204000",
            "includefield=StudyTime&includefield=00100040,ImageComments",
        ],
    )
    @resources
    def test_it_may_be_repeated_or_a_list_and_name_any_attribute(
        self, service: Service, version: str, resource: str, query: str
    ) -> None:
        service.store(instance(**FILE, **self.ATTRIBUTES))
        [row] = rows(ask(service, version, resource, query))
        assert [row[tag]["Value"] for tag in self.TAGS] == [[value] for value in self.ATTRIBUTES.values()]

    @both
    @resources
    @pytest.mark.parametrize(
        "value", ["nothing", "patientsex", "0010,0040", "StudyTime,nothing", "all,StudyTime", "StudyTime,all"]
    )
    def test_an_unknown_name_or_all_with_another_is_400(
        self, service: Service, version: str, resource: str, value: str
    ) -> None:
        assert is_refused(ask(service, version, resource, {"includefield": value}))

    @both
    def test_all_with_another_in_a_second_parameter_is_400(self, service: Service, version: str) -> None:
        assert is_refused(ask(service, version, "studies", "includefield=all&includefield=StudyTime"))
