"""Store: the bytes of a file come back as they came (conformance statement, Store)."""

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import dcmread

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, raw_instance
from tests.emulator.storing import (
    UNREADABLE,
    VALIDATION_FAILURE,
    VERSIONS,
    change_feed,
    comments,
    failed,
    failure_reasons,
    post,
    retrieve,
    stored,
)

FOLDER = Path(pydicom.__file__).parent / "data"
REQUIRED = ["SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
CUT_OFF = {"MR_truncated.dcm", "rtplan_truncated.dcm"}
WITHOUT_VR = {"rtdose_rle.dcm", "rtdose_rle_1frame.dcm"}  # every attribute is UN


def bundled_files() -> list[Path]:
    """Everything that comes with pydicom, DICOM or not; of one long series of look-alikes only the first."""
    files = (file for file in sorted(FOLDER.rglob("*")) if file.is_file() and file.suffix != ".pyc")
    return [file for file in files if "TINY_ALPHA/PT" not in file.as_posix() or file.name == "IM000000"]


def fault(file: Path, version: str) -> str | None:
    """Why `file` cannot be stored: "unreadable", "VR", the keyword of a required attribute it lacks, or nothing."""
    content = file.read_bytes()
    if file.name in CUT_OFF:
        return "unreadable"
    if content[128:132] != b"DICM" and content[:2] not in {b"\2\0", b"\x08\0"}:
        return "unreadable"
    if file.name in WITHOUT_VR:
        return "VR"
    dataset = dcmread(BytesIO(content), force=True, stop_before_pixels=True)
    lacking = [keyword for keyword in REQUIRED if not dataset.get(keyword)]
    if "PatientID" not in dataset or (version == "v1" and not dataset.PatientID):
        lacking.append("PatientID")
    return lacking[0] if lacking else None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", bundled_files(), ids=lambda file: file.relative_to(FOLDER).as_posix())
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_every_file_that_pydicom_brings_is_kept_or_refused_for_a_reason(
    service: Service, file: Path, version: str
) -> None:
    content = file.read_bytes()
    response = post(service, *multipart(content), version)
    expected = fault(file, version)
    if expected is None:
        assert response.status_code in {200, 202}, response.text
        assert retrieve(service, stored(response)[0]).content == content
    elif expected == "unreadable":
        assert response.status_code == 409
        assert failed(response) == [UNREADABLE]
    elif expected == "VR":
        assert response.status_code == 409
        assert failure_reasons(response) == [VALIDATION_FAILURE]
        assert any(comment.startswith("DICOM100: (0020,000d) - ") for comment in comments(failed(response)[0]))
    else:
        assert response.status_code == 409
        assert failure_reasons(response) == [VALIDATION_FAILURE]
        tag = pydicom.tag.Tag(expected)
        missing = f"The required tag '({tag.group:04x},{tag.element:04x})' is missing."
        assert f"DICOM100: ({tag.group:04x},{tag.element:04x}) - {missing}" in comments(failed(response)[0])
    assert bool(change_feed(service)) == (expected is None)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("parts", [False, True], ids=["one file", "multipart"])
def test_preamble_and_file_meta_information_are_kept(service: Service, version: str, parts: bool) -> None:
    file = bytearray(instance())
    file[:128] = b"II*\0" + b"preamble" * 15 + b"\0\0\0\0"
    body, content_type = multipart(bytes(file)) if parts else (bytes(file), "application/dicom")
    response = post(service, body, content_type, version)
    assert response.status_code == 200
    assert retrieve(service, stored(response)[0]).content == bytes(file)


def test_a_file_is_kept_although_its_attributes_are_dropped(service: Service) -> None:
    file = raw_instance({"StudyDate": b"NotAValidStudyDate", "00091001": ("IS", b"?"), "Manufacturer": b"\0\0\0\0"})
    response = service.store(file)
    assert response.status_code == 202
    assert retrieve(service, stored(response)[0]).content == file
