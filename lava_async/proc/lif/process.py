"""Asynchronous leaky integrate-and-fire neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.ports.ports import AbstractPort

from lava_async._semantics.graph import Population
from lava_async.errors import GraphError
from lava_async.proc import _messages
from lava_async.proc._connection import AsyncConnection, check_tuple
from lava_async.proc._vars import BIAS, CURRENT, DECAY, THRESHOLD, VOLTAGE, CheckedVar, Range
from lava_async.proc._wiring import (
    InPort,
    OutPort,
    WiredProcess,
    check_peers,
    describe,
    destinations,
)

if TYPE_CHECKING:
    from lava_async.proc.scheduler.process import SpikeScheduler


class AsyncLIF(WiredProcess):
    """A population of CUBA-LIF neurons that may fire in any forward step of a time step.

    Belongs to one `SpikeScheduler`. With ``I`` the currents that arrive, at the start of a
    time step::

        u <- u * (4096 - du) / 4096, rounded towards 0
        v <- v * (4096 - dv) / 4096, rounded towards 0, + u + (bias_mant << 6)

    and in each forward step in which a current arrives::

        u <- u + (I << 6)
        v <- v + (I << 6), unless the neuron fired in this time step
        fire where v > vth << 6: v <- 0

    Parameters
    ----------
    shape : tuple of int
        (W, H, C) or (n,).
    du, dv : int
        Decay of current and voltage per time step, in 1/4096, 0..4096; 4096 forgets everything.
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
    u, v : CheckedVar, (size,)
        Current and voltage, signed 24-bit integers in membrane units, neurons in C order of
        (C, H, W). The current wraps, the voltage saturates; both are counted as overflows.
    du, dv, vth : CheckedVar, (1,)
    bias_mant : CheckedVar, (size,)

    Raises
    ------
    GraphError
        A parameter is outside Loihi's range.
    """

    RANGES: Mapping[str, Range] = {
        "u": CURRENT, "v": VOLTAGE, "du": DECAY, "dv": DECAY, "vth": THRESHOLD, "bias_mant": BIAS,
    }  # fmt: skip

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
        where = describe(self)
        bias = _broadcast_bias(where, bias_mant, check_tuple(where, "shape", shape))
        checked = Population(where, bias.shape[::-1], du, dv, vth, bias.T)
        self.a_in = InPort(shape=bias.shape)
        self.s_out = OutPort(shape=bias.shape)
        self.forward_in = InPort(shape=(checked.size,))
        self.release_out = OutPort(shape=_messages.SPIKES)
        self.request_out = OutPort(shape=_messages.SPIKES_WITH_MOMENTA)
        self.grant_in = InPort(shape=_messages.SPIKES)

        def var(name: str, size: int, init: Any) -> CheckedVar:
            return CheckedVar((size,), init, self.RANGES[name])

        self.u = var("u", checked.size, 0)
        self.v = var("v", checked.size, 0)
        self.du = var("du", 1, checked.i_decay)
        self.dv = var("dv", 1, checked.v_decay)
        self.vth = var("vth", 1, checked.threshold)
        self.bias_mant = var("bias_mant", checked.size, bias.T.reshape(-1))
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
                describe(self), "scheduler", "one SpikeScheduler with this population", "none"
            )
        return self._scheduler[0]

    def wiring(self) -> dict[str, Any]:
        scheduler = self.scheduler_of()
        check_peers(
            self.a_in, "one message per time step, so not forward_out",
            lambda port: port.name != "forward_out",
        )
        check_peers(
            self.forward_in, "forward_out of a connection",
            lambda port: port.name == "forward_out" and isinstance(port.process, AsyncConnection),
        )
        return {"index": scheduler.index(self), **scheduler.wiring()}

    def connections(self) -> list[AsyncConnection]:
        """Where its released spikes go.

        Raises
        ------
        GraphError
            Something else, such as a Monitor, listens to messages of forward steps.
        """
        check_peers(
            self.release_out, "release_in of a connection (a Monitor may probe s_out)",
            lambda port: port.name == "release_in" and isinstance(port.process, AsyncConnection),
        )
        scheduler = self.scheduler_of()
        for port in (self.request_out, self.grant_in):
            check_peers(
                port, f"{describe(scheduler)} alone", lambda port: port.process is scheduler
            )
        return [port.process for port in destinations(self.release_out)]

    def awaited(self) -> Mapping[Any, Sequence[AbstractPort]]:
        return {self.s_out: self.scheduler_of().inputs()}


def _broadcast_bias(where: str, bias: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    try:
        return np.broadcast_to(np.asarray(bias), shape)
    except (TypeError, ValueError):
        raise GraphError(
            where, "bias_mant", f"one number or shape {shape}", f"shape {np.shape(bias)}"
        ) from None
