"""Lessons for live coding: what an instructor types is gone, what the room needs is there."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

import run
from tests.copies import run_of
from tests.test_repository import ROOT
from workshop.blank import PROMPT, blanked

LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem[:2])
def pair(request: pytest.FixtureRequest) -> tuple[list[nbformat.NotebookNode], list[nbformat.NotebookNode]]:
    """The cells of a lesson, and of its blank copy."""
    blank = nbformat.reads(blanked(request.param).decode(), as_version=4)
    nbformat.validate(blank)
    return nbformat.read(request.param, as_version=4).cells, blank.cells


def is_exercise(source: str) -> bool:
    return "# Exercise " in source


def test_start_texts_and_exercises_stay(pair: tuple) -> None:
    lesson, blank = pair
    assert [(cell.id, cell.cell_type) for cell in blank] == [(cell.id, cell.cell_type) for cell in lesson]
    first = next(index for index, cell in enumerate(lesson) if cell.cell_type == "code")
    assert "start_lesson(" in blank[first].source
    for index, (before, after) in enumerate(zip(lesson, blank, strict=True)):
        if before.cell_type == "markdown" or index == first or is_exercise(before.source):
            assert after.source == before.source


def test_the_code_of_the_steps_and_all_outputs_are_gone(pair: tuple) -> None:
    code = [cell for cell in pair[1] if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    steps = [cell.source for cell in code[1:] if not is_exercise(cell.source)]
    assert len(steps) > 5 and all(step.endswith(PROMPT) for step in steps)
    for statement in (statement for step in steps for statement in ast.parse(step).body):
        assert isinstance(statement, ast.Assign), "of a step, only UIDs stay"
        assert set(ast.literal_eval(statement.value)) <= set("0123456789."), "and they are UIDs"


def test_uids_that_nobody_could_type_stay() -> None:
    source = blanked(ROOT / "notebooks" / "03-retrieve-wado.ipynb").decode()
    names = [name for name in ("study_uid", "series_uid", "instance_uid") if f'"{name} = \\"1.2.826.' in source]
    assert names == ["study_uid", "series_uid", "instance_uid"]


def test_the_command_makes_a_folder_that_start_opens_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = tmp_path / "live"
    assert run.main(["blank", str(live)]) == 0
    assert f"run.py start {live}" in capsys.readouterr().out
    assert (live / "images" / "tree.svg").read_bytes() == (ROOT / "notebooks" / "images" / "tree.svg").read_bytes()
    typed = json.loads((live / "02-store-stow.ipynb").read_text("utf-8"))
    typed["cells"][3]["source"] = ["print('typed live')"]
    (live / "02-store-stow.ipynb").write_text(json.dumps(typed), "utf-8")
    (live / "03-retrieve-wado.ipynb").unlink()

    assert run.main(["blank", str(live)]) == 0
    printed = capsys.readouterr().out
    assert "1 files were copied" in printed and "1 that differ" in printed
    assert "typed live" in (live / "02-store-stow.ipynb").read_text("utf-8")
    run_of(ROOT).copy_lessons(live)  # as `start` does it
    assert (live / "03-retrieve-wado.ipynb").read_bytes() == blanked(ROOT / "notebooks" / "03-retrieve-wado.ipynb")


@pytest.mark.parametrize(("arguments", "words"), [([], "run.py blank ../live"), ([str(ROOT / "x")], "outside the course's own")])
def test_it_needs_a_folder_outside(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["blank", *arguments]) == 1
    assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", ["start", "blank"])
def test_the_folder_of_the_help_is_taken_where_it_is_typed(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run.main(["--help"])
    example = re.search(rf"^  python3 run.py {command} (\S+)", capsys.readouterr().out, re.MULTILINE)[1]
    monkeypatch.chdir(ROOT)
    assert run.own_folder([example], "") == ROOT.parent / Path(example).name
