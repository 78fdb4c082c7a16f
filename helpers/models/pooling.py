"""A network that halves its maps in one of four ways. Source: Chapter 4, "Four ways to halve"."""

import torch.nn.functional as F
from torch import nn


class PoolNet(nn.Sequential):
    """Four 3x3 convolutions with batch normalisation and ReLU, the sides halved after the first three, and a head.

    down: what halves: "max" or "average" of 2x2 windows, "stride" (the convolution keeps every second output) or
    "blur" (`Downsample`). padding_mode: "zeros" or "circular", everywhere. head: "mean" over all places and a dense
    layer, or "dense", one weight for every number of the maps of a size x size picture. halvings: how many of the
    three have a stride of 2, the first ones; the others keep every place. Takes (N, 3, H, W) float with sides of
    multiples of 2**halvings, (size, size) for a dense head; returns logits (N, n_classes). Raises ValueError for a
    choice that is not there, a width or a number of classes below 1, a size that is no such multiple.
    Source: Chapter 4, "Four ways to halve".
    """

    def __init__(self, down="max", padding_mode="zeros", head="mean", halvings=3, width=32, n_classes=10, size=32):
        _known("head", head, ("mean", "dense"))
        _known("halvings", halvings, (0, 1, 2, 3))
        _known("padding_mode", padding_mode, ("zeros", "circular"))
        if min(width, n_classes) < 1:
            raise ValueError(f"width and n_classes must be at least 1, got {width} and {n_classes}")
        if size < 1 or size % 2**halvings:
            raise ValueError(f"size must be a multiple of {2**halvings} for {halvings} halvings, got {size}")
        super().__init__()
        channels = (3, width, 2 * width, 2 * width, 2 * width)
        for i, (before, after) in enumerate(zip(channels, channels[1:]), start=1):
            stride = 2 if i <= halvings else 1
            step = stride if down == "stride" else 1
            self.add_module(f"conv{i}", nn.Conv2d(before, after, 3, step, padding=1, padding_mode=padding_mode))
            self.add_module(f"norm{i}", nn.BatchNorm2d(after))
            self.add_module(f"relu{i}", nn.ReLU())
            if i < 4:
                self.add_module(f"down{i}", Downsample(down, padding_mode, stride))
        if head == "mean":
            self.mean = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels[-1] * (1 if head == "mean" else (size // 2**halvings) ** 2), n_classes)


class Downsample(nn.Module):
    """2x2 pooling of non-negative maps (N, C, H, W) with the stride given, 1 or 2; nothing for down="stride".

    "blur" takes the maximum of the 2x2 window at every place, blurs these maxima with the outer product of
    (1, 2, 1)/4 with itself, and keeps every stride-th. Windows begin at their own place and reach right and down; the
    blur is centred on it. Source: Chapter 4, "Four ways to halve"; Zhang (2019).
    """

    def __init__(self, down, padding_mode="zeros", stride=2):
        super().__init__()
        _known("down", down, ("max", "average", "stride", "blur"))
        _known("padding_mode", padding_mode, ("zeros", "circular"))
        _known("stride", stride, (1, 2))
        self.down, self.stride = down, stride
        self.mode = "constant" if padding_mode == "zeros" else "circular"

    def forward(self, x):
        if self.down == "stride":
            return x
        if self.down == "blur":
            return _binomial(F.max_pool2d(self._pad(x, 1, 2), 2, 1), self.stride)
        x = self._pad(x, 0, 1) if self.stride == 1 else x
        return (F.max_pool2d if self.down == "max" else F.avg_pool2d)(x, 2, self.stride)

    def extra_repr(self):
        return f"{self.down!r}, stride={self.stride}"

    def _pad(self, x, before, after):
        return F.pad(x, [before, after, before, after], mode=self.mode)


def _binomial(x, s):
    """Maps blurred by (1, 2, 1)/4 down the columns and along the rows, every s-th place of them."""
    x = (x[:, :, :-2:s] + 2 * x[:, :, 1:-1:s] + x[:, :, 2::s]) / 4
    return (x[..., :-2:s] + 2 * x[..., 1:-1:s] + x[..., 2::s]) / 4


def _known(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
