"""The network of the drawn scenes."""

from torch import nn


class SceneNet(nn.Sequential):
    """Five 3x3 convolutions with batch normalisation and ReLU, the first three with 2x2 max pooling too; then the mean
    over all places and one dense layer, so that a class activation map is exact.

    Takes (N, 3, H, W) float, normalised, with sides of multiples of 8, made for 64; returns logits (N, n_classes). The
    last maps, of `relu5`, are (channels[4], H / 8, W / 8). Raises ValueError unless channels are five numbers, each at
    least 1.
    Source: Chapter 15, "Where the score comes from".
    """

    def __init__(self, n_classes=10, channels=(16, 32, 64, 96, 128)):
        if len(channels) != 5 or min(*channels, n_classes) < 1:
            raise ValueError(f"channels must be five numbers of at least 1, got {channels}, for {n_classes} classes")
        super().__init__()
        for i, (before, after) in enumerate(zip((3, *channels), channels), start=1):
            self.add_module(f"conv{i}", nn.Conv2d(before, after, 3, padding=1, bias=False))
            self.add_module(f"norm{i}", nn.BatchNorm2d(after))
            self.add_module(f"relu{i}", nn.ReLU())
            if i <= 3:
                self.add_module(f"pool{i}", nn.MaxPool2d(2))
        self.mean, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.fc = nn.Linear(channels[-1], n_classes)
