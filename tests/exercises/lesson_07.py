"""What is tried on the exercises of lesson 07."""

import json
from typing import Any

import requests

from helpers.exercises.lesson_07 import CIRCLE
from tests.exercises.cases import Cases

NO_TOKEN = "no token, and metadata asked for as image/gif"
READER = "a reader deletes the study 1.2.3, which nobody has"
NOT_THERE = "a study that is not there, asked for as image/gif"


def answered(status: int, body: Any = "", path: str = f"/v2/studies/1.2/series/1.3/instances/{CIRCLE}/metadata") -> Any:
    """What the server says to a request for metadata."""
    response = requests.Response()
    response.request = requests.Request("GET", f"http://127.0.0.1:8080{path}").prepare()
    response.status_code = status
    response._content = (body if isinstance(body, str) else json.dumps(body)).encode()
    return response


METADATA = [{"00080018": {"vr": "UI", "Value": [CIRCLE]}}]


def untouched_why(response): ...


def why(response):
    if "WWW-Authenticate" in response.headers:
        return response.headers["WWW-Authenticate"]
    if not response.headers.get("Content-Type", "").startswith("application/dicom+json"):
        return response.text
    reasons = []
    for item in response.json()["00081198"]["Value"]:
        comments = [each["00000902"]["Value"][0] for each in item.get("00741048", {}).get("Value", [])]
        reasons += comments or [str(item["00081197"]["Value"][0])]
    return "; ".join(reasons)


def why_with_all_reasons(response):
    """Numbers and comments, a line each."""
    if not response.content:
        return response.headers.get("WWW-Authenticate", "")
    try:
        items = response.json()["00081198"]["Value"]
    except ValueError:
        return f"the server said: {response.text}"
    lines = []
    for item in items:
        lines.append(f"FailureReason {item['00081197']['Value'][0]}")
        lines += [each["00000902"]["Value"][0] for each in item.get("00741048", {}).get("Value", [])]
    return "\n".join(lines)


def untouched_sort(response): ...


def sort_out(response, warning="00081196"):
    answer = response.json()
    lists = [], [], []
    for item in answer.get("00081199", {}).get("Value", []):
        lists[warning in item].append(item["00081155"]["Value"][0])
    for item in answer.get("00081198", {}).get("Value", []):
        lists[2].append(item["00081155"]["Value"][0])
    return lists


def sort_by_status(response):
    uids = [item["00081155"]["Value"][0] for item in response.json().get("00081199", {}).get("Value", [])]
    good, warned, bad = sort_out(response)
    return (uids, [], bad) if response.status_code == 200 else ([], uids, bad)


CASES = {
    "07.1": Cases(
        untouched=({NO_TOKEN: ..., READER: ..., NOT_THERE: ...},),
        right=[({NO_TOKEN: 401, READER: 403, NOT_THERE: 406},), ({NOT_THERE: 406, READER: 403, NO_TOKEN: 401},)],
        mistakes=[
            (({NO_TOKEN: 406, READER: 403, NOT_THERE: 406},), "we got 406. What does a server ask"),
            (({NO_TOKEN: 401, READER: 404, NOT_THERE: 406},), "get to know more?"),
            (({NO_TOKEN: 401, READER: 403, NOT_THERE: 404},), "without looking for it?"),
            (({NO_TOKEN: 401, READER: 403},), "Keep the words"),
            ((401,), "dict was asked for"),
        ],
    ),
    "07.2": Cases(
        untouched=(...,),
        right=[(answered(200, METADATA),)],
        mistakes=[
            ((answered(406),), "406 and says: nothing about it"),
            ((answered(400, "UID is invalid"),), "400 and says: UID is invalid"),
            ((answered(404, "The specified instance cannot be found."),), "cannot be found"),
            ((answered(200, METADATA * 3, "/v2/studies/1.2/metadata"),), "another question"),
            ((answered(200, METADATA, "/v2/instances"),), "another question"),
            ((answered(200, [{"00080018": {"vr": "UI", "Value": ["1.2.3"]}}]),), "of another instance"),
            ((METADATA,), "Response was asked for"),
        ],
    ),
    "07.3": Cases(
        untouched=(untouched_why,),
        right=[(why,), (why_with_all_reasons,)],
        mistakes=[
            ((lambda response: response.text,), "WWW-Authenticate we got ''"),
            ((lambda response: response.json()["00081198"]["Value"],), "JSONDecodeError"),
            ((lambda response: str(dict(response.headers)) + response.text,), "Only the reason was asked for"),
            ((lambda response: why(response).split(";")[0],), "two ErrorComments"),
            ((lambda response: why(response).replace("45070", ""),), "FailureReason 45070"),
            ((lambda response: why(response) or "nothing",), "with an empty body"),
            ((lambda response: [why(response)],), "a text was asked for"),
        ],
    ),
    "07.4": Cases(
        untouched=(untouched_sort,),
        right=[(sort_out,), (lambda response: [set(uids) for uids in sort_out(response)],)],
        mistakes=[
            ((lambda response: sort_out(response, "00741048"),), "the list `stored without a warning` is []"),
            ((sort_by_status,), "each of the three is there"),
            ((lambda response: sort_out(response)[:2],), "three lists"),
            ((lambda response: [response.json()[tag]["Value"] for tag in ("00081199", "00081198")],), "KeyError"),
            ((lambda response: ("1.2.1", [], []),), "is '1.2.1'"),
        ],
    ),
}
