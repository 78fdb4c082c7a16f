"""Features that are kept, and measures of how far they changed, against NumPy and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from helpers import features
from helpers.imageset import ImageSet
from helpers.models import PoolNet
from helpers.pretrained import Preprocess


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("INSIDE_CNNS_HOME", str(tmp_path))
    return tmp_path / "features"


@pytest.fixture
def net():
    torch.manual_seed(0)
    return PoolNet(width=4, n_classes=3).eval()


@pytest.fixture
def images():
    return torch.randint(256, (9, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class Counted:
    """A preprocess that counts the forward passes' pictures by a hook on the model."""

    def __init__(self, model):
        self.seen = 0
        model.register_forward_hook(self.count)

    def count(self, module, inputs, output):
        self.seen += len(output)


def test_they_are_the_layers_output_in_eval_mode(at_home, net, images):
    net.train()
    found = features.features(net, images, "flatten", batch_size=4)
    assert net.training and found.dtype == torch.float32
    with torch.no_grad():
        body = nn.Sequential(*list(net.eval())[:-1])
        torch.testing.assert_close(found, body(images.float() / 255))
        maps = net.conv1(images.float() / 255)
    torch.testing.assert_close(features.features(net, images, "conv1"), maps.flatten(1))


def test_the_second_call_computes_the_sample_only(at_home, net, images):
    counted = Counted(net)
    first = features.features(net, images, "flatten")
    assert counted.seen == 9 + features.SAMPLE
    counted.seen = 0
    assert torch.equal(features.features(net, images, "flatten"), first)
    assert counted.seen == features.SAMPLE and len(list(at_home.iterdir())) == 1


def one_weight(net, images):
    with torch.no_grad():
        net.conv3.weight[0, 0, 0, 0] += 1e-6


def one_statistic(net, images):
    net.norm2.running_var[1] *= 1.5


def one_pixel(net, images):
    images[8, 2, 15, 15] ^= 1


def the_order(net, images):
    images.copy_(images.flip(0))


@pytest.mark.parametrize("change", [one_weight, one_statistic, one_pixel, the_order])
def test_whatever_changes_gives_another_file(at_home, net, images, change):
    features.features(net, images, "flatten")
    change(net, images)
    found = features.features(net, images, "flatten")
    assert len(list(at_home.iterdir())) == 2
    with torch.no_grad():
        torch.testing.assert_close(found, nn.Sequential(*list(net)[:-1])(images.float() / 255))


def test_so_do_layer_preprocessing_and_architecture(at_home, net, images):
    features.features(net, images, "flatten")
    features.features(net, images, "mean")
    features.features(net, images, "flatten", Preprocess(16))
    features.features(net, images, "flatten", Preprocess(16, std=(0.5, 0.5, 0.5)))
    features.features(net, images, "flatten", Preprocess(8))
    net.down1.down = "average"  # the same weights, another network
    features.features(net, images, "flatten")
    assert len(list(at_home.iterdir())) == 6


def test_weights_of_one_sum_and_pictures_of_one_sum_are_told_apart(at_home, net, images):
    """Two values change places, in the weights and then, behind the pictures of the sample, in the pictures."""
    features.features(net, images, "flatten")
    with torch.no_grad():
        net.conv1.weight[0] = net.conv1.weight[0].flip(-1)
    features.features(net, images, "flatten")
    images[5:] = images[5:].flip(0)
    found = features.features(net, images, "flatten")
    assert len(list(at_home.iterdir())) == 3
    with torch.no_grad():
        torch.testing.assert_close(found, nn.Sequential(*list(net)[:-1])(images.float() / 255))


def test_the_class_of_the_model_counts(at_home, net, images):
    features.features(Quiet(*net), images, "11")
    features.features(nn.Sequential(*net), images, "11")
    assert len(list(at_home.iterdir())) == 2


def test_half_precision_and_no_weights_at_all(at_home, net, images):
    found = features.features(net.bfloat16(), images, "flatten")
    assert found.dtype == torch.float32 and found.shape == (9, 8)
    plain = nn.Sequential(nn.AvgPool2d(16), nn.Flatten())
    torch.testing.assert_close(features.features(plain, images, "1"), images.float().mean((2, 3)) / 255)


class Quiet(nn.Sequential):
    factor = 1

    def forward(self, x):
        return super().forward(x * self.factor)


def test_a_change_that_no_hash_can_see_is_found(at_home, net, images):
    """A number used in forward, neither weight nor printed: the first pictures give it away."""
    model = Quiet(*net)
    first = features.features(model, images, "11")
    model.factor = 2
    second = features.features(model, images, "11")
    assert not torch.allclose(first, second) and len(list(at_home.iterdir())) == 1
    assert torch.equal(features.features(model, images, "11"), second)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", "half", "short", "other"])
def test_a_damaged_file_is_written_again(at_home, net, images, damage):
    first = features.features(net, images, "flatten")
    (path,) = at_home.iterdir()
    whole = path.read_bytes()
    if damage == "short":
        np.savez(path, features=first[: features.SAMPLE + 1].numpy())
    elif damage == "other":
        np.savez(path, features=np.zeros((9, 2), np.float32))
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "half" else damage)
    assert torch.equal(features.features(net, images, "flatten"), first)
    with np.load(path) as kept:
        assert np.array_equal(kept["features"], first.numpy())


def test_a_write_that_fails_leaves_nothing_half_written(at_home, net, images, monkeypatch):
    def failing(file, **arrays):
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(features.np, "savez", failing)
    assert features.features(net, images, "flatten").shape == (9, 8)
    assert list(at_home.iterdir()) == []


def test_a_home_that_cannot_be_written_to(tmp_path, net, images, monkeypatch):
    (tmp_path / "home").write_text("a file, not a folder")
    monkeypatch.setenv("INSIDE_CNNS_HOME", str(tmp_path / "home"))
    assert features.features(net, images, "flatten").shape == (9, 8)


def test_features_refuse(at_home, net, images):
    with pytest.raises(ValueError, match="no pictures"):
        features.features(net, images[:0], "flatten")
    with pytest.raises(ValueError, match="did you mean"):
        features.features(net, images, "flat")
    with pytest.raises(ValueError, match="batch_size must be .* at least 1, got 0"):
        features.features(net, images, "flatten", batch_size=0)
    unused = Unused(net)
    with pytest.raises(ValueError, match="does not use the layer 'other'"):
        features.features(unused, images, "other")


def as_set(images):
    return ImageSet(images, torch.zeros(len(images)).long(), ("one",), "noise")


@pytest.mark.parametrize("change, words", [
    (as_set, r"a uint8 tensor \(N, 3, H, W\), got ImageSet: pass its .images$"),
    (lambda x: x.numpy(), "got ndarray$"), (lambda x: x[0], r"got torch.uint8 \(3, 16, 16\)$"),
    (lambda x: x / 255, r"got torch.float32 \(9, 3, 16, 16\)$"), (list, "got list$"), (lambda x: None, "got NoneType$"),
])  # fmt: skip
def test_other_pictures_are_refused(at_home, net, images, change, words):
    with pytest.raises(ValueError, match=words):
        features.features(net, change(images), "flatten")


@pytest.mark.parametrize("preprocess, words", [
    (None, "preprocess must be a function of a batch of pictures, got NoneType"), ("halved", "a function .* got str"),
    (lambda x: x[:3] / 255, r"must return 9 rows for 9 pictures, got \(3, 3, 16, 16\)"),
    (lambda x: x.repeat(2, 1, 1, 1) / 255, "must return 9 rows for 9 pictures, got .18, "),
    (lambda x: None, "9 rows for 9 pictures, got NoneType"), (lambda x: x.numpy(), "got ndarray"),
    (lambda x: x.sum(), r"9 rows for 9 pictures, got \(\)"),
])  # fmt: skip
def test_other_preprocessing_is_refused(at_home, net, images, preprocess, words):
    with pytest.raises(ValueError, match=words):
        features.features(net, images, "flatten", preprocess)
    assert not at_home.exists()


class Unused(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net, self.other = net, nn.Identity()

    def forward(self, x):
        return self.net(x)


def kernel_alignment(a, b):
    """CKA by its definition: with the N x N matrices of dot products and the centring matrix."""
    n = len(a)
    centre = np.eye(n) - np.ones((n, n)) / n
    k, m = centre @ a @ a.T @ centre, centre @ b @ b.T @ centre
    return (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())


def draws(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("d, e", [(3, 3), (5, 2), (30, 40)])
def test_cka_against_its_definition(d, e):
    a, b = draws((20, d), (20, e))
    assert features.linear_cka(a, b) == pytest.approx(kernel_alignment(a.double().numpy(), b.double().numpy()))
    assert features.linear_cka(b, a) == pytest.approx(features.linear_cka(a, b))


def test_cka_does_not_see_turns_scale_and_shift():
    (a,) = draws((50, 4))
    turn = torch.linalg.qr(draws((4, 4), seed=1)[0])[0]
    assert features.linear_cka(a, 3 * a @ turn - 5) == pytest.approx(1)
    stretch = torch.diag(torch.tensor([1.0, 1, 1, 10]))
    assert features.linear_cka(a, a @ stretch) < 0.9


def test_cka_by_hand():
    a = torch.tensor([[1.0, 0], [0, 1], [-1, -1]])
    b = torch.tensor([[1.0], [0], [-1]])
    assert features.linear_cka(a, b) == pytest.approx((4 + 1) / (10**0.5 * 2))


def test_mean_cosine():
    a, b = torch.tensor([[1.0, 0], [3, 4]]), torch.tensor([[1.0, 1], [-6, -8]])
    assert features.mean_cosine(a, b) == pytest.approx((0.5**0.5 - 1) / 2)
    assert features.mean_cosine(a, 2 * a) == pytest.approx(1)


@pytest.mark.parametrize("a, b, words", [
    (torch.ones(3, 2), torch.ones(4, 2), "same N pictures"), (torch.ones(3), torch.ones(3), "same N pictures"),
    (torch.ones(0, 2), torch.ones(0, 2), "same N pictures"),
])  # fmt: skip
def test_measures_refuse_other_shapes(a, b, words):
    for measure in (features.linear_cka, features.mean_cosine):
        with pytest.raises(ValueError, match=words):
            measure(a, b)


@pytest.mark.parametrize("a, b, words", [
    (np.eye(3), torch.eye(3), "a must be a torch tensor, got ndarray: torch.as_tensor makes one"),
    (torch.eye(3), [[1.0], [2.0], [3.0]], "b must be a torch tensor, got list"), (None, None, "got NoneType"),
    (torch.eye(3), torch.full((3, 2), float("nan")), "finite"),
])  # fmt: skip
def test_measures_refuse_other_kinds(a, b, words):
    for measure in (features.linear_cka, features.mean_cosine):
        with pytest.raises(ValueError, match=words):
            measure(a, b)


def test_measures_refuse_what_has_no_answer():
    with pytest.raises(ValueError, match="same features"):
        features.linear_cka(torch.ones(3, 2), torch.eye(3))
    with pytest.raises(ValueError, match="same features"):  # the mean of these is not exactly 0.1
        features.linear_cka(torch.eye(3), torch.full((3, 2), 0.1))
    for measure in (features.linear_cka, features.mean_cosine):
        with pytest.raises(ValueError, match="finite"):
            measure(torch.eye(3), torch.eye(3) / 0)
    with pytest.raises(ValueError, match="no direction"):
        features.mean_cosine(torch.zeros(3, 3), torch.eye(3))
    with pytest.raises(ValueError, match="no direction"):
        features.mean_cosine(torch.eye(3), torch.zeros(3, 3))
    with pytest.raises(ValueError, match="no angle"):
        features.mean_cosine(torch.eye(3), torch.ones(3, 2))


def test_the_probe_is_logistic_regression():
    """scikit-learn's, whose C is 1 / (N decay), on standardised features."""
    x, noise, new = draws((20, 5), (20, 3), (7, 5))
    x, new = 4 * x + 9, 4 * new + 9
    labels = ((x[:, :3] - 9) / 4 + noise).argmax(1)
    with torch.no_grad():
        found = features.probe(x, labels, 3, decay=1e-2)
    mean, deviation = x.mean(0), x.std(0, correction=0)
    reference = LogisticRegression(C=1 / (20 * 1e-2), tol=1e-8, max_iter=1000)
    reference.fit(((x - mean) / deviation).numpy(), labels.numpy())
    expected = torch.from_numpy(reference.predict_proba(((new - mean) / deviation).numpy())).float()
    torch.testing.assert_close(found(new).softmax(1), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(found(new[:1]), found(new)[:1])  # a picture's logits do not depend on the others'
    torch.testing.assert_close(features.probe(x.double(), labels, 3, decay=1e-2)(new.double()), found(new))


def test_the_probe_takes_dead_features_and_refuses_other_lengths():
    x = torch.cat([draws((30, 2))[0], torch.zeros(30, 1)], 1)
    assert features.probe(x, torch.arange(30) % 2, 2)(x).isfinite().all()
    with pytest.raises(ValueError, match=r"N labels, got .30, 3. and .29,"):
        features.probe(x, torch.zeros(29, dtype=torch.long), 2)
    for labels in (torch.arange(30), torch.arange(30) % 2 - 1, torch.zeros(30)):
        with pytest.raises(ValueError, match="int64, from 0 to 1"):
            features.probe(x, labels, 2)


@pytest.mark.parametrize("change, words", [
    ({"features": np.eye(4)}, "features must be a torch tensor, got ndarray"),
    ({"features": [[1.0]] * 4}, "features must be a torch tensor, got list"),
    ({"labels": [0, 1, 0, 1]}, "labels must be a torch tensor, got list: torch.as_tensor"),
    ({"labels": np.zeros(4, np.int64)}, "labels must be a torch tensor, got ndarray"),
    ({"labels": torch.zeros(4, 1).long()}, r"with N labels, got \(4, 4\) and \(4, 1\)"),
    ({"features": torch.eye(0), "labels": torch.zeros(0).long()}, r"at least one row, with N labels, got \(0, 0\)"),
    ({"features": torch.eye(4) / 0}, "features must be finite"),
    ({"decay": -1e-3}, "decay must be at least 0, got -0.001"), ({"decay": float("nan")}, "decay .* got nan"),
    ({"decay": "weak"}, "decay must be at least 0, got 'weak'"), ({"n_classes": 2.0}, "n_classes must be .* got 2.0"),
])  # fmt: skip
def test_the_probe_names_what_is_wrong(change, words):
    with pytest.raises(ValueError, match=words):
        features.probe(**{"features": torch.eye(4), "labels": torch.arange(4) % 2, "n_classes": 2} | change)
