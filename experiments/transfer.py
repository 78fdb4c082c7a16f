"""Features learnt on seven classes, carried to three others (Chapter 11).

Run from the repository's root: python experiments/transfer.py
Bases: `PoolNet` on CIFAR-10's training pictures of seven classes ("cifar"), on drawn scenes of seven shapes, as many
("scenes"), or with random weights ("none"). Both are trained for 12 epochs of flips and crops in batches of 128 (SGD
with Nesterov's momentum, weight decay 5e-4, one cycle of the learning rate up to 0.2), and stored in half precision in
transfer_cifar.npz and transfer_scenes.npz. The task: bird, cat and horse of CIFAR-10 with `pictures` training pictures
a class, drawn by the seed, in batches of 30, mirrored by chance; judged by their 3,000 test pictures, in the part
"trial" by 3,000 training pictures that were not drawn. The part "tuned" takes the rates that were best there. The part
"order" has more seeds of some of the part "rates". STEPS gives the steps; all strategies have as many, "head, then
rest" spends half of them on the head alone. rate: of all layers that are trained at once; HEAD of a head alone. frozen:
how many of the four convolutions, each with its batch normalisation, are frozen, from the picture on. Strategies:
"all", everything at once, "all, half" for half of the steps; "head"; "head, then rest"; "head, large", "all, large" and
"large head, then rest", the same from a head of weights with deviation 1, about 14 times as large as torch's; "head,
then rest, fixed", in which batch normalisation keeps its statistics throughout; "head, renewed", in which the frozen
base normalises by the batches, as `model.train()` makes it; "front fast" and "front slow", head first, then rates that
fall or rise fourfold from one convolution to the next, `rate` being their geometric mean. Arithmetic in training is
bfloat16 with channels last.
Measured in float32: right, of `judged` test pictures; counts, the confusion matrix row by row; loss, mean of the last
ten steps; cka and cosine, of the new test pictures' features (what enters the head) before and after, 0 where these
are the same for all pictures. For the parts in DEEPER too, on the base's seven classes: cka_old, and right answers of
1,400 test pictures by a linear probe fitted anew to the features of 1,400 others (old_probe) and by the base's own head
put back (old_head); a row of part "base" says what both gave before. seconds: the processor's time of the training.
weights: `digest` of the stored base.
Results: transfer.csv. About 40 minutes of a core. A second run continues: a run that is in the file is not run again.
With the arguments `0 2`, only every second run, beginning with the first, for two processes at once.
"""

import hashlib
import math
import sys
import time
from functools import cache

import numpy as np
import results
import torch
import torch.nn.functional as F

from helpers import augment, data, metrics, train, transfer
from helpers.features import linear_cka, mean_cosine, probe
from helpers.models import PoolNet
from helpers.results import arrays

PATH = results.FOLDER / "transfer.csv"
NEW = (2, 3, 7)  # of CIFAR-10's classes: bird, cat, horse
OLD = tuple(k for k in range(10) if k not in NEW)
EPOCHS, BATCH, RATE = 12, 128, 0.2  # of the bases
STEPS = {10: 200, 30: 200, 100: 300, 500: 600, 5000: 3000}
HEAD, LOW, HIGH, SCRATCH = 0.1, 0.03, 0.3, 0.03  # the same for all sizes; HIGH is too high on purpose
WAYS = (("none", "all", 0), ("cifar", "head", 4), ("cifar", "head, then rest", 0))  # base, strategy, frozen
BEST = {10: (0.03, 0.01, 0.01), 30: (0.1, 0.01, 0.03), 100: (0.01, 0.03, 0.03), 500: (0.01, 0.3, 0.03)}  # in the trial
SIZES, RATES = (10, 30, 100, 500), (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
DEEPER = ("base", "rates", "order", "speeds", "statistics")
NAMES = ("part", "base", "strategy", "pictures", "rate", "frozen", "seed")


def plan():
    """The runs, as tuples of NAMES; first those with seed 0."""
    runs = [("base", base, "none", 0, 0, 4, 0) for base in ("cifar", "scenes")]
    for seed in range(3):
        runs += [("rates", "cifar", "all, half", 30, rate, 0, seed) for rate in RATES]
        for start in ("all, large", "large head, then rest"):
            runs += [("rates", "cifar", start, 30, rate, 0, seed) for rate in RATES[2:5]]
        runs += [("rates", "cifar", "head, then rest, fixed", 30, rate, 0, seed) for rate in RATES[:4]]
        for strategy in ("all", "head, then rest"):
            runs += [("rates", "cifar", strategy, 30, rate, 0, seed) for rate in RATES]
        runs += [("rates", "none", "all", 30, rate, 0, seed) for rate in RATES if seed == 0]
        runs += [("rates", "cifar", "head, large", 30, HEAD, 4, seed)]
        runs += [run for n in SIZES for run in of_size(n, seed)]
        runs += [("layers", "cifar", "head, then rest", n, LOW, k, seed) for n in (30, 500) for k in (1, 2, 3)]
        runs += [("speeds", "cifar", strategy, 30, LOW, 0, seed) for strategy in ("front fast", "front slow")]
    many = (("none", "all", SCRATCH, 0), ("cifar", "head", HEAD, 4), ("cifar", "head, then rest", LOW, 0))
    runs += [("sizes", base, name, 5000, rate, k, seed) for seed in range(2) for base, name, rate, k in many]
    runs += [run for seed in (3, 4) for n in SIZES for run in of_size(n, seed)]
    tried = [(base, name, n, rate, k) for n in SIZES for base, name, k in WAYS for rate in RATES[1:]]
    runs += [("trial", *one, seed) for seed in (100, 101) for one in tried]
    tuned = [(base, name, n, rate, k) for n in SIZES for (base, name, k), rate in zip(WAYS, BEST[n])]
    runs += [("tuned", *one, seed) for seed in range(5) for one in tuned]
    orders = ("all", "all, half", "head, then rest", "all, large", "large head, then rest")
    ordered = [("cifar", strategy, 30, rate, 0) for strategy in orders for rate in RATES[2:4]]
    ordered += [("cifar", "head, large", 30, HEAD, 4)]
    return runs + [("order", *one, seed) for seed in range(3, 8) for one in ordered]


def of_size(n, seed):
    runs = [("sizes", base, "head", n, HEAD, 4, seed) for base in ("cifar", "scenes")]
    runs += [("sizes", base, "head, then rest", n, LOW, 0, seed) for base in ("cifar", "scenes")]
    runs += [("sizes", "none", "all", n, SCRATCH, 0, seed), ("sizes", "cifar", "all", n, HIGH, 0, seed)]
    return runs + [("statistics", base, "head, renewed", n, HEAD, 4, seed) for base in ("cifar", "scenes", "none")]


def main(first=0, step=1):
    torch.set_num_threads(1)
    training, test = data.cifar10()
    for base in ("cifar", "scenes"):
        if not stored(base).exists():
            kept = learn(part(sets(base)[0], OLD))
            np.savez_compressed(stored(base), **halves(kept))
    for run in plan()[int(first) :: int(step)]:
        spec = dict(zip(NAMES, run))
        if tuple(map(str, run)) in results.done(PATH, *NAMES):
            continue
        began = time.process_time()
        model, losses = carried(spec, part(training, NEW))
        seconds = round(time.process_time() - began, 1)
        before = start(spec["base"], spec["seed"])
        row = judged(model, before, judges(spec, training, test), losses)
        row |= judged_on_old(model, before, spec)
        row |= {"seconds": seconds, "weights": digest(spec["base"]), "source": training.source}
        print(*run, row, flush=True)
        results.append(PATH, [spec | row | results.machine()])


def part(pictures, kept):
    """The pictures of the classes whose numbers are in `kept`, labelled by their place in it."""
    place = torch.full((len(pictures.classes),), -1)
    place[list(kept)] = torch.arange(len(kept))
    labels = place[pictures.labels]
    chosen = pictures.images[labels >= 0]
    return data.ImageSet(chosen, labels[labels >= 0], tuple(pictures.classes[k] for k in kept), pictures.source)


def judges(spec, training, test):
    """The pictures of the new classes that judge a run: of a trial not the test pictures."""
    if spec["part"] != "trial":
        return part(test, NEW)
    rest = part(training, NEW).draw([spec["pictures"]] * len(NEW), spec["seed"])[1]
    return rest.draw([1_000] * len(NEW), spec["seed"])[0]


def sets(base):
    """(training, test) of the base's own pictures, all ten classes."""
    return data.cifar10() if base == "cifar" else (data.scenes(50_000, seed=0), data.scenes(10_000, seed=1))


def learn(training, seed=0):
    """A base: PoolNet, from random weights, on all pictures of the old classes."""
    torch.manual_seed(seed)
    model = PoolNet(n_classes=len(training.classes)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = EPOCHS * math.ceil(len(training) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.2)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        model.train()
        for x, y in train.batches(training, BATCH, generator, augment.flip_and_crop, augment.normalise):
            with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
                scores = model(x.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(scores.float(), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def halves(model):
    """Weights as float16 arrays; what has one dimension, as biases and the statistics of normalisation, in float32."""
    kept = {name: values.detach().numpy() for name, values in model.state_dict().items()}
    return {name: a.astype(np.float16) if a.ndim > 1 else a for name, a in kept.items()}


def stored(base):
    return results.FOLDER / f"transfer_{base}.npz"


def digest(base):
    """The first twelve digits of the sha256 of a stored base's arrays, in the order of their names."""
    if base == "none":
        return "random"
    kept = arrays(f"transfer_{base}")
    return hashlib.sha256(b"".join(kept[name].numpy().tobytes() for name in sorted(kept))).hexdigest()[:12]


def start(base, seed):
    """The base with its head of seven classes."""
    torch.manual_seed(seed)
    model = PoolNet(n_classes=len(OLD))
    if base != "none":
        model.load_state_dict(arrays(f"transfer_{base}"))
    return model.eval().to(memory_format=torch.channels_last)


def carried(spec, training):
    """The base with a new head, trained as the run's strategy says; and the loss of each step."""
    model = start(spec["base"], spec["seed"])
    if spec["strategy"] == "none":
        return model, [0]
    transfer.replace_head(model, len(NEW))
    if "large" in spec["strategy"]:
        torch.nn.init.normal_(model.fc.weight)
    pictures, losses = training.draw([spec["pictures"]] * len(NEW), spec["seed"])[0], []
    for i, (rates, share) in enumerate(stages(spec)):
        options = {"augment": augment.random_flip, "normalise": augment.normalise, "seed": 2 * spec["seed"] + i}
        options |= {
            "statistics": {"renewed": "renewed", "fixed": "fixed"}.get(spec["strategy"].split(", ")[-1], "kept")
        }
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            steps = int(STEPS[spec["pictures"]] * share)
            losses += transfer.fine_tune(model, pictures, rates, steps, 30, **options)
    return model, losses


def stages(spec):
    """(rates as `parameter_groups` takes them, share of the steps) of each stage of a strategy."""
    strategy, rate = spec["strategy"], spec["rate"]
    if strategy.startswith("all"):
        return [({"": rate}, 0.5 if strategy == "all, half" else 1)]
    if strategy.startswith("head") and spec["frozen"] == 4:
        return [({"fc": rate}, 1)]
    factors = {"front fast": (8, 2, 1 / 2, 1 / 8), "front slow": (1 / 8, 1 / 2, 2, 8)}.get(strategy, (1, 1, 1, 1))
    kept = [i for i in range(1, 5) if i > spec["frozen"]]
    rates = {f"{kind}{i}": rate * factors[i - 1] for i in kept for kind in ("conv", "norm")}
    return [({"fc": HEAD}, 0.5), (rates | {"fc": rate}, 0.5)]


@torch.no_grad()
def described(model, pictures):
    """What enters the head, and the head's scores."""
    body, parts = torch.nn.Sequential(*list(model.eval())[:-1]), []
    for images in pictures.images.split(200):
        x = train.floats(images, augment.normalise)
        parts.append(body(x.contiguous(memory_format=torch.channels_last)))
    return torch.cat(parts), model.fc(torch.cat(parts))


def judged(model, before, test, losses):
    """What is measured on the three new classes; of a base alone, nothing."""
    if len(model.fc.bias) != len(test.classes):
        return dict.fromkeys(("right", "judged", "counts", "loss", "cka", "cosine"), "")
    (after, scores), (old, _) = described(model, test), described(before, test)
    counts = metrics.confusion_matrix(test.labels, scores.argmax(1), len(NEW))
    row = {"right": int(counts.trace()), "judged": len(test), "counts": " ".join(map(str, counts.flatten().tolist()))}
    row |= {"loss": round(float(np.mean(losses[-10:])), 4), "cka": alike(linear_cka, old, after)}
    return row | {"cosine": alike(mean_cosine, old, after)}


def alike(measure, old, after):
    """0 for features that are not finite or the same for all pictures; pictures without any are left out."""
    alive = after.isfinite().all(1) & after.any(1)
    if not alive.any() or not after[alive].std(0).any():
        return 0.0
    return round(measure(old[alive], after[alive]), 4)


@cache
def old(base):
    """Pictures of a base's own seven classes, 1,400 to fit a probe with and 1,400 others."""
    parts = (data.scenes(4_000, seed=seed) for seed in (2, 3)) if base == "scenes" else data.cifar10()
    return [part(pictures, OLD).draw([200] * len(OLD), seed=0)[0] for pictures in parts]


def judged_on_old(model, before, spec):
    if spec["part"] not in DEEPER:
        return dict.fromkeys(("cka_old", "old_probe", "old_head", "old_judged"), "")
    learnt, asked = old(spec["base"])
    (seen, _), (after, _) = described(model, learnt), described(model, asked)
    once, own = described(before, asked)[0], before.fc(after)
    answers = probe(seen, learnt.labels, len(OLD))(after).argmax(1), own.argmax(1)
    row = {"cka_old": alike(linear_cka, once, after)}
    row |= {name: int((a == asked.labels).sum()) for name, a in zip(("old_probe", "old_head"), answers)}
    return row | {"old_judged": len(asked)}


if __name__ == "__main__":
    main(*sys.argv[1:])
