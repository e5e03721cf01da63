"""The exercises of lesson 13: work items, their states, and who may change them."""

import json
from collections.abc import Mapping
from typing import Any

import requests

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import PretendedServer, expect_predictions, reply

STATE, TRANSACTION, ITEM = "00741000", "00081195", "00080018"
START, READINESS, PRIORITY = "00404005", "00404041", "00741200"
BASE_URL = "https://pretended.example/v2"
ARRAY = "The service wants an array, though there is one data set in it."


@exercise(
    "13.1",
    hints=[
        "Ask for each request: is there an owner, and does the UID of the request belong to it?",
        "Without an owner no transaction UID fits. With one, nothing else fits, and a request to cancel is refused.",
    ],
    why="The transaction UID is a key that fits from the claim on, and fits nobody else.",
)
def who_may_change(predicted: Any) -> None:
    """Foretell the status of four requests about one work item."""
    right = {
        "A updates it with A's transaction UID in the query": 400,
        "A claims it": 200,
        "B updates it without a transaction UID": 400,
        "somebody requests its cancellation": 400,
    }
    nudges = {
        "A updates it with A's transaction UID in the query": "Who owns it at that moment?",
        "A claims it": "Is the way from its state to IN PROGRESS in the table of states?",
        "B updates it without a transaction UID": "It is claimed by now. What does the server ask of an update?",
        "somebody requests its cancellation": "It is in progress. Does Azure answer as the standard says?",
    }
    expect_predictions(predicted, right, nudges)


@exercise(
    "13.2",
    hints=[
        "Compare with what show_exchange printed for the claim: how is the state spelled, and what is around it all?",
        "The state has a blank in it; Value is always a list; and the data set stands in a list.",
    ],
    why="Bodies are arrays and values are lists in DICOM JSON, even where there is one of them.",
)
def body_of_a_claim(answer: Any) -> None:
    """Write the body that claims a work item."""
    state, transaction = claim_in(answer)
    if state != "IN PROGRESS":
        raise NotYet(f"The state is {describe(state)}. How does the table of states spell it?")
    if not is_uid(transaction):
        raise NotYet(f"The transaction UID is {describe(transaction)}; a UID has digits and dots.")


@exercise(
    "13.3",
    hints=[
        'A value of a row: row["00741200"]["Value"][0] is the priority, 00404041 the readiness, 00404005 the start.',
        'Keep those that are READY, sort them by (["HIGH", "MEDIUM", "LOW"].index(priority), start), take the first.',
    ],
    why="The list says what waits, and in which order is the station's own business.",
)
def next_of_the_list(function: Any) -> None:
    """Write a function that picks the work item to do next."""
    rows = [
        row("2.25.1", "MEDIUM", "20300102080000"),
        row("2.25.2", "HIGH", "20300103080000"),
        row("2.25.3", "HIGH", "20300102090000"),
        row("2.25.4", "HIGH", "20300101080000", "UNREADY"),
        row("2.25.5", "LOW", "20300101070000"),
    ]
    cases = [
        (rows[:1], "2.25.1", "one that is ready"),
        ([rows[0], rows[4]], "2.25.1", "a MEDIUM one, and a LOW one that starts earlier"),
        ([rows[4], rows[0], rows[2]], "2.25.3", "one of each priority"),
        (rows, "2.25.3", "two HIGH ones, and a HIGH one that is not ready"),
        (rows[3:4], "", "one that is not ready"),
        ([], "", "an empty list"),
    ]
    for given, right, what in cases:
        result = result_of(function, [dict(each) for each in given])
        expect_type(result, str)
        if result != right:
            got = f"the one that starts at {start_of(result, rows)}" if result else 'the empty text ""'
            raise NotYet(f"For {what}, we got {got}.")


@exercise(
    "13.4",
    hints=[
        "It is the request of the section about claiming: PUT …/state with IN PROGRESS and a UID that you keep.",
        "generate_uid() makes a UID. Send an array, look at the status, and return the UID only for 200.",
    ],
    why="Of two who claim at the same moment, the server lets one through; the other has to see that it was late.",
)
def claim_a_work_item(function: Any) -> None:
    """Write a function that claims a work item and says whether it worked."""
    made = []
    for taken in (False, True, False):
        worklist = Worklist(taken)
        result = result_of(function, worklist.session(), BASE_URL, "2.25.13")
        expect_type(result, str)
        if not worklist.claims:
            raise NotYet(f"No claim reached the server. {worklist.complaint}".strip())
        if taken and result:
            raise NotYet("The server refused, for the task belongs to somebody else, and we got a UID all the same.")
        if not taken and result != worklist.claims[-1]:
            raise NotYet(f"The server was told another transaction UID than the one we got: {describe(result)}.")
        made.append(worklist.claims[-1])
    if len(set(made)) != len(made):
        raise NotYet("Two calls used the same transaction UID. Whoever knows it owns the work item: make a new one.")


class Worklist(PretendedServer):
    """A server with one work item, 2.25.13. `claims` are the transaction UIDs of claims that are well-formed."""

    def __init__(self, taken: bool) -> None:
        super().__init__(self.answer_to)
        self.taken = taken
        self.claims: list[str] = []
        self.complaint = ""

    def answer_to(self, request: requests.PreparedRequest) -> requests.Response:
        if request.method != "PUT" or request.url != f"{BASE_URL}/workitems/2.25.13/state":
            return self.refuse(404, f"We got {request.method} {request.url}.")
        if not str(request.headers.get("Content-Type", "")).startswith("application/dicom+json"):
            return self.refuse(415, f"The Content-Type was {request.headers.get('Content-Type')}.")
        try:
            state, transaction = claim_in(request.body)
        except NotYet as problem:
            return self.refuse(400, str(problem))
        if state != "IN PROGRESS" or not is_uid(transaction):
            return self.refuse(400, f"The body asked for {describe(state)} with the UID {describe(transaction)}.")
        self.claims.append(transaction)
        if self.taken:
            return reply(400, "The workitem instance can not transition to 'IN PROGRESS' state: C301.")
        return reply(200)

    def refuse(self, status: int, complaint: str) -> requests.Response:
        self.complaint = complaint
        return reply(status)


def claim_in(body: Any) -> tuple[Any, Any]:
    """State and transaction UID that a body asks for. Raises NotYet where it is not of the right form."""
    if isinstance(body, str | bytes):
        try:
            body = json.loads(body)
        except ValueError:
            raise NotYet("The text is not JSON.") from None
    if isinstance(body, Mapping):
        raise NotYet(f"We got a data set alone. {ARRAY}")
    if not isinstance(body, list | tuple) or len(body) != 1 or not isinstance(body[0], Mapping):
        raise NotYet(f"We got {describe(body)}. {ARRAY}")
    return value_of(body[0], STATE, "CS"), value_of(body[0], TRANSACTION, "UI")


def value_of(data_set: Mapping[str, Any], tag: str, vr: str) -> Any:
    element = data_set.get(tag)
    if not isinstance(element, Mapping):
        raise NotYet(f"The data set has no attribute {tag}.")
    if element.get("vr") != vr:
        raise NotYet(f"The vr of {tag} is {describe(element.get('vr'))}; in the lesson it was another.")
    value = element.get("Value")
    if not isinstance(value, list | tuple) or len(value) != 1:
        raise NotYet(f"The Value of {tag} is {describe(value)}. What does DICOM JSON keep values in?")
    return value[0]


def is_uid(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64 and all(part.isdigit() for part in value.split("."))


def row(uid: str, priority: str, start: str, readiness: str = "READY") -> dict[str, Any]:
    """One row of a search for work items."""
    values = {ITEM: ("UI", uid), START: ("DT", start), READINESS: ("CS", readiness), PRIORITY: ("CS", priority)}
    return {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in values.items()}


def start_of(uid: str, rows: list[dict[str, Any]]) -> str:
    found = [each[START]["Value"][0] for each in rows if each[ITEM]["Value"][0] == uid]
    return found[0] if found else f"no time at all: {describe(uid)}"
