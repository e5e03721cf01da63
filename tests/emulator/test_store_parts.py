"""Store: the parts of a multipart request (conformance statement, Store; RFC 2387)."""

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import pytest
from starlette.requests import ClientDisconnect

from dicom_emulator.api.store import PIECE, take_body
from dicom_emulator.wire.multipart import MOST_IN_MEMORY, SMALL, PartSpooler
from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, raw_dataset, raw_instance, uids
from tests.emulator.storing import (
    ATTRIBUTES_WARNING,
    CLASS_WARNING,
    PLAIN_TEXT,
    UNREADABLE,
    VERSIONS,
    change_feed,
    failed,
    failure_reasons,
    is_empty,
    metadata,
    post,
    referenced,
    retrieve,
    stored,
    warning_reason,
)

WITH_TYPE = 'multipart/related; type="application/dicom"; boundary=X'
WITHOUT_TYPE = "multipart/related; boundary=X"


def body_of(*parts: tuple[str | None, bytes]) -> bytes:
    """A multipart body with boundary X; each part is given as (Content-Type or None, bytes)."""
    heads = [f"--X\r\nContent-Type: {kind}\r\n\r\n" if kind else "--X\r\n\r\n" for kind, _ in parts]
    return b"".join(head.encode() + file + b"\r\n" for head, (_, file) in zip(heads, parts)) + b"--X--\r\n"


# Headers of a part


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["application/dicom", "Application/DICOM"])
def test_a_part_is_application_dicom_in_any_case(service: Service, version: str, kind: str) -> None:
    file = instance()
    response = post(service, body_of((kind, file)), WITH_TYPE, version)
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, file)]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_part_may_leave_its_type_to_the_request(service: Service, version: str) -> None:
    first, second = instance(), instance()
    response = post(service, body_of((None, first), ("application/dicom", second)), WITH_TYPE, version)
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, first), referenced(service, version, second)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "content_type, kinds",
    [(WITHOUT_TYPE, [None]), (WITHOUT_TYPE, ["application/dicom", None]), (WITH_TYPE, ["application/dicom", None])],
)
def test_any_other_part_without_a_type_is_415_and_nothing_is_stored(
    service: Service, version: str, content_type: str, kinds: list[str | None]
) -> None:
    response = post(service, body_of(*((kind, instance()) for kind in kinds)), content_type, version)
    assert response.status_code == 415
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert response.text == "The specified content type '' is not supported."
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "kind", ["image/jp2", "application/dicom+json", "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"]
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_part_of_another_type_is_415_and_nothing_is_stored(
    service: Service, version: str, kind: str, position: int
) -> None:
    kinds = ["application/dicom"] * 3
    kinds[position] = kind
    response = post(service, body_of(*((kind, instance()) for kind in kinds)), WITH_TYPE, version)
    assert response.status_code == 415
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert response.text == f"The specified content type '{kind}' is not supported."
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
def test_further_headers_of_a_part_do_not_matter(service: Service, version: str) -> None:
    file = instance()
    head = (
        b'--X\r\nContent-Disposition: form-data; name="file"; filename="../a.dcm"\r\n'
        b"Content-Type: application/dicom\r\n"
        b"Content-Length: 3\r\nContent-Location: http://example.org/\r\nContent-ID: <1>\r\nMIME-Version: 1.0\r\n\r\n"
    )
    response = post(service, head + file + b"\r\n--X--\r\n", WITH_TYPE, version)
    assert response.status_code == 200
    assert retrieve(service, stored(response)[0]).content == file


# Framing


@pytest.mark.parametrize("version", VERSIONS)
def test_text_before_and_after_the_parts_is_passed_over(service: Service, version: str) -> None:
    file = instance()
    body = b"This is a preamble.\r\n" + body_of(("application/dicom", file)) + b"and this an epilogue"
    response = post(service, body, WITH_TYPE, version)
    assert response.status_code == 200
    assert retrieve(service, stored(response)[0]).content == file


@pytest.mark.parametrize("version", VERSIONS)
def test_a_body_may_end_right_behind_its_last_boundary(service: Service, version: str) -> None:
    file = instance()
    response = post(service, body_of(("application/dicom", file)).removesuffix(b"\r\n"), WITH_TYPE, version)
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, file)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "pixels",
    [
        b"\r\n--" * 100,
        b"\r\n--test-boundar\r\n--test-boundarx\r\n",
        b"\n--test-boundary\r\n",
        b"--test-boundary--\r\n--test-boundar-" + b"\r\n--test-boundar" * 4,
        b"\r" * 60 + b"\r\n" * 60,
    ],
    ids=["delimiters without a name", "nearly", "without CR", "closed and nearly", "line ends"],
)
def test_pixels_that_look_like_a_boundary_are_pixels(service: Service, version: str, pixels: bytes) -> None:
    file = raw_instance({"PixelData": ("OB", pixels)})
    response = post(service, *multipart(file), version)
    assert response.status_code == 200
    assert retrieve(service, stored(response)[0]).content == file


def test_a_file_that_ends_with_a_line_end_keeps_it(service: Service) -> None:
    file = raw_instance({"PixelData": ("OB", b"end\n\r\n\r\n\r\n")})
    response = post(service, *multipart(file))
    assert retrieve(service, stored(response)[0]).content == file


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "cut",
    [
        lambda body: body[:20],
        lambda body: body[: len(body) // 2],
        lambda body: body[: -len(b"\r\n--X--\r\n")],
        lambda body: body[: -len(b"--\r\n")] + b"\r\nContent-Type: application/dicom\r\n",
        lambda body: body.replace(b"--X", b"--Y"),
        lambda body: body.replace(b"--X--", b"--Y--"),
    ],
    ids=["in a header", "in a file", "before the end", "in the next part", "wrong boundary", "wrong last boundary"],
)
def test_a_cut_off_or_wrongly_framed_request_is_400_and_nothing_is_stored(
    service: Service, version: str, cut: Callable[[bytes], bytes]
) -> None:
    body = body_of(("application/dicom", instance()), ("application/dicom", instance()))
    response = post(service, cut(body), WITH_TYPE, version)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == PLAIN_TEXT and response.text
    assert is_empty(service)


def test_blanks_behind_a_boundary_do_not_matter(service: Service) -> None:
    first, second = instance(), instance()
    body = body_of(("application/dicom", first), ("application/dicom", second)).replace(b"--X\r\n", b"--X \t\r\n")
    response = post(service, body, WITH_TYPE)
    assert stored(response) == [referenced(service, "v2", file) for file in (first, second)]


def test_lines_that_end_with_lf_alone_are_400(service: Service) -> None:
    body = b"--X\nContent-Type: application/dicom\n\n" + instance() + b"\n--X--\n"
    assert post(service, body, WITH_TYPE).status_code == 400
    assert is_empty(service)


# Where parts wait


@pytest.mark.parametrize("piece", [1000, SMALL - 7, 1024 * 1024])
def test_parts_of_every_size_are_in_their_files_and_few_of_them_in_memory(tmp_path: Path, piece: int) -> None:
    parts = [secrets.token_bytes(size) for size in (0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL) * 50]
    body = body_of(*(("application/dicom", part) for part in parts))
    names = (tmp_path / str(number) for number in count())
    spooler = PartSpooler("X", "application/dicom", "", lambda: next(names), len(body))
    for start in range(0, len(body), piece):
        spooler.feed(body[start : start + piece])
    found = spooler.finish()
    assert [part.source if isinstance(part.source, bytes) else part.source.read_bytes() for part in found] == parts
    assert [part.size for part in found] == [len(part) for part in parts]
    kept = [part.content for part in found if part.path is None]
    assert MOST_IN_MEMORY - SMALL < sum(map(len, kept)) <= MOST_IN_MEMORY


# How many parts


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("body", [b"--X--\r\n", b"--X\r\n\r\n--X--\r\n"], ids=["closed at once", "as .NET writes it"])
def test_no_part_at_all_is_204(service: Service, version: str, body: bytes) -> None:
    response = post(service, body, WITH_TYPE, version)
    assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize("version", VERSIONS)
def test_many_parts_are_stored_in_their_order(service: Service, version: str) -> None:
    files = [instance() for _ in range(120)]
    response = post(service, *multipart(*files), version)
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, file) for file in files]
    feed = change_feed(service, limit=200)
    assert [row["sopInstanceUid"] for row in feed] == [uids(file)[2] for file in files]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_part_that_fails_does_not_stop_the_others(service: Service, version: str) -> None:
    good = [instance(), instance(), instance()]
    response = post(service, *multipart(good[0], b"no file", good[1], b"", good[1], good[2]), version)
    assert response.status_code == 202
    assert [item["00081155"]["Value"][0] for item in stored(response)] == [uids(file)[2] for file in good]
    assert failure_reasons(response) == [43264, 43264, 45070]


# What is in a part


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"not a DICOM file",
        bytes(132),
        bytes(128) + b"DICOM is what this is not, whatever it says",
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"x" * 5000,
    ],
    ids=["empty", "one byte", "text", "preamble", "text behind a preamble", "picture", "long text"],
)
@pytest.mark.parametrize("parts", [False, True], ids=["one file", "multipart"])
def test_what_is_no_dicom_file_is_one_failed_instance(
    service: Service, version: str, content: bytes, parts: bool
) -> None:
    body, content_type = multipart(content) if parts else (content, "application/dicom")
    response = post(service, body, content_type, version)
    assert response.status_code == 409
    assert response.headers["Content-Type"] == "application/dicom+json; charset=utf-8"
    assert response.json() == {"00081198": {"vr": "SQ", "Value": [UNREADABLE]}}
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_empty_part_beside_a_good_one_is_202_with_one_item_on_each_side(service: Service, version: str) -> None:
    file = instance()
    response = post(service, *multipart(b"", file), version)
    assert response.status_code == 202
    assert response.json() == {
        "00081198": {"vr": "SQ", "Value": [UNREADABLE]},
        "00081199": {"vr": "SQ", "Value": [referenced(service, version, file)]},
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("lost", [1, 2, 50, 200])
def test_a_cut_off_dicom_file_is_one_failed_instance(service: Service, version: str, lost: int) -> None:
    file = raw_instance({"PixelData": ("OB", bytes(100))})
    response = post(service, file[:-lost], "application/dicom", version)
    assert response.status_code == 409
    assert failed(response) == [UNREADABLE]
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_without_preamble_is_stored(service: Service, version: str) -> None:
    file = instance()
    response = post(service, file[132:], "application/dicom", version)
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, file)]
    assert retrieve(service, stored(response)[0]).content == file[132:]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_data_set_without_any_file_meta_information_is_stored(service: Service, version: str) -> None:
    values = {"SOPClassUID": b"1.2.840.10008.5.1.4.1.1.7", "SOPInstanceUID": b"1.2.3", "PatientID": b"P1"}
    file = raw_dataset(values | {"StudyInstanceUID": b"1.2.1", "SeriesInstanceUID": b"1.2.2"}, "1.2.840.10008.1.2")
    response = post(service, file, "application/dicom", version)
    assert response.status_code in {200, 202}
    assert retrieve(service, stored(response)[0]).content == file


@pytest.mark.parametrize("version", VERSIONS)
def test_pixel_data_that_does_not_match_its_description_is_not_looked_at(service: Service, version: str) -> None:
    file = instance(pixels=b"\1\2", Rows=512, Columns=512, SamplesPerPixel=1, BitsAllocated=16, NumberOfFrames=5)
    response = post(service, file, "application/dicom", version)
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, file)]


# Transfer syntaxes


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "transfer_syntax",
    [
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.201",
    ],
)
def test_any_transfer_syntax_is_stored(service: Service, version: str, transfer_syntax: str) -> None:
    file = instance(transfer_syntax)
    response = post(service, file, "application/dicom", version)
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, file)]
    answer = retrieve(service, stored(response)[0])
    assert answer.content == file
    assert answer.headers["Content-Type"] == f"application/dicom; transfer-syntax={transfer_syntax}"


@pytest.mark.parametrize("version, status", [("v1", 200), ("v2", 202)])
def test_implicit_vr_is_stored_with_a_warning(service: Service, version: str, status: int) -> None:
    file = instance("1.2.840.10008.1.2")
    response = post(service, file, "application/dicom", version)
    assert response.status_code == status
    warning = {"00081196": {"vr": "US", "Value": [CLASS_WARNING]}}
    assert stored(response) == [referenced(service, version, file, **warning)]
    assert retrieve(service, stored(response)[0]).content == file


def test_the_warning_of_implicit_vr_goes_before_the_one_of_an_attribute(service: Service) -> None:
    changes = {"StudyDescription": b"x" * 65}
    implicit = post(service, raw_instance(changes, "1.2.840.10008.1.2"), "application/dicom")
    explicit = post(service, raw_instance(changes), "application/dicom")
    assert warning_reason(stored(implicit)[0]) == CLASS_WARNING
    assert warning_reason(stored(explicit)[0]) == ATTRIBUTES_WARNING
    assert len(stored(implicit)[0]["00741048"]["Value"]) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_private_attributes_of_implicit_vr_are_not_in_the_metadata(service: Service, version: str) -> None:
    private = {"00090010": ("LO", b"ACME"), "00091001": ("IS", b"12")}
    implicit = post(service, raw_instance(private, "1.2.840.10008.1.2"), "application/dicom", version)
    explicit = post(service, raw_instance(private), "application/dicom", version)
    assert "00091001" not in metadata(service, stored(implicit)[0])
    assert metadata(service, stored(explicit)[0])["00091001"] == {"vr": "IS", "Value": [12]}


def test_the_next_piece_arrives_while_a_thread_takes_one() -> None:
    arrived, taken = threading.Event(), list[bool]()

    class Request:
        async def stream(self) -> AsyncIterator[bytes]:
            yield bytes(PIECE)
            arrived.set()
            yield bytes(PIECE)

    asyncio.run(take_body(Request(), lambda chunk: taken.append(arrived.wait(10))))
    assert taken == [True, True]


def test_nothing_is_written_any_more_once_a_request_is_given_up() -> None:
    began, order = threading.Event(), list[str]()

    def take(chunk: bytes) -> None:
        began.set()
        time.sleep(0.2)
        order.append("taken")

    class Request:
        async def stream(self) -> AsyncIterator[bytes]:
            yield bytes(PIECE)
            await asyncio.to_thread(began.wait, 10)
            raise ClientDisconnect

    async def receive() -> None:
        with pytest.raises(ClientDisconnect):
            await take_body(Request(), take)
        order.append("given up")

    asyncio.run(receive())
    assert order == ["taken", "given up"]
