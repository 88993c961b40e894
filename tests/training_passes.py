"""Compiled training passes beside the readable definition's, for tests."""

import dataclasses

import numpy as np

import lava_async as la
from lava_async._kernel import training
from lava_async._kernel._layout import NEVER
from lava_async._kernel.training.layout import IN_TIME, LOST, UNSENT
from lava_async._semantics import decisive, reference
from lava_async._semantics.dropout import Dropout

SURROGATES = {
    training.EXPONENTIAL: lambda x: np.exp(-x),
    training.ARCTAN: lambda x: 1 / (1 + x * x),
    training.FAST_SIGMOID: lambda x: 1 / (1 + x) ** 2,
}


def numbers(graph):
    """The graph's weights and neurons, as the kernel wants them."""
    weights = [
        np.array(weight_of(c, graph), np.float32).reshape(c.weight_shape(graph.source_shape(c)))
        for c in graph.connections
    ]
    populations = graph.populations
    neurons = training.Neurons(
        [p.i_decay for p in populations],
        [p.v_decay for p in populations],
        [p.threshold for p in populations],
        [None if p.bias is None else p.bias.reshape(-1) for p in populations],
    )
    return weights, neurons


def weight_of(connection, graph):
    if isinstance(connection, (la.Dense, la.Conv, la.OneToOne)):
        return connection.weight
    return connection.synapses(graph.source_shape(connection)).weight


def run(graph, x, schedule, *, stop_after=None, ids=None, dropout=None, neuron_range=None,
        dtype=np.uint8, taped=True, with_currents=False, threads=1, trainer=None, kept=None):
    """A compiled forward pass."""
    trainer = trainer or training.Trainer(graph, isinstance(schedule, la.LayerSync))
    ids = np.arange(len(x)) if ids is None else np.asarray(ids, np.int64)
    frames = x.reshape(len(x), -1).astype(dtype)
    return trainer.run(
        trainer.load(*numbers(graph)), frames, x.shape[-1], ids, schedule, stop_after=stop_after,
        dropout=dropout, neuron_range=neuron_range or (0, graph.num_neurons), taped=taped,
        with_currents=with_currents, kept=kept, team=training.OwnThreads(threads),
    )  # fmt: skip


def tape_of(done):
    """The tape's arrays, their codes spelt by the definition's tape: see `explained`."""
    tape, num_neurons = done._tape, done.voltage.shape[2]
    return tuple(a[:, :, :num_neurons] for a in (tape.voltage, tape.fired_at, tape.released_at))


def explained(tape, layered):
    """A tape of the definition in the codes of the compiled one."""
    fired = tape.fired_at >= 0
    sent = IN_TIME if layered else tape.released_at
    released_at = np.select(
        [tape.lost, fired & (tape.released_at < 0), fired], [LOST, UNSENT, sent], IN_TIME
    )
    return tape.voltage, np.where(fired, tape.fired_at, NEVER), released_at


def derivative(graph, kind, width, height, voltage):
    """(B, T, N) surrogate derivative; width and height of each population."""
    sizes = [p.size for p in graph.populations]
    threshold = np.repeat([p.threshold << 6 for p in graph.populations], sizes)
    distance = np.abs(voltage - threshold)
    return np.repeat(height, sizes) * SURROGATES[kind](distance / np.repeat(width, sizes))


def defined(graph, x, schedule, stop_after=None, ids=None, dropout=None):
    """(record, tape, frames) of the definition; frames without what input dropout took."""
    ids = np.arange(len(x)) if ids is None else np.asarray(ids, np.int64)
    record, tape = reference.run_with_tape(graph, x, schedule, stop_after, ids, dropout=dropout)
    frames = x.reshape(len(x), -1, x.shape[-1])
    dropout = dropout or Dropout()
    index, time_step = np.indices(frames.shape[1:])
    lost = dropout.input_lost(ids[:, None, None], time_step, index)
    return record, tape, np.where(lost, 0, frames)


def with_magnitudes(graph, layered, frames, tape, by_voltage, loss, reset):
    """The definition's gradients, and of each the sum of its absolute contributions.

    The same way back with all signs positive: what rounding is relative to.
    """
    found = decisive.backward(graph, layered, frames, tape, by_voltage, loss, reset)
    positive = graph.replace(
        connections=tuple(
            la.Sparse(c.source, c.target, _positive(c, graph), delay=c.delay)
            for c in graph.connections
        )
    )
    size = decisive.backward(
        positive, layered, frames,
        dataclasses.replace(tape, voltage=-np.abs(tape.voltage), current=np.abs(tape.current)),
        np.abs(by_voltage), np.abs(loss), reset,
    )  # fmt: skip
    summed = []
    for c, by_synapse in zip(graph.connections, size.weights, strict=True):
        shape = graph.source_shape(c)
        total = np.zeros(int(np.prod(c.weight_shape(shape))))
        np.add.at(total, c.places(shape), by_synapse)
        summed.append(total.reshape(c.weight_shape(shape)))
    return found, dataclasses.replace(size, weights=summed)


def _positive(connection, graph):
    synapses = connection.all_synapses(graph.source_shape(connection))
    return dataclasses.replace(synapses, weight=np.minimum(np.abs(synapses.weight), 254))


def assert_rounded(got, want, size):
    """Equal but for the rounding of float32."""
    assert got.shape == want.shape
    assert got.dtype == np.float32
    assert np.isfinite(got).all()
    # A few units in the last place for each step of the way, and of exp of large numbers.
    excess = np.abs(got - want) - (3e-5 * size + 1e-25)
    assert excess.max(initial=-1) <= 0
