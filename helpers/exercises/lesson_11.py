"""The exercises of lesson 11: states of events, gaps in v1, bookmarks in v2, and what a copy has to do."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import PretendedServer, expect_predictions, reply

STATES = ("Current", "Replaced", "Deleted")
MOST_IN_V1, USUAL_IN_V1 = 100, 10  # numbers in a page of v1's feed
MOST_PAGES = 50


@exercise(
    "11.1",
    hints=[
        "The state is not about the moment of the event. It is about the moment when you read the feed.",
        "Is the instance there now? Then only the event that made its current version is Current.",
    ],
    why="A reader who comes late fetches one version, the current one, and no version that is gone.",
)
def states_of_a_life(predicted: Any) -> None:
    """Predict the states of four events of one instance."""
    right = {"1 Create": "Replaced", "2 Update": "Replaced", "3 Delete": "Replaced", "4 Create": "Current"}
    expect_type(predicted, dict)
    strange = [answer for answer in predicted.values() if answer not in STATES]
    if strange:
        raise NotYet(f"We got {describe(strange[0])}. The states are {', '.join(STATES)}.")
    nudges = {
        "1 Create": "When you read the feed, is the instance there? Is it that version?",
        "2 Update": "When you read the feed, is the instance there? Is it that version?",
        "3 Delete": "The instance was deleted then. Is it gone now?",
        "4 Create": "What happened to the instance after this event?",
    }
    expect_predictions(predicted, right, nudges)


@exercise(
    "11.2",
    hints=[
        "Before you believe an empty page, you need to know whether there is anything behind it: /changefeed/latest.",
        "An empty page before the latest number: go on 100 numbers further. Else: go on behind the page's last event.",
    ],
    why="Numbers are missing wherever a request began and was not finished. It looks like the end of the feed.",
)
def all_events_of_v1(function: Any) -> None:
    """Write a function that reads all events of v1, over gaps of any length."""
    for what, numbers, behind in (
        ("a feed without a gap", range(1, 251), 0),
        ("a feed with a gap of 5 numbers", [*range(1, 40), *range(45, 60)], 30),
        ("a feed with a gap of 300 numbers", [*range(1, 31), *range(331, 345)], 12),
        ("a feed with two gaps", [5, 6, 160, 161, 700], 6),
        ("a feed that is read to its end", [1, 2, 3], 3),
        ("a feed where nothing ever happened", [], 0),
    ):
        feed = FeedOfV1(list(numbers))
        events = result_of(function, feed.server.session(), "https://pretended.example/v1/changefeed", behind)
        if not isinstance(events, list | tuple):
            raise NotYet(f"We got {describe(events)}; a list of events was asked for.")
        got = [event.get("sequence") if isinstance(event, dict) else None for event in events]
        if len(set(got)) != len(got):
            raise NotYet(f"On {what}, {len(got) - len(set(got))} events came twice.")
        wanted = [number for number in numbers if number > behind]
        if got[: len(wanted)] != wanted:
            raise NotYet(f"On {what}, you were to read {len(wanted)} events, and we got {len(got)}.")
        if got != [number for number in feed.numbers if number > behind][: len(got)]:
            raise NotYet(f"On {what}, your function stepped over an event that came while it ran.")


class FeedOfV1:
    """The feed of a pretended v1 server; with each page that it gives, one event more happens."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers
        self.busy = bool(numbers)
        self.server = PretendedServer(self.answer)

    def answer(self, request: requests.PreparedRequest) -> requests.Response:
        if urlsplit(request.url or "").path.endswith("/latest"):
            return reply(200, {"sequence": max(self.numbers)}) if self.numbers else reply(204)
        query = dict(parse_qsl(urlsplit(request.url or "").query))
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", USUAL_IN_V1))
        if not 1 <= limit <= MOST_IN_V1:
            return reply(400, content=b"The field Limit must be between 1 and 100.")
        page = [{"sequence": number} for number in self.numbers if offset < number <= offset + limit]
        if self.busy:
            self.numbers.append(self.numbers[-1] + 1)
            self.busy = len(self.numbers) % 4 > 0  # it comes to rest sooner or later
        return reply(200, page)


@exercise(
    "11.3",
    hints=[
        "The offset counts the events since startTime that are read. What does it count when startTime moves?",
        "Go through the page event by event, as `behind` does: the same time, one more; a later time, begin at 1.",
    ],
    why="With a bookmark that is exact, a follower may be stopped after any page, on any machine.",
)
def bookmark_of_v2(function: Any) -> None:
    """Write a function that returns the bookmark behind a page of events."""
    seconds = [0, 1, 1, 1, 2, 3, 3, 3, 3, 3, 4, 4, 9]
    events = [{"sequence": 7 + number, "timestamp": at(second)} for number, second in enumerate(seconds)]
    bookmark = {"startTime": at(0), "offset": 1}
    if (same := result_of(function, dict(bookmark), [])) != bookmark:
        raise NotYet(f"After an empty page, the bookmark should be as before; we got {same}.")
    for size in (1, 2, 3, 5, 200):
        got = read_all(function, events, {"startTime": at(0), "offset": 1}, size)
        numbers = [event["sequence"] for event in got]
        if len(set(numbers)) != len(numbers):
            raise NotYet(f"Read in pages of {size}, some events came twice: did the offset fit the new time?")
        if numbers != [event["sequence"] for event in events[1:]]:
            raise NotYet(f"Read in pages of {size}, we got {len(numbers)} of {len(events) - 1} events.")


def at(second: int) -> str:
    return f"2024-05-06T07:08:{second:02}.123456+00:00"


def read_all(function: Any, events: list[dict[str, Any]], bookmark: Any, size: int) -> list[dict[str, Any]]:
    """What a follower reads that moves its bookmark with `function`."""
    got: list[dict[str, Any]] = []
    for _ in range(MOST_PAGES):
        if not isinstance(bookmark, dict) or not {"startTime", "offset"} <= bookmark.keys():
            raise NotYet(f"We got {describe(bookmark)}; a dictionary with startTime and offset was asked for.")
        since = [event for event in events if moment(event["timestamp"]) >= moment(bookmark["startTime"])]
        page = since[bookmark["offset"] :][:size]
        if not page:
            return got
        got += page
        bookmark = result_of(function, dict(bookmark), page)
    raise NotYet(f"Read in pages of {size}, the feed did not end: the bookmark does not move.")


def moment(time: Any) -> datetime:
    try:
        return datetime.fromisoformat(time)
    except (TypeError, ValueError):
        raise NotYet(f"The startTime {describe(time)} is no time; take it from an event as it is.") from None


@exercise(
    "11.4",
    hints=[
        "Which of the two tells what is true now, the action or the state?",
        "state.lower() is 'current': fetch. It is 'deleted': drop. Anything else: nothing to do. Look out for repeats.",
    ],
    why="A plan made of states is right whenever the feed is read, however much has happened in between.",
)
def plan_of_a_copy(function: Any) -> None:
    """Write a function that tells what a copy has to fetch and what to drop."""
    for what, events, fetch, drop in (
        ("three new instances", ["A Create Current", "B Create Current", "C Create Current"], "ABC", ""),
        ("an instance that was changed", ["A Create Replaced", "A Update Current"], "A", ""),
        ("an instance that was deleted", ["A Create Deleted", "A Delete Deleted", "B Create Current"], "B", "A"),
        ("an instance that is back", ["A Create Replaced", "A Delete Replaced", "A Create Current"], "A", ""),
        ("words in small letters", ["A create replaced", "A update current", "B delete deleted"], "A", "B"),
        ("no events", [], "", ""),
    ):
        given = [dict(zip(("sopInstanceUid", "action", "state"), event.split(), strict=True)) for event in events]
        result = result_of(function, given)
        if not isinstance(result, list | tuple) or len(result) != 2:
            raise NotYet(f"We got {describe(result)}; two lists were asked for: what to fetch, what to drop.")
        for name, got, wanted in (("fetch", result[0], fetch), ("drop", result[1], drop)):
            if not isinstance(got, list | tuple | set):
                raise NotYet(f"To {name} is {describe(got)}; a list was asked for.")
            if sorted(got) != sorted(wanted):
                raise NotYet(f"With {what}, to {name} is {', '.join(map(str, got)) or 'nothing'}.")
