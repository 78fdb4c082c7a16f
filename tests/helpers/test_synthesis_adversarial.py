"""FGSM and PGD against captum, on classifiers whose gradient is known, and where they must do nothing."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms import v2

from helpers.models import PoolNet
from helpers.receptive import receptive_fields
from helpers.synthesis import Normalised, fgsm, pgd, sign_noise

X = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
MIDDLE = 0.3 + 0.4 * X  # far from the bounds
Y = [3, 0, 9, 3]
ATTACKS = {
    "fgsm": fgsm,
    "pgd": pgd,
    "pgd from a random start": lambda *args, **kwargs: pgd(*args, generator=seeded(), **kwargs),
}
each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(n_classes=2):
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, n_classes))


def net():
    torch.manual_seed(0)
    return PoolNet(width=4)


def loss(model, x, y):
    return F.cross_entropy(model.eval()(x), torch.as_tensor(y).expand(len(x)), reduction="none").detach()


def test_fgsm_on_a_linear_classifier_follows_the_weights_signs():
    """The margin of class 0 falls by exactly epsilon times the sum of the absolute weights, Goodfellow's argument."""
    model = linear()
    w = (model[1].weight[0] - model[1].weight[1]).detach()
    for targeted, sign in ((False, -1), (True, 1)):
        found = fgsm(model, MIDDLE, 0, 0.1, targeted)
        torch.testing.assert_close(found, MIDDLE + sign * 0.1 * w.sign().view(3, 8, 8))
        margin = [(out[:, 0] - out[:, 1]).detach() for out in (model(MIDDLE), model(found))]
        torch.testing.assert_close(margin[1] - margin[0], torch.full((4,), sign * 0.1 * w.abs().sum().item()))


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("epsilon", [0.01, 0.2, 0.8])
def test_fgsm_is_captums(epsilon, targeted):
    model = net().eval()
    robust = pytest.importorskip("captum.robust")
    reference = robust.FGSM(model, nn.CrossEntropyLoss(reduction="none"), lower_bound=0, upper_bound=1)
    reference.zero_thresh = 0  # captum takes gradients below 1e-6 for 0
    expected = reference.perturb(X.clone().requires_grad_(), epsilon, torch.tensor(Y), targeted=targeted)
    torch.testing.assert_close(fgsm(model, X, Y, epsilon, targeted), expected.detach())


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
@pytest.mark.parametrize("targeted", [False, True])
def test_pgd_is_captums(targeted):
    model = net().double().eval()
    x, y = X.double().requires_grad_(), torch.tensor(Y)
    robust = pytest.importorskip("captum.robust")
    reference = robust.PGD(model, nn.CrossEntropyLoss(reduction="none"), lower_bound=0, upper_bound=1)
    reference.fgsm.zero_thresh = 0
    expected = reference.perturb(x, 0.1, 0.03, 7, y, targeted=targeted, norm="Linf")
    torch.testing.assert_close(pgd(model, x, Y, 0.1, step=0.03, n_steps=7, targeted=targeted), expected.detach())


def test_pgd_on_a_linear_classifier_in_numpy():
    """Three classes, so that the gradient turns on the way; bounds of their own for each channel."""
    model = linear(3).double()
    weight, bias = (p.detach().numpy() for p in model.parameters())
    low, high = np.repeat([0.1, -1, 0.3], 64), np.repeat([0.9, 2, 0.6], 64)
    x = np.clip(X.double().flatten(1).numpy(), low, high)
    found = x.copy()
    for _ in range(6):
        p = np.exp(found @ weight.T + bias)
        p /= p.sum(1, keepdims=True)
        p[:, 1] -= 1  # softmax minus one-hot is the slope of the cross-entropy
        found = np.clip(found + 0.07 * np.sign(p @ weight), x - 0.2, x + 0.2)
        found = np.clip(found, low, high)
    bounds = ([0.1, -1, 0.3], [0.9, 2, 0.6])
    ours = pgd(model, torch.tensor(x).view(4, 3, 8, 8), 1, 0.2, step=0.07, n_steps=6, bounds=bounds)
    np.testing.assert_allclose(ours.flatten(1), found, atol=1e-12)


def test_one_full_step_of_pgd_is_fgsm():
    for targeted in (False, True):
        one = pgd(net(), X, Y, 0.05, step=0.05, n_steps=1, targeted=targeted)
        torch.testing.assert_close(one, fgsm(net(), X, Y, 0.05, targeted))


def test_the_default_step_crosses_the_ball_whatever_the_number_of_steps():
    model = linear()
    for n in (2, 5, 40):
        far = pgd(model, MIDDLE, 0, 0.1, n_steps=n, generator=seeded())
        torch.testing.assert_close(far, fgsm(model, MIDDLE, 0, 0.1))
    one = pgd(model, MIDDLE, 0, 0.1, n_steps=40)
    short = pgd(model, MIDDLE, 0, 0.1, step=0.1 * 2.5 / 40, n_steps=40)
    assert torch.equal(one, short)


@each_attack
def test_the_loss_moves_the_right_way(attack):
    model = net()
    before, raised, lowered = (
        loss(model, x, Y) for x in (X, attack(model, X, Y, 0.1), attack(model, X, Y, 0.1, targeted=True))
    )
    assert (raised > before).all() and (lowered < before).all()


def test_many_steps_go_further_than_one():
    model = net()
    model.fc.weight.data *= 20
    one, many = (loss(model, attack(model, X, Y, 0.2), Y) for attack in (fgsm, pgd))
    assert (many > one + 0.03).all()


@each_attack
@settings(max_examples=20, deadline=None)
@given(epsilon=st.floats(0, 1.5), low=st.floats(-2, 0), high=st.floats(1, 3), seed=st.integers(0, 99))
def test_never_further_than_epsilon_and_within_the_bounds(attack, epsilon, low, high, seed):
    x = low + (high - low) * torch.rand(2, 3, 8, 8, generator=seeded(seed))
    found = attack(linear(), x, 1, epsilon, bounds=(low, high))
    assert (found - x).abs().max() <= epsilon + 1e-6
    assert found.min() >= np.float32(low) and found.max() <= np.float32(high)


@each_attack
def test_the_ball_is_used_to_its_edge(attack):
    moved = (attack(net(), MIDDLE, Y, 0.1) - MIDDLE).abs()
    assert moved.max() == pytest.approx(0.1, abs=1e-6) and moved.median() > 0.05


@each_attack
def test_epsilon_0_changes_nothing_and_the_pictures_given_stay(attack):
    x = X.clone().requires_grad_()
    found = attack(net(), x, Y, 0)
    assert torch.equal(found, X) and found is not x and not found.requires_grad
    attack(net(), x, Y, 0.1)
    assert torch.equal(x, X) and x.grad is None


@each_attack
def test_where_the_gradient_is_0_nothing_changes(attack):
    """The network sees only the left half of the picture."""
    model = nn.Sequential(nn.AvgPool2d((8, 4)), nn.Flatten(), nn.Linear(6, 2))
    model[2].weight.data[:, 1::2] = 0
    moved = attack(model, MIDDLE, 0, 0.1) - MIDDLE
    if attack is not ATTACKS["pgd from a random start"]:
        assert (moved[..., 4:] == 0).all()
    assert (moved[..., :4].abs() - 0.1).abs().max() < 1e-6


@pytest.mark.parametrize("y", [Y, tuple(Y), torch.tensor(Y), np.array(Y)])
def test_targets_in_every_form(y):
    assert torch.equal(fgsm(net(), X, y, 0.1), fgsm(net(), X, torch.tensor(Y), 0.1))
    alike = fgsm(net(), X, 3, 0.1), fgsm(net(), X, [3] * 4, 0.1)
    assert torch.equal(*alike) and not torch.equal(alike[0], fgsm(net(), X, y, 0.1))


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_each_picture_by_itself(attack):
    model = net().double().train()
    together = attack(model, X.double(), Y, 0.1)
    for i, y in enumerate(Y):
        torch.testing.assert_close(attack(model, X[i : i + 1].double(), y, 0.1)[0], together[i])


def test_the_random_start_is_spread_evenly_over_the_ball_and_repeats():
    x, model = torch.full((8, 3, 8, 8), 0.5), linear()
    state = torch.get_rng_state()
    starts = [pgd(model, x, 0, 0.2, step=1e-6, n_steps=1, generator=seeded(s)) for s in (0, 0, 1)]
    moved = (starts[0] - 0.5).flatten().sort().values
    torch.testing.assert_close(moved, torch.linspace(-0.2, 0.2, len(moved)), atol=0.02, rtol=0)
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_random_start_is_within_the_bounds_before_the_network_sees_it():
    seen = []
    model = linear()
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    pgd(model, X, 0, 0.9, n_steps=4, generator=seeded())
    assert len(seen) == 4 and all(x.min() >= 0 and x.max() <= 1 for x in seen)


def test_sign_noise_is_of_the_full_size_everywhere_and_of_either_sign():
    state = torch.get_rng_state()
    moved = sign_noise(MIDDLE, 0.1, generator=seeded()) - MIDDLE
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 0.1))
    assert 0.4 < (moved > 0).float().mean() < 0.6
    flat = (moved > 0).flatten(1)
    assert len(torch.unique(flat, dim=0)) == 4 and 0.3 < (flat[0] == flat[1]).float().mean() < 0.7
    again, other = (sign_noise(MIDDLE, 0.1, generator=seeded(s)) - MIDDLE for s in (0, 1))
    assert torch.equal(again, moved) and not torch.equal(other, moved)
    assert torch.equal(torch.get_rng_state(), state)
    cut = sign_noise(X, 0.6, bounds=(0, 1.1), generator=seeded())
    assert cut.min() == 0 and cut.max() == pytest.approx(1.1) and torch.equal(sign_noise(X, 0), X)


def test_rounding_beyond_the_bounds_is_cut_off():
    found = fgsm(net(), X + 1e-7 * (X > 0.9), Y, 0)
    torch.testing.assert_close(found, X)
    found = fgsm(net(), torch.full((1, 3, 8, 8), 1 + 5e-7), 0, 0)
    assert found.max() == 1


def refusals():
    yield {"x": X + 0.01}, r"within the bounds \(0, 1\), got 0.0\d* to 1.0\d*; Normalised"
    yield {"x": X * float("nan")}, "x holds nan"
    yield {"x": X[0]}, "must be a batch"
    yield {"x": (X * 255).to(torch.uint8)}, "float"
    yield {"epsilon": -0.1}, "epsilon must be at least 0, got -0.1"
    yield {"epsilon": float("nan")}, "epsilon must be at least 0, got nan"
    yield {"epsilon": float("inf")}, "epsilon must be at least 0, got inf"
    yield {"bounds": (1, 0)}, "low below high"


@pytest.mark.parametrize("given, message", list(refusals()))
def test_what_does_not_fit_is_refused(given, message):
    for attack in ATTACKS.values():
        with pytest.raises(ValueError, match=message):
            attack(**{"model": net(), "x": X, "target": Y, "epsilon": 0.1} | given)
    with pytest.raises(ValueError, match=message):
        sign_noise(**{"x": X, "epsilon": 0.1} | given)


@each_attack
@pytest.mark.parametrize(
    "target, message",
    [
        (10, "between 0 and 9"),
        (-1, "between 0 and 9"),
        ([1, 2], "4 pictures but 2 targets"),
        (1.5, "class index"),
        (lambda output: output[:, 0], "class index or one for each picture here: the loss is their cross-entropy"),
    ],
)
def test_targets_that_do_not_fit(attack, target, message):
    with pytest.raises(ValueError, match=message):
        attack(net(), X, target, 0.1)


@pytest.mark.parametrize(
    "given", [{"n_steps": 0}, {"n_steps": 2.0}, {"step": 0}, {"step": True}, {"step": -1}, {"step": float("nan")}]
)
def test_steps_that_do_not_fit(given):
    message = "n_steps must be a whole number of at least 1" if "n_steps" in given else "step must be above 0, got"
    with pytest.raises(ValueError, match=message):
        pgd(net(), X, Y, 0.1, **given)


def test_normalised_takes_pictures_from_0_to_1():
    mean, std = [0.1, 0.2, 0.3], [0.5, 2.0, 4.0]
    inner = net().eval()
    model = Normalised(inner, mean, std)
    torch.testing.assert_close(model(X), inner(v2.functional.normalize(X, mean, std)))
    assert dict(model.named_modules())["model.conv2"] is inner.conv2 and not model.training
    assert Normalised(net(), mean, std).training
    torch.testing.assert_close(Normalised(inner, 0.5, 0.25)(X), inner(4 * X - 2))
    assert model.double()(X.double()).dtype == torch.float64
    buffers = dict(model.named_buffers())  # which go where the model goes
    assert buffers["mean"].dtype == buffers["std"].dtype == torch.float64
    assert Normalised(nn.Identity(), 0.5, torch.tensor(std).view(3, 1, 1))(X).shape == X.shape


def test_the_receptive_fields_of_a_normalised_network_are_its_own():
    fields = receptive_fields(Normalised(net(), [0.4, 0.5, 0.6], 0.25), 32)
    assert fields["model.conv2"] == receptive_fields(net(), 32)["conv2"]


def test_an_attack_on_a_normalised_network_is_in_units_of_the_picture():
    """On a linear network the deviations do not change the gradient's signs, so the pictures agree."""
    inner = linear()
    found = fgsm(Normalised(inner, [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]), X, 0, 0.03)
    torch.testing.assert_close(found, fgsm(inner, X, 0, 0.03))
    assert (found - X).abs().max() == pytest.approx(0.03, abs=1e-6)


@each_attack
@pytest.mark.parametrize("output, what", [(lambda z: (z, z), "tuple"), (lambda z: z[0], r"\(10,\)")])
def test_models_whose_output_is_no_logits(attack, output, what):
    class Holding(nn.Module):
        def forward(self, x):
            return output(net()(x))

    with pytest.raises(ValueError, match=rf"the model must return logits \(N, classes\), this one returned {what}"):
        attack(Holding(), X, Y, 0.1)


def test_normalised_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="the model must be a torch.nn.Module, got function"):
        Normalised(lambda x: x, 0, 1)
    for std in (0, [1, 1, -1], float("nan")):
        with pytest.raises(ValueError, match="std must be positive"):
            Normalised(net(), 0, std)
    with pytest.raises(ValueError, match="2 means and 1 deviations for pictures with 3 channels"):
        Normalised(net(), [0, 0], 1)(X)
