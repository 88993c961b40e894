"""The decisive gradient through `slayer.Network`: SLAYER's, the definition's, autograd's ways."""

import copy

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
from lava_async._kernel import _lowering, training
from lava_async._kernel._layout import new_state
from lava_async._kernel.training import batch as training_batch
from lava_async._semantics.decisive import RESETS
from lava_async.errors import UnsupportedError, ValidationError
from lava_async.slayer import surrogate
from network_gradients import OwnFifo, by_all_spikes, by_definition
from random_networks import graphs, inputs, schedules

NEURON = {**sb.NEURON, "tau_grad": 0.05, "scale_grad": 2.0}


def trained(net):
    return [p for p in net.parameters() if p.requires_grad]


def grads(net):
    return [p.grad.clone() for p in trained(net)]


def check(net, x, ids=None, *, to=1e-5, **options):
    """A pass there and back, of random derivatives by all spikes, is the definition's."""
    ids = np.arange(len(x)) if ids is None else ids
    y, spikes = net(x, sample_ids=ids, return_spikes=True)
    by_spikes = torch.from_numpy(np.random.default_rng(7).normal(size=spikes.shape)).to(spikes)
    wanted_spikes, wanted, _ = by_definition(net, x.detach(), by_spikes.numpy(), ids, **options)
    np.testing.assert_array_equal(spikes.detach().numpy(), wanted_spikes)
    late = net.graph().delayed_output(wanted_spikes[:, net.graph().slice(net.graph().output)])
    np.testing.assert_array_equal(y.detach().numpy().reshape(late.shape), late)
    spikes.backward(by_spikes)
    for parameter, want in zip(trained(net), wanted, strict=True):
        assert_close(parameter.grad.double().numpy(), want.double().numpy(), to)
    return wanted_spikes


# ---------------------------------------------------------------- SLAYER's own, layer by layer

LOSSES = {
    "mean square": lambda y, label: (y.mean(-1) - label[:, None] / 9).square().mean(),
    "spike rate": slayer.loss.SpikeRate(0.8, 0.1, reduction="sum"),
    "spike max": slayer.loss.SpikeMax(mode="softmax", reduction="sum"),
    "spike moid": lambda y, label: slayer.loss.SpikeMoid(alpha=4, theta=0.2)(
        y, torch.nn.functional.one_hot(label, y.shape[1]).float()
    ),
    "spike time": lambda y, label: slayer.loss.SpikeTime(time_constant=2, length=y.shape[-1])(
        y, torch.nn.functional.one_hot(label, y.shape[1])[..., None].expand(y.shape).float()
    ),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("build", [sb.dense_blocks, sb.conv_blocks])
def test_layer_by_layer_it_is_slayers(build, loss, seed):
    rng = np.random.default_rng([seed, len(loss)])
    blocks, x = sb.random_chain(build, rng, seed, taus=[0.03, 0.1], samples=4)
    net = async_slayer.Network(blocks, la.LayerSync())
    label = torch.from_numpy(rng.integers(0, 4, 4))
    ours = net(x)
    LOSSES[loss](ours, label).backward()
    found = grads(net)
    net.zero_grad()
    theirs = torch.nn.Sequential(*blocks)(x)
    LOSSES[loss](theirs, label).backward()
    assert ours.any() and torch.equal(ours, theirs)
    for got, parameter in zip(found, trained(net), strict=True):
        assert parameter.grad.any()
        assert_close(got.numpy(), parameter.grad.numpy(), 1e-4)


# ---------------------------------------------------------------- the definition's, in any order

SCHEDULES = [
    la.Momentum(1), la.Momentum(6, 0.5, 3), la.Random(4, 8), la.Fifo(5), la.LayerSync(), OwnFifo(3),
    la.Mixture([la.Momentum(4), la.LayerSync(), la.Random(1), OwnFifo(2)], seed=1),
]  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("build", [sb.dense_blocks, sb.conv_blocks])
def test_chains(build, schedule):
    net = sb.network(build(neuron=NEURON, weight_norm=True), schedule)
    shape = (20,) if build is sb.dense_blocks else (2, 7, 6)
    x, ids = sb.spikes((5, *shape, 5)), np.array([7, 0, 4_000_000_000, 2, 3])
    spikes = check(net, x, ids)
    assert spikes.mean() > 0.02


def graph_network(schedule, **options):
    """A skip, a circle over time and one within a time step, a delay for each neuron."""
    def build():
        off = {"delay_shift": False}
        return [
            cuba.Dense(NEURON, 14, 8, weight_scale=5, **off),
            cuba.Dense(NEURON, 14, 6, weight_scale=5, **off),
            cuba.Dense(NEURON, 14, 4, weight_scale=5, weight_norm=True, **off),
        ]

    sources = {0: [la.INPUT, (2, 2)], 1: [0, 1], 2: [(0, np.arange(8) % 3), 1]}
    return sb.network(
        sb.seeded(build), schedule, sources=sources, output=(2, [0, 1, 2, 0]), **options
    )


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_graphs_of_blocks(schedule, reset):
    net = graph_network(schedule, reset=reset)
    spikes = check(net, sb.spikes((4, 10, 6), density=0.5), reset=reset)
    assert spikes.mean() > 0.05


@pytest.mark.parametrize("stop_after", [0, 1, 50])
def test_early_decision_and_dropout(stop_after):
    """Those of a network in training; in evaluation there is no dropout."""
    net = graph_network(
        la.Momentum(2), stop_after=stop_after, spike_dropout=0.3, input_dropout=0.2, seed=9
    )
    for mode in (True, False):
        net.zero_grad()
        check(net.train(mode), sb.spikes((4, 10, 6), density=0.5), np.array([3, 1, 9, 8]))


def step_like(distance, tau, scale):
    """A surrogate that compiled code does not know."""
    return scale * (distance.abs() < 20 * tau).to(distance)


@pytest.mark.parametrize(
    "function", ["slayer", "arctan", "fast_sigmoid", step_like], ids=lambda f: str(f)[:12]
)
def test_surrogates(function):
    net = graph_network(la.Momentum(3), surrogate=function)
    check(net, sb.spikes((4, 10, 6), density=0.5), function=surrogate.resolve(function))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_networks_from_graphs(data):
    """Any kinds of connections, biases, delays, under any schedule; mixtures too."""
    graph = data.draw(graphs(max_populations=3))
    x = torch.from_numpy(data.draw(inputs(graph, max_steps=4)).astype(np.float32))
    net = async_slayer.Network.from_graph(
        graph, schedule=data.draw(schedules()), tau_grad=0.1, scale_grad=2
    ).double()
    ids = np.arange(len(x)) * 977
    y = net(x, sample_ids=ids)
    rng = np.random.default_rng(0)
    # All of one sign, as are the signs that count: sums of both may cancel to anything.
    by_output = rng.uniform(0.5, 1, y.shape)
    spikes, wanted, _ = by_definition(net, x, by_all_spikes(graph, by_output), ids)
    late = graph.delayed_output(spikes[:, graph.slice(graph.output)])
    np.testing.assert_array_equal(y.detach().numpy().reshape(late.shape), late)
    y.backward(torch.from_numpy(by_output))
    largest = max((float(want.abs().max()) for want in wanted if want.numel()), default=0)
    for parameter, want in zip(trained(net), wanted, strict=True):
        np.testing.assert_allclose(parameter.grad, want, rtol=0, atol=1e-5 * largest)


# ---------------------------------------------------------------- autograd's ways


def dense_network(**options):
    return sb.network(sb.dense_blocks(neuron=NEURON), la.Momentum(4), **options)


X = sb.spikes((6, 20, 7), density=0.4)


@pytest.mark.parametrize("frozen", [[0], [1], [2], [0, 1], [0, 2], [0, 1, 2]])
def test_frozen_blocks_have_no_gradient_and_others_the_same(frozen):
    net = dense_network()
    net(X).sum().backward()
    whole = grads(net)
    net.zero_grad(set_to_none=True)
    for k in frozen:
        net.blocks[k].synapse.weight.requires_grad_(False)
    x = X.clone().requires_grad_()
    net(x).sum().backward()
    for k, (block, want) in enumerate(zip(net.blocks, whole, strict=True)):
        got = block.synapse.weight.grad
        assert got is None if k in frozen else torch.equal(got, want)
    assert x.grad.any()


def test_biases_alone_learn():
    graph = la.Graph(
        (4,), [la.Population("p", (3,), 100, 100, 40, np.arange(3))],
        [la.Dense(la.INPUT, 0, np.arange(12).reshape(3, 4) * 5)],
    )  # fmt: skip
    net = async_slayer.Network.from_graph(graph, tau_grad=0.5)
    x = sb.spikes((3, 4, 5))
    net(x).sum().backward()
    want = net.blocks[0].bias.grad.clone()
    net.zero_grad()
    net.blocks[0].synapses[0].weight.requires_grad_(False)
    net(x).sum().backward()
    assert want.any() and torch.equal(net.blocks[0].bias.grad, want)


def test_nothing_to_learn_has_no_gradient():
    net = dense_network()
    want = net(X)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    y = net(X)
    assert torch.equal(y, want) and not y.requires_grad


def test_two_batches_accumulate_to_their_sum():
    net = dense_network()
    ids = np.arange(6)
    net(X, sample_ids=ids).sum().backward()
    whole = grads(net)
    net.zero_grad()
    for here in (slice(0, 2), slice(2, 6)):
        net(X[here], sample_ids=ids[here]).sum().backward()
    for got, want in zip(grads(net), whole, strict=True):
        assert_close(got.numpy(), want.numpy(), 1e-5)


@pytest.mark.parametrize("schedule", [la.Momentum(4), la.Mixture([la.Fifo(2), la.LayerSync()])])
@pytest.mark.parametrize("drop", [0.0, 0.4])
def test_gradient_by_the_input(schedule, drop):
    """Of inputs that dropout takes, spikes or not, there is none."""
    net = graph_network(schedule, input_dropout=drop)
    x, ids = sb.spikes((4, 10, 6), density=0.5).requires_grad_(), np.arange(4)
    _, spikes = net(x, sample_ids=ids, return_spikes=True)
    by_spikes = np.random.default_rng(7).normal(size=spikes.shape)
    spikes.backward(torch.from_numpy(by_spikes).float())
    _, _, want = by_definition(net, x.detach(), by_spikes, ids)
    assert np.abs(want).max() > 0
    assert_close(x.grad.numpy(), want, 1e-5)
    assert not drop or 0.2 < (x.grad == 0).float().mean() < 0.7


def test_a_float64_module_has_the_same_gradient():
    net = dense_network()
    y = net(X)
    y.sum().backward()
    found = grads(net)
    net.zero_grad()
    net.double()
    other = net(X)
    assert other.dtype == torch.float64 and torch.equal(other, y.double())
    other.sum().backward()
    for got, want in zip(grads(net), found, strict=True):
        assert got.dtype == torch.float64
        assert_close(got.numpy(), want.numpy(), 1e-5)


TYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16,
    torch.bfloat16, torch.float32, torch.float64,
]  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_inputs_of_any_type(dtype):
    x = X.clamp(max=1) if dtype == torch.bool else X
    net = dense_network()
    want = net(x, sample_ids=range(6))
    want.sum().backward()
    gradient = grads(net)
    net.zero_grad()
    got = net(x.to(dtype), sample_ids=range(6))
    got.sum().backward()
    assert got.dtype == torch.float32 and torch.equal(got, want)
    for a, b in zip(grads(net), gradient, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.permute(2, 1, 0).contiguous().permute(2, 1, 0),
        lambda x: torch.stack([x, x + 1], -1)[..., 0],
        lambda x: torch.cat([x[:, :1], x], 1)[:, 1:],
        lambda x: x[:1].expand(6, -1, -1),
        lambda x: x.flip(0),
    ],
)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_inputs_in_any_order_of_memory(view, dtype):
    x = view(X.to(dtype))
    ids = np.arange(6)
    net = dense_network()
    assert torch.equal(net(x, sample_ids=ids), net(x.clone(memory_format=torch.contiguous_format),
                                                   sample_ids=ids))


def test_autocast_changes_nothing():
    net = dense_network()
    want = net(X, sample_ids=range(6))
    want.sum().backward()
    gradient = grads(net)
    net.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        got = net(X, sample_ids=range(6))
        loss = got.sum()
    loss.backward()
    assert got.dtype == torch.float32 and torch.equal(got, want)
    for a, b in zip(grads(net), gradient, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("quiet", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_without_gradients_the_spikes_are_the_same(schedule, quiet):
    net = graph_network(schedule)
    x = sb.spikes((5, 10, 6), density=0.5)
    want = net(x, sample_ids=range(5), return_spikes=True)
    with quiet():
        got = net(x, sample_ids=range(5), return_spikes=True)
    assert not got[0].requires_grad
    for a, b in zip(got, want, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("schedule", [la.Momentum(3), la.Random(2), la.LayerSync()], ids=repr)
def test_without_gradients_populations_are_packed(schedule, monkeypatch):
    """Passes with and without gradients follow each other, from any size on."""
    monkeypatch.setattr(_lowering, "_PACKED_FROM", 1)
    asked = []

    def noted_state(graph, slots, packed):
        asked.append(packed.tolist())
        return new_state(graph, slots, packed)

    monkeypatch.setattr(training_batch, "new_state", noted_state)
    net = sb.network(sb.conv_blocks(), schedule)
    for seed, density in enumerate((0.05, 0.3, 0.05)):
        x = sb.spikes((5, 2, 7, 6, 6), seed, density)
        want = net(x, sample_ids=range(5), return_spikes=True)
        with torch.no_grad():
            got = net(x, sample_ids=range(5), return_spikes=True)
        assert want[1].requires_grad and want[1].any()
        for a, b in zip(got, want, strict=True):
            assert torch.equal(a, b)
    # None of them where there is a tape; else not the last, which whole rows of weights reach.
    assert {tuple(packed) for packed in asked} == {(False,) * 4, (True, True, True, False)}


def test_a_copy_after_a_forward_pass_is_its_own():
    net = dense_network()
    y = net(X, sample_ids=range(6))
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.blocks[0].synapse.weight.mul_(-1)
    other = twin(X, sample_ids=range(6))
    assert not torch.equal(other, y)
    other.sum().backward()
    assert all(p.grad is None for p in trained(net))
    y.sum().backward()
    again = dense_network()
    again(X, sample_ids=range(6)).sum().backward()
    for got, want in zip(grads(net), grads(again), strict=True):
        assert torch.equal(got, want)


def test_going_back_twice():
    net = dense_network()
    y = net(X)
    y.sum().backward(retain_graph=True)
    once = grads(net)
    y.sum().backward()
    for got, want in zip(grads(net), once, strict=True):
        assert torch.equal(got, 2 * want)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        (found,) = torch.autograd.grad(
            net(X).square().sum(), net.blocks[0].synapse.weight, create_graph=True
        )
        found.sum().backward()


def test_two_passes_before_going_back():
    net = dense_network()
    parts, single = [], []
    for here in (slice(0, 3), slice(3, 6)):
        net.zero_grad()
        net(X[here]).sum().backward()
        single.append(grads(net))
    net.zero_grad()
    parts = [net(X[here]) for here in (slice(0, 3), slice(3, 6))]
    (parts[0].sum() + parts[1].sum()).backward()
    for got, *want in zip(grads(net), *single, strict=True):
        assert_close(got.numpy(), sum(want).numpy(), 1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_weights_that_change_before_going_back(schedule):
    """The gradient is that of the pass, with the weights that it had."""
    ids = np.arange(4)
    x = sb.spikes((4, 10, 6), density=0.5)

    def gradient(change):
        net = graph_network(schedule)
        y = net(x, sample_ids=ids)
        if change:
            with torch.no_grad():
                for block in list(net.blocks)[:2]:  # weight norm keeps its own, and says so
                    block.synapse.weight.mul_(-3)
        y.sum().backward()
        return grads(net)

    for got, want in zip(gradient(True), gradient(False), strict=True):
        assert torch.equal(got, want)


def as_it_is(weight, descale=False):
    """A quantizer of weights that are whole numbers."""
    return weight if descale else weight / 64


def test_quantizers_may_give_the_weights_themselves():
    found = []
    for change in (False, True):
        net = dense_network()
        with torch.no_grad():
            for block in net.blocks:
                block.synapse.pre_hook_fx = as_it_is
                block.synapse.weight.mul_(64).round_().clamp_(-256, 254)
        y = net(X, sample_ids=range(6))
        if change:
            with torch.no_grad():
                for block in net.blocks:
                    block.synapse.weight.zero_()
        y.sum().backward()
        found.append(grads(net))
    for got, want in zip(*found, strict=True):
        assert want.any() and torch.equal(got, want)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_it_takes_as_many_threads_as_torch(threads, monkeypatch):
    seen, run = [], training.Trainer.run

    def watched(self, *arguments, **options):
        seen.append(options["team"].size)
        return run(self, *arguments, **options)

    monkeypatch.setattr(training.Trainer, "run", watched)
    net, before = dense_network(), torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        y = net(X.repeat(9, 1, 1), sample_ids=range(54))
        y.sum().backward()
    finally:
        torch.set_num_threads(before)
    assert seen == [threads]
    again = dense_network()
    again(X.repeat(9, 1, 1), sample_ids=range(54)).sum().backward()
    for got, want in zip(grads(net), grads(again), strict=True):
        assert torch.equal(got, want)


def test_an_own_schedule_is_what_it_says():
    """By the definition: the same as the compiled Fifo."""
    found = []
    for schedule in (OwnFifo(3), la.Fifo(3)):
        net = graph_network(schedule)
        y, spikes = net(sb.spikes((4, 10, 6), density=0.5), return_spikes=True)
        (y.sum() + (spikes * spikes).sum()).backward()
        found.append((spikes, grads(net)))
    assert torch.equal(found[0][0], found[1][0])
    for got, want in zip(found[0][1], found[1][1], strict=True):
        assert_close(got.numpy(), want.numpy(), 1e-5)


# ---------------------------------------------------------------- what else it returns


@pytest.mark.parametrize("count_log", [False, True])
@pytest.mark.parametrize("penalised", [False, True])
@pytest.mark.parametrize("return_spikes", [False, True])
def test_what_a_network_returns(return_spikes, penalised, count_log):
    blocks = sb.dense_blocks(neuron=NEURON, count_log=count_log)
    net = sb.network(
        blocks, penalty=async_slayer.SpikePenalty() if penalised else None
    )
    result = net(X, sample_ids=range(6), return_spikes=return_spikes)
    record = la.simulate(net.graph(), X.numpy(), sample_ids=range(6))
    if not (return_spikes or penalised or count_log):
        result = (result,)
    y, *more = result
    np.testing.assert_array_equal(y.detach().numpy(), record.spikes)
    if return_spikes:
        np.testing.assert_array_equal(more.pop(0).detach().numpy(), record.all_spikes)
    if penalised:
        penalty = more.pop(0)
        assert penalty.shape == () and penalty.requires_grad
        assert float(penalty) == pytest.approx(record.all_spikes.sum((1, 2)).mean())
    if count_log:
        counts = more.pop(0)
        graph = net.graph()
        want = [record.all_spikes[:, graph.slice(p)].mean() for p in range(3)]
        assert not counts.requires_grad
        np.testing.assert_allclose(counts.numpy(), [want], rtol=1e-6)
    assert not more


@pytest.mark.parametrize("count_log", [False, True])
@pytest.mark.parametrize("lam", [None, 0.01])
@pytest.mark.parametrize("schedule", [la.Momentum(4), la.LayerSync()])
def test_assistant_trains(schedule, lam, count_log):
    """A step of SLAYER's assistant is the same step by hand; several of them learn."""
    def build():
        net = sb.network(
            sb.dense_blocks(neuron=NEURON, count_log=count_log), schedule,
            penalty=None if lam is None else async_slayer.SpikePenalty(),
        )  # fmt: skip
        return net, torch.optim.Adam(net.parameters(), lr=0.02)

    loss = slayer.loss.SpikeRate(0.8, 0.05, reduction="sum")
    label = torch.tensor([0, 1, 2, 3, 0, 1])
    stats = slayer.utils.LearningStats()
    net, optimizer = build()
    assistant = slayer.utils.Assistant(
        net, loss, optimizer, stats, slayer.classifier.Rate.predict, count_log, lam
    )
    output = assistant.train(X, label)
    assert isinstance(output, tuple) == count_log
    twin, other = build()
    result = twin(X)
    y, *more = result if isinstance(result, tuple) else (result,)
    total = loss(y, label) + (0 if lam is None else lam * more[0])
    total.backward()
    other.step()
    for a, b in zip(trained(net), trained(twin), strict=True):
        assert torch.equal(a, b)
    losses = []
    for _ in range(25):
        stats.update()
        assistant.train(X, label)
        losses.append(stats.training.loss)
    assistant.test(X, label)
    assert losses[-1] < 0.7 * losses[0]


def test_a_penalty_has_the_gradient_of_the_spikes_that_it_counts():
    net = graph_network(la.Momentum(3), penalty=lambda spikes: (spikes[:, 3:7] * 2).sum())
    x, ids = sb.spikes((4, 10, 6), density=0.5), np.arange(4)
    _, penalty = net(x, sample_ids=ids)
    penalty.backward()
    by_spikes = np.zeros((4, 18, 6))
    by_spikes[:, 3:7] = 2
    _, wanted, _ = by_definition(net, x, by_spikes, ids)
    for parameter, want in zip(trained(net), wanted, strict=True):
        assert_close(parameter.grad.numpy(), want.numpy(), 1e-5)


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    "options, says",
    [
        ({"gradient": "Decisive"}, "gradient: expected 'decisive' or 'unrolled'"),
        ({"gradient": None}, "gradient: expected 'decisive' or 'unrolled'"),
        ({"reset": "none"}, "reset: expected one of through, detached, full"),
        ({"reset": True}, "reset: expected one of through, detached, full"),
        ({"reset": "through", "gradient": "unrolled"}, "reset: expected \"detached\" or \"full\""),
        ({"refractory_dropout": 0.1}, "refractory_dropout: expected none, or gradient="),
        ({"credit": async_slayer.Carried()}, "credit: expected none, or gradient="),
        ({"max_forward_steps": 0}, "max_forward_steps: expected an integer"),
        ({"penalty": 0.1}, "penalty: expected a callable"),
        ({"penalty": "spikes"}, "penalty: expected a callable"),
        ({"stop_after": -1}, "stop_after: expected None or an integer"),
        ({"stop_after": 1.5}, "stop_after: expected None or an integer"),
        ({"stop_after": True}, "stop_after: expected None or an integer"),
        ({"stop_after": 2, "schedule": la.LayerSync()}, "stop_after: expected None: layer"),
        ({"stop_after": 2, "gradient": "unrolled"}, "stop_after: expected None, or gradient="),
        ({"surrogate": "step"}, "surrogate: expected one of"),
        ({"input_dropout": 1.0}, "input: expected 0 <= p < 1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, says):
    with pytest.raises((ValidationError, UnsupportedError), match=says):
        async_slayer.Network(sb.dense_blocks(), **options)


@pytest.mark.parametrize(
    "schedule", [la.LayerSync(), la.Mixture([la.Momentum(), la.LayerSync()])], ids=repr
)
def test_early_decision_is_not_ignored_by_a_later_schedule(schedule):
    net = dense_network(stop_after=2)
    net.schedule = schedule
    with pytest.raises(ValidationError, match="stop_after: expected None: layer-synchronized"):
        net(X)
    net.stop_after = None
    net(X)
    with pytest.raises(ValidationError, match="stop_after: expected None: layer-synchronized"):
        net.stop_after = 2
    assert net.stop_after is None


def test_unrolled_still_takes_what_belongs_to_it():
    net = async_slayer.Network(
        sb.dense_blocks(), gradient="unrolled", credit=async_slayer.Carried(),
        refractory_dropout=0.1, detach_reset=True, reset="detached", max_forward_steps=50,
    )  # fmt: skip
    assert net.gradient == "unrolled"
