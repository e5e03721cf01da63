"""STOW-RS: POST and PUT /studies and /studies/{study} (PS3.18 §10.5; conformance statement, Store)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.api.strict import check_file, part_without_type
from dicom_emulator.api.transaction import Call, Transaction
from dicom_emulator.archive.ingest import CANNOT_UNDERSTAND, Outcome, Rules, discard, ingest
from dicom_emulator.blocking import run_blocking
from dicom_emulator.dicom.attributes import tag_text
from dicom_emulator.dicom.part10 import Source
from dicom_emulator.errors import BadRequest, TooLarge, UnsupportedMediaType
from dicom_emulator.wire.accept import MediaRange, Unreadable, parse_media_ranges
from dicom_emulator.wire.multipart import Malformed, PartSpooler, PartTooLarge, SpooledPart, WrongPartType
from dicom_emulator.wire.responses import DicomJson

PIECE = 1024 * 1024  # bytes of the body that are taken to the disk at a time
SEVERAL_VALUES = "One or more indexed Dicom tag(s) have multiple values, only first value is indexed."


def storing(replace: bool) -> Transaction:
    """The transaction that refuses instances that are there already, or the one that replaces them."""

    async def handler(call: Call) -> Response:
        return await store(call, replace)

    return Transaction(
        handler,
        action="write",
        answers_dicom_json=True,
        consumes=("application/dicom", "multipart/related"),
        creates_partition=True,
    )


STORE = storing(replace=False)
STORE_OR_REPLACE = storing(replace=True)


async def store(call: Call, replace: bool) -> Response:
    identifiers = call.identifiers()
    study = identifiers[0] if identifiers else None
    parts = await receive_parts(call)
    call.request.scope["dicom_emulator.parts"] = [{"bytes": part.size} for part in parts]  # for the request log
    rules = Rules(call.partition.key, study, call.version.strict_validation, replace)
    outcomes = await run_blocking(take_in, call, [part.source for part in parts], rules)
    return answer(call, outcomes, study)


def take_in(call: Call, arrived: list[Source], rules: Rules) -> list[Outcome]:
    if call.service.settings.strict:
        try:
            for file in arrived:
                check_file(file)
        except BaseException:
            discard(arrived)
            raise
    return ingest(call.archive, arrived, rules)


async def receive_parts(call: Call) -> list[SpooledPart]:
    """Every part of the body in a file of its own, before any is looked at."""
    content_type = call.request.headers.get("content-type", "")
    if content_type.lower() == "application/dicom":
        return await receive_single(call)
    media = media_type_of(content_type)
    if media.type != "multipart/related":
        raise UnsupportedMediaType.of(content_type)
    if not media.parameters.get("boundary"):
        raise UnsupportedMediaType(
            f"The content type '{content_type}' is either not multipart or is missing a boundary."
        )
    if "start" in media.parameters:
        raise BadRequest("The start parameter of the content type is not supported.")
    return await receive_multipart(call, media.parameters["boundary"], media.parameters.get("type", ""))


def media_type_of(content_type: str) -> MediaRange:
    try:
        return parse_media_ranges(content_type)[0]
    except (Unreadable, IndexError):
        raise UnsupportedMediaType.of(content_type) from None


async def receive_single(call: Call) -> list[SpooledPart]:
    limit = call.service.settings.max_file_size
    part = SpooledPart(call.archive.files.new_incoming, limit)
    try:
        await take_body(call.request, part.write)
        part.end(in_memory=True)
    except BaseException as error:
        await run_blocking(give_up, [part])
        if isinstance(error, PartTooLarge):
            raise TooLarge(limit) from None
        raise
    return [part]


async def receive_multipart(call: Call, boundary: str, root_type: str) -> list[SpooledPart]:
    limit = call.service.settings.max_file_size
    spooler: PartSpooler | None = None
    try:
        if call.service.settings.strict:
            root_type = ""  # lends no part its type
        spooler = PartSpooler(boundary, "application/dicom", root_type, call.archive.files.new_incoming, limit)
        await take_body(call.request, spooler.feed)
        return spooler.finish()
    except BaseException as error:
        if spooler:
            await run_blocking(give_up, spooler.parts)
        if isinstance(error, Malformed):
            raise BadRequest(f"The multipart body is invalid. {error}") from None
        if isinstance(error, PartTooLarge):
            raise TooLarge(limit) from None
        if isinstance(error, WrongPartType) and call.service.settings.strict and not str(error):
            raise part_without_type() from None
        if isinstance(error, WrongPartType):
            raise UnsupportedMediaType.of(str(error)) from None
        raise


async def take_body(request: Request, take: Callable[[bytes], None]) -> None:
    """Give the body to `take`, which blocks. While a thread takes one piece, the next one arrives."""
    taking: asyncio.Future[None] | None = None
    try:
        async for chunks in pieces(request):
            if taking:
                await taking
            taking = asyncio.ensure_future(run_blocking(each, take, chunks))
        if taking:
            await taking
    except BaseException:
        if taking:  # it must not write any more when what has arrived is removed
            await asyncio.gather(taking, return_exceptions=True)
        raise


async def pieces(request: Request) -> AsyncIterator[list[bytes]]:
    """The body in pieces of about PIECE bytes, so that no thread is asked for every packet. Joining them would cost."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        waiting.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield waiting
            waiting, size = [], 0
    if size:
        yield waiting


def each(take: Callable[[bytes], None], chunks: list[bytes]) -> None:
    for chunk in chunks:
        take(chunk)


def give_up(parts: list[SpooledPart]) -> None:
    """Remove what has arrived of a request that is refused: there may be tens of thousands of files."""
    for part in parts:
        part.close()
    discard(part.source for part in parts)


def answer(call: Call, outcomes: list[Outcome], study: str | None) -> Response:
    if not outcomes:
        return Response(status_code=204)
    stored = [outcome for outcome in outcomes if outcome.failure_reason is None]
    failed = [outcome for outcome in outcomes if outcome.failure_reason is not None]
    base = f"{call.base_url}/studies/"
    body: dict[str, Any] = {}
    if study is not None and stored:
        body["00081190"] = element("UR", f"{base}{study}")
    if failed:
        body["00081198"] = element("SQ", *(failed_item(outcome) for outcome in failed))
    if stored:
        lists_attributes = call.version.lists_failed_attributes
        body["00081199"] = element("SQ", *(stored_item(outcome, base, lists_attributes) for outcome in stored))
    response = DicomJson(json.dumps(body), status_code(call, stored, failed))
    if any(outcome.several_values for outcome in outcomes):
        response.headers["Warning"] = f'299 {call.request.url.hostname}: "{SEVERAL_VALUES}"'
    return response


def status_code(call: Call, stored: list[Outcome], failed: list[Outcome]) -> int:
    if not stored:
        return 409
    if failed:
        return 202
    return call.version.warned_status if any(outcome.warning_reason for outcome in stored) else 200


def element(vr: str, *values: Any) -> dict[str, Any]:
    """One attribute of a DICOM JSON object; "" and None are no values."""
    given = [value for value in values if value not in ("", None)]
    return {"vr": vr, "Value": given} if given else {"vr": vr}


def stored_item(outcome: Outcome, base: str, lists_attributes: bool) -> dict[str, Any]:
    url = f"{base}{outcome.study}/series/{outcome.series}/instances/{outcome.instance}"
    item = named(outcome) | {"00081190": element("UR", url)}
    if outcome.warning_reason:
        item["00081196"] = element("US", outcome.warning_reason)
    if lists_attributes:
        item["00741048"] = element("SQ", *comments(outcome))
    return item


def failed_item(outcome: Outcome) -> dict[str, Any]:
    item = named(outcome) | {"00081197": element("US", outcome.failure_reason)}
    if outcome.failure_reason == CANNOT_UNDERSTAND and outcome.comments:
        item["00741048"] = element("SQ", *comments(outcome))
    return item


def named(outcome: Outcome) -> dict[str, Any]:
    identity = {"00081150": outcome.sop_class_uid, "00081155": outcome.instance}
    return {tag: element("UI", uid) for tag, uid in identity.items() if uid}


def comments(outcome: Outcome) -> list[dict[str, Any]]:
    return [
        {"00000902": element("LO", f"DICOM100: {tag_text(tag)} - {message}")}
        for tag, message in outcome.comments.items()
    ]
