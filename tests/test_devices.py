"""Networks on another device: spikes and gradients are those of the CPU, and mixtures are refused.

No other device is needed: see `pretend_device`.
"""

import warnings

import numpy as np
import pytest
import scipy.sparse
import torch
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from lava_async import slayer as async_slayer
from lava_async.errors import ValidationError
from pretend_device import DEVICE, pretending

KINDS = pytest.mark.parametrize("gradient", ["decisive", "unrolled"])


class OwnOrder(la.AsyncSchedule):
    """A user's own."""

    name = "own"

    def priorities(self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step):
        return neurons


SCHEDULES = {
    "layer by layer": la.LayerSync(),
    "momentum": la.Momentum(4),
    "noisy momentum": la.Momentum(3, noise=0.2, seed=1),
    "random": la.Random(3, 1),
    "fifo": la.Fifo(3),
    "own": OwnOrder(3),
    "mixture": la.Mixture([la.LayerSync(), la.Momentum(4), la.Random(2, 1)], seed=3),
}


def of_every_kind():
    """A population with biases, synapses of each kind, delays and recurrence."""
    rng = np.random.default_rng(0)
    matrix = scipy.sparse.coo_matrix(rng.integers(1, 20, (18, 18)) * (rng.random((18, 18)) < 0.3))
    connections = [
        la.Conv(-1, 0, rng.integers(-20, 40, (2, 2, 3, 3)), padding=1),
        la.Dense(-1, 0, rng.integers(-20, 40, (18, 18)), delay=1),
        la.OneToOne(0, 0, 8, delay=np.arange(18) % 3),
        la.Sparse(0, 0, matrix),
    ]
    population = la.Population("p", (2, 3, 3), 1600, 400, 90, rng.integers(0, 9, (2, 3, 3)))
    graph = la.Graph((2, 3, 3), [population], connections, output_delay=1)
    return lambda **settings: async_slayer.Network.from_graph(graph, tau_grad=0.02, **settings)


def of_blocks(build, *sizes, **more):
    neuron = {**sb.NEURON, "tau_grad": 0.02}
    return lambda **settings: sb.network(build(*sizes, neuron=neuron, **more), **settings)


def with_input_biases():
    neuron = {**sb.NEURON, "current_decay": 1.0, "tau_grad": 0.02}
    block = cuba.Input(neuron, weight=1.5, bias=0.25, delay_shift=False)
    return lambda **settings: sb.network([block, *sb.dense_blocks((20, 4))], **settings)


def with_recurrence():
    neuron = {**sb.NEURON, "tau_grad": 0.02}

    def build(**settings):
        first, last = (sb.dense_blocks(sizes, neuron=neuron) for sizes in ((20, 12), (12, 4)))
        between = sb.dense_blocks((24, 12), neuron=neuron)
        sources = {1: [0, (1, 2)]}
        return sb.network([*first, *between, *last], sources=sources, **settings)

    return build


def whose_neurons_persist(build):
    def built(**settings):
        net = build(**settings)
        for block in net.blocks:
            if getattr(block, "neuron", None) is not None:
                block.neuron.persistent_state = True
        return net

    return built


NETWORKS = {
    "dense": (of_blocks(sb.dense_blocks), (20,)),
    "weight norm": (of_blocks(sb.dense_blocks, (20, 12, 4), 12, weight_norm=True), (20,)),
    "convolutions": (of_blocks(sb.conv_blocks), (2, 7, 6)),
    "biases of the input": (with_input_biases(), (20,)),
    "recurrence": (with_recurrence(), (20,)),
    "every kind": (of_every_kind(), (2, 3, 3)),
    "neurons that persist": (whose_neurons_persist(of_every_kind()), (2, 3, 3)),
}


def trained(net, x, move):
    """Results of two steps, with gradients and what the network has become, back here."""
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.01)
    found = []
    for _ in range(2):
        y, spikes, penalty = net(move(x), return_spikes=True)
        assert {y.device, spikes.device, penalty.device} == {move(x).device}
        optimizer.zero_grad()
        ((y.mean(-1) - 0.4).square().sum() + penalty).backward()
        optimizer.step()
        found += [y, spikes, penalty]
    for p in net.parameters():
        assert p.grad is None or p.grad.device == p.device == move(x).device
    grads = [p.grad for p in net.parameters() if p.requires_grad]
    return [t.detach().cpu().clone() for t in (*found, *grads, *net.parameters())]


@KINDS
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.filterwarnings("ignore:Network.*on the CPU", "ignore:blocks")
def test_schedules_elsewhere(gradient, schedule):
    same(NETWORKS["dense"], schedule=SCHEDULES[schedule], gradient=gradient)


@KINDS
@pytest.mark.parametrize("schedule", ["layer by layer", "momentum"])
@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind != "dense"])
@pytest.mark.filterwarnings("ignore:Network.*on the CPU", "ignore:blocks")
def test_networks_elsewhere(gradient, schedule, kind):
    same(NETWORKS[kind], schedule=SCHEDULES[schedule], gradient=gradient)


@pytest.mark.parametrize(
    "settings",
    [
        {"input_dropout": 0.2, "spike_dropout": 0.2},
        {"input_dropout": 0.2, "spike_dropout": 0.2, "gradient": "unrolled"},
        {"refractory_dropout": 0.3, "gradient": "unrolled"},
        {"surrogate": lambda distance, tau, scale: scale / (1 + (distance / tau) ** 2)},
        {"surrogate": "arctan", "gradient": "unrolled"},
        {"stop_after": 2},
    ],
)
@pytest.mark.filterwarnings("ignore:Network.*on the CPU", "ignore:blocks")
def test_settings_elsewhere(settings):
    same(NETWORKS["dense"], **settings)


def same(kind, **settings):
    build, shape = kind
    settings["penalty"] = async_slayer.SpikePenalty()
    x = sb.spikes((4, *shape, 5))
    net = build(**settings)
    start = {name: value.clone() for name, value in net.state_dict().items()}
    want = trained(net, x, lambda x: x)
    assert want[0].any()
    net.load_state_dict(start)
    net.reset_state()
    with pretending():
        found = trained(net.to(DEVICE), x, lambda x: x.to(DEVICE))
    assert len(found) == len(want)
    for a, b in zip(found, want, strict=True):
        assert torch.equal(a, b)
    net.to("cpu")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float64, torch.bool])
@KINDS
@pytest.mark.filterwarnings("ignore:Network.*on the CPU")
def test_inputs_of_any_type_elsewhere(dtype, gradient):
    net = sb.network(sb.dense_blocks(), gradient=gradient).eval()
    x = sb.spikes((3, 20, 6), high=1)
    want = net(x)
    with pretending(), torch.no_grad():
        assert torch.equal(net.to(DEVICE)(x.to(dtype).to(DEVICE)).cpu(), want)
        with pytest.raises(ValidationError, match="Network: input: expected whole numbers"):
            net((x / 2).to(DEVICE))


@KINDS
@pytest.mark.filterwarnings("ignore:Network.*on the CPU")
def test_graphs_and_files_from_elsewhere(gradient, tmp_path):
    build, shape = NETWORKS["convolutions"]
    net = build(input_shape=shape, gradient=gradient)
    graph = net.graph()
    with pretending():
        net.to(DEVICE)
        moved = net.graph()
        net.export_hdf5(tmp_path / "a.net")
    for found in (moved, la.load(tmp_path / "a.net")):
        for a, b in zip(found.connections, graph.connections, strict=True):
            np.testing.assert_array_equal(a.weight, b.weight)


# What is said of it


def said(net, x, passes=3):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(passes):
            net(x)
    return [str(w.message) for w in caught]


def test_compiled_training_says_once_that_it_runs_on_the_cpu():
    net = sb.network(sb.dense_blocks())
    x = sb.spikes((3, 20, 6))
    assert not said(net, x)
    with pretending():
        net.to(DEVICE)
        (message,) = said(net, x.to(DEVICE))
        assert message.startswith('Network: gradient="decisive" runs on the CPU: tensors go')
        assert str(DEVICE) in message and 'gradient="unrolled"' in message
        assert not said(net.eval(), x.to(DEVICE))
        net = sb.network(sb.dense_blocks(), gradient="unrolled").to(DEVICE)
        assert not said(net, x.to(DEVICE))


@KINDS
@pytest.mark.parametrize("schedule", ["layer by layer", "momentum"])
def test_input_and_network_on_different_devices(gradient, schedule):
    net = sb.network(sb.dense_blocks(), SCHEDULES[schedule], gradient=gradient)
    x = sb.spikes((3, 20, 6))
    with pretending():
        with pytest.raises(ValidationError) as caught:
            net(x.to(DEVICE))
        assert str(caught.value) == (
            f"blocks[0] (Dense): device: expected {DEVICE}, as the input's: x.to(…), net.to(…) "
            "(got cpu)"
        )
        net.to(DEVICE)
        with pytest.raises(ValidationError, match=r"blocks\[0\] .*expected cpu, .*\(got lazy:0\)"):
            net(x)


@KINDS
@pytest.mark.parametrize("part", ["block", "synapse", "neuron"])
def test_a_block_on_another_device(gradient, part):
    net = sb.network(sb.dense_blocks(), gradient=gradient)
    x = sb.spikes((3, 20, 6))
    with pretending():
        block = net.blocks[1]
        (block if part == "block" else getattr(block, part)).to(DEVICE)
        with pytest.raises(ValidationError, match=r"^blocks\[1\] \(Dense\): device: expected cpu"):
            net(x)


def test_the_pretended_device_refuses_what_a_real_one_does():
    with pretending():
        a, b = torch.ones(3).to(DEVICE), torch.ones(3)
        assert a.device == torch.tensor([1.0], device=DEVICE).device == DEVICE
        for mixed in (lambda: a + b, lambda: torch.cat([a, b]), lambda: a @ b):
            with pytest.raises(RuntimeError, match="same device"):
                mixed()
        with pytest.raises(RuntimeError, match="not supported"):
            a.numpy()
        assert torch.equal((a + 1).cpu(), b + 1) and float(a.sum()) == 3
