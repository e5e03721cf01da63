"""Data partitions: separate sets of studies in one service (conformance statement, data partitions)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import requests

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, path, raw_instance, uids
from tests.emulator.operations import (
    CONTAINER,
    JSON_TYPE,
    add_tags,
    export_body,
    get_tag,
    person,
    post_update,
    succeeded,
    tag,
    tag_errors,
    update,
)
from tests.emulator.storing import DICOM_JSON, PLAIN_TEXT, VERSIONS, change_feed, failure_reasons, own_emulator, stored

ALL_VERSIONS = ["v1.0-prerelease", *VERSIONS]
DEFAULT = "Microsoft.Default"
DISABLED = "Data partitions feature is disabled."
MISSING = "PartitionName value is missing in the route segment."
UNKNOWN = "Specified PartitionName does not exist."
INVALID = "The specified PartitionName is invalid. "
STUDY, SERIES, SOP = "2.25.1", "2.25.2", "2.25.3"
INSTANCE_PATH = f"studies/{STUDY}/series/{SERIES}/instances/{SOP}"

READS = [
    ("GET", "studies"),
    ("GET", "series"),
    ("GET", "instances"),
    ("GET", f"studies/{STUDY}"),
    ("GET", f"studies/{STUDY}/metadata"),
    ("GET", f"studies/{STUDY}/series"),
    ("GET", f"studies/{STUDY}/instances"),
    ("GET", f"studies/{STUDY}/series/{SERIES}"),
    ("GET", f"studies/{STUDY}/series/{SERIES}/metadata"),
    ("GET", f"studies/{STUDY}/series/{SERIES}/instances"),
    ("GET", INSTANCE_PATH),
    ("GET", f"{INSTANCE_PATH}/metadata"),
    ("GET", f"{INSTANCE_PATH}/frames/1"),
    ("GET", f"{INSTANCE_PATH}/rendered"),
    ("GET", f"{INSTANCE_PATH}/frames/1/rendered"),
]
CHANGES = [
    ("DELETE", f"studies/{STUDY}"),
    ("DELETE", f"studies/{STUDY}/series/{SERIES}"),
    ("DELETE", INSTANCE_PATH),
    ("POST", "export"),
    ("POST", "studies/$bulkUpdate"),
]
STORES = [("POST", "studies"), ("POST", f"studies/{STUDY}"), ("PUT", "studies"), ("PUT", f"studies/{STUDY}")]
EVERY_CALL = [*READS, *CHANGES, *STORES]


@pytest.fixture(scope="module")
def with_partitions() -> Iterator[Service]:
    with own_emulator(partitions=True) as service:
        yield service


@pytest.fixture
def clinics(with_partitions: Service) -> Service:
    """An empty emulator with partitions."""
    assert with_partitions.nobody.post(f"{with_partitions.url}/_emulator/reset").status_code == 204
    return with_partitions


def call(
    service: Service, method: str, below: str, client: requests.Session | None = None, version: str = "v2"
) -> requests.Response:
    """A request with all that it needs to be understood."""
    headers, body = {"Accept": DICOM_JSON}, b""
    if "rendered" in below:
        headers["Accept"] = "image/png"
    elif "frames" in below:
        headers["Accept"] = "application/octet-stream; transfer-syntax=*"
    elif re.search("(studies|series|instances)/[0-9.]+$", below) and method == "GET":
        headers["Accept"] = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    url = f"{service.url}/{version}/{below}"
    if below.endswith("export"):
        return (client or service.owner).post(url, json=export_body(STUDY), headers=headers)
    if below.endswith("$bulkUpdate"):
        asked = {"studyInstanceUids": [STUDY], "changeDataset": person("New")}
        return (client or service.owner).post(url, json=asked, headers=headers)
    if method in {"POST", "PUT"}:
        body, headers["Content-Type"] = multipart(sample())
    return (client or service.owner).request(method, url, data=body, headers=headers)


def sample(**attributes: Any) -> bytes:
    """An image that always has the same UIDs."""
    known = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "SOPInstanceUID": SOP}
    return instance(pixels=numpy.arange(64, dtype="u1").reshape(8, 8), **(known | attributes))


def store(service: Service, name: str, *files: bytes, version: str = "v2") -> requests.Response:
    return service.store(*files, version=version, partition=f"/partitions/{name}")


def partitions(service: Service, version: str = "v2") -> list[dict]:
    response = service.owner.get(f"{service.url}/{version}/partitions")
    assert response.status_code == 200, response.text
    return response.json()


def names(service: Service) -> list[str]:
    return [entry["partitionName"] for entry in partitions(service)]


def search(service: Service, name: str, below: str = "studies", version: str = "v2", **query: str) -> list[dict]:
    response = service.owner.get(
        f"{service.url}/{version}/partitions/{name}/{below}", params=query, headers={"Accept": DICOM_JSON}
    )
    assert response.status_code in {200, 204}, response.text
    return response.json() if response.content else []


def exists(method: str, below: str, version: str) -> bool:
    return version == "v2" if "$bulkUpdate" in below else version != "v1.0-prerelease" or below != "export"


def says(response: requests.Response, status: int, text: str) -> bool:
    assert (response.status_code, response.text) == (status, text)
    assert response.headers["Content-Type"] == PLAIN_TEXT
    return True


class TestSwitchedOff:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_the_list_is_400(self, service: Service, version: str) -> None:
        assert says(service.owner.get(f"{service.url}/{version}/partitions"), 400, DISABLED)

    @pytest.mark.parametrize(("method", "below"), EVERY_CALL)
    @pytest.mark.parametrize("name", ["clinic-a", DEFAULT])
    def test_every_path_with_a_partition_is_400(self, service: Service, method: str, below: str, name: str) -> None:
        service.store(sample())
        assert says(call(service, method, f"partitions/{name}/{below}"), 400, DISABLED)

    @pytest.mark.parametrize("version", ["v1.0-prerelease", "v1"])
    def test_in_earlier_versions_too(self, service: Service, version: str) -> None:
        assert says(call(service, "GET", "partitions/clinic-a/studies", version=version), 400, DISABLED)
        assert says(call(service, "POST", "partitions/clinic-a/studies", version=version), 400, DISABLED)

    @pytest.mark.parametrize("version", ["v1.0-prerelease", "v1"])
    def test_a_path_that_the_version_does_not_have_is_404_even_so(self, service: Service, version: str) -> None:
        response = call(service, "POST", "partitions/clinic-a/studies/$bulkUpdate", version=version)
        assert (response.status_code, response.content) == (404, b"")

    def test_nothing_is_stored(self, service: Service) -> None:
        store(service, "clinic-a", sample())
        assert change_feed(service) == []

    def test_without_a_partition_everything_is_in_the_default_one(self, service: Service) -> None:
        service.store(sample())
        assert [row["partitionName"] for row in change_feed(service)] == [DEFAULT]

    def test_nobody_is_told(self, service: Service) -> None:
        assert service.nobody.get(f"{service.v2}/partitions").status_code == 401
        assert call(service, "GET", "partitions/clinic-a/studies", client=service.nobody).status_code == 401


class TestWithoutAPartitionInThePath:
    @pytest.mark.parametrize(("method", "below"), EVERY_CALL)
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_it_is_400(self, clinics: Service, version: str, method: str, below: str) -> None:
        if exists(method, below, version):
            assert says(call(clinics, method, below, version=version), 400, MISSING)
        else:
            assert call(clinics, method, below, version=version).status_code == 404

    def test_nothing_is_stored(self, clinics: Service) -> None:
        clinics.store(sample())
        assert change_feed(clinics) == [] and names(clinics) == [DEFAULT]

    @pytest.mark.parametrize("below", ["changefeed", "extendedquerytags", "partitions"])
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_what_is_the_same_for_all_partitions_is_200(self, clinics: Service, version: str, below: str) -> None:
        assert clinics.owner.get(f"{clinics.url}/{version}/{below}").status_code == 200

    @pytest.mark.parametrize(
        "below",
        ["changefeed", "changefeed/latest", "extendedquerytags", "extendedquerytags/PatientAge", "partitions"]
        + ["extendedquerytags/PatientAge/errors", "operations/0123456789abcdef0123456789abcdef"],
    )
    def test_what_is_the_same_for_all_partitions_is_not_below_one(self, clinics: Service, below: str) -> None:
        store(clinics, "clinic-a", sample())
        response = clinics.owner.get(f"{clinics.v2}/partitions/clinic-a/{below}")
        assert (response.status_code, response.content) == (404, b"")


class TestList:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_the_default_partition_is_always_there(self, clinics: Service, version: str) -> None:
        response = clinics.owner.get(f"{clinics.url}/{version}/partitions")
        assert response.status_code == 200
        assert response.headers["Content-Type"] == JSON_TYPE
        (entry,) = response.json()
        created = entry.pop("createdDate")
        assert entry == {"partitionKey": 1, "partitionName": DEFAULT}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?\+00:00", created)

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_partitions_are_listed_with_growing_keys(self, clinics: Service, version: str) -> None:
        store(clinics, "clinic-a", instance(), version=version)
        store(clinics, "clinic-b", instance(), version=version)
        store(clinics, "clinic-a", instance(), version=version)
        entries = partitions(clinics, version)
        assert {entry["partitionName"]: entry["partitionKey"] for entry in entries} == {
            DEFAULT: 1,
            "clinic-a": 2,
            "clinic-b": 3,
        }
        assert all(set(entry) == {"partitionKey", "partitionName", "createdDate"} for entry in entries)

    def test_a_reader_may_see_it_and_nobody_may_not(self, clinics: Service) -> None:
        assert clinics.reader.get(f"{clinics.v2}/partitions").status_code == 200
        response = clinics.nobody.get(f"{clinics.v2}/partitions")
        assert (response.status_code, response.content) == (401, b"")

    def test_partitions_outlive_a_restart(self, tmp_path: Path) -> None:
        file = sample()
        with own_emulator(partitions=True, data_dir=tmp_path) as first:
            store(first, "clinic-a", file)
            before = partitions(first)
        with own_emulator(partitions=True, data_dir=tmp_path) as second:
            assert partitions(second) == before
            assert len(search(second, "clinic-a")) == 1
            assert search(second, DEFAULT) == []

    def test_other_methods_are_405(self, clinics: Service) -> None:
        assert clinics.owner.post(f"{clinics.v2}/partitions", json={}).status_code == 405


class TestNames:
    @pytest.mark.parametrize(
        "name", ["a", "A", "0", "clinic-a", "Clinic.B_7", "-", "_", "a.b", "x" * 64, "partitions", "studies", DEFAULT]
    )
    def test_a_partition_is_made_by_the_first_store(self, clinics: Service, name: str) -> None:
        response = store(clinics, name, sample())
        assert response.status_code == 200
        assert set(names(clinics)) == {DEFAULT, name}
        assert len(search(clinics, name)) == 1

    @pytest.mark.parametrize(
        "name",
        ["x" * 65, "a b", "a%20", "%20a", "a!", "a%2Bb", "a:b", "a@b", "%C3%A4", "a%00b", "a,b", "%F0%9F%98%80", "a~b"]
        + ["a'b", "a;b", "%E2%84%AA", "%D9%A1", "a%0A"],
    )
    @pytest.mark.parametrize(("method", "below"), [("GET", "studies"), ("POST", "studies"), ("POST", "export")])
    def test_any_other_name_is_400(self, clinics: Service, method: str, below: str, name: str) -> None:
        assert says(call(clinics, method, f"partitions/{name}/{below}"), 400, INVALID)
        assert names(clinics) == [DEFAULT]

    def test_they_are_compared_letter_by_letter(self, clinics: Service) -> None:
        for name in ("clinic", "Clinic", "CLINIC"):
            assert store(clinics, name, sample(PatientName=name)).status_code == 200
        assert names(clinics) == [DEFAULT, "clinic", "Clinic", "CLINIC"]
        (row,) = search(clinics, "Clinic")
        assert row["00100010"]["Value"] == [{"Alphabetic": "Clinic"}]

    @pytest.mark.parametrize(("method", "below"), [*READS, *CHANGES])
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_an_unknown_name_is_400(self, clinics: Service, version: str, method: str, below: str) -> None:
        response = call(clinics, method, f"partitions/nowhere/{below}", version=version)
        if exists(method, below, version):
            assert says(response, 400, UNKNOWN)
        else:
            assert response.status_code == 404
        assert names(clinics) == [DEFAULT]

    @pytest.mark.parametrize(("method", "below"), STORES)
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_every_kind_of_store_makes_one(self, clinics: Service, version: str, method: str, below: str) -> None:
        assert call(clinics, method, f"partitions/new/{below}", version=version).status_code == 200
        assert names(clinics) == [DEFAULT, "new"]

    def test_a_reader_makes_none(self, clinics: Service) -> None:
        response = call(clinics, "POST", "partitions/new/studies", client=clinics.reader)
        assert says(response, 403, "Authorization failed.")
        assert names(clinics) == [DEFAULT]

    def test_nobody_makes_none(self, clinics: Service) -> None:
        assert call(clinics, "POST", "partitions/new/studies", client=clinics.nobody).status_code == 401
        assert names(clinics) == [DEFAULT]


class TestApart:
    def test_the_same_instance_may_be_in_several_partitions(self, clinics: Service) -> None:
        first, second = sample(PatientName="First"), sample(PatientName="Second")
        assert store(clinics, "a", first).status_code == 200
        assert store(clinics, "b", second).status_code == 200
        again = store(clinics, "a", second)
        assert (again.status_code, failure_reasons(again)) == (409, [45070])
        for name, file in (("a", first), ("b", second)):
            response = call(clinics, "GET", f"partitions/{name}/{INSTANCE_PATH}")
            assert response.status_code == 200 and file in response.content

    @pytest.mark.parametrize("version", VERSIONS)
    def test_retrieve_urls_name_the_partition(self, clinics: Service, version: str) -> None:
        response = clinics.store(sample(), version=version, partition="/partitions/a", study=STUDY)
        base = f"{clinics.url}/{version}/partitions/a"
        assert response.json()["00081190"]["Value"] == [f"{base}/studies/{STUDY}"]
        (item,) = stored(response)
        url = item["00081190"]["Value"][0]
        assert url == f"{base}/{INSTANCE_PATH}"
        found = clinics.owner.get(url, headers={"Accept": "application/dicom; transfer-syntax=*"})
        assert found.status_code == 200

    @pytest.mark.parametrize(("method", "below"), READS)
    def test_reads_find_what_is_in_the_partition(self, clinics: Service, method: str, below: str) -> None:
        store(clinics, "a", sample())
        store(clinics, "b", instance())
        assert call(clinics, method, f"partitions/a/{below}").status_code == 200

    @pytest.mark.parametrize(
        ("method", "below"), [each for each in READS if each[1] not in {"studies", "series", "instances"}]
    )
    def test_reads_do_not_find_what_is_in_another(self, clinics: Service, method: str, below: str) -> None:
        store(clinics, "a", sample())
        store(clinics, "b", instance())
        is_search = below.endswith(("/series", "/instances"))
        assert call(clinics, method, f"partitions/b/{below}").status_code == (204 if is_search else 404)

    @pytest.mark.parametrize("below", ["studies", "series", "instances"])
    @pytest.mark.parametrize("version", VERSIONS)
    def test_searches_see_one_partition(self, clinics: Service, version: str, below: str) -> None:
        store(clinics, "a", sample(PatientName="First"))
        store(clinics, "b", sample(PatientName="Second"), instance(PatientName="Second"))
        assert len(search(clinics, "a", below, version)) == 1
        assert len(search(clinics, "b", below, version)) == 2
        assert search(clinics, "a", below, version, PatientName="Second") == []
        assert len(search(clinics, "b", below, version, StudyInstanceUID=STUDY)) == 1

    def test_counts_are_those_of_the_partition(self, clinics: Service) -> None:
        store(clinics, "a", sample())
        store(clinics, "b", sample(), sample(SOPInstanceUID="2.25.4"))
        counts = [search(clinics, name, includefield="NumberOfStudyRelatedInstances") for name in ("a", "b")]
        assert [found[0]["00201208"]["Value"] for found in counts] == [[1], [2]]

    @pytest.mark.parametrize("below", [below for method, below in CHANGES if method == "DELETE"])
    def test_deleting_leaves_the_other_partition_alone(self, clinics: Service, below: str) -> None:
        store(clinics, "a", sample())
        store(clinics, "b", sample())
        assert call(clinics, "DELETE", f"partitions/a/{below}").status_code == 204
        assert call(clinics, "DELETE", f"partitions/a/{below}").status_code == 404
        assert search(clinics, "a") == [] and len(search(clinics, "b")) == 1
        assert call(clinics, "GET", f"partitions/b/{INSTANCE_PATH}").status_code == 200

    def test_replacing_leaves_the_other_partition_alone(self, clinics: Service) -> None:
        first = sample(PatientName="First")
        store(clinics, "a", first)
        assert call(clinics, "PUT", "partitions/b/studies").status_code == 200
        assert call(clinics, "PUT", "partitions/b/studies").status_code == 200
        assert first in call(clinics, "GET", f"partitions/a/{INSTANCE_PATH}").content
        assert [row["action"] for row in change_feed(clinics) if row["partitionName"] == "a"] == ["Create"]

    def test_an_empty_partition_stays(self, clinics: Service) -> None:
        store(clinics, "a", sample())
        call(clinics, "DELETE", f"partitions/a/studies/{STUDY}")
        assert names(clinics) == [DEFAULT, "a"]
        assert call(clinics, "GET", "partitions/a/studies").status_code == 204

    def test_a_partition_has_no_resource_of_its_own(self, clinics: Service) -> None:
        store(clinics, "a", sample())
        assert clinics.owner.get(f"{clinics.v2}/partitions/a").status_code == 404


class TestTheSameForAll:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_the_change_feed_lists_all_partitions(self, clinics: Service, version: str) -> None:
        store(clinics, "a", sample())
        store(clinics, "b", sample())
        call(clinics, "DELETE", f"partitions/a/studies/{STUDY}")
        rows = change_feed(clinics, version)
        assert [(row["partitionName"], row["action"], row["state"]) for row in rows] == [
            ("a", "Create", "Deleted"),
            ("b", "Create", "Current"),
            ("a", "Delete", "Deleted"),
        ]
        latest = clinics.owner.get(f"{clinics.url}/{version}/changefeed/latest").json()
        assert (latest["partitionName"], latest["action"]) == ("a", "Delete")

    def test_metadata_in_the_change_feed_is_that_of_the_partition(self, clinics: Service) -> None:
        store(clinics, "a", sample(PatientName="First"))
        store(clinics, "b", sample(PatientName="Second"))
        found = {row["partitionName"]: row["metadata"]["00100010"]["Value"] for row in change_feed(clinics)}
        assert found == {"a": [{"Alphabetic": "First"}], "b": [{"Alphabetic": "Second"}]}

    def test_an_extended_query_tag_is_indexed_in_all_partitions(self, clinics: Service) -> None:
        store(clinics, "a", sample(PatientAge="030Y"))
        store(clinics, "b", sample(PatientAge="040Y"))
        add_tags(clinics, tag("PatientAge", "Study"))
        store(clinics, "c", sample(PatientAge="040Y"))
        found = {name: len(search(clinics, name, PatientAge="040Y")) for name in ("a", "b", "c")}
        assert found == {"a": 0, "b": 1, "c": 1}

    def test_errors_of_an_extended_query_tag_name_the_partition(self, clinics: Service) -> None:
        for name, age in (("a", b"soon"), ("b", b"very soon")):
            store(clinics, name, raw_instance({"PatientAge": age}), version="v1")
        add_tags(clinics, tag("PatientAge"))
        assert get_tag(clinics, "PatientAge")["errors"]["count"] == 1
        (error,) = tag_errors(clinics, "PatientAge")
        assert error["partitionName"] == "b"

    def test_a_tag_does_not_find_across_partitions_that_share_uids(self, clinics: Service) -> None:
        add_tags(clinics, tag("PatientAge", "Study"), tag("SeriesNumber", "Series"), tag("InstanceNumber", "Instance"))
        store(clinics, "a", sample(PatientAge="030Y", SeriesNumber=1, InstanceNumber=1))
        store(clinics, "b", sample(PatientAge="040Y", SeriesNumber=2, InstanceNumber=2))
        for query in ({"PatientAge": "040Y"}, {"SeriesNumber": "2"}, {"InstanceNumber": "2"}):
            assert search(clinics, "a", "instances", **query) == []
            assert len(search(clinics, "b", "instances", **query)) == 1

    def test_an_operation_is_found_without_a_partition(self, clinics: Service) -> None:
        store(clinics, "a", sample())
        response = post_update(clinics, [STUDY], person("New"), "/partitions/a")
        id = response.json()["id"]
        succeeded(clinics.owner, response)
        assert clinics.owner.get(f"{clinics.v2}/operations/{id}").status_code == 200


class TestOperations:
    def test_bulk_update_changes_one_partition(self, clinics: Service) -> None:
        for name in ("a", "b"):
            store(clinics, name, sample(PatientName="Old"))
        operation = update(clinics, sample(), changes=person("New"), partition="/partitions/a")
        assert operation["results"] == {
            "studyProcessed": 1,
            "studyUpdated": 1,
            "studyFailed": 0,
            "instanceUpdated": 1,
        }
        for name, expected in (("a", "New"), ("b", "Old")):
            assert search(clinics, name)[0]["00100010"]["Value"] == [{"Alphabetic": expected}]
        updates = [row for row in change_feed(clinics) if row["action"] == "Update"]
        assert [row["partitionName"] for row in updates] == ["a"]

    def test_a_study_of_another_partition_is_unknown_to_bulk_update(self, clinics: Service) -> None:
        store(clinics, "a", sample())
        store(clinics, "b", instance())
        operation = update(clinics, sample(), changes=person("New"), partition="/partitions/b")
        assert operation["results"]["studyUpdated"] == operation["results"]["instanceUpdated"] == 0

    @pytest.mark.parametrize("version", VERSIONS)
    def test_export_copies_from_one_partition(self, version: str, tmp_path: Path) -> None:
        with own_emulator(partitions=True, export_dir=tmp_path) as service:
            first, second = sample(PatientName="First"), sample(PatientName="Second")
            store(service, "a", first)
            store(service, "b", second)
            url = f"{service.url}/{version}/partitions/b/export"
            operation = succeeded(service.owner, service.owner.post(url, json=export_body(STUDY)))
            assert operation["results"]["exported"] == 1
            folder = tmp_path / CONTAINER.rsplit("/", 1)[1] / operation["operationId"]
            (file,) = folder.rglob("*.dcm")
            assert file.read_bytes() == second
            assert uids(second) == (STUDY, SERIES, SOP) and path(second) == INSTANCE_PATH

    def test_what_is_in_another_partition_is_not_exported(self, clinics: Service) -> None:
        store(clinics, "a", sample())
        store(clinics, "b", instance())
        response = clinics.owner.post(f"{clinics.v2}/partitions/b/export", json=export_body(STUDY))
        results = succeeded(clinics.owner, response)["results"]
        assert (results["exported"], results["skipped"]) == (0, 1)
