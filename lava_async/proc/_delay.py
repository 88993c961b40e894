"""Spikes on their way through axons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lava_async._semantics.connections import check_delay
from lava_async.errors import GraphError
from lava_async.proc._vars import Ints


def check_delays(where: str, what: str, delay: npt.ArrayLike, size: int) -> Ints | None:
    """Delays of so many neurons, (size,); None where none is late.

    Raises
    ------
    GraphError
        ``delay`` is neither one integer in 0..62 nor one for each neuron.
    """
    if np.shape(delay) not in ((), (size,)):
        raise GraphError(where, what, f"one, or shape ({size},)", f"shape {np.shape(delay)}")
    delays = np.broadcast_to(check_delay(where, what, delay), size).astype(np.int64)
    return delays if delays.any() else None


class DelayLine:
    """What is under way from each source, by the time step in which it arrives.

    Parameters
    ----------
    delays : (size,) int64
        In time steps.
    """

    def __init__(self, delays: Ints) -> None:
        self._delays = delays
        self._sources = np.arange(len(delays))
        self._arriving = np.zeros((int(delays.max()) + 1, len(delays)), np.int32)

    @property
    def ahead(self) -> bool:
        """Whether what arrives in a time step was sent in earlier ones."""
        return bool(self._delays.all())

    def send(self, spikes: npt.NDArray[np.number], time_step: int) -> None:
        """Spike counts (size,) set out."""
        slots = (time_step + self._delays) % len(self._arriving)
        self._arriving[slots, self._sources] += spikes.astype(np.int32)

    def send_late(self, neurons: Ints, time_step: int) -> Ints:
        """One spike of each of these neurons sets out; returns those that arrive at once."""
        delays = self._delays[neurons]
        late = delays > 0
        slots = (time_step + delays[late]) % len(self._arriving)
        self._arriving[slots, neurons[late]] += 1
        return neurons[~late]

    def take(self, time_step: int) -> Ints:
        """Spike counts (size,) that arrive now."""
        slot = self._arriving[time_step % len(self._arriving)]
        spikes = slot.astype(np.int64)
        slot[:] = 0
        return spikes

    def exchange(self, spikes: npt.NDArray[np.number], time_step: int) -> Ints:
        """Spike counts (size,) set out; returns those that arrive now, undelayed ones too."""
        self.send(spikes, time_step)
        return self.take(time_step)

    def absorb(self, other: DelayLine) -> None:
        """Take over what is under way in another line of the same delays."""
        self._arriving += other._arriving
        other.clear()

    def clear(self) -> None:
        self._arriving[:] = 0
