"""torchvision's ResNet-18 at any width."""

from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet


class ResNet18(ResNet):
    """torchvision's ResNet-18 with `width` maps after the first convolution, 8 * width after the last; 64 is the usual.

    The same layers under the same names: conv1, bn1, relu, maxpool, layer1.0.conv1 ... layer4.1.relu, avgpool, fc.
    Takes (N, 3, H, W) float, normalised, returns logits (N, n_classes); the last maps are (H / 32, W / 32), rounded up.
    Raises ValueError for n_classes or a width below 1. Source: He et al. (2016).
    """

    def __init__(self, n_classes=1000, width=64):
        if min(n_classes, width) < 1:
            raise ValueError(f"n_classes and width must be at least 1, got {n_classes} and {width}")
        self.width = width
        super().__init__(BasicBlock, [2, 2, 2, 2], n_classes)
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.fc = nn.Linear(8 * width, n_classes)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")

    def _make_layer(self, block, planes, blocks, **options):
        """A stage of `planes` maps, for which torchvision's own __init__ asks as if the width were 64."""
        self.inplanes = self.width if planes == 64 else self.inplanes
        return super()._make_layer(block, planes * self.width // 64, blocks, **options)
