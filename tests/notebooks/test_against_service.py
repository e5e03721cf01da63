"""The lessons as they are, with DICOM_SERVICE_URL set: the recipe for Azure, tried on an emulator that stands alone.

All lessons in reverse order, and then once more in order, on one server that keeps what they leave behind. So each
runs before the one it follows, after all others, and a second time. What they print has to be what is stored, which
is what they print with an emulator of their own.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

import run
from tests.notebooks.outputs import differences
from tests.notebooks.store import FOLDER, code_cells, execute, read
from tests.notebooks.test_lessons import LESSONS

ROUNDS = [("reverse", name) for name in reversed(LESSONS)] + [("again", name) for name in LESSONS]


@pytest.fixture(scope="module")
def environment() -> Iterator[Mapping[str, str]]:
    """The environment of somebody who started an emulator and did what its --print-env says."""
    emulator = [sys.executable, "-m", "dicom_emulator"]
    with subprocess.Popen(
        [*emulator, "--port", "0"], cwd=FOLDER.parent, env=run.learner_environment(), stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            ready = server.stdout.readline()
            port = re.fullmatch(r"DICOM service emulator ready at http://127\.0\.0\.1:(\d+)\n", ready)[1]
            exports = subprocess.run(
                [*emulator, "--print-env", "--port", port],
                cwd=FOLDER.parent,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            yield {**run.learner_environment(), **dict(exported(exports))}
        finally:
            server.terminate()
        assert server.wait(60) == 0


def exported(lines: str) -> Iterator[tuple[str, str]]:
    for line in lines.splitlines():
        command, assignment = shlex.split(line)
        assert command == "export"
        name, _, value = assignment.partition("=")
        yield name, value


def test_the_environment_names_the_service(environment: Mapping[str, str]) -> None:
    assert environment["DICOM_SERVICE_URL"].startswith("http://127.0.0.1:")
    assert environment["IDENTITY_ENDPOINT"].startswith(environment["DICOM_SERVICE_URL"])


@pytest.mark.parametrize(("order", "name"), ROUNDS)
def test_a_lesson_prints_what_is_stored(order: str, name: str, environment: Mapping[str, str]) -> None:
    stored = read(FOLDER / f"{name}.ipynb")
    new = execute(stored, name, environment)
    found = [
        f"code cell {number}: {difference}"
        for number, (before, now) in enumerate(zip(code_cells(stored), code_cells(new)), start=1)
        for difference in differences(before.outputs, now.outputs)
    ]
    assert found == []
