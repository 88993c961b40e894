"""``persistent_state=True``: a network goes on where the last call ended."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl.slayer import axon
from lava.lib.dl.slayer import neuron as neurons
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from lava_async import slayer as async_slayer
from lava_async.errors import UnsupportedError, ValidationError
from network_gradients import OwnFifo
from random_networks import graphs, inputs, schedules

T = 9
OFF = {"delay_shift": False}
SCHEDULES = {
    "layer by layer": la.LayerSync(3),
    "momentum": la.Momentum(2),
    "noise": la.Momentum(3, noise=0.5, seed=4),
    "random": la.Random(2, seed=5),
    "mixture": la.Mixture([la.LayerSync(3), la.Momentum(3), la.Random(1, seed=2)], seed=1),
    "own": OwnFifo(2),
}


def neuron(**changes):
    return {**sb.NEURON, "persistent_state": True, "tau_grad": 0.1, "scale_grad": 2.0, **changes}


def dense(inputs=12, outputs=10, weight_scale=8, **changes):
    return cuba.Dense(neuron(**changes), inputs, outputs, weight_scale=weight_scale, **OFF)


def chain():
    return [dense(), dense(10, 5)]


def late(block, steps, learns=False):
    """A block whose channels are late by so many time steps."""
    block.delay = axon.Delay(max_delay=8)
    values = torch.tensor(steps, dtype=torch.float) + 0.5
    block.delay.delay = torch.nn.Parameter(values, requires_grad=learns)
    block.delay.init = True
    return block


def delayed(learns=False):
    return [
        late(dense(), [0, 4, 1, 2, 0, 3, 4, 1, 1, 0], learns),
        late(dense(10, 5), [0, 3, 1, 0, 2], learns),
    ]


def spatial():
    return [
        cuba.Input(neuron(current_decay=1.0), weight=1.5, bias=0.125, **OFF),
        cuba.Conv(neuron(), 2, 3, 3, padding=1, weight_scale=8, **OFF),
        cuba.Pool(neuron(), 2, weight_scale=1.5, **OFF),
        cuba.Flatten(),
        dense(12, 5),
    ]


def feedback():
    return [
        dense(),
        cuba.Recurrent(neuron(), 10, 8, weight_scale=8, **OFF),
        cuba.KWTA(neuron(), 8, 6, 2, weight_scale=8, **OFF),
        dense(6, 5),
    ]


def normed():
    blocks = [dense(norm=neurons.norm.MeanOnlyBatchNorm), dense(10, 5)]
    blocks[0].neuron.norm.running_mean = torch.linspace(-0.5, 0.5, 10)
    blocks[0].neuron.norm.update = False
    return blocks


def own_decays():
    each = {"shared_param": False, "current_decay": (0.2, 0.6), "voltage_decay": (0.1, 0.3)}
    return [dense(requires_grad=True, **each), dense(10, 5, requires_grad=True)]


def without_neurons():
    quantized = neurons.cuba.Neuron(**sb.NEURON).quantize_8bit
    block = cuba.Dense(None, 10, 5, weight_scale=8, pre_hook_fx=quantized, **OFF)
    return [dense(), block]


WIRED = {"sources": {0: [la.INPUT], 1: [0, (la.INPUT, 2), (1, 3)]}, "output": (1, 2)}
NETWORKS = {
    "chain": (chain, (12,), {}),
    "delays": (delayed, (12,), {}),
    "frames": (spatial, (2, 4, 4), {}),
    "feedback": (feedback, (12,), {}),
    "norm": (normed, (12,), {}),
    "decays": (own_decays, (12,), {}),
    "delays between": (lambda: [dense(), dense(27, 5)], (12,), WIRED),
    "voltage": (lambda: [dense(), late(cuba.Affine(neuron(), 10, 5), [0, 2, 1, 0, 0])], (12,), {}),
    "current": (lambda: [dense(), cuba.Affine(neuron(), 10, 5, dynamics=False)], (12,), {}),
    "without neurons": (without_neurons, (12,), {}),
    "groups": (lambda: [dense(), dense(10, 6), cuba.Average(3)], (12,), {}),
    "early decision": (chain, (12,), {"stop_after": 1}),
    "dropout": (
        lambda: [dense(), dense(10, 5, dropout=neurons.Dropout(0.2))], (12,),
        {"spike_dropout": 0.2, "input_dropout": 0.3},
    ),
}  # fmt: skip


def made(name, schedule, **settings):
    """The network and an input for it."""
    build, shape, own = NETWORKS[name]
    own = {**own, "input_shape": shape, **settings}  # with a shape decays are drawn at once
    net = sb.seeded(lambda: sb.network(build(), schedule, **own), seed=3)
    return net, sb.spikes((3, *shape, T), 1, density=0.5)


def calls(net, x, lengths, **arguments):
    """Output and spikes of calls one after another, put together."""
    parts = x.split(lengths, -1)
    found = [net(part, return_spikes=True, **arguments) for part in parts]
    return [torch.cat(own, -1) for own in zip(*found, strict=True)]


CASES = [
    (name, order)
    for name, order in itertools.product(NETWORKS, SCHEDULES)
    if name != "early decision" or SCHEDULES[order].asynchronous
    if order != "own" or name in ("delays", "feedback", "voltage", "dropout")
]


@pytest.mark.parametrize("name, order", CASES)
def test_calls_are_one_stream(name, order):
    """In the middle of delays of up to four time steps, too."""
    net, x = made(name, SCHEDULES[order])
    ids = np.array([7, 3, 400])
    whole = net(x, sample_ids=ids, return_spikes=True)
    assert whole[1].any()
    for lengths in ([4, 5], [1, 1, 1, 6]):
        net.reset_state()
        got = calls(net, x, lengths, sample_ids=ids)
        assert all(torch.equal(a, b) for a, b in zip(got, whole, strict=True)), lengths
    net.reset_state()
    net(x[..., :4], sample_ids=ids)
    second = net(x[..., 4:], return_spikes=True)
    net.reset_state()
    anew = net(x[..., 4:], sample_ids=ids, return_spikes=True)
    assert not torch.equal(second[1], anew[1])  # else there was nothing to go on from


@settings(max_examples=30, deadline=None)
@given(data=st.data(), schedule=schedules(), unrolled=st.booleans())
def test_any_graph(data, schedule, unrolled):
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph))
    x = np.concatenate([x, x[..., ::-1]], -1)
    cut = data.draw(st.integers(1, x.shape[-1] - 1))
    ids = np.arange(5, 5 + len(x))
    net = async_slayer.Network.from_graph(
        graph, schedule=schedule, gradient="unrolled" if unrolled else "decisive"
    )
    for block in net.blocks:
        if getattr(block, "neuron", None) is not None:
            block.neuron.persistent_state = True
    got = calls(net, torch.from_numpy(x), [cut, x.shape[-1] - cut], sample_ids=ids)
    want = la.simulate(graph, x, schedule, backend="reference", sample_ids=ids)
    for own, wanted in zip(got, (want.spikes, want.all_spikes), strict=True):
        np.testing.assert_array_equal(own.detach().numpy(), wanted)


@pytest.mark.parametrize(
    "name, order",
    [("delays", "random"), ("delays", "mixture"), ("feedback", "layer by layer"),
     ("delays between", "layer by layer"), ("delays between", "noise"), ("voltage", "momentum"),
     ("dropout", "own"), ("dropout", "layer by layer")],
)  # fmt: skip
def test_unrolled_calls_are_one_stream(name, order):
    net, x = made(name, SCHEDULES[order], gradient="unrolled")
    ids = np.array([7, 3, 400])
    got = calls(net, x, [2, 3, 4], sample_ids=ids)
    decisive, _ = made(name, SCHEDULES[order])
    want = decisive(x, sample_ids=ids, return_spikes=True)
    assert all(map(torch.equal, got, want))


def test_unrolled_calls_with_refractory_dropout():
    net, x = made("delays", la.Random(2, seed=1), gradient="unrolled", refractory_dropout=0.5)
    whole = net(x, sample_ids=[0, 1, 2])
    assert whole.max() > 1
    net.reset_state()
    parts = [net(part, sample_ids=[0, 1, 2]) for part in x.split([4, 5], -1)]
    assert torch.equal(torch.cat(parts, -1), whole)


@pytest.mark.parametrize(
    "name, order", [("delays", "random"), ("feedback", "layer by layer"), ("voltage", "momentum")]
)
def test_files_run_on_over_their_whole_time(name, order, tmp_path):
    """A file begins at zero and has no calls: all time steps are one stream."""
    net, x = made(name, SCHEDULES[order])
    net(x).sum().backward()
    torch.optim.SGD(net.parameters(), 1e-3).step()
    net.eval()
    net.reset_state()
    ids = np.array([5, 6, 9])
    y, spikes = calls(net, x, [3, 6], sample_ids=ids)
    net.export_hdf5(tmp_path / "a.net")
    graph = la.load(tmp_path / "a.net")
    for backend in ("reference", "kernel", "lava", "graph"):
        record = la.simulate(graph, x.numpy().astype(int), backend=backend, sample_ids=ids)
        np.testing.assert_array_equal(record.all_spikes, spikes.detach().numpy())
        unit = 1 if graph.output_can_fire else 1 << 12
        np.testing.assert_array_equal(record.output / unit, y.detach().numpy())


# ---------------------------------------------------------------- SLAYER's own

FEED_FORWARD = {
    "dense": (lambda: [dense(), dense(10, 8), dense(8, 5)], (12,)),
    "frames": (
        lambda: [cuba.Conv(neuron(), 2, 3, 3, padding=1, weight_scale=8, **OFF),
                 cuba.Pool(neuron(), 2, weight_scale=1.5, **OFF), cuba.Flatten(), dense(12, 5)],
        (2, 4, 4),
    ),
    "decays of each channel": (
        lambda: [dense(shared_param=False, current_decay=(0.2, 0.6)), dense(10, 5)], (12,),
    ),
    "voltage": (lambda: [dense(), cuba.Affine(neuron(), 10, 5)], (12,)),
}  # fmt: skip


@pytest.mark.parametrize("name", FEED_FORWARD)
def test_slayers_own_calls(name):
    """Spikes to the bit, and the gradient of each call up to rounding."""
    build, shape = FEED_FORWARD[name]
    ours, theirs = sb.seeded(build), sb.seeded(build)
    parts = sb.spikes((3, *shape, T), 2, density=0.5).split([4, 2, 3], -1)
    net, plain = sb.network(ours, la.LayerSync()), torch.nn.Sequential(*theirs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        wanted = [plain(part) for part in parts]
        torch.manual_seed(0)
        got = [net(part) for part in parts]
    assert all(map(torch.equal, got, wanted))
    assert torch.cat(got, -1).any()
    for y, want in zip(got[1:], wanted[1:], strict=True):
        for model, out in ((net, y), (plain, want)):
            model.zero_grad()
            out.square().sum().backward()
        pairs = zip(net.blocks.parameters(), plain.parameters(), strict=True)
        for p, other in pairs:
            if other.grad is not None and p.requires_grad:
                size = float(other.grad.abs().max())
                assert size > 0
                torch.testing.assert_close(p.grad, other.grad, rtol=1e-3, atol=1e-5 * size)


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize("name", ["chain", "delays", "frames", "feedback", "decays", "voltage"])
def test_the_gradient_is_the_definitions(name):
    """By the kernel under `Fifo`, by the definition under the same order of one's own."""
    found = []
    for schedule in (la.Fifo(2), OwnFifo(2)):
        net, x = made(name, schedule)
        if name == "delays":
            for block in net.blocks:
                block.delay.requires_grad_()
        net(x[..., :4])
        y = net(x[..., 4:])
        y.square().sum().backward()
        found.append((y.detach(), [p.grad for p in net.parameters() if p.requires_grad]))
    (y, grads), (want, wanted) = found
    assert torch.equal(y, want)
    for grad, other in zip(grads, wanted, strict=True):
        size = float(other.abs().max())
        assert size > 0
        torch.testing.assert_close(grad, other, rtol=0, atol=1e-5 * size)


@pytest.mark.parametrize("name", ["chain", "feedback", "delays between", "decays", "voltage"])
def test_the_gradient_layer_by_layer_is_autograds(name):
    """Of the second call, through all its time steps, decays included."""
    found = []
    for gradient in ("decisive", "unrolled"):
        net, x = made(name, la.LayerSync(), gradient=gradient)
        net(x[..., :4])
        net(x[..., 4:]).square().sum().backward()
        found.append([p.grad for p in net.parameters() if p.requires_grad])
    for grad, other in zip(*found, strict=True):
        size = float(other.abs().max())
        assert size > 0
        torch.testing.assert_close(grad, other, rtol=0, atol=1e-5 * size)


@pytest.mark.parametrize("gradient", ["decisive", "unrolled"])
def test_a_gradient_ends_where_its_call_begins(gradient):
    net, x = made("decays", la.Momentum(2), gradient=gradient)
    trained = [p for p in net.parameters() if p.requires_grad]

    def grads(*which):
        net.reset_state()
        ys = [net(part) for part in x.split([4, 5], -1)]
        return torch.autograd.grad(sum(ys[i].square().sum() for i in which), trained)

    for both, first, second in zip(grads(0, 1), grads(0), grads(1), strict=True):
        assert first.any() and second.any()
        torch.testing.assert_close(both, first + second)
    anew = []
    for _ in range(2):  # a call back, or none: the next one's gradient is the same
        net.reset_state()
        y = net(x[..., :4])
        if anew:
            y.sum().backward()
        anew.append(torch.autograd.grad(net(x[..., 4:]).sum(), trained))
    assert all(map(torch.equal, *anew))


# ---------------------------------------------------------------- what goes on, and what does not


def test_by_hand():
    """A neuron of half-lives, whose spikes are late by three time steps."""
    block = cuba.Dense(
        neuron(threshold=1.0, current_decay=0.5, voltage_decay=0.5), 1, 1, weight_scale=1, **OFF
    )
    late(block, [3])
    with torch.no_grad():
        block.synapse.weight.fill_(1.0)  # u: 64, 32 + 64, …
    net = sb.network([block], la.Momentum())
    x = torch.ones(1, 1, 1)
    # v: 64, not above 64; 32 + 32 + 64; then, from 0, 48 + 64; 56 + 64; …
    assert [float(net(x)) for _ in range(7)] == [0, 0, 0, 0, 1, 1, 1]
    net.reset_state()
    first = [float(net(x)) for _ in range(3)]
    block.delay.delay.data.fill_(0)
    # What fired at 1 and 2 arrives at 4 and 5, as it was sent; from 3 on nothing is late.
    assert [*first, *(float(net(x)) for _ in range(4))] == [0, 0, 0, 1, 2, 2, 1]


def test_what_was_sent_arrives_when_it_was_due():
    """Delays and schedules may be others in the next call."""
    for after in (0, 8):
        found = []
        for order in (la.Fifo(2), OwnFifo(2)):
            net, x = made("feedback", la.LayerSync())
            late(net.blocks[0], [4] * 10)
            net(x[..., :5])
            net.blocks[0].delay.delay.data.fill_(after + 0.5)
            net.schedule = order  # one in which feedback is at once
            found.append(net(x[..., 5:], return_spikes=True)[1])
        assert torch.equal(*found)


def test_a_reset_begins_anew():
    net, x = made("delays", la.Momentum(2))
    first = net(x, sample_ids=[0, 1, 2])
    assert not torch.equal(net(x), first)
    net.reset_state()
    assert torch.equal(net(x, sample_ids=[0, 1, 2]), first)
    net.reset_state()
    assert net(x[:1]).shape[0] == 1  # of any size


def test_samples_keep_their_ids():
    net, x = made("chain", la.Random(1, seed=3))
    net(x)
    seen = int(net.samples_seen)
    net(x)
    assert net.samples_seen == seen == 3
    net.reset_state()
    net(x)
    assert net.samples_seen == 6


def test_modes_do_not_reset():
    whole = made("chain", la.Random(1, seed=3))
    net, x = whole
    want = net(x)
    net.reset_state()
    parts = [net(x[..., :3], sample_ids=[0, 1, 2])]
    net.eval()
    with torch.no_grad():
        parts.append(net(x[..., 3:5]))
    net.train()
    parts.append(net(x[..., 5:]))
    assert torch.equal(torch.cat(parts, -1), want)


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_go_on_by_themselves(twin_of):
    net, x = made("delays", la.Momentum(2))
    net(x)
    twin = twin_of(net)
    want = net(x)
    assert torch.equal(twin(x), want)
    net.reset_state()
    assert torch.equal(twin(x), made_anew(x, 3))


def made_anew(x, times):
    """The output of the last of so many calls."""
    net, _ = made("delays", la.Momentum(2))
    return [net(x) for _ in range(times)][-1]


def test_no_checkpoint_holds_it():
    net, x = made("delays", la.Momentum(2))
    fresh, _ = made("delays", la.Momentum(2))
    net(x)
    fresh.load_state_dict(net.state_dict())
    other, _ = made("delays", la.Momentum(2))
    assert torch.equal(fresh(x, sample_ids=[0, 1, 2]), other(x, sample_ids=[0, 1, 2]))
    kept = made_anew(x, 2)
    net.load_state_dict(other.state_dict())
    assert torch.equal(net(x), kept)


def test_without_the_option_nothing_is_kept():
    net, x = made("chain", la.Momentum(2))
    first = net(x)
    for block in net.blocks:
        block.neuron.persistent_state = False
    assert torch.equal(net(x), first) and torch.equal(net(x[:2]), first[:2])
    for block in net.blocks:
        block.neuron.persistent_state = True
    assert torch.equal(net(x), first)


def test_feedback_alone_says_nothing():
    """SLAYER sets the flag of these blocks itself."""
    net = sb.network([cuba.Recurrent(dict(sb.NEURON), 12, 8, weight_scale=8, **OFF)])
    x = sb.spikes((2, 12, T), density=0.5)
    assert torch.equal(net(x), net(x))


def test_statistics_of_norms_learn():
    def build(persistent):
        norm = neurons.norm.MeanOnlyBatchNorm
        return [dense(norm=norm, persistent_state=persistent),
                dense(10, 5, persistent_state=persistent)]  # fmt: skip

    x = sb.spikes((3, 12, T), density=0.5)
    net, plain = (sb.network(sb.seeded(build, own), la.Momentum(2)) for own in (True, False))
    assert torch.equal(net(x), plain(x))
    before = net.blocks[0].neuron.norm.running_mean.clone()
    net(x).sum().backward()
    assert not torch.equal(net.blocks[0].neuron.norm.running_mean, before)


# ---------------------------------------------------------------- what is refused


def test_another_batch_is_refused():
    net, x = made("delays", la.Momentum(2))
    whole = net(x)
    net.reset_state()
    first = net(x[..., :4], sample_ids=[4, 5, 9])
    with pytest.raises(ValidationError, match=r"batch: expected 3 samples.*reset_state\(\)"):
        net(x[:2])
    with pytest.raises(ValidationError, match=r"sample_ids\[1\]: expected 5.*reset_state\(\)"):
        net(x, sample_ids=[4, 6, 9])
    with pytest.raises(ValidationError, match="whole numbers"):
        net(-x)
    assert torch.equal(torch.cat([first, net(x[..., 4:], sample_ids=[4, 5, 9])], -1), whole)


def test_another_network_is_refused():
    net, x = made("chain", la.Momentum(2))
    net(x)
    net.blocks[0], net.blocks[1] = dense(12, 9), dense(9, 5)
    wanted = r"populations: expected \(10,\) \(5,\) \(5,\), the output last.*reset_state\(\)"
    with pytest.raises(ValidationError, match=wanted):
        net(x)
    net.reset_state()
    net(x)


@pytest.mark.parametrize("sizes", [(12, 5, 10), (12, 8, 7)])
def test_another_network_of_as_many_neurons_is_refused(sizes):
    net, x = made("chain", la.Momentum(2))
    net(x)
    net.blocks[0], net.blocks[1] = itertools.starmap(dense, itertools.pairwise(sizes))
    with pytest.raises(ValidationError, match=r"populations: expected .*reset_state\(\)"):
        net(x)


def forgetful(gradient, schedule, **changes):
    """One neuron that forgets its current in each time step, unless its decay changes."""
    block = dense(1, 1, threshold=1.0, current_decay=1.0, voltage_decay=1.0, **changes)
    block.synapse.weight.data.fill_(0.8)
    return sb.network([block], schedule, gradient=gradient), block.neuron


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(1)])
@pytest.mark.parametrize("gradient", ["decisive", "unrolled"])
def test_decays_that_change_between_calls_find_what_is_left(gradient, schedule):
    net, own = forgetful(gradient, schedule)
    assert not net(torch.ones(1, 1, 1)).any()
    for decay in (own.current_decay, own.voltage_decay):
        decay.data.fill_(256)
    assert net(torch.zeros(1, 1, 3)).flatten().tolist() == [1, 0, 1]


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(1)])
@pytest.mark.parametrize("gradient", ["decisive", "unrolled"])
def test_a_call_without_gradients_leaves_as_much_as_one_with_them(gradient, schedule):
    found = []
    for wanted in (True, False):
        net, own = forgetful(gradient, schedule, requires_grad=True)
        with torch.set_grad_enabled(wanted):
            net(torch.ones(1, 1, 1))
        net(torch.ones(1, 1, 1)).sum().backward()
        assert own.current_decay.grad.any()
        found.append(own.current_decay.grad)
    assert torch.equal(*found)


def test_bins_of_time_steps_end_with_a_call():
    net = sb.network([dense(), dense(10, 5), cuba.TimeDecimation(2)], la.Momentum(2))
    x = sb.spikes((3, 12, 8), density=0.5)
    whole = net(x)
    net.reset_state()
    assert torch.equal(torch.cat([net(x[..., :4]), net(x[..., 4:])], -1), whole)
    net(x[..., :1])
    with pytest.raises(ValidationError, match=r"time steps .*multiple of 2.*got 9"):
        net(x)


@pytest.mark.parametrize("block", [dense(10, 5), cuba.Affine(neuron(), 10, 5)])
def test_neurons_agree(block):
    forgets = dense(persistent_state=False)
    message = r"^blocks\[1\] \(\w+\): neuron persistent_state: expected False, as of blocks\[0\]"
    with pytest.raises(UnsupportedError, match=message):
        async_slayer.Network([forgets, block])
    net, x = made("chain", la.Momentum(2))
    net.blocks[1].neuron.persistent_state = False
    message = r"^blocks\[1\] \(Dense\): neuron persistent_state: expected True, as of blocks\[0\]"
    with pytest.raises(UnsupportedError, match=message):
        net(x)


@pytest.mark.parametrize("flag", [1, None, "yes"])
def test_a_flag_that_is_none(flag):
    """SLAYER takes what is not True itself for False."""
    with pytest.raises(UnsupportedError, match="persistent_state: expected True or False"):
        async_slayer.Network([dense(persistent_state=flag)])
