"""Hostile input for the tests: how much of it is tried, damaged files, and what every answer has to be."""

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import pydicom
import requests
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as some
from pydicom.filereader import data_element_generator, read_preamble

import dicom_emulator
from tests.emulator.dicom_files import multipart, raw_instance
from tests.emulator.pictures import storable

DICOM_JSON = "application/dicom+json"
PATIENCE = 30  # seconds after which a request hangs
FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
# Small, and each of another kind: transfer syntaxes, images of all sorts, sequences, private tags, character sets.
BUNDLED = [
    "CT_small.dcm", "ExplVR_BigEnd.dcm", "ExplVR_LitEndNoMeta.dcm", "JPEG2000-embedded-sequence-delimiter.dcm",
    "JPEGLSNearLossless_08.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_small_odd_jpeg.dcm",
    "SC_rgb_small_odd_big_endian.dcm", "SC_ybr_full_422_uncompressed.dcm", "UN_sequence.dcm",
    "image_dfl.dcm", "liver_1frame.dcm", "meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm", "no_meta.dcm",
    "priv_SQ.dcm", "reportsi.dcm", "rtplan.dcm", "rtstruct.dcm", "test-SR.dcm", "SC_rgb_rle_16bit_2frame.dcm",
    "MR_small_implicit.dcm",
    "badVR.dcm", "SC_rgb_gdcm_KY.dcm", "waveform_ecg.dcm", "JPEGLSNearLossless_16.dcm",
]  # fmt: skip


def budget(examples: int) -> settings:
    """So many examples, the same in every run; found again in no time, they are not made smaller."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,  # PATIENCE is the deadline
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@dataclass
class Victim:
    """An emulator that lets everybody in. Every answer is looked at: it came, and is no failure of the server."""

    url: str
    client: requests.Session

    def ask(self, method: str, path: str, accept: str | None = DICOM_JSON, **more: Any) -> requests.Response:
        """`path` follows the version 2, or begins with a slash."""
        url = self.url + (path if path.startswith("/") else f"/v2/{path}")
        headers = {"Accept": accept} | more.pop("headers", {})
        response = self.client.request(method, url, headers=headers, timeout=PATIENCE, **more)
        assert response.status_code < 500, (response.status_code, response.text, method, url)
        if response.content and "json" in response.headers.get("Content-Type", ""):
            valid_json(response.content)
        return response

    def store(self, *files: bytes, version: str = "v2") -> requests.Response:
        body, content_type = multipart(*files)
        return self.ask("POST", f"/{version}/studies", data=body, headers={"Content-Type": content_type})

    def use(self, stored: dict[str, Any]) -> None:
        """Whatever can be asked of an instance, by its item in the answer to the store; then it is deleted."""
        place = stored["00081190"]["Value"][0].removeprefix(self.url)
        version, _, study, _, series, *_ = place.strip("/").split("/")
        studies = f"/{version}/studies"
        for query in ("studies", f"studies/{study}/series", f"studies/{study}/series/{series}/instances", "instances"):
            found = self.ask("GET", f"/{version}/{query}?limit=200&includefield=all")
            assert found.status_code == 200, found.text
        for level in (place, f"{studies}/{study}/series/{series}", f"{studies}/{study}"):
            assert self.ask("GET", f"{level}/metadata").status_code == 200
        kept = self.ask("GET", place, "application/dicom; transfer-syntax=*")
        assert kept.status_code == 200
        for syntax in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.90"):
            self.ask("GET", place, f"application/dicom; transfer-syntax={syntax}")
        for syntax in ("*", "1.2.840.10008.1.2.1"):
            parts = f'multipart/related; type="application/octet-stream"; transfer-syntax={syntax}'
            self.ask("GET", f"{place}/frames/1", parts)
        self.ask("GET", f"{place}/frames/1,2,1", 'multipart/related; type="image/jp2"')
        self.ask("GET", f"{place}/rendered", "image/jpeg")
        self.ask("GET", f"{place}/frames/2/rendered", "image/png")
        assert self.ask("DELETE", f"{studies}/{study}").status_code == 204


@contextmanager
def victim(**settings: Any) -> Iterator[Victim]:
    with dicom_emulator.running(sign_in=False, **settings) as server:
        with bare_session() as client:
            yield Victim(server.url, client)


@contextmanager
def separate_victim() -> Iterator[tuple[Victim, int]]:
    """An emulator in a process of its own, with the process's id."""
    command = [sys.executable, "-m", "dicom_emulator", "--port", "0", "--no-auth", "--until-stdin-closes"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **pipes) as process, bare_session() as client:  # type: ignore[call-overload]
        assert process.stdin and process.stdout
        url = process.stdout.readline().split()[-1]
        try:
            yield Victim(url, client), process.pid
        finally:
            process.stdin.close()


def peak_memory(process: int) -> dict[int, int]:
    """The most memory that a process has taken so far, and each of its children, in bytes, by their ids.

    Where the system does not say so (no /proc), what they take now.
    """
    running = psutil.Process(process)
    return {each.pid: peak(each) for each in [running, *running.children(recursive=True)]}


def peak(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return process.memory_info().rss
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def bare_session() -> requests.Session:
    client = requests.Session()
    client.trust_env = False
    return client


def valid_json(text: bytes) -> Any:
    """The value; NaN and Infinity, which Python would read, are none (RFC 8259 §6)."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text.decode("utf-8"), parse_constant=refuse)


# Damaged files


@dataclass(frozen=True)
class Place:
    """Where an element is in a file, in bytes: its tag, its length and its value; how long the length is."""

    start: int
    length: int
    value: int
    end: int

    @property
    def width(self) -> int:
        return 2 if self.value - self.length == 2 else 4


@cache
def undamaged() -> list[tuple[bytes, list[Place]]]:
    """Files to be damaged, with the places of their top-level elements."""
    files = [storable(FOLDER / name) for name in BUNDLED]
    return [(file, places(file)) for file in [*files, text_file(), image_file()]]


def text_file() -> bytes:
    """A file with sequences and one element of almost each VR."""
    values: dict[str, Any] = {
        "00091001": ("UV", bytes(8)), "00091002": ("SV", b"\xff" * 8), "00091003": ("FD", b"\xff" * 8),
        "00091004": ("FL", b"\0\0\x80\x7f"), "00091005": ("AT", b"\x10\0\x10\0"), "00091006": ("UT", b"text"),
        "00091007": ("UR", b"http://x"), "00091008": ("UC", b"a\\b"), "00091009": ("SL", b"\1\0\0\0"),
        "00091010": ("OB", b"\1\0"), "00090010": ("LO", b"MAKER"), "StudyDate": b"20200101", "StudyTime": b"1200",
        "PatientSize": b"1.80", "InstanceNumber": b"7", "PatientAge": b"030Y", "AcquisitionDateTime": b"20200101",
        "ProcedureCodeSequence": nested(3), "RequestAttributesSequence": nested(3, defined=False),
    }  # fmt: skip
    return raw_instance(values)


def image_file() -> bytes:
    """Four frames of 4 x 4 samples."""
    return raw_instance({"PixelData": ("OB", bytes(range(64)))} | picture_of(4, 4, 8, 4))


def picture_of(rows: int, columns: int, bits: int, frames: int | str = 1, photometric: str = "MONOCHROME2") -> Any:
    """What a file says of its pixels, for `raw_instance`."""
    words = {"Rows": rows, "Columns": columns, "BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1}
    words |= {"SamplesPerPixel": 1 if photometric in {"MONOCHROME2", "PALETTE COLOR"} else 3, "PixelRepresentation": 0}
    return {name: struct.pack("<H", word) for name, word in words.items()} | {
        "NumberOfFrames": str(frames).encode(),
        "PhotometricInterpretation": photometric.encode(),
    }


def nested(levels: int, defined: bool = True) -> bytes:
    """The value of a sequence in which sequences lie in one another, `levels` of them below it; explicit VR."""
    head = struct.pack("<HH2sH", 0x0040, 0xA730, b"SQ", 0)
    if not defined:
        item, end = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF), struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
        sequence_end = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
        return (item + head + b"\xff" * 4) * levels + item + end + (sequence_end + end) * levels
    lengths = [8 + 20 * below for below in range(levels + 1)]  # of an item with `below` levels in it, its head included
    value = b"".join(
        struct.pack("<HHL", 0xFFFE, 0xE000, lengths[below] - 8) + head + struct.pack("<L", lengths[below - 1])
        for below in range(levels, 0, -1)
    )
    return value + struct.pack("<HHL", 0xFFFE, 0xE000, 0)


def places(file: bytes) -> list[Place]:
    source = BytesIO(file)
    read_preamble(source, force=True)
    found, start = [], source.tell()
    elements = data_element_generator(source, False, True)
    while element := next_of(elements):
        value = getattr(element, "value_tell", getattr(element, "file_tell", None)) or start
        width = 4 if file[start + 4 : start + 6] in LONG_FORM else 2
        found.append(Place(start, value - width, value, source.tell()))
        start = source.tell()
    return found


def next_of(elements: Iterator[Any]) -> Any:
    """The next one; None where what follows is deflated or in big endian, and makes no sense here."""
    try:
        return next(elements, None)
    except (EOFError, NotImplementedError, ValueError, struct.error):
        return None


LONG_FORM = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
LENGTHS = [0, 1, 2, 3, 7, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]
VRS = (
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV"
    b" XX ?? A\0 \0\0 \xff\xff"
).split(b" ")
VALUES = [
    b"", b"\0", b"\0\0\0\0", b" " * 8, b"\\" * 9, b"-1", b"9" * 5000, b"1e999999999", b"0e99999", b"NaN", b"-Infinity",
    b"1_0", b"\xb2\xb3", b"\xff" * 16, b"\xff\xff", b"\1\0", b"\x11\0", b"\xff\x7f", b"20201399", b"-", b"..",
    b"../../etc",
    b"1.2.3\0\0", b"1..2.", b"1" * 65, b"=^=^=^=^", b"A" * 65, b"YBR_FULL_422", b"PALETTE COLOR",
    b"\x1b$B\x1b", b"\x1b(",
    b"unicode_escape", b"ISO 2022 IR 87\\ISO 2022 IR 999", b"idna", b"utf-7", b"\\ud800", b"+2AA-", b"\xed\xa0\x80",
    nested(40), nested(40, defined=False), struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFE),
]  # fmt: skip

IMAGE_GROUPS = {b"\x28\0", b"\xe0\x7f"}


@some.composite
def damaged_files(draw: some.DrawFn) -> bytes:
    """A file that was whole, with up to three kinds of damage done to it, at the end of the file first."""
    file, elements = draw(some.sampled_from(undamaged()))
    image = [place for place in elements if file[place.start : place.start + 2] in IMAGE_GROUPS] or elements
    chosen = draw(
        some.lists(some.one_of(map(some.sampled_from, (elements, image))), min_size=1, max_size=3, unique=True)
    )
    for place in sorted(chosen, key=lambda place: -place.start):
        file = draw(some.sampled_from(DAMAGES))(draw, file, place)
    return file


def flip(draw: some.DrawFn, file: bytes, place: Place) -> bytes:
    at = draw(some.integers(place.start, max(min(place.end, len(file)) - 1, place.start)))
    return file[:at] + bytes([file[at] ^ 1 << draw(some.integers(0, 7))]) + file[at + 1 :]


def cut_off(draw: some.DrawFn, file: bytes, place: Place) -> bytes:
    return file[: draw(some.integers(place.start, place.end))]


def cut_out(draw: some.DrawFn, file: bytes, place: Place) -> bytes:
    return file[: draw(some.sampled_from([place.start, place.length, place.value]))] + file[place.end :]


def say_twice(draw: some.DrawFn, file: bytes, place: Place) -> bytes:
    return file[: place.end] + file[place.start :]


def disorder(draw: some.DrawFn, file: bytes, place: Place) -> bytes:
    return file[: place.start] + file[place.end :] + file[place.start : place.end]


def lie_about_length(draw: some.DrawFn, file: bytes, place: Place) -> bytes:
    length = draw(some.sampled_from(LENGTHS)) & (1 << 8 * place.width) - 1
    return file[: place.length] + length.to_bytes(place.width, "little") + file[place.value :]


def change_vr(draw: some.DrawFn, file: bytes, place: Place) -> bytes:
    return file[: place.start + 4] + draw(some.sampled_from(VRS)) + file[place.start + 6 :]


def change_value(draw: some.DrawFn, file: bytes, place: Place) -> bytes:
    value = draw(some.one_of(some.sampled_from(VALUES), some.binary(max_size=24)))
    value = value[: (1 << 8 * place.width) - 2] + b"\0" * (len(value) % 2)
    return file[: place.length] + len(value).to_bytes(place.width, "little") + value + file[place.end :]


DAMAGES = [flip, cut_off, cut_out, say_twice, disorder, lie_about_length, change_vr, change_value, change_value]
