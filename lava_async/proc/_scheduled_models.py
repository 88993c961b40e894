"""What the process models of `ScheduledProcess` share."""

# Lava declares ports and Vars as annotations whose value is only a description.
# pyright: reportAssignmentType=false

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType


class AbstractPyScheduledModel(PyLoihiProcessModel):
    """Resets, samples and counts.

    Bit widths: counts 64, of which Lava's messages carry those below 2**53 exactly.
    """

    trace: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    spike_count: np.ndarray = LavaPyType(np.ndarray, np.int64)
    forward_steps: np.ndarray = LavaPyType(np.ndarray, np.int64)
    synops: np.ndarray = LavaPyType(np.ndarray, np.int64)
    overflows: np.ndarray = LavaPyType(np.ndarray, np.int64)
    total_forward_steps: np.ndarray = LavaPyType(np.ndarray, np.int64)
    total_synops: np.ndarray = LavaPyType(np.ndarray, np.int64)
    total_overflows: np.ndarray = LavaPyType(np.ndarray, np.int64)
    reset: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._reset_interval: int | None = proc_params["reset_interval"]
        self._reset_offset: int = proc_params["reset_offset"]
        self._sample_ids: tuple[int, ...] | None = proc_params["sample_ids"]
        self._first_sample = self._sample_id(0)
        # Without an interval the first sample has begun; with one, the first reset begins it.
        self._samples_begun = 1 if self._reset_interval is None else 0

    def _sample_id(self, index: int) -> int:
        ids = self._sample_ids
        return index if ids is None else ids[index % len(ids)]

    def _reset_is_due(self) -> bool:
        interval = self._reset_interval
        if interval is not None and (self.time_step - 1) % interval == self._reset_offset:
            return True
        return bool(self.reset[0])

    def _next_sample(self) -> int | None:
        """Id of the sample that begins before this time step, with a reset; None: none does."""
        if not self._reset_is_due():
            return None
        sample = self._sample_id(self._samples_begun)
        self._samples_begun += 1
        self.reset[:] = 0
        return sample

    def _count(
        self,
        forward_steps: int,
        synops: int,
        overflows: int,
        fired_at: npt.NDArray[np.integer],
        released_at: npt.NDArray[np.integer],
    ) -> None:
        """Count what happened in this time step, and tell whoever listens to ``trace``."""
        self.spike_count += fired_at >= 0
        self._add(forward_steps, synops, overflows)
        if self.trace.csp_ports:
            self._tell(fired_at, released_at)

    def _add(self, forward_steps: int, synops: int, overflows: int) -> None:
        """Count all but the spikes."""
        self.forward_steps[:] = forward_steps
        self.synops[:] = synops
        self.overflows[:] = overflows
        self.total_forward_steps += forward_steps
        self.total_synops += synops
        self.total_overflows += overflows

    def _tell(
        self, fired_at: npt.NDArray[np.integer], released_at: npt.NDArray[np.integer]
    ) -> None:
        """Send the counts of this time step, and what each neuron did, to ``trace``."""
        numbers = (self.forward_steps[0], self.synops[0], self.overflows[0])
        self.trace.send(np.concatenate([numbers, fired_at, released_at]))
