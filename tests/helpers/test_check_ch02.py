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


def test_other_forms_of_a_right_answer_pass():
    assert check.chain(np.array([96.0, 47, 45, 45, 22, 7])).right
    assert check.chain((96, 47, 45, 45, 22, 7)).right
    assert check.inputs_of_ten((40, 37)).right
    assert check.inputs_of_ten({37, 40}).right
    assert check.inputs_of_ten(range(37, 41)).right
    assert check.halving([list(row) for row in HALVING]).right
    assert check.never_seen(np.arange(20) % 3 == 1).right
    assert check.never_seen([i % 3 == 1 for i in range(20)]).right
    assert check.same_padding(lambda *case: np.array(same(*case), float)).right
    assert check.max_pool(lambda x, k, s: pooled(x, k, s).tolist()).right
    assert check.shapes(lambda layers, shape: [list(row) for row in check.network_shapes(layers, shape)]).right


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


def counted(conv=None, dense=None):
    """Exercise 2.8's answer with another count for one kind of layer."""

    def answer(layers, shape):
        rows, before = check.network_shapes(layers, shape), shape
        for i, (layer, (after, _)) in enumerate(zip(layers, list(rows))):
            if layer[0] == "conv" and conv:
                rows[i] = after, conv(layer[1], layer[2], before[0])
            if layer[0] == "dense" and dense:
                rows[i] = after, dense(layer[1], before)
            before = after
        return rows

    return answer


def raising(n, k, s, p, d):
    if not (count := places(n, k, s, p, d)):
        raise ValueError("the kernel is larger than the padded input")
    return count


def without_dilation(n, k, s, p, d):
    return places(n, k, s, p, 1)


def without_max(n, k, s, d):
    total = (-(-n // s) - 1) * s + d * (k - 1) + 1 - n
    return total // 2, total - total // 2


WRONG = [
    ("chain", [96, 48, 46, 46, 23, 8], "layer 2, max pooling 3x3 with stride 2. You rounded up"),
    ("chain", [96, 47.5, 45.5, 45.5, 22.75, 7.6], "layer 2, max pooling 3x3 with stride 2. A window stands"),
    ("chain", [96, 47, 45, 45, 23, 8], "layer 5, max pooling 2x2 with stride 2. You rounded up"),
    ("chain", [96, 47, 45, 47, 23, 7], "dilation is missing: with D = 2 the kernel reaches 5"),
    ("chain", [92, 45, 43, 39, 19, 5], "padding is missing"),
    ("chain", [96, 47, 45, 41, 20, 6], "layer 4, 3x3 with dilation 2 and padding 2. The padding is missing"),
    ("chain", [96, 47, 45, 45, 22, 6], "layer 6"),
    ("chain", [95, 46, 43, 42, 20, 5], "first place"),
    ("chain", [94, 46, 44, 42, 21, 6], "2P in all"),
    ("chain", [96, 94, 92, 92, 91, 89], "stride is missing"),
    ("chain", [96, 47, 45, 45, 22, 9], "layer 6"),
    ("chain", [96, 96, 47, 45, 45, 22, 7], "Leave the input out"),
    ("chain", [96, 47], "shape is"),
    ("inputs_of_ten", (37, 37), "without a remainder"),
    ("inputs_of_ten", (39, 42), "padding is missing"),
    ("inputs_of_ten", (41, 44), "9, not 10"),
    ("inputs_of_ten", (36, 40), "it gives 9"),
    ("inputs_of_ten", (37, 41), "it gives 11"),
    ("inputs_of_ten", (38, 40), "there is a smaller input"),
    ("inputs_of_ten", (37, 39), "there is a larger input"),
    ("inputs_of_ten", (39, 37), "there is a larger input"),
    ("inputs_of_ten", {37}, "without a remainder"),
    ("inputs_of_ten", range(37, 42), "two numbers"),
    ("inputs_of_ten", [], "two numbers"),
    ("halving", HALVING[1:], f"1 of {len(HALVING)} are missing"),
    ("halving", [*HALVING, (3, 2, 0, 1)], "gives 111"),
    ("halving", [*HALVING, (9, 2, 4, 1)], "out of the ranges"),
    ("halving", [(3, 2)], "not (F, S, P, D)"),
    ("halving", [(f, s, d, p) for f, s, p, d in HALVING], "These are (F, S, D, P)"),
    ("halving", [(s, f, p, d) for f, s, p, d in HALVING], "These are (S, F, P, D)"),
    ("halving", [row for row in HALVING if row[0] > 1 or row[3] == 1], "With F = 1 the dilation changes nothing"),
    ("halving", [row for row in HALVING if row[3] == 1], "one of them has F = 2 and D = 2"),
    ("never_seen", range(2, 20, 3), "without padding"),
    ("never_seen", range(2, 21, 3), "padded row"),
    ("never_seen", [*range(2, 21, 3), 21], "padded row"),
    ("never_seen", [i for i in range(20) if i % 3 != 1], "pixels that are seen"),
    ("never_seen", np.arange(20) % 3 != 1, "pixels that are seen"),
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
    ("count_places", raising, "let it return 0 instead"),
    ("count_places", lambda *case: None, "is a return missing"),
    ("same_padding", lambda *case: None, "is a return missing"),
    ("same_padding", lambda *case: sum(same(*case)), "Give a pair"),
    ("same_padding", lambda *case: (sum(same(*case)) / 2,) * 2, "is (0.5, 0.5)"),
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
    ("max_pool", lambda x, k, s: pooled(x, k, s).astype(int), "cut to whole ones"),
    ("max_pool", lambda x, k, s: pooled(x, k, s).T, "changed places"),
    ("max_pool", lambda x, k, s: pooled(x, k, k), "move by kernel_size"),
    ("max_pool", lambda x, k, s: pooled(x, s, s), "size of the stride"),
    ("max_pool", lambda x, k, s: None, "is a return missing"),
    ("shapes", lambda layers, shape: check.network_shapes(layers, shape)[:-1], "give one (shape, parameters)"),
    ("shapes", without_bias, "biases are missing"),
    ("shapes", lambda layers, shape: None, "is a return missing"),
    ("shapes", changed(lambda s, n: (n, s)), "first the shape"),
    ("shapes", counted(conv=lambda k, f, c: k * (f * f + 1)), "every channel of its input"),
    ("shapes", counted(conv=lambda k, f, c: k * (f * c + 1)), "square"),
    ("shapes", counted(conv=lambda k, f, c: k * f * f * c + 1), "not one for the layer"),
    ("shapes", counted(dense=lambda k, before: k * (before[0] + 1)), "not one a channel"),
    ("shapes", counted(dense=lambda k, before: k * int(np.prod(before)) + 1), "not one for the layer"),
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
