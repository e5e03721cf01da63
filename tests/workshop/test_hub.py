"""A room of two on one machine: JupyterHub as `run.py hub` starts it, lesson 02 in two browsers at the same time.

The machine has a name that is nobody's own, and is asked over plain http: the hardest case for the emulator's checks.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.browser.lab import (
    ALL_CELLS,
    SECONDS,
    TROUBLE,
    choose,
    choose_tile,
    instances_of,
    proxied_emulator,
    reset,
    wait_until_up,
)
from tests.copies import copy_repository, free_port, run_of
from tests.notebooks.store import code_cells, read
from tests.test_repository import ROOT

NAME = "workshop.example"
PASSWORD = "eight-or-more"
LEARNERS = ("anna", "ben")
LESSON = "02-store-stow"
CELLS = len(code_cells(read(ROOT / "notebooks" / f"{LESSON}.ipynb")))


class Hub(NamedTuple):
    url: str
    folder: Path
    emulator: str  # the one that all share, if they do


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, with npm's proxy in it, as run.py installs it."""
    repository = copy_repository(tmp_path_factory.mktemp("repository"))
    run_of(repository).install_hub_proxy()
    return repository


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, to which the name is this machine's."""
    expect.set_options(timeout=SECONDS * 1000)
    mapped = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*CHROMIUM, mapped])
        yield browser
        browser.close()


@contextmanager
def running_hub(repository: Path, folder: Path, shared: bool = False) -> Iterator[Hub]:
    run = run_of(repository)
    run.VENV = Path(sys.prefix)
    port, shared_port = free_port(), free_port() if shared else ""
    for learner in LEARNERS:
        settings = folder / "homes" / learner / ".jupyter" / "lab" / "user-settings"
        tracker = settings / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
        tracker.parent.mkdir(parents=True)
        tracker.write_text(json.dumps(ALL_CELLS))
    environment = run.hub_environment(folder) | {
        "WORKSHOP_PASSWORD": PASSWORD,
        "WORKSHOP_NAME": NAME,
        "WORKSHOP_SHARED_EMULATOR": str(shared_port),
    }
    arguments = [
        "--ip=127.0.0.1",
        f"--port={port}",
        f"--JupyterHub.hub_port={free_port()}",
        f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{free_port()}",
    ]
    command = run.hub_command(sys.executable, arguments)
    log = (folder / "hub.log").open("w")
    with log, subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as hub:
        try:
            wait_until_up(f"http://127.0.0.1:{port}/hub/api/", hub, folder / "hub.log")
            yield Hub(f"http://{NAME}:{port}", folder, f"http://127.0.0.1:{shared_port}" if shared else "")
        finally:
            hub.terminate()


@contextmanager
def signed_in(browser: Browser, hub: Hub) -> Iterator[dict[str, Page]]:
    """Everybody in a browser of their own, with the lesson open and its kernel attached."""
    contexts = {learner: browser.new_context(viewport={"width": 1280, "height": 900}) for learner in LEARNERS}
    pages = {learner: context.new_page() for learner, context in contexts.items()}
    for learner, page in pages.items():
        page.set_default_timeout(SECONDS * 1000)
        page.goto(f"{hub.url}/hub/login?next=/hub/user-redirect/lab/tree/{LESSON}.ipynb")
        page.get_by_label("Username").fill(learner)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
    for page in pages.values():
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    yield pages
    for context in contexts.values():
        context.close()


def run_lesson_together(pages: dict[str, Page]) -> None:
    for page in pages.values():
        choose(page, "Edit", "Clear Outputs of All Cells")
        expect(page.locator(".jp-OutputArea-output")).to_have_count(0)
        choose(page, "Run", "Run All Cells")
    for page in pages.values():
        expect(page.locator(".jp-CodeCell .jp-InputPrompt").nth(CELLS - 1)).to_have_text(f"[{CELLS}]:")
        assert page.locator(TROUBLE).all_inner_texts() == []


def test_two_learners_have_an_emulator_each(repository: Path, browser: Browser, tmp_path: Path) -> None:
    with running_hub(repository, tmp_path) as hub, signed_in(browser, hub) as pages:
        run_lesson_together(pages)
        for page in pages.values():
            page.get_by_title("New Launcher").first.click()
            choose_tile(page)
            expect(page.frame_locator("iframe").locator(".row")).to_contain_text("Anony Mous")
        anna, ben = (proxied_emulator(page) for page in pages.values())
        stored = instances_of(ben)
        assert instances_of(anna) == stored > 0

        reset(pages["anna"].frame_locator("iframe"))
        assert (instances_of(anna), instances_of(ben)) == (0, stored)
        pages["ben"].frame_locator("iframe").locator(".row").click()
        expect(pages["ben"].frame_locator("iframe").locator("#main")).to_contain_text("Anony Mous")

        theirs = {learner: emulators_of(hub, learner) for learner in LEARNERS}
        assert [len(processes) for processes in theirs.values()] == [1, 1]
        pages["anna"].goto(f"{hub.url}/hub/home")
        pages["anna"].get_by_role("button", name="Stop My Server").click()
        assert psutil.wait_procs(theirs["anna"], timeout=SECONDS)[1] == []
        assert theirs["ben"][0].is_running()
    assert psutil.wait_procs(theirs["ben"], timeout=SECONDS)[1] == []


def emulators_of(hub: Hub, learner: str) -> list[psutil.Process]:
    """The emulators that belong to somebody's home folder."""
    home = str(hub.folder / "homes" / learner)
    found = []
    for process in psutil.process_iter():
        try:
            if "dicom_emulator" in process.cmdline() and process.environ().get("HOME") == home:
                found.append(process)
        except psutil.Error:
            pass
    return found


def test_two_learners_share_one_emulator_and_have_a_partition_each(
    repository: Path, browser: Browser, tmp_path: Path
) -> None:
    with running_hub(repository, tmp_path, shared=True) as hub, signed_in(browser, hub) as pages:
        run_lesson_together(pages)
        partitions = requests.get(f"{hub.emulator}/_emulator/summary", timeout=10).json()["partitions"]
        stored = {partition["name"]: partition["instances"] for partition in partitions}
        assert stored == {"Microsoft.Default": 0, "anna": stored["ben"], "ben": stored["anna"]} and stored["ben"] > 0
        assert emulators_of(hub, "anna") == emulators_of(hub, "ben") == []
        pages["anna"].goto(f"{hub.url}/hub/spawn", wait_until="commit")  # where a learner gets to who names no lesson
        pages["anna"].wait_for_url(f"{hub.url}/user/anna/lab/tree/00-start-here.ipynb", wait_until="commit")
