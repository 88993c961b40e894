"""Process models of `Network` that run a whole time step at once with the compiled kernel."""

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
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_async._dynamics import STATE_LIMIT
from lava_async._graph import Graph
from lava_async._kernel import Stepper
from lava_async.errors import ExecutionError, expected
from lava_async.netx.process import Network


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
