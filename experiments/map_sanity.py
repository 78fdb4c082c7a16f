"""Do maps depend on what the network has learnt? The sanity checks of Chapter 14, on drawn scenes.

Run from the repository's root: python experiments/map_sanity.py
Maps of 40 scenes of 64x64 pixels, target the true class, by the methods of map_scores.py: of `pretrained("scenes")`,
and in another state. state: "fc", "conv5", ... "conv1", this layer and all above it with new random weights (PyTorch's
own start), the normalisation behind each measured anew on the pictures; "another class", the trained network asked for
another class, drawn at random; "random labels", a network trained as "scenes-random-labels" was, which is stored as it
came out of seed 1; "true labels", the same again from the same start and with the same batches, but with the pictures'
own labels. The trained network had another seed. correlation: Spearman's rank correlation of the two maps of a picture,
of three-channelled maps after their largest absolute value; absolute: the same, signs left out; edges: of the state's
map with the strength of the picture's edges; each the mean over those of the pictures (defined of them) where neither
map is the same everywhere. The state "trained" is the first network itself. accuracy: of the state's network on the
pictures. weights: the first digits of the sha256 of the trained network's tensors; seconds: the processor's time for
the state's maps. Results: map_sanity.csv. About a quarter of an hour on a core. A second run continues: a row that is
in the file is not made again, but where the trained network is another one, all are.
"""

import tempfile
import time
from pathlib import Path

import map_scores
import results
import torch
from map_scores import METHODS, ODDS, edges, largest
from scipy.stats import rankdata

from helpers import data, explain
from helpers.models import pretrained
from helpers.weights import drawn, training

PATH = results.FOLDER / "map_sanity.csv"
PICTURES, SEED, BATCH = 40, 15, 20
WEIGHTS = results.weights("scenes")
LAYERS = ("fc", "conv5", "conv4", "conv3", "conv2", "conv1")
PLAN = [("trained", 0)] + [("another class", seed) for seed in range(3)]
PLAN += [(layer, seed) for seed in range(3) for layer in LAYERS]
PLAN += [(state, seed) for seed in (1, 2, 3) for state in ("random labels", "true labels")]
CHECKED = {name: METHODS[name][1] for name in METHODS if METHODS[name][0] == "method"}
CHECKED |= {  # the same with fewer passes
    "SmoothGrad": largest(explain.smooth_grad, n_samples=10, generator=ODDS),
    "integrated gradients": lambda *given: explain.integrated_gradients(*given, n_steps=16).sum(1),
    "occlusion": lambda *given: explain.occlusion(*given, window=16, stride=8),
}


def main():
    torch.set_num_threads(1)
    model, _, preprocess = pretrained("scenes")
    scenes = data.scenes(PICTURES, size=64, seed=SEED)
    x = preprocess(scenes.images).contiguous(memory_format=torch.channels_last)
    if any(found != (WEIGHTS,) for found in results.done(PATH, "weights")):
        PATH.unlink()
    original, outlines = maps(model, x, scenes.labels)[0], edges(model, x, None)
    for state, seed in PLAN:
        if (state, str(seed)) in results.done(PATH, "state", "seed"):
            continue
        network, target = other(state, seed, x, scenes.labels)
        found, seconds = maps(network, x, target)
        columns = {"state": state, "seed": seed, "pictures": PICTURES, "source": model.source}
        columns |= {"weights": WEIGHTS, "accuracy": accuracy(network, x, scenes.labels)}
        rows = [columns | compared(name, original, found, outlines) | {"seconds": seconds[name]} for name in CHECKED]
        results.append(PATH, [row | results.machine() for row in rows])
        print(state, seed, [(row["method"], row["correlation"]) for row in rows], flush=True)


def other(state, seed, x, labels):
    """The network and the targets of a state."""
    generator = torch.Generator().manual_seed(seed)
    if state == "another class":
        return pretrained("scenes")[0], (labels + torch.randint(1, 10, labels.shape, generator=generator)) % 10
    if state in ("random labels", "true labels"):
        plan = drawn.random_labels(shuffled=state == "random labels")
        with tempfile.TemporaryDirectory() as folder:
            return training.train(plan, Path(folder), seed=seed)[0].eval(), labels
    model = pretrained("scenes")[0]
    return (model if state == "trained" else randomised(model, state, seed, x)), labels


def randomised(model, layer, seed, x):
    """The model with new random weights in `layer` and all above it."""
    torch.manual_seed(seed)
    for name in LAYERS[: LAYERS.index(layer) + 1]:
        getattr(model, name).reset_parameters()
        if name != "fc":
            norm = getattr(model, name.replace("conv", "norm"))
            norm.reset_parameters()
            norm.momentum = None  # the mean over batches: after one batch, its own
            norm.train()
    with torch.no_grad():
        model(x)
    return model.eval()


def maps(model, x, target):
    """The maps (N, h, w) of each method, and the processor's seconds for them, as two dicts."""
    model, found, seconds = model.to(memory_format=torch.channels_last), {}, {}
    for name, method in CHECKED.items():
        ODDS.manual_seed(map_scores.SEED)
        start = time.process_time()
        found[name] = torch.cat([method(model, *part) for part in zip(x.split(BATCH), target.split(BATCH))])
        seconds[name] = round(time.process_time() - start, 2)
    return found, seconds


def compared(name, original, found, outlines):
    correlation = rank_correlation(original[name], found[name])
    size = found[name].shape[1]
    seen = torch.nn.functional.adaptive_avg_pool2d(outlines, size)
    defined = ~correlation.isnan()
    strengths = rank_correlation(original[name].abs(), found[name].abs())
    means = {"correlation": correlation.nanmean(), "absolute": strengths.nanmean()}
    means |= {"edges": rank_correlation(found[name], seen).nanmean()}
    return {"method": name, "defined": int(defined.sum())} | {key: round(m.item(), 4) for key, m in means.items()}


def rank_correlation(maps, others):
    """Spearman's rank correlation of the maps of each picture, (N,); nan where one is the same everywhere."""
    ranks = [torch.from_numpy(rankdata(part.flatten(1), axis=1)) for part in (maps, others)]
    first, second = (rank - rank.mean(1, keepdim=True) for rank in ranks)
    return (first * second).sum(1) / (first.square().sum(1) * second.square().sum(1)).sqrt()


@torch.no_grad()
def accuracy(model, x, labels):
    return round((model(x).argmax(1) == labels).float().mean().item(), 4)


if __name__ == "__main__":
    main()
