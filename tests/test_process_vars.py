"""Weights, parameters and state, set between runs: what they change, and what is refused."""

import numpy as np
import pytest
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.reset import Reset
from scipy.sparse import csr_matrix

import lava_async as la
from lava_async._semantics.graph import NETX_NEVER_FIRES
from lava_async.errors import ProcessError, ValidationError
from lava_async.netx import Network
from lava_async.proc import AsyncConv, AsyncDense, AsyncLIF, AsyncSparse, SpikeScheduler
from lava_async.proc.conv.process import from_lava
from lava_async.runtime import Runner
from process_graphs import (
    AS_GRAPH,
    FIXED,
    LIF_ARGUMENTS,
    SCHEDULE,
    collect,
    connect,
    feed,
    lif,
    population,
    random_input,
    weights,
)

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("design")]
STEPS = 6


def sparse(values):
    """Synapses where a chessboard is black, of any weight, zero included."""
    rows, columns = np.nonzero(np.indices(values.shape).sum(axis=0) % 2 == 0)
    return csr_matrix((values[rows, columns], (rows, columns)), values.shape)


def random_weights(kind, rng):
    """Weights into 8 neurons, and from them back to themselves."""
    if kind == "conv":
        return rng.integers(-40, 90, (1, 3, 3, 1)), rng.integers(-40, 90, (1, 3, 3, 1))
    if kind == "sparse":
        into, back = weights(rng, 8, 8), weights(rng, 8, 8)
        into[0, 0] = back[1, 1] = 0
        return sparse(into), sparse(back)
    return weights(rng, 8, 8), weights(rng, 8, 8)


def build(kind, value, name=None):
    if kind == "conv":
        return AsyncConv(weight=value, input_shape=(4, 2, 1), padding=1, name=name)
    return {"dense": AsyncDense, "sparse": AsyncSparse}[kind](weights=value, name=name)


def dense_array(value):
    return value.toarray() if isinstance(value, csr_matrix) else value


def simulated(kind, into, back, x):
    """Spikes of a fresh network of these weights."""
    if kind == "conv":
        edges = [la.Conv(s, 0, from_lava(w), padding=1) for s, w in ((-1, into), (0, back))]
        graph = la.Graph((1, 2, 4), (population((1, 2, 4)),), tuple(edges))
        return la.simulate(graph, x.transpose(2, 1, 0, 3), SCHEDULE).spikes[0].transpose(2, 1, 0, 3)
    edges = [la.Dense(s, 0, dense_array(w)) for s, w in ((-1, into), (0, back))]
    return la.simulate(la.Graph((8,), (population((8,)),), tuple(edges)), x, SCHEDULE).spikes[0]


@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
@pytest.mark.parametrize("kind", ["dense", "sparse", "conv"])
def test_weights_set_between_runs_are_those_of_a_fresh_network(kind, tag):
    rng = np.random.default_rng(1)
    old, new = random_weights(kind, rng), random_weights(kind, rng)
    shape = (4, 2, 1) if kind == "conv" else (8,)
    x = random_input((*shape, STEPS))
    into, back = build(kind, old[0]), build(kind, old[1])
    cells = AsyncLIF(shape=shape, **LIF_ARGUMENTS)
    scheduler = SpikeScheduler([cells], SCHEDULE)
    feed(x, into.s_in)
    into.a_out.connect(cells.a_in)
    connect(cells, back, cells)
    sink = collect(cells.s_out, 3 * STEPS)
    variables = [c.weight if kind == "conv" else c.weights for c in (into, back)]
    with Runner(scheduler, Loihi2SimCfg(select_tag=tag)) as run:
        run(num_steps=STEPS)
        for values in (new, old):
            for var, value in zip(variables, values, strict=True):
                var.set(value)
                np.testing.assert_array_equal(dense_array(var.get()), dense_array(value))
            scheduler.reset.set(np.array([1]))
            run(num_steps=STEPS)
        got = sink.data.get()
    want = [simulated(kind, *values, x) for values in (old, new, old)]
    assert want[0].any() and want[1].any() and (want[0] != want[1]).any()
    np.testing.assert_array_equal(got, np.concatenate(want, axis=-1))


def test_synapses_of_weight_0_stay_synapses():
    """Synaptic operations are those of the structure, whatever the weights become."""
    matrix = csr_matrix(([3, 0, 0, 5], ([0, 0, 1, 2], [0, 1, 1, 0])), (3, 2))
    connection, cells = AsyncSparse(weights=matrix), lif(3)
    feed(np.ones((2, 1)), connection.s_in)
    connection.a_out.connect(cells.a_in)
    sink = collect(connection.a_out, 3)
    with Runner(SpikeScheduler([cells]), FIXED) as run:
        run(num_steps=1)
        for data in ([0, 0, 0, 0], [1, -2, 4, 0]):
            matrix.data[:] = data
            connection.weights.set(matrix)
            run(num_steps=1)
            assert connection.weights.get().nnz == 4
            assert connection.synops.get() == 4
        connection.weights.set(7, (0, 1))
        np.testing.assert_array_equal(connection.weights.get().toarray(), [[1, 7], [0, 4], [0, 0]])
        np.testing.assert_array_equal(sink.data.get(), [[3, 0, -1], [0, 0, 4], [5, 0, 0]])


def test_a_connection_without_synapses():
    connection, cells = AsyncSparse(weights=csr_matrix((3, 2))), lif(3)
    feed(np.ones((2, 1)), connection.s_in)
    connection.a_out.connect(cells.a_in)
    with Runner(SpikeScheduler([cells]), FIXED) as run:
        run(num_steps=1)
        connection.weights.set(connection.weights.get())
        assert connection.weights.get().shape == (3, 2)
        assert connection.synops.get() == 0


EYE = csr_matrix(np.eye(3) * 60)


@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
def test_values_that_do_not_fit_are_refused_and_nothing_is_lost(tag):
    cells = lif(3, "cells")
    one, two = AsyncDense(weights=np.eye(3) * 60, name="one"), AsyncSparse(weights=EYE, name="two")
    kernel = np.full((1, 1, 1, 1), 60)
    three = AsyncConv(weight=kernel, input_shape=(3, 1, 1), name="three")
    planes = AsyncLIF(shape=(3, 1, 1), **LIF_ARGUMENTS)
    scheduler = SpikeScheduler([cells, planes])
    x = np.ones((3, 1))
    feed(x, one.s_in, two.s_in)
    feed(x.reshape(3, 1, 1, 1), three.s_in)
    one.a_out.connect(cells.a_in)
    two.a_out.connect(cells.a_in)
    three.a_out.connect(planes.a_in)
    refused = [
        (one.weights, np.full((3, 3), 0.5), r"'one': weights\[0, 0\]: .*-256..254 \(got 0.5\)"),
        (one.weights, np.diag([0, np.nan, 0]), r"'one': weights\[1, 1\]: .*got nan"),
        (one.weights, 255, r"'one': weights\[0, 0\]: expected an integer in -256..254 \(got 255"),
        (one.weights, np.ones((2, 3)), r"'one': weights: expected what fits shape \(3, 3\)"),
        (one.weights, np.full((3, 3), "1"), "'one': weights: expected numbers"),
        (two.weights, EYE * 0.01, r"'two': weights\[0\]: expected an integer in .*got 0.6"),
        (two.weights, np.eye(3), "'two': weights: expected a SciPy sparse matrix"),
        (two.weights, csr_matrix(np.ones((3, 3))), "'two': weights: .*3 entries .*9 entries"),
        (two.weights, csr_matrix(np.eye(4)), r"'two': weights: .*got shape \(4, 4\)"),
        (three.weight, kernel - 317, r"'three': weight\[0, 0, 0, 0\]: .*got -257"),
        (cells.du, 4097, r"'cells': du\[0\]: expected an integer in 0..4096 \(got 4097\)"),
        (cells.dv, np.array([-1]), r"'cells': dv\[0\]: .*got -1"),
        (cells.vth, 1.5, r"'cells': vth\[0\]: expected an integer in 0..131071 \(got 1.5"),
        (cells.vth, (1 << 17) + 1, "'cells': vth"),
        (cells.bias_mant, [0, 0, 4096], r"'cells': bias_mant\[2\]: .*-4096..4095 \(got 4096"),
        (cells.u, 2**23 + 1, r"'cells': u\[0\]: expected an integer in -8388607..8388608"),
        (cells.v, np.full(3, -(2**23)), r"'cells': v\[0\]: expected an integer in -8388607..83886"),
        (cells.v, np.zeros(4), r"'cells': v: expected what fits shape \(3,\) \(got shape \(4,"),
    ]
    with Runner(scheduler, Loihi2SimCfg(select_tag=tag)) as run:
        run(num_steps=1)
        before = [dense_array(var.get()) for var, _, _ in refused]
        for var, value, message in refused:
            with pytest.raises(ValidationError, match=message):
                var.set(value)
        for (var, _, _), old in zip(refused, before, strict=True):
            np.testing.assert_array_equal(dense_array(var.get()), old)
        run(num_steps=1)
        np.testing.assert_array_equal(scheduler.spike_count.get(), [2, 2, 2, 2, 2, 2])


def test_parameters_and_state_set_between_runs():
    x, rng = random_input((6, STEPS)), np.random.default_rng(3)
    into, bias = weights(rng, 8, 6), rng.integers(-20, 20, 8)
    cells, dense = lif(8), AsyncDense(weights=into)
    scheduler = SpikeScheduler([cells], SCHEDULE)
    feed(x, dense.s_in)
    dense.a_out.connect(cells.a_in)
    sink = collect(cells.s_out, 2 * STEPS)
    with Runner(scheduler, FIXED) as run:
        run(num_steps=STEPS)
        for name, value in (("du", 700), ("dv", 4096), ("vth", 60), ("bias_mant", bias)):
            getattr(cells, name).set(value)
        cells.u.set(0)
        cells.v.set(np.zeros(8))
        cells.v.set([60 << 6, -5], [2, 0])
        np.testing.assert_array_equal(cells.v.get(slice(3)), [-5, 0, 60 << 6])
        cells.v.set(0, [0, 2])
        run(num_steps=STEPS)
        got = sink.data.get()[:, STEPS:]
    graph = la.Graph((6,), (la.Population("p", (8,), 700, 4096, 60, bias),),
                     (la.Dense(-1, 0, into),))
    want = la.simulate(graph, x, SCHEDULE).spikes[0]
    assert want.any()
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("never", NETX_NEVER_FIRES)
def test_a_threshold_of_netx_that_is_never_reached_can_be_set(never):
    cells, dense = lif(3), AsyncDense(weights=np.eye(3) * 60)
    feed(np.ones((3, 1)), dense.s_in)
    dense.a_out.connect(cells.a_in)
    scheduler = SpikeScheduler([cells])
    with Runner(scheduler, FIXED) as run:
        run(num_steps=1)
        cells.vth.set(never)
        assert cells.vth.get() == never
        run(num_steps=4)
        np.testing.assert_array_equal(scheduler.spike_count.get(), [1, 1, 1])


@pytest.mark.parametrize("config", [FIXED, AS_GRAPH], ids=["fused", "graph"])
def test_the_state_of_a_network(config):
    populations = population((3,), "a"), population((2,), "b")
    edges = la.Dense(-1, 0, np.eye(3) * 9), la.Dense(0, 1, np.ones((2, 3)))
    network = Network(la.Graph((3,), populations, edges), name="net")
    with Runner(network, config) as run:
        run(num_steps=1)
        for value in (2**24, 0.5, np.nan):
            with pytest.raises(ValidationError, match=r"Network 'net': v\[4\]: expected an int"):
                network.v.set(value, 4)
        network.v.set([5, -7], [3, 1])
        np.testing.assert_array_equal(network.v.get(), [0, -7, 0, 5, 0])
        network.u.set(100)
        np.testing.assert_array_equal(network.u.get([4, 0]), [100, 100])
        run(num_steps=1)


@pytest.mark.parametrize("schedule", [la.LayerSync(2), la.Momentum(2)])
def test_a_voltage_set_above_the_threshold_does_the_same_in_both(schedule):
    """Layers evaluate everyone; without them, whom nothing touches does not fire."""
    populations = population((3,), "a"), population((2,), "b")
    edges = la.Dense(-1, 0, np.eye(3) * 9), la.Dense(0, 1, np.ones((2, 3)))
    found = []
    for config in (FIXED, AS_GRAPH):
        network = Network(la.Graph((3,), populations, edges), schedule=schedule)
        with Runner(network, config) as run:
            run(num_steps=1)
            network.v.set([2**22, 2**22], [0, 4])
            run(num_steps=1)
            found.append((network.spike_count.get().tolist(), network.v.get().tolist()))
    assert found[0] == found[1]
    assert found[0][0] == ([1, 0, 0, 0, 1] if isinstance(schedule, la.LayerSync) else [0] * 5)


def overwrite(var, value, interval):
    """A stock process that writes from outside, unasked and unchecked."""
    Reset(reset_value=value, interval=interval, offset=interval - 1).connect_var(var)


def test_weights_overwritten_by_a_stock_process_take_effect():
    cells, dense = lif(3), AsyncDense(weights=np.eye(3) * 60)
    feed(np.ones((3, 1)), dense.s_in)
    dense.a_out.connect(cells.a_in)
    overwrite(dense.weights, 1, 2)
    sink = collect(dense.a_out, 4)
    with Runner(SpikeScheduler([cells]), FIXED) as run:
        run(num_steps=4)
        np.testing.assert_array_equal(sink.data.get(), [[60, 60, 3, 3]] * 3)


@pytest.mark.parametrize(
    "name, value", [("u", 2**23 + 1), ("v", 2**23), ("du", -1), ("vth", 2**20), ("bias_mant", 5000)]
)
def test_a_stock_process_that_writes_what_does_not_fit_is_reported(name, value):
    cells = lif(3, "cells")
    overwrite(getattr(cells, name), value, 1)
    with (
        pytest.raises(ProcessError, match=rf"AsyncLIF 'cells': {name}\[0\]: .*\(got {value}\)"),
        Runner(SpikeScheduler([cells]), FIXED) as run,
    ):
        run(num_steps=3)
