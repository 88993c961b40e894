"""Asynchronous leaky integrate-and-fire neurons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.variable import Var

from lava_async._graph import Population
from lava_async.errors import GraphError, expected
from lava_async.proc import _messages
from lava_async.proc._wiring import (
    AsyncConnection,
    WiredProcess,
    describe,
    destinations,
    names,
    sources,
)

if TYPE_CHECKING:
    from lava_async.proc.scheduler.process import SpikeScheduler


class AsyncLIF(WiredProcess):
    """A population of CUBA-LIF neurons that may fire in any forward step of a time step.

    Belongs to one `SpikeScheduler`. With ``I`` the currents that arrive, at the start of a
    time step::

        u <- u * (4096 - du) // 4096
        v <- v * (4096 - dv) // 4096 + u + (bias_mant << 6)

    and in each forward step in which a current arrives::

        u <- u + (I << 6)
        v <- v + (I << 6), unless the neuron fired in this time step
        fire where v > vth << 6: v <- 0

    Parameters
    ----------
    shape : tuple of int
        (W, H, C) or (n,).
    du, dv : int
        Decay of current and voltage per time step, in 1/4096; 4096 forgets everything.
    vth : int
        Threshold mantissa, 17 bits.
    bias_mant : int or array of int, shape ``shape``
        Bias mantissa, 13 bits signed.
    name : str, optional

    Attributes
    ----------
    a_in : InPort, shape ``shape``
        Currents in weight units, once per time step: delivered with k = 0.
    s_out : OutPort, shape ``shape``
        Spikes (0/1) of the time step, once, at its end.
    forward_in : InPort, (size,)
        Currents of the connections from populations of the same scheduler.
    release_out : OutPort
        Released spikes, to such connections.
    request_out : OutPort
    grant_in : InPort
        To and from the scheduler, which connects them.
    u, v : Var, (size,)
        Current and voltage, 24-bit integers in membrane units, neurons in C order of (C, H, W).
    du, dv, vth : Var, (1,)
    bias_mant : Var, (size,)

    Raises
    ------
    GraphError
        A parameter is outside Loihi's range.
    """

    def __init__(
        self,
        *,
        shape: Sequence[int],
        du: int = 0,
        dv: int = 0,
        vth: int = 10,
        bias_mant: npt.ArrayLike = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        shape = tuple(shape)
        bias = np.broadcast_to(np.asarray(bias_mant), shape).T
        checked = Population(describe(self), shape[::-1], du, dv, vth, bias)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.forward_in = InPort(shape=(checked.size,))
        self.release_out = OutPort(shape=_messages.SPIKES)
        self.request_out = OutPort(shape=_messages.SPIKES_WITH_MOMENTA)
        self.grant_in = InPort(shape=_messages.SPIKES)
        self.u = Var(shape=(checked.size,), init=0)
        self.v = Var(shape=(checked.size,), init=0)
        self.du = Var(shape=(1,), init=checked.i_decay)
        self.dv = Var(shape=(1,), init=checked.v_decay)
        self.vth = Var(shape=(1,), init=checked.threshold)
        self.bias_mant = Var(shape=(checked.size,), init=bias.reshape(-1))
        self._scheduler: list[SpikeScheduler] = []  # in a list: Lava adopts processes in fields

    @property
    def size(self) -> int:
        return self.a_in.size

    def scheduler_of(self) -> SpikeScheduler:
        """The scheduler.

        Raises
        ------
        GraphError
            There is none.
        """
        if not self._scheduler:
            raise GraphError(
                expected(describe(self), "scheduler", "one SpikeScheduler with this population",
                         "none")
            )
        return self._scheduler[0]

    def wiring(self) -> dict[str, Any]:
        scheduler = self.scheduler_of()
        wrong = [p for p in sources(self.a_in) if p.name == "forward_out"]
        if wrong:
            raise GraphError(
                expected(describe(self), "a_in", "one message per time step, so not forward_out",
                         names(wrong))
            )
        for ports, name in ((sources(self.forward_in), "forward_out"),
                           (destinations(self.release_out), "release_in")):
            wrong = [
                p for p in ports
                if p.name != name or not isinstance(p.process, AsyncConnection)
            ]
            if wrong:
                raise GraphError(
                    expected(describe(self), "forward_in and release_out",
                             f"{name} of a connection", names(wrong))
                )
        return {"index": scheduler.index(self), **scheduler.wiring()}
