"""Maps from the gradient of a score with respect to the picture.

Each function takes a model, a float batch x (N, C, H, W) and a target (see `score`), and returns a signed map of the
shape of x, in units of the score per unit of x; the model is run in evaluation mode and left as it was.
"""

from itertools import islice

import numpy as np
import torch

from helpers.arguments import at_least, described, whole
from helpers.explain.batches import at_once, baseline_like, check_batch, in_parts
from helpers.explain.rectifiers import Rectifying
from helpers.explain.targets import gradient, score, scores
from helpers.watch import output_of, watching


def saliency(model, x, target, layer=None):
    """The gradient of the score, dS/dx.

    layer: where given, the target is one of this layer's output instead of the model's, as `unit(channel)`.
    Source: Simonyan, Vedaldi and Zisserman (2014); Chapter 14, "One backward pass".
    """
    check_batch(x)
    with watching(model, [] if layer is None else [layer]) as outputs:
        return _gradient(model, x, target, layer, outputs)


def deconvnet(model, x, target, layer=None):
    """The gradient with each ReLU's backward step replaced: G -> max(G, 0), whatever the ReLU's input was.

    Raises ValueError where the model has no ReLU, or a rectifier of another kind. layer: as in `saliency`.
    Source: Zeiler and Fergus (2014); Chapter 14, "Three rules for a ReLU".
    """
    check_batch(x)
    with watching(model, [] if layer is None else [layer]) as outputs, Rectifying(guided=False) as rule:
        return _gradient(model, x, target, layer, outputs, rule.check)


def guided_backprop(model, x, target, layer=None):
    """The gradient with each ReLU's backward step replaced: G -> max(G, 0) where the ReLU's input was above 0, else 0.

    Works for ReLU as a module, used once or often, in place or not, and as a function. Raises ValueError where the
    model has none, or a rectifier of another kind (ReLU6 is fine). layer: as in `saliency`.
    Source: Springenberg et al. (2015); Chapter 14, "Three rules for a ReLU".
    """
    check_batch(x)
    with watching(model, [] if layer is None else [layer]) as outputs, Rectifying(guided=True) as rule:
        return _gradient(model, x, target, layer, outputs, rule.check)


def smooth_grad(model, x, target, n_samples=25, noise=0.15, generator=None):
    """The mean gradient over noisy copies of the picture: mean of dS/dx at x + e, e normal.

    noise: the standard deviation of e, as a share of each picture's range (largest minus smallest value).
    generator: of the noise. Raises ValueError for fewer samples than 1 and noise below 0.
    Source: Smilkov et al. (2017); Chapter 14, "The mean over noisy copies".
    """
    check_batch(x)
    n_samples = whole("n_samples", n_samples, 1)
    at_least("noise", noise)
    x, values = x.detach(), x.detach().flatten(1)
    deviation = noise * (values.amax(1) - values.amin(1)).view(-1, *[1] * (x.ndim - 1))
    points = (x + deviation * _normal(x, generator) for _ in range(n_samples))
    return _weighted_sum(model, points, [1 / n_samples] * n_samples, target, x)


def integrated_gradients(model, x, target, baseline=None, n_steps=50):
    """(x - b) times the mean gradient on the straight path from the baseline b to x.

    The integral over the path is a Gauss-Legendre sum of n_steps points. The attributions of a picture add up to
    S(x) - S(b), as nearly as the sum is exact (completeness). baseline: a number or what broadcasts to x, 0 if None.
    Raises ValueError for fewer steps than 1 and a baseline of another shape.
    Source: Sundararajan, Taly and Yan (2017); Chapter 14, "A sum that must come out".
    """
    check_batch(x)
    n_steps = whole("n_steps", n_steps, 1)
    x = x.detach()
    start = baseline_like(x, 0.0 if baseline is None else baseline)
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)  # on [-1, 1]
    points = (start + (node + 1) / 2 * (x - start) for node in nodes.tolist())
    return (x - start) * _weighted_sum(model, points, weights / 2, target, x)


def unit(channel, place=None):
    """A target for a layer's output (N, K, h, w): one channel's value at `place` (row, column), or at its strongest.

    Raises ValueError for a channel below 0, and when it meets an output of another shape, without this channel, or
    without this place.
    Source: Chapter 14, "Any neuron".
    """
    channel = whole("channel", channel)

    def value(output):
        if not torch.is_tensor(output) or output.ndim != 4 or channel >= output.shape[1]:
            raise ValueError(f"channel {channel} of an output (N, K, h, w) was asked for, it is {described(output)}")
        if place is None:
            return output[:, channel].flatten(1).max(1).values
        (row, column), (height, width) = place, output.shape[2:]
        if not (0 <= row < height and 0 <= column < width):
            raise ValueError(f"place ({row}, {column}) does not lie in a map of {height} x {width}")
        return output[:, channel, row, column]

    return value


def strongest_channel(maps):
    """The largest absolute value over the channels of maps (N, C, H, W), as (N, H, W).

    Source: Simonyan, Vedaldi and Zisserman (2014); Chapter 14, "Signs and channels".
    """
    if not torch.is_tensor(maps) or maps.ndim != 4:
        raise ValueError(f"maps must be (N, C, H, W), got {described(maps)}")
    return maps.abs().amax(1)


def _gradient(model, x, target, layer, outputs, check=lambda value: None):
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        output = model(x.clone())
        value = score(output if layer is None else output_of(outputs, layer), target)
        check(value)
        return gradient(value, x, "the pictures")


def _weighted_sum(model, points, weights, target, x):
    """The sum of the gradients at the points, each a batch like x, times their weights; several points at a time."""
    total = torch.zeros_like(x)
    with watching(model), torch.enable_grad():
        for part in in_parts(torch.as_tensor(weights, dtype=torch.float64), at_once(x) // len(x)):
            slopes = _slopes(model, torch.cat(list(islice(points, len(part)))), target, len(x))
            total += torch.tensordot(part.to(slopes), slopes.unflatten(0, (-1, len(x))), dims=1)
    return total


def _slopes(model, batch, target, n):
    """The gradients at the pictures of `batch`, which is several batches of n that go through the model as one.

    They go one by one where the output is no tensor that could be taken apart again.
    """
    output = model(batch.requires_grad_().clone())
    if torch.is_tensor(output) or len(batch) == n:
        return gradient(scores(output, target, n), batch, "the pictures")
    return torch.cat([_slopes(model, part, target, n) for part in batch.detach().split(n)])


def _normal(x, generator):
    device = x.device if generator is None else generator.device
    return torch.randn(x.shape, generator=generator, device=device).to(x)
