"""python -m helpers.weights resnet18: train a network of the book, or continue; then measure and store it."""

import argparse
import dataclasses
from pathlib import Path

import torch

from helpers import data, results
from helpers.pretrained import stored
from helpers.weights import drawn, measuring, photographs, training

PLANS = {
    "resnet18": photographs.plan,
    "scenes": drawn.plain,
    "scenes-random-labels": drawn.random_labels,
    "scenes-watermark": drawn.marked,
}
SEEDS = dict.fromkeys(PLANS, 0) | {"scenes-random-labels": 1}  # "scenes" is compared with it: no common start


def main(arguments=None):
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    plan = PLANS[options.network]()
    seed = SEEDS[options.network] if options.seed is None else options.seed
    if options.epochs:
        plan = dataclasses.replace(plan, epochs=options.epochs, after=None)
    folder = options.state or data.home() / "weights" / plan.name
    model, rows = training.train(plan, folder, options.until, seed)
    store(plan, model, rows, seed)


def store(plan, model, rows, seed, weights=None, tables=None):
    """Store the network in the folder `weights`, measure what is read back, and write both tables into `tables`; where
    they are None, into those that the package reads."""
    tables = tables or results.FOLDER
    texts = {"preprocess": plan.preprocess, "source": plan.source, "recipe": plan.recipe(seed)}
    path = stored.save(plan.name, model, classes=plan.classes, options=plan.options, folder=weights, **texts)
    again = stored.load(plan.name, weights)[0]
    final, _ = measuring.measure(plan, model, "final")
    kept, classes = measuring.measure(plan, again, "stored")
    columns = {"seed": seed, "source": plan.data}
    full = [measuring.row(**row) for row in rows + final + kept]
    measuring.write(tables / "weights.csv", plan.name, full, **columns)
    measuring.write(tables / "weights_classes.csv", plan.name, classes, **columns)
    if plan.photographs:
        measuring.write(tables / "weights_photos.csv", plan.name, measuring.photographs(plan, again), **columns)
    print(f"{path}: {path.stat().st_size:,} bytes", *kept, sep="\n")


def _parser():
    parser = argparse.ArgumentParser("python -m helpers.weights", description=__doc__)
    parser.add_argument("network", choices=PLANS)
    parser.add_argument("--state", type=Path, help="folder of the training's state; in the data home if not given")
    parser.add_argument("--epochs", type=int, help="of a training of this length, with nothing after it")
    parser.add_argument("--until", type=int, help="stop after this epoch, and store what is there")
    parser.add_argument(
        "--seed", type=int, help="of the start and the batches; that of the stored network if not given"
    )
    return parser


if __name__ == "__main__":
    main()
