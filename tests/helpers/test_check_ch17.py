"""The checkers of Chapter 17: right answers in any reasonable form, and the slips that students make."""

import numpy as np
import torch
from checker_cases import checker_tests

from helpers.check import ch17 as check


def project(place, x, epsilon):
    return torch.minimum(torch.maximum(place, x - epsilon), x + epsilon).clamp(0, 1)


def in_numpy(place, x, epsilon):
    change = np.clip(place.numpy() - x.numpy(), -epsilon, epsilon)
    return torch.from_numpy(np.clip(x.numpy() + change, 0, 1))


def in_place(place, x, epsilon):
    place.sub_(x).clamp_(-epsilon, epsilon).add_(x).clamp_(0, 1)
    return place


def without_bounds(place, x, epsilon):
    return x + (place - x).clamp(-epsilon, epsilon)


def without_epsilon(place, x, epsilon):
    return place.clamp(0, 1)


def signs(place, x, epsilon):
    return (x + epsilon * (place - x).sign()).clamp(0, 1)


def back_to_start(place, x, epsilon):
    return torch.where((place - x).abs() <= epsilon, place, x).clamp(0, 1)


def by_length(place, x, epsilon):
    change = place - x
    return (x + change * min(1, epsilon / change.abs().max().item())).clamp(0, 1)


RIGHT = {
    "neighbours": ["bcad", "abcd"],
    "perplexities": [8, 3.36, 1.38],
    "readings": "TFFFF",
    "inverted": [[2, 4], [4.8, 2.6]],
    "raised": [[1, 0, 0.5, 0.5], 0.39],
    "project": project,
}
OTHER_FORMS = [
    ("neighbours", ("b, c, a, d", "A B C D")),
    ("neighbours", [list("bcad"), list("abcd")]),
    ("neighbours", "bcad abcd"),
    ("neighbours", "bcad, abcd"),
    ("perplexities", "8.00, 3.36, 1.38"),
    ("perplexities", np.array([8.0, 2**1.75, 1.3842])),
    ("perplexities", torch.tensor([8, 3.364, 1.384])),
    ("readings", list("tffff")),
    ("readings", " tffff "),
    ("readings", "T F, F F, F"),
    ("readings", [True, False, False, False, False]),
    ("readings", torch.tensor([1, 0, 0, 0, 0])),
    ("inverted", torch.tensor([[2, 4], [4.8, 2.6]])),
    ("raised", (torch.tensor([1, 0, 0.5, 0.5]), torch.tensor(0.39))),
    ("raised", [[1, 0, 0.5, 0.5], [0.39]]),
    ("project", in_numpy),
    ("project", lambda place, x, epsilon: in_numpy(place, x, epsilon).numpy()),
]
WRONG = [
    ("neighbours", ["abcd", "bcad"], "By distance first"),
    ("neighbours", ["bacd", "abcd"], "squared"),
    ("neighbours", ["bcad", "abdc"], "divide q·z"),
    ("neighbours", ["bcad", "bacd"], "divide q·z"),
    ("neighbours", ["bca", "abcd"], "once"),
    ("neighbours", ["bcad"], "2 items, not 1"),
    ("perplexities", [3, 1.75, 0.469], "entropies in bits"),
    ("perplexities", [4.225, 2.318, 1.253], "natural logarithms"),
    ("perplexities", [0.125, 0.2973, 0.7225], "sign"),
    ("perplexities", [8, 4, 2], "however rarely"),
    ("perplexities", [8, 3.36, 1.5], "third number: 1.5 is too large"),
    ("perplexities", [8, 2.83, 1.5], "second number"),
    ("perplexities", [8, 3.4, 1.4], "two digits"),
    ("perplexities", [2.08, 1.21, 0.33], "natural logarithm"),
    ("perplexities", [8, 3.36], "3 items, not 2"),
    ("readings", "TTFFF", "(b)"),
    ("readings", "FFFFF", "(a)"),
    ("readings", "TFTFF", "(c)"),
    ("readings", "TFFTF", "(d)"),
    ("readings", "TFFFT", "(e)"),
    ("readings", "TFFF", "five letters"),
    ("readings", "yes", "five letters"),
    ("inverted", [[4, 3], [4, 3]], "many pictures"),
    ("inverted", [[2, 4], [2, 4]], "second start"),
    ("inverted", [[2, 4], [5, 3]], "lacks 9"),
    ("inverted", [[3.3333, 3.3333], [6, 2]], "alike"),
    ("inverted", [[0, 5], [3, 3.5]], "twice as far"),
    ("inverted", [[10, 0], [12, -1]], "twice as far"),
    ("inverted", [[2, 4], [4.8, 2.7]], "index (1, 1)"),
    ("inverted", [2, 4], "shape"),
    ("inverted", [[4, 2], [6.6, 0.8]], "Turned round"),
    ("inverted", [[2, 4], [1.8, 3.6]], "way gone"),
    ("inverted", [[4.8, 2.6], [2, 4]], "First the end"),
    ("raised", [[1.05, -0.08, 0.5, 0.5], 0.6], "within [0, 1]"),
    ("raised", [[1.05, 0, 0.5, 0.5], 0.44], "within [0, 1]"),
    ("raised", [[1, -0.08, 0.5, 0.5], 0.55], "within [0, 1]"),
    ("raised", [torch.tensor([[1, 0], [0.5, 0.5]]), 0.39], "shape"),
    ("raised", [[1, 0, 0.5, 0.5], [0.05, 0.04, 0.3]], "one number"),
    ("raised", [[0.85, 0.12, 0.5, 0.3], -0.6], "lowers"),
    ("raised", [[0.85, 0.12, 0.6, 0.3], -0.6], "lowers"),
    ("raised", [[1, 0, 0.6, 0.5], 0.39], "sign of 0"),
    ("raised", [[1, 0, 0.4, 0.5], 0.39], "sign of 0"),
    ("raised", [[1, 0, 0.5, 0.7], 0.99], "the sign counts"),
    ("raised", [[1, 0.12, 0.5, 0.5], 0.15], "goes down"),
    ("raised", [[1, 0, 0.5, 0.5], 0.6], "without the cut"),
    ("raised", [[1, 0, 0.5, 0.5], 2.5], "new score"),
    ("raised", [[1, 0, 0.5, 0.5], -0.39], "positive"),
    ("raised", [[1, 0, 0.5, 0.5], 0.3], "too small"),
    ("raised", [[1, 0, 0.5, float("nan")], 0.39], "nan"),
    ("project", torch.zeros(3), "the function itself"),
    ("project", in_place, "work on a copy"),
    ("project", without_bounds, "outside [0, 1]"),
    ("project", without_epsilon, "further than epsilon"),
    ("project", lambda place, x, epsilon: x.clone(), "stay as they are"),
    ("project", signs, "stay as they are"),
    ("project", back_to_start, "nearest ones"),
    ("project", by_length, "stay as they are"),
    ("project", lambda place, x, epsilon: None, "return missing"),
    ("project", lambda place, x, epsilon: place[:1], "return missing"),
    ("project", lambda place, x, epsilon: torch.full_like(x, float("nan")), "nan or infinite"),
    ("project", lambda place, x: place, "could not be checked"),
]


test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(
    check, [*RIGHT.items(), *OTHER_FORMS], WRONG
)
