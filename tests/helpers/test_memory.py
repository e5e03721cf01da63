"""Memory for parts that arrive: what is held is what came, whatever its size, and neighbours do not disturb each other."""

import mmap
import random
from collections.abc import Iterator

import pytest

import helpers.memory
from helpers.multipart import MultipartRelatedStream, TruncatedBody, split_parts
from helpers.memory import LARGEST_SHARING, SHARED, SMALLEST_SHARING, Pages

BLOCK = 100_000  # bytes of a view
SIZES = [
    0,
    1,
    SMALLEST_SHARING - 1,
    SMALLEST_SHARING,
    LARGEST_SHARING,
    LARGEST_SHARING + 1,
    SHARED - 1,
    SHARED + 1,
    2 * SHARED + BLOCK + 1,
]


@pytest.fixture(params=[True, False], ids=["large pages", "none"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (request.param and helpers.memory.ARE_THERE):
        monkeypatch.setattr(helpers.memory, "ARE_THERE", False)
        monkeypatch.setattr(helpers.memory, "fresh", None)


def content_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def views_of(content: bytes, block: int = BLOCK) -> Iterator[memoryview]:
    view = memoryview(content)
    return (view[start : start + block] for start in range(0, len(view), block))


def hold(memory: Pages, content: bytes) -> memoryview:
    return memoryview(memory.hold(views_of(content)))


@pytest.mark.usefixtures("system")
def test_what_is_held_is_what_came() -> None:
    memory, contents = Pages(), [content_of(size) for size in SIZES]
    held = [hold(memory, content) for content in contents for _ in range(2)]
    assert [len(view) for view in held] == [size for size in SIZES for _ in range(2)]
    assert all(view == content for view, content in zip(held, (c for c in contents for _ in range(2)), strict=True))
    assert all(view.readonly for view in held)


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("size", [LARGEST_SHARING, 2 * SHARED + 1])
def test_one_view_of_any_size_is_held(size: int) -> None:
    content = content_of(size)
    assert Pages().hold(iter([memoryview(content)])) == content


def test_pages_are_filled_to_the_last_byte_and_not_beyond() -> None:
    fills, lacks_one = [LARGEST_SHARING] * 8, [LARGEST_SHARING] * 7 + [LARGEST_SHARING // 2, LARGEST_SHARING // 2 + 1]
    contents = [content_of(size) for size in fills + lacks_one]
    memory = Pages()
    assert [hold(memory, content) for content in contents] == contents


def test_many_of_middle_size_share_pages_and_fill_them_to_seven_eighths() -> None:
    memory = Pages()
    for size in (SMALLEST_SHARING, 500_000, LARGEST_SHARING * 8 // 9, LARGEST_SHARING):
        held = [hold(memory, bytes(size)) for _ in range(100)]
        taken = sum(len(pages) for pages in {id(view.obj): view.obj for view in held}.values())
        assert taken <= 100 * size * 8 / 7 + 2 * SHARED


@pytest.mark.parametrize("size", [SMALLEST_SHARING - 1, LARGEST_SHARING + 1, SHARED + 1])
def test_a_small_or_a_large_one_keeps_its_own_bytes_and_no_more(size: int) -> None:
    memory = Pages()
    assert [len(hold(memory, bytes(size)).obj) for _ in range(2)] == [size, size]


def test_pages_are_given_back_with_the_last_piece_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(mmap.mmap):
        left = 0

        def __del__(self) -> None:
            Watched.left -= 1

    def fresh(size: int) -> Watched:
        Watched.left += 1
        return Watched(-1, size)

    monkeypatch.setattr(helpers.memory, "fresh", fresh)
    memory = Pages()
    held = [hold(memory, bytes(LARGEST_SHARING)) for _ in range(24)]
    assert Watched.left == 3
    del held[:8]
    assert Watched.left == 2
    del held[1:]
    assert Watched.left == 2  # one for the piece that is kept, one for those to come
    del memory
    assert Watched.left == 1


def test_a_system_without_large_pages_gives_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", -1)  # refused with EINVAL, as by a kernel that was built without
    content = content_of(SHARED)
    assert hold(Pages(), content) == content


def test_no_memory_is_a_MemoryError() -> None:
    with pytest.raises(MemoryError, match=r"no memory for \d+ bytes"):
        helpers.memory.fresh(2**62)


@pytest.mark.parametrize("size", [LARGEST_SHARING, SHARED])
def test_a_part_that_is_cut_off_gives_nothing(size: int) -> None:
    whole = content_of(size)
    body = MultipartRelatedStream([whole, whole], "b").read()[: size * 3 // 2]
    parts, read = split_parts(map(bytes, views_of(body)), "b"), []
    read.append(next(parts).view)
    with pytest.raises(TruncatedBody):
        read.append(next(parts).view)
    assert read == [whole]
