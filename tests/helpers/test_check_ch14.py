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


def whole_batch(a, b):
    return values(*(part.flatten().argsort().argsort().double().view(part.shape) for part in (a, b)))


def whole_numbers(a, b):
    ranks = [part.flatten(1).argsort(1).argsort(1) for part in (a, b)]
    return (ranks[0] - ranks[0].mean(1, keepdim=True)).sum(1)


def uncentred(a, b):
    return torch.cosine_similarity(*(part.flatten(1).argsort(1).argsort(1).double() for part in (a, b)))


def by_midpoints(n):
    """Exercise 14.3 with the chapter's sum of n steps."""
    steps = (np.arange(n) + 0.5) / n
    return [(4 * steps > 2).mean() * np.array([3, 1]), [0, 1]]


RIGHT = [
    ("rules", RULES),
    ("rules", torch.tensor(RULES)),
    ("rules", np.array(RULES).ravel()),
    ("rules", tuple(map(torch.tensor, RULES))),
    ("rules", torch.tensor(RULES).view(3, 1, 1, 1, 2)),
    ("rules", {"guided backpropagation": RULES[2], "deconvnet": RULES[1], "backpropagation": RULES[0]}),
    ("rules", {"saliency": RULES[0], "deconvnet": RULES[1], "guided": RULES[2]}),
    ("targets", TARGETS),
    ("targets", {"probability": TARGETS[1], "loss": TARGETS[0], "difference of scores": TARGETS[2]}),
    ("targets", np.array(TARGETS)),
    ("path", PATHS),
    ("path", torch.tensor(PATHS)),
    ("path", by_midpoints(100)),
    ("path", by_midpoints(101)),
    ("path", by_midpoints(1001)),
    ("path", {(0, 0): PATHS[0], (3, 0): PATHS[1]}),
    ("path", {"(3, 0)": PATHS[1], "(0, 0)": PATHS[0]}),
    ("falls", [1, 3.5, 2, -2]),
    ("falls", [[1, 3.5, 2, -2]]),
    ("falls", torch.tensor([[[1, 3.5, 2, -2]]])),
    ("falls", torch.tensor([1, 3.5, 2, -2])),
    ("falls", (1, 3.5, 2, -2)),
    ("areas", [0.35, 0.45, 0.5]),
    ("areas", np.array([0.35, 0.45, 0.5])),
    ("areas", {"insertion": 0.45, "deletion": 0.35, "pointing game": 0.5}),
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
    ("rules", [RULES[0], RULES[2], RULES[1]], "in another order"),
    ("rules", with_row(RULES, 0, [2, 10]), "times the unit's value"),
    ("rules", with_row(RULES, 0, [0, 4]), "there is no ReLU"),
    ("rules", with_row(RULES, 1, [0, 5]), "At the pixels"),
    ("rules", {"a": RULES[0], "b": RULES[1], "c": RULES[2]}, "in the order of the question"),
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
    ("targets", [[-8, 0], [4, 0], [4, -2]], "-1/p is"),
    ("targets", [[-8, 0], [2, 0], [4, -2]], "-1/p is"),
    ("targets", [[-8, 1], [2, 0], [4, -2]], "The loss: 1 of 2"),
    ("targets", with_row(TARGETS, 0, [-2, 4 / 3]), "weighted by their probabilities"),
    ("targets", [TARGETS[1], TARGETS[0], TARGETS[2]], "in another order"),
    ("targets", TARGETS[0], "6 numbers"),
    ("path", with_row(PATHS, 0, [3, 1]), "first half the unit is off"),
    ("path", with_row(PATHS, 0, [0.5, 0.5]), "mean gradient"),
    ("path", with_row(PATHS, 0, [1, 1]), "three times as far"),
    ("path", with_row(PATHS, 0, [0.5, 1.5]), "exchanged"),
    ("path", with_row(PATHS, 1, [1.5, 0.5]), "does not move"),
    ("path", with_row(PATHS, 1, [0, 0.5]), "on throughout"),
    ("path", with_row(PATHS, 1, [0, 2]), "The baseline (3, 0)"),
    ("path", PATHS[::-1], "in another order"),
    ("path", by_midpoints(11), "few steps"),
    ("path", {"first": PATHS[0], "second": PATHS[1]}, "in the order of the question"),
    ("path", [float("nan")] * 4, "nan"),
    ("falls", [-1, -3.5, -2, 2], "sign"),
    ("falls", [9, 6.5, 8, 12], "remains"),
    ("falls", [1, 7, 4, -2], "not the sum"),
    ("falls", [1, 6, 6, -2], "not the larger"),
    ("falls", [1, 6, -2], "three windows"),
    ("falls", [0.5, 3.5, 2, -1], "one window only"),
    ("falls", [1, 3.5, 2, 2], "first one is at index (3,)"),
    ("falls", ([1, 3.5, 2, -2], 2, 4), "the two colours"),
    ("falls", {"map": [1, 3.5, 2, -2]}, "the four numbers of the map"),
    ("falls", "red", "the four numbers of the map"),
    ("areas", [0.38, 0.46, 0.5], "deletion values"),
    ("areas", [0.35, 0.46, 0.5], "insertion values"),
    ("areas", [0.45, 0.35, 0.5], "exchanged"),
    ("areas", [1.4, 1.8, 0.5], "quarter"),
    ("areas", [0.28, 0.36, 0.5], "quarter"),
    ("areas", [0.225, 0.325, 0.5], "left them out"),
    ("areas", [0.35, 0.35, 0.5], "Insertion"),
    ("areas", {"a": 0.35, "b": 0.45, "c": 0.5}, "in the order of the question"),
    ("areas", [0.35, 0.45, 1], "beside the object"),
    ("areas", [0.35, 0.45, 0], "hits"),
    ("areas", [0.35, 0.45], "three numbers"),
    ("rank_correlation", values, "correlation of the values"),
    ("rank_correlation", one_argsort, "argsort of that order"),
    ("rank_correlation", lambda a, b: ranked(a, b).mean(), "shape ()"),
    ("rank_correlation", lambda a, b: -ranked(a, b), "On random maps"),
    ("rank_correlation", lambda a, b: torch.ones(5), "On random maps"),
    ("rank_correlation", 0.5, "function itself"),
    ("rank_correlation", lambda a: a, "stopped with TypeError"),
    ("rank_correlation", lambda a, b: "text", "stopped with"),
    ("rank_correlation", lambda a, b: ranked(a, b)[:, None], "shape (5, 1)"),
    ("rank_correlation", whole_numbers, ".double()"),
    ("rank_correlation", whole_batch, "all maps together"),
    ("rank_correlation", lambda a, b: ranked(a.abs(), b.abs()), "absolute values"),
    ("rank_correlation", uncentred, "Subtract the ranks' mean"),
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
