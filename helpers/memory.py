"""How many bytes autograd keeps for the backward pass. Source: Chapter 8, "What a batch costs in memory"."""

import weakref
from collections import Counter
from dataclasses import dataclass

import torch
from torch.autograd.graph import saved_tensors_hooks


class Kept(saved_tensors_hooks):
    """Counts the bytes kept for the way back while it is entered, the model's parameters left out.

    with Kept(model) as kept: ...; then `kept.now` bytes are kept at this moment, and `kept.peak` were at most. Tensors
    that begin at the same place in memory count once, with the longest one's bytes; parts that begin elsewhere count on
    their own. Not counted: what exists only within an operation or between two of them.
    Raises RuntimeError in the backward pass where a kept tensor was changed in place, as torch does.
    """

    def __init__(self, model):
        self.now, self.peak = 0, 0
        self._users, self._sizes = Counter(), Counter()  # at an address: operations that keep it, its bytes
        self._own = {_address(p) for p in model.parameters()}
        super().__init__(self._keep, _unpack)

    def __enter__(self):
        super().__enter__()
        return self

    def _keep(self, tensor):
        box, address = _Box(tensor.detach(), tensor._version), _address(tensor)
        if address not in self._own:
            more = max(tensor.nbytes - self._sizes[address], 0)
            self._users[address] += 1
            self._sizes[address] += more
            self.now += more
            self.peak = max(self.peak, self.now)
            weakref.finalize(box, self._let_go, address)  # called when autograd drops the box
        return box

    def _let_go(self, address):
        self._users[address] -= 1
        if self._users[address] == 0:
            self.now -= self._sizes.pop(address)


def _address(tensor):
    """Where a tensor begins: its storage and its place there, which tensors on the meta device have, too."""
    return tensor.untyped_storage()._cdata, tensor.storage_offset()


@dataclass(eq=False)
class _Box:
    """What autograd holds in the place of a tensor, and how often the tensor had been changed by then."""

    tensor: torch.Tensor
    version: int


def _unpack(box):
    if box.tensor._version != box.version:
        raise RuntimeError("a tensor kept for the backward pass was changed in place")
    return box.tensor
