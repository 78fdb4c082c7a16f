"""Stored results are read as they were written."""

import pytest

from helpers import results


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    (tmp_path / "runs.csv").write_text('source,seed,accuracy\n"a, b",0,0.5\n"a, b",1,0.25\n')
    return tmp_path


def test_numbers_are_numbers_and_text_is_text(folder):
    assert results.table("runs") == [
        {"source": "a, b", "seed": 0, "accuracy": 0.5},
        {"source": "a, b", "seed": 1, "accuracy": 0.25},
    ]


def test_rows_are_chosen_by_column(folder):
    assert [row["accuracy"] for row in results.table("runs", seed=1)] == [0.25]


def test_unknown_name_lists_the_known_ones(folder):
    with pytest.raises(ValueError, match="'sheets'; there are runs"):
        results.table("sheets")


def test_without_the_repository_the_address_serves(folder, monkeypatch):
    asked = []
    text = (folder / "runs.csv").read_bytes()

    class Answer:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self):
            return text

    monkeypatch.setattr(results, "FOLDER", folder / "not there")
    monkeypatch.setattr(results.urllib.request, "urlopen", lambda url, timeout: asked.append(url) or Answer())
    assert len(results.table("runs", seed=0)) == 1
    assert asked == [results.ADDRESS + "runs.csv"]
