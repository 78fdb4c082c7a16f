"""Maps judged: the pointing game, insertion and deletion, with areas worked by hand."""

import pytest
import torch
from explain_cases import normal, tiny
from torch import nn

from helpers.explain import insertion_deletion, pointing_game

MASK = torch.tensor([[[0, 0, 1], [0, 1, 1]]]).bool()


@pytest.mark.parametrize(
    "values, expected",
    [
        ([[0, 1, 2], [3, 9, 4]], 1.0),
        ([[9, 1, 2], [3, 8, 4]], 0.0),
        ([[9, 1, 2], [3, 9, 4]], 1 / 2),
        ([[9, 9, 9], [3, 8, 4]], 1 / 3),
        ([[-5, -5, -5], [-5, -5, -5]], 3 / 6),  # the same everywhere: the object's share of the picture
        ([[-1, -2, -3], [-4, -5, -6]], 0.0),
    ],
)
def test_pointing_by_hand(values, expected):
    assert pointing_game(torch.tensor([values]).float(), MASK).tolist() == pytest.approx([expected])


def test_each_map_points_for_itself():
    maps = torch.eye(4).view(4, 2, 2) * torch.tensor([4.0, 0.1, 2, 1]).view(4, 1, 1) - 1  # each has its own largest
    masks = torch.tensor([[True, False], [True, False]]).expand(4, 2, 2)
    assert pointing_game(maps, masks).tolist() == [1, 0, 1, 0]
    assert pointing_game(maps, torch.zeros(4, 2, 2).bool()).tolist() == [0, 0, 0, 0]
    assert pointing_game(maps.double().requires_grad_(), masks).tolist() == [1, 0, 1, 0]


def test_pointing_resamples_the_map():
    # A 2 x 2 map over 8 x 8 pixels: the strongest corner's centre is at 1.5; beyond it the map is flat, 2 x 2 pixels.
    maps, mask = torch.tensor([[[9.0, 0], [0, 0]]]), torch.zeros(1, 8, 8).bool()
    mask[0, :2, :1] = True
    assert pointing_game(maps, mask).tolist() == [1 / 2]
    mask[0] = True
    mask[0, :2, :2] = False
    assert pointing_game(maps, mask).tolist() == [0]


@pytest.mark.parametrize(
    "maps, masks, message",
    [
        (torch.full((1, 2, 3), float("nan")), MASK, "maps must not hold nan"),
        (torch.zeros(2, 3), MASK, r"maps must be \(N, h, w\) for 1 pictures, got \(2, 3\)"),
        (torch.zeros(2, 2, 3), MASK, r"maps must be \(N, h, w\) for 1 pictures, got \(2, 2, 3\)"),
        (torch.zeros(1, 2, 3), MASK.float(), r"masks must be bool \(N, H, W\), got float32 \(1, 2, 3\)"),
        (torch.zeros(1, 2, 3), MASK[:, None], r"masks must be bool \(N, H, W\), got bool \(1, 1, 2, 3\)"),
        (torch.zeros(1, 2, 3), MASK.numpy(), r"masks must be bool \(N, H, W\), got ndarray"),
        (torch.zeros(1, 2, 3).numpy(), MASK, r"maps must be \(N, h, w\) for 1 pictures, got ndarray"),
    ],
)
def test_pointing_refuses(maps, masks, message):
    with pytest.raises(ValueError, match=message):
        pointing_game(maps, masks)


# Insertion and deletion


class Sum(nn.Module):
    """Scores (the sum of the pixels under a mask, 0)."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", torch.as_tensor(mask).double())
        self.seen = []

    def forward(self, x):
        self.seen.append(x.clone())
        total = (x * self.mask).flatten(1).sum(1)
        return torch.stack([total, 0 * total], 1)


def test_by_hand():
    # Pixels 1 2 / 3 4, of which 1, 3 and 4 count (8 in all); the map's order: 4, 1, 2, 3.
    # Inserted: 0, 4, 5, 5, 8: area (0/2 + 4 + 5 + 5 + 8/2) / 4 = 4.5.
    # Deleted: 8, 4, 3, 3, 0: area (8/2 + 4 + 3 + 3 + 0/2) / 4 = 3.5.
    x, maps = torch.tensor([[[[1.0, 2], [3, 4]]]]).double(), torch.tensor([[[0.5, 0.2], [-1, 7]]])
    made = insertion_deletion(Sum([[1, 0], [1, 1]]), x, lambda output: output[:, 0], maps, n_steps=4)
    assert made.share.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert made.insertion.tolist() == [[0, 4, 5, 5, 8]] and made.deletion.tolist() == [[8, 4, 3, 3, 0]]
    assert made.insertion_area.tolist() == [4.5] and made.deletion_area.tolist() == [3.5]


def test_from_the_baseline_to_the_picture_in_the_order_of_the_map():
    x, baseline, maps = normal(2, 3, 4, 5), normal(1, 3, 1, 1, seed=2), normal(2, 4, 5, seed=3)
    model = Sum(torch.ones(4, 5))
    insertion_deletion(model, x, lambda output: output[:, 0], maps, 20, baseline)
    inserted, deleted = model.seen[::2], model.seen[1::2]
    assert torch.equal(inserted[0], baseline.expand_as(x)) and torch.equal(inserted[-1], x)
    assert torch.equal(deleted[0], x) and torch.equal(deleted[-1], baseline.expand_as(x))
    for step in range(21):
        assert torch.equal(inserted[step] + deleted[step], x + baseline)  # what is in here is out there
        for i in range(2):
            there = (inserted[step][i] == x[i]).all(0)
            assert there.sum() == step
            assert maps[i][there].min() >= maps[i][~there].max() if 0 < step < 20 else True


def test_the_best_order_has_the_largest_area_and_the_reverse_the_smallest():
    x, target = normal(1, 1, 6, 6).abs(), lambda output: output[:, 0]
    model, best = Sum(torch.ones(6, 6)), insertion_deletion(Sum(torch.ones(6, 6)), x, target, x[:, 0])
    worst, other = (insertion_deletion(model, x, target, maps) for maps in (-x[:, 0], normal(1, 6, 6, seed=4)))
    assert best.insertion_area > other.insertion_area > worst.insertion_area
    assert best.deletion_area < other.deletion_area < worst.deletion_area


def test_classes_are_watched_as_probabilities_each_picture_its_own():
    model, x, maps, classes = tiny(), normal(3, 3, 8, 6), normal(3, 8, 6, seed=1), [4, 0, 2]
    made = insertion_deletion(model, x, classes, maps, 5)
    with torch.no_grad():
        ends = [model(z.clone()).softmax(1)[torch.arange(3), classes] for z in (x, 0 * x)]
    torch.testing.assert_close(made.insertion[:, [-1, 0]], torch.stack(ends, 1))
    torch.testing.assert_close(made.deletion[:, [0, -1]], torch.stack(ends, 1))
    rows = torch.arange(3)
    same = insertion_deletion(model, x, lambda output: output.softmax(1)[rows, classes], maps, 5)
    assert torch.equal(same.insertion, made.insertion) and torch.equal(same.deletion, made.deletion)
    assert made.insertion.shape == (3, 6) and made.insertion_area.shape == (3,)
    held = Dict(model)
    assert torch.equal(
        insertion_deletion(held, x, lambda o: o["z"][:, 1], maps, 2).insertion[:, 2], model(x.clone())[:, 1]
    )
    with pytest.raises(ValueError, match="a class index needs an output"):
        insertion_deletion(held, x, 1, maps, 2)


class Dict(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return {"z": self.model(x)}


def test_coarse_maps_are_resampled_and_the_first_of_equal_pixels_comes_first():
    x = torch.ones(1, 1, 4, 4).double()
    model = Sum(torch.ones(4, 4))
    insertion_deletion(model, x, lambda output: output[:, 0], torch.tensor([[[0.0, 1.0]]]), n_steps=4)
    assert model.seen[2].tolist() == [[[[0, 0, 0, 1]] * 4]], "the right column first"
    large, model = torch.ones(1, 1, 32, 32).double(), Sum(torch.ones(32, 32))
    insertion_deletion(model, large, lambda output: output[:, 0], torch.zeros(1, 32, 32), n_steps=4)
    assert (model.seen[2][0, 0].sum(1) == torch.tensor([32.0] * 8 + [0] * 24)).all()


@pytest.mark.parametrize(
    "maps, settings, message",
    [
        (torch.full((2, 3, 3), float("nan")), {}, "maps must not hold nan"),
        (torch.zeros(1, 3, 3), {}, r"maps must be \(N, h, w\) for 2 pictures, got \(1, 3, 3\)"),
        (torch.zeros(2, 1, 3, 3), {}, r"maps must be \(N, h, w\) for 2 pictures"),
        (torch.zeros(2, 3, 3), {"n_steps": 0}, "n_steps must be a whole number of at least 1, got 0"),
        (torch.zeros(2, 3, 3), {"baseline": torch.zeros(3, 1, 1, 1)}, r"a baseline of shape \(3, 1, 1, 1\) does not"),
        (torch.zeros(2, 3, 3), {"target": lambda output: output.sum()}, "one number for each of the 2 pictures, got"),
        (torch.zeros(2, 3, 3), {"target": 5}, "class indices must lie between 0 and 4, got 5"),
    ],
)  # fmt: skip
def test_refusals(maps, settings, message):
    with pytest.raises(ValueError, match=message):
        insertion_deletion(tiny(), normal(2, 3, 8, 6), **({"target": 1, "maps": maps} | settings))
