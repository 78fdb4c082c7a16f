"""Training shared by several processes, on one machine or on many. Source: Chapter 8, "Several processes".

    torchrun --nproc-per-node 2 -m helpers.parallel --epochs 3

starts two processes. Each has a copy of the network and its share of every batch; after each batch they average their
gradients, through nccl where each has a graphics card, else through gloo on processors. `--help` lists the options.
"""

import argparse
import math
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

from helpers import data as pictures
from helpers.download import write_whole
from helpers.models import ConvNet, LeNet
from helpers.train import adam, floats, logits

NETWORKS = {"lenet": LeNet, "convnet": ConvNet}
START = "torchrun --nproc-per-node 2 -m helpers.parallel --epochs 3"
TOLD = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # by torchrun, in the environment


def accumulate(model, x, y, micro_batch, weights=None):
    """Add to `.grad` the gradient of the mean loss over the pictures of all processes; return that loss, a float.

    x: this process's pictures (n, C, H, W), sent through `micro_batch` at a time; y: their labels (n,). Processes and
    micro-batches may hold unequal numbers. weights: how often each picture counts (n,), once if None.
    model: in several processes a DistributedDataParallel, which exchanges gradients in the last micro-batch only.
    Raises ValueError for a micro_batch below 1, for labels or weights that are not one a picture, and where no picture
    of any process counts. Source: Chapter 8, "The sum of the losses over the true count".
    """
    weights = x.new_ones(len(x)) if weights is None else weights.to(x)
    _check_parts(x, y, weights, micro_batch)
    count, loss = _counted(weights), x.new_zeros(())
    parts = list(zip(*(tensor.split(micro_batch) for tensor in (x, y, weights))))
    for i, (images, labels, times) in enumerate(parts, start=1):
        with _unsynchronised(model) if i < len(parts) else nullcontext():
            losses = F.cross_entropy(model(images), labels, reduction="none")
            share = (times * losses).sum() / count
            (processes() * share).backward()  # of which DDP takes the mean over the processes
        loss += share.detach()
    return over_processes(loss).item()


def shares(sampler, per_process):
    """Yield for each step this process's (row numbers, weights), at most `per_process` of them.

    sampler: a DistributedSampler, which deals the shuffled pictures out in turn and, so that all get the same number,
    deals the first ones again at the end. Those repeats get the weight 0, all others 1.
    """
    rows = torch.tensor(list(sampler), dtype=torch.long)
    place = torch.arange(len(rows)) * sampler.num_replicas + sampler.rank  # in the order of all processes together
    weights = (place < len(sampler.dataset)).float()
    yield from zip(rows.split(per_process), weights.split(per_process))


def train_epoch(model, train, optimizer, sampler, batch_size, micro_batch, clip=None):
    """One pass over the ImageSet `train`, one optimiser step for `batch_size` pictures of all processes together.

    clip: the largest length of the gradient, which is shortened to it after the accumulation; None leaves it.
    Raises ValueError unless batch_size is a multiple of the number of processes, clip above 0 and the sampler one of
    these pictures and processes, FloatingPointError for a loss that is no longer finite.
    """
    if sampler.num_replicas != processes():
        raise ValueError(f"the sampler deals to {sampler.num_replicas} processes, there are {processes()}")
    if not len(train):
        raise ValueError("there are no pictures to train on")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if clip is not None and not clip > 0:
        raise ValueError(f"clip must be above 0, or None to leave the gradient as it is; got {clip}")
    if len(sampler.dataset) != len(train):
        raise ValueError(f"the sampler deals {len(sampler.dataset)} pictures, the training set has {len(train)}")
    if batch_size % sampler.num_replicas:
        raise ValueError(f"batch_size {batch_size} is not a multiple of the {sampler.num_replicas} processes")
    model.train()
    for rows, weights in shares(sampler, batch_size // sampler.num_replicas):
        optimizer.zero_grad()
        x = floats(train.images[rows]).to(next(model.parameters()))
        loss = accumulate(model, x, train.labels[rows].to(x.device), micro_batch, weights)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    model.eval()
    if not math.isfinite(loss):
        raise FloatingPointError("the loss is no longer finite: try a smaller learning rate, or clip (--clip)")


def evaluate(model, test):
    """(mean loss in nats, accuracy from 0 to 1) over the whole ImageSet, in eval mode; every picture counts once.

    Each process measures pictures of its own, with the buffers (batch normalisation's averages) of the first process.
    Raises ValueError for an empty set.
    """
    if not len(test):
        raise ValueError("there are no pictures to evaluate on")
    net = getattr(model, "module", model)
    sums = torch.zeros(2, dtype=torch.float64, device=next(net.parameters()).device)
    if dist.is_initialized():
        for buffer in net.buffers():
            dist.broadcast(buffer, src=0)
    mine = test.subset(slice(rank(), None, processes()))
    if len(mine):
        scores = logits(net, mine).double()
        sums += torch.stack([F.cross_entropy(scores, mine.labels, reduction="sum"), _right(scores, mine)]).to(sums)
    return tuple((over_processes(sums) / len(test)).tolist())


def rank():
    """The number of this process, from 0; 0 where there is one only."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes():
    """How many processes train together; 1 where none were started."""
    return dist.get_world_size() if dist.is_initialized() else 1


def over_processes(values):
    """The sum of a tensor over all processes, the same in each; what is passed stays as it is."""
    total = values.detach().clone()
    if dist.is_initialized():
        dist.all_reduce(total)
    return total


def launch(*arguments, processes=2, program=("-m", "helpers.parallel"), timeout=300):
    """Start processes on this machine as torchrun does, wait for them, and return what they printed.

    arguments: of the program, which is a module (`-m`, name) or a script's path. Chooses a free port.
    Raises RuntimeError with what they wrote to stderr if one fails, or if they take more than `timeout` seconds.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command += ["--nproc-per-node", str(processes), *map(str, (*program, *arguments))]
    here = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    settings = {"OMP_NUM_THREADS": "1", "USE_LIBUV": "0" if os.name == "nt" else "1"} | os.environ
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=settings | {"PYTHONPATH": here}, **pipes) as run:
        try:
            output, errors = run.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            run.terminate()  # torchrun then ends the processes that it started
            raise RuntimeError(f"the processes took more than {timeout} seconds") from None
    if run.returncode:
        raise RuntimeError(f"the processes failed:\n{errors[-4000:]}")
    return output


def main(arguments=None):
    options = _options(arguments)
    device = _join()
    train, test = _load(options.data, options.pictures)
    model = _network(options.network, len(train.classes), options.seed)
    model.to(device, torch.float64 if options.double else torch.float32)
    optimizer = adam(model, options.lr)
    first = _restore(options.save, model, optimizer) if options.resume else 0
    _agree(f"{first} epochs in the file of --save")  # machines without a common folder would not
    model = DistributedDataParallel(model)
    sampler = DistributedSampler(train, seed=options.seed)
    _say(f"{processes()} processes on {device.type}, {train!r}")
    if first >= options.epochs:
        _say(f"nothing to do: {first} epochs lie behind, --epochs is {options.epochs}")
    for epoch in range(first, options.epochs):
        start = time.perf_counter()
        sampler.set_epoch(epoch)  # or every epoch has the same order
        train_epoch(model, train, optimizer, sampler, options.batch_size, options.micro_batch, options.clip)
        seconds = time.perf_counter() - start
        (loss, accuracy), (test_loss, test_accuracy) = evaluate(model, train), evaluate(model, test)
        _say(f"epoch {epoch + 1}: train loss {loss:.4f}, accuracy {accuracy:.4f}; "
             f"test loss {test_loss:.4f}, accuracy {test_accuracy:.4f}; {seconds:.1f} s")  # fmt: skip
        _keep(options.save, model, optimizer, epoch + 1)
    dist.destroy_process_group()


def _options(arguments):
    parser = argparse.ArgumentParser(prog="helpers.parallel", description="Train in several processes.", epilog=START)
    parser.add_argument("--epochs", type=_at_least_one, default=3)
    parser.add_argument("--batch-size", type=_at_least_one, default=64, help="pictures a step, all processes together")
    parser.add_argument("--micro-batch", type=_at_least_one, default=16, help="pictures at a time in each process")
    parser.add_argument("--lr", type=_above_zero, default=1e-3, help="Adam's learning rate")
    parser.add_argument("--clip", type=_above_zero, help="largest length of the gradient")
    parser.add_argument("--double", action="store_true", help="in double precision, to compare runs")
    parser.add_argument("--network", choices=NETWORKS, default="lenet")
    parser.add_argument("--data", choices=("any", "cifar10", "scenes"), default="any",
                        help="any: CIFAR-10, or drawn scenes where it cannot be had")  # fmt: skip
    parser.add_argument("--pictures", type=_at_least_one, help="use only so many, for training and for testing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, help="write network and optimiser to this file after each epoch")
    parser.add_argument("--resume", action="store_true", help="go on from the file of --save, if it is there")
    options = parser.parse_args(arguments)
    if options.resume and not options.save:
        parser.error("--resume needs --save, the file to go on from")
    return options


def _at_least_one(text):
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


def _above_zero(text):
    if not (number := float(text)) > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return number


def _join():
    """Meet the other processes; return this one's device."""
    if missing := [name for name in TOLD if name not in os.environ]:
        sys.exit(f"{', '.join(missing)} not set: this program is started by torchrun, for example\n    {START}")
    local, on_this_machine = int(os.environ["LOCAL_RANK"]), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    cards = torch.cuda.device_count() >= on_this_machine and dist.is_nccl_available()
    if cards:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if cards else "gloo")
    return torch.device("cuda", local) if cards else torch.device("cpu")


def _load(name, n=None):
    """(train, test): first in one process of each machine, which may have to download, then in the others."""
    first = os.environ["LOCAL_RANK"] == "0"
    if not first:
        dist.barrier()
    sets = _scenes(n or 10_000, n or 2_000) if name == "scenes" else pictures.cifar10()
    if name == "cifar10" and not sets[0].source.startswith("CIFAR-10"):
        sys.exit(f"CIFAR-10 is not in {pictures.home()} and was not downloaded; --data scenes needs no data")
    if first:
        dist.barrier()
    sets = tuple(_some(s, n) for s in sets)
    _agree(repr(sets))
    return sets


def _some(images, n):
    """n of the pictures, each class keeping its share; all where n is None or no smaller."""
    return images.split(n)[0] if n and n < len(images) else images


def _scenes(n, n_test):
    return pictures.scenes(n, seed=0), pictures.scenes(n_test, seed=1)


def _network(name, n_classes, seed):
    """The same start in every process; what is drawn afterwards, for dropout, differs from process to process."""
    torch.manual_seed(seed)
    model = NETWORKS[name](n_classes=n_classes)
    torch.manual_seed(seed + 1 + rank())
    return model


def _agree(text):
    """End all processes unless they say the same: of their pictures, or of the epochs that lie behind."""
    found = [None] * processes()
    dist.all_gather_object(found, text)
    if len(set(found)) > 1:
        sys.exit("the processes differ: " + "; ".join(sorted(set(found))))


def _keep(path, model, optimizer, epoch):
    if path and rank() == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {"model": model.module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
        write_whole(path, lambda temporary: torch.save(state, temporary))


def _restore(path, model, optimizer):
    """The number of epochs that lie behind."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location=next(model.parameters()).device, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["epoch"]


def _right(scores, labelled):
    return (scores.argmax(1) == labelled.labels).double().sum()


def _say(line):
    if rank() == 0:
        print(line, flush=True)


def _check_parts(x, y, weights, micro_batch):
    if micro_batch < 1:
        raise ValueError(f"micro_batch must be at least 1, got {micro_batch}")
    for name, tensor in (("labels", y), ("weights", weights)):
        if tensor.shape != (len(x),):
            raise ValueError(f"{len(x)} pictures need {name} of shape ({len(x)},), got {tuple(tensor.shape)}")


def _counted(weights):
    """How many pictures count, in all processes together."""
    count = over_processes(weights.sum())
    if not count > 0:
        raise ValueError("no picture counts: the batch is empty, or all its weights are 0")
    return count


def _unsynchronised(model):
    """Within it, a DistributedDataParallel keeps its gradients to itself; other models always do."""
    return model.no_sync() if hasattr(model, "no_sync") else nullcontext()


if __name__ == "__main__":
    main()
