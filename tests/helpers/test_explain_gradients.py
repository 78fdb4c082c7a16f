"""Gradients of scores: noise and paths with known means, any neuron, channels put together."""

import pytest
import torch
from explain_cases import NETWORKS, network, normal, pictures, plain_gradient, randomised, relative, seeded, tiny
from torch import nn

from helpers import explain
from helpers.explain.gradients import baseline_like

X = normal(3, 3, 12, 10)


class Quadratic(nn.Module):
    """Scores (x'Ax, sum of x): the first one's gradient at x is (A + A')x, which noise of mean 0 does not change."""

    def __init__(self, n):
        super().__init__()
        self.register_buffer("a", normal(n, n, seed=3))

    def forward(self, x):
        x = x.flatten(1)
        return torch.stack([torch.einsum("ni,ij,nj->n", x, self.a, x), x.sum(1)], 1)


class Power(nn.Module):
    """The score is the sum of x to the power p: its gradient is p x^(p-1), and of the attributions from 0, x^p."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        return (x**self.p).flatten(1).sum(1, keepdim=True)


# SmoothGrad


def test_smooth_grad_without_noise_is_the_gradient():
    model = tiny()
    assert relative(explain.smooth_grad(model, X, [1, 2, 3], 4, noise=0), explain.saliency(model, X, [1, 2, 3])) < 1e-12


def test_smooth_grad_of_a_quadratic_score():
    # The gradient is linear, so the map is the gradient at x plus that at the mean of the noise drawn: normal, of
    # standard deviation 0.2 times the picture's range, here drawn again.
    x = normal(2, 1, 3, 2)
    x[1] *= 10  # each picture has its own range
    model, n = Quadratic(6), 7
    made = explain.smooth_grad(model, x, 0, n, noise=0.2, generator=seeded(5))
    generator = seeded(5)
    draws = torch.stack([torch.randn(x.shape, generator=generator) for _ in range(n)]).double()
    ranges = x.flatten(1).amax(1) - x.flatten(1).amin(1)
    points = (x + 0.2 * ranges.view(2, 1, 1, 1) * draws.mean(0)).flatten(1)
    assert relative(made.flatten(1), points @ (model.a + model.a.T)) < 1e-12
    many = explain.smooth_grad(model, x, 0, 4000, noise=0.2, generator=seeded())
    assert relative(many.flatten(1), x.flatten(1) @ (model.a + model.a.T)) < 0.05


def test_smooth_grad_of_a_cube_sees_the_noise():
    # E[3 (x + e)^2] = 3 x^2 + 3 s^2, s = 0.5 times the range 2: 3 s^2 = 3.
    x = torch.linspace(-1, 1, 9, dtype=torch.float64).view(1, 1, 3, 3)
    made = explain.smooth_grad(Power(3), x, 0, 5000, noise=0.5, generator=seeded())
    torch.testing.assert_close(made, 3 * x**2 + 3, rtol=0, atol=0.5)


def test_a_generator_repeats_the_noise():
    model = tiny()
    first, again, other = (explain.smooth_grad(model, X, 1, 3, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and relative(first, other) > 1e-3


def test_noise_goes_on_where_a_chunk_ends(monkeypatch):
    model = tiny()
    whole = explain.smooth_grad(model, X, 1, 7, generator=seeded())
    monkeypatch.setattr("helpers.explain.batches.PIXELS", 6 * X[0, 0].numel())
    assert relative(explain.smooth_grad(model, X, 1, 7, generator=seeded()), whole) < 1e-12


def test_smooth_grad_refuses():
    for n_samples in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"n_samples must be a whole number of at least 1, got {n_samples}"):
            explain.smooth_grad(tiny(), X, 1, n_samples)
    for noise in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"noise must be at least 0, got {noise}"):
            explain.smooth_grad(tiny(), X, 1, noise=noise)


# Integrated gradients


@pytest.mark.parametrize("p", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("baseline", [None, 0.5])
def test_polynomials_are_integrated_exactly(p, baseline):
    # n points of Gauss and Legendre are exact up to degree 2n - 1: the gradient, of degree p - 1, with (p + 1) // 2.
    x, start = normal(2, 1, 3, 2), baseline or 0.0
    made = explain.integrated_gradients(Power(p), x, 0, baseline, n_steps=(p + 1) // 2)
    torch.testing.assert_close(made, x**p - start**p, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("baseline", [None, 0.3, normal(1, 3, 1, 1, seed=8), normal(3, 3, 12, 10, seed=9)], ids=str)
def test_attributions_add_up_in_every_row(baseline):
    model, labels = (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(320, 5)).double(),
        [0, 3, 1],
    )
    start = torch.zeros_like(X) + (0 if baseline is None else baseline)
    rise = (model(X) - model(start))[torch.arange(3), labels].detach()
    sums = explain.integrated_gradients(model, X, labels, baseline, n_steps=20).sum((1, 2, 3))
    torch.testing.assert_close(sums, rise, rtol=1e-6, atol=1e-8)


def test_attributions_nearly_add_up_where_there_are_kinks():
    model, x = network("googlenet"), pictures("googlenet", 1)
    with torch.no_grad():
        rise = (model(x) - model(0 * x))[:, 3]
    assert abs(explain.integrated_gradients(model, x, 3, n_steps=20).sum() / rise - 1) < 0.06


def test_from_the_picture_itself_nothing_is_attributed():
    assert explain.integrated_gradients(tiny(), X, 1, baseline=X).abs().max() == 0


def test_integrated_gradients_refuse():
    with pytest.raises(ValueError, match="n_steps must be a whole number of at least 1, got 0"):
        explain.integrated_gradients(tiny(), X, 1, n_steps=0)
    with pytest.raises(
        ValueError, match=r"a baseline of shape \(2, 1, 1, 1\) does not fit pictures of shape \(3, 3, 1"
    ):
        explain.integrated_gradients(tiny(), X, 1, torch.zeros(2, 1, 1, 1))
    with pytest.raises(ValueError, match="a baseline is a number or a tensor, got 'black'"):
        explain.integrated_gradients(tiny(), X, 1, "black")
    with pytest.raises(ValueError, match=r"a baseline of shape \(1, 3, 3, 12, 10\) does not fit"):
        baseline_like(X, X[None])


# Any neuron


@pytest.mark.parametrize("name", NETWORKS)
def test_a_unit_of_a_layer(name):
    model, x, layer = network(name), pictures(name, 2), NETWORKS[name][1][1]
    seen, z = {}, x.clone().requires_grad_()
    handle = model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: seen.update(o=output * 1))
    model(z.clone())
    handle.remove()
    maps = seen["o"][:, 3]
    row, column = maps.shape[1] // 2, maps.shape[2] - 1
    expected = torch.autograd.grad(maps[:, row, column].sum(), z, retain_graph=True)[0]
    assert relative(explain.saliency(model, x, explain.unit(3, (row, column)), layer), expected) < 1e-12
    expected = torch.autograd.grad(maps.flatten(1).amax(1).sum(), z)[0]
    assert relative(explain.saliency(model, x, explain.unit(3), layer), expected) < 1e-12
    by_function = explain.saliency(model, x, lambda output: output[:, 3].amax((1, 2)), layer)
    assert relative(by_function, expected) < 1e-12


def test_a_layer_before_an_in_place_step_is_taken_as_it_was():
    model = randomised(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)))
    gradient = explain.saliency(model, X, lambda output: output.sum((1, 2, 3)), "0")
    weights = model[0].weight.detach().sum(0).view(1, 3, 1, 1)
    assert relative(gradient, weights.expand_as(X)) < 1e-12


def test_unit_refuses():
    model = tiny()
    with pytest.raises(ValueError, match=r"channel 4 of an output .* it is \(3, 4, 6, 5\)"):
        explain.saliency(model, X, explain.unit(4), "conv1")
    for channel in (-1, 1.5, True):
        with pytest.raises(ValueError, match=f"channel must be a whole number of at least 0, got {channel}"):
            explain.unit(channel)
    with pytest.raises(ValueError, match=r"channel 0 of an output .* it is \(3, 5\)"):
        explain.saliency(model, X, explain.unit(0))
    for place in ((6, 0), (0, 5), (-1, 0)):
        with pytest.raises(ValueError, match=r"does not lie in a map of 6 x 5"):
            explain.saliency(model, X, explain.unit(0, place), "conv1")


def test_strongest_channel():
    maps = torch.tensor([[[[1.0, -2]], [[-3, 0.5]]], [[[0, 0]], [[0, -1]]]])
    assert explain.strongest_channel(maps).tolist() == [[[3, 2]], [[0, 1]]]
    with pytest.raises(ValueError, match=r"maps must be \(N, C, H, W\), got \(2, 1, 2\)"):
        explain.strongest_channel(maps[0])
    with pytest.raises(ValueError, match=r"maps must be \(N, C, H, W\), got ndarray"):
        explain.strongest_channel(maps.numpy())


def test_vectors_may_be_explained_too():
    model, x = nn.Linear(4, 2).double(), normal(3, 4)
    assert torch.equal(explain.saliency(model, x, 1), model.weight[1].detach().expand(3, 4))
    torch.testing.assert_close(explain.integrated_gradients(model, x, 1, n_steps=1), x * model.weight[1].detach())


def test_the_gradient_is_that_of_the_sum_of_a_plain_backward_pass():
    model = tiny()
    assert torch.equal(explain.saliency(model, X, [1, 0, 4]), plain_gradient(model, X, [1, 0, 4]))
