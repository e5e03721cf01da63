"""The requests of the tutorial "Using DICOMweb Standard APIs with Python", in its order, with its three files."""

import io
from pathlib import Path
from typing import Any

import pytest
import requests
from pydicom import dcmread
from requests_toolbelt import MultipartDecoder
from urllib3.filepost import RequestField, encode_multipart_formdata

from tests.emulator.conftest import Service

SAMPLES = Path(__file__).parents[2] / "sample_dcms"
BLUE, GREEN, RED = ((SAMPLES / f"{name}.dcm").read_bytes() for name in ("blue-circle", "green-square", "red-triangle"))
ROOT = "1.2.826.0.1.3680043.8.498."
STUDY = f"{ROOT}13230779778012324449356534479549187420"
SERIES = f"{ROOT}45787841905473114233124723359129632652"
INSTANCE = f"{ROOT}47359123102728459884412887463296905395"
IN_STUDY, IN_SERIES = f"studies/{STUDY}", f"studies/{STUDY}/series/{SERIES}"
IN_INSTANCE = f"{IN_SERIES}/instances/{INSTANCE}"
JSON = {"Accept": "application/dicom+json"}
EXPLICIT = "1.2.840.10008.1.2.1"

both = pytest.mark.parametrize("version", ["v1", "v2"])


def encode_multipart_related(*files: bytes) -> tuple[bytes, str]:
    """As the tutorial does it: urllib3's form encoder under another name, without `type`."""
    fields = {}
    for number, file in enumerate(files):
        field = RequestField(name=f"file{number}", data=file, filename=f"file{number}")
        field.make_multipart(content_type="application/dicom")
        fields[f"file{number}"] = field
    body, _ = encode_multipart_formdata(list(fields.values()), boundary="a-boundary")
    return body, "multipart/related; boundary=a-boundary"


def store(service: Service, version: str, *files: bytes, study: str = "") -> requests.Response:
    body, content_type = encode_multipart_related(*files)
    url = f"{service.url}/{version}/studies" + (f"/{study}" if study else "")
    return service.owner.post(url, data=body, headers=JSON | {"Content-Type": content_type})


@pytest.fixture
def stored(service: Service) -> Service:
    """The service with all three files in it."""
    store(service, "v2", BLUE, RED, GREEN).raise_for_status()
    return service


def get(service: Service, version: str, resource: str, **headers: str) -> Any:
    return service.owner.get(f"{service.url}/{version}/{resource}", headers=headers)


class TestStore:
    @both
    def test_1_the_change_feed_answers_who_signed_in(self, service: Service, version: str) -> None:
        response = get(service, version, "changefeed")
        assert (response.status_code, response.json()) == (200, [])
        assert service.nobody.get(f"{service.url}/{version}/changefeed").status_code == 401

    @both
    def test_2_one_file(self, service: Service, version: str) -> None:
        response = store(service, version, BLUE)
        assert response.status_code == 200
        assert set(response.json()) == {"00081199"} and len(response.json()["00081199"]["Value"]) == 1

    @both
    @pytest.mark.parametrize("study", ["", STUDY], ids=["studies", "the study"])
    def test_3_two_files(self, service: Service, version: str, study: str) -> None:
        response = store(service, version, RED, GREEN, study=study)
        assert response.status_code == 200
        answer = response.json()
        assert len(answer["00081199"]["Value"]) == 2
        assert set(answer) == ({"00081199", "00081190"} if study else {"00081199"})
        if study:
            assert answer["00081190"] == {"vr": "UR", "Value": [f"{service.url}/{version}/{IN_STUDY}"]}

    @both
    def test_4_a_file_that_is_there_already(self, service: Service, version: str) -> None:
        store(service, version, BLUE)
        headers = JSON | {"Content-Type": "application/dicom"}
        response = service.owner.post(f"{service.url}/{version}/studies", data=BLUE, headers=headers)
        assert response.status_code == 409
        assert set(response.json()) == {"00081198"}
        [failed] = response.json()["00081198"]["Value"]
        assert failed["00081197"] == {"vr": "US", "Value": [45070]}


class TestRetrieve:
    @both
    @pytest.mark.parametrize(
        ("resource", "files"), [(IN_STUDY, {BLUE, RED, GREEN}), (IN_SERIES, {RED, GREEN})], ids=["5 study", "7 series"]
    )
    def test_5_and_7_all_instances(self, stored: Service, version: str, resource: str, files: set[bytes]) -> None:
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        response = get(stored, version, resource, Accept=accept)
        assert response.status_code == 200
        parts = MultipartDecoder.from_response(response).parts
        assert len(parts) == len(files) and {part.content for part in parts} == files
        assert {part.headers[b"content-type"] for part in parts} == {
            f"application/dicom; transfer-syntax={EXPLICIT}".encode()
        }

    @both
    @pytest.mark.parametrize(
        ("resource", "count"), [(IN_STUDY, 3), (IN_SERIES, 2), (IN_INSTANCE, 1)], ids=["6 study", "8 series", "10 one"]
    )
    def test_6_8_and_10_metadata(self, stored: Service, version: str, resource: str, count: int) -> None:
        response = get(stored, version, f"{resource}/metadata", **JSON)
        assert response.status_code == 200 and len(response.json()) == count
        assert {len(data_set) for data_set in response.json()} == {39}, "all 40 elements but the pixels"
        mark, _, number = response.headers["ETag"].partition("-")
        assert mark.isdigit() and number == ("" if count == 1 else str(count))

    @both
    def test_9_one_instance(self, stored: Service, version: str) -> None:
        response = get(stored, version, IN_INSTANCE, Accept="application/dicom; transfer-syntax=*")
        assert (response.status_code, response.content) == (200, RED)
        assert response.headers["Content-Type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
        assert len(response.content) == 2_894_022

    @both
    def test_11_a_frame(self, stored: Service, version: str) -> None:
        accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
        response = get(stored, version, f"{IN_INSTANCE}/frames/1", Accept=accept)
        assert response.status_code == 200
        [part] = MultipartDecoder.from_response(response).parts
        assert len(part.content) == 2_892_945 == 979 * 985 * 3
        assert part.content == dcmread(io.BytesIO(RED)).PixelData[:-1]


class TestSearch:
    V1_STUDY = "00080005 00080020 00080030 00080050 00080090 00100010 00100020 00100030 00100040 0020000D 00200010"
    V1_INSTANCE = "00080016 00080018 00200013 00280010 00280011 00280100"
    V2_STUDY = "00080020 00080090 00100010 00100020 0020000D"
    SERIES_KEYS = "00080060 0020000E"
    ROWS = [
        ("12", f"studies?StudyInstanceUID={STUDY}", V1_STUDY, V2_STUDY),
        ("13", f"series?SeriesInstanceUID={SERIES}", f"{V1_STUDY} {SERIES_KEYS}", f"{V2_STUDY} {SERIES_KEYS}"),
        ("14", f"{IN_STUDY}/series?SeriesInstanceUID={SERIES}", f"00080005 0020000D {SERIES_KEYS}",
         f"0020000D {SERIES_KEYS}"),
        ("15", f"instances?SOPInstanceUID={INSTANCE}", f"{V1_STUDY} {SERIES_KEYS} {V1_INSTANCE}",
         f"{V2_STUDY} {SERIES_KEYS} 00080018 00080050 00100030"),
        ("16", f"{IN_STUDY}/instances?SOPInstanceUID={INSTANCE}", f"00080005 0020000D {SERIES_KEYS} {V1_INSTANCE}",
         f"0020000D {SERIES_KEYS} 00080018"),
        ("17", f"{IN_SERIES}/instances?SOPInstanceUID={INSTANCE}",
         "00080005 00080016 00080018 0020000D 0020000E 00200013 00280010 00280011 00280100",
         "00080018 0020000D 0020000E"),
    ]  # fmt: skip

    @pytest.mark.parametrize(("target", "v1", "v2"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
    def test_12_to_17_one_row_each(self, stored: Service, target: str, v1: str, v2: str) -> None:
        for version, keys in (("v1", v1), ("v2", v2)):
            response = get(stored, version, target, **JSON)
            assert response.status_code == 200
            [row] = response.json()
            assert set(row) == set(keys.split())
            empty = {key: row[key] for key in ("00080050", "00100030") if key in row}
            assert empty in ({}, {"00080050": {"vr": "SH"}, "00100030": {"vr": "DA"}})

    def test_17_without_a_token_as_the_source_has_it(self, stored: Service) -> None:
        url = f"{stored.v2}/{IN_SERIES}/instances?SOPInstanceUID={INSTANCE}"
        assert stored.nobody.get(url, headers=JSON).status_code == 401


@both
def test_18_to_21_deletes_each_take_what_is_left(stored: Service, version: str) -> None:
    def instances() -> int:
        response = get(stored, version, "instances", **JSON)
        return len(response.json()) if response.status_code == 200 else 0

    assert instances() == 3
    for resource, left in ((IN_INSTANCE, 2), (IN_SERIES, 1), (IN_STUDY, 0)):
        response = stored.owner.delete(f"{stored.url}/{version}/{resource}")
        assert (response.status_code, response.content) == (204, b"")
        assert instances() == left
    for resource, level in ((IN_INSTANCE, "instance"), (IN_SERIES, "series"), (IN_STUDY, "study")):
        response = stored.owner.delete(f"{stored.url}/{version}/{resource}")
        assert (response.status_code, response.text) == (404, f"The specified {level} cannot be found.")
