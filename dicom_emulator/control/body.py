"""The JSON object in the body of a request to control."""

import json
from typing import Any

from starlette.requests import Request

from dicom_emulator.errors import BadRequest


async def read_object(request: Request, example: str) -> dict[str, Any]:
    """Raises BadRequest, which shows the `example`."""
    try:
        given = json.loads(await request.body())
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise BadRequest(f"The body is a JSON object, like {example}.")
    return given
