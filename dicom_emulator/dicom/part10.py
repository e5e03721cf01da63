"""Reading a DICOM file once, at store time, without taking its pixels into memory (PS3.10 §7, PS3.5 §7)."""

import os
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import data_element_generator, read_dataset, read_preamble, read_sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import STANDARD_VR

from dicom_emulator.dicom.attributes import SOP_INSTANCE_UID, vr_of
from dicom_emulator.dicom.elements import BINARY, CHARACTER_SET, DEFAULT_ENCODINGS, DataSet, Element, encodings_of
from dicom_emulator.dicom.walk import LARGE, UNDEFINED, Unusual, walk_file, walk_path

PREAMBLE = b"\0" * 128 + b"DICM"
IMPLEMENTATION_CLASS_UID = "1.3.6.1.4.1.311.129"  # of the service, in the files that it writes anew
IMPLEMENTATION_VERSION = "DICOM-EMULATOR"
LONGEST_DEFLATED = 256 * 1024 * 1024  # bytes of an inflated data set
MOST_BYTES = 64 * 1024 * 1024  # of the attributes of a file; without long binary values at its top level
MOST_READS = 1_000_000  # in which they come: an element takes one to three, an item one
PIXEL_REPRESENTATION = 0x00280103
AnyElement = RawDataElement | DataElement
Source = bytes | Path  # a file in memory, or where it is


class NotDicom(ValueError):
    """The bytes are no DICOM file, or one that ends too early."""


@dataclass
class Ration:
    """What may still be read of a file: one of two gigabytes can name more attributes than any memory holds."""

    bytes: int = MOST_BYTES
    reads: int = MOST_READS

    def take(self, size: int) -> None:
        """Raises NotDicom when it is used up."""
        self.bytes -= size
        self.reads -= 1
        if self.bytes < 0 or self.reads < 0:
            raise NotDicom("the attributes are too large or too many")


class Rationed:
    """A file, or the value of a sequence, that is read as far as the ration goes; what is skipped costs nothing."""

    def __init__(self, source: BinaryIO, ration: Ration):
        self.source, self.ration = source, ration
        self.seek, self.tell = source.seek, source.tell

    def read(self, size: int) -> bytes:
        self.ration.take(size)
        return self.source.read(size)


@dataclass(slots=True)
class Part10(DataSet):
    """A DICOM file that was read: its data set and its transfer syntax."""

    transfer_syntax: str


def opened(source: Source) -> BinaryIO:
    """The file, to be read."""
    return BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def read(source: Source) -> Part10:
    """Read the file's data set. Raises NotDicom."""
    try:
        found = read_usual(source) or read_unusual(source)
    except (NotDicom, MemoryError):
        raise
    except (Exception, RecursionError) as error:  # pydicom raises whatever its parsing runs into
        raise NotDicom(f"{type(error).__name__}: {error}") from error
    if not re.fullmatch("[0-9.]+", found.transfer_syntax):  # it goes into headers of answers
        raise NotDicom("the transfer syntax is no UID")
    return found


def read_usual(source: Source) -> Part10 | None:
    """The data set where it is written in the usual way, and needs no pydicom."""
    try:
        data_set, transfer_syntax = walk_file(source) if isinstance(source, bytes) else walk_path(source)
    except Unusual:
        return None
    return Part10(data_set.elements, data_set.encodings, transfer_syntax)


def read_unusual(source: Source) -> Part10:
    """As pydicom reads it. Raises NotDicom, and what pydicom raises."""
    with opened(source) as file:
        return read_file(file, file.seek(0, os.SEEK_END))


def read_file(file: BinaryIO, size: int) -> Part10:
    """As pydicom reads it. Raises NotDicom, and what pydicom raises."""
    if size == 0:
        raise NotDicom("empty")
    file.seek(0)
    head = file.read(132)
    file.seek(0)
    if head[128:] != b"DICM" and head[:2] not in {b"\x02\x00", b"\x08\x00"}:
        raise NotDicom("no DICM prefix, and no group 0002 or 0008 at the start")
    meta = read_meta(file)
    transfer_syntax = str(meta.get("TransferSyntaxUID", "")) or (
        ExplicitVRLittleEndian if names_its_vr(file) else ImplicitVRLittleEndian
    )
    with data_set_bytes(file, size, transfer_syntax) as (source, end):
        elements = read_elements(source, end, transfer_syntax)
    return Part10(elements.elements, elements.encodings, transfer_syntax)


def read_meta(file: BinaryIO) -> FileMetaDataset:
    """The file meta information; leaves the file at the start of its data set."""
    read_preamble(file, force=True)
    source: Any = Rationed(file, Ration())
    return FileMetaDataset(read_dataset(source, False, True, stop_when=lambda tag, vr, length: tag.group != 2))


def read_file_identity(content: Source) -> tuple[str, str, str]:
    """The transfer syntax, and the instance's UID in the file meta information and in the data set. Raises NotDicom."""
    file = read(content)
    with opened(content) as source:
        named = str(read_meta(source).get("MediaStorageSOPInstanceUID", ""))
    return file.transfer_syntax, named.rstrip("\0 "), file.text(SOP_INSTANCE_UID).rstrip("\0 ")


def names_its_vr(source: BinaryIO) -> bool:
    """Whether the first element of a data set does; some files are not what their transfer syntax says."""
    start = source.read(6)
    source.seek(-len(start), 1)
    return start[4:].decode("latin-1") in STANDARD_VR


@contextmanager
def data_set_bytes(file: BinaryIO, size: int, transfer_syntax: str) -> Iterator[tuple[BinaryIO, int]]:
    """The file at the start of its data set, and where that ends; inflated where the syntax is deflated."""
    if transfer_syntax != DeflatedExplicitVRLittleEndian:
        yield file, size
        return
    with tempfile.SpooledTemporaryFile(max_size=16 * 1024 * 1024) as inflated:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        while compressed := file.read(1024 * 1024):
            while compressed and not inflater.eof:
                inflated.write(inflater.decompress(compressed, 4 * 1024 * 1024))
                compressed = inflater.unconsumed_tail
                if inflated.tell() > LONGEST_DEFLATED:
                    raise NotDicom("the inflated data set is too large")
        inflated.write(inflater.flush())
        if not inflater.eof:
            raise NotDicom("the deflated data set ends too early")
        end = inflated.tell()
        inflated.seek(0)
        yield inflated, end


def read_elements(file: BinaryIO, end: int, transfer_syntax: str) -> DataSet:
    implicit = not names_its_vr(file)
    little_endian = transfer_syntax != ExplicitVRBigEndian
    source: Any = Rationed(file, Ration())
    return collect(
        data_element_generator(source, implicit, little_endian, defer_size=LARGE), source, end, DEFAULT_ENCODINGS
    )


def collect(found: Iterable[AnyElement], source: Rationed, end: int, encodings: tuple[str, ...]) -> DataSet:
    """The elements that pydicom found in `source`, which ends at `end`, and in all their items."""
    data_set = DataSet({}, encodings)
    for raw in found:
        if isinstance(raw, RawDataElement):
            element = from_raw(raw, source, end, data_set)
        else:  # a sequence of undefined length, which pydicom has read already
            items = [collect(item.values(), source, end, data_set.encodings) for item in raw.value]
            element = Element(int(raw.tag), "SQ", None, raw.file_tell or 0, None, True, items)
        data_set.elements[element.tag] = element
        if element.tag == CHARACTER_SET:
            data_set.encodings = encodings_of(element)
    return data_set


def from_raw(raw: RawDataElement, source: Rationed, end: int, data_set: DataSet) -> Element:
    vr = raw.VR
    if raw.is_implicit_VR or vr is None:
        # The dictionary leaves open whether some values are signed; PixelRepresentation says it (PS3.5 annex A.1).
        vr = vr_of(raw.tag, signed=data_set.number(PIXEL_REPRESENTATION) == 1)
    if vr not in STANDARD_VR:
        raise NotDicom(f"the value representation of {raw.tag} is unknown")
    length = None if raw.length == UNDEFINED else raw.length
    if length is not None and raw.value_tell + length > end:
        raise NotDicom(f"the value of {raw.tag} ends after the end of the file")
    value = raw.value
    if value is None and vr not in BINARY and length:  # a long text, or a long sequence
        here = source.tell()
        source.seek(raw.value_tell)
        value = source.read(length)
        source.seek(here)
    element = Element(int(raw.tag), vr, value, raw.value_tell, length, raw.is_little_endian)
    if vr == "SQ":
        element.items = items_of(raw, value or b"", data_set.encodings, source.ration)
        element.value = None
    return element


def items_of(raw: RawDataElement, value: bytes, encodings: tuple[str, ...], ration: Ration) -> list[DataSet]:
    source: Any = Rationed(BytesIO(value), ration)
    sequence = read_sequence(source, raw.is_implicit_VR, raw.is_little_endian, len(value), list(encodings))
    return [collect(item.values(), source, len(value), encodings) for item in sequence]
