"""Batch size against learning rate: LeNet on 5,000 pictures of CIFAR-10, batches of 32, 128 and 512, equal epochs.

Run from the repository's root: python experiments/batch_lr.py
Each batch size with a range of learning rates in steps of 2, by SGD with momentum 0.9 and by Adam, eight epochs each,
pictures from -1 to 1, no augmentation. The largest batch by SGD also with a warm-up: the rate rises in equal steps
from 1/16 of its value over the first two epochs. Measured after the last epoch, in eval mode, on the pictures trained
on and on 2,000 of the test set; a run whose loss is no longer finite has the loss "nan". One row a run in
batch_lr.csv. About 8 minutes on a core. A second run continues: a run that is in the file is not run again.
"""

import time

import results
import torch
import torch.nn.functional as F

from helpers import data, train
from helpers.models import LeNet

PATH = results.FOLDER / "batch_lr.csv"
EPOCHS, PICTURES, WARM_UP = 8, 5_000, 2
SEEDS = (0, 1, 2)
SGD = [(32, range(0, 6)), (128, range(2, 8)), (512, range(2, 9))]  # learning rates 0.00125 * 2**k
ADAM = [(32, range(1, 7)), (128, range(2, 8)), (512, range(3, 9))]  # 0.000125 * 2**k


def plan():
    """(optimiser, batch size, learning rate, epochs of warm-up), the most telling ones first."""
    runs = [("SGD", batch, 0.00125 * 2**k, 0) for batch, rates in SGD for k in rates]
    runs += [("SGD", 512, 0.00125 * 2**k, WARM_UP) for k in range(5, 9)]
    return runs + [("Adam", batch, 0.000125 * 2**k, 0) for batch, rates in ADAM for k in rates]


def main():
    torch.set_num_threads(1)
    cifar, test = data.cifar10()
    training, test = cifar.split(PICTURES)[0], test.split(2_000)[0]
    for seed in SEEDS:
        for name, batch, rate, warm_up in plan():
            key = (name, str(batch), f"{rate:g}", str(warm_up), str(seed), cifar.source)
            if key not in results.done(PATH, "optimiser", "batch", "rate", "warm_up", "seed", "source"):
                row = {"optimiser": name, "batch": batch, "rate": f"{rate:g}", "warm_up": warm_up, "seed": seed}
                row |= {"source": cifar.source, "pictures": PICTURES, "epochs": EPOCHS}
                measured = run(name, batch, rate, warm_up, seed, training, test)
                results.append(PATH, [row | measured | results.machine()])


def run(name, batch, rate, warm_up, seed, training, test):
    torch.manual_seed(seed)
    model, start = LeNet(), time.process_time()
    parameters = model.parameters()
    optimizer = torch.optim.SGD(parameters, rate, momentum=0.9) if name == "SGD" else torch.optim.Adam(parameters, rate)
    steps = warm_up * -(-len(training) // batch)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 1 if i >= steps else (1 + 15 * i / steps) / 16)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        for x, y in train.batches(training, batch, generator, normalise=signed):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            warm.step()
    seconds = time.process_time() - start
    (train_loss, train_accuracy), (test_loss, test_accuracy) = (
        train.evaluate(model, part, signed) for part in (training, test)
    )
    measured = {"train_loss": train_loss, "train_accuracy": train_accuracy}
    measured |= {"test_loss": test_loss, "test_accuracy": test_accuracy, "seconds": seconds}
    return {key: round(value, 5) for key, value in measured.items()}


def signed(x):
    """From -1 to 1: mean and deviation 0.5."""
    return 2 * x - 1


if __name__ == "__main__":
    main()
