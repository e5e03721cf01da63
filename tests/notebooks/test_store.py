"""run.py notebooks: what is run, what is written, and what is left alone when a cell fails."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_notebook

import run
from tests.notebooks import store
from tests.notebooks.conftest import code, good_notebook, png, printed, prose
from tests.notebooks.guards import executed_in_order, in_stored_form

Write = Callable[..., Path]

SHOW_ENVIRONMENT = """import os
print([name for name in ("DICOM_SERVICE_URL", "PYTHONPATH") if name in os.environ])
print("inline" in os.environ["MPLBACKEND"])
print("127.0.0.1" in os.environ["NO_PROXY"])
print(os.path.basename(os.getcwd()), flush=True)
print("done")"""


def test_a_notebook_is_stored_as_it_runs_now(
    lesson: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DICOM_SERVICE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = new_notebook(cells=[prose("# Title", "title"), code(SHOW_ENVIRONMENT, 7), code("6 * 7", 3)])
    notebook.metadata = {"vscode": {"interpreter": {}}, "kernelspec": {"name": "mine", "display_name": "Mine"}}
    notebook.cells[1].metadata = {"collapsed": True, "tags": ["kept"]}
    path = lesson(name="01-example.ipynb")
    path.write_text(nbformat.writes(notebook), "utf-8")

    assert store.main([], path.parent) == 0
    assert "01-example: stored anew" in capsys.readouterr().out
    stored = store.read(path)
    assert executed_in_order(path) == in_stored_form(path) == []
    assert [cell.id for cell in stored.cells] == ["title", "code-7", "code-3"]
    assert stored.cells[1].metadata == {"tags": ["kept"]}
    assert stored.metadata == store.METADATA
    assert [output.text for output in stored.cells[1].outputs] == [f"[]\nTrue\nTrue\n{path.parent.name}\ndone\n"]
    assert stored.cells[2].outputs[0].data == {"text/plain": "42"}

    assert store.main(["01"], path.parent) == 0
    assert "01-example: unchanged" in capsys.readouterr().out


def test_a_failing_cell_is_named_and_the_file_stays_as_it_is(lesson: Write, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [prose("# Title", "title"), code("x = 1", 1), code("1 / 0", 2), code("x", 3)]
    path = lesson(new_notebook(cells=cells))
    before = path.read_bytes()
    assert store.main([], path.parent) == 1
    assert capsys.readouterr().err == (
        "09-example.ipynb, code cell 2: ZeroDivisionError: division by zero\nThe file was not changed.\n"
    )
    assert path.read_bytes() == before


def test_a_cell_that_never_ends_is_named(lesson: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SECONDS_FOR_A_CELL", 1)
    path = lesson(new_notebook(cells=[code("import time; time.sleep(30)", 1)]))
    with pytest.raises(store.LessonFailed, match="09-example.ipynb, code cell 1: not done after 1 seconds"):
        store.store(path, run.learner_environment())


def test_a_kernel_that_dies_is_named(lesson: Write) -> None:
    path = lesson(new_notebook(cells=[code("import os; os._exit(1)", 1)]))
    with pytest.raises(store.LessonFailed, match="09-example.ipynb, code cell 1: the kernel died"):
        store.store(path, run.learner_environment())


def test_ctrl_c_is_clean(lesson: Write, tmp_path: Path) -> None:
    path = lesson(new_notebook(cells=[code("open('running', 'w').close()\nimport time; time.sleep(60)", 1)]))
    before = path.read_bytes()
    program = (
        "import pathlib, sys; from tests.notebooks.store import main; sys.exit(main([], pathlib.Path(sys.argv[1])))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=run.ROOT, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "running").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=20)
    assert (process.returncode, printed) == (130, "\nStopped. The notebook that was running is as it was.\n")
    assert path.read_bytes() == before


def test_ctrl_c_is_clean_while_packages_are_still_being_loaded(tmp_path: Path) -> None:
    slow = "import signal, time; signal.raise_signal(signal.SIGINT); time.sleep(60)"
    (tmp_path / "nbclient.py").write_text(slow, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tests.notebooks"], cwd=run.ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nStopped.\n")


def test_run_starts_what_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []
    monkeypatch.setattr(run, "prepare", lambda locks: Path(sys.executable))
    monkeypatch.setattr(run, "hand_over", lambda command, env: commands.append(command) or 0)
    run.notebooks(["02"])
    assert commands == [[sys.executable, "-m", "tests.notebooks", "02"]]


def test_notebooks_are_chosen_by_number_name_or_path(lesson: Write) -> None:
    paths = [lesson(name=name) for name in ("01-a.ipynb", "02-b.ipynb", "02b-c.ipynb")]
    folder = paths[0].parent
    assert store.choose([], folder) == paths
    assert store.choose(["02"], folder) == [paths[1]]
    assert store.choose(["notebooks/01-a.ipynb", "02b-c"], folder) == [paths[0], paths[2]]


def test_a_name_that_fits_no_notebook_is_told(lesson: Write, capsys: pytest.CaptureFixture[str]) -> None:
    folder = lesson(name="01-a.ipynb").parent
    assert store.main(["7"], folder) == 1
    assert "no notebook '7'" in capsys.readouterr().err


def test_pieces_of_a_stream_are_joined_and_its_place_is_kept() -> None:
    notebook = good_notebook()
    cell = notebook.cells[3]
    cell.outputs = [printed("a"), printed("b"), cell.outputs[0], printed("c"), printed("!", "stderr"), printed("d")]
    joined = store.joined(cell.outputs)
    assert [output.get("text", output.output_type) for output in joined] == ["ab", "display_data", "c", "!", "d"]
    assert cell.outputs[0].text == "a", "the outputs that were given stay as they were"


def test_the_stored_form_of_a_stored_notebook_is_itself(lesson: Write) -> None:
    path = lesson()
    assert store.stored_form(store.read(path)) == path.read_text("utf-8")
    assert png() in path.read_text("utf-8")
