"""Lists of spikes as Lava messages.

A Lava channel has one fixed shape. A message here holds two numbers and a list of up to
`CAPACITY` spikes; a longer list takes several messages. So it travels in the size of what is
in it, not of the population it comes from, and populations of any size share one port.
(Lava's ``VEC_SPARSE`` sends three messages, each as large as the port.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CAPACITY = 64
_HEADER = 4  # two numbers, length of the list, whether it goes on in the next message

# What a message of the scheduler, or of a population to its connections, says.
BEGIN, EVALUATE, RELEASE, END = range(4)

# Second number of a scheduler's BEGIN: that a sample begins, how the time step runs.
RESET, LAYERED = 1, 2

SPIKES = (_HEADER + CAPACITY,)
"""Port shape for lists of neurons."""

SPIKES_WITH_MOMENTA = (_HEADER + 2 * CAPACITY,)
"""Port shape for lists of neurons and their momenta."""


def send(
    channels: Sequence[Any], first: int, second: int = 0, *columns: npt.NDArray[np.int64]
) -> None:
    """Send two numbers and a list to each of some channels.

    channels : of the ``csp_ports`` of one port, which has one of the shapes above.
    columns : arrays of one length, as many as the shape has room for.
    """
    if not channels:
        return
    length = len(columns[0]) if columns else 0
    for begin in range(0, max(length, 1), CAPACITY):
        count = min(CAPACITY, length - begin)
        message = np.zeros(channels[0].shape, np.int64)
        message[:_HEADER] = first, second, count, begin + CAPACITY < length
        for i, column in enumerate(columns):
            start = _HEADER + i * CAPACITY
            message[start : start + count] = column[begin : begin + count]
        for channel in channels:
            channel.send(message)


def receive(channel: Any) -> tuple[int, int, npt.NDArray[np.int64]]:
    """Receive two numbers and the list (columns, length).

    channel : one of a port's ``csp_ports``: a port would add up what different senders send.
    """
    parts = []
    while True:
        message = channel.recv()
        first, second, count, more = message[:_HEADER].tolist()
        parts.append(message[_HEADER:].reshape(-1, CAPACITY)[:, :count])
        if not more:
            return first, second, parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
