"""``record="sparse"``: the same as the dense record, in events."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async import metrics
from lava_async._semantics.graph import NETX_NEVER_FIRES
from lava_async.errors import ValidationError
from random_networks import graphs, inputs, schedules
from records import assert_equal_records


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_it_equals_the_dense_record(data):
    """Any network, schedule, early decision, and thread count; from either core backend."""
    graph = data.draw(graphs())
    reads_out = data.draw(st.booleans())
    if reads_out:
        populations = list(graph.populations)
        never = dataclasses.replace(populations[graph.output], threshold=NETX_NEVER_FIRES[0])
        populations[graph.output] = never
        graph = graph.replace(populations=tuple(populations))
    x = data.draw(inputs(graph))
    schedule = data.draw(schedules())
    stop = None
    if isinstance(schedule, la.AsyncSchedule) and not reads_out:
        stop = data.draw(st.sampled_from([None, 0, 1, 3]))
    options = {
        "stop_after": stop, "trace": data.draw(st.booleans()), "sample_ids": np.arange(len(x))[::-1]
    }  # fmt: skip
    want = la.simulate(graph, x, schedule, **options)
    backend = data.draw(st.sampled_from(["kernel", "reference"]))
    threads = data.draw(st.sampled_from([1, 2])) if backend == "kernel" else None
    got = la.simulate(
        graph, x, schedule, backend=backend, record="sparse", num_threads=threads, **options
    )
    assert isinstance(got, la.SparseRecord)
    assert got.shape == want.shape
    assert_equal_records(got, want)
    assert (got.readout is not None) == reads_out


def _network(rng, outputs=(4,)):
    sizes = (6, 30, int(np.prod(outputs)))
    populations = (
        la.Population("hidden", (30,), 1000, 200, 40), la.Population("out", outputs, 300, 200, 40)
    )  # fmt: skip
    connections = [
        la.Dense(i - 1, i, rng.integers(-60, 90, (sizes[i + 1], sizes[i]))) for i in range(2)
    ]
    return la.Graph(sizes[:1], populations, connections, output_delay=1)


def test_events_are_in_order_and_complete():
    rng = np.random.default_rng(0)
    graph, x = _network(rng), rng.integers(0, 2, (2, 6, 90))  # more than one list has room for
    want = la.simulate(graph, x, la.Random(3), trace=True)
    got = la.simulate(graph, x, la.Random(3), record="sparse")
    events = got.events
    assert len(events.sample) == want.all_spikes.sum() > 4000
    assert all(column.dtype == np.int32 for column in events)
    rows = np.stack(events[:4], axis=1).tolist()
    assert rows == sorted(rows)
    place = events.sample, events.neuron, events.time_step
    np.testing.assert_array_equal(events.forward_step, want.fired_at[place])
    np.testing.assert_array_equal(events.released_at, want.released_at[place])


@pytest.mark.parametrize("backend", ["kernel", "reference"])
def test_parts_with_progress_are_one_record(backend, monkeypatch):
    rng = np.random.default_rng(2)
    graph, x, done = _network(rng), rng.integers(0, 2, (8, 6, 4)), []
    schedule = la.Mixture([la.LayerSync(4), la.Momentum(2), la.Fifo(3)], seed=2)
    options = {"backend": backend, "sample_ids": np.arange(8)[::-1] + 40, "trace": True}
    want = la.simulate(graph, x, schedule, **options)
    monkeypatch.setattr("lava_async._simulate._PART", {backend: 3})
    got = la.simulate(graph, x, schedule, record="sparse", progress=done.append, **options)
    assert_equal_records(got, want)
    assert done == [3, 3, 2]


def test_measures_are_the_same_without_arrays_of_all_neurons():
    rng = np.random.default_rng(3)
    graph, x, labels = _network(rng), rng.integers(0, 2, (9, 6, 5)), rng.integers(0, 4, 9)
    dense = la.simulate(graph, x, la.Momentum(2))
    sparse = la.simulate(graph, x, la.Momentum(2), record="sparse")
    assert metrics.evaluate(graph, sparse, labels) == metrics.evaluate(graph, dense, labels)
    for measure in (
        metrics.spikes_per_sample, metrics.spike_density, metrics.synops_per_sample,
        metrics.predict, metrics.decision_latency,
        lambda record: metrics.spikes_per_population(graph, record),
        lambda record: metrics.accuracy_curve(record, labels)[1],
    ):  # fmt: skip
        np.testing.assert_array_equal(measure(sparse), measure(dense))
    assert "all_spikes" not in vars(sparse)
    assert metrics.first_difference(sparse, dense) is None


def test_samples_without_spikes_are_measured():
    graph = _network(np.random.default_rng(4))
    sparse = la.simulate(graph, np.zeros((2, 6, 3), int), record="sparse")
    assert metrics.spikes_per_sample(sparse).tolist() == [0, 0]
    assert metrics.spikes_per_population(graph, sparse).tolist() == [[0, 0], [0, 0]]
    assert not sparse.all_spikes.any() and sparse.shape == (2, 34, 3)
    assert repr(sparse) == "SparseRecord(shape=(2, 34, 3), events=0)"


def test_events_of_a_million_neurons():
    size = 1_000_000
    graph = la.Graph((size,), (la.Population("p", (size,), 0, 0, 10),), (la.OneToOne(-1, 0, 20),))
    x = np.zeros((1, size, 1), np.uint8)
    x[:, ::100_000] = 1
    x = np.broadcast_to(x, (4, size, 1))
    sparse = la.simulate(graph, x, record="sparse", num_threads=1)
    assert sparse.events.neuron.tolist() == list(range(0, size, 100_000)) * 4


def test_other_kinds_of_records_are_refused():
    graph = _network(np.random.default_rng(5))
    with pytest.raises(ValidationError, match=r"record: expected .*sparse.* \(got 'csr'\)"):
        la.simulate(graph, np.zeros((1, 6, 2), int), record="csr")
