"""The instructor guide: its plans add up, and its minutes and exercises are those of the lessons."""

import re
from datetime import datetime, timedelta
from itertools import pairwise

from tests.test_repository import ROOT

GUIDE = (ROOT / "workshop" / "instructor-guide.md").read_text("utf-8")
MORNING, AFTERNOON = (GUIDE.split("\n## ")[number] for number in (2, 3))
ROW = re.compile(r"^\| (\d\d:\d\d) \| (\d+) \| (.*?) \| .*\|$", re.MULTILINE)


def test_each_row_begins_where_the_one_before_ends() -> None:
    for plan in (MORNING, AFTERNOON):
        rows = ROW.findall(plan)
        assert len(rows) > 8
        for (begin, minutes, what), (after, _, _) in pairwise(rows):
            ends = datetime.strptime(begin, "%H:%M") + timedelta(minutes=int(minutes))
            assert f"{ends:%H:%M}" == after, f"{what} should end at {after}"


def test_the_minutes_are_those_of_the_readme_and_of_the_report() -> None:
    readme = dict(re.findall(r"^\| \[(\d\d) .*?\| (\d+) \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE))
    report = (ROOT / "workshop" / "field-report.md").read_text("utf-8")
    planned = {what[1:3]: minutes for _, minutes, what in ROW.findall(MORNING + AFTERNOON) if what.startswith("[")}
    assert planned == {number: readme[number] for number in (f"{each:02}" for each in range(9))}
    assert dict(re.findall(r"^\| (\d\d) .*?\| (\d+) \|", report, re.MULTILINE)) == planned


def test_each_exercise_of_the_lessons_has_its_place_in_a_plan() -> None:
    there_are = set()
    for path in (ROOT / "helpers" / "exercises").glob("lesson_0[0-8].py"):
        there_are |= set(re.findall(r'^    "(\d\d\.\d)",$', path.read_text("utf-8"), re.MULTILINE))
    placed = re.findall(r"\b0\d\.\d\b", MORNING + AFTERNOON)
    assert len(placed) == len(set(placed)) and set(placed) == there_are
    together = dict(re.findall(r"\b(0\d)(\.\d) together", MORNING + AFTERNOON))
    assert dict(re.findall(r"\*\*Together: (0\d)(\.\d)\*\*", GUIDE)) == together and len(together) == 9
