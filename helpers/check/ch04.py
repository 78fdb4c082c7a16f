"""Checkers of Chapter 4, "Pooling and invariance"."""

from collections import Counter

import numpy as np
import torch
from torch import nn

from helpers.check import array_hint, checker
from helpers.conv import avg_pool2d, max_pool2d
from helpers.models import PoolNet

MAP = np.array([[2.0, 0, 1, 7, 1], [0, 3, 0, 0, 1], [1, 0, 2, 2, 4], [6, 0, 1, 0, 0], [0, 0, 8, 1, 3]])


@checker
def overlapping(answer):
    """4.1: 3x3 max and mean pooling with stride 2 of a 5x5 map.
    The windows share a row and a column, so a large value can win twice.
    """
    if len(answer) != 2:
        return "Give two results: the maximum first, then the mean."
    right = {name: pool(MAP[None], 3, 2)[0] for name, pool in (("maximum", max_pool2d), ("mean", avg_pool2d))}
    for (name, expected), given, pool in zip(right.items(), answer, (max_pool2d, avg_pool2d)):
        given = np.asarray(given, float)
        if given.ndim > 2 and given.size == given.shape[-1] * given.shape[-2]:
            given = given.reshape(given.shape[-2:])  # a batch of one, one channel: PyTorch's way
        other = right["mean" if name == "maximum" else "maximum"]
        wrong = [
            (other, "The maximum comes first, then the mean."),
            (pool(MAP[None], 3, 1)[0], "That is stride 1: the window moves by two places."),
            (pool(MAP[None], 3, 3)[0], "That is stride 3: the window moves by two places, so windows overlap."),
            (pool(MAP[None, :4, :4], 2, 2)[0], "That is a 2x2 window: here it is 3x3, and the windows overlap."),
            (9 * expected, "That is the sum of each window: divide by its nine places."),
            (9 * expected / 4, "A window has nine places, not four."),
        ]
        if hint := array_hint(given, expected, wrong if name == "mean" else wrong[:4], tolerance=5e-3):
            return hint if hint.startswith(("That", "The maximum comes", "A window")) else f"The {name}: {hint}"
    return None


@checker
def sizes(answer):
    """4.2: side of the last map, parameters with a dense layer on all numbers, parameters behind a global mean.
    Only the dense layer notices the poolings.
    """
    right = [23, 359_498, 21_578]
    slips = (
        ([24, 389_578, 21_578], "(96 - 3)/2 leaves a remainder: round down before adding 1."),
        ([23, 359_392, 21_472], "The biases are missing: one a filter, one a dense unit."),
        ([96, 5_919_178, 21_578], "That is the network without its poolings."),
        ([23, 359_488, 21_568], "The dense layer's ten biases are missing."),
        ([23, 341_642, 3_722], "A filter of the second convolution has 3x3 weights for each of 32 channels."),
        ([23, 21_578, 359_498], "The last two are exchanged: behind the mean there are 64 inputs."),
    )
    return _numbers(answer, right, slips, ("side", "number of parameters", "number behind a global mean"))


@checker
def savings(answer):
    """4.3: weights of a dense, a sparse and a shared layer, and the last one's multiplications.
    Sharing saves weights; the multiplications stay those of the sparse layer.
    """
    dense, window, places = 28**2 * 8 * 28**2, 25, 8 * 28**2
    right = [dense, window * places, 8 * window, window * places]
    border = 8 * (5 * 28 - 6) ** 2  # weights that lie on the picture: along an axis, 6 of 5 * 28 do not
    slips = (
        (
            [dense, window * places, 8 * window, 8 * window],
            "Each shared weight is used at every one of the 28x28 places.",
        ),
        ([dense, window * 28**2, 8 * window, window * 28**2], "There are eight maps, each with weights of its own."),
        ([28**4, window * places, 8 * window, window * places], "The dense layer makes eight maps of 28x28 numbers."),
        ([dense, window * places, window, window * places], "Each of the eight maps has its own kernel."),
        ([dense + places, window * places + places, 8 * window + 8, window * places], "Leave the biases out."),
        ([dense, border, 8 * window, border], f"Count {window} weights for the windows at the border, too."),
        ([dense, border, 8 * window, window * places], f"Count {window} weights for the windows at the border, too."),
        (
            [28**2 * 8 * 24**2, window * 8 * 24**2, 8 * window, window * 8 * 24**2],
            "With padding 2 the maps are 28x28, not 24x24.",
        ),
    )
    return _numbers(answer, right, slips, ("dense", "sparse", "shared", "multiplications"))


@checker
def smallest_shifts(answer):
    """4.4: the smallest shifts to which four networks are invariant.
    The product of the strides, if places are averaged; with a dense head only the whole ring.
    """
    right = [4, 32, 6, 64]
    slips = (
        ([2, 2, 3], "Strides multiply: a place after two strides of 2 stands for 4 pixels."),
        ([4, 10, 5], "Strides multiply, they don't add up."),
        ([6, 10, 6], "Strides multiply, they don't add up."),
        ([1, 1, 1], "A shift by 1 falls between the places that the strides keep."),
    )
    if np.shape(answer) == (4,):
        for slip, hint in slips:
            if list(answer[:3]) == slip:
                return hint
    slips = (
        ([4, 32, 6, 4], "A dense layer has other weights for each place: after a shift by 4 the places have moved."),
        ([4, 32, 6, 0], "A shift by 0 is none. But the picture is a ring: after which shift is it the same again?"),
        ([4, 32, 6, float("inf")], "There is one: the picture is a ring. After which shift is it the same again?"),
    )
    return _numbers(answer, right, slips, ("first", "second", "third", "fourth"))


@checker
def follows(answer):
    """4.5: a function that says whether a layer is equivariant to a shift on the ring.
    It compares f(T x) with T' f(x), not with f(x), and T' counts places of the output.
    """
    if not callable(answer):
        return "Give the function itself, without calling it."
    torch.manual_seed(0)
    x = torch.rand(2, 3, 16, 16)
    circular = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
    strided = nn.Conv2d(3, 4, 3, 2, padding=1, padding_mode="circular")

    def at(picture, channel, value):
        """Zeros, but for one place."""
        out = torch.zeros_like(x)
        out[picture, channel, 5, 5] = value
        return out

    cases = (
        (
            circular,
            3,
            1,
            True,
            "A circular convolution follows every shift: compare f(T x) with T f(x), not with f(x).",
        ),
        (strided, 4, 2, True, "A stride of 2 follows a shift by 4: its output moves by 4/2 = 2 places."),
        (strided, 3, 2, False, "A stride of 2 does not follow a shift by 3."),
        (nn.Conv2d(3, 4, 3, padding=1), 3, 1, False, "Zero padding breaks it at the borders: compare all places."),
        (
            lambda z: z.flip(3),
            3,
            1,
            False,
            "A mirror moves the other way under a shift: it does not follow by the same T'.",
        ),
        (lambda z: z.mT, 3, 1, False, "A transposed picture moves down, not to the right: roll the last axis alone."),
        (
            lambda z: z.mean(3, keepdim=True),
            3,
            2,
            False,
            "2 does not divide 3: then the answer is False, whatever f is.",
        ),
        (lambda z: z + at(1, 2, 1.0), 3, 1, False, "Compare all pictures and all channels."),
        (lambda z: circular(z) + 1e-9 * z[:, :1] * torch.arange(16), 3, 1, True, "Allow errors up to 1e-6."),
        (lambda z: z + 1e-4 * torch.arange(16), 3, 1, False, "An error of 1e-3 is more than rounding."),
        (
            lambda z: z + at(0, 0, 1e-4),
            3,
            1,
            False,
            "One wrong place is enough: look at the largest error, not the mean.",
        ),
    )
    for f, d, stride, expected, hint in cases:
        with torch.no_grad():
            given = answer(f, x, d, stride)
        if given is None:
            return "The function returns nothing: is a return missing?"
        if torch.is_tensor(given) and given.numel() != 1:
            return "Give one True or False for the whole map: is an .all() missing?"
        if bool(given) is not expected:
            return hint
    return None


@checker
def steady(answer):
    """4.6: a function (model, x) -> logits that do not change when x is rolled by any number of columns.
    Rolled or not, the mean is over the same outputs in another order; eight of them are enough, one for each roll by 0
    to 7.
    """
    if not callable(answer):
        return "Give the function itself, without calling it."
    torch.manual_seed(0)
    model, x = PoolNet("max", "circular", width=4).double().eval(), torch.rand(3, 3, 32, 32).double()
    rolls, strangers = Counter(), []

    def counted(z):
        for picture in z:
            roll = _roll_of(picture, x)
            rolls.update([] if roll is None else [roll])
            strangers.extend([picture] if roll is None else [])
        return model(z)

    with torch.no_grad():
        given, plain = answer(counted, x), model(x)
        if not torch.is_tensor(given) or given.shape != plain.shape:
            return f"Return one tensor of logits of shape {tuple(plain.shape)} for three pictures."
        if not given.isfinite().all():
            return "The logits hold nan or inf."
        if strangers:
            return "The model was given something else than rolled copies of x."
        if not rolls:
            return "The model was never called."
        moved = [(answer(model, x.roll(d, dims=3)) - given).abs().max().item() for d in range(1, 9)]
        other = answer(model, torch.rand(3, 3, 32, 32).double())
    if max(moved) > 1e-9:
        phases = Counter(roll % 8 for roll in rolls.elements())
        if len(phases) == 8 and len(set(phases.values())) > 1:
            return (
                "Rolls that differ by 8, as -4 and 4 do, have the same output: one of them was counted once too often."
            )
        d = 1 + next(i for i, change in enumerate(moved) if change > 1e-9)
        return f"The logits still change, for instance when x is rolled by {d} pixel{'s' * (d > 1)}."
    if (other - given).abs().max() < 1e-9:
        return "Other pictures get the same logits: use x."
    return None


def _roll_of(picture, x):
    """By how many columns `picture` is a roll of one of x, in which no number comes twice; None if it is none."""
    for one in x:
        for row, column in (one[0] == picture[0, 0, 0]).nonzero():
            if torch.equal(one.roll((-int(row), -int(column)), (1, 2)), picture):
                return -int(column) % 32
    return None


def _numbers(answer, right, slips, names):
    """A hint for a list of numbers: a known slip, or which of them to look at again."""
    try:
        given = [float(str(n).replace(",", "")) if isinstance(n, str) else float(n) for n in answer]
    except (TypeError, ValueError):
        return f"Give {len(right)} numbers, each a single one such as 12."
    if len(given) != len(right):
        return f"Give {len(right)} numbers, not {len(given)}."
    for slip, hint in slips:
        if given == slip:
            return hint
    wrong = [name for name, a, b in zip(names, given, right) if a != b]
    *others, last = wrong or [None]
    return f"Look again at {', '.join(others)}{' and ' * bool(others)}{last}." if wrong else None
