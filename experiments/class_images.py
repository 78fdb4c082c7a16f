"""Class images of the drawn scenes (Chapter 16): each way to keep a picture smooth on and off, and who is convinced.

Run from the repository's root: python experiments/class_images.py
One picture of 64x64 for each of the ten classes by gradient ascent on its score, with each of the SETTINGS, from normal
noise of deviation NOISE (normalised units, in which pictures lie from -1 to 1), for the stored network "scenes". Seven
networks judge it: that one itself, and the JUDGES, trained here on scenes that the first never saw: "full" ones as
the stored one was (2000 steps, 20,000 scenes), "brief" ones for 600 steps on 12,800 scenes. The number is the seed of
the random weights from which one begins, and of the order of its batches; the stored network began from those of seed
0. And the other way round: with the settings CROSSED, pictures are made for each of the JUDGES, too, and judged by all.
A row for each picture; made_for: the network, for "untrained" one with random weights; score and share (softmax): of
the class in that network; shown: the share there of the picture with its values cut off at -1 and 1, as a screen shows
it; by_...: the class's share in each of the seven; right_...: whether the class is its answer; rough: the part of the
picture's variance in waves shorter than 4 pixels; deviation: root mean square. Two more kinds of rows to compare with:
"noise", the start; "scenes", means over FRESH scenes of the class that no network was trained on.
Results: class_images.csv; weights: `results.weights` of the stored network. seconds: of the processor, for a batch of
ten. About twelve minutes on a core, most of it for the judges, which are kept in the folder for temporary files.
A second run continues: a run that is in the file is not run again.
"""

import dataclasses
import functools
import tempfile
import time
from pathlib import Path

import results
import torch

from helpers import data, synthesis
from helpers.models import pretrained
from helpers.pretrained import SceneNet
from helpers.weights import drawn, training

PATH = results.FOLDER / "class_images.csv"
NOISE, SEEDS, FRESH = 0.3, (0, 1), 50
JUDGES = ("full 0", "full 1", "full 2", "brief 0", "brief 1", "brief 2")
COMMON = {"steps": 128, "lr": 0.05, "l2": 0.0}
SWITCHES = {"L2": {"l2": 1e-2}, "jitter": {"jitter": 4}, "blur": {"blur": 0.7}, "Fourier": {"fourier": True}}


def switched(*names):
    """The common settings with these switches on."""
    return COMMON | {key: value for name in names for key, value in SWITCHES[name].items()}


SETTINGS = {"none": COMMON} | {name: switched(name) for name in SWITCHES}
SETTINGS |= {f"all but {name}": switched(*(n for n in SWITCHES if n != name)) for name in SWITCHES}
SETTINGS |= {"all four": switched(*SWITCHES)}
LONGER = {"steps": 256, "lr": 0.1, "l2": 0.0, "jitter": 8, "blur": 1.0, "fourier": True, "bounds": (-1, 1)}
SETTINGS |= {"longer, in bounds": LONGER}
CROSSED, COMPARED = ("none", "all four"), ("noise", "scenes")
PLAN = [("scenes", kind, seed) for seed in SEEDS for kind in (*SETTINGS, *COMPARED)]
PLAN += [("untrained", "none", seed) for seed in SEEDS]
PLAN += [(network, kind, 0) for network in JUDGES for kind in CROSSED]


def main():
    torch.set_num_threads(1)
    model, classes, _ = pretrained("scenes")
    weights = results.weights("scenes")
    done = results.done(PATH, "made_for", "kind", "seed", "weights")
    left = [run for run in PLAN if (*map(str, run), weights) not in done]
    networks = {"scenes": model} | {name: judge(*name.split()) for name in JUDGES} if left else {}
    for made_for, kind, seed in left:
        start = time.process_time()
        network = untrained(seed) if made_for == "untrained" else networks[made_for]
        pictures, labels = make(network, kind, seed)
        columns = {"made_for": made_for, "kind": kind, "seed": seed, "weights": weights, "source": model.source}
        columns |= {"seconds": round(time.process_time() - start, 2)}
        rows = measure(network, networks, pictures, labels)
        results.append(PATH, [columns | {"class": c} | row | results.machine() for c, row in zip(classes, rows)])


def judge(kind, seed):
    """Another network for the same classes, from the weights of this seed, on other pictures; trained once and kept."""
    seed = int(seed)
    count, first, epochs = (20_000, 900, 10) if kind == "full" else (12_800, 200, 3)
    drawing = functools.cache(lambda: data.scenes(count, 64, seed=first + seed))  # only if there is something to train

    def batch(generator):
        scenes = drawing()
        rows = torch.randint(len(scenes), (64,), generator=generator)
        return drawn.PREPROCESS(scenes.images[rows]), scenes.labels[rows]

    plan = dataclasses.replace(drawn.plain(200), epochs=epochs, batch=batch)
    model, _ = training.train(plan, Path(tempfile.gettempdir()) / f"inside-cnns-judge-{kind}-{seed}", seed=seed)
    return model.eval()


def untrained(seed):
    """Random weights, the statistics of batch normalisation from scenes, without which all scores would be alike."""
    torch.manual_seed(seed)
    model = SceneNet().train()
    with torch.no_grad():
        for part in data.scenes(1_000, 64, seed=400 + seed).images.split(100):
            model(drawn.PREPROCESS(part))
    return model.eval()


def make(model, kind, seed):
    """(pictures, labels): normalised, one for each of the ten classes, or FRESH scenes of each."""
    if kind == "scenes":
        scenes = data.scenes(10 * FRESH, 64, seed=500 + seed)
        return drawn.PREPROCESS(scenes.images), scenes.labels
    generator = torch.Generator().manual_seed(seed)
    noise = NOISE * torch.randn(10, 3, 64, 64, generator=generator)
    settings = SETTINGS.get(kind, COMMON) | ({"steps": 0} if kind == "noise" else {})
    pictures, _ = synthesis.class_image(model, list(range(10)), start=noise, generator=generator, **settings)
    return pictures, torch.arange(10)


@torch.no_grad()
def measure(model, judges, pictures, labels):
    """A dict for each class, the means over its pictures."""
    one = (range(len(labels)), labels)
    scores = model(pictures)
    found = {"score": scores[one], "share": scores.softmax(1)[one]}
    found["shown"] = model(pictures.clamp(-1, 1)).softmax(1)[one]
    for name, other in judges.items():
        scores = other(pictures)
        found[f"by_{name}"], found[f"right_{name}"] = scores.softmax(1)[one], (scores.argmax(1) == labels).float()
    found |= {"rough": rough(pictures), "deviation": pictures.square().mean((1, 2, 3)).sqrt()}
    return [{name: round(values[labels == k].mean().item(), 4) for name, values in found.items()} for k in range(10)]


def rough(pictures):
    """The share of the variance in waves of more than a quarter of a cycle a pixel, down or across, (N,)."""
    energy = torch.fft.fft2(pictures).abs().square().sum(1)
    energy[:, 0, 0] = 0
    waves = torch.fft.fftfreq(pictures.shape[-1]).abs()
    fine = torch.maximum(waves[:, None], waves[None, :]) > 0.25
    return energy[:, fine].sum(1) / energy.sum((1, 2))


if __name__ == "__main__":
    main()
