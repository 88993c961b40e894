"""A kind of connection that only this file knows runs on every backend, and as a process."""

import dataclasses

import numpy as np
import pytest

import lava_async as la
from lava_async.netx import Network
from lava_async.proc import AsyncSparse
from lava_async.runtime import Runner
from process_graphs import AS_GRAPH, collect, feed, population, random_input
from records import assert_equal_records

pytestmark = pytest.mark.timeout(120)


@dataclasses.dataclass(frozen=True, eq=False)
class Stride(la.Connection):
    """Every ``step``-th source, by one weight to all targets of its rest."""

    weight: int
    step: int
    size: int
    kind = "stride"

    def synapses(self, source_shape):
        count = int(np.prod(source_shape))
        target, source = np.nonzero(
            np.arange(self.size)[:, None] % self.step == np.arange(count) % self.step
        )
        weight = np.full(len(source), self.weight)
        return la.Synapses.from_entries(self.where, (self.size, count), target, source, weight)

    def as_dense(self, source_shape):
        """The same with synapses of weight 0 between."""
        synapses = self.synapses(source_shape)
        weight = np.zeros(synapses.shape, int)
        weight[synapses.target, synapses.source] = synapses.weight
        return la.Dense(self.source, self.target, weight, delay=self.delay)


def own_graph():
    """From the input, forward, and back over a delay."""
    return la.Graph(
        (2, 3, 2),
        (population((2, 2, 2), "a"), population((9,), "b")),
        (
            Stride(la.INPUT, 0, 60, 5, 8),
            Stride(0, 1, 45, 3, 9, delay=[0, 1, 2, 0, 1, 2, 0, 1]),
            Stride(1, 0, -20, 4, 8, delay=1),
        ),
    )


@pytest.mark.parametrize(
    "schedule", [la.Momentum(2), la.Fifo(1), la.LayerSync(3), la.Random(4, seed=2)]
)
def test_every_backend_runs_it(schedule):
    graph, x = own_graph(), random_input((3, 2, 3, 2, 8))
    want = la.simulate(graph, x, schedule, backend="reference", trace=True)
    assert want.spikes.any()
    for backend in ("kernel", "lava", "graph"):
        got = la.simulate(graph, x, schedule, backend=backend, trace=True)
        assert_equal_records(got, want)
    dense = tuple(c.as_dense(graph.source_shape(c)) for c in graph.connections)
    full = la.simulate(graph.replace(connections=dense), x, schedule)
    np.testing.assert_array_equal(full.all_spikes, want.all_spikes)
    assert (full.synops > want.synops).any()


def test_its_process_is_the_sparse_one():
    graph, x = own_graph(), random_input((2, 3, 2, 8))
    network = Network(graph)
    assert str(network).splitlines()[1].startswith("|Stride    |")
    assert network.inp.shape == (2, 3, 2)
    feed(x.transpose(2, 1, 0, 3), network.inp)
    sink = collect(network.out, 8)
    with Runner(network, AS_GRAPH) as run:
        connections = [p for p in network.procs.members if "->" in p.name]
        assert [type(c) for c in connections] == [AsyncSparse] * 3
        run(num_steps=8)
        np.testing.assert_array_equal(sink.data.get(), la.simulate(graph, x).spikes[0])
