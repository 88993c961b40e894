"""How gradients flow through asynchronous execution, and where it spikes and rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lava_async.errors import ValidationError
from lava_async.slayer import surrogate as surrogates


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
                "Carried", "time_decay", "a number in [0, 1]", repr(self.time_decay)
            )


class _Truncate(torch.autograd.Function):
    """Round towards zero, straight through."""

    @staticmethod
    def forward(ctx, x):  # type: ignore[override]
        return torch.trunc(x)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        return grad


def truncate(x: Tensor) -> Tensor:
    result: Any = _Truncate.apply(x)
    return result


def above(distance: Tensor) -> Tensor:
    """1 where a voltage exceeds the threshold."""
    # Masks are floats here: PyTorch's kernels that mix in booleans are ten times slower.
    return torch.gt(distance, 0, out=torch.empty_like(distance))


@dataclass(frozen=True)
class Rules:
    """How gradients flow, and where the forward pass spikes and rounds.

    To check the gradient numerically, ``spike`` and ``truncate`` are replaced by smooth
    functions and ``surrogate`` by the derivative of that spike function.
    """

    credit: Carried = field(default_factory=Carried)
    surrogate: surrogates.Surrogate = surrogates.slayer
    detach_reset: bool = False
    spike: Callable[[Tensor], Tensor] = above
    truncate: Callable[[Tensor], Tensor] = truncate
