"""Which spikes wait in the pool, and which of them the schedule releases, for a batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lava_async._semantics.schedule import SCHEDULES, AsyncSchedule, Momentum


class Pool:
    """Which spikes wait, and which of them are released."""

    def __init__(self, schedule: AsyncSchedule, threshold: Tensor, ids: npt.NDArray[np.int64]):
        self.schedule = schedule
        self.threshold = threshold.cpu().numpy().astype(np.int64)
        self.ids = ids
        # Not subclasses: their priorities may be their own, and one sample at a time.
        self.known = type(schedule) in SCHEDULES.values()
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
            rows, neurons = self._rank(time_step, forward_step)
            if len(rows) == 0:
                return None
            chosen = torch.zeros_like(self.key)
            chosen[rows, neurons] = 1
        self.key = torch.lerp(self.key, self.empty, chosen)
        return chosen

    def _rank(self, time_step: int, forward_step: int) -> tuple[npt.NDArray, npt.NDArray]:
        """Samples and neurons of the spikes to release, by the schedule's own priorities."""
        key = self.key.cpu().numpy()
        rows, neurons = np.nonzero(key >= 0)
        momenta = np.floor(key[rows, neurons]).astype(np.int64)
        thresholds, fired_at = self.threshold[neurons], self.fired_at[rows, neurons]
        if not self.known:
            released = [np.zeros(0, np.intp)]
            for sample in np.unique(rows):
                here = np.flatnonzero(rows == sample)
                chosen = self.schedule.select(
                    neurons[here], momenta[here], thresholds[here], fired_at[here],
                    int(self.ids[sample]), time_step, forward_step,
                )
                released.append(here[chosen])
            places = np.concatenate(released)
            return rows[places], neurons[places]
        priority = self.schedule.rank(
            neurons, momenta, thresholds, fired_at, self.ids[rows], time_step, forward_step
        )
        order = np.lexsort((neurons, -priority, rows))  # sample by sample, first-ranked first
        rows, neurons = rows[order], neurons[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        chosen = rank < self.schedule.group_size
        return rows[chosen], neurons[chosen]
