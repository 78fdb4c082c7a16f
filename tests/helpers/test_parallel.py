"""Two processes, really started, against one: gradients, weights, evaluation, and the program that students run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import parallel_worker as worker
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DistributedSampler

from helpers import parallel, train
from helpers.data import scenes
from helpers.models import LeNet

WORKER = Path(worker.__file__)
ALONE = {"num_replicas": 1, "rank": 0}
EXACT = {"rtol": 1e-9, "atol": 1e-12}  # float64, added up in another order
COMMON = ("--data", "scenes", "--pictures", 50, "--batch-size", 16, "--micro-batch", 3, "--clip", 0.5, "--double")


def gradient_of_the_mean(model, x, y):
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    return worker.gradient(model)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("processes")
    parallel.launch(folder, program=(WORKER,))
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.fixture(scope="module")
def batch():
    return worker.PICTURES.floats()[:8].double(), worker.PICTURES.labels[:8]


def test_two_processes_with_uneven_shares_have_the_gradient_of_one(found, batch):
    expected = gradient_of_the_mean(worker.network(), *batch)
    for each in found:
        torch.testing.assert_close(each["gradient"], expected, **EXACT)
        assert each["loss"] == pytest.approx(F.cross_entropy(worker.network()(batch[0]), batch[1]).item())


def test_gradients_are_exchanged_once_a_step(found):
    assert [each["exchanges"] for each in found] == [1, 1]


def test_two_processes_reach_the_weights_of_one(found):
    expected = worker.train(worker.network(), **ALONE)
    assert (expected - worker.values(worker.network())).abs().max() > 1e-3, "nothing was learned"
    for each in found:
        torch.testing.assert_close(each["weights"], expected, **EXACT)
    assert torch.equal(found[0]["weights"], found[1]["weights"])


def test_they_clip_the_whole_gradient(found):
    expected = worker.train(worker.network(), clip=0.05, **ALONE)
    assert (expected - worker.train(worker.network(), **ALONE)).abs().max() > 1e-4, "nothing was clipped"
    for each in found:
        torch.testing.assert_close(each["clipped"], expected, **EXACT)


def test_each_picture_is_evaluated_once(found):
    net = LeNet()
    net.load_state_dict(worker.network().state_dict())
    for data, name in ((worker.HELD_OUT, "evaluated"), (worker.HELD_OUT.subset([0]), "one picture")):
        for result in (found[0][name], found[1][name], parallel.evaluate(net, data)):
            assert result == pytest.approx(train.evaluate(net, data), rel=1e-5)


def test_evaluation_takes_the_first_processs_averages(found):
    assert found[0]["normalised"] == found[1]["normalised"]
    assert [each["mean"].tolist() for each in found] == [[0, 0, 0]] * 2


def test_sums_and_places(found):
    assert [each["place"] for each in found] == [(0, 2), (1, 2)]
    assert [each["sum"].item() for each in found] == [3, 3] and [each["kept"].item() for each in found] == [1, 2]
    assert (parallel.rank(), parallel.processes()) == (0, 1)
    assert parallel.over_processes(torch.tensor([2.0])).item() == 2


@pytest.mark.parametrize("micro_batch", [1, 3, 8, 100])
def test_accumulation_gives_the_large_batchs_gradient(batch, micro_batch):
    model = worker.network()
    expected = gradient_of_the_mean(model, *batch)
    model.zero_grad()
    loss = parallel.accumulate(model, *batch, micro_batch)
    torch.testing.assert_close(worker.gradient(model), expected, **EXACT)
    assert loss == pytest.approx(F.cross_entropy(model(batch[0]), batch[1]).item())


def test_accumulation_adds_and_weighs(batch):
    x, y = batch
    model = worker.network()
    expected = gradient_of_the_mean(model, x[:6], y[:6])
    parallel.accumulate(model, x, y, 3, torch.tensor([1.0] * 6 + [0.0] * 2))
    torch.testing.assert_close(worker.gradient(model), 2 * expected, **EXACT)


def test_micro_batches_are_no_larger_than_asked(batch):
    model, sizes = worker.network(), []
    model.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    parallel.accumulate(model, *batch, 3)
    assert sizes == [3, 3, 2]
    with pytest.raises(ValueError, match="micro_batch must be at least 1, got 0"):
        parallel.accumulate(model, *batch, 0)


@pytest.mark.parametrize(
    "n, labels, weights, message",
    [
        (8, 4, None, r"8 pictures need labels of shape \(8,\), got \(4,\)"),
        (4, 8, None, r"4 pictures need labels of shape \(4,\), got \(8,\)"),
        (8, 8, torch.ones(4), r"8 pictures need weights of shape \(8,\), got \(4,\)"),
        (8, 8, torch.ones(8, 1), r"weights of shape \(8,\), got \(8, 1\)"),
        (8, 8, torch.ones(1), r"weights of shape \(8,\), got \(1,\)"),
        (8, 8, torch.zeros(8), "no picture counts"),
        (0, 0, None, "no picture counts"),
    ],
)
def test_no_picture_is_dropped_in_silence(batch, n, labels, weights, message):
    model = worker.network()
    with pytest.raises(ValueError, match=message):
        parallel.accumulate(model, batch[0][:n], batch[1][:labels], 4, weights)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("n, replicas, per_process", [(37, 2, 4), (10, 3, 2), (12, 3, 4), (5, 1, 2), (2, 3, 1)])
def test_shares_deal_each_picture_once(n, replicas, per_process):
    samplers = [DistributedSampler(range(n), replicas, rank, seed=3) for rank in range(replicas)]
    dealt = [list(parallel.shares(sampler, per_process)) for sampler in samplers]
    order = torch.randperm(n, generator=torch.Generator().manual_seed(3)).tolist()
    assert len({tuple(len(rows) for rows, _ in share) for share in dealt}) == 1, "all have as many steps"
    for step, parts in enumerate(zip(*dealt)):
        assert all(len(rows) <= per_process for rows, _ in parts)
        counted = [row for rows, weights in parts for row in rows[weights == 1].tolist()]
        size = per_process * replicas
        assert sorted(counted) == sorted(order[step * size : (step + 1) * size]), "a step's pictures: the next ones"


def test_a_batch_is_one_step():
    model, steps = worker.network(), []
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    optimizer.register_step_post_hook(lambda *_: steps.append(worker.gradient(model)))
    sampler = DistributedSampler(worker.PICTURES, **ALONE)
    parallel.train_epoch(model, worker.PICTURES, optimizer, sampler, batch_size=8, micro_batch=3)
    rows = torch.tensor(list(sampler)).split(8)
    assert len(steps) == len(rows) == 5 and not model.training
    for step, some in zip(steps, rows):
        few = worker.PICTURES.subset(some)
        expected = gradient_of_the_mean(model, few.floats().double(), few.labels)
        torch.testing.assert_close(step, expected, **EXACT)


@pytest.mark.parametrize("clip", [0.01, 100.0])
def test_the_whole_gradient_is_clipped_after_the_last_micro_batch(clip):
    """One step at rate 1 moves the weights by the gradient, shortened to `clip` where it is longer."""
    model, before = worker.network(), worker.values(worker.network())
    data = worker.PICTURES.subset(slice(0, 8))
    expected = gradient_of_the_mean(worker.network(), data.floats().double(), data.labels)
    sampler = DistributedSampler(data, **ALONE)
    parallel.train_epoch(model, data, torch.optim.SGD(model.parameters(), 1.0), sampler, 8, 3, clip)
    moved = before - worker.values(model)
    torch.testing.assert_close(moved, expected * min(1, clip / expected.norm()), rtol=1e-4, atol=1e-9)


def test_the_program_hands_on_what_it_was_told(monkeypatch, tmp_path):
    def join():
        store = parallel.dist.FileStore(str(tmp_path / "store"), 1)
        parallel.dist.init_process_group("gloo", store=store, rank=0, world_size=1)
        return torch.device("cpu")

    told = []
    monkeypatch.setattr(parallel, "_join", join)
    monkeypatch.setattr(parallel, "train_epoch", lambda *given: told.append(given[4:]))
    monkeypatch.setenv("LOCAL_RANK", "0")
    options = "--data scenes --pictures 20 --epochs 2 --batch-size 10 --micro-batch 3 --clip 0.5"
    parallel.main(options.split())
    assert told == [(10, 3, 0.5)] * 2


@pytest.mark.parametrize("local, order", [("0", ["load", "barrier"]), ("1", ["barrier", "load"])])
def test_the_first_process_of_each_machine_loads_first(monkeypatch, local, order):
    done = []
    monkeypatch.setenv("LOCAL_RANK", local)
    monkeypatch.setenv("RANK", "4")
    monkeypatch.setattr(parallel.dist, "barrier", lambda: done.append("barrier"))
    monkeypatch.setattr(parallel, "_agree", lambda text: None)
    monkeypatch.setattr(parallel, "_scenes", lambda *n: done.append("load") or (worker.PICTURES, worker.HELD_OUT))
    parallel._load("scenes")
    assert done == order


def test_training_is_in_training_mode():
    model = nn.Sequential(worker.network(), nn.Dropout(0.0)).eval()
    modes = []
    model.register_forward_pre_hook(lambda module, inputs: modes.append(module.training))
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    parallel.train_epoch(model, worker.PICTURES, optimizer, DistributedSampler(worker.PICTURES, **ALONE), 16, 16)
    assert modes == [True] * 3


def test_what_train_epoch_refuses():
    model = worker.network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(ValueError, match="the sampler deals to 2 processes, there are 1"):
        parallel.train_epoch(model, worker.PICTURES, optimizer, DistributedSampler(worker.PICTURES, 2, 0), 8, 3)
    nothing = worker.PICTURES.subset([])
    with pytest.raises(ValueError, match="no pictures to train on"):
        parallel.train_epoch(model, nothing, optimizer, DistributedSampler(nothing, **ALONE), 8, 3)
    alone, before = DistributedSampler(worker.PICTURES, **ALONE), worker.values(model)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        parallel.train_epoch(model, worker.PICTURES, optimizer, alone, 0, 3)
    for clip in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="clip must be above 0"):
            parallel.train_epoch(model, worker.PICTURES, optimizer, alone, 8, 8, clip=clip)
    with pytest.raises(ValueError, match="the sampler deals 37 pictures, the training set has 21"):
        parallel.train_epoch(model, worker.HELD_OUT, optimizer, alone, 8, 8)
    assert torch.equal(worker.values(model), before)
    with torch.no_grad():
        model.fc3.bias[0] = float("inf")
    with pytest.raises(FloatingPointError, match="--clip"):
        parallel.train_epoch(model, worker.PICTURES, optimizer, DistributedSampler(worker.PICTURES, **ALONE), 8, 8)


def test_the_processes_start_alike_draw_their_own_and_refuse_different_pictures(found):
    assert torch.equal(found[0]["start"], found[1]["start"]) and found[0]["draw"] != found[1]["draw"]
    torch.manual_seed(3)
    assert torch.equal(found[0]["start"], worker.values(LeNet()))
    assert {each["disagreement"] for each in found} == {"the processes differ: pictures 0; pictures 1"}


def test_some_pictures_are_of_all_classes():
    data = scenes(40, seed=0)
    sorted_by_class = data.subset(data.labels.argsort())
    assert torch.bincount(parallel._some(sorted_by_class, 20).labels).tolist() == [2] * 10
    assert all(len(parallel._some(data, n)) == 40 for n in (None, 40, 50))


def trained_alone(data, epochs, batch_size, micro_batch, clip):
    """What the program should reach, by its parts, in this process."""
    torch.manual_seed(0)
    model = LeNet().double()
    optimizer, sampler = train.adam(model, 1e-3), DistributedSampler(data, seed=0, **ALONE)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        parallel.train_epoch(model, data, optimizer, sampler, batch_size, micro_batch, clip)
    return model


def test_the_program_trains_saves_and_goes_on(tmp_path):
    """An epoch by one process, then, resumed, a second by two: as two epochs here."""
    path = tmp_path / "new" / "saved.pt"
    printed = [
        parallel.launch(*COMMON, "--epochs", epochs, "--save", path, "--resume", processes=epochs).splitlines()
        for epochs in (1, 2)
    ]
    assert [[line[:7] for line in each] for each in printed] == [["1 proce", "epoch 1"], ["2 proce", "epoch 2"]]
    assert "50 images" in printed[1][0] and "drawn" in printed[1][0]
    data, test = scenes(50, seed=0), scenes(50, seed=1)
    model, saved = trained_alone(data, 2, 16, 3, 0.5), torch.load(path, weights_only=True)
    torch.testing.assert_close(saved["model"], model.state_dict(), rtol=1e-6, atol=1e-9)
    assert saved["epoch"] == 2 and saved["optimizer"]["state"][0]["step"] == 8
    expected = [*train.evaluate(model, data), *train.evaluate(model, test)]
    numbers = [float(number) for number in re.findall(r"\d\.\d+", printed[1][1])]
    assert numbers[:4] == pytest.approx(expected, abs=6e-5)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["saved.pt"], "written whole, nothing left behind"


def test_a_failure_in_the_processes_is_shown():
    with pytest.raises(RuntimeError, match="(?s)the processes failed.*batch_size 9 is not a multiple of the 2"):
        parallel.launch("--data", "scenes", "--pictures", 20, "--batch-size", 9)


def test_processes_that_hang_are_ended(tmp_path):
    script = tmp_path / "hang.py"
    script.write_text("import os, sys, time\nopen(f'{sys.argv[1]}/{os.getpid()}', 'w')\ntime.sleep(600)\n")
    with pytest.raises(RuntimeError, match="more than 20 seconds"):
        parallel.launch(tmp_path, program=(script,), timeout=20)
    assert not any(Path("/proc", path.name).exists() for path in tmp_path.iterdir())


@pytest.mark.parametrize("cards, backend, kind", [(2, "nccl", "cuda"), (1, "gloo", "cpu"), (0, "gloo", "cpu")])
def test_each_process_needs_a_card_of_its_own(monkeypatch, cards, backend, kind):
    started, chosen = [], []
    for name in parallel.TOLD:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(parallel.dist, "is_nccl_available", lambda: True)
    monkeypatch.setattr(parallel.dist, "init_process_group", started.append)
    device = parallel._join()
    assert started == [backend] and device.type == kind and chosen == ([1] if cards == 2 else [])
    assert kind == "cpu" or device.index == 1


def run_alone(*arguments, **variables):
    known = {name: value for name, value in os.environ.items() if name not in parallel.TOLD}
    command = [sys.executable, "-m", "helpers.parallel", *arguments]
    return subprocess.run(command, env=known | variables, capture_output=True, text=True, timeout=120)


def test_without_torchrun_it_says_how_to_start():
    run = run_alone(MASTER_PORT="1")
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert "RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR not set" in run.stderr and parallel.START in run.stderr


def test_without_the_data_it_says_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.setenv("INSIDE_CNNS_HOME", str(tmp_path))
    monkeypatch.setenv("INSIDE_CNNS_OFFLINE", "1")
    with pytest.raises(RuntimeError, match=f"CIFAR-10 is not in {tmp_path} .*--data scenes"):
        parallel.launch("--data", "cifar10")


def test_resuming_needs_a_file(capsys):
    with pytest.raises(SystemExit):
        parallel.main(["--resume"])
    assert "--resume needs --save" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--epochs", "--batch-size", "--micro-batch", "--pictures", "--lr", "--clip"])
@pytest.mark.parametrize("value", ["0", "-2", "few"])
def test_options_that_make_no_sense_are_refused(option, value, capsys):
    with pytest.raises(SystemExit):
        parallel.main([f"{option}={value}"])
    assert option in capsys.readouterr().err


def test_nothing_cannot_be_evaluated():
    with pytest.raises(ValueError, match="no pictures"):
        parallel.evaluate(LeNet(), worker.HELD_OUT.subset([]))
