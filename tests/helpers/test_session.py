"""LessonSession: time limits, clear words, proxies, and the guard over patient data."""

import hashlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from helpers.auth import BearerAuth
from helpers.multipart import BLOCK, MultipartRelatedStream, encode_multipart_related
from helpers.service import reach_this_machine_directly
from helpers.session import (
    LargeBlocks,
    LessonSession,
    PatientDataGuard,
    ServiceTooSlow,
    ServiceUnreachable,
    sample_digests,
)
from tests.helpers.conftest import NumberedTokens, Reply, ScriptedServer

SAMPLES = sorted((Path(__file__).parents[2] / "sample_dcms").glob("*.dcm"))
AZURE = "https://example.dicom.azurehealthcareapis.com/v2"
STRANGER = bytes(128) + b"DICM a real person"


class Sent(Exception):
    """The request has passed the guard and would now go out."""


@pytest.fixture
def client(environment: pytest.MonkeyPatch) -> LessonSession:
    return LessonSession(BearerAuth(NumberedTokens()))


@pytest.fixture
def outside(client: LessonSession, monkeypatch: pytest.MonkeyPatch) -> LessonSession:
    """A session whose requests stop where they would leave for the network."""

    def send(self: object, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        raise Sent

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    return client


# ------------------------------------------------------------------------------------------------------- patient data


def post(client: requests.Session, body: Any, content_type: str, path: str = "/studies", method: str = "POST") -> None:
    client.request(method, AZURE + path, data=body, headers={"Content-Type": content_type})


def multipart(*files: bytes | Path) -> tuple[bytes, str]:
    return encode_multipart_related(files)


def test_the_three_samples_are_known() -> None:
    assert sample_digests() == {hashlib.sha256(path.read_bytes()).hexdigest() for path in SAMPLES}
    assert len(sample_digests()) == 3


@pytest.mark.parametrize("path", ["/studies", "/studies/1.2.3", "/studies/"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_other_files_stay_here(outside: LessonSession, path: str, method: str) -> None:
    for body, content_type in (multipart(STRANGER), multipart(SAMPLES[0], STRANGER), (STRANGER, "application/dicom")):
        with pytest.raises(PatientDataGuard, match="nothing was sent.*example.dicom.azurehealth.*allow_upload"):
            post(outside, body, content_type, path, method)


def test_samples_may_go(outside: LessonSession) -> None:
    sample = SAMPLES[0].read_bytes()
    for body, content_type in (multipart(*SAMPLES), (sample, "application/dicom"), multipart()):
        with pytest.raises(Sent):
            post(outside, body, content_type)


def test_a_changed_sample_is_no_sample(outside: LessonSession) -> None:
    changed = SAMPLES[0].read_bytes().replace(b"Anony Mous", b"Real Human")
    with pytest.raises(PatientDataGuard):
        post(outside, *multipart(changed))


def test_streams_are_looked_at_and_put_back(outside: LessonSession) -> None:
    stream = MultipartRelatedStream(SAMPLES)
    with pytest.raises(Sent):
        post(outside, stream, stream.content_type)
    assert stream.tell() == 0
    stream = MultipartRelatedStream([io.BytesIO(STRANGER)])
    with pytest.raises(PatientDataGuard):
        post(outside, stream, stream.content_type)
    with SAMPLES[0].open("rb") as file, pytest.raises(Sent):
        post(outside, file, "application/dicom")


def test_what_cannot_be_looked_at_stays_here(outside: LessonSession) -> None:
    def generator() -> Iterator[bytes]:
        yield STRANGER

    for body in (generator(), b"no boundary in sight", "text"):
        with pytest.raises(PatientDataGuard):
            post(outside, body, "multipart/related; boundary=b")


def test_allowed_in_words(outside: LessonSession) -> None:
    outside.allow = "test images I made myself"
    with pytest.raises(Sent):
        post(outside, *multipart(STRANGER))


def test_other_requests_are_not_looked_at(outside: LessonSession) -> None:
    for method, path in (("GET", "/studies"), ("POST", "/extendedquerytags"), ("DELETE", "/studies/1.2.3")):
        with pytest.raises(Sent):
            post(outside, b"[]", "application/json", path, method)


def test_this_machine_takes_everything(server: ScriptedServer, client: LessonSession) -> None:
    body, content_type = multipart(STRANGER)
    client.post(f"{server.url}/v2/studies", data=body, headers={"Content-Type": content_type})
    assert server.received[0].body == body


def test_a_redirect_does_not_get_around_the_guard(server: ScriptedServer, client: LessonSession) -> None:
    server.replies = [Reply(307, {"Location": f"{AZURE}/studies"})]
    body, content_type = multipart(STRANGER)
    with pytest.raises(PatientDataGuard):
        client.post(f"{server.url}/v2/studies", data=body, headers={"Content-Type": content_type})


# --------------------------------------------------------------------------------------- headers, time limits, proxies


def test_headers_are_those_of_requests(server: ScriptedServer, client: LessonSession) -> None:
    client.get(server.url)
    plain = requests.Session().headers
    received = {name.lower(): value for name, value in server.received[0].headers.items()}
    assert received.pop("host") and received.pop("authorization") == "Bearer token-1"
    assert received == {name.lower(): value for name, value in plain.items()}


def test_each_call_has_a_time_limit(client: LessonSession, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def send(self: object, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        seen.append(options["timeout"])
        raise Sent

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    for timeout in (None, 3):
        with pytest.raises(Sent):
            client.get(AZURE, timeout=timeout)
    assert seen == [(10, 120), 3]


def test_a_silent_server(server: ScriptedServer, client: LessonSession) -> None:
    server.on_request = lambda request: time.sleep(0.5)
    with pytest.raises(ServiceTooSlow, match="no answer from the service on this machine in time"):
        client.get(server.url, timeout=0.1)


def test_nobody_there(client: LessonSession, environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceUnreachable, match=r"no connection to the .*NewConnectionError.*first cell") as caught:
        client.get("http://127.0.0.1:1/v2")
    assert isinstance(caught.value, requests.ConnectionError), "code that catches requests' own error still works"
    assert ":1" not in str(caught.value), "the port differs from run to run"
    environment.setenv("DICOM_SERVICE_URL", "http://127.0.0.1:1")
    with pytest.raises(ServiceUnreachable, match="Is DICOM_SERVICE_URL right"):
        client.get("http://127.0.0.1:1/v2")


def test_a_reply_that_is_cut_off(server: ScriptedServer, client: LessonSession) -> None:
    server.replies = [Reply(body=[b"begin"], cut=True)]
    with pytest.raises(ServiceUnreachable, match="the reply was cut off"):
        client.get(server.url)


@pytest.mark.parametrize("others", ["", "example.org, .internal", "localhost"])
def test_a_proxy_does_not_catch_calls_to_this_machine(
    server: ScriptedServer, environment: pytest.MonkeyPatch, others: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        environment.setenv(name, "http://127.0.0.1:9")
    environment.setenv("NO_PROXY", others)
    environment.setenv("no_proxy", others)
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url.replace("127.0.0.1", "localhost") if not others else server.url, timeout=10)
    reach_this_machine_directly()
    for host in ("127.0.0.1", "localhost"):
        assert requests.get(server.url.replace("127.0.0.1", host), timeout=10).ok
    with pytest.raises(requests.ConnectionError, match="host='::1'"):  # nobody listens there, and no proxy was asked
        requests.get("http://[::1]:1/", timeout=10)
    assert set(host.strip() for host in others.split(",") if host) <= set(os.environ["NO_PROXY"].split(","))
    assert os.environ["NO_PROXY"].count("localhost") == 1


def test_a_proxy_never_sees_the_token_for_this_machine(
    server: ScriptedServer, elsewhere: ScriptedServer, client: LessonSession, environment: pytest.MonkeyPatch
) -> None:
    """Even where the environment sends everything to a proxy: calls over plain http would show it the token."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        environment.setenv(name, elsewhere.url)
    for host in ("127.0.0.1", "localhost"):
        assert client.get(server.url.replace("127.0.0.1", host)).ok
    for host in ("127.0.0.2", "[::1]"):
        with pytest.raises(ServiceUnreachable):
            client.get(f"http://{host}:1/")
    server.replies = [Reply(302, {"Location": f"{server.url}/there"}), Reply()]
    assert client.get(server.url).ok
    assert len(server.received) == 4 and elsewhere.received == []


# ----------------------------------------------------------------------------------------------------------- redirects


def authorizations(server: ScriptedServer) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.received]


def test_a_redirect_within_the_service_keeps_the_token_whatever_netrc_has(
    server: ScriptedServer, client: LessonSession, netrc: None
) -> None:
    server.replies = [Reply(302, {"Location": "/there"}), Reply()]
    assert client.get(server.url).ok
    assert authorizations(server) == ["Bearer token-1"] * 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_to_anywhere_else_has_no_sign_in(
    server: ScriptedServer, elsewhere: ScriptedServer, client: LessonSession, netrc: None, status: int, host: str
) -> None:
    there = elsewhere.url.replace("127.0.0.1", host)
    server.replies = [Reply(status, {"Location": f"{there}/there"})]
    elsewhere.replies = [Reply(401, {"WWW-Authenticate": "Bearer"})]
    assert client.get(server.url).status_code == 401
    assert (authorizations(server), authorizations(elsewhere)) == (["Bearer token-1"], [None])


def test_a_redirect_there_and_back_has_none_either(
    server: ScriptedServer, elsewhere: ScriptedServer, client: LessonSession
) -> None:
    server.replies = [Reply(302, {"Location": f"{elsewhere.url}/there"}), Reply(401)]
    elsewhere.replies = [Reply(302, {"Location": f"{server.url}/back"})]
    assert client.get(server.url).status_code == 401
    assert (authorizations(server), authorizations(elsewhere)) == (["Bearer token-1", None], [None])


def test_a_silent_server_after_a_redirect_is_given_up_as_well(
    server: ScriptedServer, client: LessonSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.session.READ_TIMEOUT", 0.1)
    server.replies = [Reply(302, {"Location": "/there"}), Reply()]
    server.on_request = lambda request: time.sleep(0.5 if request.path == "/there" else 0)
    with pytest.raises(ServiceTooSlow):
        client.get(server.url)


class Watched(io.BytesIO):
    """A body that notes how much of it is asked for at a time."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.asked: set[int | None] = set()

    def read(self, size: int | None = -1) -> bytes:
        self.asked.add(size)
        return super().read(size)


def test_bodies_leave_in_large_blocks_also_through_a_proxy(server: ScriptedServer, client: LessonSession) -> None:
    plain = requests.Session()
    plain.mount("http://", LargeBlocks())
    for session, url, proxies in (
        (client, server.url, {}),
        (plain, server.url, {}),
        (plain, "http://pacs.example/studies", {"http": server.url}),
    ):
        body = Watched(bytes(600_000))
        session.post(url, data=body, proxies=proxies)
        assert body.asked == {BLOCK} and server.received[-1].body == body.getvalue()
