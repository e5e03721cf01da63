"""Store: when the disk fails, when two requests meet, and when a file is nearly a DICOM file."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dicom_emulator.api import store
from dicom_emulator.archive import ingest
from dicom_emulator.wire.multipart import SMALL
from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, raw_instance, uids
from tests.emulator.storing import (
    BEING_CREATED,
    PLAIN_TEXT,
    UNREADABLE,
    VERSIONS,
    change_feed,
    failed,
    is_empty,
    metadata,
    own_emulator,
    post,
    referenced,
    refused,
    retrieve,
    search,
    stored,
)

PROCESSING_FAILURE = 272


@pytest.mark.parametrize("version", VERSIONS)
def test_an_instance_that_the_disk_does_not_take_fails_with_272(tmp_path: Path, version: str) -> None:
    before, during = instance(), instance()
    folder, aside = tmp_path / "data" / "instances", tmp_path / "aside"
    with own_emulator(data_dir=tmp_path / "data") as service:
        service.store(before, version=version)
        folder.rename(aside)
        folder.write_bytes(b"a file where a folder should be")
        response = service.store(during, b"no file", version=version)
        assert response.status_code == 409
        assert response.json() == {"00081198": {"vr": "SQ", "Value": [refused(during, PROCESSING_FAILURE), UNREADABLE]}}
        assert len(change_feed(service)) == len(search(service, "instances")) == 1
        assert list((tmp_path / "data" / "incoming").iterdir()) == []
        folder.unlink()
        aside.rename(folder)
        response = service.store(during, version=version)
        assert stored(response) == [referenced(service, version, during)]
        assert retrieve(service, stored(response)[0]).content == during


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("parts", [False, True], ids=["one file", "multipart"])
def test_a_request_that_the_disk_does_not_take_at_all_is_503(tmp_path: Path, version: str, parts: bool) -> None:
    file = raw_instance({"PixelData": ("OW", bytes(2 * SMALL))})  # a small one waits in memory
    body, content_type = multipart(file) if parts else (file, "application/dicom")
    folder, aside = tmp_path / "data" / "incoming", tmp_path / "aside"
    with own_emulator(data_dir=tmp_path / "data") as service:
        folder.rename(aside)
        response = post(service, body, content_type, version)
        assert response.status_code == 503
        assert response.headers["Content-Type"] == PLAIN_TEXT and response.text
        aside.rename(folder)
        assert is_empty(service)
        assert post(service, body, content_type, version).status_code == 200


@pytest.mark.parametrize("version", VERSIONS)
def test_an_instance_that_another_request_is_storing_fails_with_45071(tmp_path: Path, version: str) -> None:
    file = instance()
    with own_emulator(data_dir=tmp_path) as service, ThreadPoolExecutor(1) as pool:
        with locked(tmp_path / "index.db"):
            first = pool.submit(service.store, file, version=version)
            wait_until(lambda: list(tmp_path.glob("instances/*/*")))
            second = service.store(file, version=version)
        assert second.status_code == 409
        assert failed(second) == [refused(file, BEING_CREATED)]
        assert stored(first.result()) == [referenced(service, version, file)]
        assert len(change_feed(service)) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_others_are_answered_while_a_refused_request_is_cleared_away(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, clearing, in_time = Event(), Event(), []

    def discard(arrived: Iterable[Path | bytes]) -> None:
        clearing.set()
        in_time.append(answered.wait(10))
        ingest.discard(arrived)

    monkeypatch.setattr(store, "discard", discard)
    large = raw_instance({"PixelData": ("OW", bytes(2 * SMALL))})
    body, content_type = multipart(large, large)
    with own_emulator(data_dir=tmp_path) as service, ThreadPoolExecutor(1) as pool:
        refusal = pool.submit(post, service, body[:-40], content_type, version)
        assert clearing.wait(10)
        assert len(list(tmp_path.glob("incoming/*"))) == 2
        assert is_empty(service)
        answered.set()
        assert refusal.result().status_code == 400
        assert in_time == [True]
        assert list(tmp_path.glob("incoming/*")) == []


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Meanwhile nobody else writes into the SQLite database: who wants to, waits."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def wait_until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "waited for 10 s"
        time.sleep(0.01)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_instance_that_the_index_does_not_take_leaves_the_others_of_its_request_alone(
    tmp_path: Path, version: str
) -> None:
    bad, good = (instance(StudyInstanceUID="1.2", SeriesInstanceUID="1.3") for _ in range(2))
    elsewhere = instance()
    with own_emulator(data_dir=tmp_path) as service:
        with closing(sqlite3.connect(tmp_path / "index.db")) as database:
            database.execute(
                f"CREATE TRIGGER refusing BEFORE INSERT ON change_feed WHEN NEW.SOPInstanceUID = '{uids(bad)[2]}'"
                " BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        response = service.store(bad, good, elsewhere, version=version)
        assert response.status_code == 202
        assert failed(response) == [refused(bad, PROCESSING_FAILURE)]
        assert stored(response) == [referenced(service, version, file) for file in (good, elsewhere)]
        assert [row["sopInstanceUid"] for row in change_feed(service)] == [uids(good)[2], uids(elsewhere)[2]]
        assert len(search(service, "studies")) == len(list(tmp_path.glob("instances/*/*"))) == 2
        assert failed(service.store(bad, version=version)) == [refused(bad, PROCESSING_FAILURE)]
        assert list(tmp_path.glob("incoming/*")) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("vr", ["T\1", 'L"', "C\\", "??", "\0\0"], ids=repr)
def test_an_unknown_vr_spoils_no_answer(service: Service, version: str, vr: str) -> None:
    file = raw_instance({"Manufacturer": (vr, b"ACME")})
    response = post(service, file, "application/dicom", version)
    if response.status_code == 409:
        assert [item["00081197"]["Value"] for item in failed(response)] == [[43264]]
        assert is_empty(service)
    else:
        assert response.status_code in {200, 202}
        assert metadata(service, stored(response)[0])["00100020"]["Value"] == ["P1"]
        assert len(search(service, "instances", version, includefield="Manufacturer")) == len(change_feed(service)) == 1
        assert retrieve(service, stored(response)[0]).content == file


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_damaged_files_are_stored_or_refused_one_by_one(service: Service, version: str) -> None:
    dice = random.Random(18)
    files = []
    for _ in range(150):
        file = bytearray(raw_instance({"StudyDate": b"20200101", "Rows": b"\1\0", "PixelData": ("OB", bytes(40))}))
        file[dice.randrange(132, len(file))] = dice.randrange(256)
        files.append(bytes(file[: dice.choice([len(file), dice.randrange(len(file))])]))
    response = post(service, *multipart(*files), version)
    assert response.status_code == 202
    assert len(stored(response)) + len(failed(response)) == len(files)
    assert len(search(service, "instances", limit="200")) == len(stored(response)) > 20
    assert len(change_feed(service, limit=200)) == len(stored(response))
    for item in stored(response):
        assert retrieve(service, item).content in files
        assert metadata(service, item)["00080018"]["Value"] == item["00081155"]["Value"]
