"""Chapter 9's network, and sets with given class counts."""

import pytest
import torch
from torch import nn

from helpers import data
from helpers.imageset import ImageSet
from helpers.models import HeritageNet, count_parameters
from helpers.scenes import Scenes, scenes


def kinds(model):
    return [type(layer).__name__ for layer in model]


def test_it_is_the_network_of_the_coursework():
    net = HeritageNet()
    block = ["Conv2d", "BatchNorm2d", "ReLU"]
    dense = ["Dropout", "Linear", "ReLU"]
    assert kinds(net) == 4 * [*block, "MaxPool2d"] + block + ["Flatten"] + 3 * dense + ["Dropout", "Linear"]
    convolutions = [layer for layer in net if isinstance(layer, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [32, 64, 128, 256, 512]
    assert {(c.kernel_size, c.stride, c.padding) for c in convolutions} == {((3, 3), (1, 1), (1, 1))}
    assert [n.num_features for n in net if isinstance(n, nn.BatchNorm2d)] == [32, 64, 128, 256, 512]
    assert {(p.kernel_size, p.stride) for p in net if isinstance(p, nn.MaxPool2d)} == {(2, 2)}
    assert [d.p for d in net if isinstance(d, nn.Dropout)] == [0.25] * 4
    units = [(d.in_features, d.out_features) for d in net if isinstance(d, nn.Linear)]
    assert units == [(2048, 2048), (2048, 1024), (1024, 512), (512, 10)]


@pytest.mark.parametrize(
    "size, inputs", [(16, 512), (31, 512), (32, 2048), (64, 8192), (128, 32768), ((33, 50), 2 * 3 * 512)]
)
def test_sizes(size, inputs):
    net = HeritageNet(n_classes=3, in_channels=1, size=size).eval()
    assert net.fc1.in_features == inputs
    h, w = size if isinstance(size, tuple) else (size, size)
    assert net(torch.rand(1, 1, h, w)).shape == (1, 3)


def test_without_normalisation_and_dropout():
    net = HeritageNet(dropout=0.5, batch_norm=False)
    assert "BatchNorm2d" not in kinds(net) and {d.p for d in net if isinstance(d, nn.Dropout)} == {0.5}
    assert count_parameters(HeritageNet()) - count_parameters(net) == 2 * (32 + 64 + 128 + 256 + 512)


@pytest.mark.parametrize("options, words", [
    ({"size": 15}, "size must be at least 16"), ({"size": (64, 8)}, "size must be at least 16"),
    ({"size": 32.5}, "size must be an int"), ({"dropout": 1}, "below 1, got 1"), ({"dropout": -0.1}, "at least 0"),
])  # fmt: skip
def test_network_refuses(options, words):
    with pytest.raises(ValueError, match=words):
        HeritageNet(**options)


def test_heritage_counts():
    assert len(data.HERITAGE_COUNTS) == 10 and sum(data.HERITAGE_COUNTS.values()) == 10_235
    assert (min(data.HERITAGE_COUNTS.values()), max(data.HERITAGE_COUNTS.values())) == (407, 1919)


def numbered(counts):
    """A set whose k-th class has counts[k] pictures, each with its own number as pixels."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    images = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 2, 2)
    return ImageSet(images, labels, tuple("abcdef"[: len(counts)]), "numbers")


def test_draw_takes_the_counts_and_leaves_the_rest():
    whole = numbered([6, 3, 5])
    chosen, rest = whole.draw([2, 3, 0])
    assert torch.bincount(chosen.labels, minlength=3).tolist() == [2, 3, 0]
    assert torch.bincount(rest.labels, minlength=3).tolist() == [4, 0, 5]
    numbers = [s.images[:, 0, 0, 0].tolist() for s in (chosen, rest)]
    assert sorted(numbers[0] + numbers[1]) == list(range(14)) and numbers[0] == sorted(numbers[0])
    assert torch.equal(whole.labels[numbers[0]], chosen.labels)
    assert chosen.classes == whole.classes and chosen.source == "numbers"


def test_draw_is_random_and_repeatable():
    whole = numbered([100, 100])
    first, again, other = (whole.draw([50, 5], seed)[0].images for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(other, whole.draw([50, 5], 2)[0].images)
    assert torch.equal(first, whole.draw(torch.tensor([50, 5]))[0].images)
    assert not torch.equal(first[:50], whole.images[:50])


def test_draw_keeps_what_scenes_know():
    chosen = scenes(40, seed=0).draw([1] * 10)[0]
    assert isinstance(chosen, Scenes) and len(chosen.captions) == 10


@pytest.mark.parametrize("counts, words", [
    ([1, 1], "3 classes but 2 counts"), ([7, 0, 0], "of a there are 6 pictures: 7"),
    ([1, -1, 0], "of b there are 3 pictures: -1"), ([1, 0, 2.5], "whole numbers"), (3, "got 3"),
    ({"a": 1}, "one for each class"),
    (["1", "1", "1"], "whole numbers"), ([1, 1, float("nan")], "whole numbers"), (torch.ones(3), "whole numbers"),
])  # fmt: skip
def test_draw_refuses(counts, words):
    with pytest.raises(ValueError, match=words):
        numbered([6, 3, 5]).draw(counts)
