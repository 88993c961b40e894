"""A sample's spikes as a list, which takes no more room than there are spikes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lava_async._kernel._compiler import jit
from lava_async._kernel._layout import FIRED, RELEASED

NEURON, FIRED_AT, RELEASED_AT = range(3)  # columns of a list of spikes
_FIRST_ROOM = 1024  # spikes


def new_list() -> npt.NDArray[np.int32]:
    """With room for some spikes."""
    return np.empty((_FIRST_ROOM, 3), np.int32)


@jit
def list_spikes(s, spikes, used):
    """Append those of the time step that has just run to the first ``used`` ones.

    Returns the list, a longer one where they would not have fitted, and how many it has.
    """
    end = used + np.int64(s.count[FIRED])
    while end > len(spikes):  # an empty array would compile for 2 s, for what its errors say
        spikes = np.concatenate((spikes, spikes))
    place = s.ahead  # of each neuron that fired; nobody waits any more
    for i in range(s.count[FIRED]):
        n, row = s.fired[i], used + np.int64(i)
        spikes[row, NEURON] = n
        spikes[row, FIRED_AT] = s.fired_at[i]
        spikes[row, RELEASED_AT] = -1
        place[n] = row
    for i in range(s.count[RELEASED]):
        spikes[place[s.released[i]], RELEASED_AT] = s.released_at[i]
    return spikes, end
