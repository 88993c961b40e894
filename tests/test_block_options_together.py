"""Options of SLAYER's blocks that meet: delays, decays, norms, dropout, readouts, kernels."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from lava.lib.dl.slayer import axon
from lava.lib.dl.slayer import neuron as neurons

import lava_async as la
from lava_async import slayer as async_slayer
from lava_async.errors import UnsupportedError, ValidationError
from slayer_blocks import cuba, network, seeded, spikes

pytestmark = pytest.mark.timeout(120)

OFF = {"delay_shift": False}
OWN = {"shared_param": False, "current_decay": (0.2, 0.6), "voltage_decay": (0.1, 0.3)}
X = spikes((3, 12, 8), density=0.5)


def params(**changes):
    return {"threshold": 1.0, "current_decay": 0.4, "voltage_decay": 0.2, **changes}


def dense(inputs=12, outputs=8, **changes):
    return cuba.Dense(params(**changes), inputs, outputs, weight_scale=8, **OFF)


def affine(dynamics=True, **changes):
    return cuba.Affine(params(**changes), 8, 5, dynamics=dynamics)


class Backwards(la.AsyncSchedule):
    """An order of one's own: the highest numbers first."""

    def priorities(self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step):
        return neurons


@pytest.mark.parametrize("gradient", ["decisive", "unrolled"])
@pytest.mark.parametrize("learns", [False, True])
def test_readouts_with_decays_of_each_neuron(gradient, learns, tmp_path):
    blocks = seeded(lambda: [dense(), affine(requires_grad=learns, **OWN)])
    net = network(blocks, la.Momentum(3), gradient=gradient)
    y = net(X)
    y.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)
    record = la.simulate(net.graph(), X.numpy().astype(int), la.Momentum(3), backend="reference")
    assert record.readout is not None
    np.testing.assert_array_equal(record.readout / (1 << 12), y.detach().numpy())
    net.export_hdf5(tmp_path / "n.net")
    again = async_slayer.Network.from_hdf5(tmp_path / "n.net", schedule=la.Momentum(3))
    assert torch.equal(again(X), y)


def test_a_readout_of_currents_forgets_whatever_its_decays_are():
    found = []
    for gradient in ("decisive", "unrolled"):
        net = network(
            seeded(lambda: [dense(), affine(False, requires_grad=True)]), la.Momentum(3),
            gradient=gradient,
        )  # fmt: skip
        y = net(X)
        y.sum().backward()
        assert net.blocks[1].neuron.current_decay.grad is None
        found.append(y.detach())
    assert torch.equal(*found)
    with pytest.raises(UnsupportedError, match=r"\(Affine\): neuron norm"):
        network([dense(), affine(False, norm=neurons.norm.MeanOnlyBatchNorm)], input_shape=(12,))(X)


@pytest.mark.parametrize(
    "block",
    [
        lambda: cuba.ConvT(params(), 2, 3, 2, stride=2, weight_scale=8, **OFF),
        lambda: cuba.Pool(params(), 2, weight_scale=1.2, **OFF),
        lambda: cuba.Unpool(params(), 2, weight_scale=1.5, **OFF),
    ],
)
def test_shared_kernels_train_under_an_order_of_ones_own(block):
    """The definition has one gradient a weight, whoever shares it."""
    x = spikes((2, 2, 4, 4, 6), density=0.5)

    def build():
        first = cuba.Conv(params(), 2, 2, 1, weight_scale=8, **OFF)
        second = block()
        second.synapse.weight.requires_grad_()
        return [first, second]

    def gradients(schedule: Any) -> list[Any]:
        net = network(seeded(build), schedule)
        net(x).square().sum().backward()
        return [p.grad for p in net.parameters() if p.requires_grad]

    own = Backwards(3)
    for schedule in (own, la.Mixture((own, la.LayerSync()))):
        assert all(g.isfinite().all() and g.abs().max() > 0 for g in gradients(schedule))

    class Arrival(Backwards):
        def priorities(self, neurons, momenta, thresholds, fired_at, *when):
            return -fired_at

    for found, fifo in zip(gradients(Arrival(2)), gradients(la.Fifo(2)), strict=True):
        torch.testing.assert_close(found, fifo, rtol=1e-5, atol=1e-5 * float(fifo.abs().max()))


def test_decays_that_are_unfrozen_learn():
    net = network(seeded(lambda: [dense(), dense(8, 5)]), la.Momentum(3))
    net.blocks[0].neuron.current_decay.requires_grad_()
    net(X).sum().backward()
    assert net.blocks[0].neuron.current_decay.grad.abs().max() > 0
    assert net.blocks[0].neuron.voltage_decay.grad is None


def test_a_delay_that_is_set_keeps_names_and_order():
    graph = la.Graph(
        (4,),
        (la.Population("alpha", (3,), 1000, 500, 40), la.Population("beta", (2,), 900, 400, 40)),
        (
            la.Dense(0, 1, np.full((2, 3), 40, np.int16)),
            la.Dense(la.INPUT, 0, np.full((3, 4), 30, np.int16)),
        ),
    )
    net = async_slayer.Network.from_graph(graph)
    delay = axon.Delay(max_delay=62)
    delay.delay = torch.nn.Parameter(torch.tensor([0.0, 2.0, 1.0]), requires_grad=False)
    delay.init = True
    net.blocks[0].delay = delay
    late = net.graph()
    assert [p.name for p in late.populations] == ["alpha", "beta"]
    assert [c.source for c in late.connections] == [0, la.INPUT]
    np.testing.assert_array_equal(late.connections[0].delay, [0, 2, 1])


def test_decays_drawn_in_inference_mode_learn_later():
    net = network(seeded(lambda: [dense(requires_grad=True, **OWN), dense(8, 5)]), la.Momentum(3))
    with torch.inference_mode():
        net(X)
    net(X).sum().backward()
    assert net.blocks[0].neuron.current_decay.grad is not None


def test_a_decay_of_one_can_learn_with_either_gradient():
    found = []
    for gradient in ("decisive", "unrolled"):
        blocks = seeded(lambda: [dense(current_decay=1.0, requires_grad=True), dense(8, 5)])
        net = network(blocks, la.LayerSync(), gradient=gradient)
        net(X).square().sum().backward()
        found.append(net.blocks[0].neuron.current_decay.grad)
    assert found[0].abs().max() > 0
    torch.testing.assert_close(*found, rtol=1e-4, atol=0)


def test_a_norm_without_a_quantizer_is_named():
    net = network([dense(), dense(8, 5)])
    net.blocks[0].neuron.norm = neurons.norm.MeanOnlyBatchNorm()
    with pytest.raises(UnsupportedError, match=r"blocks\[0\] \(Dense\): neuron norm pre_hook_fx"):
        net(X)


def test_a_checkpoint_of_one_channel_keeps_its_decay():
    def build():
        return [dense(12, 1, **OWN)]

    net = network(seeded(build), la.Momentum(3))
    net(X)
    fresh = network(seeded(build), la.Momentum(3))
    fresh.load_state_dict(net.state_dict())
    fresh(X)
    assert fresh.blocks[0].neuron.current_decay == net.blocks[0].neuron.current_decay


def test_what_decodes_may_be_changed():
    net = network(seeded(lambda: [dense(), cuba.Average(4), cuba.TimeDecimation(2)]))
    assert net(X).shape == (3, 4, 4)
    blocks: Any = net.blocks
    average, decimation = blocks[1], blocks[2]
    average.num_outputs, decimation.factor = 2, 4
    y = net(X)
    record = la.simulate(net.graph(), X.numpy().astype(int), net.schedule)
    np.testing.assert_array_equal(record.decoded.reshape(y.shape), y.detach().numpy())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: [dense(dropout=neurons.Dropout(1.0))],
         r"blocks\[0\] \(Dense\): neuron dropout p: expected 0 <= p < 1"),
        (lambda: [dense(), cuba.Average(3)], r"blocks\[1\] \(Average\): "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_by_its_block(build, message):
    with pytest.raises(ValidationError, match=message):
        network(build())(X)


def test_copies_hold_everything():
    def build():
        delayed = cuba.Dense(params(norm=neurons.norm.MeanOnlyBatchNorm, **OWN), 12, 8,
                             weight_scale=8, delay=True, **OFF)  # fmt: skip
        return [delayed, dense(8, 6, dropout=neurons.Dropout(0.2)), cuba.Average(3)]

    net = network(seeded(build), la.Momentum(3)).train()
    net(X)
    twin = copy.deepcopy(net)
    assert torch.equal(twin.eval()(X), net.eval()(X))


@pytest.mark.parametrize(
    ("what", "block"),
    [("decays", lambda: dense(**OWN)), ("delay", lambda: cuba.Dense(params(), 12, 8, delay=True))],
)
def test_processes_that_train_together_share_what_is_drawn(what, block, monkeypatch):
    monkeypatch.setattr("lava_async.slayer.network._rank", lambda: (0, 2))
    net = network([block()], la.Momentum(3))
    with pytest.raises(ValidationError, match=rf"\(Dense\): {what}: expected one, by a forward"):
        net(X)
    with torch.no_grad():
        net(X)
    net(X).sum().backward()
