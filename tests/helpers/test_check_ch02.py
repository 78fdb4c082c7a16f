"""Chapter 2's checkers: right answers pass, and each known slip gets the hint for it."""

from itertools import product

import numpy as np
import pytest

from helpers.check import ch02 as check
from helpers.conv import max_pool2d, output_size


def judge(name, answer):
    return getattr(check, name)(answer)


def side(n, *settings):
    try:
        return output_size(n, *settings)
    except ValueError:
        return None


HALVING = [row for row in product(range(1, 8), range(1, 5), range(4), range(1, 3)) if side(224, *row) == 112]


def places(n, kernel_size, stride, padding, dilation):
    return len(range(-padding[0], n + padding[1] - dilation * (kernel_size - 1), stride))


def same(n, kernel_size, stride, dilation):
    total = max(0, (-(-n // stride) - 1) * stride + dilation * (kernel_size - 1) + 1 - n)
    return total // 2, total - total // 2


def pooled(x, kernel_size, stride):
    return max_pool2d(x[None], kernel_size, stride)[0]


RIGHT = {
    "chain": [96, 47, 45, 45, 22, 7],
    "inputs_of_ten": (37, 40),
    "halving": HALVING,
    "never_seen": [1, 4, 7, 10, 13, 16, 19],
    "count_places": places,
    "same_padding": same,
    "max_pool": pooled,
    "shapes": check.network_shapes,
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers(name):
    verdict = judge(name, RIGHT[name])
    assert verdict.right is True, verdict
    assert verdict.message


@pytest.mark.parametrize("name", RIGHT)
def test_no_answer_yet_and_nonsense(name):
    assert judge(name, ...).right is None
    assert judge(name, "nonsense").right is False


def test_every_order_of_a_set_passes():
    assert check.halving(set(HALVING)).right
    assert check.never_seen(np.array([19, 16, 13, 10, 7, 4, 1])).right


def test_the_halving_layers_are_what_the_praise_says():
    assert all(s == 2 and d * (f - 1) + 1 - 2 * p in (1, 2) for f, s, p, d in HALVING)


def mean_pool(x, kernel_size, stride):
    return np.lib.stride_tricks.sliding_window_view(x, (kernel_size,) * 2)[::stride, ::stride].mean((2, 3))


def changed(change):
    """Exercise 2.8's answer with each row changed."""
    return lambda layers, shape: [change(*row) for row in check.network_shapes(layers, shape)]


def without_bias(layers, shape):
    rows = check.network_shapes(layers, shape)
    return [(s, n - layer[1] if n else 0) for layer, (s, n) in zip(layers, rows)]


def without_dilation(n, k, s, p, d):
    return places(n, k, s, p, 1)


def without_max(n, k, s, d):
    total = (-(-n // s) - 1) * s + d * (k - 1) + 1 - n
    return total // 2, total - total // 2


WRONG = [
    ("chain", [96, 48, 46, 46, 23, 8], "rounded up"),
    ("chain", [96, 47, 45, 47, 23, 7], "dilation is missing"),
    ("chain", [92, 45, 43, 39, 19, 5], "paddings are missing"),
    ("chain", [95, 46, 43, 42, 20, 5], "first place"),
    ("chain", [94, 46, 44, 42, 21, 6], "2P in all"),
    ("chain", [96, 47, 45, 45, 22, 9], "1 of 6 numbers"),
    ("chain", [96, 47], "shape is"),
    ("inputs_of_ten", (37, 37), "without a remainder"),
    ("inputs_of_ten", (39, 42), "padding is missing"),
    ("inputs_of_ten", (41, 44), "9, not 10"),
    ("inputs_of_ten", (36, 40), "it gives 9"),
    ("inputs_of_ten", (37, 41), "it gives 11"),
    ("inputs_of_ten", (38, 40), "There is a smaller one"),
    ("inputs_of_ten", (37, 39), "There is a larger one"),
    ("halving", HALVING[1:], f"1 of {len(HALVING)} are missing"),
    ("halving", [*HALVING, (3, 2, 0, 1)], "gives 111"),
    ("halving", [*HALVING, (9, 2, 4, 1)], "out of the ranges"),
    ("halving", [(3, 2)], "not (F, S, P, D)"),
    ("never_seen", range(2, 20, 3), "without padding"),
    ("never_seen", range(2, 21, 3), "padded row"),
    ("never_seen", [19], "between the windows"),
    ("never_seen", range(1, 19, 3), "right end"),
    ("never_seen", [0, 1, 4], "Pixel 0 is seen"),
    ("never_seen", [1, 4, 25], "no pixel 25"),
    ("never_seen", [1, 4], "5 more"),
    ("count_places", lambda *case: places(*case) - 1, "+ 1"),
    ("count_places", lambda n, k, s, p, d: -(-(n + sum(p) - d * (k - 1) - 1) // s) + 1, "rounded up"),
    ("count_places", without_dilation, "dilation"),
    ("count_places", lambda n, k, s, p, d: places(n, k, s, (p[0], p[0]), d), "right padding"),
    ("count_places", lambda n, k, s, p, d: places(n, k, s, (0, 0), d), "padding enter"),
    ("count_places", lambda n, k, s, p, d: (n + sum(p) - d * (k - 1) - 1) // s + 1, "0 places"),
    ("same_padding", lambda *case: same(*case)[::-1], "larger half belongs on the right"),
    ("same_padding", lambda n, k, s, d: ((k - 1) // 2, k - 1 - (k - 1) // 2), "less padding"),
    ("same_padding", lambda n, k, s, d: same(n, k, s, 1), "does the reach enter"),
    ("same_padding", lambda n, k, s, d: (0, sum(same(n, k, s, d))), "differ by more than one"),
    ("same_padding", lambda n, k, s, d: (0, 0), "places, not"),
    ("same_padding", without_max, "Negative padding"),
    ("max_pool", mean_pool, "means"),
    ("max_pool", lambda x, k, s: np.maximum(pooled(x, k, s), 0), "come out as 0"),
    ("max_pool", lambda x, k, s: pooled(x, k, 1), "stride is missing"),
    ("max_pool", lambda x, k, s: pooled(x, k, s)[:-1], "should be"),
    ("shapes", lambda layers, shape: check.network_shapes(layers, shape)[:-1], "give one (shape, parameters)"),
    ("shapes", without_bias, "biases are missing"),
    ("shapes", changed(lambda s, n: (s, n + 1)), "parameters, expected"),
    ("shapes", changed(lambda s, n: (s, n or 5)), "nothing to learn"),
    ("shapes", changed(lambda s, n: (s[:1] + s[:0:-1], n)), "changed places"),
    ("shapes", changed(lambda s, n: (s[:-1] + (s[-1] + 1,), n)), "expected (6, 28, 28)"),
]


@pytest.mark.parametrize(("name", "answer", "hint"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_wrong_answers_get_the_hint_of_their_slip(name, answer, hint):
    verdict = judge(name, answer)
    assert verdict.right is False
    assert hint in verdict.message, verdict
