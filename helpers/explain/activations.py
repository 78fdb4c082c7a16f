"""The outputs of inner layers."""

import torch

from helpers.explain.batches import check_batch
from helpers.watch import find_layer, watching


def activations(model, x, layers):
    """The outputs of the named layers for x, as a dict {qualified name: tensor}, in the order asked for.

    x: float batch (N, C, H, W); layers: a name or module, or a list of them. A layer that is called more than once
    gives its last output. The model is run in evaluation mode, without gradients, and left as it was. Raises ValueError
    for an unknown layer, with near matches, and one that the forward pass does not use or whose output is no tensor.
    Source: Chapter 13, "Three ways to look inside".
    """
    check_batch(x)
    layers = list(layers) if isinstance(layers, (list, tuple)) else [layers]
    names = [find_layer(model, layer)[0] for layer in layers]
    with watching(model, layers) as outputs, torch.no_grad():
        model(x.clone())
    if unused := [name for name in names if name not in outputs]:
        raise ValueError(f"the forward pass does not use {', '.join(unused)}")
    return {name: outputs[name] for name in names}
