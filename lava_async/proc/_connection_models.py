"""What the process models of all connections share."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from lava_async.proc._connection import AsyncConnection
from lava_async.proc._delay import DelayLine
from lava_async.proc._frames import receive_frame
from lava_async.proc._member_models import AbstractPyMemberModel
from lava_async.proc._messages import BEGIN, END, receive
from lava_async.proc._shared import COUNTED, Member
from lava_async.proc._vars import WEIGHT, Ints, Range, check_vars

_INT32_MAX = (1 << 31) - 1


class AbstractPyAsyncConnectionModel(AbstractPyMemberModel):
    """Passes spikes on as weighted sums, in the time step and forward step they came in.

    ``a_out[t] = weights * s_in[t - delay]`` (stock connections: ``s_in[t - 1]``), or once per
    forward step for ``release_in`` and ``forward_out``. Over a delay, what arrives in a time step
    is sent at its start.

    Bit widths: weights signed 9, currents signed 32.
    """

    WEIGHTS = AsyncConnection.WEIGHTS

    s_in: Any = None
    a_out: Any = None
    release_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    forward_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    reset_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    synops_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    synops: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._number: int | None = proc_params["number"]
        delays = proc_params["delays"]
        self._axons = None if delays is None else DelayLine(delays)
        self._weights: Any = None  # what `_prepare` has seen of the Var
        self._fan_out = np.zeros(0, np.int64)
        self._max_input = 0

    def _run_outside(self, member: Member) -> None:
        if member.ready is not None:
            member.ready.src_port.send(np.zeros(1, np.int64))
        if member.done is not None:
            member.done.dst_port.recv()
            self.synops_out.send(self.synops)
        elif self.time_step == 1:
            self.synops_out.send(np.full(1, COUNTED))

    def _run_by_messages(self) -> None:
        if getattr(self, self.WEIGHTS) is not self._weights:  # at first, or after a RefPort
            self._take_over_vars()
        self.synops[:] = 0
        if self._number is None:
            self._pass_frame()
        else:
            self._pass_released()
        self.synops_out.send(self.synops)

    def _pass_frame(self) -> None:
        resets = [channel.recv()[0] for channel in self.reset_in.csp_ports]
        axons, now = self._axons, self.time_step
        if axons is None:
            self._send_frame(self._receive_frame())
            return
        if any(resets):
            axons.clear()
        if axons.ahead:  # first, as a circle may lead through here
            self._send_frame(axons.take(now))
            axons.send(self._receive_frame(), now)
        else:
            self._send_frame(axons.exchange(self._receive_frame(), now))

    def _receive_frame(self) -> Ints:
        """Spike counts (source size,)."""
        frame = receive_frame(
            self.s_in, f"{self._where}: s_in", self.time_step, 0, self._max_input
        )
        spikes = frame.astype(np.int64)
        self.synops += self._fan_out @ spikes
        return spikes

    def _send_frame(self, spikes: Ints) -> None:
        current = self._deliver_frame(spikes).reshape(self.a_out._shape[::-1]).T
        self.a_out.send(current.astype(self.a_out._d_type))

    def _pass_released(self) -> None:
        axons, now = self._axons, self.time_step
        if now == 1:
            # Tell the targets from which connection these currents come.
            self.forward_out.send(np.full(self.forward_out._shape, self._number, np.int32))
        if axons is not None:
            self.forward_out.send(self._deliver_frame(axons.take(now)).astype(np.int32))
        while True:
            kind, _, (neurons,) = receive(self.release_in.csp_ports[0])
            if kind == END:
                return
            if kind == BEGIN:
                if axons is not None:
                    axons.clear()
                continue
            self.synops += self._fan_out[neurons].sum()
            if axons is not None:
                neurons = axons.send_late(neurons, now)
            if len(neurons):
                self.forward_out.send(self._deliver(neurons).astype(np.int32))

    def _ranges(self) -> Mapping[str, Range]:
        return {self.WEIGHTS: WEIGHT}

    def _take_over_vars(self) -> None:
        self._weights = check_vars(self, self._where, {self.WEIGHTS: WEIGHT})[self.WEIGHTS]
        setattr(self, self.WEIGHTS, self._weights)
        self._fan_out, l1 = self._prepare()
        self._max_input = _INT32_MAX // max(1, l1)

    @abc.abstractmethod
    def _prepare(self) -> tuple[Ints, int]:
        """Lay out the weights. Returns the fan-out of each source neuron, and the largest
        sum of absolute weights into one target neuron."""

    @abc.abstractmethod
    def _deliver_frame(self, spikes: Ints) -> Ints:
        """Currents (target size,) of a whole frame of spike counts (source size,)."""

    @abc.abstractmethod
    def _deliver(self, neurons: Ints) -> Ints:
        """Currents (target size,) of one spike of each of these neurons."""


class FixedPorts:
    """Integer ports."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


class FloatPorts:
    """Floating-point ports for floating-point neighbours."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
