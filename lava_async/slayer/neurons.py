"""The neurons' arithmetic on whole numbers held in floats, for a batch.

Membrane units throughout: a spike through weight ``w`` is worth ``w << 6``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lava_async._semantics import dynamics as dyn

FLOAT32_EXACT = 1 << 24
"""Whole numbers up to here are exact in float32, in any order of summation."""


class Inexact(Exception):
    """A state has outgrown the whole numbers of the dtype."""


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


@dataclass(frozen=True)
class States:
    """Where a batch is between two time steps.

    Attributes
    ----------
    time_step : int
        The one that comes next.
    current, voltage : (B, N) tensors
        Membrane units.
    late : iterable of lists of (int, tensor)
        Populations and the currents (B, size) on their way to them, for each time step to come.
    """

    time_step: int
    current: Tensor
    voltage: Tensor
    late: Iterable[Sequence[tuple[int, Tensor]]] = ()


class Decay:
    """``decay`` of `lava_async._semantics.dynamics` on floats; products of 36 bits need float64."""

    def __init__(self, decay: Tensor, dtype: torch.dtype, truncate: Callable[[Tensor], Tensor]):
        self.keep = (dyn.DECAY_ONE - decay) / dyn.DECAY_ONE
        # One that learns need not forget for ever.
        self.forgets = not (self.keep.requires_grad or bool(self.keep.any()))
        self.dtype = dtype
        self.truncate = truncate

    def __call__(self, x: Tensor) -> Tensor:
        if self.forgets:
            return torch.zeros_like(x)
        return self.truncate(x.double() * self.keep).to(self.dtype)


def wrapped(u: Tensor) -> Tensor:
    """A current in 24 bits; what wrapping adds is a constant."""
    if _fits(u):
        return u
    whole = u.detach().long()
    return u + (dyn.wrap_current(whole) - whole).to(u.dtype)


def clipped(v: Tensor) -> Tensor:
    """A voltage in 24 bits."""
    limit = dyn.STATE_LIMIT - 1
    return v if _fits(v) else v.clamp(-limit, limit)


def _fits(x: Tensor) -> bool:
    """Whether a state needs no wrap or clip.

    Raises
    ------
    Inexact
        It may be no whole number any more.
    """
    low, high = torch.aminmax(x.detach())
    largest = max(-low.item(), high.item())
    if x.dtype == torch.float32 and largest >= FLOAT32_EXACT:
        raise Inexact
    return largest < dyn.STATE_LIMIT
