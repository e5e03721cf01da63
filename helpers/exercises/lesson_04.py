"""The exercises of lesson 04: filters, more attributes, missing values, and pages."""

import re
from typing import Any

import requests

from helpers.exercises import NotYet, describe, exercise, result_of
from helpers.exercises.judging import PretendedServer, expect_predictions, expect_reply, path_of, query_of, reply
from helpers.lesson import TUTORIAL_STUDY

MOST, USUAL = 200, 100  # rows in a page: the limit of the service, and what it sends when nobody says


@exercise(
    "04.1",
    hints=[
        "Take the rules one by one: a name matches as a whole, ends of a range count, all attributes must match.",
        "The study is of 20200922, of Anony Mous, whose PatientID is ID1. A piece of a name needs fuzzymatching.",
    ],
    why="All conditions of a query must hold: each one more can only make the list shorter.",
)
def filters_that_find(predicted: Any) -> None:
    """Predict which queries find the tutorial's study."""
    right = {
        "PatientName=Mous": False,
        "PatientName=ANON&fuzzymatching=true": True,
        "StudyDate=-20200922": True,
        "StudyDate=20200922&PatientID=ID2": False,
    }
    nudges = {
        "PatientName=Mous": "Is that the whole name?",
        "PatientName=ANON&fuzzymatching=true": "What does fuzzy matching compare, and do capital letters matter?",
        "StudyDate=-20200922": "Does the end of a range belong to it?",
        "StudyDate=20200922&PatientID=ID2": "The rows in the lesson show the PatientID of Anony Mous.",
    }
    expect_predictions(predicted, right, nudges)


@exercise(
    "04.2",
    hints=[
        "Read what the server says about the query. There are two mistakes: the name, and the way the date is written.",
        "The keyword is StudyDate, with two capitals; the date is year, month, day: eight digits without dots.",
    ],
    why="The refusal says what it did not understand; a server that ignored it would have sent every study.",
)
def query_repaired(answer: Any) -> None:
    """Repair a query for a date, so that it finds the tutorial's study."""
    response = expect_reply(answer)
    query = query_of(response)
    if response.status_code == 400:
        raise NotYet(f"The server still refuses: {response.text[:120].rstrip('.')}.")
    if response.status_code == 204:
        raise NotYet(f"The query {query} is understood and finds nothing: 204. Which day is the study of?")
    if response.status_code != 200:
        raise NotYet(f"We got {response.status_code} {response.reason}.")
    if "StudyDate" not in query and "00080020" not in query:
        raise NotYet(f"The query that was sent is {query}. It should look for a date.")
    if TUTORIAL_STUDY not in [row.get("0020000D", {}).get("Value", [""])[0] for row in response.json()]:
        raise NotYet("The rows do not hold the tutorial's study. Is that the right day, and a search for studies?")


@exercise(
    "04.3",
    hints=[
        "The lesson asked for ImageComments with includefield. This time it is two attributes.",
        'params={"includefield": ["Rows", "Columns"]} sends includefield twice, once for each.',
    ],
    why="A search that brings the two numbers saves one metadata request for each instance.",
)
def more_fields(answer: Any) -> None:
    """Search for the instances of the study with their rows and columns."""
    response = expect_reply(answer)
    if response.status_code != 200:
        raise NotYet(f"We got {response.status_code} {response.reason}. {response.text[:120]}".rstrip() + ".")
    if not path_of(response).endswith("/instances"):
        raise NotYet(f"The rows are of {path_of(response).rpartition('/')[2]}. The instances were asked for.")
    rows = response.json()
    for tag, name in (("00280010", "Rows"), ("00280011", "Columns")):
        if not all(row.get(tag, {}).get("Value") for row in rows):
            raise NotYet(f"{tag} {name} is not in every row. The query that was sent is {query_of(response)}.")
    if len(rows) != 3:
        raise NotYet(f"We got {len(rows)} rows; the study has three instances. Is it the path of the study?")


@exercise(
    "04.4",
    hints=[
        "Four things can be missing: the tag, Value, an item in Value, Alphabetic in the item.",
        'Begin with row.get("00100010", {}).get("Value") or [{}], take the first, and .get("Alphabetic").',
    ],
    why="In real archives attributes are missing all the time, and one row must not break the list.",
)
def name_of_a_row(function: Any) -> None:
    """Write a function that reads the patient's name of a row, whatever is missing."""
    tag = "00100010"
    for row, expected, what in (
        ({tag: {"vr": "PN", "Value": [{"Alphabetic": "Anony Mous"}]}}, "Anony Mous", "a row with a name"),
        ({tag: {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}, "Doe^Jane", "a row with another name"),
        ({}, "unknown", "a row without the attribute"),
        ({tag: {"vr": "PN"}}, "unknown", "a row where the attribute has no Value"),
        ({tag: {"vr": "PN", "Value": []}}, "unknown", "a row where Value is an empty list"),
        ({tag: {"vr": "PN", "Value": [{}]}}, "unknown", "a row where the name has no Alphabetic form"),
    ):
        try:
            got = result_of(function, row)
        except NotYet as problem:
            raise NotYet(f"With {what}: {problem}") from None
        if got != expected:
            raise NotYet(f"For {what} we got {describe(got)}.")


@exercise(
    "04.5",
    hints=[
        "The loop of the lesson does it; two things change: it takes any address, and it returns the rows.",
        "Go on until a page has fewer rows than you asked for. A page with nothing is 204: no json() then.",
    ],
    why="A client that reads the first page only is right on every test server, and wrong in every hospital.",
)
def all_rows(function: Any) -> None:
    """Write a function that fetches all rows of a search, page by page."""
    for total in (3, 0, 2 * MOST, MOST + 50):
        server = PretendedServer(lambda request, total=total: page(request, total))
        rows = result_of(function, server.session(), "https://pretended.example/v2/instances")
        if not isinstance(rows, list | tuple):
            raise NotYet(f"We got {describe(rows)}; a list of rows was asked for.")
        numbers = [row.get("00200013", {}).get("Value", [None])[0] for row in rows if isinstance(row, dict)]
        if len(numbers) != len(set(numbers)):
            raise NotYet(f"On a server with {total} rows some came twice. By how much does your offset grow?")
        if sorted(numbers) != list(range(total)):
            asked = f"{len(server.seen)} request{'s' * (len(server.seen) != 1)}"
            raise NotYet(f"On a server with {total} rows we got {len(rows)}, after {asked}.")


def page(request: requests.PreparedRequest, total: int) -> requests.Response:
    """What the service answers to a search that finds `total` rows."""
    wanted = {name: int(number) for name, number in re.findall(r"[?&](limit|offset)=(-?\d+)", request.url or "")}
    limit, offset = wanted.get("limit", USUAL), wanted.get("offset", 0)
    if not 1 <= limit <= MOST:
        return reply(400, content=b"The field Limit must be between 1 and 200.")
    numbers = range(total)[offset : offset + limit]
    rows = [{"00200013": {"vr": "IS", "Value": [number]}} for number in numbers]
    return reply(200, rows, Content_Type="application/dicom+json") if rows else reply(204)
