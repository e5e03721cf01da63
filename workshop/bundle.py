"""Pack the course for a room without internet: python3 run.py bundle FOLDER [--for SYSTEM …] [--python VERSION …]

FOLDER, on a USB stick for example, gets the course and, in its folder `wheels`, every package that the lessons need. There
`python3 run.py lab` installs from `wheels` and asks no network.
"""

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.markers import Marker, default_environment

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.txt"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "wheels", "node_modules", "__pycache__", ".*_cache", ".ipynb_checkpoints"
)


class System(NamedTuple):
    """A kind of computer: the platforms whose wheels it takes, and what markers of a lock file call it."""

    tags: list[str]
    sys_platform: str
    platform_system: str
    os_name: str
    platform_machine: str


MANYLINUX = ["manylinux2014", "manylinux_2_17", "manylinux_2_24", "manylinux_2_26", "manylinux_2_27", "manylinux_2_28"]
SYSTEMS = {
    "linux": System([f"{each}_x86_64" for each in MANYLINUX], "linux", "Linux", "posix", "x86_64"),
    "linux-arm": System([f"{each}_aarch64" for each in MANYLINUX], "linux", "Linux", "posix", "aarch64"),
    "windows": System(["win_amd64"], "win32", "Windows", "nt", "AMD64"),
    "macos": System(["macosx_14_0_arm64"], "darwin", "Darwin", "posix", "arm64"),
    "macos-intel": System(["macosx_14_0_x86_64"], "darwin", "Darwin", "posix", "x86_64"),
}
PYTHONS = ["3.11", "3.12", "3.13"]


class BundleFailed(Exception):
    """What is missing, and what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py bundle", description=__doc__.split("\n\n", 1)[1])
    parser.add_argument("folder", type=Path, help="where to pack it; made if it is not there")
    here = {"Windows": "windows", "Darwin": "macos"}.get(platform.system(), "linux")
    here = "linux-arm" if (here, platform.machine()) == ("linux", "aarch64") else here
    parser.add_argument("--for", dest="systems", nargs="+", choices=[*SYSTEMS, "all"], default=[here], metavar="SYSTEM",
                        help=f"the learners' computers: {', '.join(SYSTEMS)}, all (this one's: {here})")  # fmt: skip
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    parser.add_argument("--python", dest="pythons", nargs="+", choices=[*PYTHONS, "all"], default=[version],
                        metavar="VERSION", help=f"their Pythons: {', '.join(PYTHONS)}, all (this one's: {version})")  # fmt: skip
    options = parser.parse_args()
    try:
        pack(options.folder, chosen(options.systems, SYSTEMS), chosen(options.pythons, PYTHONS))
    except BundleFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def chosen(given: list[str], there_are: object) -> list[str]:
    return list(there_are) if "all" in given else given


def pack(folder: Path, systems: list[str], pythons: list[str]) -> None:
    if folder.resolve() == ROOT or ROOT in folder.resolve().parents:
        raise BundleFailed("Name a folder outside the course's own, such as one on a USB stick.")
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    wheels = folder / "wheels"
    wheels.mkdir(exist_ok=True)
    text = LOCK.read_text("utf-8")
    for system in systems:
        for python in pythons:
            print(f"Fetching the packages for {system}, Python {python} …", flush=True)
            # The lock may ask for other versions in the first releases of a Python than in its last ones.
            locks = {"".join(needed(text, SYSTEMS[system], full)): full for full in (f"{python}.0", f"{python}.99")}
            for lock, full in locks.items():
                fetch(wheels, lock, SYSTEMS[system], full)
    size = sum(file.stat().st_size for file in wheels.iterdir())
    print(f"{len(list(wheels.iterdir()))} packages, {size / 1e6:.0f} MB, are in {wheels}.")
    print(f"On a machine without internet: copy {folder.name} from the stick, and there type python3 run.py lab")


def fetch(wheels: Path, lock: str, system: System, python: str) -> None:
    """What the lock names, as wheels for this computer: nothing is compiled in the room."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "lock.txt")
        file.write_text(lock, "utf-8")
        platforms = [argument for tag in system.tags for argument in ("--platform", tag)]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--require-hashes", "--only-binary=:all:", "--python-version", python, *platforms,
             "--dest", str(wheels), "--requirement", str(file)],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    if done.returncode:
        wanting = re.search(r"No matching distribution found for (\S+)", done.stderr)
        why = f"There is no wheel of {wanting[1]} for it." if wanting else done.stderr.strip().splitlines()[-1]
        raise BundleFailed(f"The packages for {system.platform_system}, Python {python} could not be fetched. {why}")


def needed(lock: str, system: System, python: str) -> Iterator[str]:
    """The entries of a lock that apply to a computer with the full version `python`, without their markers.

    pip judges markers by the computer on which it runs, which is another one.
    """
    target = default_environment() | {
        "sys_platform": system.sys_platform,
        "platform_system": system.platform_system,
        "os_name": system.os_name,
        "platform_machine": system.platform_machine,
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
    }
    for entry in re.findall(r"^\S+==.*(?:\n +--hash.*)+", lock, re.MULTILINE):
        name, _, rest = entry.partition("\n")
        requirement, _, marker = name.rstrip(" \\").partition(" ; ")
        if not marker or Marker(marker).evaluate(target):
            yield f"{requirement} \\\n{rest}\n"


if __name__ == "__main__":
    sys.exit(main())
