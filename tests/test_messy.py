"""Each file of the messy folder is what its line says, and is made the same on every run."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import config
from pydicom.errors import InvalidDicomError

from sample_dcms import make_messy


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return make_messy.make()


def read(content: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(BytesIO(content))


@pytest.fixture(autouse=True)
def values_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)


def test_made_again_by_the_command_every_byte_is_the_same(files: dict[str, bytes], tmp_path: Path) -> None:
    command = [sys.executable, str(Path(make_messy.__file__)), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    written = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert written == files
    assert "ward-3/notes.dcm: a text" in done.stdout


def test_the_paths_come_in_order(tmp_path: Path) -> None:
    assert make_messy.make_folder(tmp_path) == sorted(tmp_path / name for name in make_messy.FILES)


def test_pydicom_checks_values_as_before_afterwards(files: dict[str, bytes]) -> None:
    modes = config.settings.writing_validation_mode
    make_messy.make()
    assert config.settings.writing_validation_mode == modes


@pytest.mark.parametrize("name", [name for name, what in make_messy.FILES.items() if what.startswith("good")])
def test_a_good_file_can_be_stored_and_seen(name: str, files: dict[str, bytes]) -> None:
    data_set = read(files[name])
    assert data_set.PatientID and data_set.pixel_array.shape == (64, 64)
    for uid in (data_set.SOPInstanceUID, data_set.SeriesInstanceUID, data_set.StudyInstanceUID):
        assert uid.is_valid and uid.startswith(make_messy.UID_ROOT)


def test_the_good_ones_are_six_instances_of_two_studies(files: dict[str, bytes]) -> None:
    good = [read(files[name]) for name, what in make_messy.FILES.items() if what.startswith("good")]
    assert len({data_set.SOPInstanceUID for data_set in good}) == len(good) == 6
    assert len({(data_set.PatientID, data_set.StudyInstanceUID) for data_set in good}) == 2


def test_one_file_is_there_twice_and_one_contradicts_another(files: dict[str, bytes]) -> None:
    assert files["ward-3/IM2_copy.dcm"] == files["ward-3/IM2.dcm"]
    one, other = read(files["ward-3/IM1.dcm"]), read(files["ward-3/IM1_edited.dcm"])
    assert one.SOPInstanceUID == other.SOPInstanceUID and one.PixelData != other.PixelData


def test_the_broken_ones_are_broken_as_they_say(files: dict[str, bytes]) -> None:
    assert "PatientID" not in read(files["from-usb/0004"])
    assert read(files["ward-3/IM4.dcm"]).StudyInstanceUID == "WEAVER.2024.1"
    assert len(read(files["ward-3/IM5.dcm"]).PixelData) < 64 * 64
    with pytest.raises(InvalidDicomError):
        read(files["ward-3/notes.dcm"])


def test_what_names_the_patient_stands_in_unexpected_places(files: dict[str, bytes]) -> None:
    private = read(files["from-usb/0002"]).private_block(0x0011, "COURSE SCANNER")
    assert private[0x01].value.startswith("MILLER OTTO") and b"Miller" in private[0x02].value
    assert "Weaver" in read(files["ward-3/IM1.dcm"]).StudyDescription
    burned = read(files["from-usb/0003"])
    assert burned.BurnedInAnnotation == "NO" and (burned.pixel_array == 255).sum() > 50
    assert not (burned.pixel_array[8:] == 255).any() and not (burned.pixel_array[:, 28:] == 255).any()


def test_a_reference_leads_to_a_file_of_the_folder(files: dict[str, bytes]) -> None:
    reference = read(files["ward-3/IM2.dcm"]).ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == read(files["ward-3/IM1.dcm"]).SOPInstanceUID
