"""What people do in JupyterLab, for all tests that do it in a browser."""

import re
import subprocess
import time
from pathlib import Path

import requests
from playwright.sync_api import FrameLocator, Page, expect

SECONDS = 60  # for whatever a person waits for
# Cells out of sight are left out of the page unless JupyterLab is told otherwise; the test looks at all of them.
ALL_CELLS = {"windowingMode": "none"}
TROUBLE = '[data-mime-type="application/vnd.jupyter.stderr"], [data-mime-type="application/vnd.jupyter.error"]'


def wait_until_up(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until JupyterLab or JupyterHub answers at `url`; `log` says why it does not."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer:\n{log.read_text()}")


def run_all(page: Page, cells: int) -> None:
    """Run All, until the last of so many code cells has its number."""
    choose(page, "Run", "Run All Cells")
    expect(page.locator(".jp-CodeCell .jp-InputPrompt").nth(cells - 1)).to_have_text(f"[{cells}]:")


def choose(page: Page, menu: str, *items: str) -> None:
    """Follow the menus: choose(page, "Edit", "Clear Outputs of All Cells")."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    for item in items:
        page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()


def choose_tile(page: Page) -> None:
    page.locator(".jp-LauncherCard", has_text="DICOM emulator").click()


def proxied_emulator(page: Page) -> str:
    """Where the emulator itself is that JupyterLab shows through its proxy."""
    address = next(found for frame in page.frames if (found := re.search(r"/proxy/(\d+)/_emulator/", frame.url)))
    return f"http://127.0.0.1:{address[1]}"


def instances_of(emulator: str) -> int:
    (partition,) = requests.get(f"{emulator}/_emulator/summary", timeout=10).json()["partitions"]
    return partition["instances"]


def reset(emulator: FrameLocator) -> None:
    emulator.get_by_role("link", name="Reset").click()
    emulator.get_by_role("button", name="Reset …").click()
    emulator.get_by_role("dialog").get_by_role("button", name="Reset").click()
    expect(emulator.locator("#notice")).to_have_text("Everything is as at the start.")
