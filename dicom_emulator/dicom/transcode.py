"""A stored file or its frames in another transfer syntax (PS3.5 §7, annex A)."""

import struct
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from dicom_emulator.dicom.attributes import SOP_CLASS_UID, SOP_INSTANCE_UID, tag_of
from dicom_emulator.dicom.elements import DataSet, Element
from dicom_emulator.dicom.frames import BITS_ALLOCATED, PIXEL_DATA, FrameMap, Native, cut, word_size
from dicom_emulator.dicom.part10 import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION,
    PREAMBLE,
    data_set_bytes,
    read_elements,
    read_meta,
)
from dicom_emulator.dicom.pixels import CannotDecode, decode, encode_jpeg_2000
from dicom_emulator.dicom.walk import UNDEFINED
from dicom_emulator.extent import Piece

TARGETS = {ExplicitVRLittleEndian, JPEG2000Lossless}
UNCOMPRESSED = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
PHOTOMETRIC_INTERPRETATION = tag_of("PhotometricInterpretation")
PLANAR_CONFIGURATION = tag_of("PlanarConfiguration")
OFFSET_TABLES = (tag_of("ExtendedOffsetTable"), tag_of("ExtendedOffsetTableLengths"))
LONG_FORM = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})


class CannotTranscode(ValueError):
    """The conversion is not supported."""


def transcode_file(path: Path, source_syntax: str, target: str) -> bytes:
    """The whole file in the transfer syntax `target`. Raises CannotTranscode, or OSError when there is no file."""
    if target not in TARGETS:
        raise CannotTranscode
    with path.open("rb") as file:
        try:
            return transcoded(file, path, source_syntax, target)
        except CannotTranscode:
            raise
        except Exception as error:  # pydicom raises whatever its writing of a wrong value runs into
            raise CannotTranscode(f"{type(error).__name__}: {error}") from error


def transcoded(file: BinaryIO, path: Path, source_syntax: str, target: str) -> bytes:
    meta = read_meta(file)
    with data_set_bytes(file, path.stat().st_size, source_syntax) as (source, end):
        data_set = read_elements(source, end, source_syntax)
        if needs_codec(data_set, source_syntax, target):
            data_set.elements |= recoded(path, target)
            for tag in OFFSET_TABLES:  # they speak of the fragments that were
                data_set.elements.pop(tag, None)
        body = b"".join(encode(element, source, data_set) for _, element in sorted(data_set.elements.items()))
    complete(meta, data_set)
    meta.TransferSyntaxUID = target
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    out = BytesIO()
    out.write(PREAMBLE)
    write_file_meta_info(out, meta, enforce_standard=False)
    return out.getvalue() + body


def complete(meta: FileMetaDataset, data_set: DataSet) -> None:
    """Add what every file has to have and this one lacks (PS3.10 §7.1); the writer fills in the group length."""
    meta.FileMetaInformationGroupLength = 0
    meta.setdefault("FileMetaInformationVersion", b"\0\1")
    meta.setdefault("MediaStorageSOPClassUID", data_set.text(SOP_CLASS_UID))
    meta.setdefault("MediaStorageSOPInstanceUID", data_set.text(SOP_INSTANCE_UID))


def needs_codec(data_set: DataSet, source_syntax: str, target: str) -> bool:
    has_pixels = any(tag in data_set.elements for tag in PIXEL_DATA)
    return has_pixels and (source_syntax not in UNCOMPRESSED or target != ExplicitVRLittleEndian)


def recoded(path: Path, target: str) -> dict[int, Element]:
    """The attributes of the image that change with its transfer syntax."""
    frames, description = [], {}
    try:
        for pixels, description in decode(path):
            frames.append(
                pixels.tobytes() if target == ExplicitVRLittleEndian else encode_jpeg_2000(pixels, description)
            )
    except CannotDecode as error:
        raise CannotTranscode(str(error)) from None
    photometric = description["photometric_interpretation"].encode()
    elements = [Element(PHOTOMETRIC_INTERPRETATION, "CS", photometric + b" " * (len(photometric) % 2), 0, 0, True)]
    if description["samples_per_pixel"] > 1:
        elements.append(Element(PLANAR_CONFIGURATION, "US", b"\0\0", 0, 2, True))
    if target == ExplicitVRLittleEndian:
        value = b"".join(frames)
        vr = "OB" if description["bits_allocated"] <= 8 else "OW"
        elements.append(Element(PIXEL_DATA[0], vr, value + b"\0" * (len(value) % 2), 0, len(value), True))
    else:
        elements.append(Element(PIXEL_DATA[0], "OB", encapsulate(frames), 0, None, True))
    return {element.tag: element for element in elements}


def transcode_frames(
    path: Path, frames: FrameMap, numbers: list[int], source_syntax: str, target: str
) -> list[tuple[Piece, ...]]:
    """The frames `numbers` as they are in the transfer syntax `target`. Raises CannotTranscode."""
    if isinstance(frames, Native) and target == ExplicitVRLittleEndian:
        return little_endian_frames(path, frames, numbers)
    try:
        if target == ExplicitVRLittleEndian:
            return [(pixels.tobytes(),) for pixels, _ in decode(path, numbers)]
        return [(encode_jpeg_2000(pixels, description),) for pixels, description in decode(path, numbers)]
    except CannotDecode as error:
        raise CannotTranscode(str(error)) from None


def little_endian_frames(path: Path, frames: Native, numbers: list[int]) -> list[tuple[Piece, ...]]:
    if frames.word == 1:
        return frames.frames(path, numbers)
    pixel_data = swap(frames.read(path), frames.word)
    return [(cut(pixel_data, (number - 1) * frames.frame_bits, frames.frame_bits),) for number in numbers]


def encode(element: Element, source: BinaryIO, data_set: DataSet) -> bytes:
    """The element in Explicit VR Little Endian."""
    if element.items is not None:
        value = b"".join(encode_item(item, source) for item in element.items)
    else:
        value = little_endian_value(element, source, data_set)
    if element.items is None and element.length is None:  # encapsulated pixel data (PS3.5 annex A.4)
        head = struct.pack("<HH2sHL", element.tag >> 16, element.tag & 0xFFFF, b"OB", 0, UNDEFINED)
        return head + value + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    vr = element.vr if len(value) <= 0xFFFF or element.vr in LONG_FORM else "UN"  # PS3.5 §6.2.2, note
    length = struct.pack("<HL", 0, len(value)) if vr in LONG_FORM else struct.pack("<H", len(value))
    return struct.pack("<HH2s", element.tag >> 16, element.tag & 0xFFFF, vr.encode()) + length + value


def encode_item(item: DataSet, source: BinaryIO) -> bytes:
    body = b"".join(encode(element, source, item) for _, element in sorted(item.elements.items()))
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body


def little_endian_value(element: Element, source: BinaryIO, data_set: DataSet) -> bytes:
    value = element.value
    if value is None and element.length:
        source.seek(element.position)
        value = source.read(element.length)
    return swap(value or b"", word_size(element, data_set.number(BITS_ALLOCATED) or 0))


def swap(value: bytes, word: int) -> bytes:
    """`value` with the byte order of each word of `word` bytes turned; what is left over at the end stays."""
    if word == 1:
        return value
    if word not in {2, 4, 8}:
        raise CannotTranscode(f"there are no numbers of {word} bytes")
    usable = len(value) - len(value) % word
    return numpy.frombuffer(value[:usable], f">u{word}").astype(f"<u{word}").tobytes() + value[usable:]
