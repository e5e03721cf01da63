"""What a learner sees: JupyterLab as `run.py lab` starts it, lesson 00, Run All, the pictures."""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy
import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import FAINT, nothing_leaves
from tests.browser.lab import (
    ALL_CELLS,
    SECONDS,
    TROUBLE,
    choose,
    choose_tile,
    instances_of,
    proxied_emulator,
    reset,
    run_all,
    wait_until_up,
)
from tests.copies import copy_repository, free_port, run_of
from tests.notebooks.outputs import png_images, unequal
from tests.notebooks.store import code_cells, read
from tests.test_repository import ROOT

TOKEN = "browser-test"
LESSONS = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]
SHOWN = ".jp-OutputArea-output, .jp-MarkdownOutput"
THEMES = {"JupyterLab Light": "true", "JupyterLab Dark": "false"}


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
            wait_until_up(f"http://127.0.0.1:{port}/api/status?token={TOKEN}", server, home / "lab.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture
def page(browser: Browser, lab: str) -> Iterator[Page]:
    """The page that opens when JupyterLab starts. A request to another machine fails the test."""
    with visitor(browser) as page:
        # What the server itself sends people to, which is what a browser gets to see that opens the bare address.
        page.goto(f"{lab}/?token={TOKEN}")
        yield page


@contextmanager
def visitor(browser: Browser) -> Iterator[Page]:
    """A browser without a memory, from which nothing may go to another machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    with nothing_leaves(context):
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        yield page
        context.close()


def open_lesson(page: Page, lab: str, name: str) -> None:
    """One lesson alone, its kernel attached, its stored outputs cleared."""
    page.goto(f"{lab}/lab/tree/notebooks/{name}.ipynb?token={TOKEN}&reset")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    choose(page, "Edit", "Clear Outputs of All Cells")
    expect(page.locator(".jp-OutputArea-output")).to_have_count(0)


def is_readable_in_both_themes(page: Page) -> bool:
    """Whether the contrast is at least 4.5 to 1 in all that the lesson shows, its folds open."""
    page.evaluate("document.querySelectorAll('.wire details').forEach((each) => { each.open = true; })")
    for theme, is_light in THEMES.items():
        choose(page, "Settings", "Theme", theme)
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", is_light)
        assert page.evaluate(FAINT, SHOWN) == [], theme
    return True


def distance_on_screen(drawn: Locator, png: bytes) -> float:
    """How far what the page shows is from the picture, of 255 on average."""
    seen = Image.open(io.BytesIO(drawn.screenshot())).convert("RGB")
    wanted = Image.open(io.BytesIO(png)).convert("RGB").resize(seen.size)
    return float(numpy.abs(numpy.asarray(seen, float) - numpy.asarray(wanted, float)).mean())


def close_kernels(lab: str) -> None:
    """So that eighteen lessons do not keep eighteen kernels and their emulators."""
    for session in requests.get(f"{lab}/api/sessions", params={"token": TOKEN}, timeout=10).json():
        requests.delete(f"{lab}/api/sessions/{session['id']}", params={"token": TOKEN}, timeout=10)


def test_lesson_00_is_what_opens(page: Page) -> None:
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # the kernel is attached
    expect(page.get_by_role("tab", name="00-start-here.ipynb")).to_be_visible()
    drawing = page.get_by_role("img", name="A tree of four levels")
    assert drawing.evaluate("image => image.complete && image.naturalWidth") > 100
    assert page.locator(".Toastify__toast").all_inner_texts() == [], "JupyterLab asks about news, or reports a trouble"


@pytest.mark.parametrize("name", LESSONS)
def test_run_all_draws_the_pictures_and_nothing_fails(browser: Browser, lab: str, repository: Path, name: str) -> None:
    cells = code_cells(read(repository / "notebooks" / f"{name}.ipynb"))
    stored = [picture for cell in cells for picture in png_images(cell.outputs)]
    with visitor(browser) as page:
        open_lesson(page, lab, name)
        run_all(page, len(cells))
        assert page.locator(TROUBLE).all_inner_texts() == []
        pictures = page.locator('.jp-OutputArea-output img[src^="data:image/png"]')
        expect(pictures).to_have_count(len(stored))
        for before, drawn in zip(stored, pictures.all(), strict=True):
            now = base64.b64decode(drawn.get_attribute("src").removeprefix("data:image/png;base64,"))
            assert unequal(before, now) == []
            assert distance_on_screen(drawn, before) < 10
        for picture in page.locator(".jp-OutputArea-output img, .jp-MarkdownOutput img").all():
            assert picture.evaluate("image => image.complete && image.naturalWidth") > 0, picture.get_attribute("alt")
        assert is_readable_in_both_themes(page)
    close_kernels(lab)


def test_an_exercise_is_answered_at_once(page: Page) -> None:
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    choose(page, "Edit", "Clear Outputs of All Cells")
    choose(page, "Run", "Run All Cells")
    cell = page.locator(".jp-CodeCell", has_text='check("00.2"')
    reply = cell.locator(".jp-OutputArea-output")
    expect(reply).to_contain_text("○ Exercise 00.2: not attempted yet")
    for dots, answer, begins in (
        ("...", "979 * 985", "✗ Exercise 00.2: not yet"),
        ("985", "985 * 3", "✓ Exercise 00.2"),
    ):
        line = cell.locator(".cm-line", has_text="number_of_bytes =").first
        line.click()
        page.keyboard.press("End")
        for _ in dots:
            page.keyboard.press("Backspace")
        page.keyboard.type(answer)
        page.keyboard.press("Control+Enter")
        expect(reply).to_contain_text(begins)
        assert is_readable_in_both_themes(page)


def test_a_slider_leafs_through_a_film(page: Page, lab: str) -> None:
    open_lesson(page, lab, "08-pictures")
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


def test_an_exchange_is_unfolded_and_folded_by_keyboard(page: Page, lab: str) -> None:
    open_lesson(page, lab, "03-retrieve-wado")
    choose(page, "Run", "Run All Cells")
    fold = page.locator(".jp-OutputArea-output .wire details").first
    summary = fold.locator("summary").first
    summary.focus()
    for is_open in (True, False):
        page.keyboard.press("Enter")
        expect(fold).to_have_js_property("open", is_open)
        expect(fold.locator("pre").first).to_be_visible(visible=is_open)


def test_a_tile_opens_the_page_of_the_lessons_emulator(page: Page, lab: str) -> None:
    """What is stored, the live log, a fault and a reset, all through the proxy of JupyterLab's server."""
    close_kernels(lab)
    page.goto(f"{lab}/lab?token={TOKEN}&reset")
    choose_tile(page)
    emulator = page.frame_locator("iframe")
    expect(emulator.locator("body")).to_contain_text("No emulator is running.")

    open_lesson(page, lab, "02-store-stow")
    run_all(page, len(code_cells(read(ROOT / "notebooks" / "02-store-stow.ipynb"))))
    page.get_by_title("New Launcher").first.click()
    choose_tile(page)
    expect(emulator.locator(".row")).to_contain_text("Anony Mous")
    assert instances_of(proxied_emulator(page)) > 0
    emulator.get_by_role("link", name="Requests").click()
    stores = emulator.locator(".exchange summary", has_text="POST")
    expect(stores.first).to_be_visible()
    direct = proxied_emulator(page)
    assert requests.get(f"{direct}/v2/studies/asked-past-the-page", timeout=10).status_code == 401
    expect(emulator.locator(".exchange summary", has_text="asked-past-the-page")).to_be_visible()
    emulator.get_by_role("link", name="Faults").click()
    emulator.get_by_role("button", name="Next request fails").click()
    expect(emulator.locator(".plain")).to_contain_text("0 seen so far")
    assert len(requests.get(f"{direct}/_emulator/faults", timeout=10).json()) == 1
    reset(emulator)
    assert instances_of(direct) == 0
    assert requests.get(f"{direct}/_emulator/faults", timeout=10).json() == []

    open_lesson(page, lab, "04-search-qido")
    choose(page, "Run", "Run All Cells")
    expect(page.locator(".jp-OutputArea-output", has_text="Lesson 04")).to_be_visible()
    page.get_by_title("New Launcher").first.click()
    choose_tile(page)
    expect(emulator.get_by_role("listitem")).to_have_text(["04-search-qido", "02-store-stow"])
    emulator.get_by_role("link", name="04-search-qido").click()
    expect(emulator.locator(".row")).to_contain_text("Anony Mous")
    assert proxied_emulator(page) != direct


def test_the_file_browser_shows_the_repository(page: Page) -> None:
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.locator(".jp-BreadCrumbs-home").click()
    for name in ("notebooks", "sample_dcms", "run.py"):
        expect(page.locator(".jp-DirListing-item").get_by_text(name, exact=True)).to_be_visible()
