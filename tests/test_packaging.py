"""The emulator alone, installed as other people install it: pip install ."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.copies import copy_repository

TEST = """
import requests

def test_one(dicom_service):
    token = dicom_service.credential.get_token("").token
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/dicom+json"}
    with open(__file__, "rb") as body:
        headers["Content-Type"] = "application/dicom"
        answer = requests.post(f"{dicom_service.url}/v2/studies", data=body, headers=headers)
    assert answer.status_code == 409

def test_both(dicom_service, shared_dicom_service):
    assert dicom_service is shared_dicom_service
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed package and nothing else of the repository."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    copy_repository(source)
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else [shutil.which("uv") or "uv", "pip"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--target", str(target), str(source)], check=True)
    return target


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Python in `folder`, where only the installed package can be found."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def files_of(folder: Path) -> set[str]:
    """The files below `folder`, without what Python writes itself."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder).as_posix() for path in paths}


def test_the_package_holds_the_emulator_and_nothing_of_the_course(installed: Path) -> None:
    folders = {path.name for path in installed.iterdir() if path.suffix != ".dist-info" and path.name != "bin"}
    assert folders == {"dicom_emulator"}


def test_every_file_of_the_emulator_is_packaged(installed: Path) -> None:
    assert files_of(installed / "dicom_emulator") == files_of(Path(__file__).parents[1] / "dicom_emulator")


def test_the_command_line_works_elsewhere(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-m", "dicom_emulator", "--print-env", "--port", "8080")
    assert done.returncode == 0 and "export DICOM_SERVICE_URL=http://127.0.0.1:8080" in done.stdout


def test_pytest_finds_the_fixtures(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "test_client.py").write_text(TEST, "utf-8")
    done = run(installed, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_client.py")
    assert "2 passed" in done.stdout, done.stdout + done.stderr
