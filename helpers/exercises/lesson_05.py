"""The exercises of lesson 05: what goes, what stays, and cleaning up without surprises."""

from typing import Any

import requests

from helpers.exercises import NotAttempted, NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import PretendedServer, expect_predictions, reply
from helpers.lesson import DICOM_JSON, TUTORIAL_STUDY

SHAPES = {"Green Square": "square", "Red Triangle": "triangle", "Blue Circle": "circle"}


@exercise(
    "05.1",
    hints=[
        "Look at the tree of lesson 00: which instances stand under the series of the square?",
        "The square shares its series with the triangle. Both go.",
    ],
    why="DELETE on a series takes every instance in it, and leaves the other series of the study alone.",
)
def left_after_a_series(answer: Any) -> None:
    """Name the shapes that are left when the series of the square is deleted."""
    expect_type(answer, list, tuple, set)
    given = {str(shape).strip().lower().split()[-1] if str(shape).strip() else "" for shape in answer}
    if not given <= set(SHAPES.values()):
        raise NotYet(f"We got {sorted(given)}. The three shapes are called square, triangle and circle.")
    if "square" in given:
        raise NotYet("The square is in the series that is deleted.")
    if "triangle" in given:
        raise NotYet("Are you sure about the triangle? Somebody shares its series.")
    if given != {"circle"}:
        raise NotYet("Something is left: the study has two series, and one was deleted.")


@exercise(
    "05.2",
    hints=[
        "After each request, ask what is left. What is not there any more is answered with 404.",
        "A series without instances is gone, and so is a study without series.",
    ],
    why="Nothing stays empty on the server: with the last instance, its series and its study are gone too.",
)
def statuses_in_order(predicted: Any) -> None:
    """Predict the status of four deletions, one after another."""
    right = {
        "1. DELETE the series of the square": 204,
        "2. DELETE the triangle": 404,
        "3. DELETE the circle": 204,
        "4. DELETE the study": 404,
    }
    nudges = {
        "1. DELETE the series of the square": "It is there, and the owner may delete it.",
        "2. DELETE the triangle": "In which series was it?",
        "3. DELETE the circle": "Has anybody touched its series?",
        "4. DELETE the study": "How many instances has the study after the third request?",
    }
    expect_predictions(predicted, right, nudges)


@exercise(
    "05.3",
    hints=[
        "Two of the three go. Neither the study nor the series of the triangle may be deleted as a whole.",
        "Delete the series of the circle, or the circle alone. Of the other series, delete only the square.",
    ],
    why="The narrowest path that does the work is the safest one, since nothing can be brought back.",
)
def only_the_triangle(client: Any, base_url: Any) -> None:
    """Delete what is needed, so that only the red triangle is left."""
    expect_type(client, requests.Session)
    expect_type(base_url, str)
    response = client.get(
        f"{base_url}/studies/{TUTORIAL_STUDY}/instances",
        headers={"Accept": DICOM_JSON},
        params={"includefield": "ImageComments"},
    )
    rows = response.json() if response.status_code == 200 else []
    comments = [row["00204000"]["Value"][0] for row in rows]
    left = sorted(shape for name, shape in SHAPES.items() if any(comment.endswith(name) for comment in comments))
    if len(left) == len(SHAPES):
        raise NotAttempted
    if left != ["triangle"]:
        again = "Run the cell again: its first lines put the three files back."
        raise NotYet(f"On the server we found {' and '.join(left) or 'nothing of the study'}. {again}")


@exercise(
    "05.4",
    hints=[
        "Look at response.status_code: 204 and 404 have an answer each. All others are errors.",
        'Return "deleted" for 204 and "not there" for 404, and let response.raise_for_status() do the rest.',
    ],
    why="Such a function can run twice, or after a lost reply, and still shouts when it may not delete.",
)
def clean_up(function: Any) -> None:
    """Write a function that deletes, survives 404 and reports real errors."""
    url = "https://pretended.example/v2/studies/1.2.3"
    for status, expected in ((204, "deleted"), (404, "not there")):
        server = PretendedServer(lambda request, status=status: reply(status))
        try:
            got = result_of(function, server.session(), url)
        except NotYet as problem:
            raise NotYet(f"When the server says {status}: {problem}") from None
        if server.seen != [f"DELETE {url}"]:
            raise NotYet(f"Your function sent {server.seen or 'nothing'}; one DELETE to the address was asked for.")
        if got != expected:
            raise NotYet(f"When the server says {status} we got {describe(got)}.")
    for status in (403, 500, 503):
        got = result_or_error(function, PretendedServer(lambda request, status=status: reply(status)).session(), url)
        if not isinstance(got, Exception):
            raise NotYet(f"The server says {status}, and your function goes on as if all were well.")


def result_or_error(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        return error
