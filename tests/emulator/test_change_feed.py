"""The change feed: what happened, in the order in which it happened (conformance statement, Change Feed)."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path, raw_instance, uids
from tests.emulator.storing import DICOM_JSON, PLAIN_TEXT, VERSIONS, change_feed, post

ALL_VERSIONS = ["v1.0-prerelease", *VERSIONS]
SEQUENCE_VERSIONS = ["v1.0-prerelease", "v1"]


def get(service: Service, version: str, latest: bool = False, **query: Any) -> requests.Response:
    return service.owner.get(f"{service.url}/{version}/changefeed" + ("/latest" if latest else ""), params=query)


def store_one_by_one(service: Service, number: int) -> list[dict]:
    """The rows of `number` new instances, each stored by a request of its own."""
    for _ in range(number):
        assert service.store(instance()).status_code == 200
    return change_feed(service)


def sequences(rows: list[dict]) -> list[int]:
    return [row["sequence"] for row in rows]


# Answers


@pytest.mark.parametrize("version", ALL_VERSIONS)
def test_a_feed_without_events_is_an_empty_array(service: Service, version: str) -> None:
    response = get(service, version)
    assert (response.status_code, response.json()) == (200, [])
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("version", ALL_VERSIONS)
@pytest.mark.parametrize("query", [{}, {"includemetadata": "false"}])
def test_latest_without_events_is_204(service: Service, version: str, query: dict) -> None:
    response = get(service, version, latest=True, **query)
    assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize("version", ALL_VERSIONS)
def test_a_row_has_these_properties(service: Service, version: str) -> None:
    file = instance()
    service.store(file)
    response = get(service, version)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    (row,) = response.json()
    study, series, sop = uids(file)
    metadata = service.owner.get(f"{service.v2}/{path(file)}/metadata", headers={"Accept": DICOM_JSON}).json()
    timestamp = row.pop("timestamp")
    assert isinstance(row["sequence"], int) and row.pop("sequence") > 0
    assert row == {
        "studyInstanceUid": study,
        "seriesInstanceUid": series,
        "sopInstanceUid": sop,
        "action": "Create",
        "state": "Current",
        "partitionName": "Microsoft.Default",
        "metadata": metadata[0],
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?\+00:00", timestamp)
    age = datetime.now().astimezone() - datetime.fromisoformat(timestamp)
    assert timedelta(0) <= age < timedelta(seconds=30)


@pytest.mark.parametrize("version", ALL_VERSIONS)
@pytest.mark.parametrize("latest", [False, True], ids=["list", "latest"])
def test_metadata_can_be_left_out(service: Service, version: str, latest: bool) -> None:
    service.store(instance())
    plain = get(service, version, latest).json()
    with_metadata = get(service, version, latest, includemetadata="true").json()
    without = get(service, version, latest, includemetadata="false").json()
    assert with_metadata == plain
    row, bare = (plain, without) if latest else (plain[0], without[0])
    assert row.pop("metadata")["00080018"]["Value"] == [row["sopInstanceUid"]]
    assert bare == row


@pytest.mark.parametrize("version", ALL_VERSIONS)
def test_latest_is_the_newest_event(service: Service, version: str) -> None:
    first, second = instance(), instance()
    service.store(first)
    service.store(second)
    response = get(service, version, latest=True)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.json() == get(service, version).json()[-1]
    assert response.json()["sopInstanceUid"] == uids(second)[2]
    service.owner.delete(f"{service.v2}/{path(first)}")
    latest = get(service, version, latest=True).json()
    assert (latest["action"], latest["sopInstanceUid"]) == ("Delete", uids(first)[2])


@pytest.mark.parametrize("version", ALL_VERSIONS)
def test_rows_come_oldest_first_with_growing_sequence_and_time(service: Service, version: str) -> None:
    files = [instance() for _ in range(4)]
    service.store(files[0], files[1])
    service.store(files[2])
    service.owner.delete(f"{service.v2}/{path(files[1])}")
    service.store(files[3])
    rows = get(service, version).json()
    expected = [(0, "Create"), (1, "Create"), (2, "Create"), (1, "Delete"), (3, "Create")]
    assert [(row["sopInstanceUid"], row["action"]) for row in rows] == [(uids(files[at])[2], do) for at, do in expected]
    assert sequences(rows) == sorted(set(sequences(rows)))
    times = [datetime.fromisoformat(row["timestamp"]) for row in rows]
    assert times == sorted(times)


@pytest.mark.parametrize("version", ALL_VERSIONS)
def test_metadata_lacks_what_v2_dropped(service: Service, version: str) -> None:
    assert service.store(raw_instance({"StudyDate": b"20201301"})).status_code == 202
    (row,) = get(service, version).json()
    assert "00080020" not in row["metadata"] and "00080060" in row["metadata"]


# Action and state

HISTORIES = [
    (["store"], ["Create/Current"]),
    (["store", "delete"], ["Create/Deleted", "Delete/Deleted"]),
    (["store", "delete", "store"], ["Create/Replaced", "Delete/Replaced", "Create/Current"]),
]


@pytest.mark.parametrize("version", ALL_VERSIONS)
@pytest.mark.parametrize("history, expected", HISTORIES, ids=lambda value: "-".join(value))
def test_the_state_of_a_row_depends_on_what_happened_later(
    service: Service, version: str, history: list[str], expected: list[str]
) -> None:
    file, bystander = instance(), instance()
    service.store(bystander)
    for step in history:
        if step == "store":
            assert service.store(file, version=version).status_code == 200
        else:
            assert service.owner.delete(f"{service.url}/{version}/{path(file)}").status_code == 204
    rows = get(service, version).json()
    assert f"{rows[0]['action']}/{rows[0]['state']}" == "Create/Current"
    assert [f"{row['action']}/{row['state']}" for row in rows[1:]] == expected
    assert {row["sopInstanceUid"] for row in rows[1:]} == {uids(file)[2]}
    for row in rows:
        assert ("metadata" in row) == (row["state"] != "Deleted")
    assert get(service, version, latest=True).json() == rows[-1]


@pytest.mark.parametrize("version", ALL_VERSIONS)
def test_the_metadata_of_a_replaced_row_is_the_current_one(service: Service, version: str) -> None:
    old = instance(SeriesDescription="Old")
    study, series, sop = uids(old)
    new = instance(StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=sop, SeriesDescription="New")
    service.store(old)
    service.owner.delete(f"{service.v2}/{path(old)}")
    service.store(new)
    rows = get(service, version).json()
    assert [row["state"] for row in rows] == ["Replaced", "Replaced", "Current"]
    assert [row["metadata"]["0008103E"]["Value"] for row in rows] == [["New"]] * 3


def test_the_same_sop_instance_uid_elsewhere_changes_no_state(service: Service) -> None:
    file = instance()
    twin = instance(SOPInstanceUID=uids(file)[2])
    service.store(file, twin)
    service.owner.delete(f"{service.v2}/{path(twin)}")
    assert [row["state"] for row in change_feed(service)] == ["Current", "Deleted", "Deleted"]


@pytest.mark.parametrize("version", VERSIONS)
def test_only_stored_and_deleted_instances_are_events(service: Service, version: str) -> None:
    file = instance()
    service.store(file, version=version)
    before = change_feed(service)
    service.store(file, version=version)
    service.store(instance(leave_out=("PatientID",)), version=version)
    service.store(b"no file", version=version)
    post(service, b"--X--\r\n", "multipart/related; boundary=X", version)
    post(service, file, "application/json", version)
    service.store(instance(), version=version, study="1.2.3")
    service.owner.get(f"{service.url}/{version}/studies", headers={"Accept": DICOM_JSON})
    service.owner.get(f"{service.url}/{version}/{path(file)}", headers={"Accept": "application/dicom"})
    service.owner.get(f"{service.url}/{version}/{path(file)}/metadata", headers={"Accept": DICOM_JSON})
    service.owner.delete(f"{service.url}/{version}/{path(instance())}")
    assert change_feed(service) == before and len(before) == 1


# Pages of v1: sequence numbers


@pytest.mark.parametrize("version", SEQUENCE_VERSIONS)
def test_v1_starts_behind_the_sequence_number_given_as_offset(service: Service, version: str) -> None:
    rows = store_one_by_one(service, 5)
    for position, row in enumerate(rows):
        assert get(service, version, offset=row["sequence"]).json() == rows[position + 1 :]
    assert get(service, version, offset=0, limit=100).json() == rows


@pytest.mark.parametrize("version", SEQUENCE_VERSIONS)
def test_v1_ends_a_page_limit_sequence_numbers_later(service: Service, version: str) -> None:
    rows = store_one_by_one(service, 5)
    for offset in range(rows[0]["sequence"] - 1, rows[-1]["sequence"] + 2):
        for limit in (1, 2, 3):
            expected = [row for row in rows if offset < row["sequence"] <= offset + limit]
            assert get(service, version, offset=offset, limit=limit).json() == expected


@pytest.mark.parametrize("version", SEQUENCE_VERSIONS)
def test_v1_has_nothing_behind_the_end(service: Service, version: str) -> None:
    last = store_one_by_one(service, 2)[-1]["sequence"]
    for offset in (last, last + 1000, 2**63 - 1):
        response = get(service, version, offset=offset)
        assert (response.status_code, response.json()) == (200, [])


@pytest.mark.parametrize("version", SEQUENCE_VERSIONS)
@pytest.mark.parametrize(
    "window",
    [
        {"startTime": "2999-01-01T00:00:00Z"},
        {"endTime": "1999-01-01T00:00:00Z"},
        {"startTime": "no time", "endTime": "2024"},
    ],
)
def test_v1_passes_over_a_time_window(service: Service, version: str, window: dict) -> None:
    rows = store_one_by_one(service, 2)
    response = get(service, version, **window)
    assert (response.status_code, response.json()) == (200, rows)


# Pages of v2: a time window, then rows


def test_v2_skips_as_many_rows_as_the_offset_says(service: Service) -> None:
    rows = store_one_by_one(service, 5)
    for offset in range(7):
        assert get(service, "v2", offset=offset).json() == rows[offset:]
        assert get(service, "v2", offset=offset, limit=2).json() == rows[offset : offset + 2]


def test_v2_lists_a_window_of_time_with_its_start_and_without_its_end(service: Service) -> None:
    rows = store_one_by_one(service, 5)
    times = [row["timestamp"] for row in rows]
    assert len(set(times)) == 5
    assert get(service, "v2", startTime=times[1]).json() == rows[1:]
    assert get(service, "v2", endTime=times[3]).json() == rows[:3]
    assert get(service, "v2", startTime=times[1], endTime=times[4]).json() == rows[1:4]
    assert get(service, "v2", startTime=times[1], endTime=times[4], offset=1, limit=1).json() == rows[2:3]
    assert get(service, "v2", startTime=times[1], endTime=times[4], offset=3).json() == []


@pytest.mark.parametrize(
    "spelling",
    [
        lambda time: time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        lambda time: time.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0+00:00",
        lambda time: (time + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%dT%H:%M:%S.%f+05:30"),
        lambda time: (time - timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%S.%f-08:00"),
    ],
    ids=["Z", "seven decimals", "east", "west"],
)
def test_v2_reads_a_time_in_any_zone(service: Service, spelling: Callable[[datetime], str]) -> None:
    rows = store_one_by_one(service, 3)
    moment = datetime.fromisoformat(rows[1]["timestamp"])
    earlier, later = (spelling(moment + timedelta(microseconds=step)) for step in (-1, 1))
    assert get(service, "v2", startTime=later).json() == rows[2:]
    assert get(service, "v2", endTime=later).json() == rows[:2]
    assert get(service, "v2", startTime=earlier, endTime=later).json() == rows[1:2]


@pytest.mark.parametrize(
    "window, found",
    [
        ({"startTime": "1999-01-01T00:00:00Z"}, True),
        ({"endTime": "2999-01-01T00:00:00Z"}, True),
        ({"startTime": "1999-01-01T00:00:00Z", "endTime": "2999-01-01T00:00:00+01:00"}, True),
        ({"startTime": "2999-01-01T00:00:00Z"}, False),
        ({"endTime": "1999-01-01T00:00:00Z"}, False),
    ],
)
def test_v2_is_unbounded_where_no_time_is_given(service: Service, window: dict, found: bool) -> None:
    rows = store_one_by_one(service, 2)
    response = get(service, "v2", **window)
    assert (response.status_code, response.json()) == (200, rows if found else [])


# Limits


def test_the_default_and_the_greatest_limit_of_each_version(service: Service) -> None:
    assert service.store(*(instance() for _ in range(101))).status_code == 200
    assert service.store(*(instance() for _ in range(101))).status_code == 200
    lengths = {
        (version, limit): len(get(service, version, **({"limit": limit} if limit else {})).json())
        for version, limits in {"v1.0-prerelease": [None, 100], "v1": [None, 1, 100], "v2": [None, 1, 101, 200]}.items()
        for limit in limits
    }
    assert lengths == {
        ("v1.0-prerelease", None): 10,
        ("v1.0-prerelease", 100): 100,
        ("v1", None): 10,
        ("v1", 1): 1,
        ("v1", 100): 100,
        ("v2", None): 100,
        ("v2", 1): 1,
        ("v2", 101): 101,
        ("v2", 200): 200,
    }


def test_all_pages_together_are_the_feed(service: Service) -> None:
    rows = store_one_by_one(service, 7)
    pages = [get(service, "v2", offset=offset, limit=3).json() for offset in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert sum(pages, []) == rows
    pages, offset = [], rows[0]["sequence"] - 1
    while page := get(service, "v1", offset=offset, limit=3).json():
        pages, offset = pages + page, offset + 3
    assert pages == rows


# What is refused


@pytest.mark.parametrize(
    "version, limit",
    [(version, limit) for version in ALL_VERSIONS for limit in ("0", "-1", "ten", "1.5", "", "99999999999")]
    + [("v1.0-prerelease", "101"), ("v1", "101"), ("v2", "201")],
)
def test_a_limit_out_of_range_is_400(service: Service, version: str, limit: str) -> None:
    response = get(service, version, limit=limit)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert re.match(r"The query parameter '[Ll]imit' is invalid\. .+", response.text)


@pytest.mark.parametrize("version, greatest", [("v1", 100), ("v2", 200)])
def test_a_limit_out_of_range_is_told_the_range(service: Service, version: str, greatest: int) -> None:
    expected = f"The query parameter 'Limit' is invalid. The field Limit must be between 1 and {greatest}."
    assert get(service, version, limit=greatest + 1).text == expected


@pytest.mark.parametrize("version", ALL_VERSIONS)
@pytest.mark.parametrize("offset", ["-1", "first", "1.5", str(2**63), str(10**30)])
def test_a_wrong_offset_is_400(service: Service, version: str, offset: str) -> None:
    response = get(service, version, offset=offset)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert re.match(r"The query parameter '[Oo]ffset' is invalid\. .+", response.text)


@pytest.mark.parametrize("version", ALL_VERSIONS)
@pytest.mark.parametrize("latest", [False, True], ids=["list", "latest"])
@pytest.mark.parametrize("value", ["maybe", "1", "yes"])
def test_includemetadata_is_true_or_false(service: Service, version: str, latest: bool, value: str) -> None:
    response = get(service, version, latest, includemetadata=value)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert re.match(r"The query parameter '[Ii]nclude[Mm]etadata' is invalid\. .+", response.text)


@pytest.mark.parametrize("name", ["startTime", "endTime"])
@pytest.mark.parametrize("time", ["2024-05-06T07:08:09", "2024-05-06T07:08:09.1234567", "2024-05-06"])
def test_v2_refuses_a_time_without_a_zone(service: Service, name: str, time: str) -> None:
    response = get(service, "v2", **{name: time})
    assert response.status_code == 400
    assert response.headers["Content-Type"] == PLAIN_TEXT
    prefix = rf"The query parameter '(?i:{name})' is invalid\. "
    assert re.fullmatch(prefix + r"Date and time value must specify a time zone\.", response.text)


@pytest.mark.parametrize("name", ["startTime", "endTime"])
@pytest.mark.parametrize("time", ["yesterday", "2024-13-01T00:00:00Z", "2024-05-06T25:00:00Z"])
def test_v2_refuses_what_is_no_time(service: Service, name: str, time: str) -> None:
    response = get(service, "v2", **{name: time})
    assert response.status_code == 400
    assert re.match(rf"The query parameter '(?i:{name})' is invalid\. .+", response.text)


@pytest.mark.parametrize("end", ["2024-05-06T07:08:09Z", "2024-05-06T08:08:09+01:00", "2024-05-06T07:08:08.999Z"])
def test_v2_refuses_a_window_that_ends_when_it_starts_or_before(service: Service, end: str) -> None:
    response = get(service, "v2", startTime="2024-05-06T07:08:09Z", endTime=end)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert "start" in response.text.lower() and "strictly before the end" in response.text.lower()


# Requests


@pytest.mark.parametrize("version", ALL_VERSIONS)
def test_names_of_parameters_are_read_in_any_case(service: Service, version: str) -> None:
    rows = store_one_by_one(service, 3)
    offset = 1 if version == "v2" else rows[0]["sequence"]
    (row,) = get(service, version, OFFSET=offset, Limit=1, IncludeMetadata="false").json()
    assert row["sequence"] == rows[1]["sequence"] and "metadata" not in row
    if version == "v2":
        assert get(service, version, STARTTIME=rows[1]["timestamp"], endtime=rows[2]["timestamp"]).json() == rows[1:2]


@pytest.mark.parametrize("version", ALL_VERSIONS)
@pytest.mark.parametrize("latest", ["", "/latest"])
@pytest.mark.parametrize("accept", [None, "application/json", "*/*", "text/html,application/xhtml+xml,*/*;q=0.8"])
def test_accept_is_not_looked_at(service: Service, version: str, latest: str, accept: str | None) -> None:
    service.store(instance())
    headers = {"Accept": accept} if accept else {}
    response = service.owner.get(f"{service.url}/{version}/changefeed{latest}", headers=headers)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("version", ALL_VERSIONS)
@pytest.mark.parametrize("latest", ["", "/latest"])
def test_a_reader_may_read_the_feed_and_nobody_else(service: Service, version: str, latest: str) -> None:
    service.store(instance())
    url = f"{service.url}/{version}/changefeed{latest}"
    assert service.reader.get(url).status_code == 200
    assert service.nobody.get(url).status_code == 401
    assert service.nobody.get(url, params={"limit": 0}).status_code == 401
