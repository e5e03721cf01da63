"""The emulator's README says what is true: its options, its routes, and a test for every row of its tables."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from dicom_emulator.api.transaction import Resource
from dicom_emulator.app import ROUTES
from dicom_emulator.settings import Settings

HERE = Path(__file__).parent
README = (HERE.parents[1] / "dicom_emulator" / "README.md").read_text("utf-8")


def section(title: str) -> str:
    return re.split(r"^## ", README.split(f"## {title}\n", 1)[1], flags=re.MULTILINE)[0]


def rows(title: str) -> list[list[str]]:
    """The cells of the table in a section, without its two header lines."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names_in(path: Path) -> set[str]:
    """The names of the tests in a file, those of classes as Class::test."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + each.name for each in inner if isinstance(each, ast.FunctionDef)}
    return found


def missing(reference: str, folder: Path = HERE) -> bool:
    file, _, name = reference.partition("::")
    return not (folder / file).is_file() or name not in names_in(folder / file)


def check_tests(row: list[str], columns: int) -> None:
    references = re.findall(r"`(test_\w+\.py::[\w:]+)`", row[-1])
    assert len(row) == columns and references, f"the row has no test: {row}"
    assert not [reference for reference in references if missing(reference)]


@pytest.mark.parametrize("row", rows("Where it differs, and what was decided"), ids=lambda row: row[0])
def test_every_difference_names_a_test_that_exists(row: list[str]) -> None:
    check_tests(row, columns=3)


ROUTES_TABLE = [row for row in rows("What is there") if len(row) == 5]
ABSENT_TABLE = [row for row in rows("What is there") if len(row) == 4 and row[-1] not in {"Test", "---"}]


@pytest.mark.parametrize("row", ROUTES_TABLE, ids=lambda row: row[0])
def test_every_route_has_a_state_and_a_test_that_exists(row: list[str]) -> None:
    assert row[3] in {"faithful", "approximated"}
    check_tests(row, columns=5)


@pytest.mark.parametrize("row", [row for row in ABSENT_TABLE if row[-1] != "nothing to try"], ids=lambda row: row[0])
def test_what_is_not_there_has_a_test_that_exists(row: list[str]) -> None:
    assert row[1].startswith(("absent", "there"))
    check_tests(row, columns=4)


@pytest.mark.parametrize(
    "row", rows("How each client connects") + rows("What surprises clients"), ids=lambda row: row[1]
)
def test_every_client_names_tests_that_exist_or_was_not_tried(row: list[str]) -> None:
    references = re.findall(r"`(tests/[\w/]+\.py::[\w:]+)`", row[-1])
    assert references or row[-1] == "not tried here", f"the row has no test: {row}"
    assert not [reference for reference in references if missing(reference, HERE.parents[1])]


def test_a_row_whose_test_is_gone_would_be_noticed() -> None:
    assert missing("test_readme.py::test_that_nobody_wrote") and missing("test_nowhere.py::test_x")
    assert not missing("test_readme.py::test_a_row_whose_test_is_gone_would_be_noticed")


def test_the_options_in_the_readme_are_those_of_the_program() -> None:
    listed = {row[0].strip("`").split()[0]: row[1].strip("`") for row in rows("Start")}
    assert listed.pop("--print-env") == ""
    assert listed.keys() == {option.metadata["flag"] for option in fields(Settings)}
    for option in fields(Settings):
        shown = listed[option.metadata["flag"]]
        is_switch = isinstance(option.default, bool)
        assert shown == ("off" if is_switch else "none" if option.default in {None, ()} else str(option.default))


def test_the_routes_in_the_readme_are_those_of_the_program() -> None:
    served = {
        route.path.removeprefix("/{version}"): ", ".join(sorted(route.transactions))
        for route in ROUTES
        if isinstance(route, Resource)
    }
    assert {row[0].strip("`"): row[1] for row in ROUTES_TABLE} == served
    assert ABSENT_TABLE, "the table of what is not there has no row that is checked"
