"""What in the picture a network's answer rests on: activations, gradients, occlusion, class maps, patches, scores.

`gradients`, `rectifiers`, `hiding` and `cams` make maps; `patches` finds what a channel answers to; `scores` measures
maps; `batches` and `targets` say what may be explained. `helpers.watch` runs the model and leaves it as it was. Maps
come back raw, signed and batched: scaling is `helpers.plot`'s. Source: Chapters 13 to 16.
"""

from helpers.explain.activations import activations
from helpers.explain.cams import cam, grad_cam, guided_grad_cam, layer_cam, upsample
from helpers.explain.gradients import (
    deconvnet,
    guided_backprop,
    integrated_gradients,
    saliency,
    smooth_grad,
    strongest_channel,
    unit,
)
from helpers.explain.hiding import occlusion
from helpers.explain.patches import Patches, cut, max_activating_patches
from helpers.explain.scores import Curves, insertion_deletion, pointing_game

__all__ = [
    "Curves",
    "Patches",
    "activations",
    "cam",
    "cut",
    "deconvnet",
    "grad_cam",
    "guided_backprop",
    "guided_grad_cam",
    "insertion_deletion",
    "integrated_gradients",
    "layer_cam",
    "max_activating_patches",
    "occlusion",
    "pointing_game",
    "saliency",
    "smooth_grad",
    "strongest_channel",
    "unit",
    "upsample",
]
