"""Copies of the repository and of its parts: a fresh clone with what is not committed yet, npm's packages."""

import importlib.util
import shutil
import socket
import subprocess
from pathlib import Path
from types import ModuleType

from tests.test_repository import ROOT, files


def copy_repository(target: Path) -> Path:
    for path in files():
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return target


def run_of(repository: Path) -> ModuleType:
    """The run.py of `repository` as a module, so that all its paths are in there."""
    spec = importlib.util.spec_from_file_location("run_of_copy", repository / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def install_with_npm(source: Path, target: Path) -> Path:
    """The files of `source` in `target`, beside the packages of its package-lock.json, whose hashes npm checks.

    No script of a package is run.
    """
    for file in source.iterdir():
        shutil.copy(file, target)
    command = [shutil.which("npm"), "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=target, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target
