"""The slides, turned over by keyboard."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.workshop.test_slides import slides


def test_keys_turn_the_slides_and_no_request_leaves(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "slides.html"
    file.write_text(slides.page_of(slides.LESSONS[1]), "utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    shown = page.locator("article:visible")
    count = page.locator("article").count()
    expect(page.locator("footer")).to_have_text(f"1 / {count}")
    for key, number in [("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", count), ("ArrowRight", count), ("Home", 1)]:
        page.keyboard.press(key)
        expect(page.locator("footer")).to_have_text(f"{number} / {count}")
        expect(shown).to_have_count(1)
        expect(shown).to_have_attribute("id", str(number))
    page.goto(f"{file.as_uri()}#5")  # the long one about the first request
    expect(shown).to_have_attribute("id", "5")
    assert shown.bounding_box()["height"] <= 801, "it should be made smaller, to fit"
    page.emulate_media(media="print")
    expect(shown).to_have_count(count)
    assert all(url.startswith(("file:", "data:")) for url in requests)
    page.close()
