"""What only an emulator has: the request log and the faults below /_emulator/."""

import contextlib
import time
from unittest import mock

import numpy
import pytest
import requests
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path

JSON = {"Accept": "application/dicom+json"}
ORIGINAL = {"Accept": "application/dicom; transfer-syntax=*"}


def exchanges(service: Service) -> list[dict]:
    return requests.get(f"{service.url}/_emulator/requests", timeout=10).json()


def fault(service: Service, **rule: object) -> requests.Response:
    return requests.post(f"{service.url}/_emulator/faults", json=rule, timeout=10)


def search_status(service: Service) -> int:
    return service.owner.get(f"{service.v2}/studies", headers=JSON, timeout=10).status_code


class TestRequestLog:
    def test_it_has_what_was_asked_and_answered(self, service: Service) -> None:
        files = instance(), instance()
        service.store(*files)
        service.owner.get(f"{service.v2}/studies?PatientID=nobody", headers=JSON)
        store, search = exchanges(service)
        assert (store["method"], store["path"], store["status"]) == ("POST", "/v2/studies", 200)
        assert store["parts"] == [{"bytes": len(file)} for file in files]
        assert store["requestBytes"] > sum(map(len, files)) and store["responseBytes"] > 100
        assert store["requestHeaders"]["content-type"].startswith("multipart/related")
        assert store["responseHeaders"]["content-type"].startswith("application/dicom+json")
        assert (search["path"], search["status"]) == ("/v2/studies?PatientID=nobody", 204)
        assert search["milliseconds"] >= 0 and search["responseBytes"] == 0

    def test_a_defect_is_in_it_with_the_answer_that_the_client_got(self, service: Service) -> None:
        with mock.patch("dicom_emulator.api.search.search", side_effect=ValueError("a defect")):
            assert search_status(service) == 500
        assert exchanges(service)[0]["status"] == 500
        assert exchanges(service)[0]["responseHeaders"]["connection"] == "close"

    def test_an_answer_that_breaks_off_keeps_its_status(self, service: Service) -> None:
        class Broken(Response):
            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
                await send({"type": "http.response.body", "body": b"four", "more_body": True})
                raise OSError(5, "Input/output error")

        service.store(instance())
        with mock.patch("dicom_emulator.api.search.DicomJson", Broken), contextlib.suppress(requests.RequestException):
            search_status(service)
        assert exchanges(service)[-1]["status"] == 200

    def test_it_has_no_token(self, service: Service) -> None:
        search_status(service)
        text = requests.get(f"{service.url}/_emulator/requests", timeout=10).text
        assert service.owner.headers["Authorization"].split()[1] not in text
        assert exchanges(service)[0]["requestHeaders"]["authorization"] == "Bearer …"

    def test_it_has_none_where_none_belongs_either(self, service: Service) -> None:
        token = service.owner.headers["Authorization"].split()[1]
        headers = {
            "Authorization": token,  # "Bearer " was forgotten
            "Proxy-Authorization": "Basic c2VjcmV0", "Cookie": "session=secret; more=secret", "X-Forwarded-Access-Token": token,
            "Referer": "http://localhost:8888/lab?token=secret", "X-Harmless": "all of this",
        }  # fmt: skip
        for query in (f"access_token={token}", "limit=1&token=secret", f"PatientName={token}"):
            requests.get(f"{service.url}/v2/studies?{query}", headers=headers, timeout=10)
        text = requests.get(f"{service.url}/_emulator/requests", timeout=10).text
        assert not [secret for secret in (token, token[:20], "secret", "c2VjcmV0") if secret in text]
        first, second, _ = exchanges(service)
        assert (first["path"], second["path"]) == ("/v2/studies?access_token=…", "/v2/studies?limit=1&token=…")
        shown = first["requestHeaders"]
        assert (shown["authorization"], shown["proxy-authorization"], shown["cookie"]) == ("…", "Basic …", "…")
        assert shown["referer"] == "http://localhost:8888/lab?token=…" and shown["x-harmless"] == "all of this"

    def test_it_leaves_the_emulators_own_pages_out_and_keeps_the_last_200(self, service: Service) -> None:
        for _ in range(201):
            service.owner.get(f"{service.v2}/changefeed")
        exchanges(service)
        search_status(service)
        assert len(exchanges(service)) == 200
        assert exchanges(service)[-1]["path"] == "/v2/studies"

    def test_an_exchange_is_listed_once_its_answer_begins_and_does_not_return_after_a_reset(
        self, service: Service
    ) -> None:
        file = instance(pixels=numpy.zeros((100, 200), dtype="uint8"))
        service.store(file)
        fault(service, method="GET", path="/v2/studies/*", bytes_per_second=100_000)
        with service.owner.get(f"{service.v2}/{path(file)}", headers=ORIGINAL, stream=True) as response:
            assert [(each["method"], each["status"]) for each in exchanges(service)] == [("POST", 200), ("GET", 200)]
            requests.delete(f"{service.url}/_emulator/requests", timeout=10)
            assert response.content == file
        assert exchanges(service) == []

    def test_it_can_be_cleared(self, service: Service) -> None:
        search_status(service)
        assert requests.delete(f"{service.url}/_emulator/requests", timeout=10).status_code == 204
        assert exchanges(service) == []


class TestFaults:
    def test_a_status_is_answered_instead_and_once(self, service: Service) -> None:
        assert fault(service, path="/v2/studies", status=503).status_code == 201
        assert [search_status(service) for _ in range(3)] == [503, 204, 204]

    def test_the_nth_call_and_how_many(self, service: Service) -> None:
        fault(service, status=500, nth=2, count=2)
        assert [search_status(service) for _ in range(5)] == [204, 500, 500, 204, 204]
        fault(service, status=500, count=0)
        assert [search_status(service) for _ in range(5)] == [500] * 5

    def test_method_and_path_choose(self, service: Service) -> None:
        fault(service, method="POST", path="/v?/studies*", status=503, count=0)
        assert search_status(service) == 204
        assert service.store(instance()).status_code == 503
        assert service.store(instance(), study="1.2.3").status_code == 503

    def test_what_is_refused_is_not_stored(self, service: Service) -> None:
        fault(service, method="POST", status=503)
        service.store(instance())
        assert search_status(service) == 204

    def test_a_delay(self, service: Service) -> None:
        fault(service, delay=0.3)
        before = time.monotonic()
        assert search_status(service) == 204
        assert time.monotonic() - before >= 0.3

    @pytest.mark.parametrize("after", [0, 1000])
    def test_a_body_that_breaks_off(self, service: Service, after: int) -> None:
        file = instance(PatientComments="x" * 5000)
        service.store(file)
        fault(service, cut_after=after)
        url, headers = f"{service.v2}/{path(file)}", {"Accept": "application/dicom; transfer-syntax=*"}
        received = b""
        with pytest.raises(requests.RequestException):
            for chunk in service.owner.get(url, headers=headers, stream=True, timeout=10).iter_content(1):
                received += chunk
        assert received == file[:after]
        assert service.owner.get(url, headers=headers, timeout=10).content == file

    def test_a_body_of_several_pieces_breaks_off(self, service: Service) -> None:
        study = {"StudyInstanceUID": "1.2.3"}
        service.store(*(instance(PatientComments="x" * 5000, **study) for _ in range(3)))
        fault(service, cut_after=8000)
        headers = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
        received = b""
        with pytest.raises(requests.RequestException):
            answer = service.owner.get(f"{service.v2}/studies/1.2.3", headers=headers, stream=True, timeout=10)
            for chunk in answer.iter_content(1):
                received += chunk
        assert len(received) == 8000

    def test_a_large_file_breaks_off(self, service: Service) -> None:
        file = instance(pixels=numpy.zeros((2000, 2000), dtype="uint8"))
        service.store(file)
        fault(service, cut_after=3_000_000)
        received = bytearray()
        with pytest.raises(requests.RequestException):
            answer = service.owner.get(f"{service.v2}/{path(file)}", headers=ORIGINAL, stream=True, timeout=10)
            for chunk in answer.iter_content(1000):
                received += chunk
        assert received == file[:3_000_000]
        assert exchanges(service)[-1]["responseBytes"] == 3_000_000
        assert service.owner.get(f"{service.v2}/{path(file)}", headers=ORIGINAL, timeout=10).content == file
        assert exchanges(service)[-1]["responseBytes"] == len(file)

    def test_a_slow_body_arrives_whole(self, service: Service) -> None:
        file = instance(PatientComments="x" * 5000)
        service.store(file)
        fault(service, bytes_per_second=20_000)
        before = time.monotonic()
        response = service.owner.get(
            f"{service.v2}/{path(file)}", headers={"Accept": "application/dicom; transfer-syntax=*"}, timeout=10
        )
        assert response.content == file and time.monotonic() - before > 0.15

    def test_an_expired_token(self, service: Service) -> None:
        fault(service, expired_token=True)
        response = service.owner.get(f"{service.v2}/studies", headers=JSON)
        assert response.status_code == 401 and response.headers["WWW-Authenticate"].startswith("Bearer ")
        assert search_status(service) == 204

    def test_they_are_listed_and_cleared(self, service: Service) -> None:
        fault(service, path="/v2/*", status=503, nth=5)
        search_status(service)
        (rule,) = requests.get(f"{service.url}/_emulator/faults", timeout=10).json()
        assert (rule["path"], rule["status"], rule["nth"], rule["seen"]) == ("/v2/*", 503, 5, 1)
        assert requests.delete(f"{service.url}/_emulator/faults", timeout=10).status_code == 204
        assert requests.get(f"{service.url}/_emulator/faults", timeout=10).json() == []

    @pytest.mark.parametrize(
        ("rule", "named"),
        [
            ({"stauts": 503}, "stauts"),
            ({"status": "503"}, "status"),
            ({"status": 42}, "status"),
            ({"nth": 0}, "nth"),
            ({"count": True}, "count"),
            ({"delay": -1}, "delay"),
            ({"bytes_per_second": 0}, "bytes_per_second"),
        ],
    )
    def test_a_rule_that_makes_no_sense_is_refused(self, service: Service, rule: dict, named: str) -> None:
        response = fault(service, **rule)
        assert response.status_code == 400 and named in response.text
        assert requests.get(f"{service.url}/_emulator/faults", timeout=10).json() == []

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000], ids=lambda body: repr(body[:4]))
    def test_what_is_no_rule_is_refused(self, service: Service, body: bytes) -> None:
        assert requests.post(f"{service.url}/_emulator/faults", data=body, timeout=10).status_code == 400


class TestControl:
    def test_reset_forgets_faults_and_requests_too(self, service: Service) -> None:
        fault(service, status=503, nth=2)
        search_status(service)
        assert requests.post(f"{service.url}/_emulator/reset", timeout=10).status_code == 204
        assert exchanges(service) == []
        assert [search_status(service) for _ in range(3)] == [204] * 3

    @pytest.mark.parametrize(
        ("method", "page"),
        [
            ("POST", "reset"),
            ("GET", "requests"),
            ("DELETE", "requests"),
            ("GET", "faults"),
            ("POST", "faults"),
            ("DELETE", "faults"),
            ("POST", "seed"),
            ("GET", "snapshots"),
            ("POST", "snapshots"),
            ("POST", "snapshots/none/restore"),
            ("DELETE", "snapshots/none"),
            ("GET", "operations"),
            ("PUT", "operations"),
        ],
    )
    def test_a_foreign_page_has_no_control(self, service: Service, method: str, page: str) -> None:
        url = f"{service.url}/_emulator/{page}"
        foreign = requests.request(method, url, headers={"Origin": "http://elsewhere.example"}, timeout=10)
        assert foreign.status_code == 403
        for site in ("cross-site", "same-site"):  # where a browser sends no Origin, it tells this
            assert requests.request(method, url, headers={"Sec-Fetch-Site": site}, timeout=10).status_code == 403
        own = requests.request(method, url, headers={"Origin": service.url}, json={"nth": 9}, timeout=10)
        assert own.status_code in {200, 201, 204, 400, 404}


class TestOperationTime:
    def test_it_is_told_and_set(self, service: Service) -> None:
        url = f"{service.url}/_emulator/operations"
        assert requests.get(url, timeout=10).json() == {"leastSeconds": 0}
        response = requests.put(url, json={"leastSeconds": 2.5}, timeout=10)
        assert (response.status_code, response.json()) == (200, {"leastSeconds": 2.5})
        assert requests.get(url, timeout=10).json() == {"leastSeconds": 2.5}

    def test_an_operation_takes_that_long(self, service: Service) -> None:
        requests.put(f"{service.url}/_emulator/operations", json={"leastSeconds": 3600}, timeout=10)
        tag = [{"Path": "00081010", "VR": "SH", "Level": "Series"}]
        operation = service.owner.post(f"{service.v2}/extendedquerytags", json=tag).headers["Location"]
        assert service.owner.get(operation).json()["status"] in {"notStarted", "running"}

    def test_a_reset_sets_it_back(self, service: Service) -> None:
        requests.put(f"{service.url}/_emulator/operations", json={"leastSeconds": 2}, timeout=10)
        requests.post(f"{service.url}/_emulator/reset", timeout=10)
        assert requests.get(f"{service.url}/_emulator/operations", timeout=10).json() == {"leastSeconds": 0}

    @pytest.mark.parametrize(
        "body",
        [b"", b"2", b"{}", b'{"leastSeconds": "2"}', b'{"leastSeconds": true}', b'{"leastSeconds": -1}',
         b'{"leastSeconds": 3601}', b'{"leastSeconds": NaN}', b'{"leastSeconds": 1e999}', b'{"leastSeconds": null}',
         b'{"leastSeconds": 2, "more": 1}'],
    )  # fmt: skip
    def test_what_is_no_time_is_refused(self, service: Service, body: bytes) -> None:
        response = requests.put(f"{service.url}/_emulator/operations", data=body, timeout=10)
        assert response.status_code == 400 and "leastSeconds" in response.text
        assert requests.get(f"{service.url}/_emulator/operations", timeout=10).json() == {"leastSeconds": 0}
