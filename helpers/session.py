"""The session that lessons talk through: requests, with a time limit, clear words and a guard over patient data."""

import hashlib
import os
import re
from collections.abc import Iterable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError

from helpers.auth import BearerAuth, is_this_machine
from helpers.errors import HelperError
from helpers.multipart import BLOCK, MultipartError, boundary_of, split_parts
from helpers.service import REPOSITORY, server_name

SAMPLE_DCMS = REPOSITORY / "sample_dcms"
CONNECT_TIMEOUT, READ_TIMEOUT = 10, 120  # seconds


class ServiceUnreachable(HelperError, requests.ConnectionError):
    """Nobody answers at the service's address, or the connection broke."""


class ServiceTooSlow(HelperError, requests.Timeout):
    """The service took the request and did not answer in time."""


class PatientDataGuard(HelperError):
    """Something else than the synthetic samples was about to leave this machine."""


class LargeBlocks(HTTPAdapter):
    """Sends a body that is read like a file in large blocks. Without it they have 16 kB, and sending takes longer.

    >>> client = requests.Session()
    >>> client.mount("https://", LargeBlocks())
    """

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, blocksize=BLOCK)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, blocksize=BLOCK)


class LessonSession(requests.Session):
    """A requests.Session that is signed in. Its headers and all else are as requests has them, but for these things:

    - bodies leave in LargeBlocks;
    - calls without a `timeout` get one;
    - calls to this machine go there, whatever proxy the environment names: it would be shown the token in plain http;
    - after a redirect within the service the token is still the sign-in, whatever .netrc has for that host;
    - ServiceUnreachable and ServiceTooSlow say in a sentence what requests says in a traceback;
    - PatientDataGuard stops uploads of anything but the samples to another machine, unless `allow` says what it is.
    """

    def __init__(self, auth: BearerAuth, allow: str | None = None) -> None:
        super().__init__()
        self.auth = auth
        self.allow = allow
        self.mount("https://", LargeBlocks())
        self.mount("http://", LargeBlocks())

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        guard_patient_data(request, self.allow)
        if options.get("timeout") is None:
            options["timeout"] = (CONNECT_TIMEOUT, READ_TIMEOUT)
        if is_this_machine(request.url or ""):
            options["proxies"] = {}
        try:
            return super().send(request, **options)
        except requests.ReadTimeout as problem:
            raise ServiceTooSlow(
                f"no answer from the {server_name(request.url or '')} in time. Run the cell again; a big upload may "
                "need more time: give the call a timeout=… in seconds.",
                request=request,
            ) from problem
        except (requests.ConnectionError, ChunkedEncodingError) as problem:
            raise ServiceUnreachable(
                f"{what_happened(problem)} {server_name(request.url or '')} ({kind(problem)}). {what_to_do(request)}",
                request=request,
            ) from problem

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """What requests does to a request that a redirect leads elsewhere, without its look into .netrc."""
        if self.should_strip_auth(response.request.url or "", prepared_request.url or ""):
            prepared_request.headers.pop("Authorization", None)


def what_happened(problem: requests.RequestException) -> str:
    if isinstance(problem, ChunkedEncodingError):
        return "the reply was cut off by the"
    return "no connection to the"


def what_to_do(request: requests.PreparedRequest) -> str:
    if os.environ.get("DICOM_SERVICE_URL"):
        return "Is DICOM_SERVICE_URL right, and is the service running?"
    if is_this_machine(request.url or ""):
        return "Run the first cell of the lesson again: it starts an emulator if there is none."
    return "Is the address right, and are you online?"


def kind(problem: BaseException) -> str:
    """The class of the error at the bottom of what requests and urllib3 wrap around it."""
    inner = problem.args[0] if problem.args else problem
    inner = getattr(inner, "reason", inner)
    return type(inner).__name__ if isinstance(inner, BaseException) else type(problem).__name__


def guard_patient_data(request: requests.PreparedRequest, allow: str | None) -> None:
    """Stop an upload to another machine unless it is made of the samples, or allowed in words."""
    url = request.url or ""
    stores = request.method in ("POST", "PUT") and re.search(r"/studies(/[\d.]+)?/?$", urlsplit(url).path)
    if not stores or allow or is_this_machine(url) or holds_only_samples(request):
        return
    raise PatientDataGuard(
        f"nothing was sent: the request holds something else than the synthetic samples, and {server_name(url)} is "
        "another machine. Data of patients never belongs there. If it is test data without a real person in it, "
        'say so: lesson.allow_upload("test images I made myself")'
    )


def holds_only_samples(request: requests.PreparedRequest) -> bool:
    """Whether each file in the request is one of the samples, byte for byte. What cannot be looked at is not."""
    body: Any = request.body
    content_type = str(request.headers.get("Content-Type", ""))
    if isinstance(body, bytes):
        return all_samples([body], content_type)
    if not all(hasattr(body, method) for method in ("__iter__", "seek", "tell")):
        return False
    pieces = iter(lambda: body.read(BLOCK), b"") if hasattr(body, "read") else map(bytes, body)
    start = body.tell()
    try:
        return all_samples(pieces, content_type)
    finally:
        body.seek(start)


def all_samples(body: Iterable[bytes], content_type: str) -> bool:
    if not content_type.lower().startswith("multipart/"):
        return digest(body) in sample_digests()
    try:
        digests = [digest(part.iter_content()) for part in split_parts(body, boundary_of(content_type))]
    except MultipartError:
        return False
    return sample_digests().issuperset(digests)


@cache
def sample_digests() -> frozenset[str]:
    return frozenset(digest([path.read_bytes()]) for path in SAMPLE_DCMS.glob("*.dcm"))


def digest(pieces: Iterable[bytes]) -> str:
    hashed = hashlib.sha256()
    for piece in pieces:
        hashed.update(piece)
    return hashed.hexdigest()
