"""Unique identifiers: which spellings are taken, and when two of them are the same."""

import pytest

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, multipart, path, split_multipart, uids, with_raw_value

JSON = {"Accept": "application/dicom+json"}
ANYTHING = {"Accept": "*/*"}
SOP_INSTANCE_UID, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID = 0x00080018, 0x0020000E, 0x0020000D
RESOURCES = [
    ("StudyInstanceUid", "GET", "studies/{uid}", ANYTHING),
    ("StudyInstanceUid", "GET", "studies/{uid}/metadata", JSON),
    ("StudyInstanceUid", "GET", "studies/{uid}/series", JSON),
    ("StudyInstanceUid", "GET", "studies/{uid}/instances", JSON),
    ("StudyInstanceUid", "GET", "studies/{uid}/series/1.3", ANYTHING),
    ("StudyInstanceUid", "GET", "studies/{uid}/series/1.3/instances/1.4/frames/1", ANYTHING),
    ("StudyInstanceUid", "DELETE", "studies/{uid}", {}),
    ("StudyInstanceUid", "POST", "studies/{uid}", JSON),
    ("SeriesInstanceUid", "GET", "studies/1.2/series/{uid}", ANYTHING),
    ("SeriesInstanceUid", "GET", "studies/1.2/series/{uid}/metadata", JSON),
    ("SeriesInstanceUid", "GET", "studies/1.2/series/{uid}/instances", JSON),
    ("SeriesInstanceUid", "GET", "studies/1.2/series/{uid}/instances/1.4", ANYTHING),
    ("SeriesInstanceUid", "DELETE", "studies/1.2/series/{uid}", {}),
    ("SopInstanceUid", "GET", "studies/1.2/series/1.3/instances/{uid}", ANYTHING),
    ("SopInstanceUid", "GET", "studies/1.2/series/1.3/instances/{uid}/metadata", JSON),
    ("SopInstanceUid", "GET", "studies/1.2/series/1.3/instances/{uid}/frames/1", ANYTHING),
    ("SopInstanceUid", "DELETE", "studies/1.2/series/1.3/instances/{uid}", {}),
]
ACCEPTED = ["1", "1.2.3", "2.25." + "9" * 59, "1.02.3", "01.2", "1..2", ".1", "1.2%20", "1.2%20%20"]
REFUSED = ["abc", "1.2.x", "1.2-3", "2.25." + "9" * 60, "1.2.", "%20", "1.2%003", "1%20.2", "%201.2",
           "1.%D9%A1", "1,2", "1.2_3"]  # fmt: skip

both = pytest.mark.parametrize("version", ["v1", "v2"])


def ask(service: Service, version: str, method: str, resource: str, headers: dict[str, str]) -> tuple[int, str]:
    body, content_type = multipart()
    if method == "POST":
        headers = headers | {"Content-Type": content_type}
    response = service.owner.request(
        method, f"{service.url}/{version}/{resource}", headers=headers, data=body if method == "POST" else None
    )
    return response.status_code, response.text


class TestInThePath:
    @both
    @pytest.mark.parametrize(("name", "method", "resource", "headers"), RESOURCES)
    def test_digits_and_dots_are_accepted_up_to_64(
        self, service: Service, version: str, name: str, method: str, resource: str, headers: dict[str, str]
    ) -> None:
        """Leading zeros and empty components too, whatever the text of the refusal says."""
        for uid in ACCEPTED:
            status, text = ask(service, version, method, resource.format(uid=uid), headers)
            assert status in (204, 404), f"{uid}: {text}"

    @both
    @pytest.mark.parametrize(("name", "method", "resource", "headers"), RESOURCES)
    def test_anything_else_is_400_and_the_text_names_the_identifier(
        self, service: Service, version: str, name: str, method: str, resource: str, headers: dict[str, str]
    ) -> None:
        for uid in REFUSED:
            status, text = ask(service, version, method, resource.format(uid=uid), headers)
            assert status == 400, uid
            assert text.startswith(
                f"Dicom element '{name}' failed validation for VR 'UI': DICOM Identifier is invalid. "
            )
            assert "64" in text

    @both
    def test_trailing_spaces_in_the_path_are_ignored(self, service: Service, version: str) -> None:
        file = instance()
        service.store(file)
        study, series, sop = uids(file)
        padded = f"{service.url}/{version}/studies/{study}%20/series/{series}%20%20/instances/{sop}%20"
        retrieved = service.owner.get(padded, headers={"Accept": "application/dicom; transfer-syntax=*"})
        assert (retrieved.status_code, retrieved.content) == (200, file)
        assert service.owner.get(f"{padded}/metadata", headers=JSON).status_code == 200
        listed = service.owner.get(f"{service.url}/{version}/studies/{study}%20/instances", headers=JSON)
        assert len(listed.json()) == 1
        assert service.owner.delete(padded).status_code == 204


class TestPaddedInTheFile:
    """A UID padded with spaces, which some writers produce, is kept as it is and found without them."""

    def file(self, tag: int, uid: str, spaces: int) -> bytes:
        plain = instance(StudyInstanceUID="1.2.111", SeriesInstanceUID="1.2.222", SOPInstanceUID="1.2.333")
        return with_raw_value(plain, tag, uid.encode() + b" " * spaces)

    @both
    @pytest.mark.parametrize(
        ("tag", "uid"),
        [(STUDY_INSTANCE_UID, "1.2.111"), (SERIES_INSTANCE_UID, "1.2.222"), (SOP_INSTANCE_UID, "1.2.333")],
    )
    def test_it_is_stored_as_it_is_and_found_without_padding(
        self, service: Service, version: str, tag: int, uid: str
    ) -> None:
        file = self.file(tag, uid, spaces=3)
        assert service.store(file, version=version).status_code in (200, 202)
        resource = f"{service.url}/{version}/studies/1.2.111/series/1.2.222/instances/1.2.333"
        retrieved = service.owner.get(resource, headers={"Accept": "application/dicom; transfer-syntax=*"})
        assert (retrieved.status_code, retrieved.content) == (200, file)
        metadata = service.owner.get(f"{resource}/metadata", headers=JSON)
        assert metadata.status_code == 200
        assert metadata.json()[0][f"{tag:08X}"]["Value"][0].rstrip() == uid
        study = service.owner.get(
            f"{service.url}/{version}/studies/1.2.111",
            headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
        )
        assert [body for _, body in split_multipart(study)] == [file]

    @both
    @pytest.mark.parametrize("padding", ["", "%20", "%20%20"])
    def test_a_search_ignores_the_padding_on_both_sides(self, service: Service, version: str, padding: str) -> None:
        service.store(self.file(SOP_INSTANCE_UID, "1.2.333", spaces=3), version=version)
        response = service.owner.get(f"{service.url}/{version}/instances?SOPInstanceUID=1.2.333{padding}", headers=JSON)
        assert response.status_code == 200 and len(response.json()) == 1

    @both
    @pytest.mark.parametrize(("first", "second"), [(1, 3), (3, 1), (3, 5)])
    def test_the_same_uid_with_other_padding_is_a_duplicate(
        self, service: Service, version: str, first: int, second: int
    ) -> None:
        service.store(self.file(SOP_INSTANCE_UID, "1.2.333", spaces=first), version=version)
        again = service.store(self.file(SOP_INSTANCE_UID, "1.2.333", spaces=second), version=version)
        assert again.status_code == 409
        assert again.json()["00081198"]["Value"][0]["00081197"]["Value"] == [45070]

    @both
    def test_the_study_in_the_path_of_a_store_may_lack_the_padding(self, service: Service, version: str) -> None:
        file = self.file(STUDY_INSTANCE_UID, "1.2.111", spaces=3)
        assert service.store(file, version=version, study="1.2.111").status_code in (200, 202)


class TestInAQuery:
    @both
    @pytest.mark.parametrize("uid", ["nonsense", "1.2-3", "9" * 65, "1.2.*", "a b"])
    @pytest.mark.parametrize(
        ("resource", "keyword"),
        [("studies", "StudyInstanceUID"), ("series", "SeriesInstanceUID"), ("instances", "SOPInstanceUID")],
    )
    def test_nonsense_finds_nothing(
        self, service: Service, version: str, resource: str, keyword: str, uid: str
    ) -> None:
        service.store(instance())
        response = service.owner.get(f"{service.url}/{version}/{resource}", params={keyword: uid}, headers=JSON)
        assert (response.status_code, response.content) == (204, b"")


@both
def test_the_same_sop_instance_uid_under_another_parent_is_another_instance(service: Service, version: str) -> None:
    """The key is all three UIDs."""
    files = [instance(SOPInstanceUID="1.2.333", StudyInstanceUID=study, SeriesInstanceUID=series)
             for study, series in (("1.2.1", "1.2.2"), ("1.2.1", "1.2.3"), ("1.2.4", "1.2.2"))]  # fmt: skip
    assert service.store(*files, version=version).status_code == 200
    for file in files:
        response = service.owner.get(
            f"{service.url}/{version}/{path(file)}", headers={"Accept": "application/dicom; transfer-syntax=*"}
        )
        assert response.content == file
