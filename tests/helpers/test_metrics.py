"""Precision, recall, F1 and their averages against scikit-learn; calibration, temperature, bootstrap, thresholds."""

import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize
from sklearn import calibration
from sklearn import metrics as reference

from helpers import metrics

NAN = float("nan")


@st.composite
def answers(draw):
    """Labels, predictions and the number of classes; often with classes that are empty or never predicted."""
    k, n = draw(st.integers(2, 6)), draw(st.integers(1, 30))
    classes = st.lists(st.integers(0, k - 1), min_size=n, max_size=n)
    return torch.tensor(draw(classes)), torch.tensor(draw(classes)), k


@pytest.mark.parametrize("undefined", [0.0, 1.0, NAN])
@given(case=answers())
@settings(deadline=None)
def test_class_scores_against_scikit_learn(undefined, case):
    labels, predictions, k = case
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = metrics.class_scores(metrics.confusion_matrix(labels, predictions, k), undefined)
    theirs = reference.precision_recall_fscore_support(
        labels, predictions, labels=range(k), average=None, zero_division=undefined
    )
    for mine, other in zip(ours, theirs[:3], strict=True):
        assert mine.dtype == torch.float64
        np.testing.assert_allclose(mine, other, atol=1e-12)


@pytest.mark.parametrize("how", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("undefined", [0.0, NAN])
@given(case=answers())
@settings(deadline=None)
def test_averages_against_scikit_learn(how, undefined, case):
    labels, predictions, k = case
    matrix = metrics.confusion_matrix(labels, predictions, k)
    if how == "weighted" and math.isnan(undefined):
        assume(((matrix.sum(0) > 0) & (matrix.sum(1) > 0)).any())  # else all defined precisions have weight 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = metrics.average_scores(matrix, how, undefined)
    theirs = reference.precision_recall_fscore_support(
        labels, predictions, labels=range(k), average=how, zero_division=undefined
    )
    np.testing.assert_allclose(ours, theirs[:3], atol=1e-12)
    assert all(isinstance(score, float) for score in ours)


def test_scores_by_hand():
    matrix = torch.tensor([[6, 2, 0], [1, 9, 0], [2, 0, 0]])  # the third class is never predicted
    scores = metrics.class_scores(matrix)
    assert scores.precision.tolist() == pytest.approx([6 / 9, 9 / 11, 0])
    assert scores.recall.tolist() == pytest.approx([6 / 8, 9 / 10, 0])
    assert scores.f1.tolist() == pytest.approx([12 / 17, 18 / 21, 0])
    assert metrics.average_scores(matrix).recall == pytest.approx((0.75 + 0.9) / 3)
    assert metrics.average_scores(matrix, "weighted").precision == pytest.approx((8 * 6 / 9 + 10 * 9 / 11) / 20)
    assert metrics.average_scores(matrix, "micro") == (0.75, 0.75, 0.75)


def test_what_is_undefined_is_as_said():
    never = torch.tensor([[3, 0], [2, 0]])  # class 1 is never predicted: its F1 is defined, 0 of 2
    empty = torch.tensor([[3, 2], [0, 0]])  # class 1 has no pictures
    assert metrics.class_scores(never, NAN).precision.isnan().tolist() == [False, True]
    assert metrics.class_scores(never, NAN).f1.tolist() == [0.75, 0.0]
    assert metrics.class_scores(empty, NAN).recall.isnan().tolist() == [False, True]
    assert metrics.average_scores(empty, "macro").recall == pytest.approx(0.3)
    assert metrics.average_scores(empty, "macro", NAN).recall == pytest.approx(0.6)
    assert metrics.average_scores(torch.tensor([[0, 2], [0, 0]]), "weighted", 0.5).precision == pytest.approx(0.5)
    nothing = torch.zeros(2, 2)
    for how in ("macro", "micro", "weighted"):
        assert metrics.average_scores(nothing, how) == (0, 0, 0)
        assert all(math.isnan(score) for score in metrics.average_scores(nothing, how, NAN))


def test_a_mean_of_weight_0_is_undefined():
    assert math.isnan(metrics.average_scores(torch.tensor([[0, 2], [0, 0]]), "weighted", NAN).precision)


@pytest.mark.parametrize("matrix", [torch.ones(2, 3), torch.ones(4), -torch.ones(2, 2)])
def test_scores_refuse(matrix):
    with pytest.raises(ValueError, match="a confusion matrix"):
        metrics.class_scores(matrix)
    with pytest.raises(ValueError, match="a confusion matrix"):
        metrics.average_scores(matrix, "micro")


def test_shares_serve_as_well_as_counts():
    matrix = torch.tensor([[6, 2], [1, 9]])
    for ours, theirs in zip(metrics.class_scores(matrix / 18), metrics.class_scores(matrix), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    for how in ("macro", "weighted", "micro"):
        assert metrics.average_scores(matrix / 18, how) == pytest.approx(metrics.average_scores(matrix, how), abs=1e-6)


def test_unknown_average():
    with pytest.raises(ValueError, match="'macro', 'micro' or 'weighted', got 'mean'"):
        metrics.average_scores(torch.eye(2), "mean")


def test_a_nested_list_serves_as_matrix():
    assert metrics.average_scores([[1, 1], [0, 2]], "micro").f1 == 0.75


def random_probabilities(n=400, k=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, k, generator=generator)
    return logits.softmax(1), torch.randint(k, (n,), generator=generator), logits


@pytest.mark.parametrize("bins", [1, 4, 10, 15])
def test_reliability_against_scikit_learn(bins):
    probabilities, labels, _ = random_probabilities()
    count, confidence, accuracy = metrics.reliability(probabilities, labels, bins)
    top, predicted = probabilities.double().max(1)
    right = predicted == labels
    shares, means = calibration.calibration_curve(right, top, n_bins=bins)
    filled = count > 0
    np.testing.assert_allclose(accuracy[filled], shares)
    np.testing.assert_allclose(confidence[filled], means)
    assert count.sum() == 400 and len(count) == bins
    assert accuracy[~filled].isnan().all() and confidence[~filled].isnan().all()


def test_reliability_by_hand():
    """Confidences 0.5, 0.5, 0.75, 0.75, 1: a bin's upper end belongs to it."""
    probabilities = torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 0, 0, 1])
    count, confidence, accuracy = metrics.reliability(probabilities, labels, bins=4)
    assert count.tolist() == [0, 2, 2, 1]
    assert confidence.tolist()[1:] == [0.5, 0.75, 1.0]
    assert accuracy.tolist()[1:] == [1.0, 0.5, 1.0]
    assert metrics.calibration_error(probabilities, labels, 4) == pytest.approx((2 * 0.5 + 2 * 0.25 + 0) / 5)
    assert metrics.calibration_error(probabilities, labels, 1) == pytest.approx(0.8 - 0.7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_confidence_at_the_end_of_a_bin_is_in_it(dtype):
    p = torch.tensor([[0.3, 0.25, 0.25, 0.2], [0.7, 0.1, 0.1, 0.1]], dtype=dtype)
    assert metrics.reliability(p, torch.tensor([0, 0]), 10).count.nonzero()[:, 0].tolist() == [2, 6]


def test_a_finite_set_can_have_no_calibration_error():
    assert metrics.calibration_error(torch.full((4, 2), 0.5), torch.tensor([0, 0, 1, 1])) == 0


def test_calibration_error_of_a_calibrated_and_of_a_sure_guesser():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.randn(20_000, 5, generator=generator).mul(2).softmax(1)
    labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    assert metrics.calibration_error(probabilities, labels) < 0.02
    sure = F.one_hot(torch.zeros(100, dtype=torch.long), 5).float()
    assert metrics.calibration_error(sure, torch.arange(100) % 5) == pytest.approx(0.8)


@pytest.mark.parametrize("shape, n", [((3, 2), 2), ((3,), 3), ((0, 2), 0)])
def test_reliability_refuses(shape, n):
    with pytest.raises(ValueError, match="probabilities but"):
        metrics.reliability(torch.rand(shape), torch.zeros(n).long())
    with pytest.raises(ValueError, match="bins must be at least 1"):
        metrics.reliability(torch.full((3, 2), 0.5), torch.zeros(3).long(), 0)


@pytest.mark.parametrize("row", [[3.0, -2.0], [0.5, 0.6], [0.0, 0.0], [NAN, 1.0]])
def test_reliability_refuses_what_are_no_probabilities(row):
    with pytest.raises(ValueError, match="add up to 1: take the softmax"):
        metrics.reliability(torch.tensor([[0.5, 0.5], row]), torch.tensor([0, 1]))


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0]])
def test_labels_that_no_column_stands_for_are_refused(labels):
    for function in (metrics.reliability, metrics.fit_temperature):
        with pytest.raises(ValueError, match="labels must lie between 0 and 1"):
            function(torch.full((2, 2), 0.5), torch.tensor(labels))


@pytest.mark.parametrize("seed", range(4))
def test_temperature_against_scipy(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(500, 6, generator=generator).mul(2)
    labels = torch.multinomial((logits / (0.5 + seed)).softmax(1), 1, generator=generator)[:, 0]

    def loss(temperature):
        return F.cross_entropy(logits.double() / temperature, labels).item()

    best = optimize.minimize_scalar(loss, bounds=(0.05, 50), method="bounded", options={"xatol": 1e-8})
    assert metrics.fit_temperature(logits, labels) == pytest.approx(best.x, rel=1e-4)


def test_temperature_finds_the_one_that_was_put_in():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(50_000, 4, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    assert metrics.fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.05)


def test_temperature_without_a_zero_inside():
    logits = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
    assert metrics.fit_temperature(logits, torch.tensor([0, 1])) == pytest.approx(0.01)  # always right
    assert metrics.fit_temperature(logits, torch.tensor([1, 0])) == pytest.approx(100)  # always wrong
    assert metrics.fit_temperature(logits, torch.tensor([1, 0]), high=5) == pytest.approx(5)
    for low, high in ((0, 1), (10, 1)):
        with pytest.raises(ValueError, match="low must be above 0 and below high"):
            metrics.fit_temperature(logits, torch.tensor([0, 1]), low, high)
    for n in (0, 2):
        with pytest.raises(ValueError, match=rf"\(0, 3\) logits but \({n},\) labels; one label a row"):
            metrics.fit_temperature(torch.rand(0, 3), torch.zeros(n).long())
    with pytest.raises(ValueError, match="finite"):
        metrics.fit_temperature(torch.tensor([[NAN, 1.0]]), torch.tensor([0]))


def test_bootstrap_of_a_mean_is_the_textbook_interval():
    right = torch.arange(400) < 300
    low, high = metrics.bootstrap_interval(lambda r: r.double().mean(), right, resamples=2000)
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert low == pytest.approx(0.75 - half, abs=0.008) and high == pytest.approx(0.75 + half, abs=0.008)
    narrow = metrics.bootstrap_interval(lambda r: r.double().mean(), right, level=0.5)
    assert low < narrow[0] < 0.75 < narrow[1] < high
    assert narrow[1] - narrow[0] == pytest.approx(2 * 0.6745 * half / 1.96, rel=0.15)


def test_bootstrap_draws_rows_together_and_with_replacement():
    x = torch.arange(50)
    assert metrics.bootstrap_interval(lambda a, b: (a == b).all(), x, x, resamples=20) == (1, 1)
    assert metrics.bootstrap_interval(len, x, resamples=3) == (50, 50)
    distinct = metrics.bootstrap_interval(lambda a: len(a.unique()) / 50, x, resamples=200)
    assert 0.5 < distinct[0] < 1 - 1 / math.e < distinct[1] < 0.75


def test_bootstrap_is_repeatable_and_leaves_the_global_generator():
    values = torch.arange(30.0)
    state = torch.get_rng_state()
    first = metrics.bootstrap_interval(torch.mean, values, resamples=50)
    assert torch.equal(state, torch.get_rng_state())
    assert first == metrics.bootstrap_interval(torch.mean, values, resamples=50)
    assert first != metrics.bootstrap_interval(torch.mean, values, resamples=50, seed=1)


@pytest.mark.parametrize("tensors", [(torch.ones(3), torch.ones(2)), (torch.ones(0),), ()])
def test_bootstrap_refuses_lengths(tensors):
    with pytest.raises(ValueError, match="the same length, at least 1"):
        metrics.bootstrap_interval(lambda *t: 0, *tensors)


def test_bootstrap_refuses_no_resamples():
    with pytest.raises(ValueError, match="resamples must be at least 1, got 0"):
        metrics.bootstrap_interval(torch.mean, torch.ones(3), resamples=0)


def test_bootstrap_says_that_a_statistic_is_not_defined_everywhere():
    with pytest.raises(ValueError, match=r"nan in \d+ of 50 resamples"):
        metrics.bootstrap_interval(lambda x: x[x > 1].mean(), torch.tensor([1.0, 2.0]), resamples=50)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_bootstrap_refuses_levels(level):
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        metrics.bootstrap_interval(torch.mean, torch.ones(3), level=level)


@given(
    scores=st.lists(st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0]), min_size=2, max_size=25),
    seed=st.integers(0, 100),
)
@settings(deadline=None)
def test_threshold_curve_against_scikit_learn(scores, seed):
    scores = torch.tensor(scores)
    positive = torch.rand(len(scores), generator=torch.Generator().manual_seed(seed)) < 0.5
    assume(positive.any())
    thresholds, precision, recall = metrics.threshold_curve(scores, positive)
    theirs = reference.precision_recall_curve(positive.numpy(), scores.numpy())
    np.testing.assert_allclose(thresholds.flip(0), theirs[2])
    np.testing.assert_allclose(precision.flip(0), theirs[0][:-1])  # scikit-learn adds the point (1, 0)
    np.testing.assert_allclose(recall.flip(0), theirs[1][:-1])


def test_threshold_curve_refuses():
    with pytest.raises(ValueError, match="no picture is positive"):
        metrics.threshold_curve(torch.rand(3), torch.zeros(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="scores but"):
        metrics.threshold_curve(torch.rand(3), torch.ones(2, dtype=torch.bool))
    with pytest.raises(ValueError, match="positive must hold bools"):
        metrics.threshold_curve(torch.rand(3), torch.tensor([2, 0, 1]))
    with pytest.raises(ValueError, match="nan"):
        metrics.threshold_curve(torch.tensor([0.5, NAN]), torch.ones(2, dtype=torch.bool))


def test_infinite_scores_that_are_equal_are_accepted_together():
    inf = float("inf")
    thresholds, precision, _ = metrics.threshold_curve(torch.tensor([inf, inf, 0.0]), torch.tensor([True, False, True]))
    assert thresholds.tolist() == [inf, 0] and precision.tolist() == [1 / 2, pytest.approx(2 / 3)]


@pytest.mark.parametrize("wrong", [[0.9, 1.2], [[0, 1]]])
def test_labels_must_be_class_numbers(wrong):
    wrong = torch.tensor(wrong)
    with pytest.raises(ValueError, match=r"labels must be class numbers \(N,\)"):
        metrics.confusion_matrix(wrong, wrong, 3)
    with pytest.raises(ValueError, match="predictions must be class numbers"):
        metrics.confusion_matrix(torch.tensor([0, 1]), torch.tensor([0.0, 1.0]), 3)
    for function in (metrics.reliability, metrics.fit_temperature):
        with pytest.raises(ValueError, match="labels must be class numbers"):
            function(torch.full((2, 2), 0.5), torch.tensor([0.0, 1.0]))


def test_no_answers_have_no_counts():
    assert metrics.confusion_matrix(torch.tensor([]), torch.tensor([]), 2).tolist() == [[0, 0], [0, 0]]
