"""Delete: studies, series and instances (conformance statement, Delete)."""

import pytest
import requests

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path, uids
from tests.emulator.storing import DICOM_JSON, PLAIN_TEXT, VERSIONS, change_feed, is_empty, search

LEVELS = ["study", "series", "instance"]
MISSING = {level: f"The specified {level} cannot be found." for level in LEVELS}


@pytest.fixture
def tree(service: Service) -> dict[str, bytes]:
    """Two studies: "a" with a series of two instances and one of one, "b" with one instance."""
    study, series = uids(instance())[:2]
    files = {
        "a11": instance(StudyInstanceUID=study, SeriesInstanceUID=series),
        "a12": instance(StudyInstanceUID=study, SeriesInstanceUID=series),
        "a21": instance(StudyInstanceUID=study),
        "b11": instance(),
    }
    assert service.store(*files.values()).status_code == 200
    return files


def delete(service: Service, file: bytes, level: str, version: str = "v2") -> requests.Response:
    return service.owner.delete(f"{service.url}/{version}/{path(file, level)}")


def status(service: Service, file: bytes, level: str) -> int:
    url = f"{service.v2}/{path(file, level)}/metadata"
    return service.owner.get(url, headers={"Accept": DICOM_JSON}).status_code


def names_left(service: Service, tree: dict[str, bytes]) -> set[str]:
    """Which of the files are still found by a search."""
    left = {row["00080018"]["Value"][0] for row in search(service, "instances")}
    return {name for name, file in tree.items() if uids(file)[2] in left}


# What goes


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "level, left",
    [("study", {"b11"}), ("series", {"a21", "b11"}), ("instance", {"a12", "a21", "b11"})],
)
def test_what_is_below_goes_and_nothing_else(
    service: Service, tree: dict[str, bytes], version: str, level: str, left: set[str]
) -> None:
    response = delete(service, tree["a11"], level, version)
    assert (response.status_code, response.content) == (204, b"")
    assert names_left(service, tree) == left
    for name, file in tree.items():
        assert status(service, file, "instance") == (200 if name in left else 404)
        answer = service.owner.get(f"{service.v2}/{path(file)}", headers={"Accept": "application/dicom"})
        assert answer.status_code == (200 if name in left else 404)
        if answer.ok:
            assert answer.content == file


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", LEVELS)
def test_what_is_deleted_is_404_the_second_time(
    service: Service, tree: dict[str, bytes], version: str, level: str
) -> None:
    assert delete(service, tree["b11"], level, version).status_code == 204
    response = delete(service, tree["b11"], level, version)
    assert (response.status_code, response.text) == (404, MISSING[level])
    assert response.headers["Content-Type"] == PLAIN_TEXT


@pytest.mark.parametrize("version", VERSIONS)
def test_with_its_last_instance_a_series_goes_and_with_its_last_series_a_study(
    service: Service, tree: dict[str, bytes], version: str
) -> None:
    delete(service, tree["a11"], "instance", version)
    assert (status(service, tree["a11"], "series"), status(service, tree["a11"], "study")) == (200, 200)
    delete(service, tree["a12"], "instance", version)
    assert (status(service, tree["a11"], "series"), status(service, tree["a11"], "study")) == (404, 200)
    assert delete(service, tree["a11"], "series", version).text == MISSING["series"]
    delete(service, tree["a21"], "instance", version)
    assert (status(service, tree["a11"], "series"), status(service, tree["a11"], "study")) == (404, 404)
    assert delete(service, tree["a11"], "study", version).text == MISSING["study"]
    study = uids(tree["a11"])[0]
    assert search(service, "studies", StudyInstanceUID=study) == search(service, f"studies/{study}/series") == []


# What is not there


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", LEVELS)
def test_what_never_was_there_is_404(service: Service, tree: dict[str, bytes], version: str, level: str) -> None:
    response = delete(service, instance(), level, version)
    assert (response.status_code, response.text) == (404, MISSING[level])
    assert names_left(service, tree) == set(tree)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_under_another_parent_is_404(service: Service, tree: dict[str, bytes], version: str) -> None:
    a11, a21, b11 = (uids(tree[name]) for name in ("a11", "a21", "b11"))
    wrong = {
        f"studies/{b11[0]}/series/{a11[1]}": "series",
        f"studies/{b11[0]}/series/{a11[1]}/instances/{a11[2]}": "instance",
        f"studies/{a11[0]}/series/{a21[1]}/instances/{a11[2]}": "instance",
        f"studies/{a11[0]}/series/{a11[1]}/instances/{b11[2]}": "instance",
    }
    for place, level in wrong.items():
        response = service.owner.delete(f"{service.url}/{version}/{place}")
        assert (response.status_code, response.text) == (404, MISSING[level])
    assert names_left(service, tree) == set(tree)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wrong", ["abc", "1.2-3", "1." + "2" * 63, "1.2."])
@pytest.mark.parametrize(
    "place, name",
    [
        ("studies/{}", "StudyInstanceUid"),
        ("studies/{}/series/1.2", "StudyInstanceUid"),
        ("studies/1.2/series/{}", "SeriesInstanceUid"),
        ("studies/{}/series/1.2/instances/1.3", "StudyInstanceUid"),
        ("studies/1.2/series/{}/instances/1.3", "SeriesInstanceUid"),
        ("studies/1.2/series/1.3/instances/{}", "SopInstanceUid"),
    ],
)
def test_a_malformed_uid_is_400(service: Service, version: str, place: str, name: str, wrong: str) -> None:
    response = service.owner.delete(f"{service.url}/{version}/{place.format(wrong)}")
    assert response.status_code == 400
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert response.text.startswith(
        f"Dicom element '{name}' failed validation for VR 'UI': DICOM Identifier is invalid."
    )


# Requests


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("accept", ["*/*", "application/xml", "image/png", "nonsense"])
def test_neither_accept_nor_content_type_matters(service: Service, version: str, accept: str) -> None:
    file = instance()
    service.store(file)
    response = service.owner.delete(
        f"{service.url}/{version}/{path(file)}", headers={"Accept": accept, "Content-Type": "text/plain"}
    )
    assert response.status_code == 204


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_blank_after_a_uid_does_not_matter(
    service: Service, tree: dict[str, bytes], version: str, level: str
) -> None:
    url = f"{service.url}/{version}/{path(tree['b11'], level)}%20"
    assert service.owner.delete(url).status_code == 204
    assert names_left(service, tree) == {"a11", "a12", "a21"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", LEVELS)
def test_deleting_needs_the_right_to_delete(service: Service, tree: dict[str, bytes], version: str, level: str) -> None:
    url = f"{service.url}/{version}/{path(tree['a11'], level)}"
    assert service.nobody.delete(url).status_code == 401
    refused = service.reader.delete(url)
    assert (refused.status_code, refused.text) == (403, "Authorization failed.")
    assert names_left(service, tree) == set(tree)


@pytest.mark.parametrize("version", VERSIONS)
def test_missing_rights_are_told_before_malformed_uids_and_missing_studies(service: Service, version: str) -> None:
    for study in ("abc", "1.2.3"):
        assert service.reader.delete(f"{service.url}/{version}/studies/{study}").status_code == 403
        assert service.nobody.delete(f"{service.url}/{version}/studies/{study}").status_code == 401


# Afterwards


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "level, names", [("study", ["a11", "a12", "a21"]), ("series", ["a11", "a12"]), ("instance", ["a11"])]
)
def test_the_change_feed_has_a_row_for_each_deleted_instance(
    service: Service, tree: dict[str, bytes], version: str, level: str, names: list[str]
) -> None:
    delete(service, tree["a11"], level, version)
    rows = [row for row in change_feed(service) if row["action"] == "Delete"]
    assert {row["sopInstanceUid"] for row in rows} == {uids(tree[name])[2] for name in names}
    assert len(rows) == len(names)
    assert len(change_feed(service)) == len(tree) + len(names)


def test_a_delete_that_finds_nothing_writes_no_change(service: Service) -> None:
    assert delete(service, instance(), "study").status_code == 404
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", LEVELS)
def test_what_was_deleted_can_be_stored_again_at_once(
    service: Service, tree: dict[str, bytes], version: str, level: str
) -> None:
    for _ in range(3):
        assert delete(service, tree["b11"], level, version).status_code == 204
        assert service.store(tree["b11"], version=version).status_code == 200
    assert names_left(service, tree) == set(tree)
    answer = service.owner.get(
        f"{service.v2}/{path(tree['b11'])}", headers={"Accept": "application/dicom; transfer-syntax=*"}
    )
    assert answer.content == tree["b11"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_study_stored_again_remembers_nothing_of_the_old_one(service: Service, version: str) -> None:
    file = instance(StudyDescription="Old", PatientName="Old")
    study = uids(file)[0]
    service.store(file, version=version)
    delete(service, file, "study", version)
    service.store(instance(StudyInstanceUID=study, PatientName="New"), version=version)
    (row,) = search(service, "studies", StudyInstanceUID=study)
    assert row["00100010"]["Value"] == [{"Alphabetic": "New"}]
    assert "00081030" not in row
