"""What a shift, a turn and a tilt of the picture do to trained networks, by their downsampling and padding.

Run from the repository's root: python experiments/shifts.py
`PoolNet`s on 10,000 of CIFAR-10's training pictures, 4 epochs, batches of 64, Adam with a learning rate falling from
2e-3 to 5e-4, no augmentation unless trained is "turned" (every picture by a random angle). Then, in eval mode, on
1,000 test pictures, moved in one of four ways (kind) by an amount: "roll", all columns to the right by so many pixels,
what leaves comes back at the left; "crop", a 24x24 window so many columns further right; "turn" and "tilt", as
`helpers.warp` does, in degrees. accuracy: of the moved pictures; consistency: the share whose predicted class is that
of amount 0; distance: the mean total variation (0 to 1) between the softmax outputs and those of amount 0; largest: the
largest difference of a logit. seconds: the processor's time for training. Results: shifts.csv. About 35 minutes on a
core that nobody else uses. A second run continues: a network that is in the file is not trained again.
"""

import time

import results
import torch

from helpers import data, train
from helpers.models import PoolNet
from helpers.warp import tilt, turn

PATH = results.FOLDER / "shifts.csv"
PICTURES, TESTED, EPOCHS, BATCH = 10_000, 1_000, 4, 64
NETS = [(down, mode) for mode in ("zeros", "circular") for down in ("max", "blur", "average", "stride")]
VARIANTS = [{"down": down, "padding_mode": mode} for down, mode in NETS]
VARIANTS += [{"head": "dense"}, {"trained": "turned"}]  # both with max pooling and zero padding
NARROW = [{"halvings": n, "width": 16} for n in (3, 2, 1, 0)]  # the last is slow: nothing is halved
NARROW += [{"halvings": n, "width": 16, "padding_mode": "circular"} for n in (3, 0)]
NARROW += [{"down": down, "halvings": n, "width": 16} for down in ("average", "blur") for n in (3, 0)]
PLAN = [(variant, seed) for seed in (0, 1) for variant in VARIANTS + NARROW]
STANDARD = {"down": "max", "padding_mode": "zeros", "head": "mean", "halvings": 3, "width": 32, "trained": "upright"}
AMOUNTS = {
    "roll": (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16),
    "crop": range(9),
    "turn": range(0, 181, 15),
    "tilt": range(0, 76, 15),
}


def main():
    torch.set_num_threads(1)
    training, test = data.cifar10()
    training, test = training.split(PICTURES)[0], test.split(TESTED)[0]
    for variant, seed in PLAN:
        row = STANDARD | variant | {"seed": seed, "source": training.source}
        if tuple(map(str, row.values())) not in results.done(PATH, *row):
            model, seconds = trained(row, training)
            row |= {"pictures": PICTURES, "epochs": EPOCHS, "seconds": round(seconds, 1)}
            results.append(PATH, [row | found | results.machine() for found in measured(model, test, kinds(row))])


def trained(row, training):
    torch.manual_seed(row["seed"])
    model = PoolNet(**{name: row[name] for name in ("down", "padding_mode", "head", "halvings", "width")})
    generator = torch.Generator().manual_seed(row["seed"])
    optimizer, start = train.adam(model, 2e-3), time.process_time()
    for epoch in range(EPOCHS):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - epoch / EPOCHS)
        augment = turned if row["trained"] == "turned" else None
        train.train_epoch(model, training, optimizer, BATCH, generator, augment)
    return model, time.process_time() - start


def turned(x, generator):
    return turn(x, 360 * torch.rand(len(x), generator=generator))


def kinds(row):
    """What is asked of a network: rolls of all; the rest, which takes longer, of wide ones with zero padding."""
    if row["width"] < 32 or row["padding_mode"] == "circular":
        return ("roll",)
    return ("roll", "turn", "tilt") if row["head"] == "dense" else tuple(AMOUNTS)  # no crop: it is made for 32x32


def measured(model, test, wanted):
    """One dict for each kind and amount."""
    x, found = test.floats(), []
    for kind in wanted:
        scores = {amount: outputs(model, moved(x, kind, amount)) for amount in AMOUNTS[kind]}
        for amount, z in scores.items():
            found.append({"kind": kind, "amount": amount} | compared(z, scores[0], test.labels))
    return found


def moved(x, kind, amount):
    if kind == "roll":
        return x.roll(amount, dims=3)
    if kind == "crop":
        return x[:, :, 4:28, amount : amount + 24]
    return (turn if kind == "turn" else tilt)(x, float(amount))


@torch.no_grad()
def outputs(model, x):
    return torch.cat([model(part) for part in x.split(100)])


def compared(z, reference, labels):
    """Measures of logits (N, K) against those of the pictures that were not moved."""
    values = {
        "accuracy": (z.argmax(1) == labels).float().mean(),
        "consistency": (z.argmax(1) == reference.argmax(1)).float().mean(),
        "distance": (z.softmax(1) - reference.softmax(1)).abs().sum(1).mean() / 2,
    }
    return {name: round(float(value), 4) for name, value in values.items()} | {
        "largest": f"{(z - reference).abs().max().item():.2e}"
    }


if __name__ == "__main__":
    main()
