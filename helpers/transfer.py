"""Carrying a trained network to a new task: a new head, frozen layers, layers with learning rates of their own.

Source: Chapter 11.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from helpers.arguments import at_least, described, image_set, whole
from helpers.train import batches
from helpers.watch import check_model, find_layer


def replace_head(model, n_classes):
    """Put a new dense layer with random weights in place of the last one of the model; returns its name.

    Last in the order in which the model defines its layers: `fc` of torchvision's ResNet, GoogLeNet and Inception,
    `classifier.6` of its VGG, `classifier.1` or `classifier.3` of its MobileNets. The new layer lies on the old one's
    device. Raises ValueError for fewer than one class and for a model without a dense layer in it.
    Source: Chapter 11, "A new head".
    """
    check_model(model)
    names = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear) and name]
    whole("n_classes", n_classes, 1)
    if not names:
        raise ValueError(f"this {type(model).__name__} holds no dense layer that could be replaced")
    parent, _, last = names[-1].rpartition(".")
    old = model.get_submodule(names[-1])
    like = {"device": old.weight.device, "dtype": old.weight.dtype}
    setattr(model.get_submodule(parent), last, nn.Linear(old.in_features, n_classes, old.bias is not None, **like))
    return names[-1]


def freeze(model, *layers):
    """Take the parameters of the layers, given by name, out of training; returns how many numbers these are.

    It does not touch the statistics of batch normalisation: see `training_mode`. Raises ValueError for no layer, for a
    list of names in place of names and, with near matches, for a name that the model has not.
    Source: Chapter 11, "A new head".
    """
    if not layers:
        raise ValueError("name at least one layer to freeze")
    if not all(isinstance(layer, (str, nn.Module)) for layer in layers):
        raise ValueError(f"give the names as separate arguments, freeze(model, *names), got {layers!r}")
    chosen = [find_layer(model, layer)[1] for layer in layers]
    for layer in chosen:
        layer.requires_grad_(False)
    return sum(p.numel() for p in {id(p): p for layer in chosen for p in layer.parameters()}.values())


def training_mode(model):
    """`model.train()`, save for the layers whose parameters are all frozen: these go to evaluation mode.

    So their batch normalisation keeps its statistics, and dropout inside them is off. To be called after every
    `model.train()`. Source: Chapter 11, "Frozen, and yet changed".
    """
    check_model(model)
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def parameter_groups(model, rates):
    """Groups for an optimiser, one for each learning rate; what gets none is frozen.

    rates: a dict from a layer's name to its learning rate; a parameter gets that of the longest name that it lies in,
    "" being the whole model. {"fc": 0.1} trains the head, {"": 0.001, "fc": 0.1} all of it, the head a hundred times
    as fast. Raises ValueError for no rates, one that is negative, not finite or no number, an unknown name, and layers
    without parameters only. Source: Chapter 11, "The order of steps".
    """
    check_model(model)
    _check_rates(model, rates)
    within = {parameter: [] for parameter in model.parameters()}
    for path, parameter in model.named_parameters(remove_duplicate=False):  # a shared one lies in several layers
        within[parameter] += [name for name in rates if not name or path.startswith(f"{name}.")]
    if not any(within.values()):
        raise ValueError(f"the layers {', '.join(map(repr, rates))} have no parameters to train")
    groups = {name: [] for name in rates}
    for parameter, names in within.items():
        parameter.requires_grad_(bool(names))
        if names:
            groups[max(names, key=len)].append(parameter)
    return [{"params": group, "lr": rates[name]} for name, group in groups.items() if group]


def _check_rates(model, rates):
    if not isinstance(rates, dict) or not rates:
        raise ValueError(f"rates must give at least one layer a learning rate, as a dict, got {rates!r}")
    for name, rate in rates.items():
        if not isinstance(name, str):
            raise ValueError(f"rates must name each layer by a text, '' for the whole model, got {name!r}")
        if name:
            find_layer(model, name)
        at_least(f"the learning rate of {name!r}", rate)


def fine_tune(model, pictures, rates, steps=200, batch_size=30, *, augment=None, normalise=None, statistics="kept",
              seed=0):  # fmt: skip
    """Train the layers named in `rates` and return the loss of each step; the model is left in eval mode.

    rates: as in `parameter_groups`. SGD with momentum 0.9; each rate falls to 0 along half a cosine. statistics: of
    batch normalisation, "kept" as they are in frozen layers (`training_mode`), "renewed" from the new pictures in all
    layers (`model.train()`), or "fixed" in all layers (`model.eval()`, which turns dropout off as well).
    augment, normalise: as in `helpers.train.fit`. seed: of the order of the pictures and of augment. The pictures go
    to the model's device, with its precision. Raises ValueError for another choice of statistics, for steps or a
    batch_size that is no whole number of at least 1, for pictures that are no ImageSet or empty, for rates as
    `parameter_groups`, and for a model that returns no logits, or fewer than there are classes.
    Source: Chapter 11, "The order of steps".
    """
    modes = {"kept": training_mode, "renewed": nn.Module.train, "fixed": nn.Module.eval}
    if statistics not in modes:
        raise ValueError(f"statistics must be one of {', '.join(map(repr, modes))}, got {statistics!r}")
    steps, batch_size = whole("steps", steps, 1), whole("batch_size", batch_size, 1)
    image_set("pictures", pictures)
    optimizer = torch.optim.SGD(parameter_groups(model, rates), momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: (1 + math.cos(math.pi * i / steps)) / 2)
    generator, losses = torch.Generator().manual_seed(seed), []
    epochs = (batches(pictures, batch_size, generator, augment, normalise) for _ in itertools.count())
    modes[statistics](model)
    like = next(model.parameters())
    for x, y in itertools.islice(itertools.chain.from_iterable(epochs), steps):
        logits = model(x.to(like))
        _check_logits(logits, int(pictures.labels.max()) + 1)
        loss = F.cross_entropy(logits, y.to(like.device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    model.eval()
    return losses


def _check_logits(logits, n_classes):
    if not torch.is_tensor(logits) or logits.ndim != 2 or logits.shape[1] < n_classes:
        raise ValueError(
            f"the model must return logits (N, {n_classes}) or more, got {described(logits)}: replace_head"
        )
