"""One definition, many backends: the kernel equals the reference, bit for bit."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import lava_async as la
from random_networks import alike, async_schedules, drawn_packing, graphs, inputs, schedules
from records import assert_equal_records


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_kernel_equals_reference(data):
    graph = data.draw(st.one_of(graphs(), graphs().map(alike)))
    x = data.draw(inputs(graph))
    schedule = data.draw(schedules())
    stop_after = None
    if all(isinstance(part, la.AsyncSchedule) for part in schedule.parts):
        stop_after = data.draw(st.sampled_from([None, None, 0, 1, 2, 5]))
    ids = data.draw(st.lists(st.integers(0, 2**32 - 1), min_size=len(x), max_size=len(x)))
    trace = data.draw(st.booleans())
    with drawn_packing(data):
        want, got = (
            la.simulate(
                graph, x, schedule, backend=backend, stop_after=stop_after, sample_ids=ids,
                trace=trace,
            )
            for backend in ("reference", "kernel")
        )  # fmt: skip
    assert_equal_records(got, want)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_kernel_equals_reference_at_the_limits_of_its_numbers(data):
    """Sums up to 31 bits, which wrap the current and clip the voltage, with every decay."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    decays, thresholds = st.integers(0, 4096), st.sampled_from([0, 1000, 131071, 2**18 - 1])
    shape = (2, 3, 3)
    populations = tuple(
        la.Population(
            f"p{i}", shape, data.draw(decays), data.draw(decays), data.draw(thresholds),
            data.draw(st.sampled_from([None, rng.choice([-4096, -1, 0, 4095], shape)])),
        )
        for i in range(3)
    )
    connections = (
        la.OneToOne(la.INPUT, 0, data.draw(st.sampled_from([-256, -1, 3, 254]))),
        la.Conv(la.INPUT, 1, 2 * rng.integers(-128, 128, (2, 2, 3, 3)), (1, 1), (1, 1)),
        la.Dense(la.INPUT, 2, rng.integers(-256, 255, (18, 18))),
        la.Dense(0, 2, rng.choice([-256, 254], (18, 18))),
        la.Sparse(2, 1, scipy.sparse.csc_matrix(rng.choice([-256, 254], (18, 18)))),
    )
    graph = la.Graph(shape, populations, connections)
    sizes = np.array([0, 0, 1, 255, 2**14, 2**17, graph.max_input])
    x = rng.choice(np.minimum(sizes, graph.max_input), (2, *shape, 6))
    schedule = data.draw(schedules())
    with drawn_packing(data):
        want, got = (
            la.simulate(graph, x, schedule, backend=backend, trace=True)
            for backend in ("reference", "kernel")
        )
    assert_equal_records(got, want)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_kernel_equals_reference_while_many_spikes_wait(data):
    """More than the kernel ranks all against all, and new ones of every rank among them."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n = data.draw(st.sampled_from([60, 100, 130, 300]))
    momenta = data.draw(st.sampled_from([2, 50, 254]))  # few momenta: many ties
    graph = la.Graph(
        (n,),
        tuple(la.Population(f"p{i}", (n,), 4096, 0, 10) for i in range(2)),
        (
            la.OneToOne(la.INPUT, 0, 11),
            la.Dense(la.INPUT, 0, np.diag(rng.integers(0, momenta, n))),
            la.Dense(0, 1, np.where(rng.random((n, n)) < 0.05, 200, 0)),
            la.Dense(1, 0, np.where(rng.random((n, n)) < 0.02, 5, 0)),
        ),
    )
    x = (rng.random((1, n, 3)) < 0.9).astype(np.int64)
    kind = data.draw(st.sampled_from([la.Momentum, la.Fifo]))
    schedule = kind(data.draw(st.sampled_from([1, 7, 64, 100])))
    want, got = (
        la.simulate(graph, x, schedule, backend=backend, trace=True)
        for backend in ("reference", "kernel")
    )
    assert_equal_records(got, want)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_kernel_equals_reference_around_the_ends_of_its_blocks(data):
    """Populations and inputs of about 64, 128 ..., some forgetful, some not, side by side."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sizes = data.draw(st.lists(st.sampled_from([1, 10, 63, 64, 65, 128, 130]), min_size=3))[:5]
    decays = st.sampled_from([0, 200, 4096])
    populations = tuple(
        la.Population(
            f"p{i}", (n,), data.draw(decays), data.draw(decays), 60,
            rng.integers(-20, 40, n) if data.draw(st.booleans()) else None,
        )
        for i, n in enumerate(sizes[1:])
    )
    connections = [
        la.Dense(i - 1, i, rng.choice([-256, -30, 9, 40, 254], (sizes[i + 1], sizes[i])))
        for i in range(len(populations))
    ]
    connections.append(la.OneToOne(len(populations) - 1, len(populations) - 1, 70, delay=1))
    graph = la.Graph((sizes[0],), populations, tuple(connections))
    highest = data.draw(st.sampled_from([1, 3, 300]))
    shape = (2, sizes[0], data.draw(st.integers(1, 9)))
    x = (rng.random(shape) < data.draw(st.sampled_from([0.02, 0.5, 1]))) * rng.integers(
        1, highest + 1, shape
    )
    schedule = data.draw(schedules())
    want, got = (
        la.simulate(graph, x, schedule, backend=backend, trace=True)
        for backend in ("reference", "kernel")
    )
    assert_equal_records(got, want)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
@pytest.mark.parametrize("density", [0.0, 0.01, 0.2, 1.0])
@pytest.mark.parametrize(
    ("size", "num_steps"), [(1, 1), (1, 64), (7, 9), (9, 7), (13, 5), (64, 64), (3, 1021), (70, 1)]
)
def test_every_event_is_found_at_its_place(size, num_steps, density, dtype):
    """Neurons that repeat their inputs, whatever the length of a sample."""
    rng = np.random.default_rng(size + num_steps)
    shape = (3, size, num_steps)
    x = ((rng.random(shape) < density) * rng.integers(1, 200, shape)).astype(dtype)
    repeater = la.Population("repeater", (size,), 4096, 4096, 0)
    graph = la.Graph((size,), (repeater,), (la.OneToOne(la.INPUT, 0, 1),))
    record = la.simulate(graph, x, la.Momentum(8))
    np.testing.assert_array_equal(record.spikes, x > 0)
    np.testing.assert_array_equal(record.synops, x.sum(axis=1))


@pytest.mark.parametrize("schedule", [la.Momentum(2), la.Random(2), la.Fifo(2)])
@pytest.mark.parametrize("size", [1, 63, 64, 65, 129])
def test_a_voltage_set_above_the_threshold_waits_for_a_current(size, schedule):
    """Of each pair of neurons one is touched, in the first and in the last forward step."""
    from lava_async._kernel import Stepper

    touched = np.arange(size) % 2 == 0
    weight = np.where(touched[:, None] & np.eye(size, dtype=bool), -1, 0)
    graph = la.Graph(
        (size,),
        tuple(la.Population(name, (size,), 4096, 0, 10) for name in "ab"),
        (la.Dense(la.INPUT, 0, weight), la.Dense(0, 1, weight)),
    )
    stepper = Stepper(graph, schedule)
    stepper.voltage[:] = 20 << 6
    stepper.wake()
    for _ in range(2):  # the silent ones keep their voltage
        step = stepper.step(np.ones(size, np.int64))
        np.testing.assert_array_equal(step.spikes, np.tile(touched, 2))
        np.testing.assert_array_equal(stepper.voltage, np.where(np.tile(touched, 2), 0, 20 << 6))
        stepper.voltage[np.tile(touched, 2)] = 20 << 6
        stepper.wake()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_results_do_not_depend_on_batch_order_or_threads(data):
    graph = data.draw(st.one_of(graphs(), graphs().map(alike)))
    x = data.draw(inputs(graph, max_batch=6))
    schedule = data.draw(schedules())
    ids = np.arange(len(x)) + data.draw(st.integers(0, 1000))
    order = np.array(data.draw(st.permutations(range(len(x)))))
    with drawn_packing(data):
        whole = la.simulate(graph, x, schedule, sample_ids=ids, num_threads=1)
        shuffled = la.simulate(graph, x[order], schedule, sample_ids=ids[order], num_threads=2)
        alone = [
            la.simulate(graph, x[i], schedule, sample_ids=ids[i : i + 1]).all_spikes[0]
            for i in range(len(x))
        ]
    np.testing.assert_array_equal(shuffled.all_spikes, whole.all_spikes[order])
    np.testing.assert_array_equal(np.stack(alone), whole.all_spikes)


@pytest.mark.parametrize("backend", ["reference", "kernel"])
@pytest.mark.parametrize("trace", [True, False])
@pytest.mark.parametrize(
    "schedule",
    [la.Random(3, seed=5), la.LayerSync(3), la.Mixture([la.Fifo(1), la.LayerSync(2)])],
)
def test_reporting_progress_does_not_change_the_record(backend, trace, schedule, monkeypatch):
    rng = np.random.default_rng(3)
    dense = la.Dense(la.INPUT, 0, 90 * np.eye(12, 6))
    graph = la.Graph((6,), (la.Population("p", (12,), 1000, 200, 30),), (dense,))
    x, done = rng.integers(0, 2, (8, 6, 4)), []
    options = {"backend": backend, "trace": trace, "sample_ids": np.arange(8)[::-1] + 40}
    want = la.simulate(graph, x, schedule, **options)
    monkeypatch.setattr("lava_async._simulate._PART", {backend: 3})
    got = la.simulate(graph, x, schedule, progress=done.append, **options)
    assert want.spikes.any()
    assert_equal_records(got, want)
    assert done == [3, 3, 2]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_stepper_equals_batch(data):
    from lava_async._kernel import Stepper

    graph = data.draw(graphs())
    x = data.draw(inputs(graph))
    schedule = data.draw(schedules())
    ids = np.arange(len(x)) + 7
    record = la.simulate(graph, x, schedule, sample_ids=ids, trace=True)
    stepper = Stepper(graph, schedule)
    for b, sample in enumerate(ids):
        stepper.reset(int(sample))
        for t in range(x.shape[-1]):
            step = stepper.step(x[b, ..., t].reshape(-1))
            np.testing.assert_array_equal(step.spikes, record.all_spikes[b, :, t])
            np.testing.assert_array_equal(step.fired_at, record.fired_at[b, :, t])
            assert step.forward_steps == record.forward_steps[b, t]
            assert step.synops == record.synops[b, t]
            assert step.overflows == record.overflows[b, t]
            seen = record.output_steps[b, ..., t]
            first = seen[seen >= 0].min(initial=10**9)
            assert step.first_output == (first if (seen >= 0).any() else -1)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_wide_group_makes_a_memoryless_chain_layer_synchronized(data):
    """semantics: iDecay = 4096, no bias, F >= the largest layer."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sizes = data.draw(st.lists(st.integers(1, 12), min_size=2, max_size=5))
    v_decay = data.draw(st.sampled_from([0, 128, 4096]))
    graph = la.Graph(
        (sizes[0],),
        tuple(la.Population(f"p{i}", (n,), 4096, v_decay, 40) for i, n in enumerate(sizes[1:])),
        tuple(
            la.Dense(i - 1, i, rng.integers(-60, 100, (sizes[i + 1], sizes[i])))
            for i in range(len(sizes) - 1)
        ),
    )
    x = data.draw(inputs(graph))
    schedule = data.draw(async_schedules())
    schedule = dataclasses.replace(schedule, group_size=max(sizes))
    want = la.simulate(graph, x, la.LayerSync(max(sizes)))
    got = la.simulate(graph, x, schedule)
    np.testing.assert_array_equal(got.all_spikes, want.all_spikes)
    np.testing.assert_array_equal(got.synops, want.synops)


def test_overflows_are_counted_and_equal():
    """A current that wraps and a voltage that clips, by hand."""
    weight = np.full((1, 1), 254)
    graph = la.Graph(
        (1,), (la.Population("p", (1,), 0, 0, 131071),), (la.Dense(la.INPUT, 0, weight),)
    )
    x = np.full((1, 1, 3), 500)  # 500 * 254 << 6 = 8,128,000 of 8,388,608
    for backend in ("reference", "kernel"):
        record = la.simulate(graph, x, la.Momentum(8), backend=backend)
        # Step 0 fits. Step 1: v clips at the boundary (u + v), u wraps on the input.
        assert record.overflows.tolist()[0][0] == 0
        assert record.overflows.tolist()[0][1] >= 2


@pytest.mark.parametrize("group_size", [1, 3])
def test_random_release_is_uniform_over_the_pool(group_size):
    """Chi-square: in the first forward step each waiting spike has the same chance."""
    scipy_stats = pytest.importorskip("scipy.stats")
    n, samples = 12, 4000
    graph = la.Graph(
        (1,),
        (la.Population("p", (n,), 4096, 4096, 10),),
        (la.Dense(la.INPUT, 0, np.full((n, 1), 20)),),
    )
    record = la.simulate(
        graph, np.ones((samples, 1, 1)), la.Random(group_size, seed=5), trace=True
    )
    assert record.released_at is not None
    first = (record.released_at[:, :, 0] == 0).sum(axis=0)
    assert first.sum() == samples * group_size
    assert scipy_stats.chisquare(first).pvalue > 0.01
    # ... and so has each order of the rest: the last place is uniform too.
    last = (record.released_at[:, :, 0] == record.released_at[:, :, 0].max()).sum(axis=0)
    assert scipy_stats.chisquare(last).pvalue > 0.01
