"""Kernels made by hand, and template matching. Source: Chapter 1, "Filters made by hand" and "Template matching"."""

import numpy as np

from helpers.conv import conv2d

SOBEL_X = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
SOBEL_Y = SOBEL_X.T
LAPLACE = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
SHARPEN = np.array([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])


def gaussian(kernel_size, sigma=None):
    """A (kernel_size, kernel_size) Gaussian kernel that sums to 1; `sigma` in pixels, kernel_size / 6 if None.

    Even sizes are centred between pixels. Raises ValueError for a size below 1 or a sigma of 0 or less.
    """
    sigma = kernel_size / 6 if sigma is None else sigma
    if kernel_size < 1 or sigma <= 0:
        raise ValueError(f"kernel_size must be at least 1 and sigma above 0, got {kernel_size} and {sigma}")
    offsets = np.arange(kernel_size) - (kernel_size - 1) / 2
    profile = np.exp(-(offsets**2) / (2 * sigma**2))
    return np.outer(profile, profile) / profile.sum() ** 2


def apply(image, kernel, **geometry):
    """Cross-correlate a grey picture (H, W), or each channel of (C, H, W) by itself, with one (h, w) kernel.

    `geometry`: stride, padding, dilation of `conv2d`. Returns the rank of the input.
    """
    image, kernel = np.asarray(image, float), np.asarray(kernel, float)
    if image.ndim not in (2, 3) or kernel.ndim != 2:
        raise ValueError(f"image must be (H, W) or (C, H, W), kernel (h, w); got {image.shape} and {kernel.shape}")
    channels = image.reshape(-1, 1, *image.shape[-2:])
    out = conv2d(channels, kernel[None, None], **geometry)
    return out[0, 0] if image.ndim == 2 else out[:, 0]


def normalised_correlation(image, template):
    """How alike each patch of a grey picture (H, W) and a template (h, w) are, from -1 to 1: (H - h + 1, W - w + 1).

    Both are shifted to mean 0 and scaled to length 1, so neither brightness nor contrast counts; a patch without
    contrast answers 0. Raises ValueError for a template without contrast. Source: Lewis (1995); Chapter 1.
    """
    image, template = np.asarray(image, float), np.asarray(template, float)
    image, shape = image - image.mean(), template - template.mean()
    if np.abs(shape).max() <= 1e-12 * np.abs(template).max():
        raise ValueError("the template has no contrast: every pixel is the same, so nothing is like or unlike it")
    ones = np.ones_like(template)
    spread = apply(image**2, ones) - apply(image, ones) ** 2 / template.size
    flat = spread <= 1e-10 * apply(image**2, ones)
    norm = np.sqrt(np.where(flat, 1, spread)) * np.linalg.norm(shape)
    return np.where(flat, 0, apply(image, shape) / norm)
