"""Where each frame of an image lies in its file (PS3.5 §8.1 for native, annex A.4 for encapsulated pixel data)."""

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from struct import iter_unpack, unpack
from typing import BinaryIO

import numpy
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_emulator.dicom.attributes import tag_of
from dicom_emulator.dicom.elements import Element
from dicom_emulator.dicom.part10 import NotDicom, Part10, Source, data_set_bytes, opened, read_meta
from dicom_emulator.extent import Extent, Piece

PIXEL_DATA = (tag_of("PixelData"), tag_of("FloatPixelData"), tag_of("DoubleFloatPixelData"))
ROWS, COLUMNS, BITS_ALLOCATED = tag_of("Rows"), tag_of("Columns"), tag_of("BitsAllocated")
NUMBER_OF_FRAMES, SAMPLES_PER_PIXEL = tag_of("NumberOfFrames"), tag_of("SamplesPerPixel")
PHOTOMETRIC_INTERPRETATION = tag_of("PhotometricInterpretation")
WORD_SIZES = {"AT": 2, "OW": 2, "SS": 2, "US": 2, "FL": 4, "OF": 4, "OL": 4, "SL": 4, "UL": 4}
WORD_SIZES |= {"FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8}
EXTENDED_OFFSET_TABLE = tag_of("ExtendedOffsetTable")
ITEM, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
END_OF_JPEG = b"\xff\xd9"
MOST_FRAGMENTS = 500_000


@dataclass(frozen=True)
class Native:
    """Uncompressed frames, one after another without gaps.

    offset, length: of the pixel data, in bytes; in the inflated data set where the file is deflated.
    frame_bits: the size of a frame.
    word: the bytes in a word whose order big endian turns round; 1 where nothing is to be turned.
    """

    offset: int
    length: int
    frame_bits: int
    count: int
    word: int = 1
    deflated: bool = False

    @property
    def in_whole_bytes(self) -> bool:
        """Whether a frame is a range of the file's bytes, so that saying where it lies needs no reading."""
        return not self.deflated and self.frame_bits % 8 == 0

    def frames(self, path: Path, numbers: Iterable[int]) -> list[tuple[Piece, ...]]:
        """The bytes of the frames `numbers`, which count from 1."""
        if self.deflated:
            pixel_data = self.read(path)
            return [(cut(pixel_data, (number - 1) * self.frame_bits, self.frame_bits),) for number in numbers]
        return [(self.frame(path, number),) for number in numbers]

    def frame(self, path: Path, number: int) -> Piece:
        first_bit = (number - 1) * self.frame_bits
        first, end = first_bit // 8, (first_bit + self.frame_bits + 7) // 8
        extent = Extent(path, self.offset + first, end - first)
        return cut(extent.read(), first_bit % 8, self.frame_bits) if self.frame_bits % 8 else extent

    def read(self, path: Path) -> bytes:
        """All of the pixel data."""
        if not self.deflated:
            return Extent(path, self.offset, self.length).read()
        with path.open("rb") as file:
            read_meta(file)
            with data_set_bytes(file, path.stat().st_size, DeflatedExplicitVRLittleEndian) as (source, _):
                source.seek(self.offset)
                return source.read(self.length)


@dataclass(frozen=True)
class Encapsulated:
    """Compressed frames, each in one or more fragments: (offset, length) in bytes."""

    fragments: Sequence[Sequence[tuple[int, int]]]
    in_whole_bytes = True

    @property
    def count(self) -> int:
        return len(self.fragments)

    def frames(self, path: Path, numbers: Iterable[int]) -> list[tuple[Piece, ...]]:
        """The bytes of the frames `numbers`, which count from 1."""
        return [
            tuple(Extent(path, offset, length) for offset, length in self.fragments[number - 1] if length)
            for number in numbers
        ]


FrameMap = Native | Encapsulated


def cut(pixel_data: bytes, first_bit: int, bits: int) -> bytes:
    """`bits` bits of the pixel data, from `first_bit` on, filled up to whole bytes; the lowest bit comes first."""
    if first_bit % 8 == 0 and bits % 8 == 0:
        return pixel_data[first_bit // 8 : (first_bit + bits) // 8]
    start = first_bit // 8
    piece = numpy.frombuffer(pixel_data[start : (first_bit + bits + 7) // 8], numpy.uint8)
    unpacked = numpy.unpackbits(piece, bitorder="little")[first_bit - 8 * start :][:bits]
    return numpy.packbits(unpacked, bitorder="little").tobytes()


def locate(source: Source, data_set: Part10) -> FrameMap | None:
    """Where the frames of the image are; None where there is no image, or no saying how large it is."""
    element = next((data_set.elements[tag] for tag in PIXEL_DATA if tag in data_set.elements), None)
    size = [data_set.number(tag) or 0 for tag in (ROWS, COLUMNS, BITS_ALLOCATED)]
    if element is None or not all(size):
        return None
    count = max(data_set.number(NUMBER_OF_FRAMES) or 1, 1)
    if element.length is None:
        with opened(source) as file:
            return Encapsulated(group_fragments(file, element, data_set, count))
    frame_bits = math.prod(size) * (data_set.number(SAMPLES_PER_PIXEL) or 1)
    if data_set.text(PHOTOMETRIC_INTERPRETATION) == "YBR_FULL_422":
        frame_bits = frame_bits // 3 * 2  # two pixels share their colour
    if frame_bits < 1:
        return None
    count = min(count, element.length * 8 // frame_bits)
    deflated = data_set.transfer_syntax == DeflatedExplicitVRLittleEndian
    word = word_size(element, data_set.number(BITS_ALLOCATED) or 0)
    return Native(element.position, element.length, frame_bits, count, word, deflated)


def word_size(element: Element, bits_allocated: int) -> int:
    """The bytes in a word whose order must be turned to make the value little endian; 1 for none (PS3.5 §7.3)."""
    word = 1 if element.little_endian else WORD_SIZES.get(element.vr, 1)
    return max(word, bits_allocated // 8) if word > 1 and element.tag in PIXEL_DATA else word


def group_fragments(file: BinaryIO, element: Element, data_set: Part10, count: int) -> list[list[tuple[int, int]]]:
    """The fragments of each frame: by an offset table, by number, or by where a JPEG stream ends."""
    table, fragments = read_fragments(file, element)
    offsets = frame_offsets(table, data_set)
    if len(offsets) == count > 1 and fragments and offsets == sorted(offsets):
        return split_at_offsets(fragments, offsets)
    if count == 1:
        return [fragments] if fragments else []
    if len(fragments) == count:
        return [[fragment] for fragment in fragments]
    return split_at_ends(file, fragments)


def read_fragments(file: BinaryIO, element: Element) -> tuple[bytes, list[tuple[int, int]]]:
    """The basic offset table, and (offset, length) of each fragment."""
    file.seek(element.position)
    items: list[tuple[int, int]] = []
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise NotDicom("the pixel data have no end")
        group, number, length = unpack("<HHL", head)
        if (group, number) == SEQUENCE_END:
            break
        if (group, number) != ITEM:
            raise NotDicom("the pixel data are not made of fragments")
        if len(items) > MOST_FRAGMENTS:
            raise NotDicom("the pixel data have too many fragments")
        items.append((file.tell(), length))
        file.seek(length, 1)
    if not items:
        return b"", []
    (position, length), *fragments = items
    file.seek(position)
    return file.read(length) if length <= 4 * len(fragments) else b"", fragments  # four bytes a frame


def frame_offsets(table: bytes, data_set: Part10) -> list[int]:
    extended = data_set.elements.get(EXTENDED_OFFSET_TABLE)
    if extended and extended.value and len(extended.value) % 8 == 0:
        return [offset for (offset,) in iter_unpack("<Q", extended.value)]
    return [offset for (offset,) in iter_unpack("<L", table)] if len(table) % 4 == 0 else []


def split_at_offsets(fragments: list[tuple[int, int]], offsets: list[int]) -> list[list[tuple[int, int]]]:
    """Offsets count from the item tag of the first fragment, 8 bytes before its value."""
    starts = [fragments[0][0] + offset for offset in offsets]
    cuts = [bisect_left(fragments, (start,)) for start in starts]
    return [fragments[first:end] for first, end in zip(cuts, [*cuts[1:], len(fragments)], strict=True)]


def split_at_ends(file: BinaryIO, fragments: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    frames: list[list[tuple[int, int]]] = [[]]
    for offset, length in fragments:
        frames[-1].append((offset, length))
        file.seek(offset + max(length - 8, 0))
        if file.read(min(length, 8)).rstrip(b"\0").endswith(END_OF_JPEG):
            frames.append([])
    return [frame for frame in frames if frame]


def to_text(frame_map: FrameMap | None) -> str | None:
    """The map as the archive keeps it."""
    if frame_map is None:
        return None
    return json.dumps(frame_map.fragments if isinstance(frame_map, Encapsulated) else vars(frame_map))


@lru_cache(16)  # a film of some thousand frames has a long text, and is asked for frame by frame
def from_text(text: str | None) -> FrameMap | None:
    """The map that `to_text` wrote."""
    if text is None:
        return None
    kept = json.loads(text)
    return Native(**kept) if isinstance(kept, dict) else Encapsulated(kept)
