"""The recurrence: what a window, a branch or a mixture does to receptive fields."""

from typing import NamedTuple

import numpy as np
import torch

from helpers.arguments import whole
from helpers.watch import check_model


class ReceptiveField(NamedTuple):
    """The unit at index i sees `size` pixels from i*stride - padding on; each is a pair (h, w).

    Where every unit sees the whole picture, size is the picture's, stride and padding are 0.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


class Map(NamedTuple):
    """What is known of a tensor: its units' field, and which of its axes, counted from the right, are h and w.

    Stride 0 marks a field that is the whole picture. An axis is None where that is so, or where one unit is left.
    """

    field: ReceptiveField
    axes: tuple[int | None, int | None]

    def slide(self, kernel, stride=1, padding=0, dilation=1):
        """A window of `kernel` units slides over the map."""
        size, jump, offset = np.array(self.field)
        reach = np.multiply(dilation, np.subtract(kernel, 1))
        field = as_field(size + reach * jump, jump * stride, offset + np.multiply(padding, jump))
        return self._replace(field=field)

    def mix(self, axes):
        """All units along `axes` are mixed."""
        mixed = [axis in axes for axis in self.axes]
        axes = tuple(None if m else axis for m, axis in zip(mixed, self.axes))
        return Map(as_field(*np.where(mixed, 0, self.field)), axes)


PICTURE = Map(ReceptiveField((1, 1), (1, 1), (0, 0)), axes=(-2, -1))
WHOLE = Map(ReceptiveField((0, 0), (0, 0), (0, 0)), axes=(None, None))


def as_field(*pairs):
    return ReceptiveField(*(tuple(int(number) for number in pair) for pair in pairs))


def union(inputs):
    """The map of tensors laid over each other: its field is the smallest window that holds theirs."""
    size, jump, offset = np.stack([x.map.field for x in inputs], axis=1)
    whole = (jump == 0).any(axis=0)
    if (~whole & (jump != jump[0])).any():
        raise ValueError(f"branches with strides {' and '.join(map(times, jump))} meet")
    start, end = offset.max(axis=0), (size - offset).max(axis=0)
    axes = tuple(None if w else _common_axis(inputs, place) for place, w in enumerate(whole))
    return Map(as_field(*np.where(whole, 0, (start + end, jump[0], start))), axes)


def _common_axis(inputs, place):
    axes = [x.map.axes[place] for x in inputs]
    extents = {1 if axis is None else x.shape[axis] for x, axis in zip(inputs, axes)}
    places = set(axes) - {None}
    if len(extents) > 1 or len(places) > 1:
        raise NotImplementedError("tensors whose positions do not correspond are combined")
    return next(iter(places), None)


def input_shape(model, input_size):
    """(1, C, H, W). Raises ValueError for what is no size, and for what is no torch.nn.Module."""
    check_model(model)
    size = _whole_numbers(input_size if np.iterable(input_size) else (input_size, input_size))
    size = (_channels(model), *size) if len(size) == 2 else size
    if len(size) not in (3, 4):
        forms = "a side in pixels, (H, W), (C, H, W) or (N, C, H, W), of whole numbers from 1 on"
        raise ValueError(f"input_size must be {forms}: got {input_size!r}")
    return (1, *size[-3:])


def _whole_numbers(values):
    """The values as ints, or none if one of them is no whole number of at least 1."""
    try:
        return tuple(whole("a side", value, 1) for value in values)
    except ValueError:
        return ()


def _channels(model):
    """Channels that the first layer with weights takes; 1 if there is no such layer."""
    layers = (m for m in model.modules() if isinstance(getattr(m, "weight", None), torch.Tensor))
    first = next(layers, None)
    names = ("in_channels", "num_features", "num_channels")
    return next((getattr(first, name) for name in names if hasattr(first, name)), 1)


def tensors(value):
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return [x for item in value for x in tensors(item)]
    return [value] if isinstance(value, torch.Tensor) else []


def times(numbers):
    return "x".join(str(int(number)) for number in numbers)
