"""What a response sends: bytes and parts of files, in batches, read into memory that is used again."""

from pathlib import Path

import pytest

from dicom_emulator import extent
from dicom_emulator.extent import (
    CHUNK,
    KNOWN,
    LARGE,
    LOT,
    Buffers,
    Extent,
    Piece,
    Reader,
    Spooled,
    batches_of,
    length_of,
    lots_of,
    spool,
)


@pytest.fixture(params=["at hand", "read", "read as on Windows"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All ways to read; the first where it exists."""
    if request.param == "read as on Windows":
        monkeypatch.setattr(extent, "preadv", extent.seek_and_read)
    if request.param == "at hand" and extent.NO_WAIT is None:
        monkeypatch.setattr(Reader, "read_at_hand", lambda *args: Reader.read(*args) or True)
    return request.param


def content_of(pieces: list[Piece], reading: str) -> list[bytes]:
    """The bytes of each batch."""
    found = []
    with Reader() as reader:
        for batch in batches_of(pieces):
            target = bytearray(CHUNK)
            if reading == "at hand":
                assert reader.read_at_hand(batch, target)
            else:
                reader.read(batch, target)
            found.append(bytes(target[: length_of(batch)]))
    return found


@pytest.mark.parametrize("length", [0, 1, CHUNK - 20, CHUNK - 6, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_batches_are_all_bytes_of_all_pieces_in_order(tmp_path: Path, length: int, reading: str) -> None:
    content = bytes(range(256)) * (length // 256 + 2)
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "other").write_bytes(b"another file")
    pieces = [b"before", Extent(tmp_path / "file", 7, length), b"between", Extent(tmp_path / "other", 8, 4), content]
    expected = b"before" + content[7 : 7 + length] + b"between" + b"file" + content
    batches = content_of(pieces, reading)
    assert b"".join(batches) == expected and len(expected) == length_of(pieces)
    assert all(len(batch) == CHUNK for batch in batches[:-1]) and len(batches[-1]) <= CHUNK


def test_nothing_at_all_is_one_batch() -> None:
    assert list(batches_of([])) == [[]] and list(batches_of([b""])) == [[b""]]


def test_lots_have_large_parts_of_files_by_themselves(tmp_path: Path) -> None:
    large, other, small = (
        Extent(tmp_path / name, 7, size) for name, size in [("a", 2 * LOT + 1), ("b", LARGE), ("c", 9)]
    )
    rest = Extent(large.path, 7 + 2 * LOT, 1)
    lots = list(lots_of([b"before", small, large, other, b"after", small]))
    first, second = (Extent(large.path, 7 + start, LOT) for start in (0, LOT))
    assert lots == [[b"before", small], [first], [second], [rest], [other], [b"after", small]]


def test_large_bytes_are_not_copied_when_they_are_cut() -> None:
    content = bytes(3 * CHUNK)
    parts = [part for batch in batches_of([b"before", content]) for part in batch]
    assert all(isinstance(part, memoryview) and part.obj is content for part in parts[1:])


def test_a_file_that_ends_early_is_an_error_and_not_at_hand(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"short")
    pieces: list[Piece] = [b"before", Extent(tmp_path / "file", 0, 10)]
    with Reader() as reader:
        assert not reader.read_at_hand(pieces, bytearray(CHUNK))
        with pytest.raises(OSError, match="file ends 5 bytes early"):
            reader.read(pieces, bytearray(CHUNK))
    with pytest.raises(OSError, match="file ends 5 bytes early"):
        Extent(tmp_path / "file", 0, 10).read()


def test_a_file_is_read_on_where_it_was_deleted_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    target = bytearray(4)
    with Reader() as reader:
        reader.read([Extent(path, 0, 4)], target)
        try:
            path.unlink()
        except PermissionError:  # Windows
            return
        reader.read([Extent(path, 4, 4)], target)
    assert target == b"4567"


def test_a_reader_leaves_no_file_open(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).write_bytes(name.encode())
    with Reader() as reader:
        reader.read([Extent(tmp_path / "first", 0, 5), Extent(tmp_path / "second", 0, 6)], bytearray(11))
        with pytest.raises(FileNotFoundError):
            reader.read([Extent(tmp_path / "third", 0, 5)], bytearray(11))
    for name in ("first", "second"):
        (tmp_path / name).unlink()  # which Windows refuses while it is open


class TestSpool:
    def test_bytes_are_moved_to_a_file_and_extents_stay(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"0123456789")
        pieces: list[Piece] = [b"before", Extent(tmp_path / "file", 2, 3), b"after"]
        spooled = spool(pieces, tmp_path / "new")
        assert spooled == [Spooled(tmp_path / "new", 0, 6), pieces[1], Spooled(tmp_path / "new", 6, 5)]
        assert content_of(spooled, "read") == [b"before234after"]

    def test_where_there_is_no_room_they_stay_in_memory(self, tmp_path: Path) -> None:
        assert spool([b"before"], tmp_path / "no folder" / "new") == [b"before"]


class TestBuffers:
    def test_a_buffer_is_used_again(self) -> None:
        buffers = Buffers()
        first = buffers.take()
        buffers.give_back(first)
        assert buffers.take() is first and len(first) == CHUNK

    def test_never_while_somebody_holds_a_view(self) -> None:
        buffers = Buffers()
        first, second = buffers.take(), buffers.take()
        buffers.give_back(second)
        buffers.give_back(first)
        view = memoryview(first)[:10]
        assert buffers.take() is second
        third = buffers.take()
        assert third is not first and third is not second
        del view
        assert buffers.take() is first

    def test_only_some_are_kept(self) -> None:
        buffers = Buffers()
        taken = [buffers.take() for _ in range(KNOWN + 5)]
        for buffer in taken:
            buffers.give_back(buffer)
        again = [id(buffers.take()) for _ in taken]
        assert len(set(map(id, taken)).intersection(again)) == KNOWN
