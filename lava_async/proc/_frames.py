"""Frames: messages that come once per time step, from stock processes too."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async.errors import ExecutionError


def _receive(port: Any) -> npt.NDArray[Any]:
    """What all senders of a port sent, added up: integers in 64 bits, where Lava's would wrap."""
    kind = np.int64 if np.issubdtype(port._d_type, np.integer) else port._d_type
    total = np.zeros(port._shape, kind)
    for channel in port.csp_ports:
        total += port._transformer.transform(channel.recv(), channel)
    return total


def receive_frame(
    port: Any, where: str, time_step: int, low: int, high: int
) -> npt.NDArray[Any]:
    """Receive whole numbers in ``low..high``, flat in the order of the neurons.

    Ports are in (W, H, C) order, neurons in C order of (C, H, W). The numbers keep the
    type of the port.

    Raises
    ------
    ExecutionError
        Something else came, or was sent but did not fit the type of the channel.
    """
    frame = _receive(port).T.reshape(-1)
    wanted = f"a whole number in {low}..{high}"
    for channel in port.csp_ports:
        lost = getattr(channel, "lost", 0)  # Lava's own channels do not tell
        if lost:
            raise ExecutionError(
                where, f"until time step {time_step}, value sent over an integer channel", wanted,
                lost,
            )
    if frame.min() < low or frame.max() > high or frame.dtype.kind == "f":
        good = (frame >= low) & (frame <= high) & (frame == np.floor(frame))
        if not good.all():
            index = int(np.flatnonzero(~good)[0])
            raise ExecutionError(
                where, f"time step {time_step}, value at flat index {index}", wanted, frame[index]
            )
    return frame
