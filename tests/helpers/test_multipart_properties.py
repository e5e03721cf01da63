"""Any body, cut anywhere, read in any way, gives the same parts; one that is cut off or damaged gives a clear error."""

import gzip
import io
import mmap
import random
import re
from unittest import mock

import pytest
import requests
import requests_toolbelt
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.multipart import (
    FRESH,
    LARGEST_AT_ONCE,
    MultipartError,
    MultipartRelatedStream,
    TruncatedBody,
    iter_parts,
    parts_of,
    split_parts,
)
from tests.helpers.conftest import Reply, ScriptedServer

BOUNDARY = "b-"
# What a content is made of: line ends, beginnings of boundaries, whole ones that go on, and any bytes.
LOOKALIKES = [
    b"\r",
    b"\n",
    b"\r\n",
    b"-",
    b"--",
    b"--b",
    b"\r\n--b",
    b"\r\n--B-",
    b"\r\n--c-",
    b"\n--b-",
    b"\r--b-",
    b"",
]
contents = st.lists(st.sampled_from(LOOKALIKES) | st.binary(max_size=20), max_size=12).map(b"".join)
# No line of a part begins with the boundary (RFC 2046 §5.1.1).
bodies = st.lists(contents.filter(lambda content: b"\r\n--b-" not in b"\r\n" + content), max_size=5)
sizes = st.lists(st.integers(1, 40), min_size=1, max_size=8)
preambles = st.sampled_from(
    [b"", b"\r\n", b"text\r\n", b"--b\r\n", b"--b-b\r\n\r\nno\r\n", b"\r\n\r\n", b"-" * 100 + b"\r\n"]
)
epilogues = st.sampled_from([b"", b"\r\n", b"\r\nbye", b"\r\n--b-\r\n\r\nno\r\n--b---\r\n", b"\0" * 100])
many = settings(max_examples=300, deadline=None)


def encoded(contents: list[bytes]) -> bytes:
    return MultipartRelatedStream(contents, BOUNDARY).read()


def cut(body: bytes, sizes: list[int]) -> list[bytes]:
    """The body in pieces of these sizes, again and again."""
    pieces, turn = [], 0
    while body:
        pieces.append(body[: sizes[turn % len(sizes)]])
        body, turn = body[len(pieces[-1]) :], turn + 1
    return pieces


def reply(body: bytes, *, read: bool) -> requests.Response:
    """A reply with this body, one that has been read or one that is arriving."""
    response = requests.Response()
    response.status_code, response.raw = 200, io.BytesIO(body)
    response.headers["Content-Type"] = f"multipart/related; boundary={BOUNDARY}"
    assert not read or response.content == body
    return response


def outcome(parts: object) -> tuple[list[bytes], str]:
    """The contents of the parts that come before an error, and the error."""
    found = []
    try:
        for part in parts:  # type: ignore[attr-defined]
            found.append(bytes(part.content))
    except MultipartError as problem:
        return found, type(problem).__name__
    return found, ""


def in_all_ways(body: bytes, sizes: list[int]) -> list[tuple[list[bytes], str]]:
    return [
        outcome(split_parts(cut(body, sizes), BOUNDARY)),
        outcome(split_parts([body], BOUNDARY)),
        outcome(iter_parts(reply(body, read=True))),
        outcome(iter_parts(reply(body, read=False))),
    ]


@many
@given(bodies, sizes)
def test_what_is_encoded_comes_back_however_it_is_cut_and_read(contents: list[bytes], sizes: list[int]) -> None:
    body = encoded(contents)
    assert in_all_ways(body, sizes) == [(contents, "")] * 4
    assert [part.view.tobytes() for part in parts_of(reply(body, read=True))] == contents
    assert [part.view.tobytes() for part in parts_of(reply(body, read=False))] == contents
    if contents:  # of no parts the toolbelt makes an error
        decoder = requests_toolbelt.MultipartDecoder(body, f"multipart/related; boundary={BOUNDARY}")
        assert [part.content for part in decoder.parts] == contents


@many
@given(bodies, sizes, preambles, epilogues)
def test_what_stands_before_and_after_is_no_part(
    contents: list[bytes], sizes: list[int], preamble: bytes, epilogue: bytes
) -> None:
    body = encoded(contents).removesuffix(b"\r\n")
    assert in_all_ways(preamble + body + epilogue, sizes) == [(contents, "")] * 4


@many
@given(bodies, sizes, st.data())
def test_a_body_that_is_cut_off_is_truncated_in_all_ways(
    contents: list[bytes], sizes: list[int], data: st.DataObject
) -> None:
    body = encoded(contents).removesuffix(b"\r\n")
    rest = body[: data.draw(st.integers(0, len(body) - 1))]
    whole = len(re.findall(rb"\r\n--b-(?=\r\n|--)", rest))
    assert in_all_ways(rest, sizes) == [(contents[:whole], TruncatedBody.__name__)] * 4


@many
@given(bodies.filter(bool), sizes, st.integers(0, 10_000), st.binary(max_size=3))
def test_a_damaged_body_gives_parts_or_an_error_of_ours_and_the_same_error_in_all_ways(
    contents: list[bytes], sizes: list[int], place: int, damage: bytes
) -> None:
    body = encoded(contents)
    place %= len(body)
    (found, error), *others = in_all_ways(body[:place] + damage + body[place + len(damage) :], sizes)
    for whole, same_error in others:  # the larger the pieces, the fewer whole parts come out before the error
        assert same_error == error and whole == found[: len(whole)] and (error or len(whole) == len(found))


@many
@given(bodies, st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_a_stream_reads_as_the_body_whatever_is_asked_for(contents: list[bytes], sizes: list[int]) -> None:
    files = [io.BytesIO(content) if number % 2 else content for number, content in enumerate(contents)]
    body = encoded(contents)
    stream, read = MultipartRelatedStream(files, BOUNDARY), b""
    assert len(stream) == len(body)
    for size in sizes:
        piece = stream.read(size)
        read += piece
        assert len(piece) == min(size, len(body) - len(read) + len(piece)) and stream.tell() == len(read)
    buffer = bytearray(7)
    read += buffer[: stream.readinto(buffer)]
    assert read + b"".join(stream) == body and stream.tell() == len(body)
    stream.seek(0)
    assert stream.read() == body


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_parts_of_a_reply_that_arrives_with_a_length(server: ScriptedServer, encoding: str) -> None:
    contents = [b"one", b"", bytes(range(256)) * 2_000, b"two"]
    body = encoded(contents)
    headers = {"Content-Type": f"multipart/related; boundary={BOUNDARY}"}
    if encoding == "gzip":
        body, headers = gzip.compress(body), headers | {"Content-Encoding": "gzip"}
    server.replies = [Reply(headers=headers, body=body)]
    with requests.get(server.url, stream=True, timeout=5) as response:
        parts = parts_of(response)
    assert all(part.view.readonly for part in parts)
    assert [part.view.tobytes() for part in parts] == contents
    assert [part.content for part in parts] == contents


def test_a_part_of_a_reply_in_memory_is_a_view_and_no_copy() -> None:
    response = reply(encoded([b"one", bytes(1_000_000)]), read=True)
    assert all(part.view.obj is response.content for part in parts_of(response))
    assert [bytes(part.view) for part in parts_of(response)] == [part.content for part in parts_of(response)]


def test_a_part_of_a_reply_that_arrives_keeps_its_bytes_and_no_block(server: ScriptedServer) -> None:
    contents = [b"small", bytes(1_000), bytes(300_000)]
    body = encoded(contents)
    server.replies = [Reply(headers={"Content-Type": f"multipart/related; boundary={BOUNDARY}"}, body=body)]
    with requests.get(server.url, stream=True, timeout=5) as response:
        parts = parts_of(response)
    assert [len(part.view.obj) for part in parts] == [len(content) for content in contents]


@pytest.fixture(params=["pages at once", "no such system", "no more of them"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no such system":
        monkeypatch.delattr(mmap, "MAP_POPULATE", raising=False)
    if request.param == "no more of them":
        monkeypatch.setattr(mmap, "mmap", mock.Mock(side_effect=OSError(12, "Cannot allocate memory")))


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("block", [50_000, 10_000_000])
@pytest.mark.parametrize("size", [0, FRESH - 1, FRESH, LARGEST_AT_ONCE, LARGEST_AT_ONCE + 1, 9_000_000])
def test_a_view_of_any_size_has_its_bytes_and_cannot_be_changed(size: int, block: int) -> None:
    contents = [random.Random(number).randbytes(size) for number in range(3)]
    parts = split_parts(cut(encoded(contents), [block]), BOUNDARY)
    views = [part.view for part in parts]
    assert views == contents and all(view.readonly for view in views)


@pytest.mark.parametrize("size", [FRESH, LARGEST_AT_ONCE + 1])
def test_the_view_of_a_part_that_is_cut_off_is_an_error(size: int) -> None:
    body = encoded([bytes(size), bytes(size)])[: size * 3 // 2]
    parts = split_parts(cut(body, [50_000]), BOUNDARY)
    assert next(parts).view == bytes(size)
    with pytest.raises(TruncatedBody):
        _ = next(parts).view


@pytest.mark.parametrize("length", [10, 16_000, 40_000])
def test_a_long_preamble_is_read_or_refused_the_same_in_all_ways(length: int) -> None:
    body = b"x" * length + b"\r\n" + encoded([b"one"])
    expected = ([b"one"], "") if length < 16_384 else ([], "WrongBoundary")
    assert in_all_ways(body, [1000]) == [expected] * 4
