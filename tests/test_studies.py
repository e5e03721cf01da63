"""The studies that lessons search in: the same on every run, and what the lessons say of them."""

import io
from collections import Counter

import pydicom
import pytest

from sample_dcms.make_studies import MR_SINCE, make_instance, make_studies, uid_of_instance, uid_of_series, uid_of_study


@pytest.fixture(scope="module")
def archive() -> dict[str, list[pydicom.FileDataset]]:
    return {uid: [read(content) for content in files] for uid, files in make_studies().items()}


def read(content: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(content))


def test_they_are_the_same_bytes_every_time() -> None:
    assert make_studies(20) == make_studies(20)


def test_every_file_lies_in_its_study_and_all_instances_differ(archive: dict[str, list[pydicom.FileDataset]]) -> None:
    assert all(ds.StudyInstanceUID == uid for uid, files in archive.items() for ds in files)
    assert len({ds.SOPInstanceUID for files in archive.values() for ds in files}) == 300
    assert all(ds.ReferringPhysicianName == "Ten^Lesson" for files in archive.values() for ds in files)


def test_every_tenth_study_has_a_second_picture_and_a_report(archive: dict[str, list[pydicom.FileDataset]]) -> None:
    kinds = Counter(tuple(ds.Modality == "SR" for ds in files) for files in archive.values())
    assert kinds == {(False,): 225, (False, False, True): 25}


def test_the_earliest_study_comes_first(archive: dict[str, list[pydicom.FileDataset]]) -> None:
    days = [files[0].StudyDate for files in archive.values()]
    assert days == sorted(days) and days[0] == "20240101" and days[-1] == "20241230"


def test_there_is_no_mr_before_its_scanner(archive: dict[str, list[pydicom.FileDataset]]) -> None:
    first = min(files[0].StudyDate for files in archive.values() if files[0].Modality == "MR")
    assert f"{MR_SINCE:%Y%m%d}" <= first


def test_another_physician_means_other_studies() -> None:
    assert make_studies(5).keys().isdisjoint(make_studies(5, physician="Twelve^Lesson"))


def test_an_instance_has_what_is_named_and_lacks_what_is_none() -> None:
    ds = read(make_instance("A", 2, 3, Occupation="Baker", PatientID=None, StudyDate="last week"))
    assert (ds.Occupation, ds.StudyDate, "PatientID" in ds) == ("Baker", "last week", False)
    assert (ds.StudyInstanceUID, ds.SeriesInstanceUID) == (uid_of_study("A"), uid_of_series("A", 3))
    assert uid_of_series("A", 3) != uid_of_series("A") and uid_of_instance("A", 2) != uid_of_instance("A")
    assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID == uid_of_instance("A", 2, 3)


def test_an_attribute_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="DICOM has no attribute Ocupation"):
        make_instance("A", Ocupation="Baker")
