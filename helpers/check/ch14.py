"""Checkers of Chapter 14, "Saliency maps"."""

import numpy as np
import torch

from helpers.check import array_hint, checker, number_hint


@checker
def rules(answer):
    """14.1: backpropagation, deconvnet and guided backpropagation of a network of two pixels.
    The second unit is off, the first one's gradient is negative: each rule stops another one.
    """
    maps = _numbers(answer, 6, "three pairs", ("backprop gradient saliency", "deconv", "guided"))
    if isinstance(maps, str):
        return maps
    rows = np.reshape(maps, (3, 2))
    known = (
        (0, (2, 10), "Backpropagation passes on G, not G times the unit's value."),
        (0, (0, 4), "Backpropagation stops no gradient for its sign, at the pixels least of all: there is no ReLU."),
        (1, (0, 5), "The deconvnet asks at the ReLUs. At the pixels there is none, and negative numbers stay."),
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
    return _row_hint(rows, [[-1, 4], [-2, 5], [1, 2]], ("backpropagation", "the deconvnet", "the guided rule"), known)


@checker
def targets(answer):
    """14.2: the gradients of a loss, a probability and a difference of scores.
    What raises all classes alike is in the score's gradient, and in none of these three.
    """
    maps = _numbers(answer, 6, "three pairs", ("loss", "prob", "diff"))
    if isinstance(maps, str):
        return maps
    rows = np.reshape(maps, (3, 2))
    known = (
        (0, (-8, 0), "-1/p is the derivative of -ln p by the probability, and p depends on all three scores."),
        (0, (-2, 4 / 3), "The mean of the classes' gradients is weighted by their probabilities: 0.5, 0.3 and 0.2."),
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
    names = ("the loss", "the probability", "the difference")
    return _row_hint(rows, [[-1.6, 1], [0.8, -0.5], [4, -2]], names, known)


@checker
def path(answer):
    """14.3: integrated gradients of max(x1 + x2 - 2, 0) at (3, 1), from two baselines.
    Each pair adds up to the score less the baseline's, and the two pairs divide it differently.
    """
    maps = _numbers(answer, 4, "two pairs", ("0,0 0.0,0.0", "3,0 3.0,0.0"))
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
    right, names = [[1.5, 0.5], [0, 1]], ("the baseline (0, 0)", "the baseline (3, 0)")
    coarse = np.abs(rows - right).max()
    if coarse <= 0.02:  # a sum of a hundred steps or so
        return None
    if coarse <= 0.2 and np.allclose(rows[1], right[1], atol=0.02):
        return "Close: a sum of few steps meets the kink unevenly. Take more steps, or do it by hand."
    return _row_hint(rows, right, names, known)


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
    try:
        found = np.asarray([float(number) for number in np.ravel(answer)])
    except (TypeError, ValueError):
        return "Give the four numbers of the map, alone; the two colours are in the solution in words."
    return array_hint(found, [1, 3.5, 2, -2], slips)


@checker
def areas(answer):
    """14.5: the area of a deletion and of an insertion curve, and a tie in the pointing game.
    Steps of a quarter, the two ends counted half; and a tie shares the point.
    """
    numbers = _numbers(answer, 3, "three numbers", ("delet", "insert", "point game score hit tie"))
    if isinstance(numbers, str):
        return numbers
    deletion, insertion, hit = numbers
    if np.allclose([deletion, insertion], [0.45, 0.35]):
        return "The two curves are exchanged: the deletion's area comes first."
    ends = "The area below straight lines between the points: the first and the last value count half."
    first = {0.38: f"You took the mean of the five deletion values. {ends}", 0.475: f"Deletion: {ends}"}
    first |= {0.45: f"Deletion: {ends}", 0.25: f"Deletion: {ends}", 0.225: f"Deletion: {ends} You left them out."}
    quarter = "Four pixels, four steps: each is a quarter of the picture wide."
    first |= {1.4: quarter, 0.28: quarter}
    second = {0.46: f"You took the mean of the five insertion values. {ends}", 0.35: f"Insertion: {ends}"}
    second |= {0.325: f"Insertion: {ends} You left them out.", 0.55: f"Insertion: {ends}", 1.8: quarter, 0.36: quarter}
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
    try:
        found = torch.as_tensor(answer(a.clone(), b.clone()))
    except Exception as error:
        if "dtype" in str(error):
            return "Ranks are whole numbers, of which PyTorch takes no mean: make them floats first, with .double()."
        return f"Given two batches of maps (5, 6, 7), your function stopped with {type(error).__name__}: {error}"
    if found.shape != (5,):
        return (
            f"For five pairs of maps it returns the shape {tuple(found.shape)}; it should be one number a pair, (5,)."
        )
    expected = _spearman(a, b)
    if torch.allclose(found.double(), _pearson(a.double(), b.double()), atol=1e-4):
        return "That is the correlation of the values. Replace each value by its rank within its map first."
    if torch.allclose(found.double(), _pearson(_order(a), _order(b)), atol=1e-4):
        return "One argsort gives the order; the rank of each place is the argsort of that order."
    slips = (
        (_pearson(_spread(a), _spread(b)), "Rank each map for itself: you ranked the numbers of all maps together."),
        (_spearman(a.abs(), b.abs()), "You took absolute values first: the sign belongs to the order."),
        (_cosine(a, b), "Subtract the ranks' mean before you multiply: without it all maps look alike."),
    )
    if hint := array_hint(found, expected, slips, tolerance=1e-4):
        return f"On random maps: {hint}"
    again = torch.as_tensor(answer(a.clone(), a.exp()))
    if not torch.allclose(again.double(), torch.ones(5).double(), atol=1e-4):
        return "A map and its exponential have the same order: their rank correlation should be 1."
    return None


def _spearman(a, b):
    ranks = [part.flatten(1).argsort(1).argsort(1).double().view(part.shape) for part in (a, b)]
    return _pearson(*ranks)


def _spread(a):
    return a.flatten().argsort().argsort().double().view(a.shape)


def _cosine(a, b):
    return torch.cosine_similarity(*(part.flatten(1).argsort(1).argsort(1).double() for part in (a, b)))


def _order(a):
    return a.flatten(1).argsort(1).double().view(a.shape)


def _pearson(a, b):
    a, b = (part.flatten(1) - part.flatten(1).mean(1, keepdim=True) for part in (a, b))
    return (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).sqrt()


def _row_hint(rows, expected, names, known=()):
    """None, or a hint: about the order, or about the first row that is wrong. known: (row, slip, hint) triples."""
    right = [tuple(row) for row in expected]
    given = [next((pair for pair in right if np.allclose(row, pair, atol=1e-6)), None) for row in rows]
    if given != right and sorted(given, key=str) == sorted(right, key=str):
        return f"These are the right pairs in another order: {', then '.join(names)}."
    for i, (row, pair, name) in enumerate(zip(rows, right, names)):
        if given[i] != pair:
            slips = [hint for k, slip, hint in known if k == i and np.allclose(row, slip)]
            return slips[0] if slips else f"{name[0].upper()}{name[1:]}: {array_hint(row, pair)}"
    return None


def _numbers(answer, n, what, keys):
    """The answer as n floats, one after the other where it is nested, or a hint. keys: see `_by_name`."""
    try:
        parts = _by_name(answer, keys) if isinstance(answer, dict) else answer
        numbers = [float(number) for part in parts for number in np.ravel(part)]
    except (TypeError, ValueError):
        return f"Give a list of {what}, in the order of the question."
    return numbers if len(numbers) == n else f"Give {what}: {n} numbers in all, not {len(numbers)}."


def _by_name(answer, keys):
    """The values of a dict in the order of `keys`, each some words of which one stands in a name.

    Of two that fit, as in "guided backpropagation", the last one counts. Raises ValueError where they do not fit.
    """
    found = {}
    for name, value in answer.items():
        text = str(name).lower().replace(", ", ",")
        fits = [i for i, words in enumerate(keys) if any(word in text for word in words.split())]
        found[fits[-1] if fits else None] = value
    if sorted(found, key=str) != list(range(len(keys))) or len(answer) != len(keys):
        raise ValueError("other names")
    return [found[i] for i in range(len(keys))]
