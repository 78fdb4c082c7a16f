"""What the tests of the book read: the chapters' cells, and what their text refers to."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import nbformat
import yaml
from docutils import nodes
from myst_parser.mdit_to_docutils.base import default_slugify

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
FENCE = re.compile(r"^```.*?^```\s*$", re.S | re.M)


@cache
def cells(path: Path) -> list:
    return nbformat.read(path, as_version=4).cells


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def code_cells(path: Path) -> list:
    return [cell for cell in cells(path) if cell.cell_type == "code"]


def prose(path: Path) -> str:
    """The Markdown of a chapter or a page, without its code blocks."""
    if path.suffix == ".md":
        text = path.read_text(encoding="utf-8")
    else:
        text = "\n\n".join(cell.source for cell in cells(path) if cell.cell_type == "markdown")
    return FENCE.sub("", text)


def headings(path: Path) -> list[str]:
    return re.findall(r"^#{1,4} +(.+?) *$", prose(path), re.M)


def _titles(path: Path) -> list[str]:
    return [re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`$]", r"\1", heading) for heading in headings(path)]


def slugs(path: Path) -> set[str]:
    """What links in Markdown, `](#...)`, can point at: headings, by MyST's names for them."""
    return {default_slugify(title) for title in _titles(path)}


def section(path: Path, slug: str) -> str:
    """The text below a heading, up to the next heading."""
    parts = re.split(r"^(#{1,4} +.+?) *$", prose(path), flags=re.M)
    named = {default_slugify(head.lstrip("# ")): text for head, text in zip(parts[1::2], parts[2::2], strict=True)}
    return named[slug]


def ids(path: Path) -> set[str]:
    """What links in HTML, `href="#..."`, can point at: hand-written anchors, and headings by the site's names."""
    return set(re.findall(r'<a id="([^"]+)">', prose(path))) | {nodes.make_id(title) for title in _titles(path)}


def shows_image(cell) -> bool:
    outputs = cell.get("outputs", [])
    return any(kind.startswith("image/") for output in outputs for kind in output.get("data", {}))


def alt_text(cell) -> str:
    options = cell.metadata.get("mystnb", {})
    return options.get("image", {}).get("alt") or options.get("figure", {}).get("alt") or ""


@cache
def coursework() -> dict:
    return yaml.safe_load((BOOK / "coursework.yml").read_text(encoding="utf-8"))


@cache
def settings() -> dict:
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
