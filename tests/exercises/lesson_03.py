"""What is tried on the exercises of lesson 03."""

from typing import Any

import numpy as np
import requests

from helpers import encode_multipart_related
from helpers.exercises.judging import PretendedServer, reply
from tests.exercises.cases import Cases

STUDY, SERIES, METADATA = "GET the study", "GET the series of the circle", "GET the metadata of the study"
RELATED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def predicted(study: Any = 3, series: Any = 1, metadata: Any = 0) -> dict[str, Any]:
    return {STUDY: study, SERIES: series, METADATA: metadata}


def fetched(
    accept: str = RELATED, status: int = 200, kind: str = "application/dicom", path: str = "/series/1.2.3"
) -> requests.Response:
    """Two parts of type `kind`; one file as the whole body where `kind` is empty."""
    body, content_type = encode_multipart_related({name: (name, b"DICM", kind) for name in "ab"}, "XX")
    if not kind:
        body, content_type = b"DICM", "application/dicom"
    answer = reply(status, content=body if status == 200 else b"", Content_Type=content_type)
    session = PretendedServer(lambda request: answer).session()
    return session.get(f"https://pretended.example/v2/studies/1.2{path}", headers={"Accept": accept})


def untouched_syntax(part): ...


def syntax(part):
    for parameter in part.content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name == "transfer-syntax":
            return value.strip('"')
    return ""


def untouched_array(content, rows, columns): ...


def line(content: bytes) -> np.ndarray:
    return np.frombuffer(content, dtype=np.uint8)


CASES = {
    "03.1": Cases(
        untouched=(predicted(..., ..., ...),),
        right=[(predicted(),)],
        mistakes=[
            ((predicted(study=2),), "How many files"),
            ((predicted(series=2),), "share its series"),
            ((predicted(metadata=3),), "is it multipart at all?"),
            ((predicted(metadata=False),), "is it multipart at all?"),
        ],
    ),
    "03.2": Cases(
        untouched=(...,),
        right=[(fetched(),), (fetched("*/*"),)],
        mistakes=[
            ((fetched("application/dicom", 406),), "Still 406, for Accept: application/dicom"),
            ((fetched(status=404),), "We got 404"),
            ((fetched("application/dicom", kind="", path="/series/1.2.3/instances/4"),), "something else"),
            ((fetched(path=""),), "something else"),
            ((fetched(kind=""),), "The files were wanted"),
            ((fetched(kind="application/octet-stream"),), "DICOM files were wanted"),
            (({"Accept": RELATED},), "Response was asked for"),
        ],
    ),
    "03.3": Cases(
        untouched=(untouched_syntax,),
        right=[(syntax,), (lambda part: syntax(part) if "=" in part.headers["content-type"] else "",)],
        mistakes=[
            ((lambda part: part.content_type,), "we got 'application/dicom; transfer"),
            ((lambda part: part.content_type.partition("transfer-syntax=")[2],), "Mind the quotes"),
            ((lambda part: part.content_type.split("=")[1].strip('"'),), "More follows"),
            ((lambda part: "1.2.840.10008.1.2.1",), "octet-stream"),
            ((lambda part: syntax(part) or "none",), "There is none"),
            ((lambda part: syntax(part) or None,), "returned nothing"),
        ],
    ),
    "03.4": Cases(
        untouched=(untouched_array,),
        right=[
            (lambda content, rows, columns: line(content).reshape(rows, columns, 3),),
            (lambda content, rows, columns: np.array(list(content), dtype="uint8").reshape((rows, columns, -1)),),
        ],
        mistakes=[
            ((lambda content, rows, columns: line(content),), "the shape (18,)"),
            ((lambda content, rows, columns: line(content).reshape(columns, rows, 3),), "the shape (3, 2, 3)"),
            ((lambda content, rows, columns: np.array(list(content)).reshape(rows, columns, 3),), "of type int64"),
            (
                (lambda content, rows, columns: line(content).reshape(3, rows, columns).transpose(1, 2, 0),),
                "went to other places",
            ),
            ((lambda content, rows, columns: list(content),), "an array of numpy"),
            ((lambda content, rows, columns: line(content).reshape(979, 985, 3),), "ValueError"),
        ],
    ),
}
