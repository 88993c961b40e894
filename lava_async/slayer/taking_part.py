"""Gradients of zero in place of none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


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
