"""SLAYER's blocks whose neurons see one another: `Recurrent` and `KWTA`."""

import h5py
import numpy as np
import pytest
import torch
from lava.lib.dl.netx import hdf5
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from exact_blocks import assert_same_everywhere, assert_slayers_own
from lava_async import slayer as async_slayer
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError
from lava_async.runtime import Runner
from process_graphs import AS_GRAPH, collect, feed

OFF = {"delay_shift": False}
FORGETFUL = {**sb.FORGETFUL, "threshold": 1.25}


def recurrent(neuron=sb.NEURON, inputs=20, outputs=12, weight_scale=6, **settings):
    neuron = {**neuron, "tau_grad": 0.05}
    return cuba.Recurrent(neuron, inputs, outputs, weight_scale=weight_scale, **OFF, **settings)


def winners(neuron=sb.NEURON, inputs=12, outputs=6, count=2, **settings):
    neuron = {**neuron, "tau_grad": 0.05}
    return cuba.KWTA(neuron, inputs, outputs, count, weight_scale=8, **OFF, **settings)


def dense(inputs, outputs, neuron=sb.NEURON):
    return cuba.Dense({**neuron, "tau_grad": 0.05}, inputs, outputs, weight_scale=8, **OFF)


def both(neuron=sb.NEURON):
    """For inputs (20,)."""
    return [recurrent(neuron), winners(neuron), dense(6, 4, neuron)]


X = sb.spikes((3, 20, 10), density=0.5)


def test_they_are_slayers_own():
    """SLAYER cuts the gradient of a neuron's state at each time step; without state it is ours."""
    assert_slayers_own(both, X, gradient=False)
    assert_slayers_own(lambda: both(FORGETFUL), X)


def test_recurrent_runs_everywhere_and_comes_back_from_files(tmp_path):
    net = sb.network(sb.seeded(lambda: [recurrent(), dense(12, 4)]))
    again = assert_same_everywhere(net, X, tmp_path, layers=["dense_rec", "dense"])
    assert [type(block) for block in again.blocks] == [cuba.Recurrent, cuba.Dense]
    assert [(c.source, c.target) for c in again.graph().connections] == [(-1, 0), (0, 0), (0, 1)]


def test_winners_run_everywhere_and_come_back_from_files(tmp_path):
    net = sb.network(sb.seeded(both))
    again = assert_same_everywhere(net, X, tmp_path)
    kinds = [cuba.Recurrent, cuba.Recurrent, cuba.Dense]  # SLAYER's export says no KWTA
    assert [type(block) for block in again.blocks] == kinds


def test_recurrent_behind_frames(tmp_path):
    def build():
        conv = cuba.Conv(dict(sb.NEURON), 2, 3, 3, weight_scale=8, **OFF)
        return [conv, cuba.Flatten(), recurrent(inputs=27, outputs=6), dense(6, 4)]

    x = sb.spikes((2, 2, 5, 5, 8), density=0.5)
    assert_slayers_own(build, x, gradient=False)
    assert_same_everywhere(
        sb.network(sb.seeded(build)), x, tmp_path, [la.Momentum(2)],
        ["conv", "flatten", "dense_rec", "dense"], ["kernel"],
    )  # fmt: skip


def test_recurrent_with_several_sources():
    blocks = sb.seeded(lambda: [dense(20, 8), recurrent(inputs=28, outputs=6)])
    net = sb.network(blocks, la.LayerSync(), sources={1: [0, la.INPUT]})
    want = blocks[1](torch.cat([blocks[0](X), X], 1))
    assert torch.equal(net(X), want) and want.any()
    ends = [(c.source, c.target) for c in net.graph().connections]
    assert ends == [(-1, 0), (0, 1), (-1, 1), (1, 1)]


def test_each_sample_begins_at_zero():
    """Where SLAYER's goes on from where the last call left its neurons."""
    block = sb.seeded(recurrent)
    net = sb.network([block], la.LayerSync())
    first = block(X)
    assert not torch.equal(block(X), first)
    assert torch.equal(net(X), first) and torch.equal(net(X), first)


def test_stock_netx_runs_the_file(tmp_path):
    """Each layer one time step later, as it does with all."""
    net = sb.network(sb.seeded(lambda: [recurrent(), dense(12, 4)]), la.LayerSync())
    x = sb.spikes((1, 20, 20), density=0.5, high=1)
    want = net(x)[0].detach().numpy()
    net.export_hdf5(tmp_path / "a.net")
    stock = hdf5.Network(net_config=str(tmp_path / "a.net"))
    feed(np.concatenate([x[0].numpy().astype(int), np.zeros((20, 2), int)], 1), stock.inp)
    sink = collect(stock.out, 22)
    with Runner(stock, AS_GRAPH) as run:
        run(num_steps=22)
        got = sink.data.get()
    assert want.any()
    np.testing.assert_array_equal(got[:, 2:], want)


def biased(neuron=FORGETFUL, outputs=10, count=1):
    return [winners({**neuron, "threshold": 10}, 20, outputs, count)]


def test_the_bias_of_winners_is_slayers(tmp_path):
    """Which it divides by the weights' scale, so that mostly nothing is left of it."""
    assert_slayers_own(biased, X, gradient=False)
    net = sb.network(sb.seeded(biased))
    again = assert_same_everywhere(net, X, tmp_path, [la.Momentum(2)], backends=["kernel"])
    assert (net.graph().populations[0].bias == 8).all()
    assert type(again.blocks[0]) is async_slayer.Population
    assert sb.network(sb.seeded(both), input_shape=(20,)).graph().populations[1].bias is None


def test_a_bias_needs_neurons_without_current_memory():
    with pytest.raises(UnsupportedError, match=r"^blocks\[0\] \(KWTA\): bias of num_winners: "):
        sb.network(biased(sb.NEURON))


def test_self_excitation_is_learned_and_clamped():
    net = sb.network(sb.seeded(both), la.Momentum(2))
    block = net.blocks[1]
    net(X).sum().backward()
    assert block.self_excitation.grad.shape == (1,) and block.self_excitation.grad.any()
    with torch.no_grad():
        block.self_excitation.fill_(2)
    feedback = net.graph().connections[3].weight
    np.testing.assert_array_equal(feedback, 128 * np.eye(6) - 64)
    net(X)
    assert float(block.self_excitation) == 1
    fixed = winners(requires_grad=False)
    sb.network([fixed])(sb.spikes((1, 12, 5))).sum().backward()
    assert fixed.self_excitation.grad is None


@pytest.mark.parametrize(
    "block, message",
    [
        (lambda: recurrent(delay=True), "delay: expected none: "),
        (lambda: cuba.Recurrent(dict(sb.NEURON), (3, 2, 1), 4), "in_neurons: expected an integer"),
        (lambda: changed(recurrent(), "bias", 1.0), "bias: expected none"),
        (lambda: changed(winners(), "bias", 1.0), "bias: expected none"),
        (lambda: forgetting(recurrent()), "neuron persistent_state: expected True"),
        (lambda: hooked(recurrent()), "forward hook of the synapse: expected none"),
    ],
)
def test_what_is_not_run_is_named(block, message):
    with pytest.raises(UnsupportedError, match=message):
        sb.network([block()])


def changed(module, name, value):
    setattr(module, name, value)
    return module


def forgetting(block):
    block.neuron.persistent_state = False
    return block


def hooked(block):
    block.recurrent_synapse.register_forward_hook(lambda *arguments: None)
    return block


def test_frames_are_named():
    for block in (recurrent(inputs=3), dense(3, 2)):
        with pytest.raises(ValidationError, match=r"input shape: expected \(3,\)"):
            sb.network([block], input_shape=(3, 2, 2))
    with pytest.raises(ValidationError, match=r"input shape: expected \(3,\)"):
        sb.network([recurrent(inputs=3)], input_shape=(3, 1, 1))


def test_a_replaced_synapse_is_seen():
    net = sb.network([recurrent()], input_shape=(20,))
    before = net.graph().connections[1].weight
    net.blocks[0].recurrent_synapse = recurrent().recurrent_synapse
    assert (net.graph().connections[1].weight != before).any()
    with pytest.raises(UnsupportedError, match=r"synapse: expected a"):
        net.blocks[0].recurrent_synapse = torch.nn.Linear(12, 12)
        net.graph()


def test_damaged_feedback_is_named(tmp_path):
    path = tmp_path / "a.net"
    sb.network([recurrent()], input_shape=(20,)).export_hdf5(path)
    for value, message in [(None, ": expected numbers"), (np.ones((12, 11)), " shape")]:
        with h5py.File(path, "r+") as file:
            if "weight_rec" in file["layer/0"]:
                del file["layer/0/weight_rec"]
            if value is not None:
                file["layer/0/weight_rec"] = value
        with pytest.raises(FileFormatError, match=rf"layer 0 \(dense_rec\): weight_rec{message}"):
            la.load(path)
