"""The networks of the book."""

from torch import nn


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


def count_parameters(model):
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
