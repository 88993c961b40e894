"""The decisive gradient, as readable NumPy: the specification in code.

A neuron fires at most once in a time step, so it has one outcome ``S`` there and one voltage
``V`` that decided it. The gradient goes through these alone, time steps backwards (see
``semantics``: Decisive). Membrane units; one sample at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.flat import FlatGraph, FlatSynapses
from lava_async._semantics.graph import Graph
from lava_async._semantics.tape import Tape
from lava_async.errors import ValidationError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Reset = Literal["through", "detached", "full"]
"""How the reset passes on the gradient of a voltage: as if there were none, which is SLAYER's
way; where the neuron stayed silent; or in full, through its outcome too."""

RESETS: tuple[Reset, ...] = get_args(Reset)

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Gradients:
    """Derivatives of a loss, summed over the batch but for those by the input.

    Attributes
    ----------
    weights : list of float64 arrays
        By the integer weights of each connection, in `Connection.weight_shape`.
    bias : (N,) float64
        By each neuron's integer bias, whether it has one or not.
    frames : (B, inputs, T) float64
        By the input counts.
    decay_u, decay_v : (N,) float64
        By λ = 1 - decay / 4096 of each neuron's current and voltage.
    delay : (N,) float64
        By the axonal delay of each neuron, over all its connections.
    """

    weights: list[Floats]
    bias: Floats
    frames: Floats
    decay_u: Floats
    decay_v: Floats
    delay: Floats


class _Sample:
    """One sample on its way back.

    Arrays are (T, N), or (T, N + inputs) where they are of all sources; those of gradients have
    rows of 0 for what would arrive past the end.
    """

    def __init__(
        self,
        network: FlatGraph,
        layered: bool,
        frames: Ints,
        tape: Tape,
        index: int,
        derivative: Floats,
        loss_gradient: Floats,
        reset: Reset,
    ):
        fired_at = tape.fired_at[index].astype(np.int64)
        released_at = tape.released_at[index].astype(np.int64)
        self.network = network
        self.voltage = tape.voltage[index].astype(np.int64)
        self.current = tape.current[index].astype(np.int64)
        self.begun: tuple[npt.ArrayLike, npt.ArrayLike] = 0, 0  # current and voltage
        if tape.begun is not None:
            self.begun = tape.begun.current[index], tape.begun.voltage[index]
        self.lost = tape.lost[index]
        self.derivative = derivative
        self.loss_gradient = loss_gradient
        self.full = reset == "full"
        self.fired = fired_at >= 0
        self.rho = np.where(self.fired & (reset != "through"), 0.0, 1.0)
        self.decided_at = np.where(self.fired & (not layered), fired_at, _NEVER)
        # The input is there before any release.
        self.released_at = np.hstack([released_at, np.full_like(frames, -1)])
        self.sent = np.hstack([released_at >= 0, frames])
        is_input = np.ones(frames.shape, bool)
        self.silent = np.hstack([~self.fired, ~is_input])
        # The spike of a silent neuron, had there been one, would have been sent.
        self.sends = np.hstack([~self.fired | (released_at >= 0), is_input])
        rows = len(fired_at) + network.max_delay
        self.by_voltage = np.zeros((rows, fired_at.shape[1]))  # gV
        self.by_current = np.zeros((rows, fired_at.shape[1]))  # gu at the end of the time step

    def backward(self, gradients: Gradients, by_weight: Floats, by_frame: Floats) -> None:
        """Add this sample's; ``by_weight`` is flat, ``by_frame`` (inputs, T)."""
        network = self.network
        synapses, count = network.synapses, self.fired.shape[1]
        current, voltage = self._states()
        gv = gu = np.zeros(count)
        for t in reversed(range(len(self.fired))):
            self.by_current[t] = gu
            for neurons in network.components[::-1]:
                decided_at = self.decided_at[t, neurons]
                for moment in np.unique(decided_at)[::-1]:  # the silent, then the last to fire
                    self._decide(t, neurons[decided_at == moment], gv)
            gV = self.by_voltage[t]

            arriving = self._arriving(t, synapses, gv)
            np.add.at(
                by_weight, synapses.place,
                (1 << dyn.STATE_SHIFT) * self.sent[t, synapses.source] * arriving,
            )  # fmt: skip
            by_frame[:, t] += self._by_source(synapses, arriving)[count:]
            gradients.delay[:] += self._leaving(t) * self._by_source(
                synapses, self._in_time(t, synapses)
            )[:count]
            gradients.bias[:] += (1 << dyn.STATE_SHIFT) * gV
            gradients.decay_v[:] += gV * voltage[t]
            gradients.decay_u[:] += (gV + gu) * current[t]
            gv = (1 - network.v_decay / dyn.DECAY_ONE) * gV
            gu = (1 - network.i_decay / dyn.DECAY_ONE) * (gV + gu)

    def _decide(self, t: int, neurons: Ints, gv: Floats) -> None:
        """gV of neurons of a component that decided together."""
        senders = np.zeros(self.sends.shape[1], bool)
        senders[neurons] = self.sends[t, neurons]
        synapses = self.network.synapses.of(senders)
        by_spike = self._by_source(synapses, self._arriving(t, synapses, gv))[neurons]
        by_spike = np.where(
            self.lost[t, neurons], 0, self.loss_gradient[t, neurons] + by_spike
        )
        through_reset = self.rho[t, neurons] * gv[neurons]
        if self.full:
            by_spike = by_spike - self.voltage[t, neurons] * gv[neurons]
        self.by_voltage[t, neurons] = self.derivative[t, neurons] * by_spike + through_reset

    def _arriving(self, t: int, synapses: FlatSynapses, gv: Floats) -> Floats:
        """gI: gradient by the current of each synapse, of a spike that its source sends at t."""
        source, target, delay = synapses.source, synapses.target, synapses.delay
        by_voltage = self.by_voltage[t + delay, target]
        # A silent source and its target in a circle: not through the target's outcome.
        cut = synapses.encircled & self.silent[t, source]
        by_voltage = np.where(cut, self.rho[t, target] * gv[target], by_voltage)
        in_time = self.released_at[t, source] < self.decided_at[t, target]
        by_voltage = np.where((delay > 0) | in_time, by_voltage, 0)
        return by_voltage + self.by_current[t + delay, target]

    def _in_time(self, t: int, synapses: FlatSynapses) -> Floats:
        """gV + gu of each synapse's target when a spike of time step t arrives there."""
        late = t + synapses.delay, synapses.target
        return self.by_voltage[late] + self.by_current[late]

    def _leaving(self, t: int) -> Floats:
        """(N,) how a delay that grows changes the spikes of time step t: -1 go, 1 come."""
        sent = self.sent[:, : self.fired.shape[1]].astype(np.int64)
        return (sent[t - 1] if t else 0) - sent[t]

    def _by_source(self, synapses: FlatSynapses, arriving: Floats) -> Floats:
        """(N + inputs,) gradient by the spikes of each source that targets send back."""
        total = np.zeros(self.sends.shape[1])
        np.add.at(total, synapses.source, synapses.weight * arriving)
        return total

    def _states(self) -> tuple[Ints, Ints]:
        """Current and voltage (T, N) at the end of the time step before each."""
        current, voltage = np.zeros((2, *self.fired.shape), np.int64)
        current[0], voltage[0] = self.begun
        current[1:] = self.current[:-1]
        voltage[1:] = np.where(self.fired, 0, self.voltage)[:-1]
        return current, voltage


def backward(
    graph: Graph,
    layered: bool,
    frames: npt.NDArray[np.integer],
    tape: Tape,
    derivative: Floats,
    loss_gradient: Floats,
    reset: Reset = "through",
) -> Gradients:
    """The decisive gradient of a batch.

    Parameters
    ----------
    graph : Graph
        Its ``output_delay`` does not matter here: all is of the firing.
    layered : bool
        Whether `LayerSync` made the tape.
    frames : (B, inputs, T) int
        Input counts, without those that input dropout took.
    tape : Tape
    derivative : (B, T, N) float64
        Surrogate derivative at ``tape.voltage``, per membrane unit.
    loss_gradient : (B, T, N) float64
        Derivative of the loss by the spikes; of lost ones it does not matter.
    reset : "through", "detached" or "full"

    Raises
    ------
    ValidationError
        There is no such reset.
    """
    if reset not in RESETS:
        raise ValidationError("backward", "reset", f"one of {', '.join(RESETS)}", repr(reset))
    network = FlatGraph(graph, layered)
    by_weight, by_frame = np.zeros(network.first_weights[-1]), np.zeros(frames.shape)
    bias, decay_u, decay_v, delay = np.zeros((4, graph.num_neurons))
    weights = [
        part.reshape(shape)  # views, so that they fill with their whole
        for part, shape in zip(
            np.split(by_weight, network.first_weights[1:-1]), network.weight_shapes, strict=True
        )
    ]
    gradients = Gradients(weights, bias, by_frame, decay_u, decay_v, delay)
    steps = np.moveaxis(frames, -1, 1).astype(np.int64)
    for b in range(len(frames)):
        sample = _Sample(
            network, layered, steps[b], tape, b, derivative[b], loss_gradient[b], reset
        )
        sample.backward(gradients, by_weight, by_frame[b])
    return gradients
