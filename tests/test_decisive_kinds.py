"""Every kind of connection has the gradient of the same synapses given one by one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lava_async as la
from decisive_helpers import assert_close, gradients
from random_networks import Neighbours, async_schedules, graphs, inputs


def as_sparse(graph):
    """The same network, its synapses one by one."""
    return graph.replace(
        connections=tuple(
            la.Sparse(c.source, c.target, c.synapses(graph.source_shape(c)), delay=c.delay)
            for c in graph.connections
        )
    )


def distinct(rng, *shape):
    """Weights no two of which are alike."""
    return rng.choice(np.arange(-200, 251), shape, replace=False)


def graph_of_all_kinds(rng):
    """A circle through kinds that share weights and kinds that do not."""
    conv = la.Conv(0, 1, distinct(rng, 4, 2, 2, 3), (2, 1), (1, 2), (1, 2), groups=2)
    strided = la.Conv(-1, 1, distinct(rng, 4, 4, 2, 3), (2, 1), (1, 2), (1, 2), delay=1)
    shape = conv.out_shape((4, 5, 4))
    size = int(np.prod(shape))
    sparse = la.Synapses.from_entries(
        "", (80, 6), rng.permutation(80)[:60], np.arange(60) % 6, distinct(rng, 60)
    )
    return la.Graph(
        (4, 5, 4),
        [
            la.Population("same", (4, 5, 4), 4096, 1000, 150),
            la.Population("kernels", shape, 2000, 500, 300),
            la.Population("ring", shape, 4096, 4096, 100),
            la.Population("all", (6,), 100, 2000, 300),
        ],
        [
            la.OneToOne(-1, 0, 180),
            conv,
            strided,
            Neighbours(1, 2, (150, -40)),
            la.Dense(2, 3, distinct(rng, 6, 60)[:, rng.integers(0, 60, size)]),
            la.Sparse(3, 0, sparse),
            la.OneToOne(2, 2, 90, delay=np.arange(size) % 3),
        ],
    )


def shared(connection, by_synapse, synapses):
    """Sums of the gradients of synapses that share a weight, found by what each kind means."""
    if isinstance(connection, la.OneToOne):
        return np.array([by_synapse.sum()])
    if isinstance(connection, la.Dense):
        found = np.zeros(connection.weight.shape)
        found[synapses.target, synapses.source] = by_synapse
        return found
    if isinstance(connection, la.Conv):  # no two weights of which are alike
        found = [by_synapse[synapses.weight == w].sum() for w in connection.weight.reshape(-1)]
        return np.reshape(found, connection.weight.shape)
    return by_synapse


@pytest.mark.parametrize("reset", ["through", "full"])
@pytest.mark.parametrize("schedule", [la.Momentum(4), la.Random(3, 1), la.LayerSync()])
def test_kinds_share_the_gradient_of_their_synapses(schedule, reset):
    rng = np.random.default_rng(2)
    graph = graph_of_all_kinds(rng)
    x = (rng.random((2, 4, 5, 4, 4)) < 0.4).astype(np.int64)
    by_spikes = rng.normal(size=(2, 4, graph.num_neurons))
    record, _, got = gradients(graph, x, schedule, by_spikes, reset=reset)
    record_of_sparse, _, want = gradients(as_sparse(graph), x, schedule, by_spikes, reset=reset)
    np.testing.assert_array_equal(record.all_spikes, record_of_sparse.all_spikes)
    assert all(record.all_spikes[:, graph.slice(p)].any() for p in range(4))
    for c, by_weight, by_synapse in zip(
        graph.connections, got.weights, want.weights, strict=True
    ):
        synapses = c.synapses(graph.source_shape(c))
        expected = shared(c, by_synapse, synapses)
        assert np.abs(expected).max() > 0
        assert_close(by_weight, expected)
    assert_close(got.bias, want.bias)
    assert_close(got.frames, want.frames)
    assert_close(got.decay_u, want.decay_u)
    assert_close(got.decay_v, want.decay_v)


@pytest.mark.parametrize("layered", [False, True])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_random_graphs_have_the_gradient_of_their_synapses(data, layered):
    schedule = la.LayerSync() if layered else data.draw(async_schedules())
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph, max_batch=2, max_steps=4))
    by_spikes = np.random.default_rng(0).normal(size=(len(x), x.shape[-1], graph.num_neurons))
    _, _, got = gradients(graph, x, schedule, by_spikes)
    _, _, want = gradients(as_sparse(graph), x, schedule, by_spikes)
    for c, by_weight, by_synapse in zip(
        graph.connections, got.weights, want.weights, strict=True
    ):
        total = np.zeros(by_weight.size)
        np.add.at(total, c.places(graph.source_shape(c)), by_synapse)
        assert_close(by_weight.reshape(-1), total)
    assert_close(got.bias, want.bias)
    assert_close(got.frames, want.frames)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_places_lead_to_each_synapses_weight(data):
    """Whatever stride, padding, dilation and groups."""
    graph = data.draw(graphs())
    for c in graph.connections:
        shape = graph.source_shape(c)
        synapses, places = c.synapses(shape), c.places(shape)
        assert c.weight_shape(shape) == (
            np.shape(c.weight) if isinstance(c, (la.Dense, la.Conv))
            else (1,) if isinstance(c, la.OneToOne) else synapses.weight.shape
        )
        assert places.shape == synapses.weight.shape
        if isinstance(c, (la.Dense, la.Conv, la.OneToOne)):
            if np.size(c.weight) < 500 and not isinstance(c, la.OneToOne):
                numbers = np.arange(c.weight.size).reshape(c.weight.shape) - 250
                c = dataclasses.replace(c, weight=numbers)
                synapses = c.synapses(shape)
            np.testing.assert_array_equal(np.ravel(c.weight)[places], synapses.weight)
        else:
            np.testing.assert_array_equal(places, np.arange(len(synapses.weight)))
