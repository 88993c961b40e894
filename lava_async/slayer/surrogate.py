"""Surrogate derivatives: what stands in for the derivative of the spike function.

A surrogate is any callable ``(distance, tau, scale) -> derivative`` on tensors, with

distance : (B, N)
    Voltage minus threshold, in SLAYER's voltage units.
tau : (N,)
    ``tau_grad * threshold`` of each neuron, SLAYER's voltage units.
scale : (N,)
    ``scale_grad`` of each neuron.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from lava_async._kernel import training
from lava_async.errors import ValidationError

Surrogate = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

# The heuristic factors of SLAYER's CUBA neuron (`lava.lib.dl.slayer.neuron.cuba`).
_TAU_MULTIPLIER = 100
_SCALE_MULTIPLIER = 0.1


def slayer(distance: torch.Tensor, tau: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """SLAYER's own: a two-sided exponential of area ``0.1 * scale_grad``."""
    width = tau * _TAU_MULTIPLIER
    height = scale * _SCALE_MULTIPLIER / 2 / width
    return torch.exp(distance.abs() / -width) * height


def arctan(distance: torch.Tensor, tau: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """``scale / (1 + (distance / tau)**2)``, the derivative of an arcus tangent."""
    return scale / ((distance / tau).square() + 1)


def fast_sigmoid(distance: torch.Tensor, tau: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """``scale / (1 + |distance| / tau)**2``, the derivative of a fast sigmoid."""
    return scale / ((distance / tau).abs() + 1).square()


SURROGATES: dict[str, Surrogate] = {
    "slayer": slayer,
    "arctan": arctan,
    "fast_sigmoid": fast_sigmoid,
}


class Compiled(NamedTuple):
    """A surrogate derivative in the kernel, membrane units."""

    kind: int
    width: float
    height: float


COMPILED: dict[Surrogate, Callable[[float, float, float], Compiled]] = {
    slayer: lambda unit, tau, scale: Compiled(
        training.EXPONENTIAL,
        unit * tau * _TAU_MULTIPLIER,
        scale * _SCALE_MULTIPLIER / 2 / (tau * _TAU_MULTIPLIER) / unit,
    ),
    arctan: lambda unit, tau, scale: Compiled(training.ARCTAN, unit * tau, scale / unit),
    fast_sigmoid: lambda unit, tau, scale: Compiled(
        training.FAST_SIGMOID, unit * tau, scale / unit
    ),
}
"""What the kernel computes itself, from membrane units per voltage unit, tau and scale."""


def resolve(surrogate: str | Surrogate) -> Surrogate:
    """The surrogate of that name, or the callable itself."""
    if isinstance(surrogate, str) and surrogate in SURROGATES:
        return SURROGATES[surrogate]
    if not callable(surrogate):
        wanted = f"one of {', '.join(SURROGATES)}, or a callable"
        raise ValidationError("Network", "surrogate", wanted, repr(surrogate))
    return surrogate
