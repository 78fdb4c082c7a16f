"""Networks that the tests of helpers.explain look into, a record of a model's state, and ReLUs by other means."""

import copy
from functools import lru_cache

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.googlenet import BasicConv2d


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64).to(dtype)


def relative(a, b):
    """The largest difference between two maps as a share of the second's largest magnitude, which must not be 0."""
    assert a.shape == b.shape and b.abs().max() > 0
    return float((a - b).abs().max() / b.abs().max())


def randomised(model, seed=0):
    """The model with random weights of a size that keeps activations alive, random BatchNorm statistics, float64."""
    generator, model = seeded(seed), model.double().eval()
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            inputs = module.weight[0].numel()
            module.weight.data = torch.randn(module.weight.shape, generator=generator).double() * (2 / inputs) ** 0.5
            if module.bias is not None:
                module.bias.data = 0.1 * torch.randn(len(module.bias), generator=generator).double()
        if isinstance(module, nn.BatchNorm2d):
            uniform = [torch.rand(module.num_features, generator=generator).double() for _ in range(4)]
            module.weight.data, module.bias.data = 0.5 + uniform[0], uniform[1] - 0.5
            module.running_mean, module.running_var = uniform[2] - 0.5, 0.5 + uniform[3]
            module.num_batches_tracked.fill_(7)
    return model


class Tiny(nn.Module):
    """A residual network whose first layer is in place, with one in-place ReLU called twice and a shortcut by +=."""

    def __init__(self, n_classes=5):
        super().__init__()
        self.shift = Shift()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.relu, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.5)
        self.unused, self.same = nn.Conv2d(4, 4, 1), self.conv2
        self.bomb, self.fc = Bomb(), nn.Linear(4, n_classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(self.shift(x))))
        y = self.bn2(self.conv2(x))
        y += x
        y = self.relu(y)
        return self.fc(self.bomb(self.drop(y.mean((2, 3)))))


class Shift(nn.Module):
    """Adds 0.1 in place: a picture that is given to it as it is would be seen to change."""

    def forward(self, x):
        x += 0.1
        return x


class Bomb(nn.Module):
    """Does nothing, or raises `error`."""

    error = None

    def forward(self, x):
        if self.error is not None:
            raise self.error
        return x


def tiny(seed=0):
    with torch.random.fork_rng():
        return randomised(Tiny(), seed)


# torchvision's networks: size of picture, layers that captum is compared on (inner ones before in-place steps too)
NETWORKS = {
    "alexnet": (63, ["features.11", "features.6", "features.2"]),
    "vgg11_bn": (32, ["features.27", "features.8", "features.9"]),
    "resnet18": (64, ["layer4", "layer2.0.bn2", "layer1.1.conv1"]),
    "googlenet": (64, ["inception5b", "inception4a.branch2", "conv2.bn"]),
    "mobilenet_v2": (64, ["features.18", "features.3.conv.0.1", "features.5"]),
    "densenet121": (64, ["features", "features.denseblock1", "features.norm0"]),
}


@lru_cache
def network(name):
    """torchvision's network with random weights. AlexNet's and VGG's dense layers are made narrow, to be quick."""
    with torch.device("meta"):
        options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
        model = getattr(torchvision.models, name)(weights=None, num_classes=10, **options)
        if name.startswith(("alexnet", "vgg")):
            dense = [i for i, module in enumerate(model.classifier) if isinstance(module, nn.Linear)]
            for i, (inputs, outputs) in zip(dense, [(model.classifier[dense[0]].in_features, 24), (24, 24), (24, 10)]):
                model.classifier[i] = nn.Linear(inputs, outputs)
    return randomised(model.to_empty(device="cpu"))


def pictures(name, n):
    return normal(n, 3, NETWORKS[name][0], NETWORKS[name][0], seed=n)


# ReLUs whose backward step is written out, put into a copy of a network by hand: what guided maps are compared with


class Ruled(torch.autograd.Function):
    """A ReLU with top; backward: rule "guided" or "deconvnet"."""

    @staticmethod
    def forward(ctx, x, top, rule):
        ctx.save_for_backward(x)
        ctx.top, ctx.rule = top, rule
        return torch.minimum(torch.maximum(x, torch.zeros_like(x)), torch.full_like(x, top))

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        grad = torch.where(grad > 0, grad, torch.zeros_like(grad))
        if ctx.rule == "guided":
            grad = torch.where((x > 0) & (x < ctx.top), grad, torch.zeros_like(grad))
        return grad, None, None


class RuledReLU(nn.Module):
    def __init__(self, rule, top=float("inf")):
        super().__init__()
        self.rule, self.top = rule, top

    def forward(self, x):
        return Ruled.apply(x, self.top, self.rule)


def ruled(model, rule):
    """A copy of a torchvision network in which each ReLU, also those that it calls as functions, follows the rule."""
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(module, name, RuledReLU(rule, 6.0))
            elif isinstance(child, nn.ReLU):
                setattr(module, name, RuledReLU(rule))
        if isinstance(module, BasicConv2d):
            module.forward = lambda x, m=module: Ruled.apply(m.bn(m.conv(x)), float("inf"), rule)
    if isinstance(model, torchvision.models.DenseNet):
        last = RuledReLU(rule)
        model.forward = lambda x: model.classifier(F.adaptive_avg_pool2d(last(model.features(x)), 1).flatten(1))
    return model


def plain_gradient(model, x, classes):
    x = x.clone().requires_grad_()
    picked = model(x.clone())[torch.arange(len(x)), torch.as_tensor(classes)]
    return torch.autograd.grad(picked.sum(), x)[0]


# What a model and a picture are before and after

HOOKS = [
    *("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"),
    *("_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs", "_forward_hooks_always_called"),
]


def state(model, x):
    """All that a look inside must leave as it was, comparable by ==."""
    modules = {
        name: (type(m).__name__, m.training, getattr(m, "inplace", None), [list(getattr(m, h).items()) for h in HOOKS])
        for name, m in model.named_modules(remove_duplicate=False)
    }
    weights = {
        name: (id(p), p.requires_grad, None if p.grad is None else p.grad.tolist())
        for name, p in model.named_parameters()
    }
    values = {name: value.tolist() for name, value in model.state_dict().items()}
    picture = (x.tolist(), x.requires_grad, None if x.grad is None else x.grad.tolist())
    return modules, weights, values, picture, torch.is_grad_enabled(), torch.get_rng_state().tolist()
