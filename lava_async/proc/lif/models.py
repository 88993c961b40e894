"""Process models of `AsyncLIF`."""

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

from lava_async._semantics import dynamics as dyn
from lava_async.proc._frames import receive_frame
from lava_async.proc._messages import END, EVALUATE, RELEASE, receive, send
from lava_async.proc._vars import Ints, check_vars
from lava_async.proc.lif.process import AsyncLIF

_INT32 = np.iinfo(np.int32)


class AbstractPyAsyncLIFModel(PyLoihiProcessModel):
    """Common part: the integers inside, and so the spikes, do not depend on the tag.

    Bit widths: ``u`` and ``v`` signed 24 (``u`` wraps, ``v`` saturates; both are counted),
    decays unsigned 12, threshold 17 and bias signed 13, both aligned 6 bits up.
    """

    a_in: Any = None
    s_out: Any = None
    forward_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    release_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    request_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    grant_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    u: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)
    du: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=12)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=12)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=17)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=13)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._where: str = proc_params["where"]
        self._index: int = proc_params["index"]
        self._offsets: Ints = proc_params["offsets"]
        self._layered: bool = proc_params["layered"]
        order = proc_params["order"]
        self._later = {p for p in order if order.index(p) >= order.index(self._index)}
        self._inputs: list[tuple[int, Any]] = []
        size = int(self._offsets[self._index + 1] - self._offsets[self._index])
        self._fired = np.zeros(size, bool)  # in this time step, so refractory
        self._overflows = 0
        self._known: dict[str, Ints] = {}  # state and parameters as last checked
        # Layer synchronization: what came over recurrent connections waits for the next time
        # step. Otherwise unused.
        self._late = np.zeros(size, np.int64)

    def run_spk(self) -> None:
        """Run one time step: as many evaluations as the scheduler leads to."""
        if self.time_step == 1:
            self._meet()
            self.on_var_update()
        _, reset, _ = receive(self.grant_in.csp_ports[0])
        if reset:
            for state in (self.u, self.v, self._late):
                state[:] = 0
        if any(getattr(self, name) is not value for name, value in self._known.items()):
            self.on_var_update()  # a RefPort replaces the array and says nothing
        self._fired[:] = False
        self._overflows = 0
        frame = receive_frame(
            self.a_in, f"{self._where}: a_in", self.time_step, _INT32.min, _INT32.max
        )
        arriving = frame.astype(np.int64)
        if self._layered:
            self._run_layered(arriving)
        else:
            self._run_asynchronous(arriving)
        send(self.release_out.csp_ports, END)
        self.s_out.send(self._fired.reshape(self.a_in._shape[::-1]).T.astype(self.s_out._d_type))

    def on_var_update(self) -> None:
        """Take over what set() or a RefPort wrote into state and parameters."""
        self._known = check_vars(self, self._where, AsyncLIF.RANGES)
        for name, value in self._known.items():
            setattr(self, name, value)

    def _meet(self) -> None:
        """Tell the scheduler who this is, and which of its channels leads here; learn which
        connection comes from whom."""
        channel, _, _ = receive(self.grant_in.csp_ports[0])
        send(self.request_out.csp_ports, self._index, channel)
        self._inputs = [(int(c.recv()[0]), c) for c in self.forward_in.csp_ports]

    def _run_asynchronous(self, arriving: Ints) -> None:
        touched = self._decay()
        touched |= self._integrate(arriving)
        self._fire(touched & (self.v > self._threshold))
        while True:
            kind, _, (neurons,) = receive(self.grant_in.csp_ports[0])
            if kind == END:
                return
            currents = self._exchange(neurons)
            if currents:
                self._integrate_some(np.sum([current for _, current in currents], axis=0))

    def _run_layered(self, arriving: Ints) -> None:
        arriving += self._late
        self._late[:] = 0
        while True:
            kind, _, (neurons,) = receive(self.grant_in.csp_ports[0])
            if kind == END:
                return
            if kind == EVALUATE:
                self._decay()
                self._integrate(arriving)
                self._fire(self.v > self._threshold)
                continue
            for source, current in self._exchange(neurons):
                if source in self._later:
                    self._late += current
                else:
                    arriving += current

    @property
    def _threshold(self) -> int:
        return int(self.vth[0]) << dyn.STATE_SHIFT

    def _exchange(self, neurons: Ints) -> list[tuple[int, Ints]]:
        """Hand over own released spikes, receive the currents of all that reach this population.

        Only connections with released spikes send: all others cost nothing.
        """
        cuts = np.searchsorted(neurons, self._offsets).tolist()
        begin, end = cuts[self._index], cuts[self._index + 1]
        if begin < end:
            own = neurons[begin:end] - self._offsets[self._index]
            send(self.release_out.csp_ports, RELEASE, 0, own)
        return [(p, channel.recv()) for p, channel in self._inputs if cuts[p] < cuts[p + 1]]

    def _decay(self) -> npt.NDArray[np.bool_]:
        """The time step begins. Returns who is touched by its residual."""
        self.u[:] = dyn.decay(self.u, self.du)
        residual = self.u + (self.bias_mant << dyn.STATE_SHIFT)
        v = dyn.decay(self.v, self.dv) + residual
        self._put_voltage(slice(None), v)
        return residual != 0

    def _integrate(self, arriving: Ints) -> npt.NDArray[np.bool_]:
        """Add the first currents of a time step (size,). Returns who is touched by them."""
        current = arriving << dyn.STATE_SHIFT
        self._put_current(slice(None), self.u + current)
        self._put_voltage(slice(None), self.v + current)
        return current != 0

    def _integrate_some(self, arriving: Ints) -> None:
        """Add later currents (size,) where they are not 0, and fire."""
        reached = np.flatnonzero(arriving)
        current = arriving[reached].astype(np.int64) << dyn.STATE_SHIFT
        self._put_current(reached, self.u[reached] + current)
        awake = ~self._fired[reached]
        reached = reached[awake]
        self._put_voltage(reached, self.v[reached] + current[awake])
        self._fire(reached[self.v[reached] > self._threshold])

    def _put_current(self, where: Any, u: Ints) -> None:
        wrapped = dyn.wrap_current(u)
        self.u[where] = wrapped
        self._overflows += int(np.count_nonzero(wrapped != u))

    def _put_voltage(self, where: Any, v: Ints) -> None:
        clipped = dyn.clip_voltage(v)
        self.v[where] = clipped
        self._overflows += int(np.count_nonzero(clipped != v))

    def _fire(self, neurons: npt.NDArray[Any]) -> None:
        """Fire neurons, given as a mask or by number, and ask for their release."""
        if neurons.dtype == bool:
            neurons = np.flatnonzero(neurons)
        send(self.request_out.csp_ports, self._threshold, self._overflows, neurons, self.v[neurons])
        self.v[neurons] = 0
        self._fired[neurons] = True


@implements(proc=AsyncLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyAsyncLIFModelFloat(AbstractPyAsyncLIFModel):
    """Floating-point ports for floating-point neighbours."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=AsyncLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyAsyncLIFModelFixed(AbstractPyAsyncLIFModel):
    """Integer ports, bit-accurate as everything inside."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
