"""Operations for the tests: start one, and follow it until it is over (conformance statement, operations)."""

import time
from pathlib import Path
from typing import Any

import requests

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import uids

DEADLINE = 60  # seconds after which an operation counts as stuck
PAUSE = 0.02  # seconds between two looks at it
SUCCEEDED = {"v1.0-prerelease": "completed", "v1": "completed", "v2": "succeeded"}
JSON_TYPE = "application/json; charset=utf-8"
CONTAINER = "https://account.blob.core.windows.net/my-container"


def reference(response: requests.Response) -> dict[str, str]:
    """What an accepted request says of its operation: {"id", "href"}."""
    assert response.status_code == 202, response.text
    return response.json()


def finished(client: requests.Session, response: requests.Response) -> dict[str, Any]:
    """The operation that `response` refers to, when it has come to its end, well or not."""
    return end_of(client, reference(response)["href"])


def end_of(client: requests.Session, url: str) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE
    while (answer := client.get(url)).status_code == 202:
        assert time.monotonic() < deadline, f"stuck: {answer.text}"
        time.sleep(PAUSE)
    assert answer.status_code == 200, answer.text
    return answer.json()


def succeeded(client: requests.Session, response: requests.Response) -> dict[str, Any]:
    """The operation that `response` refers to, which must end well."""
    operation = finished(client, response)
    assert operation["status"] in SUCCEEDED.values(), operation
    return operation


def tag(path: str, level: str = "Instance", **more: Any) -> dict[str, Any]:
    """An entry that adds an extended query tag; VR and PrivateCreator by name."""
    return {"Path": path, "Level": level} | more


def post_tags(
    service: Service, *entries: Any, version: str = "v2", client: requests.Session | None = None
) -> requests.Response:
    return (client or service.owner).post(f"{service.url}/{version}/extendedquerytags", json=list(entries))


def add_tags(service: Service, *entries: dict[str, Any], version: str = "v2") -> dict[str, Any]:
    """Add extended query tags and wait until everything is indexed. Returns the operation."""
    return succeeded(service.owner, post_tags(service, *entries, version=version))


def get_tag(service: Service, path: str, version: str = "v2") -> dict[str, Any]:
    response = service.owner.get(f"{service.url}/{version}/extendedquerytags/{path}")
    assert response.status_code == 200, response.text
    return response.json()


def tag_errors(service: Service, path: str, **query: Any) -> list[dict[str, Any]]:
    response = service.owner.get(f"{service.v2}/extendedquerytags/{path}/errors", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def set_query_status(service: Service, path: str, status: str) -> dict[str, Any]:
    response = service.owner.patch(f"{service.v2}/extendedquerytags/{path}", json={"QueryStatus": status})
    assert response.status_code == 200, response.text
    return response.json()


def post_update(
    service: Service, studies: Any, changes: Any, partition: str = "", client: requests.Session | None = None
) -> requests.Response:
    """POST studies/$bulkUpdate. `changes`: a DICOM JSON data set."""
    body = {"studyInstanceUids": studies, "changeDataset": changes}
    return (client or service.owner).post(f"{service.v2}{partition}/studies/$bulkUpdate", json=body)


def update(service: Service, *files: bytes, changes: dict[str, Any], partition: str = "") -> dict[str, Any]:
    """Change the studies of `files` and wait. Returns the operation, which must have succeeded."""
    studies = list(dict.fromkeys(uids(file)[0] for file in files))
    return succeeded(service.owner, post_update(service, studies, changes, partition))


def person(name: str, **groups: str) -> dict[str, Any]:
    """PatientName in DICOM JSON."""
    return {"00100010": {"vr": "PN", "Value": [{"Alphabetic": name} | groups]}}


def export_body(*values: str, container: str = CONTAINER) -> dict[str, Any]:
    return {
        "source": {"type": "identifiers", "settings": {"values": list(values)}},
        "destination": {"type": "azureblob", "settings": {"blobContainerUri": container}},
    }


def post_export(
    service: Service, body: Any, version: str = "v2", partition: str = "", client: requests.Session | None = None
) -> requests.Response:
    return (client or service.owner).post(f"{service.url}/{version}{partition}/export", json=body)


def exported(folder: Path) -> dict[str, bytes]:
    """The exported files below the folder of an operation, by their path below `results`."""
    results = folder / "results"
    return {path.relative_to(results).as_posix(): path.read_bytes() for path in results.rglob("*") if path.is_file()}
