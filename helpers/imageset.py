"""A set of labelled pictures in memory: what every loader of `helpers.data` returns."""

import operator
from dataclasses import dataclass, fields, replace

import torch


@dataclass(frozen=True, eq=False)
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
        _check("images", self.images, torch.uint8, "(N, 3, H, W)", 4)
        _check("labels", self.labels, torch.int64, "(N,)", 1)
        if self.images.shape[1] != 3:
            raise ValueError(f"images must be (N, 3, H, W), got shape {tuple(self.images.shape)}")
        if len(self.labels) != len(self.images):
            raise ValueError(f"{len(self.images)} images but {len(self.labels)} labels")
        if len(self) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ValueError(f"labels must lie between 0 and {len(self.classes) - 1}, one for each class")

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
        rows = torch.arange(len(self))[indices if isinstance(indices, slice) else _index(indices)]
        if rows.ndim != 1:
            raise ValueError(f"indices must be a slice, a list or a 1-D tensor, got {indices!r}")
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: _pick(value, rows) for name, value in values.items()})

    def split(self, first, seed=0):
        """Two sets: `first` pictures drawn at random, each class keeping its share, and the rest.

        Raises ValueError unless 0 < first < len(self).
        """
        if int(first) != first or not 0 < first < len(self):
            raise ValueError(f"first must be a number of pictures between 1 and {len(self) - 1}, got {first}")
        return self.draw(_quotas(self.labels, first, len(self.classes)), seed)

    def draw(self, counts, seed=0):
        """Two sets: counts[k] pictures of class k drawn at random, for each k, and the rest.

        counts: a whole number for each class, 0 where there should be none. Raises ValueError for another length, a
        negative or broken number, and more pictures of a class than there are.
        Source: Chapter 9, "A long-tailed set".
        """
        there, counts = torch.bincount(self.labels, minlength=len(self.classes)).tolist(), _whole(counts)
        if len(counts) != len(there):
            raise ValueError(f"{len(there)} classes but {len(counts)} counts")
        for name, wanted, most in zip(self.classes, counts, there):
            if not 0 <= wanted <= most:
                raise ValueError(f"of {name} there are {most} pictures: {wanted} cannot be drawn")
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        taken = [order[self.labels[order] == k][:n] for k, n in enumerate(counts)]
        chosen = torch.zeros(len(self), dtype=torch.bool)
        chosen[torch.cat(taken)] = True
        return self.subset(chosen), self.subset(~chosen)


def _whole(counts):
    try:
        return [operator.index(n) for n in (counts.tolist() if torch.is_tensor(counts) else counts)]
    except TypeError:
        raise ValueError(f"counts must be a list of whole numbers, one for each class, got {counts!r}") from None


def _index(indices):
    index = torch.as_tensor(indices)
    return index if index.dtype == torch.bool else index.long()


def _check(name, values, dtype, shape, ndim):
    if not torch.is_tensor(values):
        raise ValueError(f"{name} must be a torch tensor, got {type(values).__name__}")
    if values.dtype != dtype or values.ndim != ndim:
        raise ValueError(f"{name} must be {str(dtype)[6:]} {shape}, got {str(values.dtype)[6:]} {tuple(values.shape)}")


def _pick(values, rows):
    """The rows of what has one for each picture, a tensor or a list; classes and source stay as they are."""
    if torch.is_tensor(values):
        return values[rows]
    return [values[i] for i in rows.tolist()] if isinstance(values, list) else values


def _quotas(labels, first, n_classes):
    """How many of each class to take so that they add up to `first`: shares rounded down, largest remainders up."""
    share = torch.bincount(labels, minlength=n_classes).double() * first / len(labels)
    quota = share.floor().long()
    short = first - int(quota.sum())
    quota[(share - quota).argsort(descending=True, stable=True)[:short]] += 1
    return quota.tolist()
