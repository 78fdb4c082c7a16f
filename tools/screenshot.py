"""Draw the picture of the README: a page of the built site, light beside dark, in a headless Chromium."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "_build/html/notebooks/01_convolution_by_hand.html"
TARGET = ROOT / "book/_static/screenshot.png"
WIDTH, HEIGHT = 1200, 760


def picture(browser, mode: str, anchor: str) -> Image.Image:
    """The page as it looks below an anchor."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=mode)
    context.add_init_script(f"localStorage.setItem('mode', '{mode}'); localStorage.setItem('theme', '{mode}')")
    page = context.new_page()
    page.goto(PAGE.as_uri())
    page.wait_for_timeout(4000)  # until the equations are drawn
    page.evaluate("document.querySelector('.bd-sidebar-primary').scrollTo({top: 0, behavior: 'instant'})")
    if anchor:
        to_caption = f"document.getElementById('{anchor}').getBoundingClientRect().top - innerHeight + 110"
        page.evaluate(f"window.scrollBy({{top: {to_caption}, behavior: 'instant'}})")
        page.wait_for_timeout(500)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def main() -> None:
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not executable:
        sys.exit("no Chromium or Chrome on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        shots = [picture(browser, "light", "fig-1-2"), picture(browser, "dark", "fig-1-10")]
    both = Image.new("RGB", (2 * WIDTH + 16, HEIGHT), "white")
    for i, shot in enumerate(shots):
        both.paste(shot, (i * (WIDTH + 16), 0))
    both.resize((both.width * 3 // 4, both.height * 3 // 4)).save(TARGET, optimize=True)
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
