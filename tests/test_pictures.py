"""Each kind of picture is what its name says, and is made the same on every run."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy
import pydicom
import pytest
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_windowing

from sample_dcms import make_pictures as pictures

NAMES = list(pictures.PICTURES)


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return pictures.make()


@pytest.fixture(scope="module")
def read(made: dict[str, bytes]) -> dict[str, pydicom.FileDataset]:
    return {name: pydicom.dcmread(BytesIO(content)) for name, content in made.items()}


def test_made_again_by_the_command_every_byte_is_the_same(made: dict[str, bytes], tmp_path: Path) -> None:
    command = [sys.executable, str(Path(pictures.__file__)), str(tmp_path / "new")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert {path.stem: path.read_bytes() for path in (tmp_path / "new").iterdir()} == made
    assert "film.dcm: " in done.stdout


def test_the_command_makes_what_is_named_and_refuses_what_is_not(tmp_path: Path) -> None:
    assert pictures.main([str(tmp_path), "key", "film"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.dcm", "key.dcm"]
    with pytest.raises(SystemExit):
        pictures.main([str(tmp_path), "cat"])


def test_uids_are_valid_and_no_two_instances_share_one(read: dict[str, pydicom.FileDataset]) -> None:
    uids = [read[name].SOPInstanceUID for name in NAMES]
    assert len(set(uids)) == len(NAMES)
    for data_set in read.values():
        for uid in (data_set.SOPInstanceUID, data_set.SeriesInstanceUID, data_set.StudyInstanceUID):
            assert uid.is_valid and uid.startswith("1.2.826.0.1.3680043.8.498.")
        assert data_set.file_meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
        assert "Anony" not in str(data_set.PatientName)


@pytest.mark.parametrize(
    ("name", "syntax", "photometric", "shape", "kind"),
    [
        ("ct", "1.2.840.10008.1.2.1", "MONOCHROME2", (128, 128), "int16"),
        ("ct-jpeg-2000", "1.2.840.10008.1.2.4.90", "MONOCHROME2", (128, 128), "int16"),
        ("key", "1.2.840.10008.1.2.1", "MONOCHROME1", (96, 160), "uint16"),
        ("palette", "1.2.840.10008.1.2.1", "PALETTE COLOR", (96, 128), "uint8"),
        ("rgb", "1.2.840.10008.1.2.1", "RGB", (96, 128, 3), "uint8"),
        ("ybr", "1.2.840.10008.1.2.1", "YBR_FULL", (96, 128, 3), "uint8"),
        ("film", "1.2.840.10008.1.2.5", "MONOCHROME2", (12, 80, 80), "uint8"),
        ("record", "1.2.840.10008.1.2.1", "MONOCHROME2", (20, 20), "uint8"),
    ],
)
def test_the_kind_of_a_picture(
    name: str, syntax: str, photometric: str, shape: tuple[int, ...], kind: str, read: dict[str, pydicom.FileDataset]
) -> None:
    data_set = read[name]
    assert data_set.file_meta.TransferSyntaxUID == syntax
    assert data_set.PhotometricInterpretation == photometric
    assert data_set.pixel_array.shape == shape and data_set.pixel_array.dtype == kind


def test_compression_changes_no_pixel_of_the_ct(read: dict[str, pydicom.FileDataset]) -> None:
    assert (read["ct"].pixel_array == read["ct-jpeg-2000"].pixel_array).all()


@pytest.mark.parametrize(("window", "insert"), [(0, "liver"), (1, "lung"), (2, "bone")])
def test_each_window_shows_the_rods_of_one_insert_and_of_no_other(
    window: int, insert: str, read: dict[str, pydicom.FileDataset]
) -> None:
    data_set = read["ct"]
    values = apply_windowing(apply_modality_lut(data_set.pixel_array, data_set), data_set, window)
    grey = 255 * (values - values.min()) / (values.max() - values.min())
    rods = {"lung": [(-34, -10), (-18, -8), (-27, 6)], "liver": [(18, -10), (34, -8), (25, 6)],
            "bone": [(-8, 30), (8, 30), (0, 41)]}  # fmt: skip
    ground = {"lung": (-26, -18), "liver": (26, -18), "bone": (0, 22)}
    for name, places in rods.items():
        shades = [int(grey[64 + y, 64 + x]) for x, y in [*places, ground[name]]]
        distances = numpy.diff(sorted(shades))
        assert (distances.min() > 12) == (name == insert), f"{name}: {shades}"


def test_the_palette_is_binary_and_gives_black_red_yellow_and_white(read: dict[str, pydicom.FileDataset]) -> None:
    data_set = read["palette"]
    assert data_set["RedPaletteColorLookupTableData"].VR == "OW"
    colours = {tuple(colour >> 8) for colour in apply_color_lut(data_set.pixel_array, data_set).reshape(-1, 3)}
    assert {(0, 0, 0), (255, 0, 0), (255, 255, 0), (255, 255, 255)} <= colours


def test_the_card_in_ybr_by_plane_is_the_card_in_rgb(read: dict[str, pydicom.FileDataset]) -> None:
    assert read["ybr"].PlanarConfiguration == 1
    difference = read["ybr"].pixel_array.astype(int) - read["rgb"].pixel_array
    assert abs(difference).max() <= 2


def test_the_hand_of_the_dial_points_to_the_number_of_its_frame(read: dict[str, pydicom.FileDataset]) -> None:
    for number, frame in enumerate(read["film"].pixel_array, start=1):
        y, x = (numpy.argwhere(frame == 255) - 39.5).mean(axis=0)
        assert round(numpy.degrees(numpy.arctan2(x, -y)) / 30) % 12 == number % 12


def test_the_record_has_every_kind_of_value(read: dict[str, pydicom.FileDataset]) -> None:
    data_set = read["record"]
    name = data_set.PatientName
    assert (name.alphabetic, name.ideographic, name.phonetic) == ("Mihon^Hanako", "見本^花子", "みほん^はなこ")
    kinds = {element.VR for element in data_set.iterall()}
    assert {"IS", "DS", "FD", "SQ", "PN", "DA", "OB", "US", "UI"} <= kinds
    assert data_set["AccessionNumber"].is_empty and len(data_set.ReferencedImageSequence) == 0
    assert "PixelData" in data_set.IconImageSequence[0]
