"""Time the maps of helpers.explain against captum, torchcam and grad-cam: ResNet-18, 224 x 224 pixels, one thread."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import captum.attr
import torch
from bench_conv import alternate
from common import write
from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam import methods
from torchvision.models import resnet18

from helpers import explain

TARGET, WINDOW, STRIDE, STEPS = 7, 64, 32, 8


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, rows = resnet18(weights=None).eval(), []
    for n in (1, 16):
        x = torch.randn(n, 3, 224, 224)
        for method, ways in contest(model, x).items():
            times = alternate(ways, rounds=4 if n > 1 else 12, repeats=1)
            ours = min(times["helpers.explain"])
            rows += [{"method": method, "batch": n, "library": name, "seconds": round(min(t), 4),
                      "times helpers.explain": round(min(t) / ours, 2)} for name, t in times.items()]  # fmt: skip
    write(Path(__file__).with_suffix(".csv"), rows + occlusion(model))


def contest(model, x):
    """The ways of each library to the same maps, by method."""
    layer, targets = model.layer4, [TARGET] * len(x)
    index = torch.tensor(targets)
    return {
        "saliency": {
            "helpers.explain": lambda: explain.saliency(model, x, targets),
            "captum": lambda: captum.attr.Saliency(model).attribute(x.requires_grad_(), index, abs=False),
        },
        "guided_backprop": {
            "helpers.explain": lambda: explain.guided_backprop(model, x, targets),
            "captum": lambda: captum.attr.GuidedBackprop(model).attribute(x.requires_grad_(), index),
        }
        | ({"grad-cam": lambda: GuidedBackpropReLUModel(model, "cpu")(x, TARGET)} if len(x) == 1 else {}),
        "integrated_gradients": {
            "helpers.explain": lambda: explain.integrated_gradients(model, x, targets, n_steps=STEPS),
            "captum": lambda: captum.attr.IntegratedGradients(model).attribute(x, target=index, n_steps=STEPS),
        },
        "grad_cam": {
            "helpers.explain": lambda: explain.grad_cam(model, x, targets, layer),
            "captum": lambda: captum.attr.LayerGradCam(model, layer).attribute(x, index),
            "torchcam": lambda: torchcam(methods.GradCAM, model, x, targets),
            "grad-cam": lambda: grad_cam(GradCAM, model, x, targets),
        },
        "layer_cam": {
            "helpers.explain": lambda: explain.layer_cam(model, x, targets, layer),
            "torchcam": lambda: torchcam(methods.LayerCAM, model, x, targets),
            "grad-cam": lambda: grad_cam(LayerCAM, model, x, targets),
        },
    }


def torchcam(method, model, x, targets):
    with method(model, "layer4") as extractor:
        return extractor(targets, model(x.requires_grad_()))


def grad_cam(method, model, x, targets):
    with method(model, [model.layer4]) as maker:
        return maker(x, [ClassifierOutputTarget(t) for t in targets])


def occlusion(model):
    """Occlusion of one picture against the forward passes that it needs, in the best of several batch sizes."""
    x = torch.randn(1, 3, 224, 224)
    count = 1 + ((224 - WINDOW) // STRIDE + 1) ** 2
    batches = {n: torch.randn(n, 3, 224, 224) for n in (1, 4, 8, 16, 32)}
    hide = {"window": WINDOW, "stride": STRIDE}
    ways = {f"forward, batch {n}": lambda b=b: forward(model, b) for n, b in batches.items()}
    ways["helpers.explain"] = lambda: explain.occlusion(model, x, TARGET, **hide)
    ways["captum"] = lambda: captum.attr.Occlusion(model).attribute(
        x, (3, WINDOW, WINDOW), (3, STRIDE, STRIDE), target=TARGET, perturbations_per_eval=8
    )
    times = {name: min(t) for name, t in alternate(ways, rounds=5, repeats=1).items()}
    for n in batches:
        times[f"forward, batch {n}"] *= count / n
    ours = times["helpers.explain"]
    return [{"method": "occlusion", "batch": 1, "library": name, "seconds": round(t, 4),
             "times helpers.explain": round(t / ours, 2)} for name, t in times.items()]  # fmt: skip


@torch.no_grad()
def forward(model, x):
    return model(x)


if __name__ == "__main__":
    main()
