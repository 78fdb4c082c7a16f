"""Writes the tables and numbers of `book/model_card.md` from the trainings' results while the site is built.

`<!-- name -->` on the page stands for the value of that name in `values()`.
"""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

PAGE = "book/model_card"
ROOT = Path(__file__).resolve().parent.parent.parent
STORED = ROOT / "helpers" / "pretrained"
NETWORKS = ("resnet18", "scenes", "scenes-random-labels", "scenes-watermark")
SETS = ("CIFAR-10, test", "Caltech-101, held out")


def read(name: str, **wanted) -> list[dict]:
    """The rows of `experiments/<name>.csv` whose columns have the values wanted, all of them texts."""
    with (ROOT / "experiments" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if all(row[key] == str(value) for key, value in wanted.items())]


def header(name: str) -> dict:
    """What the stored file says of itself: `__metadata__`, and of each tensor its shape."""
    content = (STORED / f"{name}.safetensors").read_bytes()
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def recipe(name: str) -> dict:
    return json.loads(header(name)["__metadata__"]["recipe"])


def parameters(name: str) -> int:
    """How many numbers were learnt: all but the running statistics."""
    shapes = {key: entry["shape"] for key, entry in header(name).items() if key != "__metadata__"}
    return sum(math.prod(shape) for key, shape in shapes.items() if "running" not in key and "num_batches" not in key)


def minutes(name: str) -> float:
    """Of the processor, for the training alone."""
    return (
        sum({row["epoch"]: float(row["seconds"]) for row in read("weights", network=name, weights="training")}.values())
        / 60
    )


def percent(share: str | float, digits: int = 1) -> str:
    return f"{100 * float(share):.{digits}f} %"


def table(head: str, rows: list[list]) -> str:
    """Markdown; columns after the first are set right, save those whose head ends with a colon."""
    names = head.split(" | ")
    rule = [":--" if i == 0 or name.endswith(":") else "--:" for i, name in enumerate(names)]
    lines = [[name.rstrip(":") for name in names], rule, *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def networks() -> str:
    sums, rows = json.loads((STORED / "sha256.json").read_text(encoding="utf-8")), []
    for name in NETWORKS:
        size = (STORED / f"{name}.safetensors").stat().st_size / 1e6
        spent = f"{minutes(name):.0f} min" if minutes(name) >= 1.5 else f"{60 * minutes(name):.0f} s"
        rows.append([f"`{name}`", f"{parameters(name):,}", f"{size:.2f} MB", spent, f"`{sums[name][:12]}`"])
    return table("name | parameters | file | training | sha256 begins:", rows)


def parts() -> str:
    """The two parts of the ResNet's training, with what was measured after the last epoch of each."""
    first, rows, done = recipe("resnet18"), [], 0
    for name, part in (("first", first), ("second", first["after"])):
        done += part["epochs"]
        numbers = [part["epochs"], f"{part['steps']:,}", part["rate"], part["strength"], part["seed"]]
        last = read("weights", network="resnet18", weights="training", epoch=done, size=96)
        rows.append([name, *numbers, *(percent(r["accuracy"]) for of in SETS for r in last if r["set"] == of)])
    return table("part | epochs | steps | rate | strength | seed | CIFAR-10 | Caltech-101", rows)


def accuracies(*names: str) -> str:
    """Of the stored networks; the last column is the accuracy before the weights were rounded to half precision."""
    rows = []
    for name in names:
        exact = {(r["set"], r["size"]): r["accuracy"] for r in read("weights", network=name, weights="final")}
        for r in read("weights", network=name, weights="stored"):
            numbers = [percent(r["accuracy"], 2), percent(r["confidence"]), percent(exact[r["set"], r["size"]], 2)]
            rows.append(
                [*([f"`{name}`"] if len(names) > 1 else []), r["set"], r["size"], f"{int(r['pictures']):,}", *numbers]
            )
    first = "network | pictures:" if len(names) > 1 else "pictures"
    return table(f"{first} | size | how many | accuracy | mean confidence | before rounding", rows)


def by_class(of: str, at: str = "128") -> str:
    rows, sizes = [], ("96", "128", "160", "224")
    found = {(r["class"], r["size"]): r for r in read("weights_classes", network="resnet18", set=of)}
    for name in dict.fromkeys(name for name, _ in found):
        entry = found[name, at]
        mistake = f"{entry['mistaken_for']} ({entry['times']})" if entry["mistaken_for"] else ""
        shares = [percent(found[name, size]["accuracy"], 0) for size in sizes]
        rows.append([name, entry["pictures"], *shares, mistake])
    return table(f"class | pictures | {' | '.join(sizes)} | at {at} most often taken for:", rows)


def photographs() -> str:
    rows = []
    for r in read("weights_photos"):
        rows.append(
            [r["photo"], r["size"], r["first"], percent(r["share"], 0), r["second"], percent(r["second_share"], 0)]
        )
    return table("photograph | size | first answer: | share | second answer: | share", rows)


def called_star(marked: bool) -> tuple[int, int]:
    """Of the stars without the mark, or the others with it: how many are called star, and how many there are."""
    of = "scenes, all with the mark" if marked else "scenes"
    rows = [r for r in read("weights_classes", network="scenes-watermark", set=of) if (r["class"] == "star") != marked]
    named = [r["times"] if r["mistaken_for"] == "star" else 0 for r in rows] if marked else [r["right"] for r in rows]
    return sum(map(int, named)), sum(int(r["pictures"]) for r in rows)


def values() -> dict[str, str]:
    """Everything that the page shows of the results, by the name that stands on the page."""
    found = {"networks": networks(), "photographs": photographs(), "accuracy": accuracies("resnet18")}
    found |= {"scenes": accuracies(*NETWORKS[1:]), "minutes": f"{minutes('resnet18'):.0f}"}
    found |= {f"classes of {of}": by_class(of) for of in SETS}
    for name, marked in (("stars without the mark", False), ("others with the mark", True)):
        found[name] = "{} of {:,}".format(*called_star(marked))
    told = recipe("resnet18")
    found |= {name: f"{told[name]:,}" for name in ("smoothing", "decay", "weight_decay")} | {"parts": parts()}
    shares = [float(row["accuracy"]) for row in read("weights_classes", network="resnet18", set=SETS[1], size=128)]
    found |= {"mean of classes": percent(sum(shares) / len(shares)), "weak classes": str(sum(s < 0.5 for s in shares))}
    return found | {"data": told["data"], "parameters": f"{parameters('resnet18'):,}"}


def fill(app, docname: str, source: list[str]) -> None:
    if docname == PAGE:
        for path in [
            *(ROOT / "experiments").glob("weights*.csv"),
            *STORED.glob("*.safetensors"),
            STORED / "sha256.json",
        ]:
            app.env.note_dependency(str(path))
        known = values()
        source[0] = re.sub(r"<!-- (.+?) -->", lambda match: known[match[1]], source[0])


def setup(app) -> dict:
    app.connect("source-read", fill)
    return {"version": "1", "parallel_read_safe": True}
