"""Checkers of Chapter 3, Receptive fields and pyramids."""

import copy

import numpy as np
import torch
from torch import nn

from helpers.check import array_hint, checker, number_hint
from helpers.receptive import receptive_fields

HOLES = {
    (1, 2, 3): "(1, 2, 3) has none: write down the sums of 0 or ±1, 0 or ±2, 0 or ±3.",
    (1, 2, 8): "In (1, 2, 8), rates 1 and 2 reach the places up to 3, and 8 begins at 8 - 3 = 5.",
    (1, 3, 9): "(1, 3, 9) has none: 1 and 3 reach all places up to 4, and 9 begins at 9 - 4.",
    (2, 3, 4): "(2, 3, 4) has no common factor, but look near the ends of the field: 9 = 2 + 3 + 4, and 8?",
    (3, 3, 3): "With (3, 3, 3) all taps lie at multiples of 3.",
}
WEIGHTS, KERNEL, WIDEST = 20_000, 7, 1_000


@checker
def stem(answer):
    """Exercise 3.1: [(size, jump, start)] of the four layers.
    After four layers, neighbouring units look 16 pixels apart, at windows of 67.
    """
    right = {"size": [11, 19, 51, 67], "jump": [4, 8, 8, 16], "start": [-2, -2, -18, -18]}
    wrong = {
        "jump": [
            ([4, 2, 1, 2], "Those are the strides; a jump is the product of all strides up to the layer."),
            ([1, 4, 8, 8], "The jump after a layer includes its own stride."),
            ([4, 4, 4, 4], "A pooling has a stride too: the jump after the first one is 8."),
        ],
        "size": [
            ([11, 13, 17, 19], "A layer adds F - 1 times the jump below it, not F - 1."),
            ([41, 57, 89, 121], "Use the jump of the layer below, not the new one."),
            ([11, 23, 63, 87], "A layer adds F - 1 times the jump below it, not F times."),
            ([11, 11, 43, 43], "A pooling has a window as well: it adds (3 - 1) times the jump below."),
        ],
        "start": [
            ([2, 2, 18, 18], "Padding moves the start to the left: a minus sign."),
            ([0, 0, 0, 0], "The sizes and jumps are right; the padding moves the start."),
            ([-2, -2, -4, -4], "The second padding counts in units of the layer below: multiply it by the jump there."),
            ([-2, 0, -16, 0], "The start goes on from that of the layer below."),
            ([-8, -8, -24, -24], "Multiply the padding by the jump of the layer below, not by the new one."),
        ],
    }
    return _columns(answer, right, wrong)


@checker
def lenet(answer):
    """Exercise 3.2: [(size, jump)] of conv1, pool1, conv2, pool2.
    A unit after the second pooling sees a quarter of a 32x32 picture: 16x16 pixels, and its neighbour 4 pixels on.
    """
    right = {"size": [5, 6, 14, 16], "jump": [1, 2, 2, 4]}
    wrong = {
        "jump": [
            ([5, 6, 14, 16], "Size first, then jump."),
            ([1, 2, 1, 2], "A layer of stride 1 keeps the jump below it: the strides multiply."),
            ([1, 1, 2, 2], "The jump after a pooling includes its own stride."),
            ([1, 1, 1, 1], "The poolings have stride 2."),
        ],
        "size": [
            ([5, 7, 15, 19], "A pooling of 2 adds (2 - 1) times the jump below it, not its own."),
            ([5, 6, 10, 11], "After the first pooling, each tap is 2 pixels from the next."),
            ([5, 5, 13, 13], "Pooling has a window as well: it adds (2 - 1) times the jump below."),
            ([5, 6, 14, 18], "The last pooling's taps are one jump below apart: 2 pixels, not 4."),
            ([5, 6, 14, 15], "The last pooling's taps are one jump below apart: 2 pixels, not 1."),
            ([5, 7, 17, 21], "A layer adds F - 1 times the jump below it, not F times."),
        ],
    }
    return _columns(answer, right, wrong)


def _columns(answer, right, wrong):
    """The first column that differs; the jumps before the sizes, which follow from them."""
    answer = np.asarray(answer, float)
    shape = (4, len(right))
    if answer.shape != shape:
        kind = {2: "pairs", 3: "triples"}[len(right)]
        return f"Four {kind}, one a layer, the poolings included: {', '.join(right)}. Yours has shape {answer.shape}."
    columns = dict(zip(right, answer.T))
    for name in sorted(right, key=["jump", "size", "start"].index):
        slips = {tuple(slip): hint for slip, hint in wrong[name]}
        if hint := slips.get(tuple(columns[name])):
            return hint
        differs = np.flatnonzero(columns[name] != right[name])
        if len(differs):
            return f"The {name} after layer {differs[0] + 1} of 4 is not {columns[name][differs[0]]:g}."
    return None


@checker
def corner(answer):
    """Exercise 3.3: (first, last) pixel of the picture that unit 5 sees.
    The other 58 positions of its field, 224 to 281, are padding.
    """
    wrong = [
        ((70, 281), "That is the whole field; the picture ends at pixel 223."),
        ((70, 282), "The last pixel is start + size - 1, and the picture ends at 223."),
        ((70, 224), "Pixels are counted from 0: the last one is 223."),
        ((71, 224), "Pixels are counted from 0."),
        ((70, 154), "154 is how many pixels it sees; the pair is (first, last)."),
        ((160, 223), "Padding shifts the start: unit 0 begins at pixel -90, not at 0."),
        ((160, 371), "Padding shifts the start: unit 0 begins at -90. And the picture ends at pixel 223."),
        ((38, 223), "That is unit 4: units are counted from 0."),
        ((38, 249), "That is unit 4: units are counted from 0. And the picture ends at pixel 223."),
        ((102, 223), "That is unit 6: units are counted from 0, so unit 0 starts at -90."),
    ]
    if np.ndim(answer) == 1 and len(answer) > 2:  # all the pixels, as a range or a list
        answer = (answer[0], answer[-1])
    return array_hint(answer, (70, 223), wrong)


@checker
def dilated(doubling, plain):
    """Exercise 3.4: how many layers reach 1,000 pixels, with doubling dilation and without.
    Nine layers in place of 500: exponential against linear growth.
    """
    if (doubling, plain) == (500, 9):
        return "The other way round: first with dilation, then without."
    slips = {
        8: "Eight layers have rates up to 128; what is 1 + 2 (1 + 2 + 4 + ... + 128)?",
        10: "Ten do, but are they needed? Do not forget the factor F - 1 = 2 of each layer.",
        512: "How many layers are that? The rates are 1, 2, 4, 8, ...",
        256: "That is the last rate; how many layers are there?",
        1023: "That is the field; how many layers make it?",
    }
    hint = number_hint(doubling, 9, slips)
    if hint:
        return f"With dilation: {hint}"
    slips = {
        499: "499 layers see 999 pixels.",
        499.5: "Half a layer there is not: round up.",
        501: "One pixel is there before the first layer: 1 + 2 L.",
        511: "At least 1,000 pixels are asked for; these see 1,023.",
        1000: "Each plain 3x3 layer adds 2 pixels, not 1.",
        999: "Each plain 3x3 layer adds 2 pixels, not 1.",
        333: "Each plain 3x3 layer adds 2 pixels, not 3.",
        334: "Each plain 3x3 layer adds 2 pixels, not 3.",
    }
    hint = number_hint(plain, 500, slips)
    return hint and f"Without dilation: {hint}"


@checker
def holes(answer):
    """Exercise 3.5: the triples of rates without holes.
    With (1, 3, 9) each of the 27 places is reached by exactly one path: three layers of 3 taps can do no more.
    """
    if np.ndim(list(answer)) == 1 and len(answer) == 3:
        answer = [tuple(answer)]
    answer = {tuple(sorted(int(rate) for rate in rates)) for rates in answer}
    unknown = answer - set(HOLES)
    if unknown:
        return f"{min(unknown)} is not among the candidates."
    differs = answer ^ {(1, 2, 3), (1, 3, 9)}
    if differs:
        return HOLES[min(differs)]


@checker
def non_square(answer):
    """Exercise 3.6: (height, width) of the field.
    The two axes never meet in the recurrence: work one out, then the other.
    """
    wrong = [
        ((15, 11), "Height first, then width."),
        ((9, 11), "You left the strides out: (1, 2) doubles what follows in width, (2, 1) the last layer in height."),
        ((9, 15), "The stride (2, 1) of the second layer doubles the third's reach in height."),
        ((11, 11), "In width the jump is 2 after the first layer, for both layers that follow."),
        ((15, 13), "A pair is (height, width): the first layer's stride of 2 is in width."),
        ((11, 13), "In width the jump is 2 after the first layer, for both layers that follow."),
        ((15, 21), "The layer's own stride counts for the layers above it, not for itself."),
    ]
    return array_hint(answer, (11, 15), wrong)


@checker
def design(network):
    """Exercise 3.7: a network for 3x64x64 within the budget.
    It keeps to the budget, and each unit of its map may use every pixel of a field as wide as the picture.
    """
    if not isinstance(network, nn.Module):
        return "The answer is a network, for instance an nn.Sequential of convolutions."
    if any(isinstance(m, nn.Linear | nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d) for m in network.modules()):
        return "Convolutions and plain pooling only: a dense layer or a global pooling sees everything at once."
    kernels = [np.max(m.kernel_size) for m in network.modules() if hasattr(m, "kernel_size")]
    if max(kernels, default=0) > KERNEL:
        return f"A kernel or window has side {max(kernels)}; at most {KERNEL} is asked for."
    weights = sum(p.numel() for p in network.parameters())
    if weights > WEIGHTS:
        return f"It has {weights:,} parameters; the budget is {WEIGHTS:,}. Fewer channels, or fewer and dilated layers?"
    network = nn.Sequential(network).eval()  # a single layer may be the answer
    try:
        fields = list(receptive_fields(network, (3, 64, 64)).values())
    except NotImplementedError:
        return "The field of one of its layers is not known: use convolutions, pooling and ReLU (no upsampling)."
    field, jump = fields[-1].size, fields[-1].stride
    size = _map_size(network)
    if min(size) < 16:
        return f"The map is {size[0]}x{size[1]}, smaller than 16x16: use dilation where you used a stride, or pad more."
    if min(jump) == 0:
        return "Convolutions and plain pooling only: one of its layers sees everything at once."
    if min(field) < 64:
        return f"The field is {field[0]}x{field[1]}: dilate a layer more, or add one after the strides."
    if max(field) > WIDEST:
        return f"A field of {field[0]}x{field[1]} is more than this check can look through: stay below {WIDEST:,}."
    seen, pixels = _seen(network, max(field) + 8 * max(jump)), field[0] * field[1]
    if seen < pixels:
        return f"The middle unit sees {seen:,} of the {pixels:,} pixels in its field; the others lie in holes."


def _map_size(network):
    with torch.no_grad():
        return tuple(network(torch.zeros(1, 3, 64, 64)).shape[-2:])


class _Mean(nn.Module):
    """The mean over the windows of a max pooling: it lets every pixel through."""

    def __init__(self, pooling):
        super().__init__()
        kernel = np.broadcast_to(pooling.kernel_size, 2)
        self.kernel = torch.full((1, 1, *kernel), 1 / kernel.prod(), dtype=torch.float64)
        self.geometry = pooling.stride, pooling.padding, pooling.dilation

    def forward(self, x):
        kernel = self.kernel.expand(x.shape[1], -1, -1, -1)
        return nn.functional.conv2d(x, kernel, None, *self.geometry, groups=x.shape[1])


def _seen(network, size):
    """How many pixels of a picture have a path to the middle unit; in the copy, paths can neither cancel nor close."""
    network = copy.deepcopy(network).double()
    for name, parameter in network.named_parameters():
        nn.init.constant_(parameter, 0 if name.endswith("bias") else 1 / parameter[0].numel())
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, _Mean(child))
    picture = torch.ones(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    units = network(picture).sum(1)
    middle = units[0, units.shape[1] // 2, units.shape[2] // 2]
    return int((torch.autograd.grad(middle, picture)[0].abs().sum((0, 1)) > 0).sum())
