"""The conventions of CONTRIBUTING.md, held on the notebooks as they are stored: nothing is built or run."""

from __future__ import annotations

import json
import re
import sys

import chapters as book
import nbformat
import pytest

sys.path.insert(0, str(book.ROOT / "tools"))
import execute

each_chapter = pytest.mark.parametrize("path", book.CHAPTERS, ids=lambda path: path.stem)
PAGES = [*sorted(book.BOOK.glob("*.md")), *book.CHAPTERS]
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def number(path) -> int:
    return int(path.name[:2])


def test_there_are_chapters():
    assert book.CHAPTERS


@each_chapter
def test_title_carries_the_chapter_number(path):
    assert re.match(rf"# {number(path)} \S", book.cells(path)[0].source)


@each_chapter
def test_set_up_cell_is_the_same_in_every_chapter(path):
    first = book.code_cells(path)[0].source
    assert first == execute.SET_UP, "the first code cell must be tools/execute.py's SET_UP"


@each_chapter
def test_sections_that_every_chapter_has(path):
    sections = set(re.findall(r"^## +(.+?) *$", book.prose(path), re.M))
    assert {"Summary", "Exercises", "Further reading"} <= sections
    opening = " ".join(cell.source for cell in book.cells(path)[:4]).lower()
    for word in ("objectives", "time", "prerequisites"):
        assert word in opening, f"the opening must state the chapter's {word}"


@each_chapter
def test_plain_markdown_and_html_only(path):
    for cell in book.cells(path):
        if cell.cell_type == "markdown":
            raw = re.search(r"^\s*(:::+|```+|~~~+)\s*\{|\{(?:term|ref|cite|numref|eq|doc)[:\w]*\}`", cell.source, re.M)
            assert not raw, f"readers in Colab would see {raw.group()!r} in: {cell.source[:80]!r}"


@each_chapter
def test_code_cells_are_short(path):
    for cell in book.code_cells(path):
        assert len(cell.source.splitlines()) <= 20, f"more than 20 lines: {cell.source[:80]!r}"


@each_chapter
def test_every_image_has_alt_text(path):
    for cell in book.code_cells(path):
        if book.shows_image(cell):
            assert len(book.alt_text(cell)) >= 20, f"no alt text in the metadata of: {cell.source[:80]!r}"


@each_chapter
def test_figures_and_equations_are_numbered_in_order(path):
    text, n = book.prose(path), number(path)
    for kind, caption in (
        ("fig", r'<a id="fig-\d+-\d+"></a>\s*\*\*Figure (\d+)\.(\d+)\.\*\*'),
        ("eq", r"\\tag\{(\d+)\.(\d+)\}"),
    ):
        ids = re.findall(rf'<a id="{kind}-(\d+)-(\d+)"></a>', text)
        expected = [(str(n), str(k)) for k in range(1, len(ids) + 1)]
        assert ids == expected, f"anchors {kind}: {ids}"
        assert re.findall(caption, text) == expected, f"numbers of {kind} do not match their anchors"
    assert re.search(r'id="fig-', text), "a chapter has figures"


@each_chapter
def test_every_figure_outside_solutions_has_a_caption(path):
    listed = book.cells(path)
    for cell, following in zip(listed, [*listed[1:], None], strict=True):
        if book.shows_image(cell) and "solution" not in book.tags(cell):
            assert following and following.source.startswith('<a id="fig-'), f"no caption after: {cell.source[:80]!r}"


@each_page
def test_references_within_a_page_resolve(path):
    text = book.prose(path)
    html, markdown = re.findall(r'href="#([^"]+)"', text), re.findall(r"\]\(#([^)]+)\)", text)
    lost = sorted(set(html) - book.ids(path))
    assert not lost, f'no <a id="..."> and no heading for href="#...": {lost}'
    lost = sorted(set(markdown) - book.slugs(path))
    assert not lost, f'no heading for [...](#...), and equations and figures need <a href="#...">: {lost}'


@each_page
def test_links_to_other_pages_resolve(path):
    for target, anchor in re.findall(r"\]\(([^)#:\s]+\.(?:md|ipynb))(?:#([^)\s]+))?\)", book.prose(path)):
        other = (path.parent / target).resolve()
        assert other.exists(), f"{target} does not exist"
        assert not anchor or anchor in book.slugs(other), f"{target} has no #{anchor}"


SECTION = re.compile(r'Chapter (\d+), ("[^"]+"(?:(?:,| and) "[^"]+")*)')


@pytest.mark.parametrize("folder", ["helpers", "experiments"])
def test_sections_that_docstrings_name_exist(folder):
    chapters, named = {number(path): path for path in book.CHAPTERS}, 0
    for path in sorted((book.ROOT / folder).rglob("*.py")):
        for chapter, sections in SECTION.findall(" ".join(path.read_text(encoding="utf-8").split())):
            if int(chapter) in chapters:
                titles = [re.sub(r"^\d+ ", "", title) for title in book.headings(chapters[int(chapter)])]
                wanted = re.findall(r'"([^"]+)"', sections)
                assert set(wanted) <= set(titles), f"{path} names sections that Chapter {chapter} has not: {wanted}"
                named += len(wanted)
    assert named, "the pattern finds none"


@each_chapter
def test_glossary_terms_are_linked(path):
    assert len(set(re.findall(r"glossary\.md#([\w-]+)", book.prose(path)))) >= 3


def test_glossary_is_in_alphabetical_order_and_defines_each_term_once():
    terms = [heading.lower() for heading in book.headings(book.BOOK / "glossary.md")[1:]]
    assert terms == sorted(set(terms))


@each_page
def test_cited_works_are_in_the_references(path):
    listed = re.findall(r"url = \{([^}]+)\}", (book.BOOK / "references.bib").read_text(encoding="utf-8"))
    cited = re.findall(r"https?://(?:dx\.)?(?:doi\.org|arxiv\.org)/[^\s)\">]+", book.prose(path))
    assert not set(cited) - set(listed)


def test_every_reference_has_an_address_and_a_key_of_its_own():
    entries = re.split(r"^@", (book.BOOK / "references.bib").read_text(encoding="utf-8"), flags=re.M)[1:]
    keys = [re.match(r"\w+\{([^,]+),", entry).group(1) for entry in entries]
    assert len(keys) == len(set(keys))
    for key, entry in zip(keys, entries, strict=True):
        assert re.search(r"url = \{https?://[^}]+\}", entry), f"{key} has no url"
        doi = re.search(r"doi = \{([^}]+)\}", entry)
        assert not doi or f"https://doi.org/{doi.group(1)}" in entry, f"{key}: doi and url differ"


@each_chapter
def test_exercises_have_solutions(path):
    n, text = number(path), book.prose(path)
    exercises = re.findall(rf"^### Exercise {n}\.(\d+): .+ \(\d+ minutes?\)$", text, re.M)
    assert len(re.findall(r"^### Exercise", text, re.M)) == len(exercises), "an exercise's heading is malformed"
    assert exercises == [str(k + 1) for k in range(len(exercises))]
    assert 4 <= len(exercises) <= 8
    tail = book.cells(path)
    for k in exercises:
        start = next(i for i, c in enumerate(tail) if re.search(rf"^### Exercise {n}\.{k}:", c.source, re.M))
        later = (i for i, c in enumerate(tail) if i > start and re.search(r"^##", c.source, re.M))
        part = tail[start : next(later, len(tail))]
        solved = any("solution" in book.tags(c) or '<details class="solution">' in c.source for c in part)
        assert solved, f"Exercise {n}.{k} has no solution"


@each_chapter
def test_solutions_are_marked_and_folded(path):
    for cell in book.cells(path):
        if cell.cell_type == "markdown":
            assert cell.source.count("<details") == cell.source.count("</details>")
            for summary in re.findall(r"<details[^>]*>\s*(<summary>.*?</summary>\n\n)?", cell.source):
                assert summary, f"a blank line must follow <summary>: {cell.source[:80]!r}"
            continue
        is_titled = cell.source.startswith("# @title Solution")
        assert is_titled == ("solution" in book.tags(cell)), f"tag and first line differ: {cell.source[:80]!r}"
        if is_titled:
            assert re.match(rf"# @title Solution {number(path)}\.\d+\n", cell.source), cell.source[:80]
            assert "hide-cell" in book.tags(cell) and cell.metadata.jupyter.source_hidden, "run `make execute`"


@each_chapter
def test_several_results_are_compared(path):
    assert sum("nbval-check-output" in book.tags(cell) for cell in book.code_cells(path)) >= 3


@each_chapter
def test_compared_results_are_text(path):
    for cell in book.code_cells(path):
        if "nbval-check-output" in book.tags(cell):
            assert cell.outputs and not book.shows_image(cell), f"nothing to compare: {cell.source[:80]!r}"


@each_chapter
def test_stored_outputs_are_whole_and_clean(path):
    assert execute.faults(nbformat.read(path, as_version=4)) == []
    code = [cell for cell in book.code_cells(path) if cell.source.strip()]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run `make execute`"
    assert "widget" not in json.dumps([cell.outputs for cell in code])


def test_toc_lists_every_chapter():
    toc = (book.ROOT / "_toc.yml").read_text(encoding="utf-8")
    listed = re.findall(r"file: notebooks/(\S+)", toc)
    assert listed == [path.stem for path in book.CHAPTERS]


def test_repository_address_is_the_same_everywhere():
    owner_and_name = book.settings()["repository"]["url"].removeprefix("https://github.com/")
    for path in book.ROOT.rglob("*"):
        skip = any(
            part.startswith((".venv", ".git", "_build", ".")) and part not in (".github", ".ci") for part in path.parts
        )
        if skip or path.suffix not in {".md", ".py", ".toml", ".yml", ".cff", ".ipynb", ".txt"} or not path.is_file():
            continue
        found = re.findall(r"(?:github\.com/|/gh/|/github/)([\w.-]+/inside-cnns)", path.read_text(encoding="utf-8"))
        assert set(found) <= {owner_and_name}, path


IDS = [f"A{n}" for n in range(1, 22) if n != 11] + [f"B{n}" for n in range(1, 19)]
IDS += ["C1", "C2", "C3", "C4", "C5a", "C5b", "C5c", "C6", "C7", "C8", "C9"] + [f"D{n}" for n in range(1, 33)]
IDS += [f"E{t}.{n}" for t, last in ((1, 5), (2, 3), (3, 4), (4, 5)) for n in range(1, last + 1)]


def entries() -> list[dict]:
    data = book.coursework()
    items = [entry for document in data["documents"] for entry in document["items"].values()]
    return items + list(data["claims"].values())


def test_coursework_lists_every_item_once():
    text = (book.BOOK / "coursework.yml").read_text(encoding="utf-8")
    assert re.findall(r"^ {6}([A-E][\w.]+):", text, re.M) == IDS
    assert list(book.coursework()["claims"]) == list(range(1, 22))
    points = [e["points"] for e in book.coursework()["documents"][-1]["items"].values()]
    assert sum(points) == 38


def test_coursework_entries_are_whole_and_planned_only_while_unwritten():
    written = {number(path) for path in book.CHAPTERS}
    for entry in entries():
        assert entry.get("task") or entry.get("claim")
        if "planned" in entry:
            assert entry["planned"] in book.coursework()["chapters"]
            assert entry["planned"] not in written, f"Chapter {entry['planned']} is written: {entry}"
        else:
            path = book.ROOT / f"{entry['page']}.ipynb"
            assert {entry["section"], *entry.get("also", ())} <= set(book.slugs(path)), entry


def test_each_claim_is_met_by_a_slip_in_its_section():
    for n, claim in book.coursework()["claims"].items():
        if "page" in claim:
            text = book.section(book.ROOT / f"{claim['page']}.ipynb", claim["section"])
            assert "> **A common slip.**" in text, f"claim {n} is not met in {claim['page']}#{claim['section']}"


@each_page
def test_nothing_is_left_to_do(path):
    text = book.prose(path) if path.suffix == ".md" else "\n".join(cell.source for cell in book.cells(path))
    assert not re.search(r"\b(?:XXX|TODO|FIXME|TBD)\b", text)
