"""How much a run costs in spikes and synaptic operations, whatever it runs on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record
from lava_async.metrics._checks import check_graph, check_record


def spikes_per_sample(record: Record) -> npt.NDArray[np.int64]:
    """(B,) spikes of all neurons in all time steps."""
    check_record(record)
    return record.all_spikes.sum(axis=(1, 2), dtype=np.int64)


def spikes_per_population(graph: Graph, record: Record) -> npt.NDArray[np.int64]:
    """(B, populations) spikes of each population in all time steps."""
    check_graph(graph, record)
    counts = record.all_spikes.sum(axis=2, dtype=np.int64)
    return np.add.reduceat(counts, graph.offsets[:-1], axis=1)


def spike_density(record: Record) -> npt.NDArray[np.float64]:
    """(B,) spikes / (neurons x time steps): 1 if every neuron fired in every time step.

    As Koopman et al. count it: *Overcoming the Limitations of Layer Synchronization in Spiking
    Neural Networks*, arXiv:2408.05098, 2024. Input spikes are no neuron's.
    """
    check_record(record)
    _, neurons, steps = record.all_spikes.shape
    return spikes_per_sample(record) / (neurons * steps)


def synops_per_sample(record: Record) -> npt.NDArray[np.int64]:
    """(B,) synaptic operations in all time steps: one spike delivered over one synapse.

    The fan-out of every spike that was delivered, input spikes included, of a convolution the
    taps inside its target; not of a spike that an early decision discards. It is the unit of
    Merolla et al., *A million spiking-neuron integrated circuit with a scalable communication
    network and interface*, Science 345(6197):668-673, 2014, except that a synapse of weight 0
    which a connection stores counts here: the hardware that stores it visits it.
    """
    check_record(record)
    return record.synops.sum(axis=1, dtype=np.int64)
