"""The heritage classifier of Chapter 9 (HeritageNet, 32x32 pictures), with and without dropout and batch normalisation.

Run from the repository's root: python experiments/heritage.py
Two sets: "long-tailed", 10,235 of CIFAR-10's training pictures with the class counts of the heritage images, for 15
epochs; "whole", all 50,000, for 5. Batches of 128, Adam, no augmentation, pictures in [0, 1]. rate: Adam's learning
rate, "constant" at 1e-3 or "falling" from there to nearly 0 along half a cosine, an epoch at a time. Arithmetic in
bfloat16 (torch.autocast) with channels last, twice as fast as float32 on a processor that has it; the last layer's
logits are computed in float32. Measured in eval mode after each epoch (of ablated networks, after those in SELDOM), a
row for each part: "training", "test" (CIFAR-10's test pictures in the training set's proportions) and "balanced" (all
of them). loss: mean in nats; counts: the confusion matrix row by row, 100 numbers; seconds: the processor's time for
training one epoch. Results: heritage.csv; and heritage.npz, the logits of the plan's first network after its last
epoch, for 2,042 validation pictures (other training pictures in the same proportions) and all test pictures. About an
hour on a core. A second run continues: a run that is in the file is not run again.
"""

import math
import time

import numpy as np
import results
import torch
import torch.nn.functional as F

from helpers import data, metrics, train
from helpers.models import HeritageNet

PATH = results.FOLDER / "heritage.csv"
NETWORKS = {  # name: (dropout, batch normalisation)
    "as set": (0.25, True),
    "no dropout": (0, True),
    "no batch normalisation": (0.25, False),
    "neither": (0, False),
}
EPOCHS = {"long-tailed": 15, "whole": 5}
SELDOM = (1, 2, 3, 5, 8, 11, 15)
ABLATED = list(NETWORKS)[1:]
PLAN = [("long-tailed", "as set", "constant", 0)]  # the set, the network, the learning rate, the seed
PLAN += [("long-tailed", name, "falling", 0) for name in ("as set", *ABLATED)]
PLAN += [("long-tailed", "as set", "constant", 1), ("whole", "as set", "falling", 0)]
PLAN += [("long-tailed", "as set", "constant", 2)]
PLAN += [("long-tailed", name, "falling", seed) for seed in (1, 2) for name in ("as set", *ABLATED)]


def main():
    torch.set_num_threads(1)
    cifar, test = data.cifar10()
    counts = list(data.HERITAGE_COUNTS.values())
    tailed, rest = cifar.draw(counts)
    validation = rest.draw([n // 5 for n in counts])[0]
    parts = {"test": test.draw([round(n * 1000 / max(counts)) for n in counts])[0], "balanced": test}
    for kind, name, rate, seed in PLAN:
        key = (kind, name, rate, str(seed), cifar.source)
        if key in results.done(PATH, "set", "network", "rate", "seed", "source"):
            continue
        training = tailed if kind == "long-tailed" else cifar
        columns = {"set": kind, "network": name, "rate": rate, "seed": seed, "source": cifar.source}
        columns |= {"pictures": len(training)}
        model, rows = run(NETWORKS[name], rate, seed, {"training": training} | parts, EPOCHS[kind], name != "as set")
        if (kind, name, rate, seed) == PLAN[0]:
            keep(model, validation=validation, test=test)
        results.append(PATH, [columns | row | results.machine() for row in rows])


def run(options, rate, seed, parts, epochs, seldom):
    """Train a network; returns it, and a row for each measured epoch and part."""
    torch.manual_seed(seed)
    model = HeritageNet(dropout=options[0], batch_norm=options[1]).to(memory_format=torch.channels_last)
    optimizer, generator, rows = train.adam(model, 1e-3), torch.Generator().manual_seed(seed), []
    for epoch in range(1, epochs + 1):
        for group in optimizer.param_groups if rate == "falling" else ():
            group["lr"] = 1e-3 * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):  # or the first step's weights serve all steps
            train.train_epoch(model, parts["training"], optimizer, 128, generator)
        seconds = round(time.process_time() - start, 2)
        if epoch in SELDOM or not seldom:
            measured = {name: measure(model, pictures) for name, pictures in parts.items()}
            rows += [{"epoch": epoch, "part": name} | m | {"seconds": seconds} for name, m in measured.items()]
            print(options, rate, seed, epoch, seconds, [m["loss"] for m in measured.values()], flush=True)
    return model, rows


def measure(model, pictures):
    scores = logits(model, pictures)
    counts = metrics.confusion_matrix(pictures.labels, scores.argmax(1), len(pictures.classes))
    loss = F.cross_entropy(scores, pictures.labels).item()
    return {"loss": round(loss, 5), "counts": " ".join(map(str, counts.flatten().tolist()))}


@torch.no_grad()
def logits(model, pictures):
    """`train.logits` with all layers but the last in bfloat16: rounded logits would be equal too often."""
    *layers, last = model.eval()
    parts = []
    for images in pictures.images.split(200):
        x = train.floats(images)
        with torch.autocast("cpu", torch.bfloat16):
            for layer in layers:
                x = layer(x)
        parts.append(last(x.float()))
    return torch.cat(parts)


def keep(model, **sets):
    arrays = {f"{name}_logits": logits(model, s).numpy().astype(np.float16) for name, s in sets.items()}
    arrays |= {f"{name}_labels": s.labels.numpy().astype(np.uint8) for name, s in sets.items()}
    np.savez_compressed(PATH.with_suffix(".npz"), **arrays)


if __name__ == "__main__":
    main()
