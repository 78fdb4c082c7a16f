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


class _Suspect:
    """Called as (g, x, weight), returns the gradients of x, of the weights and of the bias. One may be wrong."""

    def __init__(self, function):
        self.__function = function

    def __call__(self, g, x, weight):
        try:
            return self.__function(g, x, weight)
        except ValueError as error:
            raise ValueError(str(error)) from None  # the way here would name the fault

    def __repr__(self):
        return "a suspect"


# Exercise 5.4 asks which of their gradients are wrong; to look here would spoil it.
SUSPECTS = {
    name: _Suspect(function)
    for name, function in zip("ABCD", (_mean_weight, conv2d_backward, _unflipped, _one_filter_bias))
}


@checker
def row(answer):
    """5.1: the gradients of the weights and of the input of a row of five pixels.
    The first slides g over x; the second stamps w, and the stamps overlap.
    """
    by_w, by_x = ([1, -1, 6], [1, 1, -1, 5, -2])
    if isinstance(answer, dict) and set(answer) == {"w", "x"}:
        answer = answer["w"], answer["x"]
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
    overlap = "Pixels 2 and 4 lie in two windows each: where stamps overlap, they add up."
    slips = [
        ([2, 3, -1, 7, -3], "That is the gradient for stride 1: put the zeros between the gradients first."),
        ([2, 4, -3, -2, 4, 6, -3], "A pixel is missing: which one does no window reach?"),
        ([0, 2, 4, -3, -2, 4, 6, -3], "The windows start at pixel 0: the pixel that none reaches is at the other end."),
        ([-2, 4, 3, -2, -4, 6, 3, 0], "The kernel was laid on backwards: stamp it as it is."),
        *(([2, 4, a, -2, c, 6, -3, 0], overlap) for a in (-2, -1) for c in (1, 3)),
    ]
    return array_hint(answer, [2, 4, -3, -2, 4, 6, -3, 0], slips)


@checker
def decoder(answer):
    """5.3: the sides after four transposed convolutions.
    The side is multiplied by S exactly where R - 2P + r = S: in the first three layers, but not in the last.
    """
    slips = [
        ([14, 27, 27, 79], "The second layer has output_padding 1: it makes the result larger by 1."),
        ([14, 28, 26, 76], "The third layer's dilation counts: its reach is 2(3 - 1) + 1 = 5."),
        ([14, 28, 28, 84], "A transposed convolution multiplies the side by S only for the right F and P."),
        ([14, 28, 28, 86], "In the last layer, P = 2 is cut off at both ends."),
        ([18, 40, 48, 150], "2P is subtracted here: the padding makes the result of a transposed convolution smaller."),
        ([16, 34, 38, 116], "The padding is missing: it cuts P off both ends of the result."),
        ([14, 29, 29, 85], "output_padding makes the result larger by 1 once, at one end."),
        ([3, 2, 2, 1], "Those are the sizes that ordinary convolutions give; here the formula runs the other way."),
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
    missed = {
        "weight": "try a batch of several pictures",
        "x": "try a kernel that changes when it is turned by half a turn",
        "bias": "try more than one filter",
    }
    pairs = list(zip(words, ("weight", "none", "x", "bias")))
    start = f"{sum(word == right for word, right in pairs)} of 4 are right. "
    for word, right in pairs:
        if word == "none" != right:
            return start + f"One that you let go has a fault: {missed[right]}."
    for word, right in pairs:
        if word != "none" == right:
            return start + "An innocent one is accused: are your numbers 64-bit, is the step about 1e-5?"
    if words != [right for _, right in pairs]:
        return start + "One that you rightly accuse has its fault in another array."
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
        sides, same = cropped.copy(), grad[P : P + shape[0]].copy()
        origin = np.pad(np.arange(shape[0] * shape[1]).reshape(shape), P, mode="wrap")
        last = np.zeros(shape[0] * shape[1])
        last[origin] += grad
        if P:
            sides[:P] += grad[-P:, P:-P]
            sides[-P:] += grad[:P, P:-P]
            sides[:, :P] += grad[P:-P, -P:]
            sides[:, -P:] += grad[P:-P, :P]
            same[:P] += grad[:P]
            same[-P:] += grad[-P:]
            borders = same[:, :P].copy(), same[:, -P:].copy()
            same = same[:, P:-P].copy()
            same[:, :P] += borders[0]
            same[:, -P:] += borders[1]
        slips = [
            (cropped, "You cut the border off, which is right for zeros; here the border consists of pixels."),
            (sides, "The corners of the padding are missing: they are copies of pixels, too."),
            (same, "The border is added to the pixels beside it, but it is a copy of those on the opposite side."),
            (
                last.reshape(shape),
                "out[index] += grad keeps one of several copies of a pixel; np.add.at adds them all.",
            ),
        ]
        given = answer(grad.copy(), P)
        if given is None:
            return "The function returns nothing: is the return missing?"
        slips = [slip for slip in slips if not np.allclose(slip[0], expected[0, 0])]  # P = 0, or as wide as x
        hint = array_hint(given, expected[0, 0], slips)
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
        mixed = np.broadcast_to(by_x.sum(1, keepdim=True), x.shape)
        alone = torch.tensor(grad * (np.arange(n) == 0)[:, None, None, None])
        output = functional.conv2d(tensors[0], tensors[1][:, None], groups=c)
        (first,) = torch.autograd.grad(output, tensors[1], alone)
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            return "Return a pair: the gradients of x and of the weights."
        setting = f"For {n} picture{'s' * (n > 1)}, {c} channel{'s' * (c > 1)} and a {kh}x{kw} kernel"
        slips = [(flipped, "the kernel was laid on backwards.")]
        slips += [(mixed, "a channel gets its gradient from its own output only.")] if c > 1 else []
        hint = array_hint(given[0], by_x, slips)
        if hint:
            return f"{setting}, gradient of x: {hint}"
        slips = [(by_weight / n, "sum over the pictures, don't average."), (first, "only one picture is summed.")]
        squeezed = given[1][:, 0] if np.shape(given[1]) == (c, 1, kh, kw) else given[1]  # torch's shape
        hint = array_hint(squeezed, by_weight, slips if n > 1 else ())
        if hint:
            return f"{setting}, gradient of the weights: {hint}"
    return None


@checker
def strided_network(answer):
    """5.7: the way forward and the way back of the network with a stride in place of the pooling.
    Logits and all four gradients are PyTorch's.
    """
    if not isinstance(answer, (tuple, list)) or len(answer) != 2 or not all(map(callable, answer)):
        return "Give a pair of functions: the way forward (x, p) and the way back (g, kept, p)."
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(3, 1, 8, 8)), rng.normal(size=(3, 10))
    shapes = {"w1": (8, 1, 3, 3), "b1": (8,), "w2": (10, 8, 4, 4), "b2": (10,)}
    p = {name: rng.normal(size=shape) for name, shape in shapes.items()}

    def network(stride, pool=False, relu=True):
        w1, b1, w2, b2 = tensors = [torch.tensor(a, requires_grad=True) for a in p.values()]
        z = functional.conv2d(torch.tensor(x), w1, b1, stride=stride, padding=1)
        a = torch.relu(z) if relu else z + (torch.relu(z) - z).detach()  # forward the same, backward without ReLU
        logits = functional.conv2d(functional.max_pool2d(a, 2) if pool else a, w2, b2)[:, :, 0, 0]
        return logits.detach(), dict(zip(p, torch.autograd.grad(logits, tensors, torch.tensor(g))))

    logits, right = network(2)
    given = answer[0](x.copy(), {name: a.copy() for name, a in p.items()})
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        return "The way forward returns a pair: the logits, and what the way back needs."
    hint = array_hint(
        given[0],
        logits,
        [(network(1, pool=True)[0], "the pooling is still there."), (network(1)[0], "the stride is missing.")],
    )
    if hint:
        return f"Way forward, logits: {hint}"
    by = answer[1](g.copy(), given[1], p)
    if not isinstance(by, dict) or set(by) != set(p):
        return "The way back returns a dict with the gradients of w1, b1, w2 and b2."
    without = network(2, relu=False)[1]
    for name in p:
        slips = [(without[name], "the gradient has to pass ReLU, too.")] if name in ("w1", "b1") else ()
        hint = array_hint(by[name], right[name], slips)
        if hint:
            return f"Way back, {name}: {hint}"
    return None
