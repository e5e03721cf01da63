"""What the service does not have, the emulator does not have either: no answer that looks like success."""

import pytest

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path

ABSENT = {
    "GET": [
        "{study}/rendered",
        "{series}/rendered",
        "{study}/thumbnail",
        "{series}/thumbnail",
        "{instance}/thumbnail",
        "{instance}/frames/1/thumbnail",
        "{instance}/bulkdata",
        "{instance}/bulkdata/7FE00010",
        "{instance}/pixeldata",
        "capabilities",
        "conformance",
    ],
    "POST": [
        "workitems/1.2.3/subscribers/AE",
        "workitems/1.2.840.10008.5.1.4.34.5/subscribers/AE",
        "workitems/1.2.840.10008.5.1.4.34.5/subscribers/AE/suspend",
    ],
    "DELETE": ["workitems/1.2.3/subscribers/AE"],
}


def url(service: Service, template: str, file: bytes) -> str:
    return f"{service.v2}/" + template.format(**{level: path(file, level) for level in ("study", "series", "instance")})


@pytest.mark.parametrize(("method", "template"), [(method, each) for method, paths in ABSENT.items() for each in paths])
def test_a_resource_that_the_service_lacks_is_404(service: Service, method: str, template: str) -> None:
    file = instance()
    service.store(file)
    response = service.owner.request(method, url(service, template, file), headers={"Accept": "*/*"})
    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST"])
def test_an_instance_cannot_be_changed_in_place(service: Service, method: str) -> None:
    file = instance()
    service.store(file)
    assert service.owner.request(method, url(service, "{instance}", file), data=file).status_code == 405


@pytest.mark.parametrize("template", ["studies", "{study}/metadata", "{instance}/metadata"])
def test_nothing_comes_as_xml(service: Service, template: str) -> None:
    file = instance()
    service.store(file)
    for accept in ("application/dicom+xml", 'multipart/related; type="application/dicom+xml"'):
        assert service.owner.get(url(service, template, file), headers={"Accept": accept}).status_code == 406


def test_there_are_no_options_without_cors(service: Service) -> None:
    assert service.owner.options(f"{service.v2}/studies").status_code == 405


def test_bulk_update_does_not_change_uids(service: Service) -> None:
    """The hosted service does so since 2025."""
    changes = {"0020000E": {"vr": "UI", "Value": ["1.2.3"]}}
    body = {"studyInstanceUids": ["1.2"], "changeDataset": changes}
    response = service.owner.post(f"{service.v2}/studies/$bulkUpdate", json=body)
    assert response.status_code == 400 and "Updating the tag is not supported" in response.text
