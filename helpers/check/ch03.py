"""Checkers of Chapter 3, Receptive fields and pyramids."""

import copy

import torch
from torch import nn

from helpers.check import array_hint, checker
from helpers.receptive import receptive_fields

STEM = [(7, 2, 0), (11, 4, 0), (19, 4, 0), (27, 4, 0)]
LENET = [(5, 1), (6, 2), (14, 2), (16, 4)]
WEIGHTS = 20_000


@checker
def stem(answer):
    """Exercise 3.1: [(size, jump, start)] of the four layers.
    The first unit of the last layer sees pixels -13 to 13: with this padding its field is centred on pixel 0.
    """
    starts = [(7, 2, -3), (11, 4, -5), (19, 4, -9), (27, 4, -13)]
    wrong = [
        ([(7, 2, -3), (9, 4, -4), (11, 4, -5), (13, 4, -6)], "You added F - 1: multiply it, and P, by the jump below."),
        ([(13, 2, -6), (21, 4, -10), (29, 4, -14), (37, 4, -18)], "Use the jump of the layer below, not the new one."),
        ([(size, jump, -start) for size, jump, start in starts], "Padding moves the start to the left: a minus sign."),
        (STEM, "The sizes and jumps are right; the padding moves the start."),
        ([(7, 2, -3), (9, 4, -5), (13, 4, -9), (17, 4, -13)], "The size grows by F - 1 times the jump below."),
        ([(7, 2, -3), (11, 2, -5), (15, 2, -7), (19, 2, -9)], "The pooling has a stride too: the jump after it is 4."),
    ]
    return array_hint(answer, starts, wrong)


@checker
def lenet(answer):
    """Exercise 3.2: [(size, jump)] of conv1, pool1, conv2, pool2.
    A unit after the second pooling sees a quarter of a 32x32 picture: 16x16 pixels, and its neighbour 4 pixels on.
    """
    wrong = [
        ([(5, 1), (7, 2), (15, 2), (19, 4)], "A pooling of 2 adds (2 - 1) times the jump below it, not its own."),
        ([(5, 1), (6, 2), (10, 2), (11, 4)], "After the first pooling, each tap is 2 pixels from the next."),
        ([(5, 1), (5, 2), (13, 2), (13, 4)], "Pooling has a window as well: it adds (2 - 1) times the jump below."),
        ([(5, 1), (6, 2), (14, 2), (18, 4)], "The last pooling's taps are one jump below apart: 2 pixels, not 4."),
        ([(5, 1), (6, 1), (14, 2), (16, 2)], "The sizes are right; the jump after a pooling includes its own stride."),
    ]
    return array_hint(answer, LENET, wrong)


@checker
def corner(answer):
    """Exercise 3.3: (first, last) pixel of the picture that unit 5 sees.
    The other 58 positions of its field, 224 to 281, are padding.
    """
    wrong = [
        ((70, 281), "That is the whole field; the picture ends at pixel 223."),
        ((70, 282), "The last pixel is start + size - 1, and the picture ends at 223."),
        ((70, 224), "Pixels are counted from 0: the last one is 223."),
        ((160, 223), "Padding shifts the start: 5 * 32 - 90."),
        ((160, 371), "Padding shifts the start: 5 * 32 - 90. And the picture ends at pixel 223."),
        ((38, 223), "That is unit 4: units are counted from 0."),
    ]
    return array_hint(answer, (70, 223), wrong)


@checker
def dilated(field, layers):
    """Exercise 3.4: the field of rates 1, 2, 4, 8, 16, and how many plain layers reach it.
    Five layers in place of 31: exponential against linear growth.
    """
    wrong = [
        ((32, 31), "Start from one pixel: 1 + 2 (1 + 2 + 4 + 8 + 16)."),
        ((62, 31), "Start from one pixel: 1 + 2 (1 + 2 + 4 + 8 + 16)."),
        ((63, 21), "Each plain 3x3 layer adds 2 pixels, not 3."),
        ((63, 32), "One pixel is there before the first layer: 1 + 2 L = 63."),
        ((31, 15), "That is 1, 2, 4, 8; there is a fifth layer, of rate 16."),
        ((63, 62), "Each plain 3x3 layer adds 2 pixels, not 1."),
    ]
    return array_hint((field, layers), (63, 31), wrong)


@checker
def holes(answer):
    """Exercise 3.5: how many pixels of its 13x13 field a unit after rates 2, 2, 2 sees.
    7 of 13 along each axis: less than a third of the pixels in the field.
    """
    wrong = [
        (169, "That is the whole field; the taps skip every second pixel."),
        (27, "Three layers of 9 taps, but paths multiply: use the gradient's pattern."),
        (7, "That is along one axis; the picture has two."),
        (120, "Those are the pixels that it does not see."),
    ]
    return array_hint(answer, 49, wrong)


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
    Strides first, where they are cheapest, then dilation, which keeps the 16x16 map.
    """
    if not isinstance(network, nn.Module):
        return "The answer is a network, for instance an nn.Sequential of convolutions."
    if any(isinstance(m, nn.Linear | nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d) for m in network.modules()):
        return "Convolutions and plain pooling only: a dense layer or a global pooling sees everything at once."
    weights = sum(p.numel() for p in network.parameters())
    size = _map_size(network)
    table = receptive_fields(network, (3, 64, 64))
    field = min(list(table.values())[-1].size)
    if weights > WEIGHTS:
        return f"It has {weights:,} parameters; the budget is {WEIGHTS:,}. Fewer channels, or fewer and dilated layers?"
    if min(size) < 16:
        return f"The map is {size[0]}x{size[1]}, smaller than 16x16: use dilation where you used a stride, or pad more."
    if field < 64:
        return f"The field is {field}x{field}: dilate a layer more, or add one after the strides."
    seen, pixels = _seen(network)
    if seen < pixels:
        return f"The middle unit sees {seen:,} of the {pixels:,} pixels in its field: the dilation jumps over the rest."


def _map_size(network):
    with torch.no_grad():
        return tuple(network(torch.zeros(1, 3, 64, 64)).shape[-2:])


def _seen(network, size=400):
    """How many pixels have a path to the middle unit, and how many its field has; paths cannot cancel in the copy."""
    network = copy.deepcopy(network).double().eval()
    for name, parameter in network.named_parameters():
        nn.init.constant_(parameter, 0 if name.endswith("bias") else 1 / parameter[0].numel())
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    picture = torch.ones(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    units = network(picture).sum(1)
    middle = units[0, units.shape[1] // 2, units.shape[2] // 2]
    rows, columns = torch.autograd.grad(middle, picture)[0].abs().sum((0, 1)).nonzero().T
    return len(rows), int((rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1))
