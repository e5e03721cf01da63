"""What all transactions share: versions in the URL, the order of checks, headers, error bodies, the Accept filter."""

import gzip
import http.client
import socket
import sqlite3
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

import dicom_emulator
from dicom_emulator.server import listen
from dicom_emulator.settings import Settings
from tests.emulator.conftest import Service, session
from tests.emulator.dicom_files import instance, multipart, path

JSON = {"Accept": "application/dicom+json"}
SCOPE = "https://dicom.healthcareapis.azure.com/.default"
STUDY, SERIES, INSTANCE = "studies/1.2", "studies/1.2/series/1.3", "studies/1.2/series/1.3/instances/1.4"
SEARCHES = ["studies", "series", "instances", f"{STUDY}/series", f"{STUDY}/instances", f"{SERIES}/instances"]
METADATA = [f"{resource}/metadata" for resource in (STUDY, SERIES, INSTANCE)]
RETRIEVES = [STUDY, SERIES, INSTANCE, f"{INSTANCE}/frames/1"]
OWN_SETTINGS = {"max_file_size": 2000}

both = pytest.mark.parametrize("version", ["v1", "v2"])


@pytest.fixture(scope="module")
def small() -> Iterator[dicom_emulator.RunningServer]:
    """An emulator that takes files up to 2000 bytes."""
    with dicom_emulator.running(**OWN_SETTINGS) as server:
        yield server


def raw_request(url: str, target: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    """Status and body of a request whose target goes out as it is, without a client's clean-up."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request(method, target, headers=headers)
    response = connection.getresponse()
    return response.status, response.read()


def test_the_sessions_of_these_tests_send_no_accept_header() -> None:
    """Otherwise every 406 below for a missing header would prove nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        session("a-token").get(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=10)
        thread.join(10)
    names = {line.split(b":")[0].lower() for line in heard[0].split(b"\r\n")[1:] if line}
    assert b"authorization" in names and b"accept" not in names


class TestVersions:
    """The version is the first segment of the path (product documentation, API versioning)."""

    @pytest.mark.parametrize("spelling", ["v1.0-prerelease", "v1-prerelease", "v1", "v1.0", "v2", "v2.0", "V2"])
    def test_every_spelling_of_a_version_is_understood(self, service: Service, spelling: str) -> None:
        response = service.owner.get(f"{service.url}/{spelling}/changefeed")
        assert (response.status_code, response.json()) == (200, [])

    @pytest.mark.parametrize("spelling", ["v1.0-prerelease", "v1-prerelease", "v1.0"])
    def test_the_prerelease_behaves_as_v1(self, service: Service, spelling: str) -> None:
        file = instance(StudyTime="120000")
        assert "00741048" not in service.store(file, version=spelling).json()["00081199"]["Value"][0]
        row = service.owner.get(f"{service.url}/{spelling}/studies", headers=JSON).json()[0]
        assert row["00080030"] == {"vr": "TM", "Value": ["120000"]}, "v2 does not return StudyTime by default"

    @pytest.mark.parametrize(
        "target", ["/studies", "/changefeed", "/studies?api-version=2", "/vx/studies", "/v/studies"]
    )
    def test_a_path_without_a_readable_version_is_404_without_body(self, service: Service, target: str) -> None:
        response = service.owner.get(service.url + target, headers=JSON | {"api-version": "2"})
        assert (response.status_code, response.content) == (404, b"")

    @pytest.mark.parametrize("number", ["3", "3.0", "2.1", "0", "1.0-beta"])
    def test_a_version_that_does_not_exist_is_400_with_json(self, service: Service, number: str) -> None:
        url = f"{service.url}/v{number}/studies"
        response = service.owner.get(url, headers=JSON)
        assert response.status_code == 400
        assert response.headers["Content-Type"].startswith("application/json")
        error = response.json()["error"]
        assert error["code"] == "UnsupportedApiVersion"
        assert error["message"] == (
            f"The HTTP resource that matches the request URI '{url}' does not support the API version '{number}'."
        )

    @both
    @pytest.mark.parametrize(
        ("method", "resource"),
        [
            ("PATCH", "studies"),
            ("DELETE", "studies"),
            ("PATCH", STUDY),
            ("POST", "series"),
            ("PUT", "changefeed"),
            ("DELETE", "changefeed/latest"),
            ("PUT", f"{SERIES}/metadata"),
            ("POST", INSTANCE),
            ("DELETE", f"{INSTANCE}/frames/1"),
            ("OPTIONS", "studies"),
        ],
    )
    def test_a_method_that_is_not_offered_is_405_with_json(
        self, service: Service, version: str, method: str, resource: str
    ) -> None:
        response = service.owner.request(method, f"{service.url}/{version}/{resource}", headers=JSON)
        assert response.status_code == 405
        assert response.headers["Content-Type"].startswith("application/json")
        assert set(response.json()["error"]) >= {"code", "message"}

    @both
    @pytest.mark.parametrize(
        "resource",
        [
            "nothing",
            "studies/1.2/series1.3",
            "studies/1.2/nothing",
            "studies/1.2/rendered",
            "studies/1.2/series/1.3/rendered",
            "studies/1.2/thumbnail",
            "studies/1.2/bulkdata",
            "capabilities",
        ],
    )
    def test_a_path_that_is_no_resource_is_404_without_body(
        self, service: Service, version: str, resource: str
    ) -> None:
        response = service.owner.get(f"{service.url}/{version}/{resource}", headers=JSON)
        assert (response.status_code, response.content) == (404, b"")

    @both
    @pytest.mark.parametrize("spelled", ["STUDIES/{0}/SERIES/{1}/Instances/{2}/METADATA", "{path}/metadata/"])
    def test_letter_case_and_a_trailing_slash_do_not_matter(self, service: Service, version: str, spelled: str) -> None:
        file = instance()
        service.store(file)
        target = spelled.format(*path(file).split("/")[1::2], path=path(file))
        response = service.owner.get(f"{service.url}/{version}/{target}", headers=JSON)
        assert (response.status_code, len(response.json())) == (200, 1)

    @both
    def test_a_trailing_slash_is_tolerated_on_the_search_and_store_path(self, service: Service, version: str) -> None:
        body, content_type = multipart(instance())
        url = f"{service.url}/{version}/studies/"
        stored = service.owner.post(url, data=body, headers=JSON | {"Content-Type": content_type})
        assert stored.status_code == 200
        assert service.owner.get(url, headers=JSON).status_code == 200


class TestHeaders:
    """Headers of every answer, whatever became of the request."""

    REQUESTS = [
        ("GET", "/v2/changefeed", JSON, 200),
        ("GET", "/v1/studies", JSON, 204),
        ("GET", "/v2/studies?limit=0", JSON, 400),
        ("GET", "/v2/studies?x=%3C", JSON, 400),
        ("GET", "/v3/studies", JSON, 400),
        ("GET", f"/v2/{STUDY}/metadata", JSON, 404),
        ("GET", "/v2/nothing", {}, 404),
        ("GET", "/nothing", {}, 404),
        ("PATCH", "/v2/studies", {}, 405),
        ("GET", "/v2/studies", {}, 406),
        ("GET", f"/v1/{STUDY}", {}, 406),
        ("POST", "/v2/studies", JSON | {"Content-Type": "text/plain"}, 415),
        ("DELETE", f"/v1/{STUDY}", {}, 404),
    ]

    @pytest.mark.parametrize(("method", "target", "headers", "status"), REQUESTS)
    def test_security_headers_are_on_every_response(
        self, service: Service, method: str, target: str, headers: dict[str, str], status: int
    ) -> None:
        for client, expected in ((service.owner, status), (service.nobody, None)):
            response = client.request(method, service.url + target, headers=headers)
            assert response.status_code == (expected or response.status_code)
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["X-Frame-Options"] == "SAMEORIGIN"
            assert response.headers["Content-Security-Policy"] == "frame-src 'self';"

    @pytest.mark.parametrize(
        ("method", "target", "headers"),
        [
            ("GET", "/v2/changefeed", JSON),
            ("GET", "/v1.0-prerelease/changefeed", JSON),
            ("GET", "/v1/studies", JSON),
            ("GET", "/v2/studies?limit=0", JSON),
            ("GET", "/v2/studies", {}),
            ("GET", f"/v1/{STUDY}", {}),
            ("GET", f"/v2/{STUDY}/metadata", JSON),
            ("DELETE", f"/v1/{STUDY}", {}),
        ],
    )
    def test_calls_that_reach_a_resource_name_the_supported_versions(
        self, service: Service, method: str, target: str, headers: dict[str, str]
    ) -> None:
        response = service.owner.request(method, service.url + target, headers=headers)
        assert response.headers["api-supported-versions"] == "1.0-prerelease, 1, 2"

    def test_nothing_is_compressed(self, service: Service) -> None:
        for _ in range(5):
            service.store(instance(PatientComments="A long comment. " * 100))
        wanted = JSON | {"Accept-Encoding": "gzip, deflate, br"}
        response = service.owner.get(f"{service.v2}/instances?includefield=PatientComments", headers=wanted)
        assert response.status_code == 200 and "Content-Encoding" not in response.headers

    @both
    def test_an_etag_is_the_only_header_for_caches_and_only_on_metadata(self, service: Service, version: str) -> None:
        file = instance()
        service.store(file)
        accept = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*, application/dicom+json'}
        for resource in ("studies", path(file), f"{path(file)}/metadata", "changefeed"):
            response = service.owner.get(f"{service.url}/{version}/{resource}", headers=accept)
            assert response.status_code == 200
            assert ("ETag" in response.headers) == resource.endswith("metadata")
            assert not {"Cache-Control", "Expires", "Last-Modified", "Vary", "Age"} & set(response.headers)

    def test_audit_headers_are_accepted_up_to_ten_of_2048_characters(self, service: Service) -> None:
        many = {f"X-MS-AZUREDICOM-AUDIT-{number}": "x" * 2048 for number in range(10)}
        assert service.owner.get(f"{service.v2}/changefeed", headers=many).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {f"X-MS-AZUREDICOM-AUDIT-{number}": "x" for number in range(11)},
            {"x-ms-azuredicom-audit-user": "x" * 2049},
            {"x-ms-azuredicom-audit-user": "x" * 2049, "x-ms-azuredicom-audit-more": "x"},
        ],
        ids=["eleven", "too long", "one of two too long"],
    )
    def test_more_or_longer_audit_headers_are_400(self, service: Service, headers: dict[str, str]) -> None:
        response = service.owner.get(f"{service.v2}/changefeed", headers=headers)
        assert response.status_code == 400
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8" and response.text


class TestOrderOfChecks:
    """Which answer wins where several things are wrong."""

    SCREENED = b"The query string included invalid characters."

    @pytest.mark.parametrize(
        "target",
        ["/v2/studies?PatientID=%3Cb", "/v2/studies?%3cx=1", "/v2/studies?a<b", "/nothing?<", "/v3/studies?x=%3c",
         "/health/check?%3C", "/v2/changefeed?limit=10&x=%3c"],
    )  # fmt: skip
    @pytest.mark.parametrize("token", [True, False], ids=["signed in", "not signed in"])
    def test_a_less_than_sign_in_the_query_is_refused_first(self, service: Service, target: str, token: bool) -> None:
        headers = {"Authorization": service.owner.headers["Authorization"]} if token else {}
        assert raw_request(service.url, target, **headers) == (400, self.SCREENED)

    def test_a_less_than_sign_in_the_path_is_not_screened(self, service: Service) -> None:
        status, body = raw_request(
            service.url, "/v2/studies/%3Cb/metadata", Accept="*/*", Authorization=service.owner.headers["Authorization"]
        )
        assert status == 400 and body.startswith(b"Dicom element 'StudyInstanceUid' failed validation")

    @both
    @pytest.mark.parametrize(
        ("method", "target", "headers", "status"),
        [
            ("GET", "/{v}/nothing", {}, 404),
            ("GET", "/v3/studies", {}, 400),
            ("PATCH", "/{v}/studies", {}, 405),
            ("POST", "/{v}/studies", {"Content-Type": "application/json"}, 415),
        ],
    )
    def test_path_version_method_and_body_type_are_looked_at_before_the_token(
        self, service: Service, version: str, method: str, target: str, headers: dict[str, str], status: int
    ) -> None:
        response = service.nobody.request(method, service.url + target.format(v=version), headers=headers)
        assert response.status_code == status

    @both
    @pytest.mark.parametrize(
        "target", ["studies", "studies?limit=0", "studies/b.a.d/metadata", f"{STUDY}/metadata", STUDY]
    )
    def test_the_token_is_looked_at_before_accept_parameters_uids_and_existence(
        self, service: Service, version: str, target: str
    ) -> None:
        for headers in ({}, JSON):
            assert service.nobody.get(f"{service.url}/{version}/{target}", headers=headers).status_code == 401

    @both
    @pytest.mark.parametrize("target", ["studies?limit=0", "studies?PatientID=", "studies/b.a.d/metadata"])
    def test_the_accept_filter_comes_before_parameters_and_uids(
        self, service: Service, version: str, target: str
    ) -> None:
        response = service.owner.get(f"{service.url}/{version}/{target}")
        assert (response.status_code, response.content) == (406, b"")

    @both
    def test_the_accept_filter_comes_before_the_role(self, service: Service, version: str) -> None:
        body, content_type = multipart(instance())
        url = f"{service.url}/{version}/studies"
        headers = {"Content-Type": content_type}
        assert service.reader.post(url, data=body, headers=headers).status_code == 406
        assert service.reader.post(url, data=body, headers=headers | JSON).status_code == 403

    @both
    def test_parameters_are_looked_at_before_uids(self, service: Service, version: str) -> None:
        search = service.owner.get(f"{service.url}/{version}/studies/b.a.d/series?limit=0", headers=JSON)
        frames = service.owner.get(f"{service.url}/{version}/studies/b.a.d/series/1.3/instances/1.4/frames/x")
        assert search.status_code == frames.status_code == 400
        assert search.text.startswith("The query parameter 'Limit' is invalid.")
        assert frames.text.startswith("The query parameter 'frames' is invalid.")

    @both
    @pytest.mark.parametrize("uid", ["b.a.d", "1.2"])
    def test_the_role_is_looked_at_before_uids_and_existence(self, service: Service, version: str, uid: str) -> None:
        body, content_type = multipart(instance())
        url = f"{service.url}/{version}/studies/{uid}"
        refused = [
            service.reader.delete(url),
            service.reader.post(url, data=body, headers=JSON | {"Content-Type": content_type}),
        ]
        assert [(response.status_code, response.text) for response in refused] == [(403, "Authorization failed.")] * 2

    @both
    @pytest.mark.parametrize(
        "resource", ["studies/b.a.d", "studies/1.2/series/b.a.d", "studies/1.2/series/1.3/instances/b.a.d"]
    )
    def test_uids_are_looked_at_before_the_accept_header_of_a_retrieval(
        self, service: Service, version: str, resource: str
    ) -> None:
        for headers in ({}, {"Accept": "text/html"}):
            assert service.owner.get(f"{service.url}/{version}/{resource}", headers=headers).status_code == 400

    @both
    @pytest.mark.parametrize("resource", RETRIEVES)
    def test_the_accept_header_of_a_retrieval_is_looked_at_before_existence(
        self, service: Service, version: str, resource: str
    ) -> None:
        response = service.owner.get(f"{service.url}/{version}/{resource}", headers={"Accept": "text/html"})
        assert (response.status_code, response.text) == (406, "The request headers are not acceptable")


class TestErrorBodies:
    """A refusal is one bare sentence as text; what the framework refuses has no body; a failed store is a data set."""

    @both
    @pytest.mark.parametrize(
        ("method", "target", "headers", "status", "text"),
        [
            ("GET", "studies?limit=201", JSON, 400,
             "The query parameter 'Limit' is invalid. The field Limit must be between 1 and 200."),
            ("GET", "studies?x=%3C", JSON, 400, "The query string included invalid characters."),
            ("GET", f"{STUDY}/metadata", JSON, 404, "The specified study cannot be found."),
            ("GET", f"{SERIES}/metadata", JSON, 404, "The specified series cannot be found."),
            ("DELETE", INSTANCE, {}, 404, "The specified instance cannot be found."),
            ("GET", STUDY, {}, 406, "The request headers are not acceptable"),
            ("GET", f"{INSTANCE}/frames/0", {"Accept": "*/*"}, 400,
             "The specified frames value is not valid. At least one frame must be present, and all requested frames "
             "must have value greater than 0."),
        ],
    )  # fmt: skip
    def test_a_refusal_is_one_sentence_of_text(
        self, service: Service, version: str, method: str, target: str, headers: dict[str, str], status: int, text: str
    ) -> None:
        response = service.owner.request(method, f"{service.url}/{version}/{target}", headers=headers)
        assert (response.status_code, response.text) == (status, text)
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"

    @both
    @pytest.mark.parametrize(
        ("method", "target", "headers", "status"),
        [
            ("GET", "studies", {}, 406),
            ("GET", f"{STUDY}/metadata", {"Accept": "application/xml"}, 406),
            ("POST", "studies", JSON | {"Content-Type": "application/json"}, 415),
            ("GET", "nothing", JSON, 404),
        ],
    )
    def test_what_the_framework_refuses_has_no_body(
        self, service: Service, version: str, method: str, target: str, headers: dict[str, str], status: int
    ) -> None:
        response = service.owner.request(method, f"{service.url}/{version}/{target}", headers=headers)
        assert (response.status_code, response.content) == (status, b"")

    @both
    def test_a_store_that_failed_altogether_answers_with_a_data_set(self, service: Service, version: str) -> None:
        response = service.store(b"not DICOM", version=version)
        assert response.status_code == 409
        assert response.headers["Content-Type"] == "application/dicom+json; charset=utf-8"
        assert set(response.json()) == {"00081198"}

    @both
    def test_a_part_of_another_type_is_named_in_the_415(self, service: Service, version: str) -> None:
        body, content_type = multipart(instance())
        body = body.replace(b"Content-Type: application/dicom", b"Content-Type: image/jpeg")
        headers = JSON | {"Content-Type": content_type}
        response = service.owner.post(f"{service.url}/{version}/studies", data=body, headers=headers)
        assert response.status_code == 415
        assert response.text == "The specified content type 'image/jpeg' is not supported."
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"

    @both
    def test_a_multipart_body_that_breaks_off_is_400(self, service: Service, version: str) -> None:
        body, content_type = multipart(instance())
        headers = JSON | {"Content-Type": content_type}
        response = service.owner.post(f"{service.url}/{version}/studies", data=body[:-40], headers=headers)
        assert response.status_code == 400
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8" and response.text

    @pytest.mark.parametrize("single", [True, False], ids=["single part", "multipart"])
    def test_a_file_above_the_limit_is_413_and_names_the_limit(
        self, small: dicom_emulator.RunningServer, single: bool
    ) -> None:
        owner = session(small.credential.get_token(SCOPE).token)
        large, fits = instance(PatientComments="x" * 2000), instance()
        assert len(fits) < OWN_SETTINGS["max_file_size"] < len(large)
        for file, status in ((large, 413), (fits, 200)):
            body, content_type = (file, "application/dicom") if single else multipart(file)
            headers = JSON | {"Content-Type": content_type}
            response = owner.post(f"{small.url}/v2/studies", data=body, headers=headers)
            assert response.status_code == status
            if status == 413:
                assert response.text == "The request exceeded the allowed limit of 2000 bytes."
                assert response.headers["Content-Type"] == "text/plain; charset=utf-8"

    def test_the_limit_holds_for_each_part_not_for_the_request(self, small: dicom_emulator.RunningServer) -> None:
        owner = session(small.credential.get_token(SCOPE).token)
        body, content_type = multipart(*(instance() for _ in range(4)))
        assert len(body) > OWN_SETTINGS["max_file_size"]
        response = owner.post(f"{small.url}/v2/studies", data=body, headers=JSON | {"Content-Type": content_type})
        assert response.status_code == 200

    @both
    @pytest.mark.parametrize(
        ("failure", "status"),
        [(sqlite3.OperationalError("database is locked"), 503), (OSError(28, "No space left on device"), 503),
         (RuntimeError("a defect"), 500)],
    )  # fmt: skip
    def test_trouble_inside_is_503_for_storage_and_500_for_anything_else(
        self, service: Service, monkeypatch: pytest.MonkeyPatch, version: str, failure: Exception, status: int
    ) -> None:
        def fail(*_: object) -> None:
            raise failure

        with monkeypatch.context() as patch:
            patch.setattr("dicom_emulator.api.search.search", fail)
            response = service.owner.get(f"{service.url}/{version}/studies", headers=JSON)
        assert response.status_code == status
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.text and str(failure) not in response.text
        if status == 500:
            assert response.text == (
                "The server encountered an internal error. Please retry the request. "
                "If the issue persists, please contact support."
            )
        service.owner.close()  # the server hangs up after a 500
        assert service.owner.get(f"{service.url}/{version}/studies", headers=JSON).status_code == 204

    @both
    @pytest.mark.parametrize(("sent", "shown"), [("a%3Eb", "a&gt;b"), ("a%3Cb", "a&lt;b"), ("a%26b", "a&amp;b")])
    def test_the_detail_of_a_parameter_error_is_escaped_for_html(
        self, service: Service, version: str, sent: str, shown: str
    ) -> None:
        response = service.owner.get(f"{service.url}/{version}/{INSTANCE}/frames/{sent}", headers={"Accept": "*/*"})
        assert response.status_code == 400
        assert shown in response.text

    @both
    def test_of_several_bad_parameters_one_is_reported(self, service: Service, version: str) -> None:
        url = f"{service.url}/{version}/studies?limit=0&offset=-1&fuzzymatching=maybe"
        response = service.owner.get(url, headers=JSON)
        assert response.status_code == 400
        assert response.text.count("The query parameter") == 1

    def test_a_compressed_request_body_is_not_decoded(self, service: Service) -> None:
        headers = JSON | {"Content-Type": "application/dicom", "Content-Encoding": "gzip"}
        packed = service.owner.post(f"{service.v2}/studies", data=gzip.compress(instance()), headers=headers)
        plain = service.owner.post(f"{service.v2}/studies", data=instance(), headers=headers)
        assert (packed.status_code, plain.status_code) == (409, 200)


def test_answers_are_not_held_back_on_the_way() -> None:
    """With Nagle's algorithm on, each answer waits 40 ms for the client's acknowledgement of its headers.

    asyncio switches it off for the connections of a socket whose protocol is named, and for no others.
    """
    with listen(Settings(port=0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP


class TestMediaTypes:
    @both
    def test_dicom_json_and_service_json_are_told_apart(self, service: Service, version: str) -> None:
        file = instance()
        assert service.store(file, version=version).headers["Content-Type"] == "application/dicom+json; charset=utf-8"
        expected = {
            "studies": "application/dicom+json; charset=utf-8",
            f"{path(file)}/metadata": "application/dicom+json; charset=utf-8",
            "changefeed": "application/json; charset=utf-8",
            "changefeed/latest": "application/json; charset=utf-8",
        }
        for resource, media_type in expected.items():
            response = service.owner.get(f"{service.url}/{version}/{resource}", headers=JSON)
            assert response.headers["Content-Type"] == media_type


class TestAcceptFilter:
    """Accept of the transactions that answer with DICOM JSON."""

    ACCEPTED = [
        "application/dicom+json",
        "application/dicom+json;charset=utf-8",
        "application/dicom+json; charset=utf-8; profile=x",
        "APPLICATION/DICOM+JSON",
        "application/json",
        "application/*",
        "*/*",
        "text/html, application/xml;q=0.9, */*;q=0.8",
        "application/xml, application/dicom+json",
    ]
    REFUSED = [
        None,
        "",
        "application/dicom",
        "application/dicom+xml",
        "application/xml",
        "application/data",
        "text/html, application/xml",
        "text/*",
        "multipart/related; type=application/dicom",
        "nonsense",
        "application/dicom+json/x",
    ]

    @both
    @pytest.mark.parametrize("accept", ACCEPTED)
    def test_these_pass(self, service: Service, version: str, accept: str) -> None:
        headers = {"Accept": accept}
        base = f"{service.url}/{version}"
        assert {service.owner.get(f"{base}/{search}", headers=headers).status_code for search in SEARCHES} == {204}
        assert {service.owner.get(f"{base}/{target}", headers=headers).status_code for target in METADATA} == {404}
        body, content_type = multipart(instance())
        stored = service.owner.post(f"{base}/studies", data=body, headers=headers | {"Content-Type": content_type})
        found = service.owner.get(f"{base}/studies", headers=headers)
        for response in (stored, found):
            assert response.status_code == 200
            assert response.headers["Content-Type"] == "application/dicom+json; charset=utf-8"

    @both
    @pytest.mark.parametrize("accept", REFUSED)
    def test_these_are_406_without_body(self, service: Service, version: str, accept: str | None) -> None:
        headers = {} if accept is None else {"Accept": accept}
        base = f"{service.url}/{version}"
        body, content_type = multipart(instance())
        answers = [service.owner.get(f"{base}/{target}", headers=headers) for target in SEARCHES + METADATA]
        answers += [
            service.owner.post(target, data=body, headers=headers | {"Content-Type": content_type})
            for target in (f"{base}/studies", f"{base}/{STUDY}")
        ]
        assert {(response.status_code, response.content) for response in answers} == {(406, b"")}
        assert service.owner.get(f"{base}/changefeed").json() == [], "nothing was stored"

    @both
    def test_delete_and_change_feed_need_no_accept_header(self, service: Service, version: str) -> None:
        file = instance()
        service.store(file)
        base = f"{service.url}/{version}"
        assert service.owner.get(f"{base}/changefeed").status_code == 200
        assert service.owner.get(f"{base}/changefeed/latest").status_code == 200
        assert service.owner.delete(f"{base}/{path(file)}").status_code == 204

    def test_what_requests_sends_by_itself_passes(self, service: Service) -> None:
        """`requests` and curl send `Accept: */*` unless told otherwise."""
        headers = {"Authorization": service.owner.headers["Authorization"]}
        assert requests.get(f"{service.v2}/studies", headers=headers, timeout=10).status_code == 204
