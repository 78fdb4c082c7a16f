"""Right and wrong answers of Chapter 1's exercises: the verdict, and the slip that the hint names."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers.check import ch01

SHEET = ch01.SHEET


def correlate(x, w):
    return F.conv2d(
        torch.as_tensor(x, dtype=torch.double)[None, None], torch.as_tensor(w, dtype=torch.double)[None, None]
    )[0, 0]


def pairs(kernel, bias=-1):
    return correlate(SHEET, kernel).numpy() + bias


def test_knights_move():
    kernel = [[1, 0, 0], [0, 0, 1]]
    right = np.maximum(pairs(kernel), 0)
    assert right.tolist() == [[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert ch01.knights_move(right).right
    assert ch01.knights_move(right.astype(int).tolist()).right
    assert "before ReLU" in ch01.knights_move(pairs(kernel)).message
    assert "bias is missing" in ch01.knights_move(pairs(kernel, bias=0)).message
    assert "bottom right" in ch01.knights_move(np.maximum(pairs([[0, 0, 1], [1, 0, 0]]), 0)).message
    assert "three columns wide" in ch01.knights_move(np.zeros((4, 5))).message
    assert "shape" in ch01.knights_move(right[:3]).message
    changed = right.copy()
    changed[1, 2] = 1 - changed[1, 2]
    assert "(1, 2)" in ch01.knights_move(changed).message
    assert "places of the ones" in ch01.knights_move([(0, 3), (1, 1), (2, 2)]).message
    assert "exchanged" in ch01.knights_move(np.zeros((3, 5))).message
    assert "inside it" in ch01.knights_move(np.zeros((5, 6))).message
    assert "differ in length" in ch01.knights_move([[0, 0, 0, 1], [0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]).message
    assert ch01.knights_move(...).right is None


def test_demands_zeros():
    assert ch01.demands_zeros([[1, -1], [-1, 1]], -1).right
    assert ch01.demands_zeros(np.array([[3.0, -5], [-5, 3]]), -4).right
    assert "[[1, 0], [1, 1]]" in ch01.demands_zeros([[1, -0.4], [-0.4, 1]], -1).message
    assert "must not be positive" in ch01.demands_zeros([[1, 0], [0, 1]], -1).message
    assert "gives 0" in ch01.demands_zeros([[1, -1], [-1, 1]], -2).message
    assert "(2,)" in ch01.demands_zeros([1, 1], 0).message
    assert "finite" in ch01.demands_zeros([[float("nan"), -1], [-1, 1]], -1).message
    assert "finite" in ch01.demands_zeros([[1, -1], [-1, 1]], float("nan")).message
    assert ch01.demands_zeros([[1, -1], [-1, 1]], ...).right is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (4608, "a bias as well"),
        (144, "all 32 channels"),
        (160, "all 32 channels"),
        (4609, "each filter, not one for the layer"),
        (5120, "each kernel"),
        (254016, "outputs"),
        (288, "weights of one filter"),
        (289, "the layer has 16"),
        (524288, "how many numbers enter"),
        (262144, "number of outputs"),
        ((4608, 16), "add the weights"),
        (5000, "too large"),
        (4000, "too small"),
    ],
)
def test_parameters(answer, words):
    assert ch01.parameters(sum(p.numel() for p in torch.nn.Conv2d(32, 16, 3).parameters())).right
    verdict = ch01.parameters(answer)
    assert verdict.right is False and words in verdict.message


def test_true_convolution():
    assert ch01.true_convolution(lambda x, w: correlate(x, w.flip(0, 1))).right
    assert "cross-correlation" in ch01.true_convolution(correlate).message
    assert "sideways too" in ch01.true_convolution(lambda x, w: correlate(x, w.flip(0))).message
    assert "top to bottom too" in ch01.true_convolution(lambda x, w: correlate(x, w.flip(1))).message
    assert "transposed" in ch01.true_convolution(lambda x, w: correlate(x, w.T)).message
    padded = ch01.true_convolution(lambda x, w: F.conv2d(x[None, None], w.flip(0, 1)[None, None], padding=(2, 1))[0, 0])
    assert "no padding" in padded.message
    assert "reverse order" in ch01.true_convolution(lambda x, w: correlate(x.flip(0, 1), w)).message
    assert "[0, 0]" in ch01.true_convolution(lambda x, w: correlate(x, w.flip(0, 1))[None]).message
    assert "[0, 0]" in ch01.true_convolution(lambda x, w: correlate(x, w.flip(0, 1))[None, None]).message
    assert "no negative step" in ch01.true_convolution(lambda x, w: correlate(x, w[::-1, ::-1])).message
    assert ch01.true_convolution(lambda x, w: correlate(x, w.flip(0, 1)).numpy()).right
    assert ch01.true_convolution(lambda x, w: ...).right is None
    assert ch01.true_convolution(...).right is None
    assert "could not be checked" in ch01.true_convolution(lambda x: x).message


def test_grey():
    weights = np.array([0.299, 0.587, 0.114])
    assert ch01.grey(weights.reshape(1, 3, 1, 1)).right
    assert ch01.grey(torch.tensor(weights).view(1, 3, 1, 1)).right
    for shape in ((3,), (1, 3), (3, 1, 1)):
        assert "four axes" in ch01.grey(weights.reshape(shape)).message
    assert "exchanged" in ch01.grey(weights[::-1].reshape(1, 3, 1, 1)).message
    assert "a picture" in ch01.grey(np.zeros((300, 451))).message
    assert "differ" in ch01.grey(np.array([0.2126, 0.7152, 0.0722]).reshape(1, 3, 1, 1)).message
    assert "one filter on three channels" in ch01.grey(weights.reshape(3, 1, 1, 1)).message
    assert "equally" in ch01.grey(np.full((1, 3, 1, 1), 1 / 3)).message


def test_contrast():
    assert ch01.contrast(-0.5, 3, -1).right
    assert ch01.contrast(0.5, 3, -1).message.startswith("(a) The size is right")
    assert ch01.contrast(-1, 3, -1).message.startswith("(a) The 1 is multiplied")
    assert ch01.contrast(-1.5, 3, -1).message.startswith("(a) In (a)")
    assert ch01.contrast(-0.5, 3.2, -1).message.startswith("(b) The 0.2")
    assert ch01.contrast(-0.5, 1, -1).message.startswith("(b) The 0.2")
    assert ch01.contrast(-0.5, -1.5, -1).message.startswith("(b) In (b)")
    assert ch01.contrast(-0.5, 3, 1).message.startswith("(c) A length")
    assert ch01.contrast(-0.5, 3, -1.5).message.startswith("(c) Both lengths")
    assert "too large" in ch01.contrast(0.7, 3, -1).message


def test_kaiming():
    right = (np.sqrt(2 / 75), np.sqrt(2) / 224)
    assert ch01.kaiming(*right).right
    assert ch01.kaiming(0.1633, 0.00631).right
    assert ch01.kaiming(0.163, 0.0063).right
    assert "four significant digits" in ch01.kaiming(0.16, 0.00631).message
    assert "222x222" in ch01.kaiming(0.1633, np.sqrt(2) / 222).message
    assert "222x222" in ch01.kaiming(0.1633, 0.00637).message
    assert "too small" in ch01.kaiming(0.1, 0.00631).message
    assert "too large" in ch01.kaiming(0.1633, 1).message
    assert "(a) The 2" in ch01.kaiming(0.1155, 0.00631).message
    for slip, words in ((2 / 25, "three channels"), (2 / 1024, "size does not enter"), (1 / 75, "ReLU")):
        assert words in ch01.kaiming(np.sqrt(slip), right[1]).message
    assert "number of filters" in ch01.kaiming(np.sqrt(2 / 4800), right[1]).message
    assert "variance" in ch01.kaiming(2 / 75, right[1]).message
    assert "(b) There is no 3x3" in ch01.kaiming(right[0], np.sqrt(2 / 9)).message
    assert "(b) That is the variance" in ch01.kaiming(right[0], 2 / 224**2).message


def test_coins():
    centres = np.array(ch01.COINS)
    assert ch01.coins(ch01.COINS).right
    assert ch01.coins((centres + 5).tolist()[:20]).right
    assert "at least 20" in ch01.coins(ch01.COINS[:19]).message
    assert "exchanged" in ch01.coins(centres[:, ::-1]).message
    assert "half the template's size" in ch01.coins(centres - 32).message
    alarm = ch01.coins([*ch01.COINS, (88, 5)]).message
    assert "1 of 25 places" in alarm and "raise the threshold" in alarm and "corner" not in alarm
    off = ch01.coins([*ch01.COINS[:20], (197 + 9, 356 + 3)]).message
    assert "from the nearest one" in off and "corner" not in off
    assert "1 of 20 places" in ch01.coins([*ch01.COINS[:19], (0, 0)]).message
    assert ch01.coins([*(coin for coin in ch01.COINS if coin != (186, 347)), (197, 356)]).right  # 14.2 pixels away
    assert "pairs" in ch01.coins((centres[:, 0], centres[:, 1])).message
    assert "pairs" in ch01.coins([44, 335]).message
    assert "more than once" in ch01.coins([*ch01.COINS, (45, 336)]).message
    assert "empty" in ch01.coins([]).message
