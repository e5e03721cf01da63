"""What is tried on the exercises of lesson 12."""

from collections.abc import Callable
from typing import Any

import requests

from tests.exercises.cases import Cases

MOMENTS = [
    "while the operation is at work",
    "it is ready, and no study matches",
    "it is ready, and some files could not be indexed",
    "the same, after you set QueryStatus to Enabled, and a study matches",
    "after you deleted the tag",
]
OCCUPATION = {"Path": "Occupation", "Level": "Study"}
STATION = {"Path": "StationName", "Level": "Series"}
Sleep = Callable[[float], None]


def predicted(*answers: Any) -> dict[str, Any]:
    return dict(zip(MOMENTS, answers, strict=True))


def untouched_wait(client, operation_url, sleep): ...


def wait(client: requests.Session, url: str, sleep: Sleep, pause: float = 0.5, factor: float = 2) -> Any:
    while (response := client.get(url)).status_code == 202:
        sleep(pause)
        pause *= factor
    response.raise_for_status()
    return response.json()["status"]


def capped(client: requests.Session, url: str, sleep: Sleep) -> Any:
    for number in range(100):
        response = client.get(url)
        if response.status_code != 202:
            response.raise_for_status()
            return response.json()["status"]
        sleep(min(number + 1, 4))


def without_sleep(client: requests.Session, url: str, sleep: Sleep) -> Any:
    return wait(client, url, lambda seconds: None)


def without_looking_at_errors(client: requests.Session, url: str, sleep: Sleep) -> Any:
    pause = 1
    while (response := client.get(url)).status_code == 202:
        sleep(pause)
        pause += 1
    return response.json()["status"] if response.content else "gone"


def sleeps_first(client: requests.Session, url: str, sleep: Sleep) -> Any:
    sleep(0)
    return wait(client, url, sleep)


def untouched_doubts(response): ...


def rows_of(response: requests.Response) -> list[Any]:
    return response.json() if response.status_code == 200 else []


def header_of(response: requests.Response) -> str:
    return response.headers.get("erroneous-dicom-attributes", "")


def doubts(response: requests.Response) -> tuple[list[Any], list[str]]:
    return rows_of(response), [name.strip() for name in header_of(response).split(",") if name.strip()]


CASES = {
    "12.1": Cases(
        untouched=(predicted(..., ..., ..., ..., ...),),
        right=[(predicted(400, 204, 400, 200, 400),)],
        mistakes=[
            ((predicted(204, 204, 400, 200, 400),), "too early"),
            ((predicted(400, 404, 400, 200, 400),), "nothing to send"),
            ((predicted(400, 204, 200, 200, 400),), "queryStatus"),
            ((predicted(400, 204, 400, 400, 400),), "you know what is missing"),
            ((predicted(400, 204, 400, 200, 404),), "can be searched by, then"),
        ],
    ),
    "12.2": Cases(
        untouched=(...,),
        right=[
            ([OCCUPATION, STATION],),
            ([STATION, {"path": "00102180", "vr": "SH", "level": "study"}],),
        ],
        mistakes=[
            (([OCCUPATION],), "StationName is not among the 1 entries"),
            (([STATION],), "Occupation is not among"),
            (([{**OCCUPATION, "VR": "LO"}, STATION],), "LO is not its kind"),
            (([{**OCCUPATION, "Level": "Patient"}, STATION],), "its level is 'Patient'"),
            (([{**OCCUPATION, "Level": "Instance"}, STATION],), "rows of /studies"),
            (([OCCUPATION, STATION, {"Path": "PatientName", "Level": "Study"}],), "searched by anyway"),
            (([OCCUPATION, {"Path": "ImageComments", "Level": "Instance"}],), "a long text"),
            (([OCCUPATION, OCCUPATION],), "there twice"),
            (([OCCUPATION, {**STATION, "Level": "Study"}],), "was right"),
            (([OCCUPATION, {"Path": "Rows", "Level": "Instance"}],), "none of the four"),
            ((OCCUPATION,), "list or tuple was asked for"),
        ],
    ),
    "12.3": Cases(
        untouched=(untouched_wait,),
        right=[(wait,), (capped,)],
        mistakes=[
            ((without_sleep,), "sleep was called 0 times"),
            ((lambda *arguments: wait(*arguments, factor=1),), "they should grow"),
            ((lambda *arguments: wait(*arguments, factor=0.5),), "they should grow"),
            ((lambda *arguments: wait(*arguments, pause=0),), "a number of seconds above 0"),
            ((sleeps_first,), "a number of seconds above 0"),
            ((without_looking_at_errors,), "raise an error instead"),
            ((lambda client, url, sleep: client.get(url).json()["status"],), "we got 'running'"),
            ((lambda client, url, sleep: client.get(url).json(),), "we got a dict of 2"),
        ],
    ),
    "12.4": Cases(
        untouched=(untouched_doubts,),
        right=[(doubts,), (lambda response: [doubts(response)[0], set(doubts(response)[1])],)],
        mistakes=[
            ((lambda response: (response.json(), []),), "200 with one attribute"),
            ((lambda response: (response.json(), doubts(response)[1]),), "JSONDecodeError"),
            ((lambda response: (rows_of(response), header_of(response).split(",")),), "doubt are ['']"),
            ((lambda response: (rows_of(response), header_of(response)),), "a list was asked for"),
            ((lambda response: doubts(response) if response.status_code == 200 else ([], []),), "With 204 with one"),
            ((lambda response: (rows_of(response), list(filter(None, header_of(response).split(",")))),), "blank"),
            ((rows_of,), "two things were asked for"),
        ],
    ),
}
