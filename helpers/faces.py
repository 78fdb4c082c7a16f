"""Faces drawn by this package: who it is stays fixed, pose, light and expression vary, and both are known exactly.

Nobody is shown: every number is drawn at random. Source: Chapter 12, "Faces of nobody".
"""

import math
from dataclasses import dataclass, replace

import torch

from helpers.arguments import all_tensors, as_float, image_set, whole
from helpers.imageset import ImageSet

SMALLEST = 24  # pixels a side that a face needs
CHUNK = 200  # faces drawn at a time, to bound the memory
REACH = 1.3  # of the picture, from its middle to its border, in half heads
IDENTITY = {  # what stays: name -> range, lengths in half heads, colours as a place in a palette
    "head width": (0.60, 0.82),
    "jaw": (1.7, 3.4),
    "chin": (0.88, 1.12),
    "ears": (0.07, 0.16),
    "skin": (0, 1),
    "eye distance": (0.25, 0.37),
    "eye size": (0.10, 0.16),
    "eye shape": (0.45, 0.85),
    "eye height": (-0.14, 0.06),
    "iris": (0, 1),
    "brow thickness": (0.02, 0.065),
    "brow slope": (-0.35, 0.35),
    "brow height": (0.17, 0.28),
    "nose length": (0.22, 0.42),
    "nose width": (0.07, 0.17),
    "mouth width": (0.17, 0.34),
    "lips": (0.03, 0.08),
    "mouth height": (0.15, 0.27),
    "hair": (0, 1),
    "hairline": (-0.78, -0.42),
    "hair length": (-0.3, 1.2),
    "parting": (-0.5, 0.5),
}
GROUPS = {  # what the people of a group change from picture to picture
    "hair": ("hair", "parting"),
    "make-up": ("brow thickness", "brow slope", "iris", "lips"),
}
VIEW = {  # what varies from picture to picture: angles in radians, shifts in half heads
    "yaw": (-0.5, 0.5),
    "pitch": (-0.25, 0.25),
    "tilt": (-0.2, 0.2),
    "scale": (0.88, 1.06),
    "right": (-0.12, 0.12),
    "down": (-0.12, 0.12),
    "smile": (-1, 1),
    "mouth open": (-0.8, 1),
    "brows raised": (-1, 1),
    "lids open": (0.45, 1),
    "gaze": (-1, 1),
    "light from": (-math.pi, math.pi),
    "light strength": (0, 0.45),
    "brightness": (0.6, 1.1),
    "warmth": (-0.12, 0.12),
    "glasses": (0, 1),  # worn above 0.8
    "ground": (0, 1),
    "clothes": (0, 1),
}
PLAIN = {"scale": 1, "lids open": 0.8, "light strength": 0.15, "light from": -1.6, "brightness": 0.95, "glasses": 0}
SKIN = ((0.98, 0.86, 0.76), (0.90, 0.70, 0.55), (0.70, 0.48, 0.34), (0.40, 0.26, 0.18))
HAIR = ((0.10, 0.08, 0.08), (0.33, 0.20, 0.12), (0.62, 0.26, 0.10), (0.86, 0.70, 0.38), (0.72, 0.72, 0.74))
IRIS = ((0.20, 0.12, 0.06), (0.45, 0.32, 0.12), (0.30, 0.48, 0.25), (0.30, 0.52, 0.75))
CLOTH = ((0.15, 0.20, 0.40), (0.60, 0.15, 0.20), (0.25, 0.45, 0.30), (0.85, 0.85, 0.82), (0.20, 0.20, 0.22))
GROUND = ((0.75, 0.80, 0.85), (0.45, 0.55, 0.50), (0.80, 0.72, 0.60), (0.35, 0.38, 0.50), (0.92, 0.92, 0.90))


@dataclass(frozen=True, repr=False, eq=False)
class Faces(ImageSet):
    """An ImageSet whose classes are people, and which also knows its truth.

    identities: float (N, len(IDENTITY)) and views: float (N, len(VIEW)), from 0 to 1 within the ranges of the tables.
    """

    identities: torch.Tensor
    views: torch.Tensor


def people(n, seed=0):
    """Identities (n, len(IDENTITY)), each number from 0 to 1, the same ones for the same seed.

    Raises ValueError where n is no whole number of at least 1.
    """
    return torch.rand(whole("n", n, 1), len(IDENTITY), generator=torch.Generator().manual_seed(seed))


def changed(identities, group, seed=0):
    """A copy of identities (N, len(IDENTITY)) in which each row has what its group changes drawn anew.

    group: "hair", people who dye and part their hair another way for each picture, or "make-up", people who paint
    brows and lips and wear coloured lenses. Raises ValueError for another group or shape.
    Source: Chapter 12, "A group that is rare in training".
    """
    _check_rows("identities", identities, IDENTITY)
    if group not in GROUPS:
        raise ValueError(f"group must be one of {', '.join(GROUPS)}, or None, got {group!r}")
    columns = [list(IDENTITY).index(name) for name in GROUPS[group]]
    identities = identities.clone()
    identities[:, columns] = torch.rand(len(identities), len(columns), generator=torch.Generator().manual_seed(seed))
    return identities


def random_views(n, seed=0):
    """Views (n, len(VIEW)), each number from 0 to 1. Raises ValueError where n is no whole number of at least 1."""
    return torch.rand(whole("n", n, 1), len(VIEW), generator=torch.Generator().manual_seed(seed))


def view(**settings):
    """One view (1, len(VIEW)): plain, from the front, but for what is named with its value: view(yaw=0.4, smile=1).

    Names are those of `VIEW`, with _ for a space. Raises ValueError for an unknown name and a value out of range.
    """
    values = {name: sum(limits) / 2 for name, limits in VIEW.items()} | PLAIN
    values |= {name.replace("_", " "): value for name, value in settings.items()}
    for name, value in values.items():
        if name not in VIEW or not VIEW[name][0] <= as_float(value) <= VIEW[name][1]:
            raise ValueError(f"{name}={value!r}: views have {', '.join(f'{k} {v}' for k, v in VIEW.items())}")
    return torch.tensor([[(values[name] - low) / (high - low) for name, (low, high) in VIEW.items()]])


def faces(n_people, each=8, size=48, seed=0, group=None):
    """Draw `each` pictures of each of `n_people` people, all of one person after the other; the same for the same seed.

    group: None, or one of those that `changed` knows. Returns `Faces`. Raises ValueError where n_people or each is no
    whole number of at least 1 or size none of at least 24, and for an unknown group.
    Source: Chapter 12, "Faces of nobody".
    """
    n_people, each, size = whole("n_people", n_people, 1), whole("each", each, 1), whole("size", size, SMALLEST)
    labels = torch.arange(n_people).repeat_interleave(each)
    identities = people(n_people, seed)[labels]
    identities = changed(identities, group, seed + 2_000_003) if group is not None else identities
    views = random_views(len(labels), seed + 1_000_003)
    images = draw(identities, views, size, seed)
    names = tuple(f"person {i}" for i in range(n_people))
    return Faces(images, labels, names, f"faces drawn by this book (seed {seed})", identities, views)


def draw(identities, views, size=48, seed=0):
    """Pictures uint8 (N, 3, size, size) of people (N, len(IDENTITY)) in views (N, len(VIEW)), with a little noise.

    One row of either serves for all rows of the other. Raises ValueError for other shapes and other numbers of rows,
    and for a size that is no whole number of at least 24.
    """
    _check_rows("identities", identities, IDENTITY), _check_rows("views", views, VIEW)
    if len(identities) != len(views) and 1 not in (len(identities), len(views)):
        raise ValueError(f"as many views as identities are needed, or one, got {len(views)} and {len(identities)}")
    size = whole("size", size, SMALLEST)
    n, generator = max(len(identities), len(views)), torch.Generator().manual_seed(seed)
    rows = zip(identities.expand(n, -1).split(CHUNK), views.expand(n, -1).split(CHUNK))
    parts = []
    for who, how in rows:
        image = _draw(_scaled(who, IDENTITY), _scaled(how, VIEW), size)
        image = image + 0.02 * torch.randn(image.shape, generator=generator)
        parts.append((image.clamp(0, 1) * 255).round().byte())
    return torch.cat(parts)


def _check_rows(name, values, table):
    all_tensors(**{name: values})
    if values.ndim != 2 or not len(values) or values.shape[1] != len(table):
        raise ValueError(f"{name} must be (N, {len(table)}) with at least one row, got {tuple(values.shape)}")


def split_people(pictures, first, seed=0):
    """Two sets with no person in common: all pictures of `first` people drawn at random, and those of the others.

    Labels and classes are renumbered within each. Raises ValueError unless first is a whole number above 0 and below
    that of the people, and for what is no ImageSet. Source: Chapter 12, "Other people".
    """
    image_set("pictures", pictures)
    n = len(pictures.classes)
    if not 0 < whole("first", first) < n:
        raise ValueError(f"first must be a number of people between 1 and {n - 1}, got {first}")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return tuple(_only(pictures, chosen.sort().values) for chosen in (order[:first], order[first:]))


def _only(pictures, chosen):
    kept = pictures.subset(torch.isin(pictures.labels, chosen))
    names = tuple(pictures.classes[k] for k in chosen.tolist())
    return replace(kept, labels=torch.searchsorted(chosen, kept.labels), classes=names)


def _scaled(values, table):
    """A dict of the table's names, each (N, 1, 1), within its range."""
    return {
        name: (low + (high - low) * values[:, i])[:, None, None] for i, (name, (low, high)) in enumerate(table.items())
    }


def _colour(palette, place):
    """(N, 3, 1, 1): the palette's colours, interpolated at place (N, 1, 1), from 0 to 1."""
    stops = torch.tensor(palette)
    place = place[:, 0, 0] * (len(stops) - 1)
    low = place.long().clamp(max=len(stops) - 2)
    share = (place - low)[:, None]
    return (stops[low] * (1 - share) + stops[low + 1] * share)[..., None, None]


class _Canvas:
    """A picture (N, 3, size, size), painted from back to front; x, y: coordinates of the head, in half heads."""

    def __init__(self, view, size):
        grid = ((torch.arange(size) + 0.5) / size * 2 - 1) * REACH
        across, along = (grid - view["right"]) / view["scale"], (grid[:, None] - view["down"]) / view["scale"]
        cos, sin = view["tilt"].cos(), view["tilt"].sin()
        self.x, self.y = across * cos + along * sin, along * cos - across * sin
        self.pixel = 2 * REACH / size
        self.image = _colour(GROUND, view["ground"]).expand(-1, -1, size, size).clone()
        self.turn, self.nod = view["yaw"].sin(), view["pitch"].sin()
        self.narrow = view["yaw"].cos()

    def paint(self, outside, colour, within=1.0):
        """Colour where `outside`, a distance in half heads, is negative; borders are soft, one pixel wide."""
        cover = (0.5 - outside / self.pixel).clamp(0, 1) * within
        self.image += cover[:, None] * (colour - self.image)
        return cover

    def at(self, x, y, depth):
        """Where a point of the face goes when the head turns: `depth` in front of the axis, in half heads."""
        return x * self.narrow + depth * self.turn, y + depth * self.nod

    def ellipse(self, x, y, width, height):
        radius = (((self.x - x) / width) ** 2 + ((self.y - y) / height) ** 2).sqrt()
        return (radius - 1) * torch.minimum(width, height)


def _draw(who, view, size):
    canvas, skin, hair = _Canvas(view, size), _colour(SKIN, who["skin"]), _colour(HAIR, who["hair"])
    one = torch.ones_like(who["skin"])
    _behind(canvas, who, view, skin, hair, one)
    head = _head(canvas, who)
    covered = canvas.paint(head, skin)
    _nose(canvas, who, skin, covered)
    for side in (-1, 1):
        _eye(canvas, who, view, side, hair, skin)
    _mouth(canvas, who, view, skin)
    _hair(canvas, who, head, hair)
    return _light(canvas, view)


def _behind(canvas, who, view, skin, hair, one):
    """Long hair, neck, clothes and ears."""
    length = (who["hair length"] + 1) / 2
    canvas.paint(canvas.ellipse(0 * one, length - 1.08, who["head width"] + 0.12, length + 0.12), hair * 0.8)
    neck = torch.maximum((canvas.x - 0.2 * canvas.turn).abs() - 0.55 * who["head width"], 0.3 - canvas.y)
    canvas.paint(neck, skin * 0.82)
    canvas.paint(canvas.ellipse(0 * one, 1.75 * one, 1.25 * one, 0.62 * one), _colour(CLOTH, view["clothes"]))
    for side in (-1, 1):
        x, y = canvas.at(side * who["head width"] * 1.03, 0.02 * one, -0.25)
        canvas.paint(canvas.ellipse(x, y, who["ears"], who["ears"] * 1.6), skin * 0.9)


def _head(canvas, who):
    """Distance from the head's outline: an ellipse above, a rounder or squarer jaw below."""
    x, y = canvas.x / who["head width"], canvas.y
    below = torch.where(y > 0, y / who["chin"], y)
    power = torch.where(y > 0, who["jaw"], 2.0)
    return ((x.abs() ** power + below.abs() ** power) ** (1 / power) - 1) * who["head width"]


def _eye(canvas, who, view, side, hair, skin):
    x, y = canvas.at(side * who["eye distance"], who["eye height"], 0.45)
    width, height = who["eye size"] * canvas.narrow, who["eye size"] * who["eye shape"] * view["lids open"]
    open_ = canvas.ellipse(x, y, width, height)
    canvas.paint(open_ - 0.022, skin * 0.45)  # lashes
    white = canvas.paint(open_, torch.tensor([0.96, 0.96, 0.94])[:, None, None])
    radius = 0.62 * who["eye size"] * torch.ones_like(y)
    gazed = x + 0.25 * view["gaze"] * who["eye size"]
    canvas.paint(canvas.ellipse(gazed, y, radius, radius), _colour(IRIS, who["iris"]), white)
    canvas.paint(canvas.ellipse(gazed, y, 0.45 * radius, 0.45 * radius), 0.05, white)
    _brow(canvas, who, view, side, x, y, hair)
    ring = canvas.ellipse(x, y, 1.55 * who["eye size"], 1.35 * who["eye size"]).abs() - 0.025
    bridge = torch.maximum((canvas.y - y).abs() - 0.02, (canvas.x - x / 2).abs() - 0.1)
    canvas.paint(torch.minimum(ring, bridge if side > 0 else ring), 0.12, (view["glasses"] > 0.8).float())


def _brow(canvas, who, view, side, x, y, hair):
    level = y - who["brow height"] - 0.05 * view["brows raised"]
    along = side * (canvas.x - x)
    height = level + who["brow slope"] * along + 1.2 * along**2
    bar = torch.maximum((canvas.y - height).abs() - who["brow thickness"], along.abs() - 1.25 * who["eye size"])
    canvas.paint(bar, hair * 0.6)


def _nose(canvas, who, skin, covered):
    """A shaded side, a tip and two nostrils: the tip is what moves most when the head turns."""
    length, width = who["nose length"], who["nose width"]
    tip = canvas.at(torch.zeros_like(length), who["eye height"] + length, 0.75)
    top = canvas.at(torch.zeros_like(length), who["eye height"] - 0.05, 0.5)
    along = ((canvas.y - top[1]) / (tip[1] - top[1])).clamp(0, 1)
    middle = top[0] + along * (tip[0] - top[0])
    side = torch.maximum(
        (canvas.x - middle - 0.5 * width * along).abs() - 0.03, (canvas.y - (top[1] + tip[1]) / 2).abs() - length / 2
    )
    canvas.paint(side, skin * 0.78, covered)
    canvas.paint(canvas.ellipse(*tip, width, 0.55 * width), skin * 0.88, covered)
    for nostril in (-0.5, 0.5):
        place = tip[0] + nostril * width, tip[1] + 0.2 * width
        canvas.paint(canvas.ellipse(*place, 0.3 * width, 0.22 * width), skin * 0.4, covered)


def _mouth(canvas, who, view, skin):
    level = who["eye height"] + who["nose length"] + who["mouth height"] + 0.08
    x, y = canvas.at(torch.zeros_like(level), level, 0.55)
    width = who["mouth width"] * canvas.narrow * (1 + 0.12 * view["smile"])
    along = (canvas.x - x) / width
    bend = y + 0.09 * view["smile"] * (0.5 - along**2)
    taper = (1 - along**2).clamp(min=0).sqrt()
    gap = 0.09 * view["mouth open"].clamp(min=0)
    ends = (along.abs() - 1) * width
    lips = torch.maximum((canvas.y - bend).abs() - (who["lips"] + gap) * taper, ends)
    canvas.paint(lips, skin * torch.tensor([0.80, 0.50, 0.52])[:, None, None])
    canvas.paint(torch.maximum((canvas.y - bend).abs() - (gap + 0.012) * taper, ends), skin * 0.25)


def _hair(canvas, who, head, hair):
    """What covers the forehead and the sides: it parts where the hairline is highest."""
    away = (canvas.x - 0.3 * canvas.turn - who["parting"] * who["head width"]).abs()
    line = who["hairline"] + 0.25 * canvas.nod + 0.55 * away**2
    canvas.paint(torch.maximum(head - 0.09, canvas.y - line), hair)


def _light(canvas, view):
    """Brighter towards the light, warmer or colder as a whole."""
    towards = canvas.x * view["light from"].cos() + canvas.y * view["light from"].sin()
    shade = view["brightness"] * (1 + view["light strength"] * towards.clamp(-1, 1))
    tint = 1 + view["warmth"][:, None] * torch.tensor([1.0, 0.0, -1.0])[:, None, None]
    return canvas.image * shade[:, None] * tint
