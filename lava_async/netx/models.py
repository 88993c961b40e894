"""Process models of `Network`: the compiled kernel in one process, and the process graph."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_async._kernel import Stepper
from lava_async._semantics.connections import INPUT
from lava_async._semantics.graph import Graph
from lava_async.errors import UnsupportedError
from lava_async.netx.kinds import kind_of
from lava_async.netx.process import Network
from lava_async.proc import AsyncLIF, SpikeScheduler
from lava_async.proc._delay import DelayLine, check_delays
from lava_async.proc._frames import receive_frame
from lava_async.proc._scheduled_models import AbstractPyScheduledModel
from lava_async.proc._vars import check_vars


class AbstractPyNetworkModel(AbstractPyScheduledModel):
    """Common part: the integers inside, and so the spikes, do not depend on the tag.

    Update of one time step, see ``semantics``: ``u[t] = decay(u[t-1], iDecay) + I[t]``,
    ``v[t] = decay(v[t-1], vDecay) + u[t] + bias``, evaluated anew in each forward step.

    Bit widths: ``u`` and ``v`` signed 24, weights signed 9 and thresholds 17 (both aligned 6
    bits up), decays unsigned 12, bias signed 13.
    """

    inp: Any = None
    out: Any = None
    u: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)
    v_out: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._where: str = proc_params["where"]
        graph: Graph = proc_params["graph"]
        self._out_shape = graph.out_shape
        self._output = graph.slice(graph.output)
        self._max_input = graph.max_input
        self._stepper: Stepper = proc_params["stepper"]
        self._stepper.reset(self._first_sample)
        size = self._output.stop - self._output.start
        delays = check_delays(self._where, "output_delay", graph.output_delay, size)
        self._late_output = None if delays is None else DelayLine(delays)
        voltage = self._stepper.voltage
        self._state = {
            "u": self._stepper.current, "v": voltage, "v_out": voltage[self._output]
        }  # fmt: skip

    def start(self) -> None:
        # The Vars are the kernel's own arrays, so that get() and set() need no copies.
        for name, state in self._state.items():
            setattr(self, name, state)
        super().start()

    def run_spk(self) -> None:
        """Run one time step: reset if due, deliver the frame, release until none waits."""
        if any(getattr(self, name) is not state for name, state in self._state.items()):
            self.on_var_update()  # a RefPort replaces the array and says nothing
        sample = self._next_sample()
        if sample is not None:
            self._stepper.reset(sample)
            if self._late_output is not None:
                self._late_output.clear()
        frame = receive_frame(self.inp, f"{self._where}: inp", self.time_step, 0, self._max_input)
        step = self._stepper.step(frame)
        self.spike_count[step.fired.neuron] += 1
        self._add(step.forward_steps, step.synops, step.overflows)
        if self.trace.csp_ports:
            self._tell(step.fired_at, step.released_at)
        spikes = np.zeros(self._output.stop - self._output.start, np.int8)
        fired = step.fired.neuron.astype(np.int64) - self._output.start
        spikes[fired[(fired >= 0) & (fired < len(spikes))]] = 1
        if self._late_output is not None:
            spikes = self._late_output.exchange(spikes, self.time_step)
        self.out.send(spikes.reshape(self._out_shape).T)

    def on_var_update(self) -> None:
        """Take over what set() or a RefPort wrote into the state."""
        written = check_vars(self, self._where, Network.RANGES)
        for name, state in self._state.items():
            if getattr(self, name) is not state:  # else it was written in place
                state[:] = written[name]
                setattr(self, name, state)
        self._stepper.wake()


@implements(proc=Network, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyNetworkModelFloat(AbstractPyNetworkModel):
    """Floating-point ports for floating-point neighbours."""

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=Network, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyNetworkModelFixed(AbstractPyNetworkModel):
    """Integer ports, bit-accurate as everything inside."""

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


@implements(proc=Network, protocol=LoihiProtocol)
class NetworkGraphModel(AbstractSubProcessModel):
    """The network as a graph of processes: populations, connections and one scheduler.

    These exchange messages: who wants it compiled takes the other model.

    The only SubProcessModel: Lava cannot choose among several by tag.
    """

    COMPILED = False

    def __init__(self, proc: Network) -> None:
        graph = proc.graph
        populations = [
            AsyncLIF(
                shape=p.shape[::-1], du=np.transpose(p.i_decay), dv=np.transpose(p.v_decay),
                vth=p.threshold, bias_mant=0 if p.bias is None else p.bias.T, name=p.name,
                output_delay=graph.output_delay if i == graph.output else 0,
            )
            for i, p in enumerate(graph.populations)
        ]  # fmt: skip
        self.scheduler = SpikeScheduler(
            populations,
            proc.schedule,
            output=populations[graph.output],
            **{
                name: proc.proc_params[name]
                for name in ("stop_after", "reset_interval", "reset_offset", "sample_ids")
            },
            compiled=self.COMPILED,
            name="scheduler",
        )
        for i, population in enumerate(populations):
            setattr(self, f"population_{i}", population)
        for i, c in enumerate(graph.connections):
            source = "input" if c.source == INPUT else populations[c.source].name
            target = populations[c.target]
            name = f"{source} -> {target.name}"
            shape = graph.source_shape(c)
            port_shape = proc.inp.shape if c.source == INPUT else shape[::-1]
            connection = kind_of(c).process(
                shape, port_shape, target.a_in.shape, delay=c.delay, name=name
            )
            setattr(self, f"connection_{i}", connection)
            if c.source == INPUT:
                proc.inp.connect(connection.s_in)
                connection.a_out.connect(target.a_in)
                if connection.delays is not None:
                    self.scheduler.reset_out.connect(connection.reset_in)
            else:
                populations[c.source].release_out.connect(connection.release_in)
                connection.forward_out.connect(target.forward_in)
            connection.synops_out.connect(self.scheduler.synops_in)
        populations[graph.output].s_out.connect(proc.out)
        self.scheduler.trace.connect(proc.trace)
        self._alias(proc, populations)

    def _alias(self, proc: Network, populations: list[AsyncLIF]) -> None:
        for name in Network.SHARED_VARS:
            getattr(proc, name).alias(getattr(self.scheduler, name))
        proc.v_out.alias(populations[proc.graph.output].v)
        for var in (proc.u, proc.v):
            parts = [getattr(p, var.name) for p in populations]
            if len(parts) == 1:
                var.alias(parts[0])
            elif any(port.var is var for port in proc.var_ports):
                raise UnsupportedError(
                    "Network", f"RefPort or Monitor on {var.name}",
                    "none in a process graph of several populations", proc.name,
                )
            else:
                var.parts = parts
