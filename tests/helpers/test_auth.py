"""BearerAuth: tokens are kept, renewed, repeated once after a 401, and never sent where they do not belong."""

import io
import os
import time
from collections.abc import Iterator

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.identity import AzureCliCredential, DefaultAzureCredential

from helpers.auth import BearerAuth, InsecureAddress, NotSignedIn, sign_in
from helpers.multipart import MultipartRelatedStream
from tests.helpers.conftest import NumberedTokens, Reply, ScriptedServer

SCOPE = "https://dicom.healthcareapis.azure.com/.default"
REFUSED = Reply(401, {"WWW-Authenticate": "Bearer"})


def client(credential: object) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.auth = BearerAuth(credential)  # type: ignore[arg-type]
    return session


def tokens(server: ScriptedServer) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.received]


def test_one_token_for_many_requests(server: ScriptedServer) -> None:
    credential = NumberedTokens()
    session = client(credential)
    session.get(server.url)
    session.get(server.url)
    assert tokens(server) == ["Bearer token-1", "Bearer token-1"]
    assert credential.scopes == (SCOPE,), "the scope has to end with /.default"


@pytest.mark.parametrize(("seconds_left", "expected"), [(290, "Bearer token-2"), (310, "Bearer token-1")])
def test_a_token_is_renewed_five_minutes_before_it_expires(
    server: ScriptedServer, seconds_left: int, expected: str
) -> None:
    session = client(NumberedTokens(expires_on=time.time() + seconds_left))
    session.get(server.url)
    session.get(server.url)
    assert tokens(server)[1] == expected


def test_once_more_after_401_with_a_fresh_token(server: ScriptedServer) -> None:
    server.replies = [REFUSED, Reply(body=b"welcome")]
    response = client(NumberedTokens()).get(server.url)
    assert response.text == "welcome" and response.request.headers["Authorization"] == "Bearer token-2"
    assert tokens(server) == ["Bearer token-1", "Bearer token-2"]
    assert [earlier.status_code for earlier in response.history] == [401]


def test_the_fresh_token_is_kept(server: ScriptedServer) -> None:
    server.replies = [REFUSED, Reply()]
    session = client(NumberedTokens())
    session.get(server.url)
    session.get(server.url)
    assert tokens(server) == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_not_more_than_once(server: ScriptedServer) -> None:
    server.replies = [REFUSED]
    assert client(NumberedTokens()).get(server.url).status_code == 401
    assert tokens(server) == ["Bearer token-1", "Bearer token-2"]


def test_the_same_token_is_not_tried_again(server: ScriptedServer) -> None:
    server.replies = [REFUSED]
    assert client(NumberedTokens(last=1)).get(server.url).status_code == 401
    assert tokens(server) == ["Bearer token-1"]


def test_other_refusals_are_not_repeated(server: ScriptedServer) -> None:
    server.replies = [Reply(403)]
    assert client(NumberedTokens()).get(server.url).status_code == 403
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"bytes",
        "text",
        io.BytesIO(b"a file"),
        MultipartRelatedStream([b"streamed"], "b"),
    ],
    ids=["bytes", "text", "file", "stream"],
)
def test_the_body_is_sent_whole_again(server: ScriptedServer, body: object) -> None:
    server.replies = [REFUSED, Reply()]
    assert client(NumberedTokens()).post(server.url, data=body, timeout=5).ok  # type: ignore[arg-type]
    first, second = (request.body for request in server.received)
    assert first == second != b""


def test_a_body_that_cannot_be_sent_twice_is_not_sent_half(server: ScriptedServer) -> None:
    def generator() -> Iterator[bytes]:
        yield b"gone after this"

    server.replies = [REFUSED, Reply()]
    assert client(NumberedTokens()).post(server.url, data=generator(), timeout=5).status_code == 401
    assert len(server.received) == 1


def test_a_redirect_to_another_host_loses_the_token(server: ScriptedServer) -> None:
    elsewhere = server.url.replace("127.0.0.1", "localhost")
    server.replies = [Reply(302, {"Location": f"{elsewhere}/there"}), REFUSED]
    assert client(NumberedTokens()).get(server.url).status_code == 401
    assert [request.path for request in server.received] == ["/", "/there"]
    assert tokens(server) == ["Bearer token-1", None], "a 401 from elsewhere shall not get the token either"


def test_a_redirect_to_another_port_loses_the_token(server: ScriptedServer, elsewhere: ScriptedServer) -> None:
    server.replies = [Reply(307, {"Location": f"{elsewhere.url}/there"})]
    elsewhere.replies = [REFUSED]
    assert client(NumberedTokens()).get(server.url).status_code == 401
    assert (tokens(server), tokens(elsewhere)) == (["Bearer token-1"], [None])


def test_a_redirect_to_https_and_back_loses_the_token(server: ScriptedServer) -> None:
    """No TLS is spoken here, so it is looked at before it is sent."""
    session, request = client(NumberedTokens()), requests.Request("GET", "https://localhost:1/")
    prepared = session.prepare_request(request)
    assert prepared.headers["Authorization"] == "Bearer token-1"
    moved, answer = prepared.copy(), requests.Response()
    answer.request, moved.url = prepared, "http://localhost:1/"
    session.rebuild_auth(moved, answer)
    assert "Authorization" not in moved.headers


def test_what_netrc_has_does_not_replace_the_token(server: ScriptedServer, netrc: None) -> None:
    session = client(NumberedTokens())
    session.trust_env = True
    session.get(server.url)
    assert tokens(server) == ["Bearer token-1"]


def test_where_netrc_signs_in_after_a_redirect_a_401_does_not_fetch_the_token_there(
    server: ScriptedServer, elsewhere: ScriptedServer, netrc: None
) -> None:
    server.replies = [Reply(302, {"Location": f"{elsewhere.url}/there"})]
    elsewhere.replies = [REFUSED]
    session = client(NumberedTokens())
    session.trust_env = True
    assert session.get(server.url).status_code == 401
    (password,) = tokens(elsewhere)
    assert password and password.startswith("Basic "), "the password of that host, which is not ours to keep back"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/v2", "HTTP://EXAMPLE.ORG", "http://127.0.0.1.example.org", "http://localhost.example.org",
        "http://127.0.0.1.nip.io.example.org", "http://localhost@example.org", "http://127.0.0.1:80@example.org",
        "http://example.org\\@localhost", "http://example.org#@localhost", "http://example.org?@localhost",
        "http://example.org./", "http://[::1].example.org",
    ],
)  # fmt: skip
def test_no_token_over_plain_http_to_another_machine(url: str) -> None:
    credential = NumberedTokens()
    with pytest.raises((InsecureAddress, requests.exceptions.InvalidURL), match="example.org") as caught:
        requests.Request("GET", url, auth=BearerAuth(credential)).prepare()
    assert caught.type is requests.exceptions.InvalidURL or "over plain http" in str(caught.value)
    assert credential.asked == 0


@pytest.mark.parametrize(
    "host",
    [
        "192.168.0.7", "0.0.0.0", "169.254.169.254", "[::]", "[fe80::1]", "[::ffff:8.8.8.8]", "[2001:db8::1]",
        "localhost.", "2130706433", "0x7f000001", "127.1", "017700000001", "127.0.0.1.", "127.0.0.1.nip.io", "localhost%2e",
    ],
)  # fmt: skip
def test_an_address_that_is_not_plainly_this_machine_counts_as_another(host: str) -> None:
    """Some of them lead here all the same, and some on some machines only."""
    with pytest.raises(InsecureAddress, match="over plain http"):
        requests.Request("GET", f"http://{host}:1/", auth=BearerAuth(NumberedTokens())).prepare()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org", "HTTPS://example.org", "http://localhost:1", "http://LOCALHOST:1", "http://127.0.0.1:1",
        "http://127.0.0.2:1", "http://[::1]:1", "http://anna@localhost:1", "http://anna:secret@127.0.0.1:1",
    ],
)  # fmt: skip
def test_addresses_that_may_have_the_token(url: str) -> None:
    request = requests.Request("GET", url, auth=BearerAuth(NumberedTokens())).prepare()
    assert request.headers["Authorization"] == "Bearer token-1"


def test_nothing_shows_the_token() -> None:
    auth = BearerAuth(NumberedTokens())
    auth.token()
    assert repr(auth) == str(auth) == "BearerAuth(NumberedTokens)"


# -------------------------------------------------------------------------------------------- azure-identity itself


def test_not_signed_in_anywhere(environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    environment.setenv("PATH", "")
    environment.setenv("AZURE_TOKEN_CREDENTIALS", "dev")  # without this, it asks the network for a managed identity
    with pytest.raises(NotSignedIn) as caught:
        sign_in(DefaultAzureCredential())
    message = str(caught.value)
    assert message.startswith(f"DefaultAzureCredential has no token for {SCOPE}. In a terminal, run `az login`")
    assert "\n  AzureCliCredential: Azure CLI not found on path\n" in message
    assert "troubleshoot" not in message and len(message.splitlines()) < 12
    assert caplog.records == [], "azure's log shall not reach the learner's cell"


def test_one_credential_alone(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PATH", "")
    with pytest.raises(NotSignedIn, match=r"^AzureCliCredential has[^\0]*It said: Azure CLI not found on path"):
        sign_in(AzureCliCredential())


def managed_identity(environment: pytest.MonkeyPatch, server: ScriptedServer) -> DefaultAzureCredential:
    environment.setenv("IDENTITY_ENDPOINT", f"{server.url}/_emulator/identity/token")
    environment.setenv("IDENTITY_HEADER", "owner")
    environment.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    return DefaultAzureCredential()


def test_the_real_credential_asks_the_endpoint(environment: pytest.MonkeyPatch, server: ScriptedServer) -> None:
    answer = b'{"access_token": "abc", "expires_on": "4000000000", "resource": "x", "token_type": "Bearer"}'
    server.replies = [Reply(200, {"Content-Type": "application/json"}, answer)]
    assert sign_in(managed_identity(environment, server)).token == "abc"
    asked = server.received[0]
    assert asked.headers["X-IDENTITY-HEADER"] == "owner"
    assert asked.path.endswith("resource=https://dicom.healthcareapis.azure.com")


def test_an_emulator_that_refuses(environment: pytest.MonkeyPatch, server: ScriptedServer) -> None:
    refusal = b'{"statusCode": 400, "message": "no such role"}'
    server.replies = [Reply(400, {"Content-Type": "application/json"}, refusal)]
    with pytest.raises(NotSignedIn, match="IDENTITY_ENDPOINT names an emulator: is it running"):
        sign_in(managed_identity(environment, server))


def test_a_token_in_an_error_is_taken_out() -> None:
    class Chatty:
        def get_token(self, *scopes: str) -> AccessToken:
            raise ValueError("could not parse eyJhbGciOi.eyJhdWQiOi.c2lnbmVk")

    with pytest.raises(NotSignedIn) as caught:
        sign_in(Chatty())  # type: ignore[arg-type]
    assert "could not parse …" in str(caught.value) and "eyJ" not in str(caught.value)


def test_environment_fixture_hides_the_sign_in_of_this_machine(environment: pytest.MonkeyPatch) -> None:
    assert "IDENTITY_ENDPOINT" not in os.environ
