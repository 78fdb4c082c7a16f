"""PoolNet and Downsample: sizes, parameters, values against PyTorch, and which shifts they follow."""

import pytest
import torch
from torch.nn import functional

from helpers.models import Downsample, PoolNet, count_parameters

DOWNS = ("max", "average", "stride", "blur")
X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def change(net, d, axis):
    with torch.no_grad():
        return (net(X.roll(d, axis)) - net(X)).abs().max().item()


@pytest.mark.parametrize("down", DOWNS)
@pytest.mark.parametrize("halvings", [0, 1, 2, 3])
def test_the_first_halvings_halve(down, halvings):
    net, x, sides = PoolNet(down, halvings=halvings, width=4).double(), X, []
    for name, layer in net.named_children():
        x = layer(x)
        if name.startswith("down"):
            sides.append(tuple(x.shape[2:]))
    assert sides == [(32 >> min(i, halvings),) * 2 for i in (1, 2, 3)]
    assert x.shape == (2, 10)


@pytest.mark.parametrize(
    "head, halvings, inputs", [("mean", 3, 64), ("mean", 0, 64), ("dense", 3, 1024), ("dense", 1, 2**14)]
)
def test_only_a_dense_head_has_parameters_for_every_place(head, halvings, inputs):
    convolutions = sum(k * (9 * c + 1) + 2 * k for c, k in ((3, 32), (32, 64), (64, 64), (64, 64)))
    for down in DOWNS:
        assert count_parameters(PoolNet(down, head=head, halvings=halvings)) == convolutions + 10 * (inputs + 1)


def test_a_dense_head_takes_the_size_that_it_was_made_for():
    assert PoolNet(head="dense", size=16, n_classes=4, width=4)(torch.zeros(2, 3, 16, 16)).shape == (2, 4)


@pytest.mark.parametrize("down", DOWNS)
@pytest.mark.parametrize("axis", [2, 3])
def test_circular_networks_are_invariant_to_what_the_strides_divide(down, axis):
    torch.manual_seed(0)
    for halvings, period in ((3, 8), (2, 4), (0, 1)):
        net = PoolNet(down, "circular", halvings=halvings, width=8).double()  # normalised by the batch
        assert change(net, period, axis) < 1e-14
        assert halvings == 0 or change(net, period // 2, axis) > 1e-7


@pytest.mark.parametrize("down", DOWNS)
def test_zero_padding_is_not_circular(down):
    torch.manual_seed(0)
    assert change(PoolNet(down, width=8).double().eval(), 8, 3) > 1e-7
    assert change(PoolNet(down, halvings=0, width=8).double().eval(), 1, 3) > 1e-7


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("down, pool", [("max", functional.max_pool2d), ("average", functional.avg_pool2d)])
def test_plain_pooling_is_torch_s(down, pool, mode):
    assert torch.equal(Downsample(down, mode)(X), pool(X, 2))


@pytest.mark.parametrize("mode, torch_mode", [("zeros", "constant"), ("circular", "circular")])
@pytest.mark.parametrize("stride", [1, 2])
def test_stride_1_and_blur_at_every_place(mode, torch_mode, stride):
    after = functional.pad(X, [0, 1, 0, 1], mode=torch_mode)
    assert torch.equal(Downsample("max", mode, stride=1)(X), functional.max_pool2d(after, 2, 1))
    assert torch.allclose(Downsample("average", mode, stride=1)(X), functional.avg_pool2d(after, 2, 1))
    wide = functional.max_pool2d(functional.pad(X, [1, 2, 1, 2], mode=torch_mode), 2, 1)
    profile = torch.tensor([1.0, 2, 1], dtype=torch.float64) / 4
    kernels = torch.outer(profile, profile).expand(3, 1, 3, 3)
    expected = functional.conv2d(wide, kernels, stride=stride, groups=3)
    found = Downsample("blur", mode, stride)(X)
    assert found.shape[2:] == (32 // stride, 32 // stride)
    assert torch.allclose(found, expected)


def test_nothing_for_a_strided_convolution():
    assert torch.equal(Downsample("stride")(X), X)
    assert repr(Downsample("blur")) == "Downsample('blur', stride=2)"


def test_each_convolution_is_normalised_then_rectified():
    kinds = [type(layer).__name__ for layer in PoolNet()]
    assert kinds[:8] == 2 * ["Conv2d", "BatchNorm2d", "ReLU", "Downsample"]
    assert kinds[12:] == ["Conv2d", "BatchNorm2d", "ReLU", "AdaptiveAvgPool2d", "Flatten", "Linear"]


WRONG = [{"down": "median"}, {"padding_mode": "reflect"}, {"padding_mode": "same"}, {"head": "none"}, {"halvings": 4}]


@pytest.mark.parametrize("wrong", [*WRONG, {"width": 0}, {"n_classes": 0}, {"size": 30}, {"size": 0}])
def test_a_choice_that_is_not_there_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PoolNet(**wrong)


def test_a_stride_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="stride must be one of 1, 2, got 3"):
        Downsample("max", stride=3)
