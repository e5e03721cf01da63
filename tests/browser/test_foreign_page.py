"""A page of somebody else in Chromium, and an emulator that asks for no token: what the page can send, and what comes of it."""

import base64
import http.server
import threading
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser

from tests.emulator.dicom_files import instance, multipart
from tests.emulator.storing import own_emulator, search

# Everything by which a page sends a file: a body without a type, a form, a beacon, its true media types.
SENDERS = """async ([url, file, body, contentType]) => {
    const bytes = Uint8Array.from(atob(file), (each) => each.charCodeAt(0));
    const parts = Uint8Array.from(atob(body), (each) => each.charCodeAt(0));
    const form = new FormData();
    form.append("file", new Blob([bytes], { type: "application/dicom" }), "a.dcm");
    const sent = [
        { body: bytes }, { body: form }, { body: new URLSearchParams({ a: "b" }) },
        { body: bytes, headers: { "Content-Type": "text/plain" } },
        { body: new Blob([bytes], { type: "application/dicom" }) },
        { body: parts, headers: { "Content-Type": contentType } },
        { body: parts, headers: { "Content-Type": contentType }, mode: "cors" },
        { method: "DELETE", mode: "cors" }, { method: "PUT", body: bytes, mode: "cors" },
    ];
    for (const each of sent) await fetch(url, { method: "POST", mode: "no-cors", ...each }).catch(() => {});
    navigator.sendBeacon(url, new Blob([parts], { type: contentType }));
    navigator.sendBeacon(url, bytes);
    return fetch(url).then((answer) => answer.text(), () => "nothing that it may read");
}"""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a page of another origin, and of another site."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>Elsewhere</title>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def test_a_foreign_page_changes_and_reads_nothing(browser: Browser, elsewhere: str) -> None:
    body, content_type = multipart(instance())
    files = [base64.b64encode(each).decode() for each in (instance(), body)]
    with own_emulator(sign_in=False) as service, browser.new_page() as page:
        service.store(instance(StudyInstanceUID="1.2.3"))
        page.goto(elsewhere)
        read = page.evaluate(SENDERS, [f"{service.v2}/studies", *files, content_type])
        assert read == "nothing that it may read"
        exchanges = requests.get(f"{service.url}/_emulator/requests", timeout=10).json()
        assert {each["status"] for each in exchanges if each["method"] == "POST"} == {200, 415}
        assert [each["method"] for each in exchanges if each["status"] == 200] == ["POST", "GET"]  # ours, and its own
        assert len(search(service, "instances")) == 1
