"""Checkers of Chapter 1's exercises."""

from itertools import product

import numpy as np
import torch
from scipy import signal

from helpers.check import array_hint, checker, number_hint

SHEET = np.array([[1, 0, 0, 1, 1, 0], [0, 1, 0, 0, 0, 1], [0, 0, 1, 1, 0, 0], [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 1]])
MATCHES = SHEET[:-1, :-2] + SHEET[1:, 2:]  # of Exercise 1.1: the ones of the kernel that lie on ones of the sheet
WANTED = [[1, 0], [0, 1]]
COINS = [  # centres (row, column), from a segmentation of the photograph
    (44, 335), (51, 155), (51, 215), (53, 276), (55, 44), (56, 100), (119, 271), (124, 45), (124, 205), (124, 336),
    (126, 102), (127, 154), (186, 347), (193, 212), (194, 274), (196, 102), (197, 43), (198, 154), (260, 46),
    (261, 173), (263, 244), (263, 301), (266, 114), (268, 358),
]  # fmt: skip


@checker
def knights_move(answer):
    """Exercise 1.1.
    Three windows hold a one, and another one row down and two columns to the right."""
    backwards = SHEET[:-1, 2:] + SHEET[1:, :-2]
    wrong = [
        (MATCHES - 1, "These are the sums before ReLU: negative numbers become 0."),
        (MATCHES, "The bias is missing: subtract 1 from each sum, then apply ReLU."),
        (np.maximum(backwards - 1, 0), "The kernel's ones lie at the top left and the bottom right."),
    ]
    hint = array_hint(answer, np.maximum(MATCHES - 1, 0), wrong)
    if hint and np.shape(answer) == (4, 5):
        return "Four rows of five: that is a kernel two columns wide. This one is three columns wide."
    return hint


@checker
def demands_zeros(kernel, bias):
    """Exercise 1.2.
    No other of the sixteen patches gives a positive answer."""
    kernel = np.asarray(kernel, float)
    if kernel.shape != (2, 2):
        return f"The kernel's shape is {kernel.shape}; it should be (2, 2)."
    for numbers in product((0, 1), repeat=4):
        patch = np.reshape(numbers, (2, 2))
        value, wanted = float((patch * kernel).sum() + float(bias)), patch.tolist() == WANTED
        if wanted and value <= 1e-9:
            return f"The patch that is looked for gives {value:g}: too low a bias, or no weight where its ones are."
        if not wanted and value > 1e-9:
            return f"The patch {patch.tolist()} gives {value:g}: it must not be positive."
    return None


@checker
def parameters(answer):
    """Exercise 1.3.
    The 128x128 of the input does not enter: the same weights serve everywhere."""
    wrong = {
        16 * 9 * 32: "The weights are right; each filter has a bias as well.",
        16 * 9: "Each filter reads all 32 channels, so it has 3*3*32 weights, not 3*3. The biases count too.",
        16 * 10: "Each filter reads all 32 channels, so it has 3*3*32 weights, not 3*3.",
        16 * 9 * 32 + 1: "One bias for each filter, not one for the layer.",
        16 * (9 * 32 + 32): "One bias for each filter, not one for each kernel in it.",
        126 * 126 * 16: "That is the number of outputs. Parameters are what is learned: weights and biases.",
    }
    return number_hint(answer, 16 * 9 * 32 + 16, wrong)


def true_convolution(function):
    """Exercise 1.4: not answered yet as long as the function returns `...`."""
    try:
        unanswered = function(torch.zeros(2, 2), torch.zeros(1, 1)) is ...
    except Exception:
        unanswered = False  # the checker below says what is wrong
    return _true_convolution(... if unanswered else function)


@checker
def _true_convolution(function):
    """Exercise 1.4.
    It agrees with SciPy's convolve2d."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 7, generator=generator, dtype=torch.double)
    w = torch.randn(3, 2, generator=generator, dtype=torch.double)
    answer = function(x, w)
    valid = {"mode": "valid"}
    wrong = [
        (signal.correlate2d(x, w, **valid), "This is cross-correlation: the kernel has to be flipped first."),
        (signal.correlate2d(x, w.flip(0), **valid), "The kernel is flipped top to bottom only; flip it sideways too."),
        (signal.correlate2d(x, w.flip(1), **valid), "The kernel is flipped sideways only; flip it top to bottom too."),
        (signal.correlate2d(x, w.T, **valid), "The kernel is transposed; a flip reverses both of its axes."),
        (
            signal.convolve2d(x, w, mode="full"),
            "Use only positions where the kernel lies inside the picture: no padding.",
        ),
    ]
    return array_hint(answer, signal.convolve2d(x, w, **valid), wrong)


@checker
def grey(answer):
    """Exercise 1.5.
    A grey conversion is a 1x1 convolution from three channels to one."""
    shape = np.shape(answer)
    if shape == (3,):
        return "The numbers need the shape of a layer's weights: (filters, channels, height, width)."
    if shape == (3, 1, 1, 1):
        return "This is three filters on one channel; one filter on three channels is needed."
    wrong = [
        (np.full((1, 3, 1, 1), 1 / 3), "This weighs the three colours equally; the weighting asked for is in GREY.")
    ]
    return array_hint(answer, np.reshape([0.299, 0.587, 0.114], (1, 3, 1, 1)), wrong)


@checker
def contrast(a, b, c):
    """Exercise 1.6.
    Contrast goes through a template of mean zero, and cancels in normalised correlation, but for its sign."""
    hints = {
        "(a) ": number_hint(a, 0.5, {1: "The 0.2 vanishes, since the template sums to 0; the 0.5 goes through."}),
        "(b) ": number_hint(b, 1, {0.5: "The length of the patch is halved as well, and it is divided by."}),
        "(c) ": number_hint(c, -1, {1: "A length does not see the sign, but the numerator does."}),
    }
    return next((part + hint for part, hint in hints.items() if hint), None)


@checker
def kaiming(a, b):
    """Exercise 1.7.
    What counts is how many numbers one output sums."""
    colour = {
        (2 / 25) ** 0.5: "The filter reads three channels.",
        (2 / (32 * 32)) ** 0.5: "The image's size does not enter: one output sums 5*5*3 numbers.",
        (2 / (32 * 32 * 3)) ** 0.5: "The image's size does not enter: one output sums 5*5*3 numbers.",
        (2 / (25 * 64)) ** 0.5: "The number of filters does not enter: one output sums 5*5*3 numbers.",
        (2 / (75 * 64)) ** 0.5: "The number of filters does not enter: one output sums 5*5*3 numbers.",
        2 / 75: "That is the variance.",
        (1 / 75) ** 0.5: "The 2 makes up for what ReLU cuts off.",
    }
    dense = {2 / 224**2: "That is the variance.", (2 / 224) ** 0.5: "The photo has 224 rows of 224 pixels."}
    dense[(2 / 9) ** 0.5] = "There is no 3x3 window here: the unit reads all the pixels."
    hints = {
        "(a) ": number_hint(a, (2 / 75) ** 0.5, colour, tolerance=1e-4),
        "(b) ": number_hint(b, (2 / 224**2) ** 0.5, dense, tolerance=1e-5),
    }
    return next((part + hint for part, hint in hints.items() if hint), None)


@checker
def coins(answer, least=20, reach=14):
    """Exercise 1.8.
    At least 20 of the 24 coins, and no false alarm."""
    found = np.asarray(answer, float).reshape(-1, 2)
    if not len(found):
        return "The list is empty: is the threshold too high?"
    gaps = np.hypot(*(found[:, None] - np.array(COINS)).transpose(2, 0, 1))
    nearest, hits = gaps.argmin(1), gaps.min(1) <= reach
    swapped = np.hypot(*(found[:, None, ::-1] - np.array(COINS)).transpose(2, 0, 1))
    if swapped.min(1).max() <= reach and not hits.all():
        return "Rows and columns are exchanged."
    if not hits.all():
        row, column = found[~hits][0]
        hint = "A position in the map of answers is the window's corner: add half the template's size for its centre."
        return (
            f"{int((~hits).sum())} of {len(found)} places are no coin's centre, such as ({row:g}, {column:g}). {hint}"
        )
    if len(set(nearest)) < len(found):
        return "A coin is listed more than once: blank out a larger neighbourhood of each place found."
    if len(found) < least:
        return f"{len(found)} coins, all right; at least {least} are asked for."
    return None
