"""The networks of the book, to be trained; `pretrained` gives those that are."""

from helpers.models.pooling import Downsample, PoolNet
from helpers.models.residual import CifarResNet
from helpers.models.small import ConvNet, HeritageNet, LeNet
from helpers.pretrained import pretrained

__all__ = ["CifarResNet", "ConvNet", "Downsample", "HeritageNet", "LeNet", "PoolNet", "count_parameters", "pretrained"]


def count_parameters(model):
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
