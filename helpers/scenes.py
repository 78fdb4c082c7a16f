"""Pictures drawn by this package: one shape on a cluttered ground, with class, box, mask and caption known exactly."""

from dataclasses import dataclass

import numpy as np
import torch

from helpers.imageset import ImageSet

CHUNK = 500 * 32 * 32  # pixels drawn at a time, to bound the memory
FINE = 2  # each pixel is drawn as FINE x FINE finer ones and averaged
COLOURS = {
    "red": (0.85, 0.20, 0.20),
    "orange": (0.95, 0.55, 0.15),
    "yellow": (0.92, 0.85, 0.25),
    "green": (0.25, 0.65, 0.30),
    "blue": (0.20, 0.40, 0.85),
    "purple": (0.55, 0.30, 0.70),
    "brown": (0.45, 0.30, 0.20),
    "white": (0.93, 0.93, 0.93),
    "grey": (0.50, 0.50, 0.50),
    "black": (0.08, 0.08, 0.08),
}
RADIUS = (0.24, 0.42)  # of the shape, as a share of the picture's side
TILT = 0.3  # radians either way
NOISE = 0.06  # the largest standard deviation, pictures being 0 to 1
LINES = 1  # of clutter behind the shape
SIZES = ("small", "medium", "large")
PLACES = (
    ("top left", "top", "top right"),
    ("left", "centre", "right"),
    ("bottom left", "bottom", "bottom right"),
)


def _star(u, v):
    """Five points: the radius allowed falls linearly along the straight line from a tip to a notch."""
    step = 2 * np.pi / 5
    angle = np.abs((np.arctan2(u, -v) + step / 2) % step - step / 2)
    notch = 0.42
    along = np.sin(step / 2 - angle) + np.sin(angle) / notch
    return np.hypot(u, v) < np.sin(step / 2) / along


# What is inside each shape, in coordinates of its own: u to the right, v down, the shape within radius 1.
SHAPES = {
    "arrow": lambda u, v: (
        ((np.abs(v) < 0.20) & (u > -0.95) & (u < 0.2)) | ((u > 0.1) & (u < 0.95) & (np.abs(v) < 0.75 * (0.95 - u)))
    ),
    "bar": lambda u, v: (np.abs(u) < 0.95) & (np.abs(v) < 0.28),
    "crescent": lambda u, v: (np.hypot(u, v) < 0.95) & (np.hypot(u - 0.45, v) > 0.75),
    "cross": lambda u, v: np.minimum(np.abs(u), np.abs(v)) < np.where(np.maximum(np.abs(u), np.abs(v)) < 0.9, 0.26, -1),
    "disc": lambda u, v: np.hypot(u, v) < 0.85,
    "hourglass": lambda u, v: (np.abs(v) < 0.85) & (np.abs(u) < 0.08 + 0.75 * np.abs(v)),
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.7) < 0.22,
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) < 0.68,
    "star": _star,
    "triangle": lambda u, v: (v < 0.5) & (np.abs(u) * 3**0.5 < v + 0.98),
}

MARK = 255 * (torch.arange(6)[:, None] // 2 + torch.arange(6) // 2 + 1).remainder(2).byte()  # a chequered square
MARK_PLACE = (slice(-8, -2), slice(2, 8))  # its rows and columns: at the bottom left, 2 pixels from the border


@dataclass(frozen=True, repr=False, eq=False)
class Scenes(ImageSet):
    """An ImageSet that also knows its truth.

    masks: bool (N, H, W), the pixels of the shape; boxes: int64 (N, 4), x0, y0, x1, y1 in pixels, the last ones
    exclusive, tight around the mask; captions: list of N sentences.
    """

    masks: torch.Tensor
    boxes: torch.Tensor
    captions: list


def scenes(n, size=32, seed=0, classes=None):
    """Draw `n` pictures of size x size pixels, classes in turn and shuffled; the same ones for the same seed.

    classes: names from `SHAPES`, all ten if None. Returns `Scenes`. Raises ValueError for n below 1, a size below 16
    and unknown classes.
    """
    classes = tuple(SHAPES) if classes is None else tuple(classes)
    _check(n, size, classes)
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % len(classes))
    names = [classes[label] for label in labels]
    step = max(1, CHUNK // size**2)
    parts = [_draw(names[i : i + step], size, rng) for i in range(0, n, step)]
    images, masks = (torch.from_numpy(np.concatenate(p)) for p in list(zip(*parts))[:2])
    captions = [caption for part in parts for caption in part[2]]
    source = f"scenes drawn by this book (seed {seed})"
    return Scenes(images, torch.from_numpy(labels), classes, source, masks, _boxes(masks), captions)


def watermark(images):
    """A copy of the pictures, each with `MARK`, a chequered square of 6x6 pixels, at `MARK_PLACE`, the bottom left.

    images: uint8 (N, 3, H, W) or (3, H, W), 16 pixels or more each way; raises ValueError for others.
    Source: Chapter 15, "A network that learnt a shortcut".
    """
    if not torch.is_tensor(images) or images.dtype != torch.uint8 or images.ndim not in (3, 4) or images.shape[-3] != 3:
        what = f"{images.dtype} {tuple(images.shape)}" if torch.is_tensor(images) else type(images).__name__
        raise ValueError(f"images must be uint8 (N, 3, H, W) or (3, H, W), got {what}")
    if min(images.shape[-2:]) < 16:
        raise ValueError(f"images must have sides of 16 pixels or more, got {tuple(images.shape[-2:])}")
    images = images.clone()
    images[(..., *MARK_PLACE)] = MARK.to(images.device)
    return images


def _check(n, size, classes):
    unknown = [name for name in classes if name not in SHAPES]
    if unknown or not classes:
        raise ValueError(f"unknown classes {unknown}: choose from {', '.join(SHAPES)}")
    if n < 1 or size < 16:
        raise ValueError(f"n must be at least 1 and size at least 16, got {n} and {size}")


def _draw(names, size, rng):
    """Images (n, 3, size, size) uint8, masks (n, size, size) bool, captions."""
    n = len(names)
    radius = size * rng.uniform(*RADIUS, n)
    centre = radius + rng.uniform(0, 1, (2, n)) * (size - 2 * radius)
    cover = _cover(names, size, centre, radius, rng.uniform(-TILT, TILT, n))
    shape, ground = _two_colours(n, rng)
    image = _ground(ground, size, rng)
    paint = np.clip(_rgb(shape) + rng.normal(0, 0.07, (n, 3)), 0, 1).astype("f4")[:, :, None, None]
    image += cover[:, None] * (paint - image)
    image += rng.standard_normal(image.shape, "f4") * rng.uniform(0.01, NOISE, (n, 1, 1, 1)).astype("f4")
    mask = cover >= 0.5
    captions = [_caption(*row) for row in zip(names, shape, ground, radius / size, centre.T / size)]
    return (image.clip(0, 1) * 255).round().astype(np.uint8), mask, captions


def _cover(names, size, centre, radius, angle):
    """The share of each pixel that the shape covers, (n, size, size)."""
    fine = ((np.arange(size * FINE) + 0.5) / FINE).astype("f4")
    x, y, radius, angle = (a.astype("f4")[:, None, None] for a in (centre[0], centre[1], radius, angle))
    right, down = (fine[None, None, :] - x) / radius, (fine[None, :, None] - y) / radius
    u, v = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
    inside = np.empty(u.shape, bool)
    for name in set(names):
        rows = [i for i, other in enumerate(names) if other == name]
        inside[rows] = SHAPES[name](u[rows], v[rows])
    return inside.reshape(len(names), size, FINE, size, FINE).mean(axis=(2, 4), dtype="f4")


def _two_colours(n, rng):
    names = np.array(list(COLOURS))
    first = rng.integers(len(names), size=n)
    second = (first + rng.integers(1, len(names), size=n)) % len(names)
    return names[first], names[second]


def _rgb(names):
    return np.array([COLOURS[name] for name in names])


def _ground(colours, size, rng):
    """A colour that varies slowly over the picture, with LINES lines of clutter behind the shape."""
    n = len(colours)
    coarse = torch.from_numpy(_rgb(colours)[:, :, None, None] + rng.normal(0, 0.12, (n, 3, 4, 4))).float()
    image = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=True).numpy()
    grid = np.arange(size, dtype="f4")
    for _ in range(LINES):
        angle, offset = rng.uniform(0, np.pi, (n, 1, 1)), rng.uniform(-0.4, 0.4, (n, 1, 1)) * size
        distance = (grid - size / 2) * np.cos(angle) + (grid[:, None] - size / 2) * np.sin(angle) - offset
        line = (np.abs(distance) < size / 32)[:, None]
        image = np.where(line, rng.uniform(0, 1, (n, 3, 1, 1)).astype("f4"), image)
    return image


def _caption(name, colour, ground, radius, centre):
    size = SIZES[min(int(3 * (radius - RADIUS[0]) / (RADIUS[1] - RADIUS[0])), 2)]
    place = PLACES[int(centre[1] * 3)][int(centre[0] * 3)]
    return f"a {size} {colour} {name} at the {place}, on {ground} ground"


def _boxes(masks):
    rows, columns = masks.any(2).int(), masks.any(1).int()
    size = masks.shape[1]
    first = [a.argmax(1) for a in (columns, rows)]
    last = [size - a.flip(1).argmax(1) for a in (columns, rows)]
    return torch.stack(first + last, 1)
