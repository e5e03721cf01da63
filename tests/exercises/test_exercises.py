"""What each exercise answers to an untouched cell, to right answers and to typical mistakes."""

import importlib
import re
from pathlib import Path

import pytest

from helpers.exercises import NoSuchExercise, check, exercises, hint, progress
from tests.exercises.cases import Answers, Cases
from tests.notebooks.store import FOLDER, code_cells, read
from tests.notebooks.test_lessons import LESSONS

LEAST = 3  # exercises in a lesson
WITH_EXERCISES = sorted({number.partition(".")[0] for number in exercises()})


def cases() -> dict[str, Cases]:
    found: dict[str, Cases] = {}
    for lesson in WITH_EXERCISES:
        found |= importlib.import_module(f"tests.exercises.lesson_{lesson}").CASES
    return found


CASES = cases()
RIGHT = [(number, answers) for number, each in CASES.items() for answers in each.right]
MISTAKES = [(number, *mistake) for number, each in CASES.items() for mistake in each.mistakes]


@pytest.fixture(autouse=True)
def learners_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reply(capsys: pytest.CaptureFixture[str], number: str, answers: Answers) -> str:
    check(number, *answers)
    return capsys.readouterr().out


def test_every_lesson_has_exercises() -> None:
    assert WITH_EXERCISES == [name[:2] for name in LESSONS]


def test_every_exercise_is_tried() -> None:
    assert CASES.keys() == exercises().keys()


@pytest.mark.parametrize("number", exercises())
def test_an_untouched_cell_is_not_attempted(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = reply(capsys, number, CASES[number].untouched)
    assert text.startswith(f"○ Exercise {number}: not attempted yet")
    assert not Path(".progress.json").exists()


@pytest.mark.parametrize(("number", "answers"), RIGHT)
def test_a_right_answer_is_right(number: str, answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    text = reply(capsys, number, answers)
    assert text.startswith(f"✓ Exercise {number}: right. ") and exercises()[number].why in text


@pytest.mark.parametrize(("number", "answers", "nudge"), MISTAKES)
def test_a_mistake_is_nudged(number: str, answers: Answers, nudge: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = reply(capsys, number, answers)
    assert text.startswith(f"✗ Exercise {number}: not yet. ") and nudge in text


@pytest.mark.parametrize("number", exercises())
def test_an_exercise_is_well_made(number: str) -> None:
    each, tried = exercises()[number], CASES[number]
    assert re.fullmatch(r"\d\d\.\d", number)
    assert len(each.hints) >= 2 and all(hint.endswith((".", "?", "`")) for hint in each.hints)
    assert each.task.endswith(".") and each.why.endswith(".")
    assert tried.right and len(tried.mistakes) >= 2


@pytest.mark.parametrize("lesson", WITH_EXERCISES)
def test_a_lesson_has_at_least_three_in_order(lesson: str) -> None:
    numbers = [number for number in exercises() if number.startswith(f"{lesson}.")]
    assert numbers == [f"{lesson}.{place}" for place in range(1, len(numbers) + 1)] and len(numbers) >= LEAST


@pytest.mark.parametrize("lesson", WITH_EXERCISES)
def test_the_cells_of_a_lesson_check_its_exercises_once_and_in_order(lesson: str) -> None:
    (name,) = [name for name in LESSONS if name.startswith(lesson)]
    sources = "\n".join(cell.source for cell in code_cells(read(FOLDER / f"{name}.ipynb")))
    assert re.findall(r'^check\("([\d.]+)"', sources, re.MULTILINE) == [
        number for number in exercises() if number.startswith(f"{lesson}.")
    ]


def test_hints_come_one_by_one_and_the_last_says_where_the_solution_is(capsys: pytest.CaptureFixture[str]) -> None:
    hint("00.1")
    assert capsys.readouterr().out.startswith("Hint 1 of 2: ")
    hint("00.1", 2)
    assert "There is another" not in capsys.readouterr().out
    hint("00.1", 3)
    assert "2 hints" in capsys.readouterr().out


def test_a_number_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(NoSuchExercise, match=r"In lesson 00: 00\.1, 00\.2"):
        check("00.9", 1)


def test_progress_remembers_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    for answer in (..., 1, 979 * 985 * 3, 1):
        check("00.2", answer)
    check("00.1", ["circle", "square"])
    capsys.readouterr()
    progress()
    assert re.search(r"^00 +1 of 3 +✗ 00\.1 +✓ 00\.2 +○ 00\.3", capsys.readouterr().out, re.MULTILINE)


def test_a_spoilt_list_of_progress_is_begun_anew(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".progress.json").write_text("no JSON")
    progress()
    assert "0 of" in capsys.readouterr().out
    check("00.2", 1)
    assert Path(".progress.json").read_text().startswith("{")
