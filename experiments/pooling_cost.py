"""What downsampling costs and saves: the multiplications, memory and time of `PoolNet`s for a batch of 64 pictures.

Run from the repository's root: python experiments/pooling_cost.py
multiply_adds: for one picture; saved_mb: what the forward pass of the batch keeps for the backward pass, parameters
left out, in megabytes; forward_ms, step_ms: the processor's time for a forward pass without gradients, and for forward
and backward pass together, the least of 7 rounds, in which all networks take turns. Compare times as ratios. Results:
pooling_cost.csv, written anew at every run. About a minute on one core.
"""

import time

import results
import torch
from depth_width import multiply_adds

from helpers.memory import Kept
from helpers.models import PoolNet, count_parameters

PATH = results.FOLDER / "pooling_cost.csv"
NETS = [("max", 0)] + [(down, 3) for down in ("max", "average", "stride", "blur")]
BATCH, ROUNDS = 64, 7


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.rand(BATCH, 3, 32, 32)
    models = {net: PoolNet(net[0], halvings=net[1]).train() for net in NETS}
    times = {net: [] for net in NETS}
    for _ in range(ROUNDS):
        for net, model in models.items():
            times[net].append(seconds(model, x))
    rows = [{"down": down, "halvings": n, "batch": BATCH, "seed": 0} for down, n in NETS]
    for row, (net, model) in zip(rows, models.items()):
        forward, step = (min(column) for column in zip(*times[net]))
        row |= {"parameters": count_parameters(model), "multiply_adds": multiply_adds(model.eval())}
        with Kept(model.train()) as kept:
            model(x)
        row |= {"saved_mb": round(kept.peak / 1e6, 2)}
        row |= {"forward_ms": round(1e3 * forward, 1), "step_ms": round(1e3 * step, 1)} | results.machine()
    PATH.unlink(missing_ok=True)
    results.append(PATH, rows)


def seconds(model, x):
    """(forward pass alone, forward and backward pass), the processor's time."""
    start = time.process_time()
    with torch.no_grad():
        model(x)
    middle = time.process_time()
    model(x).sum().backward()
    return middle - start, time.process_time() - middle


if __name__ == "__main__":
    main()
