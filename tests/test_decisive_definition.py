"""The decisive gradient's readable definition against independent programs."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import golden_gradients
import lava_async as la
from decisive_helpers import assert_close, by_output, gradients, thresholds
from golden_gradients import load_golden_gradient
from golden_graphs import NAMES, load_golden_graph
from random_networks import graphs, inputs, single_schedules


@pytest.mark.parametrize("name", NAMES)
def test_golden_graph(name):
    case = load_golden_graph(name)
    record, _, found = gradients(
        case.graph, case.x, case.schedule, by_output(case.graph, case.arrays["loss_gradient"]),
        case.stop_after,
    )
    np.testing.assert_array_equal(record.all_spikes, case.arrays["all_spikes"])
    assert len(found.weights) == len(case.graph.connections)
    for k, by_weight in enumerate(found.weights):
        assert_close(by_weight, case.arrays[f"gradient_{k}"])
    assert_close(found.bias, case.arrays["gradient_bias"])


def test_all_golden_gradients_are_here():
    assert len(golden_gradients.NAMES) == 6
    cases = [load_golden_gradient(name) for name in golden_gradients.NAMES]
    assert {type(case.schedule) for case in cases} == {la.Momentum, la.Fifo, la.LayerSync}


@pytest.mark.parametrize("name", golden_gradients.NAMES)
def test_golden_gradient(name):
    case = load_golden_gradient(name)

    def slayers(graph, voltage):
        return case.height * np.exp(-np.abs(voltage - thresholds(graph)) / case.width)

    record, _, found = gradients(
        case.graph, case.arrays["x"], case.schedule,
        by_output(case.graph, case.arrays["loss_gradient"]), derivative=slayers,
    )
    np.testing.assert_array_equal(record.all_spikes, case.arrays["spikes"])
    for k, by_weight in enumerate(found.weights):
        assert_close(by_weight, case.arrays[f"gradient_{k}"])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), schedule=single_schedules())
def test_delays_get_what_a_shift_of_their_spikes_brings(data, schedule):
    """What a spike would bring at any time, by inputs that take the same ways and are silent."""
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph))
    flat = x.reshape(len(x), -1, x.shape[-1])
    by_spikes = np.random.default_rng(0).normal(size=(len(x), x.shape[-1], graph.num_neurons))
    record, tape, found = gradients(graph, x, schedule, by_spikes)
    layered = isinstance(schedule, la.LayerSync)
    sent = np.moveaxis(tape.released_at >= 0, 1, -1).astype(float)
    want = np.zeros(graph.num_neurons)
    for c in graph.connections:
        if c.source == la.INPUT:
            continue
        size, before = graph.populations[c.source].size, flat.shape[1]
        shape = graph.source_shape(c)
        synapses = c.all_synapses(shape)
        source = np.concatenate([np.zeros(before, int), synapses.first])
        silent = la.Sparse(
            la.INPUT, c.target,
            dataclasses.replace(synapses, shape=(synapses.shape[0], before + size), first=source),
        )  # fmt: skip
        others = [_from_wider(k, graph, before + size) for k in graph.connections]
        wider = graph.replace(input_shape=(before + size,), connections=(*others, silent))
        frames = np.pad(flat, ((0, 0), (0, size), (0, 0)))
        again, _, by_frames = gradients(wider, frames, schedule, by_spikes)
        np.testing.assert_array_equal(again.all_spikes, record.all_spikes)
        late = np.broadcast_to(graph.layered_delay(c) if layered else c.delay, size)
        own = sent[:, graph.slice(c.source)]
        for i, delay in enumerate(late.tolist()):
            arrived = np.zeros(own[:, i].shape)
            arrived[:, delay:] = own[:, i, : max(own.shape[-1] - delay, 0)]
            difference = np.diff(arrived, prepend=0)
            brought = by_frames.frames[:, before + i]
            want[graph.offsets[c.source] + i] -= (difference * brought).sum()
    assert_close(found.delay, want)


def _from_wider(connection, graph, inputs):
    """The connection in a graph with so many inputs, of which the first are its own."""
    if connection.source != la.INPUT:
        return connection
    synapses = connection.all_synapses(graph.input_shape)
    more = inputs - synapses.shape[1]
    first = np.concatenate([synapses.first, np.full(more, synapses.first[-1])])
    wider = dataclasses.replace(synapses, shape=(synapses.shape[0], inputs), first=first)
    delay = connection.delay
    if np.ndim(delay):
        delay = np.concatenate([delay, np.zeros(more, int)])
    return la.Sparse(la.INPUT, connection.target, wider, delay=delay)
