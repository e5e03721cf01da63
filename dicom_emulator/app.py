"""The application: the route table on one screen, and how failures become answers."""

import json
import logging
import sqlite3
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dicom_emulator.api import (
    change_feed,
    extended_query_tags,
    health,
    openapi,
    partitions,
    search,
    workitem_search,
    workitems,
)
from dicom_emulator.api.bulk_update import BULK_UPDATE
from dicom_emulator.api.delete import DELETE
from dicom_emulator.api.export import EXPORT
from dicom_emulator.api.operations import RETRIEVE_OPERATION
from dicom_emulator.api.paths import A_SERIES, INSTANCE, STUDY, TAG, WORKITEM
from dicom_emulator.api.rendered import RETRIEVE_RENDERED
from dicom_emulator.api.retrieve import RETRIEVE, RETRIEVE_FRAMES, RETRIEVE_METADATA
from dicom_emulator.api.store import STORE, STORE_OR_REPLACE
from dicom_emulator.api.transaction import Resource, Service, UnsupportedVersion
from dicom_emulator.archive import Archive
from dicom_emulator.codec_process import CodecProcesses
from dicom_emulator.control import faults, home, identity, operations, request_log, seed, snapshots
from dicom_emulator.control.host import CheckHost
from dicom_emulator.control.reset import reset
from dicom_emulator.errors import INTERNAL_ERROR, UNAVAILABLE, ServiceError
from dicom_emulator.limits import Limits
from dicom_emulator.middleware import (
    SECURITY_HEADERS,
    CommonHeaders,
    QueryScreening,
    ReadBeforeRefusing,
)
from dicom_emulator.operations import Operations
from dicom_emulator.settings import Settings
from dicom_emulator.wire.auth import TokenIssuer
from dicom_emulator.wire.responses import ServiceJson

ROUTES = [
    Resource("/studies", GET=search.STUDIES, POST=STORE, PUT=STORE_OR_REPLACE),
    Resource("/series", GET=search.SERIES),
    Resource("/instances", GET=search.INSTANCES),
    Resource("/studies/$bulkUpdate", offered={"2", "2.0"}, POST=BULK_UPDATE),
    Resource(STUDY, GET=RETRIEVE, POST=STORE, PUT=STORE_OR_REPLACE, DELETE=DELETE),
    Resource(STUDY + "/metadata", GET=RETRIEVE_METADATA),
    Resource(STUDY + "/series", GET=search.SERIES_OF_STUDY),
    Resource(STUDY + "/instances", GET=search.INSTANCES_OF_STUDY),
    Resource(A_SERIES, GET=RETRIEVE, DELETE=DELETE),
    Resource(A_SERIES + "/metadata", GET=RETRIEVE_METADATA),
    Resource(A_SERIES + "/instances", GET=search.INSTANCES_OF_SERIES),
    Resource(INSTANCE, GET=RETRIEVE, DELETE=DELETE),
    Resource(INSTANCE + "/metadata", GET=RETRIEVE_METADATA),
    Resource(INSTANCE + "/rendered", GET=RETRIEVE_RENDERED),
    Resource(INSTANCE + "/frames/{frames}", GET=RETRIEVE_FRAMES),
    Resource(INSTANCE + "/frames/{frames}/rendered", GET=RETRIEVE_RENDERED),
    Resource("/changefeed", partitioned=False, GET=change_feed.LIST),
    Resource("/changefeed/latest", partitioned=False, GET=change_feed.LATEST),
    Resource("/extendedquerytags", partitioned=False, GET=extended_query_tags.LIST, POST=extended_query_tags.ADD),
    Resource(
        TAG,
        partitioned=False,
        GET=extended_query_tags.RETRIEVE,
        PATCH=extended_query_tags.CHANGE,
        DELETE=extended_query_tags.DELETE,
    ),
    Resource(TAG + "/errors", partitioned=False, GET=extended_query_tags.ERRORS),
    Resource("/operations/{operation}", partitioned=False, GET=RETRIEVE_OPERATION),
    Resource("/export", offered={"1", "1.0", "2", "2.0"}, POST=EXPORT),
    Resource("/api.json", partitioned=False, GET=openapi.JSON),
    Resource("/api.yaml", partitioned=False, GET=openapi.YAML),
    Resource("/workitems", GET=workitem_search.SEARCH, POST=workitems.CREATE),
    Resource(WORKITEM, GET=workitems.RETRIEVE, POST=workitems.UPDATE),
    Resource(WORKITEM + "/state", PUT=workitems.CHANGE_STATE),
    Resource(WORKITEM + "/cancelrequest", POST=workitems.CANCEL),
    Resource("/partitions", partitioned=False, GET=partitions.LIST),
    Route("/health/check", health.check),
    Route("/", home.redirect),
    Route("/_emulator", home.redirect),
    *(Route(f"/_emulator/{name}", home.serve) for name in home.FILES),
    Route("/_emulator/dictionary.json", home.dictionary),
    Route("/_emulator/summary", home.summary),
    Route(identity.PATH, identity.token),
    Route("/_emulator/reset", reset, methods=["POST"]),
    Route("/_emulator/seed", seed.add_instances, methods=["POST"]),
    Route("/_emulator/snapshots", snapshots.list_snapshots, methods=["GET"]),
    Route("/_emulator/snapshots", snapshots.save_snapshot, methods=["POST"]),
    Route("/_emulator/snapshots/{name}/restore", snapshots.restore_snapshot, methods=["POST"]),
    Route("/_emulator/snapshots/{name}", snapshots.forget_snapshot, methods=["DELETE"]),
    Route("/_emulator/operations", operations.least_time, methods=["GET"]),
    Route("/_emulator/operations", operations.change_least_time, methods=["PUT"]),
    Route("/_emulator/requests", request_log.list_exchanges, methods=["GET"]),
    Route("/_emulator/requests", request_log.clear_exchanges, methods=["DELETE"]),
    Route("/_emulator/faults", faults.list_faults, methods=["GET"]),
    Route("/_emulator/faults", faults.add_fault, methods=["POST"]),
    Route("/_emulator/faults", faults.clear_faults, methods=["DELETE"]),
]
log = logging.getLogger("dicom_emulator")


def create_app(
    settings: Settings, archive: Archive, codecs: CodecProcesses, operations: Operations, export_dir: Path
) -> Starlette:
    """The emulator as an ASGI application over an open archive, its codecs and its operations."""
    exchanges, rules = request_log.new_exchanges(), list[faults.Fault]()
    app = Starlette(
        routes=ROUTES,
        middleware=[
            Middleware(Limits),
            Middleware(request_log.RequestLog, exchanges=exchanges),
            Middleware(CommonHeaders),
            *cors(settings),
            Middleware(ReadBeforeRefusing),
            Middleware(CheckHost, names=[settings.host, *settings.allowed_hosts]),
            Middleware(faults.InjectFaults, faults=rules),
            Middleware(QueryScreening),
        ],
        exception_handlers={
            ServiceError: refused,
            UnsupportedVersion: unsupported_version,
            HTTPException: rejected,
            sqlite3.Error: unavailable,
            OSError: unavailable,
            Exception: failed,
        },
    )
    app.router.redirect_slashes = False
    app.state.exchanges, app.state.faults = exchanges, rules
    tokens = TokenIssuer(archive.token_secret(), settings.token_lifetime)
    app.state.service = Service(settings, archive, tokens, codecs, operations, export_dir)
    return app


def cors(settings: Settings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    ]


async def refused(request: Request, error: ServiceError) -> Response:
    """A refusal of the service: a bare sentence, or nothing where the framework refuses in the original."""
    if not error.message:
        return Response(status_code=error.status, headers=error.headers)
    return PlainTextResponse(error.message, error.status, error.headers)


async def rejected(request: Request, error: HTTPException) -> Response:
    """No such route, or no such method on a route without a version."""
    return Response(status_code=error.status_code, headers=error.headers)


async def unsupported_version(request: Request, error: UnsupportedVersion) -> Response:
    message = (
        f"The HTTP resource that matches the request URI '{request.url}' "
        f"does not support the API version '{error.number}'."
    )
    if error.status == 405:
        message = (
            f"The HTTP resource that matches the request URI '{request.url}' with API version '{error.number}' "
            f"does not support HTTP method '{request.method}'."
        )
    body = {"error": {"code": "UnsupportedApiVersion", "message": message}}
    headers = {"Allow": error.allow} if error.allow else None
    return ServiceJson(json.dumps(body), error.status, headers)


async def unavailable(request: Request, error: Exception) -> Response:
    log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return PlainTextResponse(UNAVAILABLE, 503)


async def failed(request: Request, error: Exception) -> Response:
    """A defect of the emulator. The traceback goes to the log, and the server hangs up."""
    return PlainTextResponse(INTERNAL_ERROR, 500, SECURITY_HEADERS | {"Connection": "close"})
