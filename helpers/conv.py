"""Convolution and pooling in NumPy: what Chapters 1 and 2 build by hand, fast enough for photographs.

Arrays are (C, H, W) or (N, C, H, W); `stride`, `padding` and `dilation` are an int or an (h, w) pair.
"""

import operator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

TILE = 2**18  # numbers unrolled at a time by `conv2d`: a megabyte of float32 stays in the processor's cache


def output_size(n, kernel_size, stride=1, padding=0, dilation=1):
    """Number of positions of a window along one axis: floor((n + 2p - d(k - 1) - 1) / s) + 1.

    `n`, `kernel_size`, `stride`, `padding`, `dilation`: ints, in pixels. Returns an int of at least 1.
    Raises ValueError if the dilated kernel is longer than the padded input, or for a stride, dilation or
    size below 1 or a padding below 0. Source: Chapter 2, "The formula"; Dumoulin & Visin (2016).
    """
    numbers = {"n": n, "kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    n, kernel_size, stride, padding, dilation = (_integer(name, value) for name, value in numbers.items())
    reach = dilation * (kernel_size - 1) + 1
    if reach > n + 2 * padding:
        raise ValueError(
            f"the kernel is larger than the padded input: kernel_size {kernel_size} with dilation {dilation} "
            f"spans {reach} pixels, the input has {n} + 2*{padding} = {n + 2 * padding}"
        )
    return (n + 2 * padding - reach) // stride + 1


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1):
    """Cross-correlation, as `torch.nn.functional.conv2d` computes it.

    x: (C, H, W) or (N, C, H, W); weight: (K, C, kh, kw); bias: (K,) or None.
    Returns (K, H', W') or (N, K, H', W'), float64 unless both are float32, with H', W' from `output_size`.
    Raises ValueError for a wrong rank, channel counts that differ, a kernel larger than the padded input,
    a stride or dilation below 1, a negative padding. Source: Chapter 1, "From loops to one matrix product".
    """
    x, weight = np.asarray(x), np.asarray(weight)
    _check_convolution(x, weight, bias)
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    dtype = np.float32 if x.dtype == weight.dtype == np.float32 else np.float64
    windows = _windows(_pad(_batched(x), pair(padding, "padding")), weight.shape[2:], stride, dilation)
    out = _products(windows, weight.astype(dtype, copy=False), dtype)
    if bias is not None:
        out += np.asarray(bias, dtype)[:, None, None]
    return out if x.ndim == 4 else out[0]


def max_pool2d(x, kernel_size, stride=None, padding=0):
    """The largest value of each window; `stride` is `kernel_size` if None, padded pixels never win.

    x: (C, H, W) or (N, C, H, W). Returns the same rank. Raises ValueError for a wrong rank, a window larger than the
    padded input, a padding of more than half the window. Source: Chapter 2, "Exercises".
    """
    return _pool(x, kernel_size, stride, padding, lambda windows: windows.max(axis=(-2, -1)), -np.inf)


def avg_pool2d(x, kernel_size, stride=None, padding=0):
    """The mean of each window, padded zeros counted (torch's default); otherwise as `max_pool2d`."""
    return _pool(x, kernel_size, stride, padding, lambda windows: windows.mean(axis=(-2, -1)), 0.0)


def pair(value, name):
    """(h, w) from an int or a pair of ints; `name` says in an error which setting was wrong."""
    values = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} must be an int or an (h, w) pair, got {value!r}")
    return tuple(_integer(name, v) for v in values)


def _integer(name, value):
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an int, got {value!r}") from None
    least = 0 if name == "padding" else 1
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")
    return number


def _check_convolution(x, weight, bias):
    _check_rank(x)
    if weight.ndim != 4 or 0 in weight.shape:
        raise ValueError(f"weight must be (K, C, kh, kw), none of them 0, got shape {weight.shape}")
    if x.shape[-3] != weight.shape[1]:
        raise ValueError(f"the input has {x.shape[-3]} channels, the filters expect {weight.shape[1]}")
    if bias is not None and np.shape(bias) != weight.shape[:1]:
        raise ValueError(f"bias must be ({weight.shape[0]},), one number a filter, got shape {np.shape(bias)}")


def _check_rank(x):
    if x.ndim not in (3, 4):
        raise ValueError(f"x must be (C, H, W) or (N, C, H, W), got shape {x.shape}")


def _batched(x):
    return x if x.ndim == 4 else x[None]


def _pad(x, padding, value=0):
    if padding == (0, 0):
        return x
    (h, w) = padding
    return np.pad(x, [(0, 0), (0, 0), (h, h), (w, w)], constant_values=value)


def _windows(x, kernel_size, stride, dilation):
    """A view (N, C, H', W', kh, kw) on the padded x: every window, nothing copied."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation)]
    for n, k, s, d in zip(x.shape[2:], kernel_size, stride, dilation):
        output_size(n, k, s, dilation=d)  # raises, with the numbers, if the kernel does not fit
    every = sliding_window_view(x, reach, axis=(2, 3))
    return every[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def _products(windows, weight, dtype):
    """Unroll some rows of windows into a matrix (im2col), multiply by the filters, and go on to the next rows."""
    n, c, h, w, kh, kw = windows.shape
    rows = max(1, TILE // (c * kh * kw * w))
    filters = weight.reshape(len(weight), -1)
    out = np.empty((n, len(weight), h, w), dtype)
    for picture, result in zip(windows, out):
        for top in range(0, h, rows):
            tile = picture[:, top : top + rows].transpose(0, 3, 4, 1, 2)
            columns = tile.reshape(c * kh * kw, -1).astype(dtype, copy=False)
            result[:, top : top + rows] = (filters @ columns).reshape(len(weight), -1, w)
    return out


def _pool(x, kernel_size, stride, padding, reduce, fill):
    x = np.asarray(x)
    _check_rank(x)
    kernel_size, padding = pair(kernel_size, "kernel_size"), pair(padding, "padding")
    stride = kernel_size if stride is None else pair(stride, "stride")
    if any(2 * p > k for p, k in zip(padding, kernel_size)):
        raise ValueError(f"padding {padding} is more than half of kernel_size {kernel_size}")
    padded = _pad(_batched(x).astype(np.result_type(x, np.float32), copy=False), padding, fill)
    out = reduce(_windows(padded, kernel_size, stride, (1, 1)))
    return out if x.ndim == 4 else out[0]
