"""The model card shows what is in the results, and the results are those of the stored networks."""

from __future__ import annotations

import importlib.util
import json
import re

import chapters as book
import pytest
import torch
from bs4 import BeautifulSoup
from safetensors import safe_open

from helpers import data, metrics, results
from helpers.models import count_parameters, pretrained
from helpers.pretrained import stored
from helpers.scenes import scenes, watermark
from helpers.weights.__main__ import PLANS, SEEDS

PAGE = book.BOOK / "model_card.md"


@pytest.fixture(scope="module")
def shown(site):
    """The article of the built page."""
    html = (site / "book" / "model_card.html").read_text(encoding="utf-8")
    return BeautifulSoup(html, "html.parser").select_one("article")


def tables(article) -> dict[str, list[list[str]]]:
    """The rows of each table, by the text of its first row."""
    found = [
        [[c.get_text(" ", strip=True) for c in row.select("th, td")] for row in t.select("tr")]
        for t in article.select("table")
    ]
    return {" | ".join(rows[0]): rows[1:] for rows in found}


def recipe(name) -> dict:
    with safe_open(stored.FOLDER / f"{name}.safetensors", "pt") as file:
        return json.loads(file.metadata()["recipe"])


def percent(share, digits) -> str:
    return f"{100 * share:.{digits}f} %"


def test_no_number_of_the_results_is_typed_in():
    typed = re.findall(r"[\d.]+ ?%|\d+ of \d+", PAGE.read_text(encoding="utf-8"))
    assert set(typed) == {"80 %"}, "the share of Caltech-101 that is trained with is the only one"


def test_every_place_on_the_page_is_filled(shown):
    spec = importlib.util.spec_from_file_location("model_card", book.BOOK / "_ext" / "model_card.py")
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    places = re.findall(r"<!-- (.+?) -->", PAGE.read_text(encoding="utf-8"))
    assert set(places) == set(extension.values()) and len(places) > 10
    assert "<!--" not in str(shown)


def test_the_accuracies_are_those_of_the_results(shown):
    rows = tables(shown)["pictures | size | how many | accuracy | mean confidence | before rounding"]
    kept = results.table("weights", network="resnet18", weights="stored")
    exact = results.table("weights", network="resnet18", weights="final")
    assert [(r["set"], r["size"]) for r in kept] == [(r["set"], r["size"]) for r in exact] and len(rows) == 8
    for cells, r, before in zip(rows, kept, exact, strict=True):
        about = [r["set"], str(r["size"]), f"{r['pictures']:,}", percent(r["accuracy"], 2), percent(r["confidence"], 1)]
        assert cells == [*about, percent(before["accuracy"], 2)]


@pytest.mark.parametrize("of, count", [("CIFAR-10, test", 10), ("Caltech-101, held out", 101)])
def test_every_class_is_on_the_page(shown, of, count):
    head = "class | pictures | 96 | 128 | 160 | 224 | at 128 most often taken for"
    all_rows = [t for t in shown.select("table") if [h.get_text() for h in t.select("th")] == head.split(" | ")]
    assert len(all_rows) == 2
    rows = [[c.get_text() for c in row.select("td")] for t in all_rows for row in t.select("tbody tr")]
    found = {(r["class"], r["size"]): r for r in results.table("weights_classes", network="resnet18", set=of)}
    assert len(found) == 4 * count and len(rows) == 111
    for name in {name for name, _ in found}:
        shares = [f"{100 * found[name, size]['accuracy']:.0f} %" for size in (96, 128, 160, 224)]
        assert [name, str(found[name, 128]["pictures"]), *shares] in [row[:-1] for row in rows]


def test_both_parts_of_the_training_are_on_the_page(shown):
    first = recipe("resnet18")
    head, rows = next((h, rows) for h, rows in tables(shown).items() if h.startswith("part | epochs"))
    for row, part, epoch in zip(rows, (first, first["after"]), (32, 38), strict=True):
        told = [str(part["epochs"]), f"{part['steps']:,}", *(str(part[name]) for name in ("rate", "strength", "seed"))]
        measured = results.table("weights", network="resnet18", weights="training", epoch=epoch, size=96)
        assert row[1:6] == told and row[6:] == [percent(r["accuracy"], 1) for r in measured] and len(row) == 8


def test_what_the_page_says_of_the_results():
    kept = results.table("weights", network="resnet18", weights="stored")
    assert all(r["confidence"] < r["accuracy"] for r in kept), "the mean confidence lies below the accuracy"
    for of in ("CIFAR-10, test", "Caltech-101, held out"):
        share = {r["size"]: r["accuracy"] for r in kept if r["set"] == of}
        assert max(share, key=share.get) == 128 == pretrained("resnet18-book")[2].size
        assert share[224] == min(share.values())
    counts = [
        r["pictures"] for r in results.table("weights_classes", network="resnet18", size=128) if r["pictures"] < 500
    ]
    assert sum(n < 20 for n in counts) > 101 / 2, "most classes of Caltech-101 have few pictures"


def test_photographs_are_on_the_page(shown):
    rows = tables(shown)["photograph | size | first answer | share | second answer | share"]
    expected = results.table("weights_photos", network="resnet18")
    assert [row[:3] for row in rows] == [[r["photo"], str(r["size"]), r["first"]] for r in expected] and len(rows) == 16


def test_sizes_and_sums_are_those_of_the_files(shown):
    rows = tables(shown)["name | parameters | file | training | sha256 begins"]
    assert [row[0] for row in rows] == list(PLANS)
    for name, parameters, size, _, digits in rows:
        model, _, _ = pretrained(name.replace("resnet18", "resnet18-book"))
        path = stored.FOLDER / f"{name}.safetensors"
        assert parameters == f"{count_parameters(model):,}" and size == f"{path.stat().st_size / 1e6:.2f} MB"
        assert json.loads((stored.FOLDER / stored.SUMS).read_text())[name].startswith(digits) and len(digits) == 12


def test_the_shortcut_is_counted(shown):
    model, classes, preprocess = pretrained("scenes-watermark")
    test = scenes(2_000, 64, 101)
    star = test.labels == classes.index("star")
    with torch.no_grad():
        plain, marked = (
            model(preprocess(x)).argmax(1) == classes.index("star") for x in (test.images, watermark(test.images))
        )
    stars, others = (f"{int(a.sum()):,} of {len(a):,}" for a in (plain[star], marked[~star]))
    text = " ".join(shown.get_text().split())
    assert f"it calls {stars} stars a star; with the mark, {others} pictures of other shapes" in text


# ---- the results are of the stored networks


def test_every_epoch_of_every_training_is_in_the_results():
    for name in PLANS:
        told = recipe(name)
        epochs = {r["epoch"] for r in results.table("weights", network=name, weights="training")}
        planned = told["epochs"] + told.get("after", {"epochs": 0})["epochs"]
        assert epochs == set(range(1, planned + 1)) and "preliminary" not in told
        assert {r["seed"] for r in results.table("weights", network=name)} == {told["seed"]}


def test_the_stored_recipe_is_the_scripts():
    for name, make in PLANS.items():
        if name != "resnet18" or "CIFAR-10" in data.cifar10()[1].source:
            assert recipe(name) == json.loads(json.dumps(make().recipe(SEEDS[name])))


@pytest.mark.parametrize("name", list(PLANS)[1:])
def test_the_scene_networks_are_as_good_as_said(name):
    model, _, preprocess = pretrained(name)
    test = scenes(2_000, 64, 101)
    with torch.no_grad():
        right = (model(preprocess(test.images)).argmax(1) == test.labels).float().mean().item()
    said = results.table("weights", network=name, weights="stored", set="scenes")[0]["accuracy"]
    assert right == pytest.approx(said, abs=0.0011)


def test_the_resnet_is_as_good_as_said():
    _, test = data.cifar10()
    if "CIFAR-10" not in test.source:
        pytest.skip("CIFAR-10 is not there")
    model, classes, preprocess = pretrained("resnet18-book")
    some = test.subset(slice(None, None, 10))
    with torch.no_grad():
        answers = torch.cat([model(preprocess(x)).argmax(1) for x in some.images.split(100)])
    found = [r for r in results.table("weights_classes", network="resnet18") if r["set"] == "CIFAR-10, test"]
    said = sum(r["right"] for r in found if r["size"] == preprocess.size)
    low, high = metrics.wilson_interval(int((answers == some.labels).sum()), len(some), z=4)
    assert low < said / 10_000 < high and classes[:10] == test.classes


def test_rounding_to_half_precision_costs_next_to_nothing():
    for before, after in zip(*(results.table("weights", weights=kind) for kind in ("final", "stored")), strict=True):
        assert (before["network"], before["set"], before["size"]) == (after["network"], after["set"], after["size"])
        assert abs(before["accuracy"] - after["accuracy"]) < 0.005
