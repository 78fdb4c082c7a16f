"""What test_parallel.py lets two processes do; each writes what it found to a file of its own: torchrun ... FOLDER."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

from helpers import parallel
from helpers.data import scenes
from helpers.models import LeNet

PICTURES = scenes(37, seed=0)
HELD_OUT = scenes(21, seed=1)
SETTINGS = {"batch_size": 8, "micro_batch": 3}


def network(seed=0):
    torch.manual_seed(seed)
    return LeNet().double()


def gradient(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def values(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def train(model, epochs=2, rate=0.05, clip=None, **share):
    """The weights after some epochs, of one process (share: num_replicas=1, rank=0) or of each of several."""
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    sampler = DistributedSampler(PICTURES, seed=5, **share)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        parallel.train_epoch(model, PICTURES, optimizer, sampler, **SETTINGS, clip=clip)
    return values(model)


def uneven(found, rank):
    """Gradients where process 0 has 5 pictures (3 micro-batches) and process 1 has 3 (2); exchanges counted."""
    exchanges = []

    def count(state, bucket):
        exchanges.append(1)
        return dist.all_reduce(bucket.buffer() / 2, async_op=True).get_future().then(lambda f: f.value()[0])

    model = DistributedDataParallel(network(), bucket_cap_mb=100)
    model.register_comm_hook(None, count)
    x, y = PICTURES.floats()[:8].double(), PICTURES.labels[:8]
    mine = slice(0, 5) if rank == 0 else slice(5, 8)
    found["loss"] = parallel.accumulate(model, x[mine], y[mine], 2)
    found["gradient"], found["exchanges"] = gradient(model), len(exchanges)


def normalised(found, rank):
    """Each process has running averages of its own; the first one's must serve everywhere."""
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    with torch.no_grad():
        net[0].running_mean += 10 * rank
    found["normalised"] = parallel.evaluate(DistributedDataParallel(net), HELD_OUT)
    found["mean"] = net[0].running_mean.clone()


def main(folder):
    dist.init_process_group("gloo")
    rank, found = dist.get_rank(), {}
    uneven(found, rank)
    found["weights"] = train(DistributedDataParallel(network(seed=rank)))  # the first process's start serves
    found["clipped"] = train(DistributedDataParallel(network()), clip=0.05)
    net = LeNet()
    net.load_state_dict(network().state_dict())
    found["evaluated"] = parallel.evaluate(DistributedDataParallel(net), HELD_OUT)
    found["one picture"] = parallel.evaluate(net, HELD_OUT.subset([0]))  # nothing left for the second process
    normalised(found, rank)
    mine = torch.tensor([1.0 + rank])
    found["sum"], found["kept"] = parallel.over_processes(mine), mine
    found["start"], found["draw"] = values(parallel._network("lenet", 10, seed=3)), torch.rand(1)
    parallel._agree("the same")
    try:
        parallel._agree(f"pictures {rank}")
    except SystemExit as error:
        found["disagreement"] = str(error)
    found["place"] = (parallel.rank(), parallel.processes())
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
