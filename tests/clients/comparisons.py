"""One request to Orthanc and to the emulator, and in what the two answers differ, in the standard's terms.

A comparison yields a sentence for each difference, Orthanc first.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from struct import pack
from typing import Any

import numpy
import requests
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.datadict import keyword_for_tag

from tests.emulator.conftest import session
from tests.emulator.dicom_files import instance, multipart, path, split_multipart, uids
from tests.emulator.pictures import EXPLICIT, place, samples
from tests.emulator.storing import DICOM_JSON

CT, MR = "test_files/CT_small.dcm", "test_files/MR_small.dcm"
IDENTIFIERS = ("0020000D", "0020000E", "00080018")
PARTS = 'multipart/related; type="application/dicom"'
FRAMES = 'multipart/related; type="application/octet-stream"'
Answers = tuple[requests.Response, requests.Response]


@dataclass
class Pair:
    """Orthanc and an emulator that hold the same."""

    orthanc: str
    emulator: str
    files: dict[str, bytes] = field(default_factory=dict)
    replies: dict[str, Answers] = field(default_factory=dict)  # to storing a file
    client: requests.Session = field(default_factory=session)

    def ask(self, method: str, target: str, accept: str | None = None, **more: Any) -> Answers:
        """The answers of Orthanc and of the emulator."""
        headers = more.pop("headers", {}) | ({"Accept": accept} if accept else {})
        first, second = (
            self.client.request(method, f"{url}/{target}", headers=headers, **more)
            for url in (self.orthanc, self.emulator)
        )
        return first, second

    def get(self, target: str, accept: str | None = None) -> Answers:
        return self.ask("GET", target, accept)

    def store(
        self, body: bytes, content_type: str | None, target: str = "studies", accept: str | None = DICOM_JSON
    ) -> Answers:
        headers = {"Content-Type": content_type} if content_type else {}
        return self.ask("POST", target, accept, data=body, headers=headers)


Comparison = Callable[[Pair], Iterator[str]]


def statuses(answers: Answers) -> Iterator[str]:
    first, second = (answer.status_code for answer in answers)
    if first != second:
        yield f"{first} and {second}"


def found(answer: requests.Response) -> dict[tuple, dict]:
    """The rows of a search by their UIDs."""
    rows = answer.json() if answer.ok and answer.content else []
    return {tuple(row.get(tag, {}).get("Value", [""])[0] for tag in IDENTIFIERS): row for row in rows}


def search(target: str, *asked: str) -> Comparison:
    """The same rows, and the same values of what both return, with all that is `asked` for (tags)."""

    def compare(pair: Pair) -> Iterator[str]:
        answers = pair.get(target.format(**names(pair)), DICOM_JSON)
        yield from statuses(answers)
        first, second = map(found, answers)
        if answers[0].ok and answers[1].ok:
            yield from counts(first.keys(), second.keys())
        for uid in first.keys() & second.keys():
            for tag in first[uid].keys() & second[uid].keys():
                if not same(first[uid][tag], second[uid][tag]):
                    yield f"{keyword_for_tag(tag)} differs: {first[uid][tag].get('Value')}"
            yield from (f"Orthanc lacks {tag}" for tag in asked if tag not in first[uid])
            yield from (f"the emulator lacks {tag}" for tag in asked if tag not in second[uid])
            if filled(first[uid]) - filled(second[uid]):
                yield "Orthanc returns more attributes"
            if filled(second[uid]) - filled(first[uid]):
                yield "the emulator returns more attributes"

    return compare


def counts(first: Any, second: Any) -> Iterator[str]:
    if first - second:
        yield "Orthanc finds more"
    if second - first:
        yield "the emulator finds more"


def filled(row: dict) -> set[str]:
    return {tag for tag, attribute in row.items() if attribute.get("Value")}


def names(pair: Pair) -> dict[str, str]:
    """The UIDs that the paths of comparisons name."""
    if not pair.files:
        return {}
    ct, mr = (dcmread(BytesIO(pair.files[name])) for name in (CT, MR))
    return {
        "ct": ct.StudyInstanceUID,
        "ct_instance": place(pair.files[CT]),
        "study": mr.StudyInstanceUID,
        "series": mr.SeriesInstanceUID,
        "instance": mr.SOPInstanceUID,
    }


def pages(target: str, size: int) -> Comparison:
    """Pages of equal sizes, and all of them together are what is there. The order is free (PS3.18 §8.3.4.4)."""

    def compare(pair: Pair) -> Iterator[str]:
        sizes: list[list[int]] = []
        for side in (0, 1):
            whole, seen, lengths = found(pair.get(f"{target}?limit=200", DICOM_JSON)[side]), [], []
            while not lengths or lengths[-1]:
                page = found(pair.get(f"{target}?limit={size}&offset={len(seen)}", DICOM_JSON)[side])
                seen += list(page)
                lengths.append(len(page))
            if sorted(seen) != sorted(whole):
                yield f"the pages of {('Orthanc', 'the emulator')[side]} are not the whole"
            sizes.append(lengths)
        if sizes[0] != sizes[1]:
            yield f"pages of {sizes[0]} and {sizes[1]}"

    return compare


def metadata(name: str) -> Comparison:
    def compare(pair: Pair) -> Iterator[str]:
        answers = pair.get(f"{place(pair.files[name])}/metadata", DICOM_JSON)
        yield from statuses(answers)
        yield from unequal(*(answer.json()[0] for answer in answers))

    return compare


def unequal(first: dict, second: dict, outer: str = "") -> Iterator[str]:
    """A sentence for each attribute, at any depth, that differs between two data sets in DICOM JSON."""
    for tag in sorted(first.keys() | second.keys()):
        vr = (first.get(tag) or second[tag])["vr"]
        label = f"{outer}{tag} ({vr})"
        if tag not in second:
            yield f"{label} only in Orthanc"
        elif tag not in first:
            yield f"{label} only in the emulator"
        elif vr == "SQ" and len(first[tag].get("Value", [])) == len(second[tag].get("Value", [])):
            for one, other in zip(first[tag].get("Value", []), second[tag].get("Value", []), strict=True):
                yield from unequal(one, other, f"{outer}{tag}.")
        elif not same(first[tag], second[tag]):
            yield f"{label} differs"


def same(first: dict, second: dict) -> bool:
    """Equal, whatever form a number or a name takes; an attribute without a value may have an empty list of them."""
    return first["vr"] == second["vr"] and plain(first) == plain(second)


def plain(attribute: dict) -> list:
    values = []
    for value in attribute.get("Value", []):
        if attribute["vr"] == "FL":
            value = pack("f", value)
        elif attribute["vr"] == "PN" and value:
            value = {group: text for group, text in value.items() if text}
        values.append(value)
    return values


def as_stored(name: str) -> Comparison:
    """At transfer-syntax=* the bytes that were stored."""

    def compare(pair: Pair) -> Iterator[str]:
        answers = pair.get(place(pair.files[name]), f"{PARTS}; transfer-syntax=*")
        yield from statuses(answers)
        [(headers, first)], [(other_headers, second)] = map(split_multipart, answers)
        if not first == second == pair.files[name]:
            yield "the bytes differ"
        own = stored_syntax(pair.files[name])
        kinds = (re.sub(f"={own}$", "=its own", part["content-type"]) for part in (headers, other_headers))
        yield from types(answers, *kinds)

    return compare


def types(answers: Answers, first: str, second: str) -> Iterator[str]:
    named = ["named" if "type=" in answer.headers["Content-Type"] else "not named" for answer in answers]
    if named[0] != named[1]:
        yield "the type of the parts is {} and {}".format(*named)
    if first != second:
        yield f"a part is {first} and {second}"


def stored_syntax(file: bytes) -> str:
    """The transfer syntax that a file names, or that it must be in."""
    dataset = dcmread(BytesIO(file), force=True, stop_before_pixels=True)
    implicit = "1.2.840.10008.1.2" if dataset.original_encoding[0] else EXPLICIT
    return dataset.file_meta.get("TransferSyntaxUID", implicit)


def transcoded(name: str) -> Comparison:
    """As Explicit VR Little Endian: the same samples."""

    def compare(pair: Pair) -> Iterator[str]:
        answers = pair.get(place(pair.files[name]), f"{PARTS}; transfer-syntax={EXPLICIT}")
        yield from statuses(answers)
        if not all(answer.ok for answer in answers):
            return
        [(_, first)], [(_, second)] = map(split_multipart, answers)
        if not transfer_syntax(first) == transfer_syntax(second) == EXPLICIT:
            yield f"{transfer_syntax(first)} and {transfer_syntax(second)}"
        one, other = samples(first), samples(second)
        if (one is None) != (other is None) or not numpy.array_equal(one, other):
            yield "the samples differ"

    return compare


def transfer_syntax(file: bytes) -> str:
    return dcmread(BytesIO(file), force=True, stop_before_pixels=True).file_meta.TransferSyntaxUID


def frames(name: str, syntax: str) -> Comparison:
    """The last frame, and where there are more, the first behind it."""

    def compare(pair: Pair) -> Iterator[str]:
        dataset = dcmread(BytesIO(pair.files[name]), force=True)
        last = number_of_frames(dataset)
        wanted = f"{last},1" if last > 1 else "1"
        target = f"{place(pair.files[name])}/frames/{wanted}"
        answers = pair.get(target, f"{FRAMES}; transfer-syntax={syntax}")
        yield from statuses(answers)
        if not all(answer.ok for answer in answers):
            return
        first, second = map(split_multipart, answers)
        if [body for _, body in first] != [body for _, body in second]:
            yield "the bytes differ"
        if syntax == "*":
            kind = answers[0].headers["Content-Type"].split('type="')[1].split(";")[0]
            if kind != second[0][0]["content-type"].split(";")[0]:
                yield f"a frame is {kind} and {second[0][0]['content-type'].split(';')[0]}"

    return compare


def number_of_frames(dataset: Dataset) -> int:
    try:
        return int(dataset.get("NumberOfFrames") or 1)
    except ValueError:  # one of the files says "1A"
        return 1


def rendered(name: str, windowed: bool) -> Comparison:
    """The same picture; `windowed`: with the file's own window named in the request."""

    def compare(pair: Pair) -> Iterator[str]:
        query = f"?window={window(dcmread(BytesIO(pair.files[name]), force=True))},linear" if windowed else ""
        answers = pair.get(f"{place(pair.files[name])}/rendered{query}", "image/png")
        yield from statuses(answers)
        if not all(answer.ok for answer in answers):
            return
        first, second = (numpy.asarray(Image.open(BytesIO(answer.content))) for answer in answers)
        if not numpy.array_equal(first, second):
            yield "the pictures differ"

    return compare


def window(dataset: Dataset) -> str:
    values = (dataset[keyword] for keyword in ("WindowCenter", "WindowWidth"))
    return ",".join(str(element.value[0] if element.VM > 1 else element.value) for element in values)


def status(target: str, accept: str | None = None, method: str = "GET") -> Comparison:
    def compare(pair: Pair) -> Iterator[str]:
        return statuses(pair.ask(method, target.format(**names(pair)), accept))

    return compare


def parts(target: str, syntax: str = "; transfer-syntax=*") -> Comparison:
    """The same set of files."""

    def compare(pair: Pair) -> Iterator[str]:
        answers = pair.get(target.format(**names(pair)), PARTS + syntax)
        yield from statuses(answers)
        if not all(answer.ok for answer in answers):
            return
        first, second = map(split_multipart, answers)
        if sorted(body for _, body in first) != sorted(body for _, body in second):
            yield "the files differ"

    return compare


def storing(name: str) -> Comparison:
    def compare(pair: Pair) -> Iterator[str]:
        return outcomes(pair.replies[name])

    return compare


def outcomes(answers: Answers) -> Iterator[str]:
    """What was stored and what was not, and why."""
    yield from statuses(answers)
    if any(answer.status_code in {405, 406, 415} or not answer.content for answer in answers):
        return
    first, second = (
        answer.json() if "json" in answer.headers.get("Content-Type", "json") else {} for answer in answers
    )
    for tag, what in (("00081199", "stored"), ("00081198", "failed")):
        one, other = (
            sorted(item.get("00081155", {}).get("Value", ["?"])[0] for item in answer.get(tag, {}).get("Value", []))
            for answer in (first, second)
        )
        if one != other:
            yield f"{len(one)} and {len(other)} {what}"
    reasons = [
        [item["00081197"]["Value"][0] for item in answer.get("00081198", {}).get("Value", [])]
        for answer in (first, second)
    ]
    if all(reasons) and reasons[0] != reasons[1]:
        yield f"because of {reasons[0]} and {reasons[1]}"
    if ("00081190" in first) != ("00081190" in second):
        there = ("there" if "00081190" in answer else "not there" for answer in (first, second))
        yield "the study's address is {} and {}".format(*there)


def fresh(*files: bytes, study: bool = False, times: int = 1, **more: Any) -> Comparison:
    """Store `files`, `times` over; the last answers are compared."""

    def compare(pair: Pair) -> Iterator[str]:
        target = "studies" + (f"/{uids(files[0])[0]}" if study else "")
        for _ in range(times):
            answers = pair.store(*multipart(*files), target, **more)
        yield from outcomes(answers)
        for file in files:
            if all(answer.ok for answer in answers):
                both = pair.get(path(file), f"{PARTS}; transfer-syntax=*")
                yield from (f"and then {sign}" for sign in statuses(both))

    return compare


def sent(body: bytes, content_type: str | None, target: str = "studies", method: str = "POST") -> Comparison:
    def compare(pair: Pair) -> Iterator[str]:
        headers = {"Content-Type": content_type} if content_type else {}
        return outcomes(pair.ask(method, target, DICOM_JSON, data=body, headers=headers))

    return compare


def deleting(level: str) -> Comparison:
    file = instance()

    def compare(pair: Pair) -> Iterator[str]:
        pair.store(*multipart(file))
        yield from statuses(pair.ask("DELETE", path(file, level)))

    return compare
