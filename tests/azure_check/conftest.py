"""A second emulator as the service that is checked, and the check itself, as somebody types it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import dicom_emulator
from azure_check.service import Service
from helpers.auth import BearerAuth
from helpers.service import IDENTITY, REPOSITORY, environment
from helpers.session import LessonSession


@dataclass
class Checked:
    code: int
    output: str
    folder: Path

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.folder / "report.json").read_text("utf-8"))

    @property
    def differences(self) -> set[tuple[str, str, str]]:
        return {(each["what"], each["emulator"], each["service"]) for each in self.report["differences"]}

    @property
    def files(self) -> str:
        """All that was written, in one text."""
        return "".join(path.read_text("utf-8") for path in sorted(self.folder.iterdir()))


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., Checked]:
    """Run the check to its end, in an environment with these variables."""

    def run_it(variables: Mapping[str, str], *arguments: str) -> Checked:
        done = subprocess.run(
            [sys.executable, "-m", "azure_check", "--out", tmp_path / "report", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Checked(done.returncode, done.stdout + done.stderr, tmp_path / "report")

    return run_it


@pytest.fixture(scope="module")
def running_emulator() -> Iterator[dicom_emulator.RunningServer]:
    with dicom_emulator.running() as server:
        yield server


@pytest.fixture
def emulator(running_emulator: dicom_emulator.RunningServer) -> dicom_emulator.RunningServer:
    """An empty emulator that stands for the service."""
    running_emulator.reset()
    running_emulator.control.clear_requests()
    return running_emulator


@pytest.fixture
def service(emulator: dicom_emulator.RunningServer) -> Service:
    return Service(emulator.url, LessonSession(BearerAuth(emulator.credential)))


@pytest.fixture
def signed_in(emulator: dicom_emulator.RunningServer) -> Iterator[None]:
    """This process in the environment of somebody who may use the emulator."""
    with environment({**{name: "" for name in IDENTITY}, **emulator.environment}):
        yield
