"""Two replies: what is a difference, and what is none."""

import io
import json

import numpy
import pydicom
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image
from requests.structures import CaseInsensitiveDict

from azure_check.comparing import Side, View, cell_difference, compare, differences, polled_once
from azure_check.lessons import Cell, Exchange, Message, Run
from azure_check.masks import Masks, hosts_of
from helpers.multipart import encode_multipart_related
from helpers.session import SAMPLE_DCMS

HOST = "name.example.org"
JSON = "application/dicom+json; charset=utf-8"
TRIANGLE = (SAMPLE_DCMS / "red-triangle.dcm").read_bytes()
SQUARE = (SAMPLE_DCMS / "green-square.dcm").read_bytes()


def exchange(
    body: object = b"", content_type: str = JSON, status: int = 200, path: str = "/v2/studies", **headers: str
) -> Exchange:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = CaseInsensitiveDict(
        {"Content-Type": content_type, **{name.replace("_", "-"): each for name, each in headers.items()}}
    )
    return Exchange(1, "GET", path, Message(CaseInsensitiveDict(), b""), status, Message(told, content))


def found(ours: Exchange, theirs: Exchange) -> list[tuple[str, str, str]]:
    sides = Side(Masks([])), Side(Masks([HOST]), {"1.2"})
    return [(each.what, each.emulator, each.service) for each in differences(ours, theirs, *sides)]


def element(vr: str, *values: object) -> dict:
    return {"vr": vr, "Value": list(values)}


def row(uid: str, **attributes: object) -> dict:
    return {"0020000E": element("UI", uid), **{name[1:]: each for name, each in attributes.items()}}


ROWS = [row("1.2.3", _00080060=element("CS", "CT")), row("1.2.4", _00080060=element("CS", "MR"))]


def files(*parts: bytes, boundary: str = "b") -> Exchange:
    body, content_type = encode_multipart_related(list(parts), boundary)
    return exchange(body, content_type)


def changed(**attributes: object) -> bytes:
    data_set = pydicom.dcmread(io.BytesIO(TRIANGLE))
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    buffer = io.BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def picture(value: int, form: str, size: int = 20) -> Exchange:
    buffer = io.BytesIO()
    Image.fromarray(numpy.full((size, 20, 3), value, numpy.uint8)).save(buffer, form)
    return exchange(buffer.getvalue(), "image/png")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (exchange(ROWS), exchange(ROWS)),
        (
            exchange({"url": "http://127.0.0.1:8080/v2/studies/1.2"}),
            exchange({"url": f"https://{HOST}/v2/studies/1.2"}),
        ),
        (
            exchange({"createdTime": "2026-01-02T03:04:05.6Z", "id": "31b140a163e9440b8a31b8e3628a5881"}),
            exchange({"createdTime": "2026-11-12T13:14:15Z", "id": "8f2f5a0c-6a06-4d2c-a0e6-8f6b62a2f8a7"}),
        ),
        (exchange([{"sequence": 7}]), exchange([{"sequence": 81}])),
        (exchange({"a": 1.0}), exchange({"a": 1})),
        (exchange(ETag="12-3"), exchange(ETag="9871-3")),
        (files(TRIANGLE, SQUARE), files(TRIANGLE, SQUARE, boundary="another")),
        (exchange(Date="now", Server="a"), exchange(Date="then", x_ms_request_id="5")),
        (exchange(b"x", "text/plain;charset=utf-8"), exchange(b"x", "text/plain; charset=utf-8")),
        (picture(200, "png"), picture(200, "bmp")),  # another encoder
    ],
)  # fmt: skip
def test_what_is_another_on_each_run_is_no_difference(ours: Exchange, theirs: Exchange) -> None:
    assert found(ours, theirs) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (exchange(status=404), exchange(status=410), ("status", "404", "410")),
        (exchange(ETag="12-3"), exchange(ETag='"12-3"'), ("header ETag", "<n>-<n>", '"<n>-<n>"')),
        (exchange(ETag="12-3"), exchange(), ("header ETag", "<n>-<n>", "not there")),
        (
            exchange(ROWS),
            exchange([ROWS[0], row("1.2.4", _00080060=element("CS", "CT"))]),
            ("body: 00080060 Modality", "MR", "CT"),
        ),
        (exchange(ROWS), exchange([ROWS[0], row("1.2.4")]), ("body: 00080060 Modality", '{"vr": "CS", "Value": ["MR"]}', "not there")),
        (exchange(ROWS), exchange(ROWS[:1]), ("body: row 1.2.4", "there", "not there")),
        (exchange(ROWS), exchange(ROWS[::-1]), ("body: order of rows", "as asked", "another")),
        (exchange({"a": 1}), exchange({"a": "1"}), ("body: a", "1", '"1"')),
        (exchange({"a": True}), exchange({"a": 1}), ("body: a", "true", "1")),
        (exchange([{"sequence": 7}]), exchange([{"sequence": "7"}]), ("body: sequence", "int", "str")),
        (exchange({"a": [1, 2]}), exchange({"a": [1]}), ("body: a", "[1, 2]", "[1]")),
        (exchange("One. Two."), exchange("One. Three."), ("body: text", "Two.", "Three.")),
        (exchange(b"One. Two.", "text/plain"), exchange(b"One.", "text/plain"), ("body: text", "Two.", "nothing more")),
        (exchange(b"", "text/plain"), exchange(b"No.", "text/plain"), ("body", "nothing", "text: No.")),
        (files(TRIANGLE, SQUARE), files(TRIANGLE), ("body: parts", "2 parts", "1 parts")),
        (files(TRIANGLE, SQUARE), files(SQUARE, TRIANGLE), ("body: order of parts", "as asked", "another")),
        (
            files(TRIANGLE, SQUARE),
            files(SQUARE, changed(PatientID="ID2")),
            ("body: file > 00100020 PatientID", "LO ID1", "LO ID2"),
        ),
        (files(b"pixels"), files(b"pixelz"), ("body: a part", "6 bytes", "6 other bytes")),
        (
            exchange(TRIANGLE, "application/dicom"),
            exchange(b"\1" + TRIANGLE[1:], "application/dicom"),
            ("body: file > preamble", f"{bytes(128).hex()}", f"01{bytes(127).hex()}"),
        ),
        (picture(200, "png"), picture(190, "png"), ("body: picture", "as asked", "pixels differ by 10.00 of 255 on average")),
        (picture(200, "png"), picture(200, "png", size=30), ("body: picture", "20×20", "20×30")),
        (exchange(b"12", "application/octet-stream"), exchange(b"13", "application/octet-stream"), ("body: bytes", "bytes of 2 bytes", "bytes of 2 bytes")),
    ],
)  # fmt: skip
def test_a_difference_is_told(ours: Exchange, theirs: Exchange, expected: tuple[str, str, str]) -> None:
    assert found(ours, theirs) == [expected]


def test_rows_of_other_people_are_left_out_and_counted() -> None:
    ours = [{"0020000D": element("UI", "1.2")}]
    side = Side(Masks([HOST]), {"1.2"})
    theirs = [*ours, {"0020000D": element("UI", "9.9"), "00100010": element("PN", "Real")}, {"studyInstanceUid": "9.9"}]
    work_item = {"00080018": element("UI", "9.9.9"), "00741000": element("CS", "SCHEDULED")}
    assert list(differences(exchange(ours), exchange([*theirs, work_item]), Side(Masks([])), side)) == []
    assert side.others > 0


def runs(paths: list[str], other_paths: list[str]) -> tuple[Run, Run]:
    made = [Run("01", exchanges=[exchange(path=path) for path in each]) for each in (paths, other_paths)]
    return made[0], made[1]


def test_requests_belong_together_by_their_order_and_the_rest_stays_alone() -> None:
    here, there = runs(["/v2/a", "/v2/b", "/v2/c"], ["/v2/a", "/v2/x", "/v2/c"])
    pairs = compare(here, there, View([HOST])).pairs
    assert [(pair.request, bool(pair.emulator), bool(pair.service)) for pair in pairs] == [
        ("GET /v2/a", True, True),
        ("GET /v2/b", True, False),
        ("GET /v2/x", False, True),
        ("GET /v2/c", True, True),
    ]


def test_uids_that_a_lesson_makes_up_belong_together() -> None:
    here, there = runs(["/v2/workitems/1.2.3.4.51"], ["/v2/workitems/1.2.3.4.52"])
    assert compare(here, there, View([HOST])).is_same


def test_how_often_an_operation_was_polled_is_no_difference() -> None:
    running, done = (exchange({"status": word}, path="/v2/operations/1") for word in ("running", "succeeded"))
    assert [each.asked for each in polled_once([running, running, done])] == [3]
    assert polled_once([running, done])[0].got.body == done.got.body
    assert len(polled_once([exchange(path="/v2/a"), exchange(path="/v2/a")])) == 2


@pytest.mark.parametrize(
    ("ours", "theirs", "lines"),
    [
        ("on emulator on this machine\n", f"on {HOST}\n", None),
        ("one\ntwo\n", "one\nthree\n", ["-two", "+three"]),
    ],
)
def test_what_cells_print(ours: str, theirs: str, lines: list[str] | None) -> None:
    cells = [Cell(1, "", [new_output("stream", name="stdout", text=text)]) for text in (ours, theirs)]
    difference = cell_difference(*cells, Side(Masks([])), Side(Masks([HOST])))
    assert (difference and [line for line in difference.lines if line[0] in "+-"]) == lines


def test_among_other_people_it_is_not_told_what_cells_printed() -> None:
    texts = {"one": "", "Real^Person": "AssertionError: Real^Person"}
    here, there = (Run("01", cells=[Cell(1, "", printing(*each))]) for each in texts.items())
    (told,) = compare(here, there, View([HOST], alone=False)).cells
    assert told.lines and "Person" not in f"{told.lines}{told.service_error}"
    assert "Person" in f"{compare(here, there, View([HOST])).cells[0].lines}"


def printing(text: str, error: str) -> list[NotebookNode]:
    name, _, value = error.partition(": ")
    raised = [new_output("error", ename=name, evalue=value, traceback=[])] if error else []
    return [new_output("stream", name="stdout", text=text), *raised]


@pytest.mark.parametrize(
    "text",
    [
        f"https://{HOST}/v2", f"HOST {HOST.upper()}:443", "the service called name here",
        "Bearer eyJhbGciOi.eyJhdWQiOi.c2lnbmVk", "https://acct.example/box?sig=secret and more",
    ],
)  # fmt: skip
def test_what_nobody_may_see_is_masked(text: str) -> None:
    masked = Masks(hosts_of(f"https://{HOST}"), container="https://acct.example/box?sig=secret").text(text)
    assert not any(secret in masked.lower() for secret in (HOST, "name", "eyj", "acct", "sig="))
