"""OHIF, the viewer, as it comes from npm and as the README configures it: its study list, then images on the screen."""

import base64
import functools
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Response, expect, sync_playwright
from pydicom.uid import generate_uid

from tests.copies import install_with_npm
from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path, uids
from tests.emulator.pictures import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    GREY,
    HTJ2K,
    HTJ2K_GREY,
    IMPLICIT,
    JPEG_2000,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    RLE,
    encapsulated,
    picture,
    written,
)  # fmt: skip
from tests.emulator.storing import own_emulator
from tests.test_repository import ROOT

HERE = Path(__file__).parent / "ohif"
SAMPLES, BUNDLED = ROOT / "sample_dcms", Path(pydicom.__file__).parent / "data" / "test_files"
CHROMIUM = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
]  # fmt: skip
SECONDS = 60
VIEWPORT = "#viewerLayoutResizableViewportGridPanel"
ALIKE = 0.97  # correlation of what is on the screen with what the emulator renders


class Site(SimpleHTTPRequestHandler):
    """OHIF's files, index.html for every path that is none of them, and the app-config.js of the server."""

    def do_GET(self) -> None:
        name = self.path.partition("?")[0]
        if name == "/app-config.js":
            content = self.server.config.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        if not Path(self.directory, name.lstrip("/")).is_file():
            self.path = "/index.html"
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    config = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@dataclass
class Viewer:
    """OHIF in a browser, and the emulator that it shows. `troubles`: what went wrong in the page or on its way."""

    page: Page
    server: Server
    service: Service
    troubles: list[str]

    @property
    def site(self) -> str:
        return self.server.url

    def configure(self, snippet: str) -> None:
        self.server.config = snippet.replace("http://127.0.0.1:8080", self.service.url)

    def open(self, file: bytes) -> None:
        """The viewer with the study that `file` is of."""
        self.page.goto(f"{self.site}/viewer?StudyInstanceUIDs={uids(file)[0]}")

    def choose(self, series: str) -> None:
        """Puts another series on the screen; not before all have their thumbnails, since the list moves until then."""
        listed = self.page.locator("[data-cy=study-browser-thumbnail]")
        expect(listed.locator("img")).to_have_count(listed.count())
        listed.filter(has=self.page.get_by_text(series, exact=True)).dblclick()

    def shows(self, file: bytes, frame: int = 1) -> None:
        """Waits until the image on the screen looks as the emulator renders it. AssertionError after a while."""
        url = f"{self.service.v2}/{path(file)}/frames/{frame}/rendered"
        rendered = self.service.owner.get(url, headers={"Accept": "image/png"})
        expected = Image.open(BytesIO(rendered.content)).convert("RGB")
        end, alike = time.monotonic() + SECONDS, 0.0
        while time.monotonic() < end and not alike > ALIKE:
            self.page.wait_for_timeout(50)
            alike = likeness(self.canvas(), expected)
        assert alike > ALIKE, f"likeness {alike:.2f}; {self.troubles}"

    def canvas(self) -> Image.Image | None:
        """What the viewport shows; None before there is one."""
        data = self.page.evaluate(f"document.querySelector('{VIEWPORT} canvas')?.toDataURL('image/png')")
        return Image.open(BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB") if data else None


def likeness(canvas: Image.Image | None, expected: Image.Image) -> float:
    """Correlation of the samples; the canvas holds the picture in its middle, as large as it fits."""
    if canvas is None:
        return 0.0
    scale = min(canvas.width / expected.width, canvas.height / expected.height)
    width, height = round(expected.width * scale), round(expected.height * scale)
    left, top = (canvas.width - width) // 2, (canvas.height - height) // 2
    shown = canvas.crop((left, top, left + width, top + height)).resize((64, 64), Image.Resampling.BOX)
    shown, wanted = (numpy.asarray(each, float).ravel() for each in (shown, expected.resize((64, 64))))
    return float(numpy.corrcoef(shown, wanted)[0, 1]) if shown.std() and wanted.std() else 0.0


@pytest.fixture(scope="session")
def ohif() -> Iterator[Path]:
    """The viewer, built. npm checks the hash of package-lock.json, which names no dependencies: they are built in."""
    with TemporaryDirectory(prefix="ohif-") as folder:
        install_with_npm(HERE, Path(folder))
        yield Path(folder, "node_modules", "@ohif", "app", "dist")


@pytest.fixture(scope="module")
def site(ohif: Path) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), functools.partial(Site, directory=str(ohif))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_service(site: Server) -> Iterator[Service]:
    with own_emulator(sign_in=False, cors_origins=(site.url,)) as service:
        yield service


@pytest.fixture(scope="module")
def closed_service(site: Server) -> Iterator[Service]:
    with own_emulator(cors_origins=(site.url,)) as service:
        yield service


@pytest.fixture
def viewer(site: Server, browser: Browser, open_service: Service) -> Iterator[Viewer]:
    """OHIF as the README configures it for an emulator without sign-in."""
    with viewing(browser, site, open_service, snippets()[0]) as viewer:
        yield viewer


@pytest.fixture
def signed_in(site: Server, browser: Browser, closed_service: Service) -> Iterator[Viewer]:
    """OHIF as the README configures it for an emulator with sign-in."""
    with viewing(browser, site, closed_service, "".join(snippets())) as viewer:
        yield viewer


def snippets() -> list[str]:
    """The JavaScript of the README's section on OHIF: the configuration, and what sign-in adds to it."""
    readme = (ROOT / "dicom_emulator" / "README.md").read_text("utf-8")
    section = readme.split("\n## OHIF\n")[1].split("\n## ")[0]
    return re.findall(r"^```js\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@contextmanager
def viewing(browser: Browser, site: Server, service: Service, config: str) -> Iterator[Viewer]:
    service.owner.post(f"{service.url}/_emulator/reset")
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script("localStorage.shownTours = '[\"basicViewerTour\"]'")
    context.add_init_script("sessionStorage.investigationalUseDialog = 'hidden'")
    page, troubles = context.new_page(), []
    page.set_default_timeout(SECONDS * 1000)
    expect.set_options(timeout=SECONDS * 1000)

    def note(response: Response) -> None:
        if response.status >= 400:
            troubles.append(f"{response.status} {response.request.method} {response.url}")

    page.on("response", note)
    page.on("requestfailed", lambda request: troubles.append(f"{request.failure} {request.url}"))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    viewer = Viewer(page, site, service, troubles)
    viewer.configure(config)
    yield viewer
    context.close()


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def one_of_each_syntax(**attributes: Any) -> dict[str, bytes]:
    """Name of a transfer syntax -> an image in it. No two of the images look the same."""
    pixels = pydicom.dcmread(BUNDLED / "MR_small.dcm").pixel_array
    names = {
        "implicit": IMPLICIT, "explicit": EXPLICIT, "big-endian": BIG_ENDIAN, "deflated": DEFLATED,
        "jpeg-lossless": JPEG_LOSSLESS_SV1, "jpeg-ls": JPEG_LS, "jpeg-2000": JPEG_2000, "rle": RLE,
    }  # fmt: skip
    images = {}
    for turn, (name, syntax) in enumerate(names.items()):
        turned = numpy.rot90(pixels if turn < 4 else pixels.T, turn)
        images[name] = picture(turned[numpy.newaxis], syntax, SeriesDescription=name, SeriesNumber=turn, **attributes)
    htj2k = instance(pixels=GREY, SeriesDescription="htj2k", SeriesNumber=8, **attributes)
    images["htj2k"] = encapsulated(htj2k, HTJ2K, [HTJ2K_GREY])
    jpeg = pydicom.dcmread(BUNDLED / "SC_rgb_jpeg_dcmtk.dcm")
    jpeg.update(dict(attributes, SeriesDescription="jpeg", SeriesNumber=9))
    images["jpeg"] = written(jpeg)
    return images


class TestStudyList:
    def test_it_shows_the_patients_and_a_study_opens_from_it(self, viewer: Viewer) -> None:
        blue, red = sample("blue-circle.dcm"), sample("red-triangle.dcm")
        viewer.service.store(blue, red, (BUNDLED / "CT_small.dcm").read_bytes())
        viewer.page.goto(viewer.site)
        rows = viewer.page.get_by_role("row").filter(has_text=re.compile("20[0-9][0-9]"))
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text(re.compile(r"Anony Mous.*22-Sep-2020.*OT", re.DOTALL))
        expect(rows.nth(1)).to_contain_text(re.compile(r"CompressedSamples, CT1.*19-Jan-2004.*CT.*e\+1", re.DOTALL))
        rows.nth(0).dblclick()
        viewer.shows(red)
        viewer.choose("S:2")
        viewer.shows(blue)
        assert viewer.troubles == []

    def test_the_number_of_instances_is_0_since_ohif_does_not_ask_for_it(self, viewer: Viewer) -> None:
        viewer.service.store(sample("blue-circle.dcm"))
        viewer.page.goto(viewer.site)
        cells = viewer.page.get_by_role("row").filter(has_text="Anony Mous").get_by_role("cell")
        expect(cells.filter(has_text=re.compile(r"^\s*\d+\s*$"))).to_have_text("0")

    def test_the_beginning_of_a_name_narrows_it(self, viewer: Viewer) -> None:
        viewer.service.store(instance(PatientName="Lestrade^G"), instance(PatientName="Gregson^T"))
        self.look_for(viewer, "lestr")
        expect(viewer.page.get_by_text("Gregson, T")).to_have_count(0)
        expect(viewer.page.get_by_text("Lestrade, G")).to_be_visible()
        assert viewer.troubles == []

    def test_nothing_is_found_where_ohif_is_told_that_there_are_wildcards(self, viewer: Viewer) -> None:
        viewer.configure(snippets()[0].replace("supportsWildcard: false", "supportsWildcard: true"))
        viewer.service.store(instance(PatientName="Lestrade^G"))
        self.look_for(viewer, "lestr")
        expect(viewer.page.get_by_text("Lestrade, G")).to_have_count(0)

    def look_for(self, viewer: Viewer, name: str) -> None:
        viewer.page.goto(viewer.site)
        expect(viewer.page.get_by_text("Lestrade, G")).to_be_visible()
        with viewer.page.expect_response(re.compile("PatientName=")):
            viewer.page.get_by_role("textbox").first.fill(name)


class TestImages:
    def test_every_transfer_syntax_is_drawn_as_the_service_renders_it(self, viewer: Viewer) -> None:
        files = one_of_each_syntax(StudyInstanceUID=generate_uid(), PatientID="P1", StudyDate="20200922")
        assert viewer.service.store(*files.values()).status_code == 202  # implicit VR is stored with a warning
        viewer.open(files["implicit"])
        viewer.shows(files.pop("implicit"))  # the first of the study
        for name, file in files.items():
            viewer.choose(name)
            viewer.shows(file)
        assert viewer.troubles == []

    def test_the_frames_of_a_multi_frame_image(self, viewer: Viewer) -> None:
        file = (BUNDLED / "SC_rgb_rle_2frame.dcm").read_bytes()
        viewer.service.store(file)
        viewer.open(file)
        viewer.shows(file, frame=1)
        viewer.page.keyboard.press("ArrowDown")
        viewer.shows(file, frame=2)
        assert viewer.troubles == []

    def test_without_the_setting_of_the_readme_it_asks_for_thumbnails_which_the_service_lacks(
        self, viewer: Viewer
    ) -> None:
        viewer.configure(snippets()[0].replace("thumbnailRendering: 'wadors',", "thumbnailRendering: 'thumbnail',"))
        file = sample("blue-circle.dcm")
        viewer.service.store(file)
        with viewer.page.expect_response(re.compile("/thumbnail")) as response:
            viewer.open(file)
        assert response.value.status == 404

    def test_one_with_a_palette_is_black_since_metadata_lacks_the_palette(self, viewer: Viewer) -> None:
        file = (BUNDLED / "examples_palette.dcm").read_bytes()
        viewer.service.store(file, instance(StudyInstanceUID=uids(file)[0], SeriesNumber=99, pixels=GREY))
        with viewer.page.expect_response(re.compile(uids(file)[2] + "/frames/1")):
            viewer.open(file)
        viewer.page.locator("[data-cy=studyBrowser-panel] img").wait_for()  # that of the other image, which comes later
        assert numpy.asarray(viewer.canvas()).max() == 0


class TestSignIn:
    def test_with_the_token_of_the_emulator(self, signed_in: Viewer) -> None:
        file = sample("green-square.dcm")
        signed_in.service.store(file)
        signed_in.page.goto(signed_in.site)
        signed_in.page.get_by_text("Anony Mous").dblclick()
        signed_in.shows(file)
        assert signed_in.troubles == []

    def test_without_it_the_study_list_says_that_there_is_no_connection(self, signed_in: Viewer) -> None:
        signed_in.configure(snippets()[0])
        signed_in.page.goto(signed_in.site)
        expect(signed_in.page.get_by_text("Data Source Connection Error")).to_be_visible()
        assert signed_in.troubles[0].startswith("401 GET ")


def test_the_package_is_pinned_by_hash_and_no_registry_is_named() -> None:
    packages = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    wanted = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]
    assert packages.pop("")["dependencies"] == wanted == {"@ohif/app": "3.13.2"}
    (package,) = packages.values()
    assert package["integrity"].startswith("sha512-") and "resolved" not in package
