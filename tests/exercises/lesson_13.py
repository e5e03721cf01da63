"""What is tried on the exercises of lesson 13."""

import json
from typing import Any

from pydicom import Dataset
from pydicom.uid import generate_uid

from tests.exercises.cases import Cases

BEFORE, CLAIM, STRANGER, CANCEL = (
    "A updates it with A's transaction UID in the query",
    "A claims it",
    "B updates it without a transaction UID",
    "somebody requests its cancellation",
)
DICOM_JSON = {"Accept": "application/dicom+json", "Content-Type": "application/dicom+json"}


def predicted(before: Any, claim: Any, stranger: Any, cancel: Any) -> dict[str, Any]:
    return {BEFORE: before, CLAIM: claim, STRANGER: stranger, CANCEL: cancel}


def change(state: Any = "IN PROGRESS", transaction: Any = "1.2.3.4") -> dict[str, Any]:
    return {"00741000": {"vr": "CS", "Value": [state]}, "00081195": {"vr": "UI", "Value": [transaction]}}


def change_with_pydicom() -> dict[str, Any]:
    dataset = Dataset()
    dataset.ProcedureStepState, dataset.TransactionUID = "IN PROGRESS", generate_uid()
    return dataset.to_json_dict()


def untouched_next(rows): ...


def value(row, tag):
    return row[tag]["Value"][0]


def rank(row):
    return ["HIGH", "MEDIUM", "LOW"].index(value(row, "00741200")), value(row, "00404005")


def next_item(rows):
    ready = sorted((row for row in rows if value(row, "00404041") == "READY"), key=rank)
    return value(ready[0], "00080018") if ready else ""


def next_with_a_loop(rows):
    best = None
    for row in rows:
        if value(row, "00404041") == "READY" and (best is None or rank(row) < rank(best)):
            best = row
    return "" if best is None else value(best, "00080018")


def next_of_all(rows):
    return value(min(rows, key=rank), "00080018") if rows else ""


def next_by_alphabet(rows):
    ready = [row for row in rows if value(row, "00404041") == "READY"]
    return value(min(ready, key=lambda row: value(row, "00741200")), "00080018") if ready else ""


def next_by_start(rows):
    ready = [row for row in rows if value(row, "00404041") == "READY"]
    return value(min(ready, key=lambda row: value(row, "00404005")), "00080018") if ready else ""


def untouched_claim(client, base_url, item_uid): ...


def claim(client, base_url, item_uid, body=None, headers=None):
    transaction = generate_uid()
    url = f"{base_url}/workitems/{item_uid}/state"
    response = client.put(url, json=body or [change(transaction=transaction)], headers=headers or DICOM_JSON)
    return transaction if response.status_code == 200 else ""


def claim_as_text(client, base_url, item_uid):
    transaction = str(generate_uid())
    body = json.dumps([change(transaction=transaction)])
    response = client.request("PUT", f"{base_url}/workitems/{item_uid}/state", data=body, headers=DICOM_JSON)
    return transaction if response.ok else ""


def claim_without_looking(client, base_url, item_uid):
    transaction = generate_uid()
    url = f"{base_url}/workitems/{item_uid}/state"
    client.put(url, json=[change(transaction=transaction)], headers=DICOM_JSON)
    return transaction


def claim_with_one_uid(client, base_url, item_uid):
    url = f"{base_url}/workitems/{item_uid}/state"
    return "1.2.3.4" if client.put(url, json=[change()], headers=DICOM_JSON).ok else ""


def claim_and_return_another(client, base_url, item_uid):
    return generate_uid() if claim(client, base_url, item_uid) else ""


def claim_with_post(client, base_url, item_uid):
    url = f"{base_url}/workitems/{item_uid}/state"
    return "1.2.3" if client.post(url, json=[change()], headers=DICOM_JSON).ok else ""


CASES = {
    "13.1": Cases(
        untouched=(predicted(..., ..., ..., ...),),
        right=[(predicted(400, 200, 400, 400),)],
        mistakes=[
            ((predicted(200, 200, 400, 400),), "Who owns it"),
            ((predicted(400, 201, 400, 400),), "table of states"),
            ((predicted(400, 200, 200, 400),), "claimed by now"),
            ((predicted(400, 200, 400, 409),), "as the standard says"),
            (({CLAIM: 200},), "Keep the words"),
        ],
    ),
    "13.2": Cases(
        untouched=(...,),
        right=[([change()],), ((change(),),), (json.dumps([change()]),), ([change_with_pydicom()],)],
        mistakes=[
            ((change(),), "a data set alone"),
            (([change("IN_PROGRESS")],), "'IN_PROGRESS'"),
            (([{**change(), "00081195": {"vr": "UI", "Value": "1.2.3.4"}}],), "keep values in"),
            (([change(transaction="my key")],), "digits and dots"),
            (([{"00741000": {"vr": "CS", "Value": ["IN PROGRESS"]}}],), "no attribute 00081195"),
            (([{**change(), "00741000": {"Value": ["IN PROGRESS"]}}],), "vr of 00741000"),
            (("IN PROGRESS",), "not JSON"),
            (([],), "a list of 0"),
            ((42,), "We got 42"),
        ],
    ),
    "13.3": Cases(
        untouched=(untouched_next,),
        right=[(next_item,), (next_with_a_loop,)],
        mistakes=[
            ((next_of_all,), "not ready"),
            ((next_by_alphabet,), "a MEDIUM one, and a LOW one"),
            ((next_by_start,), "a MEDIUM one, and a LOW one"),
            ((lambda rows: value(sorted(rows, key=rank)[0], "00080018"),), "not ready"),
            ((lambda rows: rows[0],), "str was asked for"),
            ((lambda rows: print(end=""),), "return"),
        ],
    ),
    "13.4": Cases(
        untouched=(untouched_claim,),
        right=[(claim,), (claim_as_text,)],
        mistakes=[
            ((claim_without_looking,), "refused"),
            ((claim_with_one_uid,), "same transaction UID"),
            ((claim_and_return_another,), "another transaction UID"),
            ((claim_with_post,), "We got POST"),
            ((lambda *given: claim(*given, body=change()),), "a data set alone"),
            ((lambda *given: claim(*given, headers={"Accept": "application/dicom+json"}),), "application/json"),
            ((lambda *given: claim(*given, body=[change("COMPLETED")]),), "'COMPLETED'"),
            ((lambda *given: bool(claim(*given)),), "str was asked for"),
            ((lambda client, base_url, item_uid: generate_uid(),), "No claim reached the server"),
        ],
    ),
}
