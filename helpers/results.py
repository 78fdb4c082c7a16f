"""The stored results of the experiments, for the chapters that plot them. Source: Chapter 6, "Ten epochs"."""

import csv
import os
import platform
from pathlib import Path

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parent.parent / "experiments"
INSTALLED = Path(__file__).resolve().parent / "experiments"  # where the package is installed without the repository
FOLDER = INSTALLED if INSTALLED.is_dir() else REPOSITORY


def table(name, **wanted):
    """The rows of `experiments/<name>.csv` as dicts, numbers as numbers; only those whose columns equal `wanted`.

    Raises ValueError for an unknown name or column, naming those that are there.
    """
    path = FOLDER / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.csv")))
        raise ValueError(f"there are no results named {name!r}; there are {known}")
    with open(path, newline="", encoding="utf-8") as file:
        rows = [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(file)]
    if unknown := set(wanted) - set(rows[0]):
        raise ValueError(f"{name} has no column {', '.join(sorted(unknown))}; it has {', '.join(rows[0])}")
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def arrays(name):
    """The arrays of `experiments/<name>.npz` as a dict of tensors, for what would be too long for a table.

    Raises ValueError for an unknown name, naming those that are there. Source: Chapter 9, "The long run".
    """
    path = FOLDER / f"{name}.npz"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.npz")))
        raise ValueError(f"there are no arrays named {name!r}; there are {known}")
    with np.load(path) as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored}


def machine():
    """The columns that say what ran: torch's version, processor, cores of the machine, threads used."""
    return {
        "torch": torch.__version__,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
