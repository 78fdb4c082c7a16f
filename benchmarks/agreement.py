"""How nearly the maps of helpers.explain agree with captum's, grad-cam's and torchcam's, network by network.

Random weights, two pictures, float64: the largest difference as a share of the largest magnitude. captum computes the
weights of integrated gradients and occlusion in float32, and grad-cam its scaled maps. Where captum's guided maps
differ it does not see each ReLU (F.relu, ReLU6); `ReLUs written out` is a copy of the network with each ReLU replaced
by one that follows the rule.
"""

import sys
import warnings
from pathlib import Path

import captum.attr as attr
import pytorch_grad_cam
import torch
from common import write
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam import methods

sys.path.append(str(Path(__file__).parents[1] / "tests" / "helpers"))

from explain_cases import NETWORKS, network, pictures, plain_gradient, relative, ruled

from helpers import explain

CLASSES, WINDOW, STRIDE = [3, 7], (20, 16), (15, 11)
CAMS = {"grad_cam": (explain.grad_cam, "GradCAM"), "layer_cam": (explain.layer_cam, "LayerCAM")}


def main():
    warnings.filterwarnings("ignore", module="captum")
    rows = []
    for name, (_, layers) in NETWORKS.items():
        layer = "features.denseblock4" if name.startswith("densenet") else layers[0]
        model, x = network(name), pictures(name, 2)
        for compared in (captum_maps, written_out, torchcam_maps, grad_cam_maps):
            for method, library, ours, theirs in compared(model, x, layer):
                difference = float(f"{relative(ours, theirs):.0e}")
                rows.append({"network": name, "method": method, "compared with": library, "difference": difference})
                print(rows[-1], flush=True)
    write(Path(__file__).with_suffix(".csv"), rows)


def captum_maps(model, x, layer):
    t, module = torch.tensor(CLASSES), model.get_submodule(layer)
    yield "saliency", "captum", explain.saliency(model, x, t), attr.Saliency(model).attribute(x.clone(), t, abs=False)
    theirs = attr.IntegratedGradients(model).attribute(x, target=t, n_steps=8)
    yield "integrated_gradients", "captum", explain.integrated_gradients(model, x, t, n_steps=8), theirs
    theirs = attr.Occlusion(model).attribute(x, (3, *WINDOW), (3, *STRIDE), target=t)
    yield "occlusion", "captum", explain.occlusion(model, x, t, WINDOW, STRIDE)[:, None].expand_as(x), theirs
    yield (
        "grad_cam",
        "captum",
        explain.grad_cam(model, x, t, layer),
        attr.LayerGradCam(model, module).attribute(x, t)[:, 0],
    )
    yield "guided_backprop", "captum", explain.guided_backprop(model, x, t), attr.GuidedBackprop(model).attribute(x, t)
    yield "deconvnet", "captum", explain.deconvnet(model, x, t), attr.Deconvolution(model).attribute(x, t)


def written_out(model, x, layer):
    for rule, method in (("guided", explain.guided_backprop), ("deconvnet", explain.deconvnet)):
        theirs = plain_gradient(ruled(model, rule), x, CLASSES)
        yield method.__name__, "ReLUs written out", method(model, x, CLASSES), theirs


def torchcam_maps(model, x, layer):
    for name, (method, theirs) in CAMS.items():
        with getattr(methods, theirs)(model, layer) as extractor:
            raw = extractor(CLASSES, model(x), normalized=False)[0]
        yield name, "torchcam", method(model, x, CLASSES, layer, relu=True), raw


def grad_cam_maps(model, x, layer):
    for name, (method, theirs) in CAMS.items():
        with getattr(pytorch_grad_cam, theirs)(model, [model.get_submodule(layer)]) as maker:
            scaled = maker(x, [ClassifierOutputTarget(i) for i in CLASSES])
        ours = method(model, x, CLASSES, layer, relu=True).numpy()
        ours = scale_cam_image(scale_cam_image(ours, x.shape[:1:-1]))  # as the library does, in float32
        yield name, "grad-cam", torch.from_numpy(ours), torch.from_numpy(scaled)


if __name__ == "__main__":
    main()
