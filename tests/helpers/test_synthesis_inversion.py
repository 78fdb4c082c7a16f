"""Inversion where the answer is a linear system's, and of a network's codes."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.models import PoolNet
from helpers.synthesis import invert, total_variation

X = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(3))
IDENTITY = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(90, 2))  # its first code is the picture itself


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def relative(found, wanted):
    return ((found - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)).detach()


def test_a_code_that_keeps_all_gives_the_picture_back():
    found, errors = invert(IDENTITY, X, "0", total_variation=0, generator=seeded())
    torch.testing.assert_close(found, X, atol=1e-3, rtol=0)
    assert errors.shape == (401, 2) and not found.requires_grad and not errors.requires_grad
    torch.testing.assert_close(errors[-1], relative(found, X))
    assert (errors[0] > 0.8).all() and (errors[-1] < 1e-3).all()


def test_a_dense_code_of_few_numbers_is_met_by_another_picture():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(90, 4))
    found, errors = invert(model, X, "1", total_variation=0, generator=seeded())
    assert (errors[-1] < 1e-3).all() and (relative(found, X) > 0.5).all()
    torch.testing.assert_close(relative(model(found), model(X)), errors[-1], atol=1e-5, rtol=0)


def test_the_variation_is_weighed_against_the_code_as_written():
    """All is quadratic, so each channel solves (1 / ||x||^2 + weight / M * D'D) p = x / ||x||^2, D the differences."""
    weight, (h, w) = 3.0, X.shape[2:]
    differences = np.concatenate(
        [np.kron(np.diff(np.eye(h), axis=0), np.eye(w)), np.kron(np.eye(h), np.diff(np.eye(w), axis=0))]
    )
    found, errors = invert(IDENTITY, X, "0", steps=1500, lr=0.02, total_variation=weight, generator=seeded())
    for picture, p in zip(X.double().numpy(), found):
        a = 1 / (picture**2).sum()
        system = a * np.eye(h * w) + weight / picture.size * differences.T @ differences
        expected = np.linalg.solve(system, a * picture.reshape(3, -1).T).T.reshape(picture.shape)
        np.testing.assert_allclose(p, expected, atol=2e-3)
    assert (total_variation(found) < 0.5 * total_variation(X)).all() and (errors[-1] > 0.1).all()
    torch.testing.assert_close(errors[-1], relative(found, X))


def test_the_norm_is_weighed_against_the_code_as_written():
    """With alpha = 2, p = x * a / (a + weight / M); with alpha = 6 the slopes cancel at the result."""
    settings = {"steps": 1500, "lr": 0.02, "total_variation": 0, "generator": seeded()}
    a, m = 1 / X.square().sum((1, 2, 3), keepdim=True), X[0].numel()
    found, _ = invert(IDENTITY, X, "0", norm=2.0, alpha=2, **settings)
    torch.testing.assert_close(found, X * a / (a + 2.0 / m), atol=2e-3, rtol=0)
    found, _ = invert(IDENTITY, X, "0", norm=0.1, **settings)
    slope = 2 * a * (found - X) + 0.1 * 6 * found.pow(5) / m
    assert slope.abs().max() < 2e-4 and (2 * a * (found - X)).abs().max() > 1e-2


def test_the_early_code_of_a_network_keeps_more_than_a_late_one():
    torch.manual_seed(0)
    model, x = PoolNet(width=8), torch.randn(2, 3, 16, 24, generator=seeded(1))
    state = torch.get_rng_state()
    found = {name: invert(model, x, name, steps=150, generator=seeded())[0] for name in ("conv1", "conv4")}
    assert (relative(found["conv1"], x) < 0.5 * relative(found["conv4"], x)).all()
    assert torch.equal(found["conv4"], invert(model, x, model.conv4, steps=150, generator=seeded())[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_each_picture_by_itself_and_the_settings_of_the_ascent():
    torch.manual_seed(0)
    model, x = PoolNet(width=4).double(), torch.randn(2, 3, 16, 16, generator=seeded(1)).double()
    settings = {"steps": 6, "jitter": 2, "fourier": True, "bounds": (-0.3, 0.3)}
    start = torch.randn(2, 3, 16, 16, generator=seeded(2)).double()
    both, errors = invert(model, x, "conv3", start=start, generator=seeded(), **settings)
    alone, error = invert(model, x[1:], "conv3", start=start[1:], generator=seeded(), **settings)
    torch.testing.assert_close(both[1:], alone)
    torch.testing.assert_close(errors[:, 1:], error)
    assert both.abs().max() == 0.3 and errors.shape == (7, 2)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"layer": "7"}, "no layer '7'"),
        ({"x": X[0]}, "x must be a batch"),
        ({"x": 0 * X}, "answers 0 everywhere to one of the pictures"),
        ({"x": torch.cat([X, 0 * X])}, "answers 0 everywhere to one of the pictures"),
        ({"start": X[:1]}, r"codes of shape \(1, 3, 5, 6\), x of \(2, 3, 5, 6\)"),
        ({"total_variation": -1}, "total_variation must be at least 0, got -1"),
        ({"norm": float("nan")}, "norm must be at least 0, got nan"),
        ({"alpha": 0.5}, "alpha must be at least 1, got 0.5"),
        ({"noise": -0.1}, "noise must be at least 0, got -0.1"),
        ({"jitter": -1}, "jitter must be a whole number"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        invert(**{"model": IDENTITY, "x": X, "layer": "0", "steps": 1} | settings)
