"""Asynchronous networks wired by hand: among stock processes, resets, Vars, faults."""

import os
import signal
import time

import numpy as np
import pytest
from lava.magma.core.run_conditions import RunContinuous, RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF
from lava.proc.monitor.process import Monitor
from scipy.sparse import csr_matrix
from scipy.sparse import random as random_sparse

import lava_async as la
from lava_async.errors import ProcessError, UnsupportedError
from lava_async.netx import Network
from lava_async.proc import AsyncConv, AsyncDense, AsyncLIF, AsyncSparse, SpikeScheduler, _messages
from lava_async.proc.conv.models import PyAsyncConvModelFixed
from lava_async.proc.conv.process import from_lava
from lava_async.proc.dense.models import PyAsyncDenseModelFixed
from lava_async.proc.lif.models import PyAsyncLIFModelFixed
from lava_async.proc.scheduler.models import PySpikeSchedulerModel
from lava_async.proc.sparse.models import PyAsyncSparseModelFixed
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
    small_graph,
    weights,
)

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("design")]

# ---------------------------------------------------------------- composition


@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
def test_skip_and_recurrent_connections_between_stock_processes(tag):
    """Source -> Dense -> LIF -> three populations, two of them outputs -> Dense -> sink."""
    num_steps = 30
    rng = np.random.default_rng(5)
    # Even weights and odd thresholds: no sum meets a threshold, whatever is left of a decay.
    before, after = 2 * rng.integers(-20, 40, (12, 6)), 2 * rng.integers(-20, 40, (5, 4))
    sizes = [12, 10, 8, 4]
    edges = [(-1, 0), (0, 1), (1, 2), (0, 2), (1, 0), (1, 1), (-1, 2)]
    values = [weights(rng, sizes[t + 1], sizes[s + 1]) for s, t in edges]
    x = random_input((6, num_steps))

    populations = [lif(n, f"p{i}") for i, n in enumerate(sizes[1:])]
    scheduler = SpikeScheduler(populations, SCHEDULE)
    decay = 4095 if tag == "fixed_pt" else 1
    dense_in, lif_in = Dense(weights=before), LIF(shape=(12,), du=decay, dv=decay, vth=31)
    dense_out = Dense(weights=after)
    feed(x, dense_in.s_in)
    dense_in.a_out.connect(lif_in.a_in)
    for (s, t), value in zip(edges, values, strict=True):
        connection = AsyncDense(weights=value)
        connection.synops_out.connect(scheduler.synops_in)
        if s < 0:
            lif_in.s_out.connect(connection.s_in)
            connection.a_out.connect(populations[t].a_in)
        else:
            connect(populations[s], connection, populations[t])
    populations[2].s_out.connect(dense_out.s_in)
    ports = lif_in.s_out, populations[1].s_out, populations[2].s_out, dense_out.a_out
    sinks = [collect(port, num_steps) for port in ports]
    with Runner(scheduler, Loihi2SimCfg(select_tag=tag)) as run:
        run(num_steps=12)
        run(num_steps=num_steps - 12)
        spikes_in, spikes_1, spikes_2, currents = (sink.data.get().astype(int) for sink in sinks)
        totals = [getattr(scheduler, f"total_{n}").get() for n in ("forward_steps", "synops")]

    graph = la.Graph(
        (12,),
        tuple(population((n,)) for n in sizes[1:]),
        tuple(la.Dense(s, t, value) for (s, t), value in zip(edges, values, strict=True)),
    )
    want = la.simulate(graph, spikes_in, SCHEDULE)
    assert want.spikes.any() and spikes_in.any()
    np.testing.assert_array_equal(spikes_1, want.all_spikes[0, 10:18])
    np.testing.assert_array_equal(spikes_2, want.spikes[0])
    np.testing.assert_array_equal(currents[:, 1:], after @ spikes_2[:, :-1])
    assert totals == [want.forward_steps.sum(), want.synops.sum()]


def test_convolutions_in_lavas_order_and_monitors():
    """(W, H, C) ports and stock Conv's arguments; Monitors watch states and spikes."""
    num_steps = 10
    rng = np.random.default_rng(2)
    shape = (5, 4, 2)
    settings = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}
    kernel = rng.integers(-30, 60, (4, 3, 2, 1)) * 2
    x = random_input((*shape, num_steps))
    first = AsyncConv(weight=kernel, input_shape=shape, **settings)
    stock = Conv(weight=kernel, input_shape=shape, **settings)
    hidden = AsyncLIF(shape=first.output_shape, **LIF_ARGUMENTS)
    second_kernel = rng.integers(-30, 60, (3, 2, 2, 4))
    second = AsyncConv(weight=second_kernel, input_shape=first.output_shape, padding=1)
    output = AsyncLIF(shape=second.output_shape, **LIF_ARGUMENTS)
    scheduler = SpikeScheduler([hidden, output], SCHEDULE)
    feed(x, first.s_in, stock.s_in)
    first.a_out.connect(hidden.a_in)
    connect(hidden, second, output)
    sinks = [collect(port, num_steps) for port in (first.a_out, stock.a_out, output.s_out)]
    state, spikes = Monitor(), Monitor()
    state.probe(output.v, num_steps)
    spikes.probe(output.s_out, num_steps)
    with Runner(scheduler, FIXED) as run:
        run(num_steps=num_steps)
        ours, stocks, got = (sink.data.get() for sink in sinks)
        (seen_v,) = next(iter(state.get_data().values())).values()
        (seen,) = next(iter(spikes.get_data().values())).values()
        last_v = output.v.get()

    np.testing.assert_array_equal(ours[..., :-1], stocks[..., 1:])  # stock Conv: a step later
    inputs = la.Conv(la.INPUT, 0, from_lava(kernel), (1, 2), (0, 1), (2, 1), 2)
    inner = la.Conv(0, 1, from_lava(second_kernel), padding=(1, 1))
    populations = (
        population(first.output_shape[::-1]), population(second.output_shape[::-1])
    )
    graph = la.Graph(shape[::-1], populations, (inputs, inner))
    want = la.simulate(graph, x.transpose(2, 1, 0, 3), SCHEDULE)
    assert want.spikes.any()
    np.testing.assert_array_equal(got.transpose(2, 1, 0, 3), want.spikes[0])
    np.testing.assert_array_equal(np.moveaxis(seen, 0, -1), got)
    np.testing.assert_array_equal(seen_v[-1], last_v)


@pytest.mark.parametrize("schedule", [la.Random(2, seed=4), la.LayerSync(2)])
def test_two_schedulers_pass_spikes_on_within_the_time_step(schedule):
    num_steps = 15
    rng = np.random.default_rng(3)
    sparse = csr_matrix(random_sparse(20, 9, 0.4, random_state=1).astype(bool) * 70)
    values = [weights(rng, 9, 6), sparse, weights(rng, 5, 20)]
    x = random_input((6, num_steps))
    one, two, three = lif(9), lif(20), lif(5)
    first, second = SpikeScheduler([one], SCHEDULE), SpikeScheduler([two, three], schedule)
    into, between = AsyncDense(weights=values[0]), AsyncSparse(weights=sparse)
    feed(x, into.s_in)
    into.a_out.connect(one.a_in)
    one.s_out.connect(between.s_in)
    between.a_out.connect(two.a_in)
    connect(two, AsyncDense(weights=values[2]), three)
    sinks = [collect(p.s_out, num_steps) for p in (one, three)]
    with Runner(first, FIXED) as run:
        run(num_steps=num_steps)
        spikes, got = (sink.data.get() for sink in sinks)
        steps = second.total_forward_steps.get()
    graph = la.Graph((6,), (population((9,)),), (la.Dense(-1, 0, values[0]),))
    want = la.simulate(graph, x, SCHEDULE).spikes[0]
    np.testing.assert_array_equal(spikes, want)
    graph = la.Graph(
        (9,),
        (population((20,)), population((5,))),
        (la.Dense(-1, 0, sparse.toarray()), la.Dense(0, 1, values[2])),
    )
    record = la.simulate(graph, want, schedule)
    assert record.spikes.any()
    np.testing.assert_array_equal(got, record.spikes[0])
    assert steps == record.forward_steps.sum()


# ---------------------------------------------------------------- delays


@pytest.mark.parametrize("schedule", [la.Fifo(2), la.LayerSync(2)])
@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
def test_delays_of_every_kind_of_connection(tag, schedule):
    """conv -> hidden -> sparse, dense, to itself too; one connection feeds two populations, one
    of which stands before its source; the outputs are late."""
    num_steps = 14
    rng = np.random.default_rng(6)
    shape = (4, 2, 1)
    kernel = rng.integers(-30, 80, (1, 3, 3, 1))
    sparse = csr_matrix(random_sparse(8, 8, 0.5, random_state=2).astype(bool) * 60)
    dense, both = weights(rng, 5, 8), weights(rng, 8, 8)
    input_delay, self_delay, some_delay = (rng.integers(0, 4, 8) for _ in range(3))
    both_delay, output_delay = (np.arange(8) < 4) * 2, rng.integers(0, 4, 5)
    x = random_input((*shape, num_steps))

    hidden, middle = AsyncLIF(shape=shape, **LIF_ARGUMENTS), lif(8)
    output = AsyncLIF(shape=(5,), **LIF_ARGUMENTS, output_delay=output_delay)
    scheduler = SpikeScheduler([hidden, middle, output], schedule)
    into = AsyncConv(weight=kernel, input_shape=shape, padding=1, delay=input_delay)
    feed(x, into.s_in)
    into.a_out.connect(hidden.a_in)
    scheduler.reset_out.connect(into.reset_in)
    connect(hidden, AsyncSparse(weights=sparse, delay=self_delay), hidden)
    connect(hidden, AsyncConv(weight=kernel, input_shape=shape, padding=1, delay=1), hidden)
    connect(middle, AsyncDense(weights=dense, delay=some_delay), output)
    fan = AsyncDense(weights=both, delay=both_delay)
    connect(middle, fan, hidden)
    fan.forward_out.connect(middle.forward_in)
    connect(hidden, AsyncDense(weights=both, delay=2), middle)
    sinks = [collect(p.s_out, num_steps) for p in (hidden, middle, output)]
    with Runner(scheduler, Loihi2SimCfg(select_tag=tag)) as run:
        run(num_steps=5)
        run(num_steps=num_steps - 5)
        got = [sink.data.get() for sink in sinks]
        steps = scheduler.total_forward_steps.get()

    conv = la.Conv(-1, 0, from_lava(kernel), padding=1, delay=input_delay)
    graph = la.Graph(
        shape[::-1],
        (population(shape[::-1]), population((8,)), population((5,))),
        (
            conv,
            la.Sparse(0, 0, sparse, delay=self_delay),
            la.Conv(0, 0, from_lava(kernel), padding=1, delay=1),
            la.Dense(1, 2, dense, delay=some_delay),
            la.Dense(1, 0, both, delay=both_delay),
            la.Dense(1, 1, both, delay=both_delay),
            la.Dense(0, 1, both, delay=2),
        ),
        output_delay=output_delay,
    )
    want = la.simulate(graph, x.transpose(2, 1, 0, 3), schedule, backend="reference")
    assert want.spikes.any() and (want.spikes != want.all_spikes[:, 16:]).any()
    np.testing.assert_array_equal(got[0].transpose(2, 1, 0, 3).reshape(8, -1),
                                  want.all_spikes[0, :8])
    np.testing.assert_array_equal(got[1], want.all_spikes[0, 8:16])
    np.testing.assert_array_equal(got[2], want.spikes[0])
    assert steps == want.forward_steps.sum()


@pytest.mark.parametrize("interval, offset", [(4, 0), (5, 3)])
def test_a_delay_between_two_schedulers(interval, offset):
    """Frames under way are those of the second one, whose resets empty them."""
    num_steps = 17
    rng = np.random.default_rng(3)
    values = [weights(rng, 9, 6), weights(rng, 7, 9), weights(rng, 4, 7)]
    delay = rng.integers(0, 5, 9)
    schedule = la.Mixture([la.Random(2), la.LayerSync(1)], seed=3)
    x = random_input((6, num_steps))
    one, two, three = lif(9), lif(7), lif(4)
    first = SpikeScheduler([one], SCHEDULE)
    second = SpikeScheduler(
        [two, three], schedule, reset_interval=interval, reset_offset=offset
    )
    into, between = AsyncDense(weights=values[0]), AsyncDense(weights=values[1], delay=delay)
    feed(x, into.s_in)
    into.a_out.connect(one.a_in)
    one.s_out.connect(between.s_in)
    between.a_out.connect(two.a_in)
    second.reset_out.connect(between.reset_in)
    connect(two, AsyncDense(weights=values[2], delay=1), three)
    sinks = [collect(p.s_out, num_steps) for p in (one, three)]
    with Runner(first, FIXED) as run:
        run(num_steps=num_steps)
        spikes, got = (sink.data.get() for sink in sinks)
    graph = la.Graph(
        (9,),
        (population((7,)), population((4,))),
        (la.Dense(-1, 0, values[1], delay=delay), la.Dense(0, 1, values[2], delay=1)),
    )
    cuts = sorted({0, *range(offset, num_steps, interval), num_steps})
    samples = [0, *range(10)] if offset else range(10)
    for begin, end, sample in zip(cuts, cuts[1:], samples, strict=False):
        want = la.simulate(graph, spikes[:, begin:end], schedule, sample_ids=[sample])
        np.testing.assert_array_equal(got[:, begin:end], want.spikes[0])
    assert got.any()


@pytest.mark.parametrize("config", [FIXED, Loihi2SimCfg()], ids=["fixed_pt", "floating_pt"])
def test_a_circle_of_frames_through_a_delay(config):
    """The same as the connection from release_out to forward_in, with the same delay."""
    rng, num_steps = np.random.default_rng(8), 12
    into, back, delay = weights(rng, 7, 5), weights(rng, 7, 7), rng.integers(1, 4, 7)
    x = random_input((5, num_steps))
    cells, dense = lif(7), AsyncDense(weights=into)
    circle = AsyncDense(weights=back, delay=delay)
    scheduler = SpikeScheduler([cells], SCHEDULE, reset_interval=6)
    feed(x, dense.s_in)
    dense.a_out.connect(cells.a_in)
    cells.s_out.connect(circle.s_in)
    circle.a_out.connect(cells.a_in)
    scheduler.reset_out.connect(circle.reset_in)
    sink = collect(cells.s_out, num_steps)
    with Runner(scheduler, config) as run:
        run(num_steps=num_steps)
        got = sink.data.get()
    edges = la.Dense(-1, 0, into), la.Dense(0, 0, back, delay=delay)
    graph = la.Graph((5,), (population((7,)),), edges)
    want = la.simulate(graph, np.stack([x[:, :6], x[:, 6:]]), SCHEDULE).spikes
    assert want.any()
    np.testing.assert_array_equal(got, np.concatenate(want, axis=-1))


def test_delayed_frames_among_stock_processes():
    """No population of ours at all: counts, not only spikes, from source to sink."""
    rng = np.random.default_rng(2)
    values, delay = weights(rng, 4, 6), np.array([0, 5, 1, 62, 2, 0])
    x = random_input((6, 70), high=5)
    dense = AsyncDense(weights=values, delay=delay)
    feed(x, dense.s_in)
    sink = collect(dense.a_out, 70)
    with Runner(dense, FIXED) as run:
        run(num_steps=33)
        run(num_steps=37)
        got = sink.data.get()
        assert dense.synops.get() == x[:, -1].sum() * 4
    late = np.zeros_like(x)
    for i, d in enumerate(delay):
        late[i, d:] = x[i, : 70 - d]
    np.testing.assert_array_equal(got, values @ late)


@pytest.mark.parametrize("group_size", [_messages.CAPACITY, _messages.CAPACITY + 1, 10**6])
def test_lists_longer_than_a_message(group_size):
    rng = np.random.default_rng(7)
    size = 3 * _messages.CAPACITY
    graph = la.Graph(
        (size,),
        (population((size,)), population((5,))),
        (la.OneToOne(-1, 0, 100), la.Dense(0, 1, weights(rng, 5, size) // 8)),
    )
    x = np.ones((1, size, 2), np.int64)
    want = la.simulate(graph, x, la.Momentum(group_size), trace=True)
    got = la.simulate(graph, x, la.Momentum(group_size), backend="graph", trace=True)
    assert want.forward_steps[0, 0] >= 1
    np.testing.assert_array_equal(got.released_at, want.released_at)
    np.testing.assert_array_equal(got.all_spikes, want.all_spikes)


# ---------------------------------------------------------------- the composite


def test_vars_are_those_of_the_fused_process():
    graph, x = small_graph(recurrent=True), random_input((12, 14))
    names = ["u", "v", "spike_count", "forward_steps", "synops", "overflows",
             "total_forward_steps", "total_synops", "total_overflows"]
    seen = []
    for config in (FIXED, AS_GRAPH):
        network = Network(graph, schedule=SCHEDULE)
        feed(x, network.inp)
        with Runner(network, config) as run:
            run(num_steps=7)
            values = [getattr(network, name).get() for name in names]
            network.total_synops.set(np.array([2**40]))
            network.spike_count.set(np.zeros(22))
            voltage = np.arange(22) * 100 - 500
            network.v.set(voltage)
            network.u.set(-voltage)
            np.testing.assert_array_equal(network.v.get(), voltage)
            run(num_steps=7)
            seen.append(values + [getattr(network, name).get() for name in names])
    assert np.concatenate(seen[0]).any()
    for fused, as_graph in zip(*seen, strict=True):
        np.testing.assert_array_equal(as_graph, fused)


def test_a_part_of_the_state_can_be_set_and_read():
    network = Network(small_graph(recurrent=True), schedule=SCHEDULE)
    with Runner(network, AS_GRAPH) as run:
        run(num_steps=1)
        network.v.set(np.array([5, -7]), np.array([3, 20]))
        np.testing.assert_array_equal(network.v.get(np.array([20, 3])), [-7, 5])
        assert np.count_nonzero(network.v.get()) == 2


def test_a_monitor_on_the_state_of_several_populations_is_refused():
    network, monitor = Network(small_graph(recurrent=True)), Monitor()
    monitor.probe(network.v, 3)
    with pytest.raises(UnsupportedError, match="Monitor on v"), Runner(network, AS_GRAPH):
        pass


def test_a_monitor_on_the_state_of_one_population():
    rng, x = np.random.default_rng(4), random_input((6, 8))
    graph = la.Graph((6,), (population((5,)),), (la.Dense(-1, 0, weights(rng, 5, 6)),))
    seen = []
    for config in (FIXED, AS_GRAPH):
        network, monitor = Network(graph), Monitor()
        feed(x, network.inp)
        monitor.probe(network.v, 8)
        with Runner(network, config) as run:
            run(num_steps=8)
            (values,) = next(iter(monitor.get_data().values())).values()
            seen.append(values)
    assert seen[0].any()
    np.testing.assert_array_equal(*seen)


def test_under_lavas_own_runtime_with_pause():
    graph, x = small_graph(recurrent=True), random_input((12, 5))
    network = Network(graph, schedule=SCHEDULE)
    feed(x, network.inp)
    network.run(RunSteps(num_steps=5), AS_GRAPH)
    try:
        spikes = la.simulate(graph, x, SCHEDULE).all_spikes[0].sum(axis=1)
        np.testing.assert_array_equal(network.spike_count.get(), spikes)
        network.run(RunContinuous())
        time.sleep(0.1)
        network.pause()
        assert network.spike_count.get().sum() > spikes.sum()
    finally:
        network.stop()


def test_run_pause_and_resume():
    graph, x = small_graph(recurrent=True), random_input((12, 5))
    network = Network(graph, schedule=SCHEDULE)
    feed(x, network.inp)
    with Runner(network, AS_GRAPH) as run:
        counts = [0]
        for _ in range(2):
            run()
            time.sleep(0.1)
            run.pause()
            counts.append(network.total_forward_steps.get()[0])
            run(num_steps=2)
        assert counts[0] < counts[1] < counts[2]


# ---------------------------------------------------------------- faults

PROCESSES = {
    "stock": PyLifModelBitAcc,
    "conv": PyAsyncConvModelFixed,
    "sparse": PyAsyncSparseModelFixed,
    "dense": PyAsyncDenseModelFixed,
    "population": PyAsyncLIFModelFixed,
    "scheduler": PySpikeSchedulerModel,
}
OUTPUTS = {"stock": "s_out", "population": "request_out", "scheduler": "grant_out", "conv": "a_out"}


def faulty_network():
    """stock LIF -> conv -> population -> sparse, dense -> population; all processes named."""
    stock = LIF(shape=(3, 3, 1), du=4095, dv=4095, vth=1, bias_mant=2, bias_exp=6, name="stock")
    conv = AsyncConv(weight=np.full((1, 1, 1, 1), 90), input_shape=(3, 3, 1), name="conv")
    hidden = AsyncLIF(shape=(3, 3, 1), **LIF_ARGUMENTS, name="population")
    output = lif(9, "output")
    sparse = AsyncSparse(weights=csr_matrix(np.eye(9) * 60), name="sparse")
    dense = AsyncDense(weights=np.ones((9, 9)), name="dense")
    stock.s_out.connect(conv.s_in)
    conv.a_out.connect(hidden.a_in)
    connect(hidden, sparse, output)
    connect(hidden, dense, output)
    SpikeScheduler([hidden, output], SCHEDULE, name="scheduler")
    return output


@pytest.mark.parametrize("fault", ["start", "first", "later", "shape", "kill"])
@pytest.mark.parametrize("kind", PROCESSES)
def test_a_failing_process_is_named(kind, fault, monkeypatch):
    cls = PROCESSES[kind]
    init, run_spk = cls.__init__, cls.run_spk

    def failing_init(self, proc_params):
        init(self, proc_params)
        if fault == "start":
            raise ValueError("broken")

    def failing_run(self):
        if self.time_step == {"first": 1, "later": 3, "shape": 2, "kill": 2}.get(fault):
            if fault == "shape":
                getattr(self, OUTPUTS.get(kind, "forward_out")).send(np.zeros(7, np.int32))
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("broken")
        run_spk(self)

    messages = {"shape": r"expected shape .* \(got \(7,\)\)", "kill": "killed by SIGKILL"}
    begin = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(cls, "__init__", failing_init)
        patch.setattr(cls, "run_spk", failing_run)
        process = faulty_network()
        # Both populations run the same model, so either may be the first to fail.
        name = "(population|output)" if kind == "population" else kind
        message = messages.get(fault, "ValueError: broken")
        with (
            pytest.raises(ProcessError, match=rf"(?s)process '{name}' .*{message}"),
            Runner(process, FIXED) as run,
        ):
            run(num_steps=5)
    assert time.monotonic() - begin < 10


def test_the_network_of_the_fault_tests_runs():
    output = faulty_network()
    sink = collect(output.s_out, 5)
    with Runner(output, FIXED) as run:
        run(num_steps=5)
        assert sink.data.get().any()
