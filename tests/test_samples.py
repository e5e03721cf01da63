"""The three sample files say what the tutorial's files say, and are made the same on every run."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest

from sample_dcms import make_samples

SAMPLES = Path(make_samples.__file__).parent
FILES = ["blue-circle.dcm", "green-square.dcm", "red-triangle.dcm"]
ROOT = "1.2.826.0.1.3680043.8.498."

# Written out here a second time, on purpose: what the tutorial's files hold, tag by tag, not what make_samples.py says.
IN_ALL = {
    "00080005": ("CS", "ISO_IR 192"),
    "00080008": ("CS", ["DERIVED", "SECONDARY", "OTHER"]),
    "00080016": ("UI", "1.2.840.10008.5.1.4.1.1.7"),
    "00080020": ("DA", "20200922"),
    "00080023": ("DA", ""),
    "0008002A": ("DT", ""),
    "00080030": ("TM", "120000"),
    "00080033": ("TM", ""),
    "00080050": ("SH", ""),
    "00080060": ("CS", "OT"),
    "00080064": ("CS", "SYN"),
    "00080090": ("PN", "Doctor Doc"),
    "00100010": ("PN", "Anony Mous"),
    "00100020": ("LO", "ID1"),
    "00100030": ("DA", ""),
    "00100040": ("CS", "F"),
    "00101010": ("AS", "024Y"),
    "00185100": ("CS", ""),
    "0020000D": ("UI", ROOT + "13230779778012324449356534479549187420"),
    "00200010": ("SH", "1"),
    "00200020": ("CS", ""),
    "00200060": ("CS", ""),
    "00280002": ("US", 3),
    "00280004": ("CS", "RGB"),
    "00280006": ("US", 0),
    "00280010": ("US", 979),
    "00280011": ("US", 985),
    "00280030": ("DS", ["1.0", "1.0"]),
    "00280100": ("US", 8),
    "00280101": ("US", 8),
    "00280102": ("US", 7),
    "00280103": ("US", 0),
    "00280106": ("US", 0),
    "00280107": ("US", 255),
}
PER_FILE = {
    "blue-circle.dcm": {
        "00080018": ("UI", ROOT + "13273713909719068980354078852867170114"),
        "0020000E": ("UI", ROOT + "77033797676425927098669402985243398207"),
        "00200011": ("IS", "2"),
        "00200013": ("IS", "1"),
        "00204000": ("LT", "Fake DICOM - Blue Circle"),
    },
    "green-square.dcm": {
        "00080018": ("UI", ROOT + "12714725698140337137334606354172323212"),
        "0020000E": ("UI", ROOT + "45787841905473114233124723359129632652"),
        "00200011": ("IS", "1"),
        "00200013": ("IS", "2"),
        "00204000": ("LT", "Fake DICOM - Green Square"),
    },
    "red-triangle.dcm": {
        "00080018": ("UI", ROOT + "47359123102728459884412887463296905395"),
        "0020000E": ("UI", ROOT + "45787841905473114233124723359129632652"),
        "00200011": ("IS", "1"),
        "00200013": ("IS", "1"),
        "00204000": ("LT", "Fake DICOM - Red Triangle"),
    },
}
SIZES = {"blue-circle.dcm": 2_894_020, "green-square.dcm": 2_894_022, "red-triangle.dcm": 2_894_022}
COLOURS = {"blue-circle.dcm": (63, 72, 204), "green-square.dcm": (34, 177, 76), "red-triangle.dcm": (237, 28, 36)}
BACKGROUND = (195, 195, 195)


@pytest.fixture(scope="module")
def read() -> dict[str, pydicom.FileDataset]:
    return {name: pydicom.dcmread(SAMPLES / name) for name in FILES}


@pytest.fixture(scope="module")
def pixels(read: dict[str, pydicom.FileDataset]) -> dict[str, numpy.ndarray]:
    return {name: read[name].pixel_array for name in FILES}


def as_written(element: pydicom.DataElement) -> tuple[str, Any]:
    """VR and value, numbers of the text VRs as the text that is in the file."""
    value = element.value
    if isinstance(value, pydicom.multival.MultiValue):
        return element.VR, [str(one) for one in value]
    return element.VR, value if element.VR == "US" else str(value)


@pytest.mark.parametrize("name", FILES)
def test_the_attributes_are_those_of_the_tutorial_and_no_other(name: str, read: dict[str, Any]) -> None:
    found = {f"{element.tag:08X}": as_written(element) for element in read[name] if element.keyword != "PixelData"}
    assert found == IN_ALL | PER_FILE[name]
    assert len(read[name]) == 40


@pytest.mark.parametrize("name", FILES)
def test_the_file_meta_is_the_tutorials_but_for_our_own_implementation(name: str, read: dict[str, Any]) -> None:
    meta = read[name].file_meta
    assert [f"{tag:08X}" for tag in meta.keys()] == [
        "00020000", "00020001", "00020002", "00020003", "00020010", "00020012", "00020013",
    ]  # fmt: skip
    assert read[name].preamble == b"\0" * 128
    assert meta.FileMetaInformationGroupLength == 242
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert meta.MediaStorageSOPInstanceUID == read[name].SOPInstanceUID
    assert meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert meta.ImplementationClassUID.startswith("2.25.") and meta.ImplementationClassUID.is_valid
    assert meta.ImplementationVersionName == "DICOMWEBCOURSE"


@pytest.mark.parametrize("name", FILES)
def test_every_uid_is_64_characters_long(name: str, read: dict[str, Any]) -> None:
    uids = [read[name].StudyInstanceUID, read[name].SeriesInstanceUID, read[name].SOPInstanceUID]
    assert [len(uid) for uid in uids] == [64, 64, 64]


@pytest.mark.parametrize("name", FILES)
def test_the_pixel_data_is_odd_and_padded(name: str, read: dict[str, Any]) -> None:
    element = read[name]["PixelData"]
    assert element.VR == "OB"
    assert len(element.value) == 979 * 985 * 3 + 1 == 2_892_946
    assert element.value[-1] == 0
    content = (SAMPLES / name).read_bytes()
    assert len(content) == SIZES[name]
    assert content[-2_892_946 - 12 : -2_892_946] == b"\xe0\x7f\x10\x00OB\0\0" + (2_892_946).to_bytes(4, "little")


@pytest.mark.parametrize("name", FILES)
def test_two_colours_and_nothing_between_them(name: str, pixels: dict[str, numpy.ndarray]) -> None:
    as_one_number = pixels[name].astype(int) @ [1 << 16, 1 << 8, 1]
    colours, counts = numpy.unique(as_one_number, return_counts=True)
    found = {tuple(colour.to_bytes(3)): count for colour, count in zip(colours.tolist(), counts.tolist())}
    assert set(found) == {COLOURS[name], BACKGROUND}
    assert found[COLOURS[name]] > 200_000, "the shape should be big"


def widths(pixels: numpy.ndarray) -> numpy.ndarray:
    """How many pixels of each row are inside the shape, rows without any left out."""
    inside = (pixels != BACKGROUND).any(axis=2)
    assert (inside == inside[:, ::-1]).all(), "the shape should be the same left and right"
    per_row = inside.sum(axis=1)
    return per_row[per_row > 0]


def test_the_circle_is_round(pixels: dict[str, numpy.ndarray]) -> None:
    rows = widths(pixels["blue-circle.dcm"])
    assert abs(len(rows) - rows.max()) <= 1 and rows.argmax() in range(len(rows) // 2 - 20, len(rows) // 2 + 20)
    assert abs(rows.sum() - numpy.pi * (len(rows) / 2) ** 2) < 0.01 * rows.sum()


def test_the_square_is_square(pixels: dict[str, numpy.ndarray]) -> None:
    rows = widths(pixels["green-square.dcm"])
    assert set(rows.tolist()) == {len(rows)}


def test_the_triangle_points_up(pixels: dict[str, numpy.ndarray]) -> None:
    rows = widths(pixels["red-triangle.dcm"])
    assert rows[0] <= 3 and rows[-1] == rows.max() > 600
    assert (numpy.diff(rows) >= 0).all()


def test_the_table_says_what_the_files_say(read: dict[str, Any]) -> None:
    with (SAMPLES / "dicom-metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["FileName"] for row in rows] == FILES
    for row in rows:
        name = row.pop("FileName")
        expected = {element.keyword: as_written(element)[1] for element in read[name] if element.keyword != "PixelData"}
        assert row == {
            keyword: "\\".join(value) if isinstance(value, list) else str(value) for keyword, value in expected.items()
        }
        assert list(row)[:3] == ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]


def make_samples_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SAMPLES / "make_samples.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_made_again_every_byte_is_the_same(tmp_path: Path) -> None:
    done = make_samples_command(tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "dicom-metadata.csv"])
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (SAMPLES / path.name).read_bytes(), f"{path.name} is not what make_samples.py makes"


def test_check_notices_a_changed_and_a_missing_file(tmp_path: Path) -> None:
    for path in SAMPLES.glob("d*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes() + b"\n")
    for name in FILES[:2]:
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    done = make_samples_command("--check", tmp_path)
    assert done.returncode == 1
    assert "red-triangle.dcm is missing" in done.stdout
    assert "dicom-metadata.csv is not what make_samples.py makes" in done.stdout
    assert "blue-circle" not in done.stdout
    assert make_samples_command("--check").returncode == 0
