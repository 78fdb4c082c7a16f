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
    r"""An equation with a \tag keeps it: no running number beside it, and no `split` (which allows none) around it."""
    for equation in doctree.findall(nodes.math_block):
        text = equation.astext()
        if r"\tag" not in text:
            continue
        equation["number"] = None
        if r"\\" in text and not equation.get("nowrap"):
            equation["nowrap"] = True
            equation.children = [nodes.Text(rf"\[{text}\]")]


def drop_empty_heads(app, doctree) -> None:
    """A table in Markdown must have a head. Where all its cells are empty, the page needs none."""
    for head in list(doctree.findall(nodes.thead)):
        if not head.astext().strip() and not list(head.findall(nodes.image)):
            head.parent.remove(head)


def setup(app) -> dict:
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    app.connect("doctree-read", keep_own_numbers)
    app.connect("doctree-read", drop_empty_heads)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
