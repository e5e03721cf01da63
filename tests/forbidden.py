"""What no file of this project may contain, as functions over a text, for files and for notebook cells."""

import re

# A machine's own folders. An address like https://host/home/x is no path, nor is a URL path below a host's name.
MACHINE_PATH = re.compile(r"(?<![\w.:/{}-])(?:/(?:root|home|Users|work|opt|mnt)/[\w.{<~-]|[A-Za-z]:\\+Users\\)")
TOKEN = re.compile(r"\beyJ[\w-]{16,}\.[\w-]{8,}")
REGISTRY_HOST = re.compile(
    r"\b(?:files\.pythonhosted|pypi|registry\.npmjs)\.org\b|--(?:extra-)?index-url|--find[-]links"
)
OUTSIDE = re.compile(r"\.\./shared\b")
SERVER_NAME = re.compile(r"\b([a-z0-9-]+)\.dicom\.azurehealthcareapis\.com\b")
UNVERIFIED = re.compile(r"\bverify\s*=\s*False\b")

RULES = {
    "a path of somebody's machine": MACHINE_PATH,
    "an access token": TOKEN,
    "the address of a package registry": REGISTRY_HOST,
    "a path outside the project": OUTSIDE,
}

# Names that stand for the reader's own server.
STAND_INS = re.compile(r"(?:(?:my|your|example|workspace|dicom|service|name)-?)+")


def in_text(text: str) -> list[str]:
    """A sentence, with its line number, for each thing in `text` that no file may contain, be it code or prose."""
    found = [(match, meaning) for meaning, pattern in RULES.items() for match in pattern.finditer(text)]
    found += [(name, "somebody's server") for name in SERVER_NAME.finditer(text) if not STAND_INS.fullmatch(name[1])]
    # Only the beginning: a test's log is read by many.
    return [f"line {line_of(match, text)}: {meaning}: {match[0][:12]}…" for match, meaning in found]


def in_code(text: str) -> list[str]:
    """As in_text, and for what only prose may name, to warn of it."""
    unverified = [f"line {line_of(match, text)}: TLS without check: {match[0]}" for match in UNVERIFIED.finditer(text)]
    return in_text(text) + unverified


def line_of(match: re.Match[str], text: str) -> int:
    return text.count("\n", 0, match.start()) + 1
