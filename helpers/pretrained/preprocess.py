"""From pictures of any size to what a stored network takes, and back."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from helpers import data
from helpers.augment import normalise

SHAPES = "(3, H, W) or (N, 3, H, W)"


@dataclass(frozen=True)
class Preprocess:
    """Called with pictures, gives normalised float32 of size x size pixels, of as many dimensions.

    size: the side in pixels; mean, std: three numbers each, for red, green and blue in [0, 1]. For another size:
    `dataclasses.replace(preprocess, size=224)`. Pictures are uint8 tensors (3, H, W) or (N, 3, H, W), floats in [0, 1]
    of these shapes, or one PIL image (turned upright; a transparent one is laid on white).
    Raises ValueError for other types, shapes and ranges, for no pictures, and for a size below 1.
    """

    size: int
    mean: tuple = (0.485, 0.456, 0.406)  # of ImageNet
    std: tuple = (0.229, 0.224, 0.225)

    def __post_init__(self):
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:
            raise ValueError(f"size must be a whole number of pixels, 1 or more, got {self.size!r}")
        if not len(self.mean) == len(self.std) == 3 or min(self.std) <= 0:
            raise ValueError(f"mean and std must be three numbers, std positive, got {self.mean} and {self.std}")

    def __call__(self, pictures):
        return self.normalise(self.crop(pictures))

    def crop(self, pictures):
        """The part that the network sees: the shorter side scaled to `size`, bilinearly and with antialiasing, then the
        middle square; float32 in [0, 1], of as many dimensions."""
        x = _floats(pictures)
        side, (h, w) = self.size, x.shape[-2:]
        if (h, w) == (side, side):
            return x
        new = (side, side * w // h) if h < w else (side * h // w, side)
        batch = F.interpolate(x.reshape(-1, 3, h, w), new, mode="bilinear", antialias=True, align_corners=False)
        top, left = (round((n - side) / 2) for n in new)
        cut = batch[..., top : top + side, left : left + side].clamp(0, 1)
        return cut.reshape(*x.shape[:-2], side, side)

    def normalise(self, x):
        """(x - mean) / std of floats in [0, 1], (3, H, W) or (N, 3, H, W)."""
        return normalise(_shaped(x), self.mean, self.std)

    def denormalise(self, x):
        """mean + std * x: what `normalise` undoes. Not cut off at 0 and 1."""
        mean, std = (_shaped(x).new_tensor(v).view(3, 1, 1) for v in (self.mean, self.std))
        return mean + std * x


def _floats(pictures):
    if isinstance(pictures, Image.Image):
        pictures = _from_pil(pictures)
    x = _shaped(pictures)
    if x.dtype == torch.uint8:
        return x.float() / 255
    if not x.is_floating_point():
        raise ValueError(f"pictures must be uint8 from 0 to 255 or floats from 0 to 1, got {str(x.dtype)[6:]}")
    low, high = x.min().item(), x.max().item()
    if not 0 <= low <= high <= 1:
        raise ValueError(f"float pictures must lie from 0 to 1, got {low:.3g} to {high:.3g}: normalised already?")
    return x.float()


def _from_pil(picture):
    import numpy as np

    if data.is_deep(picture):
        raise ValueError("the picture has more than 8 bits a channel: convert it to 8 bits first")
    return torch.from_numpy(np.array(data.rgb(ImageOps.exif_transpose(picture)))).permute(2, 0, 1)


def _shaped(x):
    if not torch.is_tensor(x):
        hint = ": torch.from_numpy(a).permute(2, 0, 1) makes one of an array (H, W, 3)" if hasattr(x, "shape") else ""
        raise ValueError(f"pictures must be a tensor {SHAPES} or a PIL image, got {type(x).__name__}{hint}")
    if x.ndim not in (3, 4) or x.shape[-3] != 3 or not x.numel():
        raise ValueError(f"pictures must be {SHAPES}, got {tuple(x.shape)}{_advice(x)}")
    return x


def _advice(x):
    if x.ndim == 2:
        return ": grey; x.expand(3, -1, -1) gives it three channels"
    if x.ndim in (3, 4) and x.shape[-3] == 4:
        return ": the fourth channel is transparency; x[..., :3, :, :] leaves it out"
    return ": the channels come first; x.movedim(-1, -3)" if x.ndim in (3, 4) and x.shape[-1] == 3 else ""
