"""Random changes of whole batches, drawn anew for each picture, and normalisation. Source: Chapter 7.

Each random change takes a float batch (N, C, H, W) and an optional torch.Generator and returns a new batch of the same
shape; `colour_jitter` and `cutout` expect values in [0, 1], so normalise afterwards. What is not a batch, as a single
picture (C, H, W), or holds no floats, as `ImageSet.images`, raises ValueError.
"""

import torch
import torch.nn.functional as F

NO_FLOATS = "pictures must be floats from 0 to 1, got {}: ImageSet.floats() makes them"


def random_flip(x, generator=None, vertical=False):
    """Mirror each picture left to right (or, if vertical, top to bottom) with probability 1/2."""
    _check_batch(x)
    flipped = (torch.rand(len(x), generator=generator) < 0.5).to(x.device)
    x = x.clone()
    x[flipped] = x[flipped].flip(2 if vertical else 3)
    return x


def random_crop(x, generator=None, padding=4):
    """Pad with zeros on all sides and cut a picture of the old size out again, at a place of its own for each.

    padding: in pixels. Raises ValueError for a negative one.
    """
    _check_batch(x)
    if padding < 0:
        raise ValueError(f"padding must be at least 0, got {padding}")
    n, _, h, w = x.shape
    top, left = torch.randint(2 * padding + 1, (2, n), generator=generator).to(x.device)
    windows = F.pad(x, [padding] * 4).unfold(2, h, 1).unfold(3, w, 1)  # a view (N, C, top, left, H, W): every crop
    return windows[torch.arange(n, device=x.device), :, top, left]


def flip_and_crop(x, generator=None):
    """The augmentation of the exercise sheet (E3.4): a random flip, then a random crop after padding with 4 pixels."""
    return random_crop(random_flip(x, generator), generator)


def colour_jitter(x, generator=None, strength=0.25):
    """Scale brightness, contrast and saturation of RGB pictures in [0, 1] by factors from 1 - strength to 1 + strength.

    Each picture draws its own three factors; the result is cut off at 0 and 1. Raises ValueError for a strength
    outside [0, 1] and for pictures without three channels.
    """
    _check_batch(x)
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie between 0 and 1, got {strength}")
    factors = 1 + strength * (2 * torch.rand(3, len(x), 1, 1, 1, generator=generator) - 1)
    brightness, contrast, saturation = factors.to(x)
    x = (x * brightness).clamp(0, 1)
    mean = grey(x).mean((2, 3), keepdim=True)
    x = (mean + contrast * (x - mean)).clamp(0, 1)
    return (grey(x) + saturation * (x - grey(x))).clamp(0, 1)


def grey(x):
    """The luminance (N, 1, H, W) of RGB pictures: 0.299 R + 0.587 G + 0.114 B, as ITU-R BT.601 weighs them."""
    _check_batch(x)
    if x.shape[1] != 3:
        raise ValueError(f"RGB pictures have 3 channels, got {x.shape[1]}")
    return (x * x.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)


def cutout(x, generator=None, size=8, fill=0.5):
    """Cover a square of size x size pixels in each picture with `fill`, its corner anywhere that keeps it inside.

    Raises ValueError unless 1 <= size <= the picture's sides. Source: DeVries and Taylor (2017), who let it overhang.
    """
    _check_batch(x)
    n, _, h, w = x.shape
    if not 1 <= size <= min(h, w):
        raise ValueError(f"size must lie between 1 and {min(h, w)}, the picture's shorter side, got {size}")
    top, left = (torch.randint(side - size + 1, (n, 1), generator=generator).to(x.device) for side in (h, w))
    row, column = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    rows = (row >= top) & (row < top + size)
    columns = (column >= left) & (column < left + size)
    return x.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], fill)


def mixup(x, y, n_classes, generator=None):
    """Blend each picture with another one of the batch, and their labels in the same shares.

    x (N, C, H, W), y int64 (N,): returns (N, C, H, W) and targets (N, n_classes) that add up to 1, as
    `F.cross_entropy` takes them. Each picture draws its share uniformly from [0, 1]. Raises ValueError unless y holds
    one label from 0 to n_classes - 1 for each picture. Source: Zhang et al. (2018).
    """
    _check_batch(x)
    if y.shape != x.shape[:1] or len(y) and not 0 <= int(y.min()) <= int(y.max()) < n_classes:
        raise ValueError(f"y must be {len(x)} labels from 0 to {n_classes - 1}, got {len(y)}: {y.tolist()[:10]} ...")
    share = torch.rand(len(x), generator=generator).to(x)
    partner = torch.randperm(len(x), generator=generator).to(x.device)
    one_hot = F.one_hot(y, n_classes).to(x)
    mixed = share[:, None, None, None] * x + (1 - share)[:, None, None, None] * x[partner]
    return mixed, share[:, None] * one_hot + (1 - share)[:, None] * one_hot[partner]


def normalise(x, mean=0.5, std=0.5):
    """(x - mean) / std, with one number for all channels or a sequence of one for each; the sheet's (E3.4) by default.

    x: (N, C, H, W) or (C, H, W). Raises ValueError unless every std is positive and there is one number or C.
    """
    mean, std = (torch.as_tensor(v, dtype=x.dtype, device=x.device).reshape(-1, 1, 1) for v in (mean, std))
    if not {len(mean), len(std)} <= {1, x.shape[-3]}:
        raise ValueError(f"{len(mean)} means and {len(std)} deviations for pictures with {x.shape[-3]} channels")
    if not x.is_floating_point():
        raise ValueError(NO_FLOATS.format(x.dtype))
    if not (std > 0).all():
        raise ValueError(f"std must be positive, got {std.flatten().tolist()}")
    return (x - mean) / std


def channel_statistics(images):
    """(mean, std) of each channel over all pixels of uint8 pictures (N, C, H, W), as lists, in units of 255.

    From each channel's histogram, exactly and without making floats of the pictures. Raises ValueError for other input.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(f"images must be uint8 (N, C, H, W), N > 0; got {images.dtype} {tuple(images.shape)}")
    value, pairs = torch.arange(256, dtype=torch.float64) / 255, []
    for channel in images.transpose(0, 1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (share * value).sum()
        pairs.append((mean.item(), (share * (value - mean) ** 2).sum().sqrt().item()))
    means, stds = zip(*pairs)
    return list(means), list(stds)


def _check_batch(x):
    if not x.is_floating_point():
        raise ValueError(NO_FLOATS.format(x.dtype))
    if x.ndim != 4:
        raise ValueError(f"x must be a batch (N, C, H, W), got shape {tuple(x.shape)}; x[None] makes a batch of one")
