"""Extended query tags: attributes that a user adds to the index (conformance statement, extended query tags)."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_VR
from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.api.operations import accepted, operation_url
from dicom_emulator.api.parameters import Parameters, json_body, lower_names
from dicom_emulator.api.search import parse_attribute
from dicom_emulator.api.transaction import Call, Transaction
from dicom_emulator.archive import extended_query_tags
from dicom_emulator.archive.extended_query_tags import (
    MOST,
    VRS,
    AlreadyAdded,
    Busy,
    ExtendedQueryTag,
    NewTag,
    TooMany,
)
from dicom_emulator.archive.operations import Operation
from dicom_emulator.archive.ticks import format_ticks
from dicom_emulator.blocking import run_blocking
from dicom_emulator.dicom.attributes import SEARCHABLE, hex_tag, name_of
from dicom_emulator.dicom.validation import minimum_rule
from dicom_emulator.errors import BadRequest, Conflict, InvalidField, Missing, Unavailable
from dicom_emulator.versions import Version
from dicom_emulator.wire.responses import ServiceJson

LEVELS = ("Instance", "Series", "Study")
QUERY_STATUSES = ("Disabled", "Enabled")


@dataclass(frozen=True)
class Page:
    limit: int
    offset: int


def bind_page(request: Request, version: Version) -> Page:
    parameters = Parameters(request)
    return Page(parameters.number("Limit", 100, 1, 200), parameters.number("Offset", 0, 0, 2**31 - 1))


async def bind_entries(request: Request, version: Version) -> list[dict[str, Any]]:
    """The entries to add, their properties in lower case. Raises InvalidField, UnsupportedMediaType."""
    body = await json_body(request)
    if not isinstance(body, list):
        raise InvalidField("$", "The JSON value is not an array of extended query tags.")
    return [bind_entry(number, entry) for number, entry in enumerate(body)]


def bind_entry(number: int, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise InvalidField(f"$[{number}]", "The JSON value is not an extended query tag.")
    properties = lower_names(entry)
    for name in ("Path", "VR", "PrivateCreator", "Level"):
        value = properties.setdefault(name.lower(), None)
        if value is not None and not isinstance(value, str):
            raise InvalidField(f"$[{number}].{name}", "The JSON value is not a string.")
    for name in ("Path", "Level"):
        if not (properties[name.lower()] or "").strip():
            raise InvalidField(
                f"[{number}].{name}",
                f"The Dicom Tag Property {name} must be specified and must not be null, empty or whitespace.",
            )
    properties["level"] = choice(f"$[{number}].Level", properties["level"], LEVELS)
    return properties


def choice(path: str, value: Any, names: tuple[str, ...]) -> str:
    """One of the names, given in any case, as it goes out. Raises InvalidField."""
    for name in names:
        if isinstance(value, str) and value.lower() == name.lower():
            return name.lower()
    shown = value if isinstance(value, str) else json.dumps(value)
    expected = ", ".join(f"'{name}'" for name in names)
    raise InvalidField(path, f"Expected value '{shown}' to be one of the following values: [{expected}]")


def new_tag(entry: dict[str, Any]) -> NewTag:
    """The tag that an entry names. Raises BadRequest."""
    path, vr, creator = entry["path"], (entry["vr"] or "").strip().upper(), entry["privatecreator"]
    tag = parse_tag(path)
    if tag >> 16 & 1:
        vr = private_vr(path, tag, vr, creator)
    else:
        if creator:
            raise BadRequest(f"The private creator '{creator}' is given for the standard tag '{path}'.")
        vr = standard_vr(path, tag, vr)
    if vr not in VRS:
        raise BadRequest(f"The VR code '{vr}' on tag '{path}' is not supported.")
    if tag in SEARCHABLE:
        raise BadRequest(f"The query tag '{path}' is already supported.")
    return NewTag(tag, vr, entry["level"], creator or None)


def private_vr(path: str, tag: int, vr: str, creator: str | None) -> str:
    is_creator = 0x10 <= tag & 0xFFFF <= 0xFF  # a private identification code (PS3.5 §7.8.1)
    if is_creator and creator:
        raise BadRequest(f"The private creator '{creator}' is given for the private identification code '{path}'.")
    if not is_creator and not (creator or "").strip():
        raise BadRequest(f"The private creator is missing for the private tag '{path}'.")
    if creator and ("\\" in creator or minimum_rule("LO", creator)):
        raise BadRequest(f"The private creator of tag '{path}' is not a valid LO attribute.")
    if not vr:
        raise BadRequest(f"The VR is missing for the private tag '{path}'.")
    if is_creator and vr != "LO":
        raise BadRequest(f"The VR code '{vr}' is incorrectly specified for '{path}'. The expected VR code is 'LO'.")
    return vr


def standard_vr(path: str, tag: int, vr: str) -> str:
    try:
        known = dictionary_VR(tag)
    except KeyError:
        if not vr:
            raise BadRequest(f"The VR is missing for the tag '{path}', which the dictionary does not have.") from None
        return vr
    known = known.split(" or ")[0]
    if vr and vr != known:
        raise BadRequest(
            f"The VR code '{vr}' is incorrectly specified for '{path}'. The expected VR code is '{known}'."
        )
    return known


def parse_tag(path: str) -> int:
    """The tag that a keyword or eight hex digits name. Raises BadRequest."""
    tag = parse_attribute(path.strip())
    if tag is None:
        raise BadRequest(f"The extended query tag '{path}' is invalid as it cannot be parsed into a valid Dicom Tag.")
    return tag


async def add(call: Call) -> Response:
    entries = call.parameters
    if not entries:
        raise BadRequest("The extended query tags are missing.")
    tags: dict[int, NewTag] = {}
    for entry in entries:
        tag = new_tag(entry)
        if tag.tag in tags:
            raise BadRequest(f"The extended query tag '{entry['path']}' has been specified before.")
        tags[tag.tag] = tag
    return accepted(call, await run_blocking(add_to_index, call, list(tags.values())))


def add_to_index(call: Call, tags: list[NewTag]) -> Operation:
    try:
        with call.archive.index.transaction() as transaction:
            return extended_query_tags.add(transaction, tags)
    except Busy as busy:
        raise Conflict(
            f"There is already an active re-index operation with ID '{busy.operation}'.",
            {"Location": operation_url(call, busy.operation)},
        ) from None
    except AlreadyAdded:
        raise Conflict("One or more extended query tags already exist.") from None
    except TooMany:
        raise Unavailable(f"Extended query tags exceeds max allowed count '{MOST}'.") from None


async def list_tags(call: Call) -> Response:
    page: Page = call.parameters

    def read() -> list[dict[str, Any]]:
        reader = call.archive.index.reader
        found = extended_query_tags.extended_query_tags(reader, page.limit, page.offset)
        return [described(call, reader, tag) for tag in found]

    return ServiceJson(json.dumps(await run_blocking(read)))


async def find(call: Call) -> ExtendedQueryTag:
    """The tag of the path. Raises BadRequest, Missing."""
    path = call.request.path_params["tag"]
    tag = parse_tag(path)
    found = await run_blocking(lambda: extended_query_tags.find(call.archive.index.reader, tag))
    if found is None:
        raise not_found(path)
    return found


def not_found(path: str) -> Missing:
    return Missing(f"The specified extended query tag with tag path {path} cannot be found.")


def described(call: Call, reader: sqlite3.Connection, tag: ExtendedQueryTag) -> dict[str, Any]:
    path = hex_tag(tag.tag)
    entry: dict[str, Any] = {"path": path, "vr": tag.vr}
    if tag.private_creator:
        entry["privateCreator"] = tag.private_creator
    entry |= {"level": tag.level, "status": tag.status, "queryStatus": tag.query_status}
    if count := extended_query_tags.count_errors(reader, tag):
        entry["errors"] = {"count": count, "href": f"{call.version_url}/extendedquerytags/{path}/errors"}
    if tag.status == "adding":
        entry["operation"] = {"id": tag.operation, "href": operation_url(call, tag.operation)}
    return entry


async def retrieve(call: Call) -> Response:
    tag = await find(call)
    return ServiceJson(json.dumps(await run_blocking(lambda: described(call, call.archive.index.reader, tag))))


async def bind_change(request: Request, version: Version) -> str:
    """The query status to set. Raises InvalidField, BadRequest, UnsupportedMediaType."""
    body = await json_body(request)
    if not isinstance(body, dict):
        raise InvalidField("$", "The JSON value is not an object with a QueryStatus.")
    for name in body:
        if name.lower() != "querystatus":
            raise BadRequest(f'The field is not supported: "{name}".')
    if not body:
        raise InvalidField("QueryStatus", "The QueryStatus must be specified.")
    return choice("$.QueryStatus", next(iter(body.values())), QUERY_STATUSES)


async def change(call: Call) -> Response:
    tag = await find(call)
    if tag.status == "adding":
        raise busy(tag)

    def update() -> dict[str, Any] | None:
        with call.archive.index.transaction() as transaction:
            extended_query_tags.set_query_status(transaction, tag, call.parameters)
            found = extended_query_tags.find(transaction, tag.tag)
            return described(call, transaction, found) if found else None

    changed = await run_blocking(update)
    if changed is None:
        raise not_found(call.request.path_params["tag"])
    return ServiceJson(json.dumps(changed))


def busy(tag: ExtendedQueryTag) -> Conflict:
    return Conflict(f"The extended query tag '{name_of(tag.tag)}' is being indexed by operation '{tag.operation}'.")


async def delete(call: Call) -> Response:
    tag = await find(call)

    def remove() -> None:
        with call.archive.index.transaction() as transaction:
            extended_query_tags.delete(transaction, tag)

    try:
        await run_blocking(remove)
    except Busy:
        raise busy(tag) from None
    return Response(status_code=204)


async def list_errors(call: Call) -> Response:
    tag, page = await find(call), call.parameters
    found = await run_blocking(
        lambda: extended_query_tags.errors(call.archive.index.reader, tag, page.limit, page.offset)
    )
    entries = [
        {
            "studyInstanceUid": error.study,
            "seriesInstanceUid": error.series,
            "sopInstanceUid": error.instance,
            "createdTime": format_ticks(error.ticks),
            "errorMessage": error.message,
            "partitionName": error.partition,
        }
        for error in found
    ]
    return ServiceJson(json.dumps(entries))


MANAGE = "manageExtendedQueryTags"
JSON = ("application/json",)
ADD = Transaction(add, action=MANAGE, bind=bind_entries, consumes=JSON)
LIST = Transaction(list_tags, action="read", bind=bind_page)
RETRIEVE = Transaction(retrieve, action="read")
CHANGE = Transaction(change, action=MANAGE, bind=bind_change, consumes=JSON)
DELETE = Transaction(delete, action=MANAGE)
ERRORS = Transaction(list_errors, action="read", bind=bind_page)
