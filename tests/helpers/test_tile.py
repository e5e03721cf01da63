"""The tile of JupyterLab: which emulators run, and where it leads."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from helpers import service
from helpers.lab import emulators
from helpers.lab.emulators import Note
from tests.copies import free_port
from tests.test_repository import ROOT


@pytest.fixture(autouse=True)
def folder(environment: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    environment.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "dicom-emulators"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_what_is_noted_is_found_until_it_ends(
    environment: pytest.MonkeyPatch, folder: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    environment.setenv("JPY_SESSION_NAME", "/somewhere/02-store-stow.ipynb")
    path = emulators.note(5001, sleeper.pid)
    (found,) = emulators.running()
    assert (found.lesson, found.port) == ("02-store-stow", 5001)
    sleeper.kill()
    sleeper.wait()
    assert emulators.running() == [] and not path.exists()


def test_a_process_that_got_the_number_later_is_another_one(folder: Path, sleeper: subprocess.Popen[bytes]) -> None:
    path = emulators.note(5001, sleeper.pid)
    noted = Note(*json.loads(path.read_text()))
    path.write_text(json.dumps(noted._replace(started=noted.started - 60)))
    assert emulators.running() == []


@pytest.mark.parametrize("text", ["", "null", "[1, 2]", '["lesson", 1, "two", 3]', "\ufeff"])
def test_a_damaged_note_is_removed(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "1.json").write_text(text)
    assert emulators.running() == [] and list(folder.iterdir()) == []


def test_a_lesson_goes_on_where_nothing_can_be_noted(folder: Path, sleeper: subprocess.Popen[bytes]) -> None:
    folder.write_text("in the way")
    emulators.note(5001, sleeper.pid)
    assert emulators.running() == []


def test_a_kernels_emulator_is_noted(environment: pytest.MonkeyPatch, folder: Path) -> None:
    environment.setattr(service, "_emulator", None)
    url = service.own_emulator()
    try:
        (found,) = emulators.running()
        assert url.endswith(f":{found.port}")
    finally:
        service._emulator.stop()


@pytest.fixture
def tile(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "helpers.lab.emulators", str(port)]
    with psutil.Popen(command, cwd=ROOT) as process:
        while not process.net_connections():
            assert process.is_running()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
        process.terminate()


def test_one_emulator_is_opened_and_of_several_one_is_chosen(
    environment: pytest.MonkeyPatch, tile: str, sleeper: subprocess.Popen[bytes]
) -> None:
    assert "run the first cell of a lesson" in requests.get(tile, timeout=10).text
    environment.setenv("JPY_SESSION_NAME", "<b>.ipynb")
    emulators.note(5001, sleeper.pid)
    answer = requests.get(tile, timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, "../proxy/5001/_emulator/")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        emulators.note(5002, other.pid)
        answer = requests.get(tile, timeout=10, allow_redirects=False)
        assert answer.status_code == 200
        assert '<a href="../proxy/5002/_emulator/">&lt;b&gt;</a>' in answer.text and "<b>" not in answer.text
        other.kill()


def test_a_service_that_is_named_takes_the_place_of_emulators(sleeper: subprocess.Popen[bytes]) -> None:
    noted = [Note("02", 5001, sleeper.pid, 0.0)]
    assert emulators.destination("http://127.0.0.1:8080", noted) == "../proxy/8080/_emulator/"
    assert emulators.destination("https://dicom.example", noted) == ""
    assert "https://dicom.example/&lt;" in "".join(emulators.content("https://dicom.example/<", noted))
