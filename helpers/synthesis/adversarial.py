"""Small changes that fool a network, in the l_inf norm: no value of the picture changes by more than epsilon.

x: pictures (N, C, H, W) with values within `bounds`, and epsilon in the same units; a network that takes normalised
pictures is wrapped in `Normalised`. target: the true class, whose cross-entropy is raised, or with targeted=True the
wanted class, whose cross-entropy is lowered: an index, or a list or tensor of N. Results have the shape of x. The model
is run in evaluation mode and left as it was; each picture changes by itself, whatever else is in the batch.
All raise ValueError for pictures outside the bounds, a negative epsilon and targets that do not fit.
"""

import torch
from torch import nn

from helpers.arguments import at_least, described, whole
from helpers.explain.batches import check_pictures
from helpers.explain.targets import gradient, score
from helpers.synthesis.smoothness import limits, uniform
from helpers.watch import check_model, watching

ROUNDING = 1e-6  # how far pictures may lie outside the bounds, as a share of their width


class Normalised(nn.Module):
    """A network that takes normalised pictures, made to take pictures in [0, 1]: model((x - mean) / std).

    mean, std: one number for all channels or one for each. The layers keep their names, behind "model.".
    Raises ValueError unless every std is positive, and for pictures with another number of channels.
    Source: Chapter 17, "One step against the gradient".
    """

    def __init__(self, model, mean, std):
        super().__init__()
        check_model(model)
        like = next(model.parameters(), torch.zeros(()))
        mean, std = (torch.as_tensor(v, dtype=like.dtype, device=like.device).reshape(-1, 1, 1) for v in (mean, std))
        if not (std > 0).all():
            raise ValueError(f"std must be positive, got {std.flatten().tolist()}")
        self.model, self.training = model, model.training
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x):
        _check_channels(x, self.mean, self.std)
        return self.model((x - self.mean) / self.std)


@torch.fx.wrap  # torch.fx, which follows a model for its receptive fields, takes this as one step
def _check_channels(x, mean, std):
    if not {len(mean), len(std)} <= {1, x.shape[1]}:
        raise ValueError(f"{len(mean)} means and {len(std)} deviations for pictures with {x.shape[1]} channels")


def fgsm(model, x, target, epsilon, targeted=False, bounds=(0, 1)):
    """One step of epsilon: x + epsilon * sign(dL/dx), L the cross-entropy with the true class.

    targeted: x - epsilon * sign(dL/dx), L the cross-entropy with the wanted class. Cut off at the bounds; where the
    gradient is 0, nothing changes. Source: Goodfellow, Shlens and Szegedy (2015), the fast gradient sign method;
    Chapter 17, "One step against the gradient".
    """
    x, low, high = _checked(x, epsilon, bounds)
    with watching(model):
        return (x + epsilon * _direction(model, x, target, targeted)).clamp(low, high)


def pgd(model, x, target, epsilon, step=None, n_steps=10, targeted=False, bounds=(0, 1), generator=None):
    """Many small steps along the gradient's sign, each followed by the way back to within epsilon of x and the bounds.

    step: the length of one, in units of x; 2.5 * epsilon / n_steps if None, enough to cross from one side to the other.
    generator: where given, the first place is drawn evenly from those within epsilon, else it is x. Returns the last
    place, which need not be the worst. Raises ValueError too for a step of 0 or less and for fewer steps than 1.
    Source: Madry et al. (2018), projected gradient descent; Chapter 17, "Many small steps".
    """
    x, low, high = _checked(x, epsilon, bounds)
    n_steps = whole("n_steps", n_steps, 1)
    if isinstance(step, bool) or (step is not None and not 0 < step < float("inf")):
        raise ValueError(f"step must be above 0, got {step}")
    step = 2.5 * epsilon / n_steps if step is None else step
    least, most = (x - epsilon).clamp(low, high), (x + epsilon).clamp(low, high)
    place = x if generator is None else x + epsilon * (2 * uniform(x, generator) - 1)
    with watching(model):
        for _ in range(n_steps):
            place = place.clamp(least, most)
            place = place + step * _direction(model, place, target, targeted)
    return place.clamp(least, most)


def sign_noise(x, epsilon, bounds=(0, 1), generator=None):
    """The control: noise of the same size, each value moved by +epsilon or -epsilon by chance, cut off at the bounds.

    Source: Chapter 17, "One step against the gradient".
    """
    x, low, high = _checked(x, epsilon, bounds)
    signs = torch.where(uniform(x, generator) < 0.5, -1.0, 1.0).to(x)
    return (x + epsilon * signs).clamp(low, high)


def _direction(model, x, target, targeted):
    """The sign of the change, -1, 0 or 1, that raises log p of the wanted class, or lowers that of the true one."""
    if callable(target):
        raise ValueError("target must be a class index or one for each picture here: the loss is their cross-entropy")
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        logits = model(x.clone())
        if not torch.is_tensor(logits) or logits.ndim != 2:
            raise ValueError(f"the model must return logits (N, classes), this one returned {described(logits)}")
        log_p = score(logits.log_softmax(1), target)  # the cross-entropy is -log p of the class
        slope = gradient(log_p, x, "the pictures").sign()
    return slope if targeted else -slope


def _checked(x, epsilon, bounds):
    """(x, low, high), x detached."""
    check_pictures(x)
    at_least("epsilon", epsilon)
    low, high = limits(bounds, x)
    spare = ROUNDING * (high - low)
    if not ((x >= low - spare) & (x <= high + spare)).all():
        found = f"{x.min().item():.3g} to {x.max().item():.3g}"
        raise ValueError(f"x must lie within the bounds {bounds}, got {found}; Normalised makes a model take [0, 1]")
    return x.detach(), low, high
