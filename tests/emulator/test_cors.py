"""Web pages of other origins: what a browser asks before and looks for afterwards (WHATWG Fetch, "CORS protocol")."""

from collections.abc import Iterator
from typing import Any

import pytest

import dicom_emulator
from dicom_emulator.api.transaction import Resource
from dicom_emulator.app import ROUTES
from tests.emulator.conftest import Service, session
from tests.emulator.dicom_files import instance, path
from tests.emulator.storing import own_emulator, search

VIEWER, OTHER, FOREIGN = "http://127.0.0.1:3000", "https://viewer.example", "http://elsewhere.example"
JSON = {"Accept": "application/dicom+json"}


@pytest.fixture(scope="module")
def open_to_pages() -> Iterator[Service]:
    """An emulator that lets the pages of two origins in."""
    with own_emulator(cors_origins=(VIEWER, OTHER)) as service:
        yield service


@pytest.fixture
def shared(open_to_pages: Service) -> Iterator[Service]:
    """The same, without faults and without anything stored before."""
    open_to_pages.owner.post(f"{open_to_pages.url}/_emulator/reset")
    yield open_to_pages


def words(value: str) -> set[str]:
    """The members of a comma-separated header, in lower case."""
    return {word.strip().lower() for word in value.split(",")}


def cors_headers(response: Any) -> list[str]:
    return [name for name in response.headers if name.lower().startswith("access-control-")]


class TestWithoutTheOption:
    def test_no_response_has_cors_headers(self, service: Service) -> None:
        response = service.owner.get(f"{service.v2}/changefeed", headers={"Origin": VIEWER})
        assert response.status_code == 200 and cors_headers(response) == []

    def test_a_preflight_is_a_method_that_is_not_offered(self, service: Service) -> None:
        headers = {"Origin": VIEWER, "Access-Control-Request-Method": "GET"}
        response = service.nobody.options(f"{service.v2}/studies", headers=headers)
        assert response.status_code == 405 and cors_headers(response) == []


class TestPreflight:
    @pytest.mark.parametrize("origin", [VIEWER, OTHER])
    @pytest.mark.parametrize("version", ["v1", "v2"])
    @pytest.mark.parametrize(
        ("method", "headers"),
        [
            ("GET", "accept,authorization"),
            ("GET", "if-none-match"),
            ("POST", "authorization,content-type"),
            ("PUT", "authorization,content-type"),
            ("PATCH", "authorization,content-type"),
            ("DELETE", "authorization,x-ms-azuredicom-audit-user"),
        ],
    )
    def test_every_method_and_header_is_allowed_and_no_token_is_needed(
        self, shared: Service, origin: str, version: str, method: str, headers: str
    ) -> None:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        }
        response = shared.nobody.options(f"{shared.url}/{version}/studies/1.2", headers=asked)
        assert response.status_code == 200
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert method.lower() in words(response.headers["Access-Control-Allow-Methods"])
        assert words(headers) <= words(response.headers["Access-Control-Allow-Headers"])

    def test_a_cache_keeps_apart_what_other_pages_are_told(self, shared: Service) -> None:
        asked = {
            "Origin": VIEWER,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        }
        response = shared.nobody.options(f"{shared.v2}/studies", headers=asked)
        assert words(response.headers["Vary"]) >= {
            "origin",
            "access-control-request-method",
            "access-control-request-headers",
        }

    @pytest.mark.parametrize("asked", [{"Origin": FOREIGN}, {"Origin": "null"}, {"Origin": VIEWER + "0"}])
    def test_of_an_origin_that_was_not_named_is_refused(self, shared: Service, asked: dict[str, str]) -> None:
        headers = asked | {"Access-Control-Request-Method": "GET"}
        response = shared.nobody.options(f"{shared.v2}/studies", headers=headers)
        assert response.status_code == 400
        assert "Access-Control-Allow-Origin" not in response.headers


class TestResponses:
    """A browser hides from the page whatever lacks these headers, and then every trouble looks like a dead server."""

    def allows(self, response: Any, origin: str = VIEWER) -> bool:
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert response.headers["Access-Control-Expose-Headers"] == "*"
        assert "origin" in words(response.headers["Vary"])
        assert "Access-Control-Allow-Credentials" not in response.headers
        return True

    @pytest.mark.parametrize("origin", [VIEWER, OTHER])
    def test_of_success(self, shared: Service, origin: str) -> None:
        file = instance()
        stored = shared.store(file)
        assert stored.status_code == 200 and cors_headers(stored) == [], "this client is no page: it sends no Origin"
        asked = JSON | {"Origin": origin}
        search = shared.owner.get(f"{shared.v2}/studies", headers=asked)
        metadata = shared.owner.get(f"{shared.v2}/{path(file)}/metadata", headers=asked)
        nothing = shared.owner.get(f"{shared.v2}/studies?PatientID=nobody", headers=asked)
        retrieved = shared.owner.get(f"{shared.v2}/{path(file)}", headers={"Origin": origin, "Accept": "*/*"})
        deleted = shared.owner.delete(f"{shared.v2}/{path(file)}", headers={"Origin": origin})
        responses = [search, metadata, nothing, retrieved, deleted]
        assert [response.status_code for response in responses] == [200, 200, 204, 200, 204]
        assert all(self.allows(response, origin) for response in responses)

    def test_that_nothing_changed(self, shared: Service) -> None:
        file = instance()
        shared.store(file)
        url, asked = f"{shared.v2}/{path(file)}/metadata", JSON | {"Origin": VIEWER}
        tag = shared.owner.get(url, headers=asked).headers["ETag"]
        response = shared.owner.get(url, headers=asked | {"If-None-Match": tag})
        assert response.status_code == 304 and self.allows(response)

    @pytest.mark.parametrize("version", ["v1", "v2"])
    @pytest.mark.parametrize(
        ("method", "target", "headers", "person", "status"),
        [
            ("GET", "studies?x=%3C", JSON, "owner", 400),
            ("GET", "studies?limit=0", JSON, "owner", 400),
            ("GET", "studies", JSON, "nobody", 401),
            ("DELETE", "studies/1.2", {}, "reader", 403),
            ("GET", "nothing", JSON, "owner", 404),
            ("GET", "studies/1.2/metadata", JSON, "owner", 404),
            ("PATCH", "studies", {}, "owner", 405),
            ("GET", "studies", {"Accept": "text/html"}, "owner", 406),
            ("GET", "studies/1.2", {"Accept": "image/png"}, "owner", 406),
            ("POST", "studies", {"Content-Type": "text/plain", **JSON}, "owner", 415),
        ],
    )
    def test_of_every_refusal(
        self, shared: Service, version: str, method: str, target: str, headers: dict, person: str, status: int
    ) -> None:
        client = getattr(shared, person)
        response = client.request(method, f"{shared.url}/{version}/{target}", headers=headers | {"Origin": VIEWER})
        assert response.status_code == status and self.allows(response)

    def test_of_a_version_that_does_not_exist(self, shared: Service) -> None:
        response = shared.owner.get(f"{shared.url}/v3/studies", headers={"Origin": VIEWER})
        assert response.status_code == 400 and self.allows(response)

    @pytest.mark.parametrize(
        ("fault", "status"), [({"status": 503}, 503), ({"status": 500}, 500), ({"expired_token": True}, 401)]
    )
    def test_of_a_fault(self, shared: Service, fault: dict[str, Any], status: int) -> None:
        assert shared.owner.post(f"{shared.url}/_emulator/faults", json=fault).ok
        response = shared.owner.get(f"{shared.v2}/studies", headers=JSON | {"Origin": VIEWER})
        assert response.status_code == status and self.allows(response)

    def test_of_the_health_check_and_of_sign_in(self, shared: Service) -> None:
        asked = {"Origin": VIEWER, "X-IDENTITY-HEADER": "reader"}
        resource = "https://dicom.healthcareapis.azure.com"
        token = shared.nobody.get(f"{shared.url}/_emulator/identity/token?resource={resource}", headers=asked)
        health = shared.nobody.get(f"{shared.url}/health/check", headers=asked)
        assert token.status_code == health.status_code == 200
        assert self.allows(token) and self.allows(health)

    def test_of_sign_in_for_an_origin_that_was_not_named(self, shared: Service) -> None:
        asked = {"Origin": FOREIGN, "X-IDENTITY-HEADER": "reader"}
        resource = "https://dicom.healthcareapis.azure.com"
        token = shared.nobody.get(f"{shared.url}/_emulator/identity/token?resource={resource}", headers=asked)
        assert token.status_code == 403 and "access_token" not in token.text

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", "reset"), ("POST", "seed"), ("GET", "requests"), ("DELETE", "requests"), ("GET", "faults"),
         ("POST", "faults"), ("DELETE", "faults"), ("GET", "snapshots"), ("POST", "snapshots"), ("GET", "summary"),
         ("POST", "snapshots/a/restore"), ("DELETE", "snapshots/a"), ("GET", "operations"), ("PUT", "operations")],
    )  # fmt: skip
    def test_the_service_is_open_to_the_page_and_control_is_not(
        self, shared: Service, method: str, path: str
    ) -> None:
        url = f"{shared.url}/_emulator/{path}"
        response = shared.nobody.request(method, url, headers={"Origin": VIEWER}, json={"status": 503})
        assert (response.status_code, response.text) == (403, "Another origin's page may not control the emulator.")

    @pytest.mark.parametrize("origin", [FOREIGN, "null", VIEWER + "0"])
    def test_an_origin_that_was_not_named_is_not_let_in(self, shared: Service, origin: str) -> None:
        response = shared.nobody.get(f"{shared.url}/health/check", headers={"Origin": origin})
        assert response.status_code == 200
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "origin" in words(response.headers["Vary"]), "a cache must not give this to the viewer"

    def test_without_an_origin_a_cache_is_told_all_the_same(self, shared: Service) -> None:
        response = shared.nobody.get(f"{shared.url}/health/check")
        assert cors_headers(response) == [] and "origin" in words(response.headers["Vary"])


def test_an_asterisk_lets_every_page_in() -> None:
    with dicom_emulator.running(cors_origins=("*",)) as server:
        response = session().get(f"{server.url}/v2/studies", headers=JSON | {"Origin": FOREIGN})
        assert response.status_code == 401 and response.headers["Access-Control-Allow-Origin"] == "*"
        token = f"{server.url}/_emulator/identity/token?resource=https://dicom.healthcareapis.azure.com"
        assert session().get(token, headers={"Origin": FOREIGN, "X-IDENTITY-HEADER": "reader"}).status_code == 200
        assert session().post(f"{server.url}/_emulator/reset", headers={"Origin": FOREIGN}).status_code == 403


# A page may send these without asking first (WHATWG Fetch, "CORS-safelisted request-header"). None: a body without a type.
SENT_UNASKED = [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
POSTED = [route.path for route in ROUTES if isinstance(route, Resource) and "POST" in route.transactions]


@pytest.fixture(scope="module")
def open_to_everybody() -> Iterator[Service]:
    with own_emulator(sign_in=False) as service:
        yield service


class TestWhatNeedsNoPreflightWhereNobodySignsIn:
    """PUT, PATCH and DELETE are asked for first, always, and answered 405. So are the media types that POST takes."""

    @pytest.mark.parametrize("content_type", SENT_UNASKED)
    @pytest.mark.parametrize("version", ["v1", "v2"])
    @pytest.mark.parametrize("target", POSTED)
    def test_no_post_is_taken(
        self, open_to_everybody: Service, target: str, version: str, content_type: str | None
    ) -> None:
        file = instance()
        url = open_to_everybody.url + target.format(version=version, study="1.2", workitem="1.2")
        headers = {"Origin": FOREIGN, "Accept": "*/*"} | ({"Content-Type": content_type} if content_type else {})
        response = open_to_everybody.nobody.post(url, data=file, headers=headers)
        bulk_update_in_v1 = version == "v1" and "$" in target
        assert response.status_code == (404 if bulk_update_in_v1 else 415)
        assert search(open_to_everybody, "instances") == []

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_a_preflight_is_refused(self, open_to_everybody: Service, method: str) -> None:
        headers = {"Origin": FOREIGN, "Access-Control-Request-Method": method}
        response = open_to_everybody.nobody.options(f"{open_to_everybody.v2}/studies", headers=headers)
        assert response.status_code == 405 and cors_headers(response) == []
