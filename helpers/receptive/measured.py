"""The receptive field of one layer, measured by gradients."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from helpers.receptive.field import as_field, input_shape, tensors, times
from helpers.watch import find_layer


@torch.enable_grad()
def measured_receptive_field(model, layer, input_size):
    """The same for one layer, by measurement: the pixels where a central unit's gradient is not zero.

    `layer` is a module in `model` or its qualified name, with output (N, C, H, W); `input_size` is as in
    `receptive_fields`. The gradient is that of a copy in float64 in which no path is blocked or cancelled: positive
    weights, no biases, average for max pooling. A module called several times is measured at its last call. Along an
    axis with a single unit, size is the extent seen, stride and padding are 0.

    Raises ValueError if there is no such layer, if the input does not reach it, or if the field touches the
    picture's border: then a larger input is needed.
    """
    name, _ = find_layer(model, layer)
    picture = _random(input_shape(model, input_size)).mul(1e-6).requires_grad_()
    units = _response(_positive_copy(model), name, picture)
    extent, pixels = np.array(units.shape[2:]), np.array(picture.shape[2:])
    centre = (extent - 1) // 2
    first, last = _seen(picture, units, centre)
    next_first, next_last = _seen(picture, units, np.minimum(centre + 1, extent - 1))
    if ((extent > 1) & ((first == 0) | (next_last == pixels - 1))).any():
        raise ValueError(
            f"the receptive field of {name!r} is cut off at the border of a picture of {times(pixels)} pixels: "
            "use a larger input (unless the layer sees the whole picture at any size)"
        )
    stride = next_first - first
    return as_field(last - first + 1, stride, np.where(extent > 1, centre * stride - first, 0))


class _AveragePooling(TorchFunctionMode):
    """Max pooling lets one pixel of a window through; its average lets all through."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name, kwargs = getattr(function, "__name__", ""), kwargs or {}
        if name.startswith("max_pool2d"):
            return _average_pool(*args, **kwargs)
        if name.startswith("adaptive_max_pool2d"):
            return F.adaptive_avg_pool2d(*args[:2])
        return function(*args, **kwargs)


def _average_pool(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    stride = stride or kernel_size
    if np.max(dilation) == 1:
        average = F.avg_pool2d(input, kernel_size, stride, padding, ceil_mode)
    elif ceil_mode:
        raise NotImplementedError("max pooling with both dilation and ceil_mode is not measured")
    else:
        kernel = np.broadcast_to(kernel_size, 2)
        weight = input.new_ones(input.shape[1], 1, *kernel) / kernel.prod()
        average = F.conv2d(input, weight, None, stride, padding, dilation, groups=input.shape[1])
    return (average, None) if return_indices else average


def _positive_copy(model):
    """A copy on the CPU in float64 whose weights are positive, with biases and batch statistics reset."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    memo = {id(tensor): _positive(name.rpartition(".")[2], tensor) for name, tensor in tensors}
    return copy.deepcopy(model, memo).eval()


def _positive(name, tensor):
    """A stand-in for a parameter or buffer."""
    if name.endswith(("bias", "running_mean")):
        return torch.zeros(tensor.shape, dtype=torch.float64)
    if name.endswith("running_var"):
        return torch.ones(tensor.shape, dtype=torch.float64)
    if isinstance(tensor, nn.Parameter) or name == "weight":
        return nn.Parameter(_random_weights(tensor.shape), requires_grad=False)
    return tensor.detach().to("cpu", torch.float64 if tensor.is_floating_point() else tensor.dtype)


def _random_weights(shape):
    """Positive numbers that average 1 / fan-in. The rows are windows on one sequence, which saves memory."""
    if len(shape) < 2:
        return _random(shape)
    fan_in = shape[1:].numel()
    sequence = _random((shape[0] + fan_in - 1,)) / fan_in
    return sequence.unfold(0, fan_in, 1).view(shape)


def _random(shape):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5


def _response(model, name, picture):
    """What the named layer of `model` answers to the picture, as a map (1, C, h, w)."""
    outputs = []
    layer = model.get_submodule(name)
    layer.register_forward_hook(lambda module, args, output: outputs.extend(x.clone() for x in tensors(output)))
    try:
        with _AveragePooling():
            model(picture)
    except Exception as error:
        if not outputs:
            raise ValueError(f"on an input of {times(picture.shape[1:])}, {name!r} is not reached: {error}") from error
    if not outputs or not outputs[-1].requires_grad:
        raise ValueError(f"{name!r} does not depend on the picture in eval mode")
    return outputs[-1] if outputs[-1].ndim == 4 else outputs[-1].reshape(1, -1, 1, 1)


def _seen(picture, units, index):
    """First and last pixel, each as (h, w), that the unit at `index` depends on in any channel."""
    unit = units[0, :, index[0], index[1]].sum()
    (gradient,) = torch.autograd.grad(unit, picture, retain_graph=True)
    pixels = (gradient[0] != 0).any(dim=0).nonzero()
    if len(pixels) == 0:
        raise ValueError(f"no gradient reaches the picture from unit {tuple(index.tolist())}")
    return pixels.amin(dim=0).numpy(), pixels.amax(dim=0).numpy()
