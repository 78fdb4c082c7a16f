"""Drawings of networks: what stands in them is what the models are."""

import re
from xml.etree import ElementTree

import pytest
import torch
from torch import nn
from torchvision import models as zoo
from torchvision.models.resnet import Bottleneck

from helpers.costs import layer_costs
from helpers.drawing import _boxes, _repeated, below, drawing, short
from helpers.models import LeNet, classic

SVG = "{http://www.w3.org/2000/svg}"


def on(make):
    with torch.device("meta"):
        return make()


def read(svg):
    """(title, description, texts in the order of the boxes)."""
    root = ElementTree.fromstring(svg.data)
    texts = [t.text for t in root.iter(f"{SVG}text")]
    return root.find(f"{SVG}title").text, root.find(f"{SVG}desc").text, texts


def test_the_sheets_network():
    title, said, texts = read(drawing(LeNet(), 32, "The sheet's <network>"))
    assert title == texts[0] == "The sheet's <network>"
    boxes = ["picture", "5×5 conv, 6", "2×2 max pool, stride 2", "5×5 conv, 16", "2×2 max pool, stride 2"]
    boxes += ["dense, 120", "dense, 84", "dense, 10"]
    assert [t for t in texts if t in boxes] == boxes
    assert "6 × 28 × 28, ReLU" in texts and "48.1 k" in texts and "48.0 k" in texts
    assert said.startswith("From the top down: picture, gives 3 × 32 × 32; 5×5 conv, 6, gives 6 × 28 × 28;")


NETWORKS = [
    (classic.AlexNet, 227, ["11×11 conv, 96, stride 4", "5×5 conv, 256, 2 groups", "dense, 4096"]),
    (classic.GoogLeNet, 224, ["Inception, 6 layers", "mean of each map"]),
    (zoo.vgg16, 224, ["3×3 conv, 512", "3 times"]),
    (zoo.resnet50, 224, ["Bottleneck, 4 layers", "Bottleneck, 3 layers", "5 times"]),
    (zoo.mobilenet_v2, 224, ["InvertedResidual, 3 layers"]),
    (zoo.densenet121, 224, ["DenseBlock, 48 layers"]),
    (zoo.convnext_tiny, 224, ["CNBlock, 3 layers", "4×4 conv, 96, stride 4"]),
]


@pytest.mark.parametrize(("make", "size", "words"), NETWORKS, ids=lambda x: getattr(x, "__name__", ""))
def test_networks_of_the_chapter(make, size, words):
    _, _, texts = read(drawing(on(make), size, "A network"))
    assert set(words) <= set(texts)


@pytest.mark.parametrize(("make", "size", "words"), NETWORKS, ids=lambda x: getattr(x, "__name__", ""))
def test_costs_of_the_boxes_add_up(make, size, words):
    model = on(make)
    boxes, rows = _repeated(_boxes(model, (1, 3, size, size), True)), layer_costs(model, size)
    quiet = ("BatchNorm2d", "LayerNorm2d", "LayerNorm")  # in the label of the box above, not in its costs
    inside = [row for row in rows if row.kind not in quiet]
    assert sum(box.multiply_adds for box in boxes) == sum(row.multiply_adds for row in rows)
    found = sum(box.parameters for box in boxes)
    assert sum(row.parameters for row in inside) <= found <= sum(row.parameters for row in rows)


def test_branches_stand_side_by_side():
    svg = drawing(classic.Inception(*classic.BLOCKS["3a"]), (192, 28, 28), "Inception block", blocks=False)
    root = ElementTree.fromstring(svg.data)
    rows = {}
    for rect in list(root.iter(f"{SVG}rect"))[1:]:
        rows.setdefault(rect.get("y"), []).append((float(rect.get("x")), float(rect.get("width"))))
    assert [len(row) for row in rows.values()] == [1, 4, 3, 1]
    for row in rows.values():
        row.sort()
        assert all(x + w < x1 for (x, w), (x1, _) in zip(row, row[1:])), "boxes overlap"
        assert row[0][0] >= 0 and row[-1][0] + row[-1][1] <= 360
    assert "concatenate" in svg.data and "256 × 28 × 28" in svg.data


def test_a_shortcut_passes_by_the_layers():
    boxes = _boxes(Bottleneck(256, 64), (1, 256, 56, 56), False)
    assert [box.label for box in boxes] == ["input", "1×1 conv, 64", "3×3 conv, 64", "1×1 conv, 256", "add"]
    assert boxes[-1].above == [3, 0] and boxes[-1].after == ["ReLU"] and boxes[-2].after == ["norm"]
    assert len(re.findall("<polygon", drawing(Bottleneck(256, 64), (256, 56, 56), "x", blocks=False).data)) == 5


def test_equal_boxes_that_a_path_leads_past_are_not_joined():
    class Past(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

        def forward(self, x):
            y = self.a(x)
            return self.b(y) + y

    assert [box.times for box in _repeated(_boxes(Past(), (1, 2, 4, 4), True))] == [1, 1, 1, 1]


def test_layers_are_told_apart():
    model = nn.Sequential(nn.Conv2d(1, 4, (1, 3), dilation=2), nn.Conv2d(4, 4, 3, groups=4), nn.AvgPool2d(2, 1))
    labels = [box.label for box in _boxes(model, (1, 1, 12, 12), True)]
    assert labels == ["picture", "1×3 conv, 4, dilation 2", "3×3 conv, 4, by map", "2×2 mean pool"]


def test_one_below_the_other():
    first, second = drawing(LeNet(), 32, "First"), drawing(LeNet(), 32, "Second")
    root = ElementTree.fromstring(below(first, second).data)
    parts = root.findall(f"{SVG}svg")
    heights = [float(part.get("height")) for part in parts]
    assert [part.find(f"{SVG}title").text for part in parts] == ["First", "Second"]
    assert float(parts[1].get("y")) == heights[0]
    assert root.get("viewBox") == f"0 0 360 {sum(heights):g}"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1.00 k"), (9995, "10.0 k"), (37_752_832, "37.8 M"), (999_600, "1.00 M"),
     (102_764_544, "103 M"), (15_470_264_320, "15.5 G")],
)  # fmt: skip
def test_short_numbers(number, text):
    assert short(number) == text


def test_what_cannot_be_drawn_is_named():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="must be a torch.nn.Module"):
        drawing("resnet", 224, "x")
    with pytest.raises((ValueError, NotImplementedError)):
        drawing(Branching(), (1, 4, 4), "x")
