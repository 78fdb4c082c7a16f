"""Training against adversarial pictures (Chapter 17): what it brings and what it costs, beside two controls.

Run from the repository's root: python experiments/defence.py
The stored network "scenes" is trained on for 150 batches of 64 fresh scenes of 64x64 pixels, SGD with Nesterov's
momentum and one cycle of the learning rate up to 0.02, on one of three kinds of pictures: "clean", as they are;
"noise", each value moved by +8/255 or -8/255 by chance; "pgd", changed against the network as it is at that step, by 4
steps within 8/255 from a random start. All three see the same batches in the same order. "none" is the stored network
itself. Two more networks are for the transfer between networks: "twin", trained as the stored one was
(`helpers.weights`), but from another start and with other batches; and "fresh", at most half as wide, trained from a
start of its own on 600 clean batches of this script's pictures. Training's arithmetic here is bfloat16. Measured in
float32 on 160 other scenes: clean; with sign noise; and after PGD of 20 steps from a random start, the true label
given. epsilon: the largest change, in 255ths of the range from black to white; right: right answers. steps: of training
by this script. weights: `results.weights` of the stored network; seconds: the processor's time of the training.
Results: defence.csv; and the weights of ("pgd", 0), ("twin", 1) and ("fresh", 0) in half precision, in defence_pgd.npz
and so on. About six minutes on a core. A second run continues: a run that is in the file is not run again.
"""

import copy
import tempfile
import time
from pathlib import Path

import numpy as np
import results
import torch
import torch.nn.functional as F

from helpers import data
from helpers.models import pretrained
from helpers.pretrained import SceneNet
from helpers.synthesis import Normalised, pgd, sign_noise
from helpers.weights import drawn, training

PATH = results.FOLDER / "defence.csv"
BATCH, RADIUS = 64, 8
NARROW = (8, 16, 32, 32, 32)
SCHEDULE = dict.fromkeys(("clean", "noise", "pgd"), (150, 0.02))  # steps, the largest learning rate
SCHEDULE |= {"none": (0, 0), "fresh": (600, 0.2), "twin": (0, 0)}
PLAN = [("none", 0), ("fresh", 0), ("twin", 1)]  # training, seed; the stored network began with seed 0
PLAN += [(kind, seed) for seed in range(3) for kind in ("pgd", "noise", "clean")]
ATTACKS = [("none", 0), ("noise", 8), ("noise", 16), ("pgd", 4), ("pgd", 8), ("pgd", 16)]  # name, epsilon


def main():
    torch.set_num_threads(1)
    train, test = data.scenes(10_000, 64, seed=300), data.scenes(160, 64, seed=301)
    weights = results.weights("scenes")
    for kind, seed in PLAN:
        if (kind, str(seed), weights) in results.done(PATH, "training", "seed", "weights"):
            continue
        began = time.process_time()
        model = start(kind, seed)
        fit(model, train, kind, seed)
        seconds = time.process_time() - began
        columns = {"training": kind, "seed": seed, "weights": weights, "source": train.source}
        measured = [
            {"attack": name, "epsilon": epsilon} | attacked(model, test, name, epsilon) for name, epsilon in ATTACKS
        ]
        print(kind, seed, round(seconds), [row["right"] for row in measured], flush=True)
        if (kind, seed) in (("pgd", 0), ("fresh", 0), ("twin", 1)):
            np.savez_compressed(results.FOLDER / f"defence_{kind}.npz", **halves(model.model))
        columns |= {"steps": SCHEDULE[kind][0], "seconds": round(seconds, 1)}
        results.append(PATH, [columns | row | results.machine() for row in measured])


def start(kind, seed):
    """The network before the training; it takes pictures in [0, 1]."""
    model, classes, preprocess = pretrained("scenes")
    if kind == "fresh":
        torch.manual_seed(seed)
        model = SceneNet(len(classes), NARROW)
    if kind == "twin":
        with tempfile.TemporaryDirectory() as folder:
            model, _ = training.train(drawn.plain(), Path(folder), seed=seed)
    return Normalised(model, preprocess.mean, preprocess.std).to(memory_format=torch.channels_last)


def fit(model, train, kind, seed):
    """Train (on)."""
    steps, rate = SCHEDULE[kind]
    if not steps:
        return
    generator = torch.Generator().manual_seed(seed)
    noise = torch.Generator().manual_seed(seed)  # of its own, so that all kinds draw the same batches
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    for _ in range(steps):
        rows = torch.randint(len(train), (BATCH,), generator=generator)
        x, labels = train.images[rows].float() / 255, train.labels[rows]
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            x = changed(model, x.contiguous(memory_format=torch.channels_last), labels, kind, noise)
            loss = F.cross_entropy(model.train()(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def changed(model, x, labels, kind, generator):
    if kind in ("clean", "fresh"):
        return x
    if kind == "noise":
        return sign_noise(x, RADIUS / 255, generator=generator)
    return pgd(model, x, labels, RADIUS / 255, n_steps=4, generator=generator)


def attacked(model, test, name, epsilon):
    """Right answers among the test pictures, and how many these are."""
    right, generator = 0, torch.Generator().manual_seed(0)
    for images, labels in zip(test.images.split(80), test.labels.split(80)):
        x = (images.float() / 255).contiguous(memory_format=torch.channels_last)
        if name == "noise":
            x = sign_noise(x, epsilon / 255, generator=generator)
        if name == "pgd":
            x = pgd(model, x, labels, epsilon / 255, n_steps=20, generator=generator)
        with torch.no_grad():
            right += int((model.eval()(x).argmax(1) == labels).sum())
    return {"right": right, "pictures": len(test)}


def halves(model):
    """Weights as float16 arrays; what has one dimension, as biases and the statistics of normalisation, in float32."""
    kept = {name: values.detach().numpy() for name, values in copy.deepcopy(model).state_dict().items()}
    return {name: a.astype(np.float16) if a.ndim > 1 else a for name, a in kept.items()}


if __name__ == "__main__":
    main()
