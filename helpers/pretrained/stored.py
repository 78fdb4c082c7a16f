"""The networks that travel with the package: `<name>.safetensors`, each with its sha256 in `sha256.json`.

Weights are kept in half precision (what has one dimension, as biases and the statistics of batch normalisation, in
full) with what is needed to use them: architecture, classes, size, mean and deviation of the pictures, recipe.
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from helpers.download import write_whole
from helpers.pretrained.preprocess import Preprocess
from helpers.pretrained.scene import SceneNet

FOLDER = Path(__file__).resolve().parent
SUMS = "sha256.json"
AGAIN = "`git restore helpers/pretrained` in the repository, or a fresh install of the package, brings it back"


def load(name, folder=None):
    """(model in eval mode, classes, preprocess) of `<name>.safetensors`, its sha256 checked first.

    Raises FileNotFoundError for a file that is not there, ValueError for one whose sha256 is not the one stored, each
    naming the file and how to get it again. folder: FOLDER if None. The global random generator stays as it was.
    """
    path = Path(folder or FOLDER) / f"{name}.safetensors"
    _check(path)
    with safe_open(path, "pt") as file:
        meta = {key: json.loads(value) for key, value in file.metadata().items()}
        state = {key: file.get_tensor(key) for key in file.keys()}
    model = build(_network(meta["architecture"]), len(meta["classes"]), **meta["options"])
    model.load_state_dict(state)  # copies into float32
    model.source = meta["source"]
    return model.eval(), tuple(meta["classes"]), Preprocess(meta["size"], tuple(meta["mean"]), tuple(meta["std"]))


def save(name, model, *, classes, preprocess, source, recipe, options=None, folder=None):
    """Write `<name>.safetensors` and its sha256 into `folder` (FOLDER if None), each whole or not; returns the path.

    model: a ResNet18 or SceneNet; options: what it was made with, besides the number of classes. source: a line for
    under figures; recipe: how it was trained, a dict of what JSON can hold.
    """
    path, state = Path(folder or FOLDER) / f"{name}.safetensors", model.state_dict()
    state = {key: value.half() if value.ndim > 1 else value for key, value in state.items()}
    meta = {"architecture": type(model).__name__, "options": options or {}, "classes": list(classes)}
    meta |= {name: getattr(preprocess, name) for name in ("size", "mean", "std")}
    meta |= {"source": source, "recipe": recipe}
    text = {key: json.dumps(value) for key, value in meta.items()}
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    write_whole(path, lambda temporary: save_file(tensors, temporary, text))
    sums = path.with_name(SUMS)
    known = _read(sums) if sums.exists() else {}
    lines = json.dumps(known | {name: _sha256(path)}, indent=2, sort_keys=True) + "\n"
    write_whole(sums, lambda temporary: temporary.write_text(lines, encoding="utf-8"))
    return path


def build(network, *options, **named):
    """network(...) with random weights, drawn without touching the global random generator."""
    with torch.random.fork_rng(devices=[]):
        return network(*options, **named)


def _network(architecture):
    if architecture == "SceneNet":
        return SceneNet
    from helpers.pretrained.resnet import ResNet18  # only now: it brings torchvision, slow to import

    return ResNet18


def _check(path):
    """Raise unless the file is there and its sha256 is the stored one."""
    sums = path.with_name(SUMS)
    for file in (sums, path):
        if not file.is_file():
            raise FileNotFoundError(f"the file {file} is missing: {AGAIN}")
    found, expected = _sha256(path), _read(sums).get(path.stem)
    if found != expected:
        raise ValueError(f"the weights {path} are damaged: their sha256 is {found}, it should be {expected}. {AGAIN}")


def _read(sums):
    try:
        return json.loads(sums.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"the file {sums} is damaged ({error}). {AGAIN}") from error


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
