"""Chapter 15's checkers: right answers pass, and each known slip gets the hint for it."""

import numpy as np
import torch
from checker_cases import checker_tests

from helpers.check import ch15 as check

MAP = np.array([[2.0, -2, 4], [-1, 5, -2]])
MEAN, LARGEST, PLACE = [[1, -1], [-1, 1]], [[4, 6], [6, 4]], [[0, 4], [0, 0]]


def products(maps, slopes):
    return (maps * slopes).sum(1)


def in_place(maps, slopes):
    maps *= slopes
    return maps.sum(1)


def pooled(maps, slopes):
    return torch.einsum("nkhw,nk->nhw", maps, slopes.mean((2, 3)))


def margin(output):
    first, second = output.topk(2, dim=1).values.T
    return first - second


def by_sorting(output):
    return output.sort(1).values[:, -1] - output.sort(1).values[:, -2]


def by_masking(output):
    largest = output.amax(1, keepdim=True)
    return largest[:, 0] - output.masked_fill(output == largest, -torch.inf).amax(1)


def by_probability(output):
    shares = output.softmax(1).topk(2, dim=1).values
    return shares[:, 0] - shares[:, 1]


RIGHT = [
    ("by_hand", [MAP, 2]),
    ("by_hand", (torch.tensor(MAP), torch.tensor(2.0))),
    ("by_hand", [MAP.tolist(), 2.0]),
    ("by_hand", [MAP, [2]]),
    ("pooled", [MEAN, LARGEST, PLACE]),
    ("pooled", torch.tensor([MEAN, LARGEST, PLACE])),
    ("pooled", [np.array(MEAN), torch.tensor(LARGEST), PLACE]),
    ("patch", [79.5, 175.5, 0, 223]),
    ("patch", torch.tensor([79.5, 175.5, 0, 223])),
    ("product_map", products),
    ("product_map", in_place),
    ("product_map", lambda maps, slopes: torch.einsum("nkhw,nkhw->nhw", slopes, maps)),
    ("margin", margin),
    ("margin", by_sorting),
    ("shifted", ["same", "other", "same"]),
    ("shifted", ("Same", " other", "SAME")),
]
WRONG = [
    ("by_hand", 2, "list of 2"),
    ("by_hand", [MAP], "yours has 1"),
    ("by_hand", [2, MAP], "map comes first"),
    ("by_hand", [MAP / 6, 2], "not divided"),
    ("by_hand", [MAP + 1, 2], "bias belongs to no place"),
    ("by_hand", [-MAP, 2], "signs"),
    ("by_hand", [[[2, 2, 4], [1, 7, 2]], 2], "subtracted"),
    ("by_hand", [[[-1, 4, -2], [2, -1, 4]], 2], "exchanged"),
    ("by_hand", [[[1, -2, 2], [-1, 2, -2]], 2], "weight 2"),
    ("by_hand", [MAP.T, 2], "shape"),
    ("by_hand", [MAP, 7], "not the sum"),
    ("by_hand", [MAP, 6], "mean, and add the bias"),
    ("by_hand", [MAP, 1], "bias comes on top"),
    ("by_hand", [MAP, 5], "largest value"),
    ("by_hand", [MAP, 3], "too large"),
    ("by_hand", [MAP, float("nan")], "nan"),
    ("pooled", [MEAN, LARGEST], "yours has 2"),
    ("pooled", [LARGEST, MEAN, PLACE], "with the maximum"),
    ("pooled", [np.multiply(4, MEAN), LARGEST, PLACE], "divided by 4"),
    ("pooled", [np.clip(MEAN, 0, None), LARGEST, PLACE], "No final ReLU"),
    ("pooled", [MEAN, MEAN, PLACE], "with the mean"),
    ("pooled", [MEAN, [[4, 0], [0, 4]], PLACE], "magnitude"),
    ("pooled", [MEAN, [[4, 8], [8, 4]], PLACE], "magnitude"),
    ("pooled", [MEAN, LARGEST, [[0, 0], [-4, 0]]], "Only positive slopes"),
    ("pooled", [MEAN, LARGEST, [[0, 0], [0, 0]]], "before you add"),
    ("pooled", [MEAN, LARGEST, [[1, 4], [0, 0]]], "multiply"),
    ("pooled", [MEAN, LARGEST, [[0, 4], [1, 0]]], "differ"),
    ("patch", [79.5, 175.5], "yours has 2"),
    ("patch", [175.5, 79.5, 0, 223], "exchanged"),
    ("patch", [80, 176, 0, 223], "counted from 0"),
    ("patch", [64, 160, 0, 223], "field has its middle there"),
    ("patch", [79.5, 160, 0, 223], "column: the field"),
    ("patch", [79.5, 191, 0, 223], "border"),
    ("patch", [111.5, 175.5, 0, 223], "Places count from 0"),
    ("patch", [47.5, 175.5, 0, 223], "Places count from 0"),
    ("patch", [70, 175.5, 0, 223], "too small"),
    ("patch", [79.5, 175.5, -153, 281], "sticks out"),
    ("patch", [79.5, 175.5, 64, 95], "rows of the cell"),
    ("patch", [79.5, 175.5, 10, 223], "first row"),
    ("patch", [79.5, 175.5, 0, 200], "last row"),
    ("product_map", 3, "function itself"),
    ("product_map", lambda maps, slopes: 3, "returns a int"),
    ("product_map", pooled, "Grad-CAM"),
    ("product_map", lambda maps, slopes: (maps * slopes.clamp(min=0)).sum(1), "Layer-CAM"),
    ("product_map", lambda maps, slopes: products(maps, slopes).relu(), "Keep what is negative"),
    ("product_map", lambda maps, slopes: (maps * slopes).mean(1), "Add over"),
    ("product_map", lambda maps, slopes: maps * slopes, "one number a place"),
    ("product_map", lambda maps, slopes: (maps * slopes).sum((2, 3)), "not over the places"),
    ("product_map", lambda maps, slopes: (maps * slopes).sum(0), "not over the pictures"),
    ("product_map", lambda maps, slopes: maps.sum(1) * slopes.sum(1), "channel by channel"),
    ("product_map", lambda maps, slopes: products(maps, slopes) / 24, "differ"),
    ("product_map", lambda maps: maps, "could not be checked"),
    ("margin", torch.tensor([1.0]), "function itself"),
    ("margin", lambda output: 1.0, "returns a float"),
    ("margin", lambda output: margin(output).detach(), "no gradient"),
    ("margin", lambda output: -margin(output), "sign"),
    ("margin", lambda output: output.amax(1), "subtract the second"),
    ("margin", lambda output: output.amax(1) - output.amin(1), "not the smallest"),
    ("margin", lambda output: output.amax(1) - output.mean(1), "not the mean"),
    ("margin", by_probability, "without a softmax"),
    ("margin", lambda output: margin(output).sum(), "do not add"),
    ("margin", lambda output: margin(output).mean(), "do not average"),
    ("margin", lambda output: margin(output)[:, None], "(N, 1)"),
    ("margin", lambda output: output[:, 0] - output[:, 1], "differ"),
    ("margin", by_masking, "share the largest"),
    ("shifted", ["same", "other"], "three words"),
    ("shifted", "same", "three words"),
    ("shifted", ["other", "other", "same"], "softmax"),
    ("shifted", ["same", "same", "same"], "adding v_k"),
    ("shifted", ["same", "other", "other"], "drops out"),
]

test_right, test_no_answer, test_wrong = checker_tests(check, RIGHT, WRONG)
