"""The bytes kept for the backward pass, against counts by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.memory import Kept
from helpers.models import LeNet


@pytest.mark.parametrize("n", [1, 2, 64])
def test_the_sheets_network(n):
    model = LeNet()
    with Kept(model) as kept:
        loss = F.cross_entropy(model(torch.zeros(n, 3, 32, 32)), torch.zeros(n, dtype=torch.long))
    assert kept.now == kept.peak == 57_280 * n + 4
    loss.backward()
    assert (kept.now, kept.peak) == (0, 57_280 * n + 4)


def test_shared_memory_counts_once_and_gradients_stay_right():
    x = torch.arange(5.0, requires_grad=True)
    with Kept(nn.Identity()) as kept:
        y = x.exp()  # keeps its result, 20 bytes
        z = (y * y).sum()  # keeps y twice
    assert kept.now == 20
    z.backward()
    torch.testing.assert_close(x.grad, 2 * torch.exp(2 * x.detach()))
    assert kept.now == 0


def test_parameters_are_left_out():
    linear = nn.Linear(4, 3)
    with Kept(linear) as kept:
        out = linear(torch.ones(2, 4, requires_grad=True))  # keeps the input and, for its gradient, the weights
    assert kept.now == 2 * 4 * 4
    del out
    assert kept.now == 0


def test_peak_is_of_the_largest_part():
    model = LeNet()
    with Kept(model) as kept:
        for n in (3, 5, 2):
            F.cross_entropy(model(torch.zeros(n, 3, 32, 32)), torch.zeros(n, dtype=torch.long)).backward()
    assert (kept.now, kept.peak) == (0, 57_280 * 5 + 4)


def test_a_part_kept_first_and_dropped_first():
    x = torch.ones(1000, requires_grad=True)
    with Kept(nn.Identity()) as kept:
        z = x * 1.0
        few, all_of_it = z[:1].sin(), z.sin()  # keep one number and then a thousand, from the same place on
    assert kept.now == kept.peak == 4000
    del few
    assert kept.now == 4000
    del all_of_it
    assert kept.now == 0


def test_a_kept_tensor_changed_in_place_is_noticed():
    x = torch.ones(3, requires_grad=True)
    with Kept(nn.Identity()):
        y = x.exp()
        y.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()
