"""What a frozen base says about pictures: computed once and kept; and how far two bases say the same.

Source: Chapter 11.
"""

import hashlib

import numpy as np
import torch
import torch.nn.functional as F

from helpers import data, download
from helpers.arguments import all_tensors, at_least, described, whole
from helpers.train import floats
from helpers.watch import find_layer, output_of, watching

SAMPLE = 4  # pictures whose stored features are compared with fresh ones
CLOSE = {"rtol": 1e-3, "atol": 1e-4}  # another number of threads or pictures a batch rounds differently


def features(model, images, layer, preprocess=floats, batch_size=50):
    """The output of a layer for each picture, in eval mode, laid flat: (N, D) float32 on the CPU.

    images: uint8 (N, 3, H, W); preprocess: from such a batch to what the model takes. Kept in the data home in the
    folder `features`, in a file named by a hash of the model, its weights, the layer and all that the model is given:
    with another weight or pixel it is another file. The first pictures are computed anew every time and compared; a
    file that does not agree, or is damaged, is written again. Files may be removed at any time. Raises ValueError for
    no pictures or another form of them, for a preprocess that does not return a row for each, for a name that the model
    has not and for a layer that it does not use. Source: Chapter 11, "Features computed once".
    """
    _check_images(images)
    whole("batch_size", batch_size, 1)
    layer, _ = find_layer(model, layer)
    like = next(model.parameters(), torch.zeros(()))
    prepared = _checked(preprocess)
    parts = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    path = data.home() / "features" / f"{_key(model, layer, map(prepared, parts))}.npz"
    sample = _outputs(model, layer, [prepared(images[:SAMPLE]).to(like)])
    kept = _load(path)
    if kept is None or len(kept) != len(images) or not _agree(kept[: len(sample)], sample):
        kept = _outputs(model, layer, (prepared(part).to(like) for part in parts))
        _keep(path, kept)
    return kept


def linear_cka(a, b):
    """How alike two descriptions of the same pictures are, 0 to 1: ||b'a||^2 / (||a'a|| ||b'b||), columns centred.

    a, b: float (N, D) and (N, E), a row a picture; ' transposes, || || is the root of the sum of squares. 1 where one
    is the other turned, mirrored or scaled. Raises ValueError for other shapes, different N, what is no tensor, numbers
    that are not finite, and rows all equal.
    Source: Kornblith et al. (2019); Chapter 11, "What was destroyed".
    """
    _check(a, b)
    if any((x == x[0]).all() for x in (a, b)):
        raise ValueError("all pictures have the same features: nothing can be compared")
    a, b = (x.double() - x.double().mean(0) for x in (a, b))
    return ((b.T @ a).square().sum() / ((a.T @ a).norm() * (b.T @ b).norm())).item()


def mean_cosine(a, b):
    """The cosine of the angle between the two descriptions of a picture, averaged over the pictures: -1 to 1.

    a, b: float (N, D). Raises ValueError for other shapes, for what is no tensor, for numbers that are not finite and
    for a row of zeros, which has no direction.
    Source: Chapter 11, "What was destroyed".
    """
    _check(a, b)
    if a.shape != b.shape:
        raise ValueError(f"{a.shape[1]} and {b.shape[1]} numbers have no angle between them: see linear_cka")
    if not (a.any(1) & b.any(1)).all():
        raise ValueError("a picture whose features are all 0 has no direction")
    return F.cosine_similarity(a.double(), b.double()).mean().item()


def probe(features, labels, n_classes, decay=1e-3):
    """A dense layer fitted to features until it converges: a function from features (N, D) to logits (N, n_classes).

    It minimises the mean cross-entropy plus decay/2 times the squared weights, on features brought to mean 0 and
    deviation 1: the one minimum, whatever the start. Raises ValueError for no features, for what is no tensor, for
    numbers that are not finite, for another number of labels than features, for labels that are no whole numbers from
    0 to n_classes - 1, and for a negative decay. Source: Alain and Bengio (2016); Chapter 11, "What was destroyed".
    """
    _check_probe(features, labels, whole("n_classes", n_classes, 1))
    at_least("decay", decay)
    features = features.float()
    mean, deviation = features.mean(0), features.std(0, correction=0).clamp(min=1e-6)
    x = (features - mean) / deviation
    weight = torch.zeros(x.shape[1], n_classes, requires_grad=True)
    bias = torch.zeros(n_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight + bias, labels) + decay / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    weight, bias = weight.detach(), bias.detach()
    return lambda new: (new.float() - mean) / deviation @ weight + bias


def _key(model, layer, inputs):
    """A hash of all that the features depend on."""
    digest = hashlib.sha256(repr((type(model).__qualname__, repr(model), layer, torch.get_default_dtype())).encode())
    for name, values in model.state_dict().items():
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode() + _bytes(values))
    for x in inputs:
        digest.update(f"{x.dtype} {tuple(x.shape[1:])}".encode() + _bytes(x))
    return digest.hexdigest()[:32]


def _bytes(values):
    return values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@torch.no_grad()
def _outputs(model, layer, inputs):
    parts = []
    with watching(model, [layer]) as outputs:
        for x in inputs:
            model(x)
            parts.append(output_of(outputs, layer).flatten(1).float().cpu())
    return torch.cat(parts)


def _agree(kept, fresh):
    return kept.shape == fresh.shape and torch.allclose(kept, fresh, **CLOSE)


def _load(path):
    try:
        with np.load(path) as arrays:
            return torch.from_numpy(arrays["features"])
    except Exception:  # absent, or damaged in any way: the features are computed again
        return None


def _keep(path, values):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download.write_whole(path, lambda temporary: np.savez(temporary, features=values.numpy()))
    except OSError:
        pass  # a data home that cannot be written: computed again next time


def _check_images(images):
    if not torch.is_tensor(images) or images.dtype != torch.uint8 or images.ndim != 4:
        got = f"{images.dtype} {described(images)}" if torch.is_tensor(images) else described(images)
        hint = ": pass its .images" if hasattr(images, "images") else ""
        raise ValueError(f"images must be a uint8 tensor (N, 3, H, W), got {got}{hint}")
    if not len(images):
        raise ValueError("there are no pictures to compute features of")


def _checked(preprocess):
    """The function, which then raises ValueError where it does not return a row for each picture."""
    if not callable(preprocess):
        raise ValueError(f"preprocess must be a function of a batch of pictures, got {described(preprocess)}")

    def prepared(part):
        x = preprocess(part)
        if not torch.is_tensor(x) or x.shape[:1] != part.shape[:1]:
            raise ValueError(f"preprocess must return {len(part)} rows for {len(part)} pictures, got {described(x)}")
        return x

    return prepared


def _check_probe(features, labels, n_classes):
    all_tensors(features=features, labels=labels)
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(features):
        shapes = f"{tuple(features.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"features must be (N, D), at least one row, with N labels, got {shapes}")
    if not features.isfinite().all():
        raise ValueError("features must be finite")
    if labels.dtype != torch.int64 or not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise ValueError(f"labels must be int64, from 0 to {n_classes - 1}, one for each class")


def _check(a, b):
    all_tensors(a=a, b=b)
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or not len(a):
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise ValueError(f"features must be (N, D) and (N, E) of the same N pictures, got {shapes}")
    if not (a.isfinite().all() and b.isfinite().all()):
        raise ValueError("features must be finite")
