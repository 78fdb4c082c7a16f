"""Maps against captum's, grad-cam's and torchcam's: hand-computable, random and torchvision's networks, in float64."""

import copy
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from explain_cases import NETWORKS, network, normal, pictures, randomised, relative
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from helpers import explain

attr = pytest.importorskip("captum.attr")
EXACT = 1e-10  # of a map's largest magnitude, in float64; the contract is 1e-5
ROUNDED = 1e-6  # where captum itself rounds to float32: the weights of integrated gradients, and occlusion


@pytest.fixture(autouse=True)
def quiet():
    """captum warns of what it does to models and pictures; that is its affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def assert_near(ours, theirs, tolerance=EXACT):
    """Equal up to rounding; where theirs is 0 everywhere, so is ours."""
    assert ours.shape == theirs.shape and not ours.requires_grad
    assert float((ours - theirs).abs().max()) <= tolerance * float(theirs.abs().max())


def captum_picture(model, x, t):
    """Ours, captum's and the tolerance: gradients, and hiding."""
    yield explain.saliency(model, x, t), attr.Saliency(model).attribute(x.clone(), t, abs=False), EXACT
    theirs = attr.IntegratedGradients(model).attribute(x, 0.5 * torch.ones_like(x), t, n_steps=3)
    yield explain.integrated_gradients(model, x, t, 0.5, n_steps=3), theirs, ROUNDED
    window, stride = (2 * x.shape[2] // 3, x.shape[3] // 2), (x.shape[2] // 3, 2 * x.shape[3] // 5)
    theirs = attr.Occlusion(model).attribute(x, (3, *window), (3, *stride), baselines=0.25, target=t)
    yield explain.occlusion(model, x, t, window, stride, baseline=0.25)[:, None].expand_as(x), theirs, ROUNDED


def captum_guided(ours, theirs, x, t, layer):
    """`ours` is looked into by us; `theirs` is the same network with each ReLU a module of its own, for captum."""
    yield explain.guided_backprop(ours, x, t), attr.GuidedBackprop(theirs).attribute(x.clone(), t)
    yield explain.deconvnet(ours, x, t), attr.Deconvolution(theirs).attribute(x.clone(), t)
    method = attr.GuidedGradCam(theirs, theirs.get_submodule(layer))
    yield explain.guided_grad_cam(ours, x, t, layer), method.attribute(x.clone(), t, interpolate_mode="bilinear")


def captum_layer(model, x, t, layer):
    module = model.get_submodule(layer)
    yield explain.grad_cam(model, x, t, layer), attr.LayerGradCam(model, module).attribute(x, t)[:, 0]
    yield explain.activations(model, x, layer)[layer], attr.LayerActivation(model, module).attribute(x)


# A network that is worked by hand, after captum's own tests


class ByHand(nn.Module):
    """A 2 x 2 convolution of one channel, ReLU, the sum over places times (1, 3)."""

    def __init__(self, how):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 2, 2).double(), nn.Linear(2, 2, bias=False).double()
        self.relu, self.how = nn.ReLU(inplace=how == "in place"), how
        self.conv.weight.data = torch.tensor([[[[1.0, 0], [0, -1]]], [[[0, 1], [-1, 0]]]]).double()
        self.conv.bias.data = torch.tensor([0.0, -1.0]).double()
        self.fc.weight.data = torch.tensor([[1.0, -2.0], [-1.0, 3.0]]).double()

    def forward(self, x):
        return self.fc((F.relu if self.how == "function" else self.relu)(self.conv(x)).sum((2, 3)))


@pytest.mark.parametrize("how", ["module", "in place", "function"])
def test_by_hand(how):
    # x = 1 2 3   channel 0, x[i,j] - x[i+1,j+1]: 1 - 0 = 1, 2 - 4 = -2      after ReLU 1 0
    #     5 0 4                                   5 - 2 = 3, 0 - 1 = -1                  3 0
    #     6 2 1   channel 1, x[i,j+1] - x[i+1,j] - 1: 2-5-1 = -4, 3-0-1 = 2   after ReLU 0 2
    #                                                0-6-1 = -7, 4-2-1 = 1              0 1
    # Sums 4 and 3: scores 1*4 - 2*3 = -2 and -1*4 + 3*3 = 5.
    model = ByHand(how)
    x = torch.tensor([[[[1.0, 2, 3], [5, 0, 4], [6, 2, 1]]]]).double()
    assert model(x).tolist() == [[-2, 5]]
    # dS_1 reaches channel 0 at (0,0), (1,0) with -1 and channel 1 at (0,1), (1,1) with 3:
    # channel 0: -1 at (0,0), +1 at (1,1); -1 at (1,0), +1 at (2,1); channel 1: +3 at (0,2), -3 at (1,1);
    # +3 at (1,2), -3 at (2,1).
    gradient = [[-1, 0, 3], [-1, -2, 3], [0, -2, 0]]
    assert explain.saliency(model, x, 1)[0, 0].tolist() == gradient
    # Guided: channel 0's -1 are stopped, channel 1's 3 pass where it is active.
    assert explain.guided_backprop(model, x, 1)[0, 0].tolist() == [[0, 0, 3], [0, -3, 3], [0, -3, 0]]
    # Deconvnet: channel 1's 3 pass at all four places: +3 right above, -3 left below each.
    # (0,0): +3 at (0,1), -3 at (1,0); (0,1): +3 at (0,2), -3 at (1,1); (1,0): +3 at (1,1), -3 at (2,0); (1,1): ...
    assert explain.deconvnet(model, x, 1)[0, 0].tolist() == [[0, 3, 3], [-3, 0, 3], [-3, -3, 0]]
    # Grad-CAM on conv: slopes -1 0 / -1 0 and 0 3 / 0 3, means -1/2 and 3/2 times the maps 1 -2 / 3 -1 and -4 2 / -7 1.
    assert explain.grad_cam(model, x, 1, "conv")[0].tolist() == [[-0.5 - 6, 1 + 3], [-1.5 - 10.5, 0.5 + 1.5]]
    assert explain.grad_cam(model, x, 1, "conv", relu=True)[0].tolist() == [[0, 4], [0, 2]]
    assert explain.grad_cam(model, x, 1, "conv", pool="max")[0].tolist() == [[-12, 6], [-21, 3]]
    # Layer-CAM: only positive slopes: 3 times channel 1 where it is active.
    assert explain.layer_cam(model, x, 1, "conv")[0].tolist() == [[0, 6], [0, 3]]
    # The straight path from 0: scores' kinks lie on it; with baseline x/2 channel 1's bias still leaves the same places
    # active but the last: at half, 4/2 - 2/2 - 1 = 0. So dS is constant and the attributions are (x - x/2) times it.
    expected = torch.tensor(gradient).double() * x[0, 0] / 2
    torch.testing.assert_close(explain.integrated_gradients(model, x, 1, x / 2, n_steps=4)[0, 0], expected)
    assert float(expected.sum()) == 5 - float(model(x / 2)[0, 1])


# Random networks


class Random(nn.Module):
    """Blocks of random convolutions, norms, rectifiers and poolings, some with a shortcut; pooled, one dense layer."""

    def __init__(self, blocks, places, function):
        super().__init__()
        self.blocks, self.function = nn.ModuleList(blocks), function
        self.pool, self.fc = nn.AdaptiveAvgPool2d(places), nn.Linear(4 * places[0] * places[1], 5)

    def forward(self, x):
        for block in self.blocks:
            x = block(x, self.function)
        return self.fc(self.pool(x).flatten(1))


class Block(nn.Module):
    def __init__(self, conv, norm, pool, shortcut, relu):
        super().__init__()
        self.conv, self.norm, self.pool, self.shortcut, self.relu = conv, norm, pool, shortcut, relu

    def forward(self, x, function):
        y = self.norm(self.conv(x))
        if self.shortcut and y.shape == x.shape:
            y += x
        return self.pool(self.relu(y) if function is None else function(y))


def bare(function):
    """A call as a statement, whose result is not taken."""

    def call(x):
        function(x)
        return x

    return call


FUNCTIONS = {
    "modules": None,
    "F.relu": F.relu,
    "F.relu, in place": lambda x: F.relu(x, inplace=True),
    "F.relu_, bare": bare(F.relu_),
    "clamp": lambda x: x.clamp(min=0),
}


@st.composite
def blocks(draw, inputs):
    sizes = {"kernel_size": draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))}
    sizes |= {key: draw(st.tuples(st.integers(1, 2), st.integers(1, 2))) for key in ("stride", "dilation")}
    sizes |= {"padding": draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))}
    if draw(st.booleans()) and inputs == 4:
        sizes = {"kernel_size": 3, "padding": 1}  # keeps the size, so that a shortcut fits
    conv = nn.Conv2d(inputs, 4, groups=draw(st.sampled_from([1, 2, 4])) if inputs == 4 else 1, **sizes)
    norm = nn.BatchNorm2d(4) if draw(st.booleans()) else nn.Identity()
    pool = draw(st.sampled_from([nn.Identity, lambda: nn.MaxPool2d(2, 1), lambda: nn.AvgPool2d(3, 1, 1)]))()
    return Block(conv, norm, pool, draw(st.booleans()), nn.ReLU())


@st.composite
def random_networks(draw):
    chain = [draw(blocks(3))] + [draw(blocks(4)) for _ in range(draw(st.integers(0, 2)))]
    places = draw(st.sampled_from([(1, 1), (2, 3)]))
    model = randomised(Random(chain, places, None), seed=draw(st.integers(0, 1000)))
    return model, draw(st.sampled_from(list(FUNCTIONS))), draw(st.booleans()), draw(st.integers(0, len(chain) - 1))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(random_networks(), st.sampled_from([1, 3]))
def test_random_networks(case, n):
    theirs, function, in_place, i = case
    ours = copy.deepcopy(theirs)
    ours.function = FUNCTIONS[function]
    for block in ours.blocks:
        block.relu.inplace = in_place
    x, t = normal(n, 3, 23, 21, seed=n), torch.arange(n)
    for a, b, tolerance in captum_picture(ours, x, t):
        assert_near(a, b, tolerance)
    for layer in (f"blocks.{i}.conv", f"blocks.{i}.norm", f"blocks.{i}"):
        for a, b in captum_layer(ours, x, t, layer):
            assert_near(a, b)
    for a, b in captum_guided(ours, theirs, x, t, f"blocks.{i}.conv"):
        assert_near(a, b)


# torchvision's networks

each_network = pytest.mark.parametrize("name", NETWORKS)
# The other two libraries record what a later in-place step makes of a layer's output: DenseNet's `features` after ReLU.
UNTOUCHED = {name: layers[0] for name, (_, layers) in NETWORKS.items()} | {"densenet121": "features.denseblock4"}


@each_network
def test_gradients_and_occlusion_on_torchvision(name):
    model, x, t = network(name), pictures(name, 1), torch.tensor([3])
    for ours, theirs, tolerance in captum_picture(model, x, t):
        assert relative(ours, theirs) < tolerance


@each_network
def test_layers_on_torchvision(name):
    model, x, t = network(name), pictures(name, 3), torch.tensor([3, 7, 0])
    for layer in NETWORKS[name][1]:
        for ours, theirs in captum_layer(model, x, t, layer):
            assert relative(ours, theirs) < EXACT


@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "resnet18"])  # elsewhere captum does not see each ReLU
@pytest.mark.parametrize("n", [1, 3])
def test_guided_on_torchvision(name, n):
    model, x, t = network(name), pictures(name, n), torch.arange(n)
    for ours, theirs in captum_guided(model, model, x, t, NETWORKS[name][1][0]):
        assert relative(ours, theirs) < EXACT


@each_network
@pytest.mark.parametrize("method", ["GradCAM", "LayerCAM"])
def test_cams_of_torchcam(name, method):
    methods = pytest.importorskip("torchcam.methods")
    model, x, t, layer = network(name), pictures(name, 3), [3, 7, 0], UNTOUCHED[name]
    with getattr(methods, method)(model, layer) as extractor:
        raw = extractor(t, model(x.clone().requires_grad_()), normalized=False)[0]
        scaled = extractor(t, model(x.clone().requires_grad_()))[0]
    ours = {"GradCAM": explain.grad_cam, "LayerCAM": explain.layer_cam}[method](model, x, t, layer, relu=True)
    assert relative(ours, raw) < EXACT
    ours = ours - ours.amin((1, 2), keepdim=True)
    assert float((ours / (ours.amax((1, 2), keepdim=True) + 1e-8) - scaled).abs().max()) < EXACT


@each_network
@pytest.mark.parametrize("method", ["GradCAM", "LayerCAM"])
def test_cams_of_grad_cam(name, method):
    library, image = pytest.importorskip("pytorch_grad_cam"), pytest.importorskip("pytorch_grad_cam.utils.image")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    model, x, t, layer = network(name), pictures(name, 3), [3, 7, 0], UNTOUCHED[name]
    with getattr(library, method)(model, [model.get_submodule(layer)]) as maker:
        theirs = maker(x, [targets.ClassifierOutputTarget(i) for i in t])
    ours = {"GradCAM": explain.grad_cam, "LayerCAM": explain.layer_cam}[method](model, x, t, layer, relu=True)
    ours = image.scale_cam_image(image.scale_cam_image(ours.numpy(), x.shape[:1:-1]))  # as it does; in float32
    assert np.abs(ours - theirs).max() < 1e-5 and theirs.max() > 0.99
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)  # what we do not do
    model.zero_grad()


def test_float32_too(name="googlenet"):
    model, x, t = copy.deepcopy(network(name)).float(), pictures(name, 2).float(), torch.tensor([3, 7])
    for ours, theirs, *_ in [*captum_picture(model, x, t), *captum_layer(model, x, t, NETWORKS[name][1][0])]:
        assert ours.dtype == torch.float32 and relative(ours, theirs) < 1e-4  # float32's own rounding
