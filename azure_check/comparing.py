"""Two runs of a lesson side by side: which exchanges belong together, and what differs in them."""

import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from difflib import SequenceMatcher, unified_diff
from typing import Any

import numpy
import pydicom
from PIL import Image
from pydicom.datadict import keyword_for_tag

from azure_check.lessons import Cell, Exchange, Message, Run
from azure_check.masks import VOLATILE, Masks, uids_asked_for
from azure_check.touched import UNREADABLE, files_of
from helpers.exchange.story import QUIET_REQUEST_HEADERS, REPLY_HEADERS
from tests.notebooks.outputs import image_differences

LONGEST = 300  # characters of a value that are told
FULL = 3000  # of a body that is shown in full
DIFF_LINES = 30  # of a cell's output
# By which a row is found again in an answer that has another order: instance, series, study, tag, operation.
IDENTITIES = ("00081155", "00080018", "0020000E", "0020000D", "sopInstanceUid", "path")


@dataclass(frozen=True)
class Difference:
    """What differs, such as `status` or `body: 00100010 PatientName`, and how it is on either side."""

    what: str
    emulator: str
    service: str


@dataclass
class Pair:
    """An exchange as it went on both sides; None where one side did not have it."""

    emulator: Exchange | None
    service: Exchange | None
    request: str  # method and path, masked
    differences: list[Difference]
    told: dict[str, str] = field(
        default_factory=dict
    )  # where something differs: `sent`, and the `emulator`'s and `service`'s reply

    @property
    def cell(self) -> int:
        return (self.emulator or self.service).cell


@dataclass
class CellDifference:
    number: int
    emulator_error: str
    service_error: str
    lines: list[str]  # a diff of what was printed
    pictures: list[str]


@dataclass
class Comparison:
    """A lesson on both sides. `others` counts rows of answers that have nothing to do with this run."""

    emulator: Run
    service: Run
    pairs: list[Pair] = field(default_factory=list)
    cells: list[CellDifference] = field(default_factory=list)
    others: int = 0

    @property
    def lesson(self) -> str:
        return self.service.lesson

    @property
    def unequal(self) -> list[Pair]:
        return [pair for pair in self.pairs if pair.differences]

    @property
    def is_same(self) -> bool:
        return not (self.unequal or self.cells or self.service.broke)


class Side:
    """How to look at what one side said: with its masks, and without what has nothing to do with this run.

    `ours` are the studies and work items that do, `before` is the number of the last event before it. None, 0: all do.
    """

    def __init__(self, masks: Masks, ours: AbstractSet[str] | None = None, before: int = 0) -> None:
        self.masks = masks
        self.ours = ours
        self.before = before
        self.others = 0

    def own_rows(self, content: Any) -> Any:
        """`content` without rows about other people's studies and work items, and old events. They are counted."""
        if self.ours is None or not isinstance(content, list):
            return content
        own = [row for row in content if self.is_ours(row)]
        self.others += len(content) - len(own)
        return own

    def is_ours(self, row: Any) -> bool:
        if not isinstance(row, dict):
            return True
        if isinstance(row.get("sequence"), int) and row["sequence"] <= self.before:
            return False
        study = first_value(row, "0020000D") or row.get("studyInstanceUid")
        named = study or (first_value(row, "00080018") if "00741000" in row else None)  # else a work item, by its state
        return not named or str(named).strip(" \0") in (self.ours or ())


@dataclass(frozen=True)
class View:
    """How to look at the service: `hosts` are its names, `container` is where an export goes, `ours` are our studies.

    `before` is the number of its last event before the check. `alone`: nobody else has studies there. Else what cells
    printed is compared and not told: it may be about those.
    """

    hosts: Sequence[str]
    container: str = ""
    ours: frozenset[str] = frozenset()
    before: int = 0
    alone: bool = True


def compare(emulator: Run, service: Run, view: View) -> Comparison:
    """What differs between two runs of a lesson."""
    asked, asked_too = uids_asked_for(emulator.exchanges), uids_asked_for(service.exchanges)
    here = Side(Masks([], asked - asked_too, view.container))
    there = Side(Masks(view.hosts, asked_too - asked, view.container), view.ours | asked_too, view.before)
    pairs = list(paired(polled_once(emulator.exchanges), polled_once(service.exchanges), here, there))
    cells = [found for both in zip(emulator.cells, service.cells) if (found := cell_difference(*both, here, there))]
    pairs = [pair for pair in pairs if pair.cell not in service.emulators_own]
    cells = [cell for cell in cells if cell.number not in service.emulators_own]
    if not view.alone:
        for cell in cells:
            cell.service_error = cell.service_error.partition(":")[0]
            cell.lines = cell.lines and ["(not shown: the service holds other people's studies)"]
    return Comparison(emulator, service, pairs, cells, there.others)


# ----------------------------------------------------------------------------------------------- what belongs together


def polled_once(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """Of the same GET several times in a row the last one: how often a lesson has to ask is a matter of time."""
    result: list[Exchange] = []
    for exchange in exchanges:
        last = result[-1] if result else None
        same = last and (last.cell, last.method, last.path) == (exchange.cell, exchange.method, exchange.path)
        if last and same and exchange.method == "GET" and "/operations/" in exchange.path:
            exchange.asked = last.asked + 1
            result[-1] = exchange
        else:
            result.append(exchange)
    return result


def paired(ours: list[Exchange], theirs: list[Exchange], here: Side, there: Side) -> Iterator[Pair]:
    """Exchanges in their order, cell by cell; where the requests part ways, one side has nothing to show."""
    keys = [(one.cell, one.method, here.masks.path(one.path)) for one in ours]
    other_keys = [(one.cell, one.method, there.masks.path(one.path)) for one in theirs]
    for _, start, end, other_start, other_end in SequenceMatcher(None, keys, other_keys, autojunk=False).get_opcodes():
        count = max(end - start, other_end - other_start)
        same = keys[start:end] == other_keys[other_start:other_end]
        for number in range(count):
            if same:
                one, other = ours[start + number], theirs[other_start + number]
                _, method, path = keys[start + number]
                found = list(dict.fromkeys(differences(one, other, here, there)))  # of three rows one is told
                yield Pair(one, other, f"{method} {path}", found, found and told_in_full(one, other, here, there) or {})
                continue
            if start + number < end:
                _, method, path = keys[start + number]
                difference = Difference("request", "sent", "not sent: the lesson took another way")
                yield Pair(ours[start + number], None, f"{method} {path}", [difference])
            if other_start + number < other_end:
                _, method, path = other_keys[other_start + number]
                difference = Difference("request", "not sent: the lesson took another way", "sent")
                yield Pair(None, theirs[other_start + number], f"{method} {path}", [difference])


# ------------------------------------------------------------------------------------------------------ what differs


def told_in_full(emulator: Exchange, service: Exchange, here: Side, there: Side) -> dict[str, str]:
    """The request and both replies, for somebody who wants to see for himself."""
    return {
        "sent": in_full("", request_headers(emulator.sent), emulator.sent, here),
        "emulator": in_full(str(emulator.status), reply_headers(emulator.got, here), emulator.got, here),
        "service": in_full(str(service.status), reply_headers(service.got, there), service.got, there),
    }


def in_full(first: str, headers: list[str], message: Message, side: Side) -> str:
    body = described(message, side) if message.body else "(no body)"
    if kind(message) == "JSON":
        content = side.own_rows(json.loads(message.body))
        body = side.masks.text(json.dumps(content, ensure_ascii=False, indent=1))
    elif kind(message) == "text":
        body = side.masks.text(text_of(message))
    return "\n".join([*filter(None, [first]), *headers, "", body if len(body) <= FULL else f"{body[:FULL]}…"])


def request_headers(message: Message) -> list[str]:
    masks = Masks([])
    return [
        f"{name}: {masks.header(name, value)}"
        for name, value in sorted(message.headers.items())
        if name.lower() not in QUIET_REQUEST_HEADERS
    ]


def reply_headers(message: Message, side: Side) -> list[str]:
    return [
        f"{name}: {side.masks.header(name, message.headers[name])}" for name in REPLY_HEADERS if name in message.headers
    ]


def differences(emulator: Exchange, service: Exchange, here: Side, there: Side) -> Iterator[Difference]:
    if emulator.error or service.error or emulator.status != service.status:
        statuses = [f"no answer: {one.error}" if one.error else str(one.status) for one in (emulator, service)]
        if statuses[0] != statuses[1]:
            yield Difference("status", *statuses)
    for name in REPLY_HEADERS:
        values = [
            side.masks.header(name, one.got.headers[name]) if name in one.got.headers else "not there"
            for one, side in ((emulator, here), (service, there))
        ]
        if values[0] != values[1]:
            yield Difference(f"header {name}", *map(shortened, values))
    for found in body_differences(emulator.got, service.got, here, there):
        yield Difference(f"body{': ' * bool(found.what)}{found.what}", found.emulator, found.service)


def body_differences(ours: Message, theirs: Message, here: Side, there: Side) -> Iterator[Difference]:
    """What differs in two bodies; `what` is empty where they are of different kinds."""
    kinds = kind(ours), kind(theirs)
    if kinds[0] != kinds[1]:
        yield Difference("", described(ours, here), described(theirs, there))
    elif kinds[0] == "JSON":
        own, other = json.loads(ours.body), there.own_rows(json.loads(theirs.body))
        yield from json_differences("", own, other, here.masks, there.masks)
    elif kinds[0] == "parts":
        yield from part_differences(ours, theirs)
    elif kinds[0] == "DICOM":
        yield from file_differences(ours.body, theirs.body)
    elif kinds[0] == "picture":
        yield from picture_differences(ours.body, theirs.body)
    elif kinds[0] == "text":
        yield from text_differences(*(masks.text(text_of(each)) for each, masks in both(ours, theirs, here, there)))
    elif ours.body != theirs.body:
        yield Difference("bytes", described(ours, here), described(theirs, there))


def both(ours: Message, theirs: Message, here: Side, there: Side) -> list[tuple[Message, Masks]]:
    return [(ours, here.masks), (theirs, there.masks)]


def kind(message: Message) -> str:
    """What a body really is, whatever its Content-Type says of details."""
    content_type = message.headers.get("Content-Type", "").lower()
    if not message.body:
        return "nothing"
    if content_type.startswith("multipart/"):
        return "parts"
    if content_type.startswith("image/"):
        return "picture"
    if message.body[128:132] == b"DICM":
        return "DICOM"
    if "json" in content_type or message.body.lstrip()[:1] in (b"[", b"{"):
        try:
            json.loads(message.body)
            return "JSON"
        except ValueError:
            return "text"
    return "text" if content_type.startswith("text/") or not content_type else "bytes"


def described(message: Message, side: Side) -> str:
    match kind(message):
        case "nothing":
            return "nothing"
        case "JSON":
            content = side.own_rows(json.loads(message.body))
            rows = f"{len(content)} row{'s' * (len(content) != 1)}, " if isinstance(content, list) else ""
            return shortened(f"JSON: {rows}{side.masks.text(json.dumps(content, ensure_ascii=False))}")
        case "text":
            return shortened(f"text: {side.masks.text(text_of(message))}")
        case "parts":
            return f"{len(files_of(message.headers.get('Content-Type', ''), message.body))} parts"
        case other:
            return f"{other} of {len(message.body):,} bytes"


def text_of(message: Message) -> str:
    return message.body.decode("utf-8", "replace")


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def text_differences(ours: str, theirs: str) -> Iterator[Difference]:
    """The sentences that only one side says."""
    own, other = sentences(ours), sentences(theirs)
    if own != other:
        only = [
            " ".join(sentence for sentence in one if sentence not in two) for one, two in ((own, other), (other, own))
        ]
        yield Difference("text", *(shortened(each) or "nothing more" for each in only))


def sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s+|[\r\n]+", text) if sentence.strip()]


# ---------------------------------------------------------------------------------------------------------------- JSON


def json_differences(where: str, ours: Any, theirs: Any, here: Masks, there: Masks) -> Iterator[Difference]:
    """Attributes and members that differ. Rows are known by their UID, so another order is one difference."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            inner = named(where, name)
            if name not in ours or name not in theirs:
                yield Difference(inner, told(ours, name, here), told(theirs, name, there))
            elif name not in VOLATILE:
                yield from json_differences(inner, ours[name], theirs[name], here, there)
            elif type(ours[name]) is not type(theirs[name]):
                yield Difference(inner, type(ours[name]).__name__, type(theirs[name]).__name__)
    elif isinstance(ours, list) and isinstance(theirs, list):
        yield from list_differences(where, ours, theirs, here, there)
    elif isinstance(ours, str) and isinstance(theirs, str):
        if here.text(ours) != there.text(theirs):
            for found in text_differences(here.text(ours), there.text(theirs)):
                yield Difference(where or "text", found.emulator, found.service)
    elif ours != theirs or isinstance(ours, bool) != isinstance(theirs, bool):  # 1 is 1.0 in JSON, and not true
        yield Difference(where, in_json(ours, here), in_json(theirs, there))


def list_differences(where: str, ours: list[Any], theirs: list[Any], here: Masks, there: Masks) -> Iterator[Difference]:
    keys, other_keys = identities(ours, here), identities(theirs, there)
    if keys and other_keys:
        if keys != other_keys and sorted(keys) == sorted(other_keys):
            yield Difference(f"{where} order of rows".strip(), "as asked", "another")
        rows, other_rows = dict(zip(keys, ours)), dict(zip(other_keys, theirs))
        for key in [*keys, *(key for key in other_keys if key not in rows)]:
            if key not in rows or key not in other_rows:
                sides = ["there" if key in side else "not there" for side in (rows, other_rows)]
                yield Difference(f"{where} row {key}".strip(), *sides)
            else:
                yield from json_differences(where, rows[key], other_rows[key], here, there)
    elif len(ours) != len(theirs):
        yield Difference(where or "rows", in_json(ours, here), in_json(theirs, there))
    else:
        for one, other in zip(ours, theirs):
            yield from json_differences(where, one, other, here, there)


def identities(rows: list[Any], masks: Masks) -> list[str]:
    """A name for each row, if rows have one and no two have the same."""
    names = [identity(row, masks) for row in rows if isinstance(row, dict)]
    return names if all(names) and len(set(names)) == len(names) == len(rows) else []


def identity(row: dict[str, Any], masks: Masks) -> str:
    return next((masks.text(str(value)) for name in IDENTITIES if (value := first_value(row, name))), "")


def first_value(row: dict[str, Any], name: str) -> Any:
    value = row.get(name)
    if isinstance(value, dict):
        values = value.get("Value")
        return values[0] if isinstance(values, list) and values else None
    return value if isinstance(value, str) else None


def named(where: str, name: str) -> str:
    """The way to an attribute: `00081199 ReferencedSOPSequence > 00081190 RetrieveURL`."""
    if name in ("Value", "vr") and where:
        return where if name == "Value" else f"{where} (vr)"
    keyword = keyword_for_tag(name) if re.fullmatch(r"[0-9A-Fa-f]{8}", name) else ""
    return f"{where}{' > ' * bool(where)}{name} {keyword}".strip()


def told(members: dict[str, Any], name: str, masks: Masks) -> str:
    return in_json(members[name], masks) if name in members else "not there"


def in_json(value: Any, masks: Masks) -> str:
    return shortened(masks.text(json.dumps(value, ensure_ascii=False)))


# --------------------------------------------------------------------------------------------------- files and pictures


def part_differences(ours: Message, theirs: Message) -> Iterator[Difference]:
    """Parts of two multipart bodies. Which comes first is not promised, so equal ones belong together."""
    own, other = (files_of(each.headers.get("Content-Type", ""), each.body) for each in (ours, theirs))
    if len(own) != len(other):
        yield Difference("parts", f"{len(own)} parts", f"{len(other)} parts")
        return
    left, left_there = [each for each in own if each not in other], [each for each in other if each not in own]
    if not left and own != other:
        yield Difference("order of parts", "as asked", "another")
    for one, two in zip(sorted(left, key=instance_of), sorted(left_there, key=instance_of)):
        if one[128:132] == two[128:132] == b"DICM":
            yield from file_differences(one, two)
        else:
            yield Difference("a part", f"{len(one):,} bytes", f"{len(two):,} other bytes")


def instance_of(file: bytes) -> str:
    try:
        return str(pydicom.dcmread(io.BytesIO(file), specific_tags=["SOPInstanceUID"]).get("SOPInstanceUID", ""))
    except UNREADABLE:
        return ""


def file_differences(ours: bytes, theirs: bytes) -> Iterator[Difference]:
    """Attributes that differ in two DICOM files; where none does, bytes."""
    if ours == theirs:
        return
    try:
        one, two = (pydicom.dcmread(io.BytesIO(file)) for file in (ours, theirs))
    except UNREADABLE:
        yield Difference("file", f"{len(ours):,} bytes", f"{len(theirs):,} other bytes")
        return
    found = False
    for own, other in ((one.file_meta, two.file_meta), (one, two)):
        for tag in sorted({*own.keys(), *other.keys()}):
            values = [shown(each[tag]) if tag in each else "not there" for each in (own, other)]
            if values[0] != values[1]:
                found = True
                yield Difference(f"file > {tag:08X} {keyword_for_tag(tag)}".strip(), *values)
    if ours[:128] != theirs[:128]:
        yield Difference("file > preamble", shortened(ours[:128].hex()), shortened(theirs[:128].hex()))
    elif not found:
        yield Difference("file", "the same attributes", "the same attributes, in other bytes")


def shown(element: pydicom.DataElement) -> str:
    if isinstance(element.value, bytes):
        return f"{len(element.value):,} bytes {element.value[:16].hex(' ')}…"
    return shortened(f"{element.VR} {element.value}")


def picture_differences(ours: bytes, theirs: bytes) -> Iterator[Difference]:
    """How far two pictures are apart. Two encoders of one picture write other bytes, which is nothing to tell."""
    if ours == theirs:
        return
    try:
        one, two = (numpy.asarray(Image.open(io.BytesIO(file)).convert("RGB"), float) for file in (ours, theirs))
    except OSError:
        yield Difference("picture", f"{len(ours):,} bytes", f"{len(theirs):,} other bytes")
        return
    if one.shape != two.shape:
        yield Difference("picture", *(f"{each.shape[1]}×{each.shape[0]}" for each in (one, two)))
    elif one.tobytes() != two.tobytes():
        yield Difference("picture", "as asked", f"pixels differ by {numpy.abs(one - two).mean():.2f} of 255 on average")


# ----------------------------------------------------------------------------------------------------- what was printed


def cell_difference(ours: Cell, theirs: Cell, here: Side, there: Side) -> CellDifference | None:
    own, other = printed(ours, here.masks), printed(theirs, there.masks)
    lines = list(unified_diff(own, other, "emulator", "service", n=1, lineterm=""))[2:]
    pictures = image_differences(ours.outputs, theirs.outputs)
    errors = [side.masks.text(cell.error) for cell, side in ((ours, here), (theirs, there))]
    if not lines and not pictures and errors[0] == errors[1]:
        return None
    more = [f"… and {len(lines) - DIFF_LINES} lines more"] * (len(lines) > DIFF_LINES)
    return CellDifference(ours.number, *errors, [*lines[:DIFF_LINES], *more], pictures)


def printed(cell: Cell, masks: Masks) -> list[str]:
    """The lines that a cell showed as text. Its error is told apart."""
    texts = [
        output.text if output.output_type == "stream" else output.data.get("text/plain", "")
        for output in cell.outputs
        if output.output_type != "error"
    ]
    return masks.text("\n".join(text.rstrip("\n") for text in texts)).splitlines()
