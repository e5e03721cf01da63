"""What is tried on the exercises of lesson 14."""

import json
import time
from typing import Any

from tests.exercises.cases import Cases

NOW, FIRST, COUNT, STATUS = (
    "name in the metadata",
    "name with msdicom-request-original: true",
    "studyUpdated for a study that nobody has",
    "status of a bulk update that names SOPInstanceUID in changeDataset",
)
SEX = {"00100040": {"vr": "CS", "Value": ["F"]}}
JSON = {"Accept": "application/dicom+json"}


def predicted(now: Any, first: Any, count: Any, status: Any) -> dict[str, Any]:
    return {NOW: now, FIRST: first, COUNT: count, STATUS: status}


def body(studies: Any = ("1.2.3.4",), changes: Any = SEX) -> dict[str, Any]:
    return {"studyInstanceUids": list(studies) if isinstance(studies, tuple) else studies, "changeDataset": changes}


def untouched_names(client, url): ...


def name(client, url, **headers):
    response = client.get(url, headers=JSON | headers)
    return response.json()[0]["00100010"]["Value"][0]["Alphabetic"]


def now_and_first(client, url):
    return name(client, url), name(client, url, **{"msdicom-request-original": "true"})


def with_headers_of_the_session(client, url):
    now = name(client, url)
    client.headers["MSDICOM-Request-Original"] = "True"
    return [now, name(client, url)]


def untouched_end(client, href): ...


def has_succeeded(client, href):
    while (answer := client.get(href)).status_code == 202:
        time.sleep(0.01)
    return answer.json()["status"] == "succeeded"


def has_succeeded_by_words(client, href):
    for _ in range(100):
        status = client.get(href).json()["status"]
        if status not in ("notStarted", "running"):
            return status == "succeeded"
        time.sleep(0.01)
    return False


def over_is_well(client, href):
    while client.get(href).status_code == 202:
        time.sleep(0.01)
    return True


def waits_for_success(client, href):
    while client.get(href).json()["status"] != "succeeded":
        pass
    return True


CASES = {
    "14.1": Cases(
        untouched=(predicted(..., ..., ..., ...),),
        right=[(predicted("Cleo", "Ada", 0, 400),)],
        mistakes=[
            ((predicted("Bea", "Ada", 0, 400),), "which version comes"),
            ((predicted("Cleo", "Bea", 0, 400),), "the one that was stored"),
            ((predicted("Cleo", "Ada", 1, 400),), "update of 1.2.3"),
            ((predicted("Cleo", "Ada", 0, 202),), "fact about patient or study"),
        ],
    ),
    "14.2": Cases(
        untouched=(...,),
        right=[
            (body(),),
            (json.dumps(body()),),
            ({"StudyInstanceUids": ["1.2.3.4"], "ChangeDataset": SEX},),
            (json.dumps(body()).encode(),),
        ],
        mistakes=[
            ((body("1.2.3.4"),), "an s at its end"),
            ((body(("1.2.3",)),), "the one to change"),
            ((body(changes={"PatientSex": "F"}),), "tags as keys"),
            ((body(changes={"00100040": "F"}),), "consist of"),
            ((body(changes={"00100040": {"vr": "CS", "Value": "F"}}),), "always"),
            ((body(changes=SEX | {"00100010": {"vr": "PN"}}),), "2 attributes"),
            (({"studyInstanceUids": ["1.2.3.4"]},), "two names"),
            (("PatientSex=F",), "not JSON"),
            ((["1.2.3.4", SEX],), "dict or str or bytes was asked for"),
            ((json.dumps(["1.2.3.4", SEX]),), "dict was asked for"),
            ((body(changes=[SEX]),), "dict was asked for"),
        ],
    ),
    "14.3": Cases(
        untouched=(untouched_names,),
        right=[(now_and_first,), (with_headers_of_the_session,)],
        mistakes=[
            ((lambda client, url: now_and_first(client, url)[::-1],), "of today comes first"),
            ((lambda client, url: (name(client, url),) * 2,), "Which header"),
            ((lambda client, url: name(client, url),), "two names"),
            ((lambda client, url: name(client, f"{url}?original=true"),), "JSONDecodeError"),
        ],
    ),
    "14.4": Cases(
        untouched=(untouched_end,),
        right=[(has_succeeded,), (has_succeeded_by_words,)],
        mistakes=[
            ((over_is_well,), "'failed', we got True"),
            ((waits_for_success,), "on and on"),
            ((lambda client, href: client.get(href).status_code == 200,), "still running"),
            ((lambda client, href: True,), "No question"),
            ((lambda client, href: has_succeeded(client, href + "/status"),), "not GET and href"),
            ((lambda client, href: "succeeded",), "bool was asked for"),
        ],
    ),
}
