"""Instances on their way into the archive: read, checked, put in place, indexed, and only then acknowledged."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_emulator.archive.extended_query_tags import NewTag, creator_tag, extended_query_tags
from dicom_emulator.dicom import dicom_json, frames, part10
from dicom_emulator.dicom.attributes import CORE, IDENTIFIERS, SOP_CLASS_UID
from dicom_emulator.dicom.part10 import Source
from dicom_emulator.dicom.validation import Verdict, same_uid, validate

if TYPE_CHECKING:
    from dicom_emulator.archive import Archive

log = logging.getLogger("dicom_emulator")
BATCH = 100  # instances that are stored in one transaction

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


@dataclass(frozen=True)
class Rules:
    """Where files are stored, and how. `study`: the one that they have to belong to, None for any."""

    partition: int
    study: str | None = None
    strict: bool = False
    replace: bool = False


def ingest(archive: "Archive", arrived: Sequence[Source], rules: Rules) -> list[Outcome]:
    """Store the files, or say why not, in their order. They are gone from where they were afterwards."""
    outcomes: list[Outcome] = []
    try:
        for start in range(0, len(arrived), BATCH):
            outcomes += ingest_batch(archive, arrived[start : start + BATCH], rules)
    except BaseException:
        discard(arrived)
        raise
    return outcomes


def discard(arrived: Iterable[Source]) -> None:
    """Remove what has arrived."""
    for file in arrived:
        if isinstance(file, Path):
            file.unlink(missing_ok=True)


def ingest_batch(archive: "Archive", arrived: Sequence[Source], rules: Rules) -> list[Outcome]:
    tags = extended_query_tags(archive.index.reader)
    examined = [(file, *examine(file, rules, tags)) for file in arrived]
    with archive.creating(rules.partition, {new.identifiers for _, _, new in examined if new}) as claimed:
        ready = [(file, new, outcome) for file, outcome, new in examined if new and new.identifiers in claimed]
        faults = archive.add([(file, new) for file, new, _ in ready], rules.partition, rules.replace) if ready else []
    for file, outcome, new in examined:
        if new and new.identifiers not in claimed:
            fail(outcome, BEING_CREATED)
    for (_, _, outcome), fault in zip(ready, faults, strict=True):
        if fault:
            fail(outcome, ALREADY_EXISTS if isinstance(fault, AlreadyExists) else PROCESSING_FAILURE)
    discard(file for file, outcome, _ in examined if outcome.failure_reason)
    for fault in {*faults} - {None}:
        if not isinstance(fault, AlreadyExists):
            log.error("an instance could not be stored: %s", fault)
    return [outcome for _, outcome, _ in examined]


def fail(outcome: Outcome, reason: int) -> None:
    outcome.failure_reason, outcome.comments, outcome.warning_reason = reason, {}, None


def examine(file: Source, rules: Rules, tags: Sequence[NewTag]) -> tuple[Outcome, NewInstance | None]:
    """What can be said of a file before it is stored; None where it is refused."""
    try:
        data_set = part10.read(file)
        held = {tag.tag: tag.vr for tag in tags if holds(data_set, tag)}
        verdict = validate(data_set, rules.study, rules.strict, held)
        outcome = described(data_set, verdict)
        if verdict.failures:
            outcome.failure_reason = CANNOT_UNDERSTAND
            return outcome, None
        return outcome, new_instance(data_set, file, verdict, outcome)
    except (part10.NotDicom, RecursionError):
        return Outcome(failure_reason=CANNOT_UNDERSTAND), None


def holds(file: part10.Part10, tag: NewTag) -> bool:
    """Whether the file has the tag, a private one by the creator that the tag's owner meant."""
    if tag.tag not in file.elements:
        return False
    return tag.private_creator is None or file.text(creator_tag(tag.tag)) == tag.private_creator


def described(file: part10.Part10, verdict: Verdict) -> Outcome:
    study, series, instance = (file.text(tag) for tag in IDENTIFIERS)
    outcome = Outcome(file.text(SOP_CLASS_UID), same_uid(study), same_uid(series), same_uid(instance))
    outcome.comments = verdict.failures or verdict.warnings
    outcome.several_values = verdict.several_values
    if verdict.implicit_vr:
        outcome.warning_reason = DOES_NOT_MATCH_SOP_CLASS
    elif verdict.warnings:
        outcome.warning_reason = ATTRIBUTES_WARNED
    return outcome


def new_instance(data_set: part10.Part10, file: Source, verdict: Verdict, outcome: Outcome) -> NewInstance:
    return NewInstance(
        identifiers=(outcome.study, outcome.series, outcome.instance),
        attributes={tag: (None if tag in verdict.dropped else data_set.text(tag) or None) for tag in CORE},
        metadata=dicom_json.to_json(data_set, without=verdict.dropped),
        transfer_syntax=data_set.transfer_syntax,
        frames=frames.to_text(frames.locate(file, data_set)),
        size=len(file) if isinstance(file, bytes) else file.stat().st_size,
    )
