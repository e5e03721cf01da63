"""--strict: what the service forgives and the standard does not is refused, and the refusal names the paragraph."""

from collections.abc import Iterator

import pytest
import requests

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, path, raw_instance, uids
from tests.emulator.storing import own_emulator, post, stored

ALL = 'multipart/related; type="application/dicom"; transfer-syntax=*'
JSON = "application/dicom+json"


@pytest.fixture(scope="module")
def strict() -> Iterator[Service]:
    with own_emulator(strict=True) as service:
        yield service


def get(service: Service, path: str, accept: str = JSON) -> requests.Response:
    return service.owner.get(f"{service.v2}/{path}", headers={"Accept": accept})


REQUESTS = {
    "type without quotation marks": ("studies/1.2.3", "multipart/related; type=application/dicom", "RFC 9110 §5.6.6"),
    "parts of no type": ("studies/1.2.3", "multipart/related; transfer-syntax=*", "PS3.18 §8.7.3.5.1"),
    "JSON of no kind": ("studies", "application/json", "PS3.18 §8.7.3"),
    "capitals": ("Studies", JSON, "RFC 3986 §6.2.2.1"),
    "a slash at the end": ("studies/", JSON, "PS3.18 §8.2"),
    "leading zero": ("studies/1.02.3/metadata", JSON, "PS3.5 §9.1"),
    "blank after a UID": ("studies/1.2.3%20/metadata", JSON, "PS3.5 §9.1"),
    "Limit": ("studies?Limit=1", JSON, "PS3.18 §8.3.4"),
    "fuzzymatching=TRUE": ("studies?fuzzymatching=TRUE", JSON, "PS3.18 §8.3.4.2"),
}


@pytest.mark.parametrize("path, accept, paragraph", REQUESTS.values(), ids=REQUESTS)
def test_a_lax_request_is_refused_with_the_paragraph(
    strict: Service, service: Service, path: str, accept: str, paragraph: str
) -> None:
    refusal = get(strict, path, accept)
    assert refusal.status_code == 400 and f"({paragraph}; --strict)" in refusal.text
    assert get(service, path, accept).status_code != 400  # the service itself takes it


@pytest.mark.parametrize(
    "path, accept",
    [
        ("studies", JSON),
        ("studies?PatientName=Nobody&limit=1&fuzzymatching=true&includefield=00100010", JSON),
        ("studies/1.2.0.3", ALL),
        ("studies/1.2.3", "*/*"),
        ("changefeed", "application/json, */*"),
    ],
)
def test_a_proper_request_is_answered(strict: Service, path: str, accept: str) -> None:
    assert get(strict, path, accept).status_code in {200, 204, 404}


def test_a_proper_file_is_stored_and_retrieved(strict: Service) -> None:
    file = instance()
    assert strict.store(file).status_code == 200
    assert get(strict, path(file), "application/dicom; transfer-syntax=*").content == file


def test_the_refusal_comes_after_the_sign_in(strict: Service) -> None:
    assert strict.nobody.get(f"{strict.v2}/Studies", headers={"Accept": JSON}).status_code == 401


def test_a_multipart_body_needs_a_type(strict: Service) -> None:
    body, content_type = multipart(instance(), type=None)
    response = post(strict, body, content_type)
    assert response.status_code == 400 and "PS3.18 §8.7.3.5.1" in response.text


def test_a_part_needs_a_content_type(strict: Service, service: Service) -> None:
    body, content_type = multipart(instance())
    body = body.replace(b"Content-Type: application/dicom\r\n", b"", 1)
    response = post(strict, body, content_type)
    assert response.status_code == 400 and "PS3.18 §8.6.1.2" in response.text
    assert post(service, body, content_type).status_code == 200


@pytest.mark.parametrize(
    "file, paragraph",
    [
        (instance()[132:], "PS3.10 §7.1"),
        (raw_instance(), "PS3.10 §7.1"),  # its file meta information names 1.2.3
        (instance("1.2.840.10008.1.2"), "PS3.18 §8.7.3"),
        (instance("1.2.840.10008.1.2.2"), "PS3.18 §8.7.3"),
    ],
    ids=["no preamble", "another UID", "implicit VR", "big endian"],
)
def test_a_lax_file_is_refused_and_nothing_of_the_request_is_stored(
    strict: Service, service: Service, file: bytes, paragraph: str
) -> None:
    good = instance()
    response = strict.store(good, file)
    assert response.status_code == 400 and f"({paragraph}; --strict)" in response.text
    assert get(strict, f"studies?StudyInstanceUID={uids(good)[0]}").status_code == 204
    assert len(stored(service.store(good, file))) == 2
