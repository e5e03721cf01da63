"""The exercises of lesson 16: what servers have in common, and what not."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import PretendedServer, expect_predictions, reply

BASE_URL = "https://pretended.example/v2"
STUDY = "0020000D"


@exercise(
    "16.1",
    hints=[
        "All four stand in the table of the section about what each server has.",
        "Look at the rows about nothing found, about no Accept header, and about delete.",
    ],
    why="A status that surprises you is often a choice that the standard left to the server.",
)
def statuses_of_two_servers(predicted: Any) -> None:
    """Foretell what two servers answer."""
    right = {
        "Azure: search for a patient whom nobody knows": 204,
        "Orthanc: search for a patient whom nobody knows": 200,
        "Azure: GET a study's metadata without an Accept header": 406,
        "Orthanc: DELETE a study": 405,
    }
    nudges = {
        "Azure: search for a patient whom nobody knows": "Does the reply have a body?",
        "Orthanc: search for a patient whom nobody knows": "It sends an empty list. Is that a body?",
        "Azure: GET a study's metadata without an Accept header": "Does Azure choose a type by itself?",
        "Orthanc: DELETE a study": "Is delete a part of the standard? The address exists; the method does not.",
    }
    expect_predictions(predicted, right, nudges)


@exercise(
    "16.2",
    hints=[
        "Servers say in three ways that nothing failed. Which line of the function breaks for each of them?",
        'answer.get("00081198", {}) is never an error; do the same with "Value".',
    ],
    why="An empty sequence may be absent, bare, or an empty list: DICOM JSON allows all three.",
)
def count_of_failures(function: Any) -> None:
    """Mend a function that counts the files that are not stored."""
    item = {"00081197": {"vr": "US", "Value": [272]}}
    stored = {"00081199": {"vr": "SQ", "Value": [{}]}}
    cases = [
        ({"00081198": {"vr": "SQ", "Value": [item, item]}}, 2, "two items"),
        (stored | {"00081198": {"vr": "SQ", "Value": [item]}}, 1, "one item, and one file that is stored"),
        (stored, 0, "no FailedSOPSequence"),
        (stored | {"00081198": {"vr": "SQ"}}, 0, "a FailedSOPSequence without Value"),
        (stored | {"00081198": {"vr": "SQ", "Value": []}}, 0, "a FailedSOPSequence with an empty list"),
    ]
    for answer, right, what in cases:
        try:
            result = result_of(function, answer)
        except NotYet as problem:
            raise NotYet(f"For an answer with {what}: {problem}") from None
        expect_type(result, int)
        if result != right:
            raise NotYet(f"For an answer with {what}, we got {result}.")


@exercise(
    "16.3",
    hints=[
        "limit and offset turn pages, as in lesson 04. When is a page the last one, on a server that you do not know?",
        "Ask with limit 100 and offset len(found), until a page has no rows: 204 without a body, or an empty list.",
    ],
    why="Only an empty page is a sure sign of the end: a server may send fewer rows than you asked for.",
)
def every_study(function: Any) -> None:
    """Write a function that lists all studies of any server."""
    cases = [
        ("Azure, with 3 studies", Archive(3, most=200, empty=204)),
        ("Azure, with none", Archive(0, most=200, empty=204)),
        ("Azure, with 400", Archive(400, most=200, empty=204)),
        ("Orthanc, with 250", Archive(250, most=None, empty=200)),
        ("Orthanc, with none", Archive(0, most=None, empty=200)),
        ("a server that sends 30 rows at a time, with 70", Archive(70, most=None, empty=200, page=30)),
    ]
    for what, archive in cases:
        try:
            result = result_of(function, archive.session(), BASE_URL)
        except NotYet as problem:
            raise NotYet(f"On {what}: {problem} {archive.complaint}".strip()) from None
        if not isinstance(result, list | tuple | set):
            raise NotYet(f"We got {describe(result)}; a list of UIDs was asked for.")
        if not archive.seen:
            raise NotYet("No request reached the server: send it with client.")
        if sorted(map(str, result)) != sorted(archive.studies):
            raise NotYet(f"On {what}, we got {len(result)} UIDs, {len(set(map(str, result)))} different ones.")


class Archive(PretendedServer):
    """A server with `number` studies. `most`: the highest limit; `empty`: the status of no rows; `page`: rows sent."""

    def __init__(self, number: int, most: int | None, empty: int, page: int = 1000) -> None:
        super().__init__(self.answer_to)
        self.studies = [f"2.25.{place}" for place in range(1, number + 1)]
        self.most, self.empty, self.page, self.complaint = most, empty, page, ""

    def answer_to(self, request: requests.PreparedRequest) -> requests.Response:
        url = urlsplit(request.url or "")
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if request.method != "GET" or not (request.url or "").startswith(f"{BASE_URL}/studies"):
            return self.refuse(404, f"The server got {request.method} {request.url}.")
        if "json" not in str(request.headers.get("Accept", "")):
            return self.refuse(406, f"The Accept header was {request.headers.get('Accept')}.")
        limit, offset = int(query.get("limit", 100)), int(query.get("offset", 0))
        if self.most is not None and not 1 <= limit <= self.most:
            return self.refuse(400, f"The limit was {limit}, and the highest is {self.most}.")
        found = self.studies[offset : offset + min(limit or self.page, self.page)]
        if not found and self.empty == 204:
            return reply(204)
        return reply(200, [{STUDY: {"vr": "UI", "Value": [uid]}} for uid in found])

    def refuse(self, status: int, complaint: str) -> requests.Response:
        self.complaint = complaint
        return reply(status)
