"""How long a learner waits: the emulator's start and memory, the first picture of lesson 00, all lessons as a test.

start: from the process to the line that says it is ready, ten times.
memory: of the emulator that has just started, and how much of it is its own and not mapped files.
lab: from `python3 run.py lab` until lesson 00 has drawn its first picture in Chromium, with nobody to wait for.
notebooks: `python3 run.py test notebooks`, each cell compared with what is stored.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from side_by_side import servers
from side_by_side.results import show

if TYPE_CHECKING:
    from playwright.sync_api import Page

STARTS = 10
PATIENCE = 120  # seconds
# What goes with a learner's copy: no environment, which is linked, and nothing that tools left behind.
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "__pycache__", "results", "node_modules", ".*_cache")


class Missing(Exception):
    """What is not on this machine, and how it would be."""


class Time(NamedTuple):
    what: str
    value: str
    goal: str = ""


def milliseconds_to_ready(root: Path) -> float:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        command = [servers.python_of(root), "-m", "dicom_emulator", "--port", "0", "--data-dir", folder]
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert process.stdout and process.stdout.readline().startswith(b"DICOM service emulator ready")
            return 1000 * (time.perf_counter() - begin)
        finally:
            process.terminate()
            process.communicate()


def start(root: Path, quick: bool) -> list[Time]:
    milliseconds_to_ready(root)  # so that compiled modules are there
    found = [milliseconds_to_ready(root) for _ in range(2 if quick else STARTS)]
    value = f"{statistics.median(found):.0f} ms ({min(found):.0f}–{max(found):.0f})"
    return [Time(f"start to ready, median of {len(found)}", value, "≤ 700 ms")]


def memory_at_rest(root: Path, quick: bool) -> list[Time]:
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        servers.emulator(servers.EMULATOR, Path(folder), root) as server,
    ):
        time.sleep(1)
        all_of_it, own = server.memory(), server.own_memory()
    return [Time("memory at rest", f"{all_of_it / 2**20:.0f} MiB, {own / 2**20:.0f} MiB of them its own")]


def lab(root: Path, quick: bool) -> list[Time]:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError:
        raise Missing("playwright is not installed: pip install -r tests/requirements.txt") from None
    chromium = shutil.which("chromium")
    if not chromium:
        raise Missing("there is no Chromium. On Debian: sudo apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, sync_playwright() as playwright:
        # A copy, since JupyterLab saves what it runs; its environment is the one that is installed already.
        copy, home, port = Path(folder) / "course", Path(folder) / "home", servers.free_port()
        shutil.copytree(root, copy, ignore=NOT_COPIED)
        (copy / ".venv").symlink_to(root / ".venv")
        home.mkdir()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE * 1000)
        command = [sys.executable, "run.py", "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}",
                   "--ServerApp.port_retries=0"]  # fmt: skip
        environment = os.environ | {
            "JUPYTER_TOKEN": "benchmark",
            "HOME": str(home),
            "IPYTHONDIR": str(home / "ipython"),
        }
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=copy, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while process.poll() is None and time.perf_counter() - begin < PATIENCE:
                try:
                    page.goto(f"http://127.0.0.1:{port}/?token=benchmark")
                    break
                except Error:  # nobody listens yet
                    time.sleep(0.1)
            page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
            opened = time.perf_counter() - begin
            pictures = page.locator(".jp-OutputArea-output img")
            choose(page, "Edit", "Clear Outputs of All Cells")
            while pictures.count():
                time.sleep(0.05)
            choose(page, "Run", "Run All Cells")
            pictures.first.wait_for()
            drawn = time.perf_counter() - begin
        finally:
            browser.close()
            process.terminate()
            process.wait(PATIENCE)
    return [
        Time("`run.py lab` until lesson 00 is open and its kernel idle", f"{opened:.1f} s"),
        Time("`run.py lab` until lesson 00 has drawn its first picture", f"{drawn:.1f} s"),
    ]


def choose(page: "Page", menu: str, item: str) -> None:
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def notebooks(root: Path, quick: bool) -> list[Time]:
    which = "notebooks/00-start-here.ipynb" if quick else "notebooks"
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "run.py", "test", which, "-q"], cwd=root, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    last = done.stdout.strip().rpartition("\n")[2]
    return [Time(f"`run.py test {which}`", f"{seconds:.0f} s: {last}", "≤ 120 s")]


PARTS: dict[str, Callable[[Path, bool], list[Time]]] = {
    "start": start, "memory": memory_at_rest, "lab": lab, "notebooks": notebooks,
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="times.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(PARTS), metavar="NAME,NAME", help="which of: %(default)s")
    parser.add_argument("--quick", action="store_true", help="two starts, and lesson 00 in place of all")
    parser.add_argument("--save", metavar="NAME", help="write the table to benchmarks/results/NAME.md as well")
    parser.add_argument("--root", type=Path, default=servers.ROOT, metavar="DIR", help="measure another clone")
    options = parser.parse_args(arguments)
    chosen = [one.strip() for one in options.rows.split(",") if one.strip()]
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"there is no row {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    root = options.root.resolve()
    lines = [
        f"Commit {servers.commit(root)}, {os.cpu_count()} processors.",
        "",
        "| | | goal |",
        "| --- | ---: | ---: |",
    ]
    for name in chosen:
        try:
            lines += [f"| {what} | {value} | {goal} |" for what, value, goal in PARTS[name](root, options.quick)]
        except Missing as missing:
            lines.append(f"| {name} | left out: {missing} | |")
    text = "\n".join([*lines, ""])
    show(text, options.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
