"""What a channel answers to: a planted template is found at its place, its box is the measured receptive field."""

import numpy as np
import pytest
import torch
from explain_cases import NETWORKS, network, normal, pictures, tiny
from torch import nn

from helpers.explain import activations, cut, max_activating_patches
from helpers.receptive import measured_receptive_field

CROSS = torch.tensor([[0.0, 1, 0], [1, 1, 1], [0, 1, 0]])
CORNER = torch.tensor([[1.0, 1, 1], [1, 0, 0], [1, 0, 0]])


def matcher(stride=1, padding=1):
    """Channel 0 answers to a bright cross on dark ground, channel 1 to a corner, 5 and 0 at best for value 1."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3, stride, padding), nn.ReLU(inplace=True))
    model[0].weight.data = torch.stack([CROSS - 2 * (1 - CROSS), CORNER - 2 * (1 - CORNER)])[:, None]
    model[0].bias.data.zero_()
    return model


def planted(places, value=1.0, template=CROSS, size=(12, 10)):
    """A picture for each place (row, column): the template's middle there, on dark ground."""
    images = torch.zeros(len(places), 1, *size)
    for image, (row, column) in zip(images, places):
        image[0, row - 1 : row + 2, column - 1 : column + 2] = template
    return images * torch.as_tensor(value).view(-1, 1, 1, 1)


def test_a_planted_template_is_found_at_its_place():
    places = [(3, 4), (10, 8), (1, 1), (6, 2)]
    images = planted(places, [1, 4, 2, 3])
    found = max_activating_patches(matcher(), images, "0", 0, k=3)[0]
    assert found.values.tolist() == [20, 15, 10] and found.indices.tolist() == [1, 3, 2]
    assert found.places.tolist() == [[10, 8], [6, 2], [1, 1]]
    assert found.boxes.tolist() == [[7, 9, 10, 12], [1, 5, 4, 8], [0, 0, 3, 3]]  # x0 y0 x1 y1
    patches = cut(images[found.indices], found.boxes)
    assert torch.equal(patches[:, 0], CROSS * torch.tensor([4.0, 3, 2]).view(3, 1, 1))


def test_with_a_stride_the_box_is_where_the_window_was():
    # Stride 2, no padding: unit (2, 3) sees rows 4 to 6 and columns 6 to 8, whose middle is (5, 7).
    found = max_activating_patches(matcher(2, 0), planted([(5, 7)]), "1", 0)[0]
    assert found.places.tolist() == [[2, 3]] and found.boxes.tolist() == [[6, 4, 9, 7]] and found.values.tolist() == [5]


def test_a_box_may_stick_out_and_is_filled():
    image = torch.zeros(1, 1, 6, 6)
    image[0, 0, 0, :2] = image[0, 0, :2, 0] = 1  # the corner's last four of its pixels; the best unit lies beyond
    image[0, 0, 0, 0] = 2
    found = max_activating_patches(matcher(), image, "0", 0)[0]
    assert (
        found.places.tolist() == [[0, 0]] and found.boxes.tolist() == [[-1, -1, 2, 2]] and found.values.tolist() == [4]
    )
    assert cut(image, found.boxes, fill=9.0).tolist() == [[[[9, 9, 9], [9, 2, 1], [9, 1, 0]]]]


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "mobilenet_v2"])
def test_boxes_are_measured_receptive_fields(name):
    model, x, layer = network(name), pictures(name, 2), NETWORKS[name][1][2]
    field, before = measured_receptive_field(model, layer, x.shape[1:]), x.clone()
    for channel, found in max_activating_patches(model, x, layer, [0, 5], batch_size=1).items():
        maps = activations(model, x, layer)[layer][:, channel]
        for value, i, (row, column), box in zip(found.values, *(part.tolist() for part in found[1:])):
            assert maps[i, row, column] == value == maps[i].max()
            y, x0 = row * field.stride[0] - field.padding[0], column * field.stride[1] - field.padding[1]
            assert box == [x0, y, x0 + field.size[1], y + field.size[0]]
    assert torch.equal(x, before)


def test_only_what_lies_in_the_box_matters():
    model, x = tiny(), normal(3, 3, 24, 20)
    found = max_activating_patches(model, x, "conv2", 2, k=1)[2]
    (x0, y0, x1, y1), (row, column), i = found.boxes[0].tolist(), found.places[0], found.indices[0]
    inside = torch.zeros(24, 20, dtype=torch.bool)
    inside[max(y0, 0) : y1, max(x0, 0) : x1] = True
    assert not inside.all()
    for kept in (inside, ~inside):
        value = activations(model, torch.where(kept, x, -x)[i : i + 1], "conv2")["conv2"][0, 2, row, column]
        assert (value == found.values[0]) == (kept is inside)


def test_many_units_are_as_each_alone_whatever_the_batch():
    model, x = tiny(), normal(7, 3, 16, 12)
    both = max_activating_patches(model, x, "relu", [3, 0], k=4)
    assert list(both) == [3, 0]
    for unit in (0, 3):
        for batch_size in (1, 2, 7, 100):
            alone = max_activating_patches(model, x, "relu", unit, k=4, batch_size=batch_size)[unit]
            assert all(torch.equal(a, b) for a, b in zip(alone, both[unit]))
        assert (both[unit].values.diff() <= 0).all() and len(set(both[unit].indices.tolist())) == 4
    for units in (range(2), np.arange(2), torch.arange(2), (0, 1)):
        assert list(max_activating_patches(model, x, "relu", units)) == [0, 1]
    assert list(max_activating_patches(model, x, "relu", np.int64(2))) == [2]


def test_no_more_than_there_are_pictures_and_equal_answers_in_their_order():
    images = planted([(4, 4)] * 40)
    found = max_activating_patches(matcher(), images, "0", 0, k=99, batch_size=7)[0]
    assert found.indices.tolist() == list(range(40)) and found.values.tolist() == [5] * 40
    few = max_activating_patches(matcher(), torch.cat([images[:20] * 0, images]), "0", 0, k=5)[0]
    assert few.indices.tolist() == [20, 21, 22, 23, 24]
    twice = planted([(3, 3)])
    twice[0, :, 7:10, 4:7] = CROSS
    assert max_activating_patches(matcher(), twice, "0", 0)[0].places.tolist() == [[3, 3]], "the first of equal places"


def test_what_the_model_is_given():
    images = (planted([(3, 4), (6, 6)]) * 255).byte()
    assert max_activating_patches(matcher(), images, "0", 0)[0].values.tolist() == [5, 5], "bytes are read as 0 to 1"
    doubled = max_activating_patches(matcher(), images, "0", 0, preprocess=lambda b: b.float().repeat(1, 1, 2, 2) / 51)[
        0
    ]
    assert doubled.values.tolist() == [25, 25] and doubled.boxes[0].tolist() == [3, 2, 6, 5]
    pictures = images.float() - 100
    in_place = nn.Sequential(nn.ReLU(inplace=True), *matcher())
    assert torch.equal(max_activating_patches(in_place, pictures, "1", 0)[0].values, torch.tensor([775.0, 775.0]))
    assert torch.equal(pictures, images.float() - 100)


def test_a_layer_that_sees_all_has_the_whole_picture_as_its_box():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1)).double()
    assert max_activating_patches(model, normal(1, 3, 9, 7), "2", 1)[1].boxes.tolist() == [[0, 0, 7, 9]]


@pytest.mark.parametrize(
    "layer, units, settings, message",
    [
        ("fc", 0, {}, r"layer 'fc' has no places: its output is \(2, 5\), not \(N, K, h, w\)"),
        ("conv2", 4, {}, r"layer 'conv2' has channels 0 to 3, got \[4\]"),
        ("conv2", [0, -1], {}, "a unit must be a whole number of at least 0, got -1"),
        ("conv2", "0", {}, "a unit must be a whole number of at least 0, got '0'"),
        ("conv2", [0, 1.5], {}, "a unit must be a whole number of at least 0, got 1.5"),
        (
            "conv2",
            0,
            {"preprocess": lambda x: x.int()},
            "what preprocess makes of the images must be a float tensor.*int32",
        ),
        ("conv2", 0, {"preprocess": lambda x: x / 0}, "what preprocess makes of the images holds nan or infinite"),
        ("conv4", 0, {}, "no layer 'conv4' in this Tiny; did you mean conv2, conv1"),
        ("conv2", 0, {"k": 0}, "k must be a whole number of at least 1, got 0"),
        ("conv2", 0, {"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    ],
)
def test_refusals(layer, units, settings, message):
    with pytest.raises(ValueError, match=message):
        max_activating_patches(tiny(), normal(2, 3, 16, 12), layer, units, **settings)


def test_no_pictures():
    with pytest.raises(ValueError, match=r"of at least one picture, got \(0, 3, 16, 12\)"):
        max_activating_patches(tiny(), normal(0, 3, 16, 12), "conv2", 0)


# Cutting


def test_cut_at_every_border_and_beyond():
    picture = torch.arange(12.0).view(1, 1, 3, 4).expand(2, 2, 3, 4)
    boxes = {
        (1, 0, 3, 2): [[1, 2], [5, 6]],
        (3, 2, 5, 4): [[11, -1], [-1, -1]],
        (-1, -1, 1, 1): [[-1, -1], [-1, 0]],
        (-1, 1, 1, 3): [[-1, 4], [-1, 8]],
        (4, 0, 6, 2): [[-1, -1], [-1, -1]],
        (0, -3, 2, -1): [[-1, -1], [-1, -1]],
        (-3, 0, -1, 2): [[-1, -1], [-1, -1]],
        (-7, 9, -5, 11): [[-1, -1], [-1, -1]],
    }
    for box, expected in boxes.items():
        made = cut(picture, torch.tensor([box, (0, 0, 2, 2)]), fill=-1.0)
        assert made[0].tolist() == [expected] * 2 and made[1].tolist() == [[[0, 1], [4, 5]]] * 2
    larger = cut(picture[:1], torch.tensor([[-1, -1, 5, 4]]))
    assert larger.shape == (1, 2, 5, 6) and torch.equal(larger[:, :, 1:4, 1:5], picture[:1])
    assert larger.sum() == 2 * (66 + 0.5 * 18)
    assert torch.equal(cut(picture[:1], [(-1, -1, 5, 4)]), larger), "boxes as a list"


def test_cut_keeps_the_type_and_refuses():
    assert cut(torch.zeros(1, 3, 4, 4, dtype=torch.float64), torch.tensor([[0, 0, 1, 1]])).dtype == torch.float64
    for boxes, n in (([[0, 0, 2, 2], [0, 0, 3, 2]], 2), ([[0, 0, 2, 2]], 2)):
        with pytest.raises(ValueError, match=f"{n} pictures need as many boxes, all of one size: got {len(boxes)}"):
            cut(torch.zeros(n, 3, 4, 4), torch.tensor(boxes))


def test_grey_beyond_the_border_of_bytes_too():
    made = cut(torch.full((1, 1, 2, 2), 200, dtype=torch.uint8), torch.tensor([[-1, 0, 1, 2]]))
    assert made.tolist() == [[[[128, 200], [128, 200]]]]
