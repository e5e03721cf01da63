"""The exercises of lesson 03: parts, forms, transfer syntaxes, and the bytes of a frame."""

from typing import Any

import numpy as np
from requests.structures import CaseInsensitiveDict

from helpers.exercises import NotYet, describe, exercise, result_of
from helpers.exercises.judging import expect_predictions, expect_reply, path_of
from helpers.multipart import MultipartError, Part, parts_of


@exercise(
    "03.1",
    hints=[
        "Count the files that each path names, in the tree of lesson 00. Then ask in which form the reply comes.",
        "The circle has a series of its own. Metadata are JSON, and JSON has no parts.",
    ],
    why="Files and frames come as parts, one each; facts come as one JSON list.",
)
def parts_of_replies(predicted: Any) -> None:
    """Predict how many parts three replies have."""
    right = {"GET the study": 3, "GET the series of the circle": 1, "GET the metadata of the study": 0}
    nudges = {
        "GET the study": "How many files belong to it?",
        "GET the series of the circle": "With which shape does the circle share its series?",
        "GET the metadata of the study": "Look at the Content-Type of that reply: is it multipart at all?",
    }
    expect_predictions(predicted, right, nudges)


@exercise(
    "03.2",
    hints=[
        "The refused header asks for one bare file. How many files does this series have?",
        'Put the type inside: multipart/related; type="application/dicom"; and keep transfer-syntax=*.',
    ],
    why="One file can be a whole body. Several need parts, even when you would be content with the first.",
)
def accept_repaired(answer: Any) -> None:
    """Repair the Accept header, so that the series comes."""
    response = expect_reply(answer)
    sent = response.request.headers.get("Accept", "")
    if response.status_code == 406:
        raise NotYet(f"Still 406, for Accept: {sent}. Which header brought the whole study in the lesson?")
    if response.status_code != 200:
        raise NotYet(f"We got {response.status_code} {response.reason} for {path_of(response)[-40:]}.")
    if "/instances" in path_of(response) or "/series/" not in path_of(response):
        raise NotYet("You asked for something else. Keep the address of the series, and change the header.")
    try:
        parts = parts_of(response)
    except MultipartError:
        raise NotYet(f"The reply is {response.headers.get('Content-Type')}. The files were wanted.") from None
    if not all(part.content_type.startswith("application/dicom") for part in parts):
        raise NotYet(f"The parts are {parts[0].content_type or 'of no type'}. DICOM files were wanted.")


@exercise(
    "03.3",
    hints=[
        "part.content_type is a text with semicolons in it. Which piece begins with transfer-syntax=?",
        'Split at ";", strip the blanks, split at "=", and strip the quotes. Return "" when no piece fits.',
    ],
    why="The transfer syntax of a part says which decoder its pixels need, before you open the file.",
)
def transfer_syntax_of_part(function: Any) -> None:
    """Write a function that takes a part and returns its transfer syntax."""
    for content_type, expected, what in (
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1", ""),
        ("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.90", ""),
        (
            'application/dicom;transfer-syntax="1.2.840.10008.1.2.4.50"',
            "1.2.840.10008.1.2.4.50",
            " Mind the quotes.",
        ),
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2; q=1", "1.2.840.10008.1.2", " More follows after it."),
        ("application/dicom", "", " There is none."),
    ):
        got = result_of(function, Part(CaseInsensitiveDict({"Content-Type": content_type}), iter(())))
        if got != expected:
            raise NotYet(f"For a part of type {content_type} we got {describe(got)}.{what}")


@exercise(
    "03.4",
    hints=[
        "np.frombuffer(content, dtype=np.uint8) makes one long line of numbers. Then give it a shape.",
        "Row by row, point by point, three colours each: .reshape(rows, columns, 3).",
    ],
    why="That is what decode_frame does for frames that are not compressed.",
)
def frame_to_array(function: Any) -> None:
    """Write a function that turns the bytes of a colour frame into an array."""
    for rows, columns in ((2, 3), (5, 4), (1, 7)):
        expected = (np.arange(rows * columns * 3) * 7 % 256).astype(np.uint8).reshape(rows, columns, 3)
        got = result_of(function, expected.tobytes(), rows, columns)
        if not isinstance(got, np.ndarray):
            raise NotYet(f"We got {describe(got)}; an array of numpy was asked for.")
        if got.shape != expected.shape:
            raise NotYet(f"For {rows} rows and {columns} columns of three colours the array has the shape {got.shape}.")
        if got.dtype != np.uint8:
            raise NotYet(f"The numbers are of type {got.dtype}. Each byte is a number from 0 to 255 of its own.")
        if not np.array_equal(got, expected):
            raise NotYet("The shape is right, and the colours went to other places. What comes first in the bytes?")
