"""Decays of each neuron, and decays that are learned."""

from __future__ import annotations

import itertools

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lava_async as la
from lava_async import slayer as async_slayer
from lava_async._semantics import dynamics as dyn
from lava_async.errors import FileFormatError, ValidationError
from net_files import conv, dense, flatten, input_layer, neuron, write_net
from random_networks import async_schedules, graphs, inputs
from slayer_blocks import cuba, network, seeded, spikes
from training_passes import assert_rounded, defined, derivative, run, training, with_magnitudes

pytestmark = pytest.mark.timeout(300)

DRAWN = {
    "threshold": 1.0, "current_decay": (0.1, 0.6), "voltage_decay": (0.02, 0.4),
    "shared_param": False,
}  # fmt: skip
SCHEDULES = [la.LayerSync(), la.Momentum(4), la.Random(2, seed=3), la.Fifo(1)]


def dense_blocks(neuron=DRAWN, sizes=(20, 14, 9, 5), seed=0, **settings):
    def build():
        return [
            cuba.Dense(dict(neuron), i, o, weight_scale=6, delay_shift=False, **settings)
            for i, o in itertools.pairwise(sizes)
        ]

    return seeded(build, seed=seed)


def conv_blocks(neuron=DRAWN, seed=0):
    def build():
        off = {"delay_shift": False, "weight_scale": 6}
        return [
            cuba.Conv(dict(neuron), 2, 4, 3, stride=2, padding=1, **off),
            cuba.Flatten(),
            cuba.Dense(dict(neuron), 4 * 4 * 3, 5, **off),
        ]

    return seeded(build, seed=seed)


# ---------------------------------------------------------------- of each neuron


def test_one_value_for_each_is_one_for_all():
    shape = 2, 3, 1
    population = la.Population("p", shape, np.full(shape, 7), np.arange(6).reshape(shape), 9)
    assert population.i_decay == 7
    np.testing.assert_array_equal(population.v_decay, np.arange(6).reshape(shape))


@pytest.mark.parametrize(
    ("decay", "message"),
    [
        (np.zeros(5), r"p: iDecay shape: expected one number, or \(2, 3\) \(got \(5,\)\)"),
        (np.array([[0, 1, 2], [3, 4, 4097]]), r"p: iDecay\[1, 2\]: expected an integer in 0..4096"),
        (np.array([[0, 1, 2], [3, 4, 0.5]]), r"p: iDecay\[1, 2\]: expected an integer in 0..4096"),
    ],
)
def test_bad_decays_are_refused(decay, message):
    with pytest.raises(ValidationError, match=message):
        la.Population("p", (2, 3), decay, 0, 9)


def test_slayers_own_forward_draws_the_same_decays_and_gives_the_same_spikes():
    x = spikes((5, 20, 12), density=0.5)
    theirs, ours = dense_blocks(), dense_blocks()
    want = seeded(lambda: torch.nn.Sequential(*theirs)(x), seed=7)
    net = network(ours, la.LayerSync()).eval()
    got = seeded(lambda: net(x), seed=7)
    for a, b in zip(theirs, ours, strict=True):
        assert a.neuron.current_decay.numel() == a.neuron.shape[0]
        torch.testing.assert_close(a.neuron.current_decay, b.neuron.current_decay, rtol=0, atol=0)
        torch.testing.assert_close(a.neuron.voltage_decay, b.neuron.voltage_decay, rtol=0, atol=0)
    assert want.sum() > 50
    assert torch.equal(got, want)


@pytest.mark.parametrize("blocks", [dense_blocks, conv_blocks])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_trainer_file_and_backends_are_one(blocks, schedule, tmp_path):
    shape = (20,) if blocks is dense_blocks else (2, 7, 6)
    x = spikes((3, *shape, 6), density=0.4)
    net = network(blocks(), schedule).eval()
    y = net(x)
    assert y.sum() > 0
    net.export_hdf5(tmp_path / "n.net")
    graph = la.load(tmp_path / "n.net")
    assert np.ndim(graph.populations[0].i_decay)
    for backend in ("reference", "kernel"):
        record = la.simulate(graph, x.numpy().astype(int), schedule, backend=backend)
        np.testing.assert_array_equal(record.spikes, y.detach().numpy())
    again = async_slayer.Network.from_hdf5(tmp_path / "n.net", schedule=schedule).eval()
    assert torch.equal(again(x), y)
    again.export_hdf5(tmp_path / "again.net")
    assert la.load(tmp_path / "again.net").populations[0].i_decay.tolist() == (
        graph.populations[0].i_decay.tolist()
    )


@pytest.mark.parametrize("backend", ["lava", "graph"])
def test_lava_runs_decays_of_each_neuron(backend):
    rng = np.random.default_rng(0)
    shape = (3, 4, 2)
    graph = la.Graph(
        (6,),
        (
            la.Population("a", shape, rng.integers(0, 4097, shape), 100, 40),
            la.Population("b", (5,), 300, rng.integers(0, 4097, 5), 50),
        ),
        (
            la.Dense(la.INPUT, 0, rng.integers(-20, 60, (24, 6))),
            la.Dense(0, 1, rng.integers(-20, 40, (5, 24))),
        ),
    )
    assert la.verify(graph, rng.integers(0, 2, (3, 6, 8)), la.Momentum(3),
                     backends=["reference", backend]) is None  # fmt: skip


def test_files_of_slayer_have_a_decay_for_each_channel(tmp_path):
    rng = np.random.default_rng(1)
    layers = [
        input_layer((2, 4, 4)),
        conv(np.ones((3, 2, 2, 2)), (2, 4, 4), neuron(i_decay=[10, 20, 30]), stride=(2, 2)),
        flatten(12),
        dense(np.ones((4, 12)), neuron(v_decay=rng.integers(0, 4097, 4))),
    ]
    graph = la.load(write_net(tmp_path / "n.net", layers))
    first, second = graph.populations
    np.testing.assert_array_equal(
        first.i_decay, np.broadcast_to(np.array([10, 20, 30])[:, None, None], (3, 2, 2))
    )
    assert first.v_decay == 128
    np.testing.assert_array_equal(second.v_decay, layers[3]["neuron"]["vDecay"])


def test_as_many_decays_as_fit_nothing_are_refused(tmp_path):
    layers = [dense(np.ones((4, 12)), neuron(v_decay=[1, 2, 3]))]
    path = write_net(tmp_path / "n.net", layers)
    with pytest.raises(FileFormatError, match=r"neuron/vDecay: expected 1 or 4 values \(got 3"):
        la.load(path)


def test_a_saved_graph_keeps_decays_of_each_neuron(tmp_path):
    rng = np.random.default_rng(2)
    decays = rng.integers(0, 4097, (2, 2, 3))
    graph = la.Graph(
        (4,), (la.Population("p", (2, 2, 3), decays, decays[::-1], 9),),
        (la.Dense(la.INPUT, 0, np.ones((12, 4))),),
    )  # fmt: skip
    la.save(graph, tmp_path / "n.net")
    (loaded,) = la.load(tmp_path / "n.net").populations
    np.testing.assert_array_equal(loaded.i_decay, decays)
    np.testing.assert_array_equal(loaded.v_decay, decays[::-1])
    with h5py.File(tmp_path / "n.net", "a") as file:
        file["lava_async/population/0/iDecay"][0, 0, 0] += 1
    with pytest.raises(FileFormatError, match="digest"):
        la.load(tmp_path / "n.net")


# ---------------------------------------------------------------- learned


@pytest.mark.parametrize("layered", [False, True])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_compiled_gradient_is_the_definitions(data, layered):
    graph = data.draw(graphs(max_populations=3))
    schedule = la.LayerSync() if layered else data.draw(async_schedules())
    x = data.draw(inputs(graph, max_steps=5))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    done = run(graph, x, schedule, with_currents=True)
    _, tape, frames = defined(graph, x, schedule)
    width = rng.uniform(100, 20000, len(graph.populations))
    loss = rng.normal(size=(len(x), graph.num_neurons, x.shape[-1])).astype(np.float32)
    found = done.backward(
        loss, training.Surrogate(training.EXPONENTIAL, width, 1 / width), by_decays=True
    )
    by_voltage = derivative(graph, training.EXPONENTIAL, width, 1 / width, tape.voltage)
    want, size = with_magnitudes(
        graph, layered, frames, tape, by_voltage, np.moveaxis(loss, 1, 2), "through"
    )
    unit = 1 / dyn.DECAY_ONE
    for got, own, most in zip(
        found.decays, (want.decay_u, want.decay_v), (size.decay_u, size.decay_v), strict=True
    ):
        assert_rounded(got, -unit * own, unit * np.abs(most))


def learning(**changes):
    fixed = {"threshold": 1.0, "current_decay": 0.4, "voltage_decay": 0.2, "requires_grad": True}
    return {**fixed, **changes}


@pytest.mark.parametrize("neuron", [learning(), learning(**DRAWN)], ids=["shared", "of each"])
@pytest.mark.parametrize("blocks", [dense_blocks, conv_blocks])
def test_layer_synchronized_the_two_gradients_are_one(neuron, blocks):
    """The one of autograd, time step by time step, and the compiled one."""
    shape = (20,) if blocks is dense_blocks else (2, 7, 6)
    x = spikes((4, *shape, 8), density=0.4)
    found = []
    for gradient in ("unrolled", "decisive"):
        net = network(blocks(neuron), la.LayerSync(), gradient=gradient)
        y = seeded(lambda net=net: net(x), seed=3)
        (y * torch.linspace(-1, 2, y.numel()).reshape(y.shape)).sum().backward()
        found.append({name: p.grad for name, p in net.named_parameters()})
    autograd, compiled = found
    assert autograd.keys() == compiled.keys()
    for name, want in autograd.items():
        assert want is not None, name
        assert want.abs().max() > 0, name
        largest = float(want.abs().max())
        torch.testing.assert_close(compiled[name], want, rtol=0, atol=1e-4 * largest)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_decays_learn_and_are_exported_as_they_ran(schedule, tmp_path):
    x = spikes((6, 20, 8), density=0.4)
    net = network(dense_blocks(learning()), schedule)
    before = net.blocks[0].neuron.current_decay.item()
    named = dict(net.named_parameters())
    decays = [p for name, p in named.items() if "decay" in name]
    weights = [p for name, p in named.items() if "decay" not in name]
    optimizer = torch.optim.Adam([{"params": weights}, {"params": decays, "lr": 20}])
    for _ in range(3):
        optimizer.zero_grad()
        (net(x).mean() - 0.3).square().backward()
        optimizer.step()
    assert net.blocks[0].neuron.current_decay.item() != before
    net.eval()
    y = net(x)
    net.export_hdf5(tmp_path / "n.net")
    graph = la.load(tmp_path / "n.net")
    assert graph.populations[0].i_decay == net.blocks[0].neuron.cx_current_decay
    record = la.simulate(graph, x.numpy().astype(int), schedule, backend="reference")
    np.testing.assert_array_equal(record.spikes, y.detach().numpy())


@pytest.mark.parametrize("wild", [-50.0, 5000.0])
def test_learned_decays_stay_within_their_limits(wild):
    net = network(dense_blocks(learning()), la.Momentum(4))
    net.blocks[1].neuron.current_decay.data.fill_(wild)
    net(spikes((2, 20, 4)))
    assert 0 <= net.blocks[1].neuron.current_decay.item() <= 4096


def test_a_frozen_decay_gets_no_gradient():
    net = network(dense_blocks(learning()), la.Momentum(4))
    net.blocks[0].neuron.current_decay.requires_grad_(False)
    net(spikes((2, 20, 6), density=0.5)).sum().backward()
    assert net.blocks[0].neuron.current_decay.grad is None
    assert net.blocks[0].neuron.voltage_decay.grad is not None
    assert net.blocks[1].neuron.current_decay.grad is not None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("neuron", [learning(), learning(**DRAWN)], ids=["shared", "of each"])
def test_decays_that_are_no_numbers_are_refused(bad, neuron):
    net = network(dense_blocks(neuron), la.Momentum(4))
    net(spikes((2, 20, 4)))
    net.blocks[1].neuron.voltage_decay.data[0] = bad
    with pytest.raises(ValidationError, match=r"blocks\[1\] \(Dense\): neuron voltage_decay"):
        net(spikes((2, 20, 4)))
