"""Checkers of Chapter 17, "Codes and adversaries"."""

import numpy as np
import torch

from helpers.check import array_hint, checker, number_hint


@checker
def neighbours(answer):
    """17.1: four codes in the order of their distance, and of their angle, to a query.
    The first letters differ: a lies in the query's direction and far away, b the other way round.
    """
    answer = answer.replace(",", " ").split() if isinstance(answer, str) else answer
    by_distance, by_angle = (_word(w, "abcd") for w in _items(answer, 2))
    if (by_distance, by_angle) == ("abcd", "bcad"):
        return "By distance first, then by angle."
    if by_distance != "bcad" or by_angle != "abcd":
        return _order_hint(by_distance, by_angle)
    return None


@checker
def perplexities(answer):
    """17.2: perplexities of three distributions.
    Equal probabilities count their number; unequal ones count as fewer.
    """
    answer = answer.replace(",", " ").split() if isinstance(answer, str) else answer
    numbers = [float(v) for v in _items(answer, 3)]
    slips = (
        ([2.079, 1.213, 0.325], "Those are entropies with the natural logarithm: take the power of e, or bits and 2."),
        ([3, 1.75, 0.469], "Those are the entropies in bits: the perplexity is 2 to that power."),
        ([2**2.079, 2**1.213, 2**0.325], "The entropy was taken with natural logarithms, the power with base 2."),
        ([1 / 8, 0.2973, 0.7225], "The sign: -p log p is positive."),
        ([8, 4, 2], "That counts the neighbours, however rarely they are picked."),
    )
    expected = [8, 2**1.75, 1.3842]
    if hint := next((h for slip, h in slips if np.allclose(numbers, slip, atol=6e-3)), None):
        return hint
    for name, number, right in zip(("first", "second", "third"), numbers, expected):
        if hint := number_hint(number, right, tolerance=6e-3):
            rounded = abs(number - right) < 0.06
            return f"The {name}: two digits after the point, please." if rounded else f"The {name} number: {hint}"
    return None


READINGS = (
    ("T", "(a) Strangers put close together would cost, too: what their q takes, true neighbours lose."),
    ("F", "(b) Distances between groups may be kept or not, and one map does not say which."),
    ("F", "(c) Every point gets a width that fits its own crowd, which evens out the areas."),
    ("F", "(d) That is PCA's first axis; a t-SNE map may be turned as one likes."),
    ("F", "(e) What two dimensions mix, many may keep apart."),
)


@checker
def readings(answer):
    """17.3: what one t-SNE map supports.
    The others may well be true; the map doesn't show it.
    """
    parts = [answer] if isinstance(answer, str) else list(answer)
    word = "".join(a if isinstance(a, str) else "FT"[int(a)] for a in parts)
    word = word.replace(" ", "").replace(",", "").upper()
    if len(word) != 5 or set(word) - set("TF"):
        return "Give a word of five letters, each T or F."
    return next((f"Look again at {why}" for letter, (right, why) in zip(word, READINGS) if letter != right), None)


@checker
def inverted(answer):
    """17.4: where gradient descent on the code of one number ends, from two starts.
    What the code does not fix stays as the start had it.
    """
    slips = (
        ([[4, 3], [4, 3]], "That is the picture itself: nothing leads there, since many pictures have its code."),
        ([[2, 4], [2, 4]], "The second start differs: its code is 1, and what is across the gradient stays."),
        ([[2, 4], [5, 3]], "From (3, -1) the code lacks 9, not 10: f(3, -1) = 1."),
        ([[10 / 3, 10 / 3], [6, 2]], "The two pixels don't move alike: the gradient is a multiple of (1, 2)."),
        ([[4, 2], [6.6, 0.8]], "Turned round: the *second* pixel moves twice as far as the first."),
        ([[2, 4], [1.8, 3.6]], "From (3, -1) that is the way gone; the place where it ends is asked for."),
        ([[4.8, 2.6], [2, 4]], "First the end from (0, 0), then the end from (3, -1)."),
        ([[0, 5], [3, 3.5]], "Both pixels move, the second twice as far as the first."),
        ([[10, 0], [12, -1]], "Both pixels move, the second twice as far as the first."),
    )
    return array_hint(answer, [[2, 4], [4.8, 2.6]], slips, tolerance=6e-3)


@checker
def raised(answer):
    """17.5: a targeted FGSM step on four pixels, cut off at 0 and 1.
    The cut costs the score: 0.05 + 0.04 + 0.3, not 0.6.
    """
    picture, gain = _items(answer, 2)
    slips = (
        ([0.85, 0.12, 0.5, 0.3], "That lowers the score: it shall be raised."),
        ([0.85, 0.12, 0.6, 0.3], "That lowers the score: it shall be raised."),
        ([1, 0, 0.6, 0.5], "The sign of 0 is 0: that pixel stays."),
        ([1, 0, 0.4, 0.5], "The sign of 0 is 0: that pixel stays."),
        (
            [1, 0, 0.5, 0.7],
            "The step is the same for every pixel with a gradient, whatever its weight: the sign counts.",
        ),
        ([1, 0.12, 0.5, 0.5], "The second weight is negative: its pixel goes down."),
    )
    if not all(0 <= float(v) <= 1 for v in np.ravel(picture)):
        return "Pixels stay within [0, 1]."
    if hint := array_hint(picture, [1, 0, 0.5, 0.5], slips):
        return hint
    gain = np.ravel(gain)
    if len(gain) != 1:
        return f"The gain is one number, not {len(gain)}."
    wrong = {
        0.6: "0.6 is what the step would gain without the cut.",
        2.5: "That is the new score; the gain is asked for.",
    }
    wrong |= {-0.39: "The score rises: the gain is positive."}
    return number_hint(gain[0], 0.39, wrong, tolerance=1e-3)


@checker
def project(answer):
    """17.6: a function (place, x, epsilon) -> the nearest allowed picture.
    Each value is cut off by itself: to the nearest end of its own interval.
    """
    if not callable(answer):
        return "Give the function itself, not a picture that it returns."
    generator = torch.Generator().manual_seed(0)
    for shape, epsilon in (((2, 3, 5, 4), 0.1), ((7,), 0.03), ((1, 1, 2, 2), 0.0)):
        x = torch.rand(shape, generator=generator)
        place = x + 0.3 * torch.randn(shape, generator=generator)
        if hint := _projected(answer, place, x, epsilon):
            return hint
    return None


def _projected(function, place, x, epsilon):
    given = place.clone(), x.clone()
    found = function(place, x, epsilon)
    found = torch.from_numpy(found).to(x.dtype) if isinstance(found, np.ndarray) else found
    if not (torch.equal(given[0], place) and torch.equal(given[1], x)):
        return "The function changes what it was given: work on a copy."
    if not torch.is_tensor(found) or found.shape != x.shape:
        return "It should return one tensor of the pictures' shape; is the return missing?"
    if not found.isfinite().all():
        return "Some values are nan or infinite."
    if (found - x).abs().max() > epsilon + 1e-6:
        return "Some values are further than epsilon from x."
    if found.min() < 0 or found.max() > 1:
        return "Some values lie outside [0, 1]."
    expected = np.clip(np.clip(place.numpy(), (x - epsilon).numpy(), (x + epsilon).numpy()), 0, 1)
    if np.allclose(found.numpy(), expected, atol=1e-6):
        return None
    inside = ((place - x).abs() <= epsilon) & (place >= 0) & (place <= 1)
    if not torch.allclose(found[inside], place[inside], atol=1e-6):
        return "Values that were allowed already should stay as they are."
    return "All values are allowed, but they are not the nearest ones: each stops at the end of its interval."


def _items(answer, n):
    items = list(answer)
    if len(items) != n:
        raise ValueError(f"it should hold {n} items, not {len(items)}")
    return items


def _word(word, letters):
    word = "".join(str(c) for c in word).replace(" ", "").replace(",", "").lower()
    if sorted(word) != sorted(letters):
        raise ValueError(f"each word should hold the letters {letters} once, got {word!r}")
    return word


def _order_hint(by_distance, by_angle):
    if by_distance != "bcad":
        return "Look again at the distances from the query; for a, squared, it is 2² + 1² = 5."
    return "The distances are right. For the angle, divide q·z by both lengths."
