"""Edges: the connections of a network in PyTorch, with weights that are trained.

An edge knows its connection with all weights 0; the weights, whole numbers, come with each
call, so that they may be any tensor: a block's parameter, a part of it, a scaled copy.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from lava_async._semantics.connections import Connection, Conv, Dense, OneToOne, Shape, Sparse
from lava_async._semantics.spatial import ConvTranspose, Kernel, Pool, Unpool
from lava_async.slayer.autocast import no_autocast
from lava_async.slayer.links import Delay

Pick = Callable[[Sequence[Tensor]], Tensor]


class Edge(abc.ABC):
    """Synapses from one population, or the input, to another.

    Parameters
    ----------
    connection : Connection
        Kind, ends, delay and shape of the weights; their values do not matter.
    source_shape, shape : tuple of int
        Of source and target.
    pick : callable
        Takes the edge's weights out of those of the target's block.
    """

    def __init__(self, connection: Any, source_shape: Shape, shape: Shape, pick: Pick):
        self.connection = connection
        self.source: int = connection.source
        self.target: int = connection.target
        self.source_shape = source_shape
        self.shape = shape
        self.pick = pick

    @abc.abstractmethod
    def deliver(self, weight: Tensor, spikes: Tensor) -> Tensor:
        """Weighted sums (B, target size) of spikes (B, source size)."""

    def over_time(self, weight: Tensor, spikes: Tensor) -> Tensor:
        """Weighted sums (B, target size, T) of spikes (B, source size, T)."""
        steps = spikes.movedim(-1, 0)
        delivered = self.deliver(weight, steps.flatten(0, 1))
        return delivered.unflatten(0, steps.shape[:2]).movedim(0, -1)

    def returned(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """What sources (B, source size) get back of a gradient (B, target size): transposed."""
        spikes = gradient.new_zeros(len(gradient), math.prod(self.source_shape))
        with torch.enable_grad():
            delivered = self.deliver(weight, spikes.requires_grad_())
        return torch.autograd.grad(delivered, spikes, gradient)[0]

    def late(self, delay: Delay) -> Edge:
        """The edge with another delay."""
        twin = copy.copy(self)
        twin.connection = dataclasses.replace(self.connection, delay=delay)
        return twin

    def fan_in_l1(self, weight: Tensor) -> float:
        """Largest sum of absolute weights of one target."""
        return float(weight.abs().flatten(1).sum(1).max())

    def weighted(self, weight: Tensor) -> Connection:
        """The connection with these weights."""
        return dataclasses.replace(self.connection, weight=_whole(weight))


def _whole(weight: Tensor) -> npt.NDArray[np.int16]:
    return weight.to(torch.int16).cpu().numpy()


class DenseEdge(Edge):
    """Weights (target size, source size)."""

    def deliver(self, weight, spikes):
        return spikes @ weight.t()

    def over_time(self, weight, spikes):
        # As SLAYER does it, whose gradient this has to the last bit.
        return F.conv3d(spikes[:, :, None, None], weight[..., None, None, None]).flatten(1, 3)


class ConvEdge(Edge):
    """Weights (out, in / groups, kernel_h, kernel_w)."""

    def deliver(self, weight, spikes):
        c = self.connection
        frames = spikes.reshape(len(spikes), *self.source_shape)
        return F.conv2d(frames, weight, None, c.stride, c.padding, c.dilation, c.groups).flatten(1)

    def over_time(self, weight, spikes):
        c = self.connection
        frames = spikes.unflatten(1, self.source_shape)
        return F.conv3d(
            frames, weight[..., None], None, (*c.stride, 1), (*c.padding, 0), (*c.dilation, 1),
            c.groups,
        ).flatten(1, 3)


class OneToOneEdge(Edge):
    """One weight (1,)."""

    def deliver(self, weight, spikes):
        return spikes * weight

    def over_time(self, weight, spikes):
        return spikes * weight

    def fan_in_l1(self, weight):
        return float(weight.abs())

    def weighted(self, weight):
        return dataclasses.replace(self.connection, weight=int(weight))


class SparseEdge(Edge):
    """Weights (synapses,), in the order of `Synapses`."""

    def __init__(self, connection: Connection, source_shape: Shape, shape: Shape, pick: Pick):
        super().__init__(connection, source_shape, shape, pick)
        synapses = connection.all_synapses(source_shape)
        self.ends = torch.from_numpy(np.stack([synapses.target, synapses.source]))

    def deliver(self, weight, spikes):
        result: Any = _SparseProduct.apply(
            weight, spikes, self.ends.to(weight.device), math.prod(self.shape)
        )
        return result

    def fan_in_l1(self, weight):
        total = weight.new_zeros(math.prod(self.shape))
        return float(total.index_add(0, self.ends[0].to(weight.device), weight.abs()).max())

    def weighted(self, weight):
        synapses = dataclasses.replace(self.connection.weight, weight=_whole(weight))
        return dataclasses.replace(self.connection, weight=synapses)


class KernelEdge(SparseEdge):
    """Synapses of a `Kernel`, each with the weight (synapses,) of its place in the kernel."""

    def __init__(self, connection: Kernel, source_shape: Shape, shape: Shape, pick: Pick):
        places = torch.from_numpy(connection.places(source_shape))
        super().__init__(
            connection, source_shape, shape, lambda weights: pick(weights).flatten()[places]
        )
        self.places = places

    def weighted(self, weight):
        kernel = weight.new_zeros(self.connection.weight.shape)
        kernel.view(-1)[self.places.to(weight.device)] = weight
        return dataclasses.replace(self.connection, weight=_whole(kernel))


class _SparseProduct(torch.autograd.Function):
    """Spikes (B, source size) through synapses: (B, target size)."""

    # Products of spikes and gradients that are held at once on the way back.
    MOST = 1 << 22

    @staticmethod
    def forward(ctx, weight, spikes, ends, size):  # type: ignore[override]
        ctx.save_for_backward(weight, spikes, ends)
        return _sparse_product(weight, ends, (size, spikes.shape[1]), spikes)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # type: ignore[override]
        weight, spikes, ends = ctx.saved_tensors
        by_weight = by_spikes = None
        if ctx.needs_input_grad[0]:
            count = max(1, _SparseProduct.MOST // len(grad))
            by_weight = torch.cat(
                [(grad[:, target] * spikes[:, source]).sum(0)
                 for target, source in (part.unbind() for part in ends.split(count, 1))]
            ).to(weight.dtype)
        if ctx.needs_input_grad[1]:
            shape = (spikes.shape[1], grad.shape[1])
            by_spikes = _sparse_product(weight, ends.flip(0), shape, grad)
        return by_weight, by_spikes, None, None


def _sparse_product(
    weight: Tensor, ends: Tensor, shape: tuple[int, int], spikes: Tensor
) -> Tensor:
    with no_autocast(spikes.device):
        matrix = torch.sparse_coo_tensor(ends, weight, shape, dtype=spikes.dtype)
        return torch.sparse.mm(matrix, spikes.t()).t()


_KINDS: dict[type[Connection], Any] = {
    Dense: DenseEdge,
    Conv: ConvEdge,
    OneToOne: OneToOneEdge,
    Sparse: SparseEdge,
    Pool: KernelEdge,
    Unpool: KernelEdge,
    ConvTranspose: KernelEdge,
}


def has_edge(connection: Connection) -> bool:
    """Whether connections of this very kind can be trained; others through their synapses."""
    return type(connection) in _KINDS


def edge(connection: Connection, source_shape: Shape, shape: Shape, pick: Pick) -> Edge:
    return _KINDS[type(connection)](connection, source_shape, shape, pick)
