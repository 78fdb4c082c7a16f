"""The exercise sheet's recipe (E3.3) on CIFAR-10, three seeds, two of them run on to 25 epochs.

Run from the repository's root: python experiments/sheet.py
LeNet, cross-entropy, inputs in [0, 1], shuffled, batches of 16, Adam at 1e-3, no augmentation. The same seed starts the
network and shuffles. Measured after each epoch, in eval mode, on the whole training and test sets. Results: sheet.csv.
About 12 minutes on one core. A second run continues: seeds that are in the file are not run again.
"""

import results
import torch

from helpers import data, train
from helpers.models import LeNet

PATH = results.FOLDER / "sheet.csv"
EPOCHS = {0: 25, 1: 25, 2: 10}  # seed: epochs


def main():
    torch.set_num_threads(1)
    training, test = data.cifar10()
    for seed, epochs in EPOCHS.items():
        if (str(seed), training.source) in results.done(PATH, "seed", "source"):
            continue
        torch.manual_seed(seed)
        history = train.fit(LeNet(), training, test, epochs=epochs, batch_size=16, lr=1e-3, seed=seed, device="cpu")
        results.append(PATH, results.epochs(history, source=training.source, seed=seed))


if __name__ == "__main__":
    main()
