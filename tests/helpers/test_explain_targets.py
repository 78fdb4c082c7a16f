"""What may be explained, and where: targets, layers by name and module, and the errors that name what is wrong."""

import numpy as np
import pytest
import torch
from explain_cases import network, normal, relative, tiny
from torch import nn

from helpers import explain
from helpers.explain.targets import score
from helpers.watch import find_layer

X, LABELS = normal(3, 3, 12, 10), [4, 0, 2]
OUTPUT = normal(3, 5, seed=1)
MAPS = {
    "saliency": explain.saliency,
    "guided_backprop": explain.guided_backprop,
    "deconvnet": explain.deconvnet,
    "smooth_grad": lambda m, x, t: explain.smooth_grad(m, x, t, 5, generator=torch.Generator().manual_seed(0)),
    "integrated_gradients": lambda m, x, t: explain.integrated_gradients(m, x, t, n_steps=5),
    "occlusion": lambda m, x, t: explain.occlusion(m, x, t, 5, 3),
    "occlusion, one by one": lambda m, x, t: explain.occlusion(m, x, t, 5, 3, batch_size=1),
    "grad_cam": lambda m, x, t: explain.grad_cam(m, x, t, "relu"),
    "layer_cam": lambda m, x, t: explain.layer_cam(m, x, t, "relu"),
    "guided_grad_cam": lambda m, x, t: explain.guided_grad_cam(m, x, t, "relu"),
}
each_map = pytest.mark.parametrize("make", MAPS.values(), ids=MAPS)


@pytest.fixture(params=["all at once", "four pictures at once"])
def at_once(request, monkeypatch):
    """Several points of a path, and several windows, go through the model as one batch, of one size or another."""
    if request.param != "all at once":
        monkeypatch.setattr("helpers.explain.batches.PIXELS", 4 * X[0, 0].numel())


class Holding(nn.Module):
    """A model whose output holds logits: under a key, or in a tuple."""

    def __init__(self, hold):
        super().__init__()
        self.model, self.hold = tiny(), hold
        self.relu = self.model.relu

    def forward(self, x):
        return self.hold(self.model(x))


# Targets

INDICES = {
    "list": LABELS,
    "tuple": tuple(LABELS),
    "tensor": torch.tensor(LABELS),
    "small whole numbers": torch.tensor(LABELS, dtype=torch.int16),
    "array": np.array(LABELS),
    "bytes": np.array(LABELS, dtype=np.uint8),
    "list of numpy's": [np.int64(i) for i in LABELS],
    "list of tensors": list(torch.tensor(LABELS)),
}


@pytest.mark.parametrize("target", INDICES.values(), ids=INDICES)
def test_as_many_indices_as_pictures(target):
    assert torch.equal(score(OUTPUT, target), torch.stack([OUTPUT[0, 4], OUTPUT[1, 0], OUTPUT[2, 2]]))


@pytest.mark.parametrize("target", [3, np.int64(3), np.int8(3), torch.tensor(3), np.array(3)], ids=type)
def test_one_index_for_all(target):
    assert torch.equal(score(OUTPUT, target), OUTPUT[:, 3])


@each_map
def test_every_form_of_a_target_gives_the_same_maps(make, at_once):
    model = tiny()
    expected = make(model, X, LABELS)
    assert expected.abs().flatten(1).amax(1).min() > 0
    for target in INDICES.values():
        assert torch.equal(make(model, X, target), expected)
    by_function = make(model, X, lambda output: output[torch.arange(len(LABELS)), torch.tensor(LABELS)])
    assert relative(by_function, expected) < 1e-12
    assert relative(make(model, X, 4)[:1], expected[:1]) < 1e-12
    assert relative(make(model, X, lambda output: output[:, 4]), make(model, X, 4)) < 1e-12


@each_map
def test_functions_of_outputs_that_are_no_tensor(make, at_once):
    expected, rows = make(tiny(), X, LABELS), torch.arange(len(LABELS))
    holds = {
        "dict": (lambda z: {"out": z}, lambda output: output["out"][rows, LABELS]),
        "tuple": (lambda z: (z * 0, z), lambda output: output[1][rows, LABELS]),
        "list of dicts": (lambda z: [{"score": row} for row in z],
                          lambda output: torch.stack([o["score"][i] for o, i in zip(output, LABELS)])),
    }  # fmt: skip
    for hold, target in holds.values():
        assert relative(make(Holding(hold), X, target), expected) < 1e-12
        with pytest.raises(
            ValueError, match=r"an output \(N, classes\), this one is (dict|tuple|list): pass a functio"
        ):
            make(Holding(hold), X, 1)


@each_map
def test_a_single_number_as_target(make, at_once):
    one, all_of_them = X[:1], lambda output: output[:, 1].sum()
    assert relative(make(tiny(), one, all_of_them), make(tiny(), one, 1)) < 1e-12
    if "occlusion" in [name for name in MAPS if MAPS[name] is make][0]:
        with pytest.raises(ValueError, match="one number for each of the 3 pictures, got a single one"):
            make(tiny(), X, all_of_them)
    else:
        assert relative(make(tiny(), X, all_of_them), make(tiny(), X, 1)) < 1e-12


@pytest.mark.parametrize(
    "target",
    [True, [True, False, True], torch.tensor([True, False, True]), 1.0, [1.0, 2.0, 3.0], torch.tensor([1.0, 2, 3]),
     np.array([1.5, 2, 3]), "2", ["1", "2", "3"], None, [None] * 3, {1, 2, 3}, [[1], [2], [3]], np.ones((3, 1), int),
     np.bool_(1), list(torch.tensor([True, False, True]))],
    ids=repr,
)  # fmt: skip
def test_what_is_no_target(target):
    with pytest.raises(ValueError, match="a class index, 3 of them or a function of the output, got"):
        explain.saliency(tiny(), X, target)


@pytest.mark.parametrize("target", [5, -1, [0, 1, 5], [0, -1, 2], torch.tensor([0, 1, 99])], ids=repr)
def test_classes_that_are_not_there(target):
    with pytest.raises(ValueError, match="class indices must lie between 0 and 4, got"):
        explain.saliency(tiny(), X, target)


@pytest.mark.parametrize("target, n", [([1, 2], 2), ([], 0), (torch.tensor([1]), 1), (np.arange(4), 4)])
def test_as_many_targets_as_pictures_are_asked_for(target, n):
    with pytest.raises(ValueError, match=f"3 pictures but {n} targets"):
        explain.saliency(tiny(), X, target)


@pytest.mark.parametrize(
    "target, got",
    [
        (lambda output: output, r"\(3, 5\)"),
        (lambda output: output[:2, 0], r"\(2,\)"),
        (lambda output: output[:, :1], r"\(3, 1\)"),
        (lambda output: 3.0, "float"),
        (lambda output: None, "NoneType"),
        (lambda output: [o[0] for o in output], "list"),
    ],
)
@each_map
def test_functions_that_give_something_else(make, target, got):
    with pytest.raises(ValueError, match=f"one number a picture, .* got {got}"):
        make(tiny(), X, target)


@pytest.mark.parametrize("make", [name for name in MAPS if "occlusion" not in name])
def test_targets_without_a_gradient(make):
    with pytest.raises(ValueError, match="the target has no gradient"):
        MAPS[make](tiny(), X, lambda output: output.argmax(1).double())
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match="the target does not depend on"):
        MAPS[make](tiny(), X, lambda output: weight * 1)


@pytest.mark.parametrize(
    "x, message",
    [
        (X[0], r"a batch \(N, C, H, W\) of at least one picture, got shape \(3, 12, 10\)"),
        (X[:0], r"got shape \(0, 3, 12, 10\)"),
        ((X * 9).byte(), "a float tensor, preprocessed as the model expects, got uint8"),
        (X.numpy(), "a float tensor, preprocessed as the model expects, got ndarray"),
        (X.masked_fill(X == X.max(), float("nan")), "x holds nan or infinite values"),
        (X.masked_fill(X == X.max(), float("inf")), "x holds nan or infinite values"),
        (X.to("meta"), "x lies on the device 'meta', which holds no values"),
    ],
)
@each_map
def test_what_is_no_batch(make, x, message):
    with pytest.raises(ValueError, match=message):
        make(tiny(), x, 1)


# Layers


def test_activations_by_name_by_module_in_the_order_asked_for():
    model, x = tiny(), X.clone()
    with torch.no_grad():
        first = model.conv1(x + 0.1)
        relu = model.bn1(first).relu()
        second = model.bn2(model.conv2(relu))
        out = (second + relu).relu()
    made = explain.activations(model, x, ["relu", model.bn2, "conv1", "fc"])
    assert list(made) == ["relu", "bn2", "conv1", "fc"]
    for name, expected in {"relu": out, "bn2": second, "conv1": first, "fc": model(x.clone())}.items():
        torch.testing.assert_close(made[name], expected)
    assert list(explain.activations(model, X, model.bn2)) == list(explain.activations(model, X, ("bn2",))) == ["bn2"]
    assert explain.activations(model, X, []) == {}
    assert not made["fc"].requires_grad and torch.equal(x, X)


def test_containers_and_what_is_inside_them_at_once():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(inplace=True)), nn.ReLU(inplace=True)).double()
    made = explain.activations(model, X, ["0.0", "0", "1", model])
    assert torch.equal(made["0.0"], model[0][0](X)) and made["0.0"].min() < 0
    assert torch.equal(made["0"], made["0.0"].relu()) and torch.equal(made["1"], made[""])


def test_an_in_place_layer_called_as_a_statement():
    class Statement(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu, self.fc = nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Linear(4, 2)
            self.double()

        def forward(self, x):
            y = self.conv(x)
            self.relu(y)
            y = y.mul_(2)
            return self.fc(y.mean((2, 3)))

    model = Statement()
    made = explain.activations(model, X, ["conv", "relu"])
    torch.testing.assert_close(made["conv"], model.conv(X).detach())
    assert torch.equal(made["relu"], made["conv"].relu())
    with pytest.raises(ValueError, match="the target does not depend on the layer 'relu'"):
        explain.grad_cam(model, X, 1, "relu")
    with pytest.raises(ValueError, match="the target has no gradient|the target does not depend on the layer 'relu'"):
        explain.grad_cam(model.requires_grad_(False), X, 1, "relu")


def test_a_module_under_two_names():
    model = tiny()  # `same` is conv2
    assert find_layer(model, "same") == ("same", model.conv2) and find_layer(model, model.same)[1] is model.conv2
    both = explain.activations(model, X, ["conv2", "same"])
    assert torch.equal(both["conv2"], both["same"])
    for method in (explain.grad_cam, explain.layer_cam):
        assert torch.equal(method(model, X, 1, "same"), method(model, X, 1, model.conv2))
    patches = [explain.max_activating_patches(model, X, layer, [1])[1] for layer in ("conv2", "same", model.same)]
    assert all(torch.equal(a, b) for p in patches for a, b in zip(p, patches[0]))


def test_a_layer_called_twice_gives_its_last_call():
    model = tiny()
    with torch.no_grad():
        y = model.bn1(model.conv1(X + 0.1)).relu()
        y = (model.bn2(model.conv2(y)) + y).relu()
    slopes = model.fc.weight[LABELS].double() / y[0, 0].numel()  # of the mean over places, at each place
    expected = torch.einsum("nk,nkhw->nhw", slopes, y)
    assert relative(explain.grad_cam(model, X, LABELS, "relu"), expected.detach()) < 1e-12


@pytest.mark.parametrize(
    "typo, near",
    [("con1", "conv1"), ("Relu", "relu"), ("bn", "bn1"), ("conv3", "conv1"), ("a.conv2", "conv2"), ("ift", "shift")],
)
def test_unknown_names_list_near_matches(typo, near):
    for look in (explain.activations, lambda m, x, layer: explain.grad_cam(m, x, 1, layer)):
        with pytest.raises(ValueError, match=f"no layer '{typo}' in this Tiny; .*({near})"):
            look(tiny(), X, typo)


def test_near_matches_are_names_like_it_then_names_that_hold_it():
    with pytest.raises(ValueError, match=r"in this ResNet; did you mean conv1, layer1\.0\.conv1, layer1\.0\.conv2"):
        find_layer(network("resnet18"), "conv")


@pytest.mark.parametrize("layer", ["", None, 3, ["quite another"], "quite another name"])
def test_what_is_no_layer_lists_what_there_is(layer):
    with pytest.raises(ValueError, match=r"no layer .* in this Tiny; it has shift, conv1, bn1"):
        explain.grad_cam(tiny(), X, 1, layer)


def test_layers_of_other_models_and_unused_ones():
    model = tiny()
    with pytest.raises(ValueError, match="the layer Conv2d is not part of this Tiny"):
        explain.activations(model, X, tiny().conv1)
    with pytest.raises(ValueError, match="the forward pass does not use unused"):
        explain.activations(model, X, ["conv1", "unused"])
    for look in (explain.grad_cam, explain.layer_cam, explain.cam, explain.guided_grad_cam):
        with pytest.raises(ValueError, match="the forward pass does not use the layer 'unused'"):
            look(model, X, 1, "unused")
    for look in (explain.saliency, explain.guided_backprop, explain.deconvnet):
        with pytest.raises(ValueError, match="the forward pass does not use the layer 'unused'"):
            look(model, X, explain.unit(0), "unused")
    with pytest.raises(ValueError, match="the forward pass does not use the layer 'unused'"):
        explain.max_activating_patches(model, X, "unused", 0)


def test_layers_without_a_map_and_layers_of_several_outputs():
    for look in (explain.grad_cam, explain.layer_cam, explain.cam, explain.guided_grad_cam):
        with pytest.raises(ValueError, match=r"layer 'fc' has no places: its output is \(3, 5\), not \(N, K, h, w\)"):
            look(tiny(), X, 1, "fc")
    pair = nn.Sequential(nn.Conv2d(3, 2, 3), nn.MaxPool2d(2, return_indices=True)).double()
    with pytest.raises(ValueError, match="layer '1' returns a tuple, not a tensor"):
        explain.activations(pair, X, "1")
    with pytest.raises(ValueError, match="the target does not depend on the layer"):
        explain.grad_cam(tiny(), X, lambda output: torch.ones(3).double().requires_grad_(), "relu")


def test_a_layer_within_no_grad_has_no_slopes():
    class Blind(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.fc = nn.Conv2d(3, 3, 1).double(), nn.Linear(3, 2).double()

        def forward(self, x):
            with torch.no_grad():
                x = self.inner(x).relu()
            return self.fc(x.mean((2, 3)))

    with pytest.raises(ValueError, match="the target does not depend on|the target has no gradient"):
        explain.saliency(Blind(), X, 1)
    with pytest.raises(ValueError, match="the target does not depend on|the target has no gradient"):
        explain.grad_cam(Blind(), X, 1, "inner")


HIDING = {
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "scripted or traced": lambda model: torch.jit.trace(model, X),
}


@pytest.mark.parametrize("kind", HIDING)
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace")
def test_compiled_code_hides_its_layers(kind):
    inner = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double().eval()
    hidden = HIDING[kind](inner)
    with pytest.raises(ValueError, match=f"the model is {kind}, which hides its layers: use the module that it was"):
        explain.activations(hidden, X, "1")
    inside = next(name for name, module in hidden.named_modules() if name.endswith("1"))
    with pytest.raises(ValueError, match=f"'0' is {kind}, which hides its layers"):
        explain.grad_cam(nn.Sequential(hidden), X, 1, f"0.{inside}")
    both = nn.Sequential(nn.Identity(), hidden)
    assert torch.equal(explain.activations(both, X, "0")["0"], X), "the layers around it are seen"


def test_a_module_compiled_in_place_hides_its_layers():
    model = tiny()
    model.compile(backend="eager")
    with pytest.raises(ValueError, match="the model is compiled, which hides its layers"):
        explain.activations(model, X, "relu")


@pytest.mark.parametrize("images", [[X[0], X[1]], X[0], X.numpy()], ids=type)
def test_patches_of_what_is_no_tensor_of_pictures(images):
    with pytest.raises(
        ValueError, match=r"images must be a tensor \(N, C, H, W\) of .* got (list|ndarray|\(3, 12, 10\))"
    ):
        explain.max_activating_patches(tiny(), images, "relu", 0)


def test_a_unit_of_an_output_that_is_no_tensor():
    with pytest.raises(ValueError, match=r"channel 1 of an output \(N, K, h, w\) was asked for, it is tuple"):
        explain.saliency(Holding(lambda z: (z, z)), X, explain.unit(1))
