"""The site that run.py builds: its pages, and that trouble in them is noticed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.notebooks.store import read
from tests.test_repository import ROOT

spec = importlib.util.spec_from_file_location("site_builder", ROOT / "docs" / "build.py")
builder = importlib.util.module_from_spec(spec)
spec.loader.exec_module(builder)
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `run.py site` builds it, which fails when a link is dead or a page loads something from elsewhere."""
    out = tmp_path_factory.mktemp("site") / "pages"
    command = [sys.executable, str(ROOT / "docs" / "build.py"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "links within the site" in done.stdout
    return out


def test_each_lesson_is_a_page_with_its_outputs(site: Path) -> None:
    for lesson in LESSONS:
        html = (site / "notebooks" / f"{lesson.stem}.html").read_text("utf-8")
        pictures = sum(
            "image/png" in output.get("data", {})
            for cell in read(lesson).cells
            if cell.cell_type == "code"
            for output in cell.outputs
        )
        assert html.count('class="cell_output') > 5
        assert html.count("_images/") >= pictures, "each picture should be on the page"


def test_pictures_have_their_own_words(site: Path) -> None:
    html = (site / "notebooks" / "00-start-here.html").read_text("utf-8")
    assert 'alt="A green square, a red triangle and a blue circle, each on light grey"' in html


def test_the_manuals_and_the_helpers_are_there(site: Path) -> None:
    emulator = (site / "dicom_emulator" / "README.html").read_text("utf-8")
    assert "DICOM_EMULATOR_PORT" in emulator or "--data-dir" in emulator
    assert "encode_multipart_related" in (site / "helpers" / "index.html").read_text("utf-8")
    assert "accession number" in (site / "notebooks" / "glossary.html").read_text("utf-8")
    assert (site / "searchindex.js").stat().st_size > 100_000


def test_the_status_page_says_what_the_last_run_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    monkeypatch.setattr(builder, "STATUS", file)
    assert "None was on record" in builder.status_page()
    row = {"date": "2026-11-28", "result": "passed", "seconds": 2.345, "server": "emulator"}
    file.write_text(json.dumps({"lessons": {"01-connect": row}, "versions": {"pydicom": "3.0.2"}}))
    page = builder.status_page()
    assert "| [01-connect](notebooks/01-connect.ipynb) | 2026-11-28 | passed | 2.3 | emulator |" in page
    assert "| pydicom | 3.0.2 |" in page


def test_the_status_page_says_what_azure_check_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own, committed = tmp_path / "status.json", tmp_path / "azure-status.json"
    monkeypatch.setattr(builder, "AZURE_STATUS", [own, committed])
    assert "None was on record." in builder.status_page()
    for file, seconds in ((committed, 41.0), (own, 42.0)):
        row = {"date": "2026-11-28", "result": "failed", "seconds": seconds, "server": "Azure"}
        file.write_text(json.dumps({"lessons": {"01-connect": row}, "versions": {"pydicom": "3.0.2"}}))
        row_of_page = f"| [01-connect](notebooks/01-connect.ipynb) | 2026-11-28 | failed | {seconds} | Azure |"
        assert row_of_page in builder.status_page()


def problems(folder: Path, html: str) -> list[str]:
    (folder / "a.html").write_text(f'<p id="here"></p>{html}')
    return builder.Links(folder).problems


@pytest.mark.parametrize(
    "html",
    [
        '<a href="b.html">b</a>',
        '<a href="#nowhere">b</a>',
        '<a href="a.html#nowhere">b</a>',
        '<img alt="" src="a.html">',
        '<img alt="A dog" src="dog.png">',
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="https://cdn.example/x.css">',
    ],
)
def test_trouble_in_a_page_is_noticed(html: str, tmp_path: Path) -> None:
    assert len(problems(tmp_path, html)) == 1


def test_a_sound_page_passes(tmp_path: Path) -> None:
    html = '<a href="a.html#here">a</a> <a href="#here">a</a> <a href="https://dicom.example">b</a> <a href=".">c</a>'
    (tmp_path / "index.html").write_text("")
    assert problems(tmp_path, html) == []


def test_a_folder_with_other_files_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(builder.BuildFailed, match="holds files that are no site"):
        builder.build(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
