"""Layer synchronization in the trainer, twice.

`by_population` is SLAYER's own: each population over all time steps at once. It takes graphs
without recurrence, and numbers on which SLAYER agrees with the integers that are exported.
`by_time_step` takes all; it is the readable definition, time step by time step. Both have
SLAYER's gradient, up to rounding: through time, with the reset passed through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lava.lib.dl.slayer.neuron.dynamics import leaky_integrator
from lava.lib.dl.slayer.utils import quantize
from torch import Tensor
from torch.autograd.function import once_differentiable

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT
from lava_async.slayer import surrogate
from lava_async.slayer.draws import Draws
from lava_async.slayer.edges import Edge
from lava_async.slayer.links import Delay, Immediate, Late, Link, delayed
from lava_async.slayer.neurons import (
    FLOAT32_EXACT,
    Decay,
    Inexact,
    Neurons,
    States,
    clipped,
    wrapped,
)
from lava_async.slayer.rules import above, truncate

# SLAYER tells "exceeds" from "reaches" the threshold by an epsilon that float32 loses beyond.
_MOST_THRESHOLD = (1 << 12) - 1


def by_population(
    x: Tensor,
    highest: float,
    order: Sequence[int],
    edges: Sequence[tuple[Edge, Tensor, Delay]],
    models: Sequence[Any],
    biases: Sequence[Tensor | None],
    draws: Draws,
) -> list[Tensor]:
    """Run populations without recurrence one after another.

    Parameters
    ----------
    x : (B, inputs, T)
    highest : float
        What no input value exceeds.
    order : sequence of int
        Populations, each after its sources.
    edges : sequence of (Edge, weights, delay)
        Weights are whole numbers.
    models : sequence of slayer.neuron.cuba.Neuron
        Of each population.
    biases : sequence of (size,) tensors or None
        Whole numbers.
    draws : Draws

    Returns
    -------
    list of (B, size, T)
        Spikes of each population.

    Raises
    ------
    Inexact
        SLAYER's numbers are, or may be, others than the exported integers give: states beyond
        24 bits, which it does not wrap or clip, scales or thresholds that it rounds.
    """
    spikes: dict[int, Tensor] = {INPUT: x}
    firsts = np.cumsum([0, *(model.num_neurons for model in models)]).tolist()
    for p in order:
        model, bias = models[p], biases[p]
        if model.v_th_mant > _MOST_THRESHOLD or model.w_scale & (model.w_scale - 1):
            raise Inexact
        z, most = None, 0.0
        for edge, weight, delay in edges:
            if edge.target == p:
                most += edge.fan_in_l1(weight.detach()) * (highest if edge.source == INPUT else 1)
                arriving = delayed(spikes[edge.source], delay)
                part = edge.over_time(weight / model.w_scale, arriving)
                z = part if z is None else z + part
        if z is None:
            z = x.new_zeros(len(x), model.num_neurons, x.shape[-1])
        if most >= FLOAT32_EXACT:
            raise Inexact
        current, voltage = _dynamics(model, z, None if bias is None else bias / model.w_scale)
        _check(model, z, current, voltage)
        fired = model.spike(voltage)
        if draws.dropout.drops_spikes:
            fired = fired * draws.kept_over_time(firsts[p], fired)
        spikes[p] = fired
    return [spikes[p] for p in range(len(models))]


def _dynamics(model: Any, z: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Current and voltage (before the reset), as ``Neuron.dynamics`` computes them on a CPU.

    Its CUDA code, which resets a voltage that only reaches the threshold, is not used.
    """
    run = leaky_integrator._LIDynamics.apply
    rest = z.new_zeros(z.shape[:-1])
    # SLAYER clamps decays in its export, but in its forward only those that are learned.
    i_decay, v_decay = (
        quantize(decay.clamp(0, dyn.DECAY_ONE))
        for decay in (model.current_decay, model.voltage_decay)
    )
    current: Any = run(z, i_decay, rest, -1, model.s_scale)
    driven = current if bias is None else current + bias[:, None]
    threshold = model.threshold + model.threshold_eps
    voltage: Any = run(driven, v_decay, rest, threshold, model.s_scale)
    return current, voltage


def _check(model: Any, z: Tensor, current: Tensor, voltage: Tensor) -> None:
    """Raise `Inexact` unless all states surely stay within 24 bits."""
    limit = dyn.STATE_LIMIT / model.s_scale
    i, u, v = (_largest(x) for x in (z, current, voltage))
    # A time step's voltage is clipped twice, the first time without its current.
    if not (u < limit and v + i < limit):
        raise Inexact


def _largest(x: Tensor) -> float:
    low, high = torch.aminmax(x.detach())
    return max(-low.item(), high.item())


def by_time_step(
    inputs: Sequence[Tensor | None],
    order: Sequence[int],
    links: Sequence[Link],
    neurons: Neurons,
    draws: Draws,
    output: int,
    begun: States,
) -> tuple[list[Tensor], Tensor, States]:
    """Run any populations time step by time step.

    Parameters
    ----------
    inputs : sequence of (T, B, size) tensors
        Currents of the network's input for each population, membrane units; None for those
        that it does not reach, but not for all.
    order : sequence of int
        In which populations are evaluated in a time step.
    links : sequence of Link
        Between populations; those that go back in ``order`` have a delay of 1 or more.
    neurons : Neurons
    draws : Draws
    output : int
        A population whose voltages are wanted.
    begun : States
        What is on its way there is up to the caller.

    Returns
    -------
    spikes : list of (B, size, T)
        Of each population.
    voltage : (B, size, T)
        At the end of each time step, membrane units.
    left : States

    Raises
    ------
    Inexact
        A state outgrew float32: call again with inputs and weights in float64.
    """
    like = next(current for current in inputs if current is not None)
    run = _Run(like, order, links, neurons, draws, begun)
    steps, voltages = [], []
    for t in range(len(like)):
        now = [None if part is None else part[t] for part in inputs]
        steps.append(run.time_step(begun.time_step + t, now))
        voltages.append(run.populations[output].v)
    spikes = [torch.stack(own, -1) for own in zip(*steps, strict=True)]
    u, v = (torch.cat(own, 1) for own in zip(*((p.u, p.v) for p in run.populations), strict=True))
    left = States(begun.time_step + len(like), u, v, run.late.left())
    return spikes, torch.stack(voltages, -1), left


class _Fire(torch.autograd.Function):
    """Fire and reset: (v after the reset, spikes). The reset is passed through."""

    @staticmethod
    def forward(ctx, v, threshold, derivative):  # type: ignore[override]
        distance = v - threshold
        ctx.save_for_backward(distance)
        ctx.derivative = derivative
        spike = above(distance)
        return v - v * spike, spike

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_v, grad_spike):  # type: ignore[override]
        (distance,) = ctx.saved_tensors
        return grad_v + grad_spike * ctx.derivative(distance), None, None


class _Population:
    """Parameters of a population, and its state (B, size)."""

    def __init__(self, neurons: Neurons, here: slice, begun: States, dtype: torch.dtype):
        self.decay_u = Decay(neurons.i_decay[here], dtype, truncate)
        self.decay_v = Decay(neurons.v_decay[here], dtype, truncate)
        self.threshold = neurons.threshold[here].to(dtype)
        self.bias = 0 if neurons.bias is None else neurons.bias[here].to(dtype)
        unit, tau, scale = (p[here].to(dtype) for p in (neurons.unit, neurons.tau, neurons.scale))
        self.derivative = lambda d: surrogate.slayer(d / unit, tau, scale) / unit
        self.u, self.v = (own[:, here].to(dtype) for own in (begun.current, begun.voltage))

    def step(self, current: Tensor) -> Tensor:
        """Spikes (B, size) of one time step."""
        self.u = self.decay_u(self.u)
        self.v = clipped(self.decay_v(self.v) + self.u + self.bias)
        self.u = wrapped(self.u + current)
        v = clipped(self.v + current)
        after: Any = _Fire.apply(v, self.threshold, self.derivative)
        self.v, spikes = after
        return spikes


class _Run:
    """One batch: populations with their state between time steps."""

    def __init__(self, like, order, links, neurons, draws, begun):
        self.order = order
        self.draws = draws
        self.immediate = [
            Immediate([link for link in links if link.source == p], like)
            for p in range(len(neurons.sizes))
        ]
        self.late = Late(links, like)
        self.firsts = np.cumsum([0, *neurons.sizes]).tolist()
        self.populations = [
            _Population(neurons, slice(first, first + size), begun, like.dtype)
            for first, size in zip(self.firsts, neurons.sizes, strict=False)
        ]

    def time_step(self, time_step: int, inputs: Sequence[Tensor | None]) -> list[Tensor]:
        """Spikes (B, size) of each population."""
        current = [
            torch.zeros_like(p.v) if part is None else part
            for p, part in zip(self.populations, inputs, strict=True)
        ]
        spikes = [torch.zeros_like(p.v) for p in self.populations]

        def add(arriving):
            for target, part in arriving:
                current[target] = current[target] + part

        add(self.late.arriving())
        for p in self.order:
            spikes[p] = self.populations[p].step(current[p])
            if self.draws.dropout.drops_spikes:
                spikes[p] = spikes[p] * self.draws.kept(time_step, 0, spikes[p], self.firsts[p])
            add(self.immediate[p].arriving(spikes))
        self.late.send(spikes)
        return spikes
