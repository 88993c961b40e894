"""`slayer.Network` on any directed graph: the same spikes, numbers and files as the graph's own."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from file_graphs import as_held, assert_same, file_graphs
from golden_graphs import NAMES, load_golden_graph
from lava_async import slayer as async_slayer
from lava_async._semantics import reference
from lava_async._semantics.dropout import Dropout
from lava_async.errors import UnsupportedError, ValidationError
from lava_async.slayer import forward, layered
from lava_async.slayer.neurons import Inexact
from random_networks import graphs, inputs, mixtures, schedules, single_schedules

IDS = np.array([5, 0, 4_000_000_000])


def from_graph(graph, schedule=None, **settings):
    return async_slayer.Network.from_graph(
        graph, schedule=schedule or la.Momentum(4), **settings
    )


@settings(max_examples=100, deadline=None)
@given(data=st.data(), schedule=schedules())
def test_forward_equals_the_reference(data, schedule):
    graph = data.draw(graphs())
    x = data.draw(inputs(graph))
    net = from_graph(graph, schedule).eval()
    y = net(torch.from_numpy(x), sample_ids=IDS[: len(x)])
    want = la.simulate(graph, x, schedule, backend="reference", sample_ids=IDS[: len(x)])
    np.testing.assert_array_equal(y.detach().numpy(), want.spikes)


@settings(max_examples=50, deadline=None)
@given(
    data=st.data(), schedule=single_schedules(), drop_input=st.sampled_from([0.0, 0.3]),
    drop_spike=st.sampled_from([0.0, 0.25]), drop_refractory=st.sampled_from([0.0, 0.3]),
    unrolled=st.booleans(),
)  # fmt: skip
def test_training_equals_the_reference_with_dropout(
    data, schedule, drop_input, drop_spike, drop_refractory, unrolled
):
    drop_refractory *= unrolled  # decisive knows none
    most = {"max_forward_steps": 100} if unrolled else {}
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph))
    dropout = Dropout(drop_input, drop_spike, drop_refractory, 7)
    net = from_graph(
        graph, schedule, input_dropout=drop_input, spike_dropout=drop_spike,
        refractory_dropout=drop_refractory, seed=7,
        gradient="unrolled" if unrolled else "decisive", **most,
    )  # fmt: skip
    arguments = {"sample_ids": IDS[: len(x)]}
    try:
        want = reference.run(
            graph, x, schedule, dropout=dropout, **most, **arguments
        )
    except la.errors.ForwardStepLimitError:  # strong recurrence that never rests
        with pytest.raises(la.errors.ForwardStepLimitError):
            net(torch.from_numpy(x), **arguments)
        return
    y = net(torch.from_numpy(x), **arguments)
    np.testing.assert_array_equal(y.detach().numpy(), want.spikes)


@settings(max_examples=100, deadline=None)
@given(file_graphs())
def test_graph_gives_back_the_graph(graph):
    net = async_slayer.Network.from_graph(graph)
    want = graph.replace(schedule=graph.schedule or la.Momentum())
    assert_same(as_held(net.graph()), as_held(want))


@settings(max_examples=50, deadline=None)
@given(graph=file_graphs())
def test_files_and_back(tmp_path_factory, graph):
    path = tmp_path_factory.mktemp("files") / "a.net"
    net = async_slayer.Network.from_graph(graph)
    net.export_hdf5(path)
    assert_same(as_held(la.load(path)), as_held(net.graph()))
    again = async_slayer.Network.from_hdf5(path)
    assert_same(as_held(again.graph()), as_held(net.graph()))


@pytest.mark.parametrize("name", NAMES)
def test_golden_graphs(name):
    case = load_golden_graph(name)
    if case.stop_after is not None:
        case = dataclasses.replace(case, stop_after=None)
        record = la.simulate(case.graph, case.x, case.schedule, backend="reference")
        wanted = record.all_spikes
    else:
        wanted = case.arrays["all_spikes"]
    for p in range(len(case.graph.populations)):
        net = from_graph(case.graph.replace(output=p), case.schedule)
        y = net(torch.from_numpy(case.x))
        np.testing.assert_array_equal(y.detach().numpy(), wanted[:, case.graph.slice(p)])


def gradients(net, x, by_spike):
    net.zero_grad()
    net(torch.from_numpy(x)).backward(torch.from_numpy(by_spike).float())
    return [p.grad.clone() for p in net.parameters() if p.requires_grad]


LAYERED = [n for n in NAMES if isinstance(load_golden_graph(n).schedule, la.LayerSync)]


@pytest.mark.parametrize("name", LAYERED)
def test_golden_gradient_of_layer_synchronization(name):
    """Skip and recurrent connections, delays, biases: backpropagation through time."""
    case = load_golden_graph(name)
    graph = case.graph
    filled = [
        dataclasses.replace(p, bias=np.zeros(p.shape) if p.bias is None else p.bias)
        for p in graph.populations
    ]
    net = from_graph(graph.replace(populations=tuple(filled)), case.schedule)
    for block in net.blocks:  # exp(-|V - θ| / 3000) / 3000 in membrane units
        block.neuron.tau_rho, block.neuron.scale_rho = 3000 / 4096 / 100, 20
    net(torch.from_numpy(case.x)).backward(
        torch.from_numpy(case.arrays["loss_gradient"]).float()
    )
    found = {}
    for p, block in enumerate(net.blocks):
        own = [k for k, c in enumerate(graph.connections) if c.target == p]
        for k, synapse in zip(own, block.synapses, strict=True):
            found[f"gradient_{k}"] = synapse.weight.grad.numpy() / 64
    bias = np.concatenate([block.bias.grad.numpy() / 64 for block in net.blocks])
    found["gradient_bias"] = bias
    for key, gradient in found.items():
        want = case.arrays[key]
        assert np.abs(want).max() > 0
        np.testing.assert_allclose(gradient, want, rtol=0, atol=1e-4 * np.abs(want).max())


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_both_ways_to_run_layers_agree(data):
    """SLAYER's, population by population, and the definition, time step by time step."""
    graph = data.draw(graphs())
    x = data.draw(inputs(graph))
    net = from_graph(graph, la.LayerSync(), tau_grad=0.02)
    by_spike = np.random.default_rng(0).normal(size=(len(x), *graph.out_shape, x.shape[-1]))

    def slow(*arguments):
        raise Inexact

    first, spikes = gradients(net, x, by_spike), net(torch.from_numpy(x))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forward.layered, "by_population", slow)
        second = gradients(net, x, by_spike)
        assert torch.equal(net(torch.from_numpy(x)), spikes)
    for a, b in zip(first, second, strict=True):
        scale = float(b.abs().max()) if b.numel() else 0
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.parametrize("recurrent", [False, True])
def test_feed_forward_graphs_run_slayers_neuron(recurrent, monkeypatch):
    """Also with skips, delays and biases: time step by time step only over recurrence."""
    rng = np.random.default_rng(0)

    def dense(source, target, delay=0):
        sizes = (5, 6, 4)
        return la.Dense(
            source, target, rng.integers(-60, 90, (sizes[target + 1], sizes[source + 1])),
            delay=delay,
        )

    populations = [
        la.Population("a", (6,), 900, 100, 30, rng.integers(-9, 9, 6)),
        la.Population("b", (4,), 2000, 50, 40),
    ]
    connections = [dense(-1, 0, 2), dense(0, 1, np.arange(6) % 3), dense(-1, 1)]
    if recurrent:
        connections.append(dense(1, 0))
    net = from_graph(la.Graph((5,), populations, connections), la.LayerSync(), gradient="unrolled")
    called = []
    run = layered.by_time_step

    def counted(*arguments):
        called.append(1)
        return run(*arguments)

    monkeypatch.setattr(forward.layered, "by_time_step", counted)
    x = sb.spikes((2, 5, 8))
    want = la.simulate(net.graph(), x.numpy(), backend="reference").spikes
    assert want.any()
    np.testing.assert_array_equal(net(x).detach().numpy(), want)
    assert bool(called) == recurrent


@settings(max_examples=20, deadline=None)
@given(data=st.data(), schedule=mixtures())
def test_batch_composition_does_not_matter(data, schedule):
    graph = data.draw(graphs(max_populations=2))
    net = from_graph(graph, schedule, spike_dropout=0.2)
    x, ids = sb.spikes((5, *graph.input_shape, 4)), np.array([9, 4, 4, 0, 8])
    whole = net(x, sample_ids=ids)
    for part in ([3], [4, 0], [2, 1, 4]):
        assert torch.equal(net(x[part], sample_ids=ids[part]), whole[part])


def test_each_epoch_draws_its_schedules_anew():
    mixture = la.Mixture([la.Momentum(1), la.LayerSync(), la.Random(2, 3)], seed=4)
    net = sb.network(sb.dense_blocks(), mixture)
    x = sb.spikes((16, 20, 6))
    first, second = net(x), net(x)
    assert (mixture.draw(np.arange(16)) != mixture.draw(np.arange(16, 32))).any()
    for y, ids in ((first, np.arange(16)), (second, np.arange(16, 32))):
        want = la.simulate(net.graph(), x.numpy(), sample_ids=ids, backend="reference").spikes
        np.testing.assert_array_equal(y.detach().numpy(), want)
    y.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters() if p.requires_grad)


@dataclasses.dataclass(frozen=True)
class OwnSchedule(la.AsyncSchedule):
    """By momentum over threshold in even time steps, by index from the last on in odd ones.

    It depends on all that it is told, and its sample must be one number.
    """

    def priorities(self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step):
        assert isinstance(sample, int) and np.ndim(time_step) == np.ndim(forward_step) == 0
        if (time_step + sample) % 2:
            return neurons + forward_step
        return momenta / (thresholds + 1) - fired_at


@settings(max_examples=30, deadline=None)
@given(data=st.data(), group_size=st.sampled_from([1, 2, 5]))
def test_a_schedule_of_ones_own(data, group_size):
    graph = data.draw(graphs(max_populations=3))
    x = data.draw(inputs(graph))
    schedule = la.Mixture([OwnSchedule(group_size), la.Fifo(group_size)])
    net = from_graph(graph, schedule)
    y = net(torch.from_numpy(x), sample_ids=IDS[: len(x)])
    want = la.simulate(graph, x, schedule, backend="reference", sample_ids=IDS[: len(x)])
    np.testing.assert_array_equal(y.detach().numpy(), want.spikes)


def test_a_schedule_that_builds_on_momentum_has_its_own_priorities():
    @dataclasses.dataclass(frozen=True)
    class Slowest(la.Momentum):
        def priorities(self, neurons, momenta, *others):
            return -momenta.astype(float)

    net = sb.network(sb.dense_blocks(), Slowest(1), input_shape=(20,))
    x = sb.spikes((4, 20, 6))
    want = la.simulate(net.graph(), x.numpy(), backend="reference").spikes
    np.testing.assert_array_equal(net(x).detach().numpy(), want)
    net.schedule = la.Momentum(1)
    assert not torch.equal(net(x), torch.from_numpy(want).float())


def test_wrong_priorities_are_named():
    @dataclasses.dataclass(frozen=True)
    class Wrong(la.AsyncSchedule):
        def priorities(self, neurons, *others):
            return np.full(len(neurons), np.nan)

    with pytest.raises(la.errors.ExecutionError, match=r"Wrong\.priorities: result: expected"):
        sb.network(sb.dense_blocks(), Wrong())(sb.spikes((1, 20, 5)))


# Which blocks a graph becomes


def test_blocks_of_slayer_where_they_can_say_it(tmp_path):
    path = tmp_path / "a.net"
    blocks = sb.conv_blocks()
    sb.network(blocks, input_shape=(2, 7, 6)).export_hdf5(path)
    net = async_slayer.Network.from_hdf5(path)
    assert [type(b) for b in net.blocks] == [type(b) for b in blocks]
    shapeless = sb.network(
        [cuba.Input(delay_shift=False), cuba.Flatten(), *sb.dense_blocks((18, 4))],
        input_shape=(2, 3, 3),
    )
    again = async_slayer.Network.from_graph(shapeless.graph())
    assert [type(b).__name__ for b in again.blocks] == ["Input", "Flatten", "Dense"]
    again.load_state_dict(shapeless.state_dict())


def test_a_block_of_our_own_elsewhere():
    rng = np.random.default_rng(1)
    populations = [
        la.Population("plain", (4,), 100, 100, 50),
        la.Population("two sources", (4,), 100, 100, 50),
        la.Population("biased", (3,), 100, 100, 50, [1, -2, 3]),
        la.Population("never", (3,), 100, 100, 1 << 17),
    ]
    connections = [
        la.Dense(-1, 0, rng.integers(-9, 9, (4, 5))),
        la.Dense(0, 1, rng.integers(-9, 9, (4, 4))),
        la.Dense(1, 1, rng.integers(-9, 9, (4, 4)), delay=2),
        la.Dense(1, 2, rng.integers(-9, 9, (3, 4)), delay=[1, 0, 0, 3]),
        la.Dense(2, 3, rng.integers(-9, 9, (3, 3))),
    ]
    net = from_graph(la.Graph((5,), populations, connections))
    kinds = [type(block) for block in net.blocks]
    assert kinds == [cuba.Dense, *[async_slayer.Population] * 3]
    assert [len(block.synapses) for block in net.blocks[1:]] == [2, 1, 1]
    names = {name for name, _ in net.named_parameters()}
    assert {"blocks.1.synapses.1.weight", "blocks.2.bias"} <= names
    assert "Population" in repr(net) and "dense, (4, 4)" in repr(net)


def test_odd_weights_are_trained_in_ones():
    weight = np.array([[1, 2, 3], [-256, 254, 0]])
    populations = [la.Population("p", (2,), 4096, 4096, 50)]
    for number, step in ((weight, 1), (2 * (weight // 2), 2)):
        graph = la.Graph((3,), populations, [la.Dense(-1, 0, number)])
        net = from_graph(graph)
        with torch.no_grad():
            net.blocks[0].synapse.weight += 0.7 / 64
        got = net.graph().connections[0].weight
        want = np.round((number + 0.7) / step) * step
        np.testing.assert_array_equal(got, np.minimum(want, 254))
        net(sb.spikes((2, 3, 5))).sum().backward()
        assert net.blocks[0].synapse.weight.grad.any()


@pytest.mark.parametrize("value", [-4096, 4095])
def test_biases_keep_their_range(value):
    population = la.Population("p", (2,), 100, 100, 50, [value, 0])
    net = from_graph(la.Graph((3,), [population], [la.Dense(-1, 0, np.ones((2, 3)))]))
    assert net.graph().populations[0].bias.tolist() == [value, 0]
    with torch.no_grad():
        net.blocks[0].bias *= 2
    assert net.graph().populations[0].bias.tolist() == [value, 0]


def test_an_untrainable_threshold_of_zero_has_a_gradient():
    """SLAYER's surrogate would divide by the threshold."""
    net = from_graph(
        la.Graph((3,), [la.Population("p", (2,), 0, 0, 0)], [la.Dense(-1, 0, np.eye(2, 3))])
    )
    for schedule in (la.Momentum(2), la.LayerSync()):
        net.schedule = schedule
        net.zero_grad()
        net(sb.spikes((2, 3, 4))).sum().backward()
        grad = net.blocks[0].synapses[0].weight.grad
        assert grad.isfinite().all() and grad.any()


def test_populations_of_any_rank():
    graph = la.Graph(
        (2, 3), [la.Population("p", (3, 2), 100, 100, 20)], [la.OneToOne(-1, 0, 30)]
    )
    x = sb.spikes((2, 2, 3, 5))
    want = la.simulate(graph, x.numpy(), la.Momentum(4), backend="reference").spikes
    y = from_graph(graph)(x)
    assert y.shape == (2, 3, 2, 5) and y.sum() > 0
    np.testing.assert_array_equal(y.detach().numpy(), want)


def test_from_graph_leaves_torchs_generator_alone():
    graph = sb.network(sb.dense_blocks(), input_shape=(20,)).graph()
    state = torch.get_rng_state()
    net = async_slayer.Network.from_graph(graph)
    net.graph()
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(la.errors.ValidationError, match="graph: expected a Graph"):
        async_slayer.Network.from_graph(net)


def test_gradient_reaches_every_kind_of_edge():
    """Delayed, recurrent, sparse, one to one, and beyond the output's own delay."""
    import scipy.sparse

    rng = np.random.default_rng(3)
    populations = [la.Population(n, (6,), 1000, 300, 40, rng.integers(0, 4, 6)) for n in "abc"]
    matrix = scipy.sparse.coo_matrix(rng.integers(-60, 90, (6, 6)) * (rng.random((6, 6)) < 0.6))
    connections = [
        la.Dense(-1, 0, rng.integers(-60, 90, (6, 6))),
        la.Sparse(0, 1, matrix, delay=[0, 1, 2, 0, 1, 2]),
        la.OneToOne(1, 2, 70),
        la.Dense(2, 0, rng.integers(-60, 90, (6, 6)), delay=1),
        la.Sparse(1, 1, matrix),
    ]
    graph = la.Graph((6,), populations, connections, output_delay=1)
    x = sb.spikes((3, 6, 12), density=0.5)
    for schedule in (la.Momentum(2), la.LayerSync()):
        net = from_graph(graph, schedule, tau_grad=0.05)
        y = net(x)
        assert not y[..., 0].any()
        y.sum().backward()
        for name, p in net.named_parameters():
            assert not p.requires_grad or p.grad.abs().sum() > 0, (name, schedule)


def _reading(order):
    """A graph whose neurons see the inputs in this order, one each."""
    size = len(order)
    synapses = la.Sparse(la.INPUT, 0, scipy.sparse.coo_matrix(120 * np.eye(size, dtype=int)[order]))
    return la.Graph((size,), (la.Population("p", (size,), 1000, 800, 70),), (synapses,), 0)


@pytest.mark.parametrize("schedule", [la.LayerSync(), la.Momentum(3)])
def test_a_synapse_that_takes_anothers_place_is_seen(schedule):
    first, second = _reading([0, 1, 2, 3]), _reading([2, 0, 3, 1])
    net = async_slayer.Network.from_graph(first, schedule=schedule)
    other = async_slayer.Network.from_graph(second).blocks[0].synapses[0]
    x = np.random.default_rng(0).integers(0, 2, (3, 4, 9))
    for graph, synapse in [(first, net.blocks[0].synapses[0]), (second, other)]:
        net.blocks[0].synapses[0] = synapse
        want = la.simulate(graph, x, schedule).spikes
        assert want.any()
        np.testing.assert_array_equal(net(torch.from_numpy(x)).detach().numpy(), want)
        np.testing.assert_array_equal(la.simulate(net.graph(), x).spikes, want)
    net.blocks[0].synapses.append(other)
    with pytest.raises(ValidationError, match=r"blocks\[0\] \(Population\): sources: expected 2"):
        net.graph()
    net.blocks[0].synapses = torch.nn.ModuleList([torch.nn.Linear(4, 4)])
    with pytest.raises(UnsupportedError, match=r"blocks\[0\] \(Population\): synapse: expected"):
        net.graph()
