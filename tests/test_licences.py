"""Each package that is locked is listed with its licence, and none of the GPL family is in what a learner installs."""

import pytest

from tests import licences

WRITE = "write the page anew: python -m tests.licences"


def test_every_locked_package_is_listed_with_its_versions_and_no_other() -> None:
    locked = {name: (", ".join(versions), reader) for name, (versions, reader) in licences.packages().items()}
    assert {name: (row[0], row[2]) for name, row in licences.listed().items()} == locked, WRITE
    assert {"requests", "pytest", "pywinpty", "sphinx"} <= locked.keys()


def test_the_licences_are_those_of_the_installed_packages() -> None:
    """Where there is one version for all Pythons: another may have another licence."""
    installed = {name: licences.licence_of(name) for name, (versions, _) in licences.packages().items() if len(versions) == 1}
    shown = {name: row[1] for name, row in licences.listed().items() if installed.get(name, licences.UNKNOWN) != licences.UNKNOWN}
    assert shown == {name: licence for name, licence in installed.items() if licence != licences.UNKNOWN}, WRITE
    assert len(shown) > 100


def test_every_licence_is_known() -> None:
    assert [name for name, row in licences.listed().items() if row[1] in {licences.UNKNOWN, "UNKNOWN", ""}] == []


def test_a_learner_installs_nothing_under_the_gpl() -> None:
    found = [(name, licence) for name, (_, licence, reader) in licences.listed().items() if reader == "learner"]
    assert [each for each in found if licences.is_copyleft(each[1])] == [] and len(found) > 100


@pytest.mark.parametrize(
    "licence",
    ["GPL-3.0-or-later", "GNU General Public License v3 (GPLv3)", "AGPL-3.0-only", "LGPL-2.1", "MIT AND GPL-2.0-only",
     "GNU Affero", "gpl"],
)  # fmt: skip
def test_the_family_is_recognised(licence: str) -> None:
    assert licences.is_copyleft(licence)
    assert not licences.is_copyleft("Apache-2.0 AND BSD-2-Clause")
