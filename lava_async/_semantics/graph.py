"""Networks as directed graphs of populations and connections.

Nothing here knows layers: feed-forward, skip and recurrent connections are all the same.
Everything a graph must satisfy is checked when it is built, so that no backend has to.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics import checks
from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT, Connection
from lava_async._semantics.schedule import Schedule
from lava_async.errors import GraphError

NETX_NEVER_FIRES = (1 << 17, (1 << 18) - 1)
"""Threshold mantissas beyond 17 bits that netx and SLAYER write for "never fires"."""


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
        put("shape", checks.shape(self.name, self.shape))
        put("i_decay", checks.integer(self.name, "iDecay", self.i_decay, 0, dyn.DECAY_ONE))
        put("v_decay", checks.integer(self.name, "vDecay", self.v_decay, 0, dyn.DECAY_ONE))
        never = np.asarray(self.threshold).reshape(-1).tolist()
        high = max(NETX_NEVER_FIRES) if never[:1] and never[0] in NETX_NEVER_FIRES else (
            dyn.THRESHOLD_MAX
        )
        put("threshold", checks.integer(self.name, "vThMant", self.threshold, 0, high))
        if self.bias is not None:
            low, high = dyn.BIAS_MIN, dyn.BIAS_MAX
            bias = checks.integers(self.name, "bias", self.bias, low, high, np.int64)
            if bias.shape != self.shape:
                raise GraphError(self.name, "bias shape", self.shape, bias.shape)
            put("bias", bias)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


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
        put("input_shape", checks.shape("graph: input", self.input_shape))
        put("populations", tuple(self.populations))
        put("connections", tuple(self.connections))
        count = len(self.populations)
        if count == 0:
            raise GraphError("graph", "populations", "at least one", 0)
        put("output", checks.integer("graph", "output", self.output, -count, count - 1) % count)
        if self.num_neurons > checks.INT32_MAX:
            raise GraphError("graph", "neurons", f"at most {checks.INT32_MAX}", self.num_neurons)
        for index, c in enumerate(self.connections):
            where = f"connection {index}"
            checks.integer(where, "source", c.source, INPUT, count - 1)
            checks.integer(where, "target", c.target, 0, count - 1)
            target = self.populations[c.target]
            c.check(f"{where} ({target.name})", self.source_shape(c), target.shape)
        if not any(c.source == INPUT for c in self.connections):
            raise GraphError("graph", "connections from the input", "at least one", 0)

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
        return checks.INT32_MAX // max(1, int(total.max()))

    def replace(self, **changes: object) -> Graph:
        """A copy with other fields."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
