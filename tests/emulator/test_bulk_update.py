"""Bulk update: other values for attributes of whole studies (conformance statement, bulk update)."""

import io
from pathlib import Path
from typing import Any

import numpy
import pytest
import requests
from pydicom import dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.uid import ImplicitVRLittleEndian

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, path, raw_instance, split_multipart, uids
from tests.emulator.operations import (
    add_tags,
    finished,
    person,
    post_update,
    reference,
    succeeded,
    tag,
    update,
)
from tests.emulator.storing import (
    DICOM_JSON,
    PLAIN_TEXT,
    VERSIONS,
    change_feed,
    failure_reasons,
    own_emulator,
    search,
)
from tests.emulator.test_bulk_update_bytes import ATTRIBUTES

ORIGINAL = {"msdicom-request-original": "true"}
FILE = "application/dicom; transfer-syntax=*"
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
NEW = person("New^Name")
NOT_UPDATABLE = "Updating the tag is not supported"


def retrieve(service: Service, file: bytes, level: str = "instance", **headers: str) -> bytes:
    """The instance, or the only one of its study or series."""
    accept = {"Accept": FILE if level == "instance" else PARTS}
    response = service.owner.get(f"{service.v2}/{path(file, level)}", headers=accept | headers)
    assert response.status_code == 200, response.text
    return response.content if level == "instance" else split_multipart(response)[0][1]


def get_metadata(service: Service, file: bytes, level: str = "instance", **headers: str) -> requests.Response:
    url = f"{service.v2}/{path(file, level)}/metadata"
    return service.owner.get(url, headers={"Accept": DICOM_JSON} | headers)


def metadata(service: Service, file: bytes, level: str = "instance", **headers: str) -> list[dict]:
    response = get_metadata(service, file, level, **headers)
    assert response.status_code == 200, response.text
    return response.json()


def name(service: Service, file: bytes, level: str = "instance", **headers: str) -> list:
    return [each["00100010"]["Value"][0]["Alphabetic"] for each in metadata(service, file, level, **headers)]


def results(updated: int, instances: int, processed: int | None = None) -> dict[str, int]:
    return {
        "studyProcessed": updated if processed is None else processed,
        "studyUpdated": updated,
        "studyFailed": 0,
        "instanceUpdated": instances,
    }


def kept_files(folder: Path) -> list[bytes]:
    """The DICOM files in the folder of an emulator."""
    contents = [each.read_bytes() for each in folder.rglob("*") if each.is_file()]
    return [content for content in contents if content[128:132] == b"DICM"]


def post_raw(service: Service, body: bytes, content_type: str | None = "application/json") -> requests.Response:
    headers = {"Content-Type": content_type} if content_type else {}
    return service.owner.post(f"{service.v2}/studies/$bulkUpdate", data=body, headers=headers)


def is_text(response: requests.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == PLAIN_TEXT
    return response.text


def comments(response: requests.Response) -> list[str]:
    """The comments of a refusal: a data set with FailedAttributesSequence, and nothing else."""
    assert response.status_code == 400, response.text
    assert response.headers["Content-Type"] == f"{DICOM_JSON}; charset=utf-8"
    body = response.json()
    assert list(body) == ["00741048"] and body["00741048"]["vr"] == "SQ"
    items = body["00741048"]["Value"]
    assert all(list(item) == ["00000902"] and item["00000902"]["vr"] == "LO" for item in items)
    return [item["00000902"]["Value"][0] for item in items]


class TestRequest:
    @pytest.mark.parametrize("version", ["v2", "v2.0", "V2"])
    def test_it_is_accepted_in_v2(self, service: Service, version: str) -> None:
        body = {"studyInstanceUids": ["2.25.1"], "changeDataset": NEW}
        response = service.owner.post(f"{service.url}/{version}/studies/$bulkUpdate", json=body)
        assert set(reference(response)) == {"id", "href"}
        assert "Location" not in response.headers

    @pytest.mark.parametrize("version", ["v1", "v1.0", "v1.0-prerelease", "v1-prerelease"])
    @pytest.mark.parametrize("person", ["owner", "reader", "nobody"])
    def test_earlier_versions_do_not_have_it(self, service: Service, version: str, person: str) -> None:
        body = {"studyInstanceUids": ["2.25.1"], "changeDataset": NEW}
        response = getattr(service, person).post(f"{service.url}/{version}/studies/$bulkUpdate", json=body)
        assert (response.status_code, response.content) == (404, b"")

    @pytest.mark.parametrize("studies", [[], None, "left out"])
    def test_studies_must_be_named(self, service: Service, studies: Any) -> None:
        body = {"studyInstanceUids": studies, "changeDataset": NEW}
        if studies == "left out":
            del body["studyInstanceUids"]
        response = service.owner.post(f"{service.v2}/studies/$bulkUpdate", json=body)
        assert is_text(response, 400) == "The required field 'StudyInstanceUids' is missing or empty."

    @pytest.mark.parametrize("changes", [None, "left out"])
    def test_changes_must_be_given(self, service: Service, changes: Any) -> None:
        body = {"studyInstanceUids": ["2.25.1"], "changeDataset": changes}
        if changes == "left out":
            del body["changeDataset"]
        assert is_text(service.owner.post(f"{service.v2}/studies/$bulkUpdate", json=body), 400)

    def test_50_studies_are_fine_and_51_are_not(self, service: Service) -> None:
        studies = [f"2.25.{number}" for number in range(1, 52)]
        operation = succeeded(service.owner, post_update(service, studies[:50], NEW))
        assert operation["results"] == results(0, 0, processed=50)
        text = is_text(post_update(service, studies, NEW), 400)
        assert text == "StudyInstanceUids count exceeded maximum length '50'"

    @pytest.mark.parametrize(
        "uid", ["", " ", "abc", "1.2.3-4", "1." + "2" * 63, "1.2.", "1.2\n", "1.2\0", "1/2", "١", "*", "2.25.1,2.25.2"]
    )
    def test_a_malformed_uid_is_400(self, service: Service, uid: str) -> None:
        for studies in ([uid], ["2.25.1", uid]):
            assert is_text(post_update(service, studies, NEW), 400)

    @pytest.mark.parametrize("names", [("studyinstanceuids", "changedataset"), ("StudyInstanceUids", "ChangeDataset")])
    def test_property_names_in_any_case(self, service: Service, names: tuple[str, str]) -> None:
        file = instance()
        service.store(file)
        body = dict(zip(names, ([uids(file)[0]], NEW), strict=True))
        response = service.owner.post(f"{service.v2}/studies/$bulkUpdate", json=body)
        assert succeeded(service.owner, response)["results"] == results(1, 1)

    def test_comments_and_trailing_commas_are_accepted(self, service: Service) -> None:
        body = b"""{"studyInstanceUids": ["2.25.1", /* one */],
            // and what changes
            "changeDataset": {"00100020": {"vr": "LO", "Value": ["P2",],},},}"""
        assert post_raw(service, body).status_code == 202

    @pytest.mark.parametrize("content_type", [None, "text/plain", "application/dicom+json", "multipart/related"])
    def test_any_other_content_type_is_415_without_a_body(self, service: Service, content_type: str | None) -> None:
        response = post_raw(service, b'{"studyInstanceUids": ["2.25.1"], "changeDataset": {}}', content_type)
        assert (response.status_code, response.content) == (415, b"")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b"1",
            b'"2.25.1"',
            b'{"studyInstanceUids": "2.25.1", "changeDataset": {}}',
            b'{"studyInstanceUids": {}, "changeDataset": {}}',
            b'{"studyInstanceUids": [1], "changeDataset": {"00100020": {"vr": "LO"}}}',
            b'{"studyInstanceUids": [null], "changeDataset": {"00100020": {"vr": "LO"}}}',
            b'{"studyInstanceUids": [["2.25.1"]], "changeDataset": {"00100020": {"vr": "LO"}}}',
            b'{"studyInstanceUids": ["2.25.1"], "changeDataset": []}',
            b'{"studyInstanceUids": ["2.25.1"], "changeDataset": "00100020"}',
            b'{"studyInstanceUids": ["2.25.1"], "changeDataset": 7}',
            b'{"studyInstanceUids": ["\\ud800"], "changeDataset": {"00100020": {"vr": "LO"}}}',
            b'{"studyInstanceUids": ["2.25.1"], "changeDataset": {"00100020": {"vr": "LO", "Value": ["\\ud800"]}}}',
            b'{"studyInstanceUids": ["2.25.1"], "changeDataset": {"\\ud800": {"vr": "LO"}}}',
            b'{"studyInstanceUids": ["2.25.1"], "changeDataset": {"00100020": {"vr": "LO", "Value": ["\xe4"]}}}',
            b'{"a":' * 100_000,
        ],
        ids=lambda body: repr(body[:80]),
    )
    def test_what_cannot_be_read_is_400(self, service: Service, body: bytes) -> None:
        assert post_raw(service, body).status_code == 400

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"studyInstanceUids": 1}'])
    def test_what_is_no_such_json_is_told_like_a_query_parameter(self, service: Service, body: bytes) -> None:
        assert is_text(post_raw(service, body), 400).startswith("The query parameter '$")

    def test_a_study_named_twice_is_updated_once(self, service: Service) -> None:
        file = instance()
        service.store(file)
        study = uids(file)[0]
        succeeded(service.owner, post_update(service, [study, study, f"{study} "], NEW))
        assert [row["action"] for row in change_feed(service)] == ["Create", "Update"]

    def test_blanks_after_a_uid_do_not_count(self, service: Service) -> None:
        file = instance()
        service.store(file)
        operation = succeeded(service.owner, post_update(service, [f"{uids(file)[0]}  "], NEW))
        assert operation["results"] == results(1, 1)

    def test_a_second_one_is_409_and_names_the_first(self, slow: Service) -> None:
        id = reference(post_update(slow, ["2.25.1"], NEW))["id"]
        assert id in is_text(post_update(slow, ["2.25.2"], NEW), 409)

    def test_a_second_one_may_follow_the_first(self, service: Service) -> None:
        for _ in range(2):
            succeeded(service.owner, post_update(service, ["2.25.1"], NEW))

    def test_a_reader_may_not(self, service: Service) -> None:
        file = instance()
        service.store(file)
        response = post_update(service, [uids(file)[0]], NEW, client=service.reader)
        assert is_text(response, 403) == "Authorization failed."
        assert retrieve(service, file) == file

    def test_a_reader_is_told_of_an_unreadable_body_first_and_of_wrong_uids_last(self, service: Service) -> None:
        url, headers = f"{service.v2}/studies/$bulkUpdate", {"Content-Type": "application/json"}
        assert service.reader.post(url, data=b"{", headers=headers).status_code == 400
        assert post_update(service, ["x"], NEW, client=service.reader).status_code == 403
        assert post_update(service, ["2.25.1"], {"00080060": {"vr": "CS"}}, client=service.reader).status_code == 403

    def test_nobody_may(self, service: Service) -> None:
        response = post_update(service, ["2.25.1"], NEW, client=service.nobody)
        assert (response.status_code, response.content) == (401, b"")

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_other_methods_take_it_for_a_study(self, service: Service, method: str) -> None:
        headers = {"Accept": PARTS}
        response = service.owner.request(method, f"{service.v2}/studies/$bulkUpdate", headers=headers)
        assert response.status_code in {400, 405}


class TestRefusedChanges:
    @pytest.mark.parametrize(
        ("key", "vr"),
        [("0020000D", "UI"), ("0020000E", "UI"), ("00080018", "UI"), ("00080016", "UI"), ("00080020", "DA")]
        + [("00080060", "CS"), ("00080005", "CS"), ("00101002", "SQ"), ("7FE00010", "OW"), ("00200010", "SH")]
        + [("00020010", "UI"), ("00091001", "LO"), ("00100000", "UL"), ("00100212", "UC"), ("FFFEE000", "LO")],
    )
    def test_any_other_attribute(self, service: Service, key: str, vr: str) -> None:
        file = instance()
        service.store(file)
        response = post_update(service, [uids(file)[0]], {key: {"vr": vr}})
        group, element = key[:4].lower(), key[4:].lower()
        assert comments(response) == [f"DICOM100: ({group},{element}) - {NOT_UPDATABLE}"]
        assert retrieve(service, file) == file and len(change_feed(service)) == 1

    def test_no_other_attribute_of_the_dictionary(self, service: Service) -> None:
        others = [
            (f"{tag:08X}", entry[0].split(" or ")[0])
            for tag, entry in DicomDictionary.items()
            if f"{tag:08X}" not in ATTRIBUTES and entry[0] != "NONE"
        ]
        told = comments(post_update(service, ["2.25.1"], {key: {"vr": vr} for key, vr in others}))
        expected = [f"DICOM100: ({key[:4].lower()},{key[4:].lower()}) - {NOT_UPDATABLE}" for key, _ in others]
        assert sorted(told) == sorted(expected)

    def test_each_of_them_has_a_comment(self, service: Service) -> None:
        changes = NEW | {"00080060": {"vr": "CS", "Value": ["CT"]}, "00080020": {"vr": "DA", "Value": ["20240101"]}}
        assert sorted(comments(post_update(service, ["2.25.1"], changes))) == [
            f"DICOM100: (0008,0020) - {NOT_UPDATABLE}",
            f"DICOM100: (0008,0060) - {NOT_UPDATABLE}",
        ]

    @pytest.mark.parametrize(
        ("key", "vr", "values"),
        [
            ("00080050", "SH", ["x" * 17]),
            ("00080090", "PN", [{"Alphabetic": "x" * 65}]),
            ("00080090", "PN", [{"Alphabetic": "a^b^c^d^e^f"}]),
            ("00080090", "PN", [{"Alphabetic": "a\tb"}]),
            ("00080090", "PN", ["Name"]),
            ("00080090", "PN", [{"Alphabetic": 1}]),
            ("00081030", "LO", ["x" * 65]),
            ("00081030", "LO", ["a\nb"]),
            ("00081030", "LO", ["a\0b"]),
            ("00081030", "LO", ["a\0"]),
            ("00104000", "LT", ["a\0"]),
            ("00081030", "LO", [7]),
            ("00081030", "LO", [{}]),
            ("00100022", "CS", ["lower"]),
            ("00100022", "CS", ["A" * 17]),
            ("00100022", "CS", ["Ä"]),
            ("00100030", "DA", ["2024-02-29"]),
            ("00100030", "DA", ["20241301"]),
            ("00100030", "DA", ["yesterday"]),
            ("00100032", "TM", ["2500"]),
            ("00100032", "TM", ["noon"]),
            ("00100040", "CS", ["f"]),
            ("00101010", "AS", ["30Y"]),
            ("00101010", "AS", ["030X"]),
            ("00101020", "DS", ["tall"]),
            ("00101020", "DS", ["1" * 17]),
            ("00101030", "DS", [True]),
            ("00104000", "LT", ["x" * 10241]),
            ("00104000", "LT", ["a\0b"]),
            ("00102154", "SH", ["555", "x" * 17]),
            ("00100010", "LO", ["Name"]),
            ("00100020", "PN", [{"Alphabetic": "P1"}]),
            ("00100020", "XX", ["P1"]),
            ("00100020", 7, ["P1"]),
        ],
    )
    def test_a_value_that_breaks_the_rules_of_its_vr(self, service: Service, key: str, vr: Any, values: list) -> None:
        file = instance()
        service.store(file)
        response = post_update(service, [uids(file)[0]], {key: {"vr": vr, "Value": values}})
        (comment,) = comments(response)
        assert comment.startswith(f"DICOM100: ({key[:4]},{key[4:]}) - ")
        assert len(comment) > len("DICOM100: (0000,0000) - ")
        assert retrieve(service, file) == file and len(change_feed(service)) == 1

    @pytest.mark.parametrize(
        "element", [None, 7, "P1", [], ["P1"], {"vr": "LO", "Value": "P1"}, {"vr": "LO", "Value": 7}]
    )
    def test_what_is_no_dicom_json(self, service: Service, element: Any) -> None:
        assert post_update(service, ["2.25.1"], {"00100020": element}).status_code == 400

    @pytest.mark.parametrize(
        ("key", "element"),
        [
            ("00100010", {"vr": "PN", "value": [{"Alphabetic": "New"}]}),
            ("00100010", {"vr": "PN", "Values": [{"Alphabetic": "New"}]}),
            ("00100010", {"vr": "PN", "Value": [{"alphabetic": "New"}]}),
            ("00100010", {"vr": "PN", "Value": [{"Alphabetic": "New", "Other": "x"}]}),
            ("00100020", {"vr": "LO", "InlineBinary": "UDI="}),
            ("00100020", {"vr": "LO", "BulkDataURI": "http://127.0.0.1/"}),
        ],
    )
    def test_a_member_that_has_no_business_there(self, service: Service, key: str, element: dict) -> None:
        """It must not pass for an attribute without a value, which would be emptied."""
        file = instance()
        service.store(file)
        assert post_update(service, [uids(file)[0]], {key: element}).status_code == 400
        assert retrieve(service, file) == file

    @pytest.mark.parametrize(
        "key", ["", "0010", "0010002", "001000200", "0010,0020", "Patient", "0010002G", "٠٠١٠٠٠٢٠"]
    )
    def test_a_key_that_is_no_tag(self, service: Service, key: str) -> None:
        assert post_update(service, ["2.25.1"], {key: {"vr": "LO", "Value": ["P1"]}}).status_code == 400

    def test_one_bad_change_refuses_all(self, service: Service) -> None:
        file = instance()
        service.store(file)
        changes = NEW | {"00100030": {"vr": "DA", "Value": ["never"]}}
        assert len(comments(post_update(service, [uids(file)[0]], changes))) == 1
        assert retrieve(service, file) == file

    def test_it_is_told_before_another_update_is(self, slow: Service) -> None:
        reference(post_update(slow, ["2.25.1"], NEW))
        assert post_update(slow, ["2.25.1"], {"00080060": {"vr": "CS"}}).status_code == 400


class TestAttributes:
    @pytest.mark.parametrize(("key", "attribute"), ATTRIBUTES.items(), ids=[each[0] for each in ATTRIBUTES.values()])
    @pytest.mark.parametrize("transfer_syntax", ["1.2.840.10008.1.2.1", ImplicitVRLittleEndian])
    def test_each_is_changed_in_file_and_metadata(
        self, service: Service, transfer_syntax: str, key: str, attribute: tuple[str, str, Any]
    ) -> None:
        keyword, vr, value = attribute
        file = instance(transfer_syntax)
        service.store(file)
        (before,) = metadata(service, file)
        update(service, file, changes={key: {"vr": vr, "Value": [value]}})
        dataset = dcmread(io.BytesIO(retrieve(service, file)))
        assert str(dataset[keyword].value) == str(value["Alphabetic"] if vr == "PN" else value)
        assert vr == dataset[keyword].VR
        assert metadata(service, file) == [dict(sorted((before | {key: {"vr": vr, "Value": [value]}}).items()))]

    @pytest.mark.parametrize(("value", "text"), [(72.5, "72.5"), ("72.50", "72.50"), (72, "72"), ("7.25e1", "7.25e1")])
    def test_decimals_as_number_or_text(self, service: Service, value: Any, text: str) -> None:
        file = instance()
        service.store(file)
        update(service, file, changes={"00101030": {"vr": "DS", "Value": [value]}})
        dataset = dcmread(io.BytesIO(retrieve(service, file)))
        assert dataset.PatientWeight == float(text)
        assert float(metadata(service, file)[0]["00101030"]["Value"][0]) == float(text)

    def test_several_values(self, service: Service) -> None:
        file = instance()
        service.store(file)
        changes: dict[str, Any] = {
            "00101000": {"vr": "LO", "Value": ["P1", "P2", "P3"]},
            "00101001": {"vr": "PN", "Value": [{"Alphabetic": "One"}, {"Alphabetic": "Two", "Phonetic": "Too"}]},
        }
        update(service, file, changes=changes)
        dataset = dcmread(io.BytesIO(retrieve(service, file)))
        assert dataset.OtherPatientIDs == ["P1", "P2", "P3"]
        assert [str(each) for each in dataset.OtherPatientNames] == ["One", "Two==Too"]
        (found,) = metadata(service, file)
        assert {key: found[key] for key in changes} == changes

    @pytest.mark.parametrize("element", [{"vr": "LO"}, {"vr": "LO", "Value": []}])
    def test_no_value_empties_it(self, service: Service, element: dict) -> None:
        file = instance(PatientID="P1", StudyDescription="Head")
        service.store(file)
        update(service, file, changes={"00081030": element})
        assert metadata(service, file)[0]["00081030"] == {"vr": "LO"}
        assert dcmread(io.BytesIO(retrieve(service, file))).StudyDescription == ""
        assert search(service, "studies", StudyDescription="Head") == []

    def test_what_is_not_named_stays(self, service: Service) -> None:
        file = instance(PatientID="P1", PatientName="Old^Name", StudyDescription="Head", AccessionNumber="A1")
        service.store(file)
        (before,) = metadata(service, file)
        update(service, file, changes={"00100020": {"vr": "LO", "Value": ["P2"]}})
        (after,) = metadata(service, file)
        assert after == before | {"00100020": {"vr": "LO", "Value": ["P2"]}}
        (row,) = search(service, "studies", PatientName="Old^Name", StudyDescription="Head", AccessionNumber="A1")
        assert row["00100020"]["Value"] == ["P2"]


class TestVersions:
    """The very first version and the latest are kept."""

    def updated(self, service: Service, **attributes: Any) -> bytes:
        file = instance(**attributes)
        service.store(file)
        update(service, file, changes=NEW)
        return file

    @pytest.mark.parametrize("level", ["study", "series", "instance"])
    @pytest.mark.parametrize("word", ["true", "True", "TRUE"])
    def test_a_header_asks_for_the_first(self, service: Service, level: str, word: str) -> None:
        file = self.updated(service, PatientName="Old^Name")
        header = {"msdicom-request-original": word}
        assert retrieve(service, file, level, **header) == file
        assert name(service, file, level, **header) == ["Old^Name"]

    @pytest.mark.parametrize("level", ["study", "series", "instance"])
    @pytest.mark.parametrize(
        "header", [{}] + [{"msdicom-request-original": word} for word in ("false", "1", "yes", "")]
    )
    def test_anything_else_is_the_latest(self, service: Service, level: str, header: dict) -> None:
        file = self.updated(service, PatientName="Old^Name")
        assert dcmread(io.BytesIO(retrieve(service, file, level, **header))).PatientName == "New^Name"
        assert name(service, file, level, **header) == ["New^Name"]

    @pytest.mark.parametrize("version", ["v1.0-prerelease", *VERSIONS])
    def test_it_is_the_same_in_every_version_of_the_service(self, service: Service, version: str) -> None:
        file = self.updated(service, PatientName="Old^Name")
        url = f"{service.url}/{version}/{path(file)}"
        assert service.owner.get(url, headers={"Accept": FILE} | ORIGINAL).content == file
        found = service.owner.get(f"{url}/metadata", headers={"Accept": DICOM_JSON}).json()
        assert found[0]["00100010"]["Value"] == [{"Alphabetic": "New^Name"}]

    @pytest.mark.parametrize("level", ["study", "series", "instance"])
    def test_without_an_update_both_are_the_same(self, service: Service, level: str) -> None:
        file = instance()
        service.store(file)
        assert retrieve(service, file, level, **ORIGINAL) == file
        assert metadata(service, file, level, **ORIGINAL) == metadata(service, file, level)

    def test_of_a_study_each_instance_in_its_first_version(self, service: Service) -> None:
        study = {"StudyInstanceUID": "2.25.1"}
        first, second, late = (instance(**study, PatientName="Old^Name") for _ in range(3))
        service.store(first, second)
        update(service, first, changes=NEW)
        service.store(late)
        url = f"{service.v2}/studies/2.25.1"
        parts = split_multipart(service.owner.get(url, headers={"Accept": PARTS} | ORIGINAL))
        assert {body for _, body in parts} == {first, second, late}
        assert sorted(name(service, first, "study", **ORIGINAL)) == ["Old^Name"] * 3
        assert sorted(name(service, first, "study")) == ["New^Name", "New^Name", "Old^Name"]

    def test_the_first_version_stays_the_first(self, service: Service) -> None:
        file = self.updated(service, PatientName="Old^Name")
        update(service, file, changes=person("Newer^Name"))
        update(service, file, changes=person("Newest^Name"))
        assert retrieve(service, file, **ORIGINAL) == file
        assert name(service, file, **ORIGINAL) == ["Old^Name"]
        assert name(service, file) == ["Newest^Name"]

    def test_versions_in_between_are_discarded(self, tmp_path: Path) -> None:
        with own_emulator(data_dir=tmp_path) as service:
            file = self.updated(service)
            for number in range(3):
                update(service, file, changes=person(f"Name^{number}"))
        assert len(kept_files(tmp_path)) == 2

    def test_versions_outlive_a_restart(self, tmp_path: Path) -> None:
        with own_emulator(data_dir=tmp_path) as service:
            file = self.updated(service, PatientName="Old^Name")
            latest = retrieve(service, file)
        with own_emulator(data_dir=tmp_path) as service:
            assert retrieve(service, file) == latest
            assert retrieve(service, file, **ORIGINAL) == file
            assert name(service, file, **ORIGINAL) == ["Old^Name"] and name(service, file) == ["New^Name"]

    def test_the_first_version_can_be_transcoded(self, service: Service) -> None:
        pixels = numpy.arange(64, dtype="u1").reshape(8, 8)
        file = instance(ImplicitVRLittleEndian, pixels=pixels, PatientName="Old^Name")
        service.store(file)
        update(service, file, changes=NEW)
        accept = {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
        for header, expected in (({}, "New^Name"), (ORIGINAL, "Old^Name")):
            dataset = dcmread(io.BytesIO(retrieve(service, file, **(accept | header))))
            assert dataset.PatientName == expected
            assert (dataset.pixel_array == pixels).all()

    def test_frames_and_pictures_do_not_look_at_the_header(self, service: Service) -> None:
        file = instance(pixels=numpy.arange(128, dtype="u1").reshape(2, 8, 8), PatientName="Old^Name")
        service.store(file)
        requests_ = [
            ("frames/1", "application/octet-stream"),
            ("frames/2", "application/octet-stream; transfer-syntax=*"),
            ("rendered", "image/png"),
            ("frames/2/rendered", "image/jpeg"),
        ]
        for below, accept in requests_:
            url = f"{service.v2}/{path(file)}/{below}"
            before = service.owner.get(url, headers={"Accept": accept})
            update(service, file, changes=person(f"A name that moves the pixels to another place: {below}"))
            for header in ({}, ORIGINAL, {"msdicom-request-original": "nonsense"}):
                after = service.owner.get(url, headers={"Accept": accept} | header)
                assert (after.status_code, after.content) == (200, before.content)

    @pytest.mark.parametrize("level", ["study", "series", "instance"])
    def test_an_unknown_resource_is_404_with_the_header_too(self, service: Service, level: str) -> None:
        url = f"{service.v2}/{path(instance(), level)}"
        response = service.owner.get(url, headers={"Accept": PARTS} | ORIGINAL)
        assert is_text(response, 404) == f"The specified {level} cannot be found."
        assert service.owner.get(f"{url}/metadata", headers={"Accept": DICOM_JSON} | ORIGINAL).status_code == 404


class TestETag:
    @pytest.mark.parametrize("level", ["study", "series", "instance"])
    def test_it_changes_with_each_update(self, service: Service, level: str) -> None:
        file = instance()
        service.store(file)
        tags = [get_metadata(service, file, level).headers["ETag"]]
        for number in range(2):
            update(service, file, changes=person(f"Name^{number}"))
            assert get_metadata(service, file, level, **{"If-None-Match": tags[-1]}).status_code == 200
            tags.append(get_metadata(service, file, level).headers["ETag"])
            assert get_metadata(service, file, level, **{"If-None-Match": tags[-1]}).status_code == 304
        watermarks = [int(each.split("-")[0]) for each in tags]
        assert watermarks == sorted(set(watermarks))

    def test_every_instance_gets_a_new_watermark(self, service: Service) -> None:
        study = {"StudyInstanceUID": "2.25.1"}
        files = [instance(**study) for _ in range(3)]
        service.store(*files)
        before = [int(get_metadata(service, file).headers["ETag"]) for file in files]
        update(service, files[0], changes=NEW)
        after = [int(get_metadata(service, file).headers["ETag"]) for file in files]
        assert len(set(after)) == 3 and min(after) > max(before)
        assert get_metadata(service, files[0], "study").headers["ETag"] == f"{max(after)}-3"
        later = instance()
        service.store(later)
        assert int(get_metadata(service, later).headers["ETag"]) > max(after)

    def test_others_keep_theirs(self, service: Service) -> None:
        file, other = instance(), instance()
        service.store(file, other)
        before = get_metadata(service, other).headers["ETag"]
        update(service, file, changes=NEW)
        assert get_metadata(service, other).headers["ETag"] == before


# What a search is for, by keyword: tag, old and new value in the file and as searched for.
INDEXED = {
    "PatientName": ("00100010", "PN", "Old^Name", "New^Name"),
    "PatientID": ("00100020", "LO", "P1", "P2"),
    "PatientBirthDate": ("00100030", "DA", "19800101", "19900101"),
    "AccessionNumber": ("00080050", "SH", "A1", "A2"),
    "ReferringPhysicianName": ("00080090", "PN", "Old^Doctor", "New^Doctor"),
    "StudyDescription": ("00081030", "LO", "Head", "Foot"),
}


class TestSearch:
    @pytest.mark.parametrize("keyword", INDEXED)
    @pytest.mark.parametrize("version", VERSIONS)
    def test_the_new_value_is_found_and_the_old_one_is_not(self, service: Service, version: str, keyword: str) -> None:
        key, vr, old, new = INDEXED[keyword]
        file = instance(**{keyword: old})
        service.store(file)
        value = {"Alphabetic": new} if vr == "PN" else new
        update(service, file, changes={key: {"vr": vr, "Value": [value]}})
        for below in ("studies", "series", "instances"):
            assert search(service, below, version, **{keyword: old}) == []
            (row,) = search(service, below, version, **{keyword: new})
            assert row[key] == {"vr": vr, "Value": [value]}

    def test_fuzzy_matching_and_ranges_see_the_new_value(self, service: Service) -> None:
        file = instance(PatientName="Old^Name", PatientBirthDate="19800101")
        service.store(file)
        update(service, file, changes=person("Fresh^Mind") | {"00100030": {"vr": "DA", "Value": ["19900101"]}})
        assert len(search(service, "studies", PatientName="fre", fuzzymatching="true")) == 1
        assert search(service, "studies", PatientName="old", fuzzymatching="true") == []
        assert len(search(service, "studies", PatientBirthDate="19850101-")) == 1
        assert search(service, "studies", PatientBirthDate="-19850101") == []

    @pytest.mark.parametrize("version", VERSIONS)
    def test_included_fields_are_new(self, service: Service, version: str) -> None:
        file = instance(PatientComments="Old", PatientAge="030Y")
        service.store(file)
        update(service, file, changes={"00104000": {"vr": "LT", "Value": ["New"]}})
        for below in ("studies", "series", "instances"):
            (row,) = search(service, below, version, includefield="PatientComments,PatientAge")
            assert (row["00104000"]["Value"], row["00101010"]["Value"]) == (["New"], ["030Y"])

    def test_extended_query_tags_of_the_study_are_indexed_anew(self, service: Service) -> None:
        file, other = instance(PatientAge="030Y", PatientSex="F"), instance(PatientAge="030Y")
        service.store(file, other)
        add_tags(service, tag("PatientAge", "Study"), tag("PatientSex", "Study"))
        update(service, file, changes={"00101010": {"vr": "AS", "Value": ["031Y"]}})
        assert len(search(service, "studies", PatientAge="031Y")) == 1
        (row,) = search(service, "studies", PatientAge="030Y")
        assert row["0020000D"]["Value"] == [uids(other)[0]]
        assert len(search(service, "studies", PatientSex="F")) == 1

    def test_a_tag_that_is_added_later_indexes_the_latest_version(self, service: Service) -> None:
        file = instance(PatientAge="030Y")
        service.store(file)
        update(service, file, changes={"00101010": {"vr": "AS", "Value": ["031Y"]}})
        add_tags(service, tag("PatientAge", "Study"), tag("InstanceNumber"))
        assert len(search(service, "studies", PatientAge="031Y")) == 1
        assert search(service, "studies", PatientAge="030Y") == []

    @pytest.mark.parametrize("level", ["Series", "Instance"])
    def test_values_of_extended_query_tags_that_did_not_change_stay(self, service: Service, level: str) -> None:
        file = instance(SeriesNumber=7)
        service.store(file)
        add_tags(service, tag("SeriesNumber", level))
        update(service, file, changes=NEW)
        assert len(search(service, "instances", SeriesNumber="7")) == 1

    def test_counts_stay(self, service: Service) -> None:
        files = [instance(StudyInstanceUID="2.25.1", Modality=modality) for modality in ("CT", "MR")]
        service.store(*files)
        update(service, files[0], changes=NEW)
        (row,) = search(service, "studies", includefield="NumberOfStudyRelatedInstances,ModalitiesInStudy")
        assert row["00201208"]["Value"] == [2] and sorted(row["00080061"]["Value"]) == ["CT", "MR"]


class TestWhatWasDropped:
    """v2 leaves wrong attributes out of the metadata (conformance statement, Store)."""

    def test_it_stays_out_when_another_attribute_changes(self, service: Service) -> None:
        file = raw_instance({"PatientBirthDate": b"someday.", "PatientAge": b"very old"})
        assert service.store(file).status_code == 202
        update(service, file, changes=NEW)
        (found,) = metadata(service, file)
        assert "00100030" not in found and "00101010" not in found
        assert b"someday." in retrieve(service, file)

    def test_it_comes_back_with_a_good_value(self, service: Service) -> None:
        file = raw_instance({"PatientBirthDate": b"someday.", "PatientAge": b"very old"})
        service.store(file)
        update(service, file, changes={"00100030": {"vr": "DA", "Value": ["19800101"]}})
        (found,) = metadata(service, file)
        assert found["00100030"]["Value"] == ["19800101"] and "00101010" not in found
        assert len(search(service, "studies", PatientBirthDate="19800101")) == 1
        assert "00100030" not in metadata(service, file, **ORIGINAL)[0]

    def test_what_v1_stored_stays_complete(self, service: Service) -> None:
        file = raw_instance({"PatientAge": b"very old"})
        assert service.store(file, version="v1").status_code == 200
        update(service, file, changes=NEW)
        assert metadata(service, file)[0]["00101010"]["Value"] == ["very old"]


class TestStudies:
    def test_all_instances_of_all_named_studies_and_no_others(self, service: Service) -> None:
        files = [instance(StudyInstanceUID=f"2.25.{number % 3}", PatientName="Old^Name") for number in range(9)]
        service.store(*files)
        operation = succeeded(service.owner, post_update(service, ["2.25.0", "2.25.1"], NEW))
        assert operation["results"] == results(2, 6)
        assert [name(service, file)[0] for file in files] == ["New^Name", "New^Name", "Old^Name"] * 3
        assert [retrieve(service, file, **ORIGINAL) for file in files] == files

    def test_an_unknown_study_changes_nothing(self, service: Service) -> None:
        operation = succeeded(service.owner, post_update(service, ["2.25.404"], NEW))
        assert operation["results"] == results(0, 0, processed=1)
        assert "errors" not in operation["results"]
        assert change_feed(service) == []

    def test_an_unknown_study_among_others(self, service: Service) -> None:
        file = instance()
        service.store(file)
        operation = succeeded(service.owner, post_update(service, ["2.25.404", uids(file)[0]], NEW))
        assert operation["results"] == results(1, 1, processed=2)

    def test_a_study_of_many_instances(self, service: Service) -> None:
        files = [instance(StudyInstanceUID="2.25.1") for _ in range(60)]
        service.store(*files)
        assert update(service, files[0], changes=NEW)["results"] == results(1, 60)
        assert set(name(service, files[0], "study")) == {"New^Name"}


class TestChangeFeed:
    def rows(self, service: Service, version: str = "v2") -> list[tuple[str, str]]:
        return [(row["action"], row["state"]) for row in change_feed(service, version)]

    @pytest.mark.parametrize("version", ["v1.0-prerelease", *VERSIONS])
    def test_one_update_for_each_instance(self, service: Service, version: str) -> None:
        files = [instance(StudyInstanceUID="2.25.1", PatientName="Old^Name") for _ in range(2)]
        service.store(*files)
        update(service, files[0], changes=NEW)
        rows = change_feed(service, version)
        assert [(row["action"], row["state"]) for row in rows] == [("Create", "Replaced")] * 2 + [
            ("Update", "Current")
        ] * 2
        assert {row["sopInstanceUid"] for row in rows[2:]} == {uids(file)[2] for file in files}
        for row in rows:
            assert row["metadata"]["00100010"]["Value"] == [{"Alphabetic": "New^Name"}]

    def test_earlier_rows_are_replaced(self, service: Service) -> None:
        file = instance()
        service.store(file)
        for number in range(2):
            update(service, file, changes=person(f"Name^{number}"))
        assert self.rows(service) == [("Create", "Replaced"), ("Update", "Replaced"), ("Update", "Current")]

    def test_after_a_delete(self, service: Service) -> None:
        file = instance()
        service.store(file)
        update(service, file, changes=NEW)
        service.owner.delete(f"{service.v2}/{path(file)}")
        assert self.rows(service) == [("Create", "Deleted"), ("Update", "Deleted"), ("Delete", "Deleted")]
        assert all("metadata" not in row for row in change_feed(service))

    def test_the_latest_is_the_update(self, service: Service) -> None:
        file = instance()
        service.store(file)
        update(service, file, changes=NEW)
        latest = service.owner.get(f"{service.v2}/changefeed/latest").json()
        assert (latest["action"], latest["sopInstanceUid"]) == ("Update", uids(file)[2])


class TestAfterwards:
    @pytest.mark.parametrize("level", ["study", "series", "instance"])
    def test_a_delete_takes_both_versions(self, service: Service, level: str) -> None:
        file = instance()
        service.store(file)
        update(service, file, changes=NEW)
        assert service.owner.delete(f"{service.v2}/{path(file, level)}").status_code == 204
        for header in ({}, ORIGINAL):
            url = f"{service.v2}/{path(file)}"
            assert service.owner.get(url, headers={"Accept": FILE} | header).status_code == 404
            assert get_metadata(service, file, **header).status_code == 404
        assert search(service, "instances") == []
        assert service.owner.delete(f"{service.v2}/{path(file, level)}").status_code == 404

    def test_a_delete_removes_both_files(self, tmp_path: Path) -> None:
        with own_emulator(data_dir=tmp_path) as service:
            file = instance()
            service.store(file)
            update(service, file, changes=NEW)
            service.owner.delete(f"{service.v2}/{path(file)}")
        assert kept_files(tmp_path) == []

    def test_what_is_stored_again_has_no_earlier_version(self, service: Service) -> None:
        file = instance(PatientName="Old^Name")
        service.store(file)
        update(service, file, changes=NEW)
        service.owner.delete(f"{service.v2}/{path(file)}")
        assert service.store(file).status_code == 200
        assert retrieve(service, file) == retrieve(service, file, **ORIGINAL) == file
        assert name(service, file) == ["Old^Name"]

    def test_a_store_of_the_same_instance_is_a_duplicate(self, service: Service) -> None:
        file = instance()
        service.store(file)
        update(service, file, changes=NEW)
        for again in (file, retrieve(service, file)):
            response = service.store(again)
            assert (response.status_code, failure_reasons(response)) == (409, [45070])

    def test_a_put_replaces_what_was_updated(self, service: Service) -> None:
        file = instance(PatientName="Old^Name")
        service.store(file)
        update(service, file, changes=NEW)
        study, series, sop = uids(file)
        put = instance(StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=sop, PatientName="Put^Name")
        body, content_type = multipart(put)
        headers = {"Content-Type": content_type, "Accept": DICOM_JSON}
        assert service.owner.put(f"{service.v2}/studies", data=body, headers=headers).status_code == 200
        assert retrieve(service, file) == retrieve(service, file, **ORIGINAL) == put, "it has no earlier version"
        assert name(service, file) == name(service, file, **ORIGINAL) == ["Put^Name"]
        update(service, file, changes=person("Newest^Name"))
        assert name(service, file) == ["Newest^Name"]
        assert retrieve(service, file, **ORIGINAL) == put
        assert len(search(service, "studies", PatientName="Newest^Name")) == 1

    def test_an_instance_that_comes_later_is_as_it_was_sent(self, service: Service) -> None:
        first, late = (instance(StudyInstanceUID="2.25.1", PatientName="Old^Name") for _ in range(2))
        service.store(first)
        update(service, first, changes=NEW)
        service.store(late)
        assert retrieve(service, late) == late and name(service, late) == ["Old^Name"]
        assert len(search(service, "studies", PatientName="Old^Name")) == 1, "the last one speaks for the study"

    def test_the_updated_file_can_be_stored_elsewhere(self, service: Service) -> None:
        file = instance(PatientName="Old^Name")
        service.store(file)
        update(service, file, changes=NEW)
        updated = retrieve(service, file)
        with own_emulator() as other:
            assert other.store(updated).status_code == 200
            assert retrieve(other, file) == updated


def test_a_study_that_is_deleted_before_its_turn_is_not_updated() -> None:
    with own_emulator(operation_time=1) as service:
        file, other = instance(), instance()
        service.store(file, other)
        response = post_update(service, [uids(file)[0], uids(other)[0]], NEW)
        service.owner.delete(f"{service.v2}/{path(file, 'study')}")
        operation = finished(service.owner, response)
        assert (operation["status"], operation["results"]) == ("succeeded", results(1, 1, processed=2))
        assert len(search(service, "instances")) == 1


def test_what_is_read_during_an_update_is_one_version_or_the_other(service: Service) -> None:
    files = [instance(StudyInstanceUID="2.25.1", PatientName="Old^Name") for _ in range(20)]
    service.store(*files)
    response = post_update(service, ["2.25.1"], NEW)
    while service.owner.get(response.json()["href"]).status_code == 202:
        names = set(name(service, files[0], "study"))
        assert names in ({"Old^Name"}, {"New^Name"}), "all instances of a study change at once"
        dataset = dcmread(io.BytesIO(retrieve(service, files[-1])))
        assert str(dataset.PatientName) in {"Old^Name", "New^Name"}
    assert set(name(service, files[0], "study")) == {"New^Name"}
