"""The execution semantics, as readable NumPy: the specification in code.

One sample at a time, one forward step at a time, dense arrays, no cleverness. Every other
backend is tested against this one, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.graph import Graph
from lava_async._semantics.kept import Kept
from lava_async._semantics.record import Record
from lava_async._semantics.schedule import AsyncSchedule, LayerSync
from lava_async._semantics.tape import Tape
from lava_async.errors import ForwardStepLimitError, UnsupportedError

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
        # Of every spike, also of those that dropout takes.
        self.reset_at = np.full(num_neurons, -1)
        self.voltage = np.zeros(num_neurons, np.int64)  # before the reset
        self.current = np.zeros(num_neurons, np.int64)  # at the end

    def reset(self, fired: Ints, v: Ints) -> None:
        """Neurons fire and forget their voltages (N,)."""
        self.voltage[fired] = v[fired]
        self.reset_at[fired] = self.forward_steps
        v[fired] = 0

    @property
    def lost(self) -> npt.NDArray[np.bool_]:
        """(N,) whose spike dropout took."""
        return (self.reset_at >= 0) & (self.spikes == 0)


class _Neurons:
    """State and parameters of all neurons of one sample."""

    def __init__(self, graph: Graph, current: npt.NDArray, voltage: npt.NDArray):
        populations = graph.populations
        self.i_decay = np.concatenate([p.each(p.i_decay) for p in populations])
        self.v_decay = np.concatenate([p.each(p.v_decay) for p in populations])
        thresholds = np.concatenate([p.each(p.threshold) for p in populations])
        self.threshold = thresholds << dyn.STATE_SHIFT
        self.bias = (
            np.concatenate(
                [np.zeros(p.size, np.int64) if p.bias is None else p.bias.reshape(-1)
                 for p in populations]
            )
            << dyn.STATE_SHIFT
        )
        self.u = current.astype(np.int64)
        self.v = voltage.astype(np.int64)

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


class _Late:
    """Currents of one sample that arrive in later time steps."""

    def __init__(self, graph: Graph, under_way: npt.NDArray, time_step: int):
        """``under_way`` (D, N) arrives at this time step and those that follow, weight units."""
        ahead = max(graph.max_delay, len(under_way), 1)
        self._rows = np.zeros((ahead, graph.num_neurons), np.int64)
        for i, arriving in enumerate(under_way):
            self.at(time_step + i)[:] = arriving.astype(np.int64) << dyn.STATE_SHIFT

    def at(self, time_step: int) -> Ints:
        """(N,) what arrives then, to be added to; at most `Graph.max_delay` ahead."""
        return self._rows[time_step % len(self._rows)]

    def take(self, time_step: int) -> Ints:
        """(N,) what arrives now; its place is free for a later time step."""
        arriving = self.at(time_step).copy()
        self.at(time_step)[:] = 0
        return arriving

    def under_way(self, time_step: int) -> Ints:
        """(D, N) what arrives at this time step and those that follow, weight units."""
        ahead = range(time_step, time_step + len(self._rows))
        return np.array([self.at(t) for t in ahead]) >> dyn.STATE_SHIFT


class _Wiring:
    """The connections of a graph with their fan-out, and their delays under a schedule."""

    def __init__(self, graph: Graph, layered: bool):
        self.graph = graph
        self.fan_out = [c.fan_out(graph.source_shape(c)) for c in graph.connections]
        self.delay = [
            np.broadcast_to(graph.layered_delay(c) if layered else c.delay, fan_out.shape)
            for c, fan_out in zip(graph.connections, self.fan_out, strict=True)
        ]

    def send(
        self, source: int, spikes: Ints, time_step: int, current: Ints, late: _Late, step: _Step
    ) -> None:
        """Deliver spikes (source size,) of a population or the input, now or later.

        current : (N,) what arrives in this time step, is added to.
        """
        ways = zip(self.graph.connections, self.fan_out, self.delay, strict=True)
        for c, fan_out, delays in ways:
            if c.source != source:
                continue
            step.synops += int(fan_out @ spikes)
            shape, here = self.graph.source_shape(c), self.graph.slice(c.target)
            for delay in np.unique(delays).tolist():
                arriving = late.at(time_step + delay) if delay else current
                some = np.where(delays == delay, spikes, 0)
                if not some.any():  # of most sources, where few spikes are released at once
                    continue
                weighted = c.deliver(some, shape, here.stop - here.start)
                arriving[here] += weighted << dyn.STATE_SHIFT

    def send_released(
        self, released: Ints, time_step: int, late: _Late, step: _Step
    ) -> Ints:
        """Deliver released spikes (N,). Returns the current (N,) that arrives at once."""
        current = np.zeros(self.graph.num_neurons, np.int64)
        for p in range(len(self.graph.populations)):
            self.send(p, released[self.graph.slice(p)], time_step, current, late, step)
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
    late: _Late,
    stop_after: int | None,
    max_forward_steps: int | None,
) -> _Step:
    graph = wiring.graph
    output = graph.slice(graph.output)
    step = _Step(graph.num_neurons)
    pending = np.zeros(graph.num_neurons, np.int64)  # the pool: waiting spikes per neuron
    momentum = np.zeros(graph.num_neurons, np.int64)
    latest = np.zeros(graph.num_neurons, np.int64)  # forward steps run when it last fired
    refractory = np.zeros(graph.num_neurons, bool)
    decided_at: int | None = None

    touched = neurons.boundary(step)
    current = late.take(time_step)
    wiring.send(INPUT, sample.frame(time_step, frame), time_step, current, late, step)
    while True:
        touched |= neurons.integrate(current, refractory, step)

        k = step.forward_steps
        fired = np.flatnonzero(touched & ~refractory & (neurons.v > neurons.threshold))
        kept = fired[~sample.lost(time_step, k, fired)]
        pending[kept] += 1
        momentum[kept] = neurons.v[kept]
        latest[kept] = k
        step.reset(fired, neurons.v)
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
                f"rest within {max_forward_steps}", f"spikes still waiting: {len(pool)}",
            )

        chosen = pool[
            schedule.select(
                pool, momentum[pool], neurons.threshold[pool], latest[pool],
                sample.index, time_step, k,
            )
        ]
        released = np.zeros(graph.num_neurons, np.int64)
        released[chosen] = pending[chosen]
        pending[chosen] = 0
        step.released_at[chosen] = k
        step.forward_steps += 1
        current = wiring.send_released(released, time_step, late, step)
        touched[:] = False


def _layer_time_step(
    wiring: _Wiring,
    neurons: _Neurons,
    schedule: LayerSync,
    sample: _Sample,
    time_step: int,
    frame: Ints,
    late: _Late,
) -> _Step:
    """One layer-synchronized time step."""
    graph = wiring.graph
    step = _Step(graph.num_neurons)
    current = late.take(time_step)
    wiring.send(INPUT, sample.frame(time_step, frame), time_step, current, late, step)
    for p in graph.order:
        here = graph.slice(p)
        neurons.boundary(step, here)
        awake = np.zeros(graph.populations[p].size, bool)
        neurons.integrate(current[here], awake, step, here)
        fired = np.flatnonzero(neurons.v[here] > neurons.threshold[here]) + here.start
        kept = fired[~sample.lost(time_step, 0, fired)]
        step.reset(fired, neurons.v)
        step.spikes[kept] = 1
        step.fired_at[kept] = step.forward_steps
        step.released_at[kept] = 0
        step.forward_steps += -(-len(kept) // schedule.group_size)
        wiring.send(p, step.spikes[here], time_step, current, late, step)
    return step


def _steps(
    graph: Graph,
    x: npt.NDArray[np.integer],
    schedule: LayerSync | AsyncSchedule,
    stop_after: int | None,
    sample_ids: npt.NDArray[np.integer] | None,
    dropout: Dropout | None,
    max_forward_steps: int | None,
    kept: Kept | None = None,
) -> tuple[list[list[_Step]], Kept]:
    """All time steps of each sample of a batch, and where they end."""
    batch, num_steps = x.shape[0], x.shape[-1]
    begun = Kept.nothing(batch, graph.num_neurons) if kept is None else kept
    left = begun.copy(max(graph.max_delay, begun.ahead, 1))
    frames = x.reshape(batch, -1, num_steps).astype(np.int64)
    ids = range(batch) if sample_ids is None else [int(i) for i in sample_ids]
    wiring = _Wiring(graph, layered=not isinstance(schedule, AsyncSchedule))
    steps: list[list[_Step]] = []
    for b, index in enumerate(ids):
        neurons = _Neurons(graph, begun.current[b], begun.voltage[b])
        late, sample = _Late(graph, begun.late[b], begun.time_step), _Sample(index, dropout)
        steps.append([])
        for t, frame in enumerate(frames[b].T, begun.time_step):
            if isinstance(schedule, AsyncSchedule):
                step = _async_time_step(
                    wiring, neurons, schedule, sample, t, frame, late, stop_after,
                    max_forward_steps,
                )
            else:
                step = _layer_time_step(wiring, neurons, schedule, sample, t, frame, late)
            silent = step.reset_at < 0
            step.voltage[silent] = neurons.v[silent]
            step.current[:] = neurons.u
            steps[-1].append(step)
        left.current[b], left.voltage[b] = neurons.u, neurons.v
        left.late[b] = late.under_way(begun.time_step + num_steps)
    return steps, left.after(num_steps, graph.max_delay)


def _collect(steps: list[list[_Step]], field: str, dtype: type) -> npt.NDArray:
    """(B, T) of numbers, (B, T, N) of arrays."""
    return np.array([[getattr(step, field) for step in sample] for sample in steps], dtype)


def _record(graph: Graph, steps: list[list[_Step]], trace: bool, asynchronous: bool) -> Record:
    def collect(field: str, dtype: type) -> npt.NDArray:
        """(B, T) of numbers, (B, N, T) of arrays."""
        return np.moveaxis(_collect(steps, field, dtype), 1, -1)

    spikes, fired_at = collect("spikes", np.int8), collect("fired_at", np.int32)
    output = graph.slice(graph.output)
    shape = (len(spikes), *graph.out_shape, spikes.shape[-1])
    readout = None
    if not graph.output_can_fire:  # so that the voltage which decided is that of the end
        voltage = collect("voltage", np.int32)[:, output]
        readout = graph.delayed_output(voltage).reshape(shape)
    return Record(
        spikes=graph.delayed_output(spikes[:, output]).reshape(shape),
        all_spikes=spikes,
        forward_steps=collect("forward_steps", np.int64),
        synops=collect("synops", np.int64),
        output_steps=fired_at[:, output].reshape(shape),
        overflows=collect("overflows", np.int64),
        fired_at=fired_at if trace else None,
        released_at=collect("released_at", np.int32) if trace and asynchronous else None,
        readout=readout,
    )


def run(
    graph: Graph,
    x: npt.NDArray[np.integer],
    schedule: LayerSync | AsyncSchedule,
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
    steps, _ = _steps(graph, x, schedule, stop_after, sample_ids, dropout, max_forward_steps)
    return _record(graph, steps, trace, isinstance(schedule, AsyncSchedule))


def run_with_tape(
    graph: Graph,
    x: npt.NDArray[np.integer],
    schedule: LayerSync | AsyncSchedule,
    stop_after: int | None = None,
    sample_ids: npt.NDArray[np.integer] | None = None,
    *,
    dropout: Dropout | None = None,
    kept: Kept | None = None,
) -> tuple[Record, Tape]:
    """`run`, and what `decisive.backward` needs of it.

    ``kept`` is where the samples go on; without it each begins at zero. The delay of the output
    in the record begins with the batch.

    Raises
    ------
    UnsupportedError
        Refractory dropout: a neuron may then fire more than once in a time step.
    """
    if dropout is not None and dropout.refractory:
        wanted = "0: the decisive gradient knows one spike a neuron and time step"
        raise UnsupportedError("Dropout", "refractory", wanted, dropout.refractory)
    steps, left = _steps(graph, x, schedule, stop_after, sample_ids, dropout, None, kept)
    tape = Tape(
        voltage=_collect(steps, "voltage", np.int32),
        fired_at=_collect(steps, "reset_at", np.int32),
        released_at=_collect(steps, "released_at", np.int32),
        lost=_collect(steps, "lost", np.bool_),
        current=_collect(steps, "current", np.int32),
        begun=kept,
        left=left,
    )
    return _record(graph, steps, False, isinstance(schedule, AsyncSchedule)), tape
