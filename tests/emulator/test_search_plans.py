"""How SQLite goes about a search: by an index where there is one, and never by sorting all studies for one page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_emulator.archive.index import Index
from dicom_emulator.archive.query import Condition, Query, search, search_at_once
from dicom_emulator.dicom.attributes import SEARCHABLE, tag_of


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index.db")
    yield index
    index.close()


def plan(index: Index, query: Query) -> list[str]:
    """The steps that SQLite takes for the rows of a search."""
    statements: list[str] = []
    index.reader.set_trace_callback(statements.append)
    (search_at_once if query.one_statement else search)(index.reader, query, index.texts)
    index.reader.set_trace_callback(None)
    statement = statements[-1]
    return [row["detail"] for row in index.reader.execute(f"EXPLAIN QUERY PLAN {statement}")]


def equal(keyword: str, value: str) -> Condition:
    return Condition(SEARCHABLE[tag_of(keyword)], value)


BETWEEN_DATES = Condition(SEARCHABLE[tag_of("StudyDate")], low="1", high="2", is_range=True)


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_a_page_is_read_from_the_newest_row_on(index: Index, level: str) -> None:
    assert not any("TEMP B-TREE" in step for step in plan(index, Query(level, 1)))


@pytest.mark.parametrize(
    ("query", "step"),
    [
        (Query("study", 1), "SEARCH study USING INDEX study_partition (partition_key=?)"),
        (Query("study", 1, "1.2"), "SEARCH study USING INDEX sqlite_autoindex_study_1 (partition_key=? AND"),
        (
            Query("study", 1, conditions=(equal("StudyInstanceUID", "1.2"),)),
            "SEARCH study USING INDEX sqlite_autoindex_study_1 (partition_key=? AND",
        ),
        (Query("series", 1, conditions=(equal("SeriesInstanceUID", "1.3"),)), "SEARCH series USING INDEX series_uid"),
        (
            Query("instance", 1, conditions=(equal("SOPInstanceUID", "1.4"),)),
            "SEARCH instance USING INDEX instance_uid",
        ),
        (
            Query("instance", 1, "1.2", "1.3", (equal("SOPInstanceUID", "1.4"),)),
            "SEARCH instance USING INDEX sqlite_autoindex_instance_1 (series_key=? AND SOPInstanceUID=?)",
        ),
        (Query("instance", 1, "1.2"), "SEARCH instance USING INDEX instance_study (study_key=?)"),
        (
            Query("study", 1, conditions=(equal("PatientID", "p"),)),
            "SEARCH study USING INDEX study_patient_id (PatientID_key=?)",
        ),
        (
            Query("study", 1, conditions=(BETWEEN_DATES,)),
            "SEARCH study USING INDEX study_date (StudyDate_key>? AND StudyDate_key<?)",
        ),
        (
            Query("study", 1, conditions=(equal("ModalitiesInStudy", "ct"),)),
            "SEARCH of_study USING INDEX sqlite_autoindex_series_1 (study_key=?)",
        ),
    ],
    ids=[
        "partition",
        "path",
        "study",
        "series",
        "instance",
        "instance of a path",
        "instances of a path",
        "patient",
        "dates",
        "modalities",
    ],
)
def test_rows_are_found_by_an_index(index: Index, query: Query, step: str) -> None:
    steps = plan(index, query)
    assert any(each.replace("COVERING ", "").startswith(step) for each in steps), steps
