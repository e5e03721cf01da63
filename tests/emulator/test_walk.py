"""Reading a file without pydicom finds what pydicom finds, or leaves the file to it."""

import struct
import warnings
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.charset import decode_bytes
from pydicom.valuerep import PN_DELIMS, STANDARD_VR, TEXT_VR_DELIMS

from dicom_emulator.dicom import part10, walk
from dicom_emulator.dicom.dicom_json import to_json
from dicom_emulator.dicom.elements import TEXT, DataSet, decoded
from dicom_emulator.dicom.walk import DEEPEST, LARGE, MOST_BYTES, Unusual, walk_file, walk_path
from tests.emulator.dicom_files import LONG_LENGTH, element, fragments, instance, item, raw_instance

FOLDER = Path(pydicom.__file__).parent / "data"
FILES = [path for path in sorted(FOLDER.rglob("*")) if path.is_file() and path.suffix != ".pyc"]
CT = element(0x00080060, "CS", b"CT")
NAME = element(0x00100010, "PN", "Jérôme ".encode())
UTF_8, LATIN_1 = element(0x00080005, "CS", b"ISO_IR 192"), element(0x00080005, "CS", b"ISO_IR 100")
ITEM_END, SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def usual(content: bytes) -> bool:
    """Whether the file needs no pydicom; if so, what is found must be what pydicom finds."""
    try:
        data_set, transfer_syntax = walk_file(content)
    except Unusual:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = part10.read_file(BytesIO(content), len(content))
        assert transfer_syntax == expected.transfer_syntax
        assert comparable(data_set) == comparable(expected)
        assert to_json(data_set) == to_json(expected)
    return True


def comparable(data_set: DataSet, nested: bool = False) -> tuple[dict, tuple[str, ...]]:
    """All that is known of a data set. Inside of items, positions count from elsewhere in pydicom; elsewhere they matter
    for what has to be looked up in the file.
    """
    elements = {}
    for tag, found in data_set.elements.items():
        items = None if found.items is None else [comparable(one, True) for one in found.items]
        matters = not nested and (tag >> 16 == 0x7FE0 or (found.value is None and found.length != 0))
        elements[tag] = replace(found, items=items, position=found.position if matters and items is None else 0)
    return elements, tuple(data_set.encodings)


# The files that pydicom brings


def test_files_that_pydicom_brings() -> None:
    walked = [path.name for path in FILES if usual(path.read_bytes())]
    assert len(walked) > 100, walked
    assert {"CT_small.dcm", "MR_small_RLE.dcm", "chrH32.dcm"} <= set(walked)


def test_a_file_on_the_disk_is_read_as_one_in_memory(tmp_path: Path) -> None:
    for number, content in enumerate(
        [instance(), instance("1.2.840.10008.1.2"), raw_instance({"PixelData": ("OB", bytes(LARGE + 2))})]
    ):
        path = tmp_path / str(number)
        path.write_bytes(content)
        assert comparable(part10.read(path)) == comparable(part10.read(content))


@pytest.mark.parametrize("head", [1, 132, 160, 400, 1000, 4096, LARGE])
def test_of_a_file_on_the_disk_its_beginning_is_enough_or_more_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: int
) -> None:
    """Wherever the beginning that is read first ends: in a head, in a value, in an item, in the pixels or behind them."""
    monkeypatch.setattr(walk, "HEAD", head)
    after_pixels = element(0x7FE00010, "OW", bytes(LARGE + 2)) + element(0xFFFCFFFC, "OB", bytes(10))
    files = [file_of(CT + sequence(item(CT) + item(CT)) + after_pixels), file_of(CT + compressed(LARGE))]
    found = [outcome(walk_path, written(tmp_path / "file", content)) for content in files]
    assert None not in found
    assert found == [outcome(walk_file, content) for content in files]
    brought = [path for path in FILES if path.suffix == ".dcm"]
    assert [outcome(walk_path, path) for path in brought] == [outcome(walk_file, path.read_bytes()) for path in brought]


def outcome(walking: Callable[[Any], tuple[DataSet, str]], file: Any) -> tuple[Any, str] | None:
    """What is found in the file; None where it is unusual."""
    try:
        data_set, transfer_syntax = walking(file)
    except Unusual:
        return None
    return comparable(data_set), transfer_syntax


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# Data sets that hypothesis makes

VRS = sorted(vr.value for vr in STANDARD_VR)
JAPANESE = ("iso8859", "iso2022_jp")
CHARACTER_SETS = [b"", b"ISO_IR 100", b"ISO_IR 192", b"ISO 2022 IR 6\\ISO 2022 IR 87", b"\\ISO 2022 IR 149"]
CHARACTER_SETS += [b"GB18030", b"ISO_IR 13", b"ISO_IR 999", b"latin1", b"ISO_IR 100 "]
LETTERS = [
    "Doe^Jane=",
    "Äöü",
    "\\",
    " ",
    "\0",
    "\x1b$B",
    "\x1b(B",
    "ヤマダ",
    "김",
    "~",
    "1.50",
    "-0",
    "007",
    "1e99",
    "NaN",
]
texts = st.lists(st.sampled_from(LETTERS), max_size=4).map("".join)
codecs = st.sampled_from(["utf8", "latin-1", "iso2022_jp", "euc_kr", "shift_jis"])
values = st.one_of(
    st.binary(max_size=20),
    st.builds(lambda text, codec: text.encode(codec, "replace"), texts, codecs),
    st.sampled_from(
        [b"20240229", b"1.2.840\0", b"  7 ", b"\0\0\x80\x7f", b"\xcd\xcc\xcc\x3d", bytes(LARGE), bytes(LARGE + 2)]
    ),
)
tags = st.one_of(
    st.sampled_from([0x00080005, 0x00080018, 0x00080000, 0x00100010, 0x00280103, 0x7FE00010, 0x00091001, 0x00090010]),
    st.integers(0x00040000, 0x7FFFFFFF),
)


@st.composite
def attributes(draw: st.DrawFn, depth: int = 0) -> bytes:
    """The elements of a data set, mostly in the order of their tags."""
    chosen = draw(st.lists(tags, max_size=6))
    return b"".join(draw(an_attribute(tag, depth)) for tag in (sorted(chosen) if draw(st.booleans()) else chosen))


@st.composite
def an_attribute(draw: st.DrawFn, tag: int, depth: int) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if tag == 0x00080005:
        return element(tag, "CS", draw(st.sampled_from(CHARACTER_SETS)))
    vr = draw(st.sampled_from([*VRS, "SQ", "SQ", "SQ"]))
    if vr == "SQ" and depth < 3:
        items = b"".join(draw(st.lists(an_item(depth + 1), max_size=3)))
        return head + b"SQ\0\0" + draw(closed_or_open(items, SEQUENCE_END))
    if vr in {"OB", "OW", "UN"} and draw(st.booleans()):
        frames = draw(st.lists(st.binary(max_size=9) | st.just(bytes(LARGE)), max_size=3))
        return head + vr.encode() + struct.pack("<HI", 0, 0xFFFFFFFF) + fragments(*frames) + SEQUENCE_END
    value = draw(values)
    return element(tag, vr, value) if vr in LONG_LENGTH or len(value) < 0xFFFF else element(tag, "UT", value)


@st.composite
def an_item(draw: st.DrawFn, depth: int) -> bytes:
    return struct.pack("<HH", 0xFFFE, 0xE000) + draw(closed_or_open(draw(attributes(depth)), ITEM_END))


def closed_or_open(content: bytes, end: bytes) -> st.SearchStrategy[bytes]:
    """The content behind its length, or behind none and before its delimiter."""
    return st.sampled_from([struct.pack("<I", len(content)) + content, b"\xff\xff\xff\xff" + content + end])


def file_of(
    data_set: bytes, transfer_syntax: bytes = b"1.2.840.10008.1.2.1\0", meta_length: int | None = None
) -> bytes:
    meta = element(0x00020010, "UI", transfer_syntax)
    length = len(meta) if meta_length is None else meta_length
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", length)) + meta + data_set


@MANY
@given(attributes())
def test_a_data_set_of_any_attributes(data_set: bytes) -> None:
    usual(file_of(data_set))


@MANY
@given(attributes(), st.data())
def test_a_damaged_file(data_set: bytes, data: st.DataObject) -> None:
    file = bytearray(file_of(data_set + element(0x7FFF0010, "LO", b"the last one"))[: LARGE // 2])
    file[data.draw(st.integers(132, len(file) - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.one_of(st.just(len(file)), st.integers(0, len(file))))
    usual(bytes(file[:length]))


@MANY
@given(st.sampled_from(sorted(TEXT)), values, st.sampled_from([(), ("shift_jis",), ("utf_16",), JAPANESE]))
def test_text_is_decoded_as_pydicom_decodes_it(vr: str, value: bytes, encodings: tuple[str, ...]) -> None:
    value, encodings = value.rstrip(b" "), encodings or ("iso8859",)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = decode_bytes(value, encodings, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
        assert "\\".join(decoded(vr, value, encodings)) == expected


# What is read without pydicom, and what is not


def compressed(size: int) -> bytes:
    """Pixel data of one fragment of `size` bytes, without an offset table."""
    return struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + item(b"") + item(bytes(size)) + SEQUENCE_END


def sequence(items: bytes) -> bytes:
    return element(0x00081140, "SQ", items)


def nested(levels: int) -> bytes:
    value = b""
    for _ in range(levels):
        value = element(0x00081140, "SQ", item(value) if value else b"")
    return value


@pytest.mark.parametrize(
    "file",
    [
        instance(PatientName="Buc^Jérôme"),
        raw_instance({"PixelData": ("OW", bytes(LARGE + 2))}),
        file_of(nested(DEEPEST)),
        file_of(CT + b"rest"),
        raw_instance({"PixelData": ("OW", bytes(2 * MOST_BYTES))}),
        file_of(compressed(2 * MOST_BYTES)),
        file_of(CT, b"1.2.840.10008.1.2.4.90"),
        *(file_of(compressed(LARGE - missing)) for missing in range(10, 30, 2)),
    ],
)
def test_the_usual_needs_no_pydicom(file: bytes) -> None:
    assert usual(file)


@pytest.mark.parametrize(
    "file",
    [
        instance("1.2.840.10008.1.2"),
        instance("1.2.840.10008.1.2.2"),
        instance("1.2.840.10008.1.2.1.99"),
        instance()[132:],
        raw_instance({"Manufacturer": ("??", b"ACME")}),
        raw_instance({"SpecificCharacterSet": b"latin1"}),
        file_of(NAME + UTF_8),
        file_of(nested(DEEPEST + 1)),
        file_of(b""),
        file_of(CT[:-1]),
        file_of(CT, b"1.2\\1.3 "),
        file_of(element(0x00020016, "AE", b"ME") + CT),
        file_of(CT + CT, meta_length=28 + len(CT)),
        file_of(sequence(item(CT + b"more"))),
        file_of(sequence(item(CT) + b"more")),
        file_of(sequence(item(CT)) + compressed(8)[:-8]),
        b"",
        raw_instance({"TextValue": ("UT", b"a" * MOST_BYTES)}),
        file_of(sequence(item(CT) * (MOST_BYTES // len(CT)))),
        file_of(sequence(item(b"") * (MOST_BYTES // 8))),
        file_of(element(0x00091001, "OB", bytes(1000)) * (MOST_BYTES // 1000)),
    ],
    ids=[
        "implicit VR",
        "big endian",
        "deflated",
        "no preamble",
        "unknown VR",
        "unknown character set",
        "a name before its character set",
        "nested deeply",
        "no data set",
        "cut off",
        "two transfer syntaxes",
        "file meta information longer than it says",
        "file meta information shorter than it says",
        "more in an item",
        "more in a sequence",
        "pixels without an end",
        "empty",
        "a long text",
        "many items",
        "many empty items",
        "many binary values",
    ],
)
def test_the_unusual_is_left_to_pydicom(file: bytes) -> None:
    with pytest.raises(Unusual):
        walk_file(file)


def test_what_is_remembered_of_an_element_is_no_other_ones() -> None:
    """The same bytes are other text in another character set, and elsewhere in the file."""
    pixels = element(0x7FE00010, "OW", bytes(8))
    long = element(0x00080080, "LO", b"x" * 66)
    of_four = element(0x00280010, "US", b"\2\0") + element(0x00280011, "US", b"\2\0")
    for _ in range(2):
        for character_set in (b"", UTF_8, LATIN_1):
            for data_set in (NAME, sequence(item(NAME)), sequence(item(UTF_8 + NAME)), NAME + of_four + pixels, long):
                assert usual(file_of(character_set + data_set))
