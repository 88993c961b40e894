"""Process models of `Network`: the compiled kernel in one process, and the process graph."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from scipy.sparse import coo_matrix

from lava_async._dynamics import STATE_LIMIT
from lava_async._graph import INPUT, Connection, Conv, Dense, Graph, OneToOne
from lava_async._kernel import Stepper
from lava_async.errors import ExecutionError, UnsupportedError, expected
from lava_async.netx.process import Network
from lava_async.proc import AsyncConv, AsyncDense, AsyncLIF, AsyncSparse, SpikeScheduler
from lava_async.proc.conv.process import to_lava


class AbstractPyNetworkModel(PyLoihiProcessModel):
    """Common part: the integers inside, and so the spikes, do not depend on the tag.

    Update of one time step, see ``semantics``: ``u[t] = decay(u[t-1], iDecay) + I[t]``,
    ``v[t] = decay(v[t-1], vDecay) + u[t] + bias``, evaluated anew in each forward step.

    Bit widths: ``u`` and ``v`` signed 24, weights signed 9 and thresholds 17 (both aligned 6
    bits up), decays unsigned 12, bias signed 13. The counts are 64-bit; Lava's messages
    carry them exactly below 2**53.
    """

    inp: Any = None
    out: Any = None
    trace: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    u: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)
    spike_count: np.ndarray = LavaPyType(np.ndarray, np.int64)
    forward_steps: np.ndarray = LavaPyType(np.ndarray, np.int64)
    synops: np.ndarray = LavaPyType(np.ndarray, np.int64)
    overflows: np.ndarray = LavaPyType(np.ndarray, np.int64)
    total_forward_steps: np.ndarray = LavaPyType(np.ndarray, np.int64)
    total_synops: np.ndarray = LavaPyType(np.ndarray, np.int64)
    total_overflows: np.ndarray = LavaPyType(np.ndarray, np.int64)
    reset: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        graph: Graph = proc_params["graph"]
        self._out_shape = graph.out_shape
        self._output = graph.slice(graph.output)
        self._max_input = graph.max_input
        self._reset_interval: int | None = proc_params["reset_interval"]
        self._reset_offset: int = proc_params["reset_offset"]
        self._sample_ids: tuple[int, ...] | None = proc_params["sample_ids"]
        # Without an interval the first sample has begun; with one, the first reset begins it.
        self._samples_begun = 1 if self._reset_interval is None else 0
        self._stepper: Stepper = proc_params["stepper"]
        self._stepper.reset(self._sample_id(0))

    def start(self) -> None:
        # The Vars are the kernel's own arrays, so that get() and set() need no copies.
        self.u, self.v = self._stepper.current, self._stepper.voltage
        super().start()

    def run_spk(self) -> None:
        """Run one time step: reset if due, deliver the frame, release until none waits."""
        if self.u is not self._stepper.current or self.v is not self._stepper.voltage:
            self.on_var_update()  # a RefPort replaces the array and says nothing
        if self._reset_is_due():
            self._stepper.reset(self._sample_id(self._samples_begun))
            self._samples_begun += 1
            self.reset[:] = 0
        # Ports are in (W, H, C) order, neurons in C order of (C, H, W).
        frame = self.inp.recv().T.reshape(-1)
        self._check_frame(frame)
        step = self._stepper.step(frame)

        self.spike_count += step.spikes
        self.forward_steps[:] = step.forward_steps
        self.synops[:] = step.synops
        self.overflows[:] = step.overflows
        self.total_forward_steps += step.forward_steps
        self.total_synops += step.synops
        self.total_overflows += step.overflows

        if self.trace.csp_ports:
            numbers = (step.forward_steps, step.synops, step.overflows)
            self.trace.send(np.concatenate([numbers, step.fired_at, step.released_at]))
        self.out.send(step.spikes[self._output].reshape(self._out_shape).T)

    def _sample_id(self, index: int) -> int:
        ids = self._sample_ids
        return index if ids is None else ids[index % len(ids)]

    def _reset_is_due(self) -> bool:
        interval = self._reset_interval
        if interval is not None and (self.time_step - 1) % interval == self._reset_offset:
            return True
        return bool(self.reset[0])

    def on_var_update(self) -> None:
        """Take over what set() or a RefPort wrote into the state."""
        for name, state in self._state().items():
            written = getattr(self, name)
            if written is not state:
                state[:] = written
                setattr(self, name, state)
            if np.abs(state).max() > STATE_LIMIT:
                raise ExecutionError(
                    expected(f"Network.{name}", "value", "a 24-bit integer",
                             state[np.abs(state).argmax()])
                )

    def _state(self) -> dict[str, npt.NDArray[np.int64]]:
        return {"u": self._stepper.current, "v": self._stepper.voltage}

    def _check_frame(self, frame: npt.NDArray[Any]) -> None:
        raise NotImplementedError

    def _refuse(self, frame: npt.NDArray[Any]) -> None:
        with np.errstate(invalid="ignore"):
            good = (frame >= 0) & (frame <= self._max_input) & (frame == np.floor(frame))
        index = int(np.flatnonzero(~good)[0])
        raise ExecutionError(
            expected(
                "Network.inp", f"time step {self.time_step}, value at flat index {index}",
                f"a whole number in 0..{self._max_input}", frame[index],
            )
        )


@implements(proc=Network, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyNetworkModelFloat(AbstractPyNetworkModel):
    """Floating-point ports for floating-point neighbours."""

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def _check_frame(self, frame: npt.NDArray[np.float64]) -> None:
        fits = frame.min() >= 0 and frame.max() <= self._max_input
        if not fits or (frame != np.floor(frame)).any():
            self._refuse(frame)


@implements(proc=Network, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyNetworkModelFixed(AbstractPyNetworkModel):
    """Integer ports, bit-accurate as everything inside."""

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def _check_frame(self, frame: npt.NDArray[np.int32]) -> None:
        if frame.min() < 0 or frame.max() > self._max_input:
            self._refuse(frame)


@implements(proc=Network, protocol=LoihiProtocol)
class NetworkGraphModel(AbstractSubProcessModel):
    """The network as a graph of processes: populations, connections and one scheduler.

    The only SubProcessModel: Lava cannot choose among several by tag.
    """

    def __init__(self, proc: Network) -> None:
        graph = proc.graph
        populations = [
            AsyncLIF(
                shape=p.shape[::-1], du=p.i_decay, dv=p.v_decay, vth=p.threshold,
                bias_mant=0 if p.bias is None else p.bias.T, name=p.name,
            )
            for p in graph.populations
        ]  # fmt: skip
        self.scheduler = SpikeScheduler(
            populations,
            proc.schedule,
            output=populations[graph.output],
            **{
                name: proc.proc_params[name]
                for name in ("stop_after", "reset_interval", "reset_offset", "sample_ids")
            },
            name="scheduler",
        )
        for i, population in enumerate(populations):
            setattr(self, f"population_{i}", population)
        for i, c in enumerate(graph.connections):
            source = "input" if c.source == INPUT else populations[c.source].name
            target = populations[c.target]
            name = f"{source} -> {target.name}"
            shape = proc.inp.shape if c.source == INPUT else graph.source_shape(c)[::-1]
            connection = _connection_process(c, shape, target.a_in.shape, name)
            setattr(self, f"connection_{i}", connection)
            if c.source == INPUT:
                proc.inp.connect(connection.s_in)
                connection.a_out.connect(target.a_in)
            else:
                populations[c.source].release_out.connect(connection.release_in)
                connection.forward_out.connect(target.forward_in)
            connection.synops_out.connect(self.scheduler.synops_in)
        populations[graph.output].s_out.connect(proc.out)
        self.scheduler.trace.connect(proc.trace)
        self._alias(proc, populations)

    def _alias(self, proc: Network, populations: list[AsyncLIF]) -> None:
        for name in (
            "spike_count", "forward_steps", "synops", "overflows", "total_forward_steps",
            "total_synops", "total_overflows", "reset",
        ):  # fmt: skip
            getattr(proc, name).alias(getattr(self.scheduler, name))
        for var in (proc.u, proc.v):
            parts = [getattr(p, var.name) for p in populations]
            if len(parts) == 1:
                var.alias(parts[0])
            elif any(port.var is var for port in proc.var_ports):
                raise UnsupportedError(
                    expected("Network", f"RefPort or Monitor on {var.name}",
                             "none in a process graph of several populations", proc.name)
                )
            else:
                var.parts = parts


def _connection_process(
    c: Connection, input_shape: tuple[int, ...], output_shape: tuple[int, ...], name: str
) -> AsyncDense | AsyncSparse | AsyncConv:
    """The process of one connection; shapes are (W, H, C) or (n,)."""
    if isinstance(c, Conv):
        return AsyncConv(
            weight=to_lava(c.weight), input_shape=input_shape, name=name,
            padding=c.padding[::-1], stride=c.stride[::-1], dilation=c.dilation[::-1],
            groups=c.groups,
        )  # fmt: skip
    if isinstance(c, Dense):
        return AsyncDense(
            weights=c.weight, input_shape=input_shape, output_shape=output_shape, name=name
        )
    if isinstance(c, OneToOne):
        size = int(np.prod(output_shape))
        entries = np.full(size, c.weight), (np.arange(size), np.arange(size))
        return AsyncSparse(
            weights=coo_matrix(entries, (size, size)), input_shape=input_shape,
            output_shape=output_shape, name=name,
        )  # fmt: skip
    raise TypeError(type(c))
