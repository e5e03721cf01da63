"""The slides: all that the lessons say is on them, and nothing is fetched from elsewhere."""

import importlib.util
import re
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.guards import without_fences
from tests.test_repository import ROOT

spec = importlib.util.spec_from_file_location("slides", ROOT / "workshop" / "slides.py")
slides = importlib.util.module_from_spec(spec)
spec.loader.exec_module(slides)


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.pictures: list[str | None] = []
        self.headings: list[str] = []
        self.articles = 0
        self.in_heading = False
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.addresses += [values[name] or "" for name in ("href", "src") if name in values]
        self.articles += tag == "article"
        if tag in ("h1", "h2"):
            self.headings.append("")
            self.in_heading = True
        if tag == "img":
            self.pictures.append(values.get("alt"))

    def handle_endtag(self, tag: str) -> None:
        self.in_heading = self.in_heading and tag not in ("h1", "h2")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_heading:
            self.headings[-1] += data


@pytest.fixture(scope="module", params=slides.LESSONS, ids=lambda path: path.stem[:2])
def lesson_and_page(request: pytest.FixtureRequest) -> tuple[nbformat.NotebookNode, Page]:
    return nbformat.read(request.param, as_version=4), Page(slides.page_of(request.param))


def test_each_section_and_each_code_cell_begins_a_slide(lesson_and_page: tuple) -> None:
    lesson, page = lesson_and_page
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    texts = [without_fences(cell.source) for cell in lesson.cells if cell.cell_type == "markdown"]
    sections = [heading.replace("`", "") for text in texts for heading in re.findall("^##? (.*)", text, re.MULTILINE)]
    assert page.headings == sections and len(sections) > 8
    assert page.articles == len(sections) + len(code)


def test_code_outputs_and_pictures_are_on_them(lesson_and_page: tuple) -> None:
    lesson, page = lesson_and_page
    outputs = [output for cell in lesson.cells if cell.cell_type == "code" for output in cell.outputs]
    for output in outputs:
        assert unescape(output.get("text", "")) in page.text
    drawings = sum(cell.source.count("![") for cell in lesson.cells if cell.cell_type == "markdown")
    assert len(page.pictures) == sum("image/png" in output.get("data", {}) for output in outputs) + drawings
    assert all(alt and len(alt) > 20 and "No description" not in alt for alt in page.pictures), "each picture needs its words"


def test_nothing_is_fetched_and_no_link_is_dead(lesson_and_page: tuple) -> None:
    page = lesson_and_page[1]
    assert [address[:60] for address in page.addresses if not address.startswith(("data:", "https://"))] == []
    assert "](" not in page.text.replace('"](', ""), "a link that was not read as one"


def test_five_lessons_are_written_and_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "slides"
    monkeypatch.setattr(sys, "argv", ["slides.py", str(folder)])
    assert slides.main() == 0
    assert [page.name[:2] for page in sorted(folder.iterdir())] == ["01", "02", "03", "04", "05"]
    (folder / "02-store-stow.html").write_text("my own words")
    (folder / "05-delete.html").unlink()
    assert slides.main() == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert (folder / "02-store-stow.html").read_text() == "my own words" and not (folder / "05-delete.html").exists()
