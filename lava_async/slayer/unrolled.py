"""Unlayered backprop: asynchronous execution, unrolled and differentiable.

This module defines the gradient. It runs a batch through time steps and forward steps in
PyTorch, on whole numbers held in floats, and lets autograd walk back:

- integrate, decay, release and deliver are linear (decay rounds straight through);
- what the schedule selected is a constant;
- firing has the surrogate derivative at every evaluation of a touched, non-refractory
  neuron;
- a spike gets credit for what its release caused, and `Carried` says who shares it.

Membrane units throughout: a spike through weight ``w`` is worth ``w << 6``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lava_async._semantics import dynamics as dyn
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.schedule import AsyncSchedule, Momentum
from lava_async.errors import ForwardStepLimitError, ValidationError
from lava_async.slayer import surrogate as surrogates

Deliver = Callable[[Tensor], Tensor]

_FLOAT32_EXACT = 1 << 24  # whole numbers up to here are exact in float32


class Inexact(Exception):
    """A state has outgrown the whole numbers of the dtype."""


@dataclass(frozen=True)
class Carried:
    """The credit rule: a release credits every evaluation since the neuron's last release.

    A released spike passes on the gradient of what it caused. It goes to the evaluation in
    which the neuron fired, and also to every evaluation since its previous release in
    which it was touched and stayed silent, over time steps too: a silent evaluation shares
    the credit of the spike that came later. Without it silent neurons never wake.

    Attributes
    ----------
    strength : float
        Factor on the credit of silent evaluations, >= 0.
    time_decay : float
        Factor on what is carried from one time step into the next, in 0..1.
    """

    strength: float = 1.0
    time_decay: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength < float("inf"):
            raise ValidationError("Carried", "strength", "a number >= 0", repr(self.strength))
        if not 0 <= self.time_decay <= 1:
            raise ValidationError(
                "Carried", "time_decay", "a number in 0..1", repr(self.time_decay)
            )


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


class _Truncate(torch.autograd.Function):
    """Round towards zero, straight through."""

    @staticmethod
    def forward(ctx, x):  # type: ignore[override]
        return torch.trunc(x)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        return grad


@dataclass(frozen=True)
class Neurons:
    """Parameters of all N neurons, populations one after another.

    Attributes
    ----------
    sizes : sequence of int
        Neurons of each population.
    i_decay, v_decay : (N,) float64
        In 0..4096.
    threshold : (N,) float64
        Membrane units.
    unit : (N,) float64
        Membrane units per SLAYER voltage unit.
    tau, scale : (N,) float64
        ``tau_grad * threshold`` in SLAYER's voltage units, and ``scale_grad``.
    bias : (N,) tensor, optional
        Membrane units.
    """

    sizes: Sequence[int]
    i_decay: Tensor
    v_decay: Tensor
    threshold: Tensor
    unit: Tensor
    tau: Tensor
    scale: Tensor
    bias: Tensor | None = None


def _above(distance: Tensor) -> Tensor:
    # Masks are floats here: PyTorch's kernels that mix in booleans are ten times slower.
    return torch.gt(distance, 0, out=torch.empty_like(distance))


def _nonzero(x: Tensor) -> Tensor:
    return torch.ne(x, 0, out=torch.empty_like(x))


@dataclass(frozen=True)
class Rules:
    """How gradients flow, and where the forward pass spikes and rounds.

    To check the gradient numerically, ``spike`` and ``truncate`` are replaced by smooth
    functions and ``surrogate`` by the derivative of that spike function.
    """

    credit: Carried = field(default_factory=Carried)
    surrogate: surrogates.Surrogate = surrogates.slayer
    detach_reset: bool = False
    spike: Callable[[Tensor], Tensor] = _above
    truncate: Callable[[Tensor], Any] = _Truncate.apply


class _Decay:
    """``decay`` of `lava_async._semantics.dynamics` on floats; products of 36 bits need float64."""

    def __init__(self, decay: Tensor, dtype: torch.dtype, truncate: Callable[[Tensor], Tensor]):
        self.keep = (dyn.DECAY_ONE - decay) / dyn.DECAY_ONE
        self.forgets = not bool(self.keep.any())
        self.dtype = dtype
        self.truncate = truncate

    def __call__(self, x: Tensor) -> Tensor:
        if self.forgets:
            return torch.zeros_like(x)
        return self.truncate(x.double() * self.keep).to(self.dtype)


class _Pool:
    """Which spikes wait, and which of them are released."""

    def __init__(self, schedule: AsyncSchedule, threshold: Tensor, ids: npt.NDArray[np.int64]):
        self.schedule = schedule
        self.threshold = threshold.cpu().numpy().astype(np.int64)
        self.ids = ids
        # Not a subclass of it, whose priorities may be its own.
        self.by_momentum = type(schedule) is Momentum and schedule.noise == 0
        # Momenta are whole numbers, so this fraction makes the lower index win a tie.
        neurons = len(threshold)
        index = torch.arange(neurons, dtype=torch.float64, device=threshold.device)
        self.tie = 1 - (index + 1) / neurons
        self.empty = torch.full_like(self.tie, -1)
        self.shape = (len(ids), neurons)

    def begin(self) -> None:
        """A time step begins, with an empty pool."""
        self.key = self.tie.new_full(self.shape, -1)
        self.fired_at = np.zeros(self.shape, np.int64)

    def add(self, fired: Tensor, momentum: Tensor, forward_step: int) -> None:
        """Spikes (B, N) enter the pool, or renew their momentum there."""
        self.key = torch.lerp(self.key, momentum + self.tie, fired.double())
        if not self.by_momentum:
            self.fired_at[fired.cpu().numpy() > 0] = forward_step

    def select(self, time_step: int, forward_step: int) -> Tensor | None:
        """Remove ``min(F, pool)`` spikes of each sample; None if no spike waits anywhere.

        Returns (B, N) float64, 1 where a spike is released.
        """
        if self.by_momentum:
            size = min(self.schedule.group_size, self.shape[1])
            first = self.key.topk(size, sorted=False).values
            if first.max() < 0:
                return None
            last = first.amin(1, keepdim=True).clamp_(min=0)
            chosen = torch.ge(self.key, last, out=torch.empty_like(self.key))
        else:
            rows, neurons = self._draw(time_step, forward_step)
            if len(rows) == 0:
                return None
            chosen = torch.zeros_like(self.key)
            chosen[rows, neurons] = 1
        self.key = torch.lerp(self.key, self.empty, chosen)
        return chosen

    def _draw(self, time_step: int, forward_step: int) -> tuple[npt.NDArray, npt.NDArray]:
        """Samples and neurons of the spikes to release, by the schedule's own priorities."""
        key = self.key.cpu().numpy()
        rows, neurons = np.nonzero(key >= 0)
        momenta = np.floor(key[rows, neurons]).astype(np.int64)
        priority = self.schedule.rank(
            neurons, momenta, self.threshold[neurons], self.fired_at[rows, neurons],
            self.ids[rows], time_step, forward_step,
        )  # fmt: skip
        order = np.lexsort((neurons, -priority, rows))  # sample by sample, first-ranked first
        rows, neurons = rows[order], neurons[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        chosen = rank < self.schedule.group_size
        return rows[chosen], neurons[chosen]


@dataclass(frozen=True)
class _Draws:
    """Dropout of the samples of a batch, as masks."""

    dropout: Dropout
    ids: npt.NDArray[np.int64]

    def kept(self, time_step: int, forward_step: int, like: Tensor) -> Tensor:
        """(B, N), 0 where a spike would be lost."""
        lost = self.dropout.spike_lost(
            self.ids[:, None], time_step, forward_step, np.arange(like.shape[1])
        )
        return torch.from_numpy(~lost).to(like)

    def resting(self, time_step: int, forward_step: int, fired: Tensor) -> Tensor:
        """(B, N), 1 where neurons that fired turn refractory."""
        if not self.dropout.refractory:
            return fired
        flat = np.flatnonzero(fired.cpu().numpy())
        rows, neurons = np.divmod(flat, fired.shape[1])
        stays = self.dropout.stays_awake(self.ids[rows], time_step, forward_step, neurons)
        rests = fired.clone()
        rests.view(-1)[flat[stays]] = 0
        return rests


def unlayered(
    currents: Tensor,
    deliver: Sequence[Deliver],
    neurons: Neurons,
    schedule: AsyncSchedule,
    rules: Rules,
    ids: npt.NDArray[np.int64],
    dropout: Dropout,
    max_forward_steps: int,
) -> Tensor:
    """Run a chain of populations asynchronously.

    Parameters
    ----------
    currents : (T, B, size of the first population)
        Currents of the input, membrane units.
    deliver : sequence of callables
        ``deliver[p]`` turns released spikes (B, size of p) of population p into currents of
        population p + 1, membrane units; one less than there are populations.
    neurons : Neurons
    schedule : AsyncSchedule
    rules : Rules
    ids : (B,) int64
        Sample ids, the keys of all draws.
    dropout : Dropout
        ``dropout.input`` is up to the caller.
    max_forward_steps : int
        Cap of one time step.

    Returns
    -------
    (T, B, N)
        How often each neuron fired in each time step.

    Raises
    ------
    ForwardStepLimitError
        Spikes still wait after ``max_forward_steps``.
    Inexact
        A state outgrew float32: call again with currents and weights in float64.
    """
    run = _Run(currents, deliver, neurons, schedule, rules, ids, dropout, max_forward_steps)
    return torch.stack([run.time_step(t, current) for t, current in enumerate(currents)])


class _Run:
    """One batch: constants, and the state (B, N) between time steps."""

    def __init__(
        self, currents, deliver, neurons, schedule, rules, ids, dropout, max_forward_steps
    ):
        self.deliver = deliver
        self.rules = rules
        self.sizes = list(neurons.sizes)
        self.max_forward_steps = max_forward_steps
        self.ids = ids
        self.pool = _Pool(schedule, neurons.threshold, ids)
        self.draws = _Draws(dropout, ids)

        dtype = currents.dtype
        self.decay_u = _Decay(neurons.i_decay, dtype, rules.truncate)
        self.decay_v = _Decay(neurons.v_decay, dtype, rules.truncate)
        self.threshold = neurons.threshold.to(dtype)
        self.bias = None if neurons.bias is None else neurons.bias.to(dtype)
        unit, tau, scale = (p.to(dtype) for p in (neurons.unit, neurons.tau, neurons.scale))
        self.derivative = lambda distance: rules.surrogate(distance / unit, tau, scale) / unit
        self.exact_limit = _FLOAT32_EXACT if dtype == torch.float32 else float("inf")

        self.u = currents.new_zeros(len(ids), sum(self.sizes))
        self.v = torch.zeros_like(self.u)
        self.credit = torch.zeros_like(self.u)  # its value is what waits in the pool

    def time_step(self, time_step: int, current: Tensor) -> Tensor:
        """Spikes (B, N) of one time step."""
        residual = self.boundary()
        current = self.join([current, *self.zeros(self.sizes[1:])])
        touched = torch.maximum(_nonzero(residual.detach()), _nonzero(current.detach()))
        self.awake = torch.ones_like(self.v)
        self.spikes = torch.zeros_like(self.v)
        self.pool.begin()
        forward_step = 0
        while True:
            self.integrate(current)
            self.evaluate(touched, time_step, forward_step)
            chosen = self.pool.select(time_step, forward_step)
            if chosen is None:
                return self.spikes
            if forward_step >= self.max_forward_steps:
                raise self.too_long(chosen, time_step)
            current = self.release(chosen)
            touched = _nonzero(current.detach())
            forward_step += 1

    def boundary(self) -> Tensor:
        """A time step begins: decay, add the residual, which is returned."""
        self.u = residual = self.decay_u(self.u)
        if self.bias is not None:
            residual = residual + self.bias
        self.v = self.clip(self.decay_v(self.v) + residual)
        if self.rules.credit.time_decay != 1:
            self.credit = self.credit * self.rules.credit.time_decay
        return residual

    def integrate(self, current: Tensor) -> None:
        if not self.decay_u.forgets:  # else the current is never seen again
            u = self.u + current
            self.u = u if self.fits(u) else u + self.wrap(u.detach())
        self.v = self.clip((self.v + current) * self.awake)

    def evaluate(self, touched: Tensor, time_step: int, forward_step: int) -> None:
        """Neurons fire and reset; their spikes enter the pool."""
        rules, dropout = self.rules, self.draws.dropout
        with torch.no_grad():
            v = self.v.detach()
            active = touched * self.awake
            distance = v - self.threshold
            fired = _above(distance).mul_(active)
            found = _Evaluation(
                spike=rules.spike(distance).mul_(active),
                distance=distance,
                active=active,
                kept=self.draws.kept(time_step, forward_step, v) if dropout.spike else None,
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
        *senders, _ = released.split(self.sizes, dim=1)
        arriving = [send(spikes) for send, spikes in zip(self.deliver, senders, strict=True)]
        return self.join([*self.zeros(self.sizes[:1]), *arriving])

    def zeros(self, sizes: Sequence[int]) -> list[Tensor]:
        return [self.v.new_zeros(len(self.ids), size) for size in sizes]

    def join(self, currents: list[Tensor]) -> Tensor:
        return torch.cat(currents, dim=1) if len(currents) > 1 else currents[0]

    @staticmethod
    def wrap(u: Tensor) -> Tensor:
        """What `wrap_current` adds, a constant."""
        whole = u.long()
        return (dyn.wrap_current(whole) - whole).to(u.dtype)

    def clip(self, v: Tensor) -> Tensor:
        limit = dyn.STATE_LIMIT - 1
        return v if self.fits(v) else v.clamp(-limit, limit)

    def fits(self, x: Tensor) -> bool:
        """Whether a state needs no wrap or clip."""
        low, high = torch.aminmax(x.detach())
        largest = max(-low.item(), high.item())
        if largest >= self.exact_limit:
            raise Inexact
        return largest < dyn.STATE_LIMIT

    def too_long(self, chosen: Tensor, time_step: int) -> ForwardStepLimitError:
        waiting = (chosen + (self.pool.key >= 0)).sum(1).long().cpu().numpy()
        sample = int(np.flatnonzero(waiting)[0])
        return ForwardStepLimitError(
            f"sample {self.ids[sample]}, time step {time_step}", "forward steps",
            f"rest within {self.max_forward_steps}", f"{waiting[sample]} spikes still waiting",
        )
