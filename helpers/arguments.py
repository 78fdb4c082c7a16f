"""Checks of arguments that several modules share; each error says what was given and what would fit."""

import operator

import torch


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
    """Raises ValueError for a number below `least`, infinity and nan."""
    if not least <= value < float("inf"):
        raise ValueError(f"{name} must be at least {least}, got {value}")


def described(value):
    """What an error says of a value: a tensor's shape, else the type."""
    return str(tuple(value.shape)) if torch.is_tensor(value) else type(value).__name__
