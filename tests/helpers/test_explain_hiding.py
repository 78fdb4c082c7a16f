"""Occlusion: by hand, against loops, at borders; how many pictures go through the model at once."""

import pytest
import torch
from explain_cases import normal, relative, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.explain import occlusion


class Weighted(nn.Module):
    """Score 0: the sum of the pixels times w, squared if asked; score 1: the same less 7."""

    def __init__(self, w, power=1):
        super().__init__()
        self.register_buffer("w", torch.as_tensor(w, dtype=torch.float64))
        self.power, self.sizes = power, []

    def forward(self, x):
        self.sizes.append(len(x))
        total = ((x * self.w) ** self.power).flatten(1).sum(1)
        return torch.stack([total, total - 7], 1)


def test_by_hand():
    # x = 1 2 3    windows of 2 x 2, one pixel on: the falls are their sums    12 16
    #     4 5 6                                                                24 28
    #     7 8 9    each pixel: the mean of those that cover it; the middle: all four, 20
    x = torch.arange(1.0, 10, dtype=torch.float64).view(1, 1, 3, 3)
    made = occlusion(Weighted(torch.ones(3, 3)), x, 0, window=2, stride=1)
    assert made.tolist() == [[[12, 14, 16], [18, 20, 22], [24, 26, 28]]]
    # The baseline 1 takes 4 less away, and 9 are lost where the middle's weight is 3 instead of 1 (2 * (5 - 1) = 8).
    assert torch.equal(occlusion(Weighted(torch.ones(3, 3)), x, 1, 2, 1, baseline=1.0), made - 4)
    w = torch.ones(3, 3)
    w[1, 1] = 3
    assert torch.equal(occlusion(Weighted(w), x, 0, 2, 1, baseline=1.0), made - 4 + 8)


def test_the_sign_positive_where_hiding_lowers():
    made = occlusion(Weighted([[1.0, -1.0], [0.0, 0.5]]), torch.ones(1, 1, 2, 2).double(), 0, 1, 1)
    assert made.tolist() == [[[1, -1], [0, 0.5]]]


def test_the_last_windows_are_cut_off_at_the_border():
    # 5 columns, windows of 2, 2 on: columns 01, 23, 4. All channels are hidden at once.
    x = torch.arange(1.0, 11, dtype=torch.float64).view(1, 2, 1, 5)
    made = occlusion(Weighted(torch.ones(1, 5)), x, 0, window=(1, 2), stride=(1, 2))
    falls = [1 + 2 + 6 + 7, 3 + 4 + 8 + 9, 5 + 10]
    assert made.tolist() == [[[falls[0], falls[0], falls[1], falls[1], falls[2]]]]
    # Windows of 3, 2 on: 012, 234 and no third, since the picture is covered.
    made = occlusion(Weighted(torch.ones(1, 5)), x, 0, window=(1, 3), stride=(1, 2))
    first, second = 1 + 2 + 3 + 6 + 7 + 8, 3 + 4 + 5 + 8 + 9 + 10
    assert made.tolist() == [[[first, first, (first + second) / 2, second, second]]]


def test_a_window_as_large_as_the_picture():
    x = normal(2, 1, 3, 4)
    made = occlusion(Weighted(torch.ones(3, 4)), x, 0, window=(3, 4), stride=(3, 4))
    torch.testing.assert_close(made, x.sum((1, 2, 3)).view(2, 1, 1).expand(2, 3, 4))


def by_loops(model, x, target, window, stride, baseline):
    """Windows one by one, until one reaches each border; a mean kept pixel by pixel."""
    (height, width), (down, right) = window, stride
    total, count = torch.zeros(len(x), *x.shape[2:]).double(), torch.zeros(x.shape[2:])
    top = 0
    while True:
        left = 0
        while True:
            hidden, here = x.clone(), (..., slice(top, top + height), slice(left, left + width))
            hidden[here] = torch.as_tensor(baseline).expand_as(x)[here].double()
            total[here] += (model(x)[:, target] - model(hidden)[:, target]).detach().view(-1, 1, 1)
            count[here] += 1
            if left + width >= x.shape[3]:
                break
            left += right
        if top + height >= x.shape[2]:
            break
        top += down
    return total / count


@st.composite
def scans(draw):
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    window = tuple(draw(st.integers(1, n)) for n in size)
    return size, window, tuple(draw(st.integers(1, n)) for n in window)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(scans(), st.sampled_from([0.0, -1.5, "colour", "picture"]), st.sampled_from([None, 1, 4, 7, 1000]))
def test_against_loops(scan, baseline, batch_size):
    size, window, stride = scan
    x = normal(2, 3, *size, seed=2)
    baseline = {"colour": normal(3, 1, 1, seed=3), "picture": normal(2, 3, *size, seed=4)}.get(baseline, baseline)
    model = Weighted(normal(3, *size, seed=5), power=2)
    expected = by_loops(model, x, 1, window, stride, baseline)
    made = occlusion(model, x, 1, window, stride, baseline, batch_size)
    torch.testing.assert_close(made, expected, rtol=1e-9, atol=1e-9)


def test_whole_numbers_for_pairs_and_the_default():
    model, x = tiny(), normal(2, 3, 20, 24)
    assert torch.equal(occlusion(model, x, 1, 6, 3), occlusion(model, x, 1, (6, 6), (3, 3)))
    assert torch.equal(occlusion(model, x, 1), occlusion(model, x, 1, 16, 8, 0.0))


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8, 16, 1000])
def test_pictures_at_once_are_never_more_and_few_passes(n, batch_size):
    x, model = normal(n, 1, 9, 7), Weighted(normal(9, 7), power=2)
    expected = by_loops(model, x, 0, (3, 3), (2, 2), 0.0)
    model.sizes.clear()
    made = occlusion(model, x, 0, 3, 2, batch_size=batch_size)
    torch.testing.assert_close(made, expected, rtol=1e-12, atol=1e-12)
    windows = 4 * 3
    assert max(model.sizes) <= max(batch_size, n) and sum(model.sizes) == n * (1 + windows)
    assert len(model.sizes) == 1 + -(-windows // max(1, batch_size // n)), "as few passes as the batch size allows"


def test_pictures_at_once_unless_asked_for(monkeypatch):
    """Ten pictures, counted by their pixels, not their channels; 12 windows in 2 passes of 6 and 4 passes of 3."""
    monkeypatch.setattr("helpers.explain.batches.PIXELS", 10 * 63 + 5)
    for n, sizes in ((1, [1, 6, 6]), (3, [3, 9, 9, 9, 9]), (11, [11] * 13)):
        model = Weighted(normal(9, 7), power=2)
        occlusion(model, normal(n, 2, 9, 7), 0, 3, 2)
        assert model.sizes == sizes


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"window": 11}, "a window of 11 x 11 does not fit a picture of 12 x 10"),
        ({"window": (13, 2), "stride": 1}, "a window of 13 x 2 does not fit a picture of 12 x 10"),
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"window": 4, "stride": 5}, "stride must lie between 1 and the window, 4 x 4, got 5"),
        ({"window": (4, 2), "stride": 3}, "stride must lie between 1 and the window, 4 x 2, got 3"),
        ({"window": 4, "stride": 0}, "stride must be at least 1, got 0"),
        ({"window": 4, "stride": 2, "baseline": torch.zeros(2, 3)}, r"a baseline of shape \(2, 3\) does not fit"),
        ({"window": 4, "stride": 2, "batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ValueError, match=message):
        occlusion(tiny(), normal(2, 3, 12, 10), 1, **settings)


def test_vectors_have_no_windows():
    with pytest.raises(ValueError, match=r"x must be a batch \(N, C, H, W\), got shape \(2, 4\)"):
        occlusion(nn.Linear(4, 2).double(), normal(2, 4), 1)


def test_pictures_that_take_gradients_and_constant_models():
    x = normal(1, 3, 12, 10).requires_grad_()
    assert relative(occlusion(tiny(), x, 1, 4, 4), occlusion(tiny(), x.detach(), 1, 4, 4)) == 0
    assert occlusion(Weighted(torch.zeros(12, 10)), x, 0, 4, 4).abs().max() == 0
