"""helpers.receptive: known fields, the recurrence against gradients, and every refusal."""

import copy
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

from helpers.receptive import ReceptiveField, measured_receptive_field, receptive_fields


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Net(nn.Module):
    """Named layers and a forward written as a function of the net and its input."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.function = forward
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.out = nn.Identity()

    def forward(self, x):
        return self.out(self.function(self, x))


def square(size, stride, padding):
    return ReceptiveField((size, size), (stride, stride), (padding, padding))


def whole(height, width):
    return ReceptiveField((height, width), (0, 0), (0, 0))


def conv(kernel, channels=3, **settings):
    return nn.Conv2d(channels, channels, kernel, **settings)


def out_of(forward, input_size=(3, 16, 16), **layers):
    return receptive_fields(Net(forward, **layers), input_size)["out"]


def assert_agree(model, layer, input_size):
    """The two ways agree; returns the field."""
    field = receptive_fields(model, input_size)[layer]
    assert measured_receptive_field(model, layer, input_size) == field
    return field


def lenet():
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(16 * 5 * 5, 10)),
    )


def torchvision_model(name):
    slow_start = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, name)(weights=None, **slow_start)


# Known values


def test_lenet():
    fields = receptive_fields(lenet(), (3, 32, 32))
    assert fields["0"] == fields["1"] == square(5, 1, 0)
    assert fields["2"] == square(6, 2, 0)
    assert fields["3"] == square(14, 2, 0)
    assert fields["5"] == square(16, 4, 0)
    assert fields["6"] == fields["7"] == whole(32, 32)
    assert list(fields) == list("01234567")


def test_repr_names_the_pairs():
    assert repr(square(16, 4, 0)) == "ReceptiveField(size=(16, 16), stride=(4, 4), padding=(0, 0))"


@pytest.mark.parametrize(
    "name, layer, field",
    [
        ("alexnet", "features", square(195, 32, 66)),
        ("vgg16", "features", square(212, 32, 90)),
        ("vgg19", "features", square(268, 32, 118)),
        ("resnet18", "layer4", square(435, 32, 217)),
        ("resnet50", "layer4", square(427, 32, 213)),
        ("inception_v3", "Mixed_7c", square(1311, 32, 618)),
        ("vgg16", "classifier.0", whole(224, 224)),
        ("resnet18", "avgpool", whole(224, 224)),
    ],
)
def test_known_networks(name, layer, field):
    with torch.device("meta"):
        model = torchvision_model(name)
    assert receptive_fields(model, 224)[layer] == field


def test_containers_have_the_field_of_the_last_thing_inside():
    fields = receptive_fields(torchvision_model("resnet18"), 64)
    assert fields["layer1"] == fields["layer1.1"] == fields["layer1.1.relu"] == square(43, 4, 21)
    assert fields["layer1.1.bn1"] == fields["layer1.1.conv1"] == square(35, 4, 17)


# The recurrence against gradients

kernels = st.tuples(st.integers(1, 4), st.integers(1, 4))
steps = st.tuples(st.integers(1, 2), st.integers(1, 2))


@st.composite
def windows(draw):
    """A convolution or pooling layer of random geometry."""
    kernel, stride, dilation = draw(kernels), draw(steps), draw(steps)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    kind = draw(st.sampled_from(["conv", "same", "depthwise", "max", "dilated max", "avg", "lp"]))
    return {
        "conv": lambda: conv(kernel, channels=2, stride=stride, padding=padding, dilation=dilation),
        "same": lambda: conv(kernel, channels=2, padding="same", dilation=dilation),
        "depthwise": lambda: conv(kernel, channels=2, stride=stride, padding=padding, groups=2),
        "max": lambda: nn.MaxPool2d(kernel, stride, padding, ceil_mode=draw(st.booleans())),
        "dilated max": lambda: nn.MaxPool2d(kernel, stride, padding, dilation),
        "avg": lambda: nn.AvgPool2d(kernel, stride, padding, ceil_mode=draw(st.booleans())),
        "lp": lambda: nn.LPPool2d(2, kernel, stride),
    }[kind]()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.lists(windows(), min_size=1, max_size=4))
def test_random_stacks_agree(layers):
    model = nn.Sequential(*layers)
    name = str(len(layers) - 1)
    field = receptive_fields(model, (2, 160, 144))[name]
    room = [n - r - 4 * s for n, r, s in zip((160, 144), field.size, field.stride)]
    # A window with gaps between its pixels can begin or end away from a border that cuts it: stay clear of that.
    assume(min(room) > 0 and all(s <= k for k, s in zip(field.size, field.stride)))
    assert measured_receptive_field(model, name, (2, 160, 144)) == field


def branches(**layers):
    return Net(lambda net, x: torch.cat([layer(x) for layer in net.children() if layer is not net.out], 1), **layers)


def test_branches_give_the_union():
    model = branches(a=conv((3, 1), padding=(1, 0)), b=conv((1, 5), padding=(0, 2)), c=nn.ZeroPad2d(0))
    assert assert_agree(model, "out", (3, 20, 24)) == ReceptiveField((3, 5), (1, 1), (1, 2))


def test_branches_of_different_paddings_reach_apart():
    model = branches(a=nn.Sequential(nn.ZeroPad2d((4, 0, 3, 0)), conv(3, padding=1)), b=nn.ZeroPad2d((0, 4, 0, 3)))
    assert assert_agree(model, "out", (3, 30, 30)) == ReceptiveField((5, 6), (1, 1), (4, 5))


def test_even_same_padding_is_asymmetric():
    model = nn.Sequential(conv(4, padding="same", dilation=(1, 3)))
    assert assert_agree(model, "0", (3, 30, 30)) == ReceptiveField((4, 10), (1, 1), (1, 4))


def test_shortcut_keeps_the_larger_field():
    model = Net(lambda net, x: F.relu(net.b(net.a(x)) + x), a=conv(3, padding=1), b=conv(1))
    assert assert_agree(model, "out", (3, 12, 12)) == square(3, 1, 1)
    model = Net(lambda net, x: net.shrink(x) + net.wide(x), shrink=conv(1, stride=2), wide=conv(7, stride=2, padding=3))
    assert assert_agree(model, "out", (3, 32, 32)) == square(7, 2, 3)


def test_inplace_sum_leaves_the_field_of_its_first_term():
    def forward(net, x):
        y = net.a(x)
        y += net.b(x)
        return y

    model = Net(forward, a=conv(1), b=conv(3, padding=1))
    assert assert_agree(model, "a", (3, 12, 12)) == square(1, 1, 0)
    assert assert_agree(model, "out", (3, 12, 12)) == square(3, 1, 1)


def test_a_module_called_twice_has_the_field_of_its_last_call():
    model = Net(lambda net, x: net.relu(net.b(net.relu(net.a(x)))), a=conv(3), b=conv(3), relu=nn.ReLU())
    assert assert_agree(model, "relu", (3, 20, 20)) == square(5, 1, 0)


FUNCTIONS = {
    "F.conv2d": (lambda net, x: F.conv2d(x, net.a.weight, None, 2, 1, dilation=2), square(5, 2, 1)),
    "F.max_pool2d": (lambda net, x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), square(3, 2, 1)),
    "torch.max_pool2d": (lambda net, x: torch.max_pool2d(x, 3), square(3, 3, 0)),
    "return_indices": (lambda net, x: F.max_pool2d(x, 2, return_indices=True)[0], square(2, 2, 0)),
    "F.avg_pool2d": (lambda net, x: F.avg_pool2d(x, (2, 3), 1), ReceptiveField((2, 3), (1, 1), (0, 0))),
    "F.lp_pool2d": (lambda net, x: F.lp_pool2d(x, 2, 3, 2), square(3, 2, 0)),
    "F.pad": (lambda net, x: net.a(F.pad(x, (2, 0, 1, 0))), ReceptiveField((3, 3), (1, 1), (1, 2))),
    "reflected": (lambda net, x: net.reflected(x), square(3, 1, 1)),
    "crop": (lambda net, x: x[:, :, 3:, 1:-2], ReceptiveField((1, 1), (1, 1), (-3, -1))),
    "every second": (lambda net, x: net.a(x)[..., ::2, :], ReceptiveField((3, 3), (2, 1), (0, 0))),
    "space to depth": (lambda net, x: torch.cat([x[..., ::2, ::2], x[..., 1::2, 1::2]], 1), square(2, 2, 0)),
    "channel slices": (lambda net, x: torch.cat(net.a(x).chunk(3, 1)[::2], 1), square(3, 1, 0)),
    "channel mean": (lambda net, x: net.a(x).mean(1)[:, None] * x[..., 1:-1, 1:-1], square(3, 1, 0)),
    "mean over channels that come last": (
        lambda net, x: net.a(x).permute(0, 2, 3, 1).mean(-1)[:, None] + x[..., 2:, 2:],
        ReceptiveField((3, 3), (1, 1), (0, 0)),
    ),
    "channel maximum": (lambda net, x: net.a(x).max(1, keepdim=True)[0], square(3, 1, 0)),
    "shuffle": (lambda net, x: net.a(x).view(1, 3, 1, 22, 22).transpose(1, 2).reshape(1, 3, 22, 22), square(3, 1, 0)),
    "last axis": (
        lambda net, x: net.last(F.layer_norm(net.a(x).permute(0, 2, 3, 1), (3,))).permute(0, 3, 1, 2),
        square(3, 1, 0),
    ),
    "batch norm": (lambda net, x: net.norm(net.a(x)).clamp(max=9) / 2, square(3, 1, 0)),
    "softmax": (lambda net, x: net.a(x).softmax(1) + net.a(x), square(3, 1, 0)),
    "adaptive, same size": (lambda net, x: F.adaptive_avg_pool2d(net.a(x), (22, None)), square(3, 1, 0)),
    "adaptive, regular": (lambda net, x: F.adaptive_max_pool2d(x, (6, 12)), ReceptiveField((4, 2), (4, 2), (0, 0))),
    "adaptive, overlapping": (lambda net, x: F.adaptive_avg_pool2d(net.a(x), 22 // 2), square(4, 2, 0)),
    "spatial attention": (lambda net, x: x * torch.sigmoid(net.same(x.mean(1, keepdim=True))), square(5, 1, 2)),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions_and_methods(case):
    forward, field = FUNCTIONS[case]
    layers = {"a": conv(3), "last": nn.Linear(3, 3), "norm": nn.BatchNorm2d(3)}
    layers |= {"same": nn.Conv2d(1, 3, 5, padding=2), "reflected": conv(3, padding=1, padding_mode="reflect")}
    assert assert_agree(Net(forward, **layers), "out", (3, 24, 24)) == field


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_parametrised_weights(wrap):
    assert receptive_fields(nn.Sequential(wrap(conv(3))), 16)["0"] == square(3, 1, 0)


WHOLE = {
    "global pooling": lambda net, x: F.adaptive_avg_pool2d(net.a(x), 1),
    "mean": lambda net, x: net.a(x).mean((2, 3)),
    "mean of a flattened map": lambda net, x: net.a(x).flatten(2).mean(-1),
    "mean, one axis after the other": lambda net, x: net.a(x).mean(3).mean(2),
    "linear": lambda net, x: net.full(net.a(x).flatten(1)),
    "gate": lambda net, x: (net.a(x) * torch.sigmoid(net.one(net.a(x).mean((2, 3), keepdim=True)))).mean((2, 3)),
    "group norm": lambda net, x: F.group_norm(x, 1)[..., :1, :1],
    "layer norm": lambda net, x: F.layer_norm(x, (3, 10, 14))[..., :1, :1],
    "instance norm": lambda net, x: net.instance(x)[..., :1, :1],
    "batch norm without statistics": lambda net, x: F.batch_norm(x, None, None, training=True)[..., :1, :1],
    "whatever follows": lambda net, x: F.interpolate(F.adaptive_avg_pool2d(x, 1), size=5).mean((2, 3)),
}


@pytest.mark.parametrize("case", WHOLE)
def test_whole_picture(case):
    layers = {"a": conv(3), "one": conv(1), "full": nn.Linear(288, 2), "instance": nn.InstanceNorm2d(3)}
    assert assert_agree(Net(WHOLE[case], **layers), "out", (3, 10, 14)) == whole(10, 14)


def test_whole_picture_in_a_map():
    assert out_of(lambda net, x: x * F.adaptive_avg_pool2d(net.a(x), 1), (3, 8, 9), a=conv(3)) == whole(8, 9)
    assert out_of(lambda net, x: net.norm(x), (3, 8, 9), norm=nn.GroupNorm(1, 3)) == whole(8, 9)
    assert out_of(lambda net, x: F.adaptive_avg_pool2d(x, 5), (3, 8, 9)) == whole(8, 9)


def test_one_axis_only():
    field = out_of(
        lambda net, x: net.a(F.adaptive_avg_pool2d(x, (1, None))) + x, (3, 8, 9), a=conv((1, 3), padding=(0, 1))
    )
    assert field == ReceptiveField((8, 3), (0, 1), (0, 1))


def test_pooling_a_single_unit_changes_nothing():
    assert out_of(lambda net, x: F.adaptive_avg_pool2d(net.a(x), 1), (3, 5, 5), a=conv(5)) == square(5, 1, 0)


def test_normalising_a_single_unit_changes_nothing():
    assert out_of(lambda net, x: F.group_norm(net.a(x), 1), (3, 5, 5), a=conv(5)) == square(5, 1, 0)


@pytest.mark.parametrize("activation", [nn.ReLU6(), nn.Hardsigmoid(), nn.Hardtanh(0, 0.4), nn.Tanh(), nn.GELU()])
def test_saturating_activations_stay_alive(activation):
    stages = [nn.Sequential(conv(3), nn.BatchNorm2d(3), activation) for _ in range(3)]
    assert assert_agree(nn.Sequential(*stages), "2", 24) == square(7, 1, 0)


def test_linear_on_the_last_axis_of_a_map_mixes_columns():
    assert out_of(lambda net, x: F.linear(x, torch.eye(9)), (3, 8, 9)) == ReceptiveField((1, 9), (1, 0), (0, 0))


AGREE = [
    ("alexnet", "features.5", 160),
    ("vgg16", "features.16", 96),
    ("resnet18", "layer2.1.bn2", 192),
    ("resnet50", "layer2", 160),
    ("googlenet", "inception3b", 160),
    ("inception_v3", "Mixed_5d.branch3x3dbl_2", 192),
    ("mobilenet_v2", "features.7", 160),
    ("mobilenet_v3_large", "features.3", 96),
    ("mobilenet_v3_large", "features.4.block.2.fc1", 64),
    ("densenet121", "features.denseblock1", 192),
    ("squeezenet1_1", "features.7", 128),
    ("shufflenet_v2_x1_0", "stage2.1", 128),
    ("mnasnet1_0", "layers.8", 128),
    ("convnext_tiny", "features.2", 128),
    ("efficientnet_b0", "features.1.0.block.0", 64),
    ("efficientnet_b0", "avgpool", 64),
    ("regnet_x_400mf", "trunk_output.block2", 96),
]


@pytest.mark.parametrize("name, layer, size", AGREE)
def test_torchvision_networks_agree(name, layer, size):
    assert_agree(torchvision_model(name), layer, (3, size, size + 32))


def test_dilated_backbone_agrees():
    resnet = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=[True, True, True])
    resnet.layer2, resnet.layer3 = resnet.layer2[:1], resnet.layer3[:1]
    resnet.layer4 = nn.Sequential()
    resnet.avgpool, resnet.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(1024, 10)
    assert_agree(resnet, "layer3", 160)


def test_a_small_map_through_permutations():
    fields = receptive_fields(torchvision_model("convnext_tiny"), 32)
    assert fields["features.7"] == square(1688, 32, 828)


# Inputs


@pytest.mark.parametrize("size", [32, (32, 32), (3, 32, 32), (5, 3, 32, 32), torch.Size([3, 32, 32])])
def test_input_sizes(size):
    assert receptive_fields(lenet(), size)["5"] == square(16, 4, 0)
    assert measured_receptive_field(lenet(), "5", size) == square(16, 4, 0)


def test_channels_of_the_first_layer_and_other_dtypes():
    grey = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()).double()
    assert receptive_fields(grey, 9)["1"] == measured_receptive_field(grey, "1", 9) == square(3, 1, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda():
    model = torchvision.models.resnet18(weights=None).cuda()
    assert_agree(model, "layer1", 96)


def test_layer_given_as_module_and_head_that_does_not_fit():
    model = lenet()
    assert measured_receptive_field(model, model[5], 48) == square(16, 4, 0)


# The model is left as found


def snapshot(model):
    state = {name: (tensor.clone(), tensor.data_ptr()) for name, tensor in model.state_dict().items()}
    grads = {name: p.grad for name, p in model.named_parameters()}
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    flags = [p.requires_grad for p in model.parameters()]
    return state, grads, [m.training for m in model.modules()], hooks, flags, torch.get_rng_state()


def assert_same(before, after):
    for name, (tensor, pointer) in before[0].items():
        assert torch.equal(after[0][name][0], tensor) and after[0][name][1] == pointer
    assert all(after[1][name] is grad for name, grad in before[1].items())
    assert before[2:5] == after[2:5] and torch.equal(before[5], after[5])


@pytest.mark.parametrize("input_size", [(3, 64, 64), (3, 1, 1), (5, 64, 64)])
def test_the_model_is_left_as_found(input_size):
    model = nn.Sequential(conv(3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Dropout(), conv(3)).train()
    model[1].eval()
    model[0].weight.requires_grad_(False)
    model(torch.rand(2, 3, 9, 9)).sum().backward()
    before, fits = snapshot(model), input_size == (3, 64, 64)
    for function in (receptive_fields, lambda m, size: measured_receptive_field(m, "4", size)):
        if fits:
            function(model, input_size)
        else:
            with pytest.raises(ValueError):
                function(model, input_size)
        assert_same(before, snapshot(model))


def test_gradients_off_outside():
    with torch.no_grad():
        assert measured_receptive_field(lenet(), "5", 40) == square(16, 4, 0)
        assert not torch.is_grad_enabled()


# Refusals

MIXERS = {
    "ConvTranspose2d": nn.ConvTranspose2d(3, 3, 2),
    "Upsample": nn.Upsample(scale_factor=2),
    "PixelShuffle": nn.Sequential(nn.Conv2d(3, 12, 1), nn.PixelShuffle(2)),
    "Unfold": nn.Unfold(3),
    "Conv3d": nn.Conv3d(1, 3, 1),
}


@pytest.mark.parametrize("kind", MIXERS)
def test_unknown_layers_are_named(kind):
    with pytest.raises(NotImplementedError, match=rf"layer '(up|up\.1)' \({kind}\)"):
        out_of(lambda net, x: net.up(x), up=MIXERS[kind])


UNKNOWN = {
    "interpolate": lambda net, x: F.interpolate(x, scale_factor=2),
    "roll": lambda net, x: torch.roll(x, 1, 2),
    "flip": lambda net, x: x.flip(2),
    "grid_sample": lambda net, x: F.grid_sample(x, torch.zeros(1, 4, 4, 2)),
    "matmul": lambda net, x: x.matmul(x.transpose(2, 3)),
    "cumsum": lambda net, x: x.cumsum(2),
    "splits the picture's axes": lambda net, x: x.view(1, 3, 8, 2, 16),
    "unevenly": lambda net, x: x[:, :, [0, 3, 1]],
    "it rearranges": lambda net, x: torch.cat([x, x], 2),
    "flattened map apart": lambda net, x: x.flatten(2)[:, :, 1:],
    "other than the picture's": lambda net, x: F.avg_pool2d(x.permute(0, 2, 3, 1), 2),
    "do not correspond": lambda net, x: x + x.transpose(2, 3),
    "positions do not correspond": lambda net, x: x + x[:, :, :1],
    "conv2d": lambda net, x: F.conv2d(x, x[:, :, :3, :3]),
    "scaled_dot_product_attention": lambda net, x: F.scaled_dot_product_attention(*[x.flatten(2).transpose(1, 2)] * 3),
}


@pytest.mark.parametrize("reason", UNKNOWN)
def test_unknown_functions_are_refused(reason):
    with pytest.raises(NotImplementedError, match=f"Net on an input of 3x16x16.*{reason}"):
        out_of(UNKNOWN[reason])


def test_branches_of_different_strides_are_refused():
    model = Net(lambda net, x: net.a(x)[..., :4, :4] + net.b(x)[..., :4, :4], a=conv(1), b=conv(1, stride=2))
    with pytest.raises(ValueError, match="strides 1x1 and 2x2 meet"):
        receptive_fields(model, 16)


def test_untraceable_model():
    with pytest.raises(ValueError, match="torch.fx cannot trace Net: .*control flow"):
        out_of(lambda net, x: x if x.sum() > 0 else -x)


def test_input_too_small():
    with pytest.raises(ValueError, match=r"Sequential on an input of 3x8x8, layer '3' \(Conv2d\): .*Kernel size"):
        receptive_fields(lenet(), 8)
    with pytest.raises(ValueError, match="on an input of 3x8x8, '5' is not reached: .*Kernel size"):
        measured_receptive_field(lenet(), "5", 8)


@pytest.mark.parametrize("size", [0, (3,), (3, 0, 8), (1, 1, 3, 8, 8), "32", None, 32.5, True, (3, "8", 8), (3, (8, 8)),
                                  (3, 8.0, 8)])  # fmt: skip
def test_input_sizes_refused(size):
    words = r"input_size must be a side in pixels, \(H, W\), \(C, H, W\) or .* from 1 on: got " + re.escape(repr(size))
    for function in (receptive_fields, lambda *given: measured_receptive_field(given[0], "3", given[1])):
        with pytest.raises(ValueError, match=words):
            function(lenet(), size)


def test_other_forms_of_a_size():
    expected = receptive_fields(lenet(), 32)
    for size in (np.int64(32), (32, 32), [3, 32, 32], torch.Size((1, 3, 32, 32)), np.array([3, 32, 32])):
        assert receptive_fields(lenet(), size) == expected


def test_what_is_no_model_is_named():
    with pytest.raises(ValueError, match="must be a torch.nn.Module, got str"):
        receptive_fields("resnet18", 224)


def test_field_cut_off():
    with pytest.raises(
        ValueError, match="'5' is cut off at the border of a picture of 20x20 pixels: use a larger input"
    ):
        measured_receptive_field(lenet(), "5", 20)
    with pytest.raises(ValueError, match="'layer4' is cut off"):
        measured_receptive_field(torchvision_model("resnet18"), "layer4", 128)


def test_layer_names():
    model = torchvision_model("resnet18")
    with pytest.raises(ValueError, match="no layer 'layer5' in this ResNet; did you mean layer4"):
        measured_receptive_field(model, "layer5", 64)
    with pytest.raises(ValueError, match="the layer ReLU is not part of this ResNet"):
        measured_receptive_field(model, nn.ReLU(), 64)


def test_layer_that_is_not_used():
    model = Net(lambda net, x: x * 2, spare=conv(3), const=nn.Identity())
    with pytest.raises(ValueError, match="'spare' does not depend on the picture"):
        measured_receptive_field(model, "spare", 16)
    assert "spare" not in receptive_fields(copy.deepcopy(model), 16)
