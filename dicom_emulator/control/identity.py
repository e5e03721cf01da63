"""The emulator's own sign-in: a managed-identity endpoint as App Service has it, for the real azure-identity."""

import json

from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.control.origin import refuse_foreign_pages
from dicom_emulator.wire.auth import AUDIENCE, ROLES
from dicom_emulator.wire.responses import ServiceJson

PATH = "/_emulator/identity/token"


def refusal(message: str) -> Response:
    return ServiceJson(json.dumps({"statusCode": 400, "message": message}), 400)


async def token(request: Request) -> Response:
    """A token for the person named in the X-IDENTITY-HEADER header. Pages that may call the service may sign in, too."""
    refuse_foreign_pages(request, invited=request.app.state.service.settings.cors_origins)
    person = request.headers.get("x-identity-header", "")
    if person not in ROLES:
        return refusal(f"The X-IDENTITY-HEADER must be one of: {', '.join(ROLES)}.")
    resource = request.query_params.get("resource", "")
    if resource.removesuffix("/.default").rstrip("/") != AUDIENCE:
        return refusal(f"The emulator signs in to {AUDIENCE} only, not to '{resource}'.")
    issued = request.app.state.service.tokens.issue(person)
    body = {
        "access_token": issued.text,
        "expires_on": str(issued.expires_on),
        "resource": resource,
        "token_type": "Bearer",
    }
    return ServiceJson(json.dumps(body), headers={"Cache-Control": "no-store"})
