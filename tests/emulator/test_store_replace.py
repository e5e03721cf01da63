"""PUT /studies and /studies/{study}: store, or replace what is there (conformance statement of the hosted service)."""

from pathlib import Path

import pytest
import requests

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, uids
from tests.emulator.storing import (
    DICOM_JSON,
    UNREADABLE,
    VERSIONS,
    change_feed,
    failed,
    metadata,
    own_emulator,
    referenced,
    retrieve,
    search,
    stored,
)

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def put(service: Service, *files: bytes, version: str, study: str = "", client: requests.Session | None = None):
    body, content_type = multipart(*files)
    url = f"{service.url}/{version}/studies" + (f"/{study}" if study else "")
    headers = {"Content-Type": content_type, "Accept": DICOM_JSON}
    return (client or service.owner).put(url, data=body, headers=headers)


def two_versions() -> tuple[bytes, bytes]:
    """The same instance twice, with another patient's name."""
    names = dict(zip(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), uids(instance()), strict=True))
    return instance(PatientName="Old^Name", **names), instance(PatientName="New^Name", **names)


def test_a_new_instance_is_stored_as_with_post(service: Service, version: str) -> None:
    file = instance()
    response = put(service, file, version=version)
    assert response.status_code == 200 and stored(response) == [referenced(service, version, file)]
    assert retrieve(service, stored(response)[0]).content == file
    assert [event["action"] for event in change_feed(service)] == ["Create"]


def test_an_instance_that_is_there_is_replaced(service: Service, version: str) -> None:
    old, new = two_versions()
    service.store(old, version=version)
    response = put(service, new, version=version)
    assert response.status_code == 200 and stored(response) == [referenced(service, version, new)]
    assert failed(response) == []
    (item,) = stored(response)
    assert retrieve(service, item).content == new
    assert metadata(service, item)["00100010"]["Value"] == [{"Alphabetic": "New^Name"}]
    assert len(search(service, "instances", version, PatientName="New^Name")) == 1
    assert search(service, "instances", version, PatientName="Old^Name") == []


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice in one request"])
def test_the_file_of_what_was_replaced_does_not_stay(tmp_path: Path, version: str, times: int) -> None:
    old, new = two_versions()
    with own_emulator(data_dir=tmp_path) as service:
        service.store(old, version=version)
        assert len(stored(put(service, *[new] * times, version=version))) == times
    (file,) = tmp_path.glob("instances/*/*")
    assert file.read_bytes() == new


def test_the_change_feed_notes_an_update_and_the_etag_changes(service: Service, version: str) -> None:
    old, new = two_versions()
    url = stored(service.store(old, version=version))[0]["00081190"]["Value"][0] + "/metadata"
    before = service.owner.get(url, headers={"Accept": DICOM_JSON}).headers["ETag"]
    put(service, new, version=version)
    events = change_feed(service)
    assert [(event["action"], event["state"]) for event in events] == [("Create", "Replaced"), ("Update", "Current")]
    assert service.owner.get(url, headers={"Accept": DICOM_JSON}).headers["ETag"] != before


def test_one_that_cannot_be_read_leaves_what_is_there(service: Service, version: str) -> None:
    old, new = two_versions()
    service.store(old, version=version)
    response = put(service, new[:-1], version=version)
    assert response.status_code == 409 and failed(response) == [UNREADABLE]
    assert len(search(service, "instances", version, PatientName="Old^Name")) == 1


def test_the_study_in_the_path_holds(service: Service, version: str) -> None:
    file = instance()
    assert put(service, file, version=version, study="1.2.3").status_code == 409
    response = put(service, file, version=version, study=uids(file)[0])
    assert response.status_code == 200
    assert response.json()["00081190"]["Value"] == [f"{service.url}/{version}/studies/{uids(file)[0]}"]


def test_a_reader_may_not_replace(service: Service, version: str) -> None:
    assert put(service, instance(), version=version, client=service.reader).status_code == 403
    assert put(service, instance(), version=version, client=service.nobody).status_code == 401
