"""Drawings of networks: what stands in them is what the models are."""

import re
from xml.etree import ElementTree

import pytest
import torch
import torch.nn.functional as F
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


class Called(nn.Module):
    """A module from a function (module, x) and its layers."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.function(self, x)


@pytest.mark.parametrize(("model", "label"), [
    (nn.Sequential(nn.AdaptiveAvgPool2d((2, 3))), "mean pool to 2×3"),
    (nn.Sequential(nn.AdaptiveAvgPool2d((None, 1))), "mean pool to 8×1"),
    (nn.Sequential(nn.AdaptiveAvgPool2d(1)), "mean of each map"),
    (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3)), "mean of each map"),  # refused in training mode
    (Called(lambda self, x: F.adaptive_avg_pool2d(x, 4)), "mean pool to 4×4"),
    (Called(lambda self, x: x.mean((2, 3))), "mean of each map"), (Called(lambda self, x: x.mean(1)), "mean"),
    (nn.Conv2d(3, 5, 3), "3×3 conv, 5"), (nn.Sequential(nn.Conv2d(3, 5, 3)).half(), "3×3 conv, 5"),
    (nn.Sequential(nn.Conv2d(3, 6, 3, groups=3)), "3×3 conv, 6, by map"),
    (nn.Sequential(nn.Conv2d(3, 3, 3, stride=(1, 2))), "3×3 conv, 3, stride (1, 2)"),
])  # fmt: skip
def test_labels_of_single_boxes(model, label):
    assert [box.label for box in _boxes(model, (1, 3, 8, 8), True)] == ["picture", label]


def test_a_layer_by_itself_has_its_costs():
    assert _boxes(nn.Conv2d(3, 5, 3), (1, 3, 8, 8), True)[1].multiply_adds == 36 * 5 * 27


@pytest.mark.parametrize("blocks", [True, False])
def test_what_is_called_twice_costs_twice_and_has_its_parameters_once(blocks):
    block = Called(lambda self, x: self.b(self.a(x)), a=nn.Conv2d(3, 3, 1), b=nn.Conv2d(3, 3, 1))
    model = nn.Sequential(block, block, block)
    boxes, rows = _repeated(_boxes(model, (1, 3, 4, 4), blocks)), layer_costs(model, (3, 4, 4))
    assert sum(box.parameters for box in boxes) == sum(row.parameters for row in rows) == 24
    assert sum(box.multiply_adds for box in boxes) == sum(row.multiply_adds for row in rows) == 6 * 144


def test_a_quiet_layer_behind_a_fork_has_its_own_box():
    """relu(y) and y are both read: the activation is not written into the box of y, nor into that of the picture."""
    model = Called(lambda self, x: (y := self.a(x)) + self.b(y) + self.r(y), a=nn.Conv2d(3, 3, 1), b=nn.Conv2d(3, 3, 1),
                   r=nn.ReLU())  # fmt: skip
    assert [box.label for box in _boxes(model, (1, 3, 4, 4), True)][1:] == ["1×1 conv, 3"] * 2 + ["add", "ReLU", "add"]
    boxes = _boxes(nn.Sequential(nn.ReLU(), nn.Conv2d(3, 3, 1)), (1, 3, 4, 4), True)
    assert [(box.label, box.after) for box in boxes] == [("picture", []), ("ReLU", []), ("1×1 conv, 3", [])]


def test_equal_pools_are_not_joined_and_layers_one_to_ten_not_confused():
    model = nn.Sequential(*(nn.MaxPool2d(3, 1, 1) for _ in range(2)), *(nn.Conv2d(3, 3, 1) for _ in range(9)))
    boxes = _repeated(_boxes(model, (1, 3, 4, 4), True))
    assert [box.times for box in boxes] == [1, 1, 1, 9] and boxes[-1].parameters == 9 * 12


def test_the_longest_bar_is_that_of_the_largest_cost():
    svg = drawing(LeNet(), 32, "x")
    bars = [float(n) for n in re.findall(r'<rect x="254" [^>]*width="([\d.]+)" height="6" fill="#B85C00"', svg.data)]
    sizes = [row.parameters for row in layer_costs(LeNet(), 32) if row.parameters]
    assert bars == pytest.approx([max(98 * n / max(sizes), 1) for n in sizes], abs=0.06)


def test_one_below_the_other():
    first = drawing(LeNet(), 32, "First")
    second = drawing(nn.Sequential(nn.Conv2d(3, 2, 1)), 32, "Second")
    root = ElementTree.fromstring(below(first, second, first).data)
    parts = root.findall(f"{SVG}svg")
    heights = [float(part.get("height")) for part in parts]
    assert [part.find(f"{SVG}title").text for part in parts] == ["First", "Second", "First"]
    assert [float(part.get("y")) for part in parts] == [0, heights[0], heights[0] + heights[1]] and heights[
        0
    ] > heights[1]
    assert root.get("viewBox") == f"0 0 360 {sum(heights):g}"


def test_drawings_in_one_are_named_by_all_titles():
    first = drawing(LeNet(), 32, 'The <first> & "best"')
    second = drawing(nn.Sequential(nn.Conv2d(3, 2, 1)), 32, "Second")
    title, said, _ = read(below(first, second))
    assert title == 'The <first> & "best"; Second'
    assert said == f"{read(first)[1]} {read(second)[1]}"
    assert read(below(below(first, second), second))[0] == 'The <first> & "best"; Second; Second'


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
    with pytest.raises(ValueError, match="at least one drawing"):
        below()


@pytest.mark.parametrize(("size", "title", "words"), [
    (32, None, "title must be text that names the drawing, got None"), (32, 7, "title must be text .* got 7"),
    (32, " ", "title must be text"), ("32", "x", "input_size must be a side .* got '32'"),
    ((1, 32, 32), "x", "on an input of 1x32x32, in layer 'conv1'"),
])  # fmt: skip
def test_what_cannot_be_drawn_of_a_model_is_named(size, title, words):
    with pytest.raises(ValueError, match=words):
        drawing(LeNet(), size, title)


@pytest.mark.parametrize(("given", "kind"), [("a", "str"), ([], "list"), (None, "NoneType"), (0, "int")])
def test_what_is_no_drawing_is_named(given, kind):
    with pytest.raises(ValueError, match=f"as `drawing` returns them, each an argument, got {kind}"):
        below(drawing(LeNet(), 32, "x"), given)


def test_a_foreign_drawing_is_refused():
    foreign = type(drawing(LeNet(), 32, "x"))('<svg viewBox="0 0 9 9"><title>x</title></svg>')
    with pytest.raises(ValueError, match="as `drawing` returns them, each an argument, got SVG"):
        below(foreign)
