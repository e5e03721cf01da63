"""Store requests for the tests, and what their responses say (PS3.18 §10.5 and §I.2)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

import dicom_emulator
from tests.emulator.conftest import Service, session
from tests.emulator.dicom_files import SECONDARY_CAPTURE, uids

VERSIONS = ["v1", "v2"]
DICOM_JSON = "application/dicom+json"
PLAIN_TEXT = "text/plain; charset=utf-8"
VALIDATION_FAILURE, ALREADY_EXISTS, BEING_CREATED = 43264, 45070, 45071
ATTRIBUTES_WARNING, CLASS_WARNING = 1, 45063
UNREADABLE = {"00081197": {"vr": "US", "Value": [VALIDATION_FAILURE]}}


@contextmanager
def own_emulator(**settings: Any) -> Iterator[Service]:
    """An emulator of the test's own, with other settings or with a folder that the test may damage."""
    with dicom_emulator.running(**settings) as server:
        owner, reader = (server.credential_for(person).get_token("").token for person in ("owner", "reader"))
        yield Service(server.url, session(owner), session(reader), session())


def post(
    service: Service,
    body: Any,
    content_type: str | None,
    version: str = "v2",
    study: str = "",
    accept: str | None = DICOM_JSON,
    client: requests.Session | None = None,
) -> requests.Response:
    """POST `body` as it is to `studies` or `studies/{study}`; a header that is None is not sent."""
    headers = {"Content-Type": content_type, "Accept": accept}
    return (client or service.owner).post(
        f"{service.url}/{version}/studies" + (f"/{study}" if study else ""),
        data=body,
        headers={name: value for name, value in headers.items() if value is not None},
    )


def short(value: Any) -> str | None:
    """The id of a parameter that is bytes, cut to a readable length; pytest names all others."""
    return repr(value)[2:26] if isinstance(value, bytes) else None


def stored(response: requests.Response) -> list[dict]:
    """The items of ReferencedSOPSequence."""
    return response.json().get("00081199", {}).get("Value", [])


def failed(response: requests.Response) -> list[dict]:
    """The items of FailedSOPSequence."""
    return response.json().get("00081198", {}).get("Value", [])


def failure_reasons(response: requests.Response) -> list[int]:
    return [item["00081197"]["Value"][0] for item in failed(response)]


def warning_reason(item: dict) -> int | None:
    return item["00081196"]["Value"][0] if "00081196" in item else None


def comments(item: dict) -> list[str]:
    """The ErrorComments of an item's FailedAttributesSequence, which must be there and hold nothing else."""
    sequence = item["00741048"]
    assert sequence["vr"] == "SQ"
    for attribute in sequence.get("Value", []):
        assert list(attribute) == ["00000902"] and attribute["00000902"]["vr"] == "LO"
    return [attribute["00000902"]["Value"][0] for attribute in sequence.get("Value", [])]


def referenced(service: Service, version: str, file: bytes, **more: Any) -> dict:
    """The item that acknowledges `file`, of class Secondary Capture, stored without a warning."""
    study, series, sop = uids(file)
    url = f"{service.url}/{version}/studies/{study}/series/{series}/instances/{sop}"
    expected = {
        "00081150": {"vr": "UI", "Value": [SECONDARY_CAPTURE]},
        "00081155": {"vr": "UI", "Value": [sop]},
        "00081190": {"vr": "UR", "Value": [url]},
    }
    return expected | ({"00741048": {"vr": "SQ"}} if version == "v2" else {}) | more


def refused(file: bytes, reason: int) -> dict:
    """The item that refuses `file`, of class Secondary Capture, without going into its attributes."""
    return {
        "00081150": {"vr": "UI", "Value": [SECONDARY_CAPTURE]},
        "00081155": {"vr": "UI", "Value": [uids(file)[2]]},
        "00081197": {"vr": "US", "Value": [reason]},
    }


def retrieve(service: Service, item: dict) -> requests.Response:
    """The instance that a stored item points to, in the transfer syntax it came in."""
    headers = {"Accept": "application/dicom; transfer-syntax=*"}
    return service.owner.get(item["00081190"]["Value"][0], headers=headers)


def metadata(service: Service, item: dict) -> dict:
    """The metadata of the instance that a stored item points to, read through its study."""
    url = re.sub("/series/.*", "/metadata", item["00081190"]["Value"][0])
    datasets = service.owner.get(url, headers={"Accept": DICOM_JSON}).json()
    return next(dataset for dataset in datasets if dataset["00080018"]["Value"] == item["00081155"]["Value"])


def search(service: Service, path: str, version: str = "v2", **query: str) -> list[dict]:
    """The rows of a search, none for 204."""
    response = service.owner.get(f"{service.url}/{version}/{path}", params=query, headers={"Accept": DICOM_JSON})
    assert response.status_code in {200, 204}, response.text
    return response.json() if response.content else []


def change_feed(service: Service, version: str = "v2", **query: Any) -> list[dict]:
    response = service.owner.get(f"{service.url}/{version}/changefeed", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def is_empty(service: Service) -> bool:
    """Nothing was ever stored: no instance to be found, no change recorded."""
    return search(service, "instances") == [] and change_feed(service) == []
