"""Many at once, and input that nobody sane sends: the emulator answers, and never with a 500."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy
import pytest
import requests

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path, uids
from tests.emulator.operations import (
    add_tags,
    export_body,
    finished,
    person,
    post_export,
    post_tags,
    post_update,
    succeeded,
    tag,
)
from tests.emulator.storing import DICOM_JSON, change_feed, own_emulator, search

PATHS = ["extendedquerytags", "studies/$bulkUpdate", "export"]
DEEP: Any = "deep"
for _ in range(200):
    DEEP = [DEEP]
STRANGE: list[Any] = [
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
    "",
    " ",
    "\0",
    "\ud800",
    "\U0001f600",
    "\u202e",
    "%00",
    "../../..",
    "'; DROP TABLE study; --",
    "A" * 70_000,
    [],
    [[]],
    [None],
    {},
    {"": None},
    {"Path": {"Path": {}}},
    DEEP,
]


def at_once(*calls: Callable[[], requests.Response]) -> list[requests.Response]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(lambda call: call(), calls))


def client_error(response: requests.Response) -> bool:
    return 400 <= response.status_code < 500


def refused_or_accepted(response: requests.Response) -> bool:
    return response.status_code == 202 or client_error(response)


class TestStrangeValues:
    """Each value in each place of each body."""

    def wait(self, service: Service, response: requests.Response) -> None:
        assert refused_or_accepted(response), response.text
        if response.status_code == 202:
            finished(service.owner, response)

    @pytest.mark.parametrize("value", STRANGE, ids=lambda value: ascii(value)[:20])
    @pytest.mark.parametrize("name", ["Path", "VR", "PrivateCreator", "Level", "Other", ""])
    def test_tags(self, service: Service, name: str, value: Any) -> None:
        for entry in (tag("PatientAge"), tag("00091001", VR="SS", PrivateCreator="ACME")):
            self.wait(service, post_tags(service, entry | {name: value}))

    @pytest.mark.parametrize("value", STRANGE, ids=lambda value: ascii(value)[:20])
    def test_changes_of_a_tag(self, service: Service, value: Any) -> None:
        add_tags(service, tag("PatientAge"))
        url = f"{service.v2}/extendedquerytags/PatientAge"
        for body in (value, {"QueryStatus": value}, {"QueryStatus": "Enabled", "Other": value}):
            assert client_error(service.owner.patch(url, json=body)), body
        assert service.owner.get(url).json()["queryStatus"] == "enabled"

    @pytest.mark.parametrize("value", STRANGE, ids=lambda value: ascii(value)[:20])
    def test_updates(self, service: Service, value: Any) -> None:
        file = instance()
        service.store(file)
        studies = [uids(file)[0]]
        self.wait(service, post_update(service, value, person("New")))
        self.wait(service, post_update(service, [value], person("New")))
        self.wait(service, post_update(service, studies, value))
        for key, vr in (("00100010", "PN"), ("00100020", "LO"), ("00101030", "DS"), ("00100030", "DA")):
            for element in (value, {"vr": value}, {"vr": vr, "Value": value}, {"vr": vr, "Value": [value]}):
                self.wait(service, post_update(service, studies, {key: element}))
            for more in ("BulkDataURI", "InlineBinary"):
                self.wait(service, post_update(service, studies, {key: {"vr": vr, more: value}}))
        for group in ("Alphabetic", "Ideographic", "Phonetic", "Other"):
            changes = {"00100010": {"vr": "PN", "Value": [{group: value}]}}
            self.wait(service, post_update(service, studies, changes))
        found = service.owner.get(f"{service.v2}/{path(file)}/metadata", headers={"Accept": DICOM_JSON})
        assert found.status_code == 200 and len(found.json()) == 1

    @pytest.mark.parametrize("value", STRANGE, ids=lambda value: ascii(value)[:20])
    def test_exports(self, service: Service, value: Any) -> None:
        self.wait(service, post_export(service, value))
        for part in ("source", "destination"):
            for name in ("type", "settings"):
                body = export_body("2.25.1")
                body[part][name] = value
                self.wait(service, post_export(service, body))
        for name in ("blobContainerUri", "blobContainerName", "connectionString", "useManagedIdentity"):
            body = export_body("2.25.1")
            body["destination"]["settings"] |= {name: value}
            self.wait(service, post_export(service, body))
        for values in (value, [value]):
            body = export_body()
            body["source"]["settings"]["values"] = values
            self.wait(service, post_export(service, body))

    @pytest.mark.parametrize("below", PATHS)
    @pytest.mark.parametrize(
        "body",
        [
            b"\0",
            b"\xef\xbb\xbf",
            b"\xff\xfe{\0}\0",
            b"{" * 50_000,
            b'{"a":' * 50_000,
            b"[" + b"1," * 50_000,
            b'"' + b'\\"' * 50_000,
            b"/*" * 50_000,
            b"//" * 50_000,
            b"-" * 50_000,
            b"1" * 50_000,
            b"1e999999999",
            b'{"\\u0000": "\\u0000"}',
            b'[{"Path": "a", "Path": "b"}]',
            b"<xml/>",
        ],
        ids=lambda body: repr(body[:20]),
    )
    def test_bodies(self, service: Service, below: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        response = service.owner.post(f"{service.v2}/{below}", data=body, headers=headers, timeout=60)
        assert response.status_code == 400

    @pytest.mark.parametrize("below", PATHS)
    def test_a_body_that_is_too_large_is_413(self, service: Service, below: str) -> None:
        headers = {"Content-Type": "application/json"}
        response = service.owner.post(f"{service.v2}/{below}", data=b" " * 30_000_001, headers=headers)
        assert response.status_code == 413

    @pytest.mark.parametrize("below", PATHS)
    @pytest.mark.parametrize("charset", ["utf-16", "latin-1", "nonsense", '"utf-8"'])
    def test_the_body_is_utf_8_whatever_the_header_says(self, service: Service, below: str, charset: str) -> None:
        headers = {"Content-Type": f"application/json; charset={charset}"}
        response = service.owner.post(f"{service.v2}/{below}", data=json.dumps("ä").encode(), headers=headers)
        assert client_error(response)


class TestAtOnce:
    def test_of_many_reindexes_one_is_accepted(self) -> None:
        with own_emulator(operation_time=1) as service:
            keywords = ["PatientAge", "Rows", "Columns", "InstanceNumber", "SeriesNumber", "SeriesDate"]
            answers = at_once(*(partial(post_tags, service, tag(name)) for name in keywords))
            accepted = [response for response in answers if response.status_code == 202]
            assert len(accepted) == 1
            assert all(response.status_code == 409 for response in answers if response not in accepted)
            id = accepted[0].json()["id"]
            assert {r.headers["Location"] for r in answers} == {f"{service.v2}/operations/{id}"}

    def test_of_many_updates_one_is_accepted(self) -> None:
        with own_emulator(operation_time=1) as service:
            file = instance()
            service.store(file)
            answers = at_once(*[lambda: post_update(service, [uids(file)[0]], person("New"))] * 6)
            assert sorted(response.status_code for response in answers) == [202] + [409] * 5
            succeeded(service.owner, next(response for response in answers if response.status_code == 202))
            assert [row["action"] for row in change_feed(service)] == ["Create", "Update"]

    def test_stores_during_a_reindex_are_all_found(self, service: Service) -> None:
        files = [instance(PatientAge="030Y") for _ in range(60)]
        service.store(*files[:30])
        calls = [partial(service.store, file) for file in files[30:]]
        answers = at_once(lambda: post_tags(service, tag("PatientAge", "Study")), *calls[:15])
        answers += at_once(*calls[15:])
        assert [response.status_code for response in answers] == [202] + [200] * 30
        succeeded(service.owner, answers[0])
        assert len(search(service, "studies", PatientAge="030Y")) == 60

    def test_deletes_during_an_update_leave_nothing_behind(self, service: Service) -> None:
        files = [instance(StudyInstanceUID="2.25.1", PatientName="Old^Name") for _ in range(30)]
        service.store(*files)
        started = post_update(service, ["2.25.1"], person("New^Name"))
        answers = at_once(*(partial(service.owner.delete, f"{service.v2}/{path(file)}") for file in files[:10]))
        assert [response.status_code for response in answers] == [204] * 10
        succeeded(service.owner, started)
        rows = search(service, "instances", limit="200")
        assert len(rows) == 20
        for file in files[10:]:
            found = service.owner.get(f"{service.v2}/{path(file)}", headers={"Accept": "application/dicom"})
            assert found.status_code == 200 and b"New^Name" in found.content
        states = {(row["action"], row["state"]) for row in change_feed(service, limit=200)}
        assert states <= {
            ("Create", "Deleted"),
            ("Update", "Deleted"),
            ("Delete", "Deleted"),
            ("Create", "Replaced"),
            ("Update", "Current"),
        }

    def test_an_instance_that_is_deleted_while_its_new_version_is_written(self, service: Service) -> None:
        file = instance(StudyInstanceUID="2.25.1", pixels=numpy.zeros((4, 2500, 2500), "u2"))
        other = instance(StudyInstanceUID="2.25.1")
        assert service.store(file, other).status_code == 200
        started = post_update(service, ["2.25.1"], person("New^Name"))
        assert service.owner.delete(f"{service.v2}/{path(file)}").status_code == 204
        operation = succeeded(service.owner, started)
        assert operation["results"]["instanceUpdated"] in {1, 2}
        (row,) = search(service, "instances", PatientName="New^Name")
        assert row["00080018"]["Value"] == [uids(other)[2]]
        actions = [row["action"] for row in change_feed(service) if row["sopInstanceUid"] == uids(file)[2]]
        assert actions in (["Create", "Delete"], ["Create", "Update", "Delete"])

    def test_an_update_and_an_export_of_the_same_study(self, service: Service) -> None:
        files = [instance(StudyInstanceUID="2.25.1", PatientName="Old^Name") for _ in range(30)]
        service.store(*files)
        answers = at_once(
            lambda: post_update(service, ["2.25.1"], person("New^Name")),
            lambda: post_export(service, export_body("2.25.1")),
            lambda: post_tags(service, tag("PatientAge")),
        )
        ends = [succeeded(service.owner, response) for response in answers]
        assert ends[0]["results"]["instanceUpdated"] == 30
        results = ends[1]["results"]
        assert (results["exported"], results["skipped"]) == (30, 0)

    def test_replacing_during_an_update_keeps_one_of_them(self, service: Service) -> None:
        known = {"StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.2"}
        files = [instance(**known, PatientName="Old^Name") for _ in range(10)]
        service.store(*files)
        headers = {"Content-Type": "application/dicom", "Accept": DICOM_JSON}
        started = post_update(service, ["2.25.1"], person("New^Name"))
        puts = [
            partial(
                service.owner.put,
                f"{service.v2}/studies",
                data=instance(**known, SOPInstanceUID=uids(file)[2], PatientName="Put^Name"),
                headers=headers,
            )
            for file in files
        ]
        assert {response.status_code for response in at_once(*puts)} == {200}
        succeeded(service.owner, started)
        found = service.owner.get(f"{service.v2}/studies/2.25.1/metadata", headers={"Accept": DICOM_JSON}).json()
        assert len(found) == 10
        assert {each["00100010"]["Value"][0]["Alphabetic"] for each in found} <= {"New^Name", "Put^Name"}

    def test_deleting_a_tag_while_others_search_by_it(self, service: Service) -> None:
        service.store(instance(PatientAge="030Y"))
        add_tags(service, tag("PatientAge"))

        def look() -> requests.Response:
            return service.owner.get(f"{service.v2}/instances?PatientAge=030Y", headers={"Accept": DICOM_JSON})

        answers = at_once(
            *[look] * 5, lambda: service.owner.delete(f"{service.v2}/extendedquerytags/PatientAge"), *[look] * 5
        )
        assert {response.status_code for response in answers} <= {200, 204, 400}

    def test_a_reset_during_operations(self, service: Service) -> None:
        service.store(*(instance(StudyInstanceUID="2.25.1") for _ in range(20)))
        post_tags(service, tag("PatientAge"))
        post_update(service, ["2.25.1"], person("New^Name"))
        post_export(service, export_body("2.25.1"))
        assert service.nobody.post(f"{service.url}/_emulator/reset").status_code == 204
        assert change_feed(service) == [] and search(service, "instances") == []
        assert service.owner.get(f"{service.v2}/extendedquerytags").json() == []
        add_tags(service, tag("PatientAge"))
