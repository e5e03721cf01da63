"""What is tried on the exercises of lesson 04."""

from typing import Any

import requests

from helpers.exercises.judging import PretendedServer, reply
from helpers.lesson import TUTORIAL_STUDY
from tests.exercises.cases import Cases

MOUS, FUZZY = "PatientName=Mous", "PatientName=ANON&fuzzymatching=true"
RANGE, BOTH = "StudyDate=-20200922", "StudyDate=20200922&PatientID=ID2"
SIZE = {"00280010": {"vr": "US", "Value": [979]}, "00280011": {"vr": "US", "Value": [985]}}


def predicted(mous: Any = False, fuzzy: Any = True, dates: Any = True, both: Any = False) -> dict[str, Any]:
    return {MOUS: mous, FUZZY: fuzzy, RANGE: dates, BOTH: both}


def searched(query: str, *rows: dict[str, Any], status: int = 200, path: str = "/studies") -> requests.Response:
    """The reply to a search; `rows` are its data sets."""
    refusal = b"Invalid query: unknown query parameter 'studydate'."
    answer = reply(status, list(rows)) if status == 200 else reply(status, content=refusal if status == 400 else b"")
    session = PretendedServer(lambda request: answer).session()
    return session.get(f"https://pretended.example/v2{path}", params=query)


def study(uid: str = TUTORIAL_STUDY) -> dict[str, Any]:
    return {"0020000D": {"vr": "UI", "Value": [uid]}}


def instances(*rows: dict[str, Any], query: str = "includefield=Rows", **changes: Any) -> requests.Response:
    return searched(query, *rows, **({"path": "/studies/1.2/instances"} | changes))


def untouched_name(row): ...


def name(row):
    values = row.get("00100010", {}).get("Value") or [{}]
    return values[0].get("Alphabetic", "unknown")


def careful_name(row):
    try:
        return row["00100010"]["Value"][0]["Alphabetic"]
    except (KeyError, IndexError):
        return "unknown"


def untouched_rows(client, url): ...


def rows_of(
    client: requests.Session, url: str, limit: int = 100, step: int | None = None, empty: Any = 204
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    offset = 0
    while True:
        response = client.get(url, params={"limit": limit, "offset": offset})
        page = [] if response.status_code == empty else response.json()
        rows += page
        offset += len(page) if step is None else step
        if len(page) < limit:
            return rows


def paged(**changes: Any) -> Any:
    return lambda client, url: rows_of(client, url, **changes)


def until_nothing_comes(client: requests.Session, url: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while (response := client.get(f"{url}?offset={len(rows)}")).status_code == 200:
        rows += response.json()
    return rows


CASES = {
    "04.1": Cases(
        untouched=(predicted(..., ..., ..., ...),),
        right=[(predicted(),)],
        mistakes=[
            ((predicted(mous=True),), "3 of 4 right"),
            ((predicted(fuzzy=False),), "capital letters"),
            ((predicted(dates=False),), "end of a range"),
            ((predicted(both=True),), "PatientID of Anony Mous"),
            ((predicted(mous=0),), "we got 0"),
        ],
    ),
    "04.2": Cases(
        untouched=(...,),
        right=[
            (searched("StudyDate=20200922", study()),),
            (searched("00080020=20200901-20200930", study("1.2"), study()),),
        ],
        mistakes=[
            ((searched("studydate=20200922", status=400),), "unknown query parameter 'studydate'"),
            ((searched("StudyDate=20200923", status=204),), "Which day"),
            ((searched("", study()),), "look for a date"),
            ((searched("StudyDate=20200922", study("1.2")),), "do not hold the tutorial's study"),
            ((searched("StudyDate=20200922", status=401),), "We got 401"),
            (({"StudyDate": "20200922"},), "Response was asked for"),
        ],
    ),
    "04.3": Cases(
        untouched=(...,),
        right=[(instances(SIZE, SIZE, SIZE),), (instances(SIZE, SIZE, SIZE | study(), query="includefield=all"),)],
        mistakes=[
            ((instances(*[{"00280010": SIZE["00280010"]}] * 3),), "00280011 Columns is not in every row"),
            ((instances(study(), study(), study()),), "00280010 Rows is not in every row"),
            ((instances(SIZE, SIZE),), "We got 2 rows"),
            ((instances(SIZE, path="/studies"),), "The rows are of studies"),
            ((instances(status=400),), "We got 400"),
            ((instances(status=204),), "We got 204"),
        ],
    ),
    "04.4": Cases(
        untouched=(untouched_name,),
        right=[(name,), (careful_name,)],
        mistakes=[
            ((lambda row: row["00100010"]["Value"][0]["Alphabetic"],), "With a row without the attribute"),
            ((lambda row: row.get("00100010", {}).get("Value", [{}])[0].get("Alphabetic", "unknown"),), "IndexError"),
            ((lambda row: row.get("00100010", {}).get("Value"),), "For a row with a name we got a list of 1"),
            ((lambda row: "Anony Mous",), "a row with another name"),
            ((lambda row: name(row) if name(row) != "unknown" else "",), "without the attribute we got ''"),
            ((lambda row: name(row) if name(row) != "unknown" else None,), "Is there a `return`?"),
        ],
    ),
    "04.5": Cases(
        untouched=(untouched_rows,),
        right=[(paged(),), (paged(limit=200),), (paged(limit=2),), (until_nothing_comes,)],
        mistakes=[
            ((lambda client, url: client.get(url).json(),), "JSONDecodeError"),
            ((lambda client, url: rows_of(client, url, empty=None),), "JSONDecodeError"),
            ((paged(step=50),), "some came twice"),
            ((paged(limit=201),), "JSONDecodeError"),
            ((paged(limit=100, step=150),), "On a server with 400 rows we got 300, after 4 requests"),
            ((paged(step=0),), "it did not end"),
            ((lambda client, url: len(rows_of(client, url)),), "a list of rows"),
        ],
    ),
}
