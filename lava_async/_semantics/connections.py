"""Connections: what becomes of spikes on their way from one population to another."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics import checks
from lava_async._semantics import dynamics as dyn
from lava_async.errors import GraphError

INPUT = -1
"""Source index of the network input."""


@dataclass(frozen=True, eq=False)
class Connection:
    """Synapses from one population (or `INPUT`) to another, by index into the graph."""

    source: int
    target: int

    def fan_out(self, source_shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Synapses of each source neuron, flat in C order."""
        raise NotImplementedError

    def deliver(
        self, spikes: npt.NDArray[np.int64], source_shape: tuple[int, ...], size: int
    ) -> npt.NDArray[np.int64]:
        """Weighted sum over released spikes, flat (size,), in weight units.

        spikes : (source size,) int64, how often each source neuron is delivered.
        """
        raise NotImplementedError

    def l1(self) -> int:
        """Largest Σ|w| over the synapses of one target neuron."""
        raise NotImplementedError

    def check(self, where: str, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        """Raise `GraphError` unless the shapes fit."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Dense(Connection):
    """All-to-all synapses.

    Parameters
    ----------
    weight : (target size, source size) array of int
        In -256..254; the source is read flat in C order.
    """

    weight: npt.NDArray[np.int16]

    def __post_init__(self) -> None:
        where = f"dense {self.source}->{self.target}"
        weight = checks.integers(
            where, "weight", self.weight, dyn.WEIGHT_MIN, dyn.WEIGHT_MAX, np.int16
        )
        if weight.ndim != 2:
            raise GraphError(where, "weight dimensions", 2, weight.ndim)
        object.__setattr__(self, "weight", weight)

    def fan_out(self, source_shape):
        return np.full(math.prod(source_shape), self.weight.shape[0], np.int64)

    def deliver(self, spikes, source_shape, size):
        active = np.flatnonzero(spikes)
        return self.weight[:, active].astype(np.int64) @ spikes[active]

    def l1(self):
        return int(np.abs(self.weight.astype(np.int64)).sum(axis=1).max(initial=0))

    def check(self, where, source, target):
        want = (math.prod(target), math.prod(source))
        if self.weight.shape != want:
            raise GraphError(where, "dense weight shape (out, in)", want, self.weight.shape)


@dataclass(frozen=True, eq=False)
class OneToOne(Connection):
    """Neuron i to neuron i through one shared weight: netx's input layer with neurons."""

    weight: int

    def __post_init__(self) -> None:
        where = f"one-to-one {self.source}->{self.target}"
        weight = checks.integer(where, "weight", self.weight, dyn.WEIGHT_MIN, dyn.WEIGHT_MAX)
        object.__setattr__(self, "weight", weight)

    def fan_out(self, source_shape):
        return np.ones(math.prod(source_shape), np.int64)

    def deliver(self, spikes, source_shape, size):
        return spikes * self.weight

    def l1(self):
        return abs(self.weight)

    def check(self, where, source, target):
        if math.prod(source) != math.prod(target):
            raise GraphError(where, "one-to-one size", math.prod(source), target)


@dataclass(frozen=True, eq=False)
class Conv(Connection):
    """2-D convolution (cross-correlation, as in PyTorch), tuples in (height, width).

    Parameters
    ----------
    weight : (out_channels, in_channels / groups, kernel_h, kernel_w) array of int
        In -256..254.
    """

    weight: npt.NDArray[np.int16]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        where = f"conv {self.source}->{self.target}"
        put = functools.partial(object.__setattr__, self)
        weight = checks.integers(
            where, "weight", self.weight, dyn.WEIGHT_MIN, dyn.WEIGHT_MAX, np.int16
        )
        if weight.ndim != 4 or 0 in weight.shape:
            raise GraphError(where, "weight shape", "(out, in/groups, kh, kw)", weight.shape)
        put("weight", weight)
        put("stride", checks.pair(where, "stride", self.stride, 1))
        put("padding", checks.pair(where, "padding", self.padding, 0))
        put("dilation", checks.pair(where, "dilation", self.dilation, 1))
        put("groups", checks.integer(where, "groups", self.groups, 1, 1 << 15))
        if weight.shape[0] % self.groups:
            raise GraphError(
                where, "out_channels", f"a multiple of groups={self.groups}", weight.shape[0]
            )

    def out_shape(self, source: tuple[int, ...]) -> tuple[int, int, int]:
        """Shape of the target for a source of shape (C, H, W)."""
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                source[1:], self.weight.shape[2:], self.stride, self.padding, self.dilation,
                strict=True,
            )
        ]
        return (self.weight.shape[0], size[0], size[1])

    def _taps(self, n: int, out: int, axis: int) -> npt.NDArray[np.bool_]:
        """(n, kernel, out) bool: source place, tap and target place that meet."""
        kernel = self.weight.shape[2 + axis]
        place = (
            np.arange(out) * self.stride[axis]
            - self.padding[axis]
            + np.arange(kernel)[:, None] * self.dilation[axis]
        )
        return np.arange(n)[:, None, None] == place

    def fan_out(self, source_shape):
        _, height, width = self.out_shape(source_shape)
        taps = np.multiply.outer(
            self._taps(source_shape[1], height, 0).sum(axis=(1, 2)),
            self._taps(source_shape[2], width, 1).sum(axis=(1, 2)),
        )
        per_channel = taps * (self.weight.shape[0] // self.groups)
        return np.broadcast_to(per_channel, source_shape).reshape(-1).astype(np.int64)

    def deliver(self, spikes, source_shape, size):
        channels, height, width = self.out_shape(source_shape)
        padded = np.pad(
            spikes.reshape(source_shape), [(0, 0)] + [(p, p) for p in self.padding]
        )
        total = np.zeros((channels, height, width), np.int64)
        weight = self.weight.astype(np.int64)
        in_group, out_group = weight.shape[1], channels // self.groups
        for ky in range(weight.shape[2]):
            for kx in range(weight.shape[3]):
                y, x = ky * self.dilation[0], kx * self.dilation[1]
                seen = padded[
                    :,
                    y : y + self.stride[0] * (height - 1) + 1 : self.stride[0],
                    x : x + self.stride[1] * (width - 1) + 1 : self.stride[1],
                ]
                for g in range(self.groups):
                    out = slice(g * out_group, (g + 1) * out_group)
                    total[out] += np.tensordot(
                        weight[out, :, ky, kx], seen[g * in_group : (g + 1) * in_group], 1
                    )
        return total.reshape(-1)

    def l1(self):
        return int(np.abs(self.weight.astype(np.int64)).sum(axis=(1, 2, 3)).max())

    def check(self, where, source, target):
        if len(source) != 3:
            raise GraphError(where, "conv source shape", "(C, H, W)", source)
        if source[0] != self.weight.shape[1] * self.groups:
            raise GraphError(
                where, "conv input channels", self.weight.shape[1] * self.groups, source[0]
            )
        want = self.out_shape(source)
        if min(want) < 1 or tuple(target) != want:
            raise GraphError(where, "conv target shape", want, target)
