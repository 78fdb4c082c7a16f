"""Checkers of Chapter 2, "Size, stride, padding, dilation"."""

import random
from itertools import product

import numpy as np

from helpers.check import array_hint, checker
from helpers.conv import max_pool2d, output_size


@checker
def chain(answer):
    """2.1: the side after each of six layers, from 96.
    The floor took its part in all three layers that have a stride."""
    expected = [96, 47, 45, 45, 22, 7]
    slips = (
        (
            [96, 48, 46, 46, 23, 8],
            "You rounded up. A window that would hang over the edge does not stand: take the floor.",
        ),
        ([96, 47, 45, 47, 23, 7], "The fourth layer's dilation is missing: with D = 2 its kernel reaches 5 pixels."),
        ([92, 45, 43, 39, 19, 5], "The paddings are missing: each adds 2P to the size."),
        ([95, 46, 43, 42, 20, 5], "One too few at each step: the first place, before any move, counts too (+ 1)."),
        ([94, 46, 44, 42, 21, 6], "P pixels on each side make 2P in all."),
    )
    return array_hint(answer, expected, slips)


@checker
def inputs_of_ten(answer):
    """2.2: smallest and largest input that give ten places.
    As many input sizes as the stride share one output size."""
    smallest, largest = (int(v) for v in answer)
    if (smallest, largest) == (37, 37):
        return "37 is the one that divides without a remainder; floor lets larger ones give 10 as well."
    if (smallest, largest) == (39, 42):
        return "The padding is missing: n + 2P takes the place of n."
    if (smallest, largest) == (41, 44):
        return "The quotient before + 1 is 9, not 10."
    for name, more, value, expected in (("smallest", "smaller", smallest, 37), ("largest", "larger", largest, 40)):
        if value != expected:
            size = output_size(value, 3, 4, 1) if value > 0 else "no output"
            return f"The {name} input is not {value}: it gives {size}." if size != 10 else f"There is a {more} one."
    return None


@checker
def halving(answer):
    """2.3: all (F, S, P, D) that take 224 to 112.
    All have stride 2 and a reach of 2P + 1 or 2P + 2."""
    given = {tuple(int(v) for v in row) for row in answer}
    expected = {row for row in product(range(1, 8), range(1, 5), range(4), range(1, 3)) if _side(224, *row) == 112}
    for row in sorted(given - expected):
        if len(row) != 4:
            return f"{row} is not (F, S, P, D)."
        return f"(F, S, P, D) = {row} gives {_side(224, *row) or 'no output'}, or is out of the ranges asked for."
    missing = sorted(expected - given)
    return f"{len(missing)} of {len(expected)} are missing; one of them has F = {missing[0][0]}." if missing else None


@checker
def never_seen(answer):
    """2.4: the pixels of 20 that no window of 2 covers, stride 3, padding 1.
    Every third pixel lies between two windows, or beyond the last."""
    given, expected = sorted(int(i) for i in answer), list(range(1, 20, 3))
    if given == list(range(2, 20, 3)):
        return "That is without padding. With P = 1, the first window starts at pixel -1."
    if given == [i + 1 for i in expected]:
        return "You numbered the padded row. Pixel 0 is the first of the image, after one pixel of padding."
    if given == [19]:
        return "19 is lost to the remainder, but the stride is larger than the window: look between the windows too."
    if given == expected[:-1]:
        return "Between the windows all are there. What about the right end?"
    wrong, missing = sorted(set(given) - set(expected)), sorted(set(expected) - set(given))
    if wrong:
        return f"Pixel {wrong[0]} is seen by a window." if 0 <= wrong[0] < 20 else f"There is no pixel {wrong[0]}."
    return f"{len(missing)} more are never seen." if missing else None


@checker
def count_places(function):
    """2.5: a function of (n, kernel_size, stride, (left, right), dilation).
    Two thousand random cases agree, those without any place included."""
    rng = random.Random(0)
    draws = [
        (
            rng.randint(1, 40),
            rng.randint(1, 7),
            rng.randint(1, 5),
            (rng.randint(0, 4), rng.randint(0, 4)),
            rng.randint(1, 4),
        )
        for _ in range(2000)
    ]
    cases = [
        (1, 1, 1, (0, 0), 1),
        (7, 3, 1, (0, 0), 1),
        (8, 3, 2, (0, 0), 1),
        (5, 3, 1, (1, 1), 1),
        (7, 3, 1, (0, 0), 2),
    ]
    for case in [*cases, *draws]:
        got, expected = function(*case), _places(*case)
        if got == expected:
            continue
        n, kernel_size, stride, padding, dilation = case
        where = f"n={n}, kernel_size={kernel_size}, stride={stride}, padding={padding}, dilation={dilation}"
        return f"First wrong at {where}: {got} instead of {expected}." + _why(got, case)
    return None


@checker
def same_padding(function):
    """2.6: a function of (n, kernel_size, stride, dilation) -> (left, right).
    It gives ceil(n / stride) places in all the cases tried."""
    for d, s, f, n in product(range(1, 3), range(1, 5), range(1, 7), range(1, 20)):
        left, right = (int(v) for v in function(n, f, s, d))
        total = max(0, (-(-n // s) - 1) * s + d * (f - 1) + 1 - n)
        expected = (total // 2, total - total // 2)
        if (left, right) == expected:
            continue
        where = f"n={n}, kernel_size={f}, stride={s}, dilation={d}: ({left}, {right})"
        if min(left, right) < 0:
            return f"Negative padding at {where}. No padding is needed there."
        if (right, left) == expected:
            return f"The larger half belongs on the right: {where}."
        if left + right == total:
            return f"The total is right, the halves differ by more than one at {where}."
        size = _places(n, f, s, (left, right), d)
        if d > 1:
            return f"First wrong at {where}, with a dilation: does the reach enter, or only the kernel's size?"
        if size == -(-n // s):
            return f"The size is right at {where}, but less padding, {total} in all, is enough."
        return f"First wrong at {where}: this gives {size} places, not {-(-n // s)}."
    return None


@checker
def max_pool(function):
    """2.7: a function of (x, kernel_size, stride) on arrays (H, W).
    It agrees with the package, on negative numbers too."""
    rng = np.random.default_rng(0)
    for h, w, f, s in [(4, 4, 2, 2), (5, 6, 2, 2), (7, 7, 3, 2), (9, 6, 3, 1), (8, 11, 2, 3)]:
        x = rng.integers(-9, 0, (h, w))
        expected = max_pool2d(x[None], f, s)[0]
        mean = np.lib.stride_tricks.sliding_window_view(x, (f, f))[::s, ::s].mean((2, 3))
        dense = max_pool2d(x[None], f, 1)[0]
        slips = [
            (mean, "These are the windows' means; max pooling keeps the largest value."),
            (np.maximum(expected, 0), "Negative numbers come out as 0: start from the window's values, not from 0."),
        ]
        if s > 1:
            slips.append((dense, "The stride is missing: the windows move by stride, not by 1."))
        if hint := array_hint(function(x, f, s), expected, slips):
            return f"{h}x{w}, window {f}, stride {s}: {hint}"
    return None


NETWORKS = {
    "the sheet's network": (
        (3, 32, 32),
        [("conv", 6, 5, 1, 0), ("pool", 2, 2), ("conv", 16, 5, 1, 0), ("pool", 2, 2), ("dense", 120), ("dense", 10)],
    ),
    "three layers as in AlexNet": ((3, 227, 227), [("conv", 96, 11, 4, 0), ("pool", 3, 2), ("conv", 256, 5, 1, 2)]),
    "the start of a ResNet": ((3, 224, 224), [("conv", 64, 7, 2, 3), ("pool", 2, 2), ("conv", 128, 3, 2, 1)]),
    "a wide picture": ((1, 20, 51), [("conv", 4, 3, 2, 0), ("pool", 3, 3), ("dense", 7)]),
}


@checker
def shapes(function):
    """2.8: a function of (layers, shape) -> list of shapes and parameter counts.
    The shapes and parameters of four networks agree."""
    for name, (shape, layers) in NETWORKS.items():
        rows = list(function(layers, shape))
        expected = network_shapes(layers, shape)
        if len(rows) != len(expected):
            return f"{name}: {len(rows)} rows for {len(expected)} layers; give one (shape, parameters) a layer."
        for layer, row, (right_shape, right_count) in zip(layers, rows, expected):
            given, count = tuple(int(v) for v in np.ravel(row[0])), int(row[1])
            if given == (right_shape[0], *right_shape[:0:-1]) != right_shape:
                return f"{name}, {layer}: height and width have changed places."
            if given != right_shape:
                return f"{name}, {layer}: shape {given}, expected {right_shape}."
            if count != right_count:
                return f"{name}, {layer}: {count} parameters, expected {right_count}." + _miscounted(
                    layer, count, right_count
                )
    return None


def network_shapes(layers, shape):
    """What Exercise 2.8 asks for: [(shape, parameters), ...], one a layer."""
    rows = []
    for kind, *settings in layers:
        if kind == "dense":
            count, shape = settings[0] * (int(np.prod(shape)) + 1), (settings[0],)
        elif kind == "conv":
            k, f, s, p = settings
            count, shape = k * (shape[0] * f * f + 1), (k, *(output_size(n, f, s, p) for n in shape[1:]))
        else:
            f, s = settings
            count, shape = 0, (shape[0], *(output_size(n, f, s) for n in shape[1:]))
        rows.append((shape, count))
    return rows


def _miscounted(layer, count, expected):
    if layer[0] == "pool":
        return " Pooling has nothing to learn."
    return " The biases are missing: one a unit or filter." if expected - count == layer[1] else ""


def _side(n, kernel_size, stride, padding, dilation):
    try:
        return output_size(n, kernel_size, stride, padding, dilation)
    except ValueError:
        return None


def _places(n, kernel_size, stride, padding, dilation):
    return max(0, (n + sum(padding) - dilation * (kernel_size - 1) - 1 + stride) // stride)


def _why(got, case):
    """The slip that gives this answer, if it is a known one."""
    n, f, s, (left, right), d = case
    reach, row = d * (f - 1) + 1, n + left + right
    slips = (
        (0, "", reach > row),
        ((row - reach) // s, " The place before the first move is missing (+ 1).", reach <= row),
        (-(-(row - reach) // s) + 1, " It looks rounded up.", reach <= row),
        ((row - f) // s + 1, " Does the dilation enter?", d > 1),
        ((n + 2 * left - reach) // s + 1, " The right padding may differ from the left.", left != right),
        ((n - reach) // s + 1, " Does the padding enter?", left + right > 0),
    )
    if reach > row:
        return " Where no window fits, there are 0 places."
    return next((text for value, text, applies in slips if applies and got == value), "")
