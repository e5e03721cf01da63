"""The exercises of lesson 12: when a tag can be searched by, what can be added, waiting, and results in doubt."""

from typing import Any

import requests
from pydicom.datadict import dictionary_VR, tag_for_keyword

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import PretendedServer, expect_predictions, reply

LEVELS = ("Study", "Series", "Instance")
HEADER = "erroneous-dicom-attributes"
OPERATION = "https://pretended.example/v2/operations/1"


@exercise(
    "12.1",
    hints=[
        "Would an answer be complete in this moment? If not: does the service give half of it, or refuse?",
        "Refused is 400, whatever the reason. Understood, with nothing to send, is another number.",
    ],
    why="The service refuses whatever would be incomplete without a word. After Enabled, the header is that word.",
)
def when_a_tag_answers(predicted: Any) -> None:
    """Predict the status of a search in five moments of a tag's life."""
    enabled = "the same, after you set QueryStatus to Enabled, and a study matches"
    right = {
        "while the operation is at work": 400,
        "it is ready, and no study matches": 204,
        "it is ready, and some files could not be indexed": 400,
        enabled: 200,
        "after you deleted the tag": 400,
    }
    nudges = {
        "while the operation is at work": "What did the search say that came too early?",
        "it is ready, and no study matches": "It is no error, and there is nothing to send.",
        "it is ready, and some files could not be indexed": "What is its queryStatus, before you change it?",
        enabled: "You have said that you know what is missing. And a study is found.",
        "after you deleted the tag": "Is it an attribute that can be searched by, then?",
    }
    expect_predictions(predicted, right, nudges)


@exercise(
    "12.2",
    hints=[
        "Ask of each entry: can it be searched by already? Is its kind short enough? Is its level one of three words?",
        "PatientName need not be added, ImageComments cannot. Occupation is of the kind SH and belongs to a Study.",
    ],
    why="A request is done as a whole or not at all, so each entry has to be right.",
)
def entries_to_add(entries: Any) -> None:
    """Repair a request that adds tags, and leave out what cannot or need not be added."""
    expect_type(entries, list, tuple)
    levels: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise NotYet(f"The list holds {describe(entry)}; each entry is a dictionary.")
        given = {str(name).lower(): value for name, value in entry.items()}
        name = keyword_of(given.get("path"))
        if name in levels:
            raise NotYet(f"{name} is there twice.")
        if name == "PatientName":
            raise NotYet("PatientName is refused: one of the fourteen attributes that can be searched by anyway.")
        if name == "ImageComments":
            raise NotYet("ImageComments is refused: its kind is LT, a long text.")
        vr = dictionary_VR(tag_for_keyword(name) or 0)
        if given.get("vr") not in (None, "", vr):
            raise NotYet(f"{name} is refused: {given['vr']} is not its kind (VR).")
        level = str(given.get("level", "")).capitalize()
        if level not in LEVELS:
            raise NotYet(f"{name} is refused: its level is {describe(given.get('level'))}.")
        levels[name] = level
    for name in ("Occupation", "StationName"):
        if name not in levels:
            raise NotYet(f"{name} is not among the {len(levels)} entries, and it can be added.")
    if levels["Occupation"] != "Study":
        raise NotYet(f"Occupation has the level {levels['Occupation']}; rows of /studies know nothing of that.")
    if levels["StationName"] != "Series":
        raise NotYet(f"The entry of StationName was right, and its level is {levels['StationName']} now.")


def keyword_of(path: Any) -> str:
    """The keyword of one of the four attributes, by keyword or tag."""
    for keyword in ("Occupation", "PatientName", "ImageComments", "StationName"):
        if path == keyword or str(path).upper() == f"{tag_for_keyword(keyword):08X}":
            return keyword
    raise NotYet(f"The path {describe(path)} is none of the four.")


@exercise(
    "12.3",
    hints=[
        "Look, and as long as the status is 202: sleep, make the pause longer, look again.",
        "When it is no longer 202: response.raise_for_status(), then return response.json()['status'].",
    ],
    why="Growing pauses are short for short work and polite for long work, and nobody has to guess which it is.",
)
def wait_politely(function: Any) -> None:
    """Write a function that waits for an operation with growing pauses."""
    for looks, status in ((0, "succeeded"), (1, "succeeded"), (5, "failed"), (8, "completed")):
        operation = Operation(looks, status)
        pauses: list[Any] = []
        result = result_of(function, operation.server.session(), OPERATION, pauses.append)
        after = f"With an operation whose first {looks} replies are 202"
        if result != status:
            raise NotYet(f'{after}, and then one says "{status}", we got {describe(result)}.')
        if any(isinstance(pause, bool) or not isinstance(pause, int | float) or pause <= 0 for pause in pauses):
            raise NotYet(f"{after}, sleep was called with {describe(pauses[-1])}; a number of seconds above 0, please.")
        if len(pauses) < looks:
            raise NotYet(f"{after}, sleep was called {len(pauses)} times. Sleep between any two looks.")
        if len(operation.server.seen) != looks + 1:
            raise NotYet(f"{after}, your function looked {len(operation.server.seen)} times.")
        if pauses != sorted(pauses) or (looks > 2 and pauses[0] == pauses[-1]):
            raise NotYet(f"{after}, the pauses were {', '.join(map(str, pauses))}: they should grow.")
    missing = PretendedServer(lambda request: reply(404)).session()
    try:
        answer = function(missing, OPERATION, lambda seconds: None)
    except Exception:
        return
    raise NotYet(f"With an operation that does not exist, 404, we got {describe(answer)}: raise an error instead.")


class Operation:
    """A pretended operation that is at work for so many looks."""

    def __init__(self, looks: int, status: str) -> None:
        self.left, self.status = looks, status
        self.server = PretendedServer(self.answer)

    def answer(self, request: requests.PreparedRequest) -> requests.Response:
        self.left -= 1
        if self.left >= 0:
            return reply(202, {"status": "running", "percentComplete": 0}, Location=OPERATION)
        return reply(200, {"status": self.status, "percentComplete": 100})


@exercise(
    "12.4",
    hints=[
        "Rows as ever: only 200 has a body. The doubts stand in a header, which is often missing.",
        'response.headers.get(name, "") never fails. Split it at the commas, strip each, and leave out the empty ones.',
    ],
    why="A list that is handed on without its doubts is taken for complete by everybody who gets it.",
)
def results_in_doubt(function: Any) -> None:
    """Write a function that returns the rows of a search and the attributes in doubt."""
    rows = [{"00102180": {"vr": "SH", "Value": ["Sailor"]}}]
    for what, status, header, doubts in (
        ("200 without the header", 200, None, []),
        ("200 with one attribute in the header", 200, "Occupation", ["Occupation"]),
        ("204 without the header", 204, None, []),
        ("204 with one attribute in the header", 204, "DateOfSecondaryCapture", ["DateOfSecondaryCapture"]),
        ("two attributes in the header", 200, "Occupation,00181012", ["Occupation", "00181012"]),
        ("a blank after the comma", 200, "Occupation, 00181012", ["Occupation", "00181012"]),
    ):
        response = reply(status, rows) if status == 200 else reply(status)
        if header is not None:
            response.headers[HEADER] = header
        result = result_of(function, response)
        if not isinstance(result, list | tuple) or len(result) != 2:
            raise NotYet(f"We got {describe(result)}; two things were asked for: rows, and names of attributes.")
        if result[0] != (rows if status == 200 else []):
            raise NotYet(f"With {what}, the rows are {describe(result[0])}.")
        if not isinstance(result[1], list | tuple | set):
            raise NotYet(f"With {what}, the attributes are {describe(result[1])}; a list was asked for.")
        if sorted(result[1]) != sorted(doubts):
            raise NotYet(f"With {what}, the attributes in doubt are {list(result[1])}.")
