"""docs/licences.md: what is installed, and under which licence. `python -m tests.licences` writes it anew."""

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
# Who installs what a lock lists; a package that two of them have is told of once, for the first.
LOCKS = {
    "requirements.txt": "learner",
    "docs/requirements.txt": "site",
    "workshop/hub/requirements.txt": "hub",
    "tests/requirements.txt": "tests",
}
PACKAGE = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.MULTILINE)
# What is installed on other systems than the one that writes the page, as their own metadata say.
ELSEWHERE = {"appnope": "BSD-2-Clause", "colorama": "BSD License", "pywinpty": "MIT License"}
UNKNOWN = "unknown"
HEAD = """\
# Licences

What the locks list, and the licence that each package names in its metadata. `python -m tests.licences` writes this page
after they have changed. What a learner installs has no licence of the GPL family, nor may it get one: a test looks.

| Package | Version | Licence | For |
| --- | --- | --- | --- |
"""


def packages() -> dict[str, tuple[list[str], str]]:
    """Name -> the versions that are locked, for one Python or another, and for whom."""
    found: dict[str, tuple[list[str], str]] = {}
    for lock, reader in LOCKS.items():
        for name, version in PACKAGE.findall((ROOT / lock).read_text("utf-8")):
            versions, _ = found.setdefault(name, ([], reader))
            if version not in versions:
                versions.append(version)
    return dict(sorted(found.items()))


def licence_of(name: str) -> str:
    """What an installed package says: its expression, else its classifiers, else its text: the name in it, or its first words."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ELSEWHERE.get(name, UNKNOWN)
    if said["License-Expression"]:
        return said["License-Expression"]
    classifiers = [each for each in said.get_all("Classifier", []) if each.startswith("License ::")]
    if classifiers:
        return ", ".join(each.split(" :: ")[-1] for each in classifiers)
    text = said["License"] or UNKNOWN
    named = re.search("Modified BSD License", text)
    return named[0] if named else text.splitlines()[0][:60]


def page() -> str:
    rows = [
        f"| {name} | {', '.join(versions)} | {licence_of(name)} | {reader} |\n"
        for name, (versions, reader) in packages().items()
    ]
    return HEAD + "".join(rows)


def listed() -> dict[str, list[str]]:
    """Name -> versions, licence and reader, as the page has them."""
    rows = [line.strip("|").split(" | ") for line in PAGE.read_text("utf-8").removeprefix(HEAD).splitlines()]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows}


def is_copyleft(licence: str) -> bool:
    """Whether it is the GPL or one of its relatives, LGPL and AGPL, by any of its names."""
    return bool(re.search(r"GPL|General Public|Affero", licence, re.IGNORECASE))


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
