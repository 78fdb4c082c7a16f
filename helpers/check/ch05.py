"""Checkers of Chapter 5, "Backpropagation through a convolution"."""

import numpy as np
import torch
from torch.nn import functional

from helpers.check import array_hint, checker
from helpers.conv import conv2d_backward


def _mean_weight(grad_output, x, weight):
    by_x, by_weight, by_bias = conv2d_backward(grad_output, x, weight)
    return by_x, by_weight / len(x), by_bias


def _unflipped(grad_output, x, weight):
    by_x, _, _ = conv2d_backward(grad_output, x, weight[:, :, ::-1, ::-1])
    return by_x, *conv2d_backward(grad_output, x, weight)[1:]


def _one_filter_bias(grad_output, x, weight):
    by_x, by_weight, by_bias = conv2d_backward(grad_output, x, weight)
    return by_x, by_weight, np.full_like(by_bias, by_bias[0])


# Exercise 5.4 asks which of their gradients are wrong; to look here would spoil it.
SUSPECTS = {"A": _mean_weight, "B": conv2d_backward, "C": _unflipped, "D": _one_filter_bias}


@checker
def row(answer):
    """5.1: the gradients of the weights and of the input of a row of five pixels.
    The first slides g over x; the second stamps w, and the stamps overlap.
    """
    by_w, by_x = ([1, -1, 6], [1, 1, -1, 5, -2])
    if len(answer) != 2:
        return "Give a pair: the three numbers for w, and the five for x."
    given_w, given_x = (np.asarray(part, float) for part in answer)
    if given_w.shape == (5,) and given_x.shape == (3,):
        return "The two are exchanged: w has three numbers, x five."
    slips_w = [([-1, 5, 6], "For w you flipped g: the gradient of the weights is a cross-correlation.")]
    slips_x = [
        (
            [2, 3, -3, 3, -1],
            "For x the kernel was laid on backwards: stamp it as it is.",
        ),
        ([-2, 5, -1, 1, 1], "For x you have the right numbers from right to left."),
    ]
    hint = array_hint(given_w, by_w, slips_w)
    if hint:
        return hint if hint.startswith("For w") else f"For w: {hint}"
    hint = array_hint(given_x, by_x, slips_x)
    return hint and (hint if hint.startswith("For x") else f"For x: {hint}")


@checker
def strided_row(answer):
    """5.2: the gradient of the input of a row of eight pixels, stride 2.
    Pixel 7 is in no window, so nothing that it could do would change the loss.
    """
    slips = [
        ([2, 3, -1, 7, -3], "That is the gradient for stride 1: put the zeros between the gradients first."),
        ([2, 4, -3, -2, 4, 6, -3], "A pixel is missing: which one does no window reach?"),
        ([0, 2, 4, -3, -2, 4, 6, -3], "The windows start at pixel 0: the pixel that none reaches is at the other end."),
        ([-2, 4, 3, -2, -4, 6, 3, 0], "The kernel was laid on backwards: stamp it as it is."),
    ]
    return array_hint(answer, [2, 4, -3, -2, 4, 6, -3, 0], slips)


@checker
def decoder(answer):
    """5.3: the sides after four transposed convolutions.
    With S = 1 a transposed convolution with P = D(F - 1)/2 keeps the size, as the layer does.
    """
    slips = [
        ([14, 27, 27, 79], "The second layer has output_padding 1: it makes the result larger by 1."),
        ([14, 28, 26, 76], "The third layer's dilation counts: its reach is 2(3 - 1) + 1 = 5."),
        ([14, 28, 28, 84], "A transposed convolution multiplies the side by S only for the right F and P."),
        ([14, 28, 28, 86], "In the last layer, P = 2 is cut off at both ends."),
        ([18, 40, 48, 150], "The padding P makes the result of a transposed convolution smaller."),
    ]
    return array_hint(answer, [14, 28, 28, 82], slips)


@checker
def suspects(answer):
    """5.4: which gradient of each suspect is wrong.
    Each mistake shows only where it matters: with several pictures, several filters, a kernel without symmetry.
    """
    if isinstance(answer, dict):
        answer = [answer[name] for name in SUSPECTS]
    short = {"w": "weight", "weights": "weight", "input": "x", "b": "bias", "nothing": "none"}
    words = [short.get(str(word).strip().lower(), str(word).strip().lower()) for word in answer]
    if len(words) != 4 or not set(words) <= {"x", "weight", "bias", "none"}:
        return 'Give four words for A, B, C and D, each of them "x", "weight", "bias" or "none".'
    hints = {
        "A": "A is not yet caught: try a batch of several pictures.",
        "B": "B is innocent of that: are your numbers 64-bit, is the step about 1e-5?",
        "C": "C is not yet caught: try a kernel that changes when it is turned by half a turn.",
        "D": "D is not yet caught: try more than one filter.",
    }
    for name, word, right in zip(SUSPECTS, words, ("weight", "none", "x", "bias")):
        if word != right:
            return hints[name]
    return None


@checker
def unpad_circular(answer):
    """5.5: the gradient through circular padding.
    Every pixel collects from all its copies, and nothing is lost: the sum of the gradient stays the same.
    """
    if not callable(answer):
        return "Give the function itself, not an array that it returns."
    rng = np.random.default_rng(0)
    for shape, P in (((4, 6), 1), ((5, 3), 2), ((3, 3), 3), ((4, 4), 0)):
        grad = rng.normal(size=(shape[0] + 2 * P, shape[1] + 2 * P))
        x = torch.zeros(1, 1, *shape, dtype=torch.double, requires_grad=True)
        padded = functional.pad(x, (P,) * 4, mode="circular")
        (expected,) = torch.autograd.grad(padded, x, torch.tensor(grad)[None, None])
        cropped = grad[P : P + shape[0], P : P + shape[1]]
        sides = cropped.copy()
        if P:
            sides[:P] += grad[-P:, P:-P]
            sides[-P:] += grad[:P, P:-P]
            sides[:, :P] += grad[P:-P, -P:]
            sides[:, -P:] += grad[P:-P, :P]
        slips = [
            (cropped, "You cut the border off, which is right for zeros; here the border consists of pixels."),
            (sides, "The corners of the padding are missing: they are copies of pixels, too."),
        ]
        given = answer(grad.copy(), P)
        if given is None:
            return "The function returns nothing: is the return missing?"
        hint = array_hint(given, expected[0, 0], slips if P else ())
        if hint:
            return f"For {shape[0]}x{shape[1]} pixels and P = {P}: {hint}"
    return None


@checker
def depthwise(answer):
    """5.6: the gradients of a depthwise convolution.
    Nothing is summed over channels or filters any more, since each filter reads one channel.
    """
    if not callable(answer):
        return "Give the function itself, not arrays that it returns."
    rng = np.random.default_rng(0)
    for n, c, (h, w), (kh, kw) in ((1, 1, (4, 5), (2, 3)), (3, 2, (6, 5), (3, 2)), (2, 4, (5, 7), (1, 3))):
        x, weight = rng.normal(size=(n, c, h, w)), rng.normal(size=(c, kh, kw))
        grad = rng.normal(size=(n, c, h - kh + 1, w - kw + 1))
        tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight)]
        output = functional.conv2d(tensors[0], tensors[1][:, None], groups=c)
        by_x, by_weight = torch.autograd.grad(output, tensors, torch.tensor(grad))
        flipped = torch.autograd.grad(
            functional.conv2d(tensors[0], tensors[1][:, None].flip(2, 3), groups=c), tensors[0], torch.tensor(grad)
        )[0]
        given = answer(grad.copy(), x.copy(), weight.copy())
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            return "Return a pair: the gradients of x and of the weights."
        setting = f"For {n} pictures, {c} channels and a {kh}x{kw} kernel"
        hint = array_hint(given[0], by_x, [(flipped, "the kernel was laid on backwards.")])
        if hint:
            return f"{setting}, gradient of x: {hint}"
        slips = [(by_weight / n, "sum over the pictures, don't average.")]
        hint = array_hint(given[1], by_weight, slips if n > 1 else ())
        if hint:
            return f"{setting}, gradient of the weights: {hint}"
    return None
