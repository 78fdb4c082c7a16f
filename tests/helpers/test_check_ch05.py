"""Chapter 5's checkers: right answers pass, and each known slip gets the hint for it."""

import numpy as np
import pytest
import torch
from checker_cases import checker_tests
from torch.nn import functional

from helpers.check import ch05 as check
from helpers.conv import conv2d, conv2d_backward, max_pool2d

BY_W, BY_X = [1, -1, 6], [1, 1, -1, 5, -2]
STRIDED = [2, 4, -3, -2, 4, 6, -3, 0]


def unpad(grad, P):
    rows, columns = (n - 2 * P for n in grad.shape)
    out = np.zeros((rows, columns))
    for i, j in np.ndindex(*grad.shape):
        out[(i - P) % rows, (j - P) % columns] += grad[i, j]
    return out


def crop(grad, P):
    return grad[P : grad.shape[0] - P, P : grad.shape[1] - P]


def without_corners(grad, P):
    bare = grad.copy()
    for rows in (slice(None, P), slice(grad.shape[0] - P, None)):
        for columns in (slice(None, P), slice(grad.shape[1] - P, None)):
            bare[rows, columns] = 0
    return unpad(bare, P)


def depthwise(g, x, weight, flip=False, mean=False):
    kernels = [w[None, None, ::-1, ::-1] if flip else w[None, None] for w in weight]
    parts = [conv2d_backward(g[:, [c]], x[:, [c]], kernel) for c, kernel in enumerate(kernels)]
    by_weight = np.concatenate([part[1][0] for part in parts])
    return np.concatenate([part[0] for part in parts], 1), by_weight / (len(x) if mean else 1)


def wrong_sides(grad, P):
    for _ in range(2):
        inner = grad[P : len(grad) - P].copy()
        if P:
            inner[:P] += grad[:P]
            inner[-P:] += grad[-P:]
        grad = inner.T
    return grad


def buffered(grad, P):
    rows, columns = (n - 2 * P for n in grad.shape)
    origin = np.pad(np.arange(rows * columns).reshape(rows, columns), P, mode="wrap")
    out = np.zeros(rows * columns)
    out[origin] += grad
    return out.reshape(rows, columns)


def first_picture(g, x, w):
    return depthwise(g, x, w)[0], depthwise(g[:1], x[:1], w)[1]


def mixed_channels(g, x, w):
    by_x, by_weight = depthwise(g, x, w)
    return np.broadcast_to(by_x.sum(1, keepdims=True), by_x.shape), by_weight


def forward(x, p, stride=2, pool=False):
    z = conv2d(x, p["w1"], p["b1"], stride=stride, padding=1)
    a = max_pool2d(np.maximum(z, 0), 2) if pool else np.maximum(z, 0)
    return conv2d(a, p["w2"], p["b2"])[:, :, 0, 0], (x, z, a)


def backward(g, kept, p, relu=True, mean=False):
    (x, z, a), by = kept, {}
    g, by["w2"], by["b2"] = conv2d_backward(g[:, :, None, None], a, p["w2"])
    _, by["w1"], by["b1"] = conv2d_backward(g * (z > 0) if relu else g, x, p["w1"], stride=2, padding=1)
    return {name: a / (len(x) if mean else 1) for name, a in by.items()}


def pooled(x, p):
    return forward(x, p, 1, True)


RIGHT = {
    "row": (BY_W, BY_X),
    "strided_row": STRIDED,
    "decoder": [14, 28, 28, 82],
    "suspects": ["weight", "none", "x", "bias"],
    "unpad_circular": unpad,
    "depthwise": depthwise,
    "strided_network": (forward, backward),
}

OTHER_FORMS = [
    ("row", [torch.tensor(BY_W), np.array(BY_X, float)]),
    ("row", {"x": BY_X, "w": BY_W}),
    ("strided_row", torch.tensor(STRIDED)),
    ("decoder", (14, 28, 28, 82)),
    ("suspects", ("Weights", "nothing", "input", "b")),
    ("suspects", {"D": "bias", "C": "x", "B": "none", "A": "w"}),
    ("unpad_circular", lambda grad, P: torch.from_numpy(unpad(grad, P))),
    ("depthwise", lambda *a: list(depthwise(*a))),
    ("depthwise", lambda *a: (depthwise(*a)[0], depthwise(*a)[1][:, None])),
    ("strided_network", [forward, lambda g, kept, p: dict(reversed(backward(g, kept, p).items()))]),
]

WRONG = [
    ("row", (BY_X, BY_W), "exchanged"),
    ("row", ([-1, 5, 6], BY_X), "flipped g"),
    ("row", (BY_W, [2, 3, -3, 3, -1]), "backwards"),
    ("row", (BY_W, BY_X[::-1]), "right to left"),
    ("row", ([1, -1, 5], BY_X), "For w"),
    ("row", (BY_W, [1, 1, -1, 5, 2]), "For x"),
    ("row", (BY_W, BY_X[:3]), "For x: The shape"),
    ("row", BY_W, "Give a pair"),
    ("strided_row", [2, 3, -1, 7, -3], "stride 1"),
    ("strided_row", STRIDED[:-1], "missing"),
    ("strided_row", [0, *STRIDED[:-1]], "other end"),
    ("strided_row", [-2, 4, 3, -2, -4, 6, 3, 0], "backwards"),
    ("strided_row", [2, 4, -3, -2, 4, 6, 3, 0], "1 of 8 numbers differ"),
    ("strided_row", [2, 4, -1, -2, 3, 6, -3, 0], "add up"),
    ("strided_row", [2, 4, -2, -2, 1, 6, -3, 0], "add up"),
    ("decoder", [14, 27, 27, 79], "output_padding"),
    ("decoder", [14, 28, 26, 76], "dilation"),
    ("decoder", [14, 28, 28, 84], "multiplies"),
    ("decoder", [14, 28, 28, 86], "both ends"),
    ("decoder", [18, 40, 48, 150], "smaller"),
    ("decoder", [14, 28], "shape"),
    ("decoder", [16, 34, 38, 116], "padding is missing"),
    ("decoder", [14, 29, 29, 85], "at one end"),
    ("decoder", [3, 2, 2, 1], "ordinary"),
    ("suspects", ["none", "none", "x", "bias"], "several pictures"),
    ("suspects", ["weight", "x", "x", "bias"], "innocent"),
    ("suspects", ["weight", "none", "none", "bias"], "half a turn"),
    ("suspects", ["weight", "none", "x", "none"], "more than one filter"),
    ("suspects", ["x", "none", "x", "bias"], "3 of 4 are right. One that you rightly accuse has its fault in another"),
    ("suspects", ["x", "bias", "none", "bias"], "1 of 4 are right. One that you let go has a fault: try a kernel"),
    ("suspects", ["weight", "none", "x"], "four words"),
    ("suspects", ["kernel", "none", "x", "bias"], "four words"),
    ("unpad_circular", crop, "cut the border off"),
    ("unpad_circular", without_corners, "corners"),
    ("unpad_circular", wrong_sides, "opposite side"),
    ("unpad_circular", buffered, "np.add.at"),
    ("unpad_circular", lambda grad, P: grad, "shape"),
    ("unpad_circular", lambda grad, P: None, "return missing"),
    ("unpad_circular", lambda grad, P: unpad(grad, P) * (P < 3), "P = 3"),
    ("unpad_circular", np.ones((4, 6)), "the function itself"),
    ("depthwise", lambda *a: depthwise(*a, flip=True), "backwards"),
    ("depthwise", lambda *a: depthwise(*a, mean=True), "don't average"),
    ("depthwise", lambda *a: depthwise(*a)[0], "pair"),
    ("depthwise", lambda g, x, w: (depthwise(g, x, w)[0], depthwise(g, x, w)[1][:, ::-1]), "gradient of the weights"),
    ("depthwise", lambda *a: None, "pair"),
    ("depthwise", (np.ones(3), np.ones(3)), "the function itself"),
    ("depthwise", first_picture, "only one picture"),
    ("depthwise", mixed_channels, "its own output only"),
    ("depthwise", lambda g, x, w: (g, w), "For 1 picture, 1 channel and"),
    ("strided_network", forward, "pair of functions"),
    ("strided_network", (pooled, backward), "pooling is still there"),
    ("strided_network", (lambda x, p: forward(x, p)[0], backward), "returns a pair"),
    ("strided_network", (forward, lambda g, kept, p: backward(g, kept, p, relu=False)), "pass ReLU"),
    ("strided_network", (forward, lambda g, kept, p: backward(g, kept, p, mean=True)), "Way back, w1"),
    ("strided_network", (forward, lambda g, kept, p: list(backward(g, kept, p).values())), "a dict"),
    ("strided_network", (lambda x, p: forward(x, p, 1), backward), "stride is missing"),
]


test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(
    check, [*RIGHT.items(), *OTHER_FORMS], WRONG
)


def test_the_row_is_what_torch_finds():
    x, w = (torch.tensor(a, dtype=torch.double, requires_grad=True) for a in ([2, 0, 1, 3, 1], [1, -1, 2]))
    y = functional.conv1d(x[None, None], w[None, None])[0, 0]
    by_x, by_w = torch.autograd.grad(y, (x, w), torch.tensor([1.0, 2, -1], dtype=torch.double))
    assert by_w.tolist() == BY_W and by_x.tolist() == BY_X


def test_the_strided_row_is_what_torch_finds():
    x = torch.zeros(8, requires_grad=True)
    y = functional.conv1d(x[None, None], torch.tensor([[[1.0, 2, -1]]]), stride=2)[0, 0]
    assert torch.autograd.grad(y, x, torch.tensor([2.0, -1, 3]))[0].tolist() == STRIDED


def test_the_decoder_is_what_torch_finds():
    x, sides = torch.zeros(1, 1, 7, 7), []
    for F, S, P, D, r in [(4, 2, 1, 1, 0), (3, 2, 1, 1, 1), (3, 1, 2, 2, 0), (5, 3, 2, 1, 0)]:
        x = functional.conv_transpose2d(x, torch.ones(1, 1, F, F), stride=S, padding=P, dilation=D, output_padding=r)
        sides.append(x.shape[-1])
    assert check.decoder(sides).right


def test_each_suspect_has_the_fault_that_the_answer_says():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(3, 2, 5, 6)), rng.normal(size=(4, 2, 3, 2))
    grad = rng.normal(size=conv2d(x, weight).shape)
    true = conv2d_backward(grad, x, weight)
    names = ("x", "weight", "bias")
    for suspect, fault in zip(check.SUSPECTS.values(), RIGHT["suspects"], strict=True):
        given = zip(names, suspect(grad, x, weight), true, strict=True)
        wrong = [name for name, a, b in given if a.shape != b.shape or not np.allclose(a, b)]
        assert wrong == ([] if fault == "none" else [fault])


def test_the_suspects_do_not_show_their_faults():
    assert len({repr(suspect) for suspect in check.SUSPECTS.values()}) == 1
    for suspect in check.SUSPECTS.values():
        with pytest.raises(ValueError, match="the output's shape") as caught:
            suspect(np.ones((1, 1, 9, 9)), np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)))
        assert caught.value.__suppress_context__
