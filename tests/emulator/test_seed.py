"""What is stored without a client: a folder, or the built-in set of patients who never lived."""

import io
import os
from pathlib import Path
from typing import Any

import numpy
import pytest
import requests
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels import pixel_array

from dicom_emulator.control import synthetic
from tests.emulator.conftest import Service, session
from tests.emulator.dicom_files import instance, path
from tests.emulator.storing import VERSIONS, change_feed, is_empty, own_emulator, search, stored
from tests.emulator.test_command_line import REPOSITORY, refused, started

FILES = dict(synthetic.instances())
STORED = {"Accept": "application/dicom; transfer-syntax=*"}
client = session()


def seed(service: Service, **body: Any) -> requests.Response:
    return client.post(f"{service.url}/_emulator/seed", json=body, timeout=60)


def read(file: bytes) -> Dataset:
    return dcmread(io.BytesIO(file))


def have(*keywords: str) -> list[str]:
    """The names of the files that have all these attributes."""
    return [name for name, file in FILES.items() if all(keyword in read(file) for keyword in keywords)]


class TestFolder:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "below").mkdir()
        (tmp_path / "one.dcm").write_bytes(instance())
        (tmp_path / "below" / "two.dcm").write_bytes(instance())
        (tmp_path / "list.csv").write_text("not,DICOM\n")
        return tmp_path

    def test_its_dcm_files_are_stored(self, service: Service, folder: Path) -> None:
        response = seed(service, folder=str(folder))
        assert (response.status_code, response.json()) == (200, {"stored": 2, "refused": []})
        for file in folder.rglob("*.dcm"):
            assert service.owner.get(f"{service.v2}/{path(file.read_bytes())}", headers=STORED).content == (
                file.read_bytes()
            )

    def test_what_is_there_already_counts_as_stored(self, service: Service, folder: Path) -> None:
        seed(service, folder=str(folder))
        assert seed(service, folder=str(folder)).json() == {"stored": 2, "refused": []}
        assert len(change_feed(service)) == 2

    def test_what_is_not_stored_is_named_with_its_reason(self, service: Service, folder: Path) -> None:
        (folder / "below" / "no.dcm").write_bytes(b"no DICOM")
        (folder / "folder.dcm").mkdir()
        refused = [{"file": "below/no.dcm", "failureReason": 43264}, {"file": "folder.dcm", "failureReason": 272}]
        assert seed(service, folder=str(folder)).json() == {"stored": 2, "refused": refused}

    @pytest.mark.parametrize("folder", ["", "no-such-folder", __file__, "a\0b", "x" * 5000])
    def test_a_folder_that_is_not_there_is_400_and_named(self, service: Service, folder: str) -> None:
        response = seed(service, folder=folder)
        assert response.status_code == 400 and f"no folder {folder!r}" in response.text
        assert is_empty(service)

    @pytest.mark.parametrize(
        "body", [{}, {"set": "real"}, {"folder": 7}, {"folder": None}, {"set": "synthetic", "folder": "."}, [], "x"]
    )
    def test_another_body_is_400_and_shows_what_a_seed_is(self, service: Service, body: Any) -> None:
        response = client.post(f"{service.url}/_emulator/seed", json=body, timeout=60)
        assert response.status_code == 400 and '{"set": "synthetic"}' in response.text
        assert is_empty(service)


class TestSyntheticSet:
    def test_all_of_it_is_stored(self, service: Service) -> None:
        response = seed(service, set="synthetic")
        assert (response.status_code, response.json()) == (200, {"stored": len(FILES), "refused": []})
        assert len(search(service, "instances", limit="200")) == len(FILES)
        for file in FILES.values():
            assert service.owner.get(f"{service.v2}/{path(file)}", headers=STORED).content == file

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_client_stores_it_without_a_warning(self, service: Service, version: str) -> None:
        response = service.store(*FILES.values(), version=version)
        assert response.status_code == 200
        for item in stored(response):
            assert "00081196" not in item and not item.get("00741048", {}).get("Value")

    def test_every_frame_can_be_seen(self, service: Service) -> None:
        seed(service, set="synthetic")
        for name in have("PixelData"):
            data_set = read(FILES[name])
            for number in range(1, int(data_set.get("NumberOfFrames", 1)) + 1):
                url = f"{service.v2}/{path(FILES[name])}/frames/{number}/rendered"
                response = service.owner.get(url, headers={"Accept": "image/png"})
                assert response.status_code == 200, f"{name}: {response.text}"
                picture = Image.open(io.BytesIO(response.content))
                assert picture.size == (data_set.Columns, data_set.Rows)
                assert numpy.asarray(picture).std() > 8, f"{name} shows nothing"

    def test_it_is_the_same_each_time(self) -> None:
        synthetic.instances.cache_clear()
        assert dict(synthetic.instances()) == FILES

    def test_it_is_small(self) -> None:
        assert 30 <= len(FILES) <= 60 and sum(map(len, FILES.values())) < 5_000_000

    def test_the_readme_tells_its_size(self) -> None:
        readme = (REPOSITORY / "dicom_emulator" / "README.md").read_text("utf-8")
        assert len({read(file).PatientID for file in FILES.values()}) == 6
        assert f"The synthetic set has {len(FILES)} instances of six patients" in readme

    def test_nobody_takes_it_for_real(self) -> None:
        for file in FILES.values():
            data_set = read(file)
            assert str(data_set.PatientName).startswith("Sample^") and data_set.PatientID.startswith("SAMPLE-")
            assert all(uid.startswith("2.25.") for uid in (data_set.StudyInstanceUID, data_set.SOPInstanceUID))

    def test_no_two_instances_share_a_uid(self) -> None:
        assert len({read(file).SOPInstanceUID for file in FILES.values()}) == len(FILES)

    def test_what_belongs_to_a_patient_or_a_study_is_the_same_in_its_instances(self) -> None:
        for level, keywords in {
            "PatientID": ("PatientName", "PatientBirthDate", "PatientSex"),
            "StudyInstanceUID": ("StudyDate", "StudyTime", "StudyDescription", "AccessionNumber", "PatientID"),
            "SeriesInstanceUID": ("Modality", "SeriesNumber", "SeriesDescription", "StudyInstanceUID"),
        }.items():
            found: dict[str, set[tuple[Any, ...]]] = {}
            for data_set in map(read, FILES.values()):
                values = tuple(str(data_set[keyword].value) for keyword in keywords)
                found.setdefault(data_set[level].value, set()).add(values)
            assert all(len(values) == 1 for values in found.values()), level

    @pytest.mark.parametrize(
        ("what", "found"),
        [
            ("MONOCHROME1", lambda file: file.get("PhotometricInterpretation") == "MONOCHROME1"),
            ("a palette", lambda file: file.get("PhotometricInterpretation") == "PALETTE COLOR"),
            ("frames in colour", lambda file: file.get("SamplesPerPixel") == 3 and file.get("NumberOfFrames", 1) > 1),
            ("RLE", lambda file: file.file_meta.TransferSyntaxUID.name.startswith("RLE")),
            ("JPEG 2000", lambda file: file.file_meta.TransferSyntaxUID.name.startswith("JPEG 2000")),
            ("no pixels", lambda file: "PixelData" not in file),
            ("signed samples with a rescale", lambda file: file.get("PixelRepresentation") and "RescaleSlope" in file),
            ("two windows", lambda file: numpy.size(file.get("WindowCenter", 0)) == 2),
            ("a name in three scripts", lambda file: str(file.PatientName).count("=") == 2),
            ("a name in Greek", lambda file: "Γ" in str(file.PatientName)),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_it_has(self, what: str, found: Any) -> None:
        assert any(found(read(file)) for file in FILES.values()), what

    def test_searches_find_some_and_not_all(self, service: Service) -> None:
        seed(service, set="synthetic")
        studies = len(search(service, "studies"))
        assert studies == len({read(file).StudyInstanceUID for file in FILES.values()}) > 6
        for query in (
            {"StudyDate": "20230101-20231231"},
            {"PatientID": "SAMPLE-1"},
            {"ModalitiesInStudy": "CT"},
            {"PatientName": "Sample^Zoë"},
            {"PatientName": "zoë", "fuzzymatching": "true"},
        ):
            assert 0 < len(search(service, "studies", **query)) < studies, query
        assert len(search(service, "series", Modality="MR")) == 2

    def test_slices_lie_on_top_of_each_other(self) -> None:
        series: dict[str, list[float]] = {}
        for name in have("ImagePositionPatient"):
            data_set = read(FILES[name])
            series.setdefault(data_set.SeriesInstanceUID, []).append(float(data_set.ImagePositionPatient[2]))
        for positions in series.values():
            steps = numpy.diff(positions)
            assert len(positions) > 5 and steps[0] != 0 and numpy.allclose(steps, steps[0], atol=0.11)

    def test_air_and_bone_have_their_hounsfield_units(self) -> None:
        slices = [read(file) for name, file in FILES.items() if read(file).Modality == "CT"]
        for data_set in slices:
            units = pixel_array(data_set) * float(data_set.RescaleSlope) + float(data_set.RescaleIntercept)
            assert units.min() < -990 and 400 < units.max() < 1000


class TestOption:
    def test_synthetic_names_the_built_in_set(self, tmp_path: Path) -> None:
        with own_emulator(seed="synthetic", data_dir=tmp_path) as service:
            assert len(search(service, "instances", limit="200")) == len(FILES)

    def test_a_folder_of_that_name_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "synthetic").mkdir()
        (tmp_path / "synthetic" / "one.dcm").write_bytes(instance())
        monkeypatch.chdir(tmp_path)
        with own_emulator(seed="synthetic") as service:
            assert len(search(service, "instances")) == 1

    def test_it_works_on_the_command_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with started("--seed", "synthetic", "--no-auth") as emulator:
            rows = client.get(f"{emulator.url}/v2/studies", headers={"Accept": "application/dicom+json"}).json()
            assert {"SAMPLE-1", "SAMPLE-2"} <= {row["00100020"]["Value"][0] for row in rows}

    def test_a_name_that_is_wrong_is_told_what_there_is(self) -> None:
        assert "synthetic" in refused("--port", "0", "--seed", os.devnull)
