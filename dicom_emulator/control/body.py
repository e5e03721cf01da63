"""The JSON object in the body of a request to control."""

from typing import Any

from starlette.requests import Request

from dicom_emulator.errors import BadRequest
from dicom_emulator.wire.json_body import BodyTooLarge, Malformed, read_json


async def read_object(request: Request, example: str) -> dict[str, Any]:
    """Raises BadRequest, which shows the `example`."""
    try:
        given = await read_json(request)
    except (Malformed, BodyTooLarge):
        given = None
    if not isinstance(given, dict):
        raise BadRequest(f"The body is a JSON object, like {example}.")
    return given
