"""What is explained: the numbers that a target names in a model's output, and their gradients."""

import operator

import torch

from helpers.arguments import described


def score(output, target):
    """The numbers, one a picture, (N,), that `target` names in a model's output.

    target: the index of a class (of logits (N, K)), a list, tuple or tensor of N indices, or a function of the output
    that returns (N,) or a single number. Raises ValueError for anything else, and for an index that is not there.
    """
    if callable(target):
        return _of_function(output, target)
    if not torch.is_tensor(output) or output.ndim != 2:
        what = described(output)
        raise ValueError(f"a class index needs an output (N, classes), this one is {what}: pass a function of it")
    return output.gather(1, _indices(target, *output.shape).to(output.device)[:, None])[:, 0]


def scores(output, target, n):
    """`score` of several batches of n pictures that went through the model as one, (M,); M for a single number too."""
    if not torch.is_tensor(output):
        return score(output, target).reshape(-1)
    return torch.cat([score(part, target).reshape(-1) for part in output.split(n)])


def one_a_picture(value, n):
    """The scores of n pictures, (n,). Raises ValueError for a single number in their place."""
    if value.ndim == 0 and n > 1:
        raise ValueError(f"the target must return one number for each of the {n} pictures, got a single one")
    return value.reshape(-1)


def gradient(value, at, what):
    """The gradient of the sum of `value` at `at`; parameters' `.grad` stays as it is.

    Raises ValueError, naming `what`, where there is none.
    """
    if torch.is_inference_mode_enabled():
        raise ValueError("torch.inference_mode() allows no gradients: leave its context before this call")
    if not value.requires_grad:
        raise ValueError("the target has no gradient: compute it from the output by differentiable steps")
    (result,) = torch.autograd.grad(value.sum(), at, allow_unused=True)
    if result is None:
        raise ValueError(f"the target does not depend on {what}")
    return result


def _of_function(output, target):
    value = target(output)
    if not torch.is_tensor(value) or value.ndim > 1 or (value.ndim and len(value) != _rows(output, len(value))):
        what = "a target function must return one number a picture, (N,), or a single one"
        raise ValueError(f"{what}, got {described(value)}")
    return value


def _indices(target, n, n_classes):
    values = target.tolist() if hasattr(target, "tolist") else target
    values = values if isinstance(values, (list, tuple)) else [values] * n
    try:
        indices = [_whole(value) for value in values]
    except TypeError:
        message = f"target must be a class index, {n} of them or a function of the output, got {target!r}"
        raise ValueError(message) from None
    if len(indices) != n:
        raise ValueError(f"{n} pictures but {len(indices)} targets")
    if not all(0 <= i < n_classes for i in indices):
        raise ValueError(f"class indices must lie between 0 and {n_classes - 1}, got {target!r}")
    return torch.tensor(indices)


def _whole(value):
    value = value.item() if torch.is_tensor(value) else value
    if isinstance(value, bool):
        raise TypeError("True and False are no class indices")
    return operator.index(value)


def _rows(output, otherwise):
    return len(output) if torch.is_tensor(output) and output.ndim else otherwise
