"""Gradient ascent where the summit is known, each setting alone and with the others, and the model left as it was."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from helpers.models import PoolNet
from helpers.synthesis import (
    SMOOTH,
    class_image,
    from_spectrum,
    gradient_ascent,
    to_spectrum,
    total_variation,
    unit_image,
)

W = torch.randn(2, 3, 9, 12, generator=torch.Generator().manual_seed(5))
ZEROS = torch.zeros_like(W)
SETTINGS = {"l2": 0.01, "jitter": 2, "blur": 0.7, "fourier": True, "bounds": ([-1, -0.5, -2], 1)}
flat = pytest.mark.filterwarnings("ignore:the objective has slope 0")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(x):
    return (x * W[: len(x)]).flatten(1).sum(1)


def still(x):
    """An objective with slope 0, so that Adam moves nothing."""
    return 0 * x.flatten(1).sum(1)


def net(seed=0):
    torch.manual_seed(seed)
    model = PoolNet(width=4)
    for module in model:
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    model.fc.weight.data *= 20  # so that the classes differ as a trained network's
    return model


@pytest.mark.parametrize("fourier", [False, True])
def test_the_summit_of_a_linear_score_with_l2_is_half_the_weights_over_l2(fourier):
    found, values = gradient_ascent(linear, ZEROS, steps=600, lr=0.05, l2=0.8, fourier=fourier)
    torch.testing.assert_close(found, W / (2 * 0.8), atol=2e-3, rtol=0)
    assert values.shape == (601, 2) and not found.requires_grad and not values.requires_grad
    torch.testing.assert_close(values[-1], linear(found))  # the objective alone, without the l2 term


def test_the_summit_of_a_paraboloid_within_bounds_is_the_nearest_place():
    bounds = ([-0.5, -1, -9], [0.5, 1, 9])
    top = 1.5 * W
    found, _ = gradient_ascent(lambda x: -(x - top).square().sum(), ZEROS, 400, 0.05, bounds=bounds)
    low, high = (torch.tensor(b).view(3, 1, 1) for b in bounds)
    torch.testing.assert_close(found, top.clamp(low, high).float(), atol=2e-3, rtol=0)
    assert found[:, 0].abs().max() == 0.5


def test_the_steps_are_adams():
    """By the formulas of Kingma and Ba (2015), in NumPy."""
    x, mean, square, w = np.zeros(W.shape), 0.0, 0.0, W.double().numpy()
    for t in range(1, 31):
        slope = w - 2 * 0.3 * x
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        x = x + 0.02 * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
    found, values = gradient_ascent(lambda x: (x * W.double()).sum(), ZEROS.double(), 30, 0.02, l2=0.3)
    np.testing.assert_allclose(found, x, atol=1e-9)
    assert found.dtype == torch.float64 and values.shape == (31,) and values[0] == 0


@pytest.mark.parametrize("size", [(9, 12), (8, 8), (7, 5)])
def test_a_step_in_the_spectrum_is_as_long_as_one_in_the_pixels(size):
    slope = torch.randn(8, 3, *size, generator=seeded())
    for fourier in (False, True):
        found, _ = gradient_ascent(lambda x: (x * slope).sum(), 0 * slope, 1, 0.05, fourier=fourier)
        assert found.square().mean().sqrt().item() == pytest.approx(0.05, rel=0.05)


def test_the_spectrum_prefers_coarse_structure():
    slope = torch.randn(8, 3, 32, 32, generator=seeded())
    coarse, fine = (gradient_ascent(lambda x: (x * slope).sum(), 0 * slope, 5, fourier=f)[0] for f in (True, False))
    neighbours = [x.diff(dim=3).square().mean() / x.square().mean() for x in (coarse, fine)]
    assert neighbours[0] < 0.8 and neighbours[1] > 1.5


@flat
@pytest.mark.parametrize("fourier", [False, True])
@pytest.mark.parametrize("steps, every, times", [(9, 4, 2), (8, 4, 1), (4, 1, 3), (1, 1, 0), (0, 1, 0)])
def test_the_picture_is_blurred_before_every_nth_step(steps, every, times, fourier):
    found, _ = gradient_ascent(still, W, steps, blur=0.8, blur_every=every, fourier=fourier)
    expected = W.numpy()
    for _ in range(times):
        expected = ndimage.gaussian_filter(expected, (0, 0, 0.8, 0.8), mode="reflect")
    np.testing.assert_allclose(found, expected, atol=1e-5)


@flat
def test_the_objective_sees_shifted_pictures_and_the_result_is_not_shifted():
    seen = []

    def watched(x):
        seen.append(x.detach().clone())
        return still(x)

    found, _ = gradient_ascent(watched, W, 30, jitter=2, generator=seeded())
    assert torch.equal(found, W) and torch.equal(seen[-1], W) and len(seen) == 31
    rolled = {(i, j): W.roll((i, j), (2, 3)) for i in range(-2, 3) for j in range(-2, 3)}
    shifts = [[shift for shift, x in rolled.items() if torch.equal(x, s)] for s in seen]
    assert all(len(shift) == 1 for shift in shifts) and len({shift[0] for shift in shifts}) > 12


def test_the_slope_is_shifted_back():
    """For an objective that is blind to shifts, jitter changes nothing."""
    settings = {"steps": 10, "generator": seeded()}
    plain, jittered = (gradient_ascent(lambda x: x.pow(3).sum(), W, jitter=j, **settings)[0] for j in (0, 3))
    torch.testing.assert_close(plain, jittered)
    assert not torch.equal(gradient_ascent(linear, W, 10, jitter=3, generator=seeded())[0], jittered)


@pytest.mark.parametrize("chosen", list(itertools.product([False, True], repeat=len(SETTINGS))))
def test_every_combination_of_settings(chosen):
    settings = {name: value for (name, value), on in zip(SETTINGS.items(), chosen) if on}
    start = 0.1 * W
    weights = torch.tensor([1.0, -1.0, 0.5]).view(3, 1, 1) + 0.3 * W

    def linear(x):
        return (x * weights[: len(x)]).flatten(1).sum(1)

    before, state = start.clone(), torch.get_rng_state()
    found, values = gradient_ascent(linear, start, 12, generator=seeded(), **settings)
    again, _ = gradient_ascent(linear, start, 12, generator=seeded(), **settings)
    alone, first = gradient_ascent(linear, start[:1], 12, generator=seeded(), **settings)
    assert torch.equal(found, again) and torch.equal(start, before) and torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(alone[0], found[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(first[:, 0], values[:, 0])
    if "blur" not in settings:  # which may take away more than twelve steps give
        assert (linear(found) > linear(start)).all()
    if "bounds" in settings:
        low = torch.tensor(SETTINGS["bounds"][0]).view(3, 1, 1)
        assert (found >= low).all() and (found <= 1).all()


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_changes_the_result(name):
    plain = gradient_ascent(linear, W, 12, generator=seeded())[0]
    changed = gradient_ascent(linear, W, 12, generator=seeded(), **{name: SETTINGS[name]})[0]
    assert (plain - changed).abs().max() > 1e-3


def test_bounds_are_held_by_what_the_objective_sees_and_within_the_spectrum_too():
    seen = []
    gradient_ascent(lambda x: seen.append(x.detach()) or linear(x), 3 * W, 6, bounds=(-0.2, 0.2), fourier=True)
    assert all(x.abs().max() <= 0.2 + 1e-6 for x in seen)


def test_no_steps_and_no_gradients_around():
    found, values = gradient_ascent(linear, W, steps=0)
    assert torch.equal(found, W) and torch.equal(values, linear(W)[None]) and found is not W
    with torch.no_grad():
        climbed, _ = gradient_ascent(linear, W, steps=2)
    torch.testing.assert_close(climbed, W + 0.1 * W.sign(), atol=1e-4, rtol=0)
    given = W.clone().requires_grad_()
    assert not gradient_ascent(linear, given, steps=2)[0].requires_grad and given.grad is None


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"steps": -1}, "steps must be a whole number of at least 0, got -1"),
        ({"steps": 2.0}, "steps must be a whole number"),
        ({"jitter": -2}, "jitter must be a whole number of at least 0, got -2"),
        ({"jitter": 0.5}, "jitter must be a whole number"),
        ({"blur_every": 0}, "blur_every must be a whole number of at least 1"),
        ({"blur": -0.1}, "blur must be at least 0, got -0.1"),
        ({"l2": -1}, "l2 must be at least 0, got -1"),
        ({"l2": float("nan")}, "l2 must be at least 0"),
        ({"lr": 0}, "lr must be above 0, got 0"),
        ({"bounds": (1, 0)}, "low below high"),
        ({"start": W[0]}, r"a batch \(N, C, H, W\).* got shape \(3, 9, 12\)"),
        ({"start": W[0, 0]}, r"start must be a batch \(N, C, H, W\), got shape \(9, 12\)"),
        ({"start": torch.zeros(1, 3, 4, 4, dtype=torch.uint8)}, "float"),
        ({"objective": lambda x: x.mean((2, 3))}, r"one number a picture, \(2,\), or a single one, got \(2, 3\)"),
        ({"objective": lambda x: 3.0}, "got float"),
        ({"objective": lambda x: x.detach().sum()}, "has no gradient"),
        ({"objective": lambda x: torch.ones(2, requires_grad=True), "l2": 0.1}, "does not depend on the pictures"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        gradient_ascent(**{"objective": linear, "start": W} | settings)


def test_a_start_without_a_slope_is_warned_of():
    def rectified(x):
        return (x.flatten(1).sum(1) - 5).relu()

    start = torch.cat([W[:1] * 0, W[:1] * 0 + 1, W[:1] * 0])
    with pytest.warns(UserWarning, match="slope 0 everywhere at the start of picture 0, 2 of the batch.*noise"):
        found, _ = gradient_ascent(rectified, start, 3, l2=0.1)
    assert (found[[0, 2]] == 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gradient_ascent(rectified, start[1:2], 3)
        gradient_ascent(lambda x: (x - 1).relu().flatten(1).sum(1), 1.04 * start[1:2], 9, l2=1.0)  # flat later on


def test_an_objective_that_runs_away_is_named():
    with pytest.raises(FloatingPointError, match="no longer finite"):
        gradient_ascent(lambda x: (2 - x.mean((1, 2, 3))).log() + 9 * x.mean((1, 2, 3)), W, 100, lr=0.1)


def test_class_image_is_the_courseworks_ascent():
    """Simonyan's objective, written out: the score before softmax minus lambda times the squared norm."""
    model = net().eval()
    x = torch.zeros(1, 3, 16, 16, requires_grad=True)
    adam = torch.optim.Adam([x], lr=0.01)
    for _ in range(20):
        loss = 0.003 * x.pow(2).sum() - model(x)[0, 7]
        (x.grad,) = torch.autograd.grad(loss, x)
        adam.step()
    found, values = class_image(model, 7, size=16, steps=20, l2=0.003, noise=0)
    torch.testing.assert_close(found, x.detach(), atol=1e-5, rtol=0)
    torch.testing.assert_close(values[-1], model(x).detach()[:, 7], atol=1e-4, rtol=0)
    assert values.shape == (21, 1)


def test_the_courseworks_settings_are_the_defaults(monkeypatch):
    def caught(objective, start, *args, **kwargs):
        return start, (args, kwargs)

    monkeypatch.setattr("helpers.synthesis.ascent.gradient_ascent", caught)
    start, (args, kwargs) = class_image(net(), 3)
    assert start.shape == (1, 3, 64, 64) and 0.09 < start.std() < 0.11 and args == (1000, 0.01, 1e-3)
    assert kwargs == {"generator": None}
    assert class_image(net().double(), 3, size=(8, 12), noise=2.0)[0].dtype == torch.float64


def test_several_classes_at_once_are_as_one_by_one():
    model, settings = net().double(), {"steps": 5, "lr": 0.05, "jitter": 2}
    start = torch.randn(1, 3, 16, 24, generator=seeded()).double()
    settings["start"] = start.expand(3, 3, 16, 24)
    together, values = class_image(model, [2, 5, 2], generator=seeded(), **settings)
    for i, target in enumerate((2, 5, 2)):
        alone, value = class_image(model, target, generator=seeded(), **(settings | {"start": start}))
        torch.testing.assert_close(together[i], alone[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(values[:, i], value[:, 0], atol=1e-5, rtol=1e-5)
    assert torch.equal(together[0], together[2]) and not torch.equal(together[0], together[1])
    assert torch.equal(class_image(model, torch.tensor([2, 5, 2]), generator=seeded(), **settings)[0], together)


def test_class_image_starts_where_it_is_told():
    model, settings = net(), {"size": (8, 16), "steps": 0}
    assert torch.equal(class_image(model, 1, noise=0, **settings)[0], torch.zeros(1, 3, 8, 16))
    noise, _ = class_image(model, 1, noise=0.5, generator=seeded(), **settings)
    assert noise.shape == (1, 3, 8, 16) and 0.4 < noise.std() < 0.6
    assert torch.equal(noise, class_image(model, 1, noise=0.5, generator=seeded(), **settings)[0])
    assert torch.equal(class_image(model, 1, start=W[:1, :, :8, :8], steps=0)[0], W[:1, :, :8, :8])
    with pytest.raises(ValueError, match="noise must be at least 0, got -1"):
        class_image(model, 1, noise=-1, **settings)


def test_class_image_takes_any_function_of_the_output():
    model, settings = net(), {"size": 16, "steps": 5, "noise": 0}
    by_index, by_function = (class_image(model, t, **settings)[0] for t in (4, lambda output: output[:, 4]))
    softmax, _ = class_image(model, lambda output: output.softmax(1)[:, 4], **settings)
    assert torch.equal(by_index, by_function) and not torch.equal(by_index, softmax)
    with pytest.raises(ValueError, match="between 0 and 9"):
        class_image(model, 10, **settings)


def test_smooth_pictures_score_high_and_have_less_fine_structure():
    model, settings = net(), {"size": 32, "generator": seeded(), "l2": 0, "noise": 0}
    smooth, values = class_image(model, 1, **(SMOOTH | settings))
    plain, _ = class_image(model, 1, **settings, lr=SMOOTH["lr"], steps=SMOOTH["steps"])
    fine = [total_variation(x) / x.square().sum() for x in (smooth, plain)]
    assert values[-1] > values[0] + 1 and fine[0] < 0.1 * fine[1]


@pytest.mark.parametrize("place, where", [("mean", None), ("centre", (4, 6)), ((1, 2), (1, 2))])
def test_unit_image_climbs_the_units_activation(place, where):
    model = net()
    settings = {"size": (16, 24), "steps": 3, "generator": seeded()}
    found, values = unit_image(model, "conv2", [1, 6], place=place, **settings)
    maps = nn.Sequential(*list(model.eval())[:5])(found)[[0, 1], [1, 6]]
    assert list(model)[4] is model.conv2 and maps.shape == (2, 8, 12)
    expected = maps.mean((1, 2)) if where is None else maps[:, where[0], where[1]]
    torch.testing.assert_close(values[-1], expected.detach())
    assert (values[-1] > values[0]).all()


def test_a_units_image_changes_only_what_the_unit_sees():
    """conv2 at (4, 6) after one halving sees 8 rows and columns, from 2 * 4 - 3 and 2 * 6 - 3 on."""
    found, _ = unit_image(net(), "conv2", 0, size=(16, 24), place="centre", steps=4, noise=0)
    rows, columns = (found[0].abs().sum(0).sum(d).nonzero().flatten() for d in (1, 0))
    assert (rows[0], rows[-1]) == (5, 12) and (columns[0], columns[-1]) == (9, 16)


def test_a_unit_of_a_dense_layer_and_a_layer_passed_as_a_module():
    model = net()
    by_name, _ = unit_image(model, "fc", 3, size=16, steps=5, noise=0)
    by_module, _ = unit_image(model, model.fc, 3, size=16, steps=5, noise=0)
    as_class, _ = class_image(model, 3, size=16, steps=5, lr=0.05, l2=0, noise=0)
    assert torch.equal(by_name, by_module) and torch.equal(by_name, as_class)


@pytest.mark.parametrize(
    "layer, unit, place, message",
    [
        ("conv9", 0, "mean", "did you mean conv"),
        ("conv1", 4, "mean", "between 0 and 3"),
        ("conv1", 0, "middle", r"place must be 'mean', 'centre' or \(row, column\), got 'middle'"),
        ("conv1", 0, (1.5, 2), "place must be"),
        ("conv1", 0, (16, 0), r"\(16, 0\) does not lie in a map of 16 x 16"),
        ("conv1", 0, (-1, 0), "does not lie in a map"),
    ],
)
def test_a_unit_that_is_not_there(layer, unit, place, message):
    with pytest.raises(ValueError, match=message):
        unit_image(net(), layer, unit, size=16, place=place, steps=1)


def test_a_layer_whose_output_has_no_channels():
    with pytest.raises(ValueError, match=r"returns \(N, K, h, w\) or \(N, K\), this one \(1, 3, 256\)"):
        unit_image(nn.Sequential(nn.Flatten(2), nn.Flatten(), nn.Linear(768, 2)), "0", 0, size=16, steps=1)


def test_pictures_come_back_from_the_spectrum_as_they_went_in():
    """The settings meet here: a start picture, any, is where the ascent in the spectrum starts."""
    found, _ = gradient_ascent(linear, W, steps=0, fourier=True)
    torch.testing.assert_close(found, W, atol=1e-5, rtol=0)
    torch.testing.assert_close(from_spectrum(to_spectrum(W), W.shape[2:]), found)
