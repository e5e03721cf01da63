"""What is tried on the exercises of lesson 16."""

from typing import Any

from tests.exercises.cases import Cases

NOTHING_1, NOTHING_2, BARE, DELETE = (
    "Azure: search for a patient whom nobody knows",
    "Orthanc: search for a patient whom nobody knows",
    "Azure: GET a study's metadata without an Accept header",
    "Orthanc: DELETE a study",
)


def predicted(nothing_1: Any, nothing_2: Any, bare: Any, delete: Any) -> dict[str, Any]:
    return {NOTHING_1: nothing_1, NOTHING_2: nothing_2, BARE: bare, DELETE: delete}


def count_failed(answer):
    return len(answer.get("00081198", {}).get("Value", []))


def count_with_try(answer):
    try:
        return len(answer["00081198"]["Value"])
    except KeyError:
        return 0


def untouched_studies(client, base_url): ...


def page(client, base_url, limit, offset):
    params = {"limit": limit, "offset": offset}
    response = client.get(f"{base_url}/studies", params=params, headers={"Accept": "application/dicom+json"})
    response.raise_for_status()
    return [row["0020000D"]["Value"][0] for row in (response.json() if response.content else [])]


def all_studies(client, base_url):
    found = []
    while rows := page(client, base_url, 100, len(found)):
        found += rows
    return found


def by_status(client, base_url):
    found, headers = [], {"Accept": "application/dicom+json"}
    while True:
        response = client.get(f"{base_url}/studies?limit=200&offset={len(found)}", headers=headers)
        rows = [] if response.status_code == 204 else response.json()
        if not rows:
            return tuple(found)
        found += [row["0020000D"]["Value"][0] for row in rows]


def first_page(client, base_url):
    return page(client, base_url, 200, 0)


def until_a_page_is_short(client, base_url):
    found = []
    while True:
        rows = page(client, base_url, 100, len(found))
        found += rows
        if len(rows) < 100:
            return found


def without_looking_for_204(client, base_url):
    headers = {"Accept": "application/dicom+json"}
    found = []
    while rows := client.get(f"{base_url}/studies?offset={len(found)}", headers=headers).json():
        found += [row["0020000D"]["Value"][0] for row in rows]
    return found


def without_accept(client, base_url):
    response = client.get(f"{base_url}/studies")
    response.raise_for_status()
    return response.json()


def for_ever(client, base_url):
    while True:
        page(client, base_url, 100, 0)


CASES = {
    "16.1": Cases(
        untouched=(predicted(..., ..., ..., ...),),
        right=[(predicted(204, 200, 406, 405),)],
        mistakes=[
            ((predicted(200, 200, 406, 405),), "have a body"),
            ((predicted(204, 204, 406, 405),), "Is that a body"),
            ((predicted(204, 200, 200, 405),), "by itself"),
            ((predicted(204, 200, 406, 204),), "part of the standard"),
        ],
    ),
    "16.2": Cases(
        untouched=(...,),
        right=[
            (count_failed,),
            (count_with_try,),
            (lambda answer: len((answer.get("00081198") or {}).get("Value") or []),),
        ],
        mistakes=[
            (
                (lambda answer: len(answer["00081198"]["Value"]),),
                "no FailedSOPSequence: Your function ended",
            ),
            ((lambda answer: len(answer.get("00081198", {"Value": []})["Value"]),), "without Value"),
            ((lambda answer: int("00081198" in answer),), "two items, we got 1"),
            ((lambda answer: "00081198" in answer,), "int was asked for"),
            ((0,), "function"),
        ],
    ),
    "16.3": Cases(
        untouched=(untouched_studies,),
        right=[(all_studies,), (by_status,), (lambda *given: set(all_studies(*given)),)],
        mistakes=[
            ((first_page,), "Azure, with 400, we got 200"),
            ((until_a_page_is_short,), "30 rows at a time"),
            ((without_looking_for_204,), "JSONDecodeError"),
            ((without_accept,), "The Accept header was */*"),
            ((lambda client, base_url: page(client, base_url, 1000, 0),), "The limit was 1000"),
            ((for_ever,), "did not end"),
            ((lambda client, base_url: len(all_studies(client, base_url)),), "a list of UIDs"),
            ((lambda client, base_url: [],), "No request"),
        ],
    ),
}
