"""/_emulator/snapshots: keep everything under a name, and go back to it."""

import json
from dataclasses import asdict
from typing import Any

from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response

from dicom_emulator.archive.index import WrongSchema
from dicom_emulator.archive.snapshots import NAME, Snapshots, UnknownSnapshot
from dicom_emulator.blocking import run_blocking
from dicom_emulator.control.body import read_object
from dicom_emulator.control.origin import refuse_foreign_pages
from dicom_emulator.errors import BadRequest, ServiceError
from dicom_emulator.wire.responses import ServiceJson


class NoSnapshot(ServiceError):
    """No snapshot has this name; says which names there are."""

    status = 404

    def __init__(self, name: str, names: list[str]):
        there_are = f"there are: {', '.join(names)}" if names else "there is none yet"
        super().__init__(f"There is no snapshot '{name}'; {there_are}.")


def go_back(state: State, name: str) -> None:
    """Everything that the service keeps is as it was when `name` was saved; what was unfinished then goes on.

    Faults and the request log stay. Raises NoSnapshot, BadRequest.
    """
    snapshots: Snapshots = state.service.archive.snapshots
    try:
        with state.service.operations.stopped():
            snapshots.restore(name)
    except UnknownSnapshot:
        raise NoSnapshot(name, [each.name for each in snapshots.all()]) from None
    except WrongSchema as error:
        raise BadRequest(str(error)) from None


def forget(state: State, name: str) -> None:
    snapshots: Snapshots = state.service.archive.snapshots
    try:
        snapshots.forget(name)
    except UnknownSnapshot:
        raise NoSnapshot(name, [each.name for each in snapshots.all()]) from None


def checked(name: Any) -> str:
    """Raises BadRequest."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadRequest(
            "The name of a snapshot has 1 to 64 letters, digits, '.', '_' or '-', and no '.' at the start."
        )
    return name


async def list_snapshots(request: Request) -> Response:
    """The snapshots, oldest first."""
    refuse_foreign_pages(request)
    found = await run_blocking(request.app.state.service.archive.snapshots.all)
    return ServiceJson(json.dumps([asdict(snapshot) for snapshot in found]))


async def save_snapshot(request: Request) -> Response:
    refuse_foreign_pages(request)
    name = checked((await read_object(request, '{"name": "before"}')).get("name"))
    snapshot = await run_blocking(request.app.state.service.archive.snapshots.save, name)
    return ServiceJson(json.dumps(asdict(snapshot)), 201)


async def restore_snapshot(request: Request) -> Response:
    refuse_foreign_pages(request)
    await run_blocking(go_back, request.app.state, checked(request.path_params["name"]))
    return Response(status_code=204)


async def forget_snapshot(request: Request) -> Response:
    refuse_foreign_pages(request)
    await run_blocking(forget, request.app.state, checked(request.path_params["name"]))
    return Response(status_code=204)
