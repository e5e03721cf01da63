"""Comparing what was stored with what comes now: the comparison notices each kind of difference."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_notebook, new_output

from tests.notebooks.conftest import code, picture, printed
from tests.notebooks.outputs import differences, image_differences

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [printed("a\n")],
        [picture()],
        [picture(), printed("a"), picture(colour=(0, 0, 0))],
        [new_output("error", ename="ValueError", evalue="no", traceback=["line 1"])],
    ],
)
def test_the_same_outputs_do_not_differ(outputs: list[Any]) -> None:
    assert differences(outputs, outputs) == []


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ([printed("a")], [printed("b")]),
        ([printed("a")], [printed("a", "stderr")]),
        ([printed("a")], []),
        ([], [printed("a")]),
        ([printed("a"), picture()], [picture(), printed("a")]),
        ([picture()], []),
        ([new_output("error", ename="ValueError", evalue="no")], [new_output("error", ename="KeyError", evalue="no")]),
        (
            [new_output("execute_result", data={"text/plain": "1"})],
            [new_output("execute_result", data={"text/plain": "2"})],
        ),
    ],
)
def test_other_text_is_noticed(stored: list[Any], new: list[Any]) -> None:
    assert differences(stored, new) != []


def test_pieces_of_a_stream_make_no_difference() -> None:
    assert differences([printed("a"), printed("b")], [printed("ab")]) == []


def test_a_slightly_different_picture_passes_and_another_one_is_noticed() -> None:
    assert image_differences([picture()], [picture(colour=(237, 29, 37))]) == []
    assert "differs by" in image_differences([picture()], [picture(colour=(237, 60, 36))])[0]


def test_a_picture_of_another_size_or_number_is_noticed() -> None:
    assert image_differences([picture()], [picture(size=(20, 11))]) == ["a picture was 20×10, now it is 20×11"]
    assert image_differences([picture()], []) == ["1 pictures are stored, 0 came now"]


SHOW_RED = """from IPython.display import Image, display
import base64, io
import PIL.Image
buffer = io.BytesIO()
PIL.Image.new("RGB", (20, 10), (237, 28, 36)).save(buffer, "png")
display(Image(buffer.getvalue()))"""


def test_nbval_runs_with_the_pictures_compared(lesson: Callable[..., Path]) -> None:
    """The hooks of the root conftest.py, at work on a notebook that has one right picture and one wrong one."""
    text = "<IPython.core.display.Image object>"
    stored = [picture(), picture(colour=(34, 177, 76))]
    for output in stored:
        output.data["text/plain"] = text
    path = lesson(new_notebook(cells=[code(SHOW_RED, number, output) for number, output in enumerate(stored, start=1)]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "conftest", "-p", "no:cacheprovider",
         "--color=no", str(path)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "a picture differs by" in done.stdout
