"""Export: copies of stored files in a container, here a folder (conformance statement, export)."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import requests
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian

import dicom_emulator
from tests.emulator.conftest import LONG, Service
from tests.emulator.dicom_files import instance, path, raw_instance, uids
from tests.emulator.operations import (
    CONTAINER,
    JSON_TYPE,
    export_body,
    exported,
    finished,
    person,
    post_export,
    reference,
    succeeded,
    update,
)
from tests.emulator.storing import DICOM_JSON, PLAIN_TEXT, VERSIONS, own_emulator
from tests.emulator.test_command_line import started

BLOB = {"type": "azureblob", "settings": {"blobContainerUri": CONTAINER}}
IDENTIFIERS = {"type": "identifiers", "settings": {"values": ["2.25.1"]}}


@pytest.fixture
def containers(emulator: dicom_emulator.RunningServer) -> Path:
    """The folder that holds a folder for each container."""
    return emulator.export_dir


def is_text(response: requests.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == PLAIN_TEXT and response.text
    return response.text


def post_raw(service: Service, body: bytes, content_type: str | None = "application/json") -> requests.Response:
    headers = {"Content-Type": content_type} if content_type else {}
    return service.owner.post(f"{service.v2}/export", data=body, headers=headers)


def export(service: Service, *values: str, version: str = "v2", **more: Any) -> dict[str, Any]:
    """Export what `values` name and wait. Returns the operation, which must have succeeded."""
    return succeeded(service.owner, post_export(service, export_body(*values, **more), version))


def folder_of(containers: Path, operation: dict[str, Any], container: str = "my-container") -> Path:
    return containers / container / operation["operationId"]


def log_lines(folder: Path) -> list[dict[str, str]]:
    """The objects of the log: one on each line."""
    log = folder / "errors.log"
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []


def name(file: bytes) -> str:
    return "/".join(uids(file)) + ".dcm"


def identifier(file: bytes, level: str) -> str:
    return "/".join(uids(file)[: {"study": 1, "series": 2, "instance": 3}[level]])


class TestRequest:
    @pytest.mark.parametrize("version", ["v1", "v1.0", "v2", "v2.0"])
    def test_it_is_accepted_with_an_address(self, service: Service, version: str) -> None:
        response = post_export(service, export_body("2.25.1"), version)
        body = reference(response)
        assert response.headers["Content-Type"] == JSON_TYPE
        assert body == {"id": body["id"], "href": f"{service.url}/{version}/operations/{body['id']}"}
        assert response.headers["Location"] == body["href"]

    @pytest.mark.parametrize("version", ["v1.0-prerelease", "v1-prerelease"])
    @pytest.mark.parametrize("person", ["owner", "reader", "nobody"])
    def test_the_prerelease_does_not_have_it(self, service: Service, version: str, person: str) -> None:
        client = getattr(service, person)
        response = post_export(service, export_body("2.25.1"), version, client=client)
        assert (response.status_code, response.content) == (404, b"")

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_header_says_which_versions_have_it(self, service: Service, version: str) -> None:
        response = post_export(service, export_body("2.25.1"), version)
        assert response.headers["api-supported-versions"] == "1, 2"

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_reader_may_not(self, service: Service, version: str, containers: Path) -> None:
        body = export_body("2.25.1", container=f"{CONTAINER}-reader-{version}")
        assert is_text(post_export(service, body, version, client=service.reader), 403) == "Authorization failed."
        assert not (containers / f"my-container-reader-{version}").exists()

    def test_a_reader_is_told_of_an_unreadable_body_first_and_of_wrong_uids_last(self, service: Service) -> None:
        url, headers = f"{service.v2}/export", {"Content-Type": "application/json"}
        assert service.reader.post(url, data=b"{", headers=headers).status_code == 400
        assert post_export(service, {"source": IDENTIFIERS}, client=service.reader).status_code == 400
        assert post_export(service, export_body("x"), client=service.reader).status_code == 403

    def test_nobody_may(self, service: Service) -> None:
        response = post_export(service, export_body("2.25.1"), client=service.nobody)
        assert (response.status_code, response.content) == (401, b"")

    def test_other_methods_are_405(self, service: Service) -> None:
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            assert service.owner.request(method, f"{service.v2}/export").status_code == 405

    @pytest.mark.parametrize("content_type", [None, "text/plain", "application/dicom+json", "multipart/related"])
    def test_any_other_content_type_is_415_without_a_body(self, service: Service, content_type: str | None) -> None:
        response = post_raw(service, json.dumps(export_body("2.25.1")).encode(), content_type)
        assert (response.status_code, response.content) == (415, b"")

    @pytest.mark.parametrize(
        "body",
        [
            {"SOURCE": IDENTIFIERS, "Destination": BLOB},
            {"source": {"Type": "Identifiers", "Settings": {"Values": ["2.25.1"]}}, "destination": BLOB},
            {"source": {"TYPE": "IDENTIFIERS", "SETTINGS": {"VALUES": ["2.25.1"]}}, "destination": BLOB},
            {"source": IDENTIFIERS, "destination": {"Type": "AzureBlob", "Settings": {"BlobContainerUri": CONTAINER}}},
        ],
    )
    def test_names_in_any_case(self, service: Service, body: dict) -> None:
        assert succeeded(service.owner, post_export(service, body))["results"]["skipped"] == 1

    def test_comments_and_trailing_commas_are_accepted(self, service: Service) -> None:
        text = f"""{{ // what
            "source": {{"type": "identifiers", "settings": {{"values": ["2.25.1",],}},}},
            /* where */ "destination": {json.dumps(BLOB)},
        }}"""
        assert post_raw(service, text.encode()).status_code == 202

    def test_several_exports_at_once(self, service: Service, containers: Path) -> None:
        files = [instance() for _ in range(4)]
        service.store(*files)
        responses = [post_export(service, export_body(uids(file)[0])) for file in files]
        for file, response in zip(files, responses, strict=True):
            operation = succeeded(service.owner, response)
            assert exported(folder_of(containers, operation)) == {name(file): file}


class TestSource:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("level", ["study", "series", "instance"])
    def test_a_study_a_series_or_an_instance(
        self, service: Service, containers: Path, level: str, version: str
    ) -> None:
        study, series = {"StudyInstanceUID": "2.25.1"}, {"SeriesInstanceUID": "2.25.2"}
        files = [instance(**study, **series), instance(**study, **series), instance(**study), instance()]
        service.store(*files)
        expected = files[: {"study": 3, "series": 2, "instance": 1}[level]]
        operation = export(service, identifier(files[0], level), version=version)
        assert (operation["results"]["exported"], operation["results"]["skipped"]) == (len(expected), 0)
        folder = folder_of(containers, operation)
        assert exported(folder) == {name(file): file for file in expected}
        assert log_lines(folder) == []

    def test_several_of_several_levels(self, service: Service, containers: Path) -> None:
        files = [instance() for _ in range(4)]
        service.store(*files)
        values = [identifier(files[0], "study"), identifier(files[1], "series"), identifier(files[2], "instance")]
        operation = export(service, *values)
        assert operation["results"]["exported"] == 3
        assert exported(folder_of(containers, operation)) == {name(file): file for file in files[:3]}

    def test_more_than_one_batch(self, service: Service, containers: Path) -> None:
        files = [instance(StudyInstanceUID="2.25.1") for _ in range(120)]
        service.store(*files)
        operation = export(service, "2.25.1")
        assert operation["results"]["exported"] == 120
        assert exported(folder_of(containers, operation)) == {name(file): file for file in files}

    def test_the_same_instance_under_several_names_is_there_once(self, service: Service, containers: Path) -> None:
        file = instance()
        service.store(file)
        operation = export(service, *(identifier(file, level) for level in ("study", "series", "instance")))
        assert exported(folder_of(containers, operation)) == {name(file): file}

    @pytest.mark.parametrize(
        "values", [["2.25.404"], ["2.25.404/2.25.5"], ["2.25.404/2.25.5/2.25.6"], ["2.25.404", "2.25.405"]]
    )
    def test_what_is_not_there_is_skipped_and_logged(
        self, service: Service, containers: Path, values: list[str]
    ) -> None:
        file = instance()
        service.store(file)
        operation = export(service, *values, uids(file)[0])
        assert (operation["results"]["exported"], operation["results"]["skipped"]) == (1, len(values))
        folder = folder_of(containers, operation)
        assert exported(folder) == {name(file): file}
        lines = log_lines(folder)
        assert [line["identifier"] for line in lines] == values
        for line in lines:
            assert set(line) == {"timestamp", "identifier", "error"} and line["error"]
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|\+00:00)", line["timestamp"])

    def test_what_is_under_another_parent_is_skipped(self, service: Service, containers: Path) -> None:
        first, second = instance(), instance()
        service.store(first, second)
        wrong = "/".join([*uids(first)[:2], uids(second)[2]])
        operation = export(service, wrong)
        assert (operation["results"]["exported"], operation["results"]["skipped"]) == (0, 1)
        assert [line["identifier"] for line in log_lines(folder_of(containers, operation))] == [wrong]

    @pytest.mark.parametrize("values", [[], None, "left out"])
    def test_values_must_be_given(self, service: Service, values: Any) -> None:
        body = export_body()
        if values == "left out":
            del body["source"]["settings"]["values"]
        else:
            body["source"]["settings"]["values"] = values
        assert is_text(post_export(service, body), 400) == "Missing value for property 'Values'."

    @pytest.mark.parametrize(
        "value",
        ["", " ", "/", "abc", "2.25.1/", "/2.25.1", "2.25.1//2.25.2", "2.25.1/2.25.2/2.25.3/2.25.4", "2.25.1/abc"]
        + ["2.25.1/2.25.2/x", "../../etc", "2.25.1/../2.25.2", "1" * 65, "2.25.1\\2.25.2", "2.25.1\n", "2.25.1\0"]
        + ["*", "٢.25", "2.25.1/2.25.2/" + "3" * 65, "\ud800", "2.25.1.", "studies/2.25.1"],
        ids=ascii,
    )
    def test_a_malformed_identifier_is_400(self, service: Service, value: str) -> None:
        for values in ([value], ["2.25.1", value]):
            assert is_text(post_export(service, export_body(*values)), 400)

    def test_nothing_begins_where_one_identifier_is_malformed(self, service: Service, containers: Path) -> None:
        post_export(service, export_body("2.25.1", "nonsense", container=f"{CONTAINER}-malformed"))
        assert not (containers / "my-container-malformed").exists()

    def test_without_a_source_all_is_exported(self, service: Service, containers: Path) -> None:
        """As in the hosted service; the published code asks for a source."""
        files = [instance() for _ in range(3)]
        service.store(*files)
        operation = succeeded(service.owner, post_export(service, {"destination": BLOB}))
        assert operation["results"]["exported"] == 3
        assert exported(folder_of(containers, operation)) == {name(file): file for file in files}


class TestContent:
    def test_every_byte_is_that_of_the_file(self, service: Service, containers: Path) -> None:
        files = [
            instance(ImplicitVRLittleEndian),
            instance("1.2.840.10008.1.2.2"),
            raw_instance({"PatientBirthDate": b"someday."}),
            instance(pixels=numpy.zeros((1500, 2000), "u1")),
        ]
        for file in files:
            assert service.store(file).status_code in {200, 202}
        operation = export(service, *(uids(file)[0] for file in files))
        assert exported(folder_of(containers, operation)) == {name(file): file for file in files}

    def test_an_updated_instance_is_exported_in_its_latest_version(self, service: Service, containers: Path) -> None:
        file = instance(PatientName="Old^Name")
        service.store(file)
        update(service, file, changes=person("New^Name"))
        operation = export(service, uids(file)[0])
        (content,) = exported(folder_of(containers, operation)).values()
        assert dcmread(io.BytesIO(content)).PatientName == "New^Name"
        accept = {"Accept": "application/dicom; transfer-syntax=*"}
        assert content == service.owner.get(f"{service.v2}/{path(file)}", headers=accept).content

    def test_a_deleted_instance_is_not_exported(self, service: Service, containers: Path) -> None:
        files = [instance(StudyInstanceUID="2.25.1") for _ in range(2)]
        service.store(*files)
        service.owner.delete(f"{service.v2}/{path(files[0])}")
        operation = export(service, "2.25.1")
        assert exported(folder_of(containers, operation)) == {name(files[1]): files[1]}

    def test_what_was_exported_stays_when_the_instance_is_deleted(self, service: Service, containers: Path) -> None:
        file = instance()
        service.store(file)
        operation = export(service, uids(file)[0])
        service.owner.delete(f"{service.v2}/{path(file)}")
        assert exported(folder_of(containers, operation)) == {name(file): file}

    def test_an_instance_that_is_deleted_before_its_turn_is_skipped(self, tmp_path: Path) -> None:
        with own_emulator(operation_time=1, export_dir=tmp_path) as service:
            file = instance()
            service.store(file)
            response = post_export(service, export_body(identifier(file, "instance")))
            service.owner.delete(f"{service.v2}/{path(file)}")
            operation = succeeded(service.owner, response)
            assert (operation["results"]["exported"], operation["results"]["skipped"]) == (0, 1)

    def test_an_export_leaves_the_archive_alone(self, service: Service) -> None:
        file = instance()
        service.store(file)
        before = service.owner.get(f"{service.v2}/changefeed").json()
        export(service, uids(file)[0])
        assert service.owner.get(f"{service.v2}/changefeed").json() == before


def test_a_manifest_lists_the_files(service: Service, containers: Path) -> None:
    """An addition of the emulator: each file with its size and its watermark, which is the instance's ETag."""
    files = [instance() for _ in range(3)]
    service.store(*files)
    folder = folder_of(containers, export(service, *(uids(file)[0] for file in files), "2.25.404"))
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines()]
    for file, line in zip(files, lines, strict=True):
        metadata = service.owner.get(f"{service.v2}/{path(file)}/metadata", headers={"Accept": DICOM_JSON})
        expected = {"file": f"results/{name(file)}", "bytes": len(file), "watermark": int(metadata.headers["ETag"])}
        assert line == expected
    assert {each.name for each in folder.iterdir()} == {"results", "errors.log", "manifest.jsonl"}


class TestDestination:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(
        "settings",
        [
            {"blobContainerUri": "https://account.blob.core.windows.net/here-1"},
            {"blobContainerUri": "https://account.blob.core.windows.net/here-1?sv=2024&sig=secret%2B"},
            {"blobContainerUri": "https://account.blob.core.windows.net/here-1", "useManagedIdentity": True},
            {"blobContainerUri": "http://127.0.0.1:10000/devstoreaccount1/here-1"},
            {"blobContainerUri": "https://account.blob.core.windows.net/here-1/"},
            {"connectionString": "UseDevelopmentStorage=true", "blobContainerName": "here-1"},
            {"ConnectionString": "AccountName=a;AccountKey=b", "BlobContainerName": "here-1"},
        ],
    )
    def test_a_container_is_a_folder(
        self, service: Service, containers: Path, settings: dict[str, Any], version: str
    ) -> None:
        file = instance()
        service.store(file)
        body = export_body(uids(file)[0]) | {"destination": {"type": "azureblob", "settings": settings}}
        operation = succeeded(service.owner, post_export(service, body, version))
        assert exported(folder_of(containers, operation, "here-1")) == {name(file): file}

    def test_the_address_of_the_log_has_no_secret(self, service: Service) -> None:
        results = export(service, "2.25.404", container=f"{CONTAINER}?sv=2024&sig=top-secret")["results"]
        assert "secret" not in json.dumps(results)

    def test_the_address_of_the_log_is_in_the_container(self, service: Service) -> None:
        operation = export(service, "2.25.404")
        assert operation["results"]["errorHref"] == f"{CONTAINER}/{operation['operationId']}/errors.log"

    @pytest.mark.parametrize("container", ["abc", "0-9", "a" * 63, "a-b-c", "123"])
    def test_names_of_containers(self, service: Service, containers: Path, container: str) -> None:
        operation = export(service, "2.25.1", container=f"https://account.blob.core.windows.net/{container}")
        assert (containers / container / operation["operationId"]).is_dir()

    @pytest.mark.parametrize(
        "container",
        ["", "ab", "a" * 64, "Capital", "under_score", "two--hyphens", "-first", "last-", "a.b", "..", "...", "a b"]
        + ["a%20b", "größe", "%2e%2e", "a\\b", "c:", "a\n", "١٢٣", "\ud800", "abc\0", "$web"],
        ids=ascii,
    )
    def test_other_names_are_400(self, service: Service, containers: Path, container: str) -> None:
        before = {each.name for each in containers.rglob("*")} if containers.exists() else set()
        for settings in (
            {"blobContainerUri": f"https://account.blob.core.windows.net/{container}"},
            {"connectionString": "UseDevelopmentStorage=true", "blobContainerName": container},
        ):
            body = export_body("2.25.1") | {"destination": {"type": "azureblob", "settings": settings}}
            assert post_export(service, body).status_code == 400
        after = {each.name for each in containers.rglob("*")} if containers.exists() else set()
        assert after == before

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"blobContainerUri": ""},
            {"blobContainerUri": None},
            {"blobContainerUri": 7},
            {"blobContainerUri": "my-container"},
            {"blobContainerUri": "/my-container"},
            {"blobContainerUri": "https:///my-container"},
            {"blobContainerUri": "https://[/my-container"},
            {"blobContainerUri": "https://account.blob.core.windows.net"},
            {"blobContainerUri": "https://account.blob.core.windows.net/"},
            {"blobContainerUri": "nonsense"},
            {"blobContainerUri": ["https://account.blob.core.windows.net/my-container"]},
            {"connectionString": "UseDevelopmentStorage=true"},
            {"blobContainerName": "my-container"},
            {"connectionString": "UseDevelopmentStorage=true", "blobContainerName": 7},
            {"connectionString": "UseDevelopmentStorage=true", "blobContainerName": None},
            {"connectionString": 7, "blobContainerName": "my-container"},
        ],
    )
    def test_settings_without_a_container_are_400(self, service: Service, settings: dict[str, Any]) -> None:
        body = export_body("2.25.1") | {"destination": {"type": "azureblob", "settings": settings}}
        assert is_text(post_export(service, body), 400)

    def test_a_container_that_cannot_be_made_is_400_or_a_failed_operation(self, tmp_path: Path) -> None:
        (tmp_path / "my-container").write_text("a file is in the way")
        with own_emulator(export_dir=tmp_path) as service:
            response = post_export(service, export_body("2.25.1"))
            assert response.status_code == 400 or finished(service.owner, response)["status"] == "failed"

    def test_the_folder_of_the_containers_is_in_the_data_folder_unless_told(self, tmp_path: Path) -> None:
        file = instance()
        with own_emulator(data_dir=tmp_path) as service:
            service.store(file)
            operation = export(service, uids(file)[0])
        assert exported(folder_of(tmp_path / "exports", operation)) == {name(file): file}
        with own_emulator(data_dir=tmp_path) as service:
            assert exported(folder_of(tmp_path / "exports", operation)) == {name(file): file}, (
                "a restart leaves it alone"
            )

    def test_the_folder_of_the_containers_is_an_option(self, tmp_path: Path) -> None:
        file = instance()
        with started("--export-dir", str(tmp_path / "deep" / "down")) as emulator:
            assert emulator.store(file).status_code == 200
            client = emulator.owner()
            response = client.post(f"{emulator.url}/v2/export", json=export_body(uids(file)[0]))
            operation = succeeded(client, response)
        assert exported(folder_of(tmp_path / "deep" / "down", operation)) == {name(file): file}


class TestRefused:
    @pytest.mark.parametrize("body", [{"source": IDENTIFIERS}, {"source": IDENTIFIERS, "destination": None}])
    def test_a_missing_destination(self, service: Service, body: dict) -> None:
        text = is_text(post_export(service, body), 400)
        assert re.match(r"The field '\S*Destination\S*' in request body is invalid: ", text)

    @pytest.mark.parametrize("missing", ["type", "settings"])
    @pytest.mark.parametrize("part", ["source", "destination"])
    @pytest.mark.parametrize("value", [None, "left out"])
    def test_a_missing_type_or_settings(self, service: Service, part: str, missing: str, value: Any) -> None:
        body = export_body("2.25.1")
        if value == "left out":
            del body[part][missing]
        else:
            body[part][missing] = value
        text = is_text(post_export(service, body), 400)
        assert "in request body is invalid" in text or text.startswith("Missing value for property")

    @pytest.mark.parametrize("kind", ["", "file", "azureblob ", "identifiers2", "unknown", "0", 0, 1, True, [], {}])
    @pytest.mark.parametrize("part", ["source", "destination"])
    def test_an_unknown_type(self, service: Service, part: str, kind: Any) -> None:
        body = export_body("2.25.1")
        body[part]["type"] = kind
        assert "in request body is invalid: " in is_text(post_export(service, body), 400)

    @pytest.mark.parametrize("value", [7, "2.25.1", [], ["2.25.1"], True])
    @pytest.mark.parametrize("part", ["source", "destination"])
    @pytest.mark.parametrize("inner", ["", "settings"])
    def test_other_types_of_json(self, service: Service, part: str, inner: str, value: Any) -> None:
        body: dict[str, Any] = export_body("2.25.1")
        if inner:
            body[part][inner] = value
        else:
            body[part] = value
        assert is_text(post_export(service, body), 400)

    @pytest.mark.parametrize("values", ["2.25.1", 7, {"a": 1}, [7], [None], [["2.25.1"]], [{}], ["2.25.1", 7], True])
    def test_values_that_are_no_texts(self, service: Service, values: Any) -> None:
        body = export_body()
        body["source"]["settings"]["values"] = values
        assert is_text(post_export(service, body), 400)

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"null", b"[]", b"1", b'"x"', b"{}", b"\xff", b'{"destination": NaN}', b"[" * 100_000]
        + [b'{"source": {"type": "\\ud800"}, "destination": {"type": "azureblob", "settings": {}}}']
        + [b'{"destination": {"type": "\\ud800", "settings": {}}}']
        + [b'{"destination": {"type": "azureblob", "settings": {"blobContainerUri": "https://a\\ud800/abc"}}}'],
        ids=lambda body: repr(body[:60]),
    )
    def test_what_cannot_be_read(self, service: Service, body: bytes) -> None:
        assert is_text(post_raw(service, body), 400)

    @pytest.mark.parametrize("body", [b"", b"{", b"[]"])
    def test_what_is_no_such_json_is_told_like_a_field(self, service: Service, body: bytes) -> None:
        assert re.match(r"The field '\S+' in request body is invalid: ", is_text(post_raw(service, body), 400))


@pytest.fixture(scope="module")
def slow() -> Iterator[Service]:
    with own_emulator(operation_time=LONG) as service:
        yield service


def test_while_it_is_at_work_its_results_may_be_missing(slow: Service) -> None:
    response = slow.owner.get(reference(post_export(slow, export_body("2.25.1")))["href"])
    operation = response.json()
    assert response.status_code == 202 and operation["type"] == "export"
    assert operation.get("results") is None or operation["results"]["exported"] == 0
