"""The recipes for containers, which cannot be built here: what they copy is enough, what they run runs, versions agree."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import run
from tests.copies import copy_repository
from tests.test_repository import ROOT

DOCKERFILE = (ROOT / "workshop" / "cluster" / "Dockerfile").read_text("utf-8")
VALUES = yaml.safe_load((ROOT / "workshop" / "cluster" / "values.yaml").read_text("utf-8"))
DEVCONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
LESSON = "import sys; sys.path.insert(0, 'lessons'); from helpers import start_lesson; print(start_lesson('00'))"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """What the Dockerfile copies, and no more."""
    repository, image = copy_repository(tmp_path / "repository"), tmp_path / "course"
    for source, target in re.findall(r"^COPY (\S+) (\S+)$", DOCKERFILE, re.MULTILINE):
        if (repository / source).is_dir():
            shutil.copytree(repository / source, image / target)
        else:
            (image / target).mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / source, image / target)
    return image


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A learner's home, and in it a program `python`, which is the interpreter of these tests."""
    home = tmp_path / "home"
    program = home / "programs" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    program.chmod(0o755)
    return home


def done(command: list[str | Path], folder: Path, home: Path) -> str:
    """What a command prints in a container with that home."""
    env = run.learner_environment() | {"HOME": str(home), "PATH": f"{home / 'programs'}:{os.environ['PATH']}"}
    result = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_image_holds_what_a_lesson_needs(image: Path, home: Path) -> None:
    said = done(["python", image / "workshop" / "cluster" / "start.py", "python", "-c", LESSON], image, home)
    assert "Lesson 00 · emulator on this machine" in said
    assert (home / VALUES["singleuser"]["defaultUrl"].removeprefix("/lab/tree/")).is_file()


def test_the_image_installs_what_is_locked(image: Path) -> None:
    install = next(line for line in DOCKERFILE.splitlines() if line.startswith("RUN python -m pip install"))
    locks = re.findall(r"--requirement (\S+)", install)
    assert "--require-hashes" in install and locks == run.FOR_HUB
    for lock in locks:
        assert (image / lock).read_bytes() == (ROOT / lock).read_bytes()


def test_chart_and_image_agree() -> None:
    command = json.loads(re.search(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[1])
    assert VALUES["singleuser"]["cmd"] == command
    assert "homeMountPath" not in VALUES["singleuser"]["storage"]  # the chart's own is the home of this user
    assert re.search(r"useradd --create-home --uid 1000 --gid 100 jovyan\b", DOCKERFILE) and "\nUSER 1000\n" in DOCKERFILE
    (lab,) = re.findall(r"JUPYTER_CONFIG_PATH=/srv/course/(\S+)", DOCKERFILE)
    assert ROOT / lab == run.LAB


def test_all_have_the_same_python() -> None:
    versions = {
        re.search(r"^FROM python:([\d.]+)-", DOCKERFILE, re.MULTILINE)[1],
        DEVCONTAINER["image"].rpartition(":")[2],
        (ROOT / ".binder" / "runtime.txt").read_text().strip().removeprefix("python-"),
    }
    assert len(versions) == 1
    (tested,) = re.findall(r"python: (\[.*\])", (ROOT / ".github" / "workflows" / "tests.yml").read_text())
    assert versions <= set(json.loads(tested))


def test_binder_builds_and_starts(tmp_path: Path, home: Path) -> None:
    repository = copy_repository(tmp_path / "repository")
    binder = repository / ".binder"
    (lock,) = re.findall(r"^-r (\S+)$", (binder / "requirements.txt").read_text(), re.MULTILINE)
    assert (binder / lock).resolve() == repository / run.FOR_LESSONS[0]
    done([binder / "postBuild"], repository, home)
    seen = (
        "import os; print(os.environ['JUPYTER_CONFIG_PATH'].split(':')[0], os.environ['DICOM_EMULATOR_ALLOWED_HOST'])"
    )
    said = done([binder / "start", "python", "-c", seen], repository, home)
    assert said.split() == [str(repository / run.LAB.relative_to(ROOT)), "*"]


def test_the_dev_container_makes_the_environment() -> None:
    program, _, code = shlex.split(DEVCONTAINER["postCreateCommand"])
    assert program == "python3" and code == "import run; run.prepare(run.FOR_LESSONS)"
    assert callable(run.prepare) and run.FOR_LESSONS
    assert DEVCONTAINER["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"].endswith(
        run.venv_python().relative_to(ROOT).as_posix()
    )
