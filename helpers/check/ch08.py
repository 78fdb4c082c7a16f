"""Checkers of Chapter 8, "Gradient accumulation, and one step on"."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from helpers.check import array_hint, checker, number_hint
from helpers.models import LeNet

BATCHES = -(-50_000 // 16)  # micro-batches of 16 in an epoch of 50,000 pictures
STEPS = -(-BATCHES // 4)


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
    )
    return array_hint(answer, [1 / 64, 1 / 8, 1 / 50], wrong, tolerance=1e-4)


@checker
def epoch(answer):
    """8.2: a function (model, optimiser, parts, group) that trains for an epoch, the rest included.
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
    given, steps = _run(answer, sizes, group)
    if steps != taken:
        return f"the optimiser takes {steps} steps; with the rest it should be {taken}."
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
    train(model, optimiser, list(zip(x.split(sizes), y.split(sizes))), group)
    return nn.utils.parameters_to_vector(model.parameters()).detach(), len(steps)


def _reference(divisor, reduction="sum", zero=True):
    """An epoch in which each part's loss is divided by `divisor(pictures of the step, its parts, group)`."""

    def train(model, optimiser, parts, group):
        for i in range(0, len(parts), group):
            chosen = parts[i : i + group]
            if zero:
                optimiser.zero_grad()
            for x, y in chosen:
                loss = F.cross_entropy(model(x), y, reduction=reduction)
                (loss / divisor(sum(len(labels) for _, labels in chosen), len(chosen), group)).backward()
            optimiser.step()

    return train


def _pictures(pictures, parts, group):
    return pictures


_SLIPS = (
    (_reference(lambda pictures, parts, group: parts, "mean"), "means are averaged: a smaller part counts too much."),
    (_reference(lambda pictures, parts, group: group, "mean"), "the rest is divided by more parts than it has."),
    (_reference(lambda pictures, parts, group: 1, "mean"), "the parts' means are added up and not divided."),
    (_reference(lambda pictures, parts, group: 1), "the losses are added up and never divided by the pictures."),
    (_reference(_pictures, zero=False), "the gradient of the step before is still in it: set it to zero."),
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
    }
    return number_hint(str(answer).replace(",", ""), 10 * STEPS, slips)


@checker
def fits(answer):
    """8.4: the largest micro-batch whose training fits into 50,000,000 bytes, and the steps of accumulation.
    Parameters, gradients and Adam's two averages come first, whatever the micro-batch.
    """
    if len(answer) != 2:
        return "Give two numbers: the micro-batch, and how many of them make 4,096 pictures."
    largest, parts = (float(number) for number in answer)
    slips = {
        872: "Four numbers a parameter are kept besides: itself, its gradient and Adam's two averages.",
        868: "Besides the parameters themselves, their gradients and Adam's two averages are kept.",
        864: "Adam keeps two averages for each parameter.",
        859: "Adam keeps two averages for each parameter, not one.",
        856: "Round down: 856 pictures are a little too many.",
    }
    if largest == 855 and parts == 4:
        return "Four micro-batches of 855 hold 3,420 pictures: round up."
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
    )
    return array_hint(answer, [1.5, 0.9, 0.6], wrong, tolerance=1e-3)


@checker
def separable(answer):
    """8.6: a network that normalises, and whose training does not depend on how the batch is divided.
    Each picture is normalised by its own numbers, so accumulation is exact again.
    """
    if not isinstance(answer, nn.Module):
        return "Give the network itself: an nn.Module."
    kinds = [type(layer) for layer in answer.modules()]
    batch = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    known = (nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d)
    if any(issubclass(kind, batch) for kind in kinds):
        return "There is still a layer of batch normalisation in it."
    if not any(issubclass(kind, known) for kind in kinds):
        return "It does not normalise any more: put a layer in the place of batch normalisation."
    model = copy.deepcopy(answer).train().double().cpu()
    x = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    together, apart = model(x), torch.cat([model(part) for part in x.split((4, 2))])
    if together.shape != (6, 10):
        return f"For six pictures it should give scores of shape (6, 10), not {tuple(together.shape)}."
    if not torch.allclose(together, apart):
        return "In training mode its scores still depend on which pictures come together (dropout does that, too)."
    return None
