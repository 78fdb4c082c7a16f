"""Blur against SciPy, the spectrum against NumPy, total variation against loops."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from helpers.synthesis import blur, from_spectrum, to_spectrum, total_variation
from helpers.synthesis.smoothness import limits, roll

SIZES = [(8, 8), (9, 12), (12, 9), (7, 5), (1, 6), (6, 1)]
each_size = pytest.mark.parametrize("size", SIZES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(size, dtype=torch.float64):
    return torch.randn(2, 3, *size, generator=seeded(), dtype=dtype)


@each_size
@pytest.mark.parametrize("deviation", [0.3, 1, 2.5, 7.0])
def test_blur_is_scipys_with_its_mirrored_border(size, deviation):
    x = pictures(size)
    expected = ndimage.gaussian_filter(x.numpy(), (0, 0, deviation, deviation), mode="reflect", truncate=4)
    np.testing.assert_allclose(blur(x, deviation), expected, atol=1e-12)


@each_size
def test_blur_keeps_the_mean_of_each_channel_and_kind_of_number(size):
    x = pictures(size)
    torch.testing.assert_close(blur(x, 3.0).mean((2, 3)), x.mean((2, 3)))
    assert blur(x.float(), 3.0).dtype == torch.float32
    assert torch.equal(blur(x, 0), x)


@pytest.mark.parametrize("deviation", [-1, float("nan"), float("inf")])
def test_blur_refuses_what_is_no_deviation(deviation):
    with pytest.raises(ValueError, match="in pixels, must be at least 0, got"):
        blur(pictures((4, 4)), deviation)


@each_size
def test_the_spectrum_is_another_way_to_write_the_same_picture(size):
    x = pictures(size, torch.float32)
    assert to_spectrum(x).shape == (2, 3, size[0], size[1] // 2 + 1, 2)
    torch.testing.assert_close(from_spectrum(to_spectrum(x), size), x, atol=1e-5, rtol=0)


@each_size
def test_each_frequency_is_weighted_by_one_over_it(size):
    """By the sum over all pixels, frequency by frequency; the weights' mean square over all of them is 1/2."""
    h, w = size
    x = pictures(size)
    numbers = torch.view_as_complex(to_spectrum(x))[0, 0].numpy()
    cycles = [[math.hypot(min(k, h - k) / h, min(j, w - j) / w) for j in range(w)] for k in range(h)]
    weights = 1 / np.maximum(cycles, 1 / max(h, w))
    weights *= np.sqrt(0.5 / (weights**2).mean())
    rows, columns = np.arange(h)[:, None], np.arange(w)
    for k in range(h):
        for j in range(w // 2 + 1):
            wave = np.exp(-2j * np.pi * (k * rows / h + j * columns / w)) / np.sqrt(h * w)
            assert numbers[k, j] * weights[k, j] == pytest.approx((x[0, 0].numpy() * wave).sum(), abs=1e-9)


def test_total_variation_by_hand():
    x = torch.tensor([[0.0, 3.0], [4.0, 0.0]])[None, None]
    assert total_variation(x).tolist() == [9 + 16 + 9 + 16]  # (3, 4) at the corner, 3 down, 4 across, nothing
    assert total_variation(x, beta=1).tolist() == [5 + 3 + 4]


@each_size
@pytest.mark.parametrize("beta", [1, 1.5, 2, 3])
def test_total_variation_against_loops(size, beta):
    x, (h, w) = pictures(size), size
    for picture, found in zip(x, total_variation(x, beta)):
        expected = 0.0
        for channel in picture.tolist():
            for i in range(h):
                for j in range(w):
                    across = channel[i][j + 1] - channel[i][j] if j + 1 < w else 0
                    down = channel[i + 1][j] - channel[i][j] if i + 1 < h else 0
                    expected += math.hypot(across, down) ** beta
        assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize("beta", [1, 1.5, 2])
def test_total_variation_of_a_flat_picture_is_0_with_slope_0(beta):
    x = torch.full((1, 3, 4, 5), 0.3, requires_grad=True)
    value = total_variation(x, beta)
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert value.item() == 0 and (slope == 0).all()
    with pytest.raises(ValueError, match="beta must be at least 1, got 0.5"):
        total_variation(x, 0.5)


def test_a_roll_shifts_both_sides_by_up_to_jitter_and_can_be_undone():
    x, generator, shifts = torch.arange(63.0).reshape(1, 1, 7, 9), seeded(), set()
    for _ in range(400):
        place = int((roll(x, 2, generator) == 0).flatten().nonzero())
        shifts.add(((place // 9 + 3) % 7 - 3, (place % 9 + 4) % 9 - 4))
    assert shifts == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}
    one = roll(x.expand(2, 3, 7, 9), 3, seeded())
    assert torch.equal(one[0, 0], one[1, 2])
    row, column = divmod(int((one[0, 0] == 0).nonzero()[0] @ torch.tensor([9, 1])), 9)
    assert torch.equal(one.roll((-row, -column), (2, 3)), x.expand(2, 3, 7, 9))


def test_limits():
    x = torch.zeros(2, 3, 4, 4, dtype=torch.float64)
    low, high = limits(([-1, -2, -3], torch.tensor([1.0, 2, 3])), x)
    assert low.shape == high.shape == (3, 1, 1) and low.dtype == torch.float64
    assert [float(v) for v in limits((0, 1), x)] == [0, 1]
    for bounds, message in {
        (1, 0): "low below high",
        (0, float("nan")): "low below high",
        (0, 1, 2): "must be a pair",
        3: "must be a pair",
        ((0, 0), 1): "2 and 1 numbers for pictures with 3 channels",
        ((0, 0, 2), (1, 1, 1)): "low below high",
    }.items():
        with pytest.raises(ValueError, match=message):
            limits(bounds, x)
