"""Files that are stored at the start: --seed DIR."""

import logging
import shutil
from pathlib import Path

from dicom_emulator.archive import Archive
from dicom_emulator.archive.ingest import ALREADY_EXISTS, ingest
from dicom_emulator.archive.partitions import DEFAULT

log = logging.getLogger("dicom_emulator")


def seed(archive: Archive, folder: Path) -> int:
    """Store every .dcm file below `folder`, as a v2 client would. Returns how many are there now."""
    stored = 0
    for path in sorted(folder.rglob("*.dcm")):
        incoming = archive.files.new_incoming()
        shutil.copyfile(path, incoming)
        outcome = ingest(archive, incoming, DEFAULT.key, study=None, strict=False)
        if outcome.failure_reason in {None, ALREADY_EXISTS}:
            stored += 1
        else:
            log.warning("%s is not stored: FailureReason %s", path.name, outcome.failure_reason)
    return stored
