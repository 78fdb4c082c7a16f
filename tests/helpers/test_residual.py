"""The residual networks for small pictures, against He et al. (2016) and against the formula written out."""

import pytest
import torch
import torch.nn.functional as F

from helpers.models import CifarResNet, count_parameters
from helpers.models.residual import BasicBlock


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
@pytest.mark.parametrize("shortcuts", [True, False])
def test_parameters_are_those_of_the_paper(depth, millions, shortcuts):
    model = CifarResNet(depth, shortcuts=shortcuts)
    assert round(count_parameters(model) / 1e6, 2 if millions < 1 else 1) == millions
    layers = [m for m in model.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(layers) == depth


@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize(("before", "channels", "stride"), [(4, 4, 1), (4, 8, 2), (3, 5, 1), (4, 4, 2)])
def test_a_block_is_its_formula(shortcut, before, channels, stride):
    torch.manual_seed(0)
    block, x = BasicBlock(before, channels, stride, shortcut).double().eval(), torch.randn(2, before, 9, 8).double()
    y = F.conv2d(x, block.conv1.weight, stride=stride, padding=1)
    y = F.conv2d((y / (1 + 1e-5) ** 0.5).relu(), block.conv2.weight, padding=1) / (1 + 1e-5) ** 0.5
    if shortcut:
        y[:, :before] += x[:, :, ::stride, ::stride]
    torch.testing.assert_close(block(x), y.relu())


@pytest.mark.parametrize("shortcuts", [True, False])
def test_a_network_is_its_parts(shortcuts):
    """Its own layers in order, the sizes of its maps, and shortcuts in every block or in none."""
    model, x = CifarResNet(14, 4, shortcuts).eval(), torch.rand(2, 3, 32, 32)
    y, shapes = F.relu(model.norm(model.conv(x))), []
    for stage in (model.stage1, model.stage2, model.stage3):
        for block in stage:
            assert block.shortcut is shortcuts
            y = block(y)
            shapes.append(tuple(y.shape[1:]))
    assert shapes == [(4, 32, 32)] * 2 + [(8, 16, 16)] * 2 + [(16, 8, 8)] * 2
    torch.testing.assert_close(model(x), model.fc(y.mean((2, 3))))


def test_with_branches_at_zero_a_block_is_its_shortcut():
    block, x = BasicBlock(4, 4), torch.randn(2, 4, 8, 8)
    torch.nn.init.zeros_(block.norm2.weight)
    assert torch.equal(block(x), x.relu())


def test_other_sizes_and_channels():
    assert CifarResNet(8, width=3, n_classes=7, in_channels=1)(torch.rand(2, 1, 21, 30)).shape == (2, 7)


@pytest.mark.parametrize("depth", [2, 5, 18, 21, -4])
def test_an_impossible_depth_is_named(depth):
    with pytest.raises(ValueError, match=rf"6 n \+ 2, such as 8, 14, 20 or 50, got {depth}"):
        CifarResNet(depth)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"n_classes": 0}])
def test_no_width_and_no_classes_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        CifarResNet(8, **wrong)
