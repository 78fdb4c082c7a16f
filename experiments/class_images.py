"""Class images of the drawn scenes (Chapter 16): each way to keep a picture smooth on and off, and who is convinced.

Run from the repository's root: python experiments/class_images.py
For the stored network `pretrained("scenes")`, one picture of 64x64 for each of the ten classes by gradient ascent on
its score, STEPS steps of Adam at RATE from normal noise of deviation NOISE (normalised units, in which pictures lie
from -1 to 1), with none of the SWITCHES, all of them, each alone and all but each. A row for each picture:
score and share (softmax) of its class in the network that it was made for; shown: the share of the same picture with
its values cut off at -1 and 1, as a screen shows it; judge_0 and judge_1: the share in two other networks of the same
kind, trained here for 600 steps on other scenes from other random weights, and right_0, right_1: whether the class is
their answer; rough: the part of the picture's variance in waves shorter than 4 pixels; deviation: root mean square.
Three more kinds of rows for comparison: "noise", the start; "scenes", one fresh scene of each class; "untrained",
pictures made in the same way, all switches off and on, for networks with random weights, score and share being theirs.
Results: class_images.csv; weights: the first digits of the sha256 of the network's file. seconds: of the processor, for
a batch of ten. About four minutes on a core. A second run continues: a run that is in the file is not run again.
"""

import dataclasses
import json
import tempfile
import time
from pathlib import Path

import results
import torch

from helpers import data, synthesis
from helpers.augment import normalise
from helpers.models import pretrained
from helpers.pretrained import SceneNet, stored
from helpers.weights import drawn, training

PATH = results.FOLDER / "class_images.csv"
STEPS, RATE, NOISE = 128, 0.05, 0.3
SWITCHES = {"l2": 1e-2, "jitter": 4, "blur": 0.7, "fourier": True}
SEEDS = (0, 1, 2)
OFF, ON = (0, 0, 0, 0), (1, 1, 1, 1)
MADE = [OFF, ON]  # none of the switches, all, each alone, all but each
MADE += [tuple(int((switch == name) != but) for switch in SWITCHES) for but in (0, 1) for name in SWITCHES]
PLAN = [("made", switches, seed) for seed in SEEDS for switches in MADE]
PLAN += [(kind, OFF, seed) for seed in SEEDS for kind in ("noise", "scenes")]
PLAN += [("untrained", switches, seed) for seed in SEEDS for switches in (OFF, ON)]
JUDGES = (1, 2)  # seeds of the weights; their pictures have 200 more


def main():
    torch.set_num_threads(1)
    model, classes, preprocess = pretrained("scenes")
    weights = json.loads((stored.FOLDER / stored.SUMS).read_text())["scenes"][:8]
    done = results.done(PATH, "kind", *SWITCHES, "seed", "weights")
    left = [run for run in PLAN if (run[0], *map(str, run[1]), str(run[2]), weights) not in done]
    judges = [judge(seed) for seed in JUDGES] if left else []
    for kind, switches, seed in left:
        start = time.process_time()
        network = untrained(seed) if kind == "untrained" else model
        pictures = make(network, preprocess, kind, switches, seed)
        columns = {"kind": kind} | dict(zip(SWITCHES, switches)) | {"seed": seed, "weights": weights}
        columns |= {"source": model.source, "seconds": round(time.process_time() - start, 2)}
        rows = [{"class": name} | row for name, row in zip(classes, measure(network, judges, pictures))]
        results.append(PATH, [columns | row | results.machine() for row in rows])


def judge(seed):
    """Another network for the same classes, from other weights and pictures; trained once, then read back."""
    scenes = data.scenes(12_800, 64, seed=200 + seed)

    def batch(generator):
        rows = torch.randint(len(scenes), (64,), generator=generator)
        return drawn.PREPROCESS(scenes.images[rows]), scenes.labels[rows]

    folder = Path(tempfile.gettempdir()) / f"inside-cnns-judge-{seed}"
    model, _ = training.train(dataclasses.replace(drawn.plain(200, epochs=3), batch=batch), folder, seed=seed)
    return model.eval()


def untrained(seed):
    """Random weights, the statistics of batch normalisation from scenes, without which all scores would be alike."""
    torch.manual_seed(seed)
    model = SceneNet().train()
    with torch.no_grad():
        for part in data.scenes(1_000, 64, seed=400 + seed).images.split(100):
            model(normalise(part.float() / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
    return model.eval()


def make(model, preprocess, kind, switches, seed):
    """Ten pictures, normalised, one for each class."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "scenes":
        scenes = data.scenes(10, 64, seed=500 + seed)
        return preprocess(scenes.images[scenes.labels.argsort()])
    noise = NOISE * torch.randn(10, 3, 64, 64, generator=generator)
    on = {name: value for (name, value), used in zip(SWITCHES.items(), switches) if used}
    steps = 0 if kind == "noise" else STEPS
    options = {"steps": steps, "lr": RATE, "generator": generator, "l2": 0.0} | on
    return synthesis.class_image(model, list(range(10)), start=noise, **options)[0]


@torch.no_grad()
def measure(model, judges, pictures):
    """A dict for each picture."""
    classes = torch.arange(len(pictures))
    scores = model(pictures)
    found = {"score": scores.diagonal(), "share": scores.softmax(1).diagonal()}
    found["shown"] = model(pictures.clamp(-1, 1)).softmax(1).diagonal()
    for i, other in enumerate(judges):
        judged = other(pictures)
        found |= {f"judge_{i}": judged.softmax(1).diagonal(), f"right_{i}": (judged.argmax(1) == classes).float()}
    found |= {"rough": rough(pictures), "deviation": pictures.square().mean((1, 2, 3)).sqrt()}
    return [{name: round(values[k].item(), 4) for name, values in found.items()} for k in range(len(pictures))]


def rough(pictures):
    """The share of the variance in waves of more than a quarter of a cycle a pixel, down or across, (N,)."""
    energy = torch.fft.fft2(pictures).abs().square().sum(1)
    energy[:, 0, 0] = 0
    waves = torch.fft.fftfreq(pictures.shape[-1]).abs()
    fine = torch.maximum(waves[:, None], waves[None, :]) > 0.25
    return energy[:, fine].sum(1) / energy.sum((1, 2))


if __name__ == "__main__":
    main()
