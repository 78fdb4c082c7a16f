"""The backward step of every ReLU in a model, replaced while a context lasts, however the model calls it."""

import re

import torch
from torch.overrides import TorchFunctionMode

CLAMPS = {"clamp", "clamp_", "clip", "clip_", "clamp_min", "clamp_min_", "hardtanh", "hardtanh_"}
OTHERS = "[Ee]lu|Silu|Mish|Hardswish|Softplus|Threshold|Hardtanh|shrink|Maximum|Fmax"  # of the graph's steps
HIDDEN = "^Relu|DifferentiableGraph|CompiledFunction"  # steps of torch.jit and torch.compile, which nothing replaces


class Rectifying(TorchFunctionMode):
    """Every ReLU that runs in this context passes max(G, 0) backward; guided: only where its input was above 0.

    ReLU6, a clamp at 0 from below, and in-place calls are ReLUs too. One that a model writes out in arithmetic, as
    `x * (x > 0)`, can't be told from other arithmetic.
    """

    def __init__(self, guided):
        super().__init__()
        self.guided, self.met = guided, False

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        x, top = args[0] if args else kwargs.get("input"), _top(name, args, kwargs)
        if top is None or not x.is_floating_point():
            return func(*args, **kwargs)
        self.met = True
        return _Rectifier.apply(x, top, self.guided, _in_place(name, args, kwargs))

    def check(self, value):
        """Raises ValueError where no ReLU was met, or the way back from `value` leads through one not replaced.

        That is a rectifier of another kind, for which the rule is not defined, or one inside compiled code.
        """
        if unfit := [step for step in _steps(value) if re.search(f"{HIDDEN}|{OTHERS}", step)]:
            raise ValueError(f"the rule is defined for ReLU, and the model calls {_readable(unfit[0])}: use saliency")
        if not self.met:
            raise ValueError("the model calls no ReLU, whose backward step this method replaces: use saliency")


class _Rectifier(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, top, guided, in_place):
        if in_place:
            ctx.mark_dirty(x)
        y = x.clamp_(0, top) if in_place else x.clamp(0, top)
        ctx.passes = _passes(y, top) if guided else None
        return y

    @staticmethod
    def backward(ctx, grad):
        grad = grad.relu()
        return grad if ctx.passes is None else grad.mul_(ctx.passes), None, None, None


def _passes(y, top):
    """1 where a ReLU's output lies between 0 and its top, else 0; numbers, since products with bools are slow."""
    return y.sign() if top == float("inf") else y.sign().mul_(y < top)


def _steps(value):
    """The names of the steps that lead from a value back to what it was computed from."""
    seen, waiting = set(), [value.grad_fn]
    while waiting:
        step = waiting.pop()
        if step is not None and step not in seen:
            seen.add(step)
            waiting += [before for before, _ in step.next_functions]
    return sorted(step.name() for step in seen)


def _readable(step):
    return "compiled code" if re.search(HIDDEN, step) else re.sub(r"Backward\d*$", "", step).lower()


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
    if low is None or torch.as_tensor(low).ne(0).any():
        return None
    return float("inf") if high is None else float(high)


def _in_place(name, args, kwargs):
    return name.endswith("_") or kwargs.get("inplace", False) or any(a is True for a in args[1:])
