"""How training changes the effective receptive field: `python experiments/effective_field.py`.

Eight 3x3 convolutions of stride 1 (field 17x17) under a global mean and one dense layer, trained on 10,000 pictures
for 10 epochs with Adam at 2e-3 and batches of 64; three seeds, on CIFAR-10 and on drawn scenes. After each epoch:
the field's width as Chapter 3, "What training does to it", measures it, in input pixels. Where CIFAR-10 is not at
hand, only the scenes are run. Runs that are in effective_field.csv already are not repeated.
"""

import csv
import platform
import time
from pathlib import Path

import torch
from torch import nn

from helpers import data, train

RESULTS = Path(__file__).with_suffix(".csv")
COLUMNS = ("data", "seed", "epoch", "width", "accuracy", "seconds", "torch", "machine")
EPOCHS, SEEDS = 10, 3


def stack(depth, channels=16):
    """`depth` 3x3 convolutions with ReLU, Kaiming-initialised."""
    layers = []
    for i in range(depth):
        conv = nn.Conv2d(channels if i else 3, channels, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight)
        nn.init.zeros_(conv.bias)
        layers += [conv, nn.ReLU()]
    return nn.Sequential(*layers)


def influence(features, pictures):
    """Mean squared gradient of the centre units, with random signs for the channels; each picture's map sums to 1."""
    x = pictures.clone().requires_grad_()
    y = features(x)
    centre = y[:, :, y.shape[2] // 2, y.shape[3] // 2]
    signs = torch.randint(2, centre.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    maps = torch.autograd.grad((centre * signs).sum(), x)[0].square().sum(1)
    maps = maps[maps.sum((1, 2)) > 0]
    return (maps / maps.sum((1, 2), keepdim=True)).mean(0)


def width(influence):
    """Standard deviation of a map that sums to 1, in pixels, the mean of both axes."""
    variances = []
    for axis in (0, 1):
        share, place = influence.sum(axis), torch.arange(influence.shape[1 - axis])
        mean = (share * place).sum()
        variances.append((share * (place - mean) ** 2).sum())
    return (sum(variances) / 2).sqrt().item()


def normalise(x):
    return (x - 0.5) / 0.5


def run(name, pictures, test, seed):
    """Rows of one training, epoch 0 being the start."""
    torch.manual_seed(seed)
    features = stack(8)
    model = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, len(pictures.classes)))
    optimizer, generator = train.adam(model, 2e-3), torch.Generator().manual_seed(seed)
    probe, start = test.split(64)[0].floats(), time.perf_counter()
    for epoch in range(EPOCHS + 1):
        if epoch:
            train.train_epoch(model, pictures, optimizer, 64, generator, normalise=normalise)
        wide, accuracy = width(influence(features, normalise(probe))), train.evaluate(model, test, normalise)[1]
        spent = time.perf_counter() - start
        yield name, seed, epoch, f"{wide:.4f}", f"{accuracy:.4f}", f"{spent:.0f}", torch.__version__, platform.machine()


def main():
    done = set()
    if RESULTS.exists():
        done = {(row["data"], int(row["seed"])) for row in csv.DictReader(RESULTS.open())}
    else:
        RESULTS.write_text(",".join(COLUMNS) + "\n")
    sets = {"drawn scenes": (data.scenes(10_000, seed=0), data.scenes(2_000, seed=1))}
    pictures, test = data.cifar10()
    if "CIFAR" in pictures.source:
        sets = {"CIFAR-10": (pictures.split(10_000)[0], test.split(2_000)[0])} | sets
    for seed in range(SEEDS):
        for name, (pictures, test) in sets.items():
            if (name, seed) not in done:
                rows = list(run(name, pictures, test, seed))
                with RESULTS.open("a", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerows(rows)
                print(*rows[-1])


if __name__ == "__main__":
    main()
