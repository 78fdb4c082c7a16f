"""The accuracy of a trained network and where it is written down: two tables that the page "Model card" shows.

weights.csv has a row for each epoch and test watched, then for each test and size in the end. weights: "training", the
running average, measured in bfloat16 as it was trained; "final", the same in float32; "stored", what is read back from
half precision, in float32. accuracy: 0 to 1; loss: mean over the epoch's steps, in nats; seconds: of the processor, for
training that epoch. weights_classes.csv has a row for each test, size and class of the stored network: how many
pictures, how many of them are right, and the commonest wrong answer with its number.
"""

import csv
import os
import platform

import torch

from helpers.download import write_whole
from helpers.weights.training import predictions


def measure(plan, model, weights):
    """(rows for weights.csv, rows for weights_classes.csv): the network on all pictures of all tests, at all sizes."""
    rows, classes = [], []
    for name, (images, labels) in plan.tests.items():
        for size in plan.sizes:
            answers = predictions(model, plan.preprocess, images, size, low=False)
            share = (answers == labels).float().mean().item()
            about = {"set": name, "size": size}
            rows.append(about | {"pictures": len(labels), "accuracy": share, "weights": weights})
            classes += [about | line for line in by_class(plan.classes, answers, labels)]
    return rows, classes


def by_class(classes, answers, labels):
    """A row for each class that has pictures: how many, how many are right, the commonest mistake and its number."""
    rows = []
    for k, name in enumerate(classes):
        counts = torch.bincount(answers[labels == k], minlength=len(classes))
        if total := int(counts.sum()):
            right, counts[k] = int(counts[k]), 0
            row = {"class": name, "pictures": total, "right": right, "accuracy": round(right / total, 4)}
            times = int(counts.max())
            rows.append(row | {"mistaken_for": classes[int(counts.argmax())] if times else "", "times": times})
    return rows


def row(set, size, pictures, accuracy, epoch="", loss="", seconds="", weights="training"):
    """A row of weights.csv, all columns in their order, rounded."""
    measured = {"set": set, "size": size, "pictures": pictures, "accuracy": round(accuracy, 4), "weights": weights}
    times = {"loss": loss and round(loss, 4), "seconds": seconds and round(seconds, 1)}
    return {"epoch": epoch} | measured | times


def write(path, network, rows, **columns):
    """Put rows into a CSV in place of those that it has of this network; others stay. Written whole or not at all."""
    kept = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            kept = [line for line in csv.DictReader(file) if line["network"] != network]
    full = [{"network": network} | line | columns | machine() for line in rows]

    def save(temporary):
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(full[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept + full)

    write_whole(path, save)


def machine():
    """The columns that say what ran: torch's version, processor, cores of the machine, threads used."""
    return {
        "torch": torch.__version__,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
