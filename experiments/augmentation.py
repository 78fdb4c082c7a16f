"""What normalisation and augmentation do to the sheet's network (E3.4 and beyond), on CIFAR-10.

Run from the repository's root: python experiments/augmentation.py
LeNet, cross-entropy, Adam at 1e-3, shuffled, the pictures in [0, 1] augmented and then normalised. The parts:

sheet  all pictures, batches of 16, 10 epochs, three seeds: normalised with 0.5/0.5, augmented (flips, and crops after
       padding with 4), both. Neither is sheet.csv's recipe, measured there.
long   all pictures, batches of 64, 40 epochs, two seeds: normalised alone, and both.
less   1,000, 5,000, 12,500 and all 50,000 pictures, batches of 64, three seeds, with and without flips and crops,
       normalised; each run shows the network 250,000 pictures, so that all take about equally many steps.
kinds  5,000 pictures, as in `less`, one kind of augmentation at a time.
scale  20,000 pictures, batches of 64, 10 epochs, three seeds, not augmented: how the numbers are scaled.

Measured five times, or after each epoch or every other one, in eval mode: on the test set, and on the training
pictures themselves, not augmented (10,000 of them where there are more). After the last: the recall of the second class
(cars), and the test accuracy when the probabilities of several views are averaged: 2, the picture and its mirror image;
10 (sheet and long only), both of them in place and moved by 2 pixels to each side. seconds: the processor's time for
training since the last row. Results: augmentation.csv. About 50 minutes on one core. A second run continues: a run that
is in the file is not run again.
"""

import time
from functools import partial

import results
import torch
import torch.nn.functional as F

from helpers import augment, data, train
from helpers.models import LeNet

PATH = results.FOLDER / "augmentation.csv"
KEY = ("part", "condition", "pictures", "seed", "source")
KINDS = {
    "flip": augment.random_flip,
    "crop": augment.random_crop,
    "colour": augment.colour_jitter,
    "cutout": augment.cutout,
    "vertical": partial(augment.random_flip, vertical=True),
    "mixup": None,  # changes the labels, too: see `mixup_epoch`
}
HALF = augment.normalise
SHOWN = 250_000


def plan(own):
    """(part, condition, pictures, batch, epochs, epochs between rows, seed, augmentation, normalisation), in order.

    own: the normalisation with the training pictures' own mean and deviation.
    """
    crop = augment.flip_and_crop
    scales = {"0 to 1": None, "0.5 and 0.5": HALF, "own": own, "0 and 5": partial(HALF, mean=0, std=5)}
    scales["0 to 255"] = partial(HALF, mean=0, std=1 / 255)
    for seed in range(3):  # outside, so that a first row of everything comes early
        yield "sheet", "both", 50_000, 16, 10, 1, seed, crop, HALF
        yield "sheet", "normalised", 50_000, 16, 10, 1, seed, None, HALF
        yield "sheet", "augmented", 50_000, 16, 10, 1, seed, crop, None
        for n in (1_000, 5_000, 12_500, 50_000):
            yield "less", "normalised", n, 64, SHOWN // n, SHOWN // n // 5, seed, None, HALF
            yield "less", "both", n, 64, SHOWN // n, SHOWN // n // 5, seed, crop, HALF
        for kind, change in KINDS.items():
            yield "kinds", kind, 5_000, 64, 50, 10, seed, change, HALF
        if seed < 2:
            yield "long", "normalised", 50_000, 64, 40, 2, seed, None, HALF
            yield "long", "both", 50_000, 64, 40, 2, seed, crop, HALF
        for name, scale in scales.items():
            yield "scale", name, 20_000, 64, 10, 2, seed, None, scale


def main():
    torch.set_num_threads(1)
    cifar, test = data.cifar10()
    mean, std = augment.channel_statistics(cifar.images)
    for part, condition, n, batch, epochs, every, seed, change, scale in plan(partial(HALF, mean=mean, std=std)):
        row = {"part": part, "condition": condition, "pictures": n, "batch": batch, "seed": seed}
        row["source"] = cifar.source
        if tuple(str(row[name]) for name in KEY) in results.done(PATH, *KEY):
            continue
        training = cifar.split(n)[0] if n < len(cifar) else cifar
        moves = MOVES if part in ("sheet", "long") else MOVES[:1]
        found = run(training, test, condition == "mixup", batch, epochs, every, seed, change, scale, moves)
        results.append(PATH, [row | measured | results.machine() for measured in found])


def run(training, test, mix, batch, epochs, every, seed, change, scale, moves):
    torch.manual_seed(seed)
    model = LeNet()
    optimizer, generator = train.adam(model, 1e-3), torch.Generator().manual_seed(seed)
    seen = training.split(10_000)[0] if len(training) > 10_000 else training
    rows, start = [], time.process_time()
    for epoch in range(1, epochs + 1):
        if mix:
            mixup_epoch(model, training, optimizer, batch, generator, scale)
        else:
            train.train_epoch(model, training, optimizer, batch, generator, change, scale)
        if epoch % every == 0:
            rows.append({"epoch": epoch} | measure(model, seen, test, scale, time.process_time() - start))
            rows[-1] |= last(model, test, scale, moves) if epoch == epochs else dict.fromkeys(LAST, "")
            start = time.process_time()
    return rows


def mixup_epoch(model, pictures, optimizer, batch, generator, scale):
    model.train()
    for x, y in train.batches(pictures, batch, generator):
        x, targets = augment.mixup(x, y, len(pictures.classes), generator)
        loss = F.cross_entropy(model(scale(x)), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


def measure(model, seen, test, scale, seconds):
    (train_loss, train_accuracy), (test_loss, test_accuracy) = (train.evaluate(model, s, scale) for s in (seen, test))
    found = {"train_loss": train_loss, "train_accuracy": train_accuracy}
    found |= {"test_loss": test_loss, "test_accuracy": test_accuracy, "seconds": seconds}
    return {name: round(value, 5) for name, value in found.items()}


LAST = ("cars", "views_2", "views_10")
MOVES = ((0, 0), (2, 0), (-2, 0), (0, 2), (0, -2))


def last(model, test, scale, moves):
    """What is measured once: the recall of class 1, and the test accuracy with 2 views and with two for each move."""
    scale = scale or (lambda x: x)
    views = {move: [] for move in moves}
    for dy, dx in moves:
        for mirrored in (False, True):
            view = lambda x: scale(F.pad(x.flip(3) if mirrored else x, (dx, -dx, dy, -dy)))  # noqa: B023, E731
            views[dy, dx].append(train.logits(model, test, view).softmax(1))
    right = views[0, 0][0].argmax(1) == test.labels
    two, ten = torch.stack(views[0, 0]).mean(0), torch.cat([torch.stack(v) for v in views.values()]).mean(0)
    found = right[test.labels == 1], two.argmax(1) == test.labels, ten.argmax(1) == test.labels
    found = {name: round(hits.float().mean().item(), 5) for name, hits in zip(LAST, found)}
    return found if len(moves) > 1 else found | {"views_10": ""}


if __name__ == "__main__":
    main()
