"""Other values for attributes of whole studies (conformance statement, bulk update)."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_emulator.archive import change_feed, operations
from dicom_emulator.archive.change_feed import Event
from dicom_emulator.archive.extended_query_tags import index_stored
from dicom_emulator.archive.operations import Operation
from dicom_emulator.archive.query import fold
from dicom_emulator.dicom import dicom_json, frames, part10
from dicom_emulator.dicom.attributes import CORE, hex_tag
from dicom_emulator.dicom.elements import CHARACTER_SET
from dicom_emulator.dicom.rewrite import CannotRewrite, rewrite

if TYPE_CHECKING:
    from dicom_emulator.archive import Archive, StoredInstance

Changes = dict[int, tuple[str, str]]  # VR and text by tag


@dataclass(frozen=True)
class NewVersion:
    """A version of an instance that is written and not yet in the index. `watermark` is that of the version before."""

    watermark: int
    identifiers: tuple[str, str, str]
    file: str
    size: int
    frames: str | None
    metadata: str


def start(transaction: sqlite3.Connection, partition: int, studies: list[str], changes: Changes) -> Operation:
    """The operation that will give the studies' attributes other values."""
    by_path = {hex_tag(tag): change for tag, change in changes.items()}
    return operations.add(transaction, "update", partition=partition, studies=studies, changes=by_path)


def update(archive: "Archive", operation: Operation) -> Iterator[None]:
    """The job that updates one study at a step, all its instances at once."""
    studies, partition = operation.input["studies"], operation.input["partition"]
    changes = {int(path, 16): (vr, text) for path, (vr, text) in operation.input["changes"].items()}
    progress = operation.progress
    progress.setdefault("done", 0)
    progress.setdefault("results", {"studyProcessed": 0, "studyUpdated": 0, "studyFailed": 0, "instanceUpdated": 0})
    while progress["done"] < len(studies):
        update_study(archive, operation, partition, studies[progress["done"]], changes)
        yield
    with archive.index.transaction() as transaction:
        failed = progress["results"]["studyFailed"]
        operations.note(transaction, operation, 100, "failed" if failed else "succeeded")


def update_study(archive: "Archive", operation: Operation, partition: int, study: str, changes: Changes) -> None:
    results = dict(operation.progress["results"])
    written: list[NewVersion] = []
    try:
        for instance in archive.instances(partition, study):
            written.append(new_version(archive, instance, changes))
    except (CannotRewrite, part10.NotDicom, OSError) as error:
        discard(archive, written)
        results["studyFailed"] += 1
        results.setdefault("errors", []).append(f"The study {study} is not updated. {error}")
    try:
        with archive.index.transaction() as transaction:
            superfluous = [exchange(transaction, partition, version) for version in written]
            updated = sum(name != version.file for name, version in zip(superfluous, written, strict=True))
            if updated:
                change_study(transaction, partition, study, changes)
            results["studyProcessed"] += 1
            results["studyUpdated"] += bool(updated)
            results["instanceUpdated"] += updated
            operation.progress.update(done=operation.progress["done"] + 1, results=results)
            percent = min(99, 100 * operation.progress["done"] / len(operation.input["studies"]))
            operations.note(transaction, operation, percent)
    except BaseException:
        discard(archive, written)
        raise
    archive.files.discard(name for name in superfluous if name)


def discard(archive: "Archive", written: list[NewVersion]) -> None:
    for version in written:
        archive.files.remove(version.file)
    written.clear()


def new_version(archive: "Archive", instance: "StoredInstance", changes: Changes) -> NewVersion:
    """Write the instance's file with the changes beside the one that is there. Raises CannotRewrite, OSError."""
    incoming: Path = archive.files.new_incoming()
    try:
        before = part10.read(instance.path)
        rewrite(before, instance.path, incoming, changes)
        after = part10.read(incoming)
        if dicom_json.to_json(before, changed(changes)) != dicom_json.to_json(after, changed(changes)):
            raise CannotRewrite("The new values need a character set in which the file's other texts would not read.")
        frame_map = frames.to_text(frames.locate(incoming, after))
        size = incoming.stat().st_size
        return NewVersion(
            instance.watermark,
            instance.identifiers,
            archive.files.place(incoming),
            size,
            frame_map,
            overlaid(archive.index.reader, instance, after, changes),
        )
    finally:
        incoming.unlink(missing_ok=True)


def changed(changes: Changes) -> set[int]:
    return {*changes, CHARACTER_SET}


def overlaid(reader: sqlite3.Connection, instance: "StoredInstance", file: part10.Part10, changes: Changes) -> str:
    """The saved metadata with what the new file says of the attributes that changed."""
    saved = reader.execute("SELECT json FROM metadata WHERE watermark = ?", [instance.watermark]).fetchone()
    metadata: dict[str, Any] = json.loads(saved["json"]) if saved else {}
    for tag in changed(changes) & file.elements.keys():
        metadata[hex_tag(tag)] = json.loads(dicom_json.element_json(file.elements[tag], file.encodings))
    return json.dumps(dict(sorted(metadata.items())), ensure_ascii=False, separators=(",", ":"))


def exchange(transaction: sqlite3.Connection, partition: int, version: NewVersion) -> str | None:
    """Make the new version the current one; the very first one is kept.

    Returns the file that is not needed any more: that of the version before, or the new one where the instance went
    away meanwhile.
    """
    before = transaction.execute(
        "SELECT instance.file, original.file AS original FROM instance LEFT JOIN original USING (watermark)"
        " WHERE watermark = ?",
        [version.watermark],
    ).fetchone()
    if before is None:
        return version.file
    transaction.execute(
        "INSERT OR IGNORE INTO original SELECT watermark, watermark, file, size, json"
        " FROM instance JOIN metadata USING (watermark) WHERE watermark = ?",
        [version.watermark],
    )
    (watermark,) = transaction.execute(
        "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'instance' RETURNING seq"
    ).fetchone()
    transaction.execute(
        "UPDATE instance SET watermark = ?, file = ?, size = ?, frames = ? WHERE watermark = ?",
        (watermark, version.file, version.size, version.frames, version.watermark),
    )
    transaction.execute("UPDATE metadata SET json = ? WHERE watermark = ?", (version.metadata, watermark))
    index_stored(transaction, watermark)
    change_feed.record(transaction, Event("Update", partition, version.identifiers, watermark))
    return before["file"] if before["original"] else None


def change_study(transaction: sqlite3.Connection, partition: int, study: str, changes: Changes) -> None:
    """The study's row says what its instances say now."""
    for tag, (vr, text) in changes.items():
        if tag not in CORE:
            continue
        value = text.split("\\")[0] or None
        keyword = CORE[tag].keyword
        transaction.execute(
            f"UPDATE study SET {keyword} = ?, {keyword}_key = ? WHERE partition_key = ? AND StudyInstanceUID = ?",
            (value, value and fold(value, vr), partition, study),
        )
