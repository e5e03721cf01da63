"""The table that leads from a path to its resource, against trying the patterns of all of them one after another."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dicom_emulator.api.transaction import Resource, Resources
from dicom_emulator.app import ROUTES
from dicom_emulator.versions import number_of

RESOURCES = [route for route in ROUTES if isinstance(route, Resource)]
TABLE = Resources(RESOURCES)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
NAMES = sorted({name for each in RESOURCES for name in each.path.split("/")[2:]} | {"partitions", "1.2.3", "", "a b"})


def by_patterns(path: str, method: str) -> tuple[Resource | None, dict[str, Any]]:
    """The first that fits and knows the method, or else the first that fits."""
    fitting = [(each, found) for each in RESOURCES if (found := each.path_regex.fullmatch(path))]
    fitting = [(each, found) for each, found in fitting if number_of(found["version"])]
    fitting.sort(key=lambda each: method not in each[0].transactions)
    return (fitting[0][0], fitting[0][1].groupdict()) if fitting else (None, {})


def by_table(path: str, method: str) -> tuple[Resource | None, dict[str, Any]]:
    scope: dict[str, Any] = {"path": path, "method": method}
    return TABLE.find(scope), scope.get("path_params", {})


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: each.path)
def test_each_path_of_the_table(resource: Resource) -> None:
    below = resource.path.removeprefix("/{version}")
    assert by_table("/v2" + below, next(iter(resource.transactions)))[0] is resource
    prefixes = ["/v2", "/V1.0-prerelease", "/v2/partitions/p", "/v2/Partitions/partitions", "/x", ""]
    for prefix, end, method in product(prefixes, ["", "/", "//", "/x"], METHODS):
        for path in (prefix + below + end, (prefix + below + end).upper()):
            assert by_table(path, method) == by_patterns(path, method), path


@given(some.sampled_from(["/v2", "/v1/partitions/p", "/vx", "*"]), some.lists(some.sampled_from(NAMES), max_size=9),
       some.sampled_from(METHODS))  # fmt: skip
def test_any_path(prefix: str, names: list[str], method: str) -> None:
    path = "/".join([prefix, *names])
    assert by_table(path, method) == by_patterns(path, method)
