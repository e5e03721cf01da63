"""What is tried on an exercise: its untouched cell, right answers, and the mistakes that people make."""

from dataclasses import dataclass, field
from typing import Any

Answers = tuple[Any, ...]


@dataclass(frozen=True)
class Cases:
    """Each entry is the tuple of arguments that check() gets after the number.

    untouched: as they are in the cell that nobody changed. right: more than one where there is more than one way.
    mistakes: answers, with words of the nudge that they get.
    """

    untouched: Answers
    right: list[Answers]
    mistakes: list[tuple[Answers, str]] = field(default_factory=list)
