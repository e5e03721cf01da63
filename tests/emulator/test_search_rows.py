"""The text of a row that is found in the index is, byte for byte, what json.dumps makes of its attributes."""

import json
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicom_emulator.archive.index import Index
from dicom_emulator.archive.query import STUDY_INSTANCES, Query, search
from dicom_emulator.dicom.attributes import CORE, MODALITIES_IN_STUDY, hex_tag, tag_of
from dicom_emulator.dicom.dicom_json import name_groups

COLUMNS = {
    level: [attribute for _, attribute in sorted(CORE.items()) if attribute.level == level]
    for level in ("study", "series")
}
ATTRIBUTES = frozenset(attribute.tag for level in COLUMNS.values() for attribute in level)
MODALITY = tag_of("Modality")
EACH_CHARACTER = "".join(map(chr, range(0x100))) + "\u2028\u2029\ufeff\ufffd\U0001f600"
TEXTS = st.none() | st.text(
    st.sampled_from('aé日"\\=^/%\0\x01\n\x1f\x7f\u2028 ') | st.characters(exclude_categories=["Cs"]), max_size=8
)
Values = dict[int, str | None]


def rows(level: str) -> st.SearchStrategy[Values]:
    return st.fixed_dictionaries({attribute.tag: TEXTS for attribute in COLUMNS[level] if attribute.vr != "UI"})


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    index = Index(tmp_path_factory.mktemp("rows") / "index.db")
    yield index
    index.close()


def insert(writer: sqlite3.Connection, level: str, above: tuple[str, int], uid: str, values: Values) -> Values:
    """Returns what the row holds."""
    held = values | {attribute.tag: uid for attribute in COLUMNS[level] if attribute.vr == "UI"}
    columns = [above[0], *(attribute.keyword for attribute in COLUMNS[level])]
    row = [above[1], *(held.get(attribute.tag) for attribute in COLUMNS[level])]
    writer.execute(f"INSERT INTO {level} ({', '.join(columns)}) VALUES ({', '.join('?' * len(row))})", row)
    return held


def found(index: Index, query: Query) -> list[str]:
    with index.one_moment() as reader:
        return search(reader, query, index.texts)


def element(tag: int, value: str) -> dict[str, object]:
    vr = CORE[tag].vr
    if vr == "PN":
        return {"vr": vr, "Value": [name_groups(value) if "=" in value else {"Alphabetic": value}]}
    return {"vr": vr, "Value": [value]}


def text(values: Values, counted: dict[int, dict[str, object]] | None = None) -> str:
    """The slow way."""
    elements = {tag: element(tag, value) for tag, value in values.items() if value} | (counted or {})
    return json.dumps({hex_tag(tag): elements[tag] for tag in sorted(elements)}, ensure_ascii=False)


@given(st.lists(st.tuples(rows("study"), rows("series")), max_size=4))
@example([({attribute.tag: EACH_CHARACTER for attribute in COLUMNS["study"]}, {MODALITY: ""})])
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_row_is_written_as_json_writes_its_attributes(index: Index, stored: list[tuple[Values, Values]]) -> None:
    studies, series = [], []
    with index.transaction() as writer:
        writer.execute("DELETE FROM series")
        writer.execute("DELETE FROM study")
        for number, (of_study, of_series) in enumerate(stored):
            studies.insert(0, insert(writer, "study", ("partition_key", 1), f"1.{number}", of_study))
            (key,) = writer.execute("SELECT MAX(study_key) FROM study").fetchone()
            series.insert(0, insert(writer, "series", ("study_key", key), f"2.{number}", of_series))
    study_tags = frozenset(attribute.tag for attribute in COLUMNS["study"])
    assert found(index, Query("study", 1, attributes=study_tags)) == [text(study) for study in studies]
    both = [text(study | one) for study, one in zip(studies, series, strict=True)]
    assert found(index, Query("series", 1, attributes=ATTRIBUTES)) == both
    asked = study_tags | {STUDY_INSTANCES, MODALITIES_IN_STUDY}
    with_counts = [
        text(study, {STUDY_INSTANCES: {"vr": "IS", "Value": [0]}, MODALITIES_IN_STUDY: modalities(one.get(MODALITY))})
        for study, one in zip(studies, series, strict=True)
    ]
    assert found(index, Query("study", 1, attributes=asked)) == with_counts
    assert found(index, Query("study", 1)) == ["{}"] * len(stored)


def modalities(value: str | None) -> dict[str, object]:
    return {"vr": "CS"} if value is None else {"vr": "CS", "Value": [value]}
