"""What costs the same however much there is: counted in steps of SQLite's machine, which no busy computer changes."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dicom_emulator.archive import change_feed, workitems
from dicom_emulator.archive.change_feed import Event, Window
from dicom_emulator.archive.extended_query_tags import errors, extended_query_tags, index_stored
from dicom_emulator.archive.index import Index
from dicom_emulator.archive.workitems import WorkitemCondition, WorkitemQuery

FEW, MANY = 100, 4000

Fill = Callable[[sqlite3.Connection, int], None]  # puts so many of something into an index
Work = Callable[[sqlite3.Connection, int], object]  # is done where there are so many


def cost(path: Path, fill: Fill, work: Work, number: int) -> int:
    taken: list[None] = []
    with closing(Index(path)) as index, index.transaction() as connection:
        fill(connection, number)
        connection.set_progress_handler(lambda: taken.append(None), 1)
        work(connection, number)
        connection.set_progress_handler(None, 0)
    return len(taken)


def costs(folder: Path, fill: Fill, work: Work) -> list[int]:
    """The steps that the work takes among few and among many."""
    return [cost(folder / f"{number}.db", fill, work, number) for number in (FEW, MANY)]


def with_events(transaction: sqlite3.Connection, number: int) -> None:
    change_feed.record(transaction, *(Event("Delete", 1, ("1", "2", f"{n}"), n) for n in range(number)))
    transaction.execute("UPDATE change_feed SET ticks = sequence")


class TestChangeFeed:
    @pytest.mark.parametrize(
        "window",
        [
            lambda events: Window(limit=20),
            lambda events: Window(limit=20, offset=events // 2),
            lambda events: Window(limit=20, offset=events - 20),
            lambda events: Window(limit=20, start=events // 2),
            lambda events: Window(limit=20, start=10, offset=events - 40),
            lambda events: Window(limit=200, start=10, end=30),
            lambda events: Window(limit=20, end=events - 10, offset=events - 40),
            lambda events: Window(after=events - 20, up_to=events),
        ],
        ids=["first", "middle", "last", "since", "last since", "long ago", "last until", "numbers"],
    )
    def test_a_page(self, tmp_path: Path, window: Callable[[int], Window]) -> None:
        def read(reader: sqlite3.Connection, number: int) -> None:
            assert len(change_feed.events(reader, window(number), False)) == 20

        few, many = costs(tmp_path, with_events, read)
        assert few == many > 20

    def test_the_latest_event(self, tmp_path: Path) -> None:
        few, many = costs(tmp_path, with_events, lambda reader, number: change_feed.latest(reader, False))
        assert few == many > 10

    def test_the_next_event(self, tmp_path: Path) -> None:
        event = Event("Create", 1, ("1", "2", "new"), 1)
        few, many = costs(tmp_path, with_events, lambda transaction, number: change_feed.record(transaction, event))
        assert few == many > 10


def with_errors(transaction: sqlite3.Connection, number: int) -> None:
    """A tag, and so many instances of which none could be indexed by it."""
    transaction.execute("INSERT INTO study (study_key, partition_key, StudyInstanceUID) VALUES (1, 1, '1')")
    transaction.execute("INSERT INTO series (series_key, study_key, SeriesInstanceUID) VALUES (1, 1, '2')")
    for n in range(1, number + 1):
        transaction.execute("INSERT INTO instance VALUES (?, 1, 1, ?, ?, 1, '', NULL)", (n, f"3.{n}", f"{n}"))
        transaction.execute("INSERT INTO metadata VALUES (?, '{}')", [n])
    tag = "INSERT INTO extended_query_tag VALUES (1, '00100040', 'CS', NULL, 'instance', 'ready', 'enabled', '')"
    transaction.execute(tag)
    transaction.execute("INSERT INTO extended_error SELECT 1, watermark, 0, 'wrong' FROM instance")


class TestTagWithErrors:
    def test_a_new_instance(self, tmp_path: Path) -> None:
        few, many = costs(tmp_path, with_errors, lambda transaction, number: index_stored(transaction, number))
        assert few == many > 10

    def test_all_tags(self, tmp_path: Path) -> None:
        def read(reader: sqlite3.Connection, number: int) -> None:
            (tag,) = extended_query_tags(reader)
            assert tag.has_errors

        few, many = costs(tmp_path, with_errors, read)
        assert few == many > 10

    def test_an_error_that_is_passed_over_is_joined_to_nothing(self, tmp_path: Path) -> None:
        def read(reader: sqlite3.Connection, number: int) -> None:
            (tag,) = extended_query_tags(reader)
            assert [error.instance for error in errors(reader, tag, 20, number - 2)] == [
                f"3.{number - 1}",
                f"3.{number}",
            ]

        few, many = costs(tmp_path, with_errors, read)
        assert many - few < 5 * (MANY - FEW), "steps for each"


def with_workitems(transaction: sqlite3.Connection, number: int) -> None:
    for n in range(1, number + 1):
        transaction.execute("INSERT INTO workitem VALUES (?, 1, ?, '{}')", (n, f"1.{n}"))
        transaction.execute("INSERT INTO workitem_value VALUES (?, 'PatientID', ?)", (n, f"p{n}"))


@pytest.mark.parametrize(
    ("query", "found"),
    [(WorkitemQuery(1, limit=20), 20), (WorkitemQuery(1, (WorkitemCondition(("PatientID",), "p7"),)), 1)],
    ids=["the newest", "of a patient"],
)
def test_work_items(tmp_path: Path, query: WorkitemQuery, found: int) -> None:
    def read(reader: sqlite3.Connection, number: int) -> None:
        assert len(workitems.search(reader, query)) == found

    few, many = costs(tmp_path, with_workitems, read)
    assert few == many > 10
