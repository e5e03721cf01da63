"""The exercises of lesson 14: versions of a file, bulk updates, and operations."""

import json
from collections.abc import Mapping
from typing import Any

import requests

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import PretendedServer, expect_predictions, reply

METADATA = "https://pretended.example/v2/studies/2.25.1/series/2.25.2/instances/2.25.3/metadata"
OPERATION = "https://pretended.example/v2/operations/1234567890abcdef1234567890abcdef"
ENOUGH = 20  # questions after the end of an operation


@exercise(
    "14.1",
    hints=[
        "How many versions of a file does the service keep, and which ones?",
        "It keeps the first and the newest. Unknown studies are counted; attributes are checked before that.",
    ],
    why="First and newest are kept, whatever came between; and counts in the results tell what a status does not.",
)
def versions_and_counts(predicted: Any) -> None:
    """Foretell names, a count and a status after two bulk updates."""
    right = {
        "name in the metadata": "Cleo",
        "name with msdicom-request-original: true": "Ada",
        "studyUpdated for a study that nobody has": 0,
        "status of a bulk update that names SOPInstanceUID in changeDataset": 400,
    }
    nudges = {
        "name in the metadata": "Without a special header, which version comes?",
        "name with msdicom-request-original: true": "The version before the newest, or the one that was stored?",
        "studyUpdated for a study that nobody has": "Look at the results of the update of 1.2.3.",
        "status of a bulk update that names SOPInstanceUID in changeDataset": "Is it a fact about patient or study?",
    }
    expect_predictions(predicted, right, nudges)


@exercise(
    "14.2",
    hints=[
        "Compare with the body that show_exchange printed: what do studies stand in, and what is the key of a value?",
        'The tag of PatientSex is 00100040 and its vr is CS. An attribute is {"vr": …, "Value": […]}.',
    ],
    why="changeDataset is DICOM JSON like metadata, so what you read in one place you can send in the other.",
)
def body_of_an_update(answer: Any) -> None:
    """Write the body of a bulk update."""
    expect_type(answer, dict, str, bytes)
    if not isinstance(answer, dict):
        try:
            answer = json.loads(answer)
        except ValueError:
            raise NotYet("The text is not JSON.") from None
        expect_type(answer, dict)
    properties = {str(name).lower(): value for name, value in answer.items()}  # as the service reads them
    if properties.keys() != {"studyinstanceuids", "changedataset"}:
        raise NotYet(f"The body has {', '.join(map(str, answer)) or 'nothing'}. Keep its two names as they are.")
    studies, changes = properties["studyinstanceuids"], properties["changedataset"]
    if not isinstance(studies, list | tuple):
        raise NotYet(f"studyInstanceUids is {describe(studies)}; the name has an s at its end.")
    if list(studies) != ["1.2.3.4"]:
        raise NotYet(f"The studies are {list(studies)}; the one to change is 1.2.3.4.")
    expect_type(changes, dict)
    expect_sex(changes)


def expect_sex(changes: Mapping[str, Any]) -> None:
    if "00100040" not in changes:
        raise NotYet(f"changeDataset has {', '.join(map(str, changes)) or 'nothing'}. DICOM JSON has tags as keys.")
    element = changes["00100040"]
    if not isinstance(element, Mapping) or element.keys() != {"vr", "Value"}:
        raise NotYet(f"Below the tag is {describe(element)}. What does an attribute of DICOM JSON consist of?")
    if element["vr"] != "CS" or element["Value"] not in (["F"], ("F",)):
        raise NotYet(f"The attribute is {element['vr']!r} with {element['Value']!r}. What is a Value, always?")
    if len(changes) != 1:
        raise NotYet(f"The body changes {len(changes)} attributes; only the sex was wrong.")


@exercise(
    "14.3",
    hints=[
        "Two requests to the same url. What is different in the second one?",
        "The first version comes with the header msdicom-request-original: true; the name is 00100010, a PN.",
    ],
    why="One header of the request chooses the version, so no address changes when a patient's name does.",
)
def two_versions(function: Any) -> None:
    """Write a function that tells the patient's name now and at first."""
    for now, first in (("Anony^Married", "Anony Mous"), ("Cleo", "Ada"), ("Zoe", "Zoe")):
        server = Versions(now, first)
        result = result_of(function, server.session(), METADATA)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise NotYet(f"We got {describe(result)}; two names were asked for: now, and at first.")
        names = [name.get("Alphabetic") if isinstance(name, Mapping) else str(name) for name in result]
        if names == [first, now] and now != first:
            raise NotYet("The name of today comes first, then the first one.")
        if names != [now, first]:
            raise NotYet(f"We got {names}. {server.complaint or 'Which header asks for the first version?'}")


class Versions(PretendedServer):
    """A server with one instance, whose patient had another name at first."""

    def __init__(self, now: str, first: str) -> None:
        super().__init__(self.answer_to)
        self.now, self.first, self.complaint = now, first, ""

    def answer_to(self, request: requests.PreparedRequest) -> requests.Response:
        if request.method != "GET" or request.url != METADATA:
            self.complaint = f"The server got {request.method} {request.url}."
            return reply(404)
        if "json" not in str(request.headers.get("Accept", "")):
            self.complaint = f"The Accept header was {request.headers.get('Accept')}."
            return reply(406)
        original = str(request.headers.get("msdicom-request-original", "")).lower() == "true"
        name = self.first if original else self.now
        return reply(200, [{"00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}}])


@exercise(
    "14.4",
    hints=[
        "Which status says that it goes on, and which that it is over?",
        'while the status is 202: pause, and ask again. Then compare ["status"] of the JSON with "succeeded".',
    ],
    why="Over and well are two things: an operation that failed is answered with 200 as well.",
)
def end_of_an_operation(function: Any) -> None:
    """Write a function that waits for an operation and says whether it succeeded."""
    for questions, status in ((3, "succeeded"), (0, "failed"), (1, "failed"), (2, "canceled"), (0, "succeeded")):
        operation = Operation(questions, status)
        result = result_of(function, operation.session(), OPERATION)
        expect_type(result, bool)
        if not operation.seen:
            raise NotYet("No question reached the server: ask with client.get(href).")
        if not operation.over:
            raise NotYet(f"You stopped after {len(operation.seen)} questions, and the operation was still running.")
        if result != (status == "succeeded"):
            raise NotYet(f"For an operation that ended {status!r}, we got {result}.")


class Operation(PretendedServer):
    """An operation that is still running when the first `questions` come, and then ends with `status`."""

    def __init__(self, questions: int, status: str) -> None:
        super().__init__(self.answer_to)
        self.questions, self.status, self.over = questions, status, False

    def answer_to(self, request: requests.PreparedRequest) -> requests.Response:
        if request.method != "GET" or request.url != OPERATION:
            raise ValueError(f"the server got {request.method} {request.url}, and not GET and href")
        if len(self.seen) <= self.questions:
            return reply(202, {"status": "running" if len(self.seen) > 1 else "notStarted"}, Location=OPERATION)
        if len(self.seen) > self.questions + ENOUGH:
            raise RuntimeError("the operation is over, and you ask on and on")
        self.over = True
        return reply(200, {"status": self.status, "percentComplete": 100})
