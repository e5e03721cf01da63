"""sample_dcms/make_synthetic.py: valid where it says so, broken where it says so, the same on every machine."""

import doctest
import hashlib
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from sample_dcms import make_synthetic
from sample_dcms.make_synthetic import BROKEN, FOLDER_OF_BROKEN, make_film, make_folder, study_uids

SCRIPT = Path(__file__).parents[1] / "sample_dcms" / "make_synthetic.py"


def test_the_files_are_dealt_out_over_studies_and_series(tmp_path: Path) -> None:
    paths = make_folder(tmp_path, files=24, studies=3, series=2)
    read = [pydicom.dcmread(path) for path in paths]
    assert {str(ds.StudyInstanceUID) for ds in read} == set(study_uids(studies=3))
    assert len({ds.SeriesInstanceUID for ds in read}) == 6 and len({ds.SOPInstanceUID for ds in read}) == 24
    assert all(ds.pixel_array.shape == (32, 32) for ds in read)
    assert len({ds.pixel_array.tobytes() for ds in read}) == 24


def test_the_bytes_are_the_same_on_every_machine(tmp_path: Path) -> None:
    paths = make_folder(tmp_path / "one", files=5, broken=BROKEN)
    again = make_folder(tmp_path / "two", files=5, broken=BROKEN)
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    first = tmp_path / "one" / "study-1" / "series-1" / "00001.dcm"
    assert (
        hashlib.sha256(first.read_bytes()).hexdigest()
        == "44b5388cedecaf5bc05fca2daa54dbc38812884a34f2769b750c05c179b3d47a"
    )


def test_another_seed_gives_other_instances(tmp_path: Path) -> None:
    (one,), (other,) = make_folder(tmp_path / "1", files=1), make_folder(tmp_path / "2", files=1, seed=2)
    assert pydicom.dcmread(one).SOPInstanceUID != pydicom.dcmread(other).SOPInstanceUID
    assert not set(study_uids(1)) & set(study_uids(2))


def test_each_broken_file_has_its_own_fault(tmp_path: Path) -> None:
    make_folder(tmp_path, files=1, broken=BROKEN)
    broken = {kind: tmp_path / FOLDER_OF_BROKEN / f"broken-{kind.replace('_', '-')}.dcm" for kind in BROKEN}
    first = tmp_path / "study-1" / "series-1" / "00001.dcm"
    assert broken["duplicate"].read_bytes() == first.read_bytes()
    assert broken["not_dicom"].read_bytes()[128:132] != b"DICM"
    assert "PatientID" not in pydicom.dcmread(broken["no_patient_id"])
    assert pydicom.dcmread(broken["other_study"]).StudyInstanceUID not in study_uids()
    assert broken["truncated"].stat().st_size < first.stat().st_size


def test_an_unknown_fault_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no kind 'odd'; there are truncated"):
        make_folder(tmp_path, files=0, broken=["odd"])


def test_a_film_has_its_size_and_a_line_in_each_frame(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    study_uid = make_film(path, megabytes=3, side=512)
    ds = pydicom.dcmread(path)
    assert ds.StudyInstanceUID == study_uid and ds.NumberOfFrames == 11
    assert len(ds.PixelData) == 11 * 512 * 512
    assert ds.pixel_array[:, 0, 0].tolist() == list(range(1, 12)) and not ds.pixel_array[:, 1:].any()


def test_films_of_a_seed_share_a_study(tmp_path: Path) -> None:
    studies = {make_film(tmp_path / f"{number}.dcm", 1, number=number) for number in (1, 2)}
    assert len(studies) == 1
    uids = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in tmp_path.iterdir()}
    assert len(uids) == 2


def test_a_film_that_no_instance_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="do not fit into one instance"):
        make_film(tmp_path / "film.dcm", megabytes=5000)


def test_it_works_from_a_terminal(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path), "--files", "3", "--broken", "not_dicom", "--film", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"4 files below {tmp_path}" and "film.dcm: " in done.stdout


def test_the_examples_are_right() -> None:
    found = doctest.testmod(make_synthetic)
    assert found.attempted and not found.failed
