"""/_emulator/snapshots: everything that is kept, under a name, to go back to."""

import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

import dicom_emulator
from dicom_emulator import Control
from tests.emulator.conftest import Service, session
from tests.emulator.dicom_files import instance, path, uids
from tests.emulator.storing import DICOM_JSON, change_feed, own_emulator, search
from tests.emulator.test_command_line import Started, started
from tests.emulator.test_data_folder import EDITIONS, lay_out

STORED = {"Accept": "application/dicom; transfer-syntax=*"}
client = session()


def snapshots(url: str) -> list[dict[str, Any]]:
    return client.get(f"{url}/_emulator/snapshots", timeout=10).json()


def names(url: str) -> list[str]:
    return [snapshot["name"] for snapshot in snapshots(url)]


def save(url: str, name: Any) -> requests.Response:
    return client.post(f"{url}/_emulator/snapshots", json={"name": name}, timeout=60)


def restore(url: str, name: str) -> requests.Response:
    return client.post(f"{url}/_emulator/snapshots/{name}/restore", timeout=60)


def forget(url: str, name: str) -> requests.Response:
    return client.delete(f"{url}/_emulator/snapshots/{name}", timeout=10)


def sops(service: Service) -> set[str]:
    return {row["00080018"]["Value"][0] for row in search(service, "instances", limit="200")}


def of(*files: bytes) -> set[str]:
    return {uids(file)[2] for file in files}


@pytest.fixture
def service(service: Service) -> Iterator[Service]:
    """The emulator, which forgets its snapshots after the test."""
    yield service
    for name in names(service.url):
        forget(service.url, name)


class TestSaving:
    def test_a_snapshot_has_a_name_a_time_and_a_number_of_instances(self, service: Service) -> None:
        service.store(instance(), instance())
        response = save(service.url, "two")
        assert response.status_code == 201
        assert response.json() == snapshots(service.url)[0]
        assert response.json() | {"created": ""} == {"name": "two", "created": "", "instances": 2}
        assert response.json()["created"].startswith(time.strftime("%Y-", time.gmtime()))

    def test_they_are_listed_oldest_first(self, service: Service) -> None:
        for name in ("c", "a", "b"):
            save(service.url, name)
        assert names(service.url) == ["c", "a", "b"]

    def test_a_name_that_exists_is_replaced(self, service: Service) -> None:
        first, second = instance(), instance()
        service.store(first)
        save(service.url, "here")
        service.store(second)
        assert save(service.url, "here").status_code == 201
        assert [(each["name"], each["instances"]) for each in snapshots(service.url)] == [("here", 2)]
        service.owner.delete(f"{service.v2}/{path(first)}")
        restore(service.url, "here")
        assert sops(service) == of(first, second)
        forget(service.url, "here")
        assert snapshots(service.url) == []

    def test_one_that_cannot_be_saved_leaves_what_was_there(self, tmp_path: Path) -> None:
        with own_emulator(data_dir=tmp_path) as service:
            save(service.url, "here")
            service.store(instance())
            next(tmp_path.glob("instances/*/*")).unlink()
            assert save(service.url, "here").status_code == 503
            assert [each["instances"] for each in snapshots(service.url)] == [0]
            assert len(list(tmp_path.glob("snapshots/*"))) == 1

    @pytest.mark.parametrize("name", ["x", "a" * 64, "Before-Lunch_2.0", "-", "nul"])
    def test_names_that_are_fine(self, service: Service, name: str) -> None:
        assert save(service.url, name).status_code == 201
        assert restore(service.url, name).status_code == 204
        assert names(service.url) == [name]

    @pytest.mark.parametrize("name", ["", "a" * 65, ".hidden", "..", "a/b", "a b", "é", "a\n", None, 7, ["a"]])
    def test_names_that_are_refused(self, service: Service, name: Any) -> None:
        response = save(service.url, name)
        assert response.status_code == 400 and "name of a snapshot" in response.text
        assert snapshots(service.url) == []

    @pytest.mark.parametrize("body", [b"", b"{", b'"before"', b"\xff", b"[" * 100_000])
    def test_a_body_that_is_no_object_is_refused_with_an_example(self, service: Service, body: bytes) -> None:
        response = client.post(f"{service.url}/_emulator/snapshots", data=body, timeout=10)
        assert response.status_code == 400 and '{"name": "before"}' in response.text


class TestRestoring:
    def test_search_files_metadata_and_change_feed_are_as_they_were(self, service: Service) -> None:
        kept, deleted, later = instance(StudyDate="20200922"), instance(), instance()
        service.store(kept, deleted)
        targets = ["studies", "series", "instances", "changefeed?includeMetadata=true", f"{path(kept)}/metadata"]
        before = [
            service.owner.get(f"{service.v2}/{target}", headers={"Accept": DICOM_JSON}).text for target in targets
        ]
        save(service.url, "before")
        service.owner.delete(f"{service.v2}/{path(deleted)}")
        service.store(later)
        response = restore(service.url, "before")
        assert (response.status_code, response.content) == (204, b"")
        after = [service.owner.get(f"{service.v2}/{target}", headers={"Accept": DICOM_JSON}).text for target in targets]
        assert after == before
        for file in (kept, deleted):
            assert service.owner.get(f"{service.v2}/{path(file)}", headers=STORED).content == file
        assert service.owner.get(f"{service.v2}/{path(later)}", headers=STORED).status_code == 404

    def test_it_can_be_done_again_and_again(self, service: Service) -> None:
        file = instance()
        service.store(file)
        save(service.url, "one")
        for _ in range(3):
            service.owner.delete(f"{service.v2}/{path(file)}")
            service.store(instance())
            restore(service.url, "one")
            assert sops(service) == of(file)
            assert service.owner.get(f"{service.v2}/{path(file)}", headers=STORED).content == file

    def test_a_reset_leaves_snapshots_alone(self, service: Service) -> None:
        file = instance()
        service.store(file)
        save(service.url, "kept")
        client.post(f"{service.url}/_emulator/reset", timeout=10)
        assert sops(service) == set() and names(service.url) == ["kept"]
        restore(service.url, "kept")
        assert service.owner.get(f"{service.v2}/{path(file)}", headers=STORED).content == file

    def test_who_signed_in_stays_signed_in(self, tmp_path: Path) -> None:
        with own_emulator(data_dir=tmp_path) as service:
            save(service.url, "empty")
            with closing(sqlite3.connect(next(tmp_path.glob("snapshots/*/index.db")))) as kept:
                kept.execute("UPDATE secret SET token_secret = ?", [b"of another emulator" * 2])
                kept.commit()
            restore(service.url, "empty")
            assert service.owner.get(f"{service.v2}/changefeed").status_code == 200
        with own_emulator(data_dir=tmp_path) as again:
            again.owner.headers["Authorization"] = service.owner.headers["Authorization"]
            assert again.owner.get(f"{again.v2}/changefeed").status_code == 200

    def test_faults_and_the_request_log_stay(self, service: Service) -> None:
        save(service.url, "here")
        client.post(f"{service.url}/_emulator/faults", json={"nth": 9}, timeout=10)
        change_feed(service)
        restore(service.url, "here")
        assert len(client.get(f"{service.url}/_emulator/faults", timeout=10).json()) == 1
        assert len(client.get(f"{service.url}/_emulator/requests", timeout=10).json()) == 1

    @pytest.mark.parametrize("do", [restore, forget])
    def test_an_unknown_name_is_404_and_the_text_lists_the_names(self, service: Service, do: Any) -> None:
        response = do(service.url, "before")
        assert (response.status_code, response.text) == (404, "There is no snapshot 'before'; there is none yet.")
        save(service.url, "one")
        save(service.url, "two")
        response = do(service.url, "before")
        assert (response.status_code, response.text) == (404, "There is no snapshot 'before'; there are: one, two.")
        assert do(service.url, ".before").status_code == 400

    def test_one_of_a_newer_edition_is_refused_and_nothing_changes(self, tmp_path: Path) -> None:
        file = instance()
        with own_emulator(data_dir=tmp_path) as service:
            save(service.url, "old")
            service.store(file)
            with closing(sqlite3.connect(next(tmp_path.glob("snapshots/*/index.db")))) as kept:
                kept.execute("PRAGMA user_version = 99")
            response = restore(service.url, "old")
            assert response.status_code == 400 and "newer edition" in response.text
            assert sops(service) == of(file)

    def test_one_of_an_earlier_edition_is_brought_up_to_date(self, tmp_path: Path) -> None:
        file = instance(StudyInstanceUID="2.25.1")
        with own_emulator(data_dir=tmp_path) as service:
            save(service.url, "old")
            (folder,) = tmp_path.glob("snapshots/*/index.db")
            lay_out(EDITIONS[0], folder.parent)
            for stored in folder.parent.glob("instances/*/*"):
                stored.rename(folder.parent / "instances" / stored.name)
            service.store(file)
            assert restore(service.url, "old").status_code == 204
            assert len(search(service, "instances")) == 2
            assert service.store(file).status_code == 200
            assert [row["action"] for row in change_feed(service)] == ["Create", "Create", "Create", "Delete", "Create"]

    def test_one_that_lost_a_file_changes_nothing(self, tmp_path: Path) -> None:
        files = instance(), instance()
        with own_emulator(data_dir=tmp_path) as service:
            service.store(*files)
            save(service.url, "damaged")
            client.post(f"{service.url}/_emulator/reset", timeout=10)
            service.store(files[0])
            next(tmp_path.glob("snapshots/*/instances/*")).unlink()
            assert restore(service.url, "damaged").status_code == 503
            assert sops(service) == of(files[0])
            assert service.owner.get(f"{service.v2}/{path(files[0])}", headers=STORED).content == files[0]
        assert len(list(tmp_path.glob("instances/*/*"))) == 1


class TestOperations:
    def test_first_versions_are_kept_too(self, tmp_path: Path) -> None:
        file = instance(PatientName="First^Version")
        with own_emulator(data_dir=tmp_path) as service:
            service.store(file)
            succeeded(service, update(service, file, "Second^Version"))
            updated = service.owner.get(f"{service.v2}/{path(file)}", headers=STORED).content
            save(service.url, "updated")
            service.owner.delete(f"{service.v2}/{path(file)}")
        with own_emulator(data_dir=tmp_path) as service:
            restore(service.url, "updated")
            assert service.owner.get(f"{service.v2}/{path(file)}", headers=STORED).content == updated != file
            original = STORED | {"msdicom-request-original": "true"}
            assert service.owner.get(f"{service.v2}/{path(file)}", headers=original).content == file
            succeeded(service, update(service, file, "Third^Version"))

    def test_what_was_unfinished_goes_on(self, service: Service) -> None:
        file = instance(PatientName="First^Version")
        service.store(file)
        control = Control(service.url)
        control.operation_time = 3600
        operation = update(service, file, "Second^Version")
        save(service.url, "unfinished")
        client.post(f"{service.url}/_emulator/reset", timeout=10)
        assert service.owner.get(operation).status_code == 404
        assert control.operation_time == 0
        restore(service.url, "unfinished")
        succeeded(service, operation)
        assert search(service, "studies")[0]["00100010"]["Value"] == [{"Alphabetic": "Second^Version"}]

    def test_what_is_accepted_in_the_meantime_is_done(
        self, service: Service, emulator: dicom_emulator.RunningServer
    ) -> None:
        file = instance(PatientName="First^Version")
        service.store(file)
        with emulator.state.service.operations.stopped():  # as it is while a snapshot is restored
            operation = update(service, file, "Second^Version")
        succeeded(service, operation)

    def test_extended_query_tags_are_kept(self, service: Service) -> None:
        file = instance(StationName="X")
        tag = [{"Path": "00081010", "VR": "SH", "Level": "Series"}]
        succeeded(service, service.owner.post(f"{service.v2}/extendedquerytags", json=tag).headers["Location"])
        service.store(file)
        save(service.url, "tagged")
        client.post(f"{service.url}/_emulator/reset", timeout=10)
        assert service.owner.get(f"{service.v2}/extendedquerytags/StationName").status_code == 404
        restore(service.url, "tagged")
        assert len(search(service, "instances", StationName="X")) == 1
        service.store(instance(StationName="X"))
        assert len(search(service, "instances", StationName="X")) == 2


def update(service: Service, file: bytes, name: str) -> str:
    """Start to give the file's study another PatientName; the address of the operation."""
    body = {
        "studyInstanceUids": [uids(file)[0]],
        "changeDataset": {"00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}},
    }
    response = service.owner.post(f"{service.v2}/studies/$bulkUpdate", json=body)
    assert response.status_code == 202, response.text
    return response.json()["href"]


def succeeded(service: Service, operation: str) -> None:
    """Wait until the operation is done."""
    deadline = time.monotonic() + 20
    while (status := service.owner.get(operation).json()["status"]) != "succeeded":
        assert status in {"notStarted", "running"} and time.monotonic() < deadline, status
        time.sleep(0.02)


class TestAfterwards:
    def test_the_change_feed_goes_on_where_it_stood(self, service: Service) -> None:
        service.store(instance())
        save(service.url, "one")
        service.store(instance(), instance())
        restore(service.url, "one")
        service.store(instance())
        assert [event["sequence"] for event in change_feed(service)] == [1, 2]

    def test_an_etag_never_speaks_of_two_versions(self, service: Service) -> None:
        study, series, sop = uids(instance())
        same = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": sop}
        save(service.url, "empty")
        etags = []
        for name in ("Old^Version", "New^Version"):
            file = instance(PatientName=name, **same)
            service.store(file)
            url = f"{service.v2}/{path(file)}/metadata"
            etags.append(service.owner.get(url, headers={"Accept": DICOM_JSON}).headers["ETag"])
            restore(service.url, "empty")
        assert etags[0] != etags[1]

    def test_a_file_that_was_deleted_before_is_not_taken_away_after(self, tmp_path: Path) -> None:
        """A deleted file stays for a while and goes later. By then it may have been restored."""
        files = instance(), instance()
        with own_emulator(data_dir=tmp_path) as service:
            service.store(*files)
            save(service.url, "both")
            for file in files:
                service.owner.delete(f"{service.v2}/{path(file)}")
            restore(service.url, "both")
        with own_emulator(data_dir=tmp_path) as service:
            for file in files:
                assert service.owner.get(f"{service.v2}/{path(file)}", headers=STORED).content == file

    def test_no_file_is_left_over(self, tmp_path: Path) -> None:
        with own_emulator(data_dir=tmp_path) as service:
            service.store(instance(), instance())
            save(service.url, "two")
            service.store(instance())
            for _ in range(2):
                restore(service.url, "two")
        assert len(list(tmp_path.glob("instances/*/*"))) == 2

    def test_forgotten_is_gone_from_the_disk(self, tmp_path: Path) -> None:
        with own_emulator(data_dir=tmp_path) as service:
            service.store(instance())
            save(service.url, "one")
            response = forget(service.url, "one")
            assert (response.status_code, response.content) == (204, b"")
            assert names(service.url) == [] and list(tmp_path.glob("snapshots/*")) == []
            assert len(sops(service)) == 1

    def test_where_the_file_system_has_no_links_files_are_copied(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any) -> None:
            raise OSError("no links here")

        monkeypatch.setattr("os.link", refuse)
        file = instance()
        with own_emulator(data_dir=tmp_path) as service:
            service.store(file)
            save(service.url, "one")
            client.post(f"{service.url}/_emulator/reset", timeout=10)
        with own_emulator(data_dir=tmp_path) as service:
            restore(service.url, "one")
            assert service.owner.get(f"{service.v2}/{path(file)}", headers=STORED).content == file


class TestMeanwhile:
    def test_readers_see_the_one_or_the_other(self, service: Service) -> None:
        few, many = [instance() for _ in range(2)], [instance() for _ in range(9)]
        service.store(*few)
        save(service.url, "few")
        client.post(f"{service.url}/_emulator/reset", timeout=10)
        service.store(*many)
        save(service.url, "many")
        done = threading.Event()

        def look() -> list[set[str]]:
            seen = []
            while not done.is_set():
                seen.append(sops(service))
            return seen

        with ThreadPoolExecutor(4) as pool:
            looks = [pool.submit(look) for _ in range(4)]
            for _ in range(15):
                assert restore(service.url, "few").status_code == 204
                assert sops(service) == of(*few)
                assert restore(service.url, "many").status_code == 204
                assert sops(service) == of(*many)
            done.set()
        seen = [each for look in looks for each in look.result()]
        assert {frozenset(each) for each in seen} == {frozenset(of(*few)), frozenset(of(*many))}

    def test_every_file_of_a_snapshot_is_there_whatever_happened_meanwhile(self, service: Service) -> None:
        files = [instance() for _ in range(40)]

        def come_and_go(file: bytes) -> set[int]:
            first = service.store(file).status_code
            gone = service.owner.delete(f"{service.v2}/{path(file)}").status_code
            return {first, gone, service.store(file).status_code}

        with ThreadPoolExecutor(4) as pool:
            done = [pool.submit(come_and_go, file) for file in files]
            for number in range(8):
                assert save(service.url, f"at-{number}").status_code == 201
        assert set().union(*(each.result() for each in done)) == {200, 204}
        contents = {uids(file)[2]: file for file in files}
        for snapshot in snapshots(service.url):
            assert restore(service.url, snapshot["name"]).status_code == 204
            there = sops(service)
            assert len(there) == snapshot["instances"]
            for sop in there:
                url = f"{service.v2}/{path(contents[sop])}"
                assert service.owner.get(url, headers=STORED).content == contents[sop]


class TestRestart:
    def test_snapshots_are_there_after_a_kill_and_a_restart(self, tmp_path: Path) -> None:
        file = instance()
        with started("--data-dir", str(tmp_path)) as emulator:
            emulator.store(file)
            save(emulator.url, "one")
            before = snapshots(emulator.url)
            client.post(f"{emulator.url}/_emulator/reset", timeout=10)
            emulator.stop(signal.SIGKILL)
        with started("--data-dir", str(tmp_path)) as emulator:
            assert snapshots(emulator.url) == before
            assert restore(emulator.url, "one").status_code == 204
            assert emulator.retrieve(file).content == file
            emulator.stop(signal.SIGKILL)
        with started("--data-dir", str(tmp_path)) as emulator:
            assert emulator.retrieve(file).content == file

    def test_a_kill_while_one_is_replaced_leaves_the_old_one(self, tmp_path: Path) -> None:
        file = instance()
        with started("--data-dir", str(tmp_path)) as emulator:
            emulator.store(file)
            save(emulator.url, "here")
            emulator.store(*(instance() for _ in range(400)))
            kill_while_saving(emulator, tmp_path / "snapshots")
        with started("--data-dir", str(tmp_path)) as emulator:
            assert [(each["name"], each["instances"]) for each in snapshots(emulator.url)] == [("here", 1)]
            assert len(list(tmp_path.glob("snapshots/*"))) == 1
            restore(emulator.url, "here")
            assert emulator.retrieve(file).content == file
            instances = emulator.owner().get(f"{emulator.url}/v2/instances", headers={"Accept": DICOM_JSON}).json()
            assert len(instances) == 1

    def test_of_two_with_one_name_the_newer_is_it(self, tmp_path: Path) -> None:
        """What a kill leaves between the end of the new one and the removal of the old one."""
        with own_emulator(data_dir=tmp_path) as service:
            save(service.url, "a")
            service.store(instance())
            save(service.url, "b")
        for description in tmp_path.glob("snapshots/*/snapshot.json"):
            description.write_text(description.read_text().replace('"b"', '"a"'))
        with own_emulator(data_dir=tmp_path) as service:
            assert [each["instances"] for each in snapshots(service.url)] == [1]
            assert len(list(tmp_path.glob("snapshots/*"))) == 1


def kill_while_saving(emulator: Started, folder: Path) -> None:
    """Kill the emulator in the middle of saving what is there as "here"; it has one snapshot already."""

    def half_done() -> bool:
        return len(list(folder.glob("*"))) > len(list(folder.glob("*/snapshot.json")))

    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(save, emulator.url, "here")
        while not half_done():
            assert not saving.done(), "it was saved before it could be killed"
        emulator.stop(signal.SIGKILL)
        with pytest.raises(requests.ConnectionError):
            saving.result()
    assert half_done(), "it was saved before it was killed"
