"""What a training is made of."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from helpers.pretrained import Preprocess


@dataclass(frozen=True)
class Plan:
    """One training.

    network: makes the untrained network, of what `options` names; batch(generator) draws one batch, normalised floats
    (N, 3, H, W) and labels (N,). tests: name -> (uint8 pictures, labels), measured at each of `sizes` in the end;
    watched(epoch, epochs): what is measured after an epoch, rows of (name, size, step), each step-th picture of that
    test. data: a line on the pictures; source: a line for under a figure. rate: the largest learning rate; smoothing:
    of the labels; decay: of the running average of the weights; weight_decay: of weights of two dimensions and more.
    photographs: whether the answers to the package's photographs are written down, too. strength: of the changes that
    batch makes to its pictures, 1 for all. after: a training that goes on from where this one ends.
    """

    name: str
    network: Callable[[], nn.Module]
    batch: Callable[[torch.Generator], tuple]
    tests: dict
    classes: tuple
    preprocess: Preprocess
    sizes: tuple
    watched: Callable[[int, int], list]
    data: str
    source: str
    options: dict = field(default_factory=dict)
    epochs: int = 32
    steps: int = 1136
    rate: float = 0.4
    smoothing: float = 0.05
    decay: float = 0.999
    weight_decay: float = 5e-4
    photographs: bool = False
    strength: float = 1.0
    after: "Plan | None" = None

    def recipe(self, seed):
        """What decides the weights besides the pictures and the code, for the state, the stored file and the card."""
        names = ("name", "options", "epochs", "steps", "rate", "smoothing", "decay", "weight_decay", "data", "strength")
        after = {"after": self.after.recipe(seed + 1)} if self.after else {}
        return {name: getattr(self, name) for name in names} | {"seed": seed} | after
