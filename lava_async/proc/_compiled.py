"""One scheduler's populations in the compiled kernel, in the scheduler's process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lava_async._kernel import Stepper, StepResult
from lava_async._semantics.connections import Connection
from lava_async._semantics.schedule import Schedule
from lava_async.proc._delay import DelayLine
from lava_async.proc._shared import SharedGroup, Wire
from lava_async.proc._vars import Ints

_LARGE = 1 << 30  # currents beyond overflow any state, whatever else arrives
_PERIOD = 1 << 18  # currents this far apart wrap to the same


class _Kernel(Stepper):
    """A stepper that can take over from another one."""

    def resume(self, sample: int, time_step: int) -> None:
        """Zero the state; this sample goes on with this time step."""
        self.reset(sample)
        self._time_step = time_step


class _UnderWay(NamedTuple):
    """Spikes that a delay keeps under way over a wire.

    Weights count when a spike arrives, but the kernel keeps currents. So what was under way when
    weights changed is brought in from outside.
    """

    wire: int
    kept: DelayLine  # as the kernel has it
    left: DelayLine  # lost to the kernel when its weights changed


class CompiledGroup:
    """Runs the time steps of a `SharedGroup`.

    Parameters
    ----------
    shared : SharedGroup
    schedule : Schedule
    stop_after : int, optional

    Raises
    ------
    UnsupportedError
        Compiled code does not run this schedule.
    """

    def __init__(self, shared: SharedGroup, schedule: Schedule, stop_after: int | None) -> None:
        self.shared = shared
        self._schedule, self._stop_after = schedule, stop_after
        self._sample = self._time_step = 0
        self._put_together()
        # Compiled code is loaded once, now: the processes that Lava forks inherit it.
        self._kernel.step(np.zeros(2 * len(shared.u), np.int32))
        self._under_way = [
            _UnderWay(i, DelayLine(wire.delays), DelayLine(wire.delays))
            for i, wire in enumerate(shared.wires)
            if wire.delays is not None
        ]
        self._fan_out = [
            self._graph.connections[edges[0]].fan_out(self._source_shape(wire))
            for wire, edges in zip(shared.wires, self._edges, strict=True)
        ]
        self._released = np.zeros(len(shared.u), bool)  # in the last time step

    def begin(self, sample: int) -> None:
        """A sample begins: zero the state, empty what is under way."""
        self._sample, self._time_step = sample, 0
        self._kernel.reset(sample)
        self._released[:] = False
        for spikes in self._under_way:
            spikes.kept.clear()
            spikes.left.clear()

    def step(self, sample: int | None, now: int) -> tuple[StepResult, int]:
        """Run a time step. Returns what it measured, and the synaptic operations to be counted.

        sample : that begins before this time step, if one does.
        now : the time step of Lava.
        """
        arriving = self._receive()
        if sample is not None:
            self.begin(sample)
        arriving += self._take_over(reset=sample is not None)
        arriving += self._take_left(now)
        result = self._kernel.step(_as_input(arriving))
        self._time_step += 1
        self.shared.u[:], self.shared.v[:] = self._kernel.current, self._kernel.voltage
        self._released = result.fired_at >= 0 if self._layered else result.released_at >= 0
        for spikes in self._under_way:
            self._set_out(spikes, now)
        synops = self._count_synops()
        self._tell(result.spikes, reset=sample is not None)
        return result, synops

    @property
    def _layered(self) -> bool:
        return self._schedule.of_sample(self._sample).layered

    def _source_shape(self, wire: Wire) -> tuple[int, ...]:
        return self._graph.populations[wire.source].shape

    def _receive(self) -> Ints:
        """Wait for all who have to be heard. Returns the currents from outside (N,)."""
        arriving = np.zeros(len(self.shared.u), np.int64)
        for i, member in enumerate(self.shared.populations):
            if member.ready is not None:
                arriving[self._graph.slice(i)] = member.ready.dst_port.recv()
        for member in self.shared.connections:
            if member.ready is not None:
                member.ready.dst_port.recv()
        return arriving

    def _tell(self, spikes: np.ndarray, reset: bool) -> None:
        """Tell those who have something to say outside that the time step has ended."""
        for i, member in enumerate(self.shared.populations):
            if member.done is not None:
                own = spikes[self._graph.slice(i)]
                member.done.src_port.send(np.concatenate([[reset], own]))
        for member in self.shared.connections:
            if member.done is not None:
                member.done.src_port.send(np.array([reset]))

    def _put_together(self) -> None:
        """A kernel with the parameters and weights of now."""
        self._graph = self.shared.graph()
        self._parameters = [_parameters(member.vars) for member in self.shared.populations]
        numbers = iter(range(len(self._graph.populations), len(self._graph.connections)))
        self._edges = [[next(numbers) for _ in wire.targets] for wire in self.shared.wires]
        self._kernel = _Kernel(self._graph, self._schedule, self._stop_after)
        self._kernel.resume(self._sample, self._time_step)

    def _take_over(self, reset: bool) -> Ints | int:
        """Take over what was written into Vars. Returns the currents that this brings (N,)."""
        shared = self.shared
        written = [m for m in (*shared.populations, *shared.connections) if m.written[0]]
        if not written:
            return 0
        for member in written:
            member.written[0] = False
        late: Ints | int = 0
        same = all(
            np.array_equal(_parameters(member.vars), known)
            for member, known in zip(shared.populations, self._parameters, strict=True)
        )
        if not same or any(member in written for member in shared.connections):
            late = self._lose_late()
            state = self._kernel.current, self._kernel.voltage
            self._put_together()
            self._kernel.current[:], self._kernel.voltage[:] = state
        if not reset:
            self._kernel.current[:], self._kernel.voltage[:] = shared.u, shared.v
        self._kernel.wake()
        return late

    def _lose_late(self) -> Ints:
        """A new kernel takes over, which knows nothing of what is under way.

        Returns the currents (N,) that layer synchronization held back in the last time step: of
        these, unlike of delayed spikes, the weights were those of then.
        """
        late = np.zeros(len(self._released), np.int64)
        for spikes in self._under_way:
            spikes.left.absorb(spikes.kept)
        if self._layered:
            for wire, edges in zip(self.shared.wires, self._edges, strict=True):
                released = self._released[self._graph.slice(wire.source)]
                for connection in (self._graph.connections[edge] for edge in edges):
                    waits = np.asarray(self._graph.layered_delay(connection)) > connection.delay
                    self._deliver(connection, released & waits, late)
        return late

    def _take_left(self, now: int) -> Ints:
        """Currents (N,) of what is due of the spikes that the kernel has lost."""
        arriving = np.zeros(len(self.shared.u), np.int64)
        for spikes in self._under_way:
            due = spikes.left.take(now)
            if due.any():
                for edge in self._edges[spikes.wire]:
                    self._deliver(self._graph.connections[edge], due, arriving)
        return arriving

    def _deliver(self, connection: Connection, spikes: np.ndarray, arriving: Ints) -> None:
        shape = self._graph.source_shape(connection)
        target = self._graph.slice(connection.target)
        size = target.stop - target.start
        arriving[target] += connection.deliver(spikes.astype(np.int64), shape, size)

    def _set_out(self, spikes: _UnderWay, now: int) -> None:
        spikes.kept.take(now)  # they have arrived
        source = self._graph.slice(self.shared.wires[spikes.wire].source)
        spikes.kept.send_late(np.flatnonzero(self._released[source]), now)

    def _count_synops(self) -> int:
        counted = 0
        wired = zip(self.shared.wires, self.shared.connections, self._fan_out, strict=True)
        for wire, member, fan_out in wired:
            synops = int(fan_out[self._released[self._graph.slice(wire.source)]].sum())
            member.vars["synops"][:] = synops
            counted += wire.counted * synops
        return counted


def _parameters(values: Mapping[str, Ints]) -> Ints:
    """All that a population does not change by itself."""
    return np.concatenate([value for name, value in values.items() if name not in ("u", "v")])


def _as_input(arriving: Ints) -> Ints:
    """Currents (N,) as the input of `SharedGroup.graph`; the kernel adds in 32 bits.

    Beyond `_LARGE` a current makes every voltage saturate. What the current of the neuron wraps to
    is left the same.
    """
    size = np.abs(arriving)
    if size.max(initial=0) >= _LARGE:
        arriving = np.where(
            size < _LARGE, arriving, np.sign(arriving) * (_LARGE + size % _PERIOD)
        )
    return np.concatenate([np.maximum(arriving, 0), np.maximum(-arriving, 0)])
