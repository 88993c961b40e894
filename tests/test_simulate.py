"""`simulate`: the record, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest

import lava_async as la
from lava_async.errors import GraphError, ValidationError


@pytest.fixture
def graph():
    """Input of 2 -> p0 of 3 -> p1 of 2, every current above threshold."""
    return la.Graph(
        (2,),
        (la.Population("p0", (3,), 4096, 4096, 10), la.Population("p1", (2,), 4096, 4096, 10)),
        (la.Dense(la.INPUT, 0, np.full((3, 2), 20)), la.Dense(0, 1, np.full((2, 3), 20))),
    )


def test_record_by_hand(graph):
    """F = 2: three spikes on the input; two are released, both outputs fire; the rest follows."""
    x = np.zeros((1, 2, 2), int)
    x[0, 0, 0] = 1
    record = la.simulate(graph, x, la.Momentum(2), backend="reference", trace=True)
    assert record.all_spikes[0, :, 0].tolist() == [1, 1, 1, 1, 1]
    assert not record.all_spikes[0, :, 1].any()
    # Releases: {0, 1}; then the outputs 3, 4 (momentum 40 << 6) before 2 (20 << 6); then 2.
    assert record.fired_at[0, :, 0].tolist() == [0, 0, 0, 1, 1]
    assert record.released_at[0, :, 0].tolist() == [0, 0, 2, 1, 1]
    assert record.forward_steps.tolist() == [[3, 0]]
    assert record.synops.tolist() == [[3 + 3 * 2, 0]]
    assert record.output_steps[0].tolist() == [[1, -1], [1, -1]]
    assert record.spikes.shape == (1, 2, 2)


@pytest.mark.parametrize(("stop_after", "steps"), [(0, 1), (1, 2), (5, 3)])
def test_stop_after(graph, stop_after, steps):
    x = np.ones((1, 2, 1), int)
    record = la.simulate(graph, x, la.Momentum(2), backend="reference", stop_after=stop_after)
    assert record.forward_steps.tolist() == [[steps]]
    assert record.all_spikes.sum() == 5  # fired spikes count, released or not


def test_layer_sync_counts_the_steps_the_same_machine_needs(graph):
    record = la.simulate(graph, np.ones((1, 2, 1)), la.LayerSync(2))
    assert record.forward_steps.tolist() == [[2 + 1]]
    assert record.output_steps[0, :, 0].tolist() == [2, 2]


def test_a_value_of_n_counts_as_n_spikes(graph):
    record = la.simulate(graph, np.full((1, 2, 1), 7), la.Momentum(8))
    assert record.synops.tolist() == [[2 * 7 * 3 + 3 * 2]]


def test_a_single_sample_and_whole_floats_are_fine(graph):
    x = np.ones((2, 4))
    one = la.simulate(graph, x)
    np.testing.assert_array_equal(one.all_spikes, la.simulate(graph, x[None]).all_spikes)
    assert one.spikes.shape == (1, 2, 4)


def test_schedule_defaults_to_what_the_graph_records(graph):
    x = np.ones((1, 2, 1))
    recorded = graph.replace(schedule=la.LayerSync(1))
    assert la.simulate(recorded, x).forward_steps.tolist() == [[5]]
    assert la.simulate(graph, x).forward_steps.tolist() == [[2]]


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.ones((2, 3, 4, 5)), r"input: shape: expected \(B, 2, T\) or \(2, T\)"),
        (np.ones((1, 3, 4)), "input: shape"),
        (np.ones((0, 2, 4)), "at least one sample"),
        (np.ones((1, 2, 0)), "at least one sample"),
        (np.full((1, 2, 1), -1), r"value at \[0, 0, 0\]: expected a whole number .*got -1"),
        (np.full((2, 1), -1), r"value at \[0, 0\]: expected a whole number .*got -1"),
        (np.full((1, 2, 1), 0.5), "a whole number"),
        (np.full((1, 2, 1), np.nan), "a whole number"),
        (np.full((1, 2, 1), np.inf), "a whole number"),
        (np.full((1, 2, 1), 2**40), "a whole number"),
        (np.ones((1, 2, 1), complex), "dtype"),
        (np.array([["a"]]), "dtype"),
    ],
)
def test_bad_input(graph, x, text):
    with pytest.raises(ValidationError, match=text):
        la.simulate(graph, x)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (dict(schedule="momentum"),
         "schedule: expected one of LayerSync, Random, Momentum, Fifo, Mixture, or"),
        (dict(backend="gpu"), "backend: expected one of"),
        (dict(stop_after=-1), "stop_after: expected None or an integer >= 0"),
        (dict(stop_after=1.5), "stop_after"),
        (dict(stop_after=1, schedule=la.LayerSync()), "LayerSync: stop_after: expected None"),
        (dict(sample_ids=[0, 1]), "sample_ids: expected 1 integers"),
        (dict(sample_ids=[-1]), "sample_ids: expected 0 <= id"),
        (dict(sample_ids=[1 << 32]), "sample_ids"),
        (dict(sample_ids=[0.5]), "sample_ids"),
        (dict(num_threads=0), "num_threads"),
        (dict(progress=True), "progress: expected None or a callable"),
    ],
)
def test_bad_arguments(graph, arguments, text):
    with pytest.raises(ValidationError, match=text):
        la.simulate(graph, np.ones((1, 2, 1)), **arguments)


def test_the_number_of_threads_may_be_numpys(graph):
    x = np.ones((3, 2, 4))
    want = la.simulate(graph, x, num_threads=1).all_spikes
    np.testing.assert_array_equal(la.simulate(graph, x, num_threads=np.int64(2)).all_spikes, want)


def test_a_system_that_does_not_tell_its_cores(graph, monkeypatch):
    x = np.ones((3, 2, 4))
    want = la.simulate(graph, x).all_spikes
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    np.testing.assert_array_equal(la.simulate(graph, x).all_spikes, want)


@pytest.mark.parametrize("schedule", ["momentum", la.Fifo, 8])
def test_a_graph_records_schedules_only(graph, schedule):
    with pytest.raises(ValidationError, match="graph: schedule: expected one of LayerSync"):
        graph.replace(schedule=schedule)


@pytest.mark.parametrize("backends", ["kernel", ["kernel"], [1, 2], ["kernel", None]])
def test_verify_needs_two_backends(graph, backends):
    with pytest.raises(ValidationError, match="verify: backends: expected two or more of"):
        la.verify(graph, np.ones((1, 2, 1)), backends=backends)


def test_not_a_graph():
    with pytest.raises(ValidationError, match="graph: expected a Graph"):
        la.simulate("network.net", np.ones((1, 2, 1)))


def population(**changes):
    return la.Population(**{
        "name": "p", "shape": (2,), "i_decay": 0, "v_decay": 0, "threshold": 1, **changes
    })


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (dict(i_decay=4097), r"p: iDecay: expected an integer in 0..4096 \(got 4097\)"),
        (dict(v_decay=-1), "p: vDecay"),
        (dict(v_decay=float("nan")), "p: vDecay"),
        (dict(threshold=1 << 18), "p: vThMant"),
        (dict(threshold=-1), "p: vThMant"),
        (dict(threshold=0.5), "p: vThMant"),
        (dict(shape=()), "p: shape"),
        (dict(shape=(0,)), "p: shape"),
        (dict(bias=np.zeros(3)), "p: bias shape"),
        (dict(bias=np.array([0, 5000])), r"p: bias\[1\]: expected an integer in -4096..4095"),
    ],
)
def test_bad_population(changes, text):
    with pytest.raises(GraphError, match=text):
        population(**changes)


def test_netx_never_fires_thresholds_are_accepted():
    assert population(threshold=1 << 17).threshold == 1 << 17
    assert population(threshold=(1 << 18) - 1).threshold == (1 << 18) - 1


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: la.Dense(-1, 0, np.array([[255]])), "weight"),
        (lambda: la.Dense(-1, 0, np.array([[0.5]])), "weight"),
        (lambda: la.Dense(-1, 0, np.ones(3)), "weight dimensions"),
        (lambda: la.Conv(-1, 0, np.ones((1, 1, 3))), "weight dimensions"),
        (lambda: la.Conv(-1, 0, np.ones((1, 1, 3, 3)), stride=(0, 1)), "stride"),
        (lambda: la.Conv(-1, 0, np.ones((3, 1, 3, 3)), groups=2), "multiple of groups"),
        (lambda: la.OneToOne(-1, 0, 300), "weight"),
        (lambda: la.Graph((2,), (), ()), "populations"),
        (lambda: la.Graph((2,), population(), ()), "populations: expected a sequence of Popul"),
        (lambda: la.Graph((2,), (population(), 3), ()), r"populations\[1\]: .*got int"),
        (lambda: la.Graph((2,), (population(),), None), "connections: expected a sequence of"),
        (lambda: la.Graph((2,), (population(),), (np.ones((2, 2)),)), r"connections\[0\]"),
        (lambda: la.Graph((2,), (population(),), ()), "connections from the input"),
        (lambda: la.Graph((2,), (population(),), (la.Dense(-1, 1, np.ones((2, 2))),)), "target"),
        (lambda: la.Graph((3,), (population(),), (la.Dense(-1, 0, np.ones((2, 2))),)),
         r"weight shape \(out, in\): expected \(2, 3\)"),
        (lambda: la.Graph((3,), (population(),), (la.OneToOne(-1, 0, 1),)), "one-to-one"),
        (lambda: la.Graph((4,), (population(),), (la.Conv(-1, 0, np.ones((1, 1, 1, 1))),)),
         "conv source shape"),
    ],
)
def test_bad_graph(build, text):
    with pytest.raises(GraphError, match=text):
        build()


@pytest.mark.parametrize("delay", [0, 2])
def test_a_connection_on_no_circle_is_never_late(delay):
    """Components in topological order, ties by their lowest population, file order inside."""
    square = np.ones((2, 2))

    def order(count, *edges):
        populations = tuple(population(name=f"p{i}") for i in range(count))
        connections = [la.Dense(s, t, square, delay=delay) for s, t in edges]
        return la.Graph((2,), populations, (la.Dense(-1, 0, square), *connections)).order

    assert order(4) == (0, 1, 2, 3)
    assert order(4, (3, 0), (2, 1)) == (2, 1, 3, 0)
    assert order(3, (0, 0), (2, 1)) == (0, 2, 1)
    # 1 and 3 form a circle, which is fed by 2: before, 1 came ahead of it.
    assert order(4, (1, 3), (3, 1), (2, 3)) == (0, 2, 1, 3)
    # Two circles, the one of the higher numbers first.
    assert order(5, (0, 2), (2, 0), (1, 4), (4, 1), (4, 2), (3, 1)) == (3, 1, 4, 0, 2)


def test_order_breaks_cycles_by_file_order():
    square = np.ones((2, 2))
    graph = la.Graph(
        (2,),
        tuple(population(name=f"p{i}") for i in range(3)),
        (la.Dense(-1, 2, square), la.Dense(2, 0, square), la.Dense(0, 1, square),
         la.Dense(1, 0, square)),
    )
    assert graph.order == (2, 0, 1)


def test_importing_the_package_is_light():
    heavy = ["torch", "lava", "tonic", "matplotlib", "numba", "sklearn", "typer", "rich"]
    code = f"import sys, lava_async; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("size", [2**31, 2**63, 2**80])
def test_a_group_may_be_larger_than_any_network(graph, size):
    x = np.ones((1, 2, 1))
    for cls in (la.Momentum, la.Random, la.LayerSync):
        want = la.simulate(graph, x, cls(100), backend="kernel")
        got = la.simulate(graph, x, cls(size), backend="kernel")
        np.testing.assert_array_equal(got.all_spikes, want.all_spikes)
        np.testing.assert_array_equal(got.forward_steps, want.forward_steps)
    late = la.simulate(graph, x, la.Momentum(1), stop_after=size)
    np.testing.assert_array_equal(late.forward_steps, [[5]])
