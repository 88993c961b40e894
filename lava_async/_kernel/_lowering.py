"""From a `Graph` and a `Schedule` to the flat arrays of `_layout`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lava_async._kernel._compiler import BLOCK
from lava_async._kernel._layout import (
    DENSE,
    FIFO,
    KIND,
    MOMENTUM,
    NOISY_MOMENTUM,
    RANDOM,
    TARGET,
    Net,
    Plan,
    words,
    zeros,
)
from lava_async._kernel.connections import Arrays, lay_out
from lava_async._semantics import dynamics as dyn
from lava_async._semantics import random
from lava_async._semantics.connections import INPUT
from lava_async._semantics.dropout import Dropout
from lava_async._semantics.graph import Graph
from lava_async._semantics.schedule import (
    AsyncSchedule,
    Fifo,
    LayerSync,
    Momentum,
    Random,
    Schedule,
    noise_amplitude,
)
from lava_async.errors import UnsupportedError

_ALL = (1 << 31) - 1  # there are no more neurons than that
_PACKED_FROM = 1024  # neurons of a population; the state of fewer is in the first cache anyway
_COMPILED = (LayerSync, Momentum, Random, Fifo)


def compile_graph(graph: Graph, schedule: LayerSync | AsyncSchedule) -> Net:
    """A graph as arrays; what is late in it depends on the kind of schedule."""
    layered = schedule.layered
    sizes = [p.size for p in graph.populations]
    bias = [np.zeros(p.size, np.int64) if p.bias is None else p.bias.reshape(-1)
            for p in graph.populations]
    rows, first, delayed, arrays, slots = [], [0], [], Arrays(), 0
    ordered = [graph.connections[i] for i in connection_order(graph, schedule)]
    for source in range(INPUT, len(sizes)):
        late = []
        for c in ordered:
            if c.source != source:
                continue
            shape, target = graph.source_shape(c), graph.populations[c.target].shape
            kind, at, own = lay_out(c, shape, target, arrays)
            row = [kind, c.target, int(graph.offsets[c.target]), sizes[c.target], at]
            fan_outs = c.fan_out(shape)
            fan_out = round(float(fan_outs.sum() / max(1, np.count_nonzero(fan_outs))))
            delay = np.asarray(graph.layered_delay(c) if layered else c.delay)
            if delay.any():
                slots = max(slots, int(delay.max()))
                each = np.broadcast_to(delay, int(np.prod(shape)))
                late.append([*row, arrays.add("delay", each, np.uint8), fan_out, *own])
            else:
                rows.append([*row, -1, fan_out, *own])
        delayed.append(len(rows))
        rows += late
        first.append(len(rows))
    wiring = np.zeros((len(rows), max(len(row) for row in rows)), np.int64)
    for place, row in zip(wiring, rows, strict=True):
        place[: len(row)] = row
    return Net(
        start=np.ascontiguousarray(graph.offsets, np.uint32),
        order=np.array(graph.order, np.uint32),
        population=np.repeat(np.arange(len(sizes), dtype=np.uint32), sizes),
        **lay_out_neurons(
            [p.i_decay for p in graph.populations],
            [p.v_decay for p in graph.populations],
            [p.threshold for p in graph.populations],
            bias,
        ),
        first=np.array(first, np.uint32),
        delayed=np.array(delayed, np.uint32),
        wiring=wiring,
        weight=arrays.whole("weight", np.int16),
        synapse=arrays.whole("first", np.int64),
        target=arrays.whole("target", np.uint32),
        delay=arrays.whole("delay", np.uint8),
        slots=slots,
        output=graph.output,
    )


def lay_out_neurons(
    i_decay: Sequence[npt.ArrayLike],
    v_decay: Sequence[npt.ArrayLike],
    threshold: Sequence[int],
    bias: Sequence[npt.NDArray],
) -> dict[str, Any]:
    """Parameters of the populations as `Net` has them.

    Decays one for all neurons of a population, or for each, in any shape; biases for each.
    """
    forgets = [
        bool(np.all(i == dyn.DECAY_ONE) and np.all(v == dyn.DECAY_ONE)) and not own.any()
        for i, v, own in zip(i_decay, v_decay, bias, strict=True)
    ]
    whole = np.concatenate([*bias, np.zeros(BLOCK, np.int64)])
    word = words([len(own) for own in bias])
    biased = zeros(word[-1] + BLOCK, np.uint64)
    for own, first in zip(bias, word[:-1].tolist(), strict=True):
        marks = np.packbits(own != 0, bitorder="little")
        biased[first:].view(np.uint8)[: len(marks)] = marks

    def kept(decays: Sequence[npt.ArrayLike]) -> npt.NDArray[np.int32]:
        each = [
            np.broadcast_to(np.ravel(decay), own.shape)
            for decay, own in zip(decays, bias, strict=True)
        ]
        return (dyn.DECAY_ONE - np.concatenate([*each, np.zeros(BLOCK, np.int64)])).astype(np.int32)

    varied = [
        any(np.ptp(each) > 0 for each in parameters)
        for parameters in zip(i_decay, v_decay, bias, strict=True)
    ]
    return {
        "i_keep": kept(i_decay),
        "v_keep": kept(v_decay),
        "threshold": np.array(threshold, np.int32) << dyn.STATE_SHIFT,
        "forgets": np.array(forgets),
        "bias": whole.astype(np.int32) << dyn.STATE_SHIFT,
        "varied": np.array(varied),
        "word": word.astype(np.uint32),
        "biased": biased,
    }


def worth_packing(net: Net) -> npt.NDArray[np.bool_]:
    """Populations to pack, if whoever runs them does not care where a neuron's state is.

    The large ones of those that may be: whose neurons are alike, as their parameters are read by
    place; have no bias, as that lets them live without a spike; and are not reached by whole rows
    of weights, which are added by neuron.
    """
    packed = (np.diff(net.start.astype(np.int64)) >= _PACKED_FROM) & ~net.varied
    if packed.any():
        words_with_bias = np.concatenate([[0], np.cumsum(net.biased != 0)])[net.word]
        packed &= np.diff(words_with_bias) == 0
        packed[net.wiring[net.wiring[:, KIND] == DENSE, TARGET]] = False
    return packed


def connection_order(graph: Graph, schedule: LayerSync | AsyncSchedule) -> list[int]:
    """Which connection of a graph each row of `Net.wiring` is: by source, delayed ones last."""
    layered = isinstance(schedule, LayerSync)
    late = [
        bool(np.any(graph.layered_delay(c) if layered else c.delay)) for c in graph.connections
    ]
    return sorted(range(len(late)), key=lambda i: (graph.connections[i].source, late[i]))


def is_compiled(part: Schedule) -> bool:
    """Whether compiled code runs a schedule; a subclass of ours may have its own priorities."""
    return type(part) in _COMPILED


def check_schedule(schedule: Schedule) -> None:
    """Raise `UnsupportedError` if a schedule, or a part of it, is a user's own.

    Whatever samples draw.
    """
    for part in schedule.parts:
        if not is_compiled(part):
            names = ", ".join(cls.__name__ for cls in _COMPILED)
            wanted = f"one of {names} (backends 'reference' and 'graph' run any)"
            raise UnsupportedError("compiled kernel", "schedule", wanted, type(part).__name__)


def compile_schedule(
    net: Net,
    schedule: LayerSync | AsyncSchedule,
    stop_after: int | None,
    dropout: Dropout | None = None,
) -> Plan:
    """A schedule as numbers, for one network: noise is in units of its thresholds.

    Of the dropout, that of spikes alone; that of inputs is up to who finds them.

    Raises
    ------
    UnsupportedError
        It draws at each release, and the network has more neurons than draws have names for.
    """
    noise, seed = 0.0, 0
    match schedule:
        case Momentum():
            noise, seed = schedule.noise, schedule.seed
            kind = NOISY_MOMENTUM if noise else MOMENTUM
        case Random():
            kind, seed = RANDOM, schedule.seed
        case Fifo():
            kind = FIFO
        case _:
            kind = MOMENTUM  # whatever: layers release all at once
    if kind in (RANDOM, NOISY_MOMENTUM) and len(net.population) > random.MAX_FORWARD_STEP + 1:
        # Each neuron fires at most once in a time step, so no forward step is beyond their number.
        raise UnsupportedError(
            "compiled kernel", "neurons",
            f"at most {random.MAX_FORWARD_STEP + 1} under a schedule that draws at each release",
            len(net.population),
        )  # fmt: skip
    dropout = dropout or Dropout()
    key0, key1 = random.split_seed(seed)
    dropout_key0, dropout_key1 = random.split_seed(dropout.seed)
    return Plan(
        layered=schedule.layered,
        kind=kind,
        group_size=min(schedule.group_size, _ALL),
        amplitude=noise_amplitude(noise, net.threshold),
        key0=key0,
        key1=key1,
        stop_after=-1 if stop_after is None else min(stop_after, _ALL),
        spike_dropout=(
            np.broadcast_to(np.array(dropout.spike, np.float64), len(net.population)).copy()
            if dropout.drops_spikes else np.zeros(0)
        ),
        dropout_key0=dropout_key0,
        dropout_key1=dropout_key1,
    )
