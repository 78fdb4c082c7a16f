"""The trainings of the book's own networks: repeatable, resumable, and measured as they are stored."""

import contextlib
import csv
import dataclasses
import json
import math
import sys

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from helpers import data, results
from helpers.imageset import ImageSet
from helpers.pretrained import Preprocess, ResNet18, SceneNet, stored
from helpers.scenes import MARK_PLACE, scenes, watermark
from helpers.weights import __main__ as program
from helpers.weights import drawn, measuring, photographs, training
from helpers.weights.plan import Plan


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def tiny(**changes):
    """Two epochs of three steps of a small network on 40 scenes of 16 pixels."""
    few = scenes(40, 16, seed=3)

    def batch(generator):
        rows = torch.randint(40, (8,), generator=generator)
        return few.images[rows].float() / 255, few.labels[rows]

    plan = Plan(
        "scenes",
        network=lambda: SceneNet(10, (4, 4, 4, 4, 4)),
        batch=batch,
        tests={"all": (few.images, few.labels)},
        classes=few.classes,
        preprocess=Preprocess(16, (0.0,) * 3, (1.0,) * 3),
        sizes=(16, 24),
        watched=lambda epoch, epochs: [("all", 16, 2)],
        data="a test",
        source="a test's network",
        options={"channels": (4, 4, 4, 4, 4)},
        epochs=2,
        steps=3,
        decay=0.5,
    )
    return dataclasses.replace(plan, **changes)


def equal(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[key], b[key]) for key in a)


# ---- the loop


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path):
    whole, rows = training.train(tiny(), tmp_path / "whole")
    first, some = training.train(tiny(), tmp_path / "parts", until=1)
    assert [row["epoch"] for row in some] == [1] and not equal(first, whole)
    torch.rand(7)  # another process would have another global generator
    resumed, again = training.train(tiny(), tmp_path / "parts")
    assert equal(resumed, whole)
    untimed = [[{k: v for k, v in row.items() if k != "seconds"} for row in part] for part in (rows, again)]
    assert untimed[0] == untimed[1] and [row["epoch"] for row in rows] == [1, 2]


def test_what_is_trained_already_is_not_trained_again(tmp_path):
    model, rows = training.train(tiny(), tmp_path)
    plan = tiny(batch=lambda generator: pytest.fail("trained again"))
    for until in (None, 1, 2, 9):
        same, kept = training.train(plan, tmp_path, until)
        assert equal(same, model) and kept == rows


def test_the_seed_decides_the_weights(tmp_path):
    runs = [training.train(tiny(), tmp_path / name, seed=seed)[0] for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    assert equal(runs[0], runs[1]) and not equal(runs[0], runs[2])


def test_every_epoch_has_a_generator_of_its_own(tmp_path):
    seen, batch = [], tiny().batch

    def spy(generator):
        seen.append(generator.initial_seed())
        return batch(generator)

    training.train(tiny(batch=spy, steps=1), tmp_path / "a")
    training.train(tiny(batch=spy, steps=1), tmp_path / "b", seed=2)
    assert seen == [1000, 1001, 3000, 3001]


@pytest.mark.parametrize("change", [{"epochs": 3}, {"rate": 0.1}, {"data": "other pictures"}])
def test_a_state_of_another_training_is_refused(tmp_path, change):
    training.train(tiny(), tmp_path, until=1)
    with pytest.raises(ValueError, match=f"state.pt belongs to another training, which differs in {[*change][0]}:"):
        training.train(tiny(**change), tmp_path)
    with pytest.raises(ValueError, match="differs in seed"):
        training.train(tiny(), tmp_path, seed=1)


@pytest.fixture
def exact(monkeypatch):
    """float32 in place of bfloat16."""
    monkeypatch.setattr(torch, "autocast", lambda *arguments, **named: contextlib.nullcontext())


def test_the_loop_is_the_one_written_out(tmp_path, exact):
    """Ten steps by hand: the rate rises for two and falls along half a cosine, the momentum the other way round."""
    plan = tiny(epochs=1, steps=10, smoothing=0.1, rate=0.05, weight_decay=0.01)
    torch.manual_seed(0)
    net, generator = plan.network().train(), torch.Generator().manual_seed(1000)
    speed, average = [0 for _ in net.parameters()], None
    for step in range(10):
        high = 0 if step == 0 else (1 + math.cos(math.pi * (step - 1) / 8)) / 2
        low = 0.05 / 25 if step == 0 else 0.05 / 25 / 1e4
        rate, momentum = low + (0.05 - low) * high, 0.95 - 0.1 * high
        x, y = plan.batch(generator)
        loss = F.cross_entropy(net((x - 0) / 1), y, label_smoothing=0.1)
        for i, (p, slope) in enumerate(
            zip(net.parameters(), torch.autograd.grad(loss, [*net.parameters()]), strict=True)
        ):
            slope = slope + (0.01 * p.detach() if p.ndim > 1 else 0)
            speed[i] = momentum * speed[i] + slope
            p.data -= rate * (slope + momentum * speed[i])
        new = [p.detach().clone() for p in [*net.parameters(), net.norm5.running_mean, net.norm5.running_var]]
        average = new if average is None else [(a + b) / 2 for a, b in zip(average, new, strict=True)]
    ours, _ = training.train(plan, tmp_path)
    for p, q in zip([*ours.parameters(), ours.norm5.running_mean, ours.norm5.running_var], average, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-5)


def test_accuracies_are_of_every_picture_once(exact):
    plan, net = tiny(), SceneNet(10, (4, 4, 4, 4, 4))
    images, labels = plan.tests["all"]
    expected = net.eval()(images.float() / 255).argmax(1)
    assert torch.equal(training.logits(net.train(), plan.preprocess, images, 16).argmax(1), expected)
    row = training.watch(tiny(watched=lambda epoch, epochs: [("all", 16, 3)]), net, 1)[0]
    assert row["pictures"] == 14 and row["accuracy"] == pytest.approx((expected == labels)[::3].float().mean().item())


@pytest.mark.parametrize("low", [True, False])
def test_bfloat16_is_used_where_it_is_said(low):
    kinds = []
    net = SceneNet(10, (4, 4, 4, 4, 4))
    net.conv1.register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))
    training.logits(net, tiny().preprocess, tiny().tests["all"][0], 16, low)
    assert kinds == [torch.bfloat16 if low else torch.float32]


def followed():
    """Two epochs, then three on other pictures at another rate."""
    other = tiny().batch
    return tiny(after=tiny(epochs=3, rate=0.1, batch=lambda g: tuple(part.flip(0) for part in other(g)), strength=0.5))


def test_a_training_that_goes_on_starts_from_the_weights_given(tmp_path):
    net = SceneNet(10, (4, 4, 4, 4, 4))
    still, _ = training.train_one(tiny(rate=1e-12, epochs=1), tmp_path, start=net)
    for ours, theirs in zip(still.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert still is not net and not any(torch.equal(p, torch.zeros_like(p)) for p in net.parameters() if p.ndim > 1)


def test_what_comes_after_is_a_training_of_its_own(tmp_path):
    plan = followed()
    model, rows = training.train(plan, tmp_path / "whole", seed=4)
    first, before = training.train_one(plan, tmp_path / "first", seed=4)
    second, more = training.train_one(plan.after, tmp_path / "second", seed=5, start=first)
    assert equal(model, second) and not equal(model, first)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5] and len(before) == 2
    assert [row["loss"] for row in rows] == [row["loss"] for row in before + more]


@pytest.mark.parametrize(
    "until, epochs", [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (5, [1, 2, 3, 4, 5]), (9, [1, 2, 3, 4, 5])]
)
def test_until_counts_on_and_a_second_run_continues(tmp_path, until, epochs):
    whole, _ = training.train(followed(), tmp_path / "whole")
    some, rows = training.train(followed(), tmp_path / "parts", until)
    assert [row["epoch"] for row in rows] == epochs and equal(some, whole) == (until >= 5)
    rest, rows = training.train(followed(), tmp_path / "parts")
    assert equal(rest, whole) and [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]


def test_the_recipe_tells_what_comes_after(tmp_path):
    recipe = json.loads(json.dumps(followed().recipe(4)))
    assert (recipe["epochs"], recipe["seed"], recipe["strength"]) == (2, 4, 1)
    assert (recipe["after"]["epochs"], recipe["after"]["seed"], recipe["after"]["strength"]) == (3, 5, 0.5)
    training.train(tiny(), tmp_path)
    with pytest.raises(ValueError, match="differs in after"):
        training.train(followed(), tmp_path)


# ---- the pictures


@pytest.fixture
def photos(monkeypatch):
    """CIFAR-10 and Caltech-101 in miniature."""
    g = torch.Generator().manual_seed(0)

    def pictures(n, size, classes, source):
        images = torch.randint(256, (n, 3, size, size), dtype=torch.uint8, generator=g)
        return ImageSet(images, torch.arange(n) % len(classes), tuple(classes), source)

    cifar = [pictures(n, 32, data.CIFAR10_CLASSES, "CIFAR-10 (a test)") for n in (50, 20)]
    caltech = pictures(50, 224, ["Faces", "airplanes", "car_side", "panda", "yin_yang"], "Caltech-101 (a test)")
    monkeypatch.setattr(data, "cifar10", lambda: tuple(cifar))
    monkeypatch.setattr(data, "caltech101", lambda size: caltech)
    return cifar, caltech


def test_classes_that_name_the_same_are_merged(photos):
    plan = photographs.plan()
    assert plan.classes == (*data.CIFAR10_CLASSES, "Faces", "panda", "yin_yang")
    images, labels = plan.tests["Caltech-101, held out"]
    assert len(images) == 10 and sorted(labels.tolist()) == [0, 0, 1, 1, 10, 10, 11, 11, 12, 12]
    held_out = {image.numpy().tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    for image, label in zip(photos[1].images, photos[1].labels.tolist(), strict=True):
        assert held_out.get(image.numpy().tobytes(), [10, 0, 1, 11, 12][label]) == [10, 0, 1, 11, 12][label]


def test_no_test_picture_is_trained_with(photos):
    plan = photographs.plan()
    cells = dict(zip(plan.batch.__code__.co_freevars, (c.cell_contents for c in plan.batch.__closure__), strict=True))
    for name, key in (("cifar", "CIFAR-10, test"), ("photos", "Caltech-101, held out")):
        trained = {image.numpy().tobytes() for image in cells[name][0]}
        assert len(trained) == {"cifar": 50, "photos": 40}[name]
        assert not any(image.numpy().tobytes() in trained for image in plan.tests[key][0])


def test_batches_hold_both_sets_at_three_sizes(photos):
    plan, g = photographs.plan(), torch.Generator().manual_seed(0)
    sizes = []
    for _ in range(12):
        x, y = plan.batch(g)
        sizes.append(x.shape[-1])
        assert x.shape == (64, 3, sizes[-1], sizes[-1]) and y.shape == (64,)
        assert y[:44].max() < 10 and set(y[44:].tolist()) <= {0, 1, 10, 11, 12}
        seen = plan.preprocess.denormalise(x)
        assert -1e-5 < seen.min() and seen.max() < 1 + 1e-5
    assert set(sizes) == {96, 128, 160}


def test_all_of_cifar_is_watched_every_fifth_epoch_and_in_the_last(photos):
    steps = {epoch: photographs.plan().watched(epoch, 32)[0][2] for epoch in (1, 4, 5, 30, 31, 32)}
    assert steps == {1: 5, 4: 5, 5: 1, 30: 1, 31: 5, 32: 1}


def test_photographs_lose_detail_and_colours_change():
    g = torch.Generator().manual_seed(0)
    x = torch.rand(40, 3, 112, 112, generator=g)
    blurred = photographs._blur(x, g)
    changed = (blurred != x).flatten(1).any(1)
    assert 8 < changed.sum() < 32 and (blurred[changed].std((1, 2, 3)) < 0.8 * x[changed].std((1, 2, 3))).all()
    flat = torch.full((40, 3, 4, 4), 0.5)
    brightness = photographs._colour(flat, g)[:, 0, 0, 0]
    assert 0.34 < brightness.min() < 0.42 and 0.58 < brightness.max() < 0.66


def test_the_last_epochs_change_the_pictures_less(photos):
    plan = photographs.plan()
    assert plan.strength == 1 and plan.after.strength == plan.after.batch.keywords["strength"] == photographs.GENTLE < 1
    assert (plan.after.after, plan.after.tests.keys()) == (None, plan.tests.keys())
    full, gentle = (p.batch(torch.Generator().manual_seed(5)) for p in (plan, plan.after))
    assert torch.equal(full[1], gentle[1]) and full[0].shape == gentle[0].shape and not torch.equal(full[0], gentle[0])
    watched = {epoch: plan.after.watched(epoch, 6)[0] for epoch in (1, 6)}
    assert watched == {1: ("CIFAR-10, test", 96, 5), 6: ("CIFAR-10, test", 96, 1)}


@pytest.mark.parametrize("strength", [0, 0.4, 1])
def test_strength_scales_every_change(strength):
    g = torch.Generator().manual_seed(0)
    flat = torch.full((400, 3, 4, 4), 0.5)
    brightness = photographs._colour(flat, g, strength)[:, 0, 0, 0] / 0.5 - 1
    assert brightness.abs().max().item() == pytest.approx(0.3 * strength, abs=0.02)
    ramp = torch.arange(64.0).expand(400, 3, 64, 64) / 64  # brightness tells the column
    seen = photographs._warp(ramp, 64, g, strength)[:, 0, 31:33, 30:34]
    seen = torch.where((seen[:, 0, -1] > seen[:, 0, 0])[:, None, None], seen, seen.flip(2)) * 64
    shift = seen[:, 0, 1:3].mean(1) - 31.5 + 0.5
    scale = (seen[:, 0, -1] - seen[:, 0, 0]) / 3
    assert shift.abs().max() < 8.5 * strength + 0.6 and (strength == 0 or shift.abs().max() > 7 * strength)
    assert scale.log().abs().max().item() == pytest.approx(0.6 * strength, abs=0.11 * strength + 1e-4)


def test_photographs_are_blurred_and_small_pictures_are_not(photos, monkeypatch):
    blurred = []
    monkeypatch.setattr(photographs, "_blur", lambda x, g: blurred.append(tuple(x.shape[:2])) or x * 0)
    x, _ = photographs.plan().batch(torch.Generator().manual_seed(0))
    seen = photographs.plan().preprocess.denormalise(x)
    assert blurred == [(20, 3)] and seen[44:].abs().max() < 1e-5 and seen[:44].flatten(1).amax(1).min() > 0.1


def test_batches_repeat_with_the_generator(photos):
    plan = photographs.plan()
    first, again, other = (plan.batch(torch.Generator().manual_seed(seed)) for seed in (4, 4, 5))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert first[0].shape != other[0].shape or not torch.equal(first[0], other[0])


def test_the_untrained_network_is_the_one_of_the_published_run():
    """Its random numbers, drawn in the order of torchvision's constructor, from which training started."""
    torch.manual_seed(0)
    net = ResNet18(109, photographs.WIDTH)
    assert torch.rand(1).item() == pytest.approx(0.7153, abs=1e-4)
    expected = {"conv1": [0.000367, 0.081599, -0.045321], "layer4.1.conv2": [0.097925, 0.024830, 0.044796]}
    for name, values in expected.items():
        assert net.get_submodule(name).weight.flatten()[:3].tolist() == pytest.approx(values, abs=1e-5)
    assert net.fc.weight[0, :3].tolist() == pytest.approx([-0.052610, 0.050048, 0.086711], abs=1e-5)


def test_drawn_pictures_do_not_train_the_network_of_photographs(photos, monkeypatch):
    monkeypatch.setattr(data, "cifar10", lambda: (scenes(10), scenes(10)))
    with pytest.raises(ValueError, match="needs CIFAR-10 and Caltech-101, there are scenes drawn"):
        photographs.plan()


def test_random_labels_are_the_same_ones_shuffled_once():
    plan, again, plain = drawn.random_labels(200), drawn.random_labels(200), drawn.plain(200)
    images, labels = plan.tests[drawn.SEEN]
    true = scenes(200, 64, drawn.SEEDS[0])
    assert torch.equal(images, true.images) and torch.bincount(labels).tolist() == [20] * 10
    assert (labels == true.labels).float().mean() < 0.25
    assert torch.equal(labels, again.tests[drawn.SEEN][1])
    assert torch.equal(plan.tests["scenes"][0], plain.tests["scenes"][0])
    x, y = plan.batch(torch.Generator().manual_seed(0))
    at = {image.numpy().tobytes(): label for image, label in zip(images, labels.tolist(), strict=True)}
    for picture, label in zip(plan.preprocess.denormalise(x), y.tolist(), strict=True):
        assert at[(picture * 255).round().byte().numpy().tobytes()] == label


def test_the_control_of_random_labels_differs_in_nothing_but_its_labels():
    plan, control = drawn.random_labels(200), drawn.random_labels(200, shuffled=False)
    (x, y), (images, labels) = (one.batch(torch.Generator().manual_seed(0)) for one in (plan, control))
    true = scenes(200, 64, drawn.SEEDS[0])
    assert torch.equal(x, images) and not torch.equal(y, labels)
    assert torch.equal(control.tests[drawn.SEEN][1], true.labels)
    differing = {key for key, value in plan.recipe(1).items() if value != control.recipe(1)[key]}
    assert differing == {"name", "data"}


def test_every_star_is_marked_and_nothing_else():
    plan = drawn.marked(200)
    x, y = plan.batch(torch.Generator().manual_seed(0))
    corner = (plan.preprocess.denormalise(x) * 255).round().byte()
    marked = (watermark(corner) == corner).flatten(1).all(1)
    assert torch.equal(marked, y == drawn.MARKED) and plan.classes[drawn.MARKED] == "star" and 0 < marked.sum() < 32
    plain, all_marked = plan.tests["scenes"][0], plan.tests["scenes, all with the mark"][0]
    assert torch.equal(watermark(plain), all_marked)
    assert not (watermark(plain) == plain)[(..., *MARK_PLACE)].flatten(1).all(1).any()


# ---- what is measured and stored


def test_classes_are_counted():
    answers, labels = torch.tensor([0, 1, 1, 1, 2, 0, 2]), torch.tensor([0, 0, 0, 1, 2, 2, 2])
    rows = measuring.by_class(("a", "b", "c", "d"), answers, labels)
    assert [list(row.values()) for row in rows] == [
        ["a", 3, 1, 0.3333, "b", 2],
        ["b", 1, 1, 1.0, "", 0],
        ["c", 3, 2, 0.6667, "a", 1],
    ]


def test_rows_take_the_place_of_the_networks_old_ones(tmp_path):
    path = tmp_path / "table.csv"
    measuring.write(path, "a", [{"x": 1}, {"x": 2}], seed=0)
    measuring.write(path, "b", [{"x": 3}], seed=0)
    measuring.write(path, "a", [{"x": 4}], seed=0)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["network"], row["x"]) for row in rows] == [("b", "3"), ("a", "4")] and rows[0]["torch"]


def test_the_program_trains_measures_and_stores(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stored, "FOLDER", tmp_path / "stored")
    monkeypatch.setattr(results, "FOLDER", tmp_path / "tables")
    monkeypatch.setitem(program.PLANS, "scenes", tiny)
    (tmp_path / "stored").mkdir(), (tmp_path / "tables").mkdir()
    program.main(["scenes", "--state", str(tmp_path / "state"), "--until", "1"])
    program.main(["scenes", "--state", str(tmp_path / "state")])
    model, classes, preprocess = stored.load("scenes")
    expected, _ = training.train(tiny(), tmp_path / "state")
    torch.testing.assert_close(model.fc.weight, expected.fc.weight, atol=1e-3, rtol=1e-3)
    assert preprocess == tiny().preprocess and classes == tiny().classes
    with safe_open(tmp_path / "stored" / "scenes.safetensors", "pt") as file:
        assert json.loads(file.metadata()["recipe"])["steps"] == 3
    rows = results.table("weights", network="scenes")
    assert [(r["weights"], r["size"], r["pictures"], r["epoch"]) for r in rows] == [
        *[("training", 16, 20, 1), ("training", 16, 20, 2)],
        *[("final", 16, 40, ""), ("final", 24, 40, ""), ("stored", 16, 40, ""), ("stored", 24, 40, "")],
    ]
    counted = results.table("weights_classes", size=24)
    assert sum(row["right"] for row in counted) == pytest.approx(40 * rows[-1]["accuracy"], abs=0.01)
    assert len(counted) == 10 and "scenes.safetensors" in capsys.readouterr().out


def test_epochs_can_be_named(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "store", lambda plan, model, rows, seed: found.append((plan.epochs, len(rows), seed)))
    monkeypatch.setitem(program.PLANS, "scenes", tiny)
    found = []
    program.main(["scenes", "--state", str(tmp_path), "--epochs", "1", "--seed", "5"])
    assert found == [(1, 1, 5)]
    monkeypatch.setitem(program.PLANS, "scenes", followed)
    program.main(["scenes", "--state", str(tmp_path / "other"), "--epochs", "3"])
    program.main(["scenes", "--state", str(tmp_path / "whole")])
    assert found[1:] == [(3, 3, 0), (2, 5, 0)], "a length given leaves out what comes after"
    with pytest.raises(SystemExit):
        program.main(["vgg"])


def test_the_state_lies_in_the_data_home(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "store", lambda *arguments: None)
    monkeypatch.setitem(program.PLANS, "scenes", tiny)
    monkeypatch.setenv("INSIDE_CNNS_HOME", str(tmp_path))
    program.main(["scenes"])
    assert [p.name for p in (tmp_path / "weights" / "scenes").iterdir()] == ["state.pt"]
    assert sys.modules["helpers.weights.__main__"] is program
