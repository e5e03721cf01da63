"""The exercises of lesson 02: bodies in parts, and what the server says about each file."""

from typing import Any

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import expect_predictions, expect_reply
from helpers.multipart import MultipartError, split_parts

STORED, FAILED, UID, REASON = "00081199", "00081198", "00081155", "00081197"
ALREADY_STORED = 45070


@exercise(
    "02.1",
    hints=[
        "The lesson sent the blue circle a second time. Look at that reply once more.",
        "None of the three is stored anew, so the status is that of a request of which nothing is stored.",
    ],
    why="Whoever sends a request again, after a lost reply, sees this answer; it says that all is well.",
)
def stored_once_more(predicted: Any) -> None:
    """Predict the answer to storing three files that are there already."""
    right = {"status": 409, "stored": 0, "failed": 3, "FailureReason": ALREADY_STORED}
    nudges = {
        "status": "200 is for all, 202 for some; what is it when nothing is stored?",
        "stored": "How many of the files are new to the server?",
        "failed": "Each file that is not stored has an item of its own.",
        "FailureReason": "The study is right, and so are the files. What is the matter with them?",
    }
    expect_predictions(predicted, right, nudges)


def failure_reasons(answer: Any) -> list[int]:
    """The FailureReason of each file that an answer data set lists as not stored."""
    failed = answer.get(FAILED, {}).get("Value", []) if isinstance(answer, dict) else []
    return [item[REASON]["Value"][0] for item in failed]


@exercise(
    "02.2",
    hints=[
        "The server must know where a part begins. With which line does the body begin?",
        'Add a third piece to the Content-Type: boundary=blue-line. Keep type="application/dicom".',
    ],
    why="409 with 45070 is good news here: the server could read the body, and it knows the file already.",
)
def boundary_named(answer: Any) -> None:
    """Repair the Content-Type, so that the server can read the body."""
    response = expect_reply(answer)
    sent = response.request.headers.get("Content-Type", "")
    if response.request.method != "POST":
        raise NotYet(f"The request was a {response.request.method}. Storing is a POST to /studies.")
    if not sent.lower().startswith("multipart/related"):
        raise NotYet(f"The Content-Type that was sent is {sent!r}. The body has parts, so it should say so.")
    if response.status_code == 415:
        raise NotYet(f"Still 415, for {sent!r}. What can the server not know from it?")
    if response.status_code == 400:
        raise NotYet(f"400: the server looked for the boundary that {sent!r} names, and the body has another.")
    answered = response.status_code == 409 and response.headers.get("Content-Type", "").startswith("application/dicom")
    reasons = failure_reasons(response.json()) if answered else []
    if response.status_code not in (200, 202) and set(reasons) != {ALREADY_STORED}:
        raise NotYet(f"We got {response.status_code} with FailureReason {reasons or 'none'}; the file should be read.")


@exercise(
    "02.3",
    hints=[
        "00081199 lists what is stored, 00081198 what is not. Either of them can be missing.",
        'answer.get("00081198", {}).get("Value", []) is a list in every case; each item has its UID in 00081155.',
    ],
    why="Only these two lists say what became of your files; the status is a summary.",
)
def stored_and_failed(function: Any) -> None:
    """Write a function that tells the UIDs of stored files from those of failed ones."""
    for stored, failed, what in (
        (["1.2.1", "1.2.2"], [], "an answer where all is stored"),
        ([], ["1.2.3"], "an answer where nothing is stored"),
        (["1.2.4"], ["1.2.5", "1.2.6"], "an answer where some are stored"),
    ):
        for empty in ({}, {"vr": "SQ"}):
            answer = {STORED: sequence(stored) or empty, FAILED: sequence(failed) or empty}
            got = result_of(function, {tag: value for tag, value in answer.items() if value})
            pair = isinstance(got, tuple | list) and len(got) == 2
            if not pair or not all(isinstance(each, list | tuple | set) for each in got):
                raise NotYet(f"We got {describe(got)}; two lists were asked for: return stored, failed.")
            if [sorted(each) for each in got] == [failed, stored]:
                raise NotYet("The stored ones come first, then the failed ones.")
            if [sorted(each) for each in got] != [stored, failed]:
                raise NotYet(f"For {what} we got {len(got[0])} stored and {len(got[1])} failed, or other UIDs.")


def sequence(uids: list[str]) -> dict[str, Any]:
    items = [{UID: {"vr": "UI", "Value": [uid]}, REASON: {"vr": "US", "Value": [ALREADY_STORED]}} for uid in uids]
    return {"vr": "SQ", "Value": items} if items else {}


@exercise(
    "02.4",
    hints=[
        "Lesson 01 built a body with one part. The same lines come once more, before the last boundary.",
        'For each file: b"--" + boundary, a line end, the header, an empty line, the file, a line end. '
        "At the end the boundary with two dashes on both sides. boundary.encode() makes bytes of the text.",
    ],
    why="Dashes, headers, empty line, bytes: with that you can talk to any DICOMweb server, without a helper.",
)
def body_of_two_parts(function: Any) -> None:
    """Write a function that returns a multipart body of two files."""
    for first, second, boundary in (
        (b"DICM, the first", b"DICM, the second", "two-files"),
        (b"\r\nends with a line\r\n", b"\x00\xff", "a-line-that-is-not-in-the-file"),
    ):
        body = result_of(function, first, second, boundary)
        expect_type(body, bytes, bytearray)
        body = bytes(body)
        if b"\n" in body.replace(b"\r\n", b""):
            raise NotYet(r"There is a line that ends with \n alone. Every line ends with \r\n.")
        try:
            parts = [(part.content_type, part.content) for part in split_parts([body], boundary)]
        except MultipartError as error:
            raise NotYet(f"A server could not take this body apart: {error}.") from None
        if len(parts) != 2:
            raise NotYet(f"We found {len(parts)} parts in it; two files were given.")
        if [content for _, content in parts] != [first, second]:
            lengths = [len(content) for _, content in parts]
            raise NotYet(f"The parts hold {lengths} bytes, the files {[len(first), len(second)]}, or other ones.")
        if {kind for kind, _ in parts} != {"application/dicom"}:
            raise NotYet(f"The parts say that they are {parts[0][0] or 'of no type'}. DICOM files were sent.")
