"""benchmarks/room.py: it compares the same cells, and counts what was waited for."""

import asyncio
from pathlib import Path
from types import ModuleType

import pytest

import run
from tests.notebooks.store import code_cells

ROOT = Path(__file__).parents[2]
MIB = 2**20


@pytest.fixture(scope="module")
def room() -> ModuleType:
    """benchmarks/room.py as a module, found as `run.py bench` has it found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import room as module

        yield module


def test_the_factor_is_about_the_cells_that_were_waited_for(room: ModuleType) -> None:
    alone = {("02", 1): [1.0], ("02", 4): [0.5], ("03", 1): [100.0]}
    assert room.factor({("02", 1): [2.0, 4.0], ("02", 4): [1.5]}, alone) == 3.0


def test_memory_is_counted_for_one_open_lesson_and_for_all(room: ModuleType) -> None:
    said = room.memory(100 * MIB, 75 * MIB, 50 * MIB)
    assert f"hold {22 * 1024 // 225} learners with one lesson open each, or {22 * 1024 // 725} with all five" in said


def test_everybody_runs_each_cell_with_an_emulator_of_their_own(
    room: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LESSONS", ("05-delete",))
    held = room.Room(2, run.learner_environment())
    took = asyncio.run(held.hold())
    cells = code_cells(room.read(room.FOLDER / "05-delete.ipynb"))
    assert [len(seconds) for seconds in held.waits.values()] == [2] * len(cells)
    assert len(held.kernels) == len(held.emulators) == 2 and min(held.emulators) > 20 * MIB
    assert max(map(max, held.waits.values())) < took and held.processor_seconds > 0.5
