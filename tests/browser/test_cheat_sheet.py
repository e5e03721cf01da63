"""The cheat sheet is one page when it is printed, and says what the helpers say."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from helpers.exchange.words import FAILURE_REASONS, WARNING_REASONS
from tests.browser.conftest import CHROMIUM

SHEET = Path(__file__).parents[2] / "notebooks" / "cheat-sheet.html"


def test_it_prints_on_one_page(tmp_path: Path) -> None:
    printed = tmp_path / "sheet.pdf"
    command = [shutil.which("chromium"), "--headless", *CHROMIUM, "--no-pdf-header-footer", f"--print-to-pdf={printed}"]
    subprocess.run([*command, SHEET.as_uri()], check=True, capture_output=True, timeout=60)
    assert len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) == 1


@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_the_width_of_the_window(browser: Browser, width: int) -> None:
    with browser.new_page(viewport={"width": width, "height": 800}) as page:
        page.goto(SHEET.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_has_every_reason_of_a_store_reply_and_nothing_from_elsewhere() -> None:
    text = SHEET.read_text("utf-8")
    returned = set(FAILURE_REASONS) - {273, 288, 289, 43265}  # known, and not sent by this service
    assert {str(code) for code in returned | set(WARNING_REASONS)} <= set(re.findall(r"<td>(\d+)</td>", text))
    assert not re.search(r"<script|<link|src=|@import", text)
