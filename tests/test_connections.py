"""Connections: what a kind does fast is what its synapses say, one by one."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async.errors import GraphError, UnsupportedError
from random_networks import Neighbours, graphs


class BySynapses:
    """A connection through `synapses` alone."""

    def __init__(self, connection):
        self._connection = connection

    def __getattr__(self, name):
        method = getattr(la.Connection, name)
        return lambda *arguments: method(self._connection, *arguments)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_kind_does_what_its_synapses_say(data):
    graph = data.draw(graphs())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    for c in graph.connections:
        shape, target = graph.source_shape(c), graph.populations[c.target]
        slow, size = BySynapses(c), int(np.prod(shape))
        spikes = rng.integers(0, 3, size)
        gradient = rng.integers(-9, 9, target.size).astype(float)  # sums of these are exact
        np.testing.assert_array_equal(c.fan_out(shape), slow.fan_out(shape))
        np.testing.assert_array_equal(
            c.deliver(spikes, shape, target.size), slow.deliver(spikes, shape, target.size)
        )
        np.testing.assert_array_equal(
            c.deliver_back(gradient, shape), slow.deliver_back(gradient, shape)
        )
        assert c.l1(shape) >= slow.l1(shape)  # padding leaves out some taps
        assert isinstance(c, la.Conv) or c.l1(shape) == slow.l1(shape)
        slow.check_shapes("here", shape, target.shape)
        assert c.deliver(spikes, shape, target.size) @ gradient == (
            spikes @ c.deliver_back(gradient, shape)
        )


def graph_of(connection, source=(3,), target=(2,)):
    return la.Graph(source, (la.Population("p", target, 0, 0, 9),), (connection,))


def synapses(shape=(2, 3), first=(0, 2, 2, 2), target=(0, 1), weight=(1, 2)):
    return la.Synapses(shape, first, target, weight)


MATRIX = scipy.sparse.coo_matrix(([5, 0, -7], ([0, 1, 1], [2, 0, 1])), (2, 3))


@pytest.mark.parametrize("form", ["coo", "csr", "csc", "lil", "dok"])
def test_sparse_takes_any_matrix_and_keeps_stored_zeros(form):
    matrix = MATRIX.asformat(form)
    sparse = la.Sparse(la.INPUT, 0, matrix)
    got = scipy.sparse.csc_matrix(
        (sparse.weight.weight, sparse.weight.target, sparse.weight.first), sparse.weight.shape
    )
    np.testing.assert_array_equal(got.toarray(), matrix.toarray())
    assert sparse.fan_out((3,)).sum() == (3 if form in ("coo", "csr", "csc") else matrix.nnz)


def test_sparse_takes_synapses():
    synapses = la.Synapses.from_entries("here", (2, 3), [0, 1], [2, 0], [4, 5])
    assert la.Sparse(la.INPUT, 0, synapses).weight is synapses
    np.testing.assert_array_equal(synapses.first, [0, 1, 1, 2])
    np.testing.assert_array_equal(synapses.source, [0, 2])


@pytest.mark.parametrize(
    "build, text",
    [
        (lambda: la.Sparse(-1, 0, np.ones((2, 3))), "a SciPy sparse matrix, or Synapses"),
        (lambda: la.Sparse(-1, 0, MATRIX * 0.5), r"weight\[0\]: expected an integer"),
        (lambda: la.Sparse(-1, 0, MATRIX * 100), "weight"),
        (lambda: la.Synapses.from_entries("x", (2, 3), [0, 0], [1, 1], [1, 2]),
         "at most one between two neurons .got two from 1 to 0"),
        (lambda: la.Synapses.from_entries("x", (2, 3), [2], [1], [1]), r"target\[0\]"),
        (lambda: la.Synapses.from_entries("x", (2, 3), [1], [-1], [1]), r"source\[0\]"),
        (lambda: la.Synapses.from_entries("x", (2, 3), [1], [1, 2], [1]), "one length"),
        (lambda: synapses(target=[0, 2]), r"target\[1\]: expected an integer in 0\.\.1"),
        (lambda: synapses(target=[0, -1]), r"target\[1\]"),
        (lambda: synapses(target=[1, 0]), r"target\[1\]: expected ascending .*got 0 after 1"),
        (lambda: synapses(target=[1, 1]), r"target\[1\]: expected ascending"),
        (lambda: synapses(target=[0]), "target and weight: expected one length"),
        (lambda: synapses(weight=[1, 255]), r"weight\[1\]"),
        (lambda: synapses(weight=[0.5, 1]), r"weight\[0\]"),
        (lambda: synapses(first=[0, 2, 2]), "first: expected 4"),
        (lambda: synapses(first=[0, 9, 2, 2]), r"first\[1\]"),
        (lambda: synapses(first=[0, 2, 1, 2]), "first: expected numbers that rise from 0 to 2"),
        (lambda: synapses(first=[0, 1, 1, 1]), "first: expected numbers that rise"),
        (lambda: synapses(shape=(2, -3)), "shape"),
        (lambda: synapses(shape=(2,)), "shape"),
        (lambda: la.Dense("a", 0, np.ones((2, 3))), "dense: source: expected one integer"),
        (lambda: la.Dense(0, 0.5, np.ones((2, 3))), "dense: target: expected an integer"),
        (lambda: graph_of(la.Sparse(-1, 0, MATRIX), (4,)),
         r"sparse size \(out, in\): expected \(2, 4\)"),
        (lambda: graph_of(la.Dense(-1, 0, np.ones((2, 3)), delay=-1)), "dense -1->0: delay"),
        (lambda: graph_of(la.Dense(-1, 0, np.ones((2, 3)), delay=63)), r"in 0\.\.62"),
        (lambda: graph_of(la.Dense(-1, 0, np.ones((2, 3)), delay=0.5)), "delay: expected an int"),
        (lambda: graph_of(la.Dense(-1, 0, np.ones((2, 3)), delay=[0, 1, 70])), r"delay\[2\]"),
        (lambda: graph_of(la.Dense(-1, 0, np.ones((2, 3)), delay=[0, 1])),
         "delay: expected one, or 3"),
        (lambda: graph_of(la.Dense(-1, 0, np.ones((2, 3)))).replace(output_delay=[1, 2, 3]),
         "output_delay: expected one, or 2"),
        (lambda: graph_of(la.Dense(-1, 0, np.ones((2, 3)))).replace(output_delay=99),
         "output_delay"),
    ],
)
def test_bad_connection(build, text):
    with pytest.raises(GraphError, match=text):
        build()


@dataclasses.dataclass(frozen=True, eq=False)
class Careless(la.Connection):
    returns: object

    def synapses(self, source_shape):
        return self.returns


def test_a_kind_that_returns_no_synapses_or_too_many_is_refused():
    with pytest.raises(GraphError, match=r"connection -1->0: what .* expected Synapses .got list"):
        graph_of(Careless(-1, 0, []))
    synapses = la.Synapses.from_entries("x", (5, 3), [4], [0], [1])
    with pytest.raises(GraphError, match=r"connection size \(out, in\): expected \(2, 3\)"):
        graph_of(Careless(-1, 0, synapses))


@dataclasses.dataclass(frozen=True)
class Compared(la.Connection):
    """Whose author left the comparison of fields as dataclasses have it: arrays have no hash."""

    weight: np.ndarray

    def synapses(self, source_shape):
        return la.Sparse(self.source, self.target, scipy.sparse.csr_matrix(self.weight)).weight


@pytest.mark.parametrize("schedule", [la.Momentum(1), la.LayerSync(1)])
def test_a_kind_needs_no_hash(schedule):
    weight, x = np.full((3, 3), 60), np.ones((2, 3, 5), int)
    own = graph_of(Compared(-1, 0, weight, delay=[0, 1, 2]), (3,), (3,))
    dense = graph_of(la.Dense(-1, 0, weight, delay=[0, 1, 2]), (3,), (3,))
    want = la.simulate(dense, x, schedule).all_spikes
    for backend in ("reference", "kernel"):
        got = la.simulate(own, x, schedule, backend=backend).all_spikes
        np.testing.assert_array_equal(got, want)


def test_ends_may_be_any_whole_number():
    graph = graph_of(la.Dense(np.int8(-1), np.float64(0), np.full((2, 3), 60)))
    assert type(graph.connections[0].source) is type(graph.connections[0].target) is int
    assert la.simulate(graph, np.ones((3, 1), int)).spikes.all()


@pytest.mark.parametrize("base", [la.Dense, la.Conv, la.OneToOne, la.Sparse])
def test_a_kind_of_ones_own_is_based_on_connection_alone(base):
    """Compiled code and processes would run what the base says, whatever it changes."""
    with pytest.raises(UnsupportedError, match=f"expected Connection .got {base.__name__}"):
        type("Mine", (base,), {})
    assert type("Twice", (Neighbours,), {})(la.INPUT, 0, (1, 2)).weight == (1, 2)


RAGGED = [[1, 2], [3]]


@pytest.mark.parametrize(
    "build",
    [
        lambda: la.Dense(-1, 0, RAGGED),
        lambda: la.Dense(-1, 0, [[1, 2]], delay=RAGGED),
        lambda: la.Conv(-1, 0, np.ones((1, 1, 1, 1)), stride=RAGGED),
        lambda: la.Population("p", RAGGED, 0, 0, 1),
        lambda: la.Population("p", (2,), RAGGED, 0, 1),
        lambda: la.Population("p", (2,), 0, 0, RAGGED),
        lambda: la.Population("p", (2,), 0, 0, 1, RAGGED),
        lambda: la.Population(7, (2,), 0, 0, 1),
    ],
)
def test_what_is_no_array_or_no_name_is_refused(build):
    with pytest.raises(GraphError, match=r"expected (numbers in rows of one length|a text)"):
        build()


def test_connections_and_graphs_can_be_copied_and_pickled():
    connection = Neighbours(la.INPUT, 0, (60, -3), delay=[0, 1, 2])
    graph = graph_of(connection, (3,), (3,))
    x = np.random.default_rng(0).integers(0, 2, (2, 3, 9))
    want = la.simulate(graph, x).all_spikes
    for again in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        np.testing.assert_array_equal(la.simulate(again, x).all_spikes, want)
        assert again.connections[0].weight == (60, -3)


def test_delays_by_hand():
    """One neuron that passes on: each source's spike arrives when it should."""
    population = la.Population("p", (2,), 4096, 4096, 9)
    into = la.Dense(la.INPUT, 0, np.eye(2, dtype=int) * 10, delay=[0, 2])
    on = la.Dense(0, 1, np.eye(2, dtype=int) * 10, delay=[3, 0])
    graph = la.Graph((2,), (population, population), (into, on), output_delay=[1, 0])
    x = np.zeros((2, 7), int)
    x[:, 0] = 1
    for backend in ("reference", "kernel"):
        for schedule in (la.Momentum(1), la.Fifo(2), la.LayerSync(1)):
            record = la.simulate(graph, x, schedule, backend=backend)
            when = [np.flatnonzero(row).tolist() for row in record.all_spikes[0]]
            assert when == [[0], [2], [3], [2]]
            assert [np.flatnonzero(row).tolist() for row in record.spikes[0]] == [[4], [2]]
            assert [np.flatnonzero(row >= 0).tolist() for row in record.output_steps[0]] == (
                [[3], [2]]
            )
            # Counted in the time step in which they are released.
            assert record.synops[0].tolist() == [4 + 2, 0, 2, 0, 0, 0, 0]


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_boolean_synapses_have_weight_1(form, kind):
    mask = np.random.default_rng(0).random((4, 3)) < 0.5
    matrix = getattr(scipy.sparse, f"{form}_{kind}")(mask)
    assert matrix.dtype == bool
    for synapses in (
        la.Synapses.from_matrix("here", matrix), la.Sparse(la.INPUT, 0, matrix).weight
    ):
        assert synapses.weight.dtype == np.int16
        found = np.zeros((4, 3), int)
        np.add.at(found, (synapses.target, synapses.source), synapses.weight)
        np.testing.assert_array_equal(found, mask)


def test_boolean_weights_of_every_kind_run_as_ones():
    rng = np.random.default_rng(0)
    mask, kernel = rng.random((12, 12)) < 0.5, rng.random((3, 3, 2, 1)) < 0.5
    entries = scipy.sparse.coo_matrix(mask)
    builds = [
        lambda dtype: la.Dense(la.INPUT, 0, mask.astype(dtype)),
        lambda dtype: la.Dense(la.INPUT, 0, mask.astype(dtype).tolist()),
        lambda dtype: la.Conv(la.INPUT, 0, kernel.astype(dtype), padding=(0, 0)),
        lambda dtype: la.Sparse(la.INPUT, 0, scipy.sparse.csr_matrix(mask.astype(dtype))),
        lambda dtype: la.Sparse(la.INPUT, 0, la.Synapses.from_entries(
            "here", (12, 12), entries.row, entries.col, entries.data.astype(dtype)
        )),
    ]  # fmt: skip
    x = rng.integers(0, 2, (3, 3, 4, 1, 8))
    for build in builds:
        records = []
        for dtype in (bool, int):
            connection = build(dtype)
            shape = connection.out_shape((3, 4, 1)) if isinstance(connection, la.Conv) else (12,)
            population = la.Population("p", shape, 1000, 1000, 2)
            graph = la.Graph((3, 4, 1), (population,), (connection,))
            records.append(la.simulate(graph, x).all_spikes)
        assert records[0].any()
        np.testing.assert_array_equal(*records)


@pytest.mark.parametrize(
    "weight", [np.array([[None, 1]]), np.array([["1", "0"]]), np.array([[1 + 0j, 0]])]
)
def test_weights_that_are_no_numbers_are_refused(weight):
    with pytest.raises(GraphError, match="weight: expected numbers"):
        la.Dense(la.INPUT, 0, weight)
