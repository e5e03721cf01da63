"""A stored file in another transfer syntax. So far between uncompressed ones (PS3.5 §7, annex A)."""

import struct
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from dicom_emulator.dicom.frames import BITS_ALLOCATED, PIXEL_DATA, Native, cut, word_size
from dicom_emulator.dicom.part10 import DataSet, Element, data_set_bytes, read_elements, read_meta
from dicom_emulator.extent import Piece

UNCOMPRESSED = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
IMPLEMENTATION_CLASS_UID = "1.3.6.1.4.1.311.129"
IMPLEMENTATION_VERSION = "DICOM-EMULATOR"
LONG_FORM = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})


class CannotTranscode(ValueError):
    """The conversion is not supported."""


def transcode_file(path: Path, source_syntax: str, target: str) -> bytes:
    """The whole file in the transfer syntax `target`. Raises CannotTranscode."""
    with path.open("rb") as file:
        meta = read_meta(file)
        with data_set_bytes(file, path.stat().st_size, source_syntax) as (source, end):
            data_set = read_elements(source, end, source_syntax)
            check_supported(data_set, source_syntax, target)
            body = b"".join(encode(element, source, data_set) for _, element in sorted(data_set.elements.items()))
    meta.TransferSyntaxUID = target
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    out = BytesIO()
    out.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(out, meta, enforce_standard=False)
    return out.getvalue() + body


def check_supported(data_set: DataSet, source_syntax: str, target: str) -> None:
    has_pixels = any(tag in data_set.elements for tag in PIXEL_DATA)
    if not has_pixels and target in {ExplicitVRLittleEndian, JPEG2000Lossless}:
        return
    if target != ExplicitVRLittleEndian or source_syntax not in UNCOMPRESSED:
        raise CannotTranscode


def transcode_frame(path: Path, frames: Native, number: int) -> tuple[Piece, ...]:
    """One uncompressed frame in little endian byte order."""
    if frames.word == 1:
        return frames.frame(path, number)
    pixel_data = swap(frames.read(path), frames.word)
    return (cut(pixel_data, (number - 1) * frames.frame_bits, frames.frame_bits),)


def encode(element: Element, source: BinaryIO, data_set: DataSet) -> bytes:
    """The element in Explicit VR Little Endian."""
    if element.items is not None:
        value = b"".join(encode_item(item, source) for item in element.items)
    else:
        value = little_endian_value(element, source, data_set)
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
    usable = len(value) - len(value) % word
    return numpy.frombuffer(value[:usable], f">u{word}").astype(f"<u{word}").tobytes() + value[usable:]
