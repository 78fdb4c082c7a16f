"""Networks as their papers describe them, where torchvision has none or another: to be counted, drawn and compared.

LeNet-5 with the partial table of its third layer, AlexNet in its two columns, ZFNet, and GoogLeNet with 5x5 filters and
without batch normalisation. Source: Chapter 10, "LeNet-5, the ancestor".
"""

import torch
from torch import nn

# Which of the six maps of S2 each of the sixteen maps of C3 reads: table I of LeCun et al. (1998).
C3 = [[i % 6 for i in range(first, first + 3)] for first in range(6)]
C3 += [[i % 6 for i in range(first, first + 4)] for first in range(6)]
C3 += [[0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5], [0, 1, 2, 3, 4, 5]]


class LeNet5(nn.Sequential):
    """LeCun et al. (1998), section II: 60,000 trainable parameters.

    Takes (N, 1, 32, 32) float, returns (N, 10): minus the squared distances from the codes of the ten digits, so that
    the largest answers. The paper's codes are little pictures, chosen by hand; here they are random, +1 or -1, fixed.
    Source: Chapter 10, "LeNet-5, the ancestor".
    """

    def __init__(self):
        super().__init__()
        self.c1, self.squash1, self.s2, self.squash2 = nn.Conv2d(1, 6, 5), Squash(), _subsample(6), Squash()
        self.c3, self.squash3 = PartialConvolution(C3, 5), Squash()
        self.s4, self.squash4 = _subsample(16), Squash()
        self.c5, self.squash5, self.flatten = nn.Conv2d(16, 120, 5), Squash(), nn.Flatten()
        self.f6, self.squash6, self.output = nn.Linear(120, 84), Squash(), Codes(84, 10)


class PartialConvolution(nn.Module):
    """One filter for each entry of the table, which lists the input's maps that it reads: (N, C, H, W) float to
    (N, len(table), H - F + 1, W - F + 1). Source: LeCun et al. (1998), table I; Chapter 10, "LeNet-5, the ancestor"."""

    def __init__(self, table, kernel_size):
        super().__init__()
        self.table = table
        self.maps = nn.ModuleList(nn.Conv2d(len(inputs), 1, kernel_size) for inputs in table)

    def forward(self, x):
        return torch.cat([one(x[:, inputs]) for one, inputs in zip(self.maps, self.table)], 1)


class Squash(nn.Module):
    """1.7159 tanh(2x/3), which takes 1 to 1 and -1 to -1. Source: LeCun et al. (1998), section II.B."""

    def forward(self, x):
        return 1.7159 * torch.tanh(2 / 3 * x)


class Codes(nn.Module):
    """Minus the squared distances of (N, n_in) from n_out fixed codes of +1 and -1. Source: as `LeNet5`."""

    def __init__(self, n_in, n_out):
        super().__init__()
        signs = torch.randint(2, (n_out, n_in), generator=torch.Generator("cpu").manual_seed(0), device="cpu")
        self.register_buffer("codes", 2.0 * signs - 1)

    def forward(self, x):
        return -((x[:, None] - self.codes) ** 2).sum(2)


class AlexNet(nn.Sequential):
    """Krizhevsky et al. (2012): two columns, that is two groups in three of the convolutions. 60,965,224 parameters.

    Takes (N, 3, 227, 227) float, returns logits (N, n_classes). Other sizes do where the last maps come out as 6x6.
    Source: Chapter 10, "AlexNet, layer by layer".
    """

    def __init__(self, n_classes=1000):
        super().__init__()
        self.conv1, self.relu1, self.norm1, self.pool1 = nn.Conv2d(3, 96, 11, stride=4), _relu(), _norm(), _pool()
        self.conv2, self.relu2 = nn.Conv2d(96, 256, 5, padding=2, groups=2), _relu()
        self.norm2, self.pool2 = _norm(), _pool()
        self.conv3, self.relu3 = nn.Conv2d(256, 384, 3, padding=1), _relu()
        self.conv4, self.relu4 = nn.Conv2d(384, 384, 3, padding=1, groups=2), _relu()
        self.conv5, self.relu5, self.pool5 = nn.Conv2d(384, 256, 3, padding=1, groups=2), _relu(), _pool()
        _dense_head(self, 256 * 6 * 6, n_classes)


class ZFNet(nn.Sequential):
    """Zeiler and Fergus (2014), figure 3: AlexNet in one column with a finer first layer. 62,357,608 parameters.

    maps: the numbers of filters of layers 3, 4 and 5; (512, 1024, 512) is the paper's larger one. Takes
    (N, 3, 224, 224) float, returns logits (N, n_classes). The paper gives the maps' sizes, 110, 55, 26, 13 and 6, not
    the padding; here a frame of 1 before the first layer and pooling that rounds up lead to them.
    Raises ValueError for other than three numbers of maps. Source: Chapter 10, "ZFNet".
    """

    def __init__(self, n_classes=1000, maps=(384, 384, 256)):
        if len(maps) != 3 or min(maps) < 1:
            raise ValueError(f"maps must be three numbers of at least 1, for the layers 3, 4 and 5, got {maps}")
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(3, 96, 7, stride=2, padding=1), _relu()
        self.pool1, self.norm1 = nn.MaxPool2d(3, 2, ceil_mode=True), _norm()
        self.conv2, self.relu2 = nn.Conv2d(96, 256, 5, stride=2), _relu()
        self.pool2, self.norm2 = nn.MaxPool2d(3, 2, ceil_mode=True), _norm()
        for i, (before, after) in enumerate(zip((256, *maps), maps), start=3):
            self.add_module(f"conv{i}", nn.Conv2d(before, after, 3, padding=1))
            self.add_module(f"relu{i}", _relu())
        self.pool5 = _pool()
        _dense_head(self, maps[-1] * 6 * 6, n_classes)


class Inception(nn.Module):
    """Four branches side by side, their maps put behind each other: 1x1; 1x1 then 3x3; 1x1 then 5x5; pooled, then 1x1.

    widths: the numbers of filters, (of 1x1; before 3x3, of 3x3; before 5x5, of 5x5; behind the pooling). Takes
    (N, before, H, W), returns (N, sum of the four branches', H, W). Source: Szegedy et al. (2015); Chapter 10, "The
    inception block".
    """

    def __init__(self, before, one, three_in, three, five_in, five, pooled):
        super().__init__()
        self.branch1 = _convolution(before, one, 1)
        self.branch3 = nn.Sequential(*_convolution(before, three_in, 1), *_convolution(three_in, three, 3))
        self.branch5 = nn.Sequential(*_convolution(before, five_in, 1), *_convolution(five_in, five, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *_convolution(before, pooled, 1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.pool(x)], 1)


# The nine blocks of GoogLeNet: table 1 of Szegedy et al. (2015).
BLOCKS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


class GoogLeNet(nn.Sequential):
    """Szegedy et al. (2015), table 1, without the two side branches for training: 6,998,552 parameters.

    Takes (N, 3, H, W) float, H and W of 224 in the paper, returns logits (N, n_classes). torchvision's has batch
    normalisation in place of biases and of the local normalisations, and 3x3 filters where the paper has 5x5.
    Source: Chapter 10, "GoogLeNet".
    """

    def __init__(self, n_classes=1000):
        super().__init__()
        self.conv1, self.pool1, self.norm1 = _convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True), _norm()
        self.conv2, self.conv3 = _convolution(64, 64, 1), _convolution(64, 192, 3)
        self.norm2, self.pool2 = _norm(), nn.MaxPool2d(3, 2, ceil_mode=True)
        for name, widths in BLOCKS.items():
            if name in ("4a", "5a"):
                self.add_module(f"pool{name[0]}", nn.MaxPool2d(3, 2, ceil_mode=True))
            self.add_module(f"inception{name}", Inception(*widths))
        self.mean, self.flatten, self.drop = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4)
        self.fc = nn.Linear(1024, n_classes)


def _subsample(maps):
    """The mean of 2x2 windows times a trained factor plus a trained number, one of each a map."""
    return nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(maps, maps, 1, groups=maps))


def _convolution(before, after, kernel_size, stride=1):
    return nn.Sequential(nn.Conv2d(before, after, kernel_size, stride, padding=kernel_size // 2), _relu())


def _relu():
    return nn.ReLU(inplace=True)


def _norm():
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)  # torch divides alpha by 5, the paper does not


def _pool():
    return nn.MaxPool2d(3, stride=2)


def _dense_head(model, n_in, n_classes):
    model.flatten, model.drop6, model.fc6, model.relu6 = nn.Flatten(), nn.Dropout(), nn.Linear(n_in, 4096), _relu()
    model.drop7, model.fc7, model.relu7 = nn.Dropout(), nn.Linear(4096, 4096), _relu()
    model.fc8 = nn.Linear(4096, n_classes)
