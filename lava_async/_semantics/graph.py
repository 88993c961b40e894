"""Networks as directed graphs of populations and connections.

Nothing here knows layers: feed-forward, skip and recurrent connections are all the same.
Everything a graph must satisfy is checked when it is built, so that no backend has to.
"""

from __future__ import annotations

import dataclasses
import functools
import heapq
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._semantics import checks
from lava_async._semantics import dynamics as dyn
from lava_async._semantics.brief import Brief
from lava_async._semantics.connections import INPUT, Connection, check_delay
from lava_async._semantics.content import Content
from lava_async._semantics.decoding import Decoding
from lava_async._semantics.schedule import Schedule, check_schedule
from lava_async.errors import GraphError, ValidationError

NETX_NEVER_FIRES = (1 << 17, (1 << 18) - 1)
"""Threshold mantissas beyond 17 bits that netx and SLAYER write for "never fires"."""


@dataclass(frozen=True, eq=False)
class Population(Brief, Content):
    """Neurons of one shape and threshold: CUBA-LIF in Loihi's fixed point.

    Parameters
    ----------
    name : str
        For messages and tables, e.g. ``"layer 2 (dense)"``.
    shape : tuple of int
        (C,) or (C, H, W).
    i_decay, v_decay : int or array of int, shape ``shape``
        Decay of current and voltage per time step, in 1/4096, of all neurons or of each; 4096
        forgets everything.
    threshold : int
        Mantissa; a neuron fires when its voltage exceeds ``threshold << 6``.
    bias : array of int, optional
        Mantissa per neuron, shape ``shape``; ``bias << 6`` is added at each time step.
    """

    name: str
    shape: tuple[int, ...]
    i_decay: int | npt.NDArray[np.int64]
    v_decay: int | npt.NDArray[np.int64]
    threshold: int
    bias: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        put = functools.partial(object.__setattr__, self)
        if not isinstance(self.name, str):
            raise GraphError("population", "name", "a text", repr(self.name))
        put("shape", checks.shape(self.name, self.shape))
        put("i_decay", self._check_decay("iDecay", self.i_decay))
        put("v_decay", self._check_decay("vDecay", self.v_decay))
        never = checks.array(self.name, "vThMant", self.threshold).reshape(-1).tolist()
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

    def __hash__(self) -> int:
        return hash((self.name, self.shape, self.threshold))

    def _check_decay(self, what: str, decay: npt.ArrayLike) -> int | npt.NDArray[np.int64]:
        """One for all as int, also if it is given for each."""
        given = checks.array(self.name, what, decay)
        if given.size == 1:
            return checks.integer(self.name, what, given, 0, dyn.DECAY_ONE)
        each = checks.integers(self.name, what, given, 0, dyn.DECAY_ONE, np.int64)
        if each.shape != self.shape:
            raise GraphError(self.name, f"{what} shape", f"one number, or {self.shape}", each.shape)
        return int(each.flat[0]) if np.ptp(each) == 0 else each

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def each(self, numbers: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """(size,) one of the population's parameters, of each neuron."""
        return np.broadcast_to(np.asarray(numbers, np.int64), self.shape).reshape(-1)

    @property
    def can_fire(self) -> bool:
        """Whether a voltage can exceed the threshold."""
        return self.threshold <= dyn.THRESHOLD_MAX


def components(count: int, edges: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Strongly connected components of 0..count-1, in topological order; ties by lowest number.

    Edges (source, target) from outside that range, such as from `INPUT`, do not matter.
    """
    targets: list[set[int]] = [set() for _ in range(count)]
    for source, target in edges:
        if source >= 0:
            targets[source].add(target)
    reached = [_reached(p, targets) for p in range(count)]
    first = [min(q for q in reached[p] if p in reached[q]) for p in range(count)]
    found: dict[int, list[int]] = {}  # by their first member
    for p in range(count):
        found.setdefault(first[p], []).append(p)
    after = {c: {first[t] for p in found[c] for t in targets[p]} - {c} for c in found}
    waits = Counter(t for following in after.values() for t in following)
    ready = [c for c in found if not waits[c]]  # ascending, so a heap
    order: list[list[int]] = []
    while ready:
        c = heapq.heappop(ready)
        order.append(found[c])
        for t in after[c]:
            waits[t] -= 1
            if not waits[t]:
                heapq.heappush(ready, t)
    return order


def _reached(start: int, targets: list[set[int]]) -> set[int]:
    """Where a path leads, its start included."""
    found, todo = {start}, [start]
    while todo:
        new = targets[todo.pop()] - found
        found |= new
        todo += new
    return found


def _all_of(kind: type, what: str, given: Any) -> tuple[Any, ...]:
    wanted = f"a sequence of {kind.__name__}"
    if not isinstance(given, Iterable):
        raise GraphError("graph", what, wanted, type(given).__name__)
    found = tuple(given)
    for index, element in enumerate(found):
        if not isinstance(element, kind):
            raise GraphError("graph", f"{what}[{index}]", wanted, type(element).__name__)
    return found


def check_early_decision(where: str, stop_after: int | None, output_can_fire: bool) -> None:
    """Raise `ValidationError` if early decision waits for spikes that cannot come."""
    if stop_after is not None and not output_can_fire:
        raise ValidationError(
            where, "stop_after",
            "None: the output is a readout, which no spike decides", stop_after,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Graph(Brief, Content):
    """A runnable network.

    Graphs are equal (``==``) where all that follows is, arrays number by number and names too.

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
    output_delay : int or (outputs,) array of int
        Time steps by which the output is late, for all its neurons or for each, 0..62: SLAYER's
        delay of the last block. Early decision and the measures are of the firing; of a readout
        they are of what comes out.
    decoding : Decoding, optional
        What is made of what comes out.
    """

    input_shape: tuple[int, ...]
    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    output: int = -1
    schedule: Schedule | None = None
    output_delay: int | npt.NDArray[np.uint8] = 0
    decoding: Decoding | None = None

    def __post_init__(self) -> None:
        put = functools.partial(object.__setattr__, self)
        put("input_shape", checks.shape("graph: input", self.input_shape))
        put("populations", _all_of(Population, "populations", self.populations))
        put("connections", _all_of(Connection, "connections", self.connections))
        if self.schedule is not None:
            check_schedule("graph", self.schedule)
        count = len(self.populations)
        if count == 0:
            raise GraphError("graph", "populations", "at least one", 0)
        put("output", checks.integer("graph", "output", self.output, -count, count - 1) % count)
        if self.num_neurons > checks.INT32_MAX:
            raise GraphError("graph", "neurons", f"at most {checks.INT32_MAX}", self.num_neurons)
        put("output_delay", check_delay("graph", "output_delay", self.output_delay))
        if np.ndim(self.output_delay) and np.size(self.output_delay) != math.prod(self.out_shape):
            want, got = f"one, or {math.prod(self.out_shape)}", np.size(self.output_delay)
            raise GraphError("graph", "output_delay", want, got)
        if self.decoding is not None:
            if not isinstance(self.decoding, Decoding):
                got = type(self.decoding).__name__
                raise GraphError("graph", "decoding", "a Decoding, or None", got)
            self.decoding.check(math.prod(self.out_shape))
        for index, c in enumerate(self.connections):
            where = f"connection {index}"
            checks.integer(where, "source", c.source, INPUT, count - 1)
            checks.integer(where, "target", c.target, 0, count - 1)
            target = self.populations[c.target]
            c.check(f"{where} ({target.name})", self.source_shape(c), target.shape)
        if not any(c.source == INPUT for c in self.connections):
            raise GraphError("graph", "connections from the input", "at least one", 0)

    def __hash__(self) -> int:
        return hash((self.input_shape, self.output, self.populations))

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

    @property
    def output_can_fire(self) -> bool:
        """Whether a voltage can exceed the output population's threshold; else it is a readout."""
        return self.populations[self.output].can_fire

    @property
    def num_classes(self) -> int:
        """How many there are to decide between: output neurons, or groups of them."""
        outputs = math.prod(self.out_shape)
        return outputs if self.decoding is None else self.decoding.classes(outputs)

    @functools.cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """(populations + 1,) index of each population's first neuron."""
        return np.concatenate([[0], np.cumsum([p.size for p in self.populations])])

    def slice(self, population: int) -> slice:
        """The neurons of a population."""
        return slice(int(self.offsets[population]), int(self.offsets[population + 1]))

    @functools.cached_property
    def order(self) -> tuple[int, ...]:
        """In which `LayerSync` evaluates the populations.

        Strongly connected components in topological order (ties by their lowest population),
        over all connections, delayed ones too; file order inside a component.
        """
        edges = [(c.source, c.target) for c in self.connections]
        return tuple(p for c in components(len(self.populations), edges) for p in c)

    def layered_delay(self, connection: Connection) -> int | npt.NDArray[np.uint8]:
        """Delay under `LayerSync`: what goes back in `order` takes at least one time step."""
        c, order = connection, self.order
        recurs = c.source != INPUT and order.index(c.target) <= order.index(c.source)
        return np.maximum(c.delay, 1) if recurs else c.delay

    @functools.cached_property
    def max_delay(self) -> int:
        """Longest delay of a connection; under `LayerSync` at least 1 where one recurs."""
        return max(int(np.max(self.layered_delay(c), initial=0)) for c in self.connections)

    def delayed_output(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What the output population (B, outputs, T) gives as it comes out, `output_delay` late."""
        late = np.broadcast_to(self.output_delay, values.shape[1:2])
        if not late.any():
            return values
        result = np.zeros_like(values)
        for neuron, delay in enumerate(late.tolist()):
            result[:, neuron, delay:] = values[:, neuron, : max(values.shape[2] - delay, 0)]
        return result

    @functools.cached_property
    def max_input(self) -> int:
        """Largest input value for which no weighted sum can leave 32 bits."""
        total = np.zeros(len(self.populations), np.int64)
        for c in self.connections:
            total[c.target] += c.l1(self.source_shape(c))
        return checks.INT32_MAX // max(1, int(total.max()))

    def replace(self, **changes: object) -> Graph:
        """A copy with other fields."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
