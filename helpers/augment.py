"""Random changes of whole batches, drawn anew for each picture. Source: Chapter 7.

Each takes a batch (N, C, H, W) and an optional torch.Generator, and returns a batch of the same shape.
"""

import torch
import torch.nn.functional as F


def random_flip(x, generator=None):
    """Mirror each picture left to right with probability 1/2."""
    flipped = (torch.rand(len(x), generator=generator) < 0.5).to(x.device)
    x = x.clone()
    x[flipped] = x[flipped].flip(3)
    return x


def random_crop(x, padding=4, generator=None):
    """Pad with zeros on all sides and cut a picture of the old size out again, at a place of its own for each."""
    n, _, h, w = x.shape
    top, left = torch.randint(2 * padding + 1, (2, n), generator=generator).to(x.device)
    windows = F.pad(x, [padding] * 4).unfold(2, h, 1).unfold(3, w, 1)  # a view (N, C, top, left, H, W): every crop
    return windows[torch.arange(n, device=x.device), :, top, left]


def flip_and_crop(x, generator=None):
    """The augmentation of the exercise sheet (E3.4): a random flip, then a random crop after padding with 4 pixels."""
    return random_crop(random_flip(x, generator), 4, generator)
