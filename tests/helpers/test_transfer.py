"""Chapter 11's helpers: heads, frozen layers and rates, against torch's own behaviour."""

import pytest
import torch
import torchvision
from torch import nn

from helpers import transfer
from helpers.imageset import ImageSet
from helpers.models import LeNet, PoolNet


def pictures(n=60, n_classes=3, seed=0):
    images = torch.randint(256, (n, 3, 16, 16), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return ImageSet(images, torch.arange(n) % n_classes, tuple("abc"[:n_classes]), "noise")


def net(n_classes=3):
    torch.manual_seed(0)
    return PoolNet(width=4, n_classes=n_classes)


def state(model):
    return {name: values.clone() for name, values in model.state_dict().items()}


def changed(before, model):
    return {name for name, values in model.state_dict().items() if not torch.equal(values, before[name])}


@pytest.mark.parametrize("name, head, inputs", [
    ("resnet18", "fc", 512), ("vgg19", "classifier.6", 4096), ("googlenet", "fc", 1024), ("inception_v3", "fc", 2048),
    ("mobilenet_v2", "classifier.1", 1280), ("mobilenet_v3_small", "classifier.3", 1024),
])  # fmt: skip
def test_the_head_of_torchvisions_models(name, head, inputs):
    options = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):  # no memory and no random numbers
        model = getattr(torchvision.models, name)(weights=None, **options).eval()
        before = dict(model.named_modules())
        assert transfer.replace_head(model, 3) == head
        assert model(torch.empty(2, 3, 299, 299)).shape == (2, 3)
    new = model.get_submodule(head)
    assert (new.in_features, new.out_features) == (inputs, 3) and new.weight.device.type == "meta"
    assert {k for k, layer in model.named_modules() if layer is not before[k]} == {head}


def test_a_head_keeps_bias_and_precision():
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6, bias=False)).double()
    assert transfer.replace_head(model, 2) == "1"
    assert model[1].bias is None and model[1].weight.dtype == torch.float64 and model[1].weight.shape == (2, 5)


@pytest.mark.parametrize("model, n, words", [
    (nn.Linear(3, 2), 2, "no dense layer"), (nn.Conv2d(3, 2, 1), 2, "no dense layer"), (net(), 0, "at least 1, got 0"),
    (net(), 2.5, "whole number of at least 1, got 2.5"),
    ("resnet18", 3, "torch.nn.Module, got str"),
])  # fmt: skip
def test_replace_head_refuses(model, n, words):
    with pytest.raises(ValueError, match=words):
        transfer.replace_head(model, n)


def test_a_new_head_is_trained_though_the_old_one_was_frozen():
    model = net().requires_grad_(False)
    transfer.replace_head(model, 2)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {"fc.weight", "fc.bias"}


def test_freeze_counts_and_freezes():
    model = net()
    assert transfer.freeze(model, "conv1", "norm1") == 3 * 4 * 9 + 4 + 2 * 4
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1.weight", "conv1.bias", "norm1.weight", "norm1.bias"}


def test_freeze_counts_a_parameter_once():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3)), nn.Linear(3, 1))
    assert transfer.freeze(model, "0", "0.0") == 9


@pytest.mark.parametrize("layers, words", [
    ((), "at least one layer"), (("conv1", "conv9"), "did you mean conv"),
    ((["conv1", "fc"],), r"as separate arguments, freeze\(model, \*names\), got \(\['conv1', 'fc'\],\)"),
    ((("conv1",),), "separate arguments"), ((None,), "separate arguments"), (("conv1", 3), "separate arguments"),
])  # fmt: skip
def test_freeze_refuses_and_freezes_nothing(layers, words):
    model = net()
    with pytest.raises(ValueError, match=words):
        transfer.freeze(model, *layers)
    assert all(p.requires_grad for p in model.parameters())


def test_training_mode_leaves_frozen_layers_in_eval_mode():
    model = nn.Sequential(net(), nn.Dropout(), nn.Linear(3, 2))
    transfer.training_mode(model)
    assert all(module.training for module in model.modules())
    transfer.freeze(model, "0")
    transfer.training_mode(model)
    assert not any(module.training for module in model[0].modules() if list(module.parameters()))
    assert model.training and model[1].training and model[2].training


def test_training_mode_switches_on_what_was_off():
    model = net().eval()
    transfer.freeze(model, "conv1", "norm1")
    transfer.training_mode(model)
    off = {name for name, module in model.named_modules() if not module.training}
    assert off == {"conv1", "norm1"}


def test_dropout_inside_a_frozen_block_is_off():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Dropout()), nn.Linear(2, 1))
    transfer.freeze(model, "0")
    transfer.training_mode(model)
    assert not model[0][1].training


def test_groups_take_the_longest_name():
    model = net()
    groups = transfer.parameter_groups(model, {"": 0.001, "conv2": 0.01, "fc": 0.1})
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    found = {name: rates[id(p)] for name, p in model.named_parameters()}
    expected = {n: 0.01 if n.startswith("conv2.") else 0.1 if n.startswith("fc.") else 0.001 for n in found}
    assert found == expected


def test_a_name_is_not_taken_for_the_beginning_of_another():
    model = nn.Sequential()
    for name in ("layer1", "layer10"):
        model.add_module(name, nn.Linear(2, 2))
    groups = transfer.parameter_groups(model, {"layer1": 0.1})
    assert [len(group["params"]) for group in groups] == [2]
    assert not model.layer10.weight.requires_grad and model.layer1.weight.requires_grad


def test_groups_freeze_what_has_no_rate_and_thaw_what_has():
    model = net()
    transfer.freeze(model, "conv1", "fc")
    transfer.parameter_groups(model, {"fc": 0.1})
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {"fc.weight", "fc.bias"}


def test_a_shared_layer_may_go_by_either_name():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(2, 1))
    for rates, sizes in (({"2": 0.1}, [2]), ({"": 0.1, "2": 0.2}, [2, 2]), ({"0": 0.1, "2": 0.2}, [2])):
        groups = transfer.parameter_groups(model, rates)
        assert [len(group["params"]) for group in groups] == sizes and layer.weight.requires_grad
    assert not model[3].weight.requires_grad


def test_a_rate_of_zero_is_a_rate():
    (group,) = transfer.parameter_groups(net(), {"fc": 0})
    assert group["lr"] == 0 and len(group["params"]) == 2


def test_refused_rates_freeze_nothing():
    model = net()
    for rates in ({"fc": 0.1, "cf": 0.1}, {"relu1": 0.1}):
        with pytest.raises(ValueError):
            transfer.parameter_groups(model, rates)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("rates, words", [
    ({}, "at least one layer"), ({"cf": 0.1}, "no layer 'cf'"),
    (0.1, "as a dict, got 0.1"), ({"relu1": 0.1}, "'relu1' have no parameters"),
    ({"fc": -1}, "the learning rate of 'fc' must be at least 0, got -1"), ({"fc": float("nan")}, "at least 0, got nan"),
    ({"fc": "0.1"}, "the learning rate of 'fc' must be at least 0, got '0.1'"), ({"fc": None}, "0, got None"),
    ({"": float("inf")}, "the learning rate of '' must be at least 0, got inf"), ({"": [0.1]}, r"got \[0.1\]"),
    ({None: 0.1}, "name each layer by a text, '' for the whole model, got None"), ({0: 0.1}, "by a text, .* got 0"),
])  # fmt: skip
def test_groups_refuse(rates, words):
    with pytest.raises(ValueError, match=words):
        transfer.parameter_groups(net(), rates)


def test_a_trained_head_leaves_all_else_bit_for_bit():
    model = net()
    before = state(model)
    losses = transfer.fine_tune(model, pictures(), {"fc": 0.1}, steps=5)
    assert changed(before, model) == {"fc.weight", "fc.bias"} and len(losses) == 5
    assert not model.training


def test_renewed_statistics_change_and_weights_do_not():
    model = net()
    before = state(model)
    transfer.fine_tune(model, pictures(), {"fc": 0.1}, steps=5, statistics="renewed")
    kinds = {name.rsplit(".")[-1] for name in changed(before, model) if not name.startswith("fc")}
    assert kinds == {"running_mean", "running_var", "num_batches_tracked"}


def test_fixed_statistics_stay_while_all_weights_train():
    model = net()
    before = state(model)
    transfer.fine_tune(model, pictures(), {"": 0.1}, steps=3, statistics="fixed")
    same = {name for name in before if name not in changed(before, model)}
    assert same == {
        name for name in before if name.rsplit(".")[-1] in ("running_mean", "running_var") or "num_" in name
    }


def test_it_is_sgd_with_momentum_along_half_a_cosine():
    """Against the same steps written out: velocity v = 0.9 v + g, weight w = w - rate v, on one whole batch."""
    model, set_ = LeNet(n_classes=3, size=16), pictures(6)
    reference = LeNet(n_classes=3, size=16)
    reference.load_state_dict(model.state_dict())
    transfer.fine_tune(model, set_, {"": 0.05}, steps=3, batch_size=6)
    speed = [torch.zeros_like(p) for p in reference.parameters()]
    for factor in (1, 0.75, 0.25):  # (1 + cos(pi i / 3)) / 2
        loss = nn.functional.cross_entropy(reference(set_.floats()), set_.labels)
        gradients = torch.autograd.grad(loss, list(reference.parameters()))
        with torch.no_grad():
            for p, v, g in zip(reference.parameters(), speed, gradients):
                v.mul_(0.9).add_(g)
                p.sub_(0.05 * factor * v)
    for ours, expected in zip(model.parameters(), reference.parameters()):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


def test_pictures_are_augmented_with_the_seed_then_normalised():
    """With one step of rate 0 the loss is that of the pictures as the model sees them."""
    model, set_, seen = net(), pictures(8), []

    def noise(x, generator):
        seen.append(x + torch.rand(len(x), 1, 1, 1, generator=generator))
        return seen[-1]

    options = {"augment": noise, "normalise": lambda x: 2 * x - 1, "statistics": "fixed"}
    (loss,) = transfer.fine_tune(model, set_, {"": 0}, 1, 8, seed=5, **options)
    generator = torch.Generator().manual_seed(5)
    order = torch.randperm(8, generator=generator)
    x = set_.floats()[order] + torch.rand(8, 1, 1, 1, generator=generator)
    with torch.no_grad():
        expected = nn.functional.cross_entropy(model(2 * x - 1), set_.labels[order]).item()
    assert len(seen) == 1 and loss == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("batch_size, sizes", [(3, [3, 3, 1, 3, 3]), (20, [7] * 5)])
def test_batches_have_the_size_asked_for(batch_size, sizes):
    model, found = net(), []
    model.register_forward_hook(lambda module, inputs, output: found.append(len(output)))
    transfer.fine_tune(model, pictures(7), {"fc": 0.1}, 5, batch_size)
    assert found == sizes


def test_pictures_take_the_models_precision():
    losses = transfer.fine_tune(net().double(), pictures(6), {"": 0.01}, 2)
    assert losses == pytest.approx(transfer.fine_tune(net(), pictures(6), {"": 0.01}, 2), abs=1e-4)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x):
        return self.net(x), self.net(x)


@pytest.mark.parametrize("model, words", [
    (net(2), r"logits \(N, 3\) or more, got \(30, 2\): replace_head"), (Two(), r"logits .* got tuple"),
    (nn.Sequential(*list(net())[:-3]), r"logits .* got \(30, 8, "),
])  # fmt: skip
def test_other_outputs_are_refused(model, words):
    with pytest.raises(ValueError, match=words):
        transfer.fine_tune(model, pictures(), {"": 0.1}, 1)


def test_it_goes_on_over_the_end_of_an_epoch_and_repeats_with_its_seed():
    runs = [transfer.fine_tune(net(), pictures(12), {"": 0.01}, steps=7, batch_size=5, seed=s) for s in (0, 0, 1)]
    assert len(runs[0]) == 7 and runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("options, words", [
    ({"statistics": "frozen"}, "'fixed', got 'frozen'"),
    ({"steps": 0}, "steps must be a whole number of at least 1, got 0"), ({"steps": 2.5}, "steps must be .* got 2.5"),
    ({"steps": "9"}, "steps must be .* got '9'"), ({"steps": True}, "steps must be .* got True"),
    ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    ({"batch_size": None}, "batch_size must be .* got None"), ({"rates": {"fc": "fast"}}, "at least 0, got 'fast'"),
    ({"pictures": pictures(3).subset([])}, "an ImageSet of at least one picture, got 0 pictures"),
    ({"pictures": pictures().images}, r"an ImageSet of at least one picture, got \(60, 3, 16, 16\)"),
    ({"pictures": None}, "pictures must be an ImageSet .* got NoneType"), ({"model": "fc"}, "torch.nn.Module, got str"),
])  # fmt: skip
def test_fine_tune_refuses(options, words):
    with pytest.raises(ValueError, match=words):
        transfer.fine_tune(**{"model": net(), "pictures": pictures(), "rates": {"fc": 0.1}} | options)
