"""Checkers of Chapter 13, "Activation maps"."""

from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from helpers.check import array_hint, checker

SHAPES = {"conv1": (64, 80, 144), "layer1": (64, 40, 72), "layer3": (256, 10, 18), "layer4": (512, 5, 9)}


@checker
def shapes(answer):
    """13.1: four shapes of a 160x288 photo in torchvision's ResNet-18.
    Only strides change the sizes here, and every one of them halves.
    """
    rows = _rows(answer, 4, 3)
    if isinstance(rows, str):
        return rows
    if np.array_equal(rows[:, [0, 2, 1]], list(SHAPES.values())):
        return "Rows and columns are exchanged: the photo has 160 rows."
    if np.array_equal(rows[:, [2, 0, 1]], list(SHAPES.values())):
        return "The channels come first."
    for row, (layer, right) in zip(rows, SHAPES.items()):
        if not np.array_equal(row, right):
            return _shape_hint(layer, row, right)
    return None


def _shape_hint(layer, row, right):
    if row[0] != right[0]:
        return f"{layer} has another number of channels: 64 up to `layer1`, and each later stage doubles them."
    if layer == "layer1" and np.array_equal(row[1:], (80, 144)):
        return "Between `conv1` and `layer1` stands a max pooling with stride 2."
    if np.array_equal(row[1:], (77, 141)):
        return "`conv1` has padding 3."
    return f"The size of {layer} is not right: which layers up to there have stride 2, and how many are they?"


@checker
def held(answer):
    """13.2: what two hooks hold after an in-place ReLU that is called twice.
    Keep a copy, and know how often a module is called.
    """
    rows = _rows(answer, 2, 3)
    if isinstance(rows, str):
        return rows
    first, relu = (tuple(row) for row in rows)
    known = (
        (first == (-2, 0, 4), "That is what the convolution put out; the in-place ReLU has written over it since."),
        (first == (2, 4, 8), "The bias is missing in the first convolution."),
        (first == (3, 3, -1), "The second convolution writes to memory of its own, not to that of the first."),
        (first == (3, 3, 0), "The second ReLU writes over the second convolution's output, not over the first's."),
        (
            relu == (0, 0, 4),
            "The ReLU is called twice and its hook fires twice: the second output replaces the first.",
        ),
        (relu == (3, 3, -1), "That is what the second convolution puts out; the ReLU still works on it."),
        (relu == (0, 0, 0), "The second convolution adds its bias 3."),
        (relu == (5, 3, 0), "The second convolution gets what the ReLU left, 0 in the place of -2."),
    )
    return next((hint for slip, hint in known if slip), None) or array_hint(rows, [[0, 0, 4], [3, 3, 0]])


@checker
def component(answer):
    """13.3: shares and a coordinate of a principal component worked by hand.
    The share is the same, and it is another direction: PCA follows the units.
    """
    numbers = _numbers(answer, 3)
    if isinstance(numbers, str):
        return numbers
    numbers[1] = abs(numbers[1])
    known = (
        (0, 80, "Give shares between 0 and 1."),
        (0, 2 / 3, "Square the coordinates before you add them up: a share of the variance, not of the deviation."),
        (0, 0.2, "That is the share of the second direction."),
        (0, 72 / 74, "Subtract the mean first."),
        (1, 6, "Subtract the mean first: coordinates are counted from it."),
        (1, np.sqrt(8), "That is the length of all four coordinates together."),
        (
            1,
            4,
            "The coordinate of one place is asked for, not how far two lie apart, and before the change of units.",
        ),
        (2, 0.2, "After the change of units the second channel spreads more, so it is the first direction."),
        (2, 0.5, "Multiplied by 4, the squares become 16 times larger."),
    )
    return _known(numbers, known) or array_hint(numbers, [0.8, 2, 0.8], tolerance=1e-3)


@checker
def resampled(answer):
    """13.4: a row of three as nine, by squares and bilinearly.
    Both agree at the middle of each square, and beyond the last centres, where p is held; the rest is a guess.
    """
    rows = _rows(answer, 2, 9)
    if isinstance(rows, str):
        return rows
    squares, smooth = [2, 2, 2, 8, 8, 8, 4, 4, 4], [2, 2, 4, 6, 8, 20 / 3, 16 / 3, 4, 4]
    if np.allclose(rows, [smooth, squares], atol=0.01):
        return "The squares come first, the interpolation second."
    if not np.allclose(rows[0], squares):
        return "Squares: each number three times, in their order."
    ends, corners = (np.interp(np.arange(9) / step, range(3), [2, 8, 4]) for step in (4, 3))
    slips = (
        (
            ends,
            "You put the first and last number at the ends of the row; (13.2) puts each in the middle of its three.",
        ),
        (corners, "The centre of cell i is at (i + 1/2)/z - 1/2, not at i/z."),
        ([0, 2, 4, 6, 8, 20 / 3, 16 / 3, 4, 8 / 3], "Beyond the last centres p is held, so the values stay."),
    )
    hint = array_hint(rows[1], smooth, slips, tolerance=0.01)
    if hint and np.allclose(rows[1], np.round(smooth, 1)):
        return "As far as one decimal says, right: give two decimals, or fractions."
    return hint


@checker
def silent(answer):
    """13.5: a function (model, x, layer) -> indices of the channels that are silent on the whole batch.
    On new pictures a silent channel may speak: it is a fact about these pictures, too.
    """
    if not callable(answer):
        return "Give the function itself: check.silent(silent)."
    for place, (model, x, expected) in enumerate(_silent_cases()):
        for layer in expected:
            before = _state(model)
            found = answer(model, x, layer)
            if _state(model) != before:
                return "It leaves the model changed: its mode, its running means, or a hook is still there."
            if hint := _silent_hint(found, expected[layer], place):
                return hint
    return None


def _silent_hint(found, expected, place):
    if found is None:
        return "The function returns nothing: is the return missing?"
    found = np.asarray(found.tolist() if torch.is_tensor(found) else list(found))
    if found.dtype == bool:
        return "Give the indices of the channels, not True or False for each."
    if found.ndim > 1:
        return f"Give one flat list of indices; yours has the shape {found.shape}."
    found = found.tolist()
    if found == expected:
        return None
    if sorted(found) == expected:
        return "The indices are not in rising order."
    extra, lost = sorted(set(found) - set(expected)), sorted(set(expected) - set(found))
    if not lost and place < 2:
        return f"Channel {extra[0]} is at most 0 in one picture, or on average, but not everywhere in the batch."
    if not extra and place == 1:
        return f"Channel {lost[0]} is below 0 everywhere: that is silent, too."
    if place == 2:
        return "It goes wrong where the model is in training mode: normalise with the stored means, as in use."
    return f"It finds {found} where {expected} are silent."


def _silent_cases():
    """(model, batch, {layer: silent channels}), three of them."""
    x = torch.tensor([[[[1.0, -1], [0, 2]]], [[[-3.0, -1], [0, -2]]]])
    plain = nn.Sequential(OrderedDict(conv=_conv([1, -1, 0, 2, -1], [-3, -4, 0, -3, -2]), relu=nn.ReLU()))
    yield plain, x, {"relu": [0, 1, 2]}
    yield plain.eval(), x, {"conv": [0, 1, 2]}
    model = nn.Sequential(OrderedDict(conv=_conv([1, -1, 1], [-1, -1, -9]), norm=nn.BatchNorm2d(3), relu=nn.ReLU(True)))
    model.norm.bias.data = torch.tensor([0.0, -5, -3])
    model.norm.running_mean.copy_(torch.tensor([0.0, 0, -11]))
    yield model.train(), x, {"norm": [1], "relu": [1], "conv": [2]}


def _conv(weights, biases):
    conv = nn.Conv2d(1, len(weights), 1)
    conv.weight.data = torch.tensor(weights, dtype=torch.float32).reshape(-1, 1, 1, 1)
    conv.bias.data = torch.tensor(biases, dtype=torch.float32)
    return conv


def _state(model):
    modes = [(module.training, len(module._forward_hooks)) for module in model.modules()]
    return modes, [value.tolist() for value in model.state_dict().values()]


@checker
def pooled(answer):
    """13.6: pooled gradients of a rectified sum of channels, and of a channel's own mean.
    The weight of a channel says how the number would change if the whole map rose.
    """
    rows = _rows(answer, 2, 3)  # two triples, or six numbers in a row
    numbers = _numbers(answer, 6) if isinstance(rows, str) else rows.flatten().tolist()
    if isinstance(numbers, str):
        return numbers
    right = [0.25, 0, -0.125, 0.25, 0, 0]
    slips = (
        ([0.5, 0, -0.25, *right[3:]], "At two of the four places ReLU passes nothing."),
        ([1, 0, -0.5, *right[3:]], "Pooling is the mean over the four places, not their sum."),
        ([1, 0, -0.5, 1, 0, 0], "Pooling is the mean over the four places, not their sum."),
        (
            [0.25, 0, -0.125, 1, 0, 0],
            "The last three: the mean hands a quarter back to each place, and these are pooled.",
        ),
        ([*right[:3], 0.125, 0, 0], "The last three: A_1's own mean is driven backward, with no ReLU behind it."),
        ([0.25, 0, 0.125, *right[3:]], "A_3 is subtracted: what is its sign?"),
        ([0.25, 0, 0, *right[3:]], "ReLU stands after the sum: A_3 has its part wherever the sum is positive."),
        ([0.125, 0, -0.125, *right[3:]], "A_1 is taken twice."),
    )
    return array_hint(numbers, right, slips)


def _known(numbers, known):
    return next((hint for i, slip, hint in known if abs(numbers[i] - slip) < 2e-3), None)


def _numbers(answer, n):
    """The answer as n floats, or a hint."""
    try:
        numbers = [float(number) for number in answer]
    except (TypeError, ValueError):
        return f"Give a list of {n} numbers."
    return numbers if len(numbers) == n else f"Give {n} numbers, not {len(numbers)}."


def _rows(answer, n, length):
    """The answer as an array (n, length), or a hint."""
    try:
        rows = [[float(number) for number in row] for row in answer]
    except (TypeError, ValueError):
        return f"Give {n} lists of {length} numbers each."
    if [len(row) for row in rows] != [length] * n:
        return f"Give {n} lists of {length} numbers each; yours have {', '.join(str(len(row)) for row in rows)}."
    return np.array(rows)
