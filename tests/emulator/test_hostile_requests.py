"""Hostile requests: paths, headers, query strings and bodies are answered with a refusal, if not with a result."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from tests.emulator.dicom_files import instance, uids
from tests.emulator.hostile import Victim, budget, victim
from tests.emulator.work import data_set, workitem

JSON, OF_WORKITEMS = {"Content-Type": "application/json"}, {"Content-Type": "application/dicom+json"}
# What has broken servers before: separators, ends of lines and of texts, halves of characters, endless numbers.
PIECES = [
    "", " ", "\0", "\r\n", "%", "%2", "%00", "%0d%0aX: y", "%ff", "%c0%ae", "%ed%a0%80", "%25", "..",
    "..%2f..", "%2e%2e/",
    "\\", "'", '"', "; DROP TABLE study", "*", "?", "&", "&&", "=", "==", "+", "#", "<", ",", ";", ".", "-",
    "--", "^", "|",
    "\ud7ff", "\U0001f480", "\u0661\u0662", "\u00b2", "\u212a", "\u017f", "1e999", "-1", "0", "9" * 30, "1" * 65, "NaN",
    "1.2.3", "1.2.3.", "1..2", "20200101", "20200101-", "-20209999", "99991231", "00000000", "00100010", "0010001G",
    "PatientName", "StudyDate", "ModalitiesInStudy", "all", "true", "TRUE ", "limit", "offset", "includefield",
    "{0}", "%s",
    "v2", "v1", "v3", "studies", "series", "instances", "metadata", "frames", "rendered", "partitions", "$bulkUpdate",
    "workitems", "state", "cancelrequest", "export", "operations", "extendedquerytags", "changefeed", "_emulator",
]  # fmt: skip
TOKENS = [
    "multipart/related", "application/dicom", "application/dicom+json", "application/octet-stream",
    "image/jp2", "image/png",
    "image/jpeg", "*/*", "application/*", "/", "a", ";", ",", "=", '"', "\\", "type", "transfer-syntax", "q",
    "boundary",
    "1.2.840.10008.1.2.1", "*", "0.5", "1e999", "nan", "-1", "\t", " ", "\xff", "start", "charset", "utf-8",
    "(", "x" * 300,
]  # fmt: skip
texts = some.one_of(some.text(max_size=20), some.lists(some.sampled_from(PIECES), max_size=4).map("".join))
headers = some.lists(some.sampled_from(TOKENS), max_size=12).map("".join)
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


class Target(Victim):
    """An emulator that holds an instance, a work item and an extended query tag."""

    study: str
    place: str


@pytest.fixture(scope="module")
def emulator() -> Iterator[Target]:
    file = instance(
        pixels=bytes(range(64)), Rows=8, Columns=8, BitsAllocated=8, SamplesPerPixel=1, StudyDate="20200101"
    )
    with victim() as server:
        target = Target(server.url, server.client)
        assert target.store(file).status_code == 200
        study, series, sop = uids(file)
        target.study, target.place = study, f"studies/{study}/series/{series}/instances/{sop}"
        assert target.ask("POST", "workitems?1.2.3", json=[workitem()], headers=OF_WORKITEMS).status_code == 201
        tag = [{"path": "PatientAge", "level": "Study"}]
        assert target.ask("POST", "extendedquerytags", json=tag).status_code == 202
        yield target


# Addresses


@given(method=some.sampled_from(METHODS), segments=some.lists(texts, min_size=1, max_size=7))
@budget(80)
def test_any_path(emulator: Target, method: str, segments: list[str]) -> None:
    emulator.ask(method, "/" + "/".join(["v2", *segments]))


@given(uid=texts, below=some.sampled_from(["", "/metadata", "/series", "/instances", "/rendered", "/frames/1"]))
@example(uid="..%2f..%2fetc%2fpasswd", below="")
@example(uid="1.2.3%00", below="/metadata")
@example(uid="1" * 65, below="")
@example(uid="\u0661.\u0662", below="/series")
@budget(80)
def test_any_identifier(emulator: Target, uid: str, below: str) -> None:
    for path in (f"studies/{uid}{below}", f"studies/1.2/series/1.3/instances/{uid}{below}", f"workitems/{uid}{below}"):
        assert emulator.ask("GET", path).status_code in {200, 204, 400, 404, 405, 406}


SEARCHES = ["studies", "series", "instances", "workitems", "changefeed", "changefeed/latest", "extendedquerytags"]
NAMES = [
    "limit", "offset", "fuzzymatching", "includefield", "PatientName", "StudyDate", "PatientBirthDate", "00100020",
    "StudyInstanceUID", "ModalitiesInStudy", "PatientAge", "ScheduledProcedureStepStartDateTime", "startTime",
    "endTime",
    "ReferencedRequestSequence.AccessionNumber", "includeMetadata", "quality", "LIMIT",
]  # fmt: skip


@given(
    path=some.sampled_from(SEARCHES),
    query=some.lists(some.tuples(some.one_of(some.sampled_from(NAMES), texts), texts), max_size=4),
    version=some.sampled_from(["v1", "v2"]),
)
@example(path="studies", query=[("limit", "9" * 4400)], version="v2")
@example(path="studies", query=[("InstanceNumber", "9" * 4400), ("offset", "\u0661")], version="v1")
@budget(150)
def test_any_query(emulator: Target, path: str, query: list[tuple[str, str]], version: str) -> None:
    emulator.ask("GET", f"/{version}/{path}", params=query)
    emulator.ask("GET", f"/{version}/{path}?" + "&".join(f"{name}={value}" for name, value in query))


# Headers


@given(
    accept=headers,
    path=some.sampled_from(
        ["studies", "{}", "{}/metadata", "{}/frames/1", "{}/rendered", "studies/{study}", "workitems"]
    ),
)
@budget(120)
def test_any_accept(emulator: Target, accept: str, path: str) -> None:
    path = path.format(emulator.place, study=emulator.study)
    emulator.ask("GET", path, accept.strip().encode("latin-1"))


@given(
    name=some.sampled_from(["Host", "Authorization", "If-None-Match", "Content-Length", "Origin", "Range"]),
    value=headers,
)
@example(name="Host", value="[")
@example(name="Host", value="[::1]:99999999")
@example(name="Host", value="a:b")
@budget(50)
def test_any_other_header(emulator: Target, name: str, value: str) -> None:
    sent = {name: value.strip().encode("latin-1")}
    for path in ("studies", f"{emulator.place}/metadata", "nothing", "/v3/studies", "/_emulator/requests"):
        emulator.ask("GET", path, headers=sent)
    emulator.ask("POST", "extendedquerytags", headers=sent | JSON, data=b"[]")


# Bodies


@given(content_type=headers, body=some.binary(max_size=60), pieces=some.lists(some.sampled_from(TOKENS), max_size=8))
@budget(60)
def test_any_content_type(emulator: Target, content_type: str, body: bytes, pieces: list[str]) -> None:
    sent = {"Content-Type": content_type.strip().encode("latin-1")}
    for path in ("studies", "workitems?1.2.9", "studies/$bulkUpdate", "export", "extendedquerytags"):
        emulator.ask("POST", path, headers=sent, data=body)


LINES = [
    b"--b", b"--b--", b"\r\n", b"\n", b"\r", b"--", b" ", b"Content-Type: application/dicom", b"Content-Type:",
    b":", b"DICM",
    b"\0", b"\xff", b"Content-Length: -1", b"X" * 5000, b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n",
    b"\r\n--b--\r\n",
]  # fmt: skip


@given(body=some.lists(some.one_of(some.sampled_from(LINES), some.binary(max_size=8)), max_size=12).map(b"".join))
@budget(200)
def test_any_multipart_body(emulator: Target, body: bytes) -> None:
    sent = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    assert emulator.ask("POST", "studies", headers=sent, data=body).status_code in {200, 202, 204, 400, 409, 415}


numbers = some.one_of(
    some.integers(), some.floats(), some.sampled_from([10**400, -(10**400), 1e308, float("inf"), float("nan")])
)
scalars = some.one_of(some.none(), some.booleans(), numbers, texts)
values = some.recursive(
    scalars,
    lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@some.composite
def wrong_somewhere(draw: some.DrawFn, good: Any) -> Any:
    """A JSON value that is like `good`, but for one place."""
    if isinstance(good, dict) and good and draw(some.integers(0, 4)):
        name = draw(some.sampled_from(sorted(good)))
        return good | {name: draw(wrong_somewhere(good[name]))}
    if isinstance(good, list) and good and draw(some.integers(0, 4)):
        at = draw(some.integers(0, len(good) - 1))
        return [*good[:at], draw(wrong_somewhere(good[at])), *good[at + 1 :]]
    return draw(values)


CODE = {"CodeValue": "C1", "CodingSchemeDesignator": "99TEST", "CodeMeaning": "One"}
BODIES: list[tuple[str, str, Any]] = [
    ("POST", "extendedquerytags", [{"path": "00101030", "vr": "DS", "level": "Study", "privateCreator": "MAKER"}]),
    ("PATCH", "extendedquerytags/PatientAge", {"QueryStatus": "Disabled"}),
    (
        "POST",
        "studies/$bulkUpdate",
        {"studyInstanceUids": ["1.2"], "changeDataset": data_set(PatientName="A", PatientAge="1")},
    ),
    (
        "POST",
        "export",
        {
            "source": {"type": "identifiers", "settings": {"values": ["1.2/1.3/1.4"]}},
            "destination": {"type": "azureblob", "settings": {"blobContainerUri": "https://a.b/results?sig=s"}},
        },
    ),
    ("POST", "workitems?1.2.4", [workitem(ScheduledStationNameCodeSequence=[CODE], PatientName="A^B")]),
    ("POST", "workitems/1.2.3", [data_set(ProcedureStepLabel="Knee", ScheduledStationClassCodeSequence=[CODE])]),
    ("PUT", "workitems/1.2.3/state", [data_set(TransactionUID="1.2.7", ProcedureStepState="IN PROGRESS")]),
    ("POST", "workitems/1.2.3/cancelrequest", [data_set(ReasonForCancellation="None")]),
    ("POST", "/_emulator/snapshots", {"name": "before"}),
    ("POST", "/_emulator/seed", {"set": "synthetic"}),
    ("PUT", "/_emulator/operations", {"leastSeconds": 0}),
    (
        "POST",
        "/_emulator/faults",
        {"path": "/nowhere", "nth": 1, "count": 1, "status": 503, "delay": 0, "cut_after": 1},
    ),
]


@pytest.mark.parametrize("method, path, good", BODIES, ids=[path for _, path, _ in BODIES])
@given(data=some.data())
@budget(50)
def test_any_json_body(emulator: Target, method: str, path: str, good: Any, data: some.DataObject) -> None:
    body = json.dumps(data.draw(wrong_somewhere(good)))
    emulator.ask(method, path, data=body.encode(), headers=type_of(path))
    emulator.ask("DELETE", "/_emulator/faults")


BROKEN = [
    "1e99999999999999999999", "-1e-99999999999999999999", "9" * 5000, '"\\ud800"', "[" * 100_000, '{"a":' * 100_000,
    '{"00100010":{"vr":"DS","Value":[1e999999999]}}', '{"a":1,"a":2}', "nul", "[1,]", "/*", "//", '"',
    "\ufeff[]", "NaN", "[\0]",
]  # fmt: skip


@pytest.mark.parametrize("method, path, good", BODIES, ids=[path for _, path, _ in BODIES])
@pytest.mark.parametrize("body", BROKEN, ids=lambda body: body[:20].encode("ascii", "replace").decode())
def test_what_is_hardly_json(emulator: Target, method: str, path: str, good: Any, body: str) -> None:
    for sent in (body.encode("utf-8", "surrogatepass"), f"[{body}]".encode(), body.encode("utf-16", "surrogatepass")):
        assert emulator.ask(method, path, data=sent, headers=type_of(path)).status_code < 500


def type_of(path: str) -> dict[str, str]:
    return OF_WORKITEMS if path.startswith("workitems") else JSON
