"""Receptive fields: which pixels of the picture a unit of a network can see.

The recurrence is that of Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks",
Distill (2019), doi:10.23915/distill.00021. It is built in Chapter 3, in the section "The recurrence".
"""

import copy
import difflib
import operator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.fx.node import map_aggregate
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode


class ReceptiveField(NamedTuple):
    """The unit at index i sees `size` pixels from i*stride - padding on; each is a pair (h, w).

    Where every unit sees the whole picture, size is the picture's, stride and padding are 0.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


def receptive_fields(model, input_size):
    """Receptive field of every layer and container in `model`, from the geometry alone.

    `input_size` is (C, H, W), (N, C, H, W), (H, W) or an int for a square picture, in pixels. Returns a dict from
    qualified module name to ReceptiveField: of a container, the field of the last thing computed inside; of a module
    called several times, that of the last call. Where branches meet, it is the smallest window that holds them all.
    Windows near the border reach beyond the picture. Global or irregular adaptive pooling, a linear layer on a
    flattened map and normalisation over positions see the whole picture.

    Raises ValueError if torch.fx cannot trace the model, if the model cannot take the input, or if branches of
    different strides meet; NotImplementedError, naming the layer, if an operation is not known to keep positions.
    """
    shape = _input_shape(model, input_size)
    with _evaluating(model), torch.no_grad():
        return _Recurrence(model).table(_zeros(model, shape))


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
    name = _layer_name(model, layer)
    picture = _random(_input_shape(model, input_size)).mul(1e-6).requires_grad_()
    units = _response(_positive_copy(model), name, picture)
    extent, pixels = np.array(units.shape[2:]), np.array(picture.shape[2:])
    centre = (extent - 1) // 2
    first, last = _seen(picture, units, centre)
    next_first, next_last = _seen(picture, units, np.minimum(centre + 1, extent - 1))
    if ((extent > 1) & ((first == 0) | (next_last == pixels - 1))).any():
        raise ValueError(
            f"the receptive field of {name!r} is cut off at the border of a picture of {_times(pixels)} pixels: "
            "use a larger input (unless the layer sees the whole picture at any size)"
        )
    stride = next_first - first
    return _field(last - first + 1, stride, np.where(extent > 1, centre * stride - first, 0))


# The recurrence -------------------------------------------------------------------------------------------------------


class _Map(NamedTuple):
    """What is known of a tensor: its units' field, and which of its axes, counted from the right, are h and w.

    Stride 0 marks a field that is the whole picture. An axis is None where that is so, or where one unit is left.
    """

    field: ReceptiveField
    axes: tuple[int | None, int | None]

    def slide(self, kernel, stride=1, padding=0, dilation=1):
        """A window of `kernel` units slides over the map."""
        size, jump, offset = np.array(self.field)
        reach = np.multiply(dilation, np.subtract(kernel, 1))
        field = _field(size + reach * jump, jump * stride, offset + np.multiply(padding, jump))
        return self._replace(field=field)

    def mix(self, axes):
        """All units along `axes` are mixed."""
        mixed = [axis in axes for axis in self.axes]
        axes = tuple(None if m else axis for m, axis in zip(mixed, self.axes))
        return _Map(_field(*np.where(mixed, 0, self.field)), axes)


_PICTURE = _Map(ReceptiveField((1, 1), (1, 1), (0, 0)), axes=(-2, -1))
_WHOLE = _Map(ReceptiveField((0, 0), (0, 0), (0, 0)), axes=(None, None))


def _field(*pairs):
    return ReceptiveField(*(tuple(int(number) for number in pair) for pair in pairs))


def _union(inputs):
    """The map of tensors laid over each other: its field is the smallest window that holds theirs."""
    size, jump, offset = np.stack([x.map.field for x in inputs], axis=1)
    whole = (jump == 0).any(axis=0)
    if (~whole & (jump != jump[0])).any():
        raise ValueError(f"branches with strides {' and '.join(map(_times, jump))} meet")
    start, end = offset.max(axis=0), (size - offset).max(axis=0)
    axes = tuple(None if w else _common_axis(inputs, place) for place, w in enumerate(whole))
    return _Map(_field(*np.where(whole, 0, (start + end, jump[0], start))), axes)


def _common_axis(inputs, place):
    axes = [x.map.axes[place] for x in inputs]
    extents = {1 if axis is None else x.shape[axis] for x, axis in zip(inputs, axes)}
    places = set(axes) - {None}
    if len(extents) > 1 or len(places) > 1:
        raise NotImplementedError("tensors whose positions do not correspond are combined")
    return next(iter(places), None)


# One rule for each function that is not positionwise, with the function's own arguments -------------------------------


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


_RULES = {
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
_OPENED = (
    *(nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    *(nn.ZeroPad2d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d),
    *(nn.LayerNorm, nn.GroupNorm, nn.Linear, nn.Softmax, nn.LogSoftmax, nn.Flatten, nn.Unflatten),
)

# Layers, functions and methods that keep every position to itself, in small letters and without underscores.
_POSITIONWISE = set(
    """
    relu relu6 leakyrelu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid logsigmoid
    tanh tanhshrink hardshrink softshrink softplus softsign threshold identity dropout dropout2d alphadropout
    featurealphadropout stochasticdepth localresponsenorm channelshuffle
    add sub rsub mul div truediv pow iadd isub imul itruediv neg abs sign square sqrt rsqrt exp log log1p sin cos
    reciprocal clamp clampmin clampmax clip maximum minimum where lerp addcmul addcdiv
    contiguous clone detach to float double half bfloat16 typeas
    """.split()
)


# Calls that only move units -------------------------------------------------------------------------------------------

_MOVES = set(
    """
    view reshape flatten unflatten permute transpose swapaxes movedim squeeze unsqueeze expand expand_as view_as
    getitem narrow select chunk split unbind cat concat stack
    """.split()
)


def _coordinates(x, place):
    """A tensor shaped like `x` that holds each unit's index along h (place 0) or w (place 1)."""
    axis = x.map.axes[place]
    if axis is None:
        return torch.zeros(x.shape, dtype=torch.int)
    index = torch.arange(x.shape[axis], dtype=torch.int)
    return index.reshape(-1, *[1] * (-axis - 1)).expand(x.shape).contiguous()


def _moved(before, h, w):
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


# Walking through a model ----------------------------------------------------------------------------------------------


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module, name):
        return super().is_leaf_module(module, name) and not isinstance(module, _OPENED)


class _Recurrence(fx.Interpreter):
    """Runs a model on a picture; each tensor that depends on the picture gets its _Map as attribute `map`."""

    def __init__(self, model):
        super().__init__(_traced(model))
        self.model, self.extra_traceback, self.fields = model, False, {}

    def table(self, picture):
        self.picture, picture.map = picture, _PICTURE
        self.run(picture)
        names = [name for name, _ in self.model.named_modules(remove_duplicate=False)]
        return {name: self.fields[name] for name in names if name in self.fields}

    def run_node(self, node):
        try:
            value = super().run_node(node)
            self.follow(node, _tensors(value))
        except Exception as error:
            kind = NotImplementedError if isinstance(error, NotImplementedError) else ValueError
            raise kind(f"{self.place(node)}: {error}") from error
        return value

    def follow(self, node, outputs):
        inputs = self.inputs(node)
        if not inputs or not outputs:
            return
        for output, after in zip(outputs, self.maps(node, inputs, outputs)):
            output.map = _WHOLE if _is_vector(output, after) else after
        for path in node.meta.get("nn_module_stack", ()):
            self.fields[path.partition("@")[0]] = self.on_picture(outputs[-1].map.field)

    def inputs(self, node):
        values = [self.env[source] for source in node.all_input_nodes]
        picks_result = node.target is operator.getitem and not isinstance(values[0], torch.Tensor)
        if node.op == "output" or picks_result:
            return []
        return [x for value in values for x in _tensors(value) if hasattr(x, "map")]

    def maps(self, node, inputs, outputs):
        """The map of each output."""
        if any(x.map == _WHOLE for x in inputs):
            return [_WHOLE] * len(outputs)
        name, args, kwargs = self.call(node)
        if name in _MOVES:
            before = _union(inputs)
            return [_moved(before, h, w) for h, w in zip(self.replay(node, 0), self.replay(node, 1))]
        if name in _RULES and len(inputs) == 1:
            return [_RULES[name](*args, **kwargs)] * len(outputs)
        if name.lower().replace("_", "") in _POSITIONWISE:
            return [_union(inputs)] * len(outputs)
        raise NotImplementedError(f"{name} may mix positions in a way that is not known")

    def call(self, node):
        """(name, args, kwargs) of the function, method or layer that the node calls."""
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        if node.op != "call_module":
            return getattr(node.target, "__name__", node.target), args, kwargs
        module = self.fetch_attr(node.target)
        if isinstance(module, _NormBase):
            return "batch_norm", (*args, module.running_mean), kwargs
        return type(module).__name__, args, kwargs

    def replay(self, node, place):
        """The outputs of the same call on the coordinates of its inputs' units."""
        arguments = self.fetch_args_kwargs_from_env(node)
        args, kwargs = map_aggregate(arguments, lambda x: _coordinates(x, place) if hasattr(x, "map") else x)
        return _tensors(getattr(self, node.op)(node.target, args, kwargs))

    def on_picture(self, field):
        whole = np.equal(field.stride, 0)
        return _field(*np.where(whole, (self.picture.shape[-2:], (0, 0), (0, 0)), field))

    def place(self, node):
        """Where an error happened, for its message."""
        model, (_, *picture) = type(self.model).__name__, self.picture.shape
        paths = [path.partition("@")[0] for path in node.meta.get("nn_module_stack", ())]
        if not paths:
            return f"{model} on an input of {_times(picture)}, call of {node.name}"
        layer = type(self.model.get_submodule(paths[-1])).__name__
        return f"{model} on an input of {_times(picture)}, layer {paths[-1]!r} ({layer})"


def _traced(model):
    name = type(model).__name__
    try:
        return fx.GraphModule(model, _Tracer().trace(model), name)
    except Exception as error:
        raise ValueError(f"torch.fx cannot trace {name}: {error}") from error


def _tensors(value):
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return [x for item in value for x in _tensors(item)]
    return [value] if isinstance(value, torch.Tensor) else []


def _is_vector(x, after):
    return x.ndim <= 2 and len(set(after.axes) - {None}) < 2


@contextmanager
def _evaluating(model):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _zeros(model, shape):
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros(shape, dtype=like.dtype, device=like.device)


def _input_shape(model, input_size):
    size = (input_size, input_size) if np.ndim(input_size) == 0 else tuple(input_size)
    size = (_channels(model), *size) if len(size) == 2 else size
    if len(size) not in (3, 4) or min(size) < 1:
        raise ValueError(f"input_size must be (C, H, W), (N, C, H, W), (H, W) or an int, got {input_size!r}")
    return (1, *size[-3:])


def _channels(model):
    """Channels that the first layer with weights takes; 1 if there is no such layer."""
    layers = (m for m in model.modules() if isinstance(getattr(m, "weight", None), torch.Tensor))
    first = next(layers, None)
    names = ("in_channels", "num_features", "num_channels")
    return next((getattr(first, name) for name in names if hasattr(first, name)), 1)


def _times(numbers):
    return "x".join(str(int(number)) for number in numbers)


# Measuring ------------------------------------------------------------------------------------------------------------


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
    layer.register_forward_hook(lambda module, args, output: outputs.extend(x.clone() for x in _tensors(output)))
    try:
        with _AveragePooling():
            model(picture)
    except Exception as error:
        if not outputs:
            raise ValueError(f"on an input of {_times(picture.shape[1:])}, {name!r} is not reached: {error}") from error
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


def _layer_name(model, layer):
    layers = dict(model.named_modules(remove_duplicate=False))
    found = [name for name, module in layers.items() if layer is module or layer == name]
    if found:
        return found[0]
    if isinstance(layer, nn.Module):
        raise ValueError(f"{type(model).__name__} does not contain this {type(layer).__name__}")
    near = ", ".join(map(repr, difflib.get_close_matches(layer, layers))) or "none"
    raise ValueError(f"{type(model).__name__} has no layer {layer!r}; similar names: {near}")
