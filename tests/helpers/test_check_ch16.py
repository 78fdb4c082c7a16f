"""Chapter 16's checkers: right answers pass, and each known slip gets the hint for it."""

import numpy as np
import torch
from checker_cases import checker_tests

from helpers.check import ch16 as check


def top(maps, k):
    best = maps.flatten(1).max(1)
    chosen = best.values.topk(k).indices
    return [(int(n), *divmod(int(best.indices[n]), maps.shape[2])) for n in chosen]


def top_as_tensor(maps, k):
    return torch.tensor(top(maps, k))


def with_repeats(maps, k):
    order = maps.flatten().argsort(descending=True)[:k]
    return [tuple(int(part) for part in np.unravel_index(int(n), tuple(maps.shape))) for n in order]


def as_tensors(maps, k):
    return tuple(torch.tensor(top(maps, k)).T)


def strongest(maps, k):
    best = maps.flatten(1).max(1)
    values, pictures = best.values.topk(k)
    places = best.indices[pictures]
    return values, pictures, places // maps.shape[2], places % maps.shape[2]


def changed(how):
    return lambda maps, k: how(top(maps, k))


def by_rows(maps, k):
    best = maps.flatten(1).max(1)
    return [(n, *divmod(int(best.indices[n]), maps.shape[1])) for n, _, _ in top(maps, k)]


def weakest(maps, k):
    best = maps.flatten(1).max(1)
    chosen = best.values.topk(k, largest=False).indices
    return [(int(n), *divmod(int(best.indices[n]), maps.shape[2])) for n in chosen]


def by_mean(maps, k):
    chosen = maps.mean((1, 2)).topk(k).indices
    return [(int(n), *divmod(int(maps[n].argmax()), maps.shape[2])) for n in chosen]


def in_place(maps, k):
    found = top(maps, k)
    maps.zero_()
    return found


def above_zero(maps, k):
    best = maps.relu().flatten(1).max(1)
    chosen = best.values.topk(k).indices
    return [(int(n), *divmod(int(best.indices[n]), maps.shape[2])) for n in chosen]


RIGHT = {
    "seen": [99, -13, 142, 30, 870],
    "optimum": [4, -8, 20],
    "top": top,
    "waves": [4, 2, 4 / 3, 1],
    "controls": ["ranks", "judge", "untrained", "place"],
}

OTHER_FORMS = [
    ("seen", np.array([99, -13, 142, 30, 870])),
    ("seen", ([99, -13, 142, 30], 870)),
    ("seen", torch.tensor([99.0, -13, 142, 30, 870])),
    ("optimum", torch.tensor([4.0, -8, 20])),
    ("optimum", (np.array([4, -8]), 20)),
    ("top", top_as_tensor),
    ("top", lambda maps, k: [list(triple) for triple in top(maps, k)]),
    ("waves", (4, 2, 1.333, 1)),
    ("waves", torch.tensor([4, 2, 4 / 3, 1])),
    ("controls", ("Ranks", "judge ", "UNTRAINED", "place")),
    ("controls", "ranks, judge, untrained, place"),
    ("controls", {"a": "ranks", "b": "judge", "c": "untrained", "d": "place"}),
    ("controls", {"(d)": "place", "(c)": "untrained", "(b)": "judge", "(a)": "ranks"}),
    ("optimum", [[4, -8], 20]),
]

WRONG = [
    ("seen", [-13, 99, 30, 142, 870], "exchanged"),
    ("seen", [99, -13, 141, 29, 870], "exclusive"),
    ("seen", [120, 8, 163, 51, 870], "padding is missing"),
    ("seen", [99, 0, 128, 30, 870], "as the unit has it"),
    ("seen", [9, -19, 52, 24, 870], "jump"),
    ("seen", [141, 29, 184, 72, 870], "subtracted"),
    ("seen", [1, 2, 3, 4, 5], "x0 = column"),
    ("seen", [99, -13, 142, 30, 1849], "whole field"),
    ("seen", [99, -13, 142, 30, 1247], "not at the top"),
    ("seen", [99, -13, 142, 30, 1290], "not at the right"),
    ("seen", [99, -13, 142, 30, 840], "rows are right"),
    ("seen", [99, -13, 142, 30, 841], "columns are right"),
    ("seen", [99, -13, 142, 30, 812], "both included"),
    ("seen", [99, -13, 142, 30, 899], "y1 is exclusive"),
    ("seen", [99, -13, 142, 30, 868], "99 to 127"),
    ("seen", [99, -13, 142, 30, 7], "Count the columns"),
    ("seen", [99, -13, 142, 30], "5 numbers"),
    ("seen", 870, "list of 5"),
    ("optimum", [8, -16, 0], "the 2 is missing"),
    ("optimum", [2, -4, 15], "w itself"),
    ("optimum", [1, -2, 20], "Divide by"),
    ("optimum", [-4, 8, 20], "sign"),
    ("optimum", [4, -8, 40], "S alone"),
    ("optimum", [4, -8, 60], "not added"),
    ("optimum", [4, -8, 40 - 0.25 * 80**0.5], "square"),
    ("optimum", [4, -8, 21], "pixels are right"),
    ("optimum", [20, 4, -8], "pixels first"),
    ("optimum", [4, 8, 20], "second weight"),
    ("optimum", [4, 8, -20], "second weight"),
    ("optimum", [-4, -8, 20], "first weight"),
    ("optimum", [5, -8, 20], "index (0,)"),
    ("optimum", [4, -8], "3 numbers, not 2"),
    ("top", with_repeats, "comes twice"),
    ("top", changed(lambda found: [(n, j, i) for n, i, j in found]), "exchanged"),
    ("top", changed(lambda found: found[::-1]), "strongest first"),
    ("top", changed(lambda found: found[:2]), "2 triples for k = 4"),
    ("top", as_tensors, "3 tensors"),
    ("top", strongest, "4 tensors"),
    ("top", changed(lambda found: [n for n, _, _ in found]), "list of triples"),
    ("top", changed(lambda found: [(n, i) for n, i, _ in found]), "list of triples"),
    ("top", changed(lambda found: [(n, 0, 0) for n, _, _ in found]), "not the places"),
    ("top", lambda maps, k: None, "list of triples"),
    ("top", by_rows, "number of columns"),
    ("top", weakest, "weakest"),
    ("top", by_mean, "not the strongest"),
    ("top", in_place, "work on a copy"),
    ("top", above_zero, "below 0"),
    ("top", lambda maps: [], "two arguments"),
    ("top", [(0, 1, 2)], "the function itself"),
    ("waves", [1, 2, 3, 4], "frequency itself"),
    ("waves", [9, 4.5, 3, 2.25], "finest wave"),
    ("waves", [4, 2, 1.3, 1], "fraction"),
    ("waves", [1, 0.5, 1 / 3, 0.25], "coarsest wave's"),
    ("waves", [0.25, 0.5, 0.75, 1], "other way round"),
    ("waves", [1, 4 / 3, 2, 4], "coarsest wave to the finest"),
    ("waves", [16, 4, 16 / 9, 1], "square"),
    ("waves", [1, 1, 1, 1], "its scale"),
    ("waves", [4, 2, 1], "shape"),
    ("controls", ["judge", "ranks", "untrained", "place"], "(a)"),
    ("controls", ["ranks", "untrained", "judge", "place"], "(b)"),
    ("controls", ["ranks", "judge", "place", "untrained"], "(c)"),
    ("controls", ["ranks", "judge", "untrained", "ranks"], "once"),
    ("controls", ["ranks", "judge"], "four words"),
    ("controls", {"a": "ranks", "b": "judge"}, "four letters"),
    ("controls", ["place", "judge", "untrained", "ranks"], "further down"),
    ("controls", 4, "could not be checked"),
]


test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(
    check, [*RIGHT.items(), *OTHER_FORMS], WRONG
)
