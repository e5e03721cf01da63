"""The diary of an upload: one JSON object a line, so that what was cut off anywhere can still be read."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from helpers.errors import HelperError

FORMAT = "upload"


class NotAJournal(HelperError):
    """The file that was named as a journal is something else. Nothing was written to it."""


class Journal:
    """What became of each file, kept on disk while the upload goes on.

    A line that begins a run names the `target`, the address that files are sent to; what was sent to another address
    does not count. `last(name)` is the newest entry about a file. A half-written last line is passed over.

    Raises NotAJournal.
    """

    def __init__(self, path: str | Path, target: str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._last: dict[str, dict[str, Any]] = {}
        torn = self._read(target)
        self._file = self.path.open("a", encoding="utf-8", newline="\n")
        if torn:
            self._file.write("\n")
        self.write([{"journal": FORMAT, "target": target}])

    def _read(self, target: str) -> bool:
        """Take in what is there; True when the last line has no end."""
        if not self.path.exists():
            return False
        content = self.path.read_bytes()
        entries = [entry for line in content.splitlines() if (entry := parsed(line)) is not None]
        if content and (not entries or entries[0].get("journal") != FORMAT):
            raise NotAJournal(f"{self.path} is no journal of an upload: choose another name, journal=…")
        ours = False
        for entry in entries:
            if "journal" in entry:
                ours = entry.get("target") == target
            elif ours and isinstance(entry.get("file"), str):
                self._last[entry["file"]] = entry
        return bool(content) and not content.endswith(b"\n")

    def last(self, name: str) -> dict[str, Any]:
        return self._last.get(name, {})

    def write(self, entries: Iterable[dict[str, Any]]) -> None:
        """Append the entries in one go; they are with the operating system when this returns."""
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        with self._lock:
            self._file.write(text)
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
