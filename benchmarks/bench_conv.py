"""Time 64 filters of 3x3 on a 3x224x224 picture: Chapter 1's loops, helpers.conv, and torch on one thread."""

import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from common import write

from helpers.conv import conv2d


def loops(x, weight):
    """The loops of Chapter 1."""
    filters, channels, kh, kw = weight.shape
    rows, columns = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    out = np.zeros((filters, rows, columns), x.dtype)
    for k in range(filters):
        for i in range(rows):
            for j in range(columns):
                out[k, i, j] = (x[:, i : i + kh, j : j + kw] * weight[k]).sum()
    return out


def seconds(function, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    rows = []
    for dtype in (np.float32, np.float64):
        x, weight = rng.normal(size=(3, 224, 224)).astype(dtype), rng.normal(size=(64, 3, 3, 3)).astype(dtype)
        tx, tw = torch.from_numpy(x)[None], torch.from_numpy(weight)
        ways = {"helpers.conv": lambda: conv2d(x, weight), "torch": lambda: F.conv2d(tx, tw)}  # noqa: B023
        for way in ways.values():
            way()
        best = {name: min(times) for name, times in alternate(ways, rounds=15, repeats=5).items()}
        best["loops"] = seconds(lambda: loops(x, weight), 1)  # noqa: B023
        for name, t in best.items():
            rows.append({"dtype": dtype.__name__, "way": name, "ms": round(1000 * t, 3),
                         "times helpers.conv": round(t / best["helpers.conv"], 2)})  # fmt: skip
    write(Path(__file__).with_suffix(".csv"), rows)


def alternate(ways, rounds, repeats):
    """Seconds of each way, measured in turn, so that what else the machine does falls on all alike."""
    times = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(seconds(way, repeats))
    return times


if __name__ == "__main__":
    main()
