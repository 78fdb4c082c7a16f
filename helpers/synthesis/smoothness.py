"""What keeps a picture smooth while it is made: a blur, a shift, its spectrum, its total variation, bounds.

Source: Chapter 16, "Keeping the picture smooth". Pictures are float batches (N, C, H, W) of any sides.
"""

import functools

import torch

from helpers.arguments import at_least


def blur(x, deviation):
    """Each channel blurred with a Gaussian of this standard deviation in pixels, cut off at four of them; 0 for none.

    Beyond its border the picture goes on as its mirror image (d c b a | a b c d), so its mean stays exactly.
    Raises ValueError for a negative deviation.
    """
    at_least("the deviation of a blur, in pixels,", deviation)
    if deviation == 0:
        return x
    rows, columns = (_like(_blurring(side, deviation), x) for side in x.shape[2:])
    return rows @ x @ columns.T


def roll(x, jitter, generator=None):
    """A copy, shifted by up to `jitter` pixels either way along each side, what leaves on one side entering opposite.

    The whole batch shifts by the same two whole numbers, so that a picture comes out the same alone and in a batch.
    """
    if not jitter:
        return x.clone()
    shift = torch.randint(-jitter, jitter + 1, (2,), generator=generator, device=generator and generator.device)
    return x.roll(shift.tolist(), (2, 3))


def to_spectrum(x):
    """Pictures (N, C, H, W) as numbers (N, C, H, W // 2 + 1, 2), each frequency's real and imaginary part, weighted.

    The picture is the inverse Fourier transform of these numbers times 1 / frequency, so equal steps in all of them
    change coarse structure much and fine detail little. A step of s in each number changes the pixels by about s (root
    mean square), as a step of s in each pixel does.
    Source: Mordvintsev et al., "Differentiable image parameterizations" (2018); Olah et al. (2017).
    """
    return torch.view_as_real(torch.fft.rfft2(x, norm="ortho") / _like(_weights(*x.shape[2:]), x))


def from_spectrum(spectrum, size):
    """The pictures that `to_spectrum` wrote so; size: (H, W), which the numbers alone leave open by one column."""
    weighted = torch.view_as_complex(spectrum) * _like(_weights(*size), spectrum)
    return torch.fft.irfft2(weighted, s=tuple(size), norm="ortho")


def total_variation(x, beta=2.0):
    """How much neighbours differ, (N,): the sum over channels and places of (across^2 + down^2)^(beta / 2).

    `across` and `down` are the differences to the next pixel on the right and below, 0 at the border. beta: 1 allows
    sharp edges, 2 prefers gentle slopes. Raises ValueError for a beta below 1.
    Source: Mahendran and Vedaldi (2015); Chapter 17, "Turning a code back into a picture".
    """
    at_least("beta", beta, 1)
    across = torch.nn.functional.pad(x.diff(dim=3), (0, 1))
    down = torch.nn.functional.pad(x.diff(dim=2), (0, 0, 0, 1))
    squares = across**2 + down**2
    some = squares > 0  # a root has no slope at 0, where the variation is as small as it can be: its slope there is 0
    return torch.where(some, torch.where(some, squares, 1.0) ** (beta / 2), 0.0).flatten(1).sum(1)


def uniform(x, generator=None):
    """Numbers from 0 to 1 like x, drawn where the generator is."""
    return torch.rand(x.shape, generator=generator, device=_home(x, generator)).to(x)


def normal(x, deviation, generator=None):
    """Normal noise like x with this standard deviation; for 0, zeros without a draw. Raises ValueError for less."""
    at_least("noise", deviation)
    if deviation == 0:
        return torch.zeros_like(x)
    return deviation * torch.randn(x.shape, generator=generator, device=_home(x, generator)).to(x)


def limits(bounds, x):
    """(low, high) as tensors that broadcast to the pictures x: one number for all channels, or one for each.

    Raises ValueError unless bounds are a pair, each of one number or C, low below high.
    """
    try:
        low, high = (torch.as_tensor(b, dtype=x.dtype, device=x.device).reshape(-1, 1, 1) for b in bounds)
    except (TypeError, ValueError):
        raise ValueError(f"bounds must be a pair (low, high), got {bounds!r}") from None
    if not {len(low), len(high)} <= {1, x.shape[1]}:
        raise ValueError(f"bounds of {len(low)} and {len(high)} numbers for pictures with {x.shape[1]} channels")
    if not (low < high).all():
        raise ValueError(f"bounds must be a pair (low, high) with low below high, got {bounds!r}")
    return low, high


def _home(x, generator):
    return x.device if generator is None else generator.device


def _blurring(n, deviation):
    """The (n, n) matrix that blurs a line of n pixels: row i weighs the pixels around i, folded back at both ends."""
    reach = int(4 * deviation + 0.5)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-(offsets.double() ** 2) / (2 * deviation**2))
    places = (torch.arange(n)[:, None] + offsets) % (2 * n)
    places = torch.minimum(places, 2 * n - 1 - places)
    return torch.zeros(n, n).double().scatter_add_(1, places, (weights / weights.sum()).expand(n, -1))


def _like(weights, x):
    return weights.to(x.dtype).to(x.device)  # in two steps: some devices know no double precision


@functools.lru_cache(maxsize=8)
def _weights(h, w):
    """1 / frequency in cycles per pixel, (h, w // 2 + 1), scaled to a mean square of 1/2 over all frequencies.

    Frequency 0, the mean, counts as the lowest other one. 1/2, since each frequency has two numbers to take the step.
    """
    down, across = (torch.fft.fftfreq(side, dtype=torch.float64) for side in (h, w))
    weights = 1 / torch.hypot(down[:, None], across).clamp(min=1 / max(h, w))
    return (weights / weights.square().mean().sqrt() / 2**0.5)[:, : w // 2 + 1]
