"""Store: the status and the body of the response (conformance statement, Store; PS3.18 §10.5.3 and §I.2)."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path, raw_instance, uids
from tests.emulator.storing import (
    ALREADY_EXISTS,
    ATTRIBUTES_WARNING,
    BEING_CREATED,
    DICOM_JSON,
    UNREADABLE,
    VALIDATION_FAILURE,
    VERSIONS,
    change_feed,
    comments,
    failed,
    failure_reasons,
    referenced,
    refused,
    retrieve,
    search,
    stored,
    warning_reason,
)

OTHER_STUDY = (
    "DICOM100: (0020,000d) - The StudyInstanceUid in the payload does not match the specified StudyInstanceUid."
)


# Everything stored


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_is_stored_without_a_warning_is_200(service: Service, version: str, number: int) -> None:
    files = [instance() for _ in range(number)]
    response = service.store(*files, version=version)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/dicom+json; charset=utf-8"
    assert response.json() == {
        "00081199": {"vr": "SQ", "Value": [referenced(service, version, file) for file in files]}
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_with_the_study_in_the_path_the_response_has_its_url(service: Service, version: str) -> None:
    first = instance()
    study = uids(first)[0]
    second = instance(StudyInstanceUID=study)
    response = service.store(first, second, version=version, study=study)
    assert response.status_code == 200
    assert response.json() == {
        "00081190": {"vr": "UR", "Value": [f"{service.url}/{version}/studies/{study}"]},
        "00081199": {"vr": "SQ", "Value": [referenced(service, version, file) for file in (first, second)]},
    }


@pytest.mark.parametrize("version, status", [("v1", 409), ("v2", 202)])
def test_one_stored_with_a_warning_makes_202_in_v2(service: Service, version: str, status: int) -> None:
    response = service.store(raw_instance({"StudyDate": b"20201301"}), version=version)
    assert response.status_code == status
    assert [warning_reason(item) for item in stored(response)] == ([ATTRIBUTES_WARNING] if version == "v2" else [])


@pytest.mark.parametrize("version, status", [("v1", 200), ("v2", 202)])
def test_one_warning_among_several_stored_decides_the_status(service: Service, version: str, status: int) -> None:
    clean, implicit = instance(), instance("1.2.840.10008.1.2")
    response = service.store(clean, implicit, version=version)
    assert response.status_code == status
    warning = {"00081196": {"vr": "US", "Value": [45063]}}
    assert response.json() == {
        "00081199": {
            "vr": "SQ",
            "Value": [referenced(service, version, clean), referenced(service, version, implicit, **warning)],
        }
    }


def test_each_stored_item_of_v2_lists_its_own_failed_attributes(service: Service) -> None:
    response = service.store(instance(), raw_instance({"StudyDate": b"20201301", "StudyDescription": b"x" * 65}))
    assert response.status_code == 202
    clean, warned = stored(response)
    assert comments(clean) == [] and warning_reason(clean) is None and clean["00741048"] == {"vr": "SQ"}
    assert warning_reason(warned) == ATTRIBUTES_WARNING
    assert sorted(comment[:22] for comment in comments(warned)) == ["DICOM100: (0008,0020) ", "DICOM100: (0008,1030) "]


# Some or all refused


@pytest.mark.parametrize("version", VERSIONS)
def test_some_stored_and_some_refused_is_202(service: Service, version: str) -> None:
    old, new = instance(), instance()
    service.store(old, version=version)
    response = service.store(b"no file", new, old, version=version)
    assert response.status_code == 202
    assert response.json() == {
        "00081198": {"vr": "SQ", "Value": [UNREADABLE, refused(old, ALREADY_EXISTS)]},
        "00081199": {"vr": "SQ", "Value": [referenced(service, version, new)]},
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_all_refused_is_409_with_a_data_set(service: Service, version: str) -> None:
    file = instance(leave_out=("PatientID",))
    response = service.store(file, b"no file", version=version)
    assert response.status_code == 409
    assert response.headers["Content-Type"] == "application/dicom+json; charset=utf-8"
    missing = "DICOM100: (0010,0020) - The required tag '(0010,0020)' is missing."
    comment = {"00741048": {"vr": "SQ", "Value": [{"00000902": {"vr": "LO", "Value": [missing]}}]}}
    assert response.json() == {
        "00081198": {"vr": "SQ", "Value": [refused(file, VALIDATION_FAILURE) | comment, UNREADABLE]}
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_of_another_study_than_the_path_is_refused(service: Service, version: str) -> None:
    files = [instance(), instance()]
    response = service.store(*files, version=version, study="1.2.3")
    assert response.status_code == 409
    assert list(response.json()) == ["00081198"]
    assert failure_reasons(response) == [VALIDATION_FAILURE] * 2
    assert [comments(item) for item in failed(response)] == [[OTHER_STUDY]] * 2
    assert [item["00081155"]["Value"][0] for item in failed(response)] == [uids(file)[2] for file in files]


@pytest.mark.parametrize("version", VERSIONS)
def test_one_of_two_files_of_another_study_is_202_and_stays_out(service: Service, version: str) -> None:
    right, stray = instance(), instance()
    study = uids(right)[0]
    response = service.store(right, stray, version=version, study=study)
    assert response.status_code == 202
    assert set(response.json()) == {"00081190", "00081198", "00081199"}
    assert response.json()["00081190"] == {"vr": "UR", "Value": [f"{service.url}/{version}/studies/{study}"]}
    assert stored(response) == [referenced(service, version, right)]
    assert comments(failed(response)[0]) == [OTHER_STUDY]
    answer = service.owner.get(f"{service.url}/{version}/{path(stray)}/metadata", headers={"Accept": DICOM_JSON})
    assert (answer.status_code, answer.text) == (404, "The specified instance cannot be found.")


@pytest.mark.parametrize("version", VERSIONS)
def test_blanks_after_a_study_uid_do_not_matter(service: Service, version: str) -> None:
    file = raw_instance({"StudyInstanceUID": b"1.2.3   "})
    assert service.store(file, version=version, study="1.2.3").status_code == 200


# Several values where one is searched

MANY_VALUES = '"One or more indexed Dicom tag(s) have multiple values, only first value is indexed."'


@pytest.mark.parametrize("version", VERSIONS)
def test_several_values_of_a_searchable_attribute_give_a_warning_header(service: Service, version: str) -> None:
    response = service.store(raw_instance({"AccessionNumber": b"A1\\A2"}), instance(), version=version)
    assert response.status_code == 200
    assert re.fullmatch(r"299 127\.0\.0\.1: " + re.escape(MANY_VALUES), response.headers["Warning"])
    assert search(service, "studies", version, AccessionNumber="A2") == []
    (row,) = search(service, "instances", version, AccessionNumber="A1", includefield="AccessionNumber")
    assert row["00080050"] == {"vr": "SH", "Value": ["A1", "A2"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_several_values_of_another_attribute_give_no_warning_header(service: Service, version: str) -> None:
    response = service.store(raw_instance({"ImageType": b"DERIVED\\SECONDARY"}), version=version)
    assert response.status_code == 200
    assert "Warning" not in response.headers


# The same instance again


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("first_version", VERSIONS)
def test_an_instance_that_is_there_is_409_and_keeps_its_file(
    service: Service, first_version: str, version: str
) -> None:
    file = instance(PatientName="First")
    (item,) = stored(service.store(file, version=first_version))
    study, series, sop = uids(file)
    other = instance(
        StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=sop, PatientName="Second", Modality="CT"
    )
    response = service.store(other, version=version)
    assert response.status_code == 409
    assert response.json() == {"00081198": {"vr": "SQ", "Value": [refused(file, ALREADY_EXISTS)]}}
    assert retrieve(service, item).content == file
    assert len(search(service, "studies", PatientName="First")) == 1
    assert search(service, "studies", PatientName="Second") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_instance_twice_in_one_request_is_stored_once(service: Service, version: str) -> None:
    file = instance()
    response = service.store(file, file, version=version)
    assert response.status_code == 202
    assert response.json() == {
        "00081198": {"vr": "SQ", "Value": [refused(file, ALREADY_EXISTS)]},
        "00081199": {"vr": "SQ", "Value": [referenced(service, version, file)]},
    }
    assert len(change_feed(service)) == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_another_padding_makes_no_other_instance(service: Service, version: str, keyword: str) -> None:
    plain = {"StudyInstanceUID": b"1.2.31", "SeriesInstanceUID": b"1.2.32", "SOPInstanceUID": b"1.2.33"}
    padded = raw_instance(plain | {keyword: plain[keyword] + b"  "})
    (item,) = stored(service.store(padded, version=version))
    assert retrieve(service, item).content == padded
    response = service.store(raw_instance(plain), version=version)
    assert response.status_code == 409
    assert failure_reasons(response) == [ALREADY_EXISTS]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("moved", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_the_same_sop_instance_uid_elsewhere_is_another_instance(service: Service, version: str, moved: str) -> None:
    first = instance()
    study, series, sop = uids(first)
    placed = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": sop}
    second = instance(**(placed | {moved: "1.2.3"}))
    responses = [service.store(file, version=version) for file in (first, second)]
    assert [response.status_code for response in responses] == [200, 200]
    assert [retrieve(service, stored(response)[0]).content for response in responses] == [first, second]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_deleted_instance_is_stored_again_as_a_new_one(service: Service, version: str) -> None:
    file = instance()
    url = f"{service.url}/{version}/{path(file)}"
    service.store(file, version=version)
    before = service.owner.get(url + "/metadata", headers={"Accept": DICOM_JSON}).headers["ETag"]
    assert service.owner.delete(url).status_code == 204
    response = service.store(file, version=version)
    assert response.status_code == 200
    assert stored(response) == [referenced(service, version, file)]
    after = service.owner.get(url + "/metadata", headers={"Accept": DICOM_JSON}).headers["ETag"]
    assert int(after) > int(before)


@pytest.mark.parametrize("version", VERSIONS)
def test_of_many_who_store_the_same_instance_at_once_one_succeeds(service: Service, version: str) -> None:
    file = raw_instance({"PixelData": ("OB", bytes(300_000))})
    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(lambda _: service.store(file, version=version), range(6)))
    assert sorted(response.status_code for response in responses) == [200] + [409] * 5
    reasons = {reason for response in responses for reason in failure_reasons(response)}
    assert reasons <= {ALREADY_EXISTS, BEING_CREATED}
    assert len(change_feed(service)) == 1


# What a study's row takes from its instances


@pytest.mark.parametrize("version", VERSIONS)
def test_later_instances_overwrite_the_study_but_never_with_nothing(service: Service, version: str) -> None:
    study = uids(instance())[0]

    def row_after(**attributes: str) -> dict:
        left_out = tuple(keyword for keyword, value in attributes.items() if value is None)
        attributes = {keyword: value for keyword, value in attributes.items() if value is not None}
        assert service.store(instance(StudyInstanceUID=study, leave_out=left_out, **attributes), version=version).ok
        (row,) = search(service, "studies", StudyInstanceUID=study)
        return {tag: row.get(tag, {}).get("Value", [None])[0] for tag in ("00100010", "00100020", "00081030")}

    first = row_after(PatientName="One", PatientID="P1", StudyDescription="D1")
    assert first == {"00100010": {"Alphabetic": "One"}, "00100020": "P1", "00081030": "D1"}
    assert row_after(PatientName=None, PatientID="P1") == first
    assert row_after(PatientName="Two", PatientID="P2", StudyDescription="D2") == {
        "00100010": {"Alphabetic": "Two"},
        "00100020": "P2",
        "00081030": "D2",
    }


def test_an_empty_patient_id_is_filled_by_a_later_one_and_never_cleared(service: Service) -> None:
    study = uids(instance())[0]

    def row_after(patient_id: str) -> dict:
        response = service.store(instance(StudyInstanceUID=study, PatientID=patient_id))
        assert response.status_code == (200 if patient_id else 202)
        (row,) = search(service, "studies", StudyInstanceUID=study)
        return row

    assert "00100020" not in row_after("")
    assert row_after("P9")["00100020"] == {"vr": "LO", "Value": ["P9"]}
    assert row_after("")["00100020"] == {"vr": "LO", "Value": ["P9"]}
