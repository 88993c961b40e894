"""SLAYER's neuron norms, as biases and powers of two of weights, and its neuron dropout."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch

import lava_async as la
from lava_async import slayer as async_slayer
from lava_async.errors import UnsupportedError, ValidationError
from slayer_blocks import cuba, network, seeded, spikes

slayer_neuron = pytest.importorskip("lava.lib.dl.slayer.neuron")
MEAN, SCALE = slayer_neuron.norm.MeanOnlyBatchNorm, slayer_neuron.norm.WgtScaleBatchNorm

pytestmark = pytest.mark.timeout(300)

SCHEDULES = [la.LayerSync(), la.Momentum(4), la.Random(2, seed=3), la.Fifo(1)]


def dense_blocks(sizes=(20, 14, 9, 5), seed=0, weight_scale=6, **neuron):
    def build():
        params = {"threshold": 1.0, "current_decay": 0.4, "voltage_decay": 0.2, **neuron}
        return [
            cuba.Dense(dict(params), i, o, weight_scale=weight_scale, delay_shift=False)
            for i, o in itertools.pairwise(sizes)
        ]

    return seeded(build, seed=seed)


def conv_blocks(seed=0, **neuron):
    def build():
        params = {"threshold": 1.0, "current_decay": 0.4, "voltage_decay": 0.2, **neuron}
        off = {"delay_shift": False, "weight_scale": 6}
        return [
            cuba.Conv(dict(params), 2, 4, 3, stride=2, padding=1, **off),
            cuba.Flatten(),
            cuba.Dense(dict(params), 4 * 4 * 3, 5, **off),
        ]

    return seeded(build, seed=seed)


def with_statistics(blocks, variance=None, seed=0):
    """Blocks whose norms have seen something."""
    rng = np.random.default_rng(seed)
    for block in blocks:
        norm = getattr(getattr(block, "neuron", None), "norm", None)
        if norm is None:
            continue
        channels = block.synapse.out_channels
        norm.num_features = channels
        norm.running_mean = torch.from_numpy(rng.normal(0, 0.5, channels).astype(np.float32))
        if isinstance(norm, SCALE):
            norm.running_var = torch.tensor([rng.choice([0.02, 0.9, 3.0]) if variance is None
                                             else variance], dtype=torch.float32)  # fmt: skip
    return blocks


def own_forward(blocks, x):
    chain = torch.nn.Sequential(*blocks).eval()
    with torch.no_grad():
        return chain(x)


@pytest.mark.parametrize("build", [dense_blocks, conv_blocks])
@pytest.mark.parametrize("seed", range(4))
def test_layer_synchronized_it_is_slayers_own(build, seed):
    blocks = with_statistics(build(norm=MEAN, seed=seed), seed=seed)
    x = spikes((4, *((20,) if build is dense_blocks else (2, 7, 6)), 10), seed, density=0.4)
    want = own_forward(copy.deepcopy(blocks), x)
    assert want.sum() > 5
    assert torch.equal(network(blocks, la.LayerSync()).eval()(x), want)


@pytest.mark.parametrize("variance", [0.9, 0.2, 0.05])
def test_a_power_of_two_too_where_currents_have_no_memory_and_weights_stay_whole(variance):
    blocks = with_statistics(
        dense_blocks(norm=SCALE, current_decay=1.0, weight_scale=2), variance=variance
    )
    x = spikes((4, 20, 10), density=0.4)
    want = own_forward(copy.deepcopy(blocks), x)
    assert want.sum() > 20
    assert torch.equal(network(blocks, la.LayerSync()).eval()(x), want)


@pytest.mark.parametrize("build", [dense_blocks, conv_blocks])
@pytest.mark.parametrize("norm", [MEAN, SCALE])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_trainer_file_and_backends_are_one(build, norm, schedule, tmp_path):
    net = network(with_statistics(build(norm=norm)), schedule).eval()
    x = spikes((3, *((20,) if build is dense_blocks else (2, 7, 6)), 6), density=0.4)
    y = net(x).detach()
    assert y.sum() > 0
    net.export_hdf5(tmp_path / "n.net")
    graph = la.load(tmp_path / "n.net")
    assert any(p.bias is not None and p.bias.any() for p in graph.populations)
    for backend in ("reference", "kernel"):
        record = la.simulate(graph, x.numpy().astype(int), schedule, backend=backend)
        np.testing.assert_array_equal(record.spikes, y.numpy())
    again = async_slayer.Network.from_hdf5(
        tmp_path / "n.net", schedule=schedule, tau_grad=1, scale_grad=1
    ).eval()
    assert torch.equal(again(x), y)


@pytest.mark.parametrize("norm", [MEAN, SCALE])
def test_statistics_follow_the_batches_as_slayers_do(norm):
    """Without spikes in between, where both see the very same currents."""
    theirs = dense_blocks((20, 9), norm=norm, threshold=1000.0)
    net = network(copy.deepcopy(theirs), la.Momentum(4)).train()
    own = net.blocks[0].neuron.norm
    reference = torch.nn.Sequential(*theirs).train()
    first = spikes((6, 20, 10), 1, density=0.4)
    net(first)
    mean, var = own.running_mean.clone(), getattr(own, "running_var", torch.zeros(1)).clone()
    assert mean.abs().max() > 0
    wanted = theirs[0].neuron.norm
    wanted.running_mean = mean.clone()
    if norm is SCALE:
        wanted.running_var = var.clone()
    second = spikes((6, 20, 10), 2, density=0.4)
    net(second)
    reference(second)
    # Weights that are divided are rounded anew.
    near = 1e-4 if norm is MEAN else 0.05
    torch.testing.assert_close(own.running_mean, wanted.running_mean, rtol=near, atol=near)
    if norm is SCALE:
        torch.testing.assert_close(own.running_var, wanted.running_var, rtol=2e-2, atol=1e-3)


def test_the_first_batch_gives_the_first_statistics():
    net = network(dense_blocks((20, 9), norm=SCALE), la.Momentum(4)).train()
    norm = net.blocks[0].neuron.norm
    x = spikes((6, 20, 10), density=0.4)
    net(x)
    assert norm.running_mean.shape == (9,)
    plain = network(dense_blocks((20, 9), threshold=1000.0), la.Momentum(4)).train()
    graph = plain.graph() if plain.input_shape else None
    assert graph is None
    plain(x)
    record_free = la.simulate(plain.graph(), x.numpy().astype(int), la.Momentum(4))
    assert record_free.all_spikes.sum() == 0
    assert norm.running_var > 0


@pytest.mark.parametrize("norm", [MEAN, SCALE])
def test_statistics_rest_in_evaluation_and_where_they_are_told_to(norm):
    net = network(with_statistics(dense_blocks(norm=norm)), la.Momentum(4))
    x = spikes((4, 20, 6), density=0.4)
    before = {k: v.clone() for k, v in net.state_dict().items() if "running" in k}
    net.eval()(x)
    net.train()
    for block in net.blocks:
        block.neuron.norm.update = False
    net(x)
    after = net.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())


@pytest.mark.parametrize("norm", [MEAN, SCALE])
@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(4)], ids=lambda s: s.name)
def test_what_trained_is_what_is_exported(norm, schedule):
    """The statistics of the batches before a pass, not of the pass itself, decide what runs."""
    net = network(dense_blocks(norm=norm), schedule).train()
    x = spikes((4, 20, 6), density=0.4)
    net(x)
    graph = net.graph()
    y = net(x, sample_ids=np.arange(4)).detach()
    record = la.simulate(graph, x.numpy().astype(int), schedule)
    np.testing.assert_array_equal(record.spikes, y.numpy())


def test_weights_learn_through_a_norm():
    net = network(with_statistics(dense_blocks(norm=SCALE), variance=0.2), la.Momentum(4))
    x = spikes((4, 20, 8), density=0.4)
    net(x).sum().backward()
    grads = [p.grad for p in net.parameters() if p.requires_grad]
    assert all(g is not None and g.isfinite().all() and g.abs().max() > 0 for g in grads)
    plain = network(dense_blocks(), la.LayerSync())
    normed = network(dense_blocks(norm=MEAN), la.LayerSync())
    for net in (plain, normed):
        for block in net.blocks:
            if block.neuron.norm is not None:
                block.neuron.norm.update = False
        net(x).sum().backward()
    for a, b in zip(plain.parameters(), normed.parameters(), strict=True):
        assert a.grad is None or torch.equal(a.grad, b.grad)


def test_checkpoints_hold_statistics_of_channels(tmp_path):
    net = network(dense_blocks(norm=MEAN), la.Momentum(4)).train()
    x = spikes((4, 20, 6), density=0.4)
    net(x)
    torch.save(net.state_dict(), tmp_path / "state.pt")
    fresh = network(dense_blocks(norm=MEAN, seed=5), la.Momentum(4))
    fresh.load_state_dict(torch.load(tmp_path / "state.pt"))
    assert torch.equal(fresh.eval()(x), net.eval()(x))


def test_checkpoints_hold_decays_that_were_drawn():
    drawn = {"shared_param": False, "current_decay": (0.1, 0.6), "voltage_decay": (0.1, 0.3)}
    net = network(dense_blocks(**drawn), la.Momentum(4)).eval()
    x = spikes((4, 20, 6), density=0.4)
    y = net(x)
    fresh = network(dense_blocks(seed=5, **drawn), la.Momentum(4)).eval()
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(fresh(x), y)


def test_unrolled_refuses_statistics_that_learn():
    net = network(dense_blocks(norm=MEAN), la.Momentum(4), gradient="unrolled").train()
    with pytest.raises(UnsupportedError, match=r"blocks\[0\] \(Dense\): neuron norm: expected one"):
        net(spikes((2, 20, 4)))
    net.eval()(spikes((2, 20, 4)))


def test_statistics_that_are_no_numbers_are_refused():
    net = network(with_statistics(dense_blocks(norm=MEAN)), la.Momentum(4))
    net.blocks[1].neuron.norm.running_mean[0] = float("nan")
    with pytest.raises(ValidationError, match=r"blocks\[1\] \(Dense\): neuron norm running_mean"):
        net(spikes((2, 20, 4)))


def test_a_norm_of_ones_own_is_refused():
    class Own(MEAN):
        def forward(self, inp):
            return inp * 2

    with pytest.raises(UnsupportedError, match="neuron norm"):
        network(dense_blocks(norm=Own))(spikes((2, 20, 4)))


# ---------------------------------------------------------------- dropout of neurons


def dropping(p):
    return [
        {"dropout": None if one is None else slayer_neuron.Dropout(p=one)} for one in p
    ]


def drop_blocks(p, seed=0):
    def build():
        params = {"threshold": 1.0, "current_decay": 0.4, "voltage_decay": 0.2}
        return [
            cuba.Dense({**params, **own}, i, o, weight_scale=6, delay_shift=False)
            for own, (i, o) in zip(dropping(p), itertools.pairwise((20, 14, 9, 5)), strict=True)
        ]

    return seeded(build, seed=seed)


@pytest.mark.parametrize("gradient", ["decisive", "unrolled"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_one_probability_everywhere_is_the_networks_own(schedule, gradient):
    x = spikes((4, 20, 8), density=0.4)
    theirs = network(drop_blocks([0.3] * 3), schedule, gradient=gradient).train()
    ours = network(drop_blocks([None] * 3), schedule, gradient=gradient, spike_dropout=0.3).train()
    a, b = theirs(x, return_spikes=True)[1], ours(x, return_spikes=True)[1]
    assert torch.equal(a, b)
    assert b.sum() > 0
    assert torch.equal(theirs.eval()(x), ours.eval()(x))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_each_block_drops_by_its_own(schedule):
    x = spikes((4, 20, 8), density=0.4)
    free = network(drop_blocks([None] * 3), schedule).train()(x, return_spikes=True)[1]
    last = network(drop_blocks([None, None, 0.999]), schedule).train()(x, return_spikes=True)[1]
    if schedule.layered:
        assert torch.equal(free[:, :23], last[:, :23])
    assert last[:, 23:].sum() < 0.2 * free[:, 23:].sum()
    first = network(drop_blocks([0.999, None, None]), schedule).train()(x, return_spikes=True)[1]
    assert first[:, :14].sum() < 0.2 * free[:, :14].sum()


def test_both_dropouts_together():
    """A spike is lost if either takes it."""
    x = spikes((4, 20, 8), density=0.4)
    both = network(drop_blocks([0.5] * 3), la.Momentum(4), spike_dropout=0.5).train()
    one = network(drop_blocks([0.75] * 3), la.Momentum(4)).train()
    assert torch.equal(both(x), one(x))
