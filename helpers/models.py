"""The networks of the book, to be trained; `pretrained` gives those that are."""

import torch.nn.functional as F
from torch import nn

from helpers.conv import pair
from helpers.pretrained import pretrained as pretrained


class LeNet(nn.Sequential):
    """The network of the exercise sheet (E3.2): two convolutions, three dense layers, 62,006 parameters as set.

    Takes (N, in_channels, size, size) float, returns logits (N, n_classes). Raises ValueError for a size below 16.
    Source: LeCun et al. (1998), whose LeNet-5 it simplifies; Chapter 6, "The network of the sheet".
    """

    def __init__(self, n_classes=10, in_channels=3, size=32):
        if size < 16:
            raise ValueError(f"size must be at least 16 pixels for two convolutions and two poolings, got {size}")
        side = ((size - 4) // 2 - 4) // 2
        super().__init__()
        self.conv1, self.relu1, self.pool1 = nn.Conv2d(in_channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2)
        self.conv2, self.relu2, self.pool2 = nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1, self.relu3 = nn.Linear(16 * side**2, 120), nn.ReLU()
        self.fc2, self.relu4 = nn.Linear(120, 84), nn.ReLU()
        self.fc3 = nn.Linear(84, n_classes)


class ConvNet(nn.Sequential):
    """3x3 convolutions of the given widths, each with ReLU, the first `pools` with 2x2 max pooling too;
    then the mean over a 4x4 grid and one dense layer.

    channels: the number of filters of each layer, such as (32, 64). Takes (N, in_channels, H, W) float with sides of
    2**pools, returns logits (N, n_classes).
    Raises ValueError for no layers or a width below 1. Source: Chapter 6, "How many layers".
    """

    def __init__(self, channels=(32, 64), n_classes=10, in_channels=3, pools=3):
        if not channels or min(channels) < 1:
            raise ValueError(f"channels must name at least one layer of at least one filter, got {channels}")
        super().__init__()
        for i, (before, after) in enumerate(zip((in_channels, *channels), channels), start=1):
            self.add_module(f"conv{i}", nn.Conv2d(before, after, 3, padding=1))
            self.add_module(f"relu{i}", nn.ReLU())
            if i <= pools:
                self.add_module(f"pool{i}", nn.MaxPool2d(2))
        self.grid, self.flatten = nn.AdaptiveAvgPool2d(4), nn.Flatten()
        self.fc = nn.Linear(16 * channels[-1], n_classes)


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


class HeritageNet(nn.Sequential):
    """The classifier of coursework C6: five 3x3 convolutions, four dense layers, dropout before each dense layer.

    Takes (N, in_channels, H, W) float, returns logits (N, n_classes). size: the side of the pictures or (H, W), 16 or
    more; the first dense layer reads 512 maps of (H // 16, W // 16). dropout: the share of inputs set to 0;
    batch_norm: False leaves the normalisation out. Raises ValueError for a smaller size and a dropout outside [0, 1).
    Source: Chapter 9, "The network".
    """

    def __init__(self, n_classes=10, in_channels=3, size=32, dropout=0.25, batch_norm=True):
        height, width = pair(size, "size")
        if min(height, width) < 16:
            raise ValueError(f"size must be at least 16 pixels for four poolings, got {size}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        super().__init__()
        maps = (in_channels, 32, 64, 128, 256, 512)
        for i in range(1, 6):
            self.add_module(f"conv{i}", nn.Conv2d(maps[i - 1], maps[i], 3, padding=1))
            if batch_norm:
                self.add_module(f"norm{i}", nn.BatchNorm2d(maps[i]))
            self.add_module(f"relu{i}", nn.ReLU())
            if i < 5:
                self.add_module(f"pool{i}", nn.MaxPool2d(2))
        self.flatten = nn.Flatten()
        units = (512 * (height // 16) * (width // 16), 2048, 1024, 512, n_classes)
        for i in range(1, 5):
            self.add_module(f"drop{i}", nn.Dropout(dropout))
            self.add_module(f"fc{i}", nn.Linear(units[i - 1], units[i]))
            if i < 4:
                self.add_module(f"relu{i + 5}", nn.ReLU())


def count_parameters(model):
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _binomial(x, s):
    """Maps blurred by (1, 2, 1)/4 down the columns and along the rows, every s-th place of them."""
    x = (x[:, :, :-2:s] + 2 * x[:, :, 1:-1:s] + x[:, :, 2::s]) / 4
    return (x[..., :-2:s] + 2 * x[..., 1:-1:s] + x[..., 2::s]) / 4


def _known(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
