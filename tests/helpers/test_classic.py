"""The networks of the papers, against the numbers that the papers print."""

import pytest
import torch
from torchvision import models as zoo

from helpers.costs import layer_costs, on_meta
from helpers.models import LeNet, classic, count_parameters
from helpers.models.classic import AlexNet, GoogLeNet, Inception, LeNet5, ZFNet


def on(model):
    """The model made on the meta device: VGG's size costs nothing."""
    with torch.device("meta"):
        return model()


def outputs(model, size, *names):
    rows = {row.name: row.output for row in layer_costs(on(model), size)}
    return [rows[name] for name in names]


def test_lenet5_has_the_papers_parameters():
    model = LeNet5()
    parts = {name: count_parameters(getattr(model, name)) for name in ("c1", "s2", "c3", "s4", "c5", "f6")}
    assert parts == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}  # section II.B
    assert count_parameters(model) == 60_000
    assert count_parameters(LeNet(in_channels=1)) == 61_706  # the usual re-implementation


def test_lenet5_has_the_papers_connections():
    """Weights and biases, each as often as it is used: 122,304, 5,880, 151,600, 2,000, 48,120, and 340,908 in all."""
    c3 = sum(25 * len(inputs) + 1 for inputs in classic.C3) * 10 * 10
    layers = [156 * 28 * 28, 6 * 5 * 14 * 14, c3, 16 * 5 * 5 * 5, 48_120, 121 * 84, 84 * 10]
    assert layers[:5] == [122_304, 5_880, 151_600, 2_000, 48_120]
    assert sum(layers) == 340_908
    rows = {row.name: row for row in layer_costs(LeNet5(), (1, 32, 32))}
    assert rows["c1"].multiply_adds == 122_304 - 6 * 28 * 28
    assert sum(row.multiply_adds for name, row in rows.items() if name.startswith("c3.")) == 151_600 - 1600
    assert rows["c1"].output == (6, 28, 28) and rows["s4.1"].output == (16, 5, 5) and rows["c5"].output == (120, 1, 1)


def test_each_map_of_c3_reads_the_maps_of_its_line():
    crosses = ["X   XXX  XXXX XX", "XX   XXX  XXXX X", "XXX   XXX  X XXX", " XXX  XXXX  X XX", "  XXX  XXXX XX X",
               "   XXX  XXXX XXX"]  # table I  # fmt: skip
    rows = ["".join("X" if i in inputs else " " for inputs in classic.C3) for i in range(6)]
    assert rows == crosses
    layer, x = LeNet5().c3, torch.rand(1, 6, 5, 5, requires_grad=True)
    for k, inputs in enumerate(classic.C3):
        (g,) = torch.autograd.grad(layer(x)[0, k].sum(), x)
        assert g.abs().sum((0, 2, 3)).nonzero().flatten().tolist() == sorted(inputs)


def test_lenet5_answers_with_the_nearest_code():
    model = LeNet5()
    assert model(torch.rand(3, 1, 32, 32)).shape == (3, 10)
    assert torch.equal(model.output(model.output.codes).argmax(1), torch.arange(10))
    torch.testing.assert_close(
        classic.Squash()(torch.tensor([-1.0, 0, 1])), torch.tensor([-1.0, 0, 1]), atol=1e-4, rtol=0
    )


def test_codes_are_signs_far_apart_the_same_each_time_and_not_trained():
    codes = LeNet5().output.codes
    assert set(codes.flatten().tolist()) == {-1, 1} and torch.equal(codes, LeNet5().output.codes)
    assert torch.cdist(codes, codes).fill_diagonal_(99).min() > 8
    x = torch.zeros(1, 84)
    x[0, 0] = 3 * codes[4, 0]
    expected = -(83 + (3 * codes[4, 0] - codes[:, 0]) ** 2)
    torch.testing.assert_close(LeNet5().output(x)[0], expected)


def test_squashing_by_hand():
    x = torch.tensor([0.5, 2.0])
    torch.testing.assert_close(classic.Squash()(x), torch.tensor([0.5517, 1.4929]), atol=1e-4, rtol=0)


def test_subsampling_takes_the_mean():
    layer, x = LeNet5().s2, torch.rand(1, 6, 4, 4)
    torch.testing.assert_close(layer[0](x)[..., 0, 0], x[..., :2, :2].mean((2, 3)))


def test_local_normalisation_is_the_papers_formula():
    """Section 3.3 of Krizhevsky et al. (2012): a_i / (2 + 1e-4 sum of a_j^2, j from i - 2 to i + 2)^0.75."""
    x = 300 * torch.rand(1, 7, 1, 1, generator=torch.Generator().manual_seed(0))
    sums = [(x[:, max(i - 2, 0) : i + 3] ** 2).sum() for i in range(7)]
    expected = x / (2 + 1e-4 * torch.stack(sums).view(1, 7, 1, 1)) ** 0.75
    torch.testing.assert_close(on(AlexNet).norm1(x), expected)


KINDS = {"Conv2d": "C", "ReLU": "R", "LocalResponseNorm": "N", "MaxPool2d": "P", "Dropout": "D", "Linear": "L"}
KINDS |= {"Squash": "S", "Sequential": "M", "PartialConvolution": "C", "Inception": "I", "AdaptiveAvgPool2d": "A"}


@pytest.mark.parametrize(("make", "order"), [
    (AlexNet, "CRNP CRNP CR CR CRP DLR DLR L"), (ZFNet, "CRPN CRPN CR CR CRP DLR DLR L"),
    (GoogLeNet, "MPN MMNP II P IIIII P II ADL"), (LeNet5, "CSMS CSMS CS LS"),
])  # fmt: skip
def test_layers_follow_each_other_as_in_the_paper(make, order):
    model = on(make)
    found = "".join(KINDS.get(type(layer).__name__, "") for layer in model)
    assert found == order.replace(" ", "")
    assert {m.p for m in model if isinstance(m, torch.nn.Dropout)} <= ({0.4} if make is GoogLeNet else {0.5})


def test_alexnet_has_the_papers_neurons_but_for_the_first_layer():
    """Section 3.5: 253,440, 186,624, 64,896, 64,896, 43,264, 4096, 4096, 1000; the first is not 55 * 55 * 96."""
    names = [*(f"conv{i}" for i in range(1, 6)), "fc6", "fc7", "fc8"]
    neurons = [torch.Size(shape).numel() for shape in outputs(AlexNet, 227, *names)]
    assert neurons == [55 * 55 * 96, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert count_parameters(on(AlexNet)) == 60_965_224
    assert count_parameters(on(zoo.alexnet)) == 61_100_840


def test_alexnets_columns_meet_in_the_third_layer_only():
    model = on(AlexNet)
    assert [getattr(model, f"conv{i}").groups for i in range(1, 6)] == [1, 2, 1, 2, 2]


@pytest.mark.parametrize("maps", [(384, 384, 256), (512, 1024, 512)])
def test_zfnet_has_the_papers_sizes(maps):
    names = ["conv1", "pool1", "conv2", "pool2", "conv3", "conv5", "pool5"]
    shapes = outputs(lambda: ZFNet(maps=maps), 224, *names)
    assert [side for _, _, side in shapes] == [110, 55, 26, 13, 13, 13, 6]  # figure 3
    assert [maps for maps, _, _ in shapes] == [96, 96, 256, 256, maps[0], maps[2], maps[2]]


def test_zfnet_counted_by_hand():
    layers = [(3, 96, 7), (96, 256, 5), (256, 384, 3), (384, 384, 3), (384, 256, 3), (256, 4096, 6)]
    layers += [(4096, 4096, 1), (4096, 1000, 1)]
    assert count_parameters(on(ZFNet)) == sum(a * b * f * f + b for a, b, f in layers) == 62_357_608
    with pytest.raises(ValueError, match="three numbers"):
        ZFNet(maps=(384, 256))


# Table 1 of Szegedy et al. (2015): parameters in units of 1024, multiply-adds in millions.
PAPER = {"3a": (159, 128), "3b": (380, 304), "4a": (364, 73), "4b": (437, 88), "4c": (463, 100)}
PAPER |= {"4d": (580, 119), "4e": (840, 170), "5a": (1072, 54), "5b": (1388, 71)}


def test_googlenets_blocks_cost_what_the_paper_says():
    """But for two that the table prints with other numbers than its own widths give."""
    rows = layer_costs(on(GoogLeNet), 224)
    for name, (kilo, mega) in PAPER.items():
        block = [row for row in rows if row.name.startswith(f"inception{name}.")]
        weights = sum(row.parameters - row.output[0] for row in block if row.kind == "Conv2d")  # without biases
        assert weights / 1024 == pytest.approx(kilo, rel=0.08 if name in ("4c", "5a") else 0.02), name
        products = sum(row.multiply_adds for row in block) / 1e6
        assert products == pytest.approx(mega, rel=0.06 if name == "5a" else 0.01), name


def test_googlenet_is_the_papers_and_torchvisions_but_for_its_five_by_five():
    model, theirs = on(GoogLeNet), on(lambda: zoo.googlenet(aux_logits=False, init_weights=False))
    assert count_parameters(model) == 6_998_552

    def weights(network, skip):
        layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
        return [m.weight.shape for m in layers if m.kernel_size[0] not in skip]

    assert weights(model, (3, 5)) == weights(theirs, (3, 5))
    assert sum(m.kernel_size == (5, 5) for m in model.modules() if isinstance(m, torch.nn.Conv2d)) == 9
    assert not any(m.kernel_size == (5, 5) for m in theirs.modules() if isinstance(m, torch.nn.Conv2d))


def test_an_inception_block_is_its_branches():
    block, x = Inception(8, 2, 3, 4, 5, 6, 7), torch.rand(2, 8, 9, 10)
    y = block(x)
    assert y.shape == (2, 2 + 4 + 6 + 7, 9, 10)
    branches = [block.branch1, block.branch3, block.branch5, block.pool]
    for part, branch in zip(y.split([2, 4, 6, 7], 1), branches):
        assert torch.equal(part, branch(x))
    kinds = [[KINDS[type(layer).__name__] for layer in branch] for branch in branches]
    assert kinds == [["C", "R"], ["C", "R", "C", "R"], ["C", "R", "C", "R"], ["P", "C", "R"]]


def test_a_copy_on_the_meta_device_leaves_the_model():
    model = LeNet5()
    copied = on_meta(model)
    assert copied.c1.weight.device.type == "meta" and model.c1.weight.device.type == "cpu"
