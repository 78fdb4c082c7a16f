"""Stored results are those of the scripts: every planned run is in its CSV, and nothing else."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments"


def residual(script):
    return ["network", "depth", "seed"], script.PLAN


def shifts(script):
    columns = [*script.STANDARD, "seed"]
    return columns, [{**script.STANDARD, **variant, "seed": seed}.values() for variant, seed in script.PLAN]


def heritage(script):
    return ["set", "network", "rate", "seed"], script.PLAN


def augmentation(script):
    runs = [(part, condition, n, seed) for part, condition, n, _, _, _, seed, *_ in script.plan(None)]
    return ["part", "condition", "pictures", "seed"], runs


def batch_lr(script):
    columns = ["optimiser", "batch", "rate", "warm_up", "seed"]
    runs = script.plan()
    return columns, [(name, n, f"{rate:g}", warm_up, seed) for seed in script.SEEDS for name, n, rate, warm_up in runs]


def defence(script):
    weights = script.results.weights("scenes")
    runs = [(*run, *attack, weights) for run in script.PLAN for attack in script.ATTACKS]
    return ["training", "seed", "attack", "epsilon", "weights"], runs


def inversion(script):
    weights = script.results.weights("resnet18")
    runs = [(*run, name, weights) for run in script.PLAN for name in script.data.PHOTOS]
    return ["network", "layer", "seed", "picture", "weights"], runs


def map_scores(script):
    return ["method", "measure", "weights"], [
        (method, measure, script.results.weights("scenes")) for method in script.METHODS for measure in script.MEASURES
    ]


def map_sanity(script):
    runs = [(*run, method, script.WEIGHTS) for run in script.PLAN for method in script.CHECKED]
    return ["state", "seed", "method", "weights"], runs


def class_maps(script):
    return ["network", "method", "layer", "seed", "weights"], [
        (*run, script.results.weights("scenes")) for run in script.PLAN
    ]


def class_images(script):
    return ["made_for", "kind", "seed"], script.PLAN


def faces(script):
    return ["part", "people", "loss", "share", "seed"], script.PLAN


def transfer(script):
    return [*script.NAMES, "weights"], [(*run, script.digest(run[1])) for run in script.plan()]


@pytest.mark.parametrize(
    "planned",
    [
        shifts,
        heritage,
        augmentation,
        batch_lr,
        defence,
        inversion,
        map_scores,
        map_sanity,
        class_maps,
        class_images,
        faces,
        residual,
        transfer,
    ],
)
def test_every_planned_run_is_stored_and_nothing_else(planned, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    script = importlib.import_module(planned.__name__)
    columns, runs = planned(script)
    stored = importlib.import_module("results").done(script.PATH, *columns)
    assert stored == {tuple(map(str, run)) for run in runs}


def test_gradients_are_stored_of_the_same_runs(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    script, results = map(importlib.import_module, ("residual", "results"))
    for path, runs in ((script.GRADIENTS, script.PLAN), (script.FIRST, script.DEEPEST)):
        assert results.done(path, "network", "depth", "seed") == {tuple(map(str, run)) for run in runs}
