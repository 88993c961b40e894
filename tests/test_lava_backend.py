"""The fused Lava process equals the kernel and the golden cases, bit for bit."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async._files.hdf5 import load
from lava_async._lava.supervised import SupervisedRuntime
from lava_async.errors import ProcessError, UnsupportedError
from lava_async.netx import _backend
from random_networks import graphs, inputs, schedules
from records import assert_equal_records

pytestmark = pytest.mark.timeout(120)
GOLDEN = Path(__file__).parent / "golden"


def assert_lava_equals_kernel(graph, x, schedule, **options):
    want = la.simulate(graph, x, schedule, **options)
    got = la.simulate(graph, x, schedule, backend="lava", **options)
    assert_equal_records(got, want)
    return got


@pytest.mark.parametrize("case", range(24))
def test_golden_case(case):
    golden = np.load(GOLDEN / f"case_{case:02d}.npz")
    graph = load(GOLDEN / f"case_{case:02d}.net")
    schedule = {"momentum": la.Momentum, "layer": la.LayerSync}[str(golden["schedule"])](
        int(golden["group_size"])
    )
    stop_after = int(golden["stop_after"])
    record = assert_lava_equals_kernel(
        graph, golden["input"], schedule,
        stop_after=None if stop_after < 0 else stop_after, trace=True,
    )
    np.testing.assert_array_equal(record.all_spikes, golden["all_spikes"])
    np.testing.assert_array_equal(
        record.spikes.reshape(golden["spikes"].shape), golden["spikes"]
    )
    np.testing.assert_array_equal(record.forward_steps, golden["forward_steps"])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_networks(data):
    graph = data.draw(graphs())
    x = data.draw(inputs(graph))
    schedule = data.draw(schedules())
    options = {"trace": data.draw(st.booleans())}
    if all(isinstance(part, la.AsyncSchedule) for part in schedule.parts):
        options["stop_after"] = data.draw(st.sampled_from([None, 0, 2]))
    ids = st.lists(st.integers(0, 2**32 - 1), min_size=len(x), max_size=len(x))
    assert_lava_equals_kernel(graph, x, schedule, sample_ids=data.draw(ids), **options)


def processes():
    """Those of this one; joblib's may be among them, for a while after a study."""
    return set(multiprocessing.active_children())


class Own(la.AsyncSchedule):
    def priorities(self, neurons, *rest):
        return neurons


@pytest.mark.parametrize("schedule", [Own(2), la.Mixture([la.Fifo(2), Own(2)])])
def test_a_schedule_of_ones_own_is_refused_by_name(schedule):
    graph = load(GOLDEN / "case_01.net")
    x, before = np.zeros((1, *graph.input_shape, 3), np.int64), processes()
    with pytest.raises(UnsupportedError, match=r"schedule: .*got Own\)"):
        la.simulate(graph, x, schedule, backend="lava")
    assert processes() <= before


def test_an_error_on_the_way_stops_everything(monkeypatch):
    from lava_async.netx._batch import models

    def fail(self):
        raise ValueError("no more frames")

    graph = load(GOLDEN / "case_01.net")
    x = np.zeros((2, *graph.input_shape, 3), np.int64)
    with monkeypatch.context() as patch:
        patch.setattr(models.PyBatchModel, "run_spk", fail)
        with pytest.raises(ProcessError, match=r"\(Batch\): ValueError: no more frames"):
            la.simulate(graph, x, backend="lava")
    assert_lava_equals_kernel(graph, x, la.Momentum(8))


@pytest.fixture
def runtimes(monkeypatch):
    """The Lava runtimes that are started, with the time steps of their runs."""
    started = {}
    start = SupervisedRuntime.start

    def record_start(self, run_condition):
        started.setdefault(id(self), []).append(run_condition.num_steps)
        start(self, run_condition)

    monkeypatch.setattr(SupervisedRuntime, "start", record_start)
    return started


@pytest.mark.parametrize("backend", ["lava", "graph"])
@pytest.mark.parametrize("num_steps", [3, _backend._MIN_STEPS + 1])
def test_a_data_set_runs_in_one_runtime(backend, num_steps, runtimes):
    """In several runs, which neither samples nor their random draws notice."""
    rng = np.random.default_rng(4)
    graph = load(GOLDEN / "case_01.net")
    x = rng.integers(0, 2, (16, *graph.input_shape, num_steps))
    schedule, ids, done = la.Random(2, seed=9), rng.permutation(16) + 100, []
    want = la.simulate(graph, x, schedule, sample_ids=ids, trace=True)
    got = la.simulate(
        graph, x, schedule, sample_ids=ids, trace=True, backend=backend, progress=done.append
    )
    assert_equal_records(got, want)
    other = la.simulate(graph, x, schedule, trace=True)
    assert (other.released_at[-1] != want.released_at[-1]).any()  # the ids do matter
    assert done == ([7, 7, 2] if num_steps == 3 else [1] * 16)
    assert list(runtimes.values()) == [[samples * num_steps for samples in done]]


def test_an_error_of_the_caller_on_the_way_stops_everything():
    graph = load(GOLDEN / "case_01.net")
    x, before = np.zeros((3, *graph.input_shape, 30), np.int64), processes()
    with pytest.raises(ZeroDivisionError):
        la.simulate(graph, x, backend="lava", progress=lambda samples: 1 // 0)
    assert processes() <= before
    assert_lava_equals_kernel(graph, x, la.Momentum(8))


@pytest.mark.parametrize("backend", ["lava", "graph"])
def test_a_sparse_record_has_the_kernels_events(backend):
    rng = np.random.default_rng(1)
    sizes = (6, 30, 4)
    populations = (
        la.Population("hidden", (30,), 1000, 200, 40), la.Population("out", (2, 1, 2), 300, 200, 40)
    )  # fmt: skip
    connections = [
        la.Dense(i - 1, i, rng.integers(-60, 90, (sizes[i + 1], sizes[i]))) for i in range(2)
    ]
    graph = la.Graph(sizes[:1], populations, connections, output_delay=1)
    x = rng.integers(0, 2, (3, 6, 5))
    schedule = la.Mixture([la.LayerSync(4), la.Momentum(2)], seed=2)
    want = la.simulate(graph, x, schedule, record="sparse", trace=True)
    got = la.simulate(graph, x, schedule, record="sparse", trace=True, backend=backend)
    for name, column in want.events._asdict().items():
        np.testing.assert_array_equal(getattr(got.events, name), column, err_msg=name)
    assert_equal_records(got, want)
    assert len(want.events.sample) > 100
