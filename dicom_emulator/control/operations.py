"""/_emulator/operations: how long each operation takes at the least, so that a client really has to poll."""

import json

from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.control.body import read_object
from dicom_emulator.control.origin import refuse_foreign_pages
from dicom_emulator.errors import BadRequest
from dicom_emulator.wire.responses import ServiceJson

LONGEST = 3600  # seconds


async def least_time(request: Request) -> Response:
    refuse_foreign_pages(request)
    return ServiceJson(json.dumps({"leastSeconds": request.app.state.service.operations.least_time}))


async def change_least_time(request: Request) -> Response:
    """Counts for the operations that start from now on."""
    refuse_foreign_pages(request)
    given = await read_object(request, '{"leastSeconds": 2.5}')
    seconds = given.get("leastSeconds")
    if given.keys() != {"leastSeconds"} or isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadRequest('The body is {"leastSeconds": …}, with a number of seconds.')
    if not 0 <= seconds <= LONGEST:
        raise BadRequest(f"leastSeconds is between 0 and {LONGEST}.")
    request.app.state.service.operations.least_time = seconds
    return await least_time(request)
