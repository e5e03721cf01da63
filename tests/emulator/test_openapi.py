"""The OpenAPI description is true: it names the routes that there are, and the answers are those that it promises."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy
import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import dicom_emulator
from dicom_emulator import channel
from dicom_emulator.api import openapi, parameters
from dicom_emulator.api.openapi import yaml_lines
from dicom_emulator.api.transaction import Resource
from dicom_emulator.app import ROUTES
from dicom_emulator.wire import json_body
from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, uids

TRUE = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def described(service: Service, version: str) -> dict[str, Any]:
    return requests.get(f"{service.url}/{version}/api.json", timeout=10).json()


def served(number: str, partitions: bool) -> set[tuple[str, str]]:
    """Each method and path of the route table in one version."""
    found = set()
    for route in ROUTES:
        if isinstance(route, Resource) and number in route.offered:
            path = route.path.removeprefix("/{version}")
            prefix = "/partitions/{partition}" if partitions and route.partitioned else ""
            found |= {(method.lower(), prefix + path) for method in route.transactions}
    return found


def operations(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method, path) for path, item in document["paths"].items() for method in item if method != "parameters"}


@pytest.mark.parametrize("number", ["1", "1.0-prerelease", "2"])
def test_it_names_the_routes_of_its_version(service: Service, number: str) -> None:
    document = described(service, f"v{number}")
    assert operations(document) == served(number, partitions=False)
    assert document["info"]["version"] == number
    assert document["servers"] == [{"url": f"{service.url}/v{number}"}]


def test_bulk_update_is_in_v2_only_and_export_not_in_the_prerelease(service: Service) -> None:
    paths = {version: described(service, version)["paths"] for version in ("v1", "v1.0-prerelease", "v2")}
    assert [version for version in paths if "/studies/$bulkUpdate" in paths[version]] == ["v2"]
    assert [version for version in paths if "/export" in paths[version]] == ["v1", "v2"]


def test_with_partitions_the_paths_name_one() -> None:
    with dicom_emulator.running(partitions=True) as server:
        document = requests.get(f"{server.url}/v2/api.json", timeout=10).json()
    assert operations(document) == served("2", partitions=True)
    assert "/partitions/{partition}/studies" in document["paths"]


def test_names_of_operations_are_unique(service: Service) -> None:
    document = described(service, "v2")
    names = [document["paths"][path][method]["operationId"] for method, path in operations(document)]
    assert len(set(names)) == len(names)


def test_each_parameter_of_a_path_is_described(service: Service) -> None:
    for path, item in described(service, "v2")["paths"].items():
        assert [parameter["name"] for parameter in item["parameters"]] == re.findall(r"{(\w+)}", path)


def test_what_needs_a_token_says_so(service: Service) -> None:
    document = described(service, "v2")
    for method, path in operations(document):
        entry = document["paths"][path][method]
        assert ("security" in entry) == (path not in {"/api.json", "/api.yaml"})


def test_the_yaml_says_the_same(service: Service) -> None:
    response = requests.get(f"{service.url}/v2/api.yaml", timeout=10)
    assert response.headers["Content-Type"].startswith("application/yaml")
    assert yaml.safe_load(response.text) == described(service, "v2")


@pytest.mark.parametrize("key", ["no", "on", "null", "200", "a b", "x: y", "#", "{study}", "$ref", "ja"])
def test_yaml_keys_stay_text(key: str) -> None:
    value = {key: [{"a": 1, "b": []}, "two\nlines", None, True]}
    assert yaml.safe_load("\n".join(yaml_lines(value))) == value


@dataclass
class Target:
    """An emulator of its own, and the identifiers of something that is stored there."""

    url: str
    known: dict[str, str]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    file = instance(pixels=numpy.arange(64, dtype="u1").reshape(8, 8))
    with dicom_emulator.running(sign_in=False) as server:
        body, content_type = multipart(file)
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        assert requests.post(f"{server.url}/v2/studies", data=body, headers=headers, timeout=10).status_code == 200
        tag = [{"path": "PatientAge", "level": "Study"}]
        operation = requests.post(f"{server.url}/v2/extendedquerytags", json=tag, timeout=10).json()["id"]
        known = dict(zip(("study", "series", "instance"), uids(file), strict=True))
        yield Target(f"{server.url}/v2", known | {"frames": "1", "tag": "PatientAge", "operation": operation})


@schemathesis.serializer("application/dicom", "multipart/related", "application/dicom+json")
def as_bytes(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, default=str).encode()


schema = schemathesis.openapi.from_dict(openapi.described(ROUTES, "2", "http://localhost/v2", partitions=False))
EVERY_OPERATION = sorted(operations(schema.raw_schema))
# What is refused before anybody looks at what is asked for.
REFUSED = {
    400: {"params": {"x": "<"}},
    414: {"params": {"x": "y" * 9000}},
    421: {"headers": {"Host": "elsewhere.example"}},
    431: {"headers": {f"X-{number}": "" for number in range(101)}},
}


def is_promised(response: requests.Response, method: str, path: str) -> bool:
    answers = schema.raw_schema["paths"][path][method]["responses"]
    media_type = response.headers["Content-Type"].split(";")[0]
    return media_type in answers.get(str(response.status_code), {}).get("content", {})


@pytest.mark.parametrize(("method", "path"), EVERY_OPERATION)
@pytest.mark.parametrize("status", REFUSED)
def test_what_any_request_may_be_answered_is_promised(target: Target, status: int, method: str, path: str) -> None:
    url = target.url + path.format(**{"workitem": "1.2"} | target.known)
    response = requests.request(method, url, timeout=10, **REFUSED[status])
    assert response.status_code == status and is_promised(response, method, path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(channel, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(parameters, "LARGEST", 1000)
    monkeypatch.setattr(json_body, "LARGEST", 1000)
    with dicom_emulator.running(sign_in=False, max_file_size=1000) as server:
        yield f"{server.url}/v2"


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for method, path in EVERY_OPERATION if "requestBody" in schema.raw_schema["paths"][path][method]],
)
def test_what_a_body_may_be_answered_is_promised(impatient: str, method: str, path: str) -> None:
    described = schema.raw_schema["paths"][path][method]
    headers = {"Content-Type": next(iter(described["requestBody"]["content"])), "Accept": "application/dicom+json"}
    url = impatient + path.format(study="1.2", workitem="1.2", tag="PatientAge")
    large = requests.request(method, url, data=b" " * 2000, headers=headers, timeout=10)
    assert large.status_code == 413 and is_promised(large, method, path)

    def stops() -> Iterator[bytes]:
        yield b" "
        time.sleep(0.3)

    silent = requests.request(method, url, data=stops(), headers=headers, timeout=10)
    assert silent.status_code == 408 and is_promised(silent, method, path)


a_few = settings(
    max_examples=25,
    derandomize=True,  # the same requests in every run
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schema.parametrize()
@a_few
def test_whatever_is_sent_the_answer_is_one_that_it_promises(case: schemathesis.Case, target: Target) -> None:
    case.call_and_validate(base_url=target.url, checks=TRUE)


@schema.exclude(method="DELETE").parametrize()
@a_few
def test_and_so_it_is_for_what_is_stored(case: schemathesis.Case, target: Target) -> None:
    case.path_parameters = {name: target.known.get(name, value) for name, value in case.path_parameters.items()}
    case.call_and_validate(base_url=target.url, checks=TRUE)
