"""Chapter 9's checkers: right answers pass, and each known slip gets the hint for it."""

import math

import numpy as np
import torch
from checker_cases import checker_tests

from helpers import metrics
from helpers.check import ch09 as check
from helpers.models import HeritageNet, count_parameters

COUNTS = np.array([829, 514, 1059, 1919, 616, 1177, 407, 1571, 1033, 1110])
PI = COUNTS / COUNTS.sum()
MATRIX = torch.tensor([[30, 0, 10], [4, 4, 2], [6, 4, 40]])


def bins_of(confidence, right, weigh, size=abs):
    gaps, shares = [], []
    for b in range(10):
        inside = (confidence > b / 10) & (confidence <= (b + 1) / 10)
        if inside.any():
            gaps.append(size(float(right[inside].double().mean() - confidence[inside].double().mean())))
            shares.append(float(inside.double().mean()))
    return weigh(np.array(gaps), np.array(shares))


def ece(confidence, right):
    return bins_of(confidence, right, lambda gaps, shares: (gaps * shares).sum())


def ece_with_open_upper_ends(confidence, right):
    which = (confidence * 10).floor().clamp(max=9)
    bins = [which == b for b in which.unique()]
    return float(sum(abs(right[b].double().sum() - confidence[b].double().sum()) for b in bins)) / len(right)


def paired(apart=False, sign=1):
    counts = torch.tensor([700, 80, 50, 170])
    first = torch.tensor([True, True, False, False]).repeat_interleave(counts).double()
    second = torch.tensor([True, False, True, False]).repeat_interleave(counts).double()
    if apart:
        second = second[torch.randperm(1000, generator=torch.Generator().manual_seed(1))]
    return metrics.bootstrap_interval(lambda a, b: sign * (a.mean() - b.mean()), first, second)


def alone():
    right = torch.arange(1000) < 780
    return metrics.bootstrap_interval(lambda a: a.double().mean(), right)


def adjust(z, counts):
    return z - torch.log(torch.tensor(counts) / sum(counts))


def adjust_in_place(z, counts):
    z -= torch.log(torch.tensor(counts) / sum(counts))
    return z


def share(counts):
    return torch.tensor(counts) / sum(counts)


macro = metrics.average_scores(MATRIX)
LARGER = [count_parameters(HeritageNet(size=64)), 8_395_018 - 2048 * 2049 + 2048 * 32_769]
ELSEWHERE = [0.95, 0.95 * 407 / (0.95 * 407 + 0.05 * 9828), 0.0095 / (0.0095 + 0.0495)]
LAZIEST = [0.1875, 0.1, 0.0316, float(-(PI * np.log(PI)).sum())]


def mid_bins(confidence, right):
    which = (confidence * 10).ceil()
    gaps = [abs(right[which == b].double().sum() - (which == b).sum() * (b - 0.5) / 10) for b in which.unique()]
    return float(sum(gaps)) / len(right)


def adjusted_probabilities(z, counts):
    p = z.softmax(1) / share(counts)
    return p / p.sum(1, keepdim=True)


def few(resamples, seed):
    counts = torch.tensor([700, 80, 50, 170])
    first = torch.tensor([1.0, 1, 0, 0]).repeat_interleave(counts)
    second = torch.tensor([1.0, 0, 1, 0]).repeat_interleave(counts)
    return metrics.bootstrap_interval(lambda a, b: a.mean() - b.mean(), first, second, resamples=resamples, seed=seed)


RIGHT = [
    ("averages", [0.74, *macro]),
    ("averages", torch.tensor([0.74, 0.673, 0.65, 0.66])),
    ("laziest", LAZIEST),
    ("laziest", (1919 / 10_235, 0.1, 0.03158, 2.2085)),
    ("elsewhere", ELSEWHERE),
    ("calibration", ece),
    ("calibration", check._ece),
    ("difference", paired()),
    ("difference", np.array([0.008, 0.052])),
    ("difference", few(400, 3)),
    ("larger", LARGER),
    ("larger", torch.tensor(LARGER, dtype=torch.float32)),
    ("lowest_threshold", [0.45, 4 / 6, 1.0]),
    ("lowest_threshold", torch.tensor([0.45, 0.67, 1])),
    ("adjusted", adjust),
    ("adjusted", lambda z, counts: (z.softmax(1) / share(counts)).log()),
]

WRONG = [
    ("averages", [0.65, *macro], "mean of the recalls"),
    ("averages", [74, *macro], "percentage"),
    ("averages", [0.74, macro.recall, macro.precision, macro.f1], "exchanged"),
    ("averages", [0.74, *metrics.average_scores(MATRIX, "weighted")], "each class counts a third"),
    ("averages", [0.74, *metrics.average_scores(MATRIX, "micro")], "micro average"),
    ("averages", [0.74, macro[0], 0.74, macro[2]], "the three recalls"),
    ("averages", [0.74, *macro[:2], metrics.average_scores(MATRIX, "weighted").f1], "each class counts a third"),
    ("averages", [0.74, *macro[:2], 2 * macro[0] * macro[1] / (macro[0] + macro[1])], "F1 of the macro averages"),
    ("averages", [0.74, *macro[:2], (macro[0] + macro[1]) / 2], "mean of macro precision and recall"),
    ("averages", ["a", "b", "c", "d"], "Give a list of 4"),
    ("averages", [0.74, 0.9, 0.65, 0.66], "macro precision is too large"),
    ("averages", [0.74, 0.673], "Give 4 numbers, not 2"),
    ("averages", 0.74, "Give a list of 4"),
    ("laziest", [0.1, *LAZIEST[1:]], "not equally frequent"),
    ("laziest", [0.1875, 0.1875, *LAZIEST[2:]], "weighted recall"),
    ("laziest", [0.1875, 1, *LAZIEST[2:]], "column's recall"),
    ("laziest", [0.1875, 0.1, 0.3158, LAZIEST[3]], "column's F1"),
    ("laziest", [0.1875, 0.1, 0.1304, LAZIEST[3]], "F1 of accuracy and macro recall"),
    ("laziest", [*LAZIEST[:3], math.log(10)], "equal probabilities"),
    ("laziest", [*LAZIEST[:3], LAZIEST[3] / math.log(2)], "in bits"),
    ("laziest", [*LAZIEST[:3], -math.log(0.1875)], "a column alone"),
    ("elsewhere", [0.475, 0.44, 0.16], "divide by all alarms"),
    ("elsewhere", [0.95, 0.95, 0.95], "That is the recall"),
    ("elsewhere", [0.5, 0.44, 0.16], "how frequent"),
    ("elsewhere", [0.95, 407 * 0.95 / (407 * 0.95 + 10_235 * 0.05), ELSEWHERE[2]], "other 9,828"),
    ("elsewhere", [0.95, 0.6, 0.16], "heritage set is too large"),
    ("calibration", 0.1, "the function itself"),
    ("calibration", lambda c, r: None, "returns nothing"),
    ("calibration", lambda c, r: float("nan"), "empty bin"),
    ("calibration", lambda c, r: bins_of(c, r, lambda gaps, shares: gaps.mean()), "average over the bins"),
    ("calibration", lambda c, r: bins_of(c, r, lambda gaps, shares: gaps.sum() / 10), "average over"),
    ("calibration", lambda c, r: bins_of(c, r, lambda gaps, shares: gaps.sum()), "add up the gaps"),
    ("calibration", mid_bins, "the bin's middle"),
    ("calibration", lambda c, r: bins_of(c, r, lambda g, s: (g * s).sum(), float), "cancel"),
    ("calibration", lambda c, r: bins_of(c, r, lambda gaps, shares: gaps.max()), "largest gap"),
    ("calibration", lambda c, r: abs(bins_of(c, r, lambda g, s: (g * s).sum(), float)), "cancel"),
    ("calibration", lambda c, r: bins_of(c, r, lambda gaps, shares: (gaps**2 * shares).sum()), "square"),
    ("calibration", lambda c, r: 0.0, "it should be"),
    ("calibration", ece_with_open_upper_ends, "upper end belongs"),
    ("calibration", lambda c, r: ece(c, r) if len(c) > 3 else 0.0, "most bins are empty"),
    ("difference", alone(), "one network's accuracy"),
    ("difference", paired(apart=True), "resampled apart"),
    ("difference", paired(sign=-1), "second less the first"),
    ("difference", paired()[::-1], "lower end first"),
    ("difference", (0.0, 0.1), "is not it"),
    ("difference", (0.8, 5.1), "percentage points"),
    ("difference", (0.014, 0.048), "more resamples"),
    ("difference", 0.03, "Give a list of 2"),
    ("larger", [8_395_018, LARGER[1]], "for 32x32"),
    ("larger", [n - 2048 for n in LARGER], "bias"),
    ("larger", [LARGER[1], LARGER[1]], "not three"),
    ("larger", LARGER[::-1], "exchanged"),
    ("larger", [n + 1984 for n in LARGER], "running means"),
    (
        "larger",
        [
            sum(p.numel() for n, p in HeritageNet(size=s).named_parameters() if "fc" not in n)
            + 1024 * (512 * (s // 16) ** 2 + 1)
            + 512 * 1025
            + 10 * 513
            for s in (64, 128)
        ],
        "2048 units is missing",
    ),
    ("larger", [8_395_018 - 2048 * 2049 + 2048 * 2049, LARGER[1]], "for 32x32"),
    ("larger", [LARGER[0], LARGER[0]], "not five"),
    ("larger", [n - 1984 for n in LARGER], "batch normalisations"),
    ("larger", [1, 2], "too small"),
    ("lowest_threshold", [0.95, 1, 0.25], "look at all eight"),
    ("lowest_threshold", [0.7, 0.75, 0.75], "look at all eight"),
    ("lowest_threshold", [0.8, 2 / 3, 0.5], "a lower one"),
    ("lowest_threshold", [0.6, 0.6, 0.75], "less than 0.65"),
    ("lowest_threshold", [0.3, 4 / 7, 1], "less than 0.65"),
    ("lowest_threshold", [0.45, 1, 2 / 3], "That is the recall"),
    ("lowest_threshold", [0.45, 2 / 3, 2 / 3], "That is the precision"),
    ("lowest_threshold", [0.45, 2 / 3, 0.5], "four apses"),
    ("lowest_threshold", 0.45, "Give a list of 3"),
    ("adjusted", [1, 2, 3], "the function itself"),
    ("adjusted", adjust_in_place, "changes the logits"),
    ("adjusted", lambda z, counts: z[0], "same shape"),
    ("adjusted", lambda z, counts: z + share(counts).log(), "add the logarithms"),
    ("adjusted", lambda z, counts: z - share(counts), "subtract the shares"),
    ("adjusted", lambda z, counts: z / share(counts), "divide the logits"),
    ("adjusted", lambda z, counts: z.clone(), "nothing has been adjusted"),
    ("adjusted", lambda z, counts: z.softmax(1) / share(counts), "Those are probabilities"),
    ("adjusted", adjusted_probabilities, "right probabilities"),
    ("adjusted", lambda z, counts: z * 2, "proportional"),
]


test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(check, RIGHT, WRONG)
