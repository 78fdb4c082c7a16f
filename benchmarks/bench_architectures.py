"""Time one forward pass of the networks of Chapter 10: one thread, 224 x 224 pixels (227 for the two-column AlexNet).

Every round runs each network once, beginning with another one each time, after a round that is not counted; the table
has the median seconds of processor time (which other processes disturb less than the clock's), the median and the
quartiles of each network's time divided by VGG16's in the same round, and, to compare, the ratio of the multiply-adds
that `helpers.costs` counts.
"""

import os
import warnings
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from bench_explain import forward, rotating
from common import write
from torchvision import models as zoo

from helpers.costs import layer_costs
from helpers.models.classic import AlexNet, GoogLeNet

REFERENCE = "VGG16"
ROUNDS = {1: 9, 8: 5}  # by pictures in a batch
NETWORKS = {
    "AlexNet, two columns": (AlexNet, 227),
    "AlexNet, one column": (zoo.alexnet, 224),
    "VGG16": (zoo.vgg16, 224),
    "VGG19": (zoo.vgg19, 224),
    "GoogLeNet": (GoogLeNet, 224),
    "ResNet-50": (zoo.resnet50, 224),
    "ResNet-152": (zoo.resnet152, 224),
    "MobileNetV2": (zoo.mobilenet_v2, 224),
    "DenseNet-121": (zoo.densenet121, 224),
    "ConvNeXt-T": (zoo.convnext_tiny, 224),
}


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore")
    models = {name: make().eval() for name, (make, _) in NETWORKS.items()}
    sides = {name: side for name, (_, side) in NETWORKS.items()}
    products = {name: sum(row.multiply_adds for row in layer_costs(m, sides[name])) for name, m in models.items()}
    rows = []
    for n, rounds in ROUNDS.items():
        ways = {name: partial(forward, m, torch.randn(n, 3, sides[name], sides[name])) for name, m in models.items()}
        times = rotating(ways, rounds)
        rows += [{"network": name, "batch": n, "rounds": rounds} | summary(name, times, products) for name in models]
    write(Path(__file__).with_suffix(".csv"), rows)


def summary(name, times, products):
    low, middle, high = np.quantile(times[name] / times[REFERENCE], [0.25, 0.5, 0.75]).round(3)
    return {"seconds": round(float(np.median(times[name])), 4), f"times {REFERENCE}": middle, "lower quartile": low,
            "upper quartile": high, "multiply-adds": products[name],
            f"multiply-adds, times {REFERENCE}": round(products[name] / products[REFERENCE], 3)}  # fmt: skip


if __name__ == "__main__":
    main()
