"""SLAYER's norms of a neuron's current: a bias, and a power of two of its weights.

SLAYER subtracts the mean of its channel from the current that drives a voltage
(`MeanOnlyBatchNorm`), and divides it by a power of two (`WgtScaleBatchNorm`). On a chip that is a
bias, and weights so many times as small, which run here in training, too: by statistics of the
batches before, where SLAYER takes those of the batch that runs, which nobody knows before
neurons have run that do not wait for each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lava.lib.dl.slayer.neuron import norm as norms
from torch import Tensor

from lava_async._semantics import dynamics as dyn
from lava_async.errors import UnsupportedError, ValidationError
from lava_async.slayer import plain

KINDS = (norms.MeanOnlyBatchNorm, norms.WgtScaleBatchNorm)


def check(where: str, norm: Any) -> None:
    """Raise `UnsupportedError` unless a norm is SLAYER's.

    Raises
    ------
    ValidationError
        Its statistics are not finite.
    """
    kind = next((kind for kind in KINDS if isinstance(norm, kind)), KINDS[0])
    plain.refuse_overrides(where, "neuron norm", norm, kind)
    plain.refuse_hooks(where, "neuron norm", norm)
    try:
        with torch.no_grad():
            _ = norm.bias
    except TypeError as error:
        wanted = "a quantizer such as quantize_8bit"
        raise UnsupportedError(where, "neuron norm pre_hook_fx", wanted, error) from error
    for name, statistic in norm.named_buffers():
        if not bool(statistic.isfinite().all()):
            got = "nan or inf: training diverged?"
            raise ValidationError(where, f"neuron norm {name}", "finite numbers", got)


def divisor(norm: Any) -> float:
    """The power of two that the current is divided by."""
    return float(norm.std(norm.running_var)) if isinstance(norm, KINDS[1]) else 1.0


def bias(norm: Any, channels: int) -> Tensor:
    """(channels,) bias mantissas, whole numbers; constant, as far as a gradient is concerned."""
    with torch.no_grad():
        mantissas = torch.round(norm.bias / divisor(norm))
        return mantissas.clamp(dyn.BIAS_MIN, dyn.BIAS_MAX).expand(channels)


def divided(norm: Any, weight: Tensor) -> Tensor:
    """Whole weights as the norm leaves them, rounded; straight through, but past the limits."""
    by = divisor(norm)
    if by == 1:
        return weight
    exact = weight / by
    whole = exact + (exact.detach().round() - exact.detach())
    return whole.clamp(dyn.WEIGHT_MIN, dyn.WEIGHT_MAX)


def learns(norm: Any) -> bool:
    """Whether a training pass changes its statistics."""
    return norm is not None and norm.training and norm.update is True


def is_new(norm: Any) -> bool:
    """Whether it has seen no batch yet."""
    return not any(bool(statistic.any()) for statistic in norm.buffers())


def prepare(norm: Any) -> None:
    """Let one that is new change nothing in the pass that it first sees."""
    if isinstance(norm, KINDS[1]):
        norm.running_var = torch.full_like(norm.running_var, 1 - norm.eps)


def make_room(norm: Any, values: Tensor) -> None:
    """Let the means take values of a checkpoint, of each channel or of all."""
    if norm.running_mean.shape != values.shape:
        norm.running_mean = norm.running_mean.new_zeros(values.shape)


def see(
    norm: Any, current: npt.NDArray[np.int32], channels: int, scale: float, first: bool
) -> None:
    """Take up the statistics of a batch, as SLAYER does in a forward pass.

    Parameters
    ----------
    norm : MeanOnlyBatchNorm or WgtScaleBatchNorm
    current : (B, T, size) int32
        At the end of each time step, membrane units.
    channels : int
    scale : float
        Membrane units in SLAYER's unit.
    first : bool
        Whether there are none of batches before.
    """
    share = 1.0 if first else float(norm.momentum)
    scale /= divisor(norm)  # what the weights are divided by, the currents are
    device = norm.running_mean.device
    by_channel = current.reshape(*current.shape[:2], channels, -1)
    mean = by_channel.mean((0, 1, 3), dtype=np.float64) / scale
    seen = torch.tensor(mean, dtype=torch.float32, device=device)
    norm.num_features = channels
    norm.running_mean = (1 - share) * norm.running_mean + share * seen
    if isinstance(norm, KINDS[1]):
        count = current.size / channels
        variance = current.var(dtype=np.float64) / scale**2 * count / (count + 1)
        seen = torch.tensor([variance], dtype=torch.float32, device=device)
        norm.running_var = (1 - share) * norm.running_var + share * seen
