"""The execution semantics, as readable NumPy: the specification in code.

One sample at a time, one forward step at a time, dense arrays, no cleverness. Every other
backend is tested against this one, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT, Connection
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async._semantics.schedule import AsyncSchedule, Schedule
from lava_async.errors import ForwardStepLimitError

Ints = npt.NDArray[np.int64]


class _Step:
    """What one time step of one sample measured."""

    def __init__(self, num_neurons: int):
        self.spikes = np.zeros(num_neurons, np.int64)
        self.forward_steps = 0
        self.synops = 0
        self.overflows = 0
        self.fired_at = np.full(num_neurons, -1)
        self.released_at = np.full(num_neurons, -1)


class _Neurons:
    """State and parameters of all neurons of one sample."""

    def __init__(self, graph: Graph):
        def spread(values: list) -> Ints:
            sizes = [p.size for p in graph.populations]
            return np.repeat(np.array(values, np.int64), sizes)

        self.i_decay = spread([p.i_decay for p in graph.populations])
        self.v_decay = spread([p.v_decay for p in graph.populations])
        self.threshold = spread([p.threshold for p in graph.populations]) << dyn.STATE_SHIFT
        self.bias = (
            np.concatenate(
                [np.zeros(p.size, np.int64) if p.bias is None else p.bias.reshape(-1)
                 for p in graph.populations]
            )
            << dyn.STATE_SHIFT
        )
        self.u = np.zeros(graph.num_neurons, np.int64)
        self.v = np.zeros(graph.num_neurons, np.int64)

    def boundary(self, step: _Step, here: slice = slice(None)) -> npt.NDArray[np.bool_]:
        """A time step begins: decay, add the residual. Returns who is touched by it."""
        self.u[here] = dyn.decay(self.u[here], self.i_decay[here])
        residual = self.u[here] + self.bias[here]
        v = dyn.decay(self.v[here], self.v_decay[here]) + residual
        self.v[here] = dyn.clip_voltage(v)
        step.overflows += int(np.count_nonzero(self.v[here] != v))
        return residual != 0

    def integrate(
        self,
        current: Ints,
        refractory: npt.NDArray[np.bool_],
        step: _Step,
        here: slice = slice(None),
    ) -> npt.NDArray[np.bool_]:
        """Add a current to the state. Returns who is touched by it."""
        u = self.u[here] + current
        self.u[here] = dyn.wrap_current(u)
        v = np.where(refractory, 0, self.v[here] + current)
        self.v[here] = dyn.clip_voltage(v)
        step.overflows += int(np.count_nonzero(self.u[here] != u))
        step.overflows += int(np.count_nonzero(self.v[here] != v))
        return current != 0


class _Wiring:
    """The connections of a graph with their fan-out."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.fan_out = {c: c.fan_out(graph.source_shape(c)) for c in graph.connections}

    def deliver(self, connection: Connection, spikes: Ints, step: _Step) -> Ints:
        """Current (target size,) of spikes (source size,) through one connection."""
        step.synops += int(self.fan_out[connection] @ spikes)
        shape = self.graph.source_shape(connection)
        size = self.graph.populations[connection.target].size
        return connection.deliver(spikes, shape, size) << dyn.STATE_SHIFT

    def deliver_input(self, frame: Ints, step: _Step) -> Ints:
        """Current (N,) of a whole input frame."""
        current = np.zeros(self.graph.num_neurons, np.int64)
        for c in self.graph.connections:
            if c.source == INPUT:
                current[self.graph.slice(c.target)] += self.deliver(c, frame, step)
        return current

    def deliver_released(self, released: Ints, step: _Step) -> Ints:
        """Current (N,) of released spikes (N,)."""
        current = np.zeros(self.graph.num_neurons, np.int64)
        for c in self.graph.connections:
            if c.source != INPUT:
                spikes = released[self.graph.slice(c.source)]
                current[self.graph.slice(c.target)] += self.deliver(c, spikes, step)
        return current


@dataclass(frozen=True)
class _Sample:
    """Names the draws of one sample."""

    index: int
    dropout: Dropout | None

    def lost(self, time_step: int, forward_step: int, fired: Ints) -> npt.NDArray[np.bool_]:
        if self.dropout is None:
            return np.zeros(len(fired), bool)
        return self.dropout.spike_lost(self.index, time_step, forward_step, fired)

    def awake(self, time_step: int, forward_step: int, fired: Ints) -> npt.NDArray[np.bool_]:
        if self.dropout is None:
            return np.zeros(len(fired), bool)
        return self.dropout.stays_awake(self.index, time_step, forward_step, fired)

    def frame(self, time_step: int, frame: Ints) -> Ints:
        if self.dropout is None:
            return frame
        return frame * ~self.dropout.input_lost(self.index, time_step, np.arange(len(frame)))


def _async_time_step(
    wiring: _Wiring,
    neurons: _Neurons,
    schedule: AsyncSchedule,
    sample: _Sample,
    time_step: int,
    frame: Ints,
    stop_after: int | None,
    max_forward_steps: int | None,
) -> _Step:
    graph = wiring.graph
    output = graph.slice(graph.output)
    step = _Step(graph.num_neurons)
    pending = np.zeros(graph.num_neurons, np.int64)  # the pool: waiting spikes per neuron
    momentum = np.zeros(graph.num_neurons, np.int64)
    refractory = np.zeros(graph.num_neurons, bool)
    decided_at: int | None = None

    touched = neurons.boundary(step)
    current = wiring.deliver_input(sample.frame(time_step, frame), step)
    while True:
        touched |= neurons.integrate(current, refractory, step)

        k = step.forward_steps
        fired = np.flatnonzero(touched & ~refractory & (neurons.v > neurons.threshold))
        kept = fired[~sample.lost(time_step, k, fired)]
        pending[kept] += 1
        momentum[kept] = neurons.v[kept]
        neurons.v[fired] = 0
        refractory[fired] = ~sample.awake(time_step, k, fired)
        step.spikes[kept] += 1
        step.fired_at[kept] = k

        if decided_at is None and step.spikes[output].any():
            decided_at = k
        pool = np.flatnonzero(pending)
        if len(pool) == 0:
            return step
        if stop_after is not None and decided_at is not None and k - decided_at >= stop_after:
            return step
        if max_forward_steps is not None and k >= max_forward_steps:
            raise ForwardStepLimitError(
                f"sample {sample.index}, time step {time_step}", "forward steps",
                f"rest within {max_forward_steps}", f"{len(pool)} spikes still waiting",
            )

        chosen = pool[
            schedule.select(
                pool, momentum[pool], neurons.threshold[pool], sample.index, time_step, k
            )
        ]
        released = np.zeros(graph.num_neurons, np.int64)
        released[chosen] = pending[chosen]
        pending[chosen] = 0
        step.released_at[chosen] = k
        step.forward_steps += 1
        current = wiring.deliver_released(released, step)
        touched[:] = False


def _layer_time_step(
    wiring: _Wiring,
    neurons: _Neurons,
    schedule: Schedule,
    sample: _Sample,
    time_step: int,
    frame: Ints,
    late: Ints,
) -> _Step:
    """One layer-synchronized time step.

    late : (N,) current of spikes over recurrent edges. Holds those of the time step before
        on entry and those for the next one on return.
    """
    graph = wiring.graph
    step = _Step(graph.num_neurons)
    place = {p: i for i, p in enumerate(graph.order)}
    current = late + wiring.deliver_input(sample.frame(time_step, frame), step)
    late[:] = 0
    for p in graph.order:
        here = graph.slice(p)
        neurons.boundary(step, here)
        awake = np.zeros(graph.populations[p].size, bool)
        neurons.integrate(current[here], awake, step, here)
        fired = np.flatnonzero(neurons.v[here] > neurons.threshold[here]) + here.start
        kept = fired[~sample.lost(time_step, 0, fired)]
        neurons.v[fired] = 0
        step.spikes[kept] = 1
        step.fired_at[kept] = step.forward_steps
        step.forward_steps += -(-len(kept) // schedule.group_size)
        for c in graph.connections:
            if c.source == p:
                arriving = current if place[c.target] > place[p] else late
                arriving[graph.slice(c.target)] += wiring.deliver(c, step.spikes[here], step)
    return step


def run(
    graph: Graph,
    x: npt.NDArray[np.integer],
    schedule: Schedule,
    stop_after: int | None = None,
    sample_ids: npt.NDArray[np.integer] | None = None,
    trace: bool = False,
    *,
    dropout: Dropout | None = None,
    max_forward_steps: int | None = None,
) -> Record:
    """Run a batch. Arguments are those of `simulate`, already validated.

    x : (B, *input_shape, T).

    Raises
    ------
    ForwardStepLimitError
        A time step needs more than ``max_forward_steps``.
    """
    batch, num_steps = x.shape[0], x.shape[-1]
    frames = x.reshape(batch, -1, num_steps).astype(np.int64)
    ids = range(batch) if sample_ids is None else [int(i) for i in sample_ids]
    wiring = _Wiring(graph)
    steps: list[list[_Step]] = []
    for b, index in enumerate(ids):
        neurons, sample = _Neurons(graph), _Sample(index, dropout)
        late = np.zeros(graph.num_neurons, np.int64)
        steps.append([])
        for t in range(num_steps):
            frame = frames[b, :, t]
            if isinstance(schedule, AsyncSchedule):
                step = _async_time_step(
                    wiring, neurons, schedule, sample, t, frame, stop_after, max_forward_steps
                )
            else:
                step = _layer_time_step(wiring, neurons, schedule, sample, t, frame, late)
            steps[-1].append(step)

    def collect(field: str, dtype: type) -> npt.NDArray:
        """(B, T) of numbers, (B, N, T) of arrays."""
        values = [[getattr(step, field) for step in sample] for sample in steps]
        return np.moveaxis(np.array(values, dtype), 1, -1)

    spikes, fired_at = collect("spikes", np.int8), collect("fired_at", np.int32)
    output = graph.slice(graph.output)
    shape = (batch, *graph.out_shape, num_steps)
    asynchronous = isinstance(schedule, AsyncSchedule)
    return Record(
        spikes=spikes[:, output].reshape(shape),
        all_spikes=spikes,
        forward_steps=collect("forward_steps", np.int64),
        synops=collect("synops", np.int64),
        output_steps=fired_at[:, output].reshape(shape),
        overflows=collect("overflows", np.int64),
        fired_at=fired_at if trace else None,
        released_at=collect("released_at", np.int32) if trace and asynchronous else None,
    )
