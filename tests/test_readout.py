"""Readouts: the voltages of an output population that never fires, in every backend."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.source import RingBuffer as Source
from lava.proc.monitor.process import Monitor

import lava_async as la
from lava_async import metrics
from lava_async._semantics.graph import NETX_NEVER_FIRES
from lava_async._verify import ARRAYS, first_difference
from lava_async.errors import ValidationError
from lava_async.netx import Network
from lava_async.runtime import Runner
from random_networks import graphs, inputs, schedules
from records import assert_equal_records, make_record, with_fields
from training_folders import refused, run

NEVER = max(NETX_NEVER_FIRES)


def with_readout(graph, threshold=NEVER):
    """The graph with an output that never fires."""
    populations = list(graph.populations)
    populations[graph.output] = dataclasses.replace(
        populations[graph.output], threshold=threshold
    )
    return graph.replace(populations=tuple(populations))


def small(i_decay=1000, v_decay=500, bias=None, **settings):
    rng = np.random.default_rng(0)
    return la.Graph(
        (6,),
        (
            la.Population("hidden", (8,), 300, 200, 40),
            la.Population("readout", (4,), i_decay, v_decay, NEVER, bias),
        ),
        (
            la.Dense(la.INPUT, 0, rng.integers(-60, 90, (8, 6))),
            la.Dense(0, 0, rng.integers(-60, 40, (8, 8)), delay=1),
            la.Dense(0, 1, rng.integers(-60, 90, (4, 8))),
        ),
        **settings,
    )


def frames(samples=3, steps=7, high=3, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.random((samples, 6, steps)) < 0.5) * rng.integers(1, high + 1, (samples, 6, steps))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_graph_and_schedule_in_reference_and_kernel(data):
    graph = with_readout(data.draw(graphs()), data.draw(st.sampled_from(NETX_NEVER_FIRES)))
    x, schedule = data.draw(inputs(graph)), data.draw(schedules())
    ran = [
        la.simulate(graph, x, schedule, backend=backend, trace=True)
        for backend in ("reference", "kernel")
    ]
    assert_equal_records(*ran)
    readout = ran[0].readout
    assert readout is not None and readout.shape == ran[0].spikes.shape
    assert not ran[0].spikes.any()


SCHEDULES = [la.LayerSync(), la.Momentum(2), la.Mixture([la.LayerSync(), la.Random(1)])]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("output_delay", [0, [2, 0, 1, 9]], ids=str)
def test_every_backend(schedule, output_delay):
    graph = small(bias=[1, -2, 3, 0], output_delay=output_delay)
    assert la.verify(graph, frames(), schedule) is None
    assert la.simulate(graph, frames(), schedule).readout.any()


def test_a_network_that_can_fire_has_none():
    graph = small()
    hidden, output = graph.populations
    able = graph.replace(populations=(hidden, dataclasses.replace(output, threshold=(1 << 17) - 1)))
    for backend in ("reference", "kernel"):
        assert la.simulate(able, frames(), backend=backend).readout is None


@pytest.mark.parametrize("backend", ["reference", "kernel"])
def test_the_voltage_at_the_end_of_each_time_step_by_hand(backend):
    weight = np.array([[3, -5], [7, 2]])
    x = np.array([[[2, 0, 1], [1, 0, 4]]])  # graded: a value of n counts as n spikes
    graph = la.Graph(
        (2,), (la.Population("readout", (2,), 4096, 4096, NEVER),), (la.Dense(la.INPUT, 0, weight),)
    )
    current = 64 * np.einsum("ij,bjt->bit", weight, x)
    np.testing.assert_array_equal(la.simulate(graph, x, backend=backend).readout, current)
    keeps = la.Population("readout", (2,), 0, 4096, NEVER, [1, -1])
    u = current.cumsum(-1)
    want = u + 64 * np.array([[[1], [-1]]])
    record = la.simulate(graph.replace(populations=(keeps,)), x, backend=backend)
    np.testing.assert_array_equal(record.readout, want)


def test_a_delayed_output_is_late():
    plain = la.simulate(small(), frames()).readout
    late = la.simulate(small(output_delay=[2, 0, 1, 9]), frames()).readout
    np.testing.assert_array_equal(late[:, 0, 2:], plain[:, 0, :-2])
    np.testing.assert_array_equal(late[:, 1], plain[:, 1])
    assert not late[:, 0, :2].any() and not late[:, 3].any()


def test_verify_names_the_readout():
    graph, x = small(), frames()
    right = la.simulate(graph, x)
    wrong = right.readout.copy()
    wrong[1, 2, 3] += 1
    found = first_difference(graph, right, with_fields(right, readout=wrong), ("a", "b"))
    assert (found.sample, found.time_step, found.neuron) == (1, 3, 8 + 2)
    assert (found.array, found.population) == ("readout", "readout")


def test_early_decision_is_refused():
    with pytest.raises(ValidationError, match=r"simulate: stop_after: .*readout"):
        la.simulate(small(), frames(), la.Momentum(1), stop_after=0)
    with pytest.raises(ValidationError, match=r"Network: stop_after: .*readout"):
        Network(small(), stop_after=1)


@pytest.mark.parametrize("as_graph", [False, True], ids=["fused", "graph"])
@pytest.mark.parametrize("can_fire", [False, True], ids=["readout", "spikes"])
def test_a_monitor_sees_the_outputs_voltage(as_graph, can_fire):
    """It is part of ``v``; written, it is a change of ``v``."""
    graph, x = small(i_decay=0, v_decay=0), frames(samples=1)
    if can_fire:
        hidden, output = graph.populations
        graph = graph.replace(populations=(hidden, dataclasses.replace(output, threshold=90)))
    network, voltage = Network(graph, schedule=la.Momentum(2)), Monitor()
    source = Source(data=x[0])
    source.s_out.connect(network.inp)
    steps = x.shape[-1]
    voltage.probe(network.v_out, steps)
    run_cfg = Loihi2SimCfg(select_tag="fixed_pt", select_sub_proc_model=as_graph)
    with Runner(network, run_cfg) as runner:
        runner(num_steps=steps - 1)
        np.testing.assert_array_equal(network.v_out.get(), network.v.get()[8:])
        network.v_out.set(0)
        np.testing.assert_array_equal(network.v.get()[8:], 0)
        assert network.v.get()[:8].any()
        network.v.set(7)
        np.testing.assert_array_equal(network.v_out.get(), 7)
        runner(num_steps=1)
        (seen,) = next(iter(voltage.get_data().values())).values()
    if not can_fire:
        want = la.simulate(graph, x, la.Momentum(2)).readout[0]
        np.testing.assert_array_equal(seen[:-1], want.T[:-1])
    assert seen.any()


def test_commands_write_and_compare_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph, x = small(decoding=la.Decoding(groups=2)), frames()
    la.save(graph, "network.net")
    np.save("input.npy", x)
    run(capsys, "run", "network.net", "input.npy", "--out", "out.npz")
    record = la.simulate(graph, x)
    with np.load("out.npz") as found:
        np.testing.assert_array_equal(found["readout"], record.readout)
        assert set(found) == {*ARRAYS, "readout"}
    backends = ["--backends", "reference,kernel"]
    said = run(capsys, "verify", "network.net", "input.npy", *backends)
    assert said.startswith("equal: reference, kernel on 3 samples") and "readout)" in said
    assert "readout" in refused(
        capsys, "run", "network.net", "input.npy", "--out", "early.npz", "--stop-after", "1"
    )


class TestDecisions:
    """On (2 samples, 3 outputs, 4 time steps)."""

    READOUT = np.array(
        [
            [[0, 5, 0, -9], [0, 0, 4, 0], [0, 0, 0, 4]],
            [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        ],
        np.int32,
    )
    FORWARD = np.array([[2, 0, 3, 1], [1, 1, 1, 1]])

    @pytest.fixture
    def record(self):
        silent = make_record(np.full((2, 3, 4), -1), self.FORWARD)
        return with_fields(silent, readout=self.READOUT)

    def test_at_the_end(self, record):
        assert metrics.predict(record).tolist() == [1, 0]  # the lowest of two that are equal
        assert metrics.accuracy(record, [1, 0]) == 1
        table = metrics.confusion_matrix(record, [2, 0])
        assert table.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]

    def test_in_the_course_of_the_steps(self, record):
        assert metrics.decision_latency(record).tolist() == [6, -1]
        assert metrics.decision_latency(record, "time_steps").tolist() == [4, -1]
        assert metrics.first_correct_latency(record, [0, 0]).tolist() == [2, -1]
        steps, accuracy = metrics.accuracy_curve(record, [0, 0])
        assert steps.tolist() == list(range(7))
        assert accuracy.tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5, 0]

    def test_by_groups(self, record):
        four = np.concatenate([self.READOUT, [[[0, 0, 0, 6]], [[0, 0, 0, -1]]]], axis=1)
        record = with_fields(
            make_record(np.full((2, 4, 4), -1), self.FORWARD),
            readout=four.astype(np.int32), decoding=la.Decoding(groups=2),
        )
        assert metrics.predict(record).tolist() == [1, 0]
        assert metrics.decision_latency(record, "time_steps").tolist() == [4, 4]
        np.testing.assert_array_equal(record.decoded[0], [[0, 2.5, 2, -4.5], [0, 0, 0, 5]])

    def test_a_shape_that_is_not_the_outputs(self, record):
        with pytest.raises(ValidationError, match="readout shape"):
            metrics.predict(with_fields(record, readout=self.READOUT[:, :2]))
