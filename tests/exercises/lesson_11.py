"""What is tried on the exercises of lesson 11."""

from typing import Any

import requests

from tests.exercises.cases import Cases

Event = dict[str, Any]
Bookmark = dict[str, Any]


def predicted(*states: Any) -> dict[str, Any]:
    return dict(zip(("1 Create", "2 Update", "3 Delete", "4 Create"), states, strict=True))


RIGHT = ("Replaced", "Replaced", "Replaced", "Current")


def untouched_events(client, feed_url, sequence): ...


def get(client: requests.Session, url: str, **params: int) -> Any:
    return client.get(url, params=params).json()


def latest(client: requests.Session, url: str) -> int:
    response = client.get(f"{url}/latest")
    return response.json()["sequence"] if response.status_code == 200 else 0


def over_gaps(client: requests.Session, url: str, sequence: int) -> list[Event]:
    events: list[Event] = []
    end = latest(client, url)
    while sequence < end:
        page = get(client, url, offset=sequence, limit=100)
        events += page
        sequence = page[-1]["sequence"] if page else sequence + 100
    return events


def asking_latest_again(client: requests.Session, url: str, sequence: int) -> list[Event]:
    events: list[Event] = []
    while True:
        page = get(client, url, offset=sequence)
        events += page
        if page:
            sequence = page[-1]["sequence"]
        elif sequence + 10 < latest(client, url):
            sequence += 10
        else:
            return events


def stops_too_early(client: requests.Session, url: str, sequence: int) -> list[Event]:
    events: list[Event] = []
    while page := get(client, url, offset=sequence, limit=100):
        events += page
        sequence = page[-1]["sequence"]
    return events


def jumps_to_the_latest(client: requests.Session, url: str, sequence: int) -> list[Event]:
    events = over_gaps(client, url, sequence)
    end = latest(client, url)
    return events + get(client, url, offset=end) + get(client, url, offset=end)


def from_the_beginning(client: requests.Session, url: str, sequence: int) -> list[Event]:
    return over_gaps(client, url, 0)


def repeating(client: requests.Session, url: str, sequence: int) -> list[Event]:
    return over_gaps(client, url, max(sequence, 1) - 1) * 2


def untouched_bookmark(bookmark, page): ...


def one_by_one(bookmark: Bookmark, page: list[Event]) -> Bookmark:
    for event in page:
        same = event["timestamp"] == bookmark["startTime"]
        bookmark = {"startTime": event["timestamp"], "offset": bookmark["offset"] + 1 if same else 1}
    return bookmark


def adding(bookmark: Bookmark, page: list[Event]) -> Bookmark:
    return {**bookmark, "offset": bookmark["offset"] + len(page)}


def time_and_length(bookmark: Bookmark, page: list[Event]) -> Bookmark:
    return {"startTime": page[-1]["timestamp"], "offset": len(page)} if page else bookmark


def time_alone(bookmark: Bookmark, page: list[Event]) -> Bookmark:
    return {"startTime": page[-1]["timestamp"], "offset": 0} if page else bookmark


def time_and_one(bookmark: Bookmark, page: list[Event]) -> Bookmark:
    return {"startTime": page[-1]["timestamp"], "offset": 1} if page else bookmark


def overlapping(bookmark: Bookmark, page: list[Event]) -> Bookmark:
    return {**bookmark, "offset": bookmark["offset"] + max(len(page) - 1, min(len(page), 1))}


def untouched_plan(events): ...


def of_state(events: list[Event], state: str) -> list[str]:
    return list(dict.fromkeys(event["sopInstanceUid"] for event in events if event["state"].lower() == state))


def plan(events: list[Event]) -> tuple[list[str], list[str]]:
    return of_state(events, "current"), of_state(events, "deleted")


def by_action(events: list[Event]) -> tuple[list[str], list[str]]:
    drop = [event["sopInstanceUid"] for event in events if event["action"] == "Delete"]
    return of_state(events, "current"), drop


def case_sensitive(events: list[Event]) -> tuple[list[str], list[str]]:
    fetch = [event["sopInstanceUid"] for event in events if event["state"] == "Current"]
    return fetch, of_state(events, "deleted")


def with_repeats(events: list[Event]) -> tuple[list[str], list[str]]:
    drop = [event["sopInstanceUid"] for event in events if event["state"].lower() == "deleted"]
    return of_state(events, "current"), drop


CASES = {
    "11.1": Cases(
        untouched=(predicted(..., ..., ..., ...),),
        right=[(predicted(*RIGHT),)],
        mistakes=[
            ((predicted("Current", *RIGHT[1:]),), "Is it that version?"),
            ((predicted("Replaced", "Deleted", *RIGHT[2:]),), "Is it that version?"),
            ((predicted("Replaced", "Replaced", "Deleted", "Current"),), "Is it gone now?"),
            ((predicted(*RIGHT[:3], "Replaced"),), "What happened to the instance after"),
            ((predicted("replaced", *RIGHT[1:]),), "The states are"),
        ],
    ),
    "11.2": Cases(
        untouched=(untouched_events,),
        right=[(over_gaps,), (asking_latest_again,)],
        mistakes=[
            ((stops_too_early,), "a feed with a gap of 300 numbers, you were to read 32 events"),
            ((jumps_to_the_latest,), "stepped over an event"),
            ((from_the_beginning,), "a gap of 5 numbers"),
            ((repeating,), "came twice"),
            ((lambda client, url, sequence: get(client, url, offset=sequence, limit=200),), "JSONDecodeError"),
            ((lambda client, url, sequence: get(client, f"{url}/latest"),), "a list of events"),
        ],
    ),
    "11.3": Cases(
        untouched=(untouched_bookmark,),
        right=[(one_by_one,), (adding,)],
        mistakes=[
            ((time_alone,), "did not end"),
            ((time_and_one,), "did not end"),
            ((time_and_length,), "Read in pages of"),
            ((overlapping,), "Read in pages of 2, some events came twice"),
            ((lambda bookmark, page: one_by_one(bookmark, page[-1:]),), "Read in pages of"),
            ((lambda bookmark, page: {"startTime": page[-1]["timestamp"], "offset": 1},), "IndexError"),
            ((lambda bookmark, page: page[-1]["timestamp"] if page else bookmark,), "with startTime and offset"),
            ((lambda bookmark, page: {"startTime": 7, "offset": 0} if page else bookmark,), "is no time"),
        ],
    ),
    "11.4": Cases(
        untouched=(untouched_plan,),
        right=[(plan,), (lambda events: [set(each) for each in plan(events)],)],
        mistakes=[
            ((by_action,), "With an instance that is back, to drop is A"),
            ((case_sensitive,), "With words in small letters, to fetch is nothing"),
            ((with_repeats,), "to drop is A, A"),
            ((lambda events: plan(events)[0],), "two lists were asked for"),
            ((lambda events: [event["sopInstanceUid"] for event in events],), "two lists were asked for"),
        ],
    ),
}
