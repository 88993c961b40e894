"""Unlayered backprop: asynchronous execution, unrolled and differentiable.

This module defines the gradient. It runs a batch through time steps and forward steps in
PyTorch, on whole numbers held in floats, and lets autograd walk back:

- integrate, decay, release and deliver are linear (decay rounds straight through), and so is
  the way of a spike over a delay;
- what the schedule selected is a constant;
- firing has the surrogate derivative at every evaluation of a touched, non-refractory
  neuron;
- a spike gets credit for what its release caused, and `Carried` says who shares it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lava_async._semantics.dropout import Dropout
from lava_async._semantics.schedule import AsyncSchedule
from lava_async.errors import ForwardStepLimitError
from lava_async.slayer.draws import Draws
from lava_async.slayer.links import Immediate, Late, Link
from lava_async.slayer.neurons import Decay, Neurons, States, clipped, wrapped
from lava_async.slayer.pool import Pool
from lava_async.slayer.rules import Rules, above


@dataclass(frozen=True)
class _Evaluation:
    """What one evaluation found, all (B, N): constants on the way back.

    spike : value of the spike function; 0 or 1 unless it is smoothed.
    distance : voltage above threshold.
    active : 1 where a neuron is touched and not refractory.
    kept : 0 where spike dropout would lose a spike, or None.
    share : how much of the credit of a later release the evaluation gets, or None for 1.
    """

    spike: Tensor
    distance: Tensor
    active: Tensor
    kept: Tensor | None
    share: Tensor | None
    derivative: Callable[[Tensor], Tensor]
    detach_reset: bool


class _Fire(torch.autograd.Function):
    """Fire and reset: (v, credit, spikes) before and after an evaluation."""

    @staticmethod
    def forward(ctx, v, credit, spikes, found: _Evaluation):  # type: ignore[override]
        ctx.save_for_backward(v)
        ctx.found = found
        kept = found.spike if found.kept is None else found.spike * found.kept
        credited = kept if found.share is None else kept * found.share
        return torch.addcmul(v, v, found.spike, value=-1), credit + credited, spikes + kept

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_v, grad_credit, grad_spikes):  # type: ignore[override]
        (v,) = ctx.saved_tensors
        found = ctx.found
        shared = grad_credit if found.share is None else grad_credit * found.share
        grad_spike = shared + grad_spikes
        if found.kept is not None:
            grad_spike *= found.kept
        if not found.detach_reset:
            grad_spike = grad_spike.addcmul_(grad_v, v, value=-1)
        grad_spike *= found.active
        passed = torch.addcmul(grad_v, grad_v, found.spike, value=-1)
        passed.addcmul_(grad_spike, found.derivative(found.distance))
        return passed, grad_credit, grad_spikes, None


class _Release(torch.autograd.Function):
    """Take the credit of the chosen neurons: (what they deliver, what stays)."""

    @staticmethod
    def forward(ctx, credit, chosen):  # type: ignore[override]
        ctx.save_for_backward(chosen)
        released = credit * chosen
        return released, credit - released

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_released, grad_credit):  # type: ignore[override]
        (chosen,) = ctx.saved_tensors
        return torch.lerp(grad_credit, grad_released, chosen), None


def _nonzero(x: Tensor) -> Tensor:
    return torch.ne(x, 0, out=torch.empty_like(x))


def unlayered(
    inputs: Sequence[Tensor | None],
    links: Sequence[Link],
    neurons: Neurons,
    schedule: AsyncSchedule,
    rules: Rules,
    ids: npt.NDArray[np.int64],
    dropout: Dropout,
    max_forward_steps: int,
    output: int,
    begun: States,
) -> tuple[Tensor, Tensor, States]:
    """Run populations asynchronously.

    Parameters
    ----------
    inputs : sequence of (T, B, size) tensors
        Currents of the network's input for each population, membrane units; None for those
        that it does not reach, but not for all.
    links : sequence of Link
        Between populations.
    neurons : Neurons
    schedule : AsyncSchedule
    rules : Rules
    ids : (B,) int64
        Sample ids, the keys of all draws.
    dropout : Dropout
        ``dropout.input`` is up to the caller.
    max_forward_steps : int
        Cap of one time step.
    output : int
        A population whose voltages are wanted.
    begun : States
        What is on its way there is up to the caller.

    Returns
    -------
    spikes : (T, B, N)
        How often each neuron fired in each time step.
    voltage : (T, B, size)
        At the end of each time step, membrane units.
    left : States

    Raises
    ------
    ForwardStepLimitError
        Spikes still wait after ``max_forward_steps``.
    Inexact
        A state outgrew float32: call again with inputs and weights in float64.
    """
    like = next(current for current in inputs if current is not None)
    run = _Run(like, links, neurons, schedule, rules, ids, dropout, max_forward_steps, begun)
    first = sum(neurons.sizes[:output])
    here = slice(first, first + neurons.sizes[output])
    spikes, voltages = [], []
    for t in range(len(like)):
        now = [None if part is None else part[t] for part in inputs]
        spikes.append(run.time_step(begun.time_step + t, now))
        voltages.append(run.v[:, here])
    left = States(begun.time_step + len(like), run.u, run.v, run.late.left())
    return torch.stack(spikes), torch.stack(voltages), left


class _Run:
    """One batch: constants, and the state (B, N) between time steps."""

    def __init__(
        self, like, links, neurons, schedule, rules, ids, dropout, max_forward_steps, begun
    ):  # fmt: skip
        self.rules = rules
        self.sizes = list(neurons.sizes)
        self.max_forward_steps = max_forward_steps
        self.ids = ids
        self.pool = Pool(schedule, neurons.threshold, ids)
        self.draws = Draws(dropout, ids)
        self.immediate, self.late = Immediate(links, like), Late(links, like)

        dtype = like.dtype
        self.decay_u = Decay(neurons.i_decay, dtype, rules.truncate)
        self.decay_v = Decay(neurons.v_decay, dtype, rules.truncate)
        self.threshold = neurons.threshold.to(dtype)
        self.bias = None if neurons.bias is None else neurons.bias.to(dtype)
        unit, tau, scale = (p.to(dtype) for p in (neurons.unit, neurons.tau, neurons.scale))
        self.derivative = lambda distance: rules.surrogate(distance / unit, tau, scale) / unit

        self.u, self.v = begun.current.to(like), begun.voltage.to(like)
        self.credit = torch.zeros_like(self.u)  # its value is what waits in the pool

    def time_step(self, time_step: int, inputs: Sequence[Tensor | None]) -> Tensor:
        """Spikes (B, N) of one time step."""
        residual = self.boundary()
        given = [(target, part) for target, part in enumerate(inputs) if part is not None]
        current = self.join([*given, *self.late.arriving()])
        touched = torch.maximum(_nonzero(residual.detach()), _nonzero(current.detach()))
        self.awake = torch.ones_like(self.v)
        self.spikes = torch.zeros_like(self.v)
        self.sent = torch.zeros_like(self.v)
        self.pool.begin()
        forward_step = 0
        while True:
            self.integrate(current)
            self.evaluate(touched, time_step, forward_step)
            chosen = self.pool.select(time_step, forward_step)
            if chosen is None:
                break
            if forward_step >= self.max_forward_steps:
                raise self.too_long(chosen, time_step)
            current = self.release(chosen)
            touched = _nonzero(current.detach())
            forward_step += 1
        if self.late.any:
            self.late.send(self.sent.split(self.sizes, dim=1))
        return self.spikes

    def boundary(self) -> Tensor:
        """A time step begins: decay, add the residual, which is returned."""
        self.u = residual = self.decay_u(self.u)
        if self.bias is not None:
            residual = residual + self.bias
        self.v = clipped(self.decay_v(self.v) + residual)
        if self.rules.credit.time_decay != 1:
            self.credit = self.credit * self.rules.credit.time_decay
        return residual

    def integrate(self, current: Tensor) -> None:
        self.u = wrapped(self.u + current)
        self.v = clipped((self.v + current) * self.awake)

    def evaluate(self, touched: Tensor, time_step: int, forward_step: int) -> None:
        """Neurons fire and reset; their spikes enter the pool."""
        rules, dropout = self.rules, self.draws.dropout
        with torch.no_grad():
            v = self.v.detach()
            active = touched * self.awake
            distance = v - self.threshold
            fired = above(distance).mul_(active)
            found = _Evaluation(
                spike=rules.spike(distance).mul_(active),
                distance=distance,
                active=active,
                kept=self.draws.kept(time_step, forward_step, v) if dropout.drops_spikes else None,
                share=None if rules.credit.strength == 1
                else fired + (1 - fired) * rules.credit.strength,
                derivative=self.derivative,
                detach_reset=rules.detach_reset,
            )
            kept = fired if found.kept is None else fired * found.kept
            self.pool.add(kept, v, forward_step)
            self.awake = self.awake - self.draws.resting(time_step, forward_step, fired)
        after: Any = _Fire.apply(self.v, self.credit, self.spikes, found)
        self.v, self.credit, self.spikes = after

    def release(self, chosen: Tensor) -> Tensor:
        """Deliver the chosen spikes with all the credit they have gathered."""
        split: Any = _Release.apply(self.credit, chosen.to(self.credit))
        released, self.credit = split
        if self.late.any:
            self.sent = self.sent + released
        return self.join(self.immediate.arriving(released.split(self.sizes, dim=1)))

    def join(self, arriving: Iterable[tuple[int, Tensor]]) -> Tensor:
        """(B, N) of the currents of each target."""
        currents: list[Tensor | None] = [None] * len(self.sizes)
        for target, current in arriving:
            before = currents[target]
            currents[target] = current if before is None else before + current
        parts = [
            self.v.new_zeros(len(self.ids), size) if current is None else current
            for size, current in zip(self.sizes, currents, strict=True)
        ]
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def too_long(self, chosen: Tensor, time_step: int) -> ForwardStepLimitError:
        waiting = (chosen + (self.pool.key >= 0)).sum(1).long().cpu().numpy()
        sample = int(np.flatnonzero(waiting)[0])
        return ForwardStepLimitError(
            f"sample {self.ids[sample]}, time step {time_step}", "forward steps",
            f"rest within {self.max_forward_steps}", f"spikes still waiting: {waiting[sample]}",
        )
