"""One time step at a time, for whoever owns the clock: Lava's process models, the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lava_async._kernel._entry import clear_state, run_step
from lava_async._kernel._layout import (
    FIRED,
    FIRST_OUTPUT,
    FORWARD_STEPS,
    OVERFLOWS,
    RELEASED,
    SYNOPS,
    new_state,
)
from lava_async._kernel._lowering import check_schedule, compile_graph, compile_schedule
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import AsyncSchedule, LayerSync, Schedule


class Times(NamedTuple):
    """When something happened, to those K of N neurons to which it did."""

    neuron: npt.NDArray[np.uint32]  # (K,)
    forward_step: npt.NDArray[np.int32]  # (K,)

    def dense(self, num_neurons: int) -> npt.NDArray[np.int32]:
        """(N,), -1 where it did not happen."""
        result = np.full(num_neurons, -1, np.int32)
        result[self.neuron] = self.forward_step
        return result


@dataclass(frozen=True)
class StepResult:
    """What one time step measured; N neurons.

    Attributes
    ----------
    num_neurons : int
        N.
    fired : Times
        Forward steps that had run when a neuron fired.
    released : Times
        Forward step that released its spike.
    forward_steps, synops, overflows : int
    first_output : int
        When the first output neuron fired, -1: none did.
    """

    num_neurons: int
    fired: Times
    released: Times
    forward_steps: int
    synops: int
    overflows: int
    first_output: int

    @property
    def fired_at(self) -> npt.NDArray[np.int32]:
        """(N,), -1: did not fire."""
        return self.fired.dense(self.num_neurons)

    @property
    def released_at(self) -> npt.NDArray[np.int32]:
        """(N,), -1: was not released."""
        return self.released.dense(self.num_neurons)

    @property
    def spikes(self) -> npt.NDArray[np.int8]:
        """(N,)."""
        return (self.fired_at >= 0).astype(np.int8)


def _kinds(schedule: Schedule) -> dict[bool, LayerSync | AsyncSchedule]:
    """One part for each kind of network that a schedule needs: layer-synchronized or not."""
    return {part.layered: part for part in schedule.parts}


class Stepper:
    """One sample after the other, one time step at a time, on one thread.

    Parameters
    ----------
    graph : Graph
    schedule : Schedule
        Of a mixture, each sample runs with the part that its index draws.
    stop_after : int, optional
        As in `simulate`.

    Attributes
    ----------
    current, voltage : (N,) int32
        The state, in membrane units. It may be written between steps, and whoever does so calls
        `wake` then.

    Raises
    ------
    UnsupportedError
        The schedule is a user's own.
    """

    def __init__(self, graph: Graph, schedule: Schedule, stop_after: int | None = None):
        check_schedule(schedule)
        self._schedule = schedule
        nets = {layered: compile_graph(graph, part) for layered, part in _kinds(schedule).items()}
        self._parts = []
        for part in schedule.parts:
            net = nets[part.layered]
            self._parts.append((net, compile_schedule(net, part, stop_after)))
        self._state, self._num_neurons = new_state(graph), graph.num_neurons
        self.current = self._state.u[: self._num_neurons]
        self.voltage = self._state.v[: self._num_neurons]
        self.reset()

    def wake(self) -> None:
        """The state was written: neurons may be live that were not."""
        self._state.full[:] = 1

    def reset(self, sample: int = 0) -> None:
        """Zero the state; a sample with this index begins."""
        self._sample, self._time_step = sample, 0
        self._net, self._plan = self._parts[int(self._schedule.draw([sample])[0])]
        clear_state(self._net, self._state)

    def step(self, frame: npt.NDArray[np.integer]) -> StepResult:
        """Run one time step on an input frame (n_inputs,) of whole numbers >= 0."""
        s = self._state
        index = np.flatnonzero(frame).astype(np.uint32)
        times = frame[index].astype(np.int32)
        run_step(self._net, self._plan, s, index, times, self._sample, self._time_step)
        self._time_step += 1
        fired, released = s.count[FIRED], s.count[RELEASED]
        return StepResult(
            self._num_neurons,
            Times(s.fired[:fired].copy(), s.fired_at[:fired].copy()),
            Times(s.released[:released].copy(), s.released_at[:released].copy()),
            int(s.number[FORWARD_STEPS]),
            int(s.number[SYNOPS]),
            int(s.number[OVERFLOWS]),
            int(s.number[FIRST_OUTPUT]),
        )
