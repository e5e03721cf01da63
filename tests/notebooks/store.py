"""Run the lessons again and store them with what they print now: python3 run.py notebooks [NAMES]

One form for all: executed from top to bottom, no trace of an editor, no times, so that a diff shows only what changed.
"""

import argparse
import asyncio
import copy
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

import run

FOLDER = Path(__file__).parents[2] / "notebooks"
SECONDS_FOR_A_CELL = 60

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


class Client(NotebookClient):
    """nbclient, but Ctrl-C raises KeyboardInterrupt as everywhere else: its own answer ends in a traceback."""

    async def async_start_new_kernel(self, **options: Any) -> None:
        if sys.platform != "win32":
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
        await super().async_start_new_kernel(**options)


class LessonFailed(Exception):
    """A cell failed. The text names the notebook, the cell and the error."""


def read(path: Path) -> NotebookNode:
    """The notebook in `path`; LessonFailed when it cannot be read as one."""
    try:
        return nbformat.reads(path.read_text("utf-8"), as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise LessonFailed(f"{path.name} cannot be read as a notebook: {error}") from None


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(
    notebook: NotebookNode,
    name: str,
    env: Mapping[str, str],
    folder: Path = FOLDER,
    on_cell: Callable[[int], None] = lambda number: None,
) -> NotebookNode:
    """A copy of `notebook` with the outputs of a run in a new kernel that has `env` as its environment.

    `name` is for error messages. `on_cell` is called with the number of each code cell before it runs.
    Raises LessonFailed at the first cell that fails.
    """
    notebook = copy.deepcopy(notebook)
    at = 0

    def starts(cell: NotebookNode, cell_index: int) -> None:
        nonlocal at
        at += 1
        on_cell(at)

    client = Client(
        notebook,
        kernel_name="python3",
        timeout=SECONDS_FOR_A_CELL,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=starts,
    )
    try:
        # A folder of its own for IPython: what the person at this machine has set up must not show in a lesson.
        with tempfile.TemporaryDirectory(prefix="ipython-") as settings:
            # What the kernel says of itself on the terminal, beside the outputs of cells, is of no use to anybody.
            client.execute(env={**env, "IPYTHONDIR": settings}, stderr=subprocess.DEVNULL)
    except CellExecutionError as error:
        raise LessonFailed(f"{name}, code cell {at}: {error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise LessonFailed(f"{name}, code cell {at}: not done after {SECONDS_FOR_A_CELL} seconds") from None
    except DeadKernelError:
        raise LessonFailed(f"{name}, code cell {at}: the kernel died") from None
    return notebook


def stored_form(notebook: NotebookNode) -> str:
    """The text of the file in which `notebook` is stored. Of a cell's metadata only its tags are kept."""
    cells = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        plain = {"metadata": {"tags": tags} if tags else {}}
        plain |= {name: cell[name] for name in ("id", "cell_type", "source", "execution_count") if name in cell}
        if cell.cell_type == "code":
            plain["outputs"] = joined(cell.outputs)
        cells.append(plain)
    form = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": METADATA, "cells": cells})
    nbformat.validate(form)
    return nbformat.writes(form) + "\n"


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """`outputs` with neighbouring pieces of one stream as one: the pieces depend on timing, their text does not."""
    result: list[NotebookNode] = []
    for output in outputs:
        previous = result[-1] if result else {}
        if output.output_type == "stream" and output["name"] == previous.get("name"):
            result[-1] = NotebookNode(previous, text=previous["text"] + output.text)
        else:
            result.append(output)
    return result


def store(path: Path, env: Mapping[str, str], on_cell: Callable[[int], None] = lambda number: None) -> bool:
    """Run the notebook in `path` and write it back in its stored form. True if the file is another one now.

    When a cell fails the file stays as it is, and LessonFailed is raised.
    """
    before = path.read_bytes()
    after = stored_form(execute(read(path), path.name, env, path.parent, on_cell)).encode()
    if after != before:
        path.write_bytes(after)
    return after != before


def choose(names: list[str], folder: Path) -> list[Path]:
    """The notebooks that `names` mean: 02, 02-store-stow, notebooks/02-store-stow.ipynb. No names: all of them."""
    there = sorted(folder.glob("*.ipynb"))
    chosen = []
    for name in names:
        wanted = re.sub(r"\.ipynb$", "", Path(name).name)
        fitting = [path for path in there if path.stem == wanted or path.stem.startswith(f"{wanted}-")]
        if not fitting:
            known = ", ".join(path.stem for path in there)
            raise LessonFailed(f"there is no notebook {name!r} in {folder.name}. There are: {known}")
        chosen += fitting
    return chosen or there


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    parser = argparse.ArgumentParser(prog="run.py notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="02, or 02-store-stow, or notebooks/02-store-stow.ipynb; default: all")
    options = parser.parse_args(arguments)
    failed = False
    try:
        for path in choose(options.names, folder):
            failed = not store_and_tell(path) or failed
    except LessonFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The notebook that was running is as it was.", file=sys.stderr)
        return 130
    return 1 if failed else 0


def store_and_tell(path: Path) -> bool:
    """Store one notebook and print one line about it. False if a cell failed."""
    start = time.monotonic()
    live = sys.stdout.isatty()

    def tell(number: int) -> None:
        if live:
            print(f"\r{path.stem}: cell {number}", end="", flush=True)

    try:
        changed = store(path, run.learner_environment(), tell)
    except LessonFailed as error:
        print("\r" * live + f"{error}\nThe file was not changed.", file=sys.stderr)
        return False
    seconds = time.monotonic() - start
    print("\r" * live + f"{path.stem}: {'stored anew' if changed else 'unchanged'}, {seconds:.1f} s", flush=True)
    return True
