"""Whole batches: a forward pass with a tape, and the way back, samples in parallel threads."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lava_async._kernel._compiler import BLOCK
from lava_async._kernel._events import Events, as_frames, check_entries, new_events
from lava_async._kernel._layout import AT, NEVER, WORDS, Net, Plan, State, empty, new_state, zeros
from lava_async._kernel._lowering import (
    compile_graph,
    compile_schedule,
    connection_order,
    lay_out_neurons,
    worth_packing,
)
from lava_async._kernel._marks import AT_ONCE
from lava_async._kernel._reserve import Reserve, room
from lava_async._kernel._threads import OwnThreads, Team, cut
from lava_async._kernel.connections import (
    arrange,
    restore,
    room_for_targets,
    room_to_learn,
    turn_round,
)
from lava_async._kernel.connections.products import PLACES, ROW
from lava_async._kernel.training import entry
from lava_async._kernel.training.layout import (
    DETACHED,
    EXPONENTIAL,
    FULL,
    THROUGH,
    UNSENT,
    Scratch,
    Tape,
    Turned,
    Way,
)
from lava_async._kernel.training.lowering import find_way
from lava_async._semantics import dynamics as dyn
from lava_async._semantics.connections import INPUT, Conv, Dense, OneToOne, Shape
from lava_async._semantics.decisive import Reset
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.graph import Graph
from lava_async._semantics.kept import Kept
from lava_async._semantics.schedule import AsyncSchedule, LayerSync, Momentum

_RESETS: dict[Reset, int] = {"through": THROUGH, "detached": DETACHED, "full": FULL}
_AT_ONCE = 4  # samples that a thread takes, forward
MANY = 1 << 16  # weights; the gradients of fewer are added up sample by sample, see `synapses`
_FEWEST_SUMS, _MOST_SUMS = 8, 16  # that samples are added up in ...
_NOBODYS = np.zeros((0, 0, 0), np.int32)  # currents that nobody asked for
_SUMS_OF_WEIGHTS = 1 << 22  # ... more than the fewest only if they take no more memory


@dataclass(frozen=True)
class Neurons:
    """Parameters of the populations, in their order.

    Attributes
    ----------
    i_decay, v_decay : sequence of int or (size,) arrays of int
        In 0..4096, of all neurons of a population or of each.
    threshold : sequence of int
        Mantissas.
    bias : sequence of (size,) arrays of int, or None
    """

    i_decay: Sequence[int | npt.NDArray]
    v_decay: Sequence[int | npt.NDArray]
    threshold: Sequence[int]
    bias: Sequence[npt.NDArray | None]


@dataclass(frozen=True)
class Surrogate:
    """The surrogate derivative of the spike function, per membrane unit.

    Attributes
    ----------
    kind : int
        Of `layout`.
    width, height : (P,) arrays
        Of each population, membrane units.
    given : (B, T, N) float32
        The derivatives, if kind is `GIVEN`.
    """

    kind: int = EXPONENTIAL
    width: npt.ArrayLike = ()
    height: npt.ArrayLike = ()
    given: npt.NDArray[np.float32] | None = None


class Gradients(NamedTuple):
    """Of a loss, summed over a batch."""

    weights: list[npt.NDArray[np.float32] | None]  # by the integers of each connection
    bias: npt.NDArray[np.float32] | None  # (N,) by the integer biases
    # (N,) by the integer decays of current and voltage
    decays: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None
    frames: npt.NDArray[np.float32] | None  # (B, inputs, T) by the input counts
    current: npt.NDArray[np.float32] | None  # (B, T, N) by what arrives in time, in weight units


class Loaded(NamedTuple):
    """A network with the numbers that it runs with."""

    net: Net
    weights: Sequence[npt.NDArray[np.float32]]  # of each connection of the graph, in its shape


class Trainer:
    """A network that runs many times, with other weights each time.

    Parameters
    ----------
    graph : Graph
        Its weights and parameters do not matter.
    layered : bool
        Whether it runs under `LayerSync`.
    like : Trainer, optional
        Of the same network with other delays, whose memory serves this one, too.
    """

    def __init__(self, graph: Graph, layered: bool, like: Trainer | None = None):
        schedule = LayerSync() if layered else Momentum()
        self.graph = graph
        self.order = connection_order(graph, schedule)
        self.net = compile_graph(graph, schedule)
        self.way = find_way(graph, layered, self.order)
        self.canvas = max(
            (_padded(c, graph.source_shape(c)) for c in graph.connections if isinstance(c, Conv)),
            default=0,
        )
        self.num_inputs = math.prod(graph.input_shape)
        self.before = np.zeros(self.num_inputs, np.int32)  # released before anyone decides
        # Of whole lines, and with room for what is filled up behind the last population.
        self.row = (graph.num_neurons + 2 * WORDS - 1) // WORDS * WORDS
        self.targets = max(
            self.row,
            *(room_for_targets(c, graph.populations[c.target].size) for c in graph.connections),
        )
        # The last neurons with nothing of their own: their numbers, and what `Net` has for these.
        self.laid_out: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
        self.planned: tuple[Any, Any, Any] = (None, None, None)  # the last schedule, likewise
        self.found: tuple[Any, Any, Any] = (None, None, None)  # and the last way back
        # All of one number of time steps, as many ahead, and with the same populations packed;
        # tapes and gradients by how many samples there is room.
        self.states = Reserve(self._new_state)
        self.tapes = like.tapes if like else Reserve(self._new_tape)
        # Of which weights gradients were wanted, and how these are added up.
        self.by_number: dict[tuple[bool, ...] | None, tuple[list[_Weights], list[_Weights]]] = {}
        self.no_tape = self._new_tape((0, 0))
        self.scratch = like.scratch if like else Reserve(self._new_scratch)
        self.gradients = like.gradients if like else Reserve(self._new_gradients)

    def _new_state(self, size: tuple[int, int, tuple[bool, ...]]) -> tuple[State, Events]:
        num_steps, slots, packed = size
        return (
            new_state(self.graph, slots, np.array(packed)),
            new_events(self.num_inputs * num_steps, num_steps),
        )

    def _new_tape(self, size: tuple[int, int]) -> Tape:
        batch, num_steps = size
        num_neurons, num_populations = self.graph.num_neurons, len(self.graph.populations)
        entries = batch * num_steps * self.num_inputs
        shape = (batch, num_steps, self.row)
        return Tape(
            voltage=_rows(shape),
            fired_at=_rows(shape),
            released_at=_rows(shape),
            # More than spikes: some behind the last are written before it is known.
            sent=room(batch * (num_steps * num_neurons + AT_ONCE), np.uint32),
            sent_begin=np.empty((batch, num_steps, num_populations + 1), np.int64),
            event=room(entries, np.uint32),
            times=room(entries, np.float32),
            event_begin=np.empty((batch, num_steps + 1), np.int64),
            active=np.empty(num_neurons, np.uint8),
            current=_NOBODYS,
        )

    def _new_scratch(self, num_steps: int) -> tuple:
        shape = (num_steps, self.row)
        return (
            zeros(shape, np.float32), zeros(shape, np.float32), zeros(shape, np.float32),
            zeros(self.row, np.float32), zeros(self.row, np.float32),
            Scratch(
                listed=zeros(self.row, np.uint32), gains=zeros(self.row * PLACES, np.float32),
                canvas=zeros(self.canvas, np.float32), marks=zeros(self.canvas, np.int32),
                corner=zeros(PLACES, np.uint64),
            ),
            Turned(
                early=zeros(self.targets, np.float32), late=zeros(self.targets, np.float32),
                fired_at=zeros(self.targets, np.int32),
            ),
        )  # fmt: skip

    def _new_gradients(self, size: tuple[int, int]) -> tuple[npt.NDArray, npt.NDArray]:
        shape = (*size, self.row)
        return zeros(shape, np.float32), zeros(shape, np.float32)

    def load(
        self, weights: Sequence[npt.NDArray[np.float32]], neurons: Neurons
    ) -> Loaded:
        """The network with these whole numbers as its weights, and these neurons."""
        net = self.net
        weight = net.weight.copy()
        for row, index in zip(net.wiring, self.order, strict=True):
            arrange(self.graph.connections[index], weights[index], weight[row[AT] :])
        return Loaded(net._replace(weight=weight, **self._lay_out(neurons)), weights)

    def _lay_out(self, neurons: Neurons) -> dict[str, Any]:
        """Neurons as the kernel has them, which are the same in most passes."""
        numbers = (*neurons.i_decay, *neurons.v_decay, *neurons.threshold)
        each = any(own is not None for own in neurons.bias) or any(map(np.ndim, numbers))
        if each or self.laid_out[0] != numbers:
            bias = [
                np.zeros(p.size, np.int32) if own is None else np.broadcast_to(own, p.size)
                for own, p in zip(neurons.bias, self.graph.populations, strict=True)
            ]
            arrays = lay_out_neurons(neurons.i_decay, neurons.v_decay, neurons.threshold, bias)
            if each:
                return arrays
            self.laid_out = numbers, arrays
        return self.laid_out[1]

    def _plan(
        self, net: Net, schedule: LayerSync | AsyncSchedule, stop_after: int | None,
        dropout: Dropout,
    ) -> Plan:  # fmt: skip
        """The schedule as the kernel has it, which is the same in most passes."""
        asked = schedule, stop_after, dropout
        last, threshold, plan = self.planned
        if last != asked or threshold is not net.threshold:
            plan = compile_schedule(net, schedule, stop_after, dropout)
            self.planned = asked, net.threshold, plan
        return plan

    def way_of(self, net: Net, surrogate: Surrogate, reset: int) -> Way:
        """The way back through these neurons, without weights; the same in most passes, too."""
        shape = np.ravel(surrogate.width).tolist(), np.ravel(surrogate.height).tolist()
        asked = reset, surrogate.kind, shape
        last, threshold, way = self.found
        if last != asked or threshold is not net.threshold:
            one = np.float32(dyn.DECAY_ONE)
            way = self.way._replace(
                keep_u=net.i_keep.astype(np.float32) / one,
                keep_v=net.v_keep.astype(np.float32) / one,
                threshold=net.threshold.astype(np.float32),
                reset=reset,
                surrogate=surrogate.kind,
                slope=_each(surrogate.width, len(net.threshold), inverse=True),
                height=_each(surrogate.height, len(net.threshold)),
            )
            self.found = asked, net.threshold, way
        return way

    def blank(self, loaded: Loaded) -> Pass:
        """A pass of one sample and time step in which nothing happened."""
        tape = self._new_tape((1, 1))
        for array in tape:
            array[:] = 0
        tape.fired_at[:] = NEVER
        num_neurons = self.graph.num_neurons
        return Pass(
            self, loaded, tape, np.zeros((1, num_neurons, 1), np.int8), (0, num_neurons),
            OwnThreads(1), discards=False, bad=None,
        )  # fmt: skip

    def run(
        self,
        loaded: Loaded,
        frames: npt.NDArray,
        num_steps: int,
        ids: npt.NDArray[np.int64],
        schedule: LayerSync | AsyncSchedule,
        *,
        stop_after: int | None = None,
        dropout: Dropout | None = None,
        neuron_range: tuple[int, int],
        taped: bool,
        with_currents: bool = False,
        kept: Kept | None = None,
        team: Team,
    ) -> Pass:
        """A forward pass.

        Parameters
        ----------
        loaded : Loaded
        frames : (B, inputs * T) array
            Counts, uint8, int32 or float32.
        num_steps : int
            T.
        ids : (B,) int64
        schedule : LayerSync or AsyncSchedule
        stop_after : int, optional
        dropout : Dropout, optional
            Of inputs and spikes.
        neuron_range : (first, last)
            Whose spikes are wanted.
        taped : bool
            Whether there may be a way back.
        with_currents : bool
            Whether the tape has the currents, too.
        kept : Kept, optional
            Where the samples go on, if they do; without it each begins at zero.
        team : Team
        """
        dropout = dropout or Dropout()
        net = loaded.net
        plan = self._plan(net, schedule, stop_after, dropout)
        check_entries(frames.shape[1] // num_steps, num_steps)
        flat = as_frames(frames)
        batch = len(frames)
        spikes = np.zeros((batch, neuron_range[1] - neuron_range[0], num_steps), np.int8)
        size = _room(batch) if taped else 0, num_steps
        tape = self.tapes.take(size) if taped else self.no_tape
        tape.active[:] = 0
        if with_currents:
            shape = batch, num_steps, self.graph.num_neurons
            tape = tape._replace(current=empty(shape, np.int32))

        rows, first_step, max_delay, left = _NOBODYS, 0, net.slots, None
        if kept is not None:
            # Delays may have been longer when what is under way was sent.
            net = net._replace(slots=max(net.slots, kept.ahead))
            left = kept.copy(net.slots)
            rows, first_step = left.rows, left.time_step
        parts, counter = _bounds(cut(batch, -(-batch // _AT_ONCE))), np.zeros(1, np.int64)

        packed = (False,) * len(net.threshold)
        if not taped and kept is None:  # either of which reads all neurons, by their numbers
            packed = tuple(worth_packing(net).tolist())

        def work() -> int:
            with self.states.lent((num_steps, net.slots, packed)) as (s, e):
                return entry.record_samples(
                    net, plan, s, e, flat, ids, parts, counter, float(dropout.input),
                    neuron_range, spikes, taped, tape, rows, first_step,
                )  # fmt: skip

        found = team.run(work, [()] * team.size)
        bad = [sample for sample in found if sample >= 0]
        ran = Pass(
            self, loaded, _cut(tape, batch), spikes, neuron_range, team,
            discards=stop_after is not None or dropout.drops_spikes, bad=min(bad, default=None),
            begun=kept, left=None if left is None else left.after(num_steps, max_delay),
        )  # fmt: skip
        if taped:
            lent = tape._replace(current=_NOBODYS)
            weakref.finalize(ran, self.tapes.give_back, size, lent).atexit = False
        return ran


def _rows(shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """With as many entries more behind the last as are looked at together."""
    length = math.prod(shape)
    return zeros(length + BLOCK, np.int32)[:length].reshape(shape)


def _bounds(ranges: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """Ranges that follow each other, as where they begin and end."""
    return np.array([0, *(end for _, end in ranges)], np.int64)


def _room(batch: int) -> int:
    """Samples that there is room for: more than asked, that a few more will fit, too."""
    step = 1 << max(0, batch.bit_length() - 3)
    return -(-batch // step) * step


def _cut(tape: Tape, batch: int) -> Tape:
    """A tape of the first samples."""
    return tape._replace(
        voltage=tape.voltage[:batch],
        fired_at=tape.fired_at[:batch],
        released_at=tape.released_at[:batch],
        sent_begin=tape.sent_begin[:batch],
        event_begin=tape.event_begin[:batch],
    )


def _padded(connection: Conv, source_shape: Shape) -> int:
    """Neurons of a convolution's source, padding included, and what a run may add to behind."""
    channels, height, width = source_shape
    return ROW + channels * math.prod(
        size + 2 * pad for size, pad in zip((height, width), connection.padding, strict=True)
    )


class Pass:
    """A forward pass that has run.

    Attributes
    ----------
    spikes : (B, neurons, T) int8
    bad : int or None
        A sample whose input is not of whole numbers in 0..2**24 - 1; nothing else counts then.
    left : Kept or None
        Where the samples can go on, of a pass that went on itself.
    """

    def __init__(
        self, trainer: Trainer, loaded: Loaded, tape: Tape, spikes,
        neuron_range: tuple[int, int], team: Team, discards: bool, bad: int | None,
        begun: Kept | None = None, left: Kept | None = None,
    ):  # fmt: skip
        self.spikes: npt.NDArray[np.int8] = spikes
        self.bad = bad
        self._trainer, self._tape = trainer, tape
        self._net, self._weights = loaded
        self._num_neurons = trainer.graph.num_neurons
        self._first = neuron_range[0]
        self._team = team
        self._discards = discards
        self._begun, self.left = begun, left

    @property
    def fired(self) -> npt.NDArray[np.bool_]:
        """(N,) which neurons fired at all, by the tape."""
        return self._tape.active > 0

    @property
    def has_input(self) -> bool:
        """Whether there was any input, by the tape."""
        begin = self._tape.event_begin
        return bool((begin[:, -1] > begin[:, 0]).any())

    @property
    def current(self) -> npt.NDArray[np.int32]:
        """(B, T, N) at the end of each time step, membrane units, of a pass ``with_currents``."""
        return self._tape.current

    @property
    def voltage(self) -> npt.NDArray[np.int32]:
        """(B, T, N) that decided, membrane units."""
        return self._tape.voltage[:, :, : self._num_neurons]

    @property
    def sent(self) -> npt.NDArray[np.bool_]:
        """(B, T, N) which spikes were delivered."""
        fired_at, released_at = (
            own[:, :, : self._num_neurons]
            for own in (self._tape.fired_at, self._tape.released_at)
        )
        return (fired_at != NEVER) & (released_at > UNSENT)

    def backward(
        self,
        loss: npt.NDArray[np.float32],
        surrogate: Surrogate,
        *,
        reset: Reset = "through",
        wanted: Sequence[bool] | None = None,
        by_bias: bool = True,
        by_decays: bool = False,
        by_frames: bool = False,
        by_current: bool = False,
    ) -> Gradients:
        """The decisive gradient.

        Parameters
        ----------
        loss : (B, neurons, T) float32
            The loss's derivative by each spike.
        surrogate : Surrogate
        reset : "through", "detached" or "full"
        wanted : sequence of bool, optional
            Of which connections, all by default.
        by_bias, by_decays, by_frames, by_current : bool
            Whether those of the biases, of the decays (of a pass ``with_currents``), of the input,
            and of all currents are wanted.
        """
        tape, net, trainer = self._tape, self._net, self._trainer
        batch, num_steps, row = tape.voltage.shape
        way = self._way(surrogate, _RESETS[reset], by_frames)
        num_inputs = trainer.num_inputs if by_frames else 0
        back = np.zeros((batch if by_frames else 0, num_steps, num_inputs), np.float32)
        at_once = np.zeros((num_steps, num_inputs), np.int32)
        given = np.zeros((0, 0, 0), np.float32) if surrogate.given is None else surrogate.given
        few, many = self._weights_by_number(wanted)
        length = sum(own.size for own in few)
        rows = [(own.row, own.sources, own.at) for own in few]
        learned = np.array(rows, np.int64).reshape(len(few), 3)
        most = min(_MOST_SUMS, _SUMS_OF_WEIGHTS // max(1, length))
        parts, counter = _bounds(cut(batch, max(_FEWEST_SUMS, most))), np.zeros(1, np.int64)
        sums = empty((len(parts) - 1, -(-length // WORDS) * WORDS), np.float32)
        # By source, as they are added up, and in the weights' own order.
        rooms = [(empty(own.size, np.float32), self._room_in_order(own)) for own in many]

        with trainer.gradients.lent((_room(batch), num_steps)) as (by_v, by_u):

            def credit() -> None:
                with trainer.scratch.lent(num_steps) as scratch:
                    entry.credit_samples(
                        net, way, tape, loss, self._first, self._discards, given, parts, counter,
                        by_v, by_u, back, learned, sums, (*scratch, at_once, trainer.before),
                    )  # fmt: skip

            def learn(connection: int, low: int, high: int, by_source, in_order) -> None:
                with trainer.scratch.lent(num_steps) as (*_, turned):
                    entry.learn_samples(
                        net, way, tape, by_v, by_u, connection, low, high, by_source,
                        trainer.before, turned, in_order,
                    )  # fmt: skip

            self._team.run(credit, [()] * self._team.size)
            ranges = [
                (own.row, *ends, *to)
                for own, to in zip(many, rooms, strict=True)
                for ends in cut(own.sources, self._team.size)
            ]
            self._team.run(learn, ranges)
            own = self._num_neurons
            return Gradients(
                self._in_order(few, sums.sum(0), many, rooms),
                by_v[:batch].reshape(-1, row).sum(0)[:own] if by_bias else None,
                self._by_decays(by_v[:batch], by_u[:batch]) if by_decays else None,
                back.transpose(0, 2, 1) if by_frames else None,
                np.add(by_v[:batch, :, :own], by_u[:batch, :, :own]) if by_current else None,
            )

    def _by_decays(
        self, by_v: npt.NDArray[np.float32], by_u: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """(N,) by the decays of current and voltage; the arguments are (B, T, N) times 64."""
        count, tape = self._num_neurons, self._tape
        by_v, by_u = by_v[:, :, :count], by_u[:, :, :count]
        # The state at the end of the time step before; one that fired has no voltage left.
        silent = tape.fired_at[:, :-1, :count] == NEVER
        v, u = np.where(silent, self.voltage[:, :-1], 0), tape.current[:, :-1, :count]
        if self._begun is None:  # and of the first one 0
            by_v, by_u = by_v[:, 1:], by_u[:, 1:]
        else:
            v = np.concatenate([self._begun.voltage[:, None], v], 1)
            u = np.concatenate([self._begun.current[:, None], u], 1)
        unit = -1 / (dyn.DECAY_ONE << dyn.STATE_SHIFT)  # of a decay in 4096ths, and of those 64

        def summed(gradient: npt.NDArray, state: npt.NDArray) -> npt.NDArray[np.float32]:
            total = np.zeros(count)
            for b in range(len(gradient)):  # in this order, whatever the processor
                total += np.multiply(gradient[b], state[b], dtype=np.float64).sum(0)
            return (unit * total).astype(np.float32)

        return summed(by_v + by_u, u), summed(by_v, v)

    def _way(self, surrogate: Surrogate, reset: int, by_frames: bool) -> Way:
        trainer = self._trainer
        parts = [np.zeros(0, np.float32)]
        at, length = np.zeros(len(trainer.order), np.int64), 0
        for row, index in enumerate(trainer.order):
            at[row] = length
            if by_frames or trainer.way.source[row] != INPUT:
                connection = trainer.graph.connections[index]
                part = turn_round(connection, self._weights[index]).reshape(-1)
                parts.append(part.astype(np.float32, copy=False))
                length += part.size
        way = trainer.way_of(self._net, surrogate, reset)
        return way._replace(at=at, weight=np.concatenate(parts))

    def _weights_by_number(
        self, wanted: Sequence[bool] | None
    ) -> tuple[list[_Weights], list[_Weights]]:
        """The connections whose weights are added up sample by sample, and all others."""
        trainer = self._trainer
        key = None if wanted is None else tuple(wanted)
        if key in trainer.by_number:
            return trainer.by_number[key]
        few: list[_Weights] = []
        many: list[_Weights] = []
        for row, index in enumerate(trainer.order):
            if wanted is None or wanted[index]:
                connection = trainer.graph.connections[index]
                size = room_to_learn(connection, self._weights[index])
                shares = isinstance(connection, (Conv, OneToOne))
                own = few if shares or size < MANY else many
                sources = math.prod(trainer.graph.source_shape(connection))
                own.append(_Weights(row, index, sources, sum(other.size for other in own), size))
        trainer.by_number[key] = few, many
        return few, many

    def _room_in_order(self, own: _Weights) -> npt.NDArray[np.float32]:
        """For a gradient that compiled code puts into the weights' order; without, it is in it."""
        weight = self._weights[own.index]
        dense = isinstance(self._trainer.graph.connections[own.index], Dense)
        return np.empty(weight.shape if dense else (0, 0), np.float32)

    def _in_order(
        self, few: Sequence[_Weights], sums: npt.NDArray[np.float32], many: Sequence[_Weights],
        rooms: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]],
    ) -> list[npt.NDArray[np.float32] | None]:  # fmt: skip
        """The gradient of each connection's weights."""
        connections = self._trainer.graph.connections
        result: list[npt.NDArray[np.float32] | None] = [None] * len(connections)
        for own in few:
            part = sums[own.at : own.at + own.size]
            result[own.index] = restore(connections[own.index], part)
        for own, (by_source, in_order) in zip(many, rooms, strict=True):
            result[own.index] = in_order if in_order.size else by_source
        return result


class _Weights(NamedTuple):
    """Those of a connection, in an array of the gradients of many."""

    row: int  # of the connection, in the kernel
    index: int  # and in the graph
    sources: int
    at: int
    size: int


def _each(values: npt.ArrayLike, count: int, inverse: bool = False) -> npt.NDArray[np.float32]:
    """One value for all populations, or one for each; any where none is looked at."""
    each = np.broadcast_to(np.asarray(values if np.size(values) else 1, np.float64), count)
    return (1 / each if inverse else each).astype(np.float32)
