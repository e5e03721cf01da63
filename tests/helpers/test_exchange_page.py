"""show_exchange in a notebook: HTML that tells the same story as the text, and that nothing can break out of."""

import datetime
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
import requests

from helpers.exchange import Shown
from helpers.exchange.story import TIMES, exchange_of
from helpers.exchange.words import FAILURE_REASONS, MEANINGS, WARNING_REASONS
from helpers.multipart import MultipartRelatedStream, encode_multipart_related
from tests.helpers.test_exchange import DICOM_JSON, FILE, STUDY, element

HOSTILE = "</pre></code><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\"'"
VOID = {"br"}
# Front ends that do not trust a notebook keep these; JupyterLab leaves out <style>, and the story stands without it.
TAGS = {"style", "div", "section", "p", "strong", "b", "small", "code", "pre", "ul", "li", "details", "summary", "br"}
TAGS |= {"table", "caption", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """The elements of an HTML text and what can be read of it. Fails on what does not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.feed(html)
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.pieces.append("" if tag in ("b", "strong", "small", "code") else " ")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"
        self.pieces.append("" if tag in ("b", "strong", "small", "code") else " ")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def reply(
    body: bytes = b"", content_type: str = "text/plain", status: int = 200, sent: Any = None, **headers: str
) -> requests.Response:
    response = requests.Response()
    request = requests.Request("POST", f"http://127.0.0.1:34113/v2/studies/{STUDY}", data=sent, headers=headers)
    response.request, response.status_code = request.prepare(), status
    response._content, response._content_consumed = body, True
    response.headers["Content-Type"] = content_type
    return response


def bundle(response: requests.Response, attributes: int = 10) -> dict[str, str]:
    exchanges = [exchange_of(one, True, attributes) for one in (*response.history, response)]
    return Shown(exchanges)._repr_mimebundle_()


def page(response: requests.Response) -> Page:
    return Page(bundle(response)["text/html"])


def dicom_json(value: Any, **options: Any) -> requests.Response:
    return reply(json.dumps(value).encode(), DICOM_JSON["Content-Type"], **options)


def parts(number: int = 2, content: bytes = FILE, **options: Any) -> requests.Response:
    body, content_type = encode_multipart_related([content] * number, **options)
    return reply(body, content_type, sent=body, **{"Content-Type": content_type})


def redirected() -> requests.Response:
    response = reply(b"welcome")
    response.history = [reply(status=401, Authorization="Bearer secret")]
    return response


FAILED = {
    "00081155": element("UI", STUDY),
    "00081197": element("US", 45070),
    "00741048": element("SQ", {"00000902": element("LO", "DICOM100: (0008,0020) - bad")}),
}
FIRST = {"00100020": element("LO", "ID1"), "00200013": element("IS", 1), "00204000": element("LT", "red")}
SECOND = {"00100020": element("LO", "ID1"), "00200013": element("IS", 2)}

EXCHANGES: dict[str, Callable[[], requests.Response]] = {
    "no body": lambda: reply(status=204),
    "text": lambda: reply(b"The specified study cannot be found.", status=404, Accept="x/y", Cookie="secret"),
    "long text": lambda: reply(b"line\n" * 100),
    "a JSON text": lambda: reply(b'{"a": [1, {"b": null}]}', "application/json"),
    "no JSON": lambda: reply(b"\xff{", "application/json"),
    "a file": lambda: reply(FILE, "application/dicom"),
    "bytes": lambda: reply(b"\xc3" * 5000, "application/octet-stream"),
    "parts": parts,
    "many parts": lambda: parts(9),
    "empty parts": lambda: parts(2, b""),
    "broken parts": lambda: reply(b"--b\r\n\r\none\r\n--b\r\n\r\ntw", "multipart/related; boundary=b"),
    "a stream": lambda: reply(sent=MultipartRelatedStream([FILE, FILE])),
    "a failed store": lambda: dicom_json({"00081198": element("SQ", FAILED)}, status=409),
    "no items": lambda: dicom_json({"00081198": element("SQ"), "00081199": element("SQ", {})}),
    "many items": lambda: dicom_json({"00081199": element("SQ", *[FAILED] * 9)}),
    "data sets": lambda: dicom_json([FIRST, SECOND, {"00081196": element("US", 1)}, FIRST, FIRST, SECOND]),
    "many attributes": lambda: dicom_json([{f"0009{n:04X}": element("LO", str(n)) for n in range(30)}]),
    "a repeated request": redirected,
}  # fmt: skip

on_each_exchange = pytest.mark.parametrize("make", EXCHANGES.values(), ids=EXCHANGES)


def words(text: str) -> Counter[str]:
    return Counter(word for word in (word.strip("():;,") for word in text.split()) if word)


def drawn_as_lines(line: str) -> bool:
    """What the text draws with characters, the page draws with elements: arrows, boundaries, numbers of items."""
    return bool(re.fullmatch(r"[<>|]|--…(--)?|\d+:", line))


@on_each_exchange
def test_each_word_of_the_text_is_on_the_page(make: Callable[[], requests.Response]) -> None:
    shown = bundle(make())
    told = " ".join(word for word in shown["text/plain"].split() if not drawn_as_lines(word))
    assert words(told) - words(Page(shown["text/html"]).text) == Counter()


@on_each_exchange
def test_a_page_has_only_what_every_front_end_keeps(make: Callable[[], requests.Response]) -> None:
    html = bundle(make())["text/html"]
    elements = Page(html).elements
    assert {tag for tag, _ in elements} <= TAGS
    assert {name for _, attributes in elements for name in attributes} <= {"class", "style", "scope", "open"}
    assert not re.search(r"url\(|@import|https?:", html)
    assert html.count("<style>") == 1


def test_a_page_is_small() -> None:
    assert all(len(bundle(make())["text/html"]) < 8_000 for make in EXCHANGES.values())


def test_hostile_values_stay_text() -> None:
    hostile = HOSTILE.encode()
    item = {"00100010": element("PN", {"Alphabetic": HOSTILE}), "00100020": {"vr": HOSTILE, "Value": [HOSTILE]}}
    body, content_type = encode_multipart_related([hostile])
    replies = [
        reply(hostile, f"text/plain; {HOSTILE}", Accept=HOSTILE),
        reply(json.dumps({HOSTILE: HOSTILE}).encode(), "application/json"),
        reply(hostile, "application/json"),
        reply(hostile, "application/octet-stream"),
        reply(body.replace(b"Content-Type: ", b"Content-Type: " + hostile), content_type),
        reply(hostile, f"multipart/{HOSTILE}"),
        dicom_json([item, {"00081199": element("SQ", item)}]),
    ]
    for response in replies:
        response.reason = HOSTILE
        response.request.url += f"?{HOSTILE}"
        response.request.method = HOSTILE
        seen = page(response)
        assert {tag for tag, _ in seen.elements} <= TAGS
        assert HOSTILE in seen.text


def test_values_stand_where_no_front_end_looks_for_mathematics() -> None:
    html = bundle(dicom_json([{"00100020": {"vr": "$v$", "Value": ["$x$"]}}], Accept="$x$"))["text/html"]
    outside = re.sub(r"<(code|pre)>.*?</\1>", "", html, flags=re.DOTALL)
    assert "$" in html and "$" not in outside


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/octet-stream", "image/gif"])
def test_no_token_is_on_a_page(content_type: str) -> None:
    token = "eyJhbGciOi.eyJhdWQiOi.c2lnbmVk"
    response = reply(f'{{"token": "{token}"}}'.encode(), content_type, Authorization=f"Bearer {token}")
    shown = bundle(response)
    assert "eyJ" not in shown["text/html"] and "2e 65 79 4a" not in shown["text/html"]
    assert "Authorization: Bearer …" in Page(shown["text/html"]).text


def test_nothing_of_one_run_is_in_the_first_bytes() -> None:
    assert "first bytes" not in page(reply(b"http://127.0.0.1:34113/v2/x", "application/octet-stream")).text


def test_parts_are_a_table_with_a_caption_and_headers() -> None:
    typed = "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    body, content_type = encode_multipart_related({"file": ("a.dcm", FILE, typed), "other": ("b.dcm", FILE, typed)})
    seen = page(reply(body, content_type))
    assert (seen.count("table"), seen.count("caption")) == (1, 1)
    assert [attributes["scope"] for tag, attributes in seen.elements if tag == "th"] == ["col"] * 4 + ["row"] * 2
    assert "Body: 2 parts" in seen.text and "(Explicit VR Little Endian)" in seen.text and "4.1 kB" in seen.text


def test_the_first_bytes_are_folded_and_written_as_hex_and_text() -> None:
    html = bundle(reply(bytes(128) + b"DICM\2\0\0\0UL\4\0" + bytes(90), "application/dicom"))["text/html"]
    assert (
        "<details><summary>first bytes: position, hex, text</summary><pre>0080  44 49 43 4d 02 00 00 00  DICM....\n"
        in html
    )
    assert "0088  55 4c 04 00 00 00 00 00  UL......" in html


def test_a_sequence_is_folded_below_its_keyword() -> None:
    html = bundle(dicom_json({"00081198": element("SQ", FAILED)}))["text/html"]
    assert (
        "<summary><code>00081198</code> <b>FailedSOPSequence</b> <small><code>SQ</code></small>: 1 item</summary>"
        in html
    )
    assert html.count("<details open>") == 4  # two sequences, an item in each


@pytest.mark.parametrize(
    ("tag", "codes"), [("00081197", FAILURE_REASONS), ("00081196", WARNING_REASONS)], ids=["failures", "warnings"]
)
def test_codes_are_spelled_out(tag: str, codes: dict[int, str]) -> None:
    for code, meaning in codes.items():
        shown = bundle(dicom_json({tag: element("US", code)}))
        assert all(f"{code} = {meaning}" in text for text in shown.values())


def test_all_codes_of_the_service_are_known() -> None:
    assert set(FAILURE_REASONS) == {272, 273, 288, 289, 43264, 43265, 45070, 45071}
    assert set(WARNING_REASONS) == {1, 45063}


@pytest.mark.parametrize("status", [*MEANINGS, 418, 599])
def test_a_status_is_explained(status: int) -> None:
    meaning = MEANINGS.get(status) or {418: "the request is at fault", 599: "the server failed"}[status]
    assert re.search(rf"→ {status}.*: {re.escape(meaning)}", page(reply(status=status)).text)


def test_a_learner_sees_how_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    response = reply()
    response.elapsed = datetime.timedelta(milliseconds=12)
    monkeypatch.delenv(TIMES, raising=False)
    assert all("(the reply began after 12 ms)" in text for text in bundle(response).values())


def test_what_is_stored_has_no_times(monkeypatch: pytest.MonkeyPatch) -> None:
    response = reply()
    response.elapsed = datetime.timedelta(milliseconds=12)
    monkeypatch.setenv(TIMES, "hidden")
    assert not any("12 ms" in text for text in bundle(response).values())


def test_exchanges_that_belong_together_are_one_output_with_one_style() -> None:
    shown = bundle(redirected())
    assert shown["text/html"].count('class="wire"') == 2
    assert shown["text/html"].count("<style>") == 1
    assert "\n\nPOST" in shown["text/plain"]
