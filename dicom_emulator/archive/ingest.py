"""One instance on its way into the archive: read, checked, put in place, indexed, and only then acknowledged."""

import logging
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_emulator.archive.extended_query_tags import NewTag, creator_tag, extended_query_tags
from dicom_emulator.dicom import dicom_json, frames, part10
from dicom_emulator.dicom.attributes import (
    CORE,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
)
from dicom_emulator.dicom.validation import Verdict, same_uid, validate

if TYPE_CHECKING:
    from dicom_emulator.archive import Archive

log = logging.getLogger("dicom_emulator")

# FailureReason and WarningReason (conformance statement, Store).
PROCESSING_FAILURE = 272
CANNOT_UNDERSTAND = 43264
ALREADY_EXISTS = 45070
BEING_CREATED = 45071
DOES_NOT_MATCH_SOP_CLASS = 45063
ATTRIBUTES_WARNED = 1


class AlreadyExists(Exception):
    """The instance is stored already."""


@dataclass
class Outcome:
    """What became of one instance, by its UIDs without padding. `failure_reason` is None where it is stored."""

    sop_class_uid: str = ""
    study: str = ""
    series: str = ""
    instance: str = ""
    failure_reason: int | None = None
    comments: dict[int, str] = field(default_factory=dict)  # by tag
    warning_reason: int | None = None
    several_values: bool = False


@dataclass
class NewInstance:
    """What the index keeps of an instance."""

    identifiers: tuple[str, str, str]  # study, series, instance; without padding
    attributes: dict[int, str | None]  # the first value of each core attribute
    metadata: str
    transfer_syntax: str
    frames: str | None
    size: int


def ingest(
    archive: "Archive", incoming: Path, partition: int, study: str | None, strict: bool, replace: bool = False
) -> Outcome:
    """Store the file `incoming`, or say why not. The file is gone from there afterwards."""
    try:
        return ingest_file(archive, incoming, partition, study, strict, replace)
    finally:
        incoming.unlink(missing_ok=True)


def ingest_file(
    archive: "Archive", incoming: Path, partition: int, study: str | None, strict: bool, replace: bool
) -> Outcome:
    try:
        file = part10.read(incoming)
        tags = extended_query_tags(archive.index.reader)
        verdict = validate(file, study, strict, {tag.tag: tag.vr for tag in tags if holds(file, tag)})
        outcome = described(file, verdict)
        if verdict.failures:
            outcome.failure_reason = CANNOT_UNDERSTAND
            return outcome
        new = new_instance(file, incoming, verdict)
    except (part10.NotDicom, RecursionError):
        return Outcome(failure_reason=CANNOT_UNDERSTAND)
    try:
        with archive.creating(partition, new.identifiers) as free:
            if not free:
                outcome.failure_reason = BEING_CREATED
            else:
                archive.add(incoming, partition, new, replace)
    except AlreadyExists:
        outcome.failure_reason = ALREADY_EXISTS
    except (OSError, sqlite3.Error) as error:
        log.error("an instance could not be stored: %s", error)
        outcome.failure_reason = PROCESSING_FAILURE
    if outcome.failure_reason:
        outcome.comments, outcome.warning_reason = {}, None
    return outcome


def holds(file: part10.Part10, tag: NewTag) -> bool:
    """Whether the file has the tag, a private one by the creator that the tag's owner meant."""
    if tag.tag not in file.elements:
        return False
    return tag.private_creator is None or file.text(creator_tag(tag.tag)) == tag.private_creator


def described(file: part10.Part10, verdict: Verdict) -> Outcome:
    study, series, instance = (file.text(tag) for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID))
    outcome = Outcome(file.text(SOP_CLASS_UID), same_uid(study), same_uid(series), same_uid(instance))
    outcome.comments = verdict.failures or verdict.warnings
    outcome.several_values = verdict.several_values
    if verdict.implicit_vr:
        outcome.warning_reason = DOES_NOT_MATCH_SOP_CLASS
    elif verdict.warnings:
        outcome.warning_reason = ATTRIBUTES_WARNED
    return outcome


def new_instance(file: part10.Part10, path: Path, verdict: Verdict) -> NewInstance:
    identifiers = tuple(same_uid(file.text(tag)) for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID))
    with path.open("rb") as source:
        frame_map = frames.locate(source, file)
    return NewInstance(
        identifiers=identifiers,
        attributes={tag: (None if tag in verdict.dropped else file.text(tag) or None) for tag in CORE},
        metadata=dicom_json.to_json(file, without=verdict.dropped),
        transfer_syntax=file.transfer_syntax,
        frames=frames.to_text(frame_map),
        size=path.stat().st_size,
    )
