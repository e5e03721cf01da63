"""A search that is repeated: what it finds is remembered until something changes; threads are for what takes long."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest
import requests

from dicom_emulator import archive
from dicom_emulator.api import search as api
from dicom_emulator.archive import index as archive_index
from dicom_emulator.archive import query as archive_query
from dicom_emulator.archive.index import Index, TooLong
from dicom_emulator.archive.query import Found, Query
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
    """The answers of an emulator that looks everything up."""
    with mock.patch.object(Found, "find", return_value=None):
        return answers(service)


ADA = instance(StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.1", PatientName="Ada^A")
BOB = instance(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", SOPInstanceUID="1.2.1.1", PatientName="Bob^B")
ADA_AGAIN = instance(StudyInstanceUID="1.1", SeriesInstanceUID="1.1.2", SOPInstanceUID="1.1.2.1", PatientName="Ada^New")
REPLACED = instance(StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.1", PatientName="Ada^Put")


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
    "another version": put,
    "a bulk update": lambda service: update(service, ADA, changes=person("Ada^Updated")),
    "an instance deleted": lambda service: service.owner.delete(f"{service.v2}/{path(ADA)}"),
    "reset": control("POST", "reset"),
    "back to a snapshot": control("POST", "snapshots/empty/restore"),
}


@pytest.fixture
def stored(service: Service) -> Iterator[Service]:
    control("POST", "snapshots", name="empty")(service)
    service.store(ADA, BOB)
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


def test_a_page_is_looked_up_once_until_something_changes(stored: Service) -> None:
    with mock.patch.object(archive, "search", wraps=archive.search) as looked_up:
        assert answers(stored) == answers(stored)
        assert looked_up.call_count == len(PAGES)
        stored.store(ADA_AGAIN)
        answers(stored)
        assert looked_up.call_count == 2 * len(PAGES)


def test_what_names_its_rows_is_found_at_once_and_not_remembered(stored: Service) -> None:
    with mock.patch.object(archive, "search", wraps=archive.search) as looked_up:
        for _ in range(2):
            assert stored.owner.get(f"{stored.v2}/studies?StudyInstanceUID=1.1", headers=JSON).ok
    assert looked_up.call_count == 2


ONE_MORE = "INSERT INTO study (partition_key, StudyInstanceUID) VALUES (1, '1.2')"


def test_what_was_read_before_a_change_is_not_remembered_after_it(tmp_path: Path) -> None:
    def before_a_change(reader: sqlite3.Connection, query: Query) -> list[str]:
        rows = archive_query.search(reader, query)
        with kept.index.transaction() as writer:
            writer.execute(ONE_MORE)
        return rows

    with closing(archive.Archive(tmp_path)) as kept:
        with mock.patch.object(archive, "search", before_a_change):
            assert kept.search(Query("study", 1)) == []
        assert len(kept.search(Query("study", 1))) == 1


def test_nothing_is_remembered_while_a_change_becomes_visible(tmp_path: Path) -> None:
    with closing(archive.Archive(tmp_path)) as kept, kept.index.alone() as writer:
        assert kept.search(Query("study", 1)) == []
        writer.execute(ONE_MORE)
        assert len(kept.search(Query("study", 1))) == 1


@pytest.mark.parametrize(("bound", "most", "rows"), [("MOST_TEXT", 1000, ["x" * 300]), ("MOST_SEARCHES", 3, [])])
def test_not_more_is_remembered_than_a_bound(
    stored: Service, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, rows: list[str]
) -> None:
    monkeypatch.setattr(archive_query, bound, most)
    found = Found(1)
    for offset in range(20):
        found.add(Query("study", 1, offset=offset), rows)
        assert len(found._rows) <= 3
    assert answers(stored) == forgetful(stored)


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
