"""The course on a stick: packed here, then set up and run in a network namespace that has no way out."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.copies import copy_repository
from tests.test_repository import ROOT

spec = importlib.util.spec_from_file_location("bundle", ROOT / "workshop" / "bundle.py")
bundle = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bundle)

LOCK = """\
everywhere==1.0 \\
    --hash=sha256:aa
    # via something
only-windows==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
old==1.0 ; python_full_version < '3.11.5' \\
    --hash=sha256:dd
old==2.0 ; python_full_version >= '3.11.5' \\
    --hash=sha256:ee
apple==3.0 ; platform_system == 'Darwin' and platform_machine == 'arm64' \\
    --hash=sha256:ff
"""


@pytest.mark.parametrize(
    ("system", "python", "names"),
    [
        ("linux", "3.11.0", ["everywhere==1.0", "old==1.0"]),
        ("linux", "3.11.99", ["everywhere==1.0", "old==2.0"]),
        ("windows", "3.13.0", ["everywhere==1.0", "only-windows==2.0", "old==2.0"]),
        ("macos", "3.12.0", ["everywhere==1.0", "old==2.0", "apple==3.0"]),
        ("macos-intel", "3.12.0", ["everywhere==1.0", "old==2.0"]),
    ],
)
def test_the_lock_is_read_for_another_computer(system: str, python: str, names: list[str]) -> None:
    found = list(bundle.needed(LOCK, bundle.SYSTEMS[system], python))
    assert [entry.split(" ")[0] for entry in found] == names
    assert all("--hash=sha256:" in entry and ";" not in entry for entry in found)


def test_all_hashes_of_an_entry_stay() -> None:
    (_, windows, _) = bundle.needed(LOCK, bundle.SYSTEMS["windows"], "3.13.0")
    assert windows.count("--hash") == 2


def test_a_package_without_a_wheel_is_named(tmp_path: Path) -> None:
    lock = "no-such-package-here==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    with pytest.raises(bundle.BundleFailed, match="There is no wheel of no-such-package-here==1.0 for it"):
        bundle.fetch(tmp_path, lock, bundle.SYSTEMS["windows"], "3.13.0")


def test_the_course_is_not_packed_into_itself() -> None:
    with pytest.raises(bundle.BundleFailed, match="outside the course's own"):
        bundle.pack(ROOT / "stick", ["linux"], ["3.11"])


OFFLINE = """
ip link set lo up
"$PYTHON" -c 'import socket; socket.create_connection(("192.0.2.1", 80), 5)' 2>&1 | tail -n 1
"$PYTHON" run.py notebooks 00
"""


def test_a_room_without_internet_sets_up_from_the_stick(tmp_path: Path) -> None:
    copied = copy_repository(tmp_path / "course")
    (copied / ".venv").symlink_to(sys.prefix)  # what packs it is there already
    stick = tmp_path / "stick" / "course"
    packed = subprocess.run(
        [sys.executable, "workshop/bundle.py", stick], cwd=copied, capture_output=True, text=True, timeout=600
    )
    assert packed.returncode == 0, packed.stderr
    assert {"run.py", "notebooks", "wheels"} <= {path.name for path in stick.iterdir()}
    assert not (stick / ".venv").exists()

    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    environment = {"PYTHON": sys._base_executable, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    room = subprocess.run(
        [shutil.which("unshare"), *as_root, "--net", "sh", "-c", OFFLINE],
        cwd=stick,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert "Network is unreachable" in room.stdout
    assert "00-start-here: unchanged" in room.stdout, room.stdout + room.stderr
