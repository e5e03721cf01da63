"""Tests that need programs from outside are left out where these are missing, loudly, and never on CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(params=[False, True], ids=["at home", "on CI"])
def on_ci(request: pytest.FixtureRequest) -> bool:
    return request.param


def test_without_programs_their_tests_are_left_out_at_home_only(on_ci: bool, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"PATH": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-o", "addopts=", "-p", "no:cacheprovider"]
    output = subprocess.run(
        [*command, "tests/clients", "tests/browser", "tests/workflows", "tests/workshop"],
        cwd=ROOT,
        env=environment | ({"CI": "true"} if on_ci else {}),
        capture_output=True,
        encoding="utf-8",
    ).stdout
    for tests, packages in {
        "tests/browser": "chromium",
        "tests/clients/test_javascript.py": "nodejs npm",
        "tests/clients/test_ohif.py": "chromium npm",
        "tests/workflows": "nodejs npm",
        "tests/workshop/test_hub.py": "chromium npm",
        "tests/workshop/test_bundle.py": "util-linux iproute2",
        "tests/clients/test_curl.py": "curl",
    }.items():
        line = f"LEFT OUT: {tests}, since a program is missing. On Debian: sudo apt-get install {packages}"
        assert (line in output.splitlines()) is not on_ci
    for module in ("test_lab.py", "test_javascript.py", "test_ohif.py", "test_curl.py", "test_workflows.py", "test_bundle.py", "test_hub.py"):
        assert (f"<Module {module}>" in output) is on_ci
    assert "<Module test_dicomweb_client.py>" in output
