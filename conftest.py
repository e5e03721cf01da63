"""Hooks for the notebooks, which nbval runs cell by cell. No fixture works for them, so this is all in hooks."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

import run
from tests.notebooks.outputs import image_differences

ROOT = Path(__file__).parent
ON_CI = os.environ.get("CI") == "true"

# The way by which notebooks in any front end find the package `helpers`. As a module it would be that package's double.
collect_ignore = ["notebooks/helpers.py"]


def browser_is_missing() -> bool:
    """Without a browser its tests are left out, and the header says so. On CI they stay, and fail."""
    return not ON_CI and shutil.which("chromium") is None


def pytest_configure() -> None:
    environment = run.learner_environment()
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
    os.environ["IPYTHONDIR"] = tempfile.mkdtemp(prefix="ipython-")


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["IPYTHONDIR"], ignore_errors=True)


def pytest_report_header() -> list[str]:
    if browser_is_missing():
        return ["LEFT OUT: tests/browser, since there is no chromium. On Debian: sudo apt-get install chromium"]
    return []


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    if browser_is_missing() and ROOT / "tests" / "browser" in (collection_path, *collection_path.parents):
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
