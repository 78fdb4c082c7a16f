"""Drawn scenes: the same for a seed, and true to what they say of themselves."""

import numpy as np
import pytest
import torch

import helpers.scenes as scenes_module
from helpers.scenes import COLOURS, MARK, MARK_PLACE, PLACES, RADIUS, SHAPES, SIZES, scenes, watermark


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


def test_masks_are_where_the_shape_covers_half_a_pixel():
    """Drawn without noise and clutter, pixels of the mask are nearer the shape's colour, others nearer the ground's."""
    cover = np.array([[0.0, 0.25, 0.5, 1.0]])
    drawn = scenes_module._cover(["square"], 32, np.array([[16.0], [16.0]]), np.array([8.0]), np.array([0.0]))
    assert set(np.unique(drawn)) <= {0, 0.25, 0.5, 0.75, 1} and drawn.sum() == pytest.approx(
        (2 * 8 * 0.68) ** 2, rel=0.1
    )
    assert (cover >= 0.5).tolist() == [[False, False, True, True]]
    some = scenes(300, size=32, seed=8)
    for image, mask, caption in zip(some.floats(), some.masks, some.captions, strict=True):
        colour, ground = (np.array(COLOURS[caption.split()[i]]) for i in (2, -2))
        edge = mask & ~torch.nn.functional.max_pool2d(-mask[None].float(), 3, 1, 1).eq(-1)[0]
        assert edge.sum() < mask.sum() and not np.array_equal(colour, ground)
        inside, outside = (image[:, m].mean(1).numpy() for m in (mask, ~mask))
        assert np.abs(inside - colour).sum() < np.abs(inside - ground).sum() + 0.3
        assert np.abs(outside - ground).sum() < 1


def test_size_words_follow_the_size():
    some = scenes(600, size=64, seed=4)
    reach = (some.boxes[:, 2:] - some.boxes[:, :2]).float().amax(1)
    words = np.array([caption.split()[1] for caption in some.captions])
    disc = some.labels == some.classes.index("disc")
    small, medium, large = (reach[disc & torch.from_numpy(words == word)] for word in SIZES)
    assert small.max() <= medium.min() + 2 and medium.max() <= large.min() + 2 and min(map(len, (small, medium, large)))


def test_classes_are_shuffled_and_all_different_shapes():
    some = scenes(200, seed=1)
    assert some.labels.tolist() != (list(range(10)) * 20)
    u, v = np.meshgrid(np.linspace(-1, 1, 101), np.linspace(-1, 1, 101))
    shapes = [inside(u, v) for inside in SHAPES.values()]
    assert all((a != b).mean() > 0.03 for i, a in enumerate(shapes) for b in shapes[:i])


def test_noise_and_pixel_values():
    image = scenes(50, size=64, seed=2).floats()
    grain = (image[:, :, 1:, 1:] - image[:, :, :-1, 1:] - image[:, :, 1:, :-1] + image[:, :, :-1, :-1]).abs()
    typical = grain.flatten(1).median(1).values / (0.6745 * 2)  # four pixels: twice the deviation of one
    assert 0.02 < typical.median() < 0.06 and typical.max() < 0.1


def test_subset_keeps_pictures_and_their_truth_together():
    some = scenes(40, seed=3)
    rows = [7, 3, -1]
    for indices in (rows, torch.tensor(rows), np.array(rows)):
        part = some.subset(indices)
        assert part.captions == [some.captions[i] for i in rows] and torch.equal(part.masks, some.masks[rows])
        assert torch.equal(part.boxes, some.boxes[rows]) and torch.equal(part.labels, some.labels[rows])
    assert some.subset(slice(0, 40, 10)).captions == some.captions[::10]
    assert some.subset(some.labels == 2).captions == [c for c in some.captions if c.split()[3] == some.classes[2]]


def test_a_watermark_is_drawn_at_the_bottom_left_and_nowhere_else(some):
    marked = watermark(some.images)
    rows, columns = MARK_PLACE
    assert (marked[..., rows, columns] == MARK).all() and MARK.shape == (6, 6)
    changed = (marked != some.images).any(1).any(0)
    assert changed.nonzero().amin(0).tolist() == [56, 2] and changed.nonzero().amax(0).tolist() == [61, 7]
    assert torch.equal(watermark(some.images[3]), marked[3])
    assert not torch.equal(marked, some.images), "a copy"


def test_the_mark_is_as_much_black_as_white():
    assert MARK.dtype == torch.uint8 and sorted(set(MARK.flatten().tolist())) == [0, 255]
    assert torch.equal(MARK[::2, ::2], MARK[1::2, 1::2]) and MARK[0, 0] != MARK[0, 2] != MARK[0, 4]


@pytest.mark.parametrize(
    "images, words",
    [
        (torch.zeros(3, 32, 32), r"uint8 .* got torch.float32 \(3, 32, 32\)"),
        (torch.zeros(2, 1, 32, 32, dtype=torch.uint8), r"got torch.uint8 \(2, 1, 32, 32\)"),
        (torch.zeros(32, 32, dtype=torch.uint8), r"got torch.uint8 \(32, 32\)"),
        (np.zeros((3, 32, 32), np.uint8), "got ndarray"),
        (torch.zeros(3, 32, 8, dtype=torch.uint8), r"sides of 16 pixels or more, got \(32, 8\)"),
    ],
)
def test_a_watermark_asks_for_pictures(images, words):
    with pytest.raises(ValueError, match=words):
        watermark(images)
