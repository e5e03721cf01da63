"""Damaged and malicious files: each is stored or refused, and what was stored can be used (PS3.10 §7, PS3.5 §7)."""

import asyncio
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import generate_uid

from dicom_emulator import codec_process
from dicom_emulator.dicom import frames
from tests.emulator.dicom_files import SECONDARY_CAPTURE, element, item, multipart, raw_dataset, raw_instance
from tests.emulator.hostile import (
    FOLDER,
    PATIENCE,
    Victim,
    budget,
    damaged_files,
    nested,
    peak_memory,
    picture_of,
    separate_victim,
    victim,
)
from tests.emulator.pictures import BIG_ENDIAN, DEFLATED, JPEG_2000, JPEG_LS, RLE
from tests.emulator.storing import VERSIONS, failed, stored

MIB = 1024 * 1024
MOST_MEMORY, MOST_OF_A_CODEC = 1024 * MIB, 4096 * MIB  # bytes that these cases may make a process take
PLACE_HOLDER = "1.2.840.10008.1.2.1.0.0.0"  # a transfer syntax
EMPTY_ITEM = item(b"")
LONGER = struct.pack("<HH2sHL", 0x9, 0x1001, b"OB", 0, 0xFFFFFFFE)
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Victim]:
    with victim() as server:
        yield server


@given(file=damaged_files(), version=some.sampled_from(VERSIONS))
@budget(250)
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_a_damaged_file_is_refused_or_can_be_used(emulator: Victim, file: bytes, version: str) -> None:
    store_and_use(emulator, file, version)


def store_and_use(emulator: Victim, file: bytes, version: str = "v2") -> int:
    """The status of the answer to the store."""
    response = emulator.store(file, version=version)
    assert response.status_code in {200, 202, 409}, response.text
    assert len(stored(response)) + len(failed(response)) == 1
    for each in stored(response):
        emulator.use(each)
    return response.status_code


# Values


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "character_set",
    [
        "idna", "punycode", "zlib", "hex", "utf-7", "unicode_escape", "raw_unicode_escape", "undefined",
        "mbcs", "\0", "\\\\",
        "ISO 2022 IR 6\\ISO 2022 IR 87\\ISO 2022 IR 149", "ISO 2022 IR 999", "GB18030",
        "ISO_IR 192\\ISO 2022 IR 87", "A" * 200,
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_no_character_set_spoils_an_answer(emulator: Victim, character_set: str, version: str) -> None:
    name = b"\\ud800 +2AA- \xed\xa0\x80 \x1b$B\x1b\x1b(\xff=\x1b$)C\x1b \xff\xfe a-" + b"9" * 20_000
    values = {"SpecificCharacterSet": character_set.encode(), "00091006": ("UT", name), "PatientComments": name}
    assert store_and_use(emulator, raw_instance(values), version) in {200, 202}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "repeated", ["1", " ", "\\", "^", "=", "-", ".", "1.", "\0", "\1", "12\\", "é", "e1", "+"], ids=repr
)
@pytest.mark.filterwarnings("ignore:Failed to decode byte string:UserWarning:pydicom")  # é alone is no UTF-8
def test_no_value_takes_forever(emulator: Victim, repeated: str, version: str) -> None:
    value = (repeated * 65534)[:65534].encode("latin-1")
    keywords = (
        "PatientName PatientSize InstanceNumber StudyDate StudyTime AcquisitionDateTime PatientAge StudyDescription"
        " ImageType RetrieveAETitle PatientComments StudyID FrameOfReferenceUID"
    )
    assert store_and_use(emulator, raw_instance(dict.fromkeys(keywords.split(), value)), version) in {200, 202, 409}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "uid",
    ["../" * 6 + "escaped", "../" * 7 + "escaped", "/escaped", "..", "1.2/3", "1.2\\3", "1.2\0/3", "1" * 65, "%2e%2e"],
    ids=repr,
)
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_no_uid_leads_out_of_the_folder(paths: tuple[Victim, Path], keyword: str, uid: str, version: str) -> None:
    emulator, folder = paths
    emulator.ask("POST", "/_emulator/reset")  # no other file stops the export
    emulator.store(raw_instance({keyword: uid.encode()}), version=version)
    destination = {"type": "azureblob", "settings": {"blobContainerUri": "https://a.b/results"}}
    operation = emulator.ask("POST", "export", json={"destination": destination}).json()
    while emulator.ask("GET", f"operations/{operation['id']}").status_code != 200:
        time.sleep(0.01)
    assert [path.name for path in folder.iterdir()] == ["data"]
    names = [path.name for path in (folder / "data" / "instances").glob("*/*")]
    assert all(re.fullmatch(r"[0-9a-f]{32}\.dcm", name) for name in names)
    assert len([path for path in (folder / "data" / "instances").rglob("*") if path.is_file()]) == len(names)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Victim, Path]]:
    folder = tmp_path_factory.mktemp("paths")
    with victim(data_dir=folder / "data") as server:
        yield server, folder


@pytest.mark.parametrize(
    "value, wrong", [("00000002", b"XX"), ("00020000", b"\1\2"), ("00020013", b"\xff" * 18)], ids=str
)
@pytest.mark.parametrize("vr", ["UL", "US", "FD", "XX", "DS", "AT", "SQ"])
def test_no_file_meta_information_spoils_an_answer(emulator: Victim, value: str, wrong: bytes, vr: str) -> None:
    file = raw_instance()
    inserted = element(int(value, 16), vr, wrong)
    store_and_use(emulator, file[:132] + file[132:144] + inserted + file[144:])


@pytest.mark.parametrize("length", [1, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF])
@pytest.mark.parametrize("version", VERSIONS)
def test_no_length_of_an_item_leads_astray(emulator: Victim, length: int, version: str) -> None:
    lying = struct.pack("<HHL", 0xFFFE, 0xE000, length) + element(0x00080100, "SH", b"CODE")
    for after in (b"", SEQUENCE_END, item(b"")):
        store_and_use(emulator, raw_instance({"ProcedureCodeSequence": lying + after}), version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "syntax", ["1.2\r\nX-Injected: yes", "1.\x1f2", "\x93", "1.2; a=b", 'x"', "1.2\\1.3"], ids=repr
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning:pydicom")  # which is the point
def test_a_transfer_syntax_adds_no_header(emulator: Victim, syntax: str, version: str) -> None:
    file = raw_instance(transfer_syntax=PLACE_HOLDER)
    content = syntax.encode("latin-1").ljust(len(PLACE_HOLDER), b"\0")
    assert store_and_use(emulator, file.replace(PLACE_HOLDER.encode(), content), version) == 409


# Files that are small and claim to be large. The emulator is a process of its own, so that its memory can be looked at.


def deflated(values: dict[str, Any], behind: int) -> bytes:
    """A deflated file. Its last value, if there is one, has `behind` bytes, all of them 0."""
    head = {"SOPClassUID": SECONDARY_CAPTURE.encode(), "PatientID": b"P1"}
    head |= {f"{level}InstanceUID": generate_uid().encode() for level in ("Study", "Series", "SOP")}
    deflater = zlib.compressobj(9, wbits=-15)
    last = struct.pack("<HH2sHL", 0x7FE1, 0x1001, b"OB", 0, behind) if behind else b""
    start = deflater.compress(raw_dataset(head | values) + last) + deflater.flush(zlib.Z_FULL_FLUSH)
    block = deflater.compress(bytes(MIB)) + deflater.flush(zlib.Z_FULL_FLUSH)
    meta = element(0x00020010, "UI", DEFLATED.encode())
    preamble = bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta
    return preamble + start + block * (behind // MIB) + deflater.flush()


def nest_around(levels: int, size: int) -> bytes:
    """A text of `size` bytes in so many sequences."""
    inner = element(0x00091001, "UT", b"a" * size)
    heads = []
    length = len(inner)
    for _ in range(levels):
        heads.append(struct.pack("<HH2sHLHHL", 0x40, 0xA730, b"SQ", 0, length + 8, 0xFFFE, 0xE000, length))
        length += 20
    return raw_instance() + b"".join(reversed(heads)) + inner


def many_elements(group: int, count: int) -> bytes:
    """Elements without a value, up to 65,536 in a group."""
    number = numpy.arange(count)
    words = [group + (number >> 16), number & 0xFFFF, numpy.full(count, 0x4F4C), numpy.zeros(count)]  # LO
    return numpy.stack(words, axis=-1).astype("<u2").tobytes()


def meta_information(count: int) -> bytes:
    file = raw_instance()
    end = file.index(struct.pack("<HH", 8, 5))
    elements = many_elements(2, 0x10000)[0x200 * 8 :]
    return file[:132] + file[144:end] + elements * (count // 0xFE00) + file[end:]  # without the group length


BOMBS: dict[str, Callable[[], bytes]] = {
    "deflated, 300 MB": lambda: deflated({}, 300 * MIB),
    "deflated, 3 GB": lambda: deflated({}, 3000 * MIB),
    "2,000 sequences": lambda: raw_instance({"ProcedureCodeSequence": nested(2000)}),
    "2,000 sequences without length": lambda: raw_instance({"ProcedureCodeSequence": nested(2000, defined=False)}),
    "100,000 sequences": lambda: raw_instance({"ProcedureCodeSequence": nested(100_000)}),
    "100,000 sequences without length": lambda: raw_instance({"ProcedureCodeSequence": nested(100_000, defined=False)}),
    "a text in 200 sequences": lambda: nest_around(200, 30 * MIB),
    "a text of 100 MB": lambda: raw_instance({"00091006": ("UT", b"a" * 100 * MIB)}),
    "items": lambda: raw_instance({"ProcedureCodeSequence": EMPTY_ITEM * 1_100_000}),
    "elements": lambda: raw_instance() + many_elements(0x0055, 1_100_000),
    "file meta information": lambda: meta_information(1_100_000),
    "fragments": lambda: encapsulated(RLE, [b""] * 1_000_000),
    "an element that is longer than the file": lambda: raw_instance() + LONGER,
}  # fmt: skip


@pytest.fixture(scope="module")
def apart() -> Iterator[tuple[Victim, int]]:
    """An emulator in a process of its own, and the process's id."""
    with separate_victim() as server_and_process:
        yield server_and_process


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_no_memory_could_hold_is_refused(apart: tuple[Victim, int], bomb: str) -> None:
    emulator, process = apart
    body, content_type = multipart(BOMBS[bomb]())
    start = time.monotonic()
    response = emulator.ask("POST", "studies", data=body, headers={"Content-Type": content_type})
    assert response.status_code == 409
    assert [each["00081197"]["Value"] for each in failed(response)] == [[43264]]
    assert time.monotonic() - start < PATIENCE
    assert max(peak_memory(process).values()) < MOST_MEMORY


# Images


def encapsulated(
    syntax: str, code_streams: list[bytes], table: bytes = b"", size: int = 8, bits: int = 8, **more: Any
) -> bytes:
    """An image of so many frames, each in a fragment, that says it has `size` rows and columns."""
    described = picture_of(size, size, bits, max(len(code_streams), 1)) | more
    head = struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    return raw_instance(described, syntax) + head + item(table) + b"".join(map(item, code_streams)) + SEQUENCE_END


def code_stream(name: str, marker: bytes, layout: str, *at: int, size: int) -> bytes:
    """The first frame of a bundled file, which now says in its own header that it has `size` rows and columns."""
    stream = bytearray(next(generate_frames(dcmread(FOLDER / name).PixelData, number_of_frames=1)))
    for offset in at:
        struct.pack_into(layout, stream, stream.index(marker) + offset, size, size)
    return bytes(stream)


def jpeg_2000(size: int) -> bytes:
    return code_stream("MR_small_jp2klossless.dcm", b"\xff\x51", ">LL", 6, 22, size=size)


def jpeg_ls(size: int) -> bytes:
    return code_stream("MR_small_jpeg_ls_lossless.dcm", b"\xff\xf7", ">HH", 5, size=size)


RUNS = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\0" * 100  # RLE
PALETTE = {
    f"{colour}PaletteColorLookupTable{part}": value
    for colour in ("Red", "Green", "Blue")
    for part, value in [("Descriptor", ("US", struct.pack("<3H", 0, 65535, 65535))), ("Data", ("OW", b""))]
}
LYING_IMAGES: dict[str, Callable[[], bytes]] = {
    "RLE of 4 GB": lambda: encapsulated(RLE, [RUNS], size=65535),
    "RLE of 1,000 frames of 8 GB": lambda: encapsulated(RLE, [RUNS] * 1000, size=65535, bits=16),
    "JPEG 2000 of 7 GB": lambda: encapsulated(JPEG_2000, [jpeg_2000(60000)], size=60000, bits=16),
    "JPEG 2000 of 7 GB, said to be small": lambda: encapsulated(JPEG_2000, [jpeg_2000(60000)], size=64, bits=16),
    "JPEG-LS of 8 GB": lambda: encapsulated(JPEG_LS, [jpeg_ls(65535)], size=65535, bits=16),
    "JPEG 2000 of garbage": lambda: encapsulated(JPEG_2000, [jpeg_2000(64)[:200] + b"\xff" * 4000], size=64, bits=16),
    "JPEG-LS of garbage": lambda: encapsulated(JPEG_LS, [jpeg_ls(64)[:60] + b"\xff" * 4000], size=64, bits=16),
    "RLE of garbage": lambda: encapsulated(RLE, [b"\xff" * 4000], size=64, bits=16),
    "native of 4 GB": lambda: raw_instance(picture_of(65535, 65535, 8, 9) | {"PixelData": ("OB", bytes(64))}),
    "rows without end": lambda: raw_instance(
        picture_of(4, 4, 8) | dict.fromkeys(["Rows", "Columns"], ("IS", b"9" * 4000)) | {"PixelData": ("OB", bytes(16))}
    ),
    "rows below 0": lambda: raw_instance(picture_of(4, 4, 8) | {"Rows": ("IS", b"-4"), "PixelData": ("OB", bytes(16))}),
    "a pixel of less than a bit": lambda: raw_instance(
        picture_of(1, 1, 1, 1, "YBR_FULL_422") | {"SamplesPerPixel": b"\1\0", "PixelData": ("OB", bytes(2))}
    ),
    "frames without number": lambda: raw_instance(picture_of(4, 4, 8, "9" * 4000) | {"PixelData": ("OB", bytes(16))}),
    "65,535 bits": lambda: raw_instance(picture_of(1, 1, 65535) | {"PixelData": ("OW", bytes(8192))}),
    "big endian with 24 bits": lambda: big_endian(24),
    "big endian with 65,535 bits": lambda: big_endian(65535),
    "a palette without entries": lambda: raw_instance(
        picture_of(4, 4, 8, 1, "PALETTE COLOR") | PALETTE | {"PixelData": ("OB", bytes(16))}
    ),
    "offsets to and fro": lambda: encapsulated(RLE, [b"ab"] * 20_000, struct.pack("<2L", 0, 200_000) * 10_000),
    "offsets": lambda: encapsulated(RLE, [b"ab"] * 20_000, struct.pack("<20000L", *range(0, 200_000, 10))),
    "offsets of 100 MB": lambda: encapsulated(RLE, [RUNS], b"\1" * 100 * MIB),
    "a frame of nothing, in pieces": lambda: encapsulated(RLE, [b""] * 100_000, NumberOfFrames=b"1"),
    "deflated frames": lambda: deflated(picture_of(1, 8, 1, 2**31 - 1) | {"PixelData": ("OB", bytes(20 * MIB))}, 0),
}  # fmt: skip


def big_endian(bits: int) -> bytes:
    def big(tag: int, vr: bytes, value: bytes) -> bytes:
        length = struct.pack(">HL", 0, len(value)) if vr == b"OW" else struct.pack(">H", len(value))
        return struct.pack(">HH", tag >> 16, tag & 0xFFFF) + vr + length + value

    values = [(0x00080016, b"UI", SECONDARY_CAPTURE.encode() + b"\0"), (0x00080018, b"UI", b"1.2.4\0")]
    values += [(0x00100020, b"LO", b"P1"), (0x0020000D, b"UI", b"1.2.3\0"), (0x0020000E, b"UI", b"1.2.5\0")]
    words = [(0x00280002, 1), (0x00280010, 2), (0x00280011, 2), (0x00280100, bits)]
    values += [(tag, b"US", struct.pack(">H", word)) for tag, word in words]
    data_set = b"".join(big(*value) for value in [*values, (0x7FE00010, b"OW", bytes(4 * bits // 8))])
    meta = element(0x00020010, "UI", BIG_ENDIAN.encode())
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + data_set


@pytest.mark.parametrize("image", LYING_IMAGES)
def test_an_image_that_lies_is_kept_and_not_believed(apart: tuple[Victim, int], image: str) -> None:
    emulator, process = apart
    assert store_and_use(emulator, LYING_IMAGES[image]()) in {200, 202}
    own, *codecs = peak_memory(process).values()
    assert own < MOST_MEMORY
    assert max(codecs, default=0) < MOST_OF_A_CODEC
    assert store_and_use(emulator, (FOLDER / "MR_small_RLE.dcm").read_bytes()) in {200, 202}  # it goes on


def test_a_deflated_file_is_inflated_once_for_all_frames(emulator: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    inflated, read = [], frames.Native.read
    monkeypatch.setattr(frames.Native, "read", lambda *self_and_path: inflated.append(1) or read(*self_and_path))
    file = deflated(picture_of(1024, 1024, 8, 16) | {"PixelData": ("OB", bytes(16 * MIB))}, 0)
    (kept,) = stored(emulator.store(file))
    place = kept["00081190"]["Value"][0].removeprefix(emulator.url)
    accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    response = emulator.ask("GET", f"{place}/frames/" + ",".join(map(str, [*range(1, 17), *[1] * 50])), accept)
    assert response.status_code == 200 and len(response.content) > 66 * MIB
    assert len(inflated) == 1


def test_a_conversion_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(codec_process.CodecProcesses()) as codecs:
        with monkeypatch.context() as hasty, pytest.raises(codec_process.CodecCrashed):
            hasty.setattr(codec_process, "LONGEST", 0.5)
            asyncio.run(codecs.run(time.sleep, 3600))
        assert asyncio.run(codecs.run(abs, -1)) == 1
