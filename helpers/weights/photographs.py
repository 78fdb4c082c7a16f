"""The pictures of the book's own ResNet-18: CIFAR-10 and Caltech-101 together, classes of one meaning merged.

Every batch holds pictures of both, at one of three sizes, each at a scale, shape and place of its own: enlarged from
CIFAR-10's 32 pixels or, half of the photographs, blurred as if they were, lest sharpness tell the two apart. The last
epochs change the pictures less: a network this small cannot learn to see through all the changes and still be exact.
"""

from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F

from helpers import data
from helpers.augment import random_flip
from helpers.imageset import ImageSet
from helpers.pretrained import Preprocess, ResNet18
from helpers.weights.plan import Plan

SAME = {"airplanes": "airplane", "car_side": "automobile"}  # Caltech-101's name: CIFAR-10's
SIZES, SHARES = (96, 128, 160), (0.5, 0.3, 0.2)
BATCH = (44, 20)  # pictures of CIFAR-10, of Caltech-101
WIDTH = 16
SHARE = 0.8  # of Caltech-101 to learn from, the rest is held out
GENTLE = 0.4  # of the changes of scale, shape, place and colour, in the last epochs


def plan():
    """The training of "resnet18". Raises ValueError where CIFAR-10 or Caltech-101 is not to be had."""
    (cifar, photos), tests, classes, source = _sets()
    preprocess = Preprocess(128)

    def batch(generator, strength=1.0):
        return _batch(cifar, photos, preprocess, generator, strength)

    full = Plan(
        "resnet18",
        network=lambda: ResNet18(len(classes), WIDTH),
        batch=batch,
        tests=tests,
        classes=classes,
        preprocess=preprocess,
        sizes=(96, 128, 160, 224),
        watched=_watched,
        data=source,
        source="the book's own ResNet-18, a quarter as wide, trained on CIFAR-10 and Caltech-101",
        options={"width": WIDTH},
        photographs=True,
    )
    gentle = {"epochs": 6, "rate": 0.05, "strength": GENTLE, "watched": _watched_gently}
    return replace(full, after=replace(full, batch=partial(batch, strength=GENTLE), **gentle))


def _sets():
    """Pictures and labels to train with, of each set; name -> those to test with; the classes; a line on them."""
    cifar, cifar_test = data.cifar10()
    photos = data.caltech101(size=224)
    if "CIFAR-10" not in cifar.source or "Caltech-101" not in photos.source:
        raise ValueError(f"training needs CIFAR-10 and Caltech-101, there are {cifar.source} and {photos.source}")
    classes = cifar.classes + tuple(name for name in photos.classes if name not in SAME)
    place = torch.tensor([classes.index(SAME.get(name, name)) for name in photos.classes])
    kept, held_out = photos.split(round(SHARE * len(photos)))
    tests = {
        "CIFAR-10, test": (cifar_test.images, cifar_test.labels),
        "Caltech-101, held out": (held_out.images, place[held_out.labels]),
    }
    return (
        ((cifar.images, cifar.labels), (kept.images, place[kept.labels])),
        tests,
        classes,
        f"{cifar.source}; {photos.source}",
    )


def kept_and_held_out(classes, size=224):
    """The pictures of some classes of Caltech-101, those that the book's ResNet-18 learnt from and those held out.

    Two ImageSets. classes, size: as in `data.caltech101`; drawn scenes, where these serve, are split in the same
    proportion. Only these classes are decoded. Source: Chapter 11, "Butterfly, kangaroo, sunflower".
    """
    chosen = data.caltech101(classes, size)
    if "Caltech-101" not in chosen.source:
        return chosen.split(round(SHARE * len(chosen)))
    counts = data.caltech101_counts()
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(list(counts.values())))
    blank = torch.zeros(len(labels), 3, 0, 0, dtype=torch.uint8)
    kept = _Numbered(blank, labels, tuple(counts), "", torch.arange(len(labels))).split(round(SHARE * len(labels)))[0]
    mine = torch.cat([(labels == list(counts).index(name)).nonzero()[:, 0] for name in chosen.classes])
    learnt = torch.isin(mine, kept.rows)
    return chosen.subset(learnt), chosen.subset(~learnt)


@dataclass(frozen=True, eq=False)
class _Numbered(ImageSet):
    """A set that knows each picture's number."""

    rows: torch.Tensor


def _watched(epoch, epochs):
    """All of CIFAR-10's test pictures every fifth epoch and in the last, a fifth of them otherwise."""
    step = 1 if epoch % 5 == 0 or epoch == epochs else 5
    return [("CIFAR-10, test", 96, step), ("Caltech-101, held out", 96, 1), ("Caltech-101, held out", 160, 3)]


def _watched_gently(epoch, epochs):
    step = 1 if epoch == epochs else 5
    return [("CIFAR-10, test", 96, step), ("CIFAR-10, test", 128, 5)] + [
        ("Caltech-101, held out", s, 1) for s in (96, 128)
    ]


def _batch(cifar, photos, preprocess, generator, strength=1.0):
    size = SIZES[int(torch.multinomial(torch.tensor(SHARES), 1, generator=generator))]
    i, j = (torch.randint(len(s[0]), (n,), generator=generator) for s, n in zip((cifar, photos), BATCH))
    small, large = cifar[0][i].float() / 255, photos[0][j].float() / 255
    small = F.interpolate(small, scale_factor=2, mode="bicubic", align_corners=False).clamp(0, 1)
    if size < 160:
        large = F.interpolate(large, scale_factor=0.5, mode="area")
    parts = [_warp(small, size, generator, strength), _warp(_blur(large, generator), size, generator, strength)]
    return preprocess.normalise(_colour(torch.cat(parts), generator, strength)), torch.cat([cifar[1][i], photos[1][j]])


def _warp(x, size, generator, strength=1.0):
    """Each picture at a scale, shift and shape of its own, mirrored or not, to size x size."""

    def draw(low, high):
        return strength * (low + (high - low) * torch.rand(len(x), generator=generator))

    zoom, aspect = torch.exp(draw(-0.5, 0.25)), torch.exp(draw(-0.15, 0.15))
    angle, theta = draw(-0.2, 0.2), torch.zeros(len(x), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * aspect, zoom / aspect
    theta[:, 0, 1], theta[:, 1, 0] = angle * zoom, -angle * zoom
    theta[:, 0, 2], theta[:, 1, 2] = draw(-0.25, 0.25), draw(-0.25, 0.25)
    grid = F.affine_grid(theta, (len(x), 3, size, size), align_corners=False)
    warped = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return random_flip(warped, generator)


def _blur(x, generator):
    """About half of the photographs lose their detail, as if enlarged from a small picture."""
    small = int(torch.randint(28, 80, (1,), generator=generator))
    half = torch.rand(len(x), generator=generator) < 0.5
    if half.any():
        low = F.interpolate(x[half], size=small, mode="bilinear", antialias=True, align_corners=False)
        x = x.clone()
        x[half] = F.interpolate(low, size=x.shape[2:], mode="bilinear", align_corners=False)
    return x


def _colour(x, generator, strength=1.0):
    """Brightness, contrast and saturation of each picture by factors of its own."""

    def factor(most):
        return 1 + strength * most * (2 * torch.rand(len(x), 1, 1, 1, generator=generator) - 1)

    x = x * factor(0.3)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * factor(0.3)
    grey = x.mean(1, keepdim=True)
    return (grey + (x - grey) * factor(0.4)).clamp(0, 1)
