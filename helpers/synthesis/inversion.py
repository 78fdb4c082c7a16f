"""Codes turned back into pictures. Source: Chapter 17, "Turning a code back into a picture"."""

import torch

from helpers.arguments import at_least
from helpers.explain.batches import check_pictures
from helpers.synthesis.ascent import gradient_ascent
from helpers.synthesis.smoothness import normal
from helpers.synthesis.smoothness import total_variation as variation
from helpers.watch import output_of, watching


def invert(model, x, layer, steps=400, lr=0.05, total_variation=0.1, norm=0.0, alpha=6, noise=0.1, start=None,
           generator=None, **settings):  # fmt: skip
    """Pictures whose codes at a layer come near those of x: (pictures, errors).

    Minimises, for each picture p by itself, with the layer's output f(p) as its code and M numbers in a picture,
    ||f(p) - f(x)||^2 / ||f(x)||^2 + total_variation * TV(p) / M + norm * sum |p|^alpha / M.
    x: (N, C, H, W) as the model takes it. total_variation, norm: the weights of the two priors, smooth and not too
    bright. noise: the standard deviation of normal noise to start from; start: a batch to start from instead.
    settings: of `gradient_ascent`, such as jitter, fourier and bounds. errors: ||f(p) - f(x)|| / ||f(x)||, 0 for a code
    met exactly, 1 for a code of zeros: (steps + 1, N) on the CPU, before each step and of the result.
    Raises ValueError for a layer that is not there, codes that do not fit or are 0, and settings out of range. The
    model is run in evaluation mode and left as it was.
    Source: Mahendran and Vedaldi (2015), with the priors per pixel as in their version of 2016; Chapter 17, "Turning a
    code back into a picture".
    """
    _check(x, total_variation, norm, alpha)
    start, errors = normal(x, noise, generator) if start is None else start, []
    with watching(model, [layer]) as outputs:
        with torch.no_grad():
            model(x.clone())
        wanted = _wanted(output_of(outputs, layer))

        def objective(p):
            model(p)
            error = _distance(output_of(outputs, layer), wanted)
            errors.append(error.detach().sqrt())
            priors = total_variation * variation(p) + norm * p.abs().pow(alpha).flatten(1).sum(1)
            return -error - priors / p[0].numel()

        pictures, _ = gradient_ascent(objective, start, steps, lr, generator=generator, **settings)
    return pictures, torch.stack(errors).cpu()


def _distance(codes, wanted):
    """||f - f0||^2 / ||f0||^2 of each picture, (N,)."""
    if codes.shape != wanted.shape:
        shapes = f"{tuple(codes.shape)}, x of {tuple(wanted.shape)}"
        raise ValueError(f"start has codes of shape {shapes}: give it the shape of x")
    return (codes - wanted).flatten(1).square().sum(1) / wanted.flatten(1).square().sum(1)


def _wanted(codes):
    if not (codes.flatten(1) != 0).any(1).all():
        raise ValueError("the layer answers 0 everywhere to one of the pictures: there is no code to come near")
    return codes


def _check(x, total_variation, norm, alpha):
    check_pictures(x)
    at_least("total_variation", total_variation)
    at_least("norm", norm)
    at_least("alpha", alpha, 1)
