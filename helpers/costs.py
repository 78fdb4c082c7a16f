"""What a network costs: parameters, multiply-adds and values written, layer by layer, and bytes kept for training.

Nothing is computed: the model's shapes are followed on torch's meta device, so VGG16 takes no memory to count.
Source: Chapter 10, "Counting by machine".
"""

import copy
import inspect
import math
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from helpers.memory import Kept
from helpers.receptive.field import input_shape, tensors
from helpers.watch import check_model


class LayerCost(NamedTuple):
    """One call of a layer, or of a function that a module calls itself, for one picture.

    input, output: shapes without the batch, such as (64, 56, 56); of several tensors, a tuple of shapes. parameters: at
    the first call that uses them only, so that the column adds up to those of all parts that run; an auxiliary head,
    which evaluation mode leaves out, has no row. multiply_adds: those of convolutions and dense layers, a product and
    its addition counting once, biases not, products with the zeros of a padding counting; 0 for everything else.
    activations: numbers written to new memory; 0 for what works in place or only looks at the same memory in another
    way.
    """

    name: str
    kind: str
    input: tuple
    output: tuple
    parameters: int
    multiply_adds: int
    activations: int


def layer_costs(model, input_size):
    """A LayerCost for each call of a layer without parts, in the order of the calls; functions between layers, too.

    input_size is as in `receptive_fields`: (C, H, W), (H, W), or a number for a square picture. The model stays as it
    is; its shapes are those of evaluation mode. A module that has parts and parameters of its own gets a row after
    its parts. Raises ValueError, naming the layer, if the model can't take the input, if it needs more than one, or is
    scripted or compiled, and NotImplementedError, naming the place, where weights are multiplied outside of the layers
    that are known (attention, recurrent layers, torch.nn.functional). Source: Chapter 10, "Counting by machine".
    """
    shape, model = input_shape(model, input_size), on_meta(model).eval()
    with _Watcher(model) as watcher, named_errors(model, shape, watcher.place), torch.no_grad():
        model(blank(model, shape))
    return watcher.rows


@torch.inference_mode(False)
@torch.enable_grad()
def training_bytes(model, input_size):
    """The bytes that autograd keeps for each picture of a batch until the backward pass, parameters left out.

    The model is followed in training mode, as it comes: what works in place saves memory. Counted as the difference of
    a batch of three and one of two, so that what is kept once for a batch is left out. Float32 takes 4 bytes, an index
    of max pooling 8. Raises ValueError as `layer_costs`. Source: Chapter 10, "What training keeps".
    """
    shape, model, kept = input_shape(model, input_size), on_meta(model).train(), []
    places = _Places(model)
    for n in (2, 3):
        with Kept(model) as counted, named_errors(model, shape, places.place):
            out = model(blank(model, (n, *shape[1:])))
        kept.append(counted.now)
        del out
    return kept[1] - kept[0]


def on_meta(model):
    """A copy of the model on torch's meta device, made without copying a weight: shapes, and no numbers.

    Raises ValueError for what is no torch.nn.Module, for a model that is, or holds, a scripted or compiled one, and for
    one that needs more than one input.
    """
    check_model(model)
    if any(isinstance(m, torch.jit.ScriptModule) or hasattr(m, "_orig_mod") for m in model.modules()):
        raise ValueError("a scripted or compiled model hides its layers: use the module that it was made from")
    _check_one_input(model)
    named = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(t): _like(t) for t in named})


def blank(model, shape):
    """An input of zeros on the meta device, with the precision of the model's weights."""
    precisions = (p.dtype for p in model.parameters() if p.is_floating_point())
    return torch.zeros(shape, device="meta", dtype=next(precisions, None))


@contextmanager
def named_errors(model, shape, place):
    """Turns errors into ValueErrors that name the model, its input and the layer, which `place` says."""
    try:
        yield
    except NotImplementedError:
        raise
    except Exception as error:
        name, size = type(model).__name__, "x".join(map(str, shape[1:]))
        raise ValueError(f"{name} on an input of {size}, in {place()}: {error}") from error


def _check_one_input(model):
    try:
        inspect.signature(model.forward).bind("pictures")
    except TypeError as error:
        raise ValueError(f"{type(model).__name__} must take one input, a batch of pictures: {error}") from error


def _like(tensor):
    empty = torch.empty_like(tensor, device="meta")
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def _convolution(layer, x, y):
    """Each output is a sum of F*F*C/groups products; each input of a transposed convolution makes as many."""
    return (x if layer.transposed else y).numel() * math.prod(layer.weight.shape[1:])


def _dense(layer, x, y):
    return y.numel() * layer.in_features


KINDS = {nn.modules.conv._ConvNd: _convolution, nn.Linear: _dense}
# What multiplies weights, or tensors, as matrices: to be counted by a layer that is known, or not at all.
PRODUCTS = {f"conv{t}{d}d" for t in ("", "_transpose") for d in (1, 2, 3)}
PRODUCTS |= {"linear", "bilinear", "matmul", "rmatmul", "mm", "bmm", "mv", "dot", "vdot", "addmm", "addbmm", "addmv"}
PRODUCTS |= {"addr", "ger", "baddbmm", "einsum", "tensordot", "inner", "outer", "chain_matmul", "kron", "cdist"}
PRODUCTS |= {"linalg_matmul", "linalg_multi_dot", "linalg_vecdot", "linalg_matrix_power", "matrix_power", "conv_tbc"}
PRODUCTS |= {"convolution", "scaled_dot_product_attention", "multi_head_attention_forward"}
PRODUCTS |= {"rnn_tanh", "rnn_relu", "lstm", "gru", "rnn_tanh_cell", "rnn_relu_cell", "lstm_cell", "gru_cell"}


class _Places:
    """Which module runs: the last of `stack`, by hooks."""

    def __init__(self, model):
        super().__init__()
        self.stack, self.model = [], model
        for name, module in model.named_modules():
            module.register_forward_pre_hook(lambda m, args, name=name: self.enter(name, m), with_kwargs=False)
            module.register_forward_hook(self.leave, with_kwargs=True)

    def enter(self, name, module):
        self.stack.append((name, module))

    def leave(self, module, args, kwargs, output):
        self.stack.pop()

    def place(self):
        if not self.stack:
            return f"the {type(self.model).__name__}"
        name, module = self.stack[-1]
        return f"layer {name!r} ({type(module).__name__})" if name else f"the {type(module).__name__}"


class _Watcher(_Places, TorchFunctionMode):
    """Rows for the calls of leaf modules, by hooks, and for functions called by modules with parts."""

    def __init__(self, model):
        super().__init__(model)
        self.rows, self.seen = [], set()

    def leave(self, module, args, kwargs, output):
        name, _ = self.stack[-1]
        super().leave(module, args, kwargs, output)
        new = set(module.parameters(recurse=False)) - self.seen
        self.seen |= new
        own = sum(p.numel() for p in new)
        inputs = tensors([args, kwargs])
        if _is_layer(module):
            known = next((count for kind, count in KINDS.items() if isinstance(module, kind)), None)
            products = known(module, inputs[0], output) if known else 0
            self.row(name, type(module).__name__, inputs, output, own, products)
        elif own:
            self.rows.append(LayerCost(name, type(module).__name__, _shapes(inputs), _shapes([output]), own, 0, 0))

    def row(self, name, kind, inputs, output, parameters=0, products=0):
        places = {t.untyped_storage()._cdata for t in inputs}
        new = {t.untyped_storage()._cdata: t.numel() for t in tensors(output)}
        written = sum(n for place, n in new.items() if place not in places)
        self.rows.append(LayerCost(name, kind, _shapes(inputs), _shapes([output]), parameters, products, written))

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, getattr(function, "__name__", "")
        module = self.stack[-1][1] if self.stack else self.model
        if name.strip("_") in PRODUCTS and not isinstance(module, tuple(KINDS)):
            raise NotImplementedError(f"{self.place()} calls {name}, which no layer known here counts")
        output = function(*args, **kwargs)
        inputs = tensors([args, kwargs])
        if self.stack and not _is_layer(module) and inputs and tensors(output):
            path = self.stack[-1][0]
            self.row(f"{path}.{name}".lstrip("."), name, inputs, output)
            if not self.rows[-1].activations and self.rows[-1].input == self.rows[-1].output:
                self.rows.pop()  # looked at or worked in place, and nothing has changed its shape
        return output


def _is_layer(module):
    return isinstance(module, tuple(KINDS)) or not any(True for _ in module.children())


def _shapes(values):
    shapes = tuple(tuple(t.shape[1:]) for t in tensors(values))
    return shapes[0] if len(shapes) == 1 else shapes
