"""The pictures of Caltech-101 that the book's ResNet-18 has not learnt from, found without decoding all others."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import data
from helpers.weights import photographs

COUNTS = {"Faces": 11, "ant": 7, "butterfly": 13, "kangaroo": 9, "sunflower": 10}


@pytest.fixture
def caltech(tmp_path, monkeypatch):
    """A small Caltech-101 whose every picture is another colour."""
    monkeypatch.setenv("INSIDE_CNNS_HOME", str(tmp_path))
    folder, number = tmp_path / "caltech101" / "101_ObjectCategories", 0
    for name, count in {**COUNTS, "BACKGROUND_Google": 3}.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.full((20, 20, 3), (number, 3 * number % 256, 7), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"image_{i:04}.png")
            number += 1
    return folder


def colours(pictures):
    return sorted(pictures.images[:, 0, 0, 0].tolist())


@pytest.mark.parametrize("classes", [["kangaroo"], ["sunflower", "butterfly"], list(COUNTS)])
def test_it_is_the_split_of_the_training(caltech, classes):
    whole = data.caltech101(size=16)
    expected = whole.split(round(0.8 * len(whole)))
    found = photographs.kept_and_held_out(classes, 16)
    for part, all_classes in zip(found, expected):
        wanted = torch.tensor([whole.classes.index(name) for name in classes])
        rows = torch.isin(all_classes.labels, wanted)
        assert colours(part) == colours(all_classes.subset(rows)) and part.classes == tuple(classes)
    assert len(found[0]) + len(found[1]) == sum(COUNTS[name] for name in classes)


def test_counts_are_those_of_the_folders(caltech):
    assert data.caltech101_counts() == COUNTS


def test_drawn_scenes_are_split_in_the_same_proportion(tmp_path, monkeypatch):
    monkeypatch.setenv("INSIDE_CNNS_HOME", str(tmp_path))
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "1")
    kept, held_out = photographs.kept_and_held_out(["kangaroo", "sunflower"], 16)
    assert (len(kept), len(held_out)) == (128, 32) and len(kept.classes) == 2
    with pytest.raises(ValueError, match="no Caltech-101"):
        data.caltech101_counts()
