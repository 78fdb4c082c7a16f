"""Checkers of the exercises: one module a chapter, one function an exercise.

A checker looks at an answer and returns a `Verdict`, which a notebook shows. It never raises on a wrong answer, and
`...` (or None) means not answered yet.
"""

from dataclasses import dataclass
from functools import wraps

import numpy as np
import torch


@dataclass(frozen=True)
class Verdict:
    """right: True, False, or None where there is no answer yet; message: why, or a hint."""

    right: bool | None
    message: str

    def __repr__(self):
        return {True: "✓ Right. ", False: "✗ Not yet. ", None: "… "}[self.right] + self.message


def checker(judge):
    """Make a checker of a function (answers) -> None if right, else a hint. Its docstring's second line praises."""

    @wraps(judge)
    def check(*answers):
        if any(answer is ... or answer is None for answer in answers):
            return Verdict(None, "No answer yet: replace the ... above and run this cell again.")
        if any(map(_holds_nan, answers)):
            return Verdict(False, "Your answer holds nan, which is not a finite number: look for 0/0 or inf - inf.")
        try:
            hint = judge(*answers)
        except Exception as error:
            return Verdict(False, f"Your answer could not be checked ({type(error).__name__}: {error}).")
        praise = " ".join((judge.__doc__ or "").partition("\n")[2].split())
        return Verdict(True, praise) if hint is None else Verdict(False, hint)

    return check


def array_hint(answer, expected, wrong=(), tolerance=1e-6):
    """None if `answer` equals the array, else a hint: about the shape, a known slip, or the first cell that differs.

    wrong: pairs (array that a known slip gives, the hint for it).
    """
    answer = answer.detach().cpu().numpy() if torch.is_tensor(answer) else np.asarray(answer, float)
    expected = np.asarray(expected, float)
    for slip, hint in wrong:
        if np.shape(slip) == answer.shape and np.allclose(answer, slip, atol=tolerance):
            return hint
    if answer.shape != expected.shape:
        return f"The shape is {answer.shape}; it should be {expected.shape}."
    differs = ~np.isclose(answer, expected, atol=tolerance)
    if not differs.any():
        return None
    first = tuple(int(i) for i in np.argwhere(differs)[0])
    return f"{int(differs.sum())} of {expected.size} numbers differ; the first one is at index {first}."


def number_hint(answer, expected, wrong=(), tolerance=1e-6):
    """None if `answer` is the number, else the hint of a known slip, or whether it is too large or too small.

    wrong: a dict or pairs from the number that a known slip gives to the hint for it.
    """
    answer = float(answer[0] if isinstance(answer, (list, tuple)) and len(answer) == 1 else answer)
    for slip, hint in dict(wrong).items():
        if abs(answer - slip) <= tolerance:
            return hint
    if abs(answer - expected) <= tolerance:
        return None
    return f"{answer:g} is too {'large' if answer > expected else 'small'}."


def numbers_hint(answer, names, expected, slips=(), tolerance=1e-6, relative=0.0):
    """None if every number of the answer is right, else a hint for the first that is not, by its name.

    slips: (place, number that a known slip gives, the hint for it); the nearest one counts. Two numbers are equal
    within tolerance plus the share `relative` of the expected one.
    """
    numbers = as_numbers([answer] if len(names) == 1 else answer, len(names))
    if isinstance(numbers, str):
        return f"{numbers[:-1]}: {', '.join(names)}."

    def equal(number, other):
        return abs(number - other) <= tolerance + relative * abs(other)

    for place, (name, given, right) in enumerate(zip(names, numbers, expected, strict=True)):
        if equal(given, right):
            continue
        known = [(slip, hint) for where, slip, hint in slips if where == place and equal(given, slip)]
        if known:
            return min(known, key=lambda pair: abs(given - pair[0]))[1]
        if 0 < right < 1 and equal(given / 100, right):
            return f"The {name} is a percentage: give a share between 0 and 1."
        return f"The {name} is too {'large' if given > right else 'small'}."
    return None


def _holds_nan(answer):
    if isinstance(answer, dict):
        return any(map(_holds_nan, answer.values()))
    if isinstance(answer, (list, tuple)):
        return any(map(_holds_nan, answer))
    if torch.is_tensor(answer):
        return bool(answer.isnan().any())
    if isinstance(answer, (np.ndarray, np.generic)):
        return answer.dtype.kind == "f" and bool(np.isnan(answer).any())
    return isinstance(answer, float) and answer != answer


def as_numbers(answer, n):
    """The answer as n floats, one after the other where it is nested, or a hint."""
    try:
        given = [float(number) for part in answer for number in np.ravel(part)]
    except (TypeError, ValueError):
        return f"Give a list of {n} numbers."
    return given if len(given) == n else f"Give {n} numbers, not {len(given)}."
