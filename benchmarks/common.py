"""What the benchmarks share: writing a table that says on which machine it was made."""

import csv
import os
import platform
import sys

import numpy as np
import torch


def processor():
    """The processor's name where the system tells it."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write(path, rows):
    """Write rows (dicts with the same keys) as CSV, the machine and the versions in each, and print them."""
    machine = {"processor": processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads(),
               "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}  # fmt: skip
    with open(path, "w", newline="") as file:
        out = csv.DictWriter(file, [*rows[0], *machine])
        out.writeheader()
        out.writerows(row | machine for row in rows)
    sys.stdout.write(path.read_text())
