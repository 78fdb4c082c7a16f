"""Plain and residual networks of 8 to 50 layers on CIFAR-10: does depth help, and how do gradients reach the front?

Run from the repository's root: python experiments/residual.py
`CifarResNet` of width 8, with its shortcuts ("residual") and without ("plain"), 5 epochs of all training pictures,
flips and crops, batches of 128, SGD with Nesterov's momentum 0.9, weight decay 1e-4, the learning rate 0.1 rising over
the first epoch and then falling to 0 along half a cosine. Arithmetic in bfloat16 with channels last. Measured in eval
mode after each epoch, in float32: "training", on 500 training pictures of each class as they are, and "test", on all
test pictures. seconds: the processor's time for training one epoch. Results: residual.csv. gradients: for each 3x3
convolution, counted from the picture, the length of the loss's gradient with respect to its weights over the length of
the weights, mean over 4 batches of training pictures of all classes in training mode, before training (epoch 0), after
the first epoch and after the last. Results: residual_gradients.csv. The same for the first steps of the networks of 50
layers, with the length of each layer's weights. Results: residual_steps.csv. About half an hour of a core for all
depths of one seed. A second run continues: a run that is in the file is not run again.
"""

import math
import time
from itertools import islice, pairwise

import results
import torch
import torch.nn.functional as F

from helpers import augment, data, train
from helpers.models import CifarResNet

PATH, GRADIENTS, FIRST = (results.FOLDER / f"residual{part}.csv" for part in ("", "_gradients", "_steps"))
WIDTH, EPOCHS, BATCH, RATE = 8, 5, 128, 0.1
DEPTHS, KINDS = (8, 20, 32, 50), ("plain", "residual")
PLAN = [(kind, depth, seed) for seed in range(2) for depth in DEPTHS for kind in KINDS]
STEPS, DEEPEST = (0, 5, 10, 20, 30, 60), [(kind, 50, seed) for seed in range(2) for kind in KINDS]
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def main():
    torch.set_num_threads(1)
    cifar, test = data.cifar10()
    parts = {"training": cifar.split(5_000)[0], "test": test}
    for kind, depth, seed in PLAN:
        if (kind, str(depth), str(seed), cifar.source) in results.done(PATH, "network", "depth", "seed", "source"):
            continue
        columns = {"network": kind, "depth": depth, "seed": seed, "source": cifar.source}
        rows, slopes = run(kind, depth, seed, cifar, parts)
        results.append(GRADIENTS, [columns | row | results.machine() for row in slopes])
        results.append(PATH, [columns | row | results.machine() for row in rows])
        print(kind, depth, seed, [(row["part"], row["accuracy"]) for row in rows[-2:]], flush=True)
    for kind, depth, seed in DEEPEST:
        if (kind, str(depth), str(seed), cifar.source) not in results.done(FIRST, "network", "depth", "seed", "source"):
            columns = {"network": kind, "depth": depth, "seed": seed, "source": cifar.source}
            rows = first_steps(kind, depth, seed, cifar)
            results.append(FIRST, [columns | row | results.machine() for row in rows])


def start(kind, depth, seed, training):
    """A network, and what trains it: the optimiser, the schedule, and batches of one epoch for each call."""
    torch.manual_seed(seed)
    model = CifarResNet(depth, WIDTH, shortcuts=kind == "residual").to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, nesterov=True, weight_decay=1e-4)
    steps = math.ceil(len(training) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share(step / steps))
    generator = torch.Generator().manual_seed(seed)
    batches = lambda: train.batches(training, BATCH, generator, augment.flip_and_crop, normalise)  # noqa: E731
    return model, optimizer, schedule, batches


def run(kind, depth, seed, training, parts):
    model, optimizer, schedule, batches = start(kind, depth, seed, training)
    rows, slopes = [], gradients(model, training, epoch=0)
    for epoch in range(1, EPOCHS + 1):
        began = time.process_time()
        learn(model.train(), batches(), optimizer, schedule)
        seconds = round(time.process_time() - began, 1)
        rows += [{"epoch": epoch, "part": name} | measured(model, part, seconds) for name, part in parts.items()]
        if epoch in (1, EPOCHS):
            slopes += gradients(model, training, epoch=epoch)
    return rows, slopes


def first_steps(kind, depth, seed, training):
    """`gradients` after STEPS steps, and the length of each layer's weights."""
    model, optimizer, schedule, batches = start(kind, depth, seed, training)
    weights = [module.weight for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    rows, batches = [], batches()
    for before, step in pairwise((0, *STEPS)):
        learn(model.train(), islice(batches, step - before), optimizer, schedule)
        found = gradients(model, training, step=step)
        rows += [row | {"weights": f"{w.detach().norm():.4g}"} for row, w in zip(found, weights)]
    return rows


def share(epochs):
    """Of the largest learning rate, after so many epochs."""
    return min(epochs, (1 + math.cos(math.pi * (epochs - 1) / (EPOCHS - 1))) / 2 if epochs > 1 else 1)


def learn(model, batches, optimizer, schedule):
    """A step for each batch."""
    for x, y in batches:
        with torch.autocast("cpu", torch.bfloat16):
            found = model(x.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(found.float(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def normalise(x):
    return augment.normalise(x, MEAN, DEVIATION)


def measured(model, part, seconds):
    loss, accuracy = train.evaluate(model.eval(), part, normalise)
    return {"loss": round(loss, 4), "accuracy": round(accuracy, 4), "seconds": seconds}


def gradients(model, training, **when):
    """The relative length of the gradient at each 3x3 convolution, mean over 4 batches; batch statistics, no change."""
    model.train()
    kept = {name: values.clone() for name, values in model.state_dict().items()}
    weights = [module.weight for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    lengths, mixed = torch.zeros(len(weights)), training.split(4 * BATCH, seed=1)[0]
    for i in range(4):
        part = mixed.subset(torch.arange(i, 4 * BATCH, 4))  # the set is in the order of the classes
        loss = F.cross_entropy(model(normalise(part.floats())), part.labels)
        found = torch.autograd.grad(loss, weights)
        lengths += torch.stack([g.norm() / w.detach().norm() for g, w in zip(found, weights)]) / 4
    model.load_state_dict(kept)
    return [when | {"layer": i, "relative": f"{n:.4g}"} for i, n in enumerate(lengths.tolist(), start=1)]


if __name__ == "__main__":
    main()
