"""Checks of a sample's events, field by field, and their places in a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async.errors import ValidationError


@dataclass(frozen=True)
class Sensor:
    """Where events come from, and how they are put into frames.

    Attributes
    ----------
    width, height : int
        Pixels, or channels and 1.
    polarities : tuple of int
        The values of p, in the order that frames have them.
    pool : int
        So many pixels across and down become one input.
    """

    width: int
    height: int
    polarities: tuple[int, ...]
    pool: int = 1

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(P, H, W) of a frame."""
        return (
            len(self.polarities), -(-self.height // self.pool), -(-self.width // self.pool)
        )  # fmt: skip


def check(events: npt.NDArray, sensor: Sensor, where: str) -> None:
    """Refuse events that no such sensor sends.

    Parameters
    ----------
    events : (E,) structured array
        Fields x, t (µs) and p, and y where the sensor is more than one pixel high; in any order.
    sensor : Sensor
    where : str
        Of which sample, for the message.

    Raises
    ------
    ValidationError
        A field is missing; x, y or p is none of the sensor's; or time stamps are negative or
        decrease.
    """
    wanted = ["x", "y", "t", "p"] if sensor.height > 1 else ["x", "t", "p"]
    names = events.dtype.names or ()
    if missing := [name for name in wanted if name not in names]:
        raise ValidationError(where, "fields", ", ".join(wanted), f"no {', '.join(missing)}")
    for name, limit in (("x", sensor.width), ("y", sensor.height)):
        if name in wanted:
            outside = (events[name] < 0) | (events[name] >= limit)
            _refuse(where, name, f"0 <= {name} < {limit}", events[name], outside)
    _refuse(where, "t", "at least 0", events["t"], events["t"] < 0)
    back = np.flatnonzero(np.diff(events["t"].astype(np.int64)) < 0)
    if back.size:
        before, after = events["t"][back[0] : back[0] + 2]
        raise ValidationError(where, "t", f"at least {before}, as before", after)
    known = " or ".join(map(str, sensor.polarities))
    strange = ~np.isin(events["p"].astype(np.int64), sensor.polarities)
    _refuse(where, "p", known, events["p"], strange)


def _refuse(
    where: str, field: str, wanted: str, values: npt.NDArray, wrong: npt.NDArray[np.bool_]
) -> None:
    if wrong.any():
        raise ValidationError(where, field, wanted, values[wrong][0])


def places(
    events: npt.NDArray, sensor: Sensor, bin_us: int, num_steps: int
) -> npt.NDArray[np.int64]:
    """Flat indices in a frame (P, H, W, T) of checked events; later ones are left out."""
    step = events["t"].astype(np.int64) // bin_us
    seen = step < num_steps
    events, step = events[seen], step[seen]
    polarity = np.searchsorted(sensor.polarities, events["p"].astype(np.int64))
    y = events["y"] // sensor.pool if sensor.height > 1 else np.zeros(len(events), np.int64)
    shape = (*sensor.frame_shape, num_steps)
    return np.ravel_multi_index(
        (polarity, y.astype(np.int64), events["x"].astype(np.int64) // sensor.pool, step), shape
    )
