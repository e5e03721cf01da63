"""The emulator's home page in Chromium: what is stored, the request log, faults, reset; also behind a path prefix."""

import http.server
import io
import logging
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy
import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from dicom_emulator.server import environment
from tests.browser.conftest import FAINT, nothing_leaves
from tests.emulator.conftest import SOON, Service, wait_for
from tests.emulator.dicom_files import instance, path
from tests.emulator.storing import own_emulator, search
from tests.test_repository import ROOT

SECONDS = 30
PREFIX = "/proxy/1234"
VIEWS = ["", "requests", "faults", "state", "connect", "more"]
MARKUP = "<script>alert(1)</script>^<b>Bo</b>"  # without "=", which divides a name


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with own_emulator() as service:
        yield service


@pytest.fixture
def service(running: Service) -> Service:
    assert requests.post(f"{running.url}/_emulator/reset", timeout=10).status_code == 204
    return running


@contextmanager
def visit(browser: Browser, url: str, **options: object) -> Iterator[Page]:
    """A page without a memory. Whatever goes wrong in it fails the test, a breach of the page's policy as well."""
    options = {"viewport": {"width": 1200, "height": 800}} | options
    context: BrowserContext = browser.new_context(**options)
    errors: list[str] = []
    with nothing_leaves(context):
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: errors.append(f"a dialog: {dialog.message}"))
        page.goto(url)
        page.locator("main h2").wait_for()
        yield page
        context.close()
    # The browser itself reports each answer of 4xx as an error.
    assert [error for error in errors if "Failed to load resource" not in error] == []


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    with visit(browser, f"{service.url}/_emulator/") as page:
        yield page


def picture(frames: int = 1, level: int = 0) -> numpy.ndarray:
    """Frames of 32 x 32, each with a bar at another place."""
    pixels = numpy.full((frames, 32, 32), level, "uint8")
    for number in range(frames):
        pixels[number, :, number % 32] = 255
    return pixels


def slices(count: int, **attributes: object) -> list[bytes]:
    """Instances of one series."""
    same = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "SeriesDescription": "Axial", **attributes}
    return [instance(pixels=picture(level=n % 100), InstanceNumber=n + 1, **same) for n in range(count)]


def open_instance(page: Page, service: Service, file: bytes) -> None:
    page.goto(f"{service.url}/_emulator/#/{path(file)}")
    page.get_by_role("heading", name="Metadata").wait_for()


def wait_for_bar(page: Page, column: int) -> None:
    """Until the picture that is shown has its bar in this column."""
    brightest = """image => {
        const canvas = new OffscreenCanvas(32, 32).getContext('2d');
        canvas.drawImage(image, 0, 0);
        const row = canvas.getImageData(0, 16, 32, 1).data.filter((_, index) => index % 4 === 0);
        return row.indexOf(Math.max(...row));
    }"""
    image = page.locator(".screen img")
    expect(image).to_have_js_property("naturalWidth", 32)
    end = time.monotonic() + SECONDS
    while image.evaluate(brightest) != column:
        assert time.monotonic() < end, f"no bar in column {column}"


class Proxy(http.server.BaseHTTPRequestHandler):
    """Passes on what is below the prefix, without it, as proxies in front of notebooks do."""

    target = ""

    def pass_on(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(418)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        url = self.target + self.path.removeprefix(PREFIX)
        request = urllib.request.Request(url, body, dict(self.headers), method=self.command)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)
        try:
            answer = opener.open(request, timeout=SECONDS)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = do_DELETE = pass_on

    def log_message(self, *_: object) -> None:
        pass


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture
def proxy(service: Service) -> Iterator[str]:
    handler = type("Handler", (Proxy,), {"target": service.url})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}/"
        server.shutdown()


class TestArchive:
    def test_an_empty_service_says_so_and_follows_what_clients_store(self, page: Page, service: Service) -> None:
        expect(page.get_by_role("heading", name="Nothing is stored yet")).to_be_visible()
        expect(page.get_by_role("region", name="curl")).to_contain_text(f"{service.url}/v2/studies")
        service.store(instance(PatientName="Lovelace^Ada", StudyDescription="Late arrival"))
        expect(page.get_by_role("link", name="Lovelace, Ada")).to_contain_text("Late arrival")
        expect(page.locator("#counts")).to_have_text("1 study · 1 series · 1 instance")

    def test_an_empty_service_is_filled_by_a_button(self, page: Page, service: Service) -> None:
        page.get_by_role("button", name="Store the built-in set").click()
        expect(page.get_by_role("heading", name="Archive")).to_be_visible()
        expect(page.locator("#counts")).to_contain_text("47 instances")
        expect(page.locator(".row img").first).to_be_visible()

    def test_from_a_study_to_a_picture_and_its_metadata(self, page: Page, service: Service) -> None:
        service.store(*slices(3, PatientName="Curie^Marie", StudyDescription="Hand", Modality="CT"))
        page.get_by_role("link", name="Curie, Marie").click()
        expect(page.get_by_role("heading", name="Hand")).to_be_focused()
        page.get_by_role("link", name="Axial").click()
        page.get_by_role("link", name="Instance 2").click()
        image = page.get_by_role("img", name="Picture of Curie, Marie, Axial")
        expect(image).to_be_visible()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 32
        row = page.locator(".tree .leaf", has_text="PatientName")
        expect(row).to_contain_text("(0010,0010) PN")
        expect(row).to_contain_text("Curie^Marie")
        expect(page.locator(".tree .leaf", has_text="SOPClassUID")).to_contain_text("Secondary Capture Image Storage")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("heading", name="Instance 3")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="Instance 2")).to_be_visible()

    def test_everything_works_behind_a_path_prefix(self, browser: Browser, service: Service, proxy: str) -> None:
        service.store(*slices(2, PatientName="Curie^Marie"))
        with visit(browser, proxy) as page:
            assert page.url == f"{proxy}_emulator/"
            page.get_by_role("link", name="Curie, Marie").click()
            page.get_by_role("link", name="Axial").click()
            expect(page.locator(".tile img")).to_have_count(2)
            page.get_by_role("link", name="Instance 1").click()
            page.get_by_text("The file:").click()
            expect(page.get_by_role("region", name="curl").last).to_contain_text(f"{proxy}v2/studies/1.2.3/")
            page.get_by_role("link", name="Faults").click()
            page.get_by_role("button", name="Next request fails").click()
            expect(page.locator(".plain")).to_contain_text("Requests are answered 503, once.")
        requests_seen = requests.get(f"{service.url}/_emulator/requests", timeout=10).json()
        assert [each["method"] for each in requests_seen] == ["POST"]  # the store, and nothing of the page

    def test_markup_in_a_file_is_shown_as_text(self, page: Page, service: Service) -> None:
        file = instance(
            PatientName=MARKUP, StudyDescription="<script>alert(2)</script>", SeriesDescription="<i>S</i>",
            PatientComments="<img src=x onerror=alert(3)>", pixels=picture(),
        )  # fmt: skip
        service.store(file)
        expect(page.get_by_role("link", name="<script>alert(1)</script>, <b>Bo</b>")).to_be_visible()
        page.get_by_role("link", name="<b>Bo</b>").click()
        expect(page.get_by_role("heading", name="<script>alert(2)</script>")).to_be_visible()
        open_instance(page, service, file)
        expect(page.locator(".tree .leaf", has_text="PatientName")).to_contain_text(MARKUP)
        expect(page.locator(".tree .leaf", has_text="PatientComments")).to_contain_text("<img src=x onerror=alert(3)>")
        assert page.locator("main b, main script, main i, img[src=x]").count() == 0

    def test_markup_in_a_request_is_shown_as_text(self, page: Page, service: Service) -> None:
        service.owner.get(f"{service.v2}/studies/%3Cb%3Ebold", headers={"Accept": "<u>under</u>", "X-A": "<s>x</s>"})
        page.goto(f"{service.url}/_emulator/#/requests")
        page.locator(".exchange summary", has_text="bold").click()
        expect(page.locator(".headers").first).to_contain_text("<s>x</s>")
        assert page.locator("main b, main u, main s").count() == 0

    def test_markup_in_a_fault_is_shown_as_text(self, page: Page, service: Service) -> None:
        rule = {"path": "<img src=x onerror=alert(1)>", "method": "<b>GET</b>"}
        assert requests.post(f"{service.url}/_emulator/faults", json=rule, timeout=10).status_code == 201
        page.get_by_role("link", name="Faults").click()
        expect(page.locator(".plain")).to_contain_text("<b>GET</b> requests to <img src=x onerror=alert(1)>")
        assert page.locator("main b, main img").count() == 0

    def test_markup_in_what_was_refused_is_shown_as_text(self, page: Page, service: Service) -> None:
        bad = {"name": "<img src=x onerror=alert(1)>.dcm", "mimeType": "application/dicom", "buffer": b"no DICOM"}
        page.get_by_label("Store files").set_input_files([bad])
        expect(page.locator("#notice")).to_contain_text("<img src=x onerror=alert(1)>.dcm: it is not valid DICOM")
        page.get_by_role("link", name="Reset").click()
        page.get_by_label("Name").fill("<b>bold</b>")
        page.get_by_role("button", name="Keep").click()
        expect(page.locator("#notice")).to_contain_text("letters, digits")
        assert page.locator("main b, main img, #notice b, #notice img").count() == 0

    def test_markup_in_an_error_of_the_server_is_shown_as_text(self, page: Page, service: Service) -> None:
        said = "<img src=x onerror=alert(1)><script>alert(2)</script>"
        page.route("**/_emulator/faults", lambda route: route.fulfill(status=400, body=said))
        page.get_by_role("link", name="Faults").click()
        expect(page.locator("main")).to_contain_text(said)
        assert page.locator("main img, main script").count() == 0

    def test_a_sequence_opens_to_its_items(self, page: Page, service: Service) -> None:
        from pydicom.dataset import Dataset

        item = Dataset()
        item.CodeValue, item.CodeMeaning = "T-1", "Deep inside"
        file = instance(ProcedureCodeSequence=[item])
        service.store(file)
        open_instance(page, service, file)
        assert page.get_by_text("Deep inside").count() == 0
        page.locator("summary", has_text="ProcedureCodeSequence").click()
        expect(page.locator(".items .leaf", has_text="CodeMeaning")).to_contain_text("Deep inside")

    def test_the_metadata_can_be_filtered(self, page: Page, service: Service) -> None:
        file = instance()
        service.store(file)
        open_instance(page, service, file)
        page.get_by_label("Filter attributes").fill("patientn")
        expect(page.locator(".tree .leaf:visible")).to_have_count(1)
        expect(page.locator("#said")).to_have_text("1 attribute")

    def test_frames_are_chosen_with_a_slider(self, page: Page, service: Service) -> None:
        file = instance(pixels=picture(frames=5))
        service.store(file)
        open_instance(page, service, file)
        wait_for_bar(page, 0)
        page.get_by_label("Frame", exact=True).fill("4")
        expect(page.locator("output")).to_have_text("4 of 5")
        wait_for_bar(page, 3)
        page.get_by_label("Frame", exact=True).press("ArrowRight")
        wait_for_bar(page, 4)
        page.get_by_role("button", name="Play").click()
        wait_for_bar(page, 1)
        page.get_by_role("button", name="Pause").click()

    def test_an_instance_without_pixels_says_so(self, page: Page, service: Service) -> None:
        file = instance()
        service.store(file)
        open_instance(page, service, file)
        expect(page.get_by_text("No picture: this instance holds no pixels.")).to_be_visible()

    def test_an_image_that_cannot_be_drawn_says_so(self, page: Page, service: Service) -> None:
        file = instance(pixels=picture(), leave_out=("PixelData",))
        service.store(file)
        open_instance(page, service, file)
        expect(page.locator(".screen")).to_contain_text("No picture:")

    def test_a_file_comes_down_as_it_was_stored(self, page: Page, service: Service) -> None:
        file = instance(pixels=picture())
        service.store(file)
        open_instance(page, service, file)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download .dcm").click()
        assert Path(download.value.path()).read_bytes() == file
        assert download.value.suggested_filename.endswith(".dcm")

    def test_files_are_stored_from_the_page_and_the_log_has_them(self, page: Page, service: Service) -> None:
        good = {"name": "a.dcm", "mimeType": "application/dicom", "buffer": instance(PatientName="Up^Load")}
        bad = {"name": "b.dcm", "mimeType": "application/dicom", "buffer": b"no DICOM"}
        page.get_by_label("Store files").set_input_files([good, bad])
        expect(page.locator("#notice")).to_contain_text("1 file stored.")
        expect(page.locator("#notice")).to_contain_text("b.dcm: it is not valid DICOM")
        expect(page.get_by_role("link", name="Up, Load")).to_be_visible()
        found = requests.get(f"{service.url}/_emulator/requests", timeout=10).json()
        assert [each["method"] for each in found] == ["POST", "POST"]

    @pytest.mark.parametrize(
        ("by", "wanted", "found"),
        [
            ("Patient’s name", "gra", "Hopper, Grace"),
            ("Patient ID", "7", "Noether, Emmy"),
            ("Study date", "2001-02-03", "Hopper, Grace"),
        ],
    )
    def test_studies_are_searched(self, page: Page, service: Service, by: str, wanted: str, found: str) -> None:
        service.store(
            instance(PatientName="Hopper^Grace", StudyDate="20010203"),
            instance(PatientName="Noether^Emmy", PatientID="7"),
        )
        expect(page.locator(".row")).to_have_count(2)
        page.get_by_label("Search by").select_option(by)
        page.get_by_label("Search for").fill(wanted)
        page.get_by_label("Search for").press("Enter")
        expect(page.locator(".row")).to_have_count(1)
        expect(page.locator(".row")).to_contain_text(found)
        expect(page.locator("#said")).to_have_text("1 study found.")

    def test_an_address_that_leads_nowhere_says_so(self, page: Page, service: Service) -> None:
        page.goto(f"{service.url}/_emulator/#/studies/9.9/series/9.9/instances/9.9")
        expect(page.get_by_role("heading", name="Not here")).to_be_visible()
        page.get_by_role("link", name="To the archive").click()
        expect(page.get_by_role("heading", name="Nothing is stored yet")).to_be_visible()

    @pytest.mark.parametrize("address", ["constructor", "studies/..", "studies/%E0%A4%A", "series/1.2", "studies//x"])
    def test_any_other_address_shows_the_archive(self, page: Page, service: Service, address: str) -> None:
        page.goto(f"{service.url}/_emulator/#/{address}")
        page.reload()
        expect(page.get_by_role("heading", name="Nothing is stored yet")).to_be_visible()


class TestMany:
    def test_studies_come_in_pages(self, page: Page, service: Service) -> None:
        service.store(*(instance(PatientName=f"Number^{n:02}") for n in range(30)))
        expect(page.locator(".row")).to_have_count(24)
        expect(page.locator(".row").first).to_contain_text("Number, 29")
        page.get_by_role("link", name="Older →").click()
        expect(page.locator(".row")).to_have_count(6)
        expect(page.get_by_role("navigation", name="Pages")).to_contain_text("25 to 30")
        page.get_by_role("link", name="← Newer").click()
        expect(page.locator(".row")).to_have_count(24)

    def test_only_studies_in_view_are_asked_for_a_picture(self, browser: Browser, service: Service) -> None:
        service.store(*(instance(pixels=picture()) for _ in range(24)))
        asked: set[str] = set()
        with visit(browser, f"{service.url}/_emulator/#/more") as page:
            page.on("request", lambda request: asked.add(request.url.split("?")[0]))
            page.get_by_role("link", name="Archive").click()
            expect(page.locator(".row")).to_have_count(24)
            expect(page.locator(".row img").nth(5)).to_be_visible()
            assert 6 <= len([url for url in asked if url.endswith("/instances")]) < 20

    def test_pictures_are_fetched_when_they_come_into_view_four_at_a_time(
        self, browser: Browser, service: Service
    ) -> None:
        service.store(*slices(201))
        asked: list[str] = []
        under_way, most = 0, 0

        def begins(request: object) -> None:
            nonlocal under_way, most
            if "/rendered" in request.url:
                asked.append(request.url)
                under_way += 1
                most = max(most, under_way)

        def ends(request: object) -> None:
            nonlocal under_way
            under_way -= "/rendered" in request.url

        with visit(browser, f"{service.url}/_emulator/#/more") as page:
            page.on("request", begins)
            page.on("requestfinished", ends)
            page.goto(f"{service.url}/_emulator/#/studies/1.2.3/series/1.2.3.4")
            expect(page.locator(".tile")).to_have_count(200)
            expect(page.locator(".tile img").nth(11)).to_be_visible()
            assert len(asked) < 80
            page.locator(".tile").last.scroll_into_view_if_needed()
            expect(page.locator(".tile").last.locator("img")).to_be_visible()
            assert len(asked) < 160 and len(asked) == len(set(asked))
            assert most <= 4
            page.get_by_role("link", name="Older →").click()
            expect(page.locator(".tile")).to_have_count(1)


class TestRequests:
    def test_requests_show_up_by_themselves_with_their_details(self, page: Page, service: Service) -> None:
        page.get_by_role("link", name="Requests").click()
        expect(page.get_by_text("No request yet.")).to_be_visible()
        service.store(instance(), instance())
        service.owner.get(f"{service.v2}/studies?PatientID=nobody", headers={"Accept": "application/dicom+json"})
        rows = page.locator(".exchange summary")
        expect(rows).to_have_count(2)
        expect(rows.first).to_contain_text("/v2/studies?PatientID=nobody")
        expect(rows.first).to_contain_text("search")
        rows.last.click()
        details = page.locator(".exchange").last
        expect(details).to_contain_text("multipart/related")
        expect(details).to_contain_text("2 parts")
        expect(details).to_contain_text("Bearer …")
        service.owner.get(f"{service.v2}/nowhere")
        expect(rows).to_have_count(3)
        expect(details.get_by_text("2 parts")).to_be_visible()  # still open
        page.get_by_role("button", name="Clear").click()
        expect(rows).to_have_count(0)

    def test_the_command_that_asks_again_is_safe_for_a_shell(
        self, page: Page, service: Service, tmp_path: Path
    ) -> None:
        service.store(instance())
        (exchange,) = requests.get(f"{service.url}/_emulator/requests", timeout=10).json()
        odd = "x;touch spoilt;'`touch spoilt`$(touch spoilt)"
        exchange |= {"method": odd, "path": f"/v2/{odd}", "requestHeaders": {"accept": odd}, "requestBytes": 0}
        page.route("**/_emulator/requests", lambda route: route.fulfill(json=[exchange]))
        page.get_by_role("link", name="Requests").click()
        page.locator(".exchange summary").click()
        command = page.get_by_role("region", name="curl").inner_text()
        for name, program in (("curl", 'printf "%s\n" "$@"'), ("python3", "cat >/dev/null; echo TOKEN")):
            (tmp_path / name).write_text(f"#!/bin/sh\n{program}\n")
            (tmp_path / name).chmod(0o755)
        environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=10
        )
        assert done.stdout.splitlines() == [
            "-X", odd, "-H", "Authorization: Bearer TOKEN", "-H", f"accept: {odd}", f"{service.url}/v2/{odd}"
        ]  # fmt: skip
        assert not (tmp_path / "spoilt").exists()

    def test_looking_on_leaves_no_lines_in_the_log(
        self, page: Page, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        page.get_by_role("link", name="Requests").click()
        expect(page.get_by_text("No request yet.")).to_be_visible()
        caplog.set_level(logging.INFO, "dicom_emulator")
        service.nobody.get(f"{service.url}/health/check", timeout=SOON)
        assert wait_for(lambda: "/health/check 200" in caplog.text)  # and what was asked for before
        caplog.clear()
        page.reload()
        expect(page.locator(".exchange")).to_have_count(1)
        service.store(instance())
        expect(page.locator(".exchange")).to_have_count(2)
        expect(page.locator("#counts")).to_contain_text("1 instance")
        assert wait_for(lambda: "POST /v2/studies" in caplog.text)
        lines = {tuple(record.getMessage().split()[:2]) for record in caplog.records}
        assert lines <= {("GET", "/_emulator/"), ("POST", "/v2/studies")}

    def test_the_list_stands_still_while_paused(self, page: Page, service: Service) -> None:
        page.get_by_role("link", name="Requests").click()
        page.get_by_role("button", name="Pause").click()
        service.store(instance())
        expect(page.locator("#counts")).to_contain_text("1 instance")  # the page is up to date otherwise
        expect(page.locator(".exchange")).to_have_count(0)
        page.get_by_role("button", name="Go on").click()
        expect(page.locator(".exchange")).to_have_count(1)


def rules(service: Service) -> list[dict]:
    return requests.get(f"{service.url}/_emulator/faults", timeout=10).json()


class TestFaults:
    @pytest.mark.parametrize(
        ("button", "expected"),
        [
            ("Next request fails", {"status": 503, "count": 1}),
            ("Slow answers", {"delay": 2, "count": 10}),
            ("Token expired", {"expired_token": True}),
            ("Broken download", {"cut_after": 1000, "method": "GET"}),
        ],
    )
    def test_a_button_sets_a_fault_and_another_removes_it(
        self, page: Page, service: Service, button: str, expected: dict
    ) -> None:
        page.get_by_role("link", name="Faults").click()
        page.get_by_role("button", name=button).click()
        expect(page.locator(".plain .empty")).to_have_count(0)
        (rule,) = rules(service)
        assert rule.items() >= expected.items()
        page.get_by_role("button", name="Remove all").click()
        expect(page.get_by_text("No fault is set: everything works.")).to_be_visible()
        assert rules(service) == []

    def test_the_page_goes_on_and_the_next_client_meets_the_fault(self, page: Page, service: Service) -> None:
        page.get_by_role("link", name="Faults").click()
        page.get_by_role("button", name="Next request fails").click()
        expect(page.locator(".plain")).to_contain_text("0 seen so far")
        page.get_by_role("link", name="Archive").click()
        expect(page.get_by_role("heading", name="Nothing is stored yet")).to_be_visible()
        page.get_by_role("link", name="Faults").click()
        assert service.store(instance()).status_code == 503
        expect(page.locator(".plain")).to_contain_text("Used up.")

    def test_a_fault_of_ones_own(self, page: Page, service: Service) -> None:
        page.get_by_role("link", name="Faults").click()
        page.get_by_text("A fault of your own").click()
        page.get_by_label("Method").select_option("POST")
        page.get_by_label("Path").fill("/v2/studies*")
        page.get_by_label("Answer with status").fill("42")
        page.get_by_role("button", name="Set this fault").click()
        expect(page.locator("#notice")).to_have_text("The status of a fault is 200 to 599.")
        page.get_by_label("Answer with status").fill("429")
        page.get_by_label("How many").fill("0")
        page.get_by_label("Treat the token as expired").check()
        page.get_by_role("button", name="Set this fault").click()
        expect(page.locator(".plain")).to_contain_text(
            "POST requests to /v2/studies* meet an expired token and are answered 429, always."
        )
        (rule,) = rules(service)
        assert rule["count"] == 0 and rule["status"] == 429 and rule["expired_token"] is True


class TestReset:
    def test_it_asks_first_and_escape_means_no(self, page: Page, service: Service) -> None:
        service.store(instance())
        page.get_by_role("link", name="Reset").click()
        page.get_by_role("button", name="Reset …").click()
        expect(page.get_by_role("dialog", name="Empty the archive?")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("button", name="Reset …")).to_be_focused()
        assert len(search(service, "instances")) == 1

    def test_a_yes_empties_the_archive(self, page: Page, service: Service) -> None:
        service.store(instance())
        page.get_by_role("link", name="Reset").click()
        page.get_by_role("button", name="Reset …").click()
        page.get_by_role("dialog").get_by_role("button", name="Reset").click()
        expect(page.locator("#notice")).to_have_text("Everything is as at the start.")
        expect(page.locator("#counts")).to_have_text("0 studies · 0 series · 0 instances")
        assert search(service, "instances") == []

    def test_a_snapshot_is_kept_and_gone_back_to(self, page: Page, service: Service) -> None:
        service.store(instance(PatientName="Kept^Well"))
        page.get_by_role("link", name="Reset").click()
        expect(page.get_by_text("None is kept.")).to_be_visible()
        page.get_by_label("Name").fill("before noon")
        page.get_by_role("button", name="Keep").click()
        expect(page.locator("#notice")).to_contain_text("letters, digits")
        page.get_by_label("Name").fill("before")
        page.get_by_role("button", name="Keep").click()
        expect(page.locator(".snapshot")).to_contain_text("before 1 instance")
        service.store(instance())
        expect(page.locator("#counts")).to_contain_text("2 instances")
        page.get_by_role("button", name="Go back to before").click()
        page.get_by_role("dialog").get_by_role("button", name="Go back").click()
        expect(page.locator("#counts")).to_contain_text("1 instance")
        assert len(search(service, "instances")) == 1
        page.get_by_role("button", name="Remove before").click()
        expect(page.get_by_text("None is kept.")).to_be_visible()


class TestConnect:
    def test_the_python_that_is_shown_works(self, page: Page, service: Service, tmp_path: Path) -> None:
        (tmp_path / "scan.dcm").write_bytes(instance(PatientName="By^Script"))
        page.get_by_role("link", name="Connect").click()
        scripts = page.get_by_role("region", name="Python", exact=True)
        for index, expected in ((1, "200"), (0, "By^Script")):
            script = scripts.nth(index).inner_text()
            done = subprocess.run(
                [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
            )
            assert expected in done.stdout, done.stderr

    def test_a_button_copies_the_code(self, browser: Browser, service: Service) -> None:
        with visit(
            browser, f"{service.url}/_emulator/#/connect", permissions=["clipboard-read", "clipboard-write"]
        ) as page:
            page.get_by_role("button", name="Copy Variables").click()
            expect(page.locator("#said")).to_have_text("Variables copied.")
            assert f"export DICOM_SERVICE_URL='{service.url}'" in page.evaluate("navigator.clipboard.readText()")


class TestPartitions:
    def test_a_partition_is_chosen_and_the_addresses_name_it(self, browser: Browser) -> None:
        with own_emulator(partitions=True) as service:
            service.store(instance(PatientName="Left^One"), partition="/partitions/left")
            service.store(
                instance(PatientName="Right^One", pixels=picture(), SeriesDescription="S"),
                partition="/partitions/right",
            )
            with visit(browser, f"{service.url}/_emulator/") as page:
                expect(page.locator(".row")).to_contain_text("Left, One")
                page.get_by_label("Partition").select_option("right")
                expect(page.locator(".row")).to_contain_text("Right, One")
                page.locator(".row").click()
                # The row of the study names its modality as the row of the series does: only what follows the heading is the series.
                page.locator("h3:has-text('Series') + ul .row").click()
                page.locator(".tile").click()
                expect(page.get_by_role("heading", name="Metadata")).to_be_visible()
                assert "/#/partitions/right/studies/" in page.url
                expect(page.locator(".screen img")).to_have_js_property("naturalWidth", 32)

    def test_without_partitions_there_is_no_choice(self, page: Page) -> None:
        expect(page.get_by_label("Partition")).to_be_hidden()


class TestMore:
    def test_the_change_feed_is_listed_newest_first(self, page: Page, service: Service) -> None:
        first, second = instance(), instance()
        service.store(first)
        service.store(second)
        service.owner.delete(f"{service.v2}/{path(first)}")
        page.get_by_role("link", name="More").click()
        actions = page.get_by_role("table", name="Change feed").locator("tbody td:nth-child(2)")
        expect(actions).to_have_text(["Delete", "Create", "Create"])


@pytest.fixture(scope="class")
def filled(running: Service) -> Service:
    """Something of everything for the page to show."""
    requests.post(f"{running.url}/_emulator/reset", timeout=10)
    running.store(
        *slices(3, PatientName="A very long family name that goes on^And a given name", StudyDescription="W" * 60)
    )
    running.store(
        instance(pixels=picture(frames=3), StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1", SOPInstanceUID="1.9.1.1")
    )
    running.owner.get(f"{running.v2}/studies/{'9.' * 30}9/metadata", headers={"X-Long": "x" * 300})
    requests.post(f"{running.url}/_emulator/faults", json={"status": 500, "path": "/nothing"}, timeout=10)
    return running


SHOWN = [
    *VIEWS,
    "studies/1.2.3",
    "studies/1.2.3/series/1.2.3.4",
    "studies/1.9/series/1.9.1/instances/1.9.1.1",
    "studies/1",
]


class TestForEverybody:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_stands_out_from_its_ground(self, browser: Browser, filled: Service, scheme: str) -> None:
        for view in SHOWN:
            with visit(browser, f"{filled.url}/_emulator/#/{view}", color_scheme=scheme) as page:
                page.locator("main h2").wait_for()
                page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
                assert page.evaluate(FAINT, "body") == [], view

    def test_the_page_is_dark_where_the_system_is(self, browser: Browser, filled: Service) -> None:
        grounds = []
        for scheme in ("light", "dark"):
            with visit(browser, f"{filled.url}/_emulator/", color_scheme=scheme) as page:
                grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert grounds[0] != grounds[1]

    @pytest.mark.parametrize("width", [360, 800])
    def test_nothing_is_wider_than_the_window(self, browser: Browser, filled: Service, width: int) -> None:
        size = {"width": width, "height": 700}
        for view in SHOWN:
            with visit(browser, f"{filled.url}/_emulator/#/{view}", viewport=size) as page:
                page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, view

    def test_headings_are_in_order_and_everything_has_a_name(self, browser: Browser, filled: Service) -> None:
        for view in SHOWN:
            with visit(browser, f"{filled.url}/_emulator/#/{view}") as page:
                page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
                levels = page.locator("h1:visible, h2:visible, h3:visible, h4:visible").evaluate_all(
                    "headings => headings.map((each) => Number(each.tagName[1]))"
                )
                assert levels[:2] == [1, 2] and levels.count(1) == levels.count(2) == 1, (view, levels)
                steps = [after - before for before, after in zip(levels, levels[1:], strict=False)]
                assert max(steps) == 1, (view, levels)
                named = "each => !each.checkVisibility() || each.labels?.length || each.textContent.trim()"
                assert page.locator("input, select, button, main a").evaluate_all(f"all => all.every({named})"), view
                repeated = "ids => ids.map((each) => each.id).filter((id, index, all) => all.indexOf(id) !== index)"
                assert page.locator("[id]").evaluate_all(repeated) == [], view

    def test_the_keyboard_is_enough(self, browser: Browser, filled: Service) -> None:
        with visit(browser, f"{filled.url}/_emulator/") as page:
            page.keyboard.press("Tab")
            expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
            page.keyboard.press("Enter")
            expect(page.locator("main")).to_be_focused()
            page.keyboard.press("Tab")
            expect(page.get_by_label("Store files")).to_be_focused()
            page.locator(".row").first.focus()
            outline = page.locator(".row").first.evaluate("row => getComputedStyle(row).outline")
            assert "solid 3px" in outline
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", name="Study")).to_be_focused()

    def test_nothing_moves_for_people_who_want_no_motion(self, browser: Browser, filled: Service) -> None:
        with visit(browser, f"{filled.url}/_emulator/#/requests", reduced_motion="reduce") as page:
            assert (
                page.evaluate("getComputedStyle(document.querySelector('.live'), '::before').animationName") == "none"
            )


@contextmanager
def lesson_at_work(service: Service, name: str) -> Iterator[subprocess.Popen[str]]:
    """A notebook that runs against `service`. It has to come to its end without an error."""
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--stdout", name]
    with subprocess.Popen(
        command,
        cwd=ROOT / "notebooks",
        env=os.environ | environment(service.url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as lesson:
        yield lesson
        _, said = lesson.communicate(timeout=60)
    assert lesson.returncode == 0, said


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_lesson_is_followed_from_its_first_request_to_the_reset(browser: Browser, scheme: str) -> None:
    """All that a learner does with the page beside a notebook, and at each step its texts can be read."""
    with own_emulator() as service, visit(browser, f"{service.url}/_emulator/", color_scheme=scheme) as page:
        faults = f"{service.url}/_emulator/faults"
        slow = {"method": "POST", "path": "/v2/studies*", "nth": 2, "delay": 5}
        assert requests.post(faults, json=slow, timeout=10).status_code == 201  # time to look on
        page.get_by_role("link", name="Requests").click()
        with lesson_at_work(service, "02-store-stow.ipynb") as lesson:
            stores = page.locator(".exchange summary", has_text="/v2/studies").filter(has_text="POST")
            expect(stores).to_have_count(1)
            assert lesson.poll() is None, "the log should be live, and not wait until the lesson is over"
        assert requests.delete(faults, timeout=10).status_code == 204
        stores.first.click()
        assert page.evaluate(FAINT, "body") == []

        page.get_by_role("link", name="Archive").click()
        study = page.locator(".row", has_text="Anony Mous")
        expect(study.locator("img")).to_be_visible()
        assert page.evaluate(FAINT, "body") == []
        study.click()
        page.locator("h3:has-text('Series') + ul .row").first.click()
        page.locator(".tile").first.click()
        expect(page.locator(".screen img")).to_be_visible()
        shown = Image.open(io.BytesIO(page.locator(".screen img").screenshot())).convert("HSV")
        saturation = numpy.asarray(shown)[:, :, 1]
        assert 0.05 < (saturation > 150).mean() < 0.6, "a coloured shape on a grey ground"
        assert page.evaluate(FAINT, "body") == []

        page.get_by_role("link", name="Faults").click()
        for button, status in (("Next request fails", 503), ("Remove all", 200)):
            page.get_by_role("button", name=button).click()
            expect(page.locator(".plain .empty")).to_have_count(1 if status == 200 else 0)
            assert page.evaluate(FAINT, "body") == []
            assert service.owner.get(f"{service.v2}/changefeed").status_code == status

        page.get_by_role("link", name="Reset").click()
        page.get_by_role("button", name="Reset …").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert page.evaluate(FAINT, "body") == []
        page.get_by_role("dialog").get_by_role("button", name="Reset").click()
        expect(page.locator("#notice")).to_have_text("Everything is as at the start.")
        expect(page.locator("#counts")).to_have_text("0 studies · 0 series · 0 instances")
        assert page.evaluate(FAINT, "body") == []
        page.get_by_role("link", name="Archive").click()
        expect(page.get_by_role("heading", name="Nothing is stored yet")).to_be_visible()


class TestTrouble:
    def test_a_service_that_stops_answering_is_noticed_and_its_return_too(
        self, browser: Browser, service: Service
    ) -> None:
        with visit(browser, f"{service.url}/_emulator/#/connect") as page:
            page.route("**/_emulator/summary", lambda route: route.abort())
            expect(page.locator("#notice")).to_contain_text("The emulator does not answer.")
            page.unroute("**/_emulator/summary")
            expect(page.locator("#notice")).to_be_hidden()

    def test_an_expired_token_is_renewed(self, browser: Browser) -> None:
        with own_emulator(token_lifetime=1) as service:
            service.store(*slices(1, PatientName="Short^Lived"))
            with visit(browser, f"{service.url}/_emulator/") as page:
                expect(page.locator(".row")).to_contain_text("Short, Lived")
                page.get_by_role("link", name="Short, Lived").click()
                page.get_by_role("link", name="Axial").click()
                expect(page.locator(".tile")).to_have_count(1)

    def test_it_works_where_nobody_signs_in(self, browser: Browser) -> None:
        with own_emulator(sign_in=False) as service:
            service.store(instance(PatientName="Open^Door"))
            with visit(browser, f"{service.url}/_emulator/") as page:
                expect(page.locator(".row")).to_contain_text("Open, Door")
