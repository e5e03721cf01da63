"""The workflows of GitHub Actions, which cannot be run here, are checked by actionlint; and what they call is there."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.copies import install_with_npm
from tests.test_repository import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HERE = Path(__file__).parent / "actionlint"


@pytest.fixture(scope="module")
def linter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_with_npm(HERE, tmp_path_factory.mktemp("actionlint")) / "lint.mjs"


def lint(linter: Path, *workflows: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["node", linter, *workflows], capture_output=True, text=True)


def test_actionlint_finds_nothing(linter: Path) -> None:
    assert len(WORKFLOWS) == 2
    done = lint(linter, *WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_would_find_something(linter: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("github.event", "github.evnt"))
    done = lint(linter, wrong)
    assert done.returncode == 1 and 'property "evnt" is not defined' in done.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_runs_is_there(workflow: Path) -> None:
    commands = re.findall(r"run: (?:python|bash) (\S+)(.*)", workflow.read_text())
    assert commands
    for program, arguments in commands:
        assert (ROOT / program).exists()
        for argument in arguments.split()[1:]:
            assert argument.startswith("--") or (ROOT / argument).exists(), f"{program} {arguments}"
