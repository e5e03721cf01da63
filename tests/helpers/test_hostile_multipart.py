"""The readers of multipart replies on damaged bodies: the parts, or an error of theirs, and nothing else."""

from typing import Literal

from hypothesis import given
from hypothesis import strategies as some

from helpers.multipart import MultipartError, boundary_of, encode_multipart_related, split_parts
from tests.emulator.hostile import budget

LINES = [
    b"--b", b"--b--", b"\r\n", b"\n", b"\r", b"--", b" ", b"\t", b"Content-Type: application/dicom", b"A:", b":", b"\0",
    b"\xff", b"X" * 1000, b"\r\n--b\r\nA: b\r\n\r\n", b"\r\n--b--\r\n", b"--b \r\n", b"--bb\r\n",
]  # fmt: skip
bodies = some.lists(some.one_of(some.sampled_from(LINES), some.binary(max_size=8)), max_size=14).map(b"".join)


def read(body: bytes, boundary: str, step: int) -> list[bytes] | Literal["refused"]:
    """The parts of a body that arrives in pieces of `step` bytes, or "refused"."""
    pieces = (body[start : start + step] for start in range(0, len(body), step))
    try:
        return [part.content for part in split_parts(pieces, boundary)]
    except MultipartError:  # which one may depend on how much had arrived
        return "refused"


@given(body=bodies, step=some.sampled_from([1, 2, 3, 7, 64]))
@budget(400)
def test_a_body_says_the_same_in_whatever_pieces_it_arrives(body: bytes, step: int) -> None:
    assert read(body, "b", step) == read(body, "b", len(body) or 1)


@given(files=some.lists(some.binary(max_size=60), max_size=4), damage=some.integers(0, 400), bit=some.integers(0, 7))
@budget(300)
def test_a_damaged_body_is_read_or_refused(files: list[bytes], damage: int, bit: int) -> None:
    body, _ = encode_multipart_related(files, boundary="b")
    at = damage % len(body)
    read(body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :], "b", 16)
    cut = read(body[:at], "b", 16)
    assert cut == "refused" or b"".join(cut) == b"".join(files)  # all of it, or an error


@given(
    content_type=some.one_of(
        some.text(some.characters(max_codepoint=255), max_size=60),
        some.text('multipart/related;boundary="=\\ ', max_size=60),
    )
)
@budget(200)
def test_any_content_type(content_type: str) -> None:
    try:
        boundary = boundary_of(content_type)
    except MultipartError:
        return
    read(b"--b\r\n\r\n", boundary, 64)
