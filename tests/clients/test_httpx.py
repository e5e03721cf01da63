"""httpx against the emulator: a client without a DICOMweb library, several requests at once."""

import asyncio

import httpx
import pytest

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, path

DICOM_JSON = {"Accept": "application/dicom+json"}


@pytest.fixture
def settings(service: Service) -> dict:
    return {"base_url": service.v2, "headers": {"Authorization": service.owner.headers["Authorization"]}}


def test_a_file_goes_there_and_comes_back_and_is_deleted(settings: dict) -> None:
    file = instance(PatientID="P7")
    with httpx.Client(**settings) as client:
        stored = client.post("studies", content=file, headers=DICOM_JSON | {"Content-Type": "application/dicom"})
        (row,) = client.get("studies", params={"PatientID": "P7"}, headers=DICOM_JSON).json()
        copy = client.get(path(file), headers={"Accept": "application/dicom; transfer-syntax=*"})
        deleted = client.delete(path(file, "study"))
    assert (stored.status_code, copy.content, deleted.status_code) == (200, file, 204)
    assert row["00100020"]["Value"] == ["P7"]


def test_nothing_found_is_204_so_there_is_no_json_to_read(settings: dict) -> None:
    with httpx.Client(**settings) as client:
        response = client.get("studies", headers=DICOM_JSON)
    assert (response.status_code, response.content) == (204, b"")


def test_a_picture_has_to_be_asked_for_by_its_media_type(settings: dict, service: Service) -> None:
    file = instance(pixels=bytes(12), Rows=3, Columns=4, BitsAllocated=8, BitsStored=8, HighBit=7, SamplesPerPixel=1,
                    PhotometricInterpretation="MONOCHROME2", PixelRepresentation=0)  # fmt: skip
    service.store(file)
    with httpx.Client(**settings) as client:
        assert client.get(f"{path(file)}/rendered").request.headers["Accept"] == "*/*"
        assert client.get(f"{path(file)}/rendered").status_code == 406
        assert client.get(f"{path(file)}/rendered", headers={"Accept": "image/png"}).content.startswith(b"\x89PNG")


def test_many_at_once(settings: dict) -> None:
    files = [instance() for _ in range(20)]

    async def there_and_back(client: httpx.AsyncClient, file: bytes) -> bytes:
        body, content_type = multipart(file)
        stored = await client.post("studies", content=body, headers=DICOM_JSON | {"Content-Type": content_type})
        assert stored.status_code == 200
        return (await client.get(path(file), headers={"Accept": "application/dicom; transfer-syntax=*"})).content

    async def all_of_them() -> list[bytes]:
        async with httpx.AsyncClient(**settings) as client:
            return await asyncio.gather(*(there_and_back(client, file) for file in files))

    assert asyncio.run(all_of_them()) == files
