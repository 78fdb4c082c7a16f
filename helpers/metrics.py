"""Counting right and wrong answers. Source: Chapter 6, "Where it errs"."""

import math

import torch


def confusion_matrix(labels, predictions, n_classes):
    """Counts (n_classes, n_classes), int64: row the true class, column the predicted one.

    labels, predictions: int tensors (N,), 0 to n_classes - 1. Raises ValueError for other values or shapes.
    """
    if labels.shape != predictions.shape:
        raise ValueError(f"{tuple(labels.shape)} labels but {tuple(predictions.shape)} predictions")
    for name, values in (("labels", labels), ("predictions", predictions)):
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
