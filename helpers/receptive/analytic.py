"""The recurrence followed through a model, as torch.fx lists its calls."""

import operator

import numpy as np
import torch
from torch import fx
from torch.fx.node import map_aggregate
from torch.nn.modules.batchnorm import _NormBase

from helpers.receptive.field import PICTURE, WHOLE, as_field, input_shape, tensors, times, union
from helpers.receptive.rules import MOVES, OPENED, POSITIONWISE, RULES, coordinates, moved
from helpers.watch import watching


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
    shape = input_shape(model, input_size)
    with watching(model), torch.no_grad():
        return _Recurrence(model).table(_zeros(model, shape))


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module, name):
        return super().is_leaf_module(module, name) and not isinstance(module, OPENED)


class _Recurrence(fx.Interpreter):
    """Runs a model on a picture; each tensor that depends on the picture gets its Map as attribute `map`."""

    def __init__(self, model):
        super().__init__(_traced(model))
        self.model, self.extra_traceback, self.fields = model, False, {}

    def table(self, picture):
        self.picture, picture.map = picture, PICTURE
        self.run(picture)
        names = [name for name, _ in self.model.named_modules(remove_duplicate=False)]
        return {name: self.fields[name] for name in names if name in self.fields}

    def run_node(self, node):
        try:
            value = super().run_node(node)
            self.follow(node, tensors(value))
        except Exception as error:
            kind = NotImplementedError if isinstance(error, NotImplementedError) else ValueError
            raise kind(f"{self.place(node)}: {error}") from error
        return value

    def follow(self, node, outputs):
        inputs = self.inputs(node)
        if not inputs or not outputs:
            return
        for output, after in zip(outputs, self.maps(node, inputs, outputs)):
            output.map = WHOLE if _is_vector(output, after) else after
        for path in node.meta.get("nn_module_stack", ()):
            self.fields[path.partition("@")[0]] = self.on_picture(outputs[-1].map.field)

    def inputs(self, node):
        values = [self.env[source] for source in node.all_input_nodes]
        picks_result = node.target is operator.getitem and not isinstance(values[0], torch.Tensor)
        if node.op == "output" or picks_result:
            return []
        return [x for value in values for x in tensors(value) if hasattr(x, "map")]

    def maps(self, node, inputs, outputs):
        """The map of each output."""
        if any(x.map == WHOLE for x in inputs):
            return [WHOLE] * len(outputs)
        name, args, kwargs = self.call(node)
        if name in MOVES:
            before = union(inputs)
            return [moved(before, h, w) for h, w in zip(self.replay(node, 0), self.replay(node, 1))]
        if name in RULES and len(inputs) == 1:
            return [RULES[name](*args, **kwargs)] * len(outputs)
        if name.lower().replace("_", "") in POSITIONWISE:
            return [union(inputs)] * len(outputs)
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
        args, kwargs = map_aggregate(arguments, lambda x: coordinates(x, place) if hasattr(x, "map") else x)
        return tensors(getattr(self, node.op)(node.target, args, kwargs))

    def on_picture(self, field):
        whole = np.equal(field.stride, 0)
        return as_field(*np.where(whole, (self.picture.shape[-2:], (0, 0), (0, 0)), field))

    def place(self, node):
        """Where an error happened, for its message."""
        model, (_, *picture) = type(self.model).__name__, self.picture.shape
        paths = [path.partition("@")[0] for path in node.meta.get("nn_module_stack", ())]
        if not paths:
            return f"{model} on an input of {times(picture)}, call of {node.name}"
        layer = type(self.model.get_submodule(paths[-1])).__name__
        return f"{model} on an input of {times(picture)}, layer {paths[-1]!r} ({layer})"


def _traced(model):
    name = type(model).__name__
    try:
        return fx.GraphModule(model, _Tracer().trace(model), name)
    except Exception as error:
        raise ValueError(f"torch.fx cannot trace {name}: {error}") from error


def _is_vector(x, after):
    return x.ndim <= 2 and len(set(after.axes) - {None}) < 2


def _zeros(model, shape):
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros(shape, dtype=like.dtype, device=like.device)
