"""Repairs of the built pages that no option offers."""

from __future__ import annotations

from docutils import nodes


def drop_repeated_scripts(app, pagename, templatename, context, doctree) -> None:
    """Sphinx 7.4 registers what sphinx-thebe adds twice, and declaring a constant twice is an error."""
    seen, kept = set(), []
    for script in context.get("script_files", []):
        what = (str(script.filename or ""), script.attributes.get("body"))
        if what not in seen:
            seen.add(what)
            kept.append(script)
    context["script_files"][:] = kept


def keep_own_numbers(app, doctree) -> None:
    r"""An equation with a \tag has its number: MyST would draw a running one beside it."""
    for equation in doctree.findall(nodes.math_block):
        if r"\tag" in equation.astext():
            equation["number"] = None


def setup(app) -> dict:
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    app.connect("doctree-read", keep_own_numbers)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
