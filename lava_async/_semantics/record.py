"""What a run measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Record:
    """The measured quantities of `simulate`; B samples, N neurons, T time steps.

    Attributes
    ----------
    spikes : (B, *out_shape, T) int8
        Spikes (0/1) of the output population, as late as `Graph.output_delay` says.
    all_spikes : (B, N, T) int8
        Spikes of every neuron, populations in file order, C order within one.
    forward_steps : (B, T) int64
        Releases of at least one spike; for `LayerSync` what the same machine would need.
    synops : (B, T) int64
        Synaptic operations: fan-out of every delivered spike, input spikes included.
    output_steps : (B, *out_shape, T) int32
        Forward steps that had run in the time step when an output neuron fired (0: it fired
        on the input itself), -1 where it did not. For `LayerSync` the forward steps that
        the populations before it need.
    overflows : (B, T) int64
        Wraps of a current and clips of a voltage; 0 in a network that fits 24 bits.
    fired_at, released_at : (B, N, T) int32 or None
        Only with ``trace=True``: forward steps that had run when each neuron fired, and the
        forward step (from 0) that released its spike; -1 where it did not or was not.
        ``released_at`` is None for `LayerSync`, which has no pool; in a `Mixture` its samples
        have -1.
    output_can_fire : bool
        False where no voltage reaches the output population's threshold, as in networks of
        netx that are read out as voltages: its silence decides nothing.
    """

    spikes: npt.NDArray[np.int8]
    all_spikes: npt.NDArray[np.int8]
    forward_steps: npt.NDArray[np.int64]
    synops: npt.NDArray[np.int64]
    output_steps: npt.NDArray[np.int32]
    overflows: npt.NDArray[np.int64]
    fired_at: npt.NDArray[np.int32] | None = None
    released_at: npt.NDArray[np.int32] | None = None
    output_can_fire: bool = True
