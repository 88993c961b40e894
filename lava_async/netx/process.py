"""The Lava process of a network file: the counterpart of ``lava.lib.dl.netx.hdf5.Network``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import AbstractPort

from lava_async._files.hdf5 import load
from lava_async._kernel import Stepper
from lava_async._semantics.connections import INPUT
from lava_async._semantics.graph import Graph, check_early_decision
from lava_async._semantics.schedule import Momentum, Schedule
from lava_async.netx.kinds import kind_of
from lava_async.proc._ports import InPort, OutPort, check_frames
from lava_async.proc._scheduled import ScheduledProcess
from lava_async.proc._vars import CURRENT, VOLTAGE, CheckedVar, Range

_HEADER = "|   Type   |  W  |  H  |  C  | ker | str | pad | dil | grp |delay|"


class StateVar(CheckedVar):
    """A Var over all neurons. In a process graph every population holds its part of it."""

    parts: Sequence[CheckedVar] = ()

    def _read(self) -> npt.NDArray[Any]:
        if not self.parts:
            return super()._read()
        return np.concatenate([part.get() for part in self.parts])

    def _write(self, value: npt.NDArray[Any]) -> None:
        if not self.parts:
            super()._write(value)
            return
        cuts = np.cumsum([part.size for part in self.parts])
        for part, piece in zip(self.parts, np.split(value, cuts[:-1]), strict=True):
            part.set(piece)


class Network(ScheduledProcess):
    """A network that runs asynchronously, neuron by neuron, inside each Lava time step.

    One Lava time step is one time step of the network: the input frame that arrives is
    delivered, forward steps release spikes in the order of the schedule until none waits,
    and ``out`` carries the output spikes of this same time step. There is no delay but those
    that connections and the output of the graph have, unlike in ``lava.lib.dl.netx``, so that
    `reset_interval` resets the whole network at once, spikes under way included.

    Lava's run configuration chooses how: a compiled kernel in one process, or with
    ``Loihi2SimCfg(select_tag="fixed_pt", select_sub_proc_model=True)`` the graph of the
    processes in `lava_async.proc`, which exchange messages, with the same results.

    Ports have netx's shapes: (W, H, C) or (n,); the input of a network whose first layer is
    dense is flat, in C order of (C, H, W).

    Parameters
    ----------
    net_config : path or Graph
        Network file in SLAYER's (netx's) layout, or a network already loaded.
    input_shape : tuple of int, optional
        (W, H, C) or (n,), where the file does not say, as in netx.
    schedule : Schedule, optional
        What the file records, else ``Momentum(8)``. An `AsyncSchedule` of your own runs in the
        process graph; the compiled kernel refuses it when Lava compiles the program.
    stop_after : int, optional
        Early decision: forward steps that still run after the first output spike of a time
        step. Asynchronous schedules and outputs that can fire only.
    reset_interval : int, optional
        Time steps per sample: state is zeroed, and the next sample begins, before time step
        t (from 1) wherever ``(t - 1) % reset_interval == reset_offset % reset_interval``.
        None: never.
    reset_offset : int
        Phase of the resets; what runs before the first reset belongs to the first sample. After
        a ``SpikeDataloader`` its ``offset + 1``: see `lava_async.netx`.
    sample_ids : sequence of int, optional
        Index of each sample in its data set or stream, the key of its random draws, used
        again from the start when all are; 0, 1, 2, … by default.
    name : str, optional

    Attributes
    ----------
    inp : InPort
        Spike counts, whole numbers >= 0.
    out : OutPort
        Output spikes, 0 or 1, as late as `Graph.output_delay` says. (All else is of the firing.)
    u, v : StateVar, (N,)
        Current and voltage, signed 24-bit integers in membrane units. (In a process graph of
        several populations they can be read and set, but not probed or reached by a RefPort.)
    v_out : StateVar, (outputs,)
        That part of `v` which is of the output population, in C order: what a network whose output
        never fires is read out as, at the end of a time step. It can be probed by a Monitor and
        reached by a RefPort, in a process graph, too; a change of it is a change of `v`.
    trace, spike_count, forward_steps, synops, overflows, total_forward_steps, total_synops,
    total_overflows, reset
        See `ScheduledProcess`.
    graph : Graph
    schedule : Schedule

    Raises
    ------
    ValidationError
        Any argument is outside what is described here. (Input values are checked as they
        arrive: the process model raises `ExecutionError`.)
    """

    RANGES: Mapping[str, Range] = {"u": CURRENT, "v": VOLTAGE, "v_out": VOLTAGE}

    def __init__(
        self,
        net_config: str | os.PathLike[str] | Graph,
        *,
        input_shape: Sequence[int] | None = None,
        schedule: Schedule | None = None,
        stop_after: int | None = None,
        reset_interval: int | None = None,
        reset_offset: int = 0,
        sample_ids: Sequence[int] | None = None,
        name: str | None = None,
    ) -> None:
        if isinstance(net_config, Graph):
            graph = net_config
        else:
            graph = load(net_config, None if input_shape is None else tuple(input_shape)[::-1])
        check_early_decision(type(self).__name__, stop_after, graph.output_can_fire)
        super().__init__(
            graph.num_neurons,
            graph.schedule or Momentum() if schedule is None else schedule,
            stop_after=stop_after,
            reset_interval=reset_interval,
            reset_offset=reset_offset,
            sample_ids=sample_ids,
            graph=graph,
            name=name,
        )
        self.graph = graph
        self.inp = InPort(shape=_input_port_shape(graph))
        self.out = OutPort(shape=graph.out_shape[::-1])
        self.u = StateVar((graph.num_neurons,), 0, self.RANGES["u"])
        self.v = StateVar((graph.num_neurons,), 0, self.RANGES["v"])
        self.v_out = StateVar((self.out.size,), 0, self.RANGES["v_out"])

    def wiring(self) -> dict[str, Any]:
        # Only the fused model gets here: the process graph runs what compiled code refuses.
        check_frames(self.inp)
        stepper = Stepper(self.graph, self.schedule, self._arguments["stop_after"])
        # Compiled code is loaded once, now: the processes that Lava forks inherit it.
        stepper.step(np.zeros(int(np.prod(self.graph.input_shape)), np.int32))
        return {"stepper": stepper}

    def awaited(self) -> Mapping[Any, Sequence[AbstractPort]]:
        return {self.out: [self.inp], self.trace: [self.inp]}

    def __str__(self) -> str:
        """The layer table, as netx prints it."""
        rows = [_table_row(self.graph, p) for p in range(len(self))]
        return "\n".join([_HEADER, *rows])

    def __len__(self) -> int:
        """Number of layers with neurons."""
        return len(self.graph.populations)


def _input_port_shape(graph: Graph) -> tuple[int, ...]:
    """netx's: its input port is that of the first layer, and dense layers are flat."""
    if all(kind_of(c).flat for c in graph.connections if c.source == INPUT):
        return (int(np.prod(graph.input_shape)),)
    return graph.input_shape[::-1]


def _table_row(graph: Graph, population: int) -> str:
    """One row: the population's shape and the first connection into it."""
    channels, height, width = (*graph.populations[population].shape, 1, 1)[:3]
    label, cells = "", [""] * 5
    first = next((c for c in graph.connections if c.target == population), None)
    if first is not None:
        label, cells = kind_of(first).label(), kind_of(first).settings()
    settings = "".join(f"{cell:5s}|" for cell in cells)
    delayed = _is_delayed(graph, population)
    return f"|{label:10s}|{width:5d}|{height:5d}|{channels:5d}|{settings}{delayed!s:5s}|"


def _is_delayed(graph: Graph, population: int) -> bool:
    """Whether its spikes are delayed, or those of the input on their way to it."""
    leaving = [c for c in graph.connections if c.source == population]
    entering = [c for c in graph.connections if (c.source, c.target) == (INPUT, population)]
    late_output = population == graph.output and bool(np.any(graph.output_delay))
    return late_output or any(c.max_delay > 0 for c in (*leaving, *entering))
