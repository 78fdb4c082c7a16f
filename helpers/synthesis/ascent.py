"""Gradient ascent on the picture: what makes a class's score or a unit's activation large."""

import operator
import warnings

import torch

from helpers.arguments import at_least, described, whole
from helpers.conv import pair
from helpers.explain.batches import check_pictures
from helpers.explain.targets import gradient, score
from helpers.synthesis.smoothness import blur as blurred
from helpers.synthesis.smoothness import from_spectrum, limits, normal, roll, to_spectrum
from helpers.watch import check_model, output_of, watching

# Beside the coursework's settings: coarser structure, less speckle
SMOOTH = {"steps": 256, "lr": 0.05, "jitter": 4, "blur": 0.5, "fourier": True}


def gradient_ascent(objective, start, steps=256, lr=0.05, l2=0.0, jitter=0, blur=0.0, fourier=False, bounds=None,
                    generator=None, blur_every=4):  # fmt: skip
    """Change the pictures by Adam so that objective(pictures) - l2 * ||picture||^2 grows: (pictures, values).

    objective: a function of the batch (N, C, H, W) that returns (N,) or a single number, whose sum is maximised.
    start: the batch to begin with, in the units that the objective expects; it stays as it is. lr: Adam's step, in
    these units. jitter: at each step the objective sees the picture shifted round by up to so many pixels.
    blur: standard deviation in pixels of a Gaussian blur of the picture itself before every `blur_every`-th step; the
    gradient is not blurred, since Adam scales each pixel's step to about lr and would undo it. fourier: the steps are
    taken in the picture's spectrum, each frequency weighted by 1 / frequency (`to_spectrum`), not in its pixels.
    bounds: (low, high), numbers or one for each channel; the picture is cut off there at the start and after each step.
    generator: of the shifts. pictures: (N, C, H, W), detached. values: of the objective alone, without the l2 term,
    (steps + 1, N) on the CPU, or (steps + 1,): as seen before each step, and for the result, which is not shifted.
    Raises ValueError for settings out of range and an objective of another shape or without a gradient,
    FloatingPointError where it is no longer finite; warns where the objective's slope is 0 everywhere at the start.
    Source: Simonyan et al. (2014), Yosinski et al. (2015), Olah et al. (2017); Chapter 16, "Gradient ascent".
    """
    _check(start, steps, lr, l2, jitter, blur, blur_every)
    write, read = _forms(start.shape[2:], fourier)
    cut = _cutting(bounds, start)
    numbers, values = write(cut(start.detach().clone())), []
    adam = torch.optim.Adam([numbers.requires_grad_()], lr, maximize=True)
    for step in range(steps):
        if blur and step and step % blur_every == 0:
            _rewrite(numbers, lambda: write(blurred(read(numbers), blur)))
        value, slope = _climb(objective, numbers, read, l2, jitter, generator, adam)
        values.append(value)
        if step == 0:
            _warn_where_flat(slope)
        if bounds is not None:
            _rewrite(numbers, lambda: write(cut(read(numbers))))
    pictures = cut(read(numbers.detach()))
    values = torch.stack([*values, _value(objective, pictures.clone()).detach()]).cpu()
    if not values.isfinite().all():
        raise FloatingPointError("the objective is no longer finite: try a smaller lr, bounds or an l2 above 0")
    return pictures, values


def class_image(model, target, size=64, steps=1000, lr=0.01, l2=1e-3, noise=0.1, start=None, generator=None,
                **settings):  # fmt: skip
    """A picture with a high score S of the class, by maximising S - l2 * ||picture||^2: (pictures, values).

    The defaults are the coursework's, Adam at 0.01 and 1000 steps, from weak noise, since it leaves the start open;
    `**SMOOTH` gives smoother pictures.
    S is the class's output before a softmax, whose share could also grow by lowering the other classes.
    target: a class index, a list or tensor of N for as many pictures, or a function of the output. size: an int or
    (h, w) of the pictures, in the units that the model takes, RGB. noise: the standard deviation of normal noise to
    start from; 0 for zeros, where some networks have no slope. start: a batch to start from instead. generator: of the
    noise and shifts. settings: of `gradient_ascent`, whose result this is. The model is run in evaluation mode and left
    as it was. Raises ValueError for a class that is not there.
    Source: Simonyan, Vedaldi and Zisserman (2014); Chapter 16, "Class images".
    """
    start = _start(model, _count(target), size, noise, generator) if start is None else start
    with watching(model):
        return gradient_ascent(lambda x: score(model(x), target), start, steps, lr, l2, generator=generator, **settings)


def unit_image(model, layer, unit, size=64, place="mean", steps=256, lr=0.05, noise=0.1, start=None, generator=None,
               **settings):  # fmt: skip
    """A picture that a unit of a layer answers to strongly: (pictures, values).

    layer: a qualified name or the module. unit: the index of a channel of (N, K, h, w), or of an output of (N, K), or a
    list of N for as many pictures. place: "mean", the mean over the map; "centre", the map's middle; or (row, column).
    size, noise, start, generator, settings: as in `class_image`. A unit behind a ReLU that the start leaves at 0
    everywhere has no slope, and nothing moves (there is a warning): name the layer before the ReLU.
    Raises ValueError for a layer or unit that is not there. The model is run in evaluation mode and left as it was.
    Source: Erhan et al. (2009); Chapter 16, "Gradient ascent".
    """
    start = _start(model, _count(unit), size, noise, generator) if start is None else start

    def activation(x):
        model(x)
        return score(_at(output_of(outputs, layer), place), unit)

    with watching(model, [layer]) as outputs:
        return gradient_ascent(activation, start, steps, lr, generator=generator, **settings)


def _climb(objective, numbers, read, l2, jitter, generator, adam):
    """One step of Adam; the objective's value and slope before it."""
    with torch.enable_grad():
        pictures = read(numbers)
        value = _value(objective, roll(pictures, jitter, generator))
        slope = gradient(value, pictures, "the pictures")
        uphill = slope - 2 * l2 * pictures.detach()  # the slope of l2 ||I||^2 is 2 l2 I
        (numbers.grad,) = torch.autograd.grad(pictures, numbers, uphill)
    adam.step()
    return value.detach(), slope


def _warn_where_flat(slope):
    flat = (slope == 0).flatten(1).all(1).nonzero().flatten().tolist()
    if flat:
        where = f"the objective has slope 0 everywhere at the start of picture {', '.join(map(str, flat))} of the batch"
        warnings.warn(f"{where}: behind a ReLU at 0, nothing climbs; start from (more) noise", stacklevel=3)


def _value(objective, pictures):
    value, n = objective(pictures), len(pictures)
    if not torch.is_tensor(value) or value.shape not in ((), (n,)):
        what = "the objective must return one number a picture"
        raise ValueError(f"{what}, ({n},), or a single one, got {described(value)}")
    return value


def _forms(size, fourier):
    """(write, read): from pictures to the numbers that Adam changes, and back."""
    if not fourier:
        return lambda x: x, lambda numbers: numbers
    return to_spectrum, lambda numbers: from_spectrum(numbers, size)


def _cutting(bounds, x):
    if bounds is None:
        return lambda x: x
    low, high = limits(bounds, x)
    return lambda x: x.clamp(low, high)


@torch.no_grad()
def _rewrite(numbers, new):
    numbers.copy_(new())


def _at(output, place):
    """(N, K, h, w) at a place of the map, or its mean, as (N, K); (N, K) as it is."""
    if output.ndim == 2:
        return output
    if output.ndim != 4:
        raise ValueError(f"a unit needs a layer that returns (N, K, h, w) or (N, K), this one {tuple(output.shape)}")
    if isinstance(place, str) and place == "mean":
        return output.mean((2, 3))
    h, w = output.shape[2:]
    row, column = (h // 2, w // 2) if isinstance(place, str) and place == "centre" else _place(place)
    if not (0 <= row < h and 0 <= column < w):
        raise ValueError(f"place ({row}, {column}) does not lie in a map of {h} x {w}")
    return output[:, :, row, column]


def _place(place):
    try:
        row, column = (operator.index(i) for i in place)
    except (TypeError, ValueError):
        raise ValueError(f"place must be 'mean', 'centre' or (row, column), got {place!r}") from None
    return row, column


def _count(target):
    """How many pictures a target asks for: as many as it lists, else one."""
    target = target.tolist() if hasattr(target, "tolist") else target
    return len(target) if isinstance(target, (list, tuple)) else 1


def _start(model, n, size, noise, generator):
    check_model(model)
    like = next(model.parameters(), torch.zeros(()))
    return normal(like.new_zeros(n, 3, *pair(size, "size")), noise, generator)


def _check(start, steps, lr, l2, jitter, blur, blur_every):
    check_pictures(start, "start")
    if start.dtype == torch.float16:
        raise ValueError("float16 is too coarse for Adam's steps: use model.float() and a start of float32")
    for name, value, least in (("steps", steps, 0), ("jitter", jitter, 0), ("blur_every", blur_every, 1)):
        whole(name, value, least)
    at_least("l2", l2)
    at_least("blur", blur)
    if not 0 < lr < float("inf"):
        raise ValueError(f"lr must be above 0, got {lr}")
