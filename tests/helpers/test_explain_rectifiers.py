"""Guided backpropagation and deconvnet where a ReLU is no module: against ReLUs written out; and every refusal."""

from functools import cache

import pytest
import torch
import torch.nn.functional as F
import torchvision
from explain_cases import NETWORKS, RuledReLU, network, normal, pictures, plain_gradient, randomised, relative, ruled
from torch import nn

from helpers.explain import deconvnet, guided_backprop, guided_grad_cam, saliency, unit

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")  # deprecated, and still met
RULES = {"guided": guided_backprop, "deconvnet": deconvnet}
each_rule = pytest.mark.parametrize("rule", RULES)


@each_rule
@pytest.mark.parametrize("name", NETWORKS)
def test_torchvision_with_its_relus_written_out(name, rule):
    model, x = network(name), pictures(name, 2)
    ours = RULES[rule](model, x, [3, 7])
    assert relative(ours, plain_gradient(ruled(model, rule), x, [3, 7])) < 1e-10
    assert relative(ours, plain_gradient(model, x, [3, 7])) > 0.1, "not the plain gradient"


class Net(nn.Module):
    """conv, a ReLU, conv, the same ReLU again, sum over places, dense; the ReLU's inputs are about -9 to 9."""

    def __init__(self, relu):
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(6, 4)
        self.relu = relu
        randomised(self)
        self.conv1.weight.data *= 3

    def forward(self, x):
        return self.fc(self.relu(self.conv2(self.relu(self.conv1(x)))).mean((2, 3)))


def bare(function):
    """The call as a statement, its result not taken."""

    def call(x):
        function(x)
        return x

    return call


def on_a_part(x):
    F.relu_(x[:, :3])
    return torch.cat([x[:, :3], F.relu(x[:, 3:])], 1)


ZERO = torch.zeros((), dtype=torch.float64)
RELUS = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU, in place": nn.ReLU(inplace=True),
    "nn.ReLU, in place, bare": bare(nn.ReLU(inplace=True)),
    "F.relu": F.relu,
    "F.relu, named": lambda x: F.relu(input=x),
    "F.relu, in place by place": lambda x: F.relu(x, True),
    "F.relu, in place, bare": bare(lambda x: F.relu(x, inplace=True)),
    "F.relu_, bare": bare(F.relu_),
    "torch.relu": torch.relu,
    "torch.relu_, bare": bare(torch.relu_),
    "x.relu": lambda x: x.relu(),
    "x.relu_, bare": bare(lambda x: x.relu_()),
    "x.clamp": lambda x: x.clamp(0),
    "torch.clamp, named": lambda x: torch.clamp(input=x, min=0.0),
    "clamp at a tensor": lambda x: x.clamp(min=ZERO),
    "clamp_, bare": bare(lambda x: x.clamp_(min=0)),
    "clip": lambda x: x.clip(0),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "clamp_min_, bare": bare(lambda x: x.clamp_min_(0)),
    "a part, in place": on_a_part,
}
RELU6S = {
    "nn.ReLU6": nn.ReLU6(),
    "nn.ReLU6, in place": nn.ReLU6(inplace=True),
    "F.relu6": F.relu6,
    "F.relu6, in place, bare": bare(lambda x: F.relu6(x, inplace=True)),
    "clamp": lambda x: x.clamp(0, 6),
    "clamp, named": lambda x: x.clamp(min=0, max=6),
    "hardtanh": lambda x: F.hardtanh(x, 0, 6),
    "hardtanh, named": lambda x: F.hardtanh(x, min_val=0.0, max_val=6.0),
    "hardtanh_, bare": bare(lambda x: F.hardtanh_(x, 0.0, 6.0)),
    "nn.Hardtanh": nn.Hardtanh(0, 6),
}


@each_rule
@pytest.mark.parametrize("how", [*RELUS, *RELU6S])
def test_however_a_relu_is_called(how, rule):
    top = float("inf") if how in RELUS else 6.0
    model, x = Net((RELUS | RELU6S)[how]), normal(3, 3, 9, 8)
    expected = plain_gradient(Net(RuledReLU(rule, top)), x, [0, 1, 2])
    assert relative(RULES[rule](model, x, [0, 1, 2]), expected) < 1e-12
    assert relative(expected, plain_gradient(model, x, [0, 1, 2])) > 0.1
    with torch.no_grad():
        torch.testing.assert_close(model(x.clone()), Net(RuledReLU(rule, top))(x))  # the forward pass is the model's
        assert not torch.equal(model(x), Net(RuledReLU(rule))(x)) or top > 6, "some inputs lie above 6"


def test_by_hand_where_inputs_lie_on_the_kinks():
    # G is 2, -2, 2, ... ; where a ReLU's input is 0 or (ReLU6) 6, its gradient is 0, as torch has it.
    x = torch.tensor([-1.0, -1, 0, 0, 1, 1, 6, 6, 7, 7]).view(1, 10, 1, 1)
    signs = torch.tensor([2.0, -2] * 5)
    for relu, guided in ((nn.ReLU(), [0, 0, 0, 0, 2, 0, 2, 0, 2, 0]), (nn.ReLU6(), [0, 0, 0, 0, 2, 0, 0, 0, 0, 0])):
        model = nn.Sequential(relu, nn.Flatten())
        assert guided_backprop(model, x, lambda output: output @ signs).flatten().tolist() == guided
        assert deconvnet(model, x, lambda output: output @ signs).flatten().tolist() == [2, 0] * 5


@each_rule
def test_what_a_relu_gave_may_be_changed_in_place_afterwards(rule):
    def forward(relu):
        def run(x):
            y = relu(x)
            y += 0.5 * x
            return y

        return run

    x, clamp = normal(2, 3, 9, 8), forward(lambda x: x.clamp(min=0))
    written = plain_gradient(Net(forward(lambda x: RuledReLU(rule)(x) * 1)), x, [1, 1])
    assert relative(RULES[rule](Net(clamp), x, 1), written) < 1e-12


@each_rule
def test_within_the_context_the_output_is_the_models(rule):
    seen, model, x = [], Net(F.relu), normal(2, 3, 9, 8)
    RULES[rule](model, x, lambda output: seen.append(output.detach()) or output[:, 0])
    assert torch.equal(seen[0], model(x))


def test_a_relu_after_the_target_or_before_a_layer_is_no_matter():
    model, x = Net(nn.ReLU()), normal(2, 3, 9, 8)
    assert torch.equal(guided_backprop(model, x, unit(1), "conv1"), saliency(model, x, unit(1), "conv1"))
    inner = guided_backprop(model, x, unit(2, (1, 1)), "conv2")
    z = x.clone().requires_grad_()
    pre = model.conv2(RuledReLU("guided")(model.conv1(z)))[:, 2, 1, 1].sum()
    assert relative(inner, torch.autograd.grad(pre, z)[0]) < 1e-12


def test_whole_numbers_and_other_bounds_are_left_alone():
    def forward(relu):
        def run(x):
            places = (torch.arange(6) - 2).clamp(min=0)  # indices stay whole numbers
            y = relu(x)[:, :, places]
            return y / y.norm(dim=1, keepdim=True).clamp(min=0.5)

        return run

    x, ours, theirs = normal(2, 3, 9, 8), Net(forward(F.relu)), Net(forward(RuledReLU("guided")))
    assert relative(guided_backprop(ours, x, 1), plain_gradient(theirs, x, [1, 1])) < 1e-12


# Refusals: never plain gradients without a word

OTHERS = {
    "LeakyReLU": nn.LeakyReLU(0.1),
    "LeakyReLU, in place": nn.LeakyReLU(0.1, inplace=True),
    "PReLU": nn.PReLU().double(),
    "RReLU": nn.RReLU(),
    "ELU": nn.ELU(),
    "CELU": nn.CELU(),
    "SELU": nn.SELU(),
    "GELU": nn.GELU(),
    "GELU, tanh": nn.GELU("tanh"),
    "SiLU": nn.SiLU(),
    "SiLU, in place": nn.SiLU(inplace=True),
    "Mish": nn.Mish(),
    "Hardswish": nn.Hardswish(),
    "Softplus": nn.Softplus(),
    "Hardtanh": nn.Hardtanh(),
    "Hardtanh -1 to 1": lambda x: F.hardtanh(x, -1, 1),
    "Threshold": nn.Threshold(0, 0),
    "Threshold, in place": lambda x: F.threshold_(x, 0.0, 0.0),
    "Hardshrink": nn.Hardshrink(),
    "Softshrink": nn.Softshrink(),
    "maximum": lambda x: torch.maximum(x, ZERO),
    "TorchScript": lambda x: scripted()(x),
}


@cache
def scripted():
    return torch.jit.script(nn.Sequential(nn.Identity(), nn.ReLU()))


@each_rule
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "after a ReLU"])
@pytest.mark.parametrize("how", OTHERS)
def test_other_rectifiers_are_refused(how, alone, rule):
    model = Net(OTHERS[how] if alone else lambda x: OTHERS[how](F.relu(x) - 1))
    name = "compiled code" if how == "TorchScript" else ""
    for _ in range(4):  # TorchScript puts its steps together only after a few calls
        with pytest.raises(ValueError, match=f"the rule is defined for ReLU, and the model calls {name}.*saliency"):
            RULES[rule](model, normal(2, 3, 9, 8), 1)


@each_rule
def test_scripted_and_traced_models_are_refused(rule):
    model, x = Net(nn.ReLU()), normal(2, 3, 9, 8)
    for compiled in (torch.jit.script(model), torch.jit.trace(model, x)):
        for _ in range(4):
            with pytest.raises(ValueError, match="calls compiled code: use saliency"):
                RULES[rule](compiled, x, 1)


@each_rule
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0", "convnext_tiny"])
def test_networks_of_other_rectifiers_are_refused(name, rule):
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(weights=None, num_classes=10)
    model = randomised(model.to_empty(device="cpu"))
    with pytest.raises(ValueError, match="the rule is defined for ReLU, and the model calls (hardswish|silu|gelu)"):
        RULES[rule](model, normal(1, 3, 64, 64), 1)


@each_rule
@pytest.mark.parametrize("step", [nn.Identity(), nn.Sigmoid(), nn.Tanh(), nn.MaxPool2d(2)], ids=type)
def test_a_network_without_relu_is_refused(step, rule):
    with pytest.raises(ValueError, match="calls no ReLU, whose backward step this method replaces: use saliency"):
        RULES[rule](Net(step), normal(2, 3, 12, 12), 1)


def test_guided_grad_cam_refuses_too():
    with pytest.raises(ValueError, match="the model calls hardswish"):
        guided_grad_cam(Net(F.hardswish), normal(2, 3, 9, 8), 1, "conv2")


def test_after_the_context_and_after_an_error_relus_are_plain_again():
    model, x = Net(F.relu), normal(2, 3, 9, 8)
    before = plain_gradient(model, x, [1, 1])
    guided_backprop(model, x, 1)
    with pytest.raises(ValueError, match="hardswish"):
        guided_backprop(Net(F.hardswish), x, 1)
    assert torch.equal(plain_gradient(model, x, [1, 1]), before)
