"""How many layers, how many filters: ConvNets of 1 to 6 layers and of 8 to 64 filters a layer on CIFAR-10, three seeds.

Run from the repository's root: python experiments/depth_width.py
Two sets: "large", 20,000 of the training pictures (2,000 a class) for 5 epochs, and "small", 1,000 of them for 60
epochs, long enough to over-fit. Batches of 64, Adam at 1e-3, no augmentation. Measured after the last epoch, in eval
mode, on the pictures trained on and on the whole test set. seconds: the processor's time for training one epoch, the
least over the epochs; compare them as ratios, within a set. Results: depth_width.csv. About 20 minutes on a core that
nobody else uses. A second run continues: a run that is in the file is not run again.
"""

import time

import results
import torch
from torch import nn

from helpers import data, train
from helpers.models import ConvNet, count_parameters

PATH = results.FOLDER / "depth_width.csv"
DEPTHS = tuple((32,) * layers for layers in (1, 2, 3, 4, 6))
WIDTHS = tuple((filters,) * 3 for filters in (8, 16, 64))
SETS = {"small": (1_000, 60, DEPTHS), "large": (20_000, 5, DEPTHS + WIDTHS)}  # set: pictures, epochs, networks
SEEDS = (0, 1, 2)
BATCH = 64


def main():
    torch.set_num_threads(1)
    cifar, test = data.cifar10()
    for name, (pictures, epochs, nets) in SETS.items():
        training = cifar.split(pictures)[0]
        for seed in SEEDS:  # outside, so that a slow spell of the machine meets all networks alike
            for channels in nets:
                key = (name, str(len(channels)), str(channels[0]), str(seed), cifar.source)
                if key not in results.done(PATH, "set", "layers", "filters", "seed", "source"):
                    row = {"set": name, "source": cifar.source, "pictures": len(training), "epochs": epochs}
                    row |= {"layers": len(channels), "filters": channels[0], "seed": seed}
                    results.append(PATH, [row | run(channels, seed, training, test, epochs) | results.machine()])


def run(channels, seed, training, test, epochs):
    torch.manual_seed(seed)
    model, seconds = ConvNet(channels), []
    optimizer, generator = train.adam(model, 1e-3), torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        start = time.process_time()
        train.train_epoch(model, training, optimizer, BATCH, generator)
        seconds.append(time.process_time() - start)
    (train_loss, train_accuracy), (test_loss, test_accuracy) = (train.evaluate(model, s) for s in (training, test))
    measured = {"train_loss": train_loss, "train_accuracy": train_accuracy}
    measured |= {"test_loss": test_loss, "test_accuracy": test_accuracy, "seconds": min(seconds)}
    cost = {"parameters": count_parameters(model), "multiply_adds": multiply_adds(model)}
    return cost | {name: round(value, 5) for name, value in measured.items()}


@torch.no_grad()
def multiply_adds(model, size=32):
    """Multiplications with a weight, for one picture: of each layer, outputs times inputs that each one reads."""
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    handles = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    model(torch.zeros(1, 3, size, size))
    for handle in handles:
        handle.remove()
    return total


if __name__ == "__main__":
    main()
