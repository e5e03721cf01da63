"""The benchmark of multipart bodies runs, fills its table, and notices a wrong byte. No time is judged."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import multipart
from benchmarks.side_by_side import results

SMALL = [multipart.Size(3, 2_000, 1), multipart.Size(5, 300_000, 1)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The benchmark with small bodies; where it saves its table."""
    monkeypatch.setattr(multipart, "QUICK", [*SMALL, multipart.Size(1, 1_100_000, 2)])
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    return tmp_path / "results" / "multipart.md"


def test_every_cell_has_a_number_and_every_byte_is_right(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert multipart.main(["--quick", "--save"]) == 0
    printed, complaints = capsys.readouterr()
    rows = [line.strip("| ").split(" | ") for line in small.read_text().splitlines() if "×" in line and "|" in line]
    assert len(rows) == 15 and complaints == "" and printed.strip() == small.read_text().strip()
    for title, body, *cells in rows:
        assert len(cells) == 8 and all(re.match(r"\d", cell) for cell in cells), (title, body, cells)


def test_each_way_is_the_first_of_some_turn(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def measure(task: str, way: str, *_: Any) -> multipart.Measurement:
        done.append(way)
        return multipart.Measurement(1, 0, True)

    monkeypatch.setattr(multipart, "measure", measure)
    assert multipart.main(["--quick", "--task", "post", "--body", "1", "--turns", "4"]) == 0
    turns = [done[start : start + 4] for start in range(0, len(done), 4)]
    assert len({turn[0] for turn in turns}) == 4 and all(len(set(turn)) == 4 for turn in turns)


def lose_a_byte(case: multipart.Case) -> Any:
    """The helpers' way, but for the last byte of what they give."""
    return [view[:-1] for view in multipart.decode_helpers(case)]


def test_a_wrong_byte_is_noticed(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(multipart.TASKS["decode"].ways, "helpers", lose_a_byte)
    assert multipart.main(["--quick", "--task", "decode", "--body", "1"]) == 1
    assert capsys.readouterr().err == "WRONG BYTES: decode a body in memory, 3 × 0.002 MB, helpers\n"


def test_a_way_that_fails_is_named(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(multipart.TASKS["post"].ways, "tutorial", lambda case: 1 / 0)
    with pytest.raises(SystemExit, match="POST files, 3 × 0.002 MB, tutorial: it failed"):
        multipart.main(["--quick", "--task", "post", "--body", "1"])


def test_only_linux_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit):
        multipart.main(["--quick"])
    assert "only Linux has" in capsys.readouterr().err
