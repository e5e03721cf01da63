"""Signing in: the token endpoint, tokens, roles, 401 and 403, and the health check that needs none of it."""

import base64
import hmac
import json
import math
import re
import time
import warnings
from collections.abc import Iterator

import jwt
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import DefaultAzureCredential

import dicom_emulator
import dicom_emulator.wire.auth
from tests.emulator.conftest import Service, session
from tests.emulator.dicom_files import instance, multipart, path, uids

AUDIENCE = "https://dicom.healthcareapis.azure.com"
JSON = {"Accept": "application/dicom+json"}
CHALLENGE = re.compile(rf'Bearer authorization_uri="[^"]+", resource_id="{AUDIENCE}", realm="{AUDIENCE}"')
INSTANCE = "studies/1.2/series/1.3/instances/1.4"
TOMORROW = time.time() + 86400  # far enough ahead: the tests are collected long before they run
ROUTES = [
    ("POST", "studies"),
    ("POST", "studies/1.2"),
    ("GET", "studies/1.2"),
    ("GET", "studies/1.2/series/1.3"),
    ("GET", INSTANCE),
    ("GET", f"{INSTANCE}/frames/1"),
    ("GET", "studies/1.2/metadata"),
    ("GET", "studies/1.2/series/1.3/metadata"),
    ("GET", f"{INSTANCE}/metadata"),
    ("GET", "studies"),
    ("GET", "series"),
    ("GET", "instances"),
    ("GET", "studies/1.2/series"),
    ("GET", "studies/1.2/instances"),
    ("GET", "studies/1.2/series/1.3/instances"),
    ("DELETE", "studies/1.2"),
    ("DELETE", "studies/1.2/series/1.3"),
    ("DELETE", INSTANCE),
    ("GET", "changefeed"),
    ("GET", "changefeed/latest"),
]

both = pytest.mark.parametrize("version", ["v1", "v2"])


def ask(server: dicom_emulator.RunningServer, identity: str | None = "owner", **query: str) -> requests.Response:
    """The request that azure-identity sends in the App Service form."""
    headers = {"Metadata": "true"} | ({"X-IDENTITY-HEADER": identity} if identity is not None else {})
    parameters = {"api-version": "2019-08-01", "resource": AUDIENCE} | query
    return session().get(server.environment["IDENTITY_ENDPOINT"], params=parameters, headers=headers, timeout=10)


def claims(token: str, segment: int = 1) -> dict:
    text = token.split(".")[segment]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def encoded(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def secret_of(server: dicom_emulator.RunningServer) -> bytes:
    return server.state.service.archive.token_secret()


GONE = object()  # in place of what a claim or a header would be


def signed(
    server: dicom_emulator.RunningServer, change: dict, header_change: dict | None = None, secret: bytes | None = None
) -> str:
    """A token of the emulator's owner with some claims and headers changed, signed anew with the right secret."""
    token = server.credential.get_token(AUDIENCE).token
    parts = [claims(token, 0) | (header_change or {}), claims(token) | change]
    head, body = (encoded({name: value for name, value in part.items() if value is not GONE}) for part in parts)
    digest = hmac.digest(secret_of(server) if secret is None else secret, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


class TestTokenEndpoint:
    def test_it_answers_as_a_managed_identity_does(self, emulator: dicom_emulator.RunningServer) -> None:
        before = time.time()
        response = ask(emulator)
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("application/json")
        answer = response.json()
        assert answer["resource"] == AUDIENCE and answer["token_type"] == "Bearer"
        assert before + 3590 < int(answer["expires_on"]) < time.time() + 3610

    def test_tokens_are_signed_and_carry_audience_expiry_and_roles(
        self, emulator: dicom_emulator.RunningServer
    ) -> None:
        answers = {identity: ask(emulator, identity).json() for identity in ("owner", "reader")}
        for answer in answers.values():
            header, body = claims(answer["access_token"], 0), claims(answer["access_token"])
            assert header["alg"].lower() != "none" and answer["access_token"].split(".")[2]
            assert body["aud"] == AUDIENCE and body["exp"] == int(answer["expires_on"])
        roles = {identity: claims(answer["access_token"])["roles"] for identity, answer in answers.items()}
        assert roles["owner"] and roles["reader"] and roles["owner"] != roles["reader"]

    @pytest.mark.parametrize("identity", ["nobody", "", "OWNER ", None])
    def test_anybody_else_is_refused_in_words(
        self, emulator: dicom_emulator.RunningServer, identity: str | None
    ) -> None:
        response = ask(emulator, identity)
        assert response.status_code == 400
        refusal = response.json()
        assert refusal["statusCode"] == 400
        assert "owner" in refusal["message"] and "reader" in refusal["message"], "says what to do next"

    def test_a_request_without_resource_is_refused(self, emulator: dicom_emulator.RunningServer) -> None:
        response = session().get(emulator.environment["IDENTITY_ENDPOINT"], headers={"X-IDENTITY-HEADER": "owner"})
        assert (response.status_code, response.json()["statusCode"]) == (400, 400)

    def test_it_gives_tokens_for_this_service_only(self, emulator: dicom_emulator.RunningServer) -> None:
        response = ask(emulator, resource="https://management.azure.com")
        assert (response.status_code, response.json()["statusCode"]) == (400, 400)
        assert "https://management.azure.com" in response.json()["message"]

    def test_it_is_not_for_pages_of_other_origins(self, emulator: dicom_emulator.RunningServer) -> None:
        url = f"{emulator.environment['IDENTITY_ENDPOINT']}?resource={AUDIENCE}"
        for page, status in [
            ({"Origin": emulator.url}, 200), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
            ({"Sec-Fetch-Site": "none"}, 200),
        ]:  # fmt: skip
            answer = session().get(url, headers={"X-IDENTITY-HEADER": "owner"} | page, timeout=10)
            assert answer.status_code == status, page
            assert ("access_token" in answer.text) == (status == 200)

    @both
    def test_it_is_not_part_of_the_service(self, service: Service, version: str) -> None:
        assert service.owner.get(f"{service.url}/{version}/_emulator/identity/token").status_code == 404


class TestRealCredential:
    """azure-identity's DefaultAzureCredential, unchanged, against the emulator."""

    @pytest.mark.parametrize("scope", [f"{AUDIENCE}/.default", AUDIENCE])
    @pytest.mark.parametrize(("identity", "delete_status"), [("owner", 404), ("reader", 403)])
    def test_it_signs_in(
        self, service: Service, emulator: dicom_emulator.RunningServer, monkeypatch: pytest.MonkeyPatch, scope: str,
        identity: str, delete_status: int,
    ) -> None:  # fmt: skip
        for name, value in (emulator.environment | {"IDENTITY_HEADER": identity}).items():
            monkeypatch.setenv(name, value)
        with DefaultAzureCredential() as credential:
            token = credential.get_token(scope)
        assert 3500 < token.expires_on - time.time() <= 3610
        client = session(token.token)
        assert client.get(f"{service.v2}/changefeed").status_code == 200
        assert client.delete(f"{service.v2}/studies/1.2").status_code == delete_status

    def test_the_refusal_reaches_the_reader(
        self, emulator: dicom_emulator.RunningServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in (emulator.environment | {"IDENTITY_HEADER": "stranger"}).items():
            monkeypatch.setenv(name, value)
        with DefaultAzureCredential() as credential, pytest.raises(ClientAuthenticationError) as refusal:
            credential.get_token(f"{AUDIENCE}/.default")
        assert ask(emulator, "stranger").json()["message"] in str(refusal.value)

    def test_the_environment_is_the_owner_s(self, emulator: dicom_emulator.RunningServer) -> None:
        assert emulator.environment["IDENTITY_ENDPOINT"] == f"{emulator.url}/_emulator/identity/token"
        assert emulator.environment["IDENTITY_HEADER"] == "owner"

    @pytest.mark.parametrize("scope", [f"{AUDIENCE}/.default", AUDIENCE])
    def test_the_credential_of_a_running_server_needs_no_environment(
        self, service: Service, emulator: dicom_emulator.RunningServer, scope: str
    ) -> None:
        tokens = [emulator.credential.get_token(scope), emulator.credential_for("reader").get_token(scope)]
        statuses = [session(token.token).delete(f"{service.v2}/studies/1.2").status_code for token in tokens]
        assert statuses == [404, 403]


class TestNotSignedIn:
    @both
    @pytest.mark.parametrize(("method", "resource"), ROUTES)
    def test_every_resource_asks_for_a_token(self, service: Service, version: str, method: str, resource: str) -> None:
        body, content_type = multipart(instance())
        headers = JSON | ({"Content-Type": content_type} if method == "POST" else {})
        response = service.nobody.request(
            method, f"{service.url}/{version}/{resource}", headers=headers, data=body if method == "POST" else None
        )
        assert (response.status_code, response.content) == (401, b"")
        assert CHALLENGE.fullmatch(response.headers["WWW-Authenticate"])

    def refused(self, service: Service, authorization: str) -> bool:
        response = service.nobody.get(f"{service.v2}/changefeed", headers={"Authorization": authorization})
        if response.status_code == 401:
            assert response.content == b"" and CHALLENGE.fullmatch(response.headers["WWW-Authenticate"])
        return response.status_code == 401

    @pytest.mark.parametrize("authorization", ["Bearer", "Bearer x", "Bearer a.b.c", "Basic b3duZXI6b3duZXI=", "owner"])
    def test_what_is_no_token_is_401(self, service: Service, authorization: str) -> None:
        assert self.refused(service, authorization)

    def test_a_token_with_another_signature_is_401(
        self, service: Service, emulator: dicom_emulator.RunningServer
    ) -> None:
        token = ask(emulator).json()["access_token"]
        head, body, signature = token.split(".")
        other = claims(token) | {"exp": claims(token)["exp"] + 60}
        unsigned = encoded({"alg": "none", "typ": "JWT"})
        assert not self.refused(service, f"Bearer {token}")
        assert self.refused(service, f"Bearer {head}.{body}.{signature[:-6]}AAAAAA")
        assert self.refused(service, f"Bearer {head}.{encoded(other)}.{signature}"), "claims changed after signing"
        assert self.refused(service, f"Bearer {unsigned}.{body}."), "an unsigned token"
        assert self.refused(service, f"Bearer {unsigned}.{body}.{signature}")

    def test_a_reader_cannot_promote_itself(self, service: Service, emulator: dicom_emulator.RunningServer) -> None:
        reader, owner = (ask(emulator, identity).json()["access_token"].split(".") for identity in ("reader", "owner"))
        assert self.refused(service, f"Bearer {reader[0]}.{owner[1]}.{reader[2]}")

    def test_a_token_for_another_audience_is_401(
        self, service: Service, emulator: dicom_emulator.RunningServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rightly signed, but for another service: made by the emulator itself while its audience is changed."""
        with monkeypatch.context() as patch:
            patch.setattr("dicom_emulator.wire.auth.AUDIENCE", "https://management.azure.com")
            token = emulator.credential.get_token(AUDIENCE).token
        assert claims(token)["aud"] == "https://management.azure.com"
        assert self.refused(service, f"Bearer {token}")

    @pytest.mark.parametrize(
        "change",
        [
            {"aud": "https://dicom.healthcareapis.azure.com.evil.example"}, {"aud": ["https://management.azure.com"]},
            {"aud": None}, {"aud": 5}, {"aud": GONE}, {"iss": "somebody"}, {"iss": ["dicom-service-emulator"]},
            {"iss": GONE}, {"exp": GONE}, {"exp": None}, {"exp": "never"}, {"exp": []}, {"exp": math.inf}, {"exp": -1},
            {"nbf": TOMORROW}, {"nbf": "never"}, {"iat": TOMORROW}, {"sub": 5},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_token_that_is_rightly_signed_but_not_for_here_and_now_is_401(
        self, service: Service, emulator: dicom_emulator.RunningServer, change: dict
    ) -> None:
        assert self.refused(service, f"Bearer {signed(emulator, change)}")
        assert not self.refused(service, f"Bearer {signed(emulator, {})}")

    @pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
    def test_another_algorithm_with_the_right_secret_is_401(
        self, service: Service, emulator: dicom_emulator.RunningServer, algorithm: str
    ) -> None:
        secret, claimed = secret_of(emulator), claims(emulator.credential.get_token(AUDIENCE).token)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyJWT finds the secret short for these
            assert self.refused(service, f"Bearer {jwt.encode(claimed, secret, algorithm=algorithm)}")

    @pytest.mark.parametrize(
        "header",
        [{"alg": "RS256"}, {"alg": "ES256"}, {"alg": "none"}, {"alg": "None"}, {"alg": ["HS256"]}, {"alg": None},
         {"alg": "hs256"}, {"alg": GONE}, {"crit": ["exp"]}, {"b64": False}, {"kid": 5}],
        ids=str,
    )  # fmt: skip
    def test_a_header_that_names_another_way_to_check_is_401(
        self, service: Service, emulator: dicom_emulator.RunningServer, header: dict
    ) -> None:
        assert self.refused(service, f"Bearer {signed(emulator, {}, header)}")

    @pytest.mark.parametrize(
        "header", [{"kid": "../../etc/passwd"}, {"kid": "x' OR 1=1"}, {"jku": "http://evil.example"}, {"jwk": {"k": ""}}]
    )
    def test_no_header_chooses_the_key(
        self, service: Service, emulator: dicom_emulator.RunningServer, header: dict
    ) -> None:
        assert not self.refused(service, f"Bearer {signed(emulator, {}, header)}")
        for secret in (b"", b"\0", b"x" * 32):
            assert self.refused(service, f"Bearer {signed(emulator, {}, header, secret)}")

    @pytest.mark.parametrize("nested", [b"[" * 20_000, b'{"a":' * 4_500], ids=["list", "object"])
    def test_json_without_an_end_is_401(self, service: Service, nested: bytes) -> None:
        deep = base64.urlsafe_b64encode(nested).rstrip(b"=").decode()
        assert self.refused(service, f"Bearer {deep}.e30.AAAA")
        assert self.refused(service, f"Bearer {encoded({'alg': 'HS256'})}.{deep}.AAAA")

    def test_an_expired_token_is_401(self) -> None:
        with dicom_emulator.running(token_lifetime=1) as server:
            answer = ask(server).json()
            client = session(answer["access_token"])
            assert client.get(f"{server.url}/v2/changefeed").status_code == 200
            time.sleep(max(0.0, int(answer["expires_on"]) + 0.1 - time.time()))
            response = client.get(f"{server.url}/v2/changefeed")
            assert (response.status_code, response.content) == (401, b"")
            assert CHALLENGE.fullmatch(response.headers["WWW-Authenticate"])

    def test_only_so_many_good_tokens_are_remembered(self) -> None:
        tokens = dicom_emulator.wire.auth.TokenIssuer(b"secret" * 8, 3600)
        for lifetime in range(60, 60 + 2 * dicom_emulator.wire.auth.REMEMBERED):
            assert "delete" in tokens.actions(f"Bearer {tokens.issue('owner', lifetime).text}")
            assert len(tokens._good) <= dicom_emulator.wire.auth.REMEMBERED

    def test_an_unsuccessful_request_changes_nothing(self, service: Service) -> None:
        file = instance()
        service.store(file)
        assert service.nobody.delete(f"{service.v2}/{path(file, 'study')}").status_code == 401
        assert service.reader.delete(f"{service.v2}/{path(file, 'study')}").status_code == 403
        assert [event["action"] for event in service.owner.get(f"{service.v2}/changefeed").json()] == ["Create"]


class TestRoles:
    @both
    @pytest.mark.parametrize(("method", "resource"), ROUTES)
    def test_a_reader_reads_and_nothing_else(self, service: Service, version: str, method: str, resource: str) -> None:
        file = instance(pixels=b"\0\0", Rows=1, Columns=2, BitsAllocated=8, SamplesPerPixel=1)
        service.store(file)
        known = dict(zip(("1.2", "1.3", "1.4"), uids(file)))
        resource = "/".join(known.get(segment, segment) for segment in resource.split("/"))
        body, content_type = multipart(file)
        accept = "application/dicom+json" if "metadata" in resource or method == "POST" else "*/*"
        headers = {"Accept": accept} | ({"Content-Type": content_type} if method == "POST" else {})
        arguments = {"headers": headers, "data": body if method == "POST" else None}
        as_reader = service.reader.request(method, f"{service.url}/{version}/{resource}", **arguments)
        as_owner = service.owner.request(method, f"{service.url}/{version}/{resource}", **arguments)
        if method == "GET":
            assert (as_reader.status_code, as_owner.status_code) == (200, 200)
        else:
            assert (as_reader.status_code, as_reader.text) == (403, "Authorization failed.")
            assert as_reader.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert as_owner.status_code == (409 if method == "POST" else 204)


class TestNoRole:
    """Somebody who signed in but may do nothing here, as before a role is assigned on Azure."""

    @pytest.fixture
    def stranger(self, emulator: dicom_emulator.RunningServer, monkeypatch: pytest.MonkeyPatch) -> requests.Session:
        with monkeypatch.context() as patch:
            patch.setitem(dicom_emulator.wire.auth.ROLES, "reader", ("Some Other Role", frozenset()))
            return session(emulator.credential_for("reader").get_token(AUDIENCE).token)

    @both
    @pytest.mark.parametrize(("method", "resource"), ROUTES)
    def test_every_resource_is_403(
        self, service: Service, stranger: requests.Session, version: str, method: str, resource: str
    ) -> None:
        body, content_type = multipart(instance())
        headers = {"Accept": "*/*"} | ({"Content-Type": content_type} if method == "POST" else {})
        response = stranger.request(
            method, f"{service.url}/{version}/{resource}", headers=headers, data=body if method == "POST" else None
        )
        assert (response.status_code, response.text) == (403, "Authorization failed.")

    @both
    def test_accept_and_parameters_are_looked_at_before_the_role_and_anything_else_after_it(
        self, service: Service, stranger: requests.Session, version: str
    ) -> None:
        expected = [
            ("studies", {}, 406),
            ("studies?limit=0", JSON, 400),
            (f"{INSTANCE}/frames/x", JSON, 400),
            ("changefeed?limit=0", JSON, 400),
            ("studies/b.a.d/metadata", JSON, 403),
            ("studies/1.2/metadata", JSON, 403),
            ("studies/1.2", {}, 403),
        ]
        for target, headers, status in expected:
            assert stranger.get(f"{service.url}/{version}/{target}", headers=headers).status_code == status, target


class TestFormOfRoles:
    """Roles are names in a list. Whatever else stands there is no role, and no trouble either."""

    @pytest.mark.parametrize(
        "roles",
        ["DICOM Data Owner", "no DICOM Data Owner", {"DICOM Data Owner": 1}, [["DICOM Data Owner"]], ["dicom data owner"],
         ["DICOM Data Owner "], [None, 5, {}], [], 5, 1.5, True, None, GONE],
        ids=str,
    )  # fmt: skip
    def test_anything_else_is_403_and_says_no_more(
        self, service: Service, emulator: dicom_emulator.RunningServer, roles: object
    ) -> None:
        response = session(signed(emulator, {"roles": roles})).delete(f"{service.v2}/studies/1.2", timeout=10)
        assert (response.status_code, response.text) == (403, "Authorization failed.")

    def test_several_roles_add_up(self, service: Service, emulator: dicom_emulator.RunningServer) -> None:
        roles = ["Some Other Role", 5, "DICOM Data Reader", "DICOM Data Owner"]
        client = session(signed(emulator, {"roles": roles}))
        assert client.delete(f"{service.v2}/studies/1.2", timeout=10).status_code == 404


@pytest.fixture(scope="module")
def open_service() -> Iterator[dicom_emulator.RunningServer]:
    with dicom_emulator.running(sign_in=False) as server:
        yield server


class TestWithoutSignIn:
    @pytest.mark.parametrize("token", [None, "nonsense"])
    def test_everybody_may_do_everything(self, open_service: dicom_emulator.RunningServer, token: str | None) -> None:
        file, client = instance(), session(token)
        body, content_type = multipart(file)
        url = f"{open_service.url}/v2"
        assert client.get(f"{url}/changefeed").status_code == 200
        stored = client.post(f"{url}/studies", data=body, headers=JSON | {"Content-Type": content_type})
        assert stored.status_code == 200
        assert client.delete(f"{url}/{path(file)}").status_code == 204

    def test_the_token_endpoint_still_answers(self, open_service: dicom_emulator.RunningServer) -> None:
        """So that a program which signs in works unchanged."""
        assert ask(open_service).status_code == 200


class TestHealth:
    def test_it_answers_everybody(self, service: Service) -> None:
        response = service.nobody.get(f"{service.url}/health/check")
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("application/json")
        health = response.json()
        assert health["overallStatus"] == "Healthy"
        assert health["details"], "at least one thing was looked at"
        for detail in health["details"]:
            assert detail["name"] and detail["status"] == "Healthy" and isinstance(detail["description"], str)

    @both
    def test_it_has_no_version(self, service: Service, version: str) -> None:
        assert service.owner.get(f"{service.url}/{version}/health/check").status_code == 404
