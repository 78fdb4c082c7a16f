"""Writes the tables of `book/instructors.md` from `book/coursework.yml` while the site is built."""

from __future__ import annotations

from pathlib import Path

import yaml

PAGE = "book/instructors"
SOURCE = Path(__file__).resolve().parent.parent / "coursework.yml"


def where(entry: dict, chapters: dict) -> str:
    """Links to the section that answers an item and to those of its page that do `also`, or the chapter planned to."""
    if "planned" in entry:
        return f"*planned: {entry['planned']} {chapters[entry['planned']]}*"
    links = [f"[](../{entry['page']}.ipynb#{section})" for section in (entry["section"], *entry.get("also", ()))]
    return f"Chapter {int(entry['page'].split('/')[1][:2])}: {', '.join(links)}"


def item_table(items: dict, chapters: dict) -> str:
    points = any("points" in entry for entry in items.values())
    rows = ["| item | task |" + (" points |" if points else "") + " where |"]
    rows.append("| :-- | :-- |" + (" --: |" if points else "") + " :-- |")
    for name, entry in items.items():
        middle = f" {entry.get('points', '')} |" if points else ""
        rows.append(f"| {name} | {entry['task']} |{middle} {where(entry, chapters)} |")
    return "\n".join(rows)


def claim_table(claims: dict, chapters: dict) -> str:
    rows = ["| claim | as it was written | where |", "| --: | :-- | :-- |"]
    rows += [f"| {n} | {claim['claim']} | {where(claim, chapters)} |" for n, claim in claims.items()]
    return "\n".join(rows)


def markdown(data: dict) -> str:
    """Everything that the instructors' page shows of the coursework."""
    parts = []
    for document in data["documents"]:
        parts += [f"### {document['title']}", item_table(document["items"], data["chapters"])]
    parts += ["## Claims to check", data["claims_introduction"].strip()]
    parts += [claim_table(data["claims"], data["chapters"])]
    return "\n\n".join(parts)


def fill(app, docname: str, source: list[str]) -> None:
    if docname == PAGE:
        app.env.note_dependency(str(SOURCE))
        data = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
        source[0] = source[0].replace("<!-- coursework -->", markdown(data))


def setup(app) -> dict:
    app.connect("source-read", fill)
    return {"version": "1", "parallel_read_safe": True}
