"""Chapter 12's checkers: right answers pass, and each known slip gets the hint for it."""

import numpy as np
import torch
from checker_cases import checker_tests

from helpers.check import ch12 as check


def squared(z):
    return (z[:, None] - z).square().sum(2)


def hardest(z, labels):
    return squared(z).masked_fill(labels[:, None] == labels, 1e9).argmin(1)


def itself(z, labels):
    return squared(z).argmin(1)


def nearest_of_all(z, labels):
    return squared(z).fill_diagonal_(1e9).argmin(1)


def farthest(z, labels):
    return squared(z).masked_fill(labels[:, None] == labels, -1).argmax(1)


def by_cosine(z, labels):
    unit = torch.nn.functional.normalize(z)
    return (unit @ unit.T).masked_fill(labels[:, None] == labels, -2).argmax(1)


def by_dot_product(z, labels):
    return (z @ z.T).masked_fill(labels[:, None] == labels, -2).argmax(1)


def short_of_all(z, labels):
    return squared(z).masked_fill(labels[:, None] == labels, 5).argmin(1)


def times_the_mask(z, labels):
    return (squared(z) * (labels[:, None] != labels)).argmin(1)


def hardest_positive(z, labels):
    same = (labels[:, None] == labels) & ~torch.eye(len(z), dtype=torch.bool)
    return squared(z).masked_fill(~same, -1).argmax(1)


def in_place(z, labels):
    found = hardest(z, labels)
    z.zero_()
    return found


def once(z, labels):
    return hardest(z, labels)[:1]


def nearly(z, labels):
    found = hardest(z, labels)
    found[3] = 3
    return found


STADIUM = [19, 99.96, 19 / 118.96, 0.05]
LONGER = [1 - (1 - 1e-4) ** 5000, 1 - 0.99**1e-6]

RIGHT = [
    ("pairs", [0.08, 0.32, 0]),
    ("pairs", torch.tensor([0.08, 0.32, 0.0])),
    ("triplets", [0, 0.2, 0.52, 0.36]),
    ("triplets", np.array([0, 0.2, 0.52, 0.36])),
    ("rates", [0.125, 0.25, 0.75, 0.25]),
    ("rates", (1 / 8, 1 / 4, 0.75, 1 / 4)),
    ("longer_list", LONGER),
    ("longer_list", [0.393, 1.0e-8]),
    ("stadium", STADIUM),
    ("stadium", [19, 100, 0.16, 0.05]),
    ("hardest", hardest),
]

WRONG = [
    ("pairs", [0.16, 0.32, 0], "half is missing"),
    ("pairs", [0.2, 0.32, 0], "squared"),
    ("pairs", [0.605, 0.32, 0], "shows one person"),
    ("pairs", [0.08, 0.64, 0], "half is missing"),
    ("pairs", [0.08, 0.045, 0], "margin 1, the default"),
    ("pairs", [0.08, 0.245, 0], "shows strangers"),
    ("pairs", [0.08, 0.32, 0.005], "maximum with 0"),
    ("pairs", [0.08, 0.32, 1.28], "third pair shows strangers"),
    ("pairs", 0.08, "Give a list of 3 numbers"),
    ("pairs", "text", "Give a list of 3"),
    ("triplets", [-1.4, 0.2, 0.52, 0.36], "maximum with 0"),
    ("triplets", [0, 0, 0.32, 0.36], "margin is missing"),
    ("triplets", [0, 0.2, 0.32, 0.36], "margin is missing"),
    ("triplets", [0, 0.2, 0.5496, 0.36], "squared ones"),
    ("triplets", [0, 0.2, 0.52, 0.24], "leave out those"),
    ("triplets", [0, 0.2, 0.52, 0.72], "sum"),
    ("rates", [0.25, 0.125, 0.75, 0.25], "That is the FNMR"),
    ("rates", [1 / 12, 0.25, 0.75, 0.25], "strangers' pairs"),
    ("rates", [0.125, 0.125, 0.75, 0.25], "That is the FMR"),
    ("rates", [0.125, 0.75, 0.75, 0.25], "share rejected"),
    ("rates", [0.125, 0.25, 0.85, 0.25], "a lower one"),
    ("rates", [0.125, 0.25, 0.7, 0.25], "none of the twelve"),
    ("rates", [0.125, 0.25, 0.6, 0.25], "two of eight"),
    ("rates", [0.125, 0.25, 0.75, 0.6], "That is the threshold"),
    ("rates", [0.125, 0.25, 0.75, 0.1875], "No mean"),
    ("rates", [12.5, 0.25, 0.75, 0.25], "percentage"),
    ("longer_list", [0.5, LONGER[1]], "approximation"),
    ("longer_list", [0.39, LONGER[1]], "three digits"),
    ("longer_list", [0.607, LONGER[1]], "nobody matches"),
    ("longer_list", [LONGER[0], 0.99999999], "That is 1 - p"),
    ("longer_list", [LONGER[0], 1 - 0.01**1e-6], "99 %"),
    ("longer_list", [LONGER[0], 1e-4], "too large"),
    ("stadium", [47_500, 100, 0.16, 0.05], "20 people"),
    ("stadium", [19, 0.04, 0.16, 0.05], "everybody else"),
    ("stadium", [19, 100, 0.95, 0.05], "all alarms"),
    ("stadium", [19, 100, 0.998, 0.05], "all alarms"),
    ("stadium", [19, 100, 0.00038, 0.05], "not by all visitors"),
    ("stadium", [19, 100, 0.84, 0.05], "that is false"),
    ("stadium", [19, 100, 0.16, 0.002], "are missed"),
    ("stadium", [19, 100, 0.16, 1], "one of them"),
    ("hardest", 3, "the function itself"),
    ("hardest", in_place, "changes what it is given"),
    ("hardest", once, "40 indices"),
    ("hardest", lambda z, labels: hardest(z, labels).float(), "int64"),
    ("hardest", itself, "nearest to itself"),
    ("hardest", nearest_of_all, "other pictures are not"),
    ("hardest", farthest, "farthest"),
    ("hardest", by_cosine, "length 1"),
    ("hardest", by_dot_product, "dot product"),
    ("hardest", short_of_all, "shows the same person"),
    ("hardest", times_the_mask, "shows the same person"),
    ("hardest", hardest_positive, "hardest positives"),
    ("hardest", nearly, "point 3"),
]

test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(check, RIGHT, WRONG)
