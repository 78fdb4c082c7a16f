"""Drawn scenes: the same for a seed, and true to what they say of themselves."""

import numpy as np
import pytest
import torch

from helpers.scenes import COLOURS, PLACES, RADIUS, SHAPES, SIZES, scenes


@pytest.fixture(scope="module")
def some():
    return scenes(400, size=64, seed=5)


def test_the_same_for_a_seed(some):
    again, other = scenes(400, size=64, seed=5), scenes(400, size=64, seed=6)
    assert torch.equal(some.images, again.images) and some.captions == again.captions
    assert not torch.equal(some.images, other.images)


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_shapes_and_types(size):
    drawn = scenes(30, size=size)
    assert drawn.images.shape == (30, 3, size, size) and drawn.images.dtype == torch.uint8
    assert drawn.masks.shape == (30, size, size) and drawn.masks.dtype == torch.bool
    assert drawn.boxes.shape == (30, 4) and len(drawn.captions) == 30
    assert torch.bincount(drawn.labels).tolist() == [3] * 10


def test_boxes_are_tight(some):
    for mask, (x0, y0, x1, y1) in zip(some.masks, some.boxes.tolist(), strict=True):
        assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
        for edge in (mask[y0, x0:x1], mask[y1 - 1, x0:x1], mask[y0:y1, x0], mask[y0:y1, x1 - 1]):
            assert edge.any()


def test_shapes_lie_inside_the_picture(some):
    border = torch.ones(64, 64, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    cut = (some.masks & border).flatten(1).sum(1)
    assert cut.max() <= 4  # a tip may touch the border, no side is cut off


def test_captions_say_class_colour_and_place(some):
    size = 64
    for label, caption, box, mask, image in zip(
        some.labels, some.captions, some.boxes.tolist(), some.masks, some.floats(), strict=True
    ):
        how_large, colour, name = caption.split(" at the ")[0].split()[1:]
        assert name == some.classes[label] and how_large in SIZES
        seen = image[:, mask].mean(1).numpy()
        assert np.abs(seen - np.array(COLOURS[colour])).max() < 0.35
        place = caption.split(" at the ")[1].split(",")[0]
        row, column = next((r, c) for r, line in enumerate(PLACES) for c, word in enumerate(line) if word == place)
        margin = 0.5 * RADIUS[1] * size  # a shape's box need not be centred on the shape's own centre
        for low, high, third in ((box[0], box[2], column), (box[1], box[3], row)):
            assert third * size / 3 - margin <= (low + high) / 2 <= (third + 1) * size / 3 + margin


def test_masks_show_the_shape():
    """The mask of each class has the area of its shape, whatever the size, place and tilt."""
    u, v = np.meshgrid(np.linspace(-1, 1, 801), np.linspace(-1, 1, 801))
    drawn = scenes(1000, size=128, seed=3)
    areas = {name: inside(u, v).mean() * 4 for name, inside in SHAPES.items()}
    low, high = (r * 128 for r in RADIUS)
    for label, mask in zip(drawn.labels, drawn.masks, strict=True):
        area = areas[drawn.classes[label]]
        assert area * low**2 * 0.9 < mask.sum() < area * high**2 * 1.1


def test_chosen_classes_and_refusals():
    assert scenes(9, classes=["star", "ring", "disc"]).classes == ("star", "ring", "disc")
    with pytest.raises(ValueError, match=r"unknown classes \['dog'\]: choose from arrow"):
        scenes(9, classes=["dog"])
    with pytest.raises(ValueError, match="n must be at least 1 and size at least 16"):
        scenes(0)
    with pytest.raises(ValueError, match="got 5 and 8"):
        scenes(5, size=8)
