"""Checks of arguments that several modules share; each error says what was given and what would fit."""

import math
import operator

import torch

from helpers.imageset import ImageSet


def whole(name, value, least=0):
    """The value as an int. Raises ValueError for what is no whole number, as 2.0 or True, and for a smaller one."""
    try:
        number = operator.index(value) if not isinstance(value, bool) else None
    except TypeError:
        number = None
    if number is None or number < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return number


def at_least(name, value, least=0):
    """Raises ValueError for what is no number, as text, for one below `least`, infinity and nan."""
    if not least <= as_float(value) < math.inf:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")


def as_float(value):
    """The value as a float; nan for what is no single number, as text or None."""
    try:
        return math.nan if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, RuntimeError):
        return math.nan


def all_tensors(**values):
    """Raises ValueError for what is no torch tensor, and names it."""
    for name, value in values.items():
        if not torch.is_tensor(value):
            raise ValueError(f"{name} must be a torch tensor, got {described(value)}: torch.as_tensor makes one")


def image_set(name, value):
    """Raises ValueError for what is no ImageSet of at least one picture."""
    if not isinstance(value, ImageSet) or not len(value):
        got = f"{len(value)} pictures" if isinstance(value, ImageSet) else described(value)
        raise ValueError(f"{name} must be an ImageSet of at least one picture, got {got}")


def described(value):
    """What an error says of a value: a tensor's shape, else the type."""
    return str(tuple(value.shape)) if torch.is_tensor(value) else type(value).__name__
