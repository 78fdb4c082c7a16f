"""Trained networks, ready to look into: torchvision's ResNet-18 where it can be had, and the book's own.

The book's own are stored here; the script that trained them is `helpers.weights`, their card the page "Model card".
"""

import difflib
import warnings
from pathlib import Path

from helpers import data, download
from helpers.pretrained import stored
from helpers.pretrained.preprocess import Preprocess
from helpers.pretrained.scene import SceneNet

__all__ = ["NAMES", "Preprocess", "ResNet18", "SceneNet", "pretrained"]

NAMES = ("resnet18", "resnet18-book", "scenes", "scenes-random-labels", "scenes-watermark")


def pretrained(name="resnet18"):
    """(model, classes, preprocess): a trained network in eval mode, the names of its outputs, what pictures go through.

    name: "resnet18" (torchvision's weights for ImageNet, 1,000 classes, from torch's cache or the network; where they
    cannot be had, or INSIDE_CNNS_OFFLINE=1 keeps us from asking, the book's own), "resnet18-book" (always the book's
    own: the same layers at a quarter of the width, CIFAR-10 and Caltech-101), and three `SceneNet`s for
    `data.scenes(..., size=64)`: "scenes", "scenes-random-labels" (trained on shuffled labels) and "scenes-watermark"
    (trained on stars that carry a mark). preprocess: see `Preprocess`. model.source: a line for under a figure.
    Raises ValueError for an unknown name, with near matches, and for a damaged file, naming it.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(str(name), NAMES, n=3, cutoff=0.4) or NAMES
        raise ValueError(f"there is no network {name!r}; did you mean {', '.join(map(repr, near))}?")
    if name == "resnet18":
        return _imagenet() or stored.load("resnet18")
    return stored.load("resnet18" if name == "resnet18-book" else name)


def _imagenet():
    """torchvision's ResNet-18, or None, with a warning if a download failed."""
    import torch
    from torchvision.models import ResNet18_Weights, resnet18

    weights = ResNet18_Weights.IMAGENET1K_V1
    if (path := _cached(weights.url)) is None:
        return None
    model = stored.build(resnet18)
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    model.source = "torchvision's ResNet-18, trained on ImageNet (weights IMAGENET1K_V1)"
    return model.eval(), tuple(weights.meta["categories"]), Preprocess(224)


def _cached(url):
    """Where torch keeps the file of this address, downloaded if need be; None where it cannot be had.

    The digits in its name are the first ones of its sha256. Raises ValueError for a file there that is damaged.
    """
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/")[-1]
    if data.offline() and not path.exists():
        return None
    try:
        return download.fetch([url], path, path.stem.split("-")[-1], "sha256")
    except OSError as error:
        warnings.warn(f"{error}\nThe book's own ResNet-18 serves instead.", stacklevel=4)
        return None


def __getattr__(name):
    if name == "ResNet18":  # only now, since torchvision takes more than a second to import
        from helpers.pretrained.resnet import ResNet18

        return ResNet18
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
