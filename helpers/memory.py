"""How many bytes autograd keeps for the backward pass. Source: Chapter 8, "What a batch costs in memory"."""

import weakref
from collections import Counter

from torch.autograd.graph import saved_tensors_hooks


class Kept(saved_tensors_hooks):
    """Counts the bytes kept for the way back while it is entered, the model's parameters left out.

    with Kept(model) as kept: ...; then `kept.now` bytes are kept at this moment, and `kept.peak` were at most. Memory
    that several operations keep counts once. Not counted: what exists only within an operation or between two of them.
    """

    def __init__(self, model):
        self.now, self.peak = 0, 0
        self._users = Counter()  # how many operations keep the memory at an address
        self._own = {p.data_ptr() for p in model.parameters()}
        super().__init__(self._keep, lambda box: box[0])

    def __enter__(self):
        super().__enter__()
        return self

    def _keep(self, tensor):
        box, address = _Box([tensor.detach()]), tensor.data_ptr()
        if address not in self._own:
            self._users[address] += 1
            if self._users[address] == 1:
                self.now += tensor.nbytes
                self.peak = max(self.peak, self.now)
            weakref.finalize(box, self._let_go, address, tensor.nbytes)  # called when autograd drops the box
        return box

    def _let_go(self, address, nbytes):
        self._users[address] -= 1
        if self._users[address] == 0:
            self.now -= nbytes


class _Box(list):
    """What autograd holds in the place of a tensor; unlike a plain list it can be watched."""
