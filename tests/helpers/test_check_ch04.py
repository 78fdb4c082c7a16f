"""Chapter 4's checkers: right answers pass, and each known slip gets the hint for it."""

import numpy as np
import torch
from checker_cases import checker_tests

from helpers.check import ch04 as check
from helpers.conv import avg_pool2d, max_pool2d

MAX, MEAN = (pool(check.MAP[None], 3, 2)[0] for pool in (max_pool2d, avg_pool2d))
SMALL = [pool(check.MAP[None, :4, :4], 2, 2)[0] for pool in (max_pool2d, avg_pool2d)]
DENSE = 28**2 * 8 * 28**2


def follows(f, x, d, stride):
    here, there = f(x), f(x.roll(d, dims=3))
    return d % stride == 0 and torch.allclose(there, here.roll(d // stride, dims=3), atol=1e-6)


def by_largest_error(f, x, d, stride):
    return d % stride == 0 and (f(x.roll(d, 3)) - f(x).roll(d // stride, 3)).abs().max() <= 1e-6


def by_mean_error(f, x, d, stride):
    return d % stride == 0 and (f(x.roll(d, 3)) - f(x).roll(d // stride, 3)).abs().mean() <= 1e-6


def one_map(f, x, d, stride):
    return follows(lambda z: f(z)[:1, :1], x, d, stride)


def invariant(f, x, d, stride):
    return torch.allclose(f(x), f(x.roll(d, dims=3)), atol=1e-6)


def same_shift(f, x, d, stride):
    return torch.allclose(f(x.roll(d, dims=3)), f(x).roll(d, dims=3), atol=1e-6)


def inside(f, x, d, stride):
    here, there = f(x), f(x.roll(d, dims=3))
    return d % stride == 0 and torch.allclose(there[..., 5:-2], here.roll(d // stride, dims=3)[..., 5:-2], atol=1e-6)


def rounded(f, x, d, stride):
    return torch.allclose(f(x.roll(d, dims=3)), f(x).roll(d // stride, dims=3), atol=1e-6)


def loose(f, x, d, stride):
    return d % stride == 0 and torch.allclose(f(x.roll(d, 3)), f(x).roll(d // stride, 3), atol=0.1)


def generous(f, x, d, stride):
    return d % stride == 0 and torch.allclose(f(x.roll(d, 3)), f(x).roll(d // stride, 3), atol=1e-2)


def strict(f, x, d, stride):
    return d % stride == 0 and bool((f(x.roll(d, 3)) == f(x).roll(d // stride, 3)).all())


def unreduced(f, x, d, stride):
    return f(x.roll(d, dims=3)) == f(x)


def backward(f, x, d, stride):
    return d % stride == 0 and torch.allclose(f(x.roll(d, 3)), f(x).roll(-d // stride, 3), atol=1e-6)


def mean_of(rolls):
    return lambda model, x: sum(model(x.roll(d, dims=3)) for d in rolls) / len(rolls)


def up_and_down(model, x):
    return sum(model(x.roll((i, j), (2, 3))) for i in range(8) for j in range(8)) / 64


def one_batch(model, x):
    return model(torch.cat([x.roll(d, 3) for d in range(8)])).unflatten(0, (8, len(x))).mean(0)


def to_a_mark(model, x):
    """One call: every picture's brightest column goes to the left edge."""
    return torch.cat([model(one.roll(-int(one.sum((0, 1)).argmax()), 2)[None]) for one in x])


def largest(model, x):
    return torch.stack([model(x.roll(d, dims=3)) for d in range(8)]).amax(0)


RIGHT = {
    "overlapping": [MAX, MEAN],
    "sizes": [23, 359_498, 21_578],
    "savings": [DENSE, 156_800, 200, 156_800],
    "smallest_shifts": [4, 32, 6, 64],
    "follows": follows,
    "steady": mean_of(range(8)),
}

OTHER_FORMS = [
    ("overlapping", (MAX.tolist(), torch.tensor(MEAN).round(decimals=3))),
    ("sizes", ("23", "359,498", torch.tensor(21_578))),
    ("smallest_shifts", np.array([4, 32, 6, 64])),
    ("follows", lambda f, x, d, s: torch.tensor(bool(follows(f, x, d, s)))),
    ("overlapping", [torch.tensor(MAX)[None, None], torch.tensor(MEAN)[None]]),
    ("follows", by_largest_error),
    ("steady", largest),
    ("steady", mean_of(range(32))),
    ("steady", up_and_down),
    ("steady", one_batch),
    ("steady", to_a_mark),
    ("steady", mean_of(range(3, 11))),
]

WRONG = [
    ("overlapping", [MEAN, MAX], "comes first"),
    ("overlapping", [MAX], "two results"),
    ("overlapping", [SMALL[0], MEAN], "2x2"),
    ("overlapping", [MAX, SMALL[1]], "2x2"),
    ("overlapping", [max_pool2d(check.MAP[None], 3, 1)[0], MEAN], "stride 1"),
    ("overlapping", [max_pool2d(check.MAP[None], 3, 3)[0], MEAN], "stride 3"),
    ("overlapping", [MAX, 9 * MEAN], "divide"),
    ("overlapping", [MAX, 9 * MEAN / 4], "nine places"),
    ("overlapping", [MAX + [[0, 0], [0, 1]], MEAN], "The maximum: 1 of 4"),
    ("overlapping", [MAX, MEAN + 1], "The mean: 4 of 4"),
    ("sizes", [24, 389_578, 21_578], "round down"),
    ("sizes", [23, 359_392, 21_472], "biases"),
    ("sizes", [96, 5_919_178, 21_578], "without its poolings"),
    ("sizes", [23, 21_578, 359_498], "exchanged"),
    ("sizes", [23, 359_498, 20_928], "global mean"),
    ("sizes", [23, 359_498], "3 numbers"),
    ("sizes", [(23, 23), 359_498, 21_578], "single one"),
    ("sizes", [23, 359_488, 21_568], "ten biases"),
    ("sizes", [23, 341_642, 3_722], "32 channels"),
    ("sizes", [24, 1, 2], "Look again at side, number of parameters and number behind a global mean."),
    ("savings", [DENSE, 156_800, 200, 200], "every one"),
    ("savings", [DENSE, 19_600, 200, 19_600], "eight maps"),
    ("savings", [28**4, 156_800, 200, 156_800], "dense layer makes"),
    ("savings", [DENSE, 156_800, 25, 156_800], "own kernel"),
    ("savings", [DENSE + 6272, 156_800 + 6272, 208, 156_800], "biases"),
    ("savings", [DENSE, 156_800, 201, 156_800], "shared"),
    ("savings", [DENSE, 143_648, 200, 143_648], "at the border"),
    ("savings", [DENSE, 143_648, 200, 156_800], "at the border"),
    ("savings", [784 * 8 * 576, 115_200, 200, 115_200], "28x28, not 24x24"),
    ("savings", "many", "4 numbers"),
    ("smallest_shifts", 4, "4 numbers"),
    ("smallest_shifts", [4, 10, 5, 64], "multiply"),
    ("smallest_shifts", [6, 10, 6, 64], "multiply"),
    ("smallest_shifts", [2, 2, 3, 64], "4 pixels"),
    ("smallest_shifts", [4, 32, 6, 4], "dense layer"),
    ("smallest_shifts", [1, 1, 1, 64], "falls between"),
    ("smallest_shifts", [4, 16, 6, 64], "second"),
    ("smallest_shifts", [6, 10, 6, 9], "add up"),
    ("smallest_shifts", [4, 32, 6, 0], "ring"),
    ("smallest_shifts", [4, 32, 6, float("inf")], "ring"),
    ("smallest_shifts", [4, 32, 6, "none"], "4 numbers"),
    ("follows", True, "without calling"),
    ("follows", invariant, "not with f(x)"),
    ("follows", backward, "every shift"),
    ("follows", same_shift, "4/2"),
    ("follows", inside, "all places"),
    ("follows", loose, "1e-3"),
    ("follows", generous, "1e-3"),
    ("follows", strict, "1e-6"),
    ("follows", rounded, "does not divide"),
    ("follows", by_mean_error, "not the mean"),
    ("follows", one_map, "all pictures"),
    ("follows", unreduced, ".all()"),
    ("follows", lambda f, x, d, s: None, "return missing"),
    ("follows", lambda f, x, d, s: True, "shift by 3"),
    ("steady", 3, "without calling"),
    ("steady", lambda model, x: model(x), "still change"),
    ("steady", mean_of(range(7)), "still change"),
    ("steady", mean_of(range(0, 8, 2)), "still change"),
    ("steady", mean_of(range(-4, 5)), "as -4 and 4 do"),
    ("steady", lambda model, x: model(x.mean(3, keepdim=True).expand_as(x)), "rolled copies"),
    ("steady", mean_of([0]), "1 pixel."),
    ("steady", lambda model, x: model(0 * x), "rolled copies"),
    ("steady", lambda model, x: torch.zeros(3, 10), "never called"),
    ("steady", lambda model, x: model(x).argmax(1), "(3, 10)"),
    ("steady", lambda model, x: model(x) * float("nan"), "nan or inf"),
]


test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(
    check, [*RIGHT.items(), *OTHER_FORMS], WRONG
)
