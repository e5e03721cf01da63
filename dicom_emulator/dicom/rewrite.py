"""Other values for a few attributes of a file; every other byte of its data set stays (PS3.5 §7.1, PS3.10 §7.1)."""

import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from pydicom.charset import decode_bytes, encode_string
from pydicom.filereader import data_element_generator
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from dicom_emulator.dicom.attributes import tag_text
from dicom_emulator.dicom.elements import CHARACTER_SET, TEXT
from dicom_emulator.dicom.part10 import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION,
    PREAMBLE,
    Part10,
    data_set_bytes,
    names_its_vr,
    read_meta,
)
from dicom_emulator.dicom.walk import LARGE

CHUNK = 1024 * 1024  # bytes
UTF_8 = "ISO_IR 192"


class CannotRewrite(ValueError):
    """The file's character set does not have the letters."""


def rewrite(file: Part10, path: Path, target: Path, changes: Mapping[int, tuple[str, str]]) -> None:
    """Write the file `path`, which was read as `file`, to `target` with other values.

    changes: VR and text by tag; VRs with a length of two bytes only, at the top level. Raises CannotRewrite.
    """
    elements = encoded(file, changes)
    with path.open("rb") as old, target.open("xb") as new:
        head = old.read(132)
        old.seek(0)
        meta = read_meta(old)
        meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
        meta.ImplementationVersionName = IMPLEMENTATION_VERSION
        new.write(head if head.endswith(b"DICM") else PREAMBLE)
        write_file_meta_info(new, meta, enforce_standard=False)
        with data_set_bytes(old, path.stat().st_size, file.transfer_syntax) as (source, _):
            pieces = merged(source, file.transfer_syntax == ExplicitVRBigEndian, elements)
            for piece in deflated(pieces) if file.transfer_syntax == DeflatedExplicitVRLittleEndian else pieces:
                new.write(piece)


def encoded(file: Part10, changes: Mapping[int, tuple[str, str]]) -> dict[int, tuple[str, bytes]]:
    """The VRs and padded values; with a character set where the file has none that is needed. Raises CannotRewrite."""
    ascii_only = file.text(CHARACTER_SET) in {"", "ISO_IR 6"} and len(file.texts(CHARACTER_SET)) < 2
    if ascii_only and not all(text.isascii() for _, text in changes.values()):
        return encoded_as(changes, ("utf8",)) | {CHARACTER_SET: ("CS", UTF_8.encode())}
    return encoded_as(changes, file.encodings)


def encoded_as(changes: Mapping[int, tuple[str, str]], encodings: tuple[str, ...]) -> dict[int, tuple[str, bytes]]:
    found = {}
    for tag, (vr, text) in changes.items():
        value = encode(text, vr, encodings) if vr in TEXT else text.encode("latin-1", "replace")
        if value is None:
            raise CannotRewrite(f"The value of {tag_text(tag)} cannot be written in the character set of the file.")
        found[tag] = (vr, value + b" " * (len(value) % 2))
    return found


def encode(text: str, vr: str, encodings: tuple[str, ...]) -> bytes | None:
    """The text in the first of the encodings that has its letters, or by switching among them; None where none does."""
    try:
        if len(encodings) == 1:
            return text.encode(encodings[0])
        with warnings.catch_warnings():  # pydicom warns of what is looked at two lines below
            warnings.simplefilter("ignore", UserWarning)
            value = encode_string(text, list(encodings))
    except (LookupError, ValueError):
        return None
    return value if decode_bytes(value, encodings, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS) == text else None


def merged(source: BinaryIO, big_endian: bool, elements: Mapping[int, tuple[str, bytes]]) -> Iterator[bytes]:
    """The data set of `source` with `elements` in their places."""
    implicit = not names_its_vr(source)
    groups = {tag >> 16 for tag in elements}
    waiting = sorted(elements)
    for tag, start, end in spans(source, implicit, big_endian):
        while waiting and waiting[0] <= tag:
            yield element(waiting[0], *elements[waiting.pop(0)], implicit, big_endian)
        is_group_length = tag & 0xFFFF == 0 and tag >> 16 in groups  # it would be wrong now
        if tag not in elements and not is_group_length:
            here = source.tell()
            yield from copied(source, start, end)
            source.seek(here)
    for tag in waiting:
        yield element(tag, *elements[tag], implicit, big_endian)


def spans(source: BinaryIO, implicit: bool, big_endian: bool) -> Iterator[tuple[int, int, int]]:
    """The tag of each element of the data set, where it begins and where it ends."""
    start = source.tell()
    for raw in data_element_generator(source, implicit, not big_endian, defer_size=LARGE):
        end = source.tell()
        yield int(raw.tag), start, end
        start = end


def copied(source: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    source.seek(start)
    while start < end:
        piece = source.read(min(CHUNK, end - start))
        if not piece:
            return
        yield piece
        start += len(piece)


def element(tag: int, vr: str, value: bytes, implicit: bool, big_endian: bool) -> bytes:
    order = ">" if big_endian else "<"
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    length = struct.pack(f"{order}L", len(value)) if implicit else vr.encode() + struct.pack(f"{order}H", len(value))
    return head + length + value


def deflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces compressed, padded to an even length (PS3.5 annex A.5)."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    length = 0
    for piece in pieces:
        compressed = deflater.compress(piece)
        length += len(compressed)
        yield compressed
    rest = deflater.flush()
    yield rest + b"\0" * ((length + len(rest)) % 2)
