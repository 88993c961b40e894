"""Blocks that cannot learn: gradients of zero in place of none, and warnings that name them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_PASSES = 3
"""Training passes in a row: one batch without a spike may be chance."""


class Silence:
    """Watches the training passes of a network; warns once for each block and cause."""

    def __init__(self) -> None:
        self._silent: Counter[str] = Counter()
        self._without: Counter[str] = Counter()
        self._warned: set[str] = set()

    def watch(
        self, names: Sequence[str], active: Sequence[bool], weights: Sequence[Sequence[Tensor]]
    ) -> None:
        """See a training pass, whose input was not empty.

        Parameters
        ----------
        names : sequence of str
            Of the blocks with neurons, for messages.
        active : sequence of bool
            Which blocks fired at all.
        weights : sequence of sequences of tensors
            Of each block, as they ran.
        """
        silent = [name for name, fired in zip(names, active, strict=True) if not fired]
        if due := self._count(self._silent, names, silent):
            warnings.warn(
                f"{', '.join(due)}: no spike in {_PASSES} training passes in a row; a silent block "
                "passes nothing on and hardly learns: scale its weights up (weight_scale), or "
                "lower its threshold.",
                stacklevel=6,  # the caller of the network
            )
        if silent:
            return  # which is why others get no gradient
        for name, own in zip(names, weights, strict=True):
            trained = [weight for weight in own if weight.requires_grad and weight.numel()]
            watch = _Watch(self, name, len(trained))
            for weight in trained:
                weight.register_hook(watch)

    def saw(self, name: str, gradient: bool) -> None:
        """See whether a backward pass brought a block any gradient."""
        if self._count(self._without, [name], [] if gradient else [name]):
            warnings.warn(
                f"{name}: the gradient of its weights was 0 in {_PASSES} training passes in a "
                "row: widen the surrogate derivative (tau_grad) or scale it up (scale_grad), and "
                "see whether the loss depends on the spikes.",
                stacklevel=2,
            )

    def _count(self, counts: Counter[str], names: Sequence[str], found: Sequence[str]) -> list[str]:
        """Those that were found often enough in a row, for the first time."""
        for name in names:
            counts[name] = counts[name] + 1 if name in found else 0
        due = [n for n in names if counts[n] >= _PASSES and n not in self._warned]
        self._warned.update(due)
        return due


class _Watch:
    """Gradient hook of all weights of a block, for one pass."""

    def __init__(self, silence: Silence, name: str, count: int):
        self.silence, self.name, self.left = silence, name, count
        self.gradient = False

    def __call__(self, gradient: Tensor) -> None:
        self.left -= 1
        self.gradient = self.gradient or bool(gradient.abs().max())
        if self.left == 0:
            self.silence.saw(self.name, self.gradient)


class _TakePart(torch.autograd.Function):
    """A tensor, and others that take part in it: those get a gradient of 0, not None."""

    @staticmethod
    def forward(ctx, x, *others):  # type: ignore[override]
        ctx.save_for_backward(*others)
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # type: ignore[override]
        return grad, *(torch.zeros_like(other) for other in ctx.saved_tensors)


def take_part(x: Tensor, others: Sequence[Tensor]) -> Tensor:
    """``x``, in whose gradient all others have a part, if only of 0: others wait for theirs."""
    result: Any = _TakePart.apply(x, *others)
    return result
