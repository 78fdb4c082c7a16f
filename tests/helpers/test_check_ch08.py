"""Chapter 8's checkers: right answers pass, and each known slip gets the hint for it."""

import torch
import torch.nn.functional as F
from checker_cases import checker_tests
from torch import nn

from helpers import parallel
from helpers.check import ch08 as check
from helpers.models import LeNet


def right_epoch(model, optimiser, parts, group):
    parts = list(parts)
    for i in range(0, len(parts), group):
        x, y = (torch.cat(tensors) for tensors in zip(*parts[i : i + group]))
        optimiser.zero_grad()
        parallel.accumulate(model, x, y, len(parts[0][1]))
        optimiser.step()


def dividing_at_the_step(model, optimiser, parts, group):
    count = 0
    optimiser.zero_grad()
    for i, (x, y) in enumerate([*parts, (None, None)]):
        if count and (x is None or i % group == 0):
            for p in model.parameters():
                p.grad /= count
            optimiser.step()
            optimiser.zero_grad()
            count = 0
        if x is not None:
            F.cross_entropy(model(x), y, reduction="sum").backward()
            count += len(y)


def taking_a_list(model, optimiser, parts, group):
    for _ in range(0, len(parts), group):
        optimiser.step()


def rest_with_the_last(model, optimiser, parts, group):
    """What is left over joins the last full step."""
    parts = list(parts)
    full = max(len(parts) // group, 1)
    for i in range(full):
        chosen = parts[i * group : (i + 1) * group if i + 1 < full else None]
        optimiser.zero_grad()
        for x, y in chosen:
            (F.cross_entropy(model(x), y, reduction="sum") / sum(len(y) for _, y in chosen)).backward()
        optimiser.step()


def dropping_the_rest(model, optimiser, parts, group):
    parts = list(parts)
    right_epoch(model, optimiser, parts[: len(parts) // group * group], group)


def loop(rest=False, group_of=lambda group: group, zero=True):
    """The loop of the exercise, with a step for the rest or not."""

    def epoch(model, optimiser, parts, group):
        parts = list(parts)
        for i, (x, y) in enumerate(parts):
            (F.cross_entropy(model(x), y) / group_of(group)).backward()
            if (i + 1) % group == 0 or (rest and i + 1 == len(parts)):
                optimiser.step()
                if zero:
                    optimiser.zero_grad()

    return epoch


def sums(divide, zero_in_parts=False):
    def epoch(model, optimiser, parts, group):
        parts = list(parts)
        for i in range(0, len(parts), group):
            optimiser.zero_grad()
            chosen = parts[i : i + group]
            for x, y in chosen:
                if zero_in_parts:
                    optimiser.zero_grad()
                (F.cross_entropy(model(x), y, reduction="sum") / divide(chosen)).backward()
            optimiser.step()

    return epoch


def of_the_epoch(model, optimiser, parts, group):
    parts = list(parts)
    sums(lambda chosen: sum(len(y) for _, y in parts))(model, optimiser, parts, group)


def planned(model, optimiser, parts, group):
    parts = list(parts)
    sums(lambda chosen: group * len(parts[0][1]))(model, optimiser, parts, group)


def count(chosen):
    return sum(len(y) for _, y in chosen)


def averaging_means(model, optimiser, parts, group):
    parts = list(parts)
    for i in range(0, len(parts), group):
        optimiser.zero_grad()
        chosen = parts[i : i + group]
        for x, y in chosen:
            (F.cross_entropy(model(x), y) / len(chosen)).backward()
        optimiser.step()


def never_zeroing(model, optimiser, parts, group):
    parts = list(parts)
    for i in range(0, len(parts), group):
        x, y = (torch.cat(tensors) for tensors in zip(*parts[i : i + group]))
        F.cross_entropy(model(x), y).backward()
        optimiser.step()


def network(norm, *after):
    return nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10), *after)


class OwnNorm(nn.Module):
    """Each picture by its own mean and deviation, in no layer of PyTorch's."""

    def forward(self, x):
        return F.group_norm(x, 4)


class BySign(nn.Module):
    """Looks at the batch without being a known layer."""

    def forward(self, x):
        return x - x.mean()


RIGHT = {
    "weights": [1 / 64, 1 / 8, 1 / 50],
    "epoch": right_epoch,
    "steps": 7820,
    "fits": [855, 5],
    "factors": [1.5, 0.9, 0.6],
    "separable": network(nn.GroupNorm(4, 8)),
}

OTHER_FORMS = [
    ("weights", (0.015625, 0.125, 0.02)),
    ("weights", torch.tensor([1 / 64, 1 / 8, 1 / 50])),
    ("weights", ["1/64", "1/8", "1/50"]),
    ("weights", [0.016, 0.125, 0.02]),
    ("epoch", sums(count)),
    ("epoch", dividing_at_the_step),
    ("steps", torch.tensor(7820)),
    ("steps", [7820]),
    ("fits", ["855", "5"]),
    ("factors", ["3/2", "9/10", "3/5"]),
    ("separable", network(OwnNorm())),
    ("separable", network(nn.LayerNorm([8, 30, 30]))),
    ("steps", "7,820"),
    ("steps", 7820.0),
    ("fits", (855.0, torch.tensor(5))),
    ("factors", torch.tensor([1.5, 0.9, 0.6])),
    ("separable", network(nn.InstanceNorm2d(8))),
]

WRONG = [
    ("weights", [1 / 50] * 3, "three times"),
    ("weights", [1 / 64, 1 / 64, 1 / 50], "over 2 pictures"),
    ("weights", [1 / 16, 1 / 2, 1 / 50], "divided by 4 as well"),
    ("weights", [1 / 64, 1 / 8, 1 / 64], "50 pictures"),
    ("weights", [1 / 48, 1 / 6, 1 / 50], "one of four"),
    ("weights", [1 / 64, 1 / 32, 1 / 50], "No mean is over 64"),
    ("weights", [64, 8, 50], "one over that"),
    ("weights", [1 / 64, 1 / 8], "shape"),
    ("weights", [1 / 64, 1 / 9, 1 / 50], "index (1,)"),
    ("epoch", 3, "the function itself"),
    ("epoch", loop(), "takes 1 steps; with a smaller one for the rest it should be 2"),
    ("epoch", dropping_the_rest, "for the rest"),
    ("epoch", rest_with_the_last, "a smaller one for the rest"),
    ("epoch", taking_a_list, "neither a length nor places"),
    ("epoch", of_the_epoch, "the epoch's pictures"),
    ("epoch", planned, "as much as a full step"),
    ("epoch", sums(count, zero_in_parts=True), "once a step"),
    ("epoch", loop(group_of=lambda group: 1, rest=True), "added up and not divided"),
    ("epoch", loop(rest=True), "as much as a full step"),
    ("epoch", averaging_means, "(4, 4, 4, 3), 2 to a step: means are averaged"),
    ("epoch", never_zeroing, "the step before"),
    ("epoch", sums(lambda chosen: 1), "never divided by the pictures"),
    ("epoch", sums(lambda chosen: 7), "differ from the large"),
    ("epoch", lambda model, optimiser, parts, group: [optimiser.step() for _ in parts], "takes 4 steps"),
    ("steps", 31_250, "micro-batches"),
    ("steps", 7_810, "left-over"),
    ("steps", 7_813, "run on from one epoch"),
    ("steps", 782, "one epoch"),
    ("steps", 490, "64 pictures"),
    ("steps", 8_000, "too large"),
    ("steps", 7_812, "round up in each epoch"),
    ("steps", 7_812.5, "round up in each epoch"),
    ("steps", [782, 10], "one number"),
    ("fits", [872, 5], "Four numbers"),
    ("fits", [868, 5], "Besides the parameters"),
    ("fits", [864, 5], "two averages"),
    ("fits", [859, 5], "not one"),
    ("fits", [856, 5], "Round down"),
    ("fits", [855, 4], "round up"),
    ("fits", [855, 6], "6 is too large"),
    ("fits", [500, 9], "too small"),
    ("fits", [855], "two numbers"),
    ("fits", 855, "two numbers"),
    ("fits", [5, 855], "other way round"),
    ("fits", [855, 4096 / 855], "round the second number up"),
    ("factors", [1, 1, 1], "counts more"),
    ("factors", [0.5, 0.3, 0.2], "divided by 3"),
    ("factors", [0.3, 0.3, 0.3], "sums of the losses"),
    ("factors", [5, 3, 2], "sums of the means"),
    ("factors", [15, 9, 6], "10 pictures is missing"),
    ("factors", [1 / 6, 1 / 10, 1 / 15], "undone"),
    ("factors", [1.5, 0.9], "shape"),
    ("factors", [2, 10 / 3, 5], "Upside down"),
    ("factors", [0.6, 0.9, 1.5], "order"),
    ("separable", 3, "nn.Module"),
    ("separable", network(nn.BatchNorm2d(8)), "still batch normalisation"),
    ("separable", network(nn.BatchNorm2d(8).eval()), "its own numbers"),
    ("separable", network(nn.LazyBatchNorm2d()), "still batch normalisation"),
    ("separable", network(nn.Identity()), "does not normalise"),
    ("separable", network(nn.GroupNorm(4, 8), BySign()), "depend on which"),
    ("separable", network(nn.GroupNorm(4, 8), nn.Dropout(0.5)), "dropout"),
    ("separable", network(nn.GroupNorm(4, 8), nn.Linear(10, 3)), "(6, 3)"),
]


test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(
    check, [*RIGHT.items(), *OTHER_FORMS], WRONG
)


def test_what_fits_is_what_is_kept():
    """The bytes of the exercise: the network's own, and what autograd keeps for each picture."""
    model, kept = LeNet(), {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    own = {p.data_ptr() for p in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = F.cross_entropy(model(torch.zeros(10, 3, 32, 32)), torch.zeros(10, dtype=torch.long))
    assert loss.requires_grad and sum(size for at, size in kept.items() if at not in own) == 10 * 57_280 + 4
    assert 855 * 57_280 + 4 + 16 * 62_006 <= 50_000_000 < 856 * 57_280 + 4 + 16 * 62_006


def test_the_checker_leaves_the_network_as_it_was():
    model = network(nn.GroupNorm(4, 8)).eval()
    assert check.separable(model).right and not model.training and model[0].weight.dtype == torch.float32
