"""Small repairs of the built pages that no option of the theme offers."""

from __future__ import annotations

from docutils import nodes


def name_equations(app, doctree, docname: str) -> None:
    """Scrolling boxes must be reachable by keyboard: wide tables and equations get a tab stop in site.js."""
    for table in doctree.findall(nodes.table):
        table["classes"].append("scrolls")


def setup(app) -> dict:
    app.connect("doctree-resolved", name_equations)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
