"""Whatever makes pictures leaves the network as it was, errors or not."""

from collections import OrderedDict

import pytest
import torch

from helpers.models import PoolNet
from helpers.synthesis import class_image, fgsm, invert, pgd, unit_image

X = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
MAKERS = {
    "class image": lambda model: class_image(model, 1, size=16, steps=2),
    "unit image": lambda model: unit_image(model, "relu2", 1, size=16, steps=2),
    "inversion": lambda model: invert(model, X, "relu2", steps=2),
    "fgsm": lambda model: fgsm(model, X, [0, 1], 0.1),
    "pgd": lambda model: pgd(model, X, [0, 1], 0.1, n_steps=2),
}
each_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@pytest.fixture
def model():
    """In training mode but for one layer, one weight frozen, one with a gradient, one layer with a hook."""
    torch.manual_seed(0)
    model = PoolNet(width=4).train()
    model.norm2.eval()
    model.conv1.weight.requires_grad_(False)
    model.conv2.weight.grad = torch.ones_like(model.conv2.weight)
    model.seen = []
    model.conv3.register_forward_hook(lambda module, inputs, output: model.seen.append(module.training))
    return model


def state(model):
    modules = [
        (name, m.training, len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
        for name, m in model.named_modules()
    ]
    grads = [(p.requires_grad, None if p.grad is None else p.grad.tolist()) for p in model.parameters()]
    return modules, grads, {name: value.tolist() for name, value in model.state_dict().items()}


@each_maker
def test_the_model_is_left_as_it_was(make, model):
    before = state(model)
    make(model)
    assert state(model) == before
    assert len(model.seen) >= 1 and not any(model.seen), "in evaluation mode meanwhile"


@each_maker
@pytest.mark.parametrize("at", [0, 1])
def test_on_the_error_path_too(make, model, at):
    def failing(module, inputs):
        if len(model.seen) >= at:
            raise RuntimeError("planted")

    if make is MAKERS["fgsm"] and at:
        pytest.skip("one pass only")
    model.fc.register_forward_pre_hook(failing)
    model.seen.clear()
    before = state(model)
    with pytest.raises(RuntimeError, match="planted"):
        make(model)
    assert state(model) == before


@each_maker
def test_where_gradients_are_switched_off(make, model):
    with torch.no_grad():
        made = make(model)
        assert not torch.is_grad_enabled() and made is not None


@each_maker
def test_the_global_generator_is_drawn_from_only_for_noise_without_a_generator(make, model):
    before, noisy = torch.get_rng_state(), make not in (MAKERS["fgsm"], MAKERS["pgd"])
    make(model)
    assert torch.equal(torch.get_rng_state(), before) != noisy


@pytest.mark.parametrize("maker", [class_image, unit_image, invert])
def test_a_generator_serves_the_noise_and_the_shifts(maker, model):
    given = {class_image: (1,), unit_image: ("conv2", 1), invert: (X, "conv2")}[maker]
    size = {} if maker is invert else {"size": 16}
    before = torch.get_rng_state()
    first, again, other = (
        maker(model, *given, steps=3, jitter=3, generator=torch.Generator().manual_seed(seed), **size)[0]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@each_maker
def test_what_is_no_model(make):
    with pytest.raises(ValueError, match="the model must be a torch.nn.Module, got function"):
        make(lambda x: x.mean((2, 3)))


@each_maker
def test_inference_mode_allows_no_gradients(make, model):
    with torch.inference_mode(), pytest.raises(ValueError, match="leave its context before this call"):
        make(model)


class Adding(torch.nn.Module):
    def forward(self, x):
        x += 1
        return x


@pytest.mark.parametrize("make", [MAKERS[name] for name in ("inversion", "fgsm", "pgd")])
def test_a_first_layer_in_place_leaves_the_picture_as_it_was(make, model):
    model = torch.nn.Sequential(OrderedDict(add=Adding(), **dict(model.named_children())))
    before = X.clone()
    make(model)
    assert torch.equal(X, before)


def test_float16_is_too_coarse_to_climb_in(model):
    for maker, given in ((class_image, [1]), (unit_image, ["relu2", 1])):
        with pytest.raises(ValueError, match=r"float16 is too coarse for Adam's steps: use model.float\(\)"):
            maker(model.half(), *given, size=16, steps=2)


def test_a_model_without_values(model):
    with pytest.raises(ValueError, match="start lies on the device 'meta', which holds no values: load the model's"):
        class_image(model.to("meta"), 1, size=16)
