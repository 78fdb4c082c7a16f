"""Checkers of Chapter 8, "Gradient accumulation, and one step on"."""

import copy
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import nn

from helpers.check import array_hint, checker, number_hint
from helpers.models import LeNet

BATCHES = -(-50_000 // 16)  # micro-batches of 16 in an epoch of 50,000 pictures
STEPS = -(-BATCHES // 4)


def _numbers(answer):
    """The answer as a list of floats: of any sequence, of fractions as text ("1/64"), of one number alone."""
    if torch.is_tensor(answer) or hasattr(answer, "tolist"):
        answer = answer.tolist()
    values = answer if isinstance(answer, list | tuple) else [answer]
    return [float(Fraction(value.replace(",", ""))) if isinstance(value, str) else float(value) for value in values]


@checker
def weights(answer):
    """8.1: a picture's weight in the first and in the last micro-batch, and the right one.
    Two pictures share a fourth of the step, as sixteen others do: each of them counts eight times as much.
    """
    wrong = (
        ([1 / 50, 1 / 50, 1 / 50], "That is the right weight three times. What does the division by 4 give?"),
        ([1 / 64, 1 / 64, 1 / 50], "The last micro-batch's mean is over 2 pictures, not over 16."),
        ([1 / 16, 1 / 2, 1 / 50], "Those are the weights within a micro-batch's mean: it is divided by 4 as well."),
        ([1 / 64, 1 / 8, 1 / 64], "The large batch has 50 pictures, so each should count 1/50."),
        ([1 / 48, 1 / 6, 1 / 50], "The micro-batch of 2 is one of four: divide by 4."),
        ([1 / 64, 1 / 32, 1 / 50], "No mean is over 64 pictures: the last one is over its 2, then divided by 4."),
        ([64, 8, 50], "Those are the numbers that a picture's loss is divided by; its weight is one over that."),
    )
    return array_hint(_numbers(answer), [1 / 64, 1 / 8, 1 / 50], wrong, tolerance=5e-4)


@checker
def epoch(answer):
    """8.2: a function (model, optimiser, parts, group) that trains for an epoch, the rest in a smaller step.
    Every picture counts once, and within its step as much as any other.
    """
    if not callable(answer):
        return "Give the function itself."
    for sizes, group in (((4, 4, 4, 4), 2), ((4, 4, 4, 4, 4), 3), ((4, 4, 4, 3), 2), ((5, 3, 1), 3)):
        if hint := _epoch_hint(answer, sizes, group):
            return f"Micro-batches of {sizes}, {group} to a step: {hint}"
    return None


def _epoch_hint(answer, sizes, group):
    expected, taken = _run(_reference(_pictures), sizes, group)
    try:
        given, steps = _run(answer, sizes, group)
    except TypeError as error:
        if "generator" not in str(error):
            raise
        return f"`parts` gives one micro-batch after the other and has neither a length nor places ({error})."
    if steps != taken:
        return f"the optimiser takes {steps} steps; with a smaller one for the rest it should be {taken}."
    for slip, hint in _SLIPS:
        other, _ = _run(slip, sizes, group)
        if torch.allclose(given, other, rtol=1e-9) and not torch.allclose(other, expected, rtol=1e-9):
            return hint
    return None if torch.allclose(given, expected, rtol=1e-9) else "the weights differ from the large batches'."


def _run(train, sizes, group):
    """(weights, number of steps) after an epoch of SGD from a fixed start; in `.grad` lies something old."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = LeNet().double(), torch.rand(sum(sizes), 3, 32, 32, dtype=torch.float64)
    y, steps = torch.arange(len(x)) % 10, []
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    optimiser.register_step_post_hook(lambda *_: steps.append(1))
    parts = zip(x.split(sizes), y.split(sizes))
    train(model, optimiser, (part for part in parts), group)
    return nn.utils.parameters_to_vector(model.parameters()).detach(), len(steps)


def _reference(divisor, reduction="sum", zero="step"):
    """An epoch in which a step's losses are divided by `divisor(its parts' sizes, group, all sizes)`.

    zero: where the gradient is set to zero, in each "step", each "part" or "never".
    """

    def train(model, optimiser, parts, group):
        parts = list(parts)
        sizes = [len(y) for _, y in parts]
        for i in range(0, len(parts), group):
            chosen = parts[i : i + group]
            if zero == "step":
                optimiser.zero_grad()
            for x, y in chosen:
                if zero == "part":
                    optimiser.zero_grad()
                loss = F.cross_entropy(model(x), y, reduction=reduction)
                (loss / divisor(sizes[i : i + group], group, sizes)).backward()
            optimiser.step()

    return train


def _pictures(own, group, sizes):
    return sum(own)


_FULL = "the rest is divided by as much as a full step, though it holds fewer pictures."
_SLIPS = (
    (_reference(lambda own, group, sizes: len(own), "mean"), "means are averaged: a smaller part counts too much."),
    (_reference(lambda own, group, sizes: group, "mean"), _FULL),
    (_reference(lambda own, group, sizes: group * sizes[0]), _FULL),
    (_reference(lambda own, group, sizes: 1, "mean"), "the parts' means are added up and not divided."),
    (_reference(lambda own, group, sizes: 1), "the losses are added up and never divided by the pictures."),
    (_reference(lambda own, group, sizes: sum(sizes)), "it divides by the epoch's pictures, not by the step's."),
    (_reference(_pictures, zero="never"), "the gradient of the step before is still in it: set it to zero."),
    (_reference(_pictures, zero="part"), "only the last part counts: set the gradient to zero once a step."),
)


@checker
def steps(answer):
    """8.3: the optimiser's steps in ten epochs of 50,000 pictures, micro-batches of 16, four to a step.
    781 full steps and one of a single micro-batch, in each epoch.
    """
    slips = {
        10 * BATCHES: "Those are micro-batches: the optimiser steps once in four.",
        10 * (STEPS - 1): "The left-over micro-batch of each epoch takes a step, too.",
        -(-10 * BATCHES // 4): "Groups do not run on from one epoch into the next: round up in each epoch.",
        STEPS: "That is one epoch; the question is about ten.",
        10 * -(-BATCHES // 64): "A step takes 4 micro-batches of 16, so 64 pictures, not 64 micro-batches.",
        10 * 50_000 / 64: "The rest of an epoch is a whole step, however small: round up in each epoch.",
        10 * 50_000 // 64: "The rest of an epoch is a whole step, however small: round up in each epoch.",
    }
    values = _numbers(answer)
    return "Give one number." if len(values) != 1 else number_hint(values[0], 10 * STEPS, slips)


@checker
def fits(answer):
    """8.4: the largest micro-batch whose training fits into 50,000,000 bytes, and the steps of accumulation.
    Parameters, gradients and Adam's two averages come first, whatever the micro-batch.
    """
    values = _numbers(answer)
    if len(values) != 2:
        return "Give two numbers: the micro-batch, and how many of them make 4,096 pictures."
    largest, parts = values
    if (largest, parts) == (5, 855):
        return "The other way round: first the size of a micro-batch, then how many there are."
    slips = {
        872: "Four numbers a parameter are kept besides: itself, its gradient and Adam's two averages.",
        868: "Besides the parameters themselves, their gradients and Adam's two averages are kept.",
        864: "Adam keeps two averages for each parameter.",
        859: "Adam keeps two averages for each parameter, not one.",
        856: "Round down: 856 pictures are a little too many.",
    }
    if largest == 855 and parts == 4:
        return "Four micro-batches of 855 hold 3,420 pictures: round up."
    if largest == 855 and abs(parts - 4096 / 855) < 0.01:
        return "The pictures left over need a micro-batch of their own: round the second number up."
    return number_hint(largest, 855, slips) or number_hint(parts, 5)


@checker
def factors(answer):
    """8.5: what the mean losses of three processes with 5, 3 and 2 pictures are multiplied by.
    The number of processes undoes the averaging, the share weighs the mean.
    """
    wrong = (
        ([1, 1, 1], "Then a picture of the process with 2 counts more than one of the process with 5."),
        ([0.5, 0.3, 0.2], "Those are the shares; the gradients are then divided by 3 as well."),
        ([0.3, 0.3, 0.3], "That is for the sums of the losses; here the means are multiplied."),
        ([5, 3, 2], "That makes sums of the means, and nothing divides by the 10 pictures."),
        ([15, 9, 6], "The division by the 10 pictures is missing."),
        ([1 / 6, 1 / 10, 1 / 15], "The averaging has to be undone: multiply by the number of processes."),
        ([2, 10 / 3, 5], "Upside down: the process with most pictures should count most."),
        ([0.6, 0.9, 1.5], "The order is that of the processes: 5, 3 and 2 pictures."),
    )
    return array_hint(_numbers(answer), [1.5, 0.9, 0.6], wrong, tolerance=1e-3)


@checker
def separable(answer):
    """8.6: a network that normalises, and whose training does not depend on how the batch is divided.
    Each picture is normalised by its own numbers, so accumulation is exact again.
    """
    if not isinstance(answer, nn.Module):
        return "Give the network itself: an nn.Module."
    if any("BatchNorm" in type(layer).__name__ for layer in answer.modules()):
        return "There is still batch normalisation in it; each picture should be normalised by its own numbers."
    model = copy.deepcopy(answer).train().double().cpu()
    x = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    together, apart = model(x), torch.cat([model(part) for part in x.split((4, 2))])
    if together.shape != (6, 10):
        return f"For six pictures it should give scores of shape (6, 10), not {tuple(together.shape)}."
    if not torch.allclose(together, apart):
        return "In training mode its scores still depend on which pictures come together (dropout does that, too)."
    known = (nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d, nn.LocalResponseNorm)
    if not any(isinstance(layer, known) for layer in model.modules()) and not _levels(model, x):
        return "It does not normalise any more: put a layer in the place of batch normalisation."
    return None


def _levels(model, x):
    """Whether the scores hardly change when very bright pictures become twice as bright, as normalised ones do."""
    with torch.no_grad():
        bright, brighter = model(1e6 * x), model(2e6 * x)
    return (brighter - bright).norm() < 0.01 * bright.norm()
