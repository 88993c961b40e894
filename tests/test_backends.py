"""One definition, many backends: the kernel equals the reference, bit for bit."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lava_async as la
from random_networks import async_schedules, graphs, inputs, schedules
from records import assert_equal_records


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_kernel_equals_reference(data):
    graph = data.draw(graphs())
    x = data.draw(inputs(graph))
    schedule = data.draw(schedules())
    stop_after = None
    if all(isinstance(part, la.AsyncSchedule) for part in schedule.parts):
        stop_after = data.draw(st.sampled_from([None, None, 0, 1, 2, 5]))
    ids = data.draw(st.lists(st.integers(0, 2**32 - 1), min_size=len(x), max_size=len(x)))
    trace = data.draw(st.booleans())
    want, got = (
        la.simulate(
            graph, x, schedule, backend=backend, stop_after=stop_after, sample_ids=ids, trace=trace
        )
        for backend in ("reference", "kernel")
    )
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
            rng.choice([-4096, -1, 0, 4095], shape),
        )
        for i in range(3)
    )
    connections = (
        la.OneToOne(la.INPUT, 0, data.draw(st.sampled_from([-256, -1, 3, 254]))),
        la.Conv(la.INPUT, 1, 2 * rng.integers(-128, 128, (2, 2, 3, 3)), (1, 1), (1, 1)),
        la.Dense(la.INPUT, 2, rng.integers(-256, 255, (18, 18))),
        la.Dense(0, 2, rng.choice([-256, 254], (18, 18))),
        la.Dense(2, 1, rng.choice([-256, 254], (18, 18))),
    )
    graph = la.Graph(shape, populations, connections)
    sizes = np.array([0, 0, 1, 255, 2**14, 2**17, graph.max_input])
    x = rng.choice(np.minimum(sizes, graph.max_input), (2, *shape, 6))
    schedule = data.draw(schedules())
    want, got = (
        la.simulate(graph, x, schedule, backend=backend, trace=True)
        for backend in ("reference", "kernel")
    )
    assert_equal_records(got, want)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_kernel_equals_reference_while_many_spikes_wait(data):
    """More than the kernel keeps in order, and new ones of every rank among them."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n = data.draw(st.sampled_from([60, 130, 300]))
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
    schedule = la.Momentum(data.draw(st.sampled_from([1, 7, 64, 100])))
    want, got = (
        la.simulate(graph, x, schedule, backend=backend, trace=True)
        for backend in ("reference", "kernel")
    )
    assert_equal_records(got, want)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_results_do_not_depend_on_batch_order_or_threads(data):
    graph = data.draw(graphs())
    x = data.draw(inputs(graph, max_batch=6))
    schedule = data.draw(schedules())
    ids = np.arange(len(x)) + data.draw(st.integers(0, 1000))
    whole = la.simulate(graph, x, schedule, sample_ids=ids, num_threads=1)
    order = np.array(data.draw(st.permutations(range(len(x)))))
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
