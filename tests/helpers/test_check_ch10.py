"""Chapter 10's checkers: right answers pass, and each known slip gets the hint for it."""

import numpy as np
import torch
from checker_cases import checker_tests
from torch import nn
from torchvision import models as zoo
from torchvision.models.resnet import Bottleneck

from helpers.check import ch10 as check
from helpers.costs import training_bytes
from helpers.models import LeNet, count_parameters

SIDES = [47, 23, 23, 11, 11, 11, 11, 5]
FC6 = 26_218_496
FIRST = count_parameters(Bottleneck(512, 128))
PATH = nn.Sequential(nn.Conv2d(512, 1024, 1, 2, bias=False), nn.BatchNorm2d(1024))
SECOND = count_parameters(Bottleneck(512, 256, 2, PATH))


def separable(C, K, F, n):
    layers = nn.Sequential(nn.Conv2d(C, C, F, padding=F // 2, groups=C), nn.Conv2d(C, K, 1))
    return count_parameters(layers), (F * F * C + C * K) * n * n


def thin(width=16, strides=(1, 2, 1, 2, 1, 1, 1), head=True):
    parts, before = [], 3
    for stride in strides:
        parts += [nn.Conv2d(before, width, 3, stride, 1), nn.ReLU()]
        before = width
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *([nn.Linear(width, 10)] if head else []))


class Blind(nn.Module):
    """Its maps see all, and its answer ignores them."""

    def __init__(self):
        super().__init__()
        self.maps, self.bias = thin(head=False), nn.Parameter(torch.zeros(10))

    def forward(self, x):
        return self.maps(x).sum(1, keepdim=True) * 0 + self.bias


class Gate(nn.Module):
    """Squeeze and excite: a factor for each map, from the means of all."""

    def __init__(self, maps):
        super().__init__()
        self.factors = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(maps, maps, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.factors(x)


def beside(make, strides=(1, 2, 1, 2, 1, 1, 1)):
    """`thin` with a layer that make(16) makes behind each convolution."""
    parts = [
        part for layer in thin(strides=strides) for part in ([layer, make(16)] if hasattr(layer, "stride") else [layer])
    ]
    return nn.Sequential(*parts)


def test_the_numbers_of_the_checkers_are_those_of_the_models():
    with torch.device("meta"):
        model = zoo.vgg16()
    assert count_parameters(model) == check.VGG16 and training_bytes(model, 224) == check.KEPT


BY_MODULE = thin()

RIGHT = [
    ("smaller_alexnet", [*SIDES, FC6]),
    ("smaller_alexnet", (SIDES, FC6)),
    ("smaller_alexnet", torch.tensor([*SIDES, FC6])),
    ("bottleneck", [FIRST, SECOND]),
    ("bottleneck", np.array([280_064, 1_512_448])),
    ("eleven", [5, 45 / 121]),
    ("eleven", (5, 0.372)),
    ("batch_that_fits", 86),
    ("batch_that_fits", [86]),
    ("batch_that_fits", torch.tensor(86.0)),
    ("two_fields", [43, 11]),
    ("two_fields", torch.tensor([43, 11])),
    ("separable", separable),
    ("separable", lambda C, K, F, n: [F * F * C + C + C * K + K, n * n * C * (F * F + K)]),
    ("budget", (thin(), "12")),
    ("budget", (thin(32), "13")),
    ("budget", (thin(), 12)),
    ("budget", (thin().double(), "12")),
    ("budget", (BY_MODULE, BY_MODULE[12])),
    ("budget", (beside(nn.BatchNorm2d), "18")),
    ("budget", (beside(lambda maps: nn.GroupNorm(4, maps)), "18")),
    ("budget", (beside(nn.InstanceNorm2d), "19")),
    ("budget", (beside(Gate), "19")),
]

WRONG = [
    ("smaller_alexnet", SIDES, "Give 9 numbers, not 8"),
    ("smaller_alexnet", "forty-seven", "Give a list of 9 numbers"),
    ("smaller_alexnet", [48, *SIDES[1:], FC6], "one more place"),
    ("smaller_alexnet", [46, *SIDES[1:], FC6], "Count the first place"),
    ("smaller_alexnet", [47, 24, *SIDES[2:], FC6], "windows of 3 with stride 2"),
    ("smaller_alexnet", [47, 23, 19, *SIDES[3:], FC6], "padding of 2"),
    ("smaller_alexnet", [47, 23, 23, 11, 9, 9, 9, 4, FC6], "padding of 1"),
    ("smaller_alexnet", [*SIDES, FC6 - 4096], "biases"),
    ("smaller_alexnet", [*SIDES, 37_752_832], "6x6"),
    ("smaller_alexnet", [*SIDES, 6400], "fc6 reads"),
    ("smaller_alexnet", [*SIDES, 5 * 256 * 4096 + 4096], "5x5 numbers"),
    ("smaller_alexnet", [*SIDES[:7], 6, FC6], "side after pool5 is too large"),
    ("bottleneck", [278_528, SECOND], "two trained numbers"),
    ("bottleneck", [FIRST - 768, SECOND], "a factor and"),
    ("bottleneck", [FIRST + 1536, SECOND], "not trained"),
    ("bottleneck", [FIRST - 8 * 128 * 128, SECOND], "nine weights"),
    ("bottleneck", [FIRST, SECOND - 2048], "a normalisation, too"),
    ("bottleneck", [FIRST, SECOND - 2048 - 512 * 1024], "shortcut is missing"),
    ("bottleneck", [FIRST, SECOND - FIRST], "not the difference"),
    ("bottleneck", [SECOND, FIRST], "exchanged"),
    ("bottleneck", [1, 1], "too small"),
    ("bottleneck", FIRST, "Give a list of 2 numbers"),
    ("eleven", [4, 36 / 121], "see 9x9"),
    ("eleven", [3, 27 / 121], "see 7x7"),
    ("eleven", [11 / 3, 0.3], "do not multiply"),
    ("eleven", [6, 0.4], "too large"),
    ("eleven", [5, 9 / 121], "one layer's"),
    ("eleven", [5, 121 / 45], "over the stack"),
    ("eleven", [5, 15 / 11], "area"),
    ("eleven", [5, 37.2], "between 0 and 1"),
    ("eleven", [5], "Give 2 numbers"),
    ("batch_that_fits", 109, "need their place"),
    ("batch_that_fits", 101, "as large"),
    ("batch_that_fits", 93, "Two of the three"),
    ("batch_that_fits", 78, "Adam would"),
    ("batch_that_fits", 87, "round down"),
    ("batch_that_fits", 86.43, "round down"),
    ("batch_that_fits", 103, "4 bytes"),
    ("batch_that_fits", int((8e9 - 12 * check.VGG16) / 61e6), "73.4 MB a picture, not 61"),
    ("batch_that_fits", 55, "no copies"),
    ("batch_that_fits", 94, "2^30"),
    ("batch_that_fits", 104, "training keeps"),
    ("batch_that_fits", 12, "too small"),
    ("batch_that_fits", "many", "Give a list of 1"),
    ("two_fields", [27, 11], "four layers"),
    ("two_fields", [19, 11], "4 pixels apart"),
    ("two_fields", [39, 11], "pooling widens"),
    ("two_fields", [41, 11], "2 pixels apart"),
    ("two_fields", [11, 43], "field first"),
    ("two_fields", [43, 7], "through the pooling"),
    ("two_fields", [43, 27], "Both blocks"),
    ("two_fields", 43, "Give a list of 2"),
    ("separable", 7, "the function itself"),
    ("separable", lambda C, K, F, n: ..., "returns nothing yet"),
    ("separable", lambda C, K, F, n: F * F * C, "Give a list of 2"),
    ("separable", lambda C, K, F, n: (F * F * C + C * K, separable(C, K, F, n)[1]), "Both convolutions have biases"),
    ("separable", lambda C, K, F, n: (F * F * C * K + K, separable(C, K, F, n)[1]), "full convolution"),
    ("separable", lambda C, K, F, n: (F * F + C + C * K + K, 1), "of its own"),
    ("separable", lambda C, K, F, n: (separable(C, K, F, n)[0], 2 * separable(C, K, F, n)[1]), "count once"),
    ("separable", lambda C, K, F, n: (separable(C, K, F, n)[0], F * F * C + C * K), "n*n places"),
    ("separable", lambda C, K, F, n: (separable(C, K, F, n)[0], separable(C, K, F, n)[0] * n * n), "not counted"),
    ("separable", lambda C, K, F, n: (separable(C, K, F, n)[0], (F * F * C + C * K) * (n - F + 1) ** 2), "keeps its"),
    ("separable", lambda C, K, F, n: (separable(C, K, F, n)[1], 1), "exchanged"),
    ("separable", lambda C, K, F, n: (F * F * K + K + C * K + C, 1), "that come in, not K"),
    ("separable", lambda C, K, F, n: (0, 0), "too small"),
    ("budget", (5, "1"), "a torch.nn.Module"),
    ("budget", (LeNet(), "pool2"), "sees 16x16"),
    ("budget", (thin(head=False), "12"), "shape (2, 10)"),
    ("budget", (thin(64), "12"), "the budget is 100,000"),
    ("budget", (thin(32, (1, 1, 1, 1, 2, 2, 1)), "12"), "the budget is 10,000,000"),
    ("budget", (thin(), "15"), "at least 4x4 places"),
    ("budget", (thin(), "99"), "no layer '99'"),
    ("budget", (thin(), 99), "names are '0', '1'"),
    ("budget", (thin(), nn.ReLU()), "no layer 'ReLU'"),
    ("budget", (beside(lambda maps: nn.GroupNorm(4, maps), (1, 2, 1, 2)), "10"), "fewer than 32x32"),
    ("budget", (thin(strides=(1, 2, 1, 1, 1, 1, 1, 1, 1, 2)), "16"), "are not the last"),
    ("budget", (thin(strides=(1, 2, 1, 2)), "6"), "fewer than 32x32"),
    ("budget", (thin(strides=(2, 2, 2, 2, 1)), "9"), "at least 4x4 places"),
    ("budget", (nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), "0"), "at least 4x4 places"),
    ("budget", (Blind(), "maps.12"), "does not depend"),
]

test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(
    check, RIGHT, WRONG, spread=("budget",)
)


def test_the_budget_leaves_the_model_as_it_was():
    model = thin().train().double()
    assert check.budget(model, "12").right
    assert model.training and next(model.parameters()).dtype == torch.float64
