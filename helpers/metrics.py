"""Counting right and wrong answers, and how far a network's own confidence can be trusted.

Source: Chapter 6, "Where it errs", and Chapter 9.
"""

import math
from typing import NamedTuple

import torch


class Scores(NamedTuple):
    """Precision, recall and F1, from 0 to 1: float64 tensors (K,), or floats where they are averages."""

    precision: torch.Tensor | float
    recall: torch.Tensor | float
    f1: torch.Tensor | float


class Reliability(NamedTuple):
    """Of each bin of confidences: how many pictures (int64), their mean confidence, their accuracy (float64)."""

    count: torch.Tensor
    confidence: torch.Tensor
    accuracy: torch.Tensor


def confusion_matrix(labels, predictions, n_classes):
    """Counts (n_classes, n_classes), int64: row the true class, column the predicted one.

    labels, predictions: int tensors (N,), 0 to n_classes - 1. Raises ValueError for other values or shapes.
    """
    if labels.shape != predictions.shape:
        raise ValueError(f"{tuple(labels.shape)} labels but {tuple(predictions.shape)} predictions")
    for name, values in (("labels", labels), ("predictions", predictions)):
        _check_whole(name, values)
        if len(values) and not 0 <= int(values.min()) <= int(values.max()) < n_classes:
            raise ValueError(f"{name} must lie between 0 and {n_classes - 1}")
    pairs = labels.long() * n_classes + predictions.long()
    return torch.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def wilson_interval(right, total, z=1.96):
    """(low, high): where a true share lies, of which `right` of `total` were seen; 95 % for z = 1.96.

    Source: Wilson (1927). Raises ValueError unless 0 <= right <= total and total > 0.
    """
    if not 0 <= right <= total or total == 0:
        raise ValueError(f"right must lie between 0 and total, and total above 0, got {right} of {total}")
    share, shrink = right / total, 1 + z**2 / total
    middle = (share + z**2 / (2 * total)) / shrink
    half = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)) / shrink
    return max(0.0, middle - half), min(1.0, middle + half)


def class_scores(matrix, undefined=0.0):
    """The `Scores` of each class, from a confusion matrix of counts (K, K), rows the true classes.

    precision: of the pictures given the class, the share that is of it; recall: of the pictures of the class, the share
    that was given it; F1: their harmonic mean, 2 right / (given + of the class). undefined: what 0 / 0 shall be, 0 or
    nan: the precision of a class never predicted, the recall of a class without pictures, the F1 of one with neither.
    Raises ValueError for a matrix that is not square or holds negative numbers. Source: Chapter 9, "Three classes, by
    hand".
    """
    matrix = _counts(matrix)
    right, given, there = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
    return Scores(*(_ratio(a, b, undefined) for a, b in ((right, given), (right, there), (2 * right, given + there))))


def average_scores(matrix, how="macro", undefined=0.0):
    """The `Scores` of a whole confusion matrix, as floats.

    how: "macro", every class counts the same; "weighted", a class counts by its pictures; "micro", right and wrong
    answers of all classes are counted together, which makes all three the accuracy. With undefined=nan, a class whose
    score is 0 / 0 is left out of the mean; a mean over no class, or of weight 0, is `undefined`.
    Raises ValueError for another `how`. Source: Chapter 9, "Three ways to average".
    """
    matrix = _counts(matrix)
    if how == "micro":
        accuracy = _ratio(matrix.trace(), matrix.sum(), undefined).item()
        return Scores(accuracy, accuracy, accuracy)
    if how not in ("macro", "weighted"):
        raise ValueError(f"how must be 'macro', 'micro' or 'weighted', got {how!r}")
    weights = matrix.sum(1) if how == "weighted" else torch.ones(len(matrix))
    return Scores(*(_mean(score, weights, undefined) for score in class_scores(matrix, undefined)))


def reliability(probabilities, labels, bins=15):
    """`Reliability` by bins of equal width of the largest probability: bin b from b/bins, not included, to (b+1)/bins.

    probabilities: (N, K), rows that add up to 1; labels: int tensor (N,). Confidence and accuracy of an empty bin are
    nan. Raises ValueError for other shapes, no pictures, labels outside 0 to K - 1, rows that are not probabilities, or
    bins below 1. Source: Chapter 9, "As sure as it is right?".
    """
    _check_labels(probabilities, labels, "probabilities")
    if not ((probabilities >= 0).all() and ((probabilities.sum(1) - 1).abs() < 1e-2).all()):
        raise ValueError("rows of probabilities must be at least 0 and add up to 1: take the softmax of logits first")
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    confidence, predictions = probabilities.max(
        1
    )  # as given: a float32 of 0.3 ends a bin, the same as float64 does not
    which = ((confidence * bins).ceil().long() - 1).clamp(0, bins - 1)
    count = torch.bincount(which, minlength=bins)
    sums = [torch.bincount(which, w, bins) for w in (confidence.double(), (predictions == labels).double())]
    return Reliability(count, *(_ratio(total, count, math.nan) for total in sums))


def calibration_error(probabilities, labels, bins=15):
    """The expected calibration error, 0 to 1: |accuracy - confidence| of each bin, averaged over the pictures.

    Arguments and errors as in `reliability`. Source: Guo et al. (2017); Chapter 9, "As sure as it is right?".
    """
    count, confidence, accuracy = reliability(probabilities, labels, bins)
    gaps = (accuracy - confidence).abs().nan_to_num(0.0)
    return ((count * gaps).sum() / count.sum()).item()


def fit_temperature(logits, labels, low=0.01, high=100.0):
    """The temperature T between low and high for which softmax(logits / T) has the least cross-entropy, a float.

    logits: (N, K); labels: int tensor (N,). The loss is convex in 1/T, so its slope in 1/T is halved down to 0; where
    it has no zero inside, as when every answer is right, the nearer end is returned. Raises ValueError for an empty
    set, labels that do not fit, logits that are not finite. Source: Guo et al. (2017); Chapter 9, "One number to mend
    it".
    """
    _check_labels(logits, labels, "logits")
    if not 0 < low < high:
        raise ValueError(f"low must be above 0 and below high, got {low} and {high}")
    if not logits.isfinite().all():
        raise ValueError("logits must be finite numbers")
    logits = logits.double()
    true = logits.gather(1, labels.long()[:, None])[:, 0]
    left, right = 1 / high, 1 / low
    for _ in range(60):
        middle = (left + right) / 2
        slope = ((middle * logits).softmax(1) * logits).sum(1) - true
        left, right = (middle, right) if slope.mean() <= 0 else (left, middle)
    return 2 / (left + right)


def bootstrap_interval(statistic, *tensors, resamples=1000, level=0.95, seed=0):
    """(low, high): the middle `level` of the values that `statistic(*tensors)` takes when the rows are drawn anew.

    Each resample draws as many rows as there are, with replacement, the same of every tensor. Raises ValueError for
    tensors of different lengths, empty ones, a level outside (0, 1), resamples below 1, and a statistic that is nan
    in a resample, as where a class was not drawn. Source: Efron (1979); Chapter 9, "How sure are these numbers?".
    """
    sizes = {len(t) for t in tensors}
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"tensors must have the same length, at least 1, got {[len(t) for t in tensors]}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    (n,), generator = sizes, torch.Generator().manual_seed(seed)
    draws = (torch.randint(n, (n,), generator=generator) for _ in range(resamples))
    values = torch.tensor([float(statistic(*(t[rows] for t in tensors))) for rows in draws], dtype=torch.float64)
    if values.isnan().any():
        raise ValueError(f"the statistic is nan in {int(values.isnan().sum())} of {resamples} resamples")
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    return tuple(values.quantile(ends).tolist())


def threshold_curve(scores, positive):
    """(thresholds, precision, recall), 1-D float64, of saying yes to every picture whose score is at least a threshold.

    scores: (N,); positive: bools (N,), which pictures deserve a yes. Thresholds are the different scores, falling.
    Raises ValueError for other shapes, a score of nan, and where no picture is positive. Source: Chapter 9, "When to
    say nothing".
    """
    if scores.ndim != 1 or scores.shape != positive.shape:
        raise ValueError(f"{tuple(scores.shape)} scores but {tuple(positive.shape)} positives")
    if positive.dtype != torch.bool:
        raise ValueError(f"positive must hold bools, as `labels == k` does, got {positive.dtype}")
    if scores.isnan().any():
        raise ValueError("a score of nan has no place in the order of scores")
    if not positive.any():
        raise ValueError("no picture is positive: recall is undefined")
    order = scores.argsort(descending=True)
    thresholds, positive = scores[order].double(), positive[order].double()
    last = torch.cat([thresholds[1:] != thresholds[:-1], torch.tensor([True])])  # equal scores are accepted together
    right, given = positive.cumsum(0)[last], torch.arange(1, len(scores) + 1)[last]
    return thresholds[last], right / given, right / positive.sum()


def _check_labels(values, labels, name):
    if values.ndim != 2 or values.shape[:1] != labels.shape or not len(labels):
        shapes = f"{tuple(values.shape)} {name} but {tuple(labels.shape)} labels"
        raise ValueError(f"{shapes}; one label a row is needed, and at least one row")
    _check_whole("labels", labels)
    if not 0 <= int(labels.min()) <= int(labels.max()) < values.shape[1]:
        raise ValueError(f"labels must lie between 0 and {values.shape[1] - 1}, the columns of the {name}")


def _check_whole(name, values):
    if values.ndim != 1 or len(values) and values.is_floating_point():
        raise ValueError(f"{name} must be class numbers (N,), got {values.dtype} {tuple(values.shape)}")


def _counts(matrix):
    matrix = torch.as_tensor(matrix).double()
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a confusion matrix must be square, got shape {tuple(matrix.shape)}")
    if (matrix < 0).any():
        raise ValueError("a confusion matrix holds counts: none can be negative")
    return matrix


def _ratio(above, below, undefined):
    """above / below, and `undefined` where below is 0."""
    return torch.where(below == 0, undefined, above / torch.where(below == 0, 1, below))


def _mean(values, weights, undefined):
    defined = ~values.isnan()
    total = weights[defined].sum()
    return (values[defined] @ weights[defined].double() / total).item() if total > 0 else undefined
