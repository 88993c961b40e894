"""One time step at a time, for whoever owns the clock: Lava's process models, the tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lava_async._kernel._entry import run_step
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


class StepResult(NamedTuple):
    """What one time step measured; N neurons."""

    spikes: npt.NDArray[np.int8]  # (N,)
    fired_at: npt.NDArray[np.int32]  # (N,) forward steps run when it fired, -1: did not
    released_at: npt.NDArray[np.int32]  # (N,) forward step that released it, -1: none did
    forward_steps: int
    synops: int
    overflows: int
    first_output: int  # fired_at of the first output spike, -1: none


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
        The state, in membrane units; may be written between steps.

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
        self.reset()

    @property
    def current(self) -> npt.NDArray[np.int32]:
        return self._state.u[: self._num_neurons]

    @property
    def voltage(self) -> npt.NDArray[np.int32]:
        return self._state.v[: self._num_neurons]

    def reset(self, sample: int = 0) -> None:
        """Zero the state; a sample with this index begins."""
        for state in (self._state.u, self._state.v, self._state.current):
            state[:] = 0
        self._sample, self._time_step = sample, 0
        self._net, self._plan = self._parts[int(self._schedule.draw([sample])[0])]

    def step(self, frame: npt.NDArray[np.integer]) -> StepResult:
        """Run one time step on an input frame (n_inputs,) of whole numbers >= 0."""
        s = self._state
        index = np.flatnonzero(frame).astype(np.uint32)
        times = frame[index].astype(np.int32)
        run_step(self._net, self._plan, s, index, times, self._sample, self._time_step)
        self._time_step += 1
        fired_at = self._list(s.fired, s.fired_at, FIRED)
        return StepResult(
            (fired_at >= 0).astype(np.int8),
            fired_at,
            self._list(s.released, s.released_at, RELEASED),
            int(s.number[FORWARD_STEPS]),
            int(s.number[SYNOPS]),
            int(s.number[OVERFLOWS]),
            int(s.number[FIRST_OUTPUT]),
        )

    def _list(
        self, neurons: npt.NDArray[np.uint32], times: npt.NDArray[np.int32], count: int
    ) -> npt.NDArray[np.int32]:
        """When it happened to each neuron (N,), -1: it did not."""
        result = np.full(self._num_neurons, -1, np.int32)
        length = self._state.count[count]
        result[neurons[:length]] = times[:length]
        return result
