"""Losses, curves and rates against torch, scikit-learn and scipy, and by hand."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import optimize, stats
from sklearn.metrics import roc_curve

from helpers import faces, verification


def random_pairs(seed, ties=False):
    generator = torch.Generator().manual_seed(seed)
    same = torch.rand(300, generator=generator) < 0.2
    scores = torch.randn(300, generator=generator) + 1.5 * same
    return ((scores * 3).round() / 3 if ties else scores), same


def test_contrastive_loss_by_hand():
    distances = torch.tensor([0.6, 0.6, 1.4])
    loss = verification.contrastive_loss(distances, torch.tensor([True, False, False]))
    assert torch.allclose(loss, torch.tensor([0.18, 0.08, 0.0]))


def test_triplet_loss_is_torchs_with_squared_distances():
    a, p, n = torch.randn(3, 20, 8, generator=torch.Generator().manual_seed(0))
    squared = [(a - b).square().sum(1) for b in (p, n)]
    expected = F.triplet_margin_with_distance_loss(
        a, p, n, distance_function=lambda x, y: (x - y).square().sum(1), margin=0.7, reduction="none"
    )
    assert torch.allclose(verification.triplet_loss(*squared, margin=0.7), expected, atol=1e-6)


def batch():
    z = F.normalize(torch.randn(10, 4, generator=torch.Generator().manual_seed(1)))
    return z, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 3, 4])


def test_batch_triplet_is_the_loop_over_all_triplets():
    z, labels = batch()
    losses = []
    for a in range(10):
        for p in range(10):
            for n in range(10):
                if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
                    losses.append(float(((z[a] - z[p]) ** 2).sum() - ((z[a] - z[n]) ** 2).sum()) + 0.2)
    active = [loss for loss in losses if loss > 0]
    assert verification.batch_triplet(z, labels).item() == pytest.approx(sum(active) / len(active), abs=1e-5)


def test_batch_contrastive_is_the_loop_over_all_pairs():
    z, labels = batch()
    near, far = [], []
    for i in range(10):
        for j in range(i):
            d = float((z[i] - z[j]).norm())
            (near if labels[i] == labels[j] else far).append(
                d**2 / 2 if labels[i] == labels[j] else max(0, 1 - d) ** 2 / 2
            )
    expected = sum(near) / len(near) + sum(far) / len(far)
    assert verification.batch_contrastive(z, labels).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("labels, costs", [([0, 0, 0], 0.5), ([0, 1, 2], 0.0)])
def test_contrastive_pairs_of_one_kind_only(labels, costs):
    """Three points at distances of 1: margin 1 costs strangers nothing, and what is missing costs nothing either."""
    z = torch.eye(3) / 2**0.5
    assert verification.batch_contrastive(z, torch.tensor(labels)).item() == pytest.approx(costs, abs=1e-6)


@pytest.mark.parametrize("loss", [verification.batch_triplet, verification.batch_contrastive])
def test_gradients_are_finite_for_equal_points(loss):
    z = torch.ones(6, 3, requires_grad=True)
    loss(F.normalize(z), torch.tensor([0, 0, 1, 1, 2, 2])).backward()
    assert z.grad.isfinite().all()


def test_a_batch_without_triplets_costs_nothing():
    z = torch.eye(4, requires_grad=True)
    loss = verification.batch_triplet(z, torch.arange(4))
    loss.backward()
    assert loss.item() == 0 and (z.grad == 0).all()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_roc_and_equal_error_rate_are_scikit_learns(seed, ties):
    scores, same = random_pairs(seed, ties)
    fpr, tpr, thresholds = roc_curve(same, scores.double(), drop_intermediate=False)
    ours = verification.roc(scores, same)
    for mine, theirs in zip(ours, (thresholds[1:], fpr[1:], tpr[1:])):
        assert torch.allclose(mine, torch.from_numpy(theirs.copy()))
    expected = optimize.brentq(lambda x: 1 - x - stats_interp(x, fpr, tpr), 0, 1)
    rate, threshold = verification.equal_error_rate(scores, same)
    assert rate == pytest.approx(expected, abs=1e-9)
    below, above = verification.error_rates(scores.double(), same, threshold)
    assert above <= rate + 1e-9 and rate <= below + 1e-9  # the first threshold at which they have crossed
    stricter = min(s for s in [*scores.double().tolist(), 99.0] if s > threshold)
    below, above = verification.error_rates(scores.double(), same, stricter)
    assert below < above


def stats_interp(x, fpr, tpr):
    """On the line between two points; where the curve is vertical the crossing may lie on it."""
    return np.interp(x, fpr + 1e-12 * np.arange(len(fpr)), tpr)


def test_perfect_scores_have_no_error():
    assert verification.equal_error_rate(torch.tensor([0.9, 0.8, 0.1]), torch.tensor([True, True, False]))[0] == 0


def test_scores_that_single_precision_confuses_are_told_apart():
    scores = torch.tensor([0.5, 0.5 + 1e-12, 0.1], dtype=torch.float64)
    found = verification.roc(scores, torch.tensor([False, True, False]))
    assert found.true_match.tolist() == [1, 1, 1] and found.false_match.tolist() == [0, 0.5, 1]


def test_a_threshold_may_keep_its_promise_exactly():
    scores, same = torch.tensor([0.9, 0.8, 0.7, 0.2]), torch.tensor([False, True, True, False])
    assert verification.threshold_for(scores, same, 0.5) == pytest.approx(0.7)


@pytest.mark.parametrize("ties", [False, True])
def test_threshold_for_is_the_lowest_that_keeps_the_promise(ties):
    scores, same = random_pairs(7, ties)
    threshold = verification.threshold_for(scores, same, 0.05)
    assert verification.error_rates(scores.double(), same, threshold)[0] <= 0.05
    lower = [s for s in scores.double().tolist() if s < threshold]
    assert verification.error_rates(scores.double(), same, max(lower))[0] > 0.05


def test_log_choose_is_the_logarithm_of_the_binomial():
    n, k = torch.tensor([5.0, 5.0, 5.0, 2.0]), torch.tensor([0.0, 2.0, 5.0, 5.0])
    expected = torch.tensor([1.0, 10.0, 1.0, 0.0]).log()  # none of five out of two: minus infinity
    torch.testing.assert_close(verification.log_choose(n, k), expected)


def test_none_drawn_is_the_hypergeometric_distributions():
    for marked, total, drawn in ((0, 10, 4), (3, 10, 4), (7, 10, 4), (10, 10, 1), (5, 1999, 1000), (2, 9, 0)):
        expected = stats.hypergeom.pmf(0, total, marked, drawn)
        assert verification.none_drawn(marked, total, drawn).item() == pytest.approx(expected, abs=1e-9)


def test_batches_hold_two_pictures_each_of_different_people():
    labels = torch.tensor([5, 3, 3, 0, 5, 1, 2, 4, 0, 0])
    for rows in verification.people_batches(labels, 50, people=4):
        first, second = rows.split(4)
        assert torch.equal(labels[first], labels[second]) and len(labels[first].unique()) == 4
        single = torch.tensor([1, 2, 4])
        assert ((first == second) == torch.isin(labels[first], single)).all()


def test_labels_may_begin_anywhere_and_leave_numbers_out():
    labels = torch.tensor([2, 2, 5, 5, 9])
    for rows in verification.people_batches(labels, 20, people=10):
        first, second = rows.split(3)
        assert sorted(labels[first].tolist()) == [2, 5, 9] and torch.equal(labels[first], labels[second])


def test_batches_repeat_with_their_seed():
    labels = torch.arange(40) // 4
    runs = [torch.stack(list(verification.people_batches(labels, 5, 4, seed))) for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_every_pair_of_a_person_is_drawn():
    labels = torch.tensor([0, 0, 0, 1, 1])
    pairs = {tuple(sorted(rows[[0, 2]].tolist())) for rows in verification.people_batches(labels, 200, people=2)}
    assert pairs == {(0, 1), (0, 2), (1, 2), (3, 4)}


def test_pair_scores_by_hand():
    z = F.normalize(torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
    scores, same = verification.pair_scores(z, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(scores, torch.tensor([0, 0.5**0.5, 0.5**0.5]))
    assert same.tolist() == [False, True, False]


def test_points_are_those_of_the_model_in_eval_mode_for_any_batch_size():
    model, drawn = verification.Embedder(8, size=32), faces.faces(3, 2, 32)
    model(drawn.floats())  # statistics that are not those of a batch
    with torch.no_grad():
        expected = copy.deepcopy(model).eval()(drawn.floats())
    for batch_size in (4, 200):
        torch.testing.assert_close(verification.embed(model, drawn, batch_size), expected)


def test_points_have_length_one_and_modes_are_restored():
    model, drawn = verification.Embedder(8, size=32), faces.faces(3, 2, 32)
    model.norm1.eval()
    z = verification.embed(model, drawn)
    assert z.shape == (6, 8) and torch.allclose(z.norm(dim=1), torch.ones(6), atol=1e-6)
    assert model.training and not model.norm1.training


def test_a_grey_picture_enters_as_zeros():
    model, found = verification.Embedder(8, size=32), []
    model.conv1.register_forward_hook(lambda module, inputs, output: found.append(inputs[0]))
    model.eval()(torch.full((1, 3, 32, 32), 0.5))
    assert (found[0] == 0).all()


def test_the_augmentation_moves_and_recolours():
    grey, dot = torch.full((8, 3, 32, 32), 0.5), torch.zeros(8, 3, 32, 32)
    dot[:, :, 16, 16] = 1
    colours = verification.change(grey, torch.Generator().manual_seed(0))[:, :, 16, 16]
    assert (colours.std(0) > 0.01).all() and (colours - 0.5).abs().max() < 0.25
    places = verification.change(dot, torch.Generator().manual_seed(0)).sum(1).flatten(1).argmax(1)
    shifts = torch.stack([places // 32, places % 32]) - 16
    assert 1 <= shifts.abs().max() <= 3 and len(shifts.unique(dim=1)[0]) > 2


def test_the_rate_rises_to_the_one_asked_for_and_falls(monkeypatch):
    made, rates, adam = [], [], verification.adam
    monkeypatch.setattr(verification, "adam", lambda *options: made.append(adam(*options)) or made[0])

    def loss(z, labels):
        rates.append(made[0].param_groups[0]["lr"])
        return z.mean()

    verification.train_embedder(verification.Embedder(4, size=24), faces.faces(2, 1, 24), loss, steps=20, lr=0.1)
    assert len(rates) == 20 and max(rates) == pytest.approx(0.1) and rates.index(max(rates)) == 5
    assert rates[0] == pytest.approx(0.1 / 25) and rates[-1] < rates[0] / 1000


@pytest.mark.parametrize("seed", [0, 3])
def test_training_takes_the_batches_and_the_changes_of_its_seed(seed):
    model, drawn, seen = verification.Embedder(4, size=32).eval(), faces.faces(6, 3, 32), []

    def blank(x, generator):
        seen.append((model.training, torch.rand(1, generator=generator).item()))
        return 0 * x

    def loss(z, labels):
        assert (z == z[0]).all()  # the network saw what `blank` gave
        seen[-1] += (labels.tolist(),)
        return z.sum()

    losses = verification.train_embedder(model, drawn, loss, steps=3, people=4, seed=seed, change=blank)
    batches = verification.people_batches(drawn.labels, 3, 4, seed)
    numbers = torch.rand(3, generator=torch.Generator().manual_seed(seed)).tolist()
    assert seen == [(True, n, drawn.labels[rows].tolist()) for n, rows in zip(numbers, batches)]
    assert len(losses) == 3 and not model.training


def test_training_brings_one_persons_pictures_together():
    drawn, other = faces.faces(40, 4, 32), faces.faces(40, 4, 32, seed=9)
    torch.manual_seed(0)
    model = verification.Embedder(size=32)
    before = verification.equal_error_rate(*verification.pair_scores(verification.embed(model, other), other.labels))[0]
    losses = verification.train_embedder(model, drawn, steps=40, people=16)
    after = verification.equal_error_rate(*verification.pair_scores(verification.embed(model, other), other.labels))[0]
    assert len(losses) == 40 and after < before - 0.05


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: verification.Embedder(size=8), "16 pixels"),
        (lambda: verification.roc(torch.rand(3), torch.tensor([True, True, True])), "pairs of two"),
        (lambda: verification.roc(torch.rand(3), torch.tensor([1, 0, 1])), "bools"),
        (lambda: verification.roc(torch.tensor([1.0, float("nan")]), torch.tensor([True, False])), "numbers"),
        (
            lambda: verification.threshold_for(torch.tensor([0.9, 0.1]), torch.tensor([False, True]), 0.5),
            "no threshold",
        ),
        (lambda: verification.roc([0.9], [True]), "scores must be a torch tensor, got list: torch.as_tensor makes one"),
        (lambda: verification.roc(torch.rand(2, 2), torch.eye(2) > 0), r"\(P,\), one for each pair, got \(2, 2\)"),
        (lambda: verification.error_rates(torch.rand(2), torch.tensor([True, True]), 0.5), "pairs of two"),
        (lambda: verification.threshold_for(*random_pairs(0), float("nan")), "share from 0 to 1, got nan"),
        (lambda: verification.threshold_for(*random_pairs(0), 5), "share from 0 to 1, got 5"),
        (lambda: verification.pair_scores(torch.eye(3), torch.arange(2)), r"labels \(N,\), got \(3, 3\) and \(2,\)"),
        (lambda: verification.batch_triplet(torch.eye(3), torch.arange(2)), r"labels \(N,\)"),
        (lambda: verification.batch_contrastive(torch.eye(3), torch.eye(3)), r"labels \(N,\)"),
        (lambda: next(verification.people_batches(torch.arange(3), 1, people=0)), "people must be .* least 1, got 0"),
        (lambda: verification.Embedder(channels=(4, 8)), r"at least three numbers.*got \(4, 8\)"),
        (lambda: verification.Embedder(0), "dimensions must be .* at least 1, got 0"),
        (lambda: verification.Embedder(size=20.5), "size must be a whole number"),
        (lambda: verification.train_embedder(verification.Embedder(), faces.faces(2, 1), people=1), "least 2, got 1"),
        (lambda: verification.train_embedder(verification.Embedder(), faces.faces(2, 1), steps=0), "least 1, got 0"),
        (lambda: verification.none_drawn(float("nan"), 2, 1), "between 0 and total"),
        (lambda: verification.none_drawn(3, 2, 1), "between 0 and total"),
        (lambda: verification.none_drawn(1, 2, 3), "between 0 and total"),
        (lambda: verification.none_drawn(1, 2, -1), "between 0 and total"),
        (lambda: verification.train_embedder(verification.Embedder(), faces.faces(1, 3)), "two people"),
    ],
)
def test_what_is_wrong_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def resized(pictures, height, width):
    return faces.ImageSet(pictures.images[:, :, :height, :width], pictures.labels, pictures.classes, "cut")


@pytest.mark.parametrize("function", [verification.embed, verification.train_embedder])
def test_pictures_that_the_embedder_cannot_take_are_named(function):
    model, drawn = verification.Embedder(4, size=32), faces.faces(2, 2, 33)
    for other, got in ((drawn, "33x33"), (resized(drawn, 31, 31), "31x31"), (resized(drawn, 32, 33), "32x33")):
        with pytest.raises(ValueError, match=f"this Embedder takes pictures of 32x32 pixels, got {got}"):
            function(model, other)
    for other, got in ((drawn.images, r"\(4, 3, 33, 33\)"), (None, "NoneType"), (drawn.subset([]), "0 pictures")):
        with pytest.raises(ValueError, match=f"pictures must be an ImageSet of at least one picture, got {got}"):
            function(model, other)
    assert model.training  # as it was


def test_any_other_model_takes_pictures_of_its_own_size():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 33 * 33, 2))
    assert verification.embed(model, faces.faces(2, 2, 33)).shape == (4, 2)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None, True, "4"])
def test_embed_refuses_other_batches(batch_size):
    with pytest.raises(ValueError, match=f"batch_size must be a whole number of at least 1, got {batch_size!r}"):
        verification.embed(verification.Embedder(4, size=24), faces.faces(2, 1, 24), batch_size)


@pytest.mark.parametrize("function", [verification.pair_scores, verification.batch_triplet,
                                      verification.batch_contrastive])  # fmt: skip
@pytest.mark.parametrize("z, labels, words", [
    (torch.eye(3), [0, 0, 1], "labels must be a torch tensor, got list: torch.as_tensor makes one"),
    (torch.eye(3), np.array([0, 0, 1]), "labels must be a torch tensor, got ndarray"),
    (np.eye(3), torch.arange(3), "points must be a torch tensor, got ndarray"),
    (torch.eye(3)[0], torch.arange(3), r"points must be \(N, D\)"),
])  # fmt: skip
def test_points_and_labels_that_are_no_tensors_are_named(function, z, labels, words):
    with pytest.raises(ValueError, match=words):
        function(z, labels)


@pytest.mark.parametrize("factor, got", [(2, "2 to 2"), (0, "0 to 0"), (float("nan"), "nan to nan"), (0.9, "0.9 to ")])
def test_pair_scores_are_those_of_points_of_length_one(factor, got):
    z = F.normalize(torch.randn(5, 16, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(ValueError, match=f"points must have length 1, .*normalize.z. has, got lengths of {got}"):
        verification.pair_scores(factor * z, torch.arange(5))
    last = torch.cat([z[:4], factor * z[4:]])
    with pytest.raises(ValueError, match="points must have length 1"):
        verification.pair_scores(last, torch.arange(5))


@pytest.mark.parametrize("precision", [torch.float64, torch.float16, torch.bfloat16])
def test_rounded_points_still_have_length_one(precision):
    z = F.normalize(torch.randn(50, 32, generator=torch.Generator().manual_seed(0))).to(precision)
    assert len(verification.pair_scores(z, torch.arange(50))[0]) == 50 * 49 // 2


@pytest.mark.parametrize("threshold", [None, "0.5", float("nan"), torch.tensor([0.1, 0.2]), [0.1]])
def test_a_threshold_that_is_no_number_is_named(threshold):
    with pytest.raises(ValueError, match="threshold must be a number, as the scores are, got "):
        verification.error_rates(*random_pairs(0), threshold)


@pytest.mark.parametrize("threshold, rates", [(float("inf"), (0, 1)), (-float("inf"), (1, 0))])
def test_a_threshold_may_accept_all_or_none(threshold, rates):
    assert verification.error_rates(*random_pairs(0), threshold) == rates


@pytest.mark.parametrize("false_match", [None, "0.1", [0.1], -0.1])
def test_a_promise_that_is_no_share_is_named(false_match):
    with pytest.raises(ValueError, match="false_match must be a share from 0 to 1, got "):
        verification.threshold_for(*random_pairs(0), false_match)


@pytest.mark.parametrize("change, words", [
    ({"labels": torch.arange(0)}, r"labels must be \(N,\), .* at least one picture, got \(0,\)"),
    ({"labels": torch.eye(2)}, r"labels must be \(N,\), .* got \(2, 2\)"),
    ({"labels": [0, 1]}, "labels must be a torch tensor, got list"),
    ({"labels": np.arange(3)}, "labels must be a torch tensor, got ndarray"),
    ({"steps": 0}, "steps must be a whole number of at least 1, got 0"), ({"steps": -1}, "steps must be .* got -1"),
    ({"steps": 2.5}, "steps must be .* got 2.5"), ({"people": None}, "people must be .* got None"),
])  # fmt: skip
def test_batches_of_people_name_what_is_wrong(change, words):
    with pytest.raises(ValueError, match=words):
        next(verification.people_batches(**{"labels": torch.arange(3), "steps": 1} | change))


@pytest.mark.parametrize("lr", [-1, "fast", None, float("nan")])
def test_a_learning_rate_that_is_none_is_named(lr):
    with pytest.raises(ValueError, match=f"lr must be at least 0, got {lr!r}"):
        verification.train_embedder(verification.Embedder(4, size=24), faces.faces(2, 1, 24), lr=lr)


def test_triplets_of_what_is_no_tensor_are_named():
    with pytest.raises(ValueError, match="negative must be a torch tensor, got float"):
        verification.triplet_loss(torch.rand(2), 0.5)
