"""What happens to every request before its handler runs, in the service's order."""

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CoroutineType
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from dicom_emulator import versions
from dicom_emulator.api.strict import check_request
from dicom_emulator.archive import Archive
from dicom_emulator.archive.partitions import DEFAULT, NAME, Partition, find, make
from dicom_emulator.blocking import run_blocking
from dicom_emulator.codec_process import CodecProcesses
from dicom_emulator.dicom.validation import BAD_UID, is_uid
from dicom_emulator.errors import BadRequest, Forbidden, Missing, NotAcceptable, NotSignedIn, UnsupportedMediaType
from dicom_emulator.operations import Operations
from dicom_emulator.settings import Settings
from dicom_emulator.wire.accept import accepts_dicom_json
from dicom_emulator.wire.auth import ALL_ACTIONS, AUDIENCE, InvalidToken, TokenIssuer
from dicom_emulator.wire.head import AUDIT_PREFIX, head_of

AUDIT_HEADERS, AUDIT_LENGTH = 10, 2048
PARTITIONS_DISABLED = "Data partitions feature is disabled."
UID_NAMES = {"study": "StudyInstanceUid", "series": "SeriesInstanceUid", "instance": "SopInstanceUid"}
UID_NAMES["workitem"] = "WorkitemInstanceUid"


@dataclass(frozen=True)
class Service:
    """What the handlers work with; there is one for each running emulator."""

    settings: Settings
    archive: Archive
    tokens: TokenIssuer
    codecs: CodecProcesses
    operations: Operations
    export_dir: Path  # holds a folder for each container


class Call(NamedTuple):
    """A request that was let in: by whom it may be done is decided, and its parameters are read."""

    request: Request
    service: Service
    version: versions.Version
    parameters: Any  # what the transaction's `bind` returned
    partition: Partition = DEFAULT

    @property
    def archive(self) -> Archive:
        return self.service.archive

    @property
    def version_url(self) -> str:
        """The URL up to the version."""
        return f"{self.request.base_url}{self.request.path_params['version']}"

    @property
    def base_url(self) -> str:
        """The URL up to the version, or to the partition where the path names one."""
        named = self.request.path_params.get("partition")
        return f"{self.version_url}/partitions/{self.partition.name}" if named else self.version_url

    @property
    def level(self) -> str:
        """What the path names: "study", "series" or "instance"."""
        return [name for name in UID_NAMES if name in self.request.path_params][-1]

    def identifiers(self) -> tuple[str, ...]:
        """The UIDs of the path, checked, without padding. Raises BadRequest."""
        values = self.request.path_params
        found = {name: values[name] for name in UID_NAMES if name in values}
        for name, uid in found.items():
            if not is_uid(uid):
                raise malformed_uid(UID_NAMES[name])
        return tuple([uid.rstrip(" ") for uid in found.values()])

    @property
    def accept(self) -> str | None:
        return head_of(self.request.scope).accept


def malformed_uid(name: str) -> BadRequest:
    return BadRequest(f"Dicom element '{name}' failed validation for VR 'UI': {BAD_UID}")


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class Transaction:
    """One method on one path.

    action: the data action a caller's role must allow; None lets everybody in.
    bind: reads the query parameters; runs before the role is looked at, as ASP.NET's model binding does.
    answers_dicom_json: whether the Accept header must allow DICOM JSON.
    consumes: the media types that the body may have; others are refused before anything else is looked at.
    creates_partition: whether a partition that is not there yet is made.
    """

    handler: Handler
    action: str | None
    bind: Callable[[Request, versions.Version], Any] = lambda request, version: None
    answers_dicom_json: bool = False
    consumes: tuple[str, ...] = ()
    creates_partition: bool = False

    async def __call__(self, request: Request, service: Service, version: versions.Version) -> Response:
        if self.consumes:
            self.check_content_type(request)
        actions = {None} if self.action is None else sign_in(request, service)
        if self.answers_dicom_json and not accepts_dicom_json(head_of(request.scope).accept):
            raise NotAcceptable
        check_audit_headers(request)
        if service.settings.strict:
            check_request(request)
        parameters = self.bind(request, version)
        if isinstance(parameters, CoroutineType):  # what reads the body
            parameters = await parameters
        partition = await self.partition(request, service)
        if self.action not in actions:
            raise Forbidden
        if partition is None:
            partition = await run_blocking(make_partition, service.archive, request.path_params["partition"])
        return await self.handler(Call(request, service, version, parameters, partition))

    async def partition(self, request: Request, service: Service) -> Partition | None:
        """The partition that the path names; None where it is still to be made. Raises BadRequest."""
        if "partition" not in request.path_params:
            return DEFAULT
        name = request.path_params["partition"]
        if not service.settings.partitions:
            if name is not None:
                raise BadRequest(PARTITIONS_DISABLED)
            return DEFAULT
        if name is None:
            raise BadRequest("PartitionName value is missing in the route segment.")
        if not NAME.fullmatch(name):
            raise BadRequest("The specified PartitionName is invalid. ")
        partition = await run_blocking(lambda: find(service.archive.index.reader, name))
        if partition is None and not self.creates_partition:
            raise BadRequest("Specified PartitionName does not exist.")
        return partition

    def check_content_type(self, request: Request) -> None:
        content_type = request.headers.get("content-type")
        if content_type and content_type.split(";")[0].strip().lower() not in self.consumes:
            raise UnsupportedMediaType


def make_partition(archive: Archive, name: str) -> Partition:
    with archive.index.transaction() as transaction:
        return make(transaction, name)


def check_audit_headers(request: Request) -> None:
    """A client may add headers for the service's audit log, within limits. The emulator keeps no such log."""
    lengths = head_of(request.scope).audit
    if lengths and (len(lengths) > AUDIT_HEADERS or max(lengths) > AUDIT_LENGTH):
        raise BadRequest(
            f"There may be {AUDIT_HEADERS} headers that begin with {AUDIT_PREFIX.decode().upper()}, "
            f"each of at most {AUDIT_LENGTH} characters."
        )


def sign_in(request: Request, service: Service) -> frozenset[str]:
    """The data actions that the caller's token allows. Raises NotSignedIn."""
    if not service.settings.sign_in:
        return ALL_ACTIONS
    try:
        return service.tokens.actions(head_of(request.scope).authorization)
    except InvalidToken:
        authority = f"{request.base_url}_emulator/identity"
        challenge = f'Bearer authorization_uri="{authority}", resource_id="{AUDIENCE}", realm="{AUDIENCE}"'
        raise NotSignedIn(headers={"WWW-Authenticate": challenge}) from None


class UnsupportedVersion(Exception):
    """The path names a version, or a method in it, that the service does not have."""

    def __init__(self, status: int, number: str, allow: str = ""):
        super().__init__(number)
        self.status, self.number, self.allow = status, number, allow


ALL_VERSIONS = frozenset(versions.VERSIONS)
VERSION_SEGMENT = "(?P<version>[^/]+)"
SUPPORTED = versions.SUPPORTED.encode()


class Resource:
    """A path below the version, or below the version and a partition, and what each method does there.

    Paths match as they do in the service: in any case, and with a slash more at the end.
    """

    def __init__(
        self, path: str, partitioned: bool = True, offered: Collection[str] = ALL_VERSIONS, **transactions: Transaction
    ):
        self.transactions: Mapping[str, Transaction] = transactions
        self.offered = offered  # the numbers of the versions in which the path exists
        self.supported = versions.supported(offered).encode()
        self.partitioned = partitioned
        self.path = "/{version}" + path
        pattern = compile_path(self.path)[0].pattern.removesuffix("$") + "/?$"
        if partitioned:
            pattern = pattern.replace(VERSION_SEGMENT, VERSION_SEGMENT + "(/partitions/(?P<partition>[^/]+))?")
        self.path_regex = re.compile(pattern, re.IGNORECASE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["dicom_emulator.versions"] = SUPPORTED
        request = Request(scope, receive, send)
        number = versions.number_of(scope["path_params"]["version"])
        assert number is not None
        version = versions.VERSIONS.get(number)
        if version is None:
            raise UnsupportedVersion(400, number)
        if number not in self.offered:
            raise Missing
        scope["dicom_emulator.versions"] = self.supported
        transaction = self.transactions.get(scope["method"])
        if transaction is None:
            raise UnsupportedVersion(405, number, ", ".join(sorted(self.transactions)))
        response = await transaction(request, scope["app"].state.service, version)
        await response(scope, receive, send)


class Resources:
    """The resources of a route table, found by the first name of a path and by how many segments follow."""

    def __init__(self, resources: Iterable[Resource]):
        self._alike: dict[tuple[str, int], list[Resource]] = defaultdict(list)
        for resource in resources:
            _, _, name, *rest = resource.path.split("/")
            self._alike[name.lower(), len(rest)].append(resource)

    def find(self, scope: Scope) -> Resource | None:
        """The resource that a path names. The values in the path go into the scope.

        Of several that fit, the first that knows the method; if none does, the first.
        """
        path, method = scope["path"], scope["method"]
        _, *segments = path.removesuffix("/").split("/")
        if len(segments) < 2 or versions.number_of(segments[0]) is None:
            return None
        if len(segments) > 3 and segments[1].lower() == "partitions":
            segments = segments[2:]
        fitting = [
            (resource, match)
            for resource in self._alike.get((segments[1].lower(), len(segments) - 2), ())
            if (match := resource.path_regex.match(path))
        ]
        if not fitting:
            return None
        resource, match = next((each for each in fitting if method in each[0].transactions), fitting[0])
        scope["path_params"] = match.groupdict()
        return resource
