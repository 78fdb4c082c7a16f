"""The loop that all of the book's own networks share: SGD, one cycle of the learning rate, a running average.

Arithmetic in bfloat16 (torch.autocast) with channels last, twice as fast as float32 on a processor that has it.
"""

import time

import torch
import torch.nn.functional as F
from torch.optim import swa_utils

from helpers.download import write_whole


def train(plan, folder, until=None, seed=0):
    """Train the plan's network, and then what comes after it, with seed + 1: (network, rows), see `train_one`.

    The state of what comes after lies in folder/after; its epochs are counted on.
    """
    model, rows = train_one(plan, folder, until, seed)
    left = None if until is None else until - plan.epochs
    if plan.after is None or rows[-1]["epoch"] < plan.epochs or (left is not None and left < 1):
        return model, rows
    model, more = train_one(plan.after, folder / "after", left, seed + 1, start=model)
    return model, rows + [row | {"epoch": row["epoch"] + plan.epochs} for row in more]


def train_one(plan, folder, until=None, seed=0, start=None):
    """Train the plan's network up to the end of epoch `until` (the last if None), or no further if it is past that.

    start: a network whose weights to begin with, random ones if None.

    Returns (the running average of the weights as a network, rows): a row for each epoch and test watched, a dict of
    epoch, loss (the mean over its steps, in nats), seconds (of the processor, without the tests), set, size, pictures,
    accuracy (0 to 1, in bfloat16). folder/state.pt is written after each epoch, whole, and read first.
    Raises ValueError for a state that belongs to another plan or seed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "state.pt"
    parts, rows = _start(plan, seed, start), []
    if path.exists():
        rows = _continue(parts, path, plan.recipe(seed))
    for epoch in range(_epoch(rows), min(until or plan.epochs, plan.epochs)):
        loss, seconds = _epoch_of(plan, parts, torch.Generator().manual_seed(1000 * (seed + 1) + epoch))
        measured = watch(plan, parts["average"], epoch + 1)
        rows += [{"epoch": epoch + 1, "loss": loss, "seconds": seconds} | row for row in measured]
        print(plan.name, epoch + 1, f"{loss:.4f}", [(r["set"], r["size"], r["accuracy"]) for r in measured], flush=True)
        state = {name: part.state_dict() for name, part in parts.items()} | {"rows": rows, "recipe": plan.recipe(seed)}
        write_whole(path, lambda temporary, state=state: torch.save(state, temporary))
    return parts["average"].module, rows


def watch(plan, model, epoch):
    """The accuracies that the plan watches after an epoch, as rows."""
    rows = []
    for name, size, step in plan.watched(epoch, plan.epochs):
        images, labels = (part[::step] for part in plan.tests[name])
        right = logits(model, plan.preprocess, images, size).argmax(1) == labels
        rows.append({"set": name, "size": size, "pictures": len(labels), "accuracy": right.float().mean().item()})
    return rows


@torch.no_grad()
def logits(model, preprocess, images, size, low=True):
    """The scores (N, n_classes) of uint8 pictures scaled to size x size, in eval mode; in bfloat16 or float32."""
    model.eval()
    scores = []
    for x in images.split(200):
        x = F.interpolate(x.float() / 255, size=size, mode="bilinear", antialias=x.shape[-1] > size)
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            scores.append(model(preprocess.normalise(x).contiguous(memory_format=torch.channels_last)).float())
    return torch.cat(scores)


def _start(plan, seed, start=None):
    torch.manual_seed(seed)
    model = plan.network()
    if start is not None:
        model.load_state_dict(start.state_dict())
    model = model.to(memory_format=torch.channels_last)
    update = swa_utils.get_ema_multi_avg_fn(plan.decay)
    average = swa_utils.AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    weights = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": plan.weight_decay}, {"params": rest, "weight_decay": 0}]
    optimizer = torch.optim.SGD(groups, plan.rate, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.rate, total_steps=plan.epochs * plan.steps, pct_start=0.2
    )
    return {"model": model, "average": average, "optimizer": optimizer, "schedule": schedule}


def _continue(parts, path, recipe):
    state = torch.load(path, weights_only=True)
    if state["recipe"] != recipe:
        differing = ", ".join(k for k in recipe if state["recipe"].get(k) != recipe[k])
        raise ValueError(
            f"{path} belongs to another training, which differs in {differing}: move it away, or name another folder"
        )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["rows"]


def _epoch(rows):
    return rows[-1]["epoch"] if rows else 0


def _epoch_of(plan, parts, generator):
    """One epoch's steps; returns the mean loss and the processor's seconds."""
    model, start, total = parts["model"].train(), time.process_time(), 0.0
    for _ in range(plan.steps):
        x, y = plan.batch(generator)
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(x.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(scores, y, label_smoothing=plan.smoothing)
        parts["optimizer"].zero_grad()
        loss.backward()
        parts["optimizer"].step()
        parts["schedule"].step()
        parts["average"].update_parameters(model)
        total += loss.item()
    return total / plan.steps, time.process_time() - start
