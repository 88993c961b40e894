"""Copies, pickles and checkpoints of `slayer.Network`, from this package, SLAYER and 0.1.0."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from lava.lib.dl.slayer.block import cuba
from torch.nn.utils import parametrizations, prune

import lava_async as la
import slayer_blocks as sb
from file_graphs import assert_same
from lava_async import slayer as async_slayer

WRITTEN_BY_0_1_0 = Path(__file__).parent / "written_by_0_1_0"


def with_weight_norm():
    return sb.network(sb.dense_blocks(weight_norm=True), input_shape=(20,))


def pruned():
    net = sb.network(sb.dense_blocks())
    for block in net.blocks:
        prune.random_unstructured(block.synapse, "weight", 0.5)
    return net


def with_input_blocks():
    return sb.network([cuba.Input(delay_shift=False), *sb.dense_blocks()], la.Random(3, 5))


def with_edges():
    blocks = sb.dense_blocks((20, 12)) + sb.dense_blocks((24, 12), seed=1)
    return sb.network(
        blocks, sources={1: [0, (1, 2)]}, output=(0, 1), credit=_credit(), gradient="unrolled"
    )


def of_a_graph():
    graph = la.Graph(
        (20,), [la.Population("p", (6,), 4096, 100, 30, [1, 2, 3, 4, 5, 6])],
        [la.Dense(0, 0, np.full((6, 6), 3), delay=1), la.Dense(-1, 0, np.full((6, 20), 21))],
    )  # fmt: skip
    return async_slayer.Network.from_graph(graph, schedule=la.Fifo(2))


def _credit():
    return async_slayer.Carried(0.5, 0.5)


BUILD = [with_weight_norm, pruned, with_input_blocks, with_edges, of_a_graph]


@pytest.mark.parametrize("copied", [copy.deepcopy, sb.pickled, sb.saved])
@pytest.mark.parametrize("has_run", [False, True])
@pytest.mark.parametrize("build", BUILD)
def test_copies_are_whole_and_apart(build, has_run, copied):
    net, x = build(), sb.spikes((3, 20, 8))
    if has_run:
        net(x).sum().backward()
        torch.optim.Adam(net.parameters(), lr=0.01).step()
    twin = copied(net)
    assert twin.schedule == net.schedule and int(twin.samples_seen) == int(net.samples_seen)
    y = twin(x, sample_ids=[0, 1, 2])
    assert torch.equal(y, net(x, sample_ids=[0, 1, 2])) and y.any()
    assert_same(twin.graph(), net.graph())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    twin.zero_grad()
    twin(x).sum().backward()
    torch.optim.SGD(twin.parameters(), lr=0.5).step()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert any(not torch.equal(v, before[n]) for n, v in twin.state_dict().items() if "syn" in n)


def test_a_deepcopy_of_parametrized_blocks():
    net = sb.network(sb.dense_blocks())
    for block in net.blocks:
        parametrizations.weight_norm(block.synapse)
    x = sb.spikes((3, 20, 8))
    y = net(x)
    assert torch.equal(copy.deepcopy(net)(x), y) and y.any()
    with pytest.raises(RuntimeError, match="state_dict"):  # PyTorch's own word on it
        pickle.dumps(net)


def test_a_deepcopy_inside_of_another_module():
    """What is shared stays shared."""
    net = with_weight_norm()
    whole = torch.nn.ModuleDict({"net": net, "first": net.blocks[0]})
    net(sb.spikes((1, 20, 3)))
    twin = copy.deepcopy(whole)
    assert twin["first"] is twin["net"].blocks[0] is not net.blocks[0]


# Checkpoints


class Plain(torch.nn.Module):
    """A network as SLAYER's tutorials have it."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks = torch.nn.ModuleList(blocks)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.parametrize("plain", [Plain, lambda blocks: torch.nn.Sequential(*blocks)])
def test_checkpoints_of_plain_slayer_modules(plain, weight_norm):
    theirs = plain(sb.dense_blocks(seed=4, weight_norm=weight_norm))
    x = sb.spikes((3, 20, 8))
    want = theirs(x)
    net = sb.network(sb.dense_blocks(weight_norm=weight_norm), la.LayerSync())
    net(x)
    net.load_state_dict(theirs.state_dict())
    assert torch.equal(net(x), want) and want.any()
    assert int(net.samples_seen) == 6  # it goes on from where it was
    # And inside of another module.
    outer = torch.nn.ModuleDict({"net": sb.network(sb.dense_blocks(weight_norm=weight_norm))})
    outer.load_state_dict({f"net.{key}": value for key, value in theirs.state_dict().items()})
    outer["net"].schedule = la.LayerSync()
    assert torch.equal(outer["net"](x), want)


@pytest.mark.parametrize("plain", [Plain, lambda blocks: torch.nn.Sequential(*blocks)])
def test_what_does_not_fit_is_an_error_as_ever(plain):
    state = plain(sb.dense_blocks((20, 12, 8, 4, 3))).state_dict()
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "blocks\.3'):
        sb.network(sb.dense_blocks()).load_state_dict(state)
    state = plain(sb.dense_blocks((20, 12, 8))).state_dict()
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "blocks\.2'):
        sb.network(sb.dense_blocks()).load_state_dict(state)
    assert "samples_seen" not in state  # the caller's dict is left alone


def test_a_whole_checkpoint_sets_the_count():
    net, other = sb.network(sb.dense_blocks()), sb.network(sb.dense_blocks(seed=2))
    net(sb.spikes((5, 20, 3)))
    other.load_state_dict(net.state_dict())
    assert int(other.samples_seen) == 5


def written(name):
    """Networks as they were when 0.1.0 wrote the files."""
    neuron, off = {"threshold": 1.25, "current_decay": 0.4, "voltage_decay": 0.2}, {
        "delay_shift": False
    }
    own = {"weight_scale": 6, **off}
    if name == "dense":
        blocks = [
            cuba.Dense(neuron, 12, 9, weight_norm=True, **own), cuba.Dense(neuron, 9, 5, **own)
        ]
        return sb.network(
            blocks, la.Momentum(3, noise=0.5, seed=2**63 + 5), input_shape=(12,)
        )
    if name == "conv":
        blocks = [
            cuba.Input(neuron, weight=1.5, **off), cuba.Conv(neuron, 2, 4, 3, padding=1, **own),
            cuba.Conv(neuron, 4, 4, 3, stride=2, groups=2, **own), cuba.Flatten(),
            cuba.Dense(neuron, 36, 5, **own),
        ]
        return sb.network(blocks, la.Random(4, seed=9), input_shape=(2, 7, 7))
    blocks = [
        cuba.Input(**off), cuba.Flatten(), cuba.Dense(neuron, 50, 8, **own),
        cuba.Dense(neuron, 8, 4, **own),
    ]
    return sb.network(blocks, la.LayerSync(6), input_shape=(2, 5, 5))


@pytest.mark.parametrize("name", ["dense", "conv", "layer"])
def test_checkpoints_and_files_of_0_1_0(name):
    net = written(name).eval()
    state = torch.load(WRITTEN_BY_0_1_0 / f"{name}.pt")["state"]
    assert state.keys() == net.state_dict().keys()
    net.load_state_dict(state)
    again = async_slayer.Network.from_hdf5(WRITTEN_BY_0_1_0 / f"{name}.net").eval()
    with np.load(WRITTEN_BY_0_1_0 / f"{name}.npz") as wanted:
        x, spikes = torch.from_numpy(wanted["x"]), wanted["spikes"]
    assert spikes.any()
    for run in (net, again):
        np.testing.assert_array_equal(run(x).detach().numpy(), spikes)
    for a, b in zip(again.graph().connections, net.graph().connections, strict=True):
        assert_same(a, b)
