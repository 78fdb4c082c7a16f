"""Chapter 14's checkers: right answers pass, and each known slip gets the hint for it."""

import numpy as np
import scipy.stats
import torch
from checker_cases import checker_tests

from helpers import explain
from helpers.check import ch14 as check

RULES = [[-1, 4], [-2, 5], [1, 2]]
TARGETS = [[-1.6, 1], [0.8, -0.5], [4, -2]]
PATHS = [[1.5, 0.5], [0, 1]]


def with_row(rows, i, new):
    return [new if k == i else row for k, row in enumerate(rows)]


def ranked(a, b):
    pairs = zip(a.flatten(1).tolist(), b.flatten(1).tolist())
    return torch.tensor([scipy.stats.spearmanr(p, q).statistic for p, q in pairs])


def values(a, b):
    return torch.tensor([np.corrcoef(p, q)[0, 1] for p, q in zip(a.flatten(1), b.flatten(1))])


def one_argsort(a, b):
    return values(*(part.flatten(1).argsort(1).double() for part in (a, b)))


RIGHT = [
    ("rules", RULES),
    ("rules", torch.tensor(RULES)),
    ("rules", np.array(RULES).ravel()),
    ("rules", tuple(map(torch.tensor, RULES))),
    ("targets", TARGETS),
    ("targets", np.array(TARGETS)),
    ("path", PATHS),
    ("path", torch.tensor(PATHS)),
    ("falls", [1, 3.5, 2, -2]),
    ("falls", torch.tensor([1, 3.5, 2, -2])),
    ("falls", (1, 3.5, 2, -2)),
    ("areas", [0.35, 0.45, 0.5]),
    ("areas", np.array([0.35, 0.45, 0.5])),
    ("rank_correlation", ranked),
    ("rank_correlation", lambda a, b: ranked(a, b).numpy()),
    ("rank_correlation", lambda a, b: ranked(a, b).tolist()),
]
WRONG = [
    ("rules", with_row(RULES, 0, [-4, 7]), "second unit is off"),
    ("rules", with_row(RULES, 0, [-2, 1]), "first layer's weights"),
    ("rules", with_row(RULES, 0, [-1, 5]), "Backpropagation: 1 of 2"),
    ("rules", with_row(RULES, 1, [1, 2]), "does not ask whether the unit was on"),
    ("rules", with_row(RULES, 1, [-4, 7]), "stops negative gradients"),
    ("rules", with_row(RULES, 1, [-1, 4]), "not about the unit"),
    ("rules", with_row(RULES, 2, [-2, 5]), "the second one is off"),
    ("rules", with_row(RULES, 2, [-1, 4]), "stops negative gradients, too"),
    ("rules", [1, 2], "6 numbers"),
    ("rules", "text", "Give a list"),
    ("rules", 3, "Give a list"),
    ("targets", with_row(TARGETS, 0, [1.6, -1]), "sign of the loss"),
    ("targets", with_row(TARGETS, 0, [2.4, 1]), "still to be subtracted"),
    ("targets", with_row(TARGETS, 0, [-4, 0]), "all classes' scores"),
    ("targets", with_row(TARGETS, 1, [-0.8, 0.5]), "sign of the probability"),
    ("targets", with_row(TARGETS, 1, [1.6, -1]), "times -p"),
    ("targets", with_row(TARGETS, 1, [2, 0]), "all three scores"),
    ("targets", with_row(TARGETS, 2, [-4, 2]), "not the other way round"),
    ("targets", with_row(TARGETS, 2, [4, 2]), "Subtract"),
    ("targets", with_row(TARGETS, 2, [4, -1]), "The difference"),
    ("targets", TARGETS[0], "6 numbers"),
    ("path", with_row(PATHS, 0, [3, 1]), "first half the unit is off"),
    ("path", with_row(PATHS, 0, [0.5, 0.5]), "mean gradient"),
    ("path", with_row(PATHS, 0, [1, 1]), "three times as far"),
    ("path", with_row(PATHS, 0, [0.5, 1.5]), "exchanged"),
    ("path", with_row(PATHS, 1, [1.5, 0.5]), "does not move"),
    ("path", with_row(PATHS, 1, [0, 0.5]), "on throughout"),
    ("path", with_row(PATHS, 1, [0, 2]), "The baseline (3, 0)"),
    ("path", [float("nan")] * 4, "nan"),
    ("falls", [-1, -3.5, -2, 2], "sign"),
    ("falls", [9, 6.5, 8, 12], "remains"),
    ("falls", [1, 7, 4, -2], "not the sum"),
    ("falls", [1, 6, 6, -2], "not the larger"),
    ("falls", [1, 6, -2], "three windows"),
    ("falls", [0.5, 3.5, 2, -1], "one window only"),
    ("falls", [1, 3.5, 2, 2], "first one is at index (3,)"),
    ("areas", [0.38, 0.46, 0.5], "deletion values"),
    ("areas", [0.35, 0.46, 0.5], "insertion values"),
    ("areas", [0.45, 0.35, 0.5], "exchanged"),
    ("areas", [1.4, 1.8, 0.5], "quarter"),
    ("areas", [0.35, 0.45, 1], "beside the object"),
    ("areas", [0.35, 0.45, 0], "hits"),
    ("areas", [0.35, 0.45], "three numbers"),
    ("rank_correlation", values, "correlation of the values"),
    ("rank_correlation", one_argsort, "argsort of that order"),
    ("rank_correlation", lambda a, b: ranked(a, b).mean(), "shape ()"),
    ("rank_correlation", lambda a, b: -ranked(a, b), "On random maps"),
    ("rank_correlation", lambda a, b: torch.ones(5), "On random maps"),
    ("rank_correlation", 0.5, "function itself"),
    ("rank_correlation", lambda a: a, "could not be checked"),
]

test_right, test_none_yet, test_slips = checker_tests(check, RIGHT, WRONG)


def test_the_first_exercise_is_what_the_package_computes():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        network[0].weight[:] = torch.tensor([[1.0, -1], [-1, 1], [1, 2]])
        network[0].bias.zero_()
        network[2].weight[:] = torch.tensor([[-2.0, 3, 1]])
    methods = (explain.saliency, explain.deconvnet, explain.guided_backprop)
    assert check.rules([method(network, torch.tensor([[2.0, 1]]), 0)[0] for method in methods]).right


def test_the_third_exercise_is_what_the_package_computes():
    network = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU())
    with torch.no_grad():
        network[0].weight[:] = 1
        network[0].bias[:] = -2
    x = torch.tensor([[3.0, 1]])
    baselines = (torch.zeros(1, 2), torch.tensor([[3.0, 0]]))
    found = [explain.integrated_gradients(network, x, 0, b, n_steps=2)[0] for b in baselines]
    assert check.path(found).right
