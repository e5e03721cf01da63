"""The exercises of lesson 06: what a server says to a body, and bodies written and read by hand."""

from typing import Any

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import expect_predictions
from helpers.multipart import MalformedBody, MultipartError, Part, TruncatedBody, WrongBoundary, split_parts

FRAMING = "--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"


@exercise(
    "06.1",
    hints=[
        'Write each body as `b"".join([…])` and give it to `send(body, content_type)`. What status comes back?',
        "The request's type is lent to one part only; text before the first boundary is passed over (RFC 2046 calls it "
        "the preamble); and a request without any part leaves the server nothing to say.",
    ],
    why="A status judges the whole body: one part without a type, and no part of it is stored.",
)
def statuses_of_bodies(predictions: Any) -> None:
    """Predict the status that each of three bodies gets."""
    expect_predictions(
        predictions,
        {
            "the closing line alone, no parts": 204,
            "two whole parts, the second without a Content-Type": 415,
            "a line of text, CRLF, then a whole body": 200,
        },
        {
            "the closing line alone, no parts": "Nothing was sent that could be refused. What is there to answer?",
            "two whole parts, the second without a Content-Type": "To which part is the type of the request lent?",
            "a line of text, CRLF, then a whole body": "Make such a body and send it. What is stored?",
        },
    )


@exercise(
    "06.2",
    hints=[
        "Cut the body into three: the lines before the file, the file, the last line. The file must not change.",
        r'The first empty line, `b"\n\n"`, ends the headers. The last `b"\n--"` with the boundary ends the file.',
    ],
    why="A file is no text: whoever changes its line ends changes the picture.",
)
def mend_lines(function: Any) -> None:
    """Write a function that mends a body of one part whose lines end with LF alone."""
    for boundary, content in (
        ("b", b"DICM\x00\x0a\x00"),
        ("stamp-06", b"one\ntwo\n\nthree\r\nfour\n"),
        ("x.y", b"a line\n--x\nand --x.y in it"),
    ):
        header = FRAMING.format(boundary=boundary).replace("\r\n", "\n").encode()
        result = result_of(function, header + content + f"\n--{boundary}--\n".encode())
        (part,) = parts(result, boundary, 1)
        if part.content_type != "application/dicom":
            raise NotYet(f"The part's Content-Type should be application/dicom as before; it is {part.content_type!r}.")
        if part.content != content:
            raise NotYet(
                f"The file in the part was {content!r}, and now it is {part.content!r}. Which bytes belong to the file?"
            )


@exercise(
    "06.3",
    hints=[
        "Every part has an opening line, its header, an empty line and its file. The closing line comes once.",
        'Between two parts stands `b"\\r\\n--"` and the boundary: that line end belongs to the delimiter.',
    ],
    why="This is all that STOW-RS asks of a client, in any language.",
)
def write_body(function: Any) -> None:
    """Write a function that takes files and a boundary and returns a body."""
    for files, boundary in (([b"DICM"], "b"), ([b"one\r\n", b"\ntwo", b""], "stamp-06")):
        found = parts(result_of(function, list(files), boundary), boundary, len(files))
        for number, (part, file) in enumerate(zip(found, files), start=1):
            if part.content_type.lower() != "application/dicom":
                raise NotYet(f"Part {number} of {len(files)} has the Content-Type {part.content_type or 'missing'!r}.")
            if part.content != file:
                raise NotYet(f"Part {number} of {len(files)} should hold {file!r}, and it holds {part.content!r}.")


@exercise(
    "06.4",
    hints=[
        "First the boundary: it may stand in quotes, and another parameter may follow it. Then split, then cut.",
        'Put `b"\\r\\n"` before the body and split it at `b"\\r\\n--"` with the boundary. First and last piece '
        "are no parts. In each of the others, the first empty line ends the headers.",
    ],
    why="You can read what any server sends, even where your library cannot.",
)
def take_apart(function: Any) -> None:
    """Write a function that takes a Content-Type and a body and returns the files in it."""
    cases = [
        ("multipart/related; boundary=b", "b", [b"DICM"]),
        ('multipart/related; boundary="b=1"; type="application/dicom"', "b=1", [b"one\r\n\r\ntwo", b"three"]),
        (
            'multipart/related; type="application/dicom"; boundary=cut',
            "cut",
            [b"a --cut\r\n", b"\n--cut\nx", b""],
        ),
    ]
    for content_type, boundary, files in cases:
        header = FRAMING.format(boundary=boundary).encode()
        body = b"".join(header + file + b"\r\n" for file in files) + f"--{boundary}--\r\n".encode()
        found = result_of(function, content_type, body)
        where = f"For a reply of {len(files)} with {content_type!r}"
        if not isinstance(found, list | tuple):
            raise NotYet(f"{where} we got {describe(found)}; a list of the files was asked for.")
        if len(found) != len(files):
            raise NotYet(f"{where} we got {len(found)} files. How does the boundary look in the body?")
        for got, file in zip(found, files):
            if got != file:
                got = got if isinstance(got, bytes) else describe(got)
                raise NotYet(f"{where} one file should be {file!r}, and we got {got!r}. Where does it begin and end?")


def parts(body: Any, boundary: str, number: int) -> list[Part]:
    """The parts of what a learner's function made. Raises NotYet with what a reader would stumble over."""
    if isinstance(body, tuple | list) and body and isinstance(body[0], bytes):
        body = body[0]  # with its Content-Type beside it, as encode_multipart_related returns it
    expect_type(body, bytes, bytearray)
    found = []
    try:
        for part in split_parts([bytes(body)], boundary):
            part.content  # keeps it
            found.append(part)
    except TruncatedBody:
        raise NotYet("We got a body that does not end: how does the last line begin and end?") from None
    except WrongBoundary:
        raise NotYet(f"We got a body in which no line is --{boundary}. How does a part begin?") from None
    except MalformedBody as problem:
        raise NotYet(f"We got a body that cannot be read: {problem}.") from None
    except MultipartError as problem:
        raise NotYet(f"We got a body with a fault: {problem}") from None
    if len(found) != number:
        raise NotYet(f"We got {len(found)} parts for {number} file{'' if number == 1 else 's'}.")
    return found
