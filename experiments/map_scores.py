"""How well maps of Chapters 14 and 15 find what a network looks at, on drawn scenes whose truth is known.

Run from the repository's root: python experiments/map_scores.py
The network is `pretrained("scenes")`, the pictures are 300 scenes of 64x64 pixels that it was not trained on, the
target is the true class. Each of the METHODS makes a map of a picture, (h, w); maps with three channels become their
largest absolute value ("saliency", "SmoothGrad", "deconvnet", "guided backpropagation", "guided Grad-CAM") or, where
the parts of the score add up, their sum. Of `relu5`, the last 8x8 maps, are CAM and what comes of it. kind: "method";
"control", which knows nothing of the network; "coarse", means over squares of 8x8 pixels, as fine as CAM's maps.
measure: "pointing", 1 where the largest value lies on the shape, else 0; "insertion" and "deletion", the areas below
the curves of the true class's probability in 16 steps, with what is out "grey" (the middle of the range) or "blurred"
(a Gaussian of 5 pixels). values: one number a picture, in their order; mean; low, high: their 95 % bootstrap interval
over pictures. weights: the first digits of the sha256 of the network's tensors; seconds: the processor's time for the
maps of all pictures. Results: map_scores.csv. About five minutes on a core. A second run continues: a row that is in
the file is not made again, but where the network is another one, all are.
"""

import time

import results
import torch
from torch.nn import functional

from helpers import data, explain, metrics
from helpers.filters import gaussian
from helpers.models import pretrained

PATH = results.FOLDER / "map_scores.csv"
PICTURES, SEED, BATCH, STEPS, LAYER = 300, 14, 25, 16, "relu5"
MEASURES = ["pointing", *(f"{kind}, {name}" for name in ("grey", "blurred") for kind in ("insertion", "deletion"))]
ODDS = torch.Generator()  # of SmoothGrad's noise and of the random map


def main():
    torch.set_num_threads(1)
    model, _, preprocess = pretrained("scenes")
    scenes = data.scenes(PICTURES, size=64, seed=SEED)
    model, x = (part.to(memory_format=torch.channels_last) for part in (model, preprocess(scenes.images)))  # faster
    if any(found != (results.weights("scenes"),) for found in results.done(PATH, "weights")):
        PATH.unlink()
    for name, (kind, method) in METHODS.items():
        if (name,) in results.done(PATH, "method"):
            continue
        ODDS.manual_seed(SEED)
        start = time.process_time()
        maps = torch.cat([method(model, *part) for part in zip(x.split(BATCH), scenes.labels.split(BATCH))])
        seconds = round(time.process_time() - start, 2)
        columns = {"method": name, "kind": kind, "pictures": PICTURES, "seed": SEED, "source": model.source}
        columns |= {"weights": results.weights("scenes"), "seconds": seconds}
        measured = measure(model, x, scenes, maps)
        results.append(PATH, [columns | row(what, values) | results.machine() for what, values in measured.items()])
        print(name, seconds, {what: round(values.mean().item(), 3) for what, values in measured.items()}, flush=True)


def measure(model, x, scenes, maps):
    """What is measured of each picture's map, as a dict of (N,)."""
    measured = {"pointing": [explain.pointing_game(maps, scenes.masks).float()]}
    for name, baseline in (("grey", torch.zeros_like(x)), ("blurred", blurred(x))):
        for part in zip(*(tensor.split(BATCH) for tensor in (x, scenes.labels, maps, baseline))):
            curves = explain.insertion_deletion(model, *part[:3], STEPS, part[3])
            measured.setdefault(f"insertion, {name}", []).append(curves.insertion_area)
            measured.setdefault(f"deletion, {name}", []).append(curves.deletion_area)
    return {what: torch.cat(values) for what, values in measured.items()}


def row(what, values):
    low, high = metrics.bootstrap_interval(torch.mean, values)
    text = " ".join(f"{value:.4g}" for value in values.tolist())
    numbers = {"mean": values.mean().item(), "low": low, "high": high}
    return {"measure": what} | {key: round(value, 4) for key, value in numbers.items()} | {"values": text}


def blurred(x, deviation=5):
    kernel = torch.tensor(gaussian(6 * deviation + 1, deviation), dtype=x.dtype).expand(3, 1, -1, -1)
    padded = functional.pad(x, [3 * deviation] * 4, mode="reflect")
    return functional.conv2d(padded, kernel, groups=3)


def edges(model, x, target):
    """The length of the brightness's gradient, by differences of neighbours."""
    grey = functional.pad(x.mean(1, keepdim=True), [1] * 4, mode="replicate")[:, 0]
    across, down = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2], grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    return (across.square() + down.square()).sqrt()


def centred(model, x, target):
    """A blob in the middle of the picture, the same for all."""
    place = torch.linspace(-1, 1, x.shape[2])
    return (-place.square() - place.square()[:, None]).exp().expand(len(x), -1, -1)


def coarse(method):
    return lambda model, x, target: functional.avg_pool2d(method(model, x, target)[:, None], 8)[:, 0]


def largest(method, **options):
    return lambda model, x, target: explain.strongest_channel(method(model, x, target, **options))


def of_layer(method, **options):
    return lambda model, x, target: method(model, x, target, LAYER, **options)


def gradient_times_input(model, x, target):
    return (x * explain.saliency(model, x, target)).sum(1)


def integrated(model, x, target):
    return explain.integrated_gradients(model, x, target, n_steps=32).sum(1)


METHODS = {
    "random": ("control", lambda model, x, target: torch.rand(len(x), *x.shape[2:], generator=ODDS)),
    "centred blob": ("control", centred),
    "edges": ("control", edges),
    "edges, coarse": ("coarse", coarse(edges)),
    "saliency": ("method", largest(explain.saliency)),
    "saliency, coarse": ("coarse", coarse(largest(explain.saliency))),
    "gradient x input": ("method", gradient_times_input),
    "SmoothGrad": ("method", largest(explain.smooth_grad, generator=ODDS)),
    "integrated gradients": ("method", integrated),
    "deconvnet": ("method", largest(explain.deconvnet)),
    "guided backpropagation": ("method", largest(explain.guided_backprop)),
    "occlusion": ("method", lambda *given: explain.occlusion(*given, window=12, stride=4)),
    "CAM": ("method", of_layer(explain.cam)),
    "Grad-CAM": ("method", of_layer(explain.grad_cam)),
    "Grad-CAM, max": ("method", of_layer(explain.grad_cam, pool="max")),
    "Layer-CAM": ("method", of_layer(explain.layer_cam)),
    "guided Grad-CAM": ("method", lambda *given: explain.strongest_channel(explain.guided_grad_cam(*given, LAYER))),
}


if __name__ == "__main__":
    main()
