"""`slayer.Network(blocks, sources=…)`: skip and recurrent edges between blocks of SLAYER."""

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from exact_blocks import assert_same_everywhere
from file_graphs import as_held, assert_same
from lava_async import slayer as async_slayer
from lava_async.errors import FileFormatError, GraphError, UnsupportedError, ValidationError
from random_networks import schedules

OFF = {"delay_shift": False, "weight_scale": 8}


def dense(inputs, outputs, seed=0):
    return sb.seeded(cuba.Dense, dict(sb.NEURON), inputs, outputs, seed=seed, **OFF)


def conv(inputs, outputs, kernel=3, seed=0, **settings):
    settings.setdefault("padding", kernel // 2)
    return sb.seeded(cuba.Conv, dict(sb.NEURON), inputs, outputs, kernel, seed=seed, **settings,
                     **OFF)  # fmt: skip


def late(spikes, steps):
    """SLAYER's spikes (N, ..., T), some time steps later."""
    shifted = torch.zeros_like(spikes)
    shifted[..., steps:] = spikes[..., : spikes.shape[-1] - steps]
    return shifted


def numbers(graph):
    return [(c.source, c.target, np.asarray(c.delay).tolist()) for c in graph.connections]


def test_the_documented_example():
    """A skip connection and a recurrent one, three time steps late."""
    blocks = [dense(20, 12), dense(12 + 5, 8, 1), dense(8 + 12, 5, 2)]
    net = sb.network(
        blocks, sources={2: [1, 0], 1: [0, (2, 3)]}, input_shape=(20,)
    )
    graph = net.graph()
    assert numbers(graph) == [(-1, 0, 0), (0, 1, 0), (2, 1, 3), (1, 2, 0), (0, 2, 0)]
    whole = np.concatenate([graph.connections[1].weight, graph.connections[2].weight], 1)
    own = blocks[1].synapse.weight.detach().squeeze().numpy()
    np.testing.assert_array_equal(whole, (2 * np.round(own * 32)).clip(-256, 254))
    x = sb.spikes((4, 20, 9))
    for schedule in (la.Momentum(3), la.Random(2, 1), la.Fifo(2), la.LayerSync()):
        net.schedule = schedule
        y = net(x, sample_ids=np.arange(4))
        want = la.simulate(net.graph(), x.numpy(), backend="reference").spikes
        assert want.any()
        np.testing.assert_array_equal(y.detach().numpy(), want)
        net.zero_grad()
        y.sum().backward()
        assert all(b.synapse.weight.grad.abs().sum() > 0 for b in blocks)


@pytest.mark.parametrize("groups", [1, 2])
def test_concatenated_channels_are_what_slayers_blocks_would_see(groups):
    """Skips and delays under layer synchronization, against the blocks called one by one."""
    blocks = [conv(2, 3), conv(3, 5, seed=1), conv(8, 6, groups=groups, seed=2), cuba.Flatten(),
              dense(6 * 42 + 3 * 42 + 84, 7, 3)]  # fmt: skip
    net = sb.network(
        blocks, la.LayerSync(), sources={2: [(1, 2), 0], 3: [2, (0, 1), la.INPUT]}
    )
    x = sb.spikes((3, 2, 7, 6, 8))
    a = blocks[0](x)
    b = blocks[1](a)
    c = blocks[2](torch.cat([late(b, 2), a], 1))
    flat = torch.cat([y.flatten(1, 3) for y in (c, late(a, 1), x)], 1)
    want = blocks[4](flat)
    assert want.sum() > 0 and c.sum() > 0
    y = net(x)
    assert torch.equal(y, want)
    want.sum().backward()
    grads = [b.synapse.weight.grad.clone() for b in blocks if hasattr(b, "synapse")]
    net.zero_grad()
    y.sum().backward()
    for block, grad in zip([b for b in blocks if hasattr(b, "synapse")], grads, strict=True):
        torch.testing.assert_close(block.synapse.weight.grad, grad, rtol=1e-4, atol=1e-6)
    kinds = [type(connection) for connection in net.graph().connections]
    split = la.Conv if groups == 1 else la.Sparse
    assert kinds == [la.Conv, la.Conv, split, split, la.Dense, la.Dense, la.Dense]


def test_groups_have_the_synapses_that_there_are():
    blocks = [conv(2, 3), conv(2, 1, seed=1), conv(4, 4, groups=2, padding=0, seed=2)]
    net = sb.network(blocks, sources={1: [la.INPUT], 2: [0, 1]}, input_shape=(2, 5, 5))
    graph = net.graph()
    whole = la.Conv(-1, 0, np.ones((4, 2, 3, 3)), groups=2).fan_out((4, 5, 5)).reshape(4, 5, 5)
    parts = [c.fan_out(graph.source_shape(c)) for c in graph.connections[2:]]
    np.testing.assert_array_equal(np.concatenate(parts), whole.reshape(-1))
    # The first source has all of group 0, and with the second half of group 1.
    sparse, half = graph.connections[2].weight, 2 * 9
    assert sparse.target[sparse.source < 50].max() < half
    assert sparse.target[sparse.source >= 50].min() >= half


@settings(max_examples=15, deadline=None)
@given(
    data=st.data(), schedule=schedules(), groups=st.sampled_from([1, 2]),
    stride=st.sampled_from([1, 2]),
)  # fmt: skip
def test_any_edges_equal_the_reference(data, schedule, groups, stride):
    """Blocks in a row, each of which may also see any other, late or not."""
    delays = st.integers(0, 3)

    def sources(before, channels):
        extra = data.draw(st.lists(st.sampled_from(sorted(channels)), max_size=2))
        seen = [before, *extra]
        return [(i, data.draw(delays)) for i in seen], sum(channels[i] for i in seen)

    # Channels of blocks that keep the frame's size, and so can be seen by one another.
    channels = {la.INPUT: 2, 0: 4, 1: 2}
    first, seen_by_first = sources(la.INPUT, channels)
    second, seen_by_second = sources(0, channels)
    seen_by_second += seen_by_second % groups
    if seen_by_second != sum(channels[i] for i, _ in second):
        groups = 1
        seen_by_second = sum(channels[i] for i, _ in second)
    last = data.draw(st.lists(st.sampled_from([la.INPUT, 0, 1]), min_size=1, max_size=3))
    blocks = [
        conv(seen_by_first, 4), conv(seen_by_second, 2, groups=groups, seed=1),
        conv(sum(channels[i] for i in last), 3, stride=stride, seed=2), cuba.Flatten(),
        dense(3 * (36 if stride == 1 else 9) + 5, 5, 3),
    ]  # fmt: skip
    net = sb.network(
        blocks, schedule, input_shape=(2, 6, 6), output=(data.draw(st.integers(0, 4)), 1),
        sources={0: first, 1: second, 2: last, 4: [3, (4, data.draw(delays))]},
    )  # fmt: skip
    x, ids = sb.spikes((2, 2, 6, 6, 5), data.draw(st.integers(0, 99))), np.array([7, 1])
    want = la.simulate(net.graph(), x.numpy(), backend="reference", sample_ids=ids).spikes
    got = net(x, sample_ids=ids).detach().numpy()
    np.testing.assert_array_equal(got.reshape(want.shape), want)


def test_one_block_that_sees_itself():
    net = sb.network([dense(20 + 6, 6)], sources={0: [la.INPUT, 0]}, input_shape=(20,))
    assert numbers(net.graph()) == [(-1, 0, 0), (0, 0, 0)]
    x = sb.spikes((2, 20, 6))
    for schedule in (la.Momentum(2), la.LayerSync()):
        net.schedule = schedule
        want = la.simulate(net.graph(), x.numpy(), backend="reference").spikes
        np.testing.assert_array_equal(net(x).detach().numpy(), want)


def test_a_delay_for_each_neuron():
    delay = np.arange(12) % 4
    net = sb.network(
        [dense(20, 12), dense(12, 4, 1)], sources={1: [(0, delay)]}, input_shape=(20,)
    )
    assert numbers(net.graph())[1] == (0, 1, delay.tolist())


def test_delays_add_up_over_blocks_without_neurons():
    blocks = [cuba.Input(delay_shift=False), conv(2, 3), cuba.Flatten(), dense(3 * 25 + 50, 4)]
    each = np.arange(125) % 3
    net = sb.network(
        blocks, sources={1: [(0, 1)], 2: [1, (0, 5)], 3: [(2, each)]}, input_shape=(2, 5, 5)
    )
    assert numbers(net.graph()) == [
        (-1, 0, 1), (0, 1, each[:75].tolist()), (-1, 1, (each[75:] + 5).tolist()),
    ]  # fmt: skip


@pytest.mark.parametrize("output", [0, -2, (0, 2), (1, [0, 1, 2] * 4)])
def test_any_block_may_be_the_output(output):
    blocks = sb.dense_blocks((20, 12, 12, 4))
    net = sb.network(blocks, output=output)
    x = sb.spikes((3, 20, 8))
    for schedule in (la.Momentum(2), la.LayerSync()):
        net.schedule = schedule
        y = net(x)
        want = la.simulate(net.graph(), x.numpy(), backend="reference").spikes
        assert y.shape == (3, 12, 8) and want.any()
        np.testing.assert_array_equal(y.detach().numpy(), want)


def test_the_gradient_of_a_delayed_output_is_shifted_back():
    blocks = sb.dense_blocks((20, 12, 4), neuron={**sb.NEURON, "tau_grad": 0.02})
    x = sb.spikes((3, 20, 8))
    weight = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0))
    grads = []
    for output, by_spike in (((-1, 2), weight), (-1, late(weight.flip(-1), 2).flip(-1))):
        net = sb.network(blocks, la.Momentum(3), output=output)
        net.zero_grad()
        (net(x) * by_spike).sum().backward()
        grads.append([b.synapse.weight.grad.clone() for b in blocks])
    for a, b in zip(*grads, strict=True):
        assert torch.equal(a, b) and a.any()


def test_files_and_checkpoints(tmp_path):
    def build(seed):
        blocks = [dense(20, 12, seed), dense(12 + 5, 8, seed + 1), dense(8 + 12, 5, seed + 2)]
        return sb.network(
            blocks, sources={2: [1, 0], 1: [0, (2, 3)]}, input_shape=(20,), output=(1, 2)
        )

    net = build(0)
    net.export_hdf5(tmp_path / "a.net")
    assert_same(as_held(la.load(tmp_path / "a.net")), as_held(net.graph()))
    other = build(5)
    other.load_state_dict(net.state_dict())
    assert_same(other.graph(), net.graph())


@pytest.mark.parametrize(
    "sources, message",
    [
        ([0], r"Network: sources: expected a dict of lists.* \(got list\)"),
        ({3: [0]}, r"Network: sources: expected .*0\.\.2 \(got \[3\]\)"),
        ({-1: [0]}, r"Network: sources: expected a dict of lists"),
        ({True: [0]}, r"Network: sources: expected a dict of lists"),
        ({1: 0}, r"blocks\[1\] \(Dense\): sources: expected a list of blocks' indices"),
        ({1: (0, 2)}, r"blocks\[1\] \(Dense\): sources: expected a list"),
        ({1: [3]}, r"blocks\[1\] \(Dense\): sources: expected a list.*0\.\.2.*\(got \[3\]\)"),
        ({1: [0.5]}, r"blocks\[1\] \(Dense\): sources: expected a list"),
        ({1: ["0"]}, r"blocks\[1\] \(Dense\): sources: expected a list"),
        ({1: [(0, 1, 2)]}, r"blocks\[1\] \(Dense\): sources: expected a list"),
        ({1: []}, r"blocks\[1\] \(Dense\): sources: expected at least one"),
        ({1: [(0, 63)]}, r"blocks\[1\] \(Dense\): sources: delay: expected an integer in 0\.\.62"),
        ({1: [(0, -1)]}, r"sources: delay: expected an integer in 0\.\.62"),
        ({1: [(0, "1")]}, r"sources: delay: expected one integer"),
        ({1: [(0, [1, 2])]}, r"delay: expected one, or 12, one for each source \(got 2\)"),
        ({1: [0, 2]}, r"blocks\[1\] \(Dense\): input shape: expected of 12 channels in all"),
        ({1: [la.INPUT]}, r"blocks\[1\] \(Dense\): input shape: expected \(12,\) \(got \(20,\)\)"),
    ],
)
def test_wrong_sources_are_named(sources, message):
    with pytest.raises(ValidationError, match=message):
        sb.network(sb.dense_blocks(), sources=sources, input_shape=(20,))


@pytest.mark.parametrize("output", [3, -4, 0.5, "0", None, (0, 63), (3, 1), (0, 1, 2), (0, [1, 2])])
def test_wrong_outputs_are_named(output):
    with pytest.raises(ValidationError, match="output"):
        sb.network(sb.dense_blocks(), output=output, input_shape=(20,))


def test_shapes_that_do_not_fit_are_named():
    def network(*blocks, shape=(2, 6, 6), **settings):
        return sb.network(list(blocks), input_shape=shape, **settings)

    with pytest.raises(ValidationError, match=r"blocks\[1\] \(Conv\): input shape: expected of"):
        network(conv(2, 3, stride=2), conv(5, 2), sources={1: [0, la.INPUT]})
    with pytest.raises(ValidationError, match=r"blocks\[1\] \(Dense\): input shape"):
        network(conv(2, 3), dense(108, 2))
    with pytest.raises(ValidationError, match=r"blocks\[1\] \(Conv\): input shape"):
        network(dense(4, 3), conv(3, 2), shape=(4,))
    with pytest.raises(ValidationError, match=r"blocks\[0\] \(Flatten\): input shape"):
        network(cuba.Flatten(), dense(4, 2), shape=(4,))
    with pytest.raises(ValidationError, match=r"\(Flatten\): sources: expected no circle"):
        network(conv(2, 3), cuba.Flatten(), dense(4, 2), sources={1: [0, 1]})
    with pytest.raises(ValidationError, match=r"blocks\[0\] \(Conv\): sources: expected some that"):
        network(conv(2, 2), conv(2, 2), sources={0: [1]})
    with pytest.raises(ValidationError, match=r"\(Flatten\): output: expected one block"):
        network(conv(2, 3), cuba.Flatten(), sources={1: [0, la.INPUT]})
    with pytest.raises(ValidationError, match=r"output: expected .* \(got the input\)"):
        network(cuba.Flatten(), dense(72, 2), output=0)
    with pytest.raises(UnsupportedError, match=r"blocks\[0\] \(Input\): sources: expected the net"):
        network(cuba.Input(dict(sb.NEURON), delay_shift=False), dense(4, 4),
                shape=(4,), sources={0: [(la.INPUT, 1)]})  # fmt: skip
    with pytest.raises(GraphError, match="from the input"):
        network(dense(4, 4), dense(4, 4), shape=(4,), sources={0: [1]})


def test_a_block_of_our_own_wants_a_source_for_each_synapse():
    populations = [la.Population("a", (4,), 9, 9, 9), la.Population("b", (4,), 9, 9, 9)]
    ends = (-1, 0, 0), (0, 1, 0), (1, 1, 1)
    connections = [la.Dense(s, t, np.eye(4), delay=delay) for s, t, delay in ends]
    net = async_slayer.Network.from_graph(la.Graph((4,), populations, connections))
    with pytest.raises(ValidationError, match=r"\(Population\): sources: expected 2, one for each"):
        sb.network(net.blocks, input_shape=(4,))
    again = sb.network(net.blocks, sources={1: [0, (1, 1)]}, input_shape=(4,))
    assert numbers(again.graph()) == numbers(net.graph())


# Sums


def residual_blocks():
    """For inputs (20,): two blocks added, the sum beside the input, and added to what follows."""
    return [dense(20, 12), dense(12, 12, 1), dense(12 + 20, 12, 2), dense(12, 5, 3)]


RESIDUAL = {2: [async_slayer.Sum(0, 1), la.INPUT], 3: [async_slayer.Sum(2, (0, 1), 1)]}


def run_residual(blocks, x):
    a = blocks[0](x)
    b = blocks[1](a)
    c = blocks[2](torch.cat([a + b, x], 1))
    return blocks[3](c + late(a, 1) + b)


def test_sums_are_slayers_own():
    x = sb.spikes((3, 20, 10), density=0.4)
    ours, theirs = residual_blocks(), residual_blocks()
    net = sb.network(ours, la.LayerSync(), sources=RESIDUAL)
    want = run_residual(theirs, x)
    assert want.any()
    want.square().sum().backward()
    for gradient in ("decisive", "unrolled"):
        net = sb.network(ours, la.LayerSync(), sources=RESIDUAL, gradient=gradient)
        y = net(x)
        assert torch.equal(y, want)
        net.zero_grad()
        y.square().sum().backward()
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(
                a.synapse.weight.grad, b.synapse.weight.grad, rtol=1e-4, atol=1e-6
            )


def test_sums_run_everywhere_and_come_back_from_files(tmp_path):
    net = sb.network(residual_blocks(), sources=RESIDUAL)
    x = sb.spikes((2, 20, 8), density=0.4)
    again = assert_same_everywhere(net, x, tmp_path)
    assert numbers(net.graph())[2:] == [
        (0, 2, 0), (1, 2, 0), (-1, 2, 0), (2, 3, 0), (0, 3, 1), (1, 3, 0),
    ]  # fmt: skip
    kinds = [cuba.Dense, cuba.Dense, async_slayer.Population, cuba.Dense]
    assert [type(block) for block in again.blocks] == kinds
    assert [s.weight.shape for s in again.blocks[2].synapses] == [(12, 12), (12, 20)]
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.mul_(0.5)
    weights = [c.weight for c in again.graph().connections]
    for first, *others in ((2, 3), (5, 6, 7)):
        assert all((weights[k] == weights[first]).all() for k in others)
    again.export_hdf5(tmp_path / "b.net")
    assert_same(la.load(tmp_path / "b.net"), again.graph())


@pytest.mark.parametrize(
    "last, kind",
    [(lambda: conv(3, 4, 3, 2), cuba.Conv), (lambda: conv(6, 4, 3, 2, groups=2), None),
     (lambda: cuba.Pool(dict(sb.NEURON), 2, delay_shift=False), cuba.Pool),
     (lambda: dense((6, 4, 3), 5, 2), cuba.Dense)],
)  # fmt: skip
def test_sums_of_frames(last, kind, tmp_path):
    """In front of blocks of every kind, also beside other channels."""
    add = async_slayer.Sum(0, 1)
    sources = [add] if kind else [add, (1, 1)]

    def build():
        return [conv(2, 3), conv(3, 3, seed=1), last()]

    blocks, x = build(), sb.spikes((2, 2, 4, 6, 8), density=0.4)
    net = sb.network(build(), la.LayerSync(), sources={2: sources})
    a = blocks[0](x)
    b = blocks[1](a)
    want = blocks[2](a + b if kind else torch.cat([a + b, late(b, 1)], 1))
    assert want.any() and torch.equal(net(x), want)
    again = assert_same_everywhere(net, x, tmp_path, [la.Momentum(3)], backends=["kernel"])
    assert type(again.blocks[-1]) is (kind or async_slayer.Population)


def test_a_sum_of_what_a_flatten_passes_on():
    blocks = [conv(2, 3), conv(3, 3, seed=1), cuba.Flatten(), dense(3 * 20, 5, 2)]
    x = sb.spikes((2, 2, 4, 5, 8), density=0.4)
    want = [conv(2, 3), conv(3, 3, seed=1), dense(3 * 20, 5, 2)]
    a = want[0](x)
    want = want[2]((a + want[1](a)).flatten(1, 3))
    for add in ({2: [async_slayer.Sum(0, 1)]}, {2: [1], 3: [async_slayer.Sum(2, 4)]}):
        flats = [cuba.Flatten()] if len(add) > 1 else []
        net = sb.network(
            [*blocks, *flats], la.LayerSync(), sources={**add, 4: [0]} if flats else add, output=3
        )
        assert want.any() and torch.equal(net(x), want)


def test_a_sum_with_the_block_itself(tmp_path):
    net = sb.network([dense(6, 6)], sources={0: [async_slayer.Sum(la.INPUT, (0, 1))]})
    again = assert_same_everywhere(net, sb.spikes((2, 6, 8)), tmp_path, [la.Momentum(1)],
                                   backends=["kernel"])  # fmt: skip
    assert type(again.blocks[0]) is cuba.Dense
    blocks = [dense(6, 6), dense(12, 6, 1)]
    net = sb.network(blocks, sources={1: [la.INPUT, async_slayer.Sum(1, 0)]})
    again = assert_same_everywhere(net, sb.spikes((2, 6, 8)), tmp_path, [la.Momentum(1)],
                                   backends=["kernel"])  # fmt: skip
    assert [len(b.synapses) for b in again.blocks[1:]] == [2]


@pytest.mark.parametrize(
    "sources, message",
    [
        ({1: [async_slayer.Sum()]}, r"sources: expected a list .*or a Sum of these \(got \[Sum\("),
        ({1: [async_slayer.Sum(0, 3)]}, r"expected a list .*\(got \[Sum\(0, 3\)\]\)"),
        ({1: [async_slayer.Sum(0, (0, 63))]}, "sources: delay: expected an integer"),
        ({1: [async_slayer.Sum(async_slayer.Sum(0))]}, "expected a list"),
        ({1: async_slayer.Sum(0)}, "expected a list"),
        ({1: [async_slayer.Sum(0, la.INPUT)]},
         r"^blocks\[1\] \(Dense\): sources: expected equal shapes where they are added \(got \[\("),
    ],
)  # fmt: skip
def test_wrong_sums_are_named(sources, message):
    with pytest.raises(ValidationError, match=message):
        sb.network(sb.dense_blocks(), sources=sources, input_shape=(20,))


@pytest.mark.parametrize(
    "tied",
    ["1", "[1]", "[[0]]", "[[0, 0.5]]", "[[0, 1], [1, 2]]", "[[0, 9]]", "[[0, 1]]", "[[2, 4]]"],
)
def test_what_is_tied_must_fit(tied, tmp_path):
    path = tmp_path / "a.net"
    sb.network(residual_blocks(), sources=RESIDUAL, input_shape=(20,)).export_hdf5(path)
    with h5py.File(path, "r+") as file:
        file["lava_async"].attrs["tied"] = tied
    with pytest.raises(FileFormatError, match="lava_async: tied: expected"):
        la.load(path)
