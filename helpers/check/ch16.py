"""Checkers of Chapter 16, "What a unit wants"."""

import inspect

import torch

from helpers.check import array_hint, as_numbers, checker

BOX = (99, -13, 142, 30)


@checker
def seen(answer):
    """16.1: the box of a unit, and how many of its pixels lie in the picture.
    Of its 1849 pixels, not quite half.
    """
    numbers = as_numbers(answer, 5)
    if isinstance(numbers, str):
        return numbers
    known = (
        ((-13, 99, 30, 142), "Rows and columns are exchanged: x comes from the column, y from the row."),
        ((99, -13, 141, 29), "x1 and y1 are exclusive: x0 and y0 plus the size of the field."),
        ((120, 8, 163, 51), "The padding is missing: the first field begins 21 pixels before the picture."),
        ((99, 0, 128, 30), "Give the box as the unit has it, also where it leaves the picture; the count cuts it off."),
        ((9, -19, 52, 24), "The step from one field to the next is the jump, 4: a unit further is 4 pixels further."),
        ((141, 29, 184, 72), "The padding is subtracted: the first field begins at -21."),
    )
    for slip, hint in known:
        if tuple(numbers[:4]) == slip:
            return hint
    if tuple(numbers[:4]) != BOX:
        return "The box differs: x0 = column * S - P, y0 = row * S - P, and the size is added."
    counts = {
        43 * 43: "That is the whole field; a part of it lies beyond the border.",
        29 * 43: "You cut it off at the right border, but not at the top.",
        43 * 30: "You cut it off at the top, but not at the right border.",
        28 * 30: "The rows are right. The columns go from 99 to 127, both included.",
        29 * 29: "The columns are right. The rows go from 0 to 29, both included.",
        28 * 29: "The first and the last column are both included, and so are the rows.",
        28 * 31: "The columns go from 99 to 127; y1 itself is exclusive.",
        29 * 31: "The columns are right. y1 is exclusive: the last row is 29.",
    }
    if numbers[4] == 29 * 30:
        return None
    return counts.get(numbers[4], "The box is right. Count the columns from x0 to 127, and the rows from 0 to y1 - 1.")


@checker
def optimum(answer):
    """16.2: the best picture of a linear unit under an L2 price.
    Half of S(I) = 40 is eaten up by the price, as it always is at the optimum of a linear unit.
    """
    numbers = as_numbers(answer, 3)
    if isinstance(numbers, str):
        return numbers
    slips = (
        ([8, -16, numbers[2]], "The gradient of the price is 2 times lambda times I: the 2 is missing."),
        ([2, -4, numbers[2]], "That is w itself; set the gradient w - 2 lambda I to 0."),
        ([1, -2, numbers[2]], "Divide by 2 lambda, which is 0.5."),
        ([-4, 8, numbers[2]], "The sign: a larger value is wanted, so I points along w."),
        ([4, -8, 40], "40 is S alone; the price is subtracted."),
        ([4, -8, 60], "The price is subtracted, not added."),
        ([4, -8, -40], "The norm is squared: the price is 0.25 times 80."),
        ([4, -8, 40 - 0.25 * 80**0.5], "The price has the *square* of the norm."),
        ([20, 4, -8], "The two pixels first, then the value."),
        ([4, 8, numbers[2]], "The second weight is negative: its pixel is, too."),
        ([-4, -8, numbers[2]], "The first weight is positive: its pixel is, too."),
        ([4, -8, numbers[2]], "The pixels are right. The value there is S(I) minus lambda times the squared norm."),
    )
    slips = slips[:-1] if abs(numbers[2] - 20) <= 1e-3 else slips
    return array_hint(numbers, [4, -8, 20], slips, 1e-3)


@checker
def top(answer):
    """16.3: a function (maps, k) -> the k strongest places, at most one a picture.
    `max_activating_patches` does this for many units at once.
    """
    if not callable(answer):
        return "Give the function itself, not what it returns."
    try:
        inspect.signature(answer).bind(torch.zeros(1, 1, 1), 1)
    except TypeError:
        return "The function is called with two arguments, the maps and k."
    for seed, (n, h, w) in enumerate(((9, 4, 5), (8, 3, 7), (7, 1, 6))):
        maps = torch.randn(n, h, w, generator=torch.Generator().manual_seed(seed))
        given = maps.clone()
        hint = _ranked(answer(given, 4), maps, 4)
        if hint:
            return hint
        if not torch.equal(given, maps):
            return "The maps that it was given have changed: work on a copy."
    below = -1 - torch.rand(4, 2, 3, generator=torch.Generator().manual_seed(9))
    return "It fails where all answers are below 0." if _ranked(answer(below.clone(), 2), below, 2) else None


def _ranked(found, maps, k):
    if isinstance(found, tuple) and found and all(torch.is_tensor(part) and part.ndim == 1 for part in found):
        return f"It returned {len(found)} tensors: zip them into k triples (picture, row, column), without the values."
    try:
        found = [tuple(int(n) for n in triple) for triple in found]
    except (TypeError, ValueError):
        return "It should return a list of triples (picture, row, column)."
    if any(len(triple) != 3 for triple in found):
        return "It should return a list of triples (picture, row, column)."
    if len(found) != k:
        return f"It returned {len(found)} triples for k = {k}."
    h, w = maps.shape[1:]
    if len({n for n, _, _ in found}) < k:
        return "A picture comes twice: take the best place of each picture first, then sort the pictures."
    best = maps.flatten(1).max(1)
    right = [(int(n), *divmod(int(best.indices[n]), w)) for n in best.values.topk(k).indices]
    if found == right:
        return None
    if found == [(n, j, i) for n, i, j in right]:
        return "Rows and columns are exchanged."
    if found == [(n, *divmod(int(best.indices[n]), h)) for n, _, _ in right]:
        return "A place counts along the rows: divide by the number of columns, not of rows."
    if sorted(found) == sorted(right):
        return "The right places, in another order: the strongest first."
    weakest = best.values.topk(k, largest=False).indices.tolist()
    if [n for n, _, _ in found] == weakest:
        return "Those are the weakest pictures."
    if [n for n, _, _ in found] == [n for n, _, _ in right]:
        return "The right pictures, but not the places of their largest values."
    return "Those are not the strongest places; is it the largest value, not the largest magnitude or mean?"


@checker
def waves(answer):
    """16.4: how far the waves of a row move under the Fourier switch.
    A coarse wave moves four times as far as the finest, so the picture grows from coarse to fine.
    """
    slips = (
        ([1, 2, 3, 4], "That is the frequency itself: the scale is one over it."),
        ([1, 0.5, 1 / 3, 0.25], "Those are multiples of the coarsest wave's step."),
        ([0.25, 0.5, 0.75, 1], "The other way round: the scale is one over the frequency."),
        ([1, 4 / 3, 2, 4], "From the coarsest wave to the finest, please."),
        ([16, 4, 16 / 9, 1], "One over the frequency, not over its square."),
        ([1, 1, 1, 1], "Adam moves the four numbers alike; each is then multiplied by its scale."),
        ([9, 4.5, 3, 2.25], "Those are the scales; divide by that of the finest wave."),
        ([4, 2, 1.3, 1], "The third is not exactly 1.3: a fraction, or two digits behind the point."),
    )
    return array_hint(answer, [4, 2, 4 / 3, 1], slips, 0.01)


@checker
def controls(answer):
    """16.5: which control each finding lacks.
    None of the four findings is wrong by this; each has not been tested yet.
    """
    words = ("untrained", "ranks", "judge", "place")
    if isinstance(answer, dict):
        by_letter = {str(key).strip(" ()").lower(): word for key, word in answer.items()}
        if sorted(by_letter) != ["a", "b", "c", "d"]:
            return "A dict needs the four letters a, b, c and d."
        answer = [by_letter[letter] for letter in "abcd"]
    given = [part.strip().lower() for part in answer.split(",")] if isinstance(answer, str) else list(answer)
    given = [part.strip().strip("\"'").lower() if isinstance(part, str) else part for part in given]
    if len(given) != 4 or any(part not in words for part in given):
        return f"Give four words, in the order (a) to (d), each one of {', '.join(words)}."
    if len(set(given)) < 4:
        return "Each of the four words is used once."
    hints = (
        "(a) Which photos come further down, and how do wheels and other things mix there?",
        "(b) The network itself is convinced of speckles, too. Who else could say?",
        "(c) Would the themes be there if nothing had been learnt?",
        "(d) Is 60% much? What would another spot of the same size keep?",
    )
    for part, right, hint in zip(given, ("ranks", "judge", "untrained", "place"), hints):
        if part != right:
            return hint
    return None
