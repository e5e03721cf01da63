"""Searching the index: exact, by range and fuzzy, on six resources (conformance statement, Search)."""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from typing import Any, NamedTuple

from dicom_emulator.archive.texts import Kind, Row, Texts
from dicom_emulator.dicom.attributes import (
    CORE,
    IDENTIFIERS,
    MODALITIES_IN_STUDY,
    STUDY_INSTANCE_UID,
    Attribute,
    hex_tag,
    tag_of,
)
from dicom_emulator.dicom.dicom_json import name_groups

STUDY_INSTANCES = tag_of("NumberOfStudyRelatedInstances")
SERIES_INSTANCES = tag_of("NumberOfSeriesRelatedInstances")
COMPUTED = {
    STUDY_INSTANCES: "study",
    SERIES_INSTANCES: "series",
    MODALITIES_IN_STUDY: "study",
}
LEVEL_OF = {tag: attribute.level for tag, attribute in CORE.items()} | COMPUTED
# The attributes that rows of each level can take from the index alone.
INDEXED_FOR = {
    "study": {tag for tag, level in LEVEL_OF.items() if level == "study"},
    "series": {tag for tag, level in LEVEL_OF.items() if level in {"study", "series"}},
    "instance": set(),
}


Comparable = str | int | float
UIDS = dict(zip(("study", "series", "instance"), IDENTIFIERS, strict=True))  # what names a row of each level
FEW = 8  # attributes; of so many SQLite finds each in metadata before json.loads has read all of it
to_json = json.JSONEncoder(ensure_ascii=False).encode


class Condition(NamedTuple):
    """A filter on one indexed attribute: equality, or a range where `low` or `high` is given.

    The values are as they are compared: see `extended_query_tags.value_key`.
    """

    attribute: Attribute
    value: Comparable = ""
    low: Comparable | None = None
    high: Comparable | None = None
    fuzzy: bool = False
    is_range: bool = False
    tag_key: int | None = None  # of an extended query tag


class Query(NamedTuple):
    """What to look for, in rows of `level`, and which attributes a row shall carry where it has them."""

    level: str
    partition: int
    study: str | None = None
    series: str | None = None
    conditions: tuple[Condition, ...] = ()
    attributes: frozenset[int] = frozenset()
    limit: int = 100
    offset: int = 0

    @property
    def kind(self) -> Kind:
        return self.level, self.attributes

    @property
    def names_its_rows(self) -> bool:
        """Whether a condition is the UID of a row, by which it is found at once."""
        return UIDS[self.level] in [each.attribute.tag for each in self.conditions]

    @property
    def one_statement(self) -> bool:
        """Whether its rows are named, and nothing about them is counted, so that one statement reads all."""
        return self.names_its_rows and not selection(*self.kind).computed

    @property
    def is_light(self) -> bool:
        """Whether what is found takes little to write, since all of it is in the index."""
        chosen = selection(self.level, self.attributes)
        return chosen.indexed is not None and not chosen.computed and not any(each.fuzzy for each in self.conditions)


def fold(value: str, vr: str) -> str:
    """A value as it is compared: in any case, padding cut off, names also without their accents.

    >>> fold("JosÉ ", "LO"), fold("JosÉ", "PN")
    ('josé', 'jose')
    """
    folded = value.rstrip(" \0").casefold()
    if vr == "PN":
        folded = "".join(
            letter for letter in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(letter)
        )
    return folded


def words(name: str) -> list[str]:
    return [word for word in re.split(r"[\^= ]+", name) if word]


def fuzzy_match(name: str | None, wanted: str) -> bool:
    """Whether the words of `wanted` begin consecutive words of `name`; both folded.

    >>> fuzzy_match("smith^jane ann", "jane an"), fuzzy_match("smith^jane ann", "smith ann")
    (True, False)
    """
    have, want = words(name or ""), words(wanted)
    return bool(want) and any(
        all(word.startswith(start) for word, start in zip(have[first:], want, strict=False))
        for first in range(len(have) - len(want) + 1)
    )


KEY = {"study": "study.study_key", "series": "series.series_key", "instance": "instance.watermark"}
TABLES = {
    "study": "study",
    "series": "series JOIN study USING (study_key)",
    "instance": "instance JOIN series USING (series_key) JOIN study ON study.study_key = instance.study_key",
}
# The same, so that SQLite does not look through all instances of a study for those with a UID.
INSTANCES_BY_UID = "instance JOIN series USING (series_key) JOIN study ON study.study_key = series.study_key"
# The watermark of a row's newest instance.
NEWEST = {
    "study": "(SELECT MAX(watermark) FROM instance WHERE instance.study_key = study.study_key)",
    "series": "(SELECT MAX(watermark) FROM instance WHERE instance.series_key = series.series_key)",
    "instance": "instance.watermark",
}


@dataclass(frozen=True)
class Selection:
    """How rows of one level with certain attributes are written."""

    rows: str  # the SQL that reads them: the keys of study and row, and what is written; conditions follow
    by_key: str  # the same, of those whose keys are in a JSON array
    indexed: tuple[Attribute, ...] | None  # read from the index; None: from the metadata of the newest instance
    tags: tuple[str, ...]  # of the attributes, in ascending order
    pick: str  # the SQL that takes them out of metadata, into a JSON array
    computed: tuple[int, ...]


@lru_cache(maxsize=256)  # clients ask for few different sets
def selection(level: str, attributes: frozenset[int]) -> Selection:
    is_indexed = attributes <= INDEXED_FOR[level]
    indexed = tuple(CORE[tag] for tag in sorted(attributes & CORE.keys())) if is_indexed else None
    levels = {"study", level} if is_indexed else {level}
    computed = tuple(tag for tag in sorted(attributes & COMPUTED.keys()) if COMPUTED[tag] in levels)
    columns, tables = ["json"], INSTANCES_BY_UID if level == "instance" else TABLES[level]
    if indexed is None:
        tables += f" LEFT JOIN metadata ON metadata.watermark = {NEWEST[level]}"
    else:
        columns = [f"{attribute.level}.{attribute.keyword}" for attribute in indexed]
    tags = tuple(map(hex_tag, sorted(attributes)))
    picks = [f"json_extract(?1, '$.{tag}')" for tag in tags]
    rows = f"SELECT {', '.join(['study.study_key', KEY[level], *columns])} FROM {tables}"
    return Selection(
        rows,
        f"{rows} WHERE {KEY[level]} IN (SELECT value FROM json_each(?))",
        indexed,
        tags,
        f"SELECT json_array({', '.join(picks)})",
        computed,
    )


def search(reader: sqlite3.Connection, query: Query, texts: Texts) -> list[str]:
    """The rows that match, newest first, as DICOM JSON objects. `reader`: in a transaction that has read nothing."""
    edition = texts.edition  # first: what is committed meanwhile makes another one
    matching, values = matching_sql(query)
    cursor = reader.cursor()
    cursor.row_factory = None  # a tuple is enough
    cursor.execute(f"SELECT {KEY[query.level]} FROM {TABLES[query.level]} {matching}", values)
    keys = [key for (key,) in cursor]
    texts.note(edition, query, keys)
    found = texts.find(edition, query.kind, keys)
    if None in found:
        missing = [key for key, text in zip(keys, found, strict=True) if text is None]
        chosen = selection(*query.kind)
        rows = write(reader, chosen, reader.execute(chosen.by_key, [to_json(missing)]).fetchall())
        texts.add(edition, query.kind, rows)
        written = {key: text for _, key, text in rows}
        found = [text or written[key] for key, text in zip(keys, found, strict=True)]
    return found


def search_at_once(reader: sqlite3.Connection, query: Query, texts: Texts) -> list[str]:
    """As `search`, for a query of `one_statement`; `reader`: in no transaction.

    Rows that have a UID are few: to read them where they are found costs less than a second statement for those that
    are not remembered. Nor is it noted which they are, since there are as many such searches as rows.
    """
    edition = texts.edition
    matching, values = matching_sql(query)
    chosen = selection(*query.kind)
    read = reader.execute(f"{chosen.rows} {matching}", values).fetchall()
    found = texts.find(edition, query.kind, [key for _, key, *_ in read])
    if None in found:
        rows = write(reader, chosen, read)
        texts.add(edition, query.kind, rows)
        found = [text for _, _, text in rows]
    return found


def write(reader: sqlite3.Connection, chosen: Selection, read: list[sqlite3.Row]) -> list[Row]:
    """The texts of rows that were read."""
    if chosen.indexed is None:
        texts = [from_metadata(reader, row, chosen) for row in read]
    else:
        texts = from_index(reader, read, chosen.indexed, chosen)
    return [(study, key, text) for (study, key, *_), text in zip(read, texts, strict=True)]


def matching_sql(query: Query) -> tuple[str, list[Any]]:
    """What follows the tables: the rows that match, newest first, as many as a page has."""
    where, values = conditions_sql(query)
    return f"WHERE {where} ORDER BY {KEY[query.level]} DESC LIMIT ? OFFSET ?", [*values, query.limit, query.offset]


def conditions_sql(query: Query) -> tuple[str, list[Any]]:
    by_uid = query.study is not None or any(each.attribute.tag == STUDY_INSTANCE_UID for each in query.conditions)
    a_page_of_all = query.level == "study" and not query.conditions
    # Where there is another condition, its index leads to fewer rows: most studies are in one partition. The "+" keeps
    # SQLite from the partition's.
    text, values = "study.partition_key = ?", [query.partition]
    if not by_uid and not a_page_of_all:
        text = "+" + text
    if query.study is not None:
        text, values = text + " AND study.StudyInstanceUID = ?", [*values, query.study]
    if query.series is not None:
        text, values = text + " AND series.SeriesInstanceUID = ?", [*values, query.series]
    for condition in query.conditions:
        more, given = condition_sql(condition)
        text, values = f"{text} AND {more}", [*values, *given]
    return text, values


def condition_sql(condition: Condition) -> tuple[str, list[Any]]:
    attribute = condition.attribute
    if attribute.tag == MODALITIES_IN_STUDY:
        return (
            "EXISTS (SELECT 1 FROM series AS of_study"
            " WHERE of_study.study_key = study.study_key AND +of_study.Modality_key = ?)",  # "+": by the key alone
            [condition.value],
        )
    if condition.tag_key is not None:
        owner = {"study": "study.study_key", "series": "series.series_key", "instance": "instance.watermark"}
        text, values = comparison(condition, "value_key")
        column = owner[attribute.level].split(".")[1]
        return (
            "EXISTS (SELECT 1 FROM extended_value AS extended WHERE extended.tag_key = ?"
            f" AND extended.{column} = {owner[attribute.level]} AND {text})",
            [condition.tag_key, *values],
        )
    if attribute.vr == "UI":
        return f"{attribute.level}.{attribute.keyword} = ?", [condition.value]
    return comparison(condition, f"{attribute.level}.{attribute.keyword}_key")


def comparison(condition: Condition, column: str) -> tuple[str, list[Any]]:
    if condition.is_range:
        bounds = [(">=", condition.low), ("<=", condition.high)]
        given = [(sign, bound) for sign, bound in bounds if bound is not None]
        return " AND ".join(f"{column} {sign} ?" for sign, _ in given), [bound for _, bound in given]
    return (f"fuzzy_match({column}, ?)" if condition.fuzzy else f"{column} = ?"), [condition.value]


def from_index(
    reader: sqlite3.Connection, found: list[sqlite3.Row], indexed: tuple[Attribute, ...], chosen: Selection
) -> list[str]:
    """Rows from the columns of the index behind the two keys: what was never set, or is empty, is absent.

    Put together as text, since json.dumps takes several times as long; and a column at a time, since some rows lack
    what others have, but each column is written in one way.
    """
    columns = list(zip(*found, strict=True))[2:]
    elements = {
        attribute.tag: elements_of(attribute, column)
        for attribute, column in zip(indexed, columns, strict=bool(found))
        if any(column)
    }
    if chosen.computed:
        gathered = [computed(reader, row, chosen.computed) for row in found]
        for tag in chosen.computed:
            elements[tag] = [f'"{hex_tag(tag)}": {to_json(each[hex_tag(tag)])}' for each in gathered]
    in_order = [elements[tag] for tag in sorted(elements)] or [[""] * len(found)]
    return [f"{{{', '.join(filter(None, row))}}}" for row in zip(*in_order, strict=True)]


def elements_of(attribute: Attribute, values: Sequence[str | None]) -> list[str]:
    """The elements of an attribute, "" where the value is absent."""
    start, end = f'"{hex_tag(attribute.tag)}": {{"vr": "{attribute.vr}", "Value": [', "]}"
    if attribute.vr == "PN":
        if "=" in "".join(filter(None, values)):
            return [f"{start}{to_json(name_groups(value))}{end}" if value else "" for value in values]
        start, end = start + '{"Alphabetic": ', "}" + end
    return [f"{start}{quoted(value)}{end}" if value else "" for value in values]


def from_metadata(reader: sqlite3.Connection, row: sqlite3.Row, chosen: Selection) -> str:
    """A row from the saved metadata of its newest instance: what that file has, empty attributes included."""
    metadata = picked(reader, row["json"] or "{}", chosen)
    if chosen.computed:
        metadata |= computed(reader, row, chosen.computed)
    return to_json({tag: metadata[tag] for tag in chosen.tags if tag in metadata})


def picked(reader: sqlite3.Connection, metadata: str, chosen: Selection) -> dict[str, Any]:
    """Of metadata what is asked for, or all of it where that is found out sooner."""
    if len(chosen.tags) > FEW:
        return json.loads(metadata)
    (attributes,) = reader.execute(chosen.pick, [metadata]).fetchone()
    found = zip(chosen.tags, json.loads(attributes), strict=True)
    return {tag: attribute for tag, attribute in found if attribute is not None}


def computed(reader: sqlite3.Connection, row: sqlite3.Row, attributes: Iterable[int]) -> dict[str, Any]:
    """The attributes that are counted or gathered when somebody asks."""
    found: dict[str, Any] = {}
    for tag in attributes:
        if tag == MODALITIES_IN_STUDY:
            modalities = reader.execute(
                "SELECT DISTINCT Modality FROM series WHERE study_key = ? AND Modality IS NOT NULL ORDER BY Modality",
                [row["study_key"]],
            )
            values = [modality for (modality,) in modalities]
            found[hex_tag(tag)] = {"vr": "CS", "Value": values} if values else {"vr": "CS"}
        else:
            column = f"{COMPUTED[tag]}_key"
            (count,) = reader.execute(f"SELECT COUNT(*) FROM instance WHERE {column} = ?", [row[column]]).fetchone()
            found[hex_tag(tag)] = {"vr": "IS", "Value": [count]}
    return found
