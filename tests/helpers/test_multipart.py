"""multipart/related both ways, also when the bytes come in unlucky pieces."""

import io
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import requests
import requests_toolbelt
from requests.structures import CaseInsensitiveDict

from helpers.multipart import (
    BLOCK,
    LARGE_BLOCK,
    MalformedBody,
    MissingBoundary,
    MultipartError,
    MultipartRelatedStream,
    NotMultipart,
    Part,
    PartPassedBy,
    TruncatedBody,
    WrongBoundary,
    encode_multipart_related,
    iter_parts,
    parts_of,
    split_parts,
)
from tests.helpers.conftest import Reply, ScriptedServer

ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000
WADO = {"Content-Type": "multipart/related; boundary=b"}


def reply_with(content_type: str, body: bytes = b"", status: int = 200, reason: str = "OK") -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason, response.raw = status, reason, io.BytesIO(body)
    if content_type:
        response.headers["Content-Type"] = content_type
    return response


def read_all(pieces: Iterable[bytes], boundary: str = "b") -> list[tuple[dict[str, str], bytes]]:
    return [(dict(part.headers), part.content) for part in split_parts(pieces, boundary)]


# ------------------------------------------------------------------------------------------------------ making a body


def test_wire_form_of_the_tutorials_call() -> None:
    files = {
        "file_red": ("dicomfile", b"red", "application/dicom"),
        "file_green": ("dicomfile", b"green", "application/dicom"),
    }
    body, content_type = encode_multipart_related(fields=files, boundary="ABCD1234")
    assert content_type == 'multipart/related; type="application/dicom"; boundary=ABCD1234'
    assert body == (
        b"--ABCD1234\r\nContent-Type: application/dicom\r\n\r\nred\r\n"
        b"--ABCD1234\r\nContent-Type: application/dicom\r\n\r\ngreen\r\n"
        b"--ABCD1234--\r\n"
    )


def test_a_sequence_takes_bytes_paths_and_open_files(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"from a path")
    opened = io.BytesIO(b"passed by|from a file")
    opened.seek(10)
    body, _ = encode_multipart_related([b"bytes", path, str(path), opened], "b")
    assert [content for _, content in read_all([body])] == [b"bytes", b"from a path", b"from a path", b"from a file"]


def test_the_type_is_that_of_the_first_part() -> None:
    _, content_type = encode_multipart_related({"m": ("m", b"[]", "application/dicom+json; charset=utf-8")}, "b")
    assert content_type == 'multipart/related; type="application/dicom+json"; boundary=b'


def test_nothing_to_send_is_still_a_body() -> None:
    assert encode_multipart_related([], "b") == (
        b"--b--\r\n",
        'multipart/related; type="application/dicom"; boundary=b',
    )


def test_random_boundaries_differ_and_are_not_in_the_data() -> None:
    boundaries = {MultipartRelatedStream([b"data"]).boundary for _ in range(20)}
    assert len(boundaries) == 20 and all(len(boundary) == 32 for boundary in boundaries)


def test_a_boundary_that_needs_quotes_gets_them() -> None:
    body, content_type = encode_multipart_related([b"x"], "a:b?")
    assert content_type.endswith('boundary="a:b?"')
    assert parts_of(reply_with(content_type, body))[0].content == b"x"


@pytest.mark.parametrize("boundary", ["with space", "x" * 71, "ä", 'quo"te', "line\r\n"])
def test_boundaries_that_the_standard_forbids(boundary: str) -> None:
    with pytest.raises(MultipartError, match="1 to 70"):
        encode_multipart_related([b"x"], boundary)


def test_a_boundary_that_occurs_in_the_data_is_refused() -> None:
    with pytest.raises(MultipartError, match="also occurs inside the data"):
        encode_multipart_related([b"one\r\n--XX\r\ntwo"], "XX")


@pytest.mark.parametrize("fields", [b"bytes", "path.dcm", Path("path.dcm")])
def test_one_file_is_not_a_list_of_files(fields: object) -> None:
    with pytest.raises(MultipartError, match="list of one"):
        encode_multipart_related(fields)  # type: ignore[arg-type]


def test_a_mapping_with_other_values_is_explained() -> None:
    with pytest.raises(MultipartError, match="file name, bytes, content type"):
        encode_multipart_related({"file": ("dicomfile", b"bytes")})  # type: ignore[dict-item]


def test_requests_toolbelt_reads_what_we_make() -> None:
    body, content_type = encode_multipart_related([b"\r\none\r\n", b"", b"--two"])
    decoder = requests_toolbelt.MultipartDecoder(body, content_type)
    assert [part.content for part in decoder.parts] == [b"\r\none\r\n", b"", b"--two"]
    assert {part.headers[b"Content-Type"] for part in decoder.parts} == {b"application/dicom"}


# ---------------------------------------------------------------------------------------------------------- streaming


def stream_of_three(tmp_path: Path) -> MultipartRelatedStream:
    (tmp_path / "a.dcm").write_bytes(bytes(range(256)) * 700)
    return MultipartRelatedStream([b"bytes", tmp_path / "a.dcm", io.BytesIO(b"opened"), b""], "b")


@pytest.mark.parametrize("size", [1, 7, 65_536, 1_000_000])
def test_stream_is_the_same_body_in_pieces(tmp_path: Path, size: int) -> None:
    whole = stream_of_three(tmp_path).read()
    stream = stream_of_three(tmp_path)
    if size == 1:
        stream = MultipartRelatedStream([b"bytes", b""], "b")
        whole = encode_multipart_related([b"bytes", b""], "b")[0]
    pieces = list(iter(lambda: stream.read(size), b""))
    assert b"".join(pieces) == whole and len(stream) == len(whole)
    assert max(len(piece) for piece in pieces) <= size


def test_stream_goes_back_to_its_start_and_nowhere_else(tmp_path: Path) -> None:
    stream = stream_of_three(tmp_path)
    start = stream.read(100)
    assert stream.tell() == 100 and stream.seek(100) == 100
    assert stream.read(10) != start[:10]
    with pytest.raises(io.UnsupportedOperation, match="from its start only"):
        stream.seek(5)
    assert stream.seek(0) == 0 and stream.read(100) == start


def test_requests_sends_the_length_of_a_stream(server: ScriptedServer, tmp_path: Path) -> None:
    stream = stream_of_three(tmp_path)
    requests.post(server.url, data=stream, headers={"Content-Type": stream.content_type}, timeout=5)
    received = server.received[0]
    assert received.headers["Content-Length"] == str(len(stream)) == str(len(received.body))
    assert "Transfer-Encoding" not in received.headers
    assert [content for _, content in read_all([received.body])][0] == b"bytes"


@pytest.mark.parametrize("now", [b"short", b"longer than it was before"])
def test_a_file_that_changes_while_it_is_sent_is_noticed(tmp_path: Path, now: bytes) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"as it was")
    stream = MultipartRelatedStream([path])
    path.write_bytes(now)
    with pytest.raises(MultipartError, match="changed its length"):
        stream.read()


def test_sending_64_megabytes_needs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "big.dcm"
    with path.open("wb") as file:
        file.truncate(64 * MEGABYTE)
    stream = MultipartRelatedStream([path])
    tracemalloc.start()
    total = sum(len(piece) for piece in iter(lambda: stream.read(16_384), b""))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == len(stream) > 64 * MEGABYTE
    assert peak < MEGABYTE, f"{peak} bytes were held"


# ------------------------------------------------------------------------------------------------------ reading a body

BODIES = {
    "two parts": (
        b"--b\r\nContent-Type: application/dicom\r\n\r\none\r\n"
        b"--b\r\ncontent-type: x/y\r\nX-More: 1\r\n\r\ntwo\r\n--b--\r\n",
        [({"Content-Type": "application/dicom"}, b"one"), ({"content-type": "x/y", "X-More": "1"}, b"two")],
    ),
    "no parts": (b"--b--\r\n", []),
    "empty part": (b"--b\r\nContent-Type: x/y\r\n\r\n\r\n--b--", [({"Content-Type": "x/y"}, b"")]),
    "no headers": (b"--b\r\n\r\ndata\r\n--b--", [({}, b"data")]),
    "preamble and epilogue": (b"look\r\nhere\r\n--b\r\n\r\ndata\r\n--b--\r\nbye\r\n--b\r\n", [({}, b"data")]),
    "line ends before the first boundary": (b"\r\n\r\n--b\r\n\r\ndata\r\n--b--", [({}, b"data")]),
    "blanks after the boundary": (b"--b \t\r\n\r\none\r\n--b  \r\n\r\ntwo\r\n--b--", [({}, b"one"), ({}, b"two")]),
    "almost boundaries in the data": (
        b"--b\r\n\r\n\r\n--\r\n-b\r\n--\r\r\n--bb\r\n--b-\n--b\n--b\r\n--b\r\n\r\n--c\r\n--b--",
        [({}, b"\r\n--\r\n-b\r\n--\r\r\n--bb\r\n--b-\n--b\n--b"), ({}, b"--c")],
    ),
    "line ends at both ends of the data": (
        b"--b\r\n\r\n\r\n\r\ndata\r\n\r\n\r\n--b--",
        [({}, b"\r\n\r\ndata\r\n\r\n")],
    ),
    "lines with LF alone in the data": (b"--b\r\n\r\n\n\none\ntwo\n\r\n--b--", [({}, b"\n\none\ntwo\n")]),
    "a longer boundary in the preamble": (b"--bb\r\n\r\nno\r\n--b\r\n\r\nyes\r\n--b--", [({}, b"yes")]),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_in_one_piece(name: str) -> None:
    body, expected = BODIES[name]
    assert read_all([body]) == expected


@pytest.mark.parametrize("name", BODIES)
def test_bodies_byte_by_byte(name: str) -> None:
    body, expected = BODIES[name]
    assert read_all(body[i : i + 1] for i in range(len(body))) == expected


@pytest.mark.parametrize("name", BODIES)
def test_bodies_cut_at_any_two_places(name: str) -> None:
    body, expected = BODIES[name]
    for first in range(len(body)):
        for second in range(first, len(body)):
            assert read_all([body[:first], body[first:second], body[second:]]) == expected, (first, second)


def test_random_data_survives_any_cutting() -> None:
    chance = random.Random(3)
    boundary = "b-"
    for _ in range(400):
        contents = [bytes(chance.choices(b"\r\n-b", k=chance.randrange(30))) for _ in range(chance.randrange(4))]
        if any(b"--b-" in content for content in contents):
            continue
        body, _ = encode_multipart_related(contents, boundary)
        pieces = cut(body, chance)
        assert [content for _, content in read_all(pieces, boundary)] == contents, (contents, pieces)


def cut(body: bytes, chance: random.Random) -> list[bytes]:
    pieces = []
    while body:
        size = chance.randint(1, 12)
        pieces.append(body[:size])
        body = body[size:]
    return pieces


# ------------------------------------------------------------------------------------------------- what can be wrong


@pytest.mark.parametrize("name", ["two parts", "empty part", "no headers", "almost boundaries in the data"])
def test_a_body_that_stops_anywhere_is_truncated(name: str) -> None:
    body = BODIES[name][0].rstrip()
    for length in range(len(body)):
        with pytest.raises(TruncatedBody, match="send the request again"):
            read_all([body[:length]])


def test_truncation_says_how_far_it_came() -> None:
    with pytest.raises(TruncatedBody, match="stops after 1 whole part,"):
        read_all([BODIES["two parts"][0][:-6]])
    with pytest.raises(TruncatedBody, match="stops before its first part"):
        read_all([])


def test_whole_parts_before_the_cut_are_given() -> None:
    parts = split_parts([BODIES["two parts"][0][:-6]], "b")
    assert next(parts).content == b"one"
    last = next(parts)
    with pytest.raises(TruncatedBody):
        last.content


def test_wrong_boundary_shows_both() -> None:
    with pytest.raises(WrongBoundary, match=r"no line of the body is `--other`.*b'--b\\r\\n"):
        read_all([BODIES["two parts"][0]], "other")


def test_no_boundary_within_reach() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1000)

    with pytest.raises(WrongBoundary):
        read_all(endless())


@pytest.mark.parametrize(
    "content_type", ["multipart/related", 'multipart/related; type="application/dicom"; boundary=""']
)
def test_missing_boundary(content_type: str) -> None:
    with pytest.raises(MissingBoundary, match="nobody can tell where a part begins"):
        iter_parts(reply_with(content_type))


def test_endless_boundary() -> None:
    with pytest.raises(MissingBoundary, match="cannot be used"):
        read_all([b"--" + b"b" * 300 + b"\r\n"], "b" * 300)


@pytest.mark.parametrize(
    "body",
    [
        b"--b\nContent-Type: x/y\n\ndata\n--b--\n",
        b"--b\r\nContent-Type: x/y\n\ndata\r\n--b--\r\n",
        b"--b\r\nno header\r\n\r\ndata\r\n--b--\r\n",
    ],
)
def test_malformed_bodies(body: bytes) -> None:
    with pytest.raises(MultipartError):
        read_all([body])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_part_that_breaks_the_rules_is_named_and_those_before_it_are_given(size: int) -> None:
    body = b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b\r\nno header\r\n\r\nthree\r\n--b--\r\n"
    parts = split_parts((body[start : start + size] for start in range(0, len(body), size)), "b")
    assert [next(parts).content, next(parts).content] == [b"one", b"two"]
    with pytest.raises(MalformedBody, match=r"part 3 of the body breaks RFC 2046: Found invalid character 32"):
        next(parts)


def test_the_parsers_log_does_not_reach_the_learners_cell() -> None:
    # In a process of its own: pytest catches what would otherwise go to stderr.
    code = (
        "from helpers.multipart import MalformedBody, split_parts\n"
        "try: list(split_parts([b'--b\\r\\nno header\\r\\n'], 'b'))\n"
        "except MalformedBody: print('malformed')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("malformed\n", "")


def test_lines_that_end_with_lf_alone_are_named() -> None:
    with pytest.raises(MalformedBody, match="LF alone"):
        read_all([b"--b\nContent-Type: x/y\n\ndata\n--b--\n"])


def test_not_multipart_says_what_came_and_what_to_ask_for() -> None:
    with pytest.raises(NotMultipart, match=r"200 OK, application/dicom\..*response\.content.*transfer-syntax=\*"):
        iter_parts(reply_with("application/dicom; transfer-syntax=1.2.840.10008.1.2.1"))


def test_not_multipart_because_the_request_failed() -> None:
    with pytest.raises(NotMultipart, match="406 Not Acceptable, text/plain. The request failed: look at response.text"):
        iter_parts(reply_with("text/plain; charset=utf-8", b"no", 406, "Not Acceptable"))
    with pytest.raises(NotMultipart, match="204 No Content, without a content type"):
        iter_parts(reply_with("", b"", 204, "No Content"))


# ----------------------------------------------------------------------------------------------------- taking parts


def reply_of(*contents: bytes) -> requests.Response:
    body, content_type = encode_multipart_related(contents, "b")
    return reply_with(content_type, body)


def test_parts_of_keeps_all() -> None:
    parts = parts_of(reply_of(b"one", b"two"))
    assert [part.content for part in parts] == [b"one", b"two"]
    assert repr(parts[0]) == "Part(application/dicom)" and parts[0].headers["CONTENT-TYPE"] == "application/dicom"


def test_parts_of_a_response_that_has_been_read() -> None:
    response = reply_of(b"one", b"two")
    assert response.content
    assert (
        [part.content for part in parts_of(response)]
        == [part.content for part in parts_of(response)]
        == [b"one", b"two"]
    )


def test_a_stream_that_was_read_before_cannot_be_read_again() -> None:
    response = reply_of(b"one")
    list(iter_parts(response))
    with pytest.raises(PartPassedBy, match="read as a stream before"):
        list(iter_parts(response))


def test_content_can_be_read_twice() -> None:
    part = next(iter_parts(reply_of(b"one")))
    assert part.content == part.content == b"one"


def test_a_part_that_was_passed_by_is_gone() -> None:
    first, second = list(iter_parts(reply_of(b"one", b"two")))
    with pytest.raises(PartPassedBy, match="before you take the next part"):
        first.content
    with pytest.raises(PartPassedBy):
        second.content


def test_a_part_does_not_read_into_the_next() -> None:
    parts = iter_parts(reply_of(bytes(200_000), b"two"))
    pieces = next(parts).iter_content()
    next(pieces)
    second = next(parts)
    with pytest.raises(PartPassedBy, match="one after the other"):
        list(pieces)
    assert second.content == b"two"


def test_save_writes_to_a_path_or_an_open_file(tmp_path: Path) -> None:
    first, second = tmp_path / "one.dcm", io.BytesIO()
    parts = iter_parts(reply_of(bytes(200_000), b"two"))
    assert next(parts).save(first) == 200_000 and next(parts).save(second) == 3
    assert first.read_bytes() == bytes(200_000) and second.getvalue() == b"two"


def test_save_leaves_no_half_file(tmp_path: Path) -> None:
    body = encode_multipart_related([bytes(200_000)], "b")[0][:-50]
    with pytest.raises(TruncatedBody):
        next(split_parts([body], "b")).save(tmp_path / "half.dcm")
    assert list(tmp_path.iterdir()) == []


def test_a_cut_connection_is_a_truncated_body(server: ScriptedServer) -> None:
    whole = encode_multipart_related([b"one", b"two"], "b")[0]
    server.replies = [Reply(headers=WADO, body=[whole[:60]], cut=True)]
    parts = iter_parts(requests.get(server.url, stream=True, timeout=5))
    assert next(parts).content == b"one"
    with pytest.raises(TruncatedBody, match="after 1 whole part"):
        next(parts).content


@pytest.mark.parametrize(
    ("length", "block"),
    [(None, BLOCK), (0, BLOCK), (MEGABYTE, BLOCK), (8 * MEGABYTE, 500_000), (10_000 * MEGABYTE, LARGE_BLOCK)],
)
def test_the_longer_a_reply_the_larger_its_blocks(length: int | None, block: int) -> None:
    class Raw:
        length_remaining = length

        def stream(self, size: int, decode_content: bool) -> Iterator[bytes]:
            asked.append(size)
            yield encode_multipart_related([b"one"], "b")[0]

    asked: list[int] = []
    response = reply_with(WADO["Content-Type"])
    response.raw = Raw()
    assert [part.content for part in iter_parts(response)] == [b"one"] and asked == [block]


@pytest.mark.parametrize("how", ["saved", "passed by", "in pieces"])
def test_receiving_64_megabytes_needs_no_memory(server: ScriptedServer, tmp_path: Path, how: str) -> None:
    def body() -> Iterator[bytes]:
        yield b"--b\r\nContent-Type: application/dicom\r\n\r\n"
        yield from (bytes(MEGABYTE) for _ in range(64))
        yield b"\r\n--b\r\n\r\nsmall\r\n--b--\r\n"

    server.replies = [Reply(headers=WADO, body=body())]
    with requests.get(server.url, stream=True, timeout=30) as response:
        tracemalloc.start()
        parts = iter_parts(response)
        big = next(parts)
        if how == "saved":
            assert big.save(tmp_path / "big.dcm") == 64 * MEGABYTE
        elif how == "in pieces":
            assert sum(len(piece) for piece in big.iter_content()) == 64 * MEGABYTE
        assert next(parts).content == b"small"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 5 * MEGABYTE, f"{peak} bytes were held (the server's megabytes count too)"


@pytest.mark.parametrize(
    ("content_type", "transfer_syntax"),
    [
        ("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.5", "1.2.840.10008.1.2.5"),
        ('image/jp2; transfer-syntax="1.2.840.10008.1.2.4.90"', "1.2.840.10008.1.2.4.90"),
        ("application/octet-stream", "1.2.840.10008.1.2.1"),
        ("", "1.2.840.10008.1.2.1"),
    ],
)
def test_a_part_says_how_its_pixels_are_coded(content_type: str, transfer_syntax: str) -> None:
    assert Part(CaseInsensitiveDict({"Content-Type": content_type}), iter(())).transfer_syntax == transfer_syntax
