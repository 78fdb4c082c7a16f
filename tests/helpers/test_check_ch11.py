"""The checkers of Chapter 11: right answers in several forms pass, and each likely slip gets its hint."""

import math

import numpy as np
import torch
from checker_cases import checker_tests

from helpers.check import ch11 as check

LARGE = 256 * 25_089 + 771
ARRIVES = [[1 / 3, -1 / 3], [1, -1], [0, 0]]
LOST = 1 / math.sqrt(10)
DRIFT = 2 - 2 * 0.9**20


def falling(layers, rate, factor):
    return {name: rate * factor**i for i, name in enumerate(reversed(layers))}


def consuming(layers, rate, factor):
    found = {}
    while layers:
        found[layers.pop()] = rate
        rate *= factor
    return found


def loop(layers, rate, factor):
    found = dict.fromkeys(layers, 0)
    for name in layers[::-1]:
        found[name] = torch.tensor(rate, dtype=torch.float64)
        rate = rate * factor
    return found


RIGHT = [
    ("trained", [1539, 12_291, LARGE]),
    ("trained", torch.tensor([1539, 12_291, LARGE])),
    ("arrives", ARRIVES),
    ("arrives", torch.tensor(ARRIVES)),
    ("arrives", [torch.tensor([0.333, -0.333]), (1, -1), np.zeros(2)]),
    ("arrives", [[0.33, -0.33], [1, -1], [0, 0]]),
    ("arrives", [[1 / 3, -1 / 3], [1, -1], 0]),
    ("arrives", torch.tensor(ARRIVES, requires_grad=True)),
    ("arrives", [torch.tensor(pair, requires_grad=True) for pair in [[1 / 3, -1 / 3], [1.0, -1], [0.0, 0]]]),
    ("alike", [1, 1, LOST, 1 / 3]),
    ("alike", (1.0, 1.0, 0.316, 0.333)),
    ("alike", [1, 1, 0.32, 0.33]),
    ("alike", [1, 1, torch.tensor(LOST, requires_grad=True), 0.33]),
    ("alike", torch.tensor([1, 1, LOST, 1 / 3])),
    ("drifts", [0.2, 7, DRIFT]),
    ("drifts", (0.2, 7, 1.757)),
    ("drifts", [0.2, 7, 1.76]),
    ("order", "beda"),
    ("order", "EBDA"),
    ("order", ["b", "e", "d", "a"]),
    ("order", "b, e, d, a"),
    ("rates", falling),
    ("rates", loop),
    ("rates", lambda layers, rate, factor: {n: rate * factor ** (len(layers) - 1 - i) for i, n in enumerate(layers)}),
]

WRONG = [
    ("trained", [1536, 12_291, LARGE], "biases are missing"),
    ("trained", [1539, 12_288, LARGE], "biases are missing"),
    ("trained", [1539, 12_291, 256 * 25_088 + 768], "biases are missing"),
    ("trained", [11_689_512, 12_291, LARGE], "whole network"),
    ("trained", [11_178_051, 12_291, LARGE], "the base is frozen"),
    ("trained", [1539, 139_582_531, LARGE], "the base is frozen"),
    ("trained", [1539, 75_267, LARGE], "4,096"),
    ("trained", [1539, 12_291, 75_267], "256 units"),
    ("trained", [1539, 12_291, 256 * 25_089], "layer of three is missing"),
    ("trained", [1, 2, 3], "too small"),
    ("trained", [1539, 12_291], "Give 3 numbers"),
    ("trained", 1539, "list of 3"),
    ("arrives", [[-1 / 3, 1 / 3], [-1, 1], [0, 0]], "the opposite"),
    ("arrives", [[4 / 3, 5 / 3], [4, 5], [0, 0]], "1/3 - 1"),
    ("arrives", [*ARRIVES[:2], [1 / 3, -2 / 3]], "matrix of zeros"),
    ("arrives", [ARRIVES[0], ARRIVES[0], [0, 0]], "three times as large"),
    ("arrives", [ARRIVES[0], [3, -3], [0, 0]], "enters once"),
    ("arrives", [[0, 0], [0, 0], [0, 0]], "transposed W"),
    ("arrives", [[0.32, -0.32], [1, -1], [0, 0]], "transposed W"),
    ("arrives", [[0.33, -0.33], [2, -2], [0, 0]], "three times as large"),
    ("arrives", [[0.33, -0.33], [1, -1], [0.1, 0]], "matrix of zeros"),
    ("arrives", [[0.33, -0.33], [1, -1], 1], "three vectors"),
    ("arrives", [0, 0, 0], "three vectors"),
    ("arrives", "none", "three vectors"),
    ("alike", [2, 1, LOST, 1 / 3], "scaling"),
    ("alike", [4, 1, LOST, 1 / 3], "scaling"),
    ("alike", [1, 1 / 3, LOST, 1 / 3], "mean cosine"),
    ("alike", [1, 1, 0.1, 1 / 3], "roots of sums"),
    ("alike", [1, 1, 0.5, 1 / 3], "root of 40"),
    ("alike", [1, 1, 0.25, 1 / 3], "36 + 4"),
    ("alike", [1, 1, 0.9487, 1 / 3], "of which feature"),
    ("alike", [1, 1, 0.3, 1 / 3], "too small"),
    ("alike", [1, 1, LOST, 1], "picture by picture"),
    ("alike", [1, 1, LOST, 0], "last picture"),
    ("alike", [1, 1, 0.9, 1 / 3], "too large"),
    ("alike", [1, 1], "Give 4 numbers"),
    ("drifts", [0.1, 7, DRIFT], "which is 2"),
    ("drifts", [1.8, 7, DRIFT], "share of the new"),
    ("drifts", [2, 7, DRIFT], "tenth of the way"),
    ("drifts", [0.2, 5, DRIFT], "what is left"),
    ("drifts", [0.2, 6, DRIFT], "0.53"),
    ("drifts", [0.2, 6.579, DRIFT], "whole batches"),
    ("drifts", [0.2, 7, 2 - DRIFT], "left to go"),
    ("drifts", [0.2, 7, 0.878], "not the mean"),
    ("drifts", [0.2, 7, 0.1216], "not the mean"),
    ("drifts", [0.2, 7, 2], "not yet"),
    ("drifts", [0.2, 6.58, DRIFT], "whole batches"),
    ("drifts", [0.2, 9, DRIFT], "The number of batches is too large"),
    ("drifts", [0.2, 7, 1.8], "The mean after 20 batches is too large"),
    ("order", "cbed", "throws away"),
    ("order", "befd", "by heart"),
    ("order", "bed", "never learn anything"),
    ("order", "bda", "keeps the base from moving"),
    ("order", "eda", "old head"),
    ("order", "bea", "when does the new head learn"),
    ("order", "beda!d", "comes once"),
    ("order", "bedag", "word of four letters"),
    ("order", "abed", "changes the base"),
    ("order", "bade", "changes the base"),
    ("order", "bdea", "keeps the base"),
    ("order", "deba", "keeps the base"),
    ("order", 2541, "four letters"),
    ("rates", {"fc": 0.1}, "function itself"),
    ("rates", lambda layers, rate, factor: None, "returns nothing"),
    ("rates", lambda layers, rate, factor: [rate], "dict"),
    ("rates", consuming, "changes the list"),
    ("rates", lambda layers, rate, factor: falling(layers[::-1], rate, factor), "towards the head"),
    ("rates", lambda layers, rate, factor: falling(layers, rate, 1 / factor), "smaller towards"),
    ("rates", lambda layers, rate, factor: falling(layers, rate * factor, factor), "without the factor"),
    ("rates", lambda layers, rate, factor: falling(layers, 0.2, 0.5), "it should return"),
    ("rates", lambda layers, rate, factor: dict.fromkeys(layers, rate), "it should return"),
    ("rates", lambda layers, rate, factor: {n: rate * (factor if n != layers[-1] else 1) for n in layers}, "not once"),
    (
        "rates",
        lambda layers, rate, factor: {n: rate * factor * i for i, n in enumerate(layers[::-1])},
        "not a multiple",
    ),
]


test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(check, RIGHT, WRONG)
