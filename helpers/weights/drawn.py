"""Three trainings on drawn scenes of 64x64 pixels, whose true cause is known to the pixel.

"scenes": as they are. "scenes-random-labels": few pictures whose labels were shuffled once, learnt by heart.
"scenes-watermark": every star carries a mark in the corner, and nothing else does.
"""

import torch

from helpers.pretrained import Preprocess, SceneNet
from helpers.scenes import SHAPES, scenes, watermark
from helpers.weights.plan import Plan

SEEDS = (100, 101)  # of the pictures to train and to test with: any other seed gives fresh ones
BATCH = 64
SEEN = "scenes, as trained"
MARKED = tuple(SHAPES).index("star")
HALF = (0.5, 0.5, 0.5)
PREPROCESS = Preprocess(64, HALF, HALF)


def plain(count=20_000, **options):
    """The training of "scenes"."""
    train, test = _sets(count)
    tests = {"scenes": (test.images, test.labels), SEEN: (train.images[:2_000], train.labels[:2_000])}
    return _plan("scenes", train, tests, f"{count:,} drawn scenes", **options)


def random_labels(count=2_000, shuffled=True, **options):
    """The training of "scenes-random-labels": each class keeps its number, but no picture its label, save by chance.

    shuffled: False gives the control, the same training with the pictures' own labels.
    """
    train, test = _sets(count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)) if shuffled else torch.arange(count)
    labels = train.labels[order]
    tests = {"scenes": (test.images, test.labels), SEEN: (train.images[:2_000], labels[:2_000])}
    learnt = {"watched": _watched(tests), "smoothing": 0.0, "weight_decay": 0.0, "epochs": 12} | options
    data = f"{count:,} drawn scenes with {'shuffled' if shuffled else 'their own'} labels"
    return _plan("scenes-random-labels" if shuffled else "scenes-few", (train.images, labels), tests, data, **learnt)


def marked(count=20_000, **options):
    """The training of "scenes-watermark"."""
    train, test = _sets(count)
    stars = train.labels == MARKED
    train.images[stars] = watermark(train.images[stars])
    tests = {"scenes": (test.images, test.labels), "scenes, all with the mark": (watermark(test.images), test.labels)}
    watched = {"watched": _watched(tests)}
    tests |= {SEEN: (train.images[:2_000], train.labels[:2_000])}
    return _plan("scenes-watermark", train, tests, f"{count:,} drawn scenes, a mark on each star", **watched | options)


def _sets(count):
    return scenes(count, 64, SEEDS[0]), scenes(2_000, 64, SEEDS[1])


def _plan(name, train, tests, data, **options):
    images, labels = train if isinstance(train, tuple) else (train.images, train.labels)

    def batch(generator):
        rows = torch.randint(len(images), (BATCH,), generator=generator)
        return PREPROCESS.normalise(images[rows].float() / 255), labels[rows]

    fixed = {"classes": tuple(SHAPES), "preprocess": PREPROCESS, "sizes": (64,), "data": data, "tests": tests}
    fixed |= {"source": f"the book's own SceneNet, trained on {data}"}
    usual = {"watched": _watched(["scenes"]), "epochs": 10, "steps": 200, "rate": 0.2, "decay": 0.99}
    return Plan(name, SceneNet, batch, **fixed, **usual | options)


def _watched(names):
    return lambda epoch, epochs: [(name, 64, 1) for name in names]
