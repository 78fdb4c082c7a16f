"""helpers.conv against torch, in float64, on random geometry."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.conv import avg_pool2d, conv2d, max_pool2d, output_size

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
        ({"padding": 0.5}, "padding must be an int, got 0.5"),
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
