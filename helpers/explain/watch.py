"""Run a model to look inside it, and leave it as it was; find its layers by name, its scores by target."""

import difflib
import operator
from contextlib import contextmanager

import torch
from torch import nn

PIXELS = 8 * 224 * 224  # that pass through a model at once, where a method needs many passes


@contextmanager
def watching(model, layers=(), cut=False):
    """Evaluation mode, the outputs of `layers` recorded; afterwards modes and hooks are as they were, errors or not.

    Yields a dict that each forward pass fills: qualified name -> output (of its last call, where a layer is called
    more than once), a copy, so that an in-place ReLU or addition after the layer does not change the record.
    cut: the graph of gradients begins at the recorded output, a leaf; run the model under `torch.no_grad()`, since what
    comes before the layer needs no graph.
    """
    found, outputs, handles = dict(find_layer(model, layer) for layer in layers), {}, []
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        handles += [module.register_forward_hook(_recorder(outputs, name, cut)) for name, module in found.items()]
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training


def find_layer(model, layer):
    """(qualified name, module) of a layer given by its name or as the module itself.

    Raises ValueError for a name that the model has not, with near matches, and for a module of another model.
    """
    named = dict(model.named_modules(remove_duplicate=False))
    if isinstance(layer, nn.Module):
        names = [name for name, module in named.items() if module is layer]
        if not names:
            raise ValueError(f"the layer {type(layer).__name__} is not part of this {type(model).__name__}")
        return names[0], layer
    if not isinstance(layer, str) or layer not in named or layer == "":
        raise ValueError(f"no layer {layer!r} in this {type(model).__name__}; {_near(layer, [n for n in named if n])}")
    return layer, named[layer]


def output_of(outputs, layer):
    """The one recorded output. Raises ValueError if the forward pass never reached the layer."""
    if not outputs:
        raise ValueError(f"the forward pass does not use the layer {layer!r}")
    return next(iter(outputs.values()))


def score(output, target):
    """The numbers, one a picture, (N,), that `target` names in a model's output.

    target: the index of a class (of logits (N, K)), a list, tuple or tensor of N indices, or a function of the output
    that returns (N,) or a single number. Raises ValueError for anything else, and for an index that is not there.
    """
    if callable(target):
        value = target(output)
        if not torch.is_tensor(value) or value.ndim > 1 or (value.ndim and len(value) != _rows(output, len(value))):
            shape = tuple(value.shape) if torch.is_tensor(value) else type(value).__name__
            raise ValueError(f"a target function must return one number a picture, (N,), or a single one, got {shape}")
        return value
    if not torch.is_tensor(output) or output.ndim != 2:
        shape = tuple(output.shape) if torch.is_tensor(output) else type(output).__name__
        raise ValueError(f"a class index needs an output (N, classes), this one is {shape}: pass a function of it")
    return output.gather(1, _indices(target, *output.shape).to(output.device)[:, None])[:, 0]


def scores(output, target, n):
    """`score` of several batches of n pictures that went through the model as one, (M,); M for a single number too."""
    if not torch.is_tensor(output):
        return score(output, target).reshape(-1)
    return torch.cat([score(part, target).reshape(-1) for part in output.split(n)])


def one_a_picture(value, n):
    """The scores of n pictures, (n,). Raises ValueError for a single number in their place."""
    if value.ndim == 0 and n > 1:
        raise ValueError(f"the target must return one number for each of the {n} pictures, got a single one")
    return value.reshape(-1)


def gradient(value, at, what):
    """The gradient of the sum of `value` at `at`; parameters' `.grad` stays as it is.

    Raises ValueError, naming `what`, where there is none.
    """
    if not value.requires_grad:
        raise ValueError("the target has no gradient: compute it from the output by differentiable steps")
    (result,) = torch.autograd.grad(value.sum(), at, allow_unused=True)
    if result is None:
        raise ValueError(f"the target does not depend on {what}")
    return result


def at_once(x):
    """How many pictures of x's size to give a model at once: enough to keep it busy, few enough for the memory."""
    return max(1, PIXELS // x[0, 0].numel())


def in_parts(items, most):
    """A tensor cut into as few parts of at most `most` rows as can be, nearly equal ones."""
    return items.tensor_split(-(-len(items) // max(1, most)))


def check_batch(x):
    """Raises ValueError unless x is a batch of floats, (N, C, H, W) for pictures, with at least one."""
    if not torch.is_tensor(x) or not x.is_floating_point():
        kind = str(x.dtype)[6:] if torch.is_tensor(x) else type(x).__name__
        raise ValueError(f"x must be a float tensor, preprocessed as the model expects, got {kind}")
    if x.ndim == 3 or x.ndim < 2 or not len(x):
        raise ValueError(f"x must be a batch (N, C, H, W) of at least one picture, got shape {tuple(x.shape)}")


def _recorder(outputs, name, cut):
    def hook(module, inputs, output):
        if not torch.is_tensor(output):
            raise ValueError(f"layer {name!r} returns a {type(output).__name__}, not a tensor")
        if not cut:
            outputs[name] = output.clone()
            return None
        torch.set_grad_enabled(True)  # until the caller's no_grad ends
        outputs[name] = output.detach().requires_grad_()
        return outputs[name].clone()

    return hook


def _indices(target, n, n_classes):
    try:
        values = target.tolist() if hasattr(target, "tolist") else target
        one = [values] * n if not isinstance(values, (list, tuple)) else values
        indices = [operator.index(i) for i in one if not isinstance(i, bool)]
    except TypeError:
        indices, one = [], [None]
    if len(indices) != len(one):
        raise ValueError(f"target must be a class index, {n} of them or a function of the output, got {target!r}")
    if len(indices) != n:
        raise ValueError(f"{n} pictures but {len(indices)} targets")
    if not all(0 <= i < n_classes for i in indices):
        raise ValueError(f"class indices must lie between 0 and {n_classes - 1}, got {target!r}")
    return torch.tensor(indices)


def _rows(output, otherwise):
    return len(output) if torch.is_tensor(output) and output.ndim else otherwise


def _near(layer, names):
    near = difflib.get_close_matches(str(layer), names, n=5, cutoff=0.5)
    near += [n for n in names if str(layer) and str(layer) in n and n not in near][: 5 - len(near)]
    return f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(names[:12])}, ..."
