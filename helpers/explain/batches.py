"""Batches of pictures: what is one, how many go through a model at once."""

import torch

PIXELS = 8 * 224 * 224  # that pass through a model at once, where a method needs many passes


def check_batch(x, name="x"):
    """Raises ValueError unless x is a batch of finite floats, (N, C, H, W) for pictures, with at least one.

    name: what the error calls it.
    """
    if not torch.is_tensor(x) or not x.is_floating_point():
        kind = str(x.dtype)[6:] if torch.is_tensor(x) else type(x).__name__
        raise ValueError(f"{name} must be a float tensor, preprocessed as the model expects, got {kind}")
    if x.ndim == 3 or x.ndim < 2 or not x.numel():
        raise ValueError(f"{name} must be a batch (N, C, H, W) of at least one picture, got shape {tuple(x.shape)}")
    if x.is_meta:
        raise ValueError(f"{name} lies on the device 'meta', which holds no values: load the model's weights first")
    if not x.isfinite().all():
        raise ValueError(f"{name} holds nan or infinite values")


def check_pictures(x, name="x"):
    """`check_batch`, and ValueError for what is no batch of pictures, (N, C, H, W)."""
    check_batch(x, name)
    if x.ndim != 4:
        raise ValueError(f"{name} must be a batch (N, C, H, W), got shape {tuple(x.shape)}")


def baseline_like(x, baseline):
    """The baseline as a tensor of x's shape. Raises ValueError where it does not broadcast to it."""
    try:
        return torch.as_tensor(baseline, dtype=x.dtype, device=x.device).detach().expand_as(x)
    except RuntimeError:
        shape = tuple(torch.as_tensor(baseline).shape)
        raise ValueError(f"a baseline of shape {shape} does not fit pictures of shape {tuple(x.shape)}") from None
    except TypeError:
        raise ValueError(f"a baseline is a number or a tensor, got {baseline!r}") from None


def at_once(x):
    """How many pictures of x's size to give a model at once: enough to keep it busy, few enough for the memory."""
    return max(1, PIXELS // x[0, 0].numel())


def in_parts(items, most):
    """A tensor cut into as few parts of at most `most` rows as can be, nearly equal ones."""
    return items.tensor_split(-(-len(items) // max(1, most)))
