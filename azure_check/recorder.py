"""Works in the kernel of a lesson: writes down what `requests` sends to the service and what comes back.

Each exchange is a line of JSON in a file. Tokens and cookies are never written. Requests that could change another
resource than the plan's are stopped before they leave.
"""

import base64
import json
import os
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import requests
from IPython import get_ipython
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from azure_check.touched import touched
from helpers.auth import is_this_machine
from helpers.errors import HelperError

ORDERS = "AZURE_CHECK"  # the environment variable that holds the arguments of Recorder as JSON
SECRET = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-identity-header"}


class NotInThePlan(HelperError):
    """The request could change something that does not belong to the lessons. It was not sent."""


class Recorder:
    """`url` is the service's address, `file` where the lines go, `allowed` what may be changed; None allows all."""

    def __init__(self, url: str, file: str, allowed: list[str] | None) -> None:
        self.url = url
        self.file = Path(file)
        self.allowed = None if allowed is None else set(allowed)
        self.cell = 0

    def next_cell(self, *_: object) -> None:
        self.cell += 1

    def write(self, **line: Any) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def send(self, adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """In place of HTTPAdapter.send."""
        url = request.url or ""
        if url.startswith(os.environ.get("IDENTITY_ENDPOINT") or "no endpoint"):  # tokens come from there
            return really_send(adapter, request, **options)
        if not url.startswith(f"{self.url}/"):
            if is_this_machine(url):
                self.write(cell=self.cell, method=request.method, elsewhere=True)
            return really_send(adapter, request, **options)
        headers, body = text_headers(request.headers), whole(request)
        told = {"cell": self.cell, "method": request.method, "path": url.removeprefix(self.url)}
        told |= {"sent": {"headers": without_secrets(headers), "body": as_base64(body)}}
        self.announce(touched(request.method or "", url, headers, body), request)
        try:
            response = really_send(adapter, request, **options)
            content = read_and_put_back(response)
        except (requests.RequestException, HTTPError, OSError) as problem:
            self.write(**told, error=type(problem).__name__)
            raise
        got = {"status": response.status_code, "headers": without_secrets(response.headers), "body": as_base64(content)}
        self.write(**told, got=got)
        return response

    def announce(self, resources: set[str], request: requests.PreparedRequest) -> None:
        """Write down what the request may change before it leaves, so that it can be tidied up whatever happens."""
        if self.allowed is not None and not resources <= self.allowed:
            strange = ", ".join(sorted(resources - self.allowed))
            self.write(cell=self.cell, method=request.method, stopped=strange)
            raise NotInThePlan(f"not sent: {strange} is not among what the lessons changed on the emulator.")
        if resources:
            self.write(touches=sorted(resources))


really_send = HTTPAdapter.send


def text_headers(headers: Mapping[str, str | bytes]) -> dict[str, str]:
    return {
        name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in requests.structures.CaseInsensitiveDict(headers).items()
    }


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: "…" if name.lower() in SECRET else value for name, value in headers.items()}


def as_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def whole(request: requests.PreparedRequest) -> bytes:
    """The body of `request`, which can be sent all the same afterwards."""
    body: Any = request.body
    if body is None or isinstance(body, (bytes, str)):
        return body.encode() if isinstance(body, str) else body or b""
    if hasattr(body, "seek"):
        start = body.tell()
        content = body.read()
        body.seek(start)
        return bytes(content)
    pieces: Iterable[bytes] = [bytes(piece) for piece in body]
    request.body = iter(pieces)  # type: ignore[assignment]  # requests sends it in chunks, as before
    return b"".join(pieces)


def read_and_put_back(response: requests.Response) -> bytes:
    """The body of `response` as it came over the wire; whoever reads it next reads the same, as a stream, too."""
    raw = response.raw
    try:
        content = raw.read(decode_content=False)
    except HTTPError as problem:
        raise ChunkedEncodingError(problem) from problem
    response.raw = HTTPResponse(
        body=BytesIO(content),
        headers=raw.headers,
        status=raw.status,
        version=raw.version,
        reason=raw.reason,
        preload_content=False,
        original_response=raw._original_response,  # from which requests takes cookies
        request_method=response.request.method,
    )
    return unpacked(content, raw.headers) if content else b""


def unpacked(content: bytes, headers: Any) -> bytes:
    """The body without its Content-Encoding."""
    return HTTPResponse(body=BytesIO(content), headers=headers, preload_content=False).read(decode_content=True)


def install() -> None:
    """Begin to record. IPython calls it through a file of its start-up folder, before the first cell."""
    recorder = Recorder(**json.loads(os.environ[ORDERS]))
    get_ipython().events.register("pre_run_cell", recorder.next_cell)
    HTTPAdapter.send = lambda adapter, request, *rest, **options: recorder.send(  # type: ignore[method-assign]
        adapter, request, **dict(zip(("stream", "timeout", "verify", "cert", "proxies"), rest)), **options
    )
