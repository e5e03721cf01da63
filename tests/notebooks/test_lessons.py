"""The rules of guards.py, applied to every lesson that is stored."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.notebooks import guards
from tests.notebooks.store import FOLDER, code_cells, read

ROOT = FOLDER.parent
# By name, so that a lesson that is gone, or a new one that nobody entered here, is noticed.
LESSONS = [
    "00-start-here",
    "01-connect",
    "02-store-stow",
    "03-retrieve-wado",
    "04-search-qido",
    "05-delete",
    "06-bytes-by-hand",
    "07-reading-errors",
    "08-pictures",
    "09-dicom-json",
    "10-search-deeper",
    "11-change-feed",
    "12-extended-query-tags",
    "13-worklist",
    "14-update-and-export",
    "15-at-scale",
    "16-other-servers",
    "17-capstone",
]
MIRRORING = LESSONS[:6]  # the lessons that share out the source's sections

on_each_lesson = pytest.mark.parametrize("path", [FOLDER / f"{name}.ipynb" for name in LESSONS], ids=LESSONS)


def test_the_lessons_are_all_there_and_no_other() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == LESSONS


def test_no_notebook_lies_elsewhere() -> None:
    """nbval looks at notebooks/ only: one in a folder below, or beside it, would never run."""
    elsewhere = [
        path for folder in ("notebooks", "helpers", "tests", "sample_dcms") for path in (ROOT / folder).rglob("*.ipynb")
    ]
    assert [path for path in elsewhere if path.parent != FOLDER and ".ipynb_checkpoints" not in path.parts] == []


@on_each_lesson
@pytest.mark.parametrize("rule", guards.RULES)
def test_a_lesson_keeps_the_rule(rule: Callable[[Path], list[str]], path: Path) -> None:
    assert rule(path) == []


@on_each_lesson
def test_the_links_of_a_lesson_lead_somewhere(path: Path) -> None:
    assert guards.links_lead_somewhere(path, ROOT) == []


def test_the_sections_of_the_source_are_all_mirrored_in_order() -> None:
    assert guards.anchors_in_order([FOLDER / f"{name}.ipynb" for name in MIRRORING]) == []


def test_a_cell_that_may_be_loosened_is_there() -> None:
    """An entry in the list outlives its cell all too easily."""
    ids = {cell.id for name in LESSONS for cell in code_cells(read(FOLDER / f"{name}.ipynb"))}
    assert set(guards.LOOSENED) <= ids


@pytest.mark.parametrize(("name", "following"), list(pairwise(LESSONS)))
def test_a_lesson_leads_to_the_next_one(name: str, following: str) -> None:
    prose = [cell.source for cell in read(FOLDER / f"{name}.ipynb").cells if cell.cell_type == "markdown"]
    (closing,) = [text.split("## Next\n")[1] for text in prose if "## Next\n" in text]
    assert f"({following}.ipynb)" in closing


def test_the_readme_lists_the_lessons_with_the_minutes_that_they_promise() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| \[[^]]+\]\(notebooks/([\w-]+)\.ipynb\)[^|]*\| (\d+) \|", readme, re.MULTILINE))
    promised = {
        name: re.search(r"^\| (\d+) min \|", read(FOLDER / f"{name}.ipynb").cells[0].source, re.MULTILINE)[1]
        for name in LESSONS
    }
    assert listed == promised
