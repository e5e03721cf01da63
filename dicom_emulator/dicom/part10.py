"""Reading a DICOM file once, at store time, without taking its pixels into memory (PS3.10 §7, PS3.5 §7)."""

import codecs
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Iterable, Iterator

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import data_element_generator, read_dataset, read_preamble, read_sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import PN_DELIMS, STANDARD_VR, TEXT_VR_DELIMS

from dicom_emulator.dicom.attributes import SOP_INSTANCE_UID, vr_of

PREAMBLE = b"\0" * 128 + b"DICM"
IMPLEMENTATION_CLASS_UID = "1.3.6.1.4.1.311.129"  # of the service, in the files that it writes anew
IMPLEMENTATION_VERSION = "DICOM-EMULATOR"
LARGE = 64 * 1024  # bytes; longer values stay in the file
LONGEST_DEFLATED = 256 * 1024 * 1024  # bytes of an inflated data set
MOST_BYTES = 64 * 1024 * 1024  # of the attributes of a file; without long binary values at its top level
MOST_READS = 1_000_000  # in which they come: an element takes one to three, an item one
UNDEFINED = 0xFFFFFFFF
BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
WIDTHS = {"FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}  # bytes of each number
SINGLE_VALUED = frozenset({"LT", "ST", "UT", "UR"})
TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})  # the VRs that SpecificCharacterSet speaks of
CHARACTER_SET = 0x00080005
PIXEL_REPRESENTATION = 0x00280103
CODECS = [codecs.lookup(encoding) for encoding in set(python_encoding.values())]  # of the standard's character sets
AnyElement = RawDataElement | DataElement


class NotDicom(ValueError):
    """The bytes are no DICOM file, or one that ends too early."""


@dataclass
class Element:
    """One attribute as the file has it. A sequence has `items`, anything else `value`, the bytes of its value.

    position, length: where the value is in the file, in bytes; length is None where the file leaves it open
    (encapsulated pixel data). `value` is None for binary values longer than LARGE.
    """

    tag: int
    vr: str
    value: bytes | None
    position: int
    length: int | None
    little_endian: bool
    items: "list[DataSet] | None" = None


@dataclass
class DataSet:
    """Attributes by tag, with the Python codecs that decode their text."""

    elements: dict[int, Element]
    encodings: list[str]

    def texts(self, tag: int) -> list[str]:
        """The values of a text attribute: [] when absent or empty. Padding at the end is cut off."""
        element = self.elements.get(tag)
        return [] if element is None else texts(element, self.encodings)

    def text(self, tag: int) -> str:
        """The first value of a text attribute, "" when absent or empty."""
        return next(iter(self.texts(tag)), "")

    def count(self, tag: int) -> int:
        """How many values an attribute has. Of a sequence or binary data: 0."""
        element = self.elements.get(tag)
        if element is None or not element.value or element.vr in BINARY:
            return 0
        width = WIDTHS.get(element.vr)
        return len(element.value) // width if width else len(self.texts(tag))

    def number(self, tag: int) -> int | None:
        """The value of a US or IS attribute, None when absent, unreadable or of more than 32 bits."""
        element = self.elements.get(tag)
        if element is None or not element.value:
            return None
        if element.vr == "US" and len(element.value) >= 2:
            return int.from_bytes(element.value[:2], "little" if element.little_endian else "big")
        try:
            number = int(self.text(tag))
        except ValueError:
            return None
        return number if -(2**31) <= number < 2**31 else None


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


@dataclass
class Part10(DataSet):
    """A DICOM file that was read: its data set and its transfer syntax."""

    transfer_syntax: str


def texts(element: Element, encodings: list[str]) -> list[str]:
    """The values of a text element, decoded; one empty text among several stays.

    Spaces at the end are padding, and so is one NUL that makes a UID's length even; other NULs are the sender's.
    """
    raw = element.value or b""
    if element.vr == "UI" and len(raw) % 2 == 0 and raw.endswith(b"\0"):
        raw = raw[:-1]
    elif element.vr != "UI":
        raw = raw.rstrip(b" ")
    if not raw:
        return []
    if element.vr in TEXT:
        text = decode_bytes(raw, encodings, PN_DELIMS if element.vr == "PN" else TEXT_VR_DELIMS)
    else:
        text = raw.decode("latin-1")
    return [text] if element.vr in SINGLE_VALUED else text.split("\\")


def read(path: Path) -> Part10:
    """Read the file's data set. Raises NotDicom."""
    try:
        with path.open("rb") as file:
            return read_file(file, path.stat().st_size)
    except (NotDicom, MemoryError):
        raise
    except (Exception, RecursionError) as error:  # pydicom raises whatever its parsing runs into
        raise NotDicom(f"{type(error).__name__}: {error}") from error


def read_file(file: BinaryIO, size: int) -> Part10:
    if size == 0:
        raise NotDicom("empty")
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


def read_file_identity(path: Path) -> tuple[str, str, str]:
    """The transfer syntax, and the instance's UID in the file meta information and in the data set. Raises NotDicom."""
    file = read(path)
    with path.open("rb") as source:
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
    return collect(data_element_generator(source, implicit, little_endian, defer_size=LARGE), source, end, ["iso8859"])


def collect(found: Iterable[AnyElement], source: Rationed, end: int, encodings: list[str]) -> DataSet:
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


def items_of(raw: RawDataElement, value: bytes, encodings: list[str], ration: Ration) -> list[DataSet]:
    source: Any = Rationed(BytesIO(value), ration)
    sequence = read_sequence(source, raw.is_implicit_VR, raw.is_little_endian, len(value), encodings)
    return [collect(item.values(), source, len(value), encodings) for item in sequence]


def encodings_of(character_set: Element) -> list[str]:
    values = texts(character_set, [])
    try:
        encodings = list(convert_encodings(values or [""]))
    except (LookupError, ValueError):
        return ["iso8859"]
    # pydicom takes the names of Python's own codecs, too: some decode to what is no text, or take forever.
    return [encoding if codecs.lookup(encoding) in CODECS else "iso8859" for encoding in encodings]
