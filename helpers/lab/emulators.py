"""The way from JupyterLab to the emulators of its kernels: each kernel notes where its own answers, and a tile leads there.

`python -m helpers.lab.emulators PORT` serves what the tile opens. jupyter-server-proxy starts it, and passes requests on.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from helpers.auth import is_this_machine

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>DICOM emulator</title>
<body style="font-family: system-ui, sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em">
<h1>DICOM emulator</h1>
{content}
<p><a href=".">Look again</a></p>
"""


class Note(NamedTuple):
    """An emulator of a kernel. Its process is known by number and start, since numbers are given again."""

    lesson: str
    port: int
    process: int
    started: float


def folder() -> Path:
    return Path(jupyter_runtime_dir()) / "dicom-emulators"


def note(port: int, process: int) -> Path:
    """Write down that this kernel's emulator listens on `port`; returns the file, to be removed at its end."""
    lesson = (
        Path(os.environ.get("JPY_SESSION_NAME", "")).stem or "a program of your own"
    )  # Jupyter's name of the notebook
    path = folder() / f"{process}.json"
    with suppress(OSError, psutil.Error):  # a lesson goes on without the tile
        started = psutil.Process(process).create_time()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(Note(lesson, port, process, started)), "utf-8")
    return path


def running() -> list[Note]:
    """The emulators that still run, the newest first. Notes of others are removed: their kernels could not do it."""
    found = []
    for path in folder().glob("*.json"):
        try:
            noted = Note(*json.loads(path.read_text("utf-8")))
            is_alive = psutil.Process(noted.process).create_time() == noted.started
        except (OSError, ValueError, TypeError, psutil.Error):
            is_alive = False
        if is_alive:
            found.append(noted)
        else:
            path.unlink(missing_ok=True)
    return sorted(found, key=lambda noted: noted.started, reverse=True)


def proxied(port: int) -> str:
    """The emulator's page below jupyter-server-proxy, seen from the tile's own page."""
    return f"../proxy/{port}/_emulator/"


def destination(service: str, emulators: list[Note]) -> str:
    """Where the tile leads without a choice; nothing if there is one to make.

    >>> destination("http://127.0.0.1:8080", [])
    '../proxy/8080/_emulator/'
    >>> destination("", [Note("02-store-stow", 5001, 7, 0.0)])
    '../proxy/5001/_emulator/'
    >>> destination("", []), destination("https://dicom.example", [])
    ('', '')
    """
    if service:
        return proxied(urlsplit(service).port or 80) if is_this_machine(service) else ""
    return proxied(emulators[0].port) if len(emulators) == 1 else ""


def content(service: str, emulators: list[Note]) -> Iterator[str]:
    """The choice, or why there is none."""
    if service:
        yield f"<p>The lessons use {escape(service)}, as DICOM_SERVICE_URL says. It is on another machine.</p>"
    elif not emulators:
        yield "<p>No emulator is running. Each lesson starts one for itself: run the first cell of a lesson.</p>"
    else:
        yield "<p>Each lesson that is open has an emulator of its own.</p><ul>"
        yield from (f'<li><a href="{proxied(each.port)}">{escape(each.lesson)}</a></li>' for each in emulators)
        yield "</ul>"


class Tile(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        service, emulators = os.environ.get("DICOM_SERVICE_URL", "").strip(), running()
        page = PAGE.format(content="\n".join(content(service, emulators))).encode()
        goal = destination(service, emulators)
        self.send_response(302 if goal else 200)
        if goal:
            self.send_header("Location", goal)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Nothing is written to the terminal of JupyterLab."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Tile).serve_forever()
