"""/_emulator/: a page to look at what is stored and what was asked for. The files are in the folder `home`."""

import functools
import json
import sqlite3
from importlib.resources import files
from pathlib import PurePath

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import DicomDictionary
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dicom_emulator.archive.partitions import partitions
from dicom_emulator.blocking import run_blocking
from dicom_emulator.control.origin import refuse_foreign_pages
from dicom_emulator.dicom.attributes import hex_tag
from dicom_emulator.wire.responses import ServiceJson

FOLDER = files("dicom_emulator.control") / "home"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Name below /_emulator/ -> name of the file.
FILES = {
    path.name.removeprefix("index.html"): path.name for path in FOLDER.iterdir() if PurePath(path.name).suffix in TYPES
}
# Nothing inline, nothing from elsewhere, and no text that becomes markup: what is stored may come from anybody.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


async def redirect(request: Request) -> Response:
    """To the page, by a relative address, so that it is found behind a path prefix, too."""
    return RedirectResponse("_emulator/")


async def serve(request: Request) -> Response:
    """The page or one of its files."""
    name = FILES[request.scope["path"].removeprefix("/_emulator/")]
    content = await run_blocking((FOLDER / name).read_bytes)
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    return Response(content, media_type=TYPES[PurePath(name).suffix], headers=headers)


async def dictionary(request: Request) -> Response:
    """Keywords by tag and names by UID, which DICOM JSON does not tell."""
    return ServiceJson(await run_blocking(names), headers={"Cache-Control": "max-age=86400"})


@functools.cache
def names() -> str:
    keywords = {hex_tag(tag): entry[4] for tag, entry in DicomDictionary.items() if entry[4]}
    uids = {uid: entry[0] for uid, entry in UID_dictionary.items()}
    return json.dumps({"keywords": keywords, "uids": uids}, separators=(",", ":"))


async def summary(request: Request) -> Response:
    """How much is stored in each partition, and the number of the last change."""
    refuse_foreign_pages(request)
    service = request.app.state.service
    found = await run_blocking(lambda: counts(service.archive.index.reader))
    return ServiceJson(json.dumps(found | {"partitioned": service.settings.partitions}))


def counts(reader: sqlite3.Connection) -> dict[str, object]:
    (change,) = reader.execute("SELECT COALESCE(MAX(sequence), 0) FROM change_feed").fetchone()
    return {
        "change": change,
        "partitions": [{"name": each.name, **count(reader, each.key)} for each in partitions(reader)],
    }


def count(reader: sqlite3.Connection, partition: int) -> dict[str, int]:
    tables = {
        "studies": "study",
        "series": "series JOIN study USING (study_key)",
        "instances": "instance JOIN study USING (study_key)",
    }
    return {
        name: reader.execute(f"SELECT COUNT(*) FROM {table} WHERE partition_key = ?", [partition]).fetchone()[0]
        for name, table in tables.items()
    }
