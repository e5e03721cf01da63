"""Data sets in explicit VR little endian, as nearly all files have them, read without pydicom (PS3.5 §7.1, §7.5).

What is written in the least unusual way goes to pydicom instead, which knows the habits of many writers.
"""

import os
import struct
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

from pydicom.charset import python_encoding
from pydicom.dataelem import empty_value_for_VR
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

from dicom_emulator.dicom.elements import (
    BINARY,
    CHARACTER_SET,
    DEFAULT_ENCODINGS,
    SHORT,
    TEXT,
    DataSet,
    Element,
    encodings_of,
    texts,
)

LARGE = 64 * 1024  # bytes; longer binary values stay in the file
HEAD = 16 * 1024  # bytes in which the attributes before the pixels mostly are; less than a value that stays in the file
UNDEFINED = 0xFFFFFFFF
SHORT_SEQUENCE = 1024  # bytes
MOST_REMEMBERED = 4096  # short elements
PIXELS = 0x7FE0  # the group of pixel data, whose position in the file matters
START_OF_META = 132
GROUP_LENGTH, TRANSFER_SYNTAX_UID = 0x00020000, 0x00020010
END_OF_META = 0x00030000  # the tag that no element of the file meta information reaches
DEEPEST = 32  # levels of sequences
MOST_BYTES = 4 * 1024 * 1024  # of the attributes that are taken into memory; pydicom's reader counts what comes beyond
ITEM, ITEM_END, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)
OTHER_ENCODINGS = {ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
LONG_LENGTH = {vr.value.encode(): vr.value for vr in EXPLICIT_VR_LENGTH_32}  # VRs whose length has four bytes
SHORT_LENGTH = {vr.value.encode(): vr.value for vr in STANDARD_VR - EXPLICIT_VR_LENGTH_32}
EMPTY = {vr.value: empty_value_for_VR(vr, raw=True) for vr in STANDARD_VR}

head_at = struct.Struct("<HH2sH").unpack_from
length_at = struct.Struct("<L").unpack_from
Bytes = bytes | mmap


class Unusual(Exception):
    """Something that pydicom has to read."""


def walk_path(path: Path) -> tuple[DataSet, str]:
    """The data set of the file at `path`, and its transfer syntax. Raises Unusual.

    Mostly the pixels are the end of it, so that what is before them is enough: reading that costs less than a mapping.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            return walk_file(file.read(HEAD), size)
        except (Unusual, struct.error):
            if size <= HEAD:
                raise Unusual from None
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return walk_file(data)


def walk_file(data: Bytes, size: int | None = None) -> tuple[DataSet, str]:
    """The data set of a whole file, and its transfer syntax. Raises Unusual.

    size: of the file, where `data` is no more than how it begins; Unusual or struct.error may mean that more is needed.
    """
    size = len(data) if size is None else size
    meta, start = walk_meta(data)
    named = meta.elements.get(TRANSFER_SYNTAX_UID)
    transfer_syntax = "" if named is None or named.vr != "UI" else meta.text(TRANSFER_SYNTAX_UID).rstrip("\0 ")
    if not transfer_syntax or transfer_syntax in OTHER_ENCODINGS or transfer_syntax.strip("0123456789."):
        raise Unusual
    if len(meta.texts(TRANSFER_SYNTAX_UID)) > 1 or size - start < 8:
        raise Unusual
    data_set, _ = walk(data, start, size, min(start + MOST_BYTES, len(data)), DEFAULT_ENCODINGS)
    if min(data_set.elements) < END_OF_META:
        raise Unusual
    return data_set, transfer_syntax


def walk_meta(data: Bytes) -> tuple[DataSet, int]:
    """The file meta information, and where it ends. Raises Unusual."""
    if data[128:START_OF_META] != b"DICM" or len(data) < START_OF_META + 12:
        raise Unusual
    group, number, vr, length = head_at(data, START_OF_META)
    if (group << 16 | number, vr, length) != (GROUP_LENGTH, b"UL", 4):
        raise Unusual
    end = START_OF_META + 12 + length_at(data, START_OF_META + 8)[0]
    if end > len(data):
        raise Unusual
    meta, stop = walk(data, START_OF_META, end, START_OF_META + MOST_BYTES, DEFAULT_ENCODINGS)
    if stop != end or max(meta.elements) >= END_OF_META:
        raise Unusual
    return meta, end


def walk(
    data: Bytes, position: int, end: int, limit: int, encodings: tuple[str, ...], depth: int = 0
) -> tuple[DataSet, int]:
    """The elements from `position` to `end`, or to the end of an item, and where they stop. Raises Unusual.

    Nothing behind `limit` is taken into memory, which moves by the length of each value that stays in the file.
    """
    data_set = DataSet({}, encodings)
    elements = data_set.elements
    while position + 8 <= end:
        group, number, code, length = head_at(data, position)
        tag = group << 16 | number
        vr = SHORT_LENGTH.get(code)
        if vr is not None:
            after = position + 8 + length
            if length <= SHORT and group != PIXELS and after <= end and after <= limit:
                elements[tag] = short_element(data[position:after], data_set.encodings)
                position = after
                if tag == CHARACTER_SET:
                    take_character_set(data_set)
                continue
            position += 8
        elif code in LONG_LENGTH and position + 12 <= end:
            vr = LONG_LENGTH[code]
            (length,) = length_at(data, position + 8)
            position += 12
            after = position + length
            if vr == "SQ" and length <= SHORT_SEQUENCE and not depth and after <= end and after <= limit:
                elements[tag] = short_sequence(data[position - 12 : after], data_set.encodings)
                position = after
                continue
            if vr == "SQ" or length == UNDEFINED:
                begin = position
                element, position = walk_open(data, tag, vr, position, length, end, limit, data_set.encodings, depth)
                elements[tag] = element
                if element.items is None and element.value is None:
                    limit += position - begin
                continue
        elif depth and data[position : position + 8] == ITEM_END:
            return data_set, position
        else:
            raise Unusual
        after = position + length
        if after > end:
            raise Unusual
        if length > LARGE and not depth and vr in BINARY:
            value = None
            limit += length
        elif after > limit:
            raise Unusual
        else:
            value = data[position:after] if length else EMPTY[vr]
        elements[tag] = Element(tag, vr, value, position, length, True)
        if tag == CHARACTER_SET:
            take_character_set(data_set)
        position = after
    return data_set, position


@lru_cache(MOST_REMEMBERED)
def short_element(content: bytes, encodings: tuple[str, ...]) -> Element:
    """The element in `content`, head and value, of a data set with these encodings.

    The files of a series have most of theirs in common, so what is made of them is made once.
    """
    group, number, code, length = head_at(content)
    vr = SHORT_LENGTH[code]
    return Element(group << 16 | number, vr, content[8:] if length else EMPTY[vr], 0, length, True)


@lru_cache(MOST_REMEMBERED // 16)
def short_sequence(content: bytes, encodings: tuple[str, ...]) -> Element:
    """The sequence in `content`, as short_element()."""
    group, number, _, _ = head_at(content)
    end = len(content)
    return walk_open(content, group << 16 | number, "SQ", 12, end - 12, end, end, encodings, 0)[0]


def walk_open(
    data: Bytes,
    tag: int,
    vr: str,
    position: int,
    length: int,
    end: int,
    limit: int,
    encodings: tuple[str, ...],
    depth: int,
) -> tuple[Element, int]:
    """A sequence, or encapsulated pixel data, and where it ends."""
    if vr == "SQ":
        items, after = walk_items(data, position, length, end, limit, encodings, depth + 1)
        return Element(tag, vr, None, position, None if length == UNDEFINED else length, True, items), after
    if vr == "UN":
        raise Unusual
    after = after_fragments(data, position, end)
    size = after - position - 4
    value = None if size >= LARGE and not depth else data[position : after - 8]
    return Element(tag, vr, value, position, None, True), after


def walk_items(
    data: Bytes, position: int, length: int, end: int, limit: int, encodings: tuple[str, ...], depth: int
) -> tuple[list[DataSet], int]:
    stop = end if length == UNDEFINED else position + length
    if stop > end or depth > DEEPEST:
        raise Unusual
    items = []
    while position + 8 <= stop and data[position : position + 4] == ITEM:
        (size,) = length_at(data, position + 4)
        position += 8
        item_end = stop if size == UNDEFINED else position + size
        if item_end > stop or position > limit:
            raise Unusual
        item, position = walk(data, position, item_end, limit, encodings, depth)
        if size == UNDEFINED:
            if data[position : position + 8] != ITEM_END:
                raise Unusual
            position += 8
        elif position != item_end:
            raise Unusual
        items.append(item)
    if length != UNDEFINED and position == stop:
        return items, position
    if length == UNDEFINED and position + 8 <= end and data[position : position + 8] == SEQUENCE_END:
        return items, position + 8
    raise Unusual


def after_fragments(data: Bytes, position: int, end: int) -> int:
    """Where encapsulated pixel data end, behind their delimiter (PS3.5 annex A.4)."""
    while position + 8 <= end and data[position : position + 4] == ITEM:
        position += 8 + length_at(data, position + 4)[0]
    if position + 8 <= end and data[position : position + 8] == SEQUENCE_END:
        return position + 8
    raise Unusual


def take_character_set(data_set: DataSet) -> None:
    """Raises Unusual, also where texts stand before it, which were taken for those of another character set."""
    *before, character_set = data_set.elements.values()
    if character_set.tag != CHARACTER_SET or any(element.vr in TEXT for element in before):
        raise Unusual
    if character_set.vr != "CS" or any(term not in python_encoding for term in texts(character_set, ())):
        raise Unusual
    data_set.encodings = encodings_of(character_set)
