"""GET /operations/{operation}: how far a long piece of work is (conformance statement, operations)."""

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.api.transaction import Call, Transaction
from dicom_emulator.archive import operations
from dicom_emulator.archive.operations import Operation
from dicom_emulator.archive.ticks import format_ticks
from dicom_emulator.blocking import run_blocking
from dicom_emulator.errors import Missing
from dicom_emulator.versions import Version
from dicom_emulator.wire.responses import ServiceJson

GUID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def operation_url(call: Call, id: str) -> str:
    return f"{call.version_url}/operations/{id}"


def accepted(call: Call, operation: Operation, location: bool = True) -> Response:
    """202 with a reference to the operation, which begins its work."""
    call.service.operations.begin(operation)
    url = operation_url(call, operation.id)
    body = json.dumps({"id": operation.id, "href": url})
    return ServiceJson(body, 202, {"Location": url} if location else None)


def bind(request: Request, version: Version) -> str:
    """The id in 32 hex digits. Raises Missing."""
    id = request.path_params["operation"].lower()
    if not GUID.fullmatch(id):
        raise Missing
    return id.replace("-", "")


async def retrieve_operation(call: Call) -> Response:
    operation = await run_blocking(lambda: operations.find(call.archive.index.reader, call.parameters))
    if operation is None:
        raise Missing
    body = json.dumps(described(call, operation))
    if operation.finished:
        return ServiceJson(body)
    return ServiceJson(body, 202, {"Location": operation_url(call, operation.id)})


def described(call: Call, operation: Operation) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "operationId": operation.id,
        "type": operation.type,
        "createdTime": format_ticks(operation.created),
        "lastUpdatedTime": format_ticks(operation.updated),
        "status": call.version.succeeded if operation.status == "succeeded" else operation.status,
        "percentComplete": operation.percent,
    }
    if operation.type == "reindex":
        entry["resources"] = [f"{call.version_url}/extendedquerytags/{path}" for path in operation.input["tags"]]
    elif "results" in operation.progress:
        entry["results"] = operation.progress["results"]
    return entry


RETRIEVE_OPERATION = Transaction(retrieve_operation, action="read", bind=bind)
