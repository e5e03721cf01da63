"""POST /export: copies of stored files in a storage container (conformance statement, export)."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.api.operations import accepted
from dicom_emulator.api.parameters import json_body, lower_names
from dicom_emulator.api.transaction import Call, Transaction
from dicom_emulator.archive import export
from dicom_emulator.archive.export import Destination
from dicom_emulator.archive.operations import Operation
from dicom_emulator.blocking import run_blocking
from dicom_emulator.dicom.validation import is_uid
from dicom_emulator.errors import BadRequest, InvalidField
from dicom_emulator.versions import Version

CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class ExportRequest:
    """What to export, None for everything, and the container's name and address."""

    identifiers: list[str] | None
    container: str
    address: str | None


async def bind(request: Request, version: Version) -> ExportRequest:
    """What the body asks for. Raises BadRequest, UnsupportedMediaType."""
    body = await json_body(request)
    if not isinstance(body, dict):
        raise InvalidField("$", "The JSON value is not an object with a source and a destination.")
    properties = lower_names(body)
    source = typed(properties.get("source"), "Source", "identifiers") if properties.get("source") is not None else None
    destination = typed(properties.get("destination"), "Destination", "azureblob")
    container, address = read_destination(destination)
    return ExportRequest(read_source(source), container, address)


def typed(value: Any, name: str, expected: str) -> dict[str, Any]:
    """The settings of a source or destination of the one type that there is. Raises InvalidField."""
    if not isinstance(value, dict):
        raise InvalidField(name, f"The {name} must be specified as an object with a type and settings.")
    properties = lower_names(value)
    kind, settings = properties.get("type"), properties.get("settings")
    if not isinstance(kind, str) or kind.lower() != expected:
        raise InvalidField(
            f"$.{name}.Type", f"Expected value '{kind}' to be one of the following values: ['{expected}']"
        )
    if not isinstance(settings, dict):
        raise InvalidField(f"{name}.Settings", "The settings must be specified.")
    return lower_names(settings)


def read_source(settings: dict[str, Any] | None) -> list[Any] | None:
    if settings is None:
        return None
    values = settings.get("values") or []
    if not isinstance(values, list):
        raise InvalidField("$.Source.Settings.Values", "The JSON value is not an array of identifiers.")
    return values


def check_identifiers(values: list[Any]) -> None:
    """Raises BadRequest."""
    if not values:
        raise BadRequest("Missing value for property 'Values'.")
    for value in values:
        if not isinstance(value, str) or not 1 <= value.count("/") + 1 <= 3 or not all(map(is_uid, value.split("/"))):
            raise BadRequest(f"The identifier '{value}' is not a study, series or instance of the form 1.2/3.4/5.6.")


def read_destination(settings: dict[str, Any]) -> tuple[str, str | None]:
    """The container's name, and its address where one is given. Raises BadRequest."""
    uri, name = settings.get("blobcontaineruri"), settings.get("blobcontainername")
    if isinstance(uri, str) and uri and not settings.get("connectionstring"):
        try:
            parts = urlsplit(uri)
            name = parts.path.strip("/").split("/")[-1]
        except ValueError:
            parts, name = urlsplit(""), ""
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise BadRequest(f"The blobContainerUri '{uri}' is not an absolute URL.")
        address = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"  # what may follow signs somebody in
    elif isinstance(name, str) and isinstance(settings.get("connectionstring"), str):
        address = None
    else:
        raise BadRequest("The destination needs a blobContainerUri, or a connectionString and a blobContainerName.")
    if not CONTAINER.fullmatch(name):
        raise BadRequest(
            f"The container name '{name}' is not valid: 3 to 63 lower-case letters, digits and single hyphens."
        )
    return name, address


async def start(call: Call) -> Response:
    asked: ExportRequest = call.parameters
    if asked.identifiers is not None:
        check_identifiers(asked.identifiers)
    folder = call.service.export_dir / asked.container
    destination = Destination(folder, asked.address or folder.as_uri())
    return accepted(call, await run_blocking(add, call, asked.identifiers, destination))


def add(call: Call, identifiers: list[str] | None, destination: Destination) -> Operation:
    try:
        destination.folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise BadRequest("The container of the destination cannot be reached.") from None
    with call.archive.index.transaction() as transaction:
        return export.start(transaction, call.partition.key, identifiers, destination)


EXPORT = Transaction(start, action="export", bind=bind, consumes=("application/json",))
