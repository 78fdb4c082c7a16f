"""Are two pictures of one person? Points for faces, their losses, and counting the errors. Source: Chapter 12."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from helpers import augment
from helpers.arguments import all_tensors, as_float, at_least, image_set, whole
from helpers.train import adam, floats, logits

ROUNDING = 0.01  # how far from 1 a point's length may lie, of half precision, too


class Roc(NamedTuple):
    """For each threshold, falling: the share of strangers' pairs and of one person's pairs accepted; float64 (T,)."""

    thresholds: torch.Tensor
    false_match: torch.Tensor
    true_match: torch.Tensor


class Embedder(nn.Sequential):
    """A picture (N, 3, size, size) in [0, 1] becomes a point (N, dimensions) of length 1: four convolutions, the first
    three with stride 2, each with batch normalisation and ReLU, then a dense layer.

    channels: the numbers of filters, at least three. Raises ValueError for fewer, a size below 16 and no dimensions.
    Source: Chapter 12, "A point for each face".
    """

    def __init__(self, dimensions=32, size=48, channels=(16, 32, 64, 64)):
        if whole("size", size) < 16:
            raise ValueError(f"size must be at least 16 pixels for three strides of 2, got {size}")
        if len(channels) < 3:
            raise ValueError(f"channels must be at least three numbers, for three strides of 2, got {channels}")
        super().__init__()
        self.size = size
        for i, (before, after) in enumerate(zip((3, *channels), channels)):
            kernel, stride = 3 if i else 5, 2 if i < 3 else 1
            self.add_module(f"conv{i + 1}", nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False))
            self.add_module(f"norm{i + 1}", nn.BatchNorm2d(after))
            self.add_module(f"relu{i + 1}", nn.ReLU())
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels[-1] * math.ceil(size / 8) ** 2, whole("dimensions", dimensions, 1))

    def forward(self, x):
        return F.normalize(super().forward(x - 0.5))


def embed(model, pictures, batch_size=200):
    """The model's points (N, dimensions) for the pictures of an ImageSet: its outputs, as `helpers.train.logits`.

    Raises ValueError for what is no ImageSet, for no pictures, for pictures of another size than an `Embedder` takes,
    and for a batch_size that is no whole number of at least 1.
    """
    whole("batch_size", batch_size, 1)
    _check_pictures(model, pictures)
    return logits(model, pictures, batch_size=batch_size)


def contrastive_loss(distances, same, margin=1.0):
    """For each pair: d^2 / 2 where it shows one person, max(0, margin - d)^2 / 2 where it shows two.

    distances: any shape; same: bools of that shape. Source: Hadsell et al. (2006); Chapter 12, "Pairs".
    """
    _check_pairs(distances, same, "distances")
    return torch.where(same, distances**2, (margin - distances).clamp(min=0) ** 2) / 2


def triplet_loss(positive, negative, margin=0.2):
    """For each triplet: max(0, positive - negative + margin), of the squared distances from the anchor to a picture of
    the same person and to one of another. Raises ValueError for what is no tensor.
    Source: Schroff et al. (2015); Chapter 12, "Triplets".
    """
    all_tensors(positive=positive, negative=negative)
    return (positive - negative + margin).clamp(min=0)


def squared_distances(z):
    """The squared distance of each two of N points, (N, N), from points (N, dimensions)."""
    return (z[:, None] - z[None]).square().sum(2)


def batch_contrastive(z, labels, margin=1.0):
    """Mean contrastive loss over the pairs of one person, plus the mean over the pairs of two: z (N, D), labels (N,).

    A kind of which the batch has no pair costs 0. Raises ValueError for other shapes. Source: Chapter 12, "Pairs".
    """
    same, other = _partners(z, labels)
    distances = (squared_distances(z) + 1e-12).sqrt()  # or the slope of the root at 0 would be infinite
    loss = contrastive_loss(distances, same, margin)
    return sum(loss[kind].sum() / kind.sum().clamp(min=1) for kind in (same, other))


def batch_triplet(z, labels, margin=0.2):
    """Mean triplet loss of all triplets of a batch that do not have loss 0 already: points (N, D), labels (N,).

    A batch without such a triplet has loss 0. Raises ValueError for other shapes. Source: Chapter 12, "Triplets".
    """
    same, other = _partners(z, labels)
    squared = squared_distances(z)
    anchor, positive = same.nonzero(as_tuple=True)
    loss = triplet_loss(squared[anchor, positive][:, None], squared[anchor], margin) * other[anchor]
    return loss.sum() / (loss > 0).sum().clamp(min=1)


def people_batches(labels, steps, people=64, seed=0):
    """Yield `steps` batches of rows (2 * people,): two pictures each of people drawn at random, different ones where a
    person has two, else the only one twice; where there are fewer people than asked for, all of them.

    labels: (N,), a whole number for each person. With the first batch it raises ValueError for no labels, for labels
    that are no tensor (N,), and for steps or people that are no whole number of at least 1.
    """
    steps, people = whole("steps", steps, 1), whole("people", people, 1)
    _check_labels(labels)
    order, counts = labels.argsort(stable=True), labels.unique(return_counts=True)[1]
    start, generator = counts.cumsum(0) - counts, torch.Generator().manual_seed(seed)
    for _ in range(steps):
        who = torch.randperm(len(counts), generator=generator)[:people]
        chance, n = torch.rand(2, len(who), generator=generator), counts[who]
        first = (chance[0] * n).long()
        second = (first + 1 + (chance[1] * (n - 1)).long()) % n
        yield order[start[who].repeat(2) + torch.cat([first, second])]


def change(x, generator):
    """The usual augmentation of this chapter: crops after padding with 3 pixels, and a little change of colour."""
    return augment.colour_jitter(augment.random_crop(x, generator, 3), generator, strength=0.2)


def train_embedder(model, pictures, loss=batch_triplet, steps=400, people=64, lr=3e-3, seed=0, change=change):
    """Train on batches of two pictures each of some people; returns each step's loss, leaves the model in eval mode.

    loss: a function (points, labels) -> loss; change: an augmentation (batch, generator) -> batch; the learning rate
    rises to lr and falls again. Raises ValueError for pictures as `embed`, for a set of one person, for fewer than two
    people a batch, for steps below 1 and for a negative lr. Source: Chapter 12, "Triplets".
    """
    whole("steps", steps, 1), whole("people", people, 2), at_least("lr", lr)
    _check_pictures(model, pictures)
    if len(pictures.labels.unique()) < 2:
        raise ValueError("pictures of at least two people are needed")
    generator, optimizer, losses = torch.Generator().manual_seed(seed), adam(model, lr), []
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    model.train()
    for rows in people_batches(pictures.labels, steps, people, seed):
        value = loss(model(change(floats(pictures.images[rows]), generator)), pictures.labels[rows])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
        losses.append(value.item())
    model.eval()
    return losses


def pair_scores(z, labels):
    """(scores, same) of all pairs of pictures: the cosines (P,) of points of length 1, and bools (P,): one person?

    z: (N, D), labels: (N,). Raises ValueError for other shapes, for what is no tensor, and for points that are not
    finite or whose length differs from 1 by more than a rounding error.
    """
    _check_points(z, labels)
    _check_lengths(z)
    first, second = torch.triu_indices(len(z), len(z), 1)
    return (z @ z.T)[first, second], labels[first] == labels[second]


def roc(scores, same):
    """The `Roc` of accepting every pair whose score is at least a threshold, one for each different score.

    scores, same: (P,), numbers and bools. Raises ValueError for other shapes, a score of nan, and pairs of one kind
    only. Source: Chapter 12, "One threshold, two errors".
    """
    _check_scores(scores, same)
    scores, order = scores.double().sort(descending=True)
    last = torch.cat([scores[1:] != scores[:-1], torch.tensor([True])])  # equal scores are accepted together
    accepted = [kind[order].double().cumsum(0)[last] / kind.sum() for kind in (~same, same)]
    return Roc(scores[last], *accepted)


def error_rates(scores, same, threshold):
    """(false match rate, false non-match rate) of accepting the pairs whose score is at least the threshold.

    The first is the share of strangers' pairs accepted, the second the share of one person's pairs rejected.
    Raises ValueError as `roc`, and for a threshold that is no number.
    """
    _check_scores(scores, same)
    if math.isnan(as_float(threshold)):
        raise ValueError(f"threshold must be a number, as the scores are, got {threshold!r}")
    accepted = scores >= threshold
    return accepted[~same].double().mean().item(), (~accepted)[same].double().mean().item()


def equal_error_rate(scores, same):
    """(rate, threshold) where false match and false non-match rate are equal, on straight lines between the points of
    the ROC curve. Source: Chapter 12, "One threshold, two errors".
    """
    thresholds, false_match, true_match = roc(scores, same)
    gap = torch.cat([torch.tensor([-1.0]).double(), false_match - (1 - true_match)])  # from (0, 0): rising
    rate = torch.cat([torch.tensor([0.0]).double(), false_match])
    after = int((gap >= 0).nonzero()[0])
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return (rate[after - 1] + share * (rate[after] - rate[after - 1])).item(), thresholds[after - 1].item()


def threshold_for(scores, same, false_match):
    """The lowest threshold, one of the scores, at which at most the given share of strangers' pairs is accepted.

    Raises ValueError where even the highest score of all accepts more, for what is no share from 0 to 1, and as `roc`.
    Source: Chapter 12, "Other people".
    """
    if not 0 <= as_float(false_match) <= 1:
        raise ValueError(f"false_match must be a share from 0 to 1, got {false_match!r}")
    thresholds, rates, _ = roc(scores, same)
    if rates[0] > false_match:
        raise ValueError(f"no threshold has a false match rate of {false_match} or less")
    return thresholds[rates <= false_match][-1].item()


def none_drawn(marked, total, drawn):
    """The chance that `drawn` people out of `total`, drawn without replacement, are none of the `marked` ones.

    C(total - marked, drawn) / C(total, drawn), for tensors of any shape, float64. Raises ValueError for more people
    marked or drawn than there are. Source: Chapter 12, "One against K".
    """
    marked, total, drawn = (torch.as_tensor(n, dtype=torch.float64) for n in (marked, total, drawn))
    if not all(((0 <= n) & (n <= total)).all() for n in (marked, drawn)):
        raise ValueError("marked and drawn must lie between 0 and total")
    return (log_choose(total - marked, drawn) - log_choose(total, drawn)).exp()


def log_choose(n, k):
    """The logarithm of n! / (k! (n - k)!), -inf where k is larger than n: float tensors of any shape."""
    chosen = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma((n - k).clamp(min=0) + 1)
    return torch.where(k > n, -math.inf, chosen)


def _partners(z, labels):
    """(same, other), bools (N, N): pairs of different pictures of one person, pairs of two people."""
    _check_points(z, labels)
    equal = labels[:, None] == labels
    return equal & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device), ~equal


def _check_pictures(model, pictures):
    image_set("pictures", pictures)
    height, width = pictures.images.shape[2:]
    if isinstance(model, Embedder) and not height == width == model.size:
        raise ValueError(f"this Embedder takes pictures of {model.size}x{model.size} pixels, got {height}x{width}")


def _check_labels(labels):
    all_tensors(labels=labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels must be (N,), one for each of at least one picture, got {tuple(labels.shape)}")


def _check_lengths(z):
    lengths = z.detach().float().norm(dim=1)
    if not ((lengths - 1).abs() < ROUNDING).all():
        got = f"{lengths.min().item():.3g} to {lengths.max().item():.3g}"
        raise ValueError(f"points must have length 1, as torch.nn.functional.normalize(z) has, got lengths of {got}")


def _check_points(z, labels):
    all_tensors(points=z, labels=labels)
    if z.ndim != 2 or labels.shape != z.shape[:1]:
        raise ValueError(f"points must be (N, D) with labels (N,), got {tuple(z.shape)} and {tuple(labels.shape)}")


def _check_pairs(values, same, name):
    all_tensors(**{name: values, "same": same})
    if values.shape != same.shape or same.dtype != torch.bool:
        raise ValueError(f"{tuple(values.shape)} {name} need as many bools, got {same.dtype} {tuple(same.shape)}")


def _check_scores(scores, same):
    _check_pairs(scores, same, "scores")
    if scores.ndim != 1:
        raise ValueError(f"scores must be (P,), one for each pair, got {tuple(scores.shape)}")
    if scores.isnan().any() or same.all() or not same.any():
        raise ValueError("scores must be numbers, with pairs of one person and pairs of two")
