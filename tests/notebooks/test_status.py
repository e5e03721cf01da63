"""What the status page says of each lesson comes from the run of its cells."""

import json
from datetime import date
from pathlib import Path

from pytest import TestReport

from tests.notebooks.status import Status


def report(nodeid: str, outcome: str = "passed", seconds: float = 1.0, when: str = "call") -> TestReport:
    return TestReport(nodeid, ("", 0, ""), {}, outcome, None, when, duration=seconds)


def saved(file: Path, *reports: TestReport) -> dict:
    status = Status(server="emulator")
    for each in reports:
        status.note(each)
    status.save(file)
    return json.loads(file.read_text())


def test_a_lesson_is_verified_when_all_its_cells_pass(tmp_path: Path) -> None:
    lessons = saved(
        tmp_path / "status.json",
        report("notebooks/01-a.ipynb::Cell 0", seconds=0.5, when="setup"),
        report("notebooks/01-a.ipynb::Cell 0"),
        report("notebooks/02-b.ipynb::Cell 0", "failed"),
        report("notebooks/02-b.ipynb::Cell 1"),
        report("tests/test_run.py::test_a", "failed"),
    )["lessons"]
    today = date.today().isoformat()
    assert lessons == {
        "01-a": {"date": today, "result": "passed", "seconds": 1.5, "server": "emulator"},
        "02-b": {"date": today, "result": "failed", "seconds": 2.0, "server": "emulator"},
    }


def test_a_run_of_one_lesson_keeps_what_is_known_of_the_others(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    saved(file, report("notebooks/01-a.ipynb::Cell 0"), report("notebooks/02-b.ipynb::Cell 0"))
    found = saved(file, report("notebooks/02-b.ipynb::Cell 0", "failed"))
    assert {name: row["result"] for name, row in found["lessons"].items()} == {"01-a": "passed", "02-b": "failed"}
    assert {"Python", "pydicom", "jupyterlab"} <= set(found["versions"])


def test_a_run_without_lessons_writes_nothing(tmp_path: Path) -> None:
    Status(server="emulator").save(tmp_path / "status.json")
    assert list(tmp_path.iterdir()) == []
