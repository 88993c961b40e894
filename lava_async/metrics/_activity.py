"""How much a run costs in spikes and synaptic operations, whatever it runs on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lava_async._semantics.graph import Graph
from lava_async._semantics.record import Record, SparseRecord
from lava_async.metrics._checks import check_graph, check_record


def spikes_per_sample(record: Record) -> npt.NDArray[np.int64]:
    """(B,) spikes of all neurons in all time steps."""
    check_record(record)
    if isinstance(record, SparseRecord):
        return np.bincount(record.events.sample, minlength=record.shape[0])
    return record.all_spikes.sum(axis=(1, 2), dtype=np.int64)


def spikes_per_neuron(record: Record) -> npt.NDArray[np.int64]:
    """(N,) spikes of each neuron in all samples and time steps."""
    check_record(record)
    if isinstance(record, SparseRecord):
        return np.bincount(record.events.neuron, minlength=record.shape[1])
    return record.all_spikes.sum(axis=0, dtype=np.int64).sum(axis=1)


def spikes_per_population(graph: Graph, record: Record) -> npt.NDArray[np.int64]:
    """(B, populations) spikes of each population in all time steps."""
    check_graph(graph, record)
    if isinstance(record, SparseRecord):
        populations, events = len(graph.populations), record.events
        own = np.searchsorted(graph.offsets, events.neuron, side="right") - 1
        counts = np.bincount(
            events.sample * np.int64(populations) + own, minlength=record.shape[0] * populations
        )
        return counts.reshape(-1, populations)
    counts = record.all_spikes.sum(axis=2, dtype=np.int64)
    return np.add.reduceat(counts, graph.offsets[:-1], axis=1)


def spike_density(record: Record) -> npt.NDArray[np.float64]:
    """(B,) spikes / (neurons x time steps): 1 if every neuron fired in every time step.

    As Koopman et al. count it: *Overcoming the Limitations of Layer Synchronization in Spiking
    Neural Networks*, arXiv:2408.05098, 2024. Input spikes are no neuron's.
    """
    check_record(record)
    _, neurons, steps = record.shape
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
