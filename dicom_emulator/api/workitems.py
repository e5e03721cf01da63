"""UPS-RS: work items, from creating to ending them (PS3.18 §11; conformance statement, UPS-RS)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dicom_emulator.api.parameters import json_body
from dicom_emulator.api.transaction import Call, Transaction, malformed_uid
from dicom_emulator.archive import workitems
from dicom_emulator.archive.workitems import NoWorkitem, WorkitemExists
from dicom_emulator.blocking import run_blocking
from dicom_emulator.dicom import json_data_set
from dicom_emulator.dicom.json_data_set import DataSet, Malformed, text
from dicom_emulator.dicom.validation import is_uid, same_uid
from dicom_emulator.dicom.workitem import (
    AlreadyCanceled,
    AlreadyFinal,
    cancelled,
    created,
    requested_state,
    shown,
    updated,
    with_state,
)
from dicom_emulator.dicom.workitem_rules import RuleBroken
from dicom_emulator.errors import InvalidParameter
from dicom_emulator.versions import Version
from dicom_emulator.wire.accept import Unreadable, parse_media_ranges
from dicom_emulator.wire.responses import DicomJson, ServiceJson

NOT_FOUND = "The workitem instance is not found."
EXISTS = "The workitem instance already exists. Try creating using a different UID."
CANCEL_REQUESTED = "The workitem instance has been cancelled."
BODY = ("application/dicom+json",)

Edit = Callable[[DataSet], DataSet]


@dataclass(frozen=True)
class WorkitemRequest:
    """The first data set of the body, and the name of the first query parameter.

    That name is a UID: the value is not looked at, so that `?1.2.3`, `?1.2.3=` and `?1.2.3=yes` are the same.
    """

    data_set: DataSet
    first_key: str


async def bind(request: Request, version: Version) -> WorkitemRequest:
    """Raises UnsupportedMediaType, TooLarge, InvalidParameter."""
    body = await json_body(request, InvalidParameter, exact=True)
    try:
        data_set = json_data_set.read(body)[0]
    except Malformed as error:
        raise InvalidParameter(error.path, escape(str(error))) from None
    return WorkitemRequest(data_set, same_uid(next(iter(request.query_params.keys()), "")))


async def create(call: Call) -> Response:
    data_set, named = call.parameters.data_set, call.parameters.first_key
    own = same_uid(text(data_set, "SOPInstanceUID"))
    if any(uid and not is_uid(uid) for uid in (named, own)):
        raise malformed_uid("WorkitemInstanceUid")
    if named and own and named != own:
        return quoted("The SOPInstanceUID of the workitem does not match the UID of the request.", 400)
    try:
        item = created(data_set, named or own)
        await run_blocking(workitems.add, call.archive.index, call.partition.key, item)
    except RuleBroken as error:
        return quoted(str(error), 400)
    except WorkitemExists:
        return quoted(EXISTS, 409)
    url = f"{call.base_url}/workitems/{named or own}"
    return Response(status_code=201, headers={"Location": url, "Content-Location": url})


async def retrieve(call: Call) -> Response:
    (uid,) = call.identifiers()
    item = await run_blocking(lambda: workitems.find(call.archive.index.reader, call.partition.key, uid))
    return quoted(NOT_FOUND, 404) if item is None else DicomJson(json_data_set.write(shown(item)))


async def update(call: Call) -> Response:
    (uid,) = call.identifiers()
    data_set = call.parameters.data_set
    try:
        await change(call, uid, partial(updated, data_set=data_set, transaction_uid=call.parameters.first_key))
    except NoWorkitem:
        return told(call, NOT_FOUND, 400)
    except RuleBroken as error:
        return told(call, str(error), 409 if isinstance(error, AlreadyCanceled) else 400)
    response = told(call, "", 200)
    response.headers["Content-Location"] = f"{call.base_url}/workitems/{uid}"
    return response


async def change_state(call: Call) -> Response:
    (uid,) = call.identifiers()
    data_set = call.parameters.data_set
    try:
        state, transaction_uid = requested_state(data_set), same_uid(text(data_set, "TransactionUID"))
        await change(call, uid, partial(with_state, requested=state, transaction_uid=transaction_uid))
    except NoWorkitem:
        return told(call, NOT_FOUND, 404)
    except RuleBroken as error:
        return told(call, str(error), 400)
    except AlreadyFinal as done:
        return told(call, str(done), 200)
    return told(call, "", 200)


async def cancel(call: Call) -> Response:
    (uid,) = call.identifiers()
    data_set = call.parameters.data_set
    try:
        await change(call, uid, partial(cancelled, data_set=data_set))
    except NoWorkitem:
        return quoted(NOT_FOUND, 404)
    except AlreadyCanceled as error:
        return warned(call, quoted(str(error), 409), str(error))
    except RuleBroken as error:
        return quoted(str(error), 400)
    return quoted(CANCEL_REQUESTED, 202)


async def change(call: Call, uid: str, edit: Edit) -> None:
    await run_blocking(workitems.change, call.archive.index, call.partition.key, uid, edit)


def quoted(message: str, status: int) -> Response:
    """A sentence as a JSON string."""
    return DicomJson(json.dumps(message), status)


def told(call: Call, message: str, status: int) -> Response:
    """A sentence in the form that the client prefers, JSON string or plain text; said again in a header."""
    form = {"application/dicom+json": DicomJson, "application/json": ServiceJson}.get(preferred(call.accept))
    response = form(json.dumps(message), status) if form else PlainTextResponse(message, status)
    return warned(call, response, message)


def preferred(accept: str | None) -> str:
    """The media type of a sentence: the one that the client likes best of those there are."""
    try:
        ranges = sorted(parse_media_ranges(accept or ""), key=lambda media: -media.quality)
    except Unreadable:
        return "text/plain"
    for media in (media for media in ranges if media.quality):
        if media.type in {"application/dicom+json", "application/json", "text/plain"}:
            return media.type
        if media.type == "application/*":
            return "application/json"
        if media.type in {"text/*", "*/*"}:
            break
    return "text/plain"


def warned(call: Call, response: Response, message: str) -> Response:
    if message:
        response.headers["Warning"] = f'299 {call.request.url.hostname}: "{message}"'
    return response


CREATE = Transaction(create, action="write", bind=bind, answers_dicom_json=True, consumes=BODY, creates_partition=True)
RETRIEVE = Transaction(retrieve, action="read", answers_dicom_json=True)
UPDATE = Transaction(update, action="write", bind=bind, consumes=BODY)
CHANGE_STATE = Transaction(change_state, action="write", bind=bind, consumes=BODY)
CANCEL = Transaction(cancel, action="write", bind=bind, consumes=BODY)
