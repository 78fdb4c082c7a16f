"""A set of labelled pictures in memory: what every loader of `helpers.data` returns."""

from dataclasses import dataclass, fields, replace

import torch


@dataclass(frozen=True)
class ImageSet:
    """Labelled pictures of one size.

    images: uint8 tensor (N, 3, H, W), 0 to 255; labels: int64 tensor (N,); classes: the name of each label;
    source: where the pictures come from, shown under figures.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: tuple
    source: str

    def __post_init__(self):
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            raise ValueError(f"images must be uint8 (N, C, H, W), got {self.images.dtype} {tuple(self.images.shape)}")
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"{len(self.images)} images but labels of shape {tuple(self.labels.shape)}")

    def __len__(self):
        return len(self.images)

    def __repr__(self):
        size = "x".join(str(n) for n in self.images.shape[1:])
        return f"{len(self):,} images {size}, {len(self.classes)} classes, from {self.source}"

    def floats(self):
        """The images as float32 in [0, 1]."""
        return self.images.float() / 255

    def subset(self, indices):
        """The set of the pictures at `indices` (a slice, a list, or a tensor of ints or bools)."""
        rows = {f.name: _pick(getattr(self, f.name), indices, len(self)) for f in fields(self)}
        return replace(self, **rows | {"classes": self.classes, "source": self.source})

    def split(self, first, seed=0):
        """Two sets: `first` pictures drawn at random, each class keeping its share, and the rest.

        Raises ValueError unless 0 < first < len(self).
        """
        if not 0 < first < len(self):
            raise ValueError(f"first must be between 1 and {len(self) - 1}, got {first}")
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        quota = _quotas(self.labels, first, len(self.classes))
        taken = [order[self.labels[order] == k][:q] for k, q in enumerate(quota)]
        chosen = torch.zeros(len(self), dtype=torch.bool)
        chosen[torch.cat(taken)] = True
        return self.subset(chosen), self.subset(~chosen)


def _pick(values, indices, n):
    if torch.is_tensor(values):
        return values[indices]
    if isinstance(values, list):
        return [values[i] for i in torch.arange(n)[indices].tolist()]
    return values


def _quotas(labels, first, n_classes):
    """How many of each class to take so that they add up to `first`: shares rounded down, largest remainders up."""
    share = torch.bincount(labels, minlength=n_classes).double() * first / len(labels)
    quota = share.floor().long()
    short = first - int(quota.sum())
    quota[(share - quota).argsort(descending=True)[:short]] += 1
    return quota.tolist()
