"""DELETE a study, a series or an instance (conformance statement, Delete; PS3.18 has no such transaction)."""

from starlette.responses import Response

from dicom_emulator.api.transaction import Call, Transaction
from dicom_emulator.blocking import run_blocking
from dicom_emulator.errors import NotFound


async def delete(call: Call) -> Response:
    if not await run_blocking(call.archive.delete, call.partition.key, *call.identifiers()):
        raise NotFound(call.level)
    return Response(status_code=204)


DELETE = Transaction(delete, action="delete")
