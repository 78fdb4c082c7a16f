"""Pictures turned, and tilted as seen from far away. Source: Chapter 4, "Turning and tilting".

Each takes a batch (N, C, H, W) with values in [0, 1] and an angle in degrees, one number or one for each picture (N,).
What comes from outside the picture is grey, 0.5. Values between pixels are interpolated linearly, and nothing is
smoothed before, so a picture tilted by more than 60 degrees skips fine detail. Anything but a batch, another
number of angles, and pixels that are not floats raise ValueError.
"""

import torch
import torch.nn.functional as F


def turn(x, degrees):
    """Pictures turned about their centre, counter-clockwise for a positive angle, within the largest circle.

    Outside the circle all is grey at every angle, 0 included, so that no corner gives the angle away.
    """
    c, s = _cos_sin(x, degrees)
    return torch.where(disc(*x.shape[2:]).to(x.device), _sample(x, [[c, -s], [s, c]]), 0.5)


def tilt(x, degrees, margins="grey"):
    """Pictures turned about their vertical middle line, seen from far away: the width shrinks by the cosine.

    margins: what stands beside the narrowed picture, "grey" or its "mirror" image, again and again.
    Raises ValueError for other margins, and unless angles lie between -90 and 90 degrees, where nothing is left to see.
    """
    if margins not in ("grey", "mirror"):
        raise ValueError(f"margins must be 'grey' or 'mirror', got {margins!r}")
    c, s = _cos_sin(x, degrees)
    if not (torch.as_tensor(degrees).abs() < 90).all():
        raise ValueError(f"a picture is tilted by more than -90 and less than 90 degrees, got {degrees}")
    return _sample(x, [[1 / c, 0 * s], [0 * s, 1 + 0 * c]], "zeros" if margins == "grey" else "reflection")


def disc(h, w):
    """The pixels whose centres lie within the largest circle: bool (h, w)."""
    rows, columns = (torch.arange(n) - (n - 1) / 2 for n in (h, w))
    return rows[:, None] ** 2 + columns**2 <= (min(h, w) / 2) ** 2


def _cos_sin(x, degrees):
    if x.ndim != 4:
        raise ValueError(f"x must be a batch (N, C, H, W), got shape {tuple(x.shape)}; x[None] makes a batch of one")
    if not x.is_floating_point() or not len(x):
        raise ValueError(f"x must hold floats from 0 to 1, of at least one picture; got {x.dtype} {tuple(x.shape)}")
    angles = torch.as_tensor(degrees, dtype=x.dtype, device=x.device)
    if angles.shape not in ((), x.shape[:1]):
        raise ValueError(f"degrees must be one number or {len(x)}, one for each picture, got {tuple(angles.shape)}")
    angles = angles.expand(len(x)).deg2rad()
    return angles.cos(), angles.sin()


def _sample(x, matrix, outside="zeros"):
    """Each output pixel takes the value at matrix @ (its column, its row), both measured in pixels from the centre."""
    h, w = x.shape[2:]
    (a, b), (c, d) = matrix
    rows = torch.stack([torch.stack([a, b * h / w, 0 * a], -1), torch.stack([c * w / h, d, 0 * d], -1)], 1)
    grid = F.affine_grid(rows, list(x.shape), align_corners=False)
    return F.grid_sample(x - 0.5, grid, padding_mode=outside, align_corners=False) + 0.5
