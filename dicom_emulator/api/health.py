"""GET /health/check: without version and without token (the service's health check API)."""

import json
import sqlite3

from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.blocking import run_blocking
from dicom_emulator.wire.responses import ServiceJson


async def check(request: Request) -> Response:
    archive = request.app.state.service.archive
    try:
        await run_blocking(lambda: archive.index.reader.execute("SELECT 1 FROM study LIMIT 1").fetchone())
        status, description = "Healthy", "The index answers."
    except sqlite3.Error as error:
        status, description = "Unhealthy", f"The index does not answer: {error}"
    details = [{"name": "Index", "status": status, "description": description}]
    return ServiceJson(
        json.dumps({"overallStatus": status, "details": details}), status_code=200 if status == "Healthy" else 503
    )
