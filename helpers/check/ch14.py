"""Checkers of Chapter 14, "Saliency maps"."""

import numpy as np
import torch

from helpers.check import array_hint, checker, number_hint


@checker
def rules(answer):
    """14.1: backpropagation, deconvnet and guided backpropagation of a network of two pixels.
    The second unit is off, the first one's gradient is negative: each rule stops another one.
    """
    maps = _numbers(answer, 6, "three pairs")
    if isinstance(maps, str):
        return maps
    rows = np.reshape(maps, (3, 2))
    known = (
        (0, (-4, 7), "The second unit is off: in backpropagation nothing passes its ReLU."),
        (0, (-2, 1), "In backpropagation you passed on the gradients at the units without the first layer's weights."),
        (1, (1, 2), "The deconvnet does not ask whether the unit was on: the gradient 3 passes the second unit, too."),
        (1, (-4, 7), "The deconvnet stops negative gradients: the -2 at the first unit does not pass."),
        (
            1,
            (-1, 4),
            "For the deconvnet you gave backpropagation's map: it asks about the gradient, not about the unit.",
        ),
        (2, (-2, 5), "The guided rule asks about the unit, too: the second one is off."),
        (2, (-1, 4), "The guided rule stops negative gradients, too: the -2 at the first unit does not pass."),
    )
    for row, slip, hint in known:
        if np.allclose(rows[row], slip):
            return hint
    return _row_hint(rows, [[-1, 4], [-2, 5], [1, 2]], ("backpropagation", "the deconvnet", "the guided rule"))


@checker
def targets(answer):
    """14.2: the gradients of a loss, a probability and a difference of scores.
    What raises all classes alike is in the score's gradient, and in none of these three.
    """
    maps = _numbers(answer, 6, "three pairs")
    if isinstance(maps, str):
        return maps
    rows = np.reshape(maps, (3, 2))
    known = (
        (0, (1.6, -1), "The sign of the loss's gradient: the class's own gradient is subtracted."),
        (0, (2.4, 1), "That is the mean gradient of all classes; the class's own is still to be subtracted."),
        (0, (-4, 0), "The loss -ln p depends on all classes' scores, through the softmax."),
        (0, (-1.6, 1.4), "Weight each class's gradient by its own probability: 0.5, 0.3 and 0.2."),
        (1, (-0.8, 0.5), "The sign of the probability's gradient: what lowers the loss raises the probability."),
        (1, (1.6, -1), "The probability's gradient is the loss's times -p, and p is 0.5 here."),
        (1, (2, 0), "The probability depends on all three scores, not on p times the score's gradient alone."),
        (2, (-4, 2), "The first class less the second, not the other way round."),
        (2, (4, 2), "Subtract the second class's gradient."),
    )
    for row, slip, hint in known:
        if np.allclose(rows[row], slip):
            return hint
    return _row_hint(rows, [[-1.6, 1], [0.8, -0.5], [4, -2]], ("the loss", "the probability", "the difference"))


@checker
def path(answer):
    """14.3: integrated gradients of max(x1 + x2 - 2, 0) at (3, 1), from two baselines.
    Each pair adds up to the score less the baseline's, and the two pairs divide it differently.
    """
    maps = _numbers(answer, 4, "two pairs")
    if isinstance(maps, str):
        return maps
    rows = np.reshape(maps, (2, 2))
    known = (
        (0, (3, 1), "From (0, 0) you used the gradient at the end of the path; on its first half the unit is off."),
        (0, (0.5, 0.5), "That is the mean gradient; each share is multiplied by how far the pixel moves."),
        (0, (1, 1), "Both pixels have the same mean gradient, but the first one moves three times as far."),
        (0, (0.5, 1.5), "The two pixels of the first pair are exchanged."),
        (1, (3, 1), "From (3, 0) the first pixel does not move: its share is 0."),
        (1, (1.5, 0.5), "From (3, 0) the first pixel does not move: its share is 0."),
        (1, (0, 0.5), "On the path from (3, 0) the unit is on throughout: 3 + 0 - 2 is 1 already."),
    )
    for row, slip, hint in known:
        if np.allclose(rows[row], slip):
            return hint
    return _row_hint(rows, [[1.5, 0.5], [0, 1]], ("the baseline (0, 0)", "the baseline (3, 0)"))


@checker
def falls(answer):
    """14.4: the occlusion map of a row of four pixels, from windows of two.
    The second pixel counts most; the last one is better hidden.
    """
    slips = (
        ([-1, -3.5, -2, 2], "The sign: the fall is the score before less the score after."),
        ([9, 6.5, 8, 12], "That is the mean score that remains; subtract it from 10."),
        ([1, 7, 4, -2], "Where two windows cover a pixel, take the mean of their falls, not the sum."),
        ([1, 6, 6, -2], "Where two windows cover a pixel, take the mean of their falls, not the larger one."),
        ([1, 6, -2], "Those are the falls of the three windows; the map has a number for each of the four pixels."),
        ([0.5, 3.5, 2, -1], "The first and the last pixel are covered by one window only: divide by 1."),
        ([0.5, 3, -1], "A window's fall is not shared out among its pixels; a pixel takes the mean over its windows."),
    )
    return array_hint(answer, [1, 3.5, 2, -2], slips)


@checker
def areas(answer):
    """14.5: the area of a deletion and of an insertion curve, and a tie in the pointing game.
    Steps of a quarter, the two ends counted half; and a tie shares the point.
    """
    numbers = _numbers(answer, 3, "three numbers")
    if isinstance(numbers, str):
        return numbers
    deletion, insertion, hit = numbers
    ends = "The area below straight lines between the points: the first and the last value count half."
    first = {0.38: f"You took the mean of the five deletion values. {ends}", 0.475: f"Deletion: {ends}"}
    first |= {0.45: f"Deletion: {ends} Or are the two curves exchanged?", 0.25: f"Deletion: {ends}"}
    first |= {1.4: "The pixels deleted are shares of the picture: each step is a quarter wide."}
    second = {0.46: f"You took the mean of the five insertion values. {ends}", 0.35: "The two curves are exchanged."}
    second |= {0.55: f"Insertion: {ends}", 1.8: "Each step is a quarter wide."}
    third = {1: "Two places are the largest, and one of them is beside the object.", 0: "One of the two places hits."}
    for value, right, slips in ((deletion, 0.35, first), (insertion, 0.45, second), (hit, 0.5, third)):
        if hint := number_hint(value, right, slips, 1e-4):
            return hint
    return None


@checker
def rank_correlation(answer):
    """14.6: a function of two batches of maps (N, h, w) that returns Spearman's rank correlations (N,).
    Any increasing change of a map leaves it as it is.
    """
    if not callable(answer):
        return "Give the function itself."
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 6, 7, generator=generator)
    found = torch.as_tensor(answer(a.clone(), b.clone()))
    if found.shape != (5,):
        return (
            f"For five pairs of maps it returns the shape {tuple(found.shape)}; it should be one number a pair, (5,)."
        )
    expected = _spearman(a, b)
    if torch.allclose(found.double(), _pearson(a.double(), b.double()), atol=1e-4):
        return "That is the correlation of the values. Replace each value by its rank within its map first."
    if torch.allclose(found.double(), _pearson(_order(a), _order(b)), atol=1e-4):
        return "One argsort gives the order; the rank of each place is the argsort of that order."
    if hint := array_hint(found, expected, tolerance=1e-4):
        return f"On random maps: {hint}"
    again = torch.as_tensor(answer(a.clone(), a.exp()))
    if not torch.allclose(again.double(), torch.ones(5).double(), atol=1e-4):
        return "A map and its exponential have the same order: their rank correlation should be 1."
    return None


def _spearman(a, b):
    ranks = [part.flatten(1).argsort(1).argsort(1).double().view(part.shape) for part in (a, b)]
    return _pearson(*ranks)


def _order(a):
    return a.flatten(1).argsort(1).double().view(a.shape)


def _pearson(a, b):
    a, b = (part.flatten(1) - part.flatten(1).mean(1, keepdim=True) for part in (a, b))
    return (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).sqrt()


def _row_hint(rows, expected, names):
    for row, right, name in zip(rows, expected, names):
        if not np.allclose(row, right, atol=1e-6):
            return f"{name[0].upper()}{name[1:]}: {array_hint(row, right)}"
    return None


def _numbers(answer, n, what):
    """The answer as n floats, one after the other where it is nested, or a hint."""
    try:
        numbers = [float(number) for part in answer for number in np.ravel(part)]
    except (TypeError, ValueError):
        return f"Give a list of {what}."
    return numbers if len(numbers) == n else f"Give {what}: {n} numbers in all, not {len(numbers)}."
