"""What is remembered of rows is what the index says: whatever is written into it, and whoever reads meanwhile."""

import json
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

import pytest

from dicom_emulator.archive import Archive
from dicom_emulator.archive import query as archive_query
from dicom_emulator.archive import texts as archive_texts
from dicom_emulator.archive.query import SERIES_INSTANCES, STUDY_INSTANCES, Condition, Query
from dicom_emulator.archive.texts import Kind, Row, Texts
from dicom_emulator.dicom.attributes import MODALITIES_IN_STUDY, SEARCHABLE, tag_of

NAME, MODALITY, SEX = map(tag_of, ("PatientName", "Modality", "PatientSex"))
COUNTS = {STUDY_INSTANCES, SERIES_INSTANCES, MODALITIES_IN_STUDY}
KINDS: list[Kind] = [
    ("study", frozenset({NAME} | COUNTS - {SERIES_INSTANCES})),
    ("study", frozenset({NAME, SEX, STUDY_INSTANCES})),
    ("series", frozenset({NAME, MODALITY} | COUNTS)),
    ("series", frozenset({SEX, SERIES_INSTANCES})),
    ("instance", frozenset({NAME, SEX})),
]  # from the index and from metadata
CONTENTS = """
INSERT INTO partition VALUES (2, 'two', 0);
INSERT INTO study (study_key, partition_key, StudyInstanceUID, PatientName)
    VALUES (1, 1, '1.1', 'Ada'), (2, 2, '1.1', 'Bob'), (3, 1, '1.3', 'Cleo');
INSERT INTO series (series_key, study_key, SeriesInstanceUID, Modality)
    VALUES (1, 1, '2.1', 'CT'), (2, 2, '2.1', 'MR'), (3, 1, '2.3', 'US');
INSERT INTO instance (watermark, study_key, series_key, SOPInstanceUID, file, size, transfer_syntax)
    VALUES (0, 2, 2, '3.0', 'z', 1, ''),
           (1, 1, 1, '3.1', 'a', 1, ''), (2, 1, 1, '3.2', 'b', 1, ''), (3, 2, 2, '3.1', 'c', 1, '');
INSERT INTO metadata
    VALUES (1, '{"00100040": "first"}'), (2, '{"00100040": "second"}'), (3, '{"00100040": "third"}');
"""
WRITTEN = [
    "UPDATE study SET PatientName = 'New' WHERE study_key = 1",
    "UPDATE study SET PatientName = NULL WHERE study_key = 2",
    "DELETE FROM study WHERE study_key = 3;"
    " INSERT INTO study (study_key, partition_key, StudyInstanceUID, PatientName) VALUES (3, 1, '1.3', 'New')",
    "INSERT INTO series (study_key, SeriesInstanceUID, Modality) VALUES (1, '2.4', 'XA')",
    "UPDATE series SET Modality = 'PT' WHERE series_key = 1",
    "DELETE FROM series WHERE series_key = 3",
    "UPDATE instance SET watermark = 9 WHERE watermark = 0",  # which has no metadata
    "UPDATE instance SET watermark = 9 WHERE watermark = 1",
    "DELETE FROM instance WHERE watermark = 2",
    "UPDATE metadata SET json = '{}' WHERE watermark = 2",
]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path)
    write(archive, CONTENTS)
    yield archive
    archive.close()


def write(archive: Archive, statements: str) -> None:
    with archive.index.transaction() as writer:
        for statement in statements.split(";"):
            writer.execute(statement)


def rows(archive: Archive, texts: Texts | None = None) -> list[list[str]]:
    """Of both partitions, as they are remembered in `texts`."""
    with mock.patch.object(archive.index, "texts", texts or archive.index.texts):
        return [archive.search(Query(level, key, attributes=named)) for level, named in KINDS for key in (1, 2)]


@pytest.mark.parametrize("statements", WRITTEN)
def test_what_is_written_is_seen(archive: Archive, statements: str) -> None:
    before = rows(archive)
    assert rows(archive) == before == rows(archive, Texts())
    write(archive, statements)
    assert rows(archive) == rows(archive, Texts()) != before


def test_another_partition_has_rows_of_its_own(archive: Archive) -> None:
    one, two = (archive.search(Query("study", key, attributes=frozenset({NAME}))) for key in (1, 2))
    assert "Ada" in one[-1] and "Bob" in two[-1]
    write(archive, "UPDATE study SET PatientName = 'New' WHERE study_key = 1")
    with mock.patch.object(archive_query, "write", side_effect=AssertionError("written anew")):
        assert archive.search(Query("study", 2, attributes=frozenset({NAME}))) == two


def test_what_is_rolled_back_is_not_forgotten(archive: Archive) -> None:
    before = rows(archive)
    with pytest.raises(ZeroDivisionError), archive.index.transaction() as writer:
        writer.execute("UPDATE study SET PatientName = 'New'")
        raise ZeroDivisionError
    write(archive, "UPDATE partition SET ticks = 1")  # forgets nothing of what was rolled back either
    with mock.patch.object(archive_query, "write", side_effect=AssertionError("written anew")):
        assert rows(archive) == before


ALL = Query("study", 1, attributes=frozenset({NAME}))
ONE_MORE = "INSERT INTO study (partition_key, StudyInstanceUID) VALUES (1, '1.2')"
DELETE_CLEO = "DELETE FROM study WHERE study_key = 3"
BY_UID = ALL._replace(conditions=(Condition(SEARCHABLE[tag_of("StudyInstanceUID")], "1.1"),))
ADA = Query("study", 1, "1.1", attributes=frozenset({NAME}))


def name_of(found: list[str]) -> str:
    return json.loads(found[0])["00100010"]["Value"][0]["Alphabetic"]


def rename(archive: Archive, name: str) -> None:
    write(archive, f"UPDATE study SET PatientName = '{name}' WHERE study_key = 1")


def test_what_was_read_before_a_change_is_not_remembered_after_it(archive: Archive) -> None:
    def and_then_a_change(reader: sqlite3.Connection, *what: object) -> list[Row]:
        read = as_it_is(reader, *what)
        rename(archive, "New")
        return read

    as_it_is = archive_query.write
    with mock.patch.object(archive_query, "write", and_then_a_change):
        assert name_of(archive.search(ADA)) == "Ada"
    assert name_of(archive.search(ADA)) == "New"


@pytest.mark.parametrize("query", [BY_UID, ADA], ids=["in one statement", "in two"])
def test_what_was_read_after_a_change_is_no_answer_to_a_search_from_before(archive: Archive, query: Query) -> None:
    """All that a search reads is from one moment."""

    def after_a_change(texts: Texts, edition: int, kind: Kind, keys: Sequence[int]) -> list[str | None]:
        in_between.stop()
        rename(archive, "New")
        other = threading.Thread(target=archive.search, args=[query])
        other.start()
        other.join()
        return texts.find(edition, kind, keys)

    assert name_of(archive.search(query._replace(limit=50))) == "Ada"  # so that the text is remembered
    in_between = mock.patch.object(Texts, "find", after_a_change)
    in_between.start()
    assert name_of(archive.search(query)) == "Ada"
    assert name_of(archive.search(query)) == "New"


def test_what_was_found_before_a_change_is_not_found_after_it(archive: Archive) -> None:
    def and_then_a_change(texts: Texts, edition: int, search: Query, keys: list[int]) -> None:
        in_between.stop()
        write(archive, ONE_MORE)
        texts.note(edition, search, keys)

    archive.search(ALL._replace(limit=50))  # so that the texts are remembered
    in_between = mock.patch.object(Texts, "note", and_then_a_change)
    in_between.start()
    assert len(archive.search(ALL)) == 2
    assert len(archive.search(ALL)) == 3


def test_what_is_asked_again_is_not_looked_up_until_anything_changes(archive: Archive) -> None:
    found = archive.search(ALL)
    with mock.patch.object(archive.index, "one_moment", side_effect=AssertionError("looked up")):
        assert archive.search(ALL) == found
        write(archive, DELETE_CLEO)
        with pytest.raises(AssertionError, match="looked up"):
            archive.search(ALL)
    assert archive.search(ALL) == found[1:]


def test_not_more_searches_are_remembered_than_a_bound(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_texts, "MOST_SEARCHES", 3)
    for offset in range(10):
        archive.search(Query("study", 1, offset=offset))
        assert len(archive.index.texts._found) == offset % 3 + 1
    archive.search(BY_UID)  # of which there are as many as rows
    assert BY_UID not in archive.index.texts._found


class ChangedBefore(Texts):
    """Something happens just before somebody looks at the edition."""

    def __init__(self) -> None:
        self.changes: list[Callable[[], None]] = []
        super().__init__()

    @property
    def edition(self) -> int:
        if self.changes:
            self.changes.pop()()
        return self._edition

    @edition.setter
    def edition(self, edition: int) -> None:
        self._edition = edition


@pytest.mark.parametrize(("query", "asked_before"), [(BY_UID, 0), (ADA, 1)], ids=["in one statement", "in two"])
def test_the_edition_is_looked_at_before_anything_is_read(archive: Archive, query: Query, asked_before: int) -> None:
    archive.index.texts = texts = ChangedBefore()
    texts.changes += [lambda: rename(archive, "New"), *[lambda: None] * asked_before]  # the last one first
    archive.search(query)
    assert not texts.changes
    assert name_of(archive.search(query)) == "New"


def test_nothing_was_found_only_if_nothing_has_changed_meanwhile(archive: Archive) -> None:
    archive.index.texts = texts = ChangedBefore()
    nobody = Query("study", 1, "1.2")
    assert archive.search(nobody) == []
    texts.changes += [lambda: write(archive, ONE_MORE), lambda: None]  # the last one first
    assert len(archive.search(nobody)) == 1


def test_what_has_changed_is_forgotten_before_the_change_is_over(archive: Archive) -> None:
    def forget(studies: set[int]) -> None:
        found.extend(texts.find(texts.edition, (ADA.level, ADA.attributes), [1]))
        as_it_is(studies)

    found: list[str | None] = []
    texts, as_it_is = archive.index.texts, archive.index.texts._forget
    assert name_of(archive.search(ADA)) == "Ada"
    with mock.patch.object(texts, "_forget", forget):
        rename(archive, "New")
    assert found == [None]


def test_nothing_is_remembered_while_a_change_becomes_visible(archive: Archive) -> None:
    assert name_of(archive.search(ADA)) == "Ada"
    with archive.index.alone() as writer:
        for name in ("New", "Newer"):
            writer.execute(f"UPDATE study SET PatientName = '{name}'")
            assert name_of(archive.search(ADA)) == name
    assert name_of(archive.search(ADA)) == "Newer"


def test_whoever_has_the_index_alone_changes_anything(archive: Archive) -> None:
    assert name_of(archive.search(ADA)) == "Ada"
    with archive.index.alone() as writer:
        writer.execute("UPDATE study SET PatientName = 'New'")
    assert name_of(archive.search(ADA)) == "New"


def test_not_more_is_remembered_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_texts, "EACH", 10)
    monkeypatch.setattr(archive_texts, "MOST", 1000)
    texts = Texts()
    for number in range(100):
        kind = ("study", frozenset({number % 7}))
        texts.add(0, kind, [(number, number, "x" * (number % 3) * 50)])
        kept = [text for rows in texts._texts.values() for text in rows.values()]
        assert sum(10 + len(text) for text in kept) == texts._size <= 1000
        assert number % 10 or kept or not texts._texts
    for number in range(100):
        with texts.changing({number}):
            pass
    assert (texts._texts, texts._of_study, texts._size) == ({}, {}, 0)


def test_nobody_finds_less_than_what_was_acknowledged(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread writes the same number into two rows of the index and into metadata, three others read them."""
    number = tag_of("PatientID")
    acknowledged, stale, reads = 0, [], 0
    over = threading.Event()

    def write_numbers() -> None:
        nonlocal acknowledged
        for count in range(1, 500):
            with archive.index.transaction() as writer:
                writer.execute("UPDATE study SET PatientID = ? WHERE partition_key = 1", [count])
                writer.execute("UPDATE metadata SET json = ?", [f'{{"00100020": {{"Value": ["{count}"]}}}}'])
            acknowledged = count

    def read_numbers() -> None:
        nonlocal reads
        while not over.is_set():
            for level in ("study", "instance"):  # from the index, and from metadata
                before = acknowledged
                found = [json.loads(row) for row in archive.search(Query(level, 1, attributes=frozenset({number})))]
                numbers = {int(row["00100020"]["Value"][0]) for row in found if row}
                reads += 1
                if before and (len(numbers) != 1 or min(numbers) < before):
                    stale.append((before, numbers))

    interval = sys.getswitchinterval()
    threads = [threading.Thread(target=read_numbers) for _ in range(3)]
    try:
        sys.setswitchinterval(1e-5)
        for thread in threads:
            thread.start()
        write_numbers()
    finally:
        over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert not stale and reads
