"""What is tried on the exercises of lesson 05."""

from typing import Any

import requests

from helpers.exercises.judging import PretendedServer, reply
from tests.exercises.cases import Cases

BASE = "https://pretended.example/v2"
NAMES = {"square": "Green Square", "triangle": "Red Triangle", "circle": "Blue Circle"}
STEPS = (
    "1. DELETE the series of the square",
    "2. DELETE the triangle",
    "3. DELETE the circle",
    "4. DELETE the study",
)


def predicted(*statuses: Any) -> dict[str, Any]:
    return dict(zip(STEPS, statuses, strict=True))


def holding(*shapes: str) -> requests.Session:
    """A session to a server that holds these shapes of the tutorial's study."""
    rows = [{"00204000": {"vr": "LT", "Value": [f"Fake DICOM - {NAMES[shape]}"]}} for shape in shapes]
    return PretendedServer(lambda request: reply(200, rows) if rows else reply(204)).session()


def untouched_clean_up(client, url): ...


def clean_up(client, url):
    response = client.delete(url)
    if response.status_code == 404:
        return "not there"
    response.raise_for_status()
    return "deleted"


def strict_clean_up(client, url):
    response = client.request("DELETE", url)
    if response.status_code not in (204, 404):
        raise RuntimeError(response.reason)
    return {204: "deleted", 404: "not there"}[response.status_code]


def fearful(client, url):
    client.delete(url).raise_for_status()
    return "deleted"


def twice(client, url):
    client.delete(url)
    return clean_up(client, url)


CASES = {
    "05.1": Cases(
        untouched=([...],),
        right=[(["circle"],), ({"Blue Circle"},)],
        mistakes=[
            ((["circle", "triangle"],), "shares its series"),
            ((["square", "circle"],), "The square is in the series"),
            (([],), "Something is left"),
            ((["hexagon"],), "called square, triangle and circle"),
            (("circle",), "list or tuple or set was asked for"),
        ],
    ),
    "05.2": Cases(
        untouched=(predicted(..., ..., ..., ...),),
        right=[(predicted(204, 404, 204, 404),)],
        mistakes=[
            ((predicted(200, 404, 204, 404),), "the owner may delete it"),
            ((predicted(204, 204, 204, 404),), "In which series was it?"),
            ((predicted(204, 404, 404, 404),), "touched its series"),
            ((predicted(204, 404, 204, 204),), "How many instances has the study"),
        ],
    ),
    "05.3": Cases(
        untouched=(holding("square", "triangle", "circle"), BASE),
        right=[(holding("triangle"), BASE)],
        mistakes=[
            ((holding("triangle", "square"), BASE), "we found square and triangle"),
            ((holding("circle"), BASE), "we found circle"),
            ((holding(), BASE), "nothing of the study. Run the cell again"),
            ((requests, BASE), "Session was asked for"),
        ],
    ),
    "05.4": Cases(
        untouched=(untouched_clean_up,),
        right=[(clean_up,), (strict_clean_up,)],
        mistakes=[
            ((fearful,), "When the server says 404: Your function ended with HTTPError"),
            ((lambda client, url: client.delete(url) and "deleted" or "not there",), "403, and your function goes on"),
            ((lambda client, url: "deleted" if client.delete(url) else "gone",), "says 404 we got 'gone'"),
            ((lambda client, url: client.delete(url).status_code,), "says 204 we got 204"),
            ((lambda client, url: client.get(url).reason,), "one DELETE"),
            ((twice,), "one DELETE"),
            ((lambda client, url: "deleted",), "sent nothing"),
            ((lambda client, url: print(end=""),), "return"),
        ],
    ),
}
