"""What the experiments share: tables as CSV that a second run continues, versions and machine in each row."""

import csv
import hashlib
from pathlib import Path

from safetensors.torch import load_file

from helpers.pretrained import stored
from helpers.results import machine

FOLDER = Path(__file__).resolve().parent


def weights(name):
    """The first twelve digits of the sha256 of a stored network's tensors, in the order of their names."""
    tensors = load_file(stored.FOLDER / f"{name}.safetensors")
    return hashlib.sha256(b"".join(tensors[key].numpy().tobytes() for key in sorted(tensors))).hexdigest()[:12]


def read(path):
    """The rows of a CSV as dicts of strings; none if there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(path, rows):
    """Write rows behind those that are there: a run's rows together, so that a run cut off leaves none."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)
        file.flush()


def done(path, *names):
    """The runs that are in the file, as tuples of the named columns' texts."""
    return {tuple(row[name] for name in names) for row in read(path)}


def epochs(history, **columns):
    """A History as rows, one an epoch, with the given columns before and the machine's behind."""
    measured = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")
    return [
        columns | {"epoch": i + 1} | {name: round(getattr(history, name)[i], 5) for name in measured} | machine()
        for i in range(len(history.seconds))
    ]
