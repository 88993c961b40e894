"""Asynchronous leaky integrate-and-fire neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Population
from lava_async.errors import GraphError
from lava_async.proc._population import AsyncPopulation
from lava_async.proc._ports import check_tuple, describe
from lava_async.proc._vars import BIAS, CURRENT, DECAY, THRESHOLD, VOLTAGE, CheckedVar, Range


class AsyncLIF(AsyncPopulation):
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
    du, dv : int or array of int, shape ``shape``
        Decay of current and voltage per time step, in 1/4096, 0..4096, of all neurons or of each;
        4096 forgets everything.
    vth : int
        Threshold mantissa, 17 bits.
    bias_mant : int or array of int, shape ``shape``
        Bias mantissa, 13 bits signed.
    output_delay : int or (size,) array of int
        Time steps by which ``s_out`` is late, 0..62, for all neurons or for each, in C order of
        (C, H, W). Nothing else is: released spikes, the scheduler's counts and early decision are
        of the firing.
    name : str, optional

    Attributes
    ----------
    a_in : InPort, shape ``shape``
        Currents in weight units, once per time step: delivered with k = 0.
    s_out : OutPort, shape ``shape``
        Spikes (0/1) of the time step, once, at its end; or of the one ``output_delay`` earlier.
    forward_in : ForwardIn, (size,)
        Currents of the connections from populations of the same scheduler.
    release_out : ReleaseOut
        Released spikes, to such connections.
    request_out : RequestOut
    grant_in : GrantIn
        To and from the scheduler, which connects them.
    u, v : CheckedVar, (size,)
        Current and voltage, signed 24-bit integers in membrane units, neurons in C order of
        (C, H, W). The current wraps, the voltage saturates; both are counted as overflows.
    du, dv : CheckedVar, (1,) or (size,)
    vth : CheckedVar, (1,)
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
        du: npt.ArrayLike = 0,
        dv: npt.ArrayLike = 0,
        vth: int = 10,
        bias_mant: npt.ArrayLike = 0,
        output_delay: npt.ArrayLike = 0,
        name: str | None = None,
    ) -> None:
        where = f"{type(self).__name__} {name!r}" if name else type(self).__name__
        bias = _broadcast_bias(where, bias_mant, check_tuple(where, "shape", shape))
        i_decay, v_decay = np.transpose(du), np.transpose(dv)
        checked = Population(where, bias.shape[::-1], i_decay, v_decay, vth, bias.T)
        super().__init__(bias.shape, where, output_delay, name)

        def var(name: str, size: int, init: Any) -> CheckedVar:
            return CheckedVar((size,), init, self.RANGES[name])

        self.u = var("u", checked.size, 0)
        self.v = var("v", checked.size, 0)
        self.du = var("du", np.size(checked.i_decay), np.ravel(checked.i_decay))
        self.dv = var("dv", np.size(checked.v_decay), np.ravel(checked.v_decay))
        self.vth = var("vth", 1, checked.threshold)
        self.bias_mant = var("bias_mant", checked.size, bias.T.reshape(-1))

    def lower(self, values):
        shape = self.a_in.shape[::-1]
        du, dv = (
            values[name] if values[name].size == 1 else values[name].reshape(shape)
            for name in ("du", "dv")
        )
        bias = values["bias_mant"].reshape(shape)
        return Population(describe(self), shape, du, dv, int(values["vth"][0]), bias)


def _broadcast_bias(where: str, bias: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    try:
        return np.broadcast_to(np.asarray(bias), shape)
    except (TypeError, ValueError):
        raise GraphError(
            where, "bias_mant", f"one number or shape {shape}", f"shape {np.shape(bias)}"
        ) from None
