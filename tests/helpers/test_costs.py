"""What networks cost, against torch.utils.flop_counter, counts by hand and the memory that a real run keeps."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrize import register_parametrization
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models as zoo

from helpers.costs import layer_costs, on_meta, training_bytes
from helpers.memory import Kept
from helpers.models import CifarResNet, LeNet, count_parameters

FAMILIES = ["alexnet", "vgg16", "vgg11_bn", "googlenet", "inception_v3", "resnet18", "resnet50", "resnet152"]
FAMILIES += ["resnext50_32x4d", "mobilenet_v2", "mobilenet_v3_large", "densenet121", "convnext_tiny"]
FAMILIES += ["squeezenet1_0", "shufflenet_v2_x1_0", "efficientnet_b0", "mnasnet1_0"]


def made(name):
    """On the meta device: no memory, no time for random numbers."""
    options = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        return getattr(zoo, name)(weights=None, **options).eval()


def counted(model, *shape, device="meta"):
    """Multiply-adds by torch's own counter, which takes a product and its addition for two operations."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(shape, device=device))
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("name", FAMILIES)
def test_torchvisions_networks(name):
    model = made(name)
    rows = layer_costs(model, 224)
    assert sum(row.multiply_adds for row in rows) == counted(model, 1, 3, 224, 224)
    assert sum(row.parameters for row in rows) == count_parameters(model)
    weights = next(iter(zoo.get_model_weights(name)))
    if name != "inception_v3" and "_ops" in weights.meta:  # published for pictures of 299x299
        assert round(sum(row.multiply_adds for row in rows) / 1e9, 3) == weights.meta["_ops"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_convolutions(data):
    d = data.draw(st.sampled_from([1, 2, 3]), "dimensions")
    pick = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(d))  # noqa: E731
    groups, transposed = data.draw(st.integers(1, 3)), data.draw(st.booleans())
    before, after = groups * data.draw(st.integers(1, 3)), groups * data.draw(st.integers(1, 3))
    options = {"stride": pick(1, 3), "padding": pick(0, 2), "dilation": pick(1, 2), "groups": groups}
    kind = getattr(nn, f"Conv{'Transpose' if transposed else ''}{d}d")
    layer = kind(before, after, pick(1, 3), bias=data.draw(st.booleans()), **options)
    size = pick(6, 9)
    model = layer if d == 2 else nn.Sequential(nn.Flatten(2), _Shaped(size), layer)
    shape = (before, *size) if d == 2 else (before, 1, torch.Size(size).numel())
    rows = layer_costs(model, shape)
    y = layer(torch.zeros(2, before, *size))
    assert rows[-1].multiply_adds == counted(layer, 1, before, *size, device="cpu")
    assert rows[-1].output == tuple(y.shape[1:]) and rows[-1].activations == y[0].numel()
    assert rows[-1].parameters == count_parameters(layer)


class _Shaped(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x.reshape(*x.shape[:2], *self.size)


def test_the_sheets_network_by_hand():
    rows = {row.name: row for row in layer_costs(LeNet(), 32)}
    assert rows["conv1"][2:] == ((3, 32, 32), (6, 28, 28), 456, 6 * 28 * 28 * 75, 6 * 28 * 28)
    assert rows["pool1"][2:] == ((6, 28, 28), (6, 14, 14), 0, 0, 6 * 14 * 14)
    assert rows["flatten"][2:] == ((16, 5, 5), (400,), 0, 0, 0)
    assert rows["fc1"][2:] == ((400,), (120,), 48_120, 48_000, 120)


@pytest.mark.parametrize("inplace", [True, False])
def test_what_works_in_place_writes_nothing_new(inplace):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace))
    assert [row.activations for row in layer_costs(model, (1, 6, 6))] == [32, 0 if inplace else 32]


def test_functions_between_layers_have_rows():
    rows = layer_costs(CifarResNet(8, 4), (3, 8, 8))
    adds = [row for row in rows if row.kind == "add"]
    assert len(adds) == 3 and adds[0].name == "stage1.0.add" and adds[0].input == ((4, 8, 8), (4, 8, 8))
    assert adds[1].output == (8, 4, 4) and adds[1].activations == 128


def test_a_layer_called_twice_has_its_parameters_once():
    layer = nn.Conv2d(2, 2, 1)
    rows = layer_costs(nn.Sequential(layer, layer), (2, 3, 3))
    assert [row.parameters for row in rows] == [6, 0] and [row.multiply_adds for row in rows] == [36, 36]


class _Between(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)

    def forward(self, x):
        return F.relu_(self.conv(x).contiguous()).flatten(1).mul(2)


def test_what_neither_writes_nor_changes_a_shape_has_no_row():
    assert [row.kind for row in layer_costs(_Between(), (1, 4, 4))] == ["Conv2d", "flatten", "mul"]


def test_a_dense_layer_along_the_last_axis_works_at_every_place():
    (row,) = layer_costs(nn.Sequential(nn.Linear(8, 5)), (3, 6, 8))
    assert row.multiply_adds == 3 * 6 * 8 * 5 and row.output == (3, 6, 5)


def test_weights_that_two_layers_share_count_once():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    model = nn.Sequential(nn.Flatten(), first, second)
    assert [row.parameters for row in layer_costs(model, (1, 2, 2))] == [0, 20, 4]
    assert count_parameters(model) == 24


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_costs_the_same_and_keeps_its_own_bytes(precision):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    rows, kept = layer_costs(model, 8), training_bytes(model, 8)
    assert layer_costs(model.to(precision), 8) == rows
    assert training_bytes(model, 8) == kept * precision.itemsize // 4


def test_shapes_are_those_of_evaluation_mode_whatever_the_model_is_in():
    """Batch normalisation would refuse one picture, and dropout would write new numbers."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4), nn.Dropout()).train()
    rows = layer_costs(model, (3, 2, 2))
    assert [row.activations for row in rows] == [0, 4, 4, 0] and rows == layer_costs(model.eval(), (3, 2, 2))


def test_bytes_are_those_of_training_mode_whatever_the_model_is_in():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Dropout())
    assert training_bytes(model.eval(), (1, 8, 8)) == training_bytes(model.train(), (1, 8, 8)) > 64 * 4
    assert model.training


def test_parameters_of_a_module_with_parts():
    rows = layer_costs(made("convnext_tiny"), 224)
    scales = [row for row in rows if row.kind == "CNBlock"]
    assert len(scales) == 18 and scales[0].parameters == 96


def test_a_reparametrised_convolution_is_counted():
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    register_parametrization(model[0], "weight", nn.PReLU())
    rows = layer_costs(model, (3, 8, 8))
    assert sum(row.multiply_adds for row in rows) == 4 * 36 * 27
    assert sum(row.parameters for row in rows) == count_parameters(model)


class _Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.inner = nn.Parameter(torch.ones(5, 3, 1, 1)), nn.ReLU()

    def forward(self, x):
        return self.inner(F.conv2d(x, self.weight))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(_Hidden()), r"layer '0' \(_Hidden\) calls conv2d"),
        (_Hidden(), "the _Hidden calls conv2d"),
        (nn.Sequential(nn.Flatten(2), nn.LSTM(16, 4)), r"layer '1' \(LSTM\) calls lstm"),
    ],
)
def test_products_that_no_layer_counts_are_refused(model, words):
    with pytest.raises(NotImplementedError, match=words):
        layer_costs(model, (3, 4, 4))


def test_attention_is_refused():
    with pytest.raises(NotImplementedError, match="calls multi_head_attention_forward"):
        layer_costs(made("vit_b_16"), 224)


MATRICES = [torch.matmul, lambda a, b: a @ b, torch.Tensor.matmul, torch.Tensor.__rmatmul__, torch.linalg.matmul]
MATRICES += [lambda a, b: torch.linalg.multi_dot([a[0, 0], b[0, 0]]), lambda a, b: a[0].clone().baddbmm_(a[0], b[0])]
MATRICES += [lambda a, b: torch.einsum("nchw,ncwk->nchk", a, b), lambda a, b: torch.matrix_power(a, 2)]


@pytest.mark.parametrize("function", MATRICES)
def test_a_product_of_matrices_is_refused(function):
    class Product(nn.Module):
        def forward(self, x):
            return function(x, x)

    with pytest.raises(NotImplementedError, match="the Product calls .*(mul|mm|dot|einsum|power)"):
        layer_costs(Product(), (1, 4, 4))


def test_what_the_model_cannot_take_is_named():
    with pytest.raises(ValueError, match="LeNet on an input of 1x32x32, in layer 'conv1'"):
        layer_costs(LeNet(), (1, 32, 32))
    with pytest.raises(ValueError, match="LeNet on an input of 1x32x32, in layer 'conv1'"):
        training_bytes(LeNet(), (1, 32, 32))
    with pytest.raises(ValueError, match="hides its layers"):
        layer_costs(nn.Sequential(torch.jit.script(nn.Conv2d(3, 4, 1))), 8)
    with pytest.raises(ValueError, match="must be a torch.nn.Module, got int"):
        layer_costs(3, 32)
    with pytest.raises(ValueError, match="input_size"):
        layer_costs(LeNet(), (3, 0, 32))


@pytest.mark.parametrize("function", [layer_costs, training_bytes])
@pytest.mark.parametrize(("model", "size", "words"), [
    (nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm1d(2)), 8, r"3x8x8, in layer '1' \(BatchNorm1d\): expected 2D"),
    (nn.Sequential(nn.Flatten(5)), 8, r"1x8x8, in layer '0' \(Flatten\): Dimension out of range"),
    (nn.Bilinear(2, 2, 2), 8, "Bilinear must take one input, a batch of pictures: missing a required argument"),
    ("vgg16", 8, "must be a torch.nn.Module, got str"), (LeNet(), "32", "a side in pixels.*: got '32'"),
    (LeNet(), None, "got None"), (LeNet(), 32.5, "got 32.5"), (LeNet(), True, "got True"),
])  # fmt: skip
def test_both_name_what_is_wrong(function, model, size, words):
    with pytest.raises(ValueError, match=words):
        function(model, size)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_bytes_are_counted_where_gradients_are_off(mode):
    with mode():
        assert training_bytes(LeNet(), 32) == training_bytes(LeNet(), (3, 32, 32)) > 0
        assert not torch.is_grad_enabled()
    assert training_bytes(nn.Conv2d(1, 4, 3, padding=1), (1, 8, 8)) == 64 * 4


def test_a_part_that_does_not_run_has_no_row():
    with torch.device("meta"):
        model = zoo.googlenet(weights=None, init_weights=False)
    rows = layer_costs(model, 224)
    aside = count_parameters(model.aux1) + count_parameters(model.aux2)
    assert sum(row.parameters for row in rows) == count_parameters(model) - aside


def test_the_model_stays_as_it_was():
    model = CifarResNet(8, 4).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layer_costs(model, 32), training_bytes(model, 32)
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("make", [zoo.alexnet, zoo.mobilenet_v2, zoo.resnet18, zoo.densenet121, zoo.convnext_tiny])
def test_training_bytes_are_those_of_a_real_run(make):
    model, kept = make(weights=None).train(), []
    for n in (1, 3):
        with Kept(model) as counted:
            out = model(torch.zeros(n, 3, 64, 64))
        kept.append(counted.now)
        del out
    assert training_bytes(model, 64) == (kept[1] - kept[0]) / 2


def test_training_bytes_by_hand():
    conv, x, y = nn.Conv2d(1, 4, 3, padding=1), 64 * 4, 4 * 64 * 4  # bytes of the input and of the maps
    assert training_bytes(conv, (1, 8, 8)) == x
    assert training_bytes(nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2)), (1, 8, 8)) == x + y + 4 * 16 * 8
    assert training_bytes(nn.Sequential(conv, nn.BatchNorm2d(4), nn.ReLU()), (1, 8, 8)) == x + y + y


def test_meta_copies():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model[0].requires_grad_(False)
    copied = on_meta(model)
    assert all(t.device.type == "meta" for t in copied.state_dict().values())
    assert [p.requires_grad for p in copied.parameters()] == [False, False, True, True]
