"""Convolution, pooling and their gradients in NumPy: Chapters 1, 2 and 5 by hand, fast enough for photographs.

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
    dtype = _dtype(x, weight)
    windows = _windows(_pad(_batched(x), pair(padding, "padding")), weight.shape[2:], stride, dilation)
    out = _products(windows, weight.astype(dtype, copy=False), dtype)
    if bias is not None:
        out += np.asarray(bias, dtype)[:, None, None]
    return out if x.ndim == 4 else out[0]


def conv2d_backward(grad_output, x, weight, stride=1, padding=0, dilation=1):
    """The gradients of a loss by what `conv2d` read, from its gradient by what `conv2d` put out.

    grad_output: the output's shape, (K, H', W') or (N, K, H', W'); x, weight and settings: as `conv2d` got them.
    Returns (grad_x, grad_weight, grad_bias), shaped like x, weight and (K,), float64 unless x and weight are float32;
    the last two are summed over the batch, and grad_x is 0 at pixels that no window reaches. Raises ValueError as
    `conv2d` does, and for a grad_output of another shape. Source: Chapter 5, "All settings at once".
    """
    x, weight = np.asarray(x), np.asarray(weight)
    _check_convolution(x, weight, None)
    kernel_size, stride, dilation = weight.shape[2:], pair(stride, "stride"), pair(dilation, "dilation")
    settings = kernel_size, stride, pair(padding, "padding"), dilation
    windows = _windows(_pad(_batched(x), settings[2]), kernel_size, stride, dilation)
    n, c, h, w = windows.shape[:4]
    grad = _grad_output(grad_output, x, (len(weight), h, w)).reshape(n, len(weight), h * w)
    grad, parts = (a.astype(_dtype(x, weight), copy=False) for a in (grad, weight.transpose(2, 3, 1, 0)))
    grad_x = _add_windows(lambda u, v: (parts[u, v] @ grad).reshape(n, c, h, w), x.shape, grad.dtype, *settings)
    return grad_x, _grad_weight(grad, windows), grad.sum((0, 2))


def max_pool2d(x, kernel_size, stride=None, padding=0):
    """The largest value of each window; `stride` is `kernel_size` if None, padded pixels never win.

    x: (C, H, W) or (N, C, H, W). Returns the same rank. Raises ValueError for a wrong rank, a window larger than the
    padded input, a padding of more than half the window. Source: Chapter 2, "Exercises".
    """
    return _pool(x, kernel_size, stride, padding, lambda windows: windows.max(axis=(-2, -1)), -np.inf)


def avg_pool2d(x, kernel_size, stride=None, padding=0):
    """The mean of each window, padded zeros counted (torch's default); otherwise as `max_pool2d`."""
    return _pool(x, kernel_size, stride, padding, lambda windows: windows.mean(axis=(-2, -1)), 0.0)


def max_pool2d_backward(grad_output, x, kernel_size, stride=None, padding=0):
    """The gradient of a loss by what `max_pool2d` read: all of a window's gradient goes to its largest value.

    grad_output: the output's shape; x and settings: as `max_pool2d` got them. Of equal values the first wins, row by
    row, as in torch. Returns grad_x, shaped like x. Raises ValueError as `max_pool2d` does, and for a grad_output of
    another shape. Source: Chapter 5, "Pooling".
    """
    x = np.asarray(x)
    _check_x(x)
    lowest = np.finfo(np.result_type(x, np.float32)).min  # even a pixel of -inf wins against the padding
    windows, settings = _pool_windows(np.maximum(x, lowest), kernel_size, stride, padding, -np.inf)
    height, width = windows.shape[4:]
    winners = windows.reshape(*windows.shape[:4], height * width).argmax(-1)
    grad = _grad_output(grad_output, x, windows.shape[1:4])
    return _add_windows(lambda u, v: np.where(winners == u * width + v, grad, 0), x.shape, windows.dtype, *settings)


def avg_pool2d_backward(grad_output, x, kernel_size, stride=None, padding=0):
    """The gradient of a loss by what `avg_pool2d` read: equal parts to the pixels; else as `max_pool2d_backward`."""
    windows, settings = _pool_windows(x, kernel_size, stride, padding, 0.0)
    share = _grad_output(grad_output, np.asarray(x), windows.shape[1:4]) / np.prod(settings[0])
    return _add_windows(lambda u, v: share, np.shape(x), windows.dtype, *settings)


def pair(value, name):
    """(h, w) from an int or a pair of ints; `name` says in an error which setting was wrong."""
    values = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value, value)
    if len(values) != 2 or not all(hasattr(v, "__index__") for v in values):
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
    _check_x(x)
    _check_real(weight, "weight")
    if weight.ndim != 4 or 0 in weight.shape:
        raise ValueError(f"weight must be (K, C, kh, kw), none of them 0, got shape {weight.shape}")
    if x.shape[-3] != weight.shape[1]:
        raise ValueError(f"the input has {x.shape[-3]} channels, the filters expect {weight.shape[1]}")
    if bias is not None and np.shape(bias) != weight.shape[:1]:
        raise ValueError(f"bias must be ({weight.shape[0]},), one number a filter, got shape {np.shape(bias)}")


def _check_x(x):
    if x.ndim not in (3, 4):
        raise ValueError(f"x must be (C, H, W) or (N, C, H, W), got shape {x.shape}")
    _check_real(x, "x")


def _check_real(a, name):
    if a.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got {a.dtype}")


def _dtype(x, weight):
    return np.float32 if x.dtype == weight.dtype == np.float32 else np.float64


def _batched(x):
    return x if x.ndim == 4 else x[None]


def _pad(x, padding, value=0):
    if padding == (0, 0):
        return x
    (h, w) = padding
    return np.pad(x, [(0, 0), (0, 0), (h, h), (w, w)], constant_values=value)


def _windows(x, kernel_size, stride, dilation, writeable=False):
    """A view (N, C, H', W', kh, kw) on the padded x: every window, nothing copied."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation)]
    for n, k, s, d in zip(x.shape[2:], kernel_size, stride, dilation):
        output_size(n, k, s, dilation=d)  # raises, with the numbers, if the kernel does not fit
    every = sliding_window_view(x, reach, axis=(2, 3), writeable=writeable)
    return every[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def _grad_output(grad_output, x, shape):
    """The gradient by an output of `shape` (K, H', W') per picture, as a batch."""
    grad = np.asarray(grad_output)
    expected = x.shape[:-3] + tuple(shape)
    if grad.shape != expected:
        raise ValueError(f"grad_output must have the output's shape {expected}, got {grad.shape}")
    _check_real(grad, "grad_output")
    return _batched(grad)


def _grad_weight(grad, windows):
    """grad (N, K, P) and the P windows (N, C, H', W', kh, kw) as (K, C, kh, kw): one product a place in the kernel."""
    n, c, h, w, *kernel_size = windows.shape
    out = np.empty((grad.shape[1], c, *kernel_size), grad.dtype)
    for u, v in np.ndindex(*kernel_size):
        seen = windows[..., u, v].reshape(n, c, h * w).astype(grad.dtype, copy=False)
        out[:, :, u, v] = (grad @ seen.transpose(0, 2, 1)).sum(0)
    return out


def _add_windows(part, shape, dtype, kernel_size, stride, padding, dilation):
    """The transpose of `_pad` and `_windows`: place [u, v] of every window adds its `part(u, v)` to its pixel.

    part: (u, v) -> (N, C, H', W'). Returns an array of `shape`; what falls on the padding is dropped.
    """
    *batch, c, h, w = shape
    (top, left), n = padding, batch[0] if batch else 1
    padded = np.zeros((n, c, h + 2 * top, w + 2 * left), dtype)
    windows = _windows(padded, kernel_size, stride, dilation, writeable=True)
    for u, v in np.ndindex(*kernel_size):  # windows overlap, but no two have the same pixel at the same place
        windows[..., u, v] += part(u, v)
    return padded[:, :, top : top + h, left : left + w].reshape(shape)


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
    out = reduce(_pool_windows(x, kernel_size, stride, padding, fill)[0])
    return out if np.ndim(x) == 4 else out[0]


def _pool_windows(x, kernel_size, stride, padding, fill):
    """The windows (N, C, H', W', kh, kw) and the settings: kernel_size, stride, padding, dilation as pairs."""
    x = np.asarray(x)
    _check_x(x)
    kernel_size, padding = pair(kernel_size, "kernel_size"), pair(padding, "padding")
    stride = kernel_size if stride is None else pair(stride, "stride")
    if any(2 * p > k for p, k in zip(padding, kernel_size)):
        raise ValueError(f"padding {padding} is more than half of kernel_size {kernel_size}")
    padded = _pad(_batched(x).astype(np.result_type(x, np.float32), copy=False), padding, fill)
    return _windows(padded, kernel_size, stride, (1, 1)), (kernel_size, stride, padding, (1, 1))
