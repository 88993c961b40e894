"""Events as frames with the time axis last, as SLAYER and Lava want them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lava_async.errors import ValidationError

EVENT_DTYPE = np.dtype([("x", np.int64), ("y", np.int64), ("t", np.int64), ("p", np.int64)])
"""One event, as tonic's data sets have it: pixel x and y, time in µs, polarity (1: brighter)."""


def to_frames(
    events: npt.NDArray,
    sensor_size: tuple[int, int, int],
    time_window_us: int = 10_000,
    num_steps: int = 10,
    *,
    binary: bool = False,
) -> npt.NDArray[np.uint8]:
    """Count events per polarity, pixel and time window.

    The windows start at time 0, whenever the first event comes, so that all samples share
    one clock: ``tonic.transforms.ToFrame(sensor_size, time_window=…, start_time=0,
    end_time=num_steps * time_window_us)`` with its time axis moved to the end.

    Parameters
    ----------
    events : (M,) structured array
        Fields x, y, t (µs) and p; events after the last window are left out.
    sensor_size : (W, H, P)
        Width, height and number of polarities, tonic's order.
    time_window_us : int
        Length of one time step in µs.
    num_steps : int
        Number of time steps T.
    binary : bool
        0/1 instead of counts.

    Returns
    -------
    (P, H, W, T) uint8
        Counts, at most 255.

    Raises
    ------
    ValidationError
        If an event lies outside the sensor or before time 0.
    """
    for what, value in (("time_window_us", time_window_us), ("num_steps", num_steps)):
        if value < 1:
            raise ValidationError("to_frames", what, "at least 1", value)
    width, height, polarities = sensor_size
    step = events["t"] // time_window_us
    for field, limit in (("x", width), ("y", height), ("p", polarities)):
        outside = (events[field] < 0) | (events[field] >= limit)
        if outside.any():
            got = events[field][outside][0]
            raise ValidationError("to_frames", field, f"0 <= {field} < {limit}", got)
    if (step < 0).any():
        raise ValidationError("to_frames", "t", "at least 0", events["t"].min())

    seen = step < num_steps
    shape = (polarities, height, width, num_steps)
    place = np.ravel_multi_index(
        (events["p"][seen].astype(np.intp), events["y"][seen], events["x"][seen], step[seen]),
        shape,
    )
    counts = np.bincount(place, minlength=int(np.prod(shape)))
    return np.minimum(counts, 1 if binary else 255).astype(np.uint8).reshape(shape)
