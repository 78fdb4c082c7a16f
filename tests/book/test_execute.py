"""`tools/execute.py` stores what ran well, whole, and refuses the rest by naming the cell."""

from __future__ import annotations

import sys

import nbformat
import pytest
from chapters import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import execute

CODE, TEXT = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell


def stored(path, *cells) -> bytes:
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)
    return path.read_bytes()


def test_outputs_are_stored_and_solutions_folded(tmp_path):
    path = tmp_path / "01_x.ipynb"
    stored(path, TEXT("# 1 X"), CODE("x = 6"), CODE("# @title Solution 1.1\nx * 7", metadata={"tags": ["solution"]}))
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    assert execute.execute(path, timeout=60) == []
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    solution = notebook.cells[2]
    assert solution.outputs[0].data["text/plain"] == "42"
    assert [cell.id for cell in notebook.cells] == ids
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2]
    assert set(solution.metadata.tags) == {"solution", "hide-cell"}
    assert solution.metadata.jupyter.source_hidden and solution.metadata.cellView == "form"
    assert solution.metadata.mystnb.code_prompt_show == "Solution"
    assert notebook.metadata.kernelspec.name == "python3"
    again = path.read_bytes()
    assert execute.execute(path, timeout=60) == [] and path.read_bytes() == again, "a second run changes nothing"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import warnings\nwarnings.warn('mind')", "mind"),
        ("import os\nos.getcwd()", "path of this machine"),
        ("import sys\nprint(sys.prefix + '/lib/site-packages/x.py')", "path of this machine"),
        ("'x' * 2_100_000", "MB"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_must_not_be_stored_is_refused(tmp_path, source, said):
    path = tmp_path / "01_x.ipynb"
    before = stored(path, CODE("x = 1"), CODE(source))
    found = execute.execute(path, timeout=60)
    assert said in " ".join(found)
    assert source.splitlines()[0][:20] in " ".join(found) or "cell 1" in " ".join(found)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_announced_exception_is_stored(tmp_path):
    path = tmp_path / "01_x.ipynb"
    stored(path, CODE("raise ValueError('kernel too large')", metadata={"tags": ["raises-exception"]}), CODE("2"))
    assert execute.execute(path, timeout=60) == []
    assert nbformat.read(path, as_version=4).cells[0].outputs[0].ename == "ValueError"


def test_an_unknown_chapter_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path)
    with pytest.raises(SystemExit, match="77"):
        execute.chapters(["77"])
