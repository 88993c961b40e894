"""Connections: what becomes of spikes on their way from one population to another.

A kind of connection is described here and nowhere else. `Connection.synapses` is enough: all
else follows from it, and every backend runs such a kind through its synapses one by one. What a
kind does faster it overrides here; the kernel has its own fast paths
(`lava_async._kernel.connections`).
"""

from __future__ import annotations

import abc
import functools
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lava_async._semantics import checks
from lava_async._semantics import dynamics as dyn
from lava_async._semantics.brief import Brief
from lava_async._semantics.content import Content
from lava_async.errors import GraphError, UnsupportedError

INPUT = -1
"""Source index of the network input."""

MAX_DELAY = 62
"""Longest axonal delay in time steps, as on Loihi."""

Shape = tuple[int, ...]
Ints = npt.NDArray[np.int64]


def check_delay(where: str, what: str, delay: npt.ArrayLike) -> int | npt.NDArray[np.uint8]:
    """One delay for all as int, or one for each as (n,) uint8."""
    given = checks.array(where, what, delay)
    if given.ndim == 0:
        return checks.integer(where, what, given, 0, MAX_DELAY)
    return checks.integers(where, what, given.reshape(-1), 0, MAX_DELAY, np.uint8)


@dataclass(frozen=True, eq=False)
class Synapses(Brief, Content):
    """Synapses one by one, source after source (a CSC matrix of (target, source)).

    Checked when made, because compiled code writes wherever they point; `from_entries` and
    `from_matrix` make them of what is in no order.

    Attributes
    ----------
    shape : (target size, source size)
    first : (source size + 1,) int64
        Those of source i are ``first[i]`` to ``first[i + 1] - 1``.
    target : (n,) int64
        Ascending for each source, none twice.
    weight : (n,) int16
        In -256..254; a synapse of weight 0 is one, too.

    Raises
    ------
    GraphError
        A value is out of range or order.
    """

    shape: tuple[int, int]
    first: Ints
    target: Ints
    weight: npt.NDArray[np.int16]

    def __post_init__(self) -> None:
        put, where = functools.partial(object.__setattr__, self), "synapses"
        size, count = _sizes(where, self.shape)
        target = checks.integers(where, "target", self.target, 0, size - 1, np.int64)
        weight = checks.weights(where, self.weight, 1)
        if target.shape != weight.shape:
            raise GraphError(where, "target and weight", "one length", (target.shape, weight.shape))
        first = checks.integers(where, "first", self.first, 0, len(weight), np.int64)
        if first.shape != (count + 1,):
            raise GraphError(where, "first", f"{count + 1}, one more than sources", first.shape)
        if first[0] != 0 or first[-1] != len(weight) or (np.diff(first) < 0).any():
            raise GraphError(where, "first", f"numbers that rise from 0 to {len(weight)}", first)
        falls = np.flatnonzero(np.diff(target) <= 0) + 1
        falls = falls[~np.isin(falls, first)]
        if len(falls):
            at = int(falls[0])
            got = f"{target[at]} after {target[at - 1]}"
            raise GraphError(where, f"target[{at}]", "ascending targets of each source", got)
        put("shape", (size, count))
        put("first", first)
        put("target", target)
        put("weight", weight)

    def __hash__(self) -> int:
        return hash((self.shape, len(self.weight)))

    @classmethod
    def from_entries(
        cls,
        where: str,
        shape: tuple[int, int],
        target: npt.ArrayLike,
        source: npt.ArrayLike,
        weight: npt.ArrayLike,
    ) -> Synapses:
        """Synapses in any order.

        Parameters
        ----------
        where : str
            For messages.
        shape : (target size, source size)
        target, source : (n,) array of int
            Neurons, flat in C order.
        weight : (n,) array of int
            In -256..254; a synapse of weight 0 is one, too.

        Raises
        ------
        GraphError
            A value is out of range, or two synapses join the same neurons.
        """
        sizes = _sizes(where, shape)
        target = checks.integers(where, "target", target, 0, sizes[0] - 1, np.int64)
        source = checks.integers(where, "source", source, 0, sizes[1] - 1, np.int64)
        weight = checks.weights(where, weight, 1)
        if not target.shape == source.shape == weight.shape:
            lengths = target.shape, source.shape, weight.shape
            raise GraphError(where, "target, source and weight", "one length", lengths)
        order = np.lexsort((target, source))
        target, source, weight = target[order], source[order], weight[order]
        twice = np.flatnonzero((np.diff(source) == 0) & (np.diff(target) == 0))
        if len(twice):
            at = int(twice[0])
            got = f"two from {source[at]} to {target[at]}"
            raise GraphError(where, "synapses", "at most one between two neurons", got)
        first = np.zeros(sizes[1] + 1, np.int64)
        np.cumsum(np.bincount(source, minlength=sizes[1]), out=first[1:])
        return cls(sizes, first, target, weight)

    @classmethod
    def from_matrix(cls, where: str, matrix: Any) -> Synapses:
        """Every stored entry of a SciPy sparse matrix (target size, source size); True is 1."""
        if not hasattr(matrix, "tocoo"):
            got = type(matrix).__name__
            raise GraphError(where, "weight", "a SciPy sparse matrix, or Synapses", got)
        entries = matrix.tocoo()
        return cls.from_entries(where, entries.shape, entries.row, entries.col, entries.data)

    @functools.cached_property
    def source(self) -> Ints:
        """(n,) source of each synapse."""
        return np.repeat(np.arange(self.shape[1]), np.diff(self.first))


def _sizes(where: str, shape: tuple[int, int]) -> tuple[int, int]:
    if np.shape(shape) != (2,):
        raise GraphError(where, "shape", "(target size, source size)", shape)
    size, count = (checks.integer(where, "shape", n, 0, checks.INT32_MAX) for n in shape)
    return size, count


@dataclass(frozen=True, eq=False)
class Connection(Brief, Content, abc.ABC):
    """Synapses from one population (or `INPUT`) to another, by index into the graph.

    A new kind is a subclass of this one, not of another kind. It defines `synapses`, calls
    ``super().__post_init__()`` where it has one of its own, and then runs on every backend. The
    other methods may be overridden by faster ones that give the same numbers.

    Connections of one kind are equal where their attributes are, arrays number by number; matrices
    and tensors only where they are the same object. A kind that is a dataclass, as these are, says
    ``@dataclass(frozen=True, eq=False)``: the equality that it would get otherwise knows no arrays.

    Parameters
    ----------
    source, target : int
    delay : int or (source size,) array of int, keyword only
        Axonal delay in time steps, 0..62, for all sources or for each.
    """

    source: int
    target: int
    delay: int | npt.NDArray[np.uint8] = field(default=0, kw_only=True)

    kind: ClassVar[str] = "connection"
    """What messages call it."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        # Backends know these by their type, and would not ask what a subclass of one changes.
        known = [base for base in cls.__mro__[1:] if base.__dict__.get("_IS_FAST")]
        if known:
            raise UnsupportedError(
                cls.__name__, "base of a kind of your own", "Connection", known[0].__name__
            )

    def __post_init__(self) -> None:
        put = functools.partial(object.__setattr__, self)
        last = checks.INT32_MAX
        put("source", checks.integer(self.kind, "source", self.source, INPUT, last))
        put("target", checks.integer(self.kind, "target", self.target, 0, last))
        put("delay", check_delay(self.where, "delay", self.delay))

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.kind} {self.source}->{self.target}"

    @abc.abstractmethod
    def synapses(self, source_shape: Shape) -> Synapses:
        """Every synapse; neurons are numbered in C order.

        Parameters
        ----------
        source_shape : tuple of int
            (C,) or (C, H, W).
        """

    def places(self, source_shape: Shape) -> Ints:
        """(synapses,) place of each one's weight among the weights, flat in C order.

        Synapses of one place share a weight, whose gradient is the sum of theirs. Here each has
        its own, and so have those of a kind of your own, which trains as `Sparse`.
        """
        return np.arange(len(self.all_synapses(source_shape).weight))

    def weight_shape(self, source_shape: Shape) -> Shape:
        """Shape of the weights that `places` counts."""
        return self.all_synapses(source_shape).weight.shape

    def fan_out(self, source_shape: Shape) -> Ints:
        """Synapses of each source neuron, (source size,)."""
        return np.diff(self.all_synapses(source_shape).first)

    def deliver(self, spikes: Ints, source_shape: Shape, size: int) -> Ints:
        """Weighted sum over released spikes, flat (size,), in weight units.

        Parameters
        ----------
        spikes : (source size,) int64
            How often each source neuron is delivered.
        source_shape : tuple of int
        size : int
            Neurons of the target.
        """
        synapses = self.all_synapses(source_shape)
        total = np.zeros(size, np.int64)
        np.add.at(total, synapses.target, synapses.weight * spikes[synapses.source])
        return total

    def deliver_back(
        self, gradient: npt.NDArray[np.float64], source_shape: Shape
    ) -> npt.NDArray[np.float64]:
        """The way back: weighted sum over the targets of each source, (source size,).

        The transpose of `deliver`, for gradients.

        Parameters
        ----------
        gradient : (size,) float64
            Of each target neuron.
        source_shape : tuple of int
        """
        synapses = self.all_synapses(source_shape)
        total = np.zeros(math.prod(source_shape))
        np.add.at(total, synapses.source, synapses.weight * gradient[synapses.target])
        return total

    def l1(self, source_shape: Shape) -> int:
        """Bound on Σ|w| over the synapses of one target neuron."""
        synapses = self.all_synapses(source_shape)
        total = np.zeros(synapses.shape[0], np.int64)
        np.add.at(total, synapses.target, np.abs(synapses.weight.astype(np.int64)))
        return int(total.max(initial=0))

    def delays(self, source_shape: Shape) -> npt.NDArray[np.uint8]:
        """Delay of each source, (source size,)."""
        return np.broadcast_to(np.asarray(self.delay, np.uint8), (math.prod(source_shape),))

    @property
    def max_delay(self) -> int:
        return int(np.max(self.delay, initial=0))

    def check(self, where: str, source: Shape, target: Shape) -> None:
        """Raise `GraphError` unless the shapes fit."""
        size = math.prod(source)
        if np.ndim(self.delay) and np.shape(self.delay) != (size,):
            count = len(np.ravel(self.delay))
            raise GraphError(where, "delay", f"one, or {size}, one for each source", count)
        self.check_shapes(where, source, target)

    def check_shapes(self, where: str, source: Shape, target: Shape) -> None:
        """Raise `GraphError` unless the synapses fit these shapes."""
        want, got = (math.prod(target), math.prod(source)), self.all_synapses(source).shape
        if got != want:
            raise GraphError(where, f"{self.kind} size (out, in)", want, got)

    def all_synapses(self, source_shape: Shape) -> Synapses:
        """`synapses`, made once and looked at."""
        made: dict[Shape, Synapses] = vars(self).setdefault("_made", {})
        if source_shape not in made:
            synapses: object = self.synapses(source_shape)
            if not isinstance(synapses, Synapses):
                got = type(synapses).__name__
                raise GraphError(self.where, "what synapses() returns", "Synapses", got)
            made[source_shape] = synapses
        return made[source_shape]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_made"}

    def __hash__(self) -> int:
        return hash((type(self), self.source, self.target))

    def _content(self) -> dict[str, Any]:
        return {name: value for name, value in super()._content().items() if name != "_made"}


@dataclass(frozen=True, eq=False)
class Sparse(Connection):
    """Synapses given one by one.

    Parameters
    ----------
    weight : SciPy sparse matrix (target size, source size) of int, or Synapses
        In -256..254, or bool: True is 1. Every stored entry is a synapse, also one of weight 0.
        Source and target are read flat in C order.
    """

    weight: Synapses
    kind: ClassVar[str] = "sparse"
    _IS_FAST: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.weight, Synapses):
            synapses = Synapses.from_matrix(self.where, self.weight)
            object.__setattr__(self, "weight", synapses)

    def synapses(self, source_shape):
        return self.weight


@dataclass(frozen=True, eq=False)
class Dense(Connection):
    """All-to-all synapses.

    Parameters
    ----------
    weight : (target size, source size) array of int
        In -256..254; the source is read flat in C order.
    """

    weight: npt.NDArray[np.int16]
    kind: ClassVar[str] = "dense"
    _IS_FAST: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weight", checks.weights(self.where, self.weight, 2))

    def synapses(self, source_shape):
        size, count = self.weight.shape
        target = np.tile(np.arange(size), count)
        first = np.arange(count + 1) * size
        return Synapses((size, count), first, target, self.weight.T.reshape(-1))

    def places(self, source_shape):
        return np.arange(self.weight.size).reshape(self.weight.shape).T.reshape(-1)

    def weight_shape(self, source_shape):
        return self.weight.shape

    def fan_out(self, source_shape):
        return np.full(math.prod(source_shape), self.weight.shape[0], np.int64)

    def deliver(self, spikes, source_shape, size):
        active = np.flatnonzero(spikes)
        return self.weight[:, active].astype(np.int64) @ spikes[active]

    def deliver_back(self, gradient, source_shape):
        return gradient @ self.weight

    def l1(self, source_shape):
        return int(np.abs(self.weight.astype(np.int64)).sum(axis=1).max(initial=0))

    def check_shapes(self, where, source, target):
        want = (math.prod(target), math.prod(source))
        if self.weight.shape != want:
            raise GraphError(where, "dense weight shape (out, in)", want, self.weight.shape)


@dataclass(frozen=True, eq=False)
class OneToOne(Connection):
    """Neuron i to neuron i through one shared weight: netx's input layer with neurons."""

    weight: int
    kind: ClassVar[str] = "one-to-one"
    _IS_FAST: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        weight = checks.integer(self.where, "weight", self.weight, dyn.WEIGHT_MIN, dyn.WEIGHT_MAX)
        object.__setattr__(self, "weight", weight)

    def synapses(self, source_shape):
        size = math.prod(source_shape)
        weight = np.full(size, self.weight, np.int16)
        return Synapses((size, size), np.arange(size + 1), np.arange(size), weight)

    def places(self, source_shape):
        return np.zeros(math.prod(source_shape), np.int64)

    def weight_shape(self, source_shape):
        return (1,)

    def fan_out(self, source_shape):
        return np.ones(math.prod(source_shape), np.int64)

    def deliver(self, spikes, source_shape, size):
        return spikes * self.weight

    def deliver_back(self, gradient, source_shape):
        return gradient * self.weight

    def l1(self, source_shape):
        return abs(self.weight)

    def check_shapes(self, where, source, target):
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
    kind: ClassVar[str] = "conv"
    _IS_FAST: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        where = self.where
        put = functools.partial(object.__setattr__, self)
        weight = checks.weights(where, self.weight, 4)
        if 0 in weight.shape:
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

    def synapses(self, source_shape):
        channels, height, width = self.out_shape(source_shape)
        # Places where source row (column), tap and target row (column) meet.
        y, ky, out_y = np.nonzero(self._taps(source_shape[1], height, 0))
        x, kx, out_x = np.nonzero(self._taps(source_shape[2], width, 1))
        in_group, out_group = self.weight.shape[1], channels // self.groups
        source_channel = np.arange(source_shape[0])[:, None, None, None]
        offset = np.arange(out_group)[None, :, None, None]
        target_channel = source_channel // in_group * out_group + offset
        weight = self.weight[
            target_channel, source_channel % in_group, ky[None, None, :, None], kx
        ]
        source = np.ravel_multi_index(
            np.broadcast_arrays(source_channel, y[:, None], x[None, :]), source_shape
        )
        target = np.ravel_multi_index(
            np.broadcast_arrays(target_channel, out_y[:, None], out_x[None, :]),
            (channels, height, width),
        )
        return Synapses.from_entries(
            self.where,
            (channels * height * width, math.prod(source_shape)),
            target.reshape(-1),
            np.broadcast_to(source, target.shape).reshape(-1),
            weight.reshape(-1),
        )

    def places(self, source_shape):
        synapses = self.all_synapses(source_shape)
        channel, y, x = np.unravel_index(synapses.source, source_shape)
        target, out_y, out_x = np.unravel_index(synapses.target, self.out_shape(source_shape))
        row = (y + self.padding[0] - out_y * self.stride[0]) // self.dilation[0]
        column = (x + self.padding[1] - out_x * self.stride[1]) // self.dilation[1]
        tap = (target, channel % self.weight.shape[1], row, column)
        return np.ravel_multi_index(tap, self.weight.shape)

    def weight_shape(self, source_shape):
        return self.weight.shape

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
        groups, in_group, kernel = self.groups, self.weight.shape[1], self.weight.shape[2:]
        weight = self.weight.astype(np.int64).reshape(groups, -1, in_group, *kernel)
        total = np.zeros((groups, channels // groups, height * width), np.int64)
        for ky, kx in np.ndindex(kernel):
            y, x = ky * self.dilation[0], kx * self.dilation[1]
            seen = padded[
                :,
                y : y + self.stride[0] * (height - 1) + 1 : self.stride[0],
                x : x + self.stride[1] * (width - 1) + 1 : self.stride[1],
            ]
            total += weight[..., ky, kx] @ seen.reshape(groups, in_group, -1)
        return total.reshape(-1)

    def l1(self, source_shape):
        return int(np.abs(self.weight.astype(np.int64)).sum(axis=(1, 2, 3)).max())

    def check_shapes(self, where, source, target):
        if len(source) != 3:
            raise GraphError(where, "conv source shape", "(C, H, W)", source)
        if source[0] != self.weight.shape[1] * self.groups:
            raise GraphError(
                where, "conv input channels", self.weight.shape[1] * self.groups, source[0]
            )
        want = self.out_shape(source)
        if min(want) < 1 or tuple(target) != want:
            raise GraphError(where, "conv target shape", want, target)
