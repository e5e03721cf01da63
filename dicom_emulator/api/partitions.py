"""GET /partitions: which there are (conformance statement, data partitions)."""

import json

from starlette.responses import Response

from dicom_emulator.api.transaction import PARTITIONS_DISABLED, Call, Transaction
from dicom_emulator.archive.partitions import partitions
from dicom_emulator.archive.ticks import format_ticks
from dicom_emulator.blocking import run_blocking
from dicom_emulator.errors import BadRequest
from dicom_emulator.wire.responses import ServiceJson


async def list_partitions(call: Call) -> Response:
    if not call.service.settings.partitions:
        raise BadRequest(PARTITIONS_DISABLED)
    found = await run_blocking(lambda: partitions(call.archive.index.reader))
    entries = [
        {"partitionKey": each.key, "partitionName": each.name, "createdDate": format_ticks(each.ticks)}
        for each in found
    ]
    return ServiceJson(json.dumps(entries))


LIST = Transaction(list_partitions, action="read")
