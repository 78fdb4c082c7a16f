"""What each function does to receptive fields; a rule takes the arguments of the function itself."""

import numpy as np
import torch
from torch import nn


def _conv(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel = weight.shape[2:]
    if padding == "same":
        padding = np.multiply(dilation, np.subtract(kernel, 1)) // 2
    return _slide(input, kernel, stride, 0 if isinstance(padding, str) else padding, dilation)


def _max_pool(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    return _slide(input, kernel_size, stride or kernel_size, padding, dilation)


def _avg_pool(input, kernel_size, stride=None, padding=0, *rest, **more):
    return _slide(input, kernel_size, stride or kernel_size, padding)


def _lp_pool(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    return _slide(input, kernel_size, stride or kernel_size)


def _adaptive_pool(input, output_size, return_indices=False):
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    bins = [_bins(n, m or n) for n, m in zip(input.shape[-2:], wanted)]
    kernel, stride = zip(*(regular or (1, 1) for regular in bins))
    return _slide(input, kernel, stride).mix([axis for axis, regular in zip((-2, -1), bins) if not regular])


def _bins(n, m):
    """(kernel, stride) of adaptive pooling from n units to m; None if it is global or its bins are irregular."""
    if m == n:
        return 1, 1
    starts = np.arange(m) * n // m
    sizes, strides = -(-np.arange(1, m + 1) * n // m) - starts, np.diff(starts)
    if m > 1 and strides[0] > 0 and len(set(sizes)) == len(set(strides)) == 1:
        return int(sizes[0]), int(strides[0])


def _pad(input, pad, mode="constant", value=None):
    left, _, top, _ = (*pad, 0, 0)[:4]
    return _slide(input, kernel=1, padding=(top, left))


def _slide(x, kernel, stride=1, padding=0, dilation=1):
    if any(axis not in (None, place) for axis, place in zip(x.map.axes, (-2, -1))):
        raise NotImplementedError("a window slides over axes other than the picture's")
    return x.map.slide(kernel, stride, padding, dilation)


def _batch_norm(input, running_mean=None, running_var=None, weight=None, bias=None, training=False, *rest, **more):
    return _mix(input, input.map.axes) if training or running_mean is None else input.map


def _position_norm(input, *rest, **more):
    return _mix(input, input.map.axes)


def _layer_norm(input, normalized_shape, *rest, **more):
    return _mix(input, range(-len(normalized_shape), 0))


def _linear(input, weight, bias=None):
    return _mix(input, [-1])


def _softmax(input, dim, *rest, **more):
    return _mix(input, [dim])


def _normalize(input, p=2.0, dim=1, *rest, **more):
    return _mix(input, [dim])


def _reduce(input, dim=None, keepdim=False, **more):
    gone = _from_right(input, range(input.ndim) if dim is None else dim)
    axes = [None if axis in gone else axis for axis in input.map.axes]
    if not keepdim:
        axes = [axis and axis + sum(g > axis for g in gone) for axis in axes]
    return _mix(input, gone)._replace(axes=tuple(axes))


def _mix(x, axes):
    return x.map.mix([axis for axis in _from_right(x, axes) if x.shape[axis] > 1])


def _from_right(x, axes):
    axes = [axes] if isinstance(axes, int) else [axis for axis in axes if axis is not None]
    return [axis - x.ndim if axis >= 0 else axis for axis in axes]


RULES = {
    "conv2d": _conv,
    **dict.fromkeys(("max_pool2d", "max_pool2d_with_indices"), _max_pool),
    "avg_pool2d": _avg_pool,
    "lp_pool2d": _lp_pool,
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive_pool),
    "pad": _pad,
    "batch_norm": _batch_norm,
    **dict.fromkeys(("group_norm", "instance_norm"), _position_norm),
    "layer_norm": _layer_norm,
    "linear": _linear,
    **dict.fromkeys(("softmax", "log_softmax"), _softmax),
    "normalize": _normalize,
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min"), _reduce),
}

# The layers that torch.fx shall write out as calls of those functions.
OPENED = (
    *(nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    *(nn.ZeroPad2d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d),
    *(nn.LayerNorm, nn.GroupNorm, nn.Linear, nn.Softmax, nn.LogSoftmax, nn.Flatten, nn.Unflatten),
)

# Layers, functions and methods that keep every position to itself, in small letters and without underscores.
POSITIONWISE = set(
    """
    relu relu6 leakyrelu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid logsigmoid
    tanh tanhshrink hardshrink softshrink softplus softsign threshold identity dropout dropout2d alphadropout
    featurealphadropout stochasticdepth localresponsenorm channelshuffle
    add sub rsub mul div truediv pow iadd isub imul itruediv neg abs sign square sqrt rsqrt exp log log1p sin cos
    reciprocal clamp clampmin clampmax clip maximum minimum where lerp addcmul addcdiv
    contiguous clone detach to float double half bfloat16 typeas
    """.split()
)


# Calls that only move units: they are repeated on the units' coordinates, to see where these went.
MOVES = set(
    """
    view reshape flatten unflatten permute transpose swapaxes movedim squeeze unsqueeze expand expand_as view_as
    getitem narrow select chunk split unbind cat concat stack
    """.split()
)


def coordinates(x, place):
    """A tensor shaped like `x` that holds each unit's index along h (place 0) or w (place 1)."""
    axis = x.map.axes[place]
    if axis is None:
        return torch.zeros(x.shape, dtype=torch.int)
    index = torch.arange(x.shape[axis], dtype=torch.int)
    return index.reshape(-1, *[1] * (-axis - 1)).expand(x.shape).contiguous()


def moved(before, h, w):
    """The map after a call that took the units' coordinates to `h` and `w`."""
    axes, first, step = zip(_locate(h), _locate(w))
    flattened = len(set(axes) - {None}) < 2
    was_flattened = before.axes[0] is not None and before.axes[0] == before.axes[1]
    if was_flattened and (any(first) or set(step) != {1}):
        raise NotImplementedError("it takes a flattened map apart")
    if min(step) < 0 or (0 in step and not flattened):
        raise NotImplementedError("it rearranges positions unevenly")
    return before.slide(1, np.maximum(step, 1), np.negative(first))._replace(axes=axes)


def _locate(coordinates):
    """(axis, first, step) of coordinates that run along one axis; step 0 if they do so unevenly."""
    axes = [axis for axis in range(-coordinates.ndim, 0) if coordinates.diff(dim=axis).any()]
    if len(axes) > 1:
        raise NotImplementedError("it splits the picture's axes")
    first = int(coordinates.flatten()[0])
    steps = coordinates.diff(dim=axes[0]).unique().tolist() if axes else [1]
    return next(iter(axes), None), first, steps[0] if len(steps) == 1 else 0
