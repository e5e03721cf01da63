"""POST /_emulator/reset: an empty archive, no faults, no request log, as if the emulator had been started anew."""

from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.blocking import run_blocking
from dicom_emulator.control.origin import refuse_foreign_pages


def start_anew(state: State) -> None:
    """Forget what was stored, what was asked for, and which faults were set. Snapshots stay."""
    with state.service.operations.stopped():
        state.service.archive.reset()
    state.service.operations.least_time = state.service.settings.operation_time
    state.faults.clear()
    state.exchanges.clear()


async def reset(request: Request) -> Response:
    refuse_foreign_pages(request)
    await run_blocking(start_anew, request.app.state)
    return Response(status_code=204)
