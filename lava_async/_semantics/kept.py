"""What a batch leaves behind for one that goes on where it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_STATES = 2  # rows of current and voltage


@dataclass(frozen=True)
class Kept:
    """Where B samples of N neurons are between two time steps.

    Attributes
    ----------
    time_step : int
        The one that comes next.
    rows : (B, 2 + D, N) int32
        Current and voltage, membrane units; then, for each of D time steps to come, what arrives
        there of what is under way, weight units.
    """

    time_step: int
    rows: npt.NDArray[np.int32]

    @classmethod
    def nothing(cls, batch: int, num_neurons: int) -> Kept:
        """Before the first time step."""
        return cls(0, np.zeros((batch, _STATES, num_neurons), np.int32))

    @property
    def current(self) -> npt.NDArray[np.int32]:
        """(B, N)."""
        return self.rows[:, 0]

    @property
    def voltage(self) -> npt.NDArray[np.int32]:
        """(B, N)."""
        return self.rows[:, 1]

    @property
    def late(self) -> npt.NDArray[np.int32]:
        """(B, D, N)."""
        return self.rows[:, _STATES:]

    @property
    def ahead(self) -> int:
        """D."""
        return self.rows.shape[1] - _STATES

    def of(self, samples: npt.NDArray[np.intp] | slice) -> Kept:
        """Some of the samples."""
        return Kept(self.time_step, self.rows[samples])

    def copy(self, ahead: int) -> Kept:
        """Of its own memory, with rows for so many time steps to come, at least its own."""
        missing = ((0, 0), (0, ahead - self.ahead), (0, 0))
        return Kept(self.time_step, np.pad(self.rows, missing))

    def after(self, num_steps: int, max_delay: int) -> Kept:
        """These rows as what so many time steps have left, without those that are surely 0.

        ``max_delay`` is that of what was sent in them.
        """
        ahead = max(max_delay, self.ahead - num_steps)
        return Kept(self.time_step + num_steps, self.rows[:, : _STATES + ahead])


def join(
    parts: Sequence[tuple[Kept | None, npt.NDArray[np.intp] | slice]], batch: int
) -> Kept | None:
    """One batch of parts and the samples that they are; None if they keep nothing."""
    kept = [(part, where) for part, where in parts if part is not None]
    if len(kept) < 2:
        return kept[0][0] if kept else None
    first = kept[0][0]
    ahead = max(part.ahead for part, _ in kept)
    rows = np.empty((batch, _STATES + ahead, first.rows.shape[2]), np.int32)
    for part, where in kept:
        rows[where] = part.copy(ahead).rows
    return Kept(first.time_step, rows)
