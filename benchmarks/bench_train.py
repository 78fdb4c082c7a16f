"""Time an epoch of the sheet's recipe with flip and crop (batch 16, Adam): ours, the usual way, and the bare steps.

The three take turns in one run. The usual way is torchvision's transforms on each picture in a two-worker DataLoader;
the bare steps are forward, backward and update on one batch that stays the same. Test accuracy after the last epoch is
recorded for each seed, so that the fast way is seen to learn as much as the usual one. Threads are torch's default, as
for a reader: the loader's two workers and torch then share the cores, which is part of what the usual way costs.
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from common import write
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from helpers import data
from helpers.augment import flip_and_crop
from helpers.models import LeNet
from helpers.train import adam, evaluate, train_epoch

BATCH = 16


class Usual(Dataset):
    """Pictures one at a time, as torchvision's CIFAR10 hands them out, through its transforms, as in most tutorials."""

    def __init__(self, images):
        self.arrays = images.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = images.labels.tolist()
        steps = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(32, padding=4), transforms.ToTensor()]
        self.transform = transforms.Compose(steps)

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, i):
        return self.transform(Image.fromarray(self.arrays[i])), self.labels[i]


def usual_epoch(model, loader, optimizer):
    model.train()
    for x, y in loader:
        step(model, x, y, optimizer)


def bare_epoch(model, batch, optimizer, steps):
    model.train()
    for _ in range(steps):
        step(model, *batch, optimizer)


def step(model, x, y, optimizer):
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def ways(train, seed):
    """The three ways by name: (model, a function that trains it for one epoch)."""
    nets = []
    for _ in range(3):
        torch.manual_seed(seed)
        nets.append(LeNet())
    ours, usual, bare = nets
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(Usual(train), BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    batch = train.floats()[:BATCH], train.labels[:BATCH]
    steps = -(-len(train) // BATCH)
    fast, plain, fixed = adam(ours, 1e-3), torch.optim.Adam(usual.parameters(), 1e-3), adam(bare, 1e-3)
    return {
        "ours": (ours, lambda: train_epoch(ours, train, fast, BATCH, generator, flip_and_crop)),
        "usual": (usual, lambda: usual_epoch(usual, loader, plain)),
        "bare steps": (bare, lambda: bare_epoch(bare, batch, fixed, steps)),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    train, test = data.cifar10()
    rows = []
    for seed in range(options.seeds):
        contest = ways(train, seed)
        times = {name: [] for name in contest}
        for _ in range(options.epochs):
            for name, (_, epoch) in contest.items():
                start = time.perf_counter()
                epoch()
                times[name].append(time.perf_counter() - start)
        ours = sum(times["ours"])
        for name, (model, _) in contest.items():
            accuracy = evaluate(model, test)[1] if name != "bare steps" else float("nan")
            rows.append({"seed": seed, "way": name, "epochs": options.epochs, "test accuracy": round(accuracy, 4),
                         "seconds an epoch": round(sum(times[name]) / options.epochs, 2),
                         "times ours": round(sum(times[name]) / ours, 3), "data": train.source})  # fmt: skip
    write(Path(__file__).with_suffix(".csv"), rows)


if __name__ == "__main__":
    main()
