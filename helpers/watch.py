"""Run a model to look inside it, and leave it as it was; find its layers by name."""

import difflib
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def watching(model, layers=(), cut=False):
    """Evaluation mode, the outputs of `layers` recorded; afterwards modes and hooks are as they were, errors or not.

    Yields a dict that each forward pass fills: qualified name -> output (of its last call, where a layer is called
    more than once), a copy, so that an in-place ReLU or addition after the layer does not change the record.
    cut: the graph of gradients begins at the recorded output, a leaf; run the model under `torch.no_grad()`, since what
    comes before the layer needs no graph. Raises ValueError for what is no torch.nn.Module, and as `find_layer` does.
    """
    check_model(model)
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

    Raises ValueError for a name that the model has not, with near matches, for a module of another model, and for
    layers of a scripted, traced or compiled model, which can't be watched.
    """
    check_model(model)
    named = dict(model.named_modules(remove_duplicate=False))
    _check_open(named, "")
    name = _name(model, named, layer)
    _check_open(named, name)
    return name, named[name]


def output_of(outputs, layer):
    """The one recorded output. Raises ValueError if the forward pass never reached the layer."""
    if not outputs:
        raise ValueError(f"the forward pass does not use the layer {layer!r}")
    return next(iter(outputs.values()))


def check_model(model):
    """Raises ValueError unless the model is a torch.nn.Module."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"the model must be a torch.nn.Module, got {type(model).__name__}")


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


def _name(model, named, layer):
    if isinstance(layer, nn.Module):
        names = [name for name, module in named.items() if module is layer]
        if not names:
            raise ValueError(f"the layer {type(layer).__name__} is not part of this {type(model).__name__}")
        return names[0]
    if not isinstance(layer, str) or layer not in named or layer == "":
        raise ValueError(f"no layer {layer!r} in this {type(model).__name__}; {_near(layer, [n for n in named if n])}")
    return layer


def _check_open(named, name):
    """Raises ValueError where the layer is, or lies in, code of torch.jit or torch.compile, which calls no hooks."""
    parts = name.split(".")
    for path in [".".join(parts[:i]) for i in range(len(parts) + 1)]:
        module = named[path]
        compiled = hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
        if compiled or isinstance(module, torch.jit.ScriptModule):
            where, kind = repr(path) if path else "the model", "compiled" if compiled else "scripted or traced"
            raise ValueError(f"{where} is {kind}, which hides its layers: use the module that it was made from")


def _near(layer, names):
    near = difflib.get_close_matches(str(layer), names, n=5, cutoff=0.5)
    near += [n for n in names if str(layer) and str(layer) in n and n not in near][: 5 - len(near)]
    return f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(names[:12])}, ..."
