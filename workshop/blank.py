"""Lessons for live coding: python3 run.py blank FOLDER. The code of the steps is gone, so that you type it in front of the room."""

import json
import re
from pathlib import Path

PROMPT = "# …"
EXERCISE = re.compile(r'^check\("', re.MULTILINE)
A_UID = re.compile(r'^\w+ = "[\d.]{20,}".*$', re.MULTILINE)  # nobody types 64 digits in front of a room


def blanked(path: Path) -> bytes:
    """The file as it is copied: a lesson without outputs and without the code of its steps, any other file as it is.

    The first code cell, which starts the lesson, and the exercises keep their code.
    """
    if path.suffix != ".ipynb":
        return path.read_bytes()
    notebook = json.loads(path.read_text("utf-8"))
    started = False
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        if started and not EXERCISE.search(source):
            cell["source"] = "\n".join([*A_UID.findall(source), PROMPT]).splitlines(keepends=True)
        cell["outputs"], cell["execution_count"] = [], None
        started = True
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()
