"""Debian's Chromium, driven by Playwright, for all tests of this room."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

# The visible texts within `selector` whose contrast with what lies behind is below 4.5 to 1 (WCAG 2.2, 1.4.3), each
# with its ratio. Translucent colours are laid over each other, as on the screen.
FAINT = """selector => {
    const rgba = (css) => { const [r, g, b, a = 1] = css.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
    const over = (below, [r, g, b, a]) => below.map((value, index) => value * (1 - a) + [r, g, b][index] * a);
    const light = (colour) => colour.map((value) => value / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = new Map([[null, { ground: [255, 255, 255], opacity: 1 }]]);
    const styleOf = (element) => {
        if (!behind.has(element)) {
            const { ground, opacity } = styleOf(element.parentElement), own = getComputedStyle(element);
            behind.set(element, {
                ground: over(ground, rgba(own.backgroundColor)), opacity: opacity * Number(own.opacity), ink: rgba(own.color),
            });
        }
        return behind.get(element);
    };
    const faint = [];
    const look = (element, text, colour) => {
        if (!text || element.closest('style, script, svg')) return;
        if (!element.checkVisibility({ visibilityProperty: true })) return;
        const { ground, opacity, ink } = styleOf(element), [r, g, b, a] = colour ? rgba(colour) : ink;
        const [one, other] = [light(over(ground, [r, g, b, a * opacity])), light(ground)].sort((a, b) => b - a);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${[r, g, b]} on ${ground.map(Math.round)}: ${text.slice(0, 40)}`);
    };
    for (const root of document.querySelectorAll(selector)) {
        const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) look(texts.currentNode.parentElement, texts.currentNode.data.trim());
        for (const field of root.querySelectorAll('input:not([type=range], [type=checkbox]), select, textarea')) {
            look(field, `what is typed into ${field.id || field.name}`);
            look(field, field.placeholder, getComputedStyle(field, '::placeholder').color);
        }
    }
    return faint;
}"""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "there is no chromium; on Debian: apt-get install chromium"
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        yield browser
        browser.close()


@contextmanager
def nothing_leaves(context: BrowserContext) -> Iterator[None]:
    """Whatever the pages of `context` ask another machine fails the test, sockets too. Begin before the first page."""
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("page", lambda page: page.on("websocket", lambda socket: asked.append(socket.url)))
    yield
    assert [url for url in asked if is_elsewhere(url)] == []


def is_elsewhere(url: str) -> bool:
    address = urlsplit(url)
    return address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1"
