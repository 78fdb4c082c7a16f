"""Stored results are read as they were written."""

from pathlib import Path

import numpy as np
import pytest
import tomllib
import torch

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


def test_unknown_columns_are_named(folder):
    with pytest.raises(ValueError, match="runs has no column sed; it has source, seed, accuracy"):
        results.table("runs", sed=1)


def test_arrays_are_tensors_of_the_stored_type(folder):
    np.savez(folder / "logits.npz", z=np.ones((2, 3), np.float16), y=np.arange(2, dtype=np.uint8))
    found = results.arrays("logits")
    assert set(found) == {"z", "y"} and found["z"].dtype == torch.float16 and found["y"].tolist() == [0, 1]
    with pytest.raises(ValueError, match="no arrays named 'runs'; there are logits"):
        results.arrays("runs")


def test_the_stored_results_travel_with_the_package():
    """pyproject.toml maps the folder of the experiments into the package, so that Colab has the results."""
    settings = tomllib.loads((results.REPOSITORY.parent / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert settings["package-dir"] == {"helpers.experiments": results.REPOSITORY.name}
    folders = {p.parent.relative_to(results.REPOSITORY.parent) for p in Path(results.__file__).parent.rglob("*.py")}
    assert {str(f).replace("/", ".") for f in folders} <= set(settings["packages"])
    assert {"*.csv", "*.npz"} <= set(settings["package-data"]["*"]) and len(list(results.REPOSITORY.glob("*.csv"))) >= 3
