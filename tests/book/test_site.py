"""The built site: links, images, the coursework's sections."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import chapters as book
from bs4 import BeautifulSoup
from myst_parser.mdit_to_docutils.base import default_slugify


@cache
def page(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@cache
def ids(path: Path) -> set[str]:
    return {tag["id"] for tag in page(path).find_all(id=True)}


def sections(path: Path) -> dict[str, str]:
    """The id that each section has on the site, by the name that links in Markdown use for it."""
    titles = page(path).select("section[id] > :is(h1, h2, h3, h4)")
    return {default_slugify(title.get_text().rstrip("#¶ ")): title.parent["id"] for title in titles}


def pages(site: Path) -> list[Path]:
    return [site / "index.html", *sorted(site.glob("book/*.html")), *sorted(site.glob("notebooks/*.html"))]


def test_every_page_is_built(site):
    built = {path.stem for path in pages(site)}
    assert {path.stem for path in book.CHAPTERS} | {path.stem for path in book.BOOK.glob("*.md")} <= built


def test_internal_links_and_anchors_resolve(site):
    broken = []
    for path in pages(site):
        for link in page(path).find_all("a", href=True):
            parts = urlsplit(link["href"])
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchored = target.suffix == ".html" and parts.fragment
            if not target.exists() or (anchored and unquote(parts.fragment) not in ids(target)):
                broken.append(f"{path.name}: {link['href']}")
    assert broken == []


def test_no_page_asks_another_host(site):
    for path in pages(site):
        for tag, attribute in (("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src")):
            for element in page(path).find_all(tag, {attribute: True}):
                is_request = tag != "link" or set(element.get("rel", [])) & {"stylesheet", "preload", "icon"}
                assert not (is_request and urlsplit(element[attribute]).netloc), f"{path.name}: {element}"


def test_every_image_has_alt_text(site):
    for path in pages(site):
        for image in page(path).find_all("img"):
            assert image.has_attr("alt"), f"{path.name}: {image}"
            if image.find_parent(class_="bd-article"):
                assert len(image["alt"]) >= 20, f"{path.name}: {image}"


def test_coursework_sections_exist_and_are_linked_from_the_instructors_page(site):
    data = book.coursework()
    items = [entry for document in data["documents"] for entry in document["items"].values()]
    linked = {link["href"] for link in page(site / "book/instructors.html").find_all("a", href=True)}
    for entry in items + list(data["claims"].values()):
        if "page" in entry:
            named = sections(site / f"{entry['page']}.html")
            assert entry["section"] in named, f"no such section: {entry}"
            assert f"../{entry['page']}.html#{named[entry['section']]}" in linked, entry


def test_instructors_page_has_a_row_for_every_entry(site):
    rows = page(site / "book/instructors.html").select("table tbody tr")
    data = book.coursework()
    assert len(rows) == sum(len(document["items"]) for document in data["documents"]) + len(data["claims"])


def test_chapters_can_be_launched_and_downloaded(site):
    name = book.settings()["repository"]["url"].removeprefix("https://github.com/")
    for path in book.CHAPTERS:
        html = (site / f"notebooks/{path.stem}.html").read_text(encoding="utf-8")
        assert f"colab.research.google.com/github/{name}/blob/main/notebooks/{path.name}" in html
        assert f"mybinder.org/v2/gh/{name}/main" in html
        assert "initThebeSBT()" in html
        assert (site / f"_sources/notebooks/{path.name}").exists()


def test_solutions_are_folded(site):
    for path in book.CHAPTERS:
        soup = page(site / f"notebooks/{path.stem}.html")
        folded = soup.select("details.solution, details.hide")
        written = book.prose(path).count('<details class="solution">')
        coded = sum("solution" in book.tags(cell) for cell in book.code_cells(path))
        assert len(folded) == written + coded
        assert not any(details.has_attr("open") for details in folded)
