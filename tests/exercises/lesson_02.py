"""What is tried on the exercises of lesson 02."""

from typing import Any

import requests

from helpers import encode_multipart_related
from helpers.exercises.judging import PretendedServer, reply
from tests.exercises.cases import Cases

RELATED = 'multipart/related; type="application/dicom"'


def predicted(status: Any = 409, stored: Any = 0, failed: Any = 3, reason: Any = 45070) -> dict[str, Any]:
    return {"status": status, "stored": stored, "failed": failed, "FailureReason": reason}


def posted(content_type: str, status: int, reason: int | None = None, method: str = "POST") -> requests.Response:
    """The reply to a body that was sent with `content_type`; with `reason`, one file is listed as not stored."""
    item = {"00081155": {"vr": "UI", "Value": ["1.2.3"]}, "00081197": {"vr": "US", "Value": [reason]}}
    data = {"00081198": {"vr": "SQ", "Value": [item]}} if reason else None
    answer = reply(status, data, Content_Type="application/dicom+json" if reason else "text/plain")
    session = PretendedServer(lambda request: answer).session()
    return session.request(method, "https://pretended.example/v2/studies", headers={"Content-Type": content_type})


def untouched_lists(answer): ...


def lists(answer):
    stored = [item["00081155"]["Value"][0] for item in answer.get("00081199", {}).get("Value", [])]
    failed = [item["00081155"]["Value"][0] for item in answer.get("00081198", {}).get("Value", [])]
    return stored, failed


def items(answer, tag):
    return [item["00081155"]["Value"][0] for item in answer[tag]["Value"]] if tag in answer else []


def untouched_body(first, second, boundary): ...


def by_hand(first: bytes, second: bytes, boundary: str, **changes: bytes) -> bytes:
    line = {"end": b"\r\n", "header": b"Content-Type: application/dicom", "close": b"--\r\n", "gap": b"\r\n"} | changes
    body = b""
    for content in (first, second):
        body += b"--" + boundary.encode() + line["end"] + line["header"] + line["end"] + line["gap"]
        body += content + line["end"]
    return body + b"--" + boundary.encode() + line["close"]


def changed(**changes: bytes) -> Any:
    return lambda first, second, boundary: by_hand(first, second, boundary, **changes)


CASES = {
    "02.1": Cases(
        untouched=(predicted(..., ..., ..., ...),),
        right=[(predicted(),)],
        mistakes=[
            ((predicted(status=202, stored=0),), "202 for some"),
            ((predicted(stored=3),), "new to the server"),
            ((predicted(failed=1),), "an item of its own"),
            ((predicted(reason=43264),), "The study is right"),
            ((409,), "dict was asked for"),
        ],
    ),
    "02.2": Cases(
        untouched=(...,),
        right=[
            (posted(f"{RELATED}; boundary=blue-line", 409, 45070),),
            (posted('multipart/related; boundary="blue-line"', 409, 45070),),
            (posted(f"{RELATED}; boundary=blue-line", 200),),
        ],
        mistakes=[
            ((posted(RELATED, 415),), "Still 415"),
            ((posted(f"{RELATED}; boundary=red-line", 400),), "the body has another"),
            ((posted("application/dicom", 409, 43264),), "it should say so"),
            ((posted(f"{RELATED}; boundary=blue-line", 409, 43264),), "FailureReason [43264]"),
            ((posted(f"{RELATED}; boundary=blue-line", 401),), "We got 401"),
            ((posted(RELATED, 405, method="PUT"),), "The request was a PUT"),
            ((f"{RELATED}; boundary=blue-line",), "Response was asked for"),
        ],
    ),
    "02.3": Cases(
        untouched=(untouched_lists,),
        right=[(lists,), (lambda answer: [set(each) for each in lists(answer)],)],
        mistakes=[
            ((lambda answer: lists(answer)[::-1],), "stored ones come first"),
            ((lambda answer: lists(answer)[0],), "two lists"),
            ((lambda answer: (lists(answer)[0], []),), "nothing is stored we got 0 stored and 0 failed"),
            ((lambda answer: (answer["00081199"]["Value"], answer["00081198"]["Value"]),), "KeyError"),
            ((lambda answer: [items(answer, "00081199"), items(answer, "00081198")],), "KeyError: 'Value'"),
            ((lambda answer: print(end=""),), "return"),
        ],
    ),
    "02.4": Cases(
        untouched=(untouched_body,),
        right=[
            (by_hand,),
            (changed(close=b"--"),),
            (lambda first, second, boundary: bytearray(by_hand(first, second, boundary)),),
            (lambda first, second, boundary: encode_multipart_related([first, second], boundary)[0],),
        ],
        mistakes=[
            ((changed(end=b"\n"),), r"Every line ends with \r\n"),
            ((changed(close=b"\r\n"),), "take this body apart"),
            ((changed(gap=b""),), "take this body apart"),
            ((changed(header=b"Content-Type: text/plain"),), "say that they are text/plain"),
            ((lambda first, second, boundary: by_hand(first, first, boundary),), "bytes"),
            ((lambda first, second, boundary: by_hand(first, second, "other"),), "take this body apart"),
            ((lambda first, second, boundary: encode_multipart_related([first], boundary)[0],), "found 1 parts"),
            ((lambda first, second, boundary: encode_multipart_related([first, second], boundary),), "bytes or"),
            ((lambda first, second, boundary: "--" + boundary + first,), "TypeError"),
        ],
    ),
}
