"""Checkers of Chapter 15, "Class activation maps"."""

import numpy as np
import torch

from helpers.check import array_hint, checker, number_hint


@checker
def by_hand(answer):
    """15.1: a class activation map of 2x3 places, and the score.
    The score is the mean of the map plus the bias.
    """
    parts = _parts(answer, 2, "the map and the score")
    if isinstance(parts, str):
        return parts
    found, score = parts
    if torch.as_tensor(score).numel() > 1:
        return "The second is the score, one number; the map comes first."
    right = np.array([[2.0, -2, 4], [-1, 5, -2]])
    slips = (
        (right / 6, "The map is not divided by the number of places: its mean is the score less the bias."),
        (right + 1, "The bias belongs to no place: leave it out of the map."),
        (-right, "The signs: 2 times the first map, less the second."),
        ([[2, 2, 4], [1, 7, 2]], "The second weight is -1: its map is subtracted."),
        ([[-1, 4, -2], [2, -1, 4]], "The weights are exchanged: 2 belongs to the first map."),
        ([[1, -2, 2], [-1, 2, -2]], "The first map has the weight 2."),
    )
    if hint := array_hint(found, right, slips):
        return f"The map: {hint}"
    scores = {7: "Add the mean over the places to the bias, not the sum.", 6: "Take the mean, and add the bias."}
    scores |= {1: "The bias comes on top of the mean of the map.", 5: "The largest value is not the score."}
    hint = number_hint(score, 2, scores)
    return hint and f"The score: {hint}"


@checker
def pooled(answer):
    """15.2: Grad-CAM with the mean and with the maximum, and Layer-CAM.
    Mean and maximum disagree on the first channel's sign, and with it on half of the places.
    """
    parts = _parts(answer, 3, "Grad-CAM with the mean, with the maximum, and Layer-CAM")
    if isinstance(parts, str):
        return parts
    mean, largest, place = (np.array(m, float) for m in ([[1, -1], [-1, 1]], [[4, 6], [6, 4]], [[0, 4], [0, 0]]))
    rectified = "No final ReLU was asked for: keep what is negative."
    summed = "Pool by the mean: the sum over the places is divided by 4."
    absolute = "The largest gradient of the first channel is 1; -2 is larger in magnitude only."
    slips = (
        ((largest, "That is the map with the maximum."), (4 * mean, summed), (mean.clip(0), rectified)),
        ((mean, "That is the map with the mean."), ([[4, 0], [0, 4]], absolute), ([[4, 8], [8, 4]], absolute)),
        (
            (
                [[0, 0], [-4, 0]],
                "Only positive slopes count: first the maximum with 0, then the product.",
            ),
            ([[0, 0], [0, 0]], "Each channel counts where its own slope is positive: cut off before you add."),
            ([[1, 4], [0, 0]], "At the upper left the first map is 0: multiply the slope by the map's value."),
        ),
    )
    for name, part, right, wrong in zip(("mean", "maximum", "Layer-CAM"), parts, (mean, largest, place), slips):
        if hint := array_hint(part, right, wrong):
            return f"The map of the {name}: {hint}"
    return None


@checker
def patch(answer):
    """15.3: the middle of a cell in pixels, and the rows that its unit can see.
    The cell is 32 pixels high. Its unit's field has its middle half a cell away and covers every row of the picture.
    """
    parts = _parts(answer, 4, "row, column, first row, last row")
    if isinstance(parts, str):
        return parts
    row, column, first, last = map(float, parts)
    middles = {80: 79.5, 176: 175.5, 64: "first", 160: "first", 96: "next", 192: "next", 95: "last", 191: "last"}
    if (row, column) == (175.5, 79.5):
        return "Row and column are exchanged."
    for name, value, right in (("row", row, 79.5), ("column", column, 175.5)):
        if middles.get(value) == right:
            return f"The {name}: pixels are counted from 0, so a cell's 32 pixels are 64 to 95, say; give the mean."
        if middles.get(value) == "first":
            return f"The {name}: the field has its middle there, on the cell's border; the cell's middle was asked for."
        if value in middles:
            return f"The {name}: that is at the cell's border; the middle was asked for."
        if hint := number_hint(value, right, {right + 32: "Places count from 0.", right - 32: "Places count from 0."}):
            return f"The {name}: {hint}"
    if first < 0 or last > 223:
        return "The field sticks out of the picture; of the picture it sees rows 0 to 223 at most. Cut it off."
    if (first, last) == (64, 95):
        return "Those are the rows of the cell. The unit's field is much larger: compute it."
    if hint := number_hint(first, 0):
        return f"The first row: {hint}"
    return number_hint(last, 223) and f"The last row: {number_hint(last, 223)}"


@checker
def product_map(answer):
    """15.4: a function (maps, slopes), each (N, K, h, w), that returns the sum of the products over the channels.
    At the last layer its sum is the score without the bias.
    """
    if not callable(answer):
        return "Give the function itself, not what it returns."
    generator = torch.Generator().manual_seed(0)
    maps, slopes = (torch.randn(3, 5, 4, 6, generator=generator) for _ in range(2))
    found = answer(maps.clone(), slopes.clone())
    if not torch.is_tensor(found):
        return f"The function returns a {type(found).__name__}; it should be a tensor (N, h, w)."
    right = torch.einsum("nkhw,nkhw->nhw", maps, slopes)
    pooled = torch.einsum("nkhw,nk->nhw", maps, slopes.mean((2, 3)))
    slips = (
        (pooled, "That is Grad-CAM: do not pool the slopes, every place has its own."),
        ((slopes.clamp(min=0) * maps).sum(1), "That is Layer-CAM: keep the negative slopes."),
        (right.clamp(min=0), "Keep what is negative: with a ReLU the map does not add up."),
        ((maps * slopes).mean(1), "Add over the channels; their mean does not add up to the score."),
        (maps * slopes, "Add over the channels: one number a place."),
        ((maps * slopes).sum((2, 3)), "Add over the channels, axis 1, not over the places."),
        ((maps * slopes).sum(0), "Add over the channels, axis 1, not over the pictures."),
        (maps.sum(1) * slopes.sum(1), "Multiply channel by channel first, then add."),
    )
    return array_hint(found, right, slips, tolerance=1e-4)


@checker
def margin(answer):
    """15.5: a function of logits (N, classes) that returns the largest less the second largest, (N,).
    Adding one number to all scores leaves it as it is, as it leaves the probabilities.
    """
    if not callable(answer):
        return "Give the function itself, not what it returns."
    logits = torch.tensor([[3.0, 1, 2, -4], [-1, -5, -2, -9], [0.5, 4, 4, 1], [7, 8, 1, 0]], requires_grad=True)
    found = answer(logits)
    if not torch.is_tensor(found):
        return f"The function returns a {type(found).__name__}; it should be a tensor (N,)."
    if not found.requires_grad:
        return "The result has no gradient: compute it from the logits by torch's operations, without detach or item."
    right, top = torch.tensor([1.0, 1, 0, 1]), logits.detach().topk(2, dim=1).values
    shares = logits.detach().softmax(1).topk(2, dim=1).values
    slips = (
        (-right, "The sign: the largest less the second largest."),
        (top[:, 0], "That is the largest logit: subtract the second."),
        (top[:, 0] - logits.detach().amin(1), "Subtract the second largest, not the smallest."),
        (top[:, 0] - logits.detach().mean(1), "Subtract the second largest, not the mean."),
        (shares[:, 0] - shares[:, 1], "Take the logits themselves, without a softmax."),
        (right.sum(), "One number for each picture: do not add them up."),
        (right.mean(), "One number for each picture: do not average them."),
        (right + torch.tensor([0, 0, 3, 0]), "Two classes may share the largest score: then the difference is 0."),
        (right[:, None], "The shape is (N, 1): take the two columns by an index, or squeeze."),
    )
    return array_hint(found, right, slips)


WORDS = ("same", "other", "same")
WHY = (
    "Every score of a picture changes by the same number. What does a softmax make of that?",
    "The map of a class is the sum of w_tk A_k: what does adding v_k to each weight add to it?",
    "In a difference of two maps what both have in common drops out.",
)


@checker
def shifted(answer):
    """15.6: what adding one vector to the weights of all classes changes: probabilities, maps, differences of maps.
    Training fixes the differences between classes only.
    """
    words = [str(word).strip().lower() for word in ([answer] if isinstance(answer, str) else answer)]
    if len(words) != 3 or not set(words) <= {"same", "other"}:
        return 'Give a list of three words, each "same" or "other": probabilities, maps, differences of maps.'
    for word, right, why in zip(words, WORDS, WHY):
        if word != right:
            return why
    return None


def _parts(answer, n, names):
    """The answer's n parts, or a hint."""
    try:
        parts = list(answer)
    except TypeError:
        return f"Give a list of {n}: {names}."
    return parts if len(parts) == n else f"Give a list of {n}: {names}; yours has {len(parts)}."
