"""Time the maps of helpers.explain against captum, torchcam and grad-cam: ResNet-18, 224 x 224 pixels, one thread.

Every round runs each library once, beginning with another one each time, after a round that is not counted; the table
has the median seconds of processor time (which other processes disturb less than the clock's), and the median and the
quartiles of each library's time divided by ours in the same round.
"""

import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import captum.attr
import numpy as np
import torch
from common import write
from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam import methods
from torchvision.models import resnet18

from helpers import explain

OURS, TARGET, STEPS = "helpers.explain", 7, 8
WINDOW, STRIDE = 64, 32


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", module="captum")
    model, rows = resnet18(weights=None).eval(), []
    for n, rounds in ((1, 15), (16, 5)):
        for method, ways in contest(model, torch.randn(n, 3, 224, 224)).items():
            rows += summary(method, n, rotating(ways, rounds))
    write(Path(__file__).with_suffix(".csv"), rows + occlusion(model))


def rotating(ways, rounds):
    """Processor seconds (rounds,) of each way, the order turned by one each round; a first round is not counted."""
    names, times = list(ways), {name: [] for name in ways}
    for i in range(rounds + 1):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            start = time.process_time()
            ways[name]()
            times[name].append(time.process_time() - start)
    return {name: np.array(t[1:]) for name, t in times.items()}


def summary(method, n, times):
    rows = []
    for name, t in times.items():
        low, middle, high = np.quantile(t / times[OURS], [0.25, 0.5, 0.75]).round(2)
        rows.append({"method": method, "batch": n, "library": name, "seconds": round(float(np.median(t)), 4),
                     f"times {OURS}": middle, "lower quartile": low, "upper quartile": high})  # fmt: skip
    return rows


def contest(model, x):
    """The ways of each library to the same maps, by method; captum asks for a picture that takes gradients."""
    layer, targets, leaf = model.layer4, [TARGET] * len(x), x.clone().requires_grad_()
    index = torch.tensor(targets)
    return {
        "saliency": {
            OURS: lambda: explain.saliency(model, x, targets),
            "captum": lambda: captum.attr.Saliency(model).attribute(leaf, index, abs=False),
        },
        "guided_backprop": {
            OURS: lambda: explain.guided_backprop(model, x, targets),
            "captum": lambda: captum.attr.GuidedBackprop(model).attribute(leaf, index),
        }
        | ({"grad-cam": lambda: GuidedBackpropReLUModel(model, "cpu")(x, TARGET)} if len(x) == 1 else {}),
        "integrated_gradients": {
            OURS: lambda: explain.integrated_gradients(model, x, targets, n_steps=STEPS),
            "captum": lambda: captum.attr.IntegratedGradients(model).attribute(x, target=index, n_steps=STEPS),
        },
        "grad_cam": {
            OURS: lambda: explain.grad_cam(model, x, targets, layer),
            "captum": lambda: captum.attr.LayerGradCam(model, layer).attribute(x, index),
            "torchcam": lambda: torchcam(methods.GradCAM, model, x, targets),
            "grad-cam": lambda: grad_cam(GradCAM, model, x, targets),
        },
        "layer_cam": {
            OURS: lambda: explain.layer_cam(model, x, targets, layer),
            "torchcam": lambda: torchcam(methods.LayerCAM, model, x, targets),
            "grad-cam": lambda: grad_cam(LayerCAM, model, x, targets),
        },
    }


def torchcam(method, model, x, targets):
    with method(model, "layer4") as extractor:
        return extractor(targets, model(x), normalized=False)


def grad_cam(method, model, x, targets):
    with method(model, [model.layer4]) as maker:
        return maker(x, [ClassifierOutputTarget(t) for t in targets])


def occlusion(model):
    """Occlusion of one picture, and the forward passes that it needs by themselves, in several batch sizes."""
    x = torch.randn(1, 3, 224, 224)
    count = 1 + ((224 - WINDOW) // STRIDE + 1) ** 2
    batches = {n: torch.randn(n, 3, 224, 224) for n in (1, 4, 8, 16)}
    options = {"sliding_window_shapes": (3, WINDOW, WINDOW), "strides": (3, STRIDE, STRIDE), "target": TARGET}
    ways = {OURS: lambda: explain.occlusion(model, x, TARGET, window=WINDOW, stride=STRIDE)}
    ways |= {f"captum, {n} at once": lambda n=n: captum.attr.Occlusion(model).attribute(
        x, perturbations_per_eval=n, **options) for n in (1, 8)}  # fmt: skip
    ways |= {f"{count} forward passes, {n} at once": lambda b=b: forward(model, b) for n, b in batches.items()}
    times = rotating(ways, 6)
    for n in batches:
        times[f"{count} forward passes, {n} at once"] *= count / n
    return summary("occlusion", 1, times)


@torch.no_grad()
def forward(model, x):
    return model(x)


if __name__ == "__main__":
    main()
