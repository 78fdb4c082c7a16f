"""Checkers of Chapter 11, "Transfer learning"."""

import math

import torch

from helpers.check import as_numbers, checker, numbers_hint

TWO_DECIMALS = 0.0051  # how far a number rounded to two decimals may lie from the right one


def _judge(answer, names, expected, slips, tolerance=TWO_DECIMALS):
    """`numbers_hint` whose hints begin with the number's name."""
    named = [(place, slip, f"{names[place]}: {hint}") for place, slip, hint in slips]
    return numbers_hint(_detached(answer), names, expected, named, tolerance)


def _detached(answer):
    """The answer, its tensors without gradients."""
    if isinstance(answer, (list, tuple)):
        return [_detached(part) for part in answer]
    return answer.detach() if torch.is_tensor(answer) else answer


@checker
def trained(answer):
    """11.1: the numbers of trained parameters of three heads.
    A head of one's own can have more parameters than many a whole network.
    """
    slips = [(0, 1536, "the biases are missing."), (1, 12_288, "the biases are missing.")]
    slips += [(2, 256 * 25_088 + 3 * 256, "the biases are missing.")]
    slips += [(0, 11_689_512, "that is the whole network, its head of 1,000 classes included.")]
    slips += [(0, 11_178_051, "that is the whole network with its new head: the base is frozen.")]
    slips += [(1, 139_582_531, "that is the whole network with its new head: the base is frozen.")]
    slips += [(1, 3 * 25_088 + 3, "classifier.6 is the last of three dense layers: its inputs are 4,096.")]
    slips += [(2, 3 * 25_088 + 3, "there is a layer of 256 units in between.")]
    slips += [(2, 256 * 25_089, "the layer of three is missing.")]
    return _judge(answer, ("(a)", "(b)", "(c)"), [1539, 12_291, 256 * 25_089 + 771], slips, 0.5)


@checker
def arrives(answer):
    """11.2: the gradient at the features through a head, through one three times as large, and through zeros.
    A larger head sends back more for the same error, and a head of zeros nothing.
    """
    answer = _detached(answer)
    if isinstance(answer, list) and len(answer) == 3:
        answer = [
            [0, 0] if i == 2 and isinstance(part, (int, float)) and part == 0 else part for i, part in enumerate(answer)
        ]
    numbers = as_numbers(answer, 6)
    if isinstance(numbers, str):
        return "Give a list of three vectors of two numbers each."
    first, second, third = (numbers[i : i + 2] for i in (0, 2, 4))
    if _near(first, (-1 / 3, 1 / 3)):
        return "(a): the opposite. The error is p - e, and e is taken from p."
    if _near(first, (4 / 3, 5 / 3)):
        return "(a): the true class's error is 1/3 - 1, not 1/3."
    if not _near(first, (1 / 3, -1 / 3)):
        return "(a): the three scores are equal. What is p, what is p - e, and what does the transposed W make of it?"
    if _near(second, (3, -3)):
        return "(b): W enters once: the scores are equal again, so p - e is as in (a)."
    if not _near(second, (1, -1)):
        return "(b): the scores are equal again, so p - e is as in (a), and W is three times as large."
    return None if _near(third, (0, 0)) else "(c): the transposed matrix of zeros takes every error to zero."


def _near(numbers, others, tolerance=TWO_DECIMALS):
    return max(abs(a - b) for a, b in zip(numbers, others, strict=True)) < tolerance


@checker
def alike(answer):
    """11.3: CKA after a scaling, a mirror image and a loss, and a mean cosine.
    The cosine calls a mirror image a change; CKA does not, and it notices what was lost.
    """
    lost = 4 / (2 * math.sqrt(40))
    slips = [(0, 2, "CKA does not see a scaling: divide by both lengths.")]
    slips += [(0, 4, "CKA does not see a scaling: divide by both lengths.")]
    slips += [
        (1, 1 / 3, "that is the mean cosine; CKA compares the columns' products."),
        (1, 0, "not every cosine is 0."),
    ]
    slips += [(2, lost**2, "the lengths in the denominator are roots of sums of squares.")]
    slips += [(2, 1 / math.sqrt(40), "the square of B'A's entry is 4.")]
    slips += [(2, 0.5, "A'A has two entries on its diagonal, 6 and 2: its length is the root of 40.")]
    slips += [(2, 0.25, "the length of A'A is the root of 36 + 4, not 6 + 2.")]
    slips += [(2, 6 / math.sqrt(40), "of which feature is something left after the training?")]
    slips += [
        (3, 1, "that is CKA; the cosine is taken picture by picture."),
        (3, 0, "the last picture counts as well."),
    ]
    return _judge(answer, ("(a)", "(b)", "(c)", "mean cosine"), [1, 1, lost, 1 / 3], slips)


@checker
def drifts(answer):
    """11.4: a running mean after one batch, when it is half the way, and after 20 batches.
    After a few dozen batches, hardly anything of the old statistics is left.
    """
    slips = [
        (0, 0.1, "a tenth of the batch's mean, which is 2."),
        (0, 1.8, "0.1 is the share of the new, not of the old."),
    ]
    slips += [(0, 2, "one batch moves it by a tenth of the way.")]
    slips += [(1, 5, "it does not move by the same amount each time: by a tenth of what is left.")]
    slips += [(1, 6, "after 6 batches 0.53 of the old is left."), (1, math.log(0.5) / math.log(0.9), "whole batches.")]
    slips += [
        (2, 2 * 0.9**20, "that is what is left to go."),
        (2, 1 - 0.9**20, "that is the share of the way, not the mean."),
    ]
    slips += [(2, 0.9**20, "that is the share of the way that is left, not the mean.")]
    slips += [(2, 2, "nearly, but not yet: 0.9 to the power of 20 is not zero.")]
    names = ("mean after one batch", "number of batches", "mean after 20 batches")
    return _judge(answer, names, [0.2, 7, 2 - 2 * 0.9**20], slips)


@checker
def order(answer):
    """11.5: the four steps of fine-tuning in their order, as a word of four letters.
    And in practice a validation set decides when one step ends and the next begins.
    """
    if not isinstance(answer, (str, list, tuple)):
        return "Give a word of four letters."
    word = "".join(c for c in "".join(map(str, answer)).lower() if c.isalpha())
    if "c" in word:
        return "(c) throws away what was to be carried over."
    if "f" in word:
        return "(f) is a recipe for learning 90 pictures by heart, and for losing the features."
    if len(set(word)) < len(word):
        return "Each letter comes once."
    missing = {"b": "has the old head the classes that you want?", "e": "what keeps the base from moving at first?"}
    missing |= {
        "d": "when does the new head learn, before the base moves?",
        "a": "does the base never learn anything new?",
    }
    for letter, question in missing.items():
        if letter not in word:
            return f"A step is missing: {question}"
    if len(word) > 4:
        return "Give a word of four letters."
    if word.index("a") < 3:
        return "(a) changes the base: should the head not have learnt something by then?"
    if word.index("d") < 2:
        return "When (d) trains the head, what keeps the base from moving, and which head is it?"
    return None


@checker
def rates(answer):
    """11.6: a function (layers, rate, factor) -> dict of rates that fall towards the picture.
    With such a dict as its rates, `transfer.fine_tune` trains the layers near the picture most gently.
    """
    if not callable(answer):
        return "Give the function itself, not a dict that it returns."
    layers = ["stem", "body", "fc"]
    found = answer(layers, 0.2, 0.5)
    if layers != ["stem", "body", "fc"]:
        return "The function changes the list that it was given."
    if found is None:
        return "The function returns nothing: is the return missing?"
    if not isinstance(found, dict) or set(found) != set(layers):
        return "Return a dict with the names of the layers as its keys."
    if _same(found, {"stem": 0.2, "body": 0.1, "fc": 0.05}):
        return "The last layer should get the whole rate: yours falls towards the head."
    if _same(found, {"stem": 0.8, "body": 0.4, "fc": 0.2}):
        return "A factor of 0.5 should make the rates smaller towards the picture."
    if _same(found, {"stem": 0.05, "body": 0.1, "fc": 0.1}) or _same(found, {"stem": 0.025, "body": 0.05, "fc": 0.1}):
        return "The last layer gets the rate itself, without the factor."
    if _same(found, {"stem": 0.1, "body": 0.1, "fc": 0.2}):
        return "The factor enters again at every layer, not once."
    if _same(found, {"stem": 0.2, "body": 0.1, "fc": 0.2}) or _same(found, {"stem": 0.2, "body": 0.1, "fc": 0.0}):
        return "The factor enters again at every layer: a power of it, not a multiple."
    for given in (layers, ["a"], list("abcdefg")):
        for rate, factor in ((0.2, 0.5), (3.0, 1.0), (0.01, 0.1)):
            expected = {name: rate * factor ** (len(given) - 1 - i) for i, name in enumerate(given)}
            if not _same(answer(list(given), rate, factor), expected):
                return f"With layers {given}, rate {rate} and factor {factor} it should return {_text(expected)}."
    return None


def _same(found, expected):
    if not isinstance(found, dict) or set(found) != set(expected):
        return False
    return all(math.isclose(float(found[name]), expected[name], rel_tol=1e-6) for name in expected)


def _text(rates):
    return "{" + ", ".join(f"{name!r}: {rate:g}" for name, rate in rates.items()) + "}"
