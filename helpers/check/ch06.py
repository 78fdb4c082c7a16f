"""Checkers of Chapter 6, "A CNN on CIFAR-10"."""

import re

import torch
from torch import nn

from helpers.check import checker, number_hint
from helpers.metrics import confusion_matrix
from helpers.models import count_parameters

BUDGET = 62_006


@checker
def variant(answer):
    """6.1: the parameters of the sheet's network with 3x3 kernels.
    Smaller kernels have fewer weights, and leave a larger map for the dense layer, which costs more than they save.
    """
    slips = {
        62_006: "That is the network with 5x5 kernels.",
        60_182: "The dense layer no longer has 400 inputs: with 3x3 kernels the second pooling leaves 16x6x6.",
        81_066: "The biases are missing: one for each filter and each dense unit.",
        80_582: "Each filter of the second layer has a 3x3 kernel for every one of its 6 input channels.",
        106_262: "The pooling rounds down: 13 becomes 6, not 7.",
    }
    if isinstance(answer, str):
        answer = answer.replace(",", "")
    return number_hint(answer, 81_302, slips)


@checker
def accuracy(answer):
    """6.2: a function from batches of bools to the accuracy.
    Every picture counts once, whatever batch it came in.
    """
    if not callable(answer):
        return "Give the function itself, not a number that it returns."
    generator = torch.Generator().manual_seed(0)
    for sizes in ((4, 4, 2), (3,), (16, 16, 16, 1)):
        batches = [torch.rand(n, generator=generator) < 0.4 for n in sizes]
        expected = torch.cat(batches).double().mean().item()
        means = sum(b.double().mean().item() for b in batches) / len(batches)
        given = answer(batches)
        if given is None:
            return "The function returns nothing: is the return missing?"
        given = float(given)
        if abs(given - expected) > 1e-6:
            if abs(given - means) < 1e-6:
                return f"For batches of {sizes} you average the batches' accuracies: the last one counts too much."
            if abs(given - 100 * expected) < 1e-4:
                return "That is a percentage: give a share between 0 and 1."
            if given > 1:
                return "That is a number of pictures, not a share of them."
            return f"For batches of {sizes} it should be {expected:.4f}, not {given:.4f}."
    return None


@checker
def reading(answer):
    """6.3: accuracy, recall and precision of class B, and its commonest mistake, from a confusion matrix.
    Along a row the true class is fixed (recall), down a column the predicted one (precision).
    """
    *shares, mistake = answer
    if len(shares) != 3:
        return "Give four things: accuracy, recall of B, precision of B, and a pair of letters."
    if any(float(share) > 1 for share in shares):
        return "Give shares between 0 and 1, not percentages or counts."
    if abs(float(shares[0]) - 23 / 30) < 2e-3:
        return "That is the mean of the three recalls: accuracy counts every picture once, whatever its class."
    if abs(float(shares[1]) - 0.625) < 2e-3 and abs(float(shares[2]) - 0.6) < 2e-3:
        return "Recall and precision are exchanged: recall divides by the row's sum, precision by the column's."
    for name, given, expected in zip(("accuracy", "recall", "precision"), shares, (0.8, 0.6, 0.625)):
        if abs(float(given) - expected) > 2e-3:
            return f"The {name} is not {float(given):g}."
    if isinstance(mistake, (set, frozenset)):
        return "A set has no order: give the pair as a tuple or a string, true class first."
    words = re.findall(r"\b[A-C]+\b", "-".join(mistake).upper() if not isinstance(mistake, str) else mistake.upper())
    pair = "".join(words)
    if pair == "CB":
        return "C taken for B happens 10 times; rows are the true classes, so the larger 15 is B taken for C."
    return None if pair == "BC" else "The largest number off the diagonal is 15: in which row, in which column?"


@checker
def constant_start(answer):
    """6.4: how many different numbers a network from a constant start can ever hold.
    Of 62,006 parameters, 150 can differ: one filter a layer, copied.
    """
    slips = {
        62_006: "Those are all parameters; many of them stay equal to each other.",
        10: "That is one number for each weight and bias tensor. Which weights see different inputs?",
        275: "The second layer's six input maps are equal, so its six kernels in a filter are, too.",
        525: "Of the 400 inputs of the first dense layer, those at the same place of the 16 equal maps are equal.",
        141: "The ten outputs have different targets, so the ten rows of the last layer differ.",
        132: "Of the last layer nothing is equal but its 84 inputs: ten weights and ten biases.",
        100: "In the first layer red, green and blue differ: a filter has 75 different weights.",
    }
    return number_hint(answer, 150, slips)


@checker
def random_labels(answer, original):
    """6.5: an ImageSet whose labels are shuffled and whose pictures are not.
    Now no picture says anything about its label.
    """
    if not hasattr(answer, "images"):
        return "Give an ImageSet: dataclasses.replace(original, labels=...)."
    if not torch.equal(answer.images, original.images):
        return "The pictures changed: shuffle the labels alone, or picture and label stay together."
    k = len(original.classes)
    if not torch.equal(torch.bincount(answer.labels, minlength=k), torch.bincount(original.labels, minlength=k)):
        return "The classes' counts changed: reorder the labels instead of drawing new ones."
    same = (answer.labels == original.labels).double().mean().item()
    if answer.labels.data_ptr() == original.labels.data_ptr():
        return "The labels are as they were, or were shuffled in place, in the original too: make new ones."
    if same == 1:
        return "The labels are as they were."
    if same > 2 / k:
        return f"{same:.0%} of the labels are as they were; by chance it would be about {1 / k:.0%}."
    pairs = confusion_matrix(original.labels, answer.labels, k).double()
    if (pairs / pairs.sum(1, keepdim=True).clamp(min=1)).max() > 0.25 + 2 / k:
        return "Most pictures of a class still share a label: a class that is only renamed can be learnt as before."
    return None


@checker
def two_layers(answer):
    """6.6: maps, side and parameters of the second of two layers.
    A filter reads all maps of the layer before and writes one.
    """
    slips = (
        ([768, 14, 6960], "A filter of the second layer adds up what it finds in all 16 maps: one map a filter."),
        ([48, 14, 6912], "The biases are missing: one a filter."),
        ([48, 14, 480], "A filter of the second layer has a 3x3 kernel for each of the 16 maps."),
        ([48, 14, 1344], "A filter of the second layer reads the 16 maps of the first layer, not the 3 colours."),
        ([48, 16, 6960], "Without padding a 5x5 kernel takes 4 from the side, a 3x3 kernel 2."),
        ([48, 28, 6960], "The pooling after the second layer is missing."),
        ([48, 56, 6960], "Both poolings are missing: each halves the side."),
        ([48, 58, 6960], "Both poolings are missing: each halves the side."),
    )
    try:
        numbers = [float(number) for number in answer]
    except (TypeError, ValueError):
        return "Give three numbers; the side is one number, since the maps are square."
    if len(numbers) != 3:
        return f"Give three numbers, not {len(numbers)}."
    for slip, hint in slips:
        if numbers == slip:
            return hint
    names = ("number of maps", "side", "number of parameters")
    wrong = [name for name, given, right in zip(names, numbers, (48, 14, 6960)) if given != right]
    return f"Look again at the {' and the '.join(wrong)}." if wrong else None


@checker
def diagnosis(answer):
    """6.7: what three pairs of training and test accuracies show about a deeper network's lower test accuracy.
    Worse on its own training pictures, better there and worse on others, or too few pictures to say.
    """
    known = {"opt": "optimisation", "ove": "over-fitting", "und": "undecided"}
    words = [known.get(str(word).strip().lower()[:3], str(word)) for word in answer]
    if len(words) != 3 or not set(words) <= set(known.values()):
        return 'Give a list of three words, each of them "optimisation", "over-fitting" or "undecided".'
    hints = (
        "The first deep network is worse on the pictures that it was trained on, too: that is no memorising.",
        "The second deep network is better on its training pictures and worse on others.",
        "The third pair differs by two pictures of 60: how wide is the interval of 48 right of 60?",
    )
    for word, right, hint in zip(words, ("optimisation", "over-fitting", "undecided"), hints):
        if word != right:
            return hint
    return None


@checker
def within_budget(model):
    """6.8: a network of at most 62,006 parameters that gives ten scores for a 32x32 picture.
    It keeps to the rules; now train it beside the sheet's.
    """
    if not isinstance(model, nn.Module):
        return "Give the network itself: an nn.Module."
    parameters = list(model.parameters())
    if not parameters:
        return "This module has no parameters to train."
    if any(isinstance(layer, (nn.Softmax, nn.LogSoftmax)) for layer in model.modules()):
        return "Let it end in the logits: the cross-entropy does the softmax itself, and twice trains badly."
    device = parameters[0].device
    training = model.training
    model.eval()
    shape = tuple(model(torch.zeros(2, 3, 32, 32, device=device)).shape)
    model.train(training)
    if shape != (2, 10):
        return f"For two pictures it should give scores of shape (2, 10), not {shape}."
    n = sum(p.numel() for p in parameters)
    if n > count_parameters(model) and n > BUDGET:
        return f"Frozen parameters count too: {n:,} in all."
    return f"{n:,} parameters are {n - BUDGET:,} too many." if n > BUDGET else None
