"""The solutions that are folded away in the lessons solve their exercises: each lesson is run with them in place."""

import re
from collections.abc import Iterator

import pytest
from nbformat import NotebookNode

import run
from tests.notebooks.store import FOLDER, code_cells, execute, read
from tests.notebooks.test_lessons import LESSONS

SOLUTION = re.compile(
    r"<details>\s*<summary>Solution of exercise (\d\d\.\d)</summary>\s*```python\n(.*?)```.*?</details>", re.DOTALL
)
CHECK = re.compile(r'^check\("(\d\d\.\d)"', re.MULTILINE)


def solutions(notebook: NotebookNode) -> dict[str, str]:
    """The code of each folded solution by the number of its exercise."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return {number: code.strip() for number, code in SOLUTION.findall(prose)}


def solved(notebook: NotebookNode) -> Iterator[str]:
    """Puts the solutions in the places of the exercises; yields the exercises' numbers."""
    found = solutions(notebook)
    for cell in code_cells(notebook):
        if number := CHECK.search(cell.source):
            assert number[1] in found, f"exercise {number[1]} has no folded solution"
            imports = [line for line in cell.source.splitlines() if re.match(r"(from|import) ", line)]
            cell.source = "\n".join([*imports, found[number[1]]])
            yield number[1]


@pytest.mark.parametrize("name", LESSONS)
def test_the_solutions_of_a_lesson_are_right(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    notebook = read(FOLDER / f"{name}.ipynb")
    numbers = list(solved(notebook))
    folder = tmp_path_factory.mktemp("learner")  # a learner's own progress stays as it is
    (folder / "helpers.py").write_text(
        (FOLDER / "helpers.py")
        .read_text("utf-8")
        .replace("Path(__file__).resolve().parent.parent", f"Path({str(FOLDER.parent)!r})")
    )
    done = execute(notebook, name, run.learner_environment(), folder)
    printed = ["".join(output.get("text", "") for output in cell.outputs) for cell in code_cells(done)]
    replies = [line for text in printed for line in text.splitlines() if re.match("[○✗✓] Exercise", line)]
    assert [line for line in replies if not line.startswith("✓")] == []
    assert len(replies) == len(numbers) > 0
