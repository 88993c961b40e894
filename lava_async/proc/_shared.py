"""What the processes of one scheduler share where compiled code runs its populations.

The memory is made before Lava forks the processes. Vars of populations and connections lie in it,
so that the scheduler finds what `Var.set` or a RefPort wrote, and they find what it computed.
Messages are left where something comes from outside or goes there: at most one to the scheduler,
before a time step can begin, and one back when it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import AbstractPort
from lava.magma.core.process.process import AbstractProcess

from lava_async._lava.channels import ForkedChannel, shared_array
from lava_async._semantics.connections import INPUT, Connection, Sparse, Synapses
from lava_async._semantics.graph import Graph
from lava_async.proc._ports import destinations, sources
from lava_async.proc._vars import Ints, Range, check_vars

COUNTED = -1
"""What a connection sends to ``synops_in``, once: that the scheduler counts by itself."""


@dataclass(frozen=True, eq=False)
class Member:
    """A population or connection, as its own process and that of its scheduler know it."""

    vars: Mapping[str, Ints]  # what its Vars hold
    written: npt.NDArray[np.uint8]  # (1,) whether anybody wrote since the scheduler looked
    ready: ForkedChannel | None  # to the scheduler: currents (size,) of a population, or (1,)
    done: ForkedChannel | None  # from it: whether it was reset, and a population's spikes (size,)

    def take_over(self, model: Any) -> None:
        """Put the Vars of a process model here."""
        for name, shared in self.vars.items():
            setattr(model, name, shared)

    def update(self, model: Any, where: str, ranges: Mapping[str, Range]) -> None:
        """Take over what a RefPort wrote, which replaces the array and says nothing."""
        replaced = [name for name, own in self.vars.items() if getattr(model, name) is not own]
        if not replaced:
            return
        wanted = {name: ranges[name] for name in replaced if name in ranges}
        for name, values in check_vars(model, where, wanted).items():
            self.vars[name][:] = values
        self.take_over(model)
        self.written[0] = True


@dataclass(frozen=True, eq=False)
class Wire:
    """A connection between populations of the scheduler."""

    source: int
    targets: tuple[int, ...]
    delays: Ints | None  # (source size,)
    counted: int  # how often the scheduler counts its synaptic operations by itself
    connect: Callable[[int], Connection]  # to one of the targets, with the weights of now


class SharedGroup:
    """Populations, connections and their state.

    Parameters
    ----------
    populations : sequence of AsyncPopulation
    connections : sequence of AsyncConnection
        Between them.
    wires : sequence of (source, targets)
        Places of the populations at both ends of each connection.
    output : int
    synops_in : port of the scheduler

    Attributes
    ----------
    u, v : (N,) int64
    populations, connections : list of Member
    wires : list of Wire
    """

    def __init__(
        self,
        populations: Sequence[Any],
        connections: Sequence[Any],
        wires: Sequence[tuple[int, tuple[int, ...]]],
        output: int,
        synops_in: AbstractPort,
    ) -> None:
        self._processes, self._output = populations, output
        cuts = np.cumsum([p.size for p in populations])
        self.u, self.v = (shared_array((int(cuts[-1]),), np.int64) for _ in range(2))
        states = zip(
            populations, np.split(self.u, cuts[:-1]), np.split(self.v, cuts[:-1]), strict=True
        )
        self.populations = [_population_member(p, u, v) for p, u, v in states]
        self.connections = [_connection_member(c, synops_in) for c in connections]
        self.wires = [
            self._wire(c, source, targets, member, synops_in)
            for c, (source, targets), member in zip(
                connections, wires, self.connections, strict=True
            )
        ]

    def _wire(
        self, process: Any, source: int, targets: tuple[int, ...], member: Member, synops_in: Any
    ) -> Wire:
        by_itself = member.done is None
        shape = self._processes[source].a_in.shape

        def connect(target: int) -> Connection:
            return process.lower(
                source, target, member.vars[process.WEIGHTS],
                shape, self._processes[target].a_in.shape,
            )  # fmt: skip

        counted = sum(port is synops_in for port in destinations(process.synops_out))
        return Wire(source, targets, process.delays, by_itself * counted, connect)

    def graph(self) -> Graph:
        """The populations and connections with the values of now.

        The input are the currents from outside, (2 N,): those > 0, then what the others lack to 0.
        """
        populations = [
            process.lower(member.vars)
            for process, member in zip(self._processes, self.populations, strict=True)
        ]
        wired = [wire.connect(target) for wire in self.wires for target in wire.targets]
        size = len(self.u)
        inputs = _inputs([p.size for p in populations], size)
        return Graph((2 * size,), tuple(populations), (*inputs, *wired), self._output)


def _inputs(sizes: Sequence[int], total: int) -> list[Connection]:
    """What brings currents from outside into each population."""
    found: list[Connection] = []
    first = 0
    for target, size in enumerate(sizes):
        neurons = np.arange(size)
        one_way = Synapses.from_entries(
            "currents", (size, 2 * total),
            np.concatenate([neurons, neurons]),
            np.concatenate([first + neurons, total + first + neurons]),
            np.repeat([1, -1], size),
        )  # fmt: skip
        found.append(Sparse(INPUT, target, one_way))
        first += size
    return found


def _population_member(process: Any, u: Ints, v: Ints) -> Member:
    others = [name for name in process.RANGES if name not in ("u", "v")]
    values = {"u": u, "v": v, **{name: _shared(getattr(process, name).shape) for name in others}}
    for name, shared in values.items():
        shared[:] = getattr(process, name).init
    asks = bool(sources(process.a_in)) or _has_ref_ports(process)
    return _member(
        values,
        _channel("request", (process.size,), np.int64) if asks else None,
        _channel("grant", (1 + process.size,), np.int8) if destinations(process.s_out) else None,
    )


def _connection_member(process: Any, synops_in: AbstractPort) -> Member:
    name = process.WEIGHTS
    values = {name: _shared(getattr(process, name).shape), "synops": _shared((1,))}
    values[name][:] = getattr(process, name).init
    tells = any(port is not synops_in for port in destinations(process.synops_out))
    return _member(
        values,
        _channel("request", (1,), np.int64) if _has_ref_ports(process) else None,
        _channel("grant", (1,), np.int8) if tells else None,
    )


def _member(
    values: Mapping[str, Ints], ready: ForkedChannel | None, done: ForkedChannel | None
) -> Member:
    return Member(values, shared_array((1,), np.uint8), ready, done)


def _shared(shape: tuple[int, ...]) -> Ints:
    return shared_array(shape, np.int64)


def _has_ref_ports(process: AbstractProcess) -> bool:
    """Whether others reach its Vars while it runs."""
    return bool(process.var_ports.members)


def _channel(what: str, shape: tuple[int, ...], dtype: type) -> ForkedChannel:
    return ForkedChannel(None, f"{what}_out", f"{what}_in", shape, dtype, 1)
