"""helpers.conv against torch, in float64, on random geometry."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.conv import (
    avg_pool2d,
    avg_pool2d_backward,
    conv2d,
    conv2d_backward,
    max_pool2d,
    max_pool2d_backward,
    output_size,
)

small = st.integers(1, 4)
pairs = st.one_of(small, st.tuples(small, small))
paddings = st.one_of(st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 3)))
quick = settings(max_examples=300, deadline=None)


def both(value):
    return value if isinstance(value, tuple) else (value, value)


def fits(size, kernel, padding, dilation):
    return all(
        d * (k - 1) + 1 <= n + 2 * p
        for n, k, p, d in zip(size, both(kernel), both(padding), both(dilation), strict=True)
    )


@quick
@given(st.data(), pairs, paddings, pairs, st.booleans(), st.booleans())
def test_conv2d_equals_torch(data, stride, padding, dilation, batched, biased):
    n, c, k = data.draw(st.tuples(small, small, small))
    size, kernel = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12))), data.draw(st.tuples(small, small))
    assume(fits(size, kernel, padding, dilation))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.normal(size=(n, c, *size) if batched else (c, *size))
    weight, bias = rng.normal(size=(k, c, *kernel)), rng.normal(size=k) if biased else None
    ours = conv2d(x, weight, bias, stride, padding, dilation)
    tensors = [torch.from_numpy(x), torch.from_numpy(weight), None if bias is None else torch.from_numpy(bias)]
    theirs = F.conv2d(*tensors, stride, padding, dilation).numpy()
    assert ours.shape == theirs.shape and ours.dtype == np.float64
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_conv2d_on_more_than_one_tile():
    x, weight = (
        np.random.default_rng(0).normal(size=(2, 3, 150, 301)),
        np.random.default_rng(1).normal(size=(5, 3, 4, 7)),
    )
    theirs = F.conv2d(torch.from_numpy(x), torch.from_numpy(weight), stride=(1, 2), padding=(2, 0)).numpy()
    np.testing.assert_allclose(conv2d(x, weight, stride=(1, 2), padding=(2, 0)), theirs, atol=1e-12)


def test_conv2d_leaves_its_input_alone_and_takes_integers():
    x, weight = np.arange(16).reshape(1, 4, 4), np.ones((1, 1, 3, 3), int)
    before = x.copy()
    assert conv2d(x, weight).tolist() == [[[45.0, 54.0], [81.0, 90.0]]]
    assert (x == before).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_conv2d_keeps_the_floating_type(dtype):
    assert conv2d(np.ones((1, 5, 5), dtype), np.ones((1, 1, 2, 2), dtype), np.ones(1, dtype)).dtype == dtype


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"weight": np.ones((1, 3, 9, 3))}, "kernel_size 9 with dilation 1 spans 9 pixels, the input has 8"),
        ({"dilation": (1, 5)}, "spans 11 pixels, the input has 8"),
        ({"x": np.ones((2, 8, 8))}, "the input has 2 channels, the filters expect 3"),
        ({"x": np.ones((8, 8))}, r"x must be .* got shape \(8, 8\)"),
        ({"weight": np.ones((3, 3, 3))}, r"weight must be .* got shape \(3, 3, 3\)"),
        ({"bias": np.ones(2)}, r"bias must be \(1,\).* got shape \(2,\)"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"padding": -1}, "padding must be at least 0, got -1"),
        ({"padding": 0.5}, r"padding must be an int or an \(h, w\) pair, got 0.5"),
        ({"dilation": (0, 1)}, "dilation must be at least 1, got 0"),
        ({"stride": (1, 2, 3)}, r"stride must be an int or an \(h, w\) pair"),
        ({"stride": "same"}, "stride must be an int"),
    ],
)
def test_conv2d_names_what_is_wrong(changes, words):
    good = {"x": np.ones((3, 8, 8)), "weight": np.ones((1, 3, 3, 3))}
    with pytest.raises(ValueError, match=words):
        conv2d(**good | changes)


@quick
@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 5), st.integers(0, 5), st.integers(1, 4))
def test_output_size_equals_torch(n, kernel_size, stride, padding, dilation):
    def torch_size():
        x, weight = torch.zeros(1, 1, n), torch.zeros(1, 1, kernel_size)
        return F.conv1d(x, weight, None, stride, padding, dilation).shape[-1]

    if dilation * (kernel_size - 1) + 1 > n + 2 * padding:
        with pytest.raises(ValueError, match="larger than the padded input"):
            output_size(n, kernel_size, stride, padding, dilation)
    else:
        assert output_size(n, kernel_size, stride, padding, dilation) == torch_size()


@quick
@given(st.data(), pairs, st.one_of(st.none(), pairs), st.sampled_from(["max", "avg"]))
def test_pooling_equals_torch(data, kernel, stride, kind):
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in both(kernel))
    size = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    assume(fits(size, kernel, padding, 1))
    x = np.random.default_rng(0).normal(size=(2, 3, *size)) - 3
    ours, theirs = {"max": (max_pool2d, F.max_pool2d), "avg": (avg_pool2d, F.avg_pool2d)}[kind]
    np.testing.assert_allclose(
        ours(x, kernel, stride, padding), theirs(torch.from_numpy(x), kernel, stride, padding), atol=1e-12
    )


def test_pooling_names_what_is_wrong():
    with pytest.raises(ValueError, match="more than half of kernel_size"):
        max_pool2d(np.ones((1, 4, 4)), 2, padding=2)
    with pytest.raises(ValueError, match="larger than the padded input"):
        avg_pool2d(np.ones((1, 4, 4)), 5)
    with pytest.raises(ValueError, match="x must be"):
        max_pool2d(np.ones(4), 2)


def autograd(function, grad_output, *arrays):
    """torch's gradients of (function(*arrays) * grad_output).sum(), as arrays."""
    tensors = [torch.from_numpy(a).requires_grad_() for a in arrays]
    return [g.numpy() for g in torch.autograd.grad(function(*tensors), tensors, torch.from_numpy(grad_output))]


def slopes(function, x, step=1e-6):
    """Central differences of a number by each entry of x."""
    out = np.empty(x.shape)
    for i in np.ndindex(*x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[i] += step
        behind[i] -= step
        out[i] = (function(ahead) - function(behind)) / (2 * step)
    return out


@quick
@given(st.data(), pairs, paddings, pairs, st.booleans())
def test_conv2d_backward_equals_autograd(data, stride, padding, dilation, batched):
    n, c, k = data.draw(st.tuples(small, small, small))
    size, kernel = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12))), data.draw(st.tuples(small, small))
    assume(fits(size, kernel, padding, dilation))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.normal(size=(n, c, *size) if batched else (c, *size))
    weight, bias = rng.normal(size=(k, c, *kernel)), rng.normal(size=k)
    grad_output = rng.normal(size=conv2d(x, weight, None, stride, padding, dilation).shape)
    ours = conv2d_backward(grad_output, x, weight, stride, padding, dilation)
    theirs = autograd(lambda *a: F.conv2d(*a, stride, padding, dilation), grad_output, x, weight, bias)
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine.shape == reference.shape and mine.dtype == np.float64
        np.testing.assert_allclose(mine, reference, rtol=0, atol=1e-10)


def test_conv2d_backward_equals_finite_differences():
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(2, 2, 7, 6)), rng.normal(size=(3, 2, 3, 2)), rng.normal(size=3)
    setting = {"stride": (2, 3), "padding": (1, 2), "dilation": (2, 1)}
    grad_output = rng.normal(size=conv2d(x, weight, **setting).shape)

    def loss(x, weight, bias):
        return (conv2d(x, weight, bias, **setting) * grad_output).sum()

    ours = conv2d_backward(grad_output, x, weight, **setting)
    by_x, by_weight = slopes(lambda a: loss(a, weight, bias), x), slopes(lambda a: loss(x, a, bias), weight)
    for mine, slope in zip(ours, (by_x, by_weight, slopes(lambda a: loss(x, weight, a), bias)), strict=True):
        np.testing.assert_allclose(mine, slope, atol=1e-7)


def test_conv2d_backward_leaves_pixels_alone_that_no_window_reaches():
    grad_x, _, _ = conv2d_backward(np.ones((1, 2, 3)), np.ones((1, 7, 9)), np.ones((1, 1, 3, 2)), stride=3)
    assert (grad_x[0] > 0).tolist() == [[column % 3 != 2 for column in range(9)]] * 6 + [[False] * 9]


def test_conv2d_backward_adds_up_over_the_batch():
    rng = np.random.default_rng(0)
    x, weight, grad_output = rng.normal(size=(3, 2, 5, 6)), rng.normal(size=(4, 2, 2, 3)), rng.normal(size=(3, 4, 4, 4))
    together = conv2d_backward(grad_output, x, weight)
    alone = [conv2d_backward(g, picture, weight) for g, picture in zip(grad_output, x, strict=True)]
    np.testing.assert_allclose(together[0], [a[0] for a in alone], atol=1e-12)
    for i in (1, 2):
        np.testing.assert_allclose(together[i], sum(a[i] for a in alone), atol=1e-12)


@pytest.mark.parametrize("kinds", [("f4", "f4", "f4"), ("f4", "f8", "f8"), ("f8", "f4", "f8"), ("i8", "i8", "f8")])
def test_conv2d_backward_keeps_the_floating_type_and_its_input(kinds):
    x, weight, expected = np.arange(25).reshape(1, 5, 5).astype(kinds[0]), np.ones((2, 1, 2, 2), kinds[1]), kinds[2]
    grad_output = np.arange(32.0).reshape(2, 4, 4)
    before = x.copy(), weight.copy(), grad_output.copy()
    assert {a.dtype for a in conv2d_backward(grad_output, x, weight)} == {np.dtype(expected)}
    assert all((a == b).all() for a, b in zip(before, (x, weight, grad_output), strict=True))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"grad_output": np.ones((1, 6, 5))}, r"the output's shape \(1, 6, 6\), got \(1, 6, 5\)"),
        ({"grad_output": np.ones((1, 1, 6, 6))}, r"the output's shape \(1, 6, 6\), got \(1, 1, 6, 6\)"),
        ({"x": np.ones((2, 3, 8, 8))}, r"the output's shape \(2, 1, 6, 6\), got \(1, 6, 6\)"),
        ({"weight": np.ones((2, 3, 3, 3))}, r"the output's shape \(2, 6, 6\)"),
        ({"weight": np.ones((1, 3, 9, 3))}, "kernel_size 9 with dilation 1 spans 9 pixels, the input has 8"),
        ({"x": np.ones((2, 8, 8))}, "the input has 2 channels, the filters expect 3"),
        ({"x": np.ones((8, 8))}, r"x must be .* got shape \(8, 8\)"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"padding": -1}, "padding must be at least 0, got -1"),
        ({"dilation": (0, 1)}, "dilation must be at least 1, got 0"),
    ],
)
def test_conv2d_backward_names_what_is_wrong(changes, words):
    good = {"grad_output": np.ones((1, 6, 6)), "x": np.ones((3, 8, 8)), "weight": np.ones((1, 3, 3, 3))}
    with pytest.raises(ValueError, match=words):
        conv2d_backward(**good | changes)


@quick
@given(st.data(), pairs, st.one_of(st.none(), pairs), st.sampled_from(["max", "avg"]), st.booleans(), st.booleans())
def test_pooling_backward_equals_autograd(data, kernel, stride, kind, batched, tied):
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in both(kernel))
    size = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    assume(fits(size, kernel, padding, 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.normal(size=(2, 3, *size) if batched else (3, *size)) - 3
    x = x.round() if tied else x  # of equal values the first gets the gradient
    forward, backward, reference = {
        "max": (max_pool2d, max_pool2d_backward, F.max_pool2d),
        "avg": (avg_pool2d, avg_pool2d_backward, F.avg_pool2d),
    }[kind]
    grad_output = rng.normal(size=forward(x, kernel, stride, padding).shape)
    ours = backward(grad_output, x, kernel, stride, padding)
    (theirs,) = autograd(lambda a: reference(a, kernel, stride, padding), grad_output, x)
    assert ours.shape == x.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("backward", [max_pool2d_backward, avg_pool2d_backward])
def test_pooling_backward_names_what_is_wrong(backward):
    with pytest.raises(ValueError, match=r"the output's shape \(1, 2, 2\), got \(1, 4, 4\)"):
        backward(np.ones((1, 4, 4)), np.ones((1, 4, 4)), 2)
    with pytest.raises(ValueError, match="more than half of kernel_size"):
        backward(np.ones((1, 4, 4)), np.ones((1, 4, 4)), 2, padding=2)
    with pytest.raises(ValueError, match="x must be"):
        backward(np.ones(2), np.ones(4), 2)


@pytest.mark.parametrize("backward", [max_pool2d_backward, avg_pool2d_backward])
def test_pooling_backward_keeps_the_floating_type(backward):
    for kind in ("f4", "f8"):
        assert backward(np.ones((1, 2, 2), kind), np.ones((1, 4, 4), kind), 2).dtype == kind


@pytest.mark.parametrize("backward", [max_pool2d_backward, avg_pool2d_backward])
@pytest.mark.parametrize("shape", [(0, 3, 4, 6), (2, 0, 4, 6)])
def test_pooling_backward_takes_an_empty_batch(backward, shape):
    assert backward(np.ones((*shape[:2], 2, 3)), np.ones(shape), 2).shape == shape


def test_max_pooling_backward_sends_what_is_not_finite_to_the_winner_alone():
    x, grad_output = np.array([[[1.0, 2, 0, 0], [3, 4, 9, 0]]]), np.array([[[np.nan, np.inf]]])
    found = max_pool2d_backward(grad_output, x, 2)
    np.testing.assert_array_equal(found, [[[0, 0, 0, 0], [0, np.nan, np.inf, 0]]])


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_max_pooling_backward_gives_the_padding_nothing_though_all_is_minus_infinity(kind):
    x, ones = np.full((1, 2, 2), -np.inf, kind), np.ones((1, 2, 2), kind)
    (theirs,) = autograd(lambda a: F.max_pool2d(a, 2, 2, 1), ones, x)
    ours = max_pool2d_backward(ones, x, 2, 2, 1)
    assert ours.dtype == kind and (ours == theirs).all() and (ours == 1).all()


def test_what_is_not_a_real_number_is_named():
    x, weight, grad_output = np.ones((1, 4, 4)), np.ones((1, 1, 2, 2)), np.ones((1, 3, 3))
    for backward in (max_pool2d_backward, avg_pool2d_backward):
        with pytest.raises(ValueError, match="x must hold real numbers, got complex128"):
            backward(grad_output, 1j * x, 2, 1)
        with pytest.raises(ValueError, match="grad_output must hold real numbers"):
            backward(1j * grad_output, x, 2, 1)
    with pytest.raises(ValueError, match="grad_output must hold real numbers"):
        conv2d_backward(1j * grad_output, x, weight)
    with pytest.raises(ValueError, match="weight must hold real numbers"):
        conv2d_backward(grad_output, x, 1j * weight)
    with pytest.raises(ValueError, match="x must hold real numbers, got <U"):
        conv2d(x.astype(str), weight)
    with pytest.raises(ValueError, match=r"padding must be an int or an \(h, w\) pair, got 'same'"):
        conv2d_backward(grad_output, x, weight, padding="same")
