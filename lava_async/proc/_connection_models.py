"""What the process models of all connections share."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from lava_async import _dynamics as dyn
from lava_async.errors import ExecutionError, expected
from lava_async.proc._messages import END, receive

Ints = npt.NDArray[np.int64]
_INT32_MAX = (1 << 31) - 1


class AbstractPyAsyncConnectionModel(PyLoihiProcessModel):
    """Passes spikes on as weighted sums, in the time step and forward step they came in.

    ``a_out[t] = weights * s_in[t]`` (stock connections: ``s_in[t - 1]``), or once per
    forward step for ``release_in`` and ``forward_out``.

    Bit widths: weights signed 9, currents signed 32.
    """

    s_in: Any = None
    a_out: Any = None
    release_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    forward_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    synops_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    synops: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._name = proc_params.get("name") or type(self).__name__
        self._source: int | None = proc_params["source"]
        self._fan_out = np.zeros(0, np.int64)
        self._max_input = 0

    def run_spk(self) -> None:
        """Run one time step."""
        if self.time_step == 1:
            self._take_over_weights()
            if self._source is not None:
                # Tell the target from which population these currents come.
                self.forward_out.send(np.full(self.forward_out._shape, self._source, np.int32))
        self.synops[:] = 0
        if self._source is None:
            self._pass_frame()
        else:
            self._pass_released()
        self.synops_out.send(self.synops)

    def _pass_frame(self) -> None:
        # Ports are in (W, H, C) order, neurons in C order of (C, H, W).
        frame = self.s_in.recv().T.reshape(-1)
        good = (frame >= 0) & (frame <= self._max_input) & (frame == np.floor(frame))
        if not good.all():
            index = int(np.flatnonzero(~good)[0])
            raise ExecutionError(
                expected(
                    f"{self._name}.s_in", f"time step {self.time_step}, value at flat index "
                    f"{index}", f"a whole number in 0..{self._max_input}", frame[index],
                )
            )
        spikes = frame.astype(np.int64)
        self.synops += self._fan_out @ spikes
        current = self._deliver_frame(spikes).reshape(self.a_out._shape[::-1]).T
        self.a_out.send(current.astype(self.a_out._d_type))

    def _pass_released(self) -> None:
        while True:
            kind, _, (neurons,) = receive(self.release_in.csp_ports[0])
            if kind == END:
                return
            self.synops += self._fan_out[neurons].sum()
            self.forward_out.send(self._deliver(neurons).astype(np.int32))

    def on_var_update(self) -> None:
        self._take_over_weights()

    def _take_over_weights(self) -> None:
        weights = self._values()
        low, high = weights.min(initial=0), weights.max(initial=0)
        if low < dyn.WEIGHT_MIN or high > dyn.WEIGHT_MAX:
            raise ExecutionError(
                expected(f"{self._name}.weights", "value",
                         f"an integer in {dyn.WEIGHT_MIN}..{dyn.WEIGHT_MAX}",
                         low if low < dyn.WEIGHT_MIN else high)
            )
        self._fan_out, l1 = self._prepare()
        self._max_input = _INT32_MAX // max(1, l1)

    def _values(self) -> npt.NDArray[Any]:
        """All weights, in any order."""
        raise NotImplementedError

    def _prepare(self) -> tuple[Ints, int]:
        """Lay out the weights. Returns the fan-out of each source neuron, and the largest
        sum of absolute weights into one target neuron."""
        raise NotImplementedError

    def _deliver_frame(self, spikes: Ints) -> Ints:
        """Currents (target size,) of a whole frame of spike counts (source size,)."""
        raise NotImplementedError

    def _deliver(self, neurons: Ints) -> Ints:
        """Currents (target size,) of one spike of each of these neurons."""
        raise NotImplementedError


class FixedPorts:
    """Integer ports."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


class FloatPorts:
    """Floating-point ports for floating-point neighbours."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
