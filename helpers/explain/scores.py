"""How good a map is, where the truth is known, or by what the model does when it is followed."""

from typing import NamedTuple

import torch

from helpers.arguments import described, whole
from helpers.explain.batches import baseline_like, check_pictures
from helpers.explain.cams import upsample
from helpers.explain.targets import one_a_picture, score
from helpers.watch import watching


def pointing_game(maps, masks):
    """1 where a map's largest value lies on the object, 0 where not, (N,); ties count by their share on the object.

    maps: (N, h, w), resampled bilinearly to the masks' size where it differs; masks: bool (N, H, W). A map that is the
    same everywhere scores the object's share of the picture, as pointing blindly would. Raises ValueError for maps of
    another shape or with nan.
    Source: Zhang et al. (2018); Chapter 14, "The pointing game".
    """
    if not torch.is_tensor(masks) or masks.dtype != torch.bool or masks.ndim != 3:
        kind = f"{str(masks.dtype)[6:]} " if torch.is_tensor(masks) else ""
        raise ValueError(f"masks must be bool (N, H, W), got {kind}{described(masks)}")
    _check_maps(maps, masks)
    maps = maps if maps.shape == masks.shape else upsample(maps, masks.shape[1:])
    largest = maps == maps.amax((1, 2), keepdim=True)
    return (largest & masks.to(maps.device)).sum((1, 2)) / largest.sum((1, 2))


class Curves(NamedTuple):
    """What `insertion_deletion` measured. share: (S + 1,) of pixels inserted or deleted, 0 to 1; insertion and
    deletion: (N, S + 1), the score at each share."""

    share: torch.Tensor
    insertion: torch.Tensor
    deletion: torch.Tensor

    @property
    def insertion_area(self):
        """The area below each picture's insertion curve, (N,): high where the first pixels bring the score up."""
        return torch.trapezoid(self.insertion, self.share)

    @property
    def deletion_area(self):
        """The area below each picture's deletion curve, (N,): low where the first pixels taken bring it down."""
        return torch.trapezoid(self.deletion, self.share)


def insertion_deletion(model, x, target, maps, n_steps=32, baseline=0.0):
    """Put in, and take out, the pixels of each picture in the order of its map, largest first, and watch the score.

    x: (N, C, H, W); maps: (N, h, w), resampled bilinearly to H x W. A pixel that is out has the baseline's value (a
    number, or what broadcasts to x, such as blurred pictures). target: a class index, or N of them, whose probability
    (softmax) is watched, or a function of the output that returns (N,). Returns Curves.
    Raises ValueError for maps of another shape or with nan, and n_steps below 1.
    Source: Petsiuk, Das and Saenko (2018); Chapter 14, "Insertion and deletion".
    """
    check_pictures(x)
    _check_maps(maps, x)
    n_steps = whole("n_steps", n_steps, 1)
    rank = _rank(maps.to(x.device), x.shape[2:])
    empty, shares = baseline_like(x, baseline), torch.linspace(0, 1, n_steps + 1)
    curves = []
    with watching(model), torch.no_grad():
        for share in shares.tolist():
            first = (rank < round(share * rank[0].numel()))[:, None]
            inserted, deleted = torch.where(first, x, empty), torch.where(first, empty, x)
            curves.append([_watched(model(pictures), target, len(x)) for pictures in (inserted, deleted)])
    insertion, deletion = (torch.stack(curve, 1).cpu() for curve in zip(*curves))
    return Curves(shares, insertion, deletion)


def _watched(output, target, n):
    """The target's value, or the probability of its class, for each of n pictures, (n,)."""
    is_logits = torch.is_tensor(output) and output.ndim == 2 and not callable(target)
    return one_a_picture(score(output.softmax(1) if is_logits else output, target), n)


def _rank(maps, size):
    """The place of each pixel in the order of its map, 0 for the largest, (N, H, W)."""
    maps = maps if maps.shape[1:] == size else upsample(maps, size)
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1).view(maps.shape)


def _check_maps(maps, pictures):
    if not torch.is_tensor(maps) or maps.ndim != 3 or len(maps) != len(pictures):
        raise ValueError(f"maps must be (N, h, w) for {len(pictures)} pictures, got {described(maps)}")
    if torch.isnan(maps).any():
        raise ValueError("maps must not hold nan")
