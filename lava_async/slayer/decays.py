"""Decays of SLAYER's neurons: shared by a block, or of each channel; drawn, or learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lava_async._semantics import dynamics as dyn

NAMES = ("current_decay", "voltage_decay")

Decay = int | npt.NDArray[np.int64]
"""One for all neurons, or (size,) of each."""


def whole(decay: Tensor) -> Tensor:
    """In SLAYER's 4096ths, rounded; straight through."""
    inside = decay.clamp(0, dyn.DECAY_ONE)
    return inside + (inside.detach().round() - inside.detach())


def wait(neuron: Any) -> bool:
    """Whether the decays of the channels are not drawn yet."""
    return hasattr(neuron, f"{NAMES[0]}_min")


@torch.inference_mode(False)  # what is made in it can never learn
def draw(neuron: Any) -> None:
    """One for each channel, within the limits, as SLAYER's first forward would."""
    for name in NAMES:
        low, high = getattr(neuron, f"{name}_min"), getattr(neuron, f"{name}_max")
        drawn = low + (high - low) * torch.rand(neuron.shape[0], dtype=torch.float)
        _set(neuron, name, neuron.p_scale * drawn)
    _wait_no_longer(neuron)


def make_room(neuron: Any, name: str, values: Tensor) -> None:
    """Let a decay take values of a checkpoint, drawn or not, whatever it is itself."""
    own = getattr(neuron, name)
    drawn = wait(neuron) and not torch.equal(own.detach(), values.to(own))
    if own.shape != values.shape or drawn:
        _set(neuron, name, torch.zeros_like(values))
        if wait(neuron):
            _wait_no_longer(neuron)


def _set(neuron: Any, name: str, values: Tensor) -> None:
    parameter = getattr(neuron, name)
    parameter.data = values.to(parameter)
    parameter.grad = None


def _wait_no_longer(neuron: Any) -> None:
    for name in NAMES:
        delattr(neuron, f"{name}_min")
        delattr(neuron, f"{name}_max")
