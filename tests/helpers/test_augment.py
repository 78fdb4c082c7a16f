"""Colour jitter, cutout, mixup, normalisation: each picture draws for itself, and nothing else changes.

Flips and crops are tested in test_models_train.py, but for what Chapter 7 added.
"""

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import v2

from helpers import augment

SAME = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(7)).expand(200, 3, 12, 16)
CHANGES = {
    "flip": augment.random_flip,
    "vertical flip": lambda x, g=None: augment.random_flip(x, g, vertical=True),
    "crop": augment.random_crop,
    "flip and crop": augment.flip_and_crop,
    "colour": augment.colour_jitter,
    "cutout": augment.cutout,
}
each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def kinds(x):
    """How many different pictures a batch holds."""
    return len(torch.unique(x.flatten(1), dim=0))


@each_change
def test_each_picture_draws_for_itself_and_the_batch_given_stays(change):
    before = SAME.clone()
    assert kinds(change(SAME, seeded())) >= (2 if change in (CHANGES["flip"], CHANGES["vertical flip"]) else 20)
    assert torch.equal(SAME, before) and change(SAME).shape == SAME.shape


@each_change
def test_a_generator_repeats_the_draw_and_the_global_one_is_left_alone(change):
    state = torch.get_rng_state()
    first, again, other = (change(SAME, seeded(s)) for s in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@each_change
def test_an_empty_batch_and_one_picture(change):
    assert change(SAME[:0], seeded()).shape == (0, 3, 12, 16)
    assert change(SAME[:1], seeded()).shape == (1, 3, 12, 16)


def test_a_transform_that_draws_once_for_the_batch_fails_the_test_above():
    torch.manual_seed(0)
    assert kinds(v2.RandomCrop((12, 16), padding=4)(SAME.contiguous())) == 1


@each_change
def test_one_picture_is_not_a_batch(change):
    with pytest.raises(ValueError, match=r"a batch \(N, C, H, W\), got shape \(3, 12, 16\)"):
        change(SAME[0])


@each_change
def test_whole_numbers_are_not_taken_for_floats(change):
    with pytest.raises(ValueError, match="got torch.uint8: ImageSet.floats"):
        change(torch.zeros(2, 3, 12, 16, dtype=torch.uint8))


def test_what_is_not_a_change_asks_for_floats_too():
    pixels = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    for function in (augment.normalise, augment.grey, lambda x: augment.mixup(x, torch.tensor([0, 1]), 2)):
        with pytest.raises(ValueError, match="got torch.uint8: ImageSet.floats"):
            function(pixels)
    for other in (pixels.float(), pixels[0], pixels[:0]):
        with pytest.raises(ValueError, match="images must be uint8"):
            augment.channel_statistics(other)


def test_vertical_flips_turn_rows_and_only_rows():
    both = augment.random_flip(SAME, seeded(), vertical=True)
    turned = (both == SAME.flip(2)).flatten(1).all(1)
    assert 70 < turned.sum() < 130 and torch.equal(both[~turned], SAME[~turned])


def test_crops_of_pictures_that_are_not_square_take_rows_and_columns_apart():
    x = (torch.arange(12)[:, None] * 100.0 + torch.arange(16) + 1).expand(300, 1, 12, 16)
    cropped = augment.random_crop(x, seeded(), 2)
    places = set()
    for picture in cropped[:, 0]:
        matches = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.equal(picture, F.pad(x[0, 0], [2] * 4)[top : top + 12, left : left + 16])
        ]
        places.add(matches[0])
    assert len(places) == 25


def test_colour_jitter_does_nothing_without_strength_and_stays_in_range():
    torch.testing.assert_close(augment.colour_jitter(SAME, seeded(), strength=0), SAME)
    jittered = augment.colour_jitter(SAME, seeded(), strength=1)
    assert jittered.min() >= 0 and jittered.max() <= 1
    for strength in (-0.1, 1.5):
        with pytest.raises(ValueError, match="strength must lie between 0 and 1"):
            augment.colour_jitter(SAME, strength=strength)


@pytest.mark.parametrize("channels", [1, 4])
def test_colour_jitter_refuses_what_is_not_rgb(channels):
    with pytest.raises(ValueError, match=f"3 channels, got {channels}"):
        augment.colour_jitter(torch.rand(2, channels, 8, 8))


def test_crop_refuses_a_negative_padding():
    with pytest.raises(ValueError, match="padding must be at least 0, got -1"):
        augment.random_crop(SAME, padding=-1)


@pytest.mark.parametrize("y", [[0, 4], [-1, 0], [0]])
def test_mixup_refuses_labels_that_do_not_fit(y):
    with pytest.raises(ValueError, match="2 labels from 0 to 3"):
        augment.mixup(SAME[:2], torch.tensor(y), 4)
    with pytest.raises(ValueError, match="a batch"):
        augment.mixup(SAME[0], torch.tensor(y), 4)


def test_colour_jitter_is_torchvisions_three_steps():
    """With known factors: brightness, contrast about the mean luminance, saturation about the luminance, in order."""
    drawn = torch.rand(3, len(SAME), 1, 1, 1, generator=seeded())
    factors = 1 + 0.4 * (2 * drawn - 1)
    tinted = SAME * torch.tensor([1.0, 0.6, 0.2])[:, None, None]  # its mean luminance is not the mean of its channels
    ours = augment.colour_jitter(tinted, seeded(), strength=0.4)
    for i in (0, 1, 50, 199):
        b, c, s = (f[i].item() for f in factors)
        x = v2.functional.adjust_brightness(tinted[i], b)
        x = v2.functional.adjust_saturation(v2.functional.adjust_contrast(x, c), s)
        torch.testing.assert_close(ours[i], x, atol=2e-3, rtol=0)  # torchvision rounds the luminance's weights
    assert factors.min() < 0.65 and factors.max() > 1.35


def test_grey_weighs_the_channels():
    pure = torch.eye(3)[:, :, None, None]
    assert augment.grey(pure).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])
    assert augment.grey(SAME).shape == (200, 1, 12, 16)


def test_cutout_covers_one_whole_square_anywhere():
    covered = augment.cutout(SAME, seeded(), size=5, fill=-1.0)
    hole = (covered == -1).all(1)
    assert hole.sum((1, 2)).tolist() == [25] * 200
    assert torch.equal(hole.any(2).sum(1), torch.full((200,), 5))
    assert torch.equal(covered.permute(0, 2, 3, 1)[~hole], SAME.permute(0, 2, 3, 1)[~hole])
    tops, lefts = hole.any(2).int().argmax(1), hole.any(1).int().argmax(1)
    assert set(tops.tolist()) == set(range(8)) and set(lefts.tolist()) == set(range(12))
    assert (augment.cutout(SAME, seeded(), size=12)[:, :, :, 4:12] == 0.5).any()
    for size in (0, 13):
        with pytest.raises(ValueError, match="size must lie between 1 and 12"):
            augment.cutout(SAME, size=size)


def test_mixup_blends_pictures_and_labels_in_the_same_shares():
    """Picture k holds the number k everywhere, so that picture and targets can be compared exactly."""
    y = torch.arange(200)
    x = y.float()[:, None, None, None].expand(200, 1, 2, 2)
    mixed, targets = augment.mixup(x, y, 200, seeded())
    torch.testing.assert_close(targets.sum(1), torch.ones(200))
    torch.testing.assert_close(mixed[:, 0, 0, 0], targets @ y.float())
    assert (targets > 0).sum(1).max() == 2
    own = targets[y, y]
    assert own.min() < 0.05 and own.max() > 0.95 and 0.4 < own.mean() < 0.6 and kinds(own[:, None]) > 190
    partners = [(augment.mixup(x, y, 200, seeded(s))[1] - torch.diag(own)).argmax(1) for s in (0, 1)]
    assert len(set(partners[0].tolist())) > 190, "each picture is a partner once"
    assert (partners[0] != partners[1]).float().mean() > 0.9, "drawn anew"
    again = augment.mixup(x, y, 200, seeded())
    assert torch.equal(again[0], mixed) and torch.equal(again[1], targets)


def test_mixup_of_one_picture_is_the_picture():
    mixed, targets = augment.mixup(SAME[:1], torch.tensor([2]), 4)
    torch.testing.assert_close(mixed, SAME[:1])
    assert targets.tolist() == [pytest.approx([0, 0, 1, 0])]


def test_normalise_is_torchvisions():
    mean, std = [0.1, 0.2, 0.3], [0.5, 2.0, 4.0]
    torch.testing.assert_close(augment.normalise(SAME, mean, std), v2.functional.normalize(SAME, mean, std))
    torch.testing.assert_close(augment.normalise(SAME[0], mean, std), augment.normalise(SAME, mean, std)[0])
    torch.testing.assert_close(augment.normalise(SAME), 2 * SAME - 1)
    torch.testing.assert_close(augment.normalise(SAME, 0, 5), SAME / 5)
    for std in (0, [1, 1, -1]):
        with pytest.raises(ValueError, match="std must be positive"):
            augment.normalise(SAME, 0, std)
    for x in (SAME, SAME[:, :1]):
        with pytest.raises(ValueError, match=f"deviations for pictures with {x.shape[1]} channels"):
            augment.normalise(x, [0.5] * (2 if x is SAME else 3), 0.5)


def test_channel_statistics_are_those_of_the_pixels():
    images = torch.randint(256, (50, 3, 6, 5), dtype=torch.uint8, generator=seeded())
    images[:, 1] //= 3
    mean, std = augment.channel_statistics(images)
    x = images.double() / 255
    assert mean == pytest.approx(x.mean((0, 2, 3)).tolist()) and isinstance(mean, list)
    assert std == pytest.approx(x.std((0, 2, 3), correction=0).tolist())
    standard = augment.normalise(x, mean, std)
    torch.testing.assert_close(standard.mean((0, 2, 3)), torch.zeros(3).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(standard.std((0, 2, 3), correction=0), torch.ones(3).double())
