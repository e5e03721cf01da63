"""Store: what a request must look like (conformance statement, Store; PS3.18 §10.5.1)."""

import gzip
from collections.abc import Iterator

import pytest
from pydicom.uid import generate_uid
from requests_toolbelt import MultipartEncoder

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, path, raw_instance, uids
from tests.emulator.storing import (
    DICOM_JSON,
    PLAIN_TEXT,
    UNREADABLE,
    VERSIONS,
    change_feed,
    failed,
    is_empty,
    metadata,
    own_emulator,
    post,
    referenced,
    retrieve,
    search,
    stored,
)

SINGLE = "application/dicom"
QUOTED_TYPE = 'multipart/related; type="application/dicom"'


# Accept


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom+json",
        "application/dicom+json;charset=utf-8",
        "application/json",
        "application/*",
        "*/*",
        "application/xml, application/dicom+json",
        "text/html, application/json;q=0.5",
    ],
)
def test_json_is_answered_whichever_way_it_is_accepted(service: Service, version: str, accept: str) -> None:
    response = post(service, instance(), SINGLE, version, accept=accept)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/dicom+json; charset=utf-8"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "accept",
    [None, "", "application/dicom", "application/xml", "application/dicom+xml", "application/data", "nonsense"],
)
def test_a_request_that_accepts_no_json_is_406_without_a_body(
    service: Service, version: str, accept: str | None
) -> None:
    response = post(service, instance(), SINGLE, version, accept=accept)
    assert (response.status_code, response.content) == (406, b"")
    assert is_empty(service)


# Content types


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom"; boundary=test-boundary',
        'multipart/related; boundary=test-boundary; type="application/dicom"',
        'multipart/related;type="application/dicom";boundary=test-boundary',
        'multipart/related; type="application/dicom"; boundary="test-boundary"',
        "multipart/related; boundary=test-boundary",
        'Multipart/Related; Type="Application/DICOM"; Boundary=test-boundary',
    ],
)
def test_multipart_is_accepted_with_a_boundary_in_every_spelling(
    service: Service, version: str, content_type: str
) -> None:
    file = instance()
    body, _ = multipart(file)
    response = post(service, body, content_type, version)
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, file)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("content_type", ["application/dicom", "Application/DICOM"])
def test_a_body_that_is_one_file_is_accepted(service: Service, version: str, content_type: str) -> None:
    file = instance()
    response = post(service, file, content_type, version)
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, file)]
    assert retrieve(service, stored(response)[0]).content == file


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "content_type", ["multipart/related", QUOTED_TYPE, "multipart/related; boundary=", 'multipart/related; boundary=""']
)
def test_multipart_without_a_boundary_is_415_and_names_the_header(
    service: Service, version: str, content_type: str
) -> None:
    response = post(service, multipart(instance())[0], content_type, version)
    assert response.status_code == 415
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert content_type in response.text and "boundary" in response.text
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("content_type", ["application/dicom; charset=utf-8", "application/dicom;transfer-syntax=*"])
def test_one_file_with_a_parameter_in_its_content_type_is_415(
    service: Service, version: str, content_type: str
) -> None:
    assert post(service, instance(), content_type, version).status_code == 415
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=test-boundary", "application/json", "application/octet-stream", "text/plain"],
)
def test_other_content_types_are_415_without_a_body(service: Service, version: str, content_type: str) -> None:
    response = post(service, multipart(instance())[0], content_type, version)
    assert (response.status_code, response.content) == (415, b"")
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_content_type_is_415(service: Service, version: str) -> None:
    assert post(service, instance(), None, version).status_code == 415
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_start_parameter_is_400(service: Service, version: str) -> None:
    response = post(service, multipart(instance())[0], f'{QUOTED_TYPE}; start="<1>"; boundary=test-boundary', version)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert "start" in response.text and "not supported" in response.text
    assert is_empty(service)


# The study in the path


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("study", ["abc", "1.2-3", "1." + "2" * 63, "1.2.", "1.2_3"])
def test_a_malformed_study_in_the_path_is_400(service: Service, version: str, study: str) -> None:
    response = post(service, instance(), SINGLE, version, study=study)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert response.text.startswith(
        "Dicom element 'StudyInstanceUid' failed validation for VR 'UI': DICOM Identifier is invalid."
    )
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_blank_after_the_study_in_the_path_does_not_matter(service: Service, version: str) -> None:
    file = instance()
    response = post(service, file, SINGLE, version, study=uids(file)[0] + "%20")
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, file)]


# Which refusal comes first


@pytest.mark.parametrize("version", VERSIONS)
def test_refusals_come_in_the_service_s_order(service: Service, version: str) -> None:
    file = instance()

    def status(client: str, content_type: str, accept: str | None, study: str) -> int:
        clients = {"owner": service.owner, "reader": service.reader, "nobody": service.nobody}
        return post(service, file, content_type, version, study, accept, clients[client]).status_code

    assert status("nobody", "application/json", None, "abc") == 415
    assert status("nobody", SINGLE, None, "abc") == 401
    assert status("reader", SINGLE, None, "abc") == 406
    assert status("reader", SINGLE, DICOM_JSON, "abc") == 403
    assert status("owner", SINGLE, DICOM_JSON, "abc") == 400
    assert is_empty(service)


def test_storing_needs_the_right_to_write(service: Service) -> None:
    response = post(service, instance(), SINGLE, client=service.reader)
    assert (response.status_code, response.text) == (403, "Authorization failed.")
    assert is_empty(service)


# Size

LIMIT = 20_000


@pytest.fixture(scope="module")
def small_emulator() -> Iterator[Service]:
    """An emulator that takes files of at most LIMIT bytes."""
    with own_emulator(max_file_size=LIMIT) as service:
        yield service


def file_of(size: int) -> bytes:
    """An instance of exactly `size` bytes, an even number."""
    uid = generate_uid().ljust(64, "0").encode()
    identity = {"SOPInstanceUID": uid, "StudyInstanceUID": b"1.2", "SeriesInstanceUID": b"1.3"}
    head = len(raw_instance(identity | {"PixelData": ("OB", b"")}))
    return raw_instance(identity | {"PixelData": ("OB", bytes(size - head))})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("in_pieces", [False, True], ids=["with Content-Length", "chunked"])
@pytest.mark.parametrize("parts", [False, True], ids=["one file", "multipart"])
def test_a_file_over_the_limit_is_413_and_nothing_is_stored(
    small_emulator: Service, version: str, in_pieces: bool, parts: bool
) -> None:
    good, big = instance(), file_of(LIMIT + 2)
    body, content_type = multipart(good, big) if parts else (big, SINGLE)
    pieces = (body[start : start + 4096] for start in range(0, len(body), 4096))
    response = post(small_emulator, pieces if in_pieces else body, content_type, version)
    assert response.status_code == 413
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert response.text == f"The request exceeded the allowed limit of {LIMIT} bytes."
    listing = small_emulator.owner.get(f"{small_emulator.v2}/{path(good)}/metadata", headers={"Accept": DICOM_JSON})
    assert listing.status_code == 404


@pytest.mark.parametrize("version", VERSIONS)
def test_the_limit_is_for_one_file_and_not_for_the_request(small_emulator: Service, version: str) -> None:
    files = [file_of(LIMIT) for _ in range(3)]
    assert len(files[0]) == LIMIT
    response = post(small_emulator, *multipart(*files), version)
    assert response.status_code == 200
    assert [retrieve(small_emulator, item).content for item in stored(response)] == files


# Ways a body can travel


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [1, 7, 13, 1000])
def test_a_body_in_chunks_of_any_size_is_read(service: Service, version: str, size: int) -> None:
    files = [instance(), instance()]
    body, content_type = multipart(*files)
    response = post(service, (body[start : start + size] for start in range(0, len(body), size)), content_type, version)
    assert response.status_code == 200
    assert [retrieve(service, item).content for item in stored(response)] == files


@pytest.mark.parametrize("version", VERSIONS)
def test_one_file_in_chunks_is_read(service: Service, version: str) -> None:
    file = raw_instance({"PixelData": ("OB", bytes(range(256)) * 20)})
    response = post(service, (file[start : start + 97] for start in range(0, len(file), 97)), SINGLE, version)
    assert response.status_code == 200
    assert retrieve(service, stored(response)[0]).content == file


@pytest.mark.parametrize("version", VERSIONS)
def test_a_body_made_as_the_tutorial_makes_it_is_read(service: Service, version: str) -> None:
    file = instance()
    encoder = MultipartEncoder(fields={"file": ("dicomfile", file, "application/dicom")})
    content_type = encoder.content_type.replace("multipart/form-data", "multipart/related")
    response = post(service, encoder.to_string(), content_type, version)
    assert response.status_code == 200
    assert retrieve(service, stored(response)[0]).content == file


def test_a_content_encoding_is_not_undone(service: Service) -> None:
    url, headers = f"{service.v2}/studies", {"Content-Type": SINGLE, "Content-Encoding": "gzip", "Accept": DICOM_JSON}
    response = service.owner.post(url, data=gzip.compress(instance()), headers=headers)
    assert response.status_code == 409
    assert failed(response) == [UNREADABLE]


@pytest.mark.parametrize("spelling, url_version", [("v1.0-prerelease", "v1.0-prerelease"), ("v1", "v1"), ("v2", "v2")])
def test_the_version_in_the_path_decides_and_returns_in_the_urls(
    service: Service, spelling: str, url_version: str
) -> None:
    file = raw_instance({"Manufacturer": b"x" * 65})
    response = post(service, file, SINGLE, spelling)
    assert response.status_code == (202 if spelling == "v2" else 200)
    (item,) = stored(response)
    assert item["00081190"]["Value"] == [f"{service.url}/{url_version}/{path(file)}"]
    assert ("00741048" in item) == (spelling == "v2")
    assert ("00080070" in metadata(service, item)) == (spelling != "v2")


def test_what_one_version_stored_the_other_finds(service: Service) -> None:
    old, new = instance(), instance()
    post(service, old, SINGLE, "v1")
    post(service, new, SINGLE, "v2")
    for version in VERSIONS:
        found = {row["00080018"]["Value"][0] for row in search(service, "instances", version)}
        assert found == {uids(old)[2], uids(new)[2]}
        assert len(change_feed(service, version)) == 2
