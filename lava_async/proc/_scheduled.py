"""What processes that run a whole schedule share: its settings, samples and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lava_async._semantics import random
from lava_async._semantics.schedule import Schedule, check_schedule, check_stop_after
from lava_async.errors import ValidationError
from lava_async.proc._ports import OutPort
from lava_async.proc._vars import COUNT, FLAG, CheckedVar
from lava_async.proc._wiring import WiredProcess


class ScheduledProcess(WiredProcess):
    """Base of `SpikeScheduler` and `lava_async.netx.Network`, which describe the parameters.

    Attributes
    ----------
    trace : OutPort, (3 + 2 * N,)
        For recording: forward steps, synaptic operations and overflows of the time step,
        then, for each neuron, ``fired_at`` and ``released_at`` of `Record`. Costs
        nothing unless it is connected.
    spike_count : CheckedVar, (N,)
        Spikes of each neuron since the start.
    forward_steps, synops, overflows : CheckedVar, (1,)
        Of the last time step, see `Record`.
    total_forward_steps, total_synops, total_overflows : CheckedVar, (1,)
        Since the start, 64-bit. Resets leave all counts alone; set them to begin anew.
    reset : CheckedVar, (1,)
        Set to 1 for a reset before the next time step; returns to 0 by itself.

    Raises
    ------
    ValidationError
        A setting is outside what is described there.
    """

    NUMBERS = ("forward_steps", "synops", "overflows")
    SHARED_VARS = ("spike_count", *NUMBERS, *(f"total_{name}" for name in NUMBERS), "reset")

    def __init__(
        self,
        num_neurons: int,
        schedule: Schedule,
        *,
        stop_after: int | None,
        reset_interval: int | None,
        reset_offset: int,
        sample_ids: Sequence[int] | None,
        **arguments: Any,
    ) -> None:
        where = type(self).__name__
        schedule = check_schedule(where, schedule)
        if reset_interval is not None:
            reset_interval = _check_whole(where, "reset_interval", reset_interval, 1)
            reset_offset = _check_whole(where, "reset_offset", reset_offset, 0) % reset_interval
        super().__init__(
            schedule=schedule,
            stop_after=check_stop_after(schedule, stop_after),
            reset_interval=reset_interval,
            reset_offset=reset_offset,
            sample_ids=_check_sample_ids(where, sample_ids),
            **arguments,
        )
        self.schedule = schedule
        self.trace = OutPort(shape=(3 + 2 * num_neurons,))
        self.spike_count = CheckedVar((num_neurons,), 0, COUNT)
        self.forward_steps = CheckedVar((1,), 0, COUNT)
        self.synops = CheckedVar((1,), 0, COUNT)
        self.overflows = CheckedVar((1,), 0, COUNT)
        self.total_forward_steps = CheckedVar((1,), 0, COUNT)
        self.total_synops = CheckedVar((1,), 0, COUNT)
        self.total_overflows = CheckedVar((1,), 0, COUNT)
        self.reset = CheckedVar((1,), 0, FLAG)


def _check_whole(where: str, what: str, value: object, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise ValidationError(where, what, f"an integer >= {low}", repr(value))
    return int(value)


def _check_sample_ids(where: str, sample_ids: Sequence[int] | None) -> tuple[int, ...] | None:
    if sample_ids is None:
        return None
    ids = tuple(_check_whole(where, "sample_ids", i, 0) for i in sample_ids)
    if not ids or max(ids) > random.MAX_INDEX:
        raise ValidationError(where, "sample_ids", "one or more, 0 <= id < 2**32", sample_ids)
    return ids
