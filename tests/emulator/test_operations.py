"""Operations: long work that a client asks about until it is done (conformance statement, operations)."""

import re
import signal
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import requests

from tests.emulator.conftest import LONG, Service, session
from tests.emulator.dicom_files import instance, uids
from tests.emulator.operations import (
    JSON_TYPE,
    SUCCEEDED,
    add_tags,
    end_of,
    export_body,
    exported,
    finished,
    person,
    post_export,
    post_tags,
    post_update,
    reference,
    succeeded,
    tag,
    update,
)
from tests.emulator.storing import DICOM_JSON, own_emulator, search
from tests.emulator.test_command_line import Started, started

ALL_VERSIONS = ["v1.0-prerelease", "v1", "v2"]
Start = Callable[[Service], requests.Response]
# What starts each kind of operation, in each version that has it.
STARTERS: dict[str, Start] = {
    "reindex v1.0-prerelease": lambda service: post_tags(service, tag("PatientAge"), version="v1.0-prerelease"),
    "reindex v1": lambda service: post_tags(service, tag("PatientAge"), version="v1"),
    "reindex v2": lambda service: post_tags(service, tag("PatientAge"), version="v2"),
    "update v2": lambda service: post_update(service, ["2.25.1"], person("New")),
    "export v1": lambda service: post_export(service, export_body("2.25.1"), "v1"),
    "export v2": lambda service: post_export(service, export_body("2.25.1"), "v2"),
}
TYPES = ["reindex v2", "update v2", "export v2"]
UNKNOWN = "0123456789abcdef0123456789abcdef"


def url_of(service: Service, id: str, version: str = "v2") -> str:
    return f"{service.url}/{version}/operations/{id}"


class TestReference:
    @pytest.mark.parametrize("starter", STARTERS)
    def test_who_starts_one_is_told_its_id_and_address(self, service: Service, starter: str) -> None:
        response = STARTERS[starter](service)
        assert response.status_code == 202
        assert response.headers["Content-Type"] == JSON_TYPE
        body = response.json()
        assert set(body) == {"id", "href"}
        assert re.fullmatch("[0-9a-f]{32}", body["id"])
        assert body["href"] == url_of(service, body["id"], starter.split()[1])

    @pytest.mark.parametrize("starter", STARTERS)
    def test_location_is_the_address_and_not_set_for_bulk_update(self, service: Service, starter: str) -> None:
        response = STARTERS[starter](service)
        expected = None if starter.startswith("update") else response.json()["href"]
        assert response.headers.get("Location") == expected

    def test_every_operation_has_an_id_of_its_own(self, service: Service) -> None:
        ids = [reference(post_export(service, export_body("2.25.1")))["id"] for _ in range(5)]
        assert len(set(ids)) == 5


class TestAtWork:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("starter", STARTERS)
    def test_it_is_202_with_its_address(self, slow: Service, starter: str, version: str) -> None:
        id = reference(STARTERS[starter](slow))["id"]
        response = slow.owner.get(url_of(slow, id, version))
        assert response.status_code == 202
        assert response.headers["Location"] == url_of(slow, id, version)
        assert response.headers["Content-Type"] == JSON_TYPE
        operation = response.json()
        assert operation["operationId"] == id
        assert operation["type"] == starter.split()[0]
        assert operation["status"] in {"notStarted", "running"}
        assert 0 <= operation.get("percentComplete", 0) < 100

    def test_the_least_time_passes_before_it_ends(self) -> None:
        with own_emulator(operation_time=1) as service:
            started_at = time.monotonic()
            response = post_tags(service, tag("PatientAge"))
            assert service.owner.get(response.json()["href"]).status_code == 202
            succeeded(service.owner, response)
            assert time.monotonic() - started_at >= 1

    def test_several_kinds_are_at_work_at_once(self, slow: Service) -> None:
        for starter in TYPES:
            assert STARTERS[starter](slow).status_code == 202

    def test_a_reset_forgets_it(self, slow: Service) -> None:
        url = reference(STARTERS["reindex v2"](slow))["href"]
        assert slow.nobody.post(f"{slow.url}/_emulator/reset").status_code == 204
        assert slow.owner.get(url).status_code == 404
        assert STARTERS["reindex v2"](slow).status_code == 202


class TestFinished:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("starter", STARTERS)
    def test_it_is_200_and_each_version_has_its_word(self, service: Service, starter: str, version: str) -> None:
        started_one = STARTERS[starter](service)
        finished(service.owner, started_one)
        response = service.owner.get(url_of(service, started_one.json()["id"], version))
        assert response.status_code == 200
        assert "Location" not in response.headers
        assert response.headers["Content-Type"] == JSON_TYPE
        operation = response.json()
        assert operation["status"] == SUCCEEDED[version]
        assert operation["type"] == starter.split()[0]
        assert operation.get("percentComplete", 100) == 100

    @pytest.mark.parametrize("starter", TYPES)
    def test_its_properties(self, service: Service, starter: str) -> None:
        operation = finished(service.owner, STARTERS[starter](service))
        more = "resources" if starter.startswith("reindex") else "results"
        expected = {"operationId", "type", "createdTime", "lastUpdatedTime", "status", "percentComplete", more}
        assert set(operation) == expected
        assert None not in operation.values()

    @pytest.mark.parametrize("starter", TYPES)
    def test_its_times_are_utc_and_in_order(self, service: Service, starter: str) -> None:
        before = datetime.now().astimezone()
        operation = finished(service.owner, STARTERS[starter](service))
        after = datetime.now().astimezone()
        times = [operation["createdTime"], operation["lastUpdatedTime"]]
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?\+00:00", time) for time in times)
        created, updated = map(datetime.fromisoformat, times)
        assert before <= created <= updated <= after

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_the_resources_of_a_reindex_are_its_tags(self, service: Service, version: str) -> None:
        response = post_tags(service, tag("PatientAge"), tag("00200013"), version=version)
        operation = finished(service.owner, response)
        base = f"{service.url}/{version}/extendedquerytags"
        assert operation["resources"] == [f"{base}/00101010", f"{base}/00200013"]
        for url in operation["resources"]:
            assert service.owner.get(url).status_code == 200

    def test_the_results_of_an_update(self, service: Service) -> None:
        file = instance()
        service.store(file)
        response = post_update(service, [uids(file)[0], "2.25.404"], person("New"))
        assert finished(service.owner, response)["results"] == {
            "studyProcessed": 2,
            "studyUpdated": 1,
            "studyFailed": 0,
            "instanceUpdated": 1,
        }

    def test_the_results_of_an_export(self, service: Service) -> None:
        file = instance()
        service.store(file)
        results = finished(service.owner, post_export(service, export_body(uids(file)[0], "2.25.404")))["results"]
        assert set(results) == {"errorHref", "exported", "skipped"}
        assert (results["exported"], results["skipped"]) == (1, 1)

    def test_an_operation_stays_to_be_asked_for(self, service: Service) -> None:
        first = add_tags(service, tag("PatientAge"))
        add_tags(service, tag("InstanceNumber"))
        assert end_of(service.owner, url_of(service, first["operationId"])) == first


class TestId:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("id", [UNKNOWN, str(uuid.UUID(UNKNOWN))])
    def test_an_unknown_one_is_404_without_a_body(self, service: Service, version: str, id: str) -> None:
        response = service.owner.get(url_of(service, id, version))
        assert (response.status_code, response.content) == (404, b"")

    @pytest.mark.parametrize(
        "id",
        ["1", "abc", UNKNOWN[1:], UNKNOWN + "0", "g" + UNKNOWN[1:], "%20", "%00", "..%2F", "%C3%A4" * 32, "%ff" * 32]
        + ["0" * 5000, f"{UNKNOWN}%0A", "01234567-89abcdef-01234567-89abcdef", "%D9%A1" * 32],
    )
    def test_what_is_no_guid_is_404_or_400(self, service: Service, id: str) -> None:
        assert service.owner.get(url_of(service, id)).status_code in {400, 404}

    def test_it_may_have_dashes_and_capitals(self, service: Service) -> None:
        id = add_tags(service, tag("PatientAge"))["operationId"]
        dashed = str(uuid.UUID(id))
        answers = [service.owner.get(url_of(service, each)).json() for each in (id, dashed, dashed.upper(), id.upper())]
        assert all(answer == answers[0] for answer in answers)
        assert answers[0]["operationId"] == id

    def test_the_address_at_work_has_no_dashes(self, slow: Service) -> None:
        id = reference(STARTERS["export v2"](slow))["id"]
        response = slow.owner.get(url_of(slow, str(uuid.UUID(id))))
        assert response.headers["Location"] == url_of(slow, id)


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.title])
def test_paths_in_any_case_and_with_a_slash_at_the_end(
    service: Service, spelled: Callable[[str], str], end: str
) -> None:
    id = add_tags(service, tag("PatientAge"))["operationId"]
    for path in ("/operations/" + id, "/extendedquerytags", "/extendedquerytags/00101010/errors"):
        assert service.owner.get(service.v2 + spelled(path) + end).status_code == 200
    assert service.owner.get(service.v2 + spelled("/partitions") + end).status_code == 400
    assert service.owner.post(service.v2 + spelled("/export") + end, json=export_body("2.25.1")).status_code == 202
    body = {"studyInstanceUids": ["2.25.1"], "changeDataset": person("New")}
    assert service.owner.post(service.v2 + spelled("/studies/$bulkupdate") + end, json=body).status_code == 202


class TestWho:
    def test_a_reader_may_ask(self, service: Service) -> None:
        id = add_tags(service, tag("PatientAge"))["operationId"]
        assert service.reader.get(url_of(service, id)).status_code == 200

    @pytest.mark.parametrize("id", [UNKNOWN, "no-guid"])
    def test_nobody_may_not(self, service: Service, id: str) -> None:
        response = service.nobody.get(url_of(service, id))
        assert response.content == b""
        assert response.status_code == 401 or (id == "no-guid" and response.status_code == 404)

    def test_other_methods_are_405_and_there_is_no_list(self, service: Service) -> None:
        assert service.owner.post(url_of(service, UNKNOWN), json={}).status_code == 405
        assert service.owner.delete(url_of(service, UNKNOWN)).status_code == 405
        assert service.owner.get(f"{service.v2}/operations").status_code == 404


def as_service(emulator: Started) -> Service:
    return Service(emulator.url, emulator.owner(), session(), session())


def has_not_begun(response: requests.Response) -> bool:
    return response.status_code == 202 and response.json()["percentComplete"] == 0


class TestRestart:
    """What was accepted is done, whatever happens to the process."""

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_all_that_is_unfinished_goes_on(self, tmp_path: Path, number: int) -> None:
        files = [instance(PatientAge="030Y", PatientName="Old") for _ in range(3)]
        options = ["--data-dir", str(tmp_path / "data"), "--export-dir", str(tmp_path / "exports")]
        with started(*options, "--operation-time", str(LONG)) as emulator:
            service = as_service(emulator)
            assert service.store(*files).status_code == 200
            starts = [
                post_tags(service, tag("PatientAge", "Study")),
                post_update(service, [uids(files[0])[0]], person("New")),
                post_export(service, export_body(*(uids(file)[0] for file in files))),
            ]
            ids = [reference(response)["id"] for response in starts]
            emulator.stop(number)
        with started(*options) as emulator:
            service = as_service(emulator)
            done = [end_of(service.owner, url_of(service, id)) for id in ids]
            assert [operation["status"] for operation in done] == ["succeeded"] * 3
            assert len(search(service, "studies", PatientAge="030Y")) == 3
            assert len(search(service, "studies", PatientName="New")) == 1
            assert done[1]["results"]["instanceUpdated"] == 1
            assert len(exported(tmp_path / "exports" / "my-container" / ids[2])) == done[2]["results"]["exported"] == 3

    def test_what_a_crash_interrupts_is_done_once(self, tmp_path: Path) -> None:
        files = [instance(PatientAge="030Y", PatientName="Old") for _ in range(150)]
        studies = [uids(file)[0] for file in files]
        options = ["--data-dir", str(tmp_path / "data"), "--export-dir", str(tmp_path / "exports")]
        with started(*options) as emulator:
            service = as_service(emulator)
            assert service.store(*files).status_code == 200
            urls = [
                reference(response)["href"]
                for response in (
                    post_update(service, studies[:50], person("New")),
                    post_tags(service, tag("PatientAge", "Study")),
                    post_export(service, export_body(*studies)),
                )
            ]
            while any(has_not_begun(service.owner.get(url)) for url in urls):
                pass
            emulator.stop(signal.SIGKILL)
        with started(*options) as emulator:
            service = as_service(emulator)
            update_, _, export_ = (end_of(service.owner, url_of(service, url.rsplit("/", 1)[1])) for url in urls)
            assert update_["results"]["instanceUpdated"] == update_["results"]["studyUpdated"] == 50
            feed = service.owner.get(f"{service.v2}/changefeed", params={"offset": 150}).json()
            assert sorted(row["studyInstanceUid"] for row in feed) == sorted(studies[:50]), "one Update for each"
            assert len(search(service, "studies", PatientAge="030Y", limit="200")) == 150
            assert (export_["results"]["exported"], export_["results"]["skipped"]) == (150, 0)
            assert len(exported(tmp_path / "exports" / "my-container" / export_["operationId"])) == 150

    def test_what_is_finished_stays_so(self, tmp_path: Path) -> None:
        with own_emulator(data_dir=tmp_path) as service:
            operation = add_tags(service, tag("PatientAge"))
        with own_emulator(data_dir=tmp_path) as service:
            assert end_of(service.owner, url_of(service, operation["operationId"])) == {
                **operation,
                "resources": [f"{service.v2}/extendedquerytags/00101010"],
            }

    def test_a_reindex_that_was_interrupted_indexes_what_came_before_and_after(self, tmp_path: Path) -> None:
        before, after = instance(PatientAge="030Y"), instance(PatientAge="030Y")
        with own_emulator(data_dir=tmp_path, operation_time=LONG) as service:
            service.store(before)
            url = reference(post_tags(service, tag("PatientAge")))["href"]
            service.store(after)
        with own_emulator(data_dir=tmp_path) as service:
            end_of(service.owner, url_of(service, url.rsplit("/", 1)[1]))
            assert len(search(service, "instances", PatientAge="030Y")) == 2

    def test_an_update_that_was_interrupted_changes_an_instance_once(self, tmp_path: Path) -> None:
        file = instance()
        with own_emulator(data_dir=tmp_path, operation_time=LONG) as service:
            service.store(file)
            id = reference(post_update(service, [uids(file)[0]], person("New")))["id"]
        for _ in range(2):
            with own_emulator(data_dir=tmp_path) as service:
                assert end_of(service.owner, url_of(service, id))["results"]["instanceUpdated"] == 1
                feed = service.owner.get(f"{service.v2}/changefeed").json()
                assert [row["action"] for row in feed] == ["Create", "Update"]


class TestWhileOthersWork:
    def test_the_service_answers_while_operations_run(self, slow: Service) -> None:
        files = [instance() for _ in range(3)]
        for _ in range(10):
            assert post_export(slow, export_body("2.25.1")).status_code == 202
        assert STARTERS["reindex v2"](slow).status_code == 202
        assert STARTERS["update v2"](slow).status_code == 202
        assert slow.store(*files).status_code == 200
        assert len(search(slow, "instances")) == 3
        assert slow.owner.delete(f"{slow.v2}/studies/{uids(files[0])[0]}").status_code == 204

    def test_operations_end_while_files_are_stored(self, service: Service) -> None:
        file = instance()
        service.store(file)
        responses = [post_tags(service, tag("PatientAge")), post_update(service, [uids(file)[0]], person("New"))]
        for _ in range(5):
            assert service.store(instance()).status_code == 200
        for response in responses:
            succeeded(service.owner, response)
        update(service, file, changes=person("Newer"))
        found = service.owner.get(f"{service.v2}/studies/{uids(file)[0]}/metadata", headers={"Accept": DICOM_JSON})
        assert found.json()[0]["00100010"]["Value"] == [{"Alphabetic": "Newer"}]
