"""A data set as its file has it: each attribute with the bytes of its value (PS3.5 §6.2, §7.1)."""

import codecs
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
WIDTHS = {"FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}  # bytes of each number
SINGLE_VALUED = frozenset({"LT", "ST", "UT", "UR"})
TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})  # the VRs that SpecificCharacterSet speaks of
CHARACTER_SET = 0x00080005
DEFAULT_ENCODINGS = ("iso8859",)
CODECS = [codecs.lookup(encoding) for encoding in set(python_encoding.values())]  # of the standard's character sets
ESCAPE = b"\x1b"
SHORT = 64  # bytes of a value


class Fault(NamedTuple):
    """A rule that an attribute breaks, or one in the items of a sequence."""

    tag: int
    message: str
    in_item: bool = False


@dataclass(slots=True)
class Element:
    """One attribute as the file has it. A sequence has `items`, anything else `value`, the bytes of its value.

    position, length: where the value is in the file, in bytes; length is None where the file leaves it open
    (encapsulated pixel data). `value` is None for long binary values; else `position` matters for pixel data only.
    texts, json, faults: what texts(), `dicom_json` and `validation` made of the element, once they were asked. An
    element that occurs in many files is read once (see `walk`), and so this is made once.
    """

    tag: int
    vr: str
    value: bytes | None
    position: int
    length: int | None
    little_endian: bool
    items: "list[DataSet] | None" = None
    texts: tuple[str, ...] | None = field(default=None, compare=False)
    json: str | None = field(default=None, compare=False)
    faults: tuple[Fault, ...] | None = field(default=None, compare=False)


@dataclass(slots=True)
class DataSet:
    """Attributes by tag, with the Python codecs that decode their text."""

    elements: dict[int, Element]
    encodings: tuple[str, ...]

    def texts(self, tag: int) -> tuple[str, ...]:
        """The values of a text attribute: none when absent or empty. Padding at the end is cut off."""
        element = self.elements.get(tag)
        return () if element is None else texts(element, self.encodings)

    def text(self, tag: int) -> str:
        """The first value of a text attribute, "" when absent or empty."""
        values = self.texts(tag)
        return values[0] if values else ""

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


def texts(element: Element, encodings: tuple[str, ...]) -> tuple[str, ...]:
    """The values of a text element."""
    if element.texts is not None:
        return element.texts
    value = element.value or b""
    found = decoded(element.vr, value, encodings)
    if len(value) <= SHORT:
        element.texts = found
    return found


def decoded(vr: str, raw: bytes, encodings: tuple[str, ...]) -> tuple[str, ...]:
    """The values of a text; one empty text among several stays.

    Spaces at the end are padding, and so is one NUL that makes a UID's length even; other NULs are the sender's.
    """
    if vr != "UI":
        raw = raw.rstrip(b" ")
    elif len(raw) % 2 == 0 and raw.endswith(b"\0"):
        raw = raw[:-1]
    if not raw:
        return ()
    if vr not in TEXT or (raw.isascii() and ESCAPE not in raw and keeps_ascii(encodings[0])):
        text = raw.decode("latin-1")
    else:
        text = decode_bytes(raw, encodings, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
    return (text,) if vr in SINGLE_VALUED else tuple(text.split("\\"))


@lru_cache
def keeps_ascii(encoding: str) -> bool:
    """Whether ASCII text without escape sequences is the same in this codec.

    >>> keeps_ascii("iso2022_jp"), keeps_ascii("utf_16")
    (True, False)
    """
    ascii_letters = bytes(set(range(128)) - {0x1B})
    try:
        return ascii_letters.decode(encoding) == ascii_letters.decode("ascii")
    except (LookupError, ValueError):
        return False


def encodings_of(character_set: Element) -> tuple[str, ...]:
    """The Python codecs that SpecificCharacterSet names."""
    values = texts(character_set, ())
    try:
        encodings = convert_encodings(list(values) or [""])
    except (LookupError, ValueError):
        return DEFAULT_ENCODINGS
    # pydicom takes the names of Python's own codecs, too: some decode to what is no text, or take forever.
    return tuple(encoding if codecs.lookup(encoding) in CODECS else "iso8859" for encoding in encodings)
