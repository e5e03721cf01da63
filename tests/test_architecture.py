"""Who may import whom: notebooks -> helpers; dicom_emulator.api -> wire, dicom, archive; archive -> dicom."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
EMULATOR = "dicom_emulator"

# What lessons may import besides helpers and the standard library: requirements.in declares it.
FOR_LESSONS = {"requests", "requests_toolbelt", "pydicom", "numpy", "matplotlib", "azure", "httpx", "dicomweb_client"}

# A room of the emulator -> the rooms it may import. The rooms are its folders; what lies beside them
# (app.py, settings.py, versions.py, errors.py, …) is not a room.
ROOMS = {
    "api": {"wire", "dicom", "archive"},
    "archive": {"dicom"},
    "wire": set(),
    "dicom": set(),
}


def imports(source: str, package: str) -> Iterator[str]:
    """The full names that `source`, a module of `package`, imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).strip(".")
            # `from package import module` names a module only together with what it imports.
            yield from (f"{base}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def modules(folder: Path, root: Path) -> Iterator[tuple[str, str, str]]:
    """(path, package, source) of each module below `folder`."""
    for path in sorted(folder.rglob("*.py")):
        package = ".".join(path.relative_to(root).parent.parts)
        yield path.relative_to(root).as_posix(), package, path.read_text("utf-8")


def importing(folder: Path, forbidden: set[str], root: Path) -> list[str]:
    """A sentence for each import below `folder` of one of the `forbidden` packages."""
    return [
        f"{path} imports {name}"
        for path, package, source in modules(folder, root)
        for name in imports(source, package)
        if any(is_in(name, one) for one in forbidden)
    ]


def wrong_arrows(root: Path) -> list[str]:
    """A sentence for each import between rooms of the emulator below `root` that no arrow allows."""
    emulator = root / EMULATOR
    rooms = {path.name for path in emulator.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    found = []
    for room, allowed in ROOMS.items():
        forbidden = {f"{EMULATOR}.{other}" for other in rooms - allowed - {room}}
        found += importing(emulator / room, forbidden, root)
    return found


def foreign_imports(notebook: Path) -> list[str]:
    """What the code cells of a lesson import that is neither helpers, nor declared, nor in the standard library."""
    cells = nbformat.read(notebook, as_version=4).cells
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    allowed = FOR_LESSONS | sys.stdlib_module_names | {"helpers"}
    return [name for name in imports(source, "") if name.split(".")[0] not in allowed]


def test_the_rooms_of_the_emulator_are_there() -> None:
    assert set(ROOMS) <= {path.name for path in (ROOT / EMULATOR).iterdir()}


def test_the_arrows_inside_the_emulator_go_one_way() -> None:
    assert wrong_arrows(ROOT) == []


def test_the_emulator_needs_neither_helpers_nor_notebooks_nor_tests() -> None:
    assert importing(ROOT / EMULATOR, {"helpers", "notebooks", "tests", "sample_dcms", "run"}, ROOT) == []


def test_helpers_reach_the_emulator_over_http_only() -> None:
    assert importing(ROOT / "helpers", {EMULATOR, "notebooks", "tests", "run"}, ROOT) == []


@pytest.mark.parametrize("folder", ["notebooks", "sample_dcms"])
def test_nothing_but_tests_imports_tests(folder: str) -> None:
    assert importing(ROOT / folder, {"tests", EMULATOR}, ROOT) == []


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_lesson_imports_helpers_and_what_is_declared(notebook: Path) -> None:
    assert foreign_imports(notebook) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("wire/accept.py", "from dicom_emulator.dicom import part10", ["dicom_emulator.dicom.part10"]),
        ("wire/accept.py", "from dicom_emulator import archive", ["dicom_emulator.archive"]),
        ("wire/accept.py", "from ..api.store import store", ["dicom_emulator.api.store.store"]),
        ("dicom/frames.py", "def f():\n    import dicom_emulator.wire.accept", ["dicom_emulator.wire.accept"]),
        ("archive/index.py", "from .. import wire", ["dicom_emulator.wire"]),
        ("api/store.py", "from dicom_emulator.control import seed", ["dicom_emulator.control.seed"]),
        ("api/store.py", "from dicom_emulator.wire import accept\nfrom ..errors import NotFound", []),
        ("archive/index.py", "from dicom_emulator.dicom import part10\nfrom . import files", []),
    ],
)
def test_an_arrow_the_wrong_way_is_noticed(path: str, source: str, expected: list[str], tmp_path: Path) -> None:
    for room in (*ROOMS, "control"):
        (tmp_path / EMULATOR / room).mkdir(parents=True)
        (tmp_path / EMULATOR / room / "__init__.py").touch()
    (tmp_path / EMULATOR / path).write_text(source)
    assert wrong_arrows(tmp_path) == [f"{EMULATOR}/{path} imports {name}" for name in expected]


def test_a_foreign_import_in_a_lesson_is_noticed(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("import json\nfrom helpers import start_lesson\nimport dicom_emulator, pandas")
        ]
    )
    nbformat.write(notebook, tmp_path / "x.ipynb")
    assert foreign_imports(tmp_path / "x.ipynb") == ["dicom_emulator", "pandas"]
