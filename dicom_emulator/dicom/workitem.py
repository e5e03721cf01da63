"""The life of a work item: what creating it, updating it and changing its state make of its data set (PS3.4 §CC.1)."""

from datetime import datetime, timezone

from dicom_emulator.dicom.json_data_set import DataSet, key_of, text
from dicom_emulator.dicom.workitem_rules import (
    CANCELED,
    CHANGE_STATE,
    COMPLETED,
    CREATE,
    UPDATE,
    RuleBroken,
    check,
)
from dicom_emulator.dicom.workitem_search import check_searchable

PUSH = "1.2.840.10008.5.1.4.34.6.1"  # the SOP class of every work item
STATES = ("IN PROGRESS", "COMPLETED", "CANCELED")  # those that may be asked for
FINAL_RULES = {"COMPLETED": COMPLETED, "CANCELED": CANCELED}
ALREADY = {"COMPLETED": "B306", "CANCELED": "B304"}

INVALID_TRANSACTION = "Invalid TransactionUID for the specified Workitem Instance UID."
NOT_CLAIMED = "The target URI did not reference a claimed Workitem."
INCONSISTENT = "The submitted request is inconsistent with the current state of the Workitem."
ALREADY_COMPLETED = "The UPS is already COMPLETED."
ALREADY_CANCELED = "The UPS is already in the requested state of CANCELED."


class AlreadyCanceled(RuleBroken):
    """The work item was cancelled before, so that the request is in conflict with it."""


class AlreadyFinal(Exception):
    """The work item is in the state that is asked for; nothing is to be done."""


def attribute(keyword: str, vr: str, *values: object) -> DataSet:
    """A data set of one attribute."""
    return {key_of(keyword): {"vr": vr, "Value": list(values)} if values else {"vr": vr}}


def now() -> str:
    """This moment in UTC, as DT."""
    return datetime.now(timezone.utc).strftime("%Y%m%d%H%M%S.%f")


def state_of(item: DataSet) -> str:
    return text(item, "ProcedureStepState")


def merged(item: DataSet, *changes: DataSet) -> DataSet:
    for change in changes:
        item = item | change
    return dict(sorted(item.items()))


def shown(item: DataSet) -> DataSet:
    """The work item as clients see it: without the secret of who claimed it."""
    return {key: attribute for key, attribute in item.items() if key != key_of("TransactionUID")}


def created(data_set: DataSet, uid: str) -> DataSet:
    """The work item that a client's data set starts; `uid`: "" where there is none. Raises RuleBroken."""
    item = merged(
        data_set,
        attribute("SOPClassUID", "UI", PUSH),
        attribute("SOPInstanceUID", "UI", uid) if uid else {},
        attribute("ScheduledProcedureStepModificationDateTime", "DT", now()),
        attribute("WorklistLabel", "LO", "worklist"),
        attribute("ProcedureStepState", "CS", "SCHEDULED"),
    )
    check(item, CREATE)
    check_searchable(item)
    return item


def updated(item: DataSet, data_set: DataSet, transaction_uid: str) -> DataSet:
    """The work item with a client's attributes in place of its own. Raises RuleBroken, AlreadyCanceled."""
    state = state_of(item)
    if state == "CANCELED":
        raise AlreadyCanceled(f"{INCONSISTENT} {ALREADY_CANCELED}")
    if state == "COMPLETED":
        raise RuleBroken(f"{INCONSISTENT} {ALREADY_COMPLETED}")
    if state == "SCHEDULED" and transaction_uid:
        raise RuleBroken(INVALID_TRANSACTION)
    if state == "IN PROGRESS" and transaction_uid != text(item, "TransactionUID"):
        raise RuleBroken(NOT_CLAIMED)
    check(data_set, UPDATE)
    check_searchable(data_set)
    return merged(item, shown(data_set), attribute("ScheduledProcedureStepModificationDateTime", "DT", now()))


def requested_state(data_set: DataSet) -> str:
    """The state that a client asks for. Raises RuleBroken."""
    check(data_set, CHANGE_STATE)
    state = text(data_set, "ProcedureStepState").strip().upper()
    if state not in STATES:
        raise RuleBroken(f"The attribute ProcedureStepState must be one of {', '.join(STATES)}.")
    return state


def cannot_become(state: str, code: str) -> RuleBroken:
    return RuleBroken(f"The workitem instance can not transition to '{state}' state: {code}.")


def with_state(item: DataSet, requested: str, transaction_uid: str) -> DataSet:
    """The work item in the state that its owner asks for. Raises RuleBroken, AlreadyFinal."""
    state, owner = state_of(item), text(item, "TransactionUID")
    claims = requested == "IN PROGRESS"
    if (owner or not claims) and transaction_uid != owner:
        raise cannot_become(requested, "C301")
    if state == requested and state in ALREADY:
        raise AlreadyFinal(f"The workitem instance is already in the final state '{state}'. {ALREADY[state]}.")
    if state in ALREADY:
        raise cannot_become(requested, "C300")
    if state == requested:
        raise cannot_become(requested, "C302")
    changed = merged(
        item,
        attribute("TransactionUID", "UI", transaction_uid),
        attribute("ProcedureStepState", "CS", requested),
    )
    check(changed, FINAL_RULES.get(requested, {}))
    return changed


def cancelled(item: DataSet, data_set: DataSet) -> DataSet:
    """The work item cancelled by somebody who does not own it. Raises RuleBroken, AlreadyCanceled."""
    state = state_of(item)
    if state == "CANCELED":
        raise AlreadyCanceled(ALREADY_CANCELED)
    if state != "SCHEDULED":
        raise cannot_become("CANCELED", "C312" if state == "IN PROGRESS" else "C311")
    reason = given(data_set, "ReasonForCancellation", "LT")
    contact = merged(given(data_set, "ContactURI", "UR"), given(data_set, "ContactDisplayName", "LO"))
    progress = merged(
        reason,
        attribute("ProcedureStepCancellationDateTime", "DT", now()),
        attribute("ProcedureStepDiscontinuationReasonCodeSequence", "SQ", reason),
        attribute("ProcedureStepCommunicationsURISequence", "SQ", contact),
    )
    return merged(
        item,
        attribute("ProcedureStepState", "CS", "CANCELED"),
        attribute("ProcedureStepProgressInformationSequence", "SQ", progress),
    )


def given(data_set: DataSet, keyword: str, vr: str) -> DataSet:
    """The first value of a client's attribute, alone."""
    value = text(data_set, keyword)
    return attribute(keyword, vr, value) if value else attribute(keyword, vr)
