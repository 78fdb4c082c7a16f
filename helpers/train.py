"""The training loop, plain enough to read. Source: Chapter 6, "The loop"."""

import time
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from helpers.progress import progress
from helpers.watch import watching

BLOCK = 8


@dataclass
class History:
    """What `fit` measured after each epoch, in eval mode on whole sets: mean loss in nats, accuracy from 0 to 1.

    `seconds` is the time of each epoch's training alone. The test lists stay empty without a test set.
    """

    train_loss: list = field(default_factory=list)
    train_accuracy: list = field(default_factory=list)
    test_loss: list = field(default_factory=list)
    test_accuracy: list = field(default_factory=list)
    seconds: list = field(default_factory=list)

    def __repr__(self):
        if not self.train_loss:
            return "History of no epochs"
        test = f", test accuracy {self.test_accuracy[-1]:.3f}" if self.test_accuracy else ""
        return f"{len(self.train_loss)} epochs: train accuracy {self.train_accuracy[-1]:.3f}{test}"


def fit(model, train, test=None, *, epochs=10, batch_size=16, lr=1e-3, optimizer=None, augment=None, normalise=None,
        seed=0, device=None):  # fmt: skip
    """Train with cross-entropy and return a History; the model is left on `device` in eval mode.

    train, test: `ImageSet`s, whose pictures become floats in [0, 1]. optimizer: Adam(lr) if None. augment: a function
    (batch, generator) -> batch for training pictures; normalise: a function batch -> batch for all. seed: of the
    shuffling, the augmentation and dropout; the global generators stay as they were. device: CUDA, then MPS, then
    the CPU if None. Raises ValueError for an empty set, epochs or batch_size below 1, and FloatingPointError when
    the loss is no longer finite.
    """
    _check(train, epochs, batch_size)
    device = torch.device(device or best_device())
    model.to(device)
    optimizer = optimizer or adam(model, lr)
    history, generator = History(), torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # dropout draws from the global generator
        for _ in progress(range(epochs), desc="epochs"):
            start = time.perf_counter()
            train_epoch(model, train, optimizer, batch_size, generator, augment, normalise)
            history.seconds.append(time.perf_counter() - start)
            _record(history, model, train, test, normalise)
    return history


def train_epoch(model, data, optimizer, batch_size, generator, augment=None, normalise=None):
    """One pass over the set in random order, one optimiser step a batch."""
    model.train()
    device = next(model.parameters()).device
    for x, y in batches(data, batch_size, generator, augment, normalise):
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    if not torch.isfinite(loss):
        raise FloatingPointError("the loss is no longer finite: try a smaller learning rate")


def evaluate(model, data, normalise=None, batch_size=100):
    """(mean loss in nats, accuracy from 0 to 1) over the whole set, in eval mode; every picture counts once."""
    scores = logits(model, data, normalise, batch_size)
    loss = F.cross_entropy(scores, data.labels)
    return loss.item(), (scores.argmax(1) == data.labels).float().mean().item()


@torch.no_grad()
def logits(model, data, normalise=None, batch_size=100):
    """The model's scores for every picture, (N, n_classes) on the CPU, in eval mode; each layer's mode is restored."""
    if not len(data):
        raise ValueError("the set to evaluate is empty")
    like = next(model.parameters())  # pictures go to its device, with its precision
    parts = (floats(data.images[i : i + batch_size], normalise) for i in range(0, len(data), batch_size))
    with watching(model):
        return torch.cat([model(x.to(like)).cpu() for x in parts])


def batches(data, batch_size, generator, augment=None, normalise=None):
    """Yield (x, y) in random order; x as floats, augmented and normalised, BLOCK batches at a time to save time."""
    for rows in torch.randperm(len(data), generator=generator).split(batch_size * BLOCK):
        x = floats(data.images[rows])
        x = augment(x, generator) if augment else x
        x = normalise(x) if normalise else x
        yield from zip(x.split(batch_size), data.labels[rows].split(batch_size))


def floats(images, normalise=None):
    """uint8 pictures as floats in [0, 1], normalised if a function is given."""
    x = images.float() / 255
    return normalise(x) if normalise else x


def adam(model, lr):
    """Adam in one fused kernel where this torch and device have it."""
    try:
        return torch.optim.Adam(model.parameters(), lr, fused=True)
    except (RuntimeError, TypeError):
        return torch.optim.Adam(model.parameters(), lr)


def best_device():
    """CUDA if there is a graphics card for it, else MPS on a Mac that has it, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _record(history, model, train, test, normalise):
    for name, part in (("train", train), ("test", test)):
        if part is not None:
            loss, accuracy = evaluate(model, part, normalise)
            getattr(history, f"{name}_loss").append(loss)
            getattr(history, f"{name}_accuracy").append(accuracy)


def _check(train, epochs, batch_size):
    if not len(train):
        raise ValueError("the training set is empty")
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs and batch_size must be at least 1, got {epochs} and {batch_size}")
