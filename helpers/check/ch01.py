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
    if len({np.size(row) for row in answer}) > 1:
        return "The rows differ in length; every row of the output has as many numbers."
    shape, size = (
        np.shape(answer),
        "How often does a window two high and three wide fit into five rows and six columns?",
    )
    if shape == (3, 2):
        return (
            "These look like the places of the ones; asked for is the whole output, its zeros too, as a list of rows."
        )
    if shape in ((3, 5), (5, 3)):
        return f"{shape[0]} rows of {shape[1]}: the kernel's height and width are exchanged. {size}"
    if shape == (5, 6):
        return f"As large as the picture: but a window must lie inside it. {size}"
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
    if not (np.isfinite(kernel).all() and np.isfinite(float(bias))):
        return "Kernel and bias must be finite numbers."
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
    if np.size(answer) == 2:
        return "One number is asked for: add the weights and the biases."
    wrong = {
        9 * 32: "These are the weights of one filter. There are 16, and each has a bias as well.",
        9 * 32 + 1: "That is one filter; the layer has 16.",
        128 * 128 * 32: "That is how many numbers enter. Parameters are what is learned: weights and biases.",
        128 * 128 * 16: "That looks like the number of outputs. Parameters are what is learned: weights and biases.",
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
    try:
        answer = function(x, w)
    except ValueError as error:
        if "step must be greater" in str(error):
            return "Tensors know no negative step such as [::-1]; w.flip(0, 1) reverses both axes."
        raise
    if torch.is_tensor(answer) and answer.ndim > 2 and answer.shape[:-2].numel() == 1:
        return (
            f"The shape is {tuple(answer.shape)}: the batch and channel axes are still there; take [0, 0] or squeeze()."
        )
    valid = {"mode": "valid"}
    wrong = [
        (signal.correlate2d(x, w, **valid), "This is cross-correlation: the kernel has to be flipped first."),
        (signal.correlate2d(x, w.flip(0), **valid), "The kernel is flipped top to bottom only; flip it sideways too."),
        (signal.correlate2d(x, w.flip(1), **valid), "The kernel is flipped sideways only; flip it top to bottom too."),
        (
            signal.convolve2d(x, w, **valid)[::-1, ::-1],
            "The picture is flipped, not the kernel: the answers come out in reverse order.",
        ),
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
    if shape in ((3,), (1, 3), (3, 1, 1), (1, 3, 1)):
        return f"The shape is {shape}; a layer's weights have four axes: (filters, channels, height, width)."
    if shape[-2:] == (300, 451):
        return "That is a picture. Asked for are the weights that conv.conv2d makes it with."
    if shape == (3, 1, 1, 1):
        return "This is three filters on one channel; one filter on three channels is needed."
    wrong = [
        (np.full((1, 3, 1, 1), 1 / 3), "This weighs the three colours equally; the weighting asked for is in GREY."),
        (np.reshape([0.114, 0.587, 0.299], (1, 3, 1, 1)), "Red and blue are exchanged: the first channel is red."),
    ]
    return array_hint(answer, np.reshape([0.299, 0.587, 0.114], (1, 3, 1, 1)), wrong)


@checker
def contrast(a, b, c):
    """Exercise 1.6.
    Contrast goes through a template of mean zero, and cancels in normalised correlation, but for its sign."""
    zero_sum = "The 1 is multiplied by the sum of the weights, which is 0; the -0.5 goes through each product."
    only_mean = "The 0.2 goes with the mean; the 3 stays, since this filter is not divided by its length."
    cancels = "Both lengths are divided by, so 0.5 and 3 cancel."
    of_a = {0.5: "The size is right; and the sign?", 1: zero_sum, -1: zero_sum, 0: zero_sum}
    of_b = {1: only_mean, 3.2: only_mean, 0: only_mean, 1.5: "In (b) the photo stays as it is."}
    of_c = {1: "A length does not see the sign, but the numerator does.", 0: cancels}
    of_c |= dict.fromkeys((-1.5, -0.5, 3, -3, 1.5), cancels)
    hints = {
        "(a) ": number_hint(a, -0.5, of_a | {-1.5: "In (a) the template stays as it is."}),
        "(b) ": number_hint(b, 3, of_b | {-1.5: "In (b) the photo stays as it is."}),
        "(c) ": number_hint(c, -1, of_c),
    }
    return next((part + hint for part, hint in hints.items() if hint), None)


def _rounded(answer, expected, wrong):
    """As number_hint, where answers are rounded: half a per cent is right, and so near to a slip is that slip."""
    answer = float(answer)
    hints = [hint for slip, hint in wrong.items() if abs(answer / slip - 1) <= 0.005]
    off = abs(answer / expected - 1)
    if off <= 0.005 or (off > 0.025 and not hints):
        return None if off <= 0.005 else number_hint(answer, expected)
    return hints[0] if hints else "Close: give four significant digits."


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
    dense[2**0.5 / 222] = "222x222 is the size of a 3x3 filter's map; this unit reads all 224x224 pixels."
    dense[(2 / (3 * 224**2)) ** 0.5] = "A grey photo has one channel."
    dense[1 / 224] = "The 2 makes up for what ReLU cuts off."
    hints = {"(a) ": _rounded(a, (2 / 75) ** 0.5, colour), "(b) ": _rounded(b, 2**0.5 / 224, dense)}
    return next((part + hint for part, hint in hints.items() if hint), None)


@checker
def coins(answer, least=20, reach=17):
    """Exercise 1.8.
    At least 20 of the 24 coins, and no false alarm."""
    found = np.asarray(answer, float)
    if not found.size:
        return "The list is empty: is the threshold too high?"
    if found.ndim != 2 or found.shape[1] != 2:
        return f"The shape is {found.shape}; it should be a list of pairs (row, column), one for each coin."
    gaps = _gaps(found)
    hits = gaps.min(1) <= reach
    if not hits.all() and (_gaps(found[:, ::-1]).min(1) <= reach).all():
        return "Rows and columns are exchanged."
    if not hits.all():
        return _false_alarms(found, gaps.min(1), hits, reach)
    if len(set(gaps.argmin(1))) < len(found):
        return "A coin is listed more than once: blank out a larger neighbourhood of each place found."
    if len(found) < least:
        return f"{len(found)} coins, all right; at least {least} are asked for."
    return None


def _gaps(places):
    """Distance of each place from each coin's centre."""
    return np.hypot(*(places[:, None] - np.array(COINS)).transpose(2, 0, 1))


def _false_alarms(found, nearest, hits, reach):
    """What to do about places that are no coin's centre: all moved alike, off-centre, or nowhere near a coin."""
    row, column = found[~hits][0]
    said = f"{int((~hits).sum())} of {len(found)} places are no coin's centre, such as ({row:g}, {column:g})."
    moved = [(_gaps(found + (i, j)).min(1) <= reach).mean() for i in range(8, 65, 4) for j in range(8, 65, 4)]
    if len(found) > 2 and hits.mean() < 0.5 and max(moved) >= 0.8:
        hint = "A position in the map of answers is the window's corner: add half the template's size for its centre."
        return f"{said} {hint}"
    off = nearest[~hits][0]
    if off <= 2 * reach:
        hint = f"It is {off:.0f} pixels from the nearest one; {reach} are allowed."
        return f"{said} {hint} Raise the threshold, or change the template."
    return f"{said} There is no coin within {off:.0f} pixels: raise the threshold."
