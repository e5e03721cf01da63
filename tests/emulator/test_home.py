"""The home page without a browser: its files and headers, what it is told, and what the request log leaves out."""

import logging
import re
from pathlib import Path

import pytest
import requests

import dicom_emulator
from tests.emulator.conftest import Service, wait_for
from tests.emulator.dicom_files import instance
from tests.emulator.storing import own_emulator
from tests.emulator.test_control import JSON, exchanges, fault

FILES = {
    "": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "script.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HOME = Path(dicom_emulator.__file__).parent / "control" / "home"
MARK = {"X-Emulator-Page": "1"}


def get(service: Service, path: str, **options: object) -> requests.Response:
    return service.nobody.get(f"{service.url}{path}", timeout=10, **options)


class TestFiles:
    @pytest.mark.parametrize(("name", "content_type"), FILES.items())
    def test_each_file_is_served_with_its_type(self, service: Service, name: str, content_type: str) -> None:
        response = get(service, f"/_emulator/{name}")
        assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.content == (HOME / (name or "index.html")).read_bytes()

    def test_every_file_of_the_folder_is_served(self, service: Service) -> None:
        names = {path.name for path in HOME.iterdir()} - {"index.html"}
        assert {"script.js", "archive.js"} <= names
        assert {get(service, f"/_emulator/{name}").status_code for name in names} == {200}

    def test_nothing_else_of_the_folder_is_served(self, service: Service) -> None:
        for path in (
            "/_emulator/index.html",
            "/_emulator/home.py",
            "/_emulator/../home.py",
            "/_emulator/%2e%2e/home.py",
        ):
            assert get(service, path).status_code == 404

    def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(self, service: Service) -> None:
        policy = get(service, "/_emulator/").headers["Content-Security-Policy"]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert rules["img-src"] == "'self' blob:"
        assert "unsafe" not in policy and "," not in policy

    def test_other_responses_keep_the_services_own_policy(self, service: Service) -> None:
        for path in ("/health/check", "/_emulator/requests", "/v2/studies"):
            assert get(service, path).headers["Content-Security-Policy"] == "frame-src 'self';"

    def test_the_page_needs_nothing_from_elsewhere_and_no_absolute_path(self, service: Service) -> None:
        page = get(service, "/_emulator/").text
        links = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert {"style.css", "script.js", "icon.svg"} <= set(links)
        assert [link for link in links if not link.startswith("#") and link not in FILES] == []
        assert not re.search(r"<style|<script(?![^>]*src)|\son\w+=|\sstyle=", page)
        code = "".join(path.read_text("utf-8") for path in HOME.iterdir() if path.suffix in {".css", ".js"})
        assert not re.search(r"\burl\(|@import|\bimport\(|innerHTML|outerHTML|insertAdjacentHTML", code)
        assert set(re.findall(r'from "(.*?)"', code)) <= {f"./{path.name}" for path in HOME.glob("*.js")}

    @pytest.mark.parametrize("path", ["/", "/_emulator"])
    def test_shorter_addresses_lead_to_the_page_by_a_relative_path(self, service: Service, path: str) -> None:
        response = get(service, path, allow_redirects=False)
        assert (response.status_code, response.headers["Location"]) == (307, "_emulator/")
        assert get(service, path).url == f"{service.url}/_emulator/"


class TestDictionary:
    def test_it_has_keywords_and_names_of_uids(self, service: Service) -> None:
        response = get(service, "/_emulator/dictionary.json")
        names = response.json()
        assert (names["keywords"]["00100010"], names["keywords"]["0020000D"]) == ("PatientName", "StudyInstanceUID")
        assert names["uids"]["1.2.840.10008.5.1.4.1.1.2"] == "CT Image Storage"
        assert response.headers["Cache-Control"] == "max-age=86400"


def summary(service: Service) -> dict:
    return get(service, "/_emulator/summary").json()


class TestSummary:
    def test_it_counts_what_is_stored(self, service: Service) -> None:
        service.store(instance(StudyInstanceUID="1.2.3"), instance(StudyInstanceUID="1.2.3"), instance())
        found = summary(service)
        assert found["partitioned"] is False
        assert found["partitions"] == [{"name": "Microsoft.Default", "studies": 2, "series": 3, "instances": 3}]

    def test_it_tells_of_changes_that_alter_no_count(self, service: Service) -> None:
        file = instance()
        service.store(file)
        before = summary(service)
        headers = {"Content-Type": "application/dicom", **JSON}
        assert service.owner.put(f"{service.v2}/studies", data=file, headers=headers).status_code == 200
        assert summary(service)["partitions"] == before["partitions"]
        assert summary(service)["change"] > before["change"]

    def test_it_counts_each_partition(self) -> None:
        with own_emulator(partitions=True) as service:
            service.store(instance(), partition="/partitions/left")
            service.store(instance(), instance(), partition="/partitions/right")
            found = summary(service)
        assert found["partitioned"] is True
        assert {each["name"]: each["instances"] for each in found["partitions"]} == {
            "Microsoft.Default": 0,
            "left": 1,
            "right": 2,
        }

    def test_it_is_not_for_pages_of_other_origins(self, service: Service) -> None:
        headers = {"Origin": "http://elsewhere.example"}
        assert get(service, "/_emulator/summary", headers=headers).status_code == 403


# What a browser adds to a request of the page, {url} being where the emulator is, and whether that proves its origin.
SENDERS = [
    ({"Referer": "{url}/_emulator/"}, True),
    ({"Origin": "{url}"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Referer": "http://proxy.example/user/1/"}, True),
    ({}, False),
    ({"Origin": "http://elsewhere.example"}, False),
    ({"Origin": "http://elsewhere.example", "Referer": "{url}/_emulator/"}, False),
    ({"Referer": "http://elsewhere.example/_emulator/"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Origin": "http://["}, False),
    ({"Origin": "null"}, False),
]


def sent_by(service: Service, headers: dict[str, str]) -> dict[str, str]:
    return {name: value.format(url=service.url) for name, value in headers.items()}


class TestMark:
    @pytest.mark.parametrize(("headers", "own"), SENDERS)
    def test_only_the_pages_own_requests_stay_out_of_the_log(self, service: Service, headers: dict, own: bool) -> None:
        service.owner.get(f"{service.v2}/studies", headers=JSON | MARK | sent_by(service, headers), timeout=10)
        assert len(exchanges(service)) == (0 if own else 1)

    def test_without_the_mark_a_request_of_the_page_is_logged(self, service: Service) -> None:
        service.owner.get(f"{service.v2}/studies", headers=JSON | {"Origin": service.url}, timeout=10)
        assert len(exchanges(service)) == 1

    def test_log_lines_leave_them_out_as_well(self, service: Service, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "dicom_emulator")
        service.owner.get(f"{service.v2}/workitems", headers=JSON, timeout=10)
        assert wait_for(lambda: "/v2/workitems 204" in caplog.text)  # and what was asked for before
        caplog.clear()
        own = JSON | MARK | {"Origin": service.url}
        service.owner.get(f"{service.v2}/studies", headers=own, timeout=10)
        get(service, "/_emulator/script.js", headers={"Referer": f"{service.url}/_emulator/"})
        get(service, "/_emulator/style.css", headers={"Referer": "http://elsewhere.example/"})
        service.owner.get(f"{service.v2}/series", headers=JSON, timeout=10)
        assert wait_for(lambda: "/v2/series 204" in caplog.text)
        lines = [record.getMessage() for record in caplog.records]
        assert any("/_emulator/style.css 200" in line for line in lines)
        assert not any("/v2/studies" in line or "script.js" in line for line in lines)

    def test_the_page_uses_up_no_fault(self, service: Service) -> None:
        fault(service, status=503)
        own = JSON | MARK | {"Origin": service.url}
        assert service.owner.get(f"{service.v2}/studies", headers=own, timeout=10).status_code == 204
        assert service.owner.get(f"{service.v2}/studies", headers=JSON, timeout=10).status_code == 503

    def test_an_origin_that_is_no_address_is_foreign(self, service: Service) -> None:
        assert get(service, "/_emulator/requests", headers={"Origin": "http://["}).status_code == 403

    def test_behind_a_proxy_that_changes_the_host_the_browser_vouches_for_the_page(self, service: Service) -> None:
        headers = {"Origin": "https://hub.example", "Sec-Fetch-Site": "same-origin"}
        assert get(service, "/_emulator/requests", headers=headers).status_code == 200

    def test_opening_the_page_is_not_a_request_of_a_client(self, service: Service) -> None:
        for path in ("/", "/_emulator", "/_emulator/"):
            get(service, path)
        assert exchanges(service) == []
