"""Whatever looks into a model leaves it, the picture and torch's settings as they were, errors or not."""

import numpy as np
import pytest
import torch
from explain_cases import normal, seeded, state, tiny

from helpers import explain

MAPS = normal(2, 4, 4, seed=5)
# model, x, target, layer: layer stands for one whose name is given where a method takes a layer
LOOKS = {
    "saliency": lambda m, x, t, layer: explain.saliency(m, x, t),
    "saliency of a layer": lambda m, x, t, layer: explain.saliency(m, x, explain.unit(1), layer),
    "guided_backprop": lambda m, x, t, layer: explain.guided_backprop(m, x, t),
    "deconvnet": lambda m, x, t, layer: explain.deconvnet(m, x, t),
    "smooth_grad": lambda m, x, t, layer: explain.smooth_grad(m, x, t, 2, generator=seeded()),
    "integrated_gradients": lambda m, x, t, layer: explain.integrated_gradients(m, x, t, n_steps=2),
    "one step": lambda m, x, t, layer: explain.integrated_gradients(m, x, t, baseline=0.1, n_steps=1),
    "occlusion": lambda m, x, t, layer: explain.occlusion(m, x, t, 6, 5),
    "cam": lambda m, x, t, layer: explain.cam(m, x, t, layer),
    "grad_cam": lambda m, x, t, layer: explain.grad_cam(m, x, t, layer),
    "layer_cam": lambda m, x, t, layer: explain.layer_cam(m, x, t, layer),
    "guided_grad_cam": lambda m, x, t, layer: explain.guided_grad_cam(m, x, t, layer),
    "activations": lambda m, x, t, layer: explain.activations(m, x, ["conv1", layer])[layer],
    "max_activating_patches": lambda m, x, t, layer: explain.max_activating_patches(m, x, layer, 1)[1].values,
    "insertion_deletion": lambda m, x, t, layer: explain.insertion_deletion(m, x, t, MAPS, 3).insertion,
}
TAKE_LAYER = [name for name in LOOKS if "cam" in name or name in ("activations", "max_activating_patches")]
TAKE_TARGET = [name for name in LOOKS if name not in ("saliency of a layer", "activations", "max_activating_patches")]
each_look = pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)


@pytest.fixture
def model():
    """In training mode but for two layers, some weights frozen, some with gradients, some layers with hooks."""
    model = tiny().train()
    model.bn2.eval()
    model.drop.eval()
    model.conv1.weight.requires_grad_(False)
    model.conv2.weight.grad = torch.ones_like(model.conv2.weight)
    model.modes = []
    model.bn1.register_forward_hook(lambda module, inputs, output: model.modes.append(module.training))
    model.fc.register_forward_pre_hook(lambda module, inputs: None)
    model.fc.register_full_backward_hook(lambda module, before, after: None)
    return model


def picture(requires_grad=False):
    x = normal(2, 3, 16, 12)
    if requires_grad:
        x.requires_grad_()
        x.grad = torch.full_like(x, 3.0)
    return x


@each_look
@pytest.mark.filterwarnings("ignore:For backward hooks")  # torch.fx, of the hook on fc
@pytest.mark.parametrize("requires_grad", [False, True])
def test_all_is_as_it_was(look, requires_grad, model):
    x = picture(requires_grad)
    before = state(model, x)
    made = look(model, x, [1, 2], "relu")
    assert state(model, x) == before
    assert not made.requires_grad and made.abs().sum() > 0
    assert model.modes and not any(model.modes), "in evaluation mode meanwhile"


@each_look
def test_the_same_under_no_grad_frozen_in_any_mode_and_with_a_picture_that_takes_gradients(look):
    expected = look(tiny(), picture(), [1, 2], "relu")
    with torch.no_grad():
        assert torch.equal(look(tiny(), picture(), [1, 2], "relu"), expected)
        assert not torch.is_grad_enabled()
    with torch.enable_grad():
        assert torch.equal(look(tiny().requires_grad_(False), picture(True), [1, 2], "relu"), expected)
        assert torch.is_grad_enabled()
    training = tiny().train()
    assert torch.equal(look(training, picture(), [1, 2], "relu"), expected)
    assert all(module.training for module in training.modules())


def failing(look, error, model, x, *arguments, match=None):
    before = state(model, x)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            with pytest.raises(error, match=match):
                look(model, x, *arguments)
            assert torch.is_grad_enabled() == grad
    assert state(model, x) == before


@each_look
@pytest.mark.parametrize("error", [RuntimeError("planted"), KeyboardInterrupt("planted")], ids=type)
def test_when_a_layer_raises(look, error, model):
    model.bomb.error = error
    failing(look, type(error), model, picture(), [1, 2], "relu", match="planted")


@pytest.mark.parametrize("look", TAKE_TARGET)
@pytest.mark.parametrize("target", [[0, 5], "no", lambda output: output, lambda output: 1 / 0], ids=str)
def test_when_the_target_is_wrong(look, target, model):
    failing(LOOKS[look], (ValueError, ZeroDivisionError), model, picture(), target, "relu")


@pytest.mark.parametrize("look", TAKE_LAYER)
@pytest.mark.parametrize("layer", ["relo", "unused", "fc"])
def test_when_the_layer_is_wrong(look, layer, model):
    if (look, layer) == ("activations", "fc"):
        pytest.skip("has activations, but no map")
    failing(LOOKS[look], ValueError, model, picture(), [1, 2], layer)


def test_when_a_refused_rectifier_is_met(model):
    model.relu = torch.nn.GELU()
    for look in ("guided_backprop", "deconvnet", "guided_grad_cam"):
        failing(LOOKS[look], ValueError, model, picture(), [1, 2], "conv2", match="gelu")


def test_the_global_generator_is_drawn_from_only_where_no_other_is_given():
    x, before = picture(), torch.get_rng_state()
    explain.smooth_grad(tiny(), x, 1, 2, generator=seeded())
    assert torch.equal(torch.get_rng_state(), before)
    explain.smooth_grad(tiny(), x, 1, 2)
    assert not torch.equal(torch.get_rng_state(), before)
    torch.set_rng_state(before)


def test_what_is_given_besides_stays_too():
    x, maps, baseline = picture(), MAPS.clone().requires_grad_(), normal(1, 3, 1, 1).requires_grad_()
    curves = explain.insertion_deletion(tiny(), x, 1, maps, 3, baseline)
    made = explain.integrated_gradients(tiny(), x, 1, baseline, 2), explain.occlusion(tiny(), x, 1, 6, 5, baseline)
    assert not any(m.requires_grad for m in (*made, *curves)) and baseline.grad is None and maps.grad is None
    assert torch.equal(maps, MAPS) and torch.equal(baseline, normal(1, 3, 1, 1))
    labels = [1, 2]
    explain.saliency(tiny(), x, labels)
    assert labels == [1, 2]


@each_look
def test_the_look_of_each_picture_is_its_own(look):
    """The first picture's map is the same whatever else is in the batch (noise included: it is drawn alike)."""
    x = picture()
    other = torch.cat([x[:1], 100 * normal(1, 3, 16, 12, seed=9)])
    if look is LOOKS["max_activating_patches"]:
        pytest.skip("compares pictures")
    torch.testing.assert_close(
        look(tiny(), other, [1, 3], "relu")[0], look(tiny(), x, [1, 2], "relu")[0], rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("look", [name for name in LOOKS if name not in ("max_activating_patches", "smooth_grad")])
def test_a_batch_equals_its_pictures_alone(look, monkeypatch):
    x, labels = normal(3, 3, 16, 12), [4, 0, 2]
    monkeypatch.setitem(globals(), "MAPS", normal(3, 4, 4, seed=5))
    whole = LOOKS[look](tiny(), x, labels, "relu")
    maps = MAPS
    for i in range(3):
        monkeypatch.setitem(globals(), "MAPS", maps[i : i + 1])
        alone = LOOKS[look](tiny(), x[i : i + 1], labels[i : i + 1], "relu")
        torch.testing.assert_close(whole[i : i + 1], alone, rtol=1e-12, atol=1e-14)


@each_look
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_numbers_is_kept(look, dtype):
    assert look(tiny().to(dtype), picture().to(dtype), [1, 2], "relu").dtype == dtype


@each_look
def test_what_is_no_model(look):
    with pytest.raises(ValueError, match="the model must be a torch.nn.Module, got function"):
        look(lambda x: x.mean((2, 3)), picture(), [1, 2], "relu")


NO_GRADIENTS = ("activations", "max_activating_patches", "occlusion", "insertion_deletion")


@pytest.mark.parametrize("look", LOOKS)
def test_in_inference_mode(look):
    expected, model = LOOKS[look](tiny(), picture(), [1, 2], "relu"), tiny()
    with torch.inference_mode():
        x = picture()
        if look in NO_GRADIENTS:
            assert torch.equal(LOOKS[look](model, x, [1, 2], "relu"), expected)
        else:
            with pytest.raises(ValueError, match="inference_mode.. allows no gradients: leave its context"):
                LOOKS[look](model, x, [1, 2], "relu")
    assert torch.equal(LOOKS[look](model, x, [1, 2], "relu"), expected)


@each_look
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(look):
    made = look(tiny().cuda(), picture().cuda(), torch.tensor([1, 2]), "relu")
    np.testing.assert_allclose(made.cpu(), look(tiny(), picture(), [1, 2], "relu"), rtol=1e-6, atol=1e-9)
