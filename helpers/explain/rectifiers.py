"""The backward step of every ReLU in a model, replaced while a context lasts, however the model calls it."""

from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode

CLAMPS = {"clamp", "clamp_", "clip", "clip_", "clamp_min", "clamp_min_", "hardtanh", "hardtanh_"}
OTHERS = {"leaky_relu", "leaky_relu_", "prelu", "rrelu", "rrelu_", "elu", "elu_", "selu", "selu_", "celu", "celu_"}
OTHERS |= {"gelu", "silu", "mish", "hardswish", "softplus", "threshold", "threshold_", "hardshrink", "softshrink"}


@contextmanager
def rectifying(guided):
    """Every ReLU that runs in this context passes max(G, 0) backward; guided: only where its input was above 0.

    ReLU6, a clamp at 0 from below, and in-place calls are ReLUs too. Raises ValueError for a rectifier of another
    kind, for which the rule is not defined, and where no ReLU was met at all.
    """
    rule = _Rectifying(guided)
    with rule:
        yield
    if not rule.met:
        raise ValueError("the model calls no ReLU, whose backward step this method replaces: use saliency")


class _Rectifying(TorchFunctionMode):
    def __init__(self, guided):
        super().__init__()
        self.guided, self.met = guided, False

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        top = _top(name, args, kwargs)
        if name in OTHERS or (top is None and name.startswith("hardtanh")):
            raise ValueError(f"the rule is defined for ReLU, and the model calls {name.rstrip('_')}: use saliency")
        if top is None:
            return func(*args, **kwargs)
        self.met = True
        x = args[0] if args else kwargs["input"]
        return _Rectifier.apply(x, top, self.guided, _in_place(name, args, kwargs))


class _Rectifier(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, top, guided, in_place):
        ctx.passes = (x > 0) & (x < top) if guided else None
        if in_place:
            ctx.mark_dirty(x)
        return x.clamp_(0, top) if in_place else x.clamp(0, top)

    @staticmethod
    def backward(ctx, grad):
        passes = grad > 0 if ctx.passes is None else (grad > 0) & ctx.passes
        return grad * passes, None, None, None


def _top(name, args, kwargs):
    """Where the ReLU that a call is ends: infinity, or 6 for ReLU6; None for a call that is no ReLU."""
    if name in ("relu", "relu_"):
        return float("inf")
    if name == "relu6":
        return 6.0
    if name not in CLAMPS:
        return None
    low, high = ("min_val", "max_val") if name.startswith("hardtanh") else ("min", "max")
    low, high = (args[i] if len(args) > i else kwargs.get(key) for i, key in ((1, low), (2, high)))
    if not isinstance(low, (int, float)) or low != 0:
        return None
    return float("inf") if high is None else float(high)


def _in_place(name, args, kwargs):
    return name.endswith("_") or kwargs.get("inplace", False) or any(a is True for a in args[1:])
