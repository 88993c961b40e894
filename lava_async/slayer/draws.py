"""Dropout of the samples of a batch, as masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lava_async._semantics.dropout import Dropout


@dataclass(frozen=True)
class Draws:
    """Dropout of the samples of a batch, as masks."""

    dropout: Dropout
    ids: npt.NDArray[np.int64]

    def kept(self, time_step: int, forward_step: int, like: Tensor, first: int = 0) -> Tensor:
        """(B, n), 0 where a spike of the n neurons from ``first`` on would be lost."""
        neurons = first + np.arange(like.shape[1])
        lost = self.dropout.spike_lost(self.ids[:, None], time_step, forward_step, neurons)
        return torch.from_numpy(~lost).to(like)

    def kept_over_time(self, first: int, like: Tensor) -> Tensor:
        """(B, n, T), 0 where a spike would be lost, with one evaluation a time step."""
        neurons = first + np.arange(like.shape[1])[:, None]
        steps = np.arange(like.shape[2])
        lost = self.dropout.spike_lost(self.ids[:, None, None], steps, 0, neurons)
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


