"""Class maps: what adds up to the score, where CAM's form is absent, resampling."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from explain_cases import NETWORKS, RuledReLU, network, normal, pictures, plain_gradient, randomised, relative, tiny
from scipy import ndimage
from torch import nn

from helpers import explain

X = normal(3, 3, 12, 10)
GLOBAL = {"resnet18": "layer4", "googlenet": "inception5b", "mobilenet_v2": "features"}
LAST = {
    "resnet18": lambda m: m.fc,
    "googlenet": lambda m: m.fc,
    "mobilenet_v2": lambda m: m.classifier[1],
}


@pytest.mark.parametrize("name", GLOBAL)
def test_cam_on_networks_that_pool_globally(name):
    model, x, classes, layer = network(name), pictures(name, 3), [3, 7, 0], GLOBAL[name]
    made, places = explain.cam(model, x, classes, layer), 4
    dense, maps = LAST[name](model), explain.activations(model, x, layer)[layer]
    assert made.shape == (3, 2, 2)
    assert relative(made, torch.einsum("nk,nkhw->nhw", dense.weight[classes], maps).detach()) < 1e-12
    assert relative(made / places, explain.grad_cam(model, x, classes, layer)) < 1e-12
    with torch.no_grad():
        logits = model(x)[torch.arange(3), classes]
    torch.testing.assert_close(made.sum((1, 2)) / places + dense.bias[classes].detach(), logits)


def test_cam_of_a_difference_of_two_classes_and_of_a_probability():
    model, x = tiny(), X
    both = explain.cam(model, x, 1, "relu") - explain.cam(model, x, 4, "relu")
    assert relative(explain.cam(model, x, lambda z: z[:, 1] - z[:, 4], "relu"), both) < 1e-12
    made = explain.cam(model, x, lambda z: z.softmax(1)[:, 2], "relu")
    assert relative(made / 30, explain.grad_cam(model, x, lambda z: z.softmax(1)[:, 2], "relu")) < 1e-12


REFUSED = [
    *(("alexnet", "features"), ("alexnet", "features.11"), ("vgg11_bn", "features"), ("densenet121", "features")),
    *(("resnet18", "layer3"), ("resnet18", "layer4.0"), ("resnet18", "layer4.1.bn2"), ("googlenet", "inception5a")),
    ("mobilenet_v2", "features.17"),
]


@pytest.mark.parametrize("name, layer", REFUSED)
def test_cam_is_refused_where_its_form_is_absent(name, layer):
    with pytest.raises(ValueError, match=f"one dense layer of the means of the maps of '{layer}' .*: use grad_cam"):
        explain.cam(network(name), pictures(name, 1), 1, layer)


class Head(nn.Module):
    def __init__(self, head, **layers):
        super().__init__()
        self.conv, self.last, self.head = nn.Conv2d(3, 4, 3), nn.ReLU(), head
        self.layers = nn.ModuleDict(layers)
        randomised(self)

    def forward(self, x):
        return self.head(self.layers, self.last(self.conv(x)))


HEADS = {
    "two dense layers": lambda m, a: m["b"](m["a"](a.mean((2, 3)))),
    "a maximum": lambda m, a: m["a"](a.amax((2, 3))),
    "probabilities": lambda m, a: m["a"](a.mean((2, 3))).softmax(1),
    "a sum": lambda m, a: m["a"](a.sum((2, 3))),
    "a dict": lambda m, a: {"out": m["a"](a.mean((2, 3)))},
    "a huge bias": lambda m, a: m["a"](a[:, :, :2].mean((2, 3))),
}


@pytest.mark.parametrize("head", HEADS)
def test_cam_is_refused_for_other_heads(head):
    model = Head(HEADS[head], a=nn.Linear(4, 5), b=nn.Linear(5, 4))
    if head == "a huge bias":
        model.layers["a"].bias.data.fill_(1e5)
    with pytest.raises(ValueError, match="this Head computes them in another way: use grad_cam"):
        explain.cam(model, X, (lambda o: o["out"][:, 1]) if head == "a dict" else 1, "last")


def test_cam_finds_the_one_of_several_dense_layers_and_needs_no_bias():
    layers = {"a": nn.Linear(4, 5), "b": nn.Linear(4, 5, bias=False), "c": nn.Linear(4, 5)}
    model = Head(lambda m, a: m["b"](a.mean((2, 3))), **layers)
    expected = torch.einsum("k,nkhw->nhw", layers["b"].weight[2], model.conv(X).relu()).detach()
    assert relative(explain.cam(model, X, 2, "last"), expected) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cam_in_half_precision(dtype):
    expected = explain.cam(tiny(), X, 1, "relu")
    made = explain.cam(tiny().to(dtype), X.to(dtype), 1, "relu")
    assert made.dtype == dtype and relative(made.double(), expected) < 0.05
    with pytest.raises(ValueError, match="use grad_cam"):
        explain.cam(tiny().to(dtype), X.to(dtype), 1, "bn1")


def test_users_hooks_on_the_dense_layer_are_called_once_a_pass():
    model, calls = tiny(), []
    model.fc.register_forward_hook(lambda module, inputs, output: calls.append(1))
    explain.cam(model, X, 1, "relu")
    assert len(calls) == 1


def slopes(model, x, layer, classes):
    """The layer's maps and their gradients, the rest of the network run from a leaf put in by a hook."""
    kept = {}

    def hook(module, inputs, output):
        kept["maps"] = output.detach().clone().requires_grad_()
        return kept["maps"].clone()

    handle = model.get_submodule(layer).register_forward_hook(hook)
    total = model(x.clone())[torch.arange(len(x)), classes].sum()
    handle.remove()
    return kept["maps"].detach(), torch.autograd.grad(total, kept["maps"])[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_formulas(name):
    model, x, classes, layer = network(name), pictures(name, 2), [3, 7], NETWORKS[name][1][1]
    maps, slope = slopes(model, x, layer, classes)
    mean = sum(maps[:, k] * slope[:, k].mean((1, 2)).view(2, 1, 1) for k in range(maps.shape[1]))
    largest = sum(maps[:, k] * slope[:, k].flatten(1).max(1).values.view(2, 1, 1) for k in range(maps.shape[1]))
    local = (maps * slope.clamp(min=0)).sum(1)
    for ours, expected in [
        (lambda **o: explain.grad_cam(model, x, classes, layer, **o), mean),
        (lambda **o: explain.grad_cam(model, x, classes, layer, pool="max", **o), largest),
        (lambda **o: explain.layer_cam(model, x, classes, layer, **o), local),
    ]:
        assert relative(ours(), expected) < 1e-10
        torch.testing.assert_close(ours(relu=True), expected.clamp(min=0))


def test_signed_unless_asked_otherwise():
    made = explain.grad_cam(tiny(), X, [0, 1, 2], "conv1")
    assert made.min() < 0 < made.max() and made.shape == (3, 6, 5)
    made = explain.layer_cam(tiny(), X, [0, 1, 2], "conv1")
    assert made.min() < 0 < made.max()


def test_guided_grad_cam_is_the_product():
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(192, 5)
    model = randomised(nn.Sequential(*layers))
    maps, slope = slopes(model, X, "2", [1, 1, 1])
    coarse = (maps * slope.mean((2, 3), keepdim=True)).sum(1, keepdim=True).clamp(min=0)
    model_by_hand = nn.Sequential(model[0], RuledReLU("guided"), *model[2:])
    expected = plain_gradient(model_by_hand, X, [1, 1, 1]) * F.interpolate(coarse, (12, 10), mode="bilinear")
    assert relative(explain.guided_grad_cam(model, X, 1, "2"), expected) < 1e-12


@pytest.mark.parametrize("pool", ["sum", None, "MEAN"])
def test_pool_is_mean_or_max(pool):
    with pytest.raises(ValueError, match="pool must be 'mean' or 'max', got"):
        explain.grad_cam(tiny(), X, 1, "relu", pool=pool)


# Resampling


def test_upsample_by_hand():
    # Two cells of 2 pixels each: centres at 0.5 and 2.5, in between a quarter, three quarters; beyond them it is flat.
    assert explain.upsample(torch.tensor([[[0.0, 4.0]]]), (1, 4)).tolist() == [[[0, 1, 3, 4]]]


@pytest.mark.parametrize("size", [(4, 5), (9, 12), (31, 7), (3, 2), 8])
def test_upsample_against_scipy(size):
    maps = normal(2, 4, 5)
    height, width = size if isinstance(size, tuple) else (size, size)
    rows, columns = (np.arange(height) + 0.5) * 4 / height - 0.5, (np.arange(width) + 0.5) * 5 / width - 0.5
    places = np.meshgrid(rows, columns, indexing="ij")
    expected = [ndimage.map_coordinates(m, places, order=1, mode="nearest") for m in maps.numpy()]
    np.testing.assert_allclose(explain.upsample(maps, size), expected, atol=1e-12)


def test_upsample_takes_a_batch_of_maps():
    with pytest.raises(ValueError, match=r"maps must be \(N, h, w\), got \(4, 5\)"):
        explain.upsample(normal(4, 5), 8)
    with pytest.raises(ValueError, match=r"maps must be \(N, h, w\), got ndarray"):
        explain.upsample(normal(1, 4, 5).numpy(), 8)
    with pytest.raises(ValueError, match="maps must be floats, got int64"):
        explain.upsample(torch.ones(1, 4, 5, dtype=torch.int64), 8)
