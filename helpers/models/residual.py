"""Residual networks for small pictures, and the same without their shortcuts. Source: He et al. (2016), section 4.2."""

import torch.nn.functional as F
from torch import nn


class CifarResNet(nn.Sequential):
    """depth - 1 3x3 convolutions, each with batch normalisation and ReLU, the mean over all places and a dense layer.

    depth: 6 n + 2: a first convolution, then three stages of n blocks of two, with width, 2 width and 4 width maps;
    the second and third stage begin with a stride of 2. shortcuts: False leaves them out, the rest is the same network
    with the same numbers of parameters: a "plain" one. Takes (N, in_channels, H, W) float, returns logits
    (N, n_classes). Raises ValueError for another depth and for a width or a number of classes below 1.
    Source: He et al. (2016), section 4.2; Chapter 10, "Deeper, and worse".
    """

    def __init__(self, depth=20, width=16, shortcuts=True, n_classes=10, in_channels=3):
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth must be 6 n + 2, such as 8, 14, 20 or 50, got {depth}")
        if min(width, n_classes) < 1:
            raise ValueError(f"width and n_classes must be at least 1, got {width} and {n_classes}")
        super().__init__()
        self.conv, self.norm, self.relu = _convolution(in_channels, width), nn.BatchNorm2d(width), nn.ReLU()
        before = width
        for i, channels in enumerate((width, 2 * width, 4 * width), start=1):
            stage = nn.Sequential()
            for j in range(blocks):
                stage.append(BasicBlock(before, channels, 2 if i > 1 and j == 0 else 1, shortcuts))
                before = channels
            self.add_module(f"stage{i}", stage)
        self.mean, self.flatten, self.fc = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, n_classes)


class BasicBlock(nn.Module):
    """relu(norm2(conv2(relu(norm1(conv1(x))))) + shortcut(x)), or the same without the shortcut.

    The shortcut has no parameters: x itself, or, where the block halves the sides or has more maps, every second place
    of x and maps of zeros behind it. Source: He et al. (2016), options A; Chapter 10, "A shortcut around two layers".
    """

    def __init__(self, before, channels, stride=1, shortcut=True):
        super().__init__()
        self.conv1, self.norm1, self.relu1 = _convolution(before, channels, stride), nn.BatchNorm2d(channels), nn.ReLU()
        self.conv2, self.norm2, self.relu2 = _convolution(channels, channels), nn.BatchNorm2d(channels), nn.ReLU()
        self.stride, self.more, self.shortcut = stride, channels - before, shortcut

    def forward(self, x):
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        if self.shortcut:
            y = y + F.pad(x[:, :, :: self.stride, :: self.stride], [0, 0, 0, 0, 0, self.more])
        return self.relu2(y)


def _convolution(before, channels, stride=1):
    return nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
