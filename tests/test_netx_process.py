"""`netx.Network` among stock Lava processes: ports, tags, resets, Vars, repeated runs."""

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lava.magma.core.run_conditions import RunContinuous, RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.io.reset import Reset
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIF
from lava.proc.monitor.process import Monitor
from lava.proc.sparse.process import Sparse
from scipy.sparse import csr_matrix

import lava_async as la
from lava_async._files.hdf5 import load
from lava_async._kernel import Stepper
from lava_async.errors import ProcessError, UnsupportedError, ValidationError
from lava_async.netx import Network
from lava_async.runtime import Runner
from process_graphs import (
    AS_GRAPH,
    FIXED,
    SCHEDULE,
    delayed_graph,
    population,
    random_input,
    small_graph,
)
from random_networks import Neighbours, graphs, inputs, schedules

pytestmark = pytest.mark.timeout(120)
GOLDEN = Path(__file__).parent / "golden"


def wire(network, x):
    """A source with x (*port shape, T), and a sink for as many time steps."""
    source, sink = Source(data=x), Sink(shape=network.out.shape, buffer=x.shape[-1])
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)
    return sink


def outputs(network, x, config=FIXED):
    """What the network makes of x, (*port shape, T)."""
    sink = wire(network, x)
    with Runner(network, config) as run:
        run(num_steps=x.shape[-1])
        return sink.data.get()


# ---------------------------------------------------------------- a netx replacement


def test_ports_table_and_length_are_those_of_netx():
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        warnings.simplefilter("ignore")
        from lava.lib.dl.netx import hdf5
    kinds = set()
    for path in sorted(GOLDEN.glob("case_0[0-4].net")):
        try:
            stock = hdf5.Network(net_config=str(path))
        except RuntimeError:  # an input shape that only we infer
            continue
        ours = Network(path)
        kinds.add((len(ours.inp.shape), len(ours.out.shape)))
        assert ours.inp.shape == stock.inp.shape, path
        assert ours.out.shape == stock.out.shape, path
        assert len(ours) == len(stock), path
        assert str(ours) == str(stock), path
    assert {n for n, _ in kinds} == {1, 3}


@pytest.mark.parametrize("late", ["input", "hidden", "output", "none"])
def test_the_table_tells_of_delays_as_netx_does(late, tmp_path):
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        warnings.simplefilter("ignore")
        from lava.lib.dl.netx import hdf5
    rng, delay = np.random.default_rng(2), {late: np.array([2, 0, 1, 3])}
    cells = tuple(population((n,), f"p{n}") for n in (4, 5, 4))
    sizes = {"input": (4, 4), "hidden": (5, 4), "last": (4, 5)}
    connections = tuple(
        la.Dense(i - 1, i, 2 * rng.integers(-20, 40, size), delay=delay.get(name, 0))
        for i, (name, size) in enumerate(sizes.items())
    )
    output_delay = delay.get("output", 0)
    graph = la.Graph((4,), cells, connections, output_delay=output_delay)
    row = {"input": 0, "hidden": 0, "output": 2}.get(late)
    ours = str(Network(graph))
    assert [line.endswith("|True |") for line in ours.splitlines()[1:]] == [
        i == row for i in range(3)
    ]
    if late != "input":  # which netx's layout says of a layer with as many outputs only
        la.save(graph, tmp_path / "network.net")
        assert str(hdf5.Network(net_config=str(tmp_path / "network.net"))) == ours


def test_frames_and_outputs_are_in_netx_order():
    """A convolution in and out: ports are (W, H, C), time last."""
    rng = np.random.default_rng(3)
    conv = la.Conv(la.INPUT, 0, rng.integers(-60, 90, (3, 2, 3, 2)))
    graph = la.Graph(
        (2, 5, 4), (la.Population("p", conv.out_shape((2, 5, 4)), 2000, 500, 60),), (conv,)
    )
    x = random_input((2, 5, 4, 10))
    network = Network(graph)
    assert network.inp.shape == (4, 5, 2)
    assert network.out.shape == (3, 3, 3)
    got = outputs(network, x.transpose(2, 1, 0, 3))
    want = la.simulate(graph, x).spikes[0]
    assert want.any()
    np.testing.assert_array_equal(got.transpose(2, 1, 0, 3), want)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"net_config": "missing.net"}, "missing.net"),
        ({"schedule": "momentum"}, "schedule"),
        ({"schedule": la.LayerSync(), "stop_after": 1}, "stop_after"),
        ({"stop_after": -1}, "stop_after"),
        ({"reset_interval": 0}, "reset_interval: expected an integer >= 1"),
        ({"reset_interval": 2.5}, "reset_interval"),
        ({"reset_interval": 4, "reset_offset": -1}, "reset_offset"),
        ({"sample_ids": []}, "sample_ids"),
        ({"sample_ids": [0, 2**32]}, "sample_ids"),
        ({"sample_ids": [-1]}, "sample_ids"),
    ],
)
def test_arguments_are_checked_before_the_runtime_starts(arguments, message):
    with pytest.raises(ValidationError, match=message):
        Network(**{"net_config": small_graph(), **arguments})


def test_the_schedule_of_the_file_is_the_default():
    graph = small_graph()
    assert Network(graph).schedule == la.Momentum(8)
    assert Network(graph.replace(schedule=la.Random(2))).schedule == la.Random(2)
    assert Network(graph.replace(schedule=la.Random(2)), schedule=SCHEDULE).schedule == SCHEDULE


class Own(la.AsyncSchedule):
    """The last neuron first: compiled code does not know it."""

    def priorities(self, neurons, *rest):
        return neurons


def test_a_schedule_of_ones_own_runs_in_the_process_graph_only():
    graph, x, schedule = delayed_graph(), random_input((12, 9)), Own(1)
    network = Network(graph, schedule=schedule, stop_after=1)
    sink = wire(network, x)
    with (
        pytest.raises(UnsupportedError, match=r"schedule: expected .* \(got Own\)"),
        Runner(network, FIXED),
    ):
        pass
    # Refused before anything ran: the same network still runs in the other way.
    with Runner(network, AS_GRAPH) as run:
        run(num_steps=9)
        got, counts = sink.data.get(), network.spike_count.get()
    want, other = (
        la.simulate(graph, x, s, backend="reference", stop_after=1) for s in (schedule, SCHEDULE)
    )
    np.testing.assert_array_equal(got, want.spikes[0])
    np.testing.assert_array_equal(counts, want.all_spikes[0].sum(axis=1))
    assert (want.all_spikes != other.all_spikes).any()


def test_the_table_of_kinds_that_netx_does_not_know():
    cells = tuple(population((5,), name) for name in "abc")
    connections = (
        la.Sparse(la.INPUT, 0, csr_matrix(np.eye(5))),
        Neighbours(0, 1, (3, 4), delay=2),
        la.Dense(1, 2, np.ones((5, 5)), delay=[0, 0, 0, 1, 0]),
    )
    network = Network(la.Graph((5,), cells, connections))
    rows = str(network).splitlines()[1:]
    assert [row[1:11].strip() for row in rows] == ["Sparse", "Connection", "Dense"]
    # Of whose spikes are delayed.
    assert [row[-6:-1].strip() for row in rows] == ["True", "True", "False"]
    assert len({len(row) for row in str(network).splitlines()}) == 1


# ---------------------------------------------------------------- among stock processes


@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
def test_between_stock_dense_and_lif(tag):
    """Source -> Dense -> LIF -> Network -> Dense -> LIF -> sink."""
    num_steps = 40
    rng = np.random.default_rng(5)
    graph = small_graph()
    # Even weights and odd thresholds: no sum meets a threshold, whatever is left of a decay.
    before, after = 2 * rng.integers(-20, 40, (12, 6)), 2 * rng.integers(-20, 40, (5, 4))
    decay = 4095 if tag == "fixed_pt" else 1
    x = random_input((6, num_steps))
    source = Source(data=x)
    dense_in, lif_in = Dense(weights=before), LIF(shape=(12,), du=decay, dv=decay, vth=31)
    network = Network(graph, schedule=SCHEDULE)
    dense_out, lif_out = Dense(weights=after), LIF(shape=(5,), du=decay, dv=decay, vth=31)
    sinks = [Sink(shape=(n,), buffer=num_steps) for n in (12, 4, 5)]
    source.s_out.connect(dense_in.s_in)
    dense_in.a_out.connect(lif_in.a_in)
    lif_in.s_out.connect(network.inp)
    network.out.connect(dense_out.s_in)
    dense_out.a_out.connect(lif_out.a_in)
    for port, sink in zip((lif_in.s_out, network.out, lif_out.s_out), sinks, strict=True):
        port.connect(sink.a_in)

    with Runner(network, Loihi2SimCfg(select_tag=tag)) as run:
        run(num_steps=15)
        run(num_steps=num_steps - 15)
        spikes_in, spikes, spikes_after = (sink.data.get().astype(int) for sink in sinks)

    stepper = Stepper(graph, SCHEDULE)
    want = np.stack([stepper.step(frame).spikes[-4:] for frame in spikes_in.T], axis=-1)
    assert want.any()
    np.testing.assert_array_equal(spikes, want)  # in the same time step
    # Stock Dense sends what arrived in the time step before.
    for weight, sent, received in ((before, x, spikes_in), (after, spikes, spikes_after)):
        np.testing.assert_array_equal(received[:, 1:], weight @ sent[:, :-1] > 31)
        assert received.any()


def test_with_stock_conv_sparse_and_monitors():
    """Source -> Conv -> Network -> Sparse -> sink; two sources add up; Monitors watch."""
    num_steps = 12
    rng = np.random.default_rng(8)
    conv = la.Conv(la.INPUT, 0, rng.integers(-60, 90, (2, 1, 2, 2)))
    shape = conv.out_shape((1, 4, 3))
    graph = la.Graph((1, 4, 3), (la.Population("p", shape, 1000, 200, 60),), (conv,))
    x = random_input((3, 4, 1, num_steps))
    network = Network(graph, schedule=SCHEDULE)
    size = int(np.prod(shape))
    source, direct = Source(data=x), Source(data=x)
    identity = Conv(weight=np.ones((1, 1, 1, 1)), input_shape=(3, 4, 1))
    weights = 2 * rng.integers(-20, 40, (3, size))  # even: stock 8-bit weights of mixed sign
    sparse = Sparse(weights=csr_matrix(weights))
    sink = Sink(shape=(3,), buffer=num_steps)
    source.s_out.connect(identity.s_in)
    identity.a_out.connect(network.inp)
    direct.s_out.connect(network.inp)
    network.out.flatten().connect(sparse.s_in)
    sparse.a_out.connect(sink.a_in)
    voltage, output = Monitor(), Monitor()
    voltage.probe(network.v, num_steps)
    output.probe(network.out, num_steps)

    with Runner(network, FIXED) as run:
        run(num_steps=num_steps)
        currents = sink.data.get()
        (seen_v,) = next(iter(voltage.get_data().values())).values()
        (seen_out,) = next(iter(output.get_data().values())).values()

    stepper = Stepper(graph, SCHEDULE)
    late = np.concatenate([np.zeros_like(x[..., :1]), x[..., :-1]], axis=-1)
    want_v, want = [], []
    for frame in np.moveaxis((x + late).transpose(2, 1, 0, 3), -1, 0):
        want.append(stepper.step(frame.reshape(-1)).spikes.reshape(shape).T)
        want_v.append(stepper.voltage.copy())
    np.testing.assert_array_equal(seen_v, want_v)
    np.testing.assert_array_equal(seen_out, want)
    flat = np.reshape(want, (num_steps, -1))
    np.testing.assert_array_equal(currents[:, 1:], weights @ flat[:-1].T)
    assert flat.any() and seen_v.any()


def test_under_lavas_own_run_pause_and_stop():
    network = Network(small_graph(), schedule=SCHEDULE)
    x = random_input((12, 7))
    wire(network, x)
    network.run(RunSteps(num_steps=7), FIXED)
    try:
        spikes = la.simulate(network.graph, x, SCHEDULE).all_spikes[0].sum(axis=1)
        np.testing.assert_array_equal(network.spike_count.get(), spikes)
        network.run(RunContinuous())
        network.pause()
        assert network.spike_count.get().sum() >= spikes.sum()
    finally:
        network.stop()


# ---------------------------------------------------------------- resets


@pytest.mark.parametrize(
    "config, offset", [(FIXED, 0), (FIXED, 3), (FIXED, 13), (AS_GRAPH, 0), (AS_GRAPH, 13)]
)
def test_reset_interval_and_offset(config, offset):
    """(t - 1) % interval == offset, for the whole network at once; a sample id per reset."""
    interval, num_steps, ids = 10, 35, [7, 3]
    graph, schedule = small_graph(recurrent=config is AS_GRAPH), la.Random(2, seed=9)
    network = Network(
        graph, schedule=schedule, reset_interval=interval, reset_offset=offset, sample_ids=ids
    )
    x = random_input((12, num_steps))
    got = outputs(network, x, config)
    phase = offset % interval
    cuts = sorted({0, *range(phase, num_steps, interval), num_steps})
    samples = [7, 7, 3, 7, 3] if phase else [7, 3, 7, 3]
    for begin, end, sample in zip(cuts, cuts[1:], samples, strict=False):
        want = la.simulate(graph, x[:, begin:end], schedule, sample_ids=[sample]).spikes[0]
        np.testing.assert_array_equal(got[:, begin:end], want)


SCHEDULES = {
    "momentum": la.Momentum(3),
    "layer": la.LayerSync(3),
    "mixture": la.Mixture([la.LayerSync(2), la.Fifo(2), la.Random(2)], seed=1),
}


@pytest.mark.parametrize("offset", [0, 3])
@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("config", [FIXED, AS_GRAPH], ids=["fused", "graph"])
def test_a_reset_empties_what_is_under_way(config, kind, offset):
    """Samples no longer than some delays: spikes are under way at every reset."""
    interval, num_steps, ids = 4, 24, [8, 3, 5, 2, 0, 6, 7]
    graph, schedule = delayed_graph(), SCHEDULES[kind]
    network = Network(
        graph, schedule=schedule, reset_interval=interval, reset_offset=offset, sample_ids=ids
    )
    x = random_input((12, num_steps))
    got = outputs(network, x, config)
    if offset:
        want = la.simulate(graph, x[:, :offset], schedule, sample_ids=ids[:1])
        np.testing.assert_array_equal(got[:, :offset], want.spikes[0])
    on_time = []
    for sample, begin in zip(ids, range(offset, num_steps, interval), strict=False):
        part = slice(begin, begin + interval)
        want = la.simulate(graph, x[:, part], schedule, sample_ids=[sample])
        np.testing.assert_array_equal(got[:, part], want.spikes[0])
        on_time.append((want.spikes[0] == want.all_spikes[0, 10:]).all())
    assert got.any() and not all(on_time)


@pytest.mark.parametrize("config", [FIXED, AS_GRAPH], ids=["fused", "graph"])
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # each example starts a dozen processes
)
@given(data=st.data())
def test_resets_in_random_networks(config, data):
    """Wherever they come, and whatever is under way."""
    graph, schedule = data.draw(graphs()), data.draw(schedules())
    x = data.draw(inputs(graph, max_batch=1, max_steps=12))[0]
    num_steps, interval = x.shape[-1], data.draw(st.integers(1, 6))
    offset, ids = data.draw(st.integers(0, 7)), data.draw(st.permutations(range(13)))
    network = Network(
        graph, schedule=schedule, reset_interval=interval, reset_offset=offset, sample_ids=ids
    )
    flat = len(network.inp.shape) == 1
    got = outputs(network, x.reshape(-1, num_steps) if flat else x.transpose(2, 1, 0, 3), config)
    begins = [*range(offset % interval, num_steps, interval)]
    parts = list(zip(begins, [*begins[1:], num_steps], ids, strict=False))
    if begins[:1] != [0]:
        parts.append((0, min(offset % interval, num_steps), ids[0]))
    for begin, end, sample in parts:
        want = la.simulate(graph, x[..., begin:end], schedule, sample_ids=[sample]).spikes[0]
        seen = got[..., begin:end]
        np.testing.assert_array_equal(seen if seen.ndim < 4 else seen.transpose(2, 1, 0, 3), want)


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("config", [FIXED, AS_GRAPH], ids=["fused", "graph"])
def test_counts_and_the_trace_are_of_the_firing(config, kind):
    """Not of the output, which is late; a run that is cut in two notices nothing."""
    graph, x = delayed_graph(), random_input((12, 9))
    network = Network(graph, schedule=SCHEDULES[kind], sample_ids=[6])
    sink = wire(network, x)
    with Runner(network, config) as run:
        run(num_steps=5)
        run(num_steps=4)
        got, counts = sink.data.get(), network.spike_count.get()
        totals = [getattr(network, f"total_{n}").get()[0] for n in ("forward_steps", "synops")]
    want = la.simulate(graph, x, SCHEDULES[kind], sample_ids=[6])
    np.testing.assert_array_equal(got, want.spikes[0])
    np.testing.assert_array_equal(counts, want.all_spikes[0].sum(axis=1))
    assert counts[10:].sum() > got.sum() > 0  # some are still under way
    assert totals == [want.forward_steps.sum(), want.synops.sum()]


@pytest.mark.parametrize(
    "config, schedule",
    # Layer by layer: spikes on their way over recurrent connections are forgotten, too.
    [(FIXED, la.Random(2, seed=9)), (AS_GRAPH, la.LayerSync(2)), (AS_GRAPH, SCHEDULE)],
)
def test_reset_on_demand_between_runs_and_by_a_stock_reset(config, schedule):
    graph = delayed_graph()
    x = random_input((12, 12))
    network = Network(graph, schedule=schedule)
    sink = wire(network, x)
    stock = Reset(reset_value=1, interval=12, offset=7)  # after time step 8
    stock.connect_var(network.reset)
    with Runner(network, config) as run:
        run(num_steps=4)
        network.reset.set(np.array([1]))
        run(num_steps=8)
        got = sink.data.get()
        assert network.reset.get() == 0
    for sample, begin in enumerate((0, 4, 8)):
        part = slice(begin, begin + 4)
        want = la.simulate(graph, x[:, part], schedule, sample_ids=[sample]).spikes[0]
        np.testing.assert_array_equal(got[:, part], want)


# ---------------------------------------------------------------- Vars


def test_vars_between_runs():
    graph = small_graph()
    x = random_input((12, 20))
    network = Network(graph, schedule=SCHEDULE)
    sink = wire(network, x)
    want = la.simulate(graph, x, SCHEDULE)
    stepper = Stepper(graph, SCHEDULE)
    with Runner(network, FIXED) as run:
        run(num_steps=10)
        for frame in x[:, :10].T:
            stepper.step(frame)
        np.testing.assert_array_equal(network.u.get(), stepper.current)
        np.testing.assert_array_equal(network.v.get(), stepper.voltage)
        spikes = want.all_spikes[0, :, :10].sum(axis=1)
        np.testing.assert_array_equal(network.spike_count.get(), spikes)
        for name in ("forward_steps", "synops", "overflows"):
            numbers = getattr(want, name)[0, :10]
            assert getattr(network, name).get() == numbers[-1]
            assert getattr(network, f"total_{name}").get() == numbers.sum()

        # Counts can be set, also beyond 32 bits; state can be set, and counts from then on.
        network.total_synops.set(np.array([2**40]))
        network.spike_count.set(np.zeros(graph.num_neurons))
        voltage = np.arange(graph.num_neurons) * 100 - 500
        network.v.set(voltage)
        network.u.set(-voltage)
        run(num_steps=10)
        stepper.voltage[:], stepper.current[:] = voltage, -voltage
        stepper.wake()
        steps = [stepper.step(frame) for frame in x[:, 10:].T]
        assert network.total_synops.get() == 2**40 + sum(s.synops for s in steps)
        np.testing.assert_array_equal(
            network.spike_count.get(), np.sum([s.spikes for s in steps], axis=0)
        )
        np.testing.assert_array_equal(
            sink.data.get()[:, 10:], np.stack([s.spikes[-4:] for s in steps], axis=-1)
        )


@pytest.mark.parametrize(
    "tag, value", [("fixed_pt", -1), ("floating_pt", -1), ("floating_pt", 0.5),
                   ("floating_pt", np.nan), ("fixed_pt", 2**31 - 1)],
)
def test_inputs_that_are_not_counts_are_refused(tag, value):
    network = Network(small_graph())
    x = np.zeros((12, 4))
    x[5, 2] = value
    wire(network, x)
    with (
        pytest.raises(ProcessError, match=r"Network '\w+': inp: time step 3, value at flat index"),
        Runner(network, Loihi2SimCfg(select_tag=tag)) as run,
    ):
        run(num_steps=4)


def test_a_network_without_a_source_gets_no_input():
    network = Network(load(GOLDEN / "case_01.net"))
    with Runner(network, Loihi2SimCfg()) as run:
        run(num_steps=3)
        x = np.zeros((*network.graph.input_shape, 3), np.int64)
        want = la.simulate(network.graph, x).all_spikes[0].sum(axis=1)
        np.testing.assert_array_equal(network.spike_count.get(), want)
