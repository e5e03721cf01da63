"""check() and hint(): exercises with an answer at once.

The exercises of a lesson stand in a module of its own, `lesson_03` for lesson 03, as functions that judge an answer.
A judge reads what it is given and changes nothing.
"""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from helpers.errors import HelperError

PROGRESS = ".progress.json"  # lies beside the notebooks, where Jupyter runs them; it is the learner's own


class NoSuchExercise(HelperError):
    """There is no exercise of that number."""


class NotAttempted(Exception):
    """The three dots are still there."""


class NotYet(Exception):
    """The answer is not right; the text says what we got, and nudges. It never tells the answer."""


@dataclass(frozen=True)
class Exercise:
    """One exercise. `judge` takes the answers; it raises NotYet or NotAttempted, or returns where they are right."""

    number: str  # "03.2"
    judge: Callable[..., None]
    hints: Sequence[str]
    why: str  # why the right answer matters

    @property
    def task(self) -> str:
        """What is asked for: the first line of the judge's docstring."""
        return (inspect.getdoc(self.judge) or "").partition("\n")[0]


REGISTERED: dict[str, Exercise] = {}


def exercise(number: str, *, hints: Sequence[str], why: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function the judge of an exercise. Its docstring says in one line what is asked for.

    hints: at least two, from a nudge to nearly the answer. why: one or two sentences for who got it right.
    """

    def register(judge: Callable[..., None]) -> Callable[..., None]:
        assert number not in REGISTERED, f"exercise {number} exists twice"
        REGISTERED[number] = Exercise(number, judge, hints, why)
        return judge

    return register


@cache
def exercises() -> dict[str, Exercise]:
    """All exercises by number, in order."""
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("lesson_"):
            importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(REGISTERED.items()))


def find(number: str) -> Exercise:
    if number not in exercises():
        lesson = str(number).partition(".")[0]
        there = ", ".join(each for each in exercises() if each.startswith(f"{lesson}.")) or "none"
        raise NoSuchExercise(f"there is no exercise {number!r}. In lesson {lesson}: {there}.")
    return exercises()[number]


# ---------------------------------------------------------------------------------------------- what a lesson calls


def check(number: str, *answers: Any) -> None:
    """Say whether the answers to an exercise are right: not attempted, not yet and why, or right and why it matters.

    >>> check("00.1", ...)
    ○ Exercise 00.1: not attempted yet. Replace the three dots, then run this cell again. Stuck? hint("00.1")
    """
    asked = find(number)
    try:
        for answer in answers:
            attempted(answer)
        asked.judge(*answers)
    except NotAttempted:
        print(
            f"○ Exercise {number}: not attempted yet. Replace the three dots, then run this cell again. "
            f'Stuck? hint("{number}")'
        )
    except NotYet as nudge:
        remember(number, "tried")
        print(f'✗ Exercise {number}: not yet. {nudge} Stuck? hint("{number}")')
    except Exception as error:
        remember(number, "tried")
        print(
            f"✗ Exercise {number}: not yet. Looking at your answer ended with {type(error).__name__}: {error}. "
            f'Is it of the kind that was asked for? Stuck? hint("{number}")'
        )
    else:
        remember(number, "right")
        print(f"✓ Exercise {number}: right. {asked.why}")


def hint(number: str, which: int = 1) -> None:
    """Print a hint; `hint("03.2", 2)` prints the second one."""
    hints = find(number).hints
    if not 1 <= which <= len(hints):
        print(f"There are {len(hints)} hints for exercise {number}; the solution is folded away below its cell.")
        return
    more = f' There is another: hint("{number}", {which + 1})' if which < len(hints) else ""
    print(f"Hint {which} of {len(hints)}: {hints[which - 1]}{more}")


def progress() -> None:
    """Print which exercises are done. The list lies beside the notebooks and goes nowhere else."""
    done = remembered()
    lessons: dict[str, list[str]] = {}
    for number in exercises():
        lessons.setdefault(number.partition(".")[0], []).append(number)
    marks = {"right": "✓", "tried": "✗"}
    print("Lesson  Done   Exercises (✓ right, ✗ not yet, ○ not attempted)")
    for lesson, numbers in lessons.items():
        right = sum(done.get(number) == "right" for number in numbers)
        states = "  ".join(f"{marks.get(done.get(number, ''), '○')} {number}" for number in numbers)
        print(f"{lesson:<7} {right} of {len(numbers)} {states}")


# ------------------------------------------------------------------------------------------------ what judges call


def attempted(answer: Any) -> None:
    """Raises NotAttempted for the three dots, alone or inside a list, a tuple or a dictionary."""
    if answer is ...:
        raise NotAttempted
    inner = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list | tuple) else ()
    if any(each is ... for each in inner):
        raise NotAttempted


def result_of(function: Any, *arguments: Any) -> Any:
    """What the learner's function returns. Raises NotAttempted where it is still empty, NotYet where it fails."""
    if not callable(function):
        raise NotYet(f"A function was asked for, and this is {describe(function)}.")
    try:
        result = function(*arguments)
    except Exception as error:
        raise NotYet(f"Your function ended with {type(error).__name__}: {error}.") from None
    if result is None or result is ...:
        if is_empty(function):
            raise NotAttempted
        raise NotYet("Your function returned nothing. Is there a `return`?")
    return result


def is_empty(function: Any) -> bool:
    """Whether the body of a function is still three dots: its code does nothing but return None."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_names == () and set(code.co_consts) <= {None, ..., function.__doc__}


def expect_type(answer: Any, *types: type) -> None:
    """Raises NotYet where the answer is of another type."""
    if not isinstance(answer, types) or (isinstance(answer, bool) and bool not in types):
        names = " or ".join(each.__name__ for each in types)
        raise NotYet(f"We got {describe(answer)}; {names} was asked for.")


def describe(answer: Any) -> str:
    """An answer in a few words, for `We got …`.

    >>> describe([1, 2]), describe(b"123"), describe(7)
    ('a list of 2', '3 bytes', '7')
    """
    if isinstance(answer, bytes | bytearray):
        return f"{len(answer)} bytes"
    if isinstance(answer, str | int | float | bool) or answer is None:
        text = repr(answer)
        return text if len(text) <= 60 else f"{text[:57]}…"
    if isinstance(answer, list | tuple | dict | set):
        return f"a {type(answer).__name__} of {len(answer)}"
    return f"a {type(answer).__name__}"


# ------------------------------------------------------------------------------------------------------- progress


def remembered() -> dict[str, str]:
    try:
        known = json.loads(Path(PROGRESS).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def remember(number: str, state: str) -> None:
    """Note the best that was reached; a folder that cannot be written to is no reason to disturb a learner."""
    done = remembered()
    if done.get(number) in {"right", state}:
        return
    try:
        Path(PROGRESS).write_text(json.dumps(dict(sorted({**done, number: state}.items())), indent=1), "utf-8")
    except OSError:
        pass
