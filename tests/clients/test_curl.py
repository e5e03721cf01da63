"""The curl commands of the emulator's README, as they stand there, against an emulator."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.emulator.conftest import Service
from tests.emulator.test_readme import README

ROOT = Path(__file__).parents[2]
WRITTEN = "http://127.0.0.1:8080"
BLOCKS = [block for block in re.findall(r"^```\n(.*?)^```$", README, re.MULTILINE | re.DOTALL) if "curl" in block]


def shell(block: str, service: Service, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the lines of `block` in a folder that has the sample files, at the emulator's own address."""
    shutil.copytree(ROOT / "sample_dcms", folder / "sample_dcms")
    commands = block.replace(WRITTEN, service.url)
    return subprocess.run(["sh", "-eu", "-c", commands], cwd=folder, capture_output=True, encoding="utf-8")


def two_documents(text: str) -> tuple[Any, Any]:
    """What two curl commands print, which has nothing in between."""
    first, end = json.JSONDecoder().raw_decode(text)
    return first, json.loads(text[end:])


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[-1][:40])
def test_each_block_runs_to_its_end(block: str, service: Service, tmp_path: Path) -> None:
    assert WRITTEN in block
    done = shell(block, service, tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_first_steps_store_search_retrieve_and_delete(service: Service, tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if "red-triangle.dcm" in block]
    done = shell(block, service, tmp_path)
    stored, found = two_documents(done.stdout)
    assert list(stored) == ["00081199"] and found[0]["00100020"]["Value"] == ["ID1"]
    assert (tmp_path / "copy.dcm").read_bytes() == (ROOT / "sample_dcms" / "red-triangle.dcm").read_bytes()
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    exchanges = requests.get(f"{service.url}/_emulator/requests").json()
    assert [(each["method"], each["status"]) for each in exchanges] == [
        ("POST", 200),
        ("GET", 200),
        ("GET", 200),
        ("GET", 200),
        ("DELETE", 204),
    ]


def test_the_second_upload_fails_as_the_fault_says(service: Service, tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if "_emulator/faults" in block]
    assert shell(block, service, tmp_path).returncode == 0
    assert [service.store().status_code for _ in range(3)] == [204, 503, 204]
