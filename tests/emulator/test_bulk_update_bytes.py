"""Bulk update changes what it was asked to change, and not another byte (PS3.5 §7.1, PS3.10 §7.1)."""

import io
import struct
import zlib
from typing import Any

import numpy
import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import SECONDARY_CAPTURE, fragments, instance, path, split_multipart, uids
from tests.emulator.operations import finished, person, post_update, update
from tests.emulator.storing import DICOM_JSON

Element = tuple[int, str, bytes]
LONG_LENGTH = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
UNDEFINED = 0xFFFFFFFF
ITEM, END_OF_ITEM, END_OF_SEQUENCE = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def encoded(elements: list[Element], syntax: str) -> bytes:
    return b"".join(one(*element, syntax) for element in sorted(elements, key=lambda element: element[0]))


def one(tag: int, vr: str, value: bytes, syntax: str, length: int | None = None) -> bytes:
    """A data element as it is in a file of that transfer syntax, its value as given."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    length = len(value) if length is None else length
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if syntax == ImplicitVRLittleEndian:
        return head + struct.pack("<I", length) + value
    size = struct.pack(f"{order}HI", 0, length) if vr in LONG_LENGTH else struct.pack(f"{order}H", length)
    return head + vr.encode() + size + value


def delimiter(tag: tuple[int, int], length: int, syntax: str) -> bytes:
    return struct.pack(">HHI" if syntax == ExplicitVRBigEndian else "<HHI", *tag, length)


def sequence(tag: int, items: list[list[Element]], syntax: str, vr: str = "SQ", undefined: bool = True) -> bytes:
    """A sequence with items of undefined or of defined length."""
    content = b""
    for item in items:
        inside = encoded(item, syntax)
        if undefined:
            content += delimiter(ITEM, UNDEFINED, syntax) + inside + delimiter(END_OF_ITEM, 0, syntax)
        else:
            content += delimiter(ITEM, len(inside), syntax) + inside
    if undefined:
        return one(tag, vr, content + delimiter(END_OF_SEQUENCE, 0, syntax), syntax, UNDEFINED)
    return one(tag, vr, content, syntax)


def identifiers() -> list[Element]:
    return [
        (0x00080016, "UI", padded(SECONDARY_CAPTURE.encode(), b"\0")),
        (0x00080018, "UI", padded(generate_uid().encode(), b"\0")),
        (0x0020000D, "UI", padded(generate_uid().encode(), b"\0")),
        (0x0020000E, "UI", padded(generate_uid().encode(), b"\0")),
    ]


def padded(value: bytes, pad: bytes = b" ") -> bytes:
    return value + pad * (len(value) % 2)


META: list[Element] = [
    (0x00020001, "OB", b"\0\1"),
    (0x00020002, "UI", padded(SECONDARY_CAPTURE.encode(), b"\0")),
    (0x00020003, "UI", b"1.2.3\0"),
    (0x00020012, "UI", b"1.2.3.4\0"),
    (0x00020013, "SH", b"SOMEBODY 1"),
    (0x00020016, "AE", b"SOURCE"),
    (0x00020100, "UI", b"1.2.5\0"),
    (0x00020102, "OB", b"private information"[:18]),
]


def wrapped(data_set: bytes, syntax: str, meta: list[Element] | None = None, preamble: bytes = bytes(128)) -> bytes:
    """A Part 10 file around an encoded data set."""
    all_of_it = encoded([*(META if meta is None else meta), (0x00020010, "UI", padded(syntax.encode(), b"\0"))], "")
    length = one(0x00020000, "UL", struct.pack("<I", len(all_of_it)), "")
    if syntax == DeflatedExplicitVRLittleEndian:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data_set = padded(deflater.compress(data_set) + deflater.flush(), b"\0")
    return preamble + b"DICM" + length + all_of_it + data_set


def unwrapped(file: bytes, syntax: str) -> tuple[bytes, list[Element], bytes]:
    """Preamble, file meta information and data set of a file."""
    assert file[128:132] == b"DICM"
    assert file[132:140] == struct.pack("<HH2sH", 2, 0, b"UL", 4)
    (length,) = struct.unpack_from("<I", file, 140)
    meta, at, end = [], 144, 144 + length
    while at < end:
        group, number, vr = struct.unpack_from("<HH2s", file, at)
        assert group == 2
        start = at + (12 if vr.decode() in LONG_LENGTH else 8)
        size = struct.unpack_from("<I" if start == at + 12 else "<H", file, start - (4 if start == at + 12 else 2))[0]
        meta.append((group << 16 | number, vr.decode(), file[start : start + size]))
        at = start + size
    assert at == end
    data_set = file[end:]
    if syntax == DeflatedExplicitVRLittleEndian:
        assert len(data_set) % 2 == 0
        data_set = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(data_set)
    return file[:128], meta, data_set


def retrieve(service: Service, file: bytes, original: bool = False) -> bytes:
    headers = {"Accept": "application/dicom; transfer-syntax=*"} | (
        {"msdicom-request-original": "true"} if original else {}
    )
    response = service.owner.get(f"{service.v2}/{path(file)}", headers=headers)
    assert response.status_code == 200, response.text
    return response.content


def store(service: Service, file: bytes) -> None:
    response = service.store(file)
    assert response.status_code in {200, 202}, response.text


def check(service: Service, syntax: str, old: list[Element | bytes], new: list[Element | bytes], changes: Any) -> bytes:
    """Store `old`, change it: it must be `new`. Both are elements, or bytes of one, in order. Returns the new file."""
    before, after = (
        b"".join(each if isinstance(each, bytes) else one(*each, syntax) for each in elements)
        for elements in (old, new)
    )
    file = wrapped(before, syntax)
    store(service, file)
    assert update(service, file, changes=changes)["results"]["instanceUpdated"] == 1
    updated = retrieve(service, file)
    assert unwrapped(updated, syntax)[2] == after
    assert retrieve(service, file, original=True) == file
    return updated


NAME, ID = 0x00100010, 0x00100020


@pytest.mark.parametrize("syntax", SYNTAXES)
class TestDataSet:
    def test_a_value_is_exchanged_in_its_place(self, service: Service, syntax: str) -> None:
        head = sorted([(0x00080005, "CS", b"ISO_IR 192"), *identifiers()[:2]])
        tail = [(ID, "LO", b"P1"), *identifiers()[2:], (0x00204000, "LT", b"a comment  with\r\nlines ")]
        old, new = (NAME, "PN", b"Old^Name"), (NAME, "PN", b"New^Longer^Name ")
        check(service, syntax, [*head, old, *tail], [*head, new, *tail], person("New^Longer^Name"))

    def test_an_absent_attribute_is_put_where_it_belongs(self, service: Service, syntax: str) -> None:
        first, second, *rest = identifiers()
        old: list[Any] = [first, second, (NAME, "PN", b"A^"), (ID, "LO", b"P1"), *rest]
        new: list[Any] = [first, second, (0x00081030, "LO", b"Head"), *old[2:4], (0x00104000, "LT", b"Note"), *rest]
        changes = {"00104000": {"vr": "LT", "Value": ["Note"]}, "00081030": {"vr": "LO", "Value": ["Head"]}}
        check(service, syntax, old, new, changes)

    def test_an_attribute_behind_all_others(self, service: Service, syntax: str) -> None:
        old: list[Any] = [*sorted(identifiers()), (0x00400100, "SQ", b"")]
        old.insert(2, (ID, "LO", b"P1"))
        new = [*old, (0x00403001, "LO", b"Keep")]
        check(service, syntax, old, new, {"00403001": {"vr": "LO", "Value": ["Keep"]}})

    def test_a_value_is_emptied(self, service: Service, syntax: str) -> None:
        first, second, *rest = identifiers()
        old: list[Any] = [first, second, (NAME, "PN", b"A^"), (ID, "LO", b"P1"), (0x00104000, "LT", b"Note"), *rest]
        new = [*old[:4], (0x00104000, "LT", b""), *rest]
        check(service, syntax, old, new, {"00104000": {"vr": "LT"}})

    def test_sequences_keep_how_their_length_is_said(self, service: Service, syntax: str) -> None:
        first, second, *rest = identifiers()
        code: list[Element] = [(0x00080100, "SH", b"T-1"), (0x00080104, "LO", b"odd length!!!!!")]
        nested = [(NAME, "PN", b"In^Side "), (0x00081140, "SQ", b"")]
        middle = [
            sequence(0x00081032, [code, []], syntax),
            sequence(0x00081110, [code], syntax, undefined=False),
            sequence(0x00081140, [], syntax),
        ]
        late = [sequence(0x00400275, [nested, code], syntax), sequence(0x00400555, [], syntax, undefined=False)]
        old = [first, second, *middle, (NAME, "PN", b"A^"), (ID, "LO", b"P1"), *rest, *late]
        new = [first, second, *middle, (NAME, "PN", b"New^Name"), (ID, "LO", b"P1"), *rest, *late]
        check(service, syntax, old, new, person("New^Name"))

    def test_private_elements(self, service: Service, syntax: str) -> None:
        first, second, *rest = identifiers()
        private = [
            (0x00090010, "LO", b"ACME"),
            (0x00091001, "UN", bytes(range(256))),
            (0x00091002, "SS", b"\1\2"),
            (0x00091003, "OB", b"\0" * 10),
        ]
        late = [(0x7FE10010, "LO", b"ACME"), (0x7FE11001, "OW", b"\1\2\3\4")]
        old: list[Any] = [first, second, *private, (NAME, "PN", b"A^"), (ID, "LO", b"P1"), *rest, *late]
        new = [first, second, *private, (NAME, "PN", b"New^Name"), (ID, "LO", b"P1"), *rest, *late]
        check(service, syntax, old, new, person("New^Name"))

    @pytest.mark.parametrize("size", [2, 1000, 6_000_000])
    def test_pixel_data(self, service: Service, syntax: str, size: int) -> None:
        first, second, *rest = identifiers()
        pixels = (0x7FE00010, "OW", bytes(range(250)) * (size // 250) + b"\1\2" * (size % 250 // 2))
        trailing = (0xFFFCFFFC, "OB", bytes(10))
        old: list[Any] = [first, second, (NAME, "PN", b"A^"), (ID, "LO", b"P1"), *rest, pixels, trailing]
        new = [first, second, (NAME, "PN", b"New^Name"), (ID, "LO", b"P1"), *rest, pixels, trailing]
        check(service, syntax, old, new, person("New^Name"))

    def test_odd_padding_of_other_values(self, service: Service, syntax: str) -> None:
        first, second, *rest = identifiers()
        others: list[Element] = [
            (0x00200010, "SH", b"1     "),
            (0x00200011, "IS", b" 7"),
            (0x00200013, "IS", b"007 "),
            (0x00204000, "LT", b"x\0"),
            (0x00280030, "DS", b"1.000\\01.0"),
        ]
        old: list[Any] = [first, second, (NAME, "PN", b"A^"), (ID, "LO", b"P1"), *rest, *others]
        new = [first, second, (NAME, "PN", b"New^Name"), (ID, "LO", b"P1"), *rest, *others]
        check(service, syntax, old, new, person("New^Name"))

    def test_all_36_at_once(self, service: Service, syntax: str) -> None:
        file = instance(syntax)
        store(service, file)
        changes = {tag: {"vr": vr, "Value": [value]} for tag, (_, vr, value) in ATTRIBUTES.items()}
        update(service, file, changes=changes)
        dataset = dcmread(io.BytesIO(retrieve(service, file)))
        for keyword, vr, value in ATTRIBUTES.values():
            expected = value["Alphabetic"] if vr == "PN" else value
            assert str(getattr(dataset, keyword)) == str(expected)
        assert dataset.SOPInstanceUID == uids(file)[2]
        assert [element.tag for element in dataset] == sorted(element.tag for element in dataset)


ATTRIBUTES: dict[str, tuple[str, str, Any]] = {
    "00080050": ("AccessionNumber", "SH", "A7"),
    "00080090": ("ReferringPhysicianName", "PN", {"Alphabetic": "Doctor^New"}),
    "00081030": ("StudyDescription", "LO", "Head"),
    "00100010": ("PatientName", "PN", {"Alphabetic": "New^Name"}),
    "00100020": ("PatientID", "LO", "P9"),
    "00100021": ("IssuerOfPatientID", "LO", "Clinic"),
    "00100022": ("TypeOfPatientID", "CS", "TEXT"),
    "00100030": ("PatientBirthDate", "DA", "19800229"),
    "00100032": ("PatientBirthTime", "TM", "1230"),
    "00100040": ("PatientSex", "CS", "O"),
    "00100200": ("QualityControlSubject", "CS", "NO"),
    "00101000": ("OtherPatientIDs", "LO", "P8"),
    "00101001": ("OtherPatientNames", "PN", {"Alphabetic": "Other^Name"}),
    "00101005": ("PatientBirthName", "PN", {"Alphabetic": "Birth^Name"}),
    "00101010": ("PatientAge", "AS", "030Y"),
    "00101020": ("PatientSize", "DS", 1.75),
    "00101030": ("PatientWeight", "DS", 72.5),
    "00101040": ("PatientAddress", "LO", "1 Some Street"),
    "00101060": ("PatientMotherBirthName", "PN", {"Alphabetic": "Mother^Name"}),
    "00101080": ("MilitaryRank", "LO", "Private"),
    "00101081": ("BranchOfService", "LO", "Navy"),
    "00101090": ("MedicalRecordLocator", "LO", "Shelf 7"),
    "00102150": ("CountryOfResidence", "LO", "Utopia"),
    "00102152": ("RegionOfResidence", "LO", "North"),
    "00102154": ("PatientTelephoneNumbers", "SH", "555"),
    "00102160": ("EthnicGroup", "SH", "Any"),
    "00102180": ("Occupation", "SH", "Baker"),
    "001021F0": ("PatientReligiousPreference", "LO", "None"),
    "00102201": ("PatientSpeciesDescription", "LO", "Homo sapiens"),
    "00102292": ("PatientBreedDescription", "LO", "None"),
    "00102295": ("BreedRegistrationNumber", "LO", "7"),
    "00102297": ("ResponsiblePerson", "PN", {"Alphabetic": "Guardian^Name"}),
    "00102298": ("ResponsiblePersonRole", "CS", "PARENT"),
    "00102299": ("ResponsibleOrganization", "LO", "Some House"),
    "00104000": ("PatientComments", "LT", "Two\r\nlines"),
    "00403001": ("ConfidentialityConstraintOnPatientDataDescription", "LO", "Keep"),
}


def test_there_are_36_attributes() -> None:
    assert len(ATTRIBUTES) == 36


@pytest.mark.parametrize("syntax", [*SYNTAXES, JPEGBaseline8Bit])
class TestFileMetaInformation:
    def updated(self, service: Service, syntax: str, **wrapping: Any) -> tuple[bytes, bytes]:
        elements = encoded([*identifiers(), (ID, "LO", b"P1")], syntax)
        file = wrapped(elements, syntax, **wrapping)
        store(service, file)
        update(service, file, changes=person("New^Name"))
        return file, retrieve(service, file)

    def test_all_but_the_writer_stays(self, service: Service, syntax: str) -> None:
        before, after = (unwrapped(file, syntax)[1] for file in self.updated(service, syntax))
        writer = {0x00020012, 0x00020013}
        assert [each for each in after if each[0] not in writer] == [each for each in before if each[0] not in writer]

    def test_it_says_who_wrote_the_file(self, service: Service, syntax: str) -> None:
        _, meta, _ = unwrapped(self.updated(service, syntax)[1], syntax)
        known = {tag: (vr, value) for tag, vr, value in meta}
        assert known[0x00020012] == ("UI", padded(b"1.3.6.1.4.1.311.129", b"\0"))
        assert known[0x00020013][0] == "SH" and 1 <= len(known[0x00020013][1].strip()) <= 16
        assert known[0x00020013][1] != b"SOMEBODY 1"

    def test_it_says_so_where_the_file_did_not(self, service: Service, syntax: str) -> None:
        meta = [element for element in META if element[0] not in {0x00020012, 0x00020013}]
        _, meta, _ = unwrapped(self.updated(service, syntax, meta=meta)[1], syntax)
        tags = [tag for tag, _, _ in meta]
        assert tags == sorted(tags) and {0x00020012, 0x00020013} <= set(tags)

    def test_the_preamble_stays(self, service: Service, syntax: str) -> None:
        preamble = bytes(range(128))
        assert self.updated(service, syntax, preamble=preamble)[1][:128] == preamble


@pytest.mark.parametrize("offset_table", [True, False])
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, RLELossless])
def test_encapsulated_pixel_data(service: Service, syntax: str, offset_table: bool) -> None:
    first, second, *rest = identifiers()
    content = fragments([b"one", b"and more"], b"two", b"\xff\xd8 three", offset_table=offset_table)
    pixels = one(0x7FE00010, "OB", content + delimiter(END_OF_SEQUENCE, 0, syntax), syntax, UNDEFINED)
    old: list[Any] = [first, second, (NAME, "PN", b"A^"), (ID, "LO", b"P1"), *rest, pixels]
    new = [first, second, (NAME, "PN", b"New^Name"), (ID, "LO", b"P1"), *rest, pixels]
    check(service, syntax, old, new, person("New^Name"))


def test_an_unknown_sequence_of_undefined_length(service: Service) -> None:
    """UN with an undefined length holds items in implicit VR, whatever the file is in (PS3.5 §6.2.2)."""
    syntax = ExplicitVRLittleEndian
    first, second, *rest = identifiers()
    item = encoded([(0x00091101, "LO", b"inside")], ImplicitVRLittleEndian)
    content = delimiter(ITEM, UNDEFINED, syntax) + item + delimiter(END_OF_ITEM, 0, syntax)
    unknown = one(0x00091001, "UN", content + delimiter(END_OF_SEQUENCE, 0, syntax), syntax, UNDEFINED)
    head = [first, second, (0x00090010, "LO", b"ACME"), unknown]
    old: list[Any] = [*head, (NAME, "PN", b"A^"), (ID, "LO", b"P1"), *rest]
    new = [*head, (NAME, "PN", b"New^Name"), (ID, "LO", b"P1"), *rest]
    check(service, syntax, old, new, person("New^Name"))


def test_a_file_without_preamble(service: Service) -> None:
    syntax = ExplicitVRLittleEndian
    file = wrapped(encoded([*identifiers(), (ID, "LO", b"P1")], syntax), syntax)
    bare = file[132:]
    response = service.store(bare)
    assert response.status_code == 200
    update(service, file, changes=person("New^Name"))
    assert dcmread(io.BytesIO(retrieve(service, file))).PatientName == "New^Name"
    assert retrieve(service, file, original=True) == bare


@pytest.mark.parametrize("syntax", [*SYNTAXES])
def test_frames_are_the_same_as_before(service: Service, syntax: str) -> None:
    pixels = numpy.arange(3 * 8 * 7, dtype="u2").reshape(3, 8, 7)
    file = instance(syntax, pixels=pixels)
    store(service, file)
    url = f"{service.v2}/{path(file)}/frames/1,2,3"
    for accept in ("*", ExplicitVRLittleEndian):
        headers = {"Accept": f'multipart/related; type="application/octet-stream"; transfer-syntax={accept}'}
        before = [body for _, body in split_multipart(service.owner.get(url, headers=headers))]
        update(service, file, changes=person("A^Name^That^Is^Longer"))
        after = [body for _, body in split_multipart(service.owner.get(url, headers=headers))]
        assert before == after and len(before) == 3


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_second_update_starts_from_the_first(service: Service, syntax: str) -> None:
    first, second, *rest = identifiers()
    elements: list[Any] = [first, second, (NAME, "PN", b"A^"), (ID, "LO", b"P1"), *rest]
    file = wrapped(b"".join(one(*each, syntax) for each in elements), syntax)
    store(service, file)
    update(service, file, changes=person("New^Name"))
    update(service, file, changes={"00100020": {"vr": "LO", "Value": ["P2"]}})
    expected = [first, second, (NAME, "PN", b"New^Name"), (ID, "LO", b"P2"), *rest]
    assert unwrapped(retrieve(service, file), syntax)[2] == b"".join(one(*each, syntax) for each in expected)
    assert retrieve(service, file, original=True) == file


def test_elements_that_are_out_of_order_or_there_twice(service: Service) -> None:
    syntax = ExplicitVRLittleEndian
    first, second, *rest = identifiers()
    elements = [first, *rest, second, (NAME, "PN", b"Old1"), (ID, "LO", b"P1"), (NAME, "PN", b"Old2")]
    file = wrapped(b"".join(one(*element, syntax) for element in elements), syntax)
    store(service, file)
    update(service, file, changes=person("New^Name"))
    data_set = unwrapped(retrieve(service, file), syntax)[2]
    assert data_set.count(b"PN") == 1 and data_set.count(b"New^Name") == 1
    assert all(one(*element, syntax) in data_set for element in [first, second, *rest, (ID, "LO", b"P1")])


def test_an_attribute_with_another_vr_in_the_file_gets_its_own(service: Service) -> None:
    syntax = ExplicitVRLittleEndian
    first, second, *rest = identifiers()
    old: list[Any] = [first, second, (NAME, "LO", b"Old^Name"), (ID, "LO", b"P1"), *rest]
    new = [first, second, (NAME, "PN", b"New^Name"), (ID, "LO", b"P1"), *rest]
    check(service, syntax, old, new, person("New^Name"))


CHARACTER_SETS = [
    (["ISO_IR 192"], "Müller^Jörg", "Yamada^Tarou=山田^太郎=やまだ^たろう", "utf8"),
    (["ISO_IR 100"], "Müller^Jörg", "Ærø^Åse", "latin-1"),
    (["ISO_IR 101"], "Łódź^Ľ", "Žižka^Jan", "iso8859-2"),
    (["ISO_IR 144"], "Иванов^Иван", "Петров^Пётр", "iso8859-5"),
    (["ISO_IR 13"], "ﾔﾏﾀﾞ^ﾀﾛｳ", "ｻﾄｳ^ﾊﾅｺ", "shift_jis"),
    (["GB18030"], "王^小东", "李^四", "gb18030"),
]


@pytest.mark.parametrize(
    ("names", "old", "new", "encoding"), CHARACTER_SETS, ids=[each[0][0] for each in CHARACTER_SETS]
)
def test_a_new_name_is_written_in_the_character_set_of_the_file(
    service: Service, names: list[str], old: str, new: str, encoding: str
) -> None:
    syntax = ExplicitVRLittleEndian
    first, second, *rest = identifiers()
    character_set = (0x00080005, "CS", padded("\\".join(names).encode()))
    description = (0x00081030, "LO", padded(old.encode(encoding)))
    before = (NAME, "PN", padded(old.encode(encoding)))
    after = (NAME, "PN", padded(new.encode(encoding)))
    tail: list[Any] = [(ID, "LO", b"P1"), *rest]
    head: list[Any] = [character_set, first, second, description]
    groups = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), new.split("="), strict=False))
    changes = {"00100010": {"vr": "PN", "Value": [groups]}}
    updated = check(service, syntax, [*head, before, *tail], [*head, after, *tail], changes)
    assert service.owner.get(f"{service.v2}/{path(updated)}/metadata", headers={"Accept": DICOM_JSON}).json()[0][
        "00100010"
    ]["Value"] == [groups]


def test_a_name_in_several_character_sets(service: Service) -> None:
    file = instance(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎")
    store(service, file)
    groups = {"Alphabetic": "Sato^Hanako", "Ideographic": "佐藤^花子", "Phonetic": "さとう^はなこ"}
    update(service, file, changes={"00100010": {"vr": "PN", "Value": [groups]}})
    dataset = dcmread(io.BytesIO(retrieve(service, file)))
    assert str(dataset.PatientName) == "Sato^Hanako=佐藤^花子=さとう^はなこ"
    assert list(dataset.SpecificCharacterSet) == ["", "ISO 2022 IR 87"]
    assert b"\x1b$B" in retrieve(service, file)


@pytest.mark.parametrize("character_set", [None, "", "ISO_IR 6"])
def test_a_file_without_a_character_set_gets_one_when_the_new_value_needs_it(
    service: Service, character_set: str | None
) -> None:
    file = instance(SpecificCharacterSet=character_set, PatientID="P1")
    if character_set is None:
        file = instance(leave_out=("SpecificCharacterSet",))
    store(service, file)
    update(service, file, changes=person("Plain^Name"))
    assert dcmread(io.BytesIO(retrieve(service, file))).get("SpecificCharacterSet") in {character_set, None}
    update(service, file, changes=person("Müller^Jörg"))
    dataset = dcmread(io.BytesIO(retrieve(service, file)))
    assert (dataset.PatientName, dataset.SpecificCharacterSet) == ("Müller^Jörg", "ISO_IR 192")
    (metadata,) = service.owner.get(f"{service.v2}/{path(file)}/metadata", headers={"Accept": DICOM_JSON}).json()
    assert metadata["00080005"]["Value"] == ["ISO_IR 192"]
    assert metadata["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]


@pytest.mark.parametrize(
    ("character_set", "other", "name"),
    [("ISO_IR 100", "Größe".encode("latin-1"), "山田^太郎"), ("ISO_IR 144", "Имя".encode("iso8859-5"), "Müller^Jörg")]
    + [("\\ISO 2022 IR 87", b"Plain text", "김^희중"), ("ISO 2022 IR 6\\ISO 2022 IR 100", b"Plain", "山田^太郎")],
)
def test_a_name_that_the_character_set_does_not_have_leaves_the_study_as_it_was(
    service: Service, character_set: str, other: bytes, name: str
) -> None:
    syntax = ExplicitVRLittleEndian
    elements = [
        *identifiers(),
        (0x00080005, "CS", padded(character_set.encode())),
        (0x00081030, "LO", padded(other)),
        (ID, "LO", b"P1"),
    ]
    file = wrapped(encoded(elements, syntax), syntax)
    store(service, file)
    operation = finished(service.owner, post_update(service, [uids(file)[0]], person(name)))
    assert operation["status"] == "failed"
    results = operation["results"]
    assert (results["studyProcessed"], results["studyUpdated"], results["studyFailed"]) == (1, 0, 1)
    assert results["instanceUpdated"] == 0 and len(results["errors"]) == 1 and uids(file)[0] in results["errors"][0]
    assert retrieve(service, file) == file
    feed = service.owner.get(f"{service.v2}/changefeed").json()
    assert [row["action"] for row in feed] == ["Create"]


@pytest.mark.filterwarnings("ignore:Failed to decode byte string:UserWarning:pydicom")  # Latin-1 is no UTF-8
def test_a_character_set_is_not_added_where_other_texts_would_read_differently(service: Service) -> None:
    syntax = ExplicitVRLittleEndian
    elements = [*identifiers(), (0x00081030, "LO", "Größe ".encode("latin-1")), (ID, "LO", b"P1")]
    file = wrapped(encoded(elements, syntax), syntax)
    store(service, file)
    operation = finished(service.owner, post_update(service, [uids(file)[0]], person("Müller^Jörg")))
    assert (operation["status"], operation["results"]["studyFailed"]) == ("failed", 1)
    assert retrieve(service, file) == file
    assert update(service, file, changes=person("Plain^Name"))["results"]["instanceUpdated"] == 1


def test_a_group_length_that_would_be_wrong_is_left_out(service: Service) -> None:
    """Group lengths are retired (PS3.5 §7.2); the one of a changed group may go, the others stay."""
    syntax = ExplicitVRLittleEndian
    first, second, *rest = identifiers()
    eight = [(0x00080000, "UL", struct.pack("<I", len(encoded([first, second], syntax)))), first, second]
    ten: list[Element] = [(NAME, "PN", b"A^"), (ID, "LO", b"P1")]
    old: list[Any] = [*eight, (0x00100000, "UL", struct.pack("<I", len(encoded(ten, syntax)))), *ten, *rest]
    new = [*eight, (NAME, "PN", b"New^Name"), (ID, "LO", b"P1"), *rest]
    check(service, syntax, old, new, person("New^Name"))
