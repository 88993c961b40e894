"""What populations offer to connections and to their scheduler, whatever their neurons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import AbstractPort

from lava_async._semantics.graph import Population, components
from lava_async.errors import GraphError, UnsupportedError
from lava_async.proc import _messages
from lava_async.proc._compiled import CompiledGroup
from lava_async.proc._delay import check_delays
from lava_async.proc._ports import (
    ForwardIn,
    ForwardOut,
    GrantIn,
    InPort,
    OutPort,
    ReleaseIn,
    ReleaseOut,
    RequestOut,
    check_frames,
    check_peers,
    describe,
    destinations,
)
from lava_async.proc._shared import SharedGroup
from lava_async.proc._vars import Ints, Range
from lava_async.proc._wiring import WiredProcess


class AsyncPopulation(WiredProcess):
    """Base of the populations; `AsyncLIF` describes the ports.

    A subclass has its state and parameters as Vars, described in ``RANGES``.

    Parameters
    ----------
    shape : tuple of int
        (W, H, C) or (n,).
    where : str
        For messages.
    output_delay : int or (size,) array of int
        Time steps by which ``s_out`` is late, 0..62.
    name : str, optional
    arguments
        For the process model.
    """

    RANGES: Mapping[str, Range]

    def __init__(
        self,
        shape: tuple[int, ...],
        where: str,
        output_delay: npt.ArrayLike,
        name: str | None,
        **arguments: Any,
    ) -> None:
        delays = check_delays(where, "output_delay", output_delay, math.prod(shape))
        super().__init__(name=name, output_delays=delays, **arguments)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.forward_in = ForwardIn(shape=(self.a_in.size,))
        self.release_out = ReleaseOut(shape=_messages.SPIKES)
        self.request_out = RequestOut(shape=_messages.SPIKES_WITH_MOMENTA)
        self.grant_in = GrantIn(shape=_messages.SPIKES)
        self._group: Group | None = None

    @property
    def size(self) -> int:
        return self.a_in.size

    def group(self) -> Group:
        """The populations that share its scheduler.

        Raises
        ------
        GraphError
            There is no scheduler.
        """
        if self._group is None:
            raise GraphError(
                describe(self), "scheduler", "one SpikeScheduler with this population", "none"
            )
        return self._group

    def wiring(self) -> dict[str, Any]:
        group = self.group()
        check_frames(self.a_in)
        check_peers(
            self.forward_in, "forward_out of a connection",
            lambda port: isinstance(port, ForwardOut),
        )
        index, compiled = group.index(self), group.compiled()
        member = None if compiled is None else compiled.shared.populations[index]
        return {"index": index, "member": member, **group.wiring()}

    def connections(self) -> list[Any]:
        """Where its released spikes go: `AsyncConnection` processes.

        Raises
        ------
        GraphError
            Something else, such as a Monitor, listens to messages of forward steps.
        """
        check_peers(
            self.release_out, "release_in of a connection (a Monitor may probe s_out)",
            lambda port: isinstance(port, ReleaseIn),
        )
        scheduler = self.group().scheduler
        for port in (self.request_out, self.grant_in):
            check_peers(
                port, f"{describe(scheduler)} alone", lambda port: port.process is scheduler
            )
        return [port.process for port in destinations(self.release_out)]

    def awaited(self) -> Mapping[Any, Sequence[AbstractPort]]:
        return {self.s_out: self.group().inputs()}

    def lower(self, values: Mapping[str, Ints]) -> Population:
        """The same for the compiled kernel. Other populations exchange messages.

        values : what the Vars of `RANGES` hold now.
        """
        raise UnsupportedError(describe(self), "compiled kernel", "AsyncLIF", type(self).__name__)


class Route(NamedTuple):
    """A connection, for the models of all whom it concerns: populations by their index."""

    source: int
    first: int  # neuron of the source
    targets: tuple[int, ...]
    late: npt.NDArray[np.bool_] | None  # (source size,) whose spikes are delayed; None: nobody's

    def is_taken_by(self, neurons: Ints, cuts: list[int]) -> bool:
        """Whether released spikes arrive over it at once.

        neurons : (n,) those released, ascending.
        cuts : where, among them, those of each population begin.
        """
        begin, end = cuts[self.source], cuts[self.source + 1]
        if self.late is None or begin == end:
            return begin < end
        return not self.late[neurons[begin:end] - self.first].all()


class Group:
    """The populations of one scheduler, and the graph that their connections make.

    Parameters
    ----------
    scheduler : SpikeScheduler
    populations : sequence of AsyncPopulation
    """

    def __init__(self, scheduler: Any, populations: Sequence[AsyncPopulation]) -> None:
        for population in populations:
            if population._group is not None:
                raise GraphError(
                    describe(population), "scheduler", "one",
                    f"a second one besides {describe(population._group.scheduler)}",
                )
        self.scheduler = scheduler
        self.populations = tuple(populations)
        for population in populations:
            population._group = self

    def index(self, population: AsyncPopulation) -> int:
        """Place of a population."""
        return next(i for i, p in enumerate(self.populations) if p is population)

    def number(self, connection: WiredProcess) -> int:
        """Place of a connection among the routes of `wiring`."""
        return next(i for i, c in enumerate(self._connections()) if c is connection)

    def inputs(self) -> list[AbstractPort]:
        """What must arrive in a time step before any population can end it."""
        return [population.a_in for population in self.populations]

    def wiring(self) -> dict[str, Any]:
        """The graph, for models.

        ``offsets`` (P + 1,) numbers of the populations' first neurons, ``routes`` the
        connections, ``order`` in which `LayerSync` evaluates the populations.
        """
        offsets = np.cumsum([0] + [p.size for p in self.populations])
        routes = [self._route(connection, offsets) for connection in self._connections()]
        edges = [(route.source, target) for route in routes for target in route.targets]
        found = components(len(self.populations), edges)
        return {
            "offsets": offsets,
            "routes": routes,
            "order": [p for component in found for p in component],
        }

    def compiled(self) -> CompiledGroup | None:
        """What runs all populations in the scheduler's process; None: they exchange messages.

        Made once in a compilation, and kept by the scheduler: where compiling fails, what it
        changed in processes is undone.
        """
        scheduler = self.scheduler
        if scheduler.may_compile and scheduler.compiled_group is None:
            scheduler.may_compile = self._is_known()
            if scheduler.may_compile:
                try:
                    scheduler.compiled_group = self._compile()
                except UnsupportedError:
                    scheduler.may_compile = False
        return scheduler.compiled_group

    def _is_known(self) -> bool:
        """Whether all processes run models of ours: the kernel knows no others."""
        members = self.scheduler, *self.populations, *self._connections()
        return all(m.model_class.__module__.startswith(f"{__package__}.") for m in members)

    def _compile(self) -> CompiledGroup:
        connections = self._connections()
        for connection in connections:
            connection.check_released()
        wires = [(route.source, route.targets) for route in self.wiring()["routes"]]
        scheduler = self.scheduler
        shared = SharedGroup(
            self.populations, connections, wires, scheduler.output, scheduler.synops_in
        )
        return CompiledGroup(shared, scheduler.schedule, scheduler.stop_after)

    def _connections(self) -> list[Any]:
        return [c for population in self.populations for c in population.connections()]

    def _route(self, connection: Any, offsets: Ints) -> Route:
        targets = connection.targets()
        for target in targets:
            if target.group() is not self:
                raise GraphError(
                    describe(connection), "target",
                    "a population of the source's scheduler; to another one "
                    "connect s_out, s_in, a_out and a_in",
                    describe(target),
                )
        source = self.index(connection.source())
        return Route(
            source,
            int(offsets[source]),
            tuple(self.index(target) for target in targets),
            None if connection.delays is None else connection.delays > 0,
        )
