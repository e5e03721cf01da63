"""What a learner sees: JupyterLab as `run.py lab` starts it, lesson 00, Run All, the pictures."""

import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect, sync_playwright

from tests.copies import copy_repository, free_port, run_of
from tests.notebooks.outputs import png_images, unequal
from tests.notebooks.store import code_cells, read

TOKEN = "browser-test"
CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SECONDS = 60
# Cells out of sight are left out of the page unless JupyterLab is told otherwise; the test looks at all of them.
ALL_CELLS = {"windowingMode": "none"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: JupyterLab saves what it runs after a while, and the stored notebooks are not this test's to change."""
    return copy_repository(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def lab(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab, started with run.py's own command and nobody's settings."""
    port = free_port()
    home = tmp_path_factory.mktemp("home")
    settings = home / "settings"
    tracker = settings / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps(ALL_CELLS))
    run = run_of(repository)
    run.VENV = Path(sys.prefix)
    run.write_overrides()
    environment = run.environment() | {
        "JUPYTER_TOKEN": TOKEN,
        "HOME": str(home),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    arguments = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    log = (home / "lab.log").open("w")
    with (
        log,
        subprocess.Popen(
            run.lab_command(sys.executable, arguments), cwd=repository, env=environment, stdout=log, stderr=log
        ) as server,
    ):
        try:
            wait_until_up(f"http://127.0.0.1:{port}", server, home / "lab.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def wait_until_up(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            if requests.get(f"{address}/api/status", params={"token": TOKEN}, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture
def page(lab: str) -> Iterator[Page]:
    """The page that opens when JupyterLab starts."""
    chromium = shutil.which("chromium")
    assert chromium, "there is no chromium; on Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(SECONDS * 1000)
        expect.set_options(timeout=SECONDS * 1000)
        # What the server itself sends people to, which is what a browser gets to see that opens the bare address.
        page.goto(f"{lab}/?token={TOKEN}")
        yield page
        browser.close()


def choose(page: Page, menu: str, item: str) -> None:
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def test_lesson_00_opens_and_run_all_draws_the_pictures(page: Page, repository: Path) -> None:
    cells = code_cells(read(repository / "notebooks" / "00-start-here.ipynb"))
    stored = [picture for cell in cells for picture in png_images(cell.outputs)]
    assert stored, "lesson 00 should show pictures"

    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # the kernel is attached
    expect(page.get_by_role("tab", name="00-start-here.ipynb")).to_be_visible()
    choose(page, "Edit", "Clear Outputs of All Cells")
    pictures = page.locator(".jp-OutputArea-output img")
    expect(pictures).to_have_count(0)

    choose(page, "Run", "Run All Cells")
    last_prompt = page.locator(".jp-CodeCell .jp-InputPrompt").nth(len(cells) - 1)
    expect(last_prompt).to_have_text(f"[{len(cells)}]:")
    expect(pictures).to_have_count(len(stored))

    for before, drawn in zip(stored, pictures.all()):
        assert drawn.evaluate("image => image.complete && image.naturalWidth") > 100
        now = base64.b64decode(drawn.get_attribute("src").removeprefix("data:image/png;base64,"))
        assert unequal(before, now) == []
    expect(page.locator(".jp-OutputArea-output section table caption")).to_have_text("Body: 1 part")  # show_exchange
    drawing = page.get_by_role("img", name="A tree of four levels")
    assert drawing.evaluate("image => image.complete && image.naturalWidth") > 100
    errors = page.locator(
        '[data-mime-type="application/vnd.jupyter.stderr"], [data-mime-type="application/vnd.jupyter.error"]'
    )
    assert errors.all_inner_texts() == []
    assert page.locator(".Toastify__toast").all_inner_texts() == [], "JupyterLab asks about news, or reports a trouble"


def test_an_exercise_is_answered_at_once(page: Page) -> None:
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    choose(page, "Edit", "Clear Outputs of All Cells")
    choose(page, "Run", "Run All Cells")
    cell = page.locator(".jp-CodeCell", has_text='check("00.2"')
    reply = cell.locator(".jp-OutputArea-output")
    expect(reply).to_contain_text("○ Exercise 00.2: not attempted yet")
    for dots, answer, begins in (("...", "979 * 985", "✗ Exercise 00.2: not yet"), ("985", "985 * 3", "✓ Exercise 00.2")):
        line = cell.locator(".cm-line", has_text="number_of_bytes =").first
        line.click()
        page.keyboard.press("End")
        for _ in dots:
            page.keyboard.press("Backspace")
        page.keyboard.type(answer)
        page.keyboard.press("Control+Enter")
        expect(reply).to_contain_text(begins)


def test_a_slider_leafs_through_a_film(page: Page, lab: str) -> None:
    page.goto(f"{lab}/lab/tree/notebooks/08-pictures.ipynb?token={TOKEN}&reset")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    choose(page, "Edit", "Clear Outputs of All Cells")
    choose(page, "Run", "Run All Cells")
    figure = page.locator("figure", has=page.get_by_role("slider"))
    frame = figure.get_by_role("img")
    expect(frame).to_be_visible()
    assert frame.evaluate("image => image.complete && image.naturalWidth") == 12 * 80
    slider = figure.get_by_role("slider", name="Frame")
    slider.focus()
    here = page.locator(".jp-mod-active", has=slider)
    expect(here).to_have_count(1)

    seen = [figure.locator("div").screenshot()]
    for key, number in (("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", 12)):
        page.keyboard.press(key)
        expect(figure.locator("output")).to_have_text(str(number))
        seen.append(figure.locator("div").screenshot())
    first, second, third, again, last = seen
    assert len({first, second, third, last}) == 4, "each number should show another frame"
    assert again == second
    expect(here).to_have_count(1)  # the arrow keys belong to the slider, not to the notebook


def test_the_file_browser_shows_the_repository(page: Page) -> None:
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.locator(".jp-BreadCrumbs-home").click()
    for name in ("notebooks", "sample_dcms", "run.py"):
        expect(page.locator(".jp-DirListing-item").get_by_text(name, exact=True)).to_be_visible()
