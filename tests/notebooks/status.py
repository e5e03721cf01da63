"""What a test run found, lesson by lesson, for the site's status page: build/lesson-status.json."""

import json
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "build" / "lesson-status.json"
PACKAGES = ["jupyterlab", "requests", "pydicom", "azure-identity", "requests-toolbelt", "matplotlib", "nbval"]


class Status:
    """Collects the cells of a run. A lesson is verified when every cell of it passed."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def note(self, report: pytest.TestReport) -> None:
        """One phase of one test; other tests than cells of lessons are passed over."""
        path = report.nodeid.partition("::")[0]
        if not (path.startswith("notebooks/") and path.endswith(".ipynb")):
            return
        lesson = Path(path).stem
        self.seconds[lesson] = self.seconds.get(lesson, 0.0) + report.duration
        if report.failed:
            self.failed.add(lesson)

    def save(self, file: Path = FILE) -> None:
        """Lessons that did not run keep what an earlier run found."""
        if not self.seconds:
            return
        known = json.loads(file.read_text("utf-8"))["lessons"] if file.exists() else {}
        rows = {
            lesson: {
                "date": date.today().isoformat(),
                "result": "failed" if lesson in self.failed else "passed",
                "seconds": round(seconds, 1),
                "server": self.server,
            }
            for lesson, seconds in self.seconds.items()
        }
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"lessons": known | rows, "versions": versions()}, indent=1), "utf-8")


def versions() -> dict[str, str]:
    """What the lessons ran with."""
    return {"Python": platform.python_version(), "system": platform.system()} | {
        package: version(package) for package in PACKAGES
    }
