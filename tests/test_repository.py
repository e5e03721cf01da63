"""What no file of the repository may contain, looked for in every file that is tracked or about to be."""

import subprocess
from pathlib import Path

import pytest

from tests import forbidden

ROOT = Path(__file__).parents[1]
CODE = {".py", ".sh", ".toml", ".cfg", ".sql", ".in"}


def files() -> list[Path]:
    """All files that git tracks, or would track after `git add`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def text_of(path: Path) -> str | None:
    """The text of the file; None for one that is no text."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return None


def problems(path: Path) -> list[str]:
    text = text_of(path)
    if text is None or path.suffix == ".ipynb":  # test_lessons.py looks at notebooks cell by cell
        return []
    return forbidden.in_code(text) if path.suffix in CODE or path.parent.name == ".ci" else forbidden.in_text(text)


def test_no_file_holds_what_is_private_or_belongs_to_one_machine() -> None:
    found = [f"{path.relative_to(ROOT)}: {problem}" for path in files() for problem in problems(path)]
    assert found == []


def test_files_are_found() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in files()}
    assert {"run.py", "requirements.txt", "tests/test_repository.py", "sample_dcms/blue-circle.dcm"} <= names
    assert not any(name.startswith(".venv/") for name in names)


@pytest.mark.parametrize(
    "text",
    [
        "open('/ho" + "me/anna/scan.dcm')",
        "cd /wo" + "rk/main",
        "/ro" + "ot/.bashrc",
        "C:\\Use" + "rs\\anna",
        "token = 'ey" + "JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.ey" + "JzdWIiOiIxIn0.abc'",
        "https://files.python" + "hosted.org/packages/a",
        "--extra-" + "index-url https://a.example/simple",
        "see .." + "/shared/design",
        "client.get(url, verify" + "=False)",
        "https://anna-lab.dicom." + "azurehealthcareapis.com/v2",
    ],
)
def test_each_forbidden_thing_is_noticed_in_code(text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(f"x = 1\n{text}\n")
    found = problems(path)
    assert len(found) == 1 and found[0].startswith("line 2: ")


@pytest.mark.parametrize(
    "text",
    [
        "GET /v2/studies/1.2/series", "https://host.example/home/x", "Never write verify" + "=False",
        "https://workspace-service.dicom.azurehealthcareapis.com", "see [the lesson](../notebooks/00-start-here.ipynb)",
    ],
)  # fmt: skip
def test_what_prose_may_say_passes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(text)
    assert problems(path) == []
