"""Maps of a class over the places of a layer: CAM, Grad-CAM and their relatives.

Each function takes a model, a float batch x (N, C, H, W), a target (see `score`) and a layer with outputs (N, K, h, w),
and returns raw maps (N, h, w). A layer that the model calls more than once counts with its last call. The model is run
in evaluation mode and left as it was.
"""

import torch
import torch.nn.functional as F
from torch import nn

from helpers.arguments import described
from helpers.conv import pair
from helpers.explain.batches import check_batch
from helpers.explain.gradients import guided_backprop
from helpers.explain.targets import gradient, score
from helpers.watch import output_of, watching


def cam(model, x, target, layer):
    """The class activation map: the sum over channels k of w_k A_k, w the class's weights in the last dense layer.

    Adds up, divided by the number of places, to the class's score less its bias. For a target that is a function of the
    logits, w is its gradient there times the weights. Raises ValueError unless the logits are one dense layer of the
    means of the layer's maps.
    Source: Zhou et al. (2016); Chapter 15, "Where the score comes from".
    """
    maps, output = _maps(model, x, layer)
    dense = _dense_layer(model, maps, output, layer)
    logits = output.detach().requires_grad_()
    with torch.enable_grad():
        weights = gradient(score(logits, target), logits, "the logits") @ dense.weight.detach()
    return torch.einsum("nk,nkhw->nhw", weights, maps.detach())


def grad_cam(model, x, target, layer, pool="mean", relu=False):
    """The sum over channels k of a_k A_k, a_k the mean (or the maximum) over the places of dS/dA_k.

    pool: "mean" or "max"; relu: keep only what is positive, as the paper does. Where CAM exists and pool is "mean",
    this is CAM divided by the number of places.
    Source: Selvaraju et al. (2017); Chapter 15, "From CAM to Grad-CAM".
    """
    if pool not in ("mean", "max"):
        raise ValueError(f"pool must be 'mean' or 'max', got {pool!r}")
    maps, slopes = _slopes(model, x, target, layer)
    weights = slopes.mean((2, 3)) if pool == "mean" else slopes.amax((2, 3))
    result = torch.einsum("nk,nkhw->nhw", weights, maps)
    return result.relu() if relu else result


def layer_cam(model, x, target, layer, relu=False):
    """The sum over channels k of max(dS/dA_k, 0) A_k, place by place. relu: keep only what is positive.

    Source: Jiang et al. (2021); Chapter 15, "A weight for every place".
    """
    maps, slopes = _slopes(model, x, target, layer)
    result = (slopes.relu() * maps).sum(1)
    return result.relu() if relu else result


def guided_grad_cam(model, x, target, layer):
    """Guided backpropagation (N, C, H, W) times the positive part of Grad-CAM, resampled to the picture.

    Source: Selvaraju et al. (2017); Chapter 15, "Guided Grad-CAM".
    """
    coarse = grad_cam(model, x, target, layer, relu=True)
    return guided_backprop(model, x, target) * upsample(coarse, x.shape[2:])[:, None]


def upsample(maps, size):
    """Maps (N, h, w) resampled bilinearly to `size`, an int or (h, w), corners of cells aligned with the picture's.

    Raises ValueError for maps of another shape.
    Source: Chapter 13, "Over the picture, and what resampling invents".
    """
    if not torch.is_tensor(maps) or maps.ndim != 3:
        raise ValueError(f"maps must be (N, h, w), got {described(maps)}")
    if not maps.is_floating_point():
        raise ValueError(f"maps must be floats, got {str(maps.dtype)[6:]}")
    return F.interpolate(maps[:, None], size=pair(size, "size"), mode="bilinear", align_corners=False)[:, 0]


def _maps(model, x, layer):
    """The layer's maps (N, K, h, w), where the graph of gradients begins, and the model's output."""
    check_batch(x)
    with watching(model, [layer], cut=True) as outputs, torch.no_grad():
        output = model(x.detach().clone())
        maps = output_of(outputs, layer)
    if maps.ndim != 4:
        raise ValueError(f"layer {layer!r} has no places: its output is {tuple(maps.shape)}, not (N, K, h, w)")
    return maps, output


def _slopes(model, x, target, layer):
    """The layer's maps and the gradient of the score with respect to them, each (N, K, h, w)."""
    maps, output = _maps(model, x, layer)
    with torch.enable_grad():
        return maps.detach(), gradient(score(output, target), maps, f"the layer {layer!r}")


def _dense_layer(model, maps, output, layer):
    """The model's one dense layer, which makes its output from the means of the maps."""
    means, shape = maps.detach().mean((2, 3)), getattr(output, "shape", ())
    slack = max(1e-3, 8 * torch.finfo(means.dtype).eps)  # rounding, which is coarse in half precision
    for dense in (module for module in model.modules() if isinstance(module, nn.Linear)):
        if dense.in_features == means.shape[1] and shape == (len(means), dense.out_features):
            made, rest = means @ dense.weight.detach().T, output.detach()
            rest = rest if dense.bias is None else rest - dense.bias.detach()
            if (made - rest).abs().max() <= slack * rest.abs().max():
                return dense
    raise ValueError(
        f"CAM needs logits that are one dense layer of the means of the maps of {layer!r} (global average pooling); "
        f"this {type(model).__name__} computes them in another way: use grad_cam"
    )
