"""Checkers of Chapter 10, "Architectures"."""

import copy

import torch
from torch import nn

from helpers.check import as_numbers, checker, numbers_hint
from helpers.costs import layer_costs
from helpers.receptive import receptive_fields

VGG16, KEPT = 138_357_544, 73_355_264


@checker
def smaller_alexnet(answer):
    """10.1: sides of the maps of AlexNet for pictures of 195x195, and the parameters of fc6.
    The convolutions do not care about the picture's size; the first dense layer does.
    """
    names = [f"side after {name}" for name in "conv1 pool1 conv2 pool2 conv3 conv4 conv5 pool5".split()]
    slips = [
        (0, 48, "The last window must fit: (195 - 11) / 4 is 46, and one more place."),
        (0, 46, "Count the first place, too: one more than the number of steps."),
        (1, 24, "Pooling takes windows of 3 with stride 2: (47 - 3) / 2 + 1."),
        (2, 19, "conv2 has a padding of 2, which keeps the side."),
        (4, 9, "conv3 has a padding of 1, which keeps the side."),
        (8, 25 * 256 * 4096, "The 4,096 biases are missing."),
        (8, 36 * 256 * 4096 + 4096, "That is for maps of 6x6: here they are smaller."),
        (
            8,
            25 * 256,
            "That is how many numbers fc6 reads; each of its 4,096 outputs has a weight for each, and a bias.",
        ),
        (8, 5 * 256 * 4096 + 4096, "Each map has 5x5 numbers, not 5."),
    ]
    expected = [47, 23, 23, 11, 11, 11, 11, 5, 25 * 256 * 4096 + 4096]
    return numbers_hint(answer, [*names, "number of parameters of fc6"], expected, slips, 0.5)


@checker
def bottleneck(answer):
    """10.2: trainable parameters of a bottleneck of ResNet-50, and of one that changes sides and maps.
    More than a third of the second block's parameters lie on its shortcut.
    """
    blocks = ((512, 128, 512, 0), (512, 256, 1024, 512 * 1024))
    slips, expected = [], []
    for i, (C, M, K, shortcut) in enumerate(blocks):
        weights = C * M + 9 * M * M + M * K + shortcut
        norms = 2 * (2 * M + K + (K if shortcut else 0))
        expected.append(weights + norms)
        slips += [
            (i, weights, "The batch normalisations have two trained numbers for each map."),
            (i, weights + norms // 2, "Two numbers a map: a factor and a number that is added."),
            (i, weights + 2 * norms, "Running means and variances are not trained."),
            (i, weights + norms - 9 * M * M + M * M, "The middle convolution is 3x3: nine weights for a pair of maps."),
            (i, C * M + 9 * M * M + M * K + 2 * (2 * M + K), "The convolution on the shortcut is missing."),
            (i, weights + 2 * (2 * M + K), "The shortcut's convolution has a normalisation, too."),
        ]
    slips.append((1, expected[1] - expected[0], "Give the second block's own number, not the difference."))
    slips.append((0, expected[1], "The two are exchanged: the block with the identity comes first."))
    return numbers_hint(answer, ("first block's number", "second block's number"), expected, slips, 0.5)


@checker
def eleven(answer):
    """10.3: how many 3x3 layers see 11x11 pixels, and their share of its weights.
    Fewer than two fifths of the weights, and five non-linearities.
    """
    slips = [
        (0, 4, "Four layers see 9x9: each adds 2 to a field that begins with 1."),
        (0, 3, "Three layers see 7x7."),
        (0, 11 / 3, "Fields do not multiply: each layer with stride 1 adds F - 1 = 2 pixels."),
        (1, 9 / 121, "That is one layer's share: there are five."),
        (1, 121 / 45, "That is 11x11 over the stack: give the stack over 11x11."),
        (1, 15 / 11, "Weights go with the area of a filter: 3x3 = 9 against 121."),
    ]
    return numbers_hint(answer, ("number of layers", "share"), (5, 45 / 121), slips, 2e-3)


@checker
def batch_that_fits(answer):
    """10.4: how many pictures of VGG16's training fit into 8e9 bytes.
    The weights, three times over, take a fifth of the card, the pictures the rest.
    """
    given = as_numbers([answer], 1)
    if isinstance(given, str):
        return given
    count = {k: (8e9 - 4 * k * VGG16) / KEPT for k in (0, 1, 2, 3, 4)}
    slips = [
        (0, int(count[0]), "Weights, gradients and momentum need their place, too."),
        (0, int(count[1]), "Weights are not alone: gradients and momentum are as large."),
        (0, int(count[2]), "Two of the three: weights, gradients and momentum."),
        (0, int(count[4]), "SGD with momentum keeps one number a weight, not two (Adam would)."),
        (0, int(count[3]) + 1, "One picture too many: round down."),
        # 61 MB a picture and 1 byte a number both come to 103
        (
            0,
            int((8e9 - 3 * VGG16) / KEPT),
            "Training keeps 73.4 MB a picture, not 61; and float32 takes 4 bytes a number.",
        ),
        (0, int((8e9 - 12 * VGG16) / 60.95e6), "That is with the values of a forward pass; training keeps 73.4 MB."),
        (0, int((8e9 - 12 * VGG16) / 115.2e6), "Training keeps no copies by ReLU: 73.4 MB a picture."),
        (0, int((8 * 2**30 - 12 * VGG16) / KEPT), "The card has 8e9 bytes, not 8 times 2^30."),
    ]
    if abs(given[0] - count[3]) < 0.5 and given[0] != int(count[3]) and given[0] % 1:
        return "Half a picture does not help: round down."
    return numbers_hint(given, ["number of pictures"], [int(count[3])], slips, 0.4)


@checker
def two_fields(answer):
    """10.5: the receptive field after two residual blocks, and that of the shortest way.
    The field is that of the longest way; but information may take the short one.
    """
    slips = [
        (0, 27, "There are four layers, and behind two strides of 2 units are 4 pixels apart: each layer adds 8."),
        (0, 19, "There are four layers, and behind two strides of 2 units are 4 pixels apart: each layer adds 8."),
        (0, 7 + 4 * 8, "The pooling widens the field, too."),
        (0, 9 + 4 * 8, "The pooling's 3 units are 2 pixels apart: it adds 4."),
        (0, 11, "That is the shortest way: give the field first."),
        (1, 7, "The shortest way goes through the pooling as well."),
        (1, 9, "The pooling's 3 units are 2 pixels apart: it adds 4."),
        (1, 27, "Both blocks can be passed."),
    ]
    return numbers_hint(answer, ("field", "shortest way's window"), (43, 11), slips, 0.5)


@checker
def separable(answer):
    """10.6: a function (C, K, F, n) -> (parameters, multiply-adds) of a depthwise and a 1x1 convolution.
    The depthwise part is the cheap one: F*F against K for each map and place.
    """
    if not callable(answer):
        return "Give the function itself, not what it returns."
    for C, K, F, n in ((7, 11, 3, 5), (32, 64, 5, 14), (16, 8, 7, 9)):
        given = answer(C, K, F, n)
        if given is ... or given is None:
            return "The function returns nothing yet: replace the ... in it."
        weights, work = F * F * C + C * K, (F * F * C + C * K) * n * n
        slips = [
            (0, weights, "Both convolutions have biases: C and K of them."),
            (0, weights + K, "The depthwise convolution has C biases."),
            (0, weights + C, "The 1x1 convolution has K biases."),
            (0, F * F * C * K + K, "That is a full convolution: depthwise, each filter reads one map."),
            (0, F * F * C * C + C + C * K + K, "Depthwise, each filter reads one map: C*F*F weights."),
            (0, work, "The two are exchanged: the parameters come first."),
            (0, F * F * K + K + C * K + C, "Depthwise, there is a filter for each of the C maps that come in, not K."),
            (0, F * F + C + C * K + K, "There is a filter of its own for each of the C maps."),
            (1, weights, "Each product is made at each of the n*n places."),
            (1, weights * n, "Each product is made at each of the n*n places."),
            (1, work + (C + K) * n * n, "Biases are not counted among the multiply-adds."),
            (1, 2 * work, "A product and its addition count once here."),
            (1, (F * F * C + C * K) * (n - F + 1) ** 2, 'With "same" padding the map keeps its side n.'),
        ]
        names = (f"number of parameters for C={C}, K={K}, F={F}, n={n}",)
        names += (f"number of multiply-adds for C={C}, K={K}, F={F}, n={n}",)
        if hint := numbers_hint(given, names, (weights + C + K, work), slips, 0.5):
            return hint
    return None


@checker
def budget(model, layer):
    """10.7: a network for 3x32x32 within 100,000 parameters and 10 million multiply-adds, and its last maps' name.
    Within the budget. What it learns, only training will tell.
    """
    if not isinstance(model, nn.Module):
        return "Give the model itself, a torch.nn.Module with its layers made."
    layer, model = _name(model, layer), copy.deepcopy(model).eval().float()
    with torch.no_grad():
        out = model(torch.zeros(2, 3, 32, 32))
    if tuple(out.shape) != (2, 10):
        return f"For two pictures the answer should have the shape (2, 10), not {tuple(out.shape)}."
    rows = layer_costs(model, (3, 32, 32))
    for column, most in (("parameters", 100_000), ("multiply_adds", 10_000_000)):
        spent = sum(getattr(row, column) for row in rows)
        if spent > most:
            return f"It has {spent:,} {column.replace('_', '-')}; the budget is {most:,}."
    fields, shapes = receptive_fields(_without_norms(model), (3, 32, 32)), _output_shapes(model)
    if layer not in fields or layer not in shapes:
        known = ", ".join(repr(name) for name in fields if name)
        return f"There is no layer {layer!r} that the picture passes; their names are {known}."
    if len(shapes[layer]) != 4 or min(shapes[layer][2:]) < 4:
        return f"The maps of {layer!r} should have at least 4x4 places; its output has the shape {shapes[layer][1:]}."
    if not any(row.parameters and row.kind in ("Conv2d", "Conv1d") for row in rows):
        return "A convolutional network has convolutions."
    if min(fields[layer].size) < 32:
        return f"A unit of {layer!r} sees {fields[layer].size[0]}x{fields[layer].size[1]} pixels, fewer than 32x32."
    names, side = list(shapes), min(shapes[layer][2:])
    for name in names[names.index(layer) + 1 :]:
        if len(shapes[name]) == 4 and 1 < min(shapes[name][2:]) < side:
            return f"The maps of {layer!r} are not the last: those of {name!r} come later and are smaller."
    if not _matters(model):
        return "The answer does not depend on the picture."
    return None


def _name(model, layer):
    """The name of a layer that is given as its name, as its number in a Sequential, or as the module itself."""
    if isinstance(layer, nn.Module):
        return next((name for name, module in model.named_modules() if module is layer), type(layer).__name__)
    return str(layer) if isinstance(layer, int) else layer


def _without_norms(model):
    """A copy without normalisation over places, which lets a unit see all: its field is to come from the filters."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, (nn.GroupNorm, nn.LayerNorm, nn.modules.instancenorm._InstanceNorm)):
                setattr(parent, name, nn.Identity())
    return model


def _output_shapes(model):
    """Name to shape, in the order in which the outputs come."""
    shapes, handles = {}, []
    for name, module in model.named_modules():
        keep = lambda m, inputs, output, name=name: shapes.update({name: tuple(getattr(output, "shape", ()))})  # noqa: E731
        handles.append(module.register_forward_hook(keep))
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    for handle in handles:
        handle.remove()
    return shapes


def _matters(model):
    with torch.no_grad():
        first, second = model(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    return not torch.equal(first, second)
