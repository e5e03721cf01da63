"""Throw-away notebooks, to show that each rule can be broken and that breaking it is noticed."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tests.notebooks.store import stored_form

TITLE = """# Retrieve: get pictures back

| Time | You need | You will be able to |
| --- | --- | --- |
| 40 min | nothing | fetch a study; draw a frame |
"""
CLOSING = """## Recap

- You can fetch a study. Read [about the anchor](#anchored) again.
- You can draw a frame.

## Exercises

- Fetch another one.

## When it goes wrong

## Next
"""


def png(colour: tuple[int, int, int] = (237, 28, 36), size: tuple[int, int] = (20, 10)) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def picture(**changes: object) -> NotebookNode:
    data = {"image/png": png(**changes), "text/plain": "[picture: a red box]"}
    return new_output("display_data", data=data, metadata={"image/png": {"alt": "a red box"}})


def code(source: str, count: int, *outputs: NotebookNode, **metadata: object) -> NotebookNode:
    cell = new_code_cell(source, execution_count=count, outputs=list(outputs), metadata=metadata)
    cell["id"] = f"code-{count}"
    return cell


def prose(source: str, name: str) -> NotebookNode:
    cell = new_markdown_cell(source)
    cell["id"] = name
    return cell


def printed(text: str, stream: str = "stdout") -> NotebookNode:
    return new_output("stream", name=stream, text=text)


def good_notebook() -> NotebookNode:
    """A lesson that breaks no rule."""
    facts = "box, frame 1: 10×20×3 uint8, min 28, max 237, sha256 0123456789ab…\n"
    return new_notebook(
        cells=[
            prose(TITLE, "title"),
            prose('<a id="anchored"></a>\n## A step', "step"),
            code("print(1)", 1, printed("1\n")),
            code("show_frame(pixels)", 2, picture(), printed(facts)),
            prose(CLOSING, "closing"),
        ]
    )


@pytest.fixture
def lesson(tmp_path: Path) -> Callable[..., Path]:
    """Writes a notebook in its stored form, a good one unless told otherwise, and returns its path."""

    def write(notebook: NotebookNode | None = None, name: str = "09-example.ipynb") -> Path:
        path = tmp_path / name
        path.write_text(stored_form(notebook or good_notebook()), "utf-8")
        return path

    return write


@pytest.fixture
def broken(lesson: Callable[..., Path]) -> Callable[..., Path]:
    """A good notebook, with `change` applied to it."""

    def write(change: Callable[[NotebookNode], object]) -> Path:
        notebook = nbformat.from_dict(good_notebook())
        change(notebook)
        return lesson(notebook)

    return write
