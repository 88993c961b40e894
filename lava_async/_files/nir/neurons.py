"""Neurons of NIR as CUBA-LIF with float parameters, by forward Euler with one step a time step.

NIR's equations are of continuous time. With ``a = dt / tau_syn`` and ``b = dt / tau_mem`` a time
step is, as in snnTorch and Norse::

    I <- (1 - a) I + a w_in S
    v <- (1 - b) v + b (v_leak + r I)

With ``u = b r I`` that is a current which decays by a, gets ``a b r w_in`` times what arrives, and
is added to a voltage that decays by b and gets ``b v_leak`` in each time step. Voltages are
measured from ``v_reset``. LIF and LI have no current of their own (a = 1). IF and I integrate
``r I`` once a time step, whatever dt, as all tools do that read them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._files.nir.maps import Floats
from lava_async._files.nir.wiring import Node
from lava_async._semantics.connections import Shape
from lava_async._semantics.dynamics import DECAY_ONE
from lava_async.errors import GraphError, UnsupportedError


@dataclass(frozen=True, eq=False)
class Decay:
    """(n,) of each neuron, or (1,) of all: as Loihi has it, in 1/4096, and as it was."""

    rounded: npt.NDArray[np.int64]
    exact: Floats


@dataclass(frozen=True, eq=False)
class Neurons:
    """A population with float parameters, arrays of (n,).

    Attributes
    ----------
    gain
        Of what arrives.
    drive
        Added to the voltage in each time step.
    threshold
        None: it never fires.
    """

    shape: Shape
    i_decay: Decay
    v_decay: Decay
    gain: Floats
    drive: Floats
    threshold: Floats | None


NO_MEMORY = Decay(np.array([DECAY_ONE]), np.array([1.0]))
NO_LEAK = Decay(np.array([0]), np.array([0.0]))
FOREVER = 2.0**32
"""Time steps of a time constant that stands for no decay: in 1/4096 its decay rounds to 0."""


def neurons_of(node: Node, shape: Shape, dt: float) -> Neurons:
    """The neurons of a node.

    Raises
    ------
    GraphError
        A parameter is no number, of another shape, or outside its range.
    UnsupportedError
        Decays that differ between the neurons of a node.
    """
    def read(what: str) -> Floats:
        return node.spread(what, shape)

    syn = "tau_syn" if node.kind in ("CubaLIF", "CubaLI") else None
    mem = "tau_mem" if syn else "tau" if node.kind in ("LIF", "LI") else None
    fires = node.kind in ("CubaLIF", "LIF", "IF")
    gain = read("r")
    reset = read("v_reset") if fires else np.zeros_like(gain)
    drive, i_decay, v_decay = np.zeros_like(gain), NO_MEMORY, NO_LEAK
    if mem:
        rate = _rate(node, mem, shape, dt)
        v_decay = _rounded(rate)
        gain, drive = rate * gain, rate * (read("v_leak") - reset)
    if syn:
        rate = _rate(node, syn, shape, dt)
        i_decay = _rounded(rate)
        gain = rate * read("w_in") * gain
    threshold = read("v_threshold") - reset if fires else None
    if threshold is not None and (threshold < 0).any():
        least = f"{threshold.min():g} above it"
        raise GraphError(node.where, "v_threshold", "v_reset or more", least)
    return Neurons(shape, i_decay, v_decay, gain, drive, threshold)


def with_constant(node: Node, neurons: Neurons, constant: Floats | None) -> Floats:
    """(n,) what is added to the voltage in each time step, with a constant that arrives.

    Loihi adds its bias to the voltage. A constant current that has to build up is none.
    """
    if constant is None or not (neurons.gain * constant).any():
        return neurons.drive
    slow = (neurons.i_decay.rounded != DECAY_ONE) & (neurons.gain * constant != 0)
    if slow.any():
        exact = np.broadcast_to(neurons.i_decay.exact, slow.shape)[slow]
        raise UnsupportedError(
            node.where, "bias of what leads here",
            "0, or tau_syn = dt (NIR adds it to the current, Loihi to the voltage)",
            f"up to {np.abs(constant).max():g}, tau_syn = {1 / exact.min():g} dt",
        )
    return neurons.drive + neurons.gain * constant


def _rounded(rate: Floats) -> Decay:
    return Decay(np.rint(rate * DECAY_ONE).astype(np.int64), rate)


def _rate(node: Node, what: str, shape: Shape, dt: float) -> Floats:
    """(n,) what decays in a time step."""
    tau = node.spread(what, shape)
    least = tau.min()
    # Beyond, forward Euler overshoots; times in single precision may be off by less.
    if not least > 0 or dt / least > 1 + 1e-5:
        raise GraphError(node.where, what, f"at least the time step dt={dt:g}", least)
    return np.minimum(dt / tau, 1.0)
