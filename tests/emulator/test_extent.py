"""What a response sends: bytes and parts of files, in batches of blocks."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from dicom_emulator.extent import CHUNK, SMALL, Block, Extent, at_hand, batches_of, length_of


def joined(blocks: Iterable[Block]) -> bytes:
    return b"".join(blocks)


@pytest.mark.parametrize("length", [0, 1, SMALL, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_batches_are_all_bytes_of_all_pieces_in_order(tmp_path: Path, length: int) -> None:
    content = bytes(range(256)) * (length // 256 + 2)
    (tmp_path / "file").write_bytes(content)
    pieces = [b"before", Extent(tmp_path / "file", 7, length), b"between", Extent(tmp_path / "file", 0, 5), b"after"]
    batches = list(batches_of(pieces))
    expected = b"before" + content[7 : 7 + length] + b"between" + content[:5] + b"after"
    assert joined(map(joined, batches)) == expected and len(expected) == length_of(pieces)
    assert all(length_of(batch) < 2 * CHUNK for batch in batches)
    assert joined(at_hand(pieces) or [expected]) == expected
    assert at_hand(pieces) is None or length < CHUNK


def test_many_small_pieces_make_one_block(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    pieces = [Extent(tmp_path / "file", number, 1) for number in range(10)]
    assert list(batches_of(pieces)) == [[b"0123456789"]]
    assert at_hand(pieces) in (None, [b"0123456789"])  # None where the system cannot tell


def test_a_file_that_ends_early_is_an_error_and_not_at_hand(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"short")
    pieces = [b"before", Extent(tmp_path / "file", 0, 10)]
    assert at_hand(pieces) is None
    with pytest.raises(OSError, match="file ends 5 bytes early"):
        list(batches_of(pieces))
