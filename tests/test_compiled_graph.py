"""Populations of one scheduler in the compiled kernel do what the exchange of messages does."""

import time

import numpy as np
import pytest
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.io.reset import Reset
from lava.proc.monitor.process import Monitor
from scipy.sparse import csr_matrix, issparse

import lava_async as la
from lava_async.errors import GraphError, ProcessError
from lava_async.netx.models import NetworkGraphModel
from lava_async.proc import AsyncConv, AsyncDense, AsyncLIF, AsyncSparse, SpikeScheduler
from lava_async.proc._member_models import AbstractPyMemberModel
from lava_async.proc.lif.models import PyAsyncLIFModelFixed
from lava_async.proc.scheduler.models import PySpikeSchedulerModel
from lava_async.runtime import Runner
from process_graphs import (
    FIXED,
    LIF_ARGUMENTS,
    SCHEDULE,
    collect,
    connect,
    delayed_graph,
    feed,
    lif,
    random_input,
    small_graph,
    weights,
)
from records import assert_equal_records

pytestmark = pytest.mark.timeout(120)
COUNTS = ("spike_count", "forward_steps", "synops", "overflows", "total_synops")


def assert_same(run):
    """The same by messages and compiled; returns it.

    run : takes ``compiled``, returns a list of arrays.
    """
    by_messages, compiled = run(False), run(True)
    assert any(np.any(seen) for seen in by_messages)
    for want, got in zip(by_messages, compiled, strict=True):
        np.testing.assert_array_equal(got, want)
    return by_messages


def counts(scheduler):
    return [getattr(scheduler, name).get() for name in COUNTS]


# ---------------------------------------------------------------- which of the two runs


class Own(la.AsyncSchedule):
    def priorities(self, neurons, *others):
        return neurons % 3


@implements(proc=AsyncLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class OwnModel(PyAsyncLIFModelFixed):
    """Of a user, who may change anything."""


OWN_MODEL = Loihi2SimCfg(
    select_tag="fixed_pt", exception_proc_model_map={AsyncLIF: OwnModel}
)


@pytest.mark.parametrize(
    "schedule, options, config, runs",
    [
        (SCHEDULE, {}, FIXED, "compiled"),
        (SCHEDULE, {}, Loihi2SimCfg(), "compiled"),
        (la.LayerSync(2), {}, FIXED, "compiled"),
        (la.Mixture([la.Fifo(1), la.LayerSync(2)]), {}, FIXED, "compiled"),
        (SCHEDULE, {"compiled": False}, FIXED, "messages"),
        (Own(2), {}, FIXED, "messages"),
        (la.Mixture([la.Fifo(1), Own(2)]), {}, FIXED, "messages"),
        (SCHEDULE, {}, OWN_MODEL, "messages"),
    ],
)
def test_which_design_runs(schedule, options, config, runs, monkeypatch):
    def fail(self, *arguments):
        raise ValueError("this one")

    name = {"compiled": "_run_compiled", "messages": "_run_by_messages"}[runs]
    monkeypatch.setattr(PySpikeSchedulerModel, name, fail)
    scheduler = SpikeScheduler([lif(3)], schedule, **options)
    with pytest.raises(ProcessError, match="this one"), Runner(scheduler, config) as run:
        run(num_steps=1)


def test_the_graph_of_a_network_exchanges_messages(monkeypatch):
    """It is what the fused model is held against."""
    monkeypatch.delattr(PySpikeSchedulerModel, "_run_compiled")
    graph, x = small_graph(), random_input((1, 12, 3))
    got = la.simulate(graph, x, SCHEDULE, backend="graph")
    np.testing.assert_array_equal(got.spikes, la.simulate(graph, x, SCHEDULE).spikes)


def test_a_failed_compilation_leaves_nothing_behind():
    rng, x = np.random.default_rng(1), random_input((6, 5))
    into, back = weights(rng, 7, 6), weights(rng, 7, 7)
    cells, dense = lif(7, "cells"), AsyncDense(weights=into, delay=1, name="dense")
    scheduler = SpikeScheduler([cells], SCHEDULE)
    feed(x, dense.s_in)
    dense.a_out.connect(cells.a_in)
    with pytest.raises(GraphError, match="'dense': reset_in"), Runner(scheduler, FIXED):
        pass
    assert scheduler.compiled_group is None
    scheduler.reset_out.connect(dense.reset_in)
    connect(cells, AsyncDense(weights=back), cells)
    sink = collect(cells.s_out, 5)
    with Runner(scheduler, FIXED) as run:
        run(num_steps=5)
        got = sink.data.get()
    edges = la.Dense(-1, 0, into, delay=1), la.Dense(0, 0, back)
    graph = la.Graph((6,), (la.Population("p", (7,), 1500, 300, 50),), edges)
    want = la.simulate(graph, x, SCHEDULE).spikes[0]
    assert want.any()
    np.testing.assert_array_equal(got, want)


# ---------------------------------------------------------------- written between and within runs

SCHEDULES = [la.Momentum(3), la.LayerSync(2), la.Random(1, seed=5),
             la.Mixture([la.LayerSync(3), la.Fifo(2)], seed=1)]


def balanced(rng, *shape):
    """Weights under which it matters in which order spikes arrive."""
    return rng.integers(-100, 100, shape)


def network(compiled, schedule, seed, **options):
    """source -> a -> b, each to itself and back, with delays or without; b late; a writes on."""
    rng = np.random.default_rng(seed)
    a, b = lif(9, "a"), AsyncLIF(shape=(5,), **LIF_ARGUMENTS, output_delay=rng.integers(0, 3, 5))
    scheduler = SpikeScheduler([a, b], schedule, compiled=compiled, **options)
    into = AsyncDense(weights=weights(rng, 9, 6))
    feed(random_input((6, 40), seed), into.s_in)
    into.a_out.connect(a.a_in)
    some = [rng.integers(0, 4, 9), rng.integers(0, 5, 5)]
    sparse = csr_matrix(balanced(rng, 9, 9) * (rng.random((9, 9)) < 0.5))
    inner = [
        (a, AsyncDense(weights=balanced(rng, 5, 9), delay=some[0]), b),
        (b, AsyncDense(weights=balanced(rng, 9, 5)), a),
        (a, AsyncSparse(weights=sparse, delay=3), a),
        (b, AsyncDense(weights=balanced(rng, 5, 5), delay=some[1]), b),
        (a, AsyncDense(weights=balanced(rng, 5, 9)), b),
    ]
    for source, connection, target in inner:
        connect(source, connection, target)
        connection.synops_out.connect(scheduler.synops_in)
    return a, b, scheduler, into, [connection for _, connection, _ in inner]


@pytest.mark.parametrize("reset_interval", [None, 7])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_whatever_is_set_between_runs(schedule, reset_interval):
    """Weights, parameters and state, while spikes are under way, some before the first run."""

    def run(compiled):
        rng = np.random.default_rng(7)
        a, b, scheduler, into, inner = network(
            compiled, schedule, 3, reset_interval=reset_interval, sample_ids=[5, 2, 8]
        )
        sinks = [collect(p.s_out, 40) for p in (a, b)]
        seen = []
        with Runner(scheduler, FIXED) as runner:
            for turn in range(10):
                if turn % 3 == 0:
                    for connection in (into, *inner[turn % 2 :: 2]):
                        new = connection.weights.get()
                        values = new.data if issparse(new) else new
                        values[...] = balanced(rng, *values.shape)
                        connection.weights.set(new)
                if turn % 3 == 1:
                    a.du.set(rng.integers(0, 4097))
                    b.bias_mant.set(rng.integers(-20, 60, 5))
                    b.vth.set(rng.integers(20, 90))
                if turn % 3 == 2:
                    b.v.set(rng.integers(-5000, 5000, 5))
                    a.u.set(rng.integers(-5000, 5000), 4)
                runner(num_steps=int(rng.integers(1, 5)))
                seen += [*counts(scheduler), a.u.get(), a.v.get(), b.u.get(), b.v.get()]
                seen += [connection.synops.get() for connection in inner]
            seen += [sink.data.get() for sink in sinks]
        return seen

    assert_same(run)


def test_what_was_set_counts_in_the_next_run_however_late_its_process_is_told(monkeypatch):
    """Lava reports that a Var is set, and may begin a run, before it calls `on_var_update`."""
    told = AbstractPyMemberModel.on_var_update

    def late(self):
        time.sleep(0.3)
        told(self)

    monkeypatch.setattr(AbstractPyMemberModel, "on_var_update", late)
    cells, dense = lif(3), AsyncDense(weights=np.zeros((3, 3)))
    feed(np.full((3, 1), 60), cells.a_in)
    connect(cells, dense, target := lif(3))
    scheduler = SpikeScheduler([cells, target], SCHEDULE)
    with Runner(scheduler, FIXED) as run:
        run(num_steps=1)
        dense.weights.set(60)
        cells.v.set([-4000, 0, 0])
        run(num_steps=1)
        np.testing.assert_array_equal(scheduler.spike_count.get(), [1, 2, 2, 1, 1, 1])


@pytest.mark.parametrize("name, value", [("v", 2000), ("u", -900), ("vth", 20), ("du", 4096)])
@pytest.mark.parametrize("reset_interval", [None, 4])
def test_a_stock_process_that_writes_during_a_run(name, value, reset_interval):
    def run(compiled):
        a, b, scheduler, _, inner = network(
            compiled, la.LayerSync(2), 4, reset_interval=reset_interval
        )
        Reset(reset_value=value, interval=2, offset=1).connect_var(getattr(b, name))
        Reset(reset_value=3, interval=5, offset=1).connect_var(inner[0].weights)
        Reset(reset_value=40, interval=3, offset=0).connect_var(inner[1].weights)
        sinks = [collect(p.s_out, 15) for p in (a, b)]
        with Runner(scheduler, FIXED) as runner:
            runner(num_steps=15)
            return [
                *counts(scheduler), *(sink.data.get() for sink in sinks), b.v.get(), b.u.get(),
                getattr(b, name).get(), inner[0].weights.get(),
            ]  # fmt: skip

    assert_same(run)


def test_monitors_see_the_state_at_the_end_of_each_time_step():
    def run(compiled):
        a, b, scheduler, _, _ = network(compiled, SCHEDULE, 5)
        seen = [Monitor() for _ in range(3)]
        for monitor, probed in zip(seen, (a.v, b.u, b.s_out), strict=True):
            monitor.probe(probed, 12)
        with Runner(scheduler, FIXED) as runner:
            runner(num_steps=12)
            return [next(iter(next(iter(m.get_data().values())).values())) for m in seen]

    for seen in assert_same(run):
        assert seen.any()


# ---------------------------------------------------------------- what comes and goes


@pytest.mark.parametrize("config", [FIXED, Loihi2SimCfg()], ids=["fixed_pt", "floating_pt"])
def test_currents_as_large_as_a_port_takes(config):
    """Straight into a population, added to what was delayed, and beyond what the state holds."""
    high = (1 << 31) - 1
    x = np.array([[high, -high - 1, 1 << 30, (1 << 18) + 5, -(1 << 24), high, 0, 3]] * 4)
    x[1:3] = -x[1:3] - 1
    x[3] //= 3

    def run(compiled):
        cells = lif(4)
        scheduler = SpikeScheduler([cells], SCHEDULE, compiled=compiled)
        feed(x, cells.a_in)
        connect(cells, AsyncDense(weights=np.full((4, 4), 254), delay=1), cells)
        sink = collect(cells.s_out, 8)
        seen = []
        with Runner(scheduler, config) as runner:
            for _ in range(8):
                runner(num_steps=1)
                seen += [*counts(scheduler), cells.u.get(), cells.v.get()]
            return [*seen, sink.data.get()]

    assert_same(run)


def test_synaptic_operations_go_wherever_they_are_connected():
    """To their own scheduler, to another one, to a sink; to two of them, and to none."""

    def run(compiled):
        a, _, first, into, inner = network(compiled, SCHEDULE, 6)
        other = lif(5)
        second = SpikeScheduler([other], SCHEDULE, compiled=compiled)
        a.s_out.connect((between := AsyncDense(weights=np.full((5, 9), 40))).s_in)
        between.a_out.connect(other.a_in)
        into.synops_out.connect(first.synops_in)
        between.synops_out.connect(second.synops_in)
        inner[1].synops_out.connect(second.synops_in)
        sinks = [collect(inner[i].synops_out, 9) for i in (1, 2)]
        seen = []
        with Runner(first, FIXED) as runner:
            for _ in range(3):
                runner(num_steps=3)
                seen += [*counts(first), *counts(second), *(c.synops.get() for c in inner)]
            return [*seen, *(sink.data.get() for sink in sinks)]

    assert_same(run)


def test_convolutions_between_flat_populations():
    """They fit by their size: neurons are numbered alike."""
    rng, x = np.random.default_rng(4), random_input((12, 8))
    kernel = rng.integers(-40, 90, (2, 2, 3, 1))

    def run(compiled):
        convs = [
            AsyncConv(weight=kernel, input_shape=(4, 3, 1), padding=1, delay=delay)
            for delay in (0, 2)
        ]
        source, target = lif(12), lif(convs[0].a_out.size)
        scheduler = SpikeScheduler([source, target], la.Fifo(2), compiled=compiled)
        into = AsyncDense(weights=np.eye(12) * 70)
        feed(x, into.s_in)
        into.a_out.connect(source.a_in)
        for conv in convs:
            connect(source, conv, target)
            conv.synops_out.connect(scheduler.synops_in)
        sinks = [collect(p.s_out, 8) for p in (source, target)]
        with Runner(scheduler, FIXED) as runner:
            runner(num_steps=4)
            convs[0].weight.set(-kernel)
            runner(num_steps=4)
            return [*counts(scheduler), *(sink.data.get() for sink in sinks)]

    assert_same(run)


def test_a_batch_through_a_compiled_graph(monkeypatch):
    """Delays of all kinds, from the input to the output; resets between samples."""
    monkeypatch.setattr(NetworkGraphModel, "COMPILED", True)
    graph, x = delayed_graph(), random_input((3, 12, 9))
    for schedule in SCHEDULES:
        want = la.simulate(graph, x, schedule, backend="reference", trace=True)
        got = la.simulate(graph, x, schedule, backend="graph", trace=True)
        assert_equal_records(got, want)
