"""What cannot run is refused before it runs, in words; numbers that do not fit, when they come."""

import numpy as np
import pytest
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.lif.process import LIF
from lava.proc.monitor.process import Monitor
from scipy.sparse import csr_matrix

import lava_async as la
from lava_async.errors import GraphError, ProcessError, ValidationError
from lava_async.netx import Network
from lava_async.proc import AsyncConv, AsyncDense, AsyncLIF, AsyncSparse, SpikeScheduler
from lava_async.runtime import Runner
from lava_helpers.delay import Delay
from lava_helpers.faulty import Relay
from process_graphs import AS_GRAPH, FIXED, collect, connect, feed, lif

pytestmark = pytest.mark.timeout(120)


def network(name=None):
    """Three neurons that fire whatever comes in."""
    cells, dense = la.Population("p", (3,), 4096, 4096, 50), la.Dense(-1, 0, np.eye(3) * 60)
    return Network(la.Graph((3,), (cells,), (dense,)), name=name)


def wire_no_scheduler():
    cells = lif(3, "cells")
    dense = AsyncDense(weights=np.ones((3, 2)))
    dense.a_out.connect(cells.a_in)
    feed(np.zeros((2, 1)), dense.s_in)
    return cells


def wire_no_input():
    dense, cells = AsyncDense(weights=np.ones((3, 2)), name="dense"), lif(3)
    dense.a_out.connect(cells.a_in)
    return SpikeScheduler([cells])


def wire_no_output():
    dense, cells = AsyncDense(weights=np.ones((3, 3)), name="dense"), lif(3)
    cells.release_out.connect(dense.release_in)
    return SpikeScheduler([cells])


def wire_no_stock_output():
    dense = AsyncDense(weights=np.ones((3, 3)), name="dense")
    feed(np.zeros((3, 1)), dense.s_in)
    return dense


def wire_both_inputs():
    dense, cells = AsyncDense(weights=np.ones((3, 3)), name="dense"), lif(3)
    connect(cells, dense, cells)
    feed(np.zeros((3, 1)), dense.s_in)
    return SpikeScheduler([cells])


def wire_wrong_size():
    dense, a, b = AsyncDense(weights=np.ones((3, 4)), name="dense"), lif(3), lif(3)
    connect(a, dense, b)
    return SpikeScheduler([a, b])


def wire_wrong_kind_of_output():
    dense, a, b = AsyncDense(weights=np.ones((3, 3)), name="dense"), lif(3), lif(3)
    a.release_out.connect(dense.release_in)
    dense.a_out.connect(b.a_in)
    return SpikeScheduler([a, b])


def wire_forward_to_stock_port():
    dense, a, b = AsyncDense(weights=np.ones((3, 3)), name="dense"), lif(3), lif(3)
    a.release_out.connect(dense.release_in)
    dense.forward_out.connect(b.a_in)
    return SpikeScheduler([a, b])


def wire_stock_into_forward():
    cells = lif(3)
    feed(np.zeros((3, 1)), cells.forward_in)
    return SpikeScheduler([cells])


def wire_one_target_twice():
    dense, a, b = AsyncDense(weights=np.ones((3, 3)), name="dense"), lif(3), lif(3, "b")
    connect(a, dense, b)
    dense.forward_out.reshape((3,)).connect(b.forward_in)
    return SpikeScheduler([a, b])


def wire_across_schedulers():
    dense, a, b = AsyncDense(weights=np.ones((3, 3)), name="dense"), lif(3), lif(3)
    connect(a, dense, b)
    SpikeScheduler([b])
    return SpikeScheduler([a])


def wire_a_monitor_on_released_spikes():
    a, b, monitor = lif(3, "a"), lif(3), Monitor()
    connect(a, AsyncDense(weights=np.ones((3, 3))), b)
    monitor.probe(a.release_out, 3)
    return SpikeScheduler([a, b])


def wire_a_monitor_on_requests():
    cells, monitor = lif(3, "a"), Monitor()
    scheduler = SpikeScheduler([cells])
    monitor.probe(cells.request_out, 3)
    return scheduler


def wire_a_fractional_source():
    dense, cells = AsyncDense(weights=np.ones((3, 2)), name="dense"), lif(3)
    feed(np.array([[0, 1], [1, 0.7]]), dense.s_in)
    dense.a_out.connect(cells.a_in)
    return SpikeScheduler([cells])


def wire_a_fractional_source_to_a_network():
    net = network("net")
    feed(np.full((3, 1), 0.7), net.inp)
    return net


def scheduled():
    cells, dense = lif(3, "cells"), AsyncDense(weights=np.ones((3, 2)))
    feed(np.zeros((2, 1)), dense.s_in)
    dense.a_out.connect(cells.a_in)
    return SpikeScheduler([cells], name="sched")


def wire_a_stranger_to_grants():
    scheduler = scheduled()
    scheduler.grant_out.connect(Sink(shape=scheduler.grant_out.shape, buffer=1).a_in)
    return scheduler


def wire_a_stranger_to_requests():
    scheduler = scheduled()
    feed(np.zeros((*scheduler.request_in.shape, 1)), scheduler.request_in)
    return scheduler


def wire_a_stranger_to_synops():
    scheduler = scheduled()
    feed(np.zeros((1, 1)), scheduler.synops_in)
    return scheduler


def delayed_input(name="dense"):
    """A connection that delays frames, its population and the scheduler."""
    dense, cells = AsyncDense(weights=np.ones((3, 2)), delay=[0, 2], name=name), lif(3)
    feed(np.zeros((2, 1)), dense.s_in)
    dense.a_out.connect(cells.a_in)
    return dense, cells, SpikeScheduler([cells], name="sched")


def wire_a_delay_without_resets():
    return delayed_input()[2]


def wire_resets_of_another_scheduler():
    dense, _, scheduler = delayed_input()
    SpikeScheduler([lif(3)], name="other").reset_out.connect(dense.reset_in)
    return scheduler


def wire_a_stranger_to_resets():
    dense, _, scheduler = delayed_input()
    scheduler.reset_out.connect(dense.reset_in)
    feed(np.zeros((1, 1)), dense.reset_in)
    return scheduler


def wire_resets_to_released_spikes():
    dense, a = AsyncDense(weights=np.ones((3, 3)), delay=1, name="dense"), lif(3)
    connect(a, dense, a)
    scheduler = SpikeScheduler([a])
    scheduler.reset_out.connect(dense.reset_in)
    return scheduler


def wire_messages_into_frames():
    """Of one shape with a frame, as it happens."""
    a, dense = lif(3), AsyncDense(weights=np.ones((3, 68)), name="dense")
    scheduler = SpikeScheduler([a])
    a.release_out.connect(dense.s_in)
    dense.a_out.connect(a.a_in)
    return scheduler


def wire_messages_into_a_network():
    cells, eye = la.Population("p", (68,), 0, 0, 50), la.OneToOne(-1, 0, 60)
    net = Network(la.Graph((68,), (cells,), (eye,)), name="net")
    a = lif(3)
    SpikeScheduler([a])
    a.release_out.connect(net.inp)
    return net


@pytest.mark.parametrize(
    "wire, message",
    [
        (wire_no_scheduler, "AsyncLIF 'cells': scheduler: expected one .* none"),
        (wire_no_input, "AsyncDense 'dense': input: expected either s_in or release_in"),
        (wire_no_output, "AsyncDense 'dense': forward_out: expected forward_in"),
        (wire_no_stock_output, "AsyncDense 'dense': a_out: expected a target"),
        (wire_both_inputs, "AsyncDense 'dense': input: .* both"),
        (wire_wrong_size, "AsyncDense 'dense': source: expected a population of 4 neurons"),
        (wire_wrong_kind_of_output, "AsyncDense 'dense': a_out: expected no connection: connect f"),
        (wire_forward_to_stock_port, "forward_out: expected forward_in|a_in: expected one mess"),
        (wire_stock_into_forward, "forward_in: expected forward_out"),
        (wire_one_target_twice, "'dense': forward_out: expected each population once .*'b'.*'b'"),
        (wire_across_schedulers, "AsyncDense 'dense': target: expected a population of the sou"),
        (wire_a_monitor_on_released_spikes, r"'a': release_out: .*got in_port_0 of Monitor"),
        (wire_a_monitor_on_requests, r"'a': request_out: expected SpikeScheduler .*Monitor"),
        (wire_a_stranger_to_grants, "'sched': grant_out: expected grant_in .*RingBuffer"),
        (wire_a_stranger_to_requests, "'sched': request_in: expected request_out .*RingBuffer"),
        (wire_a_stranger_to_synops, "'sched': synops_in: expected synops_out .*RingBuffer"),
        (wire_a_delay_without_resets, r"'dense': reset_in: expected reset_out of SpikeScheduler "
                                      r"'sched', as its resets empty .* \(got none"),
        (wire_resets_of_another_scheduler, "'dense': reset_in: .*'sched'.*got reset_out of .*'oth"),
        (wire_a_stranger_to_resets, "'dense': reset_in: expected reset_out of a sch.*RingBuffer"),
        (wire_resets_to_released_spikes, "'dense': reset_in: expected no connection"),
        (wire_messages_into_frames, "s_in: expected one message per time|release_out: expected re"),
        (wire_messages_into_a_network, "inp: expected one message per time|release_out: expected "),
        (wire_a_fractional_source, r"'dense': s_in: RingBuffer .*: data\[1, 1\]: .*got 0\.7"),
        (wire_a_fractional_source_to_a_network, r"'net': inp: RingBuffer .*data\[0, 0\]"),
    ],
)
@pytest.mark.parametrize("runner", [True, False], ids=["Runner", "Lava's run"])
def test_graphs_that_cannot_run(wire, message, runner):
    process = wire()
    with pytest.raises(GraphError, match=message):
        if runner:
            with Runner(process, FIXED):
                pass
        else:
            process.run(RunSteps(num_steps=1), FIXED)


def conv(input_shape=(3, 3, 1), **arguments):
    weight = np.ones((1, 2, 2, 1))
    return AsyncConv(weight=weight, input_shape=input_shape, name="c", **arguments)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: SpikeScheduler([]), "populations: expected a sequence of one or more"),
        (lambda: SpikeScheduler(lif(3, "x")), r"populations: .*\(got AsyncLIF 'x'\)"),
        (lambda: SpikeScheduler([lif(3)], "momentum"), "schedule: expected"),
        (lambda: SpikeScheduler([lif(3)], output=lif(3)), "output: expected one of its"),
        (lambda: SpikeScheduler([lif(3)], la.LayerSync(), stop_after=1), "stop_after"),
        (lambda: SpikeScheduler([lif(3)], reset_interval=0), "reset_interval"),
        (lambda: SpikeScheduler([lif(3)], reset_interval=3, reset_offset=-1), "reset_offset"),
        (lambda: SpikeScheduler([lif(3)], sample_ids=[]), "sample_ids"),
        (lambda: AsyncLIF(shape=(3,), du=5000, name="x"), "AsyncLIF 'x': iDecay"),
        (lambda: AsyncLIF(shape=(3,), vth=-1), "vThMant"),
        (lambda: AsyncLIF(shape=(3,), bias_mant=2**20), "bias"),
        (lambda: AsyncLIF(shape=(3,), bias_mant=[1, 2]), r"bias_mant: .* shape \(3,\) \(got .*2"),
        (lambda: AsyncLIF(shape=10, name="x"), r"'x': shape: expected a tuple.*\(got 10\)"),
        (lambda: AsyncDense(weights=np.ones(3)), "weight dimensions: expected 2"),
        (lambda: AsyncDense(weights=[[300]], name="d"), r"d: weights\[0, 0\]: expected an integer"),
        (lambda: AsyncDense(weights=[[0.5]]), "expected an integer"),
        (lambda: AsyncDense(weights=[[1]], input_shape=(2, 1)), "input_shape: expected 1 neurons"),
        (lambda: AsyncDense(weights=[[1]], output_shape=1), "output_shape: expected a tuple"),
        (lambda: AsyncDense(weights=[[1]], delay=63, name="d"), "^d: delay: .* integer in 0..62"),
        (lambda: AsyncDense(weights=[[1]], delay=-1), "delay: expected an integer in 0..62"),
        (lambda: AsyncDense(weights=[[1, 2]], delay=[1, 0.5]), r"delay\[1\]: expected an integer"),
        (lambda: AsyncDense(weights=[[1, 2]], delay=[1]), r"delay: expected one, or shape \(2,\)"),
        (lambda: AsyncSparse(weights=csr_matrix([[1, 2]]), delay=[[1, 2]]), r"got shape \(1, 2\)"),
        (lambda: conv(delay=np.zeros((3, 3, 1))), r"^c: delay: .*shape \(9,\) \(got shape \(3, 3"),
        (lambda: AsyncLIF(shape=(3,), output_delay=-1, name="x"), "'x': output_delay: expected an"),
        (lambda: AsyncLIF(shape=(3, 1, 1), output_delay=[1, 2]), r"output_delay: .*\(3,\) \(got"),
        (lambda: AsyncSparse(weights=np.ones((2, 2))), "weights: expected a SciPy sparse matrix"),
        (lambda: AsyncSparse(weights=csr_matrix([[300]])), "expected an integer"),
        (lambda: AsyncConv(weight=np.ones((1, 1)), input_shape=(3, 3, 1)), "weight dimensions"),
        (lambda: AsyncConv(weight=np.ones((1, 2, 2, 1)), input_shape=(3, 3, 2)), "channels"),
        (lambda: AsyncConv(weight=np.ones((1, 5, 2, 1)), input_shape=(3, 3, 1)), "target shape"),
        (lambda: conv(stride=0), "^c: stride: expected an integer"),
        (lambda: conv(padding=(1, 2, 3)), r"^c: padding: expected one integer or \(width"),
        (lambda: conv(groups=2), "^c: out_channels: expected a multiple"),
        (lambda: conv(input_shape=9), r"^c: input_shape: expected \(W, H, C\)"),
    ],
)
def test_arguments_are_checked(build, message):
    with pytest.raises(ValidationError, match=message):
        build()


def test_a_population_has_one_scheduler():
    cells = lif(3, "cells")
    SpikeScheduler([cells], name="first")
    with pytest.raises(GraphError, match=r"'cells': scheduler: expected one .*second.*'first'"):
        SpikeScheduler([cells])
    with pytest.raises(ValidationError, match="each once"):
        other = lif(3)
        SpikeScheduler([other, other])


@pytest.mark.parametrize(
    "tag, value, message",
    [
        ("fixed_pt", -1, r"s_in: time step 3, value at flat index 1: expected a whole number"),
        ("floating_pt", 0.5, r"s_in: time step 3, value at flat index 1: expected a whole number"),
        ("floating_pt", np.nan, r"s_in: time step 3"),
    ],
)
def test_inputs_that_are_not_counts_are_refused(tag, value, message):
    dense, cells = AsyncDense(weights=np.ones((3, 2)), name="dense"), lif(3)
    x = np.zeros((2, 4))
    x[1, 2] = value
    feed(x, dense.s_in)
    dense.a_out.connect(cells.a_in)
    with (
        pytest.raises(ProcessError, match="'dense' .*" + message),
        Runner(SpikeScheduler([cells]), Loihi2SimCfg(select_tag=tag)) as run,
    ):
        run(num_steps=4)


@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
def test_sums_of_several_senders_do_not_wrap(tag):
    """Each fits 32 bits, the sum does not: 2**31 + 2**31 would be 0."""
    cells, half = lif(1, "cells"), (1 << 31) - 1
    for _ in range(2):
        dense = AsyncDense(weights=[[1]])
        feed(np.full((1, 2), half), dense.s_in)
        dense.a_out.connect(cells.a_in)
    scheduler = SpikeScheduler([cells])
    with (
        pytest.raises(ProcessError, match=f"'cells': a_in: time step 1.*got {2 * half}"),
        Runner(scheduler, Loihi2SimCfg(select_tag=tag)) as run,
    ):
        run(num_steps=2)


def test_conv_takes_arrays_as_it_takes_tuples():
    kernel = np.ones((4, 2, 2, 1), int)
    shapes = {
        AsyncConv(weight=kernel, input_shape=(6, 4, 1), stride=stride).a_out.shape
        for stride in ((2, 1), [2, 1], np.array([2, 1]))
    }
    assert len(shapes) == 1


def test_ports_of_other_shapes_are_refused_by_name():
    dense, cells = AsyncDense(weights=np.ones((3, 2)), name="dense"), lif(4, "cells")
    with pytest.raises(GraphError, match=r"AsyncDense 'dense': a_out: expected a port of shape "
                                         r"\(3,\) \(got a_in of AsyncLIF 'cells'"):
        dense.a_out.connect(cells.a_in)
    with pytest.raises(GraphError, match=r"'cells': a_in: expected a port of shape \(4,\)"):
        cells.a_in.connect_from(dense.a_out)
    SpikeScheduler([cells])


@pytest.mark.parametrize("target", ["dense", "cells", "net"])
def test_fractions_sent_over_an_integer_channel_are_refused(target):
    """A user's process sends 0.5 from a port of integers, where Lava cuts it to 0."""
    source = Relay("fraction", 2, shape=(3,))
    net, cells = network("net"), lif(3, "cells")
    dense = AsyncDense(weights=np.ones((3, 3)), name="dense")
    ports = {"dense": dense.s_in, "cells": cells.a_in, "net": net.inp}
    source.out.connect(ports[target])
    SpikeScheduler([cells])
    if target == "dense":
        dense.a_out.connect(cells.a_in)
    with (
        pytest.raises(ProcessError, match=rf"'{target}': \w+: .* a whole number .*\(got 0\.5\)"),
        Runner(source, FIXED) as run,
    ):
        run(num_steps=5)


def test_stock_channels_still_cut_fractions():
    source, stock = Relay("fraction", 2, shape=(3,)), Dense(weights=np.eye(3) * 2)
    source.out.connect(stock.s_in)
    sink = collect(stock.a_out, 4)
    with Runner(source, FIXED) as run:
        run(num_steps=4)
        np.testing.assert_array_equal(sink.data.get()[0], [0, 2, 0, 2])


# ---------------------------------------------------------------- circles in a time step


def through_dense():
    a, b, dense = lif(3, "a"), lif(3, "b"), AsyncDense(weights=np.ones((3, 3)), name="d")
    a.s_out.connect(dense.s_in)
    dense.a_out.connect(b.a_in)
    return SpikeScheduler([a, b]), "AsyncLIF 'a' -> AsyncDense 'd' -> AsyncLIF 'b' -> AsyncLIF 'a'"


def to_itself():
    cells = lif(3, "a")
    cells.s_out.connect(cells.a_in)
    return SpikeScheduler([cells]), "AsyncLIF 'a' -> AsyncLIF 'a'"


def through_a_connection_with_delays_of_some():
    a, dense = lif(3, "a"), AsyncDense(weights=np.ones((3, 3)), delay=[1, 0, 2], name="d")
    a.s_out.connect(dense.s_in)
    dense.a_out.connect(a.a_in)
    scheduler = SpikeScheduler([a])
    scheduler.reset_out.connect(dense.reset_in)
    return scheduler, "AsyncLIF 'a' -> AsyncDense 'd' -> AsyncLIF 'a'"


def through_another_scheduler():
    a, b = lif(3, "a"), lif(3, "b")
    a.s_out.connect(b.a_in)
    b.s_out.connect(a.a_in)
    SpikeScheduler([b])
    return SpikeScheduler([a]), "AsyncLIF 'a' -> AsyncLIF 'b' -> AsyncLIF 'a'"


def through_a_stock_neuron():
    cells, stock = lif(3, "a"), LIF(shape=(3,), name="stock")
    dense = AsyncDense(weights=np.ones((3, 3)), name="d")
    cells.s_out.connect(stock.a_in)
    stock.s_out.connect(dense.s_in)
    dense.a_out.connect(cells.a_in)
    circle = "AsyncLIF 'a' -> LIF 'stock' -> AsyncDense 'd' -> AsyncLIF 'a'"
    return SpikeScheduler([cells]), circle


def of_a_network_and_a_connection():
    net, dense = network("net"), AsyncDense(weights=np.ones((3, 3)), name="d")
    net.out.connect(dense.s_in)
    dense.a_out.connect(net.inp)
    return net, "Network 'net' -> AsyncDense 'd' -> Network 'net'"


def of_a_network_and_a_stock_neuron():
    net, stock = network("net"), LIF(shape=(3,), name="stock")
    net.out.connect(stock.a_in)
    stock.s_out.connect(net.inp)
    return net, "Network 'net' -> LIF 'stock' -> Network 'net'"


def of_stock_neurons_downstream():
    net, a, b = network(), LIF(shape=(3,), name="a"), LIF(shape=(3,), name="b")
    net.out.connect(a.a_in)
    a.s_out.connect(b.a_in)
    b.s_out.connect(a.a_in)
    return net, "LIF 'a' -> LIF 'b' -> LIF 'a'"


CIRCLES = [
    through_dense, to_itself, through_a_connection_with_delays_of_some,
    through_another_scheduler, through_a_stock_neuron,
    of_a_network_and_a_connection, of_a_network_and_a_stock_neuron, of_stock_neurons_downstream,
]  # fmt: skip


@pytest.mark.parametrize("config", [FIXED, Loihi2SimCfg()], ids=["fixed_pt", "floating_pt"])
@pytest.mark.parametrize("wire", CIRCLES)
def test_processes_that_would_wait_for_each_other_are_named(wire, config):
    process, circle = wire()
    message = rf"wait for each other in a circle: expected none.*\(got {circle}\)"
    with pytest.raises(GraphError, match=message), Runner(process, config):
        pass


def test_a_circle_through_the_graph_of_a_network():
    net, stock = network(), LIF(shape=(3,), name="stock")
    net.out.connect(stock.a_in)
    stock.s_out.connect(net.inp)
    message = r"\(got LIF 'stock' -> AsyncDense 'input -> p' -> AsyncLIF 'p' -> LIF 'stock'\)"
    with pytest.raises(GraphError, match=message), Runner(net, AS_GRAPH):
        pass


def stock_dense():
    return Dense(weights=np.eye(3) * 2)


def stock_delays():
    return DelayDense(weights=np.eye(3) * 2, delays=1)


def our_delay():
    return AsyncSparse(weights=csr_matrix(np.eye(3)), delay=[1, 3, 2])


def user_process():
    """Sends before it receives, which only its author knows."""
    return Delay(shape=(3,))


@pytest.mark.parametrize("config", [FIXED, AS_GRAPH], ids=["fused", "graph"])
@pytest.mark.parametrize("between", [stock_dense, stock_delays, our_delay, user_process])
def test_circles_with_a_delay_run(between, config):
    """A spike goes round: it comes back in a later time step."""
    net, back = network(), between()
    x = np.zeros((3, 7))
    x[1, 0] = 1
    feed(x, net.inp)
    names = ("s_in", "a_out") if hasattr(back, "a_out") else ("inp", "out")
    net.out.connect(getattr(back, names[0]))
    getattr(back, names[1]).connect(net.inp)
    sink = collect(net.out, 7)
    with Runner(net, config) as run:
        run(num_steps=7)
        spikes = sink.data.get()
    period = {stock_delays: 2, our_delay: 3}.get(between, 1)
    np.testing.assert_array_equal(spikes[1], np.arange(7) % period == 0)
    assert not spikes[[0, 2]].any()


def test_synaptic_operations_may_be_counted_by_any_scheduler():
    """Only ``trace`` waits for them, so that this is no circle."""
    a, b = lif(3, "a"), lif(3, "b")
    first, second = SpikeScheduler([a]), SpikeScheduler([b])
    into, between = AsyncDense(weights=np.eye(3) * 60), AsyncDense(weights=np.eye(3) * 60)
    feed(np.ones((3, 4), bool), into.s_in)
    into.a_out.connect(a.a_in)
    a.s_out.connect(between.s_in)
    between.a_out.connect(b.a_in)
    for connection in (into, between):
        connection.synops_out.connect(first.synops_in)
    with Runner(first, FIXED) as run:
        run(num_steps=4)
        assert first.total_synops.get() == 72  # all-to-all, zeros included
        assert second.spike_count.get().sum() == 12
