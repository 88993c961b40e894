"""Networks as directed graphs of populations and connections.

Nothing here knows layers: feed-forward, skip and recurrent connections are all the same.
Everything a graph must satisfy is checked when it is built, so that no backend has to.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.schedule import Schedule
from lava_async.errors import GraphError, expected

INPUT = -1
"""Source index of the network input."""

NETX_NEVER_FIRES = (1 << 17, (1 << 18) - 1)
"""Threshold mantissas beyond 17 bits that netx and SLAYER write for "never fires"."""

_INT32_MAX = (1 << 31) - 1


def _integer(where: str, what: str, value: object, low: int, high: int) -> int:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iuf":
        raise GraphError(expected(where, what, f"one integer in {low}..{high}", value))
    number = array.reshape(-1)[0]
    if not np.isfinite(number) or number != np.floor(number) or not low <= number <= high:
        raise GraphError(expected(where, what, f"an integer in {low}..{high}", number))
    return int(number)


def _integers(
    where: str, what: str, value: npt.ArrayLike, low: int, high: int, dtype: type
) -> npt.NDArray:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise GraphError(expected(where, what, "numbers", f"dtype {array.dtype}"))
    with np.errstate(invalid="ignore"):
        bad = ~((array >= low) & (array <= high) & (array == np.floor(array)))
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise GraphError(
            expected(where, f"{what}{list(index)}", f"an integer in {low}..{high}", array[index])
        )
    result = array.astype(dtype)
    result.setflags(write=False)
    return result


def _pair(where: str, what: str, value: object, low: int, high: int = 1 << 15) -> tuple[int, int]:
    array = np.asarray(value).reshape(-1)
    if array.size not in (1, 2):
        raise GraphError(expected(where, what, "one integer or (height, width)", value))
    pair = [_integer(where, what, v, low, high) for v in array]
    return (pair[0], pair[-1])


def _shape(where: str, value: Sequence[int]) -> tuple[int, ...]:
    array = np.asarray(value).reshape(-1)
    if array.size == 0:
        raise GraphError(expected(where, "shape", "at least one dimension", value))
    shape = tuple(_integer(where, "shape", v, 1, _INT32_MAX) for v in array)
    if math.prod(shape) > _INT32_MAX:
        raise GraphError(expected(where, "shape", f"at most {_INT32_MAX} neurons", shape))
    return shape


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons that share their parameters: CUBA-LIF in Loihi's fixed point.

    Parameters
    ----------
    name : str
        For messages and tables, e.g. ``"layer 2 (dense)"``.
    shape : tuple of int
        (C,) or (C, H, W).
    i_decay, v_decay : int
        Decay of current and voltage per time step, in 1/4096; 4096 forgets everything.
    threshold : int
        Mantissa; a neuron fires when its voltage exceeds ``threshold << 6``.
    bias : array of int, optional
        Mantissa per neuron, shape ``shape``; ``bias << 6`` is added at each time step.
    """

    name: str
    shape: tuple[int, ...]
    i_decay: int
    v_decay: int
    threshold: int
    bias: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        put = functools.partial(object.__setattr__, self)
        put("shape", _shape(self.name, self.shape))
        put("i_decay", _integer(self.name, "iDecay", self.i_decay, 0, dyn.DECAY_ONE))
        put("v_decay", _integer(self.name, "vDecay", self.v_decay, 0, dyn.DECAY_ONE))
        never = np.asarray(self.threshold).reshape(-1).tolist()
        high = max(NETX_NEVER_FIRES) if never[:1] and never[0] in NETX_NEVER_FIRES else (
            dyn.THRESHOLD_MAX
        )
        put("threshold", _integer(self.name, "vThMant", self.threshold, 0, high))
        if self.bias is not None:
            bias = _integers(self.name, "bias", self.bias, dyn.BIAS_MIN, dyn.BIAS_MAX, np.int64)
            if bias.shape != self.shape:
                raise GraphError(expected(self.name, "bias shape", self.shape, bias.shape))
            put("bias", bias)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


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
        weight = _integers(
            where, "weight", self.weight, dyn.WEIGHT_MIN, dyn.WEIGHT_MAX, np.int16
        )
        if weight.ndim != 2:
            raise GraphError(expected(where, "weight dimensions", 2, weight.ndim))
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
            raise GraphError(
                expected(where, "dense weight shape (out, in)", want, self.weight.shape)
            )


@dataclass(frozen=True, eq=False)
class OneToOne(Connection):
    """Neuron i to neuron i through one shared weight: netx's input layer with neurons."""

    weight: int

    def __post_init__(self) -> None:
        where = f"one-to-one {self.source}->{self.target}"
        weight = _integer(where, "weight", self.weight, dyn.WEIGHT_MIN, dyn.WEIGHT_MAX)
        object.__setattr__(self, "weight", weight)

    def fan_out(self, source_shape):
        return np.ones(math.prod(source_shape), np.int64)

    def deliver(self, spikes, source_shape, size):
        return spikes * self.weight

    def l1(self):
        return abs(self.weight)

    def check(self, where, source, target):
        if math.prod(source) != math.prod(target):
            raise GraphError(expected(where, "one-to-one size", math.prod(source), target))


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
        weight = _integers(
            where, "weight", self.weight, dyn.WEIGHT_MIN, dyn.WEIGHT_MAX, np.int16
        )
        if weight.ndim != 4 or 0 in weight.shape:
            raise GraphError(
                expected(where, "weight shape", "(out, in/groups, kh, kw)", weight.shape)
            )
        put("weight", weight)
        put("stride", _pair(where, "stride", self.stride, 1))
        put("padding", _pair(where, "padding", self.padding, 0))
        put("dilation", _pair(where, "dilation", self.dilation, 1))
        put("groups", _integer(where, "groups", self.groups, 1, 1 << 15))
        if weight.shape[0] % self.groups:
            raise GraphError(
                expected(where, "out_channels", f"a multiple of groups={self.groups}",
                         weight.shape[0])
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
            raise GraphError(expected(where, "conv source shape", "(C, H, W)", source))
        if source[0] != self.weight.shape[1] * self.groups:
            raise GraphError(
                expected(where, "conv input channels", self.weight.shape[1] * self.groups,
                         source[0])
            )
        want = self.out_shape(source)
        if min(want) < 1 or tuple(target) != want:
            raise GraphError(expected(where, "conv target shape", want, target))


def topological(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """Topological order of 0..count-1, ties and cycles broken by number.

    Edges (source, target) from outside that range, such as from `INPUT`, do not matter.
    """
    edges = list(edges)
    waiting = {p: {s for s, t in edges if t == p and s != p} for p in range(count)}
    order: list[int] = []
    while waiting:
        ready = [p for p, sources in waiting.items() if not sources & waiting.keys()]
        order.append(min(ready or waiting))
        del waiting[order[-1]]
    return order


@dataclass(frozen=True, eq=False)
class Graph:
    """A runnable network.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one input frame.
    populations : tuple of Population
        In file order; neurons are numbered through them in C order.
    connections : tuple of Connection
    output : int, optional
        Index of the output population; the last one by default.
    schedule : Schedule, optional
        What the file records.
    """

    input_shape: tuple[int, ...]
    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    output: int = -1
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        put = functools.partial(object.__setattr__, self)
        put("input_shape", _shape("graph: input", self.input_shape))
        put("populations", tuple(self.populations))
        put("connections", tuple(self.connections))
        count = len(self.populations)
        if count == 0:
            raise GraphError(expected("graph", "populations", "at least one", 0))
        put("output", _integer("graph", "output", self.output, -count, count - 1) % count)
        if self.num_neurons > _INT32_MAX:
            raise GraphError(
                expected("graph", "neurons", f"at most {_INT32_MAX}", self.num_neurons)
            )
        for index, c in enumerate(self.connections):
            where = f"connection {index}"
            _integer(where, "source", c.source, INPUT, count - 1)
            _integer(where, "target", c.target, 0, count - 1)
            target = self.populations[c.target]
            c.check(f"{where} ({target.name})", self.source_shape(c), target.shape)
        if not any(c.source == INPUT for c in self.connections):
            raise GraphError(expected("graph", "connections from the input", "at least one", 0))

    def source_shape(self, connection: Connection) -> tuple[int, ...]:
        if connection.source == INPUT:
            return self.input_shape
        return self.populations[connection.source].shape

    @property
    def num_neurons(self) -> int:
        return sum(p.size for p in self.populations)

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.populations[self.output].shape

    @functools.cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """(populations + 1,) index of each population's first neuron."""
        return np.concatenate([[0], np.cumsum([p.size for p in self.populations])])

    def slice(self, population: int) -> slice:
        """The neurons of a population."""
        return slice(int(self.offsets[population]), int(self.offsets[population + 1]))

    @functools.cached_property
    def order(self) -> tuple[int, ...]:
        """Populations in topological order, ties and cycles broken by file order."""
        edges = [(c.source, c.target) for c in self.connections]
        return tuple(topological(len(self.populations), edges))

    @functools.cached_property
    def max_input(self) -> int:
        """Largest input value for which no weighted sum can leave 32 bits."""
        total = np.zeros(len(self.populations), np.int64)
        for c in self.connections:
            total[c.target] += c.l1()
        return _INT32_MAX // max(1, int(total.max()))

    def replace(self, **changes: object) -> Graph:
        """A copy with other fields."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
