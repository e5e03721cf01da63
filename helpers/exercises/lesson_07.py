"""The exercises of lesson 07: which fault a server names, and reading its reasons by program."""

from collections.abc import Mapping
from typing import Any

import requests

from helpers.exercises import NotYet, describe, exercise, result_of
from helpers.exercises.judging import expect_predictions, expect_reply, path_of, reply

CIRCLE = "1.2.826.0.1.3680043.8.498.13273713909719068980354078852867170114"


@exercise(
    "07.1",
    hints=[
        'Send them: `requests.get` has no token, `lesson.client_as("reader")` is a reader; the rest is yours.',
        "A doorkeeper first asks who you are, then whether you may come in. The contents of the house come last.",
    ],
    why="A refusal names one fault. Others may wait behind it, so mend, send again, and read again.",
)
def first_fault(predictions: Any) -> None:
    """Predict which of two faults the status names."""
    expect_predictions(
        predictions,
        {
            "no token, and metadata asked for as image/gif": 401,
            "a reader deletes the study 1.2.3, which nobody has": 403,
            "a study that is not there, asked for as image/gif": 406,
        },
        {
            "no token, and metadata asked for as image/gif": "What does a server ask a stranger first?",
            "a reader deletes the study 1.2.3, which nobody has": "Does somebody who may not delete get to know more?",
            "a study that is not there, asked for as image/gif": "Which of the two can be seen without looking for it?",
        },
    )


@exercise(
    "07.2",
    hints=[
        "`show_exchange(broken)` shows the first fault. Mend it, send, and show the next one.",
        "406 speaks of the Accept header, 400 of a UID in the path, and 404 says that the circle is in another series. "
        "The section about 404 finds out which, and `circle_series` holds one.",
    ],
    why="Faults hide behind each other: a request is mended when the answer is what you asked for.",
)
def mended_request(response: Any) -> None:
    """Mend a request for the metadata of the circle."""
    expect_reply(response)
    if response.status_code != 200:
        said = response.text[:120] or "nothing about it"
        raise NotYet(f"The server answers {response.status_code} and says: {said}. Which part of the request is that?")
    if not path_of(response).rstrip("/").endswith(f"/instances/{CIRCLE}/metadata"):
        raise NotYet("That is an answer to another question. The path should end with the circle's UID and /metadata.")
    try:
        (data_set,) = response.json()
    except ValueError:
        raise NotYet("The answer should be a JSON list of one data set.") from None
    if data_set.get("00080018", {}).get("Value") != [CIRCLE]:
        raise NotYet("These are the metadata of another instance.")


@exercise(
    "07.3",
    hints=[
        "`place_of_reason` in the lesson tells the four places apart. Return what stands there.",
        'In DICOM JSON: each item of ["00081198"]["Value"] may have 00741048, with the comment in 00000902. '
        'An empty sequence has no "Value", so use get("Value", []). Without a comment, 00081197 is the reason.',
    ],
    why="A program that logs the reason saves the next person an afternoon.",
)
def why(function: Any) -> None:
    """Write a function that returns the reason of a refusal as text."""
    challenge = 'Bearer realm="https://dicom.healthcareapis.azure.com"'
    text = "The specified study cannot be found."
    comments = ["DICOM100: (0010,0020) - missing", "DICOM100: (0008,0060) - too long"]
    cases = [
        ("a text", worded(404, text), [text]),
        ("WWW-Authenticate", worded(401, headers={"WWW-Authenticate": challenge}), [challenge]),
        ("one ErrorComment", worded(409, failed=[failure("1.2.3", 43264, comments[:1])]), comments[:1]),
        ("two ErrorComments", worded(409, failed=[failure("1.2.3", 43264, comments)]), comments),
        ("FailureReason 45070 and no comment", worded(409, failed=[failure("1.2.3", 45070)]), ["45070"]),
        (
            "a file that is there already and one with a comment",
            worded(409, failed=[failure("1.2.3", 45070), failure("1.2.4", 43264, comments[1:])]),
            ["45070", comments[1]],
        ),
    ]
    for what, response, words in cases:
        reason = result_of(function, response)
        if not isinstance(reason, str):
            raise NotYet(f"For a reply with {what} we got {describe(reason)}; a text was asked for.")
        for word in words:
            if word not in reason:
                raise NotYet(f"For a reply with {what} we got {reason!r}. Something that the server says is not in it.")
        if len(reason) > len("".join(words)) + 80:
            raise NotYet(f"For a reply with {what} we got {len(reason)} characters. Only the reason was asked for.")
    nothing = result_of(function, worded(406))
    if nothing != "":
        raise NotYet(f'For a reply with an empty body we got {describe(nothing)}; "" was asked for.')


@exercise(
    "07.4",
    hints=[
        "Stored files stand in 00081199, the others in 00081198. Either may be missing. An item's UID is in 00081155.",
        'A stored item with a warning has the key "00081196". Do not look at 00741048: v2 has it in every stored item.',
    ],
    why="Whoever stores files has to know what became of each, and a status alone cannot say it.",
)
def sort_out(function: Any) -> None:
    """Write a function that sorts the files of a store into stored, stored with a warning, and not stored."""
    good, warned, bad = stored("1.2.1"), stored("1.2.2", warning=1), failure("1.2.3", 43264, ["DICOM100: …"])
    older = {tag: value for tag, value in good.items() if tag != "00741048"}
    cases: list[tuple[str, requests.Response, tuple[list[str], list[str], list[str]]]] = [
        ("one file is stored", worded(200, stored=[good]), (["1.2.1"], [], [])),
        ("v1 stores one file", worded(200, stored=[older]), (["1.2.1"], [], [])),
        ("one file is stored with a warning", worded(202, stored=[warned]), ([], ["1.2.2"], [])),
        ("no file is stored", worded(409, failed=[bad]), ([], [], ["1.2.3"])),
        (
            "each of the three is there",
            worded(202, stored=[good, warned], failed=[bad]),
            (["1.2.1"], ["1.2.2"], ["1.2.3"]),
        ),
    ]
    names = ("stored without a warning", "stored with a warning", "not stored")
    for what, response, right in cases:
        lists = result_of(function, response)
        if not isinstance(lists, tuple | list) or len(lists) != 3:
            raise NotYet(f"When {what} we got {describe(lists)}; three lists were asked for.")
        for name, got, uids in zip(names, lists, right):
            if not isinstance(got, list | tuple | set):
                raise NotYet(f"When {what}, the list `{name}` is {describe(got)}.")
            if sorted(map(str, got)) != uids:
                raise NotYet(f"When {what}, the list `{name}` is {sorted(map(str, got))}. Which key tells?")


# ---------------------------------------------------------------------------------------------- replies to try them on


def worded(
    status: int,
    text: str = "",
    headers: Mapping[str, str] | None = None,
    stored: list[dict[str, Any]] | None = None,
    failed: list[dict[str, Any]] | None = None,
) -> requests.Response:
    """A reply as the service words it: empty, with a text, or to a store with its two lists."""
    lists = {"00081199": stored, "00081198": failed}
    answer = {tag: sequence(items) for tag, items in lists.items() if items}
    if answer:
        return reply(status, answer, Content_Type="application/dicom+json; charset=utf-8")
    typed = {"Content-Type": "text/plain; charset=utf-8"} if text else {}
    return reply(status, content=text.encode(), **typed, **(headers or {}))


def sequence(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}


def stored(uid: str, warning: int | None = None) -> dict[str, Any]:
    """An item of ReferencedSOPSequence, as v2 writes it."""
    comments = [{"00000902": {"vr": "LO", "Value": ["DICOM100: …"]}}] if warning else []
    item = {"00081155": {"vr": "UI", "Value": [uid]}, "00741048": sequence(comments)}
    return item | ({"00081196": {"vr": "US", "Value": [warning]}} if warning else {})


def failure(uid: str, reason: int, comments: list[str] | None = None) -> dict[str, Any]:
    """An item of FailedSOPSequence."""
    item = {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [reason]}}
    attributes = [{"00000902": {"vr": "LO", "Value": [comment]}} for comment in comments or []]
    return item | ({"00741048": sequence(attributes)} if attributes else {})
