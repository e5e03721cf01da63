"""POST /_emulator/reset: an empty archive, as if the emulator had been started anew."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dicom_emulator.blocking import run_blocking


async def reset(request: Request) -> Response:
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.url.netloc:
        return PlainTextResponse("Another origin's page may not control the emulator.", 403)
    await run_blocking(request.app.state.service.archive.reset)
    return Response(status_code=204)
