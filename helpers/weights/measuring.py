"""The accuracy of a trained network and where it is written down: two tables that the page "Model card" shows.

weights.csv has a row for each epoch and test watched, then for each test and size in the end. weights: "training", the
running average, measured in bfloat16 as it was trained; "final", the same in float32; "stored", what is read back from
half precision, in float32. accuracy: 0 to 1; confidence: the mean share (softmax) of the answer; loss: mean over the
epoch's steps, in nats; seconds: of the processor, for training that epoch. weights_classes.csv has a row for each test,
size and class of the stored network: how many pictures, how many of them are right, and the commonest wrong answer with
its number. weights_photos.csv has a row for each photograph that comes with the package and size: the stored network's
first two answers and their shares.
"""

import csv
import dataclasses
import itertools

import torch

from helpers import data
from helpers.download import write_whole
from helpers.results import machine
from helpers.weights.training import logits


def measure(plan, model, weights):
    """(rows for weights.csv, rows for weights_classes.csv): the network on all pictures of all tests, at all sizes."""
    rows, classes = [], []
    for name, (images, labels) in plan.tests.items():
        for size in plan.sizes:
            confidence, answers = logits(model, plan.preprocess, images, size, low=False).softmax(1).max(1)
            found = {"accuracy": (answers == labels).float().mean().item(), "confidence": confidence.mean().item()}
            about = {"set": name, "size": size}
            rows.append(about | {"pictures": len(labels), "weights": weights} | found)
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


@torch.no_grad()
def photographs(plan, model, names=("astronaut", "cat", "coffee", "rocket")):
    """A row for each photograph and size: the network's two likeliest answers."""
    rows = []
    for name, size in itertools.product(names, plan.sizes):
        x = dataclasses.replace(plan.preprocess, size=size)(data.photo(name))
        shares, places = model.eval()(x[None]).softmax(1)[0].topk(2)
        (first, second), (a, b) = [plan.classes[k] for k in places], [round(share, 3) for share in shares.tolist()]
        rows.append({"photo": name, "size": size, "first": first, "share": a, "second": second, "second_share": b})
    return rows


def row(set, size, pictures, accuracy, epoch="", weights="training", **measured):
    """A row of weights.csv, all columns in their order, rounded."""
    about = {"epoch": epoch, "set": set, "size": size, "pictures": pictures, "weights": weights}
    rounded = {name: round(measured[name], 4) if name in measured else "" for name in ("confidence", "loss", "seconds")}
    return about | {"accuracy": round(accuracy, 4)} | rounded


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
