"""How much of a picture its codes keep, layer by layer (Chapter 17): nine photographs, inverted.

Run from the repository's root: python experiments/inversion.py
The nine photographs that come with scikit-image, at 96x96 pixels; the book's own ResNet-18 (network "trained") and one
of the same layers with random weights ("untrained"). `synthesis.invert` in the Fourier basis, 150 steps of Adam at
0.05, total_variation=1, from noise of the given seed. A row for each picture: code_error, ||f(p) - f(x)|| / ||f(x)||;
correlation, of the reconstruction's pixel values with the picture's; others, the mean of its correlations with the
eight other photographs; rank, 1 where no other photograph correlates more; between, its correlation with the
reconstruction of the same code from seed 0 (empty for seed 0). weights: `results.weights` of the stored network;
seconds: the processor's time of the nine together. Results: inversion.csv. About a minute on a core. A second run
continues: a run that is in the file is not run again.
"""

import dataclasses
import time

import results
import torch

from helpers import data
from helpers.models import pretrained
from helpers.pretrained import ResNet18
from helpers.synthesis import invert

PATH = results.FOLDER / "inversion.csv"
SIZE, STEPS = 96, 150
LAYERS = ("relu", "layer1", "layer2", "layer3", "layer4", "avgpool")
PLAN = [("trained", layer, 0) for layer in LAYERS] + [("untrained", layer, 0) for layer in LAYERS]
PLAN += [("trained", layer, 1) for layer in LAYERS]  # network, layer, seed of the start


def main():
    torch.set_num_threads(1)
    model, classes, preprocess = pretrained("resnet18-book")
    torch.manual_seed(0)
    networks = {"trained": model, "untrained": ResNet18(len(classes), model.width).eval()}
    preprocess = dataclasses.replace(preprocess, size=SIZE)
    x = torch.stack([preprocess(data.photo(name)) for name in data.PHOTOS])
    weights, first = results.weights("resnet18"), {}
    for network, layer, seed in PLAN:
        start, columns = time.process_time(), {"network": network, "layer": layer, "seed": seed, "weights": weights}
        if tuple(map(str, columns.values())) in results.done(PATH, *columns):
            continue
        if seed and (network, layer) not in first:
            first[network, layer] = inverted(networks[network], x, layer, 0)[0]
        made, errors = inverted(networks[network], x, layer, seed)
        first.setdefault((network, layer), made)
        rows = [columns | row for row in compared(made, x, errors, first[network, layer] if seed else None)]
        extra = {"source": "photographs of scikit-image", "seconds": round(time.process_time() - start, 1)}
        results.append(PATH, [row | extra | results.machine() for row in rows])
        print(*columns.values(), extra["seconds"], [row["correlation"] for row in rows], flush=True)


def inverted(model, x, layer, seed):
    """(pictures, the error of each code)."""
    generator = torch.Generator().manual_seed(seed)
    settings = {"steps": STEPS, "total_variation": 1.0, "fourier": True, "generator": generator}
    pictures, errors = invert(model, x, layer, **settings)
    return pictures, errors[-1]


def compared(made, x, errors, first):
    """A row for each picture."""
    n, flat = len(x), torch.cat([made, x, *([] if first is None else [first])]).flatten(1)
    table = torch.corrcoef(flat)
    own, between = table[:n, n : 2 * n], table[:n, 2 * n :]
    rows = []
    for i, name in enumerate(data.PHOTOS):
        others = own[i][torch.arange(n) != i]
        row = {"picture": name, "code_error": errors[i].item(), "correlation": own[i, i].item()}
        row |= {"others": others.mean().item(), "rank": 1 + int((others > own[i, i]).sum())}
        row |= {"between": "" if first is None else between[i, i].item()}
        rows.append({key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()})
    return rows


if __name__ == "__main__":
    main()
