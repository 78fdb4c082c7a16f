"""Checkers of Chapter 2, "Size, stride, padding, dilation"."""

import random
from itertools import product

import numpy as np

from helpers.check import array_hint, checker
from helpers.conv import max_pool2d, output_size

CHAIN = (  # name, F, S, P, D
    ("5x5 with padding 2", 5, 1, 2, 1),
    ("max pooling 3x3 with stride 2", 3, 2, 0, 1),
    ("3x3", 3, 1, 0, 1),
    ("3x3 with dilation 2 and padding 2", 3, 1, 2, 2),
    ("max pooling 2x2 with stride 2", 2, 2, 0, 1),
    ("5x5 with stride 3 and padding 1", 5, 3, 1, 1),
)


@checker
def chain(answer):
    """2.1: the side after each of six layers, from 96.
    The floor took its part in all three layers that have a stride."""
    expected = [96, 47, 45, 45, 22, 7]
    given = np.asarray(answer, float).tolist()
    if given == [96, *expected]:
        return "Leave the input out: six numbers, one after each layer."
    if np.shape(given) != (6,) or given == expected:
        return array_hint(given, expected)
    layer = next(i for i in range(6) if given[i] != expected[i])
    name, *settings = CHAIN[layer]
    slips = _chain_slips([96, *expected][layer], *settings)
    where = f"The first that is not right is layer {layer + 1}, {name}. "
    return where + " Or: ".join(hint for size, hint in slips if size == given[layer])


def _chain_slips(n, f, s, p, d):
    """Pairs (the size that a slip gives, its hint) for one layer."""
    free = n + 2 * p - d * (f - 1) - 1
    slips = (
        (-(-free // s) + 1, "You rounded up. A window that would hang over the edge does not stand: take the floor."),
        (free / s + 1, "A window stands or it does not: take the floor."),
        (free // s, "One too few: the first place, before any move, counts too (+ 1)."),
        ((free - 2 * p) // s + 1, "The padding is missing: it adds 2P to the size."),
        ((free - p) // s + 1, "P pixels on each side make 2P in all."),
        (
            (n + 2 * p - f) // s + 1,
            f"The dilation is missing: with D = {d} the kernel reaches {d * (f - 1) + 1} pixels.",
        ),
        (free + 1, "The stride is missing."),
    )
    right = free // s + 1
    return [slip for slip in slips if slip[0] != right]


@checker
def inputs_of_ten(answer):
    """2.2: smallest and largest input that give ten places.
    As many input sizes as the stride share one output size, provided that the smallest is at least 1."""
    given = sorted(int(v) for v in answer)
    if given == [37, 38, 39, 40]:
        return None
    if not 1 <= len(given) <= 2:
        return "Give two numbers, the smallest and the largest side."
    smallest, largest = given[0], given[-1]
    if (smallest, largest) == (37, 37):
        return "37 is the one that divides without a remainder; floor lets larger ones give 10 as well."
    if (smallest, largest) == (39, 42):
        return "The padding is missing: n + 2P takes the place of n."
    if (smallest, largest) == (41, 44):
        return "The quotient before + 1 is 9, not 10."
    for name, more, value, expected in (("smallest", "smaller", smallest, 37), ("largest", "larger", largest, 40)):
        if value != expected:
            size = output_size(value, 3, 4, 1) if value > 0 else "no output"
            return (
                f"The {name} input is not {value}: it gives {size}."
                if size != 10
                else f"{value} gives 10, but there is a {more} input that does too."
            )
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
    for order, columns in (("F, S, D, P", (0, 1, 3, 2)), ("S, F, P, D", (1, 0, 2, 3)), ("F, P, S, D", (0, 2, 1, 3))):
        if given != expected and {tuple(row[c] for c in columns) for row in given} == expected:
            return f"These are ({order}); the order asked for is (F, S, P, D)."
    for row in sorted(given - expected):
        return f"(F, S, P, D) = {row} gives {_side(224, *row) or 'no output'}, or is out of the ranges asked for."
    missing = sorted(expected - given)
    if not missing:
        return None
    if all(f == 1 and d == 2 for f, _, _, d in missing):
        return "With F = 1 the dilation changes nothing, so such a layer is in the list with D = 1 and with D = 2."
    f, _, _, d = next(row for row in missing if row[0] > 1 or row[3] == 1)
    return f"{len(missing)} of {len(expected)} are missing; one of them has F = {f} and D = {d}."


@checker
def never_seen(answer):
    """2.4: the pixels of 20 that no window of 2 covers, stride 3, padding 1.
    Every third pixel lies between two windows, or beyond the last."""
    answer, expected = np.asarray(answer), list(range(1, 20, 3))
    given = sorted(int(i) for i in (np.flatnonzero(answer) if answer.dtype == bool else answer))
    if given == list(range(2, 20, 3)):
        return "That is without padding. With P = 1, the first window starts at pixel -1."
    if given in ([i + 1 for i in expected], [i + 1 for i in [*expected, 20]]):
        return "You numbered the padded row. Pixel 0 is the first of the image, after one pixel of padding."
    if given == sorted(set(range(20)) - set(expected)):
        return "These are the pixels that are seen; the question is about the others."
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
        n, kernel_size, stride, padding, dilation = case
        where = f"n={n}, kernel_size={kernel_size}, stride={stride}, padding={padding}, dilation={dilation}"
        expected = _places(*case)
        try:
            got = function(*case)
        except ValueError as error:
            if expected:
                raise
            return f"At {where}, where no window fits, your function raises ({error}): let it return 0 instead."
        if got is None:
            return f"Your function returns None at {where}: is a return missing?"
        if got == expected:
            continue
        return f"First wrong at {where}: {got} instead of {expected}." + _why(got, case)
    return None


@checker
def same_padding(function):
    """2.6: a function of (n, kernel_size, stride, dilation) -> (left, right).
    It gives ceil(n / stride) places in all the cases tried."""
    for d, s, f, n in product(range(1, 3), range(1, 5), range(1, 7), range(1, 20)):
        where = f"n={n}, kernel_size={f}, stride={s}, dilation={d}"
        given = function(n, f, s, d)
        if given is None:
            return f"Your function returns None at {where}: is a return missing?"
        if np.shape(given) != (2,):
            return f"Give a pair (left, right); at {where} it is {given}."
        left, right = given
        if left != int(left) or right != int(right):
            return f"There are no half pixels: at {where} your padding is ({left:g}, {right:g})."
        left, right = int(left), int(right)
        total = max(0, (-(-n // s) - 1) * s + d * (f - 1) + 1 - n)
        expected = (total // 2, total - total // 2)
        if (left, right) == expected:
            continue
        where += f": ({left}, {right})"
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
        x = rng.permutation(np.arange(-h * w, 0)).reshape(h, w) - (0.25 if f == 3 else 0)
        where = f"{h}x{w}, window {f}, stride {s}"
        given, expected = function(x.copy(), f, s), max_pool2d(x[None], f, s)[0]
        if given is None:
            return f"{where}: your function returns None: is a return missing?"
        mean = np.lib.stride_tricks.sliding_window_view(x, (f, f))[::s, ::s].mean((2, 3))
        slips = [
            (mean, "These are the windows' means; max pooling keeps the largest value."),
            (np.maximum(expected, 0), "Negative numbers come out as 0: start from the window's values, not from 0."),
            (np.trunc(expected), "The numbers are cut to whole ones: let the output have the input's dtype."),
            (expected.T, "Rows and columns have changed places."),
            (max_pool2d(x[None], f, 1)[0], "The stride is missing: the windows move by stride, not by 1."),
            (max_pool2d(x[None], f, f)[0], "The windows move by kernel_size; they should move by stride."),
            (max_pool2d(x[None], s, s)[0], "The windows have the size of the stride; it should be kernel_size."),
        ]
        slips = [slip for slip in slips if not np.array_equal(slip[0], expected)]
        if hint := array_hint(given, expected, slips):
            return f"{where}: {hint}"
    return None


NETWORKS = {
    "a network for 32x32": (
        (3, 32, 32),
        [("conv", 6, 5, 1, 0), ("pool", 2, 2), ("conv", 16, 5, 1, 0), ("pool", 2, 2), ("dense", 120), ("dense", 10)],
    ),
    "three layers on 227x227": ((3, 227, 227), [("conv", 96, 11, 4, 0), ("pool", 3, 2), ("conv", 256, 5, 1, 2)]),
    "the start of a ResNet": ((3, 224, 224), [("conv", 64, 7, 2, 3), ("pool", 2, 2), ("conv", 128, 3, 2, 1)]),
    "a wide picture": ((1, 20, 51), [("conv", 4, 3, 2, 0), ("pool", 3, 3), ("dense", 7)]),
}


@checker
def shapes(function):
    """2.8: a function of (layers, shape) -> list of shapes and parameter counts.
    The shapes and parameters of four networks agree."""
    for name, (shape, layers) in NETWORKS.items():
        rows = function(layers, shape)
        if rows is None:
            return "Your function returns None: is a return missing?"
        rows = list(rows)
        expected = network_shapes(layers, shape)
        if len(rows) != len(expected):
            return f"{name}: {len(rows)} rows for {len(expected)} layers; give one (shape, parameters) a layer."
        before = shape
        for layer, row, (right_shape, right_count) in zip(layers, rows, expected):
            if np.ndim(row[0]) == 0 and np.ndim(row[1]) == 1:
                return f"{name}, {layer}: first the shape, then the number of parameters."
            given, count = tuple(int(v) for v in np.ravel(row[0])), int(row[1])
            if given == (right_shape[0], *right_shape[:0:-1]) != right_shape:
                return f"{name}, {layer}: height and width have changed places."
            if given != right_shape:
                return f"{name}, {layer}: shape {given}, expected {right_shape}."
            if count != right_count:
                hint = _miscounted(layer, before, count, right_count)
                return f"{name}, {layer}: {count} parameters, expected {right_count}.{hint}"
            before = right_shape
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


def _miscounted(layer, before, count, expected):
    """The slip that gives this number of parameters for a layer on the shape `before`, if it is a known one."""
    kind, k, *rest = layer
    if kind == "pool":
        return " Pooling has nothing to learn."
    fan_in = (expected - k) // k
    slips = {k * fan_in: " The biases are missing: one a unit or filter."}
    if kind == "conv":
        slips |= {k * (rest[0] ** 2 + 1): " Each filter has weights for every channel of its input."}
        slips |= {k * (before[0] * rest[0] + 1): " A kernel is square: F times F weights a channel."}
    else:
        slips |= {k * (before[0] + 1): " A dense unit is connected to every number before it, not one a channel."}
    slips |= {k * fan_in + 1: " Each unit or filter has a bias of its own, not one for the layer."}
    slips.pop(expected, None)
    return slips.get(count, "")


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
