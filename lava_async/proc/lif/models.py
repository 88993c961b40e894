"""Process models of `AsyncLIF`."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_async._semantics import dynamics as dyn
from lava_async.proc._population_models import AbstractPyPopulationModel
from lava_async.proc._vars import Ints
from lava_async.proc.lif.process import AsyncLIF


class AbstractPyAsyncLIFModel(AbstractPyPopulationModel):
    """Common part: the integers inside, and so the spikes, do not depend on the tag.

    Bit widths: ``u`` and ``v`` signed 24 (``u`` wraps, ``v`` saturates; both are counted),
    decays unsigned 12, threshold 17 and bias signed 13, both aligned 6 bits up.
    """

    RANGES = AsyncLIF.RANGES

    u: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)
    du: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=12)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=12)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=17)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=13)

    def _clear(self):
        self.u[:] = 0
        self.v[:] = 0

    def _begin(self, arriving, everyone):
        touched = self._decay()
        touched |= self._integrate(arriving)
        above = self.v > self._threshold
        self._fire(np.flatnonzero(above if everyone else above & touched))

    def _receive(self, arriving):
        reached = np.flatnonzero(arriving)
        current = arriving[reached].astype(np.int64) << dyn.STATE_SHIFT
        self._put_current(reached, self.u[reached] + current)
        awake = ~self._fired[reached]
        reached = reached[awake]
        self._put_voltage(reached, self.v[reached] + current[awake])
        self._fire(reached[self.v[reached] > self._threshold])

    @property
    def _threshold(self) -> int:
        return int(self.vth[0]) << dyn.STATE_SHIFT

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

    def _put_current(self, where: Any, u: Ints) -> None:
        wrapped = dyn.wrap_current(u)
        self.u[where] = wrapped
        self._overflows += int(np.count_nonzero(wrapped != u))

    def _put_voltage(self, where: Any, v: Ints) -> None:
        clipped = dyn.clip_voltage(v)
        self.v[where] = clipped
        self._overflows += int(np.count_nonzero(clipped != v))

    def _fire(self, neurons: Ints) -> None:
        self._request(neurons, self.v[neurons], self._threshold)
        self.v[neurons] = 0


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
