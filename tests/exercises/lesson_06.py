"""What is tried on the exercises of lesson 06."""

import re
from email import message_from_bytes, policy

from helpers import encode_multipart_related
from tests.exercises.cases import Cases

NO_PARTS = "the closing line alone, no parts"
NO_TYPE = "two whole parts, the second without a Content-Type"
TEXT = "a line of text, CRLF, then a whole body"


def untouched_lines(lf_body): ...


def lines(lf_body):
    headers, _, rest = lf_body.partition(b"\n\n")
    boundary = headers.split(b"\n")[0]
    content = rest[: rest.rindex(b"\n" + boundary)]
    return headers.replace(b"\n", b"\r\n") + b"\r\n\r\n" + content + b"\r\n" + boundary + b"--\r\n"


def lines_with_the_helper(lf_body):
    first, _, rest = lf_body.partition(b"\n")
    content = rest[rest.index(b"\n\n") + 2 : rest.rindex(b"\n" + first)]
    return encode_multipart_related([content], first[2:].decode())[0] if content.count(first) == 0 else lines(lf_body)


def untouched_write(files, boundary): ...


def write(files, boundary):
    delimiter = f"--{boundary}".encode()
    parts = [delimiter + b"\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files]
    return b"".join(parts) + delimiter + b"--\r\n"


def untouched_take(content_type, body): ...


def take(content_type, body, line=b"\r\n", quotes='"', after=";"):
    boundary = content_type.partition("boundary=")[2].split(after)[0].strip(quotes)
    pieces = (line + body).split(line + f"--{boundary}".encode())
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:-1]]


def take_at_any_line_end(content_type, body):
    boundary = re.search('boundary="?([^";]+)', content_type)[1]
    pieces = re.split(rf"\r?\n--{boundary}".encode(), b"\n" + body)
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:-1]]


def take_with_the_standard_library(content_type, body):
    message = message_from_bytes(
        f"Content-Type: {content_type}\r\n\r\n".encode() + body.replace(b"\n--cut\n", b"\n==cut\n"), policy=policy.HTTP
    )
    return [part.get_payload(decode=True).replace(b"\n==cut\n", b"\n--cut\n") for part in message.iter_parts()]


CASES = {
    "06.1": Cases(
        untouched=({NO_PARTS: ..., NO_TYPE: ..., TEXT: ...},),
        right=[({NO_PARTS: 204, NO_TYPE: 415, TEXT: 200},), ({TEXT: 200, NO_TYPE: 415, NO_PARTS: 204},)],
        mistakes=[
            (({NO_PARTS: 400, NO_TYPE: 415, TEXT: 200},), "we got 400. Nothing was sent"),
            (({NO_PARTS: 204, NO_TYPE: 202, TEXT: 200},), "To which part"),
            (({NO_PARTS: 204, NO_TYPE: 415, TEXT: 400},), "2 of 3 right"),
            (({NO_PARTS: 204, NO_TYPE: 415},), "Keep the words"),
            (([204, 415, 200],), "dict was asked for"),
        ],
    ),
    "06.2": Cases(
        untouched=(untouched_lines,),
        right=[(lines,), (lines_with_the_helper,), (lambda body: lines(body)[:-2],)],
        mistakes=[
            ((lambda body: body.replace(b"\n", b"\r\n"),), "Which bytes belong to the file?"),
            ((lambda body: body,), "LF alone"),
            ((lambda body: lines(body).replace(b"--\r\n", b"\r\n"),), "does not end"),
            ((lambda body: lines(body).replace(b": application/dicom", b":"),), "should be application/dicom"),
            ((lambda body: lines(body).replace(b"--", b""),), "How does a part begin?"),
            ((lambda body: lines(body).decode("latin-1"),), "bytes or bytearray was asked for"),
            ((lines(b"--b\n\n\n--b--\n"),), "A function was asked for"),
        ],
    ),
    "06.3": Cases(
        untouched=(untouched_write,),
        right=[
            (write,),
            (lambda files, boundary: encode_multipart_related(files, boundary),),
            (lambda files, boundary: encode_multipart_related(files, boundary)[0],),
            (lambda files, boundary: b"a preamble\r\n" + write(files, boundary)[:-2],),
        ],
        mistakes=[
            ((lambda files, boundary: write(files[:1], boundary),), "1 parts for 3 files"),
            ((lambda files, boundary: write(files, boundary)[:-4],), "does not end"),
            ((lambda files, boundary: write(files, "mine"),), "no line is --b"),
            ((lambda files, boundary: write(files, boundary).replace(b"\r\n", b"\n"),), "LF alone"),
            ((lambda files, boundary: write(files, boundary).replace(b"application/dicom", b""),), "missing"),
            ((lambda files, boundary: write([file + b"\r\n" for file in files], boundary),), "it holds b'DICM\\r\\n'"),
            ((lambda files, boundary: write(files[0], boundary),), "TypeError"),
        ],
    ),
    "06.4": Cases(
        untouched=(untouched_take,),
        right=[
            (take,),
            (lambda content_type, body: tuple(take(content_type, body)),),
            (take_with_the_standard_library,),
        ],
        mistakes=[
            ((lambda content_type, body: take(content_type, body, quotes=""),), "How does the boundary look"),
            ((lambda content_type, body: take(content_type, body, after="|"),), "How does the boundary look"),
            ((lambda content_type, body: take(content_type, body, line=b""),), "Where does it begin"),
            (
                (take_at_any_line_end,),
                "with 'multipart/related; type=\"application/dicom\"; boundary=cut' we got 4 files",
            ),
            ((lambda content_type, body: [body],), "Where does it begin"),
            ((lambda content_type, body: body,), "a list of the files"),
            ((lambda content_type, body: [str(file) for file in take(content_type, body)],), "Where does it begin"),
        ],
    ),
}
