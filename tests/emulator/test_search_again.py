"""A search that is repeated: a row is remembered until its study changes; threads are for what takes long."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
import requests

from dicom_emulator.api import search as api
from dicom_emulator.archive import index as archive_index
from dicom_emulator.archive import query as archive_query
from dicom_emulator.archive.index import Index, TooLong
from dicom_emulator.archive.texts import Texts
from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, path
from tests.emulator.operations import add_tags, person, tag, update

JSON = {"Accept": "application/dicom+json"}

PAGES = [
    "studies", "series", "instances", "studies?limit=1", "studies?offset=1", "studies?PatientName=Ada%5EA",
    "studies?includefield=all", "studies?includefield=NumberOfStudyRelatedInstances,ModalitiesInStudy",
    "series?includefield=00201209", "studies?PatientName=ada&fuzzymatching=true",
]  # fmt: skip


def answers(service: Service) -> list[str]:
    return [service.owner.get(f"{service.v2}/{page}", headers=JSON).text for page in PAGES]


def forgetful(service: Service) -> list[str]:
    """The answers of an emulator that remembers nothing."""
    with mock.patch.object(Texts, "find", lambda self, edition, kind, keys: [None] * len(keys)):
        return answers(service)


ADA = instance(StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.1", PatientName="Ada^A")
BOB = instance(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", SOPInstanceUID="1.2.1.1", PatientName="Bob^B")
ADA_AGAIN = instance(StudyInstanceUID="1.1", SeriesInstanceUID="1.1.2", SOPInstanceUID="1.1.2.1", PatientName="Ada^New")
ADA_MORE = instance(
    StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.2", PatientName="Ada^A", PatientSex="F"
)
NEWEST = instance(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", SOPInstanceUID="1.2.1.2", PatientSex="F")
REPLACED = instance(StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.1", PatientName="Ada^Put")


def delete_and_store(service: Service) -> None:
    assert service.owner.delete(f"{service.v2}/studies/1.1").ok
    service.store(REPLACED)


def reset_and_store(service: Service) -> None:
    """The index gives the same keys to other studies."""
    control("POST", "reset")(service)
    service.store(BOB, REPLACED)


def put(service: Service) -> None:
    body, content_type = multipart(REPLACED)
    assert service.owner.put(f"{service.v2}/studies", data=body, headers=JSON | {"Content-Type": content_type}).ok


def control(method: str, path: str, **body: object) -> Callable[[Service], None]:
    def change(service: Service) -> None:
        assert requests.request(method, f"{service.url}/_emulator/{path}", json=body or None, timeout=60).ok

    return change


CHANGES: dict[str, Callable[[Service], object]] = {
    "another study": lambda service: service.store(instance(PatientName="Ada^Third")),
    "more of a study": lambda service: service.store(ADA_AGAIN),
    "more of a series": lambda service: service.store(ADA_MORE),  # which says the same of the study, but for the sex
    "another version": put,
    "a bulk update": lambda service: update(service, ADA, changes=person("Ada^Updated")),
    "an instance deleted": lambda service: service.owner.delete(f"{service.v2}/{path(ADA)}"),
    "the newest instance deleted": lambda service: service.owner.delete(f"{service.v2}/{path(NEWEST)}"),
    "a study deleted": lambda service: service.owner.delete(f"{service.v2}/studies/1.1"),
    "a study deleted and stored again": delete_and_store,
    "reset": control("POST", "reset"),
    "reset, and the same UIDs stored": reset_and_store,
    "back to a snapshot": control("POST", "snapshots/empty/restore"),
}


@pytest.fixture
def stored(service: Service) -> Iterator[Service]:
    control("POST", "snapshots", name="empty")(service)
    service.store(ADA, BOB, NEWEST)
    yield service
    control("DELETE", "snapshots/empty")(service)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_has_changed_is_seen_at_once(stored: Service, change: Callable[[Service], object]) -> None:
    before = answers(stored)
    assert answers(stored) == before == forgetful(stored)
    change(stored)
    after = answers(stored)
    assert after == answers(stored) == forgetful(stored)
    assert after != before


def test_what_changes_after_a_snapshot_came_back_is_seen(stored: Service) -> None:
    control("POST", "snapshots/empty/restore")(stored)
    stored.store(ADA, BOB)
    before = answers(stored)
    stored.store(ADA_AGAIN)
    assert answers(stored) == forgetful(stored) != before


def written(service: Service, ask: Callable[[Service], object] = answers) -> int:
    """How many rows it takes to write anew when somebody asks."""
    with mock.patch.object(archive_query, "write", wraps=archive_query.write) as write:
        ask(service)
    return sum(len(call.args[2]) for call in write.call_args_list)


def test_a_row_is_written_once_until_its_study_changes(stored: Service) -> None:
    def studies(service: Service) -> None:
        assert len(service.owner.get(f"{service.v2}/studies", headers=JSON).json()) == 2

    assert [written(stored, studies), written(stored, studies)] == [2, 0]
    stored.store(ADA_AGAIN)
    assert [written(stored, studies), written(stored, studies)] == [1, 0]
    answers(stored)
    assert written(stored) == 0


@pytest.mark.parametrize(
    "search", ["studies?StudyInstanceUID=1.1", "studies/1.1/series/1.1.1/instances?SOPInstanceUID=1.1.1.1"]
)
def test_what_names_its_rows_is_found_at_once(stored: Service, search: str) -> None:
    def one(service: Service) -> None:
        assert len(service.owner.get(f"{service.v2}/{search}", headers=JSON).json()) == 1

    with mock.patch.object(api, "run_blocking", side_effect=AssertionError("in a thread")):
        assert [written(stored, one), written(stored, one)] == [1, 0]


def test_a_new_tag_is_known_at_once(stored: Service) -> None:
    url = f"{stored.v2}/studies?StationName=x"
    assert stored.owner.get(url, headers=JSON).status_code == 400
    add_tags(stored, tag("StationName", "Study"))
    assert stored.owner.get(url, headers=JSON).status_code == 204
    stored.owner.delete(f"{stored.v2}/extendedquerytags/StationName")
    assert stored.owner.get(url, headers=JSON).status_code == 400


@pytest.mark.parametrize("steps", [0, archive_index.FEW_STEPS])
def test_what_takes_long_is_left_to_a_thread(stored: Service, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is answered all the same."""
    stored.store(*(instance(StudyInstanceUID=f"1.3.{number}", PatientName="Many") for number in range(100)))
    monkeypatch.setattr(archive_index, "FEW_STEPS", steps)
    with mock.patch.object(api, "run_blocking", wraps=api.run_blocking) as in_a_thread:
        response = stored.owner.get(f"{stored.v2}/studies?PatientName=many&limit=100", headers=JSON)
    assert len(json.loads(response.text)) == 100
    assert in_a_thread.call_count == (0 if steps else 1)


def test_a_search_that_was_broken_off_leaves_nothing_behind(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT MAX(n) FROM number"
    index = Index(tmp_path / "index.db")
    try:
        for _ in range(3):
            with pytest.raises(TooLong), index.briefly() as reader:
                reader.execute(endless).fetchall()
            assert not index.reader.in_transaction
            count = index.reader.execute(endless.replace("FROM number)", "FROM number WHERE n < 99999)")).fetchone()[0]
            assert count == 99_999
        with pytest.raises(sqlite3.OperationalError, match="no such table"), index.briefly() as reader:
            reader.execute("SELECT * FROM absent")
        for _ in range(30_000):  # small ones, whose steps add up
            with index.briefly() as reader:
                reader.execute("SELECT 1").fetchall()
    finally:
        index.close()


@pytest.mark.parametrize("way", ["transaction", "alone"])
def test_whoever_writes_makes_another_edition_of_the_index(tmp_path: Path, way: str) -> None:
    """Twice: what is read while the change becomes visible belongs to no edition."""
    index = Index(tmp_path / "index.db")
    try:
        before = index.edition
        with getattr(index, way)() as writer:
            writer.execute("INSERT INTO partition VALUES (2, 'two', 0)")
        assert (before % 2, index.edition) == (0, before + 2)
        with pytest.raises(ZeroDivisionError), getattr(index, way)():
            raise ZeroDivisionError
        assert index.edition % 2 == 0
    finally:
        index.close()
