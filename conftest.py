"""Hooks for the notebooks, which nbval runs cell by cell. No fixture works for them, so this is all in hooks."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

import run
from tests.clients import orthanc
from tests.notebooks.outputs import image_differences
from tests.notebooks.status import Status

ROOT = Path(__file__).parent
STATUS = Status(server="emulator")
ON_CI = os.environ.get("CI") == "true"

# The way by which notebooks in any front end find the package `helpers`. As a module it would be that package's double.
collect_ignore = ["notebooks/helpers.py"]


# What runs programs that are no Python packages -> (those programs, how Debian installs them).
NEEDS = {
    "tests/browser": (("chromium",), "chromium"),
    "tests/clients/test_javascript.py": (("node", "npm"), "nodejs npm"),
    "tests/clients/test_ohif.py": (("chromium", "npm"), "chromium npm"),
    "tests/workflows": (("node", "npm"), "nodejs npm"),
    "tests/workshop/test_hub.py": (("chromium", "npm"), "chromium npm"),
    "tests/workshop/test_bundle.py": (("unshare", "ip"), "util-linux iproute2"),
    "tests/clients/test_curl.py": (("sh", "curl"), "curl"),
    "tests/emulator/test_out_of_means.py": (("prlimit",), "util-linux"),  # Linux alone limits a running process
}

NEED_ORTHANC = ("tests/clients/test_orthanc.py", "tests/azure_check/test_orthanc.py")


def left_out() -> dict[str, str]:
    """Tests whose programs are not on this machine, and how to get them. On CI none: there they stay, and fail."""
    if ON_CI:
        return {}
    missing = {
        tests: packages for tests, (programs, packages) in NEEDS.items() if not all(map(shutil.which, programs))
    }
    return missing if orthanc.is_there() else missing | dict.fromkeys(NEED_ORTHANC, orthanc.PACKAGES)


def pytest_configure() -> None:
    environment = run.learner_environment()
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
    os.environ["IPYTHONDIR"] = tempfile.mkdtemp(prefix="ipython-")


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["IPYTHONDIR"], ignore_errors=True)


def pytest_report_header() -> list[str]:
    return [
        f"LEFT OUT: {tests}, since a program is missing. On Debian: sudo apt-get install {packages}"
        for tests, packages in left_out().items()
    ]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    if any(ROOT / tests in (collection_path, *collection_path.parents) for tests in left_out()):
        return True
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """nbval compares no pictures, so they are compared here."""
    result = yield
    if type(item).__name__ == "IPyNbCell":
        found = image_differences(item.cell.outputs, item.test_outputs)
        assert not found, "; ".join(found)
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    STATUS.note(report)


def pytest_sessionfinish() -> None:
    STATUS.save()
