"""Class images of the drawn scenes (Chapter 16): each way to keep a picture smooth on and off, and who is convinced.

Run from the repository's root: python experiments/class_images.py
For the stored network `pretrained("scenes")`, one picture of 64x64 for each of the ten classes by gradient ascent on
its score, with each of the SETTINGS, from normal noise of deviation NOISE (normalised units, in which pictures lie from
-1 to 1). A row for each picture: score and share (softmax) of its class in the network that it was made for; shown: the
share of the same picture with its values cut off at -1 and 1, as a screen shows it; judge_0, judge_1, judge_2: the
share in three other networks of the same kind, trained here for 600 steps on other scenes, the first from the random
weights from which the network itself began (seed 0), the others from other ones; right_0, right_1, right_2: whether the
class is their answer; rough: the part of the picture's variance in waves shorter than 4 pixels; deviation: root mean
square. Three more kinds of rows to compare with: "noise", the start; "scenes", one fresh scene of each class;
"untrained", pictures made with the settings "none" for a network with random weights, whose score and share they give.
Results: class_images.csv; weights: the first digits of the sha256 of the network's file. seconds: of the processor, for
a batch of ten. About five minutes on a core. A second run continues: a run that is in the file is not run again.
"""

import dataclasses
import json
import tempfile
import time
from pathlib import Path

import results
import torch

from helpers import data, synthesis
from helpers.models import pretrained
from helpers.pretrained import SceneNet, stored
from helpers.weights import drawn, training

PATH = results.FOLDER / "class_images.csv"
NOISE, SEEDS, JUDGES = 0.3, (0, 1, 2), (0, 1, 2)
COMMON = {"steps": 128, "lr": 0.05, "l2": 0.0}
SWITCHES = {"L2": {"l2": 1e-2}, "jitter": {"jitter": 4}, "blur": {"blur": 0.7}, "Fourier": {"fourier": True}}


def switched(*names):
    """The common settings with these switches on."""
    return COMMON | {key: value for name in names for key, value in SWITCHES[name].items()}


SETTINGS = {"none": COMMON} | {name: switched(name) for name in SWITCHES}
SETTINGS |= {f"all but {name}": switched(*(n for n in SWITCHES if n != name)) for name in SWITCHES}
SETTINGS |= {"all four": switched(*SWITCHES)}
LONGER = {"steps": 256, "lr": 0.1, "l2": 0.0, "jitter": 8, "blur": 1.0, "fourier": True, "bounds": (-1, 1)}
SETTINGS |= {"longer, in bounds": LONGER, "blurred at every step": LONGER | {"blur_every": 1}}
COMPARED = ("noise", "scenes", "untrained")
PLAN = [(kind, seed) for seed in SEEDS for kind in (*SETTINGS, *COMPARED)]


def main():
    torch.set_num_threads(1)
    model, classes, preprocess = pretrained("scenes")
    weights = json.loads((stored.FOLDER / stored.SUMS).read_text())["scenes"][:8]
    done = results.done(PATH, "kind", "seed", "weights")
    left = [(kind, seed) for kind, seed in PLAN if (kind, str(seed), weights) not in done]
    judges = [judge(seed) for seed in JUDGES] if left else []
    for kind, seed in left:
        start = time.process_time()
        network = untrained(seed) if kind == "untrained" else model
        pictures = make(network, preprocess, kind, seed)
        columns = {"kind": kind, "seed": seed, "weights": weights, "source": model.source}
        columns |= {"seconds": round(time.process_time() - start, 2)}
        rows = [{"class": name} | row for name, row in zip(classes, measure(network, judges, pictures))]
        results.append(PATH, [columns | row | results.machine() for row in rows])


def judge(seed):
    """Another network for the same classes, from the weights of this seed, on other pictures; trained once and kept."""
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
            model(drawn.PREPROCESS(part))
    return model.eval()


def make(model, preprocess, kind, seed):
    """Ten pictures, normalised, one for each class."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "scenes":
        scenes = data.scenes(10, 64, seed=500 + seed)
        return preprocess(scenes.images[scenes.labels.argsort()])
    noise = NOISE * torch.randn(10, 3, 64, 64, generator=generator)
    settings = SETTINGS.get(kind, COMMON) | ({"steps": 0} if kind == "noise" else {})
    return synthesis.class_image(model, list(range(10)), start=noise, generator=generator, **settings)[0]


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
