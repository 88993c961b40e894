"""What a run measured."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lava_async._semantics.brief import Brief
from lava_async._semantics.decoding import Decoding
from lava_async._semantics.graph import Graph
from lava_async.errors import ValidationError


@dataclass(frozen=True)
class Record(Brief):
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
    readout : (B, *out_shape, T) int32 or None
        Where no voltage reaches the output population's threshold: its voltage at the end of
        each time step, membrane units, as late as `Graph.output_delay` says. None where it can
        fire.
    decoding : Decoding or None
        The graph's.
    """

    spikes: npt.NDArray[np.int8]
    all_spikes: npt.NDArray[np.int8]
    forward_steps: npt.NDArray[np.int64]
    synops: npt.NDArray[np.int64]
    output_steps: npt.NDArray[np.int32]
    overflows: npt.NDArray[np.int64]
    fired_at: npt.NDArray[np.int32] | None = None
    released_at: npt.NDArray[np.int32] | None = None
    readout: npt.NDArray[np.int32] | None = None
    decoding: Decoding | None = None

    @property
    def output(self) -> npt.NDArray[np.integer]:
        """(B, *out_shape, T) `readout` where there is one, else `spikes`."""
        return self.spikes if self.readout is None else self.readout

    @property
    def decoded(self) -> npt.NDArray[np.float64]:
        """(B, classes, bins) means of `output`, as `Graph.decoding` says."""
        output = self.output
        flat = output.reshape(len(output), -1, output.shape[-1])
        return (self.decoding or Decoding()).decode(flat)

    @property
    def shape(self) -> tuple[int, int, int]:
        """B, N, T."""
        batch, neurons, steps = np.shape(self.all_spikes)
        return batch, neurons, steps


class Events(NamedTuple):
    """Spikes one by one, by sample, then time step, forward step and neuron; (E,) int32 each.

    Attributes
    ----------
    sample, time_step, forward_step, neuron : (E,) int32
        The forward step is how many had run in the time step when it fired, as
        ``Record.fired_at`` has it.
    released_at : (E,) int32
        The forward step that released it, -1 where none did, as under `LayerSync`.
    """

    sample: npt.NDArray[np.int32]
    time_step: npt.NDArray[np.int32]
    forward_step: npt.NDArray[np.int32]
    neuron: npt.NDArray[np.int32]
    released_at: npt.NDArray[np.int32]

    def __repr__(self) -> str:
        return f"Events({len(self.sample)} spikes)"

    @classmethod
    def in_order(cls, *columns: npt.NDArray[np.integer]) -> Events:
        """Put spikes, whose columns are given, in order."""
        sample, time_step, forward_step, neuron, _ = columns
        order = np.lexsort((neuron, forward_step, time_step, sample))
        return cls(*(column[order].astype(np.int32, copy=False) for column in columns))

    @classmethod
    def of(cls, record: Record) -> Events:
        """The spikes of a dense record with its trace."""
        if record.fired_at is None:
            raise ValidationError("record", "fired_at", "those of a trace", None)
        sample, neuron, time_step = np.nonzero(record.all_spikes)
        forward_step = record.fired_at[sample, neuron, time_step]
        if record.released_at is None:
            released_at = np.full_like(forward_step, -1)
        else:
            released_at = record.released_at[sample, neuron, time_step]
        return cls.in_order(sample, time_step, forward_step, neuron, released_at)


class SparseRecord(Record):
    """A record that keeps events only: memory grows with spikes, not neurons times time steps.

    It has all that a `Record` has; arrays over neurons are made when they are first asked for, and
    stay then.

    Attributes
    ----------
    events : Events
    """

    events: Events
    _graph: Graph
    _trace: bool
    _pooled: bool

    def __init__(
        self,
        *,
        graph: Graph,
        events: Events,
        forward_steps: npt.NDArray[np.int64],
        synops: npt.NDArray[np.int64],
        overflows: npt.NDArray[np.int64],
        readout: npt.NDArray[np.int32] | None,
        trace: bool,
        pooled: bool,
    ) -> None:
        values = {
            "_graph": graph, "events": events, "forward_steps": forward_steps, "synops": synops,
            "overflows": overflows, "readout": readout, "decoding": graph.decoding,
            "_trace": trace, "_pooled": pooled,
        }  # fmt: skip
        self.__dict__.update(values)  # it is as frozen as any record

    def __repr__(self) -> str:
        return f"SparseRecord(shape={self.shape}, events={len(self.events.sample)})"

    @property
    def shape(self) -> tuple[int, int, int]:
        batch, steps = self.forward_steps.shape
        return batch, self._graph.num_neurons, steps

    @functools.cached_property
    def all_spikes(self) -> npt.NDArray[np.int8]:
        return self._dense(self._everyone, 1, 0, np.int8)

    @functools.cached_property
    def spikes(self) -> npt.NDArray[np.int8]:
        late = self._graph.delayed_output(self._dense(self._output, 1, 0, np.int8))
        return self._as_output(late)

    @functools.cached_property
    def output_steps(self) -> npt.NDArray[np.int32]:
        fired_at = self._dense(self._output, self.events.forward_step, -1, np.int32)
        return self._as_output(fired_at)

    @functools.cached_property
    def fired_at(self) -> npt.NDArray[np.int32] | None:
        if not self._trace:
            return None
        return self._dense(self._everyone, self.events.forward_step, -1, np.int32)

    @functools.cached_property
    def released_at(self) -> npt.NDArray[np.int32] | None:
        if not (self._trace and self._pooled):
            return None
        return self._dense(self._everyone, self.events.released_at, -1, np.int32)

    @property
    def _everyone(self) -> slice:
        return slice(0, self._graph.num_neurons)

    @property
    def _output(self) -> slice:
        return self._graph.slice(self._graph.output)

    def _as_output(self, array: npt.NDArray) -> npt.NDArray:
        return array.reshape(len(array), *self._graph.out_shape, -1)

    def _dense(
        self, neurons: slice, values: npt.ArrayLike, nothing: int, dtype: type
    ) -> npt.NDArray:
        """(B, neurons, T) values of the events, and of nothing where there is no event."""
        batch, _, steps = self.shape
        e = self.events
        own = (e.neuron >= neurons.start) & (e.neuron < neurons.stop)
        array = np.full((batch, neurons.stop - neurons.start, steps), nothing, dtype)
        place = e.sample[own], e.neuron[own] - neurons.start, e.time_step[own]
        array[place] = np.broadcast_to(values, own.shape)[own]
        return array

    @classmethod
    def of(cls, graph: Graph, record: Record, trace: bool) -> SparseRecord:
        """Made from a dense record with its trace."""
        return cls(
            graph=graph, events=Events.of(record), forward_steps=record.forward_steps,
            synops=record.synops, overflows=record.overflows, readout=record.readout, trace=trace,
            pooled=record.released_at is not None,
        )  # fmt: skip

    @classmethod
    def join(
        cls, records: Sequence[SparseRecord], order: npt.NDArray[np.intp] | None
    ) -> SparseRecord:
        """One record of all samples, one after another or in the order given."""
        first = np.cumsum([0, *(record.shape[0] for record in records)])
        order = np.arange(first[-1]) if order is None else order
        place = np.argsort(order)  # of each sample, among those one after another
        columns = zip(*(record.events for record in records), strict=True)
        _, *others = (np.concatenate(column) for column in columns)
        samples = [
            place[start + record.events.sample]
            for start, record in zip(first, records, strict=False)
        ]
        numbers = {
            name: np.concatenate([getattr(record, name) for record in records])[order]
            for name in ("forward_steps", "synops", "overflows")
        }
        readouts = [record.readout for record in records if record.readout is not None]
        return cls(
            graph=records[0]._graph,
            events=Events.in_order(np.concatenate(samples), *others),
            readout=np.concatenate(readouts)[order] if readouts else None,
            trace=records[0]._trace, pooled=any(record._pooled for record in records), **numbers,
        )  # fmt: skip
