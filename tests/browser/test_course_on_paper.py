"""The course as one PDF: run.py site --pdf."""

import re
import shutil
from pathlib import Path

import pytest

from tests.test_site import LESSONS, builder


def test_it_has_every_lesson_behind_a_page_of_contents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "site-source", tmp_path / "site"
    builder.lay_out(source)
    out.mkdir()
    builder.print_pdf(source, out)
    assert re.fullmatch(r"learn-dicomweb\.pdf: \d+\.\d MB\n", capsys.readouterr().out)
    printed = (out / "learn-dicomweb.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 8 * len(LESSONS)
    first_page = (tmp_path / "site-page" / "index.html").read_text("utf-8").partition('id="document-notebooks/')[0]
    for page in [*(lesson.stem for lesson in LESSONS), "glossary"]:
        assert f'href="#document-notebooks/{page}"' in first_page
        assert re.search(rf"/document-notebooks#2F{page} \[\d+ 0 R".encode(), printed), f"{page} is not there"


def test_without_chromium_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(builder.BuildFailed, match="sudo apt-get install chromium"):
        builder.print_pdf(tmp_path, tmp_path)
