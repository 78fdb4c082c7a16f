"""Class maps of every layer of SceneNet on drawn scenes, whose objects are known to the pixel, and their controls.

Run from the repository's root: python experiments/class_maps.py
500 scenes that no network here was trained with, the map of each scene's true class, by Grad-CAM (gradients pooled by
their "mean" or their "max"), Layer-CAM ("layer") and the "products" of maps and gradients, added over the channels, at
the five layers. network: "trained" is the book's own of that name; "untrained" has random weights, drawn with `seed`,
and the statistics of batch normalisation of these scenes. Controls look at no network: "random" has a normal number for
each of 8x8 places; "centre" falls from the middle of the picture; "edges" is the length of the brightness's gradient
(Sobel). hit: the share of pictures whose map is largest on a pixel of the object; box: in the object's box; mass: the
share of the map's positive part, resampled to 64x64, that lies in the box, 0 for a map without one. side: scene i and
scene 250 + i side by side, 64x128 pixels, where their classes differ, and a map for either class: the share of maps
that are largest in the half with the class asked for.
_low and _high: bootstrap intervals over the pictures, 95 %. weights: the first digits of a sha256 over the trained
network's numbers; seconds: of the processor. Results: class_maps.csv. About six minutes on a core. A second run
continues: a map that is in the file is not made again, but where the network is another one, all are.
"""

import time

import results
import torch

from helpers import data, explain
from helpers.filters import SOBEL_X
from helpers.metrics import bootstrap_interval
from helpers.pretrained import SceneNet, pretrained

PATH = results.FOLDER / "class_maps.csv"
PICTURES, SEED, BATCH = 500, 15, 50
METHODS = ("mean", "max", "layer", "products")
LAYERS = tuple(f"relu{i}" for i in range(1, 6))
NETWORKS = [("trained", 0)] + [("untrained", seed) for seed in range(3)]
PLAN = [(name, method, layer, seed) for name, seed in NETWORKS for method in METHODS for layer in LAYERS]
PLAN += [("none", "random", "", seed) for seed in range(3)]
PLAN += [("none", method, "", 0) for method in ("centre", "edges")]


def main():
    torch.set_num_threads(1)
    scenes = data.scenes(PICTURES, size=64, seed=SEED)
    if any(found != (results.weights("scenes"),) for found in results.done(PATH, "weights")):
        PATH.unlink()
    for name, method, layer, seed in PLAN:
        if (name, method, layer, str(seed)) in results.done(PATH, "network", "method", "layer", "seed"):
            continue
        start = time.process_time()
        columns = {"network": name, "method": method, "layer": layer, "seed": seed, "pictures": PICTURES}
        columns |= {"source": scenes.source, "weights": results.weights("scenes")}
        columns |= measured(maker(name, method, layer, seed, scenes), scenes)
        columns |= {"seconds": round(time.process_time() - start, 2)}
        print(columns, flush=True)
        results.append(PATH, [columns | results.machine()])


def maker(name, method, layer, seed, scenes):
    """A function (uint8 pictures (N, 3, H, W), targets (N,)) -> maps (N, h, w)."""
    if name == "none":
        return CONTROLS[method](torch.Generator().manual_seed(seed))
    model, _, preprocess = pretrained("scenes")
    model = model if name == "trained" else untrained(seed, preprocess(scenes.images))

    def maps(pictures, targets):
        x = preprocess.normalise(pictures.float() / 255)
        if method == "layer":
            return explain.layer_cam(model, x, targets, layer)
        if method == "products":
            return products(model, x, targets, layer)
        return explain.grad_cam(model, x, targets, layer, pool=method)

    return maps


def products(model, x, targets, layer):
    kept = []
    hook = model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: kept.append(output))
    score = model(x.requires_grad_()).gather(1, targets[:, None]).sum()
    hook.remove()
    return (kept[0] * torch.autograd.grad(score, kept[0])[0]).sum(1).detach()


def untrained(seed, x):
    """A SceneNet with random weights, normalised over x."""
    torch.manual_seed(seed)
    model = SceneNet()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(x)
    return model.eval()


def random(generator):
    return lambda pictures, targets: torch.randn(
        len(pictures), *(n // 8 for n in pictures.shape[2:]), generator=generator
    )


def centre(generator):
    """Positive everywhere, the same for all pictures."""

    def maps(pictures, targets):
        down, across = (torch.arange(n) - (n - 1) / 2 for n in pictures.shape[2:])
        return (90 - (down[:, None] ** 2 + across**2).sqrt()).expand(len(pictures), -1, -1)

    return maps


def edges(generator):
    kernel = torch.as_tensor(SOBEL_X).float()

    def maps(pictures, targets):
        grey = torch.nn.functional.pad(pictures.float().mean(1, keepdim=True), [1] * 4, mode="replicate")
        return torch.nn.functional.conv2d(grey, torch.stack([kernel, kernel.T])[:, None]).norm(dim=1)

    return maps


CONTROLS = {"random": random, "centre": centre, "edges": edges}


def measured(make, scenes):
    maps, boxes = batched(make, scenes.images, scenes.labels), filled(scenes.boxes, 64)
    fine = explain.upsample(maps, 64).relu()
    mass = (fine * boxes).sum((1, 2)) / fine.sum((1, 2)).clamp(min=1e-12)
    values = {"hit": explain.pointing_game(maps, scenes.masks), "box": explain.pointing_game(maps, boxes), "mass": mass}
    values["side"] = sides(make, scenes)
    row = {}
    for name, value in values.items():
        low, high = bootstrap_interval(torch.mean, value)
        row |= {name: round(value.mean().item(), 4), f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}
    return row


def sides(make, scenes):
    """Of each pair of scenes side by side, the share (0, 0.5 or 1) of its two maps that point to the half asked for."""
    left, right = (scenes.subset(torch.arange(PICTURES // 2) + i) for i in (0, PICTURES // 2))
    differ = left.labels != right.labels
    left, right = left.subset(differ), right.subset(differ)
    pictures, half = torch.cat([left.images, right.images], 3), torch.arange(128).expand(len(left), 64, 128) < 64
    asked = ((left.labels, half), (right.labels, ~half))
    return sum(explain.pointing_game(batched(make, pictures, labels), where) for labels, where in asked) / 2


def batched(make, pictures, labels):
    return torch.cat([make(*part) for part in zip(pictures.split(BATCH), labels.split(BATCH))])


def filled(boxes, size):
    """bool (N, size, size): the pixels in each box (x0, y0, x1, y1)."""
    place = torch.arange(size)
    x0, y0, x1, y1 = boxes.T[:, :, None]
    rows, columns = (y0 <= place) & (place < y1), (x0 <= place) & (place < x1)
    return rows[:, :, None] & columns[:, None]


if __name__ == "__main__":
    main()
