"""The application: the route table on one screen, and how failures become answers."""

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

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
from dicom_emulator.api.transaction import Resource, Resources, Service, UnsupportedVersion
from dicom_emulator.archive import Archive
from dicom_emulator.channel import Channel
from dicom_emulator.codec_process import CodecProcesses
from dicom_emulator.control import faults, home, identity, operations, request_log, seed, snapshots
from dicom_emulator.control.host import Hosts
from dicom_emulator.control.reset import reset
from dicom_emulator.errors import INTERNAL_ERROR, UNAVAILABLE, ServiceError
from dicom_emulator.limits import check_query_string, refuse_head
from dicom_emulator.operations import Operations
from dicom_emulator.settings import Settings
from dicom_emulator.wire.auth import TokenIssuer
from dicom_emulator.wire.head import head_of
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
FORWARDED = frozenset({b"x-forwarded-proto", b"x-forwarded-for"})  # what a proxy tells of its client
log = logging.getLogger("dicom_emulator")


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    pass


# Puts what a proxy tells into the scope, if the proxy is on this machine or where uvicorn's variable says.
# As a layer around the application it would cost every request something.
read_forwarded = ProxyHeadersMiddleware(nothing, os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"))


class Emulator:
    """The ASGI application: what happens to a request, from its head to its line in the log.

    `routes` and `state` are where handlers find them, as in an application of Starlette's.
    """

    def __init__(
        self, settings: Settings, archive: Archive, codecs: CodecProcesses, operations: Operations, export_dir: Path
    ):
        self.routes = ROUTES
        self.resources = Resources(route for route in ROUTES if isinstance(route, Resource))
        self.router = Router([route for route in ROUTES if isinstance(route, Route)], redirect_slashes=False)
        self.hosts = Hosts([settings.host, *settings.allowed_hosts])
        self.log, self.faults = request_log.RequestLog(), list[faults.Fault]()
        tokens = TokenIssuer(archive.token_secret(), settings.token_lifetime)
        service = Service(settings, archive, tokens, codecs, operations, export_dir)
        self.state = State({"service": service, "exchanges": self.log.exchanges, "faults": self.faults})
        self.app = with_cors(self.check, settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if FORWARDED & head_of(scope).names:
            await read_forwarded(scope, receive, send)
        if refusal := refuse_head(scope):
            await refusal(scope, receive, send)
            return
        scope["app"] = self
        channel = Channel(scope, receive, send, self.log)
        try:
            await self.app(scope, channel.receive, channel.send)
        except ClientDisconnect:
            await channel.client_has_left()
        except Exception:  # a defect of the emulator: the traceback goes to the log
            await channel.refuse(500, INTERNAL_ERROR)
            raise
        finally:
            channel.close()

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is looked at before the path is."""
        if refusal := self.hosts.refusal(scope):
            await refusal(scope, receive, send)
        elif fault := faults.fault_for(self.faults, scope):
            await faults.go_wrong(fault, self.dispatch, scope, receive, send)
        else:
            await self.dispatch(scope, receive, send)

    async def dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the path names answers, or what it raises becomes the answer."""
        try:
            check_query_string(scope)
            app = self.resources.find(scope) or self.router
            await app(scope, receive, send)
        except tuple(ANSWERS) as error:
            if scope["dicom_emulator.exchange"].status is not None:
                raise
            answer = next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)
            await answer(Request(scope), error)(scope, receive, send)


def with_cors(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=["*"],
    )


def refused(request: Request, error: ServiceError) -> Response:
    """A refusal of the service: a bare sentence, or nothing where the framework refuses in the original."""
    if not error.message:
        return Response(status_code=error.status, headers=error.headers)
    return PlainTextResponse(error.message, error.status, error.headers)


def rejected(request: Request, error: HTTPException) -> Response:
    """No such route, or no such method on a route without a version."""
    return Response(status_code=error.status_code, headers=error.headers)


def unsupported_version(request: Request, error: UnsupportedVersion) -> Response:
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


def unavailable(request: Request, error: Exception) -> Response:
    log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return PlainTextResponse(UNAVAILABLE, 503)


ANSWERS: dict[type[Exception], Callable[[Request, Any], Response]] = {
    ServiceError: refused,
    UnsupportedVersion: unsupported_version,
    HTTPException: rejected,
    sqlite3.Error: unavailable,
    OSError: unavailable,
}
