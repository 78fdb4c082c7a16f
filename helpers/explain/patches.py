"""Which pictures, and which part of them, the channels of a layer answer to most strongly."""

from typing import NamedTuple

import numpy as np
import torch

from helpers.arguments import described, whole
from helpers.explain.batches import check_batch
from helpers.receptive import receptive_fields
from helpers.watch import find_layer, output_of, watching


class Patches(NamedTuple):
    """The strongest answers of one channel, the strongest first, at most one a picture.

    values: (k,) the answers; indices: (k,) int64, of the pictures; places: (k, 2) int64, row and column in the layer's
    map; boxes: (k, 4) int64, the receptive fields x0, y0, x1, y1 in pixels of what the model was given, the last ones
    exclusive; a box may reach beyond the picture.
    """

    values: torch.Tensor
    indices: torch.Tensor
    places: torch.Tensor
    boxes: torch.Tensor


def max_activating_patches(model, images, layer, units, k=9, preprocess=None, batch_size=32):
    """The k strongest places of each of the channels over all pictures, as a dict {channel: Patches}.

    images: pictures (N, C, H, W), bytes or floats; preprocess: what makes a batch of them into the model's input (None:
    bytes become floats from 0 to 1). units: a channel or a list of them, of the layer's output (N, K, h, w). Where
    there are fewer than k pictures, all of them are given.
    Raises ValueError for no pictures, a layer without places, a channel that is not there and k below 1.
    Source: Zeiler and Fergus (2014); Girshick et al. (2014); Chapter 16, "The nine strongest patches".
    """
    units = [whole("a unit", unit) for unit in (units if np.ndim(units) else [units])]
    k, batch_size = whole("k", k, 1), whole("batch_size", batch_size, 1)
    if not torch.is_tensor(images) or images.ndim != 4 or not len(images):
        raise ValueError(f"images must be a tensor (N, C, H, W) of at least one picture, got {described(images)}")
    _, module = find_layer(model, layer)
    values, places, size = _strongest(model, images, layer, units, preprocess or _floats, batch_size)
    fields = receptive_fields(model, size)
    field = next(field for name, field in fields.items() if model.get_submodule(name) is module)
    best = values.sort(dim=0, descending=True, stable=True)
    rows = zip(units, best.values[:k].T, best.indices[:k].T)
    return {unit: _patches(value, index, places[index, i], field) for i, (unit, value, index) in enumerate(rows)}


def cut(pictures, boxes, fill=0.5):
    """The boxes x0, y0, x1, y1 (k, 4) cut out of the pictures (k, C, H, W), (k, C, h, w); `fill` beyond the border.

    fill: for bytes it is meant from 0 to 1, too. Raises ValueError for boxes of different sizes, or not one a picture.
    """
    boxes = torch.as_tensor(boxes)
    sizes = {(int(y1 - y0), int(x1 - x0)) for x0, y0, x1, y1 in boxes}
    if len(sizes) != 1 or len(boxes) != len(pictures):
        raise ValueError(
            f"{len(pictures)} pictures need as many boxes, all of one size: got {len(boxes)}, {sorted(sizes)}"
        )
    ((height, width),), fill = sizes, round(255 * fill) if pictures.dtype == torch.uint8 else fill
    patches = torch.full((*pictures.shape[:2], height, width), fill, dtype=pictures.dtype, device=pictures.device)
    for patch, picture, (x0, y0, _, _) in zip(patches, pictures, boxes.tolist()):
        top, left, bottom, right = max(y0, 0), max(x0, 0), y0 + height, x0 + width
        part = picture[:, top : max(bottom, 0), left : max(right, 0)]
        patch[:, top - y0 : top - y0 + part.shape[1], left - x0 : left - x0 + part.shape[2]] = part
    return patches


@torch.no_grad()
def _strongest(model, images, layer, units, preprocess, batch_size):
    """(N, units) values and (N, units, 2) places of the strongest answer in each picture, and the input's size."""
    values, places = [], []
    with watching(model, [layer]) as outputs:
        for batch in images.split(batch_size):
            x = preprocess(batch)
            check_batch(x, "what preprocess makes of the images")
            model(x.clone())
            maps = _channels(output_of(outputs, layer), units, layer)
            best = maps.flatten(2).max(2)
            values.append(best.values.cpu())
            places.append(torch.stack([best.indices // maps.shape[3], best.indices % maps.shape[3]], 2).cpu())
    return torch.cat(values), torch.cat(places), tuple(x.shape[1:])


def _channels(maps, units, layer):
    if maps.ndim != 4:
        raise ValueError(f"layer {layer!r} has no places: its output is {tuple(maps.shape)}, not (N, K, h, w)")
    if not all(0 <= unit < maps.shape[1] for unit in units):
        raise ValueError(f"layer {layer!r} has channels 0 to {maps.shape[1] - 1}, got {units}")
    return maps[:, units]


def _patches(values, indices, places, field):
    (height, width), stride, padding = field.size, torch.tensor(field.stride), torch.tensor(field.padding)
    corner = (places * stride - padding).flip(1)
    return Patches(values, indices, places, torch.cat([corner, corner + torch.tensor([width, height])], 1))


def _floats(images):
    return images.float() / 255 if images.dtype == torch.uint8 else images
