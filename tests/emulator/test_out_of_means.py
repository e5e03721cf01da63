"""A full disk, no more open files, stored files that are gone or closed: 503 meanwhile, and nothing is lost."""

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

import dicom_emulator
from tests.emulator.conftest import session
from tests.emulator.dicom_files import instance, multipart, path, raw_instance, uids
from tests.emulator.operations import end_of, export_body, person, tag
from tests.emulator.storing import own_emulator
from tests.emulator.test_command_line import environment
from tests.emulator.test_data_folder import obey_permissions

UNAVAILABLE = "The service is currently unable to process the request. Please retry the request later."
PROCESSING_FAILURE = 272
JSON = {"Accept": "application/dicom+json"}
AS_STORED = {"Accept": "application/dicom; transfer-syntax=*"}
COMMAND = [sys.executable, "-m", "dicom_emulator", "--port", "0", "--no-auth", "--data-dir"]
SMALL_DISK = 'mount -t tmpfs -o size=6m tmpfs "$0" && exec "$@"'  # only the process and its children see it


class Running:
    """An emulator in a process of its own, whose means can be cut."""

    def __init__(self, folder: Path, *prefix: str):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.process = subprocess.Popen(
            [*prefix, *COMMAND, str(folder)], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=obey_permissions,
        )  # fmt: skip
        assert self.process.stdout
        ready = self.process.stdout.readline()
        assert ready.startswith("DICOM service emulator ready at "), self.process.communicate()
        self.url = ready.split()[-1] + "/v2"
        self.client = session()
        self.acknowledged: list[bytes] = []

    def seen(self) -> Path:
        """The data folder, as the process sees it."""
        return Path(f"/proc/{self.process.pid}/root{self.folder}")

    def limit(self, what: int, value: int) -> None:
        resource.prlimit(self.process.pid, what, (value, resource.prlimit(self.process.pid, what)[1]))

    def store(self, *files: bytes) -> requests.Response:
        body, content_type = multipart(*files)
        headers = JSON | {"Content-Type": content_type}
        response = self.client.post(f"{self.url}/studies", data=body, headers=headers, timeout=30)
        if response.status_code in {200, 202, 409}:
            stored = [item["00081155"]["Value"][0] for item in response.json().get("00081199", {}).get("Value", [])]
            self.acknowledged += [file for file in files if uids(file)[2] in stored]
        return response

    def get(self, below: str, **headers: str) -> requests.Response:
        return self.client.get(f"{self.url}/{below}", headers=headers or JSON, timeout=30)

    def check(self) -> None:
        """All that was acknowledged is there to the last bit, and there is nothing else."""
        for file in self.acknowledged:
            assert self.get(path(file), **AS_STORED).content == file
        expected = sorted(uids(file)[2] for file in self.acknowledged)
        assert sorted(row["00080018"]["Value"][0] for row in self.get("instances?limit=200").json()) == expected
        events = self.get("changefeed?limit=200").json()
        assert sorted(event["sopInstanceUid"] for event in events) == expected
        found = [each for name in ("instances", "incoming") for each in (self.seen() / name).rglob("*")]
        assert Counter(each.read_bytes() for each in found if each.is_file()) == Counter(self.acknowledged)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Returns what it said on standard error."""
        self.process.send_signal(number)
        try:
            return self.process.communicate(timeout=20)[1]
        finally:
            self.process.kill()


def refused(response: requests.Response) -> bool:
    """The service cannot do it at the moment, or it could not store this instance."""
    if response.status_code == 503:
        return response.text == UNAVAILABLE
    items = response.json()["00081198"]["Value"]
    return {item["00081197"]["Value"][0] for item in items} == {PROCESSING_FAILURE}


def namespaces() -> list[str]:
    """How to run something with mounts of its own; [] where that is not allowed."""
    for way in (["unshare", "-m"], ["unshare", "-Urm"]):
        if shutil.which("unshare") and not subprocess.run([*way, "true"], capture_output=True).returncode:
            return way
    return []


@contextlib.contextmanager
def no_file_may_grow(folder: Path) -> Iterator[tuple[Running, Callable[[], None], Callable[[], None]]]:
    with running_until_the_end(Running(folder)) as running:
        size = resource.RLIMIT_FSIZE
        yield running, lambda: running.limit(size, 0), lambda: running.limit(size, -1)


@contextlib.contextmanager
def the_index_may_not_grow(folder: Path) -> Iterator[tuple[Running, Callable[[], None], Callable[[], None]]]:
    """Small files are received and put into place; then the transaction finds no room."""
    with running_until_the_end(Running(folder)) as running:
        size, log = resource.RLIMIT_FSIZE, folder / "index.db-wal"
        yield running, lambda: running.limit(size, log.stat().st_size), lambda: running.limit(size, -1)


@contextlib.contextmanager
def running_until_the_end(running: Running) -> Iterator[Running]:
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Running, Callable[[], None], Callable[[], None]]]:
    folder.mkdir()
    running = Running(folder, *namespaces(), "sh", "-c", SMALL_DISK, str(folder))
    ballast = running.seen() / "ballast"

    def fill() -> None:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    with running_until_the_end(running):
        yield running, fill, ballast.unlink


DISKS = [no_file_may_grow, the_index_may_not_grow] + [small_disk] * bool(namespaces())


@pytest.mark.parametrize("disk", DISKS, ids=lambda disk: disk.__name__)
def test_a_full_disk_loses_nothing_and_once_there_is_room_it_goes_on(disk: Callable, tmp_path: Path) -> None:
    large = raw_instance({"PixelData": ("OB", random.Random(1).randbytes(2_000_000))})
    with disk(tmp_path / "data") as (emulator, fill, make_room):
        assert emulator.store(*(instance(PatientAge="030Y") for _ in range(5))).status_code == 200
        fill()
        late = [instance() for _ in range(10)]
        answers = [emulator.store(file) for file in late] + [emulator.store(large), emulator.store(*late[:3], large)]
        assert [answer.text for answer in answers if answer.status_code != 200 and not refused(answer)] == []
        assert any(answer.status_code != 200 for answer in answers)
        for file in emulator.acknowledged:
            assert emulator.get(path(file), **AS_STORED).content == file
            assert emulator.get(f"{path(file)}/metadata").status_code == 200
        assert emulator.get("instances?PatientName=Test^Tess").status_code == 200
        study = uids(emulator.acknowledged[0])[0]
        body = {"studyInstanceUids": [study], "changeDataset": person("New^Name")}
        for response in (
            emulator.client.post(f"{emulator.url}/extendedquerytags", json=[tag("PatientAge")]),
            emulator.client.post(f"{emulator.url}/studies/$bulkUpdate", json=body),
            emulator.client.delete(f"{emulator.url}/studies/2.25.1"),
        ):
            assert response.status_code in {202, 404} or refused(response), response.text
        make_room()
        waiting = [file for file in [*late, large] if file not in emulator.acknowledged]
        assert [emulator.store(file).status_code for file in waiting] == [200] * len(waiting)
        if emulator.get("extendedquerytags/PatientAge").status_code == 404:
            emulator.check()
        assert "Traceback" not in emulator.stop()


def test_operations_that_found_the_disk_full_are_reported_or_done(tmp_path: Path) -> None:
    with no_file_may_grow(tmp_path / "data") as (emulator, fill, make_room):
        files = [instance(StudyInstanceUID="2.25.1", PatientAge="030Y") for _ in range(5)]
        assert emulator.store(*files).status_code == 200
        body = {"studyInstanceUids": ["2.25.1"], "changeDataset": person("New^Name")}
        control = emulator.url.replace("/v2", "/_emulator/operations")
        assert emulator.client.put(control, json={"leastSeconds": 0.5}).status_code in {200, 204}
        accepted = [
            emulator.client.post(f"{emulator.url}/extendedquerytags", json=[tag("PatientAge")]),
            emulator.client.post(f"{emulator.url}/studies/$bulkUpdate", json=body),
        ]
        assert [response.status_code for response in accepted] == [202, 202]
        fill()
        time.sleep(1)
        make_room()
        for response in accepted:
            assert end_of(emulator.client, response.json()["href"])["status"] in {"succeeded", "failed"}
        assert "Traceback" not in emulator.stop()


def test_without_another_open_file_it_answers_503_and_goes_on_afterwards(tmp_path: Path) -> None:
    with no_file_may_grow(tmp_path / "data") as (emulator, _, _):
        assert emulator.store(instance()).status_code == 200
        descriptors = len(os.listdir(f"/proc/{emulator.process.pid}/fd"))
        emulator.limit(resource.RLIMIT_NOFILE, descriptors)
        for _ in range(5):
            assert refused(emulator.store(instance()))
            response = emulator.get(path(emulator.acknowledged[0]), **AS_STORED)
            assert response.status_code == 503 and response.text == UNAVAILABLE
        emulator.limit(resource.RLIMIT_NOFILE, 1024)
        assert emulator.store(instance()).status_code == 200
        emulator.check()
        assert "Traceback" not in emulator.stop()


def hide(file: Path) -> None:
    file.rename(file.with_suffix(".hidden"))


def close(file: Path) -> None:
    file.chmod(0)


@pytest.mark.parametrize("spoil", [hide, close], ids=["gone", "closed"])
def test_a_stored_file_that_cannot_be_read_is_503(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    pixels = {"Rows": b"\2\0", "Columns": b"\2\0", "BitsAllocated": b"\x08\0", "BitsStored": b"\x08\0",
              "HighBit": b"\7\0", "SamplesPerPixel": b"\1\0", "PixelRepresentation": b"\0\0",
              "PhotometricInterpretation": b"MONOCHROME2", "PixelData": ("OB", b"1234")}  # fmt: skip
    spoiled, sound = raw_instance(pixels), raw_instance(pixels)
    with no_file_may_grow(tmp_path / "data") as (emulator, _, _):
        assert emulator.store(spoiled).status_code == 200
        spoil(next((tmp_path / "data").glob("instances/*/*.dcm")))
        assert emulator.store(sound).status_code == 200
        asked = {
            path(spoiled): "application/dicom; transfer-syntax=*",
            path(spoiled, "series"): 'multipart/related; type="application/dicom"; transfer-syntax=*',
            path(spoiled, "study"): 'multipart/related; type="application/dicom"; transfer-syntax=*',
            f"{path(spoiled)}?transcoded": "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90",
            f"{path(spoiled)}/frames/1": "application/octet-stream",
            f"{path(spoiled)}/frames/1?transcoded": "multipart/related; type=image/jp2",
            f"{path(spoiled)}/rendered": "image/png",
            f"{path(spoiled)}/frames/1/rendered": "image/jpeg",
        }
        answers = {below: emulator.get(below, Accept=accept) for below, accept in asked.items()}
        assert {below: (each.status_code, each.text) for below, each in answers.items()} == {
            below: (503, UNAVAILABLE) for below in asked
        }
        assert emulator.get(f"{path(spoiled)}/metadata").status_code == 200
        assert emulator.get(path(sound), **AS_STORED).content == sound
        body = {"studyInstanceUids": [uids(spoiled)[0]], "changeDataset": person("New^Name")}
        for response in (
            emulator.client.post(f"{emulator.url}/studies/$bulkUpdate", json=body),
            emulator.client.post(f"{emulator.url}/export", json=export_body(uids(spoiled)[0])),
        ):
            assert response.status_code == 202, response.text
            end_of(emulator.client, response.json()["href"])
        assert emulator.client.delete(f"{emulator.url}/{path(spoiled)}").status_code == 204
        assert emulator.client.delete(f"{emulator.url}/{path(sound)}").status_code == 204
        assert "Traceback" not in emulator.stop()


class TestDurable:
    """What --durable promises: the file, its name and the index are on the disk before anything is acknowledged."""

    @pytest.fixture
    def synced(self, monkeypatch: pytest.MonkeyPatch) -> set[int]:
        """The inodes of the files and folders that were given to fsync."""
        inodes: set[int] = set()
        fsync = os.fsync

        def note(descriptor: int) -> None:
            inodes.add(os.fstat(descriptor).st_ino)
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", note)
        return inodes

    @pytest.mark.parametrize("durable", [True, False])
    def test_files_and_folders_are_synced(self, durable: bool, synced: set[int], tmp_path: Path) -> None:
        with own_emulator(data_dir=tmp_path, durable=durable) as service:
            assert service.store(instance(), instance()).status_code == 200
            stored = [file for file in tmp_path.glob("instances/*/*") if file.is_file()]
            folders = {file.parent for file in stored} | {tmp_path / "instances"}
            assert len(stored) == 2
            assert {each.stat().st_ino in synced for each in [*stored, *folders]} == {durable}

    @pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)], ids=["FULL", "NORMAL"])
    def test_each_commit_is_synced(self, durable: bool, synchronous: int, tmp_path: Path) -> None:
        with dicom_emulator.running(data_dir=tmp_path, durable=durable) as server:
            with server.state.service.archive.index.transaction() as transaction:
                assert transaction.execute("PRAGMA synchronous").fetchone()[0] == synchronous
