"""Copies of stored files in a folder that stands in for a storage container (conformance statement, export)."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_emulator.archive import operations
from dicom_emulator.archive.operations import Operation
from dicom_emulator.archive.ticks import format_ticks, now

if TYPE_CHECKING:
    from dicom_emulator.archive import Archive, StoredInstance

BATCH = 50  # instances that are copied in one step


@dataclass(frozen=True)
class Destination:
    """Where an export goes: the folder, and the address that the client knows it by."""

    folder: Path
    address: str


def start(
    transaction: sqlite3.Connection, partition: int, identifiers: list[str] | None, destination: Destination
) -> Operation:
    """The operation that will copy what the identifiers name, or all of the partition where they are None."""
    if identifiers is None:
        rows = transaction.execute("SELECT StudyInstanceUID FROM study WHERE partition_key = ?", [partition])
        identifiers = [uid for (uid,) in rows]
    return operations.add(
        transaction,
        "export",
        partition=partition,
        identifiers=identifiers,
        folder=str(destination.folder),
        address=destination.address,
    )


def export(archive: "Archive", operation: Operation) -> Iterator[None]:
    """The job that copies BATCH instances at a step. How long its logs are is part of the progress, so that a step
    which is done again leaves no line twice.
    """
    progress, asked = operation.progress, operation.input
    folder = Path(asked["folder"]) / operation.id
    folder.mkdir(parents=True, exist_ok=True)
    progress.setdefault("done", 0)
    progress.setdefault("after", [])
    progress.setdefault("lengths", {"errors.log": 0, "manifest.jsonl": 0})
    progress.setdefault(
        "results", {"errorHref": f"{asked['address']}/{operation.id}/errors.log", "exported": 0, "skipped": 0}
    )
    identifiers = asked["identifiers"]
    while progress["done"] < len(identifiers):
        export_batch(archive, operation, folder, identifiers[progress["done"]])
        with archive.index.transaction() as transaction:
            operations.note(transaction, operation, min(99, 100 * progress["done"] / len(identifiers)))
        yield
    with archive.index.transaction() as transaction:
        operations.note(transaction, operation, 100, "succeeded")


def export_batch(archive: "Archive", operation: Operation, folder: Path, identifier: str) -> None:
    """The next instances of an identifier ("study", "study/series", "study/series/instance")."""
    progress, results = operation.progress, operation.progress["results"]
    instances = archive.instances(operation.input["partition"], *identifier.split("/"))
    # By their UIDs: a watermark changes with a bulk update, and an instance shall come once.
    in_order = sorted(instances, key=lambda instance: instance.identifiers)
    waiting = [instance for instance in in_order if [*instance.identifiers] > progress["after"]]
    if not instances:
        results["skipped"] += 1
        line = {"timestamp": format_ticks(now()), "identifier": identifier, "error": "The identifier is not found."}
        append(progress, folder, "errors.log", line)
    for instance in waiting[:BATCH]:
        copy(instance, folder, progress)
    if len(waiting) > BATCH:
        progress["after"] = [*waiting[BATCH - 1].identifiers]
    else:
        progress["after"], progress["done"] = [], progress["done"] + 1


def copy(instance: "StoredInstance", folder: Path, progress: dict[str, Any]) -> None:
    name = "results/" + "/".join(instance.identifiers) + ".dcm"
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(instance.path, target)
    except FileNotFoundError:  # deleted a moment ago
        progress["results"]["skipped"] += 1
        line = {
            "timestamp": format_ticks(now()),
            "identifier": "/".join(instance.identifiers),
            "error": "The instance is not found.",
        }
        append(progress, folder, "errors.log", line)
        return
    progress["results"]["exported"] += 1
    append(progress, folder, "manifest.jsonl", {"file": name, "bytes": instance.size, "watermark": instance.watermark})


def append(progress: dict[str, Any], folder: Path, name: str, line: dict[str, Any]) -> None:
    """Add a line to a log that is as long as the progress says."""
    with (folder / name).open("ab") as log:
        log.truncate(progress["lengths"][name])
        log.seek(0, 2)
        log.write(json.dumps(line).encode() + b"\n")
        progress["lengths"][name] = log.tell()
