"""Stored networks: the right ones, whole or refused by name; pictures as the networks were trained with."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import ResNet18_Weights, resnet18
from torchvision.transforms.v2 import functional as tv

from helpers import data, download
from helpers.models import pretrained
from helpers.pretrained import NAMES, Preprocess, ResNet18, SceneNet, stored

OWN = [name for name in NAMES if name != "resnet18"]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of torch's, without a network; yields the folder of its files."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "1")
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """The stored files in a folder of their own, where `pretrained` looks for them."""
    shutil.copytree(stored.FOLDER, tmp_path / "stored")
    monkeypatch.setattr(stored, "FOLDER", tmp_path / "stored")
    return tmp_path / "stored"


def cached(hub, model, monkeypatch):
    """The model's weights in torch's cache under torchvision's name, its digits those of this file."""
    hub.mkdir(parents=True)
    torch.save(model.state_dict(), hub / "weights.pth")
    digits = hashlib.sha256((hub / "weights.pth").read_bytes()).hexdigest()[:8]
    path = (hub / "weights.pth").rename(hub / f"resnet18-{digits}.pth")
    weights = ResNet18_Weights.IMAGENET1K_V1
    changed = dataclasses.replace(weights.value, url=f"http://127.0.0.1:9/{path.name}")
    monkeypatch.setattr(weights, "_value_", changed)
    return path


# ---- the loader


@pytest.mark.parametrize("name", OWN)
def test_the_books_own_are_whole(name):
    model, classes, preprocess = pretrained(name)
    x = preprocess(data.photo("cat"))[None]
    assert x.shape == (1, 3, preprocess.size, preprocess.size)
    assert model(x).shape == (1, len(classes)) and len(set(classes)) == len(classes)
    assert not model.training and all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())
    assert isinstance(model.source, str) and isinstance(classes, tuple)
    assert (stored.FOLDER / f"{name.removesuffix('-book')}.safetensors").stat().st_size < 3_000_000


def test_every_stored_file_has_its_sum_and_a_name():
    files = {p.stem for p in stored.FOLDER.glob("*.safetensors")}
    assert files == set(json.loads((stored.FOLDER / stored.SUMS).read_text())) == {"resnet18", *OWN} - {"resnet18-book"}


def test_resnet18_is_the_books_own_where_torchvisions_is_not_to_be_had(hub):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, classes, _ = pretrained("resnet18")
    own, names, _ = pretrained("resnet18-book")
    assert model.source == own.source and classes == names and len(classes) == 109
    assert torch.equal(model.conv1.weight, own.conv1.weight)


def test_torchvisions_weights_come_from_torchs_cache(hub, monkeypatch):
    reference = resnet18().eval()
    cached(hub, reference, monkeypatch)
    model, classes, preprocess = pretrained("resnet18")
    assert len(classes) == 1000 and "torchvision" in model.source and not model.training
    assert preprocess == Preprocess(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    x = preprocess(data.photo("cat"))[None]
    assert torch.equal(model(x), reference(x))
    assert "book" in pretrained("resnet18-book")[0].source


def test_a_damaged_file_in_torchs_cache_is_refused_by_name(hub, monkeypatch):
    path = cached(hub, nn.Linear(2, 2), monkeypatch)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=f"{path.name} is damaged .*begin with {path.stem[-8:]}. Move it away"):
        pretrained("resnet18")
    assert path.exists()


def test_a_failing_download_warns_and_the_books_own_serves(hub, monkeypatch):
    path = cached(hub, nn.Linear(2, 2), monkeypatch)
    path.unlink()
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "0")
    with pytest.warns(UserWarning, match="(?s)could not download resnet18.*The book's own ResNet-18 serves") as caught:
        model, _, _ = pretrained("resnet18")
    assert caught[0].filename == __file__
    assert "book" in model.source and not list(hub.iterdir())


def test_a_download_with_the_wrong_content_leaves_nothing(hub, monkeypatch, tmp_path):
    path = cached(hub, nn.Linear(2, 2), monkeypatch)
    path.unlink()
    (tmp_path / path.name).write_bytes(b"something else")
    weights = ResNet18_Weights.IMAGENET1K_V1
    monkeypatch.setattr(weights, "_value_", dataclasses.replace(weights.value, url=(tmp_path / path.name).as_uri()))
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "0")
    with pytest.warns(UserWarning, match="damaged"):
        pretrained("resnet18")
    assert not list(hub.iterdir())


def test_torchvisions_weights_are_downloaded_once(hub, monkeypatch, tmp_path):
    path = cached(hub, resnet18(), monkeypatch)
    served = path.rename(tmp_path / path.name)
    weights = ResNet18_Weights.IMAGENET1K_V1
    monkeypatch.setattr(weights, "_value_", dataclasses.replace(weights.value, url=served.as_uri()))
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "0")
    assert len(pretrained("resnet18")[1]) == 1000
    served.unlink()
    assert len(pretrained("resnet18")[1]) == 1000 and [p.name for p in hub.iterdir()] == [path.name]


def test_torchvisions_address_names_the_digits_that_are_checked():
    assert ResNet18_Weights.IMAGENET1K_V1.url.endswith("resnet18-f37072fd.pth")


def test_both_resnets_have_torchvisions_layers():
    names = [name for name, _ in resnet18().named_modules()]
    assert [name for name, _ in pretrained("resnet18-book")[0].named_modules()] == names
    assert list(pretrained("resnet18-book")[0].state_dict()) == list(resnet18().state_dict())


@pytest.mark.parametrize(
    "name, near",
    [("resnet", "'resnet18'"), ("scene", "'scenes'"), ("watermark", "'scenes-watermark'"), (5, "'scenes'")],
)
def test_an_unknown_name_lists_near_ones(name, near):
    with pytest.raises(ValueError, match=f"there is no network {name!r}; did you mean .*{near}"):
        pretrained(name)


def test_loading_leaves_the_global_generator_alone(hub, monkeypatch):
    cached(hub, resnet18(), monkeypatch)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    for name in NAMES:
        pretrained(name)
    assert torch.rand(1) == expected


@pytest.mark.parametrize("name", OWN)
def test_a_damaged_file_is_refused_by_name(copies, name):
    path = copies / f"{name.removesuffix('-book')}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"{path.name} are damaged: their sha256 is \w+, it should be \w+. `git restore"
    ):
        pretrained(name)


def test_a_missing_file_is_named(copies):
    (copies / "scenes.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="scenes.safetensors is missing.*git restore"):
        pretrained("scenes")


@pytest.mark.parametrize("text, words", [(None, "is missing"), ("{", "is damaged"), ("{}", "it should be None")])
def test_sums_that_are_missing_or_damaged_let_nothing_through(copies, text, words):
    (copies / stored.SUMS).unlink() if text is None else (copies / stored.SUMS).write_text(text)
    with pytest.raises((FileNotFoundError, ValueError), match=words):
        pretrained("scenes")


def test_what_was_saved_is_loaded(tmp_path):
    torch.manual_seed(0)
    model = SceneNet(3, (4, 4, 4, 4, 6))
    model(torch.rand(8, 3, 16, 16))  # the running statistics move
    options = {"options": {"channels": [4, 4, 4, 4, 6]}, "recipe": {"seed": 0}, "folder": tmp_path}
    about = {"classes": ("a", "é", "c"), "preprocess": Preprocess(16, (0.1, 0.2, 0.3)), "source": "a test"}
    stored.save("small", model, **about, **options)
    stored.save("other", SceneNet(2), **about | {"classes": "ab"}, recipe={}, folder=tmp_path)
    loaded, classes, preprocess = stored.load("small", tmp_path)
    assert (classes, preprocess, loaded.source) == (("a", "é", "c"), about["preprocess"], "a test")
    for key, value in model.state_dict().items():
        same = value.half().float() if value.ndim > 1 else value
        assert torch.equal(loaded.state_dict()[key], same) and loaded.state_dict()[key].dtype == value.dtype
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.safetensors", "sha256.json", "small.safetensors"]


def test_torchvision_is_not_imported_before_it_is_needed():
    code = "import sys, helpers.models; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ---- the architectures


def test_resnet18_at_width_64_is_torchvisions():
    torch.manual_seed(0)
    ours, theirs = ResNet18().eval(), resnet18().eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(2, 3, 70, 64)
    assert torch.equal(ours(x), theirs(x))
    narrow = ResNet18(7, 16).eval()
    assert narrow(x).shape == (2, 7) and narrow.layer4[1].conv2.weight.shape == (128, 128, 3, 3)
    with pytest.raises(ValueError, match="at least 1, got 7 and 0"):
        ResNet18(7, 0)


def test_scenenet_has_maps_that_a_mean_and_one_layer_follow():
    net, maps = SceneNet().eval(), {}
    net.relu5.register_forward_hook(lambda module, inputs, output: maps.update(last=output))
    x = torch.rand(2, 3, 64, 64)
    assert net(x).shape == (2, 10) and maps["last"].shape == (2, 128, 8, 8)
    by_hand = torch.einsum("kc,nchw->nk", net.fc.weight, maps["last"]) / 64 + net.fc.bias
    torch.testing.assert_close(net(x), by_hand)
    assert 100_000 < sum(p.numel() for p in net.parameters()) < 300_000
    with pytest.raises(ValueError, match=r"five numbers of at least 1, got \(8, 8\)"):
        SceneNet(10, (8, 8))


# ---- what pictures go through


@pytest.mark.parametrize("h, w", [(64, 64), (100, 64), (50, 73), (31, 40), (200, 64), (129, 300)])
@pytest.mark.parametrize("size", [64, 33])
def test_crops_are_torchvisions(h, w, size):
    picture = torch.randint(256, (3, h, w), dtype=torch.uint8, generator=torch.Generator().manual_seed(h))
    expected = tv.center_crop(tv.resize(picture.float() / 255, size, antialias=True), size)
    torch.testing.assert_close(Preprocess(size).crop(picture), expected, atol=1e-5, rtol=0)


def test_rounding_keeps_crops_between_0_and_1():
    for side in range(20, 90):
        preprocess = Preprocess(17)
        preprocess(preprocess.crop(torch.full((3, side, side), 255, dtype=torch.uint8)))


def test_the_middle_square_is_kept():
    picture = torch.zeros(3, 40, 80, dtype=torch.uint8)
    picture[:, :, 20:60] = 255
    assert (Preprocess(20).crop(picture)[:, :, 1:-1] > 0.99).all()
    assert (Preprocess(20).crop(picture.mT)[:, 1:-1] > 0.99).all()


def test_preprocess_normalises_each_channel():
    preprocess = Preprocess(4, (0.1, 0.2, 0.3), (0.5, 1.0, 2.0))
    x = torch.ones(2, 3, 4, 4)
    assert torch.allclose(preprocess(x)[1, :, 0, 0], torch.tensor([1.8, 0.8, 0.35]))
    assert preprocess(x[0]).shape == (3, 4, 4)
    torch.testing.assert_close(preprocess.denormalise(preprocess(x)), x)
    torch.testing.assert_close(preprocess.normalise(preprocess.denormalise(x)), x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_floats_become_float32(dtype):
    assert Preprocess(8)(torch.rand(3, 9, 10).to(dtype)).dtype == torch.float32


def test_pil_images_are_upright_opaque_rgb():
    pixels = torch.randint(256, (10, 20, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture, preprocess = Image.fromarray(pixels.numpy()), Preprocess(10)
    expected = preprocess(pixels.permute(2, 0, 1))
    assert torch.equal(preprocess(picture), expected)
    picture.getexif()[0x0112] = 3  # taken upside down
    torch.testing.assert_close(preprocess.crop(picture), preprocess.crop(pixels.flip(0, 1).permute(2, 0, 1)))
    assert (preprocess.crop(Image.new("RGBA", (10, 10), (0, 0, 0, 0))) == 1).all(), "transparent: white"
    assert (preprocess.crop(Image.new("L", (10, 10), 51)) == 0.2).all()
    with pytest.raises(ValueError, match="more than 8 bits"):
        preprocess(Image.fromarray(np.full((12, 12), 40_000, np.uint16)))


@pytest.mark.parametrize(
    "pictures, words",
    [
        (torch.zeros(4, 8, 8), r"got \(4, 8, 8\): the fourth channel is transparency"),
        (torch.zeros(2, 4, 8, 8), r"got \(2, 4, 8, 8\): the fourth"),
        (torch.zeros(8, 8), r"got \(8, 8\): grey"),
        (torch.zeros(8, 9, 3), r"got \(8, 9, 3\): the channels come first"),
        (torch.zeros(1, 1, 3, 8, 8), r"\(3, H, W\) or \(N, 3, H, W\), got \(1, 1, 3, 8, 8\)"),
        (torch.zeros(0, 3, 8, 8), r"got \(0, 3, 8, 8\)"),
        (torch.zeros(3, 8, 8) - 0.1, "from 0 to 1, got -0.1 to -0.1: normalised already"),
        (torch.full((3, 8, 8), 255.0), "from 0 to 1, got 255 to 255"),
        (torch.full((3, 8, 8), float("nan")), "from 0 to 1, got nan"),
        (torch.zeros(3, 8, 8).long(), "uint8 from 0 to 255 or floats from 0 to 1, got int64"),
        (np.zeros((8, 8, 3), np.uint8), r"got ndarray: torch.from_numpy\(a\).permute"),
        ("cat.jpg", "a PIL image, got str$"),
    ],
)
def test_pictures_that_do_not_fit_are_named(pictures, words):
    for call in (Preprocess(8), Preprocess(8).crop):
        with pytest.raises(ValueError, match=words):
            call(pictures)


@pytest.mark.parametrize("arguments", [(0,), (8.0,), (True,), (8, (0.5,)), (8, (0, 0, 0), (1, 0, 1))])
def test_a_preprocess_that_makes_no_sense(arguments):
    with pytest.raises(ValueError, match="must be"):
        Preprocess(*arguments)


# ---- downloads


def test_fetch_checks_the_first_digits_of_any_hash(tmp_path):
    (tmp_path / "file").write_bytes(b"whole")
    digits = hashlib.sha256(b"whole").hexdigest()
    assert download.fetch([], tmp_path / "file", digits[:8], "sha256") == tmp_path / "file"
    wrong = digits[:7] + "f0"[digits[7] == "f"]
    with pytest.raises(ValueError, match=f"its sha256 is {digits}, it should begin with {wrong}"):
        download.fetch([], tmp_path / "file", wrong, "sha256")
