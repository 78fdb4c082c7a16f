"""Every page in a real browser, light and dark, wide and narrow. Skipped, with the reason, where there is none."""

from __future__ import annotations

from urllib.parse import urlsplit

import chapters as book
import pytest
from axe_playwright_python.sync_playwright import Axe

DOCUMENTS = [*sorted(book.BOOK.glob("*.md")), *book.CHAPTERS]
NAMES = [f"{path.parent.name}/{path.stem}.html" for path in DOCUMENTS]
each_page = pytest.mark.parametrize("name", NAMES)
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 400, "height": 800}
MATHS_IS_DRAWN = "() => !window.MathJax?.startup || window.MathJax.startup.promise.then(() => true)"


@pytest.fixture
def visit(browser, address):
    """Opens a page as a reader would; notes what it says on the console and what it asks other hosts."""
    contexts = []

    def open_page(name, mode="light", viewport=WIDE):
        context = browser.new_context(viewport=viewport, color_scheme=mode, reduced_motion="reduce")
        context.add_init_script(f"localStorage.setItem('mode', '{mode}'); localStorage.setItem('theme', '{mode}')")
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(f"{address}/{name}", wait_until="networkidle")
        page.wait_for_function(MATHS_IS_DRAWN)
        return page

    yield open_page
    for context in contexts:
        context.close()


@each_page
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_page_is_sound(visit, address, name, mode):
    page = visit(name, mode)
    assert page.locator("html").get_attribute("data-theme") == mode
    assert page.said == []
    here = urlsplit(address).netloc
    others = [url for url in page.asked if urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc != here]
    assert others == []
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    unknown = page.locator(
        "mjx-container [style*='color: red']"
    ).all_inner_texts()  # how MathJax shows a misspelt command
    assert unknown == []
    assert page.locator("mjx-container").count() >= page.locator(".math").count(), "an equation is not drawn"
    fields = page.locator("input[type=search]").all() + page.locator("button.search-button-field").all()
    assert sum(field.is_visible() for field in fields) == 1, "there is one search field"
    for image in page.locator(".bd-article img").all():  # figures are not dimmed in the dark
        assert image.evaluate("image => getComputedStyle(image).filter") == "none"
        assert image.evaluate("image => getComputedStyle(image).backgroundColor") == "rgb(255, 255, 255)"
    for details in page.locator(".bd-article details").all():
        details.evaluate("details => details.open = true")  # what is folded must be readable, too
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


@each_page
def test_phone_does_not_scroll_sideways(visit, name):
    page = visit(name, viewport=PHONE)
    for details in page.locator(".bd-article details").all():
        details.evaluate("details => details.open = true")
    page.evaluate("window.scrollTo(500, 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("window.scrollX") == 0
    wide = """() => [...document.querySelectorAll('.bd-article *')].filter(e => {
        let box = e.getBoundingClientRect(), scrolls = e;
        while ((scrolls = scrolls.parentElement)) if (getComputedStyle(scrolls).overflowX != 'visible' &&
            scrolls.closest('.bd-article')) return false;
        return box.width && box.right > innerWidth + 1;
    }).map(e => e.outerHTML.slice(0, 120))"""
    assert page.evaluate(wide) == []


@pytest.mark.parametrize("name", [f"notebooks/{path.stem}.html" for path in book.CHAPTERS])
def test_solutions_open_with_the_keyboard(visit, name):
    page = visit(name)
    for details in page.locator("details.solution, details.hide").all():
        summary = details.locator("> summary")
        assert summary.inner_text().strip()
        summary.focus()
        for expected in (True, False):
            page.keyboard.press("Enter")
            assert details.evaluate("details => details.open") is expected
        assert summary.evaluate("summary => summary === document.activeElement")


def test_search_finds_a_term(visit):
    page = visit("search.html?q=stride")
    page.wait_for_selector("#search-results li a")
    assert page.locator("#search-results li a").count() >= 1
    assert page.said == []
