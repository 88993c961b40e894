"""What the decisive gradient needs of a forward pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lava_async._semantics.kept import Kept


@dataclass(frozen=True)
class Tape:
    """How each neuron decided; B samples, T time steps, N neurons.

    Time-major, other than public arrays: time steps are read one after another.

    Attributes
    ----------
    voltage : (B, T, N) int32
        The voltage that decided, membrane units: of a neuron that fired its voltage before the
        reset, of a silent one its voltage at the end of the time step.
    fired_at : (B, T, N) int32
        Forward steps that had run in the time step when the neuron fired, also if spike
        dropout took its spike; -1 where it stayed silent. For `LayerSync` those that the
        populations before it need.
    released_at : (B, T, N) int32
        Forward step (from 0) that released its spike; -1 where none did: silent, lost, or
        discarded by early decision. For `LayerSync` 0 for every spike that was sent.
    lost : (B, T, N) bool
        Spike dropout took the spike.
    current : (B, T, N) int32
        At the end of the time step, membrane units.
    begun : Kept, optional
        Where the samples were before the first time step, zero by default.
    left : Kept, optional
        Where they were after the last one.
    """

    voltage: npt.NDArray[np.int32]
    fired_at: npt.NDArray[np.int32]
    released_at: npt.NDArray[np.int32]
    lost: npt.NDArray[np.bool_]
    current: npt.NDArray[np.int32]
    begun: Kept | None = None
    left: Kept | None = None
