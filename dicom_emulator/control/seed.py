"""Instances that come from no client: the files of a folder, or the built-in synthetic set."""

import json
import logging
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.archive import Archive
from dicom_emulator.archive.ingest import ALREADY_EXISTS, PROCESSING_FAILURE, Rules, ingest
from dicom_emulator.archive.partitions import DEFAULT
from dicom_emulator.blocking import run_blocking
from dicom_emulator.control import synthetic
from dicom_emulator.control.body import read_object
from dicom_emulator.control.origin import refuse_foreign_pages
from dicom_emulator.errors import BadRequest
from dicom_emulator.settings import SYNTHETIC
from dicom_emulator.wire.responses import ServiceJson

EXAMPLE = '{"set": "synthetic"} or {"folder": "/path/to/files"}'
log = logging.getLogger("dicom_emulator")


@dataclass
class Seeded:
    """stored: how many instances are there now, those included that were there before."""

    stored: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)  # {"file": …, "failureReason": …}

    def note(self, file: str, failure_reason: int | None) -> None:
        if failure_reason in {None, ALREADY_EXISTS}:
            self.stored += 1
            return
        log.warning("%s is not stored: FailureReason %s", file, failure_reason)
        self.refused.append({"file": file, "failureReason": failure_reason})


def seed(archive: Archive, folder: Path) -> Seeded:
    """What --seed means: a folder, or the synthetic set where there is no folder of that name."""
    return seed_folder(archive, folder) if folder.is_dir() else seed_synthetic(archive)


def seed_folder(archive: Archive, folder: Path) -> Seeded:
    """Store every .dcm file below `folder`, as a v2 client would."""
    seeded = Seeded()
    for path in sorted(folder.rglob("*.dcm")):
        incoming = archive.files.new_incoming()
        try:
            shutil.copyfile(path, incoming)
            (outcome,) = ingest(archive, [incoming], Rules(DEFAULT.key))
            reason = outcome.failure_reason
        except OSError:
            incoming.unlink(missing_ok=True)
            reason = PROCESSING_FAILURE
        seeded.note(path.relative_to(folder).as_posix(), reason)
    return seeded


def seed_synthetic(archive: Archive) -> Seeded:
    """Store the synthetic set."""
    seeded = Seeded()
    for name, file in synthetic.instances():
        (outcome,) = ingest(archive, [file], Rules(DEFAULT.key))
        seeded.note(name, outcome.failure_reason)
    return seeded


async def add_instances(request: Request) -> Response:
    """POST /_emulator/seed"""
    refuse_foreign_pages(request)
    given = await read_object(request, EXAMPLE)
    archive = request.app.state.service.archive
    if given == {"set": SYNTHETIC}:
        seeded = await run_blocking(seed_synthetic, archive)
    elif given.keys() == {"folder"} and isinstance(given["folder"], str):
        seeded = await run_blocking(seed_folder, archive, existing(given["folder"]))
    else:
        raise BadRequest(f"A seed is {EXAMPLE}.")
    return ServiceJson(json.dumps(asdict(seeded)))


def existing(folder: str) -> Path:
    """Raises BadRequest."""
    if not os.path.isdir(folder):  # unlike Path.is_dir, this takes any text
        raise BadRequest(f"There is no folder {folder!r} on the emulator's machine.")
    return Path(folder)
