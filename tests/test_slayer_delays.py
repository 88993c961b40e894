"""Axonal delays of SLAYER's blocks: its spikes and gradients, and the same on every backend."""

import copy

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl import slayer
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from decisive_helpers import assert_close
from lava_async import slayer as async_slayer
from lava_async._kernel import training
from lava_async._semantics.decisive import RESETS
from lava_async.errors import UnsupportedError, ValidationError
from network_gradients import OwnFifo, by_definition
from random_networks import schedules

NEURON = {**sb.NEURON, "tau_grad": 0.1, "scale_grad": 2.0}
Delay = slayer.axon.Delay


def held(*steps, learns=True, max_delay=62):
    """A delay set by hand."""
    delay = Delay(max_delay=max_delay)
    delay.delay = torch.nn.Parameter(torch.tensor(steps).float(), requires_grad=learns)
    return delay


def dense(inputs, outputs, seed=0, **settings):
    settings = {"weight_scale": 6, "delay_shift": False, "delay": True, **settings}
    return sb.seeded(cuba.Dense, dict(NEURON), inputs, outputs, seed=seed, **settings)


def conv(inputs, outputs, kernel=3, seed=0, **settings):
    settings = {
        "weight_scale": 6, "delay_shift": False, "delay": True, "padding": kernel // 2, **settings
    }
    return sb.seeded(cuba.Conv, dict(NEURON), inputs, outputs, kernel, seed=seed, **settings)


def dense_chain(seed=0, **settings):
    return sb.dense_blocks(neuron=NEURON, seed=seed, delay=True, **settings), (20,)


def conv_chain(seed=0, **settings):
    # Without SLAYER's input block, which clips its input.
    return sb.conv_blocks(neuron=NEURON, seed=seed, delay=True, **settings)[1:], (2, 7, 6)


CHAINS = [dense_chain, conv_chain]
RANGES = {"below 1": (0, 1), "a few": (0, 4), "beyond the limits": (-40, 120)}


def delays_of(blocks):
    return [b.delay for b in blocks if getattr(b, "delay", None) is not None]


def set_delays(blocks, low, high, seed=0):
    """Random ones, not whole numbers, as training leaves them."""
    rng = np.random.default_rng(seed)
    channels = [b.synapse.out_channels for b in blocks if getattr(b, "delay", None) is not None]
    for delay, count in zip(delays_of(blocks), channels, strict=True):
        delay.delay.data = torch.from_numpy(rng.uniform(low, high, count).astype(np.float32))
        delay.init = True


def grads(blocks):
    found = torch.nn.ModuleList(blocks)
    return {n: p.grad.clone() for n, p in found.named_parameters() if p.requires_grad}


# ---------------------------------------------------------------- SLAYER's own, layer by layer


@pytest.mark.parametrize("build", CHAINS)
def test_the_first_forward_pass_draws_what_slayers_draws(build):
    blocks, shape = build()
    twins, x = copy.deepcopy(blocks), sb.spikes((2, *shape, 6))
    net = sb.network(blocks, input_shape=shape)
    before = copy.deepcopy(net.state_dict())
    graph = net.graph()
    assert graph.max_delay == 0 and not np.any(graph.output_delay)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(delay.init for delay in delays_of(blocks))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        net(x)
        torch.manual_seed(5)
        torch.nn.Sequential(*twins)(x)
    for got, want in zip(delays_of(blocks), delays_of(twins), strict=True):
        assert got.init and want.delay.any() and torch.equal(got.delay, want.delay)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("limits", RANGES)
@pytest.mark.parametrize("build", CHAINS)
def test_layer_by_layer_spikes_and_gradients_are_slayers(build, limits, seed):
    (blocks, shape), (twins, _) = (build(seed, weight_norm=bool(seed % 2)) for _ in range(2))
    for own in (blocks, twins):
        set_delays(own, *RANGES[limits], seed)
        for delay in delays_of(own):
            delay.grad_scale = 3
    steps = 70 if limits == "beyond the limits" else 12
    x = sb.spikes((3, *shape, steps), seed)
    ours = sb.network(blocks, la.LayerSync())(x)
    theirs = torch.nn.Sequential(*twins)(x)
    assert ours.any() and torch.equal(ours, theirs)
    by_output = torch.randn(ours.shape, generator=torch.Generator().manual_seed(seed))
    ours.backward(by_output)
    theirs.backward(by_output)
    want = grads(twins)
    for name, got in grads(blocks).items():
        assert want[name].any()
        assert_close(got.numpy(), want[name].numpy(), 1e-4)
    for got, other in zip(delays_of(blocks), delays_of(twins), strict=True):
        assert torch.equal(got.delay, other.delay)  # in their range, too


def test_skips_with_delays_of_their_own_are_what_slayers_blocks_would_see():
    """Block 1 is seen by 2, and two time steps later still by 3, which has an output delay."""
    blocks = [conv(2, 3), conv(3, 4, seed=1), conv(7, 3, seed=2), cuba.Flatten(),
              dense(7 * 42, 5, 3)]  # fmt: skip
    set_delays(blocks, 0, 4)
    twins = copy.deepcopy(blocks)
    net = sb.network(
        blocks, la.LayerSync(), sources={2: [1, (0, 1)], 3: [2, (1, 2)]}, output=(4, 1)
    )
    x = sb.spikes((3, 2, 7, 6, 12))
    late = slayer.axon.delay
    a = twins[0](x)
    b = twins[1](a)
    c = twins[2](torch.cat([b, late(a, 1)], 1))
    want = late(twins[4](torch.cat([c, late(b, 2)], 1).flatten(1, 3)), 1)
    got = net(x)
    assert got.any() and torch.equal(got, want)
    by_output = torch.randn(got.shape, generator=torch.Generator().manual_seed(1))
    got.backward(by_output)
    want.backward(by_output)
    theirs = grads(twins)
    for name, own in grads(blocks).items():
        assert theirs[name].any()
        assert_close(own.numpy(), theirs[name].numpy(), 1e-4)


def test_training_of_delays_is_slayers():
    """Steps of an optimizer, in which they cross whole numbers, from the same seed."""
    def build():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            return [cuba.Dense(dict(NEURON), i, o, weight_scale=6, delay=True, delay_shift=False)
                    for i, o in ((20, 12), (12, 4))]  # fmt: skip

    found = []
    for ours in (True, False):
        blocks = build()
        net = sb.network(blocks, la.LayerSync()) if ours else torch.nn.Sequential(*blocks)
        optimizer = torch.optim.SGD(
            [{"params": [d.delay for d in delays_of(blocks)], "lr": 4.0},
             {"params": [b.synapse.weight for b in blocks], "lr": 0.05}]
        )  # fmt: skip
        seen = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            for step in range(6):
                y = net(sb.spikes((6, 20, 16), step))
                target = (torch.rand(y.shape) < 0.3).float()
                optimizer.zero_grad()
                (y - target).square().mean().backward()
                optimizer.step()
                seen.append((y.detach(), [d.delay.detach().clone() for d in delays_of(blocks)]))
        found.append(seen)
    for (y, got), (z, want) in zip(*found, strict=True):
        assert torch.equal(y, z)
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert max(float(d.max()) for d in found[0][-1][1]) >= 1


# ---------------------------------------------------------------- the definition's, in any order


def by_delays(net, spikes, by_spikes, by_output, ids):
    """The definition's gradients of all that learns, and of the output's own delay by hand."""
    graph = net.graph()
    wanted_spikes, wanted, _ = by_definition(net, spikes, by_spikes, ids)
    here = graph.slice(graph.output)
    late = graph.delayed_output(wanted_spikes[:, here]).astype(float)
    moved = -np.diff(late, prepend=0.0)
    return wanted_spikes, late, wanted, (moved * by_output).sum((0, 2))


SCHEDULES = [
    la.Momentum(1), la.Momentum(6, 0.5, 3), la.Random(4, 8), la.LayerSync(), OwnFifo(3),
    la.Mixture([la.Momentum(4), la.LayerSync(), la.Random(1), OwnFifo(2)], seed=1),
]  # fmt: skip


def circle_network(schedule, seed=0, high=4, **options):
    """A skip, a circle over time and one within a time step, delays of blocks and of sources."""
    blocks = [dense(14, 8, seed), dense(14, 6, seed + 1), dense(14, 4, seed + 2)]
    set_delays(blocks, 0, high, seed)
    sources = {0: [la.INPUT, (2, 2)], 1: [0, 1], 2: [(0, np.arange(8) % 3), 1]}
    return sb.network(blocks, schedule, sources=sources, output=(2, [0, 1, 2, 0]), **options)


def check(net, x, ids=None):
    """There and back, by all spikes and by the output: the definition's."""
    ids = np.arange(len(x)) if ids is None else ids
    y, spikes = net(x, sample_ids=ids, return_spikes=True)
    rng = np.random.default_rng(7)
    by_spikes, by_output = rng.normal(size=spikes.shape), rng.normal(size=y.flatten(1, -2).shape)
    graph = net.graph()
    back = graph.delayed_output(by_output[..., ::-1])[..., ::-1]  # to the firing
    whole = by_spikes.copy()
    whole[:, graph.slice(graph.output)] += back
    want, late, wanted, of_output = by_delays(net, x, whole, by_output, ids)
    np.testing.assert_array_equal(spikes.detach().numpy(), want)
    np.testing.assert_array_equal(y.detach().flatten(1, -2).numpy(), late)
    loss = (spikes * torch.from_numpy(by_spikes)).sum()
    (loss + (y.flatten(1, -2) * torch.from_numpy(by_output)).sum()).backward()
    last = net._structure.wired("test").layers[graph.output].block
    trained = [p for p in net.parameters() if p.requires_grad]
    for parameter, gradient in zip(trained, wanted, strict=True):
        own = gradient.double().numpy()
        if parameter is last.delay.delay:
            own = own + of_output.reshape(len(own), -1).sum(1)
        assert_close(parameter.grad.double().numpy(), own, 1e-5)
    return want


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("build", CHAINS)
def test_chains(build, schedule):
    blocks, shape = build(weight_norm=True)
    set_delays(blocks, 0, 3)
    spikes = check(sb.network(blocks, schedule), sb.spikes((5, *shape, 7)))
    assert spikes.mean() > 0.02


@pytest.mark.parametrize("high", [1, 4])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_graphs_of_blocks(schedule, high):
    net = circle_network(schedule, high=high)
    assert check(net, sb.spikes((4, 10, 9), density=0.5)).mean() > 0.05


@pytest.mark.parametrize("stop_after", [0, 1])
def test_early_decision_and_dropout(stop_after):
    net = circle_network(
        la.Momentum(2), stop_after=stop_after, spike_dropout=0.3, input_dropout=0.2, seed=9
    )
    check(net, sb.spikes((4, 10, 9), density=0.5), np.array([3, 1, 9, 8]))


@pytest.mark.parametrize("reset", RESETS)
def test_resets(reset):
    net = circle_network(la.Momentum(3), reset=reset)
    y = net(sb.spikes((4, 10, 9), density=0.5))
    y.sum().backward()
    assert all(delay.delay.grad.any() for delay in delays_of(net.blocks))


def test_only_delays_may_learn():
    net = circle_network(la.Momentum(3))
    x, ids = sb.spikes((4, 10, 9), density=0.5), np.arange(4)
    net(x, sample_ids=ids).sum().backward()
    want = [delay.delay.grad.clone() for delay in delays_of(net.blocks)]
    net.zero_grad()
    for block in net.blocks:
        block.synapse.weight.requires_grad_(False)
    net(x, sample_ids=ids).sum().backward()
    for delay, gradient in zip(delays_of(net.blocks), want, strict=True):
        assert gradient.any() and torch.equal(delay.delay.grad, gradient)


@pytest.mark.parametrize("frozen", [[0], [1], [2], [0, 1, 2]])
def test_frozen_delays_have_no_gradient_and_all_else_the_same(frozen):
    x, ids = sb.spikes((4, 10, 9), density=0.5), np.arange(4)
    whole = circle_network(la.Momentum(3))
    whole(x, sample_ids=ids).sum().backward()
    net = circle_network(la.Momentum(3))
    for k in frozen:
        net.blocks[k].delay.requires_grad_(False)
    net(x, sample_ids=ids).sum().backward()
    for own, other in zip(net.parameters(), whole.parameters(), strict=True):
        assert own.grad is None if not own.requires_grad else torch.equal(own.grad, other.grad)
    assert [b.delay.delay.grad is None for b in net.blocks] == [k in frozen for k in range(3)]


def test_delays_that_stay_cost_no_gradient(monkeypatch):
    """Where none learns, the way back gives nothing out for it."""
    asked, run = [], training.Pass.backward
    monkeypatch.setattr(
        training.Pass, "backward",
        lambda *a, **named: asked.append(named["by_current"]) or run(*a, **named),
    )  # fmt: skip
    net = circle_network(la.Momentum(3))
    net(sb.spikes((2, 10, 5), density=0.5)).sum().backward()
    for delay in delays_of(net.blocks):
        delay.requires_grad_(False)
    net(sb.spikes((2, 10, 5), density=0.5)).sum().backward()
    assert asked == [True, False]


# ---------------------------------------------------------------- one network everywhere


@settings(max_examples=25, deadline=None)
@given(data=st.data(), schedule=schedules(), of_convolutions=st.booleans())
def test_trainer_file_reference_and_kernel_agree(tmp_path_factory, data, schedule, of_convolutions):
    seed, high = data.draw(st.integers(0, 99)), data.draw(st.sampled_from([1, 3, 8]))
    kind = data.draw(st.sampled_from(["chain", "skip", "circle"]))
    if of_convolutions:
        inputs = {"chain": 3, "skip": 5, "circle": 5}[kind]
        blocks = [conv(2, 3, seed=seed), conv(inputs, 2, seed=seed + 1), cuba.Flatten(),
                  dense(2 * 20, 4, seed + 2)]  # fmt: skip
        shape, extra = (2, 5, 4), {"skip": la.INPUT, "circle": (1, data.draw(st.integers(0, 2)))}
    else:
        inputs = {"chain": 8, "skip": 18, "circle": 14}[kind]
        blocks = [dense(10, 8, seed), dense(inputs, 6, seed + 1), dense(6, 4, seed + 2)]
        shape, extra = (10,), {"skip": la.INPUT, "circle": (1, data.draw(st.integers(0, 2)))}
    set_delays(blocks, 0, high, seed)
    sources = None if kind == "chain" else {1: [0, extra[kind]]}
    net = sb.network(blocks, schedule, sources=sources, input_shape=shape)
    x, ids = sb.spikes((3, *shape, 9), seed, density=0.5), np.array([7, 1, 4])
    graph = net.graph()
    want = la.simulate(graph, x.numpy(), backend="reference", sample_ids=ids)
    np.testing.assert_array_equal(net(x, sample_ids=ids).detach().numpy(), want.spikes)
    path = tmp_path_factory.mktemp("delays") / "network.net"
    net.export_hdf5(path)
    for held_by in (graph, la.load(path), async_slayer.Network.from_hdf5(path).graph()):
        again = la.simulate(held_by, x.numpy(), backend="kernel", sample_ids=ids)
        np.testing.assert_array_equal(again.spikes, want.spikes)
        np.testing.assert_array_equal(again.all_spikes, want.all_spikes)
    frozen = copy.deepcopy(net)
    for delay in delays_of(frozen.blocks):
        delay.requires_grad_(False)
    if not any(isinstance(part, OwnFifo) for part in schedule.parts):
        unrolled = async_slayer.Network(
            frozen.blocks, schedule, sources=sources, gradient="unrolled"
        )
        np.testing.assert_array_equal(unrolled(x, sample_ids=ids).detach().numpy(), want.spikes)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", ["lava", "graph"])
@pytest.mark.parametrize("schedule", [la.Momentum(3), la.LayerSync()], ids=repr)
def test_lava_agrees(tmp_path, backend, schedule):
    for net, shape in (
        (circle_network(schedule), (10,)),
        (sb.network([conv(2, 3), conv(3, 2, seed=1), cuba.Flatten(), dense(40, 4)], schedule),
         (2, 5, 4)),
    ):  # fmt: skip
        set_delays(net.blocks, 0, 4, 3)
        x, ids = sb.spikes((2, *shape, 8), density=0.5), np.arange(2)
        want = net(x, sample_ids=ids).detach().numpy()
        net.export_hdf5(tmp_path / "network.net")
        got = la.simulate(
            la.load(tmp_path / "network.net"), x.numpy(), backend=backend, sample_ids=ids
        )
        assert want.any()
        np.testing.assert_array_equal(got.spikes, want)


def test_an_input_blocks_delay_delays_its_spikes():
    """SLAYER's own input block leaves it out."""
    def build():
        return [cuba.Input(dict(NEURON), weight=1.5, delay_shift=False), dense(6, 4)]

    blocks = build()
    blocks[0].delay = held(0, 1, 2, 3, 0, 5.9)
    net = sb.network(blocks, la.LayerSync())
    x = sb.spikes((3, 6, 12), density=0.6)
    y = net(x)
    twins = build()
    twins[1].delay = copy.deepcopy(blocks[1].delay)
    late = held(0, 1, 2, 3, 0, 5.9)
    late.init = True
    z = twins[1](late(twins[0](x)))
    assert y.any() and torch.equal(y, z)
    y.sum().backward()
    z.sum().backward()
    assert late.delay.grad.any()
    assert_close(blocks[0].delay.delay.grad.numpy(), late.delay.grad.numpy(), 1e-4)


# ---------------------------------------------------------------- what changes, and what is kept


def test_integers_follow_the_delays():
    """Whoever changes them: an optimizer, a hand, a checkpoint."""
    net = circle_network(la.Momentum(3), input_shape=(10,))
    x, ids = sb.spikes((3, 10, 9), density=0.5), np.arange(3)
    first = {k: v.clone() for k, v in net.state_dict().items()}
    seen = []

    def check_now():
        want = la.simulate(net.graph(), x.numpy(), backend="reference", sample_ids=ids)
        np.testing.assert_array_equal(net(x, sample_ids=ids).detach().numpy(), want.spikes)
        seen.append([np.asarray(c.delay).tolist() for c in net.graph().connections])

    check_now()
    with torch.no_grad():
        net.blocks[0].delay.delay.add_(3)
    check_now()
    net.load_state_dict(first)
    check_now()
    net.blocks[1].delay = held(0, 5, 0, 1, 0, 2)
    check_now()
    net.blocks[1].delay = None
    check_now()
    assert seen[0] == seen[2] and len({repr(found) for found in seen}) == 4


def test_the_compiled_network_is_made_anew_only_for_other_whole_numbers(monkeypatch):
    made, init = [], training.Trainer.__init__
    monkeypatch.setattr(
        training.Trainer, "__init__", lambda self, *a: made.append(a) or init(self, *a)
    )
    net, x = circle_network(la.Momentum(3)), sb.spikes((2, 10, 5))
    with torch.no_grad():
        net.blocks[0].delay.delay.copy_(torch.arange(8) + 0.25)
    for change, count in ((0, 1), (0.5, 1), (0.5, 2), (0, 2)):
        with torch.no_grad():
            net.blocks[0].delay.delay.add_(change)
        net(x).sum().backward()
        assert len(made) == count
    (_, _, before), (_, _, like) = made
    assert before is None and like.tapes is net._structure.wired("x").trainer(False).tapes


@pytest.mark.parametrize("copied", [copy.deepcopy, sb.pickled, sb.saved])
@pytest.mark.parametrize("has_run", [False, True])
def test_copies(copied, has_run):
    x, ids = sb.spikes((3, 10, 9), density=0.5), np.arange(3)
    net = circle_network(la.Momentum(3))
    if has_run:
        net(x).sum().backward()
    twin = copied(net)
    y = net(x, sample_ids=ids)
    assert y.any() and torch.equal(twin(x, sample_ids=ids), y)
    with torch.no_grad():
        twin.blocks[0].delay.delay.add_(3)
    assert torch.equal(net(x, sample_ids=ids), y)
    assert not torch.equal(twin(x, sample_ids=ids), y)


@pytest.mark.parametrize("source_ran", [False, True])
@pytest.mark.parametrize("target_ran", [False, True])
def test_checkpoints_before_and_after_the_first_pass(source_ran, target_ran):
    x, ids = sb.spikes((3, 20, 9)), np.arange(3)
    net, other = (sb.network(dense_chain(seed)[0]) for seed in (0, 1))
    if source_ran:
        net(x)
        set_delays(net.blocks, 0, 5)
    if target_ran:
        other(x).sum().backward()
    other.load_state_dict(net.state_dict())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        y = net(x, sample_ids=ids)
        torch.manual_seed(1)
        z = other(x, sample_ids=ids)
    assert y.any() and torch.equal(y, z)
    z.sum().backward()
    torch.optim.Adam(other.parameters()).step()
    for own, its in zip(delays_of(net.blocks), delays_of(other.blocks), strict=True):
        assert own.delay.shape == its.delay.shape and own.init and its.init


def test_assistant_trains_delays():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = sb.network(dense_chain()[0], la.Momentum(4))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.3)  # before any delay is drawn
        assistant = slayer.utils.Assistant(
            net, slayer.loss.SpikeRate(0.8, 0.05, reduction="sum"), optimizer,
            slayer.utils.LearningStats(), slayer.classifier.Rate.predict,
        )  # fmt: skip
        x, label = sb.spikes((4, 20, 12)), torch.tensor([0, 1, 2, 3])
        assistant.train(x, label)
        first = [delay.delay.detach().clone() for delay in delays_of(net.blocks)]
        for _ in range(5):
            assistant.train(x, label)
        assistant.test(x, label)
    for delay, before in zip(delays_of(net.blocks), first, strict=True):
        assert not torch.equal(delay.delay, before)
    assert any(np.any(c.delay) for c in net.graph().connections)


# ---------------------------------------------------------------- files


def test_files_have_slayers_field(tmp_path):
    """Of dense blocks; what netx would leave out is not written as layers."""
    blocks, _ = dense_chain()
    net = sb.network(blocks, input_shape=(20,))
    set_delays(blocks, 0, 9)
    net.export_hdf5(tmp_path / "ours.net")
    with h5py.File(tmp_path / "slayers.net", "w") as file:
        for index, block in enumerate(copy.deepcopy(blocks)):
            block.export_hdf5(file.create_group(f"layer/{index}"))
    with h5py.File(tmp_path / "ours.net") as ours, h5py.File(tmp_path / "slayers.net") as theirs:
        for index in range(3):
            own, want = (f[f"layer/{index}/delay"] for f in (ours, theirs))
            assert own.dtype == want.dtype and want[()].any()
            np.testing.assert_array_equal(own, want)
    blocks, shape = conv_chain()
    net = sb.network(blocks, input_shape=shape)
    net.export_hdf5(tmp_path / "none.net")
    set_delays(blocks, 1, 9)
    net.export_hdf5(tmp_path / "conv.net")
    with h5py.File(tmp_path / "none.net") as none, h5py.File(tmp_path / "conv.net") as file:
        assert "layer" in none and "layer" not in file


def test_a_file_comes_back_as_blocks_with_delays(tmp_path):
    """They are SLAYER's own, run alike there, stay at first, and may learn."""
    blocks, _ = dense_chain()
    net = sb.network(blocks, la.LayerSync(), input_shape=(20,))
    set_delays(blocks, 0, 90)
    net.export_hdf5(tmp_path / "network.net")
    again = async_slayer.Network.from_hdf5(tmp_path / "network.net")
    x = sb.spikes((3, 20, 80))
    y, z = net(x), torch.nn.Sequential(*again.blocks[-3:])(x)
    assert y.any() and torch.equal(z, y) and torch.equal(again(x), y)
    for own, delay in zip(delays_of(blocks), delays_of(again.blocks), strict=True):
        assert torch.equal(delay.delay.floor(), own.delay.floor())
        assert not delay.delay.requires_grad
        delay.requires_grad_()
    again(x).sum().backward()
    assert delay.delay.grad.any()


# ---------------------------------------------------------------- faults


class OwnDelay(Delay):
    def forward(self, input):
        return input


FAULTS = {
    "nan": (lambda d: d.delay.data.fill_(float("nan")), "delay: expected finite numbers"),
    "inf": (lambda d: d.delay.data.fill_(float("inf")), "delay: expected finite numbers"),
    "too long": (
        lambda d: (setattr(d, "max_delay", None), d.delay.data.fill_(63)),
        r"delay: expected at most 62 time steps .*got 63",
    ),
    "shape": (
        lambda d: setattr(d.delay, "data", torch.ones(5)), r"delay shape: expected \(12,\).*\(5,\)",
    ),
    "sampling time": (
        lambda d: setattr(d, "sampling_time", 2), "delay sampling_time: expected 1",
    ),
    "scale": (
        lambda d: setattr(d, "grad_scale", float("nan")), "delay grad_scale: expected a finite",
    ),
    "hook": (
        lambda d: d.register_forward_hook(lambda *a: None), "forward hook of the delay",
    ),
    "forward": (lambda d: setattr(d, "forward", lambda x: x), r"delay\.forward: expected SLAYER's"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named_and_change_nothing(fault):
    change, message = FAULTS[fault]
    blocks, shape = dense_chain()
    set_delays(blocks, 0, 3)
    net = sb.network(blocks, input_shape=shape)
    change(net.blocks[0].delay)
    for act in (lambda: net(sb.spikes((1, 20, 3))), net.graph):
        with pytest.raises((ValidationError, UnsupportedError), match=message) as caught:
            act()
        assert str(caught.value).startswith("blocks[0] (Dense): ")


def test_other_faults():
    blocks, _ = dense_chain()
    blocks[1].delay = OwnDelay()
    with pytest.raises(UnsupportedError, match=r"^blocks\[1\] \(Dense\): delay\.forward"):
        sb.network(blocks)
    blocks[1].delay = torch.nn.Linear(2, 2)
    with pytest.raises(UnsupportedError, match=r"^blocks\[1\] \(Dense\): delay: expected a "):
        sb.network(blocks)
    flatten = cuba.Flatten()
    flatten.delay = held(1)
    with pytest.raises(UnsupportedError, match=r"^blocks\[0\] \(Flatten\): delay: expected none"):
        sb.network([flatten, *sb.dense_blocks((84, 4))])
    blocks = [dense(20, 12), dense(12, 4)]
    blocks[0].delay = held(*[60] * 12)
    net = sb.network(blocks, sources={1: [(0, 3)]})
    with pytest.raises(ValidationError, match=r"^blocks\[0\] \(Dense\): delay with that of"):
        net(sb.spikes((1, 20, 3)))


def test_several_processes_share_what_is_drawn(monkeypatch):
    """A first pass in training would draw in each of them, when parameters have been shared."""
    net, x = sb.network(dense_chain()[0]), sb.spikes((2, 20, 6))
    for name, value in {"is_initialized": True, "get_world_size": 2, "get_rank": 1}.items():
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
    with pytest.raises(ValidationError, match=r"^blocks\[0\] \(Dense\): delay: .*none yet"):
        net(x)
    with torch.no_grad():
        net(x)
    net(x).sum().backward()
    assert all(delay.init for delay in delays_of(net.blocks))


@pytest.mark.parametrize("quiet", [torch.no_grad, torch.inference_mode])
def test_delays_drawn_in_an_evaluation_learn_later(quiet):
    net, x = sb.network(dense_chain()[0]), sb.spikes((3, 20, 9))
    with quiet():
        net.eval()(x)
    drawn = [delay.delay.detach().clone() for delay in delays_of(net.blocks)]
    net.train()(x).sum().backward()
    for delay, before in zip(delays_of(net.blocks), drawn, strict=True):
        assert torch.equal(delay.delay, before) and delay.delay.grad is not None


def test_unrolled_takes_delays_that_stay():
    blocks, _ = dense_chain()
    set_delays(blocks, 0, 4)
    net = sb.network(blocks, la.Momentum(3), gradient="unrolled")
    x, ids = sb.spikes((3, 20, 9)), np.arange(3)
    with pytest.raises(UnsupportedError, match=r"^blocks\[0\] \(Dense\): delay: expected .*learns"):
        net(x)
    with torch.no_grad():
        want = net(x, sample_ids=ids)
    for delay in delays_of(blocks):
        delay.requires_grad_(False)
    y = net(x, sample_ids=ids)
    y.sum().backward()
    assert y.any() and torch.equal(y, want)
    assert all(block.synapse.weight.grad.any() for block in blocks)
